"""Exact derivatives of a traced cost, each again a jaxpr, by JAX's forward and reverse modes.

Every function takes a closed jaxpr of one input `x`, float64, shape (n,) (or a scalar), and one output, and
gives a simplified closed jaxpr. Nothing is evaluated and no device is touched; constants stay NumPy arrays.

`m` is the number of elements of the output, `n` that of the input.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..errors import InputError, TracingError
from ..numerics import double_precision
from ..tracing.passes import eliminate_dead, simplify, with_outputs
from .narrow_tangents import (
    TooWide,
    at_its_necks,
    has_no_way_back,
    has_own_way_back,
    is_worth_a_look,
    values_and_changes,
)

FLOAT = np.dtype(np.float64)
# A reverse product costs about this many forward ones, with the memory it goes through.
REVERSE = 2
# Identity matrices up to this size are constants; a larger one is made where it is used.
KEPT_IDENTITY = 64
# The bending of a loss is taken for at least this part of its slope over its argument (Triggs et al., "Bundle
# adjustment", 2000, take all of it or none), and for this part of the largest bending among all terms.
LEAST_SECANT = 0.1
FLATTEST = 1e-8


def both_to_differentiate(closed: Any) -> Any:
    """`x ↦ (f(x), ∇f(x))` with custom derivative rules kept, so that it can be differentiated again."""
    function, x = _scalar_cost(closed)
    pulled = puller(closed)

    def both(x: Any) -> tuple[Any, Any]:
        value, pull_back = pulled(function, x)
        return value, pull_back(np.float64(1.0))[0]

    return traced(both, x, keep_derivatives=True)


def value_and_gradient(closed: Any, both: Any = None) -> Any:
    """`x ↦ (f(x), ∇f(x))` by one reverse pass; the cost of `f` must be a scalar.

    `both`: what `both_to_differentiate(closed)` gave, where it is at hand already; so below.
    Raises `InputError` for a cost that is not a real scalar.

    >>> import jax, numpy as np
    >>> with jax.enable_x64(True):
    ...     cost = jax.make_jaxpr(lambda x: (x**2).sum())(jax.ShapeDtypeStruct((2,), np.float64))
    >>> [str(aval) for aval in value_and_gradient(cost).out_avals]
    ['float64[]', 'float64[2]']
    """
    return simplify(both or both_to_differentiate(closed))


def gradient(closed: Any) -> Any:
    """`x ↦ ∇f(x)`, shape (n,), by one reverse pass; what only the value needs is left out."""
    function, x = _scalar_cost(closed)
    pulled = puller(closed)
    return traced(lambda x: pulled(function, x)[1](np.float64(1.0))[0], x)


def jacobian(closed: Any) -> Any:
    """`x ↦ J(x)`, shape (output shape…, n): n forward products, or m reverse ones if there are fewer rows.

    Less where most parameters touch few elements of what the outputs are made of (`narrow_tangents`).
    """
    function, x = _real_function(closed)
    shape = closed.out_avals[0].shape
    m, n = math.prod(shape), math.prod(x.shape)
    if is_worth_a_look(closed) and closed.out_avals[0].dtype == FLOAT:

        def narrow(x: Any) -> Any:
            _, (change,) = values_and_changes(closed, [x], REVERSE * m)
            return lax.transpose(change, (*range(1, len(shape) + 1), 0))

        try:
            return traced(narrow, x)
        except TooWide:
            pass
    if _by_rows(closed, m, n):

        def rows(x: Any) -> Any:
            _, pull_back = jax.vjp(function, x)
            directions = lax.reshape(_identity(m), (m, *shape))
            return lax.reshape(jax.vmap(lambda u: pull_back(u)[0])(directions), (*shape, *x.shape))

        return traced(rows, x)

    def columns(x: Any) -> Any:
        push = jax.vmap(lambda v: jax.jvp(function, (x,), (v,))[1], out_axes=-1)
        return lax.reshape(push(lax.reshape(_identity(n), (n, *x.shape))), (*shape, *x.shape))

    return traced(columns, x)


def linearised(both: Any, *, keep_derivatives: bool = False) -> Any:
    """`x ↦ (f(x), r(x), J(x))` of a jaxpr `x ↦ (f(x), r(x))`, r of shape (m,), J the Jacobian of r, (m, n).

    n forward products, or m reverse ones if there are fewer residuals, or less where most parameters touch few elements
    of what the residuals are made of (`narrow_tangents`). The value costs no passes of its own.
    """
    (aval,), (_, out) = both.in_avals, both.out_avals
    function = as_function(simplify(both, keep_derivatives=True))
    x = jax.ShapeDtypeStruct(aval.shape, aval.dtype)
    m, n = out.shape[0], aval.shape[0]
    if not keep_derivatives and (narrow := _narrowly(both, x)) is not None:
        return narrow

    def split(x: Any) -> tuple[Any, Any]:
        value, residual = function(x)
        return residual, value

    if _by_rows(both, m, n):

        def rows(x: Any) -> tuple[Any, Any, Any]:
            residual, pull_back, value = jax.vjp(split, x, has_aux=True)
            return value, residual, jax.vmap(lambda u: pull_back(u)[0])(_identity(m))

        return traced(rows, x, keep_derivatives=keep_derivatives)

    def columns(x: Any) -> tuple[Any, Any, Any]:
        def along(v: Any) -> tuple[Any, Any, Any]:
            residual, change, value = jax.jvp(split, (x,), (v,), has_aux=True)
            return value, residual, change

        return jax.vmap(along, out_axes=(None, None, -1))(_identity(n))

    return traced(columns, x, keep_derivatives=keep_derivatives)


def _narrowly(both: Any, x: Any) -> Any | None:
    """`linearised` by narrow tangents, where they are much less work; else None."""
    if not is_worth_a_look(both):
        return None

    def columns(x: Any) -> tuple[Any, Any, Any]:
        (value, residual), (_, change) = values_and_changes(both, [x], REVERSE * both.out_avals[1].shape[0])
        return value, residual, lax.transpose(change, (1, 0))

    try:
        return traced(columns, x)
    except TooWide:
        return None


def hessian_at_necks(closed: Any) -> Any | None:
    """`x ↦ ∇²f(x)` of f = g(x, w(x)), w being the arrays in which unlike parameters meet; None where it gains nothing.

    The slope by w of a sum of peaks depends on all parameters, and so would all that reverse mode makes of it for each
    peak. Taken apart, ∇²f = (I, Jᵀ) ∇²g (I, Jᵀ)ᵀ + Σ (∂g/∂wᵢ) ∇²wᵢ: n directions go through g alone, and J and the
    second sum, in which the slopes are held, are made of narrow tangents.
    """
    if not is_worth_a_look(closed) or closed.out_avals[0].dtype != FLOAT:
        return None
    try:
        parts = at_its_necks(closed)
    except TooWide:
        return None
    if parts is None:
        return None
    inner, outer = parts
    if any(aval.dtype != FLOAT for aval in inner.out_avals):
        return None
    x, *w = (jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in (*closed.in_avals, *inner.out_avals))
    inside, outside = jex.jaxpr_as_fun(inner), jex.jaxpr_as_fun(outer)
    n = x.shape[0]

    def slopes(*arrays: Any) -> Any:
        return jax.vjp(lambda *arrays: outside(*arrays)[0], *arrays)[1](np.float64(1.0))

    def columns(x: Any) -> Any:
        w, changes = values_and_changes(inner, [x])
        _, *u = slopes(x, *w)
        _, (bending,) = values_and_changes(bent, [x, *u])
        total, *turned = jax.vmap(lambda *along: jax.jvp(slopes, (x, *w), along)[1])(_identity(n), *changes)
        for change, turn in zip(changes, turned, strict=True):
            flat = (n, math.prod(change.shape[1:]))
            total = total + lax.dot(lax.reshape(change, flat), lax.transpose(lax.reshape(turn, flat), (1, 0)))
        half = 0.5 * (total + bending)
        return half + lax.transpose(half, (1, 0))

    try:
        bent = traced(lambda x, *u: jax.vjp(inside, x)[1](list(u))[0], x, *w)
        return traced(columns, x)
    except TooWide:
        return None


def linearised_losses(linear: Any, outer: Any) -> Any:
    """`x ↦ (f(x), r, J)` of a sum of losses φ(e), scaled so that 2Jᵀr is its gradient and 2JᵀJ models its Hessian.

    `linear`: `x ↦ (f(x), e(x), ∂e/∂x)`. `outer`: `e ↦ φ(e)`, element by element, lowest at 0. A bending is not taken
    for less than a part of φ'(e)/e: where a loss grows like a line, that is what holds a step back.
    """
    function, loss = jex.jaxpr_as_fun(linear), jex.jaxpr_as_fun(outer)
    (aval,) = linear.in_avals

    def at(x: Any) -> tuple[Any, Any, Any]:
        value, e, jacobian = function(x)
        ones = np.ones(e.shape)

        def slope(e: Any) -> Any:
            return jax.jvp(lambda e: loss(e)[0], (e,), (ones,))[1]

        first, second = jax.jvp(slope, (e,), (ones,))
        size = abs(e)
        secant = first * lax.sign(e) / lax.max(size, FLATTEST * size.max() + np.finfo(FLOAT).tiny)
        bending = lax.max(second, LEAST_SECANT * secant)
        bending = lax.max(bending, FLATTEST * bending.max() + np.finfo(FLOAT).tiny)
        scale = lax.sqrt(0.5 * bending)
        return value, 0.5 * first / scale, lax.expand_dims(scale, (1,)) * jacobian

    return traced(at, jax.ShapeDtypeStruct(aval.shape, aval.dtype))


def both_from_residual(linear: Any) -> Any:
    """`x ↦ (f(x), 2Jᵀr)` from `linearised` with custom derivative rules kept: the gradient of a sum of squares."""
    function = jex.jaxpr_as_fun(linear)
    (aval,) = linear.in_avals

    def both(x: Any) -> tuple[Any, Any]:
        value, residual, jacobian = function(x)
        return value, 2.0 * lax.dot(residual, jacobian)

    return traced(both, jax.ShapeDtypeStruct(aval.shape, aval.dtype), keep_derivatives=True)


def values_and_jacobian(closed: Any) -> Any:
    """`x ↦ (f(x) made flat, J(x))`, shapes (m,) and (m, n), of any real function: n forward products share one value.

    m reverse products where there are fewer values than parameters.
    """
    function, x = _real_function(closed)
    m, n = math.prod(closed.out_avals[0].shape), math.prod(x.shape)

    def flat(x: Any) -> Any:
        return lax.reshape(function(x), (m,))

    if _by_rows(closed, m, n):

        def rows(x: Any) -> tuple[Any, Any]:
            values, pull_back = jax.vjp(flat, x)
            return values, jax.vmap(lambda u: pull_back(u)[0])(_identity(m))

        return traced(rows, x)

    def columns(x: Any) -> tuple[Any, Any]:
        push = jax.vmap(lambda v: jax.jvp(flat, (x,), (v,)), out_axes=(None, -1))
        values, change = push(lax.reshape(_identity(n), (n, *x.shape)))
        return values, change

    return traced(columns, x)


def weighted_curvature(closed: Any) -> Any:
    """`(x, u) ↦ Σᵢ uᵢ ∇²fᵢ(x)`, shape (n, n), of a real function of m values; `u` has shape (m,)."""
    function, x = _real_function(closed)
    m, n = math.prod(closed.out_avals[0].shape), math.prod(x.shape)

    pulled, turned = puller(closed), _turner(closed)

    def slope(x: Any, u: Any) -> Any:
        _, pull_back = pulled(lambda x: lax.reshape(function(x), (m,)), x)
        return pull_back(u)[0]

    def columns(x: Any, u: Any) -> Any:
        return jax.vmap(lambda v: turned(lambda x: slope(x, u), x, v))(_identity(n))

    return traced(columns, x, jax.ShapeDtypeStruct((m,), FLOAT))


def jacobian_product(closed: Any) -> Any:
    """`(x, v) ↦ J(x) v`, in the shape of the output, by one forward pass."""
    function, x = _real_function(closed)
    push_one = pusher(closed)
    return traced(lambda x, v: push_one(function, x, v)[1], x, x)


def hessian(closed: Any, both: Any = None) -> Any:
    """`x ↦ ∇²f(x)`, dense, shape (n, n): the gradient pushed forward along every coordinate."""
    slope = gradient_of(both or both_to_differentiate(closed))
    # A rule for the way back that itself calls a function with such a rule, as that of `odeint`, goes back once more.
    return jacobian(slope) if has_own_way_back(slope) else jacobian_forward(slope)


def jacobian_forward(closed: Any) -> Any:
    """The Jacobian by forward products alone, which for a gradient gives symmetric second derivatives."""
    function, x = _real_function(closed)
    n = math.prod(x.shape)

    def columns(x: Any) -> Any:
        push = jax.vmap(lambda v: jax.jvp(function, (x,), (v,))[1])
        products = push(lax.reshape(_identity(n), (n, *x.shape)))
        # A scalar input has a scalar second derivative.
        return lax.reshape(products, (*x.shape, *closed.out_avals[0].shape))

    return traced(columns, x)


def hessian_product(closed: Any, both: Any = None) -> Any:
    """`(x, v) ↦ ∇²f(x) v`, shape (n,), at a few times the price of one gradient (Pearlmutter 1994)."""
    return jacobian_product(gradient_of(both or both_to_differentiate(closed)))


def weighted_hessian(closed: Any) -> Any:
    """`(x, u) ↦ ∇²(u·f)(x)`, dense, shape (n, n), for a function of m outputs; `u` has their shape."""
    function, x = _real_function(closed)
    u = jax.ShapeDtypeStruct(closed.out_avals[0].shape, FLOAT)

    pulled, turned = puller(closed), _turner(closed)

    def columns(x: Any, u: Any) -> Any:
        def gradient(x: Any) -> Any:
            return pulled(function, x)[1](u)[0]

        push = jax.vmap(lambda v: turned(gradient, x, v))
        return lax.reshape(
            push(lax.reshape(_identity(math.prod(x.shape)), (x.size, *x.shape))), (*x.shape, *x.shape)
        )

    return traced(columns, x, u)


def derivative(closed: Any, order: int = 1) -> Any:
    """`x ↦ dᵏf/dxᵏ` for a single parameter, in the shape of the output; `order` k ≥ 0.

    Raises `InputError` when there are several parameters or the order is negative.
    """
    if order < 0:
        raise InputError(f"the order of a derivative is 0 or more, not {order}")
    _, x = _real_function(closed)
    if math.prod(x.shape) != 1:
        raise InputError(
            f"the cost has {math.prod(x.shape)} parameters: ask for its gradient, or its derivative in one of them"
        )
    one = np.ones(x.shape) if x.shape else np.float64(1.0)
    for _ in range(order):
        function, _ = _real_function(closed)
        closed = traced(_along(function, one, pusher(closed)), x, keep_derivatives=True)
    return simplify(closed)


def _along(
    function: Callable[[Any], Any], direction: Any, push_one: Callable[..., tuple[Any, ...]]
) -> Callable[[Any], Any]:
    return lambda x: push_one(function, x, direction)[1]


def pusher(closed: Any) -> Callable[..., tuple[Any, ...]]:
    """`(f, x, v) ↦ f(x), J(x) v`, and with `has_aux` what f gives besides, of functions f made of `closed`.

    One forward pass. A user's own rule for the way back (`jax.custom_vjp`, as `odeint` has) has none for the way
    forth: there u ↦ Jᵀu, which is linear, is itself taken backwards.
    """
    if not has_own_way_back(closed):
        return lambda function, x, v, **besides: jax.jvp(function, (x,), (v,), **besides)

    def twice_back(function: Callable[..., Any], x: Any, v: Any, **besides: Any) -> tuple[Any, ...]:
        value, pull_back, *more = jax.vjp(function, x, **besides)
        (change,) = jax.vjp(lambda u: pull_back(u)[0], lax.full_like(value, 0))[1](v)
        return value, change, *more

    return twice_back


def puller(closed: Any) -> Callable[..., tuple[Any, ...]]:
    """`jax.vjp` for functions made of `closed`: `(f, x) ↦ f(x), u ↦ (Jᵀu,)`, and with `has_aux` what f gives besides.

    A loop of unknown length (`jax.lax.while_loop`) keeps no way back: there Jᵀu is summed from n forward products.
    """
    if not has_no_way_back(closed):
        return jax.vjp

    def from_columns(function: Callable[..., Any], x: Any, has_aux: bool = False) -> tuple[Any, ...]:
        n = math.prod(x.shape)

        def along(v: Any) -> tuple[Any, ...]:
            value, change, *more = jax.jvp(function, (x,), (v,), has_aux=has_aux)
            return value, *more, change

        *found, columns = jax.vmap(along, out_axes=(None,) * (1 + has_aux) + (0,))(
            lax.reshape(_identity(n), (n, *x.shape))
        )
        axes = tuple(range(1, columns.ndim)), tuple(range(columns.ndim - 1))

        def pull_back(u: Any) -> tuple[Any]:
            sums = lax.dot_general(columns, jnp.asarray(u), (axes, ((), ())))
            return (lax.reshape(sums, x.shape),)

        return found[0], pull_back, *found[1:]

    return from_columns


def _by_rows(closed: Any, m: int, n: int) -> bool:
    """Whether a Jacobian (m, n) is made of reverse products."""
    return has_own_way_back(closed) or (m < n and not has_no_way_back(closed))


def _turner(closed: Any) -> Callable[..., Any]:
    """`(∇f, x, v) ↦ ∇²f(x) v`, forward; second derivatives are symmetric, so that the way back gives the same."""
    if has_own_way_back(closed):
        return lambda gradient, x, v: jax.vjp(gradient, x)[1](v)[0]
    return lambda gradient, x, v: jax.jvp(gradient, (x,), (v,))[1]


def as_function(closed: Any) -> Callable[..., list[Any]]:
    """The jaxpr as a JAX function to be differentiated.

    What a user's own rule keeps for the way back may be indexed there by what is traced; no constant of NumPy's can be.
    """
    if not has_own_way_back(closed):
        return jex.jaxpr_as_fun(closed)
    return lambda *inputs: jax.core.eval_jaxpr(closed.jaxpr, [jnp.asarray(c) for c in closed.consts], *inputs)


def gradient_of(both: Any) -> Any:
    """`x ↦ ∇f(x)` from `x ↦ (f(x), ∇f(x))`: the second output alone, without what only the first one needs."""
    return eliminate_dead(with_outputs(both, both.jaxpr.outvars[1:]))


def _scalar_cost(closed: Any) -> tuple[Callable[[Any], Any], jax.ShapeDtypeStruct]:
    shape = closed.out_avals[0].shape
    if shape != ():
        raise InputError(f"a cost gives one number; this one gives an array of shape {shape}")
    return _real_function(closed)


def _real_function(closed: Any) -> tuple[Callable[[Any], Any], jax.ShapeDtypeStruct]:
    """The jaxpr as a JAX function with a float64 result, and its input's type."""
    (aval,), (out,) = closed.in_avals, closed.out_avals
    if out.dtype.kind == "c":
        raise InputError(
            "the cost is complex, and only real numbers can be compared: take its abs or its real part"
        )
    function = as_function(simplify(closed, keep_derivatives=True))

    def real(x: Any) -> Any:
        (result,) = function(x)
        return result if out.dtype == FLOAT else lax.convert_element_type(result, FLOAT)

    return real, jax.ShapeDtypeStruct(aval.shape, aval.dtype)


def traced(
    function: Callable[..., Any], *inputs: jax.ShapeDtypeStruct, keep_derivatives: bool = False
) -> Any:
    """The simplified closed jaxpr of a JAX function, in double precision.

    Raises `TracingError` where it holds an operation that JAX has no derivative of, such as the eigenvectors of a
    matrix that is not symmetric, whose phase is LAPACK's choice.
    """
    with double_precision():
        try:
            recorded = jax.make_jaxpr(function)(*inputs)
        except NotImplementedError as error:
            reason = str(error).partition("\n")[0].partition(" (see ")[0]
            raise TracingError(
                f"an operation in the cost has no derivative. JAX says: {reason}.\nFor eigenvectors use np.linalg.eigh "
                'of a symmetric matrix; or let the slope be measured by differences: derivatives="numeric".'
            ) from None
        return simplify(recorded, keep_derivatives=keep_derivatives)


def _identity(n: int) -> Any:
    if n <= KEPT_IDENTITY:
        return np.eye(n)
    rows, columns = (lax.broadcasted_iota(np.int32, (n, n), axis) for axis in (0, 1))
    return lax.convert_element_type(lax.eq(rows, columns), FLOAT)
