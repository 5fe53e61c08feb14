"""Confidence intervals and bands from a covariance, with Student's t for the noise that was estimated."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]


def student_factor(level: float, degrees: float) -> float:
    """How many standard errors on either side hold `level` of the probability; `degrees` inf: the normal law.

    >>> round(student_factor(0.95, 10), 4), round(student_factor(0.95, np.inf), 4)
    (2.2281, 1.96)
    """
    if not 0.0 < level < 1.0:
        raise InputError(f"level={level!r}; give the probability inside, such as 0.95")
    from scipy import special

    upper = 0.5 + 0.5 * level
    if degrees == np.inf:
        return float(special.ndtri(upper))
    return float(special.stdtrit(degrees, upper)) if degrees > 0 else float("nan")


def spread_of(J: Matrix, covariance: Matrix) -> Vector:
    """Standard error of predictions with Jacobian J (m, k), shape (m,): √diag(J C Jᵀ).

    >>> spread_of(np.array([[1.0], [2.0]]), np.array([[4.0]]))
    array([2., 4.])
    """
    variance = np.einsum("ij,jk,ik->i", J, covariance, J)
    return np.sqrt(np.maximum(variance, 0.0))
