"""Judge a point between constraints, whoever found it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .bounds import Vector
from .constraints.rows import Rows
from .problem import Problem
from .search.constrained import read_rows, told_of
from .search.descent import structure_of
from .verdict.between import judge_between
from .verdict.words import Judgement


def judged_between(
    problem: Problem, constraints: Any, derivatives: str, seed: int, history: Any
) -> tuple[Judgement, dict[str, Any]] | None:
    """The judgement of the problem's start and what a result says of its constraints; None where they have no rows.

    `history`: of the walk, as far as it is known.
    """
    rows = read_rows(constraints, problem, derivatives)
    if rows is None:
        return None
    judgement, multipliers = judge_between(
        problem.objective,
        rows,
        problem.start,
        names=problem.names,
        structure=structure_of(problem),
        history=history,
        seed=seed,
    )
    return judgement, told_of(problem, rows, multipliers)


def conditions_of(
    problem: Problem, rows: Rows, multipliers: Vector, of_bounds: Vector
) -> tuple[float, list[str]]:
    """How well claimed multipliers hold the problem's start, by the conditions of Karush, Kuhn and Tucker.

    `multipliers` (m,) of the rows, `of_bounds` (n,) on the free parameters. Gives what is left of the slope when they
    push against it, as a part of what cancels there, and the names of those that push the wrong way: away from a limit
    that is not there, or that the point is not at.
    """
    x, bounds = problem.start, problem.objective.bounds
    _, gradient = problem.objective.afresh().value_and_gradient(x)
    J = rows.jacobian(x)
    pushed = np.asarray(J.T @ multipliers)
    size = np.abs(gradient) + np.asarray(abs(J).T @ np.abs(multipliers)) + np.abs(of_bounds)
    left = np.abs(gradient - pushed - of_bounds)
    largest = float(size.max(initial=0.0))
    part = float(left.max(initial=0.0)) / largest if largest > 0.0 else 0.0
    scale = np.maximum(np.abs(x), 1.0)
    slopes = np.asarray(abs(J) @ scale)
    value = rows.value(x)
    wrong = _pushing_wrong(
        multipliers, value - rows.lower, rows.upper - value, NEAR * np.maximum(slopes, 1.0)
    )
    wrong_bounds = _pushing_wrong(of_bounds, x - bounds.lower, bounds.upper - x, NEAR * scale)
    names = [str(rows.names[k]) for k in wrong] + [f"bound of {problem.names[i]}" for i in wrong_bounds]
    return part, names


# A multiplier may push from a limit this near, as a part of the row's size, and counts as none below this part of the
# largest.
NEAR, NONE = 1e-6, 1e-9


def _pushing_wrong(push: Vector, above: Vector, below: Vector, near: Vector) -> list[int]:
    """Indices of what pushes up without its lower limit being near, or down without its upper one."""
    least = NONE * float(np.abs(push).max(initial=0.0))
    wrong = ((push > least) & ~(above <= near)) | ((push < -least) & ~(below <= near))
    found: list[int] = np.flatnonzero(wrong).tolist()
    return found
