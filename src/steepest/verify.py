"""Judge a point, whoever found it: SciPy, a colleague, yesterday's run."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .descent import structure_of
from .errors import InputError
from .objective import Budget
from .outcome import honest_digits, on_precision, plain
from .parameters import Parameters
from .problem import Problem, pose
from .results import Result
from .verdict.judge import judge
from .verdict.words import Judgement, Verdict

# A point this far outside its bounds, in parts of its size, was put there by rounding and is moved onto them.
ROUNDED_OUT = 1e-12


class Verification(Result):
    """What `verify` found at a point: as a `Result`, without a walk.

    `x`, `fun`, `jac`: the point, the cost and its gradient there. `verdict`, `message`, `evidence`, `next_step`,
    `digits`, `gap`: as in a `Result`. `downhill`: where the point is no minimum and the judge saw a way down, a
    direction, shape (n,), else None. A verification equals the word of its verdict.
    """

    def __eq__(self, other: object) -> bool:
        return self.verdict == other if isinstance(other, str) else self is other

    __hash__ = None  # type: ignore[assignment]


def verify(
    f: Any,
    x: Any,
    bounds: Any = None,
    *,
    args: tuple[Any, ...] = (),
    jac: Any = None,
    hess: Any = None,
    fixed: Any = None,
    derivatives: str = "auto",
    seed: int = 0,
    start: Any = None,
) -> Verification:
    """Say what the point `x` of the cost `f` is, and how that is known; nothing is minimised.

    Parameters
    ----------
    f : function of the parameters, or an expression, as for `minimize`.
    x : the point: a number, an array, a dict, any nesting of these; or a result of SciPy's or of ours.
    bounds : those the point was sought in, as for `minimize`. The cost is never called outside them.
    args : further arguments of `f`.
    jac, hess : derivatives of your own, to be checked against the cost as well.
    fixed : parameters that were held, as for `minimize`.
    derivatives : "exact", "numeric" or "auto".
    seed : of the random directions the judge probes along.
    start : where the search for `x` began, if you know: tells the natural size of each parameter and of the cost.

    Returns
    -------
    Verification : `verdict`, `message`, `evidence`, `digits`, `gap`, `next_step` and more; it equals the word of
        its verdict, so `verify(f, x) == "saddle point"` asks what it seems to ask.

    Raises
    ------
    InputError : an argument cannot be used, or the point lies outside its bounds.
    TracingError : the cost cannot be traced.

    >>> found = verify("x**2 - y**2", {"x": 0.0, "y": 0.0})
    >>> print(found.verdict)
    saddle point
    >>> found == "saddle point", found.success
    (True, False)
    """
    began = time.perf_counter()
    x = _point_of(x)
    problem = pose(
        f, x, args, jac=jac, hess=hess, bounds=bounds, fixed=fixed, derivatives=derivatives, budget=Budget()
    )
    _require_inside(problem, x)
    posed = time.perf_counter()
    judgement = judge(
        problem.objective,
        problem.start,
        names=problem.names,
        structure=structure_of(problem),
        history=None if start is None else _Began(problem, start),
        seed=seed,
    )
    if not judgement.verdict.is_minimum and problem.trace is not None:
        from .doctor.advice import advised

        judgement = advised(problem, problem.start, judgement)
    timing = {"trace": posed - began, "judge": time.perf_counter() - posed}
    timing["total"] = time.perf_counter() - began
    return _verification(problem, judgement, timing)


class _Began:
    """The first row of a walk of which nothing more is known."""

    def __init__(self, problem: Problem, start: Any) -> None:
        given = np.asarray(start, dtype=np.float64) if isinstance(start, (list, np.ndarray)) else None
        n = problem.start.size
        if given is not None and given.shape == (n,):
            place = given
        else:
            whole = problem.parameters.flatten(start, "start")
            place = whole if problem.free is None else whole[problem.free]
        place = problem.objective.bounds.project(place)
        self.x = place[None, :]
        self.value = np.array([problem.objective.afresh().value(place)])
        self.first = float(self.value[0]), place

    def __len__(self) -> int:
        return 1


def _point_of(x: Any) -> Any:
    """The point itself, where a whole result was given."""
    if type(x).__name__ in ("OptimizeResult", "Result", "Verification") and "x" in x:
        return x["x"]
    return x


def _require_inside(problem: Problem, x: Any) -> None:
    """A walk that starts outside its bounds is moved onto them; a point to be judged is where it is."""
    given = Parameters.of(x, problem.cost.first)
    moved = np.abs(problem.parameters.vector - given.vector)
    k = int(np.argmax(moved - ROUNDED_OUT * np.abs(given.vector)))
    if moved[k] > ROUNDED_OUT * abs(given.vector[k]):
        raise InputError(
            f"{given.names[k]} = {given.vector[k]:g} lies outside its bounds, which end at "
            f"{problem.parameters.vector[k]:g}; a point to be judged must lie within them"
        )


def _verification(problem: Problem, judgement: Judgement, timing: dict[str, float]) -> Verification:
    spent = judgement.spent
    gradient = judgement.gradient
    free = problem.free
    if free is not None and gradient is not None:
        whole = np.full(problem.parameters.n, np.nan)
        whole[free] = gradient
        gradient = whole
    verdict = judgement.verdict
    found = Verification(
        x=plain(problem.restore(problem.start)),
        fun=judgement.value,
        verdict=verdict,
        success=verdict.is_minimum,
        message=judgement.sentence,
        next_step=judgement.next_step,
        evidence=judgement.evidence,
        digits=honest_digits(judgement.digits, problem.precision),
        gap=judgement.gap,
        downhill=judgement.downhill,
        names=problem.names,
        jac=None if gradient is None else plain(problem.parameters.restore(gradient)),
        status=0 if verdict.is_minimum else 1 + list(Verdict).index(verdict),
        nit=0,
        nfev=spent.values,
        njev=spent.gradients,
        nhev=spent.hessians + spent.products,
        remarks=problem.remarks + on_precision(problem.precision),
        plan=None,
        timing=timing,
        derivatives=problem.derivatives,
        precision=problem.precision,
        label=problem.cost.label,
    )
    found._problem = problem
    return found
