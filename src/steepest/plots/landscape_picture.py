"""The landscape of a cost: along a line, over a plane as contours or as a surface, and the walk on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..presentation.text import WORTH_A_LOG, ends_of, number, numeral, shortened
from ..verdict.wording import direction_name
from .canvas import (  # fmt: skip
    CURVE_WIDTH,
    HEIGHT,
    MOST_DOTS,
    WIDTH,
    axes_given,
    dress,
    font_size,
    in_one_piece,
    ink_of,
    new_figure,
    plain,
    width_of,
)
from .contours import (
    COLORS,
    OVER,
    UNDER,
    draw_contours,
    draw_limits,
    draw_path,
    draw_scale,
    levels_of,
    mark_ends,
)
from .ground import (
    BEYOND,
    DIRECTIONS,
    Direction,
    Ground,
    along_line,
    direction_of,
    ground_of,
    in_view,
    limits_on_plane,
    on_plane,
    upright,
)  # fmt: skip
from .labels import Room

Vector = np.ndarray

KINDS = ("line", "contour", "surface")
# Parameters whose ranges differ less than this are drawn to one scale, so that right angles look right.
ONE_SCALE = 4.0
# The parabola of slope and curvature is drawn only where it stays this near to the heights shown.
PARABOLA_ROOM = 1.15
# Lines of a surface: more only blacken it.
MESH = 40
# Percent of the places that a logarithmic surface shows as level ground: the floor of a narrow valley falls between
# the places and would look like teeth.
VALLEY_FLOOR = 10.0
# Letters that stand below one inch of axes.
LETTERS = 13
ZERO_IS_HERE = "  (0: here)"


def landscape(
    source: Any,
    along: Any = None,
    *,
    at: Any = None,
    reach: Any = None,
    kind: str | None = None,
    places: int | None = None,
    ax: Any = None,
) -> Any:
    """Draw a cost along a line or over a plane through a point, with the walk that led there.

    Args:
        source: what `minimize` returned, or a function or an expression with `at=`.
        along: what to look along. A parameter's name or number, "slope" (straight down), "sharpest" or "flattest"
            (the directions of largest and smallest curvature), "way" (from start to end), or a direction of your
            own, one number for each parameter. A pair of these is a plane, a list of them a line each, "path" the
            plane that holds most of the walk. Left out: the line of one parameter, the plane of two, "path" for
            more.
        at: the centre, in the structure of the parameters; for a result its `x`.
        reach: half the width, in units of the parameter; a pair for a plane. Left out: as far as the walk went.
        kind: "line", "contour" or "surface"; a plane is drawn as contours unless this says otherwise.
        places: evaluations along each side. Left out: as many as look smooth, fewer where the cost is slow.
        ax: Matplotlib axes to draw on, one for each line; for a surface with `projection="3d"`.

    Returns:
        The axes: one, or an array with one for each line.

    Raises:
        InputError: something that is not there to look along, a kind that does not fit, or no `at=`.

    A dot on a plane of more than two parameters has the colour of the true cost at that iterate, which lies off the
    plane. Where the cost is slow, the number of places depends on its speed; `places=` makes the file repeat.

    >>> axes = landscape("(1-x)**2 + 100*(y-x**2)**2", at=[0.0, 0.0], reach=(2.0, 1.5), places=20)
    >>> axes.get_xlabel(), axes.get_ylabel()
    ('x', 'y')
    """
    if kind is not None and kind not in KINDS:
        raise InputError(f"kind={kind!r}; choose one of {', '.join(map(repr, KINDS))}")
    ground = ground_of(source, at)
    along = _chosen(ground, kind) if along is None else along
    plane = _plane(ground, along, reach)
    if plane is None:
        if kind in ("contour", "surface"):
            raise InputError(f'kind={kind!r} needs two directions: give along= a pair of them, or "path"')
        return _lines(ground, along if isinstance(along, list) else [along], reach, places, ax)
    if kind == "line":
        raise InputError(f"kind='line' takes one direction, or a list of them for a line each, not {along!r}")
    if kind == "surface":
        return _surface(ground, plane, places, ax)
    ax = axes_given(ax, 1, "a plane")[0] if ax is not None else new_figure(WIDTH, 1.3 * HEIGHT).subplots()
    draw_contour_plane(ground, plane, ax, places)
    return ax


def _chosen(ground: Ground, kind: str | None) -> Any:
    if ground.n == 1:
        return 0
    if kind == "line":
        return list(range(min(ground.n, 4)))
    if ground.n == 2:
        return (0, 1)
    if ground.walk is not None and len(ground.walk[0]) > 2:
        return "path"
    return (0, 1)


# -- lines -------------------------------------------------------------------------------------------------


def _lines(ground: Ground, along: list[Any], reach: Any, places: int | None, ax: Any) -> Any:
    reaches = list(reach) if np.ndim(reach) else [reach] * len(along)
    directions = [direction_of(ground, *pair) for pair in zip(along, reaches, strict=True)]
    if ax is not None:
        axes = axes_given(ax, len(along), "one panel for each line")
    else:
        columns = 1 if len(along) == 1 else 2
        rows = -(-len(along) // columns)
        figure = new_figure(WIDTH, HEIGHT * (0.9 if columns == 1 else 0.7 * rows))
        grid = figure.subplots(rows, columns, squeeze=False)
        axes = list(grid.ravel())[: len(along)]
        for spare in grid.ravel()[len(along) :]:
            spare.remove()
    for direction, panel in zip(directions, axes, strict=True):
        draw_line(ground, direction, panel, places, title=panel is axes[0])
    axes[0].figure.draw_without_rendering()
    for direction, panel in zip(directions, axes, strict=True):
        label_center(ground, direction, panel)
    return in_one_piece(axes)


def draw_line(
    ground: Ground, direction: Direction, ax: Any, places: int | None = None, *, title: bool = True
) -> None:
    """The cost along one direction, the parabola its slope and curvature promise, and the walk of one parameter."""
    ink = ink_of(ax)
    t, heights = along_line(ground, direction, places)
    at = t + direction.offset
    here = float(heights[t == 0.0][0])
    bottom, top, logarithmic = heights_worth_showing(heights)
    ax.plot(at, heights, color=ink.text, linewidth=CURVE_WIDTH, zorder=3)
    ax.set_xlim(at[0], at[-1])
    if logarithmic:
        ax.set_yscale("log")
    ax.set_ylim(bottom, top)
    words = "" if logarithmic else _draw_parabola(ground, direction, here, ax)
    _draw_bounds(at, heights, ax)
    _draw_iterates(ground, ax)
    dress(
        ax,
        x=_line_name(ground, direction, ax) + words,
        y="cost",
        title=shortened(ground.name, int(12 * max(width_of(ax), 2))) if title else "",
    )
    if np.isfinite(here):
        marker, size = ("*", 13) if ground.found else ("o", 6)
        ax.plot(
            [direction.offset], [here], marker, color=ink.text, markeredgecolor=ax.get_facecolor(),
            markersize=size, zorder=6,
        )  # fmt: skip


def label_center(ground: Ground, direction: Direction, ax: Any) -> None:
    """The word at the centre of a drawn line, where it hides nothing; the layout must have settled."""
    room = Room(ax)
    for line in ax.lines:
        room.add_line(*(np.asarray(values, dtype=float) for values in line.get_data()))
    here = ground.value(ground.center)
    if np.isfinite(here):
        word = ("end" if ground.found else "here") + f", cost {number(here, 4)}"
        label = room.place(
            word.replace("-", "−"), direction.offset, here, color=ink_of(ax).text, size=font_size(ax), prefer=270
        )  # fmt: skip
        label.set_bbox({"facecolor": ax.get_facecolor(), "alpha": 0.8, "edgecolor": "none", "pad": 1.0})


def heights_worth_showing(heights: Vector) -> tuple[float, float, bool]:
    """Lowest and highest cost to show, with room for words below, and whether on a logarithmic axis.

    >>> heights_worth_showing(np.array([1.0, 2.0]))[2], heights_worth_showing(np.array([1e-3, 1.0, 50.0]))[2]
    (False, True)
    """
    finite = heights[np.isfinite(heights)]
    if finite.size == 0:
        return -1.0, 1.0, False
    low, high = float(finite.min()), float(finite.max())
    if low > 0 and high > WORTH_A_LOG**2 * low:
        decades = np.log10(high / low)
        return low * 10 ** (-0.12 * decades), high * 10 ** (0.05 * decades), True
    inner_low, inner_high = np.percentile(finite, [2, 98])
    spread = max(inner_high - inner_low, 1e-12 * max(abs(low), abs(high)), 1e-300)
    low, high = max(low, inner_low - 2 * spread), min(high, inner_high + 2 * spread)
    span = max(high - low, 1e-12 * max(abs(low), abs(high)), 1e-300)
    return low - 0.16 * span, high + 0.06 * span, False


def _line_name(ground: Ground, direction: Direction, ax: Any) -> str:
    """What is below a line: no wider than the axes, beside which another picture may stand."""
    room = int(LETTERS * width_of(ax))
    if _is_parameter(ground, direction):
        return ends_of(direction.name, room)
    room -= len(ZERO_IS_HERE)
    name = direction.name if len(direction.name) <= room else direction.name.partition(":")[0]
    return f"{shortened(name, room)}{ZERO_IS_HERE}"


def _is_parameter(ground: Ground, direction: Direction) -> bool:
    return int(np.count_nonzero(direction.vector)) == 1 and direction.name in ground.names


def _draw_parabola(ground: Ground, direction: Direction, here: float, ax: Any) -> str:
    """Value + slope · t + curvature · t² / 2, which is all that the derivatives at the point can tell; in words."""
    if ground.gradient is None or ground.hessian is None or not np.isfinite(here):
        return ""
    try:
        slope = float(ground.gradient(ground.center) @ direction.vector)
        bend = float(direction.vector @ ground.hessian(ground.center) @ direction.vector)
    except (ArithmeticError, MemoryError):
        return ""
    if not np.isfinite([slope, bend]).all():
        return ""
    low, high = ax.get_ylim()
    t = np.linspace(direction.low, direction.high, 401)
    heights = here + slope * t + bend * t**2 / 2
    margin = (PARABOLA_ROOM - 1) * (high - low)
    heights[(heights < low - margin) | (heights > high + margin)] = np.nan
    ax.plot(
        t + direction.offset, heights, color=ink_of(ax).soft, linewidth=1.2, linestyle=(0, (5, 2)), zorder=2
    )
    return f"\ndashed: slope {numeral(slope, 3)}, curvature {numeral(bend, 3)}"


def _draw_bounds(at: Vector, heights: Vector, ax: Any) -> None:
    """Hatching where the line leaves the bounds, or the cost is not finite."""
    ink = ink_of(ax)
    known = np.flatnonzero(np.isfinite(heights))
    if known.size == 0 or known.size == heights.size:
        return
    for edge, beyond in ((at[known[0]], at[0]), (at[known[-1]], at[-1])):
        if edge != beyond:
            ax.axvspan(edge, beyond, facecolor="none", edgecolor=ink.soft, hatch="///", linewidth=0, zorder=1)


def _draw_iterates(ground: Ground, ax: Any) -> None:
    if ground.walk is None or ground.n > 1:
        return
    ink, (x, values) = ink_of(ax), ground.walk
    if len(x) <= 4 * MOST_DOTS:
        ax.plot(x[:, 0], values, ".", color=ink.soft, markersize=5, zorder=4)
    ax.plot(x[:1, 0], values[:1], "s", color=ink.text, markersize=6, zorder=5)


# -- planes ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plane:
    """Two directions, and the share of the walk that their plane holds (None without a walk or for n = 2)."""

    across: Direction
    up: Direction
    share: float | None


def _plane(ground: Ground, along: Any, reach: Any) -> Plane | None:
    """The plane that `along` asks for; None where it asks for lines."""
    if isinstance(along, str) and along == "path" and along not in list(ground.names[:100]):
        return _plane_of_path(ground, reach)
    if not isinstance(along, tuple) or len(along) != 2:
        return None
    if all(isinstance(part, (float, np.floating)) for part in along) and ground.n == 2:
        return None  # one direction, written out
    reaches: Sequence[Any] = list(reach) if np.ndim(reach) else [reach] * 2
    across, up = (direction_of(ground, *pair) for pair in zip(along, reaches, strict=True))
    cosine = abs(across.vector @ up.vector) / np.linalg.norm(across.vector) / np.linalg.norm(up.vector)
    if cosine > 1 - 1e-9:
        raise InputError(f"along={along!r} names one direction twice; a plane needs two")
    share = _share(ground, across.vector, up.vector)
    if reach is None and ground.walk is not None:
        across, up = _framed(ground, across, up)
    return Plane(across, up, share)


def _plane_of_path(ground: Ground, reach: Any) -> Plane:
    """The plane through the centre that holds most of the walk, each parameter in units of its own range."""
    if ground.walk is None or len(ground.walk[0]) < 3 or ground.n < 2:
        raise InputError('along="path" needs a walk of two steps or more in at least two parameters')
    scales = _scales(ground)
    moves = (ground.walk[0] - ground.center) / scales
    _, _, axes = np.linalg.svd(moves, full_matrices=False)
    if len(axes) < 2 or not moves.any():
        raise InputError('along="path": this walk went nowhere, or along a single line; use along="way"')
    reaches: Sequence[Any] = list(reach) if np.ndim(reach) else [reach] * 2
    made = []
    for word, axis, half in zip(("first", "second"), axes[:2], reaches, strict=True):
        vector = upright(axis * scales)
        vector = vector / np.abs(vector).max()
        name = f"{word} direction of the walk: {direction_name(vector, ground.names)}"
        made.append(direction_of(ground, vector, half))
        made[-1] = Direction(vector, name, 0.0, made[-1].low, made[-1].high)
    across, up = made
    share = _share(ground, across.vector, up.vector)
    if reach is None:
        across, up = _framed(ground, across, up)
    return Plane(across, up, share)


def _scales(ground: Ground) -> Vector:
    """The range of each parameter over the walk: parameters of different units cannot be added otherwise."""
    assert ground.walk is not None
    ranges = np.ptp(np.vstack([ground.walk[0], ground.center]), axis=0)
    return np.where(ranges > 0, ranges, 1.0)


def _share(ground: Ground, *vectors: Vector) -> float | None:
    """Which part of the squared distance from iterates to the centre lies in the plane of the vectors."""
    if ground.walk is None or ground.n <= 2:
        return None
    scales = _scales(ground)
    moves = (ground.walk[0] - ground.center) / scales
    total = float((moves**2).sum())
    basis, _ = np.linalg.qr(np.column_stack([vector / scales for vector in vectors]))
    return float(((moves @ basis) ** 2).sum()) / total if total > 0 else None


def shadow(ground: Ground, plane: Plane) -> Vector | None:
    """The walk seen on the plane, (r, 2), in the units of its axes."""
    if ground.walk is None:
        return None
    basis = np.column_stack([plane.across.vector, plane.up.vector])
    places = np.linalg.lstsq(basis, (ground.walk[0] - ground.center).T, rcond=None)[0].T
    return places + np.array([plane.across.offset, plane.up.offset])


def _framed(ground: Ground, across: Direction, up: Direction) -> tuple[Direction, Direction]:
    """Both directions as long as the walk needs and a quarter of it on every side."""
    offsets = np.array([across.offset, up.offset])
    seen = shadow(ground, Plane(across, up, None))
    assert seen is not None
    path = in_view(seen)
    if len(path) == len(seen):
        path = np.vstack([path, offsets])
    (left, right), (bottom, top) = window(path)
    return (
        Direction(across.vector, across.name, across.offset, left - offsets[0], right - offsets[0]),
        Direction(up.vector, up.name, up.offset, bottom - offsets[1], top - offsets[1]),
    )


def window(path: Vector) -> tuple[tuple[float, float], tuple[float, float]]:
    """What to show of the plane: the path and a quarter of it on every side, square where it is about square."""
    low, high = path.min(axis=0), path.max(axis=0)
    span = high - low
    least = np.maximum(0.05 * span.max(), 1e-3 * np.maximum(np.abs(low), 1e-3))
    half = span / 2 + np.maximum(BEYOND * span, least)
    if half.max() < ONE_SCALE * half.min():
        half[:] = half.max()
    (left, bottom), (right, top) = ((low + high) / 2 - half).tolist(), ((low + high) / 2 + half).tolist()
    return (left, right), (bottom, top)


def draw_plane(result: Any, ax: Any) -> None:
    """The walk of a result of two parameters over lines of equal cost."""
    ground = ground_of(result)
    plane = _plane(ground, (0, 1), None)
    assert plane is not None
    draw_contour_plane(ground, plane, ax, None, title=False)


def draw_contour_plane(
    ground: Ground, plane: Plane, ax: Any, places: int | None, *, title: bool = True
) -> None:
    """Lines of equal cost, the walk on them, and the scale."""
    a, b, heights = on_plane(ground, plane.across, plane.up, places)
    a, b = a + plane.across.offset, b + plane.up.offset
    drawn = draw_contours(ax, a, b, heights)
    limits = limits_on_plane(ground, plane.across, plane.up)
    if limits is not None:
        x, y, beyond, missed = limits
        draw_limits(ax, x + plane.across.offset, y + plane.up.offset, beyond, missed)
    ax.set_xlim(a[0, 0], a[0, -1])
    ax.set_ylim(b[0, 0], b[-1, 0])
    across, up = np.ptp(a), np.ptp(b)
    if abs(across - up) < 1e-9 * across:
        ax.set_aspect("equal", adjustable="box")
    dress(
        ax, x=_axis_name(plane.across), y=_axis_name(plane.up), title=_title(ground, plane) if title else ""
    )
    if drawn is not None:
        draw_scale(drawn, ax)
    ax.figure.draw_without_rendering()
    path = shadow(ground, plane)
    if path is None or len(path) < 2:
        at = np.array([[plane.across.offset, plane.up.offset]])
        mark = "*" if ground.found else "o"
        ax.plot(*at[0], mark, color=OVER, markeredgecolor=UNDER, markersize=11, zorder=5)
        return
    left = _leaves(path, ax)
    draw_path(
        ax, path if not left else np.clip(path, -1e150, 1e150),
        costs=ground.walk[1] if ground.walk is not None and ground.n > 2 else None, drawn=drawn,
    )  # fmt: skip
    mark_ends(ax, path, left=left)
    if left:
        _arrow_at_the_edge(path, ax)


def _axis_name(direction: Direction) -> str:
    return shortened(direction.name, 60)


def _title(ground: Ground, plane: Plane) -> str:
    title = shortened(ground.name, 40)
    return (
        title if plane.share is None else f"{title}:  this plane holds {100 * plane.share:.0f}% of the walk"
    )


def _leaves(path: Vector, ax: Any) -> bool:
    """Whether the walk ends outside the picture."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    x, y = path[-1]
    return not (left <= x <= right and bottom <= y <= top)


def _arrow_at_the_edge(path: Vector, ax: Any) -> None:
    """Where a walk leaves the picture: an arrow at the edge, and how far it went."""
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    low, high = np.array([left, bottom]), np.array([right, top])
    inside = np.flatnonzero(((path >= low) & (path <= high)).all(axis=1))
    last = path[inside[-1]] if inside.size else (low + high) / 2
    after = np.clip(path[inside[-1] + 1] if inside.size else path[-1], -1e150, 1e150)
    way = (after - last) / (high - low)
    room_left = np.where(way > 0, high - last, last - low) / (high - low)
    share = float((room_left / np.maximum(np.abs(way), 1e-300)).min())
    edge = last + min(share, 1.0) * (after - last)
    inner = edge - 0.08 * way / np.linalg.norm(way) * (high - low)
    ax.annotate(
        "", edge, xytext=inner, zorder=6,
        arrowprops={"arrowstyle": "-|>", "facecolor": OVER, "edgecolor": UNDER, "linewidth": 1.2,
                    "mutation_scale": 18},
    )  # fmt: skip
    room = Room(ax)
    room.add_line(*np.clip(path, low - (high - low), high + (high - low)).T)
    label = room.place(
        f"on to ({number(path[-1, 0], 2)}, {number(path[-1, 1], 2)})".replace("-", "−"), *inner,
        color=UNDER, size=font_size(ax),
    )  # fmt: skip
    label.set_bbox({"facecolor": OVER, "alpha": 0.85, "edgecolor": "none", "pad": 1.5})


# -- surfaces ----------------------------------------------------------------------------------------------


def _surface(ground: Ground, plane: Plane, places: int | None, ax: Any) -> Any:
    from matplotlib.colors import LogNorm

    if ax is None:
        ax = new_figure(WIDTH, 1.3 * HEIGHT).add_subplot(projection="3d")
    else:
        ax = axes_given(ax, 1, "a surface")[0]
        if not hasattr(ax, "plot_surface"):
            raise InputError('a surface needs axes made with projection="3d"')
    ink, size = ink_of(ax), font_size(ax)
    a, b, heights = on_plane(ground, plane.across, plane.up, places)
    a, b = a + plane.across.offset, b + plane.up.offset
    levels, norm = levels_of(np.ma.masked_invalid(heights), VALLEY_FLOOR)
    logarithmic = isinstance(norm, LogNorm)

    def height(costs: Any) -> Any:
        return np.log10(np.maximum(costs, levels[0])) if logarithmic else costs

    import matplotlib

    ax.plot_surface(
        a, b, height(heights), facecolors=matplotlib.colormaps[COLORS](norm(np.nan_to_num(heights, nan=levels[-1]))),
        rcount=MESH, ccount=MESH, linewidth=0.15, edgecolor=(1, 1, 1, 0.35), shade=False, alpha=0.9,
    )  # fmt: skip
    path = shadow(ground, plane)
    if path is not None and ground.walk is not None and len(path) > 1:
        _walk_on_surface(ground, plane, path, height, ax)
    names = {"color": ink.text, "fontsize": size}
    ax.set_xlabel(plain(shortened(plane.across.name, 34)), **names)
    ax.set_ylabel(plain(shortened(plane.up.name, 34)), **names)
    ax.set_zlabel("log₁₀ cost" if logarithmic else "cost", **names)
    ax.tick_params(labelsize=size - 1, labelcolor=ink.text, colors=ink.soft)
    ax.set_title(plain(_title(ground, plane)), loc="left", color=ink.text, fontsize=size + 1)
    return ax


def _walk_on_surface(ground: Ground, plane: Plane, path: Vector, height: Any, ax: Any) -> None:
    """The walk at its true costs; for more than two parameters a stem leads down to the surface below each."""
    assert ground.walk is not None
    ink, costs = ink_of(ax), ground.walk[1]
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    inside = (path[:, 0] >= left) & (path[:, 0] <= right) & (path[:, 1] >= bottom) & (path[:, 1] <= top)
    path, costs = path[inside], costs[inside]
    if len(path) == 0:
        return
    at = height(costs)
    ax.plot(*path.T, at, color=ink.text, linewidth=1.6, zorder=10)
    if ground.n > 2 and len(path) <= MOST_DOTS:
        for place, true in zip(path, at, strict=True):
            t = place - np.array([plane.across.offset, plane.up.offset])
            on_surface = height(
                ground.value(ground.center + t[0] * plane.across.vector + t[1] * plane.up.vector)
            )
            ax.plot(
                [place[0]] * 2, [place[1]] * 2, [on_surface, true], color=ink.soft, linewidth=0.8, zorder=9
            )
    ax.plot(*path[:1].T, at[:1], "s", color=OVER, markeredgecolor=UNDER, markersize=7, zorder=11)
    ax.plot(*path[-1:].T, at[-1:], "*", color=OVER, markeredgecolor=UNDER, markersize=13, zorder=11)


__all__ = ["DIRECTIONS", "landscape"]
