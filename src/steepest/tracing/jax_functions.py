"""JAX's own modules and functions as a function written for NumPy calls them."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

from .arrays import unwrap, wrap
from .mirrors import Mirrored
from .ownership import is_jax


class JaxModule:
    """A JAX module, seen from code that mixes it with NumPy."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        if isinstance(value, types.ModuleType):
            return JaxModule(value)
        return JaxCallable(value) if callable(value) and not isinstance(value, type) else value


class JaxCallable:
    """A JAX function, or one written for JAX: look-alikes go in as JAX values and its results come out wrapped."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the function, wrapped again."""
        names: set[str] = set()
        args = tuple(self._lower(item, names) for item in unwrap(args, names))
        kwargs = {key: self._lower(item, names) for key, item in unwrap(kwargs, names).items()}
        return self._lift(self._function(*args, **kwargs), frozenset(names))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._function, name)
        return JaxCallable(value) if callable(value) and not isinstance(value, type) else value

    def _lower(self, item: Any, names: set[str]) -> Any:
        if isinstance(item, JaxCallable):
            return item._function
        if isinstance(item, Mirrored) and hasattr(item, "__dict__"):
            plain = object.__new__(type(item).__dict__["_original"])
            plain.__dict__.update({name: unwrap(value, names) for name, value in vars(item).items()})
            return plain
        if not isinstance(item, types.FunctionType):
            return item

        @functools.wraps(item)
        def lowered(*args: Any, **kwargs: Any) -> Any:
            seen = frozenset(names)
            lifted = {key: wrap(value, seen) for key, value in kwargs.items()}
            return unwrap(item(*wrap(args, seen), **lifted), names)

        return lowered

    def _lift(self, result: Any, names: frozenset[str]) -> Any:
        if isinstance(result, types.FunctionType) or (is_jax(result) and callable(result)):
            return JaxCallable(result)
        return wrap(result, names)
