"""The last digits of a walk on the smooth program of kinks: Newton's method on those that hold, and norms that vanish.

The interior-point method ends a little beside the kinks, each with both sides a little above zero. Which of them are at
zero is seen by their multipliers; a norm is held there together with all that it is taken of.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from ..bounds import Vector
from ..constraints.rows import Rows
from .constrained_driver import curvature_of, end_of, held_at
from .constrained_polish import Held, Polished, errors_of, onto_what_holds, polished
from .interior_point import ARRIVED, InteriorPoint, Iterate
from .programs import Slacked
from .smooth_programs import SmoothProgram, Vanishing

# A side is at zero where its multiplier is so many times its distance: where a kink matters little, or is passed near
# by, both are small. What is left out at first comes in where Newton's method meets it; what is taken in stays.
CLEARLY = (1e6, 1e3, 1e2, 1e1, 1.0)

# What norms are taken of is a difference of larger numbers, and rounding of it counts the more the smaller the norm:
# nearer to the end than this it would drown the slopes.
ARRIVED_AT_NORMS = 1e-7

# Newton's method has ended where the conditions are as near as this, in units in which slopes are about one: where it
# does not know of a norm that vanishes it creeps towards that, and each step is a little better.
SETTLED = 1e-9

# A norm that vanishes may be pulled at as hard as it can bear, and by rounding more.
BORNE = 1e-9


def arrived_at(smooth: SmoothProgram) -> float:
    """The error of the first-order conditions at which a walk on the program has arrived."""
    return ARRIVED_AT_NORMS if smooth.program.radii.size else ARRIVED


def polished_on_kinks(
    smooth: SmoothProgram,
    rows: Rows,
    program: Slacked,
    method: InteriorPoint,
    it: Iterate,
    rank: Callable[[Vector], Any],
) -> Polished:
    """The end of a walk of `program` put right to the last digits, in w (N,), with multipliers of the `rows`.

    `rows`: the equations of the kinks, and any constraints after them. Where a kink does not matter, the method leaves
    p and q larger than they must be; they are made as small as can be. Multipliers of equations that depend on each
    other may pull harder at norms than these can bear, or the wrong way at sides, where others would not: then the
    place (N,) of least `rank` is taken.
    """
    split, units = smooth.program, smooth.units
    found = end_of(program, it)
    tight = np.zeros(found.x.size, dtype=bool)
    with suppress(ArithmeticError):
        y = split.lift((units * found.x)[: split.n])
        found, tight = found._replace(x=y / units), y == split.lower
    best, least = found, rank(found.x)
    for clearly in CLEARLY:
        held = held_at(program, method, it, clearly)
        held = held._replace(bounds=held.bounds | tight)
        better = _on_what_holds(smooth, rows, program, it, found, held)
        if better is None:
            continue
        place, is_shown = better
        if is_shown:
            return place
        its_rank = rank(place.x)
        if its_rank < least:
            best, least = place, its_rank
    vanishing, held = _all_held(smooth, rows, found.x, held)
    there = onto_what_holds(vanishing.objective, vanishing.rows, found.x, held)
    return found._replace(x=there) if there is not None and rank(there) < least else best


def _all_held(smooth: SmoothProgram, rows: Rows, w: Vector, held: Held) -> tuple[Vanishing, Held]:
    """The program at w with the norms at zero that `held` has there, and what is held of it with all of their parts."""
    vanishing = smooth.vanishing(held.bounds[smooth.program.radii], w, rows)
    none, bounds = np.zeros(vanishing.parts.size), held.bounds.copy()
    bounds[vanishing.places] = True
    return vanishing, Held(
        np.concatenate([held.rows, none == 0.0]), np.concatenate([held.target, none]), bounds
    )


def _on_what_holds(
    smooth: SmoothProgram, rows: Rows, program: Slacked, it: Iterate, found: Polished, held: Held
) -> tuple[Polished, bool] | None:
    """The point polished where `held` is all that holds it, and whether it is shown to be the end by its multipliers.

    It is where the slopes balance and the norms held at zero bear the pull. None where polishing makes nothing better.

    A norm that Newton's method takes to zero is held there, with all of its parts, from the beginning.
    """
    radii = smooth.program.radii
    while True:
        vanishing, all_held = _all_held(smooth, rows, found.x, held)
        objective = vanishing.objective
        begun = found._replace(rows=np.concatenate([found.rows, np.zeros(vanishing.parts.size)]))
        onto = Slacked(objective, vanishing.rows, found.x)
        onto.sparse = program.sparse
        better = polished(objective, vanishing.rows, begun, all_held, curvature_of(onto, it))
        if better is begun:
            return None
        closed = (better.x[radii] == 0.0) & ~held.bounds[radii]
        if not closed.any():
            break
        held.bounds[radii[closed]] = True
    _, gradient = objective.value_and_gradient(better.x)
    slope = gradient - vanishing.rows.jacobian(better.x).T @ better.rows
    is_shown = vanishing.strain(better.rows, better.bounds, slope) <= 1.0 + BORNE and bool(
        errors_of(objective, vanishing.rows, better).max() <= SETTLED
    )
    return better._replace(rows=better.rows[: rows.m]), is_shown
