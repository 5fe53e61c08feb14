"""Linear residuals tell where to begin: the solution of their least squares, and of the rest given them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import minimize
from steepest.budget import Budget, BudgetSpent
from steepest.objective import Objective
from steepest.solvers.linear_residuals import met_by_linear_residuals

from ..posed import posed

N = 200


def met(cost, start, **more):
    problem = posed(cost, start, **more)
    assert problem.objective.has_sparse_jacobian
    return met_by_linear_residuals(problem.objective, problem.start)


def test_linear_least_squares_alone_is_what_a_solver_of_linear_equations_says():
    rng = np.random.default_rng(1)
    signal = rng.standard_normal(N)
    place = met(lambda x: np.sum((x - signal) ** 2) + 5.0 * np.sum((x[1:] - x[:-1]) ** 2), np.zeros(N))
    D = np.diff(np.eye(N), axis=0)
    assert_allclose(place, np.linalg.solve(np.eye(N) + 5.0 * D.T @ D, signal), rtol=1e-10)


def test_parameters_that_no_linear_residual_tells_follow_the_others():
    # The odd ones are 2, by linear residuals; each even one is the cube of its neighbour, in a residual that bends.
    def cost(x):
        return np.sum((3.0 * x[::2] - 6.0) ** 2) + np.sum((x[1::2] - x[::2] ** 3) ** 2)

    place = met(cost, np.full(N, -1.0))
    assert_allclose(place[::2], 2.0, rtol=1e-12)
    assert_allclose(place[1::2], 8.0, rtol=1e-12)


def test_bounds_are_kept():
    place = met(
        lambda x: np.sum((x - 3.0) ** 2) + np.sum((x[1:] * x[:-1] - 1.0) ** 2),
        np.ones(N),
        bounds=[(0.5, 1.0 + 0.01 * i) for i in range(N)],
    )
    assert (place >= 0.5).all() and (place <= 1.0 + 0.01 * np.arange(N)).all()


def test_parameters_that_equal_bounds_hold_are_met_by_the_others():
    held = np.arange(N) % 5 == 0
    signal = np.random.default_rng(2).standard_normal(N)
    start = np.where(held, 5.0, 0.0)
    place = met(
        lambda x: np.sum((x - signal) ** 2) + 5.0 * np.sum((x[1:] - x[:-1]) ** 2),
        start,
        bounds=[(5.0, 5.0) if one else (None, None) for one in held],
    )
    D = np.diff(np.eye(N), axis=0)
    H = np.eye(N) + 5.0 * D.T @ D
    known = signal - H[:, held] @ start[held]
    assert_allclose(place[~held], np.linalg.solve(H[np.ix_(~held, ~held)], known[~held]), rtol=1e-9)
    assert_allclose(place[held], 5.0, rtol=0)


def test_products_of_parameters_at_opposite_bounds_are_not_linear():
    # One of any two neighbours can only rise and the other only fall, so that no side lets both go.
    def cost(x):
        return np.sum((x[1:] * x[:-1] - 2.0) ** 2) + (x[0] - 1.0) ** 2

    bounds = [(-5.0, 1.0) if i % 2 else (1.0, 5.0) for i in range(N)]
    assert met(cost, np.ones(N), bounds=bounds) is None


def test_numbers_that_overflow_on_the_way_warn_nobody():
    def cost(x):
        return np.sum((np.exp(300.0 * x[1:]) - x[:-1]) ** 2) + np.sum((x - 1.0) ** 2)

    with np.errstate(all="raise"):
        assert_allclose(met(cost, np.full(N, 3.0)), 1.0, rtol=1e-12)


@pytest.mark.parametrize(
    "cost",
    [
        lambda x: np.sum(((3.0 - 2.0 * x[1:]) * x[1:] - x[:-1] + 1.0) ** 2),
        lambda x: np.sum((x[1:] - np.sin(2.0 * np.pi * x[:-1])) ** 2) + (x[0] - 1.0) ** 2,
        lambda x: np.sum((x[1:] - x[:-1]) ** 2) + np.sum((x[2:] * x[1:-1] * x[:-2] - 1.0) ** 2),
        lambda x: np.sum((np.sqrt(x[1:]) - x[:-1]) ** 2),
    ],
    ids=["none is linear", "one is", "they are too few by one", "not defined everywhere"],
)
def test_nothing_is_said_where_the_linear_residuals_do_not_tell_the_parameters(cost):
    assert met(cost, np.full(N, 0.5)) is None


def chained_rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def test_the_chain_of_rosenbrock_is_crossed_at_once():
    # By any walk along the chain it takes some steps for every parameter.
    result = minimize(chained_rosenbrock, np.tile([-1.2, 1.0], 2_500))
    assert result.success and result.nit < 10
    assert_allclose(result.x, 1.0, rtol=1e-10)
    assert "linear residuals" in result.plan.taken[0] and "linear residuals" in str(result.plan)
    assert_allclose(result.history.value[0], chained_rosenbrock(np.tile([-1.2, 1.0], 2_500)), rtol=1e-12)


def test_what_the_linear_residuals_leave_open_is_found_by_the_others_and_a_constant_counts_for_nothing():
    # x₂ = x₃ = … = 1 are told, x₁ only by x₂ = x₁²: from 1/500 the first step towards that leads to 250.
    def cost(x):
        return 3.0 + np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2) + np.sum((1.0 - x[1:]) ** 2)

    result = minimize(cost, np.arange(1, 501) / 500)
    assert result.success and result.nit < 10 and result.nfev < 50
    assert_allclose(result.x, 1.0, rtol=1e-8)
    assert_allclose(result.fun, 3.0, rtol=1e-14)


def pulled_chain(x):
    """The same chain, pulled a little by what cannot be met together with it."""
    return chained_rosenbrock(x) + 1e-3 * np.sum((x[2:] * x[:-2] - 1.1) ** 2)


def test_where_the_place_does_not_meet_the_others_the_walk_begins_at_the_start():
    # Only once the first walk has crept along the chain for long is the other place tried: there the cost is not zero.
    result = minimize(pulled_chain, np.tile([-1.2, 1.0], 200))
    assert result.success and result.fun < 1e-3 * 400 * 0.1**2
    first, second = result.plan.taken
    assert first == "sparse Newton" and "linear residuals" in second


def test_a_minimum_that_is_not_the_lowest_is_left_for_where_the_linear_residuals_lead():
    # The chain has a second minimum near (-1, 1, 1, ...), with cost near 4 (Kok & Sandrock, Evol. Comput. 17, 2009).
    start = np.ones(N)
    start[0] = -1.0
    alone, found = minimize(pulled_chain, start, starts=1), minimize(pulled_chain, start)
    assert alone.success and found.success
    assert 3.9 < alone.fun < 4.1 and found.fun < 1e-3 * N * 0.1**2
    assert "higher minimum" in found.message
    assert alone.x[0] < -0.9 and found.x[0] > 0.9


def test_one_start_stays_in_its_valley():
    start = np.ones(N)
    start[0] = -1.0
    assert_allclose(minimize(chained_rosenbrock, start, starts=1).fun, 3.9866, rtol=1e-4)
    assert minimize(chained_rosenbrock, start).fun < 1e-18


@pytest.mark.parametrize("evaluations", [119, 120, 121, 130])
def test_a_budget_that_ends_beside_the_other_beginning_ends_the_walk_in_order(evaluations):
    result = minimize(chained_rosenbrock, np.tile([-1.2, 1.0], N), budget=evaluations)
    assert result.nfev <= evaluations
    assert_allclose(result.fun, chained_rosenbrock(result.x), rtol=1e-12)
    assert result.fun <= 400.0


def test_looking_for_the_place_stays_within_the_budget():
    problem = posed(
        lambda x: np.sum((x[1:] - x[:-1] ** 2) ** 2) + np.sum((x - 1.0) ** 2),
        np.zeros(N),
        budget=Budget(evaluations=2),
    )
    assert isinstance(problem.objective, Objective) and problem.objective.has_sparse_jacobian
    with pytest.raises(BudgetSpent):
        met_by_linear_residuals(problem.objective, problem.start)
