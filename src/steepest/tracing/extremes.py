"""The generalised extreme value and Pareto distributions of `scipy.stats`: largest values, and what is above a limit.

Both are made of λ = log(1 - c z)/c with z = (x - loc)/scale, which is -z where c = 0. SciPy's c of `genextreme` is
minus the ξ of most books.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp

from .lifetimes import log_of_the_rest

# Below this |c z| the series of λ is used, whose slope in c does not come from a difference of nearly equal numbers;
# with so many terms it is exact to rounding there.
NEAR, TERMS = 0.02, 11


def _bent(x: Any, c: Any, loc: Any, scale: Any) -> tuple[Any, Any, Any]:
    """Whether x lies in the support 1 - c z > 0, log(1 - c z) there, and λ."""
    z = (x - loc) / scale
    w = c * z
    inside = ~(w >= 1)
    near = jnp.abs(w) < NEAR
    small, large = jnp.where(near, w, 0.0), jnp.where(inside & ~near, w, 0.5)
    series = jnp.ones_like(small) / TERMS
    for k in range(TERMS - 1, 0, -1):
        series = series * small + 1.0 / k
    logarithm = jnp.log1p(-jnp.where(inside, w, 0.0))
    divisor = jnp.where(near, 1.0, c)
    return inside, logarithm, jnp.where(near, -z * series, jnp.log1p(-large) / divisor)


def _extreme_logpdf(x: Any, c: Any, loc: Any = 0, scale: Any = 1) -> Any:
    inside, logarithm, bent = _bent(x, c, loc, scale)
    return jnp.where(inside, bent - logarithm - jnp.exp(bent) - jnp.log(scale), -jnp.inf)


def _extreme_logcdf(x: Any, c: Any, loc: Any = 0, scale: Any = 1) -> Any:
    inside, _, bent = _bent(x, c, loc, scale)
    return jnp.where(inside, -jnp.exp(bent), jnp.where(c > 0, 0.0, -jnp.inf))


def _extreme_sf(x: Any, c: Any, loc: Any = 0, scale: Any = 1) -> Any:
    inside, _, bent = _bent(x, c, loc, scale)
    return jnp.where(inside, -jnp.expm1(-jnp.exp(bent)), jnp.where(c > 0, 0.0, 1.0))


def _extreme_logsf(x: Any, c: Any, loc: Any = 0, scale: Any = 1) -> Any:
    inside, _, bent = _bent(x, c, loc, scale)
    return jnp.where(inside, log_of_the_rest(jnp.exp(bent)), jnp.where(c > 0, -jnp.inf, 0.0))


def _pareto_logpdf(x: Any, c: Any, loc: Any = 0, scale: Any = 1) -> Any:
    inside, logarithm, bent = _bent(x, -c, loc, scale)
    return jnp.where(inside & (~(x < loc)), bent - logarithm - jnp.log(scale), -jnp.inf)


def _pareto_logsf(x: Any, c: Any, loc: Any = 0, scale: Any = 1) -> Any:
    inside, _, bent = _bent(x, -c, loc, scale)
    return jnp.where(~(x < loc), jnp.where(inside, bent, -jnp.inf), 0.0)


def _pareto_cdf(x: Any, c: Any, loc: Any = 0, scale: Any = 1) -> Any:
    inside, _, bent = _bent(x, -c, loc, scale)
    return jnp.where(~(x < loc), jnp.where(inside, -jnp.expm1(bent), 1.0), 0.0)


def _pareto_logcdf(x: Any, c: Any, loc: Any = 0, scale: Any = 1) -> Any:
    inside, _, bent = _bent(x, -c, loc, scale)
    above = ~(x <= loc)
    return jnp.where(above, jnp.where(inside, log_of_the_rest(jnp.where(above, -bent, 1.0)), 0.0), -jnp.inf)


def _of(outer: Any, inner: Any) -> Any:
    return lambda *args, **settings: outer(inner(*args, **settings))


genextreme = SimpleNamespace(
    logpdf=_extreme_logpdf,
    pdf=_of(jnp.exp, _extreme_logpdf),
    logcdf=_extreme_logcdf,
    cdf=_of(jnp.exp, _extreme_logcdf),
    sf=_extreme_sf,
    logsf=_extreme_logsf,
)

genpareto = SimpleNamespace(
    logpdf=_pareto_logpdf,
    pdf=_of(jnp.exp, _pareto_logpdf),
    logsf=_pareto_logsf,
    sf=_of(jnp.exp, _pareto_logsf),
    cdf=_pareto_cdf,
    logcdf=_pareto_logcdf,
)
