"""Curvature known by its products with vectors alone: steps from the Krylov space that a few of them span."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf, isfinite
from typing import Any

import numpy as np

from .conjugate_gradients import Iterate, by_python
from .long_vectors import inner, length
from .shifted_step import BallStep
from .spectrum import Spectrum

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
# As `by_python` with `times` bound: conjugate gradients run in another way.
Run = Callable[[Iterate, int, float, float], Any]

# Products whose vectors are kept: beyond, keeping the basis orthogonal costs more than the products.
MOST_PRODUCTS = 100

# Numbers the basis may hold, 400 MB: with many parameters fewer vectors.
MOST_NUMBERS = 50_000_000

# The way on after them adds at most the point where it ends and a direction that bends downwards.
MOST_ADDED = 2

# Once negative curvature was met, this many more products turn the space towards where it is most negative.
MORE_WHEN_INDEFINITE = 10

# Back from the wall of a bent valley: products at most, and the part of the slope there that may be left. More would go
# along the valley again.
PRODUCTS_BACK, BACK_TO = 20, 0.1

# A new vector shorter than this part of the largest entry is rounding: the space is invariant.
BREAKDOWN = 1e-12

# A step that comes this close to the radius, in parts of it, was cut by it.
NEARLY = 0.9


class KrylovCurvature:
    """The symmetric matrix behind `times(v)`, shape (n,) to (n,); meets `Curvature`.

    Lanczos' basis Q (k, n) of the space of g, Hg, H²g, … is kept, with T = QHQᵀ tridiagonal. A step is the lowest point
    of the quadratic within that space: that of conjugate gradients where H is positive definite, and for any radius
    without a further product (Gould, Lucidi, Roma & Toint, "Solving the trust-region subproblem using the Lanczos
    method", SIAM J. Optim. 9, 1999). `accuracy`: the space is large enough when the slope that Newton's step leaves is
    this part of g. `further`: products that may follow those whose vectors are kept. They are conjugate gradients', and
    of the space they search only the point they end at is added to the basis, and a direction that bends downwards.
    They end where they leave the ball of radius `reach`: they only go further away (Steihaug, SIAM J. Numer. Anal. 20,
    1983). `run` repeats them in another way, such as in a compiled loop, where all parameters are free.

    >>> curvature = KrylovCurvature(lambda v: np.array([1.0, 4.0]) * v, accuracy=1e-6)
    >>> curvature.newton(np.array([1.0, 4.0]), None)
    array([-1., -1.])
    """

    def __init__(
        self,
        times: Callable[[Vector], Vector],
        accuracy: float,
        further: int = 0,
        reach: float = inf,
        run: Run | None = None,
    ) -> None:
        self.times = times
        self.accuracy = accuracy
        self.further, self.reach = further, reach
        self.run = run
        self._space: _Space | None = None

    def product(self, v: Vector) -> Vector:
        """See `Curvature`."""
        return self.times(v)

    def newton(self, g: Vector, free: Mask | None) -> Vector | None:
        """See `Curvature`; only as accurate as was asked for."""
        space = self._space_of(g, free)
        if space.indefinite or not space.size:
            return None
        if space.far is not None:
            return space.far
        y, _ = space.spectrum.lowest_in_ball(space.start, np.inf)
        return y @ space.basis

    def in_ball(self, g: Vector, radius: float, first: float, free: Mask | None) -> BallStep:
        """See `Curvature`."""
        space = self._space_of(g, free)
        if not space.size:
            return BallStep(np.zeros_like(g), 0.0, False, 0.0)
        y, decrease = space.spectrum.lowest_in_ball(space.start, radius)
        return BallStep(y @ space.basis, decrease, length(y) > NEARLY * radius, 0.0)

    def back(self, g: Vector, radius: float) -> Vector:
        """A few conjugate gradients, (n,), from a slope g (n,) elsewhere: to where it vanishes in stiff directions."""
        p, r, square = np.zeros_like(g), g, inner(g, g)
        d, least = -g, (BACK_TO * BACK_TO) * square
        for _ in range(PRODUCTS_BACK):
            along = self.times(d)
            bend = inner(d, along)
            if not (isfinite(bend) and bend > 0.0):
                break
            t = square / bend
            if length(p + t * d) > radius:
                break
            p = p + t * d
            r = r + t * along
            before, square = square, inner(r, r)
            if square <= least:
                break
            d = square / before * d - r
        return p

    def _space_of(self, g: Vector, free: Mask | None) -> _Space:
        """The space for this slope, from memory if it was the last one asked for."""
        last = self._space
        if last is None or not (last.g is g and last.fits(free)):
            last = self._space = _Space(
                self.times, g, free, self.accuracy, self.further, self.reach, self.run
            )
        return last


class _Space:
    """The Krylov space of g over the parameters in `free`: `basis` (k, n), `spectrum` of T, `start` = |g|e₁ (k,).

    `far` (n,): where conjugate gradients went from the lowest point of the space; None where they were not needed.
    """

    def __init__(
        self,
        times: Callable[[Vector], Vector],
        g: Vector,
        free: Mask | None,
        accuracy: float,
        further: int,
        reach: float,
        run: Run | None,
    ) -> None:
        self.g = g
        self.free = free
        self.indefinite = False
        self.far: Vector | None = None
        start = g if free is None else np.where(free, g, 0.0)
        size = length(start)
        limit = min(MOST_PRODUCTS, g.size, max(MOST_NUMBERS // g.size, 1))
        basis = np.empty((limit + MOST_ADDED, g.size))  # memory is taken up as rows are written
        diagonal: list[float] = []
        side: list[float] = []
        pivot, last_entry = 0.0, size  # of LDLᵀ of T, and |residual| of the Newton step in the space so far
        k, stop_at = 0, limit
        w, beta = start, size
        while k < stop_at and size > 0.0:
            basis[k] = w / beta
            w = times(basis[k])
            if free is not None:
                w = np.where(free, w, 0.0)
            alpha = inner(basis[k], w)
            if not isfinite(alpha):
                break
            k += 1
            # Away from the last two vectors, then from all: twice is enough (Kahan; Parlett 1998, section 6.9).
            w = w - (alpha * basis[k - 1] if k == 1 else side[-1] * basis[k - 2] + alpha * basis[k - 1])
            known = basis[:k]
            w -= known.dot(w).dot(known)
            beta = length(w)
            diagonal.append(alpha)
            pivot = alpha - (side[-1] * (side[-1] / pivot) if k > 1 and pivot != 0.0 else 0.0)
            side.append(beta)
            if pivot <= 0.0 and not self.indefinite:
                self.indefinite = True
                stop_at = min(limit, k + MORE_WHEN_INDEFINITE)
            if beta <= BREAKDOWN * max(max(map(abs, diagonal)), max(side)):
                break
            last_entry *= beta / abs(pivot) if pivot != 0.0 else 1.0
            if not self.indefinite and last_entry <= accuracy * size:
                break
        arrived = k < stop_at or last_entry <= accuracy * size
        T = np.diag(diagonal) + np.diag(side[: k - 1], 1) + np.diag(side[: k - 1], -1)
        if k > 1 and further > 0 and not (self.indefinite or arrived):
            if run is None or free is not None:
                run = partial(by_python, times if free is None else lambda v: np.where(free, times(v), 0.0))
            ends = self._further(run, basis[:k], T, w, accuracy, further, reach / size)
            if not self.indefinite:
                self.far = size * ends[0]
            T = _with(basis, T, ends, times, free)
        self.size = len(T)
        self.basis = basis[: self.size]
        self.start = np.zeros(self.size)
        if k:
            self.start[0] = size
            self.spectrum = Spectrum(T)

    def _further(
        self,
        run: Run,
        basis: Matrix,
        T: Matrix,
        w: Vector,
        accuracy: float,
        most: int,
        reach: float,
    ) -> list[Vector]:
        """Conjugate gradients from the lowest point of the space on, as if they had led there; what to add to it.

        `w` (n,): the next vector of the basis, times the entry of T that it would have. The step before ended at the
        lowest point of the space without its last vector (Golub & Van Loan 2013, section 11.3). The slope is taken to
        be of length one, and `reach` and the ends for it: the squares of one in small units would be zero.
        """
        start = np.zeros(len(basis))
        start[0] = -1.0
        last = np.linalg.solve(T, start)
        moved = last.copy()
        moved[:-1] -= np.linalg.solve(T[:-1, :-1], start[:-1])
        p, r = last @ basis, last[-1] * w
        square = inner(r, r)
        d = square / float(moved @ T @ moved) * (moved @ basis) - r
        at, bend = run(Iterate(p, r, d, square), most, accuracy, reach)
        if bend <= 0.0:
            self.indefinite = True
            return [at.p, at.d]
        return [at.p]

    def fits(self, free: Mask | None) -> bool:
        """Whether this is the space over these parameters."""
        if free is None or self.free is None:
            return free is self.free
        return np.array_equal(free, self.free)


def _with(
    basis: Matrix, T: Matrix, others: list[Vector], times: Callable[[Vector], Vector], free: Mask | None
) -> Matrix:
    """What of the others is new, written below the rows Q of `basis` of which T (k, k) is QHQᵀ; gives the new T."""
    for other in others:
        k = len(T)
        known = basis[:k]
        v = other / (length(other) or 1.0)
        v = v - known.T @ (known @ v)
        v = v - known.T @ (known @ v)
        size = length(v)
        if not size > BREAKDOWN:
            continue
        v = basis[k] = v / size
        w = times(v)
        side = known @ (w if free is None else np.where(free, w, 0.0))
        T = np.block([[T, side[:, None]], [side, inner(v, w)]])
    return T
