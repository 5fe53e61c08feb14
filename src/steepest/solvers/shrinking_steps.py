"""Steps that shrink by the same factor each time, as where curvature vanishes: what all of them come to is known early.

All that are still to come add up to p / (1 - q) for the next step p and the factor q (Griewank & Osborne, SIAM J.
Numer. Anal. 20, 1983). Newton's method has q = 2/3 on a fourth power, Gauss-Newton's 1/2 on a residual that is a
square, and both come nearer to 1 for higher ones. Where residuals are left at the bottom, Gauss-Newton's has a q that
depends on what they are, and in several directions several.
"""

from __future__ import annotations

from math import inf, sqrt

from ..bounds import Vector
from ..linear_algebra.long_vectors import inner

# Below the first factor steps are not added up; above the second the sum is a guess.
LEAST_RATIO, MOST_RATIO = 0.3, 0.95

# Below the first factor two steps tell the rest by a secant, where they are parallel to within this cosine, 6 degrees:
# farther apart, several directions shrink by factors of their own, and a secant brings one to its end and keeps others.
PARALLEL = 0.995

# Far out a polynomial looks like its highest power, whose bottom is but the middle of where its minima are. So all
# steps to come are taken at once only where they are no longer than this part of the way so far: with a hundred times
# this, Broyden's banded function from 30 times its start leaps beside its minimum of cost 3, and step by step it comes
# to 0. From farther out Newton's method does so where the factor has hardly changed, and not all the way: short of the
# end by so many square roots of the change, where rounding is not all of it.
MOST_AHEAD = 1e-3
ROUNDING, MOST_CHANGE, STOPS_SHORT = 1e-13, 1e-6, 30.0

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


def led_by(taken: Vector, aimed: Vector, this: Vector, scale: Vector) -> Vector | None:
    """What `this` step (n,) needs besides, if it is the last times a small factor, of either sign; None if it is not.

    The last was `aimed` (n,) by the same rule and `taken` (n,) with what it needed; `scale` (n,): the units in which
    steps are compared. A secant through both ends, in one direction at a time (Anderson, J. ACM 12, 1965, with one
    step remembered): what it leaves is of the second order, where the rule itself leaves a part.

    >>> import numpy as np
    >>> led_by(np.array([5.0]), np.array([5.0]), np.array([1.0]), np.ones(1))
    array([0.25])
    """
    last, now = scale * aimed, scale * this
    change = now - last
    if not abs(float(now.dot(last))) > PARALLEL * sqrt(float(last.dot(last)) * float(now.dot(now))):
        return None
    square = float(change.dot(change))
    part = (
        -float(now.dot(change)) / square if square > 0.0 else inf
    )  # q / (1 - q), for a factor q of either sign
    if not -LEAST_RATIO / (1.0 + LEAST_RATIO) <= part <= LEAST_RATIO / (1.0 - LEAST_RATIO):
        return None
    return part * (taken - aimed + this)


def is_steady(ratio: float, before: float) -> bool:
    """Whether a factor is what it was `before`, so that the steps to come can be added up."""
    return ratio > 0.0 and abs(ratio - before) <= STEADY


def is_near(ahead: float, ratio: float, way: float) -> bool:
    """Whether the steps still to come, the next of length `ahead`, are little beside the way so far.

    >>> is_near(1e-4, 0.5, 1.0), is_near(1e-2, 0.5, 1.0)
    (True, False)
    """
    return ahead <= MOST_AHEAD * (1.0 - ratio) * way


def steps_at_once(ratio: float, before: float, ahead: float, way: float) -> float:
    """As how many steps the next, of length `ahead`, may be taken after a `way` so long, for factors so steady; else 1.

    A factor that changes by d at a distance D from where all steps lead tells of terms of other orders. Where these
    are two orders apart, as with bowls on a fourth power, they are as large as what is left nearer than about √d D.

    >>> round(steps_at_once(0.5, 0.5, 1.0, 1.0), 9), round(steps_at_once(0.5, 0.5 + 1e-8, 1.0, 1.0), 3)
    (2.0, 1.994)
    >>> steps_at_once(0.5, 0.501, 1.0, 1.0), steps_at_once(0.5, 0.501, 1e-4, 1.0)
    (1.0, 2.0)
    """
    if not is_steady(ratio, before):
        return 1.0
    short, change = 0.0, abs(ratio - before)
    if not is_near(ahead, ratio, way):
        if change > MOST_CHANGE:
            return 1.0
        short = STOPS_SHORT * sqrt(max(0.0, change - ROUNDING))
    return (1.0 - short) / (1.0 - ratio)
