"""Is a symmetric matrix positive semidefinite? Decided without rounding, where rounding would give it either sign."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

# Elimination in fractions takes a second for this many rows.
MOST_ROWS = 24


def is_exactly_semidefinite(H: np.ndarray) -> bool:
    """Whether H (n, n), as the numbers it holds, has no downward curvature: elimination in fractions, not rounded.

    False also beyond `MOST_ROWS` rows, where it is not found out.

    >>> is_exactly_semidefinite(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    True
    >>> is_exactly_semidefinite(np.array([[1.0, -1.0], [-1.0, 1.0 - 1e-15]]))
    False
    """
    if len(H) > MOST_ROWS:
        return False
    rows = [[Fraction(float(entry)) for entry in row] for row in (H + H.T) / 2]
    while rows:
        k = max(range(len(rows)), key=lambda i: rows[i][i])
        pivot = rows[k][k]
        if pivot <= 0:
            # Largest on the diagonal: what is left has to be zero.
            return all(entry == 0 for row in rows for entry in row)
        rest = [i for i in range(len(rows)) if i != k]
        rows = [[rows[i][j] - rows[i][k] * rows[k][j] / pivot for j in rest] for i in rest]
    return True
