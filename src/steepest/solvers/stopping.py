"""When to stop: tests that mean the same whatever the units of the cost and of the parameters.

Every test below gives the same answer for `cost` and `a*cost + b` (as far as `b` costs no digits), since it
compares decreases with decreases, and values with their own rounding error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import inf, isfinite, isnan
from typing import Any

import numpy as np

from ..bounds import Vector
from ..errors import InputError
from ..linear_algebra.long_vectors import holds_everywhere
from ..numerics import EPS, largest

# A computed cost of magnitude |f| is taken to be uncertain by this much of |f|: a few operations' rounding.
# Smaller, and the last digits' noise is mistaken for slope; larger, and true progress is mistaken for noise.
VALUE_ROUNDING = 16 * EPS

# Once what is left to gain is this small a part of what was gained, 23 digits of slope have been won.
NOTHING_LEFT = EPS**3

# With few parameters steps are cheap, and a walk goes on for the last digits of the slope after the cost has
# shown all of its own. Above this many each such step is work that no evaluation of the cost can tell from
# standing still: the walk ends when what is left to gain is `UNSEEN` of one rounding of the cost or, where the
# cost falls to zero and its rounding with it, 12 digits of slope have been won. A larger `UNSEEN`, and what a
# limited memory underestimates is no longer below rounding.
POLISHED_PARAMETERS = 100_000
UNSEEN = 0.1
LITTLE_LEFT = EPS**1.5

# Above this many parameters a step takes long enough that none is taken for what a solver knows to be rounding of the
# cost, be it more than that of the cost's own size. A layout of 750 points by springs was walked on for 1,000 steps
# and half a minute.
STEPS_TAKE_LONG = 300

# Among values equal to rounding, this many steps may pass without a smaller slope before it counts as lost.
# A solver with a model of the curvature shrinks the slope by far more than a tenth each time while it can;
# a fixed rate may shrink it by very little, but does so every time.
PATIENCE_WITH_MODEL, SHRINKING_WITH_MODEL = 4, 0.9
PATIENCE_WITHOUT_MODEL, SHRINKING_WITHOUT_MODEL = 20, 1.0

# Where a model promises less than this part of the rounding of the cost, its slope has as many digits as the cost: one
# step that does not shrink it is enough.
NOT_WORTH_A_STEP = EPS

# Steps that promise this many times the rounding of the cost, and change nothing, are not lost in rounding:
# they lead from one side of a valley to the other.
WORTHWHILE = 1e3

# Steps without any new lowest value before a walk that goes up and down counts as going nowhere.
PATIENCE_ASTRAY = 1000

# A cost that rose to a million times all that was at stake at the start is not coming back.
DIVERGENCE = 1e6

# A cost that fell by this many times its first decrease falls without limit, as far as doubles can say.
BOTTOMLESS = 1e80

# A step of this length has left for infinity; its square still does not overflow.
RUNAWAY = 1e100


class StopReason(StrEnum):
    """Why the solver stopped: a statement about the walk, never a claim about the end point.

    >>> StopReason.STOPPED == "stopped"
    True
    """

    SLOPE_ZERO = "slope is zero"
    TOLERANCE = "tolerance reached"
    ROUNDING = "slope lost in rounding"
    SPACING = "step below the spacing of x"
    NO_PROGRESS = "no lower point found"
    ARRIVED = "first-order conditions hold"
    DIVERGED = "diverged"
    UNBOUNDED = "unbounded below"
    RUNAWAY = "parameters run to infinity"
    NOT_FINITE = "not finite"
    OUT_OF_BUDGET = "out of budget"
    STOPPED = "stopped"

    @property
    def is_final(self) -> bool:
        """Whether the solver went as far as it could or was asked to: more budget would change nothing."""
        return self in FINAL


FINAL = frozenset(
    {
        StopReason.SLOPE_ZERO,
        StopReason.TOLERANCE,
        StopReason.ROUNDING,
        StopReason.SPACING,
        StopReason.NO_PROGRESS,
        StopReason.ARRIVED,
    }
)

INTERRUPTED = "interrupted from the keyboard"


def in_spite_of_ctrl_c(measure: Callable[[Vector], Any], x: Vector) -> Any:
    """`measure(x)`, once more where Ctrl-C is pressed meanwhile: for what no result can do without.

    >>> presses = iter([True, False])
    >>> def measure(x):
    ...     if next(presses):
    ...         raise KeyboardInterrupt
    ...     return x
    >>> in_spite_of_ctrl_c(measure, np.array([2.0]))
    array([2.])
    """
    try:
        return measure(x)
    except KeyboardInterrupt:
        return measure(x)


SENTENCES = {
    StopReason.SLOPE_ZERO: "the slope is exactly zero in every direction that is free",
    StopReason.ROUNDING: "the slope no longer shrinks and the cost no longer falls: both are lost in rounding",
    StopReason.SPACING: "the next step is smaller than the spacing of double precision numbers at x",
    StopReason.NO_PROGRESS: "no lower point was found along the last direction, nor straight down the slope",
    StopReason.ARRIVED: "the first-order conditions hold as far as the method goes",
    StopReason.UNBOUNDED: "the cost fell without limit",
    StopReason.RUNAWAY: "the parameters grew without limit while the cost kept falling",
    StopReason.NOT_FINITE: "the cost or its slope is not finite at the start",
}


@dataclass(frozen=True)
class Tolerance:
    """What is precise enough; None (the default) means as far as double precision goes.

    `remaining` (the user's `tol`): stop when what is left to gain, by the solver's own estimate, is less than
    this fraction of what has been gained since the start. `gradient`, `value` and `step` carry SciPy's
    `gtol`, `ftol` and `xtol`: largest entry of the projected slope; relative decrease of one step,
    (f₀ - f₁) / max(|f₀|, |f₁|, 1); length of a step relative to that of x.

    >>> Tolerance(remaining=1e-8).gradient is None
    True
    """

    remaining: float | None = None
    gradient: float | None = None
    value: float | None = None
    step: float | None = None

    def __post_init__(self) -> None:
        for name in ("remaining", "gradient", "value", "step"):
            asked = getattr(self, name)
            if asked is not None and not 0 <= asked < inf:
                raise InputError(f"a tolerance must be a number from 0 upwards; {name} is {asked!r}")

    @property
    def any(self) -> bool:
        """Whether the user asked for any tolerance at all."""
        return not (
            self.remaining is None and self.gradient is None and self.value is None and self.step is None
        )


class Progress:
    """Watches one walk and says when it is over; fed one accepted iterate at a time."""

    def __init__(self, value: float, tolerance: Tolerance, remedy: str) -> None:
        self.start = value
        self.lowest = value
        self.tolerance = tolerance
        self._is_asked = tolerance.any
        self.remedy = remedy
        self.sentence = ""
        self._stake = 0.0  # the largest decrease a first-order model promised at the start
        self._previous_decrease = inf
        self._smallest_slope = inf
        self._quiet = 0
        self._since_lowest = 0

    def check_start(self, x: Vector, slope: float, gradient: Vector) -> StopReason | None:
        """Whether the start is already the end; `slope` is the length of the projected gradient there."""
        self._smallest_slope = slope
        if slope == 0.0:
            return self._say(StopReason.SLOPE_ZERO)
        gtol = self.tolerance.gradient
        if gtol is not None and _largest(gradient) <= gtol:
            return self._say(StopReason.TOLERANCE, f"the largest projected slope is at most gtol = {gtol:g}")
        return None

    def check(
        self,
        x: Vector,
        value: float,
        before: float,
        slope: float,
        gradient: Vector,
        step: Vector,
        step_length: float,
        decrease: float,
        grain: float,
    ) -> StopReason | None:
        """Whether the walk ends at `x`, one step after a point of cost `before`.

        `slope` and `gradient` are projected; `decrease` is what the solver's model says is left to gain; `grain`: by
        how much more than rounding of its own size the value may be off.
        """
        fell = before - value
        if slope == 0.0:
            return self._say(StopReason.SLOPE_ZERO)
        if not (isfinite(value) and isfinite(slope)):
            return self._diverged(value)
        if self._stake == 0.0:
            self._stake = max(abs(fell), slope * step_length)
        lowest = self.lowest
        if value < lowest:
            self.lowest = value
            self._since_lowest = 0
        else:
            self._since_lowest += 1
            if value - lowest > DIVERGENCE * max(self._stake, self.start - lowest, EPS * abs(lowest)):
                return self._diverged(value)
            if self._since_lowest >= PATIENCE_ASTRAY:
                return self._say(
                    StopReason.NO_PROGRESS, f"the last {PATIENCE_ASTRAY} steps found nothing lower"
                )
        gained = self.start - self.lowest
        if gained > BOTTOMLESS * (self._stake + abs(self.start)):
            return self._say(StopReason.UNBOUNDED)
        if step_length > RUNAWAY:
            return self._say(StopReason.RUNAWAY)
        if self._is_asked:
            reason = self._tolerated(value, before, gained, decrease, gradient, x, step_length)
            if reason is not None:
                return reason
        self._previous_decrease = fell
        rounding = VALUE_ROUNDING * abs(value)
        has_model = not isnan(decrease)
        left = decrease if has_model else slope * step_length
        if left <= NOTHING_LEFT * gained:
            return self._say(StopReason.ROUNDING, "what is left to gain is beyond double precision")
        if has_model and x.size > POLISHED_PARAMETERS:
            unseen = max(UNSEEN * EPS * abs(value), LITTLE_LEFT * gained)
            if decrease <= unseen and fell <= rounding + unseen:
                return self._say(
                    StopReason.ROUNDING,
                    f"what is left to gain, about {decrease:.2g}, is below rounding of the cost",
                )
        # Sums that cancel round worse than the value tells: nothing promised and nothing won is lost in rounding, too.
        # What the slope promises stands in where the model's own promise was cut short.
        promised = min(left, slope * step_length) if has_model else left
        idle = has_model and promised <= rounding and value >= lowest - rounding
        if x.size > STEPS_TAKE_LONG:
            rounding += grain
        if idle or -rounding <= fell <= rounding:
            spent = has_model and left <= NOT_WORTH_A_STEP * rounding
            return self._lost_in_rounding(x, slope, step, has_model, spent)
        self._quiet = 0
        if slope < self._smallest_slope:
            self._smallest_slope = slope
        return None

    def _lost_in_rounding(
        self, x: Vector, slope: float, step: Vector, has_model: bool, spent: bool
    ) -> StopReason | None:
        """Values equal to rounding: go on only while the slope still shrinks and x still moves.

        `spent`: what is left to gain is not worth a step.
        """
        if holds_everywhere(np.abs(step) <= np.spacing(np.abs(x))):
            return self._say(StopReason.SPACING)
        patience, shrinking = (
            (PATIENCE_WITH_MODEL, SHRINKING_WITH_MODEL)
            if has_model
            else (PATIENCE_WITHOUT_MODEL, SHRINKING_WITHOUT_MODEL)
        )
        if slope < shrinking * self._smallest_slope:
            self._smallest_slope = slope
            self._quiet = 0
            return None
        self._quiet += 1
        if self._quiet < patience and not spent:
            return None
        if slope * largest(np.abs(step)) > WORTHWHILE * VALUE_ROUNDING * abs(self.lowest):
            cause = self.remedy or "the slope promises more than the cost gives"
            return self._say(StopReason.NO_PROGRESS, f"steps are taken but the cost stays the same: {cause}")
        return self._say(StopReason.ROUNDING)

    def _tolerated(
        self,
        value: float,
        before: float,
        gained: float,
        decrease: float,
        gradient: Vector,
        x: Vector,
        step_length: float,
    ) -> StopReason | None:
        asked = self.tolerance
        fell = before - value
        if asked.remaining is not None and fell >= 0.0:
            left = max(
                decrease if not isnan(decrease) else 0.0, _geometric_rest(self._previous_decrease, fell)
            )
            if left <= asked.remaining * gained:
                return self._say(
                    StopReason.TOLERANCE,
                    f"what is left to gain, about {left:.2g}, is below tol = {asked.remaining:g} of the "
                    f"{gained:.2g} gained",
                )
        if asked.gradient is not None and _largest(gradient) <= asked.gradient:
            return self._say(
                StopReason.TOLERANCE, f"the largest projected slope is at most gtol = {asked.gradient:g}"
            )
        if asked.value is not None and 0.0 <= fell <= asked.value * max(abs(before), abs(value), 1.0):
            return self._say(
                StopReason.TOLERANCE, f"the last relative decrease is at most ftol = {asked.value:g}"
            )
        if asked.step is not None and step_length <= asked.step * (float(np.linalg.norm(x)) + asked.step):
            return self._say(StopReason.TOLERANCE, f"the last relative step is at most xtol = {asked.step:g}")
        return None

    def _diverged(self, value: float) -> StopReason:
        cause = self.remedy or "the walk left the region where the cost is finite"
        return self._say(StopReason.DIVERGED, f"the cost grew to {value:.3g} from {self.lowest:.6g}: {cause}")

    def _say(self, reason: StopReason, sentence: str | None = None) -> StopReason:
        self.sentence = SENTENCES[reason] if sentence is None else sentence
        return reason


def _geometric_rest(previous: float, fell: float) -> float:
    """What a sequence of decreases would still add if it kept shrinking by its last ratio.

    The sum of f·q + f·q² + … with q = fell / previous; nothing can be said while decreases grow.
    """
    if not 0.0 < previous < inf:
        return inf
    ratio = fell / previous
    return fell * ratio / (1.0 - ratio) if ratio < 1.0 else inf


def _largest(gradient: Vector) -> float:
    return float(np.abs(gradient).max(initial=0.0))
