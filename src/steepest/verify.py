"""Judge a point, whoever found it: SciPy, a colleague, yesterday's run."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from .budget import Budget
from .errors import InputError
from .outcome import plain, said_of
from .parameters import Parameters
from .problem import Problem, pose
from .results import Result
from .search.descent import structure_of
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
    proof: bool = False,
    seconds: float = 10.0,
    constraints: Any = None,
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
    proof : also try to prove that no point within the bounds is lower, by interval branch and bound. For a cost of up
        to about four parameters, each with both bounds. A proven local minimum is a global one; `gap` then says by how
        much at most a point may be lower. Where a lower point is met, the message and `next_step` name it.
    seconds : time the proof may take.
    constraints : what the point must satisfy besides its bounds, as for `minimize`; the verification then has
        `multipliers`, `bound_multipliers`, `violation` and `active` too.

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
    if proof:
        if constraints is not None:
            raise InputError(
                "proof=True searches the box of bounds= and knows no constraints=; leave one of the two out"
            )
        _require_provable(problem, seconds)
    posed = time.perf_counter()
    history = None if start is None else _Began(problem, start)
    between = None
    if constraints is not None:
        from .verify_between import judged_between

        between = judged_between(problem, constraints, derivatives, seed, history)
    if between is None:
        judgement = judge(
            problem.objective,
            problem.start,
            names=problem.names,
            structure=structure_of(problem),
            history=history,
            seed=seed,
        )
        if not judgement.verdict.is_minimum and problem.trace is not None:
            from .doctor.advice import advised

            judgement = advised(problem, problem.start, judgement)
    else:
        judgement, about = between
    timing = {"trace": posed - began, "judge": time.perf_counter() - posed}
    if proof:
        judgement = _with_proof(problem, judgement, seconds)
        timing["proof"] = time.perf_counter() - posed - timing["judge"]
    timing["total"] = time.perf_counter() - began
    found = _verification(problem, judgement, timing)
    if between is not None:
        found.update(about)
        found._asked = {"constraints": constraints}
    return found


def _require_provable(problem: Problem, seconds: float) -> None:
    """A proof needs to know the cost's operations, and a box that ends everywhere."""
    if problem.trace is None:
        raise InputError(
            "proof=True needs a cost that can be traced, to see its operations; this one is only called. "
            "Leave out derivatives=, or write the cost without what stops the trace"
        )
    bounds = problem.objective.bounds
    for name, low, high in zip(problem.names, bounds.lower, bounds.upper, strict=True):
        if not np.isfinite([low, high]).all():
            raise InputError(
                f"proof=True needs a lower and an upper bound for each parameter, and those of {name} are "
                f"({low:g}, {high:g}); write bounds= for every parameter"
            )
    if not seconds > 0:
        raise InputError(f"seconds = {seconds!r}: the time a proof may take is a positive number of seconds")


def _with_proof(problem: Problem, judgement: Judgement, seconds: float) -> Judgement:
    """The judgement, with what interval branch and bound shows of the whole box."""
    from .tracing.trace import as_number
    from .verdict.proof import Proof, prove

    assert problem.trace is not None
    bounds = problem.objective.bounds
    if np.isfinite(judgement.value):
        found = prove(as_number(problem.trace), problem.start, bounds.lower, bounds.upper, seconds)
    else:
        found = Proof(False, np.nan, 0, 0.0, "the cost is not finite at the point")
    judgement = replace(
        judgement,
        evidence=(*judgement.evidence, found.evidence()),
        sentence=f"{judgement.sentence} {found.sentence(problem.names)}",
    )
    if found.proven:
        word = judgement.verdict
        word = Verdict.GLOBAL_MINIMUM if word is Verdict.LOCAL_MINIMUM else word
        gap = found.gap if judgement.gap is None else min(judgement.gap, found.gap)
        return replace(judgement, verdict=word, gap=gap)
    if found.lower is not None:
        where = ", ".join(f"{name} = {v:.6g}" for name, v in zip(problem.names, found.lower, strict=True))
        if judgement.verdict is Verdict.GLOBAL_MINIMUM:
            # A derivative of the cost's own, or stop_gradient, had it taken for convex.
            judgement = replace(judgement, verdict=Verdict.LOCAL_MINIMUM, gap=None)
        return replace(judgement, next_step=f"Start at {where}.")
    return judgement


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
    found = Verification(
        x=plain(problem.restore(problem.start)),
        fun=judgement.value,
        **said_of(problem, judgement),
        downhill=judgement.downhill,
        jac=None if gradient is None else plain(problem.parameters.restore(gradient)),
        nit=0,
        nfev=spent.values,
        njev=spent.gradients,
        nhev=spent.hessians + spent.products,
        plan=None,
        timing=timing,
    )
    found._problem = problem
    return found
