"""10,000 minimisations of the two-parameter Rosenbrock function from random starts in [-3, 3]², on one core.

*Solved*: the share within 1e-6 of the minimum, 0. Seconds of CPU time: *warm*, the best of several calls; *first call*,
tracing and compiling included. Every answer of steepest carries a verdict.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

STARTS = 10_000
WARM_CALLS = 5
# A loop of single minimisations is measured on the first so many starts.
LOOPED = 200


def rosenbrock(x: Any) -> Any:
    """The cost, as a user writes it."""
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def starts() -> np.ndarray:
    """(10000, 2)."""
    return np.random.default_rng(0).uniform(-3.0, 3.0, size=(STARTS, 2))


def ours(x0s: np.ndarray) -> np.ndarray:
    """The costs that minimize_many ends at."""
    import steepest

    return steepest.minimize_many(rosenbrock, x0s).fun


def scipy_loop(x0s: np.ndarray) -> np.ndarray:
    """SciPy's BFGS, one start after the other, with its own differences."""
    from scipy import optimize

    return np.array([optimize.minimize(rosenbrock, x0, method="BFGS").fun for x0 in x0s])


def scipy_gradient_loop(x0s: np.ndarray) -> np.ndarray:
    """SciPy's BFGS with a gradient written by hand."""
    from scipy import optimize

    def gradient(x: np.ndarray) -> np.ndarray:
        valley = x[1] - x[0] ** 2
        return np.array([-2 * (1 - x[0]) - 400 * x[0] * valley, 200 * valley])

    return np.array([optimize.minimize(rosenbrock, x0, jac=gradient, method="BFGS").fun for x0 in x0s])


def optimistix_bfgs(x0s: np.ndarray) -> np.ndarray:
    """optimistix's BFGS under one vmap over all starts, compiled; float64."""
    import jax

    with jax.enable_x64(True):
        return np.asarray(_optimistix()(jax.numpy.asarray(x0s)))


_compiled: list[Any] = []


def _optimistix() -> Any:
    if not _compiled:
        import jax
        import optimistix

        solver = optimistix.BFGS(rtol=1e-8, atol=1e-8)

        def single(x0: Any) -> Any:
            found = optimistix.minimise(lambda x, _: rosenbrock(x), solver, x0, max_steps=1000, throw=False)
            return rosenbrock(found.value)

        _compiled.append(jax.jit(jax.vmap(single)))
    return _compiled[0]


SOLVERS = {
    "steepest.minimize_many": (ours, STARTS),
    "optimistix BFGS, vmap over all": (optimistix_bfgs, STARTS),
    "SciPy BFGS in a loop, gradient by hand": (scipy_gradient_loop, LOOPED),
    "SciPy BFGS in a loop": (scipy_loop, LOOPED),
}


def table(peers: bool) -> tuple[list[str], list[list[Any]], str]:
    """The table's header, its rows and a note."""
    x0s = starts()
    rows = []
    for name, (solve, count) in SOLVERS.items():
        if not peers and solve is not ours:
            continue
        first, cost = _timed(solve, x0s[:count])
        warm = min(_timed(solve, x0s[:count])[0] for _ in range(WARM_CALLS if count == STARTS else 1))
        scale = STARTS / count
        rows.append([name, warm * scale, first * scale, float(np.mean(cost <= 1e-6))])
    header = ["solver", "warm s", "first call s", "solved"]
    return header, rows, f"Loops are measured on {LOOPED} starts and scaled up."


def _timed(solve: Any, x0s: np.ndarray) -> tuple[float, np.ndarray]:
    began = time.process_time()
    cost = solve(x0s)
    return time.process_time() - began, cost
