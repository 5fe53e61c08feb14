"""How walks went: cost above the lowest, projected slope and step length, against steps and evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..presentation.marks import Series, series_of
from ..presentation.text import WORTH_A_LOG, number, numeral, shortened
from .canvas import (  # fmt: skip
    CURVE_WIDTH,
    HEIGHT,
    MOST_DOTS,
    NARROW,
    WIDTH,
    axes_given,
    count_along,
    dress,
    font_size,
    ink_of,
    new_figure,
    plain,
)

Vector = np.ndarray

AGAINST = {"step": "step", "evaluations": "evaluations of the cost", "seconds": "seconds"}
# More lines in one panel than this cannot be followed.
MOST_RUNS = 12
# Walks whose lengths differ by more than this are drawn over powers.
WIDE_RATIO = 20.0
# Axes lower than this many inches have no room for a long name on one line.
LOW = 2.4


def convergence(
    *results: Any, labels: Sequence[str] | None = None, against: Any = None, ax: Any = None
) -> Any:
    """Draw how one or several walks went down, row by row: cost, projected slope, step length.

    Args:
        results: results of `minimize`, or one dict from label to result.
        labels: a name for each result; by default the method that found it.
        against: "step", "evaluations" or "seconds", or several of them; both of the first by default.
        ax: one axes for the cost alone, three for all rows of one column, or one for each panel, row by row.

    Returns:
        The axes: an array of shape (3, columns), or those that were given.

    Raises:
        InputError: a result without history, an unknown `against`, or the wrong number of axes.

    The cost is drawn as its height above the lowest that any of the walks reached, where that spans orders of
    magnitude; the name of the axis says so. A walk begins and ends with its own marker.

    >>> import steepest
    >>> axes = convergence(steepest.minimize("x**2 - 2*x + 3", 3.0))
    >>> axes.shape, axes[1, 0].get_ylabel()
    ((3, 2), 'projected slope')
    """
    runs = named_results(results, labels)
    columns = [against] if isinstance(against, str) else list(against or ("step", "evaluations"))
    for name in columns:
        if name not in AGAINST:
            raise InputError(f"against={name!r}; choose one of {', '.join(map(repr, AGAINST))}")
    if ax is not None and np.ndim(np.asarray(ax, dtype=object)) == 0:
        column = columns[0] if against is not None else "evaluations"
        draw_costs(runs, column, ax)
        legend(runs, ax)
        return ax
    if against is None and ax is not None and np.size(np.asarray(ax, dtype=object)) == 3:
        columns = ["evaluations"]
    axes = _axes(ax, columns)
    for column, panels in zip(columns, axes.T, strict=True):
        draw_costs(runs, column, panels[0])
        _draw_rows(runs, column, "gradient_norm", "projected slope", panels[1])
        _draw_rows(runs, column, "step_length", "step length", panels[2])
    for panel in axes[:, 1:].ravel():
        panel.set_ylabel("")
    for panel in axes[:-1].ravel():
        panel.set_xlabel("")
    legend(runs, axes[0, 0])
    return axes


def named_results(results: Sequence[Any], labels: Sequence[str] | None) -> dict[str, Any]:
    """Each result under its name; raises `InputError` for one without history, or labels that do not fit."""
    if len(results) == 1 and isinstance(results[0], Mapping) and not hasattr(results[0], "history"):
        labels, results = list(results[0]), list(results[0].values())
    if not results:
        raise InputError("give at least one result")
    if len(results) > MOST_RUNS:
        raise InputError(
            f"{len(results)} walks in one picture cannot be told apart; give at most {MOST_RUNS}"
        )
    if labels is None:
        labels = _own_names(results)
    if len(labels) != len(results):
        raise InputError(f"there are {len(results)} results and {len(labels)} labels")
    for label, result in zip(labels, results, strict=True):
        if hasattr(result, "epochs"):
            raise InputError(
                f"{label} is a training run, whose costs are those of batches; plots.descent draws it, and "
                "record= with `steepest explore` shows it while it goes"
            )
        if len(getattr(getattr(result, "history", None), "value", ())) == 0:
            raise InputError(f"{label} holds no history to draw")
    return dict(zip(map(str, labels), results, strict=True))


def _own_names(results: Sequence[Any]) -> list[str]:
    names = [getattr(getattr(result, "plan", None), "name", None) or "walk" for result in results]
    return [name if names.count(name) == 1 else f"{name} {k + 1}" for k, name in enumerate(names)]


def _axes(ax: Any, columns: Sequence[str]) -> np.ndarray:
    if ax is None:
        figure = new_figure(WIDTH, 1.6 * HEIGHT)
        return figure.subplots(3, len(columns), sharex="col", sharey="row", squeeze=False)
    axes = axes_given(ax, 3 * len(columns), "convergence")
    return np.array(axes, dtype=object).reshape(3, len(columns))


def lowest_of(runs: Mapping[str, Any]) -> float:
    """The lowest finite cost that any of the walks reached; NaN where none is."""
    values = np.concatenate([np.asarray(run.history.value, dtype=float) for run in runs.values()])
    values = values[np.isfinite(values)]
    return float(values.min()) if values.size else np.nan


def draw_costs(runs: Mapping[str, Any], column: str, ax: Any) -> None:
    """Cost of every walk, above the lowest of all where that spans orders of magnitude."""
    everything = [np.asarray(run.history.value, dtype=float) for run in runs.values()]
    shift, name, logarithmic = shared_scale(everything)
    rows = [np.where(np.isfinite(values), values - shift, np.nan) for values in everything]
    _draw(runs, column, rows, ax, logarithmic)
    dress(ax, x=AGAINST[column], y=on_two_lines(name, ax))


def on_two_lines(name: str, ax: Any) -> str:
    """The name of an axis, broken before its remark where the axes are low."""
    return name.replace(" (", "\n(") if ax.get_window_extent().height / ax.figure.dpi < LOW else name


def shared_scale(everything: Sequence[Vector]) -> tuple[float, str, bool]:
    """What to take off every cost, the name of the axis, and whether it is logarithmic.

    >>> shared_scale([np.array([6.0, 3.0, 2.0001, 2.0])])
    (2.0, 'cost − 2 (lowest reached)', True)
    >>> shared_scale([np.array([1.0, 1e-9])])
    (0.0, 'cost', True)
    """
    values = np.concatenate(everything)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, "cost", False
    lowest, highest = float(values.min()), float(values.max())
    if lowest > 0 and highest > WORTH_A_LOG**2 * lowest:
        return 0.0, "cost", True
    above = values[values > lowest] - lowest
    if above.size < 2 or above.max() < WORTH_A_LOG * above.min():
        return 0.0, "cost", False
    if lowest == 0:
        return 0.0, "cost", True
    shift = f"− {number(lowest, 5)}" if lowest > 0 else f"+ {number(-lowest, 5)}"
    return lowest, f"cost {shift} (lowest reached)", True


def _draw_rows(runs: Mapping[str, Any], column: str, what: str, name: str, ax: Any) -> None:
    rows = []
    for run in runs.values():
        values = np.array(getattr(run.history, what), dtype=float)
        if what == "step_length":
            values[:1] = np.nan  # no step leads to the start
        rows.append(values)
    positive = np.concatenate(rows)
    positive = positive[np.isfinite(positive) & (positive > 0)]
    _draw(runs, column, rows, ax, bool(positive.size and positive.max() > WORTH_A_LOG * positive.min()))
    dress(ax, x=AGAINST[column], y=name)


def _draw(runs: Mapping[str, Any], column: str, rows: Sequence[Vector], ax: Any, logarithmic: bool) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    if logarithmic:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(numticks=6))
        ax.yaxis.set_minor_locator(NullLocator())
    for k, (run, values) in enumerate(zip(runs.values(), rows, strict=True)):
        across = _across(run, column)
        if logarithmic:
            values = np.where(values > 0, values, np.nan)
        draw_series(across, values, series_of(k), ax)
    _scale_across(runs, column, ax)


def _scale_across(runs: Mapping[str, Any], column: str, ax: Any) -> None:
    """Whole numbers along the bottom; by powers where one walk is so long that it would flatten another."""
    from matplotlib.ticker import NullLocator

    lengths = [float(_across(run, column)[-1]) for run in runs.values()]
    lengths = [length for length in lengths if length > 0]
    if lengths and max(lengths) > WIDE_RATIO * min(lengths):
        if column == "step":
            ax.set_xscale("symlog", linthresh=1.0)
        else:
            ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
    elif column != "seconds":
        count_along(ax)


def _across(run: Any, column: str) -> Vector:
    history = run.history
    return np.arange(len(history.value)) if column == "step" else np.asarray(getattr(history, column))


def draw_series(x: Vector, y: Vector, series: Series, ax: Any) -> None:
    """One line with its marker at every place while these are few, hollow at the start and larger at the end."""
    ink = ink_of(ax)
    known = np.flatnonzero(np.isfinite(y))
    if known.size == 0:
        return
    color = series.color(dark=ink.dark)
    ax.plot(x, y, linewidth=CURVE_WIDTH, zorder=3, **ink.series(series))
    if len(y) <= MOST_DOTS:
        ax.plot(x[known], y[known], series.marker, color=color, markersize=2.2, zorder=3)
    first, last = known[0], known[-1]
    ax.plot(
        x[[first]], y[[first]], series.marker, color=color, markerfacecolor=ax.get_facecolor(), markersize=5,
        zorder=4,
    )  # fmt: skip
    ax.plot(x[[last]], y[[last]], series.marker, color=color, markersize=6.5, zorder=4)


def cost_of(run: Any) -> float:
    """The cost at the end: `fun` of a result of `minimize`, `cost` of a fit."""
    return float(run.fun if hasattr(run, "fun") else run.cost)


def legend(runs: Mapping[str, Any], ax: Any) -> None:
    """Which line is whose walk and what each found; a single walk is told in the title instead."""
    ink, size = ink_of(ax), font_size(ax)
    cost = f", cost {numeral(cost_of(next(iter(runs.values()))), 4)}" if len(runs) == 1 else ""
    told = [plain(f"{label}: {run.verdict}{cost}") for label, run in runs.items()]
    if len(runs) == 1:
        ax.set_title(
            shortened(told[0], int(14 * max(ax.figure.get_figwidth() - 1, 2))),
            loc="left",
            color=ink.text,
            fontsize=size,
        )
        return
    from matplotlib.lines import Line2D

    handles = []
    for k in range(len(runs)):
        style = ink.series(series_of(k))
        handles.append(
            Line2D([], [], marker=series_of(k).marker, markersize=5, linewidth=CURVE_WIDTH, **style)
        )
    settings = {"fontsize": size, "frameon": False, "labelcolor": ink.text, "handlelength": 3.2}
    if len(ax.figure.axes) == 1:
        ax.legend(handles, told, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.0, **settings)
    else:
        columns = 2 if ax.figure.get_figwidth() > NARROW else 1
        ax.figure.legend(handles, told, loc="outside upper left", ncols=columns, **settings)
