"""The explicit method of order 8 by Dormand and Prince, whose coefficients are read from SciPy's own `DOP853`.

Hairer, Nørsett & Wanner, "Solving Ordinary Differential Equations I", 1993, sections II.4 to II.6. Where stability and
not the error holds its steps short, the equation is stiff, and the method stops for another to go on.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from .steps import TINY, factor_after, factors_after, norm, norms

if TYPE_CHECKING:
    from .loop import Loop, Place
    from .walk import Walk

ORDER = 8
# Where |h·λ| of the explicit method is beyond this, a solution that shows λ could not be followed to `TOLERANCE`: so
# many such steps in a row show a stiff equation. No state is read off within such a step: what is fast decays from end
# to end, but the polynomial between magnifies it.
STABLE, SHOWN = 2.0, 8
# No step goes beyond this: stability ends at 6.1, and what is amplified there shows in the error a step too late.
STABILITY = 6.0
# A step shows the quickest λ only where its mode is not faint: of what was shown before, this part stays from each.
REMEMBERED = 0.8


class Tableau(NamedTuple):
    """What the stages are made of, and the step of the stages.

    `weights` (12, 12) of the stages before each stage, `shares` (12,) of the step where they lie, `sums` (12,) of all
    for the step, `errors` (2, 13) of orders five and three. For the states within a step: `more_weights` (3, 16),
    `more_shares` (3,) and `powers` (4, 16).
    """

    weights: np.ndarray
    shares: list[float]
    sums: np.ndarray
    errors: np.ndarray
    more_weights: np.ndarray
    more_shares: list[float]
    powers: np.ndarray


@cache
def tableau() -> Tableau:
    """The coefficients."""
    from scipy.integrate import DOP853 as METHOD

    return Tableau(
        np.array(METHOD.A),
        METHOD.C.tolist(),
        np.array(METHOD.B),
        np.stack([METHOD.E5, METHOD.E3]),
        np.array(METHOD.A_EXTRA),
        METHOD.C_EXTRA.tolist(),
        np.array(METHOD.D),
    )


def follow(walk: Walk) -> None:
    """On by steps of the method, to the end or to where the equation shows itself to be stiff."""
    method, slope, control, sense, end, n = (
        tableau(), walk.slope, walk.control, walk.sense, walk.end, walk.lead,
    )  # fmt: skip
    weights, shares, count = method.weights, method.shares, len(method.shares)
    t, z = walk.t, walk.z
    stages = np.zeros((count + 1 + len(method.more_shares), z.size))
    led, before = stages[:, :n], [stages[:s] for s in range(len(stages) + 1)]
    by_length = np.empty_like(weights)
    rows = [by_length[s, :s] for s in range(count)]
    stages[0] = walk.rate
    stiff, shrunk, quickest = 0, False, 0.0
    while stiff < SHOWN and walk.is_under_way(t):
        ahead = t + sense * walk.length
        stop = walk.next_stop() if walk.length * quickest > STABLE else end
        if sense * (ahead - stop) >= 0.0:
            ahead = stop
        h = ahead - t
        np.multiply(weights, h, out=by_length)
        at = z
        for s in range(1, count):
            at = rows[s].dot(before[s])
            at += z
            stages[s] = slope(t + shares[s] * h, at)
        onward = (h * method.sums).dot(before[count])
        onward += z
        stages[count] = leads = slope(ahead, onward)
        scale = control.absolute + control.relative * np.maximum(np.abs(z[:n]), np.abs(onward[:n]))
        fifth, third = method.errors.dot(led[: count + 1]) / scale
        large = float(fifth.dot(fifth))
        both = large + 0.01 * float(third.dot(third))
        error = abs(h) * large / math.sqrt((both if both > 0.0 else 1.0) * max(n, 1))
        walk.steps += 1
        taken = error < 1.0
        tried = abs(h)
        following = tried * factor_after(error, ORDER, growing=taken and not shrunk)
        if taken:
            # |λ| as the last two stages show it, both at the end of the step.
            apart = norm(led[count] - led[count - 1]) / max(norm(onward[:n] - at[:n]), TINY)
            quickest = max(apart, REMEMBERED * quickest)
            nearest = walk.next_stop()
            if tried * quickest > STABLE and sense * (ahead - nearest) > 0.0:
                walk.length = abs(nearest - t)
                continue
            if tried * apart > STABLE:
                stiff += 1
            elif tried < walk.length:
                # Cut short by a time asked for, it says nothing against the longer one.
                following = max(following, walk.length)
            else:
                stiff = 0
            met = walk.met(ahead)
            if met.size:
                _see_between(walk, met, t, h, z, onward, stages)
            t, z = ahead, onward
            stages[0] = leads
        walk.length = min(following, control.longest)
        if walk.length * quickest > STABILITY:
            walk.length = STABILITY / quickest
        shrunk = not taken
    walk.t, walk.z, walk.rate = t, z, stages[0]


def _see_between(
    walk: Walk, met: np.ndarray, t: float, h: float, z: np.ndarray, onward: np.ndarray, stages: np.ndarray
) -> None:
    """The states at the times `met` within a step, by the polynomial of degree seven that goes with it."""
    method = tableau()
    leads = len(method.shares)
    for k, (row, share) in enumerate(zip(method.more_weights, method.more_shares, strict=True)):
        known = leads + 1 + k
        stages[known] = walk.slope(t + share * h, z + h * row[:known].dot(stages[:known]))
    change = onward - z
    parts = [change, h * stages[0] - change, 2.0 * change - h * (stages[leads] + stages[0])]
    parts += list(h * method.powers.dot(stages))
    x = ((walk.times[met] - t) / h)[:, None]
    y = 1.0 - x
    found = np.zeros((met.size, z.size))
    for k, part in enumerate(reversed(parts)):
        found += part
        found *= x if k % 2 == 0 else y
    walk.states[met] = z + found


def step_on(loop: Loop, place: Place) -> Place:
    """The same in a compiled program."""
    method = tableau()

    def going(state: Any) -> Any:
        place, stiff, *_ = state
        return loop.is_under_way(place) & (stiff < SHOWN)

    def turn(state: Any) -> Any:
        place, stiff, shrunk, quickest = state
        t, y, rate, length, states, steps = place
        nearest = loop.next_stop(t)
        h, ahead = loop.step(t, length, jnp.where(length * quickest > STABLE, nearest, loop.end))
        stages, at = _stages(loop, rate[None, :], method.weights[1:], method.shares[1:], t, h, y)
        onward = y + h * (method.sums @ stages)
        leads = loop.slope(ahead, onward)
        stages = jnp.concatenate([stages, leads[None, :]])
        error = _error(loop, h, y, onward, stages)
        taken = error < 1.0
        still = lax.stop_gradient
        tried = jnp.abs(still(h))
        following = tried * factors_after(error, ORDER, growing=taken & ~shrunk)
        apart = norms(still(stages[-1] - stages[-2])) / jnp.maximum(norms(still(onward - at)), TINY)
        quickest = jnp.where(taken, jnp.maximum(apart, REMEMBERED * quickest), quickest)
        again = taken & (tried * quickest > STABLE) & (loop.sense * still(ahead - nearest) > 0.0)
        shrunk = jnp.where(again, shrunk, ~taken)
        taken &= ~again
        is_fast, is_cut = tried * apart > STABLE, tried < length
        following = jnp.where(taken & ~is_fast & is_cut, jnp.maximum(following, length), following)
        following = jnp.minimum(following, loop.control.longest)
        following = jnp.minimum(following, STABILITY / jnp.maximum(quickest, TINY))
        stiff = jnp.where(taken & is_fast, stiff + 1, jnp.where(taken & ~is_cut, 0, stiff))
        states = lax.cond(
            taken & jnp.any(loop.passes(t, ahead)),
            lambda: _seen_between(loop, t, h, ahead, y, onward, stages, states),
            lambda: states,
        )
        return (
            place._replace(
                t=jnp.where(taken, ahead, t),
                y=jnp.where(taken, onward, y),
                rate=jnp.where(taken, leads, rate),
                length=jnp.where(again, jnp.abs(still(nearest - t)), following),
                states=states,
                steps=steps + 1,
            ),
            stiff,
            shrunk,
            quickest,
        )

    return lax.while_loop(going, turn, (place, jnp.int64(0), jnp.bool_(False), jnp.float64(0.0)))[0]


def _stages(loop: Loop, known: Any, rows: Any, shares: Any, t: Any, h: Any, y: Any) -> tuple[Any, Any]:
    """The rates of change at the stages `known` and at those that follow from them, and the state at the last."""
    count = known.shape[0]
    rows = np.pad(rows, [(0, 0), (0, count + len(rows) - rows.shape[1])])
    places = np.arange(count, count + len(rows), dtype=np.int32)

    def on(state: Any, stage: Any) -> tuple[Any, None]:
        row, share, place = stage
        at = y + h * (row @ state[0])
        found = loop.slope(t + share * h, at)
        return (lax.dynamic_update_slice(state[0], found[None, :], (place, np.int32(0))), at), None

    room = jnp.concatenate([known, jnp.zeros((len(rows), y.size))])
    found: tuple[Any, Any] = lax.scan(on, (room, y), (rows, np.asarray(shares), places))[0]
    return found


def _error(loop: Loop, h: Any, y: Any, onward: Any, stages: Any) -> Any:
    h, y, onward, stages = (lax.stop_gradient(v) for v in (h, y, onward, stages))
    scale = loop.control.absolute + loop.control.relative * jnp.maximum(jnp.abs(y), jnp.abs(onward))
    fifth, third = ((weights @ stages) / scale for weights in tableau().errors)
    large = jnp.sum(fifth**2)
    both = large + 0.01 * jnp.sum(third**2)
    return jnp.abs(h) * large / jnp.sqrt(jnp.where(both > 0.0, both, 1.0) * max(y.size, 1))


def _seen_between(
    loop: Loop, t: Any, h: Any, ahead: Any, y: Any, onward: Any, stages: Any, states: Any
) -> Any:
    method = tableau()
    stages, _ = _stages(loop, stages, method.more_weights, method.more_shares, t, h, y)
    change = onward - y
    leads = stages[len(method.shares)]
    parts = [change, h * stages[0] - change, 2.0 * change - h * (leads + stages[0])]
    parts += [h * (row @ stages) for row in method.powers]
    x = ((loop.times - t) / h)[:, None]
    found = jnp.zeros_like(states)
    for k, part in enumerate(reversed(parts)):
        found = (found + part) * (x if k % 2 == 0 else 1.0 - x)
    return jnp.where(loop.passes(t, ahead)[:, None], y + found, states)
