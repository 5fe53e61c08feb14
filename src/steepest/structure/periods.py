"""By what steps along single parameters do the waves in a cost repeat? sin(ωx + φ) does so every 2π/ω."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tracing.primitives import NoRule
from .quadratic import needed_for, values_of
from .reading import Reading

WAVES = frozenset({"sin", "cos"})

# A parameter whose waves have more lengths than this has none in common: in sin(ωt) at many times t every time has
# its own. What is left would be a guess, at the price of an evaluation each.
MOST_LENGTHS = 2

# Two lengths that differ by less than this part are one.
SAME = 1e-9


def periods_of(reading: Reading, degrees: dict[Any, float]) -> tuple[np.ndarray, ...]:
    """For each parameter, (n,) of them, the lengths after which its waves repeat, shortest first; mostly none.

    Only waves whose argument is a straight line in the parameters have a length.

    >>> import jax
    >>> from .degree import degrees
    >>> x = jax.ShapeDtypeStruct((2,), np.float64)
    >>> with jax.enable_x64(True):
    ...     read = Reading(jax.make_jaxpr(lambda x: jax.numpy.sin(np.pi * x[0])**2 + x[1]**2)(x))
    >>> periods_of(read, degrees(read))
    (array([2.]), array([], dtype=float64))
    """
    arguments = [
        equation.invars[0]
        for equation in reading.equations
        if equation.primitive.name in WAVES
        and reading.depends(equation.invars[0])
        and degrees.get(equation.invars[0]) == 1
    ]
    none: tuple[np.ndarray, ...] = (np.empty(0),) * reading.n
    if not arguments:
        return none
    needed = needed_for(reading, arguments)
    try:
        at_zero = _lines(reading, needed, arguments, np.zeros(reading.n))
        slopes = [_lines(reading, needed, arguments, unit) - at_zero for unit in np.eye(reading.n)]
    except (NoRule, ValueError, TypeError):
        return none
    found = []
    for slope in slopes:
        rates = np.abs(slope)
        rates = np.unique(rates[np.isfinite(rates) & (rates > SAME * np.abs(at_zero).max(initial=1.0))])
        if rates.size:
            rates = rates[np.append(np.diff(rates) > SAME * rates[1:], True)]
        found.append(2.0 * np.pi / rates[::-1] if rates.size <= MOST_LENGTHS else np.empty(0))
    return tuple(found)


def _lines(reading: Reading, needed: list[Any], arguments: list[Any], x: np.ndarray) -> np.ndarray:
    """The values of all arguments at `x` (n,), in a row."""
    values = values_of(reading, needed, x)
    return np.concatenate([np.ravel(values[atom]) for atom in arguments])
