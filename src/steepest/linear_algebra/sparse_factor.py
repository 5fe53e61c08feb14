"""LDLᵀ of a sparse symmetric matrix whose numbers change and whose pattern stays: analysed once, then refilled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from . import lapack
from .equilibrate import ROUNDING, ROUNDS

Vector = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


# A band this narrow is factorised by LAPACK, which needs no order of elimination: of 10⁶ parameters in 40 ms, where
# QDLDL takes 30, after half a second that it needs once. Of few parameters a wider one is too, in a tenth of the time.
NARROW_BAND = 8
BANDED_PARAMETERS, BAND = 4_000, 30

# Columns with at most so many entries are laid side by side to find their largest.
NARROW = 16

# Where no more than this part of the parameters is free, theirs alone is the matrix that is factorised. To analyse it
# takes about as long as a factorisation of the whole, and pays at once; with more of them free, not before the second.
PART = 0.6

# A pivot of an indefinite matrix nearer zero than this, where entries are near one, is taken to be this large: along it
# a step would go far in a direction that means little, and many such steps lead to where no later one leads back from.
LEAST_PIVOT = 0.1


class Upwards(NamedTuple):
    """A positive definite matrix made of a symmetric one: how to `solve` with it, and what was done to the pivots.

    `negative`: how many were turned upwards, as many as there are negative eigenvalues. `lifted`: how many, of either
    sign, were too near zero and were lifted. `lowest`: the lowest pivot before. All are 0 where the matrix is positive
    definite itself.
    """

    solve: Callable[[Vector], Vector]
    negative: int
    lifted: int
    lowest: float = 0.0


class SymmetricPattern:
    """Where the entries of a sparse symmetric matrix stand, and all that follows from that alone.

    `matrix`: a SciPy CSC array (n, n) with both triangles stored, as every one that is factorised by this. The order of
    elimination that keeps L sparse (approximate minimum degree) and the shape of L are found once, at the first
    factorisation; a further one costs a few milliseconds for 10⁵ parameters.

    >>> from scipy.sparse import csc_array
    >>> A = csc_array(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> solve = SymmetricPattern(A).factorise(A.data, 0.0, None)
    >>> solve(np.array([3.0, 3.0]))
    array([1., 1.])
    """

    def __init__(self, matrix: Any) -> None:
        n = matrix.shape[0]
        self.n = n
        self.indices, self.indptr = matrix.indices, matrix.indptr
        self.rows = np.asarray(matrix.indices)
        self.columns = np.repeat(np.arange(n, dtype=self.rows.dtype), np.diff(matrix.indptr))
        self.on_diagonal = self.rows == self.columns
        # The upper triangle with its whole diagonal, column by column, and where entries and diagonal stand in it.
        upper = np.flatnonzero(self.rows <= self.columns)
        rows, columns = self.rows[upper], self.columns[upper]
        if _is_in_order(rows, columns) and np.count_nonzero(rows == columns) == n:
            self._is_sorted = True
            self._diagonal = np.flatnonzero(rows == columns)
            self._rows, self._columns = rows, columns
        else:
            self._is_sorted = False
            place = self._with_whole_diagonal(rows, columns)
            self._place, self._diagonal = place[: upper.size], place[upper.size :]
        self._upper = upper
        # As NumPy takes them: others would be converted at every use.
        self._rows, self._columns = self._rows.astype(np.intp), self._columns.astype(np.intp)
        self._triangle = _Triangle(n, self._rows, self._columns, self._diagonal)
        self._face: _Face | None = None
        self._like: Any = None

    def _with_whole_diagonal(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Places of entries of the upper triangle, then of the diagonal, once they are sorted; equal places are one."""
        every = np.arange(self.n, dtype=self.rows.dtype)
        rows, columns = np.concatenate([rows, every]), np.concatenate([columns, every])
        order = np.lexsort((rows, columns))
        first = np.ones(order.size, dtype=bool)
        first[1:] = (np.diff(rows[order]) != 0) | (np.diff(columns[order]) != 0)
        place = np.empty(order.size, dtype=np.intp)
        place[order] = np.cumsum(first) - 1
        self._rows, self._columns = rows[order][first], columns[order][first]
        return place

    def fits(self, matrix: Any) -> bool:
        """Whether a matrix has its entries where this one has."""
        if matrix.indices is self.indices and matrix.indptr is self.indptr:
            return True
        return np.array_equal(matrix.indptr, self.indptr) and np.array_equal(matrix.indices, self.indices)

    def matrix(self, data: Vector) -> Any:
        """The SciPy CSC array with these numbers."""
        if self._like is None:
            from scipy.sparse import csc_array

            self._like = refilled(csc_array((data, self.indices, self.indptr), (self.n, self.n)), data[:0])
        return refilled(self._like, data)

    def diagonal(self, data: Vector) -> Vector:
        """The diagonal, shape (n,)."""
        found = np.zeros(self.n)
        places, rows = self._on_diagonal
        found[rows] = data[places]
        return found

    @cached_property
    def _on_diagonal(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the entries on the diagonal stand, and their rows."""
        places = np.flatnonzero(self.on_diagonal)
        return places, self.rows[places]

    def upper(self, data: Vector, d: Vector | None = None) -> Vector:
        """The upper triangle of A, or of d·A·d for d of shape (n,), with its whole diagonal, as it is factorised."""
        values: Vector = data[self._upper]
        if not self._is_sorted:
            sorted_ = np.zeros(self._rows.size)
            sorted_[self._place] = values
            values = sorted_
        if d is not None:
            for places in self._rows, self._columns:
                values *= np.take(d, places, out=self._room, mode="clip")  # "raise" would take a copy more
        return values

    def scaled(self, data: Vector, d: Vector) -> Vector:
        """The numbers of d·A·d, for d of shape (n,)."""
        # One unit after the other: the product of two that make up for tiny numbers is infinite.
        found: Vector = np.repeat(d, np.diff(self.indptr))
        found *= data
        found *= d[self.rows]
        return found

    def equilibration(self, data: Vector) -> Vector:
        """d (n,) such that every nonzero row of d·A·d has its largest entry near one; see `equilibrate`."""
        d = np.ones(self.n)
        largest = self._largest_of_columns(np.abs(data))
        for _ in range(ROUNDS):
            rows = largest(d) * d
            d = d / np.sqrt(np.where(rows > 0.0, rows, 1.0))
        return d

    def balanced(self, data: Vector) -> Vector:
        """The same; at once where every entry is at most the root of its two diagonal ones, as of dense matrices."""
        diagonal = self.diagonal(data)
        upwards = diagonal > 0.0
        d = 1.0 / np.sqrt(np.where(upwards, diagonal, 1.0))
        size = np.abs(self.scaled(data, d))
        # A row with nothing on the diagonal may do without units of its own only if it is empty.
        hangs = not upwards.all() and size[~upwards[self.rows]].any()
        return self.equilibration(data) if hangs or size.max(initial=0.0) > ROUNDING else d

    def is_even(self, data: Vector, factor: float) -> bool:
        """Whether the largest entry of each row that is not zero lies within this factor of one."""
        rows = self._largest_of_columns(np.abs(data))(np.ones(self.n))
        return bool(((rows <= factor) & ((rows >= 1.0 / factor) | (rows == 0.0))).all())

    def _largest_of_columns(self, size: Vector) -> Callable[[Vector], Vector]:
        """From d (n,) to the largest of `size`·d in each column, shape (n,); `size` in the order of the pattern."""
        entries = np.diff(self.indptr)
        if entries.max(initial=0) <= NARROW:
            place, rows = self._side_by_side
            sizes = np.where(place < size.size, size[np.minimum(place, size.size - 1)], 0.0)
            return lambda d: (sizes * d[rows]).max(axis=0, initial=0.0)
        filled = np.flatnonzero(entries)
        starts = self.indptr[filled]

        def largest(d: Vector) -> Vector:
            found = np.zeros(self.n)
            found[filled] = np.maximum.reduceat(size * d[self.rows], starts)
            return found

        return largest

    def factorise(
        self, data: Vector, shift: float | Vector, free: Mask | None
    ) -> Callable[[Vector], Vector] | None:
        """How to solve with A plus a shift of its diagonal, or None where that is not positive definite.

        `shift`: one number, or one for each parameter (n,).
        `data`: the numbers of A, in the order of the pattern. With `free`, rows and columns outside that mask are those
        of the unit matrix, so that the pattern stays. What is returned serves until the next factorisation.
        """
        return self.factorise_upper(self.upper(data), shift, free)

    def factorise_upper(
        self, upper: Vector, shift: float | Vector, free: Mask | None
    ) -> Callable[[Vector], Vector] | None:
        """The same for a matrix given by its `upper` triangle."""
        triangle = self._triangle
        if free is None:
            return triangle.factorise(upper, shift)
        if not triangle.is_narrow and np.count_nonzero(free) <= PART * self.n:
            return self._face_of(free).factorise(upper, shift)
        values = triangle.shifted(upper, shift)
        values *= free[self._rows] & free[self._columns]
        values[self._diagonal[~free]] = 1.0
        return triangle.factorise(values, 0.0)

    def _face_of(self, free: Mask) -> _Face:
        """The part of the matrix over these parameters, from memory if it was the last one asked for."""
        if self._face is None or not np.array_equal(self._face.free, free):
            self._face = _Face(self._rows, self._columns, free.copy())
        return self._face

    def upwards(self, upper: Vector, shift: float) -> Upwards | None:
        """A + shift·I, A given by its `upper` triangle, or where it is indefinite a positive definite matrix beside it.

        None where there is no LDLᵀ. That one is L|D|Lᵀ: where a pivot is negative, the same curvature upwards, and
        elsewhere the matrix itself. Entries of A are taken to be near one. What is returned serves until the next
        factorisation.
        """
        triangle = self._triangle
        if triangle.is_narrow:
            banded = triangle.factorise(upper, shift)
            if banded is not None:
                return Upwards(banded, 0, 0)
        solver = triangle.refilled(triangle.shifted(upper, shift))
        if solver is None:
            return None
        L, pivots, order = solver.factors()
        if not pivots.all():  # one is exactly zero: qdldl has stopped there, and its update does not say so
            return None
        solve = solver.solve
        negative = int((pivots < 0.0).sum())
        if negative == 0:
            return Upwards(solve, 0, 0)
        size = np.abs(pivots)
        turn = pivots / np.maximum(size, LEAST_PIVOT)

        def solved(b: Vector) -> Vector:
            # The factors are offered by products and by their whole inverse alone: L⁻¹b = D·Lᵀ·(LDLᵀ)⁻¹b.
            y = solve(b)[order]
            z = turn * pivots * (y + L.T @ y)
            turned = np.empty_like(z)
            turned[order] = z + L @ z
            return solve(turned)

        return Upwards(solved, negative, int((size < LEAST_PIVOT).sum()), float(pivots.min()))

    @cached_property
    def _side_by_side(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the first, second, third entry of each column stands, and its row, both (most entries, n).

        The maximum over columns laid out so takes a tenth of the time. Past the last entry the place is past all.
        """
        entries = np.diff(self.indptr)
        which = np.arange(int(entries.max(initial=0)))[:, None]
        place = np.where(which < entries, self.indptr[:-1] + which, self.rows.size)
        rows = self.rows[np.minimum(place, self.rows.size - 1)].astype(np.intp)
        return place, rows

    # Fresh memory is dearer than the arithmetic done in it; what is held is written anew at each use.

    @cached_property
    def _room(self) -> Vector:
        return np.empty(self._rows.size)


class _Triangle:
    """The upper triangle of a sparse symmetric matrix with its whole diagonal, column by column, and how to factorise.

    `rows` and `columns` of its entries, (entries,), and where the `diagonal` stands among them, (n,). A narrow band is
    factorised by LAPACK, and the rest by QDLDL, which analyses the pattern at the first factorisation.
    """

    def __init__(self, n: int, rows: np.ndarray, columns: np.ndarray, diagonal: np.ndarray) -> None:
        self.n = n
        self._rows, self._columns, self._diagonal = rows, columns, diagonal
        self._width = int((columns - rows).max(initial=0))
        self.is_narrow = self._width <= (BAND if n <= BANDED_PARAMETERS else NARROW_BAND)
        self._solver: Any = None
        self._held: Any = None
        self._is_factorised = False

    def factorise(self, values: Vector, shift: float | Vector) -> Callable[[Vector], Vector] | None:
        """How to solve with the matrix of these entries plus a shift of its diagonal; None as `SymmetricPattern`'s."""
        if self.is_narrow:
            return self._banded(values, shift)
        solver = self.refilled(self.shifted(values, shift))
        if solver is None or not (solver.factors()[1] > 0.0).all():
            return None
        solve: Callable[[Vector], Vector] = solver.solve
        return solve

    def _banded(self, values: Vector, shift: float | Vector) -> Callable[[Vector], Vector] | None:
        if self._width == 1:
            return self._tridiagonal(values, shift)
        # LAPACK holds the upper triangle of a band column by column, as it stands here.
        band = self._band
        band.fill(0.0)
        band.ravel()[self._in_band] = values
        band[:, self._width] += shift
        factor, trouble = lapack.dpbtrf(band.T, 0, overwrite_ab=1)
        return None if trouble else lambda b: lapack.dpbtrs(factor, b, 0)[0]

    def _tridiagonal(self, values: Vector, shift: float | Vector) -> Callable[[Vector], Vector] | None:
        """The same by LDLᵀ, which takes half the time of Cholesky's factor in a band of one."""
        beside = np.zeros(self.n - 1)
        beside[self._rows[self._beside]] = values[self._beside]
        pivots, factor, trouble = lapack.dpttrf(values[self._diagonal] + shift, beside, 1, 1)
        return None if trouble else lambda b: lapack.dpttrs(pivots, factor, b)[0]

    @cached_property
    def _beside(self) -> np.ndarray:
        """Where the entries beside the diagonal stand."""
        return np.flatnonzero(self._rows != self._columns)

    @cached_property
    def _band(self) -> np.ndarray:
        return np.empty((self.n, self._width + 1))

    @cached_property
    def _in_band(self) -> np.ndarray:
        """Where the entries of the upper triangle stand in the band, flattened."""
        return self._columns * self._width + self._width + self._rows

    def shifted(self, values: Vector, shift: float | Vector) -> Vector:
        """The entries with a shift of the diagonal."""
        values = values.copy()
        values[self._diagonal] += shift
        return values

    def refilled(self, values: Vector) -> Any | None:
        """QDLDL's factors of the matrix with these entries; None where there are none.

        Those of a quadratic are the same at every step, and factorised once.
        """
        if self._is_factorised and np.array_equal(self._held.data, values):
            return self._solver
        import qdldl

        if self._held is None:
            starts = np.zeros(self.n + 1, dtype=np.int64)
            np.cumsum(np.bincount(self._columns, minlength=self.n), out=starts[1:])
            self._held = _upper_triangle(self.n, self._rows, starts)
        self._held.data[:] = values
        self._is_factorised = False
        try:
            if self._solver is None:
                self._solver = qdldl.Solver(self._held, upper=True)
            else:
                self._solver.update(self._held, upper=True)
        except RuntimeError:  # a pivot is exactly zero
            return None
        self._is_factorised = True
        return self._solver


class _Face:
    """The part of a triangle whose rows and columns are those of the parameters in `free`, (n,)."""

    def __init__(self, rows: np.ndarray, columns: np.ndarray, free: Mask) -> None:
        self.free = free
        self._kept = np.flatnonzero(free)
        self._places = np.flatnonzero(free[rows] & free[columns])
        which = np.cumsum(free) - 1
        rows, columns = which[rows[self._places]], which[columns[self._places]]
        self._triangle = _Triangle(self._kept.size, rows, columns, np.flatnonzero(rows == columns))

    def factorise(self, upper: Vector, shift: float | Vector) -> Callable[[Vector], Vector] | None:
        """How to solve with this part of a matrix given by its `upper` triangle; the rest is the unit matrix."""
        if not self._kept.size:
            return np.copy
        own = shift[self._kept] if isinstance(shift, np.ndarray) else shift
        solve = self._triangle.factorise(upper[self._places], own)
        if solve is None:
            return None

        def solved(b: Vector) -> Vector:
            x = b.copy()
            x[self._kept] = solve(b[self._kept])
            return x

        return solved


def refilled(like: Any, data: Vector) -> Any:
    """A SciPy sparse array as another, with other numbers in the same places; SciPy takes fifty times as long for one.

    >>> from scipy.sparse import csc_array
    >>> refilled(csc_array(np.eye(2)), np.array([3.0, 4.0])).toarray()
    array([[3., 0.],
           [0., 4.]])
    """
    matrix = object.__new__(type(like))
    vars(matrix).update(vars(like), data=data)
    return matrix


def _is_in_order(rows: np.ndarray, columns: np.ndarray) -> bool:
    """Whether entries in order of their columns have their rows in order within each, and none twice."""
    return bool(((rows[1:] > rows[:-1]) | (columns[1:] != columns[:-1])).all())


def _upper_triangle(n: int, rows: np.ndarray, starts: np.ndarray) -> Any:
    """A SciPy CSC matrix with these places, to be refilled: making one takes longer than small factors."""
    from scipy.sparse import csc_matrix

    return csc_matrix((np.zeros(rows.size), rows, starts), (n, n))
