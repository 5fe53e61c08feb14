"""A place beside a start at which the cost exists, where it has no value at the start itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..bounds import Bounds, Vector
from ..constraints.rows import Rows
from ..objective import Objective
from ..solvers.constrained_driver import is_defined, missed
from ..solvers.driver import Run
from ..solvers.stopping import StopReason
from ..verdict.wording import written
from ..verdict.words import Judgement

# How far from the start is looked, in units of the parameters' size, and along how many random directions each: some
# thirty places, and as many again for parameters below one, whose size may be their value or one. A cost that takes
# seconds and exists nowhere is given up after a minute or two.
AROUND = (1e-4, 1e-2, 0.3, 1.0, 10.0)
WAYS = 3

# A cost whose square overflows is still a wall: the slopes of one that is measured are lost in its rounding.
A_WALL = 1e150


def where_it_exists(objective: Objective, run: Run, start: Vector, seed: int) -> Vector | None:
    """The lowest of the nearest places (n,) with a cost and a slope, where the `start` of the `run` had no cost.

    None where there is none, where the start has a cost, and where that is minus infinity, below which nothing lies.
    Places with a cost the objective remembers, should the search be cut short.
    """
    if not lacks_a_cost(run):
        return None
    for places in around(start, objective.bounds, seed):
        values = np.array([objective.value(place) for place in places])
        for k in np.argsort(values, kind="stable").tolist():
            if abs(values[k]) < A_WALL and np.isfinite(objective.value_and_gradient(places[k])[1]).all():
                return places[k]
    return None


def lacks_a_cost(run: Run) -> bool:
    """Whether a walk ended at its start, for want of a cost there; minus infinity is one, and nothing is lower."""
    if run.stop is not StopReason.NOT_FINITE or run.steps:
        return False
    return not (np.isfinite(run.value) or run.value == -np.inf)


def where_all_exist(
    objective: Objective,
    rows: Rows,
    run: Run,
    start: Vector,
    seed: int,
    seen: list[tuple[float, float, Vector]],
) -> Vector | None:
    """As `where_it_exists`, where the cost or one of the `rows` had no value or no slope at the start.

    Of the nearest places with all of them, the one that violates the constraints least, and of several the lowest.
    `seen`: gets the violation, the cost and the place of those with a value of all, should the search be cut short.
    """
    nothing_lower = run.value == -np.inf and missed(rows, start) == 0.0
    if (
        run.stop is not StopReason.NOT_FINITE
        or run.steps
        or nothing_lower
        or is_defined(objective, rows, start)
    ):
        return None
    for places in around(start, objective.bounds, seed):
        keys = []
        for place in places:
            keys.append((missed(rows, place), objective.value(place)))
            if np.isfinite(keys[-1]).all():
                seen.append((*keys[-1], place))
        for k in sorted((k for k, key in enumerate(keys) if np.isfinite(key).all()), key=keys.__getitem__):
            if abs(keys[k][1]) < A_WALL and is_defined(objective, rows, places[k]):
                return places[k]
    return None


def around(start: Vector, bounds: Bounds, seed: int) -> Iterator[list[Vector]]:
    """Places (n,) about the `start` inside the `bounds`, those at one distance together and the nearest first.

    Near by the size of the step: all parameters up or down, at random, or towards the middle of the bounds. The unit is
    a parameter's own value, or one at zero; then one for those below it, too.
    """
    ways = [np.ones(start.size), -np.ones(start.size)]
    ways += list(np.random.default_rng(seed).uniform(-1.0, 1.0, (WAYS, start.size)))
    own = np.where(start != 0.0, np.abs(start), 1.0)
    for size in (own, np.maximum(own, 1.0)) if (own < 1.0).any() else (own,):
        inward = []
        if np.isfinite(bounds.lower).all() and np.isfinite(bounds.upper).all():
            inward.append((0.5 * bounds.lower + 0.5 * bounds.upper - start) / size)
        for distance in AROUND:
            yield [bounds.project(start + distance * size * way) for way in ways + inward]


def told_of_the_move(
    judgement: Judgement, start: Vector, names: Sequence[str], what: str = "The cost has no value"
) -> Judgement:
    """The judgement with the place (n,) where the walk began instead, and `what` the start lacks."""
    began = f"{what} at the start; the walk began at {written(start, names)}."
    return replace(judgement, sentence=f"{judgement.sentence} {began}")


def told_of_the_leap(judgement: Judgement, place: Vector, names: Sequence[str]) -> Judgement:
    """The judgement with the `place` (n,) where another walk began, the first being stuck with constraints missed."""
    went = (
        "The walk from the start came to where no small move lessened what the constraints were missed by; another "
        f"began at {written(place, names)}."
    )
    return replace(judgement, sentence=f"{judgement.sentence} {went}")
