"""Lines of equal cost, and a walk over them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..presentation.text import WORTH_A_LOG, numeral
from .canvas import MOST_DOTS, font_size, ink_of, power_of_ten
from .labels import Room

Vector = np.ndarray

CONTOURS = 18
# Lines of more equalities than this hide the landscape.
MOST_EQUALITIES = 20
# Share of the places left below the lowest line: a narrow valley falls between the places of any grid, and lines
# along its floor would show the grid instead of the valley.
FLOOR = 2.0
# A walk over colours is the same on light and on dark pages: a report turns pure white into the colour of its paper.
OVER, UNDER = "#fefefe", "#000000"
# From dark to light and evenly so: it keeps its order in black and white and for every kind of sight.
COLORS = "viridis"


def draw_contours(ax: Any, across: Vector, up: Vector, heights: Vector) -> Any:
    """Fill between lines of equal cost, on a logarithmic scale where costs span orders; return what a scale needs.

    Places outside the bounds or without a finite cost are hatched.
    """
    heights = np.ma.masked_invalid(heights)
    if heights.mask.any():
        hatched = ax.contourf(
            across, up, np.ma.getmaskarray(heights).astype(float), levels=[0.5, 1.5], colors="none",
            hatches=["///"],
        )  # fmt: skip
        hatched.set_edgecolor(ink_of(ax).soft)
        hatched.set_linewidth(0.0)
    if heights.count() == 0:
        return None
    levels, norm = levels_of(heights)
    below = "min" if float(heights.min()) < levels[0] else "neither"
    drawn = ax.contourf(across, up, heights, levels=levels, norm=norm, cmap=COLORS, extend=below)
    ax.contour(
        across, up, heights, levels=levels, colors="white", linewidths=0.3, alpha=0.5, linestyles="solid"
    )  # fmt: skip
    return drawn


def draw_limits(ax: Any, across: Vector, up: Vector, beyond: Vector, missed: Vector) -> None:
    """Hatch where an inequality is not met, with a line where it begins; a line along each equality.

    `beyond` (k, k): above zero where an inequality is not met, NaN where nothing is asked. `missed` (r, k, k):
    zero along each of r equalities.
    """
    if (beyond > 0).any():
        known = beyond[np.isfinite(beyond)]
        top = max(float(known.max(initial=0.0)), 0.0) + 1.0
        barred = ax.contourf(
            across, up, np.ma.masked_invalid(np.where(beyond == np.inf, top, beyond)), levels=[0.0, top],
            colors=[OVER], alpha=0.35, hatches=["\\\\\\"], zorder=1.5,
        )  # fmt: skip
        barred.set_edgecolor(UNDER)
        barred.set_linewidth(0.0)
    for heights in (beyond, *missed[:MOST_EQUALITIES]):
        known = heights[np.isfinite(heights)]
        if known.size and known.min() < 0 < known.max():
            for color, width in ((UNDER, 2.4), (OVER, 1.0)):
                ax.contour(across, up, heights, levels=[0.0], colors=color, linewidths=width, zorder=2.5)


def levels_of(heights: Any, below: float = FLOOR) -> tuple[Vector, Any]:
    """Lines of equal cost: even where costs are alike, spaced by powers where they span orders.

    `below`: share of the places, in percent, that may lie under the lowest line of a logarithmic scale.
    """
    from matplotlib.colors import LogNorm, Normalize, PowerNorm

    known = np.ma.compressed(heights)
    low, high = float(known.min()), float(known.max())
    if not high > low:
        return np.array([low - 0.5, low + 0.5]), Normalize(low - 0.5, low + 0.5)
    floor = float(np.percentile(known, below))
    if floor > 0 and low >= 0 and high > WORTH_A_LOG * floor:
        return np.geomspace(floor, high, CONTOURS), LogNorm(floor, high)
    # Not positive everywhere: crowd the lines towards the lowest cost, as the square root of the height does.
    return low + (high - low) * np.linspace(0, 1, CONTOURS) ** 2, PowerNorm(0.5, low, high)


def draw_scale(drawn: Any, ax: Any, name: str = "cost") -> Any:
    """The scale beside the picture that tells which colour is which cost."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    ink = ink_of(ax)
    logarithmic = isinstance(drawn.norm, LogNorm)
    ticks = LogLocator(numticks=7) if logarithmic else MaxNLocator(6)
    bar = ax.figure.colorbar(
        drawn, ax=ax, pad=0.02, aspect=30, ticks=ticks, shrink=0.9, extend="neither", spacing="proportional"
    )
    bar.ax.yaxis.set_minor_locator(NullLocator())
    if logarithmic:
        bar.ax.yaxis.set_major_formatter(lambda x, _: power_of_ten(x) or numeral(x, 3))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=font_size(ax) - 1, colors=ink.soft, labelcolor=ink.text)
    bar.set_label(name, color=ink.text, fontsize=font_size(ax))
    return bar


def draw_path(ax: Any, path: Vector, *, costs: Vector | None = None, drawn: Any = None) -> None:
    """The walk, white on black so that it shows on every colour; its iterates as dots while they are few.

    `costs` (r,): what the cost truly was at each iterate, shown by the colour of its dot: a plane of many
    parameters holds the shadow of the walk, not the walk.
    """
    ax.plot(*path.T, color=UNDER, linewidth=3.0, zorder=3, solid_capstyle="round")
    dots = {"marker": "o", "markersize": 3} if len(path) <= MOST_DOTS and costs is None else {}
    ax.plot(*path.T, color=OVER, linewidth=1.4, zorder=4, **dots)
    if costs is not None and drawn is not None and len(path) <= 4 * MOST_DOTS:
        ax.scatter(
            *path.T, c=costs, norm=drawn.norm, cmap=drawn.cmap, s=22, edgecolors=OVER, linewidths=0.8, zorder=4.5
        )  # fmt: skip


def mark_ends(
    ax: Any, path: Vector, words: tuple[str, str] = ("start", "end"), *, left: bool = False
) -> None:
    """A square where the walk began and a star where it ended, each with its word.

    `left`: the walk leaves the picture; an arrow at the edge stands for its end.
    """
    room = Room(ax)
    room.add_line(*path.T)
    ends = [(path[0], "s", 8, words[0])] + ([] if left else [(path[-1], "*", 15, words[1])])
    for at, marker, size, _ in ends:
        ax.plot(*at, marker, color=OVER, markeredgecolor=UNDER, markersize=size, zorder=5)
        room.add_line([at[0], at[0]], [at[1], at[1]])
    for at, _, _, word in ends:
        label = room.place(word, *at, color=UNDER, size=font_size(ax))
        label.set_bbox({"facecolor": OVER, "alpha": 0.85, "edgecolor": "none", "pad": 1.5})
