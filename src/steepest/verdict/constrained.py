"""The judge of constrained points: are the first- and second-order conditions there, and how is that known?

The conditions are those of Karush, Kuhn and Tucker (Nocedal & Wright 2006, theorems 12.1, 12.5 and 12.6): the slope of
the cost is balanced by the slopes of the active constraints, each pushing the right way, and the cost bends upwards in
every direction that keeps to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..constraints.rows import Rows, outside
from ..numerics import EPS
from ..objective import Objective
from .failures import value_not_finite
from .look import NO_NUMBER, Look, look_at
from .optimality import SPREAD_FACTOR, UNITS
from .wording import direction_name, listed, number
from .words import Evidence, Judgement, Verdict

Vector = np.ndarray
Matrix = np.ndarray

# A row is met when it is violated by less than this part of its own size; an interior point that no Newton step could
# polish is that far off. A constraint counts as active when it is that close, with some room for the barrier.
MET = 1e-8
ACTIVE = 1e-7

# What would change the cost by no more than this part of its size, moved onto a limit, is at that limit.
ONTO_A_LIMIT = 1e-6

# A slope that would change the cost by no more than this part, as it is here, on the way to a bound has met the bound.
NEXT_TO_NOTHING = 1e-9

# Slopes that balance to this part of their own sizes cancel as well as the last digits of an unpolished point allow.
BALANCED = 1e-8

# A Newton step that promises less than this part of the fall, and moves no parameter by more than that part of its
# size, says that the minimum is here.
REMAINING_PART, STEP_PART = 1e-10, 1e-5

# Curvature below this part of the largest is not told from none; multipliers likewise.
NO_CURVATURE, NO_MULTIPLIER = 1e-10, 1e-9

# Up to here multipliers and curvature are computed afresh; beyond, the walk's own multipliers are checked, and
# curvature is looked at along a number of random directions.
SMALL = 300
DIRECTIONS = 20

# Distances, in natural sizes, at which a direction without curvature, or with negative one, is tried both ways.
TRIED = (1e-1, 1e-2, 1e-3, 1e-4)

# Random directions, each both ways, along which a corner of kinks is left where some way leads down.
CORNER_WAYS = 30

# Distances at which a cost is looked at that may fall for ever.
LONG_WAYS = tuple(10.0**k for k in range(9))

# A cost that is negative, and so many times as large as where the walk began, has fallen without limit; parameters so
# many times the start's are on their way to infinity.
FALLEN, FAR_OUT = 1e6, 1e10

# Rounds of Newton's method that bring a probe back onto the active constraints.
ROUNDS = 8
# Rows missed by as much as a round before, but for this part, stay so: by rounding, or with a bound in the way.
STANDSTILL = 1e-2
# Singular values of the rows' slopes below this part of the largest are rounding: no step is taken along them.
NO_SLOPE = 1e-12


@dataclass(frozen=True)
class Multipliers:
    """What holds the point: the gradient is Jᵀ rows + bounds. `active`: names of the constraints at their limits."""

    rows: Vector
    bounds: Vector
    active: tuple[str, ...]
    violation: float


def judge_constrained(
    objective: Objective,
    rows: Rows,
    x: Vector,
    *,
    names: Sequence[str],
    structure: Any = None,
    stop: str | None = None,
    history: Any = None,
    infeasible: bool = False,
    hint: tuple[Vector, Vector] | None = None,
    seed: int = 0,
) -> tuple[Judgement, Multipliers]:
    """What the point `x` (n,) is among the points that meet `rows`; arguments as for `judge`.

    `infeasible`: the walk ended where the violation is smallest. `hint`: multipliers of the rows and the bounds that
    the walk found, used where there are too many to compute them afresh.

    >>> bowl = Objective(
    ...     1, value_and_gradient=lambda x: (float(x @ x), 2 * x), hessian=lambda x: 2 * np.eye(1)
    ... )
    >>> from steepest.constraints.rows import Block
    >>> row = Block(1, lambda x: x, lambda x: np.eye(1), lambda x, u: 0.0, linear=True)
    >>> at_least_one = Rows(1, np.array([1.0]), np.array([np.inf]), ("x >= 1",), (row,), np.arange(1))
    >>> judgement, multipliers = judge_constrained(bowl, at_least_one, np.array([1.0]), names=("x",))
    >>> print(judgement.verdict, multipliers.rows)
    local minimum [2.]
    """
    with np.errstate(all="ignore"):
        look = look_at(objective, x, names, structure, stop, history, seed)
        point = Point(look, rows, hint)
        judgement = replace(
            _judge(point, infeasible), value=look.value, gradient=look.gradient, spent=look.objective.counts
        )
        if point.readable:
            return judgement, Multipliers(
                point.multipliers, point.bound_multipliers, point.active_names, point.worst
            )
        nothing = np.full(rows.m, np.nan), np.full(look.n, np.nan)
        return judgement, Multipliers(*nothing, (), np.nan)


class Point:
    """The end point and its constraints, each thing measured when it is first asked for."""

    def __init__(self, look: Look, rows: Rows, hint: tuple[Vector, Vector] | None) -> None:
        self.look, self.rows, self.hint = look, rows, hint
        self.x, self.scale, self.bounds = look.x, look.scale, look.objective.bounds
        self.value = _tried(lambda: rows.value(look.x), rows.m)
        self._stepped: tuple[Matrix | None, Matrix | None] = None, None

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
    def sizes(self) -> Vector:
        """The size of each row, (m,): its limit, and what its parameters' sizes make of its slopes."""
        limits = np.minimum(np.abs(self.rows.lower), np.abs(self.rows.upper))
        limits = np.where(np.isfinite(limits), limits, 0.0)  # a row without limits has no size of its own
        slopes = np.asarray(abs(self.J) @ self.scale)
        if self.look.start is not None:
            before = np.asarray(abs(self.rows.jacobian(self.look.start)) @ self.scale)
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
    def _multipliers(self) -> tuple[Vector, Vector]:
        n, m = self.look.n, self.rows.m
        low, high = self.bound_sides
        held = np.flatnonzero(low | high)
        active = np.flatnonzero(self.active)
        if n + m > SMALL and self.hint is not None:
            return self.hint
        A = self.J[active]
        A = A if isinstance(A, np.ndarray) else A.toarray()
        columns = np.zeros((n, active.size + held.size))
        columns[:, : active.size] = A.T
        columns[held, active.size + np.arange(held.size)] = 1.0
        least = np.concatenate(
            [np.where(self.at_upper[active], -np.inf, 0.0), np.where(high[held], -np.inf, 0.0)]
        )
        most = np.concatenate(
            [np.where(self.at_lower[active], np.inf, 0.0), np.where(low[held], np.inf, 0.0)]
        )
        found = _balance(columns * self.scale[:, None], self.look.gradient * self.scale, least, most)
        rows, bounds = np.zeros(m), np.zeros(n)
        rows[active], bounds[held] = found[: active.size], found[active.size :]
        return rows, bounds

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
        H = objective.hessian(self.x) + self.rows.hessian(self.x, -self.multipliers)
        H = H if isinstance(H, np.ndarray) else np.asarray(H.toarray())
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

    def _null_space(self, rows: Vector, bounds: Vector) -> Vector:
        free = np.flatnonzero(~bounds)
        A = self.J[np.flatnonzero(rows)][:, free]
        A = (A if isinstance(A, np.ndarray) else A.toarray()) * self.scale[free]
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
        A = self.J[active][:, free]
        A = (A if isinstance(A, np.ndarray) else A.toarray()) * self.scale[free]
        largest = np.abs(self.J[active]).max(axis=1)
        largest = largest if isinstance(largest, np.ndarray) else largest.toarray().ravel()
        A = A / np.maximum(largest, np.finfo(float).tiny)[:, None]
        values = np.linalg.svd(A, compute_uv=False) if A.size else np.zeros(0)
        return int((values > 1e-6 * max(1.0, values.max(initial=0.0))).sum()), int(active.size)

    def kept(self, x: Vector) -> Vector | None:
        """`x` brought back onto what pushes here, inside the bounds; None where that leads nowhere feasible."""
        rows, bounds = self.pushing
        hold = np.flatnonzero(rows)
        target = np.where(self.at_lower, self.rows.lower, self.rows.upper)[hold]
        x = self.bounds.project(np.where(bounds, self.x, x))
        before = np.inf
        for _ in range(ROUNDS):
            value = _tried(lambda at=x: self.rows.value(at), self.rows.m)
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
            A = self.rows.jacobian(x)[hold]
            A = (A if isinstance(A, np.ndarray) else A.toarray()) * np.where(bounds, 0.0, self.scale)
            if not np.isfinite(A).all():
                return None
            if not hold.size:
                break
            x = self.bounds.project(x + self.scale * self._least(A, target - value[hold]))
        value = _tried(lambda: self.rows.value(x), self.rows.m)
        off = outside(value, self.rows.lower, self.rows.upper) / self.sizes
        return x if np.isfinite(value).all() and off.max(initial=0.0) <= max(MET * 1e-3, self._off) else None

    def _least(self, A: Matrix, change: Vector) -> Vector:
        """The shortest step that moves the rows with slopes `A` by `change`.

        The slopes of linear rows are the same everywhere: met a second time, they are inverted once for all.
        """
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


def _tried(evaluate: Any, m: int) -> Vector:
    try:
        return np.asarray(evaluate(), dtype=np.float64)
    except NO_NUMBER:
        return np.full(m, np.nan)


# -- the judgement -----------------------------------------------------------------------------------------


def _judge(point: Point, infeasible: bool) -> Judgement:
    look = point.look
    if look.value == -np.inf and np.isfinite(point.value).all() and _feasibility(point).holds:
        return value_not_finite(look)
    if not point.readable:
        return _not_finite(point)
    evidence = [_feasibility(point)]
    if not evidence[0].holds:
        return _not_met(point, infeasible, evidence)
    if look.stop == "unbounded below" or look.stop == "parameters run to infinity":
        endless = _went_without_end(look, evidence)
        if endless is not None:
            return endless
    limit = _rounding(point)
    stationarity, _, step = _stationarity(point, limit)
    evidence.append(stationarity)
    if not stationarity.holds:
        return _not_stationary(point, evidence)
    evidence.append(_complementarity(point))
    if not evidence[-1].holds:
        return _not_on_its_limit(point, evidence)
    independence = _independence(point)
    if independence is not None:
        evidence.append(independence)
    bend = _second_order(point)
    evidence.append(bend.evidence)
    if bend.lower is not None:
        name = direction_name(bend.lower - point.x, look.names)
        return Judgement(
            Verdict.SADDLE_POINT,
            tuple(evidence),
            f"Saddle point: the slopes balance, but along {name} the cost falls while the constraints stay met.",
            "Start from a point along that direction.",
            downhill=bend.lower - point.x,
        )
    return _minimum(point, evidence, bend, limit, step)


@dataclass(frozen=True)
class Bend:
    """What the second-order look found: the evidence, directions that cost nothing (in sizes), a lower point."""

    evidence: Evidence
    flat: tuple[Vector, ...] = ()
    lower: Vector | None = None
    known: bool = True


def _went_without_end(look: Look, evidence: list[Evidence]) -> Judgement | None:
    """What is said where the walk took its way for endless, if the cost, or where it is lowest, bears that out.

    A parameter that nothing holds, as one that the cost does not feel, runs away while the cost stays what it is.
    """
    begun = look.history.first[0] if look.history is not None and len(look.history) else 0.0
    if look.value < -FALLEN * abs(begun):
        return Judgement(
            Verdict.UNBOUNDED_BELOW,
            tuple(evidence),
            f"Unbounded below: the constraints are met and the cost fell to {number(look.value)}, still falling.",
            "Check the sign of the cost, or bound the parameters.",
        )
    before = 1.0 if look.start is None else max(1.0, float(np.abs(look.start).max(initial=0.0)))
    if float(np.abs(look.x).max(initial=0.0)) > FAR_OUT * before:
        return Judgement(
            Verdict.INFIMUM_NOT_ATTAINED,
            tuple(evidence),
            f"No minimum: the constraints are met and the cost came down to {number(look.value)} while the parameters "
            "grew without limit.",
            "Bound the parameters, or add a penalty on their size.",
        )
    return None


def _feasibility(point: Point) -> Evidence:
    off = point.violations / point.sizes
    worst = int(np.argmax(off)) if off.size else 0
    holds = bool(off[worst] <= MET)
    name = point.rows.names[worst]
    how = f"largest violation, of {name}" if off[worst] > 0 else "every constraint and bound is met"
    return Evidence("constraint violation", point.worst, float(MET * point.sizes[worst]), holds, how)


def _not_met(point: Point, infeasible: bool, evidence: list[Evidence]) -> Judgement:
    look = point.look
    worst = int(np.argmax(point.violations / point.sizes))
    what = f"{point.rows.names[worst]} is missed by {number(point.violations[worst])}"
    if look.stop in ("out of budget", "stopped"):
        word = Verdict(look.stop)
        return Judgement(
            word,
            tuple(evidence),
            f"{word.value.capitalize()} before the constraints were met: {what} at the point of least violation, which "
            "is given.",
            "Allow more, or start nearer to where the constraints are met.",
        )
    least = _least_violation(point)
    evidence.append(least)
    if least.holds or infeasible:
        return Judgement(
            Verdict.NOT_FINITE,
            tuple(evidence),
            f"No point meets the constraints here: at the point of least violation, which is given, {what}, and no "
            "small move lessens it. Where constraints are not met the cost counts as infinite.",
            "Check the constraints against each other, or start somewhere else.",
        )
    return Judgement(
        Verdict.NOT_FINITE,
        tuple(evidence),
        f"The constraints were not met: {what} at the point of least violation, which is given. Where constraints are "
        "not met the cost counts as infinite.",
        "Start nearer to where the constraints are met, or scale the constraints to similar sizes.",
    )


def _least_violation(point: Point) -> Evidence:
    """Whether a linear step inside the bounds could lessen the violation: none can at its minimum."""
    from scipy.optimize import lsq_linear

    signed = (point.value - np.clip(point.value, point.rows.lower, point.rows.upper)) / point.sizes
    off = np.flatnonzero(signed)
    A = point.J[off]
    A = (A if isinstance(A, np.ndarray) else A.toarray()) * point.scale / point.sizes[off][:, None]
    name = "violation that a small step could take away"
    if not point.has_slopes:
        return Evidence(name, None, 1e-3, False, "the slopes of the constraints are not finite there")
    least = np.minimum((point.bounds.lower - point.x) / point.scale, -1e-12)
    most = np.maximum((point.bounds.upper - point.x) / point.scale, 1e-12)
    left = lsq_linear(
        A, -signed[off], bounds=(np.maximum(least, -1e-2), np.minimum(most, 1e-2)), method="bvls"
    )
    before = float(np.linalg.norm(signed))
    gained = 1.0 - float(np.linalg.norm(left.fun)) / before
    return Evidence(name, gained, 1e-3, gained <= 1e-3, "linear step inside the bounds")


def _rounding(point: Point) -> Vector:
    """The error of each entry of the Lagrangian's slope, (n,): its spread over neighbouring numbers."""
    look = point.look
    unit = np.maximum(np.spacing(np.abs(point.x)), EPS * point.scale)
    H = point.hessian
    spread = EPS * point.balanced_size
    for _ in range(3):
        shift = (
            look.generator.choice((-1.0, 1.0), look.n)
            * look.generator.uniform(0.5, 1.0, look.n)
            * UNITS
            * unit
        )
        near = point.bounds.project(point.x + shift)
        away = point.unbalanced(near) - point.residual
        trend = H @ (near - point.x) if H is not None else 0.0
        if np.isfinite(away).all():
            spread = np.maximum(spread, np.abs(away - trend))
    grain = 0.0 if H is None else np.abs(H) @ (0.5 * np.spacing(np.abs(point.x)))
    return SPREAD_FACTOR * (spread + grain)


def _stationarity(point: Point, limit: Vector) -> tuple[Evidence, float, Vector]:
    """Whether the slopes balance: to rounding, to their own size, or so well that nothing is left to gain."""
    look, residual = point.look, np.abs(point.residual)
    nothing = np.zeros(look.n)
    how = "slope of the cost minus multipliers × slopes of the constraints, max norm"
    error = look.objective.gradient_error
    if error is not None:
        limit = np.maximum(limit, np.abs(error) + BALANCED**0.5 * point.balanced_size)
        how += ", slopes measured by differences"
    ratio = np.where(residual == 0.0, 0.0, residual / np.maximum(limit, np.finfo(float).tiny))
    worst = int(np.argmax(ratio))
    if ratio[worst] <= 1.0:
        holds = error is not None or not _slides(point)
        if not holds:
            worst, how = int(np.argmax(residual * point.scale)), f"{how}; the cost falls along what is left"
        measured, most = float(residual[worst]), float(limit[worst]) if holds else 0.0
        return Evidence("balance of slopes", measured, most, holds, how), 0.0, nothing
    unit = residual * point.scale
    size = max(look.fall or 0.0, abs(look.value))
    if float(unit.sum()) <= 16 * EPS * size:
        how = "what the slope that is left could gain within the parameters' sizes"
        return Evidence("balance of slopes", float(unit.sum()), 16 * EPS * size, True, how), 0.0, nothing
    whole = float((point.balanced_size * point.scale).max())
    worst = int(np.argmax(unit))
    H = point.hessian
    if H is not None:
        Z = point.tangent
        D = point.scale
        reduced = Z.T @ (D[:, None] * H * D) @ Z
        values, V = np.linalg.eigh(reduced) if reduced.size else (np.zeros(0), reduced)
        if values.size and values[0] > NO_CURVATURE * values[-1]:
            along = V.T @ (Z.T @ (D * point.residual))
            remaining = float(0.5 * (along**2 / values).sum())
            step = D * (Z @ (V @ (along / values)))
            across = D * point.residual - Z @ (Z.T @ (D * point.residual))
            fits = float(np.abs(across).max(initial=0.0)) <= BALANCED * whole
            if fits and remaining <= REMAINING_PART * size and bool((np.abs(step) <= STEP_PART * D).all()):
                how = "decrease that a Newton step within the constraints still promises"
                return (
                    Evidence("balance of slopes", remaining, REMAINING_PART * size, True, how),
                    remaining,
                    step,
                )
    limit_here = BALANCED * whole / float(point.scale[worst])
    holds = bool(unit[worst] <= BALANCED * whole)
    if holds and H is not None:
        # Small beside the slopes of others is no balance: where nothing bends, a slope of the cost must be met by what
        # pushes there. What pushes against none is rounding of the multipliers; what would gain next to nothing on the
        # way to the bound it pushes towards has met that bound.
        room = np.where(point.residual > 0.0, point.x - point.bounds.lower, point.bounds.upper - point.x)
        own = np.maximum(limit, BALANCED * point.balanced_size)
        own = np.maximum(own, STEP_PART * np.abs(np.diag(H)) * point.scale)
        gain = np.multiply(residual, room, out=np.zeros(look.n), where=residual > own)
        free = gain > NEXT_TO_NOTHING * abs(look.value)
        astray = np.where(free & (2.0 * np.abs(look.gradient) > residual), unit, 0.0)
        if astray.any():
            worst = int(np.argmax(astray))
            limit_here, holds = float(own[worst]), False
    return Evidence("balance of slopes", float(residual[worst]), limit_here, holds, how), np.nan, nothing


def _slides(point: Point) -> bool:
    """Whether the cost falls along the slope that is left, which a kink beside the point makes look like rounding."""
    look, D = point.look, point.scale
    size = max(look.fall or 0.0, abs(look.value))
    if look.n > SMALL or float((np.abs(point.residual) * D).sum()) <= BALANCED * size:
        return False
    ways = [-point.tangent @ (point.tangent.T @ (D * point.residual))]
    if look.objective.split is not None:  # at a corner of kinks the slope of no side need lead down
        for _ in range(CORNER_WAYS):
            way = point.tangent @ look.generator.standard_normal(point.tangent.shape[1])
            ways += [way, -way]
    return any(_falls(point, D * way) for way in ways)


def _falls(point: Point, way: Vector) -> bool:
    """Whether the cost is lower at both of two small distances along `way` (n,), within the constraints."""
    longest = float(np.abs(way / point.scale).max(initial=0.0))
    if not longest > 0.0:
        return False
    for distance in TRIED[-2:]:
        near = point.kept(point.x + distance / longest * way)
        if near is None or not point.look.value_at(near) < point.look.value - _rounding_of_values(point):
            return False
    return True


def _complementarity(point: Point) -> Evidence:
    """A constraint that pushes has to be at its limit: multiplier times distance, against the cost's own size."""
    distance = np.minimum(np.abs(point.value - point.rows.lower), np.abs(point.value - point.rows.upper))
    largest = float(
        (np.abs(point.multipliers) * np.where(np.isfinite(distance), distance, 0.0)).max(initial=0.0)
    )
    low, high = point.x - point.bounds.lower, point.bounds.upper - point.x
    gap = np.minimum(np.where(np.isfinite(low), low, np.inf), np.where(np.isfinite(high), high, np.inf))
    gap = np.where(np.isfinite(gap), gap, 0.0)
    largest = max(largest, float((np.abs(point.bound_multipliers) * gap).max(initial=0.0)))
    most = ONTO_A_LIMIT * max(abs(point.look.value), point.look.fall or 0.0, 1.0)
    return Evidence(
        "multiplier × distance to the limit", largest, most, largest <= most,
        "what moving each constraint that pushes onto its limit would change the cost by",
    )  # fmt: skip


def _not_on_its_limit(point: Point, evidence: list[Evidence]) -> Judgement:
    """The slopes balance, but so steeply that the last bit of a constraint still decides the cost."""
    rank, count = point.independent
    degenerate = " The slopes of the active constraints depend on each other there." if rank < count else ""
    return Judgement(
        Verdict.OUT_OF_BUDGET,
        tuple(evidence),
        "Close to a minimum, but not shown to be there: multipliers grow without limit towards it, and what is left of "
        f"the distance to the constraints still moves the cost by {number(evidence[-1].measured or 0.0)}.{degenerate}",
        "Write the constraints so that their slopes do not vanish or coincide where they meet.",
    )


def _independence(point: Point) -> Evidence | None:
    if point.look.n + point.rows.m > SMALL:
        return None
    rank, count = point.independent
    if rank == count:
        return None
    return Evidence(
        "independent slopes of the active constraints", float(rank), float(count), False,
        "they depend on each other (LICQ fails), so the multipliers are not the only ones that balance",
    )  # fmt: skip


def _second_order(point: Point) -> Bend:
    """Curvature of the Lagrangian in the directions that keep to the constraints that push."""
    look, H = point.look, point.hessian
    what = "curvature within the constraints"
    convex = look.convex and point.rows.convex()
    if H is None:
        if convex:
            return Bend(Evidence(what, None, None, True, "shown by convexity"), known=False)
        if look.n > SMALL:
            return _sampled(point, what)
        return Bend(Evidence(what, None, None, False, "second derivatives are not known"), known=False)
    Z, D = point.tangent, point.scale
    if not Z.shape[1]:
        return Bend(Evidence(what, None, None, True, "as many constraints push as there are parameters"))
    reduced = Z.T @ (D[:, None] * H * D) @ Z
    values, V = np.linalg.eigh(0.5 * (reduced + reduced.T))
    parts = np.abs(D[:, None] * point.look.objective.hessian(point.x) * D).max(initial=0.0)
    limit = NO_CURVATURE * max(float(np.abs(values).max()), EPS * float(parts))
    evidence = Evidence(
        what, float(values[0]), float(limit), bool(values[0] > limit),
        f"smallest eigenvalue of the Lagrangian's Hessian in {Z.shape[1]} "
        f"{'directions' if Z.shape[1] > 1 else 'direction'}, in units of the parameters' sizes",
    )  # fmt: skip
    if values[0] > limit:
        return Bend(evidence)
    flat = []
    for k in np.flatnonzero(values <= limit):
        lower, level = _along(point, D * (Z @ V[:, k]))
        if lower is not None and not convex:
            return Bend(evidence, lower=lower)
        if level:
            flat.append(D * (Z @ V[:, k]))
    return Bend(evidence, tuple(flat))


def _along(point: Point, direction: Vector) -> tuple[Vector | None, bool]:
    """A lower feasible point along `direction` either way, and whether the cost stays level both ways."""
    look = point.look
    rounding = _rounding_of_values(point)
    level = True
    for distance in TRIED:
        for sign in (1.0, -1.0):
            near = point.kept(point.x + sign * distance * direction)
            if near is None or float((np.abs(near - point.x) / point.scale).max()) < 0.1 * distance:
                level = level and near is None
                continue
            value = look.value_at(near)
            if value < look.value - rounding:
                return near, False
            level = level and value <= look.value + rounding
    return None, level


def _rounding_of_values(point: Point) -> float:
    """What the cost at two places may differ by without a meaning: its rounding, and that of the constraints."""
    rounding = 32 * EPS * max(abs(point.look.value), EPS)
    rounding += float(np.abs(point.multipliers) @ point.violations)
    return rounding + float((np.abs(point.multipliers) * point.sizes).sum()) * 16 * EPS


def _sampled(point: Point, what: str) -> Bend:
    """With many parameters: curvature along random directions, brought onto the tangent of the rows."""
    look = point.look
    if not (look.objective.has_hessian_product and point.rows.has_hessian):
        return Bend(Evidence(what, None, None, False, "second derivatives are not known"), known=False)
    import scipy.sparse as sparse
    from scipy.sparse.linalg import lsmr

    rows, bounds = point.pushing
    A = sparse.csr_array(point.J)[np.flatnonzero(rows)] @ sparse.diags_array(
        np.where(bounds, 0.0, point.scale)
    )
    H = point.rows.hessian(point.x, -point.multipliers)
    lowest, largest = np.inf, 0.0
    for _ in range(DIRECTIONS):
        v = np.where(bounds, 0.0, look.generator.standard_normal(look.n))
        if A.shape[0]:
            v = v - A.T @ lsmr(A.T, v, atol=1e-12, btol=1e-12)[0]
        v = point.scale * v / max(float(np.linalg.norm(v)), EPS)
        bent = float(v @ look.objective.hessian_product(point.x, v)) + (
            float(v @ (H @ v)) if np.ndim(H) == 2 else 0.0
        )
        lowest, largest = min(lowest, bent), max(largest, abs(bent))
    how = f"least along {DIRECTIONS} random directions within the constraints"
    return Bend(Evidence(what, lowest, 0.0, lowest > 0.0, how), known=lowest > 0.0)


def _minimum(point: Point, evidence: list[Evidence], bend: Bend, limit: Vector, step: Vector) -> Judgement:
    look = point.look
    convex = look.convex and point.rows.convex()
    if not bend.known and not convex and not bend.evidence.holds:
        word = Verdict.LOCAL_MINIMUM
        ending = ", as far as first derivatives tell"
    elif bend.flat:
        word = Verdict.FLAT_MINIMUM
        ending = (
            f", and walking along {listed([direction_name(d, look.names) for d in bend.flat])} costs nothing"
        )
    else:
        word = Verdict.GLOBAL_MINIMUM if convex else Verdict.LOCAL_MINIMUM
        ending = "" if bend.evidence.holds else ", and no way down was found where the curvature vanishes"
    if convex:
        reason = f"{look.structure.convexity.reason} and the constraints leave a convex set"
        evidence.append(Evidence("convexity", None, None, True, reason))
        ending += f"; {reason}, so no lower point exists"
    held = (
        f" with {listed(point.active_names)} active" if point.active_names else " with no constraint active"
    )
    dependent = any(item.name.startswith("independent") for item in evidence)
    ending += (
        ". The active constraints depend on each other here, so their multipliers are not unique" * dependent
    )
    return Judgement(
        word,
        tuple(evidence),
        f"Minimum: every constraint is met,{held}, and the slopes balance{ending}.",
        "Fix a parameter in that direction, or add a small penalty, to make the answer unique."
        if bend.flat
        else "",
        digits=_digits(point, limit, step, bend),
    )


def _digits(point: Point, limit: Vector, step: Vector, bend: Bend) -> Vector | None:
    """Digits of each parameter: errors of slope and rows carried through the equations of the active constraints."""
    H = point.hessian
    if H is None:
        return None
    from .precision import digits_of

    rows, bounds = point.pushing
    free, hold = np.flatnonzero(~bounds), np.flatnonzero(rows)
    A = point.J[hold][:, free]
    A = (A if isinstance(A, np.ndarray) else A.toarray()) * point.scale[free]
    D = point.scale[free]
    K = np.block([[D[:, None] * H[np.ix_(free, free)] * D, A.T], [A, np.zeros((hold.size, hold.size))]])
    errors = np.concatenate([D * limit[free], np.maximum(point.violations, EPS * 4 * point.sizes)[hold]])
    size = np.sqrt(np.maximum(np.abs(K).max(axis=0, initial=0.0), np.finfo(float).tiny))
    inverse = np.linalg.pinv(K / size[:, None] / size, rcond=1e-13)
    spread = (np.abs(inverse) @ (errors / size) / size)[: free.size]
    error = 0.5 * np.spacing(np.abs(point.x)) + np.abs(step)
    error[free] += D * spread
    digits = digits_of(point.look, error)
    for direction in bend.flat:
        digits = np.where(np.abs(direction) > 1e-6 * np.abs(direction).max(), 0.0, digits)
    return digits


def _not_stationary(point: Point, evidence: list[Evidence]) -> Judgement:
    look = point.look
    left = f"the slopes do not balance yet: {number(float(np.abs(point.residual).max()))} is left"
    direction = _falls_for_ever(point)
    if direction is not None:
        name = direction_name(direction, look.names)
        evidence.append(Evidence(f"cost along {name}", None, None, False, "falls as far as it was followed"))
        return Judgement(
            Verdict.UNBOUNDED_BELOW,
            tuple(evidence),
            f"Unbounded below: along {name} the cost falls without limit while the constraints stay met.",
            "Check the sign of the cost and the constraints, or bound the parameters.",
        )
    if look.stop == "stopped":
        return Judgement(
            Verdict.STOPPED, tuple(evidence), f"Stopped: the constraints are met, but {left}.", ""
        )
    rank, count = point.independent if look.n + point.rows.m <= SMALL else (0, 0)
    if rank < count:
        evidence.append(
            Evidence(
                "independent slopes of the active constraints", float(rank), float(count), False,
                "they depend on each other (LICQ fails): a minimum need not balance its slopes here",
            )
        )  # fmt: skip
    return Judgement(
        Verdict.OUT_OF_BUDGET,
        tuple(evidence),
        f"Not at a minimum as far as can be shown: the constraints are met, but {left}.",
        "Allow more steps, start somewhere else, or look for kinks in the cost and the constraints."
        if look.stop != "out of budget"
        else "Allow more.",
    )


def _falls_for_ever(point: Point) -> Vector | None:
    """A direction along which the cost falls ever faster, or as fast as before, and no constraint is ever broken."""
    look = point.look
    if look.start is None:
        directions = [-point.residual]
    else:
        passed = look.history.x
        directions = [point.x - before for before in (look.start, passed[len(passed) // 2])]
        directions.append(-point.residual * point.scale**2)
    for direction in directions:
        size = float(np.abs(direction / point.scale).max())
        if not 0.0 < size < np.inf:
            continue
        direction = direction / size
        last, rate = look.value, 0.0
        for distance in LONG_WAYS:
            near = point.x + distance * direction
            value = look.value_at(near) if point.bounds.contains(near) else np.nan
            rows = _tried(lambda at=near: point.rows.value(at), point.rows.m)
            met = (
                outside(rows, point.rows.lower, point.rows.upper) <= MET * point.sizes * (1.0 + distance)
            ).all()
            fall = (last - value) / distance
            if not met or not fall > 0.5 * rate:
                break
            last, rate = value, fall
        else:
            return direction
    return None


def _not_finite(point: Point) -> Judgement:
    look = point.look
    broken = [str(point.rows.names[k]) for k in np.flatnonzero(~np.isfinite(point.value)).tolist()]
    what = listed(broken) if broken else "the cost or its slope"
    evidence = Evidence(
        "cost, slope and constraints at the point", look.value, None, False, "evaluated afresh"
    )
    return Judgement(
        Verdict.NOT_FINITE,
        (evidence,),
        f"Not finite: {what} cannot be computed at this point.",
        "Start where the cost and the constraints exist, or bound the parameters to that region.",
    )
