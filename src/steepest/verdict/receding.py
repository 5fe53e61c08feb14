"""Does the floor on which the point lies run on downhill for ever? Then the point is no minimum, however low it is.

A tail that falls beside a bottom without curvature, as exp(-x) beside y⁴ does, is down to the rounding of the cost
before the walk is at that bottom: straight on from the point the cost rises again, along every way but the floor's own.
So the floor is looked for, ahead of the point and behind it, each place put back across the way. A minimum has a floor
that rises on both sides, or on neither. Where it was higher behind, and is neither higher nor sloping upwards a long
way ahead, it recedes: along a line a cost without kinks that is level on a stretch would be level all along. So would a
convex one beside a line; others have floors that bend, and two that meet, as those of (xy - 1)² do, end on one side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..linear_algebra.symmetric import eigenvalues
from ..numerics import EPS, all_finite
from .curvature import DENSE, Curvature
from .endless import Floor, floor_across
from .look import Look, Rounding
from .optimality import SPREAD_FACTOR
from .rays import STRIDE, UNDIMINISHED, Leads, scaled

Vector = np.ndarray

# A bottom whose least curvature explains less than this part of the fall over the parameters' sizes leaves room for a
# tail that died out, be the others as curved as they may.
WEAK = 1e-6

# How far back, in natural sizes, the places of the walk lie from which it is seen where it was going.
LATELY = (0.5, 0.1, 0.02, 0.004)

# Distances, in natural sizes, at which the floor is looked at: behind, where one that is higher will do, and ahead.
# The bottom of order ten rises over the last of them by 10¹² times what it does over one size.
BEHIND = (0.125, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0)
AHEAD = (1.0, 4.0, 16.0)

# A floor that is lower there, beyond rounding, is followed to so many fourfold distances.
FOLLOWED = 10

# Corrections back to the floor: by Newton's method y⁴ is left with 10⁻²⁸ of its height after so many.
CORRECTIONS = 40

# Places of a floor that lie off a line by less than this part of how far along it they are lie on it.
STRAIGHT = 1e-2

# A difference of this many times what rounding explains is one.
SEEN = 4.0


@dataclass(frozen=True)
class Receding:
    """The way (n,) the floor `leads` on, what it was `behind` the point and what it is `ahead`, at a `distance`."""

    leads: Leads
    way: Vector
    behind: float
    ahead: float
    distance: float


def receding_floor(look: Look, curvature: Curvature, rounding: Rounding) -> Receding | None:
    """The floor that leads on from a point that looks like a minimum; None where it ends there, or is level.

    Looked for only where the curvature leaves room for one, and the trace shows a smooth cost that is no quadratic.
    """
    if look.start is None or not look.is_small or look.n > DENSE or not look.objective.has_hessian:
        return None
    if look.structure is None or look.has_kinks or look.quadratic or not look.fall:
        return None
    if not _leaves_room(look, curvature):
        return None
    for way in _ways_it_came(look):
        found = _receding_along(look, way, rounding)
        if found is not None:
            return found
    return None


def _leaves_room(look: Look, curvature: Curvature) -> bool:
    if curvature.null.size or curvature.hessian is None or not curvature.free.size:
        return bool(curvature.null.size)
    size = look.scale[curvature.free]
    least = float(eigenvalues(size[:, None] * curvature.hessian * size)[0])
    return 0.5 * least <= WEAK * (look.fall or 0.0)


def _ways_it_came(look: Look) -> list[Vector]:
    """Ways (n,), one natural size long, to the point from the start of the walk and from ever later places of it."""
    places = np.asarray(look.history.x)
    if not places.size or places.shape[1:] != (look.n,) or not all_finite(places):
        return []
    away = np.max(np.abs(places - look.x) / look.scale, axis=1)
    rows = {0: None} | {int(np.flatnonzero(away >= part)[-1]): None for part in LATELY if away.max() >= part}
    ways = (scaled(look, look.on_free(look.x - places[row])) for row in rows)
    return [way for way in ways if way.any()]


def _receding_along(look: Look, way: Vector, rounding: Rounding) -> Receding | None:
    steepness = SPREAD_FACTOR * float(np.abs(way) @ rounding.slope)
    ahead: list[Floor] = []
    for t in AHEAD:
        floor = _floor(look, t * way)
        if not np.isfinite(floor.value) and len(ahead) > 1 and np.isfinite(look.value_at(look.x + t * way)):
            break  # its slope there is beyond what numbers hold
        if not floor.value <= look.value + _allowed(look, rounding, floor):
            return None
        if not floor.slope <= steepness + SPREAD_FACTOR * floor.error:
            return None
        if not (look.convex or _on_a_line(look, (ahead or [floor])[0], floor, t)):
            return None
        ahead.append(floor)
    falls = look.value - ahead[-1].value > _allowed(look, rounding, ahead[-1])
    leads, t, lowest = _followed(look, way, ahead) if falls else (Leads.TO_A_LIMIT, t, ahead[-1].value)
    for back in BEHIND:
        floor = _floor(look, -back * way)
        if not (look.convex or _on_a_line(look, ahead[0], floor, -back)):
            return None
        if floor.settled and floor.value > look.value + _allowed(look, rounding, floor):
            return Receding(leads, way, floor.value, lowest, float(np.linalg.norm(t * way)))
    return None


def _on_a_line(look: Look, first: Floor, floor: Floor, t: float) -> bool:
    """Whether a place of the floor, `t` natural sizes along, lies on the line from the point through the `first`."""
    return look.apart(floor.place - look.x, t * (first.place - look.x)) <= STRAIGHT * abs(t)


def _followed(look: Look, way: Vector, ahead: list[Floor]) -> tuple[Leads, float, float]:
    """How a floor that still falls goes on along `way` (n,), without limit or ever less; how far, and how low."""
    t, values = AHEAD[len(ahead) - 1], [floor.value for floor in ahead]
    while len(values) < FOLLOWED:
        value = _floor(look, STRIDE * t * way).value
        if not value < values[-1]:
            return Leads.TO_A_LIMIT, t, values[-1]
        t *= STRIDE
        values.append(value)
    falls = -np.diff(values)
    undiminished = bool((falls[1:] >= UNDIMINISHED * falls[:-1]).all())
    return Leads.DOWN_FOR_EVER if undiminished else Leads.TO_A_LIMIT, t, values[-1]


def _allowed(look: Look, rounding: Rounding, floor: Floor) -> float:
    """What a height of the floor may differ by from that of the point, and be rounding."""
    return SEEN * max(rounding.value, EPS * abs(floor.value), look.trembling(floor.place, floor.value))


def _floor(look: Look, shift: Vector) -> Floor:
    """The floor of the valley beside the point moved by `shift` (n,)."""
    along = shift / look.scale
    return floor_across(look, look.x + shift, along / float(np.linalg.norm(along)), look.value, CORRECTIONS)
