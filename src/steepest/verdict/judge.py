"""The judge: looks afresh at one point, through the cost alone, and says what it is and how that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..numerics import EPS
from ..objective import Objective
from .curvature import Curvature, curvature_of
from .flatness import NEAR, Course, Runs, courses
from .kink import Kink, kink_at
from .look import Look, Rounding, look_at
from .noise import Repeatability, repeatability_of
from .optimality import Optimality, optimality_of, rounding_of
from .precision import digits_of, error_of, gap_of
from .rays import Leads, Ray, scaled, scaled_descent, walk
from .supplied import disagreement
from .tails import is_tail, weak_directions
from .wording import direction_name, listed, number
from .words import Evidence, Judgement, Verdict

Vector = np.ndarray

# A Newton step that leaves more than this part of the promised decrease was not near a well-determined
# minimum: a quartic leaves 0.2, a tail that never ends 0.37.
POOR_LANDING = 0.05

# Nothing nearer than this, in natural sizes, is known of a bottom without curvature.
NEAREST_PROBE = NEAR[0]

# A slope that leaves a parameter fewer digits than this jumps between neighbouring numbers: perhaps a kink.
FEW_DIGITS = 4.0

# A saddle nearer than this, in parts of the sizes that matter, is where the point is; farther off it is not.
SADDLE_STEP = 1e-6

# Steps at the end of the history from which the rate of descent is read.
RECENT = 10

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

    Knows nothing of who found the point; evaluates the cost through a fresh copy of `objective` without a
    budget. `structure`: facts read off the trace, for "global"; `stop`: why the walk ended, as a
    `StopReason` or its text; `history`: the walk, for units and rates. `seed` fixes every random probe.
    Numerical trouble never raises.

    >>> bowl = Objective(
    ...     1, value_and_gradient=lambda x: (float(x @ x), 2 * x), hessian=lambda x: 2 * np.eye(1)
    ... )
    >>> judge(bowl, np.array([0.0]), names=("x",)).verdict
    <Verdict.LOCAL_MINIMUM: 'local minimum'>
    """
    with np.errstate(all="ignore"):
        look = look_at(objective, x, names, structure, None if stop is None else str(stop), history, seed)
        found = _judge(look)
    return replace(found, value=look.value, gradient=look.gradient, spent=look.objective.counts)


def _judge(look: Look) -> Judgement:
    if not np.isfinite(look.value):
        return _value_not_finite(look)
    if not np.isfinite(look.gradient[look.free]).all():
        return _slope_not_finite(look)
    repeatability = repeatability_of(look)
    evidence = [_repeats(look, repeatability)]
    if look.objective.derivatives == "supplied":
        wrong = disagreement(look)
        evidence.append(wrong.evidence)
        if not wrong.evidence.holds:
            return Judgement(
                Verdict.WRONG_GRADIENT,
                tuple(evidence),
                wrong.sentence,
                "Correct the derivative, or leave it out: the exact one is then read off the cost.",
            )
    curvature = curvature_of(look)
    rounding = rounding_of(look, curvature.product)
    optimality = optimality_of(look, rounding, curvature)
    evidence.append(_slope_evidence(look, optimality))
    if repeatability.is_noisy:
        noisy = _noise_floor(look, repeatability, optimality, curvature, evidence)
        if noisy is not None:
            return noisy
    if optimality.stationary:
        return _stationary(look, curvature, rounding, optimality, evidence)
    if curvature.negative and _slope_is_small(look, curvature):
        return _saddle(look, curvature, rounding, evidence)
    return _not_stationary(look, curvature, rounding, optimality, evidence)


# ---- the slope is zero


def _stationary(
    look: Look, curvature: Curvature, rounding: Rounding, optimality: Optimality, evidence: list[Evidence]
) -> Judgement:
    if curvature.negative and not look.convex:
        return _saddle(look, curvature, rounding, evidence)
    poorly = optimality.landing > POOR_LANDING and optimality.by != "rounding"
    if poorly:
        ray = walk(look, scaled(look, optimality.step), rounding.value)
        if ray.leads in (Leads.TO_A_LIMIT, Leads.DOWN_FOR_EVER):
            return _along_ray(look, ray, evidence)
    null = curvature.null
    jumps = (
        curvature.complete and optimality.by == "rounding" and _jumps(look, rounding, curvature, optimality)
    )
    if null.size == 0 and not (jumps or _on_a_kink(look)):
        return _tail_or_minimum(look, curvature, rounding, optimality, evidence)
    if look.structure is None or _has_kinks(look):
        kink = kink_at(look, rounding.value)
        if kink is not None:
            if kink.is_minimum:
                return _kink_minimum(look, kink, evidence)
            if not kink.rises:
                return _falls(look, kink.lowest, rounding, evidence, "the cost has a kink here, and falls")
    if null.size == 0:
        return _tail_or_minimum(look, curvature, rounding, optimality, evidence)
    return _without_curvature(look, curvature, rounding, optimality, evidence)


def _tail_or_minimum(
    look: Look, curvature: Curvature, rounding: Rounding, optimality: Optimality, evidence: list[Evidence]
) -> Judgement:
    """A minimum by slope and curvature, unless some parameter has only run out along a tail."""
    if look.is_small and curvature.complete and curvature.hessian is not None and not look.quadratic:
        bends = np.zeros(look.n)
        bends[curvature.free] = np.diag(curvature.hessian)
        for direction in weak_directions(look, bends, optimality.step):
            tail = is_tail(look, direction, rounding)
            if tail is not None:
                return _fades(look, tail, evidence)
    return _minimum(look, curvature, rounding, optimality, evidence)


def _fades(look: Look, tail: Vector, evidence: list[Evidence]) -> Judgement:
    name = direction_name(tail, look.names)
    evidence.append(
        Evidence(
            f"bottom along {name}", None, None, False, "Newton lengths at slopes far apart do not shrink"
        )
    )
    return Judgement(
        Verdict.INFIMUM_NOT_ATTAINED,
        tuple(evidence),
        f"No minimum: along {name} the cost keeps falling towards {number(look.value)}; its slope has died out to "
        "rounding, but the way it did leads to no finite point.",
        "Bound the parameters, or add a penalty on their size.",
    )


def _minimum(
    look: Look,
    curvature: Curvature,
    rounding: Rounding,
    optimality: Optimality,
    evidence: list[Evidence],
    rises: str = "",
) -> Judgement:
    evidence.append(_curvature_evidence(curvature))
    gap, gap_how = gap_of(look, rounding, optimality.remaining, curvature)
    if gap is not None:
        evidence.append(Evidence("gap to the lowest possible cost", gap, None, True, gap_how))
    reason = _why_global(look, curvature)
    word = Verdict.GLOBAL_MINIMUM if reason else Verdict.LOCAL_MINIMUM
    if reason:
        evidence.append(Evidence("convexity", None, None, True, reason))
    digits = _digits(look, rounding, curvature, optimality)
    slope = _slope_words(look, optimality)
    bends = rises or _curvature_words(curvature)
    ending = f", and {reason}, so no lower point exists" if reason else ""
    active = _active_words(look, evidence)
    return Judgement(
        word, tuple(evidence), f"Minimum: {slope}{active}, {bends}{ending}.", digits=digits, gap=gap
    )


def _digits(look: Look, rounding: Rounding, curvature: Curvature, optimality: Optimality) -> Vector | None:
    """Digits of each parameter; None where the curvature is known in some directions only."""
    if not curvature.complete:
        return None
    return digits_of(look, error_of(look, rounding, curvature, optimality.step, optimality.landing))


def _without_curvature(
    look: Look, curvature: Curvature, rounding: Rounding, optimality: Optimality, evidence: list[Evidence]
) -> Judgement:
    """The slope is zero and some directions show no curvature: probes have to tell what they are."""
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
        return _no_slope(look, by_kind[Runs.STEPPING][0], evidence)
    if Runs.FALLING in by_kind and not look.convex:
        course = by_kind[Runs.FALLING][0]
        return _falls(
            look, course.downhill, rounding, evidence, "the slope and the curvature are zero, but it falls"
        )
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
    if Runs.FALLING_FARTHER_OFF in by_kind and not look.convex:
        course = by_kind[Runs.FALLING_FARTHER_OFF][0]
        return _plateau(look, course, evidence)
    level = [
        c
        for c in found
        if c.runs in (Runs.LEVEL, Runs.LEVEL_ONE_WAY, Runs.BENDING_VALLEY, Runs.RISING_FARTHER_OFF)
    ]
    if not level:
        # Every null direction rises: the minimum is of higher order, such as a quartic.
        error_words = "the curvature is zero but the cost rises on every side probed"
        judgement = _minimum(look, curvature, rounding, optimality, evidence, error_words)
        if judgement.digits is None:
            return judgement
        return replace(
            judgement, digits=np.minimum(judgement.digits, digits_of(look, _where_it_rises(look, found)))
        )
    bent = curvature.values.size > curvature.null.size
    for course in level if not look.quadratic else ():
        tail = is_tail(look, scaled(look, course.direction), rounding)
        if tail is not None:
            return _fades(look, tail, evidence)
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
    return _flat_minimum(look, curvature, level, optimality, rounding, evidence)


def _everything_underflows(look: Look, found: list[Course]) -> bool:
    """Nothing moves the cost here, although the trace says that it depends on some parameter."""
    dead = getattr(look.structure, "dead", None)
    if look.structure is None or dead is None:
        return False
    alive = np.ones(look.n, dtype=bool)
    alive[list(dead)] = False
    return all(course.runs is Runs.LEVEL and (course.direction[alive] != 0).any() for course in found)


def _flat_minimum(
    look: Look,
    curvature: Curvature,
    level: list[Course],
    optimality: Optimality,
    rounding: Rounding,
    evidence: list[Evidence],
) -> Judgement:
    named = []
    basis = level[: max(curvature.null.size, 1)]
    for course in basis:
        bend = "a bend that begins along " if course.runs is Runs.BENDING_VALLEY else ""
        named.append(bend + direction_name(course.direction, look.names))
    dead = [i for i in getattr(look.structure, "dead", ()) if i < look.n]
    reason = _why_global(look, curvature)
    ending = f" {_sentence(reason)}, so no lower point exists." if reason else ""
    never = f" The cost does not depend on {listed([look.names[i] for i in dead])}." if dead else ""
    digits = _digits(look, rounding, curvature, optimality)
    if digits is not None:
        for course in level:
            moved = np.abs(course.direction) > 1e-6 * np.abs(course.direction).max()
            digits = np.where(moved, 0.0, digits)
    gap, gap_how = gap_of(look, rounding, optimality.remaining, curvature)
    if gap is not None:
        evidence.append(Evidence("gap to the lowest possible cost", gap, None, True, gap_how))
    active = _active_words(look, evidence)
    return Judgement(
        Verdict.FLAT_MINIMUM,
        tuple(evidence),
        f"Minimum, but not the only one: {_slope_words(look, optimality)}{active}, and walking along "
        f"{listed(named)} costs nothing.{never}{ending}",
        "Fix a parameter in that direction, or add a small penalty, to make the answer unique.",
        digits=digits,
        gap=gap,
    )


def _where_it_rises(look: Look, found: list[Course]) -> Vector:
    """A bottom without curvature is known only to where the cost begins to rise; error of each, (n,)."""
    error = np.zeros(look.n)
    for course in found:
        error = np.maximum(error, np.abs(course.direction) * max(course.level, NEAREST_PROBE))
    return error


def _saddle(look: Look, curvature: Curvature, rounding: Rounding, evidence: list[Evidence]) -> Judgement:
    evidence.append(_curvature_evidence(curvature))
    v = scaled(look, curvature.vectors[:, 0])
    if float(look.gradient @ v) > 0:
        v = -v
    both = [_first_fall(look, sign * v, rounding) for sign in (1.0, -1.0)]
    side = 0 if both[0] is not None and (both[1] is None or both[0][1] <= both[1][1]) else 1
    found = both[side]
    if found is None and (look.structure is None or _has_kinks(look)):
        # Next to a kink the curvature of one piece says nothing of the whole.
        kink = kink_at(look, rounding.value)
        if kink is not None and kink.is_minimum:
            return _kink_minimum(look, kink, evidence[:-1])
    if found is None:
        if look.touching.any():
            # The downward bend points out of the bounds on both sides.
            evidence.append(Evidence("fall along that bend", None, None, False, "probes inside the bounds"))
            return Judgement(
                Verdict.LOCAL_MINIMUM,
                tuple(evidence),
                f"Minimum inside the bounds: the slope is zero and the cost bends downwards "
                f"({number(curvature.values[0])}) only where the bounds forbid to go.",
                digits=digits_of(look, np.full(look.n, np.inf)),
            )
        downhill, told = v, ""
    else:
        distance, lower = found
        downhill = v if side == 0 else -v
        told = f"; at a distance of {number(distance * float(np.linalg.norm(v)))} it is {look.value - lower:.3g} lower"
    kind = "Maximum" if curvature.complete and (curvature.values < -curvature.limit).all() else "Saddle point"
    return Judgement(
        Verdict.SADDLE_POINT,
        tuple(evidence),
        f"{kind}: the slope is zero, but the cost falls both ways along {direction_name(downhill, look.names)} "
        f"(curvature {number(curvature.extremes[0])}){told}.",
        "Walk on along that direction.",
        downhill=downhill / float(np.linalg.norm(downhill)),
    )


def _first_fall(look: Look, direction: Vector, rounding: Rounding) -> tuple[float, float] | None:
    for t in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        value = look.value_at(look.x + t * direction)
        if value < look.value - 4 * rounding.value:
            return t, value
    return None


def _falls(
    look: Look, direction: Vector | None, rounding: Rounding, evidence: list[Evidence], why: str
) -> Judgement:
    assert direction is not None
    return Judgement(
        Verdict.SADDLE_POINT,
        tuple(evidence),
        f"Not a minimum: {why} along {direction_name(direction, look.names)}.",
        "Walk on along that direction.",
        downhill=direction / float(np.linalg.norm(direction)),
    )


def _plateau(look: Look, course: Course, evidence: list[Evidence]) -> Judgement:
    place = course.place if course.place is not None else look.x
    where = ", ".join(f"{name} = {number(v)}" for name, v in list(zip(look.names, place, strict=False))[:4])
    return Judgement(
        Verdict.PLATEAU,
        tuple(evidence),
        f"Plateau: slope and curvature vanish to rounding at a cost of {look.value:.6g}; nothing here tells "
        f"which way is down, yet a probe found a cost lower by {number(look.value - course.lower)} at {where}.",
        f"Start at {where}.",
    )


def _no_slope(look: Look, course: Course, evidence: list[Evidence]) -> Judgement:
    name = direction_name(course.direction, look.names)
    evidence.append(Evidence("slope where the cost changes", 0.0, 0.0, False, f"probes along {name}"))
    return Judgement(
        Verdict.NO_SLOPE,
        tuple(evidence),
        f"No slope: along {name} the cost changes in steps while its derivative is zero everywhere probed; "
        "it is piecewise constant.",
        "Replace rounding, counting or comparing by something smooth, or search without derivatives.",
    )


def _kink_minimum(look: Look, kink: Kink, evidence: list[Evidence]) -> Judgement:
    # At a kink the slope computed is one of many, and says nothing by itself.
    evidence = [item for item in evidence if item.name not in ("slope", "projected slope")]
    evidence.append(Evidence("zero in the hull of the slopes", kink.hull, kink.limit, True, kink.how))
    sites = _sites(look, kink.radius)
    for site in sites:
        evidence.append(Evidence("kink", None, None, True, f"read off the trace: {site}"))
    where = f" ({listed(sites)})" if sites else ""
    slopes = f"{kink.pieces} slopes meet" if kink.pieces > 1 else "slopes of both sides meet"
    reason = look.structure.convexity.reason if look.convex else ""
    ending = f" {_sentence(reason)}, so no lower point exists." if reason else ""
    if reason:
        evidence.append(Evidence("convexity", None, None, True, reason))
    active = _active_words(look, evidence)
    return Judgement(
        Verdict.MINIMUM_AT_A_KINK,
        tuple(evidence),
        f"Minimum at a kink{where}: {slopes}{active}, their hull holds zero ({number(kink.hull)} <= "
        f"{number(kink.limit)}), and the cost rises on every side.{ending}",
        digits=digits_of(look, np.full(look.n, kink.radius) * look.scale),
    )


# ---- the slope is not zero


def _slope_is_small(look: Look, curvature: Curvature) -> bool:
    """Near enough to a saddle that its slope is none of its story: a Newton step leads a tiny way to it.

    Tiny in the parameters' sizes; or in the cost's own, where the quadratic that the step was read from still
    tells the slope a million steps away.
    """
    if not curvature.complete or curvature.null.size:
        return False
    V, values = curvature.vectors, curvature.values
    slope = np.where(look.free, look.projected, 0.0)
    step = -V @ ((V.T @ slope) / values)
    if (np.abs(step) <= SADDLE_STEP * look.scale).all():
        return True
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
    evidence.append(
        Evidence("straight down the slope", ray.value, look.value, False, f"{ray.leads}, {ray.probes} probes")
    )
    if ray.leads in (Leads.DOWN_FOR_EVER, Leads.TO_A_LIMIT):
        return _along_ray(look, ray, evidence)
    if ray.leads is Leads.LEVEL and _is_level(look, curvature, rounding):
        course = Course(ray.direction, Runs.FALLING_FARTHER_OFF, 1.0, ray.direction, ray.x, ray.value)
        return _level_but_sloping(look, course, optimality, evidence)
    if ray.leads in (Leads.DOWN_AND_UP, Leads.UP):
        settled = _settled_without_curvature(look, curvature, optimality, ray)
        if settled is not None:
            return _stationary(
                look, curvature, rounding, settled, [*evidence, _slope_evidence(look, settled)]
            )
    other = _along_last_displacement(look, rounding)
    if other is not None:
        return _along_ray(look, other, evidence)
    if _is_level(look, curvature, rounding):
        course = Course(ray.direction, Runs.FALLING_FARTHER_OFF, 1.0, ray.direction, ray.x, ray.value)
        return _level_but_sloping(look, course, optimality, evidence)
    barely = ray.distance < 1e-4 or ray.leads is Leads.UP
    if barely and (look.structure is None or _has_kinks(look)):
        kink = kink_at(look, rounding.value)
        if kink is not None and kink.is_minimum:
            return _kink_minimum(look, kink, evidence)
    return _by_stop(look, curvature, optimality, ray, evidence)


def _settled_without_curvature(
    look: Look, curvature: Curvature, optimality: Optimality, ray: Ray
) -> Optimality | None:
    """Near a bottom too flat for a Newton step to say how near: what the slope can still win is probed instead."""
    if not curvature.complete or curvature.negative or not curvature.null.size or look.fall is None:
        return None
    along = curvature.vectors.T @ np.where(look.free, look.projected, 0.0)
    bent = curvature.values > curvature.limit
    promised = 0.5 * float(np.sum(along[bent] ** 2 / curvature.values[bent]))
    left = max(promised, look.value - ray.value)
    if left > optimality.remaining_limit:
        return None
    return replace(optimality, stationary=True, by="probe", remaining=left)


def _along_ray(look: Look, ray: Ray, evidence: list[Evidence]) -> Judgement:
    name = direction_name(ray.direction, look.names)
    distance = number(ray.reach * float(np.linalg.norm(ray.direction)))
    evidence.append(
        Evidence(f"cost along {name}", ray.last, look.value, False, f"{ray.leads}, {ray.probes} probes")
    )
    if ray.leads is Leads.DOWN_FOR_EVER:
        return Judgement(
            Verdict.UNBOUNDED_BELOW,
            tuple(evidence),
            f"Unbounded below: along {name} the cost falls without limit, from {number(look.value)} here to "
            f"{number(ray.value)} at a distance of {distance}.",
            "Check the sign of the cost, or bound the parameters.",
            downhill=None,
        )
    return Judgement(
        Verdict.INFIMUM_NOT_ATTAINED,
        tuple(evidence),
        f"No minimum: along {name} the cost keeps falling towards {number(ray.value)}, which no finite point "
        f"reaches; its slope dies out but never changes sign up to a distance of {distance}.",
        "Bound the parameters, or add a penalty on their size.",
    )


def _level_but_sloping(
    look: Look, course: Course, optimality: Optimality, evidence: list[Evidence]
) -> Judgement:
    if course.lower < look.value:
        return _plateau(look, course, evidence)
    return Judgement(
        Verdict.PLATEAU,
        tuple(evidence),
        f"Plateau: the slope ({number(optimality.slope)}) and the curvature are too small to change the cost, "
        f"{look.value:.6g}, beyond rounding within the parameters' size.",
        "Start somewhere else.",
    )


def _is_level(look: Look, curvature: Curvature, rounding: Rounding) -> bool:
    """Whether slope and curvature together cannot change the cost beyond rounding within a natural size."""
    first = float(np.abs(np.where(look.free, look.projected, 0.0)) @ look.scale)
    second = 0.0
    if curvature.hessian is not None:
        size = look.scale[curvature.free]
        second = float(size @ np.abs(curvature.hessian) @ size)
    return first + 0.5 * second <= LEVEL * rounding.value


def _along_last_displacement(look: Look, rounding: Rounding) -> Ray | None:
    if look.start is None or not np.isfinite(look.start).all():
        return None
    displacement = look.x - look.start
    if not displacement.any() or float(look.gradient @ displacement) >= 0.0:
        return None
    ray = walk(look, scaled(look, displacement), rounding.value)
    return ray if ray.leads in (Leads.DOWN_FOR_EVER, Leads.TO_A_LIMIT) else None


def _by_stop(
    look: Look, curvature: Curvature, optimality: Optimality, ray: Ray, evidence: list[Evidence]
) -> Judgement:
    slope = (
        f"the slope is {number(optimality.slope)}, not zero (rounding explains {number(optimality.limit)})"
    )
    left = ""
    if np.isfinite(optimality.remaining):
        left = f"; a Newton step promises {number(optimality.remaining)} more"
    elif curvature.negative:
        left = "; the cost bends downwards here"
    if look.stop == "out of budget":
        return Judgement(
            Verdict.OUT_OF_BUDGET,
            tuple(evidence),
            f"Out of budget: {slope}{left}. {_rate(look)}".rstrip(),
            _smaller_steps(curvature) if _climbs(look) else "Raise the budget and start from this point.",
        )
    if look.stop == "not finite" or ray.leads is Leads.NOWHERE:
        return Judgement(
            Verdict.NOT_FINITE,
            tuple(evidence),
            f"Not finite: {slope}, but the cost is NaN or infinite where the walk would go on.",
            "Bound the parameters to where the cost exists.",
        )
    who = {
        None: "This point is not a minimum",
        "stopped": "Stopped before a minimum",
        "diverged": "The walk diverged",
        "tolerance reached": "Stopped at the tolerance asked for, short of a minimum",
    }.get(look.stop, f"Not a minimum ({look.stop})")
    lower = ""
    if ray.value < look.value:
        lower = f"; the cost is {number(look.value - ray.value)} lower a little way down the slope"
    return Judgement(
        Verdict.STOPPED,
        tuple(evidence),
        f"{who}: {slope}{left}{lower}.",
        _smaller_steps(curvature)
        if look.stop == "diverged"
        else "Start again from here, with another method or a smaller step.",
    )


def _climbs(look: Look) -> bool:
    """Whether the walk ended higher than it began."""
    return (
        look.history is not None
        and len(look.history) > 1
        and bool(look.history.value[-1] > look.history.value[0])
    )


def _smaller_steps(curvature: Curvature) -> str:
    """A step of rate × slope goes down only while rate < 2 / curvature (Nocedal & Wright 2006, section 3.1)."""
    steepest = curvature.extremes[1]
    below = f" below {number(2.0 / steepest)} (2 / curvature)" if steepest > 0 else ""
    return f"Each step overshoots: take a rate{below}, or a method that chooses its own steps."


def _rate(look: Look) -> str:
    """What more budget would bring, told from the last steps of the walk."""
    if look.history is None or len(look.history) < 3:
        return ""
    values = look.history.value[-RECENT - 1 :]
    steps = values.size - 1
    falls = -np.diff(values)
    if not np.isfinite(values).all() or falls.sum() <= 0:
        climbed = f" but raised it by {number(-float(falls.sum()))}" if falls.sum() < 0 else ""
        return f"The last {steps} steps did not lower the cost{climbed}."
    text = f"The last {steps} steps lowered the cost by {number(float(falls.sum()))}"
    half = steps // 2
    before, after = float(falls[:half].sum()), float(falls[-half:].sum())
    if half and 0 < after < before:
        ratio = (after / before) ** (1 / half)
        rest = float(falls[-1]) * ratio / (1 - ratio)
        more = int(np.ceil(np.log(100) / -np.log(ratio)))
        return f"{text}; at that rate some {number(rest)} is left to gain, 99 % of it in {more} more steps."
    return f"{text}, and they are not getting smaller yet."


# ---- trouble


def _value_not_finite(look: Look) -> Judgement:
    evidence = Evidence("cost at the point", look.value, None, False, "evaluated afresh")
    if look.value == -np.inf:
        return Judgement(
            Verdict.UNBOUNDED_BELOW,
            (evidence,),
            "Unbounded below: the cost is minus infinity here.",
            "Check the logarithms and divisions in the cost, or bound the parameters.",
        )
    what = "not a number" if np.isnan(look.value) else "infinite"
    return Judgement(
        Verdict.NOT_FINITE,
        (evidence,),
        f"Not finite: the cost is {what} at this point.",
        "Start where the cost exists, or bound the parameters to that region.",
    )


def _slope_not_finite(look: Look) -> Judgement:
    broken = [look.names[i] for i in np.flatnonzero(~np.isfinite(look.gradient)).tolist()]
    evidence = [Evidence("slope at the point", None, None, False, f"not finite for {listed(broken)}")]
    kink = kink_at(look, EPS * abs(look.value))
    if kink is not None and kink.is_minimum:
        return _kink_minimum(look, kink, evidence)
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


# ---- words and evidence


def _repeats(look: Look, repeatability: Repeatability) -> Evidence:
    return Evidence(
        "repeats itself",
        repeatability.level,
        repeatability.limit,
        not repeatability.is_noisy,
        repeatability.how,
    )


def _slope_evidence(look: Look, optimality: Optimality) -> Evidence:
    bounds = ", bounds applied" if look.objective.bounds.any else ""
    if optimality.by == "probe":
        return Evidence(
            "decrease still to be had",
            optimality.remaining,
            optimality.remaining_limit,
            True,
            f"lowest of the probes straight down the slope{bounds}",
        )
    if optimality.by in ("decrease", "landing"):
        limit = optimality.remaining_limit if optimality.by == "decrease" else None
        return Evidence(
            "decrease still to be had",
            optimality.remaining,
            limit,
            True,
            f"promise of a Newton step, which left {number(optimality.landing)} of it{bounds}",
        )
    measured = "slope measured by differences, " if look.objective.derivatives == "numeric" else ""
    return Evidence(
        "projected slope" if bounds else "slope",
        optimality.slope,
        optimality.limit,
        optimality.stationary,
        f"{measured}against the slope's own rounding error, from its spread some units in the last place "
        f"away{bounds}",
    )


def _slope_words(look: Look, optimality: Optimality) -> str:
    if not look.free.any():
        return "every slope pushes against a bound"
    if optimality.by == "rounding":
        return f"the slope is 0 to within rounding ({number(optimality.slope)} <= {number(optimality.limit)})"
    if optimality.by == "probe":
        return (
            f"what the slope could still gain ({number(optimality.remaining)}) is below the rounding of the "
            f"cost over the walk ({number(optimality.remaining_limit)})"
        )
    if optimality.by == "decrease":
        return (
            f"what a Newton step could still gain ({number(optimality.remaining)}) is below the rounding of "
            f"the cost ({number(optimality.remaining_limit)})"
        )
    return f"a Newton step would gain only {number(optimality.remaining)} more and lands where it promises"


def _curvature_evidence(curvature: Curvature) -> Evidence:
    smallest = float(curvature.values[0]) if curvature.values.size else np.inf
    measured = curvature.extremes[0] if np.isfinite(curvature.extremes[0]) else None
    return Evidence("smallest curvature", measured, 0.0, smallest > -curvature.limit, curvature.how)


def _curvature_words(curvature: Curvature) -> str:
    values = curvature.all_values
    if curvature.values.size == 0:
        return "every parameter is held by a bound"
    if values is None:
        low, high = curvature.extremes
        return f"every curvature seen in {len(curvature.values)} directions is positive ({low:.6g} to {high:.6g})"
    told = [f"{value:.4g}" for value in values]
    if len(told) == 1:
        return f"the curvature is positive ({told[0]})"
    if len(told) == 2:
        return f"both curvatures are positive ({told[0]}, {told[1]})"
    return f"all {len(told)} curvatures are positive ({told[0]} to {told[-1]})"


def _why_global(look: Look, curvature: Curvature) -> str:
    if look.convex:
        return str(look.structure.convexity.reason)
    everywhere = curvature.complete and bool((curvature.values >= -curvature.limit).all())
    if look.quadratic and everywhere and look.free.all():
        return "the cost is a quadratic without downward curvature"
    return ""


def _active_words(look: Look, evidence: list[Evidence]) -> str:
    held = np.flatnonzero(~look.free)
    if not held.size:
        return ""
    for i in held[:20].tolist():
        evidence.append(
            Evidence(
                f"{look.names[i]} at its bound",
                float(look.gradient[i]),
                0.0,
                True,
                "slope pushes against the bound: its multiplier",
            )
        )
    theirs = "its bound" if held.size == 1 else "their bounds"
    return f" with {listed([look.names[i] for i in held.tolist()])} held at {theirs}"


def _has_kinks(look: Look) -> bool:
    kinks = getattr(look.structure, "kinks", None)
    return bool(kinks)


def _on_a_kink(look: Look) -> bool:
    """Whether the point lies on a kink that the trace shows; its one-sided Hessian then says too little."""
    return _has_kinks(look) and bool(_sites(look, 1e-9))


def _jumps(look: Look, rounding: Rounding, curvature: Curvature, optimality: Optimality) -> bool:
    """Whether the slope differs between neighbouring numbers by more than rounding does on a smooth cost."""
    digits = digits_of(look, error_of(look, rounding, curvature, optimality.step, 0.0))
    return bool((digits[look.free] < FEW_DIGITS).any())


def _sites(look: Look, radius: float) -> list[str]:
    """Kinks of the trace within `radius` natural sizes of the point, as the user wrote them."""
    near = getattr(look.structure, "kinks_near", None)
    if near is None:
        return []
    return [str(site) for site in near(look.x, radius * look.scale)]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
