"""The last digits of a constrained minimum: Newton's method on the constraints that hold it, all others left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..bounds import Bounds, Mask, Vector
from ..constraints.rows import Rows, outside
from ..linear_algebra.saddle_systems import factorise, is_rounding, solved_with_pivoting
from ..objective import Objective

# Newton doubles the digits at every step; from the ten that an interior point has, two steps are enough, and more
# are needed only where the set of active constraints is still being put right.
STEPS = 40
# Steps without improvement that are put up with: where constraints are degenerate Newton's method comes near slowly,
# and the first steps may look worse.
PATIENCE = 4

# Newton's steps onto what holds a point: from where the interior-point method ends two are enough.
ROUNDS = 3

# Violations below this part of the size of the limits are rounding, and no reason to refuse a point.
ROUNDING = 1e-13


class Held(NamedTuple):
    """What holds a point: masks of rows (m,) and of bounds (n,) that are active, and the value each row is held at."""

    rows: Mask
    target: Vector
    bounds: Mask


class Polished(NamedTuple):
    """A point (n,), the multipliers (m,) of its rows and (n,) of its bounds: gradient = Jᵀ rows + bounds."""

    x: Vector
    rows: Vector
    bounds: Vector


# What holds a step along directions that neither the curvature nor the constraints feel.
HELD = 1e-4


def polished(
    objective: Objective,
    rows: Rows,
    found: Polished,
    held: Held,
    curvature: Callable[[Vector, Vector], Any],
) -> Polished:
    """The point with its active constraints met to rounding; `found` itself where that makes nothing better.

    `curvature(x, multipliers)`: second derivatives of cost - multipliers·rows, (n, n).
    """
    best, measure = found, errors_of(objective, rows, found)
    x = np.where(held.bounds, _nearest_bound(objective, found.x), found.x)
    now = Polished(x, np.where(held.rows, found.rows, 0.0), np.zeros_like(x))
    patience = PATIENCE
    released = np.zeros_like(held.rows)
    for _ in range(STEPS):
        stepped = _newton(objective, rows, now, held, curvature)
        if stepped is None:
            break
        projected = objective.bounds.project(stepped.x)
        moved = np.abs(projected - stepped.x) > 0
        if moved.any():
            held = held._replace(bounds=held.bounds | moved)
            stepped = stepped._replace(x=projected)
        crossed, target = _crossed(rows, stepped.x, held)
        drawn = _drawn(rows, stepped, held) & ~released
        if crossed.any():
            held = held._replace(rows=held.rows | crossed, target=np.where(crossed, target, held.target))
        elif drawn.any():
            # Each is let go of once: those that the next step leaves behind their limits are held for good.
            held, released = held._replace(rows=held.rows & ~drawn), released | drawn
            stepped = stepped._replace(rows=np.where(drawn, 0.0, stepped.rows))
        else:
            reached = errors_of(objective, rows, stepped)
            if not np.isfinite(reached).all():
                break
            if _is_better(reached, measure, rows):
                gained = reached.max() < 0.5 * measure.max()
                best, measure = stepped, reached
                patience = PATIENCE if gained else patience - 2
            elif not moved.any():
                patience -= 1
            if patience <= 0 or not measure.any():
                break
        now = stepped
    return best


# Gauss-Newton steps towards the least violation; it has been found to a few digits before.
VIOLATION_STEPS = 30


def least_violation(rows: Rows, bounds: Bounds, x: Vector) -> Vector:
    """The point near `x` where the violations, in the rows' units, have the smallest sum of squares.

    By Gauss-Newton inside the bounds.
    """
    from scipy import sparse
    from scipy.optimize import lsq_linear

    def off(x: Vector) -> Vector:
        value = rows.value(x)
        return (value - np.clip(value, rows.lower, rows.upper)) / rows.units

    now = off(x)
    for _ in range(VIOLATION_STEPS):
        broken = np.flatnonzero(now)
        if not broken.size or not np.isfinite(now).all():
            break
        J = _in_units(rows, rows.jacobian(x)[broken], broken)
        if not np.isfinite(J.data if sparse.issparse(J) else J).all():
            break
        least, most = np.minimum(bounds.lower - x, -1e-300), np.maximum(bounds.upper - x, 1e-300)
        step = lsq_linear(J, -now[broken], bounds=(least, most)).x
        for halving in range(20):
            trial = bounds.project(x + 0.5**halving * step)
            then = off(trial)
            if float(then @ then) < float(now @ now) * (1.0 - 1e-12):
                break
        else:
            break
        x, now = trial, then
    return x


def _newton(
    objective: Objective, rows: Rows, now: Polished, held: Held, curvature: Callable[[Vector, Vector], Any]
) -> Polished | None:
    """One Newton step on the first-order conditions of the active constraints as equations."""
    free = np.flatnonzero(~held.bounds)
    active = np.flatnonzero(held.rows)
    _, gradient = objective.value_and_gradient(now.x)
    J = rows.jacobian(now.x)
    A, unit = _in_units(rows, J[active][:, free], active), rows.units[active]
    H = curvature(now.x, now.rows)
    H = H[free][:, free]
    residual = (rows.value(now.x)[active] - held.target[active]) / unit
    slope = gradient[free] - A.T @ (unit * now.rows[active])
    if not (np.isfinite(slope).all() and np.isfinite(residual).all()):
        return None
    rhs = -np.concatenate([slope, residual])
    solution = None if rhs.size else rhs  # where all is held nothing is left to solve for
    # More rows than variables depend on each other: their multipliers are then changed as little as will do.
    if rhs.size and active.size <= free.size:
        solution = factorise(H, np.zeros(free.size), A, 0.0).solve(rhs)
    if rhs.size and solution is None:
        solution = solved_with_pivoting(H, A, rhs)
    if solution is not None and is_rounding(solution[: free.size], now.x):
        solution = factorise(H, np.full(free.size, HELD), A, 0.0).solve(rhs)
    if solution is None:
        return None
    x, multipliers = now.x.copy(), np.zeros(rows.m)
    x[free] += solution[: free.size]
    multipliers[active] = now.rows[active] - solution[free.size :] / unit
    x = objective.bounds.project(x) if not np.isfinite(x).all() else x
    if not np.isfinite(x).all():
        return None
    inside = objective.bounds.project(x)
    _, gradient = objective.value_and_gradient(inside)
    left = gradient - rows.jacobian(inside).T @ multipliers
    return Polished(x, multipliers, np.where(held.bounds, left, 0.0))


def _in_units(rows: Rows, J: Any, kept: np.ndarray) -> Any:
    """Slopes J (k, n) of the rows with the indices `kept` (k,), each divided by its row's unit."""
    unit = rows.units[kept]
    if (unit == 1.0).all():
        return J
    if isinstance(J, np.ndarray):
        return J / unit[:, None]
    import scipy.sparse as sparse

    return sparse.csr_array(sparse.diags_array(1.0 / unit) @ J)


def onto_what_holds(objective: Objective, rows: Rows, x: Vector, held: Held) -> Vector | None:
    """The place next to `x` (n,) where all that is `held` holds, whatever its multipliers; None for none near by."""
    free, active = np.flatnonzero(~held.bounds), np.flatnonzero(held.rows)
    x = np.where(held.bounds, _nearest_bound(objective, x), x)
    for _ in range(ROUNDS if active.size and free.size else 0):
        A = rows.jacobian(x)[active][:, free]
        off = held.target[active] - rows.value(x)[active]
        if not np.isfinite(off).all():
            return None
        one = np.eye(free.size)
        if not isinstance(A, np.ndarray):
            from scipy.sparse import csc_array, eye_array

            one = csc_array(eye_array(free.size))
        step = solved_with_pivoting(one, A, np.concatenate([np.zeros(free.size), off]))
        if step is None:
            return None
        x = x.copy()
        x[free] += step[: free.size]
        x = objective.bounds.project(x)
    return x


def errors_of(objective: Objective, rows: Rows, at: Polished) -> Vector:
    """Violation in the rows' units, error of the slope, and multipliers of the wrong sign, as one row of numbers."""
    x = objective.bounds.project(at.x)
    _, gradient = objective.value_and_gradient(x)
    value = rows.value(x)
    violation = float((outside(value, rows.lower, rows.upper) / rows.units).max(initial=0.0))
    slope = gradient - rows.jacobian(x).T @ at.rows - at.bounds
    slack = np.where(at.rows > 0, value - rows.lower, rows.upper - value)
    with np.errstate(invalid="ignore"):
        slack = np.where(at.rows != 0, np.where(np.isfinite(slack), np.abs(slack), np.inf), 0.0)
        open_rows = np.abs(at.rows) * slack
    low, high = objective.bounds.lower, objective.bounds.upper
    gap = np.where(at.bounds > 0, x - low, high - x)
    # A multiplier against a bound that is not there errs by itself, were it only rounding.
    gap = np.where(np.isfinite(gap), gap, 1.0)
    with np.errstate(invalid="ignore"):
        open_bounds = np.where(at.bounds != 0, np.abs(at.bounds) * np.abs(gap), 0.0)
    complementarity = max(
        float(np.nan_to_num(open_rows, nan=0.0, posinf=np.inf).max(initial=0.0)),
        float(np.nan_to_num(open_bounds, nan=0.0, posinf=np.inf).max(initial=0.0)),
    )
    return np.array([violation, float(np.abs(slope).max(initial=0.0)), complementarity])


def _is_better(new: Vector, old: Vector, rows: Rows) -> bool:
    """Less of everything, violation first; rounding of the limits does not count."""
    limits = np.abs(np.concatenate([rows.lower / rows.units, rows.upper / rows.units]))
    floor = ROUNDING * max(1.0, float(limits[np.isfinite(limits)].max(initial=0.0)))
    if not np.isfinite(new).all() or max(new[0] - floor, 0.0) > max(old[0], floor):
        return False
    return bool(new[1] + new[2] <= max(old[1] + old[2], 1e-9 * old[0])) or (
        new[0] < 0.1 * old[0] and new[1] + new[2] <= 10.0 * (old[1] + old[2]) + 1e-9
    )


def _crossed(rows: Rows, x: Vector, held: Held) -> tuple[Mask, Vector]:
    """Rows outside the active ones that the step left behind a limit, and that limit."""
    value = rows.value(x)
    room = ROUNDING * np.maximum(rows.units, np.abs(value))
    below, above = value < rows.lower - room, value > rows.upper + room
    return (below | above) & ~held.rows, np.where(below, rows.lower, rows.upper)


def _drawn(rows: Rows, at: Polished, held: Held) -> Mask:
    """Rows held at a limit from which their multipliers would draw the point away: they do not hold it."""
    inwards = np.where(held.target == rows.lower, at.rows < 0.0, at.rows > 0.0)
    return held.rows & ~rows.equality & inwards


def _nearest_bound(objective: Objective, x: Vector) -> Vector:
    low, high = objective.bounds.lower, objective.bounds.upper
    return np.where(
        x - low <= high - x, np.where(np.isfinite(low), low, x), np.where(np.isfinite(high), high, x)
    )
