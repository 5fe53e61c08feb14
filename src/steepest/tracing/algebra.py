"""Algebra on a jaxpr: what multiplies by one, adds zero or undoes itself goes; a table of rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.core
import jax.extend.core as jex
import numpy as np
from jax import lax

from .primitives import ELEMENTWISE, NoRule, evaluate_equation
from .primitives.indexing import even_rows
from .rewriting import Rewriting, literal_value, read, strong

# What gives an array of one number again from an array of one number.
_MOVING = set(
    "broadcast_in_dim reshape expand_dims squeeze transpose slice rev copy convert_element_type".split()
)


def algebra(closed: Any, *, keep_derivatives: bool = False) -> Any:
    """Drop operations that change nothing: times one, minus minus, a cast to the same type, a copy.

    A reshape that reads its operand in another order, as JAX writes one of order "F" and the derivative of a product,
    becomes a transpose and a plain one, so that nobody after this has to look for the order. Values stay the same
    except that -0.0 may become 0.0 where zeros are added, that terms known to be zero are dropped from sums of
    derivatives (`add_any`), that |z|² of complex z and the square of a norm are taken without the root, and that √(z²)
    of a real z is |z|.
    """
    rewriting = Rewriting(closed)
    environment = rewriting.opening(closed)
    shapes = _Shapes(rewriting, keep_derivatives)
    for equation in closed.jaxpr.eqns:
        equation = equation.replace(invars=[read(environment, atom) for atom in equation.invars])
        rule = _ALGEBRA.get(equation.primitive.name)
        answer = rule(equation, shapes) if rule is not None else None
        if answer is None:
            shapes.append(shapes.with_scalars(shapes.of_one_number(equation)))
        else:
            environment[equation.outvars[0]] = answer
    return rewriting.finished([read(environment, atom) for atom in closed.jaxpr.outvars])


class _Shapes:
    """What the algebra knows of each variable: the equation that made it, and the number it is full of."""

    def __init__(self, rewriting: Rewriting, keep_derivatives: bool) -> None:
        self.rewriting = rewriting
        self.keep_derivatives = keep_derivatives
        self.producer: dict[Any, Any] = {}

    def filling(self, atom: Any) -> Any | None:
        """The literal that every element of `atom` equals, if it is known."""
        if isinstance(atom, jex.Literal):
            return atom
        made = self.producer.get(atom)
        if (
            made is not None
            and made.primitive.name in ("broadcast_in_dim", "reshape", "copy")
            and made.invars
        ):
            return self.filling(made.invars[0])
        return None

    def is_full_of(self, atom: Any, number: float) -> bool:
        literal = self.filling(atom)
        return literal is not None and bool(literal_value(literal) == number)

    def append(self, equation: Any) -> None:
        """One more equation in the new jaxpr."""
        self.rewriting.equations.append(equation)
        for var in equation.outvars:
            self.producer[var] = equation

    def made_by(self, atom: Any, primitive: str) -> Any | None:
        """The equation that made `atom`, if it is of this primitive."""
        made = self.producer.get(atom) if isinstance(atom, jex.Var) else None
        return made if made is not None and made.primitive.name == primitive else None

    def of_one_number(self, equation: Any) -> Any:
        """An elementwise equation on arrays full of one number each, computed on the numbers alone."""
        if len(equation.outvars) != 1 or equation.primitive.name not in ELEMENTWISE:
            return equation
        out = equation.outvars[0].aval
        if out.shape == ():
            return equation
        numbers = [self.filling(atom) for atom in equation.invars]
        if any(number is None for number in numbers):
            return equation
        try:
            (result,) = evaluate_equation(equation, [literal_value(number) for number in numbers])
        except NoRule:
            return equation
        literal = jex.Literal(np.ravel(result)[0], jax.core.ShapedArray((), out.dtype))
        params = {"shape": out.shape, "broadcast_dimensions": (), "sharding": None}
        return equation.replace(invars=[literal], primitive=jex.primitives.broadcast_in_dim_p, params=params)

    def with_scalars(self, equation: Any) -> Any:
        """The equation with operands that are full of one number replaced by that number, where it may be."""
        if equation.primitive.name not in _TAKES_SCALARS or len(equation.invars) != 2:
            return equation
        left, right = equation.invars
        shape = equation.outvars[0].aval.shape
        if left.aval.shape == right.aval.shape == shape != ():
            number = self.filling(left)
            if number is not None:
                return equation.replace(invars=[number, right])
            number = self.filling(right)
            if number is not None:
                return equation.replace(invars=[left, number])
        return equation


def _fits(atom: Any, equation: Any) -> bool:
    """Whether `atom` can stand for the result of `equation` as it is."""
    out = equation.outvars[0].aval
    return atom.aval.shape == out.shape and atom.aval.dtype == out.dtype


def _times(equation: Any, shapes: _Shapes) -> Any | None:
    left, right = equation.invars
    if left is right:
        return _squared_size(equation, shapes)
    if shapes.is_full_of(left, 1) and _fits(right, equation):
        return right
    return left if shapes.is_full_of(right, 1) and _fits(left, equation) else None


def _over(equation: Any, shapes: _Shapes) -> Any | None:
    left, right = equation.invars
    return left if shapes.is_full_of(right, 1) and _fits(left, equation) else None


def _minus(equation: Any, shapes: _Shapes) -> Any | None:
    # x - 0.0 is x for every x, -0.0 included; x + 0.0 is not.
    left, right = equation.invars
    if shapes.is_full_of(right, 0) and _fits(left, equation) and not _is_negative_zero(shapes.filling(right)):
        return left
    return None


def _plus(equation: Any, shapes: _Shapes) -> Any | None:
    left, right = equation.invars
    whole = equation.outvars[0].aval.dtype.kind in "iu"
    for zero, other in ((left, right), (right, left)):
        if shapes.is_full_of(zero, 0) and _fits(other, equation):
            if whole or _is_negative_zero(shapes.filling(zero)) or _never_negative_zero(other, shapes):
                return other
    return None


def _is_negative_zero(literal: Any) -> bool:
    value = literal_value(literal)
    return value.dtype.kind == "f" and bool(np.signbit(value))


def _never_negative_zero(atom: Any, shapes: _Shapes) -> bool:
    return any(
        shapes.made_by(atom, name) is not None for name in ("exp", "exp2", "cosh", "logistic", "square")
    )


def _plus_any(equation: Any, shapes: _Shapes) -> Any | None:
    left, right = equation.invars
    if shapes.is_full_of(left, 0) and _fits(right, equation):
        return right
    return left if shapes.is_full_of(right, 0) and _fits(left, equation) else None


def _negated(equation: Any, shapes: _Shapes) -> Any | None:
    inner = shapes.made_by(equation.invars[0], "neg")
    return inner.invars[0] if inner is not None else None


def _converted(equation: Any, shapes: _Shapes) -> Any | None:
    return equation.invars[0] if _fits(equation.invars[0], equation) else None


def _reshaped(equation: Any, shapes: _Shapes) -> Any | None:
    order = equation.params["dimensions"]
    if order is None:
        return _unmoved(equation, shapes)
    operand, permutation = equation.invars[0], tuple(int(axis) for axis in order)
    aval = jax.core.ShapedArray(tuple(operand.aval.shape[axis] for axis in permutation), operand.aval.dtype)
    turned, result = jex.Var(aval), jex.Var(strong(equation.outvars[0].aval))
    shapes.append(
        equation.replace(primitive=lax.transpose_p, params={"permutation": permutation}, outvars=[turned])
    )
    plain = equation.replace(
        params={**equation.params, "dimensions": None}, invars=[turned], outvars=[result]
    )
    same = _unmoved(plain, shapes)
    if same is None:
        shapes.append(plain)
    return result if same is None else same


def _unmoved(equation: Any, shapes: _Shapes) -> Any | None:
    """Reshape, squeeze or broadcast to the same shape; a slice of everything; a sum over no axes."""
    if len(equation.invars) != 1 or not _fits(equation.invars[0], equation):
        return None
    params = equation.params
    if (
        equation.primitive.name == "slice"
        and params["strides"] is not None
        and any(s != 1 for s in params["strides"])
    ):
        return None
    return equation.invars[0]


def _gathered(equation: Any, shapes: _Shapes) -> Any | None:
    """What is picked at places known to follow one another at an equal distance is a slice.

    A slice is a view, its derivative is added in place, and a compiler fuses both with their neighbours.
    """
    operand, indices = equation.invars
    if not shapes.rewriting.is_known(indices):
        return None
    found = even_rows(equation, shapes.rewriting.known(indices))
    if found is None:
        return None
    axis, rows = found
    whole = [slice(0, size, 1) for size in operand.aval.shape]
    if whole[axis] == rows:
        return operand
    whole[axis] = rows
    strides = None if rows.step == 1 else tuple(part.step for part in whole)
    params = {
        "start_indices": tuple(part.start for part in whole),
        "limit_indices": tuple(part.stop for part in whole),
        "strides": strides,
    }
    shapes.append(equation.replace(primitive=lax.slice_p, params=params, invars=[operand]))
    return equation.outvars[0]


def _transposed(equation: Any, shapes: _Shapes) -> Any | None:
    permutation = tuple(int(p) for p in equation.params["permutation"])
    if permutation == tuple(range(len(permutation))):
        return equation.invars[0]
    inner = shapes.made_by(equation.invars[0], "transpose")
    if inner is None:
        return None
    first = tuple(int(p) for p in inner.params["permutation"])
    return inner.invars[0] if tuple(first[p] for p in permutation) == tuple(range(len(first))) else None


def _copied(equation: Any, shapes: _Shapes) -> Any | None:
    return equation.invars[0]


def _stopped(equation: Any, shapes: _Shapes) -> Any | None:
    return None if shapes.keep_derivatives else equation.invars[0]


def _padded_nothing(equation: Any, shapes: _Shapes) -> Any | None:
    plain = all(int(v) == 0 for dimension in equation.params["padding_config"] for v in dimension)
    return equation.invars[0] if plain else None


def _power(equation: Any, shapes: _Shapes) -> Any | None:
    power = equation.params["y"]
    if power == 1:
        return equation.invars[0]
    if power == 2:
        return _squared_size(equation, shapes)
    return None


def _root(equation: Any, shapes: _Shapes) -> Any | None:
    """√(z²) is |z|, whose slope is a number where z is zero, and which neither overflows nor vanishes on the way."""
    squares = (shapes.made_by(equation.invars[0], name) for name in ("integer_pow", "square", "mul"))
    square = next((made for made in squares if made is not None), None)
    if square is None or square.params.get("y", 2) != 2 or square.invars[-1] is not square.invars[0]:
        return None
    if equation.outvars[0].aval.dtype.kind != "f":
        return None
    size = jex.Var(equation.outvars[0].aval)
    shapes.append(equation.replace(primitive=lax.abs_p, params={}, invars=square.invars[:1], outvars=[size]))
    return size


def _squared_root(equation: Any, shapes: _Shapes) -> Any | None:
    """What a root is taken of, where that is nowhere negative: the square of a norm is the sum of squares in it."""
    operand = equation.invars[0]
    root, guard = shapes.made_by(operand, "sqrt"), shapes.made_by(operand, "select_n")
    if guard is not None and len(guard.invars) == 3 and shapes.is_full_of(guard.invars[2], 0):
        # where(s == 0, 0, sqrt(where(s == 0, 1, s))): a root whose slope at zero is finite.
        root = shapes.made_by(guard.invars[1], "sqrt")
    if root is None:
        return None
    inner = root.invars[0]
    if guard is not None:
        kept, test = shapes.made_by(inner, "select_n"), shapes.made_by(guard.invars[0], "eq")
        if kept is None or test is None or kept.invars[0] is not guard.invars[0]:
            return None
        inner = kept.invars[1]
        if test.invars[0] is not inner or not shapes.is_full_of(test.invars[1], 0):
            return None
    return inner if _fits(inner, equation) and _is_never_negative(inner, shapes) else None


def _is_never_negative(atom: Any, shapes: _Shapes) -> bool:
    """Whether `atom` is made of squares and sizes by sums, means and positive numbers."""
    made = shapes.producer.get(atom) if isinstance(atom, jex.Var) else None
    name = "" if made is None else made.primitive.name
    if name in ("square", "abs"):
        return made.invars[0].aval.dtype.kind == "f"  # type: ignore[union-attr]
    if name == "integer_pow":
        return made.params["y"] % 2 == 0  # type: ignore[union-attr]
    if name in ("reduce_sum", "reshape", "squeeze", "broadcast_in_dim", "transpose"):
        return _is_never_negative(made.invars[0], shapes)  # type: ignore[union-attr]
    if name not in ("mul", "div", "add"):
        return False
    one, other = made.invars  # type: ignore[union-attr]
    if name == "mul" and one is other:
        return True
    numbers = [shapes.filling(side) for side in (one, other)]
    positive = [number is not None and literal_value(number) > 0 for number in numbers]
    return all(p or _is_never_negative(side, shapes) for p, side in zip(positive, (one, other), strict=True))


def _squared_size(equation: Any, shapes: _Shapes) -> Any | None:
    """|z|² of complex z is the sum of two squares: smooth, where |z| has no second derivative at zero.

    So is the square of a norm.
    """
    squared = _squared_root(equation, shapes)
    if squared is not None:
        return squared
    size = shapes.made_by(equation.invars[0], "abs")
    if size is None or size.invars[0].aval.dtype.kind != "c":
        return None
    aval = equation.outvars[0].aval
    squares = []
    for part in (lax.real_p, lax.imag_p):
        taken, squared = jex.Var(aval), jex.Var(aval)
        shapes.append(equation.replace(primitive=part, params={}, invars=[size.invars[0]], outvars=[taken]))
        power = {"y": 2}
        shapes.append(
            equation.replace(primitive=lax.integer_pow_p, params=power, invars=[taken], outvars=[squared])
        )
        squares.append(squared)
    total = jex.Var(aval)
    shapes.append(equation.replace(primitive=lax.add_p, params={}, invars=squares, outvars=[total]))
    return total


def _selected(equation: Any, shapes: _Shapes) -> Any | None:
    predicate, *cases = equation.invars
    if all(case is cases[0] for case in cases):
        return cases[0]
    number = shapes.filling(predicate)
    if number is None:
        return None
    return cases[min(max(int(literal_value(number)), 0), len(cases) - 1)]


# Binary primitives that broadcast a scalar operand by themselves.
_TAKES_SCALARS = {
    *("add", "sub", "mul", "div", "rem", "pow", "max", "min", "atan2"),
    *("eq", "ne", "lt", "le", "gt", "ge"),
}

_ALGEBRA: dict[str, Callable[[Any, _Shapes], Any | None]] = {
    "mul": _times,
    "div": _over,
    "sub": _minus,
    "add": _plus,
    "add_any": _plus_any,
    "neg": _negated,
    "sqrt": _root,
    "convert_element_type": _converted,
    "reshape": _reshaped,
    "squeeze": _unmoved,
    "broadcast_in_dim": _unmoved,
    "slice": _unmoved,
    "gather": _gathered,
    "split": lambda equation, shapes: equation.invars[0] if len(equation.outvars) == 1 else None,
    "reduce_sum": _unmoved,
    "transpose": _transposed,
    "copy": _copied,
    "copy_p": _copied,
    "stop_gradient": _stopped,
    "pad": _padded_nothing,
    "integer_pow": _power,
    "square": _squared_size,
    "select_n": _selected,
}
