"""Costs of a few parameters that every book knows: bent, hilly, with poles, with kinks, without a minimum.

After Dixon & Szegő, Towards global optimisation 2 (1978), Hock & Schittkowski, Test examples (1981), Schwefel,
Numerical optimization (1981), and Lukšan & Vlček, Test problems for nonsmooth optimization, V-798 (2000).
"""

from typing import Any

import numpy as np

from .more_garbow_hillstrom import PROBLEMS as MGH
from .terms import Cost, Problem, all_at, each, numbers, of_sizes, posed, squares


def ackley(xp: Any, x: Any) -> Any:
    waves = xp.exp(xp.mean(xp.cos(2 * np.pi * x)))
    return -20 * xp.exp(-0.2 * xp.sqrt(xp.mean(x**2))) - waves + 20 + np.e


def griewank(xp: Any, x: Any) -> Any:
    return 1 + xp.sum(x**2) / 4000 - xp.prod(xp.cos(x / np.sqrt(numbers(x.size))))


def goldstein_price(xp: Any, x: Any) -> Any:
    a, b = x
    one = (a + b + 1) ** 2 * (19 - 14 * a + 3 * a**2 - 14 * b + 6 * a * b + 3 * b**2)
    two = (2 * a - 3 * b) ** 2 * (18 - 32 * a + 12 * a**2 + 48 * b - 36 * a * b + 27 * b**2)
    return (1 + one) * (30 + two)


def shallow(xp: Any, x: Any) -> Any:
    """A logarithm of a quadratic: not convex far out, where its slope dies away."""
    return xp.log(1 + xp.sum(numbers(x.size) * x**2))


def soft_maximum(xp: Any, x: Any) -> Any:
    return xp.log(xp.sum(xp.exp(x - np.linspace(0, 3, x.size))) + xp.sum(xp.exp(-x))) + 0.01 * xp.sum(x**2)


def hairy(xp: Any, x: Any) -> Any:
    """Folds of a large and a small wave (Toint's HAIRY)."""
    folds = 30 * xp.sin(7 * x[0]) ** 2 * xp.cos(7 * x[1]) ** 2
    return folds + 100 * xp.sqrt(0.01 + (x[0] - x[1]) ** 2) + 100 * xp.sqrt(0.01 + x[0] ** 2)


def quadratic(A: np.ndarray, b: np.ndarray) -> Cost:
    return lambda xp, x: x @ (A @ x) / 2 - b @ x


_Q, _b = np.random.default_rng(7).standard_normal((60, 60)), np.random.default_rng(8).standard_normal(60)

PROBLEMS: dict[str, Problem] = {
    **of_sizes("ACKLEY", ackley, all_at(0.2), (2, 10), 0.0),
    **of_sizes("GRIEWANK", griewank, all_at(1), (2, 10, 100), 0.0),
    **of_sizes(
        "RASTRIGIN", each(lambda xp, x, i: 10 + x**2 - 10 * xp.cos(2 * np.pi * x)), all_at(2.2), (2, 10), 0.0
    ),
    **of_sizes("SHALLOW", shallow, all_at(3), (5, 100), 0.0),
    **of_sizes("SOFTMAX", soft_maximum, all_at(2), (10, 1000)),
    "CAMEL6": posed(
        lambda xp, x: (
            (4 - 2.1 * x[0] ** 2 + x[0] ** 4 / 3) * x[0] ** 2 + x[0] * x[1] + (4 * x[1] ** 2 - 4) * x[1] ** 2
        ),
        [1.5, 1],
        -1.031628453,
    ),
    "CAMEL3": posed(
        lambda xp, x: 2 * x[0] ** 2 - 1.05 * x[0] ** 4 + x[0] ** 6 / 6 + x[0] * x[1] + x[1] ** 2,
        [2, 1],
        0.0,
    ),
    "GOLDSTEIN": posed(goldstein_price, [0.5, 0.5], 3.0),
    "BOOTH": posed(lambda xp, x: squares(xp, x[0] + 2 * x[1] - 7, 2 * x[0] + x[1] - 5), [-5, 5], 0.0),
    "EASOM": posed(lambda xp, x: -xp.prod(xp.cos(x)) * xp.exp(-xp.sum((x - np.pi) ** 2)), [2, 2], -1.0),
    "STYBLINSKI": posed(lambda xp, x: xp.sum(x**4 - 16 * x**2 + 5 * x) / 2, [1, 1], -78.33233141),
    "LEVY": posed(
        lambda xp, x: (
            xp.sin(3 * np.pi * x[0]) ** 2
            + (x[0] - 1) ** 2 * (1 + xp.sin(3 * np.pi * x[1]) ** 2)
            + (x[1] - 1) ** 2 * (1 + xp.sin(2 * np.pi * x[1]) ** 2)
        ),
        [2, 2],
        0.0,
    ),
    "DROPWAVE": posed(
        lambda xp, x: -(1 + xp.cos(12 * xp.sqrt(xp.sum(x**2)))) / (xp.sum(x**2) / 2 + 2),
        [0.3, 0.2],
        -1.0,
    ),
    "BRENT": posed(lambda xp, x: (x[0] + 10) ** 2 + (x[1] + 10) ** 2 + xp.exp(-xp.sum(x**2)), [10, -10]),
    "BRKMCC": posed(
        lambda xp, x: (
            (x[0] - 2) ** 2
            + (x[1] - 1) ** 2
            + 0.04 / (1 - x[0] ** 2 / 4 - x[1] ** 2)
            + (x[0] - 2 * x[1] + 1) ** 2 / 0.2
        ),
        [2, 2],
    ),
    "HAIRY": posed(hairy, [-5, -7], 20.0),
    "LOGHAIRY": posed(lambda xp, x: xp.log((100 + hairy(xp, x)) / 100), [-500, -700]),
    "PARABOLA-OF-EXP": posed(lambda xp, x: (x[1] - x[0] ** 2) ** 2 + xp.exp(-x[0]), [0, 0]),
    "THREE-EXPS": posed(lambda xp, x: xp.exp(x[0] - 2 * x[1]) + xp.exp(-x[0]) + xp.exp(x[1]), [20, -20]),
    "POLES": posed(lambda xp, x: x[0] + 1 / x[0] + x[1] ** 2 + 4 / x[1], [0.01, 0.01]),
    "BARRIER": posed(lambda xp, x: -xp.log(x[0]) - xp.log(1 - x[0]) - xp.log(x[1]) + 5 * x[1], [0.99, 0.1]),
    "ENTROPY": posed(lambda xp, x: xp.sum(x * xp.log(x)) + 50 * (xp.sum(x) - 1) ** 2, [0.4, 0.3, 0.2, 0.6]),
    "NEARLY-L1": posed(lambda xp, x: xp.sum(xp.sqrt(1e-6 + (x - np.arange(4)) ** 2)), [5, 5, 5, 5], 4e-3),
    "L1": posed(lambda xp, x: xp.sum(xp.abs(x - np.array([1, 2, 3]))) + (xp.sum(x) - 4) ** 2 / 2, [0, 0, 0]),
    "MAXQ": posed(lambda xp, x: xp.max(x**2), np.r_[1:6, -6:-11:-1], 0.0),
    "CB2": posed(
        lambda xp, x: xp.maximum(
            xp.maximum(x[0] ** 2 + x[1] ** 4, xp.sum((2 - x) ** 2)), 2 * xp.exp(x[1] - x[0])
        ),
        [1, -0.1],
        1.9522245,
    ),
    "HS1": posed(MGH["ROSEN"].cost, [-2, 1]).within([-np.inf, -1.5], np.inf),
    "HS4": posed(lambda xp, x: (x[0] + 1) ** 3 / 3 + x[1], [1.125, 0.125]).within([1, 0], np.inf),
    "HS5": posed(
        lambda xp, x: xp.sin(x[0] + x[1]) + (x[0] - x[1]) ** 2 - 1.5 * x[0] + 2.5 * x[1] + 1, [0, 0]
    ).within([-1.5, -3], [4, 3]),
    "HS25": posed(MGH["GULF"].cost, [100, 12.5, 3]).within([0.1, 0, 0], [100, 25.6, 5]),
    "HS38": posed(MGH["WOOD"].cost, [-3, -1, -3, -1]).within(-10, 10),
    "MVA-NARROW": posed(
        lambda xp, x: xp.sqrt(1 + x[0] ** 2 + (x[1] - 5) ** 2) + xp.exp(-x[0]), [0, 0]
    ).within([0, -1], [1e-3, 1e8]),
    "QP-CONVEX-60": posed(quadratic(_Q @ _Q.T / 60 + 0.01 * np.eye(60), _b), np.zeros(60)).within(-1, 1),
    "QP-INDEFINITE-60": posed(quadratic((_Q + _Q.T) / 2, _b), np.zeros(60)).within(-1, 1),
    "QP-CONCAVE-60": posed(quadratic(-_Q @ _Q.T / 60, _b), np.full(60, 0.01)).within(-1, 1),
    "QP-SINGULAR-60": posed(quadratic(_Q[:40].T @ _Q[:40], _Q[:40].T @ _b[:40]), np.ones(60)).within(
        0, np.inf
    ),
    "LP-10": posed(lambda xp, x: numbers(10) @ x + x[0] ** 2 / 2, np.full(10, 0.5), 0.0).within(0, 1),
    "EXPLIN-120": posed(
        lambda xp, x: xp.sum(xp.exp(0.1 * x[:10] * x[1:11])) - xp.sum(10 * numbers(110) * x[10:]),
        np.zeros(120),
    ).within(0, 10),
}
