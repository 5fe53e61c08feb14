"""Classes of other libraries that can also be called with traced values, and are themselves to `isinstance`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def kind_called(plain: Any, make: Callable[..., Any], bases: tuple[type, ...] = (), members: Any = ()) -> Any:
    """A stand-in for the class `plain` that `make` is called for; `members` it has instead of those of `plain`."""

    class Kind(type):
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, plain)

        def __subclasscheck__(cls, kind: type) -> bool:
            return issubclass(kind, plain)

        def __call__(cls, *args: Any, **settings: Any) -> Any:
            return make(*args, **settings)

        def __getattr__(cls, name: str) -> Any:
            return getattr(plain, name)

    return Kind(plain.__name__, bases, dict(members))
