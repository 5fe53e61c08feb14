"""Units in which a curvature is about one in every direction: by the Cholesky factor of one known nearby."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..numerics import all_finite
from . import lapack

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

# Added to the diagonal, in parts of its mean, before a matrix is factorised: the first that makes it positive definite.
# Directions that cost nothing then keep a finite length. More hides curvatures that a step near a minimum still has to
# see, but where the largest ones are thousands of times the mean, as those of smooth kernels are, their rounding alone
# takes more than the least off the smallest.
LIFTED = (1e-12, 1e-10, 1e-8)


@dataclass(frozen=True)
class FactorUnits:
    """y = Up for steps p (n,), with UᵀU a curvature; `factor` U (n, n) is upper triangular, in Fortran's order."""

    factor: Matrix

    def inside(self, gradient: Vector) -> Vector:
        """A gradient (n,) as one by y, U⁻ᵀg."""
        return np.asarray(lapack.dtrtrs(self.factor, gradient, trans=1)[0])

    def outside(self, y: Vector) -> Vector:
        """The step (n,) behind y (n,)."""
        return np.asarray(lapack.dtrtrs(self.factor, y)[0])

    def of_step(self, step: Vector) -> Vector:
        """y (n,) of a step (n,)."""
        return np.asarray(self.factor @ step)

    def product(self, times: Callable[[Vector], Vector], y: Vector) -> Vector:
        """U⁻ᵀHU⁻¹y, shape (n,), with H behind `times`."""
        return self.inside(times(self.outside(y)))


def factor_units(H: Matrix) -> FactorUnits | None:
    """The units of a symmetric H (n, n); None where it is not positive definite, or not finite.

    >>> units = factor_units(np.array([[4.0, 0.0], [0.0, 1.0]]))
    >>> units.product(lambda p: np.array([4.0, 1.0]) * p, np.array([1.0, 1.0])).round(9)
    array([1., 1.])
    >>> factor_units(np.diag([1.0, -1.0])) is None
    True
    """
    if not all_finite(H):  # LAPACK finds a factor even then
        return None
    mean = abs(float(H.trace())) / len(H)
    for part in LIFTED:
        lifted = np.array(H)
        lifted.ravel()[:: len(H) + 1] += part * mean
        factor, trouble = lapack.dpotrf(lifted.T, clean=1, overwrite_a=1)
        if not trouble:
            return FactorUnits(factor)
    return None
