"""Arrays of a few numbers, element by element: Python's floats take a tenth of the time of NumPy's smallest array.

An array is a NumPy array of texts here, one expression for each element, so that whatever only moves elements is done
by NumPy while the program is written, and costs nothing when it runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..tracing.primitives.shapes import broadcast_shape, pad_slices

# Texts of the elements, one for each.
Elements = np.ndarray[Any, np.dtype[Any]]

# Arrays of more elements are NumPy's: about here one of its operations takes as long as those on the elements.
MOST = 12

# The same where a whole function that is called many thousand times may be of single numbers: what only moves elements
# is most of the derivative of a right-hand side, and costs nothing then. Longer texts take too long to be written.
MOST_OF_MANY_CALLS = 256

# Products of one sum of products: more, and a matrix product of NumPy's is faster with the arrays it has to make first.
MOST_PRODUCTS = 24

ZERO, ONE = "0.0", "1.0"


def is_few(aval: Any, most: int) -> bool:
    """Whether an array of this shape and type is taken element by element where `most` elements are."""
    return aval.dtype == np.float64 and 0 < math.prod(aval.shape) <= most


def constant_elements(array: np.ndarray) -> Elements | None:
    """The elements of a constant; None where some are not finite, which no text of a number can say."""
    if not np.isfinite(array).all():
        return None
    texts = [literal(number) for number in np.ravel(array).tolist()]
    return _shaped(texts, array.shape)


def literal(number: float) -> str:
    """The text of a finite number, to stand anywhere in an expression."""
    text = repr(number)
    return f"({text})" if text[0] == "-" else text


def moved(equation: Any, operands: Sequence[Elements]) -> Elements | None:
    """The elements of the result of an equation that only moves them; None for any other."""
    move = _MOVES.get(equation.primitive.name)
    return None if move is None else move(equation, operands)


def summed(equation: Any, operands: Sequence[Elements]) -> Elements | None:
    """The elements of a sum over axes, or of a matrix product of few terms, as sums; None for any other equation."""
    name = equation.primitive.name
    if name == "reduce_sum":
        return _over_axes(operands[0], [int(axis) for axis in equation.params["axes"]])
    if name == "dot_general":
        return _product(equation, *operands)
    return None


def dot(left: Elements, right: Elements) -> str:
    """The sum of the products of two vectors."""
    return " + ".join(map(times, left.tolist(), right.tolist()))


def times(left: str, right: str) -> str:
    """A product of two elements; one factor that is the number one is left out."""
    if left == ONE or right == ONE:
        return right if left == ONE else left
    return f"{left} * {right}"


def assembled(
    shape: tuple[int, ...], operands: Sequence[Elements], boxes: Sequence[tuple[slice, ...] | None]
) -> Elements:
    """The elements of a sum of arrays and of pieces that are zero outside their box."""
    places = np.arange(math.prod(shape)).reshape(shape)
    terms: list[list[str]] = [[] for _ in range(places.size)]
    for operand, box in zip(operands, boxes, strict=True):
        inside = places if box is None else places[box]
        texts = np.broadcast_to(operand, inside.shape)
        for place, text in zip(inside.ravel().tolist(), texts.ravel().tolist(), strict=True):
            terms[place].append(text)
    return _shaped([" + ".join(some) or ZERO for some in terms], shape)


def as_array(elements: Elements) -> str:
    """The elements between brackets, as `numpy.array` takes them."""
    if elements.ndim == 1:
        return f"[{', '.join(elements.tolist())}]"
    return f"[{', '.join(as_array(row) for row in elements)}]"


def _over_axes(operand: Elements, axes: list[int]) -> Elements:
    kept = [axis for axis in range(operand.ndim) if axis not in axes]
    shape = tuple(operand.shape[axis] for axis in kept)
    rows = operand.transpose(kept + axes).reshape(math.prod(shape), -1)
    return _shaped([" + ".join(row) for row in rows.tolist()], shape)


def _product(equation: Any, left: Elements, right: Elements) -> Elements | None:
    ((along_left, along_right), (batch, _)) = equation.params["dimension_numbers"]
    if len(batch):
        return None
    along_left, along_right = [int(d) for d in along_left], [int(d) for d in along_right]
    own_left = [d for d in range(left.ndim) if d not in along_left]
    own_right = [d for d in range(right.ndim) if d not in along_right]
    terms = math.prod(left.shape[d] for d in along_left)
    shape = tuple([left.shape[d] for d in own_left] + [right.shape[d] for d in own_right])
    if not 0 < terms * math.prod(shape) <= MOST_PRODUCTS:
        return None
    rows = left.transpose(own_left + along_left).reshape(-1, terms)
    columns = right.transpose(own_right + along_right).reshape(-1, terms)
    return _shaped([dot(row, column) for row in rows for column in columns], shape)


def _broadcast(equation: Any, operands: Sequence[Elements]) -> Elements:
    placed = operands[0].reshape(broadcast_shape(equation))
    return np.broadcast_to(placed, equation.outvars[0].aval.shape)


def _reshaped(equation: Any, operands: Sequence[Elements]) -> Elements | None:
    if equation.params.get("dimensions") is not None and equation.primitive.name == "reshape":
        return None
    return operands[0].reshape(equation.outvars[0].aval.shape)


def _cut(equation: Any, operands: Sequence[Elements]) -> Elements:
    params = equation.params
    strides = params["strides"] or (1,) * operands[0].ndim
    return operands[0][
        tuple(
            slice(int(start), int(limit), int(stride))
            for start, limit, stride in zip(
                params["start_indices"], params["limit_indices"], strides, strict=True
            )
        )
    ]


def _padded(equation: Any, operands: Sequence[Elements]) -> Elements:
    operand, filling = operands
    shape = equation.outvars[0].aval.shape
    configuration = [tuple(int(v) for v in c) for c in equation.params["padding_config"]]
    inner, outer = pad_slices(configuration, operand.shape, shape)
    found = np.full(shape, filling.item(), dtype=object)
    found[outer] = operand[inner]
    return found


_MOVES: dict[str, Callable[[Any, Sequence[Elements]], Elements | None]] = {
    "broadcast_in_dim": _broadcast,
    "concatenate": lambda equation, operands: np.concatenate(operands, int(equation.params["dimension"])),
    "copy": lambda equation, operands: operands[0],
    "expand_dims": _reshaped,
    "pad": _padded,
    "reshape": _reshaped,
    "rev": lambda equation, operands: np.flip(operands[0], tuple(map(int, equation.params["dimensions"]))),
    "slice": _cut,
    "squeeze": _reshaped,
    "transpose": lambda equation, operands: operands[0].transpose(
        [int(d) for d in equation.params["permutation"]]
    ),
}


def _shaped(texts: list[str], shape: tuple[int, ...]) -> Elements:
    found = np.empty(len(texts), dtype=object)
    found[:] = texts
    return found.reshape(shape)
