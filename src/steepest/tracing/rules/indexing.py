"""Reading and writing parts of an array: NumPy's indexing on raw values.

What is known when tracing (whole numbers, slices, constant masks and index arrays) is checked against NumPy
itself, so that errors and shapes are NumPy's; slices become plain slices, index arrays one gather or scatter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from .values import (
    Rule,
    Shape,
    Tracer,
    Value,
    array_value,
    as_value,
    axis_of,
    broadcast_to,
    choose,
    convert,
    dtype_of,
    is_traced,
    refused,
    shape_of,
    standin,
    unsupported,
)


class Region(NamedTuple):
    """A box of an array: along each axis `start`, `limit`, `stride`; axes to reverse; the shape of the result."""

    starts: tuple[int, ...]
    limits: tuple[int, ...]
    strides: tuple[int, ...]
    reversed_axes: tuple[int, ...]
    shape: Shape

    @property
    def box(self) -> Shape:
        """Lengths along the axes of the array itself."""
        return tuple(
            -(-(limit - start) // stride)
            for start, limit, stride in zip(self.starts, self.limits, self.strides, strict=True)
        )


def getitem(x: Value, key: Any) -> Value:
    """`x[key]` with NumPy's full semantics.

    Raises IndexError as NumPy does; `TracingError` for a mask that depends on the parameters.
    An index that depends on the parameters and lies outside the array reads NaN.
    """
    entries = _entries(key)
    if not is_traced(x) and not _has_traced(entries):
        return np.asarray(x)[key]
    if _is_basic(entries):
        return _read(x, _region(shape_of(x), entries, key))
    _refuse_traced_masks(entries)
    key = _with_arrays(entries, shape_of(x))
    if not _has_traced(key):
        standin(x)[key]
        slices = _as_slices(key, x.ndim)
        if slices is not None:
            return _read(x, _region(x.shape, slices, slices))
    return _gather(x, key)


def setitem(x: Value, key: Any, value: Value) -> Value:
    """`x` after `x[key] = value`: the value is cast to the type of `x` and broadcast, as NumPy does.

    A mask that depends on the parameters is followed when the value is the same at every place it selects.
    """
    entries = _entries(key)
    value = array_value(value)
    x = array_value(x)
    if dtype_of(value).kind == "c" and dtype_of(x).kind != "c":
        raise TypeError("a complex value is stored into an array of real numbers; make it with dtype=complex")
    value = convert(value, dtype_of(x))
    if _is_basic(entries):
        return _write(x, _region(shape_of(x), entries, key), value)
    if len(entries) == 1 and is_traced(entries[0]) and entries[0].dtype == np.bool_:
        return _write_where(x, entries[0], value)
    _refuse_traced_masks(entries)
    key = _with_arrays(entries, shape_of(x))
    if _has_traced(key):
        return jnp.asarray(x).at[key].set(value, mode="drop")
    selected = standin(x)[key].shape if is_traced(x) else x[key].shape
    slices = _as_slices(key, len(shape_of(x)))
    if slices is not None:
        return _write(x, _region(shape_of(x), slices, slices), value)
    return _write_places(x, np.arange(np.size(standin(x))).reshape(shape_of(x))[key], _fit(value, selected))


# -- keys --------------------------------------------------------------------------------------------------------


def _entries(key: Any) -> tuple[Any, ...]:
    return key if type(key) is tuple else (key,)


def _is_basic(entries: Sequence[Any]) -> bool:
    for entry in entries:
        kind = type(entry)
        if kind is int or kind is slice or entry is None or entry is Ellipsis:
            continue
        if not isinstance(entry, np.integer):
            return False
    return True


def _has_traced(key: Sequence[Any]) -> bool:
    return any(isinstance(entry, Tracer) for entry in key)


def _refuse_traced_masks(entries: Sequence[Any]) -> None:
    for entry in entries:
        if isinstance(entry, Tracer) and entry.dtype == np.bool_:
            raise refused(
                "An array is indexed with a mask that depends on the parameters, and",
                "the length of the result would depend on them too",
                "Keep the shape and write np.where(mask, x, 0.0) (for a sum), or np.where(mask, a, b).",
            )


def _region(shape: Shape, entries: Sequence[Any], key: Any) -> Region:
    """The box that whole numbers, slices, None and an ellipsis select."""
    ndim = len(shape)
    taken = sum(1 for entry in entries if entry is not None and entry is not Ellipsis)
    starts, limits, strides, reverse, result = [], [], [], [], []
    if taken > ndim or sum(1 for entry in entries if entry is Ellipsis) > 1:
        np.broadcast_to(np.zeros((), bool), shape)[key]  # raises NumPy's own error
    axis = 0
    for entry in entries if any(entry is Ellipsis for entry in entries) else (*entries, Ellipsis):
        if entry is None:
            result.append(1)
        elif entry is Ellipsis:
            for _ in range(ndim - taken):
                starts.append(0)
                limits.append(shape[axis])
                strides.append(1)
                result.append(shape[axis])
                axis += 1
        elif isinstance(entry, slice):
            start, stop, step = entry.indices(shape[axis])
            places = range(start, stop, step)
            if not places:
                starts.append(0)
                limits.append(0)
            elif step > 0:
                starts.append(start)
                limits.append(places[-1] + 1)
            else:
                starts.append(places[-1])
                limits.append(start + 1)
                reverse.append(axis)
            strides.append(abs(step))
            result.append(len(places))
            axis += 1
        else:
            length = shape[axis]
            place = int(entry)
            if not -length <= place < length:
                raise IndexError(f"index {place} is out of bounds for axis {axis} with size {length}")
            place %= length
            starts.append(place)
            limits.append(place + 1)
            strides.append(1)
            axis += 1
    return Region(tuple(starts), tuple(limits), tuple(strides), tuple(reverse), tuple(result))


def _with_arrays(entries: Sequence[Any], shape: Shape) -> tuple[Any, ...]:
    """The key with an explicit slice for the ellipsis, masks as index arrays, lists as arrays."""
    found: list[Any] = []
    for entry in entries:
        if isinstance(entry, (list, tuple)):
            entry = as_value(list(entry))
            entry = entry.astype(np.intp) if not is_traced(entry) and entry.size == 0 else entry
        if isinstance(entry, Tracer):
            if entry.dtype.kind not in "iu":
                raise IndexError("arrays used as indices must be of integer (or boolean) type")
            found.append(entry)
        elif entry is None or entry is Ellipsis or isinstance(entry, (slice, int, np.integer)):
            found.append(np.asarray(entry) if isinstance(entry, bool) else entry)
        else:
            if np.asarray(entry).dtype.kind not in "iub":
                np.broadcast_to(np.zeros((), bool), shape)[entry]  # raises NumPy's own error
            found.append(np.asarray(entry))
    taken = sum(_axes_used(entry) for entry in found)
    if not any(entry is Ellipsis for entry in found):
        found.append(Ellipsis)
    if taken > len(shape) or sum(1 for entry in found if entry is Ellipsis) > 1:
        np.broadcast_to(np.zeros((), bool), shape)[
            tuple(np.zeros(e.shape, np.intp) if is_traced(e) else e for e in found)
        ]
    spelled: list[Any] = []
    axis = 0
    for entry in found:
        if entry is Ellipsis:
            # One that stands for no axis stays: it still keeps the index arrays beside it apart.
            spelled += [slice(None)] * (len(shape) - taken) or [Ellipsis]
            axis += len(shape) - taken
        elif isinstance(entry, np.ndarray) and entry.dtype == np.bool_ and entry.ndim > 0:
            _check_mask(entry, shape, axis)
            spelled += list(np.nonzero(entry))
            axis += entry.ndim
        elif isinstance(entry, np.ndarray) and entry.dtype == np.bool_:
            if not entry:
                raise refused("x[False]", "is not followed by a trace", "Write x[None][:0].")
            spelled.append(None)
        else:
            spelled.append(entry)
            axis += _axes_used(entry)
    return tuple(spelled)


def _axes_used(entry: Any) -> int:
    if entry is None or entry is Ellipsis:
        return 0
    if isinstance(entry, np.ndarray) and entry.dtype == np.bool_:
        return entry.ndim
    return 1


def _check_mask(mask: np.ndarray, shape: Shape, axis: int) -> None:
    for offset, length in enumerate(mask.shape):
        if shape[axis + offset] != length:
            raise IndexError(
                f"boolean index did not match indexed array along axis {axis + offset}; size of axis is "
                f"{shape[axis + offset]} but size of corresponding boolean axis is {length}"
            )


def _as_slices(key: Sequence[Any], ndim: int) -> tuple[Any, ...] | None:
    """The key with its one evenly spaced index array as a slice; None if it is not of that kind."""
    arrays = [entry for entry in key if isinstance(entry, np.ndarray)]
    if len(arrays) != 1 or arrays[0].ndim != 1 or arrays[0].size == 0:
        return None
    if any(isinstance(entry, (int, np.integer)) or entry is None or entry is Ellipsis for entry in key[:-1]):
        return None
    key = [entry for entry in key if entry is not Ellipsis]
    axis = next(k for k, entry in enumerate(key) if isinstance(entry, np.ndarray))
    places = arrays[0].astype(np.int64)
    if places.size == 1:
        if places[0] < 0:
            return None
        even = slice(int(places[0]), int(places[0]) + 1)
    else:
        step = int(places[1] - places[0])
        if step == 0 or places.min() < 0 or not np.all(np.diff(places) == step):
            return None
        after = int(places[-1]) + step
        even = slice(int(places[0]), after if after >= 0 else None, step)
    return (*key[:axis], even, *key[axis + 1 :])


# -- reading -----------------------------------------------------------------------------------------------------


def _read(x: Value, region: Region) -> Value:
    if not is_traced(x):
        x = np.asarray(x)
    shape = x.shape
    box = region.box
    if box != shape:
        strides = region.strides if any(stride != 1 for stride in region.strides) else None
        x = lax.slice(x, region.starts, region.limits, strides)
    if region.reversed_axes:
        x = lax.rev(x, region.reversed_axes)
    return x if box == region.shape else _reshaped(x, box, region.shape)


def _reshaped(x: Value, box: Shape, shape: Shape) -> Value:
    if len(box) == len(shape) + 1 and box[0] == 1 and box[1:] == shape:
        return lax.squeeze(x, (0,))
    return lax.reshape(x, shape)


def _gather(x: Value, key: Sequence[Any]) -> Value:
    """Index arrays, perhaps between slices: slices first, then one gather."""
    x, indices, place = _sliced(x, key)
    axes = tuple(axis for axis, _ in indices)
    at, batch, mode = _start_indices(x, indices)
    kept = tuple(axis for axis in range(x.ndim) if axis not in axes)
    depth = len(batch)
    # Where the batch axes go is NumPy's rule: at the first index array if all stand together, else in front.
    offsets = tuple(k if k < place else k + depth for k in range(len(kept)))
    numbers = lax.GatherDimensionNumbers(offset_dims=offsets, collapsed_slice_dims=axes, start_index_map=axes)
    sizes = tuple(1 if axis in axes else length for axis, length in enumerate(x.shape))
    return lax.gather(x, at, numbers, sizes, mode=mode)


def entries_at(x: Value, places: Value) -> Value:
    """Entries of a vector at places known to lie inside it: one gather without a check."""
    numbers = lax.GatherDimensionNumbers((), (0,), (0,))
    at = lax.reshape(places, (*shape_of(places), 1))
    return lax.gather(x, at, numbers, (1,), mode="promise_in_bounds")


def _sliced(x: Value, key: Sequence[Any]) -> tuple[Value, list[tuple[int, Value]], int]:
    """`x` after the slices of the key; its index arrays with their axes; where the result's batch axes go."""
    basic: list[Any] = []
    indices: list[tuple[int, Value]] = []
    positions: list[int] = []
    axis = 0
    for position, entry in enumerate(key):
        if entry is Ellipsis:
            continue
        if entry is None:
            basic.append(None)
            axis += 1
        elif isinstance(entry, slice):
            basic.append(entry)
            axis += 1
        else:
            basic.append(slice(None))
            indices.append((axis, entry))
            positions.append(position)
            axis += 1
    together = positions[-1] - positions[0] == len(positions) - 1
    place = indices[0][0] if together else 0
    x = x if is_traced(x) else np.asarray(x)
    return _read(x, _region(tuple(x.shape), basic, tuple(basic))), indices, place


def _start_indices(x: Value, indices: list[tuple[int, Value]]) -> tuple[Value, Shape, str]:
    """Index arrays side by side on a last axis, their common shape, and what to do outside the array."""
    batch = np.broadcast_shapes(*(np.shape(entry) for _, entry in indices))
    traced = any(is_traced(entry) for _, entry in indices)
    columns = []
    for axis, entry in indices:
        length = x.shape[axis]
        if is_traced(entry):
            entry = convert(entry, np.int64)
            entry = choose(lax.lt(entry, np.int64(0)), lax.add(entry, np.int64(length)), entry)
        else:
            entry = np.asarray(entry, np.int64)
            if entry.size and (entry.min() < -length or entry.max() >= length):
                worst = int(entry.max() if entry.max() >= length else entry.min())
                raise IndexError(f"index {worst} is out of bounds for axis {axis} with size {length}")
            entry = np.where(entry < 0, entry + length, entry)
        if traced:
            columns.append(lax.reshape(broadcast_to(entry, batch), (*batch, 1)))
        else:
            columns.append(np.broadcast_to(entry, batch)[..., None])
    if not traced:
        return np.concatenate(columns, axis=-1), batch, "promise_in_bounds"
    return (columns[0] if len(columns) == 1 else lax.concatenate(columns, len(batch))), batch, "fill"


# -- writing -----------------------------------------------------------------------------------------------------


def _write(x: Value, region: Region, value: Value) -> Value:
    box = region.box
    value = _fit(value, region.shape)
    if 0 in box:
        return x
    if any(stride != 1 and length > 1 for stride, length in zip(region.strides, box, strict=True)):
        places = np.arange(np.size(standin(x))).reshape(shape_of(x))
        places = places[tuple(slice(*bounds) for bounds in zip(*region[:3], strict=True))]
        places = np.flip(places, region.reversed_axes).reshape(region.shape)
        return _write_places(x, places, value)
    if box != region.shape:
        value = lax.reshape(value, box)
    if region.reversed_axes:
        value = lax.rev(value, region.reversed_axes)
    if box == shape_of(x):
        return value
    return lax.dynamic_update_slice(x, value, [np.int64(start) for start in region.starts])


def _fit(value: Value, shape: Shape) -> Value:
    """The value broadcast to the places it is stored in; leading axes of length one are dropped, as in NumPy."""
    mine = shape_of(value)
    if len(mine) > len(shape) and all(length == 1 for length in mine[: len(mine) - len(shape)]):
        value = lax.reshape(value, mine[len(mine) - len(shape) :])
    try:
        return broadcast_to(value, shape)
    except ValueError:
        raise ValueError(
            f"could not broadcast input array from shape {_spelled(mine)} into shape {_spelled(shape)}"
        ) from None


def _spelled(shape: Shape) -> str:
    return str(shape).replace(" ", "")


def _write_places(x: Value, places: np.ndarray, value: Value) -> Value:
    """Store at constant flat places; where one occurs twice the last value stays, as in NumPy."""
    shape = shape_of(x)
    flat = places.reshape(-1)
    content = lax.reshape(value, (flat.size,))
    _, last = np.unique(flat[::-1], return_index=True)
    if last.size != flat.size:
        kept = flat.size - 1 - last
        flat, content = flat[kept], getitem(content, kept)
    whole = lax.reshape(x, (int(np.prod(shape, dtype=np.int64)),))
    numbers = lax.ScatterDimensionNumbers((), (0,), (0,))
    found = lax.scatter(whole, flat[:, None], content, numbers, unique_indices=True, mode="promise_in_bounds")
    return found if len(shape) == 1 else lax.reshape(found, shape)


def _write_where(x: Value, mask: Value, value: Value) -> Value:
    shape, rest = shape_of(x), len(shape_of(x)) - mask.ndim
    if mask.shape != shape[: mask.ndim]:
        standin(x)[np.ones(mask.shape, bool)]
    if shape_of(value)[: len(shape_of(value)) - rest] not in ((), (1,)):
        raise refused(
            "Different values are stored at a mask that depends on the parameters, and",
            "how many it selects is not known while the cost is traced",
            "Write np.where(mask, values, x) with values of the shape of x.",
        )
    if len(shape_of(value)) > rest:
        value = lax.reshape(value, shape_of(value)[len(shape_of(value)) - rest :])
    return choose(broadcast_to(lax.reshape(mask, (*mask.shape, *(1,) * rest)), shape), value, x)


def add_at(x: Value, key: Any, value: Value) -> Value:
    """`np.add.at`: a place that occurs twice is added to twice."""
    value = convert(array_value(value), dtype_of(x))
    entries = _entries(key)
    _refuse_traced_masks(entries)
    key = _with_arrays(entries, shape_of(x)) if not _is_basic(entries) else key
    return jnp.asarray(x).at[key].add(value, mode="drop")


def changed_at(step: Rule) -> Rule:
    """`ufunc.at` for any ufunc: each round changes places that are all different."""

    def rule(x: Value, key: Any, *operand: Any) -> Value:
        if _has_traced(_entries(key)):
            raise refused(
                "ufunc.at at places that depend on the parameters", "cannot be traced", "Fix the places."
            )
        shape = shape_of(x)
        places = np.arange(np.size(standin(x))).reshape(shape)[key]
        flat = places.reshape(-1)
        values = [lax.reshape(_fit(array_value(v), places.shape), (flat.size,)) for v in operand]
        whole = lax.reshape(x, (np.size(standin(x)),))
        rest = np.arange(flat.size)
        while rest.size:
            _, first = np.unique(flat[rest], return_index=True)
            turn = rest[first]
            changed = step(getitem(whole, flat[turn]), *(getitem(v, turn) for v in values))
            whole = setitem(whole, flat[turn], changed)
            rest = np.delete(rest, first)
        return lax.reshape(whole, shape)

    return rule


# -- functions that index ----------------------------------------------------------------------------------------


def take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Value:
    """`np.take`."""
    unsupported("take", out=out)
    a, indices = array_value(a), as_value(indices)
    indices = indices if is_traced(indices) else np.asarray(indices)
    if axis is None:
        a, axis = lax.reshape(a, (int(np.prod(a.shape, dtype=np.int64)),)), 0
    axis = axis_of(axis, len(a.shape))
    length = a.shape[axis]
    if mode == "clip":
        indices = jnp.clip(indices, 0, length - 1) if is_traced(indices) else np.clip(indices, 0, length - 1)
    elif mode == "wrap":
        indices = jnp.mod(indices, length) if is_traced(indices) else np.mod(indices, length)
    return getitem(a, (slice(None),) * axis + (indices,))


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Value:
    """`np.take_along_axis`."""
    arr, key = _along_axis(arr, indices, axis)
    return getitem(arr, key)


def _along_axis(arr: Any, indices: Any, axis: int | None) -> tuple[Value, tuple[Any, ...]]:
    arr, indices = array_value(arr), array_value(indices)
    if axis is None:
        arr, axis = lax.reshape(arr, (int(np.prod(arr.shape, dtype=np.int64)),)), 0
    axis = axis_of(axis, len(arr.shape))
    if len(indices.shape) != len(arr.shape):
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    key: list[Any] = []
    for k, length in enumerate(arr.shape):
        if k == axis:
            key.append(indices)
        else:
            key.append(np.arange(length).reshape([-1 if j == k else 1 for j in range(len(arr.shape))]))
    return arr, tuple(key)


def put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None) -> Value:
    """The array after `np.put_along_axis`."""
    shape = shape_of(arr)
    arr, key = _along_axis(arr, indices, axis)
    found = setitem(arr, key, values)
    return found if axis is not None else lax.reshape(found, shape)


def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> Value:
    """The array after `np.put`."""
    shape = shape_of(a)
    places = np.asarray(ind).reshape(-1)
    if mode != "raise":
        size = int(np.prod(shape, dtype=np.int64))
        places = np.clip(places, 0, size - 1) if mode == "clip" else places % size
    values = lax.reshape(array_value(v), (int(np.prod(shape_of(array_value(v)), dtype=np.int64)),))
    if values.shape[0] not in (1, places.size):
        values = getitem(values, np.arange(places.size) % values.shape[0])
    flat = lax.reshape(array_value(a), (int(np.prod(shape, dtype=np.int64)),))
    return lax.reshape(setitem(flat, places, values), shape)


def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> Value:
    """The array after `np.copyto`."""
    src = convert(array_value(src), dtype_of(dst))
    src = _fit(src, shape_of(dst))
    return src if where is True else choose(as_value(where), src, dst)


def putmask(a: Any, mask: Any, values: Any) -> Value:
    """The array after `np.putmask`."""
    values = array_value(values)
    if shape_of(values) not in ((), (1,), shape_of(a)):
        repeated = np.arange(np.size(standin(a))) % max(1, np.size(standin(values)))
        values = lax.reshape(getitem(lax.reshape(values, (np.size(standin(values)),)), repeated), shape_of(a))
    return choose(as_value(mask), convert(values, dtype_of(a)), a)


def place(arr: Any, mask: Any, vals: Any) -> Value:
    """The array after `np.place` at a constant mask."""
    if is_traced(mask):
        raise refused(
            "np.place at a mask that depends on the parameters", "cannot be traced", "Write np.where."
        )
    places = np.flatnonzero(np.asarray(mask))
    vals = lax.reshape(array_value(vals), (np.size(standin(array_value(vals))),))
    return put(arr, places, getitem(vals, np.arange(places.size) % vals.shape[0]))


def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> Value:
    """The array after `np.fill_diagonal`."""
    shape = shape_of(a)
    marked = np.zeros(shape, bool)
    np.fill_diagonal(marked, True, wrap=wrap)
    places = np.flatnonzero(marked)
    return put(a, places, val)


# NumPy functions that change their first argument: the rule returns what it becomes.
IN_PLACE: dict[Any, Rule] = {
    np.put: put,
    np.put_along_axis: put_along_axis,
    np.place: place,
    np.putmask: putmask,
    np.copyto: copyto,
    np.fill_diagonal: fill_diagonal,
}

FUNCTIONS: dict[Any, Rule] = {np.take: take, np.take_along_axis: take_along_axis}
