"""Does a cost end at a point, or does double precision? Told by the first of its operations that has no value there."""

from __future__ import annotations

from typing import Any

import jax.extend.core as jex
import numpy as np

from ..tracing.primitives import NoRule, evaluate_equation
from .reading import Reading

Vector = np.ndarray

# Operations that make an infinity from numbers only because it is too large to be held.
GROWING = frozenset(
    {
        "exp", "exp2", "expm1", "sinh", "cosh", "mul", "add", "add_any", "sub", "square", "reduce_sum", "reduce_prod",
        "dot_general", "cumsum", "cumprod", "lgamma",
    }
)  # fmt: skip

# Those that make zero from numbers that are not only because it is too small to be held.
SHRINKING = frozenset({"exp", "exp2", "logistic", "mul", "div", "square", "integer_pow", "pow"})


def gives_out(reading: Reading, x: Vector) -> bool:
    """Whether the cost has no value at `x` (n,) only because its numbers grow too large, or too small, to be held.

    An operation that has no value there by itself, such as the square root of a negative number, ends the cost.
    """
    jaxpr = reading.closed.jaxpr
    values = dict(zip(jaxpr.constvars, map(np.asarray, reading.closed.consts), strict=True))
    values[reading.x] = np.reshape(x, reading.x.aval.shape)
    too_large = broken = False
    # Results that hold a zero made of numbers too small to be held, and all that was made from those.
    shrunk: set[Any] = set()
    for equation in reading.equations:
        operands = [
            np.asarray(atom.val, atom.aval.dtype) if isinstance(atom, jex.Literal) else values.get(atom)
            for atom in equation.invars
        ]
        if any(operand is None for operand in operands):
            return False
        try:
            results = evaluate_equation(equation, operands)
        except (NoRule, ValueError, TypeError, IndexError, ArithmeticError):
            return False
        values.update(zip(equation.outvars, results, strict=True))
        if any(atom in shrunk for atom in equation.invars if isinstance(atom, jex.Var)):
            shrunk.update(equation.outvars)
        if not all(_finite(operand) for operand in operands):
            continue
        if not all(_finite(result) for result in results):
            if _has_grown(equation, operands, results):
                too_large = True
            elif shrunk.issuperset(equation.outvars) and _at_zero(equation, operands, results):
                broken = True
            else:
                return False
        elif equation.primitive.name in SHRINKING and _has_shrunk(operands, results):
            shrunk.update(equation.outvars)
    return too_large or broken


def _finite(value: Any) -> bool:
    value = np.asarray(value)
    return value.dtype.kind not in "fc" or bool(np.isfinite(value).all())


def _has_grown(equation: Any, operands: list[Any], results: list[Any]) -> bool:
    """Whether results that are not finite, made from numbers that are, were only too large to be held."""
    if any(np.isnan(np.asarray(result)).any() for result in results):
        return False
    name = equation.primitive.name
    if name in GROWING:
        return True
    infinite = np.isinf(np.asarray(results[0]))
    if name == "div":
        return not (infinite & (np.asarray(operands[1]) == 0.0)).any()
    if name in ("pow", "integer_pow"):
        return not (infinite & (np.asarray(operands[0]) == 0.0)).any()
    return False


def _at_zero(equation: Any, operands: list[Any], results: list[Any]) -> bool:
    """Whether an operation has no value only where it meets zero."""
    if equation.primitive.name not in ("div", "log", "rsqrt", "pow", "integer_pow"):
        return False
    met = np.asarray(operands[1 if equation.primitive.name == "div" else 0]) == 0.0
    return bool((met | np.isfinite(np.asarray(results[0]))).all())


def _has_shrunk(operands: list[Any], results: list[Any]) -> bool:
    """Whether an elementwise operation made zero of numbers that are not."""
    zero = np.asarray(results[0]) == 0.0
    whole = all(np.asarray(operand).dtype.kind == "f" for operand in operands)
    for operand in operands[:2]:
        zero = zero & (np.asarray(operand) != 0.0)
    return whole and bool(zero.any())
