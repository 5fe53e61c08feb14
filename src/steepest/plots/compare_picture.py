"""Several results on one problem: where they went, what they paid, and where they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..presentation.marks import series_of
from ..presentation.text import flat, names_of, numeral
from .canvas import (
    CURVE_WIDTH,
    HEIGHT,
    NARROW,
    WIDTH,
    axes_given,
    dress,
    font_size,
    ink_of,
    new_figure,
    plain,
    width_of,
)
from .convergence_picture import cost_of, draw_costs, draw_series, lowest_of, named_results
from .ground import Ground, ground_of, in_view, keeps_its_cost, on_plane, values_of
from .landscape_picture import direction_of, window

Vector = np.ndarray

# More parameters than this are not told one by one; those that differ most are.
MOST_PARAMETERS = 12
# Lines of equal cost behind several walks: few and grey, so that the walks stay in front.
FEW_CONTOURS = 12
# Ends nearer to the lowest than this share of the farthest are drawn to a linear scale: at the same place.
NEAR = 1e-6


def compare(*results: Any, labels: Sequence[str] | None = None, ax: Any = None) -> Any:
    """Draw several results on one problem side by side.

    Args:
        results: results with parameters of the same structure, or one dict from label to result.
        labels: a name for each; by default the method that found it.
        ax: three axes, for the panels in their order.

    Returns:
        Three axes. First the walks, over lines of equal cost for two parameters, along the curve for one, and
        otherwise where each result ended, parameter by parameter. Then the cost against evaluations. Then what
        each found and what it paid.

    Raises:
        InputError: results of different numbers of parameters, or without a history.

    >>> import steepest
    >>> cost = "(1-x)**2 + 100*(y-x**2)**2"
    >>> walks = {m: steepest.minimize(cost, [-1.2, 1.0], method=m) for m in ("bfgs", "l-bfgs")}
    >>> where, paid, found = compare(walks)
    >>> [text.get_text() for text in found.get_yticklabels()]
    ['bfgs', 'l-bfgs']
    """
    runs = named_results(results, labels)
    sizes = {values_of(run).size for run in runs.values()}
    if len(sizes) > 1:
        raise InputError(
            f"these results have {', '.join(map(str, sorted(sizes)))} parameters; compare those of one problem"
        )
    axes = axes_given(ax, 3, "compare") if ax is not None else _figure(len(runs))
    if sizes <= {1, 2} and all(map(keeps_its_cost, runs.values())):
        _draw_walks(runs, axes[0])
    else:
        _draw_ends(runs, axes[0])
    draw_costs(runs, "evaluations", axes[1])
    _draw_found(runs, axes[2])
    return np.array(axes, dtype=object)


def _figure(runs: int) -> list[Any]:
    figure = new_figure(WIDTH, 1.15 * HEIGHT + 0.28 * runs)
    grid = figure.add_gridspec(2, 2, height_ratios=[HEIGHT, 0.5 + 0.28 * runs])
    return [figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, :])]


def _draw_walks(runs: Mapping[str, Any], ax: Any) -> None:
    """The walks over grey lines of equal cost, or along the curve."""
    grounds = [ground_of(run) for run in runs.values()]
    first, ink = grounds[0], ink_of(ax)
    walks = [ground.walk for ground in grounds if ground.walk is not None]
    path = np.vstack([in_view(x) for x, _ in walks])
    if first.n == 1:
        _draw_curve(first, path, ax)
        lines = [(x[:, 0], values) for x, values in walks]
    else:
        (left, right), (bottom, top) = window(path)
        _draw_grey_contours(first, (left, right), (bottom, top), ax)
        lines = [(x[:, 0], x[:, 1]) for x, _ in walks]
    frame = ax.get_xlim(), ax.get_ylim()
    for k, (x, y) in enumerate(lines):
        draw_series(x, y, series_of(k), ax)
        ax.plot(
            x[-1:], y[-1:], series_of(k).marker, color=series_of(k).color(dark=ink.dark), markersize=9,
            markeredgecolor=ax.get_facecolor(), zorder=5,
        )  # fmt: skip
    ax.set_xlim(frame[0])
    ax.set_ylim(frame[1])
    dress(ax, x=first.names[0], y="cost" if first.n == 1 else first.names[1])


def _draw_curve(ground: Ground, path: Vector, ax: Any) -> None:
    low, high = float(path.min()), float(path.max())
    margin = 0.15 * (high - low) or max(1.0, 0.5 * abs(low))
    x = np.linspace(low - margin, high + margin, 241)
    inside = (x >= ground.bounds.lower[0]) & (x <= ground.bounds.upper[0])
    with np.errstate(all="ignore"):
        y = np.array(
            [ground.value(np.array([place])) if ok else np.nan for place, ok in zip(x, inside, strict=True)]
        )
    ax.plot(x, np.where(np.isfinite(y), y, np.nan), color=ink_of(ax).soft, linewidth=CURVE_WIDTH, zorder=2)


def _draw_grey_contours(ground: Ground, x: tuple[float, float], y: tuple[float, float], ax: Any) -> None:
    from .contours import levels_of

    across, up = direction_of(ground, 0), direction_of(ground, 1)
    across = type(across)(
        across.vector, across.name, across.offset, x[0] - across.offset, x[1] - across.offset
    )
    up = type(up)(up.vector, up.name, up.offset, y[0] - up.offset, y[1] - up.offset)
    a, b, heights = on_plane(ground, across, up)
    levels, _ = levels_of(np.ma.masked_invalid(heights))
    levels = np.unique(levels[:: max(1, len(levels) // FEW_CONTOURS)])
    ax.contour(
        a + across.offset, b + up.offset, np.ma.masked_invalid(heights), levels=levels,
        colors=ink_of(ax).soft, linewidths=0.5, alpha=0.6, linestyles="solid", zorder=1,
    )  # fmt: skip
    if abs((x[1] - x[0]) - (y[1] - y[0])) < 1e-9 * (x[1] - x[0]):
        ax.set_aspect("equal", adjustable="box")


def _draw_ends(runs: Mapping[str, Any], ax: Any) -> None:
    """Each parameter's distance from where the lowest result has it, in errors where these are known."""
    ink, size = ink_of(ax), font_size(ax)
    results = list(runs.values())
    best = min(results, key=lambda run: cost_of(run) if np.isfinite(cost_of(run)) else np.inf)
    base = values_of(best)
    errors = getattr(best, "errors", None)
    scale = np.abs(base) if errors is None else flat(errors).astype(float)
    scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
    ends = np.array([(values_of(run) - base) / scale for run in results])
    shown = np.sort(np.argsort(-np.abs(ends).max(axis=0), kind="stable")[:MOST_PARAMETERS])
    names = names_of(base.size, getattr(best, "names", ()) or ())
    farthest = float(np.abs(ends[:, shown]).max())
    if farthest > 0:
        ax.set_xscale("symlog", linthresh=NEAR * farthest)
    ax.axvline(0.0, color=ink.soft, linewidth=0.8, zorder=1)
    for k, end in enumerate(ends):
        series = series_of(k)
        rows = np.arange(len(shown)) + 0.18 * (k - (len(ends) - 1) / 2)
        ax.plot(end[shown], rows, series.marker, color=series.color(dark=ink.dark), markersize=5.5, zorder=3)
    ax.set_yticks(range(len(shown)), [plain(f"{names[i]} = {numeral(base[i], 4)}") for i in shown])
    ax.set_ylim(len(shown) - 0.4, -0.6)
    rest = f"; {len(shown)} of {base.size:,} parameters" if len(shown) < base.size else ""
    unit = "in errors" if errors is not None else "relative"
    dress(ax, x=f"distance from the lowest, {unit}{rest}", y="")
    from matplotlib.ticker import SymmetricalLogLocator

    if farthest > 0:
        ax.xaxis.set_major_locator(
            SymmetricalLogLocator(base=10, linthresh=ax.xaxis.get_transform().linthresh)
        )
        _thin_ticks(ax)
    ax.tick_params(labelsize=size - 1)


def _thin_ticks(ax: Any, most: int = 5) -> None:
    ticks = [tick for tick in ax.get_xticks() if np.isfinite(tick)]
    if len(ticks) > most:
        ax.set_xticks(ticks[:: -(-len(ticks) // most)])


def _draw_found(runs: Mapping[str, Any], ax: Any) -> None:
    """A row for each result: its verdict, its cost above the lowest, and as a bar what it paid."""
    ink, size, lowest = ink_of(ax), font_size(ax), lowest_of(runs)
    paid = [max(int(run.history.evaluations[-1]), 1) for run in runs.values()]
    wide = max(paid) / min(paid) > 30
    if wide:
        ax.set_xscale("log")
    left = min(paid) / 3 if wide else 0.0
    for k, (run, count) in enumerate(zip(runs.values(), paid, strict=True)):
        series = series_of(k)
        ax.plot([left, count], [k, k], linewidth=2.2, zorder=2, **ink.series(series))
        ax.plot([count], [k], series.marker, color=series.color(dark=ink.dark), markersize=6.5, zorder=3)
        above = cost_of(run) - lowest
        height = " = lowest" if above == 0 else f" = lowest + {numeral(above, 2)}" if lowest else ""
        ax.annotate(
            f"{count:,}: {run.verdict}, cost {numeral(cost_of(run), 4 if lowest else 2)}{height}", (count, k),
            xytext=(8, 0), textcoords="offset points", va="center", color=ink.text, fontsize=size - 0.5,
        )  # fmt: skip
    right = max(paid)
    ax.set_xlim(
        left, right * (right / left) ** 1.9 if wide else (2.6 if width_of(ax) > NARROW else 3.4) * right
    )
    ax.set_yticks(range(len(paid)), [plain(label) for label in runs])
    ax.set_ylim(len(paid) - 0.4, -0.6)
    dress(ax, x="evaluations of the cost", y="")
    # The room to the right is for words: the axis ends with the longest bar.
    ax.minorticks_off()
    ax.set_xticks([tick for tick in ax.get_xticks() if left <= tick <= right])
    ax.spines["bottom"].set_bounds(left, right)
    ax.xaxis.label.set(x=0.0, horizontalalignment="left")
