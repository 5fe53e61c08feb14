"""Costs whose answers are known: closed forms, and the collection every optimiser is tried on.

MGH stands for J. J. Moré, B. S. Garbow, K. E. Hillstrom (1981), Testing Unconstrained Optimization Software,
ACM Transactions on Mathematical Software 7(1), 17-41; the number is the function's in section 3 there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Vector = np.ndarray

# The words of the verdict that are true of an isolated minimum; which is said depends on what can be proven.
MINIMUM = ("global minimum", "local minimum")


@dataclass(frozen=True, eq=False)
class Problem:
    """A cost of `n` parameters and what is true about it.

    `start`: shape (n,), or a float for one parameter. `minimum`: the lowest point (one of them if there are
    several), None where there is none or no closed form. `minimum_value`: the cost there, -inf when unbounded
    below.
    `words`: the words of the verdict that are true of the point a descent from `start` should reach.
    """

    name: str
    cost: Callable[[Any], Any]
    start: Any
    minimum: Any
    minimum_value: float | None
    source: str
    words: tuple[str, ...] = MINIMUM

    @property
    def n(self) -> int:
        """Number of parameters."""
        return int(np.size(self.start))


# One parameter.


def parabola(x: Any) -> Any:
    """The lesson's cost: slope 2x - 2, lowest at x = 1 where it costs 2.

    >>> parabola(1.0), parabola(3.0)
    (2.0, 6.0)
    """
    return x**2 - 2 * x + 3


def absolute(x: Any) -> Any:
    """A kink at its minimum, x = 1: one-sided slopes -1 and 1."""
    return np.abs(x - 1)


def exponential(x: Any) -> Any:
    """Falls towards 0 for ever: the infimum is not attained."""
    return np.exp(x)


def line(x: Any) -> Any:
    """Falls without limit to the left."""
    return 2 * x + 1


def staircase(x: Any) -> Any:
    """Squares of whole numbers: the derivative is zero wherever it exists."""
    return np.floor(x) ** 2


def bell(x: Any) -> Any:
    """A valley so far away that its slope has sunk below rounding where one starts."""
    return -np.exp(-(x**2))


# A few parameters.


def rosenbrock(x: Any) -> Any:
    """The curved valley, for n >= 2 parameters as a chain: lowest at (1, ..., 1), cost 0.

    Rosenbrock (1960), MGH 1 for n = 2; chained as in Toint (1978).

    >>> rosenbrock(np.array([-1.2, 1.0]))
    np.float64(24.199999999999996)
    """
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def freudenstein_roth(x: Any) -> Any:
    """Lowest at (5, 4), cost 0; a local minimum near (11.41, -0.8968), cost 48.9842. MGH 2."""
    first = -13 + x[0] + ((5 - x[1]) * x[1] - 2) * x[1]
    second = -29 + x[0] + ((x[1] + 1) * x[1] - 14) * x[1]
    return first**2 + second**2


def powell_badly_scaled(x: Any) -> Any:
    """Lowest near (1.098e-5, 9.106), cost 0. MGH 3."""
    return (1e4 * x[0] * x[1] - 1) ** 2 + (np.exp(-x[0]) + np.exp(-x[1]) - 1.0001) ** 2


def brown_badly_scaled(x: Any) -> Any:
    """Lowest at (1e6, 2e-6), cost 0. MGH 4."""
    return (x[0] - 1e6) ** 2 + (x[1] - 2e-6) ** 2 + (x[0] * x[1] - 2) ** 2


def beale(x: Any) -> Any:
    """Lowest at (3, 0.5), cost 0. MGH 5."""
    return sum((y - x[0] * (1 - x[1] ** i)) ** 2 for i, y in enumerate((1.5, 2.25, 2.625), start=1))


def helical_valley(x: Any) -> Any:
    """A valley that winds about the third axis: lowest at (1, 0, 0), cost 0. MGH 7."""
    angle = np.arctan2(x[1], x[0])
    turns = np.where(angle < -np.pi / 2, angle + 2 * np.pi, angle) / (2 * np.pi)
    return 100 * ((x[2] - 10 * turns) ** 2 + (np.sqrt(x[0] ** 2 + x[1] ** 2) - 1) ** 2) + x[2] ** 2


def powell_singular(x: Any) -> Any:
    """Lowest at 0, where the Hessian is singular: flat to third order along two directions. MGH 13."""
    return (x[0] + 10 * x[1]) ** 2 + 5 * (x[2] - x[3]) ** 2 + (x[1] - 2 * x[2]) ** 4 + 10 * (x[0] - x[3]) ** 4


def wood(x: Any) -> Any:
    """Two valleys that lean on each other: lowest at (1, 1, 1, 1), cost 0. MGH 14."""
    first = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
    second = 90 * (x[3] - x[2] ** 2) ** 2 + (1 - x[2]) ** 2
    return first + second + 10 * (x[1] + x[3] - 2) ** 2 + 0.1 * (x[1] - x[3]) ** 2


def booth(x: Any) -> Any:
    """A quadratic of two parameters: lowest at (1, 3), cost 0. Jamil & Yang (2013), 17."""
    return (x[0] + 2 * x[1] - 7) ** 2 + (2 * x[0] + x[1] - 5) ** 2


def himmelblau(x: Any) -> Any:
    """Four minima of cost 0, one of them at (3, 2). Himmelblau (1972)."""
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


def saddle(x: Any) -> Any:
    """x² - y²: slope zero at the origin, downhill both ways along y, without limit."""
    return x[0] ** 2 - x[1] ** 2


def monkey_saddle(x: Any) -> Any:
    """x³ - 3xy²: slope and curvature zero at the origin, which is no minimum."""
    return x[0] ** 3 - 3 * x[0] * x[1] ** 2


def double_well(x: Any) -> Any:
    """(x² - 1)² + y²: minima at (±1, 0), and between them a saddle on which a walk along y² ends."""
    return (x[0] ** 2 - 1) ** 2 + x[1] ** 2


def trough(x: Any) -> Any:
    """(x + y - 1)²: every point of a line is lowest."""
    return (x[0] + x[1] - 1) ** 2


# Any number of parameters.


def extended_rosenbrock(x: Any) -> Any:
    """Rosenbrock's valley in n/2 separate pairs (n even): lowest at (1, ..., 1), cost 0. MGH 21."""
    return np.sum(100 * (x[1::2] - x[::2] ** 2) ** 2 + (1 - x[::2]) ** 2)


chained_rosenbrock = rosenbrock


def variably_dimensioned(x: Any) -> Any:
    """Lowest at (1, ..., 1), cost 0; one direction far steeper than the rest. MGH 25."""
    weighted = np.arange(1, x.shape[0] + 1) @ (x - 1)
    return np.sum((x - 1) ** 2) + weighted**2 + weighted**4


def trigonometric(x: Any) -> Any:
    """Cost 0 at the origin, and local minima about it. MGH 26."""
    i = np.arange(1, x.shape[0] + 1)
    return np.sum((x.shape[0] - np.sum(np.cos(x)) + i * (1 - np.cos(x)) - np.sin(x)) ** 2)


def broyden_tridiagonal(x: Any) -> Any:
    """Each residual touches a parameter and its two neighbours; lowest cost 0. MGH 30."""
    before = np.concatenate([np.zeros(1), x[:-1]])
    after = np.concatenate([x[1:], np.zeros(1)])
    return np.sum(((3 - 2 * x) * x - before - 2 * after + 1) ** 2)


def quadratic(n: int, condition: float = 100.0) -> Problem:
    """½ (x - c)ᵀ A (x - c) with curvatures from 1 to `condition`, in directions that no axis follows.

    >>> bowl = quadratic(3, condition=1e4)
    >>> float(bowl.cost(bowl.minimum))
    0.0
    """
    curvatures = np.logspace(0.0, np.log10(condition), n)
    # A Householder reflection turns the axes: H = I - 2 u uᵀ.
    u = np.arange(1.0, n + 1)
    u /= np.linalg.norm(u)
    reflection = np.eye(n) - 2 * np.outer(u, u)
    A = reflection @ np.diag(curvatures) @ reflection
    A = (A + A.T) / 2
    centre = 1.0 + 0.1 * np.arange(n)

    def cost(x: Any) -> Any:
        return 0.5 * (x - centre) @ A @ (x - centre)

    return Problem(f"quadratic {n}, condition {condition:g}", cost, np.zeros(n), centre, 0.0, "closed form")


def logistic_regression(n: int, m: int | None = None, seed: int = 0, ridge: float = 1e-2) -> Problem:
    """Mean logistic loss over `m` generated examples (10 n unless told) plus ridge·|w|²/2: strictly convex.

    The answer has no closed form; `minimum` is None. At zero weights the cost is log 2.
    """
    rng = np.random.default_rng(seed)
    examples = rng.standard_normal((m or 10 * n, n))
    labels = np.where(examples @ rng.standard_normal(n) + rng.logistic(size=len(examples)) > 0, 1.0, -1.0)

    def cost(w: Any) -> Any:
        return np.mean(np.logaddexp(0.0, -labels * (examples @ w))) + 0.5 * ridge * np.sum(w**2)

    return Problem(f"logistic regression {n}", cost, np.zeros(n), None, None, f"generated, seed {seed}")


def _pairs(n: int) -> Vector:
    return np.tile([-1.2, 1.0], (n + 1) // 2)[:n]


# Families: number of parameters → problem.
FAMILIES: dict[str, Callable[[int], Problem]] = {
    "chained rosenbrock": lambda n: Problem(
        f"chained rosenbrock {n}", rosenbrock, _pairs(n), np.ones(n), 0.0, "Toint 1978"
    ),
    "extended rosenbrock": lambda n: Problem(
        f"extended rosenbrock {n}", extended_rosenbrock, _pairs(n), np.ones(n), 0.0, "MGH 21"
    ),
    "variably dimensioned": lambda n: Problem(
        f"variably dimensioned {n}",
        variably_dimensioned,
        1 - np.arange(1, n + 1) / n,
        np.ones(n),
        0.0,
        "MGH 25",
    ),
    "trigonometric": lambda n: Problem(
        f"trigonometric {n}", trigonometric, np.full(n, 1 / n), np.zeros(n), 0.0, "MGH 26"
    ),
    "broyden tridiagonal": lambda n: Problem(
        f"broyden tridiagonal {n}", broyden_tridiagonal, np.full(n, -1.0), None, 0.0, "MGH 30"
    ),
    "quadratic": quadratic,
    "logistic regression": logistic_regression,
}

_TABLE = (
    Problem("parabola", parabola, 3.0, 1.0, 2.0, "the lesson", ("global minimum",)),
    Problem("absolute", absolute, 3.0, 1.0, 0.0, "closed form", ("global minimum", "minimum at a kink")),
    Problem("exponential", exponential, 0.0, None, 0.0, "closed form", ("infimum not attained",)),
    Problem("line", line, 0.0, None, -np.inf, "closed form", ("unbounded below",)),
    Problem("staircase", staircase, 3.5, 0.5, 0.0, "closed form", ("no slope",)),
    Problem("bell", bell, 30.0, 0.0, -1.0, "closed form", ("plateau",)),
    Problem("rosenbrock", rosenbrock, np.array([-1.2, 1.0]), np.ones(2), 0.0, "MGH 1"),
    Problem(
        "freudenstein roth", freudenstein_roth, np.array([0.5, -2.0]), np.array([5.0, 4.0]), 0.0, "MGH 2"
    ),
    Problem(
        "powell badly scaled",
        powell_badly_scaled,
        np.array([0.0, 1.0]),
        np.array([1.0981593296998175e-05, 9.106146739866524]),
        0.0,
        "MGH 3",
    ),
    Problem("brown badly scaled", brown_badly_scaled, np.ones(2), np.array([1e6, 2e-6]), 0.0, "MGH 4"),
    Problem("beale", beale, np.ones(2), np.array([3.0, 0.5]), 0.0, "MGH 5"),
    Problem(
        "helical valley", helical_valley, np.array([-1.0, 0.0, 0.0]), np.array([1.0, 0.0, 0.0]), 0.0, "MGH 7"
    ),
    Problem(
        "powell singular",
        powell_singular,
        np.array([3.0, -1.0, 0.0, 1.0]),
        np.zeros(4),
        0.0,
        "MGH 13",
        (*MINIMUM, "flat minimum"),
    ),
    Problem("wood", wood, np.array([-3.0, -1.0, -3.0, -1.0]), np.ones(4), 0.0, "MGH 14"),
    Problem("booth", booth, np.zeros(2), np.array([1.0, 3.0]), 0.0, "Jamil & Yang 2013"),
    Problem("himmelblau", himmelblau, np.ones(2), np.array([3.0, 2.0]), 0.0, "Himmelblau 1972"),
    Problem("saddle", saddle, np.array([1.0, 0.0]), None, -np.inf, "closed form", ("unbounded below",)),
    Problem(
        "monkey saddle",
        monkey_saddle,
        np.zeros(2),
        None,
        -np.inf,
        "closed form",
        ("unbounded below", "plateau"),
    ),
    Problem("double well", double_well, np.array([0.0, 1.0]), np.array([1.0, 0.0]), 0.0, "closed form"),
    Problem(
        "trough",
        trough,
        np.zeros(2),
        np.array([0.5, 0.5]),
        0.0,
        "closed form",
        ("flat minimum", "global minimum"),
    ),
    *(family(10) for family in FAMILIES.values()),
)
PROBLEMS: dict[str, Problem] = {problem.name: problem for problem in _TABLE}
