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


# The lowest place on a straight edge of the domain, beyond which there is no value.
STRAIGHT_EDGES = {
    "square root over a line": (
        lambda x: 10 * np.sqrt(2 - x[0] - x[1]) + x[0] ** 2 + x[1] ** 2,
        [0.2, 0.1],
        np.ones(2),
    ),
    "square root over a plane": (
        lambda x: 10 * np.sqrt(2 - x[0] - 3 * x[1] + 0.3 * x[2]) + np.sum(x**2),
        [0.2, 0.1, 0.5],
        2 * np.array([1, 3, -0.3]) / 10.09,
    ),
    "arc cosine beside a bowl": (lambda x: np.arccos(x[0]) + x[1] ** 2, [0.5, 1.0], np.array([1.0, 0.0])),
    "area cosine beside a bowl": (lambda x: np.arccosh(x[0]) + x[1] ** 2, [3.0, 1.0], np.array([1.0, 0.0])),
}


@pytest.mark.parametrize("name", STRAIGHT_EDGES)
def test_no_more_digits_are_promised_along_an_edge_than_are_true(name):
    cost, start, truth = STRAIGHT_EDGES[name]
    result = st.minimize(cost, start)
    if result.success:
        off = np.abs(result.x - truth)
        size = np.maximum(np.abs(result.x), np.where(off >= np.abs(result.x), 1.0, 0.0))
        assert (off <= size * 10.0 ** (0.5 - result.digits)).all(), (off, result.digits)


# In coordinates that are turned, with the lowest place in those that are not, where it is known.
TURNED_EDGES = {
    "square root beside a valley": (
        lambda z: np.sqrt(1 - z[0]) + (z[1] - 0.3) ** 2 + (z[2] - z[1]) ** 2,
        np.array([1, 0.3, 0.3]),
    ),
    "arc sine beside a bowl": (lambda z: -np.arcsin(z[0]) + (z[1] - 0.3) ** 2, np.array([1, 0.3])),
    "half a circle": (
        lambda z: np.sqrt(1 - z @ z) + 0.5 * z[0] + 0.2 * z[1],
        -np.array([0.5, 0.2]) / np.hypot(0.5, 0.2),
    ),
}


@pytest.mark.parametrize(("scale", "unit"), [(1.0, 1.0), (1e-8, 1e6)])
@pytest.mark.parametrize("seed", [1, 3])
@pytest.mark.parametrize("name", TURNED_EDGES)
def test_a_cost_that_repeats_itself_is_not_said_to_tremble_at_its_edge(name, seed, scale, unit):
    cost, truth = TURNED_EDGES[name]
    n = truth.size
    Q = turned(seed, n) / scale
    start = 0.1 * scale**2 * Q.T @ np.random.default_rng(seed).standard_normal(n)
    result = st.minimize(lambda x: unit * cost(Q @ x), start)
    assert "repeat" not in result.message and result.verdict != "noise floor", result.message
    if result.success:
        place = scale**2 * Q.T @ truth
        off = np.abs(result.x - place)
        size = np.where(off < np.abs(result.x), np.abs(result.x), scale)
        assert (off <= size * 10.0 ** (0.7 - result.digits)).all(), (off, result.digits)
