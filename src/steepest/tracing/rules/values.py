"""Raw values: what a rule sees of the numbers it is given, and how they come to one type and one shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax
import numpy as np
from jax import lax
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ...errors import TracingError
from ..explain import refuse
from ..source import place_here

# A JAX tracer, a NumPy array or scalar, or a Python number.
Value = Any
Shape = tuple[int, ...]
Rule = Callable[..., Any]
Tracer = jax.core.Tracer

# Types that JAX has too; long double and objects have no exact derivative here.
_KNOWN_TYPES = frozenset("?bBhHiIlLqQefdFD")


def refused(what: str, why: str, rewrite: str) -> TracingError:
    """The error for a call that a rule cannot record: where it stands, why, and what to write instead."""
    place = place_here()
    where = f"{place}: " if place else ""
    shown = f"\n    {place.expression}" if place and place.expression else ""
    return refuse(TracingError(f"{where}{what} {why}.{shown}\n{rewrite}"))


def unsupported(name: str, **settings: Any) -> None:
    """Raise if a keyword that a rule does not follow was given."""
    for keyword, value in settings.items():
        if keyword == "out":
            if value is not None:
                raise refused(f"np.{name}(..., out=...)", "cannot be traced", "Assign the result instead.")
        elif keyword == "where" and (value is True or value is np._NoValue):
            continue
        elif keyword == "where":
            raise refused(
                f"np.{name}(..., where=...)",
                "is not followed by a trace",
                f"Write np.where(condition, a, b) around np.{name} instead.",
            )
        elif value is not None and value is not np._NoValue:
            raise refused(f"np.{name}(..., {keyword}=...)", "is not followed by a trace", "Leave it away.")


def is_traced(value: Any) -> bool:
    """Whether the value depends on the parameters."""
    return isinstance(value, Tracer)


def any_traced(value: Any) -> bool:
    """Whether a value, or anything inside a list, tuple or dict of values, depends on the parameters."""
    if isinstance(value, (list, tuple)):
        return any(any_traced(item) for item in value)
    if isinstance(value, dict):
        return any(any_traced(item) for item in value.values())
    return isinstance(value, Tracer)


def as_value(value: Any) -> Value:
    """Anything array-like as a tracer, a NumPy array, or a Python number as it is."""
    if isinstance(value, (Tracer, np.ndarray, np.generic, int, float, complex)):
        if isinstance(value, np.ma.MaskedArray):
            raise refused(
                "A masked array",
                "meets a parameter, and which entries count is not followed",
                "Leave the hidden ones out before: keep = ~y.mask, then y.data[keep] and x[keep].",
            )
        return value
    if isinstance(value, (list, tuple)) and any_traced(value):
        from .creation import build_array

        return build_array(value)
    return np.asarray(value)


def array_value(value: Any) -> Value:
    """Like `as_value`, with Python numbers as NumPy scalars: the result has `shape` and `dtype`."""
    value = as_value(value)
    return np.asarray(value) if isinstance(value, (int, float, complex)) else value


def shape_of(value: Value) -> Shape:
    """Shape of a raw value."""
    return () if isinstance(value, (int, float, complex)) else tuple(value.shape)


def dtype_of(value: Value) -> np.dtype[Any]:
    """NumPy type of a raw value, Python numbers taken as NumPy's default of their kind."""
    found = getattr(value, "dtype", None)
    return known_type(np.dtype(found if found is not None else type(value)))


def known_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type itself; raises `TracingError` for one that cannot be differentiated."""
    if dtype.char not in _KNOWN_TYPES:
        raise refused(
            f"An array of type {dtype}", "meets a parameter, and has no derivative", "Use dtype=float."
        )
    return dtype


def weak_type(value: Value) -> Any:
    """What NumPy's promotion sees of a value: its type, or `int`, `float`, `complex` for Python's own."""
    found = getattr(value, "dtype", None)
    if found is not None:
        return found
    return np.dtype(bool) if isinstance(value, bool) else type(value)


def result_type(*values: Value) -> np.dtype[Any]:
    """NumPy's common type of the values; Python numbers are weak, as in NumPy 2."""
    return known_type(np.result_type(*(v.dtype if isinstance(v, Tracer) else v for v in values)))


def convert(value: Value, dtype: Any) -> Value:
    """The value in another type, by NumPy's rules of `astype`."""
    dtype = np.dtype(dtype)
    if isinstance(value, Tracer):
        if value.dtype == dtype:
            return value
        if value.dtype.kind == "c" and dtype.kind == "b":
            return lax.ne(value, np.zeros((), value.dtype))
        if value.dtype.kind == "c" and dtype.kind != "c":
            value = lax.real(value)
        return lax.convert_element_type(value, known_type(dtype))
    value = np.asarray(value)
    return value if value.dtype == dtype else value.astype(dtype)


def common(*values: Value) -> list[Value]:
    """The values in NumPy's common type."""
    dtype = result_type(*values)
    return [convert(value, dtype) for value in values]


def broadcast_to(value: Value, shape: Sequence[int]) -> Value:
    """The value repeated to `shape`, by NumPy's broadcasting."""
    shape = tuple(shape)
    mine = shape_of(value)
    if mine == shape:
        return value
    if isinstance(value, (int, float, complex)):
        value = np.asarray(value)
    skipped = len(shape) - len(mine)
    if skipped < 0 or any(a != b and a != 1 for a, b in zip(mine, shape[skipped:], strict=True)):
        raise ValueError(f"cannot broadcast an array of shape {mine} to shape {shape}")
    return lax.broadcast_in_dim(value, shape, tuple(range(skipped, len(shape))))


def aligned(*values: Value) -> list[Value]:
    """The values at one common shape; scalars stay scalars when others set the shape."""
    shapes = [shape_of(value) for value in values]
    shape = np.broadcast_shapes(*shapes)
    return [
        v if s == () or s == shape else broadcast_to(v, shape) for v, s in zip(values, shapes, strict=True)
    ]


def broadcast(*values: Value) -> list[Value]:
    """The values at one common shape, scalars too."""
    shape = np.broadcast_shapes(*map(shape_of, values))
    return [broadcast_to(value, shape) for value in values]


def choose(condition: Value, when_true: Value, when_false: Value) -> Value:
    """`np.where` on values of one type: a plain `select_n`, in which scalars may stand for arrays."""
    if not (is_traced(condition) or is_traced(when_true) or is_traced(when_false)):
        return np.where(condition, when_true, when_false)
    shape = np.broadcast_shapes(shape_of(condition), shape_of(when_true), shape_of(when_false))
    if shape_of(condition) != ():
        condition = broadcast_to(condition, shape)
    return lax.select_n(condition, broadcast_to(when_false, shape), broadcast_to(when_true, shape))


def constant(value: float, like: Value) -> Any:
    """A number as a NumPy scalar of the type of another value."""
    return np.dtype(like.dtype).type(value)


@cache
def type_after(function: Any, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type NumPy gives the result of `function` on an array of type `dtype`, asked of NumPy itself."""
    return np.dtype(function(np.ones(1, dtype)).dtype)


def standin(value: Any) -> Any:
    """A NumPy array of the same shape and type that takes no memory: to ask NumPy about shapes and errors."""
    if isinstance(value, Tracer):
        return np.broadcast_to(np.zeros((), value.dtype), value.shape)
    return value


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes meant by NumPy's `axis` argument: None is all of them."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(int(k) for k in normalize_axis_tuple(axis, ndim, "axis"))


def axis_of(axis: Any, ndim: int) -> int:
    """One axis, counted from the front."""
    return int(normalize_axis_index(axis, ndim))


def safe_sqrt(square: Value) -> Value:
    """Square root whose derivative at zero is 0, the smallest slope there, instead of infinity times zero."""
    zero = lax.eq(square, constant(0, square))
    return choose(zero, constant(0, square), lax.sqrt(choose(zero, constant(1, square), square)))


def real_part(x: Value) -> Value:
    """The real part of a value of either kind."""
    return lax.real(x) if dtype_of(x).kind == "c" else x
