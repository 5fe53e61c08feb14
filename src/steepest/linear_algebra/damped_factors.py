"""Damped steps of a Gauss-Newton model from factors of JᵀJ + λ, dense or sparse: another factor for each λ tried."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import inf, nan, sqrt
from typing import Any, NamedTuple

import numpy as np

from . import lapack

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

# The radius is kept to within a tenth (Moré 1978): a closer fit costs factor work and gains no decrease.
RADIUS_SLACK = 0.1

# Newton's method on the secular equation needs two or three rounds; bad luck with rounding is cut off here.
SECULAR_ROUNDS = 25

# Added to the diagonal of the scaled JᵀJ, whose entries are about one, so that dead directions do not divide by
# zero; larger, and steps along weak directions are cut short.
TINY_DAMPING = 1e-14


class Damped(NamedTuple):
    """A step in scaled parameters, shape (n,): its damping λ, its length, and the decrease the model promises."""

    step: Vector
    damping: float
    length: float
    promise: float


class _FactorisedModel(ABC):
    """The model f + 2aᵀp + pᵀBp with B = JᵀJ and p in scaled parameters, shape (n,).

    `slope`: a (n,). `decrease`: what the model could gain without any limit on the step.
    """

    def __init__(self, slope: Vector) -> None:
        self._slope = slope
        self._newton = self.damped(slope, 0.0)
        self.decrease = -float(slope.dot(self._newton))

    @abstractmethod
    def damped(self, slope: Vector, damping: float) -> Vector:
        """-(B + damping)⁻¹slope for any `slope` (n,); a factorisation where the last one had another damping."""

    def step(self, radius: float) -> Damped:
        """The lowest point of the model within `radius`, as `Spectrum.step`; a factorisation for each λ tried."""
        a = self._slope
        p, damping = self._newton, 0.0
        length = sqrt(p.dot(p))
        low, high = 0.0, sqrt(a.dot(a)) / radius if radius > 0 else inf
        for _ in range(SECULAR_ROUNDS):
            if length <= radius * (1.0 + RADIUS_SLACK) and (
                damping == 0.0 or length >= radius * (1.0 - RADIUS_SLACK)
            ):
                break
            if length > radius:
                low = damping
            else:
                high = damping
            # Newton's method on 1/radius - 1/|p| (Moré & Sorensen 1983).
            descent = -float(p.dot(self.damped(p, damping)))
            # Of a step of 1e-110 and its damping of 1e104 no square is left.
            newton = length * length / descent * (length - radius) / radius if descent > 0.0 else inf
            following = damping + newton
            if not low < following < high:
                following = max(sqrt(low * high), low + 1e-3 * (high - low))
            damping = following
            p = self.damped(a, damping)
            length = sqrt(p.dot(p))
        return Damped(p, damping, length, -float(a.dot(p)) + damping * length * length)


class CholeskyModel(_FactorisedModel):
    """The model of a dense JᵀJ that is safely positive definite, by Cholesky factors.

    `gram` (n, n): JᵀJ in scaled parameters, `factor` (n, n): its upper factor by LAPACK.
    """

    def __init__(self, gram: Matrix, slope: Vector, factor: Matrix) -> None:
        self._gram, self._undamped = gram, factor
        self._damped, self._damping = factor, 0.0
        super().__init__(slope)

    def damped(self, slope: Vector, damping: float) -> Vector:
        """See `_FactorisedModel`."""
        factor = self._undamped
        if damping != 0.0:
            if damping != self._damping:
                shifted = self._gram.copy()
                shifted.ravel()[:: len(shifted) + 1] += damping
                self._damped, _ = lapack.dpotrf(shifted.T, clean=0, overwrite_a=1)
                self._damping = damping
            factor = self._damped
        return np.asarray(-lapack.dpotrs(factor, slope)[0])


class PivotedModel(_FactorisedModel):
    """The model of a dense JᵀJ that is singular to rounding, or nearly, by LDLᵀ with pivots (Bunch & Kaufman 1977).

    `gram` (n, n): JᵀJ in scaled parameters. The damping is at least `TINY_DAMPING`.
    """

    def __init__(self, gram: Matrix, slope: Vector) -> None:
        self._gram, self._damping = gram, nan
        self._factors: Any = None
        super().__init__(slope)

    def damped(self, slope: Vector, damping: float) -> Vector:
        """See `_FactorisedModel`."""
        damping = max(damping, TINY_DAMPING)
        if damping != self._damping:
            shifted = self._gram.copy()
            shifted.ravel()[:: len(shifted) + 1] += damping
            *self._factors, _ = lapack.dsytrf(shifted.T, lower=1, overwrite_a=1)
            self._damping = damping
        return np.asarray(-lapack.dsytrs(*self._factors, slope, lower=1)[0])


class HeldModel:
    """The model of a dense JᵀJ that is singular to rounding, or nearly, for steps that a radius holds back.

    `gram` (n, n): JᵀJ in scaled parameters, not all zero. No step is damped by less than `part` of its trace, with
    which it is safely positive definite. `longest`: the length of the step damped by so little. Within a radius shorter
    than that every step is as good as one by the singular values of J, for a fraction of the work. `decrease`: what the
    model could gain without any limit on the step, as far as `gram` tells.
    """

    def __init__(self, gram: Matrix, slope: Vector, part: float) -> None:
        # The trace is no less than the largest eigenvalue.
        trace = float(gram.trace())
        self._least = part * trace
        damped = gram.copy()
        damped.ravel()[:: len(damped) + 1] += self._least
        factor, _ = lapack.dpotrf(damped.T, clean=0)
        self._damped = CholeskyModel(damped, slope, factor)
        self.longest = self._damped.step(inf).length
        self.decrease = PivotedModel(gram / trace, slope).decrease / trace

    def step(self, radius: float) -> Damped:
        """See `_FactorisedModel`."""
        step, damping, length, promise = self._damped.step(radius)
        return Damped(step, damping + self._least, length, promise + self._least * length * length)

    def damped(self, slope: Vector, damping: float) -> Vector:
        """See `_FactorisedModel`."""
        return self._damped.damped(slope, max(damping - self._least, 0.0))


class SparseModel(_FactorisedModel):
    """The Gauss-Newton model |r + Jp|² for a sparse J (m, n), p in units of 1/`scale`, by sparse LDLᵀ of JᵀJ + λ."""

    def __init__(self, J: Any, r: Vector, scale: Vector) -> None:
        import scipy.sparse as sparse

        A = J @ sparse.diags_array(1.0 / scale)
        self._gram = sparse.csc_matrix(sparse.triu(A.T @ A, format="csc"))
        self._identity = sparse.csc_matrix(sparse.eye_array(scale.size, format="csc"))
        self._solver: Any = None
        self._damping = nan
        super().__init__(A.T @ r)

    def damped(self, slope: Vector, damping: float) -> Vector:
        """See `_FactorisedModel`; the damping is at least `TINY_DAMPING`."""
        self._factorise(max(damping, TINY_DAMPING))
        return -np.asarray(self._solver.solve(slope))

    def _factorise(self, damping: float) -> None:
        if damping == self._damping:
            return
        import qdldl

        matrix = self._gram + damping * self._identity
        if self._solver is None:
            self._solver = qdldl.Solver(matrix, upper=True)
        else:
            self._solver.update(matrix, upper=True)
        self._damping = damping
