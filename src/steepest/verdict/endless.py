"""Ways down that no straight ray shows: into a pole, where the cost has no lower end, and along a valley that bends.

A logarithm or a reciprocal falls without limit towards a finite point: every quartering of the distance lowers it by
as much as the one before. A walk that ran out of budget in a bent valley, or that creeps, may be on its way to
infinity: steps along the valley that double, each put back to the bottom, tell in some ten of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..linear_algebra.long_vectors import holds_everywhere, length
from ..linear_algebra.symmetric import eigensystem, finite_part
from ..numerics import EPS, all_finite, largest
from .curvature import DENSE
from .look import Look
from .overflow import ways_on
from .rays import UNDIMINISHED, Leads, scaled_descent

Vector = np.ndarray

# Between neighbouring numbers the cost changes by this part of all it fell by: a pole or a cusp is near.
STEEP = 1e-9

# Distances from a pole, in natural sizes, at which the falls are compared, the farthest first.
FROM_A_POLE = tuple(4.0**-k for k in range(6, 20))
FALLS = 6

# Places looked at on the way down to a pole, and how often that way is narrowed.
PLACES = 8
NARROWED = 40

# Steps along a valley, each twice as long as the one before, and the corrections after each.
DOUBLINGS = 24
CORRECTIONS = 12
# Beside zero a parameter has no size of its own: steps go on to a distance of one, so many of them at most.
MOST_DOUBLINGS = 80

# A valley is at its bottom again where a correction would gain less than this part of the last fall.
SETTLED = 1e-3
# How high its bottom is, is known where a correction would gain less than this part of that: a quartic's gain in all is
# half as much again as Newton's method promises.
NEARLY = 0.3

# Where a step leaves the valley, one this many times shorter is tried; the first is this part of a natural size.
CLOSER = 8.0
SHORTEST = 1e-3

# Parameters that went less far than this part of the farthest are not what leads to infinity.
FAR_PART = 1e-2

# So many last falls tell whether they die out.
LAST = 6

# Over that many steps that double a valley leads at least this many times as far; one whose bend lets none but short
# steps through leads nowhere in particular.
FARTHER = 2.0 ** (LAST / 2)

# A fall of this many times the rounding of the cost is no chance.
SEEN = 2.0

# Doublings of the way from its start that are looked back on: the last may have led to where all is rounding.
LOOKED_BACK = 64

# Farther on in a valley a rise of this part of the last fall is no rounding.
RISEN = 0.1

# Recent places of the walk from which the valley's direction is read.
BACK = 10


@dataclass(frozen=True)
class Pole:
    """A finite point `place` (n,) towards which the cost falls without limit; `value`: the lowest seen beside it."""

    place: Vector
    value: float
    fall: float


@dataclass(frozen=True)
class Valley:
    """Where steps along a bent valley led: `leads`, to a `value` at a `distance` from the point, by `steps` of them.

    `told`: of these steps, how they went.
    """

    leads: Leads
    direction: Vector
    value: float
    distance: float
    steps: int
    told: str = "each twice as long as the last"


class Floor(NamedTuple):
    """A `place` (n,) on the bottom of a valley, or next to it, and the cost there.

    `slope`: of the bottom, for one natural size along the valley; `error`: its rounding. `settled`: whether the valley
    bends upwards across, and a correction more would change next to nothing of how high the place is.
    """

    place: Vector
    value: float
    slope: float
    error: float
    settled: bool


def pole_on_the_way(look: Look) -> Pole | None:
    """The pole that the walk from its start ran into, where no slope exists any more."""
    if look.start is None or not np.isfinite(look.start).all():
        return None
    found = (_pole_along(look, way) for way in ways_on(look))
    return next((pole for pole in found if pole is not None), None)


def pole_near(look: Look) -> Pole | None:
    """The pole that the point lies beside; None where the falls towards it die out, as at a cusp."""
    change = float(np.abs(look.on_free(look.projected)).dot(look.unit))
    size = max(look.fall or 0.0, abs(look.value))
    if str(look.stop) != "unbounded below":
        if not change > STEEP * size:
            return None
        # Without a walk nothing is known of the fall; the cost some way off stands for it, where it is nothing here.
        if look.fall is None and not change > STEEP * look.size_aside:
            return None
    return _pole_along(look, scaled_descent(look))


def _pole_along(look: Look, down: Vector) -> Pole | None:
    if not down.any():
        return None
    place, value = _lowest_along(look, down)
    if value == -np.inf:
        return Pole(place, value, np.inf)
    for side in (-down, down):
        values = np.array([look.value_at(place + t * side) for t in FROM_A_POLE])
        falls = values[:-1] - values[1:]
        if not np.isfinite(falls).all() or not (falls[-FALLS:] > 64 * EPS * np.abs(values[-FALLS:])).all():
            continue
        if falls[-1] >= UNDIMINISHED * falls[-FALLS] and value <= values[-1]:
            return Pole(place, min(value, float(values[-1])), float(falls[-1]))
    return None


def _lowest_along(look: Look, down: Vector) -> tuple[Vector, float]:
    """The lowest place met along ±`down` (n,), looked for ever nearer to where it was lowest."""
    at, reach = 0.0, 1.0
    lowest = look.value
    for _ in range(NARROWED):
        steps = np.linspace(-reach, reach, 2 * PLACES + 1)
        values = np.array([look.value_at(look.x + (at + t) * down) for t in steps])
        values[np.isnan(values)] = np.inf
        k = int(np.argmin(values))
        if values[k] < lowest:
            at, lowest = at + float(steps[k]), float(values[k])
        if lowest == -np.inf:
            break
        reach /= 3.0
    return look.objective.bounds.project(look.x + at * down), lowest


def valley_from(look: Look, rounding: float) -> Valley | None:
    """Where the valley leads in which the walk ended; None where it ends, or nothing is known of one."""
    if look.history is None or len(look.history) < 3 or not look.objective.has_hessian:
        return None
    if look.n < 2 or look.n > DENSE or look.start is None:
        return None
    places = np.asarray(look.history.x)
    lately = look.x - places[max(len(places) - 1 - BACK, 0)]
    whole = look.x - look.start
    farthest = np.where(np.abs(whole) >= FAR_PART * np.abs(whole).max(initial=0.0), whole, 0.0)
    return _followed(look, lately, rounding, turning=True) or _followed(
        look, farthest, rounding, turning=False
    )


def valley_walked(look: Look, rounding: float) -> Valley | None:
    """The valley that the walk followed until its fall drowned in rounding; None where it led to an end or is not seen.

    Whenever the walk had come twice as far from its start the cost had fallen again, and every time by less.
    """
    if look.history is None or look.start is None or len(look.history) < LAST:
        return None
    places, values = np.asarray(look.history.x), np.asarray(look.history.value)
    if places.shape != (values.size, look.n):
        return None
    whole = np.abs(look.x - look.start)
    far = whole >= FAR_PART * whole.max(initial=0.0)
    away = np.linalg.norm(((places - look.start)[:, far]) / whole[far], axis=1)
    # The cost at each doubling is read between two places of the walk: a later one may lie up to twice as far.
    onward = np.flatnonzero(away > np.concatenate([[0.0], np.maximum.accumulate(away)[:-1]]))
    doublings = np.log2(away[onward])
    ends = doublings[-1] + np.arange(-LOOKED_BACK, 1)
    falls = -np.diff(np.interp(ends, doublings, values[onward]))
    # Numbers half as large are rounded to half as much, or less.
    coarse = rounding * np.exp2(np.arange(1 - LOOKED_BACK, 1))
    seen = np.flatnonzero(falls > SEEN * np.maximum(coarse, EPS * abs(look.value)))
    falls = falls[: seen[-1] + 1] if seen.size else falls[:0]
    if seen.size < LAST or seen[-LAST] != falls.size - LAST or _leads(falls, look.value, True) is None:
        return None
    stepped_on = np.diff(np.searchsorted(doublings, ends))[falls.size - LAST : falls.size]
    if not (stepped_on > 0).all():  # what lies within one step is not known
        return None
    if _rises_onward(look, np.where(far, look.x - look.start, 0.0), float(falls[-1])):
        return None
    way = look.x - places[max(len(places) - 1 - BACK, 0)]
    return Valley(Leads.TO_A_LIMIT, way, look.value, float(np.linalg.norm(look.x - look.start)), LAST)


def _rises_onward(look: Look, way: Vector, fall: float) -> bool:
    """Whether the valley rises over another `way` (n,) by a part of the last `fall`, or there is no farther place."""
    if not look.objective.has_hessian or look.n > DENSE:
        return False
    sized = way / look.scale
    place, value = put_across(look, look.x + way, sized / np.linalg.norm(sized), look.value)
    if not np.isfinite(value):
        return True
    return bool(value - look.value > max(RISEN * fall, 8.0 * look.trembling(place, value)))


def _followed(look: Look, way: Vector, rounding: float, *, turning: bool) -> Valley | None:
    """Steps along the valley that begins along `way` (n,), each twice as long; `turning`: each onward from the last."""
    sized = way / look.scale
    length = float(np.linalg.norm(sized))
    if not 0.0 < length < np.inf:
        return None
    direction, step = sized / length, max(length, SHORTEST)
    x, value = look.x, look.value
    values, away, faded, ended = [value], [0.0], False, False
    while value > -np.inf and (
        len(values) <= DOUBLINGS
        or (len(values) <= MOST_DOUBLINGS and float(np.linalg.norm(x - look.x)) < 1.0)
    ):
        found = put_across(look, x + step * look.scale * direction, direction, value)
        if turning and not found[1] < value:
            found = put_across(look, x + step / CLOSER * look.scale * direction, direction, value)
        if not found[1] < value - rounding:
            faded, ended = found[1] <= value + 8.0 * look.trembling(found[0], found[1]), True
            break
        moved = (found[0] - x) / look.scale
        if float(moved @ direction) <= 0.0:
            return None
        step = max(2.0 * float(np.linalg.norm(moved)), step)
        if turning:
            direction = moved / float(np.linalg.norm(moved))
        x, value = found
        values.append(value)
        away.append(float(np.linalg.norm((x - look.x) / look.scale)))
    leads = None if ended and not faded else _leads(-np.diff(values), value, faded)
    if leads is None or (value > -np.inf and away[-1] < FARTHER * away[-LAST]):
        return None
    return Valley(leads, way, value, float(np.linalg.norm(x - look.x)), len(values) - 1)


def _leads(falls: Vector, value: float, faded: bool) -> Leads | None:
    """What `falls`, each over twice the way of the one before, lead to; `faded`: the last were lost in rounding."""
    if value == -np.inf:
        return Leads.DOWN_FOR_EVER
    if falls.size < (LAST if faded else DOUBLINGS):
        return None
    if not faded and falls[-1] >= UNDIMINISHED * falls[-LAST]:
        return Leads.DOWN_FOR_EVER
    return Leads.TO_A_LIMIT if (np.diff(falls[-LAST:]) < 0.0).all() else None


def put_across(look: Look, x: Vector, along: Vector, above: float) -> tuple[Vector, float]:
    """Back to the bottom of the valley from `x` (n,), across `along` (n,), a direction in natural sizes."""
    floor = floor_across(look, x, along, above, CORRECTIONS)
    return floor.place, floor.value


def floor_across(look: Look, x: Vector, along: Vector, above: float, corrections: int) -> Floor:
    """The same by at most so many `corrections`, with what is known of the floor there."""
    nowhere = Floor(x, np.inf, np.nan, np.inf, False)
    if not np.array_equal(look.inside(x), x):
        return nowhere
    across = _complement(along) * look.scale
    lowest, last = np.inf, None
    for _ in range(corrections):
        value, gradient = look.slope_at(x)
        if value == -np.inf:
            return Floor(x, value, -np.inf, 0.0, True)
        if not all_finite(gradient) or not value < lowest:
            break
        lowest, H = value, finite_part(np.asarray(look.objective.hessian(x)))
        bends, turned = eigensystem(finite_part(across.dot(H).dot(across.T)))
        size = np.abs(bends)
        least = EPS * largest(size)
        slope = turned.T.dot(across.dot(gradient))
        step = np.where(size > least, -slope / np.maximum(size, least or 1.0), 0.0)
        shift, promise = turned.dot(step).dot(across), -0.5 * float(step.dot(slope))
        valley = promise <= NEARLY * abs(above - value) and holds_everywhere(bends >= -least)
        last = x, gradient, H, shift, valley
        if promise <= SETTLED * abs(above - value):
            break
        x = look.inside(x + shift)
    if last is None:
        return nowhere
    x, gradient, H, shift, valley = last
    # On the floor the slope across is zero: what is left of it has its part in the slope along too.
    way = along * look.scale
    along_floor = float(gradient.dot(way) + shift.dot(H).dot(way))
    way = np.abs(way)
    error = EPS * float(np.abs(gradient).dot(way) + np.abs(shift).dot(np.abs(H)).dot(way))
    return Floor(x, lowest, along_floor, error, valley)


def _complement(along: Vector) -> Vector:
    """Orthonormal rows (n - 1, n) across `along` (n,), by Householder's reflection of it to the first axis.

    >>> _complement(np.array([3.0, 4.0]))
    array([[-0.8,  0.6]])
    """
    far = length(along)
    turn = along.copy()
    turn[0] += np.copysign(far, along[0])
    rows = np.eye(along.size)[1:]
    rows -= np.multiply.outer(turn[1:] / (far * abs(turn[0])), turn)
    return rows
