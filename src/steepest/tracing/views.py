"""NumPy functions whose result shares its entries with its argument: what is stored into one is seen in the other.

Each is a view of a traced array, made of the array's own methods and indices, so that `a, b = np.split(x, 2); a += 1`
changes x as it does in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import rules
from .explain import overlapping

# The numbers of a cost are of this many bytes each.
NUMBER_BYTES = 8


def _by_method(name: str) -> Callable[..., Any]:
    return lambda whole, *args, **settings: getattr(whole, name)(*args, **settings)


def _reshaped(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that only adds axes of length one or takes them away."""

    def view(whole: Any, *args: Any, **settings: Any) -> Any:
        if args and function in (np.atleast_1d, np.atleast_2d, np.atleast_3d):  # of several arrays
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


def _picked(function: Callable[..., Any], writes: bool = True) -> Callable[..., Any]:
    """A function that shows entries in other places, some of them perhaps more than once, or not at all.

    Where each comes from is asked of the function itself. What only shows, in NumPy, cannot be stored into.
    """

    def view(whole: Any, *args: Any, **settings: Any) -> Any:
        root = whole.root()
        content = root.layout()
        layout = whole.layout_in(content)
        shown = function(layout, *args, **settings)
        first = shown.__array_interface__["data"][0] - content.__array_interface__["data"][0]
        numbers = np.arange(root.size)
        places = np.array(
            np.lib.stride_tricks.as_strided(
                numbers[first:], shown.shape, [step * numbers.itemsize for step in shown.strides]
            )
        )
        reshape, shape = rules.FUNCTIONS[np.reshape], root.shape

        def put(content: Any, part: Any) -> Any:
            if not settings.get("writeable", writes):
                raise ValueError("assignment destination is read-only")
            if np.unique(places).size < places.size:
                raise overlapping(function.__name__)
            return reshape(rules.SETITEM(reshape(content, (-1,)), places, part), shape)

        return root.shared(
            lambda content: rules.GETITEM(reshape(content, (-1,)), places),
            put,
            whole.names,
            lambda layout: np.lib.stride_tricks.as_strided(
                layout.reshape(-1)[first:], shown.shape, shown.strides
            ),
        )

    return view


def _summed_or_picked(whole: Any, subscripts: str) -> Any:
    """`np.einsum` of one array without a sum: its axes in another order, or a diagonal."""
    return _picked(lambda layout: np.einsum(subscripts, layout))(whole)


def shown(function: Any, args: tuple[Any, ...], settings: dict[str, Any]) -> Any | None:
    """The argument whose entries the result of a call shares; None where it makes new ones."""
    if function is np.einsum:
        if len(args) != 2 or not isinstance(args[0], str) or settings.get("out") is not None:
            return None
        given, arrow, left = args[0].replace(" ", "").partition("->")
        axes = set(given) - set(".")
        kept = set(left) if arrow else {axis for axis in axes if given.count(axis) == 1}
        return args[1] if "," not in axes and axes <= kept else None
    if function is np.diag and args and np.ndim(args[0]) != 2:
        return None
    return args[0] if args else None


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


def _strided(layout: np.ndarray, shape: Any = None, strides: Any = None, **settings: Any) -> np.ndarray:
    """`as_strided`, its steps counted in numbers, of eight bytes each, where a layout has one byte for a number."""
    steps = None if strides is None else [step // NUMBER_BYTES for step in strides]
    return np.lib.stride_tricks.as_strided(layout, shape, steps, **settings)


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
        for function in (np.squeeze, np.expand_dims, np.atleast_1d, np.atleast_2d, np.atleast_3d)
    },
    **{function: _transposed(function) for function in (np.moveaxis, np.rollaxis, np.matrix_transpose)},
    **{
        function: _parted(function)
        for function in (np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit)
    },
    **{
        function: _picked(function, writes=False)
        for function in (np.diagonal, np.diag, np.broadcast_to, np.lib.stride_tricks.sliding_window_view)
    },
    np.lib.stride_tricks.as_strided: _picked(_strided),
    np.einsum: _summed_or_picked,
    **{function: _ordered_otherwise(function) for function in (np.flip, np.fliplr, np.flipud, np.rot90)},
}

# Those of them that NumPy makes of bare memory, so that an array made during the trace does not know its view.
PICKED = frozenset(
    (np.broadcast_to, np.lib.stride_tricks.sliding_window_view, np.lib.stride_tricks.as_strided, np.einsum)
)
