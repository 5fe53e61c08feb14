"""Kinked costs between constraints, against linear programming and closed forms: where they end and what holds them."""

import numpy as np
import pytest
from scipy.optimize import LinearConstraint, NonlinearConstraint, linprog

import steepest as st

RNG = np.random.default_rng(3)
RETURNS = RNG.normal(0.001, 0.02, size=(60, 5))
A, B = RNG.standard_normal((9, 4)), RNG.standard_normal(9)


def expected_shortfall(z):
    """Of the worst tenth of the days, by Rockafellar and Uryasev's formula; z: five weights and the quantile."""
    return z[5] + np.mean(np.maximum(-RETURNS @ z[:5] - z[5], 0.0)) / 0.1


def test_the_expected_shortfall_of_a_portfolio_is_that_of_the_linear_program():
    days = len(RETURNS)
    known = linprog(
        np.concatenate([np.zeros(5), [1.0], np.full(days, 1.0 / (0.1 * days))]),
        A_ub=np.hstack([-RETURNS, -np.ones((days, 1)), -np.eye(days)]),
        b_ub=np.zeros(days),
        A_eq=[[*np.ones(5), *np.zeros(1 + days)]],
        b_eq=[1.0],
        bounds=[(0, 1)] * 5 + [(None, None)] + [(0, None)] * days,
    )
    start = np.concatenate([np.full(5, 0.2), [0.0]])
    for scale in (1.0, 1e6, 1e-6):
        result = st.minimize(
            lambda z, s=scale: s * expected_shortfall(z),
            start,
            bounds=[(0, 1)] * 5 + [(None, None)],
            constraints={"type": "eq", "fun": lambda z: np.sum(z[:5]) - 1.0},
        )
        assert result.verdict == "minimum at a kink" and result.success
        assert result.fun == pytest.approx(scale * known.fun, rel=1e-9)
        assert result.nfev < 200
        # The multiplier is what a unit more to spend would add to the shortfall.
        (multiplier,) = result.multipliers.values()
        assert multiplier == pytest.approx(scale * known.eqlin.marginals[0], rel=1e-6)
        assert (
            st.verify(
                lambda z, s=scale: s * expected_shortfall(z),
                result.x,
                bounds=[(0, 1)] * 5 + [(None, None)],
                constraints={"type": "eq", "fun": lambda z: np.sum(z[:5]) - 1.0},
            ).verdict
            == result.verdict
        )


def test_the_largest_error_on_a_plane_is_that_of_the_linear_program():
    known = linprog(
        [0, 0, 0, 0, 1],
        A_ub=np.block([[A, -np.ones((9, 1))], [-A, -np.ones((9, 1))]]),
        b_ub=np.concatenate([B, -B]),
        A_eq=[[1, 1, 1, 1, 0]],
        b_eq=[1],
        bounds=[(None, None)] * 5,
    )
    cost = lambda x: np.max(np.abs(A @ x - B))  # noqa: E731
    result = st.minimize(cost, np.zeros(4), constraints=LinearConstraint(np.ones((1, 4)), 1, 1))
    assert result.success and result.fun == pytest.approx(known.fun, rel=1e-9)
    assert np.sum(result.x) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("start", [np.zeros(4), np.array([5.0, -3.0, 2.0, 0.5])], ids=["met", "not met"])
def test_least_absolute_errors_below_a_limit_are_those_of_the_linear_program(start):
    known = linprog(
        np.concatenate([np.zeros(4), np.ones(18)]),
        A_eq=np.hstack([A, -np.eye(9), np.eye(9)]),
        b_eq=B,
        A_ub=[[1, -1, 2, 0, *np.zeros(18)]],
        b_ub=[-0.2],
        bounds=[(None, None)] * 4 + [(0, None)] * 18,
    )
    result = st.minimize(
        lambda x: np.sum(np.abs(A @ x - B)),
        start,
        constraints={"type": "ineq", "fun": lambda x: -0.2 - (x[0] - x[1] + 2 * x[2])},
    )
    assert result.verdict == "minimum at a kink"
    assert result.fun == pytest.approx(known.fun, rel=1e-9)
    assert "no lower point exists" in result.message


def test_a_curved_constraint_holds_a_kink():
    """min |x₀ - x₁| + (x₂ - 2)² in the ball of radius √3: x₀ = x₁ = 0 and x₂ = √3, whose multiplier is (2 - √3)/√3."""
    cost = lambda x: np.abs(x[0] - x[1]) + (x[2] - 2.0) ** 2  # noqa: E731
    result = st.minimize(
        cost, np.array([0.5, -0.5, 0.3]), constraints=NonlinearConstraint(lambda x: x @ x, -np.inf, 3.0)
    )
    assert result.success
    np.testing.assert_allclose(result.x, [0.0, 0.0, np.sqrt(3.0)], atol=1e-8)
    (multiplier,) = result.multipliers.values()
    assert multiplier == pytest.approx(-(2.0 - np.sqrt(3.0)) / np.sqrt(3.0), rel=1e-6)


def test_a_cost_that_is_convex_alone_is_not_called_lowest_between_curved_constraints():
    """|x| + |y - 3| outside the unit circle about (0, 3): every point of the diamond's corners is as low as its kin."""
    result = st.minimize(
        lambda x: np.abs(x[0]) + 2 * np.abs(x[1] - 3.0),
        np.array([0.3, 5.0]),
        constraints=NonlinearConstraint(lambda x: x[0] ** 2 + (x[1] - 3.0) ** 2, 1.0, np.inf),
    )
    assert "no lower point exists" not in result.message
    assert result.violation <= 1e-8


def test_a_callback_that_stops_and_a_budget_keep_the_best_point():
    seen = []

    def stop(x):
        seen.append(x.copy())
        return len(seen) == 3

    about = {"constraints": LinearConstraint(np.ones((1, 4)), 1, 1)}
    cost = lambda x: np.max(np.abs(A @ x - B))  # noqa: E731
    stopped = st.minimize(cost, np.zeros(4), callback=stop, **about)
    assert len(seen) == 3 and seen[0].shape == (4,)
    assert stopped.stop.startswith("stopped") and np.isfinite(stopped.fun) and not stopped.success
    short = st.minimize(cost, np.zeros(4), budget=5, **about)
    assert short.nfev <= 12 and np.isfinite(short.fun)


def test_constraints_that_exclude_each_other_are_told():
    result = st.minimize(
        lambda x: np.sum(np.abs(x)),
        np.ones(2),
        constraints=[
            {"type": "ineq", "fun": lambda x: x[0] - 1},
            {"type": "ineq", "fun": lambda x: -x[0] - 1},
        ],
    )
    assert not result.success and "No point meets the constraints" in result.message
