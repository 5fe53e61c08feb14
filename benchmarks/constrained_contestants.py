"""Minimisers between constraints that compete on one problem: JAX functions, a start and bounds in; a point out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .contestants import Answer, Posed


@dataclass(frozen=True)
class PosedBetween(Posed):
    """As `Posed`, with JAX functions `equations`(x) = 0 and `inequalities`(x) >= 0, None where there are none."""

    equations: Callable[[Any], Any] | None = None
    inequalities: Callable[[Any], Any] | None = None

    @property
    def kinds(self) -> list[tuple[str, Callable[[Any], Any]]]:
        """The functions that are there, as SciPy names their types."""
        both = (("eq", self.equations), ("ineq", self.inequalities))
        return [(kind, f) for kind, f in both if f is not None]


Contestant = Callable[[PosedBetween], Answer]


def steepest(posed: PosedBetween) -> Answer:
    """Our own, with nothing but the functions, the start and the bounds."""
    import steepest as st

    constraints = [{"type": kind, "fun": f} for kind, f in posed.kinds]
    found = st.minimize(posed.cost, posed.start, bounds=posed.pairs, constraints=constraints)
    told = f"{found.verdict} · {found.nit} steps, {found.nfev} evaluations · {found.stop} · {found.message}"
    return Answer(np.asarray(found.x), bool(found.success), told)


def slsqp(posed: PosedBetween) -> Answer:
    """SciPy's SLSQP with jitted exact first derivatives."""
    import jax
    from scipy.optimize import minimize

    both = posed.once("both", lambda: jax.jit(jax.value_and_grad(posed.cost)))
    constraints = []
    for kind, f in posed.kinds:
        value = posed.once(kind, partial(jax.jit, f))
        jacobian = posed.once(f"{kind} jacobian", partial(jax.jit, jax.jacobian(f)))
        constraints.append({"type": kind, "fun": _plain(value), "jac": _plain(jacobian)})

    def value_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = both(x)
        return float(value), np.asarray(gradient)

    found = minimize(
        value_and_gradient, posed.start, jac=True, method="SLSQP", bounds=posed.pairs, constraints=constraints
    )
    return Answer(found.x, bool(found.success), f"{found.nfev} evaluations · {found.message}")


def trust_constr(posed: PosedBetween) -> Answer:
    """SciPy's trust-constr with jitted exact first and second derivatives."""
    import jax
    from scipy.optimize import NonlinearConstraint, minimize

    value = posed.once("value", lambda: jax.jit(posed.cost))
    gradient = posed.once("gradient", lambda: jax.jit(jax.grad(posed.cost)))
    hessian = posed.once("hessian", lambda: jax.jit(jax.hessian(posed.cost)))
    constraints = []
    for kind, f in posed.kinds:
        own = posed.once(kind, partial(jax.jit, f))
        jacobian = posed.once(f"{kind} jacobian", partial(jax.jit, jax.jacobian(f)))
        bend = posed.once(f"{kind} hessian", partial(jax.jit, jax.hessian(_weighted(f))))
        high = 0.0 if kind == "eq" else np.inf
        row = NonlinearConstraint(_plain(own), 0.0, high, jac=_plain(jacobian), hess=_plain(bend))
        constraints.append(row)
    found = minimize(
        lambda x: float(value(x)),
        posed.start,
        jac=_plain(gradient),
        hess=_plain(hessian),
        method="trust-constr",
        bounds=posed.pairs,
        constraints=constraints,
    )
    return Answer(found.x, bool(found.success), f"{found.nfev} evaluations · {found.message}")


def ipopt(posed: PosedBetween) -> Answer:
    """IPOPT with its defaults and jitted exact first and second derivatives, dense."""
    import cyipopt
    import jax
    import jax.numpy as jnp

    n, parts = posed.n, [f for _, f in posed.kinds]

    def stacked(x: Any) -> Any:
        return jnp.concatenate([jnp.atleast_1d(f(x)) for f in parts])

    both = posed.once("both", lambda: jax.jit(jax.value_and_grad(posed.cost)))
    rows = posed.once("rows", lambda: jax.jit(stacked))
    jacobian = posed.once("jacobian", lambda: jax.jit(jax.jacobian(stacked)))
    bend = posed.once(
        "bend", lambda: jax.jit(jax.hessian(lambda x, v, s: s * posed.cost(x) + stacked(x) @ v))
    )
    counts = [int(np.prod(jax.eval_shape(f, posed.start).shape)) for f in parts]
    m = sum(counts)
    equal = counts[0] if posed.equations is not None else 0
    low = np.tril_indices(n)
    evaluations = [0]

    class Problem:
        """Cost and constraints as IPOPT asks for them."""

        def objective(self, x: np.ndarray) -> float:
            evaluations[0] += 1
            return float(both(x)[0])

        def gradient(self, x: np.ndarray) -> np.ndarray:
            return np.asarray(both(x)[1])

        def constraints(self, x: np.ndarray) -> np.ndarray:
            return np.asarray(rows(x))

        def jacobian(self, x: np.ndarray) -> np.ndarray:
            return np.asarray(jacobian(x)).ravel()

        def hessianstructure(self) -> Any:
            return low

        def hessian(self, x: np.ndarray, multipliers: np.ndarray, scale: float) -> np.ndarray:
            return np.asarray(bend(x, multipliers, scale))[low]

    lower = np.full(n, -np.inf) if posed.lower is None else posed.lower
    upper = np.full(n, np.inf) if posed.upper is None else posed.upper
    most = np.where(np.arange(m) < equal, 0.0, np.inf)
    problem = cyipopt.Problem(n=n, m=m, problem_obj=Problem(), lb=lower, ub=upper, cl=np.zeros(m), cu=most)
    problem.add_option("print_level", 0)
    problem.add_option("sb", "yes")
    x, info = problem.solve(posed.start)
    told = info["status_msg"]
    told = told.decode() if isinstance(told, bytes) else str(told)
    return Answer(x, info["status"] in (0, 1), f"{evaluations[0]} evaluations · {told}")


def _weighted(rows: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """v·rows(x), of which trust-constr wants the second derivatives."""
    return lambda x, v: rows(x) @ v


def _plain(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """A jitted function that gives NumPy arrays."""
    return lambda *arguments: np.asarray(function(*arguments))


CONTESTANTS: dict[str, Contestant] = {
    "steepest": steepest,
    "IPOPT": ipopt,
    "SciPy SLSQP": slsqp,
    "SciPy trust-constr": trust_constr,
}
