"""What a walk and its judgement have to say, put together as a result."""

from __future__ import annotations

from typing import Any

import numpy as np

from .problem import Problem
from .results import Result
from .solvers.driver import Run
from .verdict.words import Judgement, Verdict


def result_of(
    problem: Problem, plan: Any, run: Run, judgement: Judgement, timing: dict[str, float]
) -> Result:
    """The result of a walk that ended as `run` and was judged so."""
    objective = problem.objective
    result = Result(
        x=plain(problem.restore(run.x)),
        fun=run.value,
        **said_of(problem, judgement),
        jac=_gradient_like(problem, run),
        hess=objective.known_hessian(run.x),
        nit=run.steps,
        nfev=objective.evaluations,
        njev=objective.counts.gradients + objective.counts.jacobians,
        nhev=objective.counts.hessians + objective.counts.products,
        stop=run.stop,
        reason=run.reason,
        plan=plan,
        history=run.history,
        timing=timing,
    )
    result._problem = problem
    return result


def said_of(problem: Problem, judgement: Judgement) -> dict[str, Any]:
    """What a result says of the problem and of its end, whether a walk led there or somebody named the point."""
    verdict = judgement.verdict
    return {
        "verdict": verdict,
        "success": verdict.is_minimum,
        "status": 0 if verdict.is_minimum else 1 + list(Verdict).index(verdict),
        "message": judgement.sentence,
        "next_step": judgement.next_step,
        "evidence": judgement.evidence,
        "digits": honest_digits(judgement.digits, problem.precision),
        "gap": judgement.gap,
        "names": problem.names,
        "remarks": problem.remarks + on_precision(problem.precision),
        "derivatives": problem.derivatives,
        "precision": problem.precision,
        "label": problem.cost.label,
    }


def honest_digits(digits: np.ndarray | None, precision: str) -> np.ndarray | None:
    """No more digits than the least precise number inside the cost has."""
    return (
        digits if digits is None or precision == "float64" else np.minimum(digits, _digits_of_type(precision))
    )


def on_precision(precision: str) -> tuple[str, ...]:
    """What to remark where the cost computes in less than double precision."""
    if precision == "float64":
        return ()
    return (
        f"part of the cost is computed in {precision}: {_digits_of_type(precision)} digits are all it can tell",
    )


def _digits_of_type(precision: str) -> int:
    return 2 if precision == "bfloat16" else int(np.finfo(precision).precision)


def plain(structure: Any) -> Any:
    """A single number as a float; anything else as it is."""
    return float(structure) if isinstance(structure, np.floating) else structure


def _gradient_like(problem: Problem, run: Run) -> Any:
    """The gradient at the end point in the structure of the parameters; NaN for fixed ones."""
    if problem.free is None:
        return plain(problem.parameters.restore(run.gradient))
    full = np.full(problem.parameters.n, np.nan)
    full[problem.free] = run.gradient
    return plain(problem.parameters.restore(full))
