"""One primitive for integrals over [0, 1], many side by side: intervals are halved until two rules agree on each.

The rules are those of Gauss and Kronrod (Piessens et al., "QUADPACK", 1983). The integrand is a jaxpr of the place u
and of operands; the slope of an integral is the integral of the integrand's slope by its operands, another equation of
the same primitive, so that derivatives of every order are integrals to full accuracy themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad, batching, mlir

from ...numerics import EPS
from .recorded import KEPT, flattened, pushed
from .rows import Code, Context, call

# Its first operand are widths of u that are no more than the rounding of places, one for each part. Its parameters:
# `jaxpr`, closed, of u and the operands after that one, with a value of shape (entries,); `along`, for each operand
# whether it holds one value for each of the `batch` parts along its first axis, or one for all; `group`, so many parts
# in a row make one integral, their sum, whose size the tolerance is measured by; and this, `absolute` and `relative`.
integral_p = jex.Primitive("integral")
integral_p.multiple_results = True

# Intervals of one integral that wait at once: each is the half of the one before it, and beside zero doubles have room
# for so many.
ROOM = 1100
# Intervals looked at for one integral, some ten times those that a hard integrand needs.
MOST = 4000
# The part of the tolerance that an interval has, however short: beside a singular end there are many of them.
LEAST_SHARE = 1e-3
# A rule is believed no closer than this many units in the last place of the integral of |f|, nor closer than f changes
# over as many roundings of its place.
NOISE = 50.0
# Intervals looked at together: a call of NumPy takes as long for these as for one, and so many numbers at most.
FEW, NUMBERS = 8, 65536
# And by a compiled program, which keeps room for the halves of each.
MOST_COMPILED = 256


@cache
def kronrod() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes in [0, 1] of the 21-point Kronrod rule, its weights, and those of the 10-point Gauss rule among them.

    The nodes added to Gauss's are the zeros of the Stieltjes polynomial E, orthogonal to all lower powers with the
    weight P₁₀; the weights make the rule exact for polynomials (Laurie, "Calculation of Gauss-Kronrod quadrature
    rules", 1997, tells of better ways for many more points).

    >>> nodes, weights, gauss = kronrod()
    >>> bool(abs(weights @ nodes**31 - 1 / 32) < 1e-15), bool(abs(gauss @ nodes**19 - 1 / 20) < 1e-15)
    (True, True)
    """
    from numpy.polynomial import Legendre
    from numpy.polynomial.legendre import leggauss, legvander

    count = 10
    places, weights = leggauss(64)
    basis = legvander(places, count + 1)
    weighted = weights * basis[:, count]
    # E = P₁₁ + Σ c_j P_j with the conditions ∫ P₁₀ E P_i = 0 for i ≤ 10; only odd j count.
    table = np.einsum("q,qi,qj->ij", weighted, basis[:, : count + 1], basis)
    free = np.arange(1, count + 1, 2)
    coefficients = np.zeros(count + 2)
    coefficients[-1] = 1.0
    coefficients[free] = np.linalg.lstsq(table[:, free], -table[:, count + 1], rcond=None)[0]
    added = Legendre(coefficients)
    roots = np.sort(added.roots().real)
    for _ in range(3):
        roots = roots - added(roots) / added.deriv()(roots)
    own, own_weights = leggauss(count)
    nodes = np.sort(np.concatenate([own, roots]))
    nodes = 0.5 * (nodes - nodes[::-1])
    powers = legvander(nodes, 2 * count)
    moments = np.zeros(2 * count + 1)
    moments[0] = 2.0
    found = np.linalg.solve(powers.T, moments)
    gauss = np.zeros(nodes.size)
    gauss[1::2] = own_weights
    return 0.5 + 0.5 * nodes, 0.25 * (found + found[::-1]), 0.5 * gauss


def integrals(
    jaxpr: Any,
    least: Any,
    operands: Sequence[Any],
    along: Sequence[bool],
    group: int,
    absolute: float,
    relative: float,
) -> tuple[Any, Any]:
    """Sums of ∫ f(u, operands) du from 0 to 1, shape (batch / group, entries), and estimates of their errors."""
    total, error = integral_p.bind(
        least,
        *operands,
        jaxpr=jaxpr,
        along=(True, *along),
        batch=np.shape(least)[0],
        group=group,
        absolute=absolute,
        relative=relative,
    )
    return total, error


def side_by_side(equation: Any, count: int) -> Any:
    """The integrand as a closed jaxpr of places (count, nodes) and operands, those of each integral along `count`."""
    shapes = tuple((a.aval.shape, a.aval.dtype) for a in equation.invars[1:])
    return _side_by_side(equation.params["jaxpr"], equation.params["along"][1:], shapes, count)


@lru_cache(KEPT)
def _side_by_side(closed: Any, along: tuple[bool, ...], shapes: Any, count: int) -> Any:
    from ..passes import simplify

    function = many(closed, along)
    given = [
        jax.ShapeDtypeStruct((count, *shape[1:]) if mine else shape, dtype)
        for (shape, dtype), mine in zip(shapes, along, strict=True)
    ]
    places = jax.ShapeDtypeStruct((count, kronrod()[0].size), np.float64)
    with jax.enable_x64(True):
        return simplify(jax.make_jaxpr(function)(places, *given))


def many(closed: Any, along: tuple[bool, ...]) -> Callable[..., Any]:
    """The integrand at places (intervals, nodes): shape (intervals, nodes, entries)."""

    def one(*given: Any) -> Any:
        return jex.jaxpr_as_fun(closed)(*given)[0]

    nodes = jax.vmap(one, in_axes=(0, *(None for _ in along)))
    return jax.vmap(nodes, in_axes=(0, *(0 if mine else None for mine in along)))


# -- NumPy -------------------------------------------------------------------------------------------------------


def together(params: Any) -> int:
    """So many intervals of all integrals are looked at together."""
    room = NUMBERS // (kronrod()[0].size * max(1, params["jaxpr"].out_avals[0].size))
    return int(max(FEW, min(params["batch"], room)))


def written(equation: Any, context: Context) -> Code:
    """The equation as NumPy code."""
    params = equation.params
    functions = {count: context.function(side_by_side(equation, count)) for count in {FEW, together(params)}}
    settings = {key: params[key] for key in ("along", "batch", "group", "absolute", "relative")}
    entries = params["jaxpr"].out_avals[0].size

    def integrate(least: Any, *operands: Any) -> Any:
        return _integrated(functions, least, operands, entries, **settings)

    return call(integrate, len(equation.invars))


def _integrated(
    functions: dict[int, Callable[..., Any]],
    least: np.ndarray,
    operands: Sequence[Any],
    entries: int,
    along: tuple[bool, ...],
    batch: int,
    group: int,
    absolute: float,
    relative: float,
) -> tuple[np.ndarray, np.ndarray]:
    nodes, weights, gauss = kronrod()
    most = max(functions)
    total, size = np.zeros((2, batch // group, entries))
    error, looked = np.zeros(batch // group), np.zeros(batch // group, dtype=np.int64)
    which, low, width = np.arange(batch), np.zeros(batch), np.ones(batch)
    while which.size:
        # The last that came are looked at first, so that few wait.
        now = slice(max(0, which.size - most), which.size)
        mine, start, length = which[now], low[now], width[now]
        count = FEW if mine.size <= FEW else most
        padded = mine if mine.size == count else np.concatenate([mine, np.full(count - mine.size, mine[0])])
        places = np.full((count, nodes.size), 0.5)
        places[: mine.size] = start[:, None] + length[:, None] * nodes
        given = [
            np.asarray(operand)[padded] if own else operand
            for operand, own in zip(operands, along[1:], strict=True)
        ]
        values = np.asarray(functions[count](places, *given)[0])[: mine.size]
        sums = length[:, None] * (weights @ values)
        apart = length[:, None] * np.abs((weights - gauss) @ values)
        spread = length[:, None] * (weights @ np.abs(values - (weights @ values)[:, None, :]))
        absolutes = length[:, None] * (weights @ np.abs(values))
        # QUADPACK's estimate: the rules are apart by the error of the worse one.
        share = np.minimum(1.0, (200.0 * apart / np.where(spread > 0.0, spread, 1.0)) ** 1.5)
        doubt = spread * share
        whole = mine // group
        np.fmax.at(size, whole, absolutes)
        known = np.fmax(size, np.abs(total))[whole]
        allowed = np.maximum(absolute, relative * known) * np.maximum(length, LEAST_SHARE)[:, None]
        blur = NOISE * (EPS * absolutes + spread * (least[mine] / length)[:, None])
        fine = ~(doubt > np.maximum(allowed, blur)).any(axis=1)
        fine |= length <= np.maximum(least[mine], 4.0 * EPS * (start + length))
        np.add.at(looked, whole, 1)
        np.add.at(total, whole[fine], sums[fine])
        np.add.at(error, whole[fine], doubt[fine].max(axis=1, initial=0.0))
        # Of an integral that comes to no end no more is looked at.
        split = ~fine & (looked[whole] < MOST)
        total[whole[~fine & ~split]] = np.nan
        half = 0.5 * length[split]
        which = np.concatenate([which[: now.start], mine[split], mine[split]])
        low = np.concatenate([low[: now.start], start[split] + half, start[split]])
        width = np.concatenate([width[: now.start], half, half])
    return total, error


# -- JAX ---------------------------------------------------------------------------------------------------------


def _compiled(
    *operands: Any,
    jaxpr: Any,
    along: tuple[bool, ...],
    batch: int,
    group: int,
    absolute: float,
    relative: float,
) -> list[Any]:
    """The same walk, for a compiler."""
    nodes, weights, gauss = kronrod()
    least, *operands = operands  # type: ignore[assignment]
    function, entries = many(jaxpr, along[1:]), jaxpr.out_avals[0].size
    count = min(batch, MOST_COMPILED)
    room = batch + count * ROOM

    def going(state: Any) -> Any:
        return state[0] > 0

    def turn(state: Any) -> Any:
        waiting, which, low, width, looked, total, error, size = state
        rest = jnp.maximum(waiting - count, 0)
        mine, start, length = (lax.dynamic_slice(v, (rest,), (count,)) for v in (which, low, width))
        real = jnp.arange(count) < waiting - rest
        given = [o[mine] if own else o for o, own in zip(operands, along[1:], strict=True)]
        values = function(start[:, None] + length[:, None] * nodes, *given)
        sums = length[:, None] * jnp.einsum("n,cne->ce", weights, values)
        apart = length[:, None] * jnp.abs(jnp.einsum("n,cne->ce", weights - gauss, values))
        middle = jnp.einsum("n,cne->ce", weights, values)[:, None, :]
        spread = length[:, None] * jnp.einsum("n,cne->ce", weights, jnp.abs(values - middle))
        absolutes = length[:, None] * jnp.einsum("n,cne->ce", weights, jnp.abs(values))
        share = jnp.minimum(1.0, (200.0 * apart / jnp.where(spread > 0.0, spread, 1.0)) ** 1.5)
        doubt = spread * share
        whole = mine // group
        counted = real[:, None] & ~jnp.isnan(absolutes)
        size = size.at[whole].max(jnp.where(counted, absolutes, 0.0))
        known = jnp.fmax(size, jnp.abs(total))[whole]
        allowed = jnp.maximum(absolute, relative * known) * jnp.maximum(length, LEAST_SHARE)[:, None]
        blur = NOISE * (EPS * absolutes + spread * (least[mine] / length)[:, None])
        fine = ~(doubt > jnp.maximum(allowed, blur)).any(axis=1)
        fine = fine | (length <= jnp.maximum(least[mine], 4.0 * EPS * (start + length)))
        looked = looked.at[whole].add(real)
        taken = (real & fine)[:, None]
        total = total.at[whole].add(jnp.where(taken, sums, 0.0))
        error = error.at[whole].add(jnp.where(taken[:, 0], doubt.max(axis=1, initial=0.0), 0.0))
        split = real & ~fine & (looked[whole] < MOST)
        lost = real & ~fine & ~split
        total = total.at[whole].add(jnp.where(lost, jnp.nan, 0.0)[:, None])
        half, place = 0.5 * length, rest + 2 * (jnp.cumsum(split) - 1)
        first, second = (jnp.where(split, place + k, room) for k in (0, 1))
        return (
            rest + 2 * jnp.sum(split),
            which.at[first].set(mine, mode="drop").at[second].set(mine, mode="drop"),
            low.at[first].set(start + half, mode="drop").at[second].set(start, mode="drop"),
            width.at[first].set(half, mode="drop").at[second].set(half, mode="drop"),
            looked,
            total,
            error,
            size,
        )

    state = (
        jnp.int64(batch),
        jnp.concatenate([jnp.arange(batch), jnp.zeros(room - batch, jnp.int64)]),
        jnp.zeros(room),
        jnp.concatenate([jnp.ones(batch), jnp.zeros(room - batch)]),
        jnp.zeros(batch // group, jnp.int64),
        jnp.zeros((batch // group, entries)),
        jnp.zeros(batch // group),
        jnp.zeros((batch // group, entries)),
    )
    *_, total, error, _ = lax.while_loop(going, turn, state)
    return [total, error]


def _kinds(*operands: Any, jaxpr: Any, batch: int, group: int, **settings: Any) -> list[Any]:
    count, entries = batch // group, jaxpr.out_avals[0].size
    return [jax.core.ShapedArray((count, entries), np.float64), jax.core.ShapedArray((count,), np.float64)]


def _pushed(primals: Any, tangents: Any, *, jaxpr: Any, along: tuple[bool, ...], **settings: Any) -> Any:
    found = integral_p.bind(*primals, jaxpr=jaxpr, along=along, **settings)
    moving = (False, *(not isinstance(tangent, ad.Zero) for tangent in tangents[1:]))
    changes = [t for t, moves in zip(tangents, moving, strict=True) if moves]
    # A slope has no unit that the user's absolute tolerance is given in.
    change, _ = integral_p.bind(
        *primals,
        *changes,
        jaxpr=pushed(jaxpr, (False, *moving[1:])),
        along=along + tuple(mine for mine, moves in zip(along, moving, strict=True) if moves),
        **{**settings, "absolute": 0.0},
    )
    return found, [change, jnp.zeros_like(found[1])]


def _batched(operands: Any, axes: Any, *, along: tuple[bool, ...], batch: int, **settings: Any) -> Any:
    size, operands, along = flattened(operands, axes, along, batch)
    found = integral_p.bind(*operands, along=along, batch=size * batch, **settings)
    return [lax.reshape(v, (size, v.shape[0] // size, *v.shape[1:])) for v in found], [0, 0]


def _evaluated(*operands: Any, **settings: Any) -> Any:
    return jax.jit(lambda *given: _compiled(*given, **settings))(*operands)


integral_p.def_impl(_evaluated)
integral_p.def_abstract_eval(_kinds)
ad.primitive_jvps[integral_p] = _pushed
batching.primitive_batchers[integral_p] = _batched
mlir.register_lowering(integral_p, mlir.lower_fun(_compiled, multiple_results=True))
