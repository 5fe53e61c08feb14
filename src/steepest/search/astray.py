"""After a walk that was led astray: others from elsewhere, until one ends in a minimum as low."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ..bounds import Vector
from ..numerics import EPS
from ..solvers.driver import Run
from ..solvers.levenberg_marquardt import LevenbergMarquardt
from ..solvers.plan import Plan, Rung
from ..solvers.stopping import StopReason
from ..traced import evaluation
from ..verdict.words import Judgement, Verdict
from .elsewhere import starts_elsewhere
from .nearby import MOST_PARAMETERS
from .openings import OPENED_AGAIN, down_the_slope, hessian_at_start
from .sequels import LEAST_STEPS, WALK_STEPS, Sequels

# Words after which a walk from elsewhere may end in a minimum: they tell where this one was led, not what the cost is.
LED_ASTRAY = frozenset(
    {
        Verdict.INFIMUM_NOT_ATTAINED,
        Verdict.PLATEAU,
        Verdict.STOPPED,
        Verdict.OUT_OF_BUDGET,
        Verdict.NOT_FINITE,
    }
)

# Words that say nothing of the cost: what is lower is the better answer, whatever word it gets.
UNFINISHED = frozenset({Verdict.STOPPED, Verdict.OUT_OF_BUDGET, Verdict.NOT_FINITE})

# Rounding of the fall: a minimum that is higher than what the first walk came down to by no more is as low.
AS_LOW = 4.0 * EPS

# Seconds, as foreseen for values alone, that walks from elsewhere may take in any case: to run off takes few steps.
LONGER_MOMENT = 2e-2


def ran_off_where_a_minimum_may_be(sequels: Sequels) -> bool:
    """Whether the walk left its start and ended at no minimum, which says nothing of minima elsewhere.

    One that ended because it was as precise as the user asked for is no such walk.
    """
    run = sequels.run
    verdict = sequels.judgement.verdict
    if (run.steps == 0 and verdict is not Verdict.NOT_FINITE) or run.stop is StopReason.TOLERANCE:
        return False
    return verdict in LED_ASTRAY and sequels.may_walk_again()


def from_elsewhere(sequels: Sequels, allowance: int) -> None:
    """Walks from elsewhere, until one ends in a minimum as low as what the first came down to.

    Where none does, the lowest that was cut short is walked on, unless the user ended it.
    """
    sequels.ran_off = sequels.judgement.verdict
    _walk_from_elsewhere(sequels, allowance)
    if sequels.cut is None or sequels.lower or sequels.astray is not None:
        return
    way, (words, place, onward) = sequels.way, sequels.cut
    rung = way.plan.rungs[0]
    for rung in _onward(way.plan):
        if way.told_to_stop is not None or way.is_spent or onward.stop is not StopReason.OUT_OF_BUDGET:
            break
        sequels.problem.objective.forget()
        farther = way.walk(rung, onward.x)
        farther.history.prepend(onward.history)
        onward = farther
    onward, judgement = way.settled(rung, onward)
    if sequels.seen is None or onward.value < sequels.seen[0]:
        sequels.seen = onward.value, onward.x
    if not (judgement.verdict.is_minimum or sequels.ran_off in UNFINISHED):
        return
    _take(sequels, words, place, onward, judgement)


def _walk_from_elsewhere(sequels: Sequels, allowance: int) -> None:
    problem, objective, way = sequels.problem, sequels.problem.objective, sequels.way
    first, rung = sequels.run, way.plan.rungs[0]
    rounding = AS_LOW * max(float(first.history.first[0]) - first.value, 0.0)
    # What is level and as low as the end of a tail may be another part of that tail.
    as_low, lower = first.value + rounding, first.value - rounding
    assert problem.trace is not None
    cost = evaluation(problem.trace, "value").foreseen
    if objective.n > MOST_PARAMETERS:
        # Each step may take long: no more of them than the first walk took.
        steps = min(max(first.steps, LEAST_STEPS), WALK_STEPS)
    else:
        steps = WALK_STEPS
        allowance = max(allowance, int(LONGER_MOMENT / cost.at_best))
    # A Jacobian may take as long as a value for each parameter: no more of them than the walks before took, either,
    # whose Hessians took no less.
    before, made = objective.evaluations, objective.counts.jacobians
    jacobians = max(made + objective.counts.hessians, allowance // objective.n, 1)
    if isinstance(rung.solver, LevenbergMarquardt):  # there is none to hand over to until its steps are taken
        rung = replace(rung, solver=replace(rung.solver, hands_over=False))
    for words, place in _starts_elsewhere(sequels):
        if objective.evaluations - before >= allowance or objective.counts.jacobians - made >= jacobians:
            return
        objective.forget()
        sequels.walks += 1
        onward = way.walk(replace(rung, max_steps=steps), place)
        was_cut = _noted(sequels, words, place, onward, lower)
        if onward.stop is StopReason.STOPPED or way.is_spent:
            return
        if was_cut:
            continue
        onward, judgement = way.settled(rung, onward)
        if way.is_spent:
            _noted(sequels, words, place, onward, lower)
        if way.told_to_stop is not None and not judgement.verdict.is_minimum:
            return
        if judgement.verdict is Verdict.UNBOUNDED_BELOW:
            sequels.astray = judgement.verdict
            sequels.seen = onward.value, onward.x
            if onward.value < first.value:
                _take(sequels, words, place, onward, judgement)
            elif sequels.judgement.verdict in UNFINISHED:
                word, next_step = judgement.verdict, judgement.next_step
                told = sequels.judgement
                sequels.judgement = replace(
                    told, verdict=word, sentence="Unbounded below.", next_step=next_step
                )
            return
        if not judgement.verdict.is_minimum:
            if way.is_spent:
                return
            continue
        if judgement.verdict is Verdict.FLAT_MINIMUM and lower <= onward.value <= as_low:
            continue
        if sequels.met is None or onward.value < sequels.met[2].value:
            sequels.met = words, place, onward
        if onward.value <= as_low:
            _take(sequels, words, place, onward, judgement)
            return


def _noted(sequels: Sequels, words: str, place: Vector, onward: Run, lower: float) -> bool:
    """Keep the walk `onward` if it is the lowest so far, and below `lower`; whether it was cut short."""
    was_cut = onward.stop in (StopReason.STOPPED, StopReason.OUT_OF_BUDGET)
    if onward.value < lower and (sequels.seen is None or onward.value < sequels.seen[0]):
        sequels.seen = onward.value, onward.x
    if was_cut and onward.value < lower and (sequels.cut is None or onward.value < sequels.cut[2].value):
        sequels.cut = words, place, onward
    return was_cut


def _take(sequels: Sequels, words: str, place: Vector, onward: Run, judgement: Judgement) -> None:
    """Come back with the walk `onward` from `place` (n,), in `words`, instead of the first."""
    onward.history.prepend(sequels.run.history)
    sequels.met = words, place, onward
    sequels.run, sequels.judgement = onward, judgement
    sequels.lower += 1


def _starts_elsewhere(sequels: Sequels) -> Iterator[tuple[str, Vector]]:
    """Where another walk may begin, and in words: a step down the slope from the start, and farther off."""
    objective, start = sequels.problem.objective, sequels.problem.start
    opened_again = objective.n >= OPENED_AGAIN and sequels.by_curvature is not None
    H = hessian_at_start(sequels) if opened_again else None
    place = None if H is None else down_the_slope(objective, start, H)
    if place is not None:
        yield "a step down the slope", place
    overflowed = sequels.ran_off is Verdict.NOT_FINITE
    yield from starts_elsewhere(objective, start, sequels.way.seed, overflowed=overflowed)


def _onward(plan: Plan) -> tuple[Rung, ...]:
    """What goes on from where a walk was cut short: the first rung, and of few residuals those that follow it.

    Along a valley Levenberg-Marquardt is not through with, the others come farther.
    """
    rungs = plan.rungs
    if not isinstance(rungs[0].solver, LevenbergMarquardt):
        return rungs[:1]
    return tuple(rung for rung in rungs if not rung.afresh and rung.begins is None and rung.fits is None)
