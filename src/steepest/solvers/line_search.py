"""How far to go along a direction: a bracket closed by cubic steps, that survives kinks, noise and NaN.

The conditions are Wolfe's in the form of Lewis and Overton ("Nonsmooth optimization via quasi-Newton methods",
Math. Program. 141, 2013): low enough, and no longer steeply falling. They can be met at a kink too, where no
slope is ever small. Where values are equal to rounding, "low enough" is read off the slopes instead: the
approximate Wolfe condition of Hager and Zhang (SIAM J. Optim. 16, 2005, eq. 4.1), which reaches the last
digits that the cost alone cannot show. A trial point where anything is NaN or infinite is a wall, too far.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf, isfinite, sqrt
from typing import NamedTuple, Protocol

import numpy as np

from ..bounds import Vector
from ..errors import InputError
from ..linear_algebra.long_vectors import BLOCK, inner, length
from ..numerics import aligned
from ..objective import Objective
from .box import Route
from .stopping import VALUE_ROUNDING

# Armijo's fraction c₁ of the decrease that the slope at the start promises. Must be below 1/2, or the exact
# minimum of a parabola would be refused; larger values refuse useful steps.
ENOUGH = 1e-4

# Fraction c₂ of the starting slope: steeper falling than this at the trial point means "too short".
# 0.9 is right for quasi-Newton directions, whose unit step is nearly exact (Nocedal & Wright 2006, sec. 3.1).
STILL_FALLING = 0.9

# How much longer the next trial may be while everything still falls.
EXPANSION = 10.0

# No search goes further than this many times its first trial: a cost that still falls there is looked at
# anew from that point, so that falling without limit is seen for what it is.
STRETCH = 1e10

# A new trial keeps this part of the bracket from either end, so that the bracket always shrinks.
MARGIN = 0.05

# Part of the way to a wall of NaN or infinity for the next trial: walls are usually overshot by far.
BACK_FROM_WALL = 0.2

# 60 halvings cross the whole range of a double's mantissa; nothing can be found after them.
MAX_TRIALS = 60

# Where all there is to gain is within rounding, the unit step is good at once or nothing is.
TRIALS_IN_ROUNDING = 6

# Rising steeper than the allowed fraction is not a failure of the Wolfe conditions, but worth one more look;
# with an exacting fraction, worth several.
LOOKS, EXACTING_LOOKS = 1, 10

# Rounding in sums with cancellation exceeds that of the value: a smaller slope is trusted over an increase of
# the value up to this fraction of it, when nothing better was found.
DOUBTFUL_VALUE = 1e-10

# No lower value where the slope falls half as steeply as at the start is rounding, or there is a bump or a jump before
# it. So many in a row, ever nearer to the start, are rounding, if they differ by no larger a part of the value: terms
# that cancel leave that much. Fewer might be a bump, and a larger part a jump.
CONTRADICTIONS = 3
LARGEST_ROUNDING = 1e-6


class Landing(NamedTuple):
    """Where a search came down: `x = start + t·direction`, with `slope` along the direction there."""

    t: float
    x: Vector
    value: float
    gradient: Vector
    slope: float


def search(
    objective: Objective,
    place: Callable[[float], Vector],
    value: float,
    direction: Vector,
    slope: float,
    first: float,
    longest: float = inf,
    still_falling: float = STILL_FALLING,
) -> Landing | None:
    """Find a point along `direction`, shape (n,), that is lower than the start; None when there is none.

    `place(t)` gives the point at step length t, for 0 < t <= `longest`; `slope` < 0 is that along the direction
    at t = 0, where the cost is `value`; `first` is the first step length tried. The answer meets the
    conditions above, or is the lowest point found when 60 trials do not get that far.
    """
    evaluate = objective.value_and_gradient
    rounding = VALUE_ROUNDING * abs(value)
    looks = LOOKS if still_falling >= 0.5 else EXACTING_LOOKS
    low: Landing | None = None  # longest point known to be low enough and still falling
    low_t, low_value, low_slope = 0.0, value, slope
    high_t, high_value, high_slope = inf, inf, inf  # nearest point known to be too far
    candidate: Landing | None = None  # low enough, rising more steeply than asked
    doubtful: Landing | None = None
    contradictions, off = 0, 0.0
    longest = min(longest, STRETCH * first)
    t = min(first, longest)
    trials = MAX_TRIALS if -slope * t > rounding else TRIALS_IN_ROUNDING
    for trial in range(trials):
        x = g = None  # of many parameters each vector counts that is held while slopes are evaluated
        x = place(t)
        f, g = evaluate(x)
        s = inner(g, direction)
        if not (isfinite(f) and isfinite(s)):
            high_t, high_value, high_slope = t, inf, inf
        else:
            enough = f <= value + ENOUGH * t * slope or (
                abs(f - value) <= rounding and s <= (2.0 * ENOUGH - 1.0) * slope
            )
            if enough:
                if s < still_falling * slope:
                    low = Landing(t, x, f, g, s)
                    if t >= longest:
                        return low
                    if high_t == inf:
                        t = _expand(low_t, low_slope, t, s, longest)
                        low_t, low_value, low_slope = low.t, f, s
                        continue
                    low_t, low_value, low_slope = t, f, s
                elif s <= -still_falling * slope or looks == 0:
                    landing = Landing(t, x, f, g, s)
                    return landing if candidate is None or f <= candidate.value + rounding else candidate
                else:
                    looks -= 1
                    if candidate is None or f < candidate.value:
                        candidate = Landing(t, x, f, g, s)
                    high_t, high_value, high_slope = t, f, s
            else:
                if f - value <= DOUBTFUL_VALUE * abs(value) and abs(s) <= 0.5 * abs(slope):
                    if doubtful is None or abs(s) < abs(doubtful.slope):
                        doubtful = Landing(t, x, f, g, s)
                high_t, high_value, high_slope = t, f, s
                contradicts = s <= 0.5 * slope
                contradictions, off = (
                    (contradictions + 1, max(off, abs(f - value))) if contradicts else (0, 0.0)
                )
                if contradictions == CONTRADICTIONS and rounding < 2.0 * off <= LARGEST_ROUNDING * abs(value):
                    rounding, contradictions, t, high_t = 2.0 * off, 0, min(first, longest), inf
                    low, low_t, low_value, low_slope = None, 0.0, value, slope
                    continue
        width = high_t - low_t
        if width <= 1e-16 * high_t or high_t < 1e-280:
            break
        t = _between(low_t, low_value, low_slope, high_t, high_value, high_slope, rounding, trial)
    if candidate is not None and (low is None or candidate.value <= low.value):
        return candidate
    return low if low is not None else doubtful


class Aimed(Protocol):
    """A state that knows where to go next: `direction`, shape (n,), with `slope` < 0; `route` inside bounds."""

    @property
    def x(self) -> Vector:
        """The iterate, shape (n,)."""

    @property
    def value(self) -> float:
        """The cost at `x`."""

    @property
    def direction(self) -> Vector:
        """Where to go, shape (n,)."""

    @property
    def slope(self) -> float:
        """The slope along it."""

    @property
    def route(self) -> Route | None:
        """The same inside bounds; None without them."""


def walk(objective: Objective, state: Aimed, still_falling: float) -> Landing | None:
    """Search along a state's direction, its unit step first, never leaving the bounds."""
    if state.route is None:
        longest, place = inf, partial(along, state.x, state.direction)
    else:
        longest, place = state.route.longest, partial(inside, objective, state.x, state.route)
    return search(objective, place, state.value, state.direction, state.slope, 1.0, longest, still_falling)


def along(x: Vector, direction: Vector, t: float) -> Vector:
    """x + t·direction, shape (n,), read-only, so that the objective may keep it without a copy."""
    if not isinstance(x, np.ndarray):
        return x + t * direction  # on an accelerator
    if x.size <= BLOCK:
        landed = x + direction if t == 1.0 else t * direction
        if t != 1.0:
            landed += x
    elif t == 1.0:
        landed = np.add(x, direction, out=aligned(x.size))
    else:
        landed = aligned(x.size)
        for start in range(0, x.size, BLOCK):
            block = slice(start, start + BLOCK)
            part = landed[block]
            np.multiply(direction[block], t, out=part)
            part += x[block]
    landed.setflags(write=False)
    return landed


def inside(objective: Objective, x: Vector, way: Route, t: float) -> Vector:
    """The point of the route at step length t, shape (n,), exactly on every bound it reaches; read-only."""
    landed = objective.bounds.travel(x, way.direction, way.room, t)
    landed.setflags(write=False)
    return landed


def first_scale(gradient: Vector, last: float | None) -> float:
    """The rate that makes a step down the slope as long as the `last` one, or of length 1 at the start.

    Not a unit of cost nor a place goes into it, so neither changes the path.
    """
    return (last or 1.0) / (length(gradient) or 1.0)


def downhill(gradient: Vector, last: float | None) -> Vector:
    """Straight down the slope, shape (n,), as far as `first_scale` says."""
    return -first_scale(gradient, last) * gradient


def check_still_falling(fraction: float) -> None:
    """Raise `InputError` unless the line search can meet this fraction."""
    if not ENOUGH < fraction < 1.0:
        raise InputError(
            f"still_falling is a fraction of the slope between {ENOUGH:g} and 1, not {fraction!r}"
        )


def _expand(before_t: float, before_slope: float, t: float, slope: float, longest: float) -> float:
    """A longer trial: where the slope would vanish if it kept changing as it did, within 1.5 to 10 times t."""
    change = slope - before_slope
    guess = t - slope * (t - before_t) / change if change > 0.0 else inf
    return min(max(1.5 * t, min(guess, EXPANSION * t)), longest)


def _between(
    low_t: float,
    low_value: float,
    low_slope: float,
    high_t: float,
    high_value: float,
    high_slope: float,
    rounding: float,
    trial: int,
) -> float:
    """A trial inside the bracket: the minimum of the cubic through both ends, where that can be trusted.

    Nocedal & Wright 2006, eq. 3.59; by the slopes alone where the values are equal to rounding. Every third
    trial halves the bracket, as at a kink no interpolation converges.
    """
    width = high_t - low_t
    if not isfinite(high_value):
        return low_t + BACK_FROM_WALL * width if low_t == 0.0 else low_t + 0.5 * width
    if trial % 3 == 2:
        return low_t + 0.5 * width
    t = low_t + 0.5 * width
    if abs(high_value - low_value) <= rounding:
        if high_slope > 0.0 and low_slope < 0.0:
            t = low_t - low_slope * width / (high_slope - low_slope)
    else:
        d1 = low_slope + high_slope - 3.0 * (high_value - low_value) / width
        square = d1 * d1 - low_slope * high_slope
        if 0.0 <= square < inf:
            d2 = sqrt(square)
            denominator = high_slope - low_slope + 2.0 * d2
            if denominator != 0.0:
                t = high_t - width * (high_slope + d2 - d1) / denominator
    if t != t:
        t = low_t + 0.5 * width
    return min(max(t, low_t + MARGIN * width), high_t - MARGIN * width)
