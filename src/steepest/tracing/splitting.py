"""Slices that cut an array into its parts become one split, whose slope is one joining.

The slope of each slice by itself is an array of the full size, mostly zeros, and these are then added up: of three
parts each number would be written three times and read five times more than it need be.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax.extend.core as jex
from jax import lax


def splits_for_slices(closed: Any) -> Any:
    """The same program, each set of slices that cut a whole array along one axis replaced by a split.

    >>> import jax, numpy as np
    >>> closed = splits_for_slices(jax.make_jaxpr(lambda x: x[:, :2] * x[:, 2:])(np.ones((3, 4))))
    >>> [equation.primitive.name for equation in closed.jaxpr.eqns]
    ['split', 'mul']
    """
    jaxpr = closed.jaxpr
    parts: dict[tuple[Any, int], list[Any]] = {}
    for equation in jaxpr.eqns:
        axis = _cut_axis(equation)
        if axis is not None:
            parts.setdefault((equation.invars[0], axis), []).append(equation)
    instead: dict[int, Any] = {}
    for (array, axis), slices in parts.items():
        split = _split(array, axis, slices)
        if split is not None:
            instead.update((id(equation), None) for equation in slices)
            instead[id(slices[0])] = split
    if not instead:
        return closed
    equations = [instead.get(id(equation), equation) for equation in jaxpr.eqns]
    return closed.replace(
        jaxpr=jaxpr.replace(eqns=[equation for equation in equations if equation is not None])
    )


def _cut_axis(equation: Any) -> int | None:
    """The one axis along which a slice without strides takes less than there is."""
    if equation.primitive.name != "slice" or not isinstance(equation.invars[0], jex.Var):
        return None
    given = equation.params
    if given["strides"] is not None and any(stride != 1 for stride in given["strides"]):
        return None
    shape, taken = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    axes = [axis for axis, (whole, part) in enumerate(zip(shape, taken, strict=True)) if whole != part]
    return axes[0] if len(axes) == 1 else None


def _split(array: Any, axis: int, slices: list[Any]) -> Any:
    """The split that gives what the slices give; None where they leave something out or overlap."""
    ordered = sorted(slices, key=lambda equation: equation.params["start_indices"][axis])
    starts = [equation.params["start_indices"][axis] for equation in ordered]
    ends = [equation.params["limit_indices"][axis] for equation in ordered]
    if starts[0] != 0 or ends[-1] != array.aval.shape[axis]:
        return None
    if any(one != other for one, other in zip(ends[:-1], starts[1:], strict=True)):
        return None
    sizes = tuple(int(end - start) for start, end in pairwise([0, *ends]))
    outputs = [equation.outvars[0] for equation in ordered]
    made = jex.new_jaxpr_eqn([array], outputs, lax.split_p, {"sizes": sizes, "axis": axis}, jex.no_effects)
    return made.replace(source_info=slices[0].source_info)
