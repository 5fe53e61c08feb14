"""The search of a fit: one walk, and walks from other starts where its end is not taken at its word."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from ..bounds import Vector
from ..budget import Budget, BudgetSpent
from ..residuals import Residuals
from ..search.squares import walk_and_judge
from ..solvers import Plan
from ..solvers.stopping import INTERRUPTED, StopReason
from ..verdict.words import Verdict
from .facts import facts_of
from .further import Found, Further
from .starts import Suspicion, suspicion_of
from .task import Task

# Starts to ask for where those that are tried by themselves led to no curve that explains the data.
MORE_STARTS = 50


def search(
    task: Task,
    residuals: Residuals,
    plan: Plan,
    tol: float | None,
    callback: Any,
    budget: Budget,
    starts: int | None,
    seed: int,
    noise: str,
    began: float,
) -> Found:
    """Walk from the start; look further where the end is no verified minimum or smells of a bad basin.

    `noise`: "known" or "unknown", as `fit` takes it. `began`: when `time.perf_counter` read this, the seconds of the
    budget began to count.
    """
    names = task.moving()
    facts = facts_of(residuals)
    restore = functools.partial(_restored, task)
    objective = residuals.objective(task.bounds, budget)
    objective.count_looks(task.looked, len(task.sets))
    run, judgement = walk_and_judge(
        objective, task.start, names, plan, tol, callback, restore, seed, structure=facts, began=began
    )
    best = Found(run, judgement, objective.evaluations, task.start, task.start_from, ())
    is_cut = run.stop is StopReason.OUT_OF_BUDGET and (objective.is_spent or budget.steps is not None)
    if run.stop is StopReason.STOPPED or is_cut or (facts is not None and facts.linear):
        return best
    try:
        doubt = (
            Suspicion("starts= asked for it")
            if starts
            else suspicion_of(residuals, run, judgement, task.bounds, noise)
        )
        if starts != 0:
            further = Further(
                task, residuals, objective, plan, best, doubt, starts, seed, facts, noise, began
            )
            best = further.found()
        return _with_advice(task, residuals, best, starts, noise)
    except BudgetSpent:  # where slopes are measured, to look at the residuals is a call
        return best
    except KeyboardInterrupt:
        return replace(best, run=replace(best.run, stop=StopReason.STOPPED, reason=INTERRUPTED))


def _with_advice(task: Task, residuals: Residuals, found: Found, starts: int | None, noise: str) -> Found:
    """What to do where even the best minimum is that of a curve which has not found the data."""
    judgement = found.judgement
    if judgement.verdict is Verdict.GLOBAL_MINIMUM or judgement.next_step:
        return found
    doubt = suspicion_of(residuals, found.run, judgement, task.bounds, noise)
    if doubt is None or not doubt.unexplained:
        return found
    ways = ["start nearer, at values read off a plot of the data"]
    if starts == 0:
        ways.append("leave starts=0 away")
    elif starts is None:
        ways.append(f"try more starts (starts={MORE_STARTS})")
    if task.model.guess is None:
        ways.append("take a ready-made model (steepest.models), which reads its start off the data")
    explains = doubt.words.removesuffix(" there")
    advice = f"{explains[0].upper()}{explains[1:]}. If it should explain more, {', or '.join(ways)}."
    return replace(found, judgement=replace(judgement, next_step=advice))


def _restored(task: Task, z: Vector) -> Any:
    return task.parameters.restore(task.arrangement.full(z))
