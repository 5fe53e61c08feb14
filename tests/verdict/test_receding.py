"""Costs whose infimum no point attains, with a bottom without curvature across the tail, in rotated coordinates."""

import numpy as np
import pytest
from scipy.stats import ortho_group

import steepest as st
from steepest.verdict.words import Verdict

# Each with its infimum 0 or -1, approached as the first coordinate runs to infinity or minus infinity.
NOT_ATTAINED = {
    "softplus beside a quartic": (2, lambda u: np.log(1 + np.exp(u[0])) + u[1] ** 4),
    "exponential beside a quartic": (2, lambda u: np.exp(-u[0]) + u[1] ** 4),
    "sigmoid beside a quartic": (2, lambda u: 1 / (1 + np.exp(-u[0])) + u[1] ** 4),
    "hyperbola beside a quartic": (2, lambda u: np.sqrt(1 + u[0] ** 2) - u[0] + u[1] ** 4),
    "double exponential beside a quartic": (2, lambda u: -np.exp(-np.exp(u[0])) + u[1] ** 4),
    "softplus, quartic and square": (3, lambda u: np.logaddexp(0, u[0]) + u[1] ** 4 + (u[2] - 1) ** 2),
    "softplus and quartics": (3, lambda u: np.logaddexp(0, u[0]) + u[1] ** 4 + (u[2] - 1) ** 4),
    "exponential in a slanting valley": (2, lambda u: np.exp(-u[0]) + (u[1] - u[0]) ** 4),
}

# Each with a minimum that is attained, though flat or far off; and its cost.
ATTAINED = {
    "quartics": (3, lambda u: np.sum((u - 1) ** 4), 0.0),
    "powers up to eight": (3, lambda u: u[0] ** 8 + (u[1] - 2) ** 6 + u[2] ** 4, 0.0),
    "quartic and square": (2, lambda u: 1 + (u[0] - 3) ** 4 + u[1] ** 2, 1.0),
    "exponential against a faint slope": (
        2,
        lambda u: np.exp(-u[0]) + 1e-9 * u[0] + u[1] ** 4,
        1e-9 * (1 + 9 * np.log(10)),
    ),
    "softplus against a faint square": (
        2,
        lambda u: np.logaddexp(0, -u[0]) + 1e-6 * u[0] ** 2 + u[1] ** 4,
        None,
    ),
    "flat along a line where another falls": (2, lambda u: u[0] ** 2 / (1 + np.exp(u[1])), 0.0),
}


def _walked(n, cost, seed, scale=1.0, unit=1.0):
    Q = ortho_group.rvs(n, random_state=seed) / scale
    start = 2 * scale * np.random.default_rng(seed).standard_normal(n)
    return st.minimize(lambda x: unit * cost(Q @ x), start, starts=1)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", NOT_ATTAINED)
def test_an_infimum_that_no_point_attains_is_never_called_a_minimum(name, seed):
    result = _walked(*NOT_ATTAINED[name], seed)
    assert not result.success, result.message
    assert result.verdict in (Verdict.INFIMUM_NOT_ATTAINED, Verdict.STOPPED, Verdict.PLATEAU)


@pytest.mark.parametrize(("scale", "unit"), [(1e8, 1.0), (1e-8, 1.0), (1.0, 1e12), (1.0, 1e-12)])
def test_nor_in_other_units(scale, unit):
    for seed in (0, 1):
        result = _walked(2, NOT_ATTAINED["softplus beside a quartic"][1], seed, scale, unit)
        assert not result.success, result.message


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ATTAINED)
def test_a_minimum_that_is_attained_stays_one(name, seed):
    n, cost, least = ATTAINED[name]
    result = _walked(n, cost, seed)
    assert result.success, result.message
    if least is not None:
        assert abs(result.fun - least) <= 1e-9 * max(1.0, abs(least))


def test_a_cost_that_falls_like_a_line_is_unbounded_however_far_the_walk_went():
    for seed in range(3):
        result = _walked(2, lambda u: np.logaddexp(u[0], u[0] + u[1]) + u[1] ** 2, seed)
        assert result.verdict is Verdict.UNBOUNDED_BELOW, result.message


@pytest.mark.parametrize("unit", [1.0, 1e8, 1e-8])
@pytest.mark.parametrize("start", [(0.0, 0.0), (0.3, 0.3), (2.0, 0.1)])
def test_two_floors_that_meet_are_no_way_to_infinity(start, unit):
    result = st.minimize(lambda x: (x[0] * x[1] / unit**2 - 1) ** 2, unit * np.array(start))
    assert result.success, result.message


def test_a_walk_without_places_is_judged_all_the_same():
    result = st.minimize(lambda x: np.linalg.norm(x - np.arange(3)), np.full(3, 5.0))
    assert result.success and np.abs(result.x - np.arange(3)).max() < 1e-9
