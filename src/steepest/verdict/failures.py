"""What is said where there is no minimum: the word, what was seen, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..numerics import EPS
from .curvature import Curvature
from .endless import Pole, Valley
from .flatness import Course, Runs
from .look import Look
from .optimality import Optimality
from .rays import Leads, Ray
from .receding import Receding
from .stride import Tail
from .wording import direction_name, number
from .words import Evidence, Judgement, Verdict

Vector = np.ndarray

# What a ray does where nothing that was seen holds the cost up.
ENDLESS = frozenset({Leads.DOWN_FOR_EVER, Leads.DOWN_TO_OVERFLOW, Leads.DOWN_A_RAVINE})

# Steps at the end of the history from which the rate of descent is read.
RECENT = 10


def fades(look: Look, tail: Vector, evidence: list[Evidence]) -> Judgement:
    """A slope that has died out along the direction `tail` (n,) without leading anywhere."""
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


def with_the_gap(look: Look, judgement: Judgement) -> Judgement:
    """The same, with how much lower the cost could go at all, where its trace shows a number it cannot fall below.

    The infimum may be reached to double precision without being attained: then nothing is left to gain.
    """
    lowest = getattr(look.structure, "lowest", -np.inf)
    if not np.isfinite(lowest):
        return judgement
    gap = max(look.value - lowest, 0.0)
    size = max(abs(look.value), abs(lowest), look.fall or 0.0)
    evidence = Evidence("gap to the lowest possible cost", gap, None, True, "intervals of the trace")
    judgement = replace(judgement, gap=gap, evidence=(*judgement.evidence, evidence))
    if gap > EPS * size:
        return judgement
    above = (
        f"It is {number(gap)} above {number(lowest)}"
        if gap
        else f"To double precision it is {number(lowest)}"
    )
    return replace(
        judgement,
        sentence=f"{judgement.sentence} {above}, below which it cannot fall: nothing is left to gain.",
        next_step="Take this point if a cost this low is all you need; for parameters that mean something, bound them "
        "or add a penalty on their size.",
    )


def falls_along_a_bend(look: Look, course: Course, evidence: list[Evidence]) -> Judgement:
    """A point at the bottom of a valley whose bottom falls, too little for the slope to show, along a bend."""
    assert course.downhill is not None and course.place is not None
    name = direction_name(course.downhill, look.names)
    fall = number(look.value - course.lower)
    far = number(look.apart(course.place, look.x))
    if course.runs is Runs.FADING_ALONG_A_BEND:
        return Judgement(
            Verdict.INFIMUM_NOT_ATTAINED,
            tuple(evidence),
            f"No minimum: along a bend that begins along {name} the cost keeps falling, ever less, by {fall} within "
            f"{far} sizes of the parameters, and no finite point is lowest.",
            "Bound the parameters, or add a penalty on their size.",
        )
    spent = look.stop == "out of budget"
    return Judgement(
        Verdict.OUT_OF_BUDGET if spent else Verdict.STOPPED,
        tuple(evidence),
        f"{'Out of budget' if spent else 'Not a minimum'}: the slope is lost in rounding, but along a bend that begins "
        f"along {name} the cost is {fall} lower at {far} sizes of the parameters.",
        "Raise the budget and start from this point."
        if spent
        else "Start again from here, with another method.",
        downhill=None if spent else (course.place - look.x) / float(np.linalg.norm(course.place - look.x)),
    )


def falls(
    look: Look,
    direction: Vector | None,
    evidence: list[Evidence],
    why: str,
    below: Vector | None = None,
) -> Judgement:
    """A point that looked like a minimum, but the cost falls along `direction` (n,), as a probe saw `below` it (n,)."""
    assert direction is not None
    return Judgement(
        Verdict.SADDLE_POINT,
        tuple(evidence),
        f"Not a minimum: {why} along {direction_name(direction, look.names)}.",
        "Walk on along that direction.",
        downhill=direction / float(np.linalg.norm(direction)),
        below=below,
    )


def not_judged(value: float, gradient: Vector) -> Judgement:
    """The end of a walk, of this cost and slope (n,), where Ctrl-C was pressed before it was judged."""
    return Judgement(
        Verdict.STOPPED,
        (),
        "Stopped: interrupted from the keyboard while the end of the walk was judged; it may be a minimum.",
        "steepest.verify(cost, x) judges a point.",
        value=value,
        gradient=gradient,
    )


def no_calls_left(value: float, gradient: Vector, history: Any, stop: str, reason: str) -> Judgement:
    """The end of a walk, of this cost and slope (n,), where the calls that judging takes were no longer allowed.

    `stop`, `reason`: why the walk ended, in a word and a sentence.
    """
    known = np.abs(gradient[np.isfinite(gradient)])
    largest = float(known.max()) if known.size else None
    slope = Evidence("slope", largest, None, False, "as the walk measured it, not looked at afresh")
    unseen = Evidence(
        "slope and curvature, judged afresh", None, None, False, "not looked at: no calls were left"
    )
    cut_short = stop == "out of budget"
    sentence = (
        f"Out of budget: {reason}, and no calls were left to judge the point. {_rate(history)}".rstrip()
        if cut_short
        else f"Out of budget: the walk came to an end ({reason}), but no calls were left to judge the point."
    )
    return Judgement(
        Verdict.OUT_OF_BUDGET,
        (slope, unseen) if known.size else (unseen,),
        sentence,
        "Raise the budget and start from this point."
        if cut_short
        else "Raise the budget: slopes measured by differences are judged by many calls. Or look with "
        "steepest.verify(cost, x).",
        value=value,
        gradient=gradient,
    )


def plateau(look: Look, course: Course, evidence: list[Evidence]) -> Judgement:
    """Nothing here tells which way is down, though a probe, the `course`, met a lower cost."""
    place = course.place if course.place is not None else look.x
    where = ", ".join(f"{name} = {number(v)}" for name, v in list(zip(look.names, place, strict=False))[:4])
    return Judgement(
        Verdict.PLATEAU,
        tuple(evidence),
        f"Plateau: slope and curvature vanish to rounding at a cost of {look.value:.6g}; nothing here tells "
        f"which way is down, yet a probe found a cost lower by {number(look.value - course.lower)} at {where}.",
        f"Start at {where}.",
        below=course.place,
    )


def no_slope(look: Look, course: Course, evidence: list[Evidence]) -> Judgement:
    """The cost changes in steps along `course`, and its derivative is zero between them."""
    name = direction_name(course.direction, look.names)
    evidence.append(Evidence("slope where the cost changes", 0.0, 0.0, False, f"probes along {name}"))
    return Judgement(
        Verdict.NO_SLOPE,
        tuple(evidence),
        f"No slope: along {name} the cost changes in steps while its derivative is zero everywhere probed; "
        "it is piecewise constant.",
        "Replace rounding, counting or comparing by something smooth, or search without derivatives.",
    )


def along_ray(look: Look, ray: Ray, evidence: list[Evidence]) -> Judgement:
    """Where the ray leads: down for ever, or towards a limit."""
    name = direction_name(ray.direction, look.names)
    distance = number(ray.reach * float(np.linalg.norm(ray.direction)))
    evidence.append(
        Evidence(f"cost along {name}", ray.last, look.value, False, f"{ray.leads}, {ray.probes} probes")
    )
    if ray.leads in ENDLESS and has_a_floor(look):
        return _above_a_floor(look, f"along {name}", ray.value, distance, evidence)
    if ray.leads is Leads.DOWN_FOR_EVER:
        return Judgement(
            Verdict.UNBOUNDED_BELOW,
            tuple(evidence),
            f"Unbounded below: along {name} the cost falls without limit, from {number(look.value)} here to "
            f"{number(ray.value)} at a distance of {distance}.",
            "Check the sign of the cost, or bound the parameters.",
            downhill=None,
        )
    if ray.leads in (Leads.DOWN_TO_OVERFLOW, Leads.DOWN_A_RAVINE):
        end = (
            "up to where numbers inside it become too large, or too small, to be held"
            if ray.leads is Leads.DOWN_TO_OVERFLOW
            else "in a ravine that has become narrower than the spacing of numbers"
        )
        return Judgement(
            Verdict.UNBOUNDED_BELOW,
            tuple(evidence),
            f"Unbounded below, as far as double precision goes: along {name} the cost falls as fast as ever, to "
            f"{number(ray.value)}, {end}.",
            "Bound the parameters, or add a penalty on their size: a deviation, for one, that nothing keeps from "
            "shrinking needs a lower bound.",
        )
    return Judgement(
        Verdict.INFIMUM_NOT_ATTAINED,
        tuple(evidence),
        f"No minimum: along {name} the cost keeps falling towards {number(ray.value)}, which no finite point "
        f"reaches; its slope dies out but never changes sign up to a distance of {distance}.",
        "Bound the parameters, or add a penalty on their size.",
    )


def fell_on(look: Look, way: Vector, evidence: Sequence[Evidence]) -> Judgement:
    """Where the walk fell as fast as ever, to where slopes are lost in rounding."""
    name, began = direction_name(way, look.names), number(float(look.history.value[0]))
    distance = number(float(np.linalg.norm(way)))
    told = "the fall did not diminish from one doubling of the way to the next"
    return Judgement(
        Verdict.UNBOUNDED_BELOW,
        (*evidence, Evidence(f"walk along {name}", look.value, None, False, told)),
        f"Unbounded below: along {name} the walk fell as fast as ever, from {began} to {number(look.value)} at a "
        f"distance of {distance}.",
        "Check the sign of the cost, or bound the parameters.",
    )


def has_a_floor(look: Look) -> bool:
    """Whether its trace shows a number that the cost cannot fall below."""
    return bool(np.isfinite(getattr(look.structure, "lowest", -np.inf)))


def _above_a_floor(
    look: Look, where: str, value: float, distance: str, evidence: list[Evidence]
) -> Judgement:
    """A fall that was seen to go on as fast as ever, of a cost that cannot fall without limit."""
    return Judgement(
        Verdict.INFIMUM_NOT_ATTAINED,
        tuple(evidence),
        f"No minimum: {where} the cost keeps falling, from {number(look.value)} here to {number(value)} at a distance "
        f"of {distance}; it cannot fall below {number(look.structure.lowest)}, but no finite point there is lowest.",
        "Bound the parameters, or add a penalty on their size.",
    )


def into_a_pole(look: Look, pole: Pole, evidence: list[Evidence]) -> Judgement:
    """The cost has no lower end beside a finite point."""
    where = ", ".join(
        f"{name} = {number(v)}" for name, v in list(zip(look.names, pole.place, strict=False))[:4]
    )
    if pole.value == -np.inf:
        told = "it is minus infinity there"
    else:
        told = f"{number(pole.value)} there, and every quartering of the distance lowers it by at least as much again"
    evidence.append(
        Evidence(f"cost towards {where}", pole.value, look.value, False, "probes ever nearer to it")
    )
    return Judgement(
        Verdict.UNBOUNDED_BELOW,
        tuple(evidence),
        f"Unbounded below: the cost falls without limit towards {where}; {told}.",
        "Check the logarithms and divisions in the cost, or bound the parameters away from there.",
    )


def along_valley(look: Look, valley: Valley, evidence: list[Evidence]) -> Judgement:
    """Where a bent valley leads: down for ever, or towards a limit."""
    name = direction_name(valley.direction, look.names)
    how = f"{valley.leads}, {valley.steps} steps along the valley, {valley.told}"
    evidence.append(Evidence("cost along the valley", valley.value, look.value, False, how))
    begins = f"along a valley that bends, and begins along {name}, the cost"
    distance = number(valley.distance)
    if valley.leads is Leads.DOWN_FOR_EVER and has_a_floor(look):
        return _above_a_floor(look, begins.removesuffix(" the cost"), valley.value, distance, evidence)
    if valley.leads is Leads.DOWN_FOR_EVER:
        return Judgement(
            Verdict.UNBOUNDED_BELOW,
            tuple(evidence),
            f"Unbounded below: {begins} falls without limit, from {number(look.value)} here to "
            f"{number(valley.value)} at a distance of {distance}.",
            "Check the sign of the cost, or bound the parameters.",
        )
    return Judgement(
        Verdict.INFIMUM_NOT_ATTAINED,
        tuple(evidence),
        f"No minimum: {begins} keeps falling, to {number(valley.value)} at a distance of {distance} and ever less "
        "farther on; no finite point is lowest.",
        "Bound the parameters, or add a penalty on their size.",
    )


def strode_on(look: Look, tail: Tail, evidence: list[Evidence]) -> Judgement:
    """A walk that did not slow down as its falls died out: it came down a tail."""
    name = direction_name(tail.direction, look.names)
    evidence.append(
        Evidence("the walk slowed down", None, None, False, f"{tail.how}; seen over {tail.steps} steps")
    )
    return Judgement(
        Verdict.INFIMUM_NOT_ATTAINED,
        tuple(evidence),
        f"No minimum: along {name} the cost keeps falling towards {number(look.value)}; its slope has died out to "
        f"rounding, but the walk came {number(tail.distance)} without slowing down, and beyond its end the cost does "
        "not rise.",
        "Bound the parameters, or add a penalty on their size.",
    )


def recedes(look: Look, floor: Receding, evidence: list[Evidence]) -> Judgement:
    """The floor on which the point lies was higher behind it, and does not rise ahead."""
    name, distance = direction_name(floor.way, look.names), number(floor.distance)
    told = f"{number(floor.behind)} behind the point, and not rising up to {distance} ahead"
    evidence.append(Evidence(f"floor along {name}", floor.ahead, look.value, False, told))
    if floor.leads is Leads.DOWN_FOR_EVER and has_a_floor(look):
        return _above_a_floor(look, f"along {name}", floor.ahead, distance, evidence)
    if floor.leads is Leads.DOWN_FOR_EVER:
        return Judgement(
            Verdict.UNBOUNDED_BELOW,
            tuple(evidence),
            f"Unbounded below: along {name} the cost falls without limit, from {number(look.value)} here to "
            f"{number(floor.ahead)} at a distance of {distance}.",
            "Check the sign of the cost, or bound the parameters.",
        )
    return Judgement(
        Verdict.INFIMUM_NOT_ATTAINED,
        tuple(evidence),
        f"No minimum: along {name} the cost came down from {number(floor.behind)} to {number(look.value)}, where "
        f"rounding hides what is left of its slope, and does not rise again up to a distance of {distance}.",
        "Bound the parameters, or add a penalty on their size.",
    )


def level_but_sloping(
    look: Look, course: Course, optimality: Optimality, evidence: list[Evidence]
) -> Judgement:
    """A slope too small to change the cost within the parameters' size."""
    if course.lower < look.value:
        return plateau(look, course, evidence)
    return Judgement(
        Verdict.PLATEAU,
        tuple(evidence),
        f"Plateau: the slope ({number(optimality.slope)}) and the curvature are too small to change the cost, "
        f"{look.value:.6g}, beyond rounding within the parameters' size.",
        "Start somewhere else.",
    )


def by_stop(
    look: Look, curvature: Curvature, optimality: Optimality, ray: Ray, evidence: list[Evidence]
) -> Judgement:
    """A point that is no minimum, told with why the walk ended there."""
    slope = f"the slope is {number(optimality.slope)}, not zero"
    if np.isfinite(optimality.limit):
        slope += f" (rounding explains {number(optimality.limit)})"
    left = ""
    if np.isfinite(optimality.remaining):
        left = f"; a Newton step promises {number(optimality.remaining)} more"
    elif curvature.negative:
        left = "; the cost bends downwards here"
    if look.stop == "out of budget":
        return Judgement(
            Verdict.OUT_OF_BUDGET,
            tuple(evidence),
            f"Out of budget: {slope}{left}. {_rate(look.history)}".rstrip(),
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
        else "Walk on from here."
        if look.stop is None
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


def _rate(history: Any) -> str:
    """What more budget would bring, told from the last steps of the walk."""
    if history is None or len(history) < 3:
        return ""
    values = history.value[-RECENT - 1 :]
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
        return f"{text}; at that rate such steps would win some {number(rest)} more, 99 % of it in {more} of them."
    return f"{text}, and they are not getting smaller yet."


def quadratic_without_minimum(look: Look, direction: Vector, evidence: list[Evidence]) -> Judgement:
    """A quadratic that is a straight line along `direction` (n,), and falls there."""
    name = direction_name(direction, look.names)
    evidence.append(
        Evidence(
            f"slope along {name}", None, None, False, "a quadratic without curvature there, but with a slope"
        )
    )
    return Judgement(
        Verdict.UNBOUNDED_BELOW,
        tuple(evidence),
        f"Unbounded below: along {name} the cost is a straight line that falls for ever.",
        "Check the sign of the cost, or bound the parameters.",
    )


def wrong_gradient(sentence: str, evidence: list[Evidence]) -> Judgement:
    """The derivative handed in is not the cost's."""
    return Judgement(
        Verdict.WRONG_GRADIENT,
        tuple(evidence),
        sentence,
        "Correct the derivative, or leave it out: the exact one is then read off the cost.",
    )


def finite_by_chance(look: Look, evidence: list[Evidence]) -> Judgement:
    """The cost is a number at the point, and none when it is computed again: its last digit decides."""
    return Judgement(
        Verdict.NOT_FINITE,
        tuple(evidence),
        f"Not finite: the cost is {number(look.value)} at this point, and no number when it is computed again, in "
        "another order of its sums or beside its gradient: a rounding decides.",
        "Look where a number that is rounded to 0 or 1 meets a logarithm or a division: of p = 1/(1 + exp(-z)), "
        "log(1 - p) is -np.logaddexp(0, z).",
    )


def value_not_finite(look: Look) -> Judgement:
    """The cost is NaN or infinite at the point."""
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
