"""Steps along bent valleys: exact where the floor is a parabola, the same in all units, and worth their price."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from steepest.objective import Objective
from steepest.solvers import drive, newton
from steepest.solvers.bent_path import Bend
from steepest.solvers.valley import valley_at

STEEP, BEND, SLOPE = 1e6, 3.0, -2.0


def test_the_floor_of_a_parabolic_valley_is_found_from_its_wall():
    """SLOPE x + STEEP (y - BEND x²/2)², seen from (0, 1e-4): beside the floor it bends down by 600 along x."""
    aside = 1e-4
    H = np.diag([-2.0 * STEEP * BEND * aside, 2.0 * STEEP])
    g = np.array([SLOPE, 2.0 * STEEP * aside])
    K = np.array([0.0, -2.0 * STEEP * BEND])  # K(t, t) for t along x
    p = np.array([0.01, 0.0])
    found = valley_at(H, g, Bend(p, 0.5 * K * 0.01**2))
    assert_allclose(found.slope, SLOPE, rtol=1e-12)
    assert abs(found.curvature) <= 1e-9 * abs(H[0, 0])
    for along in (-0.3, 0.05, 2.0):
        assert_allclose(found.step(along), [along, 0.5 * BEND * along**2 - aside], rtol=1e-9)
        assert_allclose(found.promised(along), STEEP * aside**2 - SLOPE * along, rtol=1e-9)
        straight = STEEP * (0.5 * BEND * along**2) ** 2
        assert_allclose(found.wall * along**4, straight, rtol=1e-9)


def test_no_valley_is_seen_where_a_side_bends_down():
    H = np.diag([1.0, 5.0, -1.0])
    assert valley_at(H, np.ones(3), Bend(np.array([1.0, 0.0, 0.0]), np.ones(3))) is None
    assert valley_at(np.eye(2), np.ones(2), Bend(np.zeros(2), np.ones(2))) is None
    assert valley_at(np.eye(2), np.ones(2), Bend(np.array([np.inf, 0.0]), np.ones(2))) is None


def around_a_circle(steep, units=(1.0, 1.0), price=1.0):
    """price·(x + steep·(x² + y² - 1)²) of z = (x, y) / units: down a narrow valley along half a circle."""
    d = np.array(units)

    def cost(z):
        x = d * z
        off = x @ x - 1.0
        return price * (x[0] + steep * off**2), price * d * (np.array([1.0, 0.0]) + 4.0 * steep * off * x)

    def hessian(z):
        x = d * z
        off = x @ x - 1.0
        return price * np.outer(d, d) * (8.0 * steep * np.outer(x, x) + 4.0 * steep * off * np.eye(2))

    return Objective(2, value_and_gradient=cost, hessian=hessian)


@pytest.mark.parametrize(("steep", "most"), [(1e4, 80), (1e6, 160), (1e8, 500)])
def test_a_walk_around_a_circle_takes_steps_that_bend(steep, most):
    """Straight ones, corrected from the wall, are 99, 273 and 1,098."""
    run = drive(newton(), around_a_circle(steep), np.array([1.1, 0.1]))
    lowest = -1.0
    for _ in range(50):  # 1 + 4 steep x (x² - 1) = 0 by Newton's method in one dimension
        lowest -= (1.0 + 4.0 * steep * lowest * (lowest**2 - 1.0)) / (4.0 * steep * (3.0 * lowest**2 - 1.0))
    assert_allclose(run.x, [lowest, 0.0], rtol=1e-12, atol=1e-9)
    assert run.steps <= most


def test_steps_along_a_valley_are_the_same_in_all_units():
    units, price = (2.0**20, 2.0**-15), 2.0**40
    plain = drive(newton(), around_a_circle(1e6), np.array([1.125, 0.125]))
    other = drive(newton(), around_a_circle(1e6, units, price), np.array([1.125, 0.125]) / units)
    assert other.steps == plain.steps
    assert_array_equal(other.x * units, plain.x)
