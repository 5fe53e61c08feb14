"""Is the slope zero? Measured against its own rounding error, and against what it could still win."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite

import numpy as np

from ..numerics import EPS, all_finite, quietly
from .curvature import Curvature
from .look import Look, Rounding
from .rays import STRIDE, Leads, scaled, walk
from .weakest import solved_by_factor

Vector = np.ndarray

# Nearby points at which the slope is looked at again. Fewer, and the spread of so few may be zero by chance.
REPEATS_SMALL = 3
REPEATS_LARGE = 2

# How many units in the last place each of them lies away: enough to change how everything rounds.
UNITS = 3.0

# Times its spread that a slope may be and still count as rounding. The spread of three samples falls short
# of the largest error by this much once in some thousands of cases.
SPREAD_FACTOR = 8.0

# A Newton step from the end of a well-determined walk lands where the remaining decrease is at least this
# much smaller; on a quartic it is 0.2 of what it was, on a tail like exp(-x) 0.37.
LANDING = 1e-2

# With a landing as good as that, this part of the whole fall may be left, and this part of a parameter's size:
# the minimum is then known to lie that close, and the digits say how close.
REMAINING_PART = 1e-10
STEP_PART = 1e-5
ASKED_PART = 1e-2

# A fall from very high excuses what is left where a Newton step moves no parameter by more than this part of a size
# that owes nothing to a far start, or where the cost falls for ever along the step: what the rounding of 10²² hides may
# well be a minimum farther away.
EXCUSED_STEP = 1e-3

# Ends of a walk that were not its own.
STOPPED_BY_OTHERS = ("stopped", "out of budget")


@dataclass(frozen=True)
class Optimality:
    """The answer: whether the slope is zero as far as double precision can say, and in which sense.

    `remaining`: decrease that a Newton step still promises (infinite when curvature is not positive);
    `step` (n,): that step. `by`: "rounding", "decrease", "landing", "probe", "lowest" or "" when it
    is not zero.
    `landing`: ratio of remaining decreases after and before that step, NaN where not looked at.
    """

    stationary: bool
    by: str
    slope: float
    limit: float
    remaining: float
    remaining_limit: float
    step: Vector
    landing: float
    ratio: Vector  # (n,), of each entry of the slope to what rounding explains


# Beside a jump the cost changes by more than this part of all it is and fell by, and on the side of the point by no
# more than that part of the jump. Rounding differs so much only where it leaves the cost no digits.
A_JUMP, STEADY = 1e-3, 1e-6

# Errors that are all larger than this part of the largest may be the height of one jump, with all places beyond it.
ONE_HEIGHT = 0.5


def rounding_of(look: Look, curvature: Curvature, off: Vector | None = None) -> Rounding:
    """The spread of the slope a few units in the last place away, its linear trend (by `curvature`) removed.

    `off` (n,): how far a slope that was handed in is from the cost's own; it counts as error.
    """
    x, g = look.x, look.gradient
    n = look.n
    spread, largest_trend = np.zeros(n), np.zeros(n)
    errors = []
    alone, jump = True, 0.0
    walls = None if all_finite(g) else ~(np.isfinite(g) | look.free)
    if walls is not None:  # an infinite slope that holds a parameter on its bound says nothing of the others
        g = np.where(walls, 0.0, g)
    for signed in _signed_sizes(look):
        near = look.inside(x + signed * (UNITS * look.unit))
        del signed  # of many parameters each vector counts that is held while slopes are evaluated
        shifts = near - x
        told = [look.slope_at(place) for place in near]
        del near
        values = [value for value, _ in told]
        slopes = told[0][1][None] if len(told) == 1 else np.array([slope for _, slope in told])
        del told
        if walls is not None:
            slopes = np.where(walls, 0.0, slopes)
        if not all_finite(slopes):
            finite = np.isfinite(slopes).all(axis=1)
            values = [value for value, holds in zip(values, finite, strict=True) if holds]
            shifts, slopes = shifts[finite], slopes[finite]
        if not values:
            continue
        alone = False
        trends = curvature.products_of(shifts)
        if not look.is_small:
            largest_trend = np.maximum(largest_trend, np.abs(trends).max(axis=0))
        left = slopes - g
        left -= trends
        spread = np.maximum(spread, np.maximum.reduce(np.abs(left, out=left)))
        del left, slopes
        # Where the slope is infinite nearby, nothing is told by it; the change itself is then the error.
        expected = shifts.dot(g) + 0.5 * np.add.reduce(trends * shifts, 1)
        del shifts, trends
        for value, foreseen in zip(values, expected.tolist(), strict=True):
            change = value - look.value
            jump = max(jump, abs(change))
            beyond = abs(change - foreseen)
            errors.append(beyond if beyond <= abs(change) or isfinite(beyond) else abs(change))
    # No neighbouring number has a slope smaller than half of what one unit in the last place changes it by. With
    # many parameters the trend over a few units, found already, has to tell it.
    grain = (
        np.abs(curvature.product(0.5 * look.on_free(look.spacing)))
        if look.is_small
        else np.where(look.free, largest_trend / (2.0 * UNITS), 0.0)
    )
    if off is not None:
        spread = spread + off
    return Rounding(spread + EPS * np.abs(g), _error_of_value(look, curvature, g, errors), grain, alone, jump)


def _error_of_value(look: Look, curvature: Curvature, g: Vector, errors: list[float]) -> float:
    """The error of the cost by those seen beside the point: the largest, unless that is the height of a jump.

    Where the cost jumps, it is steady on one side and a part of all it is and fell by higher or lower on the other.
    `g` (n,): the slope, where it tells something.
    """
    largest_error, known = max(errors, default=0.0), look.at_stake
    if largest_error > A_JUMP * known:
        if isfinite(largest_error) and known > 0.0 and min(errors) > ONE_HEIGHT * largest_error:
            errors = errors + _errors_opposite(look, curvature, g)
        steady = [error for error in errors if error <= STEADY * largest_error]
        largest_error = max(steady, default=largest_error)
    return max(EPS * abs(look.value), largest_error)


def _errors_opposite(look: Look, curvature: Curvature, g: Vector) -> list[float]:
    """By how much the cost is not what slope and curvature foretell at other places beside the point, in pairs.

    Those looked at before may all lie beyond a jump; of two that lie opposite to each other one does not.
    """
    errors: list[float] = []
    for signed in _signed_sizes(look):
        for sizes in (signed, -signed):
            near = look.inside(look.x + sizes * (UNITS * look.unit))
            shifts = near - look.x
            foreseen = shifts.dot(g) + 0.5 * np.add.reduce(curvature.products_of(shifts) * shifts, 1)
            changes = np.array([look.value_at(place) for place in near]) - look.value
            errors += np.abs(changes - foreseen)[shifts.any(axis=1)].tolist()
    return errors


def _signed_sizes(look: Look) -> Iterator[Vector]:
    """Random numbers of size 0.5 to 1 and either sign, a row for each place: all rows at once, or one of many."""
    if look.is_small:
        yield _few_signed_sizes(look.seed, look.n)
        return
    for _ in range(REPEATS_LARGE):
        yield _signed(look.generator, 1, look.n)


@lru_cache(maxsize=64)
def _few_signed_sizes(seed: int, n: int) -> Vector:
    """They are the same at every look with one seed: a generator takes longer to make than the slopes do."""
    return _signed(np.random.default_rng(seed), REPEATS_SMALL, n)


def _signed(generator: np.random.Generator, rows: int, n: int) -> Vector:
    drawn = generator.random((rows, n)) - 0.5
    signed: Vector = drawn + np.copysign(0.5, drawn)
    return signed


def optimality_of(look: Look, rounding: Rounding, curvature: Curvature) -> Optimality:
    """Weigh the projected slope against its error, then what it could still win against the cost's error."""
    projected = look.on_free(look.projected)
    allowed = SPREAD_FACTOR * (rounding.slope + rounding.grain)
    with quietly():
        ratio = np.where(projected == 0.0, 0.0, np.abs(projected) / allowed)
    allowed = look.on_free(allowed)
    worst = int(ratio.argmax()) if look.n else 0
    slope, limit = abs(float(projected[worst])), float(allowed[worst])
    within = bool(ratio[worst] <= 1.0)
    if not look.is_small:
        # Of very many entries some exceed their error by chance; what counts, and is told, is the root mean square.
        mean = float(np.sqrt(np.mean(ratio**2)))
        within = mean <= 1.0
        slope = float(np.linalg.norm(projected))
        limit = slope / mean if 0.0 < mean < np.inf else float(np.linalg.norm(allowed))
    step, remaining = curvature.newton(projected, rounding)
    remaining_limit = SPREAD_FACTOR * rounding.value + EPS * _fall_that_counts(look, curvature)
    landing = np.nan
    by = "rounding" if within else ""
    if not by and np.isfinite(remaining):
        by, landing = _by_landing(look, rounding, curvature, step, remaining, remaining_limit)
    if not by and remaining <= REMAINING_PART * _size(look, look.fall):
        exact = solved_by_factor(look, curvature)
        if exact is not None:
            sharp, promise = exact.newton(projected, rounding)
            by, landing = _by_landing(look, rounding, exact, sharp, promise, remaining_limit)
            by = by if by == "decrease" or landing <= LANDING else ""
            step, remaining = (sharp, promise) if by else (step, remaining)
    return Optimality(by != "", by, slope, limit, remaining, remaining_limit, step, landing, ratio)


def _fall_that_counts(look: Look, curvature: Curvature) -> float:
    """The fall of which a rounding error may be left: of a walk that ended by itself, near a bottom without curvature.

    One that was stopped may still be coming down from heights that say nothing of the rounding here; and of very many
    parameters a few products do not tell what is left.
    """
    if look.fall is None or look.stop in STOPPED_BY_OTHERS:
        return 0.0
    return look.fall if look.stop is not None or curvature.complete else 0.0


def _by_landing(
    look: Look,
    rounding: Rounding,
    curvature: Curvature,
    step: Vector,
    remaining: float,
    remaining_limit: float,
) -> tuple[str, float]:
    """Whether a Newton step ends where it promised; only then does its promise say where the minimum is."""
    units = look.scale if look.start is not None else np.maximum(look.scale, 1.0)
    if look.stop in STOPPED_BY_OTHERS:
        units = np.minimum(
            units, look.own_size
        )  # of a start at 1e20 the whole rest of the way is next to nothing
    below_rounding = remaining <= remaining_limit
    if below_rounding and remaining > SPREAD_FACTOR * rounding.value:
        tiny = bool((np.abs(step) <= EXCUSED_STEP * look.own_size).all())
        below_rounding = tiny or not _turns_up(look, step, rounding)
    # Of very many parameters the step is a rough one that lands anywhere, and the fall of a walk cut off says nothing.
    fall = look.fall if curvature.complete else _fall_that_counts(look, curvature)
    size = _size(look, fall)
    asked = look.stop == "tolerance reached"
    near = remaining <= (ASKED_PART if asked else REMAINING_PART) * size
    near &= bool((np.abs(step) <= (ASKED_PART if asked else STEP_PART) * units).all())
    if not (below_rounding or near):
        return "", np.nan
    _, gradient = look.slope_at(look.x + step)
    if not np.isfinite(gradient).all():
        return "", np.nan
    landed = look.objective.bounds.projected_gradient(look.x + step, gradient)
    _, left = curvature.newton(np.where(look.free, landed, 0.0), rounding)
    landing = left / remaining if remaining > 0 else 0.0
    if below_rounding:
        return "decrease", landing
    if landing <= LANDING or (not curvature.complete and landing <= 1.0):
        return "landing", landing
    return "", landing


def _size(look: Look, fall: float | None) -> float:
    """What a decrease is measured by: the cost here, the `fall` of the walk; or one, where nothing is known of it."""
    return max(fall or 0.0, abs(look.value), 1.0 if look.fall is None else 0.0)


def _turns_up(look: Look, step: Vector, rounding: Rounding) -> bool:
    """Whether the cost is seen to rise farther along a Newton step, if need be until no number holds it."""
    direction = scaled(look, step)
    ray = walk(look, direction, rounding.value)
    if ray.leads is Leads.DOWN_TO_EDGE:
        return bool(look.value_at(look.x + STRIDE * ray.reach * direction) == np.inf)
    return ray.leads is Leads.DOWN_AND_UP


def newton_decrease(look: Look, curvature: Curvature) -> float:
    """What a Newton step along the directions that bend upwards could still win, were there no others."""
    along = curvature.vectors.T @ np.where(look.free, look.projected, 0.0)
    bent = curvature.values > curvature.limit
    return 0.5 * float(np.sum(along[bent] ** 2 / curvature.values[bent]))
