"""Choosing: the rules explain themselves, every spelling works, and a wrong word is answered."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import nnls
from scipy.special import logsumexp, softmax

from steepest import Verdict, minimize
from steepest.bounds import Bounds
from steepest.errors import InputError
from steepest.objective import Objective
from steepest.oracles import MadeWhenAsked
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


@pytest.mark.parametrize("start", [np.zeros(4), np.array([3.0, -2e-3, 40.0, 1.0])])
def test_a_linear_fit_goes_to_its_bottom_in_one_whole_step(start):
    t = np.linspace(0.0, 1.0, 12)
    A, b = np.vander(t, 4), np.exp(t)
    result = minimize(lambda p: np.sum((A @ p - b) ** 2), start)
    assert "linear residuals" in result.plan.because
    assert_allclose(result.history.x[1], np.linalg.lstsq(A, b)[0], rtol=1e-9)
    assert result.verdict is Verdict.GLOBAL_MINIMUM


def test_few_parameters_with_exact_second_derivatives_go_to_newton_first():
    assert minimize(lambda x: np.sum(np.cosh(x - 1)), np.zeros(3)).plan.name == "Newton"


@pytest.mark.parametrize(
    ("in_slopes", "ladder"),
    [(50.0, ["BFGS", "Newton", "BFGS", "L-BFGS"]), (5.0, ["Newton", "BFGS", "L-BFGS"])],
)
def test_slopes_begin_where_the_second_derivatives_of_few_parameters_take_as_long_as_many(in_slopes, ladder):
    hessian = MadeWhenAsked(lambda x: 2.0 * np.eye(40), lambda: False, lambda least: in_slopes)
    plan = choose(Objective(40, value_and_gradient=parabola, hessian=hessian))
    assert [rung.label for rung in plan.rungs] == ladder
    assert not plan.rungs[1].afresh
    inside = Bounds(np.zeros(40), np.ones(40))
    plan = choose(Objective(40, value_and_gradient=parabola, hessian=hessian, bounds=inside))
    assert plan.name == ("L-BFGS" if in_slopes > 10.0 else "Newton")


def test_the_likelihood_of_a_mixture_is_followed_by_slopes_to_where_expectation_maximisation_stays():
    rng = np.random.default_rng(10)
    clusters, centres = 8, 4.0 * rng.normal(size=(8, 2))
    seen = centres[rng.integers(0, clusters, 1_000)] + 0.6 * rng.normal(size=(1_000, 2))

    def parts(v):
        """Logarithms of the weighted densities (m, clusters); weights, middles and widths of both coordinates."""
        weights = v[:clusters] - np.log(np.sum(np.exp(v[:clusters])))
        middles, widths = v[clusters : 3 * clusters].reshape(-1, 2), v[3 * clusters :].reshape(-1, 2)
        apart = (seen[:, None] - middles) / np.exp(widths)
        return weights - 0.5 * np.sum(apart**2, axis=2) - np.sum(widths, axis=1)

    def cost(v):
        logs = parts(v)
        top = np.max(logs, axis=1, keepdims=True)
        return -np.sum(top[:, 0] + np.log(np.sum(np.exp(logs - top), axis=1)))

    start = np.r_[np.zeros(clusters), (centres + 0.3 * rng.normal(size=centres.shape)).ravel(), np.zeros(16)]
    box = [(-0.5, 0.5)] * clusters + [(None, None)] * 16 + [(-0.3, None)] * 16
    held = minimize(cost, start, bounds=box, starts=1)
    assert held.plan.taken == ("L-BFGS",)
    assert held.nfev < 400  # BFGS takes thousands along the bounds
    assert_allclose(held.fun, minimize(cost, start, bounds=box, starts=1, method="newton").fun, rtol=1e-12)
    result = minimize(cost, start, starts=1)
    assert result.plan.taken == ("BFGS",)
    assert result.nhev == 0
    assert result.verdict.is_minimum
    # Expectation and maximisation (Dempster, Laird & Rubin 1977) leave a maximum of the likelihood where it is.
    shares = np.exp(parts(result.x) - logsumexp(parts(result.x), axis=1, keepdims=True))
    middles = shares.T @ seen / shares.sum(0)[:, None]
    squares = np.einsum("mk,mkd->kd", shares, (seen[:, None] - middles) ** 2) / shares.sum(0)[:, None]
    found = result.x
    assert_allclose(softmax(found[:clusters]), shares.mean(0), rtol=1e-6)
    assert_allclose(found[clusters : 3 * clusters].reshape(-1, 2), middles, rtol=1e-6)
    assert_allclose(np.exp(2.0 * found[3 * clusters :]).reshape(-1, 2), squares, rtol=1e-6)


def test_a_method_that_came_from_where_a_cost_dies_out_is_not_sent_there_again():
    """Yes or no, with one trait that only those have who said yes: its share grows for ever."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(4_000, 100))
    answer = np.sign(X @ rng.normal(size=100) / 3.0 + rng.logistic(size=4_000))
    X[:, 0] = np.where((answer > 0.0) & (rng.random(4_000) < 0.02), 1.0, 0.0)
    result = minimize(lambda w: np.sum(np.logaddexp(0.0, -answer * (X @ w))), np.zeros(100))
    assert result.verdict is Verdict.INFIMUM_NOT_ATTAINED
    assert result.plan.taken[0] == "BFGS"
    assert result.plan.taken.count("BFGS") == 1


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


def minimal_surface(side):
    """The area above a square of side × side free heights, between a raised and a flat rim: convex."""
    rim = np.zeros((side + 2, side + 2))
    rim[0] = np.sin(np.linspace(0.0, np.pi, side + 2))

    def area(x):
        middle = np.concatenate([rim[1:-1, :1], np.reshape(x, (side, side)), rim[1:-1, -1:]], axis=1)
        u = np.concatenate([rim[:1], middle, rim[-1:]], axis=0)
        one, other = u[1:, 1:] - u[:-1, :-1], u[1:, :-1] - u[:-1, 1:]
        return np.sum(np.sqrt(1.0 + 0.5 * (side + 1) ** 2 * (one**2 + other**2))) / (side + 1) ** 2

    return area


def ladder_of(cost, start):
    return [rung.solver.name for rung in minimize(cost, start, budget={"steps": 1}).plan.rungs]


def test_the_work_of_a_factorisation_says_whether_slopes_or_curvature_begin():
    small, large = (ladder_of(minimal_surface(side), np.zeros(side * side)) for side in (20, 90))
    assert small[:2] == ["sparse Newton", "L-BFGS"]
    assert large[:2] == ["L-BFGS", "sparse Newton"]
    plan = minimize(minimal_surface(90), np.zeros(8_100), budget={"steps": 1}).plan
    assert "multiplications" in plan.because and "e+07" in plan.because


def test_what_is_factorised_once_may_take_longer():
    # The same graph: a quadratic needs one factorisation, and a cost of several valleys the better one.
    side = 90
    target = np.random.default_rng(0).standard_normal(side * side)

    def membrane(x):
        u = np.reshape(x, (side, side))
        return np.sum((x - target) ** 2) + np.sum((u[1:] - u[:-1]) ** 2) + np.sum((u[:, 1:] - u[:, :-1]) ** 2)

    def wrinkled(x):
        u = np.reshape(x, (side, side))
        return np.sum(np.cos(u[1:] - u[:-1])) + np.sum(np.cos(u[:, 1:] - u[:, :-1])) + 0.1 * np.sum(u**4)

    for cost in (membrane, wrinkled):
        assert ladder_of(cost, np.zeros(side * side))[0] == "sparse Newton"


def test_weighty_factorisations_give_way_to_slopes_where_a_few_do_not_arrive():
    # Double wells on a grid, joined and slightly tilted: lowest where all are at the largest root of 4u³ - 4u = 0.05.
    side = 70

    def wells(x):
        u = np.reshape(x, (side, side))
        joined = np.sum((u[1:] - u[:-1]) ** 2) + np.sum((u[:, 1:] - u[:, :-1]) ** 2)
        return np.sum((x**2 - 1.0) ** 2) + 2.0 * joined - 0.05 * np.sum(x)

    result = minimize(wells, np.sin(0.01 * np.arange(side * side)), starts=1)
    u = np.roots([4.0, 0.0, -4.0, -0.05]).real.max()
    assert result.plan.taken == ("sparse Newton", "L-BFGS")
    assert_allclose(result.x, u, rtol=1e-9)
    assert_allclose(result.fun, side**2 * ((u**2 - 1.0) ** 2 - 0.05 * u), rtol=1e-12)
    assert result.nhev < 60  # 111 where Newton's method goes on by itself


def test_bfgs_keeps_the_curvature_it_has_learned_however_long_the_walk_is():
    """A chain of bent valleys, 300 parameters and slopes of the user's own: some four steps for each parameter."""

    def cost(x):
        return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    def slope(x):
        away = x[1:] - x[:-1] ** 2
        return np.append(-400.0 * x[:-1] * away - 2.0 * (1.0 - x[:-1]), 0.0) + np.append(0.0, 200.0 * away)

    result = minimize(cost, np.tile([-1.2, 1.0], 150), jac=slope)
    assert result.plan.taken == ("BFGS",)
    assert result.nit > 1_000
    np.testing.assert_allclose(result.x, np.ones(300), atol=1e-9)


def test_where_no_factor_is_bearable_none_is_on_the_ladder():
    # Pairs drawn at random: eliminating them fills the whole matrix.
    n = 12_000
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, n, 3 * n), rng.integers(0, n, 3 * n)
    plan = minimize(
        lambda x: np.sum((x[one] * x[other] - 1.0) ** 2) + 0.1 * np.sum(x**2), np.ones(n), budget={"steps": 1}
    ).plan
    asked_later = [rung.solver.name for rung in plan.rungs if rung.fits is not None]
    assert asked_later == ["Levenberg-Marquardt", "L-BFGS"]
    assert [rung.solver.name for rung in plan.rungs if rung.fits is None] == 3 * ["L-BFGS", "Newton-CG"] + [
        "L-BFGS"
    ]
    assert "factorisation" in dict(plan.passed_over)["sparse Newton"]


def test_steps_by_products_that_the_radius_cuts_short_are_left_to_slopes_again():
    """A chain of bent valleys in turned axes: far out in it products see no further than slopes, which cost less."""
    n = 310
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(n, n)))[0]

    def cost(x):
        y = turned @ x
        return np.sum(10_000.0 * (y[1:] - y[:-1] ** 2) ** 2 + (1.0 - y[:-1]) ** 2)

    result = minimize(cost, turned.T @ np.full(n, -1.0))
    assert result.plan.taken == ("L-BFGS", "Levenberg-Marquardt", "L-BFGS", "Newton-CG", "L-BFGS")
    np.testing.assert_allclose(turned @ result.x, np.ones(n), atol=1e-8)
    assert result.nhev < 1_000  # of products: a hundred for each step that was cut, and no more of those


def test_a_dense_quadratic_that_slopes_do_not_solve_soon_is_solved_by_its_one_matrix():
    """Each sum of the last parameters counts: curvatures from ½ to 3·10⁵, and L-BFGS would take thousands of steps."""
    n = 400

    def cost(x):
        tails = np.cumsum(x[::-1])[::-1]
        return tails[0] ** 2 + 2 * np.sum(tails[1:] ** 2) - np.sum(x + 0.25 * x**2)

    """Each sum of the last parameters counts: curvatures from ½ to 3·10⁵; L-BFGS would take thousands of steps."""
    # eigenvalue is 1; half of it is left, so that rounding keeps ten digits.
    tails = np.triu(np.ones((n, n)))
    weight = np.full(n, 4.0)
    weight[0] = 2.0
    exact = np.linalg.solve(tails.T @ (weight[:, None] * tails) - 0.5 * np.eye(n), np.ones(n))
    result = minimize(cost, np.arange(1.0, n + 1))
    assert result.plan.taken[:2] == ("L-BFGS", "Newton")
    assert result.success
    assert result.nit < 250
    np.testing.assert_allclose(result.x, exact, atol=1e-7)


def test_a_dense_quadratic_whose_products_would_not_fit_is_not_taken_whole():
    def ladder(rows):
        weight = np.linspace(0.0, 1.0, rows)
        return ladder_of(lambda x: np.sum(np.outer(weight, x - np.sum(x) - 1.0) ** 2), np.zeros(400))

    assert ladder(10)[:2] == ["L-BFGS", "Newton"]
    assert "Newton" not in ladder(250)


def test_few_parameters_without_exact_second_derivatives_are_told_that_newton_needs_them():
    passed_over = dict(
        minimize(lambda x: np.sum(np.cosh(x)), np.ones(2), derivatives="numeric").plan.passed_over
    )
    assert "exact" in passed_over["Newton"] and "exact" in passed_over["Newton-CG"]


def test_a_heavy_minimum_is_found_by_cheap_steps_and_made_exact_by_few_dear_ones():
    side = 75
    dear = minimize(minimal_surface(side), np.zeros(side * side), method="newton")
    found = minimize(minimal_surface(side), np.zeros(side * side))
    assert found.success and found.plan.name == "L-BFGS"
    np.testing.assert_allclose(found.fun, dear.fun, rtol=1e-13)


def test_a_walk_of_which_nothing_is_left_is_judged_where_its_steps_ran_out():
    # Its minimum, zero, is that of fourth powers that all share the last parameter: the steps of the first rung run
    # out at some 1e-35 of the 1e5 it began with, and no other method can win what is lost in rounding.
    def cost(x):
        return (x[0] - x[1]) ** 2 + (x[-2] - x[-1]) ** 2 + np.sum((x[:-2] + x[1:-1] + x[-1]) ** 4)

    result = minimize(cost, np.tile([1.0, -1.0], 1000))
    assert result.success
    assert result.fun < 1e-25
    assert result.nfev < 300


def test_a_walk_that_faded_on_its_way_to_infinity_is_not_walked_on_by_every_method():
    def cost(x):
        return np.sum((x[:-2] + x[1:-1]) * np.exp(-x[2:] * (x[:-2] + x[1:-1])))

    result = minimize(cost, np.ones(1000))
    assert result.verdict is Verdict.INFIMUM_NOT_ATTAINED
    assert result.nfev < 300


def test_among_walls_that_gauss_newton_swings_between_newton_takes_over_in_time():
    """A bowl with its lowest point, zero, at the origin, crossed by two families of walls that vanish there."""

    def cost(x):
        return 1000.0 * (np.sin(15.0 * x[0]) * np.cos(15.0 * x[1])) ** 2 + 0.05 * (x[0] ** 2 + x[1] ** 2)

    spent, alone = 0, 0
    for start in ([40.0, 10.0], [-30.0, 50.0], [60.0, -20.0], [25.0, -45.0]):
        result = minimize(cost, start)
        assert result.success and result.fun < 1e-30
        spent += result.nfev
        alone += minimize(cost, start, method="levenberg-marquardt").nfev
    assert spent < 0.7 * alone


def _paired(n, seed):
    """Ends (m,) of pairs of parameters at random, each with ten others, and a number for each pair."""
    rng = np.random.default_rng(seed)
    return (*rng.integers(0, n, size=(2, 10 * n)), rng.normal(size=10 * n))


def test_a_sparse_quadratic_takes_no_more_factorisations_once_its_slope_is_rounding():
    n = 600
    one, other, seen = _paired(n, 3)
    answer = minimize(
        lambda x: np.sum((x[one] + x[other] - seen) ** 2) + 0.1 * np.sum(x**2),
        np.zeros(n),
        method=newton(sparse=True),
    )
    rows = np.zeros((seen.size, n))
    np.add.at(rows, (np.arange(seen.size), one), 1.0)
    np.add.at(rows, (np.arange(seen.size), other), 1.0)
    expected = np.linalg.lstsq(
        np.vstack([rows, np.sqrt(0.1) * np.eye(n)]), np.append(seen, np.zeros(n)), rcond=None
    )[0]
    np.testing.assert_allclose(answer.x, expected, atol=1e-12)
    assert answer.success and answer.nit <= 5


def test_residuals_over_pairs_at_random_are_walked_by_slopes_alone():
    """Eliminating any parameter makes all those it is paired with meet: JᵀJ of few entries has a full factor."""
    n = 800
    one, other, seen = _paired(n, 4)
    answer = minimize(lambda x: np.sum((x[one] - np.sin(x[other]) - seen) ** 2), np.zeros(n))
    assert answer.success and answer.plan.taken == ("L-BFGS",) and answer.nhev <= 1


def _trajectory(poses, loops, noise, seed):
    """Poses (x, y, angle) seen from each other by one who walks and comes back: cost, start, and where each was."""
    rng = np.random.default_rng(seed)
    angle = np.cumsum(rng.normal(0.0, 0.3, poses))
    angle -= angle[0]
    place = np.cumsum(np.stack([np.cos(angle), np.sin(angle)]), axis=1)
    truth = np.stack([*(place - place[:, :1]), angle], axis=1)
    one = np.concatenate([np.arange(poses - 1), rng.integers(0, poses // 2, loops)])
    other = np.concatenate([np.arange(1, poses), rng.integers(poses // 2, poses, loops)])

    def seen(p):
        away, turned = p[other, :2] - p[one, :2], p[one, 2]
        ahead = np.cos(turned) * away[:, 0] + np.sin(turned) * away[:, 1]
        aside = np.cos(turned) * away[:, 1] - np.sin(turned) * away[:, 0]
        return np.stack([ahead, aside, p[other, 2] - turned], axis=1)

    measured = seen(truth) + noise * rng.standard_normal((one.size, 3))

    def cost(v):
        p = np.reshape(v, (poses, 3))
        off = seen(p) - measured
        return np.sum(off[:, :2] ** 2) + np.sum(np.sin(0.5 * off[:, 2]) ** 2) + np.sum(p[0] ** 2)

    start = np.zeros((poses, 3))
    for k in range(poses - 1):
        c, s = np.cos(start[k, 2]), np.sin(start[k, 2])
        ahead, aside, turn = measured[k]
        start[k + 1] = start[k] + [c * ahead - s * aside, s * ahead + c * aside, turn]
    return cost, start.ravel(), truth


def test_a_net_of_poses_is_straightened_by_its_residuals():
    cost, start, truth = _trajectory(300, 240, 0.0, 3)
    start = start + 0.1 * np.sin(np.arange(start.size))
    result = minimize(cost, start, starts=1)
    assert result.plan.taken == ("Levenberg-Marquardt",)
    np.testing.assert_allclose(result.x, truth.ravel(), atol=1e-6)
    assert result.success and result.nit < 40  # thousands by slopes alone


def test_residuals_lead_wherever_the_unknowns_stand_and_whatever_the_unit_of_the_cost():
    cost, start, _ = _trajectory(300, 240, 0.05, 4)
    order = np.random.default_rng(0).permutation(start.size)
    back = np.argsort(order)
    one = minimize(cost, start, starts=1)
    for unit in (1e-9, 1e9):
        other = minimize(lambda v, unit=unit: unit * cost(v[back]), start[order], starts=1)
        assert other.plan.taken == one.plan.taken == ("Levenberg-Marquardt",)
        np.testing.assert_allclose(other.fun, unit * one.fun, rtol=1e-9)


def test_more_bands_of_a_spectrum_than_bfgs_remembers_are_fitted_by_their_residuals():
    """A dense Jacobian of 330 parameters; no more may be left than at the truth."""
    bands = 110
    rng = np.random.default_rng(0)
    x = np.linspace(0.0, bands, 12 * bands)

    def model(v):
        height, middle, width = np.reshape(v, (3, bands))
        return np.sum(height * np.exp(-0.5 * ((x[:, None] - middle) / width) ** 2), axis=1)

    truth = np.concatenate(
        [
            rng.uniform(1.0, 3.0, bands),
            np.arange(bands) + 0.5 + rng.normal(0, 0.15, bands),
            rng.uniform(0.15, 0.4, bands),
        ]
    )
    y = model(truth) + 0.02 * rng.standard_normal(x.size)
    start = np.concatenate([np.full(bands, 2.0), np.arange(bands) + 0.5, np.full(bands, 0.25)])
    result = minimize(lambda v: np.sum((model(v) - y) ** 2), start, starts=1)
    assert result.success and result.plan.taken == ("Levenberg-Marquardt",)
    assert result.fun < np.sum((model(truth) - y) ** 2)
    assert result.nit < 40  # thousands by slopes alone, to eight times the cost


def test_factors_of_a_matrix_seen_in_part_keep_to_slopes_where_those_arrive():
    rng = np.random.default_rng(1)
    left, right = rng.standard_normal((60, 3)), rng.standard_normal((50, 3))
    i, j = np.nonzero(rng.random((60, 50)) < 0.5)
    seen = np.sum(left[i] * right[j], axis=1)

    def cost(v):
        a, b = np.reshape(v[:180], (60, 3)), np.reshape(v[180:], (50, 3))
        return np.sum((np.sum(a[i] * b[j], axis=1) - seen) ** 2)

    result = minimize(cost, rng.standard_normal(330), starts=1)
    assert result.fun < 1e-15 and result.plan.taken == ("L-BFGS",)


def test_an_easy_quadratic_whose_factor_takes_long_is_solved_by_slopes():
    """Ratings of pairs drawn at random: few meet, but a factor of their second derivatives is full."""
    rng, n = np.random.default_rng(0), 1500
    one, other, rating = (
        rng.integers(0, n // 2, 6 * n),
        rng.integers(n // 2, n, 6 * n),
        rng.normal(size=6 * n),
    )
    found = minimize(lambda x: np.sum((x[one] + x[other] - rating) ** 2) + 0.1 * np.sum(x**2), np.zeros(n))
    assert found.verdict is Verdict.GLOBAL_MINIMUM and found.plan.taken == ("L-BFGS",)
    A = np.zeros((6 * n, n))
    A[np.arange(6 * n), one] = A[np.arange(6 * n), other] = 1.0
    assert_allclose(found.x, np.linalg.solve(A.T @ A + 0.1 * np.eye(n), A.T @ rating), atol=1e-8)


def test_a_hard_quadratic_whose_factor_takes_long_is_factorised_once_slopes_have_failed():
    rng, n = np.random.default_rng(1), 1500
    one, other, sought = rng.integers(0, n, 6 * n), rng.integers(0, n, 6 * n), rng.normal(size=n)
    weight = 10.0 ** rng.uniform(-3, 3, 6 * n)
    found = minimize(
        lambda x: np.sum(weight * (x[one] - x[other]) ** 2) + np.sum((x - sought) ** 2), np.zeros(n)
    )
    assert found.verdict is Verdict.GLOBAL_MINIMUM and found.plan.taken == ("L-BFGS", "sparse Newton")
    A = np.zeros((6 * n, n))
    A[np.arange(6 * n), one] += 1.0
    A[np.arange(6 * n), other] -= 1.0
    assert_allclose(found.x, np.linalg.solve(A.T @ (weight[:, None] * A) + np.eye(n), sought), atol=1e-8)


def test_a_correlation_is_walked_as_the_smooth_cost_it_is():
    """NumPy clips it, and only rounding is ever clipped: the highest one is the multiple correlation coefficient."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(400, 130))
    y = X @ rng.normal(size=130) + 5.0 * rng.normal(size=400)
    found = minimize(lambda w: 1.0 - np.corrcoef(X @ w, y)[0, 1], rng.normal(size=130))
    assert found.success and "split interior point" not in found.plan.taken
    with_mean = np.column_stack([X, np.ones(400)])
    fitted = with_mean @ np.linalg.lstsq(with_mean, y)[0]
    assert_allclose(found.fun, 1.0 - np.std(fitted) / np.std(y), rtol=1e-9)


def test_squares_of_a_sum_of_sizes_end_in_the_minimum_of_nonnegative_least_squares():
    random = np.random.default_rng(5)
    A = random.standard_normal((120, 60))
    y = A[:, :5].sum(axis=1) + 3.0 * random.standard_normal(120)
    found = minimize(lambda x: np.sum((A @ x - y) ** 2) + 0.5 * np.sum(np.abs(x)) ** 2, np.zeros(60))
    parts = np.vstack([np.hstack([A, -A]), np.sqrt(0.5) * np.ones((1, 120))])
    assert found.success and found.nfev < 400
    assert found.fun == pytest.approx(nnls(parts, np.append(y, 0.0))[1] ** 2, rel=1e-12)
