"""What parameters next to nothing are measured in between constraints: the way that Newton's method would take.

The interior-point method measures distances from limits, and what is left of slopes, by fixed numbers. Parameters of
1e-9 are then all at their limits. Where they begin at zero only the cost and the constraints tell their size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..bounds import Vector
from ..constraints.rows import Rows
from ..linear_algebra.saddle_systems import factorise
from ..objective import Objective

# Larger parameters, and ways, are counted in ones.
NEXT_TO_NOTHING = 0.1


class Units(NamedTuple):
    """`parameters`: the size of one of them; `cost`: what the cost changes by within it; `rows` (m,): of the rows."""

    parameters: float
    cost: float
    rows: Vector


def natural_units(objective: Objective, rows: Rows, x: Vector) -> Units | None:
    """The units of parameters that are next to nothing at `x` (n,) and stay so; None for any others."""
    size = float(np.abs(x).max(initial=0.0))
    if rows.start is not None:  # a walk that goes on at zero has not begun there
        size = max(size, float(np.abs(rows.start).max(initial=0.0)))
    exact = objective.has_hessian or objective.has_sparse_hessian
    if size >= NEXT_TO_NOTHING or objective.is_measured or not exact:
        return None
    free = np.flatnonzero(objective.bounds.lower < objective.bounds.upper)
    value = rows.value(x)
    off = value - np.clip(value, rows.lower, rows.upper)
    met = np.flatnonzero(rows.equality | (off != 0.0))
    _, gradient = objective.value_and_gradient(x)
    H = objective.sparse_hessian(x) if objective.has_sparse_hessian else objective.hessian(x)
    J = rows.jacobian(x)
    if not all(_finite(numbers) for numbers in (gradient, value, H, J)):
        return None
    bend = float(abs(H).max())
    if not bend > 0.0:
        return None
    factored = factorise((H / bend)[free][:, free], np.zeros(free.size), J[met][:, free], 0.0)
    if factored.singular or factored.negative != met.size:
        return None
    step = factored.solve(-np.concatenate([gradient[free] / bend, off[met]]))
    if step is None or not np.isfinite(step).all():
        return None
    size = max(size, float(np.abs(step[: free.size]).max(initial=0.0)))
    if not 0.0 < size < NEXT_TO_NOTHING:
        return None
    bent = float(np.asarray(abs(H).sum(axis=1)).max()) * size**2
    cost = max(float(np.abs(gradient).max()) * size, bent)
    limits = np.maximum(_limit(rows.lower), _limit(rows.upper))
    slopes = np.asarray(abs(J).sum(axis=1)).ravel() * size
    of_rows = np.maximum(np.maximum(limits, np.abs(value)), slopes)
    return Units(
        _power_of_two(size), _power_of_two(cost), _power_of_two(np.where(of_rows < 1.0, of_rows, 1.0))
    )


def _limit(limits: Vector) -> Vector:
    return np.where(np.isfinite(limits), np.abs(limits), 0.0)


def _finite(numbers: Any) -> bool:
    return bool(np.isfinite(numbers if isinstance(numbers, np.ndarray) else numbers.data).all())


def _power_of_two(size: Any) -> Any:
    """The power of two next to each size; one for zero."""
    return np.exp2(np.round(np.log2(np.where(np.asarray(size) > 0.0, size, 1.0))))
