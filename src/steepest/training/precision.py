"""Less memory and time at a known price: matrix products in bfloat16, and values computed twice instead of kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, isqrt
from typing import Any

import jax
import jax.numpy as jnp

from ..tracing.batched import BatchCost
from ..tracing.equations import read_atom, run_equation

# The operations whose time and memory bfloat16 halves or better. Sums, exponentials and logarithms stay in float32:
# 8 bits of mantissa cannot add a thousand terms.
PRODUCTS = {"dot_general", "conv_general_dilated"}


def products_in_bfloat16(cost: BatchCost) -> Callable[..., Any]:
    """The cost with every matrix product taken on bfloat16 operands and summed in float32.

    Parameters and slopes stay in float32: a step of one part in 300 of a parameter would be lost in bfloat16.
    """
    jaxpr = cost.closed.jaxpr

    def value(constants: Sequence[Any], parameters: Sequence[Any], batch: Sequence[Any]) -> Any:
        environment = dict(zip(jaxpr.constvars, constants, strict=True))
        environment.update(zip(jaxpr.invars, [*parameters, *batch], strict=True))
        _evaluate(jaxpr, jaxpr.eqns, environment, products=True)
        return read_atom(jaxpr.outvars[0], environment)

    return value


def recomputed_in_segments(cost: BatchCost, *, products: bool = False) -> Callable[..., Any]:
    """The cost in about √N segments of its N equations, of which only the borders are kept for the slope.

    Memory falls from N to about 2·√N intermediate results for one more evaluation of the cost (Chen et al. 2016,
    "Training deep nets with sublinear memory cost"). A loop is a segment of its own, and its turns go in segments.
    """
    jaxpr = cost.closed.jaxpr
    equations = list(jaxpr.eqns)
    size = max(1, ceil(len(equations) / max(1, isqrt(len(equations)))))
    segments = _segments(equations, size)
    wanted = _wanted_after(segments, jaxpr.outvars)

    def value(constants: Sequence[Any], parameters: Sequence[Any], batch: Sequence[Any]) -> Any:
        environment = dict(zip(jaxpr.constvars, constants, strict=True))
        environment.update(zip(jaxpr.invars, [*parameters, *batch], strict=True))
        for segment, outputs in zip(segments, wanted, strict=True):
            inputs = _inputs_of(segment)
            run = _segment(jaxpr, segment, inputs, outputs, products)
            run = run if _is_loop(segment[0]) else jax.checkpoint(run)
            results = run([environment[variable] for variable in inputs])
            environment.update(zip(outputs, results, strict=True))
        return read_atom(jaxpr.outvars[0], environment)

    return value


def _segment(
    jaxpr: Any, equations: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], products: bool
) -> Callable[[Sequence[Any]], list[Any]]:
    def run(values: Sequence[Any]) -> list[Any]:
        environment = dict(zip(inputs, values, strict=True))
        if _is_loop(equations[0]):
            _run_loop(equations[0], environment, products=products, recomputed=True)
        else:
            _evaluate(jaxpr, equations, environment, products=products)
        return [environment[variable] for variable in outputs]

    return run


def _segments(equations: Sequence[Any], size: int) -> list[list[Any]]:
    """At most `size` equations each, in order; a loop by itself."""
    segments: list[list[Any]] = []
    for equation in equations:
        last = segments[-1] if segments else []
        if not last or len(last) == size or _is_loop(equation) or _is_loop(last[0]):
            segments.append([equation])
        else:
            last.append(equation)
    return segments


def _is_loop(equation: Any) -> bool:
    return equation.primitive.name == "scan"


def _is_variable(atom: Any) -> bool:
    return not hasattr(atom, "val")


def _inputs_of(equations: Sequence[Any]) -> list[Any]:
    """Variables that the equations read and do not make, in the order they are met."""
    made: set[Any] = set()
    found: dict[Any, None] = {}
    for equation in equations:
        for atom in equation.invars:
            if _is_variable(atom) and atom not in made:
                found[atom] = None
        made.update(equation.outvars)
    return list(found)


def _wanted_after(segments: Sequence[Sequence[Any]], outvars: Sequence[Any]) -> list[list[Any]]:
    """For each segment what it makes that is read later on."""
    later = {atom for atom in outvars if _is_variable(atom)}
    wanted: list[list[Any]] = []
    for segment in reversed(segments):
        made = [variable for equation in segment for variable in equation.outvars]
        wanted.append([variable for variable in made if variable in later])
        later |= set(_inputs_of(segment))
    return wanted[::-1]


def _evaluate(jaxpr: Any, equations: Sequence[Any], environment: dict[Any, Any], *, products: bool) -> None:
    for equation in equations:
        if products and equation.primitive.name in PRODUCTS:
            _short_product(jaxpr, equation, environment)
        elif products and _is_loop(equation):
            _run_loop(equation, environment, products=True, recomputed=False)
        else:
            run_equation(equation, environment, jaxpr)


def _run_loop(equation: Any, environment: dict[Any, Any], *, products: bool, recomputed: bool) -> None:
    """One `scan`, its operations run as those outside; its turns in about √turns segments if `recomputed`."""
    given, body = equation.params, equation.params["jaxpr"]
    operands = [read_atom(atom, environment) for atom in equation.invars]
    fixed, rest = operands[: given["num_consts"]], operands[given["num_consts"] :]
    carry, along = rest[: given["num_carry"]], rest[given["num_carry"] :]

    def turn(carry: Any, now: Any) -> Any:
        inner = dict(zip(body.jaxpr.constvars, body.consts, strict=True))
        inner.update(zip(body.jaxpr.invars, [*fixed, *carry, *now], strict=True))
        _evaluate(body.jaxpr, body.jaxpr.eqns, inner, products=products)
        made = [jnp.asarray(read_atom(atom, inner), atom.aval.dtype) for atom in body.jaxpr.outvars]
        return made[: len(carry)], made[len(carry) :]

    def turns(carry: Any, now: Any, length: int) -> Any:
        return jax.lax.scan(turn, carry, now, length, given["reverse"], given["unroll"])

    length = given["length"]
    size = max(1, isqrt(length)) if recomputed else length
    count = length // size if size else 0
    carry = [jnp.asarray(value, aval.dtype) for value, aval in zip(carry, body.out_avals, strict=False)]
    if not recomputed or count < 2:
        carry, stacks = turns(carry, along, length)
    else:
        # Whole segments, and the turns left over at the end, which a loop that runs backwards takes first.
        pieces = [(0, count * size), (count * size, length)]
        found: dict[int, list[Any]] = {}
        for low, high in reversed(pieces) if given["reverse"] else pieces:
            part = [array[low:high] for array in along]
            if low == 0:
                laid = [array.reshape(count, size, *array.shape[1:]) for array in part]
                segment = jax.checkpoint(lambda carry, now: turns(carry, now, size))
                carry, made = jax.lax.scan(segment, carry, laid, count, given["reverse"])
                found[low] = [array.reshape(count * size, *array.shape[2:]) for array in made]
            else:
                carry, found[low] = turns(carry, part, high - low)
        stacks = [jnp.concatenate(both) for both in zip(*(found[low] for low, _ in pieces), strict=True)]
    environment.update(zip(equation.outvars, [*carry, *stacks], strict=True))


def _short_product(jaxpr: Any, equation: Any, environment: dict[Any, Any]) -> None:
    """One product, its operands rounded to bfloat16 and its terms added in float32."""
    operands = [jnp.asarray(read_atom(atom, environment)) for atom in equation.invars]
    if not all(jnp.issubdtype(operand.dtype, jnp.floating) for operand in operands):
        run_equation(equation, environment, jaxpr)
        return
    settings = {**equation.params, "preferred_element_type": jnp.dtype(jnp.float32)}
    environment[equation.outvars[0]] = equation.primitive.bind(
        *[operand.astype(jnp.bfloat16) for operand in operands], **settings
    )
