"""A solution followed by NumPy, one step after the other."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from . import explicit, implicit
from .steps import MOST_STEPS, SHORTEST, Control, length_of_the_first


class Walk:
    """One equation from `start` to `end`, and how far it has come: time `t`, state `z`, its `rate`, the next `length`.

    The first `lead` unknowns, among which the others do not occur, decide on the steps; the others are directions
    pushed through them, at most `levels` one upon another. `slope(t, z)` gives z' (unknowns,), `by_state(t, z)` its
    matrix of derivatives by z. `states` (times, unknowns): those met so far.
    """

    def __init__(
        self,
        slope: Callable[[float, np.ndarray], np.ndarray],
        by_state: Callable[[float, np.ndarray], np.ndarray],
        lead: int,
        levels: int,
        control: Control,
    ) -> None:
        self.slope, self.by_state, self.lead, self.levels, self.control = (
            slope,
            by_state,
            lead,
            levels,
            control,
        )

    def __call__(
        self, start: float, end: float, times: np.ndarray, z: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The states at `times`, shape (times, unknowns), and at the end.

        NaN where the end is not reached in `MOST_STEPS` steps, where the steps vanish, and outside the span.
        """
        n = self.lead
        self.t, self.end, self.times, self.z = start, end, times, z
        self.sense = sense = (end > start) - (end < start) if not math.isnan(start - end) else math.nan
        along = sense * (times - start)
        self.states = np.where((along <= 0.0)[:, None], z, 0.0)
        # Those ahead, in the order in which they are met.
        self._order = np.argsort(along, kind="stable")
        self._along = (sense * times[self._order]).tolist()
        self._next = int(np.count_nonzero(along <= 0.0))
        self.rate = self.slope(start, z)
        if self.control.first is None:
            led = self.rate[:n]
            self.length = length_of_the_first(self._slope_of_lead, start, z[:n], led, sense, self.control)
        else:
            self.length = float(self.control.first)
        # NaN stays.
        longer = max(self.length, 2.0 * SHORTEST * abs(start))
        self.length = min(longer, self.control.longest, abs(end - start))
        self.steps = 0
        explicit.follow(self)
        implicit.follow(self)
        whole = sense * (end - self.t) <= 0.0
        inside = (along >= 0.0) & (sense * (end - times) >= 0.0)
        states = np.where(inside[:, None] & whole, self.states, np.nan)
        return states, self.z.copy() if whole else np.full(z.size, np.nan)

    def _slope_of_lead(self, t: float, y: np.ndarray) -> np.ndarray:
        z = self.z.copy()
        z[: self.lead] = y
        return self.slope(t, z)[: self.lead]

    def is_under_way(self, t: float) -> bool:
        """Whether the end is ahead, and another step brings it nearer."""
        left = self.sense * (self.end - t)
        return left > 0.0 and self.steps < MOST_STEPS and self.length > min(SHORTEST * abs(t), 0.99 * left)

    def met(self, ahead: float) -> np.ndarray:
        """Where in `times` those stand that are met on the way to `ahead`; they are asked for once."""
        first, along, limit = self._next, self._along, self.sense * ahead
        while self._next < len(along) and along[self._next] <= limit:
            self._next += 1
        return self._order[first : self._next]

    def next_stop(self) -> float:
        """The next of `times` to be met, or the end where that is nearer."""
        if self._next >= len(self._along):
            return self.end
        nearest = self._along[self._next]
        return self.sense * nearest if nearest < self.sense * self.end else self.end
