"""Whose a function or value is that the user's function reads: the user's own, a library's, JAX's or Python's."""

from __future__ import annotations

import functools
import os
import sys
import types
from typing import Any

import numpy as np

from .mirrors import can_mirror

# Names of the modules that come with Python.
STDLIB = frozenset(sys.stdlib_module_names)
# The name of our own package.
OURS = __name__.partition(".")[0]


def is_jax(value: Any) -> bool:
    """Whether a value, or its type, comes with JAX."""
    for module in (getattr(value, "__module__", None), type(value).__module__):
        if isinstance(module, str) and module.partition(".")[0] in ("jax", "jaxlib"):
            return True
    return False


def written_for_jax(function: types.FunctionType) -> bool:
    """Whether a function's own names lead to JAX and none of them to NumPy."""
    names = function.__code__.co_names
    seen = [function.__globals__[name] for name in names if name in function.__globals__]
    for cell in function.__closure__ or ():
        try:
            seen.append(cell.cell_contents)
        except ValueError:
            continue
    tops = {value.__name__.partition(".")[0] for value in seen if isinstance(value, types.ModuleType)}
    uses_jax = "jax" in tops or any(
        is_jax(value) for value in seen if not isinstance(value, types.ModuleType)
    )
    return uses_jax and "numpy" not in tops


@functools.cache
def is_library_module(name: str) -> bool:
    """Whether a module is Python's own, ours or an installed package's, and so not the user's."""
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None) or ""
    top = name.partition(".")[0]
    return top in STDLIB - {"__main__"} or top == OURS or f"{os.sep}site-packages{os.sep}" in file


def is_users_instance(value: Any) -> bool:
    """Whether a value is an object of a plain class of the user's own, whose methods can be rebuilt."""
    kind = type(value)
    return can_mirror(kind) and not is_library_module(kind.__module__) and not isinstance(value, np.ndarray)


def is_plain_python(function: types.FunctionType) -> bool:
    """Whether a NumPy function is Python code that calls only what we follow, without a rule of its own."""
    return (function.__module__ or "").startswith("numpy.polynomial")
