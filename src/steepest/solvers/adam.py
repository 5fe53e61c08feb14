"""Adam: a step of about `rate` for every parameter, whatever the size of its slope."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import ClassVar, NamedTuple

import numpy as np

from ..bounds import Vector
from ..errors import InputError
from ..objective import Objective
from .gradient_descent import CUT, MAX_CUTS, check_rate, descend
from .stopping import StopReason


class AdamState(NamedTuple):
    """`mean`, `square`: running means of gradient and squared gradient, shape (n,); `steps`: how many so far."""

    x: Vector
    value: float
    gradient: Vector
    step: Vector | None
    decrease: float
    stop: StopReason | None
    mean: Vector
    square: Vector
    steps: int


@dataclass(frozen=True)
class Adam:
    """Kingma & Ba 2015, algorithm 1: step = -rate · m̂ / (√v̂ + tiny), put inside the bounds.

    `mean_decay` and `square_decay` are the paper's β₁ and β₂; `tiny` its ε, in units of the slope.
    """

    name: ClassVar[str] = "Adam"
    remedy: ClassVar[str] = "steps of this rate lead uphill. Write a smaller rate"
    rate: float = 0.01
    mean_decay: float = 0.9
    square_decay: float = 0.999
    tiny: float = 1e-8

    def __post_init__(self) -> None:
        check_rate(self.rate)
        for name in ("mean_decay", "square_decay"):
            decay = getattr(self, name)
            if not 0.0 <= decay < 1.0:
                raise InputError(
                    f"{name} is the part of the past that is kept: 0 <= {name} < 1, not {decay!r}"
                )

    def default_max_steps(self, n: int) -> int:
        """A fixed rate may need many steps, and each is cheap."""
        return 100_000

    def init(self, objective: Objective, x: Vector) -> AdamState:
        """The start, with no past."""
        value, gradient = objective.value_and_gradient(x)
        return AdamState(x, value, gradient, None, nan, None, np.zeros(x.size), np.zeros(x.size), 0)

    def step(self, objective: Objective, state: AdamState) -> AdamState:
        """One step against the running mean of the gradient."""
        g, b1, b2 = state.gradient, self.mean_decay, self.square_decay
        count = state.steps + 1
        mean = b1 * state.mean + (1.0 - b1) * g
        square = b2 * state.square + (1.0 - b2) * g * g
        push = (mean / (1.0 - b1**count)) / (np.sqrt(square / (1.0 - b2**count)) + self.tiny)
        rate = self.rate
        for _ in range(MAX_CUTS):
            landed, step, _ = descend(objective, state.x, -rate * push)
            value, slope = objective.value_and_gradient(landed)
            if isfinite(value) and isfinite(float(slope.dot(slope))):
                return AdamState(landed, value, slope, step, nan, None, mean, square, count)
            rate *= CUT
        return state._replace(stop=StopReason.NO_PROGRESS)
