"""A training run: the cost of each batch, their running mean, and the cost on the validation data."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from ..presentation.marks import SERIES
from ..presentation.text import WORTH_A_LOG, numeral, shortened
from .canvas import CURVE_WIDTH, HEIGHT, MOST_DOTS, WIDTH, count_along, dress, font_size, ink_of, new_figure

Vector = np.ndarray

# Of a longer run the lowest and the highest cost of each of so many stretches are drawn: spikes stay.
STRETCHES = 600
# The running mean is over this part of the run: one over more of it lags behind a cost that falls by powers of ten.
MEANS = 20


def training(result: Any, ax: Any = None) -> Any:
    """Draw the costs of a run of `train` against its steps; returns the axes.

    Raises:
        InputError: a run that took no step.
    """
    costs = np.asarray(result.history.costs, dtype=float)
    if costs.size == 0:
        raise InputError("this run took no step, so there is no cost to draw")
    if ax is None:
        ax = new_figure(WIDTH, 0.75 * HEIGHT).subplots()
    ink = ink_of(ax)
    if _spans_powers(costs):
        ax.set_yscale("log")
    dots = {"marker": "o", "markersize": 2.5} if costs.size <= MOST_DOTS else {}
    ax.plot(*thinned(costs), color=ink.soft, linewidth=0.7, alpha=0.7, label="each step", zorder=2, **dots)
    rows = result.history.rows
    if any(row.smoothed != row.cost for row in rows):  # they are one line where each step saw all data
        ax.plot(*running_mean(costs), color=ink.text, linewidth=CURVE_WIDTH, label="running mean", zorder=3)
    validations = result.history.validations
    if validations:
        ax.plot(
            *zip(*validations, strict=True), marker=SERIES[1].marker, markersize=3.5, linewidth=CURVE_WIDTH,
            label="validation", zorder=4, **ink.series(SERIES[1]),
        )  # fmt: skip
    label = shortened(result.label or "cost", 60)
    count_along(ax)
    dress(ax, x="step", y="cost", title=f"{label}:  {result.verdict}, cost {numeral(result.cost, 4)}")
    if len(ax.lines) > 1:
        ax.legend(loc="best", frameon=False, fontsize=font_size(ax) - 1, labelcolor=ink.text)
    return ax


def _spans_powers(costs: Vector) -> bool:
    known = costs[np.isfinite(costs)]
    return bool(known.size and known.min() > 0 and known.max() > WORTH_A_LOG * known.min())


def running_mean(costs: Vector) -> tuple[Vector, Vector]:
    """Middles of stretches of a twentieth of the run, at most `STRETCHES` of them, and the mean cost over each.

    >>> running_mean(np.array([4.0, 2.0, 3.0, 1.0]))
    (array([1.5, 2.5, 3.5]), array([3. , 2.5, 2. ]))
    """
    width = min(max(2, costs.size // MEANS), costs.size)
    starts = np.unique(np.linspace(0, costs.size - width, STRETCHES).round().astype(int))
    return starts + 0.5 * (width + 1), np.array([costs[first : first + width].mean() for first in starts])


def thinned(costs: Vector, stretches: int = STRETCHES) -> tuple[Vector, Vector]:
    """Steps, counted from 1, and their costs; of many steps the lowest and the highest of each stretch.

    >>> thinned(np.array([3.0, 2.0, 9.0, 1.0, 4.0, 0.5]), 2)
    (array([2, 3, 5, 6]), array([2. , 9. , 4. , 0.5]))
    """
    steps = np.arange(1, costs.size + 1)
    if costs.size <= 2 * stretches:
        return steps, costs
    chosen = []
    for part in np.array_split(np.arange(costs.size), stretches):
        known = part[np.isfinite(costs[part])]
        if known.size:
            chosen += sorted({int(known[np.argmin(costs[known])]), int(known[np.argmax(costs[known])])})
    return steps[chosen], costs[chosen]
