"""Least squares: the parameters at which a sum of squared (or robustly weighed) residuals is lowest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .bounds import Bounds, Vector
from .box import box_of, free_of, pairs_of_ends
from .budget import Budget
from .cost import Cost, check_derivatives, read_cost
from .errors import InputError
from .fitting.facts import facts_of
from .losses import loss_of
from .outcome import result_of
from .parameters import Parameters
from .problem import Problem
from .residuals import Arrangement, Residuals
from .results import Result
from .returned import check_some
from .search.squares import walk_and_judge
from .solvers import Plan, plan_for
from .solvers.bfgs import BFGS
from .solvers.driver import Run
from .solvers.levenberg_marquardt import LevenbergMarquardt
from .solvers.plan import Rung
from .solvers.stopping import in_spite_of_ctrl_c
from .vector_functions import (
    MeasuredVector,
    SuppliedVector,
    TracedVector,
    VectorFunction,
    sparse_where_it_pays,
)
from .verdict.words import Judgement

# Where a model has kinks the first walk hands over after so many steps. Its slopes say little of what lies beyond them:
# BFGS learns that from the steps. Where it was no kink that held the first walk up, the residuals lead on.
FIRST_STEPS = 300
OVER_KINKS = (
    Rung(BFGS(), "it walks over the kinks of a model", 500),
    Rung(LevenbergMarquardt(), "the residuals lead on where no kink holds them up"),
)


def least_squares(
    residual: Any,
    x0: Any,
    args: tuple[Any, ...] = (),
    method: Any = "auto",
    *,
    jac: Any = None,
    bounds: Any = None,
    fixed: Any = None,
    loss: Any = "linear",
    f_scale: float = 1.0,
    tol: float | None = None,
    budget: int | Mapping[str, Any] | Budget | None = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    derivatives: str = "auto",
) -> Result:
    """Lower Σ C²·ρ(r²/C²) over the residuals r and judge where the walk ends; with the plain loss that is Σr².

    Parameters
    ----------
    residual : function `residual(x, *args)` that gives an array of m residuals, written with NumPy (or JAX).
    x0, args, bounds, fixed, tol, budget, callback, options, seed, derivatives : as for `minimize`; bounds also as
        SciPy's `(lower, upper)`, a tuple of two lists or arrays.
    method : "auto" or "levenberg-marquardt", or any other method of `minimize`.
    jac : the Jacobian (m, n) of your own, dense or sparse; leave it out for the exact one.
    loss : ρ, as in SciPy: "linear", "soft_l1", "huber", "cauchy", "arctan", or a function of z = (r/C)² that returns
        ρ(z), ρ'(z), ρ''(z). f_scale : C, the size from which on residuals count as outliers.

    Returns
    -------
    Result : as from `minimize`, with `residual` (m,) and `jacobian` (m, k, over the parameters that move; a sparse
        array where there are many and most of it is zero). `fun` is the cost, twice SciPy's.

    Raises
    ------
    InputError : an argument cannot be used (before the residual is evaluated).
    TracingError : the residual cannot be traced; the message names the line and the rewrite.

    >>> result = least_squares(lambda x: [10 * (x[1] - x[0] ** 2), 1 - x[0]], [-1.2, 1.0])
    >>> print(result.x, result.verdict)
    [1. 1.] local minimum
    """
    began = time.perf_counter()
    rho = loss_of(loss)
    check_settings(f_scale, tol, callback)
    allowed = budget_of(budget)
    plan = plan_of(method, options, "the cost is a sum of squared residuals")
    problem, residuals = _pose(
        residual, x0, args, jac, bounds, fixed, rho, float(f_scale), derivatives, allowed
    )
    facts = facts_of(residuals)
    plan = as_it_is_kinked(plan, facts)
    posed = time.perf_counter()
    run, judgement = walk_and_judge(
        problem.objective,
        problem.start,
        problem.names,
        plan,
        tol,
        callback,
        problem.restore,
        seed,
        structure=facts,
        began=began,
    )
    timing = {
        "trace": posed - began,
        "walk and judge": time.perf_counter() - posed,
        "total": time.perf_counter() - began,
    }
    return _result(problem, residuals, plan, run, judgement, timing)


def check_settings(f_scale: Any, tol: Any, callback: Any) -> None:
    """Raises `InputError` for what no walk down squares can use."""
    if not (isinstance(f_scale, (int, float, np.number)) and 0 < float(f_scale) < np.inf):
        raise InputError(f"f_scale={f_scale!r}; give the size of a residual that is not an outlier, above 0")
    if callback is not None and not callable(callback):
        raise InputError(f"callback={callback!r} cannot be called")
    if tol is not None and not 0 <= tol < np.inf:
        raise InputError(
            f"tol={tol!r}; give the fraction of the gain that may be left, a number from 0 upwards"
        )


def budget_of(budget: int | Mapping[str, Any] | Budget | None) -> Budget:
    """A budget from a number of evaluations, or a dict with "evaluations", "seconds", "steps"."""
    from .minimize import _budget

    return _budget(budget)


def as_it_is_kinked(plan: Plan, facts: Any) -> Plan:
    """The plan without what takes over at kinks, where the models are known to have none, or are not known."""
    return plan if facts is not None and facts.kinks else replace(plan, next_rungs=(), first_steps=None)


def plan_of(method: Any, options: Mapping[str, Any] | None, because: str) -> Plan:
    """Levenberg-Marquardt, and what takes over at kinks of the model, unless a method is asked for."""
    if isinstance(method, str) and method == "auto":
        plan = plan_for(LevenbergMarquardt(), options)
        return replace(plan, because=because, next_rungs=OVER_KINKS, first_steps=FIRST_STEPS)
    return plan_for(method, options)


def _pose(
    residual: Any,
    x0: Any,
    args: Any,
    jac: Any,
    bounds: Any,
    fixed: Any,
    rho: Any,
    f_scale: float,
    derivatives: str,
    budget: Budget,
) -> tuple[Problem, Residuals]:
    args = args if isinstance(args, tuple) else (args,)
    cost = read_cost(residual, x0, args)
    parameters = Parameters.of(x0, cost.first)
    box, remarks = box_of(pairs_of_ends(bounds, parameters.n), parameters, parameters.names)
    start = parameters.vector
    outside = (start < box.lower) | (start > box.upper)
    if outside.any():
        told = ", ".join(parameters.names[k] for k in np.flatnonzero(outside)[:4].tolist())
        remarks += (f"the start of {told} lay outside its bounds and was moved onto them",)
        start = box.project(start)
    free = free_of(fixed, parameters, parameters.names)
    function = sparse_where_it_pays(vector_function(cost, parameters, args, box, jac, derivatives))
    arrangement = Arrangement(start, np.arange(parameters.n) if free is None else free)
    residuals = Residuals(function, arrangement, rho=rho, scale=f_scale)
    if free is not None:
        box = Bounds(box.lower[free], box.upper[free])
    objective = residuals.objective(box, budget)
    names = parameters.names if free is None else tuple(parameters.names[k] for k in free.tolist())
    precision = function.trace.lowest_precision if isinstance(function, TracedVector) else "float64"
    summed = replace(cost, function=_Summed(cost, rho, f_scale), style="whole", names=None)
    problem = Problem(
        summed,
        args,
        Parameters(parameters.leaves, start, parameters.build, parameters.key),
        objective,
        start if free is None else start[free],
        names,
        free,
        None,
        function.derivatives,
        precision,
        remarks,
    )
    return problem, residuals


class _Summed:
    """The cost of a residual function, called as the user calls theirs."""

    def __init__(self, cost: Cost, rho: Any, scale: float) -> None:
        self._cost, self._rho, self._scale = cost, rho, scale

    def __call__(self, structure: Any, *args: Any) -> float:
        r = np.asarray(self._cost(structure, *args), dtype=np.float64).ravel()
        if self._rho is None:
            return float(r @ r)
        return self._scale**2 * float(self._rho((r / self._scale) ** 2)[0].sum())


def vector_function(
    cost: Cost, parameters: Parameters, args: tuple[Any, ...], box: Bounds, jac: Any, derivatives: str
) -> VectorFunction:
    """A function of many values with derivatives: exact, supplied, or measured where it cannot be traced."""
    check_derivatives(derivatives)

    def plain(x: Vector) -> Any:
        return cost(parameters.restore(x), *args)

    if callable(jac):

        def supplied(x: Vector) -> Any:
            structure = parameters.restore(x)
            if cost.style == "keywords":
                return jac(*args, **structure)
            return jac(*structure, *args) if cost.style == "unpacked" else jac(structure, *args)

        return SuppliedVector(plain, supplied, cost.label)
    if jac is not None:
        if jac not in ("2-point", "3-point", "cs"):
            raise InputError(f"jac={jac!r}; give a function, or leave it out for the exact Jacobian")
        derivatives = "numeric"
    if cost.is_measured(derivatives):
        return MeasuredVector(plain, box, cost.label)
    traced = cost.trace(parameters, args)
    check_some(traced.shape, cost.label)
    return TracedVector(traced)


def _result(
    problem: Problem,
    residuals: Residuals,
    plan: Plan,
    run: Run,
    judgement: Judgement,
    timing: dict[str, float],
) -> Result:
    residuals.beyond_budget()
    residual, jacobian = in_spite_of_ctrl_c(residuals.both, run.x)
    taken = tuple(dict.fromkeys((plan.name, run.solver)))
    result = result_of(problem, plan.walked(taken, 0), run, judgement, timing)
    result.update(jac=run.gradient, residual=np.array(residual), jacobian=jacobian)
    return result
