"""Between which numbers does each variable lie? Intervals, from the bounds of the parameters onwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .reading import LISTED_ELEMENTS, MOVING, PICKING, Reading, moved

# Lowest and highest value, each a float for all elements, or an array of the variable's shape.
Interval = tuple[Any, Any]

EVERYTHING: Interval = (-np.inf, np.inf)

# Rising functions: an interval's ends go to the ends. The tail says what the results can never leave.
RISING: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    "exp": (np.exp, 0.0, np.inf), "exp2": (np.exp2, 0.0, np.inf), "expm1": (np.expm1, -1.0, np.inf),
    "log": (np.log, -np.inf, np.inf), "log1p": (np.log1p, -np.inf, np.inf),
    "sqrt": (np.sqrt, 0.0, np.inf), "cbrt": (np.cbrt, -np.inf, np.inf),
    "tanh": (np.tanh, -1.0, 1.0), "atan": (np.arctan, -np.pi / 2, np.pi / 2),
    "asinh": (np.arcsinh, -np.inf, np.inf), "sinh": (np.sinh, -np.inf, np.inf),
    "floor": (np.floor, -np.inf, np.inf), "ceil": (np.ceil, -np.inf, np.inf),
    "round": (np.round, -np.inf, np.inf), "sign": (np.sign, -1.0, 1.0),
}  # fmt: skip

# Functions that stay between two numbers whatever they are given.
CONFINED: dict[str, Interval] = {
    "sin": (-1.0, 1.0), "cos": (-1.0, 1.0), "logistic": (0.0, 1.0), "erf": (-1.0, 1.0), "erfc": (0.0, 2.0),
    "acos": (0.0, np.pi), "asin": (-np.pi / 2, np.pi / 2), "acosh": (0.0, np.inf), "cosh": (1.0, np.inf),
    "is_finite": (0.0, 1.0), "eq": (0.0, 1.0), "ne": (0.0, 1.0), "lt": (0.0, 1.0), "le": (0.0, 1.0),
    "gt": (0.0, 1.0), "ge": (0.0, 1.0), "bessel_i0e": (0.0, 1.0),
}  # fmt: skip


def ranges(reading: Reading, lower: Any = None, upper: Any = None) -> dict[Any, Interval]:
    """An interval for every variable that depends on the parameters, given the bounds `lower`, `upper` (n,)."""
    found: dict[Any, Interval] = {reading.x: _tidy(lower, upper, reading.x.aval)}

    def of(atom: Any) -> Interval:
        return found[atom] if reading.depends(atom) else constant_range(reading, atom)

    with np.errstate(all="ignore"):
        for equation in reading.equations:
            if equation.outvars[0] not in reading.varies:
                continue
            for position, var in enumerate(equation.outvars):
                known = position == 0 and var.aval.dtype.kind != "c"  # complex numbers lie between none
                found[var] = _range(equation, of, reading) if known else EVERYTHING
    return found


def constant_range(reading: Reading, atom: Any) -> Interval:
    """The interval of a constant: itself where it is small enough to list."""
    value = reading.constant(atom)
    if value is None:
        return EVERYTHING
    if isinstance(value, (float, int)):
        return value, value
    value = np.asarray(value)
    if value.dtype.kind not in "biuf" or value.size == 0:
        return EVERYTHING
    if value.size > LISTED_ELEMENTS:
        return float(value.min()), float(value.max())
    low, high = float(value.min()), float(value.max())
    if np.isnan(low):
        return EVERYTHING
    return (low, high) if low == high else (value.astype(np.float64),) * 2


def _tidy(lower: Any, upper: Any, aval: Any) -> Interval:
    if lower is None or upper is None:
        return EVERYTHING
    if not (np.isfinite(lower).any() or np.isfinite(upper).any()):
        return EVERYTHING
    if aval.size > LISTED_ELEMENTS:
        return float(np.min(lower)), float(np.max(upper))
    return np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)


def hull(interval: Interval) -> tuple[float, float]:
    """The smallest plain interval that holds all elements."""
    low, high = interval
    low = low if isinstance(low, float) else float(np.min(low, initial=np.inf))
    high = high if isinstance(high, float) else float(np.max(high, initial=-np.inf))
    return low, high


def _range(equation: Any, of: Any, reading: Reading) -> Interval:
    name = equation.primitive.name
    atoms = equation.invars
    rule = _RULES.get(name)
    if rule is not None:
        low, high = rule(equation, *(of(atom) for atom in atoms))
    elif name in RISING:
        function, floor, ceiling = RISING[name]
        a, b = of(atoms[0])
        low, high = np.maximum(function(a), floor), np.minimum(function(b), ceiling)
        low, high = _or_else(low, floor), _or_else(high, ceiling)
    elif name in CONFINED:
        return CONFINED[name]
    elif name in MOVING or name in PICKING:
        return _moved(equation, of, reading)
    elif name == "concatenate":
        return _joined(equation, [of(atom) for atom in atoms])
    else:
        return EVERYTHING
    return _or_else(low, -np.inf), _or_else(high, np.inf)


def _or_else(value: Any, instead: float) -> Any:
    """`value` with NaN, where nothing is known, replaced."""
    if isinstance(value, float):
        return instead if value != value else value
    value = np.where(np.isnan(value), instead, value)
    return float(value) if value.ndim == 0 else value


def _moved(equation: Any, of: Any, reading: Reading) -> Interval:
    interval = of(equation.invars[0])
    if equation.primitive.name == "convert_element_type" and equation.outvars[0].aval.dtype.kind != "f":
        low, high = hull(interval)
        return float(np.floor(low)), float(np.ceil(high))
    if isinstance(interval[0], float) and isinstance(interval[1], float):
        fill = equation.params.get("fill_value", 0.0) if equation.primitive.name == "gather" else 0.0
        return interval if fill is None or equation.primitive.name != "gather" or fill == 0.0 else EVERYTHING
    if equation.primitive.name in ("convert_element_type", "reduce_precision", "stop_gradient", "copy"):
        return interval
    rest = [reading.constant(atom) if not reading.depends(atom) else None for atom in equation.invars[1:]]
    if any(value is None for value in rest):
        return hull(interval)
    shape = equation.invars[0].aval.shape
    ends = [moved(equation, [np.broadcast_to(end, shape), *rest]) for end in interval]
    if ends[0] is None or ends[1] is None:
        return hull(interval)
    bottom, top = (np.asarray(end, dtype=np.float64) for end in ends)
    return (bottom, top) if bottom.ndim else (float(bottom), float(top))


def _joined(equation: Any, intervals: list[Interval]) -> Interval:
    axis = equation.params["dimension"]
    if equation.outvars[0].aval.size > LISTED_ELEMENTS:
        plain = [hull(interval) for interval in intervals]
        return min(low for low, _ in plain), max(high for _, high in plain)
    shapes = [atom.aval.shape for atom in equation.invars]
    ends = [
        np.concatenate(
            [np.broadcast_to(pair[k], shape) for pair, shape in zip(intervals, shapes, strict=True)], axis
        )
        for k in (0, 1)
    ]
    return ends[0], ends[1]


def _add(equation: Any, a: Interval, b: Interval) -> Interval:
    return a[0] + b[0], a[1] + b[1]


def _sub(equation: Any, a: Interval, b: Interval) -> Interval:
    return a[0] - b[1], a[1] - b[0]


def _neg(equation: Any, a: Interval) -> Interval:
    return -a[1], -a[0]


def _times(p: Any, q: Any) -> Any:
    """p·q with 0·∞ = 0, as the ends of intervals need it."""
    product = np.multiply(p, q)
    return np.where((np.equal(p, 0.0)) | (np.equal(q, 0.0)), 0.0, product)


def _mul(equation: Any, a: Interval, b: Interval) -> Interval:
    if equation.invars[0] is equation.invars[1]:
        return _square(equation, a)
    corners = [_times(p, q) for p in a for q in b]
    return np.minimum.reduce(np.broadcast_arrays(*corners)), np.maximum.reduce(np.broadcast_arrays(*corners))


def _div(equation: Any, a: Interval, b: Interval) -> Interval:
    low, high = hull(b)
    if low <= 0.0 <= high:
        if low == 0.0 and hull(a)[0] >= 0.0:
            return 0.0, np.inf
        return EVERYTHING
    return _mul_plain(a, (1.0 / np.asarray(b[1]), 1.0 / np.asarray(b[0])))


def _mul_plain(a: Interval, b: Interval) -> Interval:
    corners = np.broadcast_arrays(*[_times(p, q) for p in a for q in b])
    return np.minimum.reduce(corners), np.maximum.reduce(corners)


def _square(equation: Any, a: Interval) -> Interval:
    low, high = np.square(a[0]), np.square(a[1])
    inside = np.less_equal(a[0], 0.0) & np.greater_equal(a[1], 0.0)
    return np.where(inside, 0.0, np.minimum(low, high)), np.maximum(low, high)


def _integer_pow(equation: Any, a: Interval) -> Interval:
    power = equation.params["y"]
    if power > 0 and power % 2:
        return np.power(a[0], power), np.power(a[1], power)
    if power > 0:
        low, high = _square(equation, a)
        return np.power(low, power / 2), np.power(high, power / 2)
    low, high = hull(a)
    if power < 0 and low >= 0.0:
        return (0.0 if high == np.inf else high**power), (np.inf if low == 0.0 else low**power)
    return (0.0, np.inf) if power % 2 == 0 else EVERYTHING


def _pow(equation: Any, a: Interval, b: Interval) -> Interval:
    # A power that is a number is never negative where its base is not; elsewhere it may be NaN.
    low, high = hull(a)
    c, d = hull(b)
    if low >= 0.0 and c == d:
        ends = (low**c if low or c >= 0 else np.inf), (high**c if c >= 0 or high < np.inf else 0.0)
        return (min(ends), max(ends))
    return (0.0, np.inf) if low >= 0.0 or (c == d and c % 2 == 0) else EVERYTHING


def _abs(equation: Any, a: Interval) -> Interval:
    low, high = np.abs(a[0]), np.abs(a[1])
    inside = np.less_equal(a[0], 0.0) & np.greater_equal(a[1], 0.0)
    return np.where(inside, 0.0, np.minimum(low, high)), np.maximum(low, high)


def _max(equation: Any, a: Interval, b: Interval) -> Interval:
    return np.maximum(a[0], b[0]), np.maximum(a[1], b[1])


def _min(equation: Any, a: Interval, b: Interval) -> Interval:
    return np.minimum(a[0], b[0]), np.minimum(a[1], b[1])


def _clamp(equation: Any, low: Interval, x: Interval, high: Interval) -> Interval:
    return _min(equation, _max(equation, x, low), high)


def _select(equation: Any, which: Interval, *cases: Interval) -> Interval:
    plain = [hull(case) for case in cases]
    return min(low for low, _ in plain), max(high for _, high in plain)


def _reduce_sum(equation: Any, a: Interval) -> Interval:
    shape = equation.invars[0].aval.shape
    axes = tuple(equation.params["axes"])
    if isinstance(a[0], float) and isinstance(a[1], float):
        count = float(np.prod([shape[axis] for axis in axes], dtype=np.float64))
        return float(_times(a[0], count)), float(_times(a[1], count))
    return np.sum(np.broadcast_to(a[0], shape), axes), np.sum(np.broadcast_to(a[1], shape), axes)


def _reduce_extreme(equation: Any, a: Interval, *carried: Interval) -> Interval:
    """Of the first operand; what a sort carries along with it is looked at no further."""
    return hull(a)


def _dot(equation: Any, a: Interval, b: Interval) -> Interval:
    (contracted, _), _ = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    count = float(np.prod([shape[axis] for axis in contracted], dtype=np.float64))
    if equation.invars[0] is equation.invars[1] and equation.outvars[0].aval.shape == ():
        low, high = _square(equation, a)
        low, high = hull((low, high))
    else:
        low, high = hull(_mul_plain(hull(a), hull(b)))
    return float(_times(low, count)), float(_times(high, count))


_RULES: dict[str, Callable[..., Interval]] = {
    "add": _add, "add_any": _add, "sub": _sub, "neg": _neg, "mul": _mul, "div": _div, "square": _square,
    "integer_pow": _integer_pow, "pow": _pow, "abs": _abs, "max": _max, "min": _min, "clamp": _clamp,
    "select_n": _select, "reduce_sum": _reduce_sum, "reduce_max": _reduce_extreme,
    "reduce_min": _reduce_extreme, "sort": _reduce_extreme, "cummax": _reduce_extreme,
    "cummin": _reduce_extreme, "dot_general": _dot,
}  # fmt: skip
