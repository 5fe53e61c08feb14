"""Does the derivative that was handed in agree with the cost? Compared with differences of the cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..numerics import EPS
from .look import Look
from .words import Evidence

# Steps of the central differences, in units of the parameters' size; what two of them disagree by is the
# error of the better one.
STEPS = (1e-4, 1e-5)

# Times that error a disagreement must be, and this part of the slope, before the derivative counts as wrong.
ERROR_FACTOR = 50.0
DISAGREEMENT = 1e-4


@dataclass(frozen=True)
class Disagreement:
    """The evidence, and the sentence where it does not hold."""

    evidence: Evidence
    sentence: str


def disagreement(look: Look) -> Disagreement:
    """Compare the slope with central differences: along one random direction, then parameter by parameter."""
    free = np.flatnonzero(look.free)
    direction = np.where(look.free, look.generator.standard_normal(look.n), 0.0) * look.scale
    given, measured, error = _compare(look, direction)
    size = float(np.abs(look.gradient) @ np.abs(direction))
    holds = not abs(given - measured) > max(ERROR_FACTOR * error, DISAGREEMENT * max(size, abs(measured)))
    evidence = Evidence(
        "supplied derivative",
        abs(given - measured),
        max(ERROR_FACTOR * error, DISAGREEMENT * size),
        holds,
        "against central differences of the cost along a random direction",
    )
    if holds:
        return Disagreement(evidence, "")
    worst, told = -1.0, ""
    for i in free[:50]:
        unit = np.zeros(look.n)
        unit[i] = look.scale[i]
        one, other, one_error = _compare(look, unit)
        miss = abs(one - other)
        if miss > max(ERROR_FACTOR * one_error, worst):
            worst = miss
            told = (
                f"for {look.names[i]} it says {one / look.scale[i]:.6g}, the cost says {other / look.scale[i]:.6g}"
                f"{_pattern(one, other)}"
            )
    return Disagreement(
        evidence, f"Wrong gradient: {told or 'it disagrees with the cost along a random direction'}."
    )


def _compare(look: Look, direction: np.ndarray) -> tuple[float, float, float]:
    """Slope along `direction` (n,) as given and as measured, and the error of the latter."""
    measured = []
    for h in STEPS:
        ahead, behind = (look.objective.bounds.project(look.x + s * h * direction) for s in (1.0, -1.0))
        span = float((ahead - behind) @ direction) / float(direction @ direction)
        measured.append((look.value_at(ahead) - look.value_at(behind)) / span if span > 0 else np.nan)
    rounding = EPS * abs(look.value) / STEPS[1]
    if not np.isfinite(measured).all():
        return 0.0, 0.0, np.inf
    return float(look.gradient @ direction), measured[1], abs(measured[0] - measured[1]) + rounding


def _pattern(given: float, true: float) -> str:
    if true != 0.0 and abs(given + true) < 1e-3 * abs(true):
        return " (the sign is wrong)"
    if true != 0.0 and given != 0.0:
        ratio = given / true
        for factor in (2.0, 0.5):
            if abs(ratio - factor) < 1e-3:
                return f" (a factor of {factor:g})"
    return ""
