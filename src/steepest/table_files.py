"""A table from a file, as people have it: Parquet, or text with any separator, with or without names above it."""

from __future__ import annotations

import codecs
import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import InputError
from .optional import optional

# What parts the columns. Who writes decimal commas parts by ; or by a tab, and who parts by commas may have spaces
# in names: each is looked for before the one that may stand inside its columns.
SEPARATORS = ("\t", ";", ",", " ")

# What stands in a cell where nothing was measured.
MISSING = ("", "-", "?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None")

# As much of a file tells its separator, its heading and its alphabet.
LOOKED_AT = 65_536

# Commas that part thousands, as in 12,345: read as decimal commas they would be a thousandth of what was meant.
THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+$"


def read_table(path: Any) -> Any:
    """The polars frame that a Parquet, CSV or other text file holds.

    Columns may be parted by commas, semicolons, tabs or blanks; where something else parts them, a comma in a number is
    its decimal point. Lines that begin with # are comments. Without a heading two columns are called x and y, more of
    them column1, column2, … Empty cells and words such as NA are null.

    Raises `InputError` where there is no such file, or it holds no table.
    """
    polars: Any = optional("polars", feature="reading tables", extra="tables")
    path = Path(os.fsdecode(path))
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return polars.read_parquet(path)
        head, encoding = _head(path)
        separator = _separator(head)
        rows = _rows(head[:1], separator)
        heading = not all(_is_number(cell) for cell in rows[0])
        text = path.read_text(encoding=encoding, errors="replace").removeprefix("\ufeff")
        table = polars.read_csv(
            _plain(text, separator).encode(),
            has_header=heading,
            separator="\t" if separator == " " else separator,
            infer_schema_length=None,
        )
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; name one file in it") from None
    except polars.exceptions.PolarsError as error:
        raise InputError(f"{path} cannot be read as a table: {_reason(path, error)}") from None
    return _mended(_named(table, heading), polars, separator)


def _head(path: Path) -> tuple[list[str], str]:
    """The first whole lines that are neither empty nor comments, and the file's encoding."""
    with open(path, "rb") as file:
        start = file.read(LOOKED_AT)
        whole = not file.read(1)
    encoding = _encoding(start)
    text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(start).removeprefix("\ufeff")
    if "\0" in text:
        raise InputError(f"{path} is no table in text; save it as CSV or Parquet")
    lines = text.splitlines() if whole else text.splitlines()[:-1] or text.splitlines()
    lines = _telling(lines)
    if not lines:
        raise InputError(
            f"{path} is empty; write the names of the columns into its first line, and numbers below"
        )
    return lines, encoding


def _encoding(start: bytes) -> str:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _separator(lines: Sequence[str]) -> str:
    """What parts every line into the same number of columns; else what parts the first line into most of them."""
    for separator in SEPARATORS:
        widths = {len(row) for row in _rows(lines, separator)}
        if len(widths) == 1 and widths.pop() > 1:
            return separator
    return max(",;\t ", key=lambda separator: len(_rows(lines[:1], separator)[0]))


def _rows(lines: Sequence[str], separator: str) -> list[list[str]]:
    if separator == " ":
        return [line.split() for line in lines]
    return list(csv.reader(lines, delimiter=separator))


def _is_number(cell: str) -> bool:
    try:
        float(cell.strip().replace(",", ".") or 0)
    except ValueError:
        return cell.strip() in MISSING
    return True


def _plain(text: str, separator: str) -> str:
    """The text without comments and empty lines, of which polars makes rows; tabs for blanks between columns."""
    lines = _telling(text.splitlines())
    return "\n".join(["\t".join(line.split()) for line in lines] if separator == " " else lines)


def _telling(lines: Sequence[str]) -> list[str]:
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _reason(path: Path, error: Exception) -> str:
    """What polars says; of a line with too many entries, which one it is."""
    if "found more fields" in str(error):
        lines, _ = _head(path)
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
