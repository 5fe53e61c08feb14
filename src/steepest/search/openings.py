"""Other places and other openings to walk from, where the first walk may have been led past a lower minimum."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..bounds import Vector
from ..linear_algebra.box_pairs import lower_by_pairs
from ..linear_algebra.curvature import newton_step
from ..objective import Objective
from ..solvers.lbfgs import LBFGS
from ..solvers.linear_residuals import met_by_linear_residuals
from ..solvers.plan import Rung
from ..solvers.situation import HESSIAN_PARAMETERS, Situation
from .descent import structure_of
from .homing import Homing
from .nearby import LOWER
from .sequels import LEAST_STEPS, MOST_WORK, ROUNDS, Sequels

# Steps by slopes alone before curvature is followed again. On Broyden functions of power 7/3, 300 to 5,000 parameters,
# twenty end 2 to 7 % higher.
OPENING_STEPS = 40

# With fewer parameters, looking around finds what another opening would.
OPENED_AGAIN = 13


def by_linear_residuals(sequels: Sequels) -> None:
    """From where the linear residuals alone would have the parameters, if that is lower."""
    objective, run = sequels.problem.objective, sequels.run
    situation = Situation(objective, lambda: structure_of(sequels.problem))
    if not (situation.is_bearable and objective.least_squares and situation.is_partly_linear):
        return
    place = met_by_linear_residuals(objective, run.x)
    if place is not None and objective.value(place) < run.value - LOWER * abs(run.value):
        sequels.leads_lower(place, max(run.steps, LEAST_STEPS))


def other_openings(sequels: Sequels) -> None:
    """From the start again, first by slopes: where they lead differs from where curvature leads.

    One step down the slope is enough to tell. Where curvature comes home from there, or leads no lower and the cost
    bends upwards at the start, there is no sign of another valley; else more steps by slopes choose one.
    """
    objective, start = sequels.problem.objective, sequels.problem.start
    rung = sequels.by_curvature
    H = None if rung is None or not sequels.are_worth_it() else hessian_at_start(sequels)
    if rung is None or H is None:
        return
    if isinstance(H, np.ndarray):
        bends_down = newton_step(np.zeros(start.size), H) is None
    else:
        bends_down = objective.analysed(H).factorise(H.data, 0.0, None) is None
    if not bends_down and structure_of(sequels.problem).degree <= 2:
        return
    place = down_the_slope(objective, start, H)
    if place is not None:
        led_lower = sequels.leads_lower(place, max(sequels.run.steps, LEAST_STEPS), by=rung)
        if sequels.came_home or not (led_lower or bends_down) or not sequels.are_worth_it():
            return
    objective.forget()
    homing = Homing(sequels.run, sequels.problem, sequels.way.recording)
    opening = sequels.watched(Rung(LBFGS(), "", OPENING_STEPS), start, homing)
    if sequels.came_home or sequels.way.told_to_stop is not None:
        sequels.walks += 1
        return
    sequels.leads_lower(opening.x, max(sequels.run.steps, LEAST_STEPS), opening, by=rung)


def hessian_at_start(sequels: Sequels) -> Any:
    """The Hessian (n, n) at the start, sparse where it is large; None where it takes more than a moment."""
    objective, start = sequels.problem.objective, sequels.problem.start
    if objective.n <= HESSIAN_PARAMETERS:
        return objective.hessian(start) if objective.has_hessian else None
    if not objective.has_sparse_hessian:
        return None
    H = objective.sparse_hessian(start)
    return H if max(sequels.run.steps, LEAST_STEPS) * objective.most_work(H) <= MOST_WORK else None


def by_pairs(sequels: Sequels) -> None:
    """Of a quadratic between bounds, two parameters at a time moved to where both are lower, as long as any are."""
    objective = sequels.problem.objective
    bounds, facts = objective.bounds, structure_of(sequels.problem)
    if not bounds.any or facts is None or facts.degree > 2:
        return
    situation = Situation(objective, lambda: facts)
    whole = objective.has_hessian and (objective.n <= HESSIAN_PARAMETERS or situation.is_one_matrix)
    if not (situation.is_sparse or whole):
        return
    for _ in range(ROUNDS):
        run = sequels.run
        if not sequels.are_worth_it():
            return
        H = objective.sparse_hessian(run.x) if situation.is_sparse else objective.hessian(run.x)
        least = LOWER * abs(run.value)
        place = lower_by_pairs(H, run.gradient, run.x, bounds.lower, bounds.upper, least)
        if place is None or not sequels.leads_lower(place, max(run.steps, LEAST_STEPS)):
            return


def across_zero(sequels: Sequels) -> None:
    """From zero, and from the start on its other side, where that is lower: a value each tells.

    Of 333 walks on problems of the literature that ended in what may not be the lowest minimum, 22 ended above the
    cost at zero, 16 of them of one family, and 5 above that of the mirrored start. Of the other places tried on
    the lines through the minimum, the start and zero hardly any were lower; walks from each of them even so took
    half as much again as all that was before, and led lower from one end in fifteen.
    """
    objective, start = sequels.problem.objective, sequels.problem.start
    if not start.any():
        return
    known = [start]
    for words, place in (("zero", np.zeros(start.size)), ("the start mirrored at zero", -start)):
        run = sequels.run
        if not sequels.are_worth_it():
            return
        inside = objective.bounds.project(place)
        if any(np.array_equal(inside, other) for other in known):
            continue
        known.append(inside)
        value = objective.value(inside)
        sequels.looked += 1
        is_lower = np.isfinite(value) and value < run.value - LOWER * abs(run.value)
        if is_lower and sequels.leads_lower(inside, max(run.steps, LEAST_STEPS)):
            is_there = np.array_equal(inside, place)
            sequels.across = words if is_there else f"the place nearest to {words} inside the bounds"


def down_the_slope(objective: Objective, start: Vector, H: Any) -> Vector | None:
    """The lowest place of the quadratic along the slope at `start` (n,), inside the bounds; None if not lower there.

    `H` is the Hessian (n, n) at the start; where it bends down along the slope, it says nothing of how far to go.
    """
    bounds = objective.bounds
    value, gradient = objective.value_and_gradient(start)
    down = bounds.project(start - gradient) - start
    bend = float(down @ (H @ down))
    if not bend > 0.0:
        return None
    place = bounds.project(start - float(gradient @ down) / bend * down)
    return place if objective.value(place) < value else None
