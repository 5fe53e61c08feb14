"""What was measured, as evidence that people and programs can read."""

from __future__ import annotations

import numpy as np

from .curvature import Curvature
from .look import Look
from .noise import Repeatability
from .optimality import Optimality
from .wording import number
from .words import Evidence


def repeats(look: Look, repeatability: Repeatability) -> Evidence:
    """Whether two calls gave the same."""
    return Evidence(
        "repeats itself",
        repeatability.level,
        repeatability.limit,
        not repeatability.is_noisy,
        repeatability.how,
    )


def slope_evidence(look: Look, optimality: Optimality) -> Evidence:
    """How large the slope is, against what rounding explains; or what is still to be gained."""
    bounds = ", bounds applied" if look.objective.bounds.any else ""
    if optimality.by in ("probe", "lowest"):
        probed = optimality.by == "probe"
        return Evidence(
            "decrease still to be had",
            optimality.remaining,
            optimality.remaining_limit if probed else None,
            True,
            f"lowest of the probes straight down the slope{bounds}"
            if probed
            else "above the lowest number the cost can be, by its trace",
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


def curvature_evidence(curvature: Curvature) -> Evidence:
    """The smallest curvature, and how it was found."""
    smallest = float(curvature.values[0]) if curvature.values.size else np.inf
    measured = curvature.extremes[0] if np.isfinite(curvature.extremes[0]) else None
    return Evidence("smallest curvature", measured, 0.0, smallest > -curvature.limit, curvature.how)
