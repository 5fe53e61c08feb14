"""Units that began alike and stay so: with equal weights they get equal slopes, and a layer of them is worth one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# Columns that differ by less than this part of the way they have come are alike: what is left is rounding.
ALIKE = 1e-3
# Slopes of columns that differ by less than this part of the largest are the same: these columns are alike, not equal.
# Of columns that only moved alike, as by rules that go by the sign of a slope, they differ by more.
EQUAL = 0.1


def alike(start: np.ndarray, end: Callable[[], np.ndarray]) -> bool:
    """Whether the columns of a matrix, all equal at the start, have moved and are still equal.

    `end` is called for the matrix at the end where the start does not settle it.

    >>> ones = np.ones((2, 3))
    >>> alike(ones, lambda: 2 * ones), alike(ones, lambda: ones + np.arange(3))
    (True, False)
    """
    if start.size == 0 or start.shape[-1] < 2:
        return False
    rows = start.reshape(-1, start.shape[-1])
    if (rows[0] != rows[0, 0]).any() or (rows != rows[:, :1]).any():
        return False
    reached = np.asarray(end(), float)
    moved = np.abs(reached - start).max()
    return bool(moved > 0 and np.ptp(reached, axis=-1).max() <= ALIKE * moved)


def equal_slopes(slope: np.ndarray) -> bool:
    """Whether all columns of a matrix have the same slope, to what columns that are nearly equal allow."""
    return bool(np.ptp(slope, axis=-1).max() <= EQUAL * np.abs(slope).max())
