"""Many seeded starts: the best verified minimum, and every other one that was met.

Where the cost is traced and small they are walked together first, by one batch of Newton steps. The judge then looks at
each distinct place where the batch ended, as it looks at the end of any other walk; what the batch did not bring to a
minimum walks alone from its own start. Restarts follow near the end of the given start and near the lowest of all, so
that to ask for starts never ends higher than to ask for none.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..bounds import Vector
from ..errors import InputError
from ..problem import Problem
from ..solvers.chunks import StoppedWithinError
from ..solvers.driver import Run
from ..solvers.stopping import StopReason
from ..verdict.wording import written
from ..verdict.words import Evidence, Judgement, Verdict
from .nearby import LOWER
from .restarts import WithRestarts

# Two end points are one minimum when no parameter differs by more than this part of its size, which is never taken to
# be below that of its starts, or one.
SAME = 1e-4

# Fewer starts than this are through one by one by the time a batch is written out.
FEWEST_TOGETHER = 50

# Starts in one batch: more gain nothing, and what all of them work on leaves the cache.
BATCH = 256

# Costs of more parameters walk one by one: a batch takes all their Hessians and factorises each.
MOST_PARAMETERS = 20

# The batch ends after so many rounds, or when this part of it is unfinished: those few walk alone in less time.
ROUNDS, STRAGGLERS = 100, 0.1

# Standard deviation of a start about the given one, in units of the parameter's size: wide enough to change signs.
SPREAD = 2.0


@dataclass(frozen=True)
class Minimum:
    """One of the minima found: `x` in the user's structure, its cost, the verdict, and how many starts led to it.

    None of them did where restarts near another minimum found it.
    """

    x: Any
    fun: float
    verdict: Verdict
    starts: int


def check_starts(starts: Any) -> int:
    """The number of starts; raises `InputError` for what is none."""
    if isinstance(starts, bool) or not isinstance(starts, (int, np.integer)) or starts < 1:
        raise InputError(f"starts={starts!r}; give the number of places to begin from, 1 or more")
    return int(starts)


def places(problem: Problem, count: int, seed: int) -> list[Vector]:
    """`count` starts: the given one, then seeded ones, spread evenly inside bounds and about the start elsewhere.

    Between two bounds they are a Latin hypercube: each of `count` equal parts of every range holds one start (McKay,
    Beckman & Conover 1979). Elsewhere they are normal about the start, scaled by the parameter's size, or 1 at zero.
    """
    generator = np.random.default_rng(seed)
    start, bounds = problem.start, problem.objective.bounds
    n = start.size
    boxed = np.isfinite(_widths(problem))
    parts = np.argsort(generator.random((count, n)), axis=0)
    low, size = np.where(boxed, bounds.lower, 0.0), sizes(problem)
    even = low + (parts + generator.random((count, n))) / count * size
    about = start + SPREAD * size * generator.standard_normal((count, n))
    found = np.where(boxed, even, about)
    return [start, *(bounds.project(place) for place in found[: count - 1])]


def sizes(problem: Problem) -> Vector:
    """How far the starts are spread, (n,): the range between two bounds; elsewhere the start's size, or 1 at zero."""
    width, start = _widths(problem), problem.start
    return np.where(np.isfinite(width), width, np.where(start != 0.0, np.abs(start), 1.0))


def _widths(problem: Problem) -> Vector:
    """From one bound to the other, (n,); infinite where one is missing, or they are so far apart that none is meant."""
    bounds = problem.objective.bounds
    with np.errstate(over="ignore"):
        return bounds.upper - bounds.lower


@dataclass(frozen=True)
class End:
    """Where a walk ended: its `run`, judged; how many `starts` lead there; the `way`, and the evaluations it took."""

    run: Run
    judgement: Judgement
    starts: int
    way: Any
    evaluations: int

    @property
    def rank(self) -> tuple[bool, float, float]:
        """Verified minima first, then what misses its constraints least, then the lowest."""
        run, arrived = self.run, self.judgement.verdict.is_minimum
        violation = 0.0 if arrived else float(getattr(run, "violation", 0.0))
        return not arrived, _or_worst(violation), _or_worst(run.value)


def _or_worst(number: float) -> float:
    """`number`; infinity where it was not measured."""
    return np.inf if np.isnan(number) else number


class FromManyStarts:
    """The walks of one call from all its starts; looks to `minimize` like a single way down.

    `way` is the way down from one start: its `problem`, `down()`, `taken` and `judging`; a copy of it is walked from
    each. `may_batch`: whether the call leaves it to us how to walk, so that starts may go together; `may_restart`:
    whether walks may begin near what was found, as they do where no starts are asked for. `minima`: the distinct ones,
    lowest first.
    """

    def __init__(self, way: Any, count: int, seed: int, may_batch: bool, may_restart: bool) -> None:
        self.way, self.count, self.seed, self.may_batch = way, count, seed, may_batch
        self.may_restart = may_restart and count > 1
        self.problem: Problem = way.problem
        self.least_size = np.minimum(sizes(self.problem), 1.0)
        self.judging = 0.0
        self.minima: list[Minimum] = []
        # Why no other walk may begin, where the user said so.
        self._told_to_stop: str | None = None
        self._best: Any = None

    @property
    def taken(self) -> list[str]:
        """Names of the solvers on the best way."""
        return list(self._best.taken)

    def about(self) -> dict[str, Any]:
        """What the best way says of its constraints, if there are any, and the minima."""
        own = self._best.about() if hasattr(self._best, "about") else {}
        return {**own, "minima": tuple(self.minima)}

    def down(self) -> tuple[Run, Judgement]:
        """Walk from every start as long as the budget lasts; the best end point, judged."""
        starts = places(self.problem, self.count, self.seed)
        together = None
        try:
            together = self._together(starts)
        except StoppedWithinError as stopped:
            starts, self.way = [stopped.lowest(starts[0])], copy.copy(self.way)
            self.way.callback = _interrupt
        places_left = [(place, 1) for place in starts]
        if together is not None:
            # The given start walks alone as well where restarts are to look around near its own end.
            own = [(starts[0], 0)] if self.may_restart and 0 in together.led else []
            places_left = [*own, *together.ends, *((starts[k], 1) for k in together.left)]
        ends: list[End] = []
        for place, times in places_left:
            ends.append(self._walked(place, times))
            if self._told_to_stop is not None or self.problem.objective.is_spent:
                break
        walked = sum(end.starts for end in ends)
        best = min(ends, key=lambda end: end.rank)
        if together is not None:
            best = self._whole_way(best, starts, together)
        if self.may_restart and self._told_to_stop is None:
            given = next((end for end in ends if end.way.problem.start is starts[0]), best)
            near = self._near(given, best)
            best = min(*near, best, key=lambda end: end.rank)
            ends += near
        self.minima, self._best = self._distinct(ends), best.way
        judgement = self._told(best.judgement, walked, 0 if together is None else len(together.led))
        run = best.run
        if self._told_to_stop is not None:
            run = replace(run, stop=StopReason.STOPPED, reason=self._told_to_stop)
        return run, self._told_of_lower(best, ends, judgement)

    def _walked(self, place: Vector, times: int) -> End:
        """One walk from `place`, to which `times` starts led."""
        objective, way = self.problem.objective, copy.copy(self.way)
        objective.forget()
        before = objective.evaluations
        way.problem, way.taken, way.judging, way.steps = replace(self.problem, start=place), [], 0.0, 0
        # The given start as where no starts are asked for, so that asking for them cannot end higher.
        as_alone = self.may_restart and place is self.problem.start
        run, judgement = way.down(anywhere=True) if as_alone else way.down()
        self.judging += way.judging
        if run.stop is StopReason.STOPPED:
            self._told_to_stop = run.reason
        return End(run, judgement, times, way, objective.evaluations - before)

    def _near(self, given: End, best: End) -> list[End]:
        """The minima that restarts near the end of the `given` start and near the `best` met, each first the lowest."""
        met: list[End] = []
        for end in (best,) if given is best else (given, best):
            restarts, before = WithRestarts(end.way, among=end is not given), end.way.judging
            run, judgement = restarts.onward(end.run, end.judgement, end.evaluations)
            self.judging += end.way.judging - before
            met.append(End(run, judgement, 0, end.way, 0))
            met += [End(*left, 0, end.way, 0) for left in restarts.left[1:]]
            if end.way.told_to_stop is not None:
                self._told_to_stop = end.way.told_to_stop
                break
        return met

    def _whole_way(self, best: End, starts: list[Vector], together: Together) -> End:
        """The best with the walk from the start that led there, so that its history tells the whole way.

        As it stands where that walk ends elsewhere: the batch may have gone over another pass.
        """
        run = best.run
        led = [k for k, end in together.led.items() if _are_same(end, run.x, self.least_size)]
        if not led:
            return best
        end = self._walked(starts[led[0]], best.starts)
        if end.judgement.verdict != best.judgement.verdict or not _are_same(
            end.run.x, run.x, self.least_size
        ):
            return best
        if end.run.value <= run.value:
            return end
        run.history.prepend(end.run.history)
        best.way.steps += end.way.steps
        return replace(best, run=replace(run, steps=end.run.steps + run.steps))

    def _together(self, starts: list[Vector]) -> Together | None:
        """All starts walked as one batch; None where that is not to be had, or would not be quicker."""
        problem = self.problem
        if self.count < FEWEST_TOGETHER or problem.start.size > MOST_PARAMETERS or not self.may_batch:
            return None
        if problem.trace is None or problem.derivatives != "exact":
            return None
        program, box = _program(problem), problem.objective.bounds
        x0, parts = np.array(starts), []
        for begin in range(0, self.count, BATCH):
            part = x0[begin : begin + BATCH]
            found = program.uncompiled(part, (), (box.lower, box.upper), ROUNDS, STRAGGLERS)
            if found is None:
                return None
            parts.append(found)
        found = type(parts[0])(*[np.concatenate(pieces) for pieces in zip(*parts, strict=True)])
        counts, trials = problem.objective.counts, int(found.steps.sum()) + self.count
        counts.values += trials
        counts.gradients += trials
        counts.hessians += trials
        return gathered(found, x0, box, self.least_size)

    def _distinct(self, ends: list[End]) -> list[Minimum]:
        found: list[End] = []
        for end in sorted(
            (end for end in ends if end.judgement.verdict.is_minimum), key=lambda end: end.run.value
        ):
            for k, other in enumerate(found):
                if _are_same(end.run.x, other.run.x, self.least_size):
                    found[k] = replace(other, starts=other.starts + end.starts)
                    break
            else:
                found.append(end)
        return [
            Minimum(self._plain(end.run.x), float(end.run.value), end.judgement.verdict, end.starts)
            for end in found
        ]

    def _plain(self, x: Vector) -> Any:
        restored = self.problem.restore(x)
        return float(restored) if isinstance(restored, np.floating) else restored

    def _told(self, judgement: Judgement, walked: int, together: int) -> Judgement:
        if self.count == 1:
            return judgement
        count = len(self.minima)
        minima = f"{count} distinct minim{'um' if count == 1 else 'a'}"
        nearby = ", and restarts near two ends," if any(one.starts == 0 for one in self.minima) else ""
        how = f"{walked} starts walked" + (f", {together} of them in one batch" if together else "")
        evidence = Evidence("minima found from other starts", float(count), None, count > 0, how)
        lowest = ", none of them lower" if count > 1 else ""
        led = sum(one.starts for one in self.minima)
        which = f"{led} of {walked}" if 0 < led < walked else f"{walked}"
        sentence = f"{judgement.sentence} {which} starts{nearby} led to {minima}{lowest}."
        return replace(judgement, evidence=(*judgement.evidence, evidence), sentence=sentence)

    def _told_of_lower(self, best: End, ends: list[End], judgement: Judgement) -> Judgement:
        """With the lowest end that is no minimum, where it is lower than the one that is the answer."""
        astray = [
            end
            for end in ends
            if not end.judgement.verdict.is_minimum and not getattr(end.run, "violation", 0.0) > 0.0
        ]
        lowest = min(astray, key=lambda end: end.rank, default=None)
        if lowest is None or not lowest.run.value < best.run.value - LOWER * abs(best.run.value):
            return judgement
        word, place = lowest.judgement.verdict, written(lowest.run.x, self.problem.names)
        how = f"the walk to {lowest.run.value:.6g}: {word}"
        evidence = Evidence("a lower end that is no minimum", lowest.run.value, None, False, how)
        sentence = f"{judgement.sentence} A walk that ended in no minimum went lower: {lowest.run.value!r} at {place}; "
        return replace(judgement, evidence=(*judgement.evidence, evidence), sentence=f"{sentence}{word}.")


@dataclass(frozen=True)
class Together:
    """Where a batch ended.

    `ends`: the distinct places it took for minima, lowest first, with how many starts led to each; `led`: number of a
    start to the end of it, for those; `left`: numbers of the starts that must walk alone.
    """

    ends: list[tuple[Vector, int]]
    led: dict[int, Vector]
    left: list[int]


def gathered(found: Any, starts: Vector, box: Any, least_size: Vector) -> Together:
    """What the end states of a batch, `solvers.many.Members` of the `starts` (b, n), say; `least_size` (n,)."""
    from ..verdict.members import judged

    words = judged(found, starts, box, False)
    x = np.clip(found.x, box.lower, box.upper)
    ends: list[tuple[Vector, int]] = []
    led: dict[int, Vector] = {}
    for k in np.argsort(found.cost, kind="stable").tolist():
        if not words[k].is_minimum:
            continue
        led[k] = x[k]
        for place, (end, times) in enumerate(ends):
            if _are_same(end, x[k], least_size):
                ends[place] = (end, times + 1)
                break
        else:
            ends.append((x[k], 1))
    return Together(ends, dict(sorted(led.items())), [k for k in range(len(starts)) if k not in led])


def _program(problem: Problem) -> Any:
    """The batch's program, kept with the trace."""
    from jax.extend.core import jaxpr_as_fun

    from ..solvers.many import Program
    from ..tracing.trace import as_number

    trace = problem.trace
    assert trace is not None
    bounded = problem.objective.bounds.any
    key = ("together", bounded)
    if key not in trace.kept:
        function = jaxpr_as_fun(as_number(trace))
        trace.kept[key] = Program(lambda x, _: function(x)[0], trace.n, bounded)
    return trace.kept[key]


def _interrupt(*_: Any) -> None:
    """A callback for a walk that is to stop at once, as Ctrl-C stops it."""
    raise KeyboardInterrupt


def _are_same(a: Vector, b: Vector, least_size: Vector) -> bool:
    """Whether two end points are one."""
    size = np.maximum(np.maximum(np.abs(a), np.abs(b)), least_size)
    return bool((np.abs(a - b) <= SAME * size).all())
