"""Kinked costs by way of a smooth program: each |z| is p + q with z = p - q, walked by the interior-point method.

Between its kinks such a cost is smooth, and at its minimum it sits in some of them. The smooth program
(`structure.splitting`) knows which: where p and q are both at zero. Newton's method then finds the place to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..bounds import Vector
from ..errors import InputError
from ..objective import Objective
from .cone_interior_point import ConeInteriorPoint, cone_method, off_cones
from .constrained_driver import OTHER_BARRIERS, beside
from .interior_point import FIRST_BARRIER, Halt, InteriorPoint, Iterate
from .kink_polish import arrived_at, polished_on_kinks
from .programs import Slacked
from .smooth_programs import SmoothProgram, on_cones, smooth_program
from .stopping import StopReason

# A leg that takes this many steps in a row of less than `SHORT` of what Newton's method asked for gets nowhere: each
# costs a dozen evaluations and more. Legs that arrive take no two of them.
CREEPS = 20

# From so many times the size of its start, or of its unit, on a walk is asked whether it leads anywhere: the cost is
# looked at so many times as far on, and falls without limit where it falls by no less than this part of the rate.
FAR_OFF, ONWARD, AS_FAST = 1e6, tuple(10.0**k for k in range(9)), 0.9


class Leg(NamedTuple):
    """One walk of an interior-point method on the `smooth` program, or on that with cones, and where it stands."""

    smooth: SmoothProgram
    program: Slacked
    method: InteriorPoint | ConeInteriorPoint
    it: Any

    def ended(self) -> tuple[Slacked, InteriorPoint, Iterate]:
        """Where it stands, on the smooth program."""
        if isinstance(self.method, ConeInteriorPoint):
            return off_cones(self.method, self.it, self.smooth)
        return self.program, self.method, self.it


class SplitState(NamedTuple):
    """`start` (n,): where the walk began; `leg`: the one under way, `barriers`: where further ones would begin.

    `arrived`: whether the last leg has ended well. `lengths`: of slope and step at the end of one on cones, whose
    multipliers leave no slope: the iterates before are as low to rounding, and their norms next to zero.
    """

    x: Vector
    value: float
    gradient: Vector
    step: Vector | None
    decrease: float
    stop: StopReason | None
    start: Vector
    leg: Leg | None
    barriers: tuple[float | None, ...]
    arrived: bool
    lengths: tuple[float, float] | None = None


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
        if np.isnan(gradient).any() and np.isnan(objective.value_and_gradient(beside(objective, x))[1]).any():
            value, gradient = _told(objective, x)  # there is no place with a slope to begin from
        first = () if objective.split.conic is None else (None,)
        barriers = (*first, FIRST_BARRIER, *OTHER_BARRIERS)
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
            w = _polished(objective, leg._replace(it=it)) if arrived else leg.program.x_of(it.w)
            x = objective.bounds.project((leg.smooth.units * w)[: objective.n])
            value, gradient = objective.value_and_gradient(x) if arrived else _told(objective, x)
            onward = leg._replace(it=it)
            units, step = leg.smooth.units[: objective.n], x - state.x
            stop = StopReason.UNBOUNDED if _falls_for_ever(objective, state.start, x, value, units) else None
            balanced = arrived and isinstance(leg.method, ConeInteriorPoint)
            lengths = (0.0, float(np.linalg.norm(step))) if balanced else None
            return SplitState(
                x, value, gradient, step, nan, stop, state.start, onward, barriers, arrived, lengths
            )
        return state._replace(stop=StopReason.ARRIVED if state.arrived else StopReason.NO_PROGRESS)


def _falls_for_ever(objective: Objective, start: Vector, x: Vector, value: float, units: Vector) -> bool:
    """Whether the cost, `value` at `x` (n,), falls on along the way from the `start` as fast as ever; asked far off.

    By the `units` (n,) of the program.
    """
    way = x - start
    length = float(np.abs(way / units).max(initial=0.0))
    if not FAR_OFF * max(1.0, float(np.abs(start / units).max(initial=0.0))) < length < np.inf:
        return False
    # Before the farthest place most bounds end, and there most costs have risen: the others need not be asked.
    farther = np.inf
    for distance in reversed(ONWARD):
        there = x + distance * way
        if not objective.bounds.contains(there):
            return False
        fall = (value - objective.value(there)) / distance
        if not 0.0 < AS_FAST * fall < farther:
            return False
        farther = fall
    return True


def _told(objective: Objective, x: Vector) -> tuple[float, Vector]:
    """The cost and its slope at `x` (n,), on the way: where a norm on a cone is zero there is none, and zero counts.

    So it is everywhere with norms of nothing, as at the edges of a picture beyond which there are no neighbours.
    """
    value, gradient = objective.value_and_gradient(x)
    if objective.split is not None and objective.split.conic is not None:
        gradient = np.where(np.isnan(gradient), 0.0, gradient)
    return value, gradient


def _leg(objective: Objective, x: Vector, barrier: float | None) -> Leg | None:
    """The method begun at `x` (n,); None where the program has no numbers there, or is not one on cones."""
    split = objective.split
    assert split is not None
    try:
        y = split.program.lift(x)
    except ArithmeticError:
        return None
    if not np.isfinite(y).all():
        return None
    smooth = smooth_program(objective, split, y)
    if barrier is None:
        return _leg_on_cones(smooth, on_cones(objective, smooth, split.conic), y / smooth.units)
    program = Slacked(smooth.objective, smooth.rows, y / smooth.units)
    program.scaled(y / smooth.units)
    method = InteriorPoint(program, first_barrier=barrier, arrived=arrived_at(smooth))
    it = method.begin(program.start(y / smooth.units))
    return Leg(smooth, program, method, it) if it.at.finite else None


def _leg_on_cones(smooth: SmoothProgram, conic: SmoothProgram, w: Vector) -> Leg | None:
    method = cone_method(conic, w)
    if method is None:
        return None
    it = method.begin(method.program.start(w))
    return Leg(smooth, method.program, method, it) if it.at.finite else None


def _polished(objective: Objective, leg: Leg) -> Vector:
    """The end of a leg put right to the last digits, (N,) in its units; the lowest where norms do not bear the pull."""

    def cost(w: Vector) -> float:
        return objective.value(objective.bounds.project((leg.smooth.units * w)[: objective.n]))

    return polished_on_kinks(leg.smooth, leg.smooth.rows, *leg.ended(), cost).x
