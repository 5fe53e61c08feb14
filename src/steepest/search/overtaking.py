"""A walk begun again, broken off where at its present rate it will not come as low as the walk before it did."""

from __future__ import annotations

from math import log2

from ..bounds import Vector
from ..recording import Recording

# Steps after which a walk is looked at first, and between two looks. Earlier, and the first steps, which cross the
# country about the start, are taken for all.
FIRST_LOOK, BETWEEN_LOOKS = 40, 20

# What is said of a walk that was broken off for it.
FALLEN_BEHIND = "at the rate of its last steps it would not have come as low as the walk before"


class Overtaking:
    """A watch over a walk that ends it where it has fallen too far behind; `is_hopeless`: whether it has.

    A walk falls behind where it would end above `value`, which another walk reached, if every doubling of its steps
    still to come brought as much as the last one: most bring less.
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
            by_a_doubling = lowest[taken // 2] - lowest[taken]
            self.is_hopeless = lowest[taken] - self.value > by_a_doubling * log2(self.steps / taken)
        return asked or self.is_hopeless
