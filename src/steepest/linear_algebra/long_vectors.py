"""Products of long vectors, tile by tile: one pass through memory, and no thread of the BLAS is woken.

A BLAS splits a product of two vectors of 10⁶ numbers over all cores. On an idle machine that saves a quarter of
a millisecond. When another process holds one of the cores, the call waits until the scheduler gives it back:
8 ms instead of 0.5 were measured, at every product. Tiles below the size at which threads are woken cost
nothing when the machine is quiet, and nothing when it is busy; and the sum of their sums is more accurate.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite, sqrt
from typing import Any

import numpy as np

from ..numerics import FEW

Vector = np.ndarray[Any, np.dtype[np.float64]]
Matrix = np.ndarray[Any, np.dtype[np.float64]]

# Stretches of rows.
Ranges = Sequence[slice]

# OpenBLAS and MKL leave products of two vectors up to this length to one core.
BLOCK = 8_192

# Length of a row within a tile. Shorter, and each row's product ends before the memory's prefetching has begun; longer,
# and the vector's own part has left the first-level cache when the next row comes: 17, 26 and 19 GB/s were measured
# for 512, 1024 and 2048 where a copy ran at 24.
TILE = 1_024

# Numbers in all rows up to which they are one matrix: a megabyte, which the second-level cache holds. OpenBLAS leaves
# its products with a vector to one core up to 460,800. With 40 rows of 2,550 what L-BFGS takes of them takes half as
# long as tile by tile; with 6,000 seven tenths.
ONE_MATRIX = 131_072

# Numbers handled at a time where several operations share one pass: few calls, and still within the second level.
SHARED = 32 * TILE


def inner(a: Vector, b: Vector) -> float:
    """aᵀb for two vectors of shape (n,), both on the host or both on an accelerator.

    >>> inner(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    11.0
    """
    n = a.size
    if n <= BLOCK:
        return float(a.dot(b))
    if not isinstance(a, np.ndarray):
        from .device_vectors import inner as inner_on_device

        return inner_on_device(a, b)
    even = n - n % BLOCK
    shape = (-1, BLOCK)
    blocks = np.vecdot(a[:even].reshape(shape), b[:even].reshape(shape))
    return float(blocks.sum()) + float(a[even:].dot(b[even:]))


def length(v: Vector) -> float:
    """Euclidean length of a vector, shape (n,), also where its square would overflow or underflow.

    >>> length(np.array([0.0, -2e-200]))
    2e-200
    """
    square = float(v.dot(v)) if v.size <= BLOCK else inner(v, v)
    if 1e-280 < square < inf:
        return sqrt(square)
    v = np.asarray(v)  # seldom needed; outside its scope an accelerator would divide in single precision
    largest = float(np.abs(v).max(initial=0.0))
    if largest == 0.0 or not isfinite(largest):
        return largest
    scaled = v / largest
    return largest * sqrt(inner(scaled, scaled))


def is_finite(v: Vector) -> bool:
    """Whether a vector, shape (n,), holds no NaN and no infinity, and its entries add up without overflow.

    >>> is_finite(np.array([1.0, -2.0])), is_finite(np.array([1.0, np.nan]))
    (True, False)
    """
    return isfinite(sum(v.tolist()) if v.size <= FEW else np.add.reduce(v))


def holds_everywhere(mask: Any) -> bool:
    """Whether all of a mask, shape (n,), is true."""
    return all(mask.tolist()) if mask.size <= FEW else bool(mask.all())


def is_zero(v: Any) -> bool:
    """Whether a vector or mask, shape (n,), holds nothing but zeros."""
    return not (any(v.tolist()) if v.size <= FEW else v.any())


class Rows:
    """`count` vectors of shape (n,), stored together so that a product with all of them is one pass.

    They lie in tiles of 1,024 columns, zero at first; the last tile is as long as what is left of n. Few rows or short
    ones are a single tile.

    >>> rows = Rows(2, 3)
    >>> rows.write(1, np.array([1.0, 2.0, 3.0]))
    >>> rows.times(np.ones(3), 2)
    array([0., 6.])
    >>> rows.combined(np.array([0.0, 2.0]))
    array([2., 4., 6.])
    >>> Rows.of(rows.whole()).times(np.ones(3), 2)
    array([0., 6.])
    """

    def __init__(self, count: int, n: int) -> None:
        self.count = count
        self.n = n
        self._matrix = np.zeros((count, n)) if count * n <= ONE_MATRIX else None
        if self._matrix is not None:
            self._parts = [(slice(0, n), self._matrix[None])]
            return
        even = n - n % TILE
        self.tiles = np.zeros((n // TILE, count, TILE))
        self.tail = np.zeros((count, n % TILE))
        per_part = SHARED // TILE
        self._parts = [
            (slice(first * TILE, (first + len(tiles)) * TILE), tiles)
            for first in range(0, len(self.tiles), per_part)
            for tiles in [self.tiles[first : first + per_part]]
        ]
        if even < n:
            self._parts.append((slice(even, n), self.tail[None]))

    @classmethod
    def of(cls, matrix: Matrix) -> Rows:
        """The rows of a matrix, (count, n)."""
        rows = cls(*matrix.shape)
        for part, tiles in rows._parts:
            tiles[...] = matrix[:, part].reshape(rows.count, len(tiles), -1).swapaxes(0, 1)
        return rows

    def whole(self) -> Matrix:
        """All rows as one array, (count, n), which is nobody else's."""
        matrix = np.empty((self.count, self.n))
        for part, tiles in self._parts:
            matrix[:, part] = tiles.swapaxes(0, 1).reshape(self.count, -1)
        return matrix

    def write(self, index: int, v: Vector | float) -> None:
        """Put `v`, shape (n,), or one number throughout, into the row `index`."""
        for part, tiles in self._parts:
            tiles[:, index] = v if isinstance(v, float) else _tiled(v[part], tiles)

    def learn(
        self, index: int, direction: Vector, t: float, new: Vector, old: Vector, ranges: Ranges
    ) -> tuple[Vector, float, float, float]:
        """Write s = t·`direction` and y = `new` - `old`, shape (n,), into rows `index` and `index` + 1, in one pass.

        Gives the products with `new` of all rows in `ranges`, zero for the others, shape (end of the last range,); and
        sᵀs, sᵀy, yᵀy.
        """
        products = np.zeros(ranges[-1].stop)
        matrix = self._matrix
        if matrix is not None:
            own_s, own_y = matrix[index], matrix[index + 1]
            np.multiply(direction, t, out=own_s)
            np.subtract(new, old, out=own_y)
            for rows in ranges:
                np.dot(matrix[rows], new, out=products[rows])
            return products, inner(own_s, own_s), inner(own_s, own_y), inner(own_y, own_y)
        ss = sy = yy = 0.0
        for part, tiles in self._parts:
            g = _tiled(new[part], tiles)
            own_s, own_y = tiles[:, index], tiles[:, index + 1]
            np.multiply(_tiled(direction[part], tiles), t, out=own_s)
            np.subtract(g, _tiled(old[part], tiles), out=own_y)
            ss += float(np.vecdot(own_s, own_s).sum())
            sy += float(np.vecdot(own_s, own_y).sum())
            yy += float(np.vecdot(own_y, own_y).sum())
            for rows in ranges:
                products[rows] += np.vecdot(tiles[:, rows], g[:, None]).sum(axis=0)
        return products, ss, sy, yy

    def times(self, v: Vector, used: int) -> Vector:
        """Products of the first `used` rows with `v`, shape (n,); shape (used,)."""
        if self._matrix is not None:
            return self._matrix[:used].dot(v)
        products = np.zeros(used)
        for part, tiles in self._parts:
            products += np.vecdot(tiles[:, :used], _tiled(v[part], tiles)[:, None]).sum(axis=0)
        return products

    def combined(self, coefficients: Vector, ranges: Ranges | None = None) -> Vector:
        """The first rows times `coefficients`, shape (used,), added up: shape (n,). As `combined_with` has it."""
        return self._combine(coefficients, ranges, 0.0, None)[0]

    def combined_with(
        self, coefficients: Vector, factor: float, v: Vector, ranges: Ranges | None = None
    ) -> tuple[Vector, float]:
        """The first rows times `coefficients`, plus `factor`·v, shape (n,); and its product with `v`. One pass.

        Rows outside `ranges`, where given, are not looked at.
        """
        return self._combine(coefficients, ranges, factor, v)

    def _combine(
        self, coefficients: Vector, ranges: Ranges | None, factor: float, v: Vector | None
    ) -> tuple[Vector, float]:
        first, *others = ranges or (slice(0, coefficients.size),)
        matrix = self._matrix
        if matrix is not None:
            total = coefficients[first].dot(matrix[first])
            for rows in others:
                total += coefficients[rows].dot(matrix[rows])
            if v is None:
                return total, 0.0
            total += factor * v
            return total, inner(total, v)
        total, product = np.empty(self.n), 0.0
        for part, tiles in self._parts:
            piece = _tiled(total[part], tiles)
            np.vecmat(coefficients[first], tiles[:, first], out=piece)
            for rows in others:
                piece += np.vecmat(coefficients[rows], tiles[:, rows])
            if v is not None:
                own = _tiled(v[part], tiles)
                piece += factor * own
                product += float(np.vecdot(piece, own).sum())
        return total, product

    def within(self, mask: np.ndarray[Any, np.dtype[np.bool_]], used: int) -> Matrix:
        """Products of the first `used` rows with each other over the columns in `mask`; shape (used, used)."""
        total = np.zeros((used, used))
        for part, tiles in self._parts:
            chosen = np.where(_tiled(mask[part], tiles)[:, None], tiles[:, :used], 0.0)
            total += np.matmul(chosen, tiles[:, :used].transpose(0, 2, 1)).sum(axis=0)
        return total


def _tiled(v: Any, tiles: Any) -> Any:
    """Part of a vector, seen in as many pieces as there are tiles: shape (tiles, length of a tile)."""
    return v.reshape(len(tiles), -1)
