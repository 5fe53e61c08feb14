"""One primitive for the roots of equations, many side by side: found without regard to slopes, which follow from them.

The slope of the root x(p) of f(x, p) = 0 is that of the implicit function theorem, -(∂f/∂x)⁻¹ ∂f/∂p, written with x
itself, so that derivatives of every order are exact. It is NaN where the theorem does not hold: at a double root, where
the root is none for a p beside, or where two of the equations say the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.interpreters import ad, batching, mlir

from ...numerics import EPS
from .recorded import KEPT, flattened
from .rows import Code, Context, text

# Its parameters: `jaxpr`, closed, of the unknowns, shape (n,), and of what it reads, with a value of shape (n,); `way`,
# a name among `WAYS`, and `starts`, so many of the first operands it begins at; `most` turns of a way, or crossings of
# a function; `along` and `batch` as for integrals. It gives roots, shape (batch, n), and which of them have slopes.
root_p = jex.Primitive("root")
root_p.multiple_results = True

MOST_HALVINGS = 60
MOST_TURNS = 500
# Steps of Newton's method after a way has come to its end.
LAST_STEPS = 2
# Where a change of sign is sought, what is left there of the values beside it is no more than this, unless f jumps.
CONTINUOUS = 1e-6
# A root is simple if the slope of its equation changes by no more than this part of itself over the last step of
# Newton's method: Kantorovich's theorem wants less than a half. At a double root a half is lost, at a triple one more.
MOST_CHANGE = 0.25

Function = Callable[..., Any]


def roots(
    jaxpr: Any, way: str, starts: Sequence[Any], held: Sequence[Any], most: int = MOST_TURNS
) -> tuple[Any, Any]:
    """The root, shape (n,), of the equation that reads `held`, from `starts`, NaN if none; where it has slopes."""
    operands = [*(jnp.asarray(start)[None] for start in starts), *held]
    along = (True,) * len(starts) + (False,) * len(held)
    found, regular = root_p.bind(
        *operands, jaxpr=jaxpr, way=way, starts=len(starts), most=most, along=along, batch=1
    )
    return found[0], regular[0]


# -- ways --------------------------------------------------------------------------------------------------------


def _between(f: Function, starts: Sequence[Any], most: int) -> Any:
    """The root of each f between two ends of unlike sign, by halving, and by the secant where that halves faster.

    The two are joined as in the method of Illinois (Dowell & Jarratt, 1971): every third turn halves.
    """
    a, b = starts
    at_a, at_b = f(a), f(b)

    def active(a: Any, b: Any, at_a: Any, at_b: Any) -> Any:
        apart = jnp.abs(b - a) > 4.0 * EPS * jnp.maximum(jnp.abs(a), jnp.abs(b))
        return apart & (at_a != 0.0) & (at_b != 0.0)

    def going(state: Any) -> Any:
        *ends, turns = state
        return jnp.any(active(*ends)) & (turns < 3 * MOST_HALVINGS)

    def turn(state: Any) -> Any:
        a, b, at_a, at_b, turns = state
        middle = 0.5 * (a + b)
        rise = at_b - at_a
        secant = b - at_b * (b - a) / jnp.where(rise == 0.0, 1.0, rise)
        inside = (secant > jnp.minimum(a, b)) & (secant < jnp.maximum(a, b))
        c = jnp.where(inside & (turns % 3 != 2), secant, middle)
        c = jnp.where(active(a, b, at_a, at_b), c, b)
        at_c = f(c)
        same = jnp.sign(at_c) == jnp.sign(at_b)
        # The end that stays counts half, so that the next secant ends beyond the root.
        moved = jnp.where(same, a, b), c, jnp.where(same, 0.5 * at_a, at_b), at_c
        kept = [jnp.where(active(a, b, at_a, at_b), new, old) for new, old in zip(moved, state, strict=False)]
        return *kept, turns + 1

    a, b, at_a, at_b, _ = lax.while_loop(going, turn, (a, b, at_a, at_b, jnp.int64(0)))
    best = jnp.where(jnp.abs(at_a) < jnp.abs(at_b), a, b)
    crossed = ~(jnp.sign(at_a) * jnp.sign(at_b) > 0.0)
    return jnp.where(crossed, best, jnp.nan)


def _by_secants(f: Function, starts: Sequence[Any], most: int) -> Any:
    """As SciPy's `newton` without a slope walks, so that it comes to the same root."""
    start, second = starts
    at_start, at_second = f(start), f(second)
    swap = jnp.abs(at_second) < jnp.abs(at_start)
    state = (
        jnp.where(swap, start, second),
        jnp.where(swap, second, start),
        jnp.where(swap, at_start, at_second),
        jnp.where(swap, at_second, at_start),
        jnp.int64(0),
    )

    def going(state: Any) -> Any:
        before, now, at_before, at_now, turns = state
        moved = jnp.abs(now - before) > 1e-9 * jnp.maximum(jnp.abs(now), 1e-9)
        return jnp.all(moved & (at_now != 0.0) & (at_now != at_before)) & (turns < most)

    def turn(state: Any) -> Any:
        before, now, at_before, at_now, turns = state
        onward = now - at_now * (now - before) / (at_now - at_before)
        return now, onward, at_now, f(onward), turns + 1

    _, now, _, at_now, turns = lax.while_loop(going, turn, state)
    return jnp.where((turns < most) & jnp.isfinite(at_now), now, jnp.nan)


def _by_slopes(f: Function, starts: Sequence[Any], most: int) -> Any:
    def step(x: Any) -> Any:
        value, slope = jax.jvp(f, (x,), (jnp.ones_like(x),))
        return jnp.where(value == 0.0, 0.0, value / slope)

    def going(state: Any) -> Any:
        x, last, turns = state
        return jnp.any(jnp.abs(last) > 1e-9 * jnp.maximum(jnp.abs(x), 1e-9)) & (turns < most)

    def turn(state: Any) -> Any:
        x, _, turns = state
        last = step(x)
        return x - last, last, turns + 1

    (start,) = starts
    first = step(start)
    x, last, turns = lax.while_loop(going, turn, (start - first, first, jnp.int64(1)))
    return jnp.where((turns < most) & jnp.isfinite(last), x, jnp.nan)


def _system(f: Function, starts: Sequence[Any], most: int) -> Any:
    """The root of a system by the method of Levenberg and Marquardt."""
    slopes = jax.jacfwd(f)

    def size(value: Any) -> Any:
        return jnp.sqrt(jnp.sum(value * value))

    def going(state: Any) -> Any:
        _, value, last, _, turns = state
        return (last > 1e-12) & (size(value) > 0.0) & (turns < MOST_TURNS)

    def turn(state: Any) -> Any:
        x, value, _, damping, turns = state
        by_x = slopes(x)
        normal = by_x.T @ by_x
        lengths = jnp.diag(normal)
        lengths = jnp.where(lengths > 0.0, lengths, 1.0)
        damped = normal + jnp.diag(damping * lengths)
        # Undamped it is Newton's step, of which no square is needed.
        plain = damping <= 0.0
        step = _solved(jnp.where(plain, by_x, damped), jnp.where(plain, value, by_x.T @ value))
        ahead = x - jnp.where(jnp.isfinite(step), step, 0.0)
        at_ahead = f(ahead)
        better = size(at_ahead) < size(value)
        relaxed = jnp.where(damping > 1e-6, 0.1 * damping, 0.0)
        last = jnp.max(jnp.abs(ahead - x) / jnp.maximum(jnp.abs(x), 1e-300))
        last = jnp.where(better | (damping > 1e12), last, jnp.inf)
        last = jnp.where(damping > 1e12, 0.0, last)
        return (
            jnp.where(better, ahead, x),
            jnp.where(better, at_ahead, value),
            last,
            jnp.where(better, relaxed, jnp.maximum(10.0 * damping, 1e-6)),
            turns + 1,
        )

    (start,) = starts
    first = f(start)
    state = (start, first, jnp.float64(np.inf), jnp.float64(0.0), jnp.int64(0))
    x, value, *_ = lax.while_loop(going, turn, state)
    # Measured by what the start left or by Newton's step, neither of which knows the units of the equations.
    apart = jnp.max(jnp.abs(_solved(slopes(x), value)))
    close = apart <= 1e-8 * jnp.maximum(jnp.max(jnp.abs(x)), 1.0)
    return jnp.where((size(value) <= 1e-8 * size(first)) | close, x, jnp.nan)


def _crossings(f: Function, starts: Sequence[Any], most: int) -> tuple[Any, Any]:
    """The first `most` places where each f changes its sign, from one end of a grid to the other; NaN beyond the last.

    f (n,) holds `most` equal functions in a row. Beside the grid it is looked at where parabolas through three values
    have their least: there it may change its sign twice. Where there are more changes there is no telling of slopes.
    """
    grid, like = starts
    count, columns = like.size // most, -(-grid.size // most)

    def at(places: Any) -> Any:
        """The values at places (count, columns * most)."""
        rows = jnp.moveaxis(places.reshape(count, columns, most), 1, 0).reshape(columns, -1)
        return jnp.moveaxis(jax.vmap(f)(rows).reshape(columns, count, most), 0, 1).reshape(count, -1)

    places = jnp.concatenate([grid, jnp.full(columns * most - grid.size, grid[-1])])
    places = jnp.broadcast_to(places, (count, places.size))
    values = at(places)
    before, here, after = (jnp.roll(places, k, axis=1) for k in (1, 0, -1))
    low, middle, high = (jnp.roll(values, k, axis=1) for k in (1, 0, -1))
    left, right = (middle - low) / (here - before), (high - middle) / (after - here)
    bend = (right - left) / (after - before)
    least = 0.5 * (before + here) - 0.5 * left / bend
    between = (least - before) * (after - least) > 0.0
    least = jnp.where(between, least, here).at[:, 0].set(places[:, 0]).at[:, -1].set(places[:, -1])
    both = jnp.concatenate([places, least], axis=1)
    order = jnp.argsort(jnp.sign(grid[-1] - grid[0]) * both, axis=1)
    both, values = (
        jnp.take_along_axis(v, order, axis=1) for v in (both, jnp.concatenate([values, at(least)], axis=1))
    )
    known = jnp.isfinite(values)
    change = ((values[:, 1:] >= 0.0) != (values[:, :-1] >= 0.0)) & known[:, 1:] & known[:, :-1]
    number = jnp.cumsum(change, axis=1)
    first = jnp.stack([jnp.argmax(change & (number == k + 1), axis=1) for k in range(most)], axis=1)
    there = number[:, -1:] > np.arange(most)
    ends = [jnp.take_along_axis(both, first + k, axis=1).reshape(-1) for k in (0, 1)]
    found = _between(f, ends, most)
    # Where f jumps over zero there is no root.
    low, high = (f(end) for end in ends)
    there = there.reshape(-1) & (jnp.abs(f(found)) <= CONTINUOUS * jnp.abs(high - low))
    told = jnp.broadcast_to(number[:, -1:] <= most, (count, most))
    return jnp.where(there, found, jnp.nan), told.reshape(-1)


WAYS: dict[str, Callable[..., Any]] = {
    "between": _between,
    "secants": _by_secants,
    "slopes": _by_slopes,
    "system": _system,
    "crossings": _crossings,
}


def _slope(way: str, f: Function, x: Any) -> Any:
    """∂f/∂x: of a system a matrix, else of each entry by its own unknown."""
    return jax.jacfwd(f)(x) if way == "system" else jax.jvp(f, (x,), (jnp.ones_like(x),))[1]


def _over(slope: Any, right: Any) -> Any:
    return _solved(slope, right) if slope.ndim == 2 else right / slope


def _solved(matrix: Any, right: Any) -> Any:
    return jnp.linalg.solve(matrix, right[:, None])[:, 0]


def _found(jaxpr: Any, way: str, starts: int, most: int, *operands: Any) -> list[Any]:
    """One root and which of its entries have slopes."""

    def f(x: Any) -> Any:
        return jex.jaxpr_as_fun(jaxpr)(x, *operands[starts:])[0]

    x = WAYS[way](f, operands[:starts], most)
    x, told = x if isinstance(x, tuple) else (x, jnp.ones(x.shape, bool))
    for _ in range(LAST_STEPS):
        ahead = x - _over(_slope(way, f, x), f(x))
        left, before = jnp.abs(f(ahead)), jnp.abs(f(x))
        if way == "system":
            left, before = jnp.max(left), jnp.max(before)
        x = jnp.where(left <= before, ahead, x)
    return [x, told & _is_simple(way, f, x)]


def _is_simple(way: str, f: Function, x: Any) -> Any:
    """By entry; where it cannot be told there is no slope."""
    slope = _slope(way, f, x)
    aside = jnp.maximum(jnp.abs(_over(slope, f(x))), 4.0 * EPS * jnp.abs(x))
    changes = [_slope(way, f, other) - slope for other in (x + aside, x - aside)]
    if way != "system":
        return (jnp.abs(changes[0] / slope) <= MOST_CHANGE) & (jnp.abs(changes[1] / slope) <= MOST_CHANGE)
    inverse = jnp.linalg.inv(slope)
    steady = [jnp.max(jnp.abs(inverse @ change).sum(axis=1)) <= MOST_CHANGE for change in changes]
    # Skeel's condition number, which does not know the units of the equations.
    lengths = (jnp.abs(inverse) @ jnp.abs(slope)).sum(axis=1)
    whole = steady[0] & steady[1] & (jnp.max(lengths) <= 0.1 / (EPS * x.size))
    return jnp.broadcast_to(whole, x.shape)


# -- the primitive -----------------------------------------------------------------------------------------------


def side_by_side(equation: Any) -> Any:
    """The equation as a closed jaxpr of plain operations on its operands."""
    settings = tuple(sorted(equation.params.items(), key=lambda item: item[0]))
    return _side_by_side(settings, tuple((a.aval.shape, a.aval.dtype) for a in equation.invars))


@lru_cache(KEPT)
def _side_by_side(settings: Any, shapes: Any) -> Any:
    from ..passes import simplify

    given = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in shapes]
    with jax.enable_x64(True):
        return simplify(jax.make_jaxpr(lambda *operands: _plain(*operands, **dict(settings)))(*given))


def written(equation: Any, context: Context) -> Code:
    """The equation as NumPy code."""
    operands = ", ".join(f"{{{i}}}" for i in range(len(equation.invars)))
    return text(f"{{function}}({operands})", fresh=False, function=context.function(side_by_side(equation)))


def _plain(
    *operands: Any, jaxpr: Any, way: str, starts: int, most: int, along: tuple[bool, ...], batch: int
) -> list[Any]:
    axes = tuple(0 if mine else None for mine in along)
    found = jax.vmap(lambda *given: _found(jaxpr, way, starts, most, *given), axes, axis_size=batch)
    return list(found(*operands))


def _kinds(*operands: Any, jaxpr: Any, batch: int, **settings: Any) -> list[Any]:
    shape = (batch, jaxpr.out_avals[0].size)
    return [jax.core.ShapedArray(shape, np.float64), jax.core.ShapedArray(shape, np.bool_)]


def _pushed(primals: Any, tangents: Any, **settings: Any) -> Any:
    x, simple = root_p.bind(*primals, **settings)
    no_slope = np.zeros(simple.shape, jax.dtypes.float0)
    first, along = settings["starts"], settings["along"]
    moving = [k for k, t in enumerate(tangents) if k >= first and not isinstance(t, ad.Zero)]
    if not moving:
        return [x, simple], [jnp.zeros_like(x), no_slope]

    def change(x: Any, simple: Any, held: Sequence[Any], changes: Sequence[Any]) -> Any:
        def f(x: Any, some: Sequence[Any]) -> Any:
            inputs = list(held)
            for k, value in zip(moving, some, strict=True):
                inputs[k - first] = value
            return jex.jaxpr_as_fun(settings["jaxpr"])(x, *inputs)[0]

        still = [held[k - first] for k in moving]
        by_held = jax.jvp(lambda some: f(x, some), (still,), (list(changes),))[1]
        slope = _slope(settings["way"], lambda x: f(x, still), x)
        return _over(jnp.where(simple, slope, jnp.nan), -by_held)

    axes = [0 if mine else None for mine in along]
    mapped = jax.vmap(change, (0, 0, axes[first:], [axes[k] for k in moving]))
    found = mapped(x, simple, list(primals[first:]), [tangents[k] for k in moving])
    return [x, simple], [found, no_slope]


def _batched(operands: Any, axes: Any, *, along: tuple[bool, ...], batch: int, **settings: Any) -> Any:
    size, operands, along = flattened(operands, axes, along, batch)
    found = root_p.bind(*operands, along=along, batch=size * batch, **settings)
    return [lax.reshape(v, (size, batch, *v.shape[1:])) for v in found], [0, 0]


root_p.def_impl(lambda *operands, **settings: jax.jit(lambda *given: _plain(*given, **settings))(*operands))
root_p.def_abstract_eval(_kinds)
ad.primitive_jvps[root_p] = _pushed
batching.primitive_batchers[root_p] = _batched
mlir.register_lowering(root_p, mlir.lower_fun(_plain, multiple_results=True))
