"""The user's function, rebuilt so that the names it looks up meet a trace well.

NumPy's own protocols hand most operations on a traced array to us wherever they are written. What they do not
cover are functions that make arrays (`np.zeros`, `np.array`), Python's `sum` and `max`, and `math.exp`. So the
function is run with the same code but with its global names read through an overlay, in which these are
replaced; helper functions met there, in any module, are rebuilt in the same way. Nothing of the user's is
changed: no module is patched, no source is rewritten, and the code object, hence every traceback, is the same.
"""

from __future__ import annotations

import builtins
import collections
import copy
import dataclasses
import functools
import hashlib
import math
import operator
import os
import sys
import types
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from . import rules
from .arrays import (
    MadeArray,
    TracedArray,
    apply_function,
    call_rule,
    is_traced,
    made,
    memory,
    unwrap,
    wrap,
)
from .explain import random_numbers
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

# Arrays up to this size are compared by a hash of their content before a kept trace is used again (64 MiB take
# about 60 ms); larger data are traced anew.
LARGEST_FINGERPRINT = 64 * 2**20
# Arrays up to this many bytes are compared by their content itself, which is faster than a hash.
SMALL = 4096
# Lists and dicts of data with more entries than this are not compared before a kept trace is used again either.
MOST_ENTRIES = 1000

_IMPURE_BUILTINS = {"print", "open", "input", "eval", "exec", "globals", "locals", "vars", "id", "setattr"}
_CONTAINERS = (list, dict, set, collections.defaultdict, collections.deque, collections.OrderedDict)
_FIXED_MEMBERS = (types.FunctionType, property, staticmethod, classmethod, functools.cached_property) + (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
)
_STEADY_MODULES = ("numpy", "math", "scipy", "jax")
# Modules whose answers differ from call to call: what was traced with them is not kept.
_CLOCKS = ("time", "datetime", "os", "random", "secrets", "uuid")
_UNCHANGED_TYPES = (int, float, complex, str, bytes, bool, type(None), np.generic, np.dtype)
# Types whose values cannot change without being replaced.
_FIXED_TYPES = (
    *_UNCHANGED_TYPES,
    *_FIXED_MEMBERS,
    types.BuiltinFunctionType,
    types.CodeType,
    np.ufunc,
)
_STDLIB = frozenset(sys.stdlib_module_names)
_OURS = __name__.partition(".")[0]


class Lookalike:
    """One rebuilt function and everything it reads while it runs.

    `reads` are the outside values the trace depends on; `still_valid()` says whether they are unchanged.
    """

    def __init__(self) -> None:
        self.cacheable = True
        self.seeded = False
        self._reads: dict[tuple[int, Any], tuple[Callable[[Any], Any], Any, Any, Any]] = {}
        # The same column by column: how each is read, by what key, and its value; those (value, mark) that have a mark,
        # and apart from them the records.
        self._columns: tuple[list[Any], ...] = ([], [], [], [], [])
        self._memo: dict[int, tuple[Any, Any]] = {}
        self._overlays: dict[int, Overlay] = {}
        self._shared: dict[int, Any] = {}
        self._contents: list[tuple[Any, Any]] = []
        self._builtins = dict(vars(builtins))
        self._builtins.update(
            sum=_sum,
            max=_largest,
            min=_smallest,
            super=answer_super(self.substitute),
            __import__=self._import,
        )

    # -- reading outside values --------------------------------------------------------------------------

    def note_read(self, owner: Any, read: Callable[[Any], Any], key: Any, value: Any) -> None:
        """Remember that the trace depends on `value = read(key)`, so that it is not used again once that changed."""
        if not self.cacheable or (id(owner), key) in self._reads:
            return
        try:
            mark = None if self._is_followed(value) else mark_of(value)
        except Changeable:
            self.cacheable = False
        else:
            self._reads[id(owner), key] = (read, key, value, mark)

    def note_attribute(self, owner: Any, name: str, value: Any) -> None:
        """Remember that the trace depends on an attribute."""
        self.note_read(owner, functools.partial(getattr, owner), name, value)

    def watch(self, function: Any) -> None:
        """Note all that a function written for JAX could read: its names are not followed while it runs."""
        if (
            not self.cacheable
        ):  # nothing is noted any more, so that functions calling each other would go round
            return
        plain = getattr(function, "__wrapped__", function)
        plain = getattr(plain, "__wrapped__", plain)
        if not isinstance(plain, types.FunctionType):
            self.cacheable = False
            return
        for part in ("__code__", "__defaults__", "__kwdefaults__"):
            self.note_attribute(plain, part, getattr(plain, part))
        namespace = plain.__globals__
        held: list[tuple[Any, Callable[[Any], Any], str]] = [
            (namespace, namespace.__getitem__, name)
            for name in _names_of(plain.__code__)
            if name in namespace
        ]
        held += [
            (cell, functools.partial(getattr, cell), "cell_contents") for cell in plain.__closure__ or ()
        ]
        for owner, read, key in held:
            self._watch_value(owner, read, key, read(key))

    def _watch_value(self, owner: Any, read: Callable[[Any], Any], key: str, value: Any) -> None:
        """Note `value = read(key)` and all that it could read in turn: of a dataclass or a class, by their methods."""
        if not self.cacheable or (id(owner), key) in self._reads:
            return
        if _is_jax(value) or (isinstance(value, type) and not is_fixed(value)):
            self._reads[id(owner), key] = (read, key, value, None)
            wrapped = isinstance(getattr(value, "__wrapped__", None), types.FunctionType)
            if wrapped and not str(value.__module__).startswith("jax"):
                self.watch(value)  # a function of the user's, jitted
            elif isinstance(value, type) and not _is_jax(value):
                self._watch_class(value)
        elif _is_record(value):
            try:
                self._reads[id(owner), key] = (read, key, value, mark_of(value))
            except Changeable:
                self.cacheable = False
            else:
                self._watch_class(type(value))
        else:
            self.note_read(owner, read, key, value)
            if isinstance(value, types.FunctionType):
                self.watch(value)
            elif self._is_followed(value) and not is_fixed(value):
                self.cacheable = False

    def _watch_class(self, made: type) -> None:
        """Note what a class and its ancestors hold, and all that their methods could read; once for each class."""
        if (id(made), "__mro__") in self._reads:
            return
        self._reads[id(made), "__mro__"] = (functools.partial(getattr, made), "__mro__", made.__mro__, None)
        for kind in made.__mro__:
            if kind.__module__.partition(".")[0] in _STDLIB | {"equinox"}:
                continue
            # A name given to it later may hide one of its ancestors'.
            self._reads[id(kind), len] = (len, vars(kind), len(vars(kind)), None)
            for name, member in vars(kind).items():
                method = getattr(member, "fget", None) or getattr(member, "__func__", member)
                if isinstance(method, types.FunctionType):
                    self._reads[id(kind), name] = (vars(kind).__getitem__, name, member, None)
                    if method.__module__ == kind.__module__:
                        self.watch(method)
                elif not name.startswith("__") and name != "_abc_impl":  # Python's own
                    self._watch_value(kind, vars(kind).__getitem__, name, member)

    def _is_followed(self, value: Any) -> bool:
        """Whether what is read through a value is noted by itself, so that only the value's identity counts."""
        if isinstance(value, (types.ModuleType, types.MethodType, functools.partial)) or hasattr(
            value, "cache_info"
        ):
            return True
        return can_mirror(value) if isinstance(value, type) else _is_users_instance(value)

    def still_valid(self) -> bool:
        """Whether everything read during the trace is still what it was."""
        if not self.cacheable:
            return False
        try:
            reads, keys, values, marked, records = self._in_columns()
            # Nearly always all are the very same objects, and a loop outside Python finds that ten times as fast.
            if all(map(operator.is_, map(operator.call, reads, keys), values)):
                unmoved = not records or all(_holds_the_same(value, mark) for value, mark in records)
                return unmoved and (not marked or all(mark_of(value) == mark for value, mark in marked))
            for read, key, value, mark in self._reads.values():
                current = read(key)
                if (current is not value or mark is not None) and not unchanged(current, value, mark):
                    return False
        except (KeyError, ValueError, AttributeError, Changeable):
            return False
        return True

    def _in_columns(self) -> tuple[list[Any], ...]:
        if len(self._columns[0]) != len(self._reads):
            rows = list(self._reads.values())
            reads, keys, values = ([row[k] for row in rows] for k in range(3))
            marked = [(value, mark) for _, _, value, mark in rows if mark is not None]
            records = [pair for pair in marked if _is_plain_record(pair[0])]
            marked = [pair for pair in marked if not _is_plain_record(pair[0])]
            self._columns = (reads, keys, values, marked, records)
        return self._columns

    # -- replacing ---------------------------------------------------------------------------------------

    def substitute(self, value: Any) -> Any:
        """What the function gets to see instead of `value`; most values are handed on as they are."""
        if type(value) is TracedArray or isinstance(value, (*_UNCHANGED_TYPES, MadeArray)):
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
        if _is_users_instance(structure):
            return mirror_instance(structure, self.substitute(kind), self.parameters, None)
        return self.substitute(structure) if kind is types.FunctionType else structure

    def _replace(self, value: Any) -> Any:
        kind = type(value)
        if kind is np.ndarray:
            return made(value, outside=True)
        if kind is types.ModuleType:
            return self._module(value)
        special = _by_identity(value)
        if special is not None:
            return special
        if kind is tuple:
            return tuple(self.substitute(item) for item in value)
        if kind in _CONTAINERS:
            self._contents.append((value, copy.copy(value)))
            return value
        if isinstance(value, Mirrored) or (isinstance(value, type) and issubclass(value, Mirrored)):
            return value
        if kind is types.FunctionType:
            return self._function(value)
        if kind is types.MethodType:
            return types.MethodType(self.substitute(value.__func__), self.substitute(value.__self__))
        if kind is functools.partial:
            self.note_attribute(value, "args", value.args)
            self.note_attribute(value, "keywords", value.keywords)
            settings = {key: self.substitute(item) for key, item in value.keywords.items()}
            return functools.partial(
                self.substitute(value.func), *map(self.substitute, value.args), **settings
            )
        if isinstance(value, (np.random.Generator, np.random.RandomState)):
            return _RandomNumbers(kind.__name__, value, self)
        if isinstance(value, np.ufunc):
            return value
        if kind is np.vectorize:
            return _Vectorized(self.substitute(value.pyfunc), value)
        if kind is type(np.sum) and value in rules.FUNCTIONS:
            return _over_lists(value)
        if _is_jax(value):
            if isinstance(getattr(value, "__wrapped__", None), types.FunctionType):
                if not str(value.__module__).startswith("jax"):
                    self.watch(value)  # a function of the user's, jitted
            return JaxCallable(value) if callable(value) and not isinstance(value, type) else value
        wrapped = getattr(value, "__wrapped__", None) if hasattr(value, "cache_info") else None
        if isinstance(wrapped, types.FunctionType):
            return self.substitute(wrapped)  # functools.lru_cache must not keep traced values
        plain = getattr(value, "py_func", None)
        if isinstance(plain, types.FunctionType):
            return self.substitute(plain)  # numba keeps the Python function beside the compiled one
        if isinstance(value, type):
            return self._class(value)
        if kind.__module__.startswith(("scipy.sparse.", "scipy.stats.")):
            from .scipy_objects import of_scipy

            return of_scipy(value) or value
        if _is_users_instance(value):
            return self._instance(value)
        return value

    def _module(self, module: types.ModuleType) -> Any:
        top = module.__name__.partition(".")[0]
        if top in ("jax", "jaxlib"):
            return JaxModule(module)
        if top in _CLOCKS:
            self.cacheable = False
        if top == "random":
            return _RandomNumbers("random", module, self)
        if top in ("numpy", "math", "scipy") or top not in _STDLIB | {_OURS}:
            return ModuleLookalike(module, self)
        return module

    def _function(self, function: types.FunctionType) -> Any:
        module = (function.__module__ or "").partition(".")[0]
        if module in ("jax", "jaxlib"):
            return JaxCallable(function)
        if str(function.__globals__.get("__name__", "")).startswith(
            "jax."
        ):  # jax.grad, jax.vmap of the user's
            self.watch(function)
            return JaxCallable(function)
        if (
            (module == "numpy" and not _is_plain_python(function))
            or module == _OURS
            or (module in _STDLIB and module != "__main__")
        ):
            return function
        if written_for_jax(function):
            self.watch(function)
            return JaxCallable(function)
        return self.rebuild(function)

    def rebuild(self, function: types.FunctionType) -> types.FunctionType:
        """The same code, reading its globals and closure through this look-alike."""
        if _IMPURE_BUILTINS.intersection(function.__code__.co_names):
            self.cacheable = False
        self.note_attribute(function, "__code__", function.__code__)
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
        if function.__defaults__:
            self.note_attribute(function, "__defaults__", function.__defaults__)
            rebuilt.__defaults__ = tuple(self.substitute(value) for value in function.__defaults__)
        if function.__kwdefaults__:
            self.note_attribute(function, "__kwdefaults__", function.__kwdefaults__)
            rebuilt.__kwdefaults__ = {k: self.substitute(v) for k, v in function.__kwdefaults__.items()}
        return rebuilt

    def _cell(self, cell: types.CellType, new: types.CellType) -> types.CellType:
        try:
            content = cell.cell_contents
        except ValueError:
            return cell  # still empty
        self.note_attribute(cell, "cell_contents", content)
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
        number = _NUMBERS.get(kind)
        if number is not None:
            return number
        if not can_mirror(kind) or _is_library_module(kind.__module__) or _is_jax(kind):
            return kind
        for ancestor in kind.__mro__[:-1]:
            for name, member in vars(ancestor).items():
                if not name.startswith("__"):
                    self.note_read(ancestor, vars(ancestor).__getitem__, name, member)
        mirror = mirror_class(kind, self.substitute, self._remember)
        hand_out_replaced(mirror, kind, self._shared, self.substitute, self.note_attribute)
        return mirror

    def _instance(self, value: Any) -> Any:
        """The user's object with its methods rebuilt: an instance of the mirror that shares its attributes."""
        mirror = self.substitute(type(value))
        if mirror is type(value):
            self.cacheable = False
            return value
        rebuilt = mirror_instance(value, mirror, self.substitute, self.note_attribute)
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
            self.cacheable = False
            _drop_traced(container, before)
        for _, mirror in self._memo.values():
            if isinstance(mirror, type) and issubclass(type(mirror), MirrorKind):
                for name, stored in vars(mirror)["_written_by_trace"].items():
                    self.cacheable = False
                    if not is_traced(stored):
                        setattr(vars(mirror)["_original"], name, _settled(stored))
        for rebuilt, value in (
            (r, v) for _, r in self._memo.values() if (v := self._shared.get(id(r))) is not None
        ):
            for name in slots_of(type(value)):
                stored = getattr(rebuilt, name, None)
                if hasattr(value, name) and stored is not self.substitute(getattr(value, name)):
                    self.cacheable = False
                    if not is_traced(stored):
                        object.__setattr__(value, name, _settled(stored))
        self._memo, self._overlays, self._shared, self._contents = {}, {}, {}, []


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
        self._lookalike.note_read(namespace, namespace.__getitem__, name, value)
        return self._lookalike.substitute(value)

    def settle(self) -> None:
        """Copy the names stored by the function to the module they belong to."""
        for name in set(self) - self._own:
            value = dict.__getitem__(self, name)
            self._lookalike.cacheable = False
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
            return value if known else _RandomNumbers(f"np.random.{name}", value, self._lookalike)
        if self._module.__name__.partition(".")[0] not in _STEADY_MODULES:
            self._lookalike.note_attribute(self._module, name, value)
        return self._lookalike.substitute(value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_module", "_lookalike"):
            object.__setattr__(self, name, value)
        else:
            self._lookalike.cacheable = False
            if not is_traced(value):
                setattr(self._module, name, _settled(value))


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
        if isinstance(result, types.FunctionType) or (_is_jax(result) and callable(result)):
            return JaxCallable(result)
        return wrap(result, names)


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
            self._lookalike.cacheable = False
        elif not self._lookalike.seeded:
            raise random_numbers(self._name)
        return made(self._plain(*args, **kwargs))


# -- what is replaced by identity --------------------------------------------------------------------------


def _sum(items: Any, /, start: Any = 0) -> Any:
    if type(items) is TracedArray:
        return items.sum(axis=0) + start
    collected = list(items)
    if len(collected) > 8 and _all_scalars(collected):
        return (
            call_rule(rules.FUNCTIONS[np.sum], (call_rule(rules.BUILD_ARRAY, (collected,), {}),), {}) + start
        )
    return sum(collected, start)


def _all_scalars(items: list[Any]) -> bool:
    return is_traced(items) and all(np.ndim(getattr(item, "value", item)) == 0 for item in items)


def _extreme(ufunc: np.ufunc, plain: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(plain)
    def extreme(*args: Any, **settings: Any) -> Any:
        items = list(args[0]) if len(args) == 1 else list(args)
        if settings or not is_traced(items):
            return plain(items, **settings)
        return functools.reduce(ufunc, items)

    return extreme


_largest = _extreme(np.maximum, max)
_smallest = _extreme(np.minimum, min)


def _made_by(function: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy function that makes an array: what it makes can be stored into."""

    @functools.wraps(function)
    def make(*args: Any, **kwargs: Any) -> Any:
        return made(function(*args, **kwargs))

    return make


def _array(content: Any, dtype: Any = None, *args: Any, **settings: Any) -> Any:
    """`np.array` and its kin on anything that holds traced values."""
    if not is_traced(content):
        if type(content) is MadeArray:
            content = memory(content)
        return made(np.array(content, dtype, *args, **settings))
    if type(content) is TracedArray or type(content) is MadeArray:
        return content.astype(dtype) if dtype is not None else content.copy()
    if dtype is object:
        held = np.empty(len(content), dtype=object)
        held[:] = content
        return held
    return call_rule(rules.BUILD_ARRAY, (content,), {} if dtype is None else {"dtype": dtype})


def _asarray(content: Any, dtype: Any = None, *args: Any, **settings: Any) -> Any:
    if type(content) is TracedArray or type(content) is MadeArray:
        return content if dtype is None or content.dtype == dtype else content.astype(dtype)
    if type(content) is np.ndarray and not is_traced(content):
        same = np.asarray(content, dtype, *args, **settings)
        return made(same, outside=np.may_share_memory(same, content))
    return _array(content, dtype)


def _over_lists(function: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy function that also takes lists of traced numbers, which NumPy does not ask about."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if is_traced(args) or is_traced(kwargs):
            return apply_function(function, args, kwargs)
        return function(*args, **kwargs)

    return call


def _from_iterable(items: Any, dtype: Any = None, *args: Any, **settings: Any) -> Any:
    collected = list(items)
    if is_traced(collected):
        return call_rule(rules.BUILD_ARRAY, (collected,), {"dtype": dtype})
    return made(np.fromiter(collected, dtype, *args, **settings))


class _Vectorized:
    """`np.vectorize` that calls the function with traced numbers one by one."""

    def __init__(self, pyfunc: Callable[..., Any], plain: Any = None, **settings: Any) -> None:
        self._plain = plain or np.vectorize(pyfunc, **settings)
        self.pyfunc = pyfunc

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._plain.signature is not None or kwargs:
            return self._plain(*args, **kwargs)
        arrays = [_asarray(item) for item in args]
        shape = np.broadcast_shapes(*(np.shape(item) for item in arrays))
        columns = [np.broadcast_to(item, shape).reshape(-1) for item in arrays]
        results = [self.pyfunc(*row) for row in zip(*columns, strict=True)]
        if results and isinstance(results[0], tuple):
            return tuple(_array(list(part)).reshape(shape) for part in zip(*results, strict=True))
        return _array(results).reshape(shape)


class _Side:
    """`np.r_` and `np.c_`, the bracket forms of concatenation."""

    def __init__(self, plain: Any, columns: bool) -> None:
        self._plain = plain
        self._columns = columns

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if not is_traced(parts) or any(isinstance(part, str) for part in parts):
            return made(self._plain[key])
        pieces = [
            np.atleast_1d(_asarray(self._plain[part] if isinstance(part, slice) else part)) for part in parts
        ]
        if not self._columns:
            return np.concatenate(pieces)
        return np.concatenate([part[:, None] if part.ndim == 1 else part for part in pieces], axis=1)


def _number_kind(plain: Any) -> Any:
    """`np.float64` as a type that can also be called with a traced number."""

    class Kind(type):
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, plain)

        def __subclasscheck__(cls, kind: type) -> bool:
            return issubclass(kind, plain)

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            return _asarray(args[0], plain) if is_traced(args) else plain(*args, **kwargs)

    return Kind(plain.__name__, (plain,), {})


_NUMBERS = {plain: _number_kind(plain) for plain in (np.float64, np.float32)}


def _on_numbers(ufunc: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `math`: itself on numbers, NumPy's on traced values."""

    @functools.wraps(plain)
    def call(*args: Any, **kwargs: Any) -> Any:
        return ufunc(*args, **kwargs) if is_traced(args) else plain(*args, **kwargs)

    return call


def _logarithm(x: Any, base: Any = None) -> Any:
    return np.log(x) if base is None else np.log(x) / np.log(base)


def _distance(p: Any, q: Any) -> Any:
    return _root_sum_squares(*(a - b for a, b in zip(p, q, strict=True)))


def _root_sum_squares(*parts: Any) -> Any:
    return functools.reduce(np.hypot, parts)


def _special(name: str) -> Callable[..., Any]:
    def call(x: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(x)

    return call


_MATH: dict[Any, Callable[..., Any]] = {
    math.log: _logarithm,
    math.dist: _distance,
    math.hypot: _root_sum_squares,
    math.fsum: lambda items: _sum(items),
    math.prod: lambda items, *, start=1: functools.reduce(np.multiply, items, start),
    math.pow: np.power,
    math.asin: np.arcsin,
    math.acos: np.arccos,
    math.atan: np.arctan,
    math.atan2: np.arctan2,
    math.asinh: np.arcsinh,
    math.acosh: np.arccosh,
    math.atanh: np.arctanh,
    math.erf: _special("erf"),
    math.erfc: _special("erfc"),
    math.gamma: _special("gamma"),
    math.lgamma: _special("gammaln"),
} | {
    getattr(math, name): getattr(np, name)
    for name in (
        "exp exp2 expm1 log2 log10 log1p sqrt cbrt sin cos tan sinh cosh tanh fabs floor ceil trunc degrees radians "
        "copysign fmod isnan isinf isfinite"
    ).split()
}

_MAKERS = (
    "zeros ones empty full zeros_like ones_like empty_like full_like arange linspace logspace geomspace eye identity "
    "tri diag copy indices loadtxt genfromtxt"
).split()
_PASSED_THROUGH = ("zeros_like", "ones_like", "empty_like", "full_like", "diag", "copy")


def _full(shape: Any, fill_value: Any, dtype: Any = None, **settings: Any) -> Any:
    if is_traced(fill_value):
        filled = np.broadcast_to(fill_value, shape if np.iterable(shape) else (shape,))
        return filled if dtype is None else filled.astype(dtype)
    return made(np.full(shape, fill_value, dtype, **settings))


def _full_like(model: Any, fill_value: Any, dtype: Any = None, **settings: Any) -> Any:
    return _full(np.shape(model), fill_value, dtype or getattr(model, "dtype", None))


def _like(function: Callable[..., Any]) -> Callable[..., Any]:
    """`np.zeros_like` and its kin: of a traced array, an array in memory of the same shape and type."""

    @functools.wraps(function)
    def make(model: Any, *args: Any, **settings: Any) -> Any:
        if type(model) is TracedArray:
            model = np.empty(model.shape, model.dtype)
        return made(function(model, *args, **settings))

    return make


def _build_table() -> dict[int, tuple[Any, Any]]:
    table: dict[int, tuple[Any, Any]] = {}
    for name in _MAKERS:
        function = getattr(np, name)
        if name not in _PASSED_THROUGH:
            table[id(function)] = (function, _made_by(function))
    for name in ("zeros_like", "ones_like", "empty_like"):
        table[id(getattr(np, name))] = (getattr(np, name), _like(getattr(np, name)))
    replaced: dict[Any, Any] = {
        np.array: _array,
        np.asarray: _asarray,
        np.asanyarray: _asarray,
        np.ascontiguousarray: _asarray,
        np.asfortranarray: _asarray,
        np.asarray_chkfinite: _asarray,
        np.fromiter: _from_iterable,
        np.vectorize: _Vectorized,
        np.r_: _Side(np.r_, columns=False),
        np.c_: _Side(np.c_, columns=True),
        np.full: _full,
        np.full_like: _full_like,
        builtins.sum: _sum,
        builtins.max: _largest,
        builtins.min: _smallest,
    }
    replaced |= {plain: _on_numbers(ufunc, plain) for plain, ufunc in _MATH.items()}
    return table | {id(plain): (plain, new) for plain, new in replaced.items()}


_BY_IDENTITY = _build_table()


def _by_identity(value: Any) -> Any:
    entry = _BY_IDENTITY.get(id(value))
    if entry is not None:
        return entry[1]
    module = getattr(value, "__module__", None)
    if isinstance(module, str) and module.startswith("scipy.") and not isinstance(value, (np.ufunc, type)):
        try:
            rule = rules.scipy_rules().get(value)
        except TypeError:
            return None
        if rule is not None:
            return _dispatched(value, rule)
    return None


def _dispatched(function: Callable[..., Any], rule: Callable[..., Any]) -> Callable[..., Any]:
    """A SciPy function written in Python: itself on numbers, its rule on traced values."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if is_traced(args) or is_traced(kwargs):
            return call_rule(rule, args, kwargs)
        return made(function(*args, **kwargs))

    return call


# -- telling values apart ----------------------------------------------------------------------------------


def fingerprint(array: np.ndarray) -> tuple[Any, ...]:
    """An array's type, shape and content, the content of a large one as its hash."""
    if array.nbytes <= SMALL:
        return array.dtype, array.shape, array.tobytes()
    content = np.ascontiguousarray(array)
    return array.dtype, array.shape, hashlib.blake2b(content.data, digest_size=16).digest()


class Changeable(Exception):
    """A value that could change without being noticed: what depends on it must not be kept."""


def mark_of(value: Any, room: int = MOST_ENTRIES) -> Any:
    """What is equal as long as a value is unchanged; None if it cannot change without being replaced.

    Raises `Changeable` for a value that cannot be watched: a large array, an unknown object, a long list.
    """
    if type(value) is TracedArray or type(value) is MadeArray:
        raise Changeable  # the function's own, stored where it reads it again
    if is_fixed(value):
        return None
    kind = type(value)
    if issubclass(kind, np.ndarray) and value.dtype != object and value.nbytes <= LARGEST_FINGERPRINT:
        return fingerprint(value)
    if kind.__module__.startswith("scipy.sparse.") and hasattr(value, "tocoo"):
        triples = value.tocoo()
        return [fingerprint(part) for part in (triples.data, triples.row, triples.col)]
    if kind in _CONTAINERS or kind is tuple:
        items = [*value, *value.values()] if isinstance(value, dict) else list(value)
        if len(items) <= room:
            return [(type(item), id(item), mark_of(item, room - len(items))) for item in items]
    if _is_record(value):
        items = list((_fields_of(value) or {}).values())
        return [(type(item), id(item), mark_of(item, room - len(items))) for item in items]
    raise Changeable


def _is_record(value: Any) -> bool:
    """Whether a value is an instance of a dataclass, all of whose contents can be looked at."""
    kind = type(value)
    return dataclasses.is_dataclass(kind) and not issubclass(kind, type) and _fields_of(value) is not None


def _is_plain_record(value: Any) -> bool:
    """Whether the mark of a value is made of its fields."""
    kind = type(value)
    known = issubclass(kind, np.ndarray) or kind.__module__.startswith("scipy.sparse.")
    return _is_record(value) and not known and kind not in (*_CONTAINERS, tuple)


def _holds_the_same(record: Any, mark: list[tuple[type, int, Any]]) -> bool:
    """Whether a record's mark is still `mark`; what cannot change without being replaced is not looked into."""
    items = (_fields_of(record) or {}).values()
    return len(items) == len(mark) and all(
        type(item) is kind and id(item) == known and (inner is None or mark_of(item) == inner)
        for item, (kind, known, inner) in zip(items, mark, strict=True)
    )


def _fields_of(value: Any) -> dict[str, Any] | None:
    """What `vars` gives, without asking a class that looks up its attributes by Python; None if there is none."""
    try:
        fields: dict[str, Any] = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return fields


def is_fixed(value: Any) -> bool:
    """Whether a value read from outside cannot change without being replaced."""
    kind = type(value)  # an object may make it slow to ask for its class, so that its type is asked
    if kind in _FIXED_TYPES or issubclass(kind, _FIXED_TYPES) or isinstance(value, jax.Array):
        return True
    if kind in (tuple, frozenset):
        return all(map(is_fixed, value))
    if issubclass(kind, types.ModuleType):
        return value.__name__.partition(".")[0] in _STEADY_MODULES
    if issubclass(kind, type):
        return value.__module__ in ("builtins", "numpy")
    return (
        kind.__module__.startswith(("numpy", "scipy.stats."))
        and callable(value)
        and not issubclass(kind, np.ndarray)
    )


def unchanged(current: Any, value: Any, mark: Any) -> bool:
    """Whether `current` is still `value`, whose mark was `mark`."""
    if current is value:
        return mark is None or bool(mark_of(current) == mark)
    if type(current) is not type(value):
        return False
    if mark is None:
        return _equal_constants(current, value)
    return isinstance(value, np.ndarray) and bool(fingerprint(current) == mark)


def _equal_constants(first: Any, second: Any) -> bool:
    return isinstance(first, (int, float, complex, str, bytes, np.generic)) and bool(first == second)


def _is_jax(value: Any) -> bool:
    for module in (getattr(value, "__module__", None), type(value).__module__):
        if isinstance(module, str) and module.partition(".")[0] in ("jax", "jaxlib"):
            return True
    return False


def _names_of(code: types.CodeType) -> set[str]:
    """The names a function's code mentions, in the functions defined inside it too."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names_of(constant)
    return found


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
        _is_jax(value) for value in seen if not isinstance(value, types.ModuleType)
    )
    return uses_jax and "numpy" not in tops


@functools.cache
def _is_library_module(name: str) -> bool:
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None) or ""
    top = name.partition(".")[0]
    return top in _STDLIB - {"__main__"} or top == _OURS or f"{os.sep}site-packages{os.sep}" in file


def _is_users_instance(value: Any) -> bool:
    """Whether a value is an object of a plain class of the user's own, whose methods can be rebuilt."""
    kind = type(value)
    return can_mirror(kind) and not _is_library_module(kind.__module__) and not isinstance(value, np.ndarray)


def _is_plain_python(function: types.FunctionType) -> bool:
    """Whether a NumPy function is Python code that calls only what we follow, without a rule of its own."""
    return (function.__module__ or "").startswith("numpy.polynomial")
