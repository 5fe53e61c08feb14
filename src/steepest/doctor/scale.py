"""Parameters in unlike units, and costs so ill-conditioned that digits are lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..linear_algebra.equilibrate import equilibration
from ..numerics import EPS
from .chart import Chart
from .finding import Finding

# What the cost changes by when each parameter changes by its own size: farther apart than this, steps that suit
# one parameter are nothing to another.
APART = 1e6

# Above this condition number, in natural sizes, more than half the digits of a Newton step are lost.
ILL_CONDITIONED = 1e10

# A constant drowns the cost when its rounding is this part of what the parameters can change.
DROWNED = 1e-8

# The Hessian is looked at up to this many parameters.
MOST = 60


def unlike_sizes(
    gradient: np.ndarray, hessian: np.ndarray, names: Sequence[str], scale: np.ndarray
) -> Iterator[Finding]:
    """Parameters whose own size moves the cost by very different amounts."""
    moves = np.abs(gradient) * scale + np.abs(np.diag(hessian)) * scale**2
    alive = np.flatnonzero(moves > 0)
    if alive.size < 2 or not np.isfinite(moves).all():
        return
    most, least = alive[np.argmax(moves[alive])], alive[np.argmin(moves[alive])]
    ratio = moves[most] / moves[least]
    if ratio > APART:
        units = ", ".join(
            f"{names[k]}: {_unit(hessian[k, k], scale[k]):.0e}" for k in (int(most), int(least))
        )
        yield Finding(
            "unlike scales",
            "warning",
            f"changing {names[int(most)]} by its own size moves the cost {ratio:.0e} times as much as changing "
            f"{names[int(least)]} by its",
            f"Measure the parameters in units in which all matter alike (about {units}), or let method='newton' "
            "do it: it does not care.",
            parameters=(names[int(most)], names[int(least)]),
        )


def _unit(curvature: float, size: float) -> float:
    return float(1.0 / np.sqrt(abs(curvature))) if curvature != 0 else float(size)


def conditioning(hessian: np.ndarray, names: Sequence[str], scale: np.ndarray) -> Iterator[Finding]:
    """A condition number that costs more than half the digits, and whether scaling would mend it."""
    if not np.isfinite(hessian).all() or hessian.shape[0] < 2:
        return
    values = np.linalg.eigvalsh(scale[:, None] * hessian * scale)
    smallest, largest = float(np.abs(values).min()), float(np.abs(values).max())
    if not (largest > 0 and smallest > EPS * 64 * largest and largest / smallest > ILL_CONDITIONED):
        return
    d = equilibration(hessian)
    better = np.abs(np.linalg.eigvalsh(d[:, None] * hessian * d))
    mended = float(better.max() / better.min()) if better.min() > 0 else np.inf
    digits = int(np.log10(largest / smallest) / 2)
    advice = (
        f"Measured in better units it would be {mended:.0e}: divide each parameter by its own unit, "
        + ", ".join(f"{names[k]} by {d[k]:.0e}" for k in range(min(len(names), 4)))
        if mended < 1e-3 * largest / smallest
        else "Two combinations of the parameters do nearly the same: fix one of them, or write the model with fewer"
    )
    yield Finding(
        "ill-conditioned",
        "warning",
        f"the condition number is {largest / smallest:.0e}, so that about {digits} digits of every step are lost",
        f"{advice}.",
    )


def drowned(chart: Chart, gradient: np.ndarray, hessian: np.ndarray, scale: np.ndarray) -> Iterator[Finding]:
    """A large constant in which the changes of the cost drown."""
    moves = float(np.abs(gradient) @ scale + scale @ np.abs(hessian) @ scale)
    reading = chart.reading
    atom: Any = reading.out
    while True:
        equation = reading.producer(atom)
        if equation is None or equation.primitive.name not in ("add", "sub"):
            return
        varying = [a for a in equation.invars if reading.depends(a)]
        constant = [a for a in equation.invars if not reading.depends(a)]
        if len(varying) != 1 or not constant:
            return
        size = float(np.max(np.abs(np.asarray(chart.value(constant[0])))))
        if size * EPS > DROWNED * moves > 0.0:
            yield chart.finding(
                "changes drown in a constant",
                "warning",
                f"a constant of {size:.3g} is added, whose last digit is {size * EPS:.1e}, while changing every "
                f"parameter by its own size moves the cost by {moves:.1e}",
                "Leave the constant out while minimising: it does not move the minimum.",
                equation,
            )
            return
        atom = varying[0]
