"""A primal-dual interior-point method with a filter: exact curvature, equations and bounds, from any start.

After Wächter & Biegler, "On the implementation of an interior-point filter line-search algorithm for large-scale
nonlinear programming", Mathematical Programming 106 (2006): numbers of equations and sections below are theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from math import inf
from typing import Any

import numpy as np

from ..bounds import Vector
from ..linear_algebra.saddle_systems import Factored, factorise, is_rounding
from ..numerics import EPS
from .programs import DEAR, Measured, Program, Restoring

# Scaled error of the first-order conditions at which a walk has arrived; what is left is for the polish.
ARRIVED = 1e-9
# Multipliers larger than this on average make errors relative to them (eq. 6).
LARGE_MULTIPLIER = 100.0

# The barrier: where it begins, how it shrinks (eq. 7), and how well each of its problems is solved.
FIRST_BARRIER = 1.0
BARRIER_FACTOR, BARRIER_POWER, BARRIER_ERROR = 0.2, 1.5, 10.0
# A step keeps at least this part of the distance to each bound (eq. 8).
KEPT_DISTANCE = 0.01
# How far a start is moved off its bounds, absolutely and as a part of their distance (section 3.6).
PUSH, PUSH_PART = 1e-2, 1e-2
# A bound on one side only pulls a little, so that a ray of equal cost has an end (section 3.7).
DAMPING = 1e-5
# Multipliers of bounds are kept within this factor of barrier / distance (eq. 16).
DUAL_SPREAD = 1e10
# Larger first guesses of multipliers are taken as zero: the constraints are then nearly dependent (section 3.6).
LARGEST_GUESS = 1e3

# The filter (section 2.3): sufficient decrease of violation and of the barrier function, the switching condition,
# and Armijo's part of the promised decrease.
LESS_VIOLATION, LESS_VALUE = 1e-5, 1e-5
SWITCH_VIOLATION, SWITCH_VALUE = 1.1, 2.3
ARMIJO = 1e-4
SMALLEST_STEP_FACTOR = 0.05
# Second-order corrections tried, and what each must bring the violation down to (section 2.4).
CORRECTIONS, CORRECTED = 4, 0.99

# Inertia correction (section 3.1): the first shift, its growth and shrinking, and its limits.
FIRST_SHIFT, LEAST_SHIFT, LARGEST_SHIFT = 1e-4, 1e-20, 1e40
SHIFT_GROWS, SHIFT_GROWS_FIRST, SHIFT_SHRINKS = 8.0, 100.0, 1.0 / 3.0
DEPENDENT_ROWS = 1e-8
# The least shift that is tried again where rounding spoils the solution: with less it would be spoilt as well.
LEAST_HOLD = 1e-10

# A measured curvature whose smallest eigenvalue, with all variables in units of their own curvature, is less than this
# says nothing any more along some direction. It begins anew no larger and no smaller than this and its inverse.
SOUND, MOST_BEGUN = 1e-6, 1e4

# Restoration ends when the violation is this part of what it was, or gives up after so many steps.
RESTORED = 0.9
RESTORATION_STEPS = 500

# A step this small relative to the variables changes nothing that can be measured.
TINY_STEP = 10 * EPS

# Less than this part of what Newton's method asks for is a short step: many in a row lead nowhere in a bearable time.
SHORT = 1e-3


class Halt(Enum):
    """Why no further step is possible."""

    ARRIVED = "arrived"
    INFEASIBLE = "the violation is at a minimum of its own"
    STUCK = "no acceptable step"


@dataclass(frozen=True)
class Iterate:
    """Where the method stands.

    `w` (n,), `at` what was measured there, `J` the Jacobian, `y` (m,) multipliers of the equations, `low` and `high`
    (n,) those of the bounds, `barrier`. `filter`: pairs of violation and barrier function not to come back to.
    `B`: a measured stand-in for the curvature, where there is no exact one. `shift`: the last one the curvature
    needed. `tiny`: steps in a row that changed nothing; `short`: steps in a row of less than `SHORT`.
    """

    w: Vector
    at: Measured
    J: Any
    y: Vector
    low: Vector
    high: Vector
    barrier: float
    most_violation: float
    little_violation: float
    filter: tuple[tuple[float, float], ...] = ()
    B: Any = None
    shift: float = 0.0
    tiny: int = 0
    short: int = 0
    halt: Halt | None = None
    restored: bool = False

    @property
    def violation(self) -> float:
        """Sum of the equations' residuals."""
        return float(np.abs(self.at.residual).sum())


@dataclass(frozen=True)
class Direction:
    """A step of every unknown, and the factors it came from."""

    w: Vector
    y: Vector
    low: Vector
    high: Vector
    factored: Factored
    shift: float


class InteriorPoint:
    """The method on one program; `begin` gives the first iterate, `step` the next accepted one."""

    def __init__(
        self,
        program: Program,
        *,
        first_barrier: float = FIRST_BARRIER,
        arrived: float = ARRIVED,
        may_restore: bool = True,
    ) -> None:
        self.program = program
        self.arrived = arrived
        self.first_barrier = first_barrier
        self.may_restore = may_restore
        self.lower, self.upper = program.lower, program.upper
        self.has_low, self.has_high = np.isfinite(self.lower), np.isfinite(self.upper)
        self.one_sided = (self.has_low & ~self.has_high).astype(float) - (self.has_high & ~self.has_low)

    # -- the start ---------------------------------------------------------------------------------------------

    def begin(self, w: Vector) -> Iterate:
        """The first iterate, moved inside the bounds, with multipliers by least squares."""
        w = self.inside(w)
        at = self.program.measure(w)
        J = self.program.jacobian(w)
        barrier = self.first_barrier
        low, high = self.has_low.astype(float), self.has_high.astype(float)
        violation = float(np.abs(at.residual).sum())
        it = Iterate(
            w, at, J, np.zeros(at.residual.size), low, high, barrier,
            1e4 * max(1.0, violation), 1e-4 * max(1.0, violation),
        )  # fmt: skip
        if not self.program.has_hessian:
            it = replace(it, B=np.eye(self.program.bending))
        return replace(it, y=self.multipliers(it))

    def inside(self, w: Vector) -> Vector:
        """`w` moved off its bounds (section 3.6)."""
        with np.errstate(invalid="ignore"):
            room = np.where(self.has_low & self.has_high, self.upper - self.lower, inf)
            near_low = np.minimum(PUSH * np.maximum(1.0, np.abs(self.lower)), PUSH_PART * room)
            near_high = np.minimum(PUSH * np.maximum(1.0, np.abs(self.upper)), PUSH_PART * room)
            w = np.where(self.has_low, np.maximum(w, self.lower + near_low), w)
            return np.where(self.has_high, np.minimum(w, self.upper - near_high), w)

    def multipliers(self, it: Iterate) -> Vector:
        """Multipliers of the equations that fit the slopes best at `it` (section 3.6)."""
        n, m = it.w.size, it.y.size
        if m == 0:
            return it.y
        H = np.zeros((n, n)) if isinstance(it.J, np.ndarray) else _no_curvature(n)
        slope = it.at.gradient - it.low + it.high
        found = factorise(H, np.ones(n), it.J, 0.0).solve(-np.concatenate([slope, np.zeros(m)]))
        if found is None or np.abs(found[n:]).max(initial=0.0) > LARGEST_GUESS:
            return np.zeros(m)
        return found[n:]

    # -- one step ----------------------------------------------------------------------------------------------

    def step(self, it: Iterate) -> Iterate:
        """One more accepted iterate, or the same one with `halt` set."""
        if self.error(it, 0.0) <= self.arrived:
            return replace(it, halt=Halt.ARRIVED)
        it = self.with_smaller_barrier(it)
        direction = self.direction(it)
        if direction is None:
            return self.restored(it)
        kept = max(1.0 - KEPT_DISTANCE, 1.0 - it.barrier)
        longest = self.to_the_bounds(it.w, direction.w, kept)
        dual = min(_shrink(it.low, direction.low, kept), _shrink(it.high, direction.high, kept))
        relative = np.abs(direction.w) / (1.0 + np.abs(it.w))
        if relative.max(initial=0.0) < TINY_STEP and it.violation < 1e-4:
            return self.tiny_step(it, direction, longest, dual)
        searched = self.search(it, direction, longest)
        if searched is None:
            return self.restored(it)
        w, at, t, augment = searched
        return self.accepted(it, direction, w, at, t, dual, augment)

    def error(self, it: Iterate, barrier: float) -> float:
        """Scaled error of the first-order conditions of the barrier problem (eq. 5)."""
        n, m = it.w.size, it.y.size
        total = float(np.abs(it.low).sum() + np.abs(it.high).sum())
        of_slope = (
            max(LARGE_MULTIPLIER, (float(np.abs(it.y).sum()) + total) / max(1, m + n)) / LARGE_MULTIPLIER
        )
        of_bounds = max(LARGE_MULTIPLIER, total / max(1, n)) / LARGE_MULTIPLIER
        slope = it.at.gradient + it.J.T @ it.y - it.low + it.high
        parts = [
            float(np.abs(slope).max(initial=0.0)) / of_slope,
            float(np.abs(it.at.residual).max(initial=0.0)),
        ]
        below, above = self.distances(it.w)
        for mask, distance, multiplier in ((self.has_low, below, it.low), (self.has_high, above, it.high)):
            gap = np.abs(distance[mask] * multiplier[mask] - barrier)
            parts.append(float(gap.max(initial=0.0)) / of_bounds)
        return max(parts)

    def with_smaller_barrier(self, it: Iterate) -> Iterate:
        """The barrier brought down for as long as its problem is solved well enough (eq. 7)."""
        least = self.arrived / 10.0
        while it.barrier > least and self.error(it, it.barrier) <= BARRIER_ERROR * it.barrier:
            smaller = max(least, min(BARRIER_FACTOR * it.barrier, it.barrier**BARRIER_POWER))
            it = replace(it, barrier=smaller, filter=(), tiny=0)
        return it

    def direction(self, it: Iterate) -> Direction | None:
        """Newton's step on the primal-dual equations, the curvature shifted until it leads down (eq. 13)."""
        program, n = self.program, it.w.size
        H = program.hessian(it.w, it.y) if it.B is None else _spread(it.B, n)
        below, above = self.distances(it.w)
        sigma = it.low / below + it.high / above
        factored, shift = self.factored(it, H, sigma)
        if factored is None:
            return None
        slope = self.barrier_slope(it) + it.J.T @ it.y
        right = -np.concatenate([slope, it.at.residual])
        found = factored.solve(right)
        while found is None and shift < FIRST_SHIFT:
            # So little holds a step along columns that are sums of others that all digits of the solution are lost.
            shift = max(SHIFT_GROWS * shift, LEAST_HOLD)
            factored = factorise(H, sigma + shift, it.J, DEPENDENT_ROWS * it.barrier**0.25)
            found = factored.solve(right) if factored.negative == it.y.size else None
        if found is None:
            return None
        if shift == 0.0 and is_rounding(found[:n], it.w):
            held = factorise(H, sigma + FIRST_SHIFT, it.J, 0.0)
            shorter = None if held.singular or held.negative != it.y.size else held.solve(right)
            if shorter is not None:
                return self.full(it, shorter, held, 0.0)
        return self.full(it, found, factored, shift)

    def full(self, it: Iterate, found: Vector, factored: Factored, shift: float) -> Direction:
        """The steps of the bounds' multipliers that belong to a step of w (eq. 12)."""
        n = it.w.size
        below, above = self.distances(it.w)
        dw = found[:n]
        low = np.where(self.has_low, it.barrier / below - it.low - it.low / below * dw, 0.0)
        high = np.where(self.has_high, it.barrier / above - it.high + it.high / above * dw, 0.0)
        return Direction(dw, found[n:], low, high, factored, shift)

    def factored(self, it: Iterate, H: Any, sigma: Vector) -> tuple[Factored | None, float]:
        """The system with as little shift as gives it n positive and m negative eigenvalues (section 3.1)."""
        m = it.y.size
        shift, rows = 0.0, 0.0
        found = factorise(H, sigma, it.J, rows)
        if found.negative == m and not found.singular:
            return found, shift
        if found.singular or found.negative < m:
            rows = DEPENDENT_ROWS * it.barrier**0.25
            found = factorise(H, sigma, it.J, rows)
            if found.negative == m and not found.singular:
                return found, shift
        shift = FIRST_SHIFT if it.shift == 0.0 else max(LEAST_SHIFT, SHIFT_SHRINKS * it.shift)
        while shift <= LARGEST_SHIFT:
            found = factorise(H, sigma + shift, it.J, rows)
            if found.negative == m and not found.singular:
                return found, shift
            shift *= SHIFT_GROWS_FIRST if it.shift == 0.0 else SHIFT_GROWS
        return None, 0.0

    def search(
        self, it: Iterate, direction: Direction, longest: float
    ) -> tuple[Vector, Measured, float, bool] | None:
        """The longest step the filter accepts (section 2.3), corrected to second order where the first fails."""
        phi, theta = self.barrier_value(it.w, it.at, it.barrier), it.violation
        slope = float(self.barrier_slope(it) @ direction.w)
        t, least = longest, self.least_step(it, slope, theta)
        first = True
        while t >= least or first:
            w = self.strictly_inside(it.w + t * direction.w)
            at = self.program.measure(w) if first else self.program.tried(w)
            if at.finite:
                accepted, augment = self.acceptable(it, w, at, t, slope, phi, theta)
                if accepted and not at.whole:
                    at = self.program.measure(w)
                    accepted = at.finite
                if accepted:
                    return w, at, t, augment
                if first and float(np.abs(at.residual).sum()) >= theta > 0.0:
                    corrected = self.corrected(it, direction, at, t, slope, phi, theta)
                    if corrected is not None:
                        return corrected
            first = False
            t *= 0.5
        return None

    def acceptable(
        self, it: Iterate, w: Vector, at: Measured, t: float, slope: float, phi: float, theta: float
    ) -> tuple[bool, bool]:
        """Whether the filter takes a trial point, and whether it then has to remember the old one."""
        new_theta = float(np.abs(at.residual).sum())
        new_phi = self.barrier_value(w, at, it.barrier)
        rounding = 10 * EPS * abs(phi)
        if not np.isfinite(new_phi) or new_theta > it.most_violation:
            return False, False
        for worst_theta, worst_phi in it.filter:
            if new_theta >= worst_theta and new_phi - rounding >= worst_phi:
                return False, False
        switching = slope < 0.0 and t * _power(-slope, SWITCH_VALUE) > _power(theta, SWITCH_VIOLATION)
        armijo = new_phi - phi - rounding <= ARMIJO * t * slope
        if theta <= it.little_violation and switching:
            return armijo, False
        better = new_theta <= (1.0 - LESS_VIOLATION) * theta or new_phi - rounding <= phi - LESS_VALUE * theta
        return better, better and not (switching and armijo)

    def corrected(
        self,
        it: Iterate,
        direction: Direction,
        at: Measured,
        t: float,
        slope: float,
        phi: float,
        theta: float,
    ) -> tuple[Vector, Measured, float, bool] | None:
        """Steps that also follow how the equations bend (second-order correction, section 2.4)."""
        kept = max(1.0 - KEPT_DISTANCE, 1.0 - it.barrier)
        bent = t * it.at.residual + at.residual
        violation = float(np.abs(at.residual).sum())
        gradient = self.barrier_slope(it) + it.J.T @ it.y
        for _ in range(CORRECTIONS):
            found = direction.factored.solve(-np.concatenate([gradient, bent]))
            if found is None:
                return None
            dw = found[: it.w.size]
            length = self.to_the_bounds(it.w, dw, kept)
            w = self.strictly_inside(it.w + length * dw)
            trial = self.program.tried(w)
            if not trial.finite:
                return None
            accepted, augment = self.acceptable(it, w, trial, t, slope, phi, theta)
            if accepted and not trial.whole:
                trial = self.program.measure(w)
                accepted = trial.finite
            if accepted:
                return w, trial, t, augment
            now = float(np.abs(trial.residual).sum())
            if now > CORRECTED * violation:
                return None
            violation = now
            bent = length * bent + trial.residual
        return None

    def least_step(self, it: Iterate, slope: float, theta: float) -> float:
        """Shorter steps than this cannot be told from none: time for restoration (eq. 23)."""
        part = LESS_VIOLATION
        if slope < 0.0:
            part = min(part, LESS_VALUE * theta / -slope)
            if theta <= it.little_violation:
                part = min(part, _power(theta, SWITCH_VIOLATION) / _power(-slope, SWITCH_VALUE))
        return max(SMALLEST_STEP_FACTOR * part, TINY_STEP)

    def accepted(
        self, it: Iterate, direction: Direction, w: Vector, at: Measured, t: float, dual: float, augment: bool
    ) -> Iterate:
        """The iterate after a step of length t, its multipliers moved along."""
        J = self.program.jacobian(w)
        y = it.y + t * direction.y
        low, high = self.near_central(
            w, it.low + dual * direction.low, it.high + dual * direction.high, it.barrier
        )
        remembered = it.filter
        if augment:
            phi, theta = self.barrier_value(it.w, it.at, it.barrier), it.violation
            remembered = (*remembered, ((1.0 - LESS_VIOLATION) * theta, phi - LESS_VALUE * theta))
        B = it.B
        if B is not None:
            k = self.program.bending
            before, after = it.at.gradient + it.J.T @ y, at.gradient + J.T @ y
            B = _damped(B, (w - it.w)[:k], (after - before)[:k])
        return replace(
            it, w=w, at=at, J=J, y=y, low=low, high=high, filter=remembered, B=B,
            shift=direction.shift if direction.shift else it.shift, tiny=0, restored=False,
            short=it.short + 1 if t < SHORT else 0,
        )  # fmt: skip

    def tiny_step(self, it: Iterate, direction: Direction, longest: float, dual: float) -> Iterate:
        """A step too small to be judged is taken as it is; after two of them the barrier has to shrink."""
        if it.tiny >= 2:
            if it.barrier <= self.arrived / 10.0:
                return replace(it, halt=Halt.STUCK)
            it = replace(
                it, barrier=max(self.arrived / 10.0, BARRIER_FACTOR * it.barrier), filter=(), tiny=-1
            )
        w = self.strictly_inside(it.w + longest * direction.w)
        at = self.program.measure(w)
        if not at.finite:
            return replace(it, halt=Halt.STUCK)
        taken = self.accepted(it, direction, w, at, longest, dual, False)
        return replace(taken, tiny=it.tiny + 1)

    # -- restoration -------------------------------------------------------------------------------------------

    def restored(self, it: Iterate) -> Iterate:
        """An iterate of less violation that the filter accepts, found by minimising the violation (section 3.3)."""
        if not self.may_restore or it.y.size == 0 or it.restored:
            return replace(it, halt=Halt.STUCK)
        worst = float(np.abs(it.at.residual).max())
        if worst <= EPS:
            return replace(it, halt=Halt.STUCK)
        barrier = max(it.barrier, worst)
        inner = Restoring(self.program, it.w, barrier)
        method = InteriorPoint(inner, first_barrier=barrier, may_restore=False)
        phi, theta = self.barrier_value(it.w, it.at, it.barrier), it.violation
        remembered = (*it.filter, ((1.0 - LESS_VIOLATION) * theta, phi - LESS_VALUE * theta))
        there = method.start_restoring(inner.start(barrier), it, barrier)
        n = it.w.size
        for _ in range(RESTORATION_STEPS):
            there = method.step(there)
            w = there.w[:n]
            at = self.program.measure(w)
            if there.halt is None and at.finite and self.is_good(it, w, at, remembered):
                return self.resumed(it, w, at, remembered)
            if there.halt is not None:
                break
        left = float(np.abs(at.residual).sum())
        if at.finite and left < theta:
            it = replace(it, w=w, at=at, J=self.program.jacobian(w))
        ended = there.halt is Halt.ARRIVED or (there.halt is Halt.STUCK and method.error(there, 0.0) <= 1e-5)
        flat = ended and float(np.abs(it.at.residual).max()) > 1e-6
        return replace(it, halt=Halt.INFEASIBLE if flat else Halt.STUCK)

    def start_restoring(self, w: Vector, outer: Iterate, barrier: float) -> Iterate:
        """The first iterate of a restoration: multipliers of the bounds as they were, no larger than dear."""
        at, J = self.program.measure(w), self.program.jacobian(w)
        n, m = outer.w.size, outer.y.size
        low = np.concatenate([np.minimum(DEAR, outer.low), barrier / w[n:]])
        high = np.concatenate([np.minimum(DEAR, outer.high), np.zeros(2 * m)])
        violation = float(np.abs(at.residual).sum())
        B = None if self.program.has_hessian else np.eye(self.program.bending)
        return Iterate(
            w,
            at,
            J,
            np.zeros(m),
            low,
            high,
            barrier,
            1e4 * max(1.0, violation),
            1e-4 * max(1.0, violation),
            B=B,
        )

    def is_good(
        self, it: Iterate, w: Vector, at: Measured, remembered: tuple[tuple[float, float], ...]
    ) -> bool:
        """Whether a point of the restoration lets the walk go on."""
        theta = float(np.abs(at.residual).sum())
        phi = self.barrier_value(w, at, it.barrier)
        return theta <= RESTORED * it.violation and not any(theta >= t and phi >= p for t, p in remembered)

    def resumed(
        self, it: Iterate, w: Vector, at: Measured, remembered: tuple[tuple[float, float], ...]
    ) -> Iterate:
        """The walk taken up again after a restoration."""
        J = self.program.jacobian(w)
        below, above = self.distances(w)
        low = np.where(self.has_low, np.minimum(DEAR, np.maximum(it.low, it.barrier / below)), 0.0)
        high = np.where(self.has_high, np.minimum(DEAR, np.maximum(it.high, it.barrier / above)), 0.0)
        low, high = self.near_central(w, low, high, it.barrier)
        again = replace(it, w=w, at=at, J=J, low=low, high=high, filter=remembered, tiny=0, short=0)
        return replace(again, y=self.multipliers(again))

    # -- distances and barriers ----------------------------------------------------------------------------------

    def distances(self, w: Vector) -> tuple[Vector, Vector]:
        """Distance of each variable from its lower and upper bound, infinite where there is none."""
        least = np.finfo(float).tiny
        return (
            np.where(self.has_low, np.maximum(w - self.lower, least), inf),
            np.where(self.has_high, np.maximum(self.upper - w, least), inf),
        )

    def strictly_inside(self, w: Vector) -> Vector:
        """`w` where rounding has not put it onto a bound."""
        w = np.where(self.has_low, np.maximum(w, np.nextafter(self.lower, inf)), w)
        return np.where(self.has_high, np.minimum(w, np.nextafter(self.upper, -inf)), w)

    def barrier_value(self, w: Vector, at: Measured, barrier: float) -> float:
        """The cost with the barrier (eq. 3a)."""
        below, above = self.distances(w)
        logs = np.log(below[self.has_low]).sum() + np.log(above[self.has_high]).sum()
        pull = below[self.one_sided > 0].sum() + above[self.one_sided < 0].sum()
        return float(at.value - barrier * logs + DAMPING * barrier * pull)

    def barrier_slope(self, it: Iterate) -> Vector:
        """Its gradient, (n,)."""
        below, above = self.distances(it.w)
        pull = DAMPING * it.barrier * self.one_sided
        return it.at.gradient - it.barrier / below + it.barrier / above + pull

    def to_the_bounds(self, w: Vector, dw: Vector, kept: float) -> float:
        """The longest step, at most 1, that keeps its distance from every bound (eq. 15)."""
        below, above = self.distances(w)
        down, up = dw < 0, dw > 0
        longest = 1.0
        for mask, distance in ((down & self.has_low, below), (up & self.has_high, above)):
            if mask.any():
                longest = min(longest, float((kept * distance[mask] / np.abs(dw[mask])).min()))
        return longest

    def near_central(self, w: Vector, low: Vector, high: Vector, barrier: float) -> tuple[Vector, Vector]:
        """Multipliers of the bounds within a wide band around barrier / distance (eq. 16)."""
        below, above = self.distances(w)
        low = np.where(
            self.has_low, np.clip(low, barrier / (DUAL_SPREAD * below), DUAL_SPREAD * barrier / below), 0.0
        )
        high = np.where(
            self.has_high, np.clip(high, barrier / (DUAL_SPREAD * above), DUAL_SPREAD * barrier / above), 0.0
        )
        return low, high


def _shrink(value: Vector, change: Vector, kept: float) -> float:
    """The longest step, at most 1, that keeps positive multipliers positive."""
    mask = change < 0
    return min(1.0, float((-kept * value[mask] / change[mask]).min())) if mask.any() else 1.0


def _damped(B: Vector, s: Vector, y: Vector) -> Vector:
    """BFGS with Powell's damping, positive definite whatever the curvature (Nocedal & Wright 2006, procedure 18.2).

    Where the cost bends down step after step, damping makes it ever larger along some direction and ever smaller along
    others, until rounding leaves nothing of it: then it begins anew, with the size of the last curvature seen.
    """
    Bs = B @ s
    sBs, sy, ss = float(s @ Bs), float(s @ y), float(s @ s)
    if not np.isfinite(sy) or not ss > 0.0:
        return B
    seen = abs(sy) / ss
    if sBs > 0.0:
        if sy < 0.2 * sBs:
            theta = 0.8 * sBs / (sBs - sy)
            y = theta * y + (1.0 - theta) * Bs
            sy = float(s @ y)
        B = B - np.outer(Bs, Bs) / sBs + np.outer(y, y) / sy
        if _is_sound(B):
            return B
    return float(np.clip(seen, 1.0 / MOST_BEGUN, MOST_BEGUN)) * np.eye(s.size)


def _is_sound(B: Vector) -> bool:
    """Whether a matrix is positive definite, whatever the units of its variables, with digits to spare."""
    size = np.sqrt(np.maximum(B.diagonal(), 0.0))
    if not (size > 0.0).all() or not np.isfinite(B).all():
        return False
    try:
        np.linalg.cholesky(B / np.outer(size, size) - SOUND * np.eye(size.size))
    except np.linalg.LinAlgError:
        return False
    return True


def _spread(B: Vector, n: int) -> Vector:
    """The curvature of the first variables in a matrix for all of them."""
    H = np.zeros((n, n))
    H[: B.shape[0], : B.shape[0]] = B
    return H


def _no_curvature(n: int) -> Any:
    import scipy.sparse as sparse

    return sparse.csc_array((n, n))


def _power(base: float, exponent: float) -> float:
    """base^exponent, infinite where no float is that large."""
    try:
        return float(base**exponent)
    except OverflowError:
        return np.inf
