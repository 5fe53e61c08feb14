"""Is the cost a polynomial of its parameters, and of which degree? Two means one constant Hessian."""

from __future__ import annotations

from math import inf
from typing import Any

import jax.extend.core as jex

from ..tracing.passes import inline
from .reading import MOVING, Reading

# Operations that give a polynomial of the largest degree among their operands.
KEEPING = MOVING | {
    "add", "sub", "neg", "add_any", "reduce_sum", "cumsum", "concatenate", "pad", "imag", "conj", "complex", "fft",
}  # fmt: skip

# Operations whose degree is the sum of their operands' degrees.
MULTIPLYING = frozenset({"mul", "dot_general", "conv_general_dilated"})

# Operations that pick or move by their later operands, which must not depend on the parameters.
BY_CONSTANTS = frozenset({"gather", "dynamic_slice"})


def degrees(reading: Reading) -> dict[Any, float]:
    """Degree in the parameters of every variable that depends on them; infinite where no polynomial.

    Read off the operations, so that terms that happen to cancel still count.
    """
    degree: dict[Any, float] = {reading.x: 1}

    def of(atom: Any) -> float:
        return degree[atom] if reading.depends(atom) else 0

    for equation in reading.equations:
        if equation.outvars[0] not in reading.varies:
            continue
        operands = [of(atom) for atom in equation.invars]
        degree.update(_results(equation, operands))
    return degree


def _results(equation: Any, operands: list[float]) -> dict[Any, float]:
    """The degree of each result of an equation."""
    if equation.primitive.name == "scan":
        return dict(zip(equation.outvars, _of_loop(equation.params, operands), strict=True))
    return dict.fromkeys(equation.outvars, _degree(equation, operands))


def _of_loop(params: dict[str, Any], operands: list[float]) -> list[float]:
    """Degrees of what a loop ends with and of what its turns give: infinite where they grow from turn to turn."""
    constants, carried = params["num_consts"], params["num_carry"]
    body = inline(params["jaxpr"]).jaxpr
    carry = operands[constants : constants + carried]
    results: list[float] = []
    # A degree that is handed on from one carried number to the next has arrived everywhere after so many turns.
    for _ in range(carried + 1):
        degree: dict[Any, float] = dict.fromkeys(body.constvars, 0)
        given = [*operands[:constants], *carry, *operands[constants + carried :]]
        degree.update(zip(body.invars, given, strict=True))
        for equation in body.eqns:
            mine = [0 if isinstance(atom, jex.Literal) else degree[atom] for atom in equation.invars]
            degree.update(_results(equation, mine) if any(mine) else dict.fromkeys(equation.outvars, 0))
        results = [0 if isinstance(atom, jex.Literal) else degree[atom] for atom in body.outvars]
        joined = [max(pair) for pair in zip(carry, results[:carried], strict=True)]
        if joined == carry:
            return [*carry, *results[carried:]]
        carry = joined
    return [inf] * len(results)


def _degree(equation: Any, operands: list[float]) -> float:
    name = equation.primitive.name
    if name in KEEPING:
        rounded = name == "convert_element_type" and equation.outvars[0].aval.dtype.kind not in "fc"
        return inf if rounded else max(operands)
    if name in MULTIPLYING:
        return sum(operands)
    if name == "square":
        return 2 * operands[0]
    if name == "integer_pow":
        power = equation.params["y"]
        return power * operands[0] if power >= 0 else inf
    if name == "div":
        return operands[0] if operands[1] == 0 else inf
    if name in BY_CONSTANTS:
        return operands[0] if not any(operands[1:]) else inf
    if name == "dynamic_update_slice" or name in ("scatter", "scatter-add"):
        index = slice(2, None) if name == "dynamic_update_slice" else slice(1, 2)
        return max(operands) if not any(operands[index]) else inf
    if name == "select_n":
        return max(operands[1:]) if operands[0] == 0 else inf
    if name == "reduce_prod":
        return operands[0] if equation.invars[0].aval.size == equation.outvars[0].aval.size else inf
    return inf
