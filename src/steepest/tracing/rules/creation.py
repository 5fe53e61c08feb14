"""New arrays: from nested lists that hold traced numbers, from the shape of another array, from ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
from jax import lax

from .ufuncs import UFUNCS, add, multiply, subtract
from .values import (
    Rule,
    Shape,
    Tracer,
    Value,
    any_traced,
    array_value,
    broadcast,
    broadcast_to,
    convert,
    dtype_of,
    is_traced,
    known_type,
    refused,
    shape_of,
    standin,
    unsupported,
)


def build_array(content: Any, dtype: Any = None) -> Value:
    """`np.array(content)` for nested lists and tuples in which some numbers or arrays are traced.

    The numbers are put side by side in one concatenation, runs of constants as one piece.
    Raises ValueError as NumPy does when the nesting is ragged.
    """
    if isinstance(content, Tracer):
        return content if dtype is None else convert(content, dtype)
    if not any_traced(content):
        return np.asarray(content, dtype)
    leaves: list[Any] = []
    shape = _collect(content, leaves, 0)
    if dtype is None:
        dtype = np.result_type(*{_strong_type(leaf) for leaf in leaves})
    dtype = known_type(np.dtype(dtype))
    pieces: list[Any] = []
    run: list[Any] = []
    for leaf in leaves:
        if not isinstance(leaf, Tracer):
            run.append(np.ravel(np.asarray(leaf).astype(dtype)))
            continue
        if run:
            pieces.append(np.concatenate(run))
            run = []
        size = 1
        for length in leaf.shape:
            size *= length
        pieces.append(lax.reshape(convert(leaf, dtype), (size,)))
    if run:
        pieces.append(np.concatenate(run))
    flat = pieces[0] if len(pieces) == 1 else lax.concatenate(pieces, 0)
    return flat if len(shape) == 1 else lax.reshape(flat, shape)


def _strong_type(leaf: Any) -> np.dtype[Any]:
    found = getattr(leaf, "dtype", None)
    return np.dtype(found) if found is not None else np.asarray(leaf).dtype


def _collect(content: Any, leaves: list[Any], depth: int) -> Shape:
    """Append the numbers and arrays of a nested list to `leaves`; returns the shape they make."""
    if not isinstance(content, (list, tuple)):
        leaves.append(content)
        return shape_of(content) if not isinstance(content, (list, tuple)) and _is_number(content) else ()
    shape: Shape | None = None
    for item in content:
        found = _collect(item, leaves, depth + 1)
        if shape is None:
            shape = found
        elif shape != found:
            raise ValueError(
                "setting an array element with a sequence. The requested array has an inhomogeneous shape after "
                f"{depth + 1} dimensions. The detected shape was ({len(content)},) + inhomogeneous part."
            )
    return (len(content), *(shape or ()))


def _is_number(content: Any) -> bool:
    return isinstance(content, (Tracer, np.ndarray, np.generic, int, float, complex))


# -- arrays like another ---------------------------------------------------------------------------------------


def _filled_like(name: str, fill: Rule) -> Rule:
    def rule(
        a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **other: Any
    ) -> Value:
        unsupported(name, **other)
        return fill(shape_of(a) if shape is None else shape, dtype or dtype_of(a))

    return rule


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Value:
    """`np.full_like`."""
    shape = shape_of(array_value(a)) if shape is None else tuple(np.atleast_1d(shape).tolist())
    return broadcast_to(convert(array_value(fill_value), dtype or dtype_of(a)), shape)


def copy(a: Any, order: str = "K", subok: bool = False) -> Value:
    """`np.copy`: values do not change here, so the value itself."""
    return array_value(a)


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None, **settings: Any) -> Value:
    """`np.astype` and the method `.astype`."""
    return convert(array_value(x), dtype)


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Value:
    """`np.nan_to_num`; where a value is replaced the slope is zero."""
    x = array_value(x)
    if dtype_of(x).kind == "c":
        parts = (nan_to_num(part(x), True, nan, posinf, neginf) for part in (lax.real, lax.imag))
        return lax.complex(*parts)
    if dtype_of(x).kind != "f":
        return x
    limits = np.finfo(dtype_of(x))
    highest = limits.max if posinf is None else posinf
    lowest = limits.min if neginf is None else neginf
    from .selection import where

    x = where(UFUNCS[np.isnan](x), convert(nan, dtype_of(x)), x)
    x = where(UFUNCS[np.equal](x, np.inf), convert(highest, dtype_of(x)), x)
    return where(UFUNCS[np.equal](x, -np.inf), convert(lowest, dtype_of(x)), x)


# -- ranges ----------------------------------------------------------------------------------------------------


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """`np.linspace` between ends that depend on the parameters."""
    start, stop = broadcast(array_value(start), array_value(stop))
    steps = num - 1 if endpoint else num
    weights = (np.arange(num) / steps if steps > 0 else np.zeros(num)).reshape(
        (-1,) + (1,) * len(shape_of(start))
    )
    width = multiply(subtract(stop, start), 1.0)
    points = add(start, multiply(weights, width))
    if axis != 0:
        from .shape import moveaxis

        points = moveaxis(points, 0, axis)
    if dtype is not None:
        points = convert(points if np.dtype(dtype).kind in "fc" else UFUNCS[np.floor](points), dtype)
    step = multiply(width, 1.0 / steps if steps > 0 else np.nan)
    return (points, step) if retstep else points


def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Value:
    """`np.logspace`."""
    exponents = linspace(start, stop, num, endpoint, axis=axis)
    points = UFUNCS[np.power](base, exponents)
    return points if dtype is None else convert(points, dtype)


def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Value:
    """`np.geomspace` for positive or negative ends."""
    log, exp = UFUNCS[np.log], UFUNCS[np.exp]
    start, stop = broadcast(array_value(start), array_value(stop))
    ratio = log(UFUNCS[np.divide](stop, start))
    points = multiply(start, exp(linspace(subtract(ratio, ratio), ratio, num, endpoint, axis=axis)))
    return points if dtype is None else convert(points, dtype)


# -- questions about shapes and types: answered by NumPy ----------------------------------------------------------


def _asked(question: Any) -> Rule:
    """NumPy's own answer: it depends on shapes and types only, so stand-ins without values serve."""

    def rule(*args: Any, **kwargs: Any) -> Any:
        return question(*_standins(args), **{key: _standins(item) for key, item in kwargs.items()})

    return rule


def _standins(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_standins(item) for item in value)
    return standin(value)


def real_if_close(a: Any, tol: float = 100) -> Value:
    """`np.real_if_close` of real values; whether complex ones are close cannot be known."""
    if dtype_of(array_value(a)).kind == "c" and is_traced(a):
        raise refused("np.real_if_close of a complex value", "depends on the parameters", "Write x.real.")
    return a


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Value:
    """`np.vander`."""
    x = array_value(x)
    count = int(x.shape[0] if N is None else N)
    exponents = np.arange(count) if increasing else np.arange(count)[::-1]
    return UFUNCS[np.power](lax.reshape(x, (x.shape[0], 1)), exponents)


_QUESTIONS = (
    np.shape,
    np.ndim,
    np.size,
    np.iscomplexobj,
    np.isrealobj,
    np.can_cast,
    np.einsum_path,
    np.common_type,
    np.may_share_memory,
    np.shares_memory,
    np.diag_indices_from,
    np.tril_indices_from,
    np.triu_indices_from,
)

FUNCTIONS: dict[Any, Rule] = {
    np.zeros_like: _filled_like("zeros_like", np.zeros),
    np.ones_like: _filled_like("ones_like", np.ones),
    np.empty_like: _filled_like("empty_like", np.zeros),
    np.full_like: full_like,
    np.copy: copy,
    np.astype: astype,
    np.nan_to_num: nan_to_num,
    np.linspace: linspace,
    np.logspace: logspace,
    np.geomspace: geomspace,
    np.real_if_close: real_if_close,
    np.vander: vander,
    np.result_type: _asked(np.result_type),
    np.min_scalar_type: lambda a: dtype_of(a),
    **{question: _asked(question) for question in _QUESTIONS},
}
