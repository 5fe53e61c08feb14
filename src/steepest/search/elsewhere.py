"""Other starts, for a walk that ran off to no minimum: behind the ridge it came down from, nearer to zero, about.

A cost such as x²·exp(-x) has a minimum at 0 and a tail that falls as low; from x = 3 every slope leads down the tail.
The minimum lies behind the ridge on whose far side the start was: up the slope, and on until it falls again. Where
numbers had run away from zero, by products or exponents that are level when large, it lies nearer to zero.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..bounds import Vector
from ..numerics import Quiet
from ..objective import Objective

# Distances up the slope, in sizes of the parameters, at which a ridge is looked for.
UPHILL = tuple(0.02 * 1.5**k for k in range(16))

# Beyond a ridge a walk begins this much farther off, as a part of the distance to it: on its top no slope leads down.
BEYOND = 1.2

# Times the start that are tried: a walk that exponents led astray begins where they are moderate, and one that led to
# infinity, as where a circle's centre lies on the wrong side of its arc, on the other side of zero.
NEARER = (0.1, 0.0, 0.5, -1.0)

# And where exponents overflowed: what divides them may be too small by as much, as a temperature begun at one is.
FARTHER = (10.0, 100.0, 1000.0)

# Seeded places about the start, normal with this many sizes of the parameters: wide enough to change signs.
ABOUT, SPREAD = 2, 2.0


def starts_elsewhere(
    objective: Objective, start: Vector, seed: int, *, overflowed: bool = False
) -> Iterator[tuple[str, Vector]]:
    """Places (n,) at which another walk may begin, inside the bounds, each with a finite cost, and in words where.

    `overflowed`: whether the first walk ended where something was not finite.

    >>> def tail_and_well(x):
    ...     return float(x[0] ** 2 * np.exp(-x[0])), np.array([(2 - x[0]) * x[0] * np.exp(-x[0])])
    >>> words, x = next(starts_elsewhere(Objective(1, value_and_gradient=tail_and_well), np.array([3.0]), 0))
    >>> print(words, bool(0 < x[0] < 2))
    behind a ridge True
    """
    size = np.where(start != 0.0, np.abs(start), 1.0)
    seen = [start]
    for words, place in _places(objective, start, size, seed, (*FARTHER, *NEARER) if overflowed else NEARER):
        inside = objective.bounds.project(place)
        if any(np.array_equal(inside, other) for other in seen):
            continue
        seen.append(inside)
        if np.isfinite(objective.value(inside)):
            yield words, inside


def _places(
    objective: Objective, start: Vector, size: Vector, seed: int, times: tuple[float, ...]
) -> Iterator[tuple[str, Vector]]:
    behind = _behind_the_ridge(objective, start, size)
    if behind is not None:
        yield "behind a ridge", behind
    for part in times:
        yield f"{part:g} times the start" if part else "zero", part * start
    generator = np.random.default_rng(seed)
    for _ in range(ABOUT):
        yield "a random place", start + SPREAD * size * generator.standard_normal(start.size)


def _behind_the_ridge(objective: Objective, start: Vector, size: Vector) -> Vector | None:
    """Up the slope from the start until the cost falls again, and a little farther; None where it rises for ever."""
    with Quiet():
        _, gradient = objective.value_and_gradient(start)
        slope = gradient * size
        steepest = float(np.max(np.abs(slope), initial=0.0))
        if not 0.0 < steepest < np.inf:
            return None
        uphill = slope / steepest * size  # longest part one size, in units of the parameters
        for t in UPHILL:
            place = objective.bounds.project(start + t * uphill)
            value, gradient = objective.value_and_gradient(place)
            if not np.isfinite(value):
                return None
            if float(gradient @ uphill) < 0.0:
                return np.asarray(objective.bounds.project(start + BEYOND * t * uphill))
    return None
