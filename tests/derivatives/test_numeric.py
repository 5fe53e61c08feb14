"""Differences against closed forms: accuracy, honest errors, noise, scales, and bounds never left."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import minimize
from steepest.bounds import Bounds
from steepest.derivatives.numeric import NumericDerivatives


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def rosenbrock_gradient(x):
    valley = x[1] - x[0] ** 2
    return np.array([-2 * (1 - x[0]) - 400 * x[0] * valley, 200 * valley])


def rosenbrock_hessian(x):
    return np.array([[2 - 400 * x[1] + 1200 * x[0] ** 2, -400 * x[0]], [-400 * x[0], 200.0]])


def free(fun, n):
    return NumericDerivatives(fun, Bounds.none(n))


@pytest.mark.parametrize("x", [(-1.2, 1.0), (1.0, 1.0), (3.0, -2.0), (0.0, 0.0)])
def test_a_smooth_cost_has_its_slope_to_ten_digits(x):
    x = np.array(x)
    derivatives = free(rosenbrock, 2)
    value, gradient = derivatives.value_and_gradient(x)
    assert value == rosenbrock(x)
    assert_allclose(gradient, rosenbrock_gradient(x), rtol=1e-10, atol=1e-10)
    assert (np.abs(gradient - rosenbrock_gradient(x)) <= 10 * derivatives.gradient_error + 1e-14).all()


@pytest.mark.parametrize("scale", [1e-8, 1e-4, 1.0, 1e4, 1e8])
@pytest.mark.parametrize("start", [0.0, 1.0])
def test_the_units_of_a_parameter_do_not_matter(scale, start):
    x = np.array([start * scale])
    _, gradient = free(lambda x: float(np.sin(x[0] / scale + 0.3)), 1).value_and_gradient(x)
    assert_allclose(gradient * scale, np.cos(x / scale + 0.3), rtol=1e-8)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_the_units_of_the_cost_do_not_matter(scale):
    x = np.array([0.7])
    _, gradient = free(lambda x: scale * float(np.sin(x[0])), 1).value_and_gradient(x)
    assert_allclose(gradient, scale * np.cos(x), rtol=1e-10)


@pytest.mark.parametrize("level", [1e-6, 1e-3])
def test_noise_is_found_and_the_error_told_covers_the_true_one(level):
    generator = np.random.default_rng(0)
    x = np.array([-1.2, 1.0])
    derivatives = free(lambda x: rosenbrock(x) + level * generator.standard_normal(), 2)
    _, gradient = derivatives.value_and_gradient(x)
    error = np.abs(gradient - rosenbrock_gradient(x))
    assert level / 5 < derivatives.noise < 5 * level
    assert (error <= 10 * derivatives.gradient_error).all()
    # An ordinary step of 1e-8 would err by level/1e-8; a step that fits errs by about level^(2/3).
    assert error.max() < 300 * level ** (2 / 3)


def test_the_cost_is_never_called_outside_its_bounds():
    bounds = Bounds(np.array([0.0, -1.0, 2.0]), np.array([1.0, np.inf, 2.0]))
    seen = []

    def cost(x):
        seen.append(x.copy())
        return float(np.sum(np.exp(0.5 * x)))

    derivatives = NumericDerivatives(cost, bounds)
    for x in ([0.0, -1.0, 2.0], [1.0, 5.0, 2.0], [1e-9, 0.0, 2.0]):
        x = np.array(x)
        _, gradient = derivatives.value_and_gradient(x)
        assert_allclose(gradient[:2], 0.5 * np.exp(0.5 * x[:2]), rtol=1e-7)
        assert gradient[2] == 0.0
        derivatives.hessian(x)
        derivatives.hessian_product(x, np.ones(3))
    assert all(bounds.contains(x) for x in seen)


def test_a_wall_of_nan_next_to_the_point_is_stepped_around():
    derivatives = free(lambda x: float(np.log(x[0])) if x[0] > 0 else np.nan, 1)
    _, gradient = derivatives.value_and_gradient(np.array([1e-3]))
    assert_allclose(gradient, [1e3], rtol=1e-6)


@pytest.mark.parametrize("x", [(-1.2, 1.0), (1.0, 1.0)])
def test_second_derivatives_to_six_digits(x):
    x = np.array(x)
    derivatives = free(rosenbrock, 2)
    H = rosenbrock_hessian(x)
    assert_allclose(derivatives.hessian(x), H, rtol=1e-6, atol=1e-4)
    v = np.array([1.0, -2.0])
    assert_allclose(derivatives.hessian_product(x, v), H @ v, rtol=1e-6, atol=1e-4)


def test_many_parameters_cost_two_calls_each():
    derivatives = free(lambda x: float(np.sum(np.exp(x))), 100)
    x = np.linspace(0, 1, 100)
    derivatives.value_and_gradient(x)
    before = derivatives.calls
    _, gradient = derivatives.value_and_gradient(x)
    assert derivatives.calls - before == 201
    assert_allclose(gradient, np.exp(x), rtol=1e-8)


def test_the_users_array_is_not_kept_or_changed():
    def spoil(x):
        value = float(x @ x)
        x[:] = 99.0
        return value

    x = np.array([1.0, 2.0])
    _, gradient = NumericDerivatives(spoil, Bounds.none(2)).value_and_gradient(x)
    assert_allclose(gradient, [2.0, 4.0], rtol=1e-9)
    assert x.tolist() == [1.0, 2.0]


def test_a_cost_that_is_not_finite_has_no_slope():
    value, gradient = NumericDerivatives(lambda x: np.nan, Bounds.none(1)).value_and_gradient(np.zeros(1))
    assert np.isnan(value)
    assert np.isnan(gradient).all()


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("well", ["quartic", "cosine"])
def test_a_summit_as_high_on_both_sides_has_the_curvature_of_its_own_place(well, factor, unit):
    """There differences over any step give a slope of zero, which says nothing of how long the step may be."""

    def cost(x):
        u = x / unit
        of_second = u[1] ** 4 - u[1] ** 2 if well == "quartic" else np.cos(np.sqrt(2.0) * u[1]) - 1.0
        return float(factor * ((u[0] - 0.7) ** 2 + of_second))

    derivatives = free(cost, 2)
    x = np.array([2.2, 0.0]) * unit
    _, gradient = derivatives.value_and_gradient(x)
    assert_allclose(gradient * unit, [3.0 * factor, 0.0], rtol=1e-8, atol=1e-8 * factor)
    H = derivatives.hessian(np.array([0.7, 0.0]) * unit)
    assert_allclose(H * unit**2, np.diag([2.0, -2.0]) * factor, rtol=0.2, atol=0.2 * factor)
    found = minimize(cost, x, derivatives="numeric")
    lowest = -0.25 if well == "quartic" else -2.0
    assert found.fun == pytest.approx(factor * lowest, rel=1e-6)
