"""Places away from a point whose constraints are not met, from which they may be: there they are missed by less.

At zero the slope of xy is zero, and so is that of a norm or a square: nothing there tells how xy >= 1 is to be met. Nor
does a point in a hollow of the violation, where constraints are not convex, show that there is no deeper one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..bounds import Bounds, Vector
from ..constraints.rows import Rows
from ..solvers.constrained_driver import missed
from ..verdict.look import NOTHING

# How far off is looked, the nearest first, in units of each parameter: its own value, or the largest of all at zero,
# which says nothing of its size, or one. Of the random ways at each distance, and their opposites, the one that misses
# least is taken.
DISTANCES = tuple(10.0**k for k in range(-8, 9))
WAYS = 2

# Missed by less than this part of what it was: no rounding.
LESS = 1.0 - 1e-6

# At most so many of them are given.
PLACES = 4


def places_off(rows: Rows, bounds: Bounds, x: Vector, seed: int) -> Iterator[Vector]:
    """The nearest places (n,) inside the `bounds` where `rows` are missed by less than at `x` (n,), a few at most."""
    least, given = missed(rows, x), 0
    generator = np.random.default_rng(seed)
    most = float(np.abs(x).max(initial=0.0)) or 1.0
    size = np.where(np.abs(x) > NOTHING * most, np.abs(x), most)
    for distance in DISTANCES:
        ways = generator.uniform(-1.0, 1.0, (WAYS, x.size))
        places = [bounds.project(x + side * distance * size * way) for way in ways for side in (1.0, -1.0)]
        off = [missed(rows, place) for place in places]
        k = int(np.argmin(off))
        if off[k] < LESS * least:
            yield places[k]
            given += 1
            if given == PLACES:
                return
