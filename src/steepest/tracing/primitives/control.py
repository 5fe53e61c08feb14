"""Loops, branches and calls: primitives that hold jaxprs of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.extend.core as jex
import numpy as np

from .rows import Code, Context, Row, call, text


def _closed(jaxpr: Any) -> Any:
    return jaxpr if isinstance(jaxpr, jex.ClosedJaxpr) else jex.ClosedJaxpr(jaxpr, ())


def called_jaxpr(equation: Any) -> Any | None:
    """The closed jaxpr a call equation stands for (not loops or branches), or None."""
    name, params = equation.primitive.name, equation.params
    if name == "custom_linear_solve":
        return _closed(params["jaxprs"].solve)
    key = CALLS.get(name)
    return None if key is None else _closed(params[key])


def call_operands(equation: Any, operands: list[Any]) -> list[Any]:
    """The operands `called_jaxpr` takes."""
    if equation.primitive.name == "custom_linear_solve":
        lengths = equation.params["const_lengths"]
        before = lengths.matvec + lengths.vecmat
        after = before + lengths.solve
        return operands[before:after] + operands[after + lengths.transpose_solve :]
    return operands


# Primitive to the parameter that holds the jaxpr it calls.
CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "remat2": "jaxpr",
    "checkpoint": "jaxpr",
}


def _spread(code: Code, outputs: int) -> Code:
    """Functions of jaxprs always give tuples; one output is taken out of it."""
    return code if outputs != 1 else Code(f"{code.text}[0]", code.bound, code.fresh)


def _call(equation: Any, context: Context) -> Code:
    function = context.function(called_jaxpr(equation))
    operands = call_operands(equation, [f"{{{i}}}" for i in range(len(equation.invars))])
    code = text(f"{{function}}({', '.join(operands)})", fresh=False, function=function)
    return _spread(code, len(equation.outvars))


def _cond(equation: Any, context: Context) -> Code:
    branches = tuple(context.function(branch) for branch in equation.params["branches"])
    last = len(branches) - 1

    def choose(index: Any, *operands: Any) -> tuple[Any, ...]:
        return branches[min(max(int(index), 0), last)](*operands)

    return _spread(call(choose, len(equation.invars), fresh=False), len(equation.outvars))


def _while(equation: Any, context: Context) -> Code:
    params = equation.params
    condition, body = context.function(params["cond_jaxpr"]), context.function(params["body_jaxpr"])
    n_condition, n_body = params["cond_nconsts"], params["body_nconsts"]
    batched = params["cond_jaxpr"].out_avals[0].shape != ()

    def loop(*operands: Any) -> tuple[Any, ...]:
        condition_constants = operands[:n_condition]
        body_constants = operands[n_condition : n_condition + n_body]
        carry = operands[n_condition + n_body :]
        if batched:
            # Many loops side by side: each entry goes on until its own condition fails.
            while np.any(going := np.asarray(condition(*condition_constants, *carry)[0])):
                carry = tuple(
                    np.where(going.reshape(going.shape + (1,) * (np.ndim(new) - going.ndim)), new, old)
                    for new, old in zip(body(*body_constants, *carry), carry, strict=True)
                )
            return carry
        while condition(*condition_constants, *carry)[0]:
            carry = body(*body_constants, *carry)
        return carry

    return _spread(call(loop, len(equation.invars), fresh=False), len(equation.outvars))


def _scan(equation: Any, context: Context) -> Code:
    params = equation.params
    body: Callable[..., tuple[Any, ...]] = context.function(params["jaxpr"])
    n_constants, n_carry = params["num_consts"], params["num_carry"]
    length = params["length"]
    order = range(length - 1, -1, -1) if params["reverse"] else range(length)
    stacked = [(var.aval.shape, var.aval.dtype) for var in equation.outvars[n_carry:]]

    def scan(*operands: Any) -> tuple[Any, ...]:
        constants, carry = operands[:n_constants], operands[n_constants : n_constants + n_carry]
        rows = operands[n_constants + n_carry :]
        outputs = [np.empty(shape, dtype) for shape, dtype in stacked]
        for i in order:
            results = body(*constants, *carry, *[row[i] for row in rows])
            carry = results[:n_carry]
            for output, result in zip(outputs, results[n_carry:], strict=True):
                output[i] = result
        return (*carry, *outputs)

    return _spread(call(scan, len(equation.invars), fresh=False), len(equation.outvars))


CONTROL: dict[str, Row] = {
    "cond": _cond,
    "while": _while,
    "scan": _scan,
    "custom_linear_solve": _call,
    **dict.fromkeys(CALLS, _call),
}
