"""What a traced function gets to call instead of functions that NumPy's protocols do not cover, told by identity.

These are functions that make arrays (`np.zeros`, `np.array`), Python's `sum` and `max`, `math.exp`, and what SciPy
writes in Python. Each is itself on numbers, and a rule of ours on traced ones.
"""

from __future__ import annotations

import builtins
import functools
import math
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from . import rules
from .arrays import MadeArray, TracedArray, apply_function, as_traced, call_rule, is_traced, made, memory
from .kinds import kind_called
from .numpy_matrices import MATRIX, NumpyMatrix
from .splines import interpolating, interpolator_class


def replacement_of(value: Any) -> Any:
    """What is called in place of `value`; None where that is the value itself."""
    entry = _BY_IDENTITY.get(id(value))
    if entry is not None:
        return entry[1]
    module = getattr(value, "__module__", None)
    if getattr(value, "__name__", "") == "apply_where" and str(module).startswith("scipy."):
        return _apply_where
    if isinstance(module, str) and module.startswith("scipy.interpolate."):
        if isinstance(value, type):
            return interpolator_class(value)
        if isinstance(value, types.FunctionType):
            return interpolating(value)
    if (
        isinstance(module, str)
        and module.startswith("scipy.sparse.")
        and not module.startswith("scipy.sparse.csgraph")
    ):
        from .sparse import CLASSES, matrix_class, sparse_function

        if isinstance(value, type):
            return matrix_class(value) if value.__name__ in CLASSES else None
        return sparse_function(value) if isinstance(value, types.FunctionType) else None
    if isinstance(value, type) and value.__name__ == "Rotation" and str(module).startswith("scipy.spatial."):
        from .rotations import rotation_class

        return rotation_class(value)
    if isinstance(module, str) and module.startswith("scipy.") and not isinstance(value, (np.ufunc, type)):
        try:
            rule = rules.scipy_rules().get(value)
        except TypeError:
            return None
        if rule is not None:
            return _dispatched(value, rule)
    return None


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

# Python's own that are told by their names too.
REPLACED_BUILTINS = {"sum": _sum, "max": _largest, "min": _smallest}


def _made_by(function: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy function that makes an array: what it makes can be stored into."""

    @functools.wraps(function)
    def make(*args: Any, **kwargs: Any) -> Any:
        return made(function(*args, **kwargs))

    return make


def _array(content: Any, dtype: Any = None, *args: Any, **settings: Any) -> Any:
    """`np.array` and its kin on anything that holds traced values."""
    if type(content) is NumpyMatrix:
        content = content.A
    if not is_traced(content):
        if type(content) is MadeArray:
            content = memory(content)
        return made(np.array(content, dtype, *args, **settings))
    if type(content) is TracedArray or type(content) is MadeArray:
        if settings.get("copy", True) in (None, False):
            return _asarray(content, dtype)
        return content.astype(dtype) if dtype is not None else content.copy()
    if dtype is object:
        held = np.empty(len(content), dtype=object)
        held[:] = content
        return held
    return call_rule(rules.BUILD_ARRAY, (content,), {} if dtype is None else {"dtype": dtype})


def _asarray(content: Any, dtype: Any = None, *args: Any, **settings: Any) -> Any:
    if type(content) is NumpyMatrix:
        content = content.A
    if type(content) is TracedArray or type(content) is MadeArray:
        return content if dtype is None or content.dtype == dtype else content.astype(dtype)
    if type(content) is np.ndarray and not is_traced(content):
        same = np.asarray(content, dtype, *args, **settings)
        return made(same, outside=np.may_share_memory(same, content))
    return _array(content, dtype)


def _in_order(order: Any) -> Callable[..., Any]:
    """`np.ascontiguousarray` and its kin: the array itself where it lies in memory so, else a copy that does."""

    def ordered(content: Any, dtype: Any = None, **settings: Any) -> Any:
        array = _asarray(content, dtype)
        if type(array) is MadeArray and not is_traced(array):
            return array if array.flags[order] else made(np.array(memory(array), order=order))
        if type(array) is not TracedArray and type(array) is not MadeArray:
            return array
        whole: Any = as_traced(array) if type(array) is MadeArray else array
        if whole.layout().flags[order]:
            return array
        return whole.copy() if order == "C" else whole.T.copy().T

    return ordered


def over_lists(function: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy function that also takes lists of traced numbers, which NumPy does not ask about."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if function is np.lib.stride_tricks.as_strided or is_traced(args) or is_traced(kwargs):
            return apply_function(function, args, kwargs)
        return function(*args, **kwargs)

    return call


def _from_iterable(items: Any, dtype: Any = None, *args: Any, **settings: Any) -> Any:
    collected = list(items)
    if is_traced(collected):
        return call_rule(rules.BUILD_ARRAY, (collected,), {"dtype": dtype})
    return made(np.fromiter(collected, dtype, *args, **settings))


def _apply_where(
    condition: Any,
    arguments: Any,
    first: Any,
    second: Any = None,
    /,
    *,
    fill_value: Any = None,
    **settings: Any,
) -> Any:
    """SciPy's own choice between two formulas, each of them seeing the arguments that are meant for it, else 1."""
    arguments = arguments if isinstance(arguments, tuple) else (arguments,)
    taken = first(*(np.where(condition, argument, 1.0) for argument in arguments))
    if second is not None:
        fill_value = second(*(np.where(condition, 1.0, argument) for argument in arguments))
    return np.where(condition, taken, fill_value)


class Vectorized:
    """`np.vectorize` that calls the function with traced numbers one by one."""

    def __init__(self, pyfunc: Callable[..., Any], plain: Any = None, **settings: Any) -> None:
        self._plain = plain or np.vectorize(pyfunc, **settings)
        self.pyfunc = pyfunc

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function of each row of numbers; of plain numbers as NumPy does it."""
        if self._plain.signature is not None or kwargs:
            return self._plain(*args, **kwargs)
        whole = {k: item for k, item in enumerate(args) if k in self._plain.excluded}
        arrays = [_asarray(item) for k, item in enumerate(args) if k not in whole]
        shape = np.broadcast_shapes(*(np.shape(item) for item in arrays))
        columns = [np.broadcast_to(item, shape).reshape(-1) for item in arrays]
        results = [self._of(iter(row), len(args), whole) for row in zip(*columns, strict=True)]
        if results and isinstance(results[0], tuple):
            return tuple(_array(list(part)).reshape(shape) for part in zip(*results, strict=True))
        return _array(results).reshape(shape)

    def _of(self, row: Any, count: int, whole: dict[int, Any]) -> Any:
        """The function of one row of numbers, and of the arguments that are taken whole."""
        return self.pyfunc(*(whole[k] if k in whole else next(row) for k in range(count)))


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

    def make(*args: Any, **kwargs: Any) -> Any:
        return _asarray(args[0], plain) if is_traced(args) else plain(*args, **kwargs)

    return kind_called(plain, make, (plain,))


NUMBER_KINDS = {plain: _number_kind(plain) for plain in (np.float64, np.float32)}


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
        np.ascontiguousarray: _in_order("C"),
        np.asfortranarray: _in_order("F"),
        np.lib.stride_tricks.as_strided: over_lists(np.lib.stride_tricks.as_strided),
        np.asarray_chkfinite: _asarray,
        np.fromiter: _from_iterable,
        np.vectorize: Vectorized,
        np.r_: _Side(np.r_, columns=False),
        np.matrix: MATRIX,
        np.asmatrix: MATRIX,
        np.c_: _Side(np.c_, columns=True),
        np.full: _full,
        np.full_like: _full_like,
    }
    replaced |= {getattr(builtins, name): new for name, new in REPLACED_BUILTINS.items()}
    replaced |= {plain: _on_numbers(ufunc, plain) for plain, ufunc in _MATH.items()}
    return table | {id(plain): (plain, new) for plain, new in replaced.items()}


_BY_IDENTITY = _build_table()


def _dispatched(function: Callable[..., Any], rule: Callable[..., Any]) -> Callable[..., Any]:
    """A SciPy function written in Python: itself on numbers, its rule on traced values.

    Where it takes functions, what these read may depend on the parameters too: the rule looks, and gives None if not.
    """
    takes_functions = rule in rules.TAKE_FUNCTIONS

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if takes_functions or is_traced(args) or is_traced(kwargs):
            found = call_rule(rule, args, kwargs)
            if found is not None:
                return found
        return made(function(*args, **kwargs))

    return call
