"""One point as the judge sees it: the cost there, its slope, and the units in which to measure both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from math import isfinite
from typing import Any

import numpy as np

from ..bounds import Bounds
from ..errors import InputError
from ..numerics import EPS, all_finite, largest, owned
from ..objective import Objective

Vector = np.ndarray

# Up to here every direction is looked at; beyond, a fixed number of products stands for all of them.
SMALL = 100

# Rows of random signs that small looks share; the most that any of them takes is some ten.
SIGNS_KEPT = 16

# A parameter smaller than this part of the others (or of one) is zero up to rounding.
NOTHING = 64.0 * EPS

# Where the cost changes over that part by more than this part of itself and its fall, so small a number is none of
# zero: it has a size of its own, as 1e-18 joules have. Rounding of zero changes it by the square of that part only.
OF_ITS_OWN = 1e-4

# The size is looked for in steps of at least this factor.
NARROWER = 0.1

# Where the cost is looked at for its size, in natural sizes.
ASIDE = 0.1

# The size that stands for one of which nothing is known is none if the cost, by its slope there, changes over it by
# more or by less than these parts of all that it is. It is sought until that is nearly all: in so many steps, each to
# where a quartic would change by all of it, and no farther from the one before than by such a factor.
TOO_MUCH, TOO_LITTLE = 1e4, 1e-8
NEARLY_ALL = 100.0
SOUGHT, QUARTIC, NEAREST = 24, 0.25, 1e-4

# What an evaluation may raise where the cost does not exist; anything else is the user's error and passes on.
NO_NUMBER = (ArithmeticError, ValueError)


@dataclass
class Look:
    """The end point and everything measured there before any question is asked.

    `scale` (n,): a natural size for each parameter: its value and how far the walk moved it, or 1 where
    neither says anything. `fall`: how much the walk lowered the cost, None without a history.
    `hessian` (n, n): where it was evaluated at this very point before, by whomever; it needs no second evaluation.
    `seed`: of every random probe.
    `projected` (n,): the gradient without the parts that push against an active bound; `free` (n,): mask
    of the parameters that are not held by a bound; `all_free`: whether none is. `n`: number of parameters; `is_small`:
    whether every direction can be looked at.
    """

    objective: Objective
    x: Vector
    names: Sequence[str]
    structure: Any
    stop: str | None
    history: Any
    seed: int
    value: float
    gradient: Vector
    scale: Vector
    fall: float | None
    start: Vector | None
    hessian: np.ndarray | None = None
    projected: Vector = field(init=False)
    free: np.ndarray = field(init=False)
    touching: np.ndarray = field(init=False)
    n: int = field(init=False)
    is_small: bool = field(init=False)
    all_free: bool = field(init=False)
    _box: Bounds | None = field(init=False)
    _signs_drawn: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.n = self.x.size
        self.is_small = self.n <= SMALL
        bounds = self.objective.bounds
        self._box = bounds if bounds.any else None
        if bounds.any:
            self.projected = bounds.projected_gradient(self.x, self.gradient)
            at_bound = (self.x <= bounds.lower) | (self.x >= bounds.upper)
            self.free = ~(at_bound & (self.projected == 0.0) & (self.gradient != 0.0))
            self.free &= bounds.lower < bounds.upper
            self.touching = at_bound & self.free
            self.all_free = bool(self.free.all())
        else:
            self.all_free = True
            self.projected = self.gradient
            self.free = np.ones(self.n, dtype=bool)
            self.touching = np.zeros(self.n, dtype=bool)

    @property
    def count_free(self) -> int:
        """How many parameters are free."""
        return self.n if self.all_free else int(np.count_nonzero(self.free))

    @cached_property
    def free_indices(self) -> np.ndarray:
        """Indices of the free parameters, (k,)."""
        return self.free.nonzero()[0]

    @cached_property
    def spacing(self) -> Vector:
        """Distance of each parameter, (n,), to the next number in double precision."""
        return np.spacing(np.abs(self.x))

    @property
    def unit(self) -> Vector:
        """The same, or a rounding of its natural size where that is larger, (n,); kept where there are few."""
        if self.is_small:
            return self._unit
        unit = np.abs(self.x)
        np.spacing(unit, out=unit)
        return np.maximum(unit, EPS * self.scale, out=unit)

    @cached_property
    def _unit(self) -> Vector:
        return np.maximum(self.spacing, EPS * self.scale)

    @cached_property
    def own_size(self) -> Vector:
        """Natural sizes, (n,), that owe nothing to a far start: each value, or up to one of how far it came."""
        if self.start is None:
            return np.maximum(self.scale, 1.0)
        return np.maximum(np.abs(self.x), np.minimum(self.scale, 1.0))

    @cached_property
    def unsized(self) -> np.ndarray:
        """Mask (n,) of the numbers that are exactly zero and never moved: they say nothing of their unit."""
        zero = self.x == 0.0
        return zero if self.start is None else zero & (self.start == 0.0)

    @property
    def is_hidden(self) -> bool:
        """Whether the cost is less than the rounding of its own fall, which says nothing of what lies below."""
        return self.fall is not None and is_lost_in(self.fall, self.value)

    def on_free(self, v: Vector) -> Vector:
        """`v` (n,) with zeros for the parameters that are not free; `v` itself where all are."""
        return v if self.all_free else np.where(self.free, v, 0.0)

    @property
    def convex(self) -> bool:
        """Whether the trace shows the cost to be convex."""
        convexity = getattr(self.structure, "convexity", None)
        return bool(convexity is not None and convexity.is_convex)

    @property
    def quadratic(self) -> bool:
        """Whether the trace shows the cost to be a polynomial of degree two or less."""
        degree = getattr(self.structure, "degree", None)
        return degree is not None and degree <= 2

    @property
    def has_kinks(self) -> bool:
        """Whether the trace shows kinks."""
        return bool(getattr(self.structure, "kinks", None))

    @property
    def may_have_kinks(self) -> bool:
        """Whether the trace shows kinks, or there is none."""
        return self.structure is None or self.has_kinks

    @property
    def at_stake(self) -> float:
        """The size of the cost here and of all that it fell by."""
        return abs(self.value) + (self.fall or 0.0)

    @cached_property
    def generator(self) -> np.random.Generator:
        """What random probes are drawn from."""
        return np.random.default_rng(_seeded(self.seed))

    def signs(self) -> Vector:
        """A random sign for each parameter, (n,); every time others."""
        if self.is_small and self._signs_drawn < SIGNS_KEPT:
            self._signs_drawn += 1
            drawn: Vector = _few_signs(self.seed, self.n)[self._signs_drawn - 1]
            return drawn
        return _signs(self.generator, (self.n,))

    @cached_property
    def sparse_hessian(self) -> Any:
        """The sparse Hessian at the point, evaluated once; None where there is none."""
        return self.objective.sparse_hessian(self.x) if self.objective.has_sparse_hessian else None

    @cached_property
    def size_aside(self) -> float:
        """How large the cost is some way off the point; zero where it has no value there."""
        way = ASIDE * np.where(self.free, self.scale, 0.0) * self.generator.uniform(0.5, 1.0, self.n)
        values = (self.value_at(self.x + side * way) for side in (1.0, -1.0))
        return next((abs(value) for value in values if np.isfinite(value)), 0.0)

    def inside(self, x: Vector) -> Vector:
        """`x` (n,), or each row of it, put inside the bounds; `x` itself where there are none."""
        return x if self._box is None else self._box.project(x)

    def value_at(self, x: Vector) -> float:
        """The cost at `x`, put inside the bounds; NaN where it does not exist."""
        return _known_value(self.objective, x)

    @cached_property
    def unfollowed(self) -> tuple[float, Vector] | None:
        """How far value and slope (n,) are off by the steps of differential equations in the cost; None without any.

        Seen by following them ten times closer.
        """
        closer = self.objective.followed_closer(self.x)
        if closer is None or not (isfinite(closer[0]) and np.isfinite(closer[1]).all()):
            return None
        return abs(closer[0] - self.value), self.on_free(closer[1] - self.gradient)

    def slope_at(self, x: Vector) -> tuple[float, Vector]:
        """The cost and gradient at `x`, put inside the bounds; NaN where they do not exist."""
        return _known_slope(self.objective, x if self._box is None else self._box.project(x))

    def apart(self, one: Vector, other: Vector) -> float:
        """The largest difference between two places (n,), in natural sizes."""
        return largest(np.abs(one - other) / self.scale)

    def trembling(self, x: Vector, value: float) -> float:
        """What the cost, `value` at `x`, changes by some units in the last place away: rounding, seen there."""
        unit = 3.0 * np.maximum(np.spacing(np.abs(x)), EPS * self.scale)
        shift = _in_turn(self.n) * unit
        near = (self.value_at(x + shift), self.value_at(x - shift), self.value_at(x + unit))
        changes = [abs(other - value) for other in near if isfinite(other)]
        return max(changes, default=0.0)


@dataclass(frozen=True)
class Rounding:
    """How far the slope and the cost can be trusted at the point.

    `slope` (n,): size of the error of each entry of the gradient; `value`: of the cost. `grain` (n,): what
    the gradient changes by between neighbouring double precision numbers. `alone`: no neighbour has a slope at all.
    `jump`: the most that the cost was seen to differ by from a neighbour, whatever explains it.
    """

    slope: Vector
    value: float
    grain: Vector
    alone: bool = False
    jump: float = 0.0


def look_at(
    objective: Objective,
    x: Vector,
    names: Sequence[str],
    structure: Any,
    stop: str | None,
    history: Any,
    seed: int,
) -> Look:
    """Evaluate the cost and its slope at `x` (n,), through an objective of our own, `for_the_judge`; own counts."""
    x = owned(np.asarray(x, dtype=np.float64))
    x.setflags(write=False)
    hessian = objective.known_hessian(x)
    objective = objective.for_the_judge()
    try:
        value, gradient = objective.value_and_gradient(x)
    except InputError:  # what is returned is no number anywhere
        raise
    except NO_NUMBER:
        value, gradient = np.nan, np.full(x.size, np.nan)
    start, fall = _start_of(history, x, value)
    moved = np.zeros(x.size) if start is None else np.abs(x - start)
    scale = np.maximum(np.abs(x), moved)
    most = largest(scale)
    if 0.0 < most < NOTHING and not _changes_within(objective, x, scale, float(value)):
        scale, most = np.zeros(x.size), 0.0  # as a walk that ends at zero, but for rounding, where it began
    # A parameter that is zero, up to rounding, and never moved says nothing of its own size: the others', or 1,
    # must do.
    unknown = min(most, 1.0) if most > 0.0 else 1.0
    tiny = scale <= NOTHING * unknown
    if tiny.any():
        sizes = np.where(tiny, unknown, scale)
        if isfinite(value) and not most > 0.0:
            sizes = _sizes_of_zeros(objective, x, tiny, sizes, abs(float(value)))
        elif isfinite(value) and x.size <= SMALL:
            level = _level(objective, x, np.where(tiny, 0.0, scale), float(value), fall or 0.0)
            if level is not None:
                for k in np.flatnonzero(tiny & (scale > 0.0)).tolist():
                    sizes[k] = _size_of(objective, x, k, scale[k], unknown, float(value), level)
                sizes = _sizes_of_zeros(objective, x, scale == 0.0, sizes, level)
        scale = sizes
    return Look(
        objective,
        x,
        names,
        structure,
        stop,
        history,
        seed,
        float(value),
        gradient,
        scale,
        fall,
        start,
        hessian,
    )


def _level(objective: Objective, x: Vector, sizes: Vector, value: float, fall: float) -> float | None:
    """How large the cost, `value` at `x`, is there, a little off along the parameters of known `sizes` (n,), and was.

    None where it has not fallen and stays what it is along those: how low it is then says nothing of the others' sizes.
    """
    near = (x + side * ASIDE * sizes for side in (1.0, -1.0))
    values = [there for place in near if isfinite(there := _known_value(objective, place))]
    if not fall > 0.0 and all(there == value for there in values):
        return None
    return max(abs(value), fall, *map(abs, values), 0.0)


def _changes_within(objective: Objective, x: Vector, scale: Vector, value: float) -> bool:
    """Whether the cost, `value` at `x` (n,), is another so little away, which makes of rounding no size."""
    there = _known_value(objective, x + _signs(np.random.default_rng(x.size), (x.size,)) * scale)
    return not isfinite(there) or abs(there - value) > 4.0 * EPS * abs(value)


def _size_of(
    objective: Objective, x: Vector, k: int, own: float, unknown: float, value: float, level: float
) -> float:
    """The natural size of parameter `k` of `x` (n,), whose number `own` is next to nothing beside `unknown`.

    Its own, or the distance at which the cost, `value` at `x`, changes by its `level`, where it does so next to zero;
    else that number is rounding and `unknown` stands for its size.
    """
    distance = NOTHING * unknown
    change = _change(objective, x, k, distance, value)
    if not change > OF_ITS_OWN * level:
        return unknown
    while distance > own and change > level:
        distance = max(own, distance * min(NARROWER, float(np.sqrt(level / change))))
        change = _change(objective, x, k, distance, value)
    return distance


def _sizes_of_zeros(
    objective: Objective, x: Vector, nothing: np.ndarray, sizes: Vector, level: float
) -> Vector:
    """`sizes` (n,) with those of the numbers that are exactly `nothing` (n,) fitted to a cost as large as `level`.

    They never moved and say nothing of their unit; the slope a size away does. Where that leads to no size, as where
    the cost is not defined on one side or a parameter does not matter, the one that stood for it stays.
    """
    if not level > 0.0 or not nothing.any():
        return sizes
    found, signs = sizes, _signs(np.random.default_rng(x.size), (x.size,))
    most, least = TOO_MUCH, TOO_LITTLE
    for _ in range(SOUGHT):
        place = np.where(nothing, signs * found, x)
        if objective.bounds.any:
            barred = objective.bounds.project(place) == x
            place = objective.bounds.project(np.where(barred, -place, place))
        value, gradient = _known_slope(objective, place)
        exists = isfinite(value) and all_finite(gradient)
        share = np.abs(gradient) * np.abs(place - x) / level if exists else np.full(x.size, np.inf)
        off = nothing & ((share > most) | ((share < least) & (share > 0.0)))
        if not off.any():
            return found
        most, least = NEARLY_ALL, 1.0 / NEARLY_ALL
        found = found.copy()
        found[off] *= np.clip(share[off] ** -QUARTIC, NEAREST, 1.0 / NEAREST)
    return sizes


def _change(objective: Objective, x: Vector, k: int, distance: float, value: float) -> float:
    """What the cost changes by, a `distance` from `x` (n,) along parameter `k`; infinite where it has no value."""
    place = x.copy()
    place[k] += distance if x[k] + distance <= objective.bounds.upper[k] else -distance
    there = _known_value(objective, place)
    return abs(there - value) if isfinite(there) else np.inf


def _known_value(objective: Objective, place: Vector) -> float:
    """The cost at a place (n,), put inside the bounds; NaN where it does not exist."""
    bounds = objective.bounds
    try:
        return objective.value(bounds.project(place) if bounds.any else place)
    except NO_NUMBER:
        return np.nan


def _known_slope(objective: Objective, place: Vector) -> tuple[float, Vector]:
    """The cost and gradient at a place (n,) inside the bounds; NaN where they do not exist."""
    try:
        return objective.value_and_gradient(place)
    except NO_NUMBER:
        return np.nan, np.full(place.size, np.nan)


def is_lost_in(fall: float, value: float) -> bool:
    """Whether a cost that fell by `fall` to `value` is less than the rounding of that fall.

    >>> is_lost_in(1e20, 1.0), is_lost_in(1e10, 1.0)
    (True, False)
    """
    return EPS * fall > abs(value)


def _signs(generator: np.random.Generator, shape: tuple[int, ...]) -> Vector:
    return np.copysign(1.0, generator.random(shape) - 0.5)


@lru_cache(maxsize=64)
def _few_signs(seed: int, n: int) -> Vector:
    """The first rows (SIGNS_KEPT, n), which every look of one seed takes: a generator takes longer to make."""
    drawn = _signs(np.random.default_rng((seed, n)), (SIGNS_KEPT, n))
    drawn.setflags(write=False)
    return drawn


@lru_cache(maxsize=16)
def _in_turn(n: int) -> Vector:
    """Signs that take turns, (n,)."""
    signs = np.where(np.arange(n) % 2, -1.0, 1.0)
    signs.setflags(write=False)
    return signs


@lru_cache(maxsize=16)
def _seeded(seed: int) -> np.random.SeedSequence:
    """What a generator of `seed` starts from; it is only read, so every look may begin with the same one."""
    return np.random.SeedSequence(seed)


def _start_of(history: Any, x: Vector, value: float) -> tuple[Vector | None, float | None]:
    if history is None or len(history) == 0:
        return None, None
    first, row = history.first
    fall = max(first - value, 0.0) if isfinite(first) else None
    known = row is not None and row.shape == x.shape and all_finite(row)
    start = row if known else None
    return start, fall
