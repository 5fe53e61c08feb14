"""What a cost makes of its rows alone, before any parameter comes in: indices, masks, differences of bytes.

It is the same at every step, and can be looked at over all rows before the first one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.extend.core as jex
import numpy as np

from ..tracing.batched import BatchCost, as_kept, numbers_in
from ..tracing.equations import run_equation
from ..tracing.passes import inline
from .batches import Rows
from .sparse_rows import is_sparse

# Numbers of the data that are looked at, and the most that any equation makes of them: a second's work. One batch is
# looked at in any case, unless it alone makes more than memory is for.
MOST_LOOKED_AT, MOST_OF_A_BATCH = 4_000_000, 1 << 26
# Batches that are looked at together.
TOGETHER = 256


class OfRows:
    """The equations of a cost that read rows and constants alone.

    `jaxpr`: the cost's, inlined. `made_of`: for each variable that no parameter goes into, and some row does, the
    numbers of the arrays of the data it is made from.
    """

    def __init__(self, cost: BatchCost, source: Rows, rows: int, precision: str) -> None:
        self.closed = inline(cost.closed, keep_derivatives=True)
        self.jaxpr = self.closed.jaxpr
        self.source, self.rows, self.precision = source, rows, precision
        self.parameters = cost.parameters
        of_parameters = set(self.jaxpr.invars[: cost.parameters])
        self.makers = {v: equation for equation in self.jaxpr.eqns for v in equation.outvars}
        self.made_of: dict[Any, frozenset[int]] = {
            v: frozenset({k}) for k, v in enumerate(self.jaxpr.invars[cost.parameters :])
        }
        for equation in self.jaxpr.eqns:
            read = [atom for atom in equation.invars if isinstance(atom, jex.Var)]
            made_of = frozenset().union(*(self.made_of.get(v, frozenset()) for v in read))
            if of_parameters.intersection(read):
                of_parameters.update(equation.outvars)
            elif made_of:
                self.made_of.update(dict.fromkeys(equation.outvars, made_of))

    def names(self, variable: Any) -> str:
        """The arrays of the data that a variable is made from."""
        return ", ".join(self.source.layout.leaves[k].name for k in sorted(self.made_of[variable]))

    def values(self, wanted: list[Any]) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        """What the wanted variables are, batch after batch over the rows in their order, a few batches at once.

        Gives which rows of the data, (batches, rows of a batch), and each variable's values, (batches, …). The last
        batch is filled up with rows before it. Nothing where an array is sparse, where the wanted ones read none, where
        Python is called for them, and where a batch makes too many numbers of them.
        """
        arrays = [*set().union(*(self.made_of[v] for v in wanted))]
        if not arrays or any(is_sparse(self.source.arrays[k]) for k in arrays):
            return
        equations = self.behind(wanted)
        if any("callback" in equation.primitive.name for equation in equations):
            return
        read = [self.rows * int(np.prod(self.source.arrays[k].shape[1:])) for k in arrays]
        made = [int(np.prod(v.aval.shape)) for equation in equations for v in equation.outvars]
        most = max(1, *read, *made)
        if most > MOST_OF_A_BATCH:
            return
        seen = max(self.rows, min(self.source.rows, self.rows * MOST_LOOKED_AT // most))
        firsts = np.minimum(np.arange(0, seen, self.rows), seen - self.rows)
        constants = dict(zip(self.jaxpr.constvars, self.closed.consts, strict=True))
        inputs = [self.jaxpr.invars[self.parameters + k] for k in arrays]

        def of_a_batch(*given: Any) -> list[Any]:
            known = {**constants, **dict(zip(inputs, given, strict=True))}
            for equation in equations:
                run_equation(equation, known, self.jaxpr)
            return [known[v] for v in wanted]

        for part in np.array_split(firsts, -(-len(firsts) // TOGETHER)):
            places = part[:, None] + np.arange(self.rows)
            given = [as_kept(np.asarray(self.source.arrays[k][places]), self.precision) for k in arrays]
            with numbers_in(self.precision):
                yield places, [np.asarray(value) for value in jax.vmap(of_a_batch)(*given)]

    def behind(self, wanted: list[Any]) -> list[Any]:
        """The equations that the wanted variables come from, in their order."""
        needed, chosen = set(wanted), []
        for equation in reversed(self.jaxpr.eqns):
            if needed.intersection(equation.outvars):
                chosen.append(equation)
                needed.update(atom for atom in equation.invars if isinstance(atom, jex.Var))
        return chosen[::-1]
