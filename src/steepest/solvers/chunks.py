"""Thousands of members walked in calls of a few hundred, with those that are finished set aside.

A compiled loop over all members at once waits for the slowest and leaves the cache. A call on some of them ends
when few are unfinished, and these go on together with those of other calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..numerics import double_precision

# Few members left over go in a smaller call, so that a handful that never ends does not carry a whole chunk along.
SMALL_CHUNK = 64

# A call ends when this part of its members is unfinished. Waiting for the slowest instead costs several times as much.
STRAGGLERS = 0.15

# `advance(state, data, bounds, max_steps, allowed)` walks until at most `allowed` members are unfinished.
Advance = Callable[..., Any]


def everyone(once: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """`once(state, data, bounds)`, which is written for one member, for all that are not done; the others stay."""

    def of_all(state: Any, data: Any, bounds: Any) -> Any:
        import jax
        import jax.numpy as jnp

        new = jax.vmap(once, in_axes=(0, 0, None))(state, data, bounds)

        def keep(old: Any, found: Any) -> Any:
            return jnp.where(state.done.reshape((-1,) + (1,) * (old.ndim - 1)), old, found)

        return type(state)(*[keep(old, found) for old, found in zip(state, new, strict=True)])

    return of_all


def advancing(of_all: Callable[[Any, Any, Any], Any]) -> Advance:
    """The loop over `of_all(state, data, bounds)`, to be compiled."""

    def advance(state: Any, data: Any, bounds: Any, max_steps: Any, allowed: Any) -> Any:
        import jax

        def unfinished(state: Any) -> Any:
            return (~state.done & (state.steps < max_steps)).sum() > allowed

        return jax.lax.while_loop(unfinished, lambda state: of_all(state, data, bounds), state)

    return advance


class StoppedWithinError(KeyboardInterrupt):
    """Ctrl-C while a batch was walked; `state` is where it stood."""

    def __init__(self, state: Any) -> None:
        super().__init__()
        self.state = state

    def lowest(self, otherwise: np.ndarray) -> np.ndarray:
        """The lowest point of the batch, (n,); `otherwise` where it had not begun."""
        cost = np.where(np.isfinite(self.state.cost), self.state.cost, np.inf)
        best = int(np.argmin(cost))
        return np.array(self.state.x[best]) if np.isfinite(cost[best]) else otherwise


def walk(
    advance: Advance,
    state: Any,
    data: tuple[np.ndarray, ...],
    bounds: tuple[np.ndarray, np.ndarray],
    max_steps: int,
    chunk: int,
    tell: Callable[[int], None] | None = None,
) -> None:
    """Walk all members to their ends; updates `state`, a named tuple of arrays with `done` and `steps` among them."""
    members = state.done.size
    one_pass(advance, state, np.arange(members), data, bounds, max_steps, chunk, members > chunk, tell)
    while True:
        left = np.flatnonzero(~state.done & (state.steps < max_steps))
        if left.size == 0:
            return
        one_pass(advance, state, left, data, bounds, max_steps, chunk, left.size > chunk, tell)


def one_pass(
    advance: Advance,
    state: Any,
    chosen: np.ndarray,
    data: tuple[np.ndarray, ...],
    bounds: tuple[np.ndarray, np.ndarray],
    max_steps: int,
    chunk: int,
    leave: bool,
    tell: Callable[[int], None] | None = None,
) -> None:
    """Walk the chosen members, call by call, until few are unfinished (`leave`) or none; updates `state`."""
    for begin in range(0, chosen.size, chunk):
        members = chosen[begin : begin + chunk]
        room = chunk if members.size > SMALL_CHUNK else SMALL_CHUNK
        whole = members.size == int(members[-1] - members[0]) + 1
        place: Any = slice(int(members[0]), int(members[-1]) + 1) if whole else members
        own = tuple(_padded(part[place], room) for part in data)
        part = type(state)(*[_padded(array[place], room) for array in state])
        part.done[members.size :] = True
        allowed = int(STRAGGLERS * members.size) if leave else 0
        with double_precision():
            found = advance(part, own, bounds, max_steps, allowed)
        for target, values in zip(state, found, strict=True):
            target[place] = np.asarray(values)[: members.size]
        if tell is not None:
            tell(int(state.done.sum()))


def _padded(array: np.ndarray, room: int) -> np.ndarray:
    """The first axis filled up with copies of the first entry, so that one program serves every call."""
    missing = room - array.shape[0]
    return array.copy() if missing == 0 else np.concatenate([array, np.repeat(array[:1], missing, axis=0)])
