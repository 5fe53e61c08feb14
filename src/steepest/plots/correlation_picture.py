"""Which parameters hang together: the correlations of a fit as ellipses and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..presentation.text import ends_of, names_of
from .canvas import axes_given, dress, font_size, ink_of, new_figure, plain, width_of

Matrix = np.ndarray

# Up to here each pair gets its ellipse and its number; beyond, a cell of colour.
MOST_ELLIPSES = 14
# Inches for each parameter, so that a number fits into its cell.
CELL = 0.5
# Blue and red end of a scale whose middle is the background; both ends equally dark, since tilt tells the sign.
COLORS = ("#2B5FA8", "#B0471E")
# Names longer than this stand beside their rows alone, numbered, and the columns carry the numbers.
LONG_NAME = 14
# The longest name beside a row, and inches for each of its letters.
LONGEST_NAME, LETTER = 36, 0.1
# A correlation further from zero than this leaves little to be told of each parameter alone.
STRONG = 0.95
ROUNDING = 1e-6


def correlation(source: Any, names: Sequence[str] | None = None, *, ax: Any = None) -> Any:
    """Draw correlations of parameters: an ellipse for each pair above the diagonal, its number below.

    Args:
        source: a fit, or a matrix of correlations, shape (n, n), with ones on its diagonal.
        names: of the parameters, where `source` is a matrix.
        ax: Matplotlib axes to draw on; without it a figure is made.

    Returns:
        The axes.

    Raises:
        InputError: a result without errors, or a matrix that holds no correlations.

    The ellipse is the shape of a cloud of points with that correlation: tilted up where two parameters rise
    together, down where one rises as the other falls, a thin line where one nearly determines the other. So the
    picture reads without colour.

    >>> axes = correlation([[1.0, -0.8], [-0.8, 1.0]], names=["limit", "rate"])
    >>> [text.get_text() for text in axes.texts]
    ['−0.80']
    """
    matrix, names = _matrix_of(source, names)
    n = len(matrix)
    if ax is None:
        width = min(max(CELL * n + 1.6, 2.8), 8.0)
        longest = min(max(map(len, names)), LONGEST_NAME) if n <= MOST_ELLIPSES else 0
        ax = new_figure(width + LETTER * max(longest - LONG_NAME, 0), width - 0.4).subplots()
    else:
        ax = axes_given(ax, 1, "correlation")[0]
    ink = ink_of(ax)
    ax.set_aspect("equal")
    ax.set_xlim(-0.5, n - 0.5)
    ax.set_ylim(n - 0.5, -0.5)
    dress(ax, x="", y="")
    if n <= MOST_ELLIPSES:
        _draw_ellipses(matrix, ax, ink)
    else:
        _draw_cells(matrix, ax, ink)
    _name_axes(names, n, ax)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.tick_params(length=0)
    return ax


def _matrix_of(source: Any, names: Sequence[str] | None) -> tuple[Matrix, Sequence[str]]:
    found = getattr(source, "correlation", None) if hasattr(source, "verdict") else source
    if found is None:
        raise InputError(
            "this result holds no correlations: they need data and their errors, which steepest.fit takes; "
            "or give a matrix of your own"
        )
    matrix = np.asarray(found, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f"correlations are a square matrix, not an array of shape {matrix.shape}")
    known = np.isfinite(matrix)
    if (np.abs(matrix[known]) > 1 + ROUNDING).any() or (np.abs(np.diag(matrix)[np.isfinite(np.diag(matrix))] - 1)
                                                         > ROUNDING).any():  # fmt: skip
        raise InputError(
            "correlations lie between -1 and 1 with ones on the diagonal; a covariance is divided by the errors of "
            "its row and its column first"
        )
    given = names if names is not None else getattr(source, "names", ()) or ()
    if names is not None and len(names) != len(matrix):
        raise InputError(f"there are {len(names)} names for {len(matrix)} parameters")
    return matrix, names_of(len(matrix), given)


def _draw_ellipses(matrix: Matrix, ax: Any, ink: Any) -> None:
    from matplotlib.patches import Ellipse

    size = min(font_size(ax), 72 * width_of(ax) / len(matrix) / 3.6)
    for i, j in np.ndindex(matrix.shape):
        r = float(matrix[i, j])
        if i == j or not np.isfinite(r):
            continue
        if i > j:
            text = f"{r:z.2f}" if abs(r) < 0.995 or abs(r) == 1 else f"{np.trunc(r * 1e4) / 1e4:.4f}"
            ax.text(
                j, i, text.replace("-", "−"), ha="center", va="center", color=ink.text, fontsize=size,
                fontweight="bold" if abs(r) > STRONG else "normal",
            )  # fmt: skip
            continue
        # The contour of a normal distribution with correlation r: half axes √(1 + |r|) and √(1 − |r|) along ±45°.
        # The vertical axis runs down, so a tilt upwards is drawn at −45°.
        ax.add_patch(
            Ellipse(
                (j, i), 0.6 * np.sqrt(1 + abs(r)), max(0.6 * np.sqrt(1 - abs(r)), 0.02), angle=-45.0 if r > 0 else 45.0,
                facecolor=_shade(r, ax), edgecolor=ink.text, linewidth=0.8, zorder=2,
            )
        )  # fmt: skip


def _draw_cells(matrix: Matrix, ax: Any, ink: Any) -> None:
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list("correlation", [COLORS[0], ax.get_facecolor(), COLORS[1]])
    shown = ax.imshow(np.ma.masked_invalid(matrix), vmin=-1, vmax=1, cmap=colors, interpolation="nearest")
    bar = ax.figure.colorbar(shown, ax=ax, shrink=0.8, pad=0.02, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=font_size(ax) - 1, colors=ink.soft, labelcolor=ink.text)
    bar.set_label("correlation", color=ink.text, fontsize=font_size(ax))


def _shade(r: float, ax: Any) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    strong, none = np.array(to_rgb(COLORS[int(r > 0)])), np.array(to_rgb(ax.get_facecolor()))
    red, green, blue = (none + abs(r) * (strong - none)).tolist()
    return red, green, blue


def _name_axes(names: Sequence[str], n: int, ax: Any) -> None:
    shown = list(range(n)) if n <= 2 * MOST_ELLIPSES else list(np.linspace(0, n - 1, 10).astype(int))
    words = [str(names[k]) for k in shown]
    longest = max(map(len, words), default=0)
    if longest > LONG_NAME:
        numbers = [f"{k + 1:,}" for k in shown]
        above, long = numbers, False
        ax.set_anchor("E")  # the room that equal sides leave over belongs to the names
        words = [f"{ends_of(word, LONGEST_NAME)}  {k}" for k, word in zip(numbers, words, strict=True)]
    else:
        above, long = words, longest > 6 or n > 8
    ax.set_xticks(shown, map(plain, above), rotation=45 if long else 0, ha="left" if long else "center")
    ax.set_yticks(shown, map(plain, words))
    ax.xaxis.tick_top()
