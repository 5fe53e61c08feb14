"""The search of a fit: one walk, and walks from other starts where its end is not taken at its word."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from ..bounds import Vector
from ..budget import Budget, BudgetSpent
from ..losses import LOSSES
from ..objective import Objective
from ..residuals import Residuals
from ..search.exchange import NOWHERE, Exchanges, is_poor_fit
from ..search.frequencies import ROUNDS, at_other_frequencies
from ..search.squares import judged, walk_and_judge
from ..solvers import Plan, drive
from ..solvers.driver import Run, lowest_seen, spent
from ..solvers.stopping import INTERRUPTED, StopReason
from ..verdict.words import Judgement, Verdict
from .facts import facts_of
from .starts import Suspicion, around, suspicion_of
from .task import Task

# The loss whose fit is a start for other robust losses: convex in the residual, and hardly moved by wild points.
GENTLE = "soft_l1"

# Starts to ask for where those that are tried by themselves led to no curve that explains the data.
MORE_STARTS = 50

# Exchanges of parts of the model take so many times the evaluations of the first walk, but so many in any case.
TIMES_WALKED, LEAST_EXCHANGED = 2, 500


@dataclass(frozen=True)
class Found:
    """The best end point, its judgement, what it cost, and what made us look further."""

    run: Run
    judgement: Judgement
    evaluations: int
    start: Vector
    start_from: str
    remarks: tuple[str, ...]


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
        if doubt is None:
            return best
        if starts != 0:
            best = _look_further(
                task, residuals, objective, plan, best, doubt, starts, seed, facts, noise, began
            )
        return _with_advice(task, residuals, best, starts, noise)
    except BudgetSpent:  # where slopes are measured, to look at the residuals is a call
        return best
    except KeyboardInterrupt:
        return replace(best, run=replace(best.run, stop=StopReason.STOPPED, reason=INTERRUPTED))


def _with_advice(task: Task, residuals: Residuals, found: Found, starts: int | None, noise: str) -> Found:
    """What to do where even the best minimum is that of a curve which has not found the data.

    A robust loss lets go of points that lie far off, and these may be most of the variance: there nothing is said.
    """
    judgement = found.judgement
    if judgement.verdict is Verdict.GLOBAL_MINIMUM or judgement.next_step or residuals.rho is not None:
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


def _look_further(
    task: Task,
    residuals: Residuals,
    objective: Objective,
    plan: Plan,
    best: Found,
    doubt: Suspicion,
    starts: int | None,
    seed: int,
    facts: Any,
    noise: str,
    began: float,
) -> Found:
    """Walk from the most promising of many seeded starts; keep whichever verified minimum is lowest.

    Before them, parts of the model are moved to where most is left to explain (`exchange`), and waves to other
    frequencies; where that explains all but noise, it is the last start. With a robust loss the first is where a
    gentler one leads: a loss that levels off lets go of all the data. All within what the first walk left of the
    budget; once that is spent, or the user says stop, the lowest place seen is the answer.
    """
    names = task.moving()
    tried = 0
    lowest = best
    seen = best.run
    cut_short = ""
    shown_by_the_data: Vector | None = None
    looked_from: Run | None = None  # for waves of other frequencies

    def walked(cost: Objective, start: Vector, steps: int | None = None) -> Run:
        nonlocal seen
        seen = lowest_seen(objective, seen)
        cost.forget()
        most = plan.max_steps if steps is None else steps
        run = drive(plan.solver, cost, start, tolerance=plan.tolerance(None), max_steps=most)
        if run.stop is StopReason.STOPPED:
            raise KeyboardInterrupt
        return run

    def shown(place: Vector) -> Vector:
        nonlocal shown_by_the_data
        shown_by_the_data = place
        return place

    def from_other_frequencies() -> Iterator[Vector]:
        nonlocal looked_from
        for _ in range(ROUNDS if facts is not None and facts.phases else 0):
            before = lowest.run
            if before is looked_from:
                return
            looked_from = before
            for _, place in at_other_frequencies(objective, facts.phases, before.x, task.start):
                yield shown(place)
                if lowest.run is not before:
                    break

    exchanges = None
    try:
        if starts is None and is_poor_fit(objective, best.run.x):
            exchanges = Exchanges(
                objective,
                task.start,
                best.run,
                lambda place, steps, _: walked(objective, place, steps),
                lambda: not objective.is_spent,
                max(TIMES_WALKED * (best.evaluations - task.looked), LEAST_EXCHANGED),
                seed,
                facts.locations if facts is not None else NOWHERE,
            )
            exchanges.lower()
        elsewhere = around(objective, task.start, best.run.x, starts, seed)
        places = chain(from_other_frequencies(), elsewhere, from_other_frequencies())
        if exchanges is not None and exchanges.best is not best.run:
            places = chain([shown(exchanges.best.x)], places)
        if residuals.rho is not None:
            gentle = replace(residuals, rho=LOSSES[GENTLE]).objective(task.bounds, beside=objective)
            places = chain([walked(gentle, task.start).x], places)
        for start in places:
            run = walked(objective, start)
            tried += 1
            if (
                not run.value < lowest.run.value - 1e-9 * abs(lowest.run.value)
                and lowest.judgement.verdict.is_minimum
            ):
                continue
            run, judgement = walk_and_judge(
                objective, run.x, names, plan, structure=facts, seed=seed, began=began
            )
            better = run.value < lowest.run.value * (1 - 1e-9) or (
                judgement.verdict.is_minimum
                and not lowest.judgement.verdict.is_minimum
                and run.value <= lowest.run.value * (1 + 1e-9)
            )
            if better:
                lowest = replace(lowest, run=run, judgement=judgement, start=start, start_from="multi-start")
            if run.stop is StopReason.STOPPED:
                raise KeyboardInterrupt
            if (
                starts is None
                and start is shown_by_the_data
                and suspicion_of(residuals, run, judgement, task.bounds, noise) is None
            ):
                break
    except BudgetSpent as what:
        stop, cut_short = StopReason.OUT_OF_BUDGET, spent(str(what), objective)
    except KeyboardInterrupt:
        stop, cut_short = StopReason.STOPPED, INTERRUPTED
    if cut_short:
        seen = lowest_seen(objective, seen)
        if seen.value < lowest.run.value * (1 - 1e-9):
            run = replace(seen, stop=stop, reason=cut_short)
            lowest = replace(lowest, run=run, judgement=judged(objective, run, names, facts, seed)[1])
    if lowest is best:
        words = f"{doubt.words}; {tried} further starts led to nothing lower"
    else:
        outcome = "is lower" if lowest.run.value < best.run.value else "ended as low, in a minimum"
        words = (
            f"the walk from the first start ended at {best.run.value:.6g} ({doubt.words}); the best of {tried} further "
            f"starts {outcome}"
        )
    if cut_short == INTERRUPTED:
        words += "; the search was " + INTERRUPTED
        lowest = replace(lowest, run=replace(lowest.run, stop=StopReason.STOPPED, reason=INTERRUPTED))
    elif cut_short:
        words += f"; the search ended there: {cut_short}"
    return replace(lowest, evaluations=objective.evaluations, remarks=(words,))


def _restored(task: Task, z: Vector) -> Any:
    return task.parameters.restore(task.arrangement.full(z))
