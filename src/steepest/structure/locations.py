"""Places along the data: parameters that a cost compares with numbers it is given, as the place of a peak or a step is.

Such a parameter is subtracted from data, or compared with them, and so has their unit: it may lie anywhere among them,
however far off it began.
"""

from __future__ import annotations

from typing import Any

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


def locations_of(reading: Reading, degrees: dict[Any, float]) -> dict[int, tuple[float, float]]:
    """For each parameter that stands beside data alone, the smallest and the largest of them.

    >>> import jax
    >>> from .degree import degrees
    >>> t = np.linspace(0.0, 50.0, 11)
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: (x[0] * jax.numpy.exp(-((t - x[1]) / x[2]) ** 2)).sum())(np.zeros(3))
    >>> read = Reading(jaxpr)
    >>> locations_of(read, degrees(read))
    {1: (0.0, 50.0)}
    """
    beside = []
    for equation in reading.equations:
        name = equation.primitive.name
        if name not in SUMS | COMPARISONS:
            continue
        first, second = equation.invars
        for operand, data in ((first, second), (second, first)):
            if reading.depends(operand) and degrees.get(operand) == 1 and _may_be_data(reading, data):
                beside.append((operand, data, -1.0 if name in ("add", "add_any") else 1.0))
    alone = _alone(reading, list(dict.fromkeys(operand for operand, _, _ in beside))) if beside else {}
    found: dict[int, tuple[float, float]] = {}
    for operand, data, sign in beside:
        numbers = reading.constant(data)
        if numbers is None:
            continue
        low, high = float(np.min(numbers)), float(np.max(numbers))
        if not (np.isfinite([low, high]).all() and low < high):
            continue
        for i, slope in alone.get(operand, ()):
            ends = sorted((sign * slope * low, sign * slope * high))
            before = found.get(i, (np.inf, -np.inf))
            found[i] = (min(before[0], ends[0]), max(before[1], ends[1]))
    return found


def _may_be_data(reading: Reading, atom: Any) -> bool:
    """Whether these are many real numbers that no parameter changes."""
    return not reading.depends(atom) and atom.aval.size >= FEWEST_DATA and atom.aval.dtype.kind != "c"


def _alone(reading: Reading, operands: list[Any]) -> dict[Any, list[tuple[int, float]]]:
    """Of which parameters each of the `operands`, straight lines in them, holds one and its sign, and nothing else."""
    needed = needed_for(reading, operands)
    # A place at which no two parameters are alike, nor any of them a number that a cost would hold.
    x = np.modf(0.6180339887 * np.arange(1, reading.n + 1))[0] + 1.0
    try:
        here = _numbers(reading, needed, operands, x)
        # Of each element: how many parameters move it, the last of those, and its slope by that one.
        movers = [np.zeros(one.size, dtype=int) for one in here]
        last = [np.zeros(one.size, dtype=int) for one in here]
        slopes = [np.zeros(one.size) for one in here]
        for i in range(reading.n):
            place = x.copy()
            place[i] += 1.0
            for k, there in enumerate(_numbers(reading, needed, operands, place)):
                moved = there != here[k]
                movers[k] += moved
                last[k][moved] = i
                with np.errstate(invalid="ignore"):
                    slopes[k][moved] = there[moved] - here[k][moved]
    except (NoRule, ValueError, TypeError):
        return {}
    found: dict[Any, list[tuple[int, float]]] = {}
    for k, operand in enumerate(operands):
        signs = np.sign(slopes[k])
        is_one = (movers[k] == 1) & (np.abs(slopes[k] - signs) <= SAME)
        is_one &= np.abs(here[k] - signs * x[last[k]]) <= SAME
        for i in np.setdiff1d(last[k][is_one], last[k][(movers[k] > 0) & ~is_one]).tolist():
            own = signs[is_one & (last[k] == i)]
            if (own == own[0]).all():
                found.setdefault(operand, []).append((i, float(own[0])))
    return found


def _numbers(reading: Reading, needed: list[Any], operands: list[Any], x: Vector) -> list[Vector]:
    """The elements of all `operands` at `x` (n,), each in a row."""
    with np.errstate(all="ignore"):
        values = values_of(reading, needed, x)
    return [np.ravel(np.asarray(values[operand], dtype=float)) for operand in operands]
