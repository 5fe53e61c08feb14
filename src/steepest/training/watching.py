"""What a run has been through, kept small, and the line that tells how it is going."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from math import isfinite, isnan
from typing import Any, TextIO

import numpy as np

# About how many rows a run of known length keeps: enough for a picture, little enough to look at.
ROWS = 200
# A run longer than this is looked at every so many steps at the closest, whatever its rows come to.
SHORT, CLOSEST = 100, 10
# A run of unknown length is looked at every so many steps; a norm costs a pass over the parameters.
EVERY = 32
# Rows kept at most; beyond it every other one of the older half is dropped.
MOST_ROWS = 4000
# Weight of the past in the smoothed cost: an average over about 50 steps.
SMOOTHING = 0.98
# Lines for a log file or a pipe are this many seconds apart; on a terminal the line changes this often.
LINE_EVERY, SCREEN_EVERY = 10.0, 0.2


@dataclass(frozen=True)
class Row:
    """One look at the run.

    `examples_per_second`: 0 for the first two, in which the compiler takes its time.
    `cost`: of the batch; `smoothed`: averaged over the last fifty or so steps; `slope`: norm of the batch's slope;
    `step_ratio`: length of the step over the length of the parameters; `validation`: cost on the validation data
    where it was measured at this step, else None.
    """

    step: int
    epoch: float
    seconds: float
    cost: float
    smoothed: float
    slope: float
    step_ratio: float
    rate: float
    examples_per_second: float
    validation: float | None = None

    def to_dict(self) -> dict[str, float | int | None]:
        """The row as plain JSON values."""
        return dict(vars(self))


@dataclass
class History:
    """Rows of a run, the cost of every step, and what happened on the way.

    `costs`: one number for each step taken and kept; a rollback takes its steps out again.
    """

    rows: list[Row] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    validations: list[tuple[int, float]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def add(self, row: Row) -> None:
        """Keep a row, thinning out the older half when there are too many."""
        self.rows.append(row)
        if len(self.rows) > MOST_ROWS:
            half = len(self.rows) // 2
            self.rows = self.rows[:half:2] + self.rows[half:]

    def back_to(self, step: int) -> None:
        """Forget what was recorded from `step` on."""
        del self.costs[step:]
        self.rows = [row for row in self.rows if row.step < step]
        self.validations = [pair for pair in self.validations if pair[0] <= step]

    def column(self, name: str) -> np.ndarray:
        """One column of the rows, NaN where nothing was measured."""
        values = [getattr(row, name) for row in self.rows]
        return np.array([np.nan if value is None else value for value in values], dtype=float)

    def __len__(self) -> int:
        return len(self.rows)


def rows_apart(total: float) -> int:
    """Steps from one row to the next in a run of `total` steps.

    >>> rows_apart(50), rows_apart(500), rows_apart(100_000), rows_apart(float("inf"))
    (1, 10, 500, 32)
    """
    if not isfinite(total):
        return EVERY
    return 1 if total <= SHORT else max(CLOSEST, int(total) // ROWS)


def smoothed(previous: float | None, costs: list[float]) -> float:
    """The running average of the cost after these further costs."""
    average = previous
    for cost in costs:
        average = cost if average is None else SMOOTHING * average + (1 - SMOOTHING) * cost
    return float("nan") if average is None else average


def duration(seconds: float) -> str:
    """A time span as people say it.

    >>> duration(8), duration(95), duration(7300)
    ('8 s', '1 min 35 s', '2 h 1 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def line(row: Row, left: float | None, arrow: str) -> str:
    """A row in one line: step, cost, slope, rate, speed, time left.

    A walk over all data, whose steps a line search measures out, has neither a rate nor a step beside the parameters.

    >>> row = Row(3, 5.0, 0.2, 0.5165, 0.5165, 0.46, float("nan"), 1.0, 217.0)
    >>> line(row, None, "↘")
    'step 3  epoch 5.00  cost 0.5165 ↘  |slope| 0.46  217 rows/s'
    """
    parts = [
        f"step {row.step:,}",
        f"epoch {row.epoch:.2f}",
        f"cost {row.smoothed:.4g} {arrow}",
        f"|slope| {row.slope:.2g}",
    ]
    if not isnan(row.step_ratio):
        parts += [f"step/size {row.step_ratio:.1e}", f"rate {row.rate:.2g}"]
    if row.examples_per_second > 0:
        parts.append(f"{row.examples_per_second:,.0f} rows/s")
    if row.validation is not None:
        parts.append(f"validation {row.validation:.4g}")
    if left is not None:
        parts.append(f"{duration(left)} left")
    return "  ".join(parts)


class Teller:
    """Tells of a run on standard error: one changing line on a terminal, a line now and then in a log."""

    def __init__(self, wanted: bool | None, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self.wanted = self.terminal if wanted is None else wanted
        self.told = time.perf_counter()
        self._open = False

    def due(self) -> bool:
        """Whether it is time for another line."""
        pause = SCREEN_EVERY if self.terminal else LINE_EVERY
        return self.wanted and time.perf_counter() - self.told >= pause

    def tell(self, words: str) -> None:
        """Show the state of the run."""
        self.told = time.perf_counter()
        if self.terminal:
            self.stream.write(f"\r\x1b[2K{words}")
            self._open = True
        else:
            self.stream.write(words + "\n")
        self.stream.flush()

    def warn(self, words: str) -> None:
        """Say something that must not be missed, whether or not progress is shown."""
        self.close()
        self.stream.write(f"warning: {words}\n")
        self.stream.flush()

    def note(self, words: str) -> None:
        """Say something on a line of its own, where progress is shown."""
        if self.wanted:
            self.close()
            self.stream.write(words + "\n")
            self.stream.flush()

    def close(self) -> None:
        """Leave the line as it stands."""
        if self._open:
            self.stream.write("\r\x1b[2K")
            self.stream.flush()
            self._open = False


def columns(history: History) -> dict[str, Any]:
    """All rows as columns, for a plot or a table."""
    return {name: history.column(name) for name in Row.__dataclass_fields__}
