"""What is said of a minimum: the word, its digits, and why no lower point exists."""

from __future__ import annotations

import numpy as np

from ..linear_algebra.symmetric import eigensystem
from ..numerics import EPS, largest
from ..presentation.text import counted
from .curvature import Curvature
from .failures import falls
from .flatness import NEAR, Course, Runs
from .kink import Edge, Kink
from .look import Look, Rounding
from .measured import curvature_evidence
from .optimality import UNITS, Optimality
from .precision import digits_of, error_of, gap_of, sparse_error_of
from .wording import direction_name, listed, named, number
from .words import Evidence, Judgement, Verdict

Vector = np.ndarray

# Nothing nearer than this, in natural sizes, is known of a bottom without curvature.
NEAREST_PROBE = NEAR[0]

# Slopes on the sides of a kink that differ by more than this part of the largest make it one.
JUMPS = 1e-6

# Along a kink a curvature of this part of the largest, in natural sizes, may be that of a bottom of higher order, which
# leaves a Newton step this many times its length from it.
WEAK, ORDERS = 1e-6, 5.0

# The evidence for a minimum at which slopes meet.
HULL = "zero in the hull of the slopes"

# Random signs that the rounding of the parameters is given, besides all alike.
SIGNS = 2


def minimum(
    look: Look,
    curvature: Curvature,
    rounding: Rounding,
    optimality: Optimality,
    evidence: list[Evidence],
    rises: str = "",
) -> Judgement:
    """The word for a minimum: global where that is proven, else local. `rises`: how it is known without curvature."""
    evidence.append(curvature_evidence(curvature))
    gap, reason = _gap_and_why_global(look, curvature, rounding, optimality, evidence)
    word = Verdict.GLOBAL_MINIMUM if reason else Verdict.LOCAL_MINIMUM
    digits = known_digits(look, rounding, curvature, optimality)
    slope = slope_words(look, optimality)
    bends = rises or curvature_words(curvature)
    ending = f", and {reason}, so no lower point exists" if reason else ""
    active = active_words(look, evidence)
    told = f"{slope}{active}, {bends}{ending}"
    if not look.count_free:
        told = f"every slope pushes against a bound,{active}{ending}"
    return Judgement(word, tuple(evidence), f"Minimum: {told}.", digits=digits, gap=gap)


def known_digits(
    look: Look, rounding: Rounding, curvature: Curvature, optimality: Optimality
) -> Vector | None:
    """Digits of each parameter; None where the curvature is known in some directions only, and no factor tells it."""
    if not curvature.complete:
        error = sparse_error_of(look, rounding)
        return None if error is None else digits_of(look, error)
    return digits_of(look, error_of(look, rounding, curvature, optimality.step, optimality.landing))


def flat_minimum(
    look: Look,
    curvature: Curvature,
    level: list[Course],
    optimality: Optimality,
    rounding: Rounding,
    evidence: list[Evidence],
) -> Judgement:
    """The word for a minimum that is not the only one; the directions of `level` cost nothing."""
    ways = []
    basis = level[: max(curvature.null.size, 1)]
    for course in basis:
        bend = "a bend that begins along " if course.runs is Runs.BENDING_VALLEY else ""
        ways.append(bend + direction_name(course.direction, look.names))
    dead = [i for i in getattr(look.structure, "dead", ()) if i < look.n]
    gap, reason = _gap_and_why_global(look, curvature, rounding, optimality, evidence)
    ending = f" {sentence(reason)}, so no lower point exists." if reason else ""
    never = f" The cost does not depend on {named(look.names, np.array(dead))}." if dead else ""
    digits = known_digits(look, rounding, curvature, optimality)
    if digits is not None:
        for course in level:
            moved = np.abs(course.direction) > 1e-6 * np.abs(course.direction).max()
            digits = np.where(moved, 0.0, digits)
    active = active_words(look, evidence)
    return Judgement(
        Verdict.FLAT_MINIMUM,
        tuple(evidence),
        f"Minimum, but not the only one: {slope_words(look, optimality)}{active}, and walking along "
        f"{listed(ways)} costs nothing.{never}{ending}",
        "Fix a parameter in that direction, or add a small penalty, to make the answer unique.",
        digits=digits,
        gap=gap,
    )


def lowest_of_all(look: Look, evidence: list[Evidence]) -> Judgement | None:
    """The word for a point without a slope where the cost is the lowest number it can be; None where it is higher."""
    lowest = getattr(look.structure, "lowest", -np.inf)
    if not look.value <= lowest:
        return None
    evidence.append(Evidence("gap to the lowest possible cost", 0.0, 0.0, True, "intervals of the trace"))
    return Judgement(
        Verdict.GLOBAL_MINIMUM,
        tuple(evidence),
        f"Minimum: the cost is {number(lowest)} and can be no less, so no lower point exists. There is no slope here.",
        gap=0.0,
    )


def where_it_rises(look: Look, found: list[Course]) -> Vector:
    """A bottom without curvature is known only to where the cost begins to rise; error of each, (n,)."""
    error = np.zeros(look.n)
    for course in found:
        error = np.maximum(error, np.abs(course.direction) * max(course.level, NEAREST_PROBE))
    return error


def kink_minimum(look: Look, kink: Kink, evidence: list[Evidence]) -> Judgement:
    """The word for a minimum at which no slope exists."""
    # At a kink the slope computed is one of many, and says nothing by itself.
    evidence = [item for item in evidence if item.name not in ("slope", "projected slope")]
    evidence.append(Evidence(HULL, kink.hull, kink.limit, True, kink.how))
    sites = kinks_within(look, kink.radius)
    for site in sites:
        evidence.append(Evidence("kink", None, None, True, f"read off the trace: {site}"))
    where = f" ({listed(sites)})" if sites else ""
    slopes = f"{kink.pieces} slopes meet" if kink.pieces > 1 else "slopes of both sides meet"
    reason = look.structure.convexity.reason if look.convex else ""
    ending = f" {sentence(reason)}, so no lower point exists." if reason else ""
    if reason:
        evidence.append(Evidence("convexity", None, None, True, reason))
    active = active_words(look, evidence)
    held = f" ({number(kink.hull)} <= {number(kink.limit)})" if kink.hull else ""
    return Judgement(
        Verdict.MINIMUM_AT_A_KINK,
        tuple(evidence),
        f"Minimum at a kink{where}: {slopes}{active}, their hull holds zero{held}, and the cost rises on every "
        f"side.{ending}",
        digits=digits_of(look, np.maximum(kink.radius * look.scale, _known_along(look, kink))),
    )


def _known_along(look: Look, kink: Kink) -> Vector:
    """How far, (n,), the minimum may lie along the kink; 0 where not known.

    There the cost is smooth, and a small slope may lie far from the place where it is zero: as far as the curvature of
    one side says, and where that is next to nothing, as far as nothing is known of a bottom without one.
    """
    if kink.descent is None or kink.slopes is None or not (look.is_small and look.objective.has_hessian):
        return np.zeros(look.n)
    size = look.on_free(look.scale)
    H = size[:, None] * np.asarray(look.objective.hessian(look.x)) * size
    if not np.isfinite(H).all():
        return np.zeros(look.n)
    jumps = kink.slopes - kink.slopes.mean(axis=0)
    sizes, across = np.linalg.svd(jumps, full_matrices=True)[1:]
    along = across[np.count_nonzero(sizes > JUMPS * largest(np.abs(kink.slopes))) :]
    values, vectors = eigensystem(along @ H @ along.T)
    downhill = kink.descent / look.scale
    left = kink.hull * downhill / max(float(np.linalg.norm(downhill)), 1e-300)
    ways = vectors.T @ along
    bends = np.maximum(values, np.finfo(np.float64).tiny)
    error = (np.abs(ways @ left) + EPS * largest(np.abs(kink.slopes))) / bends
    weak = values <= WEAK * largest(np.abs(H))
    error = np.where(weak, np.clip(ORDERS * error, NEAREST_PROBE, 1.0), error)
    return look.scale * (np.abs(ways).T @ error)


def edge_minimum(look: Look, edge: Edge, evidence: list[Evidence]) -> Judgement:
    """The word for a minimum at the end of where the cost exists: it rises wherever it goes on.

    Unless it falls along that edge.
    """
    if edge.below is not None:
        way = edge.below - look.x
        return falls(look, way, evidence, "the cost ends here, and falls on along that edge", edge.below)
    evidence = [
        item for item in evidence if item.name not in ("slope", "projected slope", "slope at the point")
    ]
    evidence.append(
        Evidence(
            "rise into where the cost exists",
            edge.rise,
            0.0,
            True,
            f"{edge.probes} probes {edge.radius:.0e} around, {edge.outside} of them without a value",
        )
    )
    return Judgement(
        Verdict.MINIMUM_AT_A_KINK,
        tuple(evidence),
        f"Minimum at the edge of where the cost exists: on one side it has no value ({edge.outside} of "
        f"{edge.probes} probes), and it rises wherever it goes on.",
        digits=digits_of(look, np.maximum(edge.radius, edge.off) * look.scale),
    )


def slope_words(look: Look, optimality: Optimality) -> str:
    """In what sense the slope is zero, as part of a sentence."""
    if not look.count_free:
        return "every slope pushes against a bound"
    if optimality.by == "rounding":
        return f"the slope is 0 to within rounding ({number(optimality.slope)} <= {number(optimality.limit)})"
    if optimality.by == "probe":
        return (
            f"what the slope could still gain ({number(optimality.remaining)}) is below the rounding of the "
            f"cost over the walk ({number(optimality.remaining_limit)})"
        )
    if optimality.by == "lowest":
        return f"the cost is only {number(optimality.remaining)} above the lowest number it can be"
    if optimality.by == "decrease":
        return (
            f"what a Newton step could still gain ({number(optimality.remaining)}) is below the rounding of "
            f"the cost ({number(optimality.remaining_limit)})"
        )
    return f"a Newton step would gain only {number(optimality.remaining)} more and lands where it promises"


def curvature_words(curvature: Curvature) -> str:
    """What the curvatures are, as part of a sentence."""
    values = curvature.all_values
    if curvature.values.size == 0:
        return "every parameter is held by a bound"
    if values is None:
        low, high = curvature.extremes
        return (
            f"every curvature seen in {counted(len(curvature.values), 'direction')} is positive "
            f"({low:.6g} to {high:.6g})"
        )
    told = [f"{value:.4g}" for value in values]
    if len(told) == 1:
        return f"the curvature is positive ({told[0]})"
    if len(told) == 2:
        return f"both curvatures are positive ({told[0]}, {told[1]})"
    return f"all {len(told)} curvatures are positive ({told[0]} to {told[-1]})"


def _gap_and_why_global(
    look: Look, curvature: Curvature, rounding: Rounding, optimality: Optimality, evidence: list[Evidence]
) -> tuple[float | None, str]:
    """A bound on what any point could gain, and why no lower point exists, as part of a sentence.

    None, and empty, where that is not proven. What proves it goes into `evidence`.
    """
    gap, how = gap_of(look, rounding, optimality.remaining, curvature)
    reason, limit = _why_convex(look, curvature), None
    convex = Evidence("convexity", None, None, True, reason) if reason else None
    if convex is None and (found := _above_the_lowest(look, curvature, rounding)) is not None:
        (gap, limit), how = found, "intervals of the trace"
        within = f" to within rounding ({number(gap)} <= {number(limit)})" if gap else ""
        reason = f"the cost is {number(look.structure.lowest)}{within}, and can be no less"
    if gap is not None:
        evidence.append(Evidence("gap to the lowest possible cost", gap, limit, True, how))
    if convex is not None:
        evidence.append(convex)
    return gap, reason


def _why_convex(look: Look, curvature: Curvature) -> str:
    """Why the cost curves upwards everywhere, as part of a sentence; empty where that is not proven."""
    if look.convex:
        return str(look.structure.convexity.reason)
    # A curvature that is zero to rounding may be a downward one.
    if look.quadratic and curvature.complete and curvature.positive and look.all_free:
        return "the cost is a quadratic that curves upwards in every direction"
    return ""


def _above_the_lowest(look: Look, curvature: Curvature, rounding: Rounding) -> tuple[float, float] | None:
    """How far the cost is above a number that it can nowhere fall below, and its rounding; None where it is more.

    The rounding is that of the cost itself, and what its slope and curvature make of a rounding of the parameters:
    what neighbours were seen to differ by may be a wall, or owe its size to a far start, and would excuse as much as a
    higher valley is above the lowest.
    """
    above = max(look.value - getattr(look.structure, "lowest", -np.inf), 0.0)
    limit = EPS * abs(look.value)
    if limit < above <= rounding.value + rounding.jump:
        unit = look.on_free(UNITS * np.maximum(look.spacing, EPS * np.minimum(look.scale, look.own_size)))
        shifts = np.array([unit, *(look.signs() * unit for _ in range(SIGNS))])
        bends = np.add.reduce(shifts * curvature.products_of(shifts), 1)
        limit += float(np.maximum.reduce(np.abs(shifts.dot(look.on_free(look.gradient)) + 0.5 * bends)))
    return (above, limit) if above <= limit else None


def active_words(look: Look, evidence: list[Evidence]) -> str:
    """Which parameters their bounds hold, as part of a sentence; their multipliers go into `evidence`."""
    if look.all_free:
        return ""
    held = np.flatnonzero(~look.free)
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
    return f" with {named(look.names, held)} held at {theirs}"


def kinks_within(look: Look, radius: float) -> list[str]:
    """Kinks of the trace within `radius` natural sizes of the point, as the user wrote them."""
    near = getattr(look.structure, "kinks_near", None)
    if near is None:
        return []
    return [str(site) for site in near(look.x, radius * look.scale)]


def sentence(text: str) -> str:
    """The text with its first letter a capital."""
    return text[:1].upper() + text[1:]
