"""Tables larger than memory: Parquet and CSV read block by block, shuffled in pools of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..parameters import Layout
from .batches import BLOCK, BLOCK_STREAM, POOL, ROW_STREAM, Batch, Part, numbers_of, random_numbers

# Bytes of a CSV file looked through at a time when its rows are counted.
CHUNK = 1 << 24
# What stands between columns where it is no comma; the bar last, since names have it too.
SEPARATORS = ";", "\t", "|"


class TableRows:
    """A table whose rows are read in blocks: a batch is a dict of columns.

    The order of the blocks is drawn anew each epoch, and the rows of `POOL` blocks at a time are mixed. Memory holds
    one pool, whatever the size of the file.
    """

    def __init__(
        self, read: Callable[[int, int], Any], rows: int, columns: tuple[str, ...], seed: int, label: str
    ) -> None:
        if rows == 0:
            raise InputError(f"{label} holds no row")
        self.rows = rows
        self.seed = seed
        self._read = read
        self._label = label
        first = self._columns(read(0, 1), columns)
        self.columns = columns
        self.layout = Layout.of(first, "data")

    def _columns(self, frame: Any, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
        found = {}
        for column in columns:
            values = numbers_of(frame[column])
            if values is None:
                raise InputError(
                    f"{self._label}: the column {column!r} holds {frame[column].dtype}, not numbers; choose columns "
                    f'with polars.scan_{"csv" if self._label.endswith(".csv") else "parquet"}(file).select("a", "b")'
                )
            found[column] = values
        return found

    def block(self, number: int, size: int) -> list[np.ndarray]:
        """The arrays of block `number`."""
        start = number * size
        frame = self._read(start, min(size, self.rows - start))
        return list(self._columns(frame, self.columns).values())

    def batches(self, epoch: int, first: int, batch_size: int, part: Part) -> Iterator[Batch]:
        """The batches of one epoch; pools before batch `first` are passed over without being read."""
        order, sizes = self._plan(epoch, BLOCK)
        number, left = 0, None  # left: rows of the last pool that filled no batch
        for start in range(0, len(order), POOL):
            blocks = order[start : start + POOL]
            fresh = int(sizes[blocks].sum())
            kept = 0 if left is None else len(left[0])
            whole = (kept + fresh) // batch_size
            following = (kept + fresh) - whole * batch_size
            if number + whole <= first and following == 0:
                number, left = number + whole, None
                continue
            arrays = [
                np.concatenate(pieces)
                for pieces in zip(*(self.block(int(b), BLOCK) for b in blocks), strict=True)
            ]
            mix = random_numbers(self.seed, ROW_STREAM, epoch, start).permutation(fresh)
            arrays = [array[mix] for array in arrays]
            if left is not None:
                arrays = [np.concatenate(pair) for pair in zip(left, arrays, strict=True)]
            for k in range(whole):
                if number >= first:
                    yield [
                        part.of(array[k * batch_size : (k + 1) * batch_size], batch_size) for array in arrays
                    ]
                number += 1
            left = [array[whole * batch_size :] for array in arrays]

    def _plan(self, epoch: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        count = -(-self.rows // size)
        sizes = np.full(count, size, dtype=np.int64)
        sizes[-1] = self.rows - (count - 1) * size
        return random_numbers(self.seed, BLOCK_STREAM, epoch).permutation(count), sizes

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """All rows in the order they are stored, the last batch possibly smaller."""
        for start in range(0, self.rows, batch_size):
            frame = self._read(start, min(batch_size, self.rows - start))
            yield list(self._columns(frame, self.columns).values())

    def describe(self) -> str:
        """The data in a few words."""
        return f"{self.rows:,} rows of {self._label}, streamed"


def lazy_rows(frame: Any, seed: int, label: str = "a table") -> TableRows:
    """The rows of a polars LazyFrame."""
    import polars

    rows = int(frame.select(polars.len()).collect().item())

    def read(start: int, count: int) -> Any:
        return frame.slice(start, count).collect()

    return TableRows(read, rows, tuple(frame.collect_schema().names()), seed, label)


def file_rows(path: Path, seed: int, name: str = "data") -> TableRows:
    """The rows of a Parquet file (or of all files a pattern such as `part-*.parquet` names), or of a CSV file.

    Raises
    ------
    InputError: there is no such file, or it cannot be read as what its name says.
    """
    import polars

    is_csv = path.suffix.lower() == ".csv"
    if "*" in str(path) and is_csv:
        raise InputError(
            f"{name}: {path} names several CSV files; give one, or polars.scan_csv({str(path)!r})"
        )
    if not (any(path.parent.glob(path.name)) if "*" in path.name else path.is_file()):
        raise InputError(f"{name}: there is no file {path}")
    try:
        return _csv_rows(path, seed) if is_csv else lazy_rows(polars.scan_parquet(path), seed, path.name)
    except (polars.exceptions.PolarsError, OSError) as error:
        said = str(error).strip().partition("\n")[0]
        raise InputError(f"{name}: {path} cannot be read as {path.suffix[1:]} ({said})") from None


def _csv_rows(path: Path, seed: int) -> TableRows:
    """A CSV file with the places of its blocks noted in one pass, so that any of them can be read by itself.

    In a second pass each column is given the type that all of its values have: the first hundred may be whole numbers,
    and what stands further down would else end the run when it comes to be read.
    """
    import polars

    head, starts, rows = _index(path)
    marks = [*starts, path.stat().st_size]

    def text(first: int, last: int) -> BytesIO:
        with path.open("rb") as file:
            file.seek(marks[first])
            return BytesIO(head + file.read(marks[last + 1] - marks[first]))

    def read(start: int, count: int) -> Any:
        first, last = start // BLOCK, (start + count - 1) // BLOCK
        frame = polars.read_csv(text(first, last), schema=types)
        return frame.slice(start - first * BLOCK, count)

    names = polars.scan_csv(path).collect_schema().names()
    _check_heading(names, path)
    types: dict[str, Any] = {}
    for block in range(len(starts)):
        types = _wider(types, polars.read_csv(text(block, block), infer_schema_length=None))
    return TableRows(read, rows, tuple(names), seed, path.name)


def _check_heading(names: list[str], path: Path) -> None:
    """Raises `InputError` where the first line of a CSV file is no heading, or its columns are not told apart."""
    for separator in SEPARATORS:
        if len(names) == 1 and separator in names[0]:
            raise InputError(
                f"{path.name} has one column, {names[0]!r}; if {separator!r} stands between columns, give "
                f"polars.scan_csv(file, separator={separator!r})"
            )
    if all(map(_is_number, names)) and not all(name.isdigit() for name in names):
        raise InputError(
            f"the first line of {path.name} holds numbers, {', '.join(names[:3])}, where the names of the columns are "
            "looked for; give polars.scan_csv(file, has_header=False), whose columns are column_1, column_2, …"
        )


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _wider(types: dict[str, Any], block: Any) -> dict[str, Any]:
    """The types of columns that hold what they held so far and what is in a block.

    A gap among whole numbers makes them real ones, since it is read as NaN.
    """
    import polars

    found = dict(block.schema)
    for name, gaps in block.null_count().row(0, named=True).items():
        kind, before = found[name], types.get(name, polars.Null)
        if gaps == len(block):
            kind = polars.Null
        elif gaps and kind.is_integer():
            kind = polars.Float64
        if kind == polars.Null or kind == before:
            kind = before
        elif before != polars.Null:
            kind = polars.Float64 if kind.is_numeric() and before.is_numeric() else polars.String
        found[name] = kind
    return found


def _index(path: Path) -> tuple[bytes, list[int], int]:
    """The heading, where each block of rows begins, and how many rows there are; line ends in quotes do not count."""
    starts: list[int] = []
    lines = quotes = position = last_end = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            data = np.frombuffer(chunk, dtype=np.uint8)
            ends = np.flatnonzero(data == ord("\n"))
            marks = np.flatnonzero(data == ord('"'))
            if quotes or marks.size:
                inside = (quotes + np.searchsorted(marks, ends)) % 2 == 1
                ends = ends[~inside]
                quotes += marks.size
            # Line number L ends at ends[L - lines]; a block begins after the heading and after each BLOCK lines.
            wanted = np.arange(lines, lines + ends.size)
            starts += (position + ends[wanted % BLOCK == 0] + 1).tolist()
            lines += ends.size
            last_end = position + int(ends[-1]) + 1 if ends.size else last_end
            position += len(chunk)
    rows = lines - 1 + (position > last_end)
    if not starts or rows <= 0:
        raise InputError(f"{path.name} holds no row below its heading")
    if starts[-1] >= position:
        starts.pop()
    with path.open("rb") as file:
        head = file.read(starts[0])
    return head, starts, rows
