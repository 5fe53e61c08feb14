"""Kinks between two limits, or in equations: one limit at a time makes each an equation of its own."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import NonlinearConstraint, minimize

import steepest as st

MOST = 150  # evaluations; each of these took 25,000 and more


def onto_the_ball(v, radius):
    """The nearest point with sum |x| = radius, by the sorted sizes (Duchi et al. 2008, figure 1)."""
    sizes = np.sort(np.abs(v))[::-1]
    above = (np.cumsum(sizes) - radius) / np.arange(1, v.size + 1)
    level = above[np.flatnonzero(sizes > above)[-1]]
    return np.sign(v) * np.maximum(np.abs(v) - level, 0.0)


@pytest.mark.parametrize("least", [0.0, 1.0, 2.0])
def test_a_sum_of_sizes_between_limits_is_a_projection(least):
    target = np.random.default_rng(3).standard_normal(6)
    between = NonlinearConstraint(lambda x: np.sum(np.abs(x)), least, 2.0)
    found = st.minimize(lambda x: np.sum((x - target) ** 2), np.full(6, 0.3), constraints=between)
    assert found.success and found.nfev < MOST
    assert_allclose(found.x, onto_the_ball(target, 2.0), atol=1e-9)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_equation_of_sizes_holds_at_a_corner(sign):
    on = {"type": "eq", "fun": lambda x: sign * (np.abs(x[0]) + np.abs(x[1]) - 1)}
    found = st.minimize(lambda x: (x[0] - 3) ** 2 + (x[1] - 1) ** 2, np.array([0.5, 0.5]), constraints=on)
    assert found.success and found.nfev < MOST
    assert_allclose(found.x, [1.0, 0.0], atol=1e-9)


def test_turnover_between_nothing_and_a_limit_is_a_quadratic_program_of_trades():
    random = np.random.default_rng(4)
    n, most = 12, 0.3
    before, gain = np.full(n, 1.0 / n), 0.1 * random.standard_normal(n)
    L = random.standard_normal((n, 2 * n))
    risk = L @ L.T / n

    def cost(x):
        return 0.5 * x @ risk @ x - gain @ x

    found = st.minimize(
        cost,
        before,
        bounds=[(0, None)] * n,
        constraints=[
            {"type": "eq", "fun": lambda x: np.sum(x) - 1},
            NonlinearConstraint(lambda x: np.sum(np.abs(x - before)), 0.0, most),
        ],
    )
    assert found.success and found.nfev < MOST
    split = minimize(  # bought and sold apart, without a kink
        lambda t: cost(before + t[:n] - t[n:]),
        np.zeros(2 * n),
        bounds=[(0, None)] * n + [(0, 1.0 / n)] * n,
        constraints=[
            {"type": "eq", "fun": lambda t: np.sum(t[:n]) - np.sum(t[n:])},
            {"type": "ineq", "fun": lambda t: most - np.sum(t)},
        ],
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )
    assert found.fun <= split.fun + 1e-9
    assert np.sum(np.abs(found.x - before)) <= most + 1e-8


def test_where_the_lower_limit_holds_the_walk_still_ends_there():
    between = NonlinearConstraint(np.abs, 0.5, 1.5)
    found = st.minimize(
        lambda x: (x[0] - 0.1) ** 2 + (x[1] + 0.2) ** 2, np.array([1.0, -1.0]), constraints=between
    )
    assert found.success
    assert_allclose(found.x, [0.5, -0.5], atol=1e-9)


@pytest.mark.parametrize("calls", [1, 3, 8, 20])
def test_a_spent_budget_leaves_the_best_point_that_meets_both_limits(calls):
    target = np.random.default_rng(3).standard_normal(6)
    between = NonlinearConstraint(lambda x: np.sum(np.abs(x)), 1.0, 2.0)

    def cost(x):
        return np.sum((x - target) ** 2)

    start = np.full(6, 0.3)
    found = st.minimize(cost, start, constraints=between, budget=calls)
    assert found.verdict == "out of budget" and found.nfev <= calls
    assert found.fun <= cost(start) and 1.0 - 1e-8 <= np.sum(np.abs(found.x)) <= 2.0 + 1e-8


@pytest.mark.parametrize("calls", range(24, 40, 3))
def test_a_budget_that_ends_in_the_second_walk_loses_no_point_that_a_callback_saw(calls):
    between = NonlinearConstraint(lambda x: np.sum(np.abs(x)), 1.0, 2.0)

    def cost(x):
        return np.sum((x - 0.05) ** 2)  # lowest within the lower limit, which is left out at first

    seen = [np.array([0.5, 0.5, 0.2, 0.2])]
    found = st.minimize(cost, seen[0], constraints=between, budget=calls, callback=lambda x: seen.append(x))
    lowest = min(cost(x) for x in seen if 1.0 <= np.sum(np.abs(x)) <= 2.0)
    assert found.fun <= lowest and 1.0 - 1e-8 <= np.sum(np.abs(found.x)) <= 2.0 + 1e-8


def test_a_market_impact_without_curvature_at_the_start_leads_where_another_start_does():
    random = np.random.default_rng(7)
    n = 12
    before, gain = np.full(n, 1.0 / n), 0.1 * random.standard_normal(n)
    L = random.standard_normal((n, 2 * n))
    risk = L @ L.T / n

    def cost(x):
        traded = np.abs(x - before)
        return 0.5 * x @ risk @ x - gain @ x + 0.02 * np.sum(traded**1.5) + 0.01 * np.sum(traded)

    about = {"bounds": [(0, None)] * n, "constraints": {"type": "eq", "fun": lambda x: np.sum(x) - 1}}
    found = st.minimize(cost, before, **about)
    other = st.minimize(cost, before + 0.01 * np.sin(np.arange(n)), **about)
    assert found.success and other.success
    assert_allclose(found.fun, other.fun, rtol=1e-9)
