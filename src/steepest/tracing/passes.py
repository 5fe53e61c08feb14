"""Rewriting a jaxpr into a shorter one that gives the same numbers.

Six passes, each a function from closed jaxpr to closed jaxpr, and `simplify`, which runs them all. Values
stay the same bit for bit, with one exception told at `algebra`; every equation kept or made carries the
source line of the user's code that it came from. Nothing here touches a device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.core
import jax.extend.core as jex
import numpy as np
from jax import lax

from .primitives import ELEMENTWISE, NoRule, evaluate_equation, has_rule
from .primitives.control import call_operands, called_jaxpr
from .source import has_user_line

# A folded constant may be this large, or as large as what it was made from: folding saves time, never memory.
FOLDED_BYTES = 1 << 16

# Calls that hold a derivative of their own, lost when they are inlined.
_DERIVATIVE_CALLS = {"custom_jvp_call", "custom_vjp_call", "custom_linear_solve"}
# What costs run on; other names that JAX may choose by are those of languages that kernels are written in.
_PLATFORMS = {"cpu", "gpu", "cuda", "rocm", "tpu", "axon", "METAL"}
# Where loops and choices keep what they do.
_BODIES = {"while": ("cond_jaxpr", "body_jaxpr"), "scan": ("jaxpr",), "cond": ("branches",)}
_REMATERIALISED = {"remat2", "checkpoint"}
# What gives an array of one number again from an array of one number.
_MOVING = set(
    "broadcast_in_dim reshape expand_dims squeeze transpose slice rev copy convert_element_type".split()
)


def simplify(closed: Any, *, keep_derivatives: bool = False) -> Any:
    """All passes over a closed jaxpr: fewer equations, same values.

    With `keep_derivatives` the calls that carry a derivative rule of their own, and `stop_gradient`, stay,
    so that the result may still be differentiated; without, the result is only to be evaluated.
    """
    closed = inline(closed, keep_derivatives=keep_derivatives)
    closed = within_loops(closed, keep_derivatives=keep_derivatives)
    closed = fold_constants(closed)
    closed = algebra(closed, keep_derivatives=keep_derivatives)
    closed = common_subexpressions(closed)
    return eliminate_dead(closed)


def inline(closed: Any, *, keep_derivatives: bool = False) -> Any:
    """Replace calls (`jit`, `custom_jvp_call`, …) by the equations they stand for.

    A rematerialised call in a derivative stays: it exists to be computed twice.
    """
    if not any(_inlines(equation, keep_derivatives) for equation in closed.jaxpr.eqns):
        return closed
    rewriting = Rewriting(closed)

    def splice(jaxpr: Any, consts: Sequence[Any], operands: Sequence[Any], outer: Any) -> list[Any]:
        environment = dict(zip(jaxpr.invars, operands, strict=True))
        for var, constant in zip(jaxpr.constvars, consts, strict=True):
            environment[var] = rewriting.constant(constant, var.aval)
        for equation in jaxpr.eqns:
            invars = [read(environment, atom) for atom in equation.invars]
            source = equation.source_info
            # JAX keeps no line of the user's inside its own compiled functions, such as a Cholesky factor.
            if outer is not None and not has_user_line(equation):
                source = outer.source_info
            if _inlines(equation, keep_derivatives):
                branch = _branch_everywhere(equation)
                inner = called_jaxpr(equation) if branch is None else branch
                assert inner is not None
                outputs = splice(
                    inner.jaxpr,
                    inner.consts,
                    call_operands(equation, invars) if branch is None else invars[1:],
                    equation.replace(source_info=source),
                )
                environment.update(zip(equation.outvars, outputs, strict=True))
                continue
            outvars = equation.outvars if outer is None else [jex.Var(var.aval) for var in equation.outvars]
            environment.update(zip(equation.outvars, outvars, strict=True))
            rewriting.equations.append(equation.replace(invars=invars, outvars=outvars, source_info=source))
        return [read(environment, atom) for atom in jaxpr.outvars]

    jaxpr = closed.jaxpr
    return rewriting.finished(splice(jaxpr, closed.consts, jaxpr.invars, None))


def within_loops(closed: Any, *, keep_derivatives: bool = False) -> Any:
    """All passes over what loops do at every turn, and over the branches of choices."""
    if not any(equation.primitive.name in _BODIES for equation in closed.jaxpr.eqns):
        return closed

    def shorter(inner: Any) -> Any:
        if isinstance(inner, tuple):
            return tuple(map(shorter, inner))
        return simplify(inner, keep_derivatives=keep_derivatives)

    equations = []
    for equation in closed.jaxpr.eqns:
        bodies = _BODIES.get(equation.primitive.name, ())
        params = equation.params | {key: shorter(equation.params[key]) for key in bodies}
        equations.append(equation.replace(params=params) if bodies else equation)
    return closed.replace(jaxpr=closed.jaxpr.replace(eqns=equations))


def _inlines(equation: Any, keep_derivatives: bool) -> bool:
    name = equation.primitive.name
    if name in _DERIVATIVE_CALLS:
        return not keep_derivatives
    if name in _REMATERIALISED:
        return not keep_derivatives and not equation.params.get("differentiated", True)
    return called_jaxpr(equation) is not None or _branch_everywhere(equation) is not None


def _branch_everywhere(equation: Any) -> Any | None:
    """The branch that a choice by platform takes on every processor and accelerator; None where they differ.

    JAX writes such a choice into the diagonal of a matrix, and so into determinants, for languages of kernels alone.
    """
    if equation.primitive.name != "cond":
        return None
    platforms = equation.params.get("branches_platforms")
    if platforms is None or None not in platforms:
        return None
    named = {name for group in platforms if group is not None for name in group}
    return None if named & _PLATFORMS else equation.params["branches"][platforms.index(None)]


def fold_constants(closed: Any) -> Any:
    """Evaluate, in NumPy, every equation whose operands are all constants and whose results are small.

    One number spread over an array stays an equation: it costs nothing, and the array would have to be kept. What is
    computed from such arrays alone is as constant as they are.
    """
    rewriting = Rewriting(closed)
    environment = rewriting.opening(closed)
    spread: dict[Any, Any] = {}

    def known(atom: Any) -> Any:
        return spread[atom] if _is_spread(atom, spread) else rewriting.known(atom)

    for equation in closed.jaxpr.eqns:
        invars = [read(environment, atom) for atom in equation.invars]
        if _is_constant(equation, invars, rewriting, spread):
            if _spreads(equation, invars, spread):
                (var,) = equation.outvars
                number = known(invars[0]).flat[0].astype(var.aval.dtype)
                spread[var] = np.broadcast_to(number, var.aval.shape)
            elif _is_small(equation, invars, spread):
                try:
                    results = evaluate_equation(equation, [known(atom) for atom in invars])
                except NoRule:
                    results = None
                if results is not None:
                    for var, result in zip(equation.outvars, results, strict=True):
                        environment[var] = rewriting.constant(result, var.aval)
                    continue
        rewriting.equations.append(equation.replace(invars=invars))
    return rewriting.finished([read(environment, atom) for atom in closed.jaxpr.outvars])


def _is_constant(
    equation: Any, invars: Sequence[Any], rewriting: Rewriting, spread: Mapping[Any, Any]
) -> bool:
    if equation.effects or not has_rule(equation.primitive.name):
        return False
    return all(rewriting.is_known(atom) or _is_spread(atom, spread) for atom in invars)


def _is_spread(atom: Any, spread: Mapping[Any, Any]) -> bool:
    return isinstance(atom, jex.Var) and atom in spread


def _spreads(equation: Any, invars: Sequence[Any], spread: Mapping[Any, Any]) -> bool:
    """Whether an equation spreads one number over an array, or moves one that was."""
    name = equation.primitive.name
    if len(invars) != 1 or not math.prod(invars[0].aval.shape):
        return False
    if name == "broadcast_in_dim" and invars[0].aval.shape == ():
        return True
    if name == "convert_element_type":
        source, target = invars[0].aval.dtype.kind, equation.params["new_dtype"].kind
        if source == "c" or (
            source == "f" and target in "iu"
        ):  # XLA drops a part, and saturates; NumPy does not
            return False
    return name in _MOVING and _is_spread(invars[0], spread)


def _is_small(equation: Any, invars: Sequence[Any], spread: Mapping[Any, Any]) -> bool:
    results = sum(_bytes(var.aval) for var in equation.outvars)
    kept = sum(_bytes(atom.aval) for atom in invars if not _is_spread(atom, spread))
    return results <= max(FOLDED_BYTES, kept)


def _bytes(aval: Any) -> int:
    return math.prod(aval.shape) * aval.dtype.itemsize


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
        return literal is not None and bool(_literal_value(literal) == number)

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
            (result,) = evaluate_equation(equation, [_literal_value(number) for number in numbers])
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


# Binary primitives that broadcast a scalar operand by themselves.
_TAKES_SCALARS = {
    *("add", "sub", "mul", "div", "rem", "pow", "max", "min", "atan2"),
    *("eq", "ne", "lt", "le", "gt", "ge"),
}


def _literal_value(literal: Any) -> Any:
    return np.asarray(literal.val, literal.aval.dtype)[()]


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
    value = _literal_value(literal)
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
    turned, result = jex.Var(aval), jex.Var(_strong(equation.outvars[0].aval))
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
    positive = [number is not None and _literal_value(number) > 0 for number in numbers]
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
    return cases[min(max(int(_literal_value(number)), 0), len(cases) - 1)]


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


def common_subexpressions(closed: Any) -> Any:
    """Compute once what is computed twice: same primitive, same parameters, same operands."""
    rewriting = Rewriting(closed)
    environment = rewriting.opening(closed)
    seen: dict[Any, list[Any]] = {}
    for equation in closed.jaxpr.eqns:
        invars = [read(environment, atom) for atom in equation.invars]
        key = _fingerprint(equation, invars)
        before = seen.get(key) if key is not None else None
        if before is not None:
            environment.update(zip(equation.outvars, before, strict=True))
            continue
        if key is not None:
            seen[key] = equation.outvars
        rewriting.equations.append(equation.replace(invars=invars))
    return rewriting.finished([read(environment, atom) for atom in closed.jaxpr.outvars])


def _fingerprint(equation: Any, invars: Sequence[Any]) -> Any | None:
    """Equal for equations that compute the same; None when that cannot be told.

    Optimisation barriers and rematerialised calls are there to keep two computations apart.
    """
    name = equation.primitive.name
    if equation.effects or name in _REMATERIALISED or name == "optimization_barrier":
        return None
    operands = []
    for atom in invars:
        if isinstance(atom, jex.Literal):
            value = _literal_value(atom)
            # Bytes tell -0.0 from 0.0 and make NaN equal to itself.
            operands.append((value.dtype, value.tobytes()))
        else:
            operands.append(atom)
    kinds = tuple(var.aval.dtype for var in equation.outvars)
    key = (name, tuple(operands), tuple(equation.params.items()), kinds)
    try:
        hash(key)
    except TypeError:
        return None
    return key


def with_outputs(closed: Any, wanted: Sequence[Any]) -> Any:
    """The same equations with other outputs: any of the variables inside; what nobody needs then is kept."""
    jaxpr = closed.jaxpr
    # The names of the old outputs would no longer fit their number.
    names = jaxpr.debug_info._replace(result_paths=("",) * len(wanted))
    return closed.replace(jaxpr=jaxpr.replace(outvars=list(wanted), debug_info=names))


def eliminate_dead(closed: Any) -> Any:
    """Drop equations, and constants, that no output depends on; equations with effects stay."""
    jaxpr = closed.jaxpr
    needed = {atom for atom in jaxpr.outvars if isinstance(atom, jex.Var)}
    kept = []
    for equation in reversed(jaxpr.eqns):
        if equation.effects or not needed.isdisjoint(equation.outvars):
            kept.append(equation)
            needed.update(atom for atom in equation.invars if isinstance(atom, jex.Var))
    pairs = [(v, c) for v, c in zip(jaxpr.constvars, closed.consts, strict=True) if v in needed]
    if len(kept) == len(jaxpr.eqns) and len(pairs) == len(jaxpr.constvars):
        return closed
    smaller = jaxpr.replace(eqns=kept[::-1], constvars=[v for v, _ in pairs])
    return jex.ClosedJaxpr(smaller, [c for _, c in pairs])


def uses_inputs(closed: Any) -> bool:
    """Whether anything that is computed depends on the inputs, or does more than compute.

    >>> import jax, numpy as np
    >>> x = jax.ShapeDtypeStruct((2,), np.float32)
    >>> [uses_inputs(eliminate_dead(jax.make_jaxpr(f)(x))) for f in (lambda x: 2 * x, lambda x: 0 * x.size + 1)]
    [True, False]
    """
    jaxpr = closed.jaxpr
    atoms = [*jaxpr.outvars, *(atom for equation in jaxpr.eqns for atom in equation.invars)]
    read = {atom for atom in atoms if isinstance(atom, jex.Var)}
    return bool(jaxpr.effects) or not read.isdisjoint(jaxpr.invars)


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
        if aval.shape == ():
            return jex.Literal(np.asarray(value, aval.dtype)[()], _strong(aval))
        content, holder = _content(value)
        if content not in self._by_content:
            var = jex.Var(_strong(aval))
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
            return _literal_value(atom)
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


def _strong(aval: Any) -> Any:
    """The type without JAX's weak promotion, so that a rewritten equation has one dtype only."""
    return jax.core.ShapedArray(aval.shape, aval.dtype) if aval.weak_type else aval


def read(environment: dict[Any, Any], atom: Any) -> Any:
    """What stands for an atom now; itself where nothing does."""
    return atom if isinstance(atom, jex.Literal) else environment.get(atom, atom)
