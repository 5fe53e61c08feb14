"""Norms between constraints and as constraints, against closed forms and duality, also where they vanish."""

import numpy as np
import pytest
from numpy.linalg import norm

import steepest as st

RNG = np.random.default_rng(22)
A = RNG.standard_normal((12, 30))
GROUPS = np.arange(30).reshape(10, 3)


def at_least_zero(fun):
    return {"type": "ineq", "fun": fun}


def zero(fun):
    return {"type": "eq", "fun": fun}


@pytest.mark.parametrize("unit", [1.0, 1e9, 1e-9])
def test_the_shortest_groups_that_solve_equations_are_shown_so_by_duality(unit):
    sought = np.zeros((10, 3))
    sought[2], sought[7] = [1.0, 2.0, -1.0], [0.5, -1.0, 2.0]
    b = A @ sought.ravel()
    found = st.minimize(
        lambda x: unit * np.sum(norm(x.reshape(10, 3), axis=1)),
        np.zeros(30),
        constraints=zero(lambda x: A @ x - b),
    )
    assert found.verdict == "minimum at a kink" and found.nfev < 200
    assert norm(A @ found.x - b) <= 1e-12
    # Lagrange: b·y is a lower bound for every y whose share in each group, Aᵀy, is no longer than one.
    y = np.array(list(found.multipliers.values())) / unit
    assert norm((A.T @ y).reshape(10, 3), axis=1).max() <= 1.0 + 1e-9
    assert b @ y == pytest.approx(found.fun / unit, rel=1e-12)
    vanished = norm(found.x[GROUPS], axis=1) < 1e-12
    assert vanished.any()


def projected_onto_the_cone(u, t):
    """The nearest (v, s) with |v| <= s (Boyd & Vandenberghe 2004, exercise 8.3)."""
    length = norm(u)
    if length <= -t:
        return np.zeros(u.size + 1)
    if length <= t:
        return np.append(u, t)
    return 0.5 * (1.0 + t / length) * np.append(u, length)


@pytest.mark.parametrize(
    "place", [(1.0, -0.5, -3.0), (1.0, -0.5, -1.0), (3.0, 4.0, 1.0), (0.1, 0.2, 5.0), (0.0, 0.0, -1.0)]
)
@pytest.mark.parametrize("start", [(1.0, 1.0, 3.0), (0.0, 0.0, 0.0)])
def test_the_nearest_point_of_a_cone_is_found_at_its_apex_too(place, start):
    place = np.array(place)
    known = projected_onto_the_cone(place[:2], place[2])
    found = st.minimize(
        lambda x: np.sum((x - place) ** 2),
        np.array(start),
        constraints=at_least_zero(lambda x: x[2] - np.sqrt(x[0] ** 2 + x[1] ** 2)),
    )
    assert found.success and found.x == pytest.approx(known, abs=1e-9)


def test_groups_within_a_limit_meet_their_conditions():
    rng = np.random.default_rng(24)
    X = rng.standard_normal((40, 12))
    y = X @ np.array([3, 1, 0, -2, 0, 0, 0, 1, 0, 0, 0, 0.1]) + 0.1 * rng.standard_normal(40)
    lengths = lambda w: sum(norm(w[3 * k : 3 * k + 3]) for k in range(4))  # noqa: E731
    found = st.minimize(
        lambda w: np.sum((X @ w - y) ** 2), np.zeros(12), constraints=at_least_zero(lambda w: 3 - lengths(w))
    )
    assert found.success and lengths(found.x) == pytest.approx(3.0, abs=1e-12)
    (price,) = found.multipliers.values()
    slope = (2 * X.T @ (X @ found.x - y)).reshape(4, 3)
    groups = found.x.reshape(4, 3)
    for own, group in zip(slope, groups, strict=True):
        if norm(group) > 1e-9:
            assert own == pytest.approx(-price * group / norm(group), rel=1e-7, abs=1e-7 * price)
        else:
            assert norm(own) <= price * (1.0 + 1e-9)


def test_the_best_place_on_a_line_is_one_of_the_sites_on_it():
    sites = np.array([[0, 0], [4, 0], [0, 4], [2, 2], [0.5, 0.2]])
    cost = lambda c: sum(norm(c - site) for site in sites)  # noqa: E731
    found = st.minimize(cost, [3.0, 2.5], constraints=at_least_zero(lambda c: c[0] + c[1] - 4))
    # Beside (2, 2) on the line x + y = 4 the others pull with less than the site bears; the bound takes the rest.
    assert found.success and found.x == pytest.approx([2.0, 2.0], abs=1e-12)
    along = np.linspace(-1.0, 1.0, 401)
    assert found.fun <= min(cost(np.array([2 + t, 2 - t])) for t in along) + 1e-12


def test_a_norm_that_vanishes_inside_its_limit_holds_nothing():
    found = st.minimize(
        lambda w: np.sum(np.abs(w - 0.25)) + 0.1 * w[0],
        np.array([0.5, 0.3, 0.1, 0.1]),
        constraints=[
            at_least_zero(lambda w: 0.4 - norm(w - 0.25)),
            zero(lambda w: np.sum(w) - 1.0),
        ],
    )
    assert found.verdict == "minimum at a kink" and found.x == pytest.approx(np.full(4, 0.25), abs=1e-12)


@pytest.mark.parametrize("unit", [1.0, 1e8, 1e-8])
@pytest.mark.parametrize(
    ("cost", "x"),
    [
        (lambda x: norm(x) - 1.5 * x[0], [0.0, 0.0]),
        (lambda x: norm(x) ** 3 - x @ x, [0.0, 0.0]),
        (lambda x: norm(x) - 0.7 * (np.abs(x[0]) + np.abs(x[1])) - 0.2 * x[0], [0.0, 0.0]),
        (lambda x: norm(x - 1.0) - 1.2 * x[1], [1.0, 1.0]),
    ],
)
def test_no_norm_is_said_to_hold_what_pulls_harder(cost, x, unit):
    limits = [at_least_zero(lambda x: 4 - x @ x), at_least_zero(lambda x: 3 - x[0] - 0.1 * x[1])]
    verdict = st.verify(lambda x: unit * cost(x), np.array(x), constraints=limits).verdict
    assert not verdict.is_minimum
    found = st.minimize(lambda x: unit * cost(x), np.array(x), constraints=limits)
    assert found.fun < unit * cost(np.array(x))


def test_thrust_that_lands_is_never_less_than_momentum_asks():
    """Least fuel between two states: Σ|u| is at least y·(what the thrust must bring) for any feasible multipliers y."""
    steps, gravity = 12, np.array([0.0, -0.3])
    place, speed = np.array([3.0, 8.0]), np.array([-0.5, -0.4])

    def end(u):
        x, v = place, speed
        for thrust in u.reshape(steps, 2):
            x, v = x + v + 0.5 * (thrust + gravity), v + thrust + gravity
        return np.concatenate([x, v])

    found = st.minimize(
        lambda u: np.sum(norm(u.reshape(steps, 2), axis=1)),
        np.full(2 * steps, 0.1),
        constraints=[zero(end), at_least_zero(lambda u: 1.0 - norm(u.reshape(steps, 2), axis=1))],
    )
    assert found.verdict == "minimum at a kink" and found.nfev < 1000
    assert np.abs(end(found.x)).max() <= 1e-12
    prices = np.array(list(found.multipliers.values()))
    y, limits = prices[:4], prices[4:]
    J = np.array([end(e) - end(np.zeros(2 * steps)) for e in np.eye(2 * steps)]).T
    # min over u of Σ (1 + p)|u| - y·(J u + end(0)) - Σ p: zero where no share of y is longer than 1 + p.
    assert (limits >= 0).all()
    assert (norm((J.T @ y).reshape(steps, 2), axis=1) <= 1.0 + limits + 1e-8).all()
    assert -y @ end(np.zeros(2 * steps)) - limits.sum() == pytest.approx(found.fun, rel=1e-9)


def test_a_corner_of_cost_and_constraint_is_left_where_few_ways_lead_down():
    """Of the ways from the corner a sixteenth keep to the constraint; along its axis the cost falls."""
    axis = np.array([1.0, 0.2, -0.1])
    place = np.array([1.0, -1.0, 0.0])
    cost = lambda x: np.sort(np.abs(x - place))[-2:].sum() - 3.0 * (axis @ (x - place))  # noqa: E731
    cone = at_least_zero(lambda x: axis @ (x - place) - 0.8 * np.max(np.abs(x - place)))
    lower = place + 0.01 * np.array([1.0, 0.2, -0.1])
    assert cone["fun"](lower) > 0.0 and cost(lower) < cost(place)
    assert not st.verify(
        cost, place, constraints=[cone, at_least_zero(lambda x: 2 - norm(x - place))]
    ).success


@pytest.mark.parametrize("unit", [1.0, 1e-7, 1e7])
def test_a_corner_of_a_constraint_does_not_hold_to_the_ways_along_one_of_its_sides(unit):
    """From zero the constraint is met along (-1, -2), where the cost falls; on the sides of its corner it does not."""
    axis, across = np.array([-1.5, -0.35]), np.array([[0.0, 0.0], [2.0, -1.0]])
    cost = lambda x: unit * (norm(across @ x) - 0.29 * x[0] + 0.4 * x[1])  # noqa: E731
    cone = at_least_zero(lambda x: axis @ x - 0.8 * np.max(np.abs(x)))
    lower = 1e-3 * np.array([-1.0, -2.0])
    assert cone["fun"](lower) > 0.0 and cost(lower) < -1e-4 * unit
    assert not st.verify(cost, np.zeros(2), constraints=[cone, at_least_zero(lambda x: 2 - norm(x))]).success


@pytest.mark.parametrize("unit", [1e9, 1e12])
@pytest.mark.parametrize("ball", [lambda x: 1.0 - norm(x), lambda x: 1.0 - x @ x])
def test_no_more_digits_are_claimed_than_the_distance_to_a_limit_leaves(unit, ball):
    """The point of a ball that is nearest to (2, 2) is (1, 1)/√2, in whatever unit the ball is told."""
    found = st.minimize(
        lambda x: norm(x - 2), [0.2, 0.5], constraints=at_least_zero(lambda x: unit * ball(x))
    )
    off = np.abs(found.x - np.sqrt(0.5)).max()
    assert off < 1e-6
    if found.digits is not None:
        assert off <= 2.0 * 10.0 ** -np.min(found.digits)
