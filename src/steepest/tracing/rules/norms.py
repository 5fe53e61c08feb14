"""Norms of vectors and matrices, and what singular values tell of a matrix: its rank and condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax import lax

from .factorisations import inv, svdvals
from .indexing import getitem
from .reductions import kept, max_of, min_of, sum_of
from .shape import expand_dims, moveaxis, reshape, transpose
from .ufuncs import UFUNCS, absolute, divide, multiply, power, square_size
from .values import Rule, Value, array_value, axes_of, choose, constant, convert, dtype_of, safe_sqrt


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Value:
    """`np.linalg.norm`, every order; where a norm is 0 its slope is 0, as that of abs at 0."""
    x = _floating(x)
    rank = len(x.shape)
    if axis is None and (ord is None or (ord in ("f", "fro") and rank == 2) or (ord == 2 and rank == 1)):
        found = safe_sqrt(sum_of(square_size(x)))
        return kept(found, x.shape, tuple(range(rank)), keepdims)
    axes = axes_of(axis, rank)
    if len(axes) == 1:
        return kept(_vector_norm(x, ord, axes[0]), x.shape, axes, keepdims)
    if len(axes) == 2:
        return kept(_matrix_norm(x, ord, axes), x.shape, axes, keepdims)
    raise ValueError("Improper number of dimensions to norm.")


def _floating(x: Any) -> Value:
    x = array_value(x)
    return x if dtype_of(x).kind in "fc" else convert(x, np.float64)


def _vector_norm(x: Value, order: Any, axis: int) -> Value:
    if order is None or order == 2:
        return safe_sqrt(sum_of(square_size(x), axis))
    if isinstance(order, str):
        raise ValueError(f"Invalid norm order '{order}' for vectors")
    size = absolute(x)
    if order == np.inf:
        return max_of(size, axis)
    if order == -np.inf:
        return min_of(size, axis)
    if order == 0:
        return sum_of(convert(UFUNCS[np.not_equal](x, 0), dtype_of(size)), axis)
    if order == 1:
        return sum_of(size, axis)
    total = sum_of(power(size, float(order)), axis)
    zero = UFUNCS[np.equal](total, 0)
    if order < 0:
        return power(total, 1.0 / order)
    return choose(zero, constant(0, total), power(choose(zero, constant(1, total), total), 1.0 / order))


def _matrix_norm(x: Value, order: Any, axes: Sequence[int]) -> Value:
    if axes[0] == axes[1]:
        raise ValueError("Duplicate axes given.")
    x = moveaxis(x, axes, (-2, -1))
    if order in (None, "fro", "f"):
        return safe_sqrt(sum_of(square_size(x), (-2, -1)))
    if order in (1, -1):
        return (max_of if order > 0 else min_of)(sum_of(absolute(x), -2), -1)
    if order in (np.inf, -np.inf):
        return (max_of if order > 0 else min_of)(sum_of(absolute(x), -1), -1)
    if order not in (2, -2, "nuc"):
        raise ValueError("Invalid norm order for matrices.")
    values = svdvals(x)
    if order == "nuc":
        return sum_of(values, -1)
    return getitem(values, (Ellipsis, 0 if order == 2 else -1))


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Value:
    """`np.linalg.vector_norm`."""
    x = _floating(x)
    axes = axes_of(axis, len(x.shape))
    rest = [k for k in range(len(x.shape)) if k not in axes]
    flat = reshape(transpose(x, (*axes, *rest)), (-1, *(x.shape[k] for k in rest)))
    return kept(_vector_norm(flat, ord, 0), x.shape, axes, keepdims)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Value:
    """`np.linalg.matrix_norm`."""
    return norm(x, ord, (-2, -1), keepdims)


def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Value:
    """`np.linalg.matrix_rank`; its slope is zero."""
    A = array_value(A)
    if len(A.shape) < 2:
        return convert(lax.reduce_or(UFUNCS[np.not_equal](A, 0), tuple(range(len(A.shape)))), np.int64)
    values = svdvals(A)
    largest = max_of(values, -1, keepdims=True)
    if tol is None:
        relative = max(A.shape[-2:]) * np.finfo(dtype_of(values)).eps if rtol is None else rtol
        tol = multiply(largest, relative)
    else:
        tol = expand_dims(array_value(tol), -1)
    return sum_of(UFUNCS[np.greater](values, tol), -1, np.int64)


def cond(x: Any, p: Any = None) -> Value:
    """`np.linalg.cond`."""
    if p in (None, 2, -2):
        values = svdvals(x)
        largest, smallest = getitem(values, (Ellipsis, 0)), getitem(values, (Ellipsis, -1))
        return divide(smallest, largest) if p == -2 else divide(largest, smallest)
    return multiply(norm(x, p, (-2, -1)), norm(inv(x), p, (-2, -1)))


FUNCTIONS: dict[Any, Rule] = {
    np.linalg.norm: norm,
    np.linalg.vector_norm: vector_norm,
    np.linalg.matrix_norm: matrix_norm,
    np.linalg.matrix_rank: matrix_rank,
    np.linalg.cond: cond,
}
