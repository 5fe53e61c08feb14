"""On which parameters each element of each variable depends: sets of whole arrays at a time, and what joins them.

The sets of all elements of one variable are kept as a few *columns*: integer arrays of the size of the variable, each
of which names one parameter for each element, or none. Shifts, slices and stencils are then NumPy indexing of
columns, a sum of two variables joins their lists of columns, and nothing depends on the number of elements but
NumPy's own speed. Sets that do not fit into few columns, those of sums over many elements, are kept as rows of a
sparse matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .reading import Reading

# Columns of one variable; more become rows of a sparse matrix. A matrix costs about as much as twenty columns.
MOST_COLUMNS = 200

# From this many columns on, those that differ only at edges are looked for and made one.
CROWDED = 12

# Columns that agree at so many places are compared in full.
PROBES = 64

# A pattern is given up as dense when this part of its entries is filled, and more than so many in each row
# and column: no method for sparse matrices pays beyond. One of few entries is cheap whatever it is.
DENSE = 0.25
FEW = 64
FEW_ENTRIES = 100_000

# Where as many rows as this are added up from terms of which each row would hold more entries than that, a product for
# each of them at every step takes longer than a walk by slopes alone; finding them all takes ten seconds and gigabytes.
MANY_ROWS, MOST_MEETING = 20_000, 200

# Nor is anything kept that would take more memory than this many entries (8 bytes each).
MOST_ENTRIES = 60_000_000

Column = np.ndarray


class Dense(Exception):
    """The pattern is too full to be worth knowing; `unknown` names primitives without a rule that were met."""

    def __init__(self, unknown: tuple[str, ...] = ()) -> None:
        self.unknown = unknown
        super().__init__("most entries may be nonzero")


@dataclass(frozen=True, eq=False)
class Dependence:
    """Of a variable of `size` elements: `columns`, each (size,), int32, -1 for none; `rest` CSR (size, n) or None."""

    columns: tuple[Column, ...]
    rest: Any = None


NOTHING = Dependence(())


class Dependences:
    """What each variable of a `reading` depends on, in `found`, and the operations on such sets.

    With `steps_count`, a result that changes in steps depends on its operands too. That is for functions with a
    derivative of their own making, which may see a slope where operations have none.
    `drawn`: the parameters (k,) whose traces alone are followed; None for all of them.
    """

    def __init__(self, reading: Reading, *, steps_count: bool, drawn: np.ndarray | None = None) -> None:
        self.reading = reading
        self.steps_count = steps_count
        self.n = reading.n
        self.drawn = drawn
        self.unknown: list[str] = []
        self._interned: dict[tuple[int, int, bytes], list[Column]] = {}
        self._joined: dict[tuple[int, int], tuple[Any, Any, Any]] = {}
        everyone = np.arange(self.n, dtype=np.int32)
        if drawn is not None:
            everyone = np.full(self.n, -1, dtype=np.int32)
            everyone[drawn] = drawn
        self.found: dict[Any, Dependence] = {reading.x: Dependence((self.interned(everyone),))}

    def of(self, atom: Any) -> Dependence:
        """What an input of an equation depends on, nothing where it is constant."""
        return self.found[atom] if self.reading.depends(atom) else NOTHING

    def foresee(self, entries: int) -> None:
        """Told before a set of so many entries is made: the place to refuse a pattern early, by `Dense`."""

    def too_full(self, *unknown: str) -> Dense:
        """What is raised where a pattern is given up; `unknown` names primitives met elsewhere."""
        return Dense(tuple(dict.fromkeys([*self.unknown, *unknown])))

    def is_full(self, entries: float, size: int) -> bool:
        """Whether so many entries of a Jacobian of `size` rows are not worth keeping."""
        few = min(FEW, self.n // 8)
        full = entries > max(DENSE * size * self.n + few * (size + self.n), FEW_ENTRIES)
        return full or entries > MOST_ENTRIES

    def interned(self, column: Column) -> Column:
        """The same column, one object for each content, so that equal ones are told by their identity."""
        # The sum tells columns apart that differ at their ends alone, as those of what is slid over a vector do.
        probed = column[:: max(column.size // PROBES, 1)].tobytes()
        alike = self._interned.setdefault((column.size, int(column.sum(dtype=np.int64)), probed), [])
        for known in alike:
            if known is column or np.array_equal(known, column):
                return known
        alike.append(column)
        return column

    def kept(self, found: Dependence, size: int) -> Dependence:
        """Columns made one object each; as a matrix if there are many; refused if dense."""
        columns: dict[int, Column] = {}
        for column in found.columns:
            if self.drawn is not None and not (column >= 0).any():
                continue
            column = self.interned(np.asarray(column, dtype=np.int32))
            columns[id(column)] = column
        if len(columns) > CROWDED:
            merged = map(self.interned, _merged(list(columns.values())))
            columns = {id(column): column for column in merged}
        entries = len(columns) * size + (0 if found.rest is None else found.rest.nnz)
        result = Dependence(tuple(columns.values()), found.rest)
        if len(columns) > MOST_COLUMNS or entries > MOST_ENTRIES:
            result = Dependence((), self.matrix(result, size))
            entries = result.rest.nnz
        self.refuse(entries, size)
        return result

    def refuse(self, entries: int, size: int) -> None:
        """Raise `Dense` if so many entries of `size` rows are not worth keeping; those of a few parameters are."""
        if self.drawn is None and self.is_full(entries, size):
            raise self.too_full()

    def matrix(self, found: Dependence, size: int) -> Any:
        """CSR (size, n), all ones: columns and rest in one."""
        from scipy.sparse import coo_array, csr_array

        if len(found.columns) * size > 4 * MOST_ENTRIES:
            raise self.too_full()
        if found.rest is None:
            side_by_side = _in_order(found.columns)
            if side_by_side is not None:
                return csr_array(side_by_side, shape=(size, self.n))
        rows, cols = [], []
        everyone = np.arange(size, dtype=np.int32)
        for column in found.columns:
            some = column >= 0
            whole = bool(some.all())
            rows.append(everyone if whole else everyone[some])
            cols.append(column if whole else column[some])
        if found.rest is not None:
            rest = found.rest.tocoo()
            rows.append(rest.row)
            cols.append(rest.col)
        if not rows:
            return csr_array((size, self.n), dtype=np.int8)
        places = (np.concatenate(rows), np.concatenate(cols))
        ones = np.ones(places[0].size, dtype=np.int32)
        result = coo_array((ones, places), shape=(size, self.n)).tocsr()
        result.data = np.ones(result.nnz, dtype=np.int8)
        return result

    def together(self, one: Any, other: Any) -> Any:
        """The union of two sparse matrices of ones; either may be None."""
        if one is None or other is None or one is other:
            return other if one is None else one
        known = self._joined.get((id(one), id(other)))
        if known is None:
            # The operands are kept with the result, so that their ids stay theirs.
            known = self._joined[id(one), id(other)] = (one, other, ones_where(one + other))
        return known[2]

    def union(self, parts: Sequence[Dependence]) -> Dependence:
        """What depends on any of the parts, element by element; all of one size."""
        columns: dict[int, Column] = {}
        rest = None
        for part in parts:
            columns.update((id(column), column) for column in part.columns)
            rest = self.together(rest, part.rest)
        return Dependence(tuple(columns.values()), rest)

    def placed(self, found: Dependence, places: np.ndarray) -> Dependence:
        """The dependence of elements that come from `places` (size,) of a variable; -1: from nowhere."""
        inside = places >= 0
        whole = bool(inside.all())
        taken = places if whole else np.where(inside, places, 0)
        columns = []
        for column in found.columns:
            picked = column[taken]
            columns.append(picked if whole else np.where(inside, picked, -1))
        rest = None
        if found.rest is not None:
            from scipy.sparse import csr_array

            held = np.zeros(places.size, dtype=np.int64)
            held[inside] = np.diff(found.rest.indptr)[places[inside]]
            if int(held.sum()) > MOST_ENTRIES:
                raise self.too_full()
            self.foresee(int(held.sum()))
            rows = found.rest[places[inside]]
            indptr = np.concatenate([[0], np.cumsum(held)])
            rest = csr_array((rows.data, rows.indices, indptr), shape=(places.size, self.n))
        return Dependence(tuple(columns), rest)

    def gathered(self, found: Dependence, target: np.ndarray, size: int) -> Dependence:
        """The dependence of sums: element e is added to element target[e] of the result (-1: dropped)."""
        from scipy.sparse import coo_array

        source = np.flatnonzero(target >= 0)
        ones = np.ones(source.size, dtype=np.int8)
        shape = (size, target.size)
        gather = coo_array((ones, (target[source], source)), shape=shape).tocsr()
        matrix = self.matrix(found, target.size)
        return Dependence((), ones_where(gather.astype(np.int32) @ matrix.astype(np.int32)))


def entries_of(found: Dependence) -> int:
    """How many entries a set has at the most."""
    return sum(column.size for column in found.columns) + (0 if found.rest is None else found.rest.nnz)


def _in_order(columns: Sequence[Column]) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Data, indices and starts of the rows of a CSR matrix, where each column names a later parameter than the last.

    None where there are many columns or some elements have them in another order; to sort takes four times as long.
    """
    if not 0 < len(columns) <= CROWDED:
        return None
    middle = columns[0].size // 2
    ordered = sorted(columns, key=lambda column: int(column[middle]) if column.size else 0)
    largest = ordered[0]
    for column in ordered[1:]:
        if not bool(((column > largest) | (column < 0)).all()):
            return None
        largest = np.maximum(largest, column)
    table = np.stack(ordered, axis=1)
    inside = table >= 0
    starts = np.zeros(table.shape[0] + 1, dtype=np.int32)
    np.cumsum(inside.sum(axis=1, dtype=np.int32), out=starts[1:])
    indices = table[inside] if int(starts[-1]) < table.size else table.ravel()
    return np.ones(indices.size, dtype=np.int8), indices, starts


def _merged(columns: list[Column]) -> list[Column]:
    """Fewer columns that name the same sets: two that never disagree become one."""
    kept: dict[tuple[int, ...], Column] = {}
    probes = np.linspace(0, columns[0].size - 1, 3).astype(np.int64)
    spilled = []
    for column in columns:
        # Only columns that name the same parameters at a few places are worth comparing in full.
        key = tuple(column[probes].tolist())
        other = kept.get(key)
        if other is None:
            kept[key] = column
        elif bool(((column == other) | (column < 0) | (other < 0)).all()):
            kept[key] = np.maximum(column, other)
        else:
            spilled.append(column)
    return [*kept.values(), *spilled]


def ones_where(matrix: Any) -> Any:
    """A sparse matrix, CSR, of ones where `matrix` has entries."""
    matrix = matrix.tocsr()
    matrix.data = np.ones(matrix.nnz, dtype=np.int8)
    return matrix
