"""How far a quadratic model is trusted: trial steps, their judgement, and the radius that follows from it."""

from __future__ import annotations

from math import inf, isfinite, sqrt
from typing import NamedTuple, Protocol

import numpy as np

from ..bounds import Vector
from ..linear_algebra.long_vectors import inner, is_finite, is_zero
from ..objective import Objective
from .stopping import VALUE_ROUNDING, StopReason

# A trial is taken when it gains this part of what the model promised. Any positive number makes the theory work;
# larger ones refuse useful steps in curved valleys.
ENOUGH = 1e-4

# Below the first the model was wrong over this length and the radius shrinks; above the second it was right, and
# the radius may grow.
POOR, GOOD = 0.25, 0.75

# The radius after a good step that reached it, in lengths of that step.
GROWTH = 3.0

# The next radius after a refused step lies between these parts of its length; interpolation says where.
SHORTEST, LONGEST = 0.1, 0.5

# Part of the way to a wall of NaN or infinity for the next trial: walls are usually overshot by far.
BACK_FROM_WALL = 0.2

# 60 refused trials cross the whole range of a double's mantissa; nothing can be found after them.
MAX_TRIALS = 60

# Where all that the model promises is within rounding, a full step is good at once or nothing is.
TRIALS_IN_ROUNDING = 4

# A first step shorter than this part of every parameter, and refused, is made of the rounding of the slope.
UNSEEN_STEP = 1e-13

# Rounding in sums with cancellation exceeds that of the value: where the slopes at both ends say the cost fell, an
# increase of the value up to this fraction of it is not believed.
DOUBTFUL_VALUE = 1e-10


# A step that gains this many times what was promised may have met a true abyss, or numbers that lost their digits: then
# a neighbouring number's cost differs by more than this part of the gain.
TOO_GOOD, TORN = 1e3, 1e-4


class Proposal(NamedTuple):
    """A step (n,), what it `promised` to gain, whether the radius `cut` it short, and the shift that did so."""

    step: Vector
    promised: float
    cut: bool
    shift: float


class Model(Protocol):
    """A quadratic model of the cost around an iterate, in units of its own."""

    @property
    def first_radius(self) -> float:
        """How far to trust the model before anything is known."""

    def within(self, radius: float, shift: float) -> Proposal:
        """The step no longer than about the radius that leads to the model's lowest point there.

        `shift`: added to the curvatures of the last step, a guess for this one.
        """

    def length(self, step: Vector) -> float:
        """Length of a step (n,) in the units of the radius."""

    def place(self, step: Vector) -> Vector:
        """The point one step away, shape (n,), inside the bounds and exactly on those it reaches."""

    def corrected(self, step: Vector, gradient: Vector, promised: float, ratio: float) -> Vector | None:
        """The step (n,) and what its end's gradient asks for besides; None where only another model could tell.

        `ratio`: what the step gained, as a part of what it `promised`.
        """


class Landing(NamedTuple):
    """A trial that was taken, `step` (n,) from the last iterate; `growth`: the next radius in lengths of it."""

    x: Vector
    value: float
    gradient: Vector
    step: Vector
    growth: float


def advance(
    objective: Objective,
    x: Vector,
    value: float,
    gradient: Vector,
    model: Model,
    radius: float,
    proposal: Proposal,
) -> Landing | StopReason:
    """Try steps of the model, `proposal` first and then shorter ones, until one is low enough; or say why none is."""
    rounding = VALUE_ROUNDING * abs(value)
    trials = 0
    while True:
        promised = proposal.promised
        landed = model.place(proposal.step)
        step = landed - x
        stays = is_zero(step)
        if stays or not promised > 0.0:
            if trials == 0 and stays:
                return StopReason.SPACING
            return StopReason.ROUNDING if promised <= rounding else StopReason.NO_PROGRESS
        seen = objective.lowest
        f, g = objective.value_and_gradient(landed)
        trials += 1
        size = model.length(step)
        end_slope = inner(g, step)
        wall = not (isfinite(f) and isfinite(end_slope))
        too_good = value - f > max(TOO_GOOD * promised, rounding) and not wall
        if too_good and lost_its_digits(objective, landed, f, value - f):
            objective.lowest = seen  # it is no point to return
            wall = True
        if wall:
            radius = BACK_FROM_WALL * min(size, radius)
        else:
            start_slope = inner(gradient, step)
            fell = value - f
            if abs(fell) <= rounding or (promised <= rounding and -fell <= DOUBTFUL_VALUE * abs(value)):
                # The trapezoid of both slopes: exact for a quadratic, and free of the rounding of the values.
                fell = -0.5 * (start_slope + end_slope)
            ratio = fell / promised
            if ratio < GOOD and promised > rounding:
                better = _corrected(objective, value, model, proposal.step, g, promised, ratio)
                if better is not None:
                    landed, f, g, ratio = better
                    step = landed - x
                    start_slope, end_slope = inner(gradient, step), inner(g, step)
                    size = max(size, model.length(step))
            if ratio > ENOUGH:
                return Landing(landed, f, g, step, _growth(ratio, radius, size, proposal.cut))
            radius = min(size, radius) * _shrinking(value, f, start_slope, end_slope)
        lost = promised <= rounding or (trials == 1 and bool((np.abs(step) <= UNSEEN_STEP * np.abs(x)).all()))
        if trials >= (TRIALS_IN_ROUNDING if lost else MAX_TRIALS):
            return StopReason.ROUNDING if lost else StopReason.NO_PROGRESS
        proposal = model.within(radius, proposal.shift)


def lost_its_digits(objective: Objective, x: Vector, value: float, fell: float) -> bool:
    """Whether the `value` at `x` (n,), lower by `fell`, is made of rounding, as beyond the digits of an inner solve."""
    beside = objective.value(objective.bounds.project(np.nextafter(x, inf)))
    return not abs(beside - value) <= TORN * fell


def _corrected(
    objective: Objective,
    value: float,
    model: Model,
    step: Vector,
    gradient: Vector,
    promised: float,
    ratio: float,
) -> tuple[Vector, float, Vector, float] | None:
    """Where the corrected step ends, if lower and with a finite slope: the point, its cost, gradient and ratio.

    A long step along a bent valley ends on its wall. From there the model, which knows the wall, leads back to the
    floor, and how far it could be trusted is told by what both gained together (second-order correction: Conn, Gould &
    Toint, "Trust-Region Methods", 2000, section 15.3.2.3).
    """
    further = model.corrected(step, gradient, promised, ratio)
    if further is None:
        return None
    landed = model.place(further)
    f, g = objective.value_and_gradient(landed)
    if not (isfinite(f) and is_finite(g) and (value - f) / promised > ratio):
        return None
    return landed, f, g, (value - f) / promised


def _growth(ratio: float, radius: float, size: float, cut: bool) -> float:
    """The next radius in lengths of the step taken; a step that was not cut short leaves it as long as it was."""
    if ratio < POOR:
        return 0.5
    known = 1.0 if cut or radius == inf else max(1.0, radius / size)
    return known if ratio < GOOD else max(GROWTH, known)


def _shrinking(value: float, f: float, start_slope: float, end_slope: float) -> float:
    """Where along the refused step the cubic through both ends is lowest, kept between the limits.

    Nocedal & Wright 2006, eq. 3.59.
    """
    t = LONGEST
    d1 = start_slope + end_slope - 3.0 * (f - value)
    square = d1 * d1 - start_slope * end_slope
    if 0.0 <= square < inf:
        d2 = sqrt(square)
        denominator = end_slope - start_slope + 2.0 * d2
        if denominator != 0.0:
            t = 1.0 - (end_slope + d2 - d1) / denominator
    return min(max(t, SHORTEST), LONGEST) if t == t else LONGEST
