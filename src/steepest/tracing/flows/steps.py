"""How long a step is: the tolerances, and what follows from the error of the step before."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from ...numerics import EPS

# Wider tolerances are drawn in to this one: the slope is that of the steps taken, and is as good as they are.
TOLERANCE = 1e-10
# Closer than this relative tolerance rounding, and not the length of the steps, makes the error.
CLOSEST = 100.0 * EPS
MOST_STEPS = 100_000
# A step of no more than this part of the time is lost in its rounding, unless it leads to the end.
SHORTEST = 10.0 * EPS
# How a step follows from the error of the one before.
SAFETY, LEAST, GREATEST = 0.9, 0.2, 10.0
# What an error of zero is taken for, so that a power of it is finite.
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Control:
    """What a solution is asked for: `relative` and `absolute` tolerances, each one number or one for each unknown.

    `longest`: no step is longer. `first`: the length of the first one; None leaves it to the equation. `pieces`: of so
    many solutions, one from the end of the other, the one that is wanted is made; it foretells their cost.
    """

    relative: Any
    absolute: Any
    longest: float = math.inf
    first: float | None = None
    pieces: int = 1

    def closer(self, times: float) -> Control:
        """So many times closer, as far as rounding lets a solution be followed."""
        relative = np.maximum(np.asarray(self.relative) / times, CLOSEST)
        return replace(self, relative=relative, absolute=self.absolute * (relative / self.relative))


def factor_after(error: float, order: int, *, growing: bool) -> float:
    """By what the next step is longer than one of this error in units of the tolerance; see `factors_after`."""
    if not math.isfinite(error):
        return LEAST
    factor = SAFETY * (error if error > 0.0 else TINY) ** (-1.0 / order)
    return min(max(factor, LEAST), GREATEST if growing else 1.0)


def factors_after(error: Any, order: int, *, growing: Any) -> Any:
    """The same in a compiled program. `growing`: the step was taken, and no step was refused just before it."""
    factor = SAFETY * jnp.where(error > 0.0, error, TINY) ** (-1.0 / order)
    factor = jnp.clip(factor, LEAST, jnp.where(growing, GREATEST, 1.0))
    return jnp.where(jnp.isfinite(error), factor, LEAST)


def length_of_the_first(
    slope: Callable[[Any, Any], Any],
    t: float,
    y: np.ndarray,
    rate: np.ndarray,
    sense: float,
    control: Control,
) -> float:
    """By the sizes of state, rate and its change (Hairer, Nørsett & Wanner 1993, section II.4)."""
    scale = control.absolute + control.relative * np.abs(y)
    root = math.sqrt(max(y.size, 1))
    d0, d1 = norm(y / scale) / root, norm(rate / scale) / root
    h0 = 1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1
    if not 0.0 < h0 < math.inf:
        return math.nan
    turned = slope(t + sense * h0, y + sense * h0 * rate)
    largest = max(d1, norm((turned - rate) / scale) / root / h0)
    if math.isnan(largest):
        return math.nan
    h1 = max(1e-6, 1e-3 * h0) if largest <= 1e-15 else (0.01 / largest) ** 0.125
    return min(100.0 * h0, h1)


def first_length(
    slope: Callable[[Any, Any], Any], t: Any, y: Any, rate: Any, sense: Any, control: Control
) -> Any:
    """The same in a compiled program, without a slope."""
    t, y, rate = (lax.stop_gradient(v) for v in (t, y, rate))
    scale = control.absolute + control.relative * jnp.abs(y)
    root = np.sqrt(max(y.size, 1))
    d0, d1 = norms(y / scale) / root, norms(rate / scale) / root
    h0 = jnp.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / jnp.where(d1 > 0.0, d1, 1.0))
    turned = lax.stop_gradient(slope(t + sense * h0, y + sense * h0 * rate))
    d2 = norms((turned - rate) / scale) / root / h0
    largest = jnp.maximum(d1, d2)
    h1 = jnp.where(
        largest <= 1e-15,
        jnp.maximum(1e-6, 1e-3 * h0),
        (0.01 / jnp.where(largest > 0.0, largest, 1.0)) ** 0.125,
    )
    return jnp.minimum(100.0 * h0, h1)


def norm(values: np.ndarray) -> float:
    """The Euclidean norm of a vector."""
    return math.sqrt(values.dot(values))


def norms(values: Any) -> Any:
    """The same in a compiled program."""
    return jnp.sqrt(jnp.sum(values * values))
