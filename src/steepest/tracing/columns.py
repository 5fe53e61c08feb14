"""Columns of a table beside traced arrays: pandas pairs rows by their labels, and a trace by where they stand.

A column that meets a parameter goes on as an array that carries its labels. Arrays and columns with the same labels
pair as pandas pairs them; others are refused, since pandas would move their rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import TracingError
from .rules.values import refused

# pandas leaves an operation to what has a higher priority than its own, NumPy's and that of its frames.
PRIORITY = 1_000_000

# Functions of NumPy that ask a column for its own method, which keeps the labels; others give an array without.
BY_METHOD = (np.cumsum, np.cumprod, np.clip, np.round, np.around)


def is_of_pandas(value: Any) -> bool:
    """Whether a value is a column, an index or a frame of pandas, known by what pandas itself looks at."""
    return isinstance(getattr(type(value), "__pandas_priority__", None), int)


def plain(value: Any) -> Any:
    """The numbers of a column or an index, as an array; other values as they are.

    Raises `TracingError` for a whole frame, and for a column with gaps: pandas leaves those out of sums.
    """
    if not is_of_pandas(value):
        return value
    if value.ndim != 1:
        raise refused(
            "A table of pandas",
            "meets a parameter as a whole, and the labels of its rows and columns are not followed",
            "Take its numbers, table.to_numpy(), or one column after the other.",
        )
    numbers = np.asarray(value)
    if numbers.dtype.kind == "f" and np.isnan(numbers).any():
        raise refused(
            "A column of pandas with gaps (NaN)",
            "meets a parameter, and pandas leaves them out of sums, which is not followed",
            "Drop those rows before the cost, table.dropna(), or take the numbers as they are, column.to_numpy().",
        )
    return numbers


def labels_of(inputs: tuple[Any, ...], traced: type[Any]) -> Any:
    """The labels that rows keep in an operation on columns and arrays of the class `traced`; None if none has any.

    Raises `TracingError` where two of them differ.
    """
    common = None
    for value in inputs:
        if type(value) is traced:
            labels = value.labels
        else:
            labels = getattr(value, "index", None) if is_of_pandas(value) and value.ndim == 1 else None
        if labels is None:
            continue
        if common is not None and labels is not common and not labels.equals(common):
            raise misplaced()
        common = labels
    return common


def misplaced() -> TracingError:
    """The error where rows would be paired by labels that differ."""
    return refused(
        "An operation on columns whose rows have different labels",
        "meets a parameter, and pandas would pair them by label, which is not followed",
        "Where the rows stand side by side already, write column.to_numpy(); else line them up before the cost.",
    )


def no_longer_a_column(name: str) -> TracingError:
    """The error for what only a column of pandas has."""
    return refused(
        f".{name} of a column",
        "is asked for after it has met a parameter, and goes on as an array from there",
        "Use NumPy's own: ** for .pow, np.where for .where, np.diff for .diff, [mask] after .to_numpy() for .loc.",
    )
