"""Points so far out that they would flatten a picture: its frame is of the others, and they are marked at its edge."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..presentation.text import counted, numeral
from .canvas import font_size, ink_of

Vector = np.ndarray

# A point that leaves less than this part of the height to all others is marked at the edge.
LEAST_SHARE = 0.2
# Where more than this part of the points are off, they are no exceptions, and the frame holds all.
MOST_FAR = 0.1
# Times the median of what is left over; of normal errors one in 10¹¹ is farther off.
FAR_OFF = 10.0
# Up to so many are told with their values.
MOST_TOLD = 3


def far_out(values: Vector, off: Vector, held: Vector) -> np.ndarray:
    """Which of the `values` (m,) are so far out that the others would be seen as one line: (m,).

    `off` (m,): how far each is from where it should be; those that are where the curve goes are never far out. `held`:
    what the frame holds in any case.

    >>> far_out(np.array([1.0, 2.0, 3.0] * 5 + [900.0]), np.array([0.1] * 15 + [898.0]), np.array([1.0, 3.0])).sum()
    np.int64(1)
    """
    off = np.abs(off)
    is_off = off > FAR_OFF * np.median(off)
    none = np.zeros(values.size, dtype=bool)
    if not 0 < is_off.sum() <= MOST_FAR * values.size:
        return none
    rest = np.concatenate([values[~is_off], held[np.isfinite(held)]])
    low, high = float(rest.min()), float(rest.max())
    room = (1.0 / LEAST_SHARE - 1.0) * (high - low)
    return is_off & ((values < low - room) | (values > high + room)) if room > 0.0 else none


def mark_far(x: Vector, y: Vector, color: Any, ax: Any, *, told: bool = False, values: bool = False) -> None:
    """Triangles at the lower or upper edge of `ax`, as its frame is now, for points (k,) that lie beyond it.

    `told`: with a line in the legend. `values`: with their heights, where they are few.
    """
    low, high = ax.get_ylim()
    for is_above, edge, marker in ((True, high, "^"), (False, low, "v")):
        chosen = (y > (low + high) / 2.0) == is_above
        if not chosen.any():
            continue
        ax.plot(
            x[chosen], np.full(int(chosen.sum()), edge), marker, color=color, markersize=6, linestyle="none",
            clip_on=False, zorder=6, label=f"{counted(y.size, 'point')} beyond the frame" if told else None,
        )  # fmt: skip
        told = False
        for across, value in zip(x[chosen], y[chosen], strict=True) if values and y.size <= MOST_TOLD else ():
            ax.annotate(
                numeral(value, 3), (across, edge), xytext=(5, -3 if is_above else 3),
                textcoords="offset points", va="top" if is_above else "bottom", color=ink_of(ax).text,
                fontsize=font_size(ax) - 1,
            )  # fmt: skip
