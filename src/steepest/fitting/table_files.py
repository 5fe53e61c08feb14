"""A table from a file, as people have it: Parquet, or text with any separator, with or without names above it."""

from __future__ import annotations

import codecs
import csv
import gzip
import os
import zlib
from collections.abc import Sequence
from itertools import accumulate, takewhile
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..optional import optional

# What parts the columns. Who writes decimal commas parts by ; or by a tab, and who parts by commas may have spaces
# in names: each is looked for before the one that may stand inside its columns.
SEPARATORS = ("\t", ";", ",", " ")

# What stands in a cell where nothing was measured.
MISSING = ("", "-", "?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None")

# Lines of as many characters tell the separator.
LOOKED_AT = 65_536

# How a file begins that gzip has packed.
GZIPPED = b"\x1f\x8b"

# Commas that part thousands, as in 12,345: read as decimal commas they would be a thousandth of what was meant.
THOUSANDS = r"^[+-]?[1-9]\d{0,2}(,\d{3})+$"


def read_table(path: Any) -> Any:
    """The polars frame that a Parquet, CSV or other text file holds.

    Columns may be parted by commas, semicolons, tabs or blanks; where something else parts them, a comma in a number is
    its decimal point. Lines that begin with # are comments. Without a heading two columns are called x and y, more of
    them column1, column2, … Empty cells and words such as NA are null. Text may be packed by gzip.

    Raises `InputError` where there is no such file, or it holds no table.
    """
    polars: Any = optional("polars", feature="reading tables", extra="tables")
    path = Path(os.fsdecode(path))
    head: list[str] = []
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return polars.read_parquet(path)
        lines = _lines(path)
        head = _head(lines)
        separator = _separator(head)
        heading = not _holds_numbers(_rows(head[:1], separator)[0])
        table = polars.read_csv(
            _plain(lines, separator).encode(),
            has_header=heading,
            separator="\t" if separator == " " else separator,
            infer_schema_length=None,
        )
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; name one file in it") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise InputError(f"{path} is packed by gzip, and cannot be unpacked whole") from None
    except (polars.exceptions.PolarsError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table: {_reason(head, error)}") from None
    return _mended(_named(table, heading), polars, separator)


def _lines(path: Path) -> list[str]:
    """The lines that are neither empty nor comments; the file is read once, as it may be a pipe."""
    content = path.read_bytes()
    if content.startswith(GZIPPED):
        content = gzip.decompress(content)
    text = _decoded(content).removeprefix("\ufeff")
    if "\0" in text:
        raise InputError(f"{path} is no table in text; save it as CSV or Parquet")
    # Not `splitlines`, for which a form feed or a separator of paragraphs inside a cell ends the line.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    if not lines:
        raise InputError(
            f"{path} is empty; write the names of the columns into its first line, and numbers below"
        )
    return lines


def _decoded(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _head(lines: Sequence[str]) -> list[str]:
    """The first line, and those after it that end in the first `LOOKED_AT` characters."""
    ends = accumulate(map(len, lines))
    return [line for line, _ in zip(lines, takewhile(LOOKED_AT.__gt__, ends), strict=False)] or [*lines[:1]]


def _separator(lines: Sequence[str]) -> str:
    """What parts every line into the same number of columns, of numbers if it can be below the first line.

    Else what parts the first line into most of them.
    """
    even = []
    for separator in SEPARATORS:
        rows = _rows(lines, separator)
        if len(rows[0]) > 1 and len({len(row) for row in rows}) == 1:
            if all(_holds_numbers(row) for row in rows[1:]):
                return separator
            even.append(separator)
    if even:
        return even[0]
    return max(",;\t ", key=lambda separator: len(_rows(lines[:1], separator)[0]))


def _rows(lines: Sequence[str], separator: str) -> list[list[str]]:
    if separator == " ":
        return [line.split() for line in lines]
    return list(csv.reader(lines, delimiter=separator))


def _holds_numbers(row: Sequence[str]) -> bool:
    return all(_is_number(cell) for cell in row)


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip().replace(",", ".") or 0)
    except ValueError:
        return cell.strip() in MISSING
    return True


def _plain(lines: Sequence[str], separator: str) -> str:
    """The lines as polars takes them: tabs for blanks between columns."""
    return "\n".join(["\t".join(line.split()) for line in lines] if separator == " " else lines)


def _reason(lines: Sequence[str], error: Exception) -> str:
    """What polars says; of a line with too many entries, which one it is."""
    if "found more fields" in str(error):
        rows = _rows(lines, _separator(lines))
        wide = next((row for row in rows if len(row) > len(rows[0])), None)
        if wide is not None:
            first, other = lines[0], lines[rows.index(wide)]
            return (
                f"its first line, {first}, has {len(rows[0])} entries, and the line {other} has {len(wide)}"
            )
    return str(error).splitlines()[0]


def _named(table: Any, heading: bool) -> Any:
    """Names without the blanks around them; x and y, or column1, column2, …, where the file has none."""
    if heading:
        names = [name.strip() for name in table.columns]
    else:
        names = ["x", "y"] if table.width == 2 else [f"column{k + 1}" for k in range(table.width)]
    if len(set(names)) < len(names):
        return table
    return table.rename(dict(zip(table.columns, names, strict=True)))


def _mended(table: Any, polars: Any, separator: str) -> Any:
    """The table with columns as numbers that blanks, words for a gap or decimal commas made text."""
    for name in table.columns:
        if table[name].dtype != polars.String:
            continue
        text = table[name].str.strip_chars()
        text = text.set(text.is_in(list(MISSING)), None)
        if separator == ";" or (separator != "," and not _parts_thousands(text)):
            text = text.str.replace(",", ".", literal=True)
        number = text.cast(polars.Float64, strict=False)
        table = table.with_columns(number if number.null_count() == text.null_count() else text)
    return table


def _parts_thousands(text: Any) -> bool:
    """Whether every comma in a column may stand between thousands."""
    with_comma = text.drop_nulls().filter(text.drop_nulls().str.contains(",", literal=True))
    return with_comma.len() > 0 and bool(with_comma.str.contains(THOUSANDS).all())
