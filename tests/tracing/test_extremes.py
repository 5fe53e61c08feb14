"""Generalised extreme values and Pareto against fifty digits, also where the shape is zero or nearly so."""

import mpmath
import numpy as np
import pytest
from scipy import stats

import steepest as st
from steepest.parameters import Parameters
from steepest.tracing.trace import trace
from steepest.vector_functions import TracedVector

mpmath.mp.dps = 50


def log_tail(z, c):
    """log(1 - c z)/c."""
    return mpmath.log1p(-c * z) / c if c else -z


def truth(name, method, z, c):
    tail = log_tail(z, c) if name == "genextreme" else log_tail(z, -c)
    bend = mpmath.log1p(-c * z) if name == "genextreme" else mpmath.log1p(c * z)
    return {
        ("genextreme", "logpdf"): lambda: tail - bend - mpmath.exp(tail),
        ("genextreme", "logcdf"): lambda: -mpmath.exp(tail),
        ("genextreme", "sf"): lambda: -mpmath.expm1(-mpmath.exp(tail)),
        ("genpareto", "logpdf"): lambda: tail - bend,
        ("genpareto", "logsf"): lambda: tail,
        ("genpareto", "cdf"): lambda: -mpmath.expm1(tail),
    }[name, method]()


@pytest.mark.parametrize(("name", "method"), [
    ("genextreme", "logpdf"), ("genextreme", "logcdf"), ("genextreme", "sf"),
    ("genpareto", "logpdf"), ("genpareto", "logsf"), ("genpareto", "cdf"),
])  # fmt: skip
@pytest.mark.parametrize("c", [0.3, -0.3, 1e-2, 0.019, 0.021, 1e-5, -1e-9, 0.0])
def test_values_and_slopes_have_their_digits_near_shape_zero_too(name, method, c):
    z = np.array([0.3, 1.0, 2.5])
    distribution = getattr(stats, name)
    values, jacobian = TracedVector(
        trace(lambda p: getattr(distribution, method)(z, p[0], p[1]), Parameters.of(np.array([c, 0.0])))
    ).both(np.array([c, 0.0]))
    for k, place in enumerate(z):
        place = mpmath.mpf(float(place))
        exact = truth(name, method, place, mpmath.mpf(c))
        in_shape = mpmath.diff(lambda s, place=place: truth(name, method, place, s), mpmath.mpf(c))
        in_place = -mpmath.diff(lambda s: truth(name, method, s, mpmath.mpf(c)), place)
        np.testing.assert_allclose(values[k], float(exact), rtol=1e-13)
        np.testing.assert_allclose(jacobian[k], [float(in_shape), float(in_place)], rtol=2e-11)


@pytest.mark.parametrize("name", ["genextreme", "genpareto"])
@pytest.mark.parametrize("c", [0.4, -0.4])
def test_beyond_the_ends_are_scipys_values_and_no_slope_is_lost(name, c):
    x = np.array([-9.0, -1.0, 0.2, 1.5, 9.0])
    for method in ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf"):
        function = getattr(getattr(stats, name), method)
        place = np.array([c, 0.1, 1.3])
        values, jacobian = TracedVector(trace(lambda p, f=function: f(x, *p), Parameters.of(place))).both(
            place
        )
        np.testing.assert_allclose(values, function(x, *place), rtol=1e-12)
        assert np.isfinite(jacobian).all()


def test_yearly_floods_are_fitted_as_scipy_fits_them():
    data = stats.genextreme.rvs(-0.1, 30.0, 8.0, size=70, random_state=5)
    found = st.minimize(
        lambda p: -np.sum(stats.genextreme.logpdf(data, p[0], p[1], np.exp(p[2]))), [0.0, 25.0, 2.0]
    )
    assert found.success
    shape, place, scale = stats.genextreme.fit(data)
    best = stats.genextreme.nnlf((shape, place, scale), data)
    assert found.fun <= best + 1e-9
    np.testing.assert_allclose(
        [*found.x[:2], np.exp(found.x[2])], [shape, place, scale], rtol=2e-3, atol=2e-3
    )
