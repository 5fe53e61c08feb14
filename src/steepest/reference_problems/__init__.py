"""Costs with known answers and measurements with certified fits, in NumPy alone."""

from . import nist
from .costs import (
    FAMILIES,
    PROBLEMS,
    Problem,
    beale,
    booth,
    broyden_tridiagonal,
    chained_rosenbrock,
    extended_rosenbrock,
    himmelblau,
    logistic_regression,
    parabola,
    quadratic,
    rosenbrock,
)

__all__ = [
    "FAMILIES",
    "PROBLEMS",
    "Problem",
    "beale",
    "booth",
    "broyden_tridiagonal",
    "chained_rosenbrock",
    "extended_rosenbrock",
    "himmelblau",
    "logistic_regression",
    "nist",
    "parabola",
    "quadratic",
    "rosenbrock",
]
