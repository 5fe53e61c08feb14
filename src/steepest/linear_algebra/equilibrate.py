"""Equilibration: units for the parameters in which no row of a symmetric matrix outweighs another."""

from __future__ import annotations

import numpy as np

# Rounds; each halves the exponent by which rows differ in size.
ROUNDS = 6


def equilibration(H: np.ndarray) -> np.ndarray:
    """d (k,) such that every nonzero row of d·H·d has its largest entry near one.

    Signs of eigenvalues do not change (Sylvester), and after it their sizes can be compared: parameters in
    units 10¹² apart weigh the same. Ruiz, "A scaling algorithm to equilibrate both rows and columns norms in
    matrices" (2001).

    >>> equilibration(np.diag([1e12, 4e-12])).round(9)
    array([1.e-06, 5.e+05])
    """
    d = np.ones(H.shape[0])
    size = np.abs(H)
    for _ in range(ROUNDS):
        rows = (size * d).max(axis=1, initial=0.0) * d
        d = d / np.sqrt(np.where(rows > 0, rows, 1.0))
    return d
