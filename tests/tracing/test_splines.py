"""Interpolators with values and at places that are parameters: SciPy's values, slopes by differences, the plan."""

import numpy as np
import pytest
from scipy import interpolate

import steepest as st
from steepest.errors import TracingError
from steepest.parameters import Parameters
from steepest.tracing.trace import trace
from steepest.vector_functions import TracedVector

KNOTS = np.array([0.0, 0.7, 1.5, 2.6, 4.0])
PLACES = np.array([-0.2, 0.0, 0.3, 0.7, 1.9, 3.3, 4.0, 4.3])
INSIDE = PLACES[1:-1]
VALUES = np.array([0.1, 0.9, 1.8, 1.2, -0.7])
DOUBLED = np.r_[0.0, 0, 0, 0, 1.5, 4, 4, 4, 4]
SMOOTH = interpolate.UnivariateSpline(KNOTS, VALUES, s=0.05)
OUTSIDE = interpolate.CubicSpline(KNOTS, VALUES)
LINEAR = interpolate.interp1d(KNOTS, VALUES, bounds_error=False, fill_value=(3.0, -2.0))
TCK = interpolate.splrep(KNOTS, VALUES)

OF_VALUES = {
    "cubic": lambda p: interpolate.CubicSpline(KNOTS, p)(PLACES),
    "natural": lambda p: interpolate.CubicSpline(KNOTS, p, bc_type="natural").derivative()(PLACES),
    "clamped": lambda p: interpolate.CubicSpline(KNOTS, p, bc_type="clamped")(PLACES, 2),
    "area": lambda p: interpolate.CubicSpline(KNOTS, p).integrate(0.2, 3.1) * np.ones(1),
    "b-spline": lambda p: interpolate.BSpline(DOUBLED, p, 3)(PLACES),
    "interpolating b-spline": lambda p: interpolate.make_interp_spline(KNOTS, p, k=3)(PLACES),
    "parabolas": lambda p: interpolate.make_interp_spline(KNOTS, p, k=2).antiderivative()(PLACES),
    "straight": lambda p: interpolate.interp1d(KNOTS, p)(INSIDE),
    "interp1d cubic": lambda p: interpolate.interp1d(KNOTS, p, kind="cubic")(INSIDE),
    "keeping the shape": lambda p: interpolate.PchipInterpolator(KNOTS, p)(PLACES),
    "keeping the shape of two": lambda p: interpolate.PchipInterpolator(KNOTS[:2], p[:2])(INSIDE),
    "values and slopes": lambda p: interpolate.CubicHermiteSpline(KNOTS[:2], p[:2], p[2:4])(INSIDE),
    "lists of numbers": lambda p: interpolate.CubicSpline(KNOTS, [p[0], 1.0, p[1], p[2], 0.3])(PLACES),
    "lists of slopes": lambda p: interpolate.CubicHermiteSpline(KNOTS[:2], [p[0], 2.0], [p[1], p[2]])(INSIDE),
    "columns": lambda p: interpolate.CubicSpline(KNOTS, np.stack([p, p**2], axis=1))(PLACES).ravel(),
    "krogh": lambda p: interpolate.KroghInterpolator(KNOTS, p)(INSIDE),
    "slopes of krogh": lambda p: interpolate.KroghInterpolator(KNOTS, p).derivative(INSIDE),
    "numbers beside": lambda p: interpolate.interp1d(KNOTS, p, bounds_error=False, fill_value=5.0)(PLACES),
    "two numbers beside columns": lambda p: interpolate.interp1d(
        KNOTS, np.stack([p, p**2], axis=1), "linear", 0, bounds_error=False, fill_value=(3.0, -2.0)
    )(PLACES).ravel(),
    "parameters beside": lambda p: interpolate.interp1d(
        KNOTS, p, kind="previous", bounds_error=False, fill_value=(p[0], p[-1] ** 2)
    )(PLACES),
    "slopes of the shape kept": lambda p: interpolate.PchipInterpolator(KNOTS, p).derivative()(PLACES),
    "values and slopes of a period": lambda p: interpolate.CubicHermiteSpline(
        KNOTS, p, p**2, extrapolate="periodic"
    )(3 * PLACES),
    "splev": lambda p: interpolate.splev(INSIDE, (DOUBLED, p, 3), der=1),
}
AT_PLACES = {
    "cubic": lambda p: OUTSIDE(p[0] * PLACES + p[1]),
    "cubic twice differentiated": lambda p: OUTSIDE(p[0] * PLACES + p[1], 2),
    "never beyond": lambda p: interpolate.CubicSpline(KNOTS, VALUES, extrapolate=False)(
        0.1 * p[0] * INSIDE + 1
    ),
    "periodic": lambda p: interpolate.CubicSpline(KNOTS, VALUES, extrapolate="periodic")(9 * p[0] * PLACES),
    "area up to": lambda p: OUTSIDE.integrate(p[0], 3 * p[1]) * np.ones(1),
    "values beside": lambda p: LINEAR(p[0] * PLACES + p[1]),
    "smoothed": lambda p: SMOOTH(p[0] * PLACES + p[1]),
    "splev": lambda p: interpolate.splev(p[0] * INSIDE, TCK),
    "both": lambda p: interpolate.CubicSpline(KNOTS, p[1] * VALUES**2)(p[0] * INSIDE),
    "both of the shape kept": lambda p: interpolate.PchipInterpolator(KNOTS, p[1] * VALUES)(p[0] * INSIDE, 1),
    "a number": lambda p: interpolate.make_interp_spline(KNOTS, VALUES)(p[0] + p[1]) * np.ones(1),
    "columns": lambda p: interpolate.CubicSpline(KNOTS, np.c_[VALUES, VALUES**2])(p[0] * INSIDE).ravel(),
}


def check(function, place):
    values, jacobian = TracedVector(trace(function, Parameters.of(place))).both(place)
    np.testing.assert_allclose(values, function(place), rtol=1e-12, atol=1e-12)
    for k, step in enumerate(np.eye(place.size) * 1e-4):
        wide, narrow = ((function(place + h) - function(place - h)) / (2 * h[k]) for h in (step, step / 2))
        slope = (4 * narrow - wide) / 3
        np.testing.assert_allclose(jacobian[:, k], slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", OF_VALUES)
def test_values_may_be_parameters(name):
    check(OF_VALUES[name], VALUES)


@pytest.mark.parametrize("name", AT_PLACES)
def test_places_may_depend_on_parameters(name):
    check(AT_PLACES[name], np.array([0.83, 0.41]))


SQUARE = np.outer(VALUES, VALUES + 1)


@pytest.mark.parametrize("function", [
    lambda p: interpolate.interp1d(KNOTS, np.outer(p, p + 1))(INSIDE),
    lambda p: interpolate.interp1d(KNOTS, SQUARE)(p),
    lambda p: interpolate.KroghInterpolator(KNOTS, np.outer(p, p + 1), 1)(INSIDE),
    lambda p: interpolate.make_interp_spline(KNOTS, np.outer(p, p + 1), 3, None, None, 1)(INSIDE),
    lambda p: interpolate.make_interp_spline(KNOTS, p, bc_type=([(1, 0.3)], [(1, -0.2)]))(INSIDE),
    lambda p: interpolate.CubicSpline(KNOTS, VALUES, extrapolate="periodic").integrate(p[0], 9 * p[1]),
    lambda p: interpolate.PchipInterpolator(KNOTS, p).integrate(0.0, 3.0),
])  # fmt: skip
def test_what_is_not_followed_is_refused_and_never_taken_for_something_else(function):
    with pytest.raises(TracingError):
        trace(lambda p: np.sum(function(p)), Parameters.of(VALUES))


@pytest.mark.parametrize("function", [
    lambda p: interpolate.PchipInterpolator(KNOTS[::-1], p)(INSIDE),
    lambda p: interpolate.CubicHermiteSpline(KNOTS[::-1], p, p)(INSIDE),
])  # fmt: skip
def test_places_in_disorder_are_scipys_own_error(function):
    with pytest.raises(ValueError, match="strictly increasing"):
        trace(function, Parameters.of(VALUES))


def test_a_spline_through_parameters_is_fitted_as_the_linear_model_that_it_is():
    rng = np.random.default_rng(0)
    t = np.linspace(0.0, 4.0, 40)
    y = np.sin(t) + 0.05 * rng.normal(size=t.size)
    found = st.minimize(lambda p: np.sum((interpolate.CubicSpline(KNOTS, p)(t) - y) ** 2), np.zeros(5))
    basis = interpolate.CubicSpline(KNOTS, np.eye(5))(t)
    np.testing.assert_allclose(found.x, np.linalg.lstsq(basis, y, rcond=None)[0], rtol=1e-9)
    assert str(found.verdict) == "global minimum"
    assert found.nfev <= 5
