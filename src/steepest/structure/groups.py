"""Does the cost fall apart into sums that share no parameters? Each group can then be minimised on its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from .reading import Reading
from .sparsity import Dense, jacobian_pattern
from .sums import sum_of
from .writing import Writer


def groups_of(reading: Reading) -> np.ndarray:
    """The group of each parameter, (n,), counted from 0; parameters of different groups meet in no term.

    Terms are the elements that the cost is a weighted sum of (`sums`). All zeros where nothing falls apart, or where
    it is not found out.

    >>> import jax
    >>> x = jax.ShapeDtypeStruct((3,), np.float64)
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: (x[0] - x[2])**2 + jax.numpy.cos(x).sum())(x)
    >>> groups_of(Reading(jaxpr)).tolist()
    [0, 1, 0]
    """
    together = np.zeros(reading.n, dtype=np.int64)
    total = sum_of(reading) if reading.depends(reading.out) else None
    if total is None:
        return together
    writer = Writer(reading)
    parts: list[Any] = []
    for leaf in total.leaves:
        # A linear leaf joins nothing: its elements are single parameters.
        if leaf.equation is not None and leaf.weight.any():
            terms = leaf.factors[0]
            for factor in leaf.factors[1:]:
                terms = writer.product(terms, factor)
            parts.append(writer.times(terms, np.where(leaf.weight != 0.0, 1.0, 0.0)))
    if not parts:
        return np.arange(reading.n)
    try:
        pattern = jacobian_pattern(writer.finished([writer.joined(parts)]))
    except Dense:
        return together
    from scipy.sparse.csgraph import connected_components

    pattern = pattern.astype(np.int32)
    _, labels = connected_components(pattern.T @ pattern, directed=False)
    return np.asarray(labels, dtype=np.int64)
