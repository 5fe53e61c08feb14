"""Record a call on look-alikes of arrays and evaluate what was recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from steepest.derivatives.interpreted import NoRule, interpret
from steepest.numerics import double_precision
from steepest.parameters import Parameters
from steepest.tracing import passes
from steepest.tracing.arrays import unwrap, wrap
from steepest.tracing.trace import trace

NO_NAMES: frozenset[str] = frozenset()


def flat(result: Any) -> list[Any]:
    """The arrays of a result, out of its tuples and lists."""
    if isinstance(result, (tuple, list)):
        return [leaf for item in result for leaf in flat(item)]
    return [result]


def record(function: Callable[..., Any], arrays: Sequence[np.ndarray]) -> Any:
    """The jaxpr of `function` called on look-alikes of the arrays; its outputs are those of `flat`."""

    def run(*values: Any) -> list[Any]:
        result = function(*(wrap(value, NO_NAMES) for value in values))
        return [leaf for leaf in flat(unwrap(result, set())) if not isinstance(leaf, str)]

    with double_precision():
        closed = jax.make_jaxpr(run)(*(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays))
        return passes.simplify(closed, keep_derivatives=True)


def evaluate(closed: Any, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a jaxpr, by NumPy where it has a rule for every operation, else by XLA."""
    try:
        run = interpret(passes.simplify(closed))
    except NoRule:
        run = jax.jit(jax.extend.core.jaxpr_as_fun(closed))
    with double_precision():
        return [np.asarray(out) for out in run(*arrays)]


def slope_along(
    closed: Any, arrays: Sequence[np.ndarray], along: Sequence[Any], weights: Sequence[Any]
) -> float:
    """Derivative, in the direction `along`, of the sum of the outputs times `weights`, by one reverse sweep."""
    moved = [k for k, direction in enumerate(along) if direction is not None]
    run = jax.extend.core.jaxpr_as_fun(closed)

    def total(*some: Any) -> Any:
        whole = list(arrays)
        for k, value in zip(moved, some, strict=True):
            whole[k] = value
        sums = []
        for out, weight in zip(run(*whole), weights, strict=True):
            if weight is not None:
                sums.append((out.real * weight.real).sum() + (out.imag * weight.imag).sum())
        return sum(sums)

    with double_precision():
        gradient = jax.make_jaxpr(jax.grad(total, tuple(range(len(moved)))))(*(arrays[k] for k in moved))
    parts = evaluate(gradient, [arrays[k] for k in moved])
    # JAX's gradient g in a complex argument has df = Re(g · dz).
    return float(sum(np.sum(np.real(part * along[k])) for k, part in zip(moved, parts, strict=True)))


def value_of(cost: Callable[..., Any], x: np.ndarray) -> float:
    """The value of a cost as its trace computes it."""
    return float(interpret(passes.simplify(trace(cost, Parameters.of(x)).jaxpr))(x)[0])
