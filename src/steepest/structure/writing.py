"""New equations behind those of a jaxpr that was read: the few operations that facts are written down with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.core
import jax.extend.core as jex
import numpy as np
from jax import lax

from ..numerics import double_precision
from ..tracing.passes import eliminate_dead, with_outputs
from .reading import Reading

FLOAT = np.dtype(np.float64)


class Writer:
    """Adds equations to those of a `Reading`; atoms go in, atoms come out.

    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: (x**2).sum())(jax.ShapeDtypeStruct((2,), np.float64))
    >>> writer = Writer(Reading(jaxpr))
    >>> doubled = writer.times(writer.reading.x, np.array([1.0, 2.0]))
    >>> [str(aval) for aval in writer.finished([doubled]).out_avals]
    ['float64[2]']
    """

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.equations: list[Any] = []
        self.constants: dict[Any, Any] = {}

    def constant(self, value: Any) -> Any:
        """An atom for a number or an array."""
        value = np.asarray(value, dtype=FLOAT)
        aval = jax.core.ShapedArray(value.shape, FLOAT)
        if value.shape == ():
            return jex.Literal(value[()], aval)
        var = jex.Var(aval)
        self.constants[var] = value
        return var

    def times(self, atom: Any, factor: Any) -> Any:
        """`atom` times constants, in the shape of `atom`."""
        factor = np.asarray(factor, dtype=FLOAT)
        if factor.shape and factor.size and (factor == factor.flat[0]).all():
            factor = factor.flat[0]
        if not np.shape(factor) and factor == 1.0:
            return atom
        return self.emit("mul", [self.double(atom), self.constant(factor)], atom.aval.shape, out_dtype=None)

    def product(self, one: Any, other: Any) -> Any:
        """The elementwise product."""
        return self.emit("mul", [self.double(one), self.double(other)], one.aval.shape, out_dtype=None)

    def double(self, atom: Any) -> Any:
        """`atom` in double precision, in which all is written down."""
        if atom.aval.dtype == FLOAT:
            return atom
        return self.emit(
            "convert_element_type", [atom], atom.aval.shape, new_dtype=FLOAT, weak_type=False, sharding=None
        )

    def power(self, atom: Any, exponent: int) -> Any:
        """`atom` to a whole power."""
        if exponent == 1:
            return atom
        return self.emit("integer_pow", [self.double(atom)], atom.aval.shape, y=exponent)

    def replaced(self, equation: Any, operands: Sequence[Any]) -> Any:
        """The result of the same operation on other operands of the same types."""
        out = jex.Var(equation.outvars[0].aval)
        self.equations.append(equation.replace(invars=list(operands), outvars=[out]))
        return out

    def flat(self, atom: Any) -> Any:
        """The elements of `atom` in a row."""
        if len(atom.aval.shape) == 1:
            return atom
        size = (atom.aval.size,)
        return self.emit("reshape", [atom], size, new_sizes=size, dimensions=None, sharding=None)

    def joined(self, atoms: Sequence[Any]) -> Any:
        """The elements of all atoms in one row."""
        rows = [self.flat(self.double(atom)) for atom in atoms]
        if len(rows) == 1:
            return rows[0]
        return self.emit("concatenate", rows, (sum(row.aval.size for row in rows),), dimension=0)

    def taken(self, atom: Any, places: np.ndarray) -> Any:
        """The elements of `atom` at these places in flat order, shape (len(places),)."""
        return self.applied(lambda row: lax.reshape(row, (row.size,))[places], [atom])

    def applied(self, function: Any, atoms: Sequence[Any]) -> Any:
        """The result of a JAX function of one result."""
        shapes = [jax.ShapeDtypeStruct(atom.aval.shape, atom.aval.dtype) for atom in atoms]
        with double_precision():
            closed = jax.make_jaxpr(function)(*shapes)
        inner = closed.jaxpr
        names: dict[Any, Any] = dict(zip(inner.invars, atoms, strict=True))
        for var, value in zip(inner.constvars, closed.consts, strict=True):
            names[var] = jex.Var(var.aval)
            self.constants[names[var]] = np.asarray(value)

        def known(atom: Any) -> Any:
            return atom if isinstance(atom, jex.Literal) else names[atom]

        for equation in inner.eqns:
            results = [jex.Var(var.aval) for var in equation.outvars]
            self.equations.append(
                equation.replace(invars=[known(atom) for atom in equation.invars], outvars=results)
            )
            names.update(zip(equation.outvars, results, strict=True))
        return known(inner.outvars[0])

    def emit(self, primitive: str, operands: Sequence[Any], shape: tuple[int, ...], **params: Any) -> Any:
        """The result of one operation."""
        out = jex.Var(jax.core.ShapedArray(shape, FLOAT))
        made = getattr(jex.primitives, f"{primitive}_p")
        self.equations.append(jex.new_jaxpr_eqn(list(operands), [out], made, params, jex.no_effects))
        return out

    def finished(self, outputs: Sequence[Any]) -> Any:
        """The closed jaxpr from the parameters to these atoms, with nothing in it that they do not need."""
        closed = self.reading.closed
        jaxpr = closed.jaxpr
        longer = jaxpr.replace(
            eqns=[*jaxpr.eqns, *self.equations], constvars=[*jaxpr.constvars, *self.constants]
        )
        whole = jex.ClosedJaxpr(longer, [*closed.consts, *self.constants.values()])
        return eliminate_dead(with_outputs(whole, outputs))
