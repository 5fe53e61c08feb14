"""Part of a trace, from some of its atoms to others, as a jaxpr of its own."""

from __future__ import annotations

from typing import Any

import jax.core
import jax.extend.core as jex
import numpy as np

from .reading import Reading
from .writing import FLOAT, Writer

# Factors that are multiplied element by element, and the weight of each product.
Weighted = tuple[tuple[Any, ...], np.ndarray]


def portion(reading: Reading, starts: list[Any], ends: list[list[Weighted]], squares: int = 0) -> Any | None:
    """A closed jaxpr from the elements of the atoms `starts` in a row to weighted products in a row.

    What stands in one list of `ends` has one shape and is added. The row may go on with so many `squares`: elements
    that are only squared. None where something on the way depends on more than the atoms at the start.
    """
    sizes = [atom.aval.size for atom in starts]
    m = sum(sizes) + squares
    flat = jex.Var(jax.core.ShapedArray((m,), FLOAT))
    jaxpr = reading.closed.jaxpr
    nothing = jaxpr.replace(invars=[flat], outvars=[flat], eqns=[])
    writer = Writer(Reading(jex.ClosedJaxpr(nothing, reading.closed.consts)))
    names: dict[Any, Any] = {}
    place = 0
    for atom, size in zip(starts, sizes, strict=True):
        part = _slice(writer, flat, place, place + size)
        place += size
        shape = atom.aval.shape
        names[atom] = (
            part
            if len(shape) == 1
            else writer.emit("reshape", [part], shape, new_sizes=shape, dimensions=None, sharding=None)
        )

    def known(atom: Any) -> Any | None:
        if isinstance(atom, jex.Literal) or atom in jaxpr.constvars:
            return atom
        if atom not in names:
            equation = reading.producer(atom)
            operands = None if equation is None else [known(operand) for operand in equation.invars]
            if operands is None or any(operand is None for operand in operands):
                names[atom] = None
            else:
                assert equation is not None
                outs = [jex.Var(var.aval) for var in equation.outvars]
                writer.equations.append(equation.replace(invars=operands, outvars=outs))
                names.update(zip(equation.outvars, outs, strict=True))
        return names[atom]

    rows = []
    for end in ends:
        total = None
        for factors, weight in end:
            inner = [known(factor) for factor in factors]
            if any(factor is None for factor in inner):
                return None
            product = inner[0]
            for factor in inner[1:]:
                product = writer.product(product, factor)
            part = writer.flat(writer.times(product, np.broadcast_to(weight, factors[0].aval.shape)))
            total = part if total is None else writer.emit("add", [total, part], total.aval.shape)
        rows.append(total)
    if squares:
        rows.append(writer.power(_slice(writer, flat, m - squares, m), 2))
    return writer.finished([writer.joined(rows)])


def _slice(writer: Writer, flat: Any, start: int, stop: int) -> Any:
    return writer.emit(
        "slice", [flat], (stop - start,), start_indices=(start,), limit_indices=(stop,), strides=None
    )
