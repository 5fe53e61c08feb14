"""The Weibull and the lognormal distribution of `scipy.stats`, which JAX has not: what lifetimes are distributed by.

Each is one of log(z), z = (x - loc)/scale, of the shape that SciPy takes first; below loc there is no density.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
from jax.scipy.stats import norm

from .rules.special import BY_NAME

log_ndtr = BY_NAME["log_ndtr"]


def _parts(x: Any, loc: Any, scale: Any) -> tuple[Any, Any, Any]:
    """Whether x lies in the support, log z there (0 elsewhere), and log of scale · z."""
    z = (x - loc) / scale
    inside = ~(z <= 0)
    log_z = jnp.log(jnp.where(inside, z, 1.0))
    return inside, log_z, jnp.log(scale) + log_z


def log_of_the_rest(u: Any) -> Any:
    """log(1 - exp(-u)), which loses its digits in the one form where u is small, in the other where it is large."""
    early = u < 0.7
    near, far = jnp.where(early, u, 1.0), jnp.where(early, 1.0, u)
    return jnp.where(early, jnp.log(-jnp.expm1(-near)), jnp.log1p(-jnp.exp(-far)))


def _weibull_logpdf(x: Any, c: Any, loc: Any = 0, scale: Any = 1) -> Any:
    inside, log_z, log_x = _parts(x, loc, scale)
    return jnp.where(inside, jnp.log(c) + c * log_z - jnp.exp(c * log_z) - log_x, -jnp.inf)


def _weibull_logsf(x: Any, c: Any, loc: Any = 0, scale: Any = 1) -> Any:
    inside, log_z, _ = _parts(x, loc, scale)
    return jnp.where(inside, -jnp.exp(c * log_z), 0.0)


def _weibull_cdf(x: Any, c: Any, loc: Any = 0, scale: Any = 1) -> Any:
    return -jnp.expm1(_weibull_logsf(x, c, loc, scale))


def _weibull_logcdf(x: Any, c: Any, loc: Any = 0, scale: Any = 1) -> Any:
    inside, log_z, _ = _parts(x, loc, scale)
    return jnp.where(inside, log_of_the_rest(jnp.exp(c * log_z)), -jnp.inf)


def _lognorm_logpdf(x: Any, s: Any, loc: Any = 0, scale: Any = 1) -> Any:
    inside, log_z, log_x = _parts(x, loc, scale)
    return jnp.where(inside, norm.logpdf(log_z / s) - jnp.log(s) - log_x, -jnp.inf)


def _lognorm(tail: Any, below: float) -> Any:
    def function(x: Any, s: Any, loc: Any = 0, scale: Any = 1) -> Any:
        inside, log_z, _ = _parts(x, loc, scale)
        return jnp.where(inside, tail(log_z / s), below)

    return function


def _exp_of(function: Any) -> Any:
    return lambda *args, **settings: jnp.exp(function(*args, **settings))


weibull_min = SimpleNamespace(
    logpdf=_weibull_logpdf,
    pdf=_exp_of(_weibull_logpdf),
    logsf=_weibull_logsf,
    sf=_exp_of(_weibull_logsf),
    cdf=_weibull_cdf,
    logcdf=_weibull_logcdf,
)

lognorm = SimpleNamespace(
    logpdf=_lognorm_logpdf,
    pdf=_exp_of(_lognorm_logpdf),
    logsf=_lognorm(lambda u: log_ndtr(-u), 0.0),
    sf=_lognorm(norm.sf, 1.0),
    cdf=_lognorm(norm.cdf, 0.0),
    logcdf=_lognorm(log_ndtr, -jnp.inf),
)
