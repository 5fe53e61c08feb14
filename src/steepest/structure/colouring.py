"""Which columns of a sparse matrix can be measured together? Those that no row shares.

Columns of one colour have no row in common, so that one product of the matrix with the sum of their unit vectors
shows all their entries (Curtis, Powell, Reid 1974). A few rows that are nearly full would forbid every two columns
to share a colour: they are set aside first and measured on their own, through the transpose. For a symmetric
matrix the full columns serve as well, so that arrow-shaped ones need few colours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# Rows are candidates for being set aside when they hold this many times what the typical row holds.
MUCH_FULLER = 4
# At most so many rows are set aside, each at a product of its own; of a symmetric matrix more where that makes fewer
# products of all.
MOST_ASIDE = 64
# Numbers of colours beyond the lower bound that are tried in the simplest pattern, column modulo colours.
PERIODS_TRIED = 6
# Where the fullest row holds this many times what rows do on average, no band is there to be found, and looking for it
# takes that many times the memory of the pattern: 6 GB for 20,000 points seen by 20 cameras.
UNEVEN = 16


@dataclass(frozen=True, eq=False)
class Colouring:
    """How a matrix (m, n) with a known pattern is measured.

    `colours`: of each column, (n,), int32, from 0 to `count` - 1; -1 for columns that are not measured this way.
    `aside`: rows that are measured on their own, in order. `products`: how many products it takes.
    """

    colours: np.ndarray
    count: int
    aside: np.ndarray

    @property
    def products(self) -> int:
        """Products with the matrix or its transpose needed to know all its entries."""
        return self.count + int(self.aside.size)


def colour_columns(pattern: Any) -> Colouring:
    """Colours for a SciPy CSC pattern (m, n).

    >>> from scipy.sparse import diags_array
    >>> colour_columns(diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(9, 9)).tocsc()).count
    3
    """
    return _best(pattern, symmetric=False)


def colour_symmetric(pattern: Any) -> Colouring:
    """Colours for a symmetric SciPy CSC pattern (n, n); full rows are set aside together with their columns.

    >>> arrow = np.eye(50)
    >>> arrow[0] = arrow[:, 0] = 1
    >>> from scipy.sparse import csc_array
    >>> colour_symmetric(csc_array(arrow)).products
    2
    """
    return _best(pattern, symmetric=True)


def _best(pattern: Any, symmetric: bool) -> Colouring:
    best: Colouring | None = None
    for aside in _candidates(pattern, symmetric):
        rest = pattern
        if aside.size:
            keep = np.ones(pattern.shape[0], dtype=bool)
            keep[aside] = False
            rest = _without(pattern, keep, symmetric)
        fewest = int(np.bincount(rest.indices, minlength=1).max(initial=0))
        if best is not None and fewest + aside.size >= best.products:
            continue
        colours = _coloured(rest)
        if symmetric and aside.size:
            colours[aside] = -1
        found = Colouring(colours, int(colours.max(initial=-1)) + 1, aside)
        if best is None or found.products < best.products:
            best = found
    assert best is not None
    return best


def _candidates(pattern: Any, symmetric: bool) -> list[np.ndarray]:
    """Sets of rows that may be set aside: none, and those that are much fuller than the typical row."""
    counts = np.bincount(pattern.indices, minlength=pattern.shape[0])
    full = np.flatnonzero(counts > MUCH_FULLER * max(float(np.median(counts)), 1.0) + 1)
    none = np.empty(0, dtype=np.int64)
    if not full.size:
        return [none]
    falling_rows = full[np.argsort(-counts[full], kind="stable")]
    fullest = falling_rows[:MOST_ASIDE]
    candidates = [np.sort(fullest)]
    # Those set aside and the entries of the fullest row that is left: so many products it takes at least.
    least = np.arange(1, full.size + 1) + np.append(counts[falling_rows[1:]], np.median(counts))
    best = int(np.argmin(least)) + 1
    if symmetric and best > MOST_ASIDE:
        candidates.insert(0, np.sort(falling_rows[:best]))
    # The largest gap in fullness tells the full rows from the middling ones.
    falling = counts[fullest].astype(float)
    after = np.append(falling[1:], np.median(counts))
    cut = int(np.argmax(falling / np.maximum(after, 1.0))) + 1
    if cut < fullest.size:
        candidates.append(np.sort(fullest[:cut]))
    # Without them no colouring has fewer colours than the fullest row has entries.
    if counts.max() <= fullest.size + np.median(counts):
        candidates.append(none)
    return candidates


def _without(pattern: Any, keep: np.ndarray, symmetric: bool) -> Any:
    from scipy.sparse import csc_array

    entries = keep[pattern.indices]
    column = np.repeat(np.arange(pattern.shape[1]), np.diff(pattern.indptr))
    if symmetric:
        entries &= keep[column]
    counts = np.bincount(column[entries], minlength=pattern.shape[1])
    indptr = np.concatenate([[0], np.cumsum(counts)])
    return csc_array((pattern.data[entries], pattern.indices[entries], indptr), shape=pattern.shape)


def _coloured(pattern: Any) -> np.ndarray:
    """A colour for each column, (n,): by a period where that is nearly best, else greedily."""
    counts = np.bincount(pattern.indices, minlength=pattern.shape[0])
    fewest = int(counts.max(initial=0))
    n = pattern.shape[1]
    if fewest <= 1:
        return np.zeros(n, dtype=np.int32)
    if fewest * counts.size > UNEVEN * pattern.nnz:
        return _greedy(pattern)
    column = np.repeat(np.arange(n), np.diff(pattern.indptr))
    rows = pattern.indices.astype(np.int64)
    for period in range(fewest, fewest + PERIODS_TRIED):
        # Rows of a band repeat: its colouring is the column number modulo the width of the band.
        hits = np.bincount(rows * period + column % period, minlength=1)
        if hits.max(initial=0) <= 1:
            return (np.arange(n) % period).astype(np.int32)
    return _greedy(pattern)


def _greedy(pattern: Any) -> np.ndarray:
    """Each column in turn gets the first colour that none of its rows has met; (n,)."""
    met = [0] * pattern.shape[0]
    starts = pattern.indptr.tolist()
    rows = pattern.indices.tolist()
    colours = np.empty(pattern.shape[1], dtype=np.int32)
    for column in range(pattern.shape[1]):
        mine = rows[starts[column] : starts[column + 1]]
        forbidden = 0
        for row in mine:
            forbidden |= met[row]
        colour = ~forbidden & (forbidden + 1)
        for row in mine:
            met[row] |= colour
        colours[column] = colour.bit_length() - 1
    return colours
