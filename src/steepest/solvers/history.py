"""The walk as it went: one row for every accepted iterate, the start included."""

from __future__ import annotations

from math import nan
from time import perf_counter
from typing import Any

import numpy as np

from ..bounds import Vector

Array = np.ndarray[Any, np.dtype[Any]]

# Numbers kept for each of x, gradient and step: 16 MiB each. Beyond it every second row is dropped.
KEPT_NUMBERS = 2**21

# With more parameters than this a row says little to a reader, and keeping it would hold on to memory that
# the solver needs.
KEPT_PARAMETERS = 10_000


class History:
    """Rows of a walk, as NumPy arrays; row 0 is the start.

    For every iterate, shape (k,): `value`; `gradient_norm`, Euclidean length of the projected gradient;
    `step_length`, Euclidean length of the step that led there (0 at the start); `evaluations`, how many had
    been spent by then; `seconds` since the start of the walk.

    For the iterates listed in `kept`, shape (r,): `x` and `gradient`, shape (r, n); `step`, shape (r - 1, n),
    the step taken from each kept iterate but the last to the one that follows it in `x`. Every iterate is
    kept while memory allows (r = k); then every second, every fourth, …; none above 10,000 parameters.

    >>> history = History(1)
    >>> history.append(np.array([3.0]), 6.0, np.array([4.0]), 4.0, None, 0.0, 1)
    >>> history.append(np.array([2.6]), 4.56, np.array([3.2]), 3.2, np.array([-0.4]), 0.4, 2)
    >>> history.value, history.step
    (array([6.  , 4.56]), array([[-0.4]]))
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._started = perf_counter()
        self._rows: list[tuple[float, float, float, int, float]] = []
        self._x: list[Vector] = []
        self._gradient: list[Vector] = []
        self._step: list[Vector | None] = []
        self._kept: list[int] = []
        self._stride = 1
        self._room = max(KEPT_NUMBERS // max(n, 1), 2) if n <= KEPT_PARAMETERS else 0

    def append(
        self,
        x: Vector,
        value: float,
        gradient: Vector,
        gradient_norm: float,
        step: Vector | None,
        step_length: float,
        evaluations: int,
    ) -> None:
        """Add one accepted iterate; `step` is None at the start. No array may change later."""
        index = len(self._rows)
        self._rows.append((value, gradient_norm, step_length, evaluations, perf_counter() - self._started))
        if self._room and (self._stride == 1 or index % self._stride == 0):
            if len(self._kept) >= self._room:
                self._thin()
                if index % self._stride:
                    return
            self._kept.append(index)
            self._x.append(x)
            self._gradient.append(gradient)
            self._step.append(step)

    def prepend(self, earlier: History) -> None:
        """Put the rows of an earlier leg of the same walk in front, evaluations as counted by both.

        The move from its last row to this one's start counts as a step.
        """
        shift = len(earlier)
        if not shift or not self._rows:
            self._rows = earlier._rows + self._rows
        else:
            offset = self._started - earlier._started
            own = [(*row[:4], row[4] + offset) for row in self._rows]
            jump = self._x[0] - earlier._x[-1] if self._kept and earlier._kept[-1:] == [shift - 1] else None
            if jump is not None:
                own[0] = (*own[0][:2], float(np.sqrt(jump.dot(jump))), *own[0][3:])
                self._step[0] = jump
            self._rows = earlier._rows + own
        complete = self._stride == earlier._stride == 1 and len(self._kept) + shift <= self._room
        self._kept = earlier._kept + [index + shift for index in self._kept]
        self._x = earlier._x + self._x
        self._gradient = earlier._gradient + self._gradient
        self._step = earlier._step + self._step
        self._started = earlier._started
        if not complete:
            self._stride = max(self._stride, earlier._stride, 2)

    def since(self, index: int) -> History:
        """The rows from `index` on, as the history of a walk that began there; everything but the rows is shared."""
        later = History(self.n)
        first = next((k for k, kept in enumerate(self._kept) if kept >= index), len(self._kept))
        later._started, later._stride = self._started, self._stride
        later._rows = self._rows[index:]
        later._kept = [kept - index for kept in self._kept[first:]]
        later._x, later._gradient = self._x[first:], self._gradient[first:]
        later._step = [None, *self._step[first + 1 :]] if later._kept else []
        return later

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def began(self) -> float:
        """What `time.perf_counter` read where `seconds` are zero: tracing and choosing a solver came before."""
        return self._started

    @property
    def first(self) -> tuple[float, Vector | None]:
        """The cost of the first iterate and, where it was kept, the iterate itself, shape (n,)."""
        return self._rows[0][0], self._x[0] if self._kept and self._kept[0] == 0 else None

    @property
    def begun(self) -> float:
        """The cost of the first iterate; NaN while there is none."""
        return self._rows[0][0] if self._rows else nan

    @property
    def value(self) -> Vector:
        """Cost of each iterate, shape (k,)."""
        return self._column(0)

    @property
    def gradient_norm(self) -> Vector:
        """Euclidean length of the projected gradient at each iterate, shape (k,)."""
        return self._column(1)

    @property
    def step_length(self) -> Vector:
        """Euclidean length of the step that led to each iterate, shape (k,); 0 for the start."""
        return self._column(2)

    @property
    def evaluations(self) -> Array:
        """Evaluations spent up to each iterate, shape (k,), integers."""
        return np.array([row[3] for row in self._rows], dtype=np.int64)

    @property
    def seconds(self) -> Vector:
        """Seconds since the start of the walk at each iterate, shape (k,)."""
        return self._column(4)

    @property
    def kept(self) -> Array:
        """Index of the iterate that each row of `x` and `gradient` belongs to, shape (r,)."""
        return np.array(self._kept, dtype=np.int64)

    @property
    def x(self) -> Vector:
        """Kept iterates, shape (r, n)."""
        return self._matrix(self._x)

    @property
    def gradient(self) -> Vector:
        """Gradient at each kept iterate, shape (r, n)."""
        return self._matrix(self._gradient)

    @property
    def step(self) -> Vector:
        """Step from each kept iterate to the next, shape (r - 1, n), as the solver computed it.

        Equal to the differences of `x` but for the rounding of x + step. After thinning it is the
        differences themselves.
        """
        if self._stride > 1:
            return np.diff(self.x, axis=0)
        return self._matrix([step for step in self._step if step is not None])

    def to_dict(self) -> dict[str, Any]:
        """The history as plain JSON values, column by column."""
        return {
            "value": self.value.tolist(),
            "gradient_norm": self.gradient_norm.tolist(),
            "step_length": self.step_length.tolist(),
            "evaluations": self.evaluations.tolist(),
            "seconds": self.seconds.tolist(),
            "kept": self.kept.tolist(),
            "x": self.x.tolist(),
            "gradient": self.gradient.tolist(),
        }

    def _column(self, index: int) -> Vector:
        return np.array([row[index] for row in self._rows], dtype=np.float64)

    def _matrix(self, rows: list[Vector]) -> Vector:
        return np.array(rows, dtype=np.float64).reshape(len(rows), self.n)

    def _thin(self) -> None:
        """Drop every second kept row, so that what is kept stays evenly spread over the walk."""
        self._stride *= 2
        del self._kept[1::2], self._x[1::2], self._gradient[1::2], self._step[1::2]
