"""Import an optional package where it is used, or name the remedy; know what is PyTorch's without it."""

import importlib
import sys
from types import ModuleType
from typing import Any

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


def is_module(params: Any) -> bool:
    """Whether the parameters are a module of PyTorch; PyTorch is not imported to find out."""
    return any(
        kind.__module__.startswith("torch.nn.") and kind.__name__ == "Module" for kind in type(params).__mro__
    )


def is_torch(params: Any) -> bool:
    """Whether the parameters are PyTorch's: a module, a tensor, or a dict or list with a tensor in it."""
    if "torch" not in sys.modules:
        return False
    if is_module(params) or type(params).__module__.partition(".")[0] == "torch":
        return True
    if isinstance(params, dict):
        return any(map(is_torch, params.values()))
    return isinstance(params, (list, tuple)) and any(map(is_torch, params))
