"""Is it lower nearby? From a minimum, parameters are moved to where another valley may lie.

A few values of the cost, each with one parameter moved: by the length of its waves, to its other sign, to its bounds,
to the mirror image between them. Very few parameters are also moved together, at random. What is lower is gone to at
once. Of what is not, a place from which the cost rises on the way back has a ridge between it and the minimum; from the
lowest of those a walk is worth its price.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isfinite

import numpy as np

from ..bounds import Vector
from ..numerics import EPS, largest
from ..objective import Objective

# With more parameters, moving one at a time says too little for what it costs.
MOST_PARAMETERS = 100

# What may be evaluated at each look around: as much again as the walk took, but so many for each parameter in any case.
VALUES_EACH = 6

# Up to so many parameters are moved together, to so many places for each: among more, a valley as wide as all sizes
# together is met by one place in hundreds. Not those of sums of squares: of 19 fits of such few none had a lower valley
# there, and each took half as long again.
MOVED_TOGETHER, PLACES_EACH = 4, 16

# Lower by less than this part of the cost is rounding, or the same valley seen from another side.
LOWER = 1e-9

# A ridge is looked behind where the cost is higher than the minimum by less than this part of what the walk gained:
# farther up, a walk would be one from anywhere.
NEAR = 0.1

# Moves of one parameter by the same amount, inside a box of very many waves.
MOST_MOVES = 50

# How far from the start is nearby, in sizes of the parameter, where the bounds do not say how far it may go: waves that
# grow have ever lower minima, and nobody asked for one a thousand waves away.
REACH = 4.0

# Places nearer to each other than this, in sizes of the parameter, are one.
SAME_PLACE = 1e-6

# Places at which the slope is asked whether there is a ridge.
RIDGES_ASKED = 3


@dataclass(frozen=True)
class Around:
    """What a look around found: the lowest place (n,), its value, and places behind a ridge, the lowest first.

    `tried`: how many places were looked at.
    """

    x: Vector
    value: float
    behind: tuple[Vector, ...]
    tried: int


def look_around(
    objective: Objective,
    x: Vector,
    value: float,
    *,
    start: Vector,
    size: Vector,
    gained: float,
    periods: tuple[Vector, ...],
    allowance: int,
    seed: int = 0,
) -> Around:
    """Move each parameter of `x` (n,) in turn, and very few together, keeping what is lower than `value`.

    `start` (n,): where the walk began; `size` (n,): of the parameters, as the walk showed them; `gained`: how much
    lower it came. `periods`: lengths of each parameter's waves. At most `allowance` places are looked at, besides those
    that go lower.

    >>> def ripples(x):
    ...     slope = 2 * x + 20 * np.pi * np.sin(2 * np.pi * x)
    ...     return float(x[0] ** 2 + 10 - 10 * np.cos(2 * np.pi * x[0])), slope
    >>> waves = Objective(1, value_and_gradient=ripples)
    >>> found = look_around(
    ...     waves, np.array([2.98]), 8.94, start=np.array([3.2]), size=np.array([3.0]), gained=1.0,
    ...     periods=(np.array([1.0]),), allowance=20
    ... )
    >>> found.x.round(2)
    array([-0.02])
    """
    found = _Look(objective, x, value, start, size, gained, periods)
    found.look(allowance)
    if not found.value < value and moves_together(objective):
        found.scatter(min(PLACES_EACH * x.size, allowance - found.tried), seed)
    return Around(found.x, found.value, tuple(found.behind()), found.tried)


def moves_together(objective: Objective) -> bool:
    """Whether a look around also moves all parameters of this cost at once."""
    return objective.n <= MOVED_TOGETHER and not objective.least_squares


@lru_cache(maxsize=16)
def _directions(seed: int, count: int, n: int) -> Vector:
    """Normal random numbers (count, n), the same at every call: a generator takes longer to make than a few values."""
    drawn = np.random.default_rng(seed).standard_normal((count, n))
    drawn.setflags(write=False)
    return drawn


class _Look:
    def __init__(
        self,
        objective: Objective,
        x: Vector,
        value: float,
        start: Vector,
        size: Vector,
        gained: float,
        periods: tuple[Vector, ...],
    ) -> None:
        self.objective, self.x, self.value = objective, np.array(x), value
        self.gained, self.periods = gained, periods
        self.margin = LOWER * abs(value) + 8.0 * EPS * gained
        bounds = objective.bounds
        self.low, self.high = start - REACH * size, start + REACH * size
        if bounds.any:
            boxed = np.isfinite(bounds.lower) & np.isfinite(bounds.upper)
            self.low = np.where(boxed, bounds.lower, np.maximum(bounds.lower, self.low))
            self.high = np.where(boxed, bounds.upper, np.minimum(bounds.upper, self.high))
        self.size, self.largest = size, largest(size)
        self.tried = 0
        self.higher: list[tuple[float, int, Vector]] = []

    def look(self, allowance: int) -> None:
        """Each parameter in turn, those with waves first: their minima lie in a lattice."""
        order = sorted(range(self.x.size), key=lambda i: not self.periods[i].size)
        for i in order:
            targets = self._targets(i)
            if self.tried + len(targets) > allowance:
                break
            self._move(i, targets)

    def scatter(self, count: int, seed: int) -> None:
        """To the lowest of `count` places about the minimum, if lower: all parameters at random, by their sizes."""
        minimum = self.x
        steps = _directions(seed, max(count, 0), minimum.size)
        places = np.minimum(np.maximum(minimum + self.size * steps, self.low), self.high)
        for place in places:
            value = self._value(place)
            if value < self.value - self.margin:
                self.x, self.value = place, value

    def behind(self) -> list[Vector]:
        """Places from which the cost rises on the way back to `x`."""
        found = []
        ceiling = self.value + NEAR * self.gained
        for value, _, place in sorted(self.higher, key=lambda one: one[:2])[:RIDGES_ASKED]:
            if value > ceiling:
                break
            _, gradient = self.objective.value_and_gradient(place)
            if float(gradient @ (self.x - place)) > 0.0:
                found.append(place)
        return found

    def _move(self, i: int, targets: list[float]) -> None:
        """To the lowest of the targets, if that is lower; and on by as much while it goes on."""
        before = self.x.item(i)
        lowest, best = min(((self._moved(i, t), t) for t in targets), default=(np.inf, before))
        for _ in range(MOST_MOVES):
            if not lowest < self.value - self.margin:
                break
            step = best - float(self.x[i])
            self.x[i], self.value = best, lowest
            best = best + step
            if not self.low[i] <= best <= self.high[i]:
                break
            lowest = self._moved(i, best)

    def _moved(self, i: int, t: float) -> float:
        """The cost with parameter `i` at `t`."""
        place = self.x.copy()
        place[i] = t
        return self._value(place)

    def _value(self, place: Vector) -> float:
        """The cost at `place` (n,); infinite where it is not finite."""
        value = self.objective.value(place)
        self.tried += 1
        if not isfinite(value):
            return np.inf
        self.higher.append((value, self.tried, place))
        return value

    def _targets(self, i: int) -> list[float]:
        """Where parameter `i` may be better off."""
        x, low, high = self.x.item(i), self.low.item(i), self.high.item(i)
        lower, upper = self.objective.bounds.lower.item(i), self.objective.bounds.upper.item(i)
        wanted = [x + s * part * length for length in self.periods[i] for part in (0.5, 1.0) for s in (-1, 1)]
        if abs(x) > EPS * self.largest:
            wanted.append(-x)
        wanted += [end for end in (lower, upper) if isfinite(end)]
        if lower == low and upper == high:
            wanted.append(low + (high - x))
        apart = SAME_PLACE * self.size.item(i)
        found: list[float] = []
        for t in wanted:
            if low <= t <= high and all(abs(t - other) > apart for other in (x, *found)):
                found.append(t)
        return found
