"""One contestant on one Hock-Schittkowski problem in a fork: `python -m benchmarks.constraints_worker CORE`.

Serves as `cutest_worker` does, with the same clock and the same limit; the end point is looked at by JAX's own
derivatives of cost and constraints.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from .cutest_worker import measured, serve

# Constraints and bounds this close to their limits may hold the point.
NEAR = 1e-4

# What sif2jax writes for no bound.
NO_BOUND = 1e20


def measure(name: str, solver: str) -> dict[str, Any]:
    """Pose the problem, solve it twice, and look at the end point."""
    from .constrained_contestants import CONTESTANTS

    return measured(name, solver, pose(name), CONTESTANTS[solver], look)


def pose(name: str) -> Any:
    """The problem as flat functions of float64, with its start and its bounds."""
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    from .constrained_contestants import PosedBetween
    from .sif import problem as instance

    problem = instance(name)
    flat, restore = ravel_pytree(jax.tree.map(lambda a: np.asarray(a, np.float64), problem.y0))
    args = problem.args
    start = np.asarray(flat, np.float64)

    def cost(x: Any) -> Any:
        return jnp.asarray(problem.objective(restore(x), args)).reshape(())

    def part(k: int) -> Any:
        return lambda x: ravel_pytree(problem.constraint(restore(x))[k])[0]

    there = [one is not None for one in problem.constraint(problem.y0)]
    lower, upper = np.full(start.size, -np.inf), np.full(start.size, np.inf)
    if problem.bounds is not None:
        lower, upper = (np.array(ravel_pytree(side)[0], np.float64) for side in problem.bounds)
        lower[lower <= -NO_BOUND], upper[upper >= NO_BOUND] = -np.inf, np.inf
    equations, inequalities = (part(k) if is_there else None for k, is_there in enumerate(there))
    return PosedBetween(cost, start, lower, upper, equations=equations, inequalities=inequalities)


def look(posed: Any, answer: Any) -> dict[str, Any]:
    """Cost, largest violation, and what is left of the slope when active constraints push against it, in the maximum.

    The multipliers are the bounded least-squares ones of everything within `NEAR` of its limit.
    """
    import jax
    from scipy.optimize import lsq_linear

    x = np.asarray(answer.x, np.float64)
    below, above = x - posed.lower, posed.upper - x
    violation = float(max(0.0, -below.min(), -above.min()))
    columns, least, most = [], [], []
    for kind, f in posed.kinds:
        value = np.atleast_1d(np.asarray(f(x)))
        violation = max(violation, float(np.max(np.abs(value) if kind == "eq" else -value, initial=0.0)))
        near = np.ones(value.size, bool) if kind == "eq" else value <= NEAR
        columns.append(np.asarray(jax.jacobian(f)(x)).reshape(value.size, -1)[near].T)
        least += [-np.inf if kind == "eq" else 0.0] * int(near.sum())
        most += [np.inf] * int(near.sum())
    eye = np.eye(x.size)
    for side, sign in ((below <= NEAR, 1.0), (above <= NEAR, -1.0)):
        columns.append(sign * eye[:, side])
        least += [0.0] * int(side.sum())
        most += [np.inf] * int(side.sum())
    value, gradient = jax.value_and_grad(posed.cost)(x)
    left = gradient = np.asarray(gradient)
    A = np.concatenate(columns, axis=1)
    if A.shape[1] and np.isfinite(A).all() and np.isfinite(gradient).all():
        left = gradient - A @ lsq_linear(A, gradient, bounds=(least, most), method="bvls").x
    return {
        "cost": float(value),
        "violation": violation,
        "unbalanced": float(np.abs(left).max()),
        "claims": answer.claims,
        "told": answer.told,
    }


if __name__ == "__main__":
    serve(int(sys.argv[1]), measure)
