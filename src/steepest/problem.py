"""What the user asked, made ready for a solver: a counted objective on the free parameters, and a start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .bounds import Bounds, Vector
from .box import box_of, free_of
from .budget import Budget
from .cost import Cost, check_derivatives, read_cost, require_one_number
from .errors import InputError, TracingError
from .evaluations import Evaluations, exact_evaluations, numeric_evaluations, supplied_evaluations
from .objective import Objective
from .parameters import EntryNames, Parameters

if TYPE_CHECKING:
    from .tracing.trace import Trace


@dataclass
class Problem:
    """A cost ready to be minimised.

    `objective` works on the free parameters, a flat vector of shape (n,); `restore` puts such a vector back
    into the user's structure, fixed values included. `names`: of the free parameters. `remarks`: what was
    changed on the way in, in words. `facts`: those read off the trace, once they were asked for.
    """

    cost: Cost
    args: tuple[Any, ...]
    parameters: Parameters
    objective: Objective
    start: Vector
    names: Sequence[str]
    free: np.ndarray | None
    trace: Trace | None
    derivatives: str
    precision: str
    remarks: tuple[str, ...] = field(default=())
    facts: Any = None

    def whole(self, x: Vector) -> Vector:
        """The full flat vector for the free parameters `x`."""
        if self.free is None:
            return x
        full = self.parameters.vector.copy()
        full[self.free] = x
        return full

    def restore(self, x: Vector) -> Any:
        """The user's structure for the free parameters `x`."""
        return self.parameters.restore(self.whole(x))


def pose(
    fun: Any,
    x0: Any,
    args: tuple[Any, ...],
    *,
    jac: Any,
    hess: Any,
    bounds: Any,
    fixed: Any,
    derivatives: str,
    budget: Budget,
) -> Problem:
    """Check every argument and make the objective; the cost is run at most once, to trace it."""
    check_derivatives(derivatives)
    args = args if isinstance(args, tuple) else (args,)
    cost = read_cost(fun, x0, args)
    parameters = Parameters.of(x0, cost.first)
    names = cost.names if cost.names and len(cost.names) == parameters.n else parameters.names
    box, remarks = box_of(bounds, parameters, names)
    start = parameters.vector
    if box.any and not box.contains(start):
        outside = [names[k] for k in np.flatnonzero((start < box.lower) | (start > box.upper))[:4]]
        remarks += (f"the start of {', '.join(outside)} lay outside its bounds and was moved onto them",)
        start = box.project(start)
        parameters = _moved(parameters, start)
    free = free_of(fixed, parameters, names)
    functions = _evaluations(cost, args, parameters, box, jac, hess, derivatives)
    if free is not None:
        functions = functions.restricted(start, free)
        start = start[free]
        box = Bounds(box.lower[free], box.upper[free])
    objective = Objective(
        parameters.n if free is None else int(free.size),
        value=functions.value,
        value_and_gradient=functions.value_and_gradient,
        hessian=functions.hessian,
        hessian_product=functions.hessian_product,
        sparse_hessian=functions.sparse_hessian,
        linearised=functions.linearised,
        least_squares=functions.least_squares,
        split=functions.split,
        terms=functions.terms,
        bounds=box,
        derivatives=functions.derivatives,
        gradient_error=functions.gradient_error,
        calls=functions.calls,
        on_device=functions.on_device,
        traceable=functions.traceable,
        closer=functions.closer,
        budget=budget,
    )
    return Problem(
        cost,
        args,
        parameters,
        objective,
        start,
        names if free is None else _names_of(names, parameters, free),
        free,
        functions.trace,
        functions.derivatives,
        functions.precision,
        remarks,
    )


def _evaluations(
    cost: Cost,
    args: tuple[Any, ...],
    parameters: Parameters,
    box: Bounds,
    jac: Any,
    hess: Any,
    derivatives: str,
) -> Evaluations:
    if jac is True or callable(jac):
        if derivatives == "exact":
            raise InputError(
                'jac= hands in a gradient, so derivatives="exact" has nothing to do; leave one out'
            )
        return supplied_evaluations(cost, args, parameters, jac, hess)
    if isinstance(jac, str):
        if jac not in ("2-point", "3-point", "cs"):
            raise InputError(f"jac={jac!r}; give a function, True, or leave it out for exact derivatives")
        derivatives = "numeric"
    if hess is not None:
        raise InputError(
            "hess= needs jac= beside it; leave both out and steepest takes exact derivatives itself"
        )
    if cost.is_measured(derivatives):
        return numeric_evaluations(cost, args, parameters, box)
    if cost.opaque:
        raise TracingError(
            f"{cost.label} is compiled code, which cannot be traced; write the cost in NumPy, or let its slope be "
            'measured by differences: derivatives="numeric"'
        )
    traced = cost.trace(parameters, args)
    require_one_number(cost, traced.shape)
    return exact_evaluations(traced)


def _names_of(names: Sequence[str], parameters: Parameters, free: np.ndarray) -> Sequence[str]:
    return (
        EntryNames(parameters.leaves, free)
        if isinstance(names, EntryNames)
        else tuple(names[k] for k in free)
    )


def _moved(parameters: Parameters, start: Vector) -> Parameters:
    return Parameters.of(
        parameters.restore(start), parameters.leaves[0].name if len(parameters.leaves) == 1 else "x"
    )
