"""At a kink: the minimum that it looks like by the slopes around it, or a way down from there."""

from __future__ import annotations

import numpy as np

from ..bounds import Vector
from .failures import fades, falls
from .kink import Kink, kink_at, one_slope_down
from .look import Look, Rounding
from .minima import kink_minimum
from .rays import first_fall
from .split_kink import split_minimum
from .tails import WEAK_BESIDE, tail_beside_kinks
from .words import Evidence, Judgement

# Distances, in natural sizes, at which a fall along a kink is looked for: a straight step leaves a bent one soon.
ALONG_A_KINK = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)

# Distances, in natural sizes, at which the floor of a ravine must fall, and the part of the whole fall that the first
# must win: less may be what is left of a minimum a little off the point.
DOWN_A_FLOOR = (1e-4, 1e-3, 1e-2)
FLOOR_FALL = 1e-8


def at_a_kink(look: Look, rounding: Rounding, evidence: list[Evidence]) -> tuple[Judgement | None, bool]:
    """What the slopes gathered around the point say, where they show a kink: a minimum, or a way down along it.

    And whether their hull excludes a minimum, with or without a way down that was seen.
    """
    shown = split_minimum(look, evidence)
    if shown is not None:
        return shown, False
    kink = kink_at(look, rounding.value)
    if kink is None:
        return None, False
    way = way_out_of(look, kink, rounding.value) if kink.is_minimum else None
    if kink.is_minimum and way is None:
        level = np.abs(look.gradient) * look.scale <= WEAK_BESIDE * max(look.fall or 0.0, abs(look.value))
        tail = tail_beside_kinks(look, look.free & level)
        return (kink_minimum(look, kink, evidence) if tail is None else fades(look, tail, evidence)), False
    downhill = way if kink.is_minimum else (None if kink.rises else kink.lowest)
    if (
        kink.descent is not None
        and first_fall(look, kink.descent, 4.0 * rounding.value, ALONG_A_KINK) is not None
    ):
        downhill = kink.descent
    excluded = kink.descent is not None and kink.hull > kink.limit
    if downhill is None:
        return None, excluded
    return falls(look, downhill, evidence, "the cost has a kink here, and falls"), excluded


def way_out_of(look: Look, kink: Kink, rounding: float) -> Vector | None:
    """A way (n,) down from a kink whose hull holds zero; None where it is the minimum that it looks like.

    What counts as zero there is no measure where it is more than all of the cost, as where a root has its zero.
    """
    if _has_a_falling_floor(look, kink, rounding):
        return kink.floor
    return one_slope_down(look) if kink.limit > look.at_stake else None


def _has_a_falling_floor(look: Look, kink: Kink, rounding: float) -> bool:
    """Whether a parameter whose slopes do not cancel leads down, though they are next to nothing beside the others'.

    In a ravine with walls 10⁷ times as steep as its floor, the hull of the slopes holds zero to six digits.
    """
    if kink.floor is None or not kink.floor.any():
        return False
    falls = np.array([look.value - look.value_at(look.x + t * kink.floor) for t in DOWN_A_FLOOR])
    worth = FLOOR_FALL * abs(look.value) + 4 * rounding
    along = kink.floor_slope * np.array(DOWN_A_FLOOR)
    return bool((falls > np.maximum(0.1 * along, worth)).all())
