"""A saddle: does the cost fall where the Hessian bends downwards, and is the point near enough to it?"""

from __future__ import annotations

import numpy as np

from ..bounds import Vector
from ..numerics import EPS
from .curvature import Curvature
from .kink import edge_at, kink_at
from .kink_descent import way_out_of
from .look import Look, Rounding
from .measured import curvature_evidence
from .minima import edge_minimum, kink_minimum
from .optimality import newton_decrease
from .precision import digits_of
from .rays import first_fall, scaled
from .wording import direction_name, number
from .words import Evidence, Judgement, Verdict

# Distances, in natural sizes, at which a fall along a downward bend is looked for, from where it can show on: where it
# tells this many times the rounding error of the cost. A wall may end it soon. And of many such bends the steepest.
DOWN_A_BEND = tuple(10.0 ** (k / 2) for k in range(-14, 1))
SHOWS, BENDS = 8.0, 6

# A downward bend leads out of the bounds by parameters that move by more than this part of its longest way, in natural
# sizes: rounding turns every direction a little towards them.
FELT = 1e-6

# A saddle nearer than this, in parts of the sizes that matter, is where the point is; farther off it is not.
SADDLE_STEP = 1e-6


def saddle(
    look: Look, curvature: Curvature, rounding: Rounding, evidence: list[Evidence]
) -> tuple[Judgement | None, Curvature]:
    """A saddle, should the cost be seen to fall where the Hessian bends downwards; and the curvature that is left.

    A Hessian made a little off the bottom of a flat valley, or rounded, bends downwards where the cost nowhere falls.
    Such curvatures are then zero as far as the cost can tell, and its course along them has to be looked at.
    """
    fall = _fall_by_curvature(look, curvature, rounding)
    if fall is None and look.may_have_kinks:
        # Next to a kink the curvature of one piece says nothing of the whole.
        kink = kink_at(look, rounding.value)
        if kink is not None and kink.is_minimum and way_out_of(look, kink, rounding.value) is None:
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
    found = Judgement(
        Verdict.SADDLE_POINT,
        tuple(evidence),
        f"{kind}: the slope is zero, but the cost falls {ways}along {direction_name(v, look.names)} "
        f"(curvature {number(curvature.extremes[0])}); at a distance of {number(distance * length)} it is "
        f"{look.value - lower:.3g} lower.",
        "Walk on along that direction.",
        downhill=v / length,
        below=look.inside(look.x + distance * v),
    )
    return found, curvature


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
    above = 4.0 * rounding.value + newton_decrease(look, curvature)
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
        one, other = (first_fall(look, sign * v, above, distances) for sign in (1.0, -1.0))
        if one is not None and (other is None or one[0] <= other[0]):
            return v, *one, other is not None
        if other is not None:
            return -v, *other, one is not None
    return None


def slope_is_small(look: Look, curvature: Curvature) -> bool:
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
