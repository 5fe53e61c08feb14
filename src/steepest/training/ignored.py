"""Whether the model makes anything of its rows: the cost with the rows of each array exchanged among themselves.

Where it is as low when every input stands beside the target of another row, what is predicted is the same for all, and
nothing has been learned but how the targets lie. That is what dead and saturated units, weights that are all zero,
inputs far from one, and penalties that outweigh the data have in common; which of them it is, is told from the
parameters and the rows.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ..verdict.words import Evidence
from .far_columns import ADVICE, FAR, far

if TYPE_CHECKING:
    from .job import Job
    from .loop import Walker

# Exchanged rows that change the cost by less than this part of what batches differ by are not used. What a model has
# learned that explains a thousandth of the variance changes it by more.
UNUSED = 0.02
# Exchanged rows that change the cost at other parameters by so many roundings, and as a part of what batches differ by
# so many times as much as at the end, could be used: who stands beside whom says little of noise that is added to
# inputs, or of weights that are nearly one, whatever has been learned. And how many times as large as at the start
# these parameters are: of many layers that began too small, rounding hides what they tell.
ROUNDINGS, MORE, LARGER = 100, 30.0, (1.0, 10.0)
# Batches after which a change of many times `UNUSED` is enough, and how many times.
ENOUGH, CLEAR = 4, 5.0
# Rows of a batch, and batches, without which nothing is told.
FEWEST_ROWS, FEWEST = 8, 8
# Parameters that came down to this part of their size at the start have been drawn to zero.
SHRUNK = 0.1


class Exchanged:
    """What exchanged rows change, batch after batch."""

    def __init__(self, walker: Walker) -> None:
        self.walker = walker
        self.costs: list[float] = []
        self.changes: list[float] = []
        job = walker.job
        self.asked = job.recorded is not None and len(job.source.layout.leaves) > 1 and not walker.large
        self.batches: list[list[np.ndarray]] = []

    def see(self, parameters: Any, arrays: list[np.ndarray], cost: float) -> None:
        """Measure one more batch, whose cost is known; stops by itself where enough is known."""
        if not self.asked:
            return
        if not self.costs:
            counts = {len(array) for array in arrays}
            self.asked = len(counts) == 1 and min(counts) >= FEWEST_ROWS
            if not self.asked:
                return
        exchanged = _exchanged(arrays, len(self.costs))
        self.costs.append(cost)
        self.changes.append(self._cost(parameters, exchanged) - cost)
        share = self.share()
        self.asked = len(self.costs) < ENOUGH or (share is not None and share <= CLEAR * UNUSED)
        if not self.asked:
            self.batches.clear()
        elif len(self.batches) < FEWEST:
            self.batches.append(arrays)

    def share(self) -> float | None:
        """What exchanged rows change, as a part of what batches differ by; None where they do not."""
        return _share(self.costs, self.changes)

    def evidence(self) -> Evidence | None:
        """That rows are not used; None where they are, where no parameters would use them, or too little was seen."""
        share = self.share()
        if not self.asked or share is None or len(self.costs) < FEWEST or share > UNUSED:
            return None
        if not self._could_be_used(share):
            return None
        return Evidence(
            "rows told apart",
            share,
            UNUSED,
            False,
            "what the cost changes where the rows of each array are exchanged among themselves, against what batches "
            "differ by",
        )

    def _could_be_used(self, share: float) -> bool:
        """Whether exchanged rows change the cost far more at other parameters: never where each array has its own."""
        double = self.walker.job.precision == "float64"
        rounding = float(np.finfo(np.float64 if double else np.float32).eps)
        for times in LARGER:
            there = _elsewhere(self.walker, times)
            costs = [self._cost(there, arrays) for arrays in self.batches]
            mixed = [self._cost(there, _exchanged(arrays, k)) for k, arrays in enumerate(self.batches)]
            changes = list(np.subtract(mixed, costs))
            found = _share(costs, changes)
            if found is None or found < MORE * share:
                continue
            if abs(changes[0]) > ROUNDINGS * rounding * abs(costs[0]):
                return True
        return False

    def _cost(self, parameters: Any, arrays: list[np.ndarray]) -> float:
        return float(self.walker.added(None, parameters, arrays)[1].cost)


def _share(costs: list[float], changes: list[float]) -> float | None:
    """The changes, root mean square, as a part of what the costs differ by; None where they do not."""
    spread = float(np.std(costs)) if costs else 0.0
    change = sqrt(float(np.mean(np.square(changes)))) if changes else 0.0
    return change / spread if spread > 0 and isfinite(spread) and isfinite(change) else None


def _exchanged(arrays: list[np.ndarray], k: int) -> list[np.ndarray]:
    """The arrays with the rows of each in an order of its own."""
    rng = np.random.default_rng(k)
    return [np.asarray(array)[rng.permutation(len(array))] for array in arrays]


def _elsewhere(walker: Walker, times: float) -> Any:
    """Parameters so many times as large as at the start, and none zero, so that every unit does something."""
    rng = np.random.default_rng(0)

    def moved(array: Any) -> Any:
        size = float(np.sqrt(np.mean(np.square(array)))) if np.size(array) else 0.0
        width = np.shape(array)[0] if np.ndim(array) > 1 else 1
        return times * (size or 1.0 / sqrt(width)) * rng.normal(size=np.shape(array))

    tree, state = walker.tree, walker.state.parameters
    drawn = [moved(np.asarray(array, float)) for array in walker.job.layout.arrays]
    return jax.tree.map(
        lambda there, here: jax.device_put(there.astype(here.dtype), here.sharding), tree.grow(drawn), state
    )


def reason(job: Job, arrays: list[np.ndarray], seen: Exchanged, dead: tuple[str, ...]) -> tuple[str, str]:
    """Why the rows are not used, as far as parameters and rows tell, and what to do about it."""
    start = [np.asarray(array, float) for array in job.layout.arrays]
    names = [leaf.name for leaf in job.layout.leaves]
    zero = [name for name, array in zip(names, start, strict=True) if array.ndim > 1 and not array.any()]
    if len(zero) > 1:
        return (
            f"{_listed(zero)} began at zero, one after the other: none of them gets a slope through the others",
            "begin with small random numbers, such as rng.normal(size=shape) / np.sqrt(shape[0])",
        )
    column = far(job, seen.batches[0], FAR)
    if column:
        return column, ADVICE
    shrunk = [
        name
        for name, before, after in zip(names, start, arrays, strict=True)
        if before.ndim > 1 and 0 < np.linalg.norm(after) <= SHRUNK * np.linalg.norm(before)
    ]
    if shrunk:
        return (
            f"{_listed(shrunk)} came down to less than {SHRUNK:.0%} of the size at the start, as where a penalty "
            "or a decay outweighs the data or no target depends on its input",
            "a smaller penalty or weight_decay=; see that inputs and targets belong to the same rows",
        )
    if dead:
        return "", "look at the dead parts: a unit that is never active gets no slope; start it smaller"
    return (
        "",
        "see that inputs and targets belong to the same rows, and that the layers in between are neither saturated "
        "nor too small at the start",
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
