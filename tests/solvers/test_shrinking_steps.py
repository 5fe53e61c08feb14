"""Where curvature vanishes at the minimum, the walk is there once the factor of its steps is known."""

import numpy as np
import pytest

import steepest as st
from steepest.solvers.shrinking_steps import STOPS_SHORT, is_steady, led_by, shrinking, steps_at_once


def powell_singular(x):
    """Powell's singular function (More, Garbow & Hillstrom 1981, problem 13): minimum 0 at 0, where two
    curvatures vanish."""
    a, b, c, d = x[0], x[1], x[2], x[3]
    return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4


# Step by step it takes 80, 44, 27 and 64: Gauss-Newton alone halves the distance to the bottom of a fourth power.
@pytest.mark.parametrize(
    ("cost", "start", "minimum", "most"),
    [
        (lambda x: np.sum(x**4), [1.0, 2.0, 3.0], [0.0, 0.0, 0.0], 20),
        (lambda x: (x[0] - 0.3) ** 6 + (x[1] - 7.1) ** 2, [1.0, 2.0], [0.3, 7.1], 20),
        (lambda x: (1 - np.cos(x[0] - 1.2)) ** 2 + (x[1] - x[0]) ** 2, [2.0, 2.0], [1.2, 1.2], 15),
        (powell_singular, [3.0, -1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], 40),
    ],
)
def test_least_squares_without_curvature_at_the_minimum_take_few_evaluations(cost, start, minimum, most):
    found = st.minimize(cost, np.array(start), method="levenberg-marquardt")
    np.testing.assert_allclose(found.x, minimum, atol=1e-7)
    assert found.success
    assert found.nfev <= most


@pytest.mark.parametrize("method", ["levenberg-marquardt", "newton"])
@pytest.mark.parametrize("far", [3.0, 10.0, 30.0, 100.0, 1000.0])
def test_from_far_out_no_leap_is_made_to_the_middle_of_the_minima(far, method):
    # Broyden's banded function (1965) has its zero near -0.5 in each parameter. From far out its residuals look like
    # cubes, whose common bottom lies beside other minima, of cost 2.68 and 3.06.
    def banded(x):
        near = [[j for j in range(max(0, i - 5), min(9, i + 1) + 1) if j != i] for i in range(10)]
        neighbours = np.array([np.sum(x[k] * (1 + x[k])) for k in map(np.array, near)])
        return np.sum((x * (2 + 5 * x**2) + 1 - neighbours) ** 2)

    assert st.minimize(banded, np.full(10, -far), method=method, starts=1).fun < 1e-20


def test_newton_on_a_fourth_power_takes_few_evaluations_too():
    found = st.minimize(lambda x: np.sum((x - 2.0) ** 4) + 1.0, np.array([0.0, 5.0]), method="newton")
    np.testing.assert_allclose(found.x, 2.0, atol=1e-6)
    assert found.nfev <= 15


def test_the_factor_is_told_in_whatever_direction_steps_go_and_not_where_they_turn():
    last = np.array([3.0, -4.0])
    assert shrinking(last, 0.5 * last) == pytest.approx(0.5)
    assert shrinking(last, -0.5 * last) == 0.0
    assert shrinking(last, np.array([2.0, 1.5])) == 0.0
    assert shrinking(last, 0.01 * last) == 0.0
    assert is_steady(0.5, 0.51)
    assert not is_steady(0.5, 0.6)
    assert not is_steady(0.0, 0.0)


def test_where_all_steps_lead_is_told_in_few_evaluations_from_any_start_of_a_flat_bottom():
    for far in [1.0, 10.0, 100.0]:  # step by step it takes 10,001, 6,227 and 343; so, between 10 and 57
        found = st.minimize(powell_singular, far * np.array([3.0, -1.0, 0.0, 1.0]), method="newton", starts=1)
        np.testing.assert_allclose(found.x, 0.0, atol=1e-8)
        assert found.nfev <= 100


def test_a_leap_that_the_cost_is_too_coarse_to_show_is_taken_for_the_slope():
    # Beside 100 a fourth power shows nothing below 3e-4 of the way; its slope goes on. Step by step it takes 76.
    def cost(x):
        return np.sum((x - 2.0) ** 4 + 0.01 * (x - 2.0) ** 5) + 100.0

    found = st.minimize(cost, np.array([0.0, 5.0, 50.0]), method="newton", starts=1)
    np.testing.assert_allclose(found.x, 2.0, atol=1e-11)
    assert found.nfev <= 40


def test_how_many_steps_are_taken_together():
    assert steps_at_once(0.75, 0.75, 1.0, 1.0) == 4.0
    assert steps_at_once(0.75, 0.76, 1e-5, 1.0) == pytest.approx(4.0)  # near the end the factor may change
    assert steps_at_once(0.75, 0.7501, 1.0, 1.0) == 1.0
    short = 1.0 - 0.25 * steps_at_once(0.75, 0.75 + 1e-8, 1.0, 1.0)
    assert short == pytest.approx(STOPS_SHORT * 1e-4, rel=1e-3)
    assert steps_at_once(0.75, 0.5, 1e-9, 1.0) == 1.0


# Step by step Gauss-Newton takes 16, 27 and 18: its steps change sign and shrink to a tenth and a quarter, or keep it.
@pytest.mark.parametrize(("bend", "left", "most"), [(0.05, 1.0, 8), (0.1, 1.2, 12), (-0.06, 1.0, 9)])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_where_residuals_are_left_a_secant_takes_the_place_of_most_steps(bend, left, most, unit):
    # The slope is zero where (x - 1) + 2·bend·x·(bend·x² + left) = 0.
    roots = np.roots([2.0 * bend**2, 0.0, 1.0 + 2.0 * bend * left, -1.0])
    truth = roots[np.abs(roots.imag) < 1e-12].real
    found = st.minimize(
        lambda x: np.sum((x / unit - 1.0) ** 2) + np.sum((bend * (x / unit) ** 2 + left) ** 2),
        np.array([5.0 * unit]),
        method="levenberg-marquardt",
    )
    np.testing.assert_allclose(found.x / unit, truth, rtol=1e-14)
    assert found.success
    assert found.nfev <= most


def test_a_secant_leads_to_the_end_of_steps_that_shrink_by_one_factor():
    rng = np.random.default_rng(0)
    end, way = rng.standard_normal(4), rng.standard_normal(4)
    scale = 10.0 ** rng.uniform(-6.0, 6.0, 4)
    for factor in (-0.25, -0.1, 1e-3, 0.1, 0.25):
        first, second = end - way, end - factor * way
        aimed, this = (1.0 - factor) * (end - first), (1.0 - factor) * (end - second)
        led = led_by(second - first, aimed, this, scale)
        np.testing.assert_allclose(second + this + led, end, rtol=1e-12)
        # The step before went farther than it was aimed: only where it ended counts.
        start = second - 1.2 * aimed
        aimed = (1.0 - factor) * (end - start)
        led = led_by(second - start, aimed, this, scale)
        np.testing.assert_allclose(second + this + led, end, rtol=1e-12)


def test_no_secant_is_taken_where_steps_turn_or_grow_or_vanish():
    step, units = np.array([1.0, 0.0]), np.ones(2)
    for along, across in (
        (0.0, 0.1),
        (0.1, 0.02),
        (0.4, 0.0),
        (1.0, 0.0),
        (1.001, 0.0),
        (2.0, 0.0),
        (0.0, 0.0),
    ):
        for this in (np.array([along, across]), np.array([-along, across])):
            assert led_by(step, step, this, units) is None
    tiny = 1e-162 * step
    for this in (0.1 * tiny, 0.0 * tiny, np.nan * tiny):
        led = led_by(tiny, tiny, this, units)
        assert led is None or np.isfinite(led).all()
