"""Places along the data: parameters that a cost compares with numbers it is given, as the place of a peak or a step is.

Such a parameter is subtracted from data, or compared with them, and so has their unit: it may lie anywhere among them,
however far off it began.
"""

from __future__ import annotations

import numpy as np

from ..tracing.primitives import NoRule
from .quadratic import needed_for, values_of
from .reading import Reading

Vector = np.ndarray

# Operations that a parameter and the data it has the unit of enter side by side.
SUMS = frozenset({"sub", "add", "add_any"})
COMPARISONS = frozenset({"lt", "le", "gt", "ge", "max", "min"})

# Fewer numbers are no data.
FEWEST_DATA = 8

# A slope of one, but for rounding.
SAME = 1e-9


def locations_of(reading: Reading) -> dict[int, tuple[float, float]]:
    """For each parameter that stands beside data alone, the smallest and the largest of them.

    >>> import jax
    >>> t = np.linspace(0.0, 50.0, 11)
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: (x[0] * jax.numpy.exp(-((t - x[1]) / x[2]) ** 2)).sum())(np.zeros(3))
    >>> locations_of(Reading(jaxpr))
    {1: (0.0, 50.0)}
    """
    beside = []
    for equation in reading.equations:
        name = equation.primitive.name
        if name not in SUMS | COMPARISONS:
            continue
        first, second = equation.invars
        for operand, data in ((first, second), (second, first)):
            if reading.depends(operand) and not reading.depends(data) and data.aval.size >= FEWEST_DATA:
                beside.append((operand, data, -1.0 if name in ("add", "add_any") else 1.0))
    if not beside:
        return {}
    operands = list(dict.fromkeys(operand for operand, _, _ in beside))
    needed = needed_for(reading, operands)
    # Places at which no two parameters are alike, nor any of them a number that a cost would hold.
    x = np.modf(0.6180339887 * np.arange(1, reading.n + 1))[0] + 1.0
    try:
        here = values_of(reading, needed, x)
        slopes = []
        for i in range(reading.n):
            place = x.copy()
            place[i] += 1.0
            there = values_of(reading, needed, place)
            slopes.append(
                {a: np.asarray(there[a], dtype=float) - np.asarray(here[a], dtype=float) for a in operands}
            )
    except (NoRule, ValueError, TypeError):
        return {}
    found: dict[int, tuple[float, float]] = {}
    for operand, data, sign in beside:
        numbers = reading.constant(data)
        if numbers is None:
            continue
        low, high = float(np.min(numbers)), float(np.max(numbers))
        if not (np.isfinite([low, high]).all() and low < high):
            continue
        moves = np.stack([np.ravel(slope[operand]) for slope in slopes])
        alone = np.count_nonzero(moves, axis=0) == 1
        for i in np.flatnonzero(moves.any(axis=1)).tolist():
            own = moves[i][moves[i] != 0.0]
            if (
                not alone[moves[i] != 0.0].all()
                or np.abs(np.abs(own) - 1.0).max() > SAME
                or (own != own[0]).any()
            ):
                continue
            is_whole = np.abs(
                np.ravel(np.asarray(here[operand], dtype=float))[moves[i] != 0.0] - own[0] * x[i]
            ).max()
            if is_whole > SAME:
                continue
            direction = sign * float(np.sign(own[0]))
            ends = sorted((direction * low, direction * high))
            before = found.get(i, (np.inf, -np.inf))
            found[i] = (min(before[0], ends[0]), max(before[1], ends[1]))
    return found
