"""What an operation makes of intervals: a rule for each primitive, whose result holds every value there can be.

Every result is widened outwards past its rounding, so that the true values lie within. An interval is a pair of arrays,
lowest and highest, of shape (boxes, *shape of the variable); constants have one box.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

from ..numerics import EPS

Array = np.ndarray
Interval = tuple[Array, Array]

# NumPy's elementary functions are right to a few units in the last place; four times as many are allowed for.
FUNCTION_ROUNDING = 8 * EPS

# Where log Γ is lowest between its pole at zero and infinity, and how low it is there (OEIS A030169 and A030171).
LOWEST_OF_LGAMMA = 1.4616321449683623, -0.12148629053584961

# Beyond this place erfc is too small to be held with all its digits; and a number above what it is there, 2.2109e-307.
LAST_OF_ERFC = 26.5, 2.3e-307


class NoInterval(Exception):
    """The cost holds an operation that no interval rule is known for; the message names it."""


def constant(value: Any) -> Interval:
    """A value that is the same in every box."""
    array = np.asarray(value, dtype=np.float64)[None]
    # What is not a number may be anything.
    return np.where(np.isnan(array), -np.inf, array), np.where(np.isnan(array), np.inf, array)


def outwards(low: Array, high: Array) -> Interval:
    """One unit outwards: enough for what is rounded correctly."""
    return np.nextafter(low, -np.inf), np.nextafter(high, np.inf)


def _out_sum(low: Array, high: Array) -> Interval:
    """The same for sums and differences: one that is zero is exactly so."""
    return np.where(low == 0.0, 0.0, np.nextafter(low, -np.inf)), np.where(
        high == 0.0, 0.0, np.nextafter(high, np.inf)
    )


def _from_zero(a: Interval, found: Interval) -> Interval:
    """Of a function that is zero at zero, an end there is exact."""
    return np.where(a[0] == 0.0, 0.0, found[0]), np.where(a[1] == 0.0, 0.0, found[1])


def _is_zero(a: Interval) -> Array:
    return np.asarray((a[0] == 0.0) & (a[1] == 0.0))


def _is_finite(a: Interval) -> Array:
    return np.asarray(np.isfinite(a[0]) & np.isfinite(a[1]))


def _wide(low: Array, high: Array) -> Interval:
    """As far outwards as an elementary function may err."""
    return outwards(low - FUNCTION_ROUNDING * np.abs(low), high + FUNCTION_ROUNDING * np.abs(high))


def _product(a: Interval, b: Interval) -> Interval:
    ends = [x * y for x in a for y in b]
    ends = [
        np.where(np.isnan(end), 0.0, end) for end in ends
    ]  # zero times infinity: zero is what the other end is
    low = np.minimum(np.minimum(ends[0], ends[1]), np.minimum(ends[2], ends[3]))
    high = np.maximum(np.maximum(ends[0], ends[1]), np.maximum(ends[2], ends[3]))
    low, high = outwards(low, high)
    nothing = (_is_zero(a) & _is_finite(b)) | (_is_zero(b) & _is_finite(a))
    return np.where(nothing, 0.0, low), np.where(nothing, 0.0, high)


def _inverse(a: Interval) -> Interval:
    low, high = a
    crosses = (low <= 0.0) & (high >= 0.0)
    return outwards(np.where(crosses, -np.inf, 1.0 / high), np.where(crosses, np.inf, 1.0 / low))


def _power(a: Interval, k: int) -> Interval:
    if k < 0:
        return _inverse(_power(a, -k))
    if k == 0:
        return np.ones_like(a[0]), np.ones_like(a[1])
    low, high = a[0] ** k, a[1] ** k
    if k % 2 == 0:
        low, high = np.minimum(low, high), np.maximum(low, high)
        low = np.where((a[0] <= 0.0) & (a[1] >= 0.0), 0.0, low)
        found = _wide(low, high)
        nothing = _is_zero(a)
        return np.maximum(found[0], 0.0), np.where(nothing, 0.0, found[1])
    return _from_zero(a, _wide(low, high))


def _pow(equation: Any, a: Interval, b: Interval) -> Interval:
    exponent = b[0].reshape(-1)
    if (
        exponent.size == 1
        and np.array_equal(*b)
        and float(exponent[0]).is_integer()
        and abs(exponent[0]) < 64
    ):
        return _power(a, int(exponent[0]))
    # exp(b·log a), where a is positive; elsewhere nothing is known.
    found = _exponential(_product(b, _logarithm(a)))
    return np.where(a[0] > 0.0, found[0], -np.inf), np.where(a[0] > 0.0, found[1], np.inf)


def _exponential(a: Interval) -> Interval:
    low, high = _wide(np.exp(a[0]), np.exp(a[1]))
    return np.maximum(low, 0.0), high


def _logarithm(a: Interval) -> Interval:
    low, high = _wide(np.log(np.maximum(a[0], 0.0)), np.log(np.maximum(a[1], 0.0)))
    # The logarithm errs absolutely next to one.
    return low - FUNCTION_ROUNDING, high + FUNCTION_ROUNDING


def _rising(function: Callable[[Array], Array], lowest: float = -np.inf, highest: float = np.inf) -> Any:
    with np.errstate(invalid="ignore"):
        through_zero = function(np.zeros(1))[0] == 0.0

    def rule(equation: Any, a: Interval) -> Interval:
        low, high = _wide(function(a[0]), function(a[1]))
        low, high = np.maximum(low, lowest), np.minimum(high, highest)
        return _from_zero(a, (low, high)) if through_zero else (low, high)

    return rule


def _falling(function: Callable[[Array], Array], lowest: float = -np.inf, highest: float = np.inf) -> Any:
    def rule(equation: Any, a: Interval) -> Interval:
        low, high = _wide(function(a[1]), function(a[0]))
        return np.maximum(low, lowest), np.minimum(high, highest)

    return rule


def _logistic(x: Array) -> Array:
    """1/(1 + exp(-x)), also where exp(-x) is too large to be held."""
    rest = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0.0, rest, 1.0) / (1.0 + rest))


def _complement(equation: Any, a: Interval) -> Interval:
    """erfc falls; as x² is rounded inside exp(-x²), it errs by x² times as much, in parts of itself."""
    low, high = scipy.special.erfc(a[1]), scipy.special.erfc(a[0])
    low = low - EPS * np.where(a[1] > 0.0, np.square(a[1]), 0.0) * low
    high = high + EPS * np.where(a[0] > 0.0, np.square(a[0]), 0.0) * high
    last, at_last = LAST_OF_ERFC
    low, high = _wide(np.where(a[1] > last, 0.0, low), np.where(a[0] > last, at_last, high))
    return np.maximum(low, 0.0), np.minimum(high, 2.0)


def _log_gamma(equation: Any, a: Interval) -> Interval:
    """Falls to its lowest place and rises from there; below zero it has a pole at every whole number."""
    place, least = LOWEST_OF_LGAMMA
    ends = scipy.special.gammaln(a[0]), scipy.special.gammaln(a[1])
    low, high = _wide(np.minimum(*ends), np.maximum(*ends))
    low = np.where((a[0] <= place) & (a[1] >= place), least, low)
    # Next to its zeros at one and two it errs absolutely.
    low, high = low - FUNCTION_ROUNDING, high + FUNCTION_ROUNDING
    return np.where(a[0] > 0.0, low, -np.inf), np.where(a[0] > 0.0, high, np.inf)


def _digamma(equation: Any, a: Interval) -> Interval:
    low, high = _wide(scipy.special.digamma(a[0]), scipy.special.digamma(a[1]))
    low, high = low - FUNCTION_ROUNDING, high + FUNCTION_ROUNDING
    return np.where(a[0] > 0.0, low, -np.inf), np.where(a[0] > 0.0, high, np.inf)


def _polygamma(equation: Any, order: Interval, a: Interval) -> Interval:
    """Derivatives of the digamma function: of one sign and ever smaller in size where the argument is positive."""
    k = np.unique(order[0])
    if k.size != 1 or not np.array_equal(*order) or k[0] < 1:
        nothing = np.full(a[0].shape, np.inf)
        return -nothing, nothing
    sign = 1.0 if k[0] % 2 else -1.0
    ends = (scipy.special.polygamma(int(k[0]), np.maximum(side, 0.0)) for side in a)
    low, high = (sign * end for end in ends)
    # Falls from infinity for odd orders, and rises from minus infinity for even ones, in either case towards zero.
    low, high = _wide(16 * EPS * -np.abs(high) + high, low + 16 * EPS * np.abs(low))
    low, high = np.maximum(low, 0.0), np.where(np.isnan(high), np.inf, high)
    if sign < 0.0:
        low, high = -high, -low
    return np.where(a[0] > 0.0, low, -np.inf), np.where(a[0] > 0.0, high, np.inf)


def _angle(equation: Any, y: Interval, x: Interval) -> Interval:
    """arctan2: largest and smallest at corners of a box that holds neither the origin nor the cut to its left."""
    corners = [np.arctan2(a, b) for a in y for b in x]
    low, high = _wide(np.minimum.reduce(corners), np.maximum.reduce(corners))
    cut = (x[0] <= 0.0) & (y[0] <= 0.0) & (y[1] >= 0.0)
    return np.where(cut, -4.0, low), np.where(cut, 4.0, high)


def _remainder(equation: Any, a: Interval, b: Interval) -> Interval:
    """The rest has the sign of what is divided; between two multiples of one divisor it is a straight line."""
    largest = np.maximum(np.abs(b[0]), np.abs(b[1]))
    low, high = np.where(a[0] < 0.0, -largest, 0.0), np.where(a[1] > 0.0, largest, 0.0)
    one_piece = in_one_piece(a, b)
    # The rest of a division is computed without any rounding.
    return (
        np.where(one_piece, np.fmod(a[0], largest), low),
        np.where(one_piece, np.fmod(a[1], largest), high),
    )


def in_one_piece(a: Interval, b: Interval) -> Array:
    """Whether a / b lies between two whole numbers, for one divisor b: there the rest does not jump."""
    largest = np.maximum(np.abs(b[0]), np.abs(b[1]))
    slack = 4 * EPS * (1.0 + np.maximum(np.abs(a[0]), np.abs(a[1])) / largest)
    turns = a[0] / largest, a[1] / largest
    one_piece = (b[0] == b[1]) & (largest > 0.0) & (np.trunc(turns[0] - slack) == np.trunc(turns[0] + slack))
    one_piece &= (np.trunc(turns[0]) == np.trunc(turns[1] - slack)) & (
        np.trunc(turns[0]) == np.trunc(turns[1] + slack)
    )
    return np.asarray(one_piece | ((a[0] == a[1]) & (b[0] == b[1])))


def _rounded(equation: Any, a: Interval) -> Interval:
    """To the nearest whole number; which way halves go makes no difference to bounds that are widened by none."""
    return np.ceil(a[0] - 0.5), np.floor(a[1] + 0.5)


def _running_sum(equation: Any, a: Interval) -> Interval:
    axis, backwards = equation.params["axis"] + 1, equation.params["reverse"]

    def summed(values: Array) -> Array:
        values = np.flip(values, axis) if backwards else values
        total = np.cumsum(values, axis=axis)
        return np.flip(total, axis) if backwards else total

    count = a[0].shape[axis]
    low, high = (
        summed(side) + sign * count * EPS * summed(np.abs(side))
        for side, sign in zip(a, (-1.0, 1.0), strict=True)
    )
    return outwards(low, high)


def _running(function: Any) -> Any:
    """Largest or smallest so far: of the lower ends and of the upper ones."""

    def rule(equation: Any, a: Interval) -> Interval:
        axis, backwards = equation.params["axis"] + 1, equation.params["reverse"]
        low, high = (
            np.flip(function.accumulate(np.flip(side, axis), axis=axis), axis)
            if backwards
            else function.accumulate(side, axis=axis)
            for side in a
        )
        return low, high

    return rule


def _cosine(a: Interval, shift: float) -> Interval:
    """cos(a - shift·π/2): where a highest or lowest place may lie within, it counts as within."""
    low, high = a
    function = np.cos if shift == 0.0 else np.sin
    ends = function(low), function(high)
    found = _wide(np.minimum(*ends), np.maximum(*ends))
    # Highest at 2kπ + shift·π/2, lowest half a turn on; both ends of the count are widened past its rounding.
    turns_low, turns_high = low / (2 * np.pi) - shift / 4, high / (2 * np.pi) - shift / 4
    slack = 4 * EPS * (1.0 + np.maximum(np.abs(turns_low), np.abs(turns_high)))
    far = ~(np.maximum(np.abs(turns_low), np.abs(turns_high)) < 1e12)
    top = np.floor(turns_high + slack) >= np.ceil(turns_low - slack)
    bottom = np.floor(turns_high - 0.5 + slack) >= np.ceil(turns_low - 0.5 - slack)
    return (
        np.where(bottom | far, -1.0, np.maximum(found[0], -1.0)),
        np.where(top | far, 1.0, np.minimum(found[1], 1.0)),
    )


def _tangent(equation: Any, a: Interval) -> Interval:
    slack = 1e-12 * (1.0 + np.maximum(np.abs(a[0]), np.abs(a[1])))
    same = np.floor(a[0] / np.pi + 0.5 - slack) == np.floor(a[1] / np.pi + 0.5 + slack)
    low, high = _wide(np.tan(a[0]), np.tan(a[1]))
    return np.where(same, low, -np.inf), np.where(same, high, np.inf)


def _even(function: Callable[[Array], Array], lowest: float) -> Any:
    """A function that rises away from zero on both sides, from `lowest`."""

    def rule(equation: Any, a: Interval) -> Interval:
        near = np.where((a[0] <= 0.0) & (a[1] >= 0.0), 0.0, np.minimum(np.abs(a[0]), np.abs(a[1])))
        far = np.maximum(np.abs(a[0]), np.abs(a[1]))
        low, high = _wide(function(near), function(far))
        return np.maximum(low, lowest), np.where(far == 0.0, lowest, high)

    return rule


def _sum(equation: Any, a: Interval) -> Interval:
    axes = tuple(axis + 1 for axis in equation.params["axes"])
    count = math.prod(a[0].shape[axis] for axis in axes)
    low, high = a[0].sum(axis=axes), a[1].sum(axis=axes)
    # Whatever the order, a sum of `count` terms errs by less than this (Higham, "Accuracy and Stability", eq. 4.4).
    size = np.abs(a[0]).sum(axis=axes), np.abs(a[1]).sum(axis=axes)
    found = outwards(low - count * EPS * size[0], high + count * EPS * size[1])
    return np.where(size[0] == 0.0, 0.0, found[0]), np.where(size[1] == 0.0, 0.0, found[1])


def _dot(equation: Any, a: Interval, b: Interval) -> Interval:
    (contract_a, contract_b), (batch_a, batch_b) = equation.params["dimension_numbers"]

    def arranged(
        interval: Interval, batch: Any, contract: Any, first: bool
    ) -> tuple[Interval, tuple[int, ...]]:
        shape = interval[0].shape[1:]
        rest = [i for i in range(len(shape)) if i not in (*batch, *contract)]
        order = [*batch, *rest, *contract] if first else [*batch, *contract, *rest]
        sizes = [math.prod(shape[i] for i in group) for group in (batch, rest, contract)]
        new = (sizes[0], sizes[1], sizes[2]) if first else (sizes[0], sizes[2], sizes[1])
        moved = tuple(
            side.transpose(0, *(i + 1 for i in order)).reshape(len(side), *new) for side in interval
        )
        return (moved[0], moved[1]), tuple(shape[i] for i in rest)

    A, rest_a = arranged(a, batch_a, contract_a, True)
    B, rest_b = arranged(b, batch_b, contract_b, False)
    shape = tuple(a[0].shape[1:][i] for i in batch_a) + rest_a + rest_b
    for known, other, first in ((A, B, True), (B, A, False)):
        if known[0] is known[1] or np.array_equal(*known):
            found = _by_known_matrix(known[0], other, first)
            if found is not None:
                low, high = (side.reshape(len(side), *shape) for side in found)
                return outwards(low, high)
    terms = _product(
        (A[0][..., :, :, None], A[1][..., :, :, None]), (B[0][..., None, :, :], B[1][..., None, :, :])
    )
    count = terms[0].shape[3]
    low = terms[0].sum(axis=3) - count * EPS * np.abs(terms[0]).sum(axis=3)
    high = terms[1].sum(axis=3) + count * EPS * np.abs(terms[1]).sum(axis=3)
    return outwards(low.reshape(len(low), *shape), high.reshape(len(high), *shape))


def _by_known_matrix(M: Array, other: Interval, first: bool) -> Interval | None:
    """A product with a matrix of numbers: its positive entries take the same ends, its negative ones the others.

    None where something is infinite, which zero entries would turn into no number.
    """
    if not (np.isfinite(M).all() and np.isfinite(other[0]).all() and np.isfinite(other[1]).all()):
        return None
    up, down = np.maximum(M, 0.0), np.minimum(M, 0.0)
    times = (lambda A, B: A @ B) if first else (lambda A, B: B @ A)
    low = times(up, other[0]) + times(down, other[1])
    high = times(up, other[1]) + times(down, other[0])
    count = M.shape[-1] if first else M.shape[-2]
    error = (count + 2) * EPS * times(np.abs(M), np.maximum(np.abs(other[0]), np.abs(other[1])))
    return low - error, high + error


def _products(equation: Any, a: Interval) -> Interval:
    axes = tuple(axis + 1 for axis in equation.params["axes"])
    rest = [i for i in range(1, a[0].ndim) if i not in axes]
    sides = [side.transpose(0, *rest, *axes) for side in a]
    shape = sides[0].shape[: 1 + len(rest)]
    low, high = (side.reshape(*shape, -1) for side in sides)
    total = np.ones(shape), np.ones(shape)
    for k in range(low.shape[-1]):
        total = _product(total, (low[..., k], high[..., k]))
    return total


def _compared(certain: Callable[..., Array], possible: Callable[..., Array]) -> Any:
    """A comparison: [1, 1] where it holds for all values, [0, 0] for none, [0, 1] where it depends."""

    def rule(equation: Any, a: Interval, b: Interval) -> Interval:
        return certain(a, b).astype(np.float64), possible(a, b).astype(np.float64)

    return rule


def _chosen(equation: Any, which: Interval, *cases: Interval) -> Interval:
    """Each case that may be chosen, and all of them where several may."""
    shape = np.broadcast_shapes(*(case[0].shape[1:] for case in cases))
    low, high = np.full((1, *shape), np.inf), np.full((1, *shape), -np.inf)
    for k, case in enumerate(cases):
        may = (which[0] <= k) & (k <= which[1])
        low = np.minimum(low, np.where(may, case[0], np.inf))
        high = np.maximum(high, np.where(may, case[1], -np.inf))
    return low, high


def _converted(equation: Any, a: Interval) -> Interval:
    new, old = np.dtype(equation.params["new_dtype"]), equation.invars[0].aval.dtype
    if new.kind == "b" and old.kind != "b":
        return _differ(equation, a, (np.zeros_like(a[0]), np.zeros_like(a[1])))
    if new == np.float64 or new.kind == "b" or (old.kind in "bi" and new.kind in "iu"):
        return a
    if new.kind == "f":
        raise NoInterval(f"the cost computes in {new}, and intervals in double precision")
    raise NoInterval(f"the cost turns numbers into {new}")


def _not_a_number(a: Interval) -> Interval:
    """Whether something differs from itself: never, where it has a value and that is finite."""
    return np.zeros_like(a[0]), (~(np.isfinite(a[0]) & np.isfinite(a[1]))).astype(np.float64)


# Whether two numbers differ.
_differ = _compared(
    lambda a, b: (a[0] > b[1]) | (b[0] > a[1]),
    lambda a, b: ~((a[0] == a[1]) & (b[0] == b[1]) & (a[0] == b[0])),
)


def _divided(equation: Any, a: Interval, b: Interval) -> Interval:
    low, high = _product(a, _inverse(b))
    crosses = (b[0] <= 0.0) & (b[1] >= 0.0)
    return np.where(crosses, -np.inf, low), np.where(crosses, np.inf, high)


# One row for each operation: equation, intervals → interval.
RULES: dict[str, Callable[..., Interval]] = {
    "add": lambda e, a, b: _out_sum(a[0] + b[0], a[1] + b[1]),
    "add_any": lambda e, a, b: _out_sum(a[0] + b[0], a[1] + b[1]),
    "sub": lambda e, a, b: _out_sum(a[0] - b[1], a[1] - b[0]),
    "mul": lambda e, a, b: _power(a, 2) if e.invars[0] is e.invars[1] else _product(a, b),
    "div": _divided,
    "neg": lambda e, a: (-a[1], -a[0]),
    "integer_pow": lambda e, a: _power(a, e.params["y"]),
    "square": lambda e, a: _power(a, 2),
    "pow": _pow,
    "sqrt": lambda e, a: _from_zero(a, _wide(np.sqrt(np.maximum(a[0], 0.0)), np.sqrt(np.maximum(a[1], 0.0)))),
    "rsqrt": lambda e, a: _inverse(_wide(np.sqrt(np.maximum(a[0], 0.0)), np.sqrt(np.maximum(a[1], 0.0)))),
    "cbrt": _rising(np.cbrt),
    "exp": lambda e, a: _exponential(a),
    "exp2": _rising(np.exp2, 0.0),
    "expm1": _rising(np.expm1, -1.0),
    "log": lambda e, a: _logarithm(a),
    "log1p": _rising(np.log1p),
    "tanh": _rising(np.tanh, -1.0, 1.0),
    "atan": _rising(np.arctan),
    "asinh": _rising(np.arcsinh),
    "sinh": _rising(np.sinh),
    "logistic": _rising(_logistic, 0.0, 1.0),
    "cosh": _even(np.cosh, 1.0),
    "acosh": _rising(np.arccosh, 0.0),
    "atanh": _rising(np.arctanh),
    "asin": _rising(np.arcsin),
    "acos": _falling(np.arccos, 0.0),
    "atan2": _angle,
    "erf": _rising(scipy.special.erf, -1.0, 1.0),
    "erfc": _complement,
    "lgamma": _log_gamma,
    "digamma": _digamma,
    "polygamma": _polygamma,
    "sin": lambda e, a: _cosine(a, 1.0),
    "cos": lambda e, a: _cosine(a, 0.0),
    "tan": _tangent,
    "abs": _even(np.abs, 0.0),
    "max": lambda e, a, b: (np.maximum(a[0], b[0]), np.maximum(a[1], b[1])),
    "min": lambda e, a, b: (np.minimum(a[0], b[0]), np.minimum(a[1], b[1])),
    "sign": lambda e, a: (np.sign(a[0]), np.sign(a[1])),
    "floor": lambda e, a: (np.floor(a[0]), np.floor(a[1])),
    "ceil": lambda e, a: (np.ceil(a[0]), np.ceil(a[1])),
    "round": _rounded,
    "rem": _remainder,
    "stop_gradient": lambda e, a: a,
    "reduce_sum": _sum,
    "reduce_max": lambda e, a: tuple(s.max(axis=tuple(i + 1 for i in e.params["axes"])) for s in a),
    "reduce_min": lambda e, a: tuple(s.min(axis=tuple(i + 1 for i in e.params["axes"])) for s in a),
    "reduce_prod": _products,
    "reduce_and": lambda e, a: tuple(s.min(axis=tuple(i + 1 for i in e.params["axes"])) for s in a),
    "reduce_or": lambda e, a: tuple(s.max(axis=tuple(i + 1 for i in e.params["axes"])) for s in a),
    # The k-th smallest rises with each of the elements.
    "sort": lambda e, a: (np.sort(a[0], axis=e.params["dimension"] + 1), np.sort(a[1], axis=e.params["dimension"] + 1)),
    "cumsum": _running_sum,
    "cummax": _running(np.maximum),
    "cummin": _running(np.minimum),
    "dot_general": _dot,
    "clamp": lambda e, low, a, high: tuple(
        np.minimum(np.maximum(a[k], low[k]), high[k]) for k in (0, 1)
    ),
    "lt": _compared(lambda a, b: a[1] < b[0], lambda a, b: a[0] < b[1]),
    "le": _compared(lambda a, b: a[1] <= b[0], lambda a, b: a[0] <= b[1]),
    "gt": _compared(lambda a, b: a[0] > b[1], lambda a, b: a[1] > b[0]),
    "ge": _compared(lambda a, b: a[0] >= b[1], lambda a, b: a[1] >= b[0]),
    "eq": _compared(
        lambda a, b: (a[0] == a[1]) & (b[0] == b[1]) & (a[0] == b[0]), lambda a, b: (a[0] <= b[1]) & (b[0] <= a[1])
    ),
    "ne": lambda e, a, b: _not_a_number(a) if e.invars[0] is e.invars[1] else _differ(e, a, b),
    "is_finite": lambda e, a: (
        (np.isfinite(a[0]) & np.isfinite(a[1])).astype(np.float64),
        (~((a[0] == np.inf) | (a[1] == -np.inf))).astype(np.float64),
    ),
    "and": lambda e, a, b: (np.minimum(a[0], b[0]), np.minimum(a[1], b[1])),
    "or": lambda e, a, b: (np.maximum(a[0], b[0]), np.maximum(a[1], b[1])),
    "not": lambda e, a: (1.0 - a[1], 1.0 - a[0]),
    "select_n": _chosen,
    "convert_element_type": _converted,
}  # fmt: skip
