"""For each piece of evidence the picture that shows it, drawn from the cost around the point that was judged."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..plots.canvas import CURVE_WIDTH, MARK_WIDTH, count_along, dress, font_size, ink_of, new_figure
from ..plots.convergence_picture import draw_series, shared_scale
from ..plots.ground import (
    CURVATURE_PARAMETERS,
    Direction,
    Ground,
    along_line,
    direction_of,
)  # fmt: skip
from ..plots.landscape_picture import draw_line, label_center
from ..presentation.marks import mark_of, series_of
from ..presentation.text import WORTH_A_LOG, number

Vector = np.ndarray

# Inches; drawn in a column of about 680 pixels these letters are as large as the text around them.
WIDTH, HEIGHT = 6.4, 2.5
# Evaluations at one and the same point, and at neighbouring points, that show whether a cost repeats itself.
REPEATS, NEIGHBOURS = 24, 81
# Distance between neighbouring points, in units in the last place of the largest parameter.
SPACING = 8
# Share of what the walk gained that a close look at a minimum shows: near enough to see the bottom.
CLOSE = 0.2
# Tangents drawn along a line that shows convexity.
TANGENTS = 5
# Parameters looked along one by one where no direction is known.
MOST_LINES = 4
# A direction in words tells two digits; where a curvature's direction agrees this well, that one is meant.
SAME_DIRECTION = 0.995


@dataclass(frozen=True)
class Picture:
    """A picture and what it shows, in a sentence. `key`: evidence with the same key shares it."""

    key: str
    caption: str
    draw: Callable[[], Any]


def picture_for(item: Any, ground: Ground, history: Any) -> Picture | None:
    """The picture that shows a piece of evidence, by its name; None for one that has none."""
    for pattern, make in TABLE:
        match = re.search(pattern, item.name)
        if match:
            return make(item, match, ground, history)
    return None


# -- how the walk came here --------------------------------------------------------------------------------


def _slope(item: Any, match: Any, ground: Ground, history: Any) -> Picture | None:
    if history is None or len(history.gradient_norm) < 2:
        return _lines(item, match, ground, history)

    def draw() -> Any:
        ax = new_figure(WIDTH, HEIGHT).subplots()
        norms = np.array(history.gradient_norm, dtype=float)
        positive = norms[np.isfinite(norms) & (norms > 0)]
        if positive.size and positive.max() > WORTH_A_LOG * positive.min():
            ax.set_yscale("log")
            norms = np.where(norms > 0, norms, np.nan)
        draw_series(np.arange(norms.size), norms, series_of(0), ax)
        limit = item.limit
        if limit and np.isfinite(limit) and "slope" in item.name:
            ax.axhline(limit, color=ink_of(ax).soft, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
            ax.annotate(
                f"limit {number(limit, 2)}".replace("-", "−"), (0.0, limit), xytext=(4, 3), textcoords="offset points",
                xycoords=ax.get_yaxis_transform(), color=ink_of(ax).text, fontsize=font_size(ax) - 1,
            )  # fmt: skip
        count_along(ax)
        dress(ax, x="step", y="projected slope")
        return ax

    words = "The length of the projected slope at each step"
    return Picture("slope", f"{words}; the last is where the judge measured it afresh.", draw)


def _gap(item: Any, match: Any, ground: Ground, history: Any) -> Picture | None:
    if history is None or len(history.value) < 2:
        return None

    def draw() -> Any:
        ax = new_figure(WIDTH, HEIGHT).subplots()
        values = np.asarray(history.value, dtype=float)
        shift, name, logarithmic = shared_scale([values])
        above = values - shift
        if logarithmic:
            ax.set_yscale("log")
            above = np.where(above > 0, above, np.nan)
        draw_series(np.arange(values.size), above, series_of(0), ax)
        if logarithmic and item.measured and item.measured > 0:
            ax.axhline(item.measured, color=ink_of(ax).soft, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
        count_along(ax)
        dress(ax, x="step", y=name)
        return ax

    gap = "" if item.measured is None else f" Not more than {number(item.measured, 2)} can be left below."
    return Picture("gap", f"The cost at each step.{gap}", draw)


# -- the cost around the point -----------------------------------------------------------------------------


def _repeats(item: Any, match: Any, ground: Ground, history: Any) -> Picture | None:
    def draw() -> Any:
        same, near = new_figure(WIDTH, HEIGHT).subplots(1, 2, sharey=True)
        here = ground.value(ground.center)
        again = [ground.value(ground.center) - here for _ in range(REPEATS)]
        same.plot(range(1, REPEATS + 1), again, "o", color=ink_of(same).text, markersize=3)
        dress(same, x="evaluations at the point", y="cost − cost at the point")
        unit = SPACING * np.spacing(max(float(np.abs(ground.center).max()), 1e-300))
        ticks = np.arange(NEIGHBOURS) - NEIGHBOURS // 2
        free = (ground.center > ground.bounds.lower) & (ground.center < ground.bounds.upper)
        aside = np.where(free, 1.0, 0.0) / np.sqrt(max(int(free.sum()), 1))
        points = ground.center + np.multiply.outer(ticks * unit, aside)
        beside = [ground.value(ground.bounds.project(point)) - here for point in points]
        near.plot(ticks, beside, ".", color=ink_of(near).text, markersize=3)
        dress(near, x=f"neighbouring points, {number(unit, 2)} apart".replace("-", "−"), y="")
        reach = float(np.nanmax(np.abs([*again, *beside]))) or abs(here) * 1e-16 or 1e-300
        same.set_ylim(-1.3 * reach, 1.3 * reach)
        return same

    return Picture(
        "repeats",
        "Left: the cost evaluated again and again at one point; a cost that repeats itself stays on one level. Right: "
        "at points next to it, where a smooth cost draws a line and rounding scatters about it.",
        draw,
    )


def _curvature(item: Any, match: Any, ground: Ground, history: Any) -> Picture | None:
    if ground.hessian is None or ground.n > CURVATURE_PARAMETERS:
        return _lines(item, match, ground, history)
    names = ["flattest", "sharpest"] if ground.n > 1 else [0]

    def draw() -> Any:
        return _draw_lines(ground, [_close(ground, direction_of(ground, name)) for name in names])

    words = "along the directions in which it bends least and most" if ground.n > 1 else "around the point"
    return Picture(
        "curvature",
        f"The cost {words}. Dashed: the parabola of slope and curvature; at a minimum it opens upwards.",
        draw,
    )


def _lines(item: Any, match: Any, ground: Ground, history: Any) -> Picture | None:
    def draw() -> Any:
        return _draw_lines(ground, [direction_of(ground, k) for k in range(min(ground.n, MOST_LINES))])

    return Picture("lines", "The cost along each parameter, all others held.", draw)


def _kink(item: Any, match: Any, ground: Ground, history: Any) -> Picture | None:
    def draw() -> Any:
        size = max(float(np.abs(ground.center).max()), 1e-3)
        lines = []
        for k in range(min(ground.n, MOST_LINES)):
            direction = direction_of(ground, k)
            lines.append(
                Direction(direction.vector, direction.name, direction.offset, -0.1 * size, 0.1 * size)
            )
        return _draw_lines(ground, lines)

    return Picture(
        "kink",
        "The cost close to the point, along each parameter: at a kink the slope jumps from one side to the other.",
        draw,
    )


def _along(item: Any, match: Any, ground: Ground, history: Any) -> Picture | None:
    vector = _direction_in_words(match[1], ground)
    if vector is None:
        return _lines(item, match, ground, history)

    def draw() -> Any:
        parameter = np.count_nonzero(vector) == 1
        along = ground.names[int(np.argmax(np.abs(vector)))] if parameter else vector
        return _draw_lines(ground, [direction_of(ground, along)])

    return Picture(f"along {match[1]}", f"The cost along {match[1]}, through the point.", draw)


def _direction_in_words(words: str, ground: Ground) -> Vector | None:
    """The direction that `verdict.wording.direction_name` tells of; a curvature's own where that is the one meant."""
    vector = np.zeros(ground.n)
    known = {str(name): k for k, name in enumerate(ground.names[:10_000])}
    for sign, size, name in re.findall(
        r"(?:^|(?<= ))([-+]?) ?(?:([\d.e+-]+)·)?([^\s].*?)(?= [-+] |$)", words
    ):
        if name not in known:
            return None
        vector[known[name]] = (-1.0 if sign == "-" else 1.0) * float(size or 1.0)
    if not vector.any():
        return None
    if ground.hessian is not None and 1 < ground.n <= CURVATURE_PARAMETERS and np.count_nonzero(vector) > 1:
        hessian = ground.hessian(ground.center)
        if np.isfinite(hessian).all():
            directions = np.linalg.eigh(hessian)[1].T
            alike = directions @ vector / np.linalg.norm(vector)
            best = int(np.argmax(np.abs(alike)))
            if abs(alike[best]) > SAME_DIRECTION:
                exact = directions[best] * np.sign(alike[best])
                return np.asarray(exact / np.abs(exact).max())
    return vector


def _bound(item: Any, match: Any, ground: Ground, history: Any) -> Picture | None:
    if match[1] not in list(ground.names[:10_000]):
        return None

    def draw() -> Any:
        return _draw_lines(ground, [direction_of(ground, match[1])])

    return Picture(
        f"bound {match[1]}",
        f"The cost along {match[1]}: it would fall further, but the bound (hatched) is in the way.",
        draw,
    )


def _convexity(item: Any, match: Any, ground: Ground, history: Any) -> Picture | None:
    if ground.gradient is None:
        return _lines(item, match, ground, history)

    def draw() -> Any:
        try:
            direction = direction_of(ground, "way" if ground.n > 1 else 0)
        except InputError:
            direction = direction_of(ground, 0)
        ax = new_figure(WIDTH, HEIGHT).subplots()
        ink = ink_of(ax)
        t, heights = along_line(ground, direction)
        ax.plot(t + direction.offset, heights, color=ink.text, linewidth=CURVE_WIDTH, zorder=3)
        low, high = float(np.nanmin(heights)), float(np.nanmax(heights))
        span = max(high - low, 1e-300)
        ax.set_ylim(low - 0.15 * span, high + 0.05 * span)
        ax.set_xlim(direction.low + direction.offset, direction.high + direction.offset)
        known = t[np.isfinite(heights)]
        assert ground.gradient is not None
        for place in np.linspace(known[0], known[-1], TANGENTS + 2)[1:-1]:
            at = ground.bounds.project(ground.center + place * direction.vector)
            height, slope = ground.value(at), float(ground.gradient(at) @ direction.vector)
            ends = place + np.array([-0.13, 0.13]) * (direction.high - direction.low)
            mark = mark_of("falling" if slope < 0 else "rising" if slope > 0 else "flat")
            ax.plot(
                ends + direction.offset,
                height + slope * (ends - place),
                linewidth=MARK_WIDTH,
                zorder=2,
                **ink.line(mark),
            )
        dress(ax, x=direction.name, y="cost")
        return ax

    return Picture(
        "convexity",
        "A convex cost lies above each of its tangents, everywhere, so that a point with slope zero is lowest.",
        draw,
    )


def _close(ground: Ground, direction: Direction) -> Direction:
    """The same direction, only as far as the cost rises by a part of what the walk gained."""
    assert ground.hessian is not None
    bend = float(direction.vector @ ground.hessian(ground.center) @ direction.vector)
    here = ground.value(ground.center)
    gained = 0.0 if ground.walk is None else float(np.nanmax(ground.walk[1][:1])) - here
    rise = CLOSE * gained if gained > 1e-9 * abs(here) else 0.1 * abs(here) or 1.0
    if not (np.isfinite(bend) and bend > 0 and np.isfinite(rise)):
        return direction
    reach = float(np.sqrt(2 * rise / bend))
    longest = 4 * max(-direction.low, direction.high)
    reach = min(reach, longest)
    return Direction(direction.vector, direction.name, direction.offset, -reach, reach)


def _draw_lines(ground: Ground, directions: list[Direction]) -> Any:
    columns = 1 if len(directions) == 1 else 2
    rows = -(-len(directions) // columns)
    grid = new_figure(WIDTH, HEIGHT * rows).subplots(rows, columns, squeeze=False)
    axes = list(grid.ravel())[: len(directions)]
    for spare in grid.ravel()[len(directions) :]:
        spare.remove()
    for direction, ax in zip(directions, axes, strict=True):
        draw_line(ground, direction, ax, title=False)
    for ax in axes[1:]:
        ax.set_ylabel("")
    axes[0].figure.draw_without_rendering()
    for direction, ax in zip(directions, axes, strict=True):
        label_center(ground, direction, ax)
    return axes[0]


TABLE: tuple[tuple[str, Callable[[Any, Any, Ground, Any], Picture | None]], ...] = (
    (r"^repeats itself", _repeats),
    (r"^convexity", _convexity),
    (r"^gap to the lowest", _gap),
    (r"kink|slopes of both sides|in the hull of the slopes", _kink),
    (r"curvature|along that bend", _curvature),
    (r"^(?:cost|bottom) along (.+)", _along),
    (r"^(.+) at its bound", _bound),
    (r"slope|decrease still to be had", _slope),
    (r"derivative", _lines),
)
