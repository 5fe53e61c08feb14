"""Long vectors on the host, strip by strip: what L-BFGS does to them, each pass through memory shared.

A strip of all remembered vectors fits the cache. The newest step and change of slope are written there, and multiplied
with all the others, while the strip is in it; XLA's own products of twenty rows with three took five times as long on a
CPU as a copy of the same bytes. Sums over strips are in double precision, whatever the vectors are.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import sqrt
from typing import Any

import numpy as np

Vector = np.ndarray[Any, np.dtype[Any]]
Matrix = np.ndarray[Any, np.dtype[Any]]

# Numbers of each vector in a strip. Shorter, and the calls weigh; longer, and twenty rows leave the second-level cache:
# of float32, 28, 26 and 64 ms were measured for 8,192, 16,384 and 32,768.
STRIP = 16_384

# The same where the rows are only added up, which leaves no more than one sum in the cache: 53 ms against 76 for
# ten million numbers in twenty rows.
LONG_STRIP = 4 * STRIP


def remember(
    pairs: Matrix, row: int, following: Vector, x: Vector, new_slope: Vector, slope: Vector
) -> tuple[Matrix, Matrix, Vector]:
    """Write s = `following` - x and y = `new_slope` - `slope` into the rows `row` and m + `row` of `pairs`, (2m, n).

    Gives `pairs`, the products of all its rows with s, y and the new slope, (2m, 3), and the squares of the three.
    """
    memory = len(pairs) // 2
    against, squares = np.zeros((2 * memory, 3)), np.zeros(3)
    three = np.empty((3, min(STRIP, x.size)), pairs.dtype)
    for strip in _strips(x.size):
        part = pairs[:, strip]
        own = three[:, : part.shape[1]]
        np.subtract(following[strip], x[strip], out=own[0])
        np.subtract(new_slope[strip], slope[strip], out=own[1])
        own[2] = new_slope[strip]
        part[row], part[memory + row] = own[0], own[1]
        against += part @ own.T
        squares += np.vecdot(own, own)
    return pairs, against, squares


def against(pairs: Matrix, slope: Vector) -> Vector:
    """The products of all rows of `pairs`, (2m, n), with the slope, (2m,)."""
    total = np.zeros(len(pairs))
    for strip in _strips(slope.size):
        total += pairs[:, strip] @ slope[strip]
    return total


def combined(pairs: Matrix, weights: Vector, slope: Vector, own: float) -> Vector:
    """The rows of `pairs`, (2m, n), times `weights`, (2m,), and `own` times the slope, added up: shape (n,)."""
    weights = np.asarray(weights, pairs.dtype)
    total = np.empty_like(slope)
    for strip in _strips(slope.size, LONG_STRIP):
        np.matmul(weights[None], pairs[:, strip], out=total[None, strip])
        total[strip] += pairs.dtype.type(own) * slope[strip]
    return total


def moved(x: Vector, direction: Vector, step: float) -> Vector:
    """x + step·direction, shape (n,)."""
    total = np.empty_like(x)
    for strip in _strips(x.size):
        part = total[strip]
        np.multiply(direction[strip], x.dtype.type(step), out=part)
        part += x[strip]
    return total


def along(a: Vector, b: Vector) -> float:
    """aᵀb of two vectors of shape (n,)."""
    return float(sum(float(np.vecdot(a[strip], b[strip])) for strip in _strips(a.size)))


def length(v: Vector) -> float:
    """Euclidean length of a vector, shape (n,)."""
    return sqrt(along(v, v))


def _strips(n: int, size: int = STRIP) -> Iterator[slice]:
    return (slice(first, min(first + size, n)) for first in range(0, n, size))
