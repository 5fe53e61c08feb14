"""A watch over a walk: it ends where it comes back to a minimum that is known already."""

from __future__ import annotations

import numpy as np

from ..bounds import Vector
from ..problem import Problem
from ..recording import Recording
from ..solvers.driver import Run

# A walk that has come this near to the minimum known already, in parts of the parameters' size and of the fall to it,
# ends there too. Larger, and one into a narrow valley beside it would be given up.
SAME_PLACE, SAME_COST = 1e-4, 1e-6


class Homing:
    """A watch over a walk that ends it where it comes back to a minimum known already; `is_back`: whether it has.

    What is left is the end of a walk that is not kept. `run`: the walk to that minimum; `recording`: sees every
    iterate too, and may end the walk.
    """

    def __init__(self, run: Run, problem: Problem, recording: Recording | None) -> None:
        size = np.maximum(np.abs(run.x), np.abs(run.x - problem.start))
        self.place, self.value, self.recording = run.x, run.value, recording
        self.apart = SAME_PLACE * np.where(size > 0.0, size, 1.0)
        self.above = SAME_COST * max(float(run.history.first[0]) - run.value, 0.0)
        self.is_back = False

    def __call__(self, x: Vector, value: float, slope: float, step_length: float, evaluations: int) -> bool:
        """Whether the walk ends at `x` (n,)."""
        asked = self.recording is not None and self.recording(x, value, slope, step_length, evaluations)
        if self.value <= value <= self.value + self.above:
            self.is_back = bool((np.abs(x - self.place) <= self.apart).all())
        return asked or self.is_back
