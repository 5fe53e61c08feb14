"""Choosing between values and ordering them: where, clip, piecewise, interpolation, sorting, quantiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from .indexing import entries_at, getitem, take
from .reductions import all_of, kept, sum_of
from .shape import concatenate, moveaxis, ravel, reshape
from .ufuncs import RECORDS, UFUNCS, absolute, add, divide, multiply, subtract
from .values import (
    Rule,
    Value,
    any_traced,
    array_value,
    as_value,
    axes_of,
    axis_of,
    broadcast,
    broadcast_to,
    choose,
    common,
    constant,
    convert,
    dtype_of,
    is_traced,
    refused,
    shape_of,
    unsupported,
)

# Up to this many points a search compares with all of them, which is one operation instead of a loop.
LARGEST_COUNTED = 256


def where(condition: Any, x: Any = None, y: Any = None, /) -> Value:
    """`np.where` with three arguments; with one its length would depend on the values."""
    if x is None and y is None:
        raise _length_depends("np.where(condition) with one argument", "Write np.where(condition, a, b).")
    x, y = common(as_value(x), as_value(y))
    condition = array_value(condition)
    if dtype_of(condition) != np.bool_:
        condition = UFUNCS[np.not_equal](condition, 0)
    return choose(condition, x, y)


def _length_depends(what: str, rewrite: str) -> Exception:
    return refused(what, "gives a result whose length depends on the parameters", rewrite)


def _no_fixed_length(name: str, rewrite: str) -> Rule:
    def rule(*args: Any, **kwargs: Any) -> Value:
        raise _length_depends(f"np.{name}", rewrite)

    return rule


def clip(
    a: Any,
    a_min: Any = np._NoValue,
    a_max: Any = np._NoValue,
    out: Any = None,
    *,
    min: Any = np._NoValue,
    max: Any = np._NoValue,
    **settings: Any,
) -> Value:
    """`np.clip`: where the value is outside its slope is zero."""
    unsupported("clip", out=out, **settings)
    low = min if a_min is np._NoValue else a_min
    high = max if a_max is np._NoValue else a_max
    a = array_value(a)
    if low is not None and low is not np._NoValue:
        a = UFUNCS[np.maximum](a, low)
    if high is not None and high is not np._NoValue:
        a = UFUNCS[np.minimum](a, high)
    return a


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Value:
    """`np.select`: the first condition that holds decides."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if not condlist:
        raise ValueError("select with an empty condition list is not possible")
    *choices, found = common(*map(as_value, choicelist), as_value(default))
    conditions = [array_value(c) for c in condlist]
    if not all(dtype_of(c) == np.bool_ for c in conditions):
        raise TypeError("invalid entry in condlist: should be boolean ndarray")
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        found = choose(condition, choice, found)
    return found


def choose_from(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Value:
    """`np.choose`."""
    unsupported("choose", out=out)
    choices = common(*map(as_value, choices if isinstance(choices, (list, tuple)) else list(_rows(choices))))
    a, *choices = broadcast(array_value(a), *choices)
    count = len(choices)
    if mode == "wrap":
        a = UFUNCS[np.remainder](a, count)
    elif mode == "raise" and not is_traced(a) and np.any((a < 0) | (a >= count)):
        raise ValueError("invalid entry in choice array")
    found = choices[-1]
    for k in range(count - 2, -1, -1):
        chosen = UFUNCS[np.less_equal](a, 0) if k == 0 else UFUNCS[np.equal](a, k)
        found = choose(chosen, choices[k], found)
    return found


def _rows(a: Value) -> list[Value]:
    return [getitem(a, k) for k in range(shape_of(a)[0])]


def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Value:
    """`np.piecewise`; each function is evaluated everywhere, and its values taken where its condition holds."""
    x = array_value(x)
    if not isinstance(condlist, (list, tuple)) or (
        len(condlist) and np.ndim(_first(condlist)) == 0 and x.shape != ()
    ):
        condlist = [condlist]
    conditions = [broadcast_to(array_value(c), x.shape) for c in condlist]
    functions = list(funclist)
    if len(functions) not in (len(conditions), len(conditions) + 1):
        raise ValueError(
            f"with {len(conditions)} condition(s), either {len(conditions)} or {len(conditions) + 1} functions are "
            "expected"
        )
    found: Value = np.zeros(x.shape, dtype_of(x))
    if len(functions) == len(conditions) + 1:
        found = _piece(functions.pop(), x, args, kw)
    for condition, function in zip(conditions, functions, strict=True):
        found = choose(condition, _piece(function, x, args, kw), found)
    return broadcast_to(found, x.shape)


def _first(items: Any) -> Any:
    value = items[0]
    return np.zeros(shape_of(value)) if is_traced(value) else value


def _piece(function: Any, x: Value, args: tuple[Any, ...], kw: dict[str, Any]) -> Value:
    if isinstance(function, Callable):  # type: ignore[arg-type]
        from .calculus import call

        function = call(function, (x, *args), kw)
    return convert(array_value(function), dtype_of(x))


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Value:
    """`np.interp`: straight lines between points; any of points, values and places may be traced."""
    x, xp, fp = (array_value(v) for v in (x, xp, fp))
    complex_values = dtype_of(fp).kind == "c"
    x, xp = convert(x, np.float64), convert(xp, np.float64)
    fp = convert(fp, np.complex128 if complex_values else np.float64)
    if period is not None:
        if is_traced(xp):
            raise refused(
                "np.interp(..., period=...) with traced points", "has no rule", "Give constant points."
            )
        left = right = None
        x, xp = UFUNCS[np.remainder](x, abs(period)), np.mod(xp, abs(period))
        order = np.argsort(xp)
        xp, fp = xp[order], getitem(fp, order)
        xp = np.concatenate([xp[-1:] - abs(period), xp, xp[:1] + abs(period)])
        fp = concatenate([getitem(fp, slice(-1, None)), fp, getitem(fp, slice(0, 1))])
    points = xp.shape[0]
    if points == 1:
        inside = broadcast_to(getitem(fp, 0), x.shape)
    else:
        low, high = slice(None, -1), slice(1, None)
        width = subtract(getitem(xp, high), getitem(xp, low))
        flat = UFUNCS[np.equal](width, 0.0)
        rise = subtract(getitem(fp, high), getitem(fp, low))
        slopes = divide(rise, choose(flat, np.float64(1), width))
        segment = _segment(x, xp)
        past = subtract(x, entries_at(xp, segment))
        inside = add(entries_at(fp, segment), multiply(entries_at(slopes, segment), past))
    first, last = getitem(xp, 0), getitem(xp, points - 1)
    before = getitem(fp, 0) if left is None else convert(array_value(left), dtype_of(fp))
    after = getitem(fp, points - 1) if right is None else convert(array_value(right), dtype_of(fp))
    found = choose(UFUNCS[np.less](x, first), before, inside)
    found = choose(UFUNCS[np.greater](x, last), after, found)
    return choose(UFUNCS[np.isnan](x), convert(x, dtype_of(fp)), found)


def _segment(x: Value, xp: Value) -> Value:
    """Number of the segment that each place lies on, 0 to points - 2."""
    found = searchsorted(xp, x, side="right")
    return clip(subtract(found, 1), 0, xp.shape[0] - 2)


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Value:
    """`np.searchsorted`."""
    a, v = common(as_value(a), as_value(v))
    a = take(a, sorter) if sorter is not None else a
    return convert(_search(a, v, side), np.int64)


def _search(a: Value, v: Value, side: str) -> Value:
    if side not in ("left", "right"):
        raise ValueError(f"search side must be 'left' or 'right' (got {side!r})")
    if a.shape[0] > LARGEST_COUNTED:
        return jnp.searchsorted(jnp.asarray(a), jnp.asarray(v), side=side)
    # Counting what lies behind puts NaN last, as NumPy does.
    behind = UFUNCS[np.greater_equal if side == "left" else np.greater]
    v = array_value(v)
    return subtract(a.shape[0], sum_of(behind(a, reshape(v, (*v.shape, 1))), -1))


def digitize(x: Any, bins: Any, right: bool = False) -> Value:
    """`np.digitize`."""
    if is_traced(bins):
        raise refused(
            "np.digitize with bins that depend on the parameters", "has no rule", "Use np.searchsorted."
        )
    bins = np.asarray(bins)
    steps = np.diff(bins)
    if np.all(steps >= 0):
        return searchsorted(bins, x, "left" if right else "right")
    if not np.all(steps <= 0):
        raise ValueError("bins must be monotonically increasing or decreasing")
    return subtract(len(bins), searchsorted(bins[::-1], x, "right" if right else "left"))


# -- order -------------------------------------------------------------------------------------------------------


def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Value:
    """`np.sort`."""
    unsupported("sort", order=order)
    a = array_value(a)
    if axis is None:
        a, axis = ravel(a), 0
    return lax.sort(a, dimension=axis_of(axis, len(a.shape)))


def argsort(
    a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Value:
    """`np.argsort`, always stable."""
    unsupported("argsort", order=order)
    a = array_value(a)
    if axis is None:
        a, axis = ravel(a), 0
    axis = axis_of(axis, len(a.shape))
    places = lax.broadcasted_iota(np.int64, a.shape, axis)
    return lax.sort((a, places), dimension=axis, is_stable=True, num_keys=1)[1]


def partition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Value:
    """`np.partition`: sorted throughout, which is one of the orders NumPy allows."""
    return sort(a, axis, order=order)


def argpartition(
    a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None
) -> Value:
    """`np.argpartition`: sorted throughout, which is one of the orders NumPy allows."""
    return argsort(a, axis, order=order)


def lexsort(keys: Any, axis: int = -1) -> Value:
    """`np.lexsort`: the last key decides first."""
    keys = list(keys) if isinstance(keys, (list, tuple)) else _rows(keys)
    keys = broadcast(*map(array_value, keys))
    axis = axis_of(axis, len(keys[0].shape))
    places = lax.broadcasted_iota(np.int64, keys[0].shape, axis)
    return lax.sort((*reversed(keys), places), dimension=axis, is_stable=True, num_keys=len(keys))[-1]


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    **settings: Any,
) -> Value:
    """`np.quantile` for constant `q`, every method: order statistics mixed with NumPy's own weights."""
    unsupported("quantile", out=out, weights=weights, **settings)
    return _quantile("quantile", a, q, axis, method, keepdims)


def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    **settings: Any,
) -> Value:
    """`np.percentile`; see `quantile`."""
    unsupported("percentile", out=out, weights=weights, **settings)
    return _quantile("percentile", a, _hundredth("percentile", q), axis, method, keepdims)


def _hundredth(name: str, q: Any) -> np.ndarray:
    if any_traced(q):
        raise refused(f"np.{name} at a level that depends on the parameters", "has no rule", "Fix the level.")
    return np.true_divide(np.asarray(q), 100)


def _flattened(a: Any, axis: Any) -> tuple[Value, tuple[int, ...]]:
    """The array with the reduced axes moved to the end and made one, sorted along it."""
    axes = axes_of(axis, len(a.shape))
    rest = [k for k in range(len(a.shape)) if k not in axes]
    moved = lax.transpose(a, (*rest, *axes)) if (*rest, *axes) != tuple(range(len(a.shape))) else a
    count = int(np.prod([a.shape[k] for k in axes], dtype=np.int64))
    return sort(reshape(moved, (*(a.shape[k] for k in rest), count))), axes


def _quantile(name: str, a: Any, q: Any, axis: Any, method: str, keepdims: bool) -> Value:
    if any_traced(q):
        raise refused(f"np.{name} at a level that depends on the parameters", "has no rule", "Fix the level.")
    a, levels = array_value(a), np.asarray(q)
    if dtype_of(a).kind not in "f":
        a = convert(a, np.float64)
    ordered, axes = _flattened(a, axis)
    count = ordered.shape[-1]
    # NumPy's answer for 0, 1, 2, … is the place (with its fraction) among the sorted entries.
    places = np.asarray(np.quantile(np.arange(count, dtype=np.float64), levels, method=method))  # type: ignore[call-overload]
    found = _between_ranks(ordered, places)
    found = convert(found, np.quantile(np.ones(1, dtype_of(a)), levels, method=method).dtype)  # type: ignore[call-overload]
    return _with_levels(found, levels, a, axes, keepdims)


def _between_ranks(ordered: Value, places: np.ndarray) -> Value:
    below = np.floor(places).astype(np.int64)
    part = (places - below).astype(dtype_of(ordered))
    above = np.minimum(below + 1, ordered.shape[-1] - 1)
    low, high = getitem(ordered, (Ellipsis, below)), getitem(ordered, (Ellipsis, above))
    mixed = add(low, multiply(part, subtract(high, low))) if np.any(part) else low
    last = getitem(ordered, (Ellipsis, -1))
    last = reshape(last, (*last.shape, *(1,) * np.ndim(places)))
    return choose(UFUNCS[np.isnan](last), constant(np.nan, ordered), mixed)


def _with_levels(found: Value, levels: np.ndarray, a: Value, axes: Sequence[int], keepdims: bool) -> Value:
    if levels.ndim:
        found = moveaxis(found, tuple(range(-levels.ndim, 0)), tuple(range(levels.ndim)))
    if not keepdims:
        return found
    shape = tuple(1 if k in axes else length for k, length in enumerate(a.shape))
    return reshape(found, (*levels.shape, *shape))


def median(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
) -> Value:
    """`np.median`."""
    unsupported("median", out=out)
    a = array_value(a)
    a = a if dtype_of(a).kind == "f" else convert(a, np.float64)
    ordered, axes = _flattened(a, axis)
    count = ordered.shape[-1]
    middle = getitem(ordered, (Ellipsis, count // 2))
    if count % 2 == 0:
        lower = getitem(ordered, (Ellipsis, count // 2 - 1))
        middle = multiply(add(lower, middle), constant(0.5, a))
    last = getitem(ordered, (Ellipsis, -1))
    found = choose(UFUNCS[np.isnan](last), constant(np.nan, a), middle)
    return kept(found, a.shape, axes, keepdims)


def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
    **settings: Any,
) -> Value:
    """`np.nanquantile` by straight lines between order statistics."""
    unsupported("nanquantile", out=out, weights=weights, **settings)
    if method != "linear" or any_traced(q):
        raise refused(
            "np.nanquantile with this method or a traced level", "has no rule", 'Use method="linear".'
        )
    a, levels = array_value(a), np.asarray(q, float)
    a = a if dtype_of(a).kind == "f" else convert(a, np.float64)
    ordered, axes = _flattened(a, axis)
    present = sum_of(UFUNCS[np.logical_not](UFUNCS[np.isnan](ordered)), -1, np.int64, keepdims=True)
    flat = levels.reshape(-1).astype(dtype_of(a))
    places = multiply(flat, convert(subtract(present, 1), dtype_of(a)))
    below = UFUNCS[np.maximum](UFUNCS[np.floor](places), 0)
    part = subtract(places, below)
    below = convert(below, np.int64)
    above = UFUNCS[np.minimum](add(below, 1), UFUNCS[np.maximum](subtract(present, 1), 0))
    from .indexing import take_along_axis

    low, high = take_along_axis(ordered, below, -1), take_along_axis(ordered, above, -1)
    found = add(low, multiply(part, subtract(high, low)))
    found = reshape(found, (*found.shape[:-1], *levels.shape))
    return _with_levels(found, levels, a, axes, bool(keepdims) and keepdims is not np._NoValue)


def nanpercentile(a: Any, q: Any, *args: Any, **kwargs: Any) -> Value:
    """`np.nanpercentile`; see `nanquantile`."""
    return nanquantile(a, _hundredth("nanpercentile", q), *args, **kwargs)


def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
) -> Value:
    """`np.nanmedian`."""
    return nanquantile(a, 0.5, axis, out, keepdims=keepdims)


# -- rounding and comparing --------------------------------------------------------------------------------------


def around(a: Any, decimals: int = 0, out: Any = None) -> Value:
    """`np.round`: half to even; its slope is zero."""
    unsupported("round", out=out)
    a = array_value(a)
    if dtype_of(a).kind not in "fc":
        if decimals >= 0:
            return a
        factor = 10 ** (-decimals)
        scaled = UFUNCS[np.rint](divide(convert(a, np.float64), float(factor)))
        return convert(multiply(scaled, float(factor)), dtype_of(a))
    rint = RECORDS[np.rint]
    if decimals == 0:
        return rint(a)
    factor = constant(10.0 ** abs(decimals), a)
    if decimals > 0:
        return lax.div(rint(lax.mul(a, factor)), factor)
    return lax.mul(rint(lax.div(a, factor)), factor)


def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Value:
    """`np.isclose`."""
    a, b = as_value(a), as_value(b)
    b = b if dtype_of(b).kind in "fc" else convert(b, np.float64)
    bound = add(atol, multiply(rtol, absolute(b)))
    near = UFUNCS[np.less_equal](absolute(subtract(a, b)), bound)
    found = UFUNCS[np.logical_and](near, UFUNCS[np.isfinite](b))
    found = UFUNCS[np.logical_or](found, UFUNCS[np.equal](a, b))
    if equal_nan:
        both = UFUNCS[np.logical_and](UFUNCS[np.isnan](a), UFUNCS[np.isnan](b))
        found = UFUNCS[np.logical_or](found, both)
    return found


def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Value:
    """`np.allclose`, as a traced truth value."""
    return all_of(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Value:
    """`np.array_equal`, as a traced truth value."""
    a1, a2 = array_value(a1), array_value(a2)
    if a1.shape != a2.shape:
        return False
    same = UFUNCS[np.equal](a1, a2)
    if equal_nan:
        same = UFUNCS[np.logical_or](same, UFUNCS[np.logical_and](UFUNCS[np.isnan](a1), UFUNCS[np.isnan](a2)))
    return all_of(same)


def array_equiv(a1: Any, a2: Any) -> Value:
    """`np.array_equiv`, as a traced truth value."""
    try:
        a1, a2 = broadcast(array_value(a1), array_value(a2))
    except ValueError:
        return False
    return all_of(UFUNCS[np.equal](a1, a2))


def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Value:
    """`np.isin`."""
    element, tests = array_value(element), ravel(array_value(test_elements))
    equal = UFUNCS[np.equal](reshape(element, (*element.shape, 1)), tests)
    found = lax.reduce_or(equal, (len(element.shape),))
    return lax.bitwise_not(found) if invert else found


def _sign_of_infinity(sign: float) -> Rule:
    def rule(x: Any, out: Any = None) -> Value:
        unsupported("isposinf" if sign > 0 else "isneginf", out=out)
        return UFUNCS[np.equal](x, sign * np.inf)

    return rule


def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Value:
    """`np.compress` by a constant condition."""
    if is_traced(condition):
        raise _length_depends("np.compress with a condition that depends on the parameters", "Use np.where.")
    return take(a, np.flatnonzero(np.asarray(condition)), axis, out)


def extract(condition: Any, arr: Any) -> Value:
    """`np.extract` by a constant condition."""
    return compress(condition if is_traced(condition) else np.ravel(condition), arr)


def angle(z: Any, deg: bool = False) -> Value:
    """`np.angle`."""
    z = array_value(z)
    if dtype_of(z).kind == "c":
        found = UFUNCS[np.arctan2](lax.imag(z), lax.real(z))
    else:
        found = UFUNCS[np.arctan2](np.zeros((), dtype_of(z)), z)
    return UFUNCS[np.degrees](found) if deg else found


def iscomplex(x: Any) -> Value:
    """`np.iscomplex`."""
    x = array_value(x)
    if dtype_of(x).kind != "c":
        return np.zeros(x.shape, bool)
    return UFUNCS[np.not_equal](lax.imag(x), 0)


def isreal(x: Any) -> Value:
    """`np.isreal`."""
    x = array_value(x)
    if dtype_of(x).kind != "c":
        return np.ones(x.shape, bool)
    return UFUNCS[np.equal](lax.imag(x), 0)


_BY_VALUE = (
    "The result has as many entries as the values decide; keep the shape and write np.where(mask, a, b)."
)

FUNCTIONS: dict[Any, Rule] = {
    np.where: where,
    np.clip: clip,
    np.select: select,
    np.choose: choose_from,
    np.piecewise: piecewise,
    np.interp: interp,
    np.searchsorted: searchsorted,
    np.digitize: digitize,
    np.sort: sort,
    np.argsort: argsort,
    np.partition: partition,
    np.argpartition: argpartition,
    np.lexsort: lexsort,
    np.quantile: quantile,
    np.percentile: percentile,
    np.median: median,
    np.nanquantile: nanquantile,
    np.nanpercentile: nanpercentile,
    np.nanmedian: nanmedian,
    np.angle: angle,
    np.around: around,
    np.round: around,
    np.fix: lambda x, out=None: UFUNCS[np.trunc](x),
    np.isclose: isclose,
    np.allclose: allclose,
    np.array_equal: array_equal,
    np.array_equiv: array_equiv,
    np.isin: isin,
    np.isposinf: _sign_of_infinity(1.0),
    np.isneginf: _sign_of_infinity(-1.0),
    np.iscomplex: iscomplex,
    np.isreal: isreal,
    np.compress: compress,
    np.extract: extract,
}

# Functions whose result has a length that depends on values: the message says what to write instead.
REFUSED: dict[Any, Rule] = {
    function: _no_fixed_length(function.__name__, _BY_VALUE)
    for function in (
        np.nonzero, np.flatnonzero, np.argwhere, np.unique, np.unique_all, np.unique_counts, np.unique_inverse,
        np.unique_values, np.union1d, np.intersect1d, np.setdiff1d, np.setxor1d, np.trim_zeros,
    )
}  # fmt: skip
