"""A start at zero says nothing of its unit: what a saddle there is must not depend on it."""

import numpy as np
import pytest

import steepest as st

UNITS = 10.0 ** np.array([-12, -8, -4, 0, 4, 8, 12])


def wells(x):
    return np.sum((x**2 - 1) ** 2)


def product(x):
    return (np.prod(x) - 1) ** 2


def monkey(x):
    return x[0] ** 3 - 3 * x[0] * x[1] ** 2 + 0.1 * (x[0] ** 2 + x[1] ** 2) ** 2


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize(("cost", "lowest"), [(wells, 0.0), (product, 0.0), (monkey, -105.46875)])
def test_a_saddle_at_zero_is_seen_and_left_in_any_unit(cost, lowest, unit):
    def in_unit(x):
        return cost(x / unit)

    assert st.verify(in_unit, np.zeros(2)).verdict == "saddle point"
    found = st.minimize(in_unit, np.zeros(2))
    assert found.success and found.fun == pytest.approx(lowest, abs=1e-12)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("bounds", [[(0, None)] * 2, [(None, 0)] * 2, [(0, None), (None, 0)]])
def test_a_saddle_on_the_bounds_is_seen_and_left_in_any_unit(bounds, unit):
    found = st.minimize(lambda x: wells(x / unit), np.zeros(2), bounds=bounds)
    assert found.success and found.fun < 1e-20


@pytest.mark.parametrize("unit", UNITS)
def test_a_product_of_four_factors_is_no_minimum_at_zero_in_any_unit(unit):
    found = st.minimize(lambda x: product(x / unit), np.zeros(4))
    assert found.success and found.fun < 1e-20


@pytest.mark.parametrize("unit", UNITS)
def test_parameters_of_unlike_units_leave_a_saddle_at_zero(unit):
    units = np.array([1.0, unit, 1.0 / unit])
    found = st.minimize(lambda x: wells(x / units), np.zeros(3))
    assert found.success and found.fun < 1e-20


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("power", [2, 4, 6])
@pytest.mark.parametrize("height", [0.0, 1.0, 1e-9, 1e9])
def test_a_minimum_at_zero_is_one_in_any_unit(height, power, unit):
    judged = st.verify(lambda x: height + np.sum((x / unit) ** power), np.zeros(2))
    assert judged.verdict == "global minimum"


@pytest.mark.parametrize("unit", UNITS)
def test_least_squares_leaves_a_saddle_at_zero_in_any_unit(unit):
    found = st.least_squares(lambda x: (x / unit) ** 2 - np.array([1.0, 4.0]), np.zeros(2))
    assert found.success
    np.testing.assert_allclose(np.abs(found.x) / unit, [1.0, 2.0], rtol=1e-9)


def test_a_number_without_bearing_and_a_cost_that_ends_at_zero_keep_the_size_one():
    judged = st.verify(lambda x: 1 + x[0] ** 2 + 0 * x[1], np.zeros(2))
    assert judged.verdict == "flat minimum"
    judged = st.verify(lambda x: 1 + np.sum(np.sqrt(x)), np.zeros(2), bounds=[(0, None)] * 2)
    assert judged.verdict.is_minimum
