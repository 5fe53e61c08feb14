"""A walk begun again, broken off where at its present rate it will not come as low as the walk before it did."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

from ..bounds import Vector
from ..recording import Recording

# Steps after which a walk is looked at first, and between two looks. Earlier, and the first steps, which cross the
# country about the start, are taken for all.
FIRST_LOOK, BETWEEN_LOOKS = 40, 20

# What a walk falls by shrinks from one doubling of its steps to the next to no less than this part, as where the cost
# falls by the square of its steps. With less, one on a level stretch after a steep fall would be given up there.
LEAST_OF_THE_LAST = 0.25

# A walk may fall by so many times what its last two doublings foretell: they hold steps of unlike success.
DOUBT = 2.0

# What is said of a walk that was broken off for it.
FALLEN_BEHIND = "at the rate of its last steps it would not have come as low as the walk before"


class Overtaking:
    """A watch over a walk that ends it where it has fallen too far behind; `is_hopeless`: whether it has.

    A walk falls behind where it would end above `value`, which another walk reached, if every doubling of its steps
    still to come brought as much as the last one; and where it would if they shrank as the last two did.
    `steps`: how many it may take; `recording`: sees every iterate too, and may end the walk.
    """

    def __init__(self, value: float, steps: int, recording: Recording | None) -> None:
        self.value, self.steps, self.recording = value, steps, recording
        self.lowest: list[float] = []
        self.is_hopeless = False

    def __call__(self, x: Vector, value: float, slope: float, step_length: float, evaluations: int) -> bool:
        """Whether the walk ends at `x` (n,)."""
        asked = self.recording is not None and self.recording(x, value, slope, step_length, evaluations)
        lowest = self.lowest
        lowest.append(min(value, lowest[-1]) if lowest else value)
        taken = len(lowest) - 1
        if taken >= FIRST_LOOK and taken % BETWEEN_LOOKS == 0 and not asked:
            self.is_hopeless = lowest[taken] - self.value > to_come(lowest, log2(self.steps / taken))
        return asked or self.is_hopeless


def to_come(lowest: Sequence[float], doublings: float) -> float:
    """By how much a walk may fall in so many doublings of its steps; `lowest`: its lowest cost after each so far.

    Where the cost is c + b·tᵃ after t steps, -2 ≤ a < 0, that is `DOUBT` times what it will fall by, or what it would
    by as much with each doubling as in the last.

    >>> walk = [8.0 + 1.0 / t for t in range(1, 101)]
    >>> round(to_come([walk[0], *walk], 2.0), 12)
    0.015
    """
    taken = len(lowest) - 1
    last, before = lowest[taken // 2] - lowest[taken], lowest[taken // 4] - lowest[taken // 2]
    if not 0.0 < last < before:
        return last * doublings
    ratio = max(last / before, LEAST_OF_THE_LAST)
    shrinking = ratio * (1.0 - ratio**doublings) / (1.0 - ratio)
    return last * min(DOUBT * shrinking, doublings)
