"""A kink far off, parameters next to nothing and tails beside a kink make no minimum of a point that is none."""

import numpy as np
import pytest

import steepest as st

MINIMA = ("global minimum", "local minimum", "flat minimum", "minimum at a kink")


@pytest.mark.parametrize("far", [1e8, 1e14, 1e20])
@pytest.mark.parametrize("x", [1.0, 5.6, 3.7e5])
def test_a_slope_stays_one_beside_a_kink_far_away(far, x):
    def cost(p):
        return abs(p[0] - p[1]) + np.maximum(-p[0], -far)

    assert st.verify(cost, np.array([x, x])).verdict not in MINIMA


def test_the_walk_to_a_kink_far_away_claims_no_minimum_on_the_way():
    found = st.minimize(lambda x: abs(x[0] - x[1]) + np.maximum(-x[0], -1e14), np.array([1.0, 2.0]))
    assert not found.success or found.fun == pytest.approx(-1e14)


TAILS = {
    "root": lambda t: np.sqrt(t**2 + 1) - t,
    "exponential": lambda t: np.exp(-t),
    "inverse square": lambda t: 1 / (1 + t**2),
    "softplus": lambda t: np.logaddexp(0, -t),
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("kink", [lambda x: np.abs(x[0]) + np.abs(x[1] - 3), lambda x: np.linalg.norm(x[:2])])
def test_a_tail_beside_a_kink_is_no_minimum(tail, kink):
    found = st.minimize(lambda x: kink(x) + TAILS[tail](x[2]), np.array([1.0, 2.0, 0.5]))
    assert found.verdict not in MINIMA


@pytest.mark.parametrize(("weight", "unit"), [(1e12, 1.0), (1.0, 1e8), (1e-12, 1e8)])
def test_a_tail_beside_a_kink_that_drowns_in_rounding_is_no_minimum_in_other_units(weight, unit):
    def cost(x):
        return weight * (np.linalg.norm(x[:2] / unit) + TAILS["root"](x[2] / unit))

    assert st.minimize(cost, np.full(3, unit)).verdict not in MINIMA


@pytest.mark.parametrize("weight", [1e-12, 1.0, 1e12])
def test_minima_beside_a_kink_stay_minima(weight):
    def cost(x):
        return weight * (np.linalg.norm(x[:2]) + np.abs(x[2] - 1) + (x[3] - 5) ** 4 + np.cosh(x[4]))

    found = st.minimize(cost, np.array([1.0, 2.0, 0.5, 1.0, 2.0]))
    assert found.verdict in MINIMA
    assert found.fun == pytest.approx(weight)


@pytest.mark.parametrize("unit", [1e-12, 1e-9, 1e-6, 1e-3, 1.0])
def test_no_minimum_where_a_fit_inside_a_ball_has_not_begun(unit):
    random = np.random.default_rng(3)
    A = random.standard_normal((40, 8))
    b = unit * (A @ np.array([1.0, 0, 0, 2, 0, 0, -1, 0]) + 0.1 * random.standard_normal(40))
    inside = {"type": "ineq", "fun": lambda x: 2 * unit - np.sum(np.abs(x))}
    found = st.minimize(lambda x: np.sum((A @ x - b) ** 2), np.zeros(8), constraints=inside)
    assert not found.success or found.fun == pytest.approx(43.7090054735 * unit**2, rel=1e-6)
