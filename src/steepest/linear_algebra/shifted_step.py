"""A low point of a quadratic inside a ball, from factorisations of its matrix plus a multiple of the identity."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite, sqrt
from typing import Any, NamedTuple

import numpy as np

from .long_vectors import inner, length

Vector = np.ndarray[Any, np.dtype[np.float64]]
Solve = Callable[[Vector], Vector]

# How close to the radius is close enough, as a fraction of it. The radius is a guess of where the quadratic can be
# trusted, and another digit of it would cost another factorisation.
ON_THE_SPHERE = 0.25

# Factorisations tried for one step. What the last of them gave, cut to the radius, still leads down.
FACTORISATIONS = 12

# A shift of this part of the size of the matrix makes a singular one safe to solve with, and changes no step that
# matters: curvatures below it are lost in the rounding of the largest.
REGULAR = 1e-13

# Where steps stay too short down to a shift this close to one that is not positive definite, as a part of itself, no
# shift is right (the hard case) or finding it costs more than it is worth.
HARD = 0.5

# Where the shift lies between limits that are far apart, the next one tried is their geometric mean, but not nearer
# the lower limit than this part of the way.
INWARD = 0.01

# Solves that turn a step towards the eigenvector of the lowest eigenvalue, once the shift is close to it.
INVERSE_ITERATIONS = 3


class BallStep(NamedTuple):
    """A step (n,), how much lower the quadratic is there, whether the radius cut it, and the shift it came from."""

    step: Vector
    decrease: float
    cut: bool
    shift: float


def shifted_step(
    g: Vector,
    product: Callable[[Vector], Vector],
    factorise: Callable[[float], Solve | None],
    size: float,
    radius: float,
    first: float = 0.0,
) -> BallStep:
    """A step s with |s| near or below `radius` where gᵀs + ½sᵀHs is about lowest; g and s of shape (n,).

    `product(v)` is Hv; `factorise(shift)` solves with H + shift·I, or is None where that is not positive definite;
    `size` bounds the eigenvalues of H in size. The shift is the one that makes s as long as the radius, found by
    Newton's method on the secular equation inside limits (Moré & Sorensen, "Computing a trust region step", SIAM J.
    Sci. Stat. Comput. 4, 1983); it starts from `first`, as the last iterate's is rarely far off. In their hard case a
    piece of the lowest eigenvector is added.

    >>> H = np.diag([1.0, -1.0])
    >>> def factorise(shift):
    ...     return (lambda b: b / (np.diag(H) + shift)) if shift > 1.0 else None
    >>> found = shifted_step(np.array([2.0, 0.1]), H.dot, factorise, 1.0, 3.0)
    >>> round(float(np.linalg.norm(found.step)), 3), found.cut
    (3.0, True)
    """
    tiny = REGULAR * size
    low, high = 0.0, inf  # limits of the shift sought
    indefinite = False  # whether the matrix with the shift `low` is not positive definite
    short: tuple[Vector, float] | None = None  # the last step that was too short, and its shift
    long: tuple[Vector, float] | None = None
    shift = first
    for _ in range(FACTORISATIONS):
        solve = factorise(shift)
        s = None if solve is None else -solve(g)
        square = inf if s is None else inner(s, s)
        if solve is None or s is None or not isfinite(square):
            low, indefinite = max(low, shift), True
            if short is None:
                ceiling = size + (length(g) / radius if radius < inf else 0.0)
                shift = tiny if shift < tiny else max(sqrt(low * ceiling), low + INWARD * ceiling)
                continue
        else:
            reached = sqrt(square)
            if reached == 0.0:
                short = (s, shift)
                break
            if (reached <= (1.0 + ON_THE_SPHERE) * radius and shift <= tiny) or (
                abs(reached - radius) <= ON_THE_SPHERE * radius
            ):
                return _assessed(g, product, s, shift, shift > tiny)
            # Newton on 1/|s| - 1/radius: nearly linear in the shift (Nocedal & Wright 2006, algorithm 4.3).
            bend = inner(s, solve(s))
            if bend == 0.0:  # the step has all but underflowed
                short = (s, shift)
                break
            wanted = shift + square / bend * (reached / radius - 1.0)
            if reached < radius:
                high, short = shift, (s, shift)
                if wanted <= 0.0 and not indefinite:
                    shift = 0.0
                    continue
            else:
                low, indefinite, long = max(low, shift), False, (s * (radius / reached), shift)
            if low < wanted < high:
                shift = wanted
                continue
        if indefinite and high - low <= HARD * high:
            break
        shift = max(sqrt(low * high), low + INWARD * (high - low))
    if short is None and long is not None:
        return _assessed(g, product, *long, True)
    return _filled(g, product, factorise, short, radius, size)


def _assessed(g: Vector, product: Callable[[Vector], Vector], s: Vector, shift: float, cut: bool) -> BallStep:
    return BallStep(s, -inner(g, s) - 0.5 * inner(s, product(s)), cut, shift)


def _filled(
    g: Vector,
    product: Callable[[Vector], Vector],
    factorise: Callable[[float], Solve | None],
    short: tuple[Vector, float] | None,
    radius: float,
    size: float,
) -> BallStep:
    """The hard case: the shortest shifted step is too short; add what it lacks along the lowest eigenvector.

    Where nothing could be factorised, straight down the slope; without a slope, along that eigenvector alone.
    """
    if short is None and length(g) == 0.0:
        short = (np.zeros(g.size), 2.0 * size)
    if short is None:
        s = -min(radius / length(g), 1.0 / size if size > 0.0 else inf) * g
        return _assessed(g, product, s, size, True)
    s, shift = short
    solve = factorise(shift)
    # The step itself may have no part along the eigenvector sought; no symmetry of a problem shares that of cosines.
    z = np.cos(np.arange(1.0, s.size + 1.0))
    z = z / length(z) + s / (length(s) or 1.0)
    for _ in range(INVERSE_ITERATIONS if solve is not None else 0):
        assert solve is not None
        z = solve(z / length(z))
    z = z / length(z)
    if not inner(z, product(z)) < 0.0 or radius == inf:
        return _assessed(g, product, s, shift, shift > 0.0)
    along = inner(s, z)
    rest = sqrt(max(along * along + radius * radius - inner(s, s), 0.0))
    ends = [_assessed(g, product, s + (side * rest - along) * z, shift, True) for side in (1.0, -1.0)]
    return max(ends, key=lambda end: end.decrease)
