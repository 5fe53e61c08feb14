"""Class numbers that a cost sets as they are against one output for each class.

`softmax(scores) - labels[:, None]` has the right shape, without a word: all outputs of a row are drawn to the number of
its class. A column of zeros and ones for each class is meant. Counts that several quantiles are drawn to, two answers
to one question, and numbers that a layer is multiplied by look alike: what becomes of the result tells them apart.
"""

from __future__ import annotations

from typing import Any

import jax.extend.core as jex
import numpy as np

from ..tracing.batched import BatchCost
from ..tracing.passes import inline
from ..tracing.source import in_the_cost
from .batches import Rows, Source
from .sparse_rows import is_sparse

# Rows that are looked at for class numbers.
MOST_ASKED = 10_000
# Operations that give the same numbers in another shape or type.
COPYING = {"convert_element_type", "reshape", "broadcast_in_dim", "squeeze"}
# Operations after which a sum is still one of the products that went into it.
ADDING = COPYING | {"add", "add_any", "sub", "neg", "reduce_sum", "transpose"}


def remark(cost: BatchCost, source: Source, rows: int) -> str:
    """What is to be said where a column of class numbers is set against one output for each class; "" elsewhere."""
    if not isinstance(source, Rows) or rows < 2:
        return ""
    jaxpr = inline(cost.closed, keep_derivatives=True).jaxpr
    # Of which array of the data a variable is nothing but a copy, and which are made of both parameters and rows.
    copies = {v: k for k, v in enumerate(jaxpr.invars[cost.parameters :])}
    made = {v: (k < cost.parameters, k >= cost.parameters) for k, v in enumerate(jaxpr.invars)}
    for equation in jaxpr.eqns:
        read = [atom for atom in equation.invars if isinstance(atom, jex.Var)]
        mixed = tuple(any(made.get(v, (False, False))[part] for v in read) for part in (0, 1))
        made.update(dict.fromkeys(equation.outvars, mixed))
        name, shape = equation.primitive.name, equation.outvars[0].aval.shape
        if name in COPYING and len(read) == 1 and read[0] in copies:
            copies[equation.outvars[0]] = copies[read[0]]
        elif name in ("sub", "mul") and len(read) == 2 and len(shape) == 2 and shape[0] == rows:
            labels = [
                v for v in read if v in copies and source.layout.leaves[copies[v]].shape[1:] in ((), (1,))
            ]
            scores = [v for v in read if made.get(v) == (True, True) and v.aval.shape == shape]
            if labels and scores and shape[1] > 1:
                k = copies[labels[0]]
                meant = _are_squared if name == "sub" else _are_added
                if _numbers_classes(source.arrays[k], shape[1]) and meant(jaxpr, equation, scores[0]):
                    return (
                        f"{in_the_cost(equation)}: {source.layout.leaves[k].name} holds the "
                        f"numbers 0 to {shape[1] - 1} and is set as it is against {shape[1]} outputs for each row; "
                        f"where these are classes, compare with labels[:, None] == np.arange({shape[1]})"
                    )
    return ""


def _numbers_classes(array: Any, count: int) -> bool:
    """Whether an array holds the numbers 0 … count - 1, each of them, and no other."""
    return not is_sparse(array) and np.array_equal(np.unique(array[:MOST_ASKED]), np.arange(count))


def _are_squared(jaxpr: Any, equation: Any, scores: Any) -> bool:
    """Whether distances to the labels are squared and no more; of two outputs also whether they are shares of one."""
    out = equation.outvars[0]
    if out.aval.shape[1] == 2:
        made = [e.primitive.name for e in jaxpr.eqns if scores in e.outvars]
        if made != ["div"]:
            return False
    readers = [e for e in jaxpr.eqns if out in [v for v in e.invars if isinstance(v, jex.Var)]]
    return bool(readers) and all(
        e.primitive.name == "square"
        or (e.primitive.name == "integer_pow" and e.params["y"] == 2)
        or (e.primitive.name == "mul" and e.invars[0] is e.invars[1])
        for e in readers
    )


def _are_added(jaxpr: Any, equation: Any, scores: Any) -> bool:
    """Whether the cost is a sum of the products with the labels, as a likelihood is. Zeros and ones may be a mask."""
    if equation.outvars[0].aval.shape[1] == 2:
        return False
    products = {equation.outvars[0]}
    for e in jaxpr.eqns:
        read = [v for v in e.invars if isinstance(v, jex.Var)]
        if not products.intersection(read):
            continue
        name = e.primitive.name
        by_number = len(read) == 1 and (name == "mul" or (name == "div" and e.invars[0] is read[0]))
        if not (name in ADDING or by_number):
            return False
        products.update(e.outvars)
    return True
