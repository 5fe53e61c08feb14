"""Will a sparse symmetric matrix stay sparse when it is factorised? Told from its pattern alone, in a moment."""

from __future__ import annotations

import numpy as np

# Numbers that the factor of a matrix may hold: 10⁸ take seconds and a gigabyte, ten times as many take minutes.
MOST_IN_FACTOR = 2e8

# Below this many rows even a full factor is soon made.
FEW_ROWS = 5_000

# A row with this many times √n entries is told apart: eliminated last, it costs one full row of the factor.
BUSY = 10.0


def stays_sparse(indptr: np.ndarray, indices: np.ndarray) -> bool:
    """Whether the factor of a symmetric matrix, its pattern in CSC, is small enough to be worth making.

    The envelope after a reverse Cuthill-McKee ordering bounds the fill from above (George & Liu, "Computer Solution
    of Large Sparse Positive Definite Systems", 1981, section 4). A graph without any order, such as pairs drawn at
    random, has an envelope, and a fill, of a good part of n²/2.

    >>> n = 10_000
    >>> chain = np.arange(n + 1), np.arange(n)
    >>> stays_sparse(*chain)
    True
    """
    n = indptr.size - 1
    if n <= FEW_ROWS:
        return True
    widths, busy = _envelope(indptr, indices)
    return float(widths.sum()) + float(busy) * n <= MOST_IN_FACTOR


def work_to_factorise(indptr: np.ndarray, indices: np.ndarray) -> float:
    """Multiplications that factorising a symmetric matrix takes at most, in round numbers, from its pattern in CSC.

    Within the envelope each row costs the square of its width; a row that is told apart, the size of the matrix twice.

    >>> n = 10_000
    >>> work_to_factorise(np.arange(n + 1), np.arange(n)) <= n
    True
    """
    widths, busy = _envelope(indptr, indices)
    return float((widths.astype(np.float64) ** 2).sum()) + 2.0 * float(busy) * float(
        widths.sum() + indptr.size
    )


def _envelope(indptr: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, int]:
    """The width of each row's envelope after reverse Cuthill-McKee, and how many busy rows were left out."""
    from scipy.sparse import csc_array
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    n = indptr.size - 1
    busy = np.diff(indptr) > BUSY * np.sqrt(n)
    pattern = csc_array((np.ones(indices.size, dtype=np.int8), indices, indptr), shape=(n, n))
    if busy.any():
        pattern = csc_array(pattern[~busy][:, ~busy])
    order = reverse_cuthill_mckee(pattern.tocsr(), symmetric_mode=True)
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size)
    entries = pattern.tocoo()
    first = np.arange(order.size)
    np.minimum.at(first, place[entries.col], place[entries.row])
    return np.arange(order.size) - first, int(busy.sum())
