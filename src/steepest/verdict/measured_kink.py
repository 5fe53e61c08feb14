"""Where the cost is lowest along a kink, if slopes are measured: no axis need lie along it, and each rises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..linear_algebra.convex_hull import nearest_to_zero
from ..linear_algebra.symmetric import eigensystem
from ..numerics import EPS, TINY, all_finite, largest
from .look import Look

Vector = np.ndarray

# Up to this many parameters the second differences along a kink are worth their calls, and the slopes of its sides.
MOST_PARAMETERS, MOST_SIDES = 20, 60

# How far around, in natural sizes, slopes of the sides are measured, and over which steps: so short ones hardly ever
# reach across the kink, and over so short a way the cost's own bend is little of what the sides differ by.
AROUND, STEP = 1e-5, 1e-8

# Where the slopes differ by this part of the most that any do, sides of a kink meet.
SIDES = 1e-2

# Steps along the kink, in natural sizes, whose differences are its slope and curvature: the longest see weak ones, the
# last tells best where it is lowest. Newton steps by each, and halvings of those.
ALONG, NEWTON, HALVINGS = (1e-2, 1e-3, 1e-4), 6, 8

# The lowest place across is looked for this often, until it is known to this part of a natural size.
TRIALS, NEAR = 40, 4.0 * EPS

# A Newton step to a bottom of higher order is up to so many times shorter than the way.
ORDERS = 5.0

# Over half the step a kink bends twice as much, and what is smooth as much.
KINKED = 1.5

# Curvatures that change the cost by so many times its noise over the step are seen.
SEEN = 8.0

# Where it cannot be followed, what is known of the lowest place along a kink, in natural sizes; pieces of its hull
# that are looked for then, and how far down it.
HIDDEN, BUNDLED, DOWN = 1e-2, 40, (1e-5, 1e-4, 1e-3, 1e-2)


def lowest_along(look: Look) -> tuple[Vector, Vector]:
    """The lowest place (n,) found along the kink at the point, and how far from there a lower one may be, (n,).

    By Newton steps on the lowest values across the kink, which along it are those of a smooth cost, the U-Lagrangian of
    Lemaréchal, Oustry & Sagastizábal (2000). Where more than two sides meet, or of many parameters, down
    the least slope that the sides share.
    """
    if look.n > MOST_SIDES or look.count_free < 2:
        return look.x, np.zeros(look.n)
    noise = max(look.trembling(look.x, look.value), 2.0 * EPS * abs(look.value))
    x, value, error = look.x, look.value, np.zeros(look.n)
    for step in ALONG:
        for _ in range(NEWTON):
            slopes = _sides(look, x)
            across, along = _frame(look, slopes)
            is_followed = len(across) == 1 and look.n <= MOST_PARAMETERS
            kink = _Kink(look, x, across[0], along, step) if is_followed else None
            way = None if kink is None else kink.newton(noise)
            if kink is None or way is None:
                error = HIDDEN * look.scale * np.abs(along).max(axis=0, initial=0.0)
                break
            error = look.scale * (way[1] @ np.abs(along))
            ends = (kink.lowest(0.5**k * way[0]) for k in range(HALVINGS))
            lower = next((end for end in ends if end[0] < value - noise), None)
            if lower is None:
                break
            value, x = lower
        if kink is None:
            break
    if way is None and x is look.x:
        x = _down_the_hull(look, slopes, noise)
    return look.inside(x), error


def _sides(look: Look, x: Vector) -> np.ndarray:
    """Slopes (m, n), per natural size, a little around `x` (n,) on all sides."""
    free = look.free_indices
    ways = look.generator.standard_normal((free.size + 1, free.size))
    ways /= np.linalg.norm(ways, axis=1)[:, None]
    slopes = np.zeros((2 * len(ways), look.n))
    for row, way in zip(slopes, np.concatenate([ways, -ways]), strict=True):
        place = np.array(x)
        place[free] += AROUND * look.scale[free] * way
        row[free] = [_slope(look, place, k) for k in free]
    return slopes[np.isfinite(slopes).all(axis=1)]


def _slope(look: Look, x: Vector, k: int) -> float:
    """The slope of parameter `k` at `x` (n,), per natural size."""
    ahead, behind = np.array(x), np.array(x)
    ahead[k] += STEP * look.scale[k]
    behind[k] -= STEP * look.scale[k]
    ahead, behind = look.inside(ahead), look.inside(behind)
    between = (ahead[k] - behind[k]) / look.scale[k]
    return (look.value_at(ahead) - look.value_at(behind)) / between if between else 0.0


def _frame(look: Look, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit ways across the kink, (k, n), by what its `slopes` (m, n) differ in, and those along it."""
    if not len(slopes):
        return np.empty((0, look.n)), np.eye(look.n)[look.free]
    free = look.free_indices
    sizes, turned = np.linalg.svd((slopes - slopes.mean(axis=0))[:, free])[1:]
    k = int(np.count_nonzero(sizes > SIDES * sizes[0]))
    ways = np.zeros((free.size, look.n))
    ways[:, free] = turned
    return ways[:k], ways[k:]


def _down_the_hull(look: Look, slopes: np.ndarray, noise: float) -> Vector:
    """A lower place (n,) down the least slope that the sides of the kink share; the point where none is seen.

    A side that the way down meets too soon joins the `slopes` (m, n) (bundling, Kiwiel 1985).
    """
    for _ in range(BUNDLED if len(slopes) else 0):
        nearest, _ = nearest_to_zero(slopes)
        longest = largest(np.abs(nearest))
        if not longest * DOWN[-1] > noise:
            break
        way = -nearest / longest * look.scale
        places = [look.inside(look.x + t * way) for t in DOWN]
        values = np.nan_to_num([look.value_at(place) for place in places], nan=np.inf)
        if values.min() < look.value - noise:
            return places[int(values.argmin())]
        met = np.zeros(look.n)
        met[look.free] = [_slope(look, places[0], k) for k in look.free_indices]
        if not all_finite(met):
            break
        slopes = np.vstack([slopes, met])
    return look.x


@dataclass(frozen=True)
class _Kink:
    """A kink at `x` (n,), `across` (n,) and `along` (k, n) it in natural sizes, looked at over the `step`."""

    look: Look
    x: Vector
    across: Vector
    along: np.ndarray
    step: float

    def lowest(self, way: Vector) -> tuple[float, Vector]:
        """The lowest value across the kink, `way` (k,) along it, and its place (n,)."""
        look = self.look
        start = self.x + look.scale * (way @ self.along)
        width = max(self.step, largest(np.abs(way)))

        def place(s: float) -> Vector:
            return look.inside(start + s * look.scale * self.across)

        def value(s: float) -> float:
            there = look.value_at(place(s))
            return there if np.isfinite(there) else np.inf

        s, least = _bottom_of_vee(value, width)
        return least, place(s)

    def newton(self, noise: float) -> tuple[Vector, Vector] | None:
        """The Newton step (k,) to the lowest place along the kink, and how far that may be off, (k,).

        None where the cost has no value, or another kink. `noise`: of the cost.
        """
        k, t = len(self.along), self.step
        steps = t * np.eye(k)
        here = self.lowest(np.zeros(k))[0]
        ahead, behind, nearer, hither = (
            np.array([self.lowest(part * side)[0] for side in steps]) for part in (1.0, -1.0, 0.5, -0.5)
        )
        slope, close = (ahead - behind) / (2.0 * t), (nearer - hither) / t
        H = np.diag((ahead - 2.0 * here + behind) / t**2)
        for i in range(k):
            for j in range(i):
                both = self.lowest(steps[i] + steps[j])[0]
                H[i, j] = H[j, i] = (both - ahead[i] - ahead[j] + here) / t**2
        bends, closer = H.diagonal(), (nearer - 2.0 * here + hither) / (0.5 * t) ** 2
        if not (all_finite(H) and all_finite(closer)):
            return None
        if (closer - 4.0 * SEEN * noise / t**2 > KINKED * np.abs(bends)).any():
            return None
        # A third of what the longer step's slope is off by is what the shorter one's is.
        slope = close + (close - slope) / 3.0
        bends, turned = eigensystem(H)
        hidden = SEEN * noise / t**2
        bent = np.maximum(np.abs(bends), hidden + TINY)
        left = turned.T @ slope
        newton = np.clip(-left / bent, -1.0, 1.0)
        unsure = np.abs(left) + np.abs(turned.T) @ (np.abs(close - slope) + 2.0 * noise / t)
        told = np.where(bends > hidden, np.minimum(ORDERS * unsure / bent, 1.0), 1.0)
        return turned @ newton, np.abs(turned) @ told


def _bottom_of_vee(value: Callable[[float], float], width: float) -> tuple[float, float]:
    """Where within ±`width` a `value` with a kink is lowest, and how low: where lines through both its sides meet."""
    places = list(width * np.array([-1.0, -0.5, 0.0, 0.5, 1.0]))
    values = [value(s) for s in places]
    for trial in range(TRIALS):
        i = min(max(int(np.argmin(values)), 1), len(places) - 2)
        low, high = places[i - 1], places[i + 1]
        if high - low <= NEAR:
            break
        s = np.nan
        if trial % 3 < 2:
            # The lowest place is on the one side or on the other.
            left, right = ((i - 1, i), (i + 1, i + 2)) if trial % 3 else ((i - 2, i - 1), (i, i + 1))
            if left[0] >= 0 and right[1] < len(places):
                s = _meet(places, values, left, right)
        if not low < s < high or s in places:
            s = 0.5 * (low + places[i]) if places[i] - low > high - places[i] else 0.5 * (places[i] + high)
            if s in places:
                break
        j = int(np.searchsorted(places, s))
        places.insert(j, s)
        values.insert(j, value(s))
    least = int(np.argmin(values))
    return float(places[least]), float(values[least])


def _meet(places: list[float], values: list[float], left: tuple[int, int], right: tuple[int, int]) -> float:
    """Where the lines through two pairs of points meet; NaN where they do not."""
    b, c = left[1], right[0]
    rise, other = ((values[j] - values[i]) / (places[j] - places[i]) for i, j in (left, right))
    if not np.isfinite(rise - other) or rise == other:
        return np.nan
    return places[b] + (values[c] - values[b] - other * (places[c] - places[b])) / (rise - other)
