"""Find the parameters of the lowest cost, and say honestly what was found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .budget import Budget
from .errors import InputError
from .numerics import Quiet
from .objective import Objective
from .optional import is_torch
from .outcome import result_of
from .problem import Problem, pose
from .recording import check_record, recorded
from .results import Result
from .search import constrained, multistart, restarts
from .search.descent import Descent, box_key, structure_of
from .solvers import choose, plan_for
from .solvers.driver import Run
from .solvers.methods import unconstrained_plan
from .solvers.plan import Plan
from .solvers.stopping import INTERRUPTED
from .verdict.supplied import wrong_from_the_start
from .verdict.words import Judgement


def minimize(
    fun: Any,
    x0: Any,
    args: tuple[Any, ...] = (),
    method: Any = "auto",
    *,
    jac: Any = None,
    hess: Any = None,
    bounds: Any = None,
    constraints: Any = None,
    fixed: Any = None,
    tol: float | None = None,
    budget: int | Mapping[str, Any] | Budget | None = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    derivatives: str = "auto",
    record: Any = None,
    starts: int | None = None,
) -> Result:
    """Walk downhill from `x0` by exact slopes and judge where the walk ends.

    Parameters
    ----------
    fun : function `fun(x, *args)` of the parameters written with NumPy (or JAX), or an expression such as
        "(1-x)**2 + 100*(y-x**2)**2". It is run once to be traced; no derivative is needed.
    x0 : where to start: a number, an array, a list of numbers, or a dict, dataclass or any nesting of these.
    args : further arguments of `fun`, such as data.
    method : "auto", or a solver's name ("newton", "bfgs", "l-bfgs", "gradient descent", "adam", …),
        or a solver with its options, such as `steepest.solvers.lbfgs(memory=20)`.
    jac, hess : derivatives of your own, as in SciPy; leave them out for exact ones.
    bounds : (low, high) for each parameter, one for all, or a dict from name to pair; None where there is no bound;
        `scipy.optimize.Bounds`, or two arrays (lower, upper) of other than two parameters. The cost is never called
        outside them.
    constraints : what the answer must satisfy besides its bounds, as in SciPy: dicts {"type": "eq" or "ineq",
        "fun": f} (f(x) == 0 or f(x) >= 0), `LinearConstraint`, `NonlinearConstraint`, and expressions such as
        "x**2 + y**2 <= 1", or a list of these. They are traced like the cost, and may give arrays.
    fixed : names, indices or a mask of parameters that keep their value at `x0`.
    tol : stop when what is left to gain is below this fraction of what was gained. By default the walk goes as
        far as double precision can tell.
    budget : what may be spent: a number of evaluations, or a dict with "evaluations", "seconds", "steps". Seconds count
        from the call; the verdict takes a moment more. Where slopes are measured by differences every call of the cost
        counts, the verdict's too, which may take a tenth more than the budget, and otherwise says what it left out.
    callback : called after each step with `x`, or with `intermediate_result` if its parameter has that name;
        returning True (or raising StopIteration) stops the walk.
    options : of the solver, such as {"rate": 0.1} or SciPy's {"maxiter": 100}.
    seed : of the random directions the judge probes along.
    derivatives : "exact", "numeric" (measured by differences), or "auto": exact unless `fun` is compiled code.
    record : a file to which every step is appended while the walk goes on, for `steepest explore FILE` to show; or
        an open `steepest.runs.RunWriter`, which is left open.
    starts : how many places to begin from: `x0`, and seeded ones inside the bounds (or about `x0`, by the parameters'
        sizes). The best verified minimum comes back, and every distinct one in `result.minima`. By default `x0`
        alone. With method="auto" a few restarts near the minimum follow in both cases, where that is cheap and none is
        known to be lowest; 1 is `x0` without them.

    Returns
    -------
    Result : `x` in the structure of `x0`, `fun`, `verdict`, `success`, `evidence`, `history` and more; with
        constraints `multipliers`, `bound_multipliers`, `violation` and `active` too. The best
        point seen is returned whatever ended the walk, also Ctrl-C.

    Raises
    ------
    InputError : an argument cannot be used (before the cost is evaluated).
    TracingError : the cost cannot be traced; the message names the line and the rewrite.

    >>> result = minimize("x**2 - 2*x + 3", 3.0)
    >>> print(result.x, result.fun, result.verdict)
    1.0 2.0 global minimum
    """
    began = time.perf_counter()
    if is_torch(x0):
        from .torch_minimize import minimize_torch

        given = {"bounds": bounds, "tol": tol, "budget": budget, "options": options, "seed": seed}
        return minimize_torch(minimize, fun, x0, args, method, callback=callback, record=record, **given)
    if callback is not None and not callable(callback):
        raise InputError(f"callback={callback!r} cannot be called")
    if tol is not None and not 0 <= tol < np.inf:
        raise InputError(
            f"tol={tol!r}; give the fraction of the gain that may be left, a number from 0 upwards"
        )
    check_record(record)
    starts = None if starts is None else multistart.check_starts(starts)
    settings = plan_for(method, options) if method != "auto" and constraints is None else None
    problem = pose(
        fun,
        x0,
        args,
        jac=jac,
        hess=hess,
        bounds=bounds,
        fixed=fixed,
        derivatives=derivatives,
        budget=_budget(budget),
    )
    rows = None if constraints is None else constrained.read_rows(constraints, problem, derivatives)
    posed = time.perf_counter()
    if rows is not None:
        plan = constrained.plan_between(method, options, rows)
    else:
        plan = unconstrained_plan(settings or _chosen(problem, options))
    _limit_evaluations(problem.objective, plan.max_evaluations)
    told_to_stop = None
    try:
        is_wrong = wrong_from_the_start(problem.objective, problem.start, problem.names, seed)
    except KeyboardInterrupt:
        is_wrong, told_to_stop = False, INTERRUPTED
    if is_wrong or told_to_stop is not None:
        plan = replace(plan, max_steps=0)
    problem.objective.start_clock(began)
    chosen = time.perf_counter()
    with Quiet(), recorded(record, problem, "minimize", {"method": plan.solver.name}) as recording:
        if rows is None:
            descent: Any = Descent(problem, plan, tol, callback, seed, recording)
            descent.told_to_stop = told_to_stop
            if method == "auto" and starts is None:
                descent = restarts.WithRestarts(descent)
        else:
            facts = structure_of(problem)
            descent = constrained.Between(problem, rows, plan, tol, callback, seed, recording, facts)
            descent.told_to_stop = told_to_stop
        if starts is not None:
            may_restart = isinstance(method, str) and method == "auto" and rows is None
            asked = (options, tol, budget, callback, record, jac, hess)
            may_batch = may_restart and all(one is None for one in asked)
            descent = multistart.FromManyStarts(descent, starts, seed, may_batch, may_restart)
        run, judgement = descent.down()
        if rows is None or not np.isfinite(run.value):
            judgement = _advised(problem, run, judgement)
        if recording is not None:
            recording.end(judgement.verdict.value, judgement.sentence, value=run.value)
    ended = time.perf_counter()
    timing = {
        "trace": posed - began,
        "choose": chosen - posed,
        "walk": ended - chosen - descent.judging,
        "judge": descent.judging,
        "total": ended - began,
    }
    plan = plan.walked(tuple(descent.taken), problem.objective.steps_in_loop)
    result = result_of(problem, plan, run, judgement, timing)
    result._asked = {
        "x0": x0, "args": args, "method": method, "jac": jac, "hess": hess, "bounds": bounds,
        "constraints": constraints, "fixed": fixed,
        "tol": tol, "budget": budget, "options": options, "seed": seed, "derivatives": derivatives,
        "starts": starts,
    }  # fmt: skip
    if rows is not None or starts is not None:
        result.update(descent.about())
    if rows is not None:
        result["remarks"] = (*result["remarks"], *rows.remarks)
    return result


def _chosen(problem: Problem, options: Mapping[str, Any] | None) -> Plan:
    """The plan; without options it depends on the trace and the bounds alone, and is kept with the trace."""
    if problem.trace is None or options:
        return choose(problem.objective, options, lambda: structure_of(problem))
    kept, key = problem.trace.kept, ("plan", box_key(problem))
    if key not in kept:
        kept[key] = choose(problem.objective, None, lambda: structure_of(problem))
    plan: Plan = kept[key]
    return plan


def _budget(budget: int | Mapping[str, Any] | Budget | None) -> Budget:
    if budget is None or isinstance(budget, Budget):
        return budget or Budget()
    if isinstance(budget, Mapping):
        unknown = set(budget) - {"evaluations", "seconds", "steps"}
        if unknown:
            raise InputError(
                f"budget has no {', '.join(map(repr, sorted(unknown)))}; it may hold evaluations, seconds and steps"
            )
        found = Budget(**budget)
    elif isinstance(budget, (int, np.integer)) and not isinstance(budget, bool):
        found = Budget(evaluations=int(budget))
    else:
        raise InputError(
            f"budget={budget!r}; give a number of evaluations or a dict such as "
            '{"evaluations": 1000, "seconds": 60}'
        )
    for name in ("evaluations", "seconds", "steps"):
        amount = getattr(found, name)
        if amount is not None and not amount > 0:
            raise InputError(f"a budget of {amount!r} {name} allows nothing; give a positive number")
    return found


def _limit_evaluations(objective: Objective, asked: int | None) -> None:
    """Let SciPy's `maxfun` count beside the budget; the smaller of the two holds."""
    if asked is not None:
        allowed = objective.budget.evaluations
        objective.budget = replace(
            objective.budget, evaluations=asked if allowed is None else min(asked, allowed)
        )


def _advised(problem: Problem, run: Run, judgement: Judgement) -> Judgement:
    """With what the doctor says first, where no minimum was found."""
    if judgement.verdict.is_minimum or problem.trace is None:
        return judgement
    from .doctor.advice import advised

    try:
        return advised(problem, run.x, judgement)
    except KeyboardInterrupt:  # all but the advice is there
        return judgement
