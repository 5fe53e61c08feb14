"""SciPy's integrals of a function: `quad`, `quad_vec`, `dblquad` and their kin.

Intervals are halved until the two rules of Gauss and Kronrod on each agree (Piessens et al., "QUADPACK", 1983). The
tolerance is at least that of `TOLERANCE`, whatever SciPy is asked for: the slope is that of the sum that stands for the
integral, and is as good as that sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
from jax import lax

from ...numerics import EPS
from ..primitives.integral import integrals
from ..settled import settled
from .functionals import FLOAT, Recorded, depends, number, program, recorded, recorded_plainly
from .shape import ravel, reshape
from .switches import switching
from .values import Value, dtype_of, is_traced, refused

TOLERANCE = 1e-12


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
    shape = (2,) if complex_func else ()
    integrand = recorded(func, [()], args, shape=shape, parts=complex_func)
    if not depends(integrand, a, b, points, wvar):
        return None
    if weight is not None:
        integrand = _weighted(integrand, weight, wvar)
    found, error = integral(integrand, a, b, _places(points), epsabs, epsrel)
    if complex_func:
        # Real and imaginary part have one estimate of the error.
        found, error = lax.complex(found[0], found[1]), lax.complex(error, error)
    return (found, error, {}) if full_output else (found, error)


def _weighted(integrand: Recorded, weight: str, frequency: Any) -> Recorded:
    """The integrand times its weight."""
    waves: dict[str, Callable[[Value], Value]] = {"cos": jnp.cos, "sin": jnp.sin}
    if weight not in waves:
        raise refused(
            f"scipy.integrate.quad(..., weight={weight!r})",
            "has no rule",
            "Multiply the integrand by its weight; where that has a pole at c, subtract f(c) before, and add "
            "f(c)*np.log((b - c)/(c - a)) to the integral.",
        )
    kind = jax.ShapeDtypeStruct((), FLOAT)
    return recorded_plainly(lambda t: integrand(t) * waves[weight](number(frequency) * t), [kind])


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
    if not depends(integrand, a, b, points):
        return None
    found, error = integral(integrand, a, b, _places(points), epsabs, epsrel)
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
    integrand = recorded(func, [(), ()], args, shape=())
    return _nested(integrand, [_edges((gfun, hfun), 1), (a, b)], epsabs, epsrel)


def tplquad(
    func: Callable[..., Any],
    a: Any,
    b: Any,
    gfun: Any,
    hfun: Any,
    qfun: Any,
    rfun: Any,
    args: Any = (),
    epsabs: float = 1.49e-8,
    epsrel: float = 1.49e-8,
) -> Any:
    """`scipy.integrate.tplquad`: of `func(z, y, x)`; y from gfun(x) to hfun(x), z from qfun(x, y) to rfun(x, y)."""
    integrand = recorded(func, [(), (), ()], args, shape=())

    def turned(edge: Any) -> Any:
        """Ours are functions of the variables in the order of the integrand's."""
        return (lambda y, x: edge(x, y)) if callable(edge) else edge

    innermost = _edges((turned(qfun), turned(rfun)), 2)
    return _nested(integrand, [innermost, _edges((gfun, hfun), 1), (a, b)], epsabs, epsrel)


def nquad(
    func: Callable[..., Any], ranges: Any, args: Any = None, opts: Any = None, full_output: bool = False
) -> Any:
    """`scipy.integrate.nquad`: over the first argument first; a range may be a function of those after its own."""
    further = () if args is None else args if isinstance(args, tuple) else (args,)
    count = len(ranges)
    integrand = recorded(func, [()] * count, further, shape=())

    def edge(span: Callable[..., Any], k: int) -> Callable[..., Any]:
        return lambda *outer: span(*outer, *further)[k]

    spans = [
        _edges((edge(span, 0), edge(span, 1)), count - 1 - k) if callable(span) else tuple(span)
        for k, span in enumerate(ranges)
    ]
    settings = {} if opts is None else opts
    if not isinstance(settings, dict) or set(settings) - {"epsabs", "epsrel", "limit"}:
        raise refused(
            "scipy.integrate.nquad(..., opts=...) other than one tolerance for all",
            "has no rule",
            "Nest quad in functions of your own.",
        )
    found = _nested(integrand, spans, settings.get("epsabs", 1.49e-8), settings.get("epsrel", 1.49e-8))
    return (*found, {}) if full_output and found is not None else found


def _edges(edges: tuple[Any, Any], count: int) -> tuple[Any, Any]:
    """Ends of a range, recorded where they are functions of `count` variables; numbers where these give such."""
    low, high = (recorded(e, [()] * count, shape=()) if callable(e) else e for e in edges)
    return _number_of(low), _number_of(high)


def _number_of(edge: Any) -> Any:
    """The value of a function that is the same everywhere, as that of an infinite end."""
    if not isinstance(edge, Recorded) or edge.held or edge.jaxpr.jaxpr.eqns:
        return edge
    (out,) = edge.jaxpr.jaxpr.outvars
    return float(out.val) if isinstance(out, jex.Literal) else edge


def _nested(
    integrand: Recorded, spans: Sequence[tuple[Any, Any]], absolute: float, relative: float
) -> tuple[Value, Value] | None:
    """The integral over all variables, the first innermost; ends may be functions of the variables after their own."""
    if not depends(integrand, *(end for span in spans for end in span)):
        return None

    def over(k: int, outer: tuple[Value, ...]) -> tuple[Value, Value]:
        low, high = (end(*outer) if isinstance(end, Recorded) else end for end in spans[k])

        def inner(x: Value) -> Value:
            return over(k - 1, (x, *outer))[0] if k else integrand(x, *outer)

        along = recorded_plainly(inner, [jax.ShapeDtypeStruct((), FLOAT)])
        return integral(along, low, high, [], absolute, relative)

    return over(len(spans) - 1, ())


def fixed_quad(func: Callable[..., Any], a: Any, b: Any, args: Any = (), n: int = 5) -> Any:
    """`scipy.integrate.fixed_quad`: by Gauss's rule of n points, at which the function is called all together."""
    from numpy.polynomial.legendre import leggauss

    integrand = recorded(func, [(n,)], args)
    if not depends(integrand, a, b):
        return None
    nodes, weights = leggauss(n)
    low, half = number(a), 0.5 * (number(b) - number(a))
    return half * jnp.sum(weights * integrand(low + half * (nodes + 1.0)), axis=-1), None


def _places(points: Any) -> list[Value]:
    return (
        []
        if points is None
        else [number(place) for place in (points if isinstance(points, (list, tuple)) else list(points))]
    )


def integral(
    integrand: Recorded,
    a: Any,
    b: Any,
    inner: Sequence[Value],
    absolute: float,
    relative: float,
) -> tuple[Value, Value]:
    """∫ f from a to b, of the integrand's shape, and an estimate of its error; `inner`: places to split at.

    Every interval is gone over from both its ends to its middle, t = start + length·u, since u comes closest to zero.
    """
    endless = [not is_traced(end) and bool(np.isinf(end)) for end in (a, b)]
    if any(endless):
        if inner:
            raise ValueError("Infinity inputs cannot be used with break points.")
        return _endless(integrand, a, b, endless, absolute, relative)
    first, last = jnp.asarray(number(a)), jnp.asarray(number(b))
    inner = jnp.concatenate(
        [jnp.asarray(place)[None] for place in inner] + [switching(integrand, (first, last))]
    )
    sense = settled(jnp.where(last < first, -1.0, 1.0))
    ends = jnp.concatenate([first[None], sense * jnp.sort(sense * inner), last[None]])
    half = 0.5 * (ends[1:] - ends[:-1])

    def part(u: Value, start: Value, way: Value, half: Value) -> Value:
        return _part(half, start, start + way * half * u, integrand)

    starts, ways = jnp.concatenate([ends[:-1], ends[1:]]), np.repeat([1.0, -1.0], half.size)
    lengths = jnp.concatenate([half, half])
    least = _least(starts, lengths)
    return _added(part, least, (starts, ways, lengths), absolute, relative, integrand.shape)


def _part(weight: Value, start: Value, place: Value, integrand: Recorded) -> Value:
    """The integrand times its weight; nothing at the end of an interval, to rounding, if it is infinite there."""
    found = ravel(integrand(place))
    at_the_end = jnp.abs(place - start) <= 4.0 * EPS * jnp.abs(start)
    return jnp.where(settled(at_the_end & ~jnp.isfinite(found)), 0.0, weight * found)


def _endless(
    integrand: Recorded, a: Any, b: Any, endless: Sequence[bool], absolute: float, relative: float
) -> tuple[Value, Value]:
    """An integral to infinity: to a distance of one as any other, and from there on in 1/t."""
    if all(endless):
        if a == b:
            return jnp.zeros(integrand.shape), jnp.zeros(())
        halves = [
            _endless(integrand, 0.0, way * np.inf, (False, True), absolute, relative) for way in (1.0, -1.0)
        ]
        (up, error), (down, more) = halves
        return float(np.sign(b)) * (up - down), error + more
    # Outwards from the end that is finite; an integral that begins at the endless one runs the other way.
    start, way = (number(a), float(np.sign(b))) if endless[1] else (number(b), float(np.sign(a)))
    sign = way if endless[1] else -way
    start = jnp.asarray(start)
    inner = way * jnp.sort(way * switching(integrand, (start, way), np.inf))
    ends = jnp.concatenate([start[None], inner])
    half = 0.5 * way * (ends[1:] - ends[:-1])

    def part(u: Value, start: Value, way: Value, length: Value, far: Value) -> Value:
        away = jnp.where(far, 1.0 / u, u)
        weight = sign * jnp.where(far, 1.0 / (u * u), length)
        return _part(weight, start, start + way * length * away, integrand)

    starts = jnp.concatenate([ends[:-1], ends[1:], ends[-1:], ends[-1:]])
    ways = np.concatenate([np.repeat([way, -way], half.size), [way, way]])
    far = np.arange(starts.size) == starts.size - 1
    lengths = jnp.concatenate([half, half, np.ones(2)])
    least = jnp.where(far, 0.0, _least(starts, lengths))
    return _added(part, least, (starts, ways, lengths, far), absolute, relative, integrand.shape)


def _least(starts: Value, lengths: Value) -> Value:
    """Widths of u below which places beside the starts of intervals are the same to rounding."""
    apart = 4.0 * EPS * jnp.abs(starts) / jnp.where(lengths == 0.0, 1.0, jnp.abs(lengths))
    return settled(jnp.where(lengths == 0.0, 1.0, apart))


def _added(
    part: Callable[..., Value],
    least: Value,
    pieces: Sequence[Value],
    absolute: float,
    relative: float,
    shape: tuple[int, ...],
) -> tuple[Value, Value]:
    """The sum of the integrals of `part` over u from 0 to 1, each with its own entries of `least` and `pieces`."""
    kinds = [jax.ShapeDtypeStruct((), dtype_of(piece)) for piece in pieces]
    function, held = program(recorded_plainly(part, [jax.ShapeDtypeStruct((), FLOAT), *kinds]))
    along = [True] * len(pieces) + [False] * len(held)
    tolerances = min(absolute, TOLERANCE), min(relative, TOLERANCE)
    total, error = integrals(function, least, [*pieces, *held], along, np.shape(least)[0], *tolerances)
    return reshape(total, shape), reshape(error, ())


FUNCTIONS_BY_NAME: dict[str, Any] = {
    "quad": quad,
    "quad_vec": quad_vec,
    "dblquad": dblquad,
    "tplquad": tplquad,
    "nquad": nquad,
    "fixed_quad": fixed_quad,
}
