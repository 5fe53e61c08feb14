"""Special functions: records for SciPy's ufuncs by name, and NumPy's sinc and i0.

Records are kept by name so that SciPy need not be imported; `scipy_functions` joins them to SciPy's objects.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special as jsp
import numpy as np
from jax import lax

from .faddeeva import voigt_profile, wofz
from .reductions import max_of, sum_of
from .ufuncs import RECORDS, UFUNCS, add, divide, multiply, subtract
from .values import (
    Rule,
    Value,
    array_value,
    as_value,
    axes_of,
    broadcast,
    choose,
    constant,
    convert,
    dtype_of,
    is_traced,
    refused,
    result_type,
    shape_of,
)

# Below this size sin(y)/y and its slopes come from its series; ten terms leave less than 1e-20 there.
SERIES_RADIUS = 0.5
_SINC_SERIES = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in range(10))


def sinc(x: Any) -> Value:
    """`np.sinc`, sin(πx)/(πx), with every slope right at and near zero."""
    x = array_value(x)
    x = x if dtype_of(x).kind in "fc" else convert(x, np.float64)
    y = lax.mul(x, constant(math.pi, x))
    near = lax.lt(lax.abs(y), lax.abs(constant(SERIES_RADIUS, y)))
    small = choose(near, y, constant(0, y))
    series = _horner(_SINC_SERIES, lax.integer_pow(small, 2))
    large = choose(near, constant(1, y), y)
    return choose(near, series, lax.div(lax.sin(large), large))


def _logit(p: Value) -> Value:
    return lax.sub(lax.log(p), lax.log1p(lax.neg(p)))


def _log_expit(x: Value) -> Value:
    return lax.neg(RECORDS[np.logaddexp](lax.full_like(x, 0.0), lax.neg(x)))


def _log_ndtr(x: Value) -> Value:
    """Logarithm of the normal distribution: through erfcx on the left, where the distribution itself underflows."""
    root = constant(math.sqrt(0.5), x)
    left = lax.lt(x, constant(0, x))
    below = choose(left, x, constant(-1, x))
    above = choose(left, constant(1, x), x)
    half = constant(0.5, x)
    tail = lax.sub(
        lax.log(lax.mul(half, jsp.erfcx(lax.neg(lax.mul(below, root))))),
        lax.mul(half, lax.integer_pow(below, 2)),
    )
    return choose(left, tail, lax.log1p(lax.neg(lax.mul(half, lax.erfc(lax.mul(above, root))))))


def _betaln(a: Value, b: Value) -> Value:
    return lax.sub(lax.add(lax.lgamma(a), lax.lgamma(b)), lax.lgamma(lax.add(a, b)))


def _beta(a: Value, b: Value) -> Value:
    sign = lax.mul(lax.mul(jsp.gammasgn(a), jsp.gammasgn(b)), jsp.gammasgn(lax.add(a, b)))
    return lax.mul(sign, lax.exp(_betaln(a, b)))


def _huber(delta: Value, r: Value) -> Value:
    size = lax.abs(r)
    half = constant(0.5, r)
    inside = lax.mul(half, lax.integer_pow(r, 2))
    outside = lax.mul(delta, lax.sub(size, lax.mul(half, delta)))
    return choose(
        lax.lt(delta, constant(0, r)), constant(np.inf, r), choose(lax.le(size, delta), inside, outside)
    )


def _pseudo_huber(delta: Value, r: Value) -> Value:
    ratio = lax.integer_pow(lax.div(r, delta), 2)
    # sqrt(1 + u) - 1 = u / (sqrt(1 + u) + 1), without cancellation.
    one = constant(1, r)
    excess = lax.div(ratio, lax.add(lax.sqrt(lax.add(one, ratio)), one))
    return lax.mul(lax.integer_pow(delta, 2) if is_traced(delta) else delta * delta, excess)


def _cosm1(x: Value) -> Value:
    return lax.mul(constant(-2, x), lax.integer_pow(lax.sin(lax.mul(x, constant(0.5, x))), 2))


def _in_degrees(function: Rule) -> Rule:
    return lambda x: function(lax.mul(x, constant(math.pi / 180.0, x)))


def _erfi(x: Value) -> Value:
    return lax.mul(
        constant(2.0 / math.sqrt(math.pi), x), lax.mul(lax.exp(lax.integer_pow(x, 2)), jsp.dawsn(x))
    )


def _with_slope(function: Rule, slope: Rule) -> Rule:
    """A function of one argument with its derivative in closed form, instead of that of its algorithm."""

    @jax.custom_jvp
    def known(x: Value) -> Value:
        return function(x)

    @known.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        (x,), (change,) = primals, tangents
        return known(x), lax.mul(slope(x), change)

    return lambda x: known(jnp.asarray(x))


_exp1 = _with_slope(jsp.exp1, lambda x: lax.neg(lax.div(lax.exp(lax.neg(x)), x)))
_expi = _with_slope(jsp.expi, lambda x: lax.div(lax.exp(x), x))
_spence = _with_slope(jsp.spence, lambda x: lax.neg(_log1p_over(lax.sub(x, constant(1, x)))))


# Below this size log(1 + u)/u comes from its series; the terms kept leave less than 1e-17 there.
LOG_SERIES_RADIUS = 0.1
_LOG_SERIES = tuple((-1.0) ** k / (k + 1) for k in range(17))


def _log1p_over(u: Value) -> Value:
    """log(1 + u)/u, with every slope right at and near zero."""
    near = lax.lt(lax.abs(u), constant(LOG_SERIES_RADIUS, u))
    small, large = choose(near, u, constant(0, u)), choose(near, constant(1, u), u)
    return choose(near, _horner(_LOG_SERIES, small), lax.div(lax.log1p(large), large))


def _horner(coefficients: tuple[float, ...], x: Value) -> Value:
    """A power series, lowest coefficient first."""
    total: Value = lax.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = lax.add(lax.mul(x, total), constant(coefficient, x))
    return total


def _expn(n: Value, x: Value) -> Value:
    """Eₙ(x) for a fixed order; Eₙ' = -Eₙ₋₁ (DLMF 8.19.13)."""
    return _expn_of_order(int(_fixed("expn", n)))(x)


def _expn_of_order(n: int) -> Rule:
    if n == 0:
        return lambda x: lax.div(lax.exp(lax.neg(x)), x)
    if n == 1:
        return _exp1
    return _with_slope(lambda x: jsp.expn(n, x), lambda x: lax.neg(_expn_of_order(n - 1)(x)))


def _hyp1f1(a: Value, b: Value, x: Value) -> Value:
    """M(a, b, x) for fixed a and b; M' = a/b M(a+1, b+1, x) (DLMF 13.3.15)."""
    return _hyp1f1_of(float(_fixed("hyp1f1", a)), float(_fixed("hyp1f1", b)))(x)


def _hyp1f1_of(a: float, b: float) -> Rule:
    return _with_slope(
        lambda x: jsp.hyp1f1(jnp.full_like(x, a), jnp.full_like(x, b), x),
        lambda x: lax.mul(constant(a / b, x), _hyp1f1_of(a + 1, b + 1)(x)),
    )


def _betainc(a: Value, b: Value, x: Value) -> Value:
    if is_traced(a) or is_traced(b):
        raise refused(
            "scipy.special.betainc with a or b that depends on the parameters",
            "has no rule for its derivative in a and b",
            'Fix a and b, or let the slope be measured by differences: derivatives="numeric".',
        )
    return jsp.betainc(*(jnp.asarray(v) for v in broadcast(a, b, x)))


def _same_shape(function: Rule) -> Rule:
    """JAX's function on arguments of one shape, as arrays of JAX."""
    return lambda *values: function(*(jnp.asarray(v) for v in broadcast(*values)))


def _inv_boxcox(y: Value, power: Value) -> Value:
    zero = lax.eq(power, constant(0, power))
    safe = choose(zero, constant(1, power), power)
    raised = lax.exp(lax.div(lax.log1p(lax.mul(safe, y)), safe))
    return choose(zero, lax.exp(y), raised)


def _xlogy(x: Value, y: Value) -> Value:
    """x log y, 0 where x is; of data x alone, as of counts that may be zero, its slope in y is 0 there for any y."""
    if is_traced(x):
        return jsp.xlogy(*(jnp.asarray(v) for v in broadcast(x, y)))
    nothing = jnp.logical_and(x == 0, y == y)
    return lax.mul(*broadcast(x, lax.log(jnp.where(nothing, 1.0, y))))


# Each on values of the types of SciPy's own loop; what JAX computes to less than 12 digits is written out here.
BY_NAME: dict[str, Rule] = {
    "expit": lax.logistic,
    "logit": _logit,
    "log_expit": _log_expit,
    "erf": lax.erf,
    "erfc": lax.erfc,
    "erfcx": jsp.erfcx,
    "erfi": _erfi,
    "erfinv": lax.erf_inv,
    "erfcinv": lambda x: lax.mul(constant(-math.sqrt(0.5), x), jsp.ndtri(lax.mul(x, constant(0.5, x)))),
    "dawsn": jsp.dawsn,
    "ndtr": jsp.ndtr,
    "ndtri": jsp.ndtri,
    "log_ndtr": _log_ndtr,
    "gammaln": lax.lgamma,
    "loggamma": jsp.gammaln,
    "gamma": jsp.gamma,
    "rgamma": lambda x: lax.integer_pow(jsp.gamma(x), -1),
    "gammasgn": jsp.gammasgn,
    "psi": lax.digamma,
    "digamma": lax.digamma,
    "beta": _beta,
    "betaln": _betaln,
    "poch": _same_shape(jsp.poch),
    "betainc": _betainc,
    "gammainc": _same_shape(jsp.gammainc),
    "gammaincc": _same_shape(jsp.gammaincc),
    "wofz": wofz,
    "voigt_profile": _same_shape(voigt_profile),
    "xlogy": _xlogy,
    "xlog1py": _same_shape(jsp.xlog1py),
    "entr": jsp.entr,
    "rel_entr": _same_shape(jsp.rel_entr),
    "kl_div": _same_shape(jsp.kl_div),
    "i0": jsp.i0,
    "i0e": jsp.i0e,
    "i1": jsp.i1,
    "i1e": jsp.i1e,
    "exp1": _exp1,
    "expi": _expi,
    "expn": _expn,
    "spence": _spence,
    "sici": lambda x: tuple(jsp.sici(x)),
    "hyp1f1": _hyp1f1,
    "boxcox": _same_shape(jsp.boxcox),
    "boxcox1p": _same_shape(jsp.boxcox1p),
    "inv_boxcox": _inv_boxcox,
    "huber": _huber,
    "pseudo_huber": _pseudo_huber,
    "exp2": lax.exp2,
    "exp10": lambda x: lax.exp(lax.mul(x, constant(math.log(10.0), x))),
    "expm1": lax.expm1,
    "log1p": lax.log1p,
    "cosm1": _cosm1,
    "cbrt": lax.cbrt,
    "sindg": _in_degrees(lax.sin),
    "cosdg": _in_degrees(lax.cos),
    "tandg": _in_degrees(lax.tan),
}


def _fixed(name: str, value: Any) -> np.ndarray:
    if is_traced(value) or np.ndim(value):
        raise refused(
            f"scipy.special.{name} of an order that is not one fixed number", "has no rule", "Fix it."
        )
    return np.asarray(value)


# -- SciPy's functions that are no ufuncs --------------------------------------------------------------------------


def _reals(x: Any) -> Value:
    x = array_value(x)
    return x if dtype_of(x).kind in "fc" else convert(x, np.float64)


def _shift(x: Value, axes: Any) -> Value:
    """The largest entry along the axes, where finite: subtracted it keeps exponentials in range."""
    largest = lax.stop_gradient(max_of(x if dtype_of(x).kind == "f" else lax.real(x), axes, keepdims=True))
    return choose(lax.is_finite(largest), largest, constant(0, largest))


def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: Any = False, return_sign: bool = False
) -> Any:
    """`scipy.special.logsumexp`."""
    a = _reals(a)
    if b is not None:
        b = convert(as_value(b), result_type(a, as_value(b)))
        a, b = broadcast(a, b)
    axes = axes_of(axis, len(shape_of(a)))
    shift = _shift(a, axes)
    terms = UFUNCS[np.exp](subtract(a, shift))
    total = sum_of(terms if b is None else multiply(b, terms), axes, keepdims=True)
    sign = UFUNCS[np.sign](total)
    found = add(UFUNCS[np.log](UFUNCS[np.absolute](total) if return_sign else total), shift)
    if not keepdims:
        shape = tuple(length for k, length in enumerate(shape_of(found)) if k not in axes)
        found, sign = lax.reshape(found, shape), lax.reshape(sign, shape)
    return (found, sign) if return_sign else found


def softmax(x: Any, axis: Any = None) -> Value:
    """`scipy.special.softmax`."""
    x = _reals(x)
    axes = axes_of(axis, len(shape_of(x)))
    raised = UFUNCS[np.exp](subtract(x, _shift(x, axes)))
    return divide(raised, sum_of(raised, axes, keepdims=True))


def log_softmax(x: Any, axis: Any = None) -> Value:
    """`scipy.special.log_softmax`."""
    x = _reals(x)
    axes = axes_of(axis, len(shape_of(x)))
    x = subtract(x, _shift(x, axes))
    return subtract(x, UFUNCS[np.log](sum_of(UFUNCS[np.exp](x), axes, keepdims=True)))


def polygamma(n: Any, x: Any) -> Value:
    """`scipy.special.polygamma` of a fixed order."""
    if is_traced(n):
        raise refused("scipy.special.polygamma of a traced order", "has no rule", "Fix the order.")
    x = _reals(x)
    if np.ndim(n) == 0:
        return lax.digamma(x) if int(n) == 0 else jsp.polygamma(int(n), jnp.asarray(x))
    order, x = broadcast(np.asarray(n, np.int64), x)
    return jsp.polygamma(jnp.asarray(order), jnp.asarray(x))


def zeta(x: Any, q: Any = None, out: Any = None) -> Value:
    """`scipy.special.zeta`."""
    x, q = broadcast(_reals(x), _reals(1.0 if q is None else q))
    return jsp.zeta(jnp.asarray(x), jnp.asarray(q))


def multigammaln(a: Any, d: Any) -> Value:
    """`scipy.special.multigammaln`."""
    d = int(_fixed("multigammaln", d))
    a = _reals(a)
    found: Value = constant(d * (d - 1) * 0.25 * math.log(math.pi), a)
    for j in range(d):
        found = add(found, lax.lgamma(lax.sub(a, constant(0.5 * j, a))))
    return found


def factorial(n: Any, exact: bool = False, **settings: Any) -> Value:
    """`scipy.special.factorial`, through the gamma function; zero for negative arguments."""
    if exact:
        raise refused(
            "scipy.special.factorial(..., exact=True)", "counts with whole numbers", "Leave exact away."
        )
    n = _reals(n)
    return choose(lax.lt(n, constant(0, n)), constant(0, n), jsp.gamma(lax.add(n, constant(1, n))))


FUNCTIONS_BY_NAME: dict[str, Rule] = {
    "logsumexp": logsumexp,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "polygamma": polygamma,
    "zeta": zeta,
    "multigammaln": multigammaln,
    "factorial": factorial,
    "sinc": sinc,
}

FUNCTIONS: dict[Any, Rule] = {np.sinc: sinc, np.i0: lambda x: jsp.i0(jnp.asarray(_reals(x)))}
