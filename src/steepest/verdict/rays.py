"""Where does a straight walk lead? Told by probes along rays that grow fourfold, inside the bounds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..numerics import EPS
from .look import Look

Vector = np.ndarray

# Each probe lies this many times farther than the one before.
STRIDE = 4.0

# Farthest probe, in units of the parameters' own size: 30 fourfold steps beyond one.
FARTHEST = STRIDE**30

# Nearest probe when none farther off was lower.
NEAREST = 1e-12

# Consecutive probes whose slope times distance must shrink before a fall counts as towards a limit. Where
# that product shrinks, what is still to come along the ray has a finite sum.
SHRINKING = 3

# A fall per fourfold distance that is still this part of what it was five probes ago does not die out:
# -log(t) falls by the same each time, and has no limit.
UNDIMINISHED = 0.9

# So many probes in a row, each this many times as high as the one before and rising, are no rounding, however far below
# the rounding of the point they lie: down an exponential wall all that follows does.
RISING, RISE = 5, 1.5


class Leads(StrEnum):
    """What a ray was seen to do."""

    DOWN_FOR_EVER = "down without limit"
    TO_A_LIMIT = "down towards a limit"
    DOWN_AND_UP = "down, then up"
    DOWN_TO_EDGE = "down to the edge"
    DOWN_TO_OVERFLOW = "down until numbers can no longer be held"
    DOWN_A_RAVINE = "down a ravine narrower than the spacing of numbers"
    LEVEL = "level"
    UP = "up"
    NOWHERE = "not finite"


@dataclass(frozen=True)
class Ray:
    """One walk: `direction` (n,), in units of the parameters' size; the lowest place met on it.

    `value` is the lowest cost seen, at distance `distance`, at the point `x`; `last` the cost at the
    farthest distance gone, `reach`.
    """

    leads: Leads
    direction: Vector
    distance: float
    value: float
    x: Vector
    last: float
    reach: float
    probes: int


def scaled_descent(look: Look, only: np.ndarray | None = None) -> Vector:
    """The direction of steepest descent inside the bounds, longest part one natural size; zero where flat.

    `only`: mask (n,) of the entries to follow, all if None.
    """
    slope = np.where(look.free, look.projected, 0.0)
    return scaled(look, -slope if only is None else -np.where(only, slope, 0.0))


def scaled(look: Look, direction: Vector) -> Vector:
    """`direction` (n,) stretched until its longest part equals that parameter's own size."""
    largest = float(np.max(np.abs(direction) / look.scale, initial=0.0))
    return direction / largest if 0.0 < largest < np.inf else np.zeros(look.n)


def walk(look: Look, direction: Vector, rounding: float, first: float = 1e-3) -> Ray:
    """Follow `direction` from the point for as long as the cost does not rise."""
    t = first
    values, slopes, places = [look.value], [float(look.gradient @ direction)], [0.0]
    previous = look.x
    leads: Leads | None = None
    probes = 0
    while leads is None and t <= FARTHEST:
        x = look.objective.bounds.project(look.x + t * direction)
        if np.array_equal(x, previous) and probes:
            leads = Leads.DOWN_TO_EDGE
            break
        gradient = None  # of many parameters each vector counts that is held while slopes are evaluated
        value, gradient = look.slope_at(x)
        probes += 1
        if value == -np.inf:
            values.append(value)
            slopes.append(-np.inf)
            places.append(t)
            leads = Leads.DOWN_FOR_EVER
            break
        if not np.isfinite(value):
            leads = Leads.NOWHERE if len(values) == 1 else Leads.DOWN_TO_EDGE
            break
        moving = x != previous
        slope = float(np.where(moving, gradient, 0.0) @ direction) if np.isfinite(gradient).all() else np.nan
        tolerance = rounding + 4 * EPS * abs(value)
        if value > values[-1] + tolerance:
            leads = Leads.UP if len(values) == 1 else Leads.DOWN_AND_UP
            break
        if slope > 0.0 and value >= values[-1] - tolerance and slope * t > tolerance:
            leads = Leads.UP if len(values) == 1 else Leads.DOWN_AND_UP
            break
        values.append(value)
        slopes.append(slope)
        places.append(t)
        previous = x
        t *= STRIDE
    lowest = int(np.argmin(values))
    if leads is None:
        leads = _verdict_of(np.array(values), np.array(slopes), np.array(places), rounding)
    elif leads is Leads.DOWN_AND_UP and values[lowest] >= look.value - rounding:
        leads = Leads.UP
    if leads is Leads.UP and first > NEAREST:
        closer = _closer_in(look, direction, rounding, first)
        if closer is not None:
            return closer
    x = look.objective.bounds.project(look.x + places[lowest] * direction)
    return Ray(leads, direction, places[lowest], values[lowest], x, values[-1], places[-1], probes)


def _closer_in(look: Look, direction: Vector, rounding: float, first: float) -> Ray | None:
    """A lower place nearer than `first`, should there be one."""
    t = first / 30.0
    probes = 0
    while t >= NEAREST:
        x = look.objective.bounds.project(look.x + t * direction)
        value = look.value_at(x)
        probes += 1
        if value < look.value - rounding:
            return Ray(Leads.DOWN_AND_UP, direction, t, value, x, value, t, probes)
        t /= 30.0
    return None


def _verdict_of(values: Vector, slopes: Vector, places: Vector, rounding: float) -> Leads:
    """What a walk that never rose and never ended leads to."""
    if values.size > RISING + 1 and (slopes[-RISING:] > 0.0).all():
        last = values[-RISING - 1 :]
        if last[0] > 0.0 and (last[1:] > RISE * last[:-1]).all():
            return Leads.DOWN_AND_UP
    falls = values[:-1] - values[1:]
    tolerance = rounding + 4 * EPS * np.abs(values[1:])
    if falls.size > 6 and (falls[-6:] > tolerance[-6:]).all() and falls[-1] >= UNDIMINISHED * falls[-6]:
        return Leads.DOWN_FOR_EVER
    if (slopes > 0).any() and slopes[slopes > 0].max() > np.abs(slopes).max() * EPS:
        return Leads.LEVEL if values[0] - values.min() <= tolerance[-1] else Leads.DOWN_AND_UP
    going_down = np.flatnonzero(slopes < 0)
    if going_down.size > SHRINKING:
        still_to_come = np.abs(slopes[going_down] * places[going_down])[-SHRINKING:]
        if (np.diff(still_to_come) < 0).all():
            return Leads.TO_A_LIMIT
    if values[0] - values.min() <= tolerance[-1]:
        return Leads.LEVEL
    if (slopes[1:] == 0.0).all():
        # The slope has underflown where the cost has not.
        plain = int(np.argmin(falls > tolerance)) if not (falls > tolerance).all() else falls.size
        since = int(np.argmax(falls[:plain])) if plain else 0
        if plain - since >= SHRINKING and (np.diff(falls[since:plain]) < 0).all():
            return Leads.TO_A_LIMIT
    return Leads.DOWN_TO_EDGE


def first_fall(
    look: Look,
    direction: Vector,
    by: float,
    distances: tuple[float, ...],
) -> tuple[float, float] | None:
    """The first of the distances at which the cost is lower by more than `by`, and the cost there."""
    for t in distances:
        value = look.value_at(look.x + t * direction)
        if value < look.value - by:
            return t, value
    return None
