"""A second look at a minimum between constraints: what leads on inside them, that balanced slopes alone do not show.

Where no constraint is active the point is one like any other, and is judged like it, except that the cost counts as
having no value where a constraint is broken. Where linear ones are, that is done within the plane that they leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..constraints.rows import Rows, outside
from ..objective import Objective
from .constrained import Multipliers, judge_constrained
from .constrained_point import MET, SMALL, Point
from .judge import judge
from .look import look_at
from .onward import SHALLOW
from .rays import scaled
from .split_kink import split_minimum_between
from .wording import direction_name, number
from .words import Evidence, Judgement, Verdict

Vector = np.ndarray

# Words that a second look may put in the place of a minimum's: they are shown by lower points, or by a step.
SHOWN = frozenset(
    {
        Verdict.SADDLE_POINT,
        Verdict.PLATEAU,
        Verdict.INFIMUM_NOT_ATTAINED,
        Verdict.UNBOUNDED_BELOW,
        Verdict.NO_SLOPE,
        Verdict.FLAT_MINIMUM,
    }
)

ENDLESS = frozenset({Verdict.INFIMUM_NOT_ATTAINED, Verdict.UNBOUNDED_BELOW})


def judge_between(
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
    """What the point `x` (n,) is among the points that meet `rows`; arguments as for `judge_constrained`."""
    about: dict[str, Any] = {"structure": structure, "stop": stop, "history": history, "seed": seed}
    if not infeasible and rows.split() is not None:
        with np.errstate(all="ignore"):
            known = structure if rows.convex() else None  # a convex cost alone has other minima between them
            kinked = split_minimum_between(look_at(objective, x, names, known, stop, history, seed), rows)
        if kinked is not None:
            return kinked
    first, multipliers = judge_constrained(
        objective, rows, x, names=names, infeasible=infeasible, hint=hint, **about
    )
    if not first.verdict.is_minimum or objective.n > SMALL:
        return first, multipliers
    if not multipliers.active:
        second = judge(_fenced(objective, rows, x), x, names=names, **about)
        if second.verdict in SHOWN:
            return _told(first, second), multipliers
    elif rows.linear and not getattr(structure, "degree", np.inf) <= 2:
        with np.errstate(all="ignore"):
            point = Point(look_at(objective, x, names, structure, stop, history, seed), rows, hint)
            endless = _endless_in_the_plane(point, first)
        if endless is not None:
            return endless, multipliers
    return first, multipliers


def _told(first: Judgement, second: Judgement) -> Judgement:
    spent = replace(
        second.spent,
        values=second.spent.values + first.spent.values,
        gradients=second.spent.gradients + first.spent.gradients,
    )
    return replace(
        second,
        evidence=(*first.evidence[:1], *second.evidence),
        sentence=f"{second.sentence} Every constraint is met here, and none is active.",
        spent=spent,
    )


def _fenced(objective: Objective, rows: Rows, x: Vector) -> Objective:
    """The cost without a value where a constraint is broken by more than it is at `x` (n,)."""
    sizes = np.maximum(np.abs(rows.value(x)), 1.0) * MET
    allowed = np.maximum(outside(rows.value(x), rows.lower, rows.upper), sizes)

    def met(x: Vector) -> bool:
        broken = outside(np.asarray(rows.value(x)), rows.lower, rows.upper)
        return bool((broken <= allowed).all())

    def value(x: Vector) -> float:
        return objective.value(x) if met(x) else np.nan

    def value_and_gradient(x: Vector) -> tuple[float, Vector]:
        return objective.value_and_gradient(x) if met(x) else (np.nan, np.full(objective.n, np.nan))

    objective = objective.for_the_judge()
    return Objective(
        objective.n,
        value=value,
        value_and_gradient=value_and_gradient,
        hessian=objective.hessian if objective.has_hessian else None,
        hessian_product=objective.hessian_product if objective.has_hessian_product else None,
        bounds=objective.bounds,
        derivatives=objective.derivatives,
    )


class _Began:
    """The first row of a walk within the plane: where it began (k,), and the cost there."""

    def __init__(self, place: Vector, value: float) -> None:
        self.x, self.value, self.first = place[None, :], np.array([value]), (value, place)

    def __len__(self) -> int:
        return 1


def _endless_in_the_plane(point: Point, first: Judgement) -> Judgement | None:
    """The word where the cost falls for ever along the plane that linear constraints leave; None where it does not."""
    look = point.look
    space = point.tangent
    if look.start is None or look.fall is None or not space.shape[1] or point.hessian is None:
        return None
    plane = point.scale[:, None] * space
    bends = np.linalg.eigvalsh(plane.T @ point.hessian @ plane)
    if bends[0] > SHALLOW * look.fall:
        return None
    inside = _fenced(look.objective, point.rows, look.x)

    def at(u: Vector) -> Vector:
        return point.bounds.project(look.x + plane @ u)

    def value_and_gradient(u: Vector) -> tuple[float, Vector]:
        value, gradient = inside.value_and_gradient(at(u))
        return value, plane.T @ gradient

    reduced = Objective(
        space.shape[1],
        value=lambda u: inside.value(at(u)),
        value_and_gradient=value_and_gradient,
        hessian=lambda u: plane.T @ np.asarray(inside.hessian(at(u))) @ plane,
        derivatives=look.objective.derivatives,
    )
    began = np.linalg.lstsq(plane, look.start - look.x, rcond=None)[0]
    names = [f"u[{k}]" for k in range(began.size)]
    value = look.value + look.fall
    found = judge(reduced, np.zeros(began.size), names=names, stop=look.stop, history=_Began(began, value))
    if found.verdict not in ENDLESS:
        return None
    name = direction_name(scaled(look, -(plane @ began)), look.names)
    what = (
        f"towards {number(look.value)}, and no finite point is lowest"
        if found.verdict is Verdict.INFIMUM_NOT_ATTAINED
        else "without limit"
    )
    kind = "No minimum" if found.verdict is Verdict.INFIMUM_NOT_ATTAINED else "Unbounded below"
    return Judgement(
        found.verdict,
        (
            *first.evidence,
            Evidence(f"bottom along {name}", None, None, False, "within the plane of the active constraints"),
        ),
        f"{kind}: every constraint is met, and within them the cost keeps falling along {name}, {what}.",
        "Bound the parameters, or add a penalty on their size.",
        value=first.value,
        gradient=first.gradient,
        spent=first.spent,
    )
