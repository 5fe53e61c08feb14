"""Does some direction cost nothing? Probes along the directions in which the Hessian shows no curvature."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from .curvature import Curvature
from .look import Look

Vector = np.ndarray

# Distances of the probes, in units of the parameters' size. The near ones say what kind of point this is;
# the far ones whether a level stretch goes on.
NEAR = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FAR = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 1e3, 1e6)

# Of so many level directions each is probed; of more, this many combinations drawn at random.
PROBED = 12

# A valley that bends is followed by steps this long, each put back to the bottom by the curved directions.
VALLEY_STEP = 1e-2
VALLEY_CORRECTIONS = 30

# A rise of this part of what the curved directions cost over one natural size is none: a bottom of order ten
# rises more over the step.
VALLEY_FLOOR = 1e-22

# A level stretch of at least this part of the natural size, without any slope, is one.
STRETCH = 1e-3

# To the left and right of where a value has changed, this part of the way, a stepping cost is as high as there.
STEP_WIDTH = 1e-6

# Reading back the last distance at which the cost was level, bisected this often.
BISECTIONS = 60

# Places at which the sign of a fading slope is looked at.
SIGNS = 8

# A slope this small a part of the cost has all but underflowed: the cost was still falling when double precision
# gave out. No polynomial comes down so far between neighbouring numbers.
UNDERFLOW = 1e-100


class Runs(StrEnum):
    """How the cost runs along one direction, both ways."""

    RISING = "rising"
    LEVEL = "level"
    LEVEL_ONE_WAY = "level one way"
    FALLING = "falling"
    FALLING_FARTHER_OFF = "level, then falling"
    RISING_FARTHER_OFF = "level, then rising"
    STEPPING = "in steps"
    BENDING_VALLEY = "level along a bend"
    FADING = "fading away"


@dataclass(frozen=True)
class Course:
    """One direction (n,) and how the cost runs along it; `level`: distance both ways that costs nothing.

    `downhill` points to the lower side and `lower` is a lower cost met, at `place`; else None.
    """

    direction: Vector
    runs: Runs
    level: float
    downhill: Vector | None = None
    place: Vector | None = None
    lower: float = np.inf


def courses(look: Look, curvature: Curvature, rounding: float) -> list[Course]:
    """The course along each null direction of `curvature`, the first falling one ending the search."""
    found = []
    for direction in _null_directions(look, curvature):
        course = course_along(look, direction, rounding, curvature)
        found.append(course)
        if course.runs in (Runs.FALLING, Runs.STEPPING):
            break
    return found


def _null_directions(look: Look, curvature: Curvature) -> list[Vector]:
    """A basis of the null space with as few parameters in each direction as possible, then combinations."""
    null = curvature.null
    # In the equilibrated variables the null vectors are orthonormal; parameters with a large share first.
    N = curvature.vectors[:, null]
    basis = _sparse_basis(N / np.maximum(np.linalg.norm(N, axis=0), 1e-300), look.scale)
    k = len(basis)
    if k > PROBED:
        mixed = [look.generator.choice((-1.0, 1.0), k) @ np.array(basis) for _ in range(PROBED)]
        return [*basis[: PROBED // 2], *mixed[: PROBED // 2]]
    if k > 1:
        combinations = [look.generator.standard_normal(k) @ np.array(basis) for _ in range(2)]
        return basis + combinations
    return basis


def _sparse_basis(N: np.ndarray, scale: Vector) -> list[Vector]:
    """Columns of N (n, k) recombined by Gauss-Jordan with pivoting, each in units of the parameters' size."""
    rows = (N / scale[:, None]).T.copy()
    k = rows.shape[0]
    for i in range(k):
        sizes = np.abs(rows[i:])
        r, c = np.unravel_index(int(np.argmax(sizes)), sizes.shape)
        rows[[i, i + r]] = rows[[i + r, i]]
        if rows[i, c] == 0.0:
            rows = rows[:i]
            break
        rows[i] /= rows[i, c]
        for j in range(k):
            if j != i:
                rows[j] -= rows[j, c] * rows[i]
    rows[np.abs(rows) < 1e-9] = 0.0
    return [row / max(float(np.abs(row).max()), 1e-300) * scale for row in rows]


def course_along(look: Look, direction: Vector, rounding: float, curvature: Curvature) -> Course:
    """Probe both ways along `direction` (n,), nearest first; the first change beyond rounding decides."""
    sides = [_side(look, sign * direction, rounding) for sign in (1.0, -1.0)]
    changed = [side for side in sides if side.change != 0.0]
    level = min((side.level for side in sides), default=0.0)
    falling = [side for side in changed if side.change < 0.0]
    if changed and all(side.stepping for side in changed):
        lowest = min(changed, key=lambda side: side.value)
        return Course(direction, Runs.STEPPING, level, lowest.direction, lowest.place, lowest.value)
    if falling:
        side = min(falling, key=lambda side: side.level)
        near = side.level <= NEAR[-2]
        runs = Runs.FALLING if near else Runs.FALLING_FARTHER_OFF
        return Course(direction, runs, level, side.direction, side.place, side.value)
    if len(changed) == 2:
        if curvature.values.size > curvature.null.size:
            if _valley_bends(look, direction, curvature, rounding):
                return Course(direction, Runs.BENDING_VALLEY, np.inf)
        # A power rises from the point itself, be it too little to see; a level stretch has no slope at all.
        stretch = any(side.flat and side.level >= STRETCH for side in changed)
        near = level <= NEAR[-2] and not stretch
        return Course(direction, Runs.RISING if near else Runs.RISING_FARTHER_OFF, level)
    if not changed:
        return Course(direction, Runs.LEVEL, np.inf)
    if _fades(look, changed[0]):
        beyond = _lower_beyond(look, changed[0], rounding)
        if beyond is not None:
            place, lower = beyond
            return Course(direction, Runs.FALLING_FARTHER_OFF, level, changed[0].direction, place, lower)
        return Course(direction, Runs.FADING, level, -changed[0].direction)
    return Course(direction, Runs.LEVEL_ONE_WAY, level, -changed[0].direction)


@dataclass(frozen=True)
class _Side:
    direction: Vector
    level: float  # the farthest level distance before the first change
    change: float  # sign of the first change, 0 if none
    first_change: float  # its distance
    value: float
    place: Vector
    stepping: bool
    flat: bool  # whether the slope is nothing at all at that farthest level distance


def _side(look: Look, direction: Vector, rounding: float) -> _Side:
    level, previous, flat = 0.0, look.x, False
    slope = abs(float(look.gradient @ direction))
    for t in (*NEAR, *FAR):
        x = look.objective.bounds.project(look.x + t * direction)
        if np.array_equal(x, previous):
            break
        value, gradient = look.slope_at(x)
        if not np.isfinite(value):
            break
        change = value - look.value
        if abs(change) > 8 * rounding + 2 * slope * t and abs(change) > 4 * look.trembling(x, value):
            still = bool(np.isfinite(gradient).all() and not gradient[direction != 0].any())
            if still or look.objective.derivatives == "numeric":
                beside = [
                    look.value_at(look.x + t * (1.0 + s) * direction) for s in (-STEP_WIDTH, STEP_WIDTH)
                ]
                still = all(other == value for other in beside)
            return _Side(direction, level, float(np.sign(change)), t, value, x, still, flat)
        flat = abs(float(np.where(x != previous, gradient, 0.0) @ direction)) == 0.0
        level, previous = t, x
    return _Side(direction, level, 0.0, np.inf, look.value, look.x, False, flat)


def _fades(look: Look, side: _Side) -> bool:
    """Whether the slope dies out through underflow on the way here: exp(-800) is level only to the computer."""
    low, high = side.level, side.first_change
    smallest = np.inf
    signs = set()
    for t in np.linspace(low, high, SIGNS + 2)[1:-1]:
        signs.add(float(np.sign(look.slope_at(look.x + t * side.direction)[1] @ side.direction)))
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        slope = float(look.slope_at(look.x + middle * side.direction)[1] @ side.direction)
        signs.add(float(np.sign(slope)))
        if slope == 0.0:
            low = middle
        else:
            high = middle
            smallest = min(smallest, abs(slope))
    if {1.0, -1.0} <= signs:
        return False  # what swings to and fro fades towards nothing in particular
    return smallest < UNDERFLOW * max(abs(look.value), abs(side.value))


def _turned(look: Look, curvature: Curvature, x: Vector, k: int) -> tuple[np.ndarray, Vector]:
    """The `k` most curved directions (n, k) at `x` (n,), and their curvatures (k,): a valley that bends turns them."""
    free, d = curvature.free, look.scale[curvature.free]
    H = look.objective.hessian(x)[np.ix_(free, free)]
    values, scaled = np.linalg.eigh(d[:, None] * np.nan_to_num(H) * d)
    vectors = np.zeros((look.n, k))
    vectors[free] = d[:, None] * scaled[:, free.size - k :]
    return vectors, np.maximum(values[free.size - k :], curvature.limit)


def _lower_beyond(look: Look, side: _Side, rounding: float) -> tuple[Vector, float] | None:
    """A lower place on the far side of a rise, should the probes meet one."""
    for t in (t for t in (*NEAR, *FAR) if t > side.first_change):
        x = look.objective.bounds.project(look.x + t * side.direction)
        value = look.value_at(x)
        if value < look.value - 8 * rounding:
            return x, value
    return None


def _valley_bends(look: Look, direction: Vector, curvature: Curvature, rounding: float) -> bool:
    """Whether the bottom goes on along a bend: a step, put back by the curved directions, costs nothing."""
    bent = ~np.isin(np.arange(curvature.values.size), curvature.null)
    V, curvatures = curvature.vectors[:, bent], curvature.values[bent]
    x = look.x + VALLEY_STEP * direction
    best, value, turned, turned_curvatures = x, np.inf, V, curvatures
    for _ in range(VALLEY_CORRECTIONS):
        here, gradient = look.slope_at(x)
        if not (np.isfinite(gradient).all() and here < value):
            break
        best, value = x, here
        if curvature.hessian is not None and look.objective.has_hessian:
            turned, turned_curvatures = _turned(look, curvature, x, int(bent.sum()))
        x = x - turned @ ((turned.T @ np.where(look.free, gradient, 0.0)) / turned_curvatures)
    moved = float(np.max(np.abs(best - look.x) / look.scale))
    # What the curved directions cost over one natural size; a bottom of order k rises by the step to the k of it.
    unit = float((curvatures / np.max(np.abs(V) / look.scale[:, None], axis=0) ** 2).max(initial=0.0))
    allowed = 8 * max(rounding, look.trembling(best, value)) + VALLEY_FLOOR * unit
    return moved > 0.5 * VALLEY_STEP and value - look.value <= allowed
