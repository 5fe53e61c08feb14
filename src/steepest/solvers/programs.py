"""What the interior-point method walks on: a cost over variables in a box, under equations alone.

An inequality lower <= c(x) <= upper becomes the equation c(x) - s = 0 with a further variable s between the limits.
"""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..bounds import Vector
from ..constraints.rows import Rows
from ..objective import Objective

# The largest slope of the cost, or of a row, at the start is brought down to this (Wächter & Biegler 2006, section
# 3.8): steps are measured against it, and barriers begin at 0.1.
LARGEST_SLOPE = 100.0
SMALLEST_SCALE = 1e-8
# A cost less steep than this at the start, in all parameters together, is scaled up to a slope of one, as far as costs
# of size one stay moderate: what a walk takes for arrived is absolute. A mean over many parameters is of size one
# however little each of them counts; scaled by one of these slopes its barrier would hold next to nothing.
LEAST_SLOPE = 1e-2
LARGEST_SCALE = 1e12

# Where slopes alone can tell curvature they are compared over this part of the parameters' sizes.
PART_OF_THE_WAY = 0.1

# Limits of rows are relaxed by this part of themselves, so that there is always an inside. Smaller, and two
# inequalities that meet have none; larger, and it shows in the answer before it is polished.
RELAXED = 1e-9


class Measured(NamedTuple):
    """A program at one point: the `value` and `gradient` (n,) of its cost, and its equations' `residual` (m,).

    Not `whole`: the gradient was not asked for, and is zero.
    """

    value: float
    gradient: Vector
    residual: Vector
    whole: bool = True

    @property
    def finite(self) -> bool:
        """Whether there is a number everywhere."""
        return bool(
            np.isfinite(self.value) and np.isfinite(self.gradient).all() and np.isfinite(self.residual).all()
        )


class Program(Protocol):
    """`minimize value(w)` with `residual(w) = 0` and `lower <= w <= upper`; w (n,), residual (m,).

    `bending`: how many of the variables, from the first, have curvature at all. `has_hessian` as it says.
    """

    lower: Vector
    upper: Vector
    bending: int
    has_hessian: bool

    def measure(self, w: Vector) -> Measured:
        """Cost, gradient and residual."""

    def tried(self, w: Vector) -> Measured:
        """The same; without the gradient where that takes calls of its own, as it does where slopes are measured."""

    def jacobian(self, w: Vector) -> Any:
        """First derivatives of the residual, (m, n)."""

    def hessian(self, w: Vector, multipliers: Vector, cost: float = 1.0) -> Any:
        """Second derivatives of cost·value + multipliers·residual, (n, n)."""


class Slacked:
    """An objective with rows of constraints, as a program in w = (free x, s), scaled.

    `free`: indices of the parameters whose bounds leave room; the others are held. `cost_scale` and `row_scale`
    (m,): by what the cost and each row are multiplied.
    """

    def __init__(self, objective: Objective, rows: Rows, x: Vector) -> None:
        bounds = objective.bounds
        self.objective, self.rows = objective, rows
        self.free = np.flatnonzero(bounds.lower < bounds.upper)
        self.base = x.copy()
        self.slack = np.flatnonzero(~rows.equality)
        self.cost_scale, self.row_scale = 1.0, np.ones(rows.m)
        self.sparse = False
        self.bending = self.free.size
        self.has_hessian = rows.has_hessian and (objective.has_hessian or objective.has_sparse_hessian)
        self.equations = np.where(rows.equality, rows.lower, 0.0)
        self._set_box()

    def _set_box(self) -> None:
        bounds, rows = self.objective.bounds, self.rows
        low, high = rows.lower[self.slack], rows.upper[self.slack]
        scale = self.row_scale[self.slack]
        unit = rows.units[self.slack]
        low = scale * (low - RELAXED * np.maximum(unit, np.abs(low)))
        high = scale * (high + RELAXED * np.maximum(unit, np.abs(high)))
        self.lower = np.concatenate([bounds.lower[self.free], low])
        self.upper = np.concatenate([bounds.upper[self.free], high])

    def scaled(self, x: Vector) -> None:
        """Choose the scales from the slopes at `x`."""
        _, gradient = self.objective.value_and_gradient(x)
        steepest = float(np.abs(gradient[self.free]).max(initial=0.0))
        self.cost_scale = _scale_for(steepest)
        together = float(np.abs(gradient[self.free]).sum())
        if 0.0 < together < LEAST_SLOPE:
            # A start that happens to be level says nothing of the cost's unit, where there is curvature instead.
            size = max(self._most_curvature(x, gradient), together)  # no number stays none
            self.cost_scale = min(1.0 / size, LARGEST_SCALE) if size < LEAST_SLOPE else 1.0
        J = self.rows.jacobian(x)
        if not isinstance(J, np.ndarray):
            self.sparse = True
            slopes = np.abs(J[:, self.free])
            sizes = slopes.max(axis=1).toarray().ravel() if self.free.size else np.zeros(self.rows.m)
        else:
            sizes = np.abs(J[:, self.free]).max(axis=1, initial=0.0)
        self.row_scale = np.array([_scale_for(float(size)) for size in sizes]) / self.rows.units
        self._set_box()

    def scaled_like(self, other: Slacked) -> None:
        """Take the scales of a program with the same parameters and rows."""
        self.cost_scale, self.row_scale, self.sparse = other.cost_scale, other.row_scale, other.sparse
        self._set_box()

    def _most_curvature(self, x: Vector, gradient: Vector) -> float:
        """How far the cost's slope, `gradient` at `x`, changes within the parameters' sizes; infinite if not known.

        Where second derivatives are not to be had it is seen a part of that way down the slope.
        """
        objective, size = self.objective, np.maximum(1.0, np.abs(x))
        if not self.has_hessian:
            way = np.where(objective.bounds.lower < objective.bounds.upper, gradient, 0.0)
            way = way / float(np.abs(way).max())
            there = objective.bounds.project(x - PART_OF_THE_WAY * size * way)
            _, slope = objective.value_and_gradient(there)
            change = float(np.abs(slope - gradient)[self.free].max(initial=0.0)) / PART_OF_THE_WAY
            return change if np.isfinite(change) else inf
        bend = objective.sparse_hessian(x) if objective.has_sparse_hessian else objective.hessian(x)
        return float((abs(bend) @ size)[self.free].max(initial=0.0))

    def start(self, x: Vector) -> Vector:
        """w for the parameters `x`, the slacks as the rows are."""
        return np.concatenate([x[self.free], (self.row_scale * self.rows.value(x))[self.slack]])

    def x_of(self, w: Vector) -> Vector:
        """The parameters (n,), inside their bounds."""
        x = self.base.copy()
        x[self.free] = w[: self.bending]
        return self.objective.bounds.project(x)

    def measure(self, w: Vector) -> Measured:
        """Cost, gradient and residual at w, scaled."""
        x = self.x_of(w)
        value, gradient = self.objective.value_and_gradient(x)
        slope = np.concatenate([self.cost_scale * gradient[self.free], np.zeros(self.slack.size)])
        return Measured(self.cost_scale * value, slope, self._residual(x, w))

    def tried(self, w: Vector) -> Measured:
        """Cost and residual at w, scaled; the gradient too where it takes no further calls."""
        if not self.objective.is_measured:
            return self.measure(w)
        x = self.x_of(w)
        value = self.cost_scale * self.objective.value(x)
        return Measured(value, np.zeros(w.size), self._residual(x, w), whole=False)

    def _residual(self, x: Vector, w: Vector) -> Vector:
        residual = self.row_scale * (self.rows.value(x) - self.equations)
        residual[self.slack] -= w[self.bending :]
        return residual

    def jacobian(self, w: Vector) -> Any:
        """First derivatives of the residual, (m, n)."""
        J = self.rows.jacobian(self.x_of(w))
        k = self.slack.size
        if isinstance(J, np.ndarray):
            found = np.zeros((self.rows.m, w.size))
            found[:, : self.bending] = J[:, self.free] * self.row_scale[:, None]
            found[self.slack, self.bending + np.arange(k)] = -1.0
            return found
        import scipy.sparse as sparse

        left = sparse.diags_array(self.row_scale) @ J[:, self.free]
        right = sparse.csr_array(
            (-np.ones(k), (self.slack, np.arange(k))), shape=(self.rows.m, k), dtype=np.float64
        )
        return sparse.csr_array(sparse.hstack([left, right]))

    def hessian(self, w: Vector, multipliers: Vector, cost: float = 1.0) -> Any:
        """Second derivatives of the Lagrangian, (n, n); zero in the slacks."""
        x = self.x_of(w)
        weighted = self.rows.hessian(x, self.row_scale * multipliers)
        if self.sparse:
            import scipy.sparse as sparse

            total = sparse.csc_array((x.size, x.size))
            if cost:
                objective = self.objective
                own = objective.sparse_hessian(x) if objective.has_sparse_hessian else objective.hessian(x)
                total = sparse.csc_array(cost * self.cost_scale * own)
            if np.ndim(weighted) == 2:
                total = total + sparse.csc_array(weighted)
            inner = sparse.csc_array(total[self.free][:, self.free])
            k = self.slack.size
            return sparse.csc_array(sparse.block_diag([inner, sparse.csc_array((k, k))])) if k else inner
        total = np.zeros((x.size, x.size)) + weighted
        if cost:
            total = total + cost * self.cost_scale * self.objective.hessian(x)
        found = np.zeros((w.size, w.size))
        found[: self.bending, : self.bending] = total[np.ix_(self.free, self.free)]
        return found


def _scale_for(size: float) -> float:
    return float(max(SMALLEST_SCALE, LARGEST_SLOPE / size)) if size > LARGEST_SLOPE else 1.0


# How dear a unit of violation is against staying near (Wächter & Biegler 2006, section 3.3).
DEAR = 1000.0


class Restoring:
    """The program of least violation near `w0`: ρ Σ(p + q) + ½ζ‖D(w - w0)‖² with residual(w) - p + q = 0, p, q >= 0.

    Its variables are (w, p, q) (Wächter & Biegler 2006, eq. 29).
    """

    def __init__(self, inner: Program, w0: Vector, barrier: float) -> None:
        self.inner = inner
        self.w0 = w0
        self.zeta = np.sqrt(barrier)
        self.weight = np.minimum(1.0, 1.0 / np.maximum(np.abs(w0), np.finfo(float).tiny)) ** 2
        self.n, self.m = w0.size, inner.measure(w0).residual.size
        self.lower = np.concatenate([inner.lower, np.zeros(2 * self.m)])
        self.upper = np.concatenate([inner.upper, np.full(2 * self.m, np.inf)])
        self.bending = inner.bending
        self.has_hessian = inner.has_hessian

    def start(self, barrier: float) -> Vector:
        """The first variables: w0, with p and q best for it (eq. 33)."""
        c = self.inner.measure(self.w0).residual
        q = (barrier - DEAR * c + np.hypot(barrier, DEAR * c)) / (2.0 * DEAR)
        q = np.maximum(q, barrier / DEAR)
        p = np.maximum(c + q, barrier / DEAR)
        return np.concatenate([self.w0, p, q])

    def measure(self, w: Vector) -> Measured:
        """Violation and distance."""
        n, m = self.n, self.m
        inner = self.inner.tried(w[:n])  # its gradient is no part of this one
        away = w[:n] - self.w0
        value = DEAR * w[n:].sum() + 0.5 * self.zeta * float(self.weight @ away**2)
        if not np.isfinite(inner.value):
            value = np.nan
        gradient = np.concatenate([self.zeta * self.weight * away, np.full(2 * m, DEAR)])
        return Measured(float(value), gradient, inner.residual - w[n : n + m] + w[n + m :])

    tried = measure

    def jacobian(self, w: Vector) -> Any:
        """First derivatives of the equations."""
        J = self.inner.jacobian(w[: self.n])
        if isinstance(J, np.ndarray):
            return np.concatenate([J, -np.eye(self.m), np.eye(self.m)], axis=1)
        import scipy.sparse as sparse

        one = sparse.eye_array(self.m)
        return sparse.csr_array(sparse.hstack([J, -one, one]))

    def hessian(self, w: Vector, multipliers: Vector, cost: float = 1.0) -> Any:
        """Second derivatives: those of the weighted rows alone, and of the distance."""
        n, m = self.n, self.m
        H = self.inner.hessian(w[:n], multipliers, cost=0.0)
        if isinstance(H, np.ndarray):
            found = np.zeros((n + 2 * m, n + 2 * m))
            found[:n, :n] = H + np.diag(self.zeta * self.weight)
            return found
        import scipy.sparse as sparse

        H = sparse.csc_array(H) + sparse.diags_array(self.zeta * self.weight)
        return sparse.csc_array(sparse.block_diag([H, sparse.csc_array((2 * m, 2 * m))]))
