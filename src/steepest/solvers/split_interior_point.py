"""Kinked costs by way of a smooth program: each |z| is p + q with z = p - q, walked by the interior-point method.

Between its kinks such a cost is smooth, and at its minimum it sits in some of them. The smooth program
(`structure.splitting`) knows which: where p and q are both at zero. Newton's method then finds the place to rounding.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from math import nan
from typing import Any, NamedTuple

import numpy as np

from ..bounds import Bounds, Vector
from ..constraints.rows import Rows
from ..objective import Objective
from .constrained_driver import OTHER_BARRIERS, curvature_of, held_at
from .constrained_polish import Polished, polished
from .interior_point import FIRST_BARRIER, Halt, InteriorPoint, Iterate
from .programs import Slacked
from .stopping import StopReason

# A side is at zero where its multiplier is so many times its distance: where a kink matters little, or is passed near
# by, both are small. What is left out at first comes in where Newton's method meets it; what is taken in stays.
CLEARLY = (1e6, 1e3, 1.0)


class Leg(NamedTuple):
    """One walk of the interior-point method: program, method, where it stands, and the barriers left to try."""

    program: Slacked
    method: InteriorPoint
    it: Iterate
    barriers: tuple[float, ...]


class SplitState(NamedTuple):
    """`start` (n,): where the walk began; `leg` None once it has ended."""

    x: Vector
    value: float
    gradient: Vector
    step: Vector | None
    decrease: float
    stop: StopReason | None
    start: Vector
    leg: Leg | None


@dataclass(frozen=True)
class SplitInteriorPoint:
    """The interior-point method on the smooth program of a kinked cost.

    The walk passes through points that are not lower one after the other; the end is.
    """

    @property
    def name(self) -> str:
        """What results call it."""
        return "split interior point"

    @property
    def remedy(self) -> str:
        """It does not diverge for want of a setting."""
        return ""

    def default_max_steps(self, n: int) -> int:
        """Steps allowed when the user sets no limit: ten times what hard problems need."""
        return 1000

    def init(self, objective: Objective, x: Vector) -> SplitState:
        """The start; raises `TypeError` for a cost without kinks to replace."""
        if objective.split is None:
            raise TypeError("this cost has no kinks that can be replaced; look at objective.split first")
        value, gradient = objective.value_and_gradient(x)
        leg = _leg(objective, x, (FIRST_BARRIER, *OTHER_BARRIERS))
        return SplitState(x, value, gradient, None, nan, None, x, leg)

    def step(self, objective: Objective, state: SplitState) -> SplitState:
        """One step of the interior-point method; at its end, Newton's method on the kinks that hold the point."""
        leg, split = state.leg, objective.split
        assert split is not None
        while leg is not None:
            counts = leg.program.objective.counts
            before = counts.values, counts.gradients, counts.hessians
            it = leg.method.step(leg.it)
            if it.halt is Halt.ARRIVED:
                y = _polished(split.program, leg.program, leg.method, it)
                leg = None
            elif it.halt is not None:
                _count(objective, counts, before)
                leg = _leg(objective, state.start, leg.barriers)
                continue
            else:
                y = leg.program.x_of(it.w)
                leg = leg._replace(it=it)
            _count(objective, counts, before)
            x = objective.bounds.project(y[: objective.n])
            value, gradient = objective.value_and_gradient(x)
            return SplitState(x, value, gradient, x - state.x, nan, None, state.start, leg)
        return state._replace(
            stop=StopReason.ARRIVED if state.leg is None else StopReason.NO_PROGRESS, leg=None
        )


def _leg(objective: Objective, x: Vector, barriers: tuple[float, ...]) -> Leg | None:
    """The method begun at `x` with the first of `barriers`; None where none is left or it cannot begin."""
    if not barriers:
        return None
    split = objective.split
    assert split is not None
    try:
        y = split.program.lift(x)
    except ArithmeticError:
        return None
    bounds = objective.bounds
    lower, upper = split.program.lower.copy(), np.full(y.size, np.inf)
    lower[: x.size], upper[: x.size] = bounds.lower, bounds.upper
    inner = smooth_objective(split.cost, y.size, Bounds(lower, upper))
    program = Slacked(inner, smooth_rows(split.rows, y.size), y)
    program.scaled(y)
    method = InteriorPoint(program, first_barrier=barriers[0])
    it = method.begin(program.start(y))
    return Leg(program, method, it, barriers[1:]) if it.at.finite else None


def smooth_objective(cost: Any, n: int, bounds: Bounds) -> Objective:
    """The objective of the smooth cost of `n` variables within `bounds`."""
    return Objective(
        n,
        value=cost.value,
        value_and_gradient=cost.value_and_gradient,
        hessian=cost.hessian,
        sparse_hessian=cost.sparse_hessian,
        bounds=bounds,
    )


def smooth_rows(rows: Any, n: int) -> Rows:
    """The equations of the smooth program, all equal to zero."""
    if "rows" not in rows.kept:
        from ..constraints.assembly import traced_block

        rows.kept["rows"] = traced_block([rows], n)
    block = rows.kept["rows"]
    zero = np.zeros(block.m)
    return Rows(n, zero, zero, [f"kink {k}" for k in range(block.m)], (block,), np.arange(block.m))


def _polished(split: Any, program: Slacked, method: InteriorPoint, it: Iterate) -> Vector:
    """The end of a leg put right to the last digits.

    Where a kink does not matter, the method leaves p and q larger than they must be; they are made as small as can be.
    """
    y = program.x_of(it.w)
    bound = np.zeros(y.size)
    bound[program.free] = (it.low - it.high) / program.cost_scale
    tight = np.zeros(y.size, dtype=bool)
    with suppress(ArithmeticError):
        y = split.lift(y[: split.n])
        tight = y == split.lower
    found = Polished(y, -it.y * program.row_scale / program.cost_scale, bound)
    for clearly in CLEARLY:
        held = held_at(program, method, it, clearly)
        held = held._replace(bounds=held.bounds | tight)
        better = polished(program.objective, program.rows, found, held, curvature_of(program, it))
        if better is not found:
            return better.x
    return y


def _count(objective: Objective, counts: Any, before: tuple[int, int, int]) -> None:
    """Evaluations of the smooth program count as evaluations of the cost."""
    objective.counts.values += counts.values - before[0]
    objective.counts.gradients += counts.gradients - before[1]
    objective.counts.hessians += counts.hessians - before[2]
