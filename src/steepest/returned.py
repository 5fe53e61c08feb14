"""What a user's function returned, as real numbers; or an error that says what it returned instead."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import InputError


def check_kind(kind: str, value: Any, label: str) -> None:
    """Raise `InputError` where `value`, whose dtype is of this `kind`, is nothing, complex or no number."""
    if value is None:
        raise InputError(f"{label} returns nothing; end it with `return` and its value")
    if kind == "c":
        raise InputError(
            f"{label} returns complex numbers; only real ones can be compared: take np.abs(...)**2 or .real of them"
        )
    if kind not in "fiub":
        raise InputError(
            f"{label} returns {type(value).__name__}, which is no number; end it with `return` and its value"
        )


def ragged(value: Any, label: str) -> InputError:
    """The error of a tuple or list whose parts make no array."""
    shapes = ", ".join(str(np.shape(part)) if np.ndim(part) else "a number" for part in value)
    return InputError(
        f"{label} returns a {type(value).__name__} of {len(value)} parts of different shapes ({shapes}); return one "
        "array, such as np.concatenate(...) of them, or its value alone"
    )


def numbers(value: Any, label: str) -> np.ndarray:
    """The value of a function that is called as it is: a new array of float64, of its shape.

    >>> numbers([1, 2.5], "model")
    array([1. , 2.5])
    >>> numbers(None, "model")
    Traceback (most recent call last):
    steepest.errors.InputError: model returns nothing; end it with `return` and its value
    """
    if type(value) is np.ndarray and value.dtype.kind == "f":
        return np.array(value, dtype=np.float64)
    try:
        found = np.asarray(value)
    except ValueError:
        raise ragged(value, label) from None
    if found.dtype.kind == "O" and value is not None:
        try:
            return np.array(value, dtype=np.float64)
        except (TypeError, ValueError):
            pass
    check_kind(found.dtype.kind, value, label)
    return np.array(found, dtype=np.float64)


def residuals(value: Any, label: str) -> np.ndarray:
    """The values, (m,), of a function of at least one that is called as it is."""
    found = numbers(value, label).ravel()
    check_some(found.shape, label)
    return found


def check_some(shape: tuple[int, ...], label: str) -> None:
    """Raise `InputError` where an array of this shape holds no residual."""
    if 0 in shape:
        raise InputError(f"{label} returns no residual: its array has shape {shape}")
