"""Where only double precision gives out, a cost does not end: a likelihood that fell until there is unbounded below.

Each deviation here can shrink onto data that the model meets exactly, so that the log-likelihood has no lower end.
"""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq

import steepest as st
from steepest.search import descent
from steepest.solvers.driver import drive
from steepest.solvers.stopping import StopReason

STARTS = (-3.0, 0.0, 2.0, 5.0)
TWO, THREE = np.array([0.1, 0.7]), np.array([0.1, 0.7, 1.1])

COLLAPSING = {
    "deviation": (lambda p: p[1] + 0.5 * ((3.0 - p[0]) * np.exp(-p[1])) ** 2, 1),
    "variance": (lambda p: 0.5 * p[1] + 0.5 * (0.3 - p[0]) ** 2 * np.exp(-p[1]), 1),
    "double exponential": (lambda p: p[1] + np.abs(0.3 - p[0]) * np.exp(-p[1]), 1),
    "softplus": (
        lambda p: np.log(np.logaddexp(0, p[1])) + 0.5 * ((3.0 - p[0]) / np.logaddexp(0, p[1])) ** 2,
        1,
    ),
    "deviation itself": (lambda p: np.log(np.abs(p[1])) + 0.5 * ((3.0 - p[0]) / p[1]) ** 2, 1),
    "Student": (lambda p: p[1] + 2.0 * np.log1p(((3.0 - p[0]) * np.exp(-p[1])) ** 2 / 3.0), 1),
    "line": (
        lambda p: np.sum(p[2] + 0.5 * ((np.array([1.3, 3.7]) - p[0] - p[1] * TWO) * np.exp(-p[2])) ** 2),
        2,
    ),
    "parabola": (
        lambda p: np.sum(
            p[3]
            + 0.5 * ((np.array([1.3, 3.7, 2.2]) - p[0] - p[1] * THREE - p[2] * THREE**2) * np.exp(-p[3])) ** 2
        ),
        3,
    ),
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("form", COLLAPSING)
def test_a_deviation_that_collapses_is_unbounded_below(form, start):
    cost, others = COLLAPSING[form]
    found = st.minimize(cost, np.array([0.1] * others + [start or 1.0]))
    assert found.verdict == "unbounded below", found.message


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_the_size_of_the_cost_changes_nothing(unit):
    cost, _ = COLLAPSING["deviation"]
    assert st.minimize(lambda p: unit * cost(p), np.array([1.0, 0.0])).verdict == "unbounded below"


def test_a_bound_on_the_deviation_gives_a_minimum_there():
    found = st.minimize(COLLAPSING["deviation"][0], np.array([1.0, 0.0]), bounds=[(None, None), (-5, None)])
    assert found.verdict.is_minimum
    assert abs(found.fun + 5.0) < 1e-9


@pytest.mark.parametrize("weight", [1e-4, 1e-5, 1e-6, 1e-7])
def test_a_weak_prior_on_the_deviation_is_not_called_unbounded(weight):
    """p + w·p² is lowest at p = -1/(2w), beyond where exp(-p) can be held: nothing is claimed of it."""
    found = st.minimize(
        lambda p: p[1] + 0.5 * ((3.0 - p[0]) * np.exp(-p[1])) ** 2 + weight * p[1] ** 2, np.array([1.0, 0.0])
    )
    assert found.verdict == "not finite"


@pytest.mark.parametrize(
    ("cost", "start", "lowest"),
    [
        (lambda x: np.sqrt(x[0]) + x[1] ** 2, (4.0, 1.0), 0.0),
        (lambda x: np.sqrt(x[0]) + 0.0 * np.exp(-1e-3 * x[0]), (4.0,), 0.0),
        (lambda x: np.arccos(x[0]) - 0.5 * x[0], (0.2,), -0.5),
    ],
)
def test_where_the_cost_itself_ends_its_edge_is_a_minimum(cost, start, lowest):
    found = st.minimize(cost, np.array(start))
    assert found.verdict == "minimum at a kink", found.message
    assert abs(found.fun - lowest) < 1e-6


@pytest.mark.parametrize("cost", [lambda x: x[0] + np.exp(-x[0]), lambda x: np.cosh(100 * x[0]) + x[0]])
def test_a_wall_that_overflows_far_from_the_minimum_is_none_of_its_story(cost):
    assert st.minimize(cost, np.array([5.0])).verdict.is_minimum


def test_a_cusp_of_two_parameters_is_a_kink_although_its_slopes_are_infinite():
    found = st.minimize(lambda x: np.sum(np.sqrt(np.abs(x - 1))), np.array([3.0, -1.0]))
    assert found.verdict == "minimum at a kink", found.message


@pytest.mark.parametrize(
    ("cost", "slope", "start"),
    [
        (lambda x: np.cosh(100 * x[0]) + x[0], lambda t: 100 * np.sinh(100 * t) + 1, [5.0]),
        (lambda x: np.sum(np.exp(50 * x) + x**2), lambda t: 50 * np.exp(50 * t) + 2 * t, [5.0, 3.0]),
        (lambda x: np.sum(np.exp(50 * x) - x), lambda t: 50 * np.exp(50 * t) - 1, [10.0, 0.0]),
    ],
)
def test_a_wall_of_a_hundred_digits_hides_no_minimum_at_its_foot(cost, slope, start):
    """The fall from 10²¹⁷ rounds away all that lies below, but a walk that goes on from where it is sees it again."""
    found = st.minimize(cost, np.array(start))
    assert found.verdict.is_minimum, found.message
    np.testing.assert_allclose(found.x, brentq(slope, -1.0, 0.0, xtol=1e-15), rtol=1e-7)


@pytest.mark.parametrize(("order", "start"), [(4, 1e20), (10, 1e7), (20, 1e5), (40, 1e5), (100, 1e2)])
def test_a_far_start_does_not_make_a_place_up_a_wall_the_minimum(order, start):
    """Where the walk first ends is a small part of its way from the minimum, and its cost up to 10¹⁰⁶ all the same."""
    found = st.minimize(lambda x: x[0] ** order + (x[0] - 1) ** 2, np.array([start]))
    assert found.verdict.is_minimum, found.message
    truth = brentq(lambda t: order * t ** (order - 1) + 2 * (t - 1), 0.0, 1.0, xtol=1e-15)
    np.testing.assert_allclose(found.x, truth, rtol=1e-4)


@pytest.mark.parametrize("method", ["auto", "newton", "bfgs", "l-bfgs", "newton-cg"])
@pytest.mark.parametrize(("order", "start"), [(4, 1e20), (6, 1e7), (8, 1e5), (8, 1e20), (10, 1e7), (20, 1e2)])
def test_every_method_goes_on_where_the_height_of_its_start_hides_what_is_left(order, start, method):
    """What fell by 10¹⁶⁰ is no minimum for being less than the rounding of that, nor is a parameter right to 10⁴."""
    lowest = brentq(lambda x: order * x ** (order - 1) + 2 * (x - 1), 0.0, 1.0)
    found = st.minimize(lambda x: x[0] ** order + (x[0] - 1) ** 2, np.array([start]), method=method)
    assert found.verdict == "global minimum", found.message
    assert abs(found.x[0] - lowest) < 1e-8


@pytest.mark.parametrize(
    ("order", "start", "rest"), [(10, 3.0, 0.0), (10, 1e5, 0.0), (20, 1e3, 5.0), (40, 1e5, 0.0)]
)
def test_a_flat_bottom_of_high_order_is_a_minimum_from_near_and_far(order, start, rest):
    """The floor, where the cost is nothing beside what the walk won, is 0.2 wide at order 20."""
    found = st.minimize(lambda x: (x[0] - 1) ** order + rest, np.array([start]))
    assert found.verdict.is_minimum, found.message
    assert abs(found.x[0] - 1.0) < 0.2
    assert found.fun - rest < 1e-12


def _quartic(x):
    return np.sum((x - 1) ** 4)


@pytest.mark.parametrize("budget", [{"evaluations": 40}, {"evaluations": 41}, {"steps": 40}, {"steps": 60}])
def test_a_fall_from_high_up_that_a_budget_cuts_short_is_no_minimum_far_from_it(budget):
    """Some 10 of 10⁴⁸ are left in the middle of the way: next to nothing of the fall, and far from the lowest cost."""
    found = st.minimize(_quartic, [1e12, 1e11], budget=budget)
    assert found.nfev <= budget.get("evaluations", np.inf)
    assert found.nit <= budget.get("steps", np.inf)
    assert not found.success or found.fun < 1e-6, found.message


def test_an_interruption_of_the_walk_that_nobody_sees_stops_the_search(monkeypatch):
    walks = []

    def interrupted(*arguments, **options):
        run = drive(*arguments, **options)
        walks.append(options.get("callback"))
        if walks[-1] is None:
            return replace(run, stop=StopReason.STOPPED, reason="interrupted from the keyboard")
        return run

    monkeypatch.setattr(descent, "drive", interrupted)
    found = st.minimize(_quartic, [1e12, 1e11], method="bfgs", callback=lambda x: None)
    assert walks[-1] is None and len(walks) > 1
    assert found.stop is StopReason.STOPPED


def test_second_derivatives_that_are_not_finite_make_no_saddle_of_a_minimum():
    """Taken for zero, an entry alone would bend the cost down: [[2, -2], [-2, 0]] has a negative eigenvalue."""

    def hessian(x):
        return np.array([[2.0, np.inf, 0.0], [-2.0, np.nan, 0.0], [0.0, 0.0, 1.0]])

    result = st.minimize(
        lambda x: (x[0] - x[1]) ** 2 + 0.5 * x[2] ** 2 + x[1] ** 4,
        np.zeros(3),
        jac=lambda x: np.array([2 * (x[0] - x[1]), 2 * (x[1] - x[0]) + 4 * x[1] ** 3, x[2]]),
        hess=hessian,
    )
    assert result.verdict.is_minimum, str(result)
    assert "nan" not in str(result)
    curvature = next(item for item in result.evidence if item.name == "smallest curvature")
    assert curvature.measured == 0.0
    assert "left out" in curvature.how


@pytest.mark.parametrize(("bend", "verdict"), [(2.0, "local minimum"), (-2.0, "saddle point")])
def test_a_parameter_at_its_bound_hides_no_curvature_of_the_free_ones(bend, verdict):
    """Only the last one's own row and column hold what is not finite, and it does not move."""

    def hessian(x):
        return np.array([[bend, 0.0, np.inf], [0.0, 2.0, np.nan], [np.inf, np.nan, 1.0]])

    found = st.verify(
        lambda x: 0.5 * bend * x[0] ** 2 + x[1] ** 2 + x[2],
        np.zeros(3),
        jac=lambda x: np.array([bend * x[0], 2 * x[1], 1.0]),
        hess=hessian,
        bounds=[(-1, 1), (-1, 1), (0, 1)],
    )
    assert found.verdict == verdict
    curvature = next(item for item in found.evidence if item.name == "smallest curvature")
    assert curvature.measured == bend and "left out" not in curvature.how


def test_a_few_free_parameters_among_many_without_finite_second_derivatives():
    def cost(x):
        y = x[:5]
        return -np.sum((y**2) ** (np.roll(y, 1) ** 2 + 1)) + np.sum(x[5:])

    found = st.verify(cost, np.zeros(805), bounds=[(-1, 1)] * 5 + [(0, 1)] * 800)
    assert found.verdict == "saddle point"
    assert all(item.limit is None or np.isfinite(item.limit) for item in found.evidence)


@pytest.mark.parametrize(
    ("cost", "start"),
    [
        pytest.param(
            lambda x: np.prod(np.cosh(np.array([-0.58, -2.1, 0.18]) * x[0] - 0.5)) + np.maximum(x[0], 0.0),
            [-157.0],
            id="a slope of 1e190 beside a kink",
        ),
        pytest.param(
            lambda x: np.sum(
                np.exp(1 / (WEIGHTS @ x * 0.01 - np.array([-2.7232324, 0.76876, -1.1723582659])))
            ),
            [5.773646246, -9.994751974, -2.56354737, -3.63219545],
            id="second derivatives of 1e300 before a wall",
        ),
    ],
)
def test_numbers_near_the_largest_end_in_a_word_and_not_in_an_error(cost, start):
    result = st.minimize(cost, np.array(start))
    assert np.isfinite(result.fun)
    assert result.fun < cost(np.array(start))


WEIGHTS = np.array(
    [
        [0.949836477107893, 0.24753520460434206, -0.3420147315675429, 0.3030513273171356],
        [0.2658023227301258, 0.6532777882335878, -0.3574028158386155, 0.16164599326405604],
        [0.7019101714579873, -1.0998131785672083, -1.335099677089284, 1.613756448150506],
    ]
)


@pytest.mark.parametrize(
    ("cost", "lowest"),
    [
        ("where(x < 0.5, 2 - x, x**2/3)", 1 / 12),
        ("where(x < 0.5, 2 - x, x)", 0.5),
        ("where(x < -3, 5 - x, exp(x))", np.exp(-3.0)),
        ("where(x > 2, 9 + x, 4 - x)", 2.0),
    ],
)
@pytest.mark.parametrize("start", [-2.0, 0.0, 0.3, 2.5])
def test_the_foot_of_a_jump_is_a_minimum_and_no_fall_without_end(cost, lowest, start):
    found = st.minimize(cost, start)
    assert found.verdict in ("minimum at a kink", "local minimum", "global minimum")
    assert found.fun == pytest.approx(lowest, rel=1e-12)


def test_the_foot_of_a_jump_of_several_parameters_is_a_minimum():
    def cost(p):
        return np.where(p[0] < 1, 5.0 - p[0], p[0] ** 2) + (p[1] - 2) ** 2 + (p[2] + p[1]) ** 2

    found = st.minimize(cost, [3.0, 0.0, 0.0])
    assert found.success
    np.testing.assert_allclose(found.x, [1.0, 2.0, -2.0], atol=1e-6)


def test_a_curvature_too_large_for_a_number_over_the_parameters_size_raises_nothing_and_hides_no_slope():
    """Far out the slope of the product is rounded by 1e170; the roots have their minimum at zero, of curvature one."""
    start = np.array([-1.4385226489904384e150, 2.118803030729321e150, -1.3420444532864416e150])
    found = st.minimize(lambda x: np.sum(np.sqrt(1 + x**2)) + 1e-100 * np.prod(x), start)
    assert found.success, found.message
    assert np.abs(found.x).max() < 1e-7 and found.fun == 3.0
