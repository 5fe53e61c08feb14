"""Products of arrays of many axes become products of two matrices, whose slopes are such products too.

The slope for a weight sums over all axes of the other operand that the weight has not: over examples and positions. For
a sum over several axes XLA lays its operands out anew, and takes what made them (the rectifier, the overlapping windows
of a convolution) into that copy, number by number and across the grain of memory: on a CPU that took twice as long as
all the rest of a small convolutional network. For a sum over one axis it reads them as they lie.
"""

from __future__ import annotations

from math import prod
from typing import Any

import jax.core
import jax.extend.core as jex


def as_matrix_products(closed: Any) -> Any:
    """The same program, with each product over the last or the first axes of its operands one of matrices or vectors.

    >>> import jax, jax.numpy as jnp
    >>> closed = jax.make_jaxpr(lambda h, w: h @ w)(jnp.ones((7, 5, 3)), jnp.ones((3, 2)))
    >>> [str(equation.outvars[0].aval) for equation in as_matrix_products(closed).jaxpr.eqns]
    ['float32[35,3]', 'float32[35,2]', 'float32[7,5,2]']
    """
    jaxpr = closed.jaxpr
    equations: list[Any] = []
    for equation in jaxpr.eqns:
        equations += _of_matrices(equation)
    return (
        closed if len(equations) == len(jaxpr.eqns) else closed.replace(jaxpr=jaxpr.replace(eqns=equations))
    )


def _of_matrices(equation: Any) -> list[Any]:
    """The equation, or those that stand for it: operands flattened, multiplied, the product as it was."""
    if equation.primitive.name != "dot_general" or equation.params.get("out_sharding") is not None:
        return [equation]
    over, (batched, _) = equation.params["dimension_numbers"]
    ranks = [len(atom.aval.shape) for atom in equation.invars]
    if batched or not over[0] or max(ranks) < 3:
        return [equation]
    pairs = sorted(zip(*over, strict=True))  # in whatever order they were named
    axes = [tuple(int(pair[side]) for pair in pairs) for side in (0, 1)]
    return _flattened(equation, axes) if all(map(_at_one_end, axes, ranks)) else [equation]


def _at_one_end(axes: tuple[int, ...], rank: int) -> bool:
    """Whether these axes, in this order, are the first or the last of an array."""
    count = len(axes)
    return axes in (tuple(range(count)), tuple(range(rank - count, rank)))


def _flattened(equation: Any, over: list[tuple[int, ...]]) -> list[Any]:
    made: list[Any] = []

    def emit(like: Any, atom: Any, shape: tuple[int, ...], out: Any = None) -> Any:
        out = jex.Var(jax.core.ShapedArray(shape, atom.aval.dtype)) if out is None else out
        given = {"new_sizes": shape, "dimensions": None, "sharding": None}
        made.append(
            like.replace(primitive=jex.primitives.reshape_p, invars=[atom], outvars=[out], params=given)
        )
        return out

    operands, places, free = [], [], []
    for atom, axes in zip(equation.invars, over, strict=True):
        shape = atom.aval.shape
        summed = prod(shape[axis] for axis in axes)
        kept = [length for axis, length in enumerate(shape) if axis not in axes]
        rows = [prod(kept)] if kept else []
        first = axes[0] == 0
        flat = (summed, *rows) if first else (*rows, summed)
        operands.append(atom if flat == shape else emit(equation, atom, flat))
        places.append((0,) if first else (len(rows),))
        free += rows
    (out,) = equation.outvars
    product = jex.Var(jax.core.ShapedArray(tuple(free), out.aval.dtype))
    given = {**equation.params, "dimension_numbers": (tuple(places), ((), ()))}
    made.append(equation.replace(invars=operands, outvars=[product], params=given))
    emit(equation, product, tuple(out.aval.shape), out)
    return made
