"""Restarts: near a minimum that nothing shows to be the lowest, and elsewhere where the first walk ran off to none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..budget import BudgetSpent
from ..linear_algebra.elimination import work_to_factorise
from ..solvers.driver import Run
from ..solvers.plan import Rung
from ..solvers.situation import HESSIAN_PARAMETERS
from ..solvers.stopping import INTERRUPTED, StopReason, in_spite_of_ctrl_c
from ..traced import evaluation
from ..verdict.words import Judgement
from .astray import from_elsewhere, ran_off_where_a_minimum_may_be
from .descent import structure_of
from .exchanged import by_exchanges, is_lower, is_worth_exchanges, leaves_a_curve
from .frequencies import by_frequencies
from .hops import PAYS, Hops
from .nearby import MOST_PARAMETERS, PLACES_EACH, VALUES_EACH, look_around, moves_together
from .openings import OPENED_AGAIN, across_zero, by_linear_residuals, by_pairs, other_openings
from .restarts_told import told
from .sequels import LEAST_STEPS, MOST_WORK, ROUNDS, WALK_STEPS, Sequels

# Rounds of parts moved alone begin for so many seconds, as foreseen, or so many times what the walks before were worth.
A_WHILE, TIMES_WORTH = 1.0, 2

# Seconds, as foreseen, that looking around may take in any case, however short the walk was.
MOMENT = 5e-3

# What is said of a minimum that leaves a curve even so.
FOLLOW_A_CURVE = (
    "The residuals, in their order, follow a curve: if the model should explain the data, start nearer, at values read "
    "off a plot of them, or look farther (starts=20)."
)


class WithRestarts(Sequels):
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
    """

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
            by_frequencies(self)
            exchanged = by_exchanges(self, allowance) if is_worth_exchanges(self) else None
            if is_lower(exchanged, self.run) and not leaves_a_curve(self, exchanged[0]):
                self.take(exchanged)
                exchanged = None
            if self.are_worth_it():
                if objective.n <= MOST_PARAMETERS:
                    self._around(allowance)
                else:
                    by_linear_residuals(self)
                if objective.n >= OPENED_AGAIN and not self._by_parts():
                    other_openings(self)
                by_pairs(self)
                across_zero(self)
            elif self.run is run and ran_off_where_a_minimum_may_be(self):
                from_elsewhere(self, allowance)
        except (BudgetSpent, KeyboardInterrupt) as what:
            if isinstance(what, KeyboardInterrupt):
                self.way.told_to_stop = INTERRUPTED
        if (
            self.way.is_spent
        ):  # what was found so far stands; a lower place that nobody has walked from yet is told
            self.note_the_lowest()
        if is_lower(exchanged, self.run):
            self.take(exchanged)
            judgement = self.judgement
        else:
            judgement = told(self, before)
        is_minimum = self.has_parts and judgement.verdict.is_minimum
        if is_minimum and in_spite_of_ctrl_c(lambda _: leaves_a_curve(self, self.run), self.run.x):
            judgement = replace(judgement, next_step=FOLLOW_A_CURVE)
        run = self.run if self.run.steps == self.way.steps else replace(self.run, steps=self.way.steps)
        if self.way.told_to_stop is not None:
            run = replace(run, stop=StopReason.STOPPED, reason=self.way.told_to_stop)
        return run, judgement

    def _around(self, allowance: int) -> None:
        """Single parameters moved, round after round while that leads lower."""
        problem = self.problem
        begun, start = self.run.history.first[0], problem.start
        size = np.maximum(np.abs(self.run.x), np.abs(self.run.x - start))
        assert problem.trace is not None
        cost = evaluation(problem.trace, "value").foreseen
        each = VALUES_EACH + (PLACES_EACH if moves_together(problem.objective) else 0)
        if each * start.size * cost.at_best <= MOMENT:
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
            if not any(self.leads_lower(place, WALK_STEPS) for place in places):
                return
            if self.run.stop is StopReason.STOPPED:
                return

    def _by_parts(self) -> bool:
        """Of a sum of terms of few parameters each, parts moved alone, all at once, while that pays; whether it did.

        Each round looks around for no more than the walks before were worth, and where values are dear none begins
        after some times that. A quadratic has no ridge to look behind.
        """
        objective, first, facts = self.problem.objective, self.run, structure_of(self.problem)
        if not self.are_worth_it() or facts.degree <= 2 or objective.term_pattern is None:
            return False
        worth = self._worth_in_values()
        assert self.problem.trace is not None
        cost = evaluation(self.problem.trace, "value").foreseen
        most = worth + max(TIMES_WORTH * worth, int(A_WHILE / cost.at_best))
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
                if not self.leads_lower(there.x, max(first.steps, LEAST_STEPS), by=by):
                    break
                self.hopped += there.moved
                if run.value - self.run.value <= PAYS * (first.value - self.run.value):
                    break
                if not self.are_worth_it() or self._worth_in_values() > most:
                    break
        finally:
            self.looked += hops.tried
        return self.run is not first

    def _curvature_in_a_moment(self, pattern: Any) -> Rung | None:
        """The rung that follows second derivatives; None where factorising what they fill takes long.

        `pattern` (m, n), sparse: which terms depend on which parameters; only those of one term have a curvature.
        """
        rung = self.by_curvature
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
