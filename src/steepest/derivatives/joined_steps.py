"""Equations of a jaxpr to steps: several that one line of NumPy does together are joined, and those unread left out.

Indexing is `slice` and `squeeze` in one; what the derivative of indexing looks like, sums of padded pieces, is one
assembly; and a sum of products of short vectors is one product of BLAS's. Equations themselves are steps too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax.extend.core as jex
import numpy as np

from ..tracing.primitives.shapes import pad_slices, slice_texts

# Vectors up to this length are summed by a BLAS product: faster for few elements, less exact for many.
SHORT_SUM = 1024


@dataclass
class Index:
    """Basic indexing: `slice` and `squeeze` of one another in one."""

    invars: list[Any]
    outvars: list[Any]
    parts: tuple[str, ...]


@dataclass
class Assemble:
    """Sum of arrays and of pieces that are zero outside a box: `add_any` of `pad`."""

    invars: list[Any]
    outvars: list[Any]
    # For each operand the box it is added to, or None for the whole array.
    boxes: list[tuple[slice, ...] | None]


@dataclass
class Dot:
    """Sum of a product of two short vectors."""

    invars: list[Any]
    outvars: list[Any]


def steps_of(jaxpr: Any) -> list[Any]:
    """Equations in order, some joined, those without a reader left out."""
    producer = {var: equation for equation in jaxpr.eqns for var in equation.outvars}
    uses: dict[Any, int] = {}
    for equation in jaxpr.eqns:
        for atom in equation.invars:
            if isinstance(atom, jex.Var):
                uses[atom] = uses.get(atom, 0) + 1
    for atom in jaxpr.outvars:
        if isinstance(atom, jex.Var):
            uses[atom] = uses.get(atom, 0) + 2

    inner_sums = {
        atom
        for equation in jaxpr.eqns
        if equation.primitive.name == "add_any"
        for atom in equation.invars
        if isinstance(atom, jex.Var) and uses[atom] == 1 and _is_sum(producer.get(atom))
    }
    steps = []
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        joined: Any = None
        if name in ("squeeze", "reshape"):
            joined = _index_step(equation, producer)
        elif name == "add_any" and equation.outvars[0] not in inner_sums:
            joined = _assembly_step(equation, producer, inner_sums)
        elif name == "reduce_sum" and is_short_sum(equation):
            joined = _dot_step(equation, producer, uses)
        steps.append(joined or equation)
    return _alive(steps, jaxpr.outvars)


def _is_sum(equation: Any) -> bool:
    return equation is not None and equation.primitive.name == "add_any"


def _index_step(equation: Any, producer: dict[Any, Any]) -> Index | None:
    """`squeeze` (or `reshape` to a scalar) of a `slice`, or of an array with one element."""
    source, out = equation.invars[0], equation.outvars[0]
    if not isinstance(source, jex.Var):
        return None
    if equation.primitive.name == "squeeze":
        dropped = {int(d) for d in equation.params["dimensions"]}
    elif out.aval.shape == ():
        dropped = set(range(len(source.aval.shape)))
    else:
        return None
    before = producer.get(source)
    if before is not None and before.primitive.name == "slice" and isinstance(before.invars[0], jex.Var):
        parts = slice_texts(before)
        parts += [":"] * (len(source.aval.shape) - len(parts))
        starts = before.params["start_indices"]
        source = before.invars[0]
    else:
        parts = [":"] * len(source.aval.shape)
        starts = (0,) * len(parts)
    if not parts:
        return None
    texts = tuple(str(int(starts[d])) if d in dropped else part for d, part in enumerate(parts))
    return Index([source], [out], texts)


def _assembly_step(equation: Any, producer: dict[Any, Any], inner_sums: set[Any]) -> Assemble | None:
    """A tree of sums whose leaves include zero-padded pieces."""
    leaves: list[Any] = []
    waiting = list(reversed(equation.invars))
    while waiting:
        atom = waiting.pop()
        if isinstance(atom, jex.Var) and atom in inner_sums:
            waiting.extend(reversed(producer[atom].invars))
        else:
            leaves.append(atom)
    operands, boxes = [], []
    for leaf in leaves:
        piece = _padded_piece(leaf, producer)
        operands.append(piece[0] if piece else leaf)
        boxes.append(piece[1] if piece else None)
    if not any(boxes) or any(
        box is None and isinstance(a, jex.Literal) for a, box in zip(operands, boxes, strict=True)
    ):
        return None
    return Assemble(operands, equation.outvars, boxes)


def _padded_piece(leaf: Any, producer: dict[Any, Any]) -> tuple[Any, tuple[slice, ...]] | None:
    """What is padded with zeros and where it stands, for a leaf that is such a `pad`."""
    equation = producer.get(leaf) if isinstance(leaf, jex.Var) else None
    if equation is None or equation.primitive.name != "pad":
        return None
    operand, filling = equation.invars
    if not isinstance(filling, jex.Literal) or filling.val != 0:
        return None
    configuration = [tuple(int(v) for v in c) for c in equation.params["padding_config"]]
    inner, outer = pad_slices(configuration, operand.aval.shape, leaf.aval.shape)
    if not outer or any(part != slice(None) for part in inner):
        return None
    # A piece made of one scalar: the box repeats it.
    before = producer.get(operand) if isinstance(operand, jex.Var) else None
    if (
        before is not None
        and before.primitive.name in ("broadcast_in_dim", "reshape")
        and len(before.invars) == 1
    ):
        if before.invars[0].aval.shape == ():
            operand = before.invars[0]
    return operand, outer


def _dot_step(equation: Any, producer: dict[Any, Any], uses: dict[Any, int]) -> Dot | None:
    """Sum of a product that nobody else reads."""
    operand = equation.invars[0]
    product = producer.get(operand) if isinstance(operand, jex.Var) else None
    if product is None or uses[operand] != 1:
        return None
    name = product.primitive.name
    if name == "square" or (name == "integer_pow" and product.params["y"] == 2):
        factors = [product.invars[0]] * 2
    elif name == "mul" and all(atom.aval.shape == operand.aval.shape for atom in product.invars):
        factors = list(product.invars)
    else:
        return None
    return Dot(factors, equation.outvars)


def _alive(steps: list[Any], outputs: Sequence[Any]) -> list[Any]:
    needed = {atom for atom in outputs if isinstance(atom, jex.Var)}
    kept = []
    for step in reversed(steps):
        if not needed.isdisjoint(step.outvars) or not step.outvars:
            kept.append(step)
            needed.update(atom for atom in step.invars if isinstance(atom, jex.Var))
    return kept[::-1]


def is_short_sum(equation: Any) -> bool:
    """Whether an equation sums a vector of doubles that is short enough for BLAS."""
    aval = equation.invars[0].aval
    return (
        aval.dtype == np.float64
        and len(aval.shape) == 1 == len(equation.params["axes"])
        and (aval.shape[0] <= SHORT_SUM)
    )


# Equations to steps.
