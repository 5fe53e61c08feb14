"""Conjugate gradients for Hp = -g from some point on: one iteration, repeated by Python or inside one compiled loop.

An iteration in Python calls the product and four operations on vectors, each through memory and each with the price of
a call. Where a product is short and thousands are wanted, that is most of the time, and XLA runs them all as one
program.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from .long_vectors import inner, length

Vector = np.ndarray[Any, np.dtype[np.float64]]

# Iterations in one call of the compiled loop: between two calls the clock and the keyboard are heard. Fewer, and the
# calls' own price shows.
IN_ONE_CALL = 200


class Iterate(NamedTuple):
    """Where a run is: the point p (n,), its residual r = Hp + g, the next direction d and `square` = rᵀr.

    NumPy's arrays or JAX's.
    """

    p: Any
    r: Any
    d: Any
    square: Any


class Ended(NamedTuple):
    """The last iterate, and dᵀHd of the last direction that was looked at: not positive where H bends downwards."""

    at: Iterate
    bend: float


def advanced(at: Iterate, along: Any, bend: Any, dot: Callable[[Any, Any], Any]) -> Iterate:
    """One iteration (Golub & Van Loan 2013, algorithm 11.3.3), with `along` = Hd (n,) and `bend` = dᵀHd > 0."""
    t = at.square / bend
    r = at.r + t * along
    square = dot(r, r)
    return Iterate(at.p + t * at.d, r, square / at.square * at.d - r, square)


def by_python(
    times: Callable[[Vector], Vector], at: Iterate, most: int, accuracy: float, reach: float
) -> Ended:
    """At most so many iterations with H = `times`: until |r| ≤ `accuracy`, |p| > `reach`, or H bends downwards.

    >>> H, g = np.array([1.0, 4.0]), np.array([1.0, 4.0])
    >>> by_python(lambda v: H * v, Iterate(0 * g, g, -g, g @ g), 9, 1e-9, np.inf).at.p.round(12)
    array([-1., -1.])
    """
    bend = 1.0
    for _ in range(most):
        if length(at.p) > reach:
            break
        along = times(at.d)
        bend = inner(at.d, along)
        if not (isfinite(bend) and bend > 0.0):
            break
        at = advanced(at, along, bend, inner)
        if at.square <= accuracy * accuracy:
            break
    return Ended(at, bend)


def compiled(
    product: Any, at: Iterate, most: int, accuracy: float, reach: float, count: Callable[[int], None]
) -> Ended:
    """The same in a compiled loop: `product` is H as a `derivatives.compiled.Traceable`.

    `count(k)` is told of k more products, and may raise.
    """
    from ..numerics import double_precision

    if "conjugate gradients" not in product.kept:
        product.kept["conjugate gradients"] = _loop(product.function)
    loop, bend, left = product.kept["conjugate gradients"], 1.0, most
    over = length(at.p) > reach
    while left > 0 and not over:
        with double_precision(), product.there():
            found = loop(product.arguments, at, min(left, IN_ONE_CALL), accuracy, reach)
        p, r, d, *numbers = map(np.asarray, found)
        square, bend, taken, over = (number.item() for number in numbers)
        at = Iterate(p, r, d, square)
        left -= taken
        count(taken)
    return Ended(at, bend)


def _loop(function: Callable[[Any, Any], Any]) -> Any:
    """The jitted loop around one product."""
    import jax
    import jax.numpy as jnp

    def dot(a: Any, b: Any) -> Any:
        return jnp.dot(a, b, precision=jax.lax.Precision.HIGHEST)

    def run(arguments: Any, at: Iterate, most: Any, accuracy: Any, reach: Any) -> Any:
        def goes_on(now: Any) -> Any:
            _, _, taken, over = now
            return (taken < most) & ~over

        def iteration(now: Any) -> Any:
            at, _, taken, _ = now
            along = function(arguments, at.d)
            bend = dot(at.d, along)
            ahead = advanced(at, along, bend, dot)
            good = jnp.isfinite(bend) & (bend > 0.0)
            at = Iterate(*(jnp.where(good, new, old) for new, old in zip(ahead, at, strict=True)))
            over = ~good | (at.square <= accuracy * accuracy) | (jnp.sqrt(dot(at.p, at.p)) > reach)
            return at, bend, taken + 1, over

        at, bend, taken, over = jax.lax.while_loop(goes_on, iteration, (at, 1.0, 0, False))
        return (*at, bend, taken, over)

    return jax.jit(run)
