"""Special functions that SciPy computes, each with its slope in closed form: Bessel's, Airy's, elliptic ones.

A slope is written with functions of this table, so that every further derivative is exact. Formulas are
those of the Digital Library of Mathematical Functions (DLMF) unless another source is named. Orders are fixed numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import numpy as np
from jax import lax

from ..primitives.scipy_special import apply, function_of
from ..settled import settled
from .values import Rule, Value, broadcast, broadcast_to, is_traced, refused

PI = math.pi
# The slope of each function in its last argument; those before it are NumPy arrays.
Slope = Callable[..., Value]


def of(name: str, *operands: Any) -> Value:
    """A function of the table, of fixed operands and a last one that may depend on the parameters."""
    *fixed, x = operands
    slope = SLOPES[name]

    @jax.custom_jvp
    def known(x: Value) -> Value:
        like = [jnp.broadcast_to(jnp.asarray(value), x.shape) for value in fixed]
        return apply(name, *like, x)

    @known.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        (x,), (change,) = primals, tangents
        return known(x), slope(*fixed, x) * change

    return known(jnp.asarray(x))


def _rule(name: str, label: str = "") -> Rule:
    """The rule of a ufunc whose arguments but the last are fixed."""

    def rule(*values: Any) -> Value:
        if any(map(is_traced, values[:-1])):
            raise refused(
                f"scipy.special.{label or name} of an order that depends on the parameters",
                "has no rule for its derivative in it",
                'Fix it, or let the slope be measured by differences: derivatives="numeric".',
            )
        *fixed, x = values
        x = broadcast_to(x, np.broadcast_shapes(*map(np.shape, values)))
        return of(name, *map(np.asarray, fixed), x)

    return rule


def _several(name: str, count: int) -> Rule:
    """The rule of a ufunc that gives several values."""
    return lambda x: tuple(of(f"{name}:{k}", x) for k in range(count))


def _lower(n: Any, coefficient: Any, rest: Callable[[Any], Value]) -> Value:
    """A slope that is a multiple of the polynomial of one degree less; none of degree 0."""
    n = np.asarray(n)
    return np.where(n > 0, coefficient, 0.0) * rest(np.where(n > 0, n - 1, 0).astype(n.dtype))


def _over_2(difference: Callable[[Value, Value], Value], name: str) -> Slope:
    return lambda v, x: 0.5 * difference(of(name, v - 1.0, x), of(name, v + 1.0, x))


def _density_of_t(df: Any, x: Value) -> Value:
    size = np.exp(
        [math.lgamma(0.5 * (d + 1.0)) - math.lgamma(0.5 * d) - 0.5 * math.log(PI * d) for d in np.ravel(df)]
    ).reshape(np.shape(df))
    return size * (1.0 + x * x / df) ** (-0.5 * (df + 1.0))


def _beta_density(a: Any, b: Any, x: Value) -> Value:
    return jnp.exp(jsp.betaln(a, b) + (1.0 - a) * jnp.log(x) + (1.0 - b) * jnp.log1p(-x))


SLOPES: dict[str, Slope] = {
    # Bessel functions, 10.6.1 and 10.29.1; with e times an exponential.
    "j0": lambda x: -of("j1", x),
    "j1": lambda x: 0.5 * (of("j0", x) - of("jv", 2.0, x)),
    "y0": lambda x: -of("y1", x),
    "y1": lambda x: 0.5 * (of("y0", x) - of("yv", 2.0, x)),
    "k0": lambda x: -of("k1", x),
    "k1": lambda x: -0.5 * (of("k0", x) + of("kv", 2.0, x)),
    "k0e": lambda x: of("k0e", x) - of("k1e", x),
    "k1e": lambda x: of("k1e", x) - 0.5 * (of("k0e", x) + of("kve", 2.0, x)),
    "jv": _over_2(lambda below, above: below - above, "jv"),
    "yv": _over_2(lambda below, above: below - above, "yv"),
    "iv": _over_2(lambda below, above: below + above, "iv"),
    "kv": _over_2(lambda below, above: -below - above, "kv"),
    "ive": lambda v, x: 0.5 * (of("ive", v - 1.0, x) + of("ive", v + 1.0, x)) - jnp.sign(x) * of("ive", v, x),
    "kve": lambda v, x: of("kve", v, x) - 0.5 * (of("kve", v - 1.0, x) + of("kve", v + 1.0, x)),
    "struve": lambda v, x: 0.5 * (of("struve", v - 1.0, x) - of("struve", v + 1.0, x) + _of_struve(v, x)),
    # Airy functions, 9.2.1.
    "airy:0": lambda x: of("airy:1", x),
    "airy:1": lambda x: x * of("airy:0", x),
    "airy:2": lambda x: of("airy:3", x),
    "airy:3": lambda x: x * of("airy:2", x),
    # Complete elliptic integrals by 19.5.1 and 19.5.2, of the parameter m = k²; 15.5.1.
    "ellipk": lambda m: PI / 8 * of("hyp2f1", 1.5, 1.5, 2.0, m),
    "ellipkm1": lambda p: -PI / 8 * of("hyp2f1", 1.5, 1.5, 2.0, 1.0 - p),
    "ellipe": lambda m: -PI / 8 * of("hyp2f1", 0.5, 1.5, 2.0, m),
    "hyp2f1": lambda a, b, c, z: a * b / c * of("hyp2f1", a + 1.0, b + 1.0, c + 1.0, z),
    "hyp0f1": lambda v, z: of("hyp0f1", v + 1.0, z) / v,
    "hyperu": lambda a, b, x: -a * of("hyperu", a + 1.0, b + 1.0, x),  # 13.3.22
    # Integrals whose integrand is their slope.
    "fresnel:0": lambda x: jnp.sin(0.5 * PI * x * x),
    "fresnel:1": lambda x: jnp.cos(0.5 * PI * x * x),
    "shichi:0": lambda x: jnp.where(x == 0.0, 1.0 + x * x / 6.0, jnp.sinh(x) / jnp.where(x == 0.0, 1.0, x)),
    "shichi:1": lambda x: jnp.cosh(x) / x,
    "stdtr": _density_of_t,
    # Inverses, by the slope of what they invert.
    "stdtrit": lambda df, p: 1.0 / _density_of_t(df, of("stdtrit", df, p)),
    "gammaincinv": lambda a, y: _gamma_density(a, of("gammaincinv", a, y)),
    "gammainccinv": lambda a, y: -_gamma_density(a, of("gammainccinv", a, y)),
    "betaincinv": lambda a, b, y: _beta_density(a, b, of("betaincinv", a, b, y)),
    "lambertw": lambda k, z: _slope_of_lambert(of("lambertw", k, z)),
    "wrightomega": lambda z: of("wrightomega", z) / (1.0 + of("wrightomega", z)),
    # Orthogonal polynomials, 18.9.15 to 18.9.25.
    "eval_legendre": lambda n, x: _lower(n, 0.5 * (n + 1), lambda m: of("eval_jacobi", m, 1.0, 1.0, x)),
    "eval_chebyt": lambda n, x: _lower(n, n, lambda m: of("eval_chebyu", m, x)),
    "eval_chebyu": lambda n, x: _lower(n, 2.0, lambda m: of("eval_gegenbauer", m, 2.0, x)),
    "eval_gegenbauer": lambda n, a, x: _lower(
        n, 2.0 * a, lambda m: of("eval_gegenbauer", m, np.add(a, 1.0), x)
    ),
    "eval_jacobi": lambda n, a, b, x: _lower(
        n, 0.5 * (n + a + b + 1), lambda m: of("eval_jacobi", m, np.add(a, 1.0), np.add(b, 1.0), x)
    ),
    "eval_hermite": lambda n, x: _lower(n, 2.0 * n, lambda m: of("eval_hermite", m, x)),
    "eval_hermitenorm": lambda n, x: _lower(n, 1.0 * n, lambda m: of("eval_hermitenorm", m, x)),
    "eval_laguerre": lambda n, x: _lower(n, -1.0, lambda m: of("eval_genlaguerre", m, 1.0, x)),
    "eval_genlaguerre": lambda n, a, x: _lower(
        n, -1.0, lambda m: of("eval_genlaguerre", m, np.add(a, 1.0), x)
    ),
}


def _of_struve(v: Any, x: Value) -> Value:
    """The last term of 11.4.25, the recurrence of Struve's functions."""
    return (0.5 * x) ** v * (function_of("rgamma")(v + 1.5) / math.sqrt(PI))


def _gamma_density(a: Any, x: Value) -> Value:
    """The inverse of the density of the gamma distribution."""
    return jnp.exp(x + (1.0 - a) * jnp.log(x) + lax.lgamma(jnp.asarray(a, x.dtype)))


def _slope_of_lambert(w: Value) -> Value:
    return jnp.exp(-w) / (1.0 + w)  # 4.13.4


@jax.custom_jvp
def _owens(h: Value, a: Value) -> Value:
    return apply("owens_t", h, a)


@_owens.defjvp
def _owens_moves(primals: Any, tangents: Any) -> Any:
    """Owen, "Tables for computing bivariate normal probabilities", 1956."""
    (h, a), (by_h, by_a) = primals, tangents
    along_h = -lax.erf(a * h / math.sqrt(2.0)) * jnp.exp(-0.5 * h * h) / (2.0 * math.sqrt(2.0 * PI))
    along_a = jnp.exp(-0.5 * h * h * (1.0 + a * a)) / (2.0 * PI * (1.0 + a * a))
    return _owens(h, a), along_h * by_h + along_a * by_a


def _binom(n: Value, k: Value) -> Value:
    """1/((n + 1) B(n - k + 1, k + 1)), of either sign."""
    sign = settled(jsp.gammasgn(n - k + 1.0) * jsp.gammasgn(k + 1.0) * jsp.gammasgn(n + 2.0))
    return sign * jnp.exp(-jsp.betaln(n - k + 1.0, k + 1.0)) / (n + 1.0)


def _powm1(x: Value, y: Value) -> Value:
    positive = settled(x > 0.0)
    near = jnp.expm1(y * jnp.log(jnp.where(positive, x, 1.0)))
    return jnp.where(positive, near, jnp.where(positive, 1.0, x) ** y - 1.0)


def lambertw(z: Any, k: Any = 0, tol: float = 1e-8) -> Value:
    """`scipy.special.lambertw` of a fixed branch, complex as SciPy's."""
    return _rule("lambertw")(np.asarray(k), lax.convert_element_type(z, np.complex128))


def _same(rule: Rule) -> Rule:
    return lambda *values: rule(*(jnp.asarray(value) for value in broadcast(*values)))


_PLAIN = [name for name in SLOPES if ":" not in name and name != "lambertw"]

BY_NAME: dict[str, Rule] = {
    **{name: _rule(name) for name in _PLAIN},
    "yn": _rule("yv", "yn"),
    "kn": _rule("kv", "kn"),
    "airy": _several("airy", 4),
    "fresnel": _several("fresnel", 2),
    "shichi": _several("shichi", 2),
    "owens_t": _same(_owens),
    "chdtr": _same(lambda v, x: jsp.gammainc(0.5 * v, 0.5 * x)),
    "chdtrc": _same(lambda v, x: jsp.gammaincc(0.5 * v, 0.5 * x)),
    "gdtr": _same(lambda a, b, x: jsp.gammainc(b, a * x)),
    "gdtrc": _same(lambda a, b, x: jsp.gammaincc(b, a * x)),
    "binom": _same(_binom),
    "powm1": _same(_powm1),
}
FUNCTIONS_BY_NAME: dict[str, Rule] = {"lambertw": lambertw}
