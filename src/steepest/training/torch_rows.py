"""Whether a PyTorch cost is the mean over its rows: asked of its values, since there is no trace to read.

A cost of some rows is laid beside those of their halves. One that is neither their mean nor their sum is asked whether
every prediction meets every target: it does not change then where the rows of one array change places, and it, or its
square as that of a root, is the mean or the sum over the four pairs of a half of these rows and a half of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .batches import Rows

if TYPE_CHECKING:
    from .batches import Source
    from .torch_costs import TorchCost

# Rows that are asked: enough for halves to differ, few beside a batch.
ROWS = 64
# Costs apart by no more than so many roundings are the same. Sums of four costs of as many rows are nearer.
ROUNDINGS, ROUNDINGS_OF_FOUR = 100, 16


def remark(cost: TorchCost, start: Sequence[np.ndarray], source: Source) -> str:
    """What is to be said of a cost that is no mean over rows; "" where nothing is known to be wrong with it."""
    arrays = (
        source.taken(np.arange(min(ROWS, source.rows))) if isinstance(source, Rows) else source.layout.arrays
    )
    batch = [np.asarray(array) for array in arrays]
    rows = len(batch[0])
    if rows < 4 or any(len(array) != rows for array in batch):
        return ""
    half = rows // 2
    try:
        first, second = (_cost(cost, start, source, [a[part] for a in batch]) for part in _halves(half))
        whole = _cost(cost, start, source, [array[: 2 * half] for array in batch])
        size = ROUNDINGS * float(np.finfo(cost.precision).eps) * max(abs(first), abs(second), abs(whole))
        if not np.isfinite(size) or abs(whole - (first + second) / 2) <= size:
            return ""
        if abs(whole - (first + second)) <= size:
            return (
                "the cost is a sum over the rows of a batch, not their mean: its slope grows with the batch, while "
                'accumulate= and validation= take means of it; end it with a mean (reduction="mean")'
            )
        for k, array in enumerate(batch):
            turned = np.roll(array[: 2 * half], 1, axis=0)
            if np.array_equal(turned, array[: 2 * half]):
                continue
            moved = [turned if j == k else other[: 2 * half] for j, other in enumerate(batch)]
            if len(batch) == 1 or abs(_cost(cost, start, source, moved) - whole) > size:
                continue
            of_pairs = [[first, 0.0], [0.0, second]]
            for i, j in ((0, 1), (1, 0)):
                parts = [a[_halves(half)[j if place == k else i]] for place, a in enumerate(batch)]
                of_pairs[i][j] = _cost(cost, start, source, parts)
            if _of_all_pairs(whole, of_pairs, size):
                name = source.layout.leaves[k].name
                return (
                    f"the cost stays the same where the rows of {name} change places: what is predicted for each row "
                    f"meets what was given for every other, as shapes ({rows}, 1) and ({rows},) make ({rows}, {rows}); "
                    "give both one shape, such as prediction[:, 0], unless all pairs are meant"
                )
    except Exception:  # a cost may want as many rows as a batch has: what is wrong besides the walk will show
        return ""
    return ""


def _of_all_pairs(whole: float, parts: list[list[float]], size: float) -> bool:
    """Whether a cost is made of those where each half of the rows of one array meets each half of the others.

    Where it is a sum of what each array adds by itself, no row meets another: an array may not be used at all.
    """
    for power in (1, 2):
        (a, b), (c, d) = ([part**power for part in row] for row in parts)
        near = size if power == 1 else 2 * size * max(map(abs, (*parts[0], *parts[1], whole)))
        together = abs(a + d - b - c)
        if together <= near * ROUNDINGS_OF_FOUR / ROUNDINGS:
            continue
        left = min(abs(whole**power - total) for total in ((a + b + c + d) / 4, a + b + c + d))
        if left <= min(near, together / 4):
            return True
    return False


def _halves(half: int) -> tuple[slice, slice]:
    return slice(0, half), slice(half, 2 * half)


def _cost(cost: TorchCost, start: Sequence[np.ndarray], source: Source, batch: list[np.ndarray]) -> float:
    """The cost of these rows at the start, as it is used rather than trained."""
    from .torch_steps import TorchPlacement

    values: list[Any] = [np.array(array) for array in start]
    with cost.chance(0, -1):
        return cost.without_slope(values, source.layout, TorchPlacement.beside(cost).rows(batch))
