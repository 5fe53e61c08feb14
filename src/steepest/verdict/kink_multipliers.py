"""Multipliers of kinks and constraints, each inside what it may be, by linear programs: where many balance the slopes.

Around each loop of a grid of equal values the differences add up to zero, so that many multipliers balance the slopes,
and those of least length need not lie between the slopes of the two sides. A linear program finds some that do, and
the room they leave. That those of a norm are no longer than it can bear is no linear condition: one plane after the
other is laid against each ball where the last multipliers are outside (Kelley, "The cutting-plane method for solving
convex programs", 1960).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..bounds import Vector
from ..constraints.rows import Rows
from ..solvers.smooth_programs import Vanishing
from .constrained_point import MET
from .norm_balls import BALANCED, BEARS_NOTHING, BORNE

# Up to this many kinks that depend on each other a linear program looks for their multipliers (a second or two).
MOST_DEPENDENT = 5000

# Planes are laid against the balls of norms in so many rounds at most.
ROUNDS = 40


def at_limits(rows: Rows, w: Vector) -> tuple[np.ndarray, np.ndarray]:
    """Masks (m,) of the rows at their lower and at their upper limits, to within rounding of their values."""
    value = rows.value(w)
    room = MET * np.maximum(1.0, np.abs(value))
    return value - rows.lower <= room, rows.upper - value <= room


def of_sides(left: Vector, low: np.ndarray, high: np.ndarray) -> Vector:
    """What is left of the slope at the bounds, (N,), as far as each may push."""
    sides = np.where(low, np.maximum(left, 0.0), 0.0) + np.where(high, np.minimum(left, 0.0), 0.0)
    return np.where(low & high, left, sides)


def multipliers_inside(
    vanishing: Vanishing, w: Vector, holding: np.ndarray, *, convex: bool
) -> tuple[Vector, Vector] | None:
    """What balances the slopes between constraints, (m,) and (N,): gradient = Jᵀ rows + bounds.

    Those of inequalities have the sign they may have, and those of norms held at zero are no longer than these bear.
    `holding`: mask (N,) of the entries held at zero. None where none are found, or the constraints are too many.
    """
    objective, rows, program = vanishing.objective, vanishing.rows, vanishing.smooth.program
    w = np.where(holding, objective.bounds.lower, w)
    at_lower, at_upper = at_limits(rows, w)
    active = np.flatnonzero(at_lower | at_upper)
    if active.size > MOST_DEPENDENT:
        return None
    J = rows.jacobian(w)[active]
    _, gradient = objective.value_and_gradient(w)
    low, high = w <= objective.bounds.lower, w >= objective.bounds.upper
    signs = [
        (None if up else 0.0, None if down else 0.0)
        for down, up in zip(at_lower[active], at_upper[active], strict=True)
    ]
    balls = _Balls(program.radii[vanishing.norms], *_members(vanishing, active))
    for _ in range(ROUNDS):
        u = inside_of_sides(J, gradient, low, high, signs, balls)
        if u is None and balls.radii.size:
            return None
        u = np.zeros(active.size) if u is None else u
        left = gradient - J.T @ u
        if not balls.grown(u, left, 1.0 + BORNE if convex else 1.0 - BORNE):
            break
    else:
        return None
    sides = of_sides(left, low, high)
    if balls.radii.size:
        if not convex and (left[balls.radii] <= BEARS_NOTHING).any():
            return None
        whole = np.abs(gradient) + np.asarray(abs(J).T @ np.abs(u))
        if np.abs(left - sides).max() > BALANCED * whole.max():
            return None
    every = np.zeros(rows.m)
    every[active] = u
    return every, sides


def _members(vanishing: Vanishing, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the `active` rows are parts of norms held at zero, and of which of those norms."""
    first = vanishing.rows.m - vanishing.parts.size
    number = np.cumsum(vanishing.norms) - 1
    places = np.searchsorted(active, first + np.arange(vanishing.parts.size))
    return places, number[vanishing.smooth.program.part_of[vanishing.parts]]


class _Balls:
    """Norms held at zero: the entries `radii` (k,) of w; row `places` (r,) is a part of norm `of` (r,).

    A plane is a direction for each norm: the pull along it is no more than the norm bears.
    """

    def __init__(self, radii: np.ndarray, places: np.ndarray, of: np.ndarray) -> None:
        self.radii, self.places, self.of = radii, places, of
        # To begin with each part alone is no longer than that, to either side.
        signs = np.repeat([1.0, -1.0], places.size)
        self.norms = np.concatenate([of, of])
        self.entries = np.arange(2 * places.size), np.concatenate([places, places]), signs

    def grown(self, u: Vector, slope: Vector, most: float) -> bool:
        """Whether a norm is pulled at by more than `most` times what it bears; planes are laid against those."""
        lengths = np.sqrt(np.bincount(self.of, u[self.places] ** 2, self.radii.size))
        outside = np.flatnonzero(lengths > most * np.maximum(slope[self.radii], 0.0))
        if not outside.size:
            return False
        rank = np.full(self.radii.size, -1)
        rank[outside] = self.norms.size + np.arange(outside.size)
        chosen = rank[self.of] >= 0
        places, of = self.places[chosen], self.of[chosen]
        new = rank[of], places, u[places] / lengths[of]
        self.entries = tuple(np.concatenate(both) for both in zip(self.entries, new, strict=True))  # type: ignore[assignment]
        self.norms = np.concatenate([self.norms, outside])
        return True

    def planes(self, columns: Any, gradient: Vector) -> tuple[Any, Vector]:
        """A u <= b, one row for each plane; `columns` (N, m) the transposed slopes."""
        from scipy.sparse import csr_array

        rows, places, along = self.entries
        pull = csr_array((along, (rows, places)), shape=(self.norms.size, columns.shape[1]))
        of = self.radii[self.norms]
        return pull + columns[of], gradient[of]


def inside_of_sides(
    J: Any,
    gradient: Vector,
    low: np.ndarray,
    high: np.ndarray,
    signs: Sequence[Any] | None = None,
    balls: _Balls | None = None,
) -> Vector | None:
    """Multipliers (m,) of rows with slopes `J` (m, N), as far inside what each may be as can be; None for none.

    What the linear program leaves of the balance is spread over all of them. `signs`: from where to where each may be,
    without limits where not given.
    """
    from scipy.optimize import linprog
    from scipy.sparse import block_array, csr_array
    from scipy.sparse.linalg import lsmr

    m = J.shape[0]
    if m > MOST_DEPENDENT:
        return None
    columns = csr_array(J).T.tocsr()
    unit = max(float(np.abs(gradient).max(initial=0.0)), np.finfo(float).tiny)
    free, lower, upper = ~(low | high), low & ~high, high & ~low
    inside, limits = [[columns[lower]], [-columns[upper]]], [gradient[lower], -gradient[upper]]
    if balls is not None and balls.radii.size:
        planes, most = balls.planes(columns, gradient)
        inside.append([planes])
        limits.append(most)
    sides = block_array(inside)
    room = csr_array(np.ones((sides.shape[0], 1)))
    free_columns = columns[free]
    found = linprog(
        np.concatenate([np.zeros(m), [-1.0]]),
        A_ub=block_array([[sides, room]]),
        b_ub=np.concatenate(limits) / unit,
        A_eq=block_array([[free_columns, csr_array((free_columns.shape[0], 1))]]),
        b_eq=gradient[free] / unit,
        bounds=[*(signs or [(None, None)] * m), (0.0, 1.0)],
        method="highs",
    )
    if found.x is None:
        return None
    inner = unit * found.x[:-1]
    for _ in range(2):
        left = gradient[free] - free_columns @ inner
        inner = inner + lsmr(free_columns, left, atol=1e-15, btol=1e-15, conlim=0.0)[0]
    return np.asarray(inner)
