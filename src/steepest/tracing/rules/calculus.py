"""Differences, sums and products over neighbours: diff, gradient, trapezoid, convolve, and calls along an axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jax import lax

from .indexing import add_at, getitem
from .reductions import cumsum, sum_of
from .shape import concatenate, expand_dims, moveaxis, ravel, reshape
from .ufuncs import UFUNCS, add, divide, multiply, subtract
from .values import (
    Rule,
    Value,
    array_value,
    as_value,
    axes_of,
    axis_of,
    broadcast_to,
    choose,
    common,
    constant,
    convert,
    dtype_of,
    is_traced,
    refused,
    shape_of,
)

_ALL = slice(None)


def _along(axis: int, part: Any) -> tuple[Any, ...]:
    return (*(_ALL,) * axis, part)


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Value:
    """`np.diff`."""
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    a = array_value(a)
    if n == 0:
        return a
    axis = axis_of(axis, len(a.shape))
    ends = []
    for end in (prepend, append):
        if end is not np._NoValue:
            end = array_value(end)
            if shape_of(end) == ():
                end = broadcast_to(end, tuple(1 if k == axis else length for k, length in enumerate(a.shape)))
            ends.append(end)
        else:
            ends.append(None)
    parts = [part for part in (ends[0], a, ends[1]) if part is not None]
    a = concatenate(parts, axis) if len(parts) > 1 else a
    step = UFUNCS[np.not_equal] if dtype_of(a) == np.bool_ else subtract
    for _ in range(n):
        a = step(getitem(a, _along(axis, slice(1, None))), getitem(a, _along(axis, slice(None, -1))))
    return a


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Value:
    """`np.ediff1d`."""
    steps = diff(ravel(ary))
    parts = [part if part is steps else convert(ravel(array_value(part)), dtype_of(steps))
             for part in (to_begin, steps, to_end) if part is not None]  # fmt: skip
    return concatenate(parts) if len(parts) > 1 else steps


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Value:
    """`np.trapezoid`."""
    y = array_value(y)
    axis = axis_of(axis, len(y.shape))
    if x is None:
        width = dx
    else:
        x = array_value(x)
        width = diff(x, axis=-1 if len(x.shape) == 1 else axis)
        if len(x.shape) == 1:
            width = reshape(width, tuple(-1 if k == axis else 1 for k in range(len(y.shape))))
    pairs = add(getitem(y, _along(axis, slice(1, None))), getitem(y, _along(axis, slice(None, -1))))
    return sum_of(divide(multiply(width, pairs), 2.0), axis)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """`np.gradient`: second order inside, `edge_order` at the ends, even or uneven spacing."""
    f = array_value(f)
    axes = axes_of(axis, len(f.shape))
    if not varargs:
        spacings: list[Any] = [1.0] * len(axes)
    elif len(varargs) == 1 and shape_of(as_value(varargs[0])) == ():
        spacings = [varargs[0]] * len(axes)
    elif len(varargs) == len(axes):
        spacings = list(varargs)
    else:
        raise TypeError("invalid number of arguments")
    if edge_order > 2:
        raise ValueError("'edge_order' greater than 2 not supported")
    f = f if dtype_of(f).kind in "fc" else convert(f, np.float64)
    found = [_gradient_along(f, spacing, k, edge_order) for k, spacing in zip(axes, spacings, strict=True)]
    return found[0] if len(found) == 1 else tuple(found)


def _gradient_along(f: Value, spacing: Any, axis: int, edge_order: int) -> Value:
    length = f.shape[axis]
    if length < edge_order + 1:
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) elements are "
            "required."
        )

    def at(part: Any) -> Value:
        return getitem(f, _along(axis, part))

    spacing = as_value(spacing)
    if shape_of(spacing) == ():
        inside = divide(subtract(at(slice(2, None)), at(slice(None, -2))), multiply(2.0, spacing))
        steps = None
    else:
        steps = diff(spacing)
        if shape_of(spacing) != (length,):
            raise ValueError("when 1d, distances must match the length of the corresponding dimension")
        shape = tuple(-1 if k == axis else 1 for k in range(len(f.shape)))
        left, right = (reshape(getitem(steps, part), shape) for part in (slice(None, -1), slice(1, None)))
        both = add(left, right)
        a = divide(UFUNCS[np.negative](right), multiply(left, both))
        b = divide(subtract(right, left), multiply(left, right))
        c = divide(left, multiply(right, both))
        inside = add(
            add(multiply(a, at(slice(None, -2))), multiply(b, at(slice(1, -1)))),
            multiply(c, at(slice(2, None))),
        )
    low = _edge(at, (0, 1, 2), _first_steps(spacing, steps, (0, 1)), edge_order, 1.0)
    high = _edge(at, (-1, -2, -3), _first_steps(spacing, steps, (-1, -2)), edge_order, -1.0)
    return concatenate([expand_dims(low, axis), inside, expand_dims(high, axis)], axis)


def _first_steps(spacing: Any, steps: Any, places: tuple[int, int]) -> tuple[Any, Any]:
    """The two steps next to an end, counted from it."""
    if steps is None:
        return spacing, spacing
    one = getitem(steps, places[0])
    return one, getitem(steps, places[1]) if shape_of(steps)[0] > 1 else one


def _edge(at: Rule, places: tuple[int, int, int], steps: tuple[Any, Any], order: int, sign: float) -> Value:
    one, two = steps
    if order == 1:
        return divide(multiply(sign, subtract(at(places[1]), at(places[0]))), one)
    total = add(one, two)
    a = divide(UFUNCS[np.negative](add(multiply(2.0, one), two)), multiply(one, total))
    b = divide(total, multiply(one, two))
    c = divide(UFUNCS[np.negative](one), multiply(two, total))
    found = add(add(multiply(a, at(places[0])), multiply(b, at(places[1]))), multiply(c, at(places[2])))
    return found if sign > 0 else UFUNCS[np.negative](found)


def convolve(a: Any, v: Any, mode: str = "full") -> Value:
    """`np.convolve`."""
    a, v = ravel_1d(a), ravel_1d(v)
    if a.shape[0] == 0 or v.shape[0] == 0:
        raise ValueError("a cannot be empty" if a.shape[0] == 0 else "v cannot be empty")
    a, v = (v, a) if v.shape[0] > a.shape[0] else (a, v)
    return _sliding(a, getitem(v, slice(None, None, -1)), mode)


def correlate(a: Any, v: Any, mode: str = "valid") -> Value:
    """`np.correlate`."""
    a, v = ravel_1d(a), ravel_1d(v)
    v = UFUNCS[np.conjugate](v)
    if v.shape[0] > a.shape[0]:
        return getitem(_sliding(v, a, mode), slice(None, None, -1))
    return _sliding(a, v, mode)


def ravel_1d(a: Any) -> Value:
    """A vector as it is, a number as a vector of one."""
    a = array_value(a)
    if len(a.shape) > 1:
        raise ValueError("object too deep for desired array")
    return reshape(a, (1,)) if a.shape == () else a


def _sliding(a: Value, v: Value, mode: str) -> Value:
    """Sums of products of the shorter `v` with every stretch of `a`."""
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got '{mode}')")
    a, v = common(a, v)
    n, m = a.shape[0], v.shape[0]
    # "same" has the length of the longer, with the odd entry of an even `v` on the left as in NumPy.
    before = {"full": m - 1, "same": m // 2, "valid": 0}[mode]
    after = {"full": m - 1, "same": m - 1 - m // 2, "valid": 0}[mode]
    whole = lax.pad(a, constant(0, a), [(before, after, 0)])
    if dtype_of(a).kind not in "fc":
        places = np.arange(n + before + after - m + 1)[:, None] + np.arange(m)
        return sum_of(multiply(getitem(whole, places), v), -1, dtype_of(a))
    found = lax.conv_general_dilated(
        lax.reshape(whole, (1, 1, n + before + after)), lax.reshape(v, (1, 1, m)), (1,), [(0, 0)]
    )
    return lax.reshape(found, (found.shape[2],))


def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Value:
    """`np.unwrap`; the jumps taken out are constant between jumps."""
    p = array_value(p)
    steps = diff(p, axis=axis)
    half = divide(period, 2)
    discont = half if discont is None else discont
    wrapped = subtract(UFUNCS[np.remainder](add(steps, half), period), half)
    at_edge = UFUNCS[np.logical_and](
        UFUNCS[np.equal](wrapped, UFUNCS[np.negative](half)), UFUNCS[np.greater](steps, 0)
    )
    correction = subtract(choose(at_edge, convert(as_value(half), dtype_of(wrapped)), wrapped), steps)
    correction = choose(
        UFUNCS[np.less](UFUNCS[np.absolute](steps), discont), constant(0, correction), correction
    )
    axis = axis_of(axis, len(p.shape))
    first = getitem(p, _along(axis, slice(0, 1)))
    rest = add(getitem(p, _along(axis, slice(1, None))), cumsum(correction, axis))
    return concatenate([first, rest], axis)


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Value:
    """`np.bincount` with constant places and traced weights."""
    if is_traced(x):
        raise refused(
            "np.bincount at places that depend on the parameters",
            "has no slope",
            "Use a smooth kernel around each bin.",
        )
    places = np.asarray(x)
    size = max(minlength, int(places.max()) + 1 if places.size else 0)
    weights = convert(array_value(weights), np.float64)
    return add_at(np.zeros(size), places, weights)


def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Value:
    """`np.apply_along_axis`: the function is called on each vector in turn."""
    from .creation import build_array

    arr = array_value(arr)
    axis = axis_of(axis, len(arr.shape))
    moved = moveaxis(arr, axis, -1)
    outside = moved.shape[:-1]
    rows = reshape(moved, (-1, moved.shape[-1]))
    parts = [array_value(call(func1d, (getitem(rows, k), *args), kwargs)) for k in range(rows.shape[0])]
    found = build_array(parts)
    inner = tuple(found.shape[1:])
    found = reshape(found, (*outside, *inner))
    # What each call returns goes where the axis was.
    order = [*range(axis), *range(len(outside), len(outside) + len(inner)), *range(axis, len(outside))]
    return lax.transpose(found, order) if order != list(range(len(order))) else found


def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Value:
    """`np.apply_over_axes`."""
    a = array_value(a)
    rank = len(a.shape)
    for axis in np.atleast_1d(axes).tolist():
        found = array_value(call(func, (a, axis), {}))
        a = found if len(found.shape) == rank else expand_dims(found, axis_of(axis, rank))
    return a


def call(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call the user's own function on look-alikes of raw values; its result comes back raw."""
    from ..arrays import unwrap as raw
    from ..arrays import wrap

    names: frozenset[str] = frozenset()
    return raw(function(*(wrap(arg, names) for arg in args), **kwargs), set())


def histogram(*args: Any, **kwargs: Any) -> Any:
    """`np.histogram`: refused, counts have no slope."""
    raise refused(
        "np.histogram of values that depend on the parameters",
        "counts, and counts have slope zero almost everywhere",
        "Use a smooth kernel around each bin, for example np.exp(-((x[:, None] - centres) / width)**2).sum(0).",
    )


REFUSED: dict[Any, Rule] = {
    np.histogram: histogram,
    np.histogram2d: histogram,
    np.histogramdd: histogram,
    np.histogram_bin_edges: histogram,
}

FUNCTIONS: dict[Any, Rule] = {
    np.diff: diff,
    np.ediff1d: ediff1d,
    np.trapezoid: trapezoid,
    np.gradient: gradient,
    np.convolve: convolve,
    np.correlate: correlate,
    np.unwrap: unwrap,
    np.bincount: bincount,
    np.apply_along_axis: apply_along_axis,
    np.apply_over_axes: apply_over_axes,
}
