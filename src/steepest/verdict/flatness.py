"""Does some direction cost nothing? Probes along the directions in which the Hessian shows no curvature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import isfinite
from typing import Protocol

import numpy as np

from ..linear_algebra import lapack
from ..linear_algebra.long_vectors import holds_everywhere
from ..linear_algebra.symmetric import eigensystem, finite_part
from ..numerics import EPS, TINY, all_finite, largest
from ..solvers.shrinking_steps import is_steady, shrinking
from .curvature import SUSPICIOUS, Curvature
from .look import Look
from .weakest import shifted_factor

Vector = np.ndarray

# Distances of the probes, in units of the parameters' size. The near ones say what kind of point this is;
# the far ones whether a level stretch goes on.
NEAR = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FAR = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 1e3, 1e6)

# Where only numbers move that say nothing of their unit, probes begin nearer: of x³ + x⁴ in units of 1e-8 one sees at a
# distance of 1e-4 a quartic's bottom.
NEARER = tuple(10.0**k for k in range(-16, -4))

# A quadratic does not turn between them: it has no valley that is near only, and no stretch that is level for a while.
OF_A_QUADRATIC = (1.0, 1e3, 1e6)

# A share of a direction, of length one in equilibrated variables, that is the rounding of an eigenvector.
NO_SHARE = 1e-13

# Of so many level directions each is probed; of more, this many combinations drawn at random.
PROBED = 12

# Of those of a quadratic, which are all level alike, half as many as this, and as many combinations.
PROBED_OF_A_QUADRATIC = 4

# Places looked at, in natural sizes, from a start on a level stretch that nothing led to.
EVEN = np.linspace(-2.0, 2.0, 62)

# Combinations of them with all signs, drawn at random, where nothing bends at all and no walk led here.
SIGNED = 10

# A valley that bends is followed by steps this long, each put back to the bottom by the curved directions.
VALLEY_STEP = 1e-2
# A bottom of order eight comes down by a third at each correction only, and has to come down all the way.
VALLEY_CORRECTIONS = 100
# By a factor of the second derivatives right there each gains less than half of what the one before did, however high
# the order. Where it gains more, and next to nothing of the whole, they creep along the valley and not to its bottom.
SLOWEST_GAIN, CREEPING = 0.5, 1e-4

# Where the bounds cut them, even those made anew may gain so small a part of what is left that they never arrive.
CUT_SHORT = 0.2

# Corrections that shrink by the same factor are taken all at once where they come to no more than this, in natural
# sizes: from farther out what looks like one bottom may be the ridge between two.
AT_ONCE = 0.1

# While each correction leaves at most this part of the slope, the directions need not be found again for the next.
STILL_TURNED = 0.3

# A rise of this part of what the curved directions cost over one natural size is none: a bottom of order ten
# rises more over the step.
VALLEY_FLOOR = 1e-22

# The bottom of a valley is followed by so many steps, each twice as long, to eighty natural sizes; it must have fallen
# within the first few, or it is level: farther off, another valley may be meant. The last falls on the way to a limit
# are small.
DOUBLINGS, LOCAL, DYING = 13, 5, 3

# A fall along a bend counts when it is this many times what rounding explains: both ends tremble.
BEYOND = 4.0

# A valley that leaves a straight line by no more than this part of its length does not bend.
STRAIGHT = 1e-8

# A course that is no longer than so many times the distance at which the cost rises straight on follows no bend: on a
# bottom of higher order, put back until its rise is rounding, it ends a little beyond.
BEYOND_STRAIGHT = 2.0

# A level stretch of at least this part of the natural size, without any slope, is one.
STRETCH = 1e-3

# To the left and right of where a value has changed, this part of the way, a stepping cost is as high as there.
STEP_WIDTH = 1e-6

# A change between neighbouring numbers that is this many times what rounding explains is a jump.
JUMP = 100.0

# Null directions that bend off the point by less than this part of what others do hardly bend; they are looked at so
# often, on both sides, this far off in natural sizes.
HARDLY_BENT, BESIDE, ASIDE = 1e-3, 2, 0.1

# Curvatures below this are none.

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
    FALLING_ALONG_A_BEND = "falling along a bend"
    FADING_ALONG_A_BEND = "falling along a bend, ever less"
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


def least_bent_aside(look: Look, curvature: Curvature, found: list[Course]) -> list[Vector]:
    """Directions without curvature that hardly bend off the point either, where all that were `found` rise.

    A tail and a bottom of higher order have both no curvature at the point, or rounding of one, and whatever has a
    share of the bottom rises. Off the point only the bottom bends.
    """
    if curvature.hessian is None or not look.objective.has_hessian or look.quadratic:
        return []
    weak = curvature.vectors[:, curvature.values <= SUSPICIOUS].T
    if len(weak) < 2 or any(course.runs is not Runs.RISING for course in found):
        return []
    basis = weak / np.abs(weak / look.scale).max(axis=1, keepdims=True)
    seen = np.zeros((len(basis), len(basis)))
    for _ in range(BESIDE):
        aside = ASIDE * look.generator.uniform(-1.0, 1.0, len(basis)) @ basis
        for place in (look.inside(look.x + aside), look.inside(look.x - aside)):
            bent = basis @ finite_part(look.objective.hessian(place)) @ basis.T
            seen += bent @ bent / max(float((bent * bent).sum()), TINY)
    values, vectors = eigensystem(seen)
    least = vectors.T[values <= HARDLY_BENT**2 * values[-1]]
    return list(least[:PROBED] @ basis)


def _null_directions(look: Look, curvature: Curvature) -> list[Vector]:
    """A basis of the null space with as few parameters in each direction as possible, then combinations."""
    null = curvature.null
    # In the equilibrated variables the vectors are orthonormal; parameters with a large share first. What is
    # rounding there would be a step of its own for a small parameter beside a huge one.
    d, basis = curvature.scaling[:, None], None
    if curvature.values.size == look.n and null.size > max(PROBED, look.n - null.size):
        shares = np.delete(curvature.vectors, null, axis=1) / d
        across = np.where(np.abs(shares) > NO_SHARE, shares, 0.0) / d
        basis = _basis_across(across.T * look.scale, look.scale)
    if basis is None:
        along = curvature.vectors[:, null]
        N = np.where(np.abs(along / d) > NO_SHARE, along, 0.0)
        basis = _sparse_basis(N / np.maximum(np.abs(N).max(axis=0, initial=0.0), 1e-300), look.scale)
    k = len(basis)
    if null.size == curvature.values.size and not look.fall and k > 1:
        # Nothing is known: a product of many factors changes only where all of them do.
        signs = look.generator.choice((-1.0, 1.0), (SIGNED, k)) @ basis
        return [*basis[:PROBED], np.sum(basis, axis=0), *signs]
    if k > PROBED:
        half = (PROBED_OF_A_QUADRATIC if look.quadratic else PROBED) // 2
        return [*basis[:half], *(look.generator.choice((-1.0, 1.0), (half, k)) @ basis)]
    if k > 1:
        return [*basis, *(look.generator.standard_normal((2, k)) @ basis)]
    return list(basis)


def _sparse_basis(N: np.ndarray, scale: Vector) -> np.ndarray:
    """Columns of N (n, k) recombined to rows (k, n), of which each has a parameter that no other has.

    In units of the parameters' size. Few are recombined by Gauss-Jordan with pivoting, and many by one factorisation.
    """
    rows = (N / scale[:, None]).T.copy()
    rows = _eliminated(rows) if len(rows) <= PROBED else _solved(rows)
    return _in_units(rows, scale)


def _in_units(rows: np.ndarray, scale: Vector) -> np.ndarray:
    """Rows (k, n) in the parameters' own units, with a largest share of one natural size each, and no tiny ones."""
    rows[np.abs(rows) < 1e-9] = 0.0
    return rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-300) * scale


def _basis_across(bent: np.ndarray, scale: Vector) -> np.ndarray | None:
    """The same as `_sparse_basis` (k, n), from the few directions `bent` (n - k, n) that its rows have no share of.

    In each row one parameter of its own moves, and n - k others, the same for all, make up for that. None where
    rounding has left no such others.

    >>> _basis_across(np.array([[4.0, 2.0, 1.0]]), np.ones(3))
    array([[-0.5 ,  1.  ,  0.  ],
           [-0.25,  0.  ,  1.  ]])
    """
    few, n = bent.shape
    bent = bent / np.maximum(np.abs(bent).max(axis=1, keepdims=True, initial=0.0), 1e-300)
    if not all_finite(bent):
        return None
    if few:
        factor, pivots, _, _, _ = lapack.dgeqp3(bent)
        size = np.abs(factor.diagonal())
        if not (size > EPS * size[0]).all():
            return None
        others, own = pivots[:few] - 1, np.sort(pivots[few:] - 1)
    else:
        others, own = np.arange(0), np.arange(n)
    rows = np.zeros((n - few, n))
    rows[:, others] = -np.linalg.solve(bent[:, others], bent[:, own]).T
    rows[np.arange(n - few), own] = 1.0
    return _in_units(rows, scale)


def _solved(rows: np.ndarray) -> np.ndarray:
    """The same as `_eliminated`, with the pivots that QR would take."""
    factor, pivots, _, _, _ = lapack.dgeqp3(rows)
    size = np.abs(factor.diagonal())
    if not (size > EPS * size[0]).all():
        return _eliminated(rows)
    return np.linalg.solve(rows[:, pivots[: len(rows)] - 1], rows)


def _eliminated(rows: np.ndarray) -> np.ndarray:
    """Rows (k, n) recombined by Gauss-Jordan with complete pivoting; those that depend on others are left out."""
    k = len(rows)
    for i in range(k):
        sizes = np.abs(rows[i:])
        r, c = divmod(int(np.argmax(sizes)), sizes.shape[1])
        rows[[i, i + r]] = rows[[i + r, i]]
        if rows[i, c] == 0.0:
            rows = rows[:i]
            break
        rows[i] /= rows[i, c]
        others = rows[:, c].copy()
        others[i] = 0.0
        rows -= others[:, None] * rows[i]
    return rows


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
        # A power falls from the point itself; where there was no slope at all up to the fall, it lies farther off.
        near = side.level <= NEAR[-2] and not (side.flat and side.level >= STRETCH)
        runs = Runs.FALLING if near else Runs.FALLING_FARTHER_OFF
        return Course(direction, runs, level, side.direction, side.place, side.value)
    if len(changed) == 2:
        if curvature.values.size > curvature.null.size:
            straight = min(side.first_change for side in changed)
            bend = _along_the_bend(look, direction, curvature, rounding, straight)
            if bend is not None:
                return Course(direction, bend[0], np.inf, *bend[1:])
        # A power rises from the point itself, be it too little to see; a level stretch has no slope at all.
        stretch = any(side.flat and side.level >= STRETCH for side in changed)
        near = level <= NEAR[-2] and not stretch
        return Course(direction, Runs.RISING if near else Runs.RISING_FARTHER_OFF, level)
    if curvature.null.size == curvature.values.size and not look.fall:
        # Nothing led here, and nothing here leads anywhere: a lower place may lie between the probes.
        between = _lower_between(look, direction, rounding)
        if between is not None:
            place, lower = between
            return Course(direction, Runs.FALLING_FARTHER_OFF, level, place - look.x, place, lower)
    if not changed:
        return Course(direction, Runs.LEVEL, np.inf)
    if any(side.change == 0.0 and side.moved < STRETCH for side in sides) and changed[0].level <= NEAR[-2]:
        return Course(direction, Runs.RISING, level)  # up one way, and the other ends at a bound
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
    moved: float  # how far it could go, in natural sizes
    flat: bool  # whether the slope is nothing at all at that farthest level distance


def _side(look: Look, direction: Vector, rounding: float) -> _Side:
    level, previous, flat = 0.0, look.x, False
    slope = abs(float(look.gradient.dot(direction)))
    for t in _distances(look, direction):
        x = look.inside(look.x + t * direction)
        if holds_everywhere(x == previous):
            break
        value, gradient = look.slope_at(x)
        if not isfinite(value):
            break
        change = value - look.value
        if abs(change) > 8 * rounding + 2 * slope * t and abs(change) > 4 * look.trembling(x, value):
            still = all_finite(gradient) and not gradient[direction != 0].any()
            if still or look.objective.derivatives == "numeric":
                beside = [
                    look.value_at(look.x + t * (1.0 + s) * direction) for s in (-STEP_WIDTH, STEP_WIDTH)
                ]
                still = all(other == value for other in beside)
                still = still and _jumps_between(look, direction, level, t, rounding)
            return _Side(direction, level, float(np.sign(change)), t, value, x, still, t, flat)
        flat = float(np.where(x != previous, gradient, 0.0).dot(direction)) == 0.0
        level, previous = t, x
    moved = look.apart(previous, look.x)
    return _Side(direction, level, 0.0, np.inf, look.value, look.x, False, moved, flat)


def _distances(look: Look, direction: Vector) -> tuple[float, ...]:
    """Where to probe along `direction` (n,), nearest first, in natural sizes."""
    if look.quadratic:
        return OF_A_QUADRATIC
    unsized = look.unsized.any() and bool(look.unsized[direction != 0.0].all())
    return (*NEARER, *NEAR, *FAR) if unsized else (*NEAR, *FAR)


def _jumps_between(look: Look, direction: Vector, low: float, high: float, rounding: float) -> bool:
    """Whether the cost changes at one place between two distances; a slope that has saturated changes it gradually."""
    values = [look.value, look.value_at(look.x + high * direction)]
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        value = look.value_at(look.x + middle * direction)
        if abs(value - look.value) <= 8 * rounding:
            low, values[0] = middle, value
        else:
            high, values[1] = middle, value
    return abs(values[1] - values[0]) > JUMP * (8 * rounding + EPS * max(abs(look.value), look.fall or 0.0))


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
    free, whole = curvature.free, curvature.free.size == look.n
    d, H = look.scale, look.objective.hessian(x)
    if not whole:
        d, H = d[free], H[np.ix_(free, free)]
    values, scaled = eigensystem(d[:, None] * finite_part(H) * d)
    vectors = np.zeros((look.n, k))
    vectors[slice(None) if whole else free] = d[:, None] * scaled[:, free.size - k :]
    return vectors, np.maximum(values[free.size - k :], curvature.limit * max(largest(np.abs(values)), TINY))


def _lower_between(look: Look, direction: Vector, rounding: float) -> tuple[Vector, float] | None:
    """The lowest of many evenly spaced places on both sides, should it be lower."""
    places = [look.objective.bounds.project(look.x + t * direction) for t in EVEN]
    values = np.array([look.value_at(place) for place in places])
    lowest = int(np.argmin(np.where(np.isnan(values), np.inf, values)))
    return (places[lowest], float(values[lowest])) if values[lowest] < look.value - 8 * rounding else None


def _lower_beyond(look: Look, side: _Side, rounding: float) -> tuple[Vector, float] | None:
    """A lower place on the far side of a rise, should the probes meet one."""
    for t in (t for t in (*NEAR, *FAR) if t > side.first_change):
        x = look.objective.bounds.project(look.x + t * side.direction)
        value = look.value_at(x)
        if value < look.value - 8 * rounding:
            return x, value
    return None


@dataclass
class _Bottom:
    """Where a step along a valley ended once the curved directions had put it back, and what there is rounding.

    `least`: what is rounding in any case; `find_allowed` looks at neighbours too, which takes more evaluations.
    """

    place: Vector
    value: float
    least: float
    find_allowed: Callable[[], float]

    @cached_property
    def allowed(self) -> float:
        """What the cost may differ by here and be level; at least `least`."""
        return self.find_allowed()

    def explains(self, rise: float) -> bool:
        """Whether a rise is no more than rounding."""
        return rise <= self.least or rise <= self.allowed


def _along_the_bend(
    look: Look, direction: Vector, curvature: Curvature, rounding: float, straight: float
) -> tuple[Runs, Vector | None, Vector | None, float] | None:
    """How the bottom of a valley runs that begins along ±`direction`; None where it rises or ends.

    A step to each side, put back by the curved directions, must be level to rounding, or lower. The lower side is then
    followed by steps that double: what one step hides in rounding, several show. A fall that goes on to the end of
    them and dies out is one towards a limit. What is level and leads no farther than the cost is level straight on, to
    the distance `straight`, is the floor of one place. Gives the word, and of a fall its direction, and where it was
    lowest.
    """
    back: _Back = (
        _ByFactors(look, curvature)
        if not curvature.complete and look.objective.has_sparse_hessian
        else _ByVectors(look, curvature)
    )
    first = [_put_back(look, look.x + s * VALLEY_STEP * direction, back, rounding) for s in (1.0, -1.0)]
    ends = [
        (bottom.value, s, bottom) for s, bottom in zip((1.0, -1.0), first, strict=True) if bottom is not None
    ]
    if not ends:
        return None
    _, sign, bottom = min(ends, key=lambda end: end[0])
    if (
        not bottom.explains(bottom.value - look.value)
        or look.apart(bottom.place, look.x) <= 0.5 * VALLEY_STEP
    ):
        return None
    course = [_Bottom(look.x, look.value, bottom.least, lambda: bottom.allowed), bottom]
    length = VALLEY_STEP
    while len(course) <= DOUBLINGS:
        length *= 2.0
        # What falls is followed far, and there the curved directions are others.
        far = len(course) > LOCAL
        onward = _put_back(look, course[-1].place + sign * length * direction, back, rounding, anew=far)
        if onward is None or look.apart(onward.place, course[-1].place) > 2.0 * length:
            break
        if not onward.explains(onward.value - course[-1].value):
            break
        course.append(onward)
        if len(course) == LOCAL + 1 and _is_fall(course):
            # The point may lie above the bottom by as much as the others were put back by. Second derivatives from
            # higher up a bottom of high order would promise next to nothing here.
            course[0] = _put_back(look, look.x, back, rounding, anew=True) or course[0]
        if len(course) == LOCAL + 1 and not _is_fall(course):
            break
    if not _is_fall(course[: LOCAL + 1]):
        # The steps asked for add up to twice the last.
        if look.apart(course[-1].place, look.x) <= min(BEYOND_STRAIGHT * straight, length):
            return None
        if look.quadratic:
            return Runs.LEVEL, None, None, np.inf
        if not _is_straight(look, direction, course[-1].place):
            return Runs.BENDING_VALLEY, None, None, np.inf
        # Rounding had turned the direction: along the course itself the cost is level, or rises farther off.
        way = course[-1].place - look.x
        way /= largest(np.abs(way / look.scale))
        if all(_side(look, s * way, rounding).change > 0.0 for s in (1.0, -1.0)):
            return None
        return Runs.LEVEL, None, None, np.inf
    lowest = min(course, key=lambda end: end.value)
    falls = -np.diff([end.value for end in course])
    endless = len(course) > DOUBLINGS and bool(falls[-DYING:].max() < 0.5 * falls.max())
    runs = Runs.FADING_ALONG_A_BEND if endless else Runs.FALLING_ALONG_A_BEND
    return runs, sign * direction, lowest.place, lowest.value


def _is_straight(look: Look, direction: Vector, end: Vector) -> bool:
    """Whether the way to `end` (n,) leaves the line along ±`direction` (n,) by no more than rounding."""
    way, line = (end - look.x) / look.scale, direction / look.scale
    along = float(way @ line) / float(line @ line) * line
    return bool(np.linalg.norm(way - along) <= STRAIGHT * np.linalg.norm(way))


def _is_fall(course: list[_Bottom]) -> bool:
    """Whether the last of these is lower than the first beyond what rounding does at any of them."""
    fall = course[0].value - course[-1].value
    return all(fall > BEYOND * end.least for end in course) and all(
        fall > BEYOND * end.allowed for end in course
    )


def _put_back(look: Look, x: Vector, back: _Back, rounding: float, *, anew: bool = False) -> _Bottom | None:
    """The bottom of the valley near `x` (n,), found by Newton steps along the curved directions alone.

    Second derivatives from elsewhere in the valley serve as long as each step leaves a small part of the slope and
    lowers the cost; where they do not, they are made anew, and with `anew` at once. So it ends where new ones win
    nothing either, or where the cost is level and the step promises less than its rounding. Where new ones find the
    bottom no faster than linearly, as one of higher order, what their steps would add up to is tried first.
    """
    place, value = x, np.inf
    # No promise is believed before second derivatives are made anew, where that was asked for.
    slope, promised = x, 0.0 if anew else np.inf
    gained = gain = promise = 0.0
    fresh = False
    step, series, times = x, _Series(), 1.0
    for _ in range(VALLEY_CORRECTIONS):
        here, gradient = look.slope_at(x)
        lower = bool(here < value and all_finite(gradient))
        if times > 1.0 and not (lower and here <= value - promise):
            x, times = place - step, 1.0
            continue
        if not lower and (fresh or not isfinite(value)):
            break
        if lower:
            left = value - look.value
            before, gain = gain, value - here if isfinite(value) else 0.0
            gained += gain
            place, value, slope = look.objective.bounds.project(x), here, look.on_free(gradient)
            if back.creeps and SLOWEST_GAIN * before < gain <= CREEPING * gained:
                break
            if fresh and gain < CUT_SHORT * left and not look.objective.bounds.contains(x):
                break
        step, promise = back.step(slope)
        if lower and promise <= rounding and promised > 0.0 and value - look.value <= 8 * rounding:
            break
        fresh = not (lower and promise <= STILL_TURNED**2 * promised)
        if fresh:
            if not back.renew(place):
                break
            step, promise = back.step(slope)
        promised = promise
        times = series.at_once(step / look.scale) if fresh else 1.0
        x = place - times * step
    if not isfinite(value):
        return None
    floor = VALLEY_FLOOR * back.unit

    def allowed() -> float:
        return 8 * max(rounding, look.trembling(place, value)) + floor

    return _Bottom(place, value, 8 * rounding + floor, allowed)


class _Series:
    """Corrections one after the other, and as how many the next may be taken; in natural sizes, shape (n,)."""

    def __init__(self) -> None:
        self._last: Vector | None = None
        self._ratio = 0.0

    def at_once(self, step: Vector) -> float:
        """How many times the next `step` all that are to come add up to, for steps that shrink steadily; else 1."""
        last, before = self._last, self._ratio
        self._last, self._ratio = step, 0.0 if last is None else shrinking(last, step)
        if not is_steady(self._ratio, before):
            return 1.0
        times = 1.0 / (1.0 - self._ratio)
        if times * float(np.abs(step).max()) > AT_ONCE:
            return 1.0
        self._last, self._ratio = None, 0.0  # after such a leap the factor is another
        return times


class _Back(Protocol):
    """Steps back to the bottom of a valley, by second derivatives met somewhere along it.

    `unit`: what the curved directions cost over one natural size; a bottom of order k rises by a step to the k of that.
    `creeps`: whether the steps may come to follow the valley, ever shorter, instead of ending at its bottom.
    """

    unit: float
    creeps: bool

    def step(self, gradient: Vector) -> tuple[Vector, float]:
        """What is to be taken off, (n,), for a slope (n,), and the decrease that this promises."""
        ...

    def renew(self, x: Vector) -> bool:
        """Take the second derivatives at `x` (n,); false where there are none."""
        ...


class _ByVectors:
    """Steps along the most curved directions, those that bend at the end point of the walk or as many elsewhere."""

    creeps = False

    def __init__(self, look: Look, curvature: Curvature) -> None:
        bent = np.ones(curvature.values.size, dtype=bool)
        bent[curvature.null] = False
        self._look, self._curvature = look, curvature
        self._vectors, self._curvatures = curvature.vectors[:, bent], curvature.values[bent]
        longest = np.max(np.abs(self._vectors) / look.scale[:, None], axis=0)
        self.unit = float((self._curvatures / longest**2).max(initial=0.0))

    def step(self, gradient: Vector) -> tuple[Vector, float]:
        """See `_Back`."""
        along = self._vectors.T.dot(gradient)
        coefficients = along / self._curvatures
        return self._vectors.dot(coefficients), 0.5 * float(along.dot(coefficients))

    def renew(self, x: Vector) -> bool:
        """See `_Back`. Where there is no Hessian, the directions stay what they are."""
        if self._curvature.hessian is not None and self._look.objective.has_hessian:
            count = self._curvatures.size
            self._vectors, self._curvatures = _turned(self._look, self._curvature, x, count)
        return True


class _ByFactors:
    """The same for very many parameters: a factor with a small shift hardly moves what no curvature holds."""

    creeps = True

    def __init__(self, look: Look, curvature: Curvature) -> None:
        self._look = look
        self._factor = shifted_factor(look, look.sparse_hessian)
        self.unit = float(curvature.extremes[1]) * float(look.scale.max()) ** 2

    def step(self, gradient: Vector) -> tuple[Vector, float]:
        """See `_Back`."""
        if self._factor is None:
            return np.zeros(gradient.size), np.inf
        slope = self._factor.scaling * gradient
        found = self._factor.solve(slope)
        step = np.where(self._look.free, self._factor.scaling * found, 0.0)
        return step, 0.5 * float(slope @ found)

    def renew(self, x: Vector) -> bool:
        """See `_Back`."""
        self._factor = shifted_factor(self._look, self._look.objective.sparse_hessian(x), self._factor)
        return self._factor is not None
