"""A symmetric matrix of curvatures, dense or sparse, and the steps that are lowest on its quadratic."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from math import isfinite
from typing import Any, Protocol

import numpy as np

from ..numerics import EPS
from . import lapack
from .long_vectors import holds_everywhere
from .shifted_step import BallStep, Solve, shifted_step
from .sparse_factor import SymmetricPattern, Upwards
from .spectrum import Spectrum

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

# Up to here one eigendecomposition costs less than the handful of factorisations that it replaces; at 200 parameters
# it costs twenty-five.
SPECTRAL_PARAMETERS = 40

# A pivot of Cholesky below this part of its diagonal entry, times n, is rounding: the step along it would be noise.
PIVOT_NOISE = 10.0 * EPS

# From the wall of a bent valley the way back to its floor is across it. Curvatures below this part of the largest are
# taken to be as large: the slope on the wall, which turns with the valley, has a part along it that means nothing. A
# fifth of it, or ten times as much, and valleys of condition 10⁶ take a third to three times as many steps again.
ALONG = 0.05

# A step that comes this close to the radius, in parts of it, was cut by it.
NEARLY = 0.9


class Curvature(Protocol):
    """A symmetric matrix H (n, n)."""

    def product(self, v: Vector) -> Vector:
        """Hv, shape (n,)."""

    def newton(self, g: Vector, free: Mask | None) -> Vector | None:
        """-H⁻¹g (n,) over the parameters in `free`, zero elsewhere; None where H is not positive definite there."""

    def in_ball(self, g: Vector, radius: float, first: float, free: Mask | None) -> BallStep:
        """The step over `free`, zero elsewhere, that is about lowest in a ball; `first` is the first shift tried."""


class DenseCurvature:
    """All entries stored; small ones are taken apart into eigenvalues, larger ones factorised with shifts."""

    def __init__(self, H: Matrix) -> None:
        self.H = H

    @cached_property
    def spectrum(self) -> Spectrum:
        """Eigenvalues of the whole."""
        return Spectrum(self.H)

    def product(self, v: Vector) -> Vector:
        """See `Curvature`."""
        return self.H.dot(v)

    def newton(self, g: Vector, free: Mask | None) -> Vector | None:
        """See `Curvature`."""
        H, r, spread = self._face(g, free)
        step = newton_step(r, H)
        return None if step is None else spread(step)

    def in_ball(self, g: Vector, radius: float, first: float, free: Mask | None) -> BallStep:
        """See `Curvature`."""
        H, r, spread = self._face(g, free)
        if r.size <= SPECTRAL_PARAMETERS:
            spectrum = self.spectrum if H is self.H else Spectrum(H)
            step, decrease = spectrum.lowest_in_ball(r, radius)
            cut = float(step.dot(step)) > NEARLY * NEARLY * radius * radius
            return BallStep(spread(step), decrease, cut, 0.0)
        size = float(np.abs(H).sum(axis=0).max())
        found = shifted_step(r, H.dot, partial(_cholesky, H), size, radius, first)
        return found._replace(step=spread(found.step))

    def back(self, g: Vector, slope: Vector, step: Vector) -> Vector | None:
        """-(H + λ)⁻¹slope (n,), across a valley more than along it; None where H was never taken apart.

        λ is what made `step` (n,) of the slope `g` (n,), or `ALONG` of the largest curvature, whichever is more.
        """
        if g.size > SPECTRAL_PARAMETERS:
            return None
        spectrum, square = self.spectrum, float(step.dot(step))
        shift = -float(step.dot(g + self.H.dot(step))) / square if square > 0.0 else 0.0
        lifted = spectrum.values + max(shift, ALONG * spectrum.values.item(-1))
        return -spectrum.vectors.dot(slope.dot(spectrum.vectors) / lifted) if lifted.item(0) > 0.0 else None

    def _face(self, g: Vector, free: Mask | None) -> tuple[Matrix, Vector, Callable[[Vector], Vector]]:
        if free is None or holds_everywhere(free):
            return self.H, g, _same
        kept = np.flatnonzero(free)
        return self.H[kept[:, None], kept], g[kept], partial(_spread, kept, g.size)


class SparseCurvature:
    """Few entries stored, `data` in the order of `pattern`, in the units `d` (n,): d·A·d; factorised with shifts.

    Of many parameters each pass over all entries counts: only the triangle that is factorised is ever scaled.
    `upright`: evaluates the entries of a matrix like A that never bends down, or None where there is none.
    """

    def __init__(
        self,
        pattern: SymmetricPattern,
        data: Vector,
        d: Vector | None = None,
        upright: Callable[[], Vector | None] | None = None,
    ) -> None:
        self.pattern = pattern
        self.data = data
        self.d = d
        self.upper = pattern.upper(data, d)
        self.upright = upright

    @cached_property
    def _matrix(self) -> Any:
        return self.pattern.matrix(self.data)

    @cached_property
    def upright_upper(self) -> Vector | None:
        """The upper triangle of a matrix like this one that never bends down; None where there is none."""
        data = None if self.upright is None else self.upright()
        return None if data is None or not np.isfinite(data).all() else self.pattern.upper(data, self.d)

    @cached_property
    def _size(self) -> float:
        """The largest sum of a column's sizes."""
        d = self.d
        sums = abs(self._matrix) @ (np.ones(self.pattern.n) if d is None else d)
        return float((sums if d is None else d * sums).max())

    def product(self, v: Vector) -> Vector:
        """See `Curvature`."""
        d = self.d
        product: Vector = self._matrix @ v if d is None else d * (self._matrix @ (d * v))
        return product

    def newton(self, g: Vector, free: Mask | None) -> Vector | None:
        """See `Curvature`."""
        solve = self.pattern.factorise_upper(self.upper, 0.0, free)
        step = None if solve is None else -solve(g if free is None else np.where(free, g, 0.0))
        return step if step is not None and isfinite(float(step.dot(step))) else None

    def upwards(self, shift: float) -> Upwards | None:
        """H + shift·I with negative curvature turned upwards; None where there is no such factorisation.

        Where its terms tell how, each on its own; else by the signs of its pivots. Unlike a shift alone it leaves alone
        the parameters that no negative curvature is near: of 10⁵ a few always have some, and must not hold up the
        others.
        """
        if self.upright is not None:
            solve = self.pattern.factorise_upper(self.upper, shift, None)
            if solve is not None:
                return Upwards(solve, 0, 0)
            if self.upright_upper is not None:
                solve = self.pattern.factorise_upper(self.upright_upper, shift, None)
                return None if solve is None else Upwards(solve, 1, 0)
        return self.pattern.upwards(self.upper, shift)

    def in_ball(self, g: Vector, radius: float, first: float, free: Mask | None) -> BallStep:
        """See `Curvature`."""
        if free is None:
            return shifted_step(g, self.product, self._solver, self._size, radius, first)
        r = np.where(free, g, 0.0)
        return shifted_step(
            r,
            lambda v: np.where(free, self.product(v), 0.0),
            lambda shift: self.pattern.factorise_upper(self.upper, shift, free),
            self._size,
            radius,
            first,
        )

    def _solver(self, shift: float) -> Solve | None:
        return self.pattern.factorise_upper(self.upper, shift, None)


def newton_step(g: Vector, H: Matrix) -> Vector | None:
    """-H⁻¹g (n,) by Cholesky; None where H is not positive definite beyond rounding.

    >>> newton_step(np.array([2.0]), np.array([[4.0]]))
    array([-0.5])
    """
    if not g.size:
        return g  # LAPACK refuses systems without an equation, as where equal bounds hold every parameter
    factor, trouble = lapack.dpotrf(H, 1, 0)
    if trouble:
        return None
    pivots = factor.diagonal()
    if not holds_everywhere(pivots * pivots > PIVOT_NOISE * g.size * H.diagonal()):
        return None
    p, trouble = lapack.dpotrs(factor, -g, 1)
    return p if not trouble and isfinite(float(p.dot(p))) else None


def _cholesky(H: Matrix, shift: float) -> Solve | None:
    """How to solve with H + shift·I, or None where that is not positive definite."""
    shifted = H.copy()
    shifted[np.diag_indices_from(shifted)] += shift
    factor, trouble = lapack.dpotrf(shifted, 1, 0, 1)
    if trouble:
        return None
    return lambda b: lapack.dpotrs(factor, b, 1)[0]


def _same(step: Vector) -> Vector:
    return step


def _spread(kept: np.ndarray, n: int, part: Vector) -> Vector:
    step = np.zeros(n)
    step[kept] = part
    return step
