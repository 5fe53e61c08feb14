"""Newton's method in a trust region: exact curvature, negative curvature followed, any units."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import ClassVar, NamedTuple

from ..bounds import Vector
from ..linear_algebra.long_vectors import inner
from ..linear_algebra.sparse_factor import SymmetricPattern
from ..objective import Objective
from .quadratic_models import LocalModel, dense_model, sparse_model
from .shrinking_steps import is_steady, shrinking, steps_at_once
from .stopping import StopReason
from .trust_region import Landing, Model, Proposal, advance
from .valley import LONG_CRAWL, Crawl, along_the_valley, crawled, is_astray

# With fewer parameters the whole matrix is factorised before a sparse one is unpacked, and its zeros need not be known.
WORTH_ZEROS = 50

# Where the fall drowns in the cost's rounding, many steps taken together have to lessen the slope along them to this.
LEVELER = 0.1


class NewtonState(NamedTuple):
    """The state of Newton's method: what the driver reads, and the model at `x`.

    `radius`: how far the model is trusted, in its own units. `scale`: (n,), the units. `proposal`: the step tried
    next. `pattern`: where a sparse Hessian has its entries; None for a dense one. `ratio`: of that step to the one
    before it, where both are Newton's own and go the same way, else 0; `together`: as how many such steps the next is
    taken, 1 where it goes alone. `first`: (n,), where the walk began. `crawl`: how a walk with a dense model fares.
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
    together: float
    first: Vector
    crawl: Crawl | None = None


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
        """Go where the model is lowest, as far as it is trusted; or where many such steps would lead."""
        ahead = _together(objective, state) if state.together > 1.0 else None
        if ahead is not None:
            return self._modelled(objective, ahead.x, ahead.value, ahead.gradient, ahead.step, state, 1.0)
        crawl = state.crawl
        if crawl is not None and crawl.valley is not None:
            along, crawl = along_the_valley(objective, state.x, state.value, state.model, crawl)
            if along is not None:
                return self._onward(objective, state, along, crawl, crawl.steps)
        found = advance(
            objective, state.x, state.value, state.gradient, state.model, state.radius, state.proposal
        )
        if isinstance(found, StopReason):
            return state._replace(stop=found)
        steps = 0 if crawl is None else crawl.steps
        astray = is_astray(state.value - found.value, state.proposal.promised, state.value)
        steps = min(steps + 1, LONG_CRAWL) if astray else steps - 1
        return self._onward(objective, state, found, crawl, steps)

    def _onward(
        self, objective: Objective, state: NewtonState, found: Landing, crawl: Crawl | None, steps: int
    ) -> NewtonState:
        """The state where a step ended, `steps` of the last ones having been astray."""
        x, value, gradient, step, growth = found
        onward = self._modelled(objective, x, value, gradient, step, state, growth)
        if (crawl is None and steps <= 0) or state.pattern is not None:
            return onward
        slopes, won = (state.gradient, gradient), state.value - value
        fares = crawled(crawl, steps, won, onward.scale, state.model, onward.model, slopes, step)
        return onward if fares is None else onward._replace(crawl=fares)

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
        first, scale, pattern, shift = (
            (x, None, None, 0.0)
            if last is None
            else (last.first, last.scale, last.pattern, last.proposal.shift)
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
        ratio, together = 0.0, 1.0
        if step is not None and last is not None and not (proposal.cut or last.proposal.cut):
            ahead = scale * proposal.step
            ratio = shrinking(scale * step, ahead)
            if is_steady(ratio, last.ratio):
                way = scale * (x - first)
                together = steps_at_once(ratio, last.ratio, sqrt(inner(ahead, ahead)), sqrt(inner(way, way)))
        return NewtonState(
            x,
            value,
            gradient,
            step,
            left,
            None,
            model,
            radius,
            scale,
            proposal,
            pattern,
            ratio,
            together,
            first,
        )

    def _uses_zeros(self, objective: Objective) -> bool:
        if self.sparse is False:
            return False
        few = objective.n < WORTH_ZEROS and objective.has_hessian and not self.sparse
        return not few and objective.has_sparse_hessian


def _together(objective: Objective, state: NewtonState) -> Landing | None:
    """The point where the steps to come would lead, if they lead as low or as near to level as that many should."""
    landed = state.model.place(state.together * state.proposal.step)
    value, gradient = objective.value_and_gradient(landed)
    step, fell = landed - state.x, state.value - value
    is_leveler = fell >= 0.0 and abs(inner(gradient, step)) <= LEVELER * abs(inner(state.gradient, step))
    if not ((is_leveler or fell >= state.proposal.promised) and isfinite(inner(gradient, gradient))):
        return None
    return Landing(landed, value, gradient, step, 1.0)
