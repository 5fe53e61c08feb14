"""Factorisations and triangular solves; where LAPACK finds none the result is NaN, as in XLA, never an exception."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from .rows import Code, Context, NoRule, Row, call


def _each_matrix(function: Callable[..., Any], outputs: int) -> Callable[..., Any]:
    """Apply `function` of matrices over the leading batch dimensions of its operands."""

    def batched(*operands: Any) -> Any:
        batch = operands[0].shape[:-2]
        if not batch:
            return function(*operands)
        flat = [x.reshape(-1, *x.shape[len(batch) :]) for x in operands]
        results = [function(*matrices) for matrices in zip(*flat, strict=True)]
        if outputs == 1:
            return np.stack(results).reshape(*batch, *results[0].shape)
        return tuple(np.stack(r).reshape(*batch, *r[0].shape) for r in zip(*results, strict=True))

    return batched


def _nan_on_failure(function: Callable[..., Any], equation: Any) -> Callable[..., Any]:
    """`function` of one matrix, or NaN in the shapes the equation declares for its outputs."""
    ranks = [var.aval for var in equation.outvars]
    batch = len(equation.invars[0].aval.shape) - 2

    def guarded(*operands: Any) -> Any:
        try:
            return function(*operands)
        except np.linalg.LinAlgError:
            missing = tuple(np.full(aval.shape[batch:], np.nan).astype(aval.dtype) for aval in ranks)
            return missing if len(missing) > 1 else missing[0]

    return guarded


def _matrixwise(equation: Any, function: Callable[..., Any]) -> Code:
    guarded = _nan_on_failure(function, equation)
    return call(_each_matrix(guarded, len(equation.outvars)), len(equation.invars))


def _cholesky(equation: Any, context: Context) -> Code:
    return _matrixwise(equation, np.linalg.cholesky)


def _triangular_solve(equation: Any, context: Context) -> Code:
    params = equation.params
    left, lower = int(params["left_side"]), int(params["lower"])
    transposed = (2 if params["conjugate_a"] else 1) if params["transpose_a"] else 0
    unit = int(params["unit_diagonal"])
    (trsm,) = importlib.import_module("scipy.linalg").get_blas_funcs(
        ("trsm",), dtype=equation.invars[0].aval.dtype
    )

    def solve(a: Any, b: Any) -> Any:
        return np.ascontiguousarray(
            trsm(1.0, a, b, side=1 - left, lower=lower, trans_a=transposed, diag=unit)
        )

    return call(_each_matrix(solve, 1), 2)


def _lu(equation: Any, context: Context) -> Code:
    (getrf,) = importlib.import_module("scipy.linalg").get_lapack_funcs(
        ("getrf",), dtype=equation.invars[0].aval.dtype
    )

    def factorise(a: Any) -> tuple[Any, Any, Any]:
        factors, pivots, _ = getrf(a)
        pivots = np.asarray(pivots, np.int32)
        return np.ascontiguousarray(factors), pivots, _permutation(pivots, a.shape[0])

    return _matrixwise(equation, factorise)


def _permutation(pivots: Any, size: int) -> Any:
    order = np.arange(size, dtype=np.int32)
    for i, pivot in enumerate(pivots):
        order[i], order[pivot] = order[pivot], order[i]
    return order


def _pivots_to_permutation(equation: Any, context: Context) -> Code:
    size = int(equation.params["permutation_size"])

    def permutations(pivots: Any) -> Any:
        rows = np.asarray(pivots).reshape(-1, pivots.shape[-1])
        return np.stack([_permutation(row, size) for row in rows]).reshape(*pivots.shape[:-1], size)

    return call(permutations)


def _qr(equation: Any, context: Context) -> Code:
    if equation.params.get("pivoting"):
        raise NoRule("qr", "with pivoting")
    mode: Any = "complete" if equation.params["full_matrices"] else "reduced"
    return call(lambda a: tuple(np.linalg.qr(a, mode)))


def _eigh(equation: Any, context: Context) -> Code:
    if equation.params.get("subset_by_index") is not None:
        raise NoRule("eigh", "of a subset")
    triangle: Any = "L" if equation.params["lower"] else "U"

    def decompose(a: Any) -> tuple[Any, Any]:
        values, vectors = np.linalg.eigh(a, triangle)
        return vectors, values

    return _matrixwise(equation, decompose)


def _svd(equation: Any, context: Context) -> Code:
    params = equation.params
    if params.get("subset_by_index") is not None:
        raise NoRule("svd", "of a subset")
    if not params["compute_uv"]:
        return (
            _matrixwise(equation, lambda a: np.linalg.svd(a, compute_uv=False))
            if len(equation.outvars) == 1
            else _matrixwise(equation, lambda a: (np.linalg.svd(a, compute_uv=False),))
        )

    def decompose(a: Any) -> tuple[Any, Any, Any]:
        left, values, right = np.linalg.svd(a, full_matrices=params["full_matrices"])
        return values, left, right

    return _matrixwise(equation, decompose)


def _eig(equation: Any, context: Context) -> Code:
    if equation.params["compute_left_eigenvectors"]:
        raise NoRule("eig", "with left eigenvectors")
    dtype = equation.outvars[0].aval.dtype
    if not equation.params["compute_right_eigenvectors"]:
        return _matrixwise(equation, lambda a: np.linalg.eigvals(a).astype(dtype))

    def decompose(a: Any) -> tuple[Any, Any]:
        values, vectors = np.linalg.eig(a)
        return values.astype(dtype), vectors.astype(dtype)

    return _matrixwise(equation, decompose)


def _tridiagonal_solve(equation: Any, context: Context) -> Code:
    (gtsv,) = importlib.import_module("scipy.linalg").get_lapack_funcs(
        ("gtsv",), dtype=equation.invars[0].aval.dtype
    )
    if len(equation.invars[0].aval.shape) != 1:
        raise NoRule("tridiagonal_solve", "of a batch")

    def solve(below: Any, diagonal: Any, above: Any, b: Any) -> Any:
        # Row i of the system: below[i] x[i-1] + diagonal[i] x[i] + above[i] x[i+1] = b[i].
        *_, x, info = gtsv(below[1:], diagonal, above[:-1], b)
        return np.ascontiguousarray(x) if info == 0 else np.full_like(b, np.nan)

    return call(solve, 4)


LINEAR_ALGEBRA: dict[str, Row] = {
    "cholesky": _cholesky,
    "triangular_solve": _triangular_solve,
    "lu": _lu,
    "lu_pivots_to_permutation": _pivots_to_permutation,
    "qr": _qr,
    "eigh": _eigh,
    "svd": _svd,
    "eig": _eig,
    "tridiagonal_solve": _tridiagonal_solve,
}
