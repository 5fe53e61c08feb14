"""Products of vectors and matrices, norms, factorisations and solutions of linear systems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from .indexing import getitem
from .reductions import FUNCTIONS as REDUCTIONS
from .reductions import kept, max_of, min_of, sum_of
from .shape import concatenate, diagonal, expand_dims, moveaxis, ravel, reshape, swapaxes, transpose
from .ufuncs import UFUNCS, absolute, add, divide, multiply, power, subtract
from .values import (
    Rule,
    Value,
    array_value,
    axes_of,
    axis_of,
    broadcast_to,
    choose,
    common,
    constant,
    convert,
    dtype_of,
    refused,
    result_type,
    safe_sqrt,
    shape_of,
    unsupported,
)

# -- products ----------------------------------------------------------------------------------------------------


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


def matrix_power(a: Any, n: int) -> Value:
    """`np.linalg.matrix_power` by repeated squaring."""
    a = array_value(a)
    square_matrix(a)
    if n < 0:
        a, n = inv(a), -n
    if n == 0:
        return broadcast_to(np.eye(a.shape[-1], dtype=dtype_of(a)), a.shape)
    found = None
    while n:
        if n & 1:
            found = a if found is None else matmul(found, a)
        n >>= 1
        a = matmul(a, a) if n else a
    return found


# -- norms ---------------------------------------------------------------------------------------------------------


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Value:
    """`np.linalg.norm`, every order; where a norm is 0 its slope is 0, as that of abs at 0."""
    x = _floating(x)
    rank = len(x.shape)
    if axis is None and (ord is None or (ord in ("f", "fro") and rank == 2) or (ord == 2 and rank == 1)):
        found = safe_sqrt(sum_of(_square_size(x)))
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


def _square_size(x: Value) -> Value:
    if dtype_of(x).kind == "c":
        return add(power(lax.real(x), 2), power(lax.imag(x), 2))
    return power(x, 2)


def _vector_norm(x: Value, order: Any, axis: int) -> Value:
    if order is None or order == 2:
        return safe_sqrt(sum_of(_square_size(x), axis))
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
        return safe_sqrt(sum_of(_square_size(x), (-2, -1)))
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


# -- systems and factorisations ------------------------------------------------------------------------------------


class EighResult(NamedTuple):
    """Eigenvalues in ascending order, and eigenvectors in columns."""

    eigenvalues: Value
    eigenvectors: Value


class QRResult(NamedTuple):
    """Orthonormal columns and the triangle."""

    Q: Value
    R: Value


class SlogdetResult(NamedTuple):
    """Sign and logarithm of the size of a determinant."""

    sign: Value
    logabsdet: Value


class SVDResult(NamedTuple):
    """Left vectors, singular values in descending order, right vectors in rows."""

    U: Value
    S: Value
    Vh: Value


def matrices(*values: Any) -> list[Value]:
    """Arguments of a factorisation in double precision (or their own complex or single), as JAX arrays."""
    values = tuple(array_value(v) for v in values)
    dtype = result_type(*values)
    if dtype.kind not in "fc":
        dtype = np.dtype(np.float64)
    if dtype == np.float16:
        raise TypeError("array type float16 is unsupported in linalg")
    for value in values:
        if len(value.shape) == 0:
            raise np.linalg.LinAlgError("0-dimensional array given. Array must be at least two-dimensional")
    return [jnp.asarray(convert(value, dtype)) for value in values]


def square_matrix(a: Value) -> None:
    """Raise LinAlgError, as NumPy does, unless the last two axes make square matrices."""
    if len(shape_of(a)) < 2:
        raise np.linalg.LinAlgError(
            f"{len(shape_of(a))}-dimensional array given. Array must be at least two-dimensional"
        )
    if shape_of(a)[-1] != shape_of(a)[-2]:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")


def _of_square(record: Rule) -> Rule:
    def rule(a: Any) -> Value:
        (a,) = matrices(a)
        square_matrix(a)
        return record(a)

    return rule


def solve(a: Any, b: Any) -> Value:
    """`np.linalg.solve`: `b` is one vector if it has one axis, else matrices."""
    a, b = matrices(a, b)
    square_matrix(a)
    return jnp.linalg.solve(a, b)


def inv(a: Any) -> Value:
    """`np.linalg.inv`."""
    (a,) = matrices(a)
    square_matrix(a)
    return jnp.linalg.inv(a)


def slogdet(a: Any) -> SlogdetResult:
    """`np.linalg.slogdet`."""
    (a,) = matrices(a)
    square_matrix(a)
    return SlogdetResult(*jnp.linalg.slogdet(a))


def cholesky(a: Any, /, *, upper: bool = False) -> Value:
    """`np.linalg.cholesky`; reads the lower triangle, as NumPy does; NaN where NumPy would raise."""
    (a,) = matrices(a)
    square_matrix(a)
    lower = jnp.linalg.cholesky(hermitian(a, "U" if upper else "L"), symmetrize_input=False)
    return UFUNCS[np.conjugate](swapaxes(lower, -1, -2)) if upper else lower


def hermitian(a: Value, UPLO: str) -> Value:
    """The Hermitian matrix that one triangle stands for: its slope is spread over that triangle only."""
    n = a.shape[-1]
    triangle = np.tril(np.ones((n, n), bool), -1)
    if UPLO.upper() == "U":
        a = UFUNCS[np.conjugate](swapaxes(a, -1, -2))
    mirrored = UFUNCS[np.conjugate](swapaxes(a, -1, -2))
    below = choose(broadcast_to(triangle, a.shape), a, constant(0, a))
    above = choose(broadcast_to(triangle.T, a.shape), mirrored, constant(0, a))
    middle = choose(broadcast_to(np.eye(n, dtype=bool), a.shape), a, constant(0, a))
    return add(add(below, above), middle)


def eigh(a: Any, UPLO: str = "L") -> EighResult:
    """`np.linalg.eigh`; slopes of vectors need distinct eigenvalues."""
    (a,) = matrices(a)
    square_matrix(a)
    values, vectors = jnp.linalg.eigh(hermitian(a, UPLO), symmetrize_input=False)
    return EighResult(values, vectors)


def eigvalsh(a: Any, UPLO: str = "L") -> Value:
    """`np.linalg.eigvalsh`."""
    return eigh(a, UPLO).eigenvalues


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """`np.linalg.svd`; slopes of the vectors need distinct singular values and full_matrices=False."""
    (a,) = matrices(a)
    if not compute_uv:
        return svdvals(a)
    rows, columns = a.shape[-2:]
    return SVDResult(*jnp.linalg.svd(a, full_matrices=full_matrices and rows != columns))


def svdvals(x: Any, /) -> Value:
    """`np.linalg.svdvals`."""
    (x,) = matrices(x)
    return jnp.linalg.svd(x, compute_uv=False)


def qr(a: Any, mode: str = "reduced") -> Any:
    """`np.linalg.qr`, reduced, complete or only R."""
    (a,) = matrices(a)
    if mode not in ("reduced", "complete", "r"):
        raise refused(f"np.linalg.qr(..., mode={mode!r})", "has no rule", 'Use mode="reduced".')
    if mode == "r":
        return jnp.linalg.qr(a, mode="r")
    rows, columns = a.shape[-2:]
    return QRResult(
        *jnp.linalg.qr(a, mode="complete" if mode == "complete" and rows > columns else "reduced")
    )


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Value:
    """`np.linalg.pinv`."""
    (a,) = matrices(a)
    cutoff = rcond if rcond is not None else (1e-15 if rtol is np._NoValue else rtol)
    return jnp.linalg.pinv(a, rtol=cutoff, hermitian=hermitian)


def lstsq(a: Any, b: Any, rcond: Any = None) -> tuple[Value, Value, Value, Value]:
    """`np.linalg.lstsq`; for a matrix of full rank, the residuals are those of the overdetermined system."""
    a, b = matrices(a, b)
    rows, columns = a.shape
    values = lax.stop_gradient(svdvals(a))
    relative = np.finfo(dtype_of(a)).eps * max(rows, columns) if rcond is None or rcond == -1 else rcond
    rank = sum_of(UFUNCS[np.greater](values, multiply(relative, getitem(values, 0))))
    x = matmul(pinv(a, relative), b)
    off = subtract(b, matmul(a, x))
    left = sum_of(_square_size(off), 0)
    left = reshape(left, (1,)) if len(b.shape) == 1 else left
    if rows <= columns:
        left = np.zeros(0, dtype_of(left))
    return x, left, convert(rank, np.int32), svdvals(a)


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


def tensorinv(a: Any, ind: int = 2) -> Value:
    """`np.linalg.tensorinv`."""
    a = array_value(a)
    inverse = inv(reshape(a, (int(np.prod(a.shape[:ind])), -1)))
    return reshape(inverse, (*a.shape[ind:], *a.shape[:ind]))


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Value:
    """`np.linalg.tensorsolve`."""
    a, b = array_value(a), array_value(b)
    if axes is not None:
        rest = [k for k in range(len(a.shape)) if k not in axes]
        a = transpose(a, (*rest, *axes))
    shape = tuple(a.shape[len(b.shape) :])
    size = int(np.prod(shape))
    return reshape(solve(reshape(a, (-1, size)), ravel(b)), shape)


class EigResult(NamedTuple):
    """Eigenvalues and eigenvectors in columns."""

    eigenvalues: Value
    eigenvectors: Value


def eig(a: Any) -> EigResult:
    """`np.linalg.eig`; always complex, since whether the values are real depends on the parameters.

    The vectors have values but no slopes: their phase is LAPACK's choice.
    """
    (a,) = matrices(a)
    square_matrix(a)
    return EigResult(eigenvalues(a), jnp.linalg.eig(a)[1])


def eigvals(a: Any) -> Value:
    """`np.linalg.eigvals`; always complex, since whether the values are real depends on the parameters."""
    (a,) = matrices(a)
    square_matrix(a)
    return eigenvalues(a)


def eigenvalues(a: Any) -> Value:
    """Eigenvalues of square matrices (..., n, n) with slopes of any order: dλᵢ = (V⁻¹ dA V)ᵢᵢ.

    Slopes of slopes ask for those of V, which LAPACK scales as it likes; in this expression the scale cancels.
    """
    values, _ = lax.linalg.eig(a, compute_left_eigenvectors=False, enable_eigvec_derivs=True)
    return values


# -- statistics of several variables -------------------------------------------------------------------------------


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Value:
    """`np.cov` without weights."""
    unsupported("cov", fweights=fweights, aweights=aweights)
    X = _rows_of(m, rowvar, dtype)
    if y is not None:
        X = concatenate([X, _rows_of(y, rowvar, dtype)], 0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    off = subtract(X, REDUCTIONS[np.mean](X, 1, keepdims=True))
    found = divide(matmul(off, UFUNCS[np.conjugate](transpose(off))), max(X.shape[1] - ddof, 0))
    return reshape(found, tuple(length for length in found.shape if length != 1))


def _rows_of(m: Any, rowvar: bool, dtype: Any) -> Value:
    m = array_value(m)
    if len(m.shape) > 2:
        raise ValueError("m has more than 2 dimensions")
    m = convert(m, dtype or np.result_type(dtype_of(m), np.float64))
    if len(m.shape) < 2:
        return reshape(m, (1, -1))
    return m if rowvar or m.shape[0] == 1 else transpose(m)


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Value:
    """`np.corrcoef`, unclipped: NumPy's limits of -1 and 1 take away rounding alone, and would be seen as kinks."""
    covariance = cov(x, y, rowvar, dtype=dtype)
    if covariance.shape == ():
        return divide(covariance, covariance)
    spread = UFUNCS[np.sqrt](real_part(diagonal(covariance)))
    return divide(divide(covariance, reshape(spread, (-1, 1))), spread)


def real_part(x: Value) -> Value:
    """The real part of a value of either kind."""
    return lax.real(x) if dtype_of(x).kind == "c" else x


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
    np.cov: cov,
    np.corrcoef: corrcoef,
    np.linalg.matmul: matmul,
    np.linalg.vecdot: vecdot,
    np.linalg.outer: _outer_vectors,
    np.linalg.cross: cross_last,
    np.linalg.tensordot: lambda x1, x2, /, *, axes=2: tensordot(x1, x2, axes),
    np.linalg.trace: lambda x, /, *, offset=0, dtype=None: trace(x, offset, -2, -1, dtype),
    np.linalg.diagonal: lambda x, /, *, offset=0: diagonal(x, offset, -2, -1),
    np.linalg.multi_dot: multi_dot,
    np.linalg.matrix_power: matrix_power,
    np.linalg.norm: norm,
    np.linalg.vector_norm: vector_norm,
    np.linalg.matrix_norm: matrix_norm,
    np.linalg.solve: solve,
    np.linalg.inv: inv,
    np.linalg.det: _of_square(jnp.linalg.det),
    np.linalg.slogdet: slogdet,
    np.linalg.cholesky: cholesky,
    np.linalg.eigh: eigh,
    np.linalg.eigvalsh: eigvalsh,
    np.linalg.eig: eig,
    np.linalg.eigvals: eigvals,
    np.linalg.svd: svd,
    np.linalg.svdvals: svdvals,
    np.linalg.qr: qr,
    np.linalg.pinv: pinv,
    np.linalg.lstsq: lstsq,
    np.linalg.matrix_rank: matrix_rank,
    np.linalg.cond: cond,
    np.linalg.tensorinv: tensorinv,
    np.linalg.tensorsolve: tensorsolve,
}
