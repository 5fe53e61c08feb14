"""Steps that shrink by the same factor each time, and where all that are still to come would lead.

Where curvature vanishes at the minimum, steps of Newton and of Gauss-Newton shrink by the same factor q, and all
that are still to come add up to p / (1 - q) (Griewank & Osborne, SIAM J. Numer. Anal. 20, 1983).
"""

from __future__ import annotations

from ..bounds import Vector
from ..linear_algebra.long_vectors import inner

# For a fourth power q is 2/3 by Newton's method and 1/2 by Gauss-Newton, for higher ones nearer to 1. Below the first
# the steps themselves are quick enough; above the second the sum is a guess.
LEAST_RATIO, MOST_RATIO = 0.3, 0.95
# How much the factor may change from step to step, and how far both steps may differ, in parts of the shorter one.
STEADY, ALIKE = 0.02, 0.1


def shrinking(last: Vector, this: Vector) -> float:
    """By which factor `this` step (n,) is shorter than the `last` (n,), if it goes the same way; else 0.

    >>> import numpy as np
    >>> shrinking(np.array([3.0, 0.0]), np.array([2.0, 0.01])).__round__(6)
    0.666667
    >>> shrinking(np.array([3.0, 0.0]), np.array([2.0, 1.0]))
    0.0
    """
    square = inner(last, last)
    ratio = inner(last, this) / square if square > 0.0 else 0.0
    if not LEAST_RATIO <= ratio <= MOST_RATIO:
        return 0.0
    across = this - ratio * last
    return ratio if inner(across, across) <= (ALIKE * ratio) ** 2 * square else 0.0


def is_steady(ratio: float, before: float) -> bool:
    """Whether steps shrink by the factor by which they shrank `before`; zero stands for none."""
    return ratio > 0.0 and abs(ratio - before) <= STEADY
