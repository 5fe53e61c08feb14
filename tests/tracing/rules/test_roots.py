"""Solutions of equations inside a cost: the root is SciPy's, its slopes those of the implicit function theorem."""

import numpy as np
import pytest
from scipy import optimize
from scipy.optimize import brentq, fixed_point, fsolve, newton, root, root_scalar

import steepest
from steepest.errors import TracingError

from .recorded import value_of

A, B = 0.7, 1.3


def cubic(y, a, b):
    return y**3 + a * y - b


# y³ + ay = b: ∂y/∂a = -y/(3y² + a), ∂y/∂b = 1/(3y² + a).
ROOT = brentq(cubic, 0, 3, args=(A, B), xtol=1e-15)
SLOPE = np.array([-ROOT, 1.0]) / (3 * ROOT**2 + A)

SAME = {
    "brentq": lambda p: brentq(cubic, -5, 5, args=(p[0], p[1])),
    "brentq by a function made inside": lambda p: brentq(lambda y: y**3 + p[0] * y - p[1], -5, 5),
    "brenth": lambda p: optimize.brenth(cubic, -5, 5, args=(p[0], p[1])),
    "bisect": lambda p: optimize.bisect(cubic, 5, -5, args=(p[0], p[1])),
    "ridder": lambda p: optimize.ridder(cubic, -5, 5, args=(p[0], p[1])),
    "toms748": lambda p: optimize.toms748(cubic, -5, 5, args=(p[0], p[1])),
    "full output": lambda p: brentq(cubic, -5, 5, args=(p[0], p[1]), full_output=True)[1].root,
    "an end that is the parameter": lambda p: brentq(cubic, -p[0], 3 * p[1], args=(p[0], p[1])),
    "newton by secants": lambda p: newton(cubic, 1.0, args=(p[0], p[1])),
    "newton with a second start": lambda p: newton(cubic, 1.0, args=(p[0], p[1]), x1=2.0),
    "newton by slopes": lambda p: newton(cubic, 1.0, fprime=lambda y, a, b: 3 * y * y + a, args=(p[0], p[1])),
    "newton of an array": lambda p: newton(lambda y: y**3 + p[0] * y - p[1], np.array([1.0, 2.0]))[1],
    "root_scalar between": lambda p: root_scalar(cubic, args=(p[0], p[1]), bracket=[-3, 3]).root,
    "root_scalar from a start": lambda p: root_scalar(cubic, args=(p[0], p[1]), x0=1.0).root,
    "fsolve": lambda p: fsolve(cubic, 1.0, args=(p[0], p[1]))[0],
    "root": lambda p: root(cubic, [2.0], args=(p[0], p[1])).x[0],
    "fixed point": lambda p: fixed_point(lambda y: np.cbrt(p[1] - p[0] * y), 0.9),
}


@pytest.mark.parametrize("name", SAME)
def test_the_root_of_a_cubic_has_its_value_and_slopes(name):
    cost, x = SAME[name], np.array([A, B])
    np.testing.assert_allclose(value_of(cost, x), ROOT, rtol=1e-14)
    np.testing.assert_allclose(cost(x), ROOT, rtol=1e-6)
    np.testing.assert_allclose(steepest.gradient(cost)(x), SLOPE, rtol=1e-12)


@pytest.mark.parametrize("name", ["brentq", "newton by secants", "fsolve"])
def test_higher_derivatives_of_the_square_root_are_exact(name):
    solve = {
        "brentq": lambda b: brentq(lambda y: y * y - b, 0, 9),
        "newton by secants": lambda b: newton(lambda y: y * y - b, 2.0),
        "fsolve": lambda b: fsolve(lambda y: y * y - b, [2.0])[0],
    }[name]
    for order, truth in ((1, 0.25), (2, -1 / 32), (3, 3 / 256)):
        np.testing.assert_allclose(steepest.derivative(solve, order=order)(4.0), truth, rtol=1e-12)


def test_a_system_has_the_slopes_of_its_linear_equations():
    matrix = np.array([[3.0, 1.0, 0.0], [1.0, 4.0, 1.0], [0.0, 1.0, 5.0]])

    def cost(p):
        return fsolve(lambda z: matrix @ z + 0.0 * z**3 - p, np.ones(3)) @ np.array([1.0, 2.0, 3.0])

    p = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(
        steepest.gradient(cost)(p), np.linalg.solve(matrix.T, [1.0, 2.0, 3.0]), rtol=1e-12
    )


def test_a_far_start_is_walked_from_by_shortened_steps():
    def cost(p):
        z = root(lambda z: [np.arctan(z[0] - p[0]), z[1] * z[0] - p[1]], [9.0, -7.0]).x
        return z[0] + 2 * z[1]

    x = np.array([A, B])
    np.testing.assert_allclose(value_of(cost, x), A + 2 * B / A, rtol=1e-12)
    np.testing.assert_allclose(steepest.gradient(cost)(x), [1 - 2 * B / A**2, 2 / A], rtol=1e-10)


def test_no_root_is_not_a_number_and_is_walked_around():
    def cost(p):
        return (brentq(lambda y: y - p[0], 0.0, 1.0) - 0.5) ** 2

    assert np.isnan(value_of(cost, np.array([2.0])))
    found = steepest.minimize(cost, [0.9], bounds=[(-3, 3)])
    assert found.success
    np.testing.assert_allclose(found.x, [0.5], atol=1e-8)


def test_a_cost_of_many_parameters_with_a_root_inside_is_differentiated_backwards():
    target = np.linspace(0, 1, 80)

    def cost(p):
        level = brentq(lambda y: y + np.exp(y) - np.sum(p), -50, 50)
        return (level - 1.0) ** 2 + np.sum((p - target) ** 2)

    found = steepest.minimize(cost, np.zeros(80))
    assert found.success
    # By symmetry p = target + t for one t, of a cost of one variable.
    shift = found.x - target
    assert np.ptp(shift) < 1e-8
    alone = optimize.minimize_scalar(lambda t: cost(target + t), bounds=(-1, 1), options={"xatol": 1e-12})
    np.testing.assert_allclose(shift.mean(), alone.x, atol=1e-6)
    assert found.fun <= alone.fun + 1e-12


def test_systems_that_are_not_square_and_handed_in_slopes_are_told():
    with pytest.raises(TracingError, match="2 equations for 1 unknowns"):
        steepest.gradient(lambda p: fsolve(lambda z: [z[0] - p[0], z[0]], [1.0])[0])(np.ones(1))
    with pytest.raises(TracingError, match="jac=True"):
        steepest.gradient(lambda p: root(lambda z: (z - p, np.eye(1)), [1.0], jac=True).x[0])(np.ones(1))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_whether_a_system_has_a_root_does_not_depend_on_its_units(unit):
    def with_root(p):
        return np.sum(fsolve(lambda z: [unit * (z[0] ** 2 - p[0]), unit * (z[1] - z[0])], [1.0, 1.0]))

    def without(p):
        return np.sum(fsolve(lambda z: [unit * (z[0] ** 2 + p[0]), unit * (z[1] - z[0])], [1.0, 1.0]))

    np.testing.assert_allclose(value_of(with_root, np.array([2.0])), 2 * np.sqrt(2.0), rtol=1e-12)
    assert np.isnan(value_of(without, np.array([2.0])))


@pytest.mark.parametrize("place", [0.0, 1e-12, 1e-9])
def test_a_root_beside_the_start_is_one(place):
    # Rounding, not the way from the start, decides what is left there.
    def cost(p):
        return fsolve(lambda z: [np.exp(z[0]) - 1 - p[0]], [1e-9])[0]

    np.testing.assert_allclose(value_of(cost, np.array([place])), np.log1p(place), atol=1e-15)


SINGULAR = {
    "a double root": lambda p: newton(lambda y: (y - p[0]) ** 2, 1.5),
    "a double root with its slope": lambda p: newton(
        lambda y: (y - p[0]) ** 2, 1.5, fprime=lambda y: 2 * (y - p[0])
    ),
    "a double root of a system": lambda p: fsolve(lambda z: (z - p[0]) ** 2, [1.5])[0],
    "a triple root between": lambda p: brentq(lambda y: (y - p[0]) ** 3, 0, 2),
    "two equations that say the same": lambda p: np.sum(
        fsolve(lambda z: [z[0] + z[1] / 3 - p[0], 3 * z[0] + z[1] - 3 * p[0]], [0.1, 0.2]) ** 2
    ),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", SINGULAR)
@pytest.mark.parametrize("place", [0.7, 1.0])
def test_a_root_that_is_not_simple_has_no_slope(name, place):
    assert np.isnan(steepest.gradient(SINGULAR[name])(np.array([place]))).all()


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_whether_a_root_is_simple_does_not_depend_on_units(unit):
    # Two roots, 1e-3 of their size apart: simple, if near each other.
    def cost(p):
        return newton(lambda y: ((y / unit - p[0]) ** 2 - 1e-6) * unit, (p[0] + 2e-3) * unit)

    np.testing.assert_allclose(steepest.gradient(cost)(np.array([1.0])), [unit], rtol=1e-9)
