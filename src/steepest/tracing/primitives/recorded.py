"""Functions that an equation holds: told apart by what they compute, pushed forward, and mapped over a batch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np

# Functions that are known at once; those of a cost are met again while it is followed.
KEPT = 4096
# Less than this is nothing: its reciprocal is about to overflow once something is multiplied by it.
VANISHING = 1e-200
_KNOWN: dict[Any, Any] = {}


def interned(closed: Any) -> Any:
    """The first closed jaxpr met that computes the same, so that equations that hold it are alike."""
    # The text of a jaxpr leaves out its constants.
    key = str(closed), tuple(map(id, closed.consts))
    if len(_KNOWN) > KEPT:
        _KNOWN.clear()
    return _KNOWN.setdefault(key, closed)


@lru_cache(KEPT)
def pushed(closed: Any, moving: tuple[bool, ...]) -> Any:
    """The slope of a function's value along changes of those of its inputs that are `moving`: of inputs and changes.

    Where the value vanishes since something overflows, as 1/(exp(t) - 1) far out, its slope, ∞/∞ there, is zero too.
    """
    shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in closed.in_avals]
    moved = [k for k, moves in enumerate(moving) if moves]

    def slope(*given: Any) -> Any:
        inputs, changes = list(given[: len(shapes)]), given[len(shapes) :]

        def value(*some: Any) -> Any:
            for k, one in zip(moved, some, strict=True):
                inputs[k] = one
            return jex.jaxpr_as_fun(closed)(*inputs)[0]

        found, change = jax.jvp(value, tuple(inputs[k] for k in moved), tuple(changes))
        return jnp.where((jnp.abs(found) < VANISHING) & jnp.isnan(change), 0.0, change)

    from ..passes import simplify

    short = simplify(jax.make_jaxpr(slope)(*shapes, *(shapes[k] for k in moved)), keep_derivatives=True)
    return interned(short)


def flattened(
    operands: Sequence[Any], axes: Sequence[int | None], along: Sequence[bool], batch: int
) -> tuple[int, list[Any], tuple[bool, ...]]:
    """Operands mapped over one more batch, both batches along one axis: its size, the operands, which are mapped."""
    size = next(np.shape(o)[a] for o, a in zip(operands, axes, strict=True) if a is not None)
    found = []
    for operand, axis, mine in zip(operands, axes, along, strict=True):
        if axis is None and not mine:
            found.append(operand)
            continue
        moved = operand if axis is None else jnp.moveaxis(operand, axis, 0)
        inner = moved.shape[(axis is not None) + mine :]
        spread = moved.reshape((1 if axis is None else size, batch if mine else 1, *inner))
        found.append(jnp.broadcast_to(spread, (size, batch, *inner)).reshape((size * batch, *inner)))
    return size, found, tuple(a is not None or mine for a, mine in zip(axes, along, strict=True))
