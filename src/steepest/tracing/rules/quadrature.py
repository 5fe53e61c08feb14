"""SciPy's integrals of a function: `quad`, `quad_vec`, `dblquad`.

Intervals are halved until the two rules of Gauss and Kronrod on each agree (Piessens et al., "QUADPACK", 1983). The
tolerance is at least that of `TOLERANCE`, whatever SciPy is asked for: the slope is that of the sum that stands for the
integral, and is as good as that sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .functionals import Recorded, depends, number, recorded, settled
from .values import Value, is_traced, refused

TOLERANCE = 1e-12
# Intervals that wait at once: each is the half of the one before it, and beside zero doubles have room for so many.
ROOM = 1100
# Intervals looked at altogether, some ten times those that a hard integrand needs.
MOST = 4000
# The part of the tolerance that an interval has, however short: beside a singular end there are many of them.
LEAST_SHARE = 1e-3
# A rule is believed no closer than this many units in the last place of the integral of |f|.
NOISE = 50.0
EPS = float(np.finfo(float).eps)


@cache
def kronrod() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes in [-1, 1] of the 21-point Kronrod rule, its weights, and those of the 10-point Gauss rule among them.

    The nodes added to Gauss's are the zeros of the Stieltjes polynomial E, orthogonal to all lower powers with the
    weight P₁₀; the weights make the rule exact for polynomials (Laurie, "Calculation of Gauss-Kronrod quadrature
    rules", 1997, tells of better ways for many more points).

    >>> nodes, weights, gauss = kronrod()
    >>> bool(abs(weights @ nodes**30 - 2 / 31) < 1e-15), bool(abs(gauss @ nodes**18 - 2 / 19) < 1e-15)
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
    return nodes, 0.5 * (found + found[::-1]), gauss


def quad(
    func: Callable[..., Any],
    a: Any,
    b: Any,
    args: Any = (),
    full_output: int = 0,
    epsabs: float = 1.49e-8,
    epsrel: float = 1.49e-8,
    limit: int = 50,
    points: Any = None,
    weight: Any = None,
    wvar: Any = None,
    wopts: Any = None,
    maxp1: int = 50,
    limlst: int = 50,
    complex_func: bool = False,
) -> Any:
    """`scipy.integrate.quad`: the integral and the estimate of its error."""
    if weight is not None:
        raise refused(
            "scipy.integrate.quad(..., weight=...)", "has no rule", "Multiply the integrand by its weight."
        )
    if complex_func:
        raise refused(
            "scipy.integrate.quad(..., complex_func=True)",
            "has no rule",
            "Integrate real and imaginary part.",
        )
    integrand = recorded(func, [()], args, shape=())
    if not depends(integrand, a, b):
        return None
    found, error = integral(_vanishing(integrand), a, b, _places(points), epsabs, epsrel)
    return (found, error, {}) if full_output else (found, error)


def quad_vec(
    f: Callable[..., Any],
    a: Any,
    b: Any,
    epsabs: float = 1e-200,
    epsrel: float = 1e-8,
    norm: str = "2",
    cache_size: float = 1e8,
    limit: int = 10000,
    workers: Any = 1,
    points: Any = None,
    quadrature: Any = None,
    full_output: bool = False,
    *,
    args: Any = (),
) -> Any:
    """`scipy.integrate.quad_vec`: the integral of an array, entry by entry, and the estimate of its largest error."""
    integrand = recorded(f, [()], args)
    if not depends(integrand, a, b):
        return None
    found, error = integral(_vanishing(integrand), a, b, _places(points), epsabs, epsrel, integrand.shape)
    return (found, error, None) if full_output else (found, error)


def dblquad(
    func: Callable[..., Any],
    a: Any,
    b: Any,
    gfun: Any,
    hfun: Any,
    args: Any = (),
    epsabs: float = 1.49e-8,
    epsrel: float = 1.49e-8,
) -> Any:
    """`scipy.integrate.dblquad`: of `func(y, x)`, over x from a to b and y from gfun(x) to hfun(x)."""
    low, high = (recorded(edge, [()], shape=()) if callable(edge) else edge for edge in (gfun, hfun))
    integrand = recorded(func, [(), ()], args, shape=())
    if not depends(integrand, a, b, low, high):
        return None

    def along(x: Value) -> Value:
        """The integral over y."""
        begin, end = (edge(x) if isinstance(edge, Recorded) else edge for edge in (low, high))
        return integral(_vanishing(lambda y: integrand(y, x)), begin, end, [], epsabs, epsrel)[0]

    return integral(along, a, b, [], epsabs, epsrel)


def _vanishing(integrand: Callable[[Value], Value]) -> Callable[[Value], Value]:
    """The integrand, without slope where its value is zero since something overflows, as 1/(exp(t) - 1) far out.

    Its slope by t, which is ∞/∞ there too, shows where.
    """

    def at(t: Value) -> Value:
        value, change = jax.jvp(integrand, (t,), (jnp.ones_like(t),))
        lost = settled((lax.stop_gradient(value) == 0.0) & jnp.isnan(lax.stop_gradient(change)))
        return jnp.where(lost, 0.0, value)

    return at


def _places(points: Any) -> list[float]:
    return [] if points is None else [float(place) for place in np.ravel(points)]


def integral(
    integrand: Callable[[Value], Value],
    a: Any,
    b: Any,
    inner: list[float],
    absolute: float,
    relative: float,
    shape: tuple[int, ...] = (),
) -> tuple[Value, Value]:
    """∫ f from a to b, of `shape`, and an estimate of its error; `inner`: places to begin new intervals at."""
    tolerances = min(absolute, TOLERANCE), min(relative, TOLERANCE)
    endless = [not is_traced(end) and bool(np.isinf(end)) for end in (a, b)]
    if not any(endless):
        ends = [number(a), *sorted(inner), number(b)]
        return _halved(integrand, shape, jnp.stack(ends), *tolerances)
    if all(endless):
        sign = 0.0 if a == b else float(np.sign(b))

        def at(t: Value) -> Value:
            return sign * (integrand(t) + integrand(-t))

    else:
        # Outwards from the end that is finite; an integral that begins at the endless one runs the other way.
        start, way = (number(a), float(np.sign(b))) if endless[1] else (number(b), float(np.sign(a)))
        sign = way if endless[1] else -way

        def at(t: Value) -> Value:
            return sign * integrand(start + way * t)

    def onward(u: Value) -> Value:
        return at((1.0 - u) / u) / (u * u)

    return _halved(onward, shape, np.array([0.0, 1.0]), *tolerances)


def _halved(
    integrand: Callable[[Value], Value], shape: tuple[int, ...], ends: Value, absolute: float, relative: float
) -> tuple[Value, Value]:
    nodes, weights, gauss = kronrod()
    still = lax.stop_gradient

    def rule(low: Value, high: Value) -> tuple[Value, Value, Value]:
        """The integral over one interval, its error as far as the two rules tell, and the integral of |f|."""
        half, middle = 0.5 * (high - low), 0.5 * (high + low)
        values = jax.vmap(integrand)(middle + half * nodes).reshape(nodes.size, -1)
        sums = half * (weights @ values)
        plain, width = still(values), jnp.abs(still(half))
        apart = width * jnp.abs((weights - gauss) @ plain)
        spread = width * (weights @ jnp.abs(plain - 0.5 * (weights @ plain)))
        # QUADPACK's estimate: the rules are apart by the error of the worse one.
        share = jnp.minimum(1.0, (200.0 * apart / jnp.where(spread > 0.0, spread, 1.0)) ** 1.5)
        return sums, jnp.max(spread * share), jnp.max(width * (weights @ jnp.abs(plain)))

    count, entries = ends.shape[0] - 1, math.prod(shape)
    room = ROOM + count
    whole = jnp.abs(still(ends[-1] - ends[0]))

    def going(state: Any) -> Value:
        return (state[-2] > 0) & (state[-1] < MOST)

    def turn(state: Any) -> Any:
        lows, highs, total, error, size, waiting, turns = state
        last = waiting - 1
        low, high = lows[last], highs[last]
        middle = 0.5 * (low + high)
        sums, doubt, absolutes = rule(low, high)
        width = jnp.abs(still(high - low))
        known = jnp.maximum(jnp.max(jnp.abs(still(total))), size)
        share = jnp.maximum(width / jnp.where(whole > 0.0, whole, 1.0), LEAST_SHARE)
        allowed = jnp.maximum(absolute, relative * known) * share
        edge = jnp.maximum(jnp.abs(still(low)), jnp.abs(still(high)))
        thin = (width <= 4.0 * EPS * edge) | (last + 2 > room - 1)
        taken = ~(doubt > jnp.maximum(allowed, NOISE * EPS * absolutes)) | thin
        # An interval that is not taken makes room for its halves, the first of which is looked at next.
        lows = lows.at[last + 1].set(low).at[last].set(jnp.where(taken, low, middle))
        highs = highs.at[last + 1].set(jnp.where(taken, high, middle)).at[last].set(high)
        return (
            lows,
            highs,
            total + jnp.where(taken, sums, 0.0),
            error + jnp.where(taken, doubt, 0.0),
            jnp.maximum(size, absolutes),
            jnp.where(taken, last, last + 2),
            turns + 1,
        )

    # The first interval lies on top.
    empty = jnp.zeros(ROOM)
    state = (
        jnp.concatenate([ends[:-1][::-1], empty]),
        jnp.concatenate([ends[1:][::-1], empty]),
        jnp.zeros(entries),
        jnp.zeros(()),
        jnp.zeros(()),
        jnp.int64(count),
        jnp.int64(0),
    )
    _, _, total, error, _, left, _ = lax.while_loop(going, turn, state)
    return jnp.where(settled(left > 0), jnp.nan, total).reshape(shape), error


FUNCTIONS_BY_NAME: dict[str, Any] = {"quad": quad, "quad_vec": quad_vec, "dblquad": dblquad}
