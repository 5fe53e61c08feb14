"""The weakest curvature of very many parameters, from factors of a sparse Hessian: what a few products never see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..linear_algebra.elimination import work_to_factorise
from ..linear_algebra.sparse_factor import SymmetricPattern
from .curvature import ERROR_EXACT, Curvature
from .look import Look

# What judging may cost: a sparse Hessian of more parameters, or more multiplications to factorise it, take seconds.
MOST_FACTORISED, MOST_WORK = 200_000, 2e8

# The first shift of the diagonal, in parts of the largest entry and in limits of what is rounding; then tenfold.
FIRST_SHIFT = 4.0
SHIFTS = 16

# Inverse iterations towards the lowest eigenvector.
ITERATIONS = 6


def with_weakest(look: Look, curvature: Curvature) -> Curvature:
    """The same, with the lowest curvature that factors of the sparse Hessian find, where it is zero or negative.

    A factor of D·H·D with a small shift of its diagonal exists where no curvature is lower than minus the shift;
    where none does, the shift grows until one does. Inverse iterations with it lead to the lowest eigenvector.
    """
    free = look.free
    if curvature.complete or look.n > MOST_FACTORISED or not free.any():
        return curvature
    H = look.sparse_hessian if look.objective.derivatives == "exact" else None
    if H is None or not np.isfinite(H.data).all() or work_to_factorise(H.indptr, H.indices) > MOST_WORK:
        return curvature
    pattern = SymmetricPattern(H)
    inside = free[pattern.rows] & free[pattern.columns]
    d = pattern.equilibration(np.where(inside, H.data, 0.0))
    data = np.where(inside, H.data, 0.0) * d[pattern.rows] * d[pattern.columns]
    limit = ERROR_EXACT * float(np.diff(H.indptr).max())
    shift, solve = FIRST_SHIFT * limit, None
    for _ in range(SHIFTS):
        solve = pattern.factorise(data, shift, None if free.all() else free)
        if solve is not None:
            break
        shift *= 10.0
    if solve is None:
        return curvature
    scaled = H.copy()
    scaled.data = data
    v = np.where(free, look.generator.standard_normal(look.n), 0.0)
    for _ in range(ITERATIONS):
        v = np.where(free, solve(v / np.linalg.norm(v)), 0.0)
    v = v / np.linalg.norm(v)
    lowest = float(v @ (scaled @ v))
    if not lowest <= limit:
        return replace(curvature, how=f"{curvature.how}, and a factor of the sparse Hessian")
    direction = d * v
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
