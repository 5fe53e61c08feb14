"""The terms that a cost is a sum of, in a row, and the parameters that each depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .dependence import Dense
from .reading import Reading
from .sparsity import jacobian_pattern
from .sums import sum_of
from .writing import Writer


@dataclass(frozen=True, eq=False)
class Terms:
    """`jaxpr`: from the parameters (n,) to the terms (m,), whose sum is the cost but for a constant.

    `pattern`: on which parameters each may depend, SciPy CSC (m, n), all ones.
    """

    jaxpr: Any
    pattern: Any


def terms_of(reading: Reading) -> Terms | None:
    """The elements that the cost is a weighted sum of (`sums`), times their weights; those of no weight are left out.

    None where the cost is not such a sum, is constant, or has terms of which most depend on most parameters.

    >>> import jax
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: 3 * jax.numpy.cos(x).sum() - x[0] * x[1])(
    ...         jax.ShapeDtypeStruct((3,), np.float64)
    ...     )
    >>> terms_of(Reading(jaxpr)).pattern.toarray().tolist()
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]]
    """
    total = sum_of(reading) if reading.depends(reading.out) else None
    if total is None:
        return None
    writer = Writer(reading)
    parts: list[Any] = []
    for leaf in total.leaves:
        if not leaf.weight.any():
            continue
        made = leaf.factors[0]
        for factor in leaf.factors[1:]:
            made = writer.product(made, factor)
        weighted = writer.flat(writer.times(made, leaf.weight))
        weight = np.broadcast_to(leaf.weight, made.aval.shape).ravel()
        parts.append(weighted if weight.all() else writer.taken(weighted, np.flatnonzero(weight)))
    if not parts:
        return None
    jaxpr = writer.finished([writer.joined(parts)])
    try:
        return Terms(jaxpr, jacobian_pattern(jaxpr))
    except Dense:
        return None
