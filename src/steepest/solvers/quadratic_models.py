"""Quadratic models of a cost from its second derivatives, free or inside a box, in units of their own."""

from __future__ import annotations

from functools import cached_property, partial
from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from ..bounds import Bounds, Mask, Vector
from ..linear_algebra.box_quadratic import GRADIENT_STEPS, lowest_in_box
from ..linear_algebra.curvature import Curvature, DenseCurvature, SparseCurvature
from ..linear_algebra.equilibrate import equilibration
from ..linear_algebra.factor_units import FactorUnits
from ..linear_algebra.krylov_curvature import KrylovCurvature
from ..linear_algebra.long_vectors import holds_everywhere, inner, is_finite, is_zero, length
from ..linear_algebra.shifted_step import ON_THE_SPHERE, REGULAR
from ..linear_algebra.sparse_factor import SymmetricPattern, Upwards
from ..numerics import EPS, FEW, all_finite, largest, quietly
from ..objective import Matrix, Objective
from .bent_path import BENT_PART, PUT_BACK_BELOW, WORTH_PUTTING_BACK
from .trust_region import Model, Proposal

# A parameter's unit shrinks at most to this part from one step to the next: at an inflection its curvature vanishes
# and says nothing about how far it may go.
REMEMBERED = 0.1

# Entries larger than this, in units where the diagonal is one, outweigh it: the diagonal then says too little about
# how far a parameter may go, and all rows are balanced. In a positive definite matrix none is.
OUTWEIGHED = 2.0

# A step of a matrix turned upwards that is this part of the radius or shorter ends at a saddle; the negative curvature
# there is followed instead.
BESIDE_A_SADDLE = 1e-3

# For one step that is cut short by the radius: the most factorisations, the shift tried where none is known and the
# least one, in units where curvatures are about one, how many times as much or as little is tried next, and the part
# of the radius that is long enough.
SHIFTS, FIRST_SHIFT, LEAST_SHIFT, FURTHER, SHORT = 4, 0.1, 1e-8, 100.0, 0.5

# Where more than the first part of all curvatures are negative, they are no longer those of a few neighbourhoods. Where
# also more than the second part of the pivots are lifted, the step is one down the slope, in units that mean little.
MANY, MOST = 0.01, 0.5

# Where no pivot is lower than minus this part of the entries, negative curvature is rounding, or all but level: a shift
# of twice as much makes up for it, and changes other curvatures less than lifting all their small pivots does. Near a
# minimum that is one of many, as of a layout that may be turned, Newton's steps stay what they are. Where most pivots
# are small what is left of them is rounding: CUTEst's NONMSQRT took hundreds of steps that won a billionth.
SLIGHT = 1e-4

# How far a parameter goes for a difference of slopes, as a part of its size: balances truncation against rounding.
DIFFERENCE = EPS**0.5


def second_derivatives(objective: Objective, x: Vector, gradient: Vector) -> Matrix:
    """The Hessian at `x`, shape (n, n): exact where it can be had, else from products, else from n more slopes.

    Differences of slopes go forward, or backward where a bound is in the way (Nocedal & Wright 2006, eq. 8.7).
    """
    if objective.has_hessian:
        return objective.hessian(x)
    n = objective.n
    H = np.zeros((n, n))
    bounds = objective.bounds
    for i in range(n):
        if objective.has_hessian_product:
            e = np.zeros(n)
            e[i] = 1.0
            H[i] = objective.hessian_product(x, e)
            continue
        h = DIFFERENCE * (abs(float(x[i])) or 1.0)
        ahead = x.copy()
        ahead[i] = x[i] + h if x[i] + h <= bounds.upper[i] else max(x[i] - h, bounds.lower[i])
        if ahead[i] != x[i]:
            H[i] = (objective.value_and_gradient(ahead)[1] - gradient) / (ahead[i] - x[i])
    return 0.5 * (H + H.T)


def dense_model(
    objective: Objective, x: Vector, gradient: Vector, before: Vector | None
) -> tuple[Model, Vector]:
    """The model at `x` from the whole Hessian, and the unit of each parameter (n,); `before`: those one step ago."""
    H = second_derivatives(objective, x, gradient)
    scale = units(H.diagonal(), gradient, x, before)
    if not all_finite(H):
        H = np.diag(scale * scale)
    d = 1.0 / scale
    scaled = H * d * d[:, None]
    if largest(np.abs(scaled)) > OUTWEIGHED:
        d = d * equilibration(scaled)
        scaled = H * d * d[:, None]
    return model_of(objective.bounds, x, gradient, DenseCurvature(scaled), d), scale


def sparse_model(
    objective: Objective,
    x: Vector,
    gradient: Vector,
    before: Vector | None,
    pattern: SymmetricPattern | None,
    last: Model | None,
) -> tuple[Model, Vector, SymmetricPattern]:
    """The same from a sparse Hessian, with its pattern, which is analysed once and handed on.

    `last`: the model before, of which a new one without bounds takes over what it learned of the shape of steps.
    """
    H = objective.sparse_hessian(x)
    if pattern is None or not pattern.fits(H):
        pattern = objective.analysed(H)
    data, bounds = H.data, objective.bounds
    if bounds.any and bounds.only_fix:
        # The others walk as if there were no bounds, the fixed ones, each alone with a curvature of one, nowhere.
        free = bounds.lower < bounds.upper
        gradient = np.where(free, gradient, 0.0)
        data = np.where(free[pattern.rows] & free[pattern.columns], data, pattern.on_diagonal)
        bounds = Bounds.none(x.size)
    scale = units(pattern.diagonal(data), gradient, x, before)
    upright = None
    if np.isfinite(data).all():
        if not objective.bounds.any and objective.may_have_upright_hessian:
            upright = partial(objective.upright_hessian, x)
    else:
        data = np.where(pattern.on_diagonal, (scale * scale)[pattern.columns], 0.0)
    d = 1.0 / scale
    curvature = SparseCurvature(pattern, data, d, upright)
    if max(curvature.upper.max(initial=0.0), -curvature.upper.min(initial=0.0)) > OUTWEIGHED:
        d = d * pattern.equilibration(pattern.scaled(data, d))
        curvature = SparseCurvature(pattern, data, d, upright)
    if isinstance(last, LocalModel):
        return LocalModel(x, gradient, curvature, d, last.spread), scale, pattern
    return model_of(bounds, x, gradient, curvature, d), scale, pattern


def units(diagonal: Vector, gradient: Vector, x: Vector, before: Vector | None) -> Vector:
    """The scale D (n,) of each parameter: |Dp|² has the unit of the cost, so lengths mean the same in any units.

    D² is the size of the curvature on the `diagonal`; where that is zero at the start, what the slope suggests.
    """
    D = np.sqrt(np.abs(diagonal))
    if before is not None:
        D = np.maximum(D, REMEMBERED * before)
    if D.size <= FEW and is_finite(D) and 0.0 not in D.tolist():
        return D
    known = (D > 0.0) & (inf > D)
    if not known.all():
        with quietly():
            if before is None:
                other = np.sqrt(np.abs(gradient) / np.maximum(np.abs(x), 1.0))
                other = np.where((other > 0.0) & (other < inf), other, 1.0)
            else:
                other = before
        D = np.where(known, D, other)
    return D


def model_of(bounds: Bounds, x: Vector, gradient: Vector, curvature: Curvature, d: Vector) -> Model:
    """The model at `x` from a curvature in the units `d` (n,), inside bounds where there are any."""
    if bounds.any:
        return BoxModel(bounds, x, gradient, curvature, d)
    if isinstance(curvature, SparseCurvature):
        return LocalModel(x, gradient, curvature, d)
    return FreeModel(x, gradient, curvature, d)


class FreeModel:
    """gᵀp + ½pᵀHp without bounds; `curvature` is d·H·d, with the unit `d` (n,) of each parameter."""

    def __init__(self, x: Vector, gradient: Vector, curvature: Curvature, d: Vector) -> None:
        self.x = x
        self.g = d * gradient
        self.d = d
        self.curvature = curvature
        self.newton = curvature.newton(self.g, None)
        self.newton_length = inf if self.newton is None else length(self.newton)

    @property
    def first_radius(self) -> float:
        """How far to trust the model before anything is known: as far as Newton's step goes."""
        # On a saddle or a maximum there is no slope to tell how far: one unit, as the model is scaled.
        return inf if self.newton is not None else (length(self.g) or 1.0)

    def within(self, radius: float, shift: float) -> Proposal:
        """See `Model`."""
        p = self.newton
        if p is not None and self.newton_length <= radius:
            return Proposal(self._outside(p), -0.5 * inner(self.g, p), False, 0.0)
        found = self.curvature.in_ball(self.g, radius, shift, None)
        return Proposal(self._outside(found.step), found.decrease, found.cut, found.shift)

    def _outside(self, p: Vector) -> Vector:
        """A step (n,) of the model in the parameters' own units."""
        return self.d * p

    def length(self, step: Vector) -> float:
        """See `Model`."""
        return length(step / self.d)

    def place(self, step: Vector) -> Vector:
        """See `Model`."""
        landed = self.x + step
        landed.setflags(write=False)
        return landed

    def corrected(self, step: Vector, gradient: Vector, promised: float, ratio: float) -> Vector | None:
        """See `Model`."""
        if isinstance(self.curvature, DenseCurvature):
            if ratio > PUT_BACK_BELOW:
                return None
            slope, p = self.d * gradient, step / self.d
            back = self.curvature.back(self.g, slope, p)
            if back is None or not -0.5 * inner(slope, back) >= WORTH_PUTTING_BACK * (1.0 - ratio) * promised:
                return None
            if 2.0 * length(back) > BENT_PART * length(p):
                return None
            return step + self.d * back
        if not isinstance(self.curvature, KrylovCurvature):
            return None
        return step + self.d * self.curvature.back(self.d * gradient, self.length(step))


class FactorModel(FreeModel):
    """The same in `units` of a factor, in which few products with `curvature` tell the way."""

    def __init__(self, x: Vector, gradient: Vector, curvature: KrylovCurvature, units: FactorUnits) -> None:
        self.units = units
        super().__init__(x, units.inside(gradient), curvature, np.ones(1))

    def _outside(self, p: Vector) -> Vector:
        return self.units.outside(p)

    def length(self, step: Vector) -> float:
        """See `Model`."""
        return length(self.units.of_step(step))

    def corrected(self, step: Vector, gradient: Vector, promised: float, ratio: float) -> Vector | None:
        """See `Model`: the step from there by the same factor, which needs no product."""
        return step - self.units.outside(self.units.inside(gradient))


class _Damped(NamedTuple):
    """A step (n,) from a shift, its longest entry, and what it took to make the shifted matrix positive definite.

    Without a factorisation `upwards` is None and the step infinitely long.
    """

    shift: float
    step: Vector
    longest: float
    upwards: Upwards | None

    @property
    def is_convex(self) -> bool:
        """Whether the shifted matrix is positive definite."""
        return self.upwards is not None and self.upwards.negative == 0

    @property
    def lowest(self) -> float:
        """The lowest pivot of a factorisation; zero where all are positive."""
        return 0.0 if self.upwards is None else self.upwards.lowest

    @property
    def is_all_but_convex(self) -> bool:
        """Whether negative pivots are next to nothing, and not most of all were lifted for their sake."""
        return -SLIGHT < self.lowest < 0.0 and not self.leaves_little

    @property
    def leaves_little(self) -> bool:
        """Whether most pivots were lifted."""
        return self.upwards is not None and self.upwards.lifted > MOST * self.step.size

    @property
    def is_another(self) -> bool:
        """Whether next to nothing is left of the matrix: many curvatures were negative, and most pivots lifted."""
        return (
            self.upwards is not None and self.upwards.negative > MANY * self.step.size and self.leaves_little
        )


class LocalModel(FreeModel):
    """The same for many parameters that mind only their neighbours: negative curvature is turned upwards where it is.

    In a ball, one badly behaved neighbourhood among thousands would shorten the steps of all others. So the radius
    bounds the longest entry, and lengths are those of the longest entry. Where negative curvature is everywhere and all
    parameters are neighbours, nothing is left of the matrix when it is turned, and the ball is better. `spread`: how
    many times as long as its longest entry the last step inside a ball was; None where there was none.
    """

    curvature: SparseCurvature

    def __init__(
        self, x: Vector, gradient: Vector, curvature: SparseCurvature, d: Vector, spread: float | None = None
    ) -> None:
        self.x = x
        self.g = d * gradient
        self.d = d
        self.curvature = curvature
        self.spread = spread

    @property
    def first_radius(self) -> float:
        """How far to trust the model before anything is known: as far as Newton's step goes."""
        return inf if self._whole.is_convex else max(1.0, float(np.abs(self.g).max(initial=0.0)))

    @cached_property
    def _whole(self) -> _Damped:
        """The step without any shift, or without any that matters where a pivot is exactly zero."""
        found = self._damped(0.0)
        return found if found.upwards is not None else self._damped(REGULAR)

    def within(self, radius: float, shift: float) -> Proposal:
        """See `Model`."""
        whole = self._whole
        if whole.is_another:
            return self._in_ball(radius, shift)
        if whole.longest > radius:
            return self._held(radius, shift)
        if whole.is_convex:
            return Proposal(self.d * whole.step, -0.5 * inner(self.g, whole.step), False, 0.0)
        if whole.is_all_but_convex:
            slightly = self._damped(max(-2.0 * whole.lowest, REGULAR))
            if slightly.is_convex:
                if slightly.longest > radius:
                    return self._held(radius, slightly.shift)
                return self._promising(slightly.step, radius, slightly.shift)
        if whole.longest < BESIDE_A_SADDLE * radius:
            return self._in_ball(radius, shift)
        return self._promising(whole.step, radius, shift)

    def length(self, step: Vector) -> float:
        """See `Model`."""
        return float(np.abs(step / self.d).max(initial=0.0))

    def _held(self, radius: float, shift: float) -> Proposal:
        """A step from a shift that makes its longest entry about the radius, with few factorisations.

        Its length need not be right: the radius is a guess, and another shift costs as much as another place.
        """
        found: _Damped | None = None
        low = 0.0  # the largest shift known to be too small
        tried = max(shift, LEAST_SHIFT) if shift > 0.0 else FIRST_SHIFT
        for _ in range(SHIFTS):
            this = self._damped(tried)
            if this.longest <= (1.0 + ON_THE_SPHERE) * radius:
                found = this
                if low > 0.0 or this.longest >= SHORT * radius:
                    break
                tried *= max(this.longest / radius, 1.0 / FURTHER)
            elif found is not None:
                break
            else:
                low = tried
                tried *= min(max(this.longest / radius, 2.0), FURTHER)
        if found is not None:
            return self._promising(found.step, radius, found.shift)
        if not this.longest < inf:
            return self._in_ball(radius, tried)
        return self._promising(this.step * (radius / this.longest), radius, low)

    def _damped(self, shift: float) -> _Damped:
        upwards = self.curvature.upwards(shift)
        step = np.zeros(self.g.size) if upwards is None else -upwards.solve(self.g)
        longest = inf if upwards is None else float(np.abs(step).max(initial=0.0))
        return _Damped(shift, step, longest if longest < inf else inf, upwards)

    def _in_ball(self, radius: float, shift: float) -> Proposal:
        spread = self.spread
        if spread is None:
            spread = length(self.g) / (float(np.abs(self.g).max(initial=0.0)) or 1.0) or 1.0
        found = self.curvature.in_ball(self.g, spread * radius, shift, None)
        longest = float(np.abs(found.step).max(initial=0.0))
        self.spread = length(found.step) / longest if longest > 0.0 else None
        return Proposal(self.d * found.step, found.decrease, True, found.shift)

    def _promising(self, p: Vector, radius: float, shift: float) -> Proposal:
        promised = -inner(self.g, p) - 0.5 * inner(p, self.curvature.product(p))
        if not promised > 0.0:  # small pivots have drowned it in rounding
            return self._in_ball(radius, shift)
        return Proposal(self.d * p, promised, True, shift)


class BoxModel:
    """The same inside bounds; lengths are those of the longest entry, so that the radius is a box as well."""

    def __init__(self, bounds: Bounds, x: Vector, gradient: Vector, curvature: Curvature, d: Vector) -> None:
        self.bounds = bounds
        self.x = x
        self.g = d * gradient
        self.d = d
        self.curvature = curvature
        self.lower = (bounds.lower - x) / d
        self.upper = (bounds.upper - x) / d

    @property
    def first_radius(self) -> float:
        """How far to trust the model before anything is known: as far as Newton's step goes."""
        inside = self.bounds.lower < self.bounds.upper
        if self.curvature.newton(self.g, inside) is not None:
            return inf
        return float(np.abs(self.g).max(initial=0.0, where=inside)) or inf

    def within(self, radius: float, shift: float) -> Proposal:
        """See `Model`."""

        def newton(free: Mask, r: Vector) -> Vector:
            nonlocal shift
            step = self.curvature.newton(r, free)
            if step is None:
                found = self.curvature.in_ball(r, radius * sqrt(float(np.count_nonzero(free))), shift, free)
                step, shift = found.step, found.shift
            return step

        at_once = self._newton_on_the_face(radius)
        if at_once is not None:
            return at_once
        lower, upper = np.maximum(self.lower, -radius), np.minimum(self.upper, radius)
        # A small dense matrix is factorised in the time of a few products.
        steps = GRADIENT_STEPS if isinstance(self.curvature, SparseCurvature) else 1
        p, decrease = lowest_in_box(
            self.g, self.curvature.product, lower, upper, newton, gradient_steps=steps
        )
        cut = bool((((p <= lower) & (lower > self.lower)) | ((p >= upper) & (upper < self.upper))).any())
        return Proposal(self.d * p, decrease, cut, shift)

    def _newton_on_the_face(self, radius: float) -> Proposal | None:
        """Newton's step over the parameters that no bound holds, if it meets none and none lets go: then it is lowest.

        Once the face is found this is all that is left to do, and costs a third of the search.
        """
        free = ~(((self.lower >= 0.0) & (self.g >= 0.0)) | ((self.upper <= 0.0) & (self.g <= 0.0)))
        if is_zero(free):
            return None
        whole = holds_everywhere(free)
        p = self.curvature.newton(self.g, None if whole else free)
        if p is None or largest(np.abs(p)) > radius or not is_zero((p < self.lower) | (p > self.upper)):
            return None
        if not whole:
            r = self.g + self.curvature.product(p)
            if not is_zero(((r < 0.0) & (self.upper > 0.0) | (r > 0.0) & (self.lower < 0.0)) & ~free):
                return None
        return Proposal(self.d * p, -0.5 * inner(self.g, p), False, 0.0)

    def length(self, step: Vector) -> float:
        """See `Model`."""
        return largest(np.abs(step / self.d))

    def place(self, step: Vector) -> Vector:
        """See `Model`."""
        landed = self.bounds.landed(self.x, step)
        landed.setflags(write=False)
        return landed

    def corrected(self, step: Vector, gradient: Vector, promised: float, ratio: float) -> Vector | None:
        """See `Model`: bounds would have to be met again."""
        return None
