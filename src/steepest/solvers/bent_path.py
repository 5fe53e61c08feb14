"""Steps that bend with the valley they follow, so that the radius need not shrink until the valley looks straight.

A straight step p along a bent valley leaves its floor by ½K(p, p), where K is the derivative of the model: of the
Jacobian, or of the Hessian. The remedy is the second-order term of the path, a = -½(B + λ)⁻¹K(p, p), with the damped
matrix that gave p: the geodesic acceleration of Transtrum & Sethna (arXiv:1201.5885), Chebyshev's correction
of Newton's step. Here ½K(p, p) costs nothing: it is what the linear model was off by, at the last iterate as seen from
this one, or at a trial that fell short.
"""

from __future__ import annotations

from math import log, sqrt
from typing import NamedTuple

from ..bounds import Vector

# The bend of the last step foretells that of the next one where both are parallel to within this cosine, 26 degrees;
# farther apart, it is the bend of another direction.
PARALLEL = 0.9

# A step this many times as long as the last one: the square of that is no number.
LONGEST = 1e150

# Twice the second-order part of a step is at most this part of its first-order part (Transtrum & Sethna have such a
# limit too). With more, the terms left out are no smaller than it, and neither means anything.
BENT_PART = 0.75

# A trial that keeps less of its promise than this is put back on the floor, at the price of an evaluation. Where it
# keeps more, the next place is worth more than a better one here.
PUT_BACK_BELOW = 0.4

# The putting back must promise to win this part of what is missing, or what is missing is no bend's.
WORTH_PUTTING_BACK = 0.25

# What a bent step may miss of its promise at its best length. It grows with the length by a power, the order: first
# where the bend is not to blame, sixth where the third order of the path is (a distance from the floor, squared).
ALLOWED_MISS, LEAST_ORDER, MOST_ORDER = 0.5, 1.0, 6.0

# A smaller miss is chance; and lengths closer than this, as a logarithm, tell nothing of the order.
LEAST_MISS, APART = 1e-3, 0.15

# Between these the radius follows from the miss, in lengths of the step taken.
SHORTER, LONGER = 0.4, 2.0

# The radius after a bent trial that was refused, in parts of its length: misses of a high order vanish soon.
AFTER_REFUSAL = 0.4


class Bend(NamedTuple):
    """By how much a linear model was `off` (k,) at the end of a step `along` (n,): ½K(along, along) to second order."""

    along: Vector
    off: Vector


class Reach(NamedTuple):
    """What a step of this `length` missed of its promise, as a part of it, and the order with which misses grow."""

    length: float
    miss: float
    order: float


def foretold(bend: Bend | None, p: Vector, scale: Vector) -> Vector | None:
    """By how much the model will be off at a step `p` (n,) that goes on where the last one went; None if it does not.

    `scale` (n,): the units in which steps are compared.

    >>> import numpy as np
    >>> foretold(Bend(np.array([1.0, 0.0]), np.array([5.0])), np.array([2.0, 0.0]), np.ones(2))
    array([20.])
    """
    if bend is None:
        return None
    this, last = scale * p, scale * bend.along
    along, square = float(this.dot(last)), float(last.dot(last))
    if square == 0.0 or not along > PARALLEL * sqrt(float(this.dot(this)) * square):
        return None
    ratio = along / square
    # Nothing is foretold by a step too short for its square to be a number beside this one's.
    return bend.off * ratio**2 if ratio < LONGEST else None


def is_bearable(bent: Vector, straight: float, scale: Vector) -> bool:
    """Whether the second-order part `bent` (n,) of a step is small beside its first-order part, of that length."""
    scaled = scale * bent
    return 2.0 * sqrt(float(scaled.dot(scaled))) <= BENT_PART * straight


def reach_of(before: Reach | None, length: float, missed: float) -> Reach:
    """What a step of that `length` tells of longer ones, when its first trial `missed` that part of its promise."""
    miss = max(missed, LEAST_MISS)
    if before is None:
        return Reach(length, miss, LEAST_ORDER)
    order, longer = before.order, log(length / before.length)
    if min(miss, before.miss) > LEAST_MISS and abs(longer) > APART:
        order = min(max(log(miss / before.miss) / longer, LEAST_ORDER), MOST_ORDER)
    return Reach(length, miss, order)


def next_radius(reach: Reach) -> float:
    """The length at which a step will miss what it may.

    >>> next_radius(Reach(length=1.0, miss=16.0, order=5.0))
    0.5
    """
    factor = (ALLOWED_MISS / reach.miss) ** (1.0 / reach.order)
    return min(max(factor, SHORTER), LONGER) * reach.length
