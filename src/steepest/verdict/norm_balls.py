"""Multipliers of norms that vanish: each no longer than the slope of the cost in its norm, where many balance.

A norm |u| that is zero holds the point like the equations u = 0, as long as their multipliers v are inside a ball: the
slopes of |u| at zero are all v with |v| <= 1 (Rockafellar, "Convex Analysis", 1970, section 23). In an even stretch of
a picture the equations of neighbours depend on each other, and of the many multipliers that balance the slopes those of
least length need not be inside.
"""

from __future__ import annotations

import numpy as np

from ..bounds import Vector
from ..linear_algebra.saddle_systems import solved_with_pivoting
from ..solvers.smooth_programs import Vanishing

# A pull may be longer than a norm can bear by this part, which is rounding. Where the cost is not known to be convex it
# must be shorter by as much: at the limit itself second derivatives tell nothing.
BORNE = 1e-8

# A norm in which the cost has less slope, in units where its slopes are about one, holds nothing, as |x| in |x|³ at
# zero: second derivatives along what it is taken of decide there, and they are not looked at.
BEARS_NOTHING = 1e-8

# Slopes that the multipliers leave, against the terms that cancel there.
BALANCED = 1e-8

# Rounds in which the walls around the multipliers are drawn in, and how far beyond the longest they stand at first and
# at last: nearer, and a step has no room; farther, and it is not pushed. They come nearer by `NEARER` where a round
# makes the longest shorter by less than the part `SLOW` of that room.
ROUNDS, BEYOND, LEAST_BEYOND = 200, 0.05, 1e-9
NEARER, SLOW = 0.25, 0.1

# What holds the multipliers of other kinks, which have no wall, where nothing else does.
LOOSE = 1e-6


def held_together(
    vanishing: Vanishing, w: Vector, holding: np.ndarray, begun: Vector | None, *, convex: bool
) -> tuple[Vector, Vector] | None:
    """Multipliers (m,) of the rows and (N,) of the bounds that balance the slopes at w, each norm's in its ball.

    `holding`: mask (N,) of the entries held at zero. `begun`: multipliers that may be outside. None where none are
    found.
    """
    objective, rows = vanishing.objective, vanishing.rows
    _, gradient = objective.value_and_gradient(w)
    J, radii = rows.jacobian(w), vanishing.smooth.program.radii[vanishing.norms]
    if not convex and (gradient[radii] <= BEARS_NOTHING).any():
        return None
    made_of_norms = bool(np.asarray(abs(J).sum(axis=0)).ravel()[radii].any())
    low = holding | (w <= objective.bounds.lower)
    high = w >= objective.bounds.upper
    free = np.flatnonzero(~(low | high))
    C = J.T[free] if isinstance(J, np.ndarray) else J.T.tocsr()[free]
    moved = np.asarray(abs(C).sum(axis=1)).ravel() > 0.0
    C, free = C[moved], free[moved]
    most = 1.0 + BORNE if convex else 1.0 - BORNE
    u = np.zeros(rows.m) if begun is None else begun
    left = gradient - J.T @ u
    if begun is None or vanishing.strain(u, left, left) > most:
        # Where equations are made from norms, what these bear changes with the multipliers.
        inside = None if made_of_norms else _drawn_in(vanishing, C, gradient, free, u, most)
        if inside is None:
            return None
        u = inside
        left = gradient - J.T @ u
        if vanishing.strain(u, left, left) > most:
            return None
    whole = np.abs(gradient) + np.asarray(abs(J).T @ np.abs(u))
    sides = np.where(low, np.maximum(left, 0.0), 0.0) + np.where(high, np.minimum(left, 0.0), 0.0)
    sides = np.where(low & high, left, sides)
    off = np.abs(left - sides)
    return (u, sides) if float(off.max(initial=0.0)) <= BALANCED * float(whole.max(initial=0.0)) else None


def _drawn_in(
    vanishing: Vanishing, C: object, gradient: Vector, free: np.ndarray, u: Vector, most: float
) -> Vector | None:
    """Multipliers (m,) with C u the `gradient` in the entries `free` and every pull at `most` as long as can be borne.

    By Newton's method on the logarithms of what is left to walls just beyond the longest, which follow it inwards.
    """
    program = vanishing.smooth.program
    m, first = u.size, u.size - vanishing.parts.size
    of = program.part_of[vanishing.parts]
    norms, member = np.unique(of, return_inverse=True)
    bears = gradient[program.radii[norms]]
    if (bears <= 0.0).any():
        return None
    target, A = gradient[free], C
    loose = np.concatenate([np.full(first, LOOSE), np.zeros(m - first)])
    start = solved_with_pivoting(_diagonal(np.ones(m), A), A, np.concatenate([np.zeros(m), target]))
    if start is None:
        return None
    u, before, beyond = start[:m], np.inf, BEYOND
    for _ in range(ROUNDS):
        v = u[first:] / bears[member]
        lengths = np.sqrt(np.bincount(member, v**2, norms.size))
        longest = float(lengths.max(initial=0.0))
        if longest <= most:
            return u
        if longest > before * (1.0 - SLOW * beyond):
            # In the middle between K walls no place has more than K times the room to all of them.
            if longest * (1.0 - norms.size * beyond) > most or beyond < LEAST_BEYOND:
                return None
            beyond *= NEARER
        before = longest
        wall = ((1.0 + beyond) * longest) ** 2
        room = wall - lengths**2
        # -log(wall - |v|²): slope 2v/room, second derivatives 2I/room + 4vvᵀ/room².
        slope = np.concatenate([loose[:first] * u[:first], 2.0 * v / room[member] / bears[member]])
        H = _bending(v, room, member, bears, loose, first, A)
        step = solved_with_pivoting(H, A, np.concatenate([-slope, target - A @ u]))  # type: ignore[operator]
        if step is None:
            return None
        u = u + _inside_the_wall(v, step[first:m] / bears[member], member, wall) * step[:m]
    return None


def _inside_the_wall(v: Vector, change: Vector, member: np.ndarray, wall: float) -> float:
    """The part of a step, at most one, that takes every length half of the way to the wall at most."""
    a, b, c = (np.bincount(member, product) for product in (change**2, 2.0 * v * change, v**2))
    reach = (0.5 * (np.sqrt(c) + np.sqrt(wall))) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        part = (-b + np.sqrt(np.maximum(b**2 + 4.0 * a * (reach - c), 0.0))) / (2.0 * a)
    return float(min(1.0, np.nanmin(np.where(a > 0.0, part, 1.0), initial=1.0)))


def _diagonal(entries: Vector, like: object) -> object:
    if isinstance(like, np.ndarray):
        return np.diag(entries)
    from scipy.sparse import csc_array, diags_array

    return csc_array(diags_array(entries))


def _bending(
    v: Vector, room: Vector, member: np.ndarray, bears: Vector, loose: Vector, first: int, like: object
) -> object:
    """Second derivatives of the barrier in all multipliers: one block for each norm."""
    from scipy.sparse import csc_array, csr_array, diags_array

    scaled = v / bears[member] / room[member]
    columns = csr_array((scaled, (first + np.arange(v.size), member)), shape=(loose.size, room.size))
    diagonal = loose.copy()
    diagonal[first:] = 2.0 / room[member] / bears[member] ** 2
    H = csc_array(diags_array(diagonal) + 4.0 * (columns @ columns.T))
    return H.toarray() if isinstance(like, np.ndarray) else H
