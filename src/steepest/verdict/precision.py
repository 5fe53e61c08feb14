"""How well is the minimum known? Digits to trust, and how much lower the cost could still go."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..numerics import EPS, all_finite, quietly
from .curvature import ERROR_EXACT, Curvature
from .look import Look, Rounding

Vector = np.ndarray

# Decimal digits that a double precision number holds.
MOST_DIGITS = 15.95

# Random signs that the rounding of a slope with very many entries is given, besides all alike: the largest of so many
# displacements, doubled, falls short of the one that happened by more than a digit in about one parameter of 10⁷.
RANDOM_SIGNS = 6

# A second Newton step with more than this part of the first, beyond rounding, comes from no well-determined minimum.
CONTRACTS = 0.5

# What judging may cost: a sparse Hessian of more parameters, or more multiplications to factorise it, take seconds.
MOST_FACTORISED, MOST_WORK = 200_000, 2e9

# Inverse iterations towards the smallest curvature: one shows a direction without any, the rest sharpen the number.
INVERSE_ITERATIONS = 3


def digits_of(look: Look, error: Vector) -> Vector:
    """-log₁₀ of each parameter's relative error, (n,), between 0 and 15.95; `error` (n,) in its own units.

    A parameter that cannot be told from zero counts its digits relative to its natural size, as the log
    absolute error of the NIST reference data sets does for certified values of zero.
    """
    known = np.abs(look.x)
    size = np.where(known > error, known, look.scale)
    with quietly():
        digits = -np.log10(error / size)
    if not look.all_free:
        digits = np.where(look.free, digits, MOST_DIGITS)
    if not all_finite(digits):
        digits[np.isnan(digits)] = 0.0
    return np.minimum(np.maximum(digits, 0.0), MOST_DIGITS)


def error_of(look: Look, rounding: Rounding, curvature: Curvature, step: Vector, landing: float) -> Vector:
    """Distance to the true minimum, (n,): the Newton step still to go, and what the slope's error allows.

    Where Newton steps land badly (`landing` near one) the minimum lies several of them away. The minimum meant is that
    of the cost whose differential equations are solved exactly.
    """
    error = curvature.spread_of(rounding.slope) + 0.5 * look.spacing
    if look.unfollowed is not None:
        error = error + np.abs(curvature.shift_by(look.unfollowed[1]))
    measured = look.objective.gradient_error
    if measured is not None:
        error = error + curvature.spread_of(look.on_free(np.nan_to_num(measured)))
    ratio = np.sqrt(landing) if 0.0 < landing < 1.0 else (0.0 if not landing >= 1.0 else 0.99)
    return 2.0 * error + np.abs(step) / (1.0 - ratio)


def sparse_error_of(look: Look, rounding: Rounding) -> Vector | None:
    """The same distance, (n,), for very many parameters, from one factor of the sparse Hessian on the free ones.

    The error of the slope is as large as measured and its signs are unknown, so several are tried. None where there is
    no sparse Hessian, where it takes long to factorise, where some curvature is not positive beyond rounding, or where
    a second Newton step is not well below the first, so that nobody knows how many more are to come. Costs one
    Hessian, one factorisation and one gradient.
    """
    free = look.free
    solve = _sparse_solver(look) if free.any() and look.n <= MOST_FACTORISED else None
    if solve is None:
        return None
    error = np.where(free, rounding.slope, 0.0)
    spread = np.abs(solve(error))
    for _ in range(RANDOM_SIGNS):
        spread = np.maximum(spread, np.abs(solve(error * look.generator.choice((-1.0, 1.0), look.n))))
    if look.unfollowed is not None:
        spread = spread + np.abs(solve(look.unfollowed[1]))
    spread = 2.0 * (spread + 0.5 * np.spacing(np.abs(look.x)))
    step = -solve(np.where(free, look.projected, 0.0))
    _, gradient = look.slope_at(look.x + step)
    second = solve(np.where(free, gradient, 0.0))
    beyond = np.maximum(np.abs(second) - spread, 0.0) / look.scale
    if not np.linalg.norm(beyond) <= CONTRACTS * np.linalg.norm(step / look.scale):
        return None
    return spread + np.abs(step) + np.abs(second) / (1.0 - CONTRACTS)


def _sparse_solver(look: Look) -> Callable[[Vector], Vector] | None:
    """How to solve with the sparse Hessian on the free parameters; None where that takes long or means nothing."""
    H = look.sparse_hessian
    if H is None or not np.isfinite(H.data).all() or look.objective.most_work(H) > MOST_WORK:
        return None
    pattern, free = look.objective.analysed(H), look.free
    solve = pattern.factorise(H.data, 0.0, None if free.all() else free)
    if solve is None:
        return None
    # As with dense matrices, curvatures count once rows are equally large; every entry errs, so a row of k by k errors.
    d = pattern.balanced(np.where(free[pattern.rows] & free[pattern.columns], H.data, 0.0))
    limit = ERROR_EXACT * float(np.diff(H.indptr).max())
    v = np.where(free, look.generator.standard_normal(look.n), 0.0)
    smallest = np.inf
    for _ in range(INVERSE_ITERATIONS):
        v = v / np.linalg.norm(v)
        v = np.where(free, solve(v / d) / d, 0.0)
        smallest = min(smallest, 1.0 / float(np.linalg.norm(v)))
    return solve if smallest > limit else None


def gap_of(
    look: Look, rounding: Rounding, remaining: float, curvature: Curvature
) -> tuple[float | None, str]:
    """A bound on cost here minus lowest possible cost, and how it was found; None where nothing bounds it.

    A quadratic with curvature in every direction is exactly as high as its Newton step promises. A convex
    cost lies above its tangent, which inside finite bounds cannot fall without limit.
    """
    if look.quadratic and curvature.complete and curvature.positive and not look.touching.any():
        if look.all_free:
            error = rounding.slope + rounding.grain
            doubt = float((0.5 * error).dot(curvature.spread_of(error)))
            return remaining + doubt + EPS * abs(look.value), "Newton decrease of a quadratic"
    bounds = look.objective.bounds
    if bounds.any and look.convex and np.isfinite(bounds.lower).all() and np.isfinite(bounds.upper).all():
        g = look.gradient
        farthest = np.where(g > 0, look.x - bounds.lower, look.x - bounds.upper)
        doubt = float(rounding.slope @ (bounds.upper - bounds.lower))
        return float(g @ farthest) + doubt + rounding.value, "tangent of a convex cost inside its bounds"
    return None, ""
