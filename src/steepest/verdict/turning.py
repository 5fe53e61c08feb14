"""Does the slope turn a little farther down? Told by slopes alone, where the cost is too coarse to tell.

A large constant swallows the last digits of a cost, not those of its slope. What a Newton step still promises is then
soon below the rounding of the cost, at a minimum and anywhere along a valley that never ends. At a minimum the slope
along the floor of the valley changes its sign within a few such steps. Down a tail it keeps its sign, and dies out.

The floor above a place t on a line x + t·v is where the slope across v is zero; the cost along it, F(t), has the
derivative F'(t) = g·v, with g the slope at that floor, since what is left of g points along v.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..linear_algebra.symmetric import eigensystem, finite_part
from ..numerics import EPS
from .curvature import DENSE, Curvature
from .endless import Valley
from .look import Look, Rounding
from .optimality import SPREAD_FACTOR
from .rays import SHRINKING, Leads, scaled

Vector = np.ndarray

# The first place lies so many Newton steps ahead, beyond a quadratic bottom; and no nearer than this in natural sizes.
AHEAD, NEAREST = 2.0, 1e-8

# A slope that differs by less than this part from what the curvature foretold shows a quadratic bottom.
FORETOLD = 0.1

# A minimum is nearer than this, in natural sizes; what has not turned so far, and dies out, leads to a limit.
NEAR, FAR, FARTHEST = 1.0, 16.0, 1e4

# Each place lies so many times farther: twice as far, the tangent to x·y = 1 leads to where x is zero.
LONGER = 1.5

# Steps across the valley to its floor; those of Newton's method end after some five.
CORRECTIONS = 12

# A floor is reached where what is left of the slope across changes that along the way by no more than this part.
ON_THE_FLOOR = 1e-3


def keeps_falling(look: Look, curvature: Curvature, step: Vector, rounding: Rounding) -> Valley | None:
    """Where the floor leads that begins along a Newton `step` (n,), if its slope does not turn within a natural size.

    None where it turns, as a minimum's does, and where no floor can be followed so far. It `leads` to a limit where
    the slope dies out faster than the way grows until it is rounding, and nowhere in particular where it does not.
    """
    way = scaled(look, step)
    if look.n > DENSE or not look.objective.has_hessian or not way.any():
        return None
    first = max(AHEAD * look.apart(step, np.zeros(look.n)), NEAREST)
    if _turns_as_foretold(look, curvature, first * way, rounding):
        return None
    across = np.zeros((look.count_free - 1, look.n))
    across[:, look.free] = np.linalg.svd((way / look.scale)[None, look.free])[2][1:] * look.scale[look.free]
    # What the spread of the slope leaves unknown of its part along the way.
    error = SPREAD_FACTOR * float(np.abs(way) @ (rounding.slope + rounding.grain))
    place, to_come, gone = _Place(look.x, look.value, -np.inf, way), [], 0.0
    t = first
    while t <= FARTHEST:
        onward = _floor(look, place.x + (t - gone) * place.tangent, across, way, error)
        if onward is None or not onward.slope < -error:
            break
        place, gone = onward, t
        to_come.append(-place.slope * t)
        t *= LONGER
    if gone < NEAR:
        return None
    dies_out = len(to_come) > SHRINKING and bool((np.diff(to_come[-SHRINKING:]) < 0.0).all())
    drowned = t > FARTHEST or (onward is not None and onward.slope <= error)
    leads = Leads.TO_A_LIMIT if dies_out and drowned and gone >= FAR else Leads.NOWHERE
    distance = float(np.linalg.norm(place.x - look.x))
    return Valley(leads, way, place.value, distance, len(to_come), "its slope on the floor ever less")


def _turns_as_foretold(look: Look, curvature: Curvature, ahead: Vector, rounding: Rounding) -> bool:
    """Whether the slope has turned `ahead` (n,), beyond a Newton step, as this `curvature` foretold: a plain bottom.

    That is the first place looked at, and one slope tells what its floor and the curvature there would. Along each of
    the curvature's directions: beside a floor most of the slope, and of what it turns by, is that of the wall.
    """
    x = look.x + ahead
    if not look.objective.bounds.contains(x):
        return False
    _, gradient = look.slope_at(x)
    foretold = look.gradient + curvature.product(ahead)
    turned = float(foretold @ ahead)
    off = look.on_free(gradient - foretold)
    spread = SPREAD_FACTOR * (rounding.slope + rounding.grain)
    if not (turned > spread @ np.abs(ahead) and np.abs(off) @ np.abs(ahead) <= FORETOLD * turned):
        return False
    each = curvature.vectors.T
    return bool((np.abs(each @ off) <= FORETOLD * np.abs(each @ foretold) + np.abs(each) @ spread).all())


class _Place(NamedTuple):
    """A place `x` (n,) on the floor: the cost, its slope along the way, and the floor's `tangent` (n,) for one way."""

    x: Vector
    value: float
    slope: float
    tangent: Vector


def _floor(look: Look, x: Vector, across: np.ndarray, way: Vector, error: float) -> _Place | None:
    """The floor beside `x` (n,), in the directions `across` (k, n) the `way` (n,); None where none is found."""
    for _ in range(CORRECTIONS):
        if not look.objective.bounds.contains(x):
            return None
        value, gradient = look.slope_at(x)
        if not np.isfinite(gradient).all():
            return None
        H = finite_part(np.asarray(look.objective.hessian(x)))
        bends, turned = eigensystem(across @ H @ across.T)
        if bends.size and not np.abs(bends).min() > EPS * np.abs(bends).max():
            return None
        basis = turned.T @ across
        step = -((basis @ gradient) / np.abs(bends)) @ basis
        slope = float(gradient @ way)
        if abs(float(way @ H @ step)) <= max(ON_THE_FLOOR * abs(slope), error):
            tangent = way - ((basis @ H @ way) / bends) @ basis
            return _Place(x, value, slope, tangent) if (bends > 0.0).all() else None
        x = x + step
    return None
