"""Many numbers to one: sums, means, extremes, running sums, and the `reduce` family of ufuncs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax import lax

from .indexing import add_at, changed_at, getitem
from .shape import concatenate, expand_dims, moveaxis, ravel, reshape
from .ufuncs import UFUNCS, add, divide, multiply, power, subtract
from .values import (
    Rule,
    Shape,
    Value,
    array_value,
    axes_of,
    axis_of,
    broadcast_to,
    choose,
    constant,
    convert,
    dtype_of,
    is_traced,
    refused,
    safe_sqrt,
    shape_of,
    type_after,
    unsupported,
)

_NO_VALUE = np._NoValue


def kept(result: Value, shape: Shape, axes: Sequence[int], keepdims: Any) -> Value:
    """A reduction's result, with its axes kept at length one if asked for."""
    if keepdims is _NO_VALUE or not keepdims:
        return result
    return lax.reshape(result, tuple(1 if k in axes else length for k, length in enumerate(shape)))


def _where_set(where: Any) -> bool:
    return where is not _NO_VALUE and where is not True and where is not None


def _total(x: Value, axes: Sequence[int]) -> Value:
    return lax.reduce_sum(x, axes) if axes else x


def sum_of(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = _NO_VALUE,
    where: Any = True,
) -> Value:
    """`np.sum`."""
    unsupported("sum", out=out)
    a = array_value(a)
    a = convert(a, dtype or type_after(np.sum, dtype_of(a)))
    if _where_set(where):
        a = choose(where, a, constant(0, a))
    axes = axes_of(axis, len(a.shape))
    if dtype_of(a) == np.bool_:
        found = lax.reduce_or(a, axes)
    else:
        found = _total(a, axes)
    found = kept(found, a.shape, axes, keepdims)
    return found if initial is _NO_VALUE or initial == 0 else add(found, initial)


def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = _NO_VALUE,
    where: Any = True,
) -> Value:
    """`np.prod`; its slope is right where factors are zero, too."""
    unsupported("prod", out=out)
    a = array_value(a)
    a = convert(a, dtype or type_after(np.prod, dtype_of(a)))
    if _where_set(where):
        a = choose(where, a, constant(1, a))
    axes = axes_of(axis, len(a.shape))
    found = kept(lax.reduce_prod(a, axes), a.shape, axes, keepdims)
    return found if initial is _NO_VALUE else multiply(found, initial)


def _count(shape: Shape, axes: Sequence[int]) -> int:
    count = 1
    for axis in axes:
        count *= shape[axis]
    return count


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True
) -> Value:
    """`np.mean`."""
    unsupported("mean", out=out)
    a = array_value(a)
    dtype = np.dtype(dtype or type_after(np.mean, dtype_of(a)))
    # Half precision is summed in single, as NumPy does.
    summed = np.dtype(np.float32) if dtype == np.float16 else dtype
    axes = axes_of(axis, len(a.shape))
    if _where_set(where):
        count = sum_of(broadcast_to(where, a.shape), axis, summed, keepdims=keepdims)
        return convert(divide(sum_of(a, axis, summed, keepdims=keepdims, where=where), count), dtype)
    total = _total(convert(a, summed), axes)
    found = lax.div(total, constant(_count(a.shape, axes), total))
    return kept(convert(found, dtype), a.shape, axes, keepdims)


def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False
) -> Any:
    """`np.average`."""
    a = array_value(a)
    if weights is None:
        found = mean(a, axis, keepdims=keepdims)
        count = constant(_count(a.shape, axes_of(axis, len(a.shape))), found)
        return (found, broadcast_to(count, found.shape)) if returned else found
    weights = array_value(weights)
    if weights.shape != a.shape:
        if axis is None:
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        axes = axes_of(axis, len(a.shape))
        order = np.argsort(axes)
        if weights.shape != tuple(a.shape[k] for k in axes):
            raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
        weights = lax.transpose(weights, tuple(order)) if len(axes) > 1 else weights
        shape = tuple(length if k in axes else 1 for k, length in enumerate(a.shape))
        weights = broadcast_to(reshape(weights, shape), a.shape)
    scale = sum_of(weights, axis, keepdims=keepdims)
    weighted = multiply(a, weights)
    if dtype_of(weighted).kind not in "fc":
        weighted = convert(weighted, np.float64)
    found = divide(sum_of(weighted, axis, keepdims=keepdims), scale)
    return (found, broadcast_to(convert(scale, dtype_of(found)), shape_of(found))) if returned else found


def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = _NO_VALUE,
    correction: Any = _NO_VALUE,
) -> Value:
    """`np.var`."""
    unsupported("var", out=out)
    a = array_value(a)
    ddof = ddof if correction is _NO_VALUE else correction
    result = np.dtype(dtype or type_after(np.var, dtype_of(a)))
    working = np.dtype(dtype or type_after(np.mean, dtype_of(a)))
    a = convert(a, np.float32 if working == np.float16 else working)
    axes = axes_of(axis, len(a.shape))
    centre = _mean(a, axes, keepdims=True, where=where) if mean is _NO_VALUE else array_value(mean)
    off = subtract(a, centre)
    square = power(off, 2) if dtype_of(off).kind != "c" else _square_of_size(off)
    if _where_set(where):
        count = subtract(sum_of(broadcast_to(where, a.shape), axes, square.dtype, keepdims=keepdims), ddof)
        return convert(divide(sum_of(square, axes, keepdims=keepdims, where=where), count), result)
    left = max(_count(a.shape, axes) - ddof, 0)
    total = _total(square, axes)
    return kept(convert(lax.div(total, constant(left, total)), result), a.shape, axes, keepdims)


_mean = mean


def _square_of_size(x: Value) -> Value:
    return lax.add(lax.integer_pow(lax.real(x), 2), lax.integer_pow(lax.imag(x), 2))


def std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = _NO_VALUE,
    correction: Any = _NO_VALUE,
) -> Value:
    """`np.std`; where all entries are equal its slope is 0, the smallest one there."""
    return safe_sqrt(var(a, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction))


# -- extremes ----------------------------------------------------------------------------------------------------


def _extreme(name: str, ufunc: np.ufunc, reduce: Rule) -> Rule:
    def rule(
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = _NO_VALUE,
        where: Any = True,
    ) -> Value:
        unsupported(name, out=out)
        a = array_value(a)
        axes = axes_of(axis, len(a.shape))
        if _where_set(where):
            if initial is _NO_VALUE:
                raise ValueError(f"reduction operation '{ufunc.__name__}' does not have an identity")
            a = choose(where, a, convert(initial, dtype_of(a)))
        if initial is _NO_VALUE and _count(a.shape, axes) == 0:
            raise ValueError(f"zero-size array to reduction operation {ufunc.__name__} which has no identity")
        found = kept(reduce(a, axes), a.shape, axes, keepdims)
        return found if initial is _NO_VALUE else UFUNCS[ufunc](found, initial)

    rule.__doc__ = f"`np.{name}`."
    return rule


max_of = _extreme("max", np.maximum, lax.reduce_max)
min_of = _extreme("min", np.minimum, lax.reduce_min)


def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False) -> Value:
    """`np.ptp`."""
    unsupported("ptp", out=out)
    return subtract(max_of(a, axis, keepdims=keepdims), min_of(a, axis, keepdims=keepdims))


def _place_of_extreme(name: str, find: Rule) -> Rule:
    def rule(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Value:
        unsupported(name, out=out)
        a = array_value(a)
        shape = a.shape
        if axis is None:
            found = find(ravel(a), 0, np.int64)
            return kept(found, shape, tuple(range(len(shape))), keepdims)
        axis = axis_of(axis, len(shape))
        return kept(find(a, axis, np.int64), shape, (axis,), keepdims)

    rule.__doc__ = f"`np.{name}`."
    return rule


argmax = _place_of_extreme("argmax", lax.argmax)
argmin = _place_of_extreme("argmin", lax.argmin)


# -- truth -------------------------------------------------------------------------------------------------------


def _truths(name: str, reduce: Rule, neutral: bool) -> Rule:
    def rule(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Value:
        unsupported(name, out=out)
        a = array_value(a)
        a = a if dtype_of(a) == np.bool_ else lax.ne(a, constant(0, a))
        if _where_set(where):
            a = choose(where, a, np.bool_(neutral))
        axes = axes_of(axis, len(a.shape))
        return kept(reduce(a, axes), a.shape, axes, keepdims)

    rule.__doc__ = f"`np.{name}`."
    return rule


all_of = _truths("all", lax.reduce_and, True)
any_of = _truths("any", lax.reduce_or, False)


def count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Value:
    """`np.count_nonzero`."""
    a = array_value(a)
    return sum_of(
        a if dtype_of(a) == np.bool_ else lax.ne(a, constant(0, a)), axis, np.int64, keepdims=keepdims
    )


# -- running sums and products -----------------------------------------------------------------------------------


def _running(name: str, run: Rule, like: Any) -> Rule:
    def rule(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Value:
        unsupported(name, out=out)
        a = array_value(a)
        a = convert(a, dtype or type_after(like, dtype_of(a)))
        if axis is None:
            a, axis = ravel(a), 0
        return run(a, axis_of(axis, len(a.shape)))

    rule.__doc__ = f"`np.{name}`."
    return rule


cumsum = _running("cumsum", lax.cumsum, np.cumsum)
cumprod = _running("cumprod", lax.cumprod, np.cumprod)


def _cumulative(run: Rule, first: int) -> Rule:
    def rule(
        x: Any,
        /,
        *,
        axis: int | None = None,
        dtype: Any = None,
        out: Any = None,
        include_initial: bool = False,
    ) -> Value:
        x = array_value(x)
        if axis is None:
            if len(x.shape) > 1:
                raise ValueError(
                    "For arrays which have more than one dimension ``axis`` argument is required."
                )
            axis = 0
        x = reshape(x, (1,)) if x.shape == () else x
        found = run(x, axis, dtype, out)
        if not include_initial:
            return found
        shape = tuple(1 if k == axis_of(axis, len(x.shape)) else length for k, length in enumerate(x.shape))
        return concatenate([np.full(shape, first, dtype_of(found)), found], axis)

    return rule


# -- reductions that pass over NaN -------------------------------------------------------------------------------


def _is_nan(a: Value) -> Value:
    return UFUNCS[np.isnan](a)


def _replacing_nan(reduce: Rule, value: float) -> Rule:
    def rule(a: Any, *args: Any, **kwargs: Any) -> Value:
        a = array_value(a)
        if dtype_of(a).kind in "fc":
            a = choose(_is_nan(a), constant(value, a), a)
        return reduce(a, *args, **kwargs)

    return rule


def _nan_extreme(reduce: Rule, worst: float) -> Rule:
    def rule(a: Any, axis: Any = None, out: Any = None, keepdims: Any = False, **settings: Any) -> Value:
        a = array_value(a)
        if dtype_of(a).kind not in "fc":
            return reduce(a, axis, out, keepdims, **settings)
        found = reduce(choose(_is_nan(a), constant(worst, a), a), axis, out, keepdims, **settings)
        return choose(all_of(_is_nan(a), axis, keepdims=keepdims), constant(np.nan, found), found)

    return rule


def nanmean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    *,
    where: Any = _NO_VALUE,
) -> Value:
    """`np.nanmean`."""
    return mean(a, axis, dtype, out, keepdims, where=_present(a, where))


def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: float = 0,
    keepdims: Any = False,
    *,
    where: Any = _NO_VALUE,
    mean: Any = _NO_VALUE,
    correction: Any = _NO_VALUE,
) -> Value:
    """`np.nanvar`."""
    a = array_value(a)
    present = _present(a, where)
    a = choose(present, a, constant(0, a)) if dtype_of(a).kind in "fc" else a
    return var(a, axis, dtype, out, ddof, keepdims, where=present, mean=mean, correction=correction)


def nanstd(a: Any, *args: Any, **kwargs: Any) -> Value:
    """`np.nanstd`."""
    return safe_sqrt(nanvar(a, *args, **kwargs))


def _present(a: Any, where: Any) -> Value:
    a = array_value(a)
    present = UFUNCS[np.logical_not](_is_nan(a)) if dtype_of(a).kind in "fc" else np.ones(a.shape, bool)
    return UFUNCS[np.logical_and](present, where) if _where_set(where) else present


# -- the reduce family of ufuncs ---------------------------------------------------------------------------------


def _fold(ufunc: np.ufunc) -> Rule:
    """`ufunc.reduce` for a ufunc without a reduction of its own: pairs at a time if that is the same, else in turn."""

    def rule(
        array: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = _NO_VALUE,
        where: Any = True,
    ) -> Value:
        unsupported(f"{ufunc.__name__}.reduce", out=out, where=where, dtype=dtype)
        array = array_value(array)
        axes = axes_of(axis, len(array.shape))
        step = UFUNCS[ufunc]
        array = convert(array, np.bool_) if ufunc is np.logical_xor else array
        whole = moveaxis(array, axes, tuple(range(len(axes))))
        count = _count(array.shape, axes)
        whole = reshape(whole, (count, *whole.shape[len(axes) :]))
        if count == 0:
            raise ValueError(f"zero-size array to reduction operation {ufunc.__name__} which has no identity")
        if ufunc in _ASSOCIATIVE:
            while count > 1:
                half = count // 2
                pairs = step(getitem(whole, slice(0, half)), getitem(whole, slice(half, 2 * half)))
                rest = getitem(whole, slice(2 * half, count))
                whole = concatenate([pairs, convert(rest, dtype_of(pairs))], 0) if count % 2 else pairs
                count = half + count % 2
            found = getitem(whole, 0)
        else:
            found = getitem(whole, 0)
            for k in range(1, count):
                found = step(found, getitem(whole, k))
        found = kept(found, array.shape, axes, keepdims)
        return found if initial is _NO_VALUE else step(initial, found)

    return rule


_ASSOCIATIVE = (
    np.fmax, np.fmin, np.hypot, np.logaddexp2, np.logical_xor, np.bitwise_and, np.bitwise_or, np.bitwise_xor,
    np.gcd, np.lcm,
)  # fmt: skip


def logaddexp_reduce(
    array: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = _NO_VALUE,
    where: Any = True,
) -> Value:
    """`np.logaddexp.reduce`: the logarithm of a sum of exponentials."""
    from .special import logsumexp

    unsupported("logaddexp.reduce", out=out, where=where, dtype=dtype)
    found = logsumexp(array, axis, keepdims=keepdims)
    return found if initial is _NO_VALUE else UFUNCS[np.logaddexp](found, initial)


def _accumulate(ufunc: np.ufunc) -> Rule:
    """`ufunc.accumulate`, one entry after the other."""

    def rule(array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Value:
        unsupported(f"{ufunc.__name__}.accumulate", out=out, dtype=dtype)
        array = array_value(array)
        axis = axis_of(axis, len(array.shape))
        parts = [getitem(array, (slice(None),) * axis + (0,))]
        for k in range(1, array.shape[axis]):
            parts.append(UFUNCS[ufunc](parts[-1], getitem(array, (slice(None),) * axis + (k,))))
        return concatenate([expand_dims(part, axis) for part in parts], axis)

    return rule


def _outer(ufunc: np.ufunc) -> Rule:
    def rule(a: Any, b: Any, **settings: Any) -> Value:
        a, b = array_value(a), array_value(b)
        return UFUNCS[ufunc](reshape(a, (*a.shape, *(1,) * len(b.shape))), b, **settings)

    return rule


def _reduceat(reduce: Rule) -> Rule:
    """`ufunc.reduceat` at constant places."""

    def rule(array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Value:
        unsupported("reduceat", out=out)
        if is_traced(indices):
            raise refused(
                "reduceat at places that depend on the parameters", "cannot be traced", "Fix the places."
            )
        array = array_value(array)
        axis = axis_of(axis, len(array.shape))
        places = np.asarray(indices)
        ends = np.append(places[1:], array.shape[axis])
        parts = []
        for start, end in zip(places.tolist(), ends.tolist(), strict=True):
            part = getitem(array, (slice(None),) * axis + (slice(start, end if end > start else start + 1),))
            parts.append(reduce(part, axis=axis, keepdims=True))
        return concatenate(parts, axis)

    return rule


def _first_axis(reduce: Rule) -> Rule:
    """`ufunc.reduce`: as the function, along the first axis unless told otherwise."""

    def rule(
        array: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = _NO_VALUE,
        where: Any = True,
    ) -> Value:
        settings = {} if dtype is None else {"dtype": dtype}
        if initial is not _NO_VALUE and initial is not None:
            settings["initial"] = initial
        return reduce(array, axis=axis, out=out, keepdims=keepdims, where=where, **settings)

    return rule


REDUCE: dict[np.ufunc, Rule] = {
    np.add: _first_axis(sum_of),
    np.multiply: _first_axis(prod),
    np.maximum: _first_axis(max_of),
    np.minimum: _first_axis(min_of),
    np.logical_and: _first_axis(all_of),
    np.logical_or: _first_axis(any_of),
    np.logaddexp: logaddexp_reduce,
    **{ufunc: _fold(ufunc) for ufunc in (*_ASSOCIATIVE, np.subtract, np.divide)},
}
ACCUMULATE: dict[np.ufunc, Rule] = {
    np.add: lambda array, axis=0, dtype=None, out=None: cumsum(array, axis, dtype, out),
    np.multiply: lambda array, axis=0, dtype=None, out=None: cumprod(array, axis, dtype, out),
    np.maximum: lambda array, axis=0, dtype=None, out=None: _running(
        "maximum.accumulate", lax.cummax, np.abs
    )(array, axis, dtype, out),
    np.minimum: lambda array, axis=0, dtype=None, out=None: _running(
        "minimum.accumulate", lax.cummin, np.abs
    )(array, axis, dtype, out),
    **{ufunc: _accumulate(ufunc) for ufunc in (np.subtract, np.divide, np.logaddexp, np.hypot)},
}
TWO_TO_ONE = tuple(u for u in UFUNCS if u.nin == 2 and u.nout == 1 and u.signature is None)

# What each ufunc method does, keyed as NumPy hands it over: (np.add, "reduce").
UFUNC_METHODS: dict[tuple[np.ufunc, str], Rule] = {
    **{(ufunc, "reduce"): rule for ufunc, rule in REDUCE.items()},
    **{(ufunc, "accumulate"): rule for ufunc, rule in ACCUMULATE.items()},
    **{(ufunc, "outer"): _outer(ufunc) for ufunc in TWO_TO_ONE},
    **{(ufunc, "reduceat"): _reduceat(rule) for ufunc, rule in REDUCE.items()},
    **{(ufunc, "at"): changed_at(UFUNCS[ufunc]) for ufunc in TWO_TO_ONE},
    (np.add, "at"): add_at,
    (np.subtract, "at"): lambda x, key, value: add_at(x, key, UFUNCS[np.negative](value)),
}

FUNCTIONS: dict[Any, Rule] = {
    np.sum: sum_of,
    np.prod: prod,
    np.mean: mean,
    np.average: average,
    np.var: var,
    np.std: std,
    np.max: max_of,
    np.amax: max_of,
    np.min: min_of,
    np.amin: min_of,
    np.ptp: ptp,
    np.argmax: argmax,
    np.argmin: argmin,
    np.all: all_of,
    np.any: any_of,
    np.count_nonzero: count_nonzero,
    np.cumsum: cumsum,
    np.cumprod: cumprod,
    np.cumulative_sum: _cumulative(cumsum, 0),
    np.cumulative_prod: _cumulative(cumprod, 1),
    np.nansum: _replacing_nan(sum_of, 0.0),
    np.nanprod: _replacing_nan(prod, 1.0),
    np.nancumsum: _replacing_nan(cumsum, 0.0),
    np.nancumprod: _replacing_nan(cumprod, 1.0),
    np.nanmax: _nan_extreme(max_of, -np.inf),
    np.nanmin: _nan_extreme(min_of, np.inf),
    np.nanargmax: _replacing_nan(argmax, -np.inf),
    np.nanargmin: _replacing_nan(argmin, np.inf),
    np.nanmean: nanmean,
    np.nanvar: nanvar,
    np.nanstd: nanstd,
}
