"""A solution followed in loops of a compiled program, whose lengths its run decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from ..settled import settled
from . import explicit, implicit
from .steps import MOST_STEPS, SHORTEST, Control, first_length


class Place(NamedTuple):
    """Where a walk has come to: time, state, its rate of change, the next step, the states met so far, steps tried."""

    t: Any
    y: Any
    rate: Any
    length: Any
    states: Any
    steps: Any


def follow(
    slope: Callable[[Any, Any], Any], start: Any, end: Any, times: Any, y: Any, control: Control
) -> tuple[Any, Any]:
    """The states at `times`, shape (times, unknowns), and at the end, of y' = slope(t, y).

    The slope of what it gives is that of the steps taken, their lengths held. NaN where the end is not reached in
    `MOST_STEPS` steps, where the steps vanish, and outside the span.
    """
    start, end, times, y = (jnp.asarray(v) for v in (start, end, times, y))
    still = lax.stop_gradient
    sense = settled(jnp.sign(end - start))
    rate = slope(start, y)
    length = (
        first_length(slope, start, y, rate, sense, control)
        if control.first is None
        else jnp.float64(control.first)
    )
    length = jnp.maximum(length, 2.0 * SHORTEST * jnp.abs(start))
    length = settled(jnp.minimum(jnp.minimum(length, control.longest), jnp.abs(end - start)))
    here = settled(sense * (times - start) <= 0.0)
    states = jnp.where(here[:, None], y, jnp.zeros((times.size, y.size)))
    loop = Loop(slope, end, times, sense, control)
    place = Place(start, y, rate, length, states, jnp.int64(0))
    place = implicit.step_on(loop, explicit.step_on(loop, place))
    whole = settled(sense * still(end - place.t) <= 0.0)
    states, last = (jnp.where(whole, found, jnp.nan) for found in (place.states, place.y))
    inside = settled((sense * (times - start) >= 0.0) & (sense * (end - times) >= 0.0))
    return jnp.where(inside[:, None], states, jnp.nan), last


class Loop(NamedTuple):
    """One equation, followed up to a time: what its loops read and do not change."""

    slope: Callable[[Any, Any], Any]
    end: Any
    times: Any
    sense: Any
    control: Control

    def is_under_way(self, place: Place) -> Any:
        """Whether the end is ahead, and another step brings it nearer."""
        t = lax.stop_gradient(place.t)
        left = self.sense * (lax.stop_gradient(self.end) - t)
        shortest = jnp.minimum(SHORTEST * jnp.abs(t), 0.99 * left)
        return (left > 0.0) & (place.steps < MOST_STEPS) & (place.length > shortest)

    def step(self, t: Any, length: Any, end: Any) -> tuple[Any, Any]:
        """The step and where it leads: to the end exactly, where it would pass it."""
        ahead = t + self.sense * length
        passes = self.sense * lax.stop_gradient(ahead - end) >= 0.0
        ahead = jnp.where(passes, end, ahead)
        return ahead - t, ahead

    def next_stop(self, t: Any) -> Any:
        """The next of the times, or the end where that is nearer."""
        still = lax.stop_gradient
        ahead_of = self.sense * still(self.times - t) > 0.0
        nearest = jnp.min(jnp.where(ahead_of, self.sense * still(self.times), jnp.inf), initial=jnp.inf)
        return jnp.where(nearest < self.sense * still(self.end), self.sense * nearest, self.end)

    def passes(self, t: Any, ahead: Any) -> Any:
        """Which of the times lie in (t, ahead]."""
        along = self.sense * lax.stop_gradient(self.times)
        low, high = self.sense * lax.stop_gradient(t), self.sense * lax.stop_gradient(ahead)
        return (along > low) & (along <= high)
