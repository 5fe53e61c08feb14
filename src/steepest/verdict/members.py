"""A word for each member of a batch, from where its walk ended: all members at once, in arrays."""

from __future__ import annotations

import numpy as np

from ..bounds import Bounds
from ..solvers.many import Members
from .words import Verdict

Vector = np.ndarray

# A member is at a minimum when its last step moves every parameter by less than this part of its size or of the walk.
SMALL_STEP = 1e-6

# Its Hessian, scaled to ones on the diagonal, bends up in every direction by at least this much.
CURVED = 1e-7


def judged(end: Members, starts: Vector, box: Bounds, convex: bool) -> np.ndarray:
    """A word for each member, (B,): a minimum where slope and curvature show one, else "out of budget".

    "Not finite" where cost, slope or curvature have no value at the start.

    `end`: the end states; `starts` (B, n): where they came from; `convex`: whether the cost is.
    """
    count, n = starts.shape
    x = np.clip(end.x, box.lower, box.upper)
    held = ((x <= box.lower) & (end.gradient > 0)) | ((x >= box.upper) & (end.gradient < 0))
    with np.errstate(all="ignore"):
        hessian = np.where((~held)[:, :, None] & ~held[:, None, :], end.hessian, 0.0)
        diagonal = np.einsum("bii->bi", hessian)
        root = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
        scaled = hessian / (root[:, :, None] * root[:, None, :])
        scaled[held[:, :, None] & np.eye(n, dtype=bool)] = 1.0
        whole = np.isfinite(scaled).all(axis=(1, 2)) & np.isfinite(end.cost)
        scaled[~whole] = 0.0
        lowest = np.linalg.eigvalsh(scaled)[:, 0]
        # What is left to go, by Newton's step without damping; in the units of the walk.
        left = np.zeros((count, n))
        curved = whole & (lowest > CURVED) & (held | (diagonal > 0)).all(axis=1)
        slope = np.where(held, 0.0, end.gradient) / root
        left[curved] = np.linalg.solve(scaled[curved], slope[curved][:, :, None])[:, :, 0] / root[curved]
        size = np.maximum(np.abs(x), np.abs(x - starts))
        # A parameter that is and was zero has no size of its own; there the largest of all stands in.
        size = np.maximum(size, SMALL_STEP * size.max(axis=1, keepdims=True))
        near = (np.abs(left) <= SMALL_STEP * size).all(axis=1)
    found = Verdict.GLOBAL_MINIMUM if convex else Verdict.LOCAL_MINIMUM
    words = np.empty(count, dtype=object)
    words[:] = [found if shown else Verdict.OUT_OF_BUDGET for shown in curved & near & end.done]
    words[(end.steps >= 0) & ~np.isfinite(end.cost)] = Verdict.NOT_FINITE
    return words
