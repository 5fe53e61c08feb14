"""The judge: looks afresh at one point, through the cost alone, and says what it is and how that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from ..numerics import EPS, all_finite, quietly
from ..objective import Objective
from .cone_gap import minimum_on_cones
from .curvature import Curvature, confirmed, curvature_of, steady
from .degenerate import without_curvature
from .endless import pole_near, pole_on_the_way, valley_from
from .failures import (
    along_ray,
    along_valley,
    by_stop,
    fades,
    falls,
    falls_along_a_bend,
    fell_on,
    finite_by_chance,
    has_a_floor,
    into_a_pole,
    level_but_sloping,
    recedes,
    strode_on,
    value_not_finite,
    with_the_gap,
    wrong_gradient,
)
from .flatness import Course, Runs
from .kink import (
    edge_at,
    kink_at,
    kink_by_values,
    lower_beside,
    off_by_values,
    one_slope_down,
    summit_by_values,
    unseen_slope,
)
from .kink_descent import at_a_kink, way_out_of
from .look import Look, Rounding, look_at
from .measured import repeats, slope_evidence
from .measured_kink import lowest_along
from .minima import HULL, edge_minimum, kink_minimum, kinks_within, lowest_of_all, minimum
from .noise import repeatability_of
from .noise_floor import is_made_of_rounding, noise_floor, without_digits
from .onward import (
    ASKED_TO_STOP,
    along_last_displacement,
    came_down_a_tail,
    falls_along_the_floor,
    falls_beyond,
    fell_without_limit,
    is_shallow,
    lower_on_the_floor,
    unslowed_tail,
    went_far,
)
from .optimality import SPREAD_FACTOR, Optimality, newton_decrease, optimality_of, rounding_of
from .overflow import cut_short, is_torn
from .precision import digits_of, error_of
from .rays import Leads, Ray, scaled, scaled_descent, walk
from .receding import receding_floor
from .saddle import saddle, slope_is_small
from .split_kink import split_minimum
from .supplied import disagreement
from .tails import is_tail, weak_directions
from .weakest import with_weakest
from .wording import listed
from .words import Evidence, Judgement, Verdict

Vector = np.ndarray

# A Newton step that leaves more than this part of the promised decrease was not near a well-determined
# minimum: a quartic leaves 0.2, a tail that never ends 0.37.
POOR_LANDING = 0.05

# A slope that leaves a parameter fewer digits than this jumps between neighbouring numbers: perhaps a kink.
FEW_DIGITS = 4.0

# The slope jumps by as much as would explain this part of the whole fall over a natural size.
JUMPING = 1e-2

# A cost above the lowest number it can be by less than this part of all it fell has nothing left to lose. Larger, and a
# walk along a tail would end there by what is left, not by where it leads.
NEXT_TO_NOTHING = EPS**2

# A bottom of order ten, come down to that, is no wider than this, in sizes of its own; nor is a point on it so much
# higher than the lowest place straight down its slope as one over this.
WIDE = 1e-2

# What is claimed of a place where the slope is zero, and of any that is a minimum.
SMOOTH_MINIMA = (Verdict.GLOBAL_MINIMUM, Verdict.LOCAL_MINIMUM, Verdict.FLAT_MINIMUM)
MINIMA = (*SMOOTH_MINIMA, Verdict.MINIMUM_AT_A_KINK)

# What a cost that falls for ever looks like where slope and curvature are lost in rounding, or numbers give out.
LOST_FAR_OUT = (
    Verdict.PLATEAU,
    Verdict.INFIMUM_NOT_ATTAINED,
    Verdict.SADDLE_POINT,
    Verdict.NOT_FINITE,
    Verdict.STOPPED,
)

# Where slopes are measured, a lower place along a kink counts if it is lower by more than this part of the cost and of
# its whole fall; one less low takes digits.
LOWER_ALONG = 1e-12

# Ends of a walk that could not go on, wherever it led.
STALLED = ("step below the spacing of x", "no lower point found")

# Entries of the slope that stand out of their rounding less than this part of what the most outstanding one does.
OUTSTANDING = 1e-3

# A cost that cannot change by more than this many times its own rounding within the parameters' size is level.
LEVEL = 4.0

# Words that slopes and curvature lead to, where norms are so short that these tell next to nothing.
BY_SMOOTHNESS = (Verdict.GLOBAL_MINIMUM, Verdict.LOCAL_MINIMUM, Verdict.FLAT_MINIMUM, Verdict.STOPPED)


def judge(
    objective: Objective,
    x: Vector,
    *,
    names: Sequence[str],
    structure: Any = None,
    stop: str | None = None,
    history: Any = None,
    seed: int = 0,
) -> Judgement:
    """What the point `x` (n,) is: the word, the evidence, a sentence, and the next step.

    Knows nothing of who found the point; evaluates the cost through a fresh copy of `objective`: without a
    budget, but where slopes are measured `BudgetSpent` is raised once its calls exceed the budget by a tenth.
    `structure`: facts read off the trace, for "global"; `stop`: why the walk ended, as a
    `StopReason` or its text; `history`: the walk, for units and rates. `seed` fixes every random probe.
    Numerical trouble never raises.

    >>> bowl = Objective(
    ...     1, value_and_gradient=lambda x: (float(x @ x), 2 * x), hessian=lambda x: 2 * np.eye(1)
    ... )
    >>> judge(bowl, np.array([0.0]), names=("x",)).verdict
    <Verdict.LOCAL_MINIMUM: 'local minimum'>
    """
    with quietly():
        look = look_at(objective, x, names, structure, None if stop is None else str(stop), history, seed)
        found = _judge(look)
        if found.verdict in BY_SMOOTHNESS:
            found = minimum_on_cones(look, found.evidence) or found
        if found.verdict in LOST_FAR_OUT:
            way = fell_without_limit(look)
            found = found if way is None else fell_on(look, way, found.evidence)
        if found.verdict is Verdict.INFIMUM_NOT_ATTAINED:
            found = with_the_gap(look, found)
        if found.verdict in MINIMA and look.objective.derivatives == "numeric":
            found = _as_values_tell(look, found)
    return found.measured(look.value, look.gradient, look.objective.counts)


def _as_values_tell(look: Look, found: Judgement) -> Judgement:
    """A minimum by measured slopes, with no more digits than values beside it leave; or none, where they deny it."""
    off, lower = off_by_values(look)
    if lower is not None:
        why = "by the slopes that were measured it is one, but by its values the cost falls"
        return falls(look, lower - look.x, list(found.evidence), why, lower)
    if any(item.name == HULL for item in found.evidence):
        lowest, beyond = lowest_along(look)
        if look.value_at(lowest) < look.value - LOWER_ALONG * look.at_stake:
            why = "the cost has a kink here, and falls along it"
            return falls(look, lowest - look.x, list(found.evidence), why, lowest)
        off = np.maximum(off, (np.abs(lowest - look.x) + beyond) / look.scale)
    if found.digits is None or not off.any():
        return found
    return replace(found, digits=np.minimum(found.digits, digits_of(look, off * look.scale)))


def _judge(look: Look) -> Judgement:
    if not isfinite(look.value):
        return value_not_finite(look)
    if not (all_finite(look.gradient) or np.isfinite(look.gradient[look.free]).all()):
        return _slope_not_finite(look)
    repeatability = repeatability_of(look)
    evidence = [repeats(look, repeatability)]
    if not isfinite(repeatability.level):
        return finite_by_chance(look, evidence)
    off = None
    if look.objective.derivatives == "supplied":
        wrong = disagreement(look)
        evidence.append(wrong.evidence)
        if not wrong.evidence.holds:
            return wrong_gradient(wrong.sentence, evidence)
        off = wrong.error
    curvature = curvature_of(look)
    rounding = rounding_of(look, curvature, off)
    curvature = confirmed(look, curvature)
    invisible = _invisible(look, rounding)
    curvature = steady(look, curvature.seen_over(look.scale, invisible), invisible)
    optimality = optimality_of(look, rounding, curvature)
    evidence.append(slope_evidence(look, optimality))
    if repeatability.is_noisy:
        noisy = noise_floor(look, repeatability, optimality, curvature, evidence)
        if noisy is not None:
            return noisy
        return by_stop(
            look, curvature, optimality, walk(look, scaled_descent(look), rounding.value), evidence
        )
    pole = pole_near(look)
    if pole is not None:
        return into_a_pole(look, pole, evidence)
    if is_made_of_rounding(look, rounding):
        return without_digits(rounding, evidence)
    if went_far(look):
        ray = along_last_displacement(look, rounding, uphill=True)
        if ray is not None:
            return along_ray(look, ray, evidence)
    if optimality.stationary:
        return _stationary(look, curvature, rounding, optimality, evidence)
    if curvature.negative and slope_is_small(look, curvature):
        found, curvature = saddle(look, curvature, rounding, evidence)
        if found is not None:
            return found
    return _not_stationary(look, curvature, rounding, optimality, evidence)


def _invisible(look: Look, rounding: Rounding) -> float:
    """What the cost can change by without that being told from rounding, here or over the walk."""
    return SPREAD_FACTOR * rounding.value + EPS * (look.fall or 0.0)


def _stationary(
    look: Look, curvature: Curvature, rounding: Rounding, optimality: Optimality, evidence: list[Evidence]
) -> Judgement:
    if _is_larger_than_the_cost(look, float(look.scale.dot(rounding.slope))):
        # Such a slope says nothing: it is about to be infinite, where the cost ends.
        edge = edge_at(look, optimality.remaining_limit)
        if edge is not None:
            return edge_minimum(look, edge, evidence)
        way = one_slope_down(look)
        if way is not None:
            return falls(look, way, evidence, "rounding of the slope is larger than the cost, which falls")
    drowned = rounding.value > look.at_stake
    if drowned or rounding.alone or is_torn(look, rounding):
        cut = cut_short(look, rounding)
        if cut is not None:
            return along_ray(look, cut, evidence)
    if drowned:
        # Right beside the point the cost is far higher, and that is no measure of its rounding along the ravine.
        ray = walk(look, scaled_descent(look), EPS * abs(look.value))
        larger = rounding.value > look.size_aside
        if larger and ray.leads in (Leads.DOWN_FOR_EVER, Leads.TO_A_LIMIT):
            return along_ray(look, ray, evidence)
        # Where it ends there, as by overflow, an error larger than all that the walk won is a ravine's wall anyway.
        if ray.leads is Leads.NOWHERE and (larger or look.fall):
            return by_stop(look, curvature, optimality, ray, evidence)
    kinked = look.may_have_kinks
    cornered = kinked and (_jumps(look, rounding, curvature, optimality) or _on_a_kink(look))
    if cornered:
        found, excluded = at_a_kink(look, rounding, evidence)
        if excluded:
            ray = walk(look, scaled_descent(look), rounding.value)
            return found or by_stop(look, curvature, optimality, ray, evidence)
        if found is not None:
            return found
    if cornered or (kinked and _is_opaque(look)):
        promised = optimality.remaining if np.isfinite(optimality.remaining) else 0.0
        allowed = 8.0 * rounding.value + 2.0 * max(promised, optimality.remaining_limit)
        beside = None if look.convex else lower_beside(look, allowed)
        if beside is None and _is_opaque(look):
            beside = unseen_slope(look, allowed + (2.0 * look.unfollowed[0] if look.unfollowed else 0.0))
        if beside is not None:
            what = "the cost has a kink or a jump here" if cornered else "a choice hides from the slope"
            return falls(look, beside, evidence, f"{what}, and is lower right beside it")
    if curvature.negative and not look.convex:
        found, curvature = saddle(look, curvature, rounding, evidence)
        if found is not None:
            return found
    poorly = optimality.landing > POOR_LANDING and optimality.by != "rounding"
    if poorly:
        ray = walk(look, scaled(look, optimality.step), rounding.value)
        if ray.leads in (Leads.TO_A_LIMIT, Leads.DOWN_FOR_EVER):
            return along_ray(look, ray, evidence)
        strode = unslowed_tail(look, rounding)
        if strode is not None:
            return strode_on(look, strode, evidence)
    if look.objective.derivatives == "numeric":
        summit = summit_by_values(look, SPREAD_FACTOR * rounding.value)
        if summit is not None:
            why = "slope and curvature are measured over steps too wide for it, but values on both sides are lower"
            return falls(look, summit - look.x, evidence, why, summit)
        kink = kink_by_values(look, rounding.value)
        if kink is not None:
            return kink_minimum(look, kink, evidence)
    null = curvature.null
    if null.size and kinked and not cornered:
        found, _ = at_a_kink(look, rounding, evidence)
        if found is not None:
            return found
    if null.size == 0:
        curvature = with_weakest(look, curvature).seen_over(look.scale, _invisible(look, rounding))
        if curvature.negative and not look.convex:
            found, curvature = saddle(look, curvature, rounding, evidence)
            if found is not None:
                return found
    bend = lower_on_the_floor(look, optimality, rounding)
    if bend is not None:
        return falls_along_a_bend(look, bend, evidence)
    if curvature.null.size == 0:
        found = _tail_or_minimum(look, curvature, rounding, optimality, evidence)
    else:
        found = without_curvature(look, curvature, rounding, optimality, evidence)
    if found.verdict in SMOOTH_MINIMA:
        floor = receding_floor(look, curvature, rounding)
        if floor is not None:
            return recedes(look, floor, evidence)
    return found


def _is_opaque(look: Look) -> bool:
    """Whether the cost has choices in loops or calls, as an integrand that jumps at a place of the parameters.

    The slope of an integral is that of its terms, and says nothing of a jump that moves from one to the next.
    """
    return look.structure is not None and look.structure.kinks.opaque


def _is_larger_than_the_cost(look: Look, error: float) -> bool:
    """Whether an error exceeds the cost here, all that it fell by, and what it is a little way off."""
    return error > look.at_stake and error > look.size_aside


def _tail_or_minimum(
    look: Look, curvature: Curvature, rounding: Rounding, optimality: Optimality, evidence: list[Evidence]
) -> Judgement:
    """A minimum by slope and curvature, unless some parameter has only run out along a tail."""
    if look.is_small and curvature.complete and curvature.hessian is not None and not look.quadratic:
        bends = curvature.hessian.diagonal()
        if not look.all_free:
            bends = np.zeros(look.n)
            bends[curvature.free] = curvature.hessian.diagonal()
        for direction in weak_directions(look, bends, optimality.step):
            tail = is_tail(look, direction, rounding)
            if tail is not None:
                return fades(look, tail, evidence)
    if is_shallow(look, curvature) or look.stop in STALLED:
        strode = unslowed_tail(look, rounding)
        if strode is not None:
            return strode_on(look, strode, evidence)
    if is_shallow(look, curvature) and not look.quadratic:
        tail = came_down_a_tail(look, rounding)
        if tail is not None:
            return fades(look, tail, evidence)
        onward = falls_beyond(look, rounding)
        if onward is not None:
            return falls(look, onward, evidence, "the curvature dies out on the way, and the cost falls on")
    if optimality.by == "decrease" and not look.quadratic:
        onwards = falls_along_the_floor(look, curvature, optimality, optimality.step, rounding, evidence)
        if onwards is not None:
            return onwards
    return minimum(look, curvature, rounding, optimality, evidence)


def _not_stationary(
    look: Look, curvature: Curvature, rounding: Rounding, optimality: Optimality, evidence: list[Evidence]
) -> Judgement:
    ray = walk(look, scaled_descent(look), rounding.value)
    if ray.leads is Leads.UP and look.n > 1:
        # What is left of the slope may be rounding in all parameters but a few.
        outstanding = optimality.ratio >= OUTSTANDING * optimality.ratio.max()
        few = walk(look, scaled_descent(look, outstanding), rounding.value)
        ray = few if few.leads in (Leads.DOWN_FOR_EVER, Leads.TO_A_LIMIT) else ray
    evidence.append(
        Evidence("straight down the slope", ray.value, look.value, False, f"{ray.leads}, {ray.probes} probes")
    )
    if ray.leads in (Leads.DOWN_FOR_EVER, Leads.TO_A_LIMIT):
        return along_ray(look, ray, evidence)
    if ray.leads is Leads.LEVEL and _is_level(look, curvature, rounding):
        course = Course(ray.direction, Runs.FALLING_FARTHER_OFF, 1.0, ray.direction, ray.x, ray.value)
        return level_but_sloping(look, course, optimality, evidence)
    if look.objective.derivatives == "numeric" and ray.leads in (Leads.UP, Leads.DOWN_AND_UP):
        corner = kink_by_values(look, rounding.value)
        if corner is not None:
            return kink_minimum(look, corner, evidence)
    barely = ray.distance < 1e-4 or ray.leads is Leads.UP
    if barely and look.may_have_kinks:
        found, _ = at_a_kink(look, rounding, evidence)
        if found is not None:
            return found
    if ray.leads in (Leads.DOWN_AND_UP, Leads.UP):
        settled = _settled_without_curvature(look, curvature, optimality, ray)
        if settled is not None and not _is_far_above(look, ray.direction, rounding):
            return _stationary(look, curvature, rounding, settled, [*evidence, slope_evidence(look, settled)])
    other = along_last_displacement(look, rounding)
    if other is not None:
        return along_ray(look, other, evidence)
    edge = edge_at(look, optimality.remaining_limit)
    if edge is not None:
        return edge_minimum(look, edge, evidence)
    if ray.leads in (Leads.NOWHERE, Leads.DOWN_TO_EDGE) or look.stop == "not finite":
        cut = cut_short(look)
        if cut is not None:
            return along_ray(look, cut, evidence)
    if _is_level(look, curvature, rounding):
        course = Course(ray.direction, Runs.FALLING_FARTHER_OFF, 1.0, ray.direction, ray.x, ray.value)
        return level_but_sloping(look, course, optimality, evidence)
    if look.stop not in ASKED_TO_STOP:
        valley = valley_from(look, rounding.value)
        if valley is not None and not (valley.leads is Leads.DOWN_FOR_EVER and has_a_floor(look)):
            return along_valley(look, valley, evidence)
    return by_stop(look, curvature, optimality, ray, evidence)


def _settled_without_curvature(
    look: Look, curvature: Curvature, optimality: Optimality, ray: Ray
) -> Optimality | None:
    """Near a bottom too flat for a Newton step to say how near: what the slope can still win is told otherwise.

    By the lowest number that the cost can be, read off its trace, or by probes.
    """
    above = look.value - getattr(look.structure, "lowest", -np.inf)
    if look.fall is not None and above <= NEXT_TO_NOTHING * look.fall:
        return replace(optimality, stationary=True, by="lowest", remaining=above)
    if not curvature.complete or curvature.negative or not curvature.null.size or look.fall is None:
        return None
    left = max(newton_decrease(look, curvature), look.value - ray.value)
    if left > optimality.remaining_limit:
        return None
    return replace(optimality, stationary=True, by="probe", remaining=left)


def _is_far_above(look: Look, direction: Vector, rounding: Rounding) -> bool:
    """Whether nearly all of the cost is lost farther down `direction` (n,) than a bottom is wide: it is up a wall."""
    ray = walk(look, direction / float(np.max(np.abs(direction) / look.own_size)), rounding.value)
    lower = look.value - ray.value > (1.0 - WIDE) * abs(look.value)
    return ray.leads is Leads.DOWN_AND_UP and ray.distance > WIDE and lower


def _is_level(look: Look, curvature: Curvature, rounding: Rounding) -> bool:
    """Whether slope and curvature together cannot change the cost beyond rounding within a natural size."""
    first = float(np.abs(np.where(look.free, look.projected, 0.0)) @ look.scale)
    second = 0.0
    if curvature.hessian is not None:
        size = look.scale[curvature.free]
        second = float(size @ np.abs(curvature.hessian) @ size)
    return first + 0.5 * second <= LEVEL * rounding.value


def _slope_not_finite(look: Look) -> Judgement:
    broken = [look.names[i] for i in np.flatnonzero(~np.isfinite(look.gradient)).tolist()]
    evidence = [Evidence("slope at the point", None, None, False, f"not finite for {listed(broken)}")]
    shown = split_minimum(look, evidence) or minimum_on_cones(look, evidence)
    if shown is not None:
        return shown
    pole = pole_on_the_way(look)
    if pole is not None:
        return into_a_pole(look, pole, evidence)
    cut = cut_short(look)
    if cut is not None:
        return along_ray(look, cut, evidence)
    kink = kink_at(look, EPS * abs(look.value))
    if kink is not None and kink.is_minimum:
        way = way_out_of(look, kink, EPS * abs(look.value))
        if way is not None:
            return falls(look, way, evidence, "the cost has a kink here, and falls")
        return kink_minimum(look, kink, evidence)
    edge = edge_at(look, EPS * look.at_stake)
    if edge is not None:
        return edge_minimum(look, edge, evidence)
    lowest = lowest_of_all(look, evidence)
    if lowest is not None:
        return lowest
    return Judgement(
        Verdict.NOT_FINITE,
        tuple(evidence),
        f"Not finite: the cost is {look.value:.6g} here, but its slope is not finite for {listed(broken)}.",
        "Start elsewhere, or write the cost without a square root, power or division at zero.",
    )


def _on_a_kink(look: Look) -> bool:
    """Whether the point lies on a kink that the trace shows; its one-sided Hessian then says too little."""
    return look.has_kinks and bool(kinks_within(look, 1e-9))


def _jumps(look: Look, rounding: Rounding, curvature: Curvature, optimality: Optimality) -> bool:
    """Whether the slope differs between neighbouring numbers by more than rounding does on a smooth cost."""
    if not curvature.complete or optimality.by != "rounding":
        return False
    supplied = look.objective.derivatives == "supplied" and look.fall is not None
    if supplied and float((look.scale * rounding.slope).max()) > JUMPING * (look.fall or 0.0):
        return True
    digits = digits_of(look, error_of(look, rounding, curvature, optimality.step, 0.0))
    return bool((digits[look.free] < FEW_DIGITS).any())
