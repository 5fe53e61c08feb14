"""Functions that SciPy computes: derivatives to third order by 50 digits, compiled, in batches, in a fit."""

import jax
import mpmath
import numpy as np
import pytest
import scipy.special as special

import steepest
from steepest.errors import TracingError
from steepest.numerics import double_precision
from steepest.tracing.rules import special_of_scipy as rules

TRUTHS = {
    "j0": (special.j0, lambda x: mpmath.besselj(0, x)),
    "j1": (special.j1, lambda x: mpmath.besselj(1, x)),
    "y1": (special.y1, lambda x: mpmath.bessely(1, x)),
    "k1e": (special.k1e, lambda x: mpmath.exp(x) * mpmath.besselk(1, x)),
    "jv": (lambda x: special.jv(1.5, x), lambda x: mpmath.besselj(1.5, x)),
    "ive": (lambda x: special.ive(0.5, x), lambda x: mpmath.exp(-x) * mpmath.besseli(0.5, x)),
    "kve": (lambda x: special.kve(0.5, x), lambda x: mpmath.exp(x) * mpmath.besselk(0.5, x)),
    "ellipk": (special.ellipk, mpmath.ellipk),
    "ellipe": (special.ellipe, mpmath.ellipe),
    "ellipkm1": (special.ellipkm1, lambda p: mpmath.ellipk(1 - p)),
    "airy": (lambda x: special.airy(x)[0], mpmath.airyai),
    "fresnel": (lambda x: special.fresnel(x)[1], mpmath.fresnelc),
    "legendre": (lambda x: special.eval_legendre(4, x), lambda x: mpmath.legendre(4, x)),
    "hermite": (lambda x: special.eval_hermite(5, x), lambda x: mpmath.hermite(5, x)),
    "laguerre": (lambda x: special.eval_genlaguerre(4, 0.5, x), lambda x: mpmath.laguerre(4, 0.5, x)),
    "lambertw": (lambda x: special.lambertw(x).real, lambda x: mpmath.lambertw(x).real),
    "stdtrit": (lambda p: special.stdtrit(3, p), lambda p: _quantile_of_t3(p)),
}


def _quantile_of_t3(p):
    """By Newton's method on the distribution function of Student's t with three degrees of freedom."""

    def distribution(t):
        root = mpmath.sqrt(3)
        return 0.5 + (t / root / (1 + t * t / 3) + mpmath.atan(t / root)) / mpmath.pi

    return mpmath.findroot(lambda t: distribution(t) - p, special.stdtrit(3, float(p)))


@pytest.mark.parametrize("name", TRUTHS)
@pytest.mark.parametrize("order", [1, 3])
def test_derivatives_agree_with_fifty_digits(name, order):
    function, truth = TRUTHS[name]
    with mpmath.workdps(50):
        expected = float(mpmath.diff(truth, mpmath.mpf("0.6"), order))
    np.testing.assert_allclose(steepest.derivative(function, order=order)(0.6), expected, rtol=1e-9)


def test_compiled_and_in_batches_as_by_itself():
    x = np.linspace(0.1, 3.0, 12).reshape(3, 4)
    with double_precision():
        plain = special.jv(1.5, x)
        one = jax.jit(jax.vmap(jax.vmap(lambda x: rules.of("jv", np.float64(1.5), x))))(x)
        slope = jax.jit(jax.vmap(jax.vmap(jax.grad(lambda x: rules.of("jv", np.float64(1.5), x)))))(x)
        degrees = np.array([0, 1, 2, 3])
        many = jax.vmap(lambda x: rules.of("eval_legendre", degrees, x))(x)
    np.testing.assert_allclose(one, plain, rtol=1e-14)
    np.testing.assert_allclose(slope, special.jvp(1.5, x), rtol=1e-12)
    np.testing.assert_allclose(many, special.eval_legendre(degrees, x), rtol=1e-14)


def test_an_airy_disc_is_fitted_through_its_centre():
    x = np.linspace(0.0, 12.0, 50)

    def disc(x, height, width):
        u = x / width + 1e-12
        return height * (2 * special.j1(u) / u) ** 2

    found = steepest.fit(disc, x, disc(x, 3.0, 1.3), {"height": 1.0, "width": 1.0})
    assert found.success
    np.testing.assert_allclose(found.params, [3.0, 1.3], rtol=1e-8)


def test_an_order_that_is_a_parameter_is_told():
    with pytest.raises(TracingError, match="jv of an order"):
        steepest.gradient(lambda p: special.jv(p[0], 1.0))(np.ones(1))


def test_orders_as_many_as_one_likes_beside_one_place_or_many():
    orders, places = np.arange(4), np.array([0.3, 0.5])
    slopes = [special.jvp(order, places) for order in orders]

    def at_one(p):
        return np.sum(special.jv(np.arange(4), p[0]))

    def at_each(p):
        return np.sum(special.jv(np.arange(4)[:, None], p))

    np.testing.assert_allclose(
        steepest.gradient(at_one)(places[:1])[0], sum(s[0] for s in slopes), rtol=1e-12
    )
    np.testing.assert_allclose(steepest.gradient(at_each)(places), sum(slopes), rtol=1e-12)


# Places where a formula divides by zero, takes the logarithm of no positive number or loses a sign; slopes by hand.
AT_ODD_PLACES = {
    "struve at zero": (lambda x: special.struve(0, x), 0.0, 2 / np.pi),
    "shichi at zero": (lambda x: special.shichi(x)[0], 0.0, 1.0),
    "powm1 of a negative base": (lambda x: special.powm1(x, 2.0), -2.0, -4.0),
    "powm1 of zero": (lambda x: special.powm1(x, 2.0), 0.0, 0.0),
    "powm1 by its exponent": (lambda y: special.powm1(2.0, y), 0.0, np.log(2.0)),
    "binom of a negative number": (lambda n: special.binom(n, 2), -1.5, -2.0),
    "binom": (lambda n: special.binom(n, 2), 4.0, 3.5),
}


@pytest.mark.parametrize("name", AT_ODD_PLACES)
def test_slopes_at_odd_places_are_those_of_mathematics(name):
    function, place, slope = AT_ODD_PLACES[name]
    np.testing.assert_allclose(steepest.derivative(function)(place), slope, rtol=1e-12, atol=1e-14)


def test_a_binomial_of_a_negative_number_has_its_own_sign():
    # (n² - n)/2 = 1.875 at n = -1.5, and it is the only place left of zero.
    found = steepest.minimize(lambda p: (special.binom(p[0], 2) - 1.875) ** 2, np.array([-1.4]), starts=1)
    np.testing.assert_allclose(found.x, [-1.5], rtol=1e-6)


def test_functions_that_scipy_computes_are_exact_in_compiled_loops():
    from jax.extend.core import jaxpr_as_fun
    from scipy import integrate

    from steepest.parameters import Parameters
    from steepest.tracing.trace import trace

    def cost(x):
        return integrate.quad(lambda t: special.kv(1.5, 1 + t * x[0]), 0, 1)[0]

    x = np.array([0.3])
    with double_precision():  # which the thread that a compiled loop calls SciPy from is not in
        compiled = jax.jit(jaxpr_as_fun(trace(cost, Parameters.of(x)).jaxpr))(x)[0]
    assert compiled == pytest.approx(cost(x), rel=1e-13)
