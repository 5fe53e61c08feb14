"""Factorisations of matrices, their eigenvalues, inverses and powers, and solutions of linear systems."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from .indexing import getitem
from .products import matmul
from .reductions import sum_of
from .shape import ravel, reshape, swapaxes, transpose
from .ufuncs import UFUNCS, add, multiply, square_size, subtract
from .values import (
    Rule,
    Value,
    array_value,
    broadcast_to,
    choose,
    constant,
    convert,
    dtype_of,
    refused,
    result_type,
    shape_of,
)


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
    left = sum_of(square_size(off), 0)
    left = reshape(left, (1,)) if len(b.shape) == 1 else left
    if rows <= columns:
        left = np.zeros(0, dtype_of(left))
    return x, left, convert(rank, np.int32), svdvals(a)


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


FUNCTIONS: dict[Any, Rule] = {
    np.linalg.matrix_power: matrix_power,
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
    np.linalg.tensorinv: tensorinv,
    np.linalg.tensorsolve: tensorsolve,
}
