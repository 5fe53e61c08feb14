"""Quadratic models of a cost from its matrix of second derivatives, free or inside a box, in units of their own."""

from __future__ import annotations

from functools import cached_property
from math import inf, isfinite, sqrt

import numpy as np

from ..bounds import Bounds, Mask, Vector
from ..linear_algebra import lapack
from ..linear_algebra.box_quadratic import lowest_in_box
from ..linear_algebra.equilibrate import equilibration
from ..linear_algebra.spectral_step import SpectralModel
from ..objective import Matrix, Objective
from .stopping import EPSILON
from .trust_region import Proposal

# A parameter's unit shrinks at most to this part from one step to the next: at an inflection its curvature vanishes
# and says nothing about how far it may go.
REMEMBERED = 0.1

# A pivot of Cholesky below this part of its diagonal entry, times n, is rounding: the step along it would be noise.
PIVOT_NOISE = 10.0 * EPSILON

# How far a parameter goes for a difference of slopes, as a part of its size: balances truncation against rounding.
DIFFERENCE = EPSILON**0.5


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


def units(H: Matrix, gradient: Vector, x: Vector, before: Vector | None) -> Vector:
    """The scale D (n,) of each parameter: |Dp|² has the unit of the cost, so lengths mean the same in any units.

    D² is the size of the curvature; where that is zero at the start, what the slope suggests.
    """
    with np.errstate(all="ignore"):
        D = np.sqrt(np.abs(H.diagonal()))
        if before is not None:
            D = np.maximum(D, REMEMBERED * before)
        known = (D > 0.0) & (inf > D)
        if not known.all():
            if before is None:
                other = np.sqrt(np.abs(gradient) / np.maximum(np.abs(x), 1.0))
                other = np.where((other > 0.0) & (other < inf), other, 1.0)
            else:
                other = before
            D = np.where(known, D, other)
    return D


class FreeModel:
    """gᵀp + ½pᵀHp without bounds; `scale` (n,) makes the unit of lengths."""

    def __init__(self, x: Vector, gradient: Vector, H: Matrix, scale: Vector) -> None:
        self.x = x
        self.gradient = gradient
        self.H = H
        self.scale = scale
        self.newton = newton_step(gradient, H)
        self.newton_length = inf
        if self.newton is not None:
            self.newton_length = self.length(self.newton)
        else:
            self.scale = 1.0 / _balanced(H, scale)

    @cached_property
    def spectrum(self) -> SpectralModel:
        """The model in its own units, taken apart."""
        d = 1.0 / self.scale
        return SpectralModel(d * self.gradient, self.H * d * d[:, None])

    @property
    def first_radius(self) -> float:
        """How far to trust the model before anything is known: as far as Newton's step goes."""
        return inf if self.newton is not None else self.spectrum.reach

    def within(self, radius: float) -> Proposal:
        """See `Model`."""
        p = self.newton
        if p is not None and self.newton_length <= radius:
            return Proposal(p, -0.5 * float(self.gradient.dot(p)), False)
        s, promised = self.spectrum.within(radius)
        return Proposal(s / self.scale, promised, float(s.dot(s)) > 0.81 * radius * radius)

    def length(self, step: Vector) -> float:
        """See `Model`."""
        scaled = self.scale * step
        return sqrt(float(scaled.dot(scaled)))

    def place(self, step: Vector) -> Vector:
        """See `Model`."""
        landed = self.x + step
        landed.setflags(write=False)
        return landed


class BoxModel:
    """gᵀp + ½pᵀHp inside bounds; `scale` (n,) makes the unit of lengths, which are those of the longest entry."""

    def __init__(self, bounds: Bounds, x: Vector, gradient: Vector, H: Matrix, scale: Vector) -> None:
        self.bounds = bounds
        self.x = x
        self.scale = 1.0 / _balanced(H, scale)
        d = 1.0 / self.scale
        self.g = d * gradient
        self.H = H * d * d[:, None]
        self.lower = (bounds.lower - x) * self.scale
        self.upper = (bounds.upper - x) * self.scale
        self.inside = bounds.lower < bounds.upper

    @property
    def first_radius(self) -> float:
        """How far to trust the model before anything is known: as far as Newton's step goes."""
        H, g = self._face(self.inside, self.g)
        return inf if g.size == 0 or newton_step(g, H) is not None else SpectralModel(g, H).reach

    def within(self, radius: float) -> Proposal:
        """See `Model`."""

        def newton(free: Mask, r: Vector) -> Vector:
            H, g = self._face(free, r)
            p = newton_step(g, H)
            if p is None:
                p = SpectralModel(g, H).within(radius)[0]
            step = np.zeros_like(r)
            step[free] = p
            return step

        lower, upper = np.maximum(self.lower, -radius), np.minimum(self.upper, radius)
        p, decrease = lowest_in_box(self.g, self.H.dot, lower, upper, newton)
        cut = bool(((p <= lower) & (lower > self.lower) | (p >= upper) & (upper < self.upper)).any())
        return Proposal(p / self.scale, decrease, cut)

    def _face(self, free: Mask, r: Vector) -> tuple[Matrix, Vector]:
        if free.all():
            return self.H, r
        kept = np.flatnonzero(free)
        return self.H[kept[:, None], kept], r[kept]

    def length(self, step: Vector) -> float:
        """See `Model`."""
        return float(np.abs(self.scale * step).max(initial=0.0))

    def place(self, step: Vector) -> Vector:
        """See `Model`."""
        landed = self.bounds.travel(self.x, step, self.bounds.room(self.x, step), 1.0)
        landed.setflags(write=False)
        return landed


def newton_step(gradient: Vector, H: Matrix) -> Vector | None:
    """-H⁻¹·gradient (n,) by Cholesky; None where H is not positive definite beyond rounding.

    >>> newton_step(np.array([2.0]), np.array([[4.0]]))
    array([-0.5])
    """
    factor, trouble = lapack.dpotrf(H, 1, 0)
    if trouble:
        return None
    pivots = factor.diagonal()
    if not (pivots * pivots > PIVOT_NOISE * gradient.size * H.diagonal()).all():
        return None
    p, trouble = lapack.dpotrs(factor, -gradient, 1)
    return p if not trouble and isfinite(float(p.dot(p))) else None


def _balanced(H: Matrix, scale: Vector) -> Vector:
    """Units d (n,) in which no entry of d·H·d outweighs others by much, starting from 1/scale."""
    d = 1.0 / scale
    scaled = H * d * d[:, None]
    if np.abs(scaled).max() <= 2.0:
        return d
    return d * equilibration(scaled)
