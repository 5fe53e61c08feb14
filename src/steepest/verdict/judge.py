"""The judge: looks afresh at one point, through the cost alone, and says what it is and how that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from ..numerics import EPS, all_finite, largest, quietly
from ..objective import Objective
from .curvature import DENSE, Curvature, confirmed, curvature_of, steady
from .endless import pole_near, pole_on_the_way, put_across, valley_from, valley_walked
from .failures import (
    along_ray,
    along_valley,
    by_stop,
    fades,
    falls,
    falls_along_a_bend,
    has_a_floor,
    into_a_pole,
    level_but_sloping,
    no_slope,
    plateau,
    quadratic_without_minimum,
    strode_on,
    value_not_finite,
    with_the_gap,
    wrong_gradient,
)
from .flatness import Course, Runs, courses
from .kink import Kink, edge_at, kink_at, kink_by_values, lower_beside, one_slope_down
from .look import Look, Rounding, look_at
from .measured import curvature_evidence, repeats, slope_evidence
from .minima import (
    edge_minimum,
    flat_minimum,
    kink_minimum,
    kinks_within,
    lowest_of_all,
    minimum,
    where_it_rises,
)
from .noise import Repeatability, repeatability_of, trembles
from .optimality import SPREAD_FACTOR, Optimality, optimality_of, rounding_of
from .overflow import NARROW, cut_short, is_torn
from .precision import digits_of, error_of
from .rays import Leads, Ray, scaled, scaled_descent, walk
from .split_kink import split_minimum
from .stride import Tail, tail_walked
from .supplied import disagreement
from .tails import is_tail, weak_directions
from .turning import keeps_falling
from .weakest import with_weakest
from .wording import direction_name, listed, number
from .words import Evidence, Judgement, Verdict

Vector = np.ndarray

# Parts of a Newton step at which the floor of a valley is looked at; from farther off it may not be found again.
ALONG_THE_FLOOR = (2.0, 1.0, 0.5)

# A Newton step that leaves more than this part of the promised decrease was not near a well-determined
# minimum: a quartic leaves 0.2, a tail that never ends 0.37.
POOR_LANDING = 0.05

# A slope that leaves a parameter fewer digits than this jumps between neighbouring numbers: perhaps a kink.
FEW_DIGITS = 4.0

# The slope jumps by as much as would explain this part of the whole fall over a natural size.
JUMPING = 1e-2

# Distances, in natural sizes, at which a fall along a kink is looked for: a straight step leaves a bent one soon.
ALONG_A_KINK = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)

# Distances, in natural sizes, at which a fall along a downward bend is looked for, from where it can show on: where it
# tells this many times the rounding error of the cost. A wall may end it soon. And of many such bends the steepest.
DOWN_A_BEND = tuple(10.0 ** (k / 2) for k in range(-14, 1))
SHOWS, BENDS = 8.0, 6

# A downward bend leads out of the bounds by parameters that move by more than this part of its longest way, in natural
# sizes: rounding turns every direction a little towards them.
FELT = 1e-6

# Distances, in natural sizes, at which the floor of a ravine must fall, and the part of the whole fall that the first
# must win: less may be what is left of a minimum a little off the point.
DOWN_A_FLOOR = (1e-4, 1e-3, 1e-2)
FLOOR_FALL = 1e-8

# How far beyond a point without curvature to speak of the walk's way is looked along, in natural sizes.
BEYOND = (1e-4, 1e-3, 1e-2)

# A cost above the lowest number it can be by less than this part of all it fell has nothing left to lose. Larger, and a
# walk along a tail would end there by what is left, not by where it leads.
NEXT_TO_NOTHING = EPS**2

# A bottom of order ten, come down to that, is no wider than this, in sizes of its own; nor is a point on it so much
# higher than the lowest place straight down its slope as one over this.
WIDE = 1e-2

# A saddle nearer than this, in parts of the sizes that matter, is where the point is; farther off it is not.
SADDLE_STEP = 1e-6

# Ends of a walk that say nothing of where it was going.
ASKED_TO_STOP = ("stopped", "tolerance reached", "diverged", None)

# Ends of a walk that could not go on, wherever it led.
STALLED = ("step below the spacing of x", "no lower point found")

# Places off the bottom at which a level direction may show a slope after all.
BESIDE = 3

# A bottom whose curvature explains less than this part of the fall over the parameters' sizes is shallow: a tail, it
# may be, that the walk came down.
SHALLOW = 1e-6

# A slope along a direction without curvature that is no smaller a part of the whole slope is no rounding.
STRAIGHT = 1e-6

# A walk that ends this many times the size of its start away may be on its way to infinity.
FAR_AWAY = 1e10

# So many times, it may have come down a tail until there.
ON_AND_ON = 1e3

# Entries of the slope that stand out of their rounding less than this part of what the most outstanding one does.
OUTSTANDING = 1e-3

# Parameters that went less far than this part of the farthest one are not what leads to infinity.
FAR_PART = 1e-3

# Ways from the start that agree to so many digits of the longest are equally long: first all that a walk straight on
# would leave, then the few that one among ridges leaves.
SAME_WAY = (9, 6, 3, 1)

# Along a level direction, which no Newton step measures, the slope is looked at from this part of a natural size on.
BEFORE_IT_TURNS = 0.05

# A cost that cannot change by more than this many times its own rounding within the parameters' size is level.
LEVEL = 4.0


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
        if found.verdict is Verdict.INFIMUM_NOT_ATTAINED:
            found = with_the_gap(look, found)
    return found.measured(look.value, look.gradient, look.objective.counts)


def _judge(look: Look) -> Judgement:
    if not isfinite(look.value):
        return value_not_finite(look)
    if not (all_finite(look.gradient) or np.isfinite(look.gradient[look.free]).all()):
        return _slope_not_finite(look)
    repeatability = repeatability_of(look)
    evidence = [repeats(look, repeatability)]
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
        noisy = _noise_floor(look, repeatability, optimality, curvature, evidence)
        if noisy is not None:
            return noisy
        return by_stop(
            look, curvature, optimality, walk(look, scaled_descent(look), rounding.value), evidence
        )
    if _is_made_of_rounding(look, rounding):
        return _without_digits(rounding, evidence)
    pole = pole_near(look)
    if pole is not None:
        return into_a_pole(look, pole, evidence)
    if _went_far(look):
        ray = _along_last_displacement(look, rounding, uphill=True)
        if ray is not None:
            return along_ray(look, ray, evidence)
    if optimality.stationary:
        return _stationary(look, curvature, rounding, optimality, evidence)
    if curvature.negative and _slope_is_small(look, curvature):
        found, curvature = _saddle(look, curvature, rounding, evidence)
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
    drowned = _exceeds_the_fall(look, rounding.value)
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
    kinked = look.structure is None or _has_kinks(look)
    cornered = kinked and (_jumps(look, rounding, curvature, optimality) or _on_a_kink(look))
    if cornered:
        found, excluded = _on_the_corner(look, rounding, evidence)
        if excluded:
            ray = walk(look, scaled_descent(look), rounding.value)
            return found or by_stop(look, curvature, optimality, ray, evidence)
        if found is not None:
            return found
    if cornered or (kinked and _is_opaque(look)):
        promised = optimality.remaining if np.isfinite(optimality.remaining) else 0.0
        allowed = 8.0 * rounding.value + 2.0 * max(promised, optimality.remaining_limit)
        beside = None if look.convex else lower_beside(look, allowed)
        if beside is not None:
            what = "the cost has a kink or a jump here" if cornered else "a choice hides from the slope"
            return falls(look, beside, evidence, f"{what}, and is lower right beside it")
    if curvature.negative and not look.convex:
        found, curvature = _saddle(look, curvature, rounding, evidence)
        if found is not None:
            return found
    poorly = optimality.landing > POOR_LANDING and optimality.by != "rounding"
    if poorly:
        ray = walk(look, scaled(look, optimality.step), rounding.value)
        if ray.leads in (Leads.TO_A_LIMIT, Leads.DOWN_FOR_EVER):
            return along_ray(look, ray, evidence)
        strode = _strode_on(look, rounding)
        if strode is not None:
            return strode_on(look, strode, evidence)
    if look.objective.derivatives == "numeric":
        kink = kink_by_values(look, rounding.value)
        if kink is not None:
            return kink_minimum(look, kink, evidence)
    null = curvature.null
    if null.size and kinked and not cornered:
        found, _ = _on_the_corner(look, rounding, evidence)
        if found is not None:
            return found
    if null.size == 0:
        curvature = with_weakest(look, curvature).seen_over(look.scale, _invisible(look, rounding))
        if curvature.negative and not look.convex:
            found, curvature = _saddle(look, curvature, rounding, evidence)
            if found is not None:
                return found
    bend = _lower_on_the_floor(look, optimality, rounding)
    if bend is not None:
        return falls_along_a_bend(look, bend, evidence)
    if curvature.null.size == 0:
        return _tail_or_minimum(look, curvature, rounding, optimality, evidence)
    return _without_curvature(look, curvature, rounding, optimality, evidence)


def _is_opaque(look: Look) -> bool:
    """Whether the cost has choices in loops or calls, as an integrand that jumps at a place of the parameters.

    The slope of an integral is that of its terms, and says nothing of a jump that moves from one to the next.
    """
    return look.structure is not None and look.structure.kinks.opaque


def _is_larger_than_the_cost(look: Look, error: float) -> bool:
    """Whether an error exceeds the cost here, all that it fell by, and what it is a little way off."""
    return _exceeds_the_fall(look, error) and error > look.size_aside


def _exceeds_the_fall(look: Look, error: float) -> bool:
    """Whether an error exceeds the cost here and all that it fell by."""
    return error > abs(look.value) + (look.fall or 0.0)


def _on_the_corner(look: Look, rounding: Rounding, evidence: list[Evidence]) -> tuple[Judgement | None, bool]:
    """What the slopes gathered around the point say, where they show a kink: a minimum, or a way down along it.

    And whether their hull excludes a minimum, with or without a way down that was seen.
    """
    shown = split_minimum(look, evidence)
    if shown is not None:
        return shown, False
    kink = kink_at(look, rounding.value)
    if kink is None:
        return None, False
    way = _way_out_of(look, kink, rounding.value) if kink.is_minimum else None
    if kink.is_minimum and way is None:
        return kink_minimum(look, kink, evidence), False
    downhill = way if kink.is_minimum else (None if kink.rises else kink.lowest)
    if (
        kink.descent is not None
        and _first_fall(look, kink.descent, 4.0 * rounding.value, ALONG_A_KINK) is not None
    ):
        downhill = kink.descent
    excluded = kink.descent is not None and kink.hull > kink.limit
    if downhill is None:
        return None, excluded
    return falls(look, downhill, evidence, "the cost has a kink here, and falls"), excluded


def _way_out_of(look: Look, kink: Kink, rounding: float) -> Vector | None:
    """A way (n,) down from a kink whose hull holds zero; None where it is the minimum that it looks like.

    What counts as zero there is no measure where it is more than all of the cost, as where a root has its zero.
    """
    if _has_a_falling_floor(look, kink, rounding):
        return kink.floor
    return one_slope_down(look) if _exceeds_the_fall(look, kink.limit) else None


def _has_a_falling_floor(look: Look, kink: Kink, rounding: float) -> bool:
    """Whether a parameter whose slopes do not cancel leads down, though they are next to nothing beside the others'.

    In a ravine with walls 10⁷ times as steep as its floor, the hull of the slopes holds zero to six digits.
    """
    if kink.floor is None or not kink.floor.any():
        return False
    falls = np.array([look.value - look.value_at(look.x + t * kink.floor) for t in DOWN_A_FLOOR])
    worth = FLOOR_FALL * abs(look.value) + 4 * rounding
    along = kink.floor_slope * np.array(DOWN_A_FLOOR)
    return bool((falls > np.maximum(0.1 * along, worth)).all())


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
    if _is_shallow(look, curvature) or look.stop in STALLED:
        strode = _strode_on(look, rounding)
        if strode is not None:
            return strode_on(look, strode, evidence)
    if _is_shallow(look, curvature) and not look.quadratic:
        tail = _came_down_a_tail(look, rounding)
        if tail is not None:
            return fades(look, tail, evidence)
        onward = _falls_beyond(look, rounding)
        if onward is not None:
            return falls(look, onward, evidence, "the curvature dies out on the way, and the cost falls on")
    if optimality.by == "decrease" and not look.quadratic:
        onwards = _falls_along_the_floor(look, curvature, optimality, optimality.step, rounding, evidence)
        if onwards is not None:
            return onwards
    return minimum(look, curvature, rounding, optimality, evidence)


def _lower_on_the_floor(look: Look, optimality: Optimality, rounding: Rounding) -> Course | None:
    """A lower place where a Newton step leads along the floor of the valley, if only the slope's rounding explains it.

    Beside steep walls the slope is too coarse to tell whether it is zero, and the cost is not: what a Newton step
    promises would show.
    """
    unexplained = optimality.by == "rounding" and optimality.remaining > optimality.remaining_limit
    if not unexplained or look.quadratic or not 1 < look.n <= DENSE or not look.objective.has_hessian:
        return None
    way = optimality.step
    along = way / look.scale
    length = float(np.linalg.norm(along))
    if not 0.0 < length < np.inf:
        return None
    for part in ALONG_THE_FLOOR:
        place, value = put_across(look, look.x + part * way, along / length, look.value)
        if value < look.value - optimality.remaining_limit:
            tremble = max(rounding.value, look.trembling(place, value))
            if value < look.value - SPREAD_FACTOR * tremble:
                return Course(way, Runs.FALLING_ALONG_A_BEND, 1.0, way, place, value)
    return None


def _falls_along_the_floor(
    look: Look,
    curvature: Curvature,
    optimality: Optimality,
    step: Vector,
    rounding: Rounding,
    evidence: list[Evidence],
) -> Judgement | None:
    """What is to be said where the slope does not turn along the floor that begins along `step` (n,), else None."""
    valley = keeps_falling(look, curvature, step, rounding)
    if valley is None:
        return None
    if valley.leads is Leads.TO_A_LIMIT:
        return along_valley(look, valley, evidence)
    ray = walk(look, scaled_descent(look), rounding.value)
    return by_stop(look, curvature, optimality, ray, evidence)


def _is_shallow(look: Look, curvature: Curvature) -> bool:
    """Whether the curvature explains next to nothing of the way down."""
    size = 0.5 * curvature.extremes[1] * float(look.scale.dot(look.scale))
    return look.fall is not None and size <= SHALLOW * look.fall


def _came_down_a_tail(look: Look, rounding: Rounding) -> Vector | None:
    """The way (n,) the walk came from its start, where the slope dies out along it without leading anywhere."""
    if look.start is None:
        way = scaled_descent(look)  # of very many parameters no start is kept
    else:
        way = scaled(look, np.where(look.free & np.isfinite(look.start), look.x - look.start, 0.0))
    return is_tail(look, way, rounding) if way.any() else None


def _falls_beyond(look: Look, rounding: Rounding) -> Vector | None:
    """The way (n,) the walk came from its start, if the first that shows of the cost beyond its end is a fall.

    At x = 0 of x³ + x⁴ slope and curvature vanish together, and right before it both say that it is a minimum. What
    shows is more than the rounding of all that the walk fell by: no walk ends nearer than that to a quartic's bottom.
    """
    if look.start is None:
        return None
    way = scaled(look, np.where(look.free & np.isfinite(look.start), look.x - look.start, 0.0))
    shows = 8.0 * (rounding.value + EPS * (look.fall or 0.0))
    for t in BEYOND:
        x = look.x + t * way
        if not np.array_equal(x, look.objective.bounds.project(x)):
            return None
        change = look.value_at(x) - look.value
        if not abs(change) <= shows:
            return way if change < 0.0 else None
    return None


def _without_curvature(
    look: Look, curvature: Curvature, rounding: Rounding, optimality: Optimality, evidence: list[Evidence]
) -> Judgement:
    """The slope is zero and some directions show no curvature: probes have to tell what they are."""
    proven = _falls_by_its_linear_part(look, curvature)
    if proven is not None:
        return quadratic_without_minimum(look, proven, evidence)
    found = courses(look, curvature, rounding.value)
    by_kind: dict[Runs, list[Course]] = {}
    for course in found:
        by_kind.setdefault(course.runs, []).append(course)
    for course in found:
        evidence.append(
            Evidence(
                f"cost along {direction_name(course.direction, look.names)}",
                None,
                None,
                course.runs in (Runs.RISING, Runs.LEVEL, Runs.BENDING_VALLEY),
                f"{course.runs}, probes both ways",
            )
        )
    if Runs.STEPPING in by_kind:
        return no_slope(look, by_kind[Runs.STEPPING][0], evidence)
    if Runs.FALLING in by_kind and not look.convex:
        valley = valley_from(look, rounding.value) if look.stop not in ASKED_TO_STOP else None
        if valley is not None:
            return along_valley(look, valley, evidence)
        course = by_kind[Runs.FALLING][0]
        return falls(
            look,
            course.downhill,
            evidence,
            "the slope and the curvature are zero, but it falls",
            course.place,
        )
    if Runs.FALLING_FARTHER_OFF in by_kind and not look.convex:
        course = by_kind[Runs.FALLING_FARTHER_OFF][0]
        return plateau(look, course, evidence)
    for runs in (Runs.FADING_ALONG_A_BEND, Runs.FALLING_ALONG_A_BEND):
        if runs in by_kind and not look.convex:
            return falls_along_a_bend(look, by_kind[runs][0], evidence)
    if Runs.FADING in by_kind:
        course = by_kind[Runs.FADING][0]
        name = direction_name(
            course.downhill if course.downhill is not None else course.direction, look.names
        )
        return Judgement(
            Verdict.INFIMUM_NOT_ATTAINED,
            tuple(evidence),
            f"No minimum: along {name} the cost fades towards {number(look.value)} until its slope underflows, "
            "and no finite point is lowest.",
            "Bound the parameters, or add a penalty on their size.",
        )
    level = [
        c
        for c in found
        if c.runs in (Runs.LEVEL, Runs.LEVEL_ONE_WAY, Runs.BENDING_VALLEY, Runs.RISING_FARTHER_OFF)
    ]
    if _went_on_and_on(look) and not look.convex:
        walked = valley_walked(look, rounding.value)
        if walked is not None:
            return along_valley(look, walked, evidence)
    strode = _strode_on(look, rounding)
    if strode is not None:
        return strode_on(look, strode, evidence)
    bent = curvature.values.size > curvature.null.size
    if (_is_shallow(look, curvature) or (level and not bent)) and not look.quadratic:
        tail = _came_down_a_tail(look, rounding)
        if tail is not None:
            return fades(look, tail, evidence)
    if not level and _went_on_and_on(look) and not look.convex:
        tail = _came_down_a_tail(look, rounding)
        if tail is not None:
            return fades(look, tail, evidence)
    if not level:
        # Every null direction rises: the minimum is of higher order, such as a quartic.
        error_words = "the curvature is zero but the cost rises on every side probed"
        judgement = minimum(look, curvature, rounding, optimality, evidence, error_words)
        if judgement.digits is None:
            return judgement
        return replace(
            judgement, digits=np.minimum(judgement.digits, digits_of(look, where_it_rises(look, found)))
        )
    for course in level if not look.quadratic else ():
        if course.runs is Runs.BENDING_VALLEY:
            continue  # straight on, off the bend, the slope may well die out
        tail = is_tail(look, scaled(look, course.direction), rounding)
        if tail is not None:
            return fades(look, tail, evidence)
    informed = look.structure is not None or bent or len(level) < len(found)
    if not bent and (
        (not informed and all(c.runs is Runs.LEVEL for c in level)) or _everything_underflows(look, found)
    ):
        return Judgement(
            Verdict.PLATEAU,
            tuple(evidence),
            f"Plateau: slope and curvature are zero and the cost is {look.value:.6g} wherever it was probed; "
            "nothing here tells which way is down.",
            "Start somewhere else, or check that the cost depends on its parameters.",
        )
    for course in level:
        if bent and course.runs is Runs.LEVEL and _has_underflown(look, course):
            name = direction_name(course.direction, look.names)
            return Judgement(
                Verdict.PLATEAU,
                tuple(evidence),
                f"Plateau along {name}: the cost depends on it, but the slope along it is exactly zero wherever it was "
                "probed; nothing here tells which way is down.",
                "Start somewhere else.",
            )
    if bent and optimality.by in ("decrease", "probe") and not look.quadratic:
        along = [scaled(look, course.direction) for course in level]
        steepest = max(along, key=lambda direction: abs(float(look.gradient @ direction)))
        step = -BEFORE_IT_TURNS * np.sign(look.gradient @ steepest) * steepest
        onwards = _falls_along_the_floor(look, curvature, optimality, step, rounding, evidence)
        if onwards is not None:
            return onwards
    return flat_minimum(look, curvature, level, optimality, rounding, evidence)


def _strode_on(look: Look, rounding: Rounding) -> Tail | None:
    """The tail that the walk came down without slowing; of a convex cost or a quadratic other proofs speak."""
    if look.quadratic or _has_kinks(look):
        return None
    return tail_walked(look, rounding.value)


def _has_underflown(look: Look, course: Course) -> bool:
    """Whether the slope along a level direction vanishes off the bottom as well, though the trace says it should not.

    At a true bottom the direction costs nothing only there: beside it, other parameters give it a slope.
    """
    dead = getattr(look.structure, "dead", None)
    if dead is None or look.convex or _has_kinks(look):
        return False
    alive = course.direction != 0
    alive[list(dead)] = False
    if not alive.any():
        return False
    for _ in range(BESIDE):
        aside = look.scale * look.generator.uniform(-0.5, 0.5, look.n)
        _, gradient = look.slope_at(look.x + aside)
        if not np.isfinite(gradient).all() or (np.where(alive, gradient, 0.0) != 0.0).any():
            return False
    return True


def _falls_by_its_linear_part(look: Look, curvature: Curvature) -> Vector | None:
    """A direction (n,) along which a quadratic is a falling straight line; its slope is told near the start.

    Far out, the slope drowns in the rounding of the curved directions.
    """
    if not look.quadratic or look.objective.bounds.any or look.start is None or not curvature.complete:
        return None
    _, slope = look.slope_at(look.start)
    level = curvature.vectors[:, curvature.null]
    along = level.T @ slope
    sizes = np.abs(level).T @ np.abs(slope)
    if not along.size or not np.isfinite(along).all() or (np.abs(along) <= STRAIGHT * sizes).all():
        return None
    return -level @ along


def _everything_underflows(look: Look, found: list[Course]) -> bool:
    """Nothing moves the cost here, although the trace says that it depends on some parameter."""
    dead = getattr(look.structure, "dead", None)
    if look.structure is None or dead is None or (look.convex and look.gradient.any()):
        return False
    alive = np.ones(look.n, dtype=bool)
    alive[list(dead)] = False
    return all(course.runs is Runs.LEVEL and (course.direction[alive] != 0).any() for course in found)


def _saddle(
    look: Look, curvature: Curvature, rounding: Rounding, evidence: list[Evidence]
) -> tuple[Judgement | None, Curvature]:
    """A saddle, should the cost be seen to fall where the Hessian bends downwards; and the curvature that is left.

    A Hessian made a little off the bottom of a flat valley, or rounded, bends downwards where the cost nowhere falls.
    Such curvatures are then zero as far as the cost can tell, and its course along them has to be looked at.
    """
    fall = _fall_by_curvature(look, curvature, rounding)
    if fall is None and (look.structure is None or _has_kinks(look)):
        # Next to a kink the curvature of one piece says nothing of the whole.
        kink = kink_at(look, rounding.value)
        if kink is not None and kink.is_minimum and _way_out_of(look, kink, rounding.value) is None:
            return kink_minimum(look, kink, evidence), curvature
    if fall is None:
        edge = edge_at(look, rounding.value + EPS * (look.fall or 0.0))
        if edge is not None:
            return edge_minimum(look, edge, evidence), curvature
        if _is_forbidden(look, curvature):
            evidence.append(curvature_evidence(curvature))
            evidence.append(Evidence("fall along that bend", None, None, False, "probes inside the bounds"))
            minimum = Judgement(
                Verdict.LOCAL_MINIMUM,
                tuple(evidence),
                f"Minimum inside the bounds: the slope is zero and the cost bends downwards "
                f"({number(curvature.values[0])}) only where the bounds forbid to go.",
                digits=digits_of(look, np.full(look.n, np.inf)),
            )
            return minimum, curvature
        return None, curvature.without_negative()
    v, distance, lower, both = fall
    length, ways = float(np.linalg.norm(v)), "both ways " if both else ""
    evidence.append(curvature_evidence(curvature))
    kind = "Maximum" if curvature.complete and (curvature.values < -curvature.limit).all() else "Saddle point"
    saddle = Judgement(
        Verdict.SADDLE_POINT,
        tuple(evidence),
        f"{kind}: the slope is zero, but the cost falls {ways}along {direction_name(v, look.names)} "
        f"(curvature {number(curvature.extremes[0])}); at a distance of {number(distance * length)} it is "
        f"{look.value - lower:.3g} lower.",
        "Walk on along that direction.",
        downhill=v / length,
    )
    return saddle, curvature


def _is_forbidden(look: Look, curvature: Curvature) -> bool:
    """Whether every direction that bends downwards points out of the bounds, at parameters on them, on both sides."""
    if not look.touching.any():
        return False
    for k in curvature.downward:
        v = scaled(look, curvature.vectors[:, k])
        weighty = look.touching & (np.abs(v) > FELT * look.scale)
        for way in (v, -v):
            if not (weighty & (look.objective.bounds.project(look.x + way) == look.x)).any():
                return False
    return True


def _fall_by_curvature(
    look: Look, curvature: Curvature, rounding: Rounding
) -> tuple[Vector, float, float, bool] | None:
    """Where the cost is seen to fall along a direction that the Hessian bends downwards.

    The direction (n,), the distance on it, the cost there, and whether it falls the other way too. The nearest place at
    which the bend can show beyond rounding is the first that is looked at. A fall by no more than the directions that
    bend upwards still have to give leads to a bottom that the point is a little off.
    """
    above = 4.0 * rounding.value + _left_to(look, curvature)
    down = curvature.downward
    ways = [curvature.vectors[:, k] for k in down[:BENDS]]
    if down.size > BENDS:
        # Down one of them after the other a walk would have to be taken up again at each.
        ways.insert(0, curvature.vectors[:, down] @ look.generator.uniform(0.5, 1.0, down.size))
    for way in ways:
        v = scaled(look, way)
        if float(look.gradient @ v) > 0:
            v = -v
        bend = abs(float(v @ curvature.product(v)))
        shows = float(np.sqrt(SHOWS * rounding.value / bend)) if bend > 0.0 else 1.0
        distances = tuple(t for t in DOWN_A_BEND if t >= shows) or DOWN_A_BEND[-1:]
        one, other = (_first_fall(look, sign * v, above, distances) for sign in (1.0, -1.0))
        if one is not None and (other is None or one[0] <= other[0]):
            return v, *one, other is not None
        if other is not None:
            return -v, *other, one is not None
    return None


def _first_fall(
    look: Look,
    direction: Vector,
    by: float,
    distances: tuple[float, ...],
) -> tuple[float, float] | None:
    """The first of the distances at which the cost is lower by more than `by`, and the cost there."""
    for t in distances:
        value = look.value_at(look.x + t * direction)
        if value < look.value - by:
            return t, value
    return None


def _left_to(look: Look, curvature: Curvature) -> float:
    """What a Newton step along the directions that bend upwards could still win, were there no others."""
    along = curvature.vectors.T @ np.where(look.free, look.projected, 0.0)
    bent = curvature.values > curvature.limit
    return 0.5 * float(np.sum(along[bent] ** 2 / curvature.values[bent]))


def _slope_is_small(look: Look, curvature: Curvature) -> bool:
    """Near enough to a saddle that its slope is none of its story: a Newton step leads a tiny way to it.

    Where nothing is known of the parameters' sizes, tiny also in the cost's own: the quadratic that the step was
    read from must still tell the slope a million steps away.
    """
    if not curvature.complete or curvature.null.size:
        return False
    V, values = curvature.vectors, curvature.values
    slope = np.where(look.free, look.projected, 0.0)
    step = -V @ ((V.T @ slope) / values)
    if (np.abs(step) <= SADDLE_STEP * look.scale).all():
        return True
    if look.start is not None or (np.abs(step) > SADDLE_STEP * np.maximum(look.scale, 1.0)).any():
        return False
    for away in (1.0 / SADDLE_STEP, -1.0 / SADDLE_STEP):
        x = look.x + away * step
        if not np.array_equal(x, look.objective.bounds.project(x)):
            return False
        _, gradient = look.slope_at(x)
        told = (1.0 - away) * slope
        if not float(np.linalg.norm(gradient - told)) <= 0.1 * float(np.linalg.norm(told)):
            return False
    return True


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
    if barely and (look.structure is None or _has_kinks(look)):
        found, _ = _on_the_corner(look, rounding, evidence)
        if found is not None:
            return found
    if ray.leads in (Leads.DOWN_AND_UP, Leads.UP):
        settled = _settled_without_curvature(look, curvature, optimality, ray)
        if settled is not None and not _is_far_above(look, ray.direction, rounding):
            return _stationary(look, curvature, rounding, settled, [*evidence, slope_evidence(look, settled)])
    other = _along_last_displacement(look, rounding)
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
    left = max(_left_to(look, curvature), look.value - ray.value)
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


def _went_on_and_on(look: Look) -> bool:
    """Whether the walk went a thousand times the size of its start away, where a tail may have drowned in rounding."""
    if look.start is None:
        return False
    return bool(
        np.abs(look.x).max(initial=0.0) > ON_AND_ON * max(1.0, float(np.abs(look.start).max(initial=0.0)))
    )


def _went_far(look: Look) -> bool:
    """Whether the walk left every size that its start knew of: perhaps it is on its way to infinity."""
    if look.start is None:
        return False
    at = largest(np.abs(look.x))
    return at > FAR_AWAY and at > FAR_AWAY * largest(np.abs(look.start))


def _along_last_displacement(look: Look, rounding: Rounding, *, uphill: bool = False) -> Ray | None:
    """A ray onward from the start that never ends; `uphill`: also where the slope here, lost in rounding, says up."""
    if look.start is None or not np.isfinite(look.start).all():
        return None
    displacement = look.x - look.start
    length = float(np.abs(displacement).max(initial=0.0))
    farthest = np.where(np.abs(displacement) >= FAR_PART * length, displacement, 0.0)
    # Parameters that went as far but for the place where each had begun, and rounding, go on together.
    together = (length * np.round(farthest / length, digits) for digits in SAME_WAY if length > 0.0)
    for direction in (displacement, farthest, *together):
        if direction.any() and (uphill or float(look.gradient @ direction) < 0.0):
            ray = walk(look, scaled(look, direction), rounding.value)
            if ray.leads in (Leads.DOWN_FOR_EVER, Leads.TO_A_LIMIT):
                return ray
    return None


def _slope_not_finite(look: Look) -> Judgement:
    broken = [look.names[i] for i in np.flatnonzero(~np.isfinite(look.gradient)).tolist()]
    evidence = [Evidence("slope at the point", None, None, False, f"not finite for {listed(broken)}")]
    shown = split_minimum(look, evidence)
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
        way = _way_out_of(look, kink, EPS * abs(look.value))
        if way is not None:
            return falls(look, way, evidence, "the cost has a kink here, and falls")
        return kink_minimum(look, kink, evidence)
    edge = edge_at(look, EPS * (abs(look.value) + (look.fall or 0.0)))
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


def _noise_floor(
    look: Look,
    repeatability: Repeatability,
    optimality: Optimality,
    curvature: Curvature,
    evidence: list[Evidence],
) -> Judgement | None:
    """At the noise floor when what is left to gain is less than the noise; otherwise go on as usual."""
    level = repeatability.level
    walked_out = look.stop == "out of budget" and optimality.remaining > 10 * level
    if walked_out or (optimality.remaining > 10 * level and np.isfinite(optimality.remaining)):
        return None
    if not np.isfinite(optimality.remaining):
        fall = look.value - walk(look, scaled_descent(look), level).value
        if fall > 10 * level:
            return None
    kind = "does not repeat itself" if not repeatability.repeats else "trembles between neighbouring points"
    return Judgement(
        Verdict.NOISE_FLOOR,
        tuple(evidence),
        f"Noise floor: the cost {kind}, by about {number(level)}; it is as low here as that lets us tell.",
        "Average several evaluations, or make the cost repeatable (fix its random seed, tighten inner solvers).",
    )


def _is_made_of_rounding(look: Look, rounding: Rounding) -> bool:
    """Whether neighbouring numbers differ by a part of the cost, of all it fell by, and of its size farther off."""
    at_stake = abs(look.value) + (look.fall or 0.0)
    if not rounding.jump > NARROW * at_stake:
        return False
    level = NARROW * max(at_stake, look.size_aside)
    return rounding.jump > level and trembles(look, level)


def _without_digits(rounding: Rounding, evidence: list[Evidence]) -> Judgement:
    return Judgement(
        Verdict.NOISE_FLOOR,
        tuple(evidence),
        f"Noise floor: the cost jumps by {number(rounding.jump)} between neighbouring double precision numbers, a part "
        "of all that it is and fell by; it is as low here as that lets us tell.",
        "Look where digits are lost: a matrix that is nearly singular, or numbers that cancel. Keep the parameters "
        "away from there by bounds, or start elsewhere.",
    )


def _has_kinks(look: Look) -> bool:
    kinks = getattr(look.structure, "kinks", None)
    return bool(kinks)


def _on_a_kink(look: Look) -> bool:
    """Whether the point lies on a kink that the trace shows; its one-sided Hessian then says too little."""
    return _has_kinks(look) and bool(kinks_within(look, 1e-9))


def _jumps(look: Look, rounding: Rounding, curvature: Curvature, optimality: Optimality) -> bool:
    """Whether the slope differs between neighbouring numbers by more than rounding does on a smooth cost."""
    if not curvature.complete or optimality.by != "rounding":
        return False
    supplied = look.objective.derivatives == "supplied" and look.fall is not None
    if supplied and float((look.scale * rounding.slope).max()) > JUMPING * (look.fall or 0.0):
        return True
    digits = digits_of(look, error_of(look, rounding, curvature, optimality.step, 0.0))
    return bool((digits[look.free] < FEW_DIGITS).any())
