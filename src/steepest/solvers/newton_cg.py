"""Newton's method by products with the Hessian.

Where the Hessian is sparse it is evaluated once for each iterate, its products are those of a sparse matrix, and its
diagonal gives each parameter its unit, so that lengths, and the rounds that conjugate gradients take, do not depend on
units (Jacobi's preconditioner; Nocedal & Wright 2006, section 7.1). Otherwise no matrix is formed, until free steps
have taken as many products as the whole of it would: near an ill-conditioned minimum each further one takes as many
again. Then it is evaluated and factorised once, and its factor gives the units in which the steps after take a few.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf, sqrt
from typing import ClassVar, NamedTuple

import numpy as np

from ..bounds import Vector
from ..linear_algebra.conjugate_gradients import compiled
from ..linear_algebra.factor_units import FactorUnits, factor_units
from ..linear_algebra.krylov_curvature import KrylovCurvature, Run
from ..linear_algebra.long_vectors import inner, length
from ..linear_algebra.whole_matrix import whole_matrix
from ..numerics import EPS
from ..objective import Matrix, Objective
from .quadratic_models import FactorModel, model_of
from .quadratic_models import units as units_of
from .stopping import StopReason
from .trust_region import GROWTH, Model, Proposal, advance

# How accurate a step is at first, as the part of the slope that it leaves; the rest of the way the slope's own progress
# says, so that the last steps converge faster than linearly (Eisenstat & Walker 1996).
ROUGH = 0.1

# Entries in a row of the Hessian, on average, up to which it is evaluated: it takes about as many products as a row has
# entries, and more than these are not needed for one step.
FEW_IN_A_ROW = 50

# Products for one iterate beyond the first hundred: none, until a step was as good as foreseen and as long as it
# wanted; then `FURTHER`, and after each further one so many times more, up to a number that only rounding asks for. Far
# from a minimum a step in another place teaches more than a better one here; near it hundreds of steps would each see
# the flattest curvatures anew, and converge no faster than a fixed factor.
FURTHER, TIMES_MORE, MOST_FURTHER = 300, 3, 30_000

# Products after which conjugate gradients go on in a compiled loop, where one takes a fraction of a millisecond: by
# then they have taken longer than XLA takes for the loop. Counted, so that each solve goes the same way.
MANY_PRODUCTS = 10_000

# Parameters up to which a dense Hessian is factorised where that saves products: 128 MB, and a second. With more, its
# factor takes longer to solve with than hundreds of products.
FACTORISED = 4_000

# Products in units of a factor, as a part of the number of parameters, after which another is made: each is two
# triangular solves, and so many take as long as a factorisation.
WORN = 1 / 20

# The least of the slope that a step in units of a factor leaves: conjugate gradients take few products for it, and no
# more digits of the next slope than these are left after its rounding.
FACTOR_ACCURACY = 1e-6

# How far along a vector slopes are measured where there are no products, as a part of the length of x: balances
# truncation against rounding.
DIFFERENCE = EPS**0.5


class NewtonCGState(NamedTuple):
    """What the driver reads, the model, and what the next step begins with.

    `radius`: how far the model is trusted; `steepest`: the largest slope so far, in units of `scale` (n,), that of each
    parameter, or None where all are one; `further`: products beyond the first hundred that its model may take;
    `steady`: products of the free steps in a row up to this one; `units`: of a factor, or None, and `worn`: products in
    them so far; `held`: steps that the radius has cut short; the rest as for Newton's method.
    """

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
    scale: Vector | None
    further: int
    steady: int = 0
    units: FactorUnits | None = None
    worn: int = 0
    held: int = 0


@dataclass(frozen=True)
class NewtonCG:
    """Truncated Newton in a trust region, by Lanczos' method on products with the Hessian.

    `most_held`: steps that the radius may cut short before the walk is handed over; near a minimum hardly one is. None:
    it goes on.
    """

    name: ClassVar[str] = "Newton-CG"
    remedy: ClassVar[str] = ""
    most_held: int | None = None

    def default_max_steps(self, n: int) -> int:
        """Far more than Newton's method needs, unless it follows a curved valley for ever."""
        return 10_000

    def init(self, objective: Objective, x: Vector) -> NewtonCGState:
        """The start, with the model there."""
        value, gradient = objective.value_and_gradient(x)
        return _modelled(objective, x, value, gradient, None, None, 0.0)

    def step(self, objective: Objective, state: NewtonCGState) -> NewtonCGState:
        """Go where the model is lowest, as far as it is trusted."""
        if self.most_held is not None and state.held > self.most_held:
            return state._replace(stop=StopReason.OUT_OF_BUDGET)
        found = advance(
            objective, state.x, state.value, state.gradient, state.model, state.radius, state.proposal
        )
        if isinstance(found, StopReason):
            return state._replace(stop=found)
        if _is_unseen(found.step, state):
            return state._replace(stop=StopReason.SPACING)
        return _modelled(objective, found.x, found.value, found.gradient, found.step, state, found.growth)


def _is_unseen(step: Vector, state: NewtonCGState) -> bool:
    """Whether a step is no more than the rounding of x: where a cost vanishes it still falls, for no reason.

    The length alone does not tell: of parameters in unlike units the small ones hardly show in it. All that is left of
    the cost must be what that rounding, times the slope, makes.
    """
    scale = state.scale
    moved, size = (step, state.x) if scale is None else (scale * step, scale * state.x)
    if length(moved) > EPS * length(size):
        return False
    return abs(state.value) <= EPS * inner(abs(state.gradient), abs(state.x))


def _modelled(
    objective: Objective,
    x: Vector,
    value: float,
    gradient: Vector,
    step: Vector | None,
    last: NewtonCGState | None,
    growth: float,
) -> NewtonCGState:
    """The state at `x`, with a model of the cost around it and the step it proposes."""
    times, scale = _curvature(objective, x, gradient, None if last is None else last.scale)
    d = np.ones_like(x) if scale is None else 1.0 / scale
    down = objective.bounds.projected_gradient(x, gradient) if objective.bounds.any else gradient
    slope = length(down if scale is None else d * down)
    steepest = max(0.0 if last is None else last.steepest, slope)
    accuracy = min(ROUGH, sqrt(slope / steepest)) if steepest > 0.0 else ROUGH
    further = 0
    if last is not None and not last.proposal.cut and growth >= GROWTH:
        further = min(max(TIMES_MORE * last.further, FURTHER), MOST_FURTHER)
    steady = 0 if last is None else last.steady
    units, worn = None, 0
    if last is not None and steady >= x.size and scale is None:
        units, worn = _factor(objective, x, last)
        steady = 0 if units is None else steady  # not before as many products again
    begun = objective.counts.products
    model: Model
    if units is None:
        reach = inf
        if step is not None and not objective.bounds.any:
            reach = growth * length(step if scale is None else scale * step)
        run = None if scale is not None or not further else _compiled_run(objective, x)
        curvature = KrylovCurvature(times, accuracy, further, reach, run)
        model = model_of(objective.bounds, x, gradient, curvature, d)
    else:
        curvature = KrylovCurvature(partial(units.product, times), max(accuracy, FACTOR_ACCURACY))
        model = FactorModel(x, gradient, curvature, units)
    radius = model.first_radius if step is None else growth * model.length(step)
    proposal = model.within(radius, 0.0)
    left = inf if proposal.cut else proposal.promised
    products = objective.counts.products - begun
    steady = 0 if proposal.cut else steady + products
    if units is not None:
        worn += products
    return NewtonCGState(
        x,
        value,
        gradient,
        step,
        left,
        None,
        model,
        radius,
        steepest,
        proposal,
        scale,
        further,
        steady,
        units,
        worn,
        (0 if last is None else last.held) + proposal.cut,
    )


def _factor(objective: Objective, x: Vector, last: NewtonCGState) -> tuple[FactorUnits | None, int]:
    """The units of a factor for the model at `x` (n,), and how worn they are; None where there are none."""
    n = x.size
    if n > FACTORISED or objective.bounds.any:
        return None, 0
    if last.units is not None and last.worn <= WORN * n:
        return last.units, last.worn
    H = _whole(objective, x)
    return (None if H is None else factor_units(H)), 0


def _whole(objective: Objective, x: Vector) -> Matrix | None:
    """The Hessian (n, n) at `x` from its products; None where there are no exact ones."""
    product, n = objective.traceable_product(x), x.size
    if product is not None:
        objective.count_products(n)
        return whole_matrix(product, n)
    if not objective.has_hessian_product:
        return None
    H, unit = np.empty((n, n)), np.zeros(n)
    for k in range(n):
        unit[k] = 1.0
        H[k] = objective.hessian_product(x, unit)
        unit[k] = 0.0
    return 0.5 * (H + H.T)


def _curvature(
    objective: Objective, x: Vector, gradient: Vector, before: Vector | None
) -> tuple[Callable[[Vector], Vector], Vector | None]:
    """Products with d·H·d at `x`, d = 1/`scale`, and the scale (n,); None where all units are one."""
    known = objective.factorising if objective.has_sparse_hessian else None
    if objective.has_sparse_hessian and (known is None or known.entries <= FEW_IN_A_ROW * x.size):
        H = objective.sparse_hessian(x)
        if np.isfinite(H.data).all():
            scale = units_of(H.diagonal(), gradient, x, before)
            d = 1.0 / scale

            def times(v: Vector) -> Vector:
                objective.check_clock()  # thousands of these follow one evaluation
                product: Vector = d * (H @ (d * v))
                return product

            return times, scale
    return partial(hessian_times, objective, x, gradient), None


def _compiled_run(objective: Objective, x: Vector) -> Run | None:
    """Conjugate gradients at `x` as one compiled loop; None where Python repeats them as well."""
    if objective.counts.products < MANY_PRODUCTS or objective.bounds.any:
        return None
    product = objective.traceable_product(x)
    if product is None:
        return None
    return partial(compiled, product, count=objective.count_products)


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
