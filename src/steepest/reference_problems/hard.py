"""Costs on which optimisers say the wrong word: saddles, plateaus, kinks, tails, scales, wrong gradients.

Each row says where a walk begins and which words of the verdict are true of what can be found from there. `right`
tells whether a claim of success at a point would be true, whoever makes it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .costs import MINIMUM

Vector = np.ndarray

# A claim of success is true where no more than this part of the whole fall is left to gain.
LEFT = 1e-6

FLAT = ("flat minimum",)
KINK = ("minimum at a kink",)


@dataclass(frozen=True, eq=False)
class Hard:
    """A cost whose truth is known.

    `start`: shape (n,). `words`: the words that are true of where a walk from there should end. `values`: the
    cost at the minima it may end in; empty where there is no minimum. `bounds`: pairs, None for none. `jac`: a
    gradient handed in, possibly wrong. `derivatives`: "numeric" for a cost that is not to be traced. `repeats`:
    whether two calls give the same.
    """

    name: str
    group: str
    cost: Callable[[Any], Any]
    start: tuple[float, ...]
    words: tuple[str, ...]
    values: tuple[float, ...] = ()
    bounds: tuple[tuple[float | None, float | None], ...] | None = None
    jac: Callable[[Any], Any] | None = None
    derivatives: str = "auto"
    repeats: bool = True
    budget: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def x0(self) -> Vector:
        """The start, shape (n,), a fresh array."""
        return np.array(self.start, dtype=np.float64)

    @property
    def has_minimum(self) -> bool:
        """Whether there is a point of which success may be claimed."""
        return bool(self.values)

    def right(self, x: Any) -> bool:
        """Whether success at `x` would be true: hardly anything is left down to one of the minima."""
        here, start = float(self.cost(np.array(x, dtype=np.float64))), float(self.cost(self.x0))
        if not np.isfinite(here):
            return False
        for lowest in self.values:
            fall = abs(start - lowest) if np.isfinite(start) and start != lowest else max(abs(lowest), 1.0)
            if abs(here - lowest) <= LEFT * fall + 1e-13 * abs(lowest):
                return True
        return False


def _rotation(n: int) -> np.ndarray:
    """A Householder reflection: an orthogonal matrix that no axis survives."""
    u = np.arange(1.0, n + 1)
    u /= np.linalg.norm(u)
    return np.eye(n) - 2 * np.outer(u, u)


def _ill_conditioned(n: int, condition: float) -> Callable[[Any], Any]:
    Q = _rotation(n)
    A = (Q * np.logspace(0, np.log10(condition), n)) @ Q
    A = (A + A.T) / 2
    return lambda x: 0.5 * (x - 1) @ A @ (x - 1)


def _rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def _rosenbrock_gradient(x: Vector) -> Vector:
    valley = x[1] - x[0] ** 2
    return np.array([-400 * x[0] * valley - 2 * (1 - x[0]), 200 * valley])


_MATRIX = np.array([[3.0, 1.0, 0.5], [-1.0, 2.0, 0.0], [0.2, 0.0, 1.0]])
_TARGET = np.array([1.0, -2.0, 0.5])


def _linear_fit(x: Any) -> Any:
    return np.sum((_MATRIX @ x - _TARGET) ** 2)


_FEATURES = np.array([[-2.0, 1.0], [-1.0, -1.0], [1.0, 0.5], [2.0, -1.5], [0.5, 2.0], [-0.3, -2.0]])
_SEPARABLE = np.array([-1.0, -1.0, 1.0, 1.0, 1.0, -1.0])
_MIXED = np.array([-1.0, 1.0, 1.0, -1.0, 1.0, -1.0])
# The lowest mean loss for the mixed labels, by Newton's method in 50-digit arithmetic.
_MIXED_LOSS = 0.5589305009673170


def _logistic(labels: Vector) -> Callable[[Any], Any]:
    return lambda w: np.mean(np.logaddexp(0.0, -labels * (_FEATURES @ w)))


_SAMPLE = np.array([1.0, 2.0, 3.0, 4.0, 10.0])


def _quantile(x: Any) -> Any:
    return np.sum(np.where(x[0] < _SAMPLE, 0.7 * (_SAMPLE - x[0]), 0.3 * (x[0] - _SAMPLE)))


class _Trembling:
    """A parabola whose value trembles: the same at the same point, different at the next number."""

    def __call__(self, x: Vector) -> float:
        bits = zlib.crc32(np.asarray(x, dtype=np.float64).tobytes())
        return float(np.sum((np.asarray(x) - 1) ** 2) + 1e-6 * (bits / 2**32 - 0.5))


class _Random:
    """A parabola with fresh random numbers at every call."""

    def __init__(self, size: float, seed: int = 0) -> None:
        self.size = size
        self.generator = np.random.default_rng(seed)

    def __call__(self, x: Vector) -> float:
        return float(np.sum((np.asarray(x) - 1) ** 2) + self.size * self.generator.standard_normal())


def _single(x: Any) -> Any:
    residual = x.astype(np.float32) - np.float32(1.0)
    return np.sum(residual * residual)


def _bumpy_valley(x: Any) -> Any:
    return (x[0] ** 2 + x[1] ** 2 - 1) ** 2 * (1 + 0.1 * x[0])


def _turned_saddle(x: Any) -> Any:
    y = _TURN @ x
    return np.sum(y[:-1] ** 2) - y[-1] ** 2 + 0.25 * y[-1] ** 4


def _two_bells(p: Any) -> Any:
    """Minus the log-likelihood of the sample under two normal distributions in equal parts, deviations in log scale."""
    narrow = np.exp(-0.5 * ((_SAMPLE - p[0]) * np.exp(-p[1])) ** 2 - p[1])
    wide = np.exp(-0.5 * ((_SAMPLE - p[2]) * np.exp(-p[3])) ** 2 - p[3])
    return -np.sum(np.log(0.5 * narrow + 0.5 * wide))


def _stepped_decay(p: Any) -> Any:
    """Euler's steps of y' = b - a·y against the data of a known pair, which it can follow exactly."""
    y, a = 1.0, 0.9516
    t, cost = 1.0, 0.0
    for _ in range(20):
        y = y + 0.1 * (p[1] - p[0] * y)
        t = t + 0.1 * (0.5 - a * t)
        cost = cost + (y - t) ** 2
    return cost


_TURN = _rotation(50)
_E = float(np.exp(-1.0))

_TABLE: tuple[Hard, ...] = (
    # the slope is zero, and it is no minimum
    Hard("saddle by symmetry", "saddle", lambda x: x[0] ** 2 - x[1] ** 2, (1.0, 0.0), ("unbounded below",)),
    Hard("saddle, bounded", "saddle", lambda x: x[0] ** 2 - x[1] ** 2 + x[1] ** 4, (1.0, 0.0), MINIMUM, (-0.25,)),
    Hard("start on a saddle", "saddle", lambda x: x[0] * x[1] + 0.25 * (x[0] ** 4 + x[1] ** 4), (0.0, 0.0),
         MINIMUM, (-0.5,)),
    Hard("double well from between", "saddle", lambda x: (x[0] ** 2 - 1) ** 2 + x[1] ** 2, (0.0, 3.0), MINIMUM, (0.0,)),
    Hard("saddle in unlike units", "saddle",
         lambda x: (x[0] / 1e-6) ** 2 - (x[1] / 1e6) ** 2 + (x[1] / 1e6) ** 4, (1e-6, 0.0), MINIMUM, (-0.25,)),
    Hard("weak saddle", "saddle", lambda x: x[0] ** 2 - 1e-7 * x[1] ** 2 + 1e-7 * x[1] ** 4, (1.0, 0.0),
         MINIMUM, (-0.25e-7,)),
    Hard("saddle in ten dimensions", "saddle",
         lambda x: np.sum(x[:9] ** 2) - x[9] ** 2 + 0.5 * x[9] ** 4, (1.0,) * 9 + (0.0,), MINIMUM, (-0.5,)),
    Hard("monkey saddle", "saddle", lambda x: x[0] ** 3 - 3 * x[0] * x[1] ** 2, (0.0, 0.0), ("unbounded below",)),
    Hard("inflection", "saddle", lambda x: x[0] ** 3, (0.0,), ("unbounded below",)),
    Hard("start on a maximum", "saddle", lambda x: np.cos(x[0]), (0.0,), MINIMUM, (-1.0,)),
    Hard("start on a maximum of two", "saddle", lambda x: np.cos(x[0]) + np.cos(2 * x[1]), (0.0, 0.0),
         MINIMUM, (-2.0,)),
    Hard("maximum in a box", "saddle", lambda x: -np.sum((x - 0.3) ** 2), (0.3, 0.3),
         MINIMUM, (-0.98, -0.58, -0.18), ((0, 1), (0, 1))),
    Hard("kink upwards", "saddle", lambda x: x[0] ** 2 - np.abs(x[0]), (0.0,), MINIMUM, (-0.25,)),
    # nothing tells which way is down
    Hard("plateau far off", "plateau", lambda x: 1 - np.exp(-((x[0] - 30) ** 2)), (0.0,), ("plateau",)),
    Hard("plateau of two", "plateau", lambda x: -np.exp(-np.sum((x - 40) ** 2)), (0.0, 0.0), ("plateau",)),
    Hard("plateau with some slope left", "plateau", lambda x: 1 - np.exp(-((x[0] - 30) ** 2)), (21.0,),
         ("plateau", *MINIMUM), (0.0,)),
    Hard("saturated sigmoid", "plateau", lambda x: 1 / (1 + np.exp(x[0] - 60)) - 1 / (1 + np.exp(x[0] - 20)) + 1,
         (200.0,), ("plateau", "infimum not attained")),
    Hard("bell seen from near", "plateau", lambda x: 1 - np.exp(-((x[0] - 3) ** 2)), (0.5,), MINIMUM, (0.0,)),
    # no minimum
    Hard("line", "no minimum", lambda x: 3 * x[0] - x[1], (0.0, 0.0), ("unbounded below",)),
    Hard("cubic", "no minimum", lambda x: x[0] ** 3 + x[0], (1.0,), ("unbounded below",)),
    Hard("minus logarithm", "no minimum", lambda x: -np.log(x[0]), (1.0,), ("unbounded below",),
         bounds=((1e-9, None),)),
    Hard("falls along a diagonal", "no minimum", lambda x: (x[0] - x[1]) ** 2 - x[0] - x[1], (0.0, 0.0),
         ("unbounded below",)),
    Hard("exponential", "no minimum", lambda x: np.exp(x[0]), (0.0,), ("infimum not attained",)),
    Hard("exponential above an offset", "no minimum", lambda x: 7 + np.exp(-x[0]) + (x[1] - 1) ** 2, (0.0, 0.0),
         ("infimum not attained",)),
    Hard("reciprocal", "no minimum", lambda x: 1 / x[0], (1.0,), ("infimum not attained",), bounds=((1e-3, None),)),
    Hard("arc tangent", "no minimum", lambda x: np.arctan(x[0]), (0.0,), ("infimum not attained",)),
    Hard("softplus", "no minimum", lambda x: np.logaddexp(0.0, x[0] + x[1]), (0.0, 0.0), ("infimum not attained",)),
    Hard("logistic, separable", "no minimum", _logistic(_SEPARABLE), (0.0, 0.0), ("infimum not attained",)),
    Hard("falls slowly", "no minimum", lambda x: 1 / np.sqrt(1 + x[0] ** 2), (0.5,), ("infimum not attained",)),
    # flat
    Hard("valley of a sum", "flat", lambda x: (x[0] + x[1] - 1) ** 2, (3.0, 1.0), FLAT, (0.0,)),
    Hard("circle", "flat", lambda x: (x[0] ** 2 + x[1] ** 2 - 1) ** 2, (2.0, 1.0), FLAT, (0.0,)),
    Hard("circle, weighted", "flat", _bumpy_valley, (2.0, 1.0), FLAT, (0.0,)),
    Hard("dead parameter", "flat", lambda x: (x[0] - 1) ** 2 + 0 * x[1], (3.0, 2.0), FLAT, (0.0,)),
    Hard("only the ratio counts", "flat", lambda x: (x[0] / x[1] - 2) ** 2, (1.0, 1.0), FLAT, (0.0,)),
    Hard("only the product counts", "flat", lambda x: (x[0] * x[1] - 1) ** 2 + (x[2] - 2) ** 2, (2.0, 2.0, 0.0),
         FLAT, (0.0,)),
    Hard("flat bottom", "flat", lambda x: np.maximum(np.abs(x[0]) - 1, 0.0) ** 2, (4.0,),
         (*FLAT, *MINIMUM), (0.0,)),
    Hard("more parameters than data", "flat", lambda x: np.sum((_FEATURES[:2].T @ x[:2] + x[2] - 1) ** 2),
         (0.0, 0.0, 0.0), FLAT, (0.0,)),
    # kinks
    Hard("absolute value", "kink", lambda x: np.abs(x[0] - 1 / 3), (3.0,), KINK, (0.0,)),
    Hard("sum of absolute values", "kink", lambda x: np.sum(np.abs(x - _TARGET)), (3.0, 3.0, 3.0), KINK, (0.0,)),
    Hard("norm", "kink", lambda x: np.sqrt(np.sum((x - 1) ** 2)), (3.0, -1.0), KINK, (0.0,)),
    Hard("largest of three", "kink",
         lambda x: np.maximum(np.maximum(x[0] + x[1], x[1] - x[0]), -x[1]), (1.0, 0.7), KINK, (0.0,)),
    Hard("lasso", "kink", lambda x: (x[0] - 0.1) ** 2 + np.abs(x[0]) + (x[1] - 1) ** 2 + 0.1 * np.abs(x[1]),
         (1.0, 3.0), KINK, (0.01 + 0.05**2 + 0.1 * 0.95,)),
    Hard("quantile", "kink", _quantile, (7.3,), KINK, (float(_quantile(np.array([4.0]))),)),
    Hard("relu against a line", "kink", lambda x: 2 * np.maximum(x[0] - 1, 0.0) - x[0], (3.0,), KINK, (-1.0,)),
    Hard("parabola with a kink", "kink", lambda x: (x[0] - 1) ** 2 + 0.5 * np.abs(x[0] - 1), (4.0,), KINK, (0.0,)),
    Hard("huber is smooth", "kink",
         lambda x: np.where(np.abs(x[0] - 1) < 1, 0.5 * (x[0] - 1) ** 2, np.abs(x[0] - 1) - 0.5), (5.0,),
         MINIMUM, (0.0,)),
    Hard("root at its edge", "kink", lambda x: np.sqrt(x[0]) + (x[1] - 1) ** 2, (1.0, 0.0),
         (*MINIMUM, "minimum at a kink"), (0.0,), ((0, None), (None, None))),
    # no slope
    Hard("rounding", "no slope", lambda x: np.sum(np.round(x) ** 2), (2.3, 1.2), ("no slope",)),
    Hard("counting", "no slope", lambda x: np.sum(np.where(x[0] < _SAMPLE, 1.0, 0.0)), (2.5,), ("no slope",)),
    Hard("staircase beside a square", "no slope", lambda x: np.floor(x[0]) ** 2 + (x[1] - 1) ** 2, (2.3, 0.0),
         ("no slope",)),
    Hard("sign", "no slope", lambda x: np.sign(x[0] - 1) + np.sign(x[1] + 1), (2.3, 0.4), ("no slope",)),
    # a derivative that is wrong
    Hard("gradient with its sign turned", "wrong gradient", _rosenbrock, (-1.2, 1.0), ("wrong gradient",),
         (0.0,), jac=lambda x: -_rosenbrock_gradient(x)),
    Hard("gradient without the factor 2", "wrong gradient", _linear_fit, (0.0, 0.0, 0.0), ("wrong gradient",),
         (0.0,), jac=lambda x: _MATRIX.T @ (_MATRIX @ x - _TARGET)),
    Hard("gradient with a term missing", "wrong gradient", _rosenbrock, (-1.2, 1.0), ("wrong gradient",), (0.0,),
         jac=lambda x: np.array([-400 * x[0] * (x[1] - x[0] ** 2), 200 * (x[1] - x[0] ** 2)])),
    Hard("gradient in the wrong order", "wrong gradient", _rosenbrock, (-1.2, 1.0), ("wrong gradient",), (0.0,),
         jac=lambda x: _rosenbrock_gradient(x)[::-1]),
    Hard("gradient by the matrix not transposed", "wrong gradient", _linear_fit, (0.0, 0.0, 0.0),
         ("wrong gradient",), (0.0,), jac=lambda x: 2 * _MATRIX @ (_MATRIX @ x - _TARGET)),
    Hard("gradient that is right", "wrong gradient", _rosenbrock, (-1.2, 1.0), MINIMUM, (0.0,),
         jac=_rosenbrock_gradient),
    # scales
    Hard("parameters of 1e-15", "scale", lambda x: (x[0] / 1e-15 - 1) ** 2, (5e-15,), MINIMUM, (0.0,)),
    Hard("parameters of 1e15", "scale", lambda x: (x[0] / 1e15 - 1) ** 2, (5e15,), MINIMUM, (0.0,)),
    Hard("cost of 1e-15", "scale", lambda x: 1e-15 * ((x[0] - 1) ** 2 + (x[1] - 2) ** 4), (3.0, 3.0), MINIMUM, (0.0,)),
    Hard("cost of 1e15", "scale", lambda x: 1e15 * _rosenbrock(x), (-1.2, 1.0), MINIMUM, (0.0,)),
    Hard("units 1e24 apart", "scale", lambda x: (x[0] / 1e-12 - 1) ** 2 + (x[1] / 1e12 - 1) ** 2, (3e-12, 4e12),
         MINIMUM, (0.0,)),
    Hard("badly scaled rosenbrock", "scale",
         lambda x: 100 * (x[1] / 1e6 - (x[0] / 1e-4) ** 2) ** 2 + (1 - x[0] / 1e-4) ** 2, (-1.2e-4, 1e6), MINIMUM,
         (0.0,)),
    Hard("conditioning 1e8", "scale", _ill_conditioned(6, 1e8), (0.0,) * 6, MINIMUM, (0.0,)),
    Hard("conditioning 1e12", "scale", _ill_conditioned(4, 1e12), (0.0,) * 4, MINIMUM, (0.0,)),
    Hard("large offset", "scale", lambda x: 1e10 + (x[0] - 1) ** 2, (3.0,), MINIMUM, (1e10,)),
    Hard("large offset, rosenbrock", "scale", lambda x: 1e6 + _rosenbrock(x), (-1.2, 1.0), MINIMUM, (1e6,)),
    Hard("single precision inside", "scale", _single, (3.0, -2.0), MINIMUM, (0.0,)),
    # minima without curvature
    Hard("quartic", "quartic", lambda x: x[0] ** 4, (3.0,), (*MINIMUM, *FLAT), (0.0,)),
    Hard("quartic of five", "quartic", lambda x: np.sum((x - 1) ** 4), (3.0, 2.0, 0.0, -1.0, 5.0), MINIMUM, (0.0,)),
    Hard("sextic beside a square", "quartic", lambda x: x[0] ** 6 + (x[1] - 1) ** 2, (2.0, 0.0), MINIMUM, (0.0,)),
    Hard("powell singular", "quartic",
         lambda x: (x[0] + 10 * x[1]) ** 2 + 5 * (x[2] - x[3]) ** 2 + (x[1] - 2 * x[2]) ** 4
         + 10 * (x[0] - x[3]) ** 4, (3.0, -1.0, 0.0, 1.0), (*MINIMUM, *FLAT), (0.0,)),
    Hard("quartic, not convex", "quartic", lambda x: x[0] ** 4 * np.cos(x[0] / 10), (2.0,), MINIMUM, (0.0,)),
    # where the cost has no value
    Hard("wall of NaN", "not finite", lambda x: -np.sqrt(1 - x[0] ** 2) + (x[0] - 0.3) ** 2, (0.9,), MINIMUM,
         (-0.9697986737069195,)),
    Hard("barrier", "not finite", lambda x: x[0] - np.log(x[0]) - 1e-3 * np.log(2 - x[0]), (1.9,), MINIMUM,
         (0.9999995008312564,)),
    Hard("NaN at the start", "not finite", lambda x: np.log(x[0]) ** 2, (-1.0,), MINIMUM, (0.0,)),
    Hard("overflow at the start", "not finite", lambda x: np.exp(x[0] ** 2), (50.0,), MINIMUM, (1.0,)),
    # noise
    Hard("trembling", "noise", _Trembling(), (3.0, -2.0), ("noise floor",), (-5e-7,), derivatives="numeric"),
    Hard("random numbers", "noise", _Random(1e-3), (3.0, -2.0), ("noise floor",), (0.0,), derivatives="numeric",
         repeats=False),
    Hard("many random numbers", "noise", _Random(0.3), (30.0, -20.0), ("noise floor",), (0.0,),
         derivatives="numeric", repeats=False),
    # bounds
    Hard("bound active", "bounds", lambda x: np.sum((x - 2) ** 2), (0.5, 0.5), MINIMUM, (1.0,), ((0, 1), (0, 5))),
    Hard("bound touching", "bounds", lambda x: np.sum((x - 2) ** 2), (0.5, 0.5), MINIMUM, (0.0,), ((0, 2), (0, 5))),
    Hard("bound active at the start", "bounds", lambda x: np.sum((x - 2) ** 2), (0.0, 0.0), MINIMUM, (1.0,),
         ((0, 1), (0, 5))),
    Hard("every bound active", "bounds", lambda x: np.sum(x) + x[0] * x[1], (0.5, 0.5), MINIMUM, (0.0,),
         ((0, 1), (0, 1))),
    Hard("bound weakly active", "bounds", lambda x: x[0] ** 2 + (x[1] - 1) ** 4, (1.0, 3.0), MINIMUM, (0.0,),
         ((0, 2), (0, 5))),
    Hard("saddle held by its bound", "bounds", lambda x: x[0] ** 2 - x[1] ** 2, (0.5, 0.5), MINIMUM,
         (-1.0,), ((-1, 1), (-1, 1))),
    Hard("start on a maximum at a bound", "bounds", lambda x: -(x[0] ** 2), (0.0,), MINIMUM, (-1.0,), ((0, 1),)),
    Hard("rosenbrock outside its box", "bounds", _rosenbrock, (0.0, 0.0), MINIMUM, (0.25,), ((-1, 0.5), (-1, 2))),
    # that an alarm would be false for
    Hard("logistic, mixed labels", "plain", _logistic(_MIXED), (0.0, 0.0), MINIMUM, (_MIXED_LOSS,)),
    Hard("rosenbrock", "plain", _rosenbrock, (-1.2, 1.0), MINIMUM, (0.0,)),
    Hard("x log x", "plain", lambda x: x[0] * np.log(x[0]), (2.0,), MINIMUM, (-_E,), ((1e-9, None),)),
    Hard("log of cosh", "plain", lambda x: np.log(np.cosh(x[0] - 1)), (4.0,), MINIMUM, (0.0,)),
    Hard("out of budget", "plain", _rosenbrock, (-1.2, 1.0, -1.2, 1.0), ("out of budget",), (0.0,), budget=4),
    # what the first list did not ask
    Hard("saddle in fifty dimensions, turned", "saddle", _turned_saddle, (0.0,) * 50, MINIMUM, (-1.0,)),
    Hard("quartic saddle", "saddle", lambda x: x[0] ** 4 - x[1] ** 4, (0.0, 0.0), ("unbounded below",)),
    Hard("quartic saddle, bounded", "saddle", lambda x: x[0] ** 4 - x[1] ** 4 + x[1] ** 6, (1.0, 0.0), MINIMUM,
         (-4 / 27,)),
    Hard("product of three", "saddle", lambda x: x[0] * x[1] * x[2] + 0.25 * np.sum(x**4), (0.0,) * 3, MINIMUM,
         (-0.25,)),
    Hard("product of six factors", "saddle", lambda x: (np.prod(x) - 1) ** 2, (0.0,) * 6, FLAT, (0.0,)),
    Hard("monkey saddle, shifted and confined", "saddle",
         lambda x: (x[0] - 1.3) ** 3 - 3 * (x[0] - 1.3) * (x[1] + 0.7) ** 2
         + ((x[0] - 1.3) ** 2 + (x[1] + 0.7) ** 2) ** 2, (1.3, -0.7), MINIMUM, (-27 / 256,)),
    Hard("Peano's surface, confined", "saddle",
         lambda x: (x[1] - x[0] ** 2) * (x[1] - 3 * x[0] ** 2) + x[0] ** 6, (0.0, 0.0), MINIMUM, (-4 / 27,)),
    Hard("corner where no bound pushes", "saddle", lambda x: -x[0] * x[1], (0.0, 0.0), MINIMUM, (-1.0,),
         ((0, 1), (0, 1))),
    Hard("saturated both ways", "plateau", lambda x: (np.tanh(x[0]) - 0.5) ** 2, (50.0,), ("plateau",)),
    Hard("plateau beside a bowl", "plateau", lambda x: (x[1] - 1) ** 2 + 1 - np.exp(-((x[0] - 40) ** 2)), (0.0, 0.0),
         ("plateau", "global minimum"), (0.0,)),
    Hard("bent valley without an end", "no minimum", lambda x: (x[1] - np.sin(x[0])) ** 2 - 1e-3 * x[0], (0.0, 0.0),
         ("unbounded below",)),
    Hard("bent valley, logarithm", "no minimum", lambda x: (x[1] - x[0] ** 2) ** 2 - np.log(1 + x[0] ** 2), (0.5, 0.0),
         ("unbounded below",)),
    Hard("bent valley, exponential", "no minimum", lambda x: (x[1] - x[0] ** 2) ** 2 + np.exp(-x[0]), (0.0, 0.0),
         ("infimum not attained",)),
    Hard("hyperbola", "no minimum", lambda x: (1 - x[0] * x[1]) ** 2 + x[0] ** 2, (1.0, 1.0),
         ("infimum not attained",)),
    Hard("pole of a logarithm", "no minimum", lambda x: np.log(np.sum((x - 1) ** 2)), (0.0,) * 3, ("unbounded below",)),
    Hard("pole of a reciprocal", "no minimum", lambda x: 1 / (x[0] - 2), (1.0,), ("unbounded below",)),
    Hard("variance that collapses", "no minimum", lambda p: np.log(p[1]) + 0.5 * ((3.0 - p[0]) / p[1]) ** 2, (1.0, 1.0),
         ("unbounded below",), bounds=((None, None), (0, None))),
    Hard("bell upside down", "no minimum", lambda x: np.exp(-np.sum(x**2)), (0.0,) * 3, ("infimum not attained",)),
    Hard("reciprocal of a square", "no minimum", lambda x: 1 / (1 + np.sum(x**2)), (1.0,) * 4,
         ("infimum not attained",)),
    Hard("saturating fraction", "no minimum", lambda x: -(x[0] ** 2) / (1 + x[0] ** 2), (0.5,),
         ("infimum not attained",)),
    Hard("bends down by a part in 1e15", "no minimum",
         lambda x: x[0] ** 2 - 2 * x[0] * x[1] + (1 - 1e-15) * x[1] ** 2, (1.0, 2.0), ("unbounded below",)),
    Hard("circle of quartic minima", "flat", lambda x: (x[0] ** 2 + x[1] ** 2 - 1) ** 4, (2.0, 1.0), FLAT, (0.0,)),
    Hard("torus", "flat", lambda x: (np.sqrt((np.sqrt(x[0] ** 2 + x[1] ** 2) - 2) ** 2 + x[2] ** 2) - 0.5) ** 2,
         (3.0, 1.0, 1.0), FLAT, (0.0,)),
    Hard("Rayleigh's quotient", "flat", lambda x: (np.arange(1.0, 7.0) * x) @ x / (x @ x), (1.0,) * 6, FLAT, (1.0,)),
    Hard("circle, measured slopes", "flat", lambda x: float((x[0] ** 2 + x[1] ** 2 - 1) ** 2), (2.0, 1.0), FLAT, (0.0,),
         derivatives="numeric"),
    Hard("larger of two, measured slopes", "kink", lambda x: float(max(x[0], -2 * x[0])), (3.0,), KINK, (0.0,),
         derivatives="numeric"),
    Hard("kink with its slope handed in", "kink", lambda x: np.sum(np.abs(x - 1)), (0.0,) * 3, KINK, (0.0,),
         jac=lambda x: np.sign(x - 1)),
    Hard("a side without a value", "kink", lambda x: np.sqrt(x[0]) - 0.1 * x[0] + x[1] ** 2, (4.0, 1.0), KINK, (0.0,)),
    Hard("gradient that is a little too large", "wrong gradient", _rosenbrock, (-1.2, 1.0), ("wrong gradient",), (0.0,),
         jac=lambda x: 1.01 * _rosenbrock_gradient(x)),
    Hard("single precision, rosenbrock", "scale", lambda x: _rosenbrock(x.astype(np.float32)), (-1.2, 1.0), MINIMUM,
         (0.0,)),
    Hard("cube held by its bound", "bounds", lambda x: x[0] ** 3 + x[1] ** 2, (1.0, 1.0), MINIMUM, (0.0,),
         ((0, 1), (None, None))),
    # what the second list did not ask
    Hard("deviation that collapses, log scale", "no minimum",
         lambda p: p[1] + 0.5 * ((3.0 - p[0]) * np.exp(-p[1])) ** 2, (1.0, 0.0), ("unbounded below",)),
    Hard("variance that collapses, log scale", "no minimum",
         lambda p: 0.5 * p[1] + 0.5 * (0.3 - p[0]) ** 2 * np.exp(-p[1]), (0.1, 2.0), ("unbounded below",)),
    Hard("deviation that collapses, double exponential", "no minimum",
         lambda p: p[1] + np.abs(0.3 - p[0]) * np.exp(-p[1]), (0.1, 0.0), ("unbounded below",)),
    Hard("deviation that collapses, softplus", "no minimum",
         lambda p: np.log(np.logaddexp(0, p[1])) + 0.5 * ((3.0 - p[0]) / np.logaddexp(0, p[1])) ** 2, (0.1, 0.0),
         ("unbounded below",)),
    Hard("line through two points, their deviation as well", "no minimum",
         lambda p: np.sum(p[2] + 0.5 * ((np.array([1.3, 3.7]) - p[0] - p[1] * np.array([0.1, 0.7]))
                                        * np.exp(-p[2])) ** 2), (0.0, 0.0, 0.0), ("unbounded below",)),
    Hard("two bells, one collapses onto a datum", "no minimum", _two_bells, (3.0, -2.0, 1.0, 0.0),
         ("unbounded below", "plateau", "local minimum"), (6.618744833600780677532416,)),  # 40 digits, by mpmath
    Hard("deviation held by a bound", "bounds", lambda p: p[1] + 0.5 * ((3.0 - p[0]) * np.exp(-p[1])) ** 2, (1.0, 0.0),
         MINIMUM, (-5.0,), ((None, None), (-5, None))),
    Hard("cusp", "kink", lambda x: np.sqrt(np.abs(x[0] - 1)) + x[1] ** 2, (3.0, 1.0), KINK, (0.0,)),
    Hard("clipped where it is level", "plateau", lambda x: np.sum((np.clip(x, -1, 1) - 0.3) ** 2), (4.0, 5.0),
         ("plateau",)),
    Hard("twenty steps of a decay, from an unstable rate", "plain", _stepped_decay, (30.0, 1.0), MINIMUM, (0.0,)),
    Hard("fifty circles", "flat", lambda x: np.sum((x[::2] ** 2 + x[1::2] ** 2 - 1) ** 2), (2.0, 1.0) * 50, FLAT,
         (0.0,)),
    Hard("a hundred products", "flat", lambda x: np.sum((x[::2] * x[1::2] - 1) ** 2),
         tuple(np.linspace(1.0, 2.0, 200).tolist()), FLAT, (0.0,)),
)  # fmt: skip

HARD: dict[str, Hard] = {problem.name: problem for problem in _TABLE}
