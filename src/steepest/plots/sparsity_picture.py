"""Which parameters meet in the cost: the entries of a Hessian or Jacobian that are not zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError, TracingError
from ..presentation.text import names_of
from .canvas import HEIGHT, axes_given, dress, font_size, ink_of, new_figure, plain

# Up to so many rows or columns every entry is a square of its own; beyond, cells hold several and are shaded.
MOST_SQUARES = 200
# Names are written beside the rows up to here.
MOST_NAMES = 20


def sparsity(source: Any, at: Any = None, *, ax: Any = None) -> Any:
    """Draw where a matrix of derivatives is not zero.

    Args:
        source: a matrix (an array or a SciPy sparse array, of shape (m, n)), a result, or a cost with `at=`: then the
            pattern is that of its Hessian, read off the trace.
        at: parameters in their structure, where `source` is a cost.
        ax: Matplotlib axes to draw on; without it a figure is made.

    Returns:
        The axes. Its title counts the entries.

    Raises:
        InputError: no `at=`, or a cost that cannot be traced, whose pattern is not known.

    A large matrix is drawn in cells; the darker a cell, the more of its entries are not zero.

    >>> axes = sparsity([[2.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 2.0]])
    >>> axes.get_title(loc="left")
    '3 × 3, 7 entries, 78% filled'
    """
    rows, columns, shape, names = _entries(source, at)
    if ax is None:
        tall = min(max(shape[0] / max(shape[1], 1), 0.3), 1.6)
        ax = new_figure(HEIGHT * 1.15, HEIGHT * 1.15 * tall + 0.5).subplots()
    else:
        ax = axes_given(ax, 1, "sparsity")[0]
    ink = ink_of(ax)
    if max(shape) <= MOST_SQUARES:
        _draw_squares(rows, columns, shape, ax, ink)
    else:
        _draw_cells(rows, columns, shape, ax, ink)
    filled = 100 * len(rows) / max(shape[0] * shape[1], 1)
    share = f"{filled:.0f}%" if filled >= 10 else f"{filled:.2g}%"
    dress(
        ax,
        x="parameter" if names is None else "",
        y="parameter" if shape[0] == shape[1] and names is None else "" if names is not None else "residual",
        title=f"{shape[0]:,} × {shape[1]:,}, {len(rows):,} entries, {share} filled",
    )
    for side in ("top", "right"):
        ax.spines[side].set_visible(True)
        ax.spines[side].set_color(ink.soft)
    if names is not None:
        long = max(map(len, names)) > 4
        names = [plain(name) for name in names]
        ax.set_xticks(range(shape[1]), names, rotation=90 if long else 0)
        ax.set_yticks(range(shape[0]), names)
    return ax


def _entries(source: Any, at: Any) -> tuple[np.ndarray, np.ndarray, tuple[int, int], list[str] | None]:
    """Rows and columns of the entries that are not zero, the shape, and names where there are few parameters."""
    matrix, names = source, None
    if hasattr(source, "verdict"):
        matrix, names = _hessian_of(source), source.names
    elif callable(source) or isinstance(source, str):
        matrix, names = _hessian_at(source, at)
    if hasattr(matrix, "tocoo"):
        found = matrix.tocoo()
        kept = found.data != 0
        rows, columns, shape = found.row[kept], found.col[kept], found.shape
    else:
        dense = np.asarray(matrix, dtype=float)
        if dense.ndim != 2:
            raise InputError(f"a matrix has two dimensions; this array has the shape {dense.shape}")
        rows, columns = np.nonzero(dense)
        shape = dense.shape
    n = int(shape[1])
    given = names if names is not None and shape[0] == n and n <= MOST_NAMES else None
    return rows, columns, (int(shape[0]), n), None if given is None else list(names_of(n, given))


def _hessian_of(result: Any) -> Any:
    if result.hess is not None:
        return result.hess
    trace = getattr(getattr(result, "_problem", None), "trace", None)
    if trace is None:
        raise InputError(
            "this result holds no Hessian and its cost was not traced, so its pattern is not known"
        )
    from ..traced import evaluation, hessian_pattern

    # Not the entries at the start: where it is zero, many that are not zero elsewhere are.
    pattern = hessian_pattern(trace)
    return evaluation(trace, "hessian")(result._problem.start)[0] if pattern is None else pattern


def _hessian_at(source: Any, at: Any) -> tuple[Any, Any]:
    from ..cost import read_cost
    from ..derivative import hessian
    from ..parameters import Parameters
    from ..traced import hessian_pattern

    if at is None:
        raise InputError("plots.sparsity needs at=, parameters in the structure that the cost takes")
    cost = read_cost(source, at)
    parameters = Parameters.of(at, cost.first)
    try:
        matrix = hessian(source, sparse=True)(at)
    except TracingError as error:
        raise InputError(f"the pattern is read off the trace, and {error}") from error
    pattern = hessian_pattern(cost.trace(parameters, ()))
    return matrix if pattern is None else pattern, cost.names or parameters.names


def _draw_squares(rows: Any, columns: Any, shape: tuple[int, int], ax: Any, ink: Any) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    squares = [Rectangle((c - 0.45, r - 0.45), 0.9, 0.9) for r, c in zip(rows, columns, strict=True)]
    ax.add_collection(PatchCollection(squares, facecolor=ink.text, edgecolor="none"))
    ax.set_xlim(-0.5, shape[1] - 0.5)
    ax.set_ylim(shape[0] - 0.5, -0.5)
    ax.set_aspect("equal")


def _draw_cells(rows: Any, columns: Any, shape: tuple[int, int], ax: Any, ink: Any) -> None:
    """Counts of entries in each cell, darker for more; one entry alone still shows."""
    cells = tuple(min(length, MOST_SQUARES) for length in shape)
    counts, _, _ = np.histogram2d(rows, columns, bins=cells, range=[[0, shape[0]], [0, shape[1]]])
    possible = (shape[0] / cells[0]) * (shape[1] / cells[1])
    # The square root lets a single entry of a large cell be seen; a third of the scale is kept for "at least one".
    shade = np.where(counts > 0, 0.35 + 0.65 * np.sqrt(np.minimum(counts / possible, 1.0)), 0.0)
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list("entries", [ax.get_facecolor(), ink.text])
    ax.imshow(
        shade, vmin=0, vmax=1, cmap=colors, interpolation="nearest", aspect="equal",
        extent=(-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5),
    )  # fmt: skip
    ax.tick_params(labelsize=font_size(ax) - 1)
