"""The constraints named on the command line: comparisons of expressions, or of functions in a Python file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import InputError
from .costs import NamedCost, function_of, in_file, load

# What names something in a file, within a comparison.
IN_FILE = re.compile(r"(?P<file>[^<>=]+\.py):(?P<name>\w+)")
# What no expression holds.
A_FILE = re.compile(r"\.py\b")


@dataclass(frozen=True)
class NamedConstraints:
    """Constraints as `minimize` takes them, None where there are none, and the `files` that they come from."""

    given: list[Any] | None
    files: tuple[Path, ...] = ()

    @contextmanager
    def in_files(self, cost: NamedCost) -> Iterator[None]:
        """As `in_file`, for the files of the constraints and of the `cost`."""
        with ExitStack() as stack:
            for path in {cost.file, *self.files}:
                stack.enter_context(in_file(path))
            yield


def read_constraints(texts: Sequence[str], cost: NamedCost) -> NamedConstraints:
    """Each of the `texts`: "x + y <= 1", "FILE.py:FUNC >= 0", or FILE.py:NAME, a constraint as Python's are written.

    A file is run once, and not again where the `cost` is in it.

    Raises:
        InputError: the file or the name does not exist, or a function stands there without a comparison.
        ExpressionError: the comparison does not follow the grammar.
    """
    modules: dict[Path, ModuleType] = {}
    if cost.file is not None and cost.module is not None:
        modules[cost.file] = cost.module
    given = [one for text in texts for one in _constraints(text.strip(), modules)]
    return NamedConstraints(given or None, tuple(modules))


def _constraints(text: str, modules: dict[Path, ModuleType]) -> Sequence[Any]:
    from ..constraints.inequality import sides_of
    from ..constraints.reading import listed
    from ..tracing.vocabulary import CONSTANTS, FUNCTIONS

    match = IN_FILE.search(text)
    if match is None and A_FILE.search(text):
        raise InputError(f"--constraint {text}: name a function of the file, as in FILE.py:g >= 0")
    if match is None:
        sides_of(text)  # what cannot be read is told before anything is run
        return (text,)
    path, name = Path(match["file"].strip()).expanduser(), match["name"]
    module = modules.get(path.resolve()) or load(path)
    modules[path.resolve()] = module
    if match[0] == text:
        found = getattr(module, name, None)
        if found is None or callable(found):
            function_of(module, name, path, "constraint")
            raise InputError(
                f'--constraint {text}: say what must hold of {name}, for instance "{text} >= 0" or "{text} == 0"'
            )
        return listed(found)
    # A function may bear a name that means something else in an expression.
    known = f"{name}_" if name in CONSTANTS or name in FUNCTIONS else name
    sides = sides_of(text.replace(match[0], known))
    if sides.expression.text != known:
        raise InputError(
            f"--constraint {text}: compare {name} with numbers; the rest belongs into the function"
        )
    from scipy.optimize import NonlinearConstraint

    return (NonlinearConstraint(function_of(module, name, path, "constraint"), sides.lower, sides.upper),)
