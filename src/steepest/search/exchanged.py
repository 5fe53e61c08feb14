"""A fit whose residuals follow a curve, walked on from where parts of its model are exchanged."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeGuard

from ..bounds import Vector
from ..budget import BudgetSpent
from ..solvers.driver import Run
from ..solvers.levenberg_marquardt import LevenbergMarquardt
from ..solvers.plan import Rung
from ..solvers.stopping import INTERRUPTED, StopReason
from ..traced import evaluation
from ..verdict.words import Evidence, Judgement, Verdict
from .descent import is_better, part_left, structure_of
from .exchange import Exchanges, follow_a_curve, is_poor_fit
from .homing import Homing
from .nearby import LOWER
from .sequels import RESOLVED, WALK_STEPS, Sequels

# Where the residuals of a fit follow a curve, exchanges of its parts take so many times the evaluations of the walks
# before, or in any case so many seconds, as foreseen.
TIMES_WALKED, WHILE_EXCHANGED = 2, 0.1


def is_worth_exchanges(sequels: Sequels) -> bool:
    """Whether another walk may find what the residuals at the end of this one show to be missing."""
    run, verdict = sequels.run, sequels.judgement.verdict
    if run.steps == 0 or run.stop is StopReason.TOLERANCE or verdict is Verdict.GLOBAL_MINIMUM:
        return False
    objective = sequels.problem.objective
    if not objective.least_squares or _by_squares(sequels) is None or not sequels.may_walk_again():
        return False
    return part_left(sequels.problem, run) > RESOLVED and is_poor_fit(objective, run.x)


def _by_squares(sequels: Sequels) -> Rung | None:
    """The rung of the plan that follows the residuals."""
    return next(
        (rung for rung in sequels.way.plan.rungs if isinstance(rung.solver, LevenbergMarquardt)), None
    )


def by_exchanges(sequels: Sequels, allowance: int) -> tuple[Run, Judgement] | None:
    """Where exchanges of parts of a fit lead, while what is left follows a curve; None where to nothing lower.

    `allowance`: evaluations that the walks before took.
    """
    problem, way, first, rung = sequels.problem, sequels.way, sequels.run, _by_squares(sequels)
    assert problem.trace is not None and rung is not None
    cost = evaluation(problem.trace, "linearised").foreseen
    allowance = max(TIMES_WALKED * allowance, int(WHILE_EXCHANGED / cost.at_best))

    def walk(place: Vector, steps: int, lowest: Run) -> Run:
        homing = Homing(lowest, problem, way.recording)
        return sequels.watched(replace(rung, max_steps=steps), place, homing)

    exchanges = Exchanges(
        problem.objective,
        problem.start,
        first,
        walk,
        lambda: not way.is_spent,
        allowance,
        way.seed,
        structure_of(problem).locations,
    )
    try:
        exchanges.lower()
    except KeyboardInterrupt:
        way.told_to_stop = INTERRUPTED
    except BudgetSpent:  # what was found so far stands
        pass
    how = f"{exchanges.tried} evaluations to find places, {exchanges.walks} walks"
    sequels.has_parts = exchanges.has_parts
    if exchanges.best is first:
        if exchanges.rounds:
            evidence = Evidence("parts of the model moved", 0.0, None, True, f"{how}; none lower")
            sequels.judgement = sequels.judgement.told(evidence, sequels.judgement.sentence)
        return None
    lowest = exchanges.best
    if way.told_to_stop is not None:
        lowest = replace(lowest, stop=StopReason.STOPPED, reason=way.told_to_stop)
    run, judgement = _arrived(sequels, lowest, rung)
    how += f"; they came down from {first.value:.6g} to {run.value:.6g}"
    sentence = (
        f"{judgement.sentence} The walk from the start ended at {first.value:.6g}, where the residuals follow a "
        "curve; parts of the model moved to where most was left led here. starts=1 walks from the start alone."
    )
    evidence = Evidence("parts of the model moved", float(exchanges.moved), None, True, how)
    return run, judgement.told(evidence, sentence)


def _arrived(sequels: Sequels, run: Run, rung: Rung) -> tuple[Run, Judgement]:
    """The end of a walk, judged; if it was broken off it is taken on, by the residuals' slopes and by curvature.

    Where the walk from the start ended in a minimum, so is an end that is none, by all that may go on from there:
    a lower minimum is the better answer, and where there is none the success is lost.
    """
    way = sequels.way
    for onward_by in (rung, sequels.by_curvature):
        if onward_by is None or run.stop is not StopReason.OUT_OF_BUDGET or way.is_spent:
            break
        run, rung = _taken_on(sequels, run, onward_by), onward_by
    run, judgement = way.settled(rung, run)
    if not sequels.judgement.verdict.is_minimum:
        return run, judgement
    for rung in way.plan.rungs:
        runs_off = judgement.verdict is Verdict.INFIMUM_NOT_ATTAINED
        if runs_off or not way.is_unfinished(run, judgement):
            break
        if rung.begins is not None or rung.fits is not None:
            continue
        farther, found = way.settled(rung, _taken_on(sequels, run, rung))
        if is_better(farther, found, run, judgement):
            run, judgement = farther, found
    return run, judgement


def _taken_on(sequels: Sequels, run: Run, by: Rung) -> Run:
    """A walk from the end of another, with the history of both."""
    sequels.problem.objective.forget()
    farther = sequels.way.walk(replace(by, max_steps=WALK_STEPS), run.x)
    farther.history.prepend(run.history)
    return farther


def leaves_a_curve(sequels: Sequels, run: Run) -> bool:
    """Whether the residuals at the end of a run follow a curve."""
    return follow_a_curve(sequels.problem.objective.afresh().linearised(run.x).residual)


def is_lower(end: tuple[Run, Judgement] | None, run: Run) -> TypeGuard[tuple[Run, Judgement]]:
    """Whether there is an `end` of exchanges that is lower: it is then the answer, whatever word it gets."""
    return end is not None and end[0].value < run.value - LOWER * abs(run.value)
