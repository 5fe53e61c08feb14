"""From one minimum of a quadratic in a box to a lower one: two parameters at a time, moved as far as the box goes.

Where a quadratic bends down, its minima lie at corners of the box, and there are many. A walk ends at the first that no
slope leads out of. Whether moving one parameter, or two that meet in the matrix, leads to a lower place can be told
exactly, for all of them at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..numerics import quietly

Vector = np.ndarray[Any, np.dtype[np.float64]]

# Pairs looked at in all, over all rounds: some seconds. Rounds go lower each, and the first gain most.
MOST_LOOKED_AT = 20_000_000

# A move that gains less than this part of what the moves before it gained is rounding, of which there is no end.
NEXT_TO_NOTHING = 1e-12


class _Moves(NamedTuple):
    """Moves by `s` of parameters `i` and by `t` of parameters `j`, and how much lower each leads; of shape (m,)."""

    i: np.ndarray
    j: np.ndarray
    s: Vector
    t: Vector
    gains: Vector


def lower_by_pairs(H: Any, g: Vector, x: Vector, lower: Vector, upper: Vector, least: float) -> Vector | None:
    """A place (n,) in the box that is lower than `x` by moves of one and two parameters; None where there is none.

    `H` (n, n), sparse or dense, and the slope `g` (n,) at `x` (n,) are those of the quadratic. A move is made if it
    gains more than `least`, and than rounding of what was gained before. Each round makes the best moves that do not
    disturb each other, until none is left: the neighbourhoods of one and two flips of unconstrained binary quadratics
    (Kochenberger et al., "The unconstrained binary quadratic programming problem: a survey", J. Comb. Optim. 28, 2014),
    with places between the bounds too.

    >>> H = np.array([[0.0, -3.0], [-3.0, 0.0]])  # x + y - 3xy between 0 and 1: each move alone leads up from zero
    >>> lower_by_pairs(H, np.ones(2), np.zeros(2), np.zeros(2), np.ones(2), 1e-9)
    array([1., 1.])
    """
    from scipy.sparse import csr_array

    A = csr_array(H)
    diagonal = A.diagonal()
    rows = np.repeat(np.arange(x.size), np.diff(A.indptr))
    above = (rows < A.indices) & (A.data != 0.0)
    i, j, across = rows[above], A.indices[above], A.data[above]
    start, left, gained = x, MOST_LOOKED_AT, 0.0
    while left > 0:
        least = max(least, NEXT_TO_NOTHING * gained)
        low, high = lower - x, upper - x
        moves = _alone(g, diagonal, low, high)
        if not (moves.gains > least).any():
            left -= i.size
            moves = _together(g, diagonal, i, j, across, low, high)
        step = _undisturbed(A, moves, least)
        if step is None:
            break
        # Exactly on the bounds it reaches, though x + (upper - x) may round to a neighbouring number.
        x = np.where(step == low, lower, np.where(step == high, upper, x + step))
        turned = A @ step
        gained -= float(step @ (g + 0.5 * turned))
        g = g + turned
        left -= A.nnz
    return None if x is start else x


def _alone(g: Vector, diagonal: Vector, low: Vector, high: Vector) -> _Moves:
    """The best move of each parameter alone."""
    t, change = _lowest(g, diagonal, low, high)
    each = np.arange(g.size)
    return _Moves(each, each, np.zeros(g.size), t, -change)


def _together(
    g: Vector, diagonal: Vector, i: np.ndarray, j: np.ndarray, across: Vector, low: Vector, high: Vector
) -> _Moves:
    """The best move of each pair i, j with the entry `across`, all of shape (m,), that takes one of both to a bound."""
    best = _Moves(i, j, np.zeros(i.size), np.zeros(i.size), np.zeros(i.size))
    for end in (low, high):
        for first, second in ((i, j), (j, i)):
            s = np.where(np.isfinite(end[first]), end[first], 0.0)
            t, change = _lowest(g[second] + across * s, diagonal[second], low[second], high[second])
            gains = -(change + s * (g[first] + 0.5 * diagonal[first] * s))
            better = gains > best.gains
            moved_i, moved_j = (s, t) if first is i else (t, s)
            best = best._replace(
                s=np.where(better, moved_i, best.s),
                t=np.where(better, moved_j, best.t),
                gains=np.where(better, gains, best.gains),
            )
    return best


def _lowest(g: Vector, curvature: Vector, low: Vector, high: Vector) -> tuple[Vector, Vector]:
    """Where g·t + ½·curvature·t² is lowest between low <= 0 and high >= 0, and how low; all (m,), and all finite."""
    with quietly():
        t = np.where(curvature > 0.0, np.minimum(np.maximum(-g / curvature, low), high), 0.0)
    change = t * (g + 0.5 * curvature * t)
    for end in (low, high):
        s = np.where(np.isfinite(end), end, 0.0)
        there = s * (g + 0.5 * curvature * s)
        t, change = np.where(there < change, s, t), np.minimum(there, change)
    return t, change


def _undisturbed(A: Any, moves: _Moves, least: float) -> Vector | None:
    """One step (n,) of the best moves of which none changes the slope another one was chosen by; None without any."""
    good = np.flatnonzero(moves.gains > least)
    if good.size == 0:
        return None
    step = np.zeros(A.shape[0])
    disturbed = np.zeros(A.shape[0], bool)
    for k in good[np.argsort(-moves.gains[good], kind="stable")]:
        i, j = moves.i[k], moves.j[k]
        if disturbed[i] or disturbed[j]:
            continue
        step[i] += moves.s[k]
        step[j] += moves.t[k]
        for moved in (i, j):
            disturbed[A.indices[A.indptr[moved] : A.indptr[moved + 1]]] = True
            disturbed[moved] = True
    return step
