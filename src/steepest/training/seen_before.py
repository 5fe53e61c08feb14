"""Rows kept aside that are rows of the data too: what they cost says nothing of rows that no step has seen."""

from __future__ import annotations

import numpy as np

from .batches import Rows
from .sparse_rows import is_sparse

# Larger data are not compared.
MOST_BYTES = 1 << 28
# Data that repeat themselves have rows in common by chance: this part of their rows must be the only one of its kind.
SINGLE = 0.99
# Fewer rows in common, or a smaller part of those kept aside, are not worth a word.
FEWEST, SHARE = 5, 0.01


def remark(data: Rows, aside: Rows) -> str:
    """What is to be said of rows that are in both; "" where there are few, or data whose rows are often alike.

    Nothing, either, where one side holds more arrays: which of them belong together is not known.
    """
    if len(data.arrays) != len(aside.arrays):
        return ""
    kinds: list[type] = [
        np.float32 if np.float32 in (one.dtype, other.dtype) else np.float64
        for one, other in zip(data.arrays, aside.arrays, strict=True)
    ]
    first, second = _marks(data, kinds), _marks(aside, kinds)
    if first is None or second is None or len(np.unique(first)) < SINGLE * len(first):
        return ""
    both = int(np.isin(second, first).sum())
    if both < max(FEWEST, SHARE * len(second)):
        return ""
    return (
        f"{both:,} of the {len(second):,} rows of validation are rows of the data too: their cost says nothing of rows "
        "that were not trained on; keep others aside"
    )


def _marks(source: Rows, kinds: list[type]) -> np.ndarray | None:
    """One number for each row, the same for the same row, (rows,); None where there are too many to look at.

    `kinds`: what the numbers of each array are rounded to: one side may hold them in fewer digits.
    """
    if any(is_sparse(array) for array in source.arrays) or not source.batch_bytes(source.rows) <= MOST_BYTES:
        return None
    rng = np.random.default_rng(0)
    marks = np.zeros(source.rows)
    for array, kind in zip(source.arrays, kinds, strict=True):
        flat = np.asarray(array).reshape(source.rows, -1)
        weights = rng.normal(size=flat.shape[1])
        # Column by column: a product of matrices may round each row in its own way.
        with np.errstate(all="ignore"):
            for k in range(flat.shape[1]):
                marks += weights[k] * flat[:, k].astype(kind)
    return marks
