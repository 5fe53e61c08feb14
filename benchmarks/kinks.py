"""Costs whose minimum is at a kink: lasso, quantiles, largest errors, hinges, total variation, and curved valleys.

*Solved*: within 1e-6 of the lowest cost, relative to the fall from the start; *precise*: within 1e-10 of it. *False
success*: claims success, not solved. The lowest cost is a linear program's (HiGHS) where there is one, else the lowest
that any contestant found. Seconds of CPU time of all costs together, imports not counted. SciPy is given exact slopes.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog, minimize

METHODS = ("L-BFGS-B", "BFGS", "SLSQP", "Nelder-Mead", "Powell")
WITHOUT_SLOPE = frozenset({"Nelder-Mead", "Powell"})


class Kinked(NamedTuple):
    """A cost, its start and the lowest value, where that is known beforehand."""

    cost: Callable[[Any], Any]
    start: np.ndarray
    lowest: float | None = None


def problems() -> dict[str, Kinked]:
    """Twelve costs, seeded."""
    rng = np.random.default_rng(0)
    found: dict[str, Kinked] = {}
    for n, m in ((3, 10), (50, 100), (200, 100)):
        A = rng.standard_normal((m, n))
        w = np.where(np.arange(n) < max(2, n // 10), 3.0 * rng.standard_normal(n), 0.0)
        y = A @ w + 0.1 * rng.standard_normal(m)
        found[f"lasso {m} × {n}"] = Kinked(_lasso(A, y, 0.1 * m), np.zeros(n))
    X = np.column_stack([np.ones(200), rng.standard_normal((200, 4))])
    y = X @ np.arange(1.0, 6.0) + rng.standard_t(2, 200)
    for q in (0.5, 0.9):
        found[f"quantile {q}"] = Kinked(_quantile(X, y, q), np.zeros(5), _by_linear_program(X, y, q))
    t = np.linspace(-1, 1, 101)
    V = np.vander(t, 5)
    found["largest error"] = Kinked(
        lambda c: np.max(np.abs(V @ c - np.exp(t))), np.zeros(5), _largest_error(V, np.exp(t))
    )
    label = np.sign(X[:, 1] + 0.5 * X[:, 2] + 0.3 * rng.standard_normal(200))
    found["hinge and ridge"] = Kinked(
        lambda w: np.mean(np.maximum(0, 1 - label * (X @ w))) + 0.01 * np.sum(w[1:] ** 2), np.zeros(5)
    )
    signal = np.repeat([0.0, 1.0, 0.3], 50) + 0.1 * rng.standard_normal(150)
    found["total variation"] = Kinked(
        lambda u: 0.5 * np.sum((u - signal) ** 2) + 0.5 * np.sum(np.abs(np.diff(u))), np.zeros(150)
    )
    s = np.linspace(0, 4, 40)
    bent = 3 * np.exp(-0.7 * s) + 1 + np.where(np.arange(40) % 7, 0.0, 3.0)
    found["least absolute errors"] = Kinked(
        lambda p: np.sum(np.abs(p[0] * np.exp(-p[1] * s) + p[2] - bent)), np.array([1.0, 1.0, 0.0]), 18.0
    )
    found["Nesterov's valley"] = Kinked(
        lambda x: 0.25 * (x[0] - 1) ** 2 + np.sum(np.abs(x[1:] - 2 * x[:-1] ** 2 + 1)),
        np.array([-1.0, 1.0, 1.0, 1.0]),
        0.0,
    )
    found["largest square"] = Kinked(lambda x: np.max(x**2), np.arange(-10.0, 10.0), 0.0)
    H = 1.0 / (np.arange(8)[:, None] + np.arange(8) + 1.0)
    found["largest of Hilbert"] = Kinked(lambda x: np.max(np.abs(H @ x)), np.ones(8), 0.0)
    return found


def _lasso(A: np.ndarray, y: np.ndarray, weight: float) -> Callable[[Any], Any]:
    return lambda w: np.sum((A @ w - y) ** 2) + weight * np.sum(np.abs(w))


def _quantile(X: np.ndarray, y: np.ndarray, q: float) -> Callable[[Any], Any]:
    return lambda b: np.sum(np.maximum(q * (y - X @ b), (q - 1) * (y - X @ b)))


def _by_linear_program(X: np.ndarray, y: np.ndarray, q: float) -> float:
    m, n = X.shape
    costs = np.concatenate([np.zeros(2 * n), np.full(m, q), np.full(m, 1 - q)])
    return float(linprog(costs, A_eq=np.hstack([X, -X, np.eye(m), -np.eye(m)]), b_eq=y).fun)


def _largest_error(V: np.ndarray, y: np.ndarray) -> float:
    m, n = V.shape
    one = np.ones((m, 1))
    rows = np.block([[V, -one], [-V, -one]])
    found = linprog(
        np.append(np.zeros(n), 1.0), A_ub=rows, b_ub=np.append(y, -y), bounds=[(None, None)] * (n + 1)
    )
    return float(found.fun)


def table(peers: bool) -> tuple[list[str], list[list[Any]], str]:
    """One row for each contestant."""
    costs = problems()
    contestants = ["steepest", *(f"SciPy {name}" for name in METHODS)] if peers else ["steepest"]
    ended = {name: [_run(name, problem) for problem in costs.values()] for name in contestants}
    lowest = [
        min([ends[k][0] for ends in ended.values()] + ([p.lowest] if p.lowest is not None else []))
        for k, p in enumerate(costs.values())
    ]
    fall = [float(p.cost(p.start)) - low for p, low in zip(costs.values(), lowest, strict=True)]
    rows = []
    for name, ends in ended.items():
        gap = np.array([(value - low) / f for (value, _, _), low, f in zip(ends, lowest, fall, strict=True)])
        claims = np.array([claimed for _, claimed, _ in ends])
        rows.append(
            [
                name,
                len(ends),
                int((gap <= 1e-6).sum()),
                int((gap <= 1e-10).sum()),
                int((claims & (gap > 1e-6)).sum()),
                sum(seconds for _, _, seconds in ends),
            ]
        )
    header = ["method", "costs", "solved", "precise", "false success", "seconds"]
    return header, rows, f"The costs: {', '.join(costs)}."


def _run(name: str, problem: Kinked) -> tuple[float, bool, float]:
    """The cost at the end, whether success was claimed, and CPU seconds."""
    import steepest

    began = time.process_time()
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "steepest":
            found = steepest.minimize(problem.cost, problem.start)
            return float(found.fun), bool(found.success), time.process_time() - began
        method = name.removeprefix("SciPy ")
        slope = None if method in WITHOUT_SLOPE else _slope(problem)
        found = minimize(problem.cost, problem.start, jac=slope, method=method)
    return float(problem.cost(found.x)), bool(found.success), time.process_time() - began


def _slope(problem: Kinked) -> Callable[[np.ndarray], np.ndarray]:
    import steepest

    return steepest.gradient(problem.cost)
