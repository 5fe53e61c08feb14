"""The way down a sum of squares: one walk, judged where it ends, and taken up again from saddles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..bounds import Vector
from ..budget import BudgetSpent
from ..objective import Objective
from ..solvers import Plan, drive
from ..solvers.driver import Run, lowest_seen, spent
from ..solvers.plan import Rung
from ..solvers.stopping import INTERRUPTED, StopReason
from ..verdict.failures import no_calls_left, not_judged
from ..verdict.judge import judge
from ..verdict.words import Judgement
from .descent import point_below
from .existing import told_of_the_move, where_it_exists

# A walk is taken up again from a saddle at most this often.
ESCAPES = 10


def walk_and_judge(
    objective: Objective,
    start: Vector,
    names: Any,
    plan: Plan,
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    restore: Callable[[Vector], Any] | None = None,
    seed: int = 0,
    structure: Any = None,
    began: float | None = None,
) -> tuple[Run, Judgement]:
    """Walk from `start`, judge the end afresh, and go on from a saddle while it leads lower.

    From a start without a value the walk begins beside it. Where the plan has next rungs, for the kinks of a model, a
    walk that creeps hands over to them, which go on from the best point until one ends in a minimum. Once the user has
    said stop, or a budget is spent, no other walk begins, and what was found so far is the answer. `began`: when
    `time.perf_counter` read this, the seconds of the budget began to count; None: they begin now.
    """
    if plan.max_evaluations is not None:
        allowed = objective.budget.evaluations
        most = plan.max_evaluations if allowed is None else min(plan.max_evaluations, allowed)
        objective.budget = replace(objective.budget, evaluations=most)
    objective.start_clock(began)

    def walked(x: Vector, rung: Rung | None = None) -> Run:
        return drive(
            first if rung is None else rung.solver,
            objective,
            x,
            tolerance=plan.tolerance(tol),
            max_steps=first_steps if rung is None else rung.max_steps,
            callback=callback,
            restore=restore,
        )

    first: Any = plan.solver
    first_steps, rungs = plan.max_steps, list(plan.next_rungs)
    if rungs and first_steps is None and objective.budget.steps is None:
        first, first_steps = replace(first, hands_over=True), plan.first_steps
    else:
        rungs = []
    run = walked(start)
    judgement = existing = None
    try:
        existing = where_it_exists(objective, run, start, seed)
        if existing is not None:
            run = walked(existing)
        run, judgement = judged(objective, run, names, structure, seed)
        for _ in range(ESCAPES):
            if judgement.downhill is None or not run.stop.is_final:
                break
            lower = point_below(objective, run, judgement.downhill, judgement.below)
            if lower is None:
                break
            onward = walked(lower)
            if not onward.value < run.value:  # cut short before it came there
                run = replace(run, stop=onward.stop, reason=onward.reason)
                break
            onward.history.prepend(run.history)
            run, judgement = judged(objective, onward, names, structure, seed)
        for rung in rungs:
            if judgement.verdict.is_minimum or run.stop is StopReason.STOPPED:
                break
            objective.forget()
            onward = walked(run.x, rung)
            if onward.value <= run.value:
                onward.history.prepend(run.history)
                run, judgement = judged(objective, onward, names, structure, seed)
    except BudgetSpent as what:
        run = replace(run, stop=StopReason.OUT_OF_BUDGET, reason=spent(str(what), objective))
    except KeyboardInterrupt:
        run = replace(run, stop=StopReason.STOPPED, reason=INTERRUPTED)
    if not np.isfinite(run.value):
        seen = lowest_seen(objective, run)
        existing = existing if seen is run else seen.x
        run = seen
    if judgement is None:
        run, judgement = judged(objective, run, names, structure, seed)
    return run, judgement if existing is None else told_of_the_move(judgement, existing, names)


def judged(objective: Objective, run: Run, names: Any, structure: Any, seed: int) -> tuple[Run, Judgement]:
    """The end of a `run`, judged afresh; a run that was stopped there if Ctrl-C is pressed meanwhile.

    Where slopes are measured, its verdict is "out of budget" if that allows the calls of a judge no more.
    """
    try:
        return run, judge(
            objective,
            run.x,
            names=names,
            structure=structure,
            stop=run.stop,
            history=run.history,
            seed=seed,
        )
    except BudgetSpent:
        return run, no_calls_left(run.value, run.gradient, run.history, run.stop, run.reason)
    except KeyboardInterrupt:
        run = replace(run, stop=StopReason.STOPPED, reason=INTERRUPTED)
        return run, not_judged(run.value, run.gradient)
