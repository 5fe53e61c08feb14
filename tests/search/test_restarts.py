"""Restarts near a minimum: costs whose lowest minimum is known in closed form, and what must hold of any."""

import re

import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose

from steepest import minimize
from steepest.objective import Objective


def rastrigin(x):
    return np.sum(x**2 - 10 * np.cos(2 * np.pi * x) + 10)


def wells(x):
    return (x**2 - 1) ** 2 + 0.3 * x


def tried(result):
    return [item for item in result.evidence if item.name == "restarts nearby"]


def test_the_lowest_point_of_a_lattice_of_minima_is_found():
    result = minimize(rastrigin, [3.2, -2.1, 4.0, 0.9])
    assert_allclose(result.x, 0.0, atol=1e-8)
    assert result.success and "restarts near it led here" in result.message


def test_a_lattice_is_left_inside_bounds_that_shut_its_lowest_point_out():
    result = minimize(rastrigin, [3.2, 4.1], bounds=[(0.6, 5.0), (-5.0, 5.0)])
    # The lowest of the minima of one parameter that lie between 0.6 and 5, from a fine grid.
    grid = np.linspace(0.6, 5.0, 400_001)
    lowest = np.min(grid**2 - 10 * np.cos(2 * np.pi * grid) + 10)
    assert_allclose(result.fun, lowest, atol=1e-8)


def test_the_lower_of_two_wells_is_found_and_one_start_stays_in_the_higher():
    roots = np.roots([4.0, 0.0, -4.0, 0.3])
    assert_allclose(minimize(wells, 1.0).x, min(roots), rtol=1e-12)
    alone = minimize(wells, 1.0, starts=1)
    assert_allclose(alone.x, max(roots), rtol=1e-12)
    assert not tried(alone)


def test_a_well_behind_a_ridge_is_reached():
    def cost(x):
        return (x - 1) ** 2 * (x + 2) ** 2 + 0.3 * x

    # At -1, the other sign of the first minimum, the cost is higher; it falls away from there to the other well.
    slope = np.polyder(np.polyadd(np.polymul([1, -2, 1], [1, 4, 4]), [0.3, 0.0]))
    assert cost(-1.0) > cost(1.0)
    assert_allclose(minimize(cost, 3.0).x, min(np.roots(slope)), rtol=1e-10)


def chain(x):
    return np.sum(np.cos(x[:-1] ** 2 - 0.5 * x[1:]))


def test_many_parameters_are_opened_again_by_slopes():
    # Neighbours push each other out of a box: which of each two stays is a matter of the way.
    def pushed(x):
        return np.sum(np.exp(0.1 * x[:40] * x[1:41])) - np.sum(10.0 * np.arange(1, 601) * x)

    box = {"bounds": [(0, 10)] * 600}
    alone, again = minimize(pushed, np.zeros(600), starts=1, **box), minimize(pushed, np.zeros(600), **box)
    assert alone.success and again.success
    assert again.fun < alone.fun - 100.0
    assert again.plan.taken == ("sparse Newton", "sparse Newton")
    assert_allclose(again.fun, pushed(again.x), rtol=1e-12)
    assert again.x.min() >= 0.0 and again.x.max() <= 10.0


def test_a_valley_that_curvature_misses_is_met_down_the_slope():
    """Broyden's seven-diagonal function, its powers 7/3: at the start hardly any term has curvature."""

    def cost(x):
        near = np.concatenate((np.zeros(1), x[:-1])) + np.concatenate((x[1:], np.zeros(1)))
        half = x.size // 2
        terms = np.abs((3 - 2 * x) * x + 1 - near) ** (7 / 3)
        return np.sum(terms) + np.sum(np.abs(x[:half] + x[half:]) ** (7 / 3))

    start = np.ones(150)
    alone, again = minimize(cost, start, starts=1), minimize(cost, start)
    assert alone.success and again.success
    assert again.fun < 0.6 * alone.fun
    assert again.plan.taken == ("Levenberg-Marquardt", "sparse Newton")
    assert "1 walks" in minimize(cost, -start).evidence[-1].how  # one valley: no third walk


def test_a_second_walk_on_its_way_to_the_same_minimum_is_broken_off(monkeypatch):
    weights = np.linspace(1.0, 30.0, 200)

    def cost(x):
        return np.sum(weights * (x**2 - 1) ** 2) + np.sum((x[1:] - x[:-1]) ** 2) - 0.1 * np.sum(x)

    start = np.full(200, 0.2)
    with_end = minimize(cost, start)
    monkeypatch.setattr("steepest.search.homing.SAME_PLACE", 0.0)
    without = minimize(cost, start)
    assert with_end.evidence[-1].how == without.evidence[-1].how
    assert with_end.evidence[-1].how.endswith(" places looked at, 1 walks; none lower")
    assert with_end.nit < without.nit and with_end.fun == without.fun
    assert_allclose(with_end.x, without.x, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("cost", "start"),
    [
        ("(1-x)**2 + 100*(y-x**2)**2", {"x": -1.2, "y": 1.0}),
        ("exp(x) + exp(-2*x)", 1.0),
        ("(x-3)**2", 0.0),
    ],
    ids=["a sum of squares at zero", "convex", "quadratic"],
)
def test_nothing_is_tried_where_nothing_can_be_lower(cost, start):
    result = minimize(cost, start)
    assert not tried(result)
    assert result.nfev == minimize(cost, start, starts=1).nfev


def test_a_method_by_name_walks_alone():
    result = minimize(wells, 1.0, method="newton")
    assert result.x > 0 and not tried(result)


@pytest.mark.parametrize("more", [0, 1, 5, 25])
def test_a_budget_that_ends_about_where_the_walk_does_keeps_its_minimum(more):
    start = np.ones(200)
    alone = minimize(chain, start, starts=1)
    result = minimize(chain, start, budget=alone.nfev + more)
    assert result.nfev <= alone.nfev + more
    assert result.fun <= alone.fun + 1e-9


@pytest.mark.parametrize("allowed", [8, 15, 25, 40])
def test_a_budget_holds_for_restarts_too(allowed):
    result = minimize(rastrigin, [3.2, -2.1], budget=allowed)
    assert result.nfev <= allowed
    assert result.fun <= rastrigin(np.array([3.2, -2.1]))


def test_the_end_is_never_higher_than_without_and_is_a_minimum():
    generator = np.random.default_rng(5)
    for _ in range(8):
        a, b, c = generator.normal(size=(3, 3))

        def made(a=a, b=b, c=c):
            return lambda x: (
                np.sum(np.sin(2 * x + a) * b) + 0.2 * np.sum((x - c) ** 2) + 0.1 * x[0] * x[1] ** 2
            )

        start = generator.normal(size=3) * 2
        alone, near = minimize(made(), start, starts=1), minimize(made(), start)
        if alone.success:
            assert near.success
            assert near.fun <= alone.fun + 1e-12 * abs(alone.fun)
        assert near.x.tobytes() == minimize(made(), start).x.tobytes()


def test_a_fall_without_end_seen_from_nearby_is_told_and_the_minimum_kept():
    def cost(x):
        return (x - 2) ** 3 - 3 * (x - 2)

    result = minimize(cost, 4.0)
    assert_allclose(result.x, 3.0, rtol=1e-12)
    assert result.success and "ended in no minimum: unbounded below" in result.message


def test_a_callback_that_stops_a_restart_keeps_the_minimum():
    alone = minimize(rastrigin, [3.2, 4.1], starts=1)
    steps = []

    def stop(x):
        steps.append(x)
        return len(steps) > alone.nit + 1

    result = minimize(rastrigin, [3.2, 4.1], callback=stop)
    assert result.success and result.fun <= alone.fun
    assert len(steps) == alone.nit + 2


def test_the_history_keeps_the_first_start_and_counts_every_step():
    result = minimize(rastrigin, [3.2, -2.1])
    assert_allclose(result.history.x[0], [3.2, -2.1])
    assert result.history.value[-1] == pytest.approx(0.0, abs=1e-12)
    assert result.nit > minimize(rastrigin, [3.2, -2.1], starts=1).nit


def test_growing_waves_are_not_followed_out_of_the_neighbourhood():
    result = minimize("x**4 * cos(x / 10)", 2.0)
    assert abs(result.x) < 1e-6 and result.success
    # Every minimum of x² cos x is lower than the one before; four sizes of the walk from 8 end before 50.
    assert abs(minimize("x**2 * cos(x)", 8.0).x) < 50.0


def test_what_the_walk_was_spared_the_restarts_do_not_factorise(monkeypatch):
    """Where no factorisation is bearable, the linear residuals are not solved for another beginning either."""

    def cost(x):
        chain = 100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2
        return np.sum(chain) + 1e-3 * np.sum((x[2:] * x[:-2] - 1.1) ** 2)

    start = np.ones(400)
    start[0] = -1.0
    looked = []
    monkeypatch.setattr("steepest.search.openings.met_by_linear_residuals", lambda *_: looked.append(True))
    assert minimize(cost, start).success
    assert looked
    looked.clear()
    monkeypatch.setattr("steepest.solvers.situation.BEARABLE", 0.0)
    assert minimize(cost, start).success
    assert not looked


def test_a_lower_place_that_the_budget_left_unwalked_is_told():
    """Nothing is lost: whatever the budget, the answer or its message holds the lowest cost that was met."""

    def cost(x):
        return np.sum(x**2) / 50 + 3 * np.sum(np.sin(3 * x) ** 2) + 0.1 * np.sum(np.sin(x[1:] * x[:-1]))

    start = np.array([7.0, 5.0, -6.0])
    alone = minimize(cost, start, starts=1)
    told = 0
    for evaluations in range(alone.nfev + 1, minimize(cost, start).nfev, 3):
        found = minimize(cost, start, budget=evaluations)
        assert found.success and found.fun <= alone.fun
        if "lowest cost met" in found.message:
            told += 1
            value, place = found.message.split("lowest cost met there is ")[1].rstrip(".").split(", at ")
            at = np.array([float(one.split(" = ")[1]) for one in place.split(", ")])
            assert float(value) < found.fun
            np.testing.assert_allclose(cost(at), float(value), rtol=1e-12, atol=1e-14)
    assert told


@pytest.mark.parametrize("n", [40, 400])
def test_a_quadratic_that_bends_down_is_lower_between_bounds_than_where_any_walk_ends(n):
    """Sparse and dense: never above SciPy's end nor our own first one, and no pair of corners is lower."""
    rng = np.random.default_rng(n)
    on, beside, slope = rng.normal(size=n), rng.normal(size=n - 1), rng.normal(size=n)

    def cost(x):
        return np.sum(on * x**2) + 2 * np.sum(beside * x[1:] * x[:-1]) + slope @ x

    def gradient(x):
        H = np.diag(2 * on) + np.diag(2 * beside, 1) + np.diag(2 * beside, -1)
        return H @ x + slope

    bounds = [(-1.0, 1.0)] * n
    found = minimize(cost, np.zeros(n), bounds=bounds)
    peer = scipy.optimize.minimize(cost, np.zeros(n), jac=gradient, bounds=bounds, method="L-BFGS-B")
    assert found.success
    assert found.fun < min(minimize(cost, np.zeros(n), bounds=bounds, starts=1).fun, peer.fun)
    assert "restarts near it" in found.message
    for k in range(n - 1):
        for ends in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
            other = found.x.copy()
            other[k : k + 2] = ends
            assert cost(other) >= found.fun - 1e-9 * abs(found.fun)


@pytest.mark.parametrize("starts", [None, 3])
@pytest.mark.parametrize("steps", [12, 25, 30])
def test_no_other_walk_begins_after_the_callback_said_stop_in_a_restart(starts, steps):
    def wells(x):
        return np.sum((x**2 - 1.3) ** 2) + 0.1 * np.sum(x) + 0.3 * np.sum(x[1:] * x[:-1])

    called = []

    def stop(x):
        called.append(x)
        return len(called) >= steps

    minimize(wells, np.linspace(-1.0, 1.0, 15), callback=stop, starts=starts)
    assert len(called) == steps


@pytest.mark.parametrize("budget", [12, 29])
def test_a_lower_place_seen_before_the_budget_ended_a_look_around_or_the_walk_from_there_is_told(budget):
    def rastrigin(x):
        return np.sum(x**2 - np.cos(2 * np.pi * x))

    found = minimize(rastrigin, [2.2, -1.3, 0.6], budget=budget)
    value, at = re.search(r"lowest cost met there is (\S+), at (.*)\.", found.message).groups()
    place = np.array([float(part.split(" = ")[1]) for part in at.split(", ")])
    assert float(value) < found.fun
    assert_allclose(rastrigin(place), float(value), rtol=1e-12)


def six_hump_camel(x):
    a, b = x[0] ** 2, x[1] ** 2
    return (4 - 2.1 * a + a**2 / 3) * a + x[0] * x[1] + (4 * b - 4) * b


def goldstein_price(x):
    a, b = x[0], x[1]
    one = (a + b + 1) ** 2 * (19 - 14 * a + 3 * a**2 - 14 * b + 6 * a * b + 3 * b**2)
    two = (2 * a - 3 * b) ** 2 * (18 - 32 * a + 12 * a**2 + 48 * b - 36 * a * b + 27 * b**2)
    return (1 + one) * (30 + two)


# Published minima (Dixon & Szegő, Towards global optimisation 2, 1978). Of 20 walks alone 10 and 10 end in them; single
# parameters moved lead one more there.
@pytest.mark.parametrize(
    ("cost", "lowest", "least"), [(six_hump_camel, -1.0316285, 20), (goldstein_price, 3.0, 15)]
)
def test_two_parameters_are_moved_together_to_lower_valleys(cost, lowest, least):
    found = alone = 0
    for seed in range(20):
        start = np.random.default_rng(seed).uniform(-2.0, 2.0, 2)
        result = minimize(cost, start)
        assert result.success, result.message
        assert result.fun > lowest - 1e-6
        found += result.fun < lowest + 1e-6
        alone += minimize(cost, start, starts=1).fun < lowest + 1e-6
    assert found >= least
    assert alone < least - 4


def trigonometric(x):
    """Moré, Garbow & Hillstrom's 26th: zero at zero, and from the paper's start most walks end a little above it."""
    numbers = np.arange(1.0, x.size + 1)
    return np.sum((x.size - np.sum(np.cos(x)) + numbers * (1 - np.cos(x)) - np.sin(x)) ** 2)


@pytest.mark.parametrize("n", [10, 20, 100])
def test_a_minimum_at_zero_is_not_passed_by(n):
    start = np.full(n, 1.0 / n)
    result, alone = minimize(trigonometric, start), minimize(trigonometric, start, starts=1)
    assert alone.success and alone.fun > 1e-8 * trigonometric(start)
    assert result.verdict == "global minimum" and result.fun < 1e-25
    assert_allclose(result.x, 0.0, atol=1e-12)
    assert "and one from zero led here" in result.message
    assert result.nfev >= alone.nfev and result.nit >= alone.nit


def test_the_side_of_zero_that_the_start_was_not_on_is_looked_at():
    """Dixon's NONDIA: 0 at all parameters one; from minus one walks by curvature end beside zero, at 0.99."""

    def cost(x):
        return (x[0] - 1) ** 2 + 100 * np.sum((x[0] - x[:-1] ** 2) ** 2)

    result = minimize(cost, -np.ones(10))
    assert minimize(cost, -np.ones(10), starts=1).fun > 0.9
    assert_allclose(result.fun, 0.0, atol=1e-25)
    assert_allclose(np.abs(result.x[:9]), 1.0, rtol=1e-12)
    assert "one from the start mirrored at zero led here" in result.message


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_zero_is_found_in_every_unit_of_the_cost_and_of_its_parameters(scale):
    for unit in (1e-6, 1e6):
        result = minimize(lambda x, u=unit: scale * trigonometric(x / u), np.full(12, unit / 12))
        assert result.fun <= 1e-25 * scale


def test_bounds_that_shut_zero_out_are_kept():
    result = minimize(trigonometric, np.full(10, 0.1), bounds=[(0.01, 2.0)] * 10)
    alone = minimize(trigonometric, np.full(10, 0.1), bounds=[(0.01, 2.0)] * 10, starts=1)
    assert result.success and result.x.min() >= 0.01 and result.fun <= alone.fun


def test_what_led_lower_is_not_called_zero_where_bounds_shut_that_out():
    result = minimize(trigonometric, np.full(20, 0.05), bounds=[(1e-9, 2.0)] * 20)
    assert "one from the place nearest to zero inside the bounds led here" in result.message
    assert_allclose(result.x, 1e-9)


def test_where_zero_and_the_mirrored_start_are_one_place_inside_the_bounds_it_is_looked_at_once(monkeypatch):
    seen, value = [], Objective.value

    def noted(objective, x):
        seen.append(np.array(x))
        return value(objective, x)

    monkeypatch.setattr(Objective, "value", noted)
    minimize(trigonometric, np.full(20, 0.05), bounds=[(0.01, 2.0)] * 20)
    assert sum(bool((x == 0.01).all()) for x in seen) == 1


def test_a_hole_at_zero_is_no_lower_minimum():
    # -inf at zero; the roots of the slope of each parameter's own cost are its minima.
    def cost(x):
        return np.sum((x**2 - 1) ** 2 + 0.1 * np.log(x**2))

    result = minimize(cost, [1.2, -1.1, 1.3])
    assert result.success and tried(result)[0].how.endswith("none lower")
    assert_allclose(np.abs(result.x), np.sqrt((1 + np.sqrt(0.8)) / 2), rtol=1e-10)


@pytest.mark.parametrize("more", range(4))
def test_a_budget_may_end_at_the_look_across_zero(more):
    start = np.full(10, 0.1)
    alone, whole = minimize(trigonometric, start, starts=1), minimize(trigonometric, start)
    result = minimize(trigonometric, start, budget=whole.nfev - more)
    assert result.nfev <= whole.nfev - more and result.success and result.fun <= alone.fun


@pytest.mark.parametrize(
    "cost",
    [lambda x: x[0] + 1 / x[0], lambda x: x[0] ** 2 + x[0] + 1 / x[0], lambda x: x[0] + 4 / (x[0] - 1) ** 2],
)
def test_a_walk_into_a_pole_or_down_a_line_is_not_told_to_have_ended_in_noise(cost):
    # All fall without limit, towards -0 or minus infinity; beside that each has a minimum.
    found = minimize(cost, [3.0])
    assert "noise" not in found.message
    assert not found.success or found.verdict == "local minimum"


def test_a_lower_step_beside_a_minimum_is_told_in_words_that_are_true():
    found = minimize(lambda x: np.where(x[0] > 0, 1.0, 0.0) + (x[0] - 0.5) ** 2, [2.0])
    if found.fun > 0.5:
        assert "Places nearby are lower" in found.message and "0.25" in found.message
