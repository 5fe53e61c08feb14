"""Many seeded starts, walked one after the other: the best verified minimum, and every other one that was met."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .bounds import Vector
from .errors import InputError
from .problem import Problem
from .solvers.driver import Run
from .solvers.stopping import StopReason
from .verdict.words import Evidence, Judgement, Verdict

# Two end points are one minimum when no parameter differs by more than this part of its size.
SAME = 1e-4

# Standard deviation of a start about the given one, in units of the parameter's size: wide enough to change signs.
SPREAD = 2.0


@dataclass(frozen=True)
class Minimum:
    """One of the minima found: `x` in the user's structure, its cost, the verdict, and how many starts led to it."""

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
    boxed = np.isfinite(bounds.lower) & np.isfinite(bounds.upper)
    parts = np.argsort(generator.random((count, n)), axis=0)
    low, high = np.where(boxed, bounds.lower, 0.0), np.where(boxed, bounds.upper, 0.0)
    even = low + (parts + generator.random((count, n))) / count * (high - low)
    size = np.where(start != 0.0, np.abs(start), 1.0)
    about = start + SPREAD * size * generator.standard_normal((count, n))
    found = np.where(boxed, even, about)
    return [start, *(bounds.project(place) for place in found[: count - 1])]


class FromManyStarts:
    """The walks of one call from all its starts; looks to `minimize` like a single way down.

    `way` is the way down from one start: its `problem`, `down()`, `taken` and `judging`; a copy of it is walked from
    each. `minima`: the distinct ones, lowest first.
    """

    def __init__(self, way: Any, count: int, seed: int) -> None:
        self.way, self.count, self.seed = way, count, seed
        self.problem: Problem = way.problem
        self.judging = 0.0
        self.minima: list[Minimum] = []
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
        best: tuple[Run, Judgement] | None = None
        ends: list[tuple[Run, Judgement]] = []
        for place in places(self.problem, self.count, self.seed):
            self.problem.objective.forget()
            way = copy.copy(self.way)
            way.problem, way.taken, way.judging = replace(self.problem, start=place), [], 0.0
            run, judgement = way.down()
            self.judging += way.judging
            ends.append((run, judgement))
            if best is None or _rank(run, judgement) < _rank(*best):
                best, self._best = (run, judgement), way
            if run.stop is StopReason.STOPPED or self.problem.objective.is_spent:
                break
        assert best is not None
        self.minima = self._distinct(ends)
        return best[0], self._told(best[1], len(ends))

    def _distinct(self, ends: list[tuple[Run, Judgement]]) -> list[Minimum]:
        found: list[tuple[Run, Judgement, int]] = []
        minima = [end for end in ends if end[1].verdict.is_minimum]
        for run, judgement in sorted(minima, key=lambda end: end[0].value):
            for k, (other, word, times) in enumerate(found):
                size = np.maximum(np.maximum(np.abs(run.x), np.abs(other.x)), 1.0)
                if (np.abs(run.x - other.x) <= SAME * size).all():
                    found[k] = (other, word, times + 1)
                    break
            else:
                found.append((run, judgement, 1))
        return [
            Minimum(self._plain(run.x), run.value, judgement.verdict, times)
            for run, judgement, times in found
        ]

    def _plain(self, x: Vector) -> Any:
        restored = self.problem.restore(x)
        return float(restored) if isinstance(restored, np.floating) else restored

    def _told(self, judgement: Judgement, walked: int) -> Judgement:
        if self.count == 1:
            return judgement
        count = len(self.minima)
        minima = f"{count} distinct minim{'um' if count == 1 else 'a'}"
        evidence = Evidence(
            "minima found from other starts", float(count), None, count > 0, f"{walked} starts walked"
        )
        lowest = "; this is the lowest of them" if count > 1 else ""
        sentence = f"{judgement.sentence} {walked} starts led to {minima}{lowest}."
        return replace(judgement, evidence=(*judgement.evidence, evidence), sentence=sentence)


def _rank(run: Run, judgement: Judgement) -> tuple[bool, float, float]:
    """Verified minima first, then what misses its constraints least, then the lowest."""
    violation = float(getattr(run, "violation", 0.0))
    value = run.value if np.isfinite(run.value) else np.inf
    return not judgement.verdict.is_minimum, 0.0 if judgement.verdict.is_minimum else violation, value
