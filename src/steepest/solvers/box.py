"""Which way to go inside a box: a Newton step on the free parameters, bent to stay within the bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..bounds import Bounds, Mask, Vector

# A bent Newton step must keep this part of the slope that it had before bending. Below it the bounds have
# turned it into something else, and the bent gradient, which always leads down, is the better direction.
KEPT_SLOPE = 1e-3

# Rounds of putting on their bounds the parameters that a Newton step pushes through them. What still leaves
# the box after them is cut off.
ROUNDS = 4


class Route(NamedTuple):
    """A direction, shape (n,), with its slope < 0, and the longest step length along it inside the box.

    `room`: step length to each parameter's bound, shape (n,). `decrease`: what the model expects to gain.
    `bent`: whether the bounds changed the model's own step.
    """

    direction: Vector
    slope: float
    longest: float
    room: Vector
    decrease: float
    bent: bool


def route(
    bounds: Bounds,
    x: Vector,
    gradient: Vector,
    newton: Callable[[Mask, Vector | None], Vector],
    scale: float,
) -> Route | None:
    """A direction of descent along which a step of length 1 stays in the box; None where nothing is free.

    `newton(free, held)` gives the model's step, shape (n,), that is best over the parameters in the mask
    `free` when the others move by `held`, shape (n,), zero on `free`; None holds them still. A parameter
    that would leave the box is moved just to its bound, and the step taken anew for the rest: cutting it off
    alone would leave the others where they make sense only together with it. `scale` turns the gradient
    into a step where the bounds leave nothing of Newton's (projected gradient, Bertsekas 1976).
    """
    free = bounds.free(x, gradient)
    if not free.any():
        return None
    p = newton(free, None)
    promised = float(gradient.dot(p))
    bent, held = False, None
    for _ in range(ROUNDS):
        aimed = x + p
        out = free & ((aimed < bounds.lower) | (aimed > bounds.upper))
        if not out.any():
            break
        bent = True
        free = free & ~out
        held = np.where(out, bounds.project(aimed) - x, 0.0 if held is None else held)
        p = newton(free, held) if free.any() else held
    direction = bounds.project(x + p) - x if bent else p
    slope = float(gradient.dot(direction)) if bent else promised
    if not slope <= KEPT_SLOPE * promised < 0.0:
        bent = True
        direction = bounds.project(x - scale * gradient) - x
        slope = float(gradient.dot(direction))
        if not slope < 0.0:
            return None
    room = bounds.room(x, direction)
    return Route(direction, slope, max(1.0, float(room.min())), room, -0.5 * slope, bent)
