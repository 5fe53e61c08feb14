"""Degenerate points: slope and curvature are zero along some directions, and probes have to tell what they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..bounds import Vector
from ..numerics import largest
from .curvature import Curvature
from .endless import valley_from, valley_walked
from .failures import (
    along_valley,
    fades,
    falls,
    falls_along_a_bend,
    no_slope,
    plateau,
    quadratic_without_minimum,
    strode_on,
)
from .flatness import Course, Runs, course_along, courses, least_bent_aside
from .look import Look, Rounding
from .minima import flat_minimum, minimum, where_it_rises
from .onward import (
    ASKED_TO_STOP,
    came_down_a_tail,
    falls_along_the_floor,
    is_shallow,
    ran_off,
    unslowed_tail,
    went_on_and_on,
)
from .optimality import Optimality
from .precision import digits_of
from .rays import scaled
from .tails import is_tail
from .wording import direction_name, number
from .words import Evidence, Judgement, Verdict

# Places off the bottom at which a level direction may show a slope after all.
BESIDE = 3

# A slope along a direction without curvature that is no smaller a part of the whole slope is no rounding.
STRAIGHT = 1e-6

# Along a level direction, which no Newton step measures, the slope is looked at from this part of a natural size on.
BEFORE_IT_TURNS = 0.05


def without_curvature(
    look: Look, curvature: Curvature, rounding: Rounding, optimality: Optimality, evidence: list[Evidence]
) -> Judgement:
    """The slope is zero and some directions show no curvature: probes have to tell what they are."""
    proven = _falls_by_its_linear_part(look, curvature)
    if proven is not None:
        return quadratic_without_minimum(look, proven, evidence)
    shallow = is_shallow(look, curvature)
    if look.convex:  # no course says otherwise of such a cost, and to follow each takes many Hessians
        tail = _tail_of_the_walk(look, rounding, evidence, seen=shallow)
        if tail is not None:
            return tail
    found = courses(look, curvature, rounding.value)
    for direction in least_bent_aside(look, curvature, found):
        way = is_tail(look, scaled(look, direction), rounding)
        if way is not None:
            return fades(look, way, evidence)
        found.append(course_along(look, direction, rounding.value, curvature))
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
    if went_on_and_on(look) and not look.convex:
        walked = valley_walked(look, rounding.value)
        if walked is not None:
            return along_valley(look, walked, evidence)
    bent = curvature.values.size > curvature.null.size
    tail = _tail_of_the_walk(look, rounding, evidence, seen=shallow or bool(level and not bent))
    if tail is not None:
        return tail
    if not level and went_on_and_on(look) and not look.convex:
        way = came_down_a_tail(look, rounding)
        if way is not None:
            return fades(look, way, evidence)
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
        way = is_tail(look, scaled(look, course.direction), rounding)
        if way is not None:
            return fades(look, way, evidence)
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
    if ran_off(look, rounding):
        assert look.start is not None
        return Judgement(
            Verdict.PLATEAU,
            tuple(evidence),
            f"Plateau: the walk ran off along {direction_name(look.x - look.start, look.names)}, from "
            f"{number(largest(np.abs(look.start)))} to {number(largest(np.abs(look.x)))}, where slope and curvature "
            "are lost in rounding; nothing here tells which way is down.",
            "Bound the parameters, or start somewhere else.",
        )
    if bent and optimality.by in ("decrease", "probe") and not look.quadratic:
        along = [scaled(look, course.direction) for course in level]
        steepest = max(along, key=lambda direction: abs(float(look.gradient @ direction)))
        step = -BEFORE_IT_TURNS * np.sign(look.gradient @ steepest) * steepest
        onwards = falls_along_the_floor(look, curvature, optimality, step, rounding, evidence)
        if onwards is not None:
            return onwards
    return flat_minimum(look, curvature, level, optimality, rounding, evidence)


def _tail_of_the_walk(
    look: Look, rounding: Rounding, evidence: list[Evidence], *, seen: bool
) -> Judgement | None:
    """No minimum where the walk came down a tail without slowing; or any tail, where signs of one are `seen`."""
    strode = unslowed_tail(look, rounding)
    if strode is not None:
        return strode_on(look, strode, evidence)
    if not seen or look.quadratic:
        return None
    way = came_down_a_tail(look, rounding)
    return None if way is None else fades(look, way, evidence)


def _has_underflown(look: Look, course: Course) -> bool:
    """Whether the slope along a level direction vanishes off the bottom as well, though the trace says it should not.

    At a true bottom the direction costs nothing only there: beside it, other parameters give it a slope.
    """
    dead = getattr(look.structure, "dead", None)
    if dead is None or look.convex or look.has_kinks:
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
