"""Does the cost fall apart into sums that share no parameters? Each group can then be minimised on its own."""

from __future__ import annotations

import numpy as np

from .reading import Reading
from .terms import terms_of


def groups_of(reading: Reading) -> np.ndarray:
    """The group of each parameter, (n,), counted from 0; parameters of different groups meet in no term.

    Terms are the elements that the cost is a weighted sum of (`terms`). All zeros where nothing falls apart, or where
    it is not found out.

    >>> import jax
    >>> x = jax.ShapeDtypeStruct((3,), np.float64)
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: (x[0] - x[2])**2 + jax.numpy.cos(x).sum())(x)
    >>> groups_of(Reading(jaxpr)).tolist()
    [0, 1, 0]
    """
    terms = terms_of(reading)
    if terms is None:
        return np.zeros(reading.n, dtype=np.int64)
    from scipy.sparse.csgraph import connected_components

    pattern = terms.pattern.astype(np.int32)
    _, labels = connected_components(pattern.T @ pattern, directed=False)
    return np.asarray(labels, dtype=np.int64)
