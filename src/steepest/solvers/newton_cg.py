"""Newton's method by products with the Hessian: no matrix is ever formed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf, sqrt
from typing import ClassVar, NamedTuple

import numpy as np

from ..bounds import Vector
from ..linear_algebra.krylov_curvature import KrylovCurvature
from ..linear_algebra.long_vectors import length
from ..objective import Objective
from .quadratic_models import model_of
from .stopping import EPSILON, StopReason
from .trust_region import Model, Proposal, advance

# How accurate a step is at first, as the part of the slope that it leaves; the rest of the way the slope's own progress
# says, so that the last steps converge faster than linearly (Eisenstat & Walker 1996).
ROUGH = 0.1

# How far along a vector slopes are measured where there are no products, as a part of the length of x: balances
# truncation against rounding.
DIFFERENCE = EPSILON**0.5


class NewtonCGState(NamedTuple):
    """`radius`: how far the model is trusted; `steepest`: the largest slope so far; the rest as for Newton's method."""

    x: Vector
    value: float
    gradient: Vector
    step: Vector | None
    decrease: float
    stop: StopReason | None
    model: Model
    radius: float
    steepest: float
    proposal: Proposal


@dataclass(frozen=True)
class NewtonCG:
    """Truncated Newton in a trust region, by Lanczos' method on products with the Hessian."""

    name: ClassVar[str] = "Newton-CG"
    remedy: ClassVar[str] = ""

    def default_max_steps(self, n: int) -> int:
        """Far more than Newton's method needs, unless it follows a curved valley for ever."""
        return 10_000

    def init(self, objective: Objective, x: Vector) -> NewtonCGState:
        """The start, with the model there."""
        value, gradient = objective.value_and_gradient(x)
        return _modelled(objective, x, value, gradient, None, 0.0, 0.0)

    def step(self, objective: Objective, state: NewtonCGState) -> NewtonCGState:
        """Go where the model is lowest, as far as it is trusted."""
        found = advance(
            objective, state.x, state.value, state.gradient, state.model, state.radius, state.proposal
        )
        if isinstance(found, StopReason):
            return state._replace(stop=found)
        return _modelled(
            objective, found.x, found.value, found.gradient, found.step, state.steepest, found.growth
        )


def _modelled(
    objective: Objective,
    x: Vector,
    value: float,
    gradient: Vector,
    step: Vector | None,
    steepest: float,
    growth: float,
) -> NewtonCGState:
    """The state at `x`, with a model of the cost around it and the step it proposes."""
    slope = length(objective.bounds.projected_gradient(x, gradient) if objective.bounds.any else gradient)
    steepest = max(steepest, slope)
    accuracy = min(ROUGH, sqrt(slope / steepest)) if steepest > 0.0 else ROUGH
    times = partial(hessian_times, objective, x, gradient)
    model = model_of(objective.bounds, x, gradient, KrylovCurvature(times, accuracy), np.ones_like(x))
    radius = model.first_radius if step is None else growth * model.length(step)
    proposal = model.within(radius, 0.0)
    left = inf if proposal.cut else proposal.promised
    return NewtonCGState(x, value, gradient, step, left, None, model, radius, steepest, proposal)


def hessian_times(objective: Objective, x: Vector, gradient: Vector, v: Vector) -> Vector:
    """The Hessian at `x` times `v`, shape (n,): exact where it can be had, else the slope's change along `v`."""
    if objective.has_hessian_product:
        return objective.hessian_product(x, v)
    size = float(np.abs(v).max())
    if size == 0.0:
        return np.zeros_like(v)
    h = DIFFERENCE * max(float(np.abs(x).max()), 1.0) / size
    bounds = objective.bounds
    ahead = bounds.project(x + h * v)
    moved = ahead - x
    along = float(moved.dot(v))
    if along < 0.5 * h * float(v.dot(v)):
        h, ahead = -h, bounds.project(x - h * v)
    return (objective.value_and_gradient(ahead)[1] - gradient) / h
