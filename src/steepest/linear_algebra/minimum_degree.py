"""What factorising a sparse symmetric matrix takes in the order of minimum degree, counted without a number of it.

Whoever meets fewest others is eliminated first, and makes those it met meet each other (Tinney & Walker, "Direct
Solutions of Sparse Network Equations by Optimally Ordered Triangular Factorization", Proceedings of the IEEE 55, 1967).
The graph itself is eliminated, each row a set of bits, which takes as long as some hundred slopes where a bound from
the envelope may be fifty times too high: where pairs are drawn at random, envelopes tell next to nothing.
"""

from __future__ import annotations

import heapq
from math import inf

import numpy as np

# Of more rows that differ, the sets of bits would take gigabytes and minutes.
MOST_ROWS = 8_000

# In place of what a row meets once it is eliminated.
GONE = -1

# Above this many times the entries of J, the product JᵀJ and its factors would no longer be sparse.
FILL = 30.0


def work_by_minimum_degree(indptr: np.ndarray, indices: np.ndarray, most: float = inf) -> float:
    """Multiplications that LDLᵀ of a symmetric matrix takes in that order, from its pattern in CSC, both triangles.

    A column of L with c entries below its diagonal takes c². Infinite where they are more than `most`, or where more
    than `MOST_ROWS` rows differ. Rows with their entries in the same places are eliminated together, wherever they
    stand.

    >>> n = 1_000
    >>> ring = np.arange(0, 3 * n + 1, 3), (np.arange(n)[:, None] + [-1, 0, 1]).ravel() % n
    >>> work_by_minimum_degree(*ring)      # two entries below each diagonal, but for the last two columns
    3993.0
    """
    sizes, meets = _alike(indptr, indices)
    if len(meets) > MOST_ROWS:
        return inf
    nearest = [(row.bit_count(), at) for at, row in enumerate(meets)]
    heapq.heapify(nearest)
    left, here, work = int(sizes.sum()), len(meets), 0.0
    while nearest and work <= most:
        degree, at = heapq.heappop(nearest)
        row = meets[at]
        if row == GONE or degree != row.bit_count():
            continue  # noted before it met others
        if degree == here - 1:  # all that are left meet each other
            work += _columns(left, 0)
            break
        others = _bits(row)
        work += _columns(int(sizes[at]), int(sizes[others].sum()))
        meets[at] = GONE
        left, here = left - int(sizes[at]), here - 1
        itself = 1 << at
        for other in others.tolist():
            theirs = (meets[other] | row) & ~(itself | 1 << other)
            meets[other] = theirs
            heapq.heappush(nearest, (theirs.bit_count(), other))
    return work if work <= most else inf


def normal_work(shape: tuple[int, int], indptr: np.ndarray, indices: np.ndarray, most: float = inf) -> float:
    """The same for JᵀJ, from the pattern of a sparse J, `shape` (m, n), in CSC; also infinite where that is not sparse.

    >>> chain = np.arange(0, 2 * 100 + 1, 2), (np.arange(100)[:, None] + [0, 1]).ravel()
    >>> normal_work((101, 100), *chain)
    99.0
    """
    if not keeps_sparse(np.bincount(indices, minlength=1), indices.size):
        return inf
    from scipy.sparse import csc_array

    J = csc_array((np.ones(indices.size, dtype=np.int32), indices, indptr), shape=shape)
    normal = (J.T @ J).tocsc()
    normal.sort_indices()
    return work_by_minimum_degree(normal.indptr, normal.indices, most)


def keeps_sparse(entries_of_rows: np.ndarray, entries: int) -> bool:
    """Whether JᵀJ of a sparse J with so many entries in each row (m,), and in all, is sparse as well.

    >>> keeps_sparse(np.array([2, 2, 2]), 6), keeps_sparse(np.array([2, 2, 100]), 104)
    (True, False)
    """
    each = entries_of_rows.astype(np.float64)
    return float(each @ each) <= FILL * max(entries, 1)


def _alike(indptr: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """How many rows are alike, of each kind, and which other kinds each meets, as bits of a whole number."""
    n = indptr.size - 1
    kinds: dict[bytes, int] = {}
    kind_of = np.empty(n, dtype=np.intp)
    rows: list[np.ndarray] = []
    for row in range(n):
        entries = np.union1d(indices[indptr[row] : indptr[row + 1]], row)
        kind_of[row] = kind = kinds.setdefault(entries.tobytes(), len(kinds))
        if kind == len(rows):
            rows.append(entries)
            if kind > MOST_ROWS:
                break
    sizes = np.bincount(kind_of[: row + 1] if n else kind_of, minlength=len(rows))
    if len(rows) > MOST_ROWS:
        return sizes, [0] * len(rows)
    meets = []
    for kind, entries in enumerate(rows):
        seen = np.zeros(len(rows), dtype=bool)
        seen[kind_of[entries]] = True
        seen[kind] = False
        meets.append(int.from_bytes(np.packbits(seen, bitorder="little").tobytes(), "little"))
    return sizes, meets


def _bits(row: int) -> np.ndarray:
    """Where a whole number has its bits."""
    held = np.frombuffer(row.to_bytes((row.bit_length() + 7) // 8, "little"), dtype=np.uint8)
    return np.flatnonzero(np.unpackbits(held, bitorder="little"))


def _columns(size: int, below: int) -> float:
    """What so many columns that meet each other and so many rows below take: each has one entry fewer than the last."""
    entries = np.arange(below, below + size, dtype=np.float64)
    return float(entries @ entries)
