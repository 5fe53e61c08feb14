"""The linearly implicit Euler method with 1, 2, … steps side by side, extrapolated: for stiff equations.

Hairer & Wanner, "Solving Ordinary Differential Equations II", 1996, sections IV.2 and IV.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .steps import factor_after, factors_after, norm, norms

if TYPE_CHECKING:
    from .loop import Loop, Place
    from .walk import Walk

ORDER = 8
# Steps of each of the walks side by side.
COUNTS = np.arange(1.0, ORDER + 1.0)


def to_length_zero(lengths: np.ndarray) -> np.ndarray:
    """The weights with which values at some step lengths give that at length zero (Lagrange's polynomial).

    >>> bool(np.isclose(to_length_zero(np.array([1.0, 0.5, 0.25])) @ np.array([3.0, 2.0, 1.5]), 1.0))
    True
    """
    others = ~np.eye(lengths.size, dtype=bool)
    ratios = lengths[None, :] / (lengths[None, :] - lengths[:, None] + ~others)
    return np.prod(np.where(others, ratios, 1.0), axis=1)


# Of all walks, and of all but the coarsest: how far these differ is taken for the error.
BEST = to_length_zero(1.0 / COUNTS)
SECOND = np.concatenate([[0.0], to_length_zero(1.0 / COUNTS[1:])])


def follow(walk: Walk) -> None:
    """On to the end by steps of the method, which stop at the times asked for."""
    control, sense, n = walk.control, walk.sense, walk.lead
    t, z, shrunk = walk.t, walk.z, False
    while walk.is_under_way(t):
        stop = walk.next_stop()
        ahead = t + sense * walk.length
        if sense * (ahead - stop) >= 0.0:
            ahead = stop
        h = ahead - t
        moved = _side_by_side(walk, t, z, h)
        onward = z + BEST @ moved
        scale = control.absolute + control.relative * np.maximum(np.abs(z[:n]), np.abs(onward[:n]))
        error = norm((BEST - SECOND) @ moved[:, :n] / scale) / n**0.5
        taken = error < 1.0
        # A step cut short by a time asked for says nothing against the longer one.
        tried = abs(h)
        following = tried * factor_after(error, ORDER, growing=taken and not shrunk)
        if taken and tried < walk.length:
            following = max(following, walk.length)
        if taken:
            walk.states[walk.met(ahead)] = onward
            t, z = ahead, onward
        walk.length = min(following, control.longest)
        walk.steps += 1
        shrunk = not taken
    walk.t, walk.z = t, z


def _side_by_side(walk: Walk, t: float, z: np.ndarray, h: float) -> np.ndarray:
    """How far each walk comes, shape (ORDER, unknowns).

    That, and not where it is, since extrapolation magnifies what is rounded. Of state and directions pushed through it
    the matrix is triangular in blocks, all of them on the diagonal that of the state: D - N, with N nilpotent.
    """
    n, size = walk.lead, z.size
    matrix = walk.by_state(t, z)
    parts = h / COUNTS
    try:
        back = np.linalg.inv(np.eye(n) - parts[:, None, None] * matrix[:n, :n]).transpose(0, 2, 1)
    except np.linalg.LinAlgError:
        return np.full((ORDER, size), np.nan)
    beside = (matrix - np.kron(np.eye(size // n), matrix[:n, :n])).T if size > n else None
    blocks, lengths = (ORDER, size // n, n), parts[:, None]

    def solved(right: np.ndarray) -> np.ndarray:
        return (right.reshape(blocks) @ back).reshape(ORDER, size)

    moved, rates = np.zeros((ORDER, size)), np.zeros((ORDER, size))
    for k in range(ORDER):
        # Walks that have come to their end stay there.
        for walker in range(k, ORDER):
            rates[walker] = walk.slope(t + (k + 1) * parts[walker], z + moved[walker])
        right = lengths * rates
        step = solved(right)
        for _ in range(walk.levels if beside is not None else 0):
            step = solved(right + lengths * (step @ beside))
        moved[k:] += step[k:]
    return moved


def step_on(loop: Loop, place: Place) -> Place:
    """The same in a compiled program."""
    size = place.y.size

    def going(state: Any) -> Any:
        return loop.is_under_way(state[0])

    def turn(state: Any) -> Any:
        place, shrunk = state
        t, y, _, length, states, steps = place
        h, ahead = loop.step(t, length, loop.next_stop(t))
        by_y = jax.jacfwd(lambda y: loop.slope(t, y))(y)
        parts = h / COUNTS
        back = _inverses(jnp.eye(size) - parts[:, None, None] * by_y)

        def on(moved: Any, k: Any) -> tuple[Any, None]:
            rates = jax.vmap(loop.slope)(t + k * parts, y + moved)
            moves = parts[:, None] * (back @ rates[:, :, None])[:, :, 0]
            return moved + jnp.where((k <= COUNTS)[:, None], moves, 0.0), None

        moved, _ = lax.scan(on, jnp.zeros((ORDER, size)), COUNTS)
        onward = y + BEST @ moved
        still = lax.stop_gradient
        scale = jnp.maximum(jnp.abs(still(y)), jnp.abs(still(onward)))
        scale = loop.control.absolute + loop.control.relative * scale
        error = norms(still((BEST - SECOND) @ moved) / scale) / np.sqrt(size)
        taken = error < 1.0
        tried = jnp.abs(still(h))
        following = tried * factors_after(error, ORDER, growing=taken & ~shrunk)
        following = jnp.where(taken & (tried < length), jnp.maximum(following, length), following)
        met = loop.passes(t, ahead) & taken
        return (
            place._replace(
                t=jnp.where(taken, ahead, t),
                y=jnp.where(taken, onward, y),
                length=jnp.minimum(following, loop.control.longest),
                states=jnp.where(met[:, None], onward, states),
                steps=steps + 1,
            ),
            ~taken,
        )

    return lax.while_loop(going, turn, (place, jnp.bool_(False)))[0]


def _inverses(matrices: Any) -> Any:
    """The inverses of matrices (k, n, n): found without slopes, put right with them by two steps of Newton's method.

    X ← X(2 - MX) doubles the order of the derivatives that are exact (Schulz 1933).
    """
    inverses = lax.stop_gradient(jnp.linalg.inv(lax.stop_gradient(matrices)))
    twice = 2.0 * np.eye(matrices.shape[-1])
    for _ in range(2):
        inverses = inverses @ (twice - matrices @ inverses)
    return inverses
