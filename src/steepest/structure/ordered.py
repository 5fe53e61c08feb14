"""Sums of sorted values: of the largest alone, or of all with weights that rise along them.

`np.sort(z)[-k:].sum()` is the least of k·t + Σ max(zᵢ - t, 0) over t (Rockafellar & Uryasev, "Optimization of
conditional value-at-risk", 2000), and any sum with rising weights is one of such sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from ..numerics import double_precision
from .reading import Reading

# Operations that leave a linear function of sorted values one, the other operands constant.
LINEAR = frozenset(
    {
        "slice", "rev", "reshape", "squeeze", "expand_dims", "broadcast_in_dim", "transpose", "copy", "copy_p", "neg",
        "mul", "div", "reduce_sum", "dot_general", "gather", "dynamic_slice",
    }
)  # fmt: skip

# Weights that differ by less than this part of the largest are the same: those of a mean are rounded.
SAME = 1e-12


@dataclass(frozen=True)
class Ordered:
    """`sign`·(`least`·Σz + Σ rise·(the sum of the k largest z)) over the (k, rise) of `steps`, along `axis` of z.

    `operand`: z as an atom, `source`: the sorted variable. `rows`: how many are sorted apart, each of `count` elements.
    """

    operand: Any
    source: Any
    axis: int
    rows: int
    count: int
    sign: float
    least: float
    steps: tuple[tuple[int, float], ...]

    @property
    def levels(self) -> int:
        """How many thresholds t there are, one for each step and row."""
        return len(self.steps) * self.rows

    @property
    def size(self) -> int:
        """How many entries the thresholds and both sides of each element's difference to them need."""
        return self.levels * (1 + 2 * self.count)

    def in_rows(self, z: Any) -> Any:
        """z (rows, count), what is sorted together in each row."""
        return z.swapaxes(self.axis, -1).reshape(self.rows, self.count)

    def thresholds(self, z: np.ndarray) -> np.ndarray:
        """For z (rows, count) the middle between the last element that each step takes and the next, (steps, rows)."""
        ordered = -np.sort(-z, axis=1)
        return np.stack([0.5 * (ordered[:, k - 1] + ordered[:, k]) for k, _ in self.steps])


def ordered_sums(reading: Reading) -> dict[Any, Ordered]:
    """The variables of one element that are such sums; those whose weights neither rise nor fall are left out."""
    found: dict[Any, Ordered] = {}
    for equation in reading.equations:
        if equation.primitive.name != "sort" or len(equation.invars) != 1:
            continue
        source = equation.outvars[0]
        if source.aval.dtype != np.float64 or not source.aval.size or not reading.depends(equation.invars[0]):
            continue
        for use in reading.uses.get(source, ()):
            end, chain = _followed(reading, source, use)
            known = None if end is None else _ordered(reading, equation, chain)
            if known is not None:
                found[end] = known
    return found


def _followed(reading: Reading, source: Any, use: int) -> tuple[Any | None, list[tuple[Any, int]]]:
    """The variable of one element that is made linearly from `source` alone by way of equation `use`, and the way."""
    chain: list[tuple[Any, int]] = []
    at = source
    while True:
        equation = reading.equations[use]
        places = [k for k, atom in enumerate(equation.invars) if atom is at]
        varying = [atom for atom in equation.invars if reading.depends(atom)]
        name = equation.primitive.name
        is_linear = name in LINEAR and len(places) == 1 and len(varying) == 1
        if (
            not is_linear
            or (name == "div" and places[0] != 0)
            or equation.outvars[0].aval.dtype != np.float64
        ):
            return None, chain
        chain.append((equation, places[0]))
        at = equation.outvars[0]
        if at.aval.size == 1:
            return at, chain
        uses = reading.uses.get(at, ())
        if len(uses) != 1:
            return None, chain
        use = uses[0]


def _ordered(reading: Reading, sort: Any, chain: list[tuple[Any, int]]) -> Ordered | None:
    shape, axis = sort.outvars[0].aval.shape, sort.params["dimension"]
    function = _function(reading, chain)
    if function is None:
        return None
    with double_precision():
        weights = np.asarray(jax.jacrev(function)(np.zeros(shape))).reshape(shape)
    count = shape[axis]
    weights = np.swapaxes(weights, axis, -1).reshape(-1, count)
    first = weights[0]
    room = SAME * float(np.abs(first).max(initial=0.0))
    if not np.isfinite(weights).all() or (np.abs(weights - first) > room).any():
        return None
    rises = np.diff(first)
    sign = 1.0 if (rises >= -room).all() else -1.0
    rises = sign * rises
    if (rises < -room).any() or not (rises > room).any():
        return None
    steps = tuple((count - 1 - int(k), float(rises[k])) for k in np.flatnonzero(rises > room))
    return Ordered(
        sort.invars[0], sort.outvars[0], axis, len(weights), count, sign, sign * float(first[0]), steps
    )


def _function(reading: Reading, chain: list[tuple[Any, int]]) -> Callable[[Any], Any] | None:
    """What `chain` makes of the sorted values; None where a constant in it is not known."""
    others = []
    for equation, place in chain:
        atoms = [atom for k, atom in enumerate(equation.invars) if k != place]
        values = [reading.constant(atom) for atom in atoms]
        if any(value is None for value in values):
            return None
        others.append([np.asarray(v, atom.aval.dtype) for v, atom in zip(values, atoms, strict=True)])

    def function(s: Any) -> Any:
        for (equation, place), values in zip(chain, others, strict=True):
            s = equation.primitive.bind(*values[:place], s, *values[place:], **equation.params)
        return s.reshape(())

    return function
