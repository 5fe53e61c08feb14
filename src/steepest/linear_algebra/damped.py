"""Damped steps of a quadratic model: the way down within a trust radius, in the model's own axes or by factors."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, nan, sqrt
from typing import Any

import numpy as np

from ..numerics import EPS, largest
from . import lapack
from .damped_factors import (
    RADIUS_SLACK,
    SECULAR_ROUNDS,
    CholeskyModel,
    Damped,
    HeldModel,
    PivotedModel,
    SparseModel,
)
from .minimum_degree import keeps_sparse
from .symmetric import safe_factor

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

# JᵀJ squares the condition of J. While its smallest eigenvalue is above this part of the largest, half the digits
# of every step remain and the quick way serves; below, singular values are taken of J itself.
SQUARED_IS_SAFE = 1e-9

# Singular values below this many roundings (times m) of the largest are zero to within rounding.
RANK = 8.0 * EPS

# A row of R whose diagonal entry is this much below what is zero to within rounding holds nothing of any singular value
# that counts; one nearer to it may.
NEGLIGIBLE = 1e-2

# Where JᵀJ has no more than this part of as many pivots beyond rounding as columns, J itself is looked at for no more.
LOW_RANK = 8

# Up to so many axes the secular equation is solved on Python's floats.
FEW = 12


class Spectrum:
    """The model f + 2aᵀq + qᵀdiag(w)q in its own axes, q = Vᵀp: everything a trust region asks costs n operations.

    `values` w (k,), smallest first; `slope` a (k,), half the slope along each axis; `axes` V (n, k).
    Axes without curvature to rounding are left out, together with what the slope holds along them.
    `decrease`: what the model could gain without any limit on the step; infinite where it bends downwards.
    """

    def __init__(self, values: Vector, slope: Vector, axes: Matrix) -> None:
        self.values, self.slope, self.axes = values, slope, axes
        # -q at the bottom of the model, where it has one, and the step there once it was taken: it is asked for again.
        self._to_bottom: Vector | None = None
        self._whole: Damped | None = None
        if values.size == 0:
            self.decrease = 0.0
        elif values.item(0) <= 0.0:
            self.decrease = inf
        else:
            to_bottom = self._to_bottom = slope / values
            self.decrease = float(slope.dot(to_bottom))

    def step(self, radius: float) -> Damped:
        """The lowest point of the model within `radius`: p = -(B + λ)⁻¹a, λ ≥ 0 (Moré & Sorensen 1983)."""
        w, a = self.values, self.slope
        if w.size == 0:
            return Damped(np.zeros(self.axes.shape[0]), 0.0, 0.0, 0.0)
        if self._whole is not None:
            if self._whole.length <= radius * (1.0 + RADIUS_SLACK):
                return self._whole
        elif self._to_bottom is not None:
            q = self._to_bottom
            length = sqrt(q.dot(q))
            if length <= radius * (1.0 + RADIUS_SLACK):
                self._whole = Damped(-self.axes.dot(q), 0.0, length, self.decrease)
                return self._whole
        damping, q, length = self._on_the_sphere(radius, w.item(0))
        return Damped(-self.axes.dot(q), damping, length, float(2.0 * a.dot(q) - (w * q).dot(q)))

    def damped(self, slope: Vector, damping: float) -> Vector:
        """-(B + damping)⁻¹slope for another `slope` (n,), half of a gradient, in scaled parameters, shape (n,)."""
        return self.axes.dot(self.axes.T.dot(slope) / (self.values + damping)) * -1.0

    def _on_the_sphere(self, radius: float, lowest: float) -> tuple[float, Vector, float]:
        """λ with ‖(w + λ)⁻¹a‖ = radius, by Newton's method on 1/radius - 1/‖q‖, kept between its bounds.

        Where the model bends downwards and a has nothing along its lowest axis (the hard case), that axis fills
        up the radius.
        """
        w, a = self.values, self.slope
        low = max(0.0, -lowest)
        high = sqrt(a.dot(a)) / radius + low
        size = max(abs(lowest), abs(w.item(w.size - 1)))
        damping = max(low + EPS * size, 1e-3 * high) if low > 0.0 else 0.0
        length = inf
        measured = _few_measured(w, a) if w.size <= FEW else _measured(w, a)
        tried = damping
        for _ in range(SECULAR_ROUNDS):
            tried = damping
            squared, descent = measured(damping)
            length = sqrt(squared) if squared >= 0.0 else nan
            if not isfinite(length):
                damping = 0.5 * (damping + high)
                continue
            if abs(length - radius) <= RADIUS_SLACK * radius:
                break
            if length > radius:
                low = max(low, damping)
            else:
                high = min(high, damping)
            if descent == 0.0:
                break
            following = damping + squared / descent * (length - radius) / radius
            damping = (
                following if low < following < high else max(sqrt(low * high), low + 1e-3 * (high - low))
            )
            if high - low <= EPS * high:
                break
        q = a / (w + tried)
        if lowest < 0.0 and length < (1.0 - RADIUS_SLACK) * radius:
            bottom = 0
            fill = sqrt(max(radius * radius - length * length + q[bottom] ** 2, 0.0))
            q = q.copy()
            q[bottom] = fill if q[bottom] >= 0 else -fill
            length = radius
        return damping, q, length


def _measured(w: Vector, a: Vector) -> Callable[[float], tuple[float, float]]:
    """‖q‖² and qᵀ(w + λ)⁻¹q for q = (w + λ)⁻¹a, as functions of λ."""

    def measured(damping: float) -> tuple[float, float]:
        shifted = w + damping
        q = a / shifted
        return float(q.dot(q)), float((q * q / shifted).sum())

    return measured


def _few_measured(w: Vector, a: Vector) -> Callable[[float], tuple[float, float]]:
    """The same on Python's floats, which for a few of them are several times as fast."""
    pairs = list(zip(w.tolist(), a.tolist(), strict=True))

    def measured(damping: float) -> tuple[float, float]:
        squared = descent = 0.0
        for curvature, slope in pairs:
            shifted = curvature + damping
            if shifted == 0.0:
                return nan, nan
            q = slope / shifted
            squared += q * q
            descent += q * q / shifted
        return squared, descent

    return measured


def of_residual(
    J: Matrix,
    r: Vector,
    scale: Vector,
    gram: Matrix | None = None,
    slope: Vector | None = None,
    radius: float = inf,
) -> Spectrum | CholeskyModel | HeldModel:
    """The Gauss-Newton model |r + Jp|² for p in units of 1/`scale`, shape (n,); J (m, n), r (m,).

    `gram`, `slope`: JᵀJ and Jᵀr of a J with few columns, where they are known already. `radius`: how far
    steps will go; a longer one that is asked for may be damped nevertheless.

    Safe for a rank-deficient J: directions that change nothing beyond rounding are left out. More than a few columns
    are factorised where that is safe, for a twentieth of what axes of the model take: where JᵀJ is, or becomes by the
    damping of every step within the radius.

    >>> model = of_residual(np.array([[2.0], [0.0]]), np.array([4.0, 3.0]), np.array([2.0]))
    >>> model.step(np.inf).step, model.decrease
    (array([-4.]), 16.0)
    """
    m, n = J.shape
    if gram is not None and slope is not None and n <= m:
        d = 1.0 / scale
        values, axes, trouble = lapack.dsyevd(gram * d * d[:, None])
        if trouble == 0 and values.item(0) > SQUARED_IS_SAFE * values.item(n - 1):
            return Spectrum(values, axes.T.dot(slope * d), axes)
        if n <= FEW:
            return _of_singular_values(J / scale, r, m)
    A = J / scale
    right = A.T
    gram, factor = right.dot(A), None
    few: tuple[Matrix, Vector] | None = None
    if FEW < n <= m:
        factor, is_safe = safe_factor(gram, SQUARED_IS_SAFE)
        if is_safe:
            return CholeskyModel(gram, right.dot(r), factor)
        few = _very_few_rows(A, r, gram)
        if few is None and radius < inf and gram.any():
            held = HeldModel(gram, right.dot(r), SQUARED_IS_SAFE)
            if held.decrease > 0.0 and held.longest > radius * (1.0 + RADIUS_SLACK):
                return held
    if n <= FEW or factor is not None:
        values, axes, trouble = lapack.dsyevd(gram)
        if trouble == 0 and n <= m and values.item(0) > SQUARED_IS_SAFE * values.item(n - 1):
            return Spectrum(values, axes.T.dot(right.dot(r)), axes)
    if n > FEW:
        A, r = few or _few_rows(A, r)
    return _of_singular_values(A, r, max(m, n))


def _of_singular_values(A: Matrix, r: Vector, longest: int) -> Spectrum:
    """The model |r + Ap|² by the singular values of A (k, n), without those that are rounding.

    `longest`: of how many numbers each entry of AᵀA, or of AAᵀ, was the sum.
    """
    U, s, Vt, trouble = lapack.dgesdd(A, full_matrices=0)
    if trouble:
        U, s, Vt, trouble = lapack.dgesvd(A, full_matrices=0)
    rank = int((s > RANK * longest * s[0]).sum()) if s.size and s[0] > 0.0 else 0
    s, U, Vt = s[:rank][::-1], U[:, :rank][:, ::-1], Vt[:rank][::-1]
    return Spectrum(s * s, s * U.T.dot(r), Vt.T)


def _very_few_rows(A: Matrix, r: Vector, gram: Matrix) -> tuple[Matrix, Vector] | None:
    """The same as `_few_rows` for an A (m, n) of very low rank, for a fraction of the work; None where it is not shown.

    A few columns of it, which `gram`, AᵀA, tells by its pivots (Higham 1990), then span all others to within rounding.
    """
    m, n = A.shape
    _, pivots, rank, _ = lapack.dpstrf(gram)
    if not 0 < LOW_RANK * rank <= n:
        return None
    Q, turns, _, _ = lapack.dgeqrf(A[:, pivots[:rank] - 1])
    Q, _, _ = lapack.dorgqr(Q, turns)
    right = Q.T.dot(A)
    left = A - Q.dot(right)
    longest = sqrt(float(gram.diagonal().max()))
    if not largest(np.abs(left)) * sqrt(m) <= NEGLIGIBLE * RANK * max(m, n) * longest:
        return None
    return right, Q.T.dot(r)


def _few_rows(A: Matrix, r: Vector) -> tuple[Matrix, Vector]:
    """Rows (k, n) and residual (k,) of the same model to within rounding; k is about the rank, and n at most.

    A·P = Q·R by columns of falling length: of a J of low rank but a few rows of R are left.
    """
    m, n = A.shape
    R, pivots, turns, _, _ = lapack.dgeqp3(A)
    length = np.abs(R.diagonal())
    rows = max(int((length > NEGLIGIBLE * RANK * max(m, n) * length[0]).sum()), 1)
    right = np.zeros((rows, n))
    right[:, pivots - 1] = np.triu(R[:rows])
    turned, _, _ = lapack.dormqr("L", "T", R[:, : turns.size], turns, r[:, None], max(64, n) * 32)
    return right, turned[:rows, 0]


def of_hessian(H: Matrix, gradient: Vector, scale: Vector) -> Spectrum:
    """Newton's model gᵀp + ½pᵀHp for p in units of 1/`scale`, shape (n,).

    >>> of_hessian(np.array([[2.0]]), np.array([4.0]), np.array([1.0])).step(np.inf).step
    array([-2.])
    """
    half = 0.5 * H / scale / scale[:, None]
    values, axes, _ = lapack.dsyevd(half)
    slope = axes.T.dot(0.5 * gradient / scale)
    limit = RANK * values.size * float(np.abs(values).max(initial=0.0))
    seen = np.abs(values) > limit
    if not seen.all():
        values, slope, axes = values[seen], slope[seen], axes[:, seen]
    return Spectrum(values, slope, axes)


# A sparse J with no more columns and entries, zeros counted, is factorised as if it were dense: SciPy takes 0.5 ms to
# make its sparse product and factor ready, however small they are, and LAPACK a third of that.
DENSE_COLUMNS, DENSE_ENTRIES = 200, 1 << 16

# Conjugate gradients stop when the slope of the model has fallen by this much: more is lost on the next step.
CG_REDUCTION = 1e-3
CG_ROUNDS = 300


class IterativeModel:
    """The same model where JᵀJ would be dense: conjugate gradients on J, cut off at the radius (Steihaug 1983)."""

    def __init__(self, J: Any, r: Vector, scale: Vector) -> None:
        self._J, self._r, self._scale = J, r, scale
        self.decrease = self.step(inf).promise

    def step(self, radius: float) -> Damped:
        """A point within `radius` that gains at least what the slope alone does."""
        J, scale = self._J, self._scale
        residual = self._r.copy()
        p = np.zeros(scale.size)
        slope = (J.T @ residual) / scale
        direction = -slope
        squared = float(slope @ slope)
        enough = CG_REDUCTION**2 * squared
        before = float(residual @ residual)
        damping = 0.0
        for _ in range(CG_ROUNDS):
            if squared <= enough or squared == 0.0:
                break
            image = J @ (direction / scale)
            bend = float(image @ image)
            t = squared / bend if bend > 0.0 else inf
            if not sqrt(float((p + t * direction) @ (p + t * direction))) <= radius if t < inf else True:
                t, damping = _to_the_sphere(p, direction, radius), 1.0
                if not t < inf:
                    break
            p = p + t * direction
            residual += t * image
            if damping:
                break
            slope = (J.T @ residual) / scale
            squared, last = float(slope @ slope), squared
            direction = -slope + squared / last * direction
        return Damped(p, damping, sqrt(float(p @ p)), before - float(residual @ residual))

    def damped(self, slope: Vector, damping: float) -> None:
        """No step for another slope: there is no factorisation."""


def _to_the_sphere(p: Vector, direction: Vector, radius: float) -> float:
    """t > 0 with ‖p + t·direction‖ = radius; infinite where there is none."""
    a, b, c = float(direction @ direction), float(p @ direction), float(p @ p) - radius * radius
    if a == 0.0 or not isfinite(c):
        return inf
    return (-b + sqrt(max(b * b - a * c, 0.0))) / a


def of_sparse_residual(
    J: Any, r: Vector, scale: Vector
) -> CholeskyModel | PivotedModel | SparseModel | IterativeModel:
    """The Gauss-Newton model of a sparse J, factorised where JᵀJ stays sparse, iterated on where it does not.

    A small one is factorised as if it were dense.
    """
    m, n = J.shape
    if n <= DENSE_COLUMNS and m * n <= DENSE_ENTRIES:
        A = J.toarray() / scale
        gram = A.T.dot(A)
        factor, is_safe = safe_factor(gram, SQUARED_IS_SAFE)
        slope = A.T.dot(r)
        return CholeskyModel(gram, slope, factor) if is_safe else PivotedModel(gram, slope)
    factorised = keeps_sparse(np.diff(J.tocsr().indptr), J.nnz)
    return (SparseModel if factorised else IterativeModel)(J, r, scale)
