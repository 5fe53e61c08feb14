"""Does the slope die out for ever, without reaching zero anywhere? exp(x), tanh(x) and 1/(1+x²) do.

Where the slope s reaches zero at a finite place t₀ like (t - t₀)^k, its Newton length s/s' = (t - t₀)/k shrinks
to nothing on the way there. Along a tail it does not: it stays the same for an exponential and grows for a power
of the distance. So two Newton lengths, at slopes far apart, tell a bottom from a tail, also when the point itself
lies where the tail has drowned in rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf, isfinite, sqrt

import numpy as np

from ..numerics import EPS, largest, quietly
from .look import Look, Rounding
from .rays import FARTHEST, STRIDE, Leads, walk

Vector = np.ndarray

# The nearer slope must stand out of its rounding by this much for its Newton length to mean something.
ABOVE_ROUNDING = 1e3

# The farther slope is this much larger, if the cost is that steep anywhere on the way back. A bottom of order k
# then has Newton lengths apart by this to the power 1/(k - 1): still twofold at order 20.
WANTED_RATIO = 1e6
LEAST_RATIO = 1e4

# Newton lengths that shrink to less than this part belong to a bottom.
SAME_LENGTH = 0.5

# Parameters whose curvature over their own size is this small a part of the largest are looked at.
WEAK = 1e-8

# Beside kinks the part may be larger, of the fall: √(x² + 1) - x is lost in rounding at 1e8, where this is 1e-8.
WEAK_BESIDE = 1e-6

# At most so many of them.
LOOKED_AT = 6

# Places along a tail at which it must fall the same way.
SAME_WAY = 10

BISECTIONS = 50

# So narrowed, the place is told also where the walk has gone 10¹⁰ times its start: all that happened lies far back.
NARROWED = 1e-13

# Parameters that are zero at the same place of a way, but for the rounding of a null direction, shrink together.
TOGETHER = 1e-5

# A place at which the slope is no more than this many times what is wanted will do: what is told by it differs by
# orders of magnitude, and each further digit of the place costs three slopes.
CLOSE = 1.5

# Beyond a rise so many fourfold distances tell whether it is one: far out a level floor is rounded to more than here.
ONWARD = 8

# Distances, in natural sizes, at which the rise on both sides of the point is compared, the nearest first.
BOTH_SIDES = tuple(10.0**-k for k in range(8, -1, -1))

# Places beside the point, in natural sizes, nearer than those, that show how the cost is rounded.
BESIDE = tuple(sign * k * 1e-10 for k in range(1, 9) for sign in (1.0, -1.0))

# Places on the way back, in natural sizes, at which the tail may be steepest: near its start, or halfway.
NEARER = (0.5, 0.6, 0.7, 0.8, *(1.0 - 10.0**-k for k in range(1, 10)))


def weak_directions(look: Look, curvature_of_each: Vector, step: Vector) -> list[Vector]:
    """Parameters, as directions (n,), in which a minimum would be suspiciously shallow or far from settled."""
    weight = np.abs(curvature_of_each) * look.scale**2
    shallow = weight <= WEAK * largest(weight)
    unsettled = np.abs(step) > 1e-3 * look.scale
    chosen = (look.free & (shallow | unsettled)).nonzero()[0][:LOOKED_AT]
    return [np.where(np.arange(look.n) == i, look.scale[i], 0.0) for i in chosen]


def is_tail(look: Look, direction: Vector, rounding: Rounding) -> Vector | None:
    """The way (n,) along ±`direction` in which the cost falls for ever towards a limit; None if it does not.

    `direction` (n,) is as long as the parameters' own size, so that the walk came from within one length.
    Along a line a polynomial is constant or leads to infinity, so it has no tail.
    """
    if isfinite(getattr(look.structure, "degree", inf)):
        return None
    for away in (direction, -direction):
        if not _dies_out(look, away, rounding) or _rises_beyond(look, away, rounding):
            continue
        if not (look.is_hidden and _turns_up(look, -away, rounding)):
            return -away
    return None


def tail_beside_kinks(look: Look, level: np.ndarray) -> Vector | None:
    """The way (n,) along one of the parameters `level` (n,) in which the cost falls for ever towards a limit.

    Others sit at kinks, where there need not be a slope along them.
    """
    if not level.any():
        return None
    cost = look.objective

    def finite(x: Vector) -> tuple[float, Vector]:
        value, gradient = cost.value_and_gradient(x)
        return value, np.where(np.isnan(gradient), 0.0, gradient)

    smooth = replace(
        look, objective=cost.beside(look.n, value=cost.value, value_and_gradient=finite, bounds=cost.bounds)
    )
    # Where large numbers cancel the cost is rounded to more than its size, and only some neighbours show it.
    beside = (look.x + t * np.where(level, look.scale, 0.0) for t in BESIDE)
    error = max(8.0 * EPS * abs(look.value), *(abs(look.value_at(place) - look.value) for place in beside))
    rounding = Rounding(EPS * np.abs(finite(look.x)[1]), error, np.zeros(look.n))
    # A constant beside the cost says nothing of what is next to nothing, and a bottom rises on both sides.
    at_stake = abs(look.value_at(look.x + look.scale) - look.value)
    for place in level.nonzero()[0][:LOOKED_AT]:
        way = np.where(np.arange(look.n) == place, look.scale, 0.0)
        rise = min(look.value_at(look.x + side * way) - look.value for side in (1.0, -1.0))
        found = is_tail(smooth, way, rounding) if rise <= max(WEAK * at_stake, error) else None
        if found is not None:
            return found
    return None


def _turns_up(look: Look, way: Vector, rounding: Rounding) -> bool:
    """Whether the cost falls along `way` (n,) and then rises by more than it is rounded to out there."""
    ray = walk(look, way, rounding.value)
    if ray.leads is not Leads.DOWN_AND_UP or ray.reach * STRIDE > FARTHEST:
        return ray.leads is Leads.DOWN_AND_UP  # so far out nothing but slopes told it
    t, farthest = ray.reach, STRIDE**ONWARD * max(ray.reach, 1.0)
    while t < farthest:
        t *= STRIDE
        place = look.objective.bounds.project(look.x + t * way)
        value = look.value_at(place)
        if value - ray.last > 8.0 * max(rounding.value, look.trembling(place, value)):
            return True
    return False


def _rises_beyond(look: Look, away: Vector, rounding: Rounding) -> bool:
    """Whether the cost rises on the far side of the point as soon as it does on the near one: it lies at a bottom."""
    for t in BOTH_SIDES:
        near, beyond = (look.value_at(look.x + side * t * away) - look.value for side in (1.0, -1.0))
        if near > 8.0 * rounding.value:
            return bool(beyond > max(8.0 * rounding.value, 0.1 * near))
    return False


def _dies_out(look: Look, away: Vector, rounding: Rounding) -> bool:
    """Whether the slope met when going `away` (n,) from the point belongs to a tail that ends at the point."""
    noise = float(np.abs(away) @ rounding.slope)
    reaches_zero = _zero_reached(look.x, away)

    def slope(t: float) -> float:
        x = look.x * (1.0 - t / reaches_zero) if reaches_zero is not None else look.x + t * away
        if not np.array_equal(x, look.objective.bounds.project(x)):
            return np.nan
        return float(look.slope_at(x)[1] @ away)

    farthest, steepest, here = 1.0, slope(1.0), slope(0.0)
    for t in NEARER:
        # One whole size back may be beyond where the tail began: at the middle of 1/(1 + x²) there is no slope.
        found = slope(t)
        if not found <= steepest or not isfinite(steepest):
            farthest, steepest = t, found
    if not steepest > 0.0:
        return False  # level, or it rises from here
    # A slope made by subtraction is rounded to steps of its own, which the spread nearby may not show.
    if here == 0.0:
        noise = max(noise, _first_step(slope))
    floor = max(ABOVE_ROUNDING * max(noise, EPS * steepest), here)
    if not (isfinite(steepest) and isfinite(here)) or floor <= 0.0 or steepest < LEAST_RATIO * floor:
        return False
    near = 0.0 if here >= floor else _where(slope, floor, 0.0, farthest)
    at_near = slope(near)
    wanted = min(
        WANTED_RATIO * at_near, sqrt(steepest * at_near) if steepest < WANTED_RATIO * at_near else np.inf
    )
    far = _where(slope, wanted, near, farthest)
    at_far = slope(far)
    if not at_far > 0.1 * sqrt(LEAST_RATIO) * at_near > 0.0:
        return False
    if not all(slope(t) > 0.0 for t in np.linspace(near, far, SAME_WAY)):
        return False
    h = 1e-3 * (far - near)
    lengths = [_newton_length(slope, t, h) for t in (near, far)]
    return bool(0.0 < lengths[1] < np.inf and lengths[0] >= SAME_LENGTH * lengths[1])


def _zero_reached(x: Vector, away: Vector) -> Vector | None:
    """At how many times `away` (n,) each parameter of `x` (n,) is zero, equal for those that shrink together.

    A cost of x/|x| is level along x, and steep beside it near zero: the rounding of a direction that leads there would
    be seen as a slope that dies out on the way from zero. None where no two parameters shrink together.
    """
    if x.size < 2 or not (x != 0.0)[away != 0.0].all():
        return None
    with quietly():
        reached = np.where(away == 0.0, np.inf, -x / away)
    order = np.argsort(reached)
    ordered = reached[order]
    moves = np.isfinite(ordered)
    alike = np.abs(np.diff(ordered[moves])) <= TOGETHER * np.abs(ordered[moves][1:])
    if not alike.any():
        return None
    groups = np.concatenate([[0], np.cumsum(~alike)])
    sizes = np.abs(away[order][moves])
    means = np.bincount(groups, sizes * ordered[moves]) / np.bincount(groups, sizes)
    reached[order[moves]] = means[groups]
    return reached


def _where(slope: Callable[[float], float], target: float, low: float, high: float) -> float:
    """The distance between `low` and `high` at which the growing slope has just passed `target`."""
    for _ in range(BISECTIONS):
        middle = sqrt(low * high) if low > 0.0 and high > 4.0 * low else 0.5 * (low + high)
        found = slope(middle)
        if found < target:
            low = middle
        else:
            high = middle
        if target <= found <= CLOSE * target or high - low <= NARROWED * high:
            break
    return high


def _first_step(slope: Callable[[float], float]) -> float:
    """The least slope between 0, where there is none, and 1: one step of its rounding, if it is rounded so."""
    low, high, least = 0.0, 1.0, np.inf
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        found = abs(slope(middle))
        if found == 0.0:
            low = middle
        else:
            high, least = middle, min(least, found)
    return least if isfinite(least) else 0.0


def _newton_length(slope: Callable[[float], float], t: float, h: float) -> float:
    change = (slope(t + h) - slope(t - h)) / (2.0 * h)
    return slope(t) / change if change != 0.0 else np.inf
