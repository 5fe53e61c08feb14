"""Parameters whose unit makes them tiny, as joules or farads do, beside others of size one."""

import numpy as np
import pytest

import steepest as st

x = np.linspace(0.0, 3.0, 40)
y = 2.0 * np.exp(-x / 1.3) + 0.02 * np.random.default_rng(0).normal(size=40)
UNITS = 10.0 ** np.array([-15, -18, -25, -40, -90])


def decay(x, a, tau):
    return a * np.exp(-x / tau)


@pytest.fixture(scope="module")
def in_unit_one():
    return st.fit(decay, x, y, [1.0, 1.0])


@pytest.mark.parametrize("unit", UNITS)
def test_a_fit_does_not_depend_on_the_unit_of_its_measurements(in_unit_one, unit):
    found = st.fit(decay, x, unit * y, [unit, 1.0])
    np.testing.assert_allclose(found.params / [unit, 1.0], in_unit_one.params, rtol=1e-9)
    np.testing.assert_allclose(found.errors["a"] / unit, in_unit_one.errors["a"], rtol=1e-9)
    assert found.verdict == "local minimum" and found.digits.min() > 10


@pytest.mark.parametrize("unit", UNITS)
def test_a_fit_does_not_depend_on_the_unit_of_x(in_unit_one, unit):
    found = st.fit(decay, x * unit, y, [1.0, unit])
    np.testing.assert_allclose(found.params / [1.0, unit], in_unit_one.params, rtol=1e-9)
    assert found.verdict == "local minimum" and found.digits.min() > 10


@pytest.mark.parametrize("unit", UNITS)
def test_a_sum_of_squares_in_a_small_unit_is_not_taken_for_zero(unit):
    found = st.minimize(lambda p: np.sum((decay(x, *p) - unit * y) ** 2), [unit, 1.0])
    assert found.verdict == "local minimum" and found.digits.min() > 10


@pytest.mark.parametrize("rounding", [1e-17, -3e-16, 2e-30])
@pytest.mark.parametrize("size", [1e-40, 1.0])
def test_rounding_of_zero_stays_zero(rounding, size):
    verdict = st.verify(lambda p: size * (p[0] ** 2 + (p[1] - 1.0) ** 2), [rounding, 1.0]).verdict
    assert verdict == "global minimum"
    beside = st.verify(lambda p: size * (p[0] ** 2 + np.cosh(p[1] - 1.0) ** 3), [rounding, 1.0])
    assert beside.success


@pytest.mark.parametrize("bounds", [[(0.0, np.inf), (-np.inf, np.inf)], [(-1e-12, 1e-17), (0.0, 2.0)]])
def test_the_size_of_a_tiny_number_is_looked_for_inside_the_bounds(bounds):
    seen = []

    def cost(p):
        seen.append(p)
        return p[0] ** 2 + np.cosh(p[1] - 1.0)

    assert st.verify(cost, [1e-17, 1.0], bounds=bounds, derivatives="numeric").success
    low, high = np.transpose(bounds)
    assert all(((low <= place) & (place <= high)).all() for place in seen)
