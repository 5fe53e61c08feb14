"""The lowest point of a quadratic inside a ball, from the eigenvalues of its matrix."""

from __future__ import annotations

from collections.abc import Callable
from math import copysign, inf, sqrt
from typing import Any

import numpy as np

from ..numerics import EPS, FEW, quietly
from . import lapack
from .long_vectors import holds_everywhere

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

# How close to the radius is close enough, as a fraction of it. The radius is a guess of where the quadratic can be
# trusted; more digits of it buy nothing.
ON_THE_SPHERE = 0.05

# Newton's method on the secular equation rises from the left without overshooting and ends in three or four rounds.
SECULAR_ROUNDS = 30

# Eigenvalues below this part of the largest are rounding of the matrix, whatever their sign.
NOISE = 4.0 * EPS


class Spectrum:
    """Eigenvalues and eigenvectors of H (k, k), with which the lowest point of gᵀs + ½sᵀHs in any ball costs O(k²).

    >>> step, decrease = Spectrum(np.diag([1.0, -1.0])).lowest_in_ball(np.array([2.0, 0.0]), 2.0)
    >>> np.abs(step).round(9)
    array([1.        , 1.73205081])
    """

    def __init__(self, H: Matrix) -> None:
        self.values, self.vectors, _ = lapack.dsyevd(H)
        self.lowest = float(self.values[0])
        self._size = max(-self.lowest, float(self.values[-1]))
        self._above = (
            self.values - self.lowest
        )  # exact near the lowest, where the secular equation is singular

    def reach(self, g: Vector) -> float:
        """Length of the step that would lead to the stationary point if every curvature had its sign mended."""
        curvature = np.maximum(np.abs(self.values), NOISE * self._size)
        c = g.dot(self.vectors) / np.where(curvature > 0.0, curvature, 1.0)
        return sqrt(float(c.dot(c)))

    def lowest_in_ball(self, g: Vector, radius: float) -> tuple[Vector, float]:
        """The step s (k,) of length at most about `radius` that is lowest, and how much lower it is, >= 0.

        With H = VΛVᵀ and c = Vᵀg, s = -V(c / (λ + shift)) for the shift >= max(0, -λ₁) that makes it as long as the
        radius, or shift 0 if it is shorter (Moré & Sorensen, "Computing a trust region step", SIAM J. Sci. Stat.
        Comput. 4, 1983). Where c vanishes along the lowest eigenvector no shift is long enough; then a piece of that
        eigenvector is added (their hard case).
        """
        c, above = g.dot(self.vectors), self._above
        least = max(self.lowest, NOISE * self._size)  # smallest distance of λ₁ + shift from zero
        vanishes = not holds_everywhere(c)
        with quietly():
            floor, measured = (_few_measured if c.size <= FEW else _measured)(c, above, radius)
            distance = max(least, floor)
            for _ in range(SECULAR_ROUNDS):
                tried = distance
                square, bend = measured(tried)
                length = sqrt(square)
                if length <= (1.0 + ON_THE_SPHERE) * radius:
                    break
                # Newton on 1/‖s‖ - 1/radius, nearly linear in the shift (Nocedal & Wright 2006, algorithm 4.3).
                if bend == 0.0:  # underflown: so far out the length falls like one over the distance
                    distance *= length / radius
                    continue
                distance += (square / bend) * (length / radius - 1.0)
            lifted = above + tried
            t = np.where(c == 0.0, 0.0, c / lifted) if vanishes else c / lifted
            is_hard = (
                self.lowest < -NOISE * self._size
                and length < (1.0 - ON_THE_SPHERE) * radius
                and distance <= least
            )
        y = -t
        if is_hard:
            rest = float(y[1:].dot(y[1:]))
            y[0] = copysign(sqrt(radius * radius - rest), y[0] or 1.0)
        decrease = -float(y.dot(c) + 0.5 * float((y * self.values).dot(y)))
        return self.vectors.dot(y), decrease


def _measured(
    c: Vector, above: Vector, radius: float
) -> tuple[float, Callable[[float], tuple[float, float]]]:
    """The least distance at which no entry of t = c / lifted exceeds the radius; and tᵀt and tᵀ(t / lifted).

    Those are functions of the distance by which what is `above` the lowest eigenvalue is lifted.
    """
    vanishes = not holds_everywhere(c)

    def measured(distance: float) -> tuple[float, float]:
        lifted = above + distance
        t = np.where(c == 0.0, 0.0, c / lifted) if vanishes else c / lifted
        return float(t.dot(t)), float((t * t / lifted).sum())

    return float((np.abs(c) / radius - above).max()) if radius < inf else 0.0, measured


def _few_measured(
    c: Vector, above: Vector, radius: float
) -> tuple[float, Callable[[float], tuple[float, float]]]:
    """The same on Python's floats, which for a few of them are several times as fast."""
    pairs = list(zip(c.tolist(), above.tolist(), strict=True))

    def measured(distance: float) -> tuple[float, float]:
        square = bend = 0.0
        for slope, height in pairs:
            if slope == 0.0:
                continue
            lifted = height + distance
            if lifted == 0.0:
                return inf, inf
            t = slope / lifted
            square += t * t
            bend += t * t / lifted
        return square, bend

    if not 0.0 < radius < inf:
        return 0.0 if radius == inf else inf, measured
    return max(abs(slope) / radius - height for slope, height in pairs), measured
