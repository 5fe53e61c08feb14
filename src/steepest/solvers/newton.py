"""Newton's method in a trust region: exact curvature, negative curvature followed, any units."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import ClassVar, NamedTuple

from ..bounds import Vector
from ..linear_algebra.long_vectors import inner
from ..linear_algebra.sparse_factor import SymmetricPattern
from ..objective import Objective
from .quadratic_models import LocalModel, dense_model, sparse_model
from .shrinking_steps import is_steady, shrinking
from .stopping import StopReason
from .trust_region import Landing, Model, Proposal, advance

# With fewer parameters the whole matrix is factorised before a sparse one is unpacked, and its zeros need not be known.
WORTH_ZEROS = 50


class NewtonState(NamedTuple):
    """The state of Newton's method: what the driver reads, and the model at `x`.

    `radius`: how far the model is trusted, in its own units. `scale`: (n,), the units. `proposal`: the step tried
    next. `pattern`: where a sparse Hessian has its entries; None for a dense one. `ratio`: of that step to the one
    before it, where both are Newton's own and go the same way, else 0; `steady`: whether it has been the same before.
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
    pattern: SymmetricPattern | None
    ratio: float
    steady: bool


@dataclass(frozen=True)
class Newton:
    """Newton's method with exact second derivatives in a trust region (Nocedal & Wright 2006, chapter 4).

    `sparse`: use the Hessian's zeros (LDLᵀ with an order that keeps them); None does so where the objective knows them.
    """

    remedy: ClassVar[str] = ""
    sparse: bool | None = None

    @property
    def name(self) -> str:
        """What results call it."""
        return "Newton" if not self.sparse else "sparse Newton"

    def default_max_steps(self, n: int) -> int:
        """Far more than Newton's method needs, unless it follows a curved valley for ever."""
        return 10_000

    def init(self, objective: Objective, x: Vector) -> NewtonState:
        """The start, with the model there."""
        value, gradient = objective.value_and_gradient(x)
        return self._modelled(objective, x, value, gradient, None, None, 0.0)

    def step(self, objective: Objective, state: NewtonState) -> NewtonState:
        """Go where the model is lowest, as far as it is trusted; or where all such steps together would lead."""
        ahead = _all_at_once(objective, state) if state.steady else None
        if ahead is not None:
            return self._modelled(objective, ahead.x, ahead.value, ahead.gradient, ahead.step, state, 1.0)
        found = advance(
            objective, state.x, state.value, state.gradient, state.model, state.radius, state.proposal
        )
        if isinstance(found, StopReason):
            return state._replace(stop=found)
        return self._modelled(
            objective, found.x, found.value, found.gradient, found.step, state, found.growth
        )

    def _modelled(
        self,
        objective: Objective,
        x: Vector,
        value: float,
        gradient: Vector,
        step: Vector | None,
        last: NewtonState | None,
        growth: float,
    ) -> NewtonState:
        """The state at `x`, with a model of the cost around it and the step it proposes."""
        scale, pattern, shift = (
            (None, None, 0.0) if last is None else (last.scale, last.pattern, last.proposal.shift)
        )
        if self._uses_zeros(objective):
            before = None if last is None else last.model
            model, scale, pattern = sparse_model(objective, x, gradient, scale, pattern, before)
        else:
            model, scale = dense_model(objective, x, gradient, scale)
        if step is None or last is None:
            radius = model.first_radius
        else:
            # Among many parameters the units of some jump at every step, and the longest entry would follow the jumps.
            units = model if pattern is None else last.model
            radius = growth * units.length(step)
        if isinstance(model, LocalModel):
            shift /= max(growth, 1.0)  # a longer step takes a smaller shift
        proposal = model.within(radius, shift)
        left = inf if proposal.cut else proposal.promised
        ratio, steady = 0.0, False
        if step is not None and last is not None and not (proposal.cut or last.proposal.cut):
            ratio = shrinking(scale * step, scale * proposal.step)
            steady = is_steady(ratio, last.ratio)
        return NewtonState(
            x, value, gradient, step, left, None, model, radius, scale, proposal, pattern, ratio, steady
        )

    def _uses_zeros(self, objective: Objective) -> bool:
        if self.sparse is False:
            return False
        few = objective.n < WORTH_ZEROS and objective.has_hessian and not self.sparse
        return not few and objective.has_sparse_hessian


def _all_at_once(objective: Objective, state: NewtonState) -> Landing | None:
    """The point where all steps still to come would lead, if it is lower by more than the next step promises."""
    landed = state.model.place(state.proposal.step / (1.0 - state.ratio))
    value, gradient = objective.value_and_gradient(landed)
    if not (state.value - value >= state.proposal.promised and isfinite(inner(gradient, gradient))):
        return None
    return Landing(landed, value, gradient, landed - state.x, 1.0)
