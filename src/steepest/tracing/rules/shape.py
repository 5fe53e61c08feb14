"""The same numbers in another arrangement: reshape, permute, join, split, repeat, pad."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jax import lax

from .indexing import getitem, setitem
from .ufuncs import add, multiply, subtract
from .values import (
    Rule,
    Shape,
    Value,
    any_traced,
    array_value,
    axes_of,
    axis_of,
    broadcast,
    choose,
    convert,
    dtype_of,
    refused,
    result_type,
    shape_of,
    standin,
    unsupported,
)
from .values import broadcast_to as _broadcast_to

_ALL = slice(None)


def reshape(
    a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: bool | None = None
) -> Value:
    """`np.reshape`, in C or Fortran order."""
    a = array_value(a)
    shape = newshape if shape is None else shape
    wanted = _shape_for(a.shape, shape)
    if order == "F":
        return transpose(lax.reshape(transpose(a), wanted[::-1]))
    return a if wanted == a.shape else lax.reshape(a, wanted)


def _shape_for(mine: Shape, wanted: Any) -> Shape:
    shape = tuple(int(k) for k in wanted) if isinstance(wanted, (tuple, list, np.ndarray)) else (int(wanted),)
    size = 1
    for length in mine:
        size *= length
    known, unknown = 1, 0
    for length in shape:
        known, unknown = (known, unknown + 1) if length == -1 else (known * length, unknown)
    if unknown == 0 and known == size and all(length >= 0 for length in shape):
        return shape
    if unknown == 1 and known > 0 and size % known == 0:
        return tuple(size // known if length == -1 else length for length in shape)
    return np.broadcast_to(np.zeros((), bool), mine).reshape(shape).shape  # NumPy's own answer or error


def ravel(a: Any, order: str = "C") -> Value:
    """`np.ravel`."""
    return reshape(a, (-1,), order="F" if order == "F" else "C")


def transpose(a: Any, axes: Any = None) -> Value:
    """`np.transpose`."""
    a = array_value(a)
    order = tuple(range(len(a.shape)))[::-1] if axes is None else axes_of(axes, len(a.shape))
    if len(order) != len(a.shape):
        raise ValueError("axes don't match array")
    return a if order == tuple(range(len(order))) else lax.transpose(a, order)


def moveaxis(a: Any, source: Any, destination: Any) -> Value:
    """`np.moveaxis`."""
    a = array_value(a)
    source, destination = axes_of(source, len(a.shape)), axes_of(destination, len(a.shape))
    if len(source) != len(destination):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [k for k in range(len(a.shape)) if k not in source]
    for to, what in sorted(zip(destination, source, strict=True)):
        order.insert(to, what)
    return transpose(a, order)


def rollaxis(a: Any, axis: int, start: int = 0) -> Value:
    """`np.rollaxis`."""
    ndim = len(shape_of(a))
    axis = axis_of(axis, ndim)
    start = start + ndim if start < 0 else start
    return moveaxis(a, axis, start - 1 if axis < start else start)


def swapaxes(a: Any, axis1: int, axis2: int) -> Value:
    """`np.swapaxes`."""
    ndim = len(shape_of(a))
    order = list(range(ndim))
    first, second = axis_of(axis1, ndim), axis_of(axis2, ndim)
    order[first], order[second] = order[second], order[first]
    return transpose(a, order)


def matrix_transpose(x: Any, /) -> Value:
    """`np.matrix_transpose`."""
    if len(shape_of(x)) < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {len(shape_of(x))}")
    return swapaxes(x, -1, -2)


def squeeze(a: Any, axis: Any = None) -> Value:
    """`np.squeeze`."""
    a = array_value(a)
    shape = a.shape
    if axis is None:
        return reshape(a, tuple(length for length in shape if length != 1))
    axes = axes_of(axis, len(shape))
    if any(shape[k] != 1 for k in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return reshape(a, tuple(length for k, length in enumerate(shape) if k not in axes))


def expand_dims(a: Any, axis: Any) -> Value:
    """`np.expand_dims`."""
    a = array_value(a)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    axes = axes_of(axis, len(a.shape) + count)
    lengths = iter(a.shape)
    return reshape(a, tuple(1 if k in axes else next(lengths) for k in range(len(a.shape) + count)))


def atleast(ndim: int) -> Rule:
    """`np.atleast_1d`, `np.atleast_2d`, `np.atleast_3d`."""
    function = (np.atleast_1d, np.atleast_2d, np.atleast_3d)[ndim - 1]

    def rule(*arrays: Any) -> Any:
        found = tuple(reshape(a, function(standin(array_value(a))).shape) for a in arrays)
        return found[0] if len(found) == 1 else found

    return rule


def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Value:
    """`np.broadcast_to`."""
    return _broadcast_to(array_value(array), tuple(np.atleast_1d(shape).tolist()) if shape != () else ())


def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Value, ...]:
    """`np.broadcast_arrays`."""
    return tuple(broadcast(*map(array_value, args)))


# -- joining -----------------------------------------------------------------------------------------------------


def _arrays(arrays: Any) -> list[Value]:
    if not isinstance(arrays, (list, tuple)):
        arrays = [getitem(arrays, k) for k in range(shape_of(arrays)[0])]
    return [array_value(a) for a in arrays]


def concatenate(
    arrays: Any, axis: int | None = 0, out: Any = None, dtype: Any = None, casting: Any = None
) -> Value:
    """`np.concatenate`."""
    unsupported("concatenate", out=out)
    arrays = _arrays(arrays)
    if axis is None:
        arrays, axis = [ravel(a) for a in arrays], 0
    if any(len(a.shape) == 0 for a in arrays):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    axis = axis_of(axis, len(arrays[0].shape))
    if len({a.shape[:axis] + a.shape[axis + 1 :] for a in arrays}) > 1:
        np.concatenate([standin(a) for a in arrays], axis)  # raises NumPy's own error
    common = np.dtype(dtype) if dtype is not None else result_type(*arrays)
    arrays = [convert(a, common) for a in arrays]
    return arrays[0] if len(arrays) == 1 else lax.concatenate(arrays, axis)


def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: Any = None) -> Value:
    """`np.stack`."""
    unsupported("stack", out=out)
    arrays = _arrays(arrays)
    if len({a.shape for a in arrays}) > 1:
        raise ValueError("all input arrays must have the same shape")
    return concatenate([expand_dims(a, axis) for a in arrays], axis, dtype=dtype)


def hstack(tup: Any, *, dtype: Any = None, casting: Any = None) -> Value:
    """`np.hstack`."""
    arrays = [atleast(1)(a) for a in _arrays(tup)]
    return concatenate(arrays, 0 if arrays and len(arrays[0].shape) == 1 else 1, dtype=dtype)


def vstack(tup: Any, *, dtype: Any = None, casting: Any = None) -> Value:
    """`np.vstack`."""
    return concatenate([atleast(2)(a) for a in _arrays(tup)], 0, dtype=dtype)


def dstack(tup: Any) -> Value:
    """`np.dstack`."""
    return concatenate([atleast(3)(a) for a in _arrays(tup)], 2)


def column_stack(tup: Any) -> Value:
    """`np.column_stack`."""
    arrays = _arrays(tup)
    return concatenate([reshape(a, (-1, 1)) if len(a.shape) < 2 else a for a in arrays], 1)


def block(arrays: Any) -> Value:
    """`np.block`."""
    depth, ndim = _depth(arrays), _largest_ndim(arrays)
    ndim = max(depth, ndim)

    def join(content: Any, level: int) -> Value:
        if not isinstance(content, list):
            value = array_value(content)
            return reshape(value, (1,) * (ndim - len(value.shape)) + tuple(value.shape))
        return concatenate([join(item, level + 1) for item in content], level - depth)

    return join(arrays, 0)


def _depth(content: Any) -> int:
    return 1 + max(map(_depth, content)) if isinstance(content, list) else 0


def _largest_ndim(content: Any) -> int:
    return (
        max(map(_largest_ndim, content)) if isinstance(content, list) else len(shape_of(array_value(content)))
    )


def append(arr: Any, values: Any, axis: int | None = None) -> Value:
    """`np.append`."""
    if axis is None:
        return concatenate([ravel(array_value(arr)), ravel(array_value(values))])
    return concatenate([arr, values], axis)


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Value:
    """`np.insert` at constant places."""
    _constant_places("insert", obj)
    arr, values = array_value(arr), array_value(values)
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = axis_of(axis, len(arr.shape))
    old = np.arange(1, arr.shape[axis] + 1)
    shape = np.insert(standin(arr), obj, np.zeros(values.shape, bool), axis).shape
    count = shape[axis] - arr.shape[axis]
    marks = np.insert(old, obj, -np.arange(1, count + 1))
    if np.ndim(obj) == 0 and not isinstance(obj, slice):
        values = moveaxis(
            reshape(values, (1,) * (len(arr.shape) - len(values.shape)) + tuple(values.shape)), 0, axis
        )
    new_shape = tuple(count if k == axis else length for k, length in enumerate(arr.shape))
    joined = concatenate([arr, _broadcast_to(convert(values, dtype_of(arr)), new_shape)], axis)
    order = np.where(marks > 0, marks - 1, arr.shape[axis] - marks - 1)
    return getitem(joined, (_ALL,) * axis + (order,))


def delete(arr: Any, obj: Any, axis: int | None = None) -> Value:
    """`np.delete` at constant places."""
    _constant_places("delete", obj)
    arr = array_value(arr)
    if axis is None:
        arr, axis = ravel(arr), 0
    axis = axis_of(axis, len(arr.shape))
    kept = np.delete(np.arange(arr.shape[axis]), obj)
    return getitem(arr, (_ALL,) * axis + (kept,))


def _constant_places(name: str, places: Any) -> None:
    if any_traced(places):
        raise refused(
            f"np.{name} at places that depend on the parameters",
            "cannot be traced",
            "Use np.where with a mask.",
        )


# -- splitting ---------------------------------------------------------------------------------------------------


def _split_by(function: Any, axis: int | None = None) -> Rule:
    def rule(ary: Any, indices_or_sections: Any, *where: Any, **named: Any) -> list[Value]:
        ary = array_value(ary)
        along = named.get("axis", where[0] if where else 0) if axis is None else axis
        if function is np.hsplit and len(ary.shape) == 1:
            along = 0
        function(standin(ary), indices_or_sections, *where, **named)  # raises NumPy's own errors
        along = axis_of(along, len(ary.shape))
        parts = np.array_split(np.arange(ary.shape[along]), indices_or_sections)
        ends = np.cumsum([0] + [len(part) for part in parts])
        if np.ndim(indices_or_sections):
            edges = [0, *np.asarray(indices_or_sections).tolist(), ary.shape[along]]
            pieces = [slice(a, b) for a, b in pairwise(edges)]
        else:
            pieces = [slice(int(a), int(b)) for a, b in pairwise(ends)]
        return [getitem(ary, (_ALL,) * along + (piece,)) for piece in pieces]

    return rule


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Value, ...]:
    """`np.unstack`."""
    axis = axis_of(axis, len(shape_of(x)))
    return tuple(getitem(x, (_ALL,) * axis + (k,)) for k in range(shape_of(x)[axis]))


# -- repeating and turning -----------------------------------------------------------------------------------------


def tile(A: Any, reps: Any) -> Value:
    """`np.tile`."""
    A = array_value(A)
    reps = tuple(np.atleast_1d(reps).tolist())
    ndim = max(len(reps), len(A.shape))
    reps = (1,) * (ndim - len(reps)) + reps
    shape = (1,) * (ndim - len(A.shape)) + tuple(A.shape)
    spread = tuple(part for length in shape for part in (1, length))
    repeated = tuple(part for rep, length in zip(reps, shape, strict=True) for part in (rep, length))
    return reshape(
        _broadcast_to(reshape(A, spread), repeated), tuple(r * n for r, n in zip(reps, shape, strict=True))
    )


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Value:
    """`np.repeat` by constant counts."""
    if any_traced(repeats):
        raise refused(
            "np.repeat with counts that depend on the parameters",
            "cannot be traced",
            "The length must be fixed.",
        )
    a = array_value(a)
    if axis is None:
        a, axis = ravel(a), 0
    axis = axis_of(axis, len(a.shape))
    counts = np.asarray(repeats)
    shape = tuple(a.shape)
    if counts.size == 1 and int(counts.reshape(())) > 0:
        count = int(counts.reshape(()))
        spread = _broadcast_to(expand_dims(a, axis + 1), (*shape[: axis + 1], count, *shape[axis + 1 :]))
        return reshape(spread, (*shape[:axis], shape[axis] * count, *shape[axis + 1 :]))
    return getitem(a, (_ALL,) * axis + (np.repeat(np.arange(shape[axis]), counts),))


def resize(a: Any, new_shape: Any) -> Value:
    """`np.resize`: the entries again and again until the shape is full."""
    flat = ravel(a)
    shape = tuple(np.atleast_1d(new_shape).tolist())
    size = int(np.prod(shape))
    return reshape(getitem(flat, np.arange(size) % max(1, shape_of(flat)[0])), shape)


def flip(m: Any, axis: Any = None) -> Value:
    """`np.flip`."""
    m = array_value(m)
    axes = axes_of(axis, len(m.shape))
    return lax.rev(m, axes) if axes else m


def fliplr(m: Any) -> Value:
    """`np.fliplr`."""
    if len(shape_of(m)) < 2:
        raise ValueError("Input must be >= 2-d.")
    return flip(m, 1)


def flipud(m: Any) -> Value:
    """`np.flipud`."""
    return flip(m, 0)


def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Value:
    """`np.rot90`."""
    first, second = axes_of(axes, len(shape_of(m)))
    k %= 4
    if k == 0:
        return m
    if k == 2:
        return flip(m, (first, second))
    if k == 1:
        return swapaxes(flip(m, second), first, second)
    return flip(swapaxes(m, first, second), second)


def roll(a: Any, shift: Any, axis: Any = None) -> Value:
    """`np.roll` by constant shifts: two slices side by side."""
    if any_traced(shift):
        raise refused("np.roll by a shift that depends on the parameters", "has no slope", "Use np.interp.")
    a = array_value(a)
    if axis is None:
        return reshape(roll(ravel(a), int(np.sum(shift)), 0), a.shape)
    shifts, axes = np.broadcast_arrays(np.atleast_1d(shift), np.atleast_1d(axis))
    for by, along in zip(shifts.tolist(), axes.tolist(), strict=True):
        along = axis_of(along, len(a.shape))
        length = a.shape[along]
        cut = -by % length if length else 0
        if cut:
            before, after = (_ALL,) * along + (slice(cut),), (_ALL,) * along + (slice(cut, None),)
            a = lax.concatenate([getitem(a, after), getitem(a, before)], along)
    return a


def sliding_window_view(x: Any, window_shape: Any, axis: Any = None, **views: Any) -> Value:
    """`np.lib.stride_tricks.sliding_window_view`: its entries, picked by where NumPy's own windows lie."""
    x = array_value(x)
    places = np.arange(int(np.prod(x.shape))).reshape(x.shape)
    return getitem(ravel(x), np.lib.stride_tricks.sliding_window_view(places, window_shape, axis, **views))


def pad(array: Any, pad_width: Any, mode: Any = "constant", **settings: Any) -> Value:
    """`np.pad`: constant values, or entries of the array itself; every mode that copies entries."""
    array = array_value(array)
    widths = _pad_widths(pad_width, len(array.shape))
    if mode in ("empty", "constant"):
        return _pad_constant(array, widths, settings.get("constant_values", 0))
    if mode == "linear_ramp":
        return _pad_ramp(array, widths, settings.get("end_values", 0))
    if mode not in ("edge", "reflect", "symmetric", "wrap") or settings.get("reflect_type", "even") != "even":
        raise refused(f"np.pad(..., mode={mode!r})", "has no rule", "Join the parts with np.concatenate.")
    for axis, width in enumerate(widths):
        if any(width):
            order = np.pad(np.arange(array.shape[axis]), width, mode=mode)
            array = getitem(array, (_ALL,) * axis + (order,))
    return array


def _pad_widths(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    if isinstance(pad_width, dict):
        given = {axis_of(k, ndim): v for k, v in pad_width.items()}
        pad_width = [
            given.get(k, 0) if np.ndim(given.get(k, 0)) else (given.get(k, 0),) * 2 for k in range(ndim)
        ]
    return [tuple(pair) for pair in np.broadcast_to(np.asarray(pad_width, int), (ndim, 2)).tolist()]


def _pair(values: Any, axis: int, ndim: int) -> tuple[Value, Value]:
    values = _broadcast_to(array_value(values), (ndim, 2))
    return getitem(values, (axis, 0)), getitem(values, (axis, 1))


def _pad_constant(array: Value, widths: Sequence[tuple[int, int]], values: Any) -> Value:
    if shape_of(array_value(values)) == ():
        fill = convert(array_value(values), dtype_of(array))
        return lax.pad(array, fill, [(low, high, 0) for low, high in widths])
    for axis, (low, high) in enumerate(widths):
        ends = _pair(values, axis, len(widths))
        array = _between(array, axis, (low, high), ends)
    return array


def _between(array: Value, axis: int, width: tuple[int, int], ends: Sequence[Value]) -> Value:
    parts = [array]
    for side, (count, end) in enumerate(zip(width, ends, strict=True)):
        shape = tuple(count if k == axis else length for k, length in enumerate(array.shape))
        part = _broadcast_to(convert(end, dtype_of(array)), shape)
        parts = [part, *parts] if side == 0 else [*parts, part]
    return concatenate(parts, axis)


def _pad_ramp(array: Value, widths: Sequence[tuple[int, int]], values: Any) -> Value:
    if dtype_of(array).kind not in "fc":
        raise refused(
            "np.pad(..., mode='linear_ramp') of whole numbers", "has no rule", "Use .astype(float)."
        )
    for axis, (low, high) in enumerate(widths):
        first, last = _pair(values, axis, len(widths))
        parts = [array]
        for count, end, edge, before in ((low, first, 0, True), (high, last, -1, False)):
            if count:
                weight = np.arange(count) / count
                weight = (weight if before else weight[::-1]).reshape(
                    [-1 if k == axis else 1 for k in range(len(array.shape))]
                )
                border = getitem(array, (_ALL,) * axis + ((slice(0, 1) if edge == 0 else slice(-1, None)),))
                ramp = convert(multiply(1.0, end), dtype_of(array))
                part = multiply(border, weight)
                part = add(part, multiply(ramp, subtract(1.0, weight)))
                parts = [part, *parts] if before else [*parts, part]
        array = concatenate(parts, axis)
    return array


# -- diagonals and triangles -----------------------------------------------------------------------------------------


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """`np.diagonal`."""
    a = moveaxis(a, (axis1, axis2), (-2, -1))
    rows, columns = a.shape[-2:]
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    k = np.arange(length)
    return getitem(a, (Ellipsis, k + max(0, -offset), k + max(0, offset)))


def diag(v: Any, k: int = 0) -> Value:
    """`np.diag`."""
    v = array_value(v)
    if len(v.shape) == 2:
        return diagonal(v, k)
    if len(v.shape) != 1:
        raise ValueError("Input must be 1- or 2-d.")
    size = v.shape[0] + abs(k)
    places = np.arange(v.shape[0])
    whole = np.zeros((size, size), dtype_of(v))
    return setitem(whole, (places + max(0, -k), places + max(0, k)), v)


def diagflat(v: Any, k: int = 0) -> Value:
    """`np.diagflat`."""
    return diag(ravel(v), k)


def _triangle(mask: Any) -> Rule:
    def rule(m: Any, k: int = 0) -> Value:
        m = array_value(m)
        if len(m.shape) < 2:
            m = _broadcast_to(m, (m.shape[0], m.shape[0]))
        keep = mask(np.ones(m.shape[-2:], bool), k)
        return multiply_where(keep, m)

    return rule


def multiply_where(keep: np.ndarray, m: Value) -> Value:
    """`m` where `keep`, zero elsewhere (also where `m` is not finite)."""
    return choose(_broadcast_to(keep, m.shape), m, np.zeros((), dtype_of(m)))


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: Any = "xy") -> tuple[Value, ...]:
    """`np.meshgrid`."""
    values = [ravel(array_value(x)) for x in xi]
    shapes = [g.shape for g in np.meshgrid(*map(standin, values), sparse=True, indexing=indexing)]
    grids = [reshape(value, shape) for value, shape in zip(values, shapes, strict=True)]
    return tuple(grids) if sparse else tuple(broadcast(*grids))


def ix_(*args: Any) -> tuple[Value, ...]:
    """`np.ix_`."""
    return tuple(
        reshape(a, tuple(-1 if j == k else 1 for j in range(len(args))))
        for k, a in enumerate(map(array_value, args))
    )


def real(val: Any) -> Value:
    """`np.real`."""
    return lax.real(val) if dtype_of(array_value(val)).kind == "c" else array_value(val)


def imag(val: Any) -> Value:
    """`np.imag`."""
    val = array_value(val)
    return lax.imag(val) if dtype_of(val).kind == "c" else np.zeros(val.shape, dtype_of(val))


FUNCTIONS: dict[Any, Rule] = {
    np.reshape: reshape,
    np.ravel: ravel,
    np.transpose: transpose,
    np.permute_dims: transpose,
    np.moveaxis: moveaxis,
    np.rollaxis: rollaxis,
    np.swapaxes: swapaxes,
    np.matrix_transpose: matrix_transpose,
    np.linalg.matrix_transpose: matrix_transpose,
    np.squeeze: squeeze,
    np.expand_dims: expand_dims,
    np.atleast_1d: atleast(1),
    np.atleast_2d: atleast(2),
    np.atleast_3d: atleast(3),
    np.broadcast_to: broadcast_to,
    np.broadcast_arrays: broadcast_arrays,
    np.concatenate: concatenate,
    np.stack: stack,
    np.hstack: hstack,
    np.vstack: vstack,
    np.dstack: dstack,
    np.column_stack: column_stack,
    np.block: block,
    np.append: append,
    np.insert: insert,
    np.delete: delete,
    np.split: _split_by(np.split),
    np.array_split: _split_by(np.array_split),
    np.hsplit: _split_by(np.hsplit, 1),
    np.vsplit: _split_by(np.vsplit, 0),
    np.dsplit: _split_by(np.dsplit, 2),
    np.unstack: unstack,
    np.tile: tile,
    np.repeat: repeat,
    np.resize: resize,
    np.flip: flip,
    np.fliplr: fliplr,
    np.flipud: flipud,
    np.rot90: rot90,
    np.roll: roll,
    np.lib.stride_tricks.sliding_window_view: sliding_window_view,
    np.pad: pad,
    np.diagonal: diagonal,
    np.diag: diag,
    np.diagflat: diagflat,
    np.tril: _triangle(np.tril),
    np.triu: _triangle(np.triu),
    np.meshgrid: meshgrid,
    np.ix_: ix_,
    np.real: real,
    np.imag: imag,
}
