"""Will a sparse symmetric matrix stay sparse when it is factorised? Told from its pattern alone, in a moment."""

from __future__ import annotations

import numpy as np

# Numbers that the factor of a matrix may hold: 10⁸ take seconds and a gigabyte, ten times as many take minutes.
MOST_IN_FACTOR = 2e8

# Multiplications that a factor may take: so many take half a minute, and every step would wait as long.
MOST_WORK = 5e10

# Multiplications that take QDLDL two seconds: with more, no step by a factor is worth waiting for.
BEARABLE = 5e9

# Below this many rows even a full factor is soon made.
FEW_ROWS = 5_000

# Nested dissection takes this many times b³ on a square of b × b whose points mind their neighbours, by the factors of
# QDLDL's own order: 5·10⁵, 2·10⁷ and 7·10⁸ multiplications for squares of 31, 100 and 316 with nine in a stencil.
DISSECTION = 20.0

# Fewer multiplications than this for each entry of the matrix, and a better order would save less than looking for it.
EASY = 30.0

# A row with this many times √n entries is told apart: eliminated last, it costs one full row of the factor.
BUSY = 10.0

# So is one of so many times the entries of the median row, where that tells of less work: a camera, of a point.
BUSIER = 4


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
    return any(_is_small(*_widths(indptr, indices, reorder=reorder)) for reorder in (False, True))


def _is_small(widths: np.ndarray, busy: int) -> bool:
    """Whether a factor within this envelope is small, and soon made."""
    numbers = float(widths.sum()) + float(busy) * widths.size
    return numbers <= MOST_IN_FACTOR and _dissected(widths, busy) <= MOST_WORK


def work_to_factorise(indptr: np.ndarray, indices: np.ndarray) -> float:
    """Multiplications that factorising a symmetric matrix takes at most, in round numbers, from its pattern in CSC.

    Within the envelope each row costs the square of its width; a row that is told apart, the size of the matrix twice.

    >>> n = 10_000
    >>> work_to_factorise(np.arange(n + 1), np.arange(n)) <= n
    True
    """
    work = _within(*_widths(indptr, indices, reorder=False))
    if work > EASY * indices.size:
        work = min(work, _within(*_widths(indptr, indices, reorder=True)))
    return work


def _within(widths: np.ndarray, busy: int) -> float:
    """What an envelope costs with its busy rows, of which it knows nothing but their number."""
    band = float((widths.astype(np.float64) ** 2).sum())
    return band + 2.0 * float(busy) * float(widths.sum() + widths.size + busy + 1) + float(busy) ** 3 / 3.0


def expected_work(indptr: np.ndarray, indices: np.ndarray) -> float:
    """Multiplications that factorising a symmetric matrix is likely to take in a good order, from its pattern in CSC.

    A graph whose envelope is b wide on average falls apart by taking out b of its vertices. Taken apart again and again
    it costs a few times b³, or n·b for a long strip of squares (nested dissection: George, SIAM J. Numer. Anal. 10,
    1973; Lipton, Rose & Tarjan, same journal 16, 1979); a narrow band costs its envelope. Where the order in which the
    rows stand is good enough, no other is looked for.

    >>> n = 10_000
    >>> expected_work(np.arange(n + 1), np.arange(n)) <= n
    True
    """
    work = _dissected(*_widths(indptr, indices, reorder=False))
    if work > EASY * indices.size:
        work = min(work, _dissected(*_widths(indptr, indices, reorder=True)))
    counts = np.diff(indptr)
    busier = counts > BUSIER * np.median(counts)
    if work > EASY * indices.size and busier.any():
        work = min(work, _dissected(*_widths(indptr, indices, reorder=True, busy=busier)))
    return work


def _dissected(widths: np.ndarray, busy: int) -> float:
    """The least of what the envelope costs and what nested dissection does; busy rows come last and are full."""
    n = widths.size
    full = float(busy) ** 3 / 3.0
    if n == 0:
        return full
    band = float((widths.astype(np.float64) ** 2).sum())
    b = float(widths.mean())
    return min(band, DISSECTION * max(n * b, b**3)) + 2.0 * float(busy) * float(widths.sum() + n) + full


def _widths(
    indptr: np.ndarray, indices: np.ndarray, *, reorder: bool, busy: np.ndarray | None = None
) -> tuple[np.ndarray, int]:
    """The width of each row's envelope, and how many busy rows were left out: `busy` (n,), or those with many entries.

    As the rows stand, or reordered by reverse Cuthill-McKee; that takes as long as some dozens of slopes.
    """
    n = indptr.size - 1
    counts = np.diff(indptr)
    if busy is None:
        busy = counts > BUSY * np.sqrt(n)
    if not (reorder or busy.any()):
        first, filled = np.arange(n), np.flatnonzero(counts)
        first[filled] = np.minimum(first[filled], np.minimum.reduceat(indices, indptr[filled]))
        return np.arange(n) - first, 0
    rows, columns = np.asarray(indices), np.repeat(np.arange(n), counts)
    if busy.any():
        place = np.cumsum(~busy) - 1
        kept = ~(busy[rows] | busy[columns])
        rows, columns = place[rows[kept]], place[columns[kept]]
    m = n - int(busy.sum())
    if reorder and rows.size:
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import reverse_cuthill_mckee

        pattern = csr_array((np.ones(rows.size, dtype=np.int8), (rows, columns)), shape=(m, m))
        order = reverse_cuthill_mckee(pattern, symmetric_mode=True)
        place = np.empty(m, dtype=np.int64)
        place[order] = np.arange(m)
        rows, columns = place[rows], place[columns]
    first = np.arange(m)
    np.minimum.at(first, columns, rows)
    return np.arange(m) - first, int(busy.sum())
