"""Eigenvalues and factors of symmetric matrices by LAPACK itself: NumPy's wrapper takes as long as a 10 × 10 matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import lapack

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]


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
    values, axes, trouble = lapack.dsyevd(H, compute_v=vectors, lower=1)
    if trouble:
        raise np.linalg.LinAlgError("Eigenvalues did not converge")
    return values, axes
