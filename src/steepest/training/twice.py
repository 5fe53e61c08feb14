"""A softmax of what a softmax gave already: a cross entropy that has one of its own, after a layer that has one too.

The scores then lie between 0 and 1, and the best of c classes gets no more than e/(e + c - 1): such a cost stays high,
and its slopes small, however right the model is.
"""

from __future__ import annotations

from math import e, log
from typing import Any

import jax.extend.core as jex

from ..tracing.batched import BatchCost
from ..tracing.passes import inline
from ..tracing.source import in_the_cost

# Operations that lay the same numbers over more rows or give them another type.
COPYING = {"broadcast_in_dim", "reshape", "convert_element_type", "stop_gradient", "copy", "squeeze"}


def remark(cost: BatchCost) -> str:
    """What is to be said of a softmax that is taken twice; "" where none is."""
    jaxpr = inline(cost.closed).jaxpr
    makers = {v: equation for equation in jaxpr.eqns for v in equation.outvars}
    shares: dict[
        Any, tuple[int, ...]
    ] = {}  # what a softmax gave, also less its highest; and along which axes
    powers: dict[Any, tuple[int, ...]] = {}  # the exponentials of that
    for equation in jaxpr.eqns:
        read = [atom for atom in equation.invars if isinstance(atom, jex.Var)]
        name, out = equation.primitive.name, equation.outvars[0]
        if name == "div" and len(read) == 2:
            above, below = (_behind(v, makers) for v in read)
            of = makers.get(below)
            if of is not None and of.primitive.name == "reduce_sum" and of.invars[0] is above:
                if above in makers and makers[above].primitive.name == "exp":
                    shares[out] = of.params["axes"]
        elif (
            read
            and read[0] in shares
            and out.aval.shape == read[0].aval.shape
            and (name in COPYING or (name == "sub" and _is_highest(read, makers)))
        ):
            shares[out] = shares[read[0]]
        elif name == "exp" and read[0] in shares:
            powers[out] = shares[read[0]]
        elif name == "reduce_sum" and read[0] in powers and equation.params["axes"] == powers[read[0]]:
            shape = read[0].aval.shape
            count = 1
            for axis in equation.params["axes"]:
                count *= shape[axis]
            return (
                f"{in_the_cost(equation)}: a softmax is taken of what a softmax gave already, so that a "
                f"cross entropy of {count} classes stays above {log(1 + (count - 1) / e):.2g}; "
                "give it the scores before the first one"
            )
    return ""


def _behind(variable: Any, makers: dict[Any, Any]) -> Any:
    """The variable that this one is a copy of, whatever its shape."""
    while variable in makers and makers[variable].primitive.name in COPYING:
        variable = makers[variable].invars[0]
    return variable


def _is_highest(read: list[Any], makers: dict[Any, Any]) -> bool:
    """Whether the second of two operands is the highest of the first, laid over it."""
    if len(read) != 2:
        return False
    variable = _behind(read[1], makers)
    while variable in makers and makers[variable].primitive.name == "max":  # with -inf, as JAX does
        variable = _behind(next(v for v in makers[variable].invars if isinstance(v, jex.Var)), makers)
    maker = makers.get(variable)
    return maker is not None and maker.primitive.name == "reduce_max" and maker.invars[0] is read[0]
