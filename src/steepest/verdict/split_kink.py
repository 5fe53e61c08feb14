"""Does zero lie in the hull of the slopes that meet here? Read off the trace: by the multipliers of the kinks.

At a kink |z| = p + q with z = p - q and p = q = 0, and the multiplier of that equation is the slope between the two
sides. That the slopes balance there, and the cost bends upwards along the kinks, is shown for the smooth program
(`structure.splitting`), exactly and for any number of kinks, where gathered slopes can only sample. A norm that is zero
is held by equations for what it is taken of, with multipliers together no longer than the slope of the cost in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..bounds import Vector
from ..constraints.rows import Rows
from ..linear_algebra.saddle_systems import solved_with_pivoting
from ..numerics import EPS
from ..objective import Objective
from ..presentation.text import counted
from ..solvers.constrained_driver import is_defined
from ..solvers.smooth_programs import SmoothProgram, between, smooth_program
from .constrained import Multipliers, judge_constrained
from .constrained_point import Point
from .failures import fades
from .kink import Kink
from .kink_multipliers import MOST_DEPENDENT, at_limits, inside_of_sides, multipliers_inside, of_sides
from .look import NO_NUMBER, Look
from .minima import kink_minimum
from .norm_balls import held_together
from .precision import digits_of
from .tails import WEAK_BESIDE, tail_beside_kinks
from .wording import listed
from .words import Evidence, Judgement, Verdict

# Both sides of a kink this near, against the sizes met on the way to it, and the point lies on it.
ON_IT = 1e-9

# Kinks that the smooth program has still must be this far from the point, in parts of its size.
NEAR_BY = 1e-6

# A jump of the slope below this part of the largest is none.
NO_JUMP = 1e-9

# A slope that could change the cost by less than this part of its size, or of its fall, within the parameters' sizes
# is left by unpolished points. More, and the cost is asked so many sizes down it; lower by more roundings is lower.
SLIGHT, SLID, ROUNDINGS = 1e-8, (1.0, 1e-2, 1e-4, 1e-6), 32.0

# Random signs that the rounding of slopes and equations is given when the digits are told.
RANDOM_SIGNS = 4


def split_minimum(look: Look, evidence: Sequence[Evidence]) -> Judgement | None:
    """A minimum at a kink, shown by the multipliers of the kinks; None where there is none, or it cannot be shown."""
    split = look.objective.split
    if split is None or not split.program.is_smooth_at(look.x, NEAR_BY * look.scale):
        return None
    program = split.program
    try:
        y = program.lift(look.x)
    except NO_NUMBER:
        return None
    if not np.isfinite(y).all():
        return None
    smooth = smooth_program(look.objective, split, y, look.scale)
    w = y / smooth.units
    holding = _held(program, smooth, w)
    at_most = holding | ~np.isfinite(program.lower)
    on = program.pairs[at_most[program.pairs].all(axis=1)]
    closed = holding[program.radii]
    if not on.size and not closed.any():
        return None
    vanishing = smooth.vanishing(closed, w, smooth.rows)
    w = vanishing.onto(w)
    objective, rows = vanishing.objective, vanishing.rows
    if not is_defined(objective, rows, w):
        return None
    names = [*look.names, *(f"side {k}" for k in range(y.size - look.n))]
    hint = _multipliers(objective, rows, w, holding)
    if closed.any():
        hint = held_together(vanishing, w, holding, None if hint is None else hint[0], convex=look.convex)
        if hint is None:
            return None
    judgement, multipliers = judge_constrained(objective, rows, w, names=names, hint=hint)
    if not judgement.verdict.is_minimum or _slides(look, smooth, objective, rows, w, multipliers):
        return None
    flat = judgement.verdict is Verdict.FLAT_MINIMUM and not look.convex
    if flat and _some_hold_nothing(on, multipliers.bounds, program.lower):
        return None
    count = _kinks_that_hold(on, multipliers.bounds, program.lower) + int(closed.sum())
    if not count:
        return None
    balance = next(item for item in judgement.evidence if item.name == "balance of slopes")
    kink = Kink(
        float(balance.measured or 0.0) * smooth.cost_unit,
        float(balance.limit or 0.0) * smooth.cost_unit,
        ON_IT,
        True,
        np.zeros(look.n),
        1,
        f"multipliers of {count} {'kinks' if count > 1 else 'kink'}, each between the slopes of its two sides",
    )
    along = _along_the_kinks(objective, rows, w, multipliers.rows, holding)
    tail = tail_beside_kinks(look, _level(look, smooth.units, smooth.cost_unit, *along))
    if tail is not None:
        return fades(look, tail, list(evidence))
    digits = _digits(look, objective, rows, smooth.units, w, multipliers.rows, holding, *along)
    if digits is not None and judgement.digits is not None:
        digits = np.minimum(digits, judgement.digits[: look.n])
    return replace(kink_minimum(look, kink, list(evidence)), digits=digits)


def split_minimum_between(look: Look, rows: Rows) -> tuple[Judgement, Multipliers] | None:
    """The same between constraints, with their multipliers (m,) and those of the bounds (n,)."""
    split = rows.split()
    if split is None or not split.program.is_smooth_at(look.x, NEAR_BY * look.scale):
        return None
    try:
        y = split.program.lift(look.x)
        smooth = smooth_program(look.objective, split, y, look.scale) if np.isfinite(y).all() else None
    except NO_NUMBER:
        return None
    if smooth is None:
        return None
    w, unit, n = y / smooth.units, smooth.cost_unit, look.n
    holding = _held(split.program, smooth, w)
    at_most = holding | ~np.isfinite(split.program.lower)
    on = split.program.pairs[at_most[split.program.pairs].all(axis=1)]
    together, kinks = between(smooth, rows, split.limits), smooth.rows.m
    closed = _weighing(smooth, together, w, holding)
    if not on.size and not closed.any():
        return None
    vanishing = smooth.vanishing(closed, w, together)
    w = vanishing.onto(w)
    names = [*look.names, *(f"side {k}" for k in range(y.size - n))]
    hint = multipliers_inside(vanishing, w, holding, convex=look.convex)
    if hint is None:
        return None
    judgement, multipliers = judge_constrained(vanishing.objective, vanishing.rows, w, names=names, hint=hint)
    if not judgement.verdict.is_minimum:
        return None
    if _slides(look, smooth, vanishing.objective, vanishing.rows, w, multipliers, between=rows):
        return None
    count = _kinks_that_hold(on, multipliers.bounds, split.program.lower) + int(closed.sum())
    if not count:
        return None
    balance = next(item for item in judgement.evidence if item.name == "balance of slopes")
    how = f"multipliers of {counted(count, 'kink')} and of the constraints"
    sizes = [unit * float(number or 0.0) for number in (balance.measured, balance.limit)]
    kink = Kink(sizes[0], sizes[1], ON_IT, True, np.zeros(n), 1, how)
    evidence = [item for item in judgement.evidence if item.name == "constraint violation"]
    found = kink_minimum(look, kink, evidence)
    active = Point(look, rows, None).active_names  # in the parameters' own units
    ending = f", with {listed(active)} active" if active else ", and none is active"
    found = replace(
        found,
        sentence=f"{found.sentence} Every constraint is met{ending}.",
        digits=None if judgement.digits is None else judgement.digits[:n],
        value=look.value,
        gradient=look.gradient,
        spent=look.objective.counts,
    )
    bounds = unit * multipliers.bounds[:n] / smooth.units[:n]
    violation = float(np.max(rows.violation(look.x), initial=0.0))
    pushes = unit * multipliers.rows[kinks : together.m]
    return found, Multipliers(pushes, bounds, active, violation)


def _slides(
    look: Look,
    smooth: SmoothProgram,
    objective: Objective,
    inner: Rows,
    w: Vector,
    multipliers: Multipliers,
    between: Rows | None = None,
) -> bool:
    """Whether the cost itself falls along what the multipliers leave of the slope, met as the constraints are.

    What is left is measured against the largest slope of the program, and one kink far away, or in other units than
    the rest, may be steeper than all that matters here.
    """
    n, units = look.n, smooth.units[: look.n]
    _, gradient = objective.value_and_gradient(w)
    left = (gradient - inner.jacobian(w).T @ multipliers.rows - multipliers.bounds)[:n]
    sizes = look.scale / units
    size = max(look.fall or 0.0, abs(look.value))
    if float(np.abs(left) @ sizes) * smooth.cost_unit <= SLIGHT * size:
        return False
    way = -units * sizes**2 * left
    way = way / float(np.abs(way / look.scale).max())
    for part in SLID:
        there = look.inside(look.x + part * way)
        met = between is None or bool((between.violation(there) <= between.violation(look.x)).all())
        if met and look.value_at(there) < look.value - ROUNDINGS * EPS * size:
            return True
    return False


def _weighing(smooth: SmoothProgram, rows: Rows, w: Vector, holding: np.ndarray) -> np.ndarray:
    """Mask (K,) of the norms held at zero that the cost has a slope in, or an equation or inequality at its limit."""
    radii = smooth.program.radii
    closed = holding[radii]
    if not closed.any():
        return np.asarray(closed)
    w = w.copy()
    w[radii[closed]] = 0.0
    _, gradient = smooth.objective.value_and_gradient(w)
    at_lower, at_upper = at_limits(rows, w)
    slopes = rows.jacobian(w)[np.flatnonzero(at_lower | at_upper)]
    return np.asarray(
        closed & ((gradient != 0.0) | (np.asarray(abs(slopes).sum(axis=0)).ravel() > 0.0))[radii]
    )


def _some_hold_nothing(on: np.ndarray, multipliers: Vector, lower: Vector) -> bool:
    """Whether the slope does not jump at some two-sided kink of `on` (k, 2), as at that of |z|³ at zero.

    Its sides, held at zero, hide how the cost bends across it.
    """
    pushes = multipliers[on].sum(axis=1) > NO_JUMP * float(np.abs(multipliers).max(initial=0.0))
    return bool((np.isfinite(lower[on[:, 0]]) & ~pushes).any())


def _kinks_that_hold(on: np.ndarray, multipliers: Vector, lower: Vector) -> int:
    """How many of the kinks `on` (k, 2) that the point lies on make the slope jump.

    The multipliers of both sides add up to the jump. Of elements that are the largest together, each but one is a kink.
    """
    pushes = multipliers[on].sum(axis=1) > NO_JUMP * float(np.abs(multipliers).max(initial=0.0))
    of_largest = ~np.isfinite(lower[on[:, 0]])
    together = int(pushes[of_largest].sum()) - np.unique(on[of_largest & pushes, 0]).size
    return int(pushes[~of_largest].sum()) + together


def _held(program: Any, smooth: SmoothProgram, w: Vector) -> np.ndarray:
    """Mask (N,) of the sides that are at zero to within rounding of what they are made from, at least one unit each."""
    sizes = np.maximum(np.abs(w), 1.0)
    made = np.asarray(abs(smooth.rows.jacobian(w)) @ sizes)
    room = np.zeros(w.size)
    np.maximum.at(room, program.pairs, made[:, None])
    if smooth.parts is not None:
        made = np.asarray(abs(smooth.parts.jacobian(w)) @ sizes)
        np.maximum.at(room, program.radii[program.part_of], np.maximum(made, 1.0))
    return np.isfinite(program.lower) & (w <= ON_IT * room)


def _along_the_kinks(
    objective: Objective, rows: Rows, w: Vector, multipliers: Vector, holding: np.ndarray
) -> tuple[Any, Any, np.ndarray]:
    """Second derivatives of the Lagrangian and slopes of the equations in the free entries, and which those are."""
    fixed = holding | (w <= objective.bounds.lower) | (w >= objective.bounds.upper)
    free = np.flatnonzero(~fixed)
    A = rows.jacobian(w)[:, free]
    sparse = not isinstance(A, np.ndarray) and objective.has_sparse_hessian
    H = objective.sparse_hessian(w) if sparse else objective.hessian(w)
    bent = rows.hessian(w, -multipliers)
    H = (H + bent)[free][:, free] if np.ndim(bent) == 2 else H[free][:, free]
    return H, A, free


def _multipliers(
    objective: Objective, rows: Rows, w: Vector, holding: np.ndarray
) -> tuple[Vector, Vector] | None:
    """What balances the slopes, (m,) and (N,), by one Newton step along the kinks: gradient = Jᵀ rows + bounds.

    Those of sides and bounds are cut to the sign they may have, so that the judge sees what is left otherwise. None
    where the kinks depend on each other and are many.
    """
    w = np.where(holding, objective.bounds.lower, w)
    H, A, free = _along_the_kinks(objective, rows, w, np.zeros(rows.m), holding)
    _, gradient = objective.value_and_gradient(w)
    found = solved_with_pivoting(H, A, -np.concatenate([gradient[free], rows.value(w)]))
    if found is None and rows.m > MOST_DEPENDENT:
        return None
    u = np.zeros(rows.m) if found is None else -found[free.size :]
    J = rows.jacobian(w)
    left = gradient - J.T @ u
    low, high = w <= objective.bounds.lower, w >= objective.bounds.upper
    if found is None or (left[low & ~high] < -NO_JUMP * float(np.abs(left).max(initial=0.0))).any():
        inside = inside_of_sides(J, gradient, low, high)
        u = u if inside is None else inside
        left = gradient - J.T @ u
    return u, of_sides(left, low, high)


def _level(look: Look, units: Vector, cost_unit: float, H: Any, A: Any, free: np.ndarray) -> np.ndarray:
    """Mask (n,) of the parameters that no kink holds and that next to no curvature does."""
    held = np.asarray(abs(A).sum(axis=0)).ravel() > 0.0
    loose = (free < look.n) & ~held
    places = free[loose]
    rises = cost_unit * np.abs(H.diagonal()[loose]) * (look.scale[places] / units[places]) ** 2
    level = np.zeros(look.n, dtype=bool)
    level[places] = rises <= WEAK_BESIDE * max(look.fall or 0.0, abs(look.value))
    return level


def _digits(
    look: Look,
    objective: Objective,
    rows: Rows,
    units: Vector,
    w: Vector,
    multipliers: Vector,
    holding: np.ndarray,
    H: Any,
    A: Any,
    free: np.ndarray,
) -> Vector | None:
    """Digits of each parameter: a Newton step along the kinks, with the rounding of slopes and equations in it."""
    w = np.where(holding, objective.bounds.lower, w)
    J = rows.jacobian(w)
    _, gradient = objective.value_and_gradient(w)
    slope = (gradient - J.T @ multipliers)[free]
    residual = rows.value(w)
    of_slope = EPS * (np.abs(gradient) + abs(J).T @ np.abs(multipliers))[free]
    rounding = np.concatenate([of_slope, EPS * (abs(J) @ np.abs(w) + np.abs(residual))])
    error = np.zeros(w.size)
    for k in range(RANDOM_SIGNS):
        signs = look.generator.choice((-1.0, 1.0), rounding.size) if k else np.ones(rounding.size)
        step = solved_with_pivoting(H, A, np.concatenate([slope, residual]) + signs * rounding)
        if step is None:
            return None
        error[free] = np.maximum(error[free], np.abs(step[: free.size]))
    # What is left of a parameter that a kink holds at zero is rounding of the sizes it was computed from.
    least = 0.5 * np.spacing(np.abs(look.x)) + EPS**2 * look.scale + np.abs(look.x - (units * w)[: look.n])
    return digits_of(look, 2.0 * (units * error)[: look.n] + least)
