"""At the edge of where a cost exists, no minimum is claimed where it falls along that edge."""

import numpy as np
import pytest

import steepest as st


def turned(seed, n):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def half_space(Q):
    """A cost that exists where the first part of Q·x is at most one, with its one minimum, zero, on that edge."""

    def cost(x):
        z = Q @ x
        return np.sqrt(1.0 - z[0]) + np.sum(z[1:] ** 2)

    return cost


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n", [2, 3, 6])
def test_a_walk_to_a_straight_edge_goes_on_along_it(n, seed, unit):
    cost = half_space(turned(seed, n))
    start = np.random.default_rng(seed).uniform(-0.3, 0.3, n)
    found = st.minimize(lambda x: unit * cost(x), start)
    assert found.fun < unit * cost(start)
    if found.success:
        assert found.fun < 1e-4 * unit


@pytest.mark.parametrize("seed", range(6))
def test_a_point_of_the_edge_is_a_minimum_where_the_cost_falls_nowhere_along_it(seed):
    n = 3
    Q = turned(seed, n)
    cost = half_space(Q)

    def inside(place):
        while not np.isfinite(cost(Q.T @ place)):
            place = place - np.array([2e-16, 0.0, 0.0])
        return Q.T @ place

    with np.errstate(invalid="ignore"):
        bottom, aside = inside(np.array([1.0, 0.0, 0.0])), inside(np.array([1.0, 0.15, -0.1]))
    assert st.verify(cost, bottom).verdict != "saddle point"
    assert st.verify(cost, aside).verdict == "saddle point"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n", [2, 3, 6])
def test_along_a_curved_edge_too(n, seed):
    start = np.random.default_rng(seed).uniform(-0.3, 0.3, n)
    level = st.minimize(lambda x: np.sqrt(1.0 - np.sum(x**2)), start)
    assert level.success and level.fun < 1e-7
    tilted = st.minimize(lambda x: np.sqrt(1.0 - np.sum(x**2)) + 0.1 * x[0], start)
    assert not tilted.success or tilted.fun < -0.1 + 1e-5
