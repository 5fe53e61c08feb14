"""How well parameters are known: the cost as one is held and all others give way, and regions for two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..presentation.text import ends_of, number
from .canvas import (
    CURVE_WIDTH,
    HEIGHT,
    WIDTH,
    axes_given,
    dress,
    font_size,
    in_one_piece,
    ink_of,
    new_figure,
    width_of,
)  # fmt: skip

Vector = np.ndarray

# More panels than this are too small to be read on one page.
MOST_PROFILES = 12
# Letters of an axis's name that have room below an inch of it.
LETTERS_PER_INCH = 17
# Points computed along a profile, beyond those that finding its ends has cost: enough for a smooth curve.
PROFILE_POINTS = 15
# Points along each side of a region: each is a fit of all other parameters.
REGION_POINTS = 25
# The lines are drawn on a grid so many times finer, so that they have no corners.
FINER = 6
# How far a region is looked for, in standard errors; one that goes farther is drawn open.
REACHES = (3.5, 6.0, 10.0)
REGIONS = (0.68, 0.95)


def profile(
    result: Any, names: str | Sequence[str] | None = None, *, level: float = 0.95, ax: Any = None
) -> Any:
    """Draw profiles of a fit: how much the cost rises as one parameter is held and all others give way.

    Args:
        result: what `steepest.fit` returned.
        names: one parameter or several; all that moved by default.
        level: of the interval that is marked.
        ax: one axes for each; without it a figure is made.

    Returns:
        The axes: one, or an array.

    Raises:
        InputError: a result without profiles, or a parameter that it does not have.

    The unbroken line is the rise, in units in which one standard error is 1; the dashed one is the parabola that the
    standard error alone promises. Where they part, the interval is not symmetric, and the numbers below the
    axis are the ones to quote.

    >>> import numpy as np, steepest as st
    >>> x = np.arange(6.0)
    >>> fit = st.fit("a*x + b", x, 2*x + 1 + 0.1*np.sin(9*x), {"a": 1.0, "b": 0.0})
    >>> len(st.plots.profile(fit))
    2
    """
    _check(result, "profiles")
    moving = [str(result.names[k]) for k in result.moving]
    wanted = (
        [names] if isinstance(names, str) else list(names if names is not None else moving[:MOST_PROFILES])
    )
    found = [result.profile(name, level=level, points=PROFILE_POINTS) for name in wanted]
    if ax is not None:
        axes = axes_given(ax, len(wanted), "one panel for each profile")
    else:
        columns = min(len(wanted), 3 if len(wanted) > 2 else 2)
        rows = -(-len(wanted) // columns)
        grid = new_figure(WIDTH, min(0.7 * HEIGHT * rows, 11.0)).subplots(rows, columns, squeeze=False)
        axes = list(grid.ravel())[: len(wanted)]
        for spare in grid.ravel()[len(wanted) :]:
            spare.remove()
    for record, panel in zip(found, axes, strict=True):
        draw_profile(record, float(result.errors[record.name]), panel)
    return in_one_piece(axes)


def _check(result: Any, what: str) -> None:
    if not hasattr(result, "profile") or not hasattr(result, "contour"):
        raise InputError(f"{what} need data and their errors: give what steepest.fit returned")


def draw_profile(found: Any, error: float, ax: Any) -> None:
    """The rise of the cost along one parameter, the parabola of its standard error, and the ends of the interval."""
    ink, size = ink_of(ax), font_size(ax)
    values, rise = np.asarray(found.values, dtype=float), np.asarray(found.root, dtype=float) ** 2
    limit = _limit(found, values, rise)
    top = 1.5 * limit
    seen = rise <= 2 * top
    if np.isfinite(error) and error > 0:
        t = np.linspace(values[seen].min(), values[seen].max(), 201)
        parabola = ((t - found.best) / error) ** 2
        ax.plot(t, parabola, color=ink.soft, linewidth=1.1, linestyle=(0, (5, 2)), zorder=2)
    ax.plot(*_smooth(values[seen], np.asarray(found.root, dtype=float)[seen]), color=ink.text, linewidth=CURVE_WIDTH,
            zorder=3)  # fmt: skip
    ax.axhline(limit, color=ink.soft, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
    for end in (found.lower, found.upper):
        if np.isfinite(end):
            ax.plot([end, end], [0.0, limit], color=ink.text, linewidth=0.9, zorder=2)
    ax.plot([found.best], [0.0], "*", color=ink.text, markersize=10, zorder=5, clip_on=False)
    ax.set_ylim(0.0, top)
    ax.text(
        0.5, limit, f"{100 * found.level:.3g}%", transform=ax.get_yaxis_transform(), va="bottom", ha="center",
        color=ink.text, fontsize=size - 1,
    )  # fmt: skip
    room = int(LETTERS_PER_INCH * width_of(ax))
    words = interval_words(found)
    if len(words) > room:
        words = words.replace("  ", "\n", 1)
    dress(ax, x=f"{ends_of(found.name, room)}\n{words}", y="rise of the cost / error²")
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(4))


def _limit(found: Any, values: Vector, rise: Vector) -> float:
    """The rise at the ends of the interval."""
    at_ends = [
        rise[np.argmin(np.abs(values - end))] for end in (found.lower, found.upper) if np.isfinite(end)
    ]
    limit = float(np.median(at_ends)) if at_ends else float(rise.max())
    return limit if limit > 0 else 4.0


def _smooth(values: Vector, root: Vector) -> tuple[Vector, Vector]:
    """The rise between the points: its signed root is nearly a straight line, and bends without overshooting."""
    from scipy.interpolate import PchipInterpolator

    values, first = np.unique(values, return_index=True)
    if len(values) < 3:
        return values, root[first] ** 2
    t = np.linspace(values[0], values[-1], 201)
    return t, PchipInterpolator(values, root[first])(t) ** 2


def interval_words(found: Any) -> str:
    """An interval as it is quoted, each side with its own length; "no end" where the cost never rises enough."""
    minus = number(found.best - found.lower, 3) if np.isfinite(found.lower) else "no end"
    plus = number(found.upper - found.best, 3) if np.isfinite(found.upper) else "no end"
    return f"{number(found.best, 5)}  −{minus}  +{plus}".replace("-", "−")


def region(
    result: Any,
    first: str | None = None,
    second: str | None = None,
    *,
    levels: Sequence[float] = REGIONS,
    ax: Any = None,
) -> Any:
    """Draw where two parameters of a fit lie together, all others giving way.

    Args:
        result: what `steepest.fit` returned.
        first, second: two parameters; the two that hang together most by default.
        levels: shares of confidence, each a region.
        ax: Matplotlib axes to draw on; without it a figure is made.

    Returns:
        The axes.

    Raises:
        InputError: a result without data, or a parameter it does not have.

    The unbroken lines follow the cost itself; the dashed ellipses are what the standard errors and the correlation
    alone promise. The levels are those of both parameters together (F distribution; chi² where the errors were known).

    >>> import numpy as np, steepest as st
    >>> x = np.arange(6.0)
    >>> fit = st.fit("a*x + b", x, 2*x + 1 + 0.1*np.sin(9*x), {"a": 1.0, "b": 0.0})
    >>> st.plots.region(fit, "a", "b").get_xlabel()
    'a'
    """
    _check(result, "regions")
    first, second = _pair(result, first, second)
    limits = _limits(result, levels)
    across, up, rise = _finer(*_whole_region(result, first, second, limits[-1]))
    if ax is None:
        ax = new_figure(0.75 * WIDTH, HEIGHT * 1.1).subplots()
    else:
        ax = axes_given(ax, 1, "a region")[0]
    ink = ink_of(ax)
    ellipses = _quadratic(result, first, second, across, up)
    if ellipses is not None:
        ax.contour(across, up, ellipses, levels=limits, colors=ink.soft, linewidths=1.0, linestyles="dashed")
    ax.contourf(across, up, rise, levels=[0.0, *limits], colors=[ink.soft], alpha=0.18)
    ax.contourf(across, up, rise, levels=[0.0, limits[0]], colors=[ink.soft], alpha=0.22)
    lines = ax.contour(
        across, up, rise, levels=limits, colors=ink.text, linewidths=CURVE_WIDTH, linestyles="solid"
    )
    for path, level in zip(lines.get_paths(), sorted(levels), strict=True):
        if len(path.vertices):
            top = path.vertices[np.argmax(path.vertices[:, 1])]
            ax.annotate(
                f"{100 * level:.3g}%", top, xytext=(0, 3), textcoords="offset points", ha="center", va="bottom",
                color=ink.text, fontsize=font_size(ax) - 1,
            )  # fmt: skip
    ax.plot([result.values[first]], [result.values[second]], "*", color=ink.text, markersize=11, zorder=5)
    dress(ax, x=first, y=second)
    return ax


def _whole_region(result: Any, first: str, second: str, limit: float) -> tuple[Vector, Vector, Vector]:
    """The rise over two parameters, as far out as the region goes; a bend can carry it far beyond its ellipse."""
    for reach in REACHES:
        across, up, rise = result.contour(first, second, points=REGION_POINTS, reach=reach)
        edge = np.concatenate([rise[0], rise[-1], rise[:, 0], rise[:, -1]])
        if not (edge < limit).any():
            break
    return across, up, rise


def _finer(across: Vector, up: Vector, rise: Vector) -> tuple[Vector, Vector, Vector]:
    """The rise between the places of its grid by cubic splines, which follow a quadratic exactly."""
    from scipy.interpolate import RectBivariateSpline

    if not np.isfinite(rise).all() or min(len(across), len(up)) < 4 or not (np.diff(across) > 0).all():
        return across, up, rise
    x, y = (np.linspace(grid[0], grid[-1], FINER * len(grid)) for grid in (across, up))
    return x, y, RectBivariateSpline(up, across, rise)(y, x)


def _pair(result: Any, first: str | None, second: str | None) -> tuple[str, str]:
    if first is not None and second is not None:
        return first, second
    moving = [int(k) for k in result.moving]
    if len(moving) < 2:
        raise InputError(
            "a region needs two parameters that moved; this fit has one, which plots.profile draws"
        )
    strength = np.abs(np.nan_to_num(np.asarray(result.correlation, dtype=float)))
    best = max(
        ((i, j) for a, i in enumerate(moving) for j in moving[a + 1 :]), key=lambda pair: float(strength[pair])
    )  # fmt: skip
    names = [str(result.names[k]) for k in best]
    if first is not None:
        names = [first, next(str(result.names[k]) for k in moving if str(result.names[k]) != first)]
    return names[0], names[1]


def _limits(result: Any, levels: Sequence[float]) -> list[float]:
    """Rises of the cost, in units of the variance, at which two parameters together leave each region."""
    if not levels or not all(0 < level < 1 for level in levels):
        raise InputError(f"levels={levels!r}; give shares between 0 and 1, such as (0.68, 0.95)")
    from scipy.special import chdtri, fdtri

    if result.noise == "known" or result.degrees_of_freedom < 1:
        return [float(chdtri(2, 1 - level)) for level in sorted(levels)]
    return [2 * float(fdtri(2, result.degrees_of_freedom, level)) for level in sorted(levels)]


def _quadratic(result: Any, first: str, second: str, across: Vector, up: Vector) -> Vector | None:
    """dᵀ C⁻¹ d over the grid, C the covariance of the two; None where it is not known."""
    names = list(result.names)
    pair = [names.index(first), names.index(second)]
    C = np.asarray(result.covariance, dtype=float)[np.ix_(pair, pair)]
    if not np.isfinite(C).all() or np.linalg.det(C) <= 0:
        return None
    a, b = np.meshgrid(across - result.values[first], up - result.values[second])
    d = np.stack([a.ravel(), b.ravel()])
    found: Vector = np.einsum("ik,ik->k", d, np.linalg.solve(C, d)).reshape(a.shape)
    return found
