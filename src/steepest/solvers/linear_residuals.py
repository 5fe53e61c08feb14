"""Where the linear among the residuals would have the parameters: another place to begin from.

A sum of squares may have several valleys, and a walk down into one of them may lead along a bent path for as many steps
as there are parameters. Residuals that are linear have but one valley. Where they alone tell most parameters, as the
equations of a chain do that say where its links should lie, the place that meets them best is near the minimum whenever
all residuals can be met at once: it is what weighing them ever more heavily against the others leads to.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bounds import Vector
from ..linear_algebra.sparse_factor import SymmetricPattern
from ..objective import Objective
from ..oracles import Linearised

# Where the residuals are looked at besides: far enough for any bend to show, in parts of each parameter or of one.
AWAY = 0.3

# Rounding of a residual and of its slopes, in parts of the largest number they are made of. A bend smaller than this
# changes nothing that matters.
STRAIGHT = 1e-10

# The part of the parameters that linear residuals must tell: fewer, and the rest decides which valley it is.
MOST_TOLD = 0.5

# Gauss-Newton steps after which the others' place is taken as it is: each halves a way that is too long.
MOST_FOLLOWED = 30

# Turns by this part of a whole one never come back to where they were: places that no wave repeats.
GOLDEN = 0.5 * (np.sqrt(5.0) - 1.0)


def met_by_linear_residuals(objective: Objective, x: Vector) -> Vector | None:
    """The place (n,) that meets the linear residuals best, those they tell nothing of following the others.

    None where the objective has no sparse Jacobian or its linear residuals do not tell most of the parameters, of which
    those that equal bounds hold are none. Raises `BudgetSpent` where the budget ends on the way.

    >>> from scipy.sparse import csr_array
    >>> from steepest.objective import Linearisation, Linearised
    >>> def valley(x):                                     # r = (10 (x₂ - x₁²), 1 - x₁)
    ...     r = np.array([10.0 * (x[1] - x[0] ** 2), 1.0 - x[0]])
    ...     return Linearised(float(r @ r), r, csr_array([[-20.0 * x[0], 10.0], [-1.0, 0.0]]))
    >>> slopes = lambda x: (valley(x).value, 2.0 * valley(x).jacobian.T @ valley(x).residual)
    >>> objective = Objective(2, value_and_gradient=slopes, linearised=Linearisation(valley, True))
    >>> met_by_linear_residuals(objective, np.array([-1.2, 1.0]))
    array([1., 1.])
    """
    if not objective.has_sparse_jacobian:
        return None
    with np.errstate(all="ignore"):  # what is not a number anywhere here is no linear residual, or no place
        here = objective.linearised(x)
        linear = _are_linear(objective, x, here)
        A = here.jacobian.tocsr()[np.flatnonzero(linear)]
        free = objective.bounds.lower < objective.bounds.upper
        told = np.zeros(x.size, dtype=bool)
        told[A.indices[A.data != 0.0]] = True
        told &= free
        if not told.any() or np.count_nonzero(told) < MOST_TOLD * np.count_nonzero(free):
            return None
        place = _moved(objective, x, A, here.residual[linear], told)
        untold = free & ~told
        if place is not None and untold.any():
            place = _followed(objective, place, untold)
        return place


def _followed(objective: Objective, x: Vector, which: np.ndarray[Any, np.dtype[np.bool_]]) -> Vector | None:
    """`x` with the parameters in `which` where Gauss-Newton steps over them alone lead; None where one is not told.

    The first one may lead far away, as where a square is to be met from near zero, and the others back.
    """
    here = objective.linearised(x)
    place = _moved(objective, x, here.jacobian.tocsr(), here.residual, which)
    if place is None:
        return None
    here = objective.linearised(place)
    for _ in range(MOST_FOLLOWED):
        onward = _moved(objective, place, here.jacobian.tocsr(), here.residual, which)
        if onward is None:
            break
        there = objective.linearised(onward)
        if not there.value < here.value:
            break
        place, here = onward, there
    return place


def _are_linear(objective: Objective, x: Vector, here: Linearised) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which residuals (m,) change between `x` and two other places as their slopes at `x` say.

    What bends, and yet is as straight between these three, is of no consequence: the place is a proposal.
    """
    turns = np.modf(GOLDEN * np.arange(1, x.size + 1))[0]
    straight = np.ones(here.residual.size, dtype=bool)
    for side in (1.0, -1.0):
        away = AWAY * (0.5 + turns) * side * np.maximum(np.abs(x), 1.0)
        ahead, back = (objective.bounds.project(x + part) - x for part in (away, -away))
        step = np.where(
            np.abs(ahead) >= np.abs(back), ahead, back
        )  # where a bound is in the way, the other way
        found = objective.linearised(objective.bounds.project(x + step))
        size = abs(here.jacobian) @ (np.abs(x) + np.abs(step)) + np.abs(here.residual)
        off = np.abs(found.residual - here.residual - here.jacobian @ step)
        bent = abs(found.jacobian - here.jacobian) @ np.abs(step)
        straight &= (off <= STRAIGHT * size) & (bent <= STRAIGHT * size)
    return straight


def _moved(objective: Objective, x: Vector, A: Any, r: Vector, which: np.ndarray) -> Vector | None:
    """`x` with the parameters in `which` where |r + A·p|² is lowest; None where it does not tell them all."""
    columns = np.flatnonzero(which)
    part = A.tocsc()[:, columns]
    size = np.sqrt(np.asarray(part.multiply(part).sum(axis=0), dtype=np.float64).ravel())
    if not (np.isfinite(size).all() and (size > 0.0).all()):
        return None
    part = part.multiply(1.0 / size[None, :]).tocsc()
    normal = (part.T @ part).tocsc()
    normal.sort_indices()
    solve = SymmetricPattern(normal).factorise(normal.data, 0.0, None)
    if solve is None:
        return None
    place = x.copy()
    place[columns] -= solve(part.T @ r) / size
    return objective.bounds.project(place) if np.isfinite(place).all() else None
