"""The settings of `train` that are numbers, each checked before anything is read or computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..errors import InputError


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `train` with their numbers as Python's; None stays what it is.

    Raises
    ------
    InputError: one of them is no number, or none that it can be; the message says which it may be.

    >>> checked({"batch_size": np.int64(32), "rate": None, "cost": "anything"})
    {'batch_size': 32, 'rate': None, 'cost': 'anything'}
    """
    return {name: _as_it_may_be(name, value) for name, value in given.items()}


def _as_it_may_be(name: str, value: Any) -> Any:
    if name not in MAY_BE or value is None:
        return value
    kind, fits, words = MAY_BE[name]
    number = _python_number(value, kind)
    if number is None or not fits(number):
        raise InputError(f"{name}={value!r}; give {words}")
    return number


def _python_number(value: Any, kind: type) -> Any:
    """The value as an int or a float, None where it is none; arrays of one number count, True and False do not."""
    value = value.item() if hasattr(value, "item") and np.shape(value) == () else value
    if isinstance(value, bool):
        return None
    if kind is int:
        return int(value) if isinstance(value, Integral) else None
    return value if isinstance(value, Integral) else float(value) if isinstance(value, Real) else None


def _positive(number: float) -> bool:
    return number > 0 and isfinite(number)


def _counts(least: int) -> tuple[type, Callable[[Any], bool], str]:
    return int, lambda number: number >= least, f"a whole number from {least} upwards"


# What each may be. A rate of zero would move nothing, and a whole number given as 2.5 was meant as something else.
MAY_BE: dict[str, tuple[type, Callable[[Any], bool], str]] = {
    "batch_size": _counts(1),
    "steps": _counts(1),
    "accumulate": _counts(1),
    "patience": _counts(1),
    "warmup": _counts(0),
    "seed": _counts(0),
    "epochs": (float, _positive, "a positive number"),
    "seconds": (float, lambda number: number > 0, "a positive number"),
    "rate": (float, _positive, "a positive number (schedule= says how it goes over the run)"),
    "clip": (float, _positive, "a positive number, the largest norm a slope may have"),
    "weight_decay": (float, lambda number: number >= 0 and isfinite(number), "a number from 0 upwards"),
    "ceiling": (float, isfinite, "a finite number, the cost above which the run counts as diverged"),
}
