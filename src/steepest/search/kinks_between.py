"""A walk between constraints in units of its own: on the smooth program of kinks, or of parameters next to nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..bounds import Vector
from ..budget import BudgetSpent
from ..constraints.rows import Rows
from ..objective import Objective
from ..solvers.constrained_driver import (
    ConstrainedRun,
    InteriorPointSolver,
    drive_constrained,
    missed,
    rank,
)
from ..solvers.constrained_polish import Polished
from ..solvers.driver import listener, spent
from ..solvers.history import History
from ..solvers.interior_point import ARRIVED, InteriorPoint, Iterate
from ..solvers.kink_polish import arrived_at, polished_on_kinks
from ..solvers.natural_units import Units, natural_units
from ..solvers.programs import Slacked
from ..solvers.smooth_programs import SmoothProgram, between, in_units, smooth_program
from ..solvers.stopping import INTERRUPTED, StopReason, in_spite_of_ctrl_c


class Place(NamedTuple):
    """An iterate as a callback sees it."""

    x: Vector
    value: float
    gradient: Vector


def over_kinks(
    solver: InteriorPointSolver,
    objective: Objective,
    rows: Rows,
    start: Vector,
    *,
    tol: float | None,
    max_steps: int | None,
    callback: Callable[..., Any] | None,
    restore: Callable[[Vector], Any] | None,
    watch: Callable[[Vector, float, float, float, int], bool] | None,
) -> ConstrainedRun | None:
    """As `drive_constrained` walks from `start` (n,); None where the cost has no kinks to replace, or none there.

    Nor parameters next to nothing.
    """
    split = None if objective.is_measured else rows.split()
    start = objective.bounds.project(start)
    watched = _Watched(objective, rows, start, listener(callback, restore), watch)
    try:
        natural = natural_units(objective, rows, start)
        if natural is not None:
            rows = watched.rows = replace(rows, known_units=natural.rows)
        y = start if split is None else split.program.lift(start)
        if (split is None and natural is None) or not np.isfinite(y).all():
            return None
        watched.see(start)
        smooth = watched.smooth = _program(objective, split, y, natural)
    except ArithmeticError:
        return None
    except BudgetSpent as what:
        return watched.ended(StopReason.OUT_OF_BUDGET, spent(str(what), objective))
    except KeyboardInterrupt:
        return watched.ended(StopReason.STOPPED, INTERRUPTED)
    together = between(smooth, rows, None if split is None else split.limits)
    arrived = ARRIVED if split is None else arrived_at(smooth)
    run = drive_constrained(
        solver,
        smooth.objective,
        together,
        y / smooth.units,
        tol=arrived if tol is None else max(arrived, tol),
        max_steps=max_steps,
        watch=watched.look,
        polish=None if split is None else partial(_polished, watched, smooth, together),
    )
    return watched.run(run)


def _program(objective: Objective, split: Any, y: Vector, natural: Units | None) -> SmoothProgram:
    if natural is None:
        return smooth_program(objective, split, y)
    size, cost = natural.parameters, natural.cost
    if split is None:
        return in_units(objective, size, cost)
    return smooth_program(objective, split, y, np.maximum(np.abs(y[: objective.n]), size), cost)


def _polished(
    watched: _Watched, smooth: SmoothProgram, rows: Rows, program: Slacked, method: InteriorPoint, it: Iterate
) -> Polished:
    """The end put right to the last digits; of several the one that meets the constraints best, and then the lowest."""

    def rank_of(w: Vector) -> tuple[float, float]:
        x = watched.x_of(w)
        return rank(missed(watched.rows, x), watched.objective.value(x))

    return polished_on_kinks(smooth, rows, program, method, it, rank_of)


class _Watched:
    """The walk in w as one of the parameters: its history, the best place seen, and what callbacks are told."""

    def __init__(self, objective: Objective, rows: Rows, start: Vector, tell: Any, watch: Any) -> None:
        self.objective, self.rows, self.start, self.tell, self.watch = objective, rows, start, tell, watch
        self.history = History(objective.n)
        self.smooth: SmoothProgram | None = None
        self.best: tuple[float, Place] | None = None
        self.last: Place | None = None

    def see(self, x: Vector) -> Place:
        """The cost and its slope at `x` (n,), which is kept if it is the best: nearer to the constraints, or lower."""
        if self.last is not None and np.array_equal(self.last.x, x):
            return self.last
        self.last = Place(x, *self.objective.value_and_gradient(x))
        off = missed(self.rows, x)
        if self.best is None or (off, self.last.value) < (self.best[0], self.best[1].value):
            self.best = off, self.last
        return self.last

    def x_of(self, w: Vector) -> Vector:
        """The parameters (n,) at w, inside their bounds."""
        assert self.smooth is not None
        n = self.objective.n
        return self.objective.bounds.project(self.smooth.units[:n] * w[:n])

    def look(self, w: Vector, _: float, slope: float, __: float, ___: int) -> bool:
        """One more iterate; whether whoever watches asks to stop."""
        assert self.smooth is not None
        before = self.last.x if self.last is not None and len(self.history) else None
        seen = self.see(self.x_of(w))
        step = None if before is None else seen.x - before
        length = 0.0 if step is None else float(np.linalg.norm(step))
        slope *= self.smooth.cost_unit / float(self.smooth.units[: seen.x.size].max())
        evaluations, steps = self.objective.evaluations, len(self.history)
        self.history.append(seen.x, seen.value, seen.gradient, slope, step, length, evaluations)
        if self.tell is not None and steps:
            self.tell(seen, steps, evaluations)
        return self.watch is not None and self.watch(seen.x, seen.value, slope, length, evaluations)

    def run(self, run: ConstrainedRun) -> ConstrainedRun:
        """The end of the walk as that of a walk of the parameters; the best place where it was broken off."""
        assert self.smooth is not None
        if run.stop in (StopReason.OUT_OF_BUDGET, StopReason.STOPPED):
            return self.ended(run.stop, run.reason)
        try:
            end = self.see(self.x_of(run.x))
        except BudgetSpent as what:
            return self.ended(StopReason.OUT_OF_BUDGET, spent(str(what), self.objective))
        except KeyboardInterrupt:
            return self.ended(StopReason.STOPPED, INTERRUPTED)
        unit, n, kinks = self.smooth.cost_unit, end.x.size, self.smooth.rows.m
        own = self.rows.known_units
        return replace(
            run,
            x=end.x,
            value=end.value,
            gradient=end.gradient,
            history=self.history,
            multipliers=unit * run.multipliers[kinks:] / (1.0 if own is None else own),
            bound_multipliers=unit * run.bound_multipliers[:n] / self.smooth.units[:n],
            violation=missed(self.rows, end.x),
        )

    def ended(self, stop: StopReason, reason: str) -> ConstrainedRun:
        """A walk that was broken off, at the best place seen."""
        if self.best is None:  # broken off while the start was looked at
            told = self.objective.best_x
            value = (
                self.objective.best_value if told is not None and np.array_equal(told, self.start) else np.nan
            )
            unknown = Place(self.start, value, np.full(self.start.size, np.nan))
            off = in_spite_of_ctrl_c(partial(missed, self.rows), self.start)
            self.best = off, self.last or unknown
        off, place = self.best
        nothing, steps = np.full(self.rows.m, np.nan), max(len(self.history) - 1, 0)
        return ConstrainedRun(
            *place, stop, reason, self.history, steps, InteriorPointSolver.name,
            nothing, np.full(place.x.size, np.nan), off, infeasible=False,
        )  # fmt: skip
