"""The user's function, rebuilt so that the names it looks up meet a trace well.

NumPy's own protocols hand most operations on a traced array to us wherever they are written. What they do not
cover are functions that make arrays (`np.zeros`, `np.array`), Python's `sum` and `max`, and `math.exp`. So the
function is run with the same code but with its global names read through an overlay, in which these are
replaced; helper functions met there, in any module, are rebuilt in the same way. Nothing of the user's is
changed: no module is patched, no source is rewritten, and the code object, hence every traceback, is the same.
"""

from __future__ import annotations

import builtins
import functools
import hashlib
import math
import os
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from . import rules
from .arrays import MadeArray, TracedArray, call_rule, is_traced, made, memory, traced_content, unwrap, wrap
from .explain import random_numbers

# Arrays up to this size are compared by a hash of their content before a kept trace is used again (64 MiB take
# about 60 ms); larger data are traced anew.
LARGEST_FINGERPRINT = 64 * 2**20

_IMPURE_BUILTINS = {"print", "open", "input", "eval", "exec", "globals", "locals", "vars", "id", "setattr"}
_UNCHANGED_TYPES = (int, float, complex, str, bytes, bool, type(None), np.generic, np.dtype)
_STDLIB = frozenset(sys.stdlib_module_names)


class Lookalike:
    """One rebuilt function and everything it reads while it runs.

    `reads` are the outside values the trace depends on; `still_valid()` says whether they are unchanged.
    """

    def __init__(self) -> None:
        self.cacheable = True
        self._reads: list[tuple[Callable[[], Any], Any, bytes | None]] = []
        self._memo: dict[int, tuple[Any, Any]] = {}
        self._overlays: dict[int, Overlay] = {}
        self._builtins = dict(vars(builtins))
        self._builtins.update(sum=_sum, max=_largest, min=_smallest, __import__=self._import)

    # -- reading outside values --------------------------------------------------------------------------

    def note_read(self, read_again: Callable[[], Any], value: Any) -> None:
        """Remember that the trace depends on `value`, so that it is not used again once that has changed."""
        if not self.cacheable:
            return
        if isinstance(value, np.ndarray) and value.dtype != object:
            if value.nbytes > LARGEST_FINGERPRINT:
                self.cacheable = False
            else:
                self._reads.append((read_again, value, fingerprint(value)))
        elif is_fixed(value):
            self._reads.append((read_again, value, None))
        else:
            self.cacheable = False

    def still_valid(self) -> bool:
        """Whether everything read during the trace is still what it was."""
        if not self.cacheable:
            return False
        for read_again, value, mark in self._reads:
            try:
                current = read_again()
            except (KeyError, ValueError, AttributeError):
                return False
            if current is not value and not (type(current) is type(value) and _equal_constants(current, value)):
                return False
            if mark is not None and fingerprint(current) != mark:
                return False
        return True

    # -- replacing ---------------------------------------------------------------------------------------

    def substitute(self, value: Any) -> Any:
        """What the function gets to see instead of `value`; most values are handed on as they are."""
        if isinstance(value, _UNCHANGED_TYPES):
            return value
        known = self._memo.get(id(value))
        if known is not None:
            return known[1]
        replaced = self._replace(value)
        self._memo[id(value)] = (value, replaced)
        return replaced

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
        if kind is types.FunctionType:
            return self._function(value)
        if kind is types.MethodType:
            return types.MethodType(self.substitute(value.__func__), self.substitute(value.__self__))
        if kind is functools.partial:
            settings = {key: self.substitute(item) for key, item in value.keywords.items()}
            return functools.partial(self.substitute(value.func), *map(self.substitute, value.args), **settings)
        if isinstance(value, (np.random.Generator, np.random.RandomState)):
            return _RandomNumbers(kind.__name__)
        if isinstance(value, np.ufunc):
            return value
        if _is_jax(value):
            return JaxCallable(value) if callable(value) and not isinstance(value, type) else value
        wrapped = getattr(value, "__wrapped__", None) if hasattr(value, "cache_info") else None
        if isinstance(wrapped, types.FunctionType):
            return self.substitute(wrapped)  # functools.lru_cache must not keep traced values
        plain = getattr(value, "py_func", None)
        if isinstance(plain, types.FunctionType):
            return self.substitute(plain)  # numba keeps the Python function beside the compiled one
        if _is_users_instance(value):
            return self._instance(value)
        return value

    def _module(self, module: types.ModuleType) -> Any:
        top = module.__name__.partition(".")[0]
        if top in ("jax", "jaxlib"):
            return JaxModule(module)
        if top in ("numpy", "math", "scipy") or top not in _STDLIB:
            return ModuleLookalike(module, self)
        return module

    def _function(self, function: types.FunctionType) -> Any:
        module = (function.__module__ or "").partition(".")[0]
        if module in ("jax", "jaxlib"):
            return JaxCallable(function)
        if module == "numpy" or module == __name__.partition(".")[0] or (module in _STDLIB and module != "__main__"):
            return function
        if written_for_jax(function):
            return JaxCallable(function)
        return self.rebuild(function)

    def rebuild(self, function: types.FunctionType) -> types.FunctionType:
        """The same code, reading its globals and closure through this look-alike."""
        if _IMPURE_BUILTINS.intersection(function.__code__.co_names):
            self.cacheable = False
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
            self.note_read(lambda: function.__defaults__, function.__defaults__)
            rebuilt.__defaults__ = tuple(self.substitute(value) for value in function.__defaults__)
        if function.__kwdefaults__:
            self.cacheable = False
            rebuilt.__kwdefaults__ = {k: self.substitute(v) for k, v in function.__kwdefaults__.items()}
        return rebuilt

    def _cell(self, cell: types.CellType, new: types.CellType) -> types.CellType:
        try:
            content = cell.cell_contents
        except ValueError:
            return cell  # still empty
        self.note_read(lambda: cell.cell_contents, content)
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

    def _instance(self, value: Any) -> Any:
        """The user's object with its methods rebuilt: a subclass instance that shares the object's attributes."""
        self.cacheable = False
        kind: Any = type(value)
        substitute = self.substitute

        def __getattribute__(self: Any, name: str) -> Any:
            found = kind.__getattribute__(self, name)
            if name.startswith("__") or name not in kind.__getattribute__(self, "__dict__"):
                return found
            return substitute(found)

        members: dict[str, Any] = {"__getattribute__": __getattribute__, "__module__": kind.__module__}
        for ancestor in reversed(kind.__mro__[:-1]):
            for name, member in vars(ancestor).items():
                if isinstance(member, types.FunctionType) and name not in ("__init__", "__new__", "__getattribute__"):
                    members[name] = self.substitute(member)
                elif isinstance(member, property) and isinstance(member.fget, types.FunctionType):
                    members[name] = property(self.substitute(member.fget), member.fset, member.fdel)
                elif isinstance(member, (staticmethod, classmethod)):
                    members[name] = type(member)(self.substitute(member.__func__))
        try:
            rebuilt = object.__new__(type(kind)(kind.__name__, (kind,), members))
            object.__setattr__(rebuilt, "__dict__", value.__dict__)
        except TypeError:
            return value
        return rebuilt

    def _import(self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if isinstance(globals, Overlay):
            globals = globals.namespace
        module = __import__(name, globals, locals, fromlist, level)
        if name.partition(".")[0] not in ("numpy", "math"):
            self.cacheable = False
        return self.substitute(module)

    def settle_globals(self) -> None:
        """Hand on what the function stored with `global`; values that belong to the trace are dropped."""
        for overlay in self._overlays.values():
            overlay.settle()


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
        self._lookalike.note_read(lambda: namespace[name], value)
        return self._lookalike.substitute(value)

    def settle(self) -> None:
        """Copy the names stored by the function to the module they belong to."""
        for name in set(self) - self._own:
            value = dict.__getitem__(self, name)
            self._lookalike.cacheable = False
            if type(value) is MadeArray and traced_content(value) is None:
                value = memory(value)
            if not is_traced(value):
                self.namespace[name] = value


class ModuleLookalike:
    """A module whose functions are replaced where a trace needs it."""

    def __init__(self, module: types.ModuleType, lookalike: Lookalike) -> None:
        self._module = module
        self._lookalike = lookalike
        if module.__name__.partition(".")[0] not in ("numpy", "math", "scipy"):
            lookalike.cacheable = False

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        if self._module.__name__ == "numpy.random":
            return value if name in ("default_rng", "Generator", "RandomState") else _RandomNumbers(name)
        return self._lookalike.substitute(value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_module", "_lookalike"):
            object.__setattr__(self, name, value)
        else:
            setattr(self._module, name, value)


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
    """A source of random numbers that must not be drawn from during a trace."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        raise random_numbers(f"{self._name}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise random_numbers(f"np.random.{self._name}")


# -- what is replaced by identity --------------------------------------------------------------------------


def _sum(items: Any, /, start: Any = 0) -> Any:
    if type(items) is TracedArray:
        return items.sum(axis=0) + start
    collected = list(items)
    if len(collected) > 8 and _all_scalars(collected):
        return call_rule(rules.FUNCTIONS[np.sum], (call_rule(rules.BUILD_ARRAY, (collected,), {}),), {}) + start
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
    return call_rule(rules.BUILD_ARRAY, (content,), {} if dtype is None else {"dtype": dtype})


def _asarray(content: Any, dtype: Any = None, *args: Any, **settings: Any) -> Any:
    if type(content) is TracedArray or type(content) is MadeArray:
        return content if dtype is None or content.dtype == dtype else content.astype(dtype)
    if type(content) is np.ndarray and not is_traced(content):
        same = np.asarray(content, dtype, *args, **settings)
        return made(same, outside=np.may_share_memory(same, content))
    return _array(content, dtype)


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
    "tri diag copy fromiter indices loadtxt genfromtxt"
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


def fingerprint(array: np.ndarray) -> bytes:
    """A hash of an array's type, shape and content."""
    content = np.ascontiguousarray(array)
    digest = hashlib.blake2b(content.tobytes() if content.nbytes < 4096 else content.data, digest_size=16)
    digest.update(f"{array.dtype}{array.shape}".encode())
    return digest.digest()


def is_fixed(value: Any) -> bool:
    """Whether a value read from outside cannot change without being replaced."""
    if isinstance(value, (*_UNCHANGED_TYPES, types.FunctionType, types.BuiltinFunctionType, np.ufunc)):
        return True
    if isinstance(value, types.ModuleType):
        return value.__name__.partition(".")[0] in ("numpy", "math", "scipy", "jax")
    if type(value) is tuple:
        return all(is_fixed(item) for item in value)
    if isinstance(value, type):
        return value.__module__ in ("builtins", "numpy")
    return type(value).__module__.startswith("numpy") and callable(value) and not isinstance(value, np.ndarray)


def _equal_constants(first: Any, second: Any) -> bool:
    return isinstance(first, (int, float, complex, str, bytes, np.generic)) and bool(first == second)


def _is_jax(value: Any) -> bool:
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
    uses_jax = "jax" in tops or any(_is_jax(value) for value in seen if not isinstance(value, types.ModuleType))
    return uses_jax and "numpy" not in tops



@functools.cache
def _is_library_module(name: str) -> bool:
    module = sys.modules.get(name)
    file = getattr(module, "__file__", None) or ""
    return name.partition(".")[0] in _STDLIB - {"__main__"} or f"{os.sep}site-packages{os.sep}" in file


def _is_users_instance(value: Any) -> bool:
    """Whether a value is an object of a plain class of the user's own, whose methods can be rebuilt."""
    kind = type(value)
    if kind.__module__ == "builtins" or isinstance(value, (type, BaseException, np.ndarray)):
        return False
    if not hasattr(value, "__dict__") or any("__slots__" in vars(ancestor) for ancestor in kind.__mro__[:-1]):
        return False
    return type(kind) is type and not _is_library_module(kind.__module__) and kind.__flags__ & (1 << 9) != 0
