"""Short whole numbers of the data that run over: 200 + 100 is 44 in eight bits, in NumPy as here, without a word."""

from __future__ import annotations

from typing import Any

import jax.extend.core as jex
import numpy as np

from ..tracing.source import in_the_cost
from .of_rows import OfRows

# Longer numbers are made to run over on purpose, where something is hashed or drawn at random.
MOST_BYTES = 2
EXACT: dict[str, Any] = {"add": np.add, "sub": np.subtract, "mul": np.multiply}


def remark(known: OfRows) -> str:
    """What is to be said of whole numbers of 8 or 16 bits that run over before they meet a parameter; "" of none."""
    for equation in known.jaxpr.eqns:
        name = equation.primitive.name
        if name not in (*EXACT, "integer_pow", "neg") or equation.outvars[0] not in known.made_of:
            continue
        out = equation.outvars[0]
        kind = np.dtype(out.aval.dtype)
        if kind.kind not in "iu" or kind.itemsize > MOST_BYTES:
            continue
        read = [atom for atom in equation.invars if isinstance(atom, jex.Var)]
        if any(v not in known.made_of for v in read):
            continue
        over = seen = 0
        for _, values in known.values(list(dict.fromkeys(read))):
            of = dict(zip(dict.fromkeys(read), (value.astype(np.int64) for value in values), strict=True))
            operands = [
                of[atom] if isinstance(atom, jex.Var) else np.int64(atom.val) for atom in equation.invars
            ]
            if name in EXACT:
                exact = EXACT[name](*operands)
            else:
                exact = -operands[0] if name == "neg" else operands[0] ** equation.params["y"]
            over += int(((exact < np.iinfo(kind).min) | (exact > np.iinfo(kind).max)).sum())
            seen += exact.size
        if over:
            return (
                f"{in_the_cost(equation)}: {known.names(out)} is reckoned with in {kind}, which ends at "
                f"{np.iinfo(kind).max:,}, and {100 * over / seen:.2g} % of its results run over into other numbers; "
                "turn it into floats first, such as x.astype(float)"
            )
    return ""
