"""Rows that meet every other row of their batch: a column of predictions beside a flat array of targets.

Shapes (b, 1) and (b,) make (b, b) where NumPy lays one over the other, without a word: the mean over it falls, to a
model that predicts the same for every row. So do the indices of `scores[np.arange(b), labels]` where the labels are a
column. A cost that compares all pairs on purpose looks the same, except that both of its sides are then made of
parameters, or neither is.
"""

from __future__ import annotations

from typing import Any

import jax.extend.core as jex

from ..tracing.batched import BatchCost
from ..tracing.passes import inline
from ..tracing.source import in_the_cost

# Operations in which a prediction meets its target.
MEETING = {"sub", "mul", "add", "div", "max", "min", "pow"}


def remark(cost: BatchCost, rows: int) -> str:
    """What is to be said of a cost recorded for so many rows in which predictions meet the targets of other rows."""
    found = None if rows < 2 else _meeting(cost, rows)
    if found is None:
        return ""
    example = "labels[:, 0]" if found.primitive.name == "gather" else "prediction[:, 0]"
    return (
        f"{in_the_cost(found)}: what is predicted for each row meets what was given for "
        f"every other, as shapes ({rows}, 1) and ({rows},) make ({rows}, {rows}); give both one shape, such as "
        f"{example}, unless all pairs are meant"
    )


def _meeting(cost: BatchCost, rows: int) -> Any:
    """The first equation of an array of rows × rows, one side of which is made of parameters and rows, one of rows."""
    jaxpr = inline(cost.closed, keep_derivatives=True).jaxpr
    # Of what each variable is made, parameters and rows; and of one laid over others, the axis along which it varies.
    made = {v: (k < cost.parameters, k >= cost.parameters) for k, v in enumerate(jaxpr.invars)}
    axis: dict[Any, int] = {}
    places: set[Any] = set()  # pairs of indices, of which rows give the second, all of them for every row
    for equation in jaxpr.eqns:
        read = [atom for atom in equation.invars if isinstance(atom, jex.Var)]
        of_parameters, of_rows = (any(made.get(v, (False, False))[part] for v in read) for part in (0, 1))
        for variable in equation.outvars:
            made[variable] = of_parameters, of_rows
        out, name = equation.outvars[0], equation.primitive.name
        if name in ("reshape", "broadcast_in_dim") and read and out.aval.shape == (rows, rows, 1):
            if read[0] in axis:
                axis[out] = axis[read[0]]
        elif name == "concatenate" and out.aval.shape == (rows, rows, 2):
            if axis.get(read[-1]) == 0 and [made.get(v, (False, False))[1] for v in read] == [False, True]:
                places.add(out)
        elif name == "gather" and out.aval.shape == (rows, rows):
            if read[-1] in places and made.get(read[0]) == (True, True):
                return equation
        if out.aval.shape != (rows, rows):
            continue
        if name == "broadcast_in_dim" and read:
            shape = read[0].aval.shape
            along = [
                d
                for d, size in zip(equation.params["broadcast_dimensions"], shape, strict=True)
                if size == rows
            ]
            if len(along) == 1 and shape.count(1) == len(shape) - 1:
                axis[out] = along[0]
        elif name in MEETING and len(read) == 2:
            sides = [(axis.get(v, _along(v, rows)), made.get(v)) for v in read]
            if {side[0] for side in sides} == {0, 1} and {side[1] for side in sides} == {
                (True, True),
                (False, True),
            }:
                return equation
    return None


def _along(variable: Any, rows: int) -> int | None:
    """The axis along which a column or a row varies that an operation of JAX lays over the other side itself."""
    return {(rows, 1): 0, (1, rows): 1}.get(variable.aval.shape)
