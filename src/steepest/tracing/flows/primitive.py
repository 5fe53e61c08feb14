"""One primitive for a whole solution of an initial value problem, with its derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
from jax import lax
from jax.interpreters import ad, batching, mlir

from ..primitives.initial_value import NAME
from .problem import FLOAT, Flow

# Operands: start, end, times (m,), the blocks at the start, what is held. Results: the blocks at the times (m, …), and
# at the end.
initial_value_p = jex.Primitive(NAME)
initial_value_p.multiple_results = True

# So many problems are followed one after the other, since NumPy is slow in loops written for JAX.
FEW = 32


def solution(
    flow: Flow, start: Any, end: Any, times: Any, blocks: Sequence[Any], held: Sequence[Any]
) -> list[Any]:
    """The blocks of the solution at `times` (m,), shape (m, …) each, then those at the end."""
    operands = [jnp.asarray(v, FLOAT) for v in (start, end, times, *blocks)]
    found: list[Any] = initial_value_p.bind(*operands, *held, flow=flow)
    return found


def _kinds(start: Any, end: Any, times: Any, *operands: Any, flow: Flow) -> list[Any]:
    at_times = [jax.core.ShapedArray((*times.shape, *shape), FLOAT) for shape in flow.shapes]
    return [*at_times, *(jax.core.ShapedArray(shape, FLOAT) for shape in flow.shapes)]


def _pushed(primals: Any, tangents: Any, *, flow: Flow) -> tuple[Any, Any]:
    """By what the problem starts from and reads: a larger problem. By its times: the rates of change there."""
    start, end, times, *operands = primals
    by_start, by_end, by_times, *changes = tangents
    count = len(flow.shapes)
    blocks, held = operands[:count], operands[count:]
    begun = [_made(change, block) for change, block in zip(changes[:count], blocks, strict=True)]
    if not _is_zero(by_start):
        rates = flow.at(start, blocks, held)
        begun = [change - rate * by_start for change, rate in zip(begun, rates, strict=True)]
    moving = tuple(not _is_zero(change) for change in changes[count:])
    by_held = [change for change, moves in zip(changes[count:], moving, strict=True) if moves]
    if any(moving) or not (_is_zero(by_start) and all(map(_is_zero, changes[:count]))):
        both = solution(flow.moved(moving), start, end, times, [*blocks, *begun], [*held, *by_held])
        states, state_changes, ends, end_changes = (both[k * count : (k + 1) * count] for k in range(4))
    else:
        found = solution(flow, start, end, times, blocks, held)
        states, ends = found[:count], found[count:]
        state_changes, end_changes = ([jnp.zeros_like(v) for v in part] for part in (states, ends))
    if not _is_zero(by_times):
        rates = jax.vmap(lambda t, *there: flow.at(t, there, held))(times, *states)
        state_changes = [
            change + rate * jnp.reshape(by_times, (-1,) + (1,) * (rate.ndim - 1))
            for change, rate in zip(state_changes, rates, strict=True)
        ]
    if not _is_zero(by_end):
        rates = flow.at(end, ends, held)
        end_changes = [change + rate * by_end for change, rate in zip(end_changes, rates, strict=True)]
    return [*states, *ends], [*state_changes, *end_changes]


def _is_zero(tangent: Any) -> bool:
    return type(tangent) is ad.Zero


def _made(tangent: Any, primal: Any) -> Any:
    return jnp.zeros_like(primal) if _is_zero(tangent) else tangent


def _batched(operands: Any, axes: Any, *, flow: Flow) -> tuple[Any, Any]:
    """Many directions go through one problem. Many states are many problems; more than a few go side by side in JAX."""
    count = len(flow.shapes)
    size = next(v.shape[axis] for v, axis in zip(operands, axes, strict=True) if axis is not None)
    operands = [
        v if axis is None else jnp.moveaxis(v, axis, 0) for v, axis in zip(operands, axes, strict=True)
    ]
    wide = [axis is not None for axis in axes]
    blocks, held = wide[3 : 3 + count], tuple(wide[3 + count :])
    found = flow.axes_of(blocks, held)
    if (any(wide[:3]) or found[0]) and size <= FEW:

        def one(_: None, mine: Any) -> tuple[None, Any]:
            rest = iter(mine)
            single = [next(rest) if has else v for v, has in zip(operands, wide, strict=True)]
            return None, initial_value_p.bind(*single, flow=flow)

        each = [v for v, has in zip(operands, wide, strict=True) if has]
        return lax.scan(one, None, each)[1], [0] * (2 * count)
    if any(wide[:3]) or found[0]:
        apart = jax.vmap(flow.lowered, in_axes=[0 if has else None for has in wide])
        return apart(*operands), [0] * (2 * count)
    full = [
        jnp.broadcast_to(block, (size, *block.shape)) if has and not had else block
        for block, had, has in zip(operands[3 : 3 + count], blocks, found, strict=True)
    ]
    flow = flow.with_directions(size, found, held)
    results = initial_value_p.bind(*operands[:3], *full, *operands[3 + count :], flow=flow)
    return results, [*(1 if has else None for has in found), *(0 if has else None for has in found)]


def _at_once(*operands: Any, flow: Flow) -> list[Any]:
    return [jnp.asarray(found) for found in jax.jit(flow.lowered)(*operands)]


initial_value_p.def_impl(_at_once)
initial_value_p.def_abstract_eval(_kinds)
ad.primitive_jvps[initial_value_p] = _pushed
batching.primitive_batchers[initial_value_p] = _batched
mlir.register_lowering(
    initial_value_p,
    mlir.lower_fun(lambda *operands, flow: flow.lowered(*operands), multiple_results=True),
)
