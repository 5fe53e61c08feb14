"""What a verdict on a plain minimum costs, in evaluations, and that saving them changes no word."""

import numpy as np
import pytest

from steepest.descent import structure_of
from steepest.problem import pose
from steepest.verdict.judge import judge


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def bowl(x):
    return np.sum(np.cosh(x - 1.0))


def posed(cost, n):
    return pose(
        cost, np.zeros(n), (), jac=None, hess=None, bounds=None, fixed=None, derivatives="auto", budget=None
    )


def judged(problem, x):
    return judge(problem.objective, x, names=problem.names, structure=structure_of(problem))


@pytest.mark.parametrize("n", [2, 5])
def test_a_plain_minimum_costs_two_slopes_for_each_parameter_and_six_more(n):
    found = judged(posed(bowl, n), np.ones(n))
    assert found.verdict.is_minimum
    assert found.spent.gradients <= 2 * n + 6
    assert found.spent.hessians == found.spent.products == 0


@pytest.mark.parametrize("cost", [bowl, rosenbrock])
def test_second_derivatives_that_are_made_already_take_the_place_of_differences(cost):
    problem = posed(cost, 3)
    x = np.ones(3)
    before = judged(problem, x)
    assert not problem.objective.has_hessian_at_hand or before.spent.hessians
    problem.objective.hessian(x + 1.0)
    assert problem.objective.has_hessian_at_hand
    after = judged(problem, x)
    assert after.verdict is before.verdict
    assert after.spent.gradients <= 5 and 1 <= after.spent.hessians <= 3
    np.testing.assert_allclose(after.digits, before.digits, atol=1.0)


def test_the_probes_of_one_seed_are_the_same_at_every_look():
    problem = posed(rosenbrock, 4)
    first, second = (judged(problem, np.ones(4)) for _ in range(2))
    assert [item.measured for item in first.evidence] == [item.measured for item in second.evidence]
