"""Kinked costs by way of a smooth program: each |z| is p + q with z = p - q, walked by the interior-point method.

Between its kinks such a cost is smooth, and at its minimum it sits in some of them. The smooth program
(`structure.splitting`) knows which: where p and q are both at zero. Newton's method then finds the place to rounding.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from math import nan
from typing import ClassVar, NamedTuple

import numpy as np

from ..bounds import Vector
from ..errors import InputError
from ..objective import Objective
from .constrained_driver import OTHER_BARRIERS, curvature_of, held_at
from .constrained_polish import Held, Polished, polished
from .interior_point import ARRIVED, FIRST_BARRIER, Halt, InteriorPoint, Iterate
from .programs import Slacked
from .smooth_programs import SmoothProgram, smooth_program
from .stopping import StopReason

# A side is at zero where its multiplier is so many times its distance: where a kink matters little, or is passed near
# by, both are small. What is left out at first comes in where Newton's method meets it; what is taken in stays.
CLEARLY = (1e6, 1e3, 1e2, 1e1, 1.0)

# A leg that takes this many steps in a row of less than `SHORT` of what Newton's method asked for gets nowhere: each
# costs a dozen evaluations and more. Legs that arrive take no two of them.
CREEPS = 20

# What norms are taken of is a difference of larger numbers, and rounding of it counts the more the smaller the norm:
# nearer to the end than this it would drown the slopes.
ARRIVED_AT_NORMS = 1e-7

# A norm that vanishes may be pulled at as hard as it can bear, and by rounding more.
BORNE = 1e-9


class Leg(NamedTuple):
    """One walk of the interior-point method, and where it stands."""

    smooth: SmoothProgram
    program: Slacked
    method: InteriorPoint
    it: Iterate


class SplitState(NamedTuple):
    """`start` (n,): where the walk began; `leg`: the one under way, `barriers`: where further ones would begin.

    `arrived`: whether the last leg has ended well.
    """

    x: Vector
    value: float
    gradient: Vector
    step: Vector | None
    decrease: float
    stop: StopReason | None
    start: Vector
    leg: Leg | None
    barriers: tuple[float, ...]
    arrived: bool


@dataclass(frozen=True)
class SplitInteriorPoint:
    """The interior-point method on the smooth program of a kinked cost.

    The walk passes through points that are not lower one after the other; the end is.
    """

    name: ClassVar[str] = "split interior point"
    remedy: ClassVar[str] = ""

    def default_max_steps(self, n: int) -> int:
        """Steps allowed when the user sets no limit: ten times what hard problems need."""
        return 1000

    def init(self, objective: Objective, x: Vector) -> SplitState:
        """The start; raises `InputError` for a cost without kinks to replace."""
        if objective.split is None:
            raise InputError(
                "the split interior-point method needs a cost with kinks that it rises with, such as np.abs or "
                'np.maximum, and no such kink was found; leave method out, or write method="newton"'
            )
        value, gradient = objective.value_and_gradient(x)
        barriers = (FIRST_BARRIER, *OTHER_BARRIERS)
        return SplitState(x, value, gradient, None, nan, None, x, None, barriers, arrived=False)

    def step(self, objective: Objective, state: SplitState) -> SplitState:
        """One step of the interior-point method; at its end, Newton's method on the kinks that hold the point."""
        leg, barriers = state.leg, state.barriers
        while not state.arrived and (leg is not None or barriers):
            if leg is None:
                leg, barriers = _leg(objective, state.start, barriers[0]), barriers[1:]
                continue
            it = leg.method.step(leg.it)
            arrived = it.halt is Halt.ARRIVED
            if (it.halt is not None or it.short >= CREEPS) and not arrived:
                leg = None
                continue
            w = _polished(objective, leg, it) if arrived else leg.program.x_of(it.w)
            x = objective.bounds.project((leg.smooth.units * w)[: objective.n])
            value, gradient = objective.value_and_gradient(x)
            onward = leg._replace(it=it)
            return SplitState(
                x, value, gradient, x - state.x, nan, None, state.start, onward, barriers, arrived
            )
        return state._replace(stop=StopReason.ARRIVED if state.arrived else StopReason.NO_PROGRESS)


def _leg(objective: Objective, x: Vector, barrier: float) -> Leg | None:
    """The method begun at `x` (n,); None where the program has no numbers there."""
    split = objective.split
    assert split is not None
    try:
        y = split.program.lift(x)
    except ArithmeticError:
        return None
    if not np.isfinite(y).all():
        return None
    smooth = smooth_program(objective, split, y)
    program = Slacked(smooth.objective, smooth.rows, y / smooth.units)
    program.scaled(y / smooth.units)
    arrived = ARRIVED_AT_NORMS if split.program.radii.size else ARRIVED
    method = InteriorPoint(program, first_barrier=barrier, arrived=arrived)
    it = method.begin(program.start(y / smooth.units))
    return Leg(smooth, program, method, it) if it.at.finite else None


def _polished(objective: Objective, leg: Leg, it: Iterate) -> Vector:
    """The end of a leg put right to the last digits, (N,) in its units.

    Where a kink does not matter, the method leaves p and q larger than they must be; they are made as small as can be.
    Multipliers of equations that depend on each other may pull harder at norms than these can bear where others would
    not: then the lowest cost decides.
    """
    program, units = leg.program, leg.smooth.units
    split = objective.split.program  # type: ignore[union-attr]
    w = program.x_of(it.w)
    bound = np.zeros(w.size)
    bound[program.free] = (it.low - it.high) / program.cost_scale
    tight = np.zeros(w.size, dtype=bool)
    with suppress(ArithmeticError):
        y = split.lift((units * w)[: split.n])
        w, tight = y / units, y == split.lower
    found = Polished(w, -it.y * program.row_scale / program.cost_scale, bound)
    lowest, least = w, _cost(objective, units, w)
    for clearly in CLEARLY:
        held = held_at(program, leg.method, it, clearly)
        held = held._replace(bounds=held.bounds | tight)
        better = _on_what_holds(leg, it, found, held)
        if better is None:
            continue
        place, is_borne = better
        if is_borne:
            return place
        value = _cost(objective, units, place)
        if value < least:
            lowest, least = place, value
    return lowest


def _cost(objective: Objective, units: Vector, w: Vector) -> float:
    return objective.value(objective.bounds.project((units * w)[: objective.n]))


def _on_what_holds(leg: Leg, it: Iterate, found: Polished, held: Held) -> tuple[Vector, bool] | None:
    """The point polished where `held` is all that holds it, and whether the norms held at zero bear the pull.

    None where polishing makes nothing better.

    A norm that Newton's method takes to zero is held there, with all of its parts, from the beginning.
    """
    program, radii = leg.program, leg.smooth.program.radii
    while True:
        vanishing = leg.smooth.vanishing(held.bounds[radii], found.x)
        none, objective = np.zeros(vanishing.parts.size), vanishing.objective
        bounds = held.bounds.copy()
        bounds[vanishing.places] = True
        begun = found._replace(rows=np.concatenate([found.rows, none]))
        onto = Slacked(objective, vanishing.rows, found.x)
        onto.sparse = program.sparse
        better = polished(
            objective,
            vanishing.rows,
            begun,
            Held(np.concatenate([held.rows, none == 0.0]), np.concatenate([held.target, none]), bounds),
            curvature_of(onto, it),
        )
        if better is begun:
            return None
        closed = (better.x[radii] == 0.0) & ~held.bounds[radii]
        if not closed.any():
            break
        held.bounds[radii[closed]] = True
    _, gradient = objective.value_and_gradient(better.x)
    strain = vanishing.strain(better.rows, better.bounds, gradient)
    return better.x, strain <= 1.0 + BORNE
