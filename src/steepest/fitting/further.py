"""Farther than the first walk of a fit: from where the data point, and from many starts; the lowest end is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ..bounds import Vector
from ..budget import BudgetSpent
from ..losses import LOSSES
from ..objective import Objective
from ..residuals import Residuals
from ..search.elsewhere import starts_elsewhere
from ..search.exchange import NOWHERE, Exchanges, is_poor_fit
from ..search.frequencies import ROUNDS, at_other_frequencies
from ..search.sequels import WALK_STEPS
from ..search.squares import judged, walk_and_judge
from ..solvers import Plan, drive
from ..solvers.driver import Run, lowest_seen, spent
from ..solvers.stopping import INTERRUPTED, StopReason
from ..verdict.words import Judgement, Verdict
from .starts import Suspicion, around, suspicion_of
from .task import Task

# The loss whose fit is a start for other robust losses: convex in the residual, and hardly moved by wild points.
GENTLE = "soft_l1"

# Losses that never level off: no point is let go of.
HOLDING = tuple(LOSSES[loss] for loss in ("linear", "huber", GENTLE))

# Exchanges of parts of the model take so many times the evaluations of the first walk, but so many in any case.
TIMES_WALKED, LEAST_EXCHANGED = 2, 500

# An end is lower where its cost is, by more than this part.
LOWER = 1e-9


# Why a fit goes on where nothing else speaks against an end: for waves, and from where a gentler loss leads.
WAVES_EXPLAIN_MORE = "its waves may explain more at other frequencies"
LETS_GO = "its loss may have let go of good points"


@dataclass(frozen=True)
class Found:
    """The best end point, its judgement, what it cost, and what made us look further."""

    run: Run
    judgement: Judgement
    evaluations: int
    start: Vector
    start_from: str
    remarks: tuple[str, ...]


@dataclass
class Further:
    """Walks from the most promising of many seeded starts; whichever verified minimum is lowest is kept.

    Before them, waves are looked for at other frequencies, which takes next to no evaluations, and parts of the model
    are moved to where most is left to explain (`exchange`); where that explains all but noise, it is the last start.
    With a robust loss the first is where a gentler one leads: a loss that levels off lets go of all the data. All
    within what the first walk left of the budget; once that is spent, or the user says stop, the lowest place seen is
    the answer.

    `first`: where the first walk ended, and `doubt`: why it is not taken at its word. Where it is (None), waves are
    looked for at other frequencies even so, as those that miss the data may explain most of their variance; and where a
    loss that levels off has let go of points, a gentler one may take hold of them.
    """

    task: Task
    residuals: Residuals
    objective: Objective
    plan: Plan
    first: Found
    doubt: Suspicion | None
    starts: int | None
    seed: int
    facts: Any
    noise: str
    began: float

    def found(self) -> Found:
        """The lowest end, and what was tried, in words."""
        self.lowest, self.seen = self.first, self.first.run
        self.tried = 0
        self.why = WAVES_EXPLAIN_MORE if self.doubt is None else self.doubt.words
        self.shown: Vector | None = None  # the last start that the data told of
        self.looked_from: Run | None = None  # for waves of other frequencies
        stop, cut_short = None, ""
        try:
            for start in self._places():
                if self._explains_all_but_noise(start):
                    break
        except BudgetSpent as what:
            stop, cut_short = StopReason.OUT_OF_BUDGET, spent(str(what), self.objective)
        except KeyboardInterrupt:
            stop, cut_short = StopReason.STOPPED, INTERRUPTED
        if stop is not None:
            self._keep_the_lowest_seen(stop, cut_short)
        nothing = self.doubt is None and self.lowest is self.first and not (self.tried and cut_short)
        remarks = () if nothing else (self._told(cut_short),)
        if stop is StopReason.STOPPED:
            self.lowest = replace(self.lowest, run=replace(self.lowest.run, stop=stop, reason=cut_short))
        return replace(self.lowest, evaluations=self.objective.evaluations, remarks=remarks)

    def _places(self) -> Iterator[Vector]:
        """Where to walk from, one after the other."""
        if self.doubt is None:
            if self._lets_go():
                yield self._gently_walked(self.lowest.run.x)
                if self.lowest is not self.first:
                    self.why = LETS_GO
            yield from self._at_other_frequencies()
            return
        if self.residuals.rho not in (None, LOSSES[GENTLE]):
            yield self._gently_walked(self.task.start)
        yield from self._at_other_frequencies()
        yield from self._with_parts_elsewhere()
        elsewhere = around(self.objective, self.task.start, self.lowest.run.x, self.starts, self.seed)
        yield from self._at_other_frequencies()
        verdict = self.lowest.judgement.verdict
        if not verdict.is_minimum:
            overflowed = verdict is Verdict.NOT_FINITE
            for _, place in starts_elsewhere(
                self.objective, self.task.start, self.seed, overflowed=overflowed
            ):
                self.shown = place
                yield place
        yield from elsewhere
        yield from self._at_other_frequencies()

    def _lets_go(self) -> bool:
        """Whether the loss levels off, and points lie so far off that it may have let go of them."""
        x = self.lowest.run.x
        residuals = self.residuals
        return residuals.rho not in HOLDING and not residuals.are_near(residuals.residual(x)).all()

    def _gently_walked(self, start: Vector) -> Vector:
        """Where a gentler loss leads from a `start` (n,)."""
        return self._walked(self._gentle().objective(self.task.bounds, beside=self.objective), start).x

    def _with_parts_elsewhere(self) -> Iterator[Vector]:
        """Where exchanges of parts of the model lead, if the residuals follow a curve and that is lower."""
        run = self.lowest.run
        squares = self._squares_at(run.x)
        if self.starts is not None or not is_poor_fit(squares, run.x):
            return
        if squares is not self.objective:
            run = self._walked(squares, run.x)
        exchanges = Exchanges(
            squares,
            self.task.start,
            run,
            lambda place, steps, _: self._walked(squares, place, steps),
            lambda: not self.objective.is_spent,
            max(TIMES_WALKED * (self.first.evaluations - self.task.looked), LEAST_EXCHANGED),
            self.seed,
            self.facts.locations if self.facts is not None else NOWHERE,
        )
        exchanges.lower()
        if exchanges.best is not run:
            self.shown = exchanges.best.x
            yield self.shown

    def _at_other_frequencies(self) -> Iterator[Vector]:
        """Where waves of other frequencies explain more, round after round while that leads lower."""
        for _ in range(ROUNDS if self.facts is not None and self.facts.phases else 0):
            run = self.lowest.run
            if run is self.looked_from:
                return
            self.looked_from = run
            squares, weights = self._squares_at(run.x), self._gentle().weights(run.x)
            good = self.doubt is None
            for _, place in at_other_frequencies(
                squares, self.facts.phases, run.x, self.task.start, weights, beyond_noise=good
            ):
                self.shown = place
                yield place
                if self.lowest.run is not run:
                    break

    def _squares_at(self, x: Vector) -> Objective:
        """The cost as a sum of squares: the searches by what is left compare those alone."""
        if self.residuals.rho is None:
            return self.objective
        return self._gentle().as_squares(x).objective(self.task.bounds, beside=self.objective)

    def _gentle(self) -> Residuals:
        """With a robust loss, the residuals with one that lets go of wild points, but hardly of what is not met yet."""
        return self.residuals if self.residuals.rho is None else replace(self.residuals, rho=LOSSES[GENTLE])

    def _walked(self, cost: Objective, start: Vector, steps: int | None = None) -> Run:
        self.seen = lowest_seen(self.objective, self.seen)
        cost.forget()
        most = self.plan.max_steps if steps is None else steps
        run = drive(self.plan.solver, cost, start, tolerance=self.plan.tolerance(None), max_steps=most)
        if run.stop is StopReason.STOPPED:
            raise KeyboardInterrupt
        return run

    def _explains_all_but_noise(self, start: Vector) -> bool:
        """Walk from a `start` (n,), keep what is lower, and tell whether the data showed where all was explained."""
        run = self._walked(self.objective, start, WALK_STEPS)
        self.tried += 1
        lowest = self.lowest
        if (
            not run.value < lowest.run.value - LOWER * abs(lowest.run.value)
            and lowest.judgement.verdict.is_minimum
        ):
            return False
        names = self.task.moving()
        run, judgement = walk_and_judge(
            self.objective, run.x, names, self.plan, structure=self.facts, seed=self.seed, began=self.began
        )
        if run.value < lowest.run.value * (1 - LOWER) or (
            judgement.verdict.is_minimum
            and not lowest.judgement.verdict.is_minimum
            and run.value <= lowest.run.value * (1 + LOWER)
        ):
            self.lowest = replace(lowest, run=run, judgement=judgement, start=start, start_from="multi-start")
        if run.stop is StopReason.STOPPED:
            raise KeyboardInterrupt
        return (
            self.starts is None
            and start is self.shown
            and suspicion_of(self.residuals, run, judgement, self.task.bounds, self.noise) is None
        )

    def _keep_the_lowest_seen(self, stop: StopReason, reason: str) -> None:
        seen = lowest_seen(self.objective, self.seen)
        if seen.value < self.lowest.run.value * (1 - LOWER):
            run = replace(seen, stop=stop, reason=reason)
            _, judgement = judged(self.objective, run, self.task.moving(), self.facts, self.seed)
            self.lowest = replace(self.lowest, run=run, judgement=judgement)

    def _told(self, cut_short: str) -> str:
        lowest, first = self.lowest, self.first
        if lowest is first:
            words = f"{self.why}; {self.tried} further starts led to nothing lower"
        else:
            outcome = "is lower" if lowest.run.value < first.run.value else "ended as low, in a minimum"
            words = (
                f"the walk from the first start ended at {first.run.value:.6g} ({self.why}); the best of "
                f"{self.tried} further starts {outcome}"
            )
        if cut_short == INTERRUPTED:
            words += f"; the search was {INTERRUPTED}"
        elif cut_short:
            words += f"; the search ended there: {cut_short}"
        return words
