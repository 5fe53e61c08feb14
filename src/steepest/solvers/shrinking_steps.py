"""Steps that shrink by the same factor each time, as where curvature vanishes: what all of them come to is known early.

All that are still to come add up to p / (1 - q) for the next step p and the factor q (Griewank & Osborne, SIAM J.
Numer. Anal. 20, 1983). Newton's method has q = 2/3 on a fourth power, Gauss-Newton's 1/2 on a residual that is a
square, and both come nearer to 1 for higher ones.
"""

from __future__ import annotations

from ..bounds import Vector
from ..linear_algebra.long_vectors import inner

# Below the first factor the steps themselves are quick enough; above the second the sum is a guess.
LEAST_RATIO, MOST_RATIO = 0.3, 0.95

# How much the factor may change from step to step, and how far both steps may differ, in parts of the shorter one.
STEADY, ALIKE = 0.02, 0.1


def shrinking(last: Vector, this: Vector) -> float:
    """By which factor `this` step (n,) is shorter than the `last` (n,), if it goes the same way; else 0.

    >>> import numpy as np
    >>> shrinking(np.array([2.0, 0.0]), np.array([1.0, 0.0])), shrinking(np.array([2.0, 0.0]), np.array([0.0, 1.0]))
    (0.5, 0.0)
    """
    square = inner(last, last)
    ratio = inner(last, this) / square if square > 0.0 else 0.0
    if not LEAST_RATIO <= ratio <= MOST_RATIO:
        return 0.0
    across = this - ratio * last
    return ratio if inner(across, across) <= (ALIKE * ratio) ** 2 * square else 0.0


def is_steady(ratio: float, before: float) -> bool:
    """Whether a factor is what it was `before`, so that the steps to come can be added up."""
    return ratio > 0.0 and abs(ratio - before) <= STEADY
