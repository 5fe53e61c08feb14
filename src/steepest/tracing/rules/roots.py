"""SciPy's solutions of equations: `brentq` and its kin, `newton`, `root_scalar`, `fsolve`, `root`, `fixed_point`.

The solution x(p) of f(x, p) = 0 is found without regard to slopes. Then it is put right by whole steps of Newton's
method, of which slopes are taken: each step doubles the order of the derivatives that are exact, by the implicit
function theorem (Griewank & Walther, "Evaluating Derivatives", 2008, chapter 15).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from . import factorisations as dense
from .functionals import Recorded, depends, number, recorded, settled
from .shape import reshape
from .values import Value, array_value, convert, refused, shape_of

EPS = float(np.finfo(float).eps)
# Whole steps of which slopes are taken: derivatives up to the third order are exact.
LAST_STEPS = 2
MOST_HALVINGS = 60
MOST_TURNS = 500


class Root(NamedTuple):
    """What `root_scalar` gives; `converged` and `flag` are those of a search that did, else the root is NaN."""

    root: Any
    converged: bool = True
    flag: str = "converged"
    method: str = ""


class Solution(NamedTuple):
    """What `root` gives; `success` is that of a search that found one, else `x` is NaN."""

    x: Any
    fun: Any
    success: bool = True
    status: int = 1
    message: str = "The solution converged."


# -- one unknown -------------------------------------------------------------------------------------------------


def bracketed(
    f: Callable[..., Any],
    a: Any,
    b: Any,
    args: Any = (),
    xtol: float = 2e-12,
    rtol: float = 8.881784197001252e-16,
    maxiter: int = 100,
    full_output: bool = False,
    disp: bool = True,
    **settings: Any,
) -> Any:
    """`scipy.optimize.brentq`, `brenth`, `bisect`, `ridder`, `toms748`: the root between a and b, NaN if none is."""
    equation = recorded(f, [()], args, shape=())
    if not depends(equation, a, b):
        return None
    found = _polished(equation, _between(equation.still(), number(a), number(b)))
    return (found, Root(found)) if full_output else found


def newton(
    func: Callable[..., Any],
    x0: Any,
    fprime: Any = None,
    args: Any = (),
    tol: float = 1.48e-8,
    maxiter: int = 50,
    fprime2: Any = None,
    x1: Any = None,
    rtol: float = 0.0,
    full_output: bool = False,
    disp: bool = True,
) -> Any:
    """`scipy.optimize.newton`: by secants, or by the exact slope where one is handed in; entry by entry of an array."""
    shape = shape_of(array_value(x0))
    equation = recorded(func, [shape], args, shape=shape)
    if not depends(equation, x0, x1):
        return None
    start = lax.stop_gradient(jnp.asarray(convert(array_value(x0), np.float64)))
    if fprime is None and shape == ():
        second = None if x1 is None else lax.stop_gradient(jnp.asarray(number(x1)))
        found = _by_secants(equation.still(), start, second, maxiter)
    else:
        found = _by_slopes(equation.still(), start, maxiter)
    found = _polished(equation, found)
    return (found, Root(found)) if full_output else found


def root_scalar(
    f: Callable[..., Any],
    args: Any = (),
    method: Any = None,
    bracket: Any = None,
    fprime: Any = None,
    fprime2: Any = None,
    x0: Any = None,
    x1: Any = None,
    xtol: Any = None,
    rtol: Any = None,
    maxiter: Any = None,
    options: Any = None,
) -> Any:
    """`scipy.optimize.root_scalar`, of a function that gives values only."""
    if fprime is True or fprime2 is True:
        raise refused(
            "scipy.optimize.root_scalar(..., fprime=True)",
            "of a function that gives value and slope has no rule",
            "Give the value alone: its slope is exact without.",
        )
    if bracket is not None:
        low, high = bracket
        found = bracketed(f, low, high, args)
    elif x0 is None:
        return None
    else:
        found = newton(f, x0, fprime, args, maxiter=maxiter or 50, x1=x1)
    return None if found is None else Root(found)


def _between(equation: Recorded, a: Value, b: Value) -> Value:
    """The root of f between two ends of unlike sign, by halving, and by the secant where that halves faster.

    The two are joined as in the method of Illinois (Dowell & Jarratt, 1971): every third turn halves.
    """
    a, b = (lax.stop_gradient(jnp.asarray(end)) for end in (a, b))
    at_a, at_b = equation(a), equation(b)

    def going(state: Any) -> Value:
        a, b, at_a, at_b, turns = state
        apart = jnp.abs(b - a) > 4.0 * EPS * jnp.maximum(jnp.abs(a), jnp.abs(b))
        return apart & (at_a != 0.0) & (at_b != 0.0) & (turns < 3 * MOST_HALVINGS)

    def turn(state: Any) -> Any:
        a, b, at_a, at_b, turns = state
        middle = 0.5 * (a + b)
        rise = at_b - at_a
        secant = b - at_b * (b - a) / jnp.where(rise == 0.0, 1.0, rise)
        inside = (secant > jnp.minimum(a, b)) & (secant < jnp.maximum(a, b))
        c = jnp.where(inside & (turns % 3 != 2), secant, middle)
        at_c = equation(c)
        same = jnp.sign(at_c) == jnp.sign(at_b)
        # The end that stays counts half, so that the next secant ends beyond the root.
        return (
            jnp.where(same, a, b),
            c,
            jnp.where(same, 0.5 * at_a, at_b),
            at_c,
            turns + 1,
        )

    a, b, at_a, at_b, _ = lax.while_loop(going, turn, (a, b, at_a, at_b, jnp.int64(0)))
    best = jnp.where(jnp.abs(at_a) < jnp.abs(at_b), a, b)
    crossed = ~(jnp.sign(at_a) * jnp.sign(at_b) > 0.0)
    return jnp.where(crossed, best, jnp.nan)


def _by_secants(equation: Recorded, start: Value, second: Value | None, most: int) -> Value:
    """As SciPy's `newton` without a slope walks, so that it comes to the same root."""
    if second is None:
        second = start * (1.0 + 1e-4) + jnp.where(start >= 0.0, 1e-4, -1e-4)
    at_start, at_second = equation(start), equation(second)
    swap = jnp.abs(at_second) < jnp.abs(at_start)
    state = (
        jnp.where(swap, start, second),
        jnp.where(swap, second, start),
        jnp.where(swap, at_start, at_second),
        jnp.where(swap, at_second, at_start),
        jnp.int64(0),
    )

    def going(state: Any) -> Value:
        before, now, at_before, at_now, turns = state
        moved = jnp.abs(now - before) > 1e-9 * jnp.maximum(jnp.abs(now), 1e-9)
        return moved & (at_now != 0.0) & (at_now != at_before) & (turns < most)

    def turn(state: Any) -> Any:
        before, now, at_before, at_now, turns = state
        onward = now - at_now * (now - before) / (at_now - at_before)
        return now, onward, at_now, equation(onward), turns + 1

    _, now, _, at_now, turns = lax.while_loop(going, turn, state)
    return jnp.where((turns < most) & jnp.isfinite(at_now), now, jnp.nan)


def _by_slopes(equation: Recorded, start: Value, most: int) -> Value:
    def step(x: Value) -> Value:
        value, slope = jax.jvp(equation, (x,), (jnp.ones_like(x),))
        return jnp.where(value == 0.0, 0.0, value / slope)

    def going(state: Any) -> Value:
        x, last, turns = state
        return jnp.any(jnp.abs(last) > 1e-9 * jnp.maximum(jnp.abs(x), 1e-9)) & (turns < most)

    def turn(state: Any) -> Any:
        x, _, turns = state
        last = step(x)
        return x - last, last, turns + 1

    first = step(start)
    x, last, turns = lax.while_loop(going, turn, (start - first, first, jnp.int64(1)))
    return jnp.where((turns < most) & jnp.isfinite(last), x, jnp.nan)


def _polished(equation: Recorded, x: Value) -> Value:
    """The root with its slopes, each entry of x being that of its own equation."""
    x = settled(x)
    for _ in range(LAST_STEPS):
        value, slope = jax.jvp(equation, (x,), (jnp.ones_like(x),))
        flat = settled(slope == 0.0)
        x = x - jnp.where(flat, 0.0, value) / jnp.where(flat, 1.0, slope)
    return x


# -- several unknowns --------------------------------------------------------------------------------------------


def fsolve(
    func: Callable[..., Any],
    x0: Any,
    args: Any = (),
    fprime: Any = None,
    full_output: int = 0,
    col_deriv: int = 0,
    xtol: float = 1.49012e-8,
    maxfev: int = 0,
    band: Any = None,
    epsfcn: Any = None,
    factor: float = 100,
    diag: Any = None,
) -> Any:
    """`scipy.optimize.fsolve`."""
    found = _system(func, x0, args)
    if found is None:
        return None
    x, value = found
    return (x, {"fvec": value}, 1, "The solution converged.") if full_output else x


def root(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    method: str = "hybr",
    jac: Any = None,
    tol: Any = None,
    callback: Any = None,
    options: Any = None,
) -> Any:
    """`scipy.optimize.root`, of a function that gives values only."""
    if jac is True:
        raise refused(
            "scipy.optimize.root(..., jac=True)",
            "of a function that gives values and slopes has no rule",
            "Give the values alone: their slopes are exact without.",
        )
    found = _system(fun, x0, args)
    return None if found is None else Solution(*found)


def fixed_point(
    func: Callable[..., Any],
    x0: Any,
    args: Any = (),
    xtol: float = 1e-8,
    maxiter: int = 500,
    method: str = "del2",
) -> Any:
    """`scipy.optimize.fixed_point`: where func(x) = x."""
    shape = shape_of(array_value(x0))
    mapping = recorded(func, [shape], args, shape=shape)
    if not depends(mapping, x0):
        return None
    return _solved(lambda held, x: mapping.with_held(held, x) - x, mapping, x0)[0]


def _system(func: Callable[..., Any], x0: Any, args: Any) -> tuple[Value, Value] | None:
    start = array_value(x0)
    start = reshape(start, (1,)) if shape_of(start) == () else start
    shape = shape_of(start)
    equations = recorded(func, [shape], args)
    size = int(np.prod(equations.shape))
    if size != int(np.prod(shape)):
        raise refused(
            f"a system of {size} equations for {int(np.prod(shape))} unknowns",
            "has no single solution",
            "Give as many equations as unknowns.",
        )
    if not depends(equations, start):
        return None
    return _solved(lambda held, x: equations.with_held(held, x), equations, start)


def _solved(at: Callable[[Any, Value], Value], function: Recorded, x0: Any) -> tuple[Value, Value]:
    """The root of a system and what is left of it there, by the method of Levenberg and Marquardt."""
    shape = shape_of(array_value(x0))
    held = function.still().held

    def flat(held: Any, x: Value) -> Value:
        return at(held, x.reshape(shape)).reshape(-1)

    def slopes(held: Any, x: Value) -> Value:
        return jax.jacfwd(lambda x: flat(held, x))(x)

    def size(value: Value) -> Value:
        return jnp.sqrt(jnp.sum(value * value))

    def going(state: Any) -> Value:
        _, value, last, _, turns = state
        return (last > 1e-12) & (size(value) > 0.0) & (turns < MOST_TURNS)

    def turn(state: Any) -> Any:
        x, value, _, damping, turns = state
        by_x = slopes(held, x)
        normal = by_x.T @ by_x
        lengths = jnp.diag(normal)
        lengths = jnp.where(lengths > 0.0, lengths, 1.0)
        damped = normal + jnp.diag(damping * lengths)
        # Undamped it is Newton's step, of which no square is needed.
        step = jnp.where(damping > 0.0, solved(damped, by_x.T @ value), solved(by_x, value))
        ahead = x - jnp.where(jnp.isfinite(step), step, 0.0)
        at_ahead = flat(held, ahead)
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

    start = settled(jnp.asarray(convert(array_value(x0), np.float64))).reshape(-1)
    first = flat(held, start)
    state = (start, first, jnp.float64(np.inf), jnp.float64(0.0), jnp.int64(0))
    x, value, *_ = lax.while_loop(going, turn, state)
    # Measured by what the start left or by Newton's step, neither of which knows the units of the equations.
    apart = jnp.max(jnp.abs(solved(slopes(held, x), value)))
    close = apart <= 1e-8 * jnp.maximum(jnp.max(jnp.abs(x)), 1.0)
    x = settled(jnp.where((size(value) <= 1e-8 * size(first)) | close, x, jnp.nan))
    for _ in range(LAST_STEPS):
        x = x - solved(slopes(function.held, x), flat(function.held, x))
    return x.reshape(shape), flat(function.held, x).reshape(function.shape)


def solved(matrix: Value, right: Value) -> Value:
    """The solution of a linear system, shape (n,)."""
    found: Value = dense.solve(matrix, right[:, None])[:, 0]
    return found


FUNCTIONS_BY_NAME: dict[str, Any] = {
    **dict.fromkeys(("brentq", "brenth", "bisect", "ridder", "toms748"), bracketed),
    "newton": newton,
    "root_scalar": root_scalar,
    "fsolve": fsolve,
    "root": root,
    "fixed_point": fixed_point,
}
