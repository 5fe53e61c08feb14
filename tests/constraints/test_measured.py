"""Walks between constraints that are measured: how few calls they take, against minima known otherwise."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import steepest as st
from steepest.solvers.interior_point import _damped


class Counted:
    """A function that cannot be traced, and how often it was called."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, x):
        self.calls += 1
        return float(self.function(np.array([float(entry) for entry in x])))


def solved(cost, start, rows, **given):
    cost, rows = Counted(cost), [Counted(row) for row in rows]
    constraints = [{"type": "ineq", "fun": row} for row in rows]
    found = st.minimize(cost, start, constraints=constraints, derivatives="numeric", **given)
    assert found.nfev == cost.calls
    assert min(row(found.x) for row in rows) >= -1e-8
    return found, cost.calls


def valley(x):
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


@pytest.mark.parametrize("start", [(-1.0, -1.0), (0.5, 2.0), (-0.1, 0.1), (3.0, -3.0)])
@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e6])
def test_a_valley_within_a_circle_ends_at_its_lowest_point_in_few_calls(start, factor):
    inside, calls = solved(lambda x: factor * valley(x), np.array(start), [lambda x: 1.0 - x @ x])
    along = minimize_scalar(
        lambda a: valley(np.array([np.cos(a), np.sin(a)])), bounds=(0.2, 1.2), options={"xatol": 1e-12}
    )
    assert inside.success and inside.fun == pytest.approx(factor * along.fun, rel=1e-6)
    assert calls < 3000


def test_a_walk_that_stands_still_for_the_errors_of_its_slopes_is_over():
    def cost(x):  # Hock & Schittkowski (1981), problem 100, and its published minimum
        a, b, c, d, e, f, g = x
        powers = 5 * (b - 12) ** 2 + c**4 + 3 * (d - 11) ** 2 + 10 * e**6 + 7 * f**2 + g**4
        return (a - 10) ** 2 + powers - 4 * f * g - 10 * f - 8 * g

    rows = [
        lambda x: 127 - 2 * x[0] ** 2 - 3 * x[1] ** 4 - x[2] - 4 * x[3] ** 2 - 5 * x[4],
        lambda x: 282 - 7 * x[0] - 3 * x[1] - 10 * x[2] ** 2 - x[3] + x[4],
        lambda x: 196 - 23 * x[0] - x[1] ** 2 - 6 * x[5] ** 2 + 8 * x[6],
        lambda x: -4 * x[0] ** 2 - x[1] ** 2 + 3 * x[0] * x[1] - 2 * x[2] ** 2 - 5 * x[5] + 11 * x[6],
    ]
    found, calls = solved(cost, np.array([1.0, 2, 0, 4, 0, 1, 1]), rows)
    assert found.success and found.fun == pytest.approx(680.6300573, rel=1e-9)
    assert calls < 3000


def test_a_walk_that_creeps_along_a_kink_is_given_up():
    def largest(
        x,
    ):  # Charalambous & Bandler's first function of Makela & Neittaanmaki (1992): 1.95222 at (1.139, 0.8996)
        return max(x[0] ** 2 + x[1] ** 4, (2 - x[0]) ** 2 + (2 - x[1]) ** 2, 2 * np.exp(x[1] - x[0]))

    found, calls = solved(largest, np.array([2.0, 2.0]), [lambda x: 3.0 - x[0] - x[1]])
    assert (
        calls < 8000 and 1.9522 < found.fun < 1.01 * 1.95222
    )  # where it creeps the last digits decide how far it comes


@pytest.mark.parametrize("bend", [-1.0, -1e3, -1e9])
@pytest.mark.parametrize("unit", [1.0, 1e-5])
def test_a_measured_curvature_stays_positive_where_the_cost_bends_down_step_after_step(bend, unit):
    generator, n = np.random.default_rng(0), 4
    B, units = np.eye(n), np.array([1.0, 1.0, unit, unit])
    turned = np.linalg.qr(generator.normal(size=(n, n)))[0]
    H = turned @ np.diag([bend, 1.0, 2.0, 50.0]) @ turned.T
    for _ in range(300):
        s = generator.normal(size=n)
        B = _damped(B, units * s, H @ s / units)
        size = np.sqrt(B.diagonal())
        assert np.linalg.eigvalsh(B / np.outer(size, size))[0] > 1e-7
