"""What each jaxpr primitive computes, in NumPy: one row of a table for each primitive.

A row turns one equation into a short piece of Python (`Code`) over its operands. The interpreter of
`steepest.derivatives.interpreted` joins the pieces into one function; `evaluate_equation` runs a single piece,
which is how constants are folded. One more primitive is one more row in the module of its kind.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any

import jax.extend.core as jex
import numpy as np

from .control import CONTROL
from .elementwise import ELEMENTWISE, Elementwise
from .indexing import INDEXING
from .initial_value import NAME as INITIAL_VALUE
from .initial_value import written as written_solution
from .integral import written as written_integral
from .linear_algebra import LINEAR_ALGEBRA
from .root import written as written_root
from .rows import Code, Context, NoRule, Row
from .scipy_special import written as written_special
from .shapes import SHAPES

__all__ = [
    "ELEMENTWISE",
    "INITIAL_VALUE",
    "ROWS",
    "Code",
    "Context",
    "Elementwise",
    "NoRule",
    "Row",
    "code_of",
    "evaluate",
    "evaluate_equation",
    "has_rule",
    "prepared",
]

# Primitive name to the row that writes its equation; elementwise ones stand in ELEMENTWISE.
ROWS: dict[str, Row] = {
    **SHAPES,
    **INDEXING,
    **LINEAR_ALGEBRA,
    **CONTROL,
    "scipy_special": written_special,
    "integral": written_integral,
    "root": written_root,
    INITIAL_VALUE: written_solution,
}


def has_rule(primitive: str) -> bool:
    """Whether NumPy can evaluate this primitive (some of its parameters may still be refused)."""
    return primitive in ELEMENTWISE or primitive in ROWS


def code_of(equation: Any, context: Context) -> Code:
    """The Python piece for one equation; raises `NoRule` where the table has no answer."""
    name = equation.primitive.name
    elementwise = ELEMENTWISE.get(name)
    if elementwise is not None:
        return elementwise.code(equation, equation.outvars[0].aval.shape == ())
    row = ROWS.get(name)
    if row is None:
        raise NoRule(name)
    return row(equation, context)


def evaluate_equation(equation: Any, values: Sequence[Any]) -> list[Any]:
    """Outputs of one equation on NumPy values, with the dtypes and shapes its outputs declare.

    Raises `NoRule` when the primitive is not in the table.
    """
    context = Context(
        constants=dict(enumerate(values)),
        nested=lambda closed: functools.partial(evaluate, closed),
        alone=prepared,
    )
    code = code_of(equation, context)
    operands = [f"operand{i}" for i in range(len(values))]
    scope = dict(code.bound, **dict(zip(operands, values, strict=True)))
    with np.errstate(all="ignore"):
        result = eval(_compiled(code.written(operands)), scope)
    results = result if len(equation.outvars) != 1 else (result,)
    return [shaped(value, var.aval) for value, var in zip(results, equation.outvars, strict=True)]


def evaluate(closed: Any, *arrays: Any) -> tuple[Any, ...]:
    """Outputs of a closed jaxpr on NumPy values, one equation at a time (slow; for constants)."""
    values: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, map(np.asarray, closed.consts), strict=True))
    values.update(zip(closed.jaxpr.invars, arrays, strict=True))

    def read(atom: Any) -> Any:
        if isinstance(atom, jex.Literal):
            return np.asarray(atom.val, atom.aval.dtype)[()]
        return values[atom]

    for equation in closed.jaxpr.eqns:
        outputs = evaluate_equation(equation, [read(atom) for atom in equation.invars])
        values.update(zip(equation.outvars, outputs, strict=True))
    return tuple(read(atom) for atom in closed.jaxpr.outvars)


def prepared(closed: Any) -> Callable[..., tuple[Any, ...]]:
    """`evaluate` of one closed jaxpr, for more than one place: the pieces are written here, and only run there.

    Raises `NoRule` here where some primitive is not in the table, or has to know more than the constants.
    """
    constants: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, map(np.asarray, closed.consts), strict=True))

    def known(atom: Any) -> Any:
        return np.asarray(atom.val, atom.aval.dtype)[()] if isinstance(atom, jex.Literal) else constants[atom]

    pieces = []
    for equation in closed.jaxpr.eqns:
        fixed = [isinstance(atom, jex.Literal) or atom in constants for atom in equation.invars]
        given = {i: known(atom) for i, atom in enumerate(equation.invars) if fixed[i]}
        code = code_of(equation, Context(given, lambda inner: functools.partial(evaluate, inner), prepared))
        names = [f"operand{i}" for i in range(len(fixed))]
        scope = {**code.bound, **{names[i]: value for i, value in given.items()}}
        varying = [(names[i], atom) for i, atom in enumerate(equation.invars) if not fixed[i]]
        pieces.append((_compiled(code.written(names)), scope, varying, equation.outvars))

    def run(*arrays: Any) -> tuple[Any, ...]:
        values = {**constants, **dict(zip(closed.jaxpr.invars, arrays, strict=True))}
        with np.errstate(all="ignore"):
            for piece, scope, varying, outputs in pieces:
                result = eval(piece, {**scope, **{name: values[atom] for name, atom in varying}})
                results = result if len(outputs) != 1 else (result,)
                for value, var in zip(results, outputs, strict=True):
                    values[var] = shaped(value, var.aval)
        return tuple(known(a) if isinstance(a, jex.Literal) else values[a] for a in closed.jaxpr.outvars)

    return run


def shaped(value: Any, aval: Any) -> Any:
    """`value` as an array, or a NumPy scalar, of exactly the shape and dtype of `aval`."""
    array = np.asarray(value, dtype=aval.dtype)
    if array.shape != aval.shape:
        array = np.broadcast_to(array, aval.shape)
    return array[()] if array.ndim == 0 else array


@functools.lru_cache(maxsize=1024)
def _compiled(text: str) -> CodeType:
    return compile(text, "<primitive>", "eval")
