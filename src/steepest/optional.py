"""Import an optional package where it is used, or name the remedy."""

import importlib
from types import ModuleType

from .errors import MissingDependencyError


def optional(name: str, *, feature: str, extra: str) -> ModuleType:
    """Return the module `name`; raise `MissingDependencyError` naming the extra that installs it.

    >>> optional("math", feature="the example", extra="none").pi > 3
    True
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f'{feature} needs the package {name!r}. Install it with: pip install "steepest[{extra}]"'
        ) from error
