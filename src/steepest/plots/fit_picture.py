"""A fit: the data, the curve with its bands, and what is left over."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from ..presentation.marks import SERIES, Series, series_of
from ..presentation.text import counted, number, shortened
from .canvas import (
    CURVE_WIDTH,
    HEIGHT,
    WIDTH,
    axes_given,
    dress,
    font_size,
    ink_of,
    new_figure,
    plain,
    width_of,
)  # fmt: skip
from .far_points import far_out, mark_far
from .fitted import FittedData, data_of, joined

Vector = np.ndarray

# Points are smaller and paler where there are more of them than can be told apart.
MANY_POINTS = 150
# More of them than this are a cloud of dots that are the more transparent the more there are; the curve goes over it.
CLOUD = 2000
# Of fewer residuals than this there is nothing to be seen.
FEWEST_RESIDUALS = 3
# The lines between which 95 of 100 normal errors lie.
NORMAL_95 = 1.96
# The curve of the normal distribution is drawn at least this far out.
NORMAL_REACH = 3.2
# Axes of residuals go at least this far, so that the lines between which 95 of 100 belong are on them.
LEAST_REACH = 2.3
# Part of the width that is left beside the first and the last point.
POINT_ROOM = 0.015


def fit(result: Any, *, ax: Any = None, bands: bool = True) -> Any:
    """Draw a fit: the data with their errors, the curve with its bands, the residuals and how they are spread.

    Args:
        result: what `steepest.fit` returned.
        ax: one axes for data and curve alone, or three: curve, residuals, distribution; without it a figure is made.
        bands: whether to draw the 95% band of the curve (filled) and that of new data (between dashed lines).

    Returns:
        The axes drawn on: an array of three, or the one that was given.

    Raises:
        InputError: a result without data.

    Data without a single x to be drawn against are drawn against the fitted values. Several data sets are told
    apart by colour, dash and marker.

    >>> import numpy as np, steepest as st
    >>> x = np.arange(6.0)
    >>> fit = st.fit("a*x + b", x, 2*x + 1 + 0.1*np.sin(9*x), {"a": 1.0, "b": 0.0})
    >>> len(st.plots.fit(fit))
    3
    """
    sets = data_of(result)
    if ax is not None and np.ndim(np.asarray(ax, dtype=object)) == 0:
        draw_curves_and_data(sets, ax, bands=bands, title=_title(result, ax))
        return ax
    axes = axes_given(ax, 3, "fit") if ax is not None else _figure(joined(sets)[2] is not None)
    draw_curves_and_data(sets, axes[0], bands=bands, title=_title(result, axes[0]))
    draw_residuals(sets, axes[1])
    draw_distribution(sets, axes[2], sideways=True)
    if ax is None:
        axes[2].set_ylabel("")
        axes[2].tick_params(labelleft=False)
        if joined(sets)[2] is not None:
            axes[0].set_xlabel("")
            axes[0].tick_params(labelbottom=False)
    return np.array(axes, dtype=object)


def _figure(shared: bool) -> list[Any]:
    """Curve over residuals, which share x where both are drawn against it, and their distribution beside them."""
    figure = new_figure(WIDTH, 1.25 * HEIGHT)
    grid = figure.add_gridspec(2, 2, height_ratios=[2.4, 1], width_ratios=[4.6, 1])
    curve = figure.add_subplot(grid[0, :] if not shared else grid[0, 0])
    left_over = figure.add_subplot(grid[1, 0], sharex=curve if shared else None)
    return [curve, left_over, figure.add_subplot(grid[1, 1], sharey=left_over)]


def _title(result: Any, ax: Any) -> str:
    label = getattr(result, "label", "") or "fit"
    return shortened(f"{result.verdict}: {label}", max(20, int(12 * width_of(ax))))


def draw_curves_and_data(sets: list[FittedData], ax: Any, *, bands: bool = True, title: str = "") -> None:
    """Data as points with their errors, the curve in ink, the bands around it."""
    ink = ink_of(ax)
    if joined(sets)[2] is None:
        _draw_observed_against_fitted(sets, ax, title)
        return
    low, high, left, right = np.inf, -np.inf, np.inf, -np.inf
    for k, seen in enumerate(sets):
        assert seen.x is not None
        series, places = series_of(k), seen.places
        name = plain(seen.name) if len(sets) > 1 else "fit"
        with np.errstate(all="ignore"):
            heights = seen.curve(places)
            if bands:
                _draw_bands(seen, places, ax, SERIES[1] if len(sets) == 1 else series, told=k == 0)
        ax.plot(places, heights, linewidth=CURVE_WIDTH, zorder=4, label=name, **ink.series(series))
        _draw_points(seen, seen.x, series, ax, told=k == 0)
        bottom, top = _frame(seen, heights)
        low, high = min(low, bottom), max(high, top)
        # The first and last point whole, also where the curve begins with the data.
        room = POINT_ROOM * (places[-1] - places[0])
        left = min(left, places[0], float(np.min(seen.x)) - room)
        right = max(right, places[-1], float(np.max(seen.x)) + room)
    ax.set_ylim(low, high)
    ax.set_xlim(left, right)
    _mark_data_beyond(sets, ax)
    dress(ax, x=sets[0].x_name, y=sets[0].y_name, title=title)
    ax.legend(loc="best", frameon=False, fontsize=font_size(ax) - 1, labelcolor=ink.text, handlelength=2.6)


def _draw_bands(seen: FittedData, places: Vector, ax: Any, series: Series, *, told: bool) -> None:
    """The band of the curve filled, that of new data between dashed lines: told apart without colour."""
    color = series.color(dark=ink_of(ax).dark)
    confidence, prediction = seen.band(places, "confidence"), seen.band(places, "prediction")
    if confidence is not None:
        ax.fill_between(
            places, *confidence, color=color, alpha=0.3, linewidth=0, zorder=2,
            label="95% band of the curve" if told else None,
        )  # fmt: skip
    if prediction is not None:
        for k, edge in enumerate(prediction):
            ax.plot(
                places, edge, color=color, linewidth=1.0, linestyle=(0, (4, 2)), zorder=3,
                label="95% of new data" if told and k == 0 else None,
            )  # fmt: skip


def _draw_points(seen: FittedData, x: Vector, series: Series, ax: Any, *, told: bool) -> None:
    ink = ink_of(ax)
    many = len(seen.y) > MANY_POINTS
    color = series.color(dark=ink.dark)
    style = {"color": color, "markerfacecolor": ax.get_facecolor(), "zorder": 5}
    if len(seen.y) > CLOUD:
        _draw_cloud(x, seen.y, series, ax, told=told)
    elif seen.sigma is not None and not many:
        ax.errorbar(
            x, seen.y, yerr=seen.sigma, fmt=series.marker, markersize=4, elinewidth=0.8, capsize=0,
            label="data ± σ" if told else None, ecolor=ink.soft, **style,
        )  # fmt: skip
    else:
        ax.plot(
            x, seen.y, series.marker, markersize=2.2 if many else 4, alpha=0.6 if many else 1.0,
            label="data" if told else None, linestyle="none", **style,
        )  # fmt: skip


def _draw_cloud(x: Vector, y: Vector, series: Series, ax: Any, *, told: bool = False) -> None:
    """Very many points, each nearly transparent: dark where they are dense. As pixels: so many shapes fill a file."""
    ink = ink_of(ax)
    # The curve of the first series is drawn in ink, and must be seen on its own points.
    color = ink.soft if series is SERIES[0] else series.color(dark=ink.dark)
    ax.plot(
        x, y, "o", color=color, markersize=1.8, markeredgewidth=0, alpha=max(CLOUD / y.size / 4, 0.02), zorder=1.5,
        rasterized=True,
    )  # fmt: skip
    if told:
        ax.plot([], [], "o", color=color, markersize=2.5, markeredgewidth=0, linestyle="none", label="data")


def _mark_data_beyond(sets: list[FittedData], ax: Any, *, against_fitted: bool = False) -> None:
    for k, seen in enumerate(sets):
        if seen.far.any():
            across = seen.fitted if against_fitted or seen.x is None else seen.x
            color = series_of(k).color(dark=ink_of(ax).dark)
            mark_far(across[seen.far], seen.y[seen.far], color, ax, told=True, values=True)


def _frame(seen: FittedData, heights: Vector) -> tuple[float, float]:
    """Room for the data, and for the curve where it stays near them: a pole or an outlier must not flatten the rest."""
    fitted = seen.fitted[np.isfinite(seen.fitted)]
    y = np.concatenate([seen.y[~seen.far], fitted]) if seen.far.any() else seen.y
    spread = float(np.ptp(y)) or float(np.abs(y).max()) or 1.0
    low, high = float(y.min()), float(y.max())
    if seen.sigma is not None:
        near, reach = seen.y[~seen.far], np.minimum(seen.sigma[~seen.far], spread)
        low, high = min(low, float((near - reach).min())), max(high, float((near + reach).max()))
    curve = heights[np.isfinite(heights)]
    curve = curve[(curve > low - spread / 2) & (curve < high + spread / 2)]
    if curve.size:
        low, high = min(low, float(curve.min())), max(high, float(curve.max()))
    return low - 0.06 * spread, high + 0.06 * spread


def _draw_observed_against_fitted(sets: list[FittedData], ax: Any, title: str) -> None:
    ink = ink_of(ax)
    everything = np.concatenate([np.concatenate([seen.y[~seen.far], seen.fitted]) for seen in sets])
    ends = [float(everything.min()), float(everything.max())]
    ax.plot(ends, ends, color=ink.text, linewidth=CURVE_WIDTH, zorder=2, label="fit = data")
    for k, seen in enumerate(sets):
        _draw_points(seen, seen.fitted, series_of(k), ax, told=k == 0)
    if any(seen.far.any() for seen in sets):
        room = 0.06 * (ends[1] - ends[0])
        ax.set_ylim(ends[0] - room, ends[1] + room)
    _mark_data_beyond(sets, ax, against_fitted=True)
    dress(ax, x=f"fitted {sets[0].y_name}", y=sets[0].y_name, title=title)
    ax.legend(loc="best", frameon=False, fontsize=font_size(ax) - 1, labelcolor=ink.text)


# -- what is left over -------------------------------------------------------------------------------------


def residuals(result: Any, *, ax: Any = None) -> Any:
    """Draw what a fit leaves over, four ways that each show another kind of trouble.

    Args:
        result: what `steepest.fit` returned.
        ax: four axes; without it a figure is made.

    Returns:
        Four axes. Against x: a pattern means that the model misses something. Against the fitted values: a funnel
        means that the errors are not what they were said to be. In order, against what a normal distribution would
        give, with the region that holds 95% of each: tails outside it are outliers. Each against the one before: a
        slope means that the errors are not independent.

    Raises:
        InputError: a result without data, or fewer than three of them.

    Where the data have no single x, the first panel shows how the residuals are spread.

    >>> import numpy as np, steepest as st
    >>> x = np.arange(6.0)
    >>> fit = st.fit("a*x + b", x, 2*x + 1 + 0.1*np.sin(9*x), {"a": 1.0, "b": 0.0})
    >>> len(st.plots.residuals(fit))
    4
    """
    sets = data_of(result)
    scaled, _, x = joined(sets)
    if scaled.size < FEWEST_RESIDUALS:
        told = f"{counted(scaled.size, 'point')} {'leaves' if scaled.size == 1 else 'leave'} nothing to be looked at"
        raise InputError(f"{told}; residuals need three or more")
    if ax is not None:
        axes = axes_given(ax, 4, "residuals")
    else:
        axes = list(new_figure(WIDTH, 1.35 * HEIGHT).subplots(2, 2).ravel())
    if x is not None:
        draw_residuals(sets, axes[0])
    else:
        draw_distribution(sets, axes[0])
    draw_residuals(sets, axes[1], against="fitted")
    draw_quantiles(scaled, sets[0].unit, axes[2])
    draw_neighbours(scaled if x is None else scaled[np.argsort(x, kind="stable")], sets[0].unit, axes[3])
    return np.array(axes, dtype=object)


def draw_residuals(sets: list[FittedData], ax: Any, against: str = "x") -> None:
    """What is left over at each datum, in units of its error, with the lines between which 95% belong."""
    ink = ink_of(ax)
    scaled, _, x = joined(sets)
    by_x = against == "x" and x is not None
    ax.axhline(0.0, color=ink.text, linewidth=0.9, zorder=1)
    for edge in (-NORMAL_95, NORMAL_95):
        ax.axhline(edge, color=ink.soft, linewidth=0.8, linestyle=(0, (4, 2)), zorder=1)
    many = scaled.size > MANY_POINTS
    is_far = far_residuals(scaled)
    reach = 1.12 * reach_of(scaled)
    ax.set_ylim(-reach, reach)
    for k, seen in enumerate(sets):
        across = seen.x if by_x and seen.x is not None else seen.fitted
        color = series_of(k).color(dark=ink.dark)
        own, is_far = is_far[: seen.y.size], is_far[seen.y.size :]
        mark_far(across[own], seen.scaled[own], color, ax, values=True)
        if seen.y.size > CLOUD:
            _draw_cloud(across, seen.scaled, series_of(k), ax)
            continue
        ax.vlines(across, 0.0, seen.scaled, color=ink.soft, linewidth=0.4 if many else 0.8, zorder=2)
        ax.plot(
            across, seen.scaled, series_of(k).marker, color=color, zorder=3,
            markerfacecolor=ax.get_facecolor(), markersize=2 if many else 3.5,
        )  # fmt: skip
    dress(ax, x=sets[0].x_name if by_x else f"fitted {sets[0].y_name}", y=sets[0].unit)


def far_residuals(scaled: Vector) -> np.ndarray:
    """Which of the residuals (m,), in units of their error, a picture marks at its edge: (m,)."""
    return far_out(scaled, scaled, np.array([-LEAST_REACH, LEAST_REACH]))


def reach_of(scaled: Vector) -> float:
    """The largest of the residuals that a picture holds, and not less than those of normal errors."""
    return max(float(np.abs(scaled[~far_residuals(scaled)]).max()), LEAST_REACH)


def draw_distribution(sets: list[FittedData], ax: Any, *, sideways: bool = False) -> None:
    """How the residuals are spread, beside the normal curve that errors alone would give."""
    ink, scaled = ink_of(ax), joined(sets)[0]
    count = int(np.clip(np.ceil(2 * scaled.size ** (1 / 3)), 5, 40))  # Rice's rule
    reach = 1.0001 * reach_of(scaled)
    share, edges = np.histogram(scaled, bins=count, range=(-reach, reach), density=True)
    z = np.linspace(-max(reach, NORMAL_REACH), max(reach, NORMAL_REACH), 201)
    normal = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    style = {"facecolor": ink.soft, "alpha": 0.35, "edgecolor": ink.soft, "linewidth": 0.6}
    middle, width = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    if sideways:
        ax.barh(middle, share, width, **style)
        ax.plot(normal, z, color=ink.text, linewidth=CURVE_WIDTH)
        ax.set_xlim(0.0, 1.15 * max(float(share.max()), 0.4))
        dress(ax, x="density", y=sets[0].unit)
    else:
        ax.bar(middle, share, width, **style)
        ax.plot(z, normal, color=ink.text, linewidth=CURVE_WIDTH)
        dress(ax, x=sets[0].unit, y="density")


def draw_quantiles(scaled: Vector, unit: str, ax: Any) -> None:
    """Residuals in order against normal quantiles, and where 95% of each would lie if the errors were normal."""
    from scipy.special import ndtri
    from scipy.stats import beta

    ink = ink_of(ax)
    ordered = np.sort(scaled)
    m = ordered.size
    rank = np.arange(1, m + 1)
    expected = ndtri((rank - 0.375) / (m + 0.25))  # Blom 1958
    # The k-th of m ordered uniform numbers follows Beta(k, m + 1 - k).
    low, high = (ndtri(beta.ppf(level, rank, m + 1 - rank)) for level in (0.025, 0.975))
    ax.fill_between(expected, low, high, color=ink.soft, alpha=0.25, linewidth=0, zorder=1)
    ends = expected[[0, -1]]
    ax.plot(ends, ends, color=ink.text, linewidth=0.9, zorder=2)
    ax.plot(
        expected, ordered, "o", color=ink.text, markerfacecolor=ax.get_facecolor(),
        markersize=2 if m > MANY_POINTS else 3.5, zorder=3, rasterized=m > CLOUD,
    )  # fmt: skip
    is_far = far_residuals(ordered)
    if is_far.any():
        reach = 1.12 * reach_of(ordered)
        ax.set_ylim(-reach, reach)
        mark_far(expected[is_far], ordered[is_far], ink.text, ax)
    dress(ax, x="normal quantile (grey: 95%)", y=f"ordered {unit}")


def draw_neighbours(rows: Vector, unit: str, ax: Any) -> None:
    """Each residual against the one before it, and their correlation beside what chance gives."""
    ink = ink_of(ax)
    ax.axhline(0.0, color=ink.soft, linewidth=0.6, zorder=1)
    ax.axvline(0.0, color=ink.soft, linewidth=0.6, zorder=1)
    if rows.size > CLOUD:
        _draw_cloud(rows[:-1], rows[1:], SERIES[0], ax)
    else:
        ax.plot(
            rows[:-1], rows[1:], "o", color=ink.text, markerfacecolor=ax.get_facecolor(),
            markersize=2 if rows.size > MANY_POINTS else 3.5, zorder=3,
        )  # fmt: skip
    total = float(rows @ rows)
    together = float(rows[:-1] @ rows[1:]) / total if total > 0 else 0.0
    is_far = far_residuals(rows)
    ends = np.array([rows[~is_far].min(), rows[~is_far].max()])
    if is_far.any():
        _mark_neighbours_beyond(rows, is_far, ax)
    ax.plot(ends, together * ends, color=ink.text, linewidth=CURVE_WIDTH, linestyle=(0, (4, 2)), zorder=2)
    chance = number(NORMAL_95 / np.sqrt(rows.size), 2)
    join = ", by chance " if width_of(ax) > 2 else "\nby chance "
    words = f"correlation {number(together, 2)}{join}within ±{chance}".replace("-", "−")
    dress(ax, x=f"{unit}\n{words}", y="the next one")


def _mark_neighbours_beyond(rows: Vector, is_far: np.ndarray, ax: Any) -> None:
    """Pairs of which one is far out, at the edges of a square frame of all others."""
    reach = 1.12 * reach_of(rows)
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-reach, reach)
    pairs = np.clip(np.column_stack([rows[:-1], rows[1:]]), -reach, reach)[is_far[:-1] | is_far[1:]]
    ax.plot(*pairs.T, "D", color=ink_of(ax).text, markersize=4, linestyle="none", clip_on=False, zorder=6)
