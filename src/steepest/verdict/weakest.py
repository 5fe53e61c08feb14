"""The weakest curvature of very many parameters, from factors of a sparse Hessian: what a few products never see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..linear_algebra.sparse_factor import SymmetricPattern
from .curvature import ERROR_EXACT, Curvature
from .look import Look

Vector = np.ndarray

# What judging may cost: a sparse Hessian of more parameters, or more multiplications to factorise it, take seconds.
MOST_FACTORISED, MOST_WORK = 200_000, 2e8

# The first shift of the diagonal, in parts of the largest entry and in limits of what is rounding; then tenfold.
FIRST_SHIFT = 4.0
SHIFTS = 16

# From one Hessian to the next along a valley the units serve as long as each row keeps its largest entry within this
# factor of one; finding them anew takes as long as a factorisation.
STILL_EVEN = 10.0

# Inverse iterations towards the lowest eigenvector.
ITERATIONS = 6


@dataclass(frozen=True)
class ShiftedFactor:
    """A factor of D·H·D + shift on the free parameters, with the smallest of some shifts for which one exists.

    `solve` takes a vector in the equilibrated units; `scaled`: D·H·D; `scaling`: D, (n,); `limit`: what is rounding.
    `pattern`: where H has its entries, analysed.
    """

    solve: Callable[[Vector], Vector]
    scaled: Any
    scaling: Vector
    limit: float
    pattern: SymmetricPattern


def shifted_factor(look: Look, H: Any, before: ShiftedFactor | None = None) -> ShiftedFactor | None:
    """The factor of a sparse Hessian `H` (n, n); None where it takes too long, or none of the shifts makes one.

    `before`: that of another Hessian, which serves no longer; its pattern is not analysed again, and its units stay as
    long as they serve.
    """
    if H is None or not np.isfinite(H.data).all():
        return None
    free, pattern = look.free, None if before is None else before.pattern
    if pattern is None or not pattern.fits(H):
        if look.objective.most_work(H) > MOST_WORK:
            return None
        pattern = look.objective.analysed(H)
    whole = bool(free.all())
    data = H.data if whole else np.where(free[pattern.rows] & free[pattern.columns], H.data, 0.0)
    d = None if before is None else before.scaling
    scaled = None if d is None else pattern.scaled(data, d)
    if d is None or scaled is None or not pattern.is_even(scaled, STILL_EVEN):
        d = pattern.balanced(data)
        scaled = pattern.scaled(data, d)
    limit = ERROR_EXACT * float(np.diff(H.indptr).max())
    shift = FIRST_SHIFT * limit
    for _ in range(SHIFTS):
        solve = pattern.factorise(scaled, shift, None if whole else free)
        if solve is not None:
            return ShiftedFactor(solve, pattern.matrix(scaled), d, limit, pattern)
        shift *= 10.0
    return None


def solved_by_factor(look: Look, curvature: Curvature) -> Curvature | None:
    """The same, with Newton steps by a factor of the sparse Hessian; None where all is known, or there is no factor.

    What a few products make of the slope is a rough step; what it promises, and where it lands, is left to chance.
    """
    if curvature.complete or look.n > MOST_FACTORISED or look.objective.derivatives != "exact":
        return None
    factor = shifted_factor(look, look.sparse_hessian)
    if factor is None:
        return None

    def along_slope(slope: Vector) -> tuple[Vector, float]:
        step = -look.on_free(factor.scaling * factor.solve(factor.scaling * look.on_free(slope)))
        return step, -0.5 * float(slope @ step)

    return replace(curvature, along_slope=along_slope)


def with_weakest(look: Look, curvature: Curvature) -> Curvature:
    """The same, with the lowest curvature that factors of the sparse Hessian find, where it is zero or negative.

    A factor of D·H·D with a small shift of its diagonal exists where no curvature is lower than minus the shift;
    where none does, the shift grows until one does. Inverse iterations with it lead to the lowest eigenvector.
    """
    free = look.free
    if curvature.complete or look.n > MOST_FACTORISED or not free.any():
        return curvature
    H = look.sparse_hessian if look.objective.derivatives == "exact" else None
    factor = shifted_factor(look, H)
    if factor is None:
        return curvature
    v = np.where(free, look.generator.standard_normal(look.n), 0.0)
    for _ in range(ITERATIONS):
        v = np.where(free, factor.solve(v / np.linalg.norm(v)), 0.0)
    v = v / np.linalg.norm(v)
    lowest, limit = float(v @ (factor.scaled @ v)), factor.limit
    if not lowest <= limit:
        return replace(curvature, how=f"{curvature.how}, and a factor of the sparse Hessian")
    direction = factor.scaling * v
    own = float(direction @ (H @ direction)) / float(direction @ direction)
    return replace(
        curvature,
        values=np.array([lowest if lowest < -limit else 0.0, *curvature.values]),
        vectors=np.column_stack([direction, curvature.vectors]),
        limit=max(min(curvature.limit, float(curvature.values.min(initial=np.inf)) / 2.0), limit),
        extremes=(min(own, curvature.extremes[0]), curvature.extremes[1]),
        how=f"{curvature.how}, and inverse iterations with a factor of the sparse Hessian",
        unseen=None,
    )
