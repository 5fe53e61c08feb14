"""Costs that are broken, each with the finding it must get and the line it must be found at; and healthy ones."""

import inspect
import itertools
import math
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

BROKEN: dict[str, "Broken"] = {}
HEALTHY: dict[str, "Healthy"] = {}
MARK = "# here"


@dataclass(frozen=True)
class Broken:
    """A cost, where to examine it, and the kind of finding due; `line`: the one that carries the mark, 0 for none."""

    cost: Any
    at: Any
    kind: str
    args: tuple = ()
    told: str = ""
    rewrite: str = ""
    more: dict = field(default_factory=dict)

    @property
    def line(self):
        source, first = inspect.getsourcelines(self.cost)
        marked = [first + k for k, text in enumerate(source) if MARK in text]
        return marked[0] if marked else 0


@dataclass(frozen=True)
class Healthy:
    cost: Any
    at: Any
    args: tuple = ()
    more: dict = field(default_factory=dict)


def broken(kind, at, *args, told="", rewrite="", **more):
    def keep(cost):
        BROKEN[f"{kind}: {cost.__name__}"] = Broken(cost, at, kind, args, told, rewrite, more)
        return cost

    return keep


def healthy(at, *args, **more):
    def keep(cost):
        HEALTHY[cost.__name__] = Healthy(cost, at, args, more)
        return cost

    return keep


T = np.linspace(0.0, 4.0, 9)
Y = 3.0 * np.exp(-0.7 * T) + 0.5
Y_WITH_GAPS = np.where(np.isin(np.arange(9), [3, 7]), np.nan, Y)
X = np.array([[1.0, 2.0], [2.0, -1.0], [-1.0, 0.5], [0.3, 0.3]])
LABELS = np.array([1.0, -1.0, 1.0, -1.0])
RNG = np.random.default_rng(0)

# ---- NaN and infinity in the value


@broken("NaN in the value", [-1.0, 2.0], told="log of -1", rewrite="bounds")
def log_of_a_negative(x):
    first = np.log(x[0])  # here
    return first**2 + x[1] ** 2


@broken("infinity in the value", [0.0, 2.0], told="log of 0")
def log_of_zero(x):
    first = np.log(x[0])  # here
    return -first + x[1] ** 2


@broken("NaN in the value", {"amplitude": 1.0, "rate": -2.0}, told="-2")
def root_of_a_negative(amplitude, rate):
    width = np.sqrt(rate)  # here
    return (amplitude - width) ** 2


@broken("infinity in the value", [800.0, 1.0], told="exp of 800", rewrite="logaddexp")
def softplus_by_hand(x):
    grown = np.exp(x)  # here
    return np.sum(np.log(1 + grown))


@broken("infinity in the value", np.array([900.0, 1.0, 2.0]), rewrite="logsumexp")
def logsumexp_by_hand(x):
    return np.log(np.sum(np.exp(x))) - x[0]  # here


@broken("infinity in the value", np.array([900.0, 1.0, 2.0]), rewrite="largest exponent")
def softmax_by_hand(x):
    grown = np.exp(x)  # here
    share = grown / np.sum(grown)
    return np.sum((share - 0.3) ** 2)


@broken("infinity in the value", [2.0, 2.0], told="quotient")
def division_by_zero(x):
    return 1.0 / (x[0] - x[1]) + x[0] ** 2  # here


@broken("NaN in the value", [-2.0, 1.5], told="power")
def fractional_power_of_a_negative(x):
    return x[0] ** 1.5 + x[1] ** 2  # here


@broken("NaN in the value", [1.5], told="arcsin")
def arcsin_outside(x):
    angle = np.arcsin(x[0])  # here
    return angle**2


@broken("NaN in the data", [1.0, 1.0], T, Y_WITH_GAPS, told="rows 3 and 7", rewrite="isfinite")
def data_with_gaps(p, t, y):
    residual = y - p[0] * np.exp(-p[1] * t)  # here
    return np.sum(residual**2)


@broken("NaN in the value", [1.0, -1.0], T, Y, told="(row ")
def log_of_a_model(p, t, y):
    model = p[0] + p[1] * t
    return np.sum((np.log(y) - np.log(model)) ** 2)  # here


@broken("infinity in the value", [1.0, -400.0], T, Y, told="(row ")
def growth_that_overflows(p, t, y):
    model = p[0] * np.exp(-p[1] * t)  # here
    return np.sum((y - model) ** 2)


# ---- a value, but no slope


@broken("NaN from an untaken branch", [0.0, 1.0], told="aside", rewrite="np.where(ok")
def untaken_root(x):
    root = np.sqrt(x)  # here
    return np.sum(np.where(x > 0, root, 0.0)) + np.sum(np.where(x > 2, root**2, x**2))


@broken("NaN from an untaken branch", [0.0, 1.0], told="log of")
def untaken_log(x):
    logarithm = np.log(x)  # here
    return np.sum(np.where(x > 0, x * logarithm, x**2)) + np.sum(np.where(x > 2, logarithm, x))


@broken("NaN from an untaken branch", [0.0], told="quotient")
def untaken_division(x):
    ratio = np.sin(x) / x  # here
    return np.sum((np.where(x != 0, ratio, 1.0) - 0.5) ** 2) + np.sum(np.where(x > 2, ratio, x))


@broken("no slope at zero", [0.0, 1.0], rewrite="1e-12")
def root_at_zero(x):
    return np.sqrt(x[0]) + x[1] ** 2  # here


@broken("no slope at zero", [0.0, 0.0], rewrite="square")
def distance_at_zero(x):
    return np.sqrt(x[0] ** 2 + x[1] ** 2)  # here


@broken("no slope at zero", [0.0, 1.0])
def power_below_one_at_zero(x):
    return x[0] ** 0.3 + x[1] ** 2  # here


@broken("no finite slope", [1.0])
def arccos_at_its_end(x):
    return np.arccos(x[0]) + x[0]  # here


# ---- slope lost


@broken("slope lost", [2.3, 1.2], told="rounding")
def rounded(x):
    whole = np.round(x)  # here
    return np.sum(whole**2)


@broken("slope lost", {"a": 1.3, "b": 2.0}, told="only floor connects a with")
def floored(a, b):
    return np.floor(a) ** 2 + (b - 1) ** 2  # here


@broken("slope lost", [0.4, 0.3], told="comparison", rewrite="smooth step")
def counted(w):
    right = (X @ w > 0) == (LABELS > 0)  # here
    return -np.mean(right)


@broken("slope lost", [2.4, 1.2], told="whole numbers")
def cast(x):
    steps = x.astype(int)  # here
    return np.sum(steps**2)


@broken("slope lost", [0.4, 0.3, 0.2], told="argmax")
def picked(x):
    best = np.argmax(x * np.array([1.0, 2.0, 3.0]))  # here
    return best * 1.0


@broken("slope lost", [0.4, 0.3], told="sign", rewrite="tanh")
def signed(x):
    return np.sum(np.sign(x - 1))  # here


# ---- parameters that do nothing


@broken("dead parameter", {"a": 1.0, "b": 2.0}, told="depends on b")
def unused(a, b):
    return (a - 1) ** 2 + 0 * b


@broken("dead parameter", [1.0, 2.0, 3.0], told="x[1] and x[2]")
def shadowed(x):
    return (x[0] - 1) ** 2


@broken("no slope here", [-1.0, 1.0], told="maximum")
def dead_unit(w):
    hidden = np.maximum(w[0] * np.arange(3.0), 0.0)  # here
    return np.sum((hidden - 1) ** 2) + (w[1] - 1) ** 2


@broken("no slope here", [5.0, 1.0], told="clip")
def clipped(x):
    return (np.clip(x[0], -1.0, 1.0) - 2) ** 2 + x[1] ** 2  # here


# ---- scales and digits


@broken("unlike scales", {"rate": 1e-7, "size": 1e5}, told="times as much")
def unlike(rate, size):
    return (rate / 1e-7 - 1.3) ** 2 * 1e-9 + (size / 1e5 - 1.3) ** 2 * 1e3


@broken("ill-conditioned", [1.0, 2.0], told="condition number")
def nearly_the_same(x):
    return (x[0] + x[1] - 4) ** 2 + 1e-11 * (x[0] - x[1] + 1) ** 2


@broken("changes drown in a constant", [1.0, 2.0], told="1e+10")
def large_constant(x):
    return 1e10 + np.sum((x - 3) ** 2)  # here


@broken("low precision", [1.0, 2.0], told="float32")
def single(x):
    short = x.astype(np.float32)  # here
    return np.sum((short - 3) ** 2)


@broken("digits cancelled", [1.0, 2.0], told="float32")
def cancelled_in_single(x):
    short = x.astype(np.float32) + np.float32(1e5)
    return np.sum((short - np.float32(100000.5)) ** 2)  # here


@broken("digits cancelled", [1e-10, 2.0], rewrite="log1p")
def log_of_nearly_one(x):
    return np.log(1 + x[0]) ** 2 + x[1] ** 2  # here


@broken("digits cancelled", [1e-10, 2.0], rewrite="expm1")
def exp_less_one(x):
    return (np.exp(x[0]) - 1) ** 2 + x[1] ** 2  # here


@broken("digits cancelled", [1e-9, 2.0], rewrite="sin(x / 2)")
def one_less_cosine(x):
    return (1 - np.cos(x[0])) + x[1] ** 2  # here


# ---- kinks, loops, random numbers, what cannot be traced


@broken("kink", [1.0, 3.0], told="abs")
def on_a_corner(x):
    return np.abs(x[0] - 1) + x[1] ** 2  # here


@broken("unrolled loop", [1.0, 2.0], rewrite="np.sum")
def looped(p):
    state = p[0]
    for k in range(300):
        state = state + 0.01 * np.sin(p[1] * state) - 0.02 * (state / 9) ** (2 + k * k % 97)  # here
    return state**2


@broken("does not repeat itself", [1.0, 2.0], told="two calls")
def by_the_clock(x):
    return np.sum((x - 1) ** 2) + time.perf_counter()


CALLS = itertools.count()


@broken("does not repeat itself", [1.0, 2.0], told="two calls")
def by_a_slow_clock(x):
    """Two calls differ by less than rounding explains, and the trace by more."""
    return np.sum((x - 1) ** 2) + 1e5 + 1e-10 * next(CALLS) + (1e-3 if type(x) is np.ndarray else 0.0)


@broken("cannot be traced", [1.0, 2.0], rewrite="Draw them once outside")
def random(x):
    return np.sum((x - 1) ** 2) + RNG.standard_normal()  # here


@broken("cannot be traced", [1.0, 2.0], rewrite="np.where")
def branching(x):
    if x[0] > 0:  # here
        return x[0] ** 2
    return x[1] ** 2


@broken("cannot be traced", [1.0, 2.0])
def through_float(x):
    return float(x[0]) ** 2 + x[1] ** 2  # here


# ---- derivatives handed in


def _valley(x):
    valley = (x[1] - x[0] ** 2) ** 2
    return 100 * valley + (1 - x[0]) ** 2


def _slope(x):
    v = x[1] - x[0] ** 2
    return np.array([-400 * x[0] * v - 2 * (1 - x[0]), 200 * v])


def _curves(x):
    return np.array([[1200 * x[0] ** 2 - 400 * x[1] + 2, -400 * x[0]], [-400 * x[0], 200.0]])


AT = [-1.2, 1.0]


@broken("wrong gradient", AT, told="the sign is wrong", jac=lambda x: -_slope(x))
def turned(x):
    return _valley(x)


@broken("wrong gradient", AT, told="factor of 2", jac=lambda x: 0.5 * _slope(x))
def halved(x):
    return _valley(x)


@broken("wrong gradient", AT, told="another order", jac=lambda x: _slope(x)[::-1])
def swapped(x):
    return _valley(x)


@broken(
    "wrong gradient", AT, told="term is missing", jac=lambda x: _slope(x) + np.array([2 * (1 - x[0]), 0.0])
)
def forgotten(x):
    valley = 100 * (x[1] - x[0] ** 2) ** 2
    return valley + (1 - x[0]) ** 2  # here


@broken("wrong gradient", AT, told="x[0] it says", jac=lambda x: _slope(x) * np.array([1.1, 1.0]))
def one_entry(x):
    return _valley(x)


@broken("wrong Hessian", AT, told="not symmetric", jac=_slope, hess=lambda x: np.triu(_curves(x)))
def half_a_hessian(x):
    return _valley(x)


@broken(
    "wrong Hessian",
    AT,
    told="x[1] and x[1]",
    jac=_slope,
    hess=lambda x: _curves(x) * np.array([[1, 1], [1, 2]]),
)
def one_curvature(x):
    return _valley(x)


# ---- healthy


@healthy([-1.2, 1.0])
def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


@healthy([1.0, 1.0])
def rosenbrock_at_its_minimum(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


@healthy(3.0)
def parabola(x):
    return x**2 - 2 * x + 3


@healthy([1.0, 1.0, 0.1], T, Y)
def exponential_fit(p, t, y):
    return np.sum((y - p[0] * np.exp(-p[1] * t) - p[2]) ** 2)


@healthy([3.0, 0.7, 0.5], T, Y)
def exponential_fit_at_its_minimum(p, t, y):
    return np.sum((y - p[0] * np.exp(-p[1] * t) - p[2]) ** 2)


@healthy({"limit": 100.0, "rate": 1.0, "middle": 5.0})
def logistic_growth(limit, rate, middle):
    model = limit / (1 + np.exp(-rate * (T - middle)))
    return np.sum((model - 10 * T) ** 2)


@healthy([0.1, -0.2])
def logistic_regression(w):
    return np.mean(np.logaddexp(0.0, -LABELS * (X @ w)))


@healthy([0.0, 0.0])
def logistic_regression_from_zero(w):
    return np.mean(np.log1p(np.exp(-LABELS * (X @ w))))


@healthy([0.5, 2.0])
def entropy(x):
    return np.sum(x * np.log(x))


@healthy([0.5, -2.0])
def safe_entropy(x):
    safe = np.where(x > 0, x, 1.0)
    return np.sum(np.where(x > 0, x * np.log(safe), 0.0)) + np.sum((x - 1) ** 2)


@healthy([5.0, -3.0])
def huber(x):
    return np.sum(np.where(np.abs(x) < 1, 0.5 * x**2, np.abs(x) - 0.5))


@healthy([0.3, -3.0])
def relu_units(x):
    return np.sum(np.maximum(x, 0.0) ** 2) + np.sum((x - 1) ** 2)


@healthy([2.0, 1.0])
def norm(x):
    return np.linalg.norm(x - np.array([0.5, 0.3]))


@healthy([2.0, 1.0])
def lasso(x):
    return np.sum((x - 1.2) ** 2) + 0.1 * np.sum(np.abs(x))


@healthy([0.7, -0.4])
def periodic(x):
    return np.sum(np.sin(x) ** 2 + 0.1 * x**2)


@healthy([0.7, 3.4])
def sawtooth(x):
    return np.sum((x - np.floor(x) - 0.3) ** 2)


@healthy(np.array([[1.0, 2.0], [0.5, 1.0]]))
def matrix(a):
    return np.sum((a @ a.T - np.eye(2)) ** 2) + np.trace(a)


@healthy({"weights": np.array([0.1, 0.2]), "bias": 0.3})
def nested(p):
    return np.mean((X @ p["weights"] + p["bias"] - LABELS) ** 2)


@healthy([1.0, 2.0])
def loop_that_is_rolled_up_again(p):
    total = 0.0
    for k in range(600):
        total = total + (p[0] * np.cos(0.01 * k) - p[1]) ** 2
    return total


@healthy([1.0, 2.0, 3.0])
def loop_of_three(x):
    return sum((x[k] - k) ** 2 for k in range(3))


@healthy([0.1] * 20)
def chain(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@healthy([1.0, 2.0])
def small_offset(x):
    return 5.0 + np.sum((x - 3) ** 2)


@healthy([3.0, 3.0])
def small_offset_at_its_minimum(x):
    return 5.0 + np.sum((x - 3) ** 2)


@healthy([1.0, 1.0, 1.0])
def quartic_at_its_minimum(x):
    return np.sum((x - 1) ** 4)


@healthy([2.0, 0.5])
def gaussian_likelihood(p):
    return np.sum(0.5 * ((Y - p[0]) / p[1]) ** 2 + np.log(p[1]))


@healthy([0.2, 0.3])
def clipped_inside(x):
    return np.sum((np.clip(x, -1, 1) - 0.5) ** 2)


@healthy([1.0, 2.0])
def division(x):
    return (x[0] / x[1] - 1) ** 2 + (x[1] - 1) ** 2


@healthy([1e3, 1e-3])
def scaled_apart(x):
    return (x[0] / 1e3 - 1.5) ** 2 + (x[1] / 1e-3 - 1.5) ** 2


@healthy([0.3, 0.2])
def interpolated(x):
    return (np.interp(x[0], T, Y) - 1) ** 2 + x[1] ** 2


@healthy([1.5, 2.0])
def maximum_of_smooth(x):
    return np.maximum(x[0] ** 2 + x[1], x[1] ** 2 - x[0])


@healthy([1.0, 2.0])
def through_math(x):
    return math.exp(x[0]) + x[1] ** 2


@healthy([0.5])
def bessel_like(x):
    return np.sum(np.cos(3 * x) * np.exp(-x))


@healthy(np.linspace(0.1, 1.0, 10))
def cumulative(x):
    return np.sum((np.cumsum(x) - 1) ** 2)


@healthy([-1.2, 1.0], jac=_slope, hess=_curves)
def right_derivatives(x):
    return _valley(x)


def _differences(x):
    return np.array([(_valley(x + 1e-7 * e) - _valley(x - 1e-7 * e)) / 2e-7 for e in np.eye(2)])


@healthy([-1.2, 1.0], jac=_differences)
def derivatives_by_differences(x):
    return _valley(x)


@broken("no slope here", [60.0, 1.0], told="tanh has saturated at 1")
def saturated_tanh(p):
    squashed = np.tanh(p[0])  # here
    return (squashed - 0.5) ** 2 + p[1] ** 2


@broken("digits cancelled", [1.0], told="added and taken off again")
def large_number_added_and_taken_off(p):
    shifted = 1e12 + p[0] * T
    return np.sum((shifted - 1e12) ** 2)  # here


@broken("slope lost", [0.3, 0.2])
def share_of_right_answers(p):
    right = np.mean(p[0] * T + p[1] > 1)  # here
    return 1 - right


@healthy([1.0, 2.0])
def large_constant_offset(p):
    return 1e6 + np.sum((p - 3) ** 2)


@healthy([0.3, 0.4])
def barriers(p):
    return -np.log(p[0]) - np.log(p[1]) - np.log(1 - p[0] - p[1])


# ---- matrices


@broken("NaN in the value", [1.0, 2.0], told="not positive definite", rewrite="identity")
def factor_of_an_indefinite_matrix(x):
    A = np.array([[x[0], x[1]], [x[1], x[0]]])
    return np.sum(np.linalg.cholesky(A) ** 2)  # here


@broken("NaN in the value", [1.0, 1.0], told="singular")
def equations_without_a_solution(x):
    return np.sum(np.linalg.solve(np.outer(x, x), np.ones(2)))  # here


@broken("no finite slope", [1.0, 1.0], told="two eigenvalues are equal")
def vectors_of_equal_eigenvalues(x):
    _, vectors = np.linalg.eigh(np.diag(x))  # here
    return vectors[0, 0] + x[0]


@broken("digits cancelled", [1.0, 2.0], told="16 of 16 digits", rewrite="np.var")
def mean_square_less_squared_mean(x):
    moved = 1e8 + x
    return np.mean(moved**2) - np.mean(moved) ** 2  # here


@broken("digits cancelled", [1e-6, 1.0], told="1 - cos(x)", rewrite="np.sin")
def cosine_from_one(x):
    return (1 - np.cos(x[0])) / x[0] ** 2 + x[1] ** 2  # here


@healthy([1.0, 2.0])
def linear_equations(x):
    return np.sum(np.linalg.solve(3 * np.eye(2) + np.outer(x, x), np.ones(2)))


@healthy([1.0, 2.0])
def inverse(x):
    return np.sum(np.linalg.inv(3 * np.eye(2) + np.outer(x, x)))


@healthy([1.0, 2.0])
def log_determinant_by_its_factor(x):
    return np.sum(np.log(np.diag(np.linalg.cholesky(3 * np.eye(2) + np.outer(x, x)))))


@healthy([1.0, 2.0, 4.0])
def variance(x):
    return np.var(1e8 + x)


@healthy([1.0, 1.0])
def difference_of_equals(x):
    return (np.cos(x[0]) - np.cos(x[1])) ** 2


@healthy([1.0, 2.0])
def sum_of_equal_eigenvalues(x):
    return np.sum(np.linalg.eigvalsh(np.diag(np.concatenate([x, x]))) ** 2)
