"""Multipliers of norms that vanish: each no longer than the slope of the cost in its norm, where many balance.

A norm |u| that is zero holds the point like the equations u = 0, as long as their multipliers v are inside a ball: the
slopes of |u| at zero are all v with |v| <= 1 (Rockafellar, "Convex Analysis", 1970, section 23). In an even stretch of
a picture the equations of neighbours depend on each other, and of the many multipliers that balance the slopes those of
least length need not be inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bounds import Vector
from ..solvers.cone_interior_point import ConeInteriorPoint, Cones
from ..solvers.programs import Measured
from ..solvers.smooth_programs import Vanishing

# A pull may be longer than a norm can bear by this part, which is rounding. Where the cost is not known to be convex it
# must be shorter by as much: at the limit itself second derivatives tell nothing.
BORNE = 1e-8

# A norm in which the cost has less slope, in units where its slopes are about one, holds nothing, as |x| in |x|³ at
# zero: second derivatives along what it is taken of decide there, and they are not looked at.
BEARS_NOTHING = 1e-8

# Slopes that the multipliers leave, against the terms that cancel there.
BALANCED = 1e-8


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
        inside = None if made_of_norms else _drawn_in(vanishing, C, gradient, free, most)
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
    vanishing: Vanishing, C: object, gradient: Vector, free: np.ndarray, most: float
) -> Vector | None:
    """Multipliers (m,), C u the `gradient` in the entries `free`, with the longest pull as short as need be."""
    from scipy.sparse import csr_array

    program = vanishing.smooth.program
    m, first = vanishing.rows.m, vanishing.rows.m - vanishing.parts.size
    norms, member = np.unique(program.part_of[vanishing.parts], return_inverse=True)
    bears = gradient[program.radii[norms]]
    if (bears <= 0.0).any():
        return None
    sizes = np.concatenate([np.ones(first), bears[member]])
    longest = _Longest(C, sizes, gradient[free], norms.size)
    places = np.arange(first, m)
    slopes = csr_array((np.ones(places.size), (np.arange(places.size), places)), shape=(places.size, m + 1))
    cones = Cones(np.full(norms.size, m), slopes, np.zeros(places.size), member)
    method = ConeInteriorPoint(longest, cones)
    it = method.begin(np.zeros(m + 1))
    while it.halt is None:
        lengths = cones.lengths(it.point.u)
        balanced = np.abs(it.at.residual).max(initial=0.0) <= BALANCED**2 * max(1.0, np.abs(gradient).max())
        if balanced and lengths.max(initial=0.0) <= most:
            break
        it = method.step(it)
    return sizes * it.w[:m]


class _Longest:
    """Minimise K·t where the multipliers balance the slopes, C (sizes·v) = target, of K pulls no longer than t."""

    sparse = True

    def __init__(self, C: Any, sizes: Vector, target: Vector, count: int) -> None:
        from scipy.sparse import csr_array, diags_array, hstack

        m = sizes.size
        self.none = csr_array((m + 1, m + 1))
        self.lower, self.upper = np.full(m + 1, -np.inf), np.full(m + 1, np.inf)
        self.target = target
        self.J = csr_array(hstack([csr_array(C) @ diags_array(sizes), csr_array((target.size, 1))]))
        self.slope = np.concatenate([np.zeros(m), [float(count)]])

    def measure(self, w: Vector) -> Measured:
        """The cost, and what is left of the balance."""
        return Measured(float(self.slope @ w), self.slope, self.J @ w - self.target)

    def jacobian(self, w: Vector) -> Any:
        """Of the balance."""
        return self.J

    def hessian(self, w: Vector, multipliers: Vector, cost: float = 1.0) -> Any:
        """Nothing bends but the cones."""
        return self.none
