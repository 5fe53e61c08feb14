"""Equilibration: units for the parameters in which no row of a symmetric matrix outweighs another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..numerics import EPS, largest
from .long_vectors import holds_everywhere

# An entry may exceed those on the diagonal by rounding alone.
ROUNDING = 1.0 + 64.0 * EPS

# No unit is larger: a row whose entries have all but underflowed would have one that no double holds.
LONGEST = 1e300

# Rounds; each halves the exponent by which rows differ in size.
ROUNDS = 6


def equilibration(H: np.ndarray) -> np.ndarray:
    """d (k,) such that every nonzero row of d·H·d has its largest entry near one, where doubles hold such a d.

    Signs of eigenvalues do not change (Sylvester), and after it their sizes can be compared: parameters in
    units 10¹² apart weigh the same. Ruiz, "A scaling algorithm to equilibrate both rows and columns norms in
    matrices" (2001).

    >>> equilibration(np.diag([1e12, 4e-12])).round(9)
    array([1.e-06, 5.e+05])
    """
    size = np.abs(H)
    return _in_rounds(lambda d: (size * d).max(axis=1, initial=0.0), H.shape[0])


def sparse_equilibration(H: Any) -> np.ndarray:
    """The same for a SciPy sparse matrix."""
    size = abs(H).tocsr()
    return _in_rounds(lambda d: size.multiply(d).max(axis=1).toarray().ravel(), H.shape[0])


def _in_rounds(largest_of_rows: Callable[[np.ndarray], np.ndarray], k: int) -> np.ndarray:
    """d (k,), from the largest entry (k,) of each row of |H|·d."""
    d = np.ones(k)
    for _ in range(ROUNDS):
        rows = largest_of_rows(d) * d
        with np.errstate(over="ignore"):
            d = np.minimum(d / np.sqrt(np.where(rows > 0, rows, 1.0)), LONGEST)
    return d


def balanced(H: np.ndarray) -> np.ndarray:
    """The same; at once where every entry is at most the root of its two diagonal ones, as when H is positive definite.

    Units in which the diagonal is one are then such a d, and no diagonal ones condition H much better (van der Sluis,
    "Condition numbers and equilibration of matrices", 1969).

    >>> balanced(np.array([[4e12, 1.0], [1.0, 1e-12]])).round(9)
    array([5.e-07, 1.e+06])
    """
    diagonal = H.diagonal()
    if holds_everywhere(diagonal > 0.0):
        d = 1.0 / np.sqrt(diagonal)
        if largest(np.abs(d[:, None] * H * d)) <= ROUNDING:
            return d
    return equilibration(H)
