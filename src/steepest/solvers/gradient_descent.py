"""Gradient descent: a small step in the opposite direction, plain, with momentum, or Nesterov's."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, nan, sqrt
from typing import NamedTuple

import numpy as np

from ..bounds import Mask, Vector
from ..errors import InputError
from ..numerics import EPS
from ..objective import Objective
from .stopping import VALUE_ROUNDING, StopReason

# How far the curvature is felt from the start: large against the rounding of the gradient, small against
# the distance over which curvature changes.
FEELER = EPS**0.5

# Looks at the curvature, each turning further towards its largest (power iterations). Five overestimate
# the safe rate by little on most costs; the safety factor covers the rest.
CURVATURE_LOOKS = 5

# The measured rate is this part of 1 / curvature. At 1 a parabola would be solved in one step, at 2 it would
# never be; half leaves room for curvature that grows on the way.
SAFETY = 0.5

# A rate found to overshoot is cut by this, and so is a step that ends where the cost is not finite.
CUT = 0.5
MAX_CUTS = 60

OVERSHOOTS = "each step overshoots: rate above 2/curvature. Write a smaller rate, or leave it to be measured"


class DescentState(NamedTuple):
    """`velocity`: the last step without its gradient part, shape (n,). `rate`: the rate in use."""

    x: Vector
    value: float
    gradient: Vector
    step: Vector | None
    decrease: float
    stop: StopReason | None
    velocity: Vector
    rate: float


@dataclass(frozen=True)
class GradientDescent:
    """step = momentum·(last step) - rate·gradient, put inside the bounds.

    `rate` given is kept to the letter, so that every step of plain descent is exactly -rate·slope; only a
    step that ends where the cost is not finite is shortened. `rate` None is measured: half of 1 / largest
    curvature felt at the start, and halved whenever a plain step would raise the cost.
    With `nesterov` the gradient step leaves from where the momentum leads (Sutskever et al. 2013, eq. 3-4,
    in the form optax uses): velocity = momentum·velocity + gradient, step = -rate·(gradient + momentum·velocity).
    """

    rate: float | None = None
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        check_rate(self.rate)
        if not 0.0 <= self.momentum < 1.0:
            raise InputError(
                f"momentum is the part of the last step that is kept: write 0 <= momentum < 1, not {self.momentum!r}"
            )

    @property
    def name(self) -> str:
        """What results call it."""
        if self.nesterov:
            return "Nesterov"
        return "momentum" if self.momentum else "gradient descent"

    @property
    def remedy(self) -> str:
        """What to change when the walk diverges."""
        return OVERSHOOTS

    def default_max_steps(self, n: int) -> int:
        """A fixed rate may need many steps, and each is cheap."""
        return 100_000

    def init(self, objective: Objective, x: Vector) -> DescentState:
        """The start, with the rate measured there if none was given."""
        value, gradient = objective.value_and_gradient(x)
        rate = self.rate
        if rate is None:
            rate = measured_rate(objective, x, gradient) if isfinite(value) else 1.0
        return DescentState(x, value, gradient, None, nan, None, np.zeros(x.size), rate)

    def step(self, objective: Objective, state: DescentState) -> DescentState:
        """One step down the slope."""
        rate, x, gradient = state.rate, state.x, state.gradient
        velocity = self.momentum * state.velocity + gradient if self.momentum else gradient
        push = gradient + self.momentum * velocity if self.nesterov else velocity
        for _ in range(MAX_CUTS):
            landed, step, blocked = descend(objective, x, -rate * push)
            value, slope = objective.value_and_gradient(landed)
            finite = isfinite(value) and isfinite(float(slope.dot(slope)))
            measured = self.rate is None and not self.momentum
            if not finite or (measured and value > state.value + VALUE_ROUNDING * abs(state.value)):
                rate *= CUT
                continue
            if blocked is not None:
                velocity = np.where(blocked, 0.0, velocity)
            stop = None if self.momentum or step.any() else StopReason.SPACING
            kept = rate if self.rate is None else self.rate
            return DescentState(landed, value, slope, step, nan, stop, velocity, kept)
        return state._replace(stop=StopReason.NO_PROGRESS)


def descend(objective: Objective, x: Vector, step: Vector) -> tuple[Vector, Vector, Mask | None]:
    """The point `x + step` put inside the bounds, read-only; the step that leads there; where a bound cut it.

    The mask, shape (n,), is None where there are no bounds at all.
    """
    landed, blocked = x + step, None
    if objective.bounds.any:
        aimed, landed = landed, objective.bounds.project(landed)
        step, blocked = landed - x, landed != aimed
    landed.setflags(write=False)
    return landed, step, blocked


def measured_rate(objective: Objective, x: Vector, gradient: Vector) -> float:
    """A safe fixed rate: half of 1 / the largest curvature felt from `x` (power iterations on differences).

    Each look costs one gradient, a small step away and inside the bounds. Where no curvature is felt, the
    rate whose first step has length 1.
    """
    bounds = objective.bounds
    down = bounds.projected_gradient(x, gradient)
    length = sqrt(float(down.dot(down)))
    if not 0.0 < length < inf:
        return 1.0
    largest = 0.0
    direction = -down / length
    feeler = FEELER * max(1.0, float(np.abs(x).max(initial=0.0)))
    for _ in range(CURVATURE_LOOKS):
        aside = x + feeler * direction
        if bounds.any:
            aside = bounds.project(aside)
        moved = aside - x
        distance = sqrt(float(moved.dot(moved)))
        if distance == 0.0:
            break
        value, slope = objective.value_and_gradient(aside)
        change = slope - gradient
        bend = sqrt(float(change.dot(change)))
        if not (isfinite(value) and 0.0 < bend < inf):
            break
        largest = max(largest, bend / distance)
        direction = change / bend
    return SAFETY / largest if largest > 0.0 else 1.0 / length


def check_rate(rate: float | None) -> None:
    """Raise `InputError` unless `rate` is a positive number, or None."""
    if rate is not None and not 0.0 < rate < inf:
        raise InputError(f"rate is how far to go for a slope of 1: write a positive number, not {rate!r}")
