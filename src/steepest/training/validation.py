"""The cost on data kept aside, over every row of it."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ..errors import InputError
from ..parameters import Layout
from .job import recorded_for
from .steps import Tree, plain_cost

if TYPE_CHECKING:
    from .batches import Source
    from .distributed import Placement
    from .job import Job

# Rows evaluated at a time; without a slope in between there is room for larger batches than training takes.
ROWS_AT_ONCE = 1024
# What the arrays of data without names of their own are called after.
NAMED = re.compile(r"^(data|validation)(?=\[|$)")


def check_aside(cost: Any, layout: Layout, aside: Source, source: Source, precision: str) -> None:
    """Raises `InputError` unless the cost can be had of the data kept aside.

    Rows of another form than those trained on are let pass where the cost takes them all the same. `cost`: None for
    PyTorch's, which cannot be tried on a form alone.
    """
    if not hasattr(aside, "in_order") or getattr(aside, "once", False):
        raise InputError(
            "validation data are read again after each epoch: give arrays, a table, a file, or a list or DataLoader of "
            "batches"
        )
    if cost is None or _form(aside) == _form(source):
        return
    try:
        recorded_for(cost, layout, aside, 1, precision)
    except Exception as error:
        told = [
            ", ".join(f"{leaf.name} {leaf.shape[1:]}" for leaf in of.layout.leaves) for of in (aside, source)
        ]
        raise InputError(
            f"a row of validation holds {told[0]}, a row of data {told[1]}, and the cost does not take the first "
            f"({error}); give them the same form"
        ) from None


def _form(source: Source) -> list[tuple[str, tuple[int, ...]]]:
    return sorted((NAMED.sub("", leaf.name), leaf.shape[1:]) for leaf in source.layout.leaves)


def is_lowest(value: float, before: float | None) -> bool:
    """Whether a validation cost is the lowest so far; one that is not finite never is.

    >>> is_lowest(0.5, None), is_lowest(0.4, 0.5), is_lowest(0.6, 0.5), is_lowest(float("nan"), None)
    (True, True, False, False)
    """
    return isfinite(value) and (before is None or value < before)


class Evaluation:
    """The mean cost over a source in its stored order, each batch weighted by its rows."""

    def __init__(self, job: Job, tree: Tree, placement: Placement, source: Any = None) -> None:
        self.job = job
        self.tree = tree
        self.placement = placement
        self.source = source if source is not None else job.validation
        self._compiled: dict[int, Any] = {}

    def __call__(self, parameters: Any) -> float:
        """The mean cost at these parameters."""
        values, counts = [], []
        for arrays in self.source.in_order(ROWS_AT_ONCE):
            count = len(arrays[0])
            function, constants = self._function(count)
            value = function(parameters, self.placement.same_rows(arrays), constants)
            # Between processes one at a time: exchanges of two programs under way at once would meet.
            values.append(value if self.placement.processes == 1 else float(value))
            counts.append(count)
        return float(np.average([float(value) for value in values], weights=counts))

    def _function(self, rows: int) -> Any:
        if rows not in self._compiled:
            job = self.job
            if job.torch is not None:
                self._compiled[rows] = self._of_torch, []
                return self._compiled[rows]
            cost = recorded_for(job.cost, job.layout, self.source, rows, job.precision)
            function = jax.jit(plain_cost(cost, self.tree, precision=job.precision, remat=False))
            self._compiled[rows] = function, self.placement.constants(cost.constants)
        return self._compiled[rows]

    def _of_torch(self, parameters: Any, batch: list[Any], constants: Any) -> float:
        return float(self.job.torch.without_slope(self.tree.leaves(parameters), self.source.layout, batch))
