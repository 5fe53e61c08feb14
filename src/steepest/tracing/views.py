"""NumPy functions whose result shares its entries with its argument: what is stored into one is seen in the other.

Each is a view of a traced array, made of the array's own methods and indices, so that `a, b = np.split(x, 2); a += 1`
changes x as it does in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import rules


def _by_method(name: str) -> Callable[..., Any]:
    return lambda whole, *args, **settings: getattr(whole, name)(*args, **settings)


def _reshaped(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that only adds axes of length one or takes them away."""

    def view(whole: Any, *args: Any, **settings: Any) -> Any:
        if args and function in (np.atleast_1d, np.atleast_2d):  # of several arrays
            return tuple(map(function, (whole, *args)))
        return whole.reshape(np.shape(function(whole.layout(), *args, **settings)))

    return view


def _transposed(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that only exchanges axes: the order is read off an array with axes of different lengths."""

    def view(whole: Any, *args: Any, **settings: Any) -> Any:
        lengths = range(1, whole.ndim + 1)
        turned = function(np.broadcast_to(0, tuple(lengths)), *args, **settings)
        return whole.transpose([length - 1 for length in turned.shape])

    return view


def _parted(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that cuts an array into pieces along one axis, each a slice of it."""

    def view(whole: Any, *args: Any, **settings: Any) -> list[Any]:
        pieces, start = [], 0
        for part in function(whole.layout(), *args, **settings):
            axis = next((k for k in range(whole.ndim) if part.shape[k] != whole.shape[k]), 0)
            stop = start + part.shape[axis]
            pieces.append(whole[(slice(None),) * axis + (slice(start, stop),)])
            start = stop
        return pieces

    return view


def _ordered_otherwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that turns axes round: where each entry comes from is asked of it when something is stored."""
    rule, reshape = rules.FUNCTIONS[function], rules.FUNCTIONS[np.reshape]

    def view(whole: Any, *args: Any, **settings: Any) -> Any:
        shape = whole.shape

        def put(content: Any, part: Any) -> Any:
            places = function(np.arange(whole.size).reshape(shape), *args, **settings)
            return reshape(rules.SETITEM(reshape(content, (-1,)), places, part), shape)

        return whole.shared(
            lambda content: rule(content, *args, **settings),
            put,
            whole.names,
            lambda layout: function(layout, *args, **settings),
        )

    return view


VIEWS: dict[Any, Callable[..., Any]] = {
    np.reshape: _by_method("reshape"),
    np.ravel: _by_method("ravel"),
    np.transpose: _by_method("transpose"),
    np.swapaxes: _by_method("swapaxes"),
    np.unstack: lambda whole, axis=0: tuple(np.moveaxis(whole, axis, 0)),
    np.real: lambda whole: whole.real,
    np.imag: lambda whole: whole.imag,
    **{
        function: _reshaped(function)
        for function in (np.squeeze, np.expand_dims, np.atleast_1d, np.atleast_2d)
    },
    **{function: _transposed(function) for function in (np.moveaxis, np.rollaxis, np.matrix_transpose)},
    **{
        function: _parted(function)
        for function in (np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit)
    },
    **{function: _ordered_otherwise(function) for function in (np.flip, np.fliplr, np.flipud, np.rot90)},
}
