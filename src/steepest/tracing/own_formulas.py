"""Distributions of `scipy.stats` by their own formulas, those that SciPy itself computes with, where JAX has none.

SciPy writes each density for loc = 0 and scale = 1 and inside its support, in functions such as `_logpdf`, mostly as
one line of NumPy and special functions, which a trace follows. Here they are moved, stretched and cut off as SciPy
does it.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np
from jax import lax

from .arrays import call_rule, is_traced

# What each method is made from, the first that the distribution writes itself: (SciPy's function, how to use it).
_MADE_FROM: dict[str, tuple[tuple[str, Callable[[Any], Any]], ...]] = {
    "logpdf": (("_logpdf", lambda v: v), ("_pdf", np.log)),
    "pdf": (("_pdf", lambda v: v), ("_logpdf", np.exp)),
    "logpmf": (("_logpmf", lambda v: v), ("_pmf", np.log)),
    "pmf": (("_pmf", lambda v: v), ("_logpmf", np.exp)),
    "cdf": (
        ("_cdf", lambda v: v),
        ("_sf", lambda v: 1.0 - v),
        ("_logcdf", np.exp),
        ("_logsf", lambda v: -np.expm1(v)),
    ),
    "sf": (
        ("_sf", lambda v: v),
        ("_cdf", lambda v: 1.0 - v),
        ("_logsf", np.exp),
        ("_logcdf", lambda v: -np.expm1(v)),
    ),
    "logcdf": (("_logcdf", lambda v: v), ("_cdf", np.log), ("_sf", lambda v: np.log1p(-v))),
    "logsf": (("_logsf", lambda v: v), ("_sf", np.log), ("_cdf", lambda v: np.log1p(-v))),
    "ppf": (("_ppf", lambda v: v),),
    "isf": (("_isf", lambda v: v),),
}
_DENSITIES = ("pdf", "logpdf", "pmf", "logpmf")
# The values left and right of the support.
_OUTSIDE = {
    "logpdf": (-np.inf, -np.inf),
    "pdf": (0.0, 0.0),
    "logpmf": (-np.inf, -np.inf),
    "pmf": (0.0, 0.0),
    "cdf": (0.0, 1.0),
    "sf": (1.0, 0.0),
    "logcdf": (-np.inf, 0.0),
    "logsf": (0.0, -np.inf),
}


def formula_of(distribution: Any, name: str, substitute: Callable[[Any], Any]) -> Callable[..., Any] | None:
    """The method `name` of a distribution as a function that a trace follows; None where SciPy integrates or searches.

    `substitute` rebuilds SciPy's functions as the user's are.
    """
    written = next(
        ((way, use) for way, use in _MADE_FROM.get(name, ()) if _writes_itself(distribution, way)), None
    )
    if written is None or not hasattr(distribution, "_parse_args"):
        return None
    way, use = written
    other = {"logcdf": "_sf", "logsf": "_cdf"}.get(name, "")
    whole = other != "" and way == f"_{name[3:]}" and _writes_itself(distribution, other)
    discrete = hasattr(distribution, "pmf")

    def formula(x: Any, *args: Any, **settings: Any) -> Any:
        shapes, loc, scale = distribution._parse_args(*args, **settings)
        shapes = tuple(np.asarray(s) if type(s) in (int, float) else s for s in shapes)
        rebuilt = _Rebuilt(distribution, substitute)
        function = getattr(rebuilt, way)
        if name in ("ppf", "isf"):
            return loc + (
                use(_each(function, x, shapes)) if discrete else scale * use(_each(function, x, shapes))
            )
        z = x - loc if discrete else (x - loc) / scale
        if discrete and not name.endswith("pmf"):
            z = np.floor(z)
        low, high = rebuilt._get_support(*shapes)
        closed = name in _DENSITIES and not _is_open(distribution)
        inside: Any = True
        if _is_bounded(low) or _is_bounded(high):
            too_low = z < low if closed or discrete else z <= low
            too_high = z > high if closed else z >= high
            inside = ~(too_low | too_high)
            z = np.where(inside, z, _within(low, high))
        if name.endswith("pmf"):
            inside = inside & (np.floor(z) == z)
        value = use(_each(function, z, shapes))
        if whole:  # near 1 the logarithm keeps its digits only as that of the other tail
            rest = _each(getattr(rebuilt, other), z, shapes)
            small = rest < 0.5
            value = np.where(small, np.log1p(-np.where(small, rest, 0.5)), value)
        if name == "logpdf":
            value = value - np.log(scale)
        elif name == "pdf":
            value = value / scale
        if inside is True:
            return value
        left, right = _OUTSIDE[name]
        return np.where(inside, value, left if left == right else np.where(too_low, left, right))

    return formula


def _each(function: Callable[..., Any], x: Any, shapes: tuple[Any, ...]) -> Any:
    """A formula of SciPy's at each of the places `x`; some go through places and shapes in pairs."""
    wanted = np.broadcast_shapes(*map(np.shape, (x, *shapes)))
    value = function(x, *shapes)
    if np.shape(value) in (wanted, ()):
        return value
    columns = [np.ravel(np.broadcast_to(part, wanted)) for part in (x, *shapes)]
    return np.reshape(function(*columns), wanted)


def allowed(
    distribution: Any, name: str, substitute: Callable[[Any], Any], x: Any, args: Any, settings: Any
) -> Any:
    """Where SciPy gives a number for these shapes, this scale and `x`; True where it does whatever they are."""
    if not hasattr(distribution, "_parse_args"):
        return True
    if distribution.name == "erlang":  # its own check branches, to warn of shapes that are no whole numbers
        from scipy import stats

        distribution = stats.gamma
    shapes, _, scale = distribution._parse_args(*args, **settings)
    conditions = [scale > 0]
    if is_traced(shapes):
        conditions.append(_Rebuilt(distribution, substitute)._argcheck(*shapes))
    elif shapes:
        conditions.append(distribution._argcheck(*shapes))
    if name in ("ppf", "isf"):
        conditions += [x >= 0, x <= 1]
    elif not is_traced(x):
        conditions.append(~np.isnan(x))
    unknown = [condition for condition in conditions if is_traced(condition) or not np.all(condition)]
    return functools.reduce(np.logical_and, unknown, True) if unknown else True


def own_way(distribution: Any, way: str, substitute: Callable[[Any], Any]) -> Callable[..., Any] | None:
    """A method that the distribution writes for itself, rebuilt; None where it has none."""
    return getattr(_Rebuilt(distribution, substitute), way) if _writes_itself(distribution, way) else None


class _Rebuilt:
    """A distribution with its methods rebuilt, as its formulas see it."""

    def __init__(self, plain: Any, substitute: Callable[[Any], Any]) -> None:
        self._plain = plain
        self._substitute = substitute

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._plain, name)
        if not isinstance(found, types.MethodType):
            return found
        if name != "_argcheck" and found.__func__.__module__.endswith("_infrastructure"):
            return found
        return types.MethodType(self._substitute(found.__func__), self)


def _writes_itself(distribution: Any, way: str) -> bool:
    """Whether the distribution has a formula of its own, not what SciPy integrates or searches for any of them."""
    function = getattr(type(distribution), way, None)
    return function is not None and not function.__module__.endswith("_distn_infrastructure")


def _is_open(distribution: Any) -> bool:
    """Whether the ends of the support do not belong to it."""
    mask = getattr(distribution, "_support_mask", None)
    return mask is not None and mask == distribution._open_support_mask


def _is_bounded(end: Any) -> bool:
    """Whether the support ends here; an end that depends on the parameters may."""
    return not isinstance(end, (int, float, np.number, np.ndarray)) or bool(
        np.any(np.isfinite(np.asarray(end, float)))
    )


def _within(low: Any, high: Any) -> Any:
    """A place inside the support, which takes no part in the slope: it stands where the value is not used."""
    low, high = (call_rule(lax.stop_gradient, (end,), {}) if is_traced(end) else end for end in (low, high))
    below, above = np.isfinite(low), np.isfinite(high)
    one_sided = np.where(below, low + 1.0, np.where(above, high - 1.0, 0.0))
    return np.where(below & above, 0.5 * (low + high), one_sided)
