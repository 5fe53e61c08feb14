"""Weibull and lognormal distributions against SciPy's own, and censored lifetimes fitted to known truth."""

import numpy as np
import pytest
from scipy import stats

import steepest as st
from steepest.parameters import Parameters
from steepest.tracing.trace import trace
from steepest.vector_functions import TracedVector

x = np.array([-1.0, 0.0, 1e-3, 0.2, 0.9, 1.0, 2.5, 7.0, 30.0])


@pytest.mark.parametrize("distribution", [stats.weibull_min, stats.lognorm], ids=lambda d: d.name)
@pytest.mark.parametrize("method", ["pdf", "logpdf", "cdf", "logcdf", "sf", "logsf"])
@pytest.mark.parametrize("place", [[0.7, 0.1, 1.4], [1.6, -0.3, 0.8]])
def test_values_are_scipys_and_slopes_those_of_their_differences(distribution, method, place):
    def both(p):
        return getattr(distribution, method)(x, p[0], loc=p[1], scale=p[2])

    place = np.array(place)
    values, jacobian = TracedVector(trace(both, Parameters.of(place))).both(place)
    expected = both(place)
    np.testing.assert_allclose(values, expected, rtol=1e-12, atol=1e-300)
    inside = np.isfinite(expected) & (np.abs(expected) < 1e8)
    for k in range(3):
        step = np.zeros(3)
        step[k] = 1e-6
        slope = (both(place + step)[inside] - both(place - step)[inside]) / 2e-6
        np.testing.assert_allclose(jacobian[inside, k], slope, rtol=2e-5, atol=1e-8)
    assert np.isfinite(jacobian).all()


def test_censored_lifetimes_give_the_closed_form_where_the_shape_is_one():
    """With shape 1 the scale is the total time over the number of deaths."""
    random = np.random.default_rng(2)
    lives, end = 10.0 * random.weibull(1.0, 80), 20.0 * random.random(80)
    seen, died = np.minimum(lives, end), lives <= end

    def cost(p):
        given = {"c": 1.0, "scale": np.exp(p)}
        return -np.sum(
            np.where(died, stats.weibull_min.logpdf(seen, **given), stats.weibull_min.logsf(seen, **given))
        )

    found = st.minimize(cost, 0.0)
    assert found.success
    assert np.exp(found.x) == pytest.approx(seen.sum() / died.sum(), rel=1e-9)
