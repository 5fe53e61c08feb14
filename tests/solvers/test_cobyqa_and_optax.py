"""Values alone, and optax's rules: methods by name and by object, held against minima that are known."""

import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from steepest import InputError, minimize
from steepest.budget import Budget
from steepest.objective import Objective
from steepest.solvers import drive
from steepest.solvers.choice import choose
from steepest.solvers.cobyqa import Cobyqa


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def test_cobyqa_finds_rosenbrocks_minimum_without_a_slope():
    result = minimize(rosenbrock, np.array([-1.2, 1.0]), method="cobyqa", derivatives="numeric")
    assert_allclose(result.x, [1.0, 1.0], atol=1e-5)
    assert result.plan.name == "COBYQA"


def test_cobyqa_stands_noise_that_hides_every_small_difference():
    generator = np.random.default_rng(0)
    noise = 1e-3

    def value(x):
        return float(np.sum((x - 3.0) ** 2)) + noise * generator.standard_normal()

    objective = Objective(
        2, value=value, value_and_gradient=lambda x: (value(x), 1e3 * generator.standard_normal(2)),
        derivatives="numeric", budget=Budget(evaluations=2_000),
    )  # fmt: skip
    run = drive(Cobyqa(), objective, np.array([0.5, -2.0]))
    assert np.sum((run.x - 3.0) ** 2) < 10 * noise


def test_cobyqa_never_leaves_the_bounds():
    seen = []

    def cost(x):
        seen.append(np.array(x))
        return (x[0] - 2) ** 2 + (x[1] + 1) ** 2

    result = minimize(cost, [0.5, 0.5], bounds=[(0, 1)] * 2, method="COBYQA", derivatives="numeric")
    assert_allclose(result.x, [1.0, 0.0], atol=1e-7)
    assert np.min(seen) >= 0.0 and np.max(seen) <= 1.0


def test_models_through_values_are_the_last_rung_where_slopes_are_measured_and_nowhere_else():
    def objective(kind):
        return Objective(2, value_and_gradient=lambda x: (float(x @ x), 2 * x), derivatives=kind)

    assert "COBYQA" in [rung.solver.name for rung in choose(objective("numeric")).rungs]
    assert "COBYQA" not in [rung.solver.name for rung in choose(objective("exact")).rungs]


@pytest.mark.parametrize(
    "rule", [optax.sgd(0.1), optax.adam(0.05), optax.chain(optax.clip(1.0), optax.sgd(0.1))]
)
def test_any_rule_of_optax_walks_to_the_minimum_of_a_bowl(rule):
    result = minimize(lambda x: (x[0] - 1) ** 2 + 2 * (x[1] + 2) ** 2, np.zeros(2), method=rule)
    assert_allclose(result.x, [1.0, -2.0], atol=1e-6)
    assert "optax" in result.plan.name


def test_sgd_of_optax_takes_the_steps_of_gradient_descent():
    theirs = minimize("x**2 - 2*x + 3", 3.0, method=optax.sgd(0.2), options={"maxiter": 5})
    ours = minimize("x**2 - 2*x + 3", 3.0, method="gradient descent", options={"maxiter": 5, "rate": 0.2})
    assert_allclose(theirs.history.x, ours.history.x, rtol=1e-14)


def test_a_first_radius_that_is_none_is_refused():
    with pytest.raises(InputError, match="radius"):
        minimize(rosenbrock, np.zeros(2), method="cobyqa", options={"radius": 0.0})
