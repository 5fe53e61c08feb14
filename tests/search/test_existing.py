"""Starts without a cost: what is found beside them is kept, near by the parameters' own size, and told alike."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import InputError, Verdict, least_squares, minimize, minimize_many
from steepest.bounds import Bounds
from steepest.search.existing import around


def narrow(x):
    """A cost that exists within 0.2 of one: some of the places looked at from zero lie there."""
    return np.sum(np.log(0.2 - np.abs(x - 1.0)) ** 2) + np.sum(x)


def costs_of(cost, interrupt_at, seen):
    """A measured `cost` that lists what it gives, and is interrupted at one of its calls."""

    def called(x):
        with np.errstate(all="ignore"):
            value = float(cost(x))
        seen.append(value)
        if len(seen) == interrupt_at:
            raise KeyboardInterrupt
        return value

    return called


CONSTRAINT = {"type": "ineq", "fun": lambda x: float(x) + 5.0}


@pytest.mark.parametrize("constraints", [None, CONSTRAINT], ids=["free", "constrained"])
@pytest.mark.parametrize("how", ["budget", "ctrl-c"])
def test_a_place_with_a_cost_is_kept_when_the_search_for_one_is_cut_short(how, constraints):
    """Cut short at every one of the first evaluations: the lowest cost seen before that is what comes back."""
    kept = 0
    for last in range(2, 45):
        seen = []
        cost = costs_of(narrow, last if how == "ctrl-c" else 0, seen)
        budget = last if how == "budget" else None
        found = minimize(cost, 0.0, derivatives="numeric", budget=budget, constraints=constraints)
        before = np.array(seen[: last - 1])
        if np.isfinite(before).any():
            kept += 1
            assert found.fun <= np.nanmin(before)
            assert_allclose(found.fun, narrow(found.x))
    assert kept > 10


def test_least_squares_keeps_a_place_with_a_cost_when_the_search_for_one_is_cut_short():
    kept = 0
    for last in range(2, 45):
        seen = []

        def residual(x, seen=seen, last=last):
            with np.errstate(all="ignore"):
                r = np.array([np.log(0.2 - abs(float(x[0]) - 1.0)), float(x[0])])
            seen.append(float(r @ r))
            if len(seen) == last:
                raise KeyboardInterrupt
            return r

        found = least_squares(residual, np.array([0.0]), derivatives="numeric")
        before = np.array(seen[: last - 1])
        if np.isfinite(before).any():
            kept += 1
            assert found.fun <= np.nanmin(before) * (1 + 1e-4)  # differences for slopes are no places
    assert kept > 10


@pytest.mark.parametrize("size", [1e-8, 1e-3, 1.0, 1e5])
def test_a_cost_that_exists_close_by_is_found_whatever_the_unit_of_the_parameters(size):
    """It exists within a fifth of its size of the minimum; the start lies three tenths of it off."""

    def cost(x):
        u = x / size - 1.0
        return np.sum(u**2 - np.log(0.2 - np.abs(u)))

    found = minimize(cost, np.full(2, 1.3 * size))
    assert found.success
    assert_allclose(found.x, size, rtol=1e-6)


def test_places_are_inside_the_bounds_and_near_by_a_parameters_own_size_first():
    start, box = np.array([1e-8, 0.0, 50.0]), Bounds(np.full(3, -1.0), np.full(3, 60.0))
    rounds = list(around(start, box, 0))
    assert all(box.contains(place) for places in rounds for place in places)
    assert all(abs(place[0] - 1e-8) <= 1e-7 for places in rounds[:5] for place in places[:-1])
    # The last place of a round is the one towards the middle of the bounds, which any unit reaches.
    assert any(abs(place[0]) > 0.5 for places in rounds for place in places[:-1])
    assert_allclose(rounds[3][-1], 29.5)  # at a distance of one
    assert len(list(around(np.array([0.0, 2.0, 50.0]), box, 0))) == 5


def test_members_of_a_batch_with_starts_of_any_size_begin_where_their_cost_exists():
    starts = np.array([[1.3e-8], [1.3e5], [1.0]])
    found = minimize_many(
        lambda x, s: np.sum((x / s - 1.0) ** 2 - np.log(0.2 - np.abs(x / s - 1.0))),
        starts,
        (np.array([1e-8, 1e5, 1.0]),),
    )
    assert_allclose(np.ravel(found.x), [1e-8, 1e5, 1.0], rtol=1e-6)


def log_of_zero(x):
    return np.log(x[0]) + x[1] ** 2


@pytest.mark.parametrize(
    "asked",
    [{}, {"bounds": [(0, None), (None, None)]}, {"starts": 3}, {"derivatives": "numeric"}],
    ids=["alone", "bounds", "starts", "measured"],
)
@pytest.mark.parametrize("constraints", [None, {"type": "ineq", "fun": lambda x: x[0] + x[1]}])
def test_a_start_with_a_cost_of_minus_infinity_is_told_alike_everywhere(asked, constraints):
    measured = asked.get("derivatives") == "numeric"
    cost = (lambda x: float(log_of_zero(x))) if measured else log_of_zero
    with np.errstate(all="ignore"):
        found = minimize(cost, np.array([0.0, 1.0]), constraints=constraints, **asked)
    assert found.verdict is Verdict.UNBOUNDED_BELOW and found.fun == -np.inf
    assert found.message.startswith("Unbounded below: the cost is minus infinity here.")
    assert measured or "Log of 0 is infinity; it depends on x[0]" in found.message


def test_a_start_of_minus_infinity_that_misses_a_constraint_is_left():
    constraint = {"type": "ineq", "fun": lambda x: x[0] - 1.0}
    found = minimize(log_of_zero, np.array([0.0, 1.0]), constraints=constraint)
    assert found.success
    assert_allclose(found.x, [1.0, 0.0], atol=1e-7)


@pytest.mark.parametrize("start", [[2.0, 2.0], [2.7e-5, 0.99995]])
def test_a_walk_between_constraints_never_gives_back_a_place_without_a_cost(start):
    """The constraint's line crosses to where the logarithm does not exist; the start and much else has a cost."""
    constraint = {"type": "eq", "fun": lambda x: x[0] + x[1] - 0.5}
    found = minimize(log_of_zero, np.array(start), constraints=constraint)
    assert np.isfinite(found.fun) and not found.success
    assert_allclose(found.fun, log_of_zero(found.x), rtol=1e-12)


@pytest.mark.parametrize("derivatives", ["auto", "numeric"])
def test_a_constraint_that_gives_no_number_is_told_by_its_name(derivatives):
    def spoken(x):
        return "x[0] > 1"

    for fun, name in ((spoken, "spoken"), (lambda x: "x[0] > 1", "constraint 1")):
        constraint = {"type": "ineq", "fun": fun}
        with pytest.raises(InputError, match=f"{name} returns str, which is no number"):
            minimize(lambda x: np.sum(x**2), np.ones(2), constraints=constraint, derivatives=derivatives)


@pytest.mark.parametrize("budget", [5, 7, 12])
def test_a_place_where_all_exist_is_kept_where_only_a_constraint_lacks_a_value_at_the_start(budget):
    def cost(x):
        return (x[0] + 2.0) ** 2

    below_one = {"type": "ineq", "fun": lambda x: 1.0 + np.minimum(np.log(1.0 - x[0]), 0.0) / 1e3}
    found = minimize(cost, np.array([1.0]), constraints=below_one, budget=budget)
    assert found.verdict == "out of budget" and not found.success
    assert found.x[0] < 1.0 and found.violation == 0.0
    assert_allclose(found.fun, cost(found.x), rtol=1e-12)


def test_a_cost_is_given_back_where_no_place_has_it_and_the_constraints_both():
    below = {"type": "ineq", "fun": lambda x: np.sqrt(-x[0]) - 0.1}
    found = minimize(lambda x: np.log(x[0]) ** 2, np.array([-1.0]), constraints=below)
    assert found.verdict == "not finite" and not found.success
    assert found.x[0] > 0.0
    assert_allclose(found.fun, np.log(found.x[0]) ** 2, rtol=1e-12)


def test_a_cost_that_cannot_fall_below_zero_is_not_unbounded_where_a_parameter_it_does_not_feel_runs_away():
    inside = {"type": "ineq", "fun": lambda x: np.log(x[0])}
    for derivatives in ("auto", "numeric"):
        found = minimize(
            lambda x: np.log(x[1]) ** 2, np.array([2.0, 3.0]), constraints=inside, derivatives=derivatives
        )
        assert found.verdict == "flat minimum" and found.fun < 1e-12 and found.x[0] >= 1.0


def test_what_falls_for_ever_between_constraints_is_still_told():
    inside = {"type": "ineq", "fun": lambda x: x[0] - x[1] ** 2}
    found = minimize(lambda x: -(x[0] ** 3), np.array([2.0, 1.0]), constraints=inside)
    assert found.verdict == "unbounded below" and found.fun < 0.0
    fading = minimize(lambda x: 1.0 / x[0], np.array([2.0, 1.0]), constraints=inside)
    assert not fading.success and fading.verdict != "unbounded below"
