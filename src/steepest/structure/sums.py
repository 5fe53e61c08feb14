"""A cost taken apart into a weighted sum of elements: linear operations read backwards, as reverse mode does.

What a linear operation does to its operands is undone by its transpose, so that one pass from the cost to the
parameters gives, for each array on which the cost depends linearly, the weight that each of its elements has in
the cost. The pass ends at operations that are not linear: the *leaves*. The cost is then, exactly,

    constant + Σ over leaves Σ over elements  weight · element.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .patterns import guarded_root
from .reading import PICKING, Reading, moved

# The weight of every element alike (shape ()), or of each on its own (the shape of the variable).
Weight = np.ndarray

# Operations that leave every element where it is in flat order, or move it without loss or copy.
SHUFFLING = frozenset({"reshape", "squeeze", "expand_dims", "transpose", "rev", "copy", "copy_p"})

# Weights of more elements than this are not worked out one by one: the cost is then left as one leaf.
MOST_WEIGHTS = 20_000_000


@dataclass(frozen=True)
class Leaf:
    """Elements that the cost is a weighted sum of.

    `factors`: one atom, or two of one shape whose elementwise product is meant. `weight`: of shape () or that of
    the factors. `equation`: what made it, for its line in the user's code; None for the parameters themselves.
    """

    factors: tuple[Any, ...]
    weight: Weight
    equation: Any


@dataclass(frozen=True)
class Sum:
    """`constant` + Σ weight · element over all `leaves`, which stand in the order of the trace."""

    leaves: tuple[Leaf, ...]
    constant: float


def sum_of(reading: Reading, result: Any = None) -> Sum | None:
    """The cost, or another variable `result` of one element, as a weighted sum; None where a constant is unknown.

    >>> import jax
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: 3 * (x**2).sum() - x[1] + 7)(jax.ShapeDtypeStruct((2,), np.float64))
    >>> found = sum_of(Reading(jaxpr))
    >>> [leaf.weight.tolist() for leaf in found.leaves], found.constant
    ([[0.0, -1.0], 3.0], 7.0)
    """
    return _Pass(reading).run(reading.out if result is None else result)


class _Pass:
    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.weights: dict[Any, Weight] = {}
        self.leaves: list[Leaf] = []
        self.constant = 0.0
        self.failed = False

    def run(self, result: Any) -> Sum | None:
        self.give(result, np.float64(1.0))
        for equation in reversed(self.reading.equations):
            if self.failed:
                return None
            var = equation.outvars[0]
            weight = self.weights.pop(var, None)
            if weight is None:
                continue
            rule = _RULES.get(equation.primitive.name) if len(equation.outvars) == 1 else None
            if rule is None or not rule(self, equation, weight):
                self.leaves.append(Leaf((var,), weight, equation))
        for equation in () if not self.weights else self.reading.equations:
            # Further results of operations with several.
            for var in equation.outvars:
                if var in self.weights:
                    self.leaves.append(Leaf((var,), self.weights.pop(var), equation))
        if self.reading.x in self.weights:
            self.leaves.append(Leaf((self.reading.x,), self.weights[self.reading.x], None))
        return None if self.failed else Sum(tuple(self.leaves[::-1]), float(self.constant))

    def give(self, atom: Any, weight: Any) -> None:
        """Add to the weight of an atom."""
        if not self.reading.depends(atom):
            value = self.reading.constant(atom)
            if value is None:
                self.failed = True
                return
            value = np.asarray(value, dtype=np.float64)
            weight, value = (np.broadcast_to(numbers, atom.aval.shape) for numbers in (weight, value))
            # What nobody takes may be infinite, as the logarithm of nothing in a branch of `np.where`.
            taken = weight != 0.0
            self.constant += float(np.sum(weight[taken] * value[taken]))
            return
        weight = np.asarray(weight, dtype=np.float64)
        known = self.weights.get(atom)
        self.weights[atom] = weight if known is None else known + weight

    def give_broadcast(self, equation: Any, atom: Any, weight: Any) -> None:
        """Give the weight of an elementwise result to an operand, which may be spread along some axes."""
        out = equation.outvars[0].aval
        inner = atom.aval.shape
        if np.shape(weight) not in ((), out.shape):
            weight = np.broadcast_to(weight, out.shape)
        if inner == out.shape:
            self.give(atom, weight)
        elif not np.shape(weight):
            self.give(atom, weight * (out.size / max(atom.aval.size, 1)))
        else:
            spread = tuple(
                axis for axis in range(len(out.shape)) if not inner or inner[axis] != out.shape[axis]
            )
            self.give(atom, np.sum(np.broadcast_to(weight, out.shape), axis=spread).reshape(inner))


# Each rule hands the weight of a result on to the operands, or says that the operation is not linear.


def _add(go: _Pass, equation: Any, weight: Weight) -> bool:
    for atom in equation.invars:
        go.give_broadcast(equation, atom, weight)
    return True


def _sub(go: _Pass, equation: Any, weight: Weight) -> bool:
    go.give_broadcast(equation, equation.invars[0], weight)
    go.give_broadcast(equation, equation.invars[1], -weight)
    return True


def _neg(go: _Pass, equation: Any, weight: Weight) -> bool:
    go.give(equation.invars[0], -weight)
    return True


def _mul(go: _Pass, equation: Any, weight: Weight) -> bool:
    for constant, other in (equation.invars, equation.invars[::-1]):
        if not go.reading.depends(constant):
            value = go.reading.constant(constant)
            if value is None or np.asarray(value).dtype.kind not in "biuf":
                return False
            go.give_broadcast(equation, other, weight * np.asarray(value, dtype=np.float64))
            return True
    return False


def _div(go: _Pass, equation: Any, weight: Weight) -> bool:
    numerator, divisor = equation.invars
    value = None if go.reading.depends(divisor) else go.reading.constant(divisor)
    if value is None or not np.all(value):
        return False
    go.give_broadcast(equation, numerator, weight / np.asarray(value, dtype=np.float64))
    return True


def _convert(go: _Pass, equation: Any, weight: Weight) -> bool:
    if equation.invars[0].aval.dtype.kind != "f" or equation.outvars[0].aval.dtype.kind != "f":
        return False
    go.give(equation.invars[0], weight)
    return True


def _reduce_sum(go: _Pass, equation: Any, weight: Weight) -> bool:
    operand = equation.invars[0]
    if weight.shape:
        weight = np.broadcast_to(np.expand_dims(weight, tuple(equation.params["axes"])), operand.aval.shape)
    go.give(operand, weight)
    return True


def _shuffle(go: _Pass, equation: Any, weight: Weight) -> bool:
    operand = equation.invars[0]
    if weight.shape:
        name, params = equation.primitive.name, equation.params
        if name == "transpose":
            weight = np.transpose(weight, np.argsort(params["permutation"]))
        elif name == "rev":
            weight = np.flip(weight, params["dimensions"])
        else:
            if params.get("dimensions") is not None and name == "reshape":
                return False
            weight = weight.reshape(operand.aval.shape)
    go.give(operand, weight)
    return True


def _broadcast(go: _Pass, equation: Any, weight: Weight) -> bool:
    operand, out = equation.invars[0], equation.outvars[0].aval
    kept = equation.params["broadcast_dimensions"]
    if not weight.shape:
        go.give(operand, weight * (out.size / max(operand.aval.size, 1)))
        return True
    gone = tuple(
        axis
        for axis in range(len(out.shape))
        if axis not in kept or operand.aval.shape[kept.index(axis)] != out.shape[axis]
    )
    go.give(operand, np.sum(weight, axis=gone).reshape(operand.aval.shape))
    return True


def _concatenate(go: _Pass, equation: Any, weight: Weight) -> bool:
    axis, start = equation.params["dimension"], 0
    for atom in equation.invars:
        stop = start + atom.aval.shape[axis]
        part = weight if not weight.shape else weight[(slice(None),) * axis + (slice(start, stop),)]
        go.give(atom, part)
        start = stop
    return True


def _slice(go: _Pass, equation: Any, weight: Weight) -> bool:
    operand, params = equation.invars[0], equation.params
    if operand.aval.size > MOST_WEIGHTS:
        return False
    whole = np.zeros(operand.aval.shape)
    strides = params["strides"] or (1,) * whole.ndim
    whole[
        tuple(
            slice(*edge)
            for edge in zip(params["start_indices"], params["limit_indices"], strides, strict=True)
        )
    ] = weight
    go.give(operand, whole)
    return True


def _pick(go: _Pass, equation: Any, weight: Weight) -> bool:
    operand, *rest = equation.invars
    if not go.reading.depends(operand) or any(go.reading.depends(atom) for atom in rest):
        return False
    constants = [go.reading.constant(atom) for atom in rest]
    out = equation.outvars[0].aval
    if any(value is None for value in constants) or max(operand.aval.size, out.size) > MOST_WEIGHTS:
        return False
    if equation.params.get("fill_value") not in (None, 0, 0.0):
        return False
    # Places counted from 1: what is filled in from outside reads as 0.
    places = np.arange(1.0, operand.aval.size + 1.0).reshape(operand.aval.shape)
    picked = moved(equation, [places, *map(np.asarray, constants)])
    if picked is None:
        return False
    index = np.nan_to_num(np.asarray(picked), nan=0.0).astype(np.int64).ravel()
    weights = np.broadcast_to(weight, out.shape).ravel()
    found = np.bincount(index, weights, minlength=operand.aval.size + 1)[1:]
    go.give(operand, found.reshape(operand.aval.shape))
    return True


def _pad(go: _Pass, equation: Any, weight: Weight) -> bool:
    operand, filling = equation.invars
    if go.reading.depends(filling):
        return False
    config = equation.params["padding_config"]
    if any(low < 0 or high < 0 for low, high, _ in config):
        return False
    out = equation.outvars[0].aval
    inside = tuple(
        slice(low, size - high, between + 1)
        for (low, high, between), size in zip(config, out.shape, strict=True)
    )
    whole = np.broadcast_to(weight, out.shape)
    go.give(operand, whole[inside])
    value = go.reading.constant(filling)
    if value is None:
        return False
    if np.any(value):
        go.constant += float(value) * float(np.sum(whole) - np.sum(whole[inside]))
    return True


def _select(go: _Pass, equation: Any, weight: Weight) -> bool:
    which, *cases = equation.invars
    chosen = None if go.reading.depends(which) else go.reading.constant(which)
    if chosen is None or equation.outvars[0].aval.size > MOST_WEIGHTS:
        return False
    chosen = np.broadcast_to(chosen, equation.outvars[0].aval.shape).astype(np.int64)
    for number, case in enumerate(cases):
        go.give(case, np.where(chosen == number, weight, 0.0))
    return True


def _cumsum(go: _Pass, equation: Any, weight: Weight) -> bool:
    operand, axis = equation.invars[0], equation.params["axis"]
    if operand.aval.size > MOST_WEIGHTS:
        return False
    whole = np.broadcast_to(weight, operand.aval.shape)
    if not equation.params["reverse"]:
        whole = np.flip(np.cumsum(np.flip(whole, axis), axis), axis)
    else:
        whole = np.cumsum(whole, axis)
    go.give(operand, whole)
    return True


def _dot(go: _Pass, equation: Any, weight: Weight) -> bool:
    a, b = equation.invars
    (over_a, over_b), (batch_a, batch_b) = equation.params["dimension_numbers"]
    varies_a, varies_b = go.reading.depends(a), go.reading.depends(b)
    if varies_a and varies_b:
        return _inner_product(go, equation, weight)
    constant, other = (b, a) if varies_a else (a, b)
    value = go.reading.constant(constant)
    if value is None or np.asarray(value).dtype.kind not in "biuf" or other.aval.size > MOST_WEIGHTS:
        return False
    # The transpose of a contraction is a contraction: of the weights with the constant, over what was free in it.
    letters = iter(range(52))
    of_a: list[int] = [-1] * len(a.aval.shape)
    of_b: list[int] = [-1] * len(b.aval.shape)
    for i, j in (*zip(batch_a, batch_b, strict=True), *zip(over_a, over_b, strict=True)):
        of_a[i] = of_b[j] = next(letters)
    of_a = [next(letters) if k < 0 else k for k in of_a]
    of_b = [next(letters) if k < 0 else k for k in of_b]
    free_a = [k for i, k in enumerate(of_a) if i not in batch_a and i not in over_a]
    free_b = [k for j, k in enumerate(of_b) if j not in batch_b and j not in over_b]
    of_out = [of_a[i] for i in batch_a] + free_a + free_b
    of_constant, of_other = (of_b, of_a) if varies_a else (of_a, of_b)
    out = np.broadcast_to(weight, equation.outvars[0].aval.shape)
    go.give(other, np.einsum(out, of_out, np.asarray(value, dtype=np.float64), of_constant, of_other))
    return True


def _inner_product(go: _Pass, equation: Any, weight: Weight) -> bool:
    """Two operands of one shape, contracted over the same axes and free in none: Σ a·b."""
    a, b = equation.invars
    (over_a, over_b), (batch_a, batch_b) = equation.params["dimension_numbers"]
    if a.aval.shape != b.aval.shape or tuple(over_a) != tuple(over_b) or tuple(batch_a) != tuple(batch_b):
        return False
    if len(over_a) + len(batch_a) != len(a.aval.shape):
        return False
    if weight.shape:
        order = np.argsort(batch_a)
        weight = np.transpose(weight, order)
        weight = np.broadcast_to(np.expand_dims(weight, tuple(sorted(over_a))), a.aval.shape)
    go.leaves.append(Leaf((a, b), weight, equation))
    return True


def _square(go: _Pass, equation: Any, weight: Weight) -> bool:
    """(√a)² is a: the square of a norm is the sum of squares that the norm is the root of."""
    if equation.primitive.name == "integer_pow" and equation.params["y"] != 2:
        return False
    return _squared(go, equation, equation.invars[0], weight)


def _squared(go: _Pass, equation: Any, atom: Any, weight: Weight) -> bool:
    root = go.reading.producer(atom)
    if root is None or atom.aval.shape != equation.outvars[0].aval.shape:
        return False
    inner = root.invars[0] if root.primitive.name == "sqrt" else guarded_root(go.reading, root)
    if inner is None:
        return False
    go.give(inner, weight)
    return True


def _product(go: _Pass, equation: Any, weight: Weight) -> bool:
    a, b = equation.invars
    return _squared(go, equation, a, weight) if a is b else _mul(go, equation, weight)


_RULES: dict[str, Callable[[_Pass, Any, Weight], bool]] = {
    "add": _add, "add_any": _add, "sub": _sub, "neg": _neg, "mul": _product, "div": _div,
    "convert_element_type": _convert, "reduce_precision": _shuffle, "reduce_sum": _reduce_sum,
    "broadcast_in_dim": _broadcast, "concatenate": _concatenate, "slice": _slice, "pad": _pad,
    "select_n": _select, "cumsum": _cumsum, "dot_general": _dot, "square": _square, "integer_pow": _square,
    **dict.fromkeys(SHUFFLING, _shuffle), **dict.fromkeys(PICKING, _pick),
}  # fmt: skip
