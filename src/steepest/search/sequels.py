"""What followed a way down: the lowest minimum kept so far, and how another walk is begun, watched and kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..bounds import Vector
from ..problem import Problem
from ..solvers.driver import Run
from ..solvers.newton import Newton
from ..solvers.plan import Rung
from ..solvers.situation import Situation
from ..solvers.stopping import StopReason
from ..verdict.words import Judgement, Verdict
from .descent import Descent, part_left, structure_of
from .homing import Homing
from .nearby import LOWER, MOST_PARAMETERS

# A cost that came this near the lowest number it can be, in parts of where it began, needs no second valley.
RESOLVED = 1e-12

# Looks around, each from a lower minimum than the one before; and the steps of a walk that has not come lower yet.
ROUNDS, WALK_STEPS = 10, 200

# Steps that another walk may take in any case, however few the first one took.
LEAST_STEPS = 20

# Multiplications of all the factorisations of a second walk: more take seconds.
MOST_WORK = 3e9


class Sequels:
    """One way down and what came of it since: the lowest minimum that was kept, and what is told of the rest.

    `among`: the way is the lowest of several from as many starts.
    """

    run: Run
    judgement: Judgement

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

    def are_worth_it(self) -> bool:
        """Whether a lower minimum may exist."""
        verdict = self.judgement.verdict
        if not verdict.is_minimum or verdict is Verdict.GLOBAL_MINIMUM or not self.may_walk_again():
            return False
        return part_left(self.problem, self.run) > RESOLVED

    def may_walk_again(self) -> bool:
        """Whether the user's budget and the kind of cost leave another walk anything to find."""
        if self.run.stop is StopReason.STOPPED or self.way.is_spent:
            return False
        facts = structure_of(self.problem)
        if facts is None or self.problem.objective.derivatives != "exact":
            return False
        return not facts.convexity.is_convex

    @property
    def by_curvature(self) -> Rung | None:
        """The rung of the plan that follows second derivatives; None where those take as long as many slopes."""
        if Situation(self.problem.objective).has_weighty_hessian:
            return None
        return next((rung for rung in self.way.plan.rungs if isinstance(rung.solver, Newton)), None)

    def leads_lower(
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
        self.note_the_lowest()
        self.problem.objective.forget()
        onward = self.watched(replace(rung, max_steps=steps), place, homing)
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
        self.take((onward, judgement))
        self.lower += 1
        if opening is not None:
            way.taken.append(opening.solver)
        if by is not None or walled is not None:
            way.taken.append(rung.solver.name if walled is None else way.along_walls_by)
        return True

    def note_the_lowest(self) -> None:
        """Keep the lowest place evaluated since the last walk began, for what is told, if no minimum kept is as low."""
        objective = self.problem.objective
        lowest = self.run.value if self.seen is None else min(self.run.value, self.seen[0])
        if objective.best_x is not None and objective.best_value < lowest - LOWER * abs(lowest):
            self.seen = objective.best_value, np.asarray(objective.best_x)

    def watched(self, rung: Rung, place: Vector, homing: Homing | None) -> Run:
        """A walk from `place` (n,) that ends where it comes home, which is no word of the user's to stop."""
        onward = self.way.walk(rung, place, homing)
        self.came_home = homing is not None and homing.is_back
        if onward.stop is StopReason.STOPPED and not self.came_home:
            self.way.told_to_stop = onward.reason
        return onward

    def take(self, end: tuple[Run, Judgement]) -> None:
        """Keep the `end` of a walk for the answer; what it replaces is among those left."""
        self.left.append((self.run, self.judgement))
        self.run, self.judgement = end
