"""A point between constraints as it is measured: which of them hold it, by what multipliers, and what slope is left."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ..constraints.rows import Rows, outside
from ..linear_algebra.dense import dense
from ..numerics import EPS
from .look import ASIDE, NO_NUMBER, Look
from .tangent_space import TangentSpace

Vector = np.ndarray
Matrix = np.ndarray

# A row is met when it is violated by less than this part of its own size; an interior point that no Newton step could
# polish is that far off. A constraint counts as active when it is that close, with some room for the barrier.
MET = 1e-8
ACTIVE = 1e-7

# Multipliers below this part of the largest are not told from none.
NO_MULTIPLIER = 1e-9

# Up to here multipliers and all curvatures are computed afresh; beyond, the walk's own multipliers are checked, and
# the smallest curvature is told by the signs of sparse factors.
SMALL = 300

# Slopes this small a part of the size of their row have vanished to rounding: a square, at its root.
VANISHING = 1e-6

# Rounds of Newton's method that bring a probe back onto the active constraints.
ROUNDS = 8
# Rows missed by as much as a round before, but for this part, stay so: by rounding, or with a bound in the way.
STANDSTILL = 1e-2
# Singular values of the rows' slopes below this part of the largest are rounding: no step is taken along them.
NO_SLOPE = 1e-12


class Point:
    """The end point and its constraints, each thing measured when it is first asked for."""

    def __init__(self, look: Look, rows: Rows, hint: tuple[Vector, Vector] | None) -> None:
        self.look, self.rows, self.hint = look, rows, hint
        self.x, self.scale, self.bounds = look.x, look.scale, look.objective.bounds
        self.value = self.rows_at(look.x)
        self._stepped: tuple[Matrix | None, Matrix | None] = None, None
        self._space: TangentSpace | None = None

    def rows_at(self, x: Vector) -> Vector:
        """Values of the rows at `x`, (m,); not a number where they have none."""
        try:
            return np.asarray(self.rows.value(x), dtype=np.float64)
        except NO_NUMBER:
            return np.full(self.rows.m, np.nan)

    @property
    def readable(self) -> bool:
        """Whether cost, slope and constraints are numbers here."""
        look = self.look
        finite = (
            np.isfinite(look.value) and np.isfinite(look.gradient).all() and np.isfinite(self.value).all()
        )
        return bool(finite)

    @cached_property
    def _slopes(self) -> tuple[Any, bool]:
        J = self.rows.jacobian(self.x)
        entries = J if isinstance(J, np.ndarray) else J.data
        finite = np.isfinite(entries)
        if finite.all():
            return J, True
        if isinstance(J, np.ndarray):
            return np.where(finite, J, 0.0), False
        J = J.copy()
        J.data = np.where(finite, entries, 0.0)
        return J, False

    @property
    def has_slopes(self) -> bool:
        """Whether all slopes of the rows are finite."""
        return self._slopes[1]

    @property
    def J(self) -> Any:
        """Slopes of the rows, (m, n), those that are not finite taken for none."""
        return self._slopes[0]

    @cached_property
    def reach(self) -> Vector:
        """A size of each parameter, (n,), that rounding has not made: where one held at zero has been.

        What is left of it there says nothing of its size; as for one that never moved, no more than 1 will do.
        """
        passed = self.look.history
        if self.look.start is None or passed is None or not len(passed.x):
            return self.scale
        been = np.max([np.abs(x - self.look.start) for x in passed.x], axis=0)
        been = np.minimum(been, min(1.0, float(self.scale.max(initial=0.0))))
        return np.where(self.scale < MET * been, been, self.scale)

    @cached_property
    def sizes(self) -> Vector:
        """The size of each row, (m,): its limit, and what its parameters' reach makes of its slopes."""
        limits = np.minimum(np.abs(self.rows.lower), np.abs(self.rows.upper))
        limits = np.where(np.isfinite(limits), limits, 0.0)  # a row without limits has no size of its own
        slopes = np.asarray(abs(self.J) @ self.reach)
        if self.look.start is not None:
            before = np.asarray(abs(self.rows.jacobian(self.look.start)) @ self.reach)
            slopes = np.maximum(slopes, np.where(np.isfinite(before), before, 0.0))
        return np.maximum(limits + slopes, np.finfo(float).tiny)

    @cached_property
    def violations(self) -> Vector:
        """How far each row is outside its limits, (m,)."""
        return outside(self.value, self.rows.lower, self.rows.upper)

    @property
    def worst(self) -> float:
        """The largest violation."""
        return float(self.violations.max(initial=0.0))

    @cached_property
    def at_lower(self) -> Vector:
        """Mask (m,) of the rows at their lower limit."""
        return self.value - self.rows.lower <= ACTIVE * self.sizes

    @cached_property
    def at_upper(self) -> Vector:
        """Mask (m,) of the rows at their upper limit."""
        return self.rows.upper - self.value <= ACTIVE * self.sizes

    @cached_property
    def bound_sides(self) -> tuple[Vector, Vector]:
        """Masks (n,) of the parameters at their lower and upper bound."""
        room = ACTIVE * self.scale
        return self.x - self.bounds.lower <= room, self.bounds.upper - self.x <= room

    @cached_property
    def active(self) -> Vector:
        """Mask (m,) of the rows at a limit."""
        return self.at_lower | self.at_upper

    @cached_property
    def active_names(self) -> tuple[str, ...]:
        """The constraints at their limits, bounds included, in words."""
        low, high = self.bound_sides
        told = [str(self.rows.names[k]) for k in np.flatnonzero(self.active).tolist()]
        return (*told, *(f"bound of {self.look.names[i]}" for i in np.flatnonzero(low | high).tolist()))

    @cached_property
    def vanishing_names(self) -> tuple[str, ...]:
        """The rows that push, with slopes that are next to nothing beside those they had, as that of x² = 0."""
        if self.look.n + self.rows.m > SMALL or self.rows.linear:
            return ()
        slopes = np.asarray(abs(self.J) @ self.reach)
        aside = np.asarray(
            abs(self.rows.jacobian(self.bounds.project(self.x + ASIDE * self.reach))) @ self.reach
        )
        size = np.maximum(self.sizes, np.where(np.isfinite(aside), aside, 0.0))
        vanishing = self.pushing[0] & self.active & (slopes <= VANISHING * size)
        return tuple(str(self.rows.names[k]) for k in np.flatnonzero(vanishing).tolist())

    @cached_property
    def _multipliers(self) -> tuple[Vector, Vector]:
        n, m = self.look.n, self.rows.m
        low, high = self.bound_sides
        held = np.flatnonzero(low | high)
        active = np.flatnonzero(self.active)
        if (
            not self.look.gradient.any()
        ):  # as of a cost that is the same everywhere: what a walk ends with is rounding
            return np.zeros(m), np.zeros(n)
        if n + m > SMALL and self.hint is not None:
            return self.hint
        found = self._balanced_by(dense(self.J[active]), active, held)
        rows, bounds = np.zeros(m), np.zeros(n)
        rows[active], bounds[held] = found[: active.size], found[active.size :]
        return rows, bounds

    def _balanced_by(self, A: Matrix, active: Vector, held: Vector) -> Vector:
        """Multipliers of the `active` rows, with slopes `A` (k, n), and of the `held` bounds, that balance best."""
        low, high = self.bound_sides
        columns = np.zeros((self.look.n, active.size + held.size))
        columns[:, : active.size] = A.T
        columns[held, active.size + np.arange(held.size)] = 1.0
        least = np.concatenate(
            [np.where(self.at_upper[active], -np.inf, 0.0), np.where(high[held], -np.inf, 0.0)]
        )
        most = np.concatenate(
            [np.where(self.at_lower[active], np.inf, 0.0), np.where(low[held], np.inf, 0.0)]
        )
        return _balance(columns * self.scale[:, None], self.look.gradient * self.scale, least, most)

    def left_by(self, J: Any) -> Vector:
        """What is left of the slope, (n,), where the rows have the slopes `J` (m, n) and not those of the point."""
        low, high = self.bound_sides
        active, held = np.flatnonzero(self.active), np.flatnonzero(low | high)
        A = dense(J[active])
        found = self._balanced_by(A, active, held)
        left = self.look.gradient - A.T @ found[: active.size]
        left[held] -= found[active.size :]
        return left

    @property
    def multipliers(self) -> Vector:
        """Multipliers of the rows, (m,), of the right sign, that balance the slope best."""
        return self._multipliers[0]

    @property
    def bound_multipliers(self) -> Vector:
        """Multipliers of the bounds, (n,)."""
        return self._multipliers[1]

    def unbalanced(self, x: Vector) -> Vector:
        """The slope of the Lagrangian at `x`, (n,), with the multipliers of the end point."""
        _, gradient = self.look.slope_at(x)
        return gradient - self.rows.jacobian(x).T @ self.multipliers - self.bound_multipliers

    @cached_property
    def residual(self) -> Vector:
        """What is left of the slope after the constraints have pushed against it, (n,)."""
        return self.look.gradient - self.J.T @ self.multipliers - self.bound_multipliers

    @cached_property
    def balanced_size(self) -> Vector:
        """Size of the terms that cancel in the residual, (n,)."""
        own = np.abs(self.look.gradient) + np.asarray(abs(self.J).T @ np.abs(self.multipliers))
        return own + np.abs(self.bound_multipliers)

    @cached_property
    def hessian(self) -> Any:
        """Second derivatives of the Lagrangian, dense (n, n); None where they are not known or too many."""
        objective = self.look.objective
        if not (objective.has_hessian and self.rows.has_hessian) or self.look.n > SMALL:
            return None
        H = dense(objective.hessian(self.x) + self.rows.hessian(self.x, -self.multipliers))
        return H if np.isfinite(H).all() else None

    @cached_property
    def pushing(self) -> tuple[Vector, Vector]:
        """Masks of the rows (m,) and bounds (n,) that hold the point: equations, and multipliers that are not zero."""
        price = np.abs(self.multipliers) * self.sizes
        of_bounds = np.abs(self.bound_multipliers) * self.scale
        least = NO_MULTIPLIER * max(float(price.max(initial=0.0)), float(of_bounds.max(initial=0.0)))
        fixed = self.bounds.lower == self.bounds.upper
        return self.rows.equality | (price > least), fixed | (of_bounds > least)

    @cached_property
    def tangent(self) -> Vector:
        """Directions (n, k), in units of the parameters' sizes, that keep to everything that pushes."""
        rows, bounds = self.pushing
        return self._null_space(rows, bounds)

    @cached_property
    def tangent_of_equations(self) -> Vector:
        """Directions (n, k) as of `tangent`, that keep to equations alone.

        On a kink the slopes that are read there are those of one side, and what pushes by them need not hold the point.
        """
        return self._null_space(*self._equations)

    @property
    def _equations(self) -> tuple[Vector, Vector]:
        return self.rows.equality, self.bounds.lower == self.bounds.upper

    def _null_space(self, rows: Vector, bounds: Vector) -> Vector:
        free = np.flatnonzero(~bounds)
        A = dense(self.J[np.flatnonzero(rows)][:, free]) * self.scale[free]
        A = A / np.maximum(np.abs(A).max(axis=1, initial=0.0), np.finfo(float).tiny)[:, None]
        space = np.zeros((self.look.n, free.size))
        space[free, np.arange(free.size)] = 1.0
        if not A.shape[0] or not free.size:
            return space
        _, values, V = np.linalg.svd(A)
        rank = int((values > 1e-10 * values.max(initial=0.0)).sum())
        return space @ V[rank:].T

    @cached_property
    def independent(self) -> tuple[int, int]:
        """Rank of the slopes of all active constraints, and how many they are."""
        low, high = self.bound_sides
        free = np.flatnonzero(~(low | high))
        active = np.flatnonzero(self.active)
        if not active.size:
            return 0, 0
        A = dense(self.J[active][:, free]) * self.scale[free]
        largest = (np.abs(dense(self.J[active])) * self.scale).max(axis=1)
        A = A / np.maximum(largest, np.finfo(float).tiny)[:, None]
        values = np.linalg.svd(A, compute_uv=False) if A.size else np.zeros(0)
        return int((values > 1e-6 * max(1.0, values.max(initial=0.0))).sum()), int(active.size)

    def kept(self, x: Vector, *, equations: bool = False) -> Vector | None:
        """`x` brought back onto what pushes here, inside the bounds; None where that leads nowhere feasible.

        `equations`: onto equations alone.
        """
        rows, bounds = self._equations if equations else self.pushing
        hold = np.flatnonzero(rows)
        target = np.where(self.at_lower, self.rows.lower, self.rows.upper)[hold]
        x = self.bounds.project(np.where(bounds, self.x, x))
        before = np.inf
        for _ in range(ROUNDS):
            value = self.rows_at(x)
            if not np.isfinite(value).all():
                return None
            off = outside(value, self.rows.lower, self.rows.upper) / self.sizes
            away = np.abs(value[hold] - target) / self.sizes[hold]
            missed = max(float(off.max(initial=0.0)), float(away.max(initial=0.0)))
            if missed <= EPS * 8:
                return x
            if abs(missed - before) <= STANDSTILL * missed:
                break
            before = missed
            A = self._in_units(self.rows.jacobian(x)[hold], bounds)
            if not np.isfinite(A if isinstance(A, np.ndarray) else A.data).all():
                return None
            if not hold.size:
                break
            x = self.bounds.project(x + self.scale * self._least(A, target - value[hold]))
        value = self.rows_at(x)
        off = outside(value, self.rows.lower, self.rows.upper) / self.sizes
        return x if np.isfinite(value).all() and off.max(initial=0.0) <= max(MET * 1e-3, self._off) else None

    def _in_units(self, A: Any, held: Vector) -> Any:
        """Slopes (k, n) in units of the parameters' sizes, those that are `held` (n,) left out; sparse where many."""
        units = np.where(held, 0.0, self.scale)
        if isinstance(A, np.ndarray) or self.look.n <= SMALL:
            return dense(A) * units
        import scipy.sparse as sparse

        return sparse.csc_array(A @ sparse.diags_array(units))

    def _least(self, A: Any, change: Vector) -> Vector:
        """The shortest step that moves the rows with slopes `A` by `change`.

        The slopes of linear rows are the same everywhere: met a second time, they are inverted once for all.
        """
        if not isinstance(A, np.ndarray):
            known = self._space
            if known is None or known.A.nnz != A.nnz or abs(known.A - A).max() > 0.0:
                self._space = known = TangentSpace(A)
            return known.least(change)
        last, inverse = self._stepped
        if last is None or not np.array_equal(last, A):
            self._stepped = A, None
            return np.asarray(np.linalg.lstsq(A, change, rcond=NO_SLOPE)[0])
        if inverse is None:
            inverse = np.linalg.pinv(A, rcond=NO_SLOPE)
            self._stepped = A, inverse
        return np.asarray(inverse @ change)

    @property
    def _off(self) -> float:
        return float((self.violations / self.sizes).max(initial=0.0))


def _balance(columns: Vector, slope: Vector, least: Vector, most: Vector) -> Vector:
    """The multipliers between `least` and `most` that leave the least of `slope`, by bounded least squares."""
    if not columns.shape[1]:
        return np.zeros(0)
    from scipy.optimize import lsq_linear

    size = np.maximum(np.abs(columns).max(axis=0), np.finfo(float).tiny)
    unit = max(float(np.abs(slope).max(initial=0.0)), np.finfo(float).tiny)
    found = lsq_linear(columns / size, slope / unit, bounds=(least, most), method="bvls", tol=1e-14).x
    loose = (found > least) & (found < most) & (found != 0.0)
    if loose.any():
        again = np.linalg.lstsq((columns / size)[:, loose], slope / unit, rcond=None)[0]
        if ((again >= least[loose]) & (again <= most[loose])).all():
            found = np.where(loose, 0.0, np.where(np.isfinite(found), found, 0.0))
            found[loose] = again
    return np.clip(found, least, most) * unit / size
