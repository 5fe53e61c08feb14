"""Products of vectors and matrices: dot, matmul, einsum and their kin, and sums of diagonals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from .indexing import getitem
from .reductions import sum_of
from .shape import concatenate, diagonal, expand_dims, moveaxis, ravel, reshape
from .ufuncs import UFUNCS, multiply, subtract
from .values import (
    Rule,
    Value,
    array_value,
    axis_of,
    broadcast_to,
    common,
    constant,
    convert,
    dtype_of,
    shape_of,
    unsupported,
)


def contract(a: Value, b: Value, axes_a: Sequence[int], axes_b: Sequence[int], batch: int = 0) -> Value:
    """Sum of products over paired axes; the first `batch` axes of both run together. One `dot_general`."""
    a, b = common(a, b)
    truth = dtype_of(a) == np.bool_
    if truth:
        a, b = convert(a, np.int64), convert(b, np.int64)
    together = tuple(range(batch))
    found = lax.dot_general(a, b, ((tuple(axes_a), tuple(axes_b)), (together, together)))
    return convert(found, np.bool_) if truth else found


def matmul(a: Any, b: Any, /, out: Any = None, **settings: Any) -> Value:
    """`a @ b`."""
    unsupported("matmul", out=out)
    a, b = array_value(a), array_value(b)
    rank_a, rank_b = len(a.shape), len(b.shape)
    if rank_a == 0 or rank_b == 0:
        raise ValueError("matmul: Input operand does not have enough dimensions (a scalar is given)")
    inner_b = 0 if rank_b == 1 else rank_b - 2
    if a.shape[-1] != b.shape[inner_b]:
        raise ValueError(
            f"matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature "
            f"(n?,k),(k,m?)->(n?,m?) (size {b.shape[inner_b]} is different from {a.shape[-1]})"
        )
    if rank_a <= 2 and rank_b <= 2:
        return contract(a, b, (rank_a - 1,), (inner_b,))
    if rank_b <= 2:
        return contract(a, b, (rank_a - 1,), (inner_b,))
    if rank_a == 1:
        return contract(a, b, (0,), (inner_b,)) if rank_b == 2 else _row_times(a, b)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = broadcast_to(a, (*batch, *a.shape[-2:])), broadcast_to(b, (*batch, *b.shape[-2:]))
    return contract(a, b, (len(batch) + 1,), (len(batch),), len(batch))


def _row_times(a: Value, b: Value) -> Value:
    return contract(b, a, (len(b.shape) - 2,), (0,))


def dot(a: Any, b: Any, out: Any = None) -> Value:
    """`np.dot`."""
    unsupported("dot", out=out)
    a, b = array_value(a), array_value(b)
    if len(a.shape) == 0 or len(b.shape) == 0:
        return multiply(a, b)
    inner = max(0, len(b.shape) - 2)
    _same_length("shapes {} and {} not aligned", a, b, a.shape[-1], b.shape[inner])
    return contract(a, b, (len(a.shape) - 1,), (inner,))


def _same_length(text: str, a: Value, b: Value, first: int, second: int) -> None:
    if first != second:
        raise ValueError(text.format(str(tuple(a.shape)), str(tuple(b.shape))) + f": {first} != {second}")


def vdot(a: Any, b: Any, /) -> Value:
    """`np.vdot`: the first argument conjugated, both flattened."""
    return dot(UFUNCS[np.conjugate](ravel(a)), ravel(b))


def inner(a: Any, b: Any, /) -> Value:
    """`np.inner`."""
    a, b = array_value(a), array_value(b)
    if len(a.shape) == 0 or len(b.shape) == 0:
        return multiply(a, b)
    _same_length("shapes {} and {} not aligned", a, b, a.shape[-1], b.shape[-1])
    return contract(a, b, (len(a.shape) - 1,), (len(b.shape) - 1,))


def outer(a: Any, b: Any, out: Any = None) -> Value:
    """`np.outer`."""
    unsupported("outer", out=out)
    return multiply(reshape(a, (-1, 1)), ravel(b))


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, **settings: Any) -> Value:
    """`np.vecdot`: the first argument conjugated."""
    x1, x2 = array_value(x1), array_value(x2)
    x1, x2 = moveaxis(x1, axis, -1), moveaxis(x2, axis, -1)
    if len(x1.shape) == len(x2.shape) == 1:
        return dot(UFUNCS[np.conjugate](x1), x2)
    products = multiply(UFUNCS[np.conjugate](x1), x2)
    return sum_of(products, -1, dtype_of(products))


def matvec(x1: Any, x2: Any, /, **settings: Any) -> Value:
    """`np.matvec`."""
    return getitem(matmul(x1, expand_dims(array_value(x2), -1)), (Ellipsis, 0))


def vecmat(x1: Any, x2: Any, /, **settings: Any) -> Value:
    """`np.vecmat`: the vector conjugated."""
    return getitem(
        matmul(expand_dims(UFUNCS[np.conjugate](array_value(x1)), -2), x2), (Ellipsis, 0, slice(None))
    )


def tensordot(a: Any, b: Any, axes: Any = 2) -> Value:
    """`np.tensordot`."""
    a, b = array_value(a), array_value(b)
    if np.ndim(axes) == 0 and not isinstance(axes, (list, tuple)):
        axes_a = list(range(len(a.shape) - int(axes), len(a.shape)))
        axes_b = list(range(int(axes)))
    else:
        axes_a, axes_b = (list(np.atleast_1d(part).tolist()) for part in axes)
    axes_a = [axis_of(k, len(a.shape)) for k in axes_a]
    axes_b = [axis_of(k, len(b.shape)) for k in axes_b]
    if [a.shape[k] for k in axes_a] != [b.shape[k] for k in axes_b]:
        raise ValueError("shape-mismatch for sum")
    return contract(a, b, axes_a, axes_b)


def einsum(*operands: Any, out: Any = None, optimize: Any = False, **settings: Any) -> Value:
    """`np.einsum`, in a good order of contraction."""
    unsupported("einsum", out=out)
    dtype = settings.pop("dtype", None)
    if isinstance(operands[0], str):
        text, *arrays = operands
        arrays = common(*map(array_value, arrays))
        found = jnp.einsum(text, *map(jnp.asarray, arrays), optimize="optimal" if len(arrays) > 2 else "auto")
    else:
        spelled = list(operands)
        places = range(0, len(spelled) - 1, 2)
        arrays = common(*(array_value(spelled[k]) for k in places))
        for k, array in zip(places, arrays, strict=True):
            spelled[k] = jnp.asarray(array)
        found = jnp.einsum(*spelled)
    return found if dtype is None else convert(found, dtype)


def kron(a: Any, b: Any) -> Value:
    """`np.kron`."""
    a, b = array_value(a), array_value(b)
    rank = max(len(a.shape), len(b.shape))
    shape_a = (1,) * (rank - len(a.shape)) + tuple(a.shape)
    shape_b = (1,) * (rank - len(b.shape)) + tuple(b.shape)
    a = reshape(a, tuple(part for length in shape_a for part in (length, 1)))
    b = reshape(b, tuple(part for length in shape_b for part in (1, length)))
    return reshape(multiply(a, b), tuple(m * n for m, n in zip(shape_a, shape_b, strict=True)))


def cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Value:
    """`np.cross` of vectors of length three (or two, as NumPy still allows)."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = moveaxis(array_value(a), axisa, -1), moveaxis(array_value(b), axisb, -1)
    if a.shape[-1] not in (2, 3) or b.shape[-1] not in (2, 3):
        raise ValueError("incompatible dimensions for cross product\n(dimension must be 2 or 3)")
    u = [getitem(a, (Ellipsis, k)) for k in range(a.shape[-1])]
    v = [getitem(b, (Ellipsis, k)) for k in range(b.shape[-1])]

    def minor(i: int, j: int) -> Value:
        return subtract(multiply(u[i], v[j]), multiply(u[j], v[i]))

    if len(u) == len(v) == 2:
        return minor(0, 1)
    for part in (u, v):
        if len(part) == 2:
            part.append(multiply(part[0], constant(0, part[0])))
    parts = [minor(1, 2), minor(2, 0), minor(0, 1)]
    return moveaxis(concatenate([expand_dims(part, -1) for part in parts], -1), -1, axisc)


def cross_last(x1: Any, x2: Any, /, *, axis: int = -1) -> Value:
    """`np.linalg.cross`."""
    x1, x2 = array_value(x1), array_value(x2)
    if shape_of(x1)[axis] != 3 or shape_of(x2)[axis] != 3:
        raise ValueError("Both input arrays must be (arrays of) 3-dimensional vectors")
    return cross(x1, x2, axis=axis)


def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Value:
    """`np.trace`."""
    unsupported("trace", out=out)
    return sum_of(diagonal(a, offset, axis1, axis2), -1, dtype)


def multi_dot(arrays: Sequence[Any], *, out: Any = None) -> Value:
    """`np.linalg.multi_dot`, in the order that costs least."""
    unsupported("multi_dot", out=out)
    arrays = [array_value(a) for a in arrays]
    first_is_vector, last_is_vector = len(arrays[0].shape) == 1, len(arrays[-1].shape) == 1
    sizes = [1 if first_is_vector else arrays[0].shape[0]]
    sizes += [a.shape[0] for a in arrays[1:]] + [1 if last_is_vector else arrays[-1].shape[1]]
    return _product(arrays, _best_splits(sizes), 0, len(arrays) - 1)


def _best_splits(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """Where to split each run of matrices (Cormen et al., Introduction to Algorithms, 15.2)."""
    count = len(sizes) - 1
    cost = {(k, k): 0 for k in range(count)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            options = {
                k: cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)
            }
            split[i, j] = min(options, key=lambda k: options[k])
            cost[i, j] = options[split[i, j]]
    return split


def _product(arrays: Sequence[Value], split: dict[tuple[int, int], int], i: int, j: int) -> Value:
    if i == j:
        return arrays[i]
    k = split[i, j]
    return dot(_product(arrays, split, i, k), _product(arrays, split, k + 1, j))


def _outer_vectors(x1: Any, x2: Any, /) -> Value:
    if len(shape_of(x1)) != 1 or len(shape_of(x2)) != 1:
        raise ValueError("Input arrays must be one-dimensional")
    return outer(x1, x2)


PRODUCTS: dict[np.ufunc, Rule] = {np.matmul: matmul, np.vecdot: vecdot, np.matvec: matvec, np.vecmat: vecmat}

FUNCTIONS: dict[Any, Rule] = {
    np.dot: dot,
    np.vdot: vdot,
    np.inner: inner,
    np.outer: outer,
    np.tensordot: tensordot,
    np.einsum: einsum,
    np.kron: kron,
    np.cross: cross,
    np.trace: trace,
    np.linalg.matmul: matmul,
    np.linalg.vecdot: vecdot,
    np.linalg.outer: _outer_vectors,
    np.linalg.cross: cross_last,
    np.linalg.tensordot: lambda x1, x2, /, *, axes=2: tensordot(x1, x2, axes),
    np.linalg.trace: lambda x, /, *, offset=0, dtype=None: trace(x, offset, -2, -1, dtype),
    np.linalg.diagonal: lambda x, /, *, offset=0: diagonal(x, offset, -2, -1),
    np.linalg.multi_dot: multi_dot,
}
