"""A model through points: its cost is the sum of the squared distances, walked down like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..fitting.table_files import read_table
from .subject import Subject

Array = np.ndarray[Any, np.dtype[np.float64]]

# Points beyond this are not told apart on a page, and each landscape has to visit all of them.
MOST_POINTS = 20_000
# Places at which the model is drawn: more than one for every four pixels of a wide screen.
CURVE_PLACES = 241


# Shown when no data were named: coffee that cools, degrees above the room against minutes (made by the formula
# 62·exp(−0.11·t) + 4 and rounded unevenly to half a degree, so that no curve of the family meets every point).
EXAMPLE: dict[str, list[float]] = {
    "t": [0, 1, 2, 3, 5, 7, 9, 12, 15, 18, 22, 26, 31, 37, 44],
    "y": [66.5, 59.0, 54.5, 48.5, 40.0, 32.5, 27.5, 20.0, 16.5, 12.0, 10.0, 7.0, 6.5, 4.5, 5.0],
}
EXAMPLE_MODEL, EXAMPLE_START = "a*exp(-b*t) + c", {"a": 40.0, "b": 0.3, "c": 0.0}
# Rounds of Newton's method when a place of the curve is pulled to a height; two or three are enough.
PULL_ROUNDS = 8


class Fitting:
    """A model expression, the column that is its variable, the measured column, and the cost of its parameters.

    `variable`: the name in the expression; `column`: that in the table, another where a model in x takes the first.
    `x`, `y` shape (m,); `names` of the n parameters; `subject` is the sum of the squared distances.
    """

    def __init__(
        self,
        model: Any,
        variable: str,
        column: str,
        measured: str,
        x: Array,
        y: Array,
        names: tuple[str, ...],
        subject: Subject,
    ) -> None:
        self.model = model
        self.variable = variable
        self.column = column
        self.measured = measured
        self.x = x
        self.y = y
        self.names = names
        self.subject = subject
        margin = 0.04 * float(np.ptp(x) or 1.0)
        self.xs = np.linspace(x.min() - margin, x.max() + margin, CURVE_PLACES)
        # The same formula with the variable among its parameters: its slopes at many places are one call.
        self._formula = Subject(model.text, dict.fromkeys(model.names, 1.0))

    def curve(self, parameters: Array, xs: Array) -> Array:
        """The model at `xs`, shape (k,), for parameters of shape (n,)."""
        values = dict(zip(self.names, parameters.tolist(), strict=True))
        with np.errstate(all="ignore"):
            found = self.model.evaluate({**values, self.variable: xs})
        return np.broadcast_to(np.asarray(found, dtype=np.float64), xs.shape).copy()

    def slopes(self, parameters: Array, xs: Array) -> Array:
        """How the model at `xs`, shape (k,), changes with each parameter, shape (k, n); exact."""
        columns = self._formula.names
        values = {**dict(zip(self.names, parameters, strict=True)), self.variable: xs}
        places = np.stack([np.broadcast_to(values[name], xs.shape) for name in columns], axis=-1)
        _, slopes = self._formula.values_and_slopes(places)
        return slopes[:, [columns.index(name) for name in self.names]]

    def pulls(self, parameters: Array) -> Array:
        """How each point pulls at the parameters: minus the slope of its own squared distance, shape (m, n)."""
        residual = self.y - self.curve(parameters, self.x)
        return 2.0 * residual[:, None] * self.slopes(parameters, self.x)

    def pulled(self, parameters: Array, axes: tuple[int, int], x: float, y: float) -> Array:
        """The nearest parameters whose curve passes through (x, y), when only those of `axes` may change.

        Each round is the smallest step that closes the gap to first order (Newton's method for one equation), with
        the slope read between the places of the drawn curve: the gap itself is exact, so that it still closes.
        """
        p = parameters.copy()
        where = np.array([x])
        for _ in range(PULL_ROUNDS):
            gap = y - float(self.curve(p, where)[0])
            slopes = self.slopes(p, self.xs)
            slope = np.array([np.interp(x, self.xs, slopes[:, axis]) for axis in axes])
            # In units of each parameter's own size, so that a small rate is not left to do a large height's work.
            size = np.maximum(np.abs(p[list(axes)]), 1e-3)
            scaled = slope * size
            square = float(scaled @ scaled)
            if not np.isfinite(gap) or not np.isfinite(square) or square == 0.0:
                return parameters
            p[list(axes)] += size * scaled * gap / square
            if abs(gap) <= 1e-9 * max(abs(y), 1.0):
                break
        return p if np.isfinite(p).all() else parameters


def read_columns(path: Path) -> dict[str, Array]:
    """The numeric columns of a table in a file, by name.

    Raises `InputError` where there is no such file or it holds no two columns of numbers.
    """
    import polars

    table = read_table(path)
    numeric = [name for name in table.columns if table[name].dtype.is_numeric()]
    if len(numeric) < 2:
        raise InputError(f"{path} has {len(numeric)} columns of numbers; a fit needs two, x and y")
    return {name: table[name].cast(polars.Float64).to_numpy() for name in numeric}


def fitting(
    model: str,
    columns: Mapping[str, Sequence[float] | Array],
    *,
    x: str | None = None,
    y: str | None = None,
    start: Mapping[str, float] | None = None,
) -> Fitting:
    """The fit of an expression to two columns.

    `x` is by default the one column whose name stands in the expression, `y` the first other one. Parameters that
    `start` leaves out begin at 1.

    >>> fit = fitting("a*t + b", {"t": [0.0, 1.0, 2.0], "y": [1.0, 3.0, 5.0]})
    >>> fit.names, fit.curve(np.array([2.0, 1.0]), np.array([4.0]))
    (('a', 'b'), array([9.]))
    """
    from ..tracing.expressions import parse

    expression = parse(model)
    variable = x or next((name for name in columns if name in expression.names), None)
    column = variable
    if variable is None and "x" in expression.names and columns:
        variable, column = "x", next(iter(columns))
        columns = {"x": next(iter(columns.values())), **dict(list(columns.items())[1:])}
    if variable is None or column is None or variable not in columns:
        raise InputError(
            f"the model {model} uses none of the columns {', '.join(columns)}; write one of them into it"
        )
    measured = y or next((name for name in columns if name != variable), None)
    if measured is None or measured not in columns:
        raise InputError(f"there is no column {measured!r}; there are {', '.join(columns)}")
    names = tuple(name for name in expression.names if name != variable)
    if not names:
        raise InputError(f"the model {model} has no parameter besides {variable}")
    xs, ys = (np.asarray(columns[name], dtype=np.float64) for name in (variable, measured))
    usable = np.isfinite(xs) & np.isfinite(ys)
    xs, ys = xs[usable], ys[usable]
    if not 1 <= xs.size <= MOST_POINTS:
        raise InputError(f"{xs.size:,} points; a page shows from 1 to {MOST_POINTS:,}")

    def squared_distances(p: Mapping[str, Any]) -> Any:
        values = {name: p[name] for name in names}
        return np.sum((ys - expression.evaluate({**values, variable: xs})) ** 2)

    begin = {name: float((start or {}).get(name, 1.0)) for name in names}
    subject = Subject(squared_distances, begin, label=f"squares of {model}", code="cost")
    return Fitting(expression, variable, column, measured, xs, ys, names, subject)
