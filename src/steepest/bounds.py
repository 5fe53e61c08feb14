"""Box bounds on a flat vector of parameters: project onto them, and see which are active."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from .errors import InputError
from .numerics import EPS, FEW, owned

Vector = np.ndarray[Any, np.dtype[np.float64]]
FLOAT = np.dtype(np.float64)
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Bounds:
    """`lower <= x <= upper`, elementwise, both of shape (n,); infinite where there is none.

    A parameter whose two bounds are equal is fixed. Raises `InputError` where a lower bound is above its
    upper bound, or a bound is NaN.

    >>> box = Bounds(np.array([0.0, -np.inf]), np.array([1.0, np.inf]))
    >>> box.project(np.array([2.0, 5.0]))
    array([1., 5.])
    """

    lower: Vector
    upper: Vector

    def __post_init__(self) -> None:
        possible = (self.lower <= self.upper) & (self.lower < np.inf) & (self.upper > -np.inf)
        if not possible.all():
            i = int(np.argmin(possible))
            raise InputError(
                f"parameter {i} (counted from 0) has lower bound {self.lower[i]} and upper bound "
                f"{self.upper[i]}: no value lies between them. Write bounds as (lower, upper)."
            )

    @staticmethod
    @lru_cache(maxsize=64)
    def none(n: int) -> Bounds:
        """No bound on any of `n` parameters; takes no memory."""
        return Bounds(np.broadcast_to(-np.inf, n), np.broadcast_to(np.inf, n))

    @cached_property
    def any(self) -> bool:
        """Whether at least one bound is finite."""
        return bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())

    @cached_property
    def only_fix(self) -> bool:
        """Whether every parameter with a bound is fixed by it, so that all others go where they like."""
        free = self.lower < self.upper
        return not (np.isfinite(self.lower[free]).any() or np.isfinite(self.upper[free]).any())

    def project(self, x: Vector) -> Vector:
        """The nearest point inside the box, shape (n,); a new array."""
        if not self.any:
            return owned(x) if type(x) is np.ndarray and x.dtype == FLOAT else np.array(x, dtype=np.float64)
        inside = np.maximum(x, self.lower)
        return np.minimum(inside, self.upper, out=inside)

    def contains(self, x: Vector) -> bool:
        """Whether every parameter lies on or between its bounds; NaN lies nowhere."""
        if self._few is not None:
            return all(low <= value <= high for value, (low, high) in zip(x.tolist(), self._few, strict=True))
        return bool(((x >= self.lower) & (x <= self.upper)).all())

    @cached_property
    def _few(self) -> list[tuple[float, float]] | None:
        """The bounds of a few parameters, pair by pair: Python is through with them before NumPy has begun."""
        if self.lower.size > FEW:
            return None
        return list(zip(self.lower.tolist(), self.upper.tolist(), strict=True))

    def _meets_none(self, x: Vector) -> bool:
        """Whether each of a few parameters lies between its bounds, on neither; of many it is not asked."""
        few = self._few
        return few is not None and all(
            low < value < high for value, (low, high) in zip(x.tolist(), few, strict=True)
        )

    def projected_gradient(self, x: Vector, gradient: Vector) -> Vector:
        """The gradient with the parts removed that push against an active bound, shape (n,).

        Zero at a first-order point of the bounded problem (Nocedal & Wright 2006, eq. 16.72).

        >>> box = Bounds(np.zeros(2), np.ones(2))
        >>> box.projected_gradient(np.array([0.0, 0.0]), np.array([3.0, -3.0]))
        array([ 0., -3.])
        """
        if self._few is not None:
            ways = zip(x.tolist(), gradient.tolist(), self._few, strict=True)
            return np.array(
                [
                    0.0 if (place <= low and slope > 0.0) or (place >= high and slope < 0.0) else slope
                    for place, slope, (low, high) in ways
                ]
            )
        blocked = ((x <= self.lower) & (gradient > 0)) | ((x >= self.upper) & (gradient < 0))
        return np.where(blocked, 0.0, gradient)

    def walls(self, x: Vector, gradient: Vector) -> Mask:
        """Mask, shape (n,), of parameters that an infinite slope pushes against their bound, as √x does at zero.

        >>> Bounds(np.zeros(2), np.ones(2)).walls(np.zeros(2), np.array([np.inf, -np.inf]))
        array([ True, False])
        """
        return ((x <= self.lower) & (gradient == np.inf)) | ((x >= self.upper) & (gradient == -np.inf))

    def free(self, x: Vector, gradient: Vector) -> Mask:
        """Mask, shape (n,), of parameters strictly inside the box or pulled into it by the slope."""
        if self._meets_none(x):
            return np.ones(x.size, dtype=bool)
        at_lower = (x <= self.lower) & (gradient >= 0)
        at_upper = (x >= self.upper) & (gradient <= 0)
        return ~(at_lower | at_upper)

    def room(self, x: Vector, direction: Vector) -> Vector:
        """How far each parameter can go along `direction` before its bound, in step lengths, shape (n,).

        Infinite where the direction is zero or no bound lies ahead; 0 on the bound it pushes against.

        >>> box = Bounds(np.array([0.0, -np.inf]), np.array([1.0, np.inf]))
        >>> box.room(np.array([0.5, 0.0]), np.array([2.0, 7.0]))
        array([0.25,  inf])
        """
        ahead = np.where(direction > 0, self.upper, self.lower)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.where(direction == 0.0, np.inf, np.maximum((ahead - x) / direction, 0.0))

    def landed(self, x: Vector, step: Vector) -> Vector:
        """`x + step`, put exactly on each bound that it reaches; shape (n,).

        >>> Bounds(np.zeros(2), np.ones(2)).landed(np.array([0.1, 0.5]), np.array([0.9, -0.25]))
        array([1.  , 0.25])
        """
        if self._few is None:
            return self.travel(x, step, self.room(x, step), 1.0)
        places = []
        for place, way, (low, high) in zip(x.tolist(), step.tolist(), self._few, strict=True):
            ahead = high if way > 0.0 else low
            reached = way != 0.0 and (ahead - place) / way <= TOUCHING
            places.append(ahead if reached else min(max(place + way, low), high))
        return np.array(places)

    def travel(self, x: Vector, direction: Vector, room: Vector, t: float) -> Vector:
        """`x + t·direction`, put exactly on the bound wherever that is reached; shape (n,).

        Landing one rounding error short of a bound would leave it unrecognised as active. `room` is the
        answer of `room(x, direction)`.
        """
        ahead = np.where(direction > 0, self.upper, self.lower)
        return np.where(room <= t * TOUCHING, ahead, self.project(x + t * direction))


# A bound counts as reached when the rounding of its distance cannot tell otherwise.
TOUCHING = 1.0 + 4.0 * EPS
