"""The interior-point method on cones: t >= |u| for each norm, from the inside, with the scaling of Nesterov and Todd.

A smooth program of kinks (`structure.splitting`) whose norms are entries t, minimised inside the cones t >= |u| where u
is linear, and so are all equations. The primal-dual steps see how a cone bends right up to its tip, where u is zero,
and take two or three dozen whatever the size of the problem. After Vandenberghe, "The CVXOPT linear and quadratic cone
program solvers" (2010): numbers of equations and sections below are his.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np

from ..bounds import Vector
from ..linear_algebra.saddle_systems import Factored, factorise
from ..numerics import EPS
from .interior_point import FIRST_BARRIER, Halt, InteriorPoint, Iterate
from .programs import Measured, Slacked
from .smooth_programs import SmoothProgram

# Distance times multiplier of each wall at which a walk has arrived, where slopes and equations balance as nearly as
# this: beside a wall of size one less is lost in rounding, and then slopes are. What is left is for Newton's method on
# what holds; a walk that can go no further has come near enough for it where all is no more than this.
ARRIVED, BALANCED, NEARLY_ARRIVED = 1e-12, 1e-6, 1e-5

# A step keeps this part of the distance to each wall at least; the barrier shrinks by the cube of what the step to no
# barrier at all would leave, and to no less than this part.
KEPT_DISTANCE = 0.01
LEAST_SHRINKING = 1e-3

# A start is moved inside by this part of a unit: in units where slopes are about one the first barrier balances there.
ROOM = 1.0

# A cone in which the cost does not fall pulls its t back by this part of the barrier, so that it has a place.
DAMPING = 1e-5

# Armijo's part of the promised decrease, and the shortest part of a step that is tried.
ARMIJO, SHORTEST = 1e-4, 1e-10

# A step must lower the merit by this part of what lowering the violation alone would.
DEARER = 0.1

# Shifts of the curvature, where rounding or flatness leaves none: the first, and how often it grows a hundredfold.
FIRST_SHIFT, SHIFTS = 1e-10, 5

# Up to so many variables products of dense matrices take a fraction of the time of sparse ones.
FEW = 64

# Steps after which such a walk is over: those that arrive take some dozens.
MOST_STEPS = 150


@dataclass(frozen=True)
class Cones:
    """K cones t >= |u|: t the entries `tips` (K,) of w, u = `slopes` w + `offset` (S,), of the cones `of` (S,).

    `slopes` (S, n): dense or SciPy sparse.
    """

    tips: np.ndarray
    slopes: Any
    offset: Vector
    of: np.ndarray

    def lengths(self, u: Vector) -> Vector:
        """|u| of each cone, (K,)."""
        return np.asarray(np.sqrt(np.bincount(self.of, u * u, self.tips.size)))

    def u(self, w: Vector) -> Vector:
        """u at w, (S,), which does not depend on the tips."""
        return np.asarray(self.slopes @ w + self.offset)

    def at(self, w: Vector) -> Point:
        """The point (t, u) of the cones at w."""
        return self.point(w[self.tips], self.u(w))

    def point(self, t: Vector, u: Vector) -> Point:
        """(t, u) with its lengths."""
        length = self.lengths(u)
        return Point(t, u, (t - length) * (t + length))

    def spread(self, t: Vector, u: Vector, size: int) -> Vector:
        """What (t, u) weighs in w, (size,)."""
        found = self.slopes.T @ u
        np.add.at(found, self.tips, t)
        return np.asarray(found)

    def longest(self, at: Point, t: Vector, u: Vector, kept: float) -> float:
        """The longest step along (t, u), at most 1, that keeps inside `at` all but the part `kept` of the way."""
        # q(a) = a²·(t² - u²) + 2a·(t·t₀ - u·u₀) + (t₀² - u₀²) has to stay positive, and t₀ + a·t too.
        a = t * t - np.bincount(self.of, u * u, t.size)
        b = at.t * t - np.bincount(self.of, at.u * u, t.size)
        root = np.sqrt(np.maximum(b * b - a * at.room, 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            # The smallest positive root, in the form that cancels nothing.
            reach = np.where(b < 0.0, at.room / (root - b), np.where(a < 0.0, (b + root) / -a, inf))
            reach = np.where((b < 0.0) & (b * b - a * at.room < 0.0), inf, reach)
            tip = np.where(t < 0.0, -at.t / t, inf)
        return min(1.0, kept * float(np.minimum(reach, tip).min(initial=inf)))


@dataclass(frozen=True)
class Point:
    """A point of all cones, t (K,) and u (S,); `room` (K,): t² - |u|², positive inside."""

    t: Vector
    u: Vector
    room: Vector

    @property
    def is_inside(self) -> bool:
        """Whether it is inside every cone."""
        return bool((self.room > 0.0).all() and (self.t > 0.0).all())


@dataclass(frozen=True)
class ConeIterate:
    """Where the method stands.

    `w` (n,), `at` what was measured there, `J` the Jacobian, multipliers `y` (m,) of the equations, `low` and `high`
    (n,) of the bounds, and `pull`, a point of the cones, of those; `point`: of the cones at w. `short`: steps in a row
    that led nowhere, of which this method takes none.
    """

    w: Vector
    at: Measured
    J: Any
    y: Vector
    low: Vector
    high: Vector
    point: Point
    pull: Point
    steps: int = 0
    short: int = 0
    halt: Halt | None = None


class ConeInteriorPoint:
    """The method on one program; `begin` gives the first iterate, `step` the next one."""

    def __init__(self, program: Any, cones: Cones) -> None:
        self.program, self.cones = program, cones
        self.lower, self.upper = program.lower.copy(), program.upper
        self.lower[cones.tips] = -inf
        self.has_low, self.has_high = np.isfinite(self.lower), np.isfinite(self.upper)
        self.walls = int(self.has_low.sum() + self.has_high.sum()) + cones.tips.size

    def begin(self, w: Vector) -> ConeIterate:
        """The first iterate: `w` moved inside the cones and bounds."""
        w = w.copy()
        with np.errstate(invalid="ignore"):
            half = 0.5 * (self.upper - self.lower)
            room = np.where(self.has_low & self.has_high, np.minimum(half, ROOM), ROOM)
            w = np.where(self.has_low, np.maximum(w, self.lower + room), w)
            w = np.where(self.has_high, np.minimum(w, self.upper - room), w)
        cones = self.cones
        least = cones.lengths(cones.u(w)) + ROOM
        w[cones.tips] = -inf  # one tip may belong to several cones
        np.maximum.at(w, cones.tips, least)
        at, J = self.program.measure(w), self.program.jacobian(w)
        point = cones.at(w)
        below, above = self.distances(w)
        pull = cones.point(
            FIRST_BARRIER * point.t / point.room, -FIRST_BARRIER * point.u / point.room[cones.of]
        )
        return ConeIterate(
            w, at, J, np.zeros(at.residual.size), FIRST_BARRIER / below, FIRST_BARRIER / above, point, pull
        )

    def step(self, it: ConeIterate) -> ConeIterate:
        """One more iterate, or the same one with `halt` set."""
        left, product = self.left(it), self.product(it)
        if left <= BALANCED and product <= ARRIVED:
            return replace(it, halt=Halt.ARRIVED)
        near = max(left, product) <= NEARLY_ARRIVED
        given_up = replace(it, halt=Halt.ARRIVED if near else Halt.STUCK)
        if it.steps >= MOST_STEPS or not np.isfinite(left + product):
            return given_up
        scaling = self.scaling(it)
        if scaling is None:
            return given_up
        factored = self.factored(it, scaling)
        if factored is None:
            return given_up
        barrier = self.gap(it) / self.walls
        straight = self.direction(it, scaling, factored, 0.0)
        if straight is None:
            return given_up
        barrier *= max(LEAST_SHRINKING, (1.0 - min(self.reaches(it, straight, 1.0))) ** 3)
        for bent in (straight, None):
            direction = self.direction(it, scaling, factored, barrier, bent)
            stepped = None if direction is None else self.searched(it, direction, barrier)
            if stepped is not None:
                return stepped
        return given_up

    # -- the conditions ------------------------------------------------------------------------------------------

    def left(self, it: ConeIterate) -> float:
        """The most that multipliers leave of a slope, or that an equation is off."""
        slope = it.at.gradient + it.J.T @ it.y - it.low + it.high - self.pulled(it.pull)
        return float(max(np.abs(slope).max(initial=0.0), np.abs(it.at.residual).max(initial=0.0)))

    def product(self, it: ConeIterate) -> float:
        """The largest distance from a wall times its multiplier."""
        below, above = self.distances(it.w)
        return float(
            max(
                (it.low * np.where(self.has_low, below, 0.0)).max(initial=0.0),
                (it.high * np.where(self.has_high, above, 0.0)).max(initial=0.0),
                self.gaps(it).max(initial=0.0),
            )
        )

    def gaps(self, it: ConeIterate) -> Vector:
        """(t, u)·(its multipliers) of each cone, (K,), without cancellation near the wall."""
        products = np.bincount(self.cones.of, it.point.u * it.pull.u, it.point.t.size)
        return np.asarray(it.point.t * it.pull.t + products)

    def gap(self, it: ConeIterate) -> float:
        """How far cost and dual cost are apart: the sum over all walls of distance times multiplier."""
        below, above = self.distances(it.w)
        of_bounds = (it.low[self.has_low] @ below[self.has_low]) + (
            it.high[self.has_high] @ above[self.has_high]
        )
        return float(of_bounds + self.gaps(it).sum())

    def pulled(self, pull: Point) -> Vector:
        """What multipliers of the cones weigh in w, (n,)."""
        return self.cones.spread(pull.t, pull.u, self.program.lower.size)

    def distances(self, w: Vector) -> tuple[Vector, Vector]:
        """Distance of each entry from its lower and upper bound, infinite where there is none."""
        return np.where(self.has_low, w - self.lower, inf), np.where(self.has_high, self.upper - w, inf)

    # -- the step ------------------------------------------------------------------------------------------------

    def scaling(self, it: ConeIterate) -> Scaling | None:
        """The scaling of each cone (section 4.1)."""
        s, z, of = it.point, it.pull, self.cones.of
        if not (s.is_inside and z.is_inside):
            return None
        s_size, z_size = np.sqrt(s.room), np.sqrt(z.room)
        st, su, zt, zu = s.t / s_size, s.u / s_size[of], z.t / z_size, z.u / z_size[of]
        product = st * zt + np.bincount(of, su * zu, st.size)
        half = np.sqrt(2.0 * (1.0 + product))
        return Scaling(z_size / s_size, (st + zt) / half, (zu - su) / half[of])

    def weighed(self, scaling: Scaling, t: Vector, u: Vector) -> tuple[Vector, Vector]:
        """W⁻² (t, u)."""
        of = self.cones.of
        along = 2.0 * (scaling.t * t + np.bincount(of, scaling.u * u, t.size))
        return (
            scaling.size * (along * scaling.t - t),
            scaling.size[of] * (along[of] * scaling.u + u),
        )

    def factored(self, it: ConeIterate, scaling: Scaling) -> Factored | None:
        """The Newton system factorised, the curvature raised a little where it has none."""
        below, above = self.distances(it.w)
        H = self.program.hessian(it.w, it.y) + self.bending(scaling, self.program.sparse)
        diagonal = it.low / below + it.high / above
        shift = 0.0
        for _ in range(SHIFTS):
            found = factorise(H, diagonal + shift, it.J, 0.0)
            if found.negative == it.y.size and not found.singular:
                return found
            shift = max(FIRST_SHIFT, 100.0 * shift)
        return None

    def bending(self, scaling: Scaling, sparse: bool) -> Any:
        """[E; G]ᵀ W⁻² [E; G], the curvature of the cones in w, (n, n)."""
        cones, n, K = self.cones, self.program.lower.size, scaling.t.size
        if isinstance(cones.slopes, np.ndarray) and not sparse:
            far = np.zeros((K, n))
            far[np.arange(K), cones.tips] = scaling.t
            np.add.at(far, cones.of, scaling.u[:, None] * cones.slopes)
            bent = 2.0 * far.T @ (scaling.size[:, None] * far)
            bent += cones.slopes.T @ (scaling.size[cones.of][:, None] * cones.slopes)
            np.subtract.at(bent, (cones.tips, cones.tips), scaling.size)
            return bent
        from scipy.sparse import csc_array, csr_array, diags_array

        ends = csr_array((np.ones(K), (np.arange(K), cones.tips)), shape=(K, n))
        slopes = csr_array(cones.slopes)
        by_cone = csr_array((scaling.u, (cones.of, np.arange(cones.of.size))), shape=(K, cones.of.size))
        along = diags_array(scaling.t) @ ends + by_cone @ slopes
        round_ = slopes.T @ (diags_array(scaling.size[cones.of]) @ slopes)
        total = 2.0 * (along.T @ (diags_array(scaling.size) @ along)) + round_
        total = csc_array(total - csc_array((scaling.size, (cones.tips, cones.tips)), shape=(n, n)))
        return total if sparse else total.toarray()

    def direction(
        self,
        it: ConeIterate,
        scaling: Scaling,
        factored: Factored,
        barrier: float,
        straight: Direction | None = None,
    ) -> Direction | None:
        """Newton's step towards the place of `barrier`, corrected for how the products bend along a `straight` one.

        That is Mehrotra's corrector (section 5.3).
        """
        below, above = self.distances(it.w)
        n, of = it.w.size, self.cones.of
        target_t, target_u = barrier * it.point.t / it.point.room, -barrier * it.point.u / it.point.room[of]
        at_low, at_high = barrier / below, barrier / above
        slope = it.at.gradient - at_low + at_high
        slope = slope - self.cones.spread(target_t - DAMPING * barrier, target_u, n)
        right = slope
        if straight is not None:
            bent_t, bent_u = self.bent(it, scaling, straight)
            target_t, target_u = target_t - bent_t, target_u - bent_u
            of_low, of_high = straight.w * straight.low / below, straight.w * straight.high / above
            at_low, at_high = at_low - of_low, at_high + of_high
            right = slope + self.cones.spread(bent_t, bent_u, n) + of_low + of_high
        found = factored.solve(-np.concatenate([right + it.J.T @ it.y, it.at.residual]))
        if found is None or not np.isfinite(found).all():
            return None
        w, y = found[:n], found[n:]
        t, u = w[self.cones.tips], self.cones.slopes @ w
        back_t, back_u = self.weighed(scaling, t, u)
        low = np.where(self.has_low, at_low - it.low - it.low / below * w, 0.0)
        high = np.where(self.has_high, at_high - it.high + it.high / above * w, 0.0)
        pull_t, pull_u = target_t - back_t - it.pull.t, target_u - back_u - it.pull.u
        return Direction(w, y, low, high, t, u, pull_t, pull_u, float(slope @ w))

    def bent(self, it: ConeIterate, scaling: Scaling, step: Direction) -> tuple[Vector, Vector]:
        """W⁻¹ of the quotient of W⁻¹ds ∘ W dz by λ, the changes ds of points and dz of multipliers along `step`."""
        of, K = self.cones.of, scaling.t.size

        def dot(one: Vector, other: Vector) -> Vector:
            return np.asarray(np.bincount(of, one * other, K))

        def turned(t: Vector, u: Vector, sign: float) -> tuple[Vector, Vector]:
            # W⁻¹ for the sign +, W for -.
            along = dot(scaling.u, u)
            size = scaling.size ** (0.5 * sign)
            inner = sign * t + along / (1.0 + scaling.t)
            return size * (scaling.t * t + sign * along), size[of] * (u + inner[of] * scaling.u)

        (st, su), (zt, zu) = turned(step.t, step.u, 1.0), turned(step.pull_t, step.pull_u, -1.0)
        lt, lu = turned(it.pull.t, it.pull.u, -1.0)
        product_t, product_u = st * zt + dot(su, zu), st[of] * zu + zt[of] * su
        lengths = self.cones.lengths(lu)
        first = (lt * product_t - dot(lu, product_u)) / ((lt - lengths) * (lt + lengths))
        return turned(first, (product_u - first[of] * lu) / lt[of], 1.0)

    def reaches(self, it: ConeIterate, step: Direction, kept: float) -> tuple[float, float]:
        """The longest step of w, and of the multipliers, at most 1, that stay inside their walls."""
        below, above = self.distances(it.w)
        cones = self.cones
        primal = min(
            _reach(below, step.w, kept),
            _reach(above, -step.w, kept),
            cones.longest(it.point, step.t, step.u, kept),
        )
        dual = min(
            _reach(it.low, step.low, kept),
            _reach(it.high, step.high, kept),
            cones.longest(it.pull, step.pull_t, step.pull_u, kept),
        )
        return primal, dual

    def searched(self, it: ConeIterate, step: Direction, barrier: float) -> ConeIterate | None:
        """The longest part of the step that lowers cost, barrier and violation together enough."""
        longest, dual = self.reaches(it, step, 1.0 - KEPT_DISTANCE)
        off = float(np.abs(it.at.residual).sum())
        price = max(0.0, step.slope) / ((1.0 - DEARER) * off) if off else 0.0
        price = max(price, float(np.abs(it.y + step.y).max(initial=0.0)))
        before = self.merit(it.w, it.at, it.point, barrier, price)
        promised = step.slope - price * off
        room = 10.0 * EPS * (abs(before) + abs(it.at.value))
        if promised > room:
            return None  # uphill, as the corrector may lead; a part so short that rounding hides the rise is no step
        part = longest
        while part >= SHORTEST:
            w = it.w + part * step.w
            point = self.cones.at(w)
            if point.is_inside and self.is_between(w):
                at = self.program.measure(w)
                if at.finite and self.merit(
                    w, at, point, barrier, price
                ) - room <= before + ARMIJO * part * min(promised, 0.0):
                    return self.moved(
                        it, step, w, at, point, min(part, dual) if part < longest else dual, part
                    )
            part *= 0.5
        return None

    def moved(
        self,
        it: ConeIterate,
        step: Direction,
        w: Vector,
        at: Measured,
        point: Point,
        dual: float,
        part: float,
    ) -> ConeIterate | None:
        """The iterate at w, its multipliers moved by the part `dual`, and those of the equations as far as w."""
        pull = self.cones.point(it.pull.t + dual * step.pull_t, it.pull.u + dual * step.pull_u)
        if not pull.is_inside:
            return None
        return ConeIterate(
            w, at, self.program.jacobian(w), it.y + part * step.y, it.low + dual * step.low,
            it.high + dual * step.high, point, pull, it.steps + 1,
        )  # fmt: skip

    def is_between(self, w: Vector) -> bool:
        """Whether w is inside all bounds."""
        below, above = self.distances(w)
        return bool((below > 0.0).all() and (above > 0.0).all())

    def merit(self, w: Vector, at: Measured, point: Point, barrier: float, price: float) -> float:
        """The cost with the barrier, and what violating the equations costs."""
        below, above = self.distances(w)
        logs = (
            np.log(below[self.has_low]).sum()
            + np.log(above[self.has_high]).sum()
            + np.log(point.room).sum() / 2.0
        )
        pulled = DAMPING * barrier * point.t.sum()
        return float(at.value - barrier * logs + pulled + price * np.abs(at.residual).sum())


@dataclass(frozen=True)
class Scaling:
    """W⁻² of each cone is `size`·(2aaᵀ - J) with a = (t, u), t² - |u|² = 1 and J = diag(1, -1, ..., -1)."""

    size: Vector
    t: Vector
    u: Vector


@dataclass(frozen=True)
class Direction:
    """A step of every unknown; (`t`, `u`) that of the point of the cones, `slope`: of cost and barrier along it."""

    w: Vector
    y: Vector
    low: Vector
    high: Vector
    t: Vector
    u: Vector
    pull_t: Vector
    pull_u: Vector
    slope: float


def _reach(distance: Vector, change: Vector, kept: float) -> float:
    """The longest step, at most 1, that keeps positive distances positive."""
    mask = change < 0.0
    return min(1.0, kept * float((distance[mask] / -change[mask]).min())) if mask.any() else 1.0


def cone_method(on_cones: SmoothProgram, w: Vector) -> ConeInteriorPoint | None:
    """The method on a program with its norms on cones, scaled at `w` (N,); None where not all of it is linear."""
    rows, parts = on_cones.rows, on_cones.parts
    if parts is None or not (parts.linear and rows.linear):
        return None
    from scipy.sparse import csr_array

    program = Slacked(on_cones.objective, rows, w)
    program.scaled(w)
    split, free = on_cones.program, program.free
    if not np.isin(split.radii, free).all():
        return None
    whole = csr_array(parts.jacobian(w))
    width = program.lower.size
    slopes = csr_array((whole[:, free].data, whole[:, free].indices, whole[:, free].indptr), (parts.m, width))
    if width <= FEW and not program.sparse:
        slopes = slopes.toarray()
    offset = parts.value(w) - whole[:, free] @ w[free]
    cones = Cones(np.searchsorted(free, split.radii), slopes, offset, split.part_of)
    return ConeInteriorPoint(program, cones)


def off_cones(
    method: ConeInteriorPoint, it: ConeIterate, smooth: SmoothProgram
) -> tuple[Slacked, InteriorPoint, Iterate]:
    """Where the method stands, as an iterate of the interior-point method on the `smooth` program with its bent norms.

    There the multiplier of t >= 0 is what the cost still rises with t beyond what pulls at u: c(1 - |v|²)/2 for the
    slopes c of the cost in the norm and v·c of what pulls.
    """
    program = Slacked(smooth.objective, smooth.rows, method.program.base)
    program.scaled_like(method.program)
    low = it.low.copy()
    low[method.cones.tips] = 0.5 * it.pull.room / it.pull.t
    at, J = program.measure(it.w), program.jacobian(it.w)
    barrier = method.gap(it) / method.walls
    ended = Iterate(it.w, at, J, it.y, low, it.high, barrier, inf, inf, halt=it.halt)
    return program, InteriorPoint(program), ended
