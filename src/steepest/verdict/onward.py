"""Was the walk still on its way where it ended? Down a tail, along the floor of a valley, or towards infinity."""

from __future__ import annotations

import numpy as np

from ..bounds import Vector
from ..numerics import EPS, largest
from .curvature import DENSE, Curvature
from .endless import put_across
from .failures import along_valley, by_stop, has_a_floor
from .flatness import Course, Runs
from .look import Look, Rounding
from .optimality import SPREAD_FACTOR, Optimality
from .rays import UNDIMINISHED, Leads, Ray, scaled, scaled_descent, walk
from .stride import Tail, tail_walked
from .tails import is_tail
from .turning import keeps_falling
from .words import Evidence, Judgement

# Parts of a Newton step at which the floor of a valley is looked at; from farther off it may not be found again.
ALONG_THE_FLOOR = (2.0, 1.0, 0.5)

# How far beyond a point without curvature to speak of the walk's way is looked along, in natural sizes.
BEYOND = (1e-4, 1e-3, 1e-2)

# Ends of a walk that say nothing of where it was going.
ASKED_TO_STOP = ("stopped", "tolerance reached", "diverged", None)

# A bottom whose curvature explains less than this part of the fall over the parameters' sizes is shallow: a tail, it
# may be, that the walk came down.
SHALLOW = 1e-6

# A walk that ends this many times the size of its start away may be on its way to infinity.
FAR_AWAY = 1e10

# So many times, it may have come down a tail until there.
ON_AND_ON = 1e3

# Parameters that went less far than this part of the farthest one are not what leads to infinity.
FAR_PART = 1e-3

# A walk whose falls did not diminish over so many doublings of its way, a millionfold, falls without limit.
DOUBLINGS = 20
# No step was longer, in doublings: what lies within one is not known.
LONGEST = 5.0

# A cost that is negative, and so many times as large as where the walk began, has fallen perhaps without limit.
FALLEN = 1e6

# Ways from the start that agree to so many digits of the longest are equally long: first all that a walk straight on
# would leave, then the few that one among ridges leaves.
SAME_WAY = (9, 6, 3, 1)


def lower_on_the_floor(look: Look, optimality: Optimality, rounding: Rounding) -> Course | None:
    """A lower place where a Newton step leads along the floor of the valley, if only the slope's rounding explains it.

    Beside steep walls the slope is too coarse to tell whether it is zero, and the cost is not: what a Newton step
    promises would show.
    """
    unexplained = optimality.by == "rounding" and optimality.remaining > optimality.remaining_limit
    if not unexplained or look.quadratic or not 1 < look.n <= DENSE or not look.objective.has_hessian:
        return None
    way = optimality.step
    along = way / look.scale
    length = float(np.linalg.norm(along))
    if not 0.0 < length < np.inf:
        return None
    for part in ALONG_THE_FLOOR:
        place, value = put_across(look, look.x + part * way, along / length, look.value)
        if value < look.value - optimality.remaining_limit:
            tremble = max(rounding.value, look.trembling(place, value))
            if value < look.value - SPREAD_FACTOR * tremble:
                return Course(way, Runs.FALLING_ALONG_A_BEND, 1.0, way, place, value)
    return None


def falls_along_the_floor(
    look: Look,
    curvature: Curvature,
    optimality: Optimality,
    step: Vector,
    rounding: Rounding,
    evidence: list[Evidence],
) -> Judgement | None:
    """What is to be said where the slope does not turn along the floor that begins along `step` (n,), else None."""
    valley = keeps_falling(look, curvature, step, rounding)
    if valley is None:
        return None
    if valley.leads is Leads.TO_A_LIMIT:
        return along_valley(look, valley, evidence)
    ray = walk(look, scaled_descent(look), rounding.value)
    return by_stop(look, curvature, optimality, ray, evidence)


def is_shallow(look: Look, curvature: Curvature) -> bool:
    """Whether the curvature explains next to nothing of the way down."""
    size = 0.5 * curvature.extremes[1] * float(look.scale.dot(look.scale))
    return look.fall is not None and size <= SHALLOW * look.fall


def came_down_a_tail(look: Look, rounding: Rounding) -> Vector | None:
    """The way (n,) the walk came from its start, where the slope dies out along it without leading anywhere."""
    if look.start is None:
        way = scaled_descent(look)  # of very many parameters no start is kept
    else:
        way = scaled(look, np.where(look.free & np.isfinite(look.start), look.x - look.start, 0.0))
    return is_tail(look, way, rounding) if way.any() else None


def falls_beyond(look: Look, rounding: Rounding) -> Vector | None:
    """The way (n,) the walk came from its start, if the first that shows of the cost beyond its end is a fall.

    At x = 0 of x³ + x⁴ slope and curvature vanish together, and right before it both say that it is a minimum. What
    shows is more than the rounding of all that the walk fell by: no walk ends nearer than that to a quartic's bottom.
    """
    if look.start is None:
        return None
    way = scaled(look, np.where(look.free & np.isfinite(look.start), look.x - look.start, 0.0))
    shows = 8.0 * (rounding.value + EPS * (look.fall or 0.0))
    for t in BEYOND:
        x = look.x + t * way
        if not np.array_equal(x, look.objective.bounds.project(x)):
            return None
        change = look.value_at(x) - look.value
        if not abs(change) <= shows:
            return way if change < 0.0 else None
    return None


def unslowed_tail(look: Look, rounding: Rounding) -> Tail | None:
    """The tail that the walk came down without slowing; of a convex cost or a quadratic other proofs speak."""
    if look.quadratic or look.has_kinks:
        return None
    return tail_walked(look, rounding.value)


def went_on_and_on(look: Look) -> bool:
    """Whether the walk went a thousand times the size of its start away, where a tail may have drowned in rounding."""
    if look.start is None:
        return False
    return bool(
        np.abs(look.x).max(initial=0.0) > ON_AND_ON * max(1.0, float(np.abs(look.start).max(initial=0.0)))
    )


def went_far(look: Look) -> bool:
    """Whether the walk left every size that its start knew of: perhaps it is on its way to infinity."""
    if look.start is None:
        return False
    at = largest(np.abs(look.x))
    return at > FAR_AWAY and at > FAR_AWAY * largest(np.abs(look.start))


def ran_off(look: Look, rounding: Rounding) -> bool:
    """Whether the walk went far beyond its start, the cost being the same halfway back, or far below zero by now.

    A slope leads nowhere along what costs nothing: where the walk went the cost depended on it, and no longer does.
    """
    if look.start is None or look.quadratic or look.convex:
        return False
    if not largest(np.abs(look.x)) > FAR_AWAY * largest(np.abs(look.start)) > 0.0:
        return False
    if look.value < -FALLEN * abs(look.value + (look.fall or 0.0)):
        return True
    displacement = look.x - look.start
    farthest = np.where(np.abs(displacement) >= FAR_PART * largest(np.abs(displacement)), displacement, 0.0)
    return abs(look.value_at(look.x - 0.5 * farthest) - look.value) <= 8.0 * rounding.value


def fell_without_limit(look: Look) -> Vector | None:
    """The way (n,) of a walk far out that fell at each of its last doublings, and at the last by as much as ever.

    So far out every straight way is rounded by more than the valleys beside it are wide, and no ray is seen to fall.
    """
    if look.history is None or look.start is None or has_a_floor(look):
        return None
    if not largest(np.abs(look.x)) > FAR_AWAY * (largest(np.abs(look.start)) or 1.0):
        return None
    places, values = np.asarray(look.history.x), np.asarray(look.history.value)
    if places.shape != (values.size, look.n) or not (np.isfinite(values).all() and np.isfinite(places).all()):
        return None
    way = look.x - look.start
    far = np.abs(way) >= FAR_PART * largest(np.abs(way))
    away = np.abs((places - look.start)[:, far] / way[far]).max(axis=1)
    onward = np.flatnonzero(away > np.concatenate([[0.0], np.maximum.accumulate(away)[:-1]]))
    doublings = np.log2(away[onward])
    ends = doublings[-1] - np.arange(DOUBLINGS, -1.0, -1.0)
    lately = doublings[doublings >= ends[0]]
    if not (values[-1] < -FALLEN * abs(values[0]) and np.diff(lately).max(initial=0.0) <= LONGEST):
        return None
    falls = -np.diff(np.interp(ends, doublings, values[onward]))
    return way if (falls > 0.0).all() and falls[-1] >= UNDIMINISHED * falls.max() else None


def along_last_displacement(look: Look, rounding: Rounding, *, uphill: bool = False) -> Ray | None:
    """A ray onward from the start that never ends; `uphill`: also where the slope here, lost in rounding, says up."""
    if look.start is None or not np.isfinite(look.start).all():
        return None
    displacement = look.x - look.start
    length = float(np.abs(displacement).max(initial=0.0))
    farthest = np.where(np.abs(displacement) >= FAR_PART * length, displacement, 0.0)
    # Parameters that went as far but for the place where each had begun, and rounding, go on together.
    together = (length * np.round(farthest / length, digits) for digits in SAME_WAY if length > 0.0)
    for direction in (displacement, farthest, *together):
        if direction.any() and (uphill or float(look.gradient @ direction) < 0.0):
            ray = walk(look, scaled(look, direction), rounding.value)
            if ray.leads in (Leads.DOWN_FOR_EVER, Leads.TO_A_LIMIT):
                return ray
    return None
