"""Steps along bent valleys: exact where the floor is a parabola, the same in all units, and worth their price."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from steepest.linear_algebra.curvature import DenseCurvature
from steepest.objective import Objective
from steepest.solvers import drive, newton
from steepest.solvers.bent_path import Bend, Reach
from steepest.solvers.quadratic_models import FreeModel
from steepest.solvers.valley import CRAWL, UNBENT, Crawl, along_the_valley, valley_at

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


def looked_at(pit, reach=None, bend=BEND):
    """What a step along the parabolic valley finds on a cost that is lower by `pit` of the way from where it lands."""
    H, g, K = np.diag([0.0, 2.0 * STEEP]), np.array([SLOPE, 0.0]), np.array([0.0, -2.0 * STEEP * bend])
    valley = valley_at(H, g, Bend(np.array([0.01, 0.0]), 0.5 * K * 0.01**2))
    there = valley.step(valley.lowest_within(0.1))

    def cost(z):
        slope, x, off = np.array([SLOPE, 0.0]), z[0], z[1] - 0.5 * bend * z[0] ** 2
        slope = slope + 2.0 * STEEP * off * np.array([-bend * x, 1.0])
        return SLOPE * x + STEEP * off**2 - pit(z - there), slope

    objective, start = Objective(2, value_and_gradient=cost), np.zeros(2)
    value, _ = objective.value_and_gradient(start)
    model, crawl = (
        FreeModel(start, g, DenseCurvature(H), np.ones(2)),
        Crawl(CRAWL, np.ones(2), valley, 0.1, reach, 0.0),
    )
    return objective, there, *along_the_valley(objective, start, value, model, crawl)


def test_a_step_along_a_valley_that_falls_into_a_pit_keeps_it():
    objective, there, landing, _ = looked_at(lambda z: 1e6 * np.exp(-1e6 * (z @ z)))
    assert landing is not None and landing.value <= -1e6
    assert_array_equal(landing.x, there)
    assert_array_equal(objective.best_x, there)


def test_a_step_along_a_valley_to_a_number_without_digits_is_no_place_to_return():
    objective, _, landing, _ = looked_at(lambda z: 1e6 * (not z.any()))
    assert landing is None
    assert objective.best_value > -1e5
    _, _, landing, _ = looked_at(lambda z: np.inf)
    assert landing is None


@pytest.mark.parametrize(("miss", "left"), [(None, 0), (0.9, 0), (0.5, CRAWL - UNBENT)])
def test_where_nothing_bends_the_count_begins_anew_unless_the_last_step_along_a_valley_landed(miss, left):
    reach = None if miss is None else Reach(0.1, miss, 2.0)
    assert looked_at(lambda z: 0.0, reach, bend=1e-6)[3].steps == left


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
