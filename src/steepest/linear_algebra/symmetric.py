"""Eigenvalues and factors of symmetric matrices by LAPACK itself: NumPy's wrapper takes as long as a 10 × 10 matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..numerics import EPS, all_finite
from . import lapack

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

# With so many rows and this part of as many pivots beyond rounding, or fewer, what the pivots tell is cheaper.
MANY_ROWS, LOW_RANK = 50, 8

# Squares of what is shorter or longer may have vanished or overflowed.
SHORTEST_SQUARE, LONGEST_SQUARE = 1e-280, 1e280


def eigenvalues(H: Matrix) -> Vector:
    """Eigenvalues of a symmetric H (k, k), ascending, shape (k,).

    Raises `numpy.linalg.LinAlgError` where they do not converge, as with NaN in H.

    >>> eigenvalues(np.array([[2.0, 1.0], [1.0, 2.0]])).round(12)
    array([1., 3.])
    """
    return _solved(H, vectors=False)[0]


def eigensystem(H: Matrix) -> tuple[Vector, Matrix]:
    """The same, and orthonormal eigenvectors as the columns of a (k, k) matrix."""
    return _solved(H, vectors=True)


def finite_part(H: Matrix) -> Matrix:
    """The symmetric H (k, k) with what is not finite taken from beyond the diagonal, or else its row and column zero.

    As if the cost were straight along such a parameter: the eigenvalues are those of the cost between the others, and
    zero. An entry set to zero alone would bend the cost where it does not bend.

    >>> finite_part(np.array([[1.0, np.nan, 2.0], [3.0, np.inf, 4.0], [2.0, np.nan, 5.0]]))
    array([[1., 0., 2.],
           [0., 0., 0.],
           [2., 0., 5.]])
    """
    if all_finite(H):
        return H
    H = np.where(np.isfinite(H), H, H.T)
    # First those whose own curvature is unknown, which may be all that is.
    for unknown in (lambda: ~np.isfinite(np.diagonal(H)), lambda: ~np.isfinite(H).all(axis=1)):
        places = unknown()
        H[places] = 0.0
        H[:, places] = 0.0
    return H


def safe_factor(H: Matrix, part: float) -> tuple[Any, bool]:
    """The upper Cholesky factor of a symmetric H (k, k), None where there is none, and whether H is safely positive.

    So it is where an estimate shows every eigenvalue above `part` of the largest; for a twentieth of what they take.

    >>> safe_factor(np.diag([1.0, 1e-3]), 1e-9)[1], safe_factor(np.diag([1.0, -1e-3]), 1e-9)[1]
    (True, False)
    """
    factor, trouble = lapack.dpotrf(H.T, clean=0)
    if trouble:
        return None, False
    # The trace is no less than the largest eigenvalue.
    return factor, bool(lapack.dpocon(factor, H.trace())[0] > part)


def _solved(H: Matrix, *, vectors: bool) -> tuple[Vector, Matrix]:
    if not H.size:
        return np.empty(0), np.empty((0, 0))
    few = _of_low_rank(H, vectors=vectors) if len(H) >= MANY_ROWS else None
    if few is not None:
        return few
    values, axes, trouble = lapack.dsyevd(H, compute_v=vectors, lower=1)
    if trouble:
        raise np.linalg.LinAlgError("Eigenvalues did not converge")
    return values, axes


def _of_low_rank(H: Matrix, *, vectors: bool) -> tuple[Vector, Matrix] | None:
    """The same of a positive semidefinite H of very low rank, for a fraction of the work; None where it is not shown.

    H = RᵀR to within rounding, by pivoted Cholesky (Higham 1990), which is looked at; with Rᵀ = Q·T by reflections the
    eigenvalues are those of T·Tᵀ, and zeros.
    """
    k, trace = len(H), float(H.trace())
    squares = float(np.vdot(H, H))
    # The rank is no less than trace² / Σ h², by Cauchy and Schwarz: mostly that is all to be done.
    if not (0.0 < LOW_RANK * trace**2 <= k * squares and SHORTEST_SQUARE < squares < LONGEST_SQUARE):
        return None
    factor, pivots, rank, _ = lapack.dpstrf(H)
    if not 0 < LOW_RANK * rank <= k:
        return None
    rows = np.zeros((rank, k))
    rows[:, pivots - 1] = np.triu(factor[:rank])
    left = H - rows.T.dot(rows)
    if not np.vdot(left, left) <= (k * EPS) ** 2 * squares:
        return None
    reflected, turns, _, _ = lapack.dgeqrf(rows.T)
    T = np.triu(reflected[:rank])
    values, axes, _ = lapack.dsyevd(T.dot(T.T), compute_v=vectors, lower=1)
    values = np.concatenate([np.zeros(k - rank), values])
    if not vectors:
        return values, axes
    Q, _, _ = lapack.dorgqr(np.pad(reflected, ((0, 0), (0, k - rank))), turns)
    return values, np.hstack([Q[:, rank:], Q[:, :rank].dot(axes)])
