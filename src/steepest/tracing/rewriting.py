"""A jaxpr under construction: its equations so far, its constants, and what stands for each atom now."""

from __future__ import annotations

from typing import Any

import jax.core
import jax.extend.core as jex
import numpy as np

# A folded constant may be this large, or as large as what it was made from: folding saves time, never memory.
FOLDED_BYTES = 1 << 16


def literal_value(literal: Any) -> Any:
    """The number of a literal, of its own type."""
    return np.asarray(literal.val, literal.aval.dtype)[()]


class Rewriting:
    """A jaxpr under construction: its equations so far, and its constants, each kept once."""

    def __init__(self, closed: Any) -> None:
        self.closed = closed
        self.equations: list[Any] = []
        self.constants: dict[Any, Any] = {}
        self._by_content: dict[Any, Any] = {}

    def opening(self, closed: Any) -> dict[Any, Any]:
        """The environment to start from: the constants of `closed` in their new places."""
        return {
            var: self.constant(constant, var.aval)
            for var, constant in zip(closed.jaxpr.constvars, closed.consts, strict=True)
        }

    def constant(self, value: Any, aval: Any) -> Any:
        """An atom for a constant: a literal for a scalar, else a constant variable."""
        if aval.shape == () and isinstance(aval.dtype, np.dtype):  # a key for random numbers is not
            return jex.Literal(np.asarray(value, aval.dtype)[()], strong(aval))
        content, holder = _content(value)
        if content not in self._by_content:
            var = jex.Var(strong(aval))
            self.constants[var] = value
            # Keeping its holder keeps its place in memory its own.
            self._by_content[content] = var, holder
        return self._by_content[content][0]

    def is_known(self, atom: Any) -> bool:
        """Whether an atom is a constant."""
        return isinstance(atom, jex.Literal) or atom in self.constants

    def known(self, atom: Any) -> Any:
        """The value of a constant."""
        if isinstance(atom, jex.Literal):
            return literal_value(atom)
        return np.asarray(self.constants[atom])

    def finished(self, outvars: list[Any]) -> Any:
        """The closed jaxpr of all equations so far, with these outputs."""
        jaxpr = self.closed.jaxpr
        rewritten = jaxpr.replace(eqns=self.equations, constvars=list(self.constants), outvars=outvars)
        return jex.ClosedJaxpr(rewritten, list(self.constants.values()))


def _content(value: Any) -> tuple[Any, Any]:
    """A key, equal for constants of the same elements (small ones by these, large ones by where they lie); its holder.

    JAX wraps an array of NumPy's anew at each use; an array of its own may lie on another device.
    """
    if isinstance(value, jax.Array):
        return id(value), value
    array = np.asarray(value)
    if array.nbytes <= FOLDED_BYTES:
        return (array.dtype, array.shape, array.tobytes()), None
    return (array.dtype, array.shape, array.strides, array.__array_interface__["data"][0]), array


def strong(aval: Any) -> Any:
    """The type without JAX's weak promotion, so that a rewritten equation has one dtype only."""
    return jax.core.ShapedArray(aval.shape, aval.dtype) if aval.weak_type else aval


def read(environment: dict[Any, Any], atom: Any) -> Any:
    """What stands for an atom now; itself where nothing does."""
    return atom if isinstance(atom, jex.Literal) else environment.get(atom, atom)
