"""The user's function, rebuilt so that the names it looks up meet a trace well.

NumPy's own protocols hand most operations on a traced array to us wherever they are written. What they do not
cover are functions that make arrays (`np.zeros`, `np.array`), Python's `sum` and `max`, and `math.exp`. So the
function is run with the same code but with its global names read through an overlay, in which these are
replaced; helper functions met there, in any module, are rebuilt in the same way. Nothing of the user's is
changed: no module is patched, no source is rewritten, and the code object, hence every traceback, is the same.
"""

from __future__ import annotations

import builtins
import copy
import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from . import rules
from .arrays import MadeArray, TracedArray, is_traced, made, memory, plain_numbers
from .draws import drawn, with_a_seed
from .explain import random_numbers
from .jax_functions import JaxCallable, JaxModule
from .marks import CONTAINERS, STEADY_MODULES, UNCHANGED_TYPES
from .mirrors import (
    Mirrored,
    MirrorKind,
    answer_super,
    can_mirror,
    hand_out_replaced,
    mirror_class,
    mirror_instance,
    slots_of,
)
from .ownership import (
    OURS,
    STDLIB,
    is_jax,
    is_library_module,
    is_plain_python,
    is_users_instance,
    written_for_jax,
)
from .reads import Reads
from .replacements import NUMBER_KINDS, REPLACED_BUILTINS, Vectorized, over_lists, replacement_of
from .splines import Interpolator

# What a function that names one of these reads or does is not watched: its trace is not kept.
_IMPURE_NAMES = {
    "print",
    "open",
    "input",
    "eval",
    "exec",
    "globals",
    "locals",
    "vars",
    "id",
    "setattr",
    "__dict__",
}
# Modules of SciPy's that make numbers of numbers, the same each time.
_COMPUTED = ("scipy.signal.", "scipy.linalg.", "scipy.fft.", "scipy.ndimage.")
# Modules whose answers differ from call to call: what was traced with them is not kept.
_CLOCKS = ("time", "datetime", "os", "random", "secrets", "uuid")


class Lookalike:
    """One rebuilt function; `reads` are the outside values that it reads while it runs."""

    def __init__(self) -> None:
        self.reads = Reads()
        self.seeded = False
        self._memo: dict[int, tuple[Any, Any]] = {}
        self._overlays: dict[int, Overlay] = {}
        self._shared: dict[int, Any] = {}
        self._contents: list[tuple[Any, Any]] = []
        self._builtins = dict(vars(builtins))
        self._builtins.update(REPLACED_BUILTINS, super=answer_super(self.substitute), __import__=self._import)

    def substitute(self, value: Any) -> Any:
        """What the function gets to see instead of `value`; most values are handed on as they are."""
        if type(value) is TracedArray or isinstance(value, (*UNCHANGED_TYPES, MadeArray)):
            return value
        known = self._memo.get(id(value))
        if known is not None:
            return known[1]
        replaced = self._replace(value)
        self._remember(value, replaced)
        return replaced

    def _remember(self, value: Any, replaced: Any) -> None:
        self._memo[id(value)] = (value, replaced)

    def parameters(self, structure: Any) -> Any:
        """The parameters with the methods of the user's own objects among them rebuilt."""
        kind = type(structure)
        if kind is dict:
            return {key: self.parameters(item) for key, item in structure.items()}
        if kind is list or kind is tuple:
            return kind(self.parameters(item) for item in structure)
        if is_users_instance(structure):
            return mirror_instance(structure, self.substitute(kind), self.parameters, None)
        return self.substitute(structure) if kind is types.FunctionType else structure

    def _replace(self, value: Any) -> Any:
        kind = type(value)
        if kind is np.ndarray:
            return made(value, outside=True)
        if kind is types.ModuleType:
            return self._module(value)
        special = replacement_of(value)
        if special is not None:
            return special
        if kind is tuple:
            return tuple(self.substitute(item) for item in value)
        if kind in CONTAINERS:
            self._contents.append((value, copy.copy(value)))
            return value
        if isinstance(value, Mirrored) or (isinstance(value, type) and issubclass(value, Mirrored)):
            return value
        if kind is types.FunctionType:
            return self._function(value)
        if kind is types.MethodType:
            if type(value.__self__).__module__.startswith("scipy.stats."):
                return getattr(self.substitute(value.__self__), value.__name__, value)
            return types.MethodType(self.substitute(value.__func__), self.substitute(value.__self__))
        if kind is functools.partial:
            self.reads.note_attribute(value, "args", value.args)
            self.reads.note_attribute(value, "keywords", value.keywords)
            settings = {key: self.substitute(item) for key, item in value.keywords.items()}
            return functools.partial(
                self.substitute(value.func), *map(self.substitute, value.args), **settings
            )
        if value is np.random.default_rng or value is np.random.RandomState:
            return with_a_seed(value)
        if isinstance(value, (np.random.Generator, np.random.RandomState)):
            return _RandomNumbers(kind.__name__, value, self)
        if isinstance(value, np.ufunc):
            return value
        if kind.__name__ == "SuperLU":
            from .sparse import Factorised

            return Factorised.of_scipy(value)
        if kind is types.BuiltinMethodType and type(value.__self__).__name__ == "SuperLU":
            return getattr(self.substitute(value.__self__), value.__name__)
        if kind is np.vectorize:
            return Vectorized(self.substitute(value.pyfunc), value)
        if kind is type(np.sum) and value in rules.FUNCTIONS:
            return over_lists(value)
        if is_jax(value):
            if isinstance(getattr(value, "__wrapped__", None), types.FunctionType):
                if not str(value.__module__).startswith("jax"):
                    self.reads.watch(value)  # a function of the user's, jitted
            return JaxCallable(value) if callable(value) and not isinstance(value, type) else value
        wrapped = getattr(value, "__wrapped__", None) if hasattr(value, "cache_info") else None
        if isinstance(wrapped, types.FunctionType):
            return self.substitute(wrapped)  # functools.lru_cache must not keep traced values
        plain = getattr(value, "py_func", None)
        if isinstance(plain, types.FunctionType):
            return self.substitute(plain)  # numba keeps the Python function beside the compiled one
        if isinstance(value, type):
            return self._class(value)
        if kind.__name__ == "Rotation" and kind.__module__.startswith("scipy.spatial."):
            from .rotations import turn_of

            return turn_of(value)
        if kind.__module__.startswith(("scipy.sparse.", "scipy.stats.")):
            from .scipy_objects import of_scipy

            found = of_scipy(value, self.substitute, lambda: self.seeded)
            return value if found is None else found
        if kind.__module__.startswith("scipy.interpolate.") and callable(value):
            return Interpolator(value)
        if is_users_instance(value):
            return self._instance(value)
        return value

    def _module(self, module: types.ModuleType) -> Any:
        top = module.__name__.partition(".")[0]
        if top in ("jax", "jaxlib"):
            return JaxModule(module)
        if top in _CLOCKS:
            self.reads.cacheable = False
        if top == "random":
            return _RandomNumbers("random", module, self)
        if top in ("numpy", "math", "scipy") or top not in STDLIB | {OURS}:
            return ModuleLookalike(module, self)
        return module

    def _function(self, function: types.FunctionType) -> Any:
        module = (function.__module__ or "").partition(".")[0]
        if module in ("jax", "jaxlib"):
            return JaxCallable(function)
        if str(function.__globals__.get("__name__", "")).startswith(
            "jax."
        ):  # jax.grad, jax.vmap of the user's
            self.reads.watch(function)
            return JaxCallable(function)
        if (
            (module == "numpy" and not is_plain_python(function))
            or module == OURS
            or (module in STDLIB and module != "__main__")
        ):
            return function
        if written_for_jax(function):
            self.reads.watch(function)
            return JaxCallable(function)
        if str(function.__module__).startswith(_COMPUTED):
            return self._of_numbers(function)
        return self.rebuild(function)

    def _of_numbers(self, function: types.FunctionType) -> Callable[..., Any]:
        """A function of SciPy's: itself where all it is given is numbers, else followed as it is written."""
        followed = self.rebuild(function)

        @functools.wraps(function)
        def call(*args: Any, **settings: Any) -> Any:
            if _all_plain(args) and _all_plain(settings):
                return _seen(function(*plain_numbers(args), **plain_numbers(settings)))
            return followed(*args, **settings)

        return call

    def rebuild(self, function: types.FunctionType) -> types.FunctionType:
        """The same code, reading its globals and closure through this look-alike."""
        if _IMPURE_NAMES.intersection(function.__code__.co_names):
            self.reads.cacheable = False
        self.reads.note_attribute(function, "__code__", function.__code__)
        cells = function.__closure__ or ()
        new_cells = tuple(types.CellType() for _ in cells)
        rebuilt = types.FunctionType(
            function.__code__, self._overlay(function.__globals__), function.__name__, None, new_cells
        )
        self._memo[id(function)] = (function, rebuilt)  # before its closure is read: it may hold itself
        fresh = []
        for cell, new in zip(cells, new_cells, strict=True):
            fresh.append(self._cell(cell, new))
        if any(kept is cell for kept, cell in zip(fresh, cells, strict=True)):
            # A cell whose content needs no replacing is shared, so that `nonlocal` counters still count.
            rebuilt = types.FunctionType(
                function.__code__, self._overlay(function.__globals__), function.__name__, None, tuple(fresh)
            )
            self._memo[id(function)] = (function, rebuilt)
        rebuilt.__qualname__ = function.__qualname__
        rebuilt.__dict__.update(function.__dict__)
        for name, value in vars(function).items():
            self.reads.note(vars(function), vars(function).__getitem__, name, value)
        if function.__defaults__:
            self.reads.note_attribute(function, "__defaults__", function.__defaults__)
            rebuilt.__defaults__ = tuple(self.substitute(value) for value in function.__defaults__)
        if function.__kwdefaults__:
            self.reads.note_attribute(function, "__kwdefaults__", function.__kwdefaults__)
            rebuilt.__kwdefaults__ = {k: self.substitute(v) for k, v in function.__kwdefaults__.items()}
        return rebuilt

    def _cell(self, cell: types.CellType, new: types.CellType) -> types.CellType:
        try:
            content = cell.cell_contents
        except ValueError:
            return cell  # still empty
        self.reads.note_attribute(cell, "cell_contents", content)
        replaced = self.substitute(content)
        if replaced is content:
            return cell
        new.cell_contents = replaced
        return new

    def _overlay(self, namespace: dict[str, Any]) -> Overlay:
        overlay = self._overlays.get(id(namespace))
        if overlay is None:
            overlay = self._overlays[id(namespace)] = Overlay(namespace, self, self._builtins)
        return overlay

    def _class(self, kind: Any) -> Any:
        """The user's class with its methods rebuilt; any other class as it is."""
        number = NUMBER_KINDS.get(kind)
        if number is not None:
            return number
        if not can_mirror(kind) or is_library_module(kind.__module__) or is_jax(kind):
            return kind
        for ancestor in kind.__mro__[:-1]:
            for name, member in vars(ancestor).items():
                if not name.startswith("__"):
                    self.reads.note(ancestor, vars(ancestor).__getitem__, name, member)
        mirror = mirror_class(kind, self.substitute, self._remember)
        hand_out_replaced(
            mirror, kind, self._shared, self.substitute, self.reads.note_attribute, self.reads.note_absence
        )
        return mirror

    def _instance(self, value: Any) -> Any:
        """The user's object with its methods rebuilt: an instance of the mirror that shares its attributes."""
        mirror = self.substitute(type(value))
        if mirror is type(value):
            self.reads.cacheable = False
            return value
        rebuilt = mirror_instance(value, mirror, self.substitute, self.reads.note_attribute)
        self._shared[id(rebuilt)] = value
        if hasattr(value, "__dict__"):
            self._contents.append((vars(value), dict(vars(value))))
        return rebuilt

    def _import(
        self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:
        if isinstance(globals, Overlay):
            globals = globals.namespace
        module = __import__(name, globals, locals, fromlist, level)
        return self.substitute(module)

    def settle(self) -> None:
        """Hand on what the function stored in its surroundings; values that belong to the trace are dropped.

        Surroundings are globals, and the lists, dicts and objects it reads.
        """
        for overlay in self._overlays.values():
            overlay.settle()
        for container, before in self._contents:
            if _same_items(container, before):
                continue
            self.reads.cacheable = False
            _drop_traced(container, before)
        for _, mirror in self._memo.values():
            if isinstance(mirror, type) and issubclass(type(mirror), MirrorKind):
                for name, stored in vars(mirror)["_written_by_trace"].items():
                    self.reads.cacheable = False
                    if not is_traced(stored):
                        setattr(vars(mirror)["_original"], name, _settled(stored))
        for rebuilt, value in (
            (r, v) for _, r in self._memo.values() if (v := self._shared.get(id(r))) is not None
        ):
            for name in slots_of(type(value)):
                stored = getattr(rebuilt, name, None)
                if hasattr(value, name) and stored is not self.substitute(getattr(value, name)):
                    self.reads.cacheable = False
                    if not is_traced(stored):
                        object.__setattr__(value, name, _settled(stored))
        self._memo, self._overlays, self._shared, self._contents = {}, {}, {}, []


def _all_plain(value: Any) -> bool:
    """Whether a value is numbers and words only, alone or in lists."""
    if isinstance(value, (list, tuple)):
        return all(map(_all_plain, value))
    if isinstance(value, dict):
        return all(map(_all_plain, value.values()))
    kind = type(value)
    return not is_traced(value) and (
        kind in (np.ndarray, MadeArray)
        or value is None
        or isinstance(value, (bool, int, float, complex, str))
    )


def _seen(found: Any) -> Any:
    """What SciPy made of numbers, as the trace sees it."""
    if type(found) in (tuple, list):
        return type(found)(map(_seen, found))
    return made(found)


class Overlay(dict[str, Any]):
    """A module's global names as the rebuilt functions see them.

    Python reads names from a dict subclass through `__getitem__`, and stores `global` names past it.
    """

    def __init__(self, namespace: dict[str, Any], lookalike: Lookalike, replaced: dict[str, Any]) -> None:
        super().__init__(__builtins__=replaced, __name__=namespace.get("__name__", "__main__"))
        self.namespace = namespace
        self._own = set(self)
        self._lookalike = lookalike

    def __getitem__(self, name: str) -> Any:
        if dict.__contains__(self, name):
            return dict.__getitem__(self, name)
        namespace = self.namespace
        value = namespace[name]
        self._lookalike.reads.note(namespace, namespace.__getitem__, name, value)
        return self._lookalike.substitute(value)

    def settle(self) -> None:
        """Copy the names stored by the function to the module they belong to."""
        for name in set(self) - self._own:
            value = dict.__getitem__(self, name)
            self._lookalike.reads.cacheable = False
            if not is_traced(value):
                self.namespace[name] = _settled(value)


def _settled(value: Any) -> Any:
    """A value that outlives the trace, as plain NumPy."""
    return memory(value) if type(value) is MadeArray else value


def _same_items(container: Any, before: Any) -> bool:
    """Whether a list, dict or set still holds the very objects it did."""
    if len(container) != len(before):
        return False
    if isinstance(container, dict):
        return all(name in container and container[name] is item for name, item in before.items())
    return isinstance(container, set) or all(a is b for a, b in zip(container, before, strict=True))


def _drop_traced(container: Any, before: Any) -> None:
    """Take out what belongs to the trace; an entry it replaced comes back."""
    if isinstance(container, dict):
        for name, item in list(container.items()):
            if not is_traced(item):
                container[name] = _settled(item)
            elif name in before:
                container[name] = before[name]
            else:
                del container[name]
    elif isinstance(container, list):
        container[:] = [_settled(item) for item in container if not is_traced(item)]
    else:
        kept = [_settled(item) for item in container if not is_traced(item)]
        container.clear()
        (container.update if isinstance(container, set) else container.extend)(kept)


class ModuleLookalike:
    """A module whose functions are replaced where a trace needs it."""

    def __init__(self, module: types.ModuleType, lookalike: Lookalike) -> None:
        self._module = module
        self._lookalike = lookalike

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        if self._module.__name__ == "numpy.random":
            known = name in ("default_rng", "Generator", "RandomState")
            if not known:
                return _RandomNumbers(f"np.random.{name}", value, self._lookalike)
        if self._module.__name__.partition(".")[0] not in STEADY_MODULES:
            self._lookalike.reads.note_attribute(self._module, name, value)
        return self._lookalike.substitute(value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_module", "_lookalike"):
            object.__setattr__(self, name, value)
        else:
            self._lookalike.reads.cacheable = False
            if not is_traced(value):
                setattr(self._module, name, _settled(value))


class _RandomNumbers:
    """A source of random numbers, which a trace may draw from only after the cost itself has set its seed."""

    def __init__(self, name: str, plain: Any, lookalike: Lookalike) -> None:
        self._name = name
        self._plain = plain
        self._lookalike = lookalike

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._plain, name)
        return _RandomNumbers(f"{self._name}.{name}", found, self._lookalike) if callable(found) else found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._name.endswith("seed"):
            self._lookalike.seeded = True
            self._lookalike.reads.cacheable = False
        elif not self._lookalike.seeded:
            raise random_numbers(self._name)
        return drawn(self._plain, *args, **kwargs)
