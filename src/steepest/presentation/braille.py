"""A curve in letters: eight dots to a character, for terminals that have no pictures."""

from __future__ import annotations

import numpy as np

from .text import WORTH_A_LOG, number

# Size of the curve in characters; a terminal of 80 columns leaves this much beside the numbers.
WIDTH, HEIGHT = 56, 7
# The dots of a character, by column and row from above, and the bit that raises each (Unicode, block 2800).
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
EMPTY = 0x2800


def curve(values: np.ndarray, name: str = "cost", *, width: int = WIDTH, height: int = HEIGHT) -> list[str]:
    r"""Lines of text that draw `values` (k,), one after the other from left to right; [] where there is nothing to see.

    Where several values share a column of dots, all from the lowest to the highest are raised, so that a spike
    is never lost. What is not finite leaves a gap.

    >>> print(*curve(np.arange(9.0), "height", width=4, height=2), sep="\n")
      height over 8 steps
      8 ⠀⠀⡴⠋
      0 ⡴⠋⠁⠀
    """
    heights, logarithmic = _scaled(values)
    known = np.isfinite(heights)
    if known.sum() < 3 or not np.ptp(heights[known]) > 0:
        return []
    low, high = float(heights[known].min()), float(heights[known].max())
    raised = np.zeros((4 * height, 2 * width), dtype=bool)
    rows = (4 * height - 1) * (high - heights) / (high - low)
    columns = (np.arange(values.size) * (2 * width - 1) / (values.size - 1)).round().astype(int)
    _raise(raised, columns, rows, known)
    ends = values[known & (heights == high)][0], values[known & (heights == low)][0]
    labels = [number(float(ends[0]), 3), *[""] * (height - 2), number(float(ends[1]), 3)]
    margin = max(map(len, labels))
    told = f"  {name} over {values.size - 1:,} steps{' (logarithmic)' if logarithmic else ''}"
    return [
        told,
        *(
            f"  {label:>{margin}} {line}"
            for label, line in zip(labels, _letters(raised, height, width), strict=True)
        ),
    ]


def _scaled(values: np.ndarray) -> tuple[np.ndarray, bool]:
    """The heights to draw, and whether they are logarithms."""
    values = np.where(np.isfinite(values), values, np.nan).astype(float)
    positive = values[values > 0]
    if positive.size >= 3 and not (values < 0).any() and positive.max() > WORTH_A_LOG * positive.min():
        with np.errstate(divide="ignore"):
            return np.where(values > 0, np.log10(np.where(values > 0, values, 1.0)), np.nan), True
    return values, False


def _raise(raised: np.ndarray, columns: np.ndarray, rows: np.ndarray, known: np.ndarray) -> None:
    """Dots of each column between its lowest and its highest value, joined to the column before."""
    last = -1
    for k in np.flatnonzero(known):
        column, row = int(columns[k]), round(float(rows[k]))
        raised[row, column] = True
        if last >= 0 and k == last + 1:
            before, start = int(columns[last]), round(float(rows[last]))
            for step in range(before, column + 1):
                share = (step - before) / (column - before) if column > before else 1.0
                reach = (step + 1 - before) / (column - before) if column > before else 1.0
                here, there = start + share * (row - start), start + min(reach, 1.0) * (row - start)
                first, second = sorted((round(here), round(there)))
                if column == before:
                    first, second = sorted((start, row))
                raised[first : max(second, first + 1), step] = True
        last = int(k)


def _letters(raised: np.ndarray, height: int, width: int) -> list[str]:
    lines = []
    for line in range(height):
        letters = []
        for letter in range(width):
            bits = EMPTY
            for column, dots in enumerate(DOTS):
                for row, bit in enumerate(dots):
                    if raised[4 * line + row, 2 * letter + column]:
                        bits |= bit
            letters.append(chr(bits))
        lines.append("".join(letters))
    return lines
