"""Choosing: the rules explain themselves, every spelling works, and a wrong word is answered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from steepest import minimize
from steepest.errors import InputError
from steepest.solvers import (
    StopReason,
    bfgs,
    choose,
    gradient_descent,
    lbfgs,
    momentum,
    nesterov,
    newton,
    plan_for,
)
from steepest.solvers.adam import Adam
from steepest.solvers.choice import RULES

from .problems import objective, parabola


@pytest.mark.parametrize(
    ("n", "ladder"),
    [
        (1, ["BFGS", "L-BFGS"]),
        (300, ["BFGS", "L-BFGS"]),
        (301, ["L-BFGS"]),
        (10**6, ["L-BFGS"]),
    ],
)
def test_without_second_derivatives_the_choice_goes_by_size(n, ladder):
    plan = choose(objective(parabola, n))
    assert [rung.solver.name for rung in plan.rungs] == ladder
    assert f"{n:,} parameter" in plan.because
    assert {"Newton", "Levenberg-Marquardt", "gradient descent"} <= {other for other, _ in plan.passed_over}
    assert plan.name in str(plan) and "not gradient descent" in str(plan)
    assert plan.to_dict()["solver"] == plan.name


def test_a_sum_of_squares_goes_to_levenberg_marquardt_first():
    def cost(x):
        return np.sum((x[1:] - x[:-1] ** 2) ** 2) + np.sum((1 - x) ** 2)

    result = minimize(cost, np.zeros(4))
    assert result.plan.name == "Levenberg-Marquardt" and result.plan.taken == ("Levenberg-Marquardt",)
    assert [rung.solver.name for rung in result.plan.next_rungs] == ["Newton", "BFGS", "L-BFGS"]


def test_few_parameters_with_exact_second_derivatives_go_to_newton_first():
    assert minimize(lambda x: np.sum(np.cosh(x - 1)), np.zeros(3)).plan.name == "Newton"


def test_a_walk_that_ends_short_of_a_minimum_is_taken_up_by_the_next_solver():
    class GivesUp(type(newton())):
        """Newton's method that stops at once."""

        def step(self, objective, state):
            return state._replace(stop=StopReason.NO_PROGRESS)

    rules = [replace(rule, solver=GivesUp) if rule.solver is type(newton()) else rule for rule in RULES]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("steepest.solvers.choice.RULES", tuple(rules))
        result = minimize(lambda x: np.sum(np.cosh(x - 1)), np.zeros(3), derivatives="exact")
    assert result.plan.taken == ("Newton", "BFGS")
    assert result.success
    np.testing.assert_allclose(result.x, 1.0, rtol=1e-12)
    assert result.history.x[0].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("spelling", "solver"),
    [
        ("BFGS", bfgs()),
        ("bfgs", bfgs()),
        ("L-BFGS-B", lbfgs()),
        ("l-bfgs", lbfgs()),
        ("lbfgs", lbfgs()),
        ("gradient descent", gradient_descent()),
        ("gradient_descent", gradient_descent()),
        ("gd", gradient_descent()),
        ("momentum", momentum()),
        ("heavy ball", momentum()),
        ("Nesterov", nesterov()),
        ("Adam", Adam()),
    ],
)
def test_every_way_people_write_a_method_is_understood(spelling, solver):
    plan = plan_for(spelling)
    assert plan.solver == solver
    assert spelling in plan.because


def test_options_reach_the_solver_under_their_known_names():
    assert plan_for("gd", {"rate": 0.1}).solver == gradient_descent(rate=0.1)
    assert plan_for("gd", {"learning_rate": 0.1}).solver == gradient_descent(rate=0.1)
    assert plan_for("nesterov", {"rate": 0.1, "momentum": 0.5}).solver == nesterov(0.1, 0.5)
    assert plan_for("L-BFGS-B", {"maxcor": 5}).solver == lbfgs(memory=5)
    assert plan_for(lbfgs(memory=5), {"still_falling": 0.5}).solver == lbfgs(5, 0.5)


def test_scipys_options_become_tolerances_and_limits():
    plan = plan_for(
        "BFGS", {"gtol": 1e-4, "ftol": 1e-9, "xtol": 1e-7, "maxiter": 30, "maxfun": 50, "disp": False}
    )
    tolerance = plan.tolerance(1e-3)
    assert (tolerance.remaining, tolerance.gradient, tolerance.value, tolerance.step) == (
        1e-3,
        1e-4,
        1e-9,
        1e-7,
    )
    assert plan.max_steps == 30 and plan.max_evaluations == 50
    assert plan.tolerance().remaining is None


def test_the_choice_takes_options_too():
    assert choose(objective(parabola, 2), {"maxiter": 3}).max_steps == 3


def test_disp_is_answered_with_where_to_look():
    with pytest.warns(UserWarning, match="history"):
        plan_for("BFGS", {"disp": True})


@pytest.mark.parametrize(
    ("method", "hint"),
    [("bgfs", "'BFGS'"), ("gradient decent", "'gradient descent'"), ("lbgfs", "'L-BFGS'"), ("adm", "'adam'")],
)
def test_a_misspelt_method_is_answered_with_the_nearest(method, hint):
    with pytest.raises(InputError, match="Did you mean") as caught:
        plan_for(method)
    assert hint in str(caught.value)


@pytest.mark.parametrize("method", ["Nelder-Mead", "Powell", "CG", "COBYLA", "SLSQP", "trust-constr"])
def test_a_scipy_method_that_is_not_here_is_answered_with_what_is(method):
    with pytest.raises(InputError, match="is not here") as caught:
        plan_for(method)
    assert "BFGS" in str(caught.value)


def test_an_unknown_option_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match="Did you mean 'maxiter'") as caught:
        plan_for("BFGS", {"max_iter": 3})
    assert "gtol" in str(caught.value)
    with pytest.raises(InputError, match="no option 'rate'"):
        plan_for("BFGS", {"rate": 0.1})


@pytest.mark.parametrize("wrong", [3.5, -1, True])
def test_a_limit_must_be_a_whole_number(wrong):
    with pytest.raises(InputError, match="whole number"):
        plan_for("BFGS", {"maxiter": wrong})


def test_a_method_that_is_no_method_is_refused():
    with pytest.raises(InputError, match="must be a name or a solver"):
        plan_for(np.zeros(2))  # type: ignore[arg-type]


def test_nobody_is_asked_to_go_lower_than_a_cost_can_be():
    """A sum of fading terms is positive: far below its start every other method would only walk on to infinity."""
    result = minimize(lambda x: np.sum(np.exp(-0.8 * x)), np.zeros(130))
    assert result.verdict.value == "infimum not attained" and 0 < result.fun < 1e-28
    assert len(result.plan.taken) <= 2 < len(result.plan.rungs)
