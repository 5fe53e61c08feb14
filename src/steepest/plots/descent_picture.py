"""A walk downhill: cost against steps and evaluations, and the path for one or two parameters."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import InputError
from ..parameters import Parameters
from ..presentation.marks import mark_of
from ..presentation.text import WORTH_A_LOG, counted, names_of, number, numeral, shortened
from .canvas import (  # fmt: skip
    CURVE_WIDTH,
    HEIGHT,
    MARK_WIDTH,
    MOST_DOTS,
    WIDTH,
    axes_given,
    count_along,
    dress,
    font_size,
    ink_of,
    new_figure,
    plain,
)
from .convergence_picture import cost_of, on_two_lines
from .ground import keeps_its_cost, values_of
from .labels import Room
from .slope_picture import draw_curve, reach_of, settle
from .training_picture import training

# Tangents nearer to the last one drawn than this share of the width would only blacken the picture.
TANGENT_SPACING = 0.11


def descent(result: Any, *, ax: Any = None) -> Any:
    """Draw a minimisation: cost against step and against evaluation, and for one or two parameters the walk.

    Args:
        result: what `steepest.minimize` or `steepest.train` returned.
        ax: one axes for the most telling panel alone (the walk for one or two parameters, otherwise cost
            against step), or one for each panel; without it a figure is made.

    Returns:
        The axes drawn on: an array, or the one that was given. A run of `train` has one: the cost of each step,
        their running mean and the cost on the validation data.

    Raises:
        InputError: there is no history, or `ax` holds the wrong number of axes.

    >>> import steepest
    >>> walk, by_step, by_evaluation = descent(steepest.minimize("x**2 - 2*x + 3", 3.0))
    >>> by_step.get_xlabel()
    'step'
    """
    if hasattr(result, "epochs"):
        given = None if ax is None else axes_given(ax, 1, "the picture of a training run")[0]
        return training(result, given) if given is not None else np.array([training(result)], dtype=object)
    if len(result.history.value) == 0:
        raise InputError("this result holds no history to draw: the cost was never finite")
    panels = [draw_against_steps, draw_against_evaluations]
    if can_show_walk(result):
        panels.insert(0, draw_walk)
    if ax is None:
        axes = _figure(len(panels), values_of(result).size)
    elif np.ndim(np.asarray(ax, dtype=object)) == 0:
        panels[0](result, ax)
        return ax
    else:
        axes = axes_given(ax, len(panels), "this descent")
    for panel, panel_axes in zip(panels, axes, strict=True):
        panel(result, panel_axes)
    if ax is None:
        axes[0].figure.suptitle(plain(_caption(result)), x=0.01, ha="left", fontsize=font_size(axes[0]) + 1,
                                color=ink_of(axes[0]).text)  # fmt: skip
        if len(panels) == 2 or values_of(result).size == 1:
            axes[-1].set_ylabel("")
    return np.array(axes, dtype=object)


def can_show_walk(result: Any) -> bool:
    """Whether there are one or two parameters, their iterates, and a cost to draw behind them."""
    x = result.history.x
    known = x is not None and np.ndim(x) == 2 and len(x) > 0
    return known and np.shape(x)[1] in (1, 2) and keeps_its_cost(result)


def draw_walk(result: Any, ax: Any) -> None:
    """The iterates on the curve, or on the contours of the cost."""
    if np.shape(result.history.x)[1] == 1:
        draw_walk_on_curve(result, ax)
    else:
        draw_walk_on_contours(result, ax)


def _figure(panels: int, parameters: int) -> list[Any]:
    """Axes for the panels; a curve is given the width of the figure, a plane a square."""
    if panels == 2:
        figure = new_figure(WIDTH, HEIGHT * 0.75)
        return list(figure.subplots(1, 2, sharey=True))
    if parameters == 1:
        figure = new_figure(WIDTH, HEIGHT * 1.4)
        grid = figure.add_gridspec(2, 2, height_ratios=[1.6, 1])
        walk, first, second = grid[0, :], grid[1, 0], grid[1, 1]
    else:
        figure = new_figure(WIDTH, HEIGHT)
        grid = figure.add_gridspec(2, 2, width_ratios=[1.9, 1])
        walk, first, second = grid[:, 0], grid[0, 1], grid[1, 1]
    by_step = figure.add_subplot(first)
    return [figure.add_subplot(walk), by_step, figure.add_subplot(second, sharey=by_step)]


def _caption(result: Any) -> str:
    label = shortened(getattr(result, "label", "") or "cost", 60)
    found = f"{label}:  {result.verdict}, cost {numeral(cost_of(result), 4)}"
    count = len(getattr(result, "multipliers", None) or ())
    # Without these words an end that is not at the foot of the contours looks like a mistake.
    drawn = can_show_walk(result) and values_of(result).size == 2 and hasattr(result, "_asked")
    told = "drawn" if drawn else "not drawn"
    return f"{found}  (within {counted(count, 'constraint')}, {told})" if count else found


def draw_against_steps(result: Any, ax: Any) -> None:
    """Cost of each accepted iterate against its number."""
    values = np.asarray(result.history.value, dtype=float)
    _draw_cost(result, np.arange(len(values)), ax, "step")


def draw_against_evaluations(result: Any, ax: Any) -> None:
    """Cost of each accepted iterate against the evaluations spent by then: the price, fairly counted."""
    _draw_cost(result, np.asarray(result.history.evaluations), ax, "evaluations of the cost")


def _draw_cost(result: Any, across: np.ndarray, ax: Any, x: str) -> None:
    ink = ink_of(ax)
    heights, name, logarithmic = cost_scale(np.asarray(result.history.value, dtype=float))
    style = {"marker": "o", "markersize": 2.5} if len(heights) <= MOST_DOTS else {}
    if logarithmic:
        ax.set_yscale("log")
    ax.plot(across, heights, color=ink.text, linewidth=CURVE_WIDTH, **style)
    ax.plot(across[:1], heights[:1], "s", color=ink.text, markersize=5)
    reached = np.flatnonzero(np.isfinite(heights))
    if reached.size:
        last = int(reached[-1])
        end = float(heights[last])
        if logarithmic and last + 1 < len(heights):
            end = _draw_fall_to_zero(across[last:], end, ax)
            last = len(heights) - 1
        ax.plot(across[last : last + 1], [end], "*", color=ink.text, markersize=9, clip_on=False)
    dress(ax, x=x, y=on_two_lines(name, ax))
    count_along(ax)


def _draw_fall_to_zero(across: np.ndarray, height: float, ax: Any) -> float:
    """Down to the foot of a logarithmic axis, which stands for a height of zero, and along it; where that foot is."""
    ink, foot = ink_of(ax), ax.get_ylim()[0]
    ax.set_ylim(bottom=foot)
    ax.plot(across[:2], [height, foot], color=ink.text, linewidth=CURVE_WIDTH, linestyle=":")
    if len(across) > 2:
        ax.plot(
            across[[1, -1]], [foot, foot], color=ink.text, linewidth=CURVE_WIDTH, linestyle=":", clip_on=False
        )
    ax.annotate(
        "0", (across[-1], foot), xytext=(7, 0), textcoords="offset points", va="center",
        color=ink.text, fontsize=font_size(ax),
    )  # fmt: skip
    return float(foot)


def cost_scale(values: np.ndarray) -> tuple[np.ndarray, str, bool]:
    """What to draw for the cost of each iterate, the name of that axis, and whether it is logarithmic.

    A cost that falls towards zero is drawn as it is. One that falls far towards another lowest value is drawn
    as its height above the lowest reached, and the name says so; the lowest, at height zero, is left out.

    >>> cost_scale(np.array([6.0, 3.0, 2.0001, 2.0]))[1:]
    ('cost − 2 (lowest reached)', True)
    """
    values = np.where(np.isfinite(values), values, np.nan)
    if not np.isfinite(values).any():
        return values, "cost", False
    lowest, highest = float(np.nanmin(values)), float(np.nanmax(values))
    if lowest > 0 and highest > WORTH_A_LOG**2 * lowest:
        return values, "cost", True
    above = values - lowest
    above[above <= 0] = np.nan
    if np.isfinite(above).sum() < 3 or np.nanmax(above) < WORTH_A_LOG * np.nanmin(above):
        return values, "cost", False
    if lowest == 0:
        return above, "cost", True
    shift = f"− {number(lowest, 5)}" if lowest > 0 else f"+ {number(-lowest, 5)}"
    return above, f"cost {shift} (lowest reached)", True


def draw_walk_on_curve(result: Any, ax: Any) -> None:
    """The curve, the tangent felt at each iterate, and along the bottom the steps taken."""
    ink, history = ink_of(ax), result.history
    xs, slopes = np.asarray(history.x)[:, 0], np.asarray(history.gradient)[:, 0]
    values = np.asarray(history.value)[np.asarray(history.kept)]
    line = draw_curve(_curve_of(result), xs[np.isfinite(xs)], ax)
    name = names_of(1, getattr(result, "names", ()) or ())[0]
    dress(ax, x=name, y="cost")
    settle(ax)
    room = Room(ax)
    room.add_line(*line)
    spacing = TANGENT_SPACING * float(np.ptp(ax.get_xlim()))
    last = np.inf
    for x, value, slope in zip(xs, values, slopes, strict=True):
        if abs(x - last) < spacing or not np.isfinite(slope):
            continue
        last = x
        mark = mark_of("falling" if slope < 0 else "rising" if slope > 0 else "flat")
        ends = x + reach_of(slope, ax, 0.075) * np.array([-1.0, 1.0])
        heights = value + slope * (ends - x)
        ax.plot(ends, heights, linewidth=MARK_WIDTH, zorder=3, **ink.line(mark))
        ax.plot([x], [value], "o", color=mark.color(dark=ink.dark), markersize=4, zorder=4)
        room.add_line(ends, heights)
    _draw_steps(xs, spacing, ax, ink, room)
    words = (f"start {name} = {number(xs[0], 4)}", f"end {name} = {number(xs[-1], 4)}")
    _mark_ends(xs[[0, -1]], values[[0, -1]], words, room, ink)


def _draw_steps(xs: np.ndarray, spacing: float, ax: Any, ink: Any, room: Room) -> None:
    """Arrows along the bottom of the axes from iterate to iterate, while they are long enough to see."""
    if len(xs) < 2:
        return
    low, high = ax.get_ylim()
    height = low + 0.04 * (high - low)
    for start, stop in pairwise(xs):
        if abs(stop - start) < spacing / 4 or not np.isfinite(stop - start):
            continue
        ax.annotate(
            "", (stop, height), xytext=(start, height),
            arrowprops={"arrowstyle": "->", "color": ink.soft, "linewidth": 1.0, "shrinkA": 0, "shrinkB": 0},
        )  # fmt: skip
        room.add_line([start, stop], [height, height])
    back = bool(xs[1] < xs[0])
    ax.annotate(
        "steps", (xs[0], height), xytext=(4 if back else -4, 0), textcoords="offset points", va="center",
        ha="left" if back else "right", color=ink.soft, fontsize=font_size(ax) - 1,
    )  # fmt: skip


def _mark_ends(x: np.ndarray, y: np.ndarray, words: tuple[str, str], room: Room, ink: Any) -> None:
    ax = room.ax
    background = ax.get_facecolor()
    for at, height, marker, size in zip(x, y, "s*", (7, 13), strict=True):
        ax.plot([at], [height], marker, color=ink.text, markeredgecolor=background, markersize=size, zorder=5)
        room.add_line([at, at], [height, height])
    for at, height, text in zip(x, y, words, strict=True):
        room.place(text.replace("-", "−"), at, height, color=ink.text, size=font_size(ax))


def _curve_of(result: Any) -> Any:
    """The cost of one parameter as a function of an array of places."""
    parameters = Parameters.of(result.x)

    def curve(places: np.ndarray) -> np.ndarray:
        values = [float(result.cost(parameters.restore(np.array([place])))) for place in places]
        return np.array(values)

    return curve


def draw_walk_on_contours(result: Any, ax: Any) -> None:
    """The path over lines of equal cost, start and end marked."""
    from .landscape_picture import draw_plane

    draw_plane(result, ax)
