"""Polynomials as coefficient vectors, highest power first: NumPy's poly functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from .calculus import convolve
from .creation import vander
from .factorisations import eigvals, lstsq
from .indexing import getitem
from .reductions import sum_of
from .shape import atleast, concatenate, reshape
from .ufuncs import UFUNCS, add, divide, multiply, subtract
from .values import (
    Rule,
    Value,
    array_value,
    as_value,
    broadcast_to,
    dtype_of,
    refused,
    safe_sqrt,
    shape_of,
    unsupported,
)


def polyval(p: Any, x: Any) -> Value:
    """`np.polyval` by Horner's scheme."""
    p, x = array_value(p), as_value(x)
    found: Value = multiply(x, 0)
    for k in range(p.shape[0]):
        found = add(multiply(found, x), getitem(p, k)) if k else add(found, getitem(p, 0))
    return found


def _summed(combine: Rule) -> Rule:
    def rule(a1: Any, a2: Any) -> Value:
        a1, a2 = atleast(1)(a1, a2)
        short = a2.shape[0] - a1.shape[0]
        a1, a2 = _padded(a1, max(short, 0)), _padded(a2, max(-short, 0))
        return combine(a1, a2)

    return rule


def _padded(p: Value, count: int) -> Value:
    return concatenate([np.zeros(count, dtype_of(p)), p]) if count else p


def polymul(a1: Any, a2: Any) -> Value:
    """`np.polymul`."""
    return convolve(a1, a2)


def polyder(p: Any, m: int = 1) -> Value:
    """`np.polyder`."""
    p = array_value(p)
    for _ in range(m):
        n = p.shape[0] - 1
        p = multiply(getitem(p, slice(None, -1)), np.arange(n, 0, -1))
    return p


def polyint(p: Any, m: int = 1, k: Any = None) -> Value:
    """`np.polyint`."""
    p = array_value(p)
    constants = np.zeros(m) if k is None else as_value(k)
    constants = broadcast_to(reshape(constants, (-1,)), (m,)) if m else constants
    for step in range(m):
        n = p.shape[0]
        p = concatenate([divide(p, np.arange(n, 0, -1)), reshape(getitem(constants, step), (1,))])
    return p


def poly(seq_of_zeros: Any) -> Value:
    """`np.poly`: coefficients from roots, or the characteristic polynomial of a matrix."""
    roots = array_value(seq_of_zeros)
    if len(roots.shape) == 2:
        raise refused("np.poly of a matrix", "has no rule", "Write np.poly(np.linalg.eigvals(A)).")
    found: Value = np.ones(1, dtype_of(roots))
    for k in range(roots.shape[0]):
        root = reshape(getitem(roots, k), (1,))
        found = convolve(found, concatenate([np.ones(1, dtype_of(roots)), UFUNCS[np.negative](root)]))
    return found


def polydiv(u: Any, v: Any) -> tuple[Value, Value]:
    """`np.polydiv` for divisors whose leading coefficient is not zero; zeros in front of the rest are kept."""
    u, v = atleast(1)(u, v)
    m, n = u.shape[0] - 1, v.shape[0] - 1
    scale = divide(1.0, getitem(v, 0))
    rest = multiply(u, 1.0)
    quotient = []
    for k in range(m - n + 1):
        d = multiply(scale, getitem(rest, k))
        quotient.append(reshape(d, (1,)))
        taken = subtract(getitem(rest, slice(k, k + n + 1)), multiply(d, v))
        rest = concatenate([getitem(rest, slice(0, k)), taken, getitem(rest, slice(k + n + 1, None))])
    found = concatenate(quotient) if quotient else np.zeros(1, dtype_of(rest))
    return found, getitem(rest, slice(max(m - n + 1, 0), None)) if n else getitem(rest, slice(-1, None))


def polyfit(
    x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Value:
    """`np.polyfit`: the coefficients."""
    unsupported("polyfit", full=full or None, cov=cov or None)
    x, y = add(x, 0.0), add(y, 0.0)
    rcond = shape_of(x)[0] * np.finfo(np.float64).eps if rcond is None else rcond
    matrix = vander(x, int(deg) + 1)
    if w is not None:
        w = add(w, 0.0)
        matrix = multiply(matrix, reshape(w, (-1, 1)))
        y = multiply(y, reshape(w, (-1, *(1,) * (len(shape_of(y)) - 1))))
    scale = safe_sqrt(sum_of(multiply(matrix, matrix), 0))
    solution = lstsq(divide(matrix, scale), y, rcond)[0]
    return divide(solution, reshape(scale, (-1, *(1,) * (len(shape_of(y)) - 1))))


def roots(p: Any) -> Value:
    """`np.roots` for a leading and a last coefficient that are not zero; always complex."""
    p = array_value(p)
    n = p.shape[0]
    if n < 2:
        return np.zeros(0)
    top = divide(UFUNCS[np.negative](getitem(p, slice(1, None))), getitem(p, 0))
    companion = (
        concatenate([reshape(top, (1, n - 1)), np.eye(n - 2, n - 1)]) if n > 2 else reshape(top, (1, 1))
    )
    return eigvals(companion)


FUNCTIONS: dict[Any, Rule] = {
    np.polyval: polyval,
    np.polyadd: _summed(add),
    np.polysub: _summed(subtract),
    np.polymul: polymul,
    np.polyder: polyder,
    np.polyint: polyint,
    np.poly: poly,
    np.polydiv: polydiv,
    np.polyfit: polyfit,
    np.roots: roots,
}
