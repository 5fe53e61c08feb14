"""SciPy's integrals of a function: `quad`, `quad_vec`, `dblquad`.

Intervals are halved until the two rules of Gauss and Kronrod on each agree (Piessens et al., "QUADPACK", 1983). The
tolerance is at least that of `TOLERANCE`, whatever SciPy is asked for: the slope is that of the sum that stands for the
integral, and is as good as that sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..primitives.integral import integrals
from .functionals import FLOAT, Recorded, depends, number, program, recorded, recorded_plainly
from .shape import ravel, reshape
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
    found, error = integral(integrand, a, b, _places(points), epsabs, epsrel)
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
    found, error = integral(integrand, a, b, _places(points), epsabs, epsrel, integrand.shape)
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
        return integral(lambda y: integrand(y, x), begin, end, [], epsabs, epsrel)[0]

    return integral(along, a, b, [], epsabs, epsrel)


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
    """∫ f from a to b, of `shape`, and an estimate of its error; `inner`: places to begin new intervals at.

    Every interval is gone over from both its ends to its middle, t = start + length·u, since u comes closest to zero.
    """
    endless = [not is_traced(end) and bool(np.isinf(end)) for end in (a, b)]
    if any(endless):
        return _endless(integrand, a, b, endless, absolute, relative, shape)
    ends = jnp.stack([number(a), *sorted(inner), number(b)])
    half = 0.5 * (ends[1:] - ends[:-1])

    def part(u: Value, start: Value, way: Value, half: Value) -> Value:
        return half * ravel(integrand(start + way * half * u))

    starts, ways = jnp.concatenate([ends[:-1], ends[1:]]), np.repeat([1.0, -1.0], len(inner) + 1)
    return _added(part, (starts, ways, jnp.concatenate([half, half])), absolute, relative, shape)


def _endless(
    integrand: Callable[[Value], Value],
    a: Any,
    b: Any,
    endless: list[bool],
    absolute: float,
    relative: float,
    shape: tuple[int, ...],
) -> tuple[Value, Value]:
    """An integral to infinity: to a distance of one as any other, and from there on in 1/t."""

    def part(u: Value, start: Value, way: Value, sign: Value, far: Value) -> Value:
        away = jnp.where(far, 1.0 / u, u)
        return jnp.where(far, sign / (u * u), sign) * ravel(integrand(start + way * away))

    if all(endless):
        if a == b:
            return jnp.zeros(shape), jnp.zeros(())
        start, ways, signs = jnp.zeros(()), np.array([1.0, -1.0]), np.sign(b) * np.ones(2)
    else:
        # Outwards from the end that is finite; an integral that begins at the endless one runs the other way.
        start, way = (number(a), float(np.sign(b))) if endless[1] else (number(b), float(np.sign(a)))
        ways, signs = np.array([way]), np.array([way if endless[1] else -way])
    twice = [np.concatenate([v, v]) for v in (ways, signs)]
    far = np.repeat([False, True], ways.size)
    starts = jnp.broadcast_to(start, far.shape)
    return _added(part, (starts, *twice, far), absolute, relative, shape)


def _added(
    part: Callable[..., Value],
    pieces: Sequence[Value],
    absolute: float,
    relative: float,
    shape: tuple[int, ...],
) -> tuple[Value, Value]:
    """The sum of the integrals of `part` over u from 0 to 1, each with its own entries of the arrays `pieces`."""
    kinds = [jax.ShapeDtypeStruct((), dtype_of(piece)) for piece in pieces]
    function, held = program(recorded_plainly(part, [jax.ShapeDtypeStruct((), FLOAT), *kinds]))
    along = [True] * len(pieces) + [False] * len(held)
    tolerances = min(absolute, TOLERANCE), min(relative, TOLERANCE)
    total, error = integrals(function, [*pieces, *held], along, np.shape(pieces[0])[0], *tolerances)
    return reshape(total, shape), reshape(error, ())


FUNCTIONS_BY_NAME: dict[str, Any] = {"quad": quad, "quad_vec": quad_vec, "dblquad": dblquad}
