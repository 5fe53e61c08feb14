"""Gather, scatter and slices at places known only at run time, by arithmetic on flat indices.

The semantics are XLA's (https://openxla.org/xla/operation_semantics#gather): an index vector says where each
window starts; windows are read from, or written into, the operand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .rows import Code, Context, NoRule, Row, call


def _mode(equation: Any) -> str:
    """One of "clip", "fill" (out of bounds is filled, or dropped) and "promise" (always in bounds)."""
    name = getattr(equation.params["mode"], "name", str(equation.params["mode"]))
    modes = {"CLIP": "clip", "FILL_OR_DROP": "fill", "PROMISE_IN_BOUNDS": "promise"}
    if name not in modes:
        raise NoRule(equation.primitive.name, f"mode {name}")
    return modes[name]


@dataclass(frozen=True)
class Windows:
    """Where the windows of one gather or scatter lie in the flat operand.

    `mapped[i]` is the operand dimension that column i of the index array moves along; `batching` pairs
    operand dimensions with dimensions of the index array; `window` are the remaining operand dimensions and
    `sizes` the window's extent in every operand dimension.
    """

    shape: tuple[int, ...]
    mapped: tuple[int, ...]
    batching: tuple[tuple[int, int], ...]
    window: tuple[int, ...]
    sizes: tuple[int, ...]
    mode: str

    def flat(self, indices: Any) -> tuple[Any, Any | None]:
        """Flat positions, shape (batch…, window…), and which windows are inside (None: all), (batch…)."""
        indices = np.asarray(indices)
        batch = indices.shape[:-1]
        strides = [math.prod(self.shape[d + 1 :]) for d in range(len(self.shape))]
        flat: Any = np.zeros((1,) * len(batch), np.intp)
        inside: Any = None
        for column, dimension in enumerate(self.mapped):
            start = indices[..., column].astype(np.intp)
            last = self.shape[dimension] - self.sizes[dimension]
            if self.mode == "fill":
                fits = (start >= 0) & (start <= last)
                if not fits.all():
                    inside = fits if inside is None else inside & fits
            start = np.minimum(np.maximum(start, 0), last)
            flat = flat + start * strides[dimension]
        for dimension, axis in self.batching:
            along = np.arange(batch[axis]).reshape([-1 if d == axis else 1 for d in range(len(batch))])
            flat = flat + along * strides[dimension]
        flat = np.broadcast_to(flat, batch).reshape(batch + (1,) * len(self.window))
        for place, dimension in enumerate(self.window):
            offsets = np.arange(self.sizes[dimension]) * strides[dimension]
            flat = flat + offsets.reshape([-1 if p == place else 1 for p in range(len(self.window))])
        return flat, inside


def _positions(windows: Windows, context: Context, operand: int) -> Callable[[Any], tuple[Any, Any | None]]:
    """`windows.flat`, worked out once where the indices are constant."""
    if operand in context.constants:
        known = windows.flat(context.constants[operand])
        return lambda indices: known
    return windows.flat


def _gather_windows(equation: Any) -> Windows:
    """Where a gather reads."""
    params, numbers = equation.params, equation.params["dimension_numbers"]
    shape = tuple(equation.invars[0].aval.shape)
    collapsed = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    return Windows(
        shape=shape,
        mapped=tuple(numbers.start_index_map),
        batching=tuple(zip(numbers.operand_batching_dims, numbers.start_indices_batching_dims, strict=True)),
        window=tuple(d for d in range(len(shape)) if d not in collapsed),
        sizes=tuple(int(s) for s in params["slice_sizes"]),
        mode=_mode(equation),
    )


def even_rows(equation: Any, indices: Any) -> tuple[int, slice] | None:
    """The dimension along which a gather at these `indices` reads whole rows, and the slice that reads the same.

    None where they do not follow one another at an equal distance, lie outside, or end up in another order.
    """
    windows, places = _gather_windows(equation), np.asarray(indices)
    if not _has_rows(windows) or places.ndim != 2 or windows.mapped[0] in windows.window:
        return None
    (axis,) = windows.mapped
    if axis in equation.params["dimension_numbers"].offset_dims:
        return None
    rows, last = places[:, 0], windows.shape[axis] - 1
    inside = np.clip(rows, 0, last)
    if windows.mode == "fill" and not np.array_equal(rows, inside):
        return None
    stretch = _stretch(inside.astype(np.intp))
    return None if stretch is None else (axis, stretch)


def _gather(equation: Any, context: Context) -> Code:
    params, numbers = equation.params, equation.params["dimension_numbers"]
    operand, output = equation.invars[0].aval, equation.outvars[0].aval
    windows = _gather_windows(equation)
    window, offsets = windows.window, tuple(numbers.offset_dims)
    rank, batches = len(output.shape), len(output.shape) - len(offsets)
    # Result dimensions in terms of (batch…, window…).
    order = _interleaved(rank, offsets, batches)
    fill = _fill_value(params["fill_value"], operand.dtype)

    if 1 in context.constants and _has_rows(windows):
        known = context.constants[1]
        places = [*("batch" for _ in range(batches)), *window]
        laid = [places[o] for o in order if places[o] != windows.mapped[0]]
        wanted = ["batch" if d in windows.mapped else d for d in range(len(operand.shape))]
        if laid == wanted and (windows.mode != "fill" or windows.flat(known)[1] is None):
            return call(_take_at(known, windows, output.shape), 2)
    if _is_take(windows):
        (axis,) = windows.mapped
        rest = [d for d in range(len(operand.shape)) if d != axis]
        # np.take gives (before axis, batch…, after axis).
        taken = [batches + rest.index(d) for d in rest if d < axis]
        taken += [*range(batches), *(batches + rest.index(d) for d in rest if d > axis)]
        permutation = tuple(taken.index(o) for o in order)
        plain = permutation == tuple(range(rank))

        def take(x: Any, indices: Any) -> Any:
            result = np.take(x, np.asarray(indices)[..., 0], axis=axis, mode="clip")
            return result if plain else result.transpose(permutation)

        return call(take, 2)

    positions = _positions(windows, context, 1)

    def gather(x: Any, indices: Any) -> Any:
        flat, inside = positions(indices)
        result = np.asarray(x).reshape(-1).take(flat, mode="clip")
        if inside is not None:
            result = np.where(inside.reshape(inside.shape + (1,) * len(window)), result, fill)
        return result.transpose(order)[()]

    return call(gather, 2)


def _take_at(indices: Any, windows: Windows, shape: tuple[int, ...]) -> Callable[[Any, Any], Any]:
    """Whole rows at places known before, in an array of `shape`."""
    (axis,) = windows.mapped
    rows = np.clip(np.asarray(indices)[..., 0], 0, windows.shape[axis] - 1).astype(np.intp)
    return lambda x, indices: x.take(rows, axis).reshape(shape)


def _stretch(places: Any) -> slice | None:
    """Places (k,) that follow one another at an equal distance, as a slice, which is read in a tenth of the time."""
    if places.ndim != 1 or not places.size:
        return None
    first, step = int(places[0]), int(places[1] - places[0]) if places.size > 1 else 1
    if step <= 0 or (np.diff(places) != step).any():
        return None
    return slice(first, int(places[-1]) + 1, step)


def _is_take(windows: Windows) -> bool:
    """Whole rows along one dimension, never out of bounds (or clipped): `np.take`."""
    return windows.mode != "fill" and _has_rows(windows) and windows.mapped[0] not in windows.window


def _has_rows(windows: Windows) -> bool:
    """Whether each window is a whole row along one dimension, and some are there."""
    if windows.batching or len(windows.mapped) != 1:
        return False
    (axis,) = windows.mapped
    whole = all(windows.sizes[d] == size for d, size in enumerate(windows.shape) if d != axis)
    return whole and windows.sizes[axis] == 1 and windows.shape[axis] > 0


def _interleaved(rank: int, window_places: tuple[int, ...], batches: int) -> tuple[int, ...]:
    order, batch, window = [], 0, batches
    for place in range(rank):
        if place in window_places:
            order.append(window)
            window += 1
        else:
            order.append(batch)
            batch += 1
    return tuple(order)


def _fill_value(given: Any, dtype: np.dtype[Any]) -> Any:
    if given is not None:
        return dtype.type(given)
    if dtype.kind in "fc":
        return dtype.type(np.nan)
    if dtype.kind == "b":
        return dtype.type(True)
    return dtype.type(np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max)


def scatter_windows(equation: Any) -> tuple[Windows, tuple[int, ...]]:
    """Where the updates of a scatter land, and the order of their dimensions as (batch…, window…)."""
    numbers = equation.params["dimension_numbers"]
    operand, updates = equation.invars[0].aval, equation.invars[2].aval
    inserted = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    window = tuple(d for d in range(len(operand.shape)) if d not in inserted)
    sizes = [1] * len(operand.shape)
    for dimension, place in zip(window, numbers.update_window_dims, strict=True):
        sizes[dimension] = updates.shape[place]
    mode = _mode(equation)
    windows = Windows(
        shape=tuple(operand.shape),
        mapped=tuple(numbers.scatter_dims_to_operand_dims),
        batching=tuple(
            zip(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims, strict=True)
        ),
        window=window,
        sizes=tuple(sizes),
        # XLA drops what a scatter would write out of bounds.
        mode="clip" if mode == "clip" else "fill",
    )
    places = tuple(numbers.update_window_dims)
    return windows, (*(d for d in range(len(updates.shape)) if d not in places), *places)


def _scatter(combine: np.ufunc | None) -> Row:
    """One kind of scatter; without `combine` the update replaces what was there."""

    def row(equation: Any, context: Context) -> Code:
        windows, order = scatter_windows(equation)
        unique = bool(equation.params["unique_indices"])
        positions = _positions(windows, context, 1)
        dtype = equation.invars[0].aval.dtype
        if 1 in context.constants:
            return call(_scatter_at(windows, context.constants[1], order, dtype, combine, unique), 3)

        def scatter(x: Any, indices: Any, values: Any) -> Any:
            flat, inside = positions(indices)
            result = np.array(x, dtype=dtype, order="C")
            target = result.reshape(-1)
            values = np.broadcast_to(np.asarray(values, dtype).transpose(order), flat.shape)
            if inside is not None:
                flat, values = flat[inside], values[inside]
            if combine is None:
                target[flat] = values
            elif unique:
                target[flat] = combine(target[flat], values)
            else:
                combine.at(target, flat.reshape(-1), values.reshape(-1))
            return result[()]

        return call(scatter, 3)

    return row


def _scatter_at(
    windows: Windows, indices: Any, order: tuple[int, ...], dtype: Any, combine: np.ufunc | None, unique: bool
) -> Callable[[Any, Any, Any], Any]:
    """A scatter to places known before: what follows from them is worked out once."""
    flat, inside = windows.flat(indices)
    by_rows = _has_rows(windows) and np.ndim(indices) == 2 and inside is None
    if by_rows:
        (axis,) = windows.mapped
        rows = np.clip(np.asarray(indices)[:, 0].astype(np.intp), 0, windows.shape[axis] - 1)
        unique = unique or _all_differ(rows)
        # Rows that meet are combined element by element: `ufunc.at` takes a tenth of the time along one dimension.
        by_rows = unique or combine is None
    if by_rows:
        # The updates as the operand lies, the batch in place of the dimension along which there are rows.
        window = list(zip(windows.window, order[1:], strict=True))
        before, after = ([o for d, o in window if d < axis], [o for d, o in window if d >= axis])
        order = (*before, order[0], *after)
        shape = tuple(rows.size if d == axis else size for d, size in enumerate(windows.shape))
    else:
        axis, rows = 0, (flat if inside is None else flat[inside]).reshape(-1)
        shape = flat.shape
        unique = unique or _all_differ(rows)
    stretch = _stretch(rows)
    there: Any = (slice(None),) * axis + (rows if stretch is None else stretch,)
    plain = order == tuple(range(len(order)))

    def scatter(x: Any, indices: Any, values: Any) -> Any:
        result = np.array(x, dtype=dtype, order="C")
        target = result if by_rows else result.reshape(-1)
        values = np.asarray(values, dtype)
        values = (values if plain else values.transpose(order)).reshape(shape)
        if not by_rows:
            values = (values if inside is None else values[inside]).reshape(-1)
        if combine is None:
            target[there] = values
        elif unique:
            target[there] = combine(target[there], values)
        else:
            combine.at(target, there, values)
        return result[()]

    return scatter


def _all_differ(places: Any) -> bool:
    """Whether no two of the places (k,), none of them negative, are the same."""
    return bool(np.bincount(places).max(initial=0) <= 1)


def _starts(starts: Sequence[Any], shape: Sequence[int], sizes: Sequence[int]) -> tuple[slice, ...]:
    """XLA moves a slice that would leave the operand back inside."""
    clamped = [min(max(int(s), 0), n - size) for s, n, size in zip(starts, shape, sizes, strict=True)]
    return tuple(slice(s, s + size) for s, size in zip(clamped, sizes, strict=True))


def _dynamic_slice(equation: Any, context: Context) -> Code:
    shape = equation.invars[0].aval.shape
    sizes = tuple(int(s) for s in equation.params["slice_sizes"])
    return call(lambda x, *starts: x[_starts(starts, shape, sizes)], len(equation.invars), fresh=False)


def _dynamic_update_slice(equation: Any, context: Context) -> Code:
    shape, sizes = (var.aval.shape for var in equation.invars[:2])

    def update(x: Any, value: Any, *starts: Any) -> Any:
        result = np.array(x)
        result[_starts(starts, shape, sizes)] = value
        return result

    return call(update, len(equation.invars))


INDEXING: dict[str, Row] = {
    "gather": _gather,
    "scatter": _scatter(None),
    "scatter-add": _scatter(np.add),
    "scatter_add": _scatter(np.add),
    "scatter-sub": _scatter(np.subtract),
    "scatter-mul": _scatter(np.multiply),
    "scatter_mul": _scatter(np.multiply),
    "scatter-min": _scatter(np.minimum),
    "scatter_min": _scatter(np.minimum),
    "scatter-max": _scatter(np.maximum),
    "scatter_max": _scatter(np.maximum),
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
}
