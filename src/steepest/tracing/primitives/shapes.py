"""Primitives that move, repeat, reduce, order or contract whole arrays."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.extend.core as jex
import numpy as np

from .rows import Code, Context, NoRule, Row, call, text

# An iota larger than this is made anew at each call instead of being kept.
KEPT_IOTA = 1 << 16


def _output(equation: Any) -> Any:
    return equation.outvars[0].aval


def _ints(values: Sequence[Any]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


# Same elements, another shape.


def _reshape(equation: Any, context: Context) -> Code:
    """In the order of the operand's axes that its dimensions give; only jaxprs as JAX records them have any."""
    order = equation.params["dimensions"]
    if order is None:
        return _reshaped(equation, context)
    shape, permutation = _output(equation).shape, _ints(order)
    return call(lambda x: np.reshape(np.transpose(x, permutation), shape), fresh=False)


def _reshaped(equation: Any, context: Context) -> Code:
    shape = _output(equation).shape
    if shape == equation.invars[0].aval.shape:
        return Code("{0}", fresh=False)
    if shape == ():
        return text("{function}({0}, ())[()]", function=np.reshape)
    if equation.invars[0].aval.shape:
        return text("{0}.reshape({shape})", fresh=False, shape=shape)
    # A number may be Python's own.
    return text("{function}({0}, {shape})", fresh=False, function=np.reshape, shape=shape)


def _broadcast(equation: Any, context: Context) -> Code:
    """`np.broadcast_to` of the operand with its dimensions put in place; one dimension long where new."""
    shape, source = _output(equation).shape, equation.invars[0].aval.shape
    if source == shape:
        return Code("{0}", fresh=False)
    placed = broadcast_shape(equation)
    if placed == shape:
        return text("{function}({0}, {shape})", fresh=False, function=np.reshape, shape=shape)
    dtype = _output(equation).dtype

    def broadcast(x: Any) -> Any:
        return np.broadcast_to(np.reshape(np.asarray(x, dtype), placed), shape)

    return call(broadcast, fresh=False)


def broadcast_shape(equation: Any) -> tuple[int, ...]:
    """Shape of the operand of a `broadcast_in_dim`, padded with ones to the rank of the result."""
    shape = [1] * len(_output(equation).shape)
    for own, place in enumerate(equation.params["broadcast_dimensions"]):
        shape[int(place)] = equation.invars[0].aval.shape[own]
    return tuple(shape)


def _transpose(equation: Any, context: Context) -> Code:
    permutation = _ints(equation.params["permutation"])
    if permutation == tuple(range(len(permutation))):
        return Code("{0}", fresh=False)
    if permutation == (1, 0):
        return Code("{0}.T", fresh=False)
    return text("{0}.transpose({permutation})", fresh=False, permutation=permutation)


def _reverse(equation: Any, context: Context) -> Code:
    dimensions = {int(d) for d in equation.params["dimensions"]}
    rank = len(_output(equation).shape)
    if not rank:
        return Code("{0}", fresh=False)
    return Code(f"{{0}}[{', '.join('::-1' if d in dimensions else ':' for d in range(rank))}]", fresh=False)


def _slice(equation: Any, context: Context) -> Code:
    parts = slice_texts(equation)
    return Code(f"{{0}}[{', '.join(parts)}]" if parts else "{0}", fresh=False)


def slice_texts(equation: Any) -> list[str]:
    """A `slice` as the texts between the brackets of basic indexing."""
    params, shape = equation.params, equation.invars[0].aval.shape
    starts, limits = _ints(params["start_indices"]), _ints(params["limit_indices"])
    strides = _ints(params["strides"]) if params["strides"] is not None else (1,) * len(shape)
    parts = []
    for start, limit, stride, length in zip(starts, limits, strides, shape, strict=True):
        part = f"{start or ''}:{'' if limit == length else limit}"
        parts.append(part if stride == 1 else f"{part}:{stride}")
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return parts


def _split(equation: Any, context: Context) -> Code:
    axis, sizes = int(equation.params["axis"]), _ints(equation.params["sizes"])
    if len(sizes) == 1:
        return Code("{0}", fresh=False)
    ends = tuple(np.cumsum(sizes)[:-1].tolist())
    return text(
        "{function}({0}, {ends}, {axis})",
        fresh=False,
        function=lambda *a: tuple(np.split(*a)),
        ends=ends,
        axis=axis,
    )


def _concatenate(equation: Any, context: Context) -> Code:
    operands = ", ".join(f"{{{i}}}" for i in range(len(equation.invars)))
    axis = int(equation.params["dimension"])
    return text(f"{{function}}(({operands},), {{axis}})", function=np.concatenate, axis=axis)


def _stack(equation: Any, context: Context) -> Code:
    operands = ", ".join(f"{{{i}}}" for i in range(len(equation.invars)))
    return text(
        f"{{function}}(({operands},), {{axis}})", function=np.stack, axis=int(equation.params["axis"])
    )


def _unstack(equation: Any, context: Context) -> Code:
    axis = int(equation.params["axis"])
    if len(equation.outvars) == 1:
        return call(lambda x: np.moveaxis(x, axis, 0)[0], fresh=False)
    return call(lambda x: tuple(np.moveaxis(x, axis, 0)), fresh=False)


def _tile(equation: Any, context: Context) -> Code:
    return text("{function}({0}, {repeats})", function=np.tile, repeats=_ints(equation.params["reps"]))


def _bits(equation: Any, context: Context) -> Code:
    source, target = equation.invars[0].aval.dtype, _output(equation).dtype
    if source.itemsize != target.itemsize:
        raise NoRule("bitcast_convert_type", "between sizes")
    return call(lambda x: np.asarray(x, source).view(target)[()], fresh=False)


def _pad(equation: Any, context: Context) -> Code:
    operand, filling = equation.invars
    configuration = [_ints(c) for c in equation.params["padding_config"]]
    shape, dtype = _output(equation).shape, _output(equation).dtype
    inner, outer = pad_slices(configuration, operand.aval.shape, shape)
    keeps_all = all(part == slice(None) for part in inner)
    if isinstance(filling, jex.Literal) and filling.val == 0:

        def padded(x: Any, value: Any) -> Any:
            result = np.zeros(shape, dtype)
            result[outer] = x if keeps_all else x[inner]
            return result

    else:

        def padded(x: Any, value: Any) -> Any:
            result = np.empty(shape, dtype)
            result[...] = value
            result[outer] = x if keeps_all else x[inner]
            return result

    return call(padded, 2)


def pad_slices(
    configuration: Sequence[tuple[int, ...]], shape: Sequence[int], padded: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Which part of the operand survives a `pad`, and where it goes, one slice for each dimension.

    Padding may be negative (it then cuts), and `interior` zeros may stand between elements.
    """
    inner, outer = [], []
    for (low, _, interior), length, total in zip(configuration, shape, padded, strict=True):
        step = interior + 1
        first = -(min(low, 0) // step) if low < 0 else 0
        # Elements first, first+1, … land on low + i·step, as long as that is inside.
        last = min(length, (total - 1 - low) // step + 1) if total else 0
        last = max(last, first)
        inner.append(slice(None) if (first, last) == (0, length) else slice(first, last))
        start = low + first * step
        outer.append(slice(start, start + (last - first - 1) * step + 1 if last > first else start, step))
    return tuple(inner), tuple(outer)


def _empty(equation: Any, context: Context) -> Code:
    """Zero, as XLA gives for it on the host: what branches of a `cond` that are not taken leave for its slope."""
    aval = _output(equation)
    return text("{kept}", fresh=False, kept=np.broadcast_to(np.zeros((), aval.dtype), aval.shape)[()])


def _iota(equation: Any, context: Context) -> Code:
    if len(equation.invars):
        raise NoRule("iota", "of a length known only at run time")
    dtype, shape = _output(equation).dtype, _output(equation).shape
    dimension = int(equation.params["dimension"])

    def iota() -> Any:
        along = np.arange(shape[dimension], dtype=dtype)
        return np.broadcast_to(along.reshape([-1 if d == dimension else 1 for d in range(len(shape))]), shape)

    if math.prod(shape) <= KEPT_IOTA:
        return text("{kept}", fresh=False, kept=iota())
    return call(iota, 0, fresh=False)


# Reductions.


def _reduction(ufunc: np.ufunc) -> Row:
    def row(equation: Any, context: Context) -> Code:
        axes, operand = _ints(equation.params["axes"]), equation.invars[0].aval
        dtype = _output(equation).dtype
        if not axes:
            return Code("{0}", fresh=False)
        bound: dict[str, Any] = {"reduce": ufunc.reduce}
        arguments = ["{0}"]
        if len(axes) == len(operand.shape):
            if len(axes) > 1:
                arguments.append("None")
        else:
            arguments.append("{axes}")
            bound["axes"] = axes if len(axes) > 1 else axes[0]
        if dtype.kind in "iu" and dtype.itemsize < 8 and ufunc in (np.add, np.multiply):
            arguments.append("dtype={dtype}")
            bound["dtype"] = dtype
        if math.prod(operand.shape) == 0 and ufunc in (np.maximum, np.minimum):
            arguments.append("initial={initial}")
            bound["initial"] = _lowest(dtype) if ufunc is np.maximum else _highest(dtype)
        return Code(f"{{reduce}}({', '.join(arguments)})", bound)

    return row


def _lowest(dtype: np.dtype[Any]) -> Any:
    return dtype.type(-np.inf) if dtype.kind == "f" else dtype.type(np.iinfo(dtype).min)


def _highest(dtype: np.dtype[Any]) -> Any:
    return dtype.type(np.inf) if dtype.kind == "f" else dtype.type(np.iinfo(dtype).max)


def _arg_reduction(function: Callable[..., Any]) -> Row:
    def row(equation: Any, context: Context) -> Code:
        (axis,) = _ints(equation.params["axes"])
        return text(
            "{function}({0}, {axis}).astype({dtype})",
            function=function,
            axis=axis,
            dtype=_output(equation).dtype,
        )

    return row


def _accumulation(ufunc: np.ufunc) -> Row:
    def row(equation: Any, context: Context) -> Code:
        axis, dtype = int(equation.params["axis"]), _output(equation).dtype
        accumulate = functools.partial(ufunc.accumulate, axis=axis, dtype=dtype)
        if not equation.params["reverse"]:
            return call(accumulate)
        return call(lambda x: np.flip(accumulate(np.flip(x, axis)), axis))

    return row


# Order.


def _sort(equation: Any, context: Context) -> Code:
    axis, keys = int(equation.params["dimension"]), int(equation.params["num_keys"])
    if len(equation.invars) == 1:
        return call(lambda x: np.sort(x, axis=axis))

    def sort(*operands: Any) -> tuple[Any, ...]:
        if keys == 1:
            order = np.argsort(operands[0], axis=axis, kind="stable")
        else:
            order = np.lexsort(operands[:keys][::-1], axis=axis)
        return tuple(np.take_along_axis(np.asarray(x), order, axis) for x in operands)

    return call(sort, len(equation.invars))


def _top_k(equation: Any, context: Context) -> Code:
    k, axis = int(equation.params["k"]), int(equation.params.get("axis", len(_output(equation).shape) - 1))
    index_dtype = equation.outvars[1].aval.dtype

    def top_k(x: Any) -> tuple[Any, Any]:
        # Largest first, ties in order, NaN before all: what a stable ascending sort gives backwards.
        order = np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
        order = x.shape[axis] - 1 - order
        order = np.take(order, np.arange(k), axis=axis)
        return np.take_along_axis(x, order, axis), order.astype(index_dtype)

    return call(top_k)


# Products.


def _dot(equation: Any, context: Context) -> Code:
    (left_contract, right_contract), (left_batch, right_batch) = equation.params["dimension_numbers"]
    left_contract, right_contract = _ints(left_contract), _ints(right_contract)
    left_batch, right_batch = _ints(left_batch), _ints(right_batch)
    left, right = (var.aval for var in equation.invars)
    dtype = _output(equation).dtype
    if left.dtype != dtype or right.dtype != dtype:
        return call(_general_dot(equation, dtype), 2)
    if not left_batch and len(left_contract) == 1:
        ranks, (a,), (b,) = (len(left.shape), len(right.shape)), left_contract, right_contract
        if ranks == (1, 1):
            return Code("{0}.dot({1})")
        if ranks == (2, 1):
            return Code("{0}.dot({1})" if a == 1 else "{1}.dot({0})")
        if ranks == (1, 2):
            return Code("{0}.dot({1})" if b == 0 else "{1}.dot({0})")
        if ranks == (2, 2):
            return Code(f"{{0}}{'' if a == 1 else '.T'}.dot({{1}}{'' if b == 0 else '.T'})")
    return call(_general_dot(equation, dtype), 2)


def _general_dot(equation: Any, dtype: np.dtype[Any]) -> Callable[[Any, Any], Any]:
    """Any contraction as one matrix product over (batch, free, contracted) dimensions."""
    (left_contract, right_contract), (left_batch, right_batch) = equation.params["dimension_numbers"]
    left_shape, right_shape = (var.aval.shape for var in equation.invars)
    left_free = [d for d in range(len(left_shape)) if d not in (*left_contract, *left_batch)]
    right_free = [d for d in range(len(right_shape)) if d not in (*right_contract, *right_batch)]
    left_order = _ints([*left_batch, *left_free, *left_contract])
    right_order = _ints([*right_batch, *right_contract, *right_free])
    batch = tuple(left_shape[d] for d in left_batch)
    m = math.prod(left_shape[d] for d in left_free)
    n = math.prod(right_shape[d] for d in right_free)
    k = math.prod(left_shape[d] for d in left_contract)
    shape = _output(equation).shape

    def dot(a: Any, b: Any) -> Any:
        a = np.asarray(a, dtype).transpose(left_order).reshape(*batch, m, k)
        b = np.asarray(b, dtype).transpose(right_order).reshape(*batch, k, n)
        product = a * b if k == 1 else np.matmul(a, b)
        return product.reshape(shape)[()]

    return dot


def _convolution(equation: Any, context: Context) -> Code:
    params, shape, dtype = equation.params, _output(equation).shape, _output(equation).dtype
    if params["batch_group_count"] != 1:
        raise NoRule("conv_general_dilated", "batch groups")
    groups = int(params["feature_group_count"])
    numbers = params["dimension_numbers"]
    strides, padding = _ints(params["window_strides"]), [_ints(p) for p in params["padding"]]
    left_dilation, right_dilation = _ints(params["lhs_dilation"]), _ints(params["rhs_dilation"])
    restore = np.argsort(numbers.out_spec)

    def dilated(x: Any, dilation: tuple[int, ...], edges: Sequence[tuple[int, ...]]) -> Any:
        configuration: list[tuple[int, ...]] = [(0, 0, 0)] * 2
        configuration += [(*edge, step - 1) for edge, step in zip(edges, dilation, strict=True)]
        total = [
            low + high + (length + (length - 1) * interior if length else 0)
            for (low, high, interior), length in zip(configuration, x.shape, strict=True)
        ]
        inner, outer = pad_slices(configuration, x.shape, total)
        result = np.zeros(total, dtype)
        result[outer] = x[inner]
        return result

    def convolve(signal: Any, kernel: Any) -> Any:
        if not math.prod(shape):  # the kernel is longer than the signal
            return np.zeros(shape, dtype)
        signal = dilated(signal.transpose(numbers.lhs_spec), left_dilation, padding)
        kernel = dilated(kernel.transpose(numbers.rhs_spec), right_dilation, [(0, 0)] * len(strides))
        if len(strides) == 1 and kernel.shape[:2] == (groups, 1) and dtype.kind != "c":
            result = _correlated(signal, kernel[:, 0])[:, :, :: strides[0]]
        else:
            windows = np.lib.stride_tricks.sliding_window_view(
                signal, kernel.shape[2:], axis=tuple(range(2, signal.ndim))
            )
            windows = windows[(slice(None), slice(None), *(slice(None, None, s) for s in strides))]
            per_group, outputs = kernel.shape[1], kernel.shape[0] // groups
            contracted = (1, *range(2 + len(strides), windows.ndim))
            result = np.concatenate(
                [
                    np.tensordot(
                        windows[:, g * per_group : (g + 1) * per_group],
                        kernel[g * outputs : (g + 1) * outputs],
                        (contracted, tuple(range(1, kernel.ndim))),
                    )
                    for g in range(groups)
                ],
                axis=-1,
            )
            result = np.moveaxis(result, -1, 1)
        return result.transpose(restore).reshape(shape)

    return call(convolve, 2)


def _correlated(signals: Any, kernels: Any) -> Any:
    """Signals (batch, groups, n) and the kernels (groups, k) of each group, slid over them: (batch, groups, n - k + 1).

    All signals of a group are one long one to NumPy, and what reaches over the end of one into the next is left out.
    """
    batch, groups, n = signals.shape
    k = kernels.shape[1]
    result = np.empty((batch, groups, max(n - k + 1, 0)), signals.dtype)
    if result.size:
        for g in range(groups):
            ahead = np.concatenate([signals[:, g].reshape(-1), np.zeros(k - 1, signals.dtype)])
            result[:, g] = np.correlate(ahead, kernels[g], "valid").reshape(batch, n)[:, : n - k + 1]
    return result


def _fft(equation: Any, context: Context) -> Code:
    kind = int(equation.params["fft_type"])
    lengths = _ints(equation.params["fft_lengths"])
    axes = tuple(range(-len(lengths), 0))
    function = (np.fft.fftn, np.fft.ifftn, np.fft.rfftn, np.fft.irfftn)[kind]
    return text("{function}({0}, {lengths}, {axes})", function=function, lengths=lengths, axes=axes)


def _same(equation: Any, context: Context) -> Code:
    if len(equation.outvars) == 1:
        return Code("{0}", fresh=False)
    return Code(f"({', '.join(f'{{{i}}}' for i in range(len(equation.outvars)))},)", fresh=False)


SHAPES: dict[str, Row] = {
    "reshape": _reshape,
    "squeeze": _reshaped,
    "expand_dims": _reshaped,
    "broadcast_in_dim": _broadcast,
    "transpose": _transpose,
    "rev": _reverse,
    "slice": _slice,
    "split": _split,
    "concatenate": _concatenate,
    "stack": _stack,
    "unstack": _unstack,
    "tile": _tile,
    "bitcast_convert_type": _bits,
    "pad": _pad,
    "iota": _iota,
    "empty2": _empty,
    "reduce_sum": _reduction(np.add),
    "reduce_prod": _reduction(np.multiply),
    "reduce_max": _reduction(np.maximum),
    "reduce_min": _reduction(np.minimum),
    "reduce_and": _reduction(np.bitwise_and),
    "reduce_or": _reduction(np.bitwise_or),
    "reduce_xor": _reduction(np.bitwise_xor),
    "argmax": _arg_reduction(np.argmax),
    "argmin": _arg_reduction(np.argmin),
    "cumsum": _accumulation(np.add),
    "cumprod": _accumulation(np.multiply),
    "cummax": _accumulation(np.maximum),
    "cummin": _accumulation(np.minimum),
    "cumlogsumexp": _accumulation(np.logaddexp),
    "sort": _sort,
    "top_k": _top_k,
    "dot_general": _dot,
    "conv_general_dilated": _convolution,
    "fft": _fft,
    "copy": _same,
    "copy_p": _same,
    "stop_gradient": _same,
    "optimization_barrier": _same,
    "device_put": _same,
    "name": _same,
}
