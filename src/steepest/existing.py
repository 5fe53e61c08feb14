"""A place beside a start at which the cost exists, where it has no value at the start itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .bounds import Vector
from .objective import Objective
from .solvers.driver import Run
from .solvers.stopping import StopReason
from .verdict.wording import written
from .verdict.words import Judgement

# How far from the start is looked, in units of the parameters' size, and along how many random directions each: some
# thirty places. A cost that takes seconds and exists nowhere is given up after a minute or two.
AROUND = (1e-4, 1e-2, 0.3, 1.0, 10.0)
WAYS = 3

# A cost whose square overflows is still a wall: the slopes of one that is measured are lost in its rounding.
A_WALL = 1e150


def where_it_exists(objective: Objective, run: Run, start: Vector, seed: int) -> Vector | None:
    """The lowest of the nearest places (n,) with a cost and a slope, where the `start` of the `run` had no cost.

    Nearest by the size of the step: all parameters up or down, towards the middle of the bounds, or at random. None
    where there is none, where the start has a cost, and where that is minus infinity, below which nothing lies.
    """
    if run.stop is not StopReason.NOT_FINITE or run.steps or np.isfinite(run.value) or run.value < 0.0:
        return None
    bounds = objective.bounds
    size = np.maximum(np.abs(start), 1.0)
    ways = [np.ones(start.size), -np.ones(start.size)]
    ways += list(np.random.default_rng(seed).uniform(-1.0, 1.0, (WAYS, start.size)))
    if np.isfinite(bounds.lower).all() and np.isfinite(bounds.upper).all():
        ways.append((0.5 * bounds.lower + 0.5 * bounds.upper - start) / size)
    for distance in AROUND:
        places = [bounds.project(start + distance * size * way) for way in ways]
        values = np.array([objective.value(place) for place in places])
        for k in np.argsort(values, kind="stable").tolist():
            if abs(values[k]) < A_WALL and np.isfinite(objective.value_and_gradient(places[k])[1]).all():
                return places[k]
    return None


def told_of_the_move(judgement: Judgement, start: Vector, names: Sequence[str]) -> Judgement:
    """The judgement with the place (n,) where the walk began instead."""
    began = f"The cost has no value at the start; the walk began at {written(start, names)}."
    return replace(judgement, sentence=f"{judgement.sentence} {began}")
