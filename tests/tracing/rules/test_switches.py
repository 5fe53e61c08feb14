"""Integrals over jumps and kinks whose places depend on the parameters, held to their closed forms."""

import numpy as np
import pytest
from scipy.integrate import dblquad, quad, quad_vec

import steepest
from steepest.errors import TracingError

from .recorded import value_of

INF = np.inf
R = np.sqrt

# The integral, a place p, and value, slope and curvature there.
CLOSED = {
    "a step": (lambda p: quad(lambda s: np.where(s < p, 1.0, 0.0), 0, 1)[0], 0.3, (0.3, 1, 0)),
    "a truth value": (lambda p: quad(lambda s: 1.0 * (s < p), 0, 1)[0], 0.3, (0.3, 1, 0)),
    "a step beside the range": (lambda p: quad(lambda s: np.where(s < p, s, 0.0), 0, 1)[0], 1.5, (0.5, 0, 0)),
    "a jump": (lambda p: quad(lambda s: np.where(s < p, s, 0.0), 0, 2)[0], 0.7, (0.245, 0.7, 1)),
    "a jump, backwards": (
        lambda p: quad(lambda s: np.where(s < p, s, 0.0), 2, 0)[0],
        0.7,
        (-0.245, -0.7, -1),
    ),
    "an absolute value": (
        lambda p: quad(lambda s: abs(s - p) * s, 0, 1)[0],
        0.7,
        (1 / 3 - 0.35 + 0.343 / 3, 0.49 - 0.5, 1.4),
    ),
    "a ramp": (lambda p: quad(lambda s: np.maximum(s - p, 0), 0, 1)[0], 0.7, (0.045, -0.3, 1)),
    "a clip": (lambda p: quad(lambda s: np.clip(s, p, 1), 0, 2)[0], 0.7, (0.745 + 1, 0.7, 1)),
    "a parabola's sign": (
        lambda p: quad(lambda s: np.sign(s**2 - p), 0, 2)[0],
        0.7,
        (2 - 2 * R(0.7), -1 / R(0.7), 0.5 * 0.7**-1.5),
    ),
    "steps": (
        lambda p: quad(lambda s: np.floor(p * s), 0, 2)[0],
        1.7,
        (6 - 6 / 1.7, 6 / 1.7**2, -12 / 1.7**3),
    ),
    "a narrow window": (
        lambda p: quad(lambda s: np.where(abs(s - p) < 1e-4, np.sin(s), 0.0), 0, 2)[0],
        0.7,
        (2 * np.sin(0.7) * np.sin(1e-4), 2 * np.cos(0.7) * np.sin(1e-4), -2 * np.sin(0.7) * np.sin(1e-4)),
    ),
    "a narrow window of a parabola": (
        lambda p: quad(lambda s: np.where((s - p) ** 2 < 1e-8, np.sin(s), 0.0), 0, 2)[0],
        0.7,
        (2 * np.sin(0.7) * np.sin(1e-4), 2 * np.cos(0.7) * np.sin(1e-4), -2 * np.sin(0.7) * np.sin(1e-4)),
    ),
    "an end that moves towards a jump": (
        lambda p: quad(lambda s: np.sign(s - 0.3), p, 1)[0],
        0.1,
        (0.5, 1, 0),
    ),
    "to infinity": (
        lambda p: quad(lambda s: np.where(s < p, 1.0, np.exp(-s)), 0, INF)[0],
        7.0,
        (7 + np.exp(-7), 1 - np.exp(-7), np.exp(-7)),
    ),
    "from infinity": (
        lambda p: quad(lambda s: np.where(s < p, 2 * s * np.exp(-(s**2)), 0.0), -INF, 5)[0],
        -0.3,
        (-np.exp(-0.09), -0.6 * np.exp(-0.09), (2 - 0.36) * np.exp(-0.09)),
    ),
    "over the whole line": (
        lambda p: quad(lambda s: np.where(s < p, 2 * s * np.exp(-(s**2)), 0.0), -INF, INF)[0],
        -0.3,
        (-np.exp(-0.09), -0.6 * np.exp(-0.09), (2 - 0.36) * np.exp(-0.09)),
    ),
    "several at once": (
        lambda p: np.sum(quad_vec(lambda s: np.where(s < p * np.array([1.0, 0.5, 0.25]), s, 0.0), 0, 2)[0]),
        0.7,
        (0.5 * 0.49 * 1.3125, 0.7 * 1.3125, 1.3125),
    ),
    "a triangle": (lambda p: dblquad(lambda y, x: 1.0 * (y < p * x), 0, 1, 0, 1)[0], 0.7, (0.35, 0.5, 0)),
    "a knot of its own": (
        lambda p: quad(lambda s: abs(s - p), 0, 1, points=[p, 0.5])[0],
        0.7,
        (0.245 + 0.045, 0.4, 2),
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CLOSED)
def test_value_slope_and_curvature_are_those_of_the_closed_form(name):
    cost, place, (value, slope, curvature) = CLOSED[name]
    np.testing.assert_allclose(value_of(lambda x: cost(x[0]), np.array([place])), value, rtol=1e-11)
    np.testing.assert_allclose(steepest.derivative(cost)(place), slope, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(steepest.derivative(cost, order=2)(place), curvature, rtol=1e-7, atol=1e-11)


def test_beside_a_pole_at_a_kink_places_are_told_apart_to_rounding_only():
    def cost(p):
        return quad(lambda s: 1 / np.sqrt(abs(s - p)), 0, 1)[0]

    # What lies closer than rounding to the pole is 4·√eps of the integral.
    value, slope = 2 * R(0.3) + 2 * R(0.7), 0.3**-0.5 - 0.7**-0.5
    np.testing.assert_allclose(value_of(lambda x: cost(x[0]), np.array([0.3])), value, atol=1e-7)
    np.testing.assert_allclose(steepest.derivative(cost)(0.3), slope, atol=1e-7)


def test_more_changes_than_are_followed_leave_no_slope():
    def cost(p):
        return quad(lambda s: np.where(np.sin(40 * s) > p[0], s, 0.0), 0, 2)[0]

    assert np.isfinite(value_of(cost, np.array([0.3])))
    assert np.isnan(steepest.gradient(cost)(np.array([0.3]))).all()


def test_a_hundred_choices_are_refused_if_their_places_depend_on_the_parameters():
    knots = np.linspace(0, 1, 100)

    def fixed(p):
        return quad(lambda s: p[0] * np.sum(np.maximum(s - knots, 0)), 0, 1)[0]

    def moving(p):
        return quad(lambda s: np.sum(np.maximum(s - p[0] * knots, 0)), 0, 1)[0]

    x = np.array([1.0])
    np.testing.assert_allclose(steepest.gradient(fixed)(x), [0.5 * np.sum((1 - knots) ** 2)], rtol=1e-10)
    with pytest.raises(TracingError, match="100 choices"):
        steepest.gradient(moving)(x)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("start", [0.7, 1.0, 1.9])
def test_a_minimum_behind_a_jump_is_found(start):
    # (x²/2 - 0.1)² + 0.01 (x - 1)² on its way below 2, by its derivative's only root there.
    def cost(x):
        return (quad(lambda t: np.where(t < x[0], t, 0.0), 0, 2)[0] - 0.1) ** 2 + 0.01 * (x[0] - 1) ** 2

    truth = [r.real for r in np.roots([1, 0, -0.18, -0.02]) if abs(r.imag) < 1e-12 and r.real > 0]
    found = steepest.minimize(cost, [start])
    assert found.success
    np.testing.assert_allclose(found.x, truth, rtol=1e-6)
