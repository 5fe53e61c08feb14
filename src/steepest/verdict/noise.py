"""Does the cost repeat itself? Called twice at one point, and watched for noise between nearby points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..derivatives.noise import noise_of
from ..numerics import EPS, TINY
from .look import Look

# First distance between the values whose differences are taken, in units of the parameters' size: far enough
# that rounding differs from place to place, near enough that the cost looks straight.
SPACING = 1e-8

# Where the cost is looked at once more for its size: at a minimum of zero its own value says nothing.
SMALL_WAY = 1e-3

# How much nearer the values are taken a second time. The table of differences across a kink shrinks as much.
CLOSER = 32.0

# How many units in the last place neighbours lie away, and how many times farther off they are looked at again: a wall
# or a ravine is as many times as high there, and what is lost to cancellation is as large everywhere.
NEIGHBOUR, FARTHER = 8.0, 64.0

# Values that differ by more than this many times as much farther off grow with the distance. Pairs of neighbours.
GROWS, PAIRS = 16.0, 9

# Two solutions of a differential equation by other steps are as far apart as either is from the true one, which is seen
# at one place, where it may happen to be small.
STEPS_APART = 32.0

# The smallest number that has all its digits.

# A computed cost has rounding of some units in the last place. Noise this many times larger comes from
# elsewhere: an inner solver, a simulation, random numbers.
ORDINARY_ROUNDING = 1e4


@dataclass(frozen=True)
class Repeatability:
    """`repeats`: two calls at one point agreed; `level`: standard deviation of the noise of a value.

    `size`: how large the cost is here and a small way off, which ordinary rounding is in proportion to.
    """

    repeats: bool
    level: float
    size: float
    how: str

    @property
    def limit(self) -> float:
        """What rounding explains."""
        return max(ORDINARY_ROUNDING * EPS * self.size, TINY)

    @property
    def is_noisy(self) -> bool:
        """Whether the noise is more than rounding explains."""
        return not self.repeats or self.level > self.limit


def repeatability_of(look: Look) -> Repeatability:
    """A second call; and for costs that cannot be traced a table of differences of nearby values."""
    again = look.value_at(look.x)
    repeats = again == look.value
    if repeats and look.objective.derivatives != "numeric":
        return Repeatability(True, 0.0, abs(look.value), "called twice at the same point")
    if look.objective.derivatives == "exact":
        return _rounded_alike(look, again)
    direction = look.generator.standard_normal(look.n) * look.scale
    direction = np.where(look.free, direction, 0.0) / max(
        float(np.linalg.norm(direction / look.scale)), 1e-300
    )
    noise = noise_of(look.value_at, look.x, direction, SPACING)
    aside = look.value_at(look.x + SMALL_WAY * direction)
    size = max(abs(look.value), abs(aside)) if np.isfinite(aside) else abs(look.value)
    level = noise.level if noise.found else 0.0
    if repeats and level > ORDINARY_ROUNDING * EPS * size:
        # What shrinks with the distance between the values is a kink, not noise.
        closer = noise_of(look.value_at, look.x, direction, noise.spacing / CLOSER)
        if closer.level < level / (0.25 * CLOSER):
            level = 0.0
    level = max(level, abs(again - look.value))
    return Repeatability(repeats, level, size, f"spread of {noise.values} values {noise.spacing:.0e} apart")


def trembles(look: Look, level: float) -> bool:
    """Whether values on both sides of the point differ from its own by `level` or more, as much near by as farther off.

    So does a matrix inverted beyond its digits. Steps and walls have another side, and slopes and kinks grow; so does a
    logarithm at its pole, though by little: there each value farther off differs by more than the one near by.
    """
    ways = (
        NEIGHBOUR * look.unit * np.where(look.free, look.generator.uniform(-1.0, 1.0, (PAIRS, look.n)), 0.0)
    )
    near, far = (
        np.array(
            [[abs(look.value_at(look.x + s * way) - look.value) for s in (times, -times)] for way in ways]
        )
        for times in (1.0, FARTHER)
    )
    seen = near.max(axis=1) > 0.0  # the others are too near to change a digit
    if 2 * int(seen.sum()) <= PAIRS or not far.max() <= GROWS * near.max() < np.inf:
        return False
    if (far > near)[seen].all():
        return False
    return 2 * int((near[seen].min(axis=1) > level).sum()) > int(seen.sum())


def _rounded_alike(look: Look, again: float) -> Repeatability:
    """Two values of one trace at one point: the programs that computed them may add in another order.

    One is interpreted and the other compiled, or one has the gradient beside it. Such values differ as much as
    the orders of a sum do, which is ordinary rounding of the cost's size, not noise.
    """
    aside = look.value_at(look.x + SMALL_WAY * np.where(look.free, look.scale, 0.0))
    size = max(abs(look.value), abs(aside)) if np.isfinite(aside) else abs(look.value)
    apart = abs(again - look.value)
    # So do the steps that two programs take through a differential equation.
    if look.unfollowed is not None and apart <= STEPS_APART * look.unfollowed[0]:
        return Repeatability(
            True, 0.0, size, "called twice at the same point, through equations followed by steps"
        )
    # A compiler may take numbers too small for full precision for zero.
    rounded = apart <= max(ORDINARY_ROUNDING * EPS * size, TINY)
    if not rounded and look.value_at(look.x) == again:
        # Where a slope is infinite, as at the edge of a square root, any rounding of its argument is as much.
        return Repeatability(True, 0.0, size, "called twice at the same point, in the same order of its sums")
    return Repeatability(rounded, apart, size, "called twice at the same point, in two orders of its sums")
