"""Where double precision gives out on the way down: the cost goes on there, but its numbers can no longer be held.

Such an end is none of the cost's own. exp(-s) with s the log of a deviation overflows at s = -709.8, and long before
that two neighbouring numbers may be worlds apart; a likelihood that fell in proportion to s until there falls on.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..numerics import EPS
from .look import Look, Rounding
from .optimality import UNITS
from .rays import STRIDE, Leads, Ray, scaled, scaled_descent

Vector = np.ndarray

# How far on the end of double precision is looked for, in natural sizes, and from where.
NEAREST, FARTHEST = 1e-6, 64.0

# Distances before that end, in natural sizes, between which the rates of the fall are compared, and what the last must
# be of the first. Where only numbers grow too large, a weak penalty that wins in the end shows in a part of a million;
# in a ravine, the rounding of its floor alone makes some parts of a thousand.
BEFORE = (0.5, 0.375, 0.25, 0.125)
UNDIMINISHED, IN_A_RAVINE = 1.0 - 1e-6, 0.99

# Neighbouring numbers whose costs differ by more than this part of the whole fall lie across a ravine too narrow for
# double precision; a smooth bottom, or a kink, has 1e-16.
NARROW = 1e-4

# Units in the last place at which a wall of a ravine is millions of times as high as `UNITS` away, where the slope's
# rounding is measured, and a jump of the cost is what it was.
FAR_UNITS = 4096.0

# Parameters that went less far than this part of the farthest are not what the numbers grow with.
FAR_PART = 1e-2


def gives_out(look: Look, x: Vector) -> bool:
    """Whether the cost has no value at `x` (n,) only because its numbers can no longer be held, by its trace."""
    told = getattr(look.structure, "gives_out", None)
    return told is not None and bool(told(look.objective.bounds.project(x)))


def is_torn(look: Look, rounding: Rounding) -> bool:
    """Whether the cost differs between neighbouring numbers by a part of itself and of all that it fell by."""
    return bool(look.fall) and rounding.jump > NARROW * look.at_stake


def cut_short(look: Look, rounding: Rounding | None = None) -> Ray | None:
    """A way down without end, by all that was seen, on which double precision gives out; None where there is none.

    By the numbers of the cost, farther on; or here, by `rounding`: in a ravine narrower than the spacing of numbers.
    The cost must have fallen as fast at the end as before.
    """
    for way in ways_on(look):
        if not way.any():
            continue
        ray = _to_the_end(look, way)
        if (
            ray is None
            and rounding is not None
            and is_torn(look, rounding)
            and not _is_a_step(look, rounding)
        ):
            ray = _in_a_ravine(look, way)
        if ray is not None:
            return ray
    return None


def ways_on(look: Look) -> Iterator[Vector]:
    """Directions (n,) in which it may go on: down the slope, the way the walk came, and its farthest parameters'."""
    if np.isfinite(look.gradient).all():
        yield scaled_descent(look)
    if look.start is None or not np.isfinite(look.start).all():
        return
    moved = np.where(look.free, look.x - look.start, 0.0)
    farthest = float(np.abs(moved).max(initial=0.0))
    for part in (0.0, FAR_PART, 1.0):
        yield scaled(look, np.where(np.abs(moved) >= part * farthest, moved, 0.0))


def _to_the_end(look: Look, way: Vector) -> Ray | None:
    """The ray along `way` (n,) to where the numbers give out, should it fall without slowing all the way."""
    t, reach, value, probes = NEAREST, 0.0, look.value, 0
    while t <= FARTHEST:
        x = look.objective.bounds.project(look.x + t * way)
        found = look.value_at(x)
        probes += 1
        if not np.isfinite(found):
            break
        if found > value + 4 * EPS * abs(value):
            return None
        reach, value = t, found
        t *= STRIDE
    else:
        return None
    if not gives_out(look, x) or not _falls_on(look, way, reach, (*BEFORE, 0.0), UNDIMINISHED):
        return None
    lowest = look.objective.bounds.project(look.x + reach * way)
    return Ray(Leads.DOWN_TO_OVERFLOW, way, reach, value, lowest, value, reach, probes + len(BEFORE))


def _in_a_ravine(look: Look, way: Vector) -> Ray | None:
    """The ray that ends here, where the cost jumps between neighbouring numbers by what half a size had lowered it."""
    if not _falls_on(look, way, 0.0, BEFORE, IN_A_RAVINE):
        return None
    return Ray(Leads.DOWN_A_RAVINE, way, 0.0, look.value, look.x, look.value, BEFORE[0], len(BEFORE))


def _is_a_step(look: Look, rounding: Rounding) -> bool:
    """Whether the cost itself jumps here: it differs by as much many spacings away as between neighbours.

    The walls of a ravine rise with the distance, by as many squares as it has spacings.
    """
    for sign in (1.0, -1.0):
        near, far = (
            abs(look.value_at(look.objective.bounds.project(look.x + sign * count * look.unit)) - look.value)
            for count in (UNITS, FAR_UNITS)
        )
        if near >= 0.5 * rounding.jump and far <= 2.0 * near:
            return True
    return False


def _falls_on(look: Look, way: Vector, end: float, before: tuple[float, ...], part: float) -> bool:
    """Whether the cost fell on all of the way up to `end`, at last by at least this `part` of its first rate."""
    values = np.array([look.value_at(look.x + (end - back) * way) for back in before])
    rates = (values[:-1] - values[1:]) / -np.diff(before)
    return bool(
        np.isfinite(values).all()
        and (rates > 64 * EPS * np.abs(values).max()).all()
        and rates[-1] >= part * rates[0]
    )
