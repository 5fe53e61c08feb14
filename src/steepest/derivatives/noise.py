"""How much does a cost tremble? The noise of computed values, read from a table of their differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial

import numpy as np

Vector = np.ndarray

# Values in one table: enough for three orders of differences to agree, few enough to be cheap (Moré & Wild
# 2011, section 4 use 7 to 9).
VALUES = 9

# Orders whose noise estimates agree within this factor are past the smooth part (Moré & Wild 2011, eq. 4.3).
AGREEMENT = 4.0

# Values that differ by more than this part of themselves show the trend, not the noise: look closer.
TOO_FAR = 0.1

# Spacings tried before giving up, and the factor between them.
TRIES = 4
SPACING_FACTOR = 100.0


@dataclass(frozen=True)
class Noise:
    """`level`: standard deviation of the noise in a value near the point; `found` whether differences agreed.

    `spacing`: distance between the values it was read from. `values`: how many calls it took.
    """

    level: float
    found: bool
    spacing: float
    values: int


def noise_of_values(values: Vector) -> float | None:
    """Standard deviation of the noise in equally spaced `values` (m,), None where no two orders agree.

    ECnoise of Moré & Wild, "Estimating computational noise" (2011): the k-th differences T of a smooth
    function plus noise of deviation σ satisfy (k!)²/(2k)! · mean(T²) → σ² (eq. 2.3).

    >>> noise_of_values(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])) is None
    True
    """
    m = values.size
    levels, changes = [], []
    differences = np.array(values, dtype=np.float64)
    for k in range(1, m):
        differences = np.diff(differences)
        gamma = factorial(k) ** 2 / factorial(2 * k)
        levels.append(float(np.sqrt(gamma * np.mean(differences**2))))
        changes.append(bool(differences.min() < 0.0 < differences.max()))
    for k in range(m - 3):
        three = levels[k : k + 3]
        if min(three) > 0.0 and max(three) <= AGREEMENT * min(three) and changes[k]:
            return levels[k]
    return None


def noise_of(value: Callable[[Vector], float], x: Vector, direction: Vector, spacing: float) -> Noise:
    """The noise of `value` near `x` (n,), from values along `direction` (n,) that start `spacing` apart.

    The spacing is made larger while values repeat exactly and smaller while they show the trend of the
    function. Where no spacing works the rounding of the value itself is returned with `found` False.
    """
    calls = 0
    centre = np.nan
    tried: set[float] = set()
    steps = np.arange(VALUES) - VALUES // 2
    for _ in range(TRIES):
        tried.add(spacing)
        values = np.array([value(x + k * spacing * direction) for k in steps], dtype=np.float64)
        calls += VALUES
        centre = float(values[VALUES // 2])
        if not np.isfinite(values).all():
            spacing /= SPACING_FACTOR
            continue
        size = float(np.abs(values).max())
        same = int((np.diff(values) == 0.0).sum())
        if same >= VALUES // 2:
            spacing *= SPACING_FACTOR
        else:
            level = noise_of_values(values)
            if level is not None:
                return Noise(level, True, spacing, calls)
            if float(np.ptp(values)) > TOO_FAR * size:
                spacing /= SPACING_FACTOR
            else:
                spacing /= SPACING_FACTOR
        if spacing in tried:
            break
    return Noise(float(np.spacing(abs(centre))) if np.isfinite(centre) else np.nan, False, spacing, calls)
