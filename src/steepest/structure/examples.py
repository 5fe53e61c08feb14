"""Is the cost a sum over data? Then it gives back the cost of each example, read off the trace.

An axis of an array runs over *examples* when its elements are the same function of the parameters and differ by
constants only: it came in with the data, by a product with a matrix of constants, or by spreading over an array of
them.
The cost is a sum over examples when it is a weighted sum (`sums`) of elements of arrays with such an axis, plus
what has none, such as a penalty on the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .dead import ELEMENTWISE, FLAT
from .reading import Reading
from .sums import Leaf, sum_of
from .writing import Writer

# Fewer examples than this are no data set.
FEWEST_EXAMPLES = 4


@dataclass(frozen=True)
class Examples:
    """The cost is Σ over `count` examples of their costs, plus a remainder.

    `costs`: closed jaxpr x (n,) -> the cost of each example, (count,), weights included. `remainder`: closed jaxpr
    x (n,) -> what the data has no part in, (). `equations`: where the sums end in the trace.
    """

    count: int
    costs: Any
    remainder: Any
    reading: Reading = field(repr=False)
    equations: tuple[Any, ...] = field(repr=False)

    @property
    def places(self) -> tuple[str, ...]:
        """The user's lines of the sums, each once."""
        return self.reading.places(self.equations)


def examples_of(reading: Reading) -> Examples | None:
    """The examples a cost is a sum over; None where no axis is seen to run over data.

    >>> import jax, numpy as np
    >>> data = np.arange(12.0).reshape(6, 2)
    >>> x = jax.ShapeDtypeStruct((2,), np.float64)
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: jax.numpy.cosh(data @ x).mean() + x @ x)(x)
    >>> found = examples_of(Reading(jaxpr))
    >>> found.count, str(found.costs.out_avals[0])
    (6, 'float64[6]')
    """
    if not reading.depends(reading.out):
        return None
    total = sum_of(reading)
    if total is None:
        return None
    axes = data_axes(reading)
    lengths: dict[int, int] = {}
    for leaf in total.leaves:
        for length in {leaf.factors[0].aval.shape[axis] for axis in _axes_of(leaf, axes)}:
            lengths[length] = lengths.get(length, 0) + leaf.factors[0].aval.size
    lengths = {length: size for length, size in lengths.items() if length >= FEWEST_EXAMPLES}
    if not lengths:
        return None
    count = max(lengths, key=lambda length: (lengths[length], length))
    writer = Writer(reading)
    rows, rest, equations = [], [], []
    for leaf in total.leaves:
        if not leaf.weight.any():
            continue
        shape = leaf.factors[0].aval.shape
        axis = next((axis for axis in _axes_of(leaf, axes) if shape[axis] == count), None)
        terms = leaf.factors[0]
        for factor in leaf.factors[1:]:
            terms = writer.product(terms, factor)
        terms = writer.times(terms, leaf.weight)
        if axis is None:
            rest.append(writer.applied(lambda t: t.sum(), [terms]))
            continue
        others = tuple(k for k in range(len(shape)) if k != axis)
        rows.append(writer.applied(lambda t, others=others: t.sum(others), [terms]) if others else terms)
        equations.append(leaf.equation)
    rest.append(writer.constant(total.constant))
    costs, remainder = _added(writer, rows), _added(writer, rest)
    return Examples(count, writer.finished([costs]), writer.finished([remainder]), reading, tuple(equations))


def _added(writer: Writer, parts: list[Any]) -> Any:
    total = parts[0]
    for part in parts[1:]:
        total = writer.emit("add", [total, part], total.aval.shape)
    return total


def _axes_of(leaf: Leaf, axes: dict[Any, frozenset[int]]) -> list[int]:
    """Axes of a leaf that run over data in all its factors."""
    common = frozenset.intersection(*(axes.get(factor, frozenset()) for factor in leaf.factors))
    return sorted(common)


def data_axes(reading: Reading) -> dict[Any, frozenset[int]]:
    """For each variable that depends on the parameters, the axes that run over data."""
    found: dict[Any, frozenset[int]] = {reading.x: frozenset()}
    for equation in reading.equations:
        for var in equation.outvars:
            if var in reading.varies:
                found[var] = (
                    _data_axes(reading, equation, found) if len(equation.outvars) == 1 else frozenset()
                )
    return found


def _data_axes(reading: Reading, equation: Any, found: dict[Any, frozenset[int]]) -> frozenset[int]:
    name, out = equation.primitive.name, equation.outvars[0].aval.shape
    operands = [atom for atom in equation.invars if reading.depends(atom)]
    first = operands[0]
    if name in _ELEMENTWISE:
        return frozenset(
            axis
            for axis in range(len(out))
            if all(_same_along(atom, axis, out, found[atom]) for atom in operands)
        )
    if name == "broadcast_in_dim":
        kept = equation.params["broadcast_dimensions"]
        return frozenset(
            axis
            for axis in range(len(out))
            if axis not in kept
            or first.aval.shape[kept.index(axis)] != out[axis]
            or kept.index(axis) in found[first]
        )
    if name == "dot_general":
        return _through_product(reading, equation, found)
    if name.startswith(("reduce_sum", "reduce_max", "reduce_min", "reduce_prod")):
        kept = [axis for axis in range(len(first.aval.shape)) if axis not in equation.params["axes"]]
        return frozenset(place for place, axis in enumerate(kept) if axis in found[first])
    if name == "transpose":
        return frozenset(
            place for place, axis in enumerate(equation.params["permutation"]) if axis in found[first]
        )
    if name in ("reshape", "squeeze", "expand_dims"):
        return _through_reshape(first.aval.shape, out, found[first])
    if name == "slice":
        return found[first]
    return frozenset()


_ELEMENTWISE = ELEMENTWISE | FLAT | {
    "select_n", "clamp", "add_any", "convert_element_type", "copy", "reduce_precision", "exp2", "rem", "and", "or",
    "not",
}  # fmt: skip


def _same_along(atom: Any, axis: int, out: tuple[int, ...], known: frozenset[int]) -> bool:
    shape = atom.aval.shape
    return not shape or shape[axis] != out[axis] or axis in known


def _through_product(reading: Reading, equation: Any, found: dict[Any, frozenset[int]]) -> frozenset[int]:
    """Free and batched axes of a contraction: those of constants are data, those of others what they were."""
    contracted, batched = equation.params["dimension_numbers"]
    places: list[bool] = []
    a, b = equation.invars

    def is_data(atom: Any, axis: int) -> bool:
        return not reading.depends(atom) or axis in found[atom]

    places += [is_data(a, i) and is_data(b, j) for i, j in zip(*batched, strict=True)]
    for atom, over, batch in ((a, contracted[0], batched[0]), (b, contracted[1], batched[1])):
        places += [
            is_data(atom, axis)
            for axis in range(len(atom.aval.shape))
            if axis not in over and axis not in batch
        ]
    return frozenset(place for place, data in enumerate(places) if data)


def _through_reshape(
    before: tuple[int, ...], after: tuple[int, ...], known: frozenset[int]
) -> frozenset[int]:
    """Axes of length above one keep their meaning when only ones come and go."""
    old = [axis for axis, length in enumerate(before) if length != 1]
    new = [axis for axis, length in enumerate(after) if length != 1]
    if [before[axis] for axis in old] != [after[axis] for axis in new]:
        return frozenset()
    return frozenset(place for axis, place in zip(old, new, strict=True) if axis in known)
