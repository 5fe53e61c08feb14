"""Profile likelihood: how far a parameter can go when all others give way, without believing in a quadratic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np

Vector = np.ndarray[Any, np.dtype[np.float64]]

# Steps outwards, in standard errors, until the cost has risen enough: each doubles the last.
FIRST_STEP = 1.0
DOUBLINGS = 30
# The crossing is found to this part of a standard error; an interval is read to three digits at most.
CLOSE = 1e-6
HALVINGS = 60

# ζ: the signed root of the rise, and the parameters that go with it; linear where the model is.
LeastCost = Callable[[float], float]


@dataclass(frozen=True)
class Profile:
    """The cost as one parameter is held at each of `values` (p,), all others at their best: `cost` (p,).

    `root` (p,): signed √((cost - lowest) / variance), a straight line where errors are symmetric. `lower`, `upper`:
    the interval at `level`; infinite where the cost never rises enough. `best`: the value at the minimum.
    `limit`: the cost at the ends of the interval.
    """

    name: str
    best: float
    level: float
    lower: float
    upper: float
    limit: float
    values: Vector
    cost: Vector
    root: Vector

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the interval."""
        return self.lower, self.upper

    @property
    def plus(self) -> float:
        """From the best value to the upper end."""
        return self.upper - self.best

    @property
    def minus(self) -> float:
        """From the lower end to the best value."""
        return self.best - self.lower


def crossing(
    least_cost: LeastCost, best: float, lowest: float, limit: float, step: float, bound: float
) -> float:
    """Where the profile reaches `limit` going from `best` by `step` (its sign is the way) towards `bound`.

    Bracketed by doubling, then closed by regula falsi on √(cost - lowest), which is nearly straight
    (Illinois variant: Dahlquist & Björck 2008, section 6.2). Infinite where it never gets there.
    """
    wanted = sqrt(max(limit - lowest, 0.0))

    def root(value: float) -> float:
        cost = least_cost(value)
        return sqrt(max(cost - lowest, 0.0)) - wanted if isfinite(cost) else inf

    near, below = best, -wanted
    far, above = best, -wanted
    length = step * FIRST_STEP
    for _ in range(DOUBLINGS):
        far = best + length
        if (bound - far) * step < 0.0:
            far = bound
        above = root(far)
        if above >= 0.0:
            break
        if far == bound:
            return float("-inf") if step < 0 else inf
        near, below = far, above
        length *= 2.0
    else:
        return float("-inf") if step < 0 else inf
    last = 0
    for _ in range(HALVINGS):
        if abs(far - near) <= CLOSE * abs(step):
            break
        middle = (near * above - far * below) / (above - below) if isfinite(above) else 0.5 * (near + far)
        if not min(near, far) < middle < max(near, far):
            middle = 0.5 * (near + far)
        found = root(middle)
        if abs(found) <= CLOSE * wanted:
            return middle
        if found < 0.0:
            near, below = middle, found
            above = 0.5 * above if last < 0 else above
            last = -1
        else:
            far, above = middle, found
            below = 0.5 * below if last > 0 else below
            last = 1
    return near if abs(below) < abs(above) else far
