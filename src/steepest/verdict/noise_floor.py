"""The noise floor: what is left to win is less than the noise of the cost, or than its rounding."""

from __future__ import annotations

import numpy as np

from .curvature import Curvature
from .look import Look, Rounding
from .noise import Repeatability, trembles
from .optimality import Optimality
from .overflow import NARROW
from .rays import scaled_descent, walk
from .wording import number
from .words import Evidence, Judgement, Verdict


def noise_floor(
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


def is_made_of_rounding(look: Look, rounding: Rounding) -> bool:
    """Whether neighbouring numbers differ by a part of the cost, of all it fell by, and of its size farther off."""
    at_stake = look.at_stake
    if not rounding.jump > NARROW * at_stake:
        return False
    level = NARROW * max(at_stake, look.size_aside)
    return rounding.jump > level and trembles(look, level)


def without_digits(rounding: Rounding, evidence: list[Evidence]) -> Judgement:
    """At the noise floor, as the cost jumps between neighbouring numbers by a part of all that it is."""
    return Judgement(
        Verdict.NOISE_FLOOR,
        tuple(evidence),
        f"Noise floor: the cost jumps by {number(rounding.jump)} between neighbouring double precision numbers, a part "
        "of all that it is and fell by; it is as low here as that lets us tell.",
        "Look where digits are lost: a matrix that is nearly singular, or numbers that cancel. Keep the parameters "
        "away from there by bounds, or start elsewhere.",
    )
