"""How well is the minimum known? Digits to trust, and how much lower the cost could still go."""

from __future__ import annotations

import numpy as np

from ..numerics import EPS
from .curvature import Curvature
from .look import Look, Rounding

Vector = np.ndarray

# Decimal digits that a double precision number holds.
MOST_DIGITS = 15.95


def digits_of(look: Look, error: Vector) -> Vector:
    """-log₁₀ of each parameter's relative error, (n,), between 0 and 15.95; `error` (n,) in its own units.

    A parameter that cannot be told from zero counts its digits relative to its natural size, as the log
    absolute error of the NIST reference data sets does for certified values of zero.
    """
    size = np.where(np.abs(look.x) > error, np.abs(look.x), look.scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = -np.log10(error / size)
    digits = np.where(look.free, digits, MOST_DIGITS)
    digits[np.isnan(digits)] = 0.0
    return digits.clip(0.0, MOST_DIGITS)


def error_of(look: Look, rounding: Rounding, curvature: Curvature, step: Vector, landing: float) -> Vector:
    """Distance to the true minimum, (n,): the Newton step still to go, and what the slope's error allows.

    Where Newton steps land badly (`landing` near one) the minimum lies several of them away.
    """
    error = curvature.spread_of(rounding.slope) + 0.5 * np.spacing(np.abs(look.x))
    ratio = np.sqrt(landing) if 0.0 < landing < 1.0 else (0.0 if not landing >= 1.0 else 0.99)
    return 2.0 * error + np.abs(step) / (1.0 - ratio)


def gap_of(
    look: Look, rounding: Rounding, remaining: float, curvature: Curvature
) -> tuple[float | None, str]:
    """A bound on cost here minus lowest possible cost, and how it was found; None where nothing bounds it.

    A quadratic with curvature in every direction is exactly as high as its Newton step promises. A convex
    cost lies above its tangent, which inside finite bounds cannot fall without limit.
    """
    if look.quadratic and curvature.complete and curvature.positive and not look.touching.any():
        if look.free.all():
            error = rounding.slope + rounding.grain
            doubt = float(0.5 * error @ curvature.spread_of(error))
            return remaining + doubt + EPS * abs(look.value), "Newton decrease of a quadratic"
    bounds = look.objective.bounds
    if look.convex and np.isfinite(bounds.lower).all() and np.isfinite(bounds.upper).all():
        g = look.gradient
        farthest = np.where(g > 0, look.x - bounds.lower, look.x - bounds.upper)
        doubt = float(rounding.slope @ (bounds.upper - bounds.lower))
        return float(g @ farthest) + doubt + rounding.value, "tangent of a convex cost inside its bounds"
    return None, ""
