"""Norms, however they are written: what is squared and summed under a root, each of which is zero where the norm is.

`np.linalg.norm(x[group])`, `np.sqrt(np.sum(X**2, axis=1))`, `np.sqrt(dx**2 + dy**2)`, `np.hypot`, `np.sqrt(x @ C @ x)`
and the absolute value of complex numbers are all √(Σ uₖ²), for each of their elements.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import lax

from .patterns import Pattern
from .reading import MOVING, PICKING, Reading
from .squares import Roots
from .sums import Leaf

# Gives the value of an atom, as a JAX array.
Read = Callable[[Any], Any]

FLOAT = np.dtype(np.float64)


@dataclass(frozen=True)
class Parts:
    """u, whose squares add up to each element of a variable: `of(read)` has the variable's shape and one axis more.

    `count`: the length of that axis, along which zeros follow where an element has fewer parts than others. u is made
    from the atoms' values that `read` gives.
    """

    count: int
    of: Callable[[Read], Any]


def norm_of(reading: Reading, equation: Any, pattern: Pattern | None) -> Parts | None:
    """What each element of the result of `equation` is the norm of; None where it is not seen to be one.

    `pattern`: the well-known function that the result is the value of, where there is one.
    """
    squares = _Squares(reading)
    if pattern is not None and pattern.name == "hypot":
        return squares.joined(
            [squares.single(atom, equation.outvars[0].aval.shape) for atom in pattern.operands]
        )
    if pattern is not None and pattern.name == "square root":
        return squares.of(pattern.operands[0])
    if pattern is None and equation.primitive.name == "sqrt":
        return squares.of(equation.invars[0])
    if (
        pattern is None
        and equation.primitive.name == "abs"
        and equation.invars[0].aval.dtype == np.complex128
    ):
        return _of_complex(equation.invars[0])
    return None


class _Squares:
    """Reads sums of squares backwards: `of(atom)` are the parts whose squares each element of `atom` is the sum of."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def of(self, atom: Any) -> Parts | None:
        equation = self.reading.producer(atom) if self.reading.depends(atom) else None
        if equation is None or atom.aval.dtype != FLOAT:
            return None
        name = equation.primitive.name
        if name in MOVING or name in PICKING:
            return self._moved(equation)
        rule = _RULES.get(name)
        return None if rule is None else rule(self, equation)

    def single(self, atom: Any, shape: tuple[int, ...]) -> Parts | None:
        """`atom`, spread over `shape`, alone."""
        if not self.reading.depends(atom) or atom.aval.dtype != FLOAT:
            return None
        return Parts(1, lambda read: jax.numpy.broadcast_to(read(atom), shape)[..., None])

    def joined(self, parts: list[Parts | None]) -> Parts | None:
        """The parts of a sum."""
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        count = sum(part.count for part in known)
        return Parts(count, lambda read: jax.numpy.concatenate([part.of(read) for part in known], axis=-1))

    def _moved(self, equation: Any) -> Parts | None:
        inner = self.of(equation.invars[0])
        if inner is None or any(self.reading.depends(atom) for atom in equation.invars[1:]):
            return None

        def of(read: Read) -> Any:
            others = [read(atom) for atom in equation.invars[1:]]
            move = jax.vmap(
                lambda u: equation.primitive.bind(u, *others, **equation.params), in_axes=-1, out_axes=-1
            )
            return move(inner.of(read))

        return Parts(inner.count, of)

    def square(self, equation: Any) -> Parts | None:
        if equation.params.get("y", 2) != 2:
            return None
        return self.single(equation.invars[0], equation.outvars[0].aval.shape)

    def product(self, equation: Any) -> Parts | None:
        one, other = equation.invars
        if one is other:
            return self.single(one, equation.outvars[0].aval.shape)
        for squares, factor in ((one, other), (other, one)):
            if not self.reading.depends(factor):
                return self._times(squares, self.reading.constant(factor), equation.outvars[0].aval.shape)
        return None

    def quotient(self, equation: Any) -> Parts | None:
        squares, divisor = equation.invars
        value = None if self.reading.depends(divisor) else self.reading.constant(divisor)
        if value is None:
            return None
        with np.errstate(all="ignore"):
            return self._times(squares, 1.0 / np.asarray(value, dtype=FLOAT), equation.outvars[0].aval.shape)

    def _times(self, squares: Any, factor: Any, shape: tuple[int, ...]) -> Parts | None:
        inner = self.of(squares)
        if inner is None or factor is None or squares.aval.shape != shape:
            return None
        factor = np.asarray(factor, dtype=FLOAT)
        if not (np.isfinite(factor).all() and (factor >= 0.0).all()):
            return None
        root = np.sqrt(np.broadcast_to(factor, shape))[..., None]
        return Parts(inner.count, lambda read: inner.of(read) * root)

    def sum(self, equation: Any) -> Parts | None:
        shape = equation.outvars[0].aval.shape
        terms = [atom for atom in equation.invars if not self.reading.is_number(atom, 0.0)]
        if any(atom.aval.shape != shape for atom in terms):
            return None
        return self.joined([self.of(atom) for atom in terms])

    def total(self, equation: Any) -> Parts | None:
        (atom,), axes = equation.invars, tuple(equation.params["axes"])
        inner = self.of(atom)
        return None if inner is None else _gathered(inner, atom.aval.shape, axes)

    def concatenation(self, equation: Any) -> Parts | None:
        inner = [self.of(atom) for atom in equation.invars]
        known = [parts for parts in inner if parts is not None]
        if len(known) < len(inner):
            return None
        count, axis = max(parts.count for parts in known), equation.params["dimension"]

        def of(read: Read) -> Any:
            return jax.numpy.concatenate([_widened(parts.of(read), count) for parts in known], axis=axis)

        return Parts(count, of)

    def contraction(self, equation: Any) -> Parts | None:
        """Inner products of something with itself, weighted sums of squares, and forms xᵀCx."""
        one, other = equation.invars
        (over_one, over_other), (batch_one, batch_other) = equation.params["dimension_numbers"]
        if one is other and tuple(over_one) == tuple(over_other) and tuple(batch_one) == tuple(batch_other):
            shape = one.aval.shape
            alone = self.single(one, shape)
            if alone is None or len(over_one) + len(batch_one) != len(shape):
                return None
            if tuple(batch_one) != tuple(sorted(batch_one)):
                return None
            return _gathered(alone, shape, tuple(over_one))
        for squares, weights, over in ((one, other, over_one), (other, one, over_other)):
            if batch_one or self.reading.depends(weights) or weights.aval.ndim != 1 or len(over) != 1:
                continue
            spread = [1] * squares.aval.ndim
            spread[over[0]] = weights.aval.size
            value = self.reading.constant(weights)
            weight = None if value is None else np.reshape(value, spread)
            inner = self._times(squares, weight, squares.aval.shape)
            return None if inner is None else _gathered(inner, squares.aval.shape, tuple(over))
        return self._form(equation)

    def _form(self, equation: Any) -> Parts | None:
        out = equation.outvars[0]
        found = Roots(self.reading).form_of(Leaf((out,), np.array(1.0), None)) if not out.aval.shape else None
        if found is None:
            return None
        root, a = found
        return Parts(len(root), lambda read: root @ read(a)) if len(root) else None


def _widened(parts: Any, count: int) -> Any:
    """Parts with zeros after them, `count` along the last axis."""
    return jax.numpy.pad(parts, [(0, 0)] * (parts.ndim - 1) + [(0, count - parts.shape[-1])])


def _gathered(inner: Parts, shape: tuple[int, ...], axes: tuple[int, ...]) -> Parts:
    """The parts of a sum along `axes` of what has `shape`."""
    kept = [size for axis, size in enumerate(shape) if axis not in axes]
    count = inner.count * int(np.prod([shape[axis] for axis in axes]))

    def of(read: Read) -> Any:
        last = jax.numpy.moveaxis(inner.of(read), axes, range(-1 - len(axes), -1))
        return lax.reshape(last, (*kept, count))

    return Parts(count, of)


def _of_complex(atom: Any) -> Parts:
    return Parts(2, lambda read: jax.numpy.stack([lax.real(read(atom)), lax.imag(read(atom))], axis=-1))


_RULES: dict[str, Callable[[_Squares, Any], Parts | None]] = {
    "square": _Squares.square, "integer_pow": _Squares.square, "mul": _Squares.product, "div": _Squares.quotient,
    "add": _Squares.sum, "add_any": _Squares.sum, "reduce_sum": _Squares.total, "concatenate": _Squares.concatenation,
    "dot_general": _Squares.contraction,
}  # fmt: skip
