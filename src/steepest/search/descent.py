"""One call's way down: solvers in turn, from the best point or by another way, each judged where it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..bounds import Vector
from ..budget import BudgetSpent
from ..numerics import EPS, largest
from ..objective import TINY, Objective
from ..problem import Problem
from ..recording import Recording
from ..solvers import History, drive
from ..solvers.driver import FROM_OUTSIDE, Run
from ..solvers.lbfgs import LBFGS
from ..solvers.newton import Newton
from ..solvers.plan import Plan, Rung
from ..solvers.stopping import INTERRUPTED, VALUE_ROUNDING, StopReason
from ..traced import evaluation
from ..verdict.failures import no_calls_left, not_judged
from ..verdict.judge import judge
from ..verdict.look import is_lost_in
from ..verdict.onward import FALLEN, FAR_AWAY
from ..verdict.words import Judgement, Verdict
from .existing import lacks_a_cost, told_of_the_move, where_it_exists
from .overtaking import FALLEN_BEHIND, Overtaking

# A walk is taken up again from a saddle at most this often: each leg goes lower, and a handful is the most
# any of the reference problems needs.
ESCAPES = 10

# A walk down an exponential wall is taken up again at most this often where the height of the wall hid what was left to
# gain; each leg sees some 48 digits, and no cost that fits in a double is as high as this many of them.
LEGS = 20

# Squares of residuals that vanish are left at some EPS² of where they began. Less, by this, is left at a bottom without
# curvature, or of a fall from so high up that it hides the rest of the way down.
DROWNED = 1e-36

# A minimum that a walk taken up again leaves by less than this part of a parameter's size has been arrived at.
MOVED = 1e-8

# What is left of the way from the start down to a cost's lowest number, where no other method is asked to find more.
# Larger, and a walk astray along a tail would keep a method from a minimum that exists.
NOTHING_LOWER = 1e-30

# How far a start that has a cost but no slope is moved, in units of the parameters' size, until there is one. A larger
# step would leave the place that was asked for, a smaller one drown in the rounding of the cost.
BESIDE = (1e-4, 1e-2, 1e-7)
# A cost that changes by more than this part of itself over such a step has a pole there, and is another one beside it.
JUMP = 0.1

# A parameter that ended this near to its bound, in units of its size or one, may belong on it. Farther, and one whose
# slope is infinite on the bound, but which has its minimum beside it, would be put there.
WALL = 1e-6

# A place where no more than this part of the cost is left is where a walk would end; more might be another valley's.
SOLVED = 1e-12

# With more parameters steps may take long: a walk on from where the slope was lost in rounding takes no more of them
# than the walk that led there, or so many.
QUICK, LEAST_ONWARD = 100, 100

# Where slopes are measured, one from a place that values showed to be lower takes no more than that either, or so many:
# at a kink it zigzags.
LEAST_MEASURED = 20

# Seconds, as foreseen, that slopes may take on a walk that crawls.
WORTH_A_CRAWL = 0.02

# A walk goes on by the method of the one before it where that won so many times as much for each slope or product. Of
# what it won the first steps won most: a smaller number, and it goes on where it would win no more than the last did.
FASTER = 10.0

# What is said of an end beyond a plateau.
CROSSED = "The walk had come down to a plateau and went on where a lower cost was seen beyond it; starts=1 stays there."

# Words after which no other method could find more: they speak of the cost, not of the walk.
HOPELESS = frozenset(
    {
        Verdict.UNBOUNDED_BELOW,
        Verdict.NO_SLOPE,
        Verdict.WRONG_GRADIENT,
        Verdict.NOISE_FLOOR,
    }
)


class Descent:
    """One call's way down: the rungs of its plan one after the other, each judged where it ends.

    `taken`: names of the solvers that walked. `judging`: seconds spent on verdicts. `steps`: taken by all of them.
    `told_to_stop`: why no other walk may begin, where the user said so, in a walk or between two. `crossed`: whether a
    walk that came level was taken up beyond a plateau. `rates`: by how much the last two walks lowered the cost for
    each slope or product with the Hessian. `moved`: whether the walk began beside the start, where the cost exists;
    that place is the problem's start from then on.
    """

    def __init__(
        self,
        problem: Problem,
        plan: Plan,
        tol: float | None,
        callback: Callable[..., Any] | None,
        seed: int,
        recording: Recording | None,
    ) -> None:
        self.problem, self.plan, self.callback = problem, plan, callback
        self.tolerance = plan.tolerance(tol)
        self.seed, self.recording = seed, recording
        self.taken: list[str] = []
        self.judging = 0.0
        self.steps = 0
        self.rates = (0.0, 0.0)
        self.told_to_stop: str | None = None
        self.anywhere = self.crossed = self.moved = False

    def down(self, *, anywhere: bool = False) -> tuple[Run, Judgement]:
        """The best that the rungs found, judged; `anywhere`: also in what may be another valley.

        There lead rungs that begin elsewhere, and a plateau that the walk came down to where the judge saw a lower cost
        beyond it.

        A later rung begins where the earlier ones were lowest; at the start, if they ended on a plateau or ran off to
        where no slope leads back, or if it is one to begin `afresh`, and the walk before it was broken off or led
        towards infinity; and where it begins elsewhere, there. That one is the first, if the cost is as good as met
        there.
        """
        rungs, self.anywhere = self.plan.rungs, anywhere
        known = self._between_walks(self._known_end, rungs) if anywhere else None
        if known is None:
            run, judgement = self._rung(rungs[0], self.problem.start, None, last=len(rungs) == 1)
        else:
            run, judgement = self._rung(*known, last=len(rungs) == 1)
        existing = self._between_walks(self._where_it_exists, run)
        if existing is None and self.is_spent and lacks_a_cost(run):
            existing = self.problem.objective.best_x  # found before the search was cut short
        if existing is not None:
            self.problem, self.moved = replace(self.problem, start=existing), True
            run, judgement = self._rung(rungs[0], existing, None, last=len(rungs) == 1)
        beside = self._between_walks(self._beside, run)
        if beside is not None:
            onward, found = self._rung(rungs[0], beside, run.history, last=len(rungs) == 1)
            if is_better(onward, found, run, judgement):
                run, judgement = onward, found
        for rung in rungs[1:]:
            if not self.is_unfinished(run, judgement):
                break
            if rung.fits is not None and not rung.fits(self.problem.objective):
                continue
            if rung.if_faster and not self.rates[0] > FASTER * self.rates[1]:
                continue
            astray = judgement is None or judgement.verdict is Verdict.INFIMUM_NOT_ATTAINED
            level = judgement is not None and judgement.verdict is Verdict.PLATEAU
            anew = rung.afresh if astray else (level and run.steps > 0) or self._ran_off(run)
            start = self.problem.start if anew else run.x
            if astray and _has_vanished(run) and not rung.afresh and rung.begins is None:
                continue  # on the same way to infinity
            if judgement is not None and astray and not anew and rung.solver.name == run.solver:
                continue  # it came from there
            if rung.begins is not None:
                elsewhere = self._elsewhere(rung, run.x) if anywhere else None
                if elsewhere is None:
                    continue
                start = elsewhere
                self.problem.objective.forget()
            known_end = judgement if start is run.x else None
            above = run.value if anew else None
            onward, found = self._rung(
                rung, start, run.history, last=rung is rungs[-1], known=known_end, above=above
            )
            if is_better(onward, found, run, judgement):
                run, judgement = onward, found
            else:
                run = replace(run, history=onward.history)
        walled = self._between_walks(self.onto_walls, run) if self.is_unfinished(run, judgement) else None
        if walled is not None:
            self.taken.append(self.along_walls_by)
            onward, found = self.along_walls(walled, run.history)
            if is_better(onward, found, run, judgement):
                run, judgement = onward, found
        if run.steps != self.steps:
            run = replace(run, steps=self.steps)
        if judgement is None:
            judgement = self._verdict(run)
        if self.crossed:
            judgement = replace(judgement, sentence=f"{judgement.sentence} {CROSSED}")
        if self.moved:
            judgement = told_of_the_move(judgement, self.problem.start, self.problem.names)
        if self.told_to_stop is not None:
            run = replace(run, stop=StopReason.STOPPED, reason=self.told_to_stop)
        return run, judgement

    def _ran_off(self, run: Run) -> bool:
        """Whether a walk ended far beyond any size that its start knew of, where digits of the others are lost."""
        begun = largest(np.abs(self.problem.start))
        return largest(np.abs(run.x)) > FAR_AWAY * begun > 0.0

    def _between_walks(self, look: Callable[..., Any], *arguments: Any) -> Any:
        """What `look` finds; None where the budget is spent or Ctrl-C pressed meanwhile: no walk is there to see it."""
        try:
            return look(*arguments)
        except BudgetSpent:
            return None
        except KeyboardInterrupt:
            self.told_to_stop = INTERRUPTED
            return None

    def _where_it_exists(self, run: Run) -> Vector | None:
        return where_it_exists(self.problem.objective, run, self.problem.start, self.seed)

    def _beside(self, run: Run) -> Vector | None:
        """A place next to the start (n,), where that has a cost but no slope, as norms and roots have none at zero."""
        if run.stop is not StopReason.NOT_FINITE or run.steps or not np.isfinite(run.value):
            return None
        objective, start = self.problem.objective, self.problem.start
        slopeless = ~np.isfinite(run.gradient)
        directions = np.random.default_rng(self.seed).uniform(-1.0, 1.0, start.size)
        for size in BESIDE:
            step = np.where(slopeless, size * np.maximum(np.abs(start), 1.0) * directions, 0.0)
            x = objective.bounds.project(start + step)
            value, gradient = objective.value_and_gradient(x)
            jumps = not abs(value - run.value) <= JUMP * max(abs(run.value), 1.0)
            if not jumps and np.isfinite(gradient).all():
                return x
        return None

    def onto_walls(self, run: Run) -> Vector | None:
        """The end of a walk (n,), with parameters on their bounds that an infinite slope draws there, if no higher.

        No solver steps to where a slope is infinite, as that of √x is at its bound at zero: it ends just beside it.
        None where no parameter is drawn so.
        """
        objective = self.problem.objective
        bounds, x = objective.bounds, run.x
        if not bounds.any or not np.isfinite(run.value):
            return None
        beside = WALL * np.maximum(np.abs(x), 1.0)
        place = np.where(x - bounds.lower <= beside, bounds.lower, x)
        place = np.where(bounds.upper - x <= beside, bounds.upper, place)
        value, gradient = objective.value_and_gradient(place)
        walls = bounds.walls(place, gradient)
        if not walls.any() or not value <= run.value + VALUE_ROUNDING * abs(run.value):
            return None
        return np.where(walls, place, x)

    @property
    def _rung_at_walls(self) -> Rung:
        knowing = [rung for rung in self.plan.rungs if isinstance(rung.solver, Newton)]
        return replace(knowing[0], max_steps=None) if knowing else Rung(LBFGS(), "", None)

    @property
    def along_walls_by(self) -> str:
        """Name of the solver of a walk along walls."""
        return f"{self._rung_at_walls.label} (held where slopes are infinite)"

    def along_walls(self, start: Vector, before: History) -> tuple[Run, Judgement]:
        """A walk on which parameters stay where an infinite slope pushes them against their bound, judged."""
        objective = self.problem.objective
        objective.forget()
        objective.holds_at_walls = True
        try:
            run = self.walk(self._rung_at_walls, start)
        finally:
            objective.holds_at_walls = False
        gradient = np.where(np.abs(run.gradient) == TINY, np.sign(run.gradient) * np.inf, run.gradient)
        run.history.prepend(before)
        run = replace(run, gradient=gradient)
        return run, self._verdict(run)

    def _known_end(self, rungs: tuple[Rung, ...]) -> tuple[Rung, Vector, History] | None:
        """A rung that begins elsewhere, where, and the start's history, if next to nothing is left of the cost there.

        No way from the start need then be walked. None where there is no such rung; and where evaluations or steps are
        counted, none is spent on looking.
        """
        objective, start = self.problem.objective, self.problem.start
        if self._steps_asked is not None or objective.budget.evaluations is not None:
            return None
        for rung in rungs:
            place = self._elsewhere(rung, start)
            if place is None:
                continue
            value = objective.value(place)
            objective.forget()
            if self._is_solved(value, objective.value(start)):
                return rung, place, self.walk(Rung(LBFGS(), "", 0), start).history
        return None

    def _is_solved(self, value: float, begun: float) -> bool:
        """Whether next to nothing is left of a cost that was `begun`: of all of it, or of what its lowest leaves."""
        if abs(value) <= SOLVED * abs(begun):
            return True
        facts = structure_of(self.problem)
        if facts is None or not np.isfinite(facts.lowest):
            return False
        return bool(value - facts.lowest <= SOLVED * (begun - facts.lowest))

    def _elsewhere(self, rung: Rung, x: Vector) -> Vector | None:
        """Where a rung begins that does not begin at `x` (n,); None where it does, knows no place or may not look."""
        if rung.begins is None:
            return None
        place: Vector | None = self._between_walks(rung.begins, self.problem.objective, x)
        return place

    def _rung(
        self,
        rung: Rung,
        start: Vector,
        before: History | None,
        *,
        last: bool,
        known: Judgement | None = None,
        above: float | None = None,
    ) -> tuple[Run, Judgement | None]:
        """Walk with one solver; where it ends at a saddle or a maximum, follow the way down and go on.

        `known`: the judgement of the start, which stands where the solver does not leave it. `above`: the cost that an
        earlier walk reached; this one is broken off where it falls too far behind. `before`: the history of
        earlier rungs, from which the judge takes the parameters' sizes. No verdict on a walk whose steps ran out, when
        another solver stands ready to take over and something is left to gain; but where the cost falls without limit,
        none is to take over.
        """
        self.taken.append(rung.label)
        run = self.walk(rung, start) if above is None else self._overtaking(rung, start, above)
        if before is not None:
            run.history.prepend(before)
        if known is not None and run.steps == 0 and np.array_equal(run.x, start):
            return run, known
        ran_out = run.stop is StopReason.OUT_OF_BUDGET and not self.is_spent
        if ran_out and not last and not _has_vanished(run):
            judgement = self._verdict(run) if _has_fallen_far(run) else None
            falls_on = judgement is not None and judgement.verdict is Verdict.UNBOUNDED_BELOW
            return run, judgement if falls_on else None
        return self.settled(rung, run)

    def _overtaking(self, rung: Rung, start: Vector, above: float) -> Run:
        """A walk that is to come below the cost `above`, out of budget where it falls too far behind."""
        most = self._most_steps(rung)
        if most is None:
            most = rung.solver.default_max_steps(self.problem.objective.n)
        race = Overtaking(above, most, self.recording)
        run = self.walk(rung, start, race)
        if run.stop is not StopReason.STOPPED:
            return run
        if race.is_hopeless and run.reason == FROM_OUTSIDE:
            return replace(run, stop=StopReason.OUT_OF_BUDGET, reason=FALLEN_BEHIND)
        self.told_to_stop = run.reason
        return run

    def settled(self, rung: Rung, run: Run) -> tuple[Run, Judgement]:
        """The end of a walk, judged; down a wall it goes on, and at a saddle or a maximum the way down is followed."""
        judgement, hidden = self._verdict(run), _is_hidden(run)
        for _ in range(LEGS):
            arrived = judgement.verdict.is_minimum
            if not hidden or not (
                arrived or judgement.verdict is Verdict.STOPPED or _is_high_up(run, judgement)
            ):
                break
            if arrived:
                may_go_on = _is_drowned(run) and not self._is_quadratic  # the bottom of that is one step away
                beyond = self._unseen(rung, run) if may_go_on else None
                if beyond is not None and beyond.stop is StopReason.STOPPED:
                    self.told_to_stop = beyond.reason
                    run = replace(run, stop=beyond.stop, reason=beyond.reason)
                    break
                if beyond is None or not self._goes_on(run, beyond):
                    break
            onward = self.walk(rung, run.x)
            # Judged by its own fall and its own sizes: those of the whole way hide what there is to see here.
            hidden, judgement = _is_hidden(onward), self._verdict(onward)
            onward.history.prepend(run.history)
            run = onward
        for _ in range(ESCAPES):
            may_cross = self.anywhere and self.steps > 0 and judgement.below is not None
            if (judgement.downhill is None and not may_cross) or not run.stop.is_final:
                break
            lower = self._between_walks(
                point_below, self.problem.objective, run, judgement.downhill, judgement.below
            )
            if lower is None:
                break
            self.crossed = self.crossed or judgement.downhill is None
            most = rung.max_steps
            if judgement.verdict is Verdict.STOPPED and self.problem.objective.n > QUICK:
                most = max(run.steps, LEAST_ONWARD)
            elif judgement.below is not None and self.problem.objective.is_measured:
                most = max(run.steps, LEAST_MEASURED)
            onward = self.walk(replace(rung, max_steps=most), lower)
            onward.history.prepend(run.history)
            run, judgement = onward, self._verdict(onward)
        return run, judgement

    def _unseen(self, rung: Rung, run: Run) -> Run:
        """A walk from the end of another that nobody sees; within what the user allows, of which its steps are none."""
        most = self._most_steps(rung)
        return drive(rung.solver, self.problem.objective, run.x, tolerance=self.tolerance, max_steps=most)

    @property
    def _is_quadratic(self) -> bool:
        """Whether the trace shows the cost to be a polynomial of degree two or less."""
        facts = structure_of(self.problem)
        return facts is not None and bool(facts.degree <= 2)

    def _goes_on(self, run: Run, beyond: Run) -> bool:
        """Whether a walk on from the end of `run` moves a parameter by more than rounding of its size, and lower.

        The size is that of its value, or up to one of how far it had come: at the bottom of x⁴ the way goes on for
        ever, to nowhere else. A walk that was cut short by what the user allows may have gone on.
        """
        asked = self._steps_asked
        if self.problem.objective.is_spent or (asked is not None and self.steps + beyond.steps >= asked):
            return True
        first = run.history.first[1]
        came = 1.0 if first is None else np.minimum(np.abs(run.x - first), 1.0)
        moved = np.abs(beyond.x - run.x) > MOVED * np.maximum(np.abs(run.x), came)
        return bool(beyond.value < run.value and moved.any())

    def walk(self, rung: Rung, start: Vector, watch: Callable[..., bool] | None = None) -> Run:
        """One solver's walk from `start` (n,), within what the rung and the user allow.

        `watch`: sees every iterate instead of the recording, and may end the walk; see `solvers.drive`. Who gives one
        knows whether it did, or the user.
        """
        before, way = self._work, rung.gives_way
        run = drive(
            rung.solver,
            self.problem.objective,
            start,
            tolerance=self.tolerance,
            max_steps=self._most_steps(rung),
            callback=self.callback,
            restore=self.problem.restore,
            watch=self.recording if watch is None else watch,
            gives_way=None if way is None else (way.after, lambda: way.fits(self.problem.objective)),
        )
        self.steps += run.steps
        if run.steps:
            fell = float(run.history.first[0]) - run.value
            self.rates = (self.rates[1], fell / max(self._work - before, 1))
        if self.told_to_stop is not None:
            run = replace(run, stop=StopReason.STOPPED, reason=self.told_to_stop)
        elif run.stop is StopReason.STOPPED and watch is None:
            self.told_to_stop = run.reason
        return run

    @property
    def _work(self) -> int:
        """Slopes and products with the Hessian so far."""
        counts = self.problem.objective.counts
        return counts.gradients + counts.products

    def _most_steps(self, rung: Rung) -> int | None:
        """How many steps a walk may take: those of its rung, or what the earlier walks left of the user's.

        None after the user said stop: such a walk only evaluates where it begins.
        """
        if self.told_to_stop is not None:
            return 0
        left = None if self._steps_asked is None else max(self._steps_asked - self.steps, 0)
        of_rung = rung.max_steps
        if of_rung is not None and rung.more_while_cheap and self.problem.trace is not None:
            cost = evaluation(self.problem.trace, "value_and_gradient").foreseen
            cheap = int(WORTH_A_CRAWL / cost.at_best)
            of_rung = max(of_rung, min(cheap, rung.solver.default_max_steps(self.problem.objective.n)))
        return min((limit for limit in (of_rung, left) if limit is not None), default=None)

    def _verdict(self, run: Run) -> Judgement:
        began = time.perf_counter()
        problem = self.problem
        try:
            judgement = judge(
                problem.objective,
                run.x,
                names=problem.names,
                structure=structure_of(problem),
                stop=run.stop,
                history=self._seen_from_here(run),
                seed=self.seed,
            )
        except BudgetSpent:
            judgement = no_calls_left(run.value, run.gradient, run.history, run.stop, run.reason)
        except KeyboardInterrupt:
            self.told_to_stop = INTERRUPTED
            judgement = not_judged(run.value, run.gradient)
        self.judging += time.perf_counter() - began
        return judgement

    def _seen_from_here(self, run: Run) -> History:
        """The walk, or where the user cut it short the last part of it, whose fall does not drown what is left.

        A walk cut short after a fall of 1e40, at a cost of 1e20, has won all but what rounding of the fall would hide.
        """
        history = run.history
        cut = run.stop is StopReason.STOPPED or (run.stop is StopReason.OUT_OF_BUDGET and self.is_spent)
        if not cut or run.value == 0.0 or not len(history):
            return history
        if not is_lost_in(history.first[0] - run.value, run.value):
            return history
        seen = np.flatnonzero(EPS * (history.value - run.value) <= abs(run.value))
        return history.since(int(seen[0])) if seen.size else history

    def is_unfinished(self, run: Run, judgement: Judgement | None) -> bool:
        """Whether another method may find more: not at a minimum, nor where none can help or the user said stop."""
        if judgement is not None and (judgement.verdict.is_minimum or judgement.verdict in HOPELESS):
            return False
        if judgement is not None and part_left(self.problem, run) <= NOTHING_LOWER:
            return False
        return run.stop not in (StopReason.STOPPED, StopReason.TOLERANCE) and not self.is_spent

    @property
    def is_spent(self) -> bool:
        """Whether what the user allowed to spend is spent, or the user said stop."""
        asked = self._steps_asked
        if self.told_to_stop is not None or self.problem.objective.is_spent:
            return True
        return asked is not None and self.steps >= asked

    @property
    def _steps_asked(self) -> int | None:
        """How many steps all walks together may take; None where the user set no limit."""
        limits = (self.plan.max_steps, self.problem.objective.budget.steps)
        return min((limit for limit in limits if limit is not None), default=None)


def is_better(onward: Run, found: Judgement | None, run: Run, judgement: Judgement | None) -> bool:
    """Whether a later rung ended better: lower, or as low to rounding and with the better word."""
    rounding = VALUE_ROUNDING * abs(run.value)
    arrived, had_arrived = (word is not None and word.verdict.is_minimum for word in (found, judgement))
    if judgement is None or (arrived and not had_arrived):
        return onward.value <= run.value + rounding
    return onward.value < run.value - rounding or not np.isfinite(run.value)


def _has_vanished(run: Run) -> bool:
    """Whether next to nothing is left of the cost that the walk began with."""
    return len(run.history) > 0 and abs(run.value) <= NOTHING_LOWER * abs(float(run.history.first[0]))


def _has_fallen_far(run: Run) -> bool:
    """Whether the cost is negative, and millions of times as large as where the walk began."""
    return len(run.history) > 0 and run.value < -FALLEN * abs(float(run.history.first[0]))


def _is_drowned(run: Run) -> bool:
    """Whether a minimum may have been seen in what is less than the rounding of the rounding of the fall."""
    return bool(0.0 < abs(run.value) <= DROWNED * abs(float(run.history.first[0])))


def _is_hidden(run: Run) -> bool:
    """Whether a walk ended because what was left to gain was rounding of its fall, though not of its last cost."""
    fall = run.history.first[0] - run.value if len(run.history) else 0.0
    return run.stop is StopReason.ROUNDING and is_lost_in(fall, run.value)


def _is_high_up(run: Run, judgement: Judgement) -> bool:
    """Whether a tail was seen where the cost is so high that one more or less does not show: a wall looks like one."""
    return judgement.verdict is Verdict.INFIMUM_NOT_ATTAINED and abs(run.value) > 1.0 / VALUE_ROUNDING


def part_left(problem: Problem, run: Run) -> float:
    """How far the cost still is above the lowest number it can be, by the intervals of its trace.

    As a part of where the walk began; infinite where no such number is known, or a budget was spent before the start.
    """
    facts = structure_of(problem)
    if facts is None or facts.lowest == -np.inf or not len(run.history):
        return np.inf
    begun = run.history.first[0] - facts.lowest
    if begun == 0.0:
        return 0.0
    left = float((run.value - facts.lowest) / begun)
    return left if np.isfinite(left) else np.inf


def structure_of(problem: Problem) -> Any:
    """The facts read off the trace, kept with it; None for a cost without a trace."""
    if problem.facts is not None or problem.trace is None:
        return problem.facts
    kept, box_there = problem.trace.kept, box_key(problem)
    key = "structure" if box_there is None else ("structure", *box_there)
    if key not in kept:
        from ..structure.facts import read

        box = problem.objective.bounds
        kept[key] = read(problem.trace.jaxpr, box if box.any else None)
    problem.facts = kept[key]
    return problem.facts


def box_key(problem: Problem) -> tuple[bytes, bytes] | None:
    """What is equal for two problems with the same bounds; None where there are none."""
    box = problem.objective.bounds
    return (box.lower.tobytes(), box.upper.tobytes()) if box.any else None


def point_below(
    objective: Objective, run: Run, downhill: Vector | None, below: Vector | None
) -> Vector | None:
    """A point (n,) lower than the end point along the way `downhill` (n,), longer steps first; or the one seen `below`.

    That one also where it is the lower of both. Across a level stretch the fall may lie farther off than any of these
    steps, and of parameters whose unit is tiny beside one, nearer.
    """
    found, lowest = _lower_along(objective, run, downhill)
    if below is None:
        return found
    lower, seen = objective.bounds.project(below), objective.lowest
    value, gradient = objective.value_and_gradient(lower)
    if value < lowest and np.isfinite(gradient).all():
        return lower
    objective.lowest = seen  # no solver could walk on from there
    return found


def _lower_along(objective: Objective, run: Run, downhill: Vector | None) -> tuple[Vector | None, float]:
    """The first point (n,) lower than the end point on that way, and its cost; None and the cost of the end without."""
    if downhill is not None:
        length = max(float(np.linalg.norm(downhill)), np.finfo(float).tiny)
        scale = max(1.0, float(np.linalg.norm(run.x))) / length
        for exponent in range(0, -30, -3):
            for side in (1.0, -1.0):
                trial = objective.bounds.project(run.x + side * 2.0**exponent * scale * downhill)
                value = objective.value(trial)
                if value < run.value:
                    return trial, value
    return None, run.value
