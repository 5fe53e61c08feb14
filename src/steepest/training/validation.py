"""The cost on data kept aside, over every row of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ..errors import InputError
from .job import recorded_for
from .steps import Tree, plain_cost

if TYPE_CHECKING:
    from .distributed import Placement
    from .job import Job

# Rows evaluated at a time; without a slope in between there is room for larger batches than training takes.
ROWS_AT_ONCE = 1024


class Evaluation:
    """The mean cost over a source in its stored order, the last batch weighted by its rows."""

    def __init__(self, job: Job, tree: Tree, placement: Placement, source: Any = None) -> None:
        self.job = job
        self.tree = tree
        self.placement = placement
        self.source = source if source is not None else job.validation
        if not hasattr(self.source, "in_order"):
            raise InputError("validation data must have rows: arrays, a table or a file")
        self._compiled: dict[int, Any] = {}

    def __call__(self, parameters: Any) -> float:
        """The mean cost at these parameters."""
        if self.placement.mesh is not None:  # each process works out the whole by itself
            leaves = [jax.device_put(self.placement.whole(array)) for array in self.tree.leaves(parameters)]
            parameters = self.tree.grow(leaves)
        values, counts = [], []
        for arrays in self.source.in_order(min(ROWS_AT_ONCE, self.source.rows)):
            count = len(arrays[0])
            function, constants = self._function(count)
            batch = [jax.device_put(self._kept(array)) for array in arrays]
            values.append(function(parameters, batch, constants))
            counts.append(count)
        return float(np.average([float(value) for value in values], weights=counts))

    def _kept(self, array: np.ndarray) -> np.ndarray:
        from ..tracing.batched import kept_type

        wide = "float64" if jax.config.jax_enable_x64 else "float32"
        return np.asarray(array, kept_type(np.dtype(array.dtype), wide))

    def _function(self, rows: int) -> Any:
        if rows not in self._compiled:
            job = self.job
            cost = recorded_for(job.cost, job.layout, self.source, rows, job.precision)
            function = jax.jit(plain_cost(cost, self.tree, precision=job.precision, remat=False))
            self._compiled[rows] = function, [jax.device_put(constant) for constant in cost.constants]
        return self._compiled[rows]
