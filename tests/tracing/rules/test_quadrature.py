"""Integrals of the user's functions: the value is SciPy's, the slopes those of closed forms."""

import numpy as np
import pytest
from scipy import integrate
from scipy.integrate import quad
from scipy.special import expi

import steepest
from steepest.errors import TracingError
from steepest.parameters import Parameters
from steepest.tracing.primitives.integral import kronrod
from steepest.tracing.trace import trace

from .recorded import value_of


def test_the_rule_is_exact_where_it_must_be_and_not_beyond():
    nodes, weights, gauss = kronrod()
    for degree in range(32):
        truth = 1.0 / (degree + 1)
        assert abs(weights @ nodes**degree - truth) < 1e-15
        assert degree > 19 or abs(gauss @ nodes**degree - truth) < 1e-15
    # In [-1, 1] these are 2³³ and 2²¹ times as large.
    assert abs(weights @ (2 * nodes - 1) ** 32 - 1 / 33) > 1e-12
    assert abs(gauss @ (2 * nodes - 1) ** 20 - 1 / 21) > 1e-7


# Cost of p, and its value and slopes in closed form at p = (0.7, 1.3).
A, B = 0.7, 1.3
TIMES = np.linspace(0.0, 1.0, 5)
CLOSED = {
    "a finite range": (
        lambda p: quad(lambda t: np.exp(-p[0] * t), 0, p[1])[0],
        (1 - np.exp(-A * B)) / A,
        [(np.exp(-A * B) * (A * B + 1) - 1) / A**2, np.exp(-A * B)],
    ),
    "backwards": (
        lambda p: quad(lambda t: p[0] * t**2, p[1], 0)[0],
        -A * B**3 / 3,
        [-(B**3) / 3, -A * B**2],
    ),
    "to infinity": (lambda p: quad(lambda t: np.exp(-p[0] * t), p[1], np.inf)[0], np.exp(-A * B) / A, None),
    "from minus infinity": (
        lambda p: quad(lambda t: np.exp(p[0] * t), -np.inf, p[1])[0],
        np.exp(A * B) / A,
        [np.exp(A * B) * (A * B - 1) / A**2, np.exp(A * B)],
    ),
    "from infinity": (
        lambda p: quad(lambda t: np.exp(-p[0] * t), np.inf, p[1])[0],
        -np.exp(-A * B) / A,
        [np.exp(-A * B) * (A * B + 1) / A**2, np.exp(-A * B)],
    ),
    "to minus infinity": (
        lambda p: quad(lambda t: np.exp(p[0] * t), p[1], -np.inf)[0],
        -np.exp(A * B) / A,
        None,
    ),
    "the whole line": (
        lambda p: quad(lambda t: np.exp(-p[0] * t * t + p[1] * t), -np.inf, np.inf)[0],
        np.sqrt(np.pi / A) * np.exp(B**2 / (4 * A)),
        [
            np.sqrt(np.pi / A) * np.exp(B**2 / (4 * A)) * (-1 / (2 * A) - B**2 / (4 * A**2)),
            np.sqrt(np.pi / A) * np.exp(B**2 / (4 * A)) * B / (2 * A),
        ],
    ),
    "with arguments": (
        lambda p: quad(lambda t, a: np.log(a * t), 0, p[1], args=(p[0],))[0],
        B * (np.log(A * B) - 1),
        [B / A, np.log(A * B)],
    ),
    "a singular end": (lambda p: quad(lambda t: p[0] / np.sqrt(t), 0, p[1])[0], 2 * A * np.sqrt(B), None),
    "a narrow peak": (
        lambda p: quad(lambda t: 1 / (1e-6 + (t - p[0]) ** 2), 0, 3, points=[0.7])[0],
        1e3 * (np.arctan(1e3 * (3 - A)) + np.arctan(1e3 * A)),
        None,
    ),
    "two dimensions": (
        lambda p: integrate.dblquad(lambda y, x: p[0] * x * y, 0, 1, lambda x: 0 * x, lambda x: p[1] * x)[0],
        A * B**2 / 8,
        [B**2 / 8, A * B / 4],
    ),
    "an array": (
        lambda p: np.sum(integrate.quad_vec(lambda t: np.array([p[0] * t, t ** p[1]]), 0, 2)[0]),
        2 * A + 2 ** (B + 1) / (B + 1),
        [2.0, 2 ** (B + 1) * ((B + 1) * np.log(2) - 1) / (B + 1) ** 2],
    ),
    "three dimensions": (
        lambda p: integrate.tplquad(
            lambda z, y, x: p[0] * z, 0, 1, 0, lambda x: p[1] * x, lambda x, y: 0.0, lambda x, y: x * y
        )[0],
        A * B**3 / 36,
        [B**3 / 36, A * B**2 / 12],
    ),
    "many dimensions": (
        lambda p: integrate.nquad(lambda y, x, a: a * x * y, [[0, 1], [0, p[1]]], args=(p[0],))[0],
        A * B**2 / 4,
        [B**2 / 4, A * B / 2],
    ),
    "many dimensions, ends that are functions": (
        lambda p: integrate.nquad(lambda y, x: p[0] * x * np.exp(-y), [lambda x: (p[1] * x, np.inf), (0, 1)])[
            0
        ],
        A * (1 - np.exp(-B) * (1 + B)) / B**2,
        [
            (1 - np.exp(-B) * (1 + B)) / B**2,
            A * (np.exp(-B) / B - 2 * (1 - np.exp(-B) * (1 + B)) / B**3),
        ],
    ),
    "a fixed rule": (
        lambda p: integrate.fixed_quad(lambda t: p[0] * t**5, 0, p[1], n=3)[0],
        A * B**6 / 6,
        [B**6 / 6, A * B**5],
    ),
    "a wave as weight": (
        lambda p: quad(lambda t: np.exp(-p[0] * t), 0, np.inf, weight="sin", wvar=2.0)[0] * p[1],
        2 * B / (A**2 + 4),
        [-4 * A * B / (A**2 + 4) ** 2, 2 / (A**2 + 4)],
    ),
    "a complex integrand": (
        lambda p: quad(lambda t: np.exp((1j - p[0]) * t), 0, np.inf, complex_func=True)[0].imag * p[1],
        B / (A**2 + 1),
        [-2 * A * B / (A**2 + 1) ** 2, 1 / (A**2 + 1)],
    ),
    "a place that is a parameter": (
        lambda p: quad(lambda t: abs(t - p[0]), 0, p[1], points=[p[0]])[0],
        0.5 * A**2 + 0.5 * (B - A) ** 2,
        [2 * A - B, B - A],
    ),
    "samples": (
        lambda p: (
            integrate.simpson(p[0] * p[1] * TIMES**2, x=TIMES)
            + integrate.trapezoid(p[0] * TIMES, dx=0.25)
            + integrate.cumulative_trapezoid(p[0] * TIMES, p[1] * TIMES)[-1]
            + integrate.romb(p[0] * TIMES**2, dx=0.25)
        ),
        A * B / 3 + A / 2 + A * B / 2 + A / 3,
        [B / 3 + 0.5 + B / 2 + 1 / 3, A / 3 + A / 2],
    ),
    "nothing at all": (lambda p: p[0] + quad(lambda t: p[1] * t, 1.0, 1.0)[0], A, [1.0, 0.0]),
}


@pytest.mark.parametrize("name", CLOSED)
def test_value_and_slopes_are_those_of_the_closed_form(name):
    cost, value, slope = CLOSED[name]
    x = np.array([A, B])
    np.testing.assert_allclose(value_of(cost, x), value, rtol=1e-11)
    np.testing.assert_allclose(value_of(cost, x), cost(x), rtol=1e-7)
    if slope is not None:
        np.testing.assert_allclose(steepest.gradient(cost)(x), slope, rtol=1e-9, atol=1e-12)


def test_the_slope_of_a_narrow_peak_is_as_good_as_what_cancels_in_it():
    cost, *_ = CLOSED["a narrow peak"]
    slope = 1 / (1e-6 + A**2) - 1 / (1e-6 + (3 - A) ** 2)
    # ∂f/∂p rises to 10⁹ within 0.001 on one side of the peak, and falls as low on the other.
    np.testing.assert_allclose(steepest.gradient(cost)(np.array([A, B])), [slope, 0.0], atol=1e-13 * 1e6)


def test_second_derivatives_go_through():
    found = steepest.derivative(lambda a: quad(lambda t: np.exp(-a * t), 0, 2)[0], order=2)(0.7)
    truth = quad(lambda t: t**2 * np.exp(-0.7 * t), 0, 2, epsabs=1e-14)[0]
    np.testing.assert_allclose(found, truth, rtol=1e-10)


def test_an_integral_without_parameters_is_scipys():
    cost = lambda p: (p[0] - quad(np.sin, 0, 2)[0]) ** 2  # noqa: E731
    found = trace(cost, Parameters.of(np.ones(1)))
    assert not any(equation.primitive.name in ("while", "integral") for equation in found.jaxpr.eqns)
    assert value_of(cost, np.array([1.0])) == cost(np.array([1.0]))


def test_a_fit_of_an_exponential_integral_finds_its_parameters():
    x = np.linspace(0.5, 3, 12)
    y = -2.5 * expi(-1.5 * x)

    def model(x, scale, rate):
        return np.array([scale * quad(lambda t: np.exp(-rate * t) / t, at, np.inf)[0] for at in x])

    found = steepest.fit(model, x, y, {"scale": 1.0, "rate": 1.0})
    assert found.success
    np.testing.assert_allclose(found.params, [2.5, 1.5], rtol=1e-8)


def test_settings_of_each_dimension_are_told():
    with pytest.raises(TracingError, match="opts"):
        steepest.gradient(
            lambda p: integrate.nquad(lambda x, y: p[0] * x * y, [(0, 1), (0, 1)], opts=[{}, {}])[0]
        )(np.ones(1))


@pytest.mark.parametrize("rate", [0.37, 0.05, 20.0])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_where_only_the_slope_overflows_it_is_nothing(rate):
    found = steepest.gradient(lambda p: quad(lambda t: t**3 / np.expm1(t * p[0]), 0, np.inf)[0])([rate])
    np.testing.assert_allclose(found, [-4 * np.pi**4 / 15 / rate**5], rtol=1e-10)


@pytest.mark.parametrize("settings", [{"weight": "cauchy", "wvar": 0.5}, {"weight": "alg", "wvar": (0, 0)}])
def test_what_has_no_rule_is_told(settings):
    with pytest.raises(TracingError, match="quad"):
        steepest.gradient(lambda p: quad(lambda t: p[0] * t, 0, 1, **settings)[0])(np.ones(1))


@pytest.mark.parametrize("upper", [np.inf, 3000.0])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_integrand_that_overflows_far_out_has_its_slope(upper):
    # Planck's law: π⁴/15·T⁴.
    def cost(p):
        return quad(lambda t: t**3 / (np.exp(t / p[0]) - 1), 0, upper)[0]

    np.testing.assert_allclose(steepest.gradient(cost)([1.5]), [4 * np.pi**4 / 15 * 1.5**3], rtol=1e-10)
    np.testing.assert_allclose(steepest.hessian(cost)([1.5]), [[12 * np.pi**4 / 15 * 1.5**2]], rtol=1e-10)


def test_an_amplitude_of_zero_keeps_its_slope():
    np.testing.assert_allclose(
        steepest.gradient(lambda p: quad(lambda t: p[0] * np.exp(-t), 0, 1)[0])([0.0]), [1 - np.exp(-1)]
    )


def test_an_integrand_that_is_nearly_too_steep_at_zero():
    # The integral of t^-a is 1/(1 - a).
    found = steepest.gradient(lambda p: quad(lambda t: t ** -p[0], 0, 1)[0])([0.9])
    np.testing.assert_allclose(found, [100.0], rtol=1e-6)
