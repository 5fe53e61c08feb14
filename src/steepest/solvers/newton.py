"""Newton's method in a trust region: exact curvature, negative curvature followed, any units."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import numpy as np

from ..bounds import Vector
from ..objective import Objective
from .quadratic_models import BoxModel, FreeModel, second_derivatives, units
from .stopping import StopReason
from .trust_region import Model, Proposal, advance


class NewtonState(NamedTuple):
    """The state of Newton's method: what the driver reads, and the model at `x`.

    `radius`: how far the model is trusted, in its own units. `scale`: (n,), the units. `proposal`: the step next tried.
    """

    x: Vector
    value: float
    gradient: Vector
    step: Vector | None
    decrease: float
    stop: StopReason | None
    model: Model
    radius: float
    scale: Vector
    proposal: Proposal


@dataclass(frozen=True)
class Newton:
    """Newton's method with the whole matrix of second derivatives, in a trust region (Nocedal & Wright 2006, ch. 4)."""

    @property
    def name(self) -> str:
        """What results call it."""
        return "Newton"

    @property
    def remedy(self) -> str:
        """Empty: no step goes uphill."""
        return ""

    def default_max_steps(self, n: int) -> int:
        """Far more than Newton's method needs, unless it follows a curved valley for ever."""
        return 10_000

    def init(self, objective: Objective, x: Vector) -> NewtonState:
        """The start, with the model there."""
        value, gradient = objective.value_and_gradient(x)
        return _modelled(objective, x, value, gradient, None, None, None)

    def step(self, objective: Objective, state: NewtonState) -> NewtonState:
        """Go where the model is lowest, as far as it is trusted."""
        found = advance(
            objective, state.x, state.value, state.gradient, state.model, state.radius, state.proposal
        )
        if isinstance(found, StopReason):
            return state._replace(stop=found)
        return _modelled(
            objective, found.x, found.value, found.gradient, found.step, state.scale, found.growth
        )


def _modelled(
    objective: Objective,
    x: Vector,
    value: float,
    gradient: Vector,
    step: Vector | None,
    scale: Vector | None,
    growth: float | None,
) -> NewtonState:
    """The state at `x`, with a model of the cost around it."""
    H = second_derivatives(objective, x, gradient)
    scale = units(H, gradient, x, scale)
    if not np.isfinite(H).all():
        H = np.diag(scale * scale)
    model: Model = (
        BoxModel(objective.bounds, x, gradient, H, scale)
        if objective.bounds.any
        else FreeModel(x, gradient, H, scale)
    )
    radius = model.first_radius if growth is None or step is None else growth * model.length(step)
    proposal = model.within(radius)
    left = inf if proposal.cut else proposal.promised
    return NewtonState(x, value, gradient, step, left, None, model, radius, scale, proposal)
