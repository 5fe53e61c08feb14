"""The lowest point of a quadratic inside a ball, from the eigenvalues of its matrix."""

from __future__ import annotations

from math import inf, sqrt
from typing import Any

import numpy as np

from . import lapack

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

# How close to the radius is close enough, as a fraction of it. The radius is a guess of where the quadratic can be
# trusted; more digits of it buy nothing.
ON_THE_SPHERE = 0.05

# Newton's method on the secular equation rises from the left without overshooting and ends in three or four rounds.
SECULAR_ROUNDS = 30

# Eigenvalues below this part of the largest are rounding of the matrix, whatever their sign.
NOISE = 4.0 * float(np.finfo(np.float64).eps)


class SpectralModel:
    """The quadratic gᵀs + ½sᵀHs, with H (k, k) taken apart into eigenvalues once; every radius then costs O(k²).

    `lowest`: the smallest eigenvalue, NaN where the matrix is not finite.

    >>> model = SpectralModel(np.array([2.0, 0.0]), np.diag([1.0, -1.0]))
    >>> s, decrease = model.within(2.0)
    >>> np.abs(s).round(9)
    array([1.        , 1.73205081])
    """

    def __init__(self, g: Vector, H: Matrix) -> None:
        self.values, self.vectors, trouble = lapack.dsyevd(H)
        self.lowest = float("nan") if trouble else float(self.values[0])
        self.coefficients = g.dot(self.vectors)
        self._size = max(-self.lowest, float(self.values[-1]))
        self._above = (
            self.values - self.lowest
        )  # exact near the lowest, where the secular equation is singular

    @property
    def reach(self) -> float:
        """Length of the step that would lead to the stationary point if every curvature had its sign mended."""
        curvature = np.maximum(np.abs(self.values), NOISE * self._size)
        c = self.coefficients / np.where(curvature > 0.0, curvature, 1.0)
        return sqrt(float(c.dot(c)))

    def within(self, radius: float) -> tuple[Vector, float]:
        """The step s (k,) of length at most about `radius` that is lowest, and how much lower it is, >= 0.

        With H = VΛVᵀ and c = Vᵀg, s = -V(c / (λ + shift)) for the shift >= max(0, -λ₁) that makes it as long as the
        radius, or shift 0 if it is shorter (Moré & Sorensen, "Computing a trust region step", SIAM J. Sci. Stat.
        Comput. 4, 1983). Where c vanishes along the lowest eigenvector no shift is long enough; then a piece of that
        eigenvector is added (their hard case).
        """
        c, above = self.coefficients, self._above
        least = max(self.lowest, NOISE * self._size)  # smallest distance of λ₁ + shift from zero
        fill = 0.0
        with np.errstate(all="ignore"):
            floor = max(least, float((np.abs(c) / radius - above).max())) if radius < inf else least
            distance = floor
            for _ in range(SECULAR_ROUNDS):
                lifted = above + distance
                t = np.where(c == 0.0, 0.0, c / lifted)
                square = float(t.dot(t))
                length = sqrt(square)
                if length <= (1.0 + ON_THE_SPHERE) * radius:
                    break
                # Newton on 1/‖s‖ - 1/radius, nearly linear in the shift (Nocedal & Wright 2006, algorithm 4.3).
                distance += (square / float((t * t / lifted).sum())) * (length / radius - 1.0)
            if (
                self.lowest < -NOISE * self._size
                and length < (1.0 - ON_THE_SPHERE) * radius
                and distance <= least
            ):
                fill = sqrt(radius * radius - square)
        y = -t
        if fill:
            y[0] += fill if y[0] >= 0.0 else -fill
        decrease = -float(y.dot(c) + 0.5 * float((y * self.values).dot(y)))
        return self.vectors.dot(y), decrease
