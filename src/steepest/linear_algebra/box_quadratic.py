"""A low point of a quadratic inside a box, found face by face: gradient projection and Newton on what is free."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .long_vectors import is_zero

Vector = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

# A step along a bent path must gain this part of what the slope promised. Must be below 1/2, or the exact lowest
# point of a parabola would be refused.
ENOUGH = 0.01

# The search for the face ends when the slope that is left, bounds applied, is this part of that at the start. The
# outer iteration looks at the true cost next, and more digits of its model buy nothing.
SLOPE_LEFT = 1e-3

# Rounds of both; each leaves a lower point and another face. A model whose face is not found by then is followed
# as far as it was.
ROUNDS = 20

# Steps along the bent gradient before a factorisation of what is free, as long as each changes the face: one takes two
# products with the matrix, a twentieth of a factorisation of 5,000 parameters. On membranes over obstacles and twisted
# bars, where the touching zone spreads from its rim, this takes a third of the factorisations.
GRADIENT_STEPS = 10

# Trials along one path; each is one product with the matrix.
HALVINGS, GROWTHS = 12, 6
GROWTH, SHRINKING = 10.0, 0.25


class BoxStep(NamedTuple):
    """`p` (n,) inside the box and how much lower the quadratic is there, `decrease` >= 0."""

    p: Vector
    decrease: float


def lowest_in_box(
    g: Vector,
    product: Callable[[Vector], Vector],
    lower: Vector,
    upper: Vector,
    newton: Callable[[Mask, Vector], Vector],
    slope_left: float = SLOPE_LEFT,
    rounds: int = ROUNDS,
    gradient_steps: int = 1,
) -> BoxStep:
    """A point p of the box lower <= p <= upper (which holds 0) where gᵀp + ½pᵀHp is low; all of shape (n,).

    `product(v)` is Hv. `newton(free, r)` is a step over the parameters in the mask `free`, zero elsewhere, that leads
    down from the slope r: to the lowest point of that face, or along negative curvature. Each round first follows the
    gradient bent onto the box, which may add and drop many bounds at once, up to `gradient_steps` times while the face
    changes, and then steps on the face found, bent likewise (Moré & Toraldo, SIAM J. Optim. 1, 1991; Lin & Moré,
    "Newton's method for large bound-constrained optimization problems", SIAM J. Optim. 9, 1999). Every round goes
    lower, so that H may be indefinite.

    >>> H = np.array([[2.0, 1.0], [1.0, 2.0]])
    >>> def newton(free, r):
    ...     step = np.zeros(2)
    ...     step[free] = -np.linalg.solve(H[np.ix_(free, free)], r[free])
    ...     return step
    >>> lowest_in_box(np.array([-4.0, 1.0]), H.dot, -np.ones(2), np.ones(2), newton)
    BoxStep(p=array([ 1., -1.]), decrease=4.0)
    """
    p, r, q = np.zeros_like(g), g, 0.0
    first = None
    rate = 1.0
    for _ in range(rounds):
        before = q
        free: Mask | None = None
        for _ in range(gradient_steps):
            down = _free_part(p, r, lower, upper)
            size = float(down.dot(down))
            if first is None:
                first = size
            if size <= slope_left * slope_left * first or size == 0.0:
                return BoxStep(p, -q)
            curvature = float(down.dot(product(down)))
            rate = size / curvature if curvature > 0.0 else rate
            p, r, q, rate = _along_gradient(p, r, q, down, rate, product, lower, upper)
            face, free = free, (p > lower) & (p < upper)
            if face is not None and np.array_equal(face, free):
                break
        if free is not None and not is_zero(free):
            d = newton(free, r)
            p, r, q = _bent(p, r, q, d, product, lower, upper)
        if not q < before:
            break
    return BoxStep(p, -q)


def _free_part(p: Vector, r: Vector, lower: Vector, upper: Vector) -> Vector:
    """The slope with the parts removed that push against the box, shape (n,)."""
    return np.where(((p <= lower) & (r > 0.0)) | ((p >= upper) & (r < 0.0)), 0.0, r)


def _along_gradient(
    p: Vector,
    r: Vector,
    q: float,
    down: Vector,
    rate: float,
    product: Callable[[Vector], Vector],
    lower: Vector,
    upper: Vector,
) -> tuple[Vector, Vector, float, float]:
    """A generalised Cauchy point: p - rate·slope, bent onto the box, low enough and not much too short.

    Returns the point, the slope and the value there, and the rate.
    """
    found = None
    for trial in range(HALVINGS + GROWTHS):
        aimed = np.minimum(np.maximum(p - rate * down, lower), upper)
        s = aimed - p
        Hs = product(s)
        promised, bent = float(r.dot(s)), float(s.dot(Hs))
        gained = promised + 0.5 * bent
        if gained <= ENOUGH * promised:
            if found is not None and gained >= found[2]:
                break
            found = (aimed, Hs, gained, rate)
            # Grow only where nothing curves upwards: otherwise the rate was that of the exact minimum.
            if trial >= GROWTHS or bent > 0.0 or promised == 0.0:
                break
            rate *= GROWTH
        elif found is not None:
            break
        else:
            rate *= SHRINKING
    if found is None:
        return p, r, q, rate
    aimed, Hs, gained, rate = found
    return aimed, r + Hs, q + gained, rate


def _bent(
    p: Vector,
    r: Vector,
    q: float,
    d: Vector,
    product: Callable[[Vector], Vector],
    lower: Vector,
    upper: Vector,
) -> tuple[Vector, Vector, float]:
    """The point along p + t·d, bent onto the box, t = 1, ½, …, that is low enough.

    Where none is, bending costs more than d promised, as where steep walls run aslant to the box: then the lowest
    point of the straight way up to the first bound, which is no higher for sure.
    """
    t = 1.0
    for _ in range(HALVINGS):
        aimed = np.minimum(np.maximum(p + t * d, lower), upper)
        s = aimed - p
        promised = float(r.dot(s))
        if promised < 0.0:
            Hs = product(s)
            gained = promised + 0.5 * float(s.dot(Hs))
            if gained <= ENOUGH * promised:
                return aimed, r + Hs, q + gained
        t *= 0.5
    slope, Hd = float(r.dot(d)), product(d)
    if not slope < 0.0:
        return p, r, q
    bend, room, ends = float(d.dot(Hd)), np.full(d.shape, np.inf), np.where(d > 0.0, upper, lower)
    np.divide(ends - p, d, out=room, where=d != 0.0)
    t = float(room.min())
    if bend > 0.0:
        t = min(t, -slope / bend)
    if not 0.0 < t < np.inf:
        return p, r, q
    # Exactly on the bound: short of it by rounding, the next round would have no room.
    aimed = np.where(room <= t, ends, np.minimum(np.maximum(p + t * d, lower), upper))
    return aimed, r + t * Hd, q + t * slope + 0.5 * t * t * bend
