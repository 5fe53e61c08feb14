"""Products of long vectors, tile by tile: one pass through memory, and no thread of the BLAS is woken.

A BLAS splits a product of two vectors of 10⁶ numbers over all cores. On an idle machine that saves a quarter of
a millisecond. When another process holds one of the cores, the call waits until the scheduler gives it back:
8 ms instead of 0.5 were measured, at every product. Tiles below the size at which threads are woken cost
nothing when the machine is quiet, and nothing when it is busy; and the sum of their sums is more accurate.
"""

from __future__ import annotations

from math import inf, isfinite, sqrt
from typing import Any

import numpy as np

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

# OpenBLAS and MKL leave products of two vectors up to this length to one core.
BLOCK = 8_192

# Length of a row within a tile: 40 rows of it fit the second-level cache, and the call for each tile is cheap
# beside its 10,000 and more products.
TILE = 512


def inner(a: Vector, b: Vector) -> float:
    """aᵀb for two vectors of shape (n,).

    >>> inner(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    11.0
    """
    n = a.size
    if n <= BLOCK:
        return float(a.dot(b))
    even = n - n % BLOCK
    shape = (-1, BLOCK)
    blocks = np.vecdot(a[:even].reshape(shape), b[:even].reshape(shape))
    return float(blocks.sum()) + float(a[even:].dot(b[even:]))


def length(v: Vector) -> float:
    """Euclidean length of a vector, shape (n,), also where its square would overflow or underflow.

    >>> length(np.array([0.0, -2e-200]))
    2e-200
    """
    square = inner(v, v)
    if 1e-280 < square < inf:
        return sqrt(square)
    largest = float(np.abs(v).max(initial=0.0))
    if largest == 0.0 or not isfinite(largest):
        return largest
    scaled = v / largest
    return largest * sqrt(inner(scaled, scaled))


class Rows:
    """`count` vectors of shape (n,), stored together so that a product with all of them is one pass.

    They lie in tiles of 512 columns, zero at first; what is left of n over whole tiles lies in `tail`.

    >>> rows = Rows(2, 3)
    >>> rows.write(1, np.array([1.0, 2.0, 3.0]))
    >>> rows.times(np.ones(3), 2)
    array([0., 6.])
    >>> rows.combined(np.array([0.0, 2.0]))
    array([2., 4., 6.])
    """

    def __init__(self, count: int, n: int) -> None:
        self.count = count
        self.n = n
        self._even = n - n % TILE
        self.tiles = np.zeros((n // TILE, count, TILE))
        self.tail = np.zeros((count, n % TILE))

    def write(self, index: int, v: Vector | float) -> None:
        """Put `v`, shape (n,), or one number throughout, into the row `index`."""
        if isinstance(v, float):
            self.tiles[:, index], self.tail[index] = v, v
            return
        self.tiles[:, index] = v[: self._even].reshape(-1, TILE)
        self.tail[index] = v[self._even :]

    def times(self, v: Vector, used: int) -> Vector:
        """Products of the first `used` rows with `v`, shape (n,); shape (used,)."""
        products: Vector = self.tail[:used].dot(v[self._even :])
        if self._even:
            products += np.matvec(self.tiles[:, :used], v[: self._even].reshape(-1, TILE)).sum(axis=0)
        return products

    def combined(self, coefficients: Vector) -> Vector:
        """The first rows times `coefficients`, shape (used,), added up: shape (n,)."""
        used = coefficients.size
        total = np.empty(self.n)
        np.vecmat(coefficients, self.tiles[:, :used], out=total[: self._even].reshape(-1, TILE))
        np.dot(coefficients, self.tail[:used], out=total[self._even :])
        return total

    def within(self, mask: np.ndarray[Any, np.dtype[np.bool_]], used: int) -> Matrix:
        """Products of the first `used` rows with each other over the columns in `mask`; shape (used, used)."""
        part = self.tail[:used, mask[self._even :]]
        total: Matrix = part.dot(part.T)
        per_block = BLOCK // TILE
        for first in range(0, len(self.tiles), per_block):
            tiles = self.tiles[first : first + per_block, :used]
            part = np.where(mask[first * TILE :][: len(tiles) * TILE].reshape(-1, 1, TILE), tiles, 0.0)
            total += np.matmul(part, tiles.transpose(0, 2, 1)).sum(axis=0)
        return total
