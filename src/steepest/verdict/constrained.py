"""The judge of constrained points: what the conditions of a minimum, as measured, say of a point, and in what words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..constraints.rows import Rows, outside
from ..linear_algebra.dense import dense
from ..numerics import EPS
from ..objective import Objective
from .constrained_conditions import (
    MOVED,
    NO_MULTIPLIERS,
    Bend,
    balance_of_slopes,
    complementarity,
    feasibility,
    independence_of_slopes,
    least_violation,
    second_order,
    slope_rounding,
)
from .constrained_point import MET, SMALL, Point, Vector
from .failures import value_not_finite
from .look import Look, look_at
from .onward import FALLEN, FAR_AWAY
from .wording import direction_name, listed, number
from .words import Evidence, Judgement, Verdict

# Distances at which a cost is looked at that may fall for ever.
LONG_WAYS = tuple(10.0**k for k in range(9))


@dataclass(frozen=True)
class Multipliers:
    """What holds the point: the gradient is Jᵀ rows + bounds. `active`: names of the constraints at their limits."""

    rows: Vector
    bounds: Vector
    active: tuple[str, ...]
    violation: float


def judge_constrained(
    objective: Objective,
    rows: Rows,
    x: Vector,
    *,
    names: Sequence[str],
    structure: Any = None,
    stop: str | None = None,
    history: Any = None,
    infeasible: bool = False,
    hint: tuple[Vector, Vector] | None = None,
    seed: int = 0,
) -> tuple[Judgement, Multipliers]:
    """What the point `x` (n,) is among the points that meet `rows`; arguments as for `judge`.

    `infeasible`: the walk ended where the violation is smallest. `hint`: multipliers of the rows and the bounds that
    the walk found, used where there are too many to compute them afresh.

    >>> bowl = Objective(
    ...     1, value_and_gradient=lambda x: (float(x @ x), 2 * x), hessian=lambda x: 2 * np.eye(1)
    ... )
    >>> from steepest.constraints.rows import Block
    >>> row = Block(1, lambda x: x, lambda x: np.eye(1), lambda x, u: 0.0, linear=True)
    >>> at_least_one = Rows(1, np.array([1.0]), np.array([np.inf]), ("x >= 1",), (row,), np.arange(1))
    >>> judgement, multipliers = judge_constrained(bowl, at_least_one, np.array([1.0]), names=("x",))
    >>> print(judgement.verdict, multipliers.rows)
    local minimum [2.]
    """
    with np.errstate(all="ignore"):
        look = look_at(objective, x, names, structure, stop, history, seed)
        point = Point(look, rows, hint)
        judgement = replace(
            _judge(point, infeasible), value=look.value, gradient=look.gradient, spent=look.objective.counts
        )
        if point.readable:
            return judgement, Multipliers(
                point.multipliers, point.bound_multipliers, point.active_names, point.worst
            )
        nothing = np.full(rows.m, np.nan), np.full(look.n, np.nan)
        return judgement, Multipliers(*nothing, (), np.nan)


def _judge(point: Point, infeasible: bool) -> Judgement:
    look = point.look
    if look.value == -np.inf and np.isfinite(point.value).all() and feasibility(point).holds:
        return value_not_finite(look)
    if not point.readable:
        return _not_finite(point)
    evidence = [feasibility(point)]
    if not evidence[0].holds:
        return _not_met(point, infeasible, evidence)
    if look.stop == "unbounded below" or look.stop == "parameters run to infinity":
        endless = _went_without_end(look, evidence)
        if endless is not None:
            return endless
    limit = slope_rounding(point)
    stationarity, step = balance_of_slopes(point, limit)
    evidence.append(stationarity)
    if not stationarity.holds:
        return _not_stationary(point, evidence)
    evidence.append(complementarity(point))
    if not evidence[-1].holds:
        return _not_on_its_limit(point, evidence)
    independence = independence_of_slopes(point)
    if independence is not None:
        evidence.append(independence)
    bend = second_order(point)
    evidence.append(bend.evidence)
    if bend.lower is not None:
        name = direction_name(bend.lower - point.x, look.names)
        return Judgement(
            Verdict.SADDLE_POINT,
            tuple(evidence),
            f"Saddle point: the slopes balance, but along {name} the cost falls while the constraints stay met.",
            "Start from a point along that direction.",
            downhill=bend.lower - point.x,
        )
    return _minimum(point, evidence, bend, limit, step)


def _went_without_end(look: Look, evidence: list[Evidence]) -> Judgement | None:
    """What is said where the walk took its way for endless, if the cost, or where it is lowest, bears that out.

    A parameter that nothing holds, as one that the cost does not feel, runs away while the cost stays what it is.
    """
    begun = look.history.first[0] if look.history is not None and len(look.history) else 0.0
    if look.value < -FALLEN * abs(begun):
        return Judgement(
            Verdict.UNBOUNDED_BELOW,
            tuple(evidence),
            f"Unbounded below: the constraints are met and the cost fell to {number(look.value)}, still falling.",
            "Check the sign of the cost, or bound the parameters.",
        )
    before = 1.0 if look.start is None else max(1.0, float(np.abs(look.start).max(initial=0.0)))
    if float(np.abs(look.x).max(initial=0.0)) > FAR_AWAY * before:
        return Judgement(
            Verdict.INFIMUM_NOT_ATTAINED,
            tuple(evidence),
            f"No minimum: the constraints are met and the cost came down to {number(look.value)} while the parameters "
            "grew without limit.",
            "Bound the parameters, or add a penalty on their size.",
        )
    return None


def _not_met(point: Point, infeasible: bool, evidence: list[Evidence]) -> Judgement:
    look = point.look
    worst = int(np.argmax(point.violations / point.sizes))
    what = f"{point.rows.names[worst]} is missed by {number(point.violations[worst])}"
    if look.stop in ("out of budget", "stopped"):
        word = Verdict(look.stop)
        return Judgement(
            word,
            tuple(evidence),
            f"{word.value.capitalize()} before the constraints were met: {what} at the point of least violation, which "
            "is given.",
            "Allow more, or start nearer to where the constraints are met.",
        )
    least = least_violation(point)
    evidence.append(least)
    if least.holds or infeasible:
        none = "meets the constraints" if point.rows.convex() else "that meets the constraints was found"
        return Judgement(
            Verdict.NOT_FINITE,
            tuple(evidence),
            f"No point {none}: at the point of least violation, which is given, {what}, and no small move lessens it. "
            "Where constraints are not met the cost counts as infinite.",
            "Check the constraints against each other, or start somewhere else.",
        )
    return Judgement(
        Verdict.NOT_FINITE,
        tuple(evidence),
        f"The constraints were not met: {what} at the point of least violation, which is given. Where constraints are "
        "not met the cost counts as infinite.",
        "Start nearer to where the constraints are met, or scale the constraints to similar sizes.",
    )


def _not_on_its_limit(point: Point, evidence: list[Evidence]) -> Judgement:
    """The slopes balance, but so steeply that the last bit of a constraint still decides the cost."""
    rank, count = point.independent
    degenerate = " The slopes of the active constraints depend on each other there." if rank < count else ""
    return Judgement(
        Verdict.OUT_OF_BUDGET,
        tuple(evidence),
        "Close to a minimum, but not shown to be there: multipliers grow without limit towards it, and what is left of "
        f"the distance to the constraints still moves the cost by {number(evidence[-1].measured or 0.0)}.{degenerate}",
        "Write the constraints so that their slopes do not vanish or coincide where they meet.",
    )


def _minimum(point: Point, evidence: list[Evidence], bend: Bend, limit: Vector, step: Vector) -> Judgement:
    look = point.look
    convex = look.convex and point.rows.convex()
    if not bend.known and not convex and not bend.evidence.holds:
        word = Verdict.LOCAL_MINIMUM
        ending = ", as far as first derivatives tell"
    elif bend.flat:
        word = Verdict.FLAT_MINIMUM
        ending = (
            f", and walking along {listed([direction_name(d, look.names) for d in bend.flat])} costs nothing"
        )
    else:
        word = Verdict.GLOBAL_MINIMUM if convex else Verdict.LOCAL_MINIMUM
        ending = "" if bend.evidence.holds else ", and no way down was found where the curvature vanishes"
    if convex:
        reason = f"{look.structure.convexity.reason} and the constraints leave a convex set"
        evidence.append(Evidence("convexity", None, None, True, reason))
        ending += f"; {reason}, so no lower point exists"
    held = (
        f" with {listed(point.active_names)} active" if point.active_names else " with no constraint active"
    )
    dependent = any(item.name.startswith("independent") for item in evidence)
    ending += (
        ". The active constraints depend on each other here, so their multipliers are not unique" * dependent
    )
    vanishing = point.vanishing_names
    if vanishing:
        slopes = "The slope of" if len(vanishing) == 1 else "The slopes of"
        moved = number(next(item.measured or 0.0 for item in evidence if item.name == MOVED))
        ending += (
            f". {slopes} {listed(list(vanishing))} all but vanish{'es' * (len(vanishing) == 1)} here, so that rounding "
            f"hides how far off the limit is: by what is left, {moved}, the cost may be too low or too high"
        )
    return Judgement(
        word,
        tuple(evidence),
        f"Minimum: every constraint is met,{held}, and the slopes balance{ending}.",
        "Fix a parameter in that direction, or add a small penalty, to make the answer unique."
        if bend.flat
        else "",
        digits=_digits(point, limit, step, bend),
    )


def _digits(point: Point, limit: Vector, step: Vector, bend: Bend) -> Vector | None:
    """Digits of each parameter: errors of slope and rows carried through the equations of the active constraints.

    What pushes and is met short of its limit is as far off as one that is missed by as much.
    """
    H = point.hessian
    if H is None:
        return None
    from .precision import digits_of

    rows, bounds = point.pushing
    free, hold = np.flatnonzero(~bounds), np.flatnonzero(rows)
    A = dense(point.J[hold][:, free]) * point.scale[free]
    D = point.scale[free]
    K = np.block([[D[:, None] * H[np.ix_(free, free)] * D, A.T], [A, np.zeros((hold.size, hold.size))]])
    pushed = np.flatnonzero(bounds)
    low, high = point.x - point.bounds.lower, point.bounds.upper - point.x
    beside = np.minimum(low, high)[pushed]
    of_slope = limit[free] + np.abs(H[np.ix_(free, pushed)]) @ beside
    away = np.minimum(np.abs(point.value - point.rows.lower), np.abs(point.value - point.rows.upper))[hold]
    of_rows = np.maximum(away, EPS * 4 * point.sizes[hold]) + np.abs(dense(point.J[hold][:, pushed])) @ beside
    errors = np.concatenate([D * of_slope, of_rows])
    size = np.sqrt(np.maximum(np.abs(K).max(axis=0, initial=0.0), np.finfo(float).tiny))
    # Where the slope of a constraint vanishes, as that of x² = 0, what is left of it is small, and the parameters are
    # off by that much more: of what is smaller than rounding all that is known is that it is no larger.
    values, V = np.linalg.eigh(K / size[:, None] / size)
    values = np.copysign(np.maximum(np.abs(values), EPS * np.abs(values).max(initial=0.0)), values)
    inverse = (V / values) @ V.T
    spread = (np.abs(inverse) @ (errors / size) / size)[: free.size]
    error = 0.5 * np.spacing(np.abs(point.x)) + np.abs(step)
    error[free] += D * spread
    error[pushed] += beside
    digits = digits_of(point.look, error)
    for direction in bend.flat:
        digits = np.where(np.abs(direction) > 1e-6 * np.abs(direction).max(), 0.0, digits)
    return digits


def _not_stationary(point: Point, evidence: list[Evidence]) -> Judgement:
    look = point.look
    most = float(np.abs(point.residual).max())
    left = f"the slopes do not balance yet: {number(most)} is left"
    if not np.isfinite(most):
        left = f"whether the slopes balance is not known: {NO_MULTIPLIERS}"
    direction = _falls_for_ever(point)
    if direction is not None:
        name = direction_name(direction, look.names)
        evidence.append(Evidence(f"cost along {name}", None, None, False, "falls as far as it was followed"))
        return Judgement(
            Verdict.UNBOUNDED_BELOW,
            tuple(evidence),
            f"Unbounded below: along {name} the cost falls without limit while the constraints stay met.",
            "Check the sign of the cost and the constraints, or bound the parameters.",
        )
    if look.stop == "stopped":
        return Judgement(
            Verdict.STOPPED, tuple(evidence), f"Stopped: the constraints are met, but {left}.", ""
        )
    rank, count = point.independent if look.n + point.rows.m <= SMALL else (0, 0)
    if rank < count:
        evidence.append(
            Evidence(
                "independent slopes of the active constraints", float(rank), float(count), False,
                "they depend on each other (LICQ fails): a minimum need not balance its slopes here",
            )
        )  # fmt: skip
    return Judgement(
        Verdict.OUT_OF_BUDGET,
        tuple(evidence),
        f"Not at a minimum as far as can be shown: the constraints are met, but {left}.",
        "Allow more steps, start somewhere else, or look for kinks in the cost and the constraints."
        if look.stop != "out of budget"
        else "Allow more.",
    )


def _falls_for_ever(point: Point) -> Vector | None:
    """A direction along which the cost falls ever faster, or as fast as before, and no constraint is ever broken."""
    look = point.look
    if look.start is None:
        directions = [-point.residual]
    else:
        passed = look.history.x
        directions = [point.x - before for before in (look.start, passed[len(passed) // 2])]
        directions.append(-point.residual * point.scale**2)
    for direction in directions:
        size = float(np.abs(direction / point.scale).max())
        if not 0.0 < size < np.inf:
            continue
        direction = direction / size
        last, rate = look.value, 0.0
        for distance in LONG_WAYS:
            near = point.x + distance * direction
            value = look.value_at(near) if point.bounds.contains(near) else np.nan
            rows = point.rows_at(near)
            met = (
                outside(rows, point.rows.lower, point.rows.upper) <= MET * point.sizes * (1.0 + distance)
            ).all()
            fall = (last - value) / distance
            if not met or not fall > 0.5 * rate:
                break
            last, rate = value, fall
        else:
            return direction
    return None


def _not_finite(point: Point) -> Judgement:
    look = point.look
    broken = [str(point.rows.names[k]) for k in np.flatnonzero(~np.isfinite(point.value)).tolist()]
    what = listed(broken) if broken else "the cost or its slope"
    evidence = Evidence(
        "cost, slope and constraints at the point", look.value, None, False, "evaluated afresh"
    )
    return Judgement(
        Verdict.NOT_FINITE,
        (evidence,),
        f"Not finite: {what} cannot be computed at this point.",
        "Start where the cost and the constraints exist, or bound the parameters to that region.",
    )
