"""Restarts: near a minimum that nothing shows to be the lowest, and elsewhere where the first walk ran off to none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeGuard

import numpy as np

from ..bounds import Vector
from ..linear_algebra.box_pairs import lower_by_pairs
from ..linear_algebra.curvature import newton_step
from ..linear_algebra.elimination import work_to_factorise
from ..numerics import EPS
from ..objective import BudgetSpent, Objective
from ..problem import Problem
from ..recording import Recording
from ..solvers.driver import Run
from ..solvers.lbfgs import LBFGS
from ..solvers.levenberg_marquardt import LevenbergMarquardt
from ..solvers.linear_residuals import met_by_linear_residuals
from ..solvers.newton import Newton
from ..solvers.plan import Plan, Rung
from ..solvers.situation import HESSIAN_PARAMETERS, Situation
from ..solvers.stopping import INTERRUPTED, StopReason, in_spite_of_ctrl_c
from ..traced import evaluation
from ..verdict.wording import SHOWN, written
from ..verdict.words import Evidence, Judgement, Verdict
from .descent import Descent, is_better, part_left, structure_of
from .elsewhere import starts_elsewhere
from .exchange import Exchanges, follow_a_curve, is_poor_fit
from .hops import PAYS, Hops
from .nearby import LOWER, MOST_PARAMETERS, PLACES_EACH, VALUES_EACH, look_around, moves_together

# A cost that came this near the lowest number it can be, in parts of where it began, needs no second valley.
RESOLVED = 1e-12

# Looks around, each from a lower minimum than the one before; and the steps of a walk that has not come lower yet.
ROUNDS, WALK_STEPS = 10, 200

# Steps by slopes alone before curvature is followed again. On Broyden functions of power 7/3, 300 to 5,000 parameters,
# twenty end 2 to 7 % higher.
OPENING_STEPS = 40

# Steps that another walk may take in any case, however few the first one took.
LEAST_STEPS = 20

# With fewer parameters, looking around finds what another opening would.
OPENED_AGAIN = 13

# Multiplications of all the factorisations of a second walk: more take seconds.
MOST_WORK = 3e9

# A walk that has come this near to the minimum known already, in parts of the parameters' size and of the fall to it,
# ends there too. Larger, and one into a narrow valley beside it would be given up.
SAME_PLACE, SAME_COST = 1e-4, 1e-6

# Rounds of parts moved alone begin for so many seconds, as foreseen, or so many times what the walks before were worth.
A_WHILE, TIMES_WORTH = 1.0, 2

# Seconds, as foreseen, that looking around may take in any case, however short the walk was.
MOMENT = 5e-3

# Where the residuals of a fit follow a curve, exchanges of its parts take so many times the evaluations of the walks
# before, or in any case so many seconds, as foreseen.
TIMES_WALKED, WHILE_EXCHANGED = 2, 0.1

# What is said of a minimum that leaves a curve even so.
FOLLOW_A_CURVE = (
    "The residuals, in their order, follow a curve: if the model should explain the data, start nearer, at values read "
    "off a plot of them, or look farther (starts=20)."
)

# Words after which a walk from elsewhere may end in a minimum: they tell where this one was led, not what the cost is.
LED_ASTRAY = frozenset(
    {Verdict.INFIMUM_NOT_ATTAINED, Verdict.PLATEAU, Verdict.STOPPED, Verdict.OUT_OF_BUDGET}
)

# Words that say nothing of the cost: what is lower is the better answer, whatever word it gets.
UNFINISHED = frozenset({Verdict.STOPPED, Verdict.OUT_OF_BUDGET})

# Rounding of the fall: a minimum that is higher than what the first walk came down to by no more is as low.
AS_LOW = 4.0 * EPS

# Seconds, as foreseen for values alone, that walks from elsewhere may take in any case: to run off takes few steps.
LONGER_MOMENT = 2e-2


class WithRestarts:
    """One way down, and more from near its end; looks to `minimize` like a single way down.

    Few parameters: each is moved alone to where another valley may be (`nearby`), which costs as many values again as
    the walk did at most, and a walk begins from what is lower, or from behind a ridge. Many, of which few meet in a
    term: a walk begins where the linear residuals alone would have them, if that is lower; parts are moved alone, all
    at once (`hops`); where none is lower elsewhere, the walk by curvature is made again after an opening by slopes.
    A quadratic between bounds that bends down: pairs of parameters are moved to where both are lower (`box_pairs`).
    Last, all are moved together, to zero and to the other side of it.
    What is found counts only if it is a lower minimum; the rest is told.
    A fit whose residuals follow a curve: parts of its model are taken out and put back where most is left (`exchange`);
    where that leads lower, it counts, be it a minimum or not.
    Where the way down ran off to no minimum, walks begin elsewhere (`elsewhere`); a minimum as low is then the answer.
    `among`: the way is the lowest of several from as many starts.
    """

    def __init__(self, way: Descent, *, among: bool = False) -> None:
        self.way, self.among = way, among
        self.looked = self.walks = self.lower = 0
        # Moves of parts alone that led to a minimum that was kept.
        self.hopped = 0
        # From where all parameters together led to the minimum that was kept, in words.
        self.across: str | None = None
        # Whether a fit has parts that may be exchanged, with or without gain.
        self.has_parts = False
        # What the first walk ran off with, and a minimum met elsewhere: where its walk began, in words and as a place
        # (n,), and its end.
        self.ran_off: Verdict | None = None
        self.met: tuple[str, Vector, Run] | None = None
        # The lowest walk from elsewhere that was cut short below the first: where it began, and its end.
        self.cut: tuple[str, Vector, Run] | None = None
        self.astray: Verdict | None = None
        # Whether the last walk was broken off on its way back to the minimum known already.
        self.came_home = False
        # The lowest cost met in a walk that was not kept, and where.
        self.seen: tuple[float, Vector] | None = None
        # The minima left for lower ones, in that order.
        self.left: list[tuple[Run, Judgement]] = []

    @property
    def problem(self) -> Problem:
        """That of the way, which may have begun beside the start that was given."""
        return self.way.problem

    @property
    def taken(self) -> list[str]:
        """Names of the solvers that led to the end."""
        return self.way.taken

    @property
    def judging(self) -> float:
        """Seconds spent on verdicts."""
        return self.way.judging

    def down(self) -> tuple[Run, Judgement]:
        """The lowest minimum that was met, with what was tried in its evidence."""
        run, judgement = self.way.down(anywhere=True)
        return self.onward(run, judgement, self.problem.objective.evaluations)

    def onward(self, run: Run, judgement: Judgement, allowance: int) -> tuple[Run, Judgement]:
        """The same from the end of a `run` down the way, as it was judged; `allowance`: evaluations to look around."""
        self.run, self.judgement = run, judgement
        objective, before = self.problem.objective, run.value
        exchanged = None
        try:
            exchanged = self._by_exchanges(TIMES_WALKED * allowance) if self._is_a_poor_fit() else None
            if self._is_lower(exchanged) and not self._leaves_a_curve(exchanged[0]):
                self._take(exchanged)
                exchanged = None
            if self._are_worth_it():
                if objective.n <= MOST_PARAMETERS:
                    self._around(allowance)
                else:
                    self._by_linear_residuals()
                if objective.n >= OPENED_AGAIN and not self._by_parts():
                    self._other_openings()
                self._by_pairs()
                self._across_zero()
            elif self.run is run and self._ran_off_where_a_minimum_may_be():
                self._from_elsewhere(allowance)
        except (BudgetSpent, KeyboardInterrupt) as what:
            if isinstance(what, KeyboardInterrupt):
                self.way.told_to_stop = INTERRUPTED
            # What was found so far stands; a lower place that nobody has walked from yet is told.
            lowest = self.run.value if self.seen is None else min(self.run.value, self.seen[0])
            if objective.best_x is not None and objective.best_value < lowest:
                self.seen = objective.best_value, np.asarray(objective.best_x)
        if self._is_lower(exchanged):
            self._take(exchanged)
            told = self.judgement
        else:
            told = self._told(before)
        is_minimum = self.has_parts and told.verdict.is_minimum
        if is_minimum and in_spite_of_ctrl_c(lambda _: self._leaves_a_curve(self.run), self.run.x):
            told = replace(told, next_step=FOLLOW_A_CURVE)
        run = self.run if self.run.steps == self.way.steps else replace(self.run, steps=self.way.steps)
        if self.way.told_to_stop is not None:
            run = replace(run, stop=StopReason.STOPPED, reason=self.way.told_to_stop)
        return run, told

    def _are_worth_it(self) -> bool:
        """Whether a lower minimum may exist."""
        verdict = self.judgement.verdict
        if not verdict.is_minimum or verdict is Verdict.GLOBAL_MINIMUM or not self._may_walk_again():
            return False
        return part_left(self.problem, self.run) > RESOLVED

    def _may_walk_again(self) -> bool:
        """Whether the user's budget and the kind of cost leave another walk anything to find."""
        if self.run.stop is StopReason.STOPPED or self.way.is_spent:
            return False
        facts = structure_of(self.problem)
        if facts is None or self.problem.objective.derivatives != "exact":
            return False
        return not facts.convexity.is_convex

    def _is_a_poor_fit(self) -> bool:
        """Whether another walk may find what the residuals at the end of this one show to be missing."""
        run, verdict = self.run, self.judgement.verdict
        if run.steps == 0 or run.stop is StopReason.TOLERANCE or verdict is Verdict.GLOBAL_MINIMUM:
            return False
        if not self.problem.objective.least_squares or self._by_squares is None or not self._may_walk_again():
            return False
        return part_left(self.problem, run) > RESOLVED and is_poor_fit(self.problem.objective, run.x)

    @property
    def _by_squares(self) -> Rung | None:
        """The rung of the plan that follows the residuals."""
        return next(
            (rung for rung in self.way.plan.rungs if isinstance(rung.solver, LevenbergMarquardt)), None
        )

    def _by_exchanges(self, allowance: int) -> tuple[Run, Judgement] | None:
        """Where exchanges of parts of a fit lead, while what is left follows a curve; None where to nothing lower."""
        problem, way, first, rung = self.problem, self.way, self.run, self._by_squares
        assert problem.trace is not None and rung is not None
        cost = evaluation(problem.trace, "linearised").foreseen
        allowance = max(allowance, int(WHILE_EXCHANGED / min(cost.interpreted, cost.compiled)))

        def walk(place: Vector, steps: int, lowest: Run) -> Run:
            homing = Homing(lowest, problem, way.recording)
            return self._watched(replace(rung, max_steps=steps), place, homing)

        exchanges = Exchanges(
            problem.objective, problem.start, first, walk, lambda: not way.is_spent, allowance, way.seed
        )
        try:
            exchanges.lower()
        except KeyboardInterrupt:
            way.told_to_stop = INTERRUPTED
        except BudgetSpent:  # what was found so far stands
            pass
        how = f"{exchanges.tried} evaluations to find places, {exchanges.walks} walks"
        self.has_parts = exchanges.has_parts
        if exchanges.best is first:
            if exchanges.rounds:
                evidence = Evidence("parts of the model moved", 0.0, None, True, f"{how}; none lower")
                self.judgement = self.judgement.told(evidence, self.judgement.sentence)
            return None
        lowest = exchanges.best
        if way.told_to_stop is not None:
            lowest = replace(lowest, stop=StopReason.STOPPED, reason=way.told_to_stop)
        run, judgement = self._arrived(lowest, rung)
        how += f"; they came down from {first.value:.6g} to {run.value:.6g}"
        sentence = (
            f"{judgement.sentence} The walk from the start ended at {first.value:.6g}, where the residuals follow a "
            "curve; parts of the model moved to where most was left led here. starts=1 walks from the start alone."
        )
        evidence = Evidence("parts of the model moved", float(exchanges.moved), None, True, how)
        return run, judgement.told(evidence, sentence)

    def _arrived(self, run: Run, rung: Rung) -> tuple[Run, Judgement]:
        """The end of a walk, judged; if it was broken off it is taken on, by the residuals' slopes and by curvature.

        Where the walk from the start ended in a minimum, so is an end that is none, by all that may go on from there:
        a lower minimum is the better answer, and where there is none the success is lost.
        """
        way = self.way
        for onward_by in (rung, self._by_curvature):
            if onward_by is None or run.stop is not StopReason.OUT_OF_BUDGET or way.is_spent:
                break
            run, rung = self._taken_on(run, onward_by), onward_by
        run, judgement = way.settled(rung, run)
        if not self.judgement.verdict.is_minimum:
            return run, judgement
        for rung in way.plan.rungs:
            runs_off = judgement.verdict is Verdict.INFIMUM_NOT_ATTAINED
            if runs_off or not way.is_unfinished(run, judgement):
                break
            if rung.begins is not None or rung.fits is not None:
                continue
            farther, found = way.settled(rung, self._taken_on(run, rung))
            if is_better(farther, found, run, judgement):
                run, judgement = farther, found
        return run, judgement

    def _taken_on(self, run: Run, by: Rung) -> Run:
        """A walk from the end of another, with the history of both."""
        self.problem.objective.forget()
        farther = self.way.walk(replace(by, max_steps=WALK_STEPS), run.x)
        farther.history.prepend(run.history)
        return farther

    def _leaves_a_curve(self, run: Run) -> bool:
        return follow_a_curve(self.problem.objective.afresh().linearised(run.x).residual)

    def _is_lower(self, end: tuple[Run, Judgement] | None) -> TypeGuard[tuple[Run, Judgement]]:
        """Whether there is an `end` of exchanges that is lower: it is then the answer, whatever word it gets."""
        return end is not None and end[0].value < self.run.value - LOWER * abs(self.run.value)

    def _take(self, end: tuple[Run, Judgement]) -> None:
        self.left.append((self.run, self.judgement))
        self.run, self.judgement = end

    def _ran_off_where_a_minimum_may_be(self) -> bool:
        """Whether the walk left its start and ended at no minimum, which says nothing of minima elsewhere.

        One that ended because it was as precise as the user asked for is no such walk.
        """
        run = self.run
        if run.steps == 0 or run.stop is StopReason.TOLERANCE:
            return False
        return self.judgement.verdict in LED_ASTRAY and self._may_walk_again()

    def _from_elsewhere(self, allowance: int) -> None:
        """Walks from elsewhere, until one ends in a minimum as low as what the first came down to.

        Where none does, the lowest that was cut short is walked on, unless the user ended it.
        """
        self.ran_off = self.judgement.verdict
        self._walk_from_elsewhere(allowance)
        if self.cut is None or self.lower or self.astray is not None:
            return
        way, (words, place, onward) = self.way, self.cut
        rung, first = way.plan.rungs[0], self.run
        for rung in _onward(way.plan):
            if way.told_to_stop is not None or way.is_spent or onward.stop is not StopReason.OUT_OF_BUDGET:
                break
            self.problem.objective.forget()
            farther = way.walk(rung, onward.x)
            farther.history.prepend(onward.history)
            onward = farther
        onward, judgement = way.settled(rung, onward)
        if self.seen is None or onward.value < self.seen[0]:
            self.seen = onward.value, onward.x
        if not (judgement.verdict.is_minimum or self.ran_off in UNFINISHED):
            return
        onward.history.prepend(first.history)
        self.met = words, place, onward
        self.run, self.judgement = onward, judgement
        self.lower += 1

    def _walk_from_elsewhere(self, allowance: int) -> None:
        problem, objective, way = self.problem, self.problem.objective, self.way
        first, rung = self.run, way.plan.rungs[0]
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
            allowance = max(allowance, int(LONGER_MOMENT / min(cost.interpreted, cost.compiled)))
        # A Jacobian may take as long as a value for each parameter: no more of them than the walks before took, either,
        # whose Hessians took no less.
        before, made = objective.evaluations, objective.counts.jacobians
        jacobians = max(made + objective.counts.hessians, allowance // objective.n, 1)
        if isinstance(
            rung.solver, LevenbergMarquardt
        ):  # there is none to hand over to until its steps are taken
            rung = replace(rung, solver=replace(rung.solver, hands_over=False))
        for words, place in self._starts_elsewhere():
            if objective.evaluations - before >= allowance or objective.counts.jacobians - made >= jacobians:
                return
            objective.forget()
            self.walks += 1
            onward = way.walk(replace(rung, max_steps=steps), place)
            if onward.value < lower and (self.seen is None or onward.value < self.seen[0]):
                self.seen = onward.value, onward.x
            was_cut = onward.stop in (StopReason.STOPPED, StopReason.OUT_OF_BUDGET)
            if was_cut and onward.value < lower and (self.cut is None or onward.value < self.cut[2].value):
                self.cut = words, place, onward
            if onward.stop is StopReason.STOPPED or way.is_spent:
                return
            if was_cut:
                continue
            onward, judgement = way.settled(rung, onward)
            if way.told_to_stop is not None and not judgement.verdict.is_minimum:
                return
            if judgement.verdict is Verdict.UNBOUNDED_BELOW:
                self.astray = judgement.verdict
                self.seen = onward.value, onward.x
                return
            if not judgement.verdict.is_minimum:
                continue
            if judgement.verdict is Verdict.FLAT_MINIMUM and lower <= onward.value <= as_low:
                continue
            if self.met is None or onward.value < self.met[2].value:
                self.met = words, place, onward
            if onward.value <= as_low:
                onward.history.prepend(first.history)
                self.run, self.judgement = onward, judgement
                self.lower += 1
                return

    def _starts_elsewhere(self) -> Iterator[tuple[str, Vector]]:
        """Where another walk may begin, and in words: a step down the slope from the start, and farther off."""
        objective, start = self.problem.objective, self.problem.start
        H = (
            self._hessian_at_start()
            if objective.n >= OPENED_AGAIN and self._by_curvature is not None
            else None
        )
        place = None if H is None else down_the_slope(objective, start, H)
        if place is not None:
            yield "a step down the slope", place
        yield from starts_elsewhere(objective, start, self.way.seed)

    def _around(self, allowance: int) -> None:
        """Single parameters moved, round after round while that leads lower."""
        problem = self.problem
        begun, start = self.run.history.first[0], problem.start
        size = np.maximum(np.abs(self.run.x), np.abs(self.run.x - start))
        assert problem.trace is not None
        cost = evaluation(problem.trace, "value").foreseen
        each = VALUES_EACH + (PLACES_EACH if moves_together(problem.objective) else 0)
        if each * start.size * min(cost.interpreted, cost.compiled) <= MOMENT:
            allowance = max(allowance, each * start.size)
        for _ in range(ROUNDS):
            found = look_around(
                problem.objective,
                self.run.x,
                self.run.value,
                start=start,
                size=size,
                gained=max(begun - self.run.value, 0.0),
                periods=structure_of(problem).periods,
                allowance=allowance,
                seed=self.way.seed,
            )
            self.looked += found.tried
            if found.value < self.run.value and (self.seen is None or found.value < self.seen[0]):
                self.seen = found.value, found.x
            places = (found.x,) if found.value < self.run.value else found.behind[:1]
            if not any(self._leads_lower(place, WALK_STEPS) for place in places):
                return
            if self.run.stop is StopReason.STOPPED:
                return

    def _by_linear_residuals(self) -> None:
        """From where the linear residuals alone would have the parameters, if that is lower."""
        objective, run = self.problem.objective, self.run
        situation = Situation(objective, lambda: structure_of(self.problem))
        if not (situation.is_bearable and objective.least_squares and situation.is_partly_linear):
            return
        place = met_by_linear_residuals(objective, run.x)
        if place is not None and objective.value(place) < run.value - LOWER * abs(run.value):
            self._leads_lower(place, max(run.steps, LEAST_STEPS))

    def _other_openings(self) -> None:
        """From the start again, first by slopes: where they lead differs from where curvature leads.

        One step down the slope is enough to tell. Where curvature comes home from there, or leads no lower and the cost
        bends upwards at the start, there is no sign of another valley; else more steps by slopes choose one.
        """
        objective, start = self.problem.objective, self.problem.start
        rung = self._by_curvature
        H = None if rung is None or not self._are_worth_it() else self._hessian_at_start()
        if rung is None or H is None:
            return
        if isinstance(H, np.ndarray):
            bends_down = newton_step(np.zeros(start.size), H) is None
        else:
            bends_down = objective.analysed(H).factorise(H.data, 0.0, None) is None
        if not bends_down and structure_of(self.problem).degree <= 2:
            return
        place = down_the_slope(objective, start, H)
        if place is not None:
            led_lower = self._leads_lower(place, max(self.run.steps, LEAST_STEPS), by=rung)
            if self.came_home or not (led_lower or bends_down) or not self._are_worth_it():
                return
        objective.forget()
        homing = Homing(self.run, self.problem, self.way.recording)
        opening = self._watched(Rung(LBFGS(), "", OPENING_STEPS), start, homing)
        if self.came_home or self.way.told_to_stop is not None:
            self.walks += 1
            return
        self._leads_lower(opening.x, max(self.run.steps, LEAST_STEPS), opening, by=rung)

    @property
    def _by_curvature(self) -> Rung | None:
        """The rung of the plan that follows second derivatives."""
        return next((rung for rung in self.way.plan.rungs if isinstance(rung.solver, Newton)), None)

    def _hessian_at_start(self) -> Any:
        """The Hessian (n, n) at the start, sparse where it is large; None where it takes more than a moment."""
        objective, start = self.problem.objective, self.problem.start
        if objective.n <= HESSIAN_PARAMETERS:
            return objective.hessian(start) if objective.has_hessian else None
        if not objective.has_sparse_hessian:
            return None
        H = objective.sparse_hessian(start)
        return H if max(self.run.steps, LEAST_STEPS) * objective.most_work(H) <= MOST_WORK else None

    def _by_pairs(self) -> None:
        """Of a quadratic between bounds, two parameters at a time moved to where both are lower, as long as any are."""
        objective = self.problem.objective
        bounds, facts = objective.bounds, structure_of(self.problem)
        if not bounds.any or facts is None or facts.degree > 2:
            return
        situation = Situation(objective, lambda: facts)
        whole = objective.has_hessian and (objective.n <= HESSIAN_PARAMETERS or situation.is_one_matrix)
        if not (situation.is_sparse or whole):
            return
        for _ in range(ROUNDS):
            run = self.run
            if not self._are_worth_it():
                return
            H = objective.sparse_hessian(run.x) if situation.is_sparse else objective.hessian(run.x)
            least = LOWER * abs(run.value)
            place = lower_by_pairs(H, run.gradient, run.x, bounds.lower, bounds.upper, least)
            if place is None or not self._leads_lower(place, max(run.steps, LEAST_STEPS)):
                return

    def _across_zero(self) -> None:
        """From zero, and from the start on its other side, where that is lower: a value each tells.

        Of 333 walks on problems of the literature that ended in what may not be the lowest minimum, 22 ended above the
        cost at zero, 16 of them of one family, and 5 above that of the mirrored start. Of the other places tried on
        the lines through the minimum, the start and zero hardly any were lower; walks from each of them even so took
        half as much again as all that was before, and led lower from one end in fifteen.
        """
        objective, start = self.problem.objective, self.problem.start
        if not start.any():
            return
        known = [start]
        for words, place in (("zero", np.zeros(start.size)), ("the start mirrored at zero", -start)):
            run = self.run
            if not self._are_worth_it():
                return
            inside = objective.bounds.project(place)
            if any(np.array_equal(inside, other) for other in known):
                continue
            known.append(inside)
            value = objective.value(inside)
            self.looked += 1
            is_lower = np.isfinite(value) and value < run.value - LOWER * abs(run.value)
            if is_lower and self._leads_lower(inside, max(run.steps, LEAST_STEPS)):
                is_there = np.array_equal(inside, place)
                self.across = words if is_there else f"the place nearest to {words} inside the bounds"

    def _by_parts(self) -> bool:
        """Of a sum of terms of few parameters each, parts moved alone, all at once, while that pays; whether it did.

        Each round looks around for no more than the walks before were worth, and where values are dear none begins
        after some times that. A quadratic has no ridge to look behind.
        """
        objective, first, facts = self.problem.objective, self.run, structure_of(self.problem)
        if not self._are_worth_it() or facts.degree <= 2 or objective.term_pattern is None:
            return False
        worth = self._worth_in_values()
        assert self.problem.trace is not None
        cost = evaluation(self.problem.trace, "value").foreseen
        most = worth + max(TIMES_WORTH * worth, int(A_WHILE / min(cost.interpreted, cost.compiled)))
        hops = Hops(
            objective, self.problem.start, first.x, max(float(first.history.first[0]) - first.value, 0.0)
        )
        try:
            for _ in range(ROUNDS):
                run = self.run
                there = hops.lower(run.x, worth)
                if not there.moved:
                    break
                by = self._curvature_in_a_moment(hops.pattern)
                if not self._leads_lower(there.x, max(first.steps, LEAST_STEPS), by=by):
                    break
                self.hopped += there.moved
                if run.value - self.run.value <= PAYS * (first.value - self.run.value):
                    break
                if not self._are_worth_it() or self._worth_in_values() > most:
                    break
        finally:
            self.looked += hops.tried
        return self.run is not first

    def _curvature_in_a_moment(self, pattern: Any) -> Rung | None:
        """The rung that follows second derivatives; None where factorising what they fill takes long.

        `pattern` (m, n), sparse: which terms depend on which parameters; only those of one term have a curvature.
        """
        rung = self._by_curvature
        if rung is None or self.problem.objective.n <= HESSIAN_PARAMETERS:
            return rung
        together = (pattern.T @ pattern).tocsc()
        work = work_to_factorise(together.indptr, together.indices)
        return rung if LEAST_STEPS * work <= MOST_WORK else None

    def _worth_in_values(self) -> int:
        """How many values what was evaluated so far is worth: a slope two, a product with second derivatives three."""
        objective = self.problem.objective
        counts, products = objective.counts, objective.n
        if counts.hessians and objective.has_sparse_hessian and self.problem.trace is not None:
            products = evaluation(self.problem.trace, "sparse_hessian").plan.products
        slopes = counts.gradients + counts.jacobians
        return counts.values + 2 * slopes + 3 * (counts.products + products * counts.hessians)

    def _leads_lower(
        self, place: Vector, steps: int, opening: Run | None = None, by: Rung | None = None
    ) -> bool:
        """Walk from `place` (n,), where an `opening` ended, `by` another rung or as before; keep a lower minimum.

        A walk that is no lower after `steps` is given up.
        """
        way, run = self.way, self.run
        may_come_home = by is not None or self.problem.objective.n > MOST_PARAMETERS
        homing = Homing(run, self.problem, way.recording) if may_come_home else None
        rung = by or next((r for r in way.plan.rungs if r.solver.name == run.solver), way.plan.rungs[0])
        self.walks += 1
        self.problem.objective.forget()
        onward = self._watched(replace(rung, max_steps=steps), place, homing)
        if not onward.value < run.value - LOWER * abs(run.value):
            return False
        if self.seen is None or onward.value < self.seen[0]:
            self.seen = onward.value, onward.x
        if way.is_spent and way.told_to_stop is None:
            return False
        legs = [run, opening] if opening is not None else [run]
        if onward.stop is StopReason.OUT_OF_BUDGET:
            legs.append(onward)
            onward = way.walk(rung, onward.x)
        for leg in reversed(legs):
            onward.history.prepend(leg.history)
        onward, judgement = way.settled(rung, onward)
        walled = None if judgement.verdict.is_minimum or way.is_spent else way.onto_walls(onward)
        if walled is not None:
            onward, judgement = way.along_walls(walled, onward.history)
        if not judgement.verdict.is_minimum:
            if judgement.verdict not in (Verdict.STOPPED, Verdict.OUT_OF_BUDGET):
                self.astray = judgement.verdict
            return False
        self.left.append((run, self.judgement))
        self.run, self.judgement = onward, judgement
        self.lower += 1
        if opening is not None:
            way.taken.append(opening.solver)
        if by is not None or walled is not None:
            way.taken.append(rung.solver.name if walled is None else way.along_walls_by)
        return True

    def _watched(self, rung: Rung, place: Vector, homing: Homing | None) -> Run:
        """A walk from `place` (n,) that ends where it comes home, which is no word of the user's to stop."""
        onward = self.way.walk(rung, place, homing)
        self.came_home = homing is not None and homing.is_back
        if onward.stop is StopReason.STOPPED and not self.came_home:
            self.way.told_to_stop = onward.reason
        return onward

    def _told(self, before: float) -> Judgement:
        """The judgement with what the restarts found."""
        if not self.looked and not self.walks and self.seen is None:
            return self.judgement
        if self.ran_off is not None:
            return self._told_of_elsewhere(before)
        how = f"{self.looked} places looked at, {self.walks} walks"
        if not self.looked and not self.walks:
            how = "broken off at the first look around"
        sentence = self.judgement.sentence
        if self.hopped:
            how += f"; moves of parts alone: {self.hopped:,}"
        if self.lower:
            how += f"; they came down from {before:.6g} to {self.run.value:.6g}"
            which, rest = ("lowest", "") if self.among else ("first", "; starts=1 stays in its valley")
            sentence += f" The {which} walk ended in a higher minimum ({before:.6g}), and "
            sentence += "restarts near it" if self.across is None else f"one from {self.across}"
            if self.hopped and self.across is None:
                sentence += f", with parts of it moved alone ({self.hopped:,} moves),"
            sentence += f" led here{rest}."
        if self.astray is not None:
            how += f"; one went lower and ended in no minimum: {self.astray}"
            sentence += f" Another walk went lower and ended in no minimum: {self.astray}."
        elif not self.lower:
            how += "; none lower" if self.seen is None else "; one went lower and was cut short"
        if self.seen is not None and self.seen[0] < self.run.value:
            sentence += f" The lowest cost met there is {self.seen[0]!r}, at {self._written(self.seen[1])}."
        evidence = Evidence("restarts nearby", float(self.lower), None, True, how)
        return self.judgement.told(evidence, sentence)

    def _told_of_elsewhere(self, before: float) -> Judgement:
        """The judgement with what walks from elsewhere found after the first had run off."""
        sentence, next_step, how = self.judgement.sentence, self.judgement.next_step, f"walks: {self.walks}"
        if self.lower and self.met is not None:
            words, place, _ = self.met
            began = f"{words} ({self._written(place)})" if place.size <= SHOWN else words
            how += f"; the first walk ended at {before:.6g}: {self.ran_off}"
            sentence += (
                f" The walk from the start ended in no minimum ({before:.6g}, {self.ran_off}); one from {began} led "
                "here. starts=1 walks from the start alone."
            )
        elif self.astray is not None and self.seen is not None:
            how += f"; one ended at {self.seen[0]:.6g}: {self.astray}"
            lowest, place = self.seen
            sentence += f" A walk from elsewhere fell without limit: {lowest:.6g} at {self._written(place)}."
        elif self.seen is not None and self.seen[0] < self.run.value:
            how += "; one went lower and was not seen to end in a minimum"
            where = f"{self.seen[0]!r}, at {self._written(self.seen[1])}"
            sentence += f" The lowest cost met elsewhere is {where}; no minimum was seen there."
        elif self.met is not None:
            _, place, end = self.met
            how += "; one ended in a minimum, though a higher one"
            sentence += f" A minimum that is higher, {end.value:.6g}, lies at {self._written(end.x)}."
            next_step = f"Begin at {self._written(place)} for that minimum. {next_step or ''}".rstrip()
        else:
            how += "; none ended in a minimum"
        evidence = Evidence("walks from elsewhere", float(self.lower), None, bool(self.lower), how)
        found = (*self.judgement.evidence, evidence)
        return replace(self.judgement, evidence=found, sentence=sentence, next_step=next_step)

    def _written(self, x: Vector) -> str:
        return written(x, self.problem.names)


def _onward(plan: Plan) -> tuple[Rung, ...]:
    """What goes on from where a walk was cut short: the first rung, and of few residuals those that follow it.

    Along a valley Levenberg-Marquardt is not through with, the others come farther.
    """
    rungs = plan.rungs
    if not isinstance(rungs[0].solver, LevenbergMarquardt):
        return rungs[:1]
    return tuple(rung for rung in rungs if not rung.afresh and rung.begins is None and rung.fits is None)


def down_the_slope(objective: Objective, start: Vector, H: Any) -> Vector | None:
    """The lowest place of the quadratic along the slope at `start` (n,), inside the bounds; None if not lower there.

    `H` is the Hessian (n, n) at the start; where it bends down along the slope, it says nothing of how far to go.
    """
    bounds = objective.bounds
    value, gradient = objective.value_and_gradient(start)
    down = bounds.project(start - gradient) - start
    bend = float(down @ (H @ down))
    if not bend > 0.0:
        return None
    place = bounds.project(start - float(gradient @ down) / bend * down)
    return place if objective.value(place) < value else None


class Homing:
    """A watch over a walk that ends it where it comes back to a minimum known already; `is_back`: whether it has.

    What is left is the end of a walk that is not kept. `run`: the walk to that minimum; `recording`: sees every
    iterate too, and may end the walk.
    """

    def __init__(self, run: Run, problem: Problem, recording: Recording | None) -> None:
        size = np.maximum(np.abs(run.x), np.abs(run.x - problem.start))
        self.place, self.value, self.recording = run.x, run.value, recording
        self.apart = SAME_PLACE * np.where(size > 0.0, size, 1.0)
        self.above = SAME_COST * max(float(run.history.first[0]) - run.value, 0.0)
        self.is_back = False

    def __call__(self, x: Vector, value: float, slope: float, step_length: float, evaluations: int) -> bool:
        """Whether the walk ends at `x` (n,)."""
        asked = self.recording is not None and self.recording(x, value, slope, step_length, evaluations)
        if self.value <= value <= self.value + self.above:
            self.is_back = bool((np.abs(x - self.place) <= self.apart).all())
        return asked or self.is_back
