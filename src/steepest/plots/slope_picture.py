"""The lesson's picture: a curve, and at each place a point, its tangent and the word for its direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..presentation.marks import mark_of
from ..presentation.text import flat, largest, names_of, numeral, shortened
from .canvas import (  # fmt: skip
    CURVE_WIDTH,
    HEIGHT,
    MARK_WIDTH,
    NARROW,
    WIDTH,
    axes_given,
    brief,
    dress,
    font_size,
    in_one_piece,
    ink_of,
    new_figure,
    plain,
    width_of,
)
from .labels import Room

Curve = tuple[np.ndarray, np.ndarray]

# Places on the curve: enough that a line 7 inches wide shows no corner of its own.
SAMPLES = 501
# The drawn half of a tangent, as a share of the width of the axes.
TANGENT_REACH = 0.13
# Bars further apart than this ratio are drawn on a scale that is linear near zero and logarithmic beyond.
WIDE_RATIO = 300.0
# Room kept below the lowest point for a label of two lines, in points.
LABEL_HEIGHT = 42.0
NO_VALUE = f"{mark_of('no slope here').word}:\nno value"
# More bars than this cannot be told apart.
MOST_BARS = 20


def slope(source: Any, at: Any = None, *, ax: Any = None) -> Any:
    """Draw slopes: of one parameter as tangents on the curve, of several as a bar for each parameter.

    Args:
        source: a `Slope`, or anything `steepest.slope` takes: a function or an expression.
        at: the places, where `source` is not yet a `Slope`.
        ax: Matplotlib axes to draw on, one for each panel; without it a figure is made.

    Returns:
        The axes: one, or an array with one for each place when there are several parameters and places.

    Raises:
        InputError: `at` is missing for a function, or `ax` holds the wrong number of axes.

    >>> import steepest
    >>> axes = slope("x**2 - 2*x + 3", at=[-1, 1, 3])
    >>> axes.get_xlabel()
    'x'
    """
    record = _record(source, at)
    if all(flat(point.at).size == 1 for point in record.points) and record.curve is not None:
        ax = axes_given(ax, 1, "this slope")[0] if ax is not None else new_figure().subplots()
        draw_tangents(record, ax)
        return ax
    return _bars(record, ax)


def _record(source: Any, at: Any) -> Any:
    if hasattr(source, "points") and hasattr(source, "derivatives"):
        return source
    if at is None:
        raise InputError("plots.slope needs at=, the places where the slope is wanted")
    import steepest

    return steepest.slope(source, at)


def draw_tangents(record: Any, ax: Any) -> None:
    """The curve in ink, then point, tangent and label at each place."""
    ink, size = ink_of(ax), font_size(ax)
    places = np.array([flat(point.at)[0] for point in record.points], dtype=float)
    jumps = [
        (float(flat(p.at)[0]), float(flat(p.left_value)[0]), float(flat(p.right_value)[0]))
        for p in record.points
        if p.left_value is not None
    ]
    xs, ys = draw_curve(record.curve, places, ax, jumps)
    dress(ax, x=names_of(1, record.names)[0], y="cost", title=shortened(record.label, _title_length(ax)))
    settle(ax)

    room = Room(ax)
    room.add_line(xs, ys)
    for point in record.points:
        for x, y in _lines_at(point, ax, ink):
            room.add_line(x, y)
    for point in record.points:
        at = float(flat(point.at)[0])
        if np.isfinite(point.value):
            text = _label(point)
            room.place(text, at, point.value, color=ink.text, size=size, prefer=_open_side(xs, ys, at))
        else:
            _mark_no_value(at, room, ink)


def _mark_no_value(at: float, room: Room, ink: Any) -> None:
    """A hollow point at the foot of the axes, where the cost has no value to draw it at."""
    ax = room.ax
    low, high = ax.get_ylim()
    ax.plot(
        [at],
        [low],
        "o",
        color=ink.text,
        markerfacecolor=ax.get_facecolor(),
        markersize=6,
        zorder=4,
        clip_on=False,
    )
    room.place(NO_VALUE, at, low + 0.02 * (high - low), color=ink.text, size=font_size(ax), prefer=90)


def draw_curve(
    curve: Any, places: np.ndarray, ax: Any, jumps: Sequence[tuple[float, float, float]] = ()
) -> Curve:
    """The curve around `places`, drawn; leaves room above and below it for labels.

    `jumps` are places where the curve is torn, each with its heights just left and just right.
    """
    ink = ink_of(ax)
    low, high = float(places.min()), float(places.max())
    margin = 0.25 if width_of(ax) > NARROW else 0.4
    reach = margin * (high - low) if high > low else max(1.0, 0.5 * abs(low))
    xs = np.union1d(np.linspace(low - reach, high + reach, SAMPLES), places)
    with np.errstate(all="ignore"):
        ys = np.array(curve(xs), dtype=float)
    ys[~np.isfinite(ys)] = np.nan
    for at, before, after in jumps:
        k = int(np.searchsorted(xs, at))
        xs = np.insert(np.delete(xs, k), k, [at, at, at])
        ys = np.insert(np.delete(ys, k), k, [before, np.nan, after])
    bottom, top = _heights(ys, ys[np.isin(xs, places)])
    xs, ys = _torn_at_poles(xs, ys, bottom, top)
    ax.plot(xs, ys, color=ink.text, linewidth=CURVE_WIDTH, zorder=2)
    ax.set_xlim(xs[0], xs[-1])
    words = min(LABEL_HEIGHT / max(72 * ax.get_window_extent().height / ax.figure.dpi, 1.0), 0.4)
    ax.set_ylim(bottom - words / (1 - words) * 1.06 * (top - bottom), top + 0.06 * (top - bottom))
    return xs, ys


def _torn_at_poles(xs: np.ndarray, ys: np.ndarray, bottom: float, top: float) -> Curve:
    """The curve with a gap where it leaves the picture on one side and is back from the other at the next place.

    >>> _torn_at_poles(np.array([0.0, 1.0, 2.0]), np.array([0.5, 90.0, -90.0]), -1.0, 1.0)[1]
    array([  0.5,  90. ,   nan, -90. ])
    """
    side = (ys > top).astype(int) - (ys < bottom)
    gaps = np.flatnonzero(side[1:] * side[:-1] < 0) + 1
    return np.insert(xs, gaps, xs[gaps]), np.insert(ys, gaps, np.nan)


# Part of the curve beyond the places, in units of what it spans between them, that is still shown.
TALLEST = 25.0


def _heights(ys: np.ndarray, marked: np.ndarray) -> tuple[float, float]:
    """Lowest and highest part of the curve worth showing: a pole must not flatten everything else.

    `marked`: the heights at the places themselves; a wall beside them is cut where they would lie on one line.
    """
    marked = marked[np.isfinite(marked)]
    span = float(np.ptp(marked)) if marked.size else 0.0
    if span > 0.0:
        seen = (ys >= marked.min() - TALLEST * span) & (ys <= marked.max() + TALLEST * span)
        ys = ys[seen]
    finite = ys[np.isfinite(ys)]
    if finite.size == 0:
        return -1.0, 1.0
    low, high = np.percentile(finite, [2, 98])
    spread = max(high - low, 1e-3 * max(abs(low), abs(high))) or 1.0
    if not finite.max() > finite.min():
        return low - spread / 2, high + spread / 2
    return max(float(finite.min()), low - 2 * spread), min(
        float(finite.max()), high + 2 * spread
    ) + 1e-9 * spread


def _lines_at(point: Any, ax: Any, ink: Any) -> list[Curve]:
    """Draw point and tangent, or hollow point and two half-tangents; return the lines drawn."""
    at, mark = float(flat(point.at)[0]), mark_of(str(flat(point.direction)[0]))
    if mark.dash is not None:
        slope = float(flat(point.slope)[0])
        x = at + reach_of(slope, ax) * np.array([-1.0, 1.0])
        y = point.value + slope * (x - at)
        ax.plot(x, y, linewidth=MARK_WIDTH, zorder=3, **ink.line(mark))
        ax.plot([at], [point.value], "o", color=mark.color(dark=ink.dark), markersize=6, zorder=4)
        return [(x, y)]
    lines = []
    sides = ((-1.0, point.left, point.left_value), (1.0, point.right, point.right_value))
    for side, slopes, beside in sides:
        # At a jump each half-tangent lies along its own piece of the curve.
        height = point.value if beside is None else float(flat(beside)[0])
        steepness = np.nan if slopes is None else float(flat(slopes)[0])
        if np.isfinite(steepness):
            x = at + side * reach_of(steepness, ax) * np.array([0.0, 1.0])
            y = height + steepness * (x - at)
            ax.plot(
                x, y, color=ink.soft, linewidth=3 * MARK_WIDTH, alpha=0.35, solid_capstyle="butt", zorder=1.5
            )
            lines.append((x, y))
    background = ax.get_facecolor()
    ax.plot([at], [point.value], "o", color=ink.text, markerfacecolor=background, markersize=6, zorder=4)
    return lines


def reach_of(slope: float, ax: Any, share: float = TANGENT_REACH) -> float:
    """How far along x half a tangent goes, so that steep ones and flat ones are drawn equally long."""
    frame = ax.get_window_extent()
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    across, up = frame.width / (x1 - x0), frame.height / (y1 - y0)  # display units per data unit
    return float(share * frame.width / np.hypot(across, up * slope))


def _label(point: Any) -> str:
    mark = mark_of(str(flat(point.direction)[0]))
    if mark.dash is None and point.left is not None and point.right is not None:
        left, right = brief(flat(point.left)[0]), brief(flat(point.right)[0])
        return f"{mark.word}\n{left} from the left, {right} from the right"
    if mark.dash is None:
        return mark.word
    return f"{mark.word} {mark.arrow}\nslope {brief(flat(point.slope)[0])}"


def _open_side(xs: np.ndarray, ys: np.ndarray, at: float) -> int:
    """The angle, straight up or straight down, on the side the curve bends away from."""
    near = max((xs[-1] - xs[0]) * 0.03, 1e-300)
    left, middle, right = np.interp([at - near, at, at + near], xs, ys)
    return 270 if left + right >= 2 * middle else 90


def settle(ax: Any) -> None:
    """Let the layout find the final size of the axes, so that labels can be measured against it."""
    ax.figure.draw_without_rendering()


def _title_length(ax: Any) -> int:
    return max(20, int(width_of(ax) * 12))


def _bars(record: Any, ax: Any) -> Any:
    count = len(record.points)
    if ax is not None:
        axes = axes_given(ax, count, "one panel for each place")
    else:
        rows = min(flat(record.points[0].slope).size, MOST_BARS)
        height = max(1.6, 0.9 + 0.28 * rows) * count
        axes = list(
            np.ravel(new_figure(WIDTH, min(max(height, HEIGHT / 2), 12.0)).subplots(count, 1, squeeze=False))
        )
    for point, panel in zip(record.points, axes, strict=True):
        draw_bars(point, record.names, shortened(record.label, _title_length(panel)), panel)
    return in_one_piece(axes)


def draw_bars(point: Any, names: Sequence[str], label: str, ax: Any) -> None:
    """One line for each parameter, from zero to its slope; the steepest where there are too many."""
    ink, size = ink_of(ax), font_size(ax)
    slopes, directions = flat(point.slope).astype(float), flat(point.direction)
    shown = largest(slopes, MOST_BARS)
    names = names_of(slopes.size, names)
    finite = np.nan_to_num(slopes[shown], nan=0.0, posinf=0.0, neginf=0.0)
    farthest = float(np.abs(finite).max()) or 1.0
    smallest = float(np.abs(finite[finite != 0]).min()) if finite.any() else 1.0
    if farthest / smallest > WIDE_RATIO:
        ax.set_xscale("symlog", linthresh=max(smallest, farthest * 1e-8))
    ax.axvline(0.0, color=ink.soft, linewidth=0.8, zorder=1)
    for row, (i, length) in enumerate(zip(shown, finite, strict=True)):
        mark = mark_of(str(directions[i]))
        if mark.dash is None:
            ax.plot(
                [0.0], [row], "o", color=ink.text, markerfacecolor=ax.get_facecolor(), markersize=6, zorder=3
            )
            text = mark.word
        else:
            ax.plot([0.0, length], [row, row], linewidth=MARK_WIDTH * 1.5, zorder=2, **ink.line(mark))
            ax.plot([length], [row], "o", color=mark.color(dark=ink.dark), markersize=6, zorder=3)
            text = f"{brief(slopes[i])}  {mark.word} {mark.arrow}"
        side = -1 if length < 0 else 1
        ax.annotate(
            text, (length, row), xytext=(9 * side, 0), textcoords="offset points", va="center",
            ha="right" if side < 0 else "left", color=ink.text, fontsize=size - 0.5,
        )  # fmt: skip
    ax.set_yticks(range(len(shown)), [plain(f"{names[i]} = {numeral(flat(point.at)[i], 4)}") for i in shown])
    ax.set_ylim(len(shown) - 0.4, -0.6)
    _make_room_for_words(ax, finite)
    rest = f", {len(shown)} steepest of {slopes.size:,}" if len(shown) < slopes.size else ""
    dress(ax, x=f"slope (cost {brief(point.value)}{rest})", y="", title=label)


def _make_room_for_words(ax: Any, lengths: np.ndarray) -> None:
    """Widen the axes on the sides where words stand beyond the ends of bars: about 1.5 inches of them."""
    farthest = float(np.abs(lengths).max()) or 1.0
    both = bool((lengths < 0).any())
    share = min(1.5 / max(width_of(ax), 1.0), 0.38 if both else 0.6)
    if ax.get_xscale() == "symlog":
        ax.set_xlim(-30 * farthest if both else -farthest * 1e-3, 30 * farthest)
        return
    left, right = min(float(lengths.min()), 0.0), max(float(lengths.max()), 0.0)
    span = max(right - left, 1e-300) / (1 - share * (2 if both else 1))
    ax.set_xlim(left - share * span if both else -0.04 * span, right + share * span)
