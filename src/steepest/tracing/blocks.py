"""Long chains of elementwise operations, computed block by block so that what lies between stays in the cache.

A gradient by reverse mode keeps every intermediate result of the cost. For n numbers and a chain of a hundred
operations that is a hundred arrays of length n, written to memory and read back; at n = 10⁷, eight gigabytes.
When each element depends on its own element only, up to a final sum, nothing forces that: one loop over
blocks of some ten thousand elements computes value and gradient of each block, and only inputs and outputs
ever exist at full length.

A second chain that waits for a sum of the first (the derivative of `np.sqrt(np.sum(…))`) recomputes, block by
block, what it needs of the first, when that is less than reading it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.extend.core as jex
import numpy as np
from jax import lax

from ..numerics import double_precision
from .equations import run_equation
from .primitives import ELEMENTWISE

# Shorter vectors stay in the cache by themselves.
SHORTEST = 1 << 17
# A loop over blocks pays when it keeps at least this many intermediate vectors out of memory.
FEWEST_INTERMEDIATES = 12
# The vectors of one block together may fill this much; blocks are of 2¹⁰ to 2¹⁶ elements.
BLOCK_BYTES = 1 << 25
SMALLEST_BLOCK, LARGEST_BLOCK = 1 << 10, 1 << 16
# Up to this many vectors are handed from one loop to the next; more are computed again.
HANDED_ON = 2

# What a sum over all elements becomes: the element that changes nothing, and how two blocks are joined.
_SINKS = {
    "reduce_sum": (0.0, lax.add),
    "reduce_prod": (1.0, lax.mul),
    "reduce_max": (None, lax.max),
    "reduce_min": (None, lax.min),
}


def in_blocks(closed: Any) -> Any:
    """The closed jaxpr with long elementwise regions as loops over blocks; itself where there are none.

    Values agree to rounding: sums are taken block by block.
    """
    shapes = [eqn.outvars[0].aval.shape for eqn in closed.jaxpr.eqns if len(eqn.outvars) == 1]
    lengths = {shape[0] for shape in shapes if len(shape) == 1 and shape[0] >= SHORTEST}
    for length in sorted(lengths):
        closed = _blocked(closed, length)
    return closed


@dataclass
class _Region:
    """Elementwise equations, in order, with the sums at their ends; one loop evaluates them all."""

    equations: list[Any] = field(default_factory=list)
    sums: list[Any] = field(default_factory=list)


def _blocked(closed: Any, length: int) -> Any:
    schedule = _schedule(closed.jaxpr, length)
    if not any(isinstance(step, _Region) for step in schedule):
        return closed
    read_outside = _read_outside(schedule, closed.jaxpr.outvars)

    def evaluate(*inputs: Any) -> list[Any]:
        values = dict(zip(closed.jaxpr.invars, inputs, strict=True))
        values.update(zip(closed.jaxpr.constvars, map(np.asarray, closed.consts), strict=True))
        for step in schedule:
            if isinstance(step, _Region):
                _loop(step, length, values, read_outside, closed.jaxpr)
            else:
                run_equation(step, values, closed.jaxpr)
        return [_value(atom, values) for atom in closed.jaxpr.outvars]

    with double_precision():
        return jax.make_jaxpr(evaluate)(*[jax.ShapeDtypeStruct(a.shape, a.dtype) for a in closed.in_avals])


# Which equations belong together.


def _schedule(jaxpr: Any, length: int) -> list[Any]:
    """Equations and regions in an order that may be evaluated."""
    # The stage of a variable made inside a region is that of its loop; `ready` says before which stage a
    # variable made outside exists. A loop's results exist before the next stage.
    stage: dict[Any, int] = {}
    ready: dict[Any, int] = {}
    regions: dict[int, _Region] = {}
    others: dict[int, list[Any]] = {}
    for equation in jaxpr.eqns:
        operands = [atom for atom in equation.invars if isinstance(atom, jex.Var)]
        if _is_elementwise(equation, length) or _is_sum(equation, length):
            when = max((stage.get(v, ready.get(v, 0)) for v in operands), default=0)
            region = regions.setdefault(when, _Region())
            if _is_sum(equation, length):
                region.sums.append(equation)
                ready[equation.outvars[0]] = when + 1
            else:
                region.equations.append(equation)
                stage[equation.outvars[0]] = when
        else:
            when = max((stage[v] + 1 if v in stage else ready.get(v, 0) for v in operands), default=0)
            others.setdefault(when, []).append(equation)
            ready.update(dict.fromkeys(equation.outvars, when))
    _recompute(regions, jaxpr)
    schedule: list[Any] = []
    for when in range(max([*regions, *others], default=0) + 1):
        schedule += others.get(when, [])
        if when in regions and _intermediates(regions[when]) >= FEWEST_INTERMEDIATES:
            schedule.append(regions[when])
        elif when in regions:
            schedule += [*regions[when].equations, *regions[when].sums]
    return schedule


def _is_elementwise(equation: Any, length: int) -> bool:
    if equation.effects or len(equation.outvars) != 1 or equation.outvars[0].aval.shape != (length,):
        return False
    if equation.primitive.name == "broadcast_in_dim":
        return len(equation.invars) == 1 and equation.invars[0].aval.shape == ()
    return equation.primitive.name in ELEMENTWISE and all(
        atom.aval.shape in ((), (length,)) for atom in equation.invars
    )


def _is_sum(equation: Any, length: int) -> bool:
    return equation.primitive.name in _SINKS and equation.invars[0].aval.shape == (length,)


def _intermediates(region: _Region) -> int:
    """Vectors that XLA would write to memory: those read by several equations."""
    readers: dict[Any, int] = {}
    for equation in [*region.equations, *region.sums]:
        for atom in {a for a in equation.invars if isinstance(a, jex.Var)}:
            readers[atom] = readers.get(atom, 0) + 1
    return sum(readers.get(equation.outvars[0], 0) > 1 for equation in region.equations)


def _recompute(regions: dict[int, _Region], jaxpr: Any) -> None:
    """Give each region its own copy of the earlier equations it reads many results of."""
    producer = {eqn.outvars[0]: (when, eqn) for when, region in regions.items() for eqn in region.equations}
    order = {id(equation): place for place, equation in enumerate(jaxpr.eqns)}
    for when, region in sorted(regions.items()):
        crossing = {
            atom
            for equation in [*region.equations, *region.sums]
            for atom in equation.invars
            if isinstance(atom, jex.Var) and atom in producer and producer[atom][0] < when
        }
        if len(crossing) <= HANDED_ON:
            continue
        again: dict[int, Any] = {}
        waiting = list(crossing)
        while waiting:
            found = producer.get(waiting.pop())
            if found is None or found[0] >= when or id(found[1]) in again:
                continue
            again[id(found[1])] = found[1]
            waiting.extend(a for a in found[1].invars if isinstance(a, jex.Var))
        region.equations = sorted(
            [*again.values(), *region.equations], key=lambda equation: order[id(equation)]
        )


def _read_outside(schedule: Sequence[Any], outputs: Sequence[Any]) -> set[tuple[int, Any]]:
    """(region, variable) for every variable of a region that somebody after it reads."""
    wanted = {atom for atom in outputs if isinstance(atom, jex.Var)}
    found = set()
    for step in reversed(schedule):
        if not isinstance(step, _Region):
            wanted.update(atom for atom in step.invars if isinstance(atom, jex.Var))
            continue
        made = {equation.outvars[0] for equation in step.equations}
        found |= {(id(step), var) for var in wanted & made}
        for equation in [*step.equations, *step.sums]:
            wanted.update(a for a in equation.invars if isinstance(a, jex.Var) and a not in made)
    return found


# Evaluation.


def _value(atom: Any, values: dict[Any, Any]) -> Any:
    return np.asarray(atom.val, atom.aval.dtype)[()] if isinstance(atom, jex.Literal) else values[atom]


def _loop(
    region: _Region, length: int, values: dict[Any, Any], read_outside: set[tuple[int, Any]], program: Any
) -> None:
    """Evaluate a region block by block; what is read outside is put into `values`."""
    kept = [eqn.outvars[0] for eqn in region.equations if (id(region), eqn.outvars[0]) in read_outside]
    equations = _needed(region, kept)
    made = {equation.outvars[0] for equation in equations}
    given = {
        atom
        for equation in [*equations, *region.sums]
        for atom in equation.invars
        if isinstance(atom, jex.Var) and atom not in made
    }
    vectors = [var for var in given if var.aval.shape == (length,)]
    size = _block_size(len(equations) + len(vectors), length)
    blocks = -(-length // size)

    def one_block(i: Any, carry: tuple[list[Any], list[Any]]) -> tuple[list[Any], list[Any]]:
        arrays, sums = carry
        first = lax.convert_element_type(i, np.int64) * size
        # The last block reaches back, so that it is as long as the others; its sums leave out what is double.
        start = lax.min(first, np.int64(length - size))
        inside = {var: values[var] for var in given}
        for var in vectors:
            inside[var] = lax.dynamic_slice(values[var], (start,), (size,))
        for equation in equations:
            if equation.primitive.name == "broadcast_in_dim":
                inside[equation.outvars[0]] = lax.broadcast(_value(equation.invars[0], inside), (size,))
            else:
                run_equation(equation, inside, program)
        arrays = [lax.dynamic_update_slice(a, inside[v], (start,)) for a, v in zip(arrays, kept, strict=True)]
        new = lax.add(lax.iota(np.int64, size), start) >= first
        return arrays, [
            _SINKS[eqn.primitive.name][1](
                total, _sum_of_block(eqn, _value(eqn.invars[0], inside), new, program)
            )
            for eqn, total in zip(region.sums, sums, strict=True)
        ]

    empty = [lax.full((length,), 0, var.aval.dtype) for var in kept]
    nothing = [_start_of_sum(equation) for equation in region.sums]
    arrays, sums = lax.fori_loop(0, blocks, one_block, (empty, nothing))
    values.update(zip(kept, arrays, strict=True))
    values.update(zip((equation.outvars[0] for equation in region.sums), sums, strict=True))


def _needed(region: _Region, kept: Sequence[Any]) -> list[Any]:
    """The equations that the sums and the kept variables depend on."""
    wanted = {*kept, *(a for eqn in region.sums for a in eqn.invars if isinstance(a, jex.Var))}
    equations = []
    for equation in reversed(region.equations):
        if equation.outvars[0] in wanted:
            equations.append(equation)
            wanted.update(a for a in equation.invars if isinstance(a, jex.Var))
    return equations[::-1]


def _block_size(vectors: int, length: int) -> int:
    fits = BLOCK_BYTES // (8 * max(vectors, 1))
    size = 1 << max(fits.bit_length() - 1, 0)
    return min(max(size, SMALLEST_BLOCK), LARGEST_BLOCK, length)


def _sum_of_block(equation: Any, block: Any, new: Any, program: Any) -> Any:
    neutral, _ = _SINKS[equation.primitive.name]
    if neutral is not None:
        block = lax.select(new, block, lax.full_like(block, neutral))
    values = {equation.invars[0]: block}
    run_equation(equation, values, program)
    return values[equation.outvars[0]]


def _start_of_sum(equation: Any) -> Any:
    """What no elements at all sum to."""
    name, dtype = equation.primitive.name, equation.outvars[0].aval.dtype
    neutral, _ = _SINKS[name]
    if neutral is None:
        bounds = np.iinfo(dtype) if dtype.kind in "iu" else None
        highest = np.inf if bounds is None else bounds.max
        lowest = -np.inf if bounds is None else bounds.min
        neutral = lowest if name == "reduce_max" else highest
    return np.asarray(neutral, dtype)[()]
