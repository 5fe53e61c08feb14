"""A walk between constraints, from the plan to the judgement, and what a result says of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..bounds import Vector
from ..budget import BudgetSpent
from ..constraints.rows import Rows
from ..errors import InputError
from ..evaluations import SplitCost, split_between, split_cost
from ..presentation.text import counted
from ..problem import Problem
from ..recording import Recording
from ..solvers.constrained_driver import (
    MET,
    ConstrainedRun,
    InteriorPointSolver,
    drive_constrained,
    missed,
    rank,
)
from ..solvers.driver import lowest_seen, spent
from ..solvers.methods import plan_for
from ..solvers.plan import Plan
from ..solvers.stopping import INTERRUPTED, StopReason, in_spite_of_ctrl_c
from ..verdict.between import judge_between
from ..verdict.constrained import Multipliers
from ..verdict.failures import no_calls_left, not_judged
from ..verdict.words import Judgement
from .existing import told_of_the_leap, told_of_the_move, where_all_exist
from .kinks_between import over_kinks
from .off_level import places_off

# From a saddle the walk goes on below it; a handful of times is more than any problem met so far has needed.
ESCAPES = 5

# Ends of a walk that might have gone on.
CUT_SHORT = (StopReason.STOPPED, StopReason.OUT_OF_BUDGET)


def read_rows(constraints: Any, problem: Problem, derivatives: str) -> Rows | None:
    """The constraints on the free parameters; None where there are none. Raises as `constraints.reading.read`.

    Where they have kinks, the cost's own are made equations together with theirs.
    """
    from ..constraints.reading import read

    rows = read(constraints, problem, derivatives)
    return None if rows is None else replace(rows, splitting=partial(_split, problem))


def one_sided(rows: Rows) -> Rows | None:
    """The rows without the limits that keep kinks from being made equations; None where none of them does.

    Of |x| <= 2 and |x| >= 1 together each is such a limit to the other, and of |x| = 2 the lower one: |x| is a kink
    that only an upper limit makes harder to meet. A minimum without them that meets them is one with them.
    """
    senses, first = rows.senses, 0
    kinks = _replaced(rows) if 0 in senses else 0
    found = None
    for trace, sense in zip(rows.traces, senses, strict=True):
        mine = rows.order[first : first + int(np.prod(trace.shape))]
        first += mine.size
        if sense:
            continue
        for side, limit in (("lower", -np.inf), ("upper", np.inf)):
            limits = getattr(found or rows, side).copy()
            limits[mine] = limit
            without = replace(found or rows, **{side: limits}, convex=lambda: False)
            if _replaced(without) > kinks:
                found, kinks = without, _replaced(without)
                break
    return found


def _meets(rows: Rows, x: Vector) -> bool:
    """Whether `x` (n,) lies outside no limit by more than a small part of what the row is made from."""
    sizes = np.maximum(np.asarray(abs(rows.jacobian(x)) @ np.abs(x)).ravel(), _nearer(rows))
    return bool((rows.violation(x) <= MET * sizes).all())


def _nearer(rows: Rows) -> Vector:
    nearer = np.minimum(np.abs(rows.lower), np.abs(rows.upper))
    return np.where(np.isfinite(nearer), nearer, 0.0)


def _replaced(rows: Rows) -> int:
    """How many kinks of the cost and the constraints are equations."""
    split = rows.split()
    return 0 if split is None else len(split.program.pairs)


def _split(problem: Problem, rows: Rows) -> SplitCost | None:
    """The cost and the constraints without their kinks, or the cost alone where those have none to replace."""
    cost, found = problem.trace, None
    if cost is None or problem.objective.derivatives != "exact":
        return None
    if rows.traces and all(trace.lowest_precision == "float64" for trace in (cost, *rows.traces)):
        found = split_between(cost, rows.traces, rows.senses)
    return found or split_cost(cost)


def plan_between(method: Any, options: Mapping[str, Any] | None, rows: Rows) -> Plan:
    """The plan where constraints are given; raises `InputError` for a method that knows no constraints."""
    asked = InteriorPointSolver() if method == "auto" else plan_for(method).solver
    if not isinstance(asked, InteriorPointSolver):
        raise InputError(
            f"method {asked.name!r} knows no constraints= beyond bounds; leave method out, or write 'interior point'"
        )
    plan = plan_for(asked, options)
    exact = "exact second derivatives of cost and constraints" if rows.has_hessian else "measured curvature"
    count = counted(rows.m, "constraint")
    because = f"there {'is' if rows.m == 1 else 'are'} {count}; with {exact}"
    passed_over = (
        () if method != "auto" else (("BFGS", "it knows bounds only"), ("L-BFGS", "it knows bounds only"))
    )
    return replace(plan, because=because, passed_over=passed_over)


class Between:
    """One call's way between its constraints, as `minimize` walks it, judged where it ends.

    `taken`: names of the solvers that walked. `judging`: seconds spent on verdicts.
    """

    def __init__(
        self,
        problem: Problem,
        rows: Rows,
        plan: Plan,
        tol: float | None,
        callback: Callable[..., Any] | None,
        seed: int,
        recording: Recording | None,
        structure: Any,
    ) -> None:
        self.problem, self.rows, self.plan, self.tol = problem, rows, plan, tol
        self.callback, self.seed, self.recording, self.structure = callback, seed, recording, structure
        self.taken: list[str] = []
        self.judging = 0.0
        self.told_to_stop: str | None = None
        self.multipliers: Multipliers | None = None
        self.start_lacks = "The cost has no value"

    def down(self) -> tuple[ConstrainedRun, Judgement]:
        """Walk and judge; from a saddle the walk goes on at the lower point the judge has seen.

        A walk on that is cut short before it has come lower leaves the saddle the answer. Where the cost or a
        constraint is not defined at the start, the walk begins at a place nearby where all are.
        """
        self.taken.append(self.plan.solver.name)
        first = self._one_sided()
        if isinstance(first, tuple):
            return first
        run, existing = self._from_where_all_exist()
        if first is not None and run.stop is not StopReason.TOLERANCE:
            run = self._best_passed(first, run)
        run, judgement = self._judged(run)
        off = None
        if self._may_be_met_elsewhere(run):
            run, judgement, off = self._from_elsewhere(run, judgement)
        for _ in range(ESCAPES):
            if judgement.downhill is None or not run.stop.is_final:
                break
            onward = self._walk(run.x + judgement.downhill)
            if self._is_cut_short(onward, run):
                return replace(run, stop=onward.stop, reason=onward.reason), judgement
            onward.history.prepend(run.history)
            run, judgement = self._judged(onward)
        if existing is not None:
            judgement = told_of_the_move(judgement, existing, self.problem.names, self.start_lacks)
        if off is not None:
            judgement = told_of_the_leap(judgement, off, self.problem.names)
        return run, judgement

    def _one_sided(self) -> tuple[ConstrainedRun, Judgement] | ConstrainedRun | None:
        """The walk without the limits that keep kinks from being equations, and its judgement.

        The walk alone where its end is no answer; None where no limit does.
        """
        rows, without = self.rows, None if self.problem.objective.is_measured else one_sided(self.rows)
        if without is None:
            return None
        try:
            self.rows = without
            run = self._walk(self.problem.start)
            if run.stop is StopReason.TOLERANCE and _meets(rows, run.x):
                run, judgement = self._judged(run)
                if judgement.verdict.is_minimum or run.stop in CUT_SHORT:
                    return run, judgement
        finally:
            self.rows = rows
        return self._judged(self._best_passed(run, run)) if run.stop in CUT_SHORT else run

    def _best_passed(self, walk: ConstrainedRun, run: ConstrainedRun) -> ConstrainedRun:
        """The run at the best of the places that `walk`, without some of the limits, has passed; or where it is."""
        history, best = walk.history, run
        with suppress(BudgetSpent, KeyboardInterrupt):
            least = rank(missed(self.rows, run.x), run.value)
            for x, value in zip(history.x, history.value[history.kept], strict=True):
                its_rank = rank(missed(self.rows, x), float(value))
                if its_rank < least:
                    least, best = its_rank, replace(walk, x=x, value=float(value))
        if best is not run:  # what the walk knows of its end says nothing of this place
            unknown, of_rows = np.full(best.x.size, np.nan), np.full(self.rows.m, np.nan)
            best = replace(
                best, gradient=unknown, multipliers=of_rows, bound_multipliers=unknown, infeasible=False
            )
        off = in_spite_of_ctrl_c(self.rows.violation, best.x)
        return replace(best, stop=run.stop, reason=run.reason, violation=float(off.max(initial=0.0)))

    def _from_where_all_exist(self) -> tuple[ConstrainedRun, Vector | None]:
        """The walk from the start; or from a place (n,) beside it, where that is where the cost and all rows exist."""
        run = self._walk(self.problem.start)
        objective, seen = self.problem.objective, []  # type: ignore[var-annotated]
        try:
            existing = where_all_exist(objective, self.rows, run, self.problem.start, self.seed, seen)
        except BudgetSpent as what:
            run = replace(run, stop=StopReason.OUT_OF_BUDGET, reason=spent(str(what), objective))
            return self._moved(run, seen)
        except KeyboardInterrupt:
            return self._moved(replace(run, stop=StopReason.STOPPED, reason=INTERRUPTED), seen)
        if existing is None:
            return self._moved(run, [])
        if np.isfinite(run.value):
            self.start_lacks = "The cost or a constraint has no value or no slope"
        return self._moved(self._walk(existing), [])[0], existing

    def _moved(
        self, run: ConstrainedRun, existing: list[tuple[float, float, Vector]]
    ) -> tuple[ConstrainedRun, Vector | None]:
        """The run at the best of the places `existing`, with a cost and constraints, where a search for a start ended.

        Where there are none, at the lowest place (n,) with a cost that was seen, if it has none itself.
        """
        if existing:
            violation, value, place = min(existing, key=lambda one: one[:2])
            if np.isfinite(run.value):
                self.start_lacks = "The cost or a constraint has no value or no slope"
            nothing = np.full(place.size, np.nan)
            return replace(run, x=place, value=value, gradient=nothing, violation=violation), place
        seen = lowest_seen(self.problem.objective, run) if not np.isfinite(run.value) else run
        if seen is run:
            return run, None
        off = in_spite_of_ctrl_c(self.rows.violation, seen.x)
        return replace(seen, violation=float(off.max(initial=0.0))), seen.x

    def _may_be_met_elsewhere(self, run: ConstrainedRun) -> bool:
        """Whether the walk ended where the constraints are not met and no small move helps, which proves nothing.

        Unless they leave a convex set.
        """
        stuck = run.stop is StopReason.NO_PROGRESS and np.isfinite(run.violation)
        return stuck and missed(self.rows, run.x) > 0.0 and not self.rows.convex()

    def _from_elsewhere(
        self, run: ConstrainedRun, judgement: Judgement
    ) -> tuple[ConstrainedRun, Judgement, Vector | None]:
        """The first walk from a few places off the end of `run` that meets the constraints, and its place (n,).

        Where none does, what was found stays. A walk that is stopped, or whose budget is spent, is the last; it stays
        where it has come nearer to meeting them.
        """
        try:
            for place in places_off(self.rows, self.problem.objective.bounds, run.x, self.seed):
                onward = self._walk(place)
                if self._is_cut_short(onward, run):
                    return replace(run, stop=onward.stop, reason=onward.reason), judgement, None
                met = onward.violation < run.violation and missed(self.rows, onward.x) == 0.0
                if met or onward.stop in CUT_SHORT:
                    onward.history.prepend(run.history)
                    return *self._judged(onward), place
        except BudgetSpent as what:
            reason = spent(str(what), self.problem.objective)
            return replace(run, stop=StopReason.OUT_OF_BUDGET, reason=reason), judgement, None
        except KeyboardInterrupt:
            return replace(run, stop=StopReason.STOPPED, reason=INTERRUPTED), judgement, None
        return run, judgement, None

    def _is_cut_short(self, onward: ConstrainedRun, run: ConstrainedRun) -> bool:
        """Whether a walk on from the end of `run` was stopped, or its budget spent, where that end is the better."""
        if onward.stop not in CUT_SHORT:
            return False
        if not np.isfinite(onward.value):  # not even its start was looked at
            return True
        return (missed(self.rows, onward.x), onward.value) >= (missed(self.rows, run.x), run.value)

    def _walk(self, start: Vector) -> ConstrainedRun:
        run = self._walked(start)
        if self.told_to_stop is None:
            return run
        return replace(run, stop=StopReason.STOPPED, reason=self.told_to_stop)

    def _walked(self, start: Vector) -> ConstrainedRun:
        assert isinstance(self.plan.solver, InteriorPointSolver)
        given = (self.plan.solver, self.problem.objective, self.rows)
        about: dict[str, Any] = {
            "tol": self.tol,
            "max_steps": self.plan.max_steps,
            "callback": self.callback,
            "restore": self.problem.restore,
            "watch": self.recording,
        }
        kinked = over_kinks(*given, start, **about)
        if kinked is not None and (kinked.stop is not StopReason.NO_PROGRESS or not kinked.steps):
            return kinked
        run = drive_constrained(*given, start if kinked is None else kinked.x, **about)
        if kinked is None:
            return run
        if (missed(self.rows, run.x), run.value) >= (missed(self.rows, kinked.x), kinked.value):
            run = replace(kinked, stop=run.stop, reason=run.reason)
        else:
            run.history.prepend(kinked.history)
        return run

    def _judged(self, run: ConstrainedRun) -> tuple[ConstrainedRun, Judgement]:
        """The walk with its judgement; Ctrl-C meanwhile ends the call there, and its end is told as not judged."""
        began = time.perf_counter()
        try:
            judgement, self.multipliers = judge_between(
                self.problem.objective,
                self.rows,
                run.x,
                names=self.problem.names,
                structure=self.structure,
                stop=run.stop,
                history=run.history,
                infeasible=run.infeasible,
                hint=(run.multipliers, run.bound_multipliers),
                seed=self.seed,
            )
        except (BudgetSpent, KeyboardInterrupt) as cut_short:
            if isinstance(cut_short, BudgetSpent):
                judgement = no_calls_left(run.value, run.gradient, run.history, run.stop, run.reason)
            else:
                run = replace(run, stop=StopReason.STOPPED, reason=INTERRUPTED)
                judgement = not_judged(run.value, run.gradient)
            self.multipliers = Multipliers(run.multipliers, run.bound_multipliers, (), run.violation)
        self.judging += time.perf_counter() - began
        return run, judgement

    def about(self) -> dict[str, Any]:
        """What a result says of its constraints: multipliers by name, violation, and those at their limits."""
        assert self.multipliers is not None
        return told_of(self.problem, self.rows, self.multipliers)


def told_of(problem: Problem, rows: Rows, multipliers: Multipliers) -> dict[str, Any]:
    """What a result says of its constraints: multipliers by name, violation, and those at their limits."""
    bounds: Any = multipliers.bounds
    if problem.free is not None:
        bounds = np.full(problem.parameters.n, np.nan)
        bounds[problem.free] = multipliers.bounds
    restored = problem.parameters.restore(bounds)
    return {
        "multipliers": dict(zip(rows.names, multipliers.rows.tolist(), strict=True)),
        "bound_multipliers": float(restored) if isinstance(restored, np.floating) else restored,
        "violation": multipliers.violation,
        "active": multipliers.active,
    }
