"""A matrix as NumPy's, whoever holds it."""

from __future__ import annotations

from typing import Any

import numpy as np


def dense(matrix: Any) -> np.ndarray:
    """A matrix of NumPy's, as it is, or of SciPy's written out.

    >>> from scipy.sparse import csr_array
    >>> dense(csr_array([[0.0, 2.0]]))
    array([[0., 2.]])
    """
    return matrix if isinstance(matrix, np.ndarray) else np.asarray(matrix.toarray())
