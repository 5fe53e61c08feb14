"""The cost named on the command line: an expression, or a function in a Python file."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import InputError, SteepestError
from .reading import Place

# Where `if`, `for`, `with`, `try` and `match` hold lines of their own, and what makes names that no line shows.
BLOCKS = ("body", "orelse", "finalbody")
MAKERS = frozenset({"globals", "locals", "vars", "exec", "setattr"})

# What names a function in a file; an expression holds neither a colon nor a name that ends in .py.
FILE = re.compile(r"(?P<file>.+\.py)(?::(?P<function>.*))?\Z")


@dataclass(frozen=True)
class NamedCost:
    """A cost, the names of its parameters where they are known, and how it takes them.

    `several`: whether values are given to the parameters one by one, by name or in order. A function of one
    argument takes a number, or all numbers as one array. `file` and `module`: where it was found, if not typed.
    """

    fun: Callable[..., Any] | str
    label: str
    names: tuple[str, ...]
    file: Path | None = None
    module: ModuleType | None = None

    @property
    def several(self) -> bool:
        """Whether there are two named parameters or more."""
        return len(self.names) > 1

    def places(self, typed: Sequence[Place], option: str) -> list[Any]:
        """The places to look at: for one parameter each number typed is a place of its own."""
        places: list[Any] = []
        for place in typed:
            if self.several or place.named or place.brackets:
                places.append(self.start(place, option))
            else:
                places += list(place.ordered)
        return places

    def start(self, place: Place, option: str) -> Any:
        """One place as parameters: a number, an array, or a dict of values by name."""
        if place.named:
            return self._by_name(place.named, option)
        if self.several:
            if len(place.ordered) != len(self.names):
                raise InputError(
                    f"{option}: {self.label} has {len(self.names)} parameters ({', '.join(self.names)}), and "
                    f"{len(place.ordered)} value{' stands' if len(place.ordered) == 1 else 's stand'} there"
                )
            return dict(zip(self.names, place.ordered, strict=True))
        if len(place.ordered) == 1 and not place.brackets:
            return place.ordered[0]
        if self.file is None:
            raise InputError(f"{option}: {self.label} has one parameter, {self.names[0]}")
        import numpy as np

        return np.array(place.ordered)

    def _by_name(self, named: dict[str, float], option: str) -> Any:
        if self.file is not None and len(self.names) <= 1 and tuple(named) != self.names:
            return dict(named)  # a function of one argument that takes a dict
        unknown = [name for name in named if name not in self.names]
        missing = [name for name in self.names if name not in named]
        if unknown:
            raise InputError(
                f"{option}: {self.label} has no parameter {unknown[0]!r}; it has {', '.join(self.names)}"
            )
        if missing:
            raise InputError(f"{option}: no value for {', '.join(missing)}")
        if not self.several:
            return named[self.names[0]]
        return {name: named[name] for name in self.names}


def read_cost(text: str) -> NamedCost:
    """The cost that `EXPR` or `FILE.py:FUNC` names.

    Raises:
        InputError: the file or the function does not exist, or the file fails while it is run.
        ExpressionError: the expression does not follow the grammar.
    """
    text = text.strip()
    match = FILE.match(text)
    if match is None:
        from ..tracing.expressions import parse

        expression = parse(text)
        return NamedCost(text, expression.text, expression.names)
    path = Path(match["file"]).expanduser()
    module = load(path)
    function = function_of(module, match["function"] or "", path)
    label = f"{path.name}:{match['function']}"
    return NamedCost(function, label, _parameter_names(function), path.resolve(), module)


def cost_of_certificate(certificate: Mapping[str, Any], folder: Path, named: str | None) -> NamedCost:
    """The cost a certificate speaks of: the one `named`, or the one it names, unchanged since.

    A file is looked for beside the certificate and in the current folder, and run only if its hash is the one
    the certificate gives.
    """
    if named is not None:
        return read_cost(named)
    told = certificate["cost"]
    if "expression" in told:
        return read_cost(told["expression"])
    path = _unchanged(
        told, "the certificate's cost", folder, "--cost {path}:{function}", "--cost FILE.py:FUNC"
    )
    return read_cost(f"{path}:{told['function']}")


def constraints_of_certificate(certificate: Mapping[str, Any], folder: Path) -> list[Any] | None:
    """The constraints a certificate carries, as `minimize` takes them; None where it carries none.

    Files are found as `cost_of_certificate` finds that of the cost.
    """
    from ..verdict.carried_constraints import read_again

    in_python = "steepest.recheck.recheck(certificate, cost, constraints=...)"
    modules: dict[Path, ModuleType] = {}

    def function(told: Mapping[str, Any]) -> Callable[..., Any]:
        path = _unchanged(told, "a constraint of the certificate", folder, in_python, in_python)
        if path not in modules:
            modules[path] = load(path)
        return function_of(modules[path], str(told["function"]), path)

    told = certificate.get("constraints")
    return read_again(told, function) if told else None


def _unchanged(told: Mapping[str, Any], what: str, folder: Path, as_it_is: str, otherwise: str) -> Path:
    """The file of a function that a certificate names, beside it or in the current folder, with the hash it gives.

    Where there is none, `as_it_is` and `otherwise` say what to do with a changed file and with a missing one.
    """
    from ..verdict.naming import found_again, source_hash

    function, name = str(told.get("function")), str(told.get("file"))
    if not found_again(told):
        raise InputError(f"{what}, {function}, cannot be found again by its name; give it with {otherwise}")
    path = next((place / name for place in (folder, Path()) if (place / name).is_file()), None)
    if path is None:
        raise InputError(f"{what} is in {name}, which is not here; give it with {otherwise}")
    if source_hash(path) != told.get("sha256"):
        raise InputError(
            f"{name} has changed since the certificate was written; to judge the point by it as it is now, say "
            + as_it_is.format(path=path, function=function)
        )
    return path


def function_in(text: str, what: str = "cost") -> tuple[Callable[..., Any], Path]:
    """The function that `FILE.py:FUNC` names, and its file.

    Raises:
        InputError: the file or the function does not exist, or the file fails while it is run.
    """
    match = FILE.match(text.strip())
    if match is None:
        raise InputError(f"{text}: name a function in a file, FILE.py:FUNC")
    path = Path(match["file"]).expanduser()
    return function_of(load(path), match["function"] or "", path, what), path.resolve()


def load(path: Path) -> ModuleType:
    """Run a Python file as a module of its own name, its folder searched first for what it imports."""
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    name = (
        path.stem
        if path.stem.isidentifier() and path.stem not in sys.modules
        else f"user_{abs(hash(path.stem))}"
    )
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        with in_file(path.resolve()):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(folder)
    return module


def function_of(module: ModuleType, name: str, path: Path, what: str = "cost") -> Callable[..., Any]:
    """The function of that name in a file that was run; raises `InputError` where it has none, with those it has."""
    found = getattr(module, name, None) if name else None
    if callable(found):
        return found
    if found is not None:
        raise InputError(f"{path}: {name} is no function: its type is {type(found).__name__}")
    own = [
        key
        for key, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__
    ]
    raise _no_function(name, own, path, what)


def _no_function(name: str, own: Sequence[str], path: Path, what: str) -> InputError:
    """What to say where a file has no function `name`, but its `own`."""
    if not name:
        likely = next((key for key in own if key == what), own[0] if own else "NAME")
        return InputError(f"{path}: say which function is the {what}, for instance {path}:{likely}")
    import difflib

    near = difflib.get_close_matches(name, own, n=1)
    meant = f"did you mean {near[0]}? " if near else ""
    return InputError(f"{path} has no function {name!r}; {meant}it has {', '.join(own) if own else 'none'}")


def check_written(text: str) -> None:
    """Refuse FILE.py:FUNC where the file is seen not to define the name; it is read and not run.

    Raises:
        InputError: there is no such file, it cannot be parsed, or no line of it makes the name.
    """
    match = FILE.match(text.strip())
    assert match is not None
    path, name = Path(match["file"]).expanduser(), match["function"] or ""
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    with in_file(path.resolve()):
        tree = ast.parse(path.read_bytes(), str(path))
    own, others = _written(tree.body)
    # A star may bring any name; which ones is known when the file is run.
    if not name or not {name, "*"} & {*own, *others}:
        raise _no_function(name, own, path, "cost")


def _written(lines: Sequence[ast.stmt]) -> tuple[list[str], list[str]]:
    """The functions that the lines of a file define, in order, and the other names they make; "*" for any."""
    own: list[str] = []
    others: list[str] = []
    for line in lines:
        if isinstance(line, ast.FunctionDef | ast.AsyncFunctionDef):
            own.append(line.name)
            # A function makes names of the file, too: those it calls global, and any name where it is __getattr__.
            others += ["*"] if line.name == "__getattr__" else []
            for node in ast.walk(line):
                others += node.names if isinstance(node, ast.Global) else []
                others += ["*"] if isinstance(node, ast.Name) and node.id in MAKERS else []
        elif isinstance(line, ast.ClassDef):
            others.append(line.name)
        elif isinstance(line, ast.Import | ast.ImportFrom):
            others += [(name.asname or name.name).split(".")[0] for name in line.names]
        else:
            blocks = [line, *getattr(line, "handlers", ()), *getattr(line, "cases", ())]
            inner = [one for block in blocks for part in BLOCKS for one in getattr(block, part, ())]
            functions, rest = _written(inner)
            own += functions
            names = [node for node in ast.walk(line) if isinstance(node, ast.Name)]
            made = [node.id for node in names if isinstance(node.ctx, ast.Store)]
            others += [*rest, *made, *("*" for node in names if node.id in MAKERS)]
    return own, others


def _parameter_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """The required arguments of a function; none where they cannot be told."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(item.name for item in parameters if item.kind in kinds and item.default is item.empty)


@contextmanager
def in_file(path: Path | None) -> Iterator[None]:
    """Turn an exception raised by the user's file into an `InputError` with its line; ours tell it already."""
    try:
        yield
    except SteepestError:
        raise
    except Exception as error:
        if path is None:
            raise
        where = _line_of(error, path)
        if where is None:
            raise
        line, source = where
        quoted = f"\n    {source.strip()}" if source.strip() else ""
        raise InputError(
            f"{path.name}, line {line}: {type(error).__name__}: {_first_line(error)}{quoted}"
        ) from error


def _line_of(error: Exception, path: Path) -> tuple[int, str] | None:
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).resolve() == path:
        return error.lineno or 0, error.text or ""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).resolve() == path
    ]
    return (frames[-1].lineno or 0, frames[-1].line or "") if frames else None


def _first_line(error: Exception) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return (text.splitlines() or [""])[0]
