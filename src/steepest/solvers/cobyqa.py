"""COBYQA: quadratic models through values alone, for costs whose slopes are lost in noise; SciPy's, rung by rung.

Ragonneau & Zhang, "COBYQA: a derivative-free optimizer" (2025), as `scipy.optimize.minimize(method="COBYQA")`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import ClassVar, NamedTuple

import numpy as np

from ..bounds import Vector
from ..errors import InputError
from ..objective import Objective
from .stopping import StopReason

# One step of ours is one decade of the trust radius of theirs. The models are built anew for each, which keeps out
# values that noise has made too good, at the price of 2n + 1 calls.
DECADE = 0.1
# Radii below this part of the parameters' sizes ask for differences that double precision hardly holds.
LEAST_RADIUS = 1e-8
# Calls within a decade, for each parameter; a model of good use converges in far fewer.
CALLS = 100


class CobyqaState(NamedTuple):
    """`radius`: the trust radius to go on with, in units of `size` (n,)."""

    x: Vector
    value: float
    gradient: Vector
    step: Vector | None
    decrease: float
    stop: StopReason | None
    radius: float
    size: Vector


@dataclass(frozen=True)
class Cobyqa:
    """Each step takes the trust radius down by ten, beginning with `radius` in units of the parameters' sizes."""

    name: ClassVar[str] = "COBYQA"
    remedy: ClassVar[str] = ""
    radius: float = 1.0

    def __post_init__(self) -> None:
        if not self.radius > LEAST_RADIUS:
            raise InputError(
                f"radius={self.radius!r}; give the first trust radius in units of the parameters' sizes"
            )

    def default_max_steps(self, n: int) -> int:
        """More than there are decades in double precision."""
        return 100

    def init(self, objective: Objective, x: Vector) -> CobyqaState:
        """The start, and the sizes of its parameters."""
        value, gradient = objective.value_and_gradient(x)
        size = np.where(x != 0.0, np.abs(x), 1.0)
        return CobyqaState(x, value, gradient, None, nan, None, self.radius, size)

    def step(self, objective: Objective, state: CobyqaState) -> CobyqaState:
        """The lowest point found while the radius shrinks to a tenth; smaller ones are tried where that is none."""
        from scipy.optimize import Bounds, minimize

        bounds, size, radius = objective.bounds, state.size, state.radius
        box = Bounds(bounds.lower / size, bounds.upper / size)
        while radius > LEAST_RADIUS:

            def cost(u: Vector) -> float:
                return objective.value(bounds.project(u * size))

            options = {
                "initial_tr_radius": radius,
                "final_tr_radius": DECADE * radius,
                "maxfev": CALLS * (state.x.size + 1),
            }
            found = minimize(cost, state.x / size, method="COBYQA", bounds=box, options=options)
            radius *= DECADE
            x = bounds.project(np.asarray(found.x) * size)
            if isfinite(found.fun) and found.fun < state.value:
                value, gradient = objective.value_and_gradient(x)
                return CobyqaState(x, value, gradient, x - state.x, nan, None, radius, size)
        return state._replace(stop=StopReason.NO_PROGRESS)
