"""Robust losses: what a residual costs once it is too large to be an error, with slope and bend."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .bounds import Vector
from .errors import InputError
from .numerics import EPS

Rho = Callable[[Vector], tuple[Vector, Vector, Vector]]


def _soft_l1(z: Vector) -> tuple[Vector, Vector, Vector]:
    root = np.sqrt(1.0 + z)
    return 2.0 * (root - 1.0), 1.0 / root, -0.5 / root**3


def _huber(z: Vector) -> tuple[Vector, Vector, Vector]:
    inside = z <= 1.0
    root = np.sqrt(np.where(inside, 1.0, z))
    return (
        np.where(inside, z, 2.0 * root - 1.0),
        np.where(inside, 1.0, 1.0 / root),
        np.where(inside, 0.0, -0.5 / root**3),
    )


def _cauchy(z: Vector) -> tuple[Vector, Vector, Vector]:
    t = 1.0 + z
    return np.log1p(z), 1.0 / t, -1.0 / t**2


def _arctan(z: Vector) -> tuple[Vector, Vector, Vector]:
    t = 1.0 + z * z
    return np.arctan(z), 1.0 / t, -2.0 * z / t**2


# ρ(z), ρ'(z), ρ''(z) of z = (residual / f_scale)², under SciPy's names.
LOSSES: dict[str, Rho | None] = {
    "linear": None,
    "soft_l1": _soft_l1,
    "huber": _huber,
    "cauchy": _cauchy,
    "arctan": _arctan,
}


def loss_of(loss: Any) -> Rho | None:
    """The loss of that name, or a function z ↦ (ρ, ρ', ρ''), as in SciPy; None for plain squares."""
    if callable(loss):

        @functools.wraps(loss)
        def own(z: Vector) -> tuple[Vector, Vector, Vector]:
            value, slope, bend = (np.asarray(part, dtype=np.float64) for part in loss(z))
            return value, slope, bend

        return own
    if loss not in LOSSES:
        raise InputError(
            f"loss={loss!r}; choose one of {', '.join(map(repr, LOSSES))}, or give a function of z = (r/f_scale)² "
            "that returns ρ(z), ρ'(z) and ρ''(z)"
        )
    return LOSSES[loss]


# The bend of a loss must stay positive for its Gauss-Newton model to have a bottom; below this part it is cut.
LEAST_BEND = EPS


def mean_bend(bend: Vector) -> float:
    """The mean of ψ' over the points; where it is not positive, as at no minimum, that of the positive ones."""
    mean = float(bend.mean())
    return mean if mean > 0.0 else float(np.maximum(bend, LEAST_BEND).mean())
