"""Many starts: the lowest of several minima is found, the others are listed, and the same seed finds the same."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import InputError, minimize


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


# Starts enough to go as one batch.
MANY = 60

# Himmelblau (1972): four minima, all of cost zero.
FOUR = [(3.0, 2.0), (-2.805118, 3.131312), (-3.779310, -3.283186), (3.584428, -1.848126)]


def test_all_four_minima_of_himmelblau_are_found_inside_bounds():
    result = minimize(himmelblau, np.zeros(2), bounds=[(-5, 5)] * 2, starts=25)
    found = sorted(tuple(np.round(one.x, 6)) for one in result.minima)
    assert_allclose(found, sorted(FOUR), atol=2e-6)
    assert sum(one.starts for one in result.minima) <= 25
    assert "25 starts" in result.message


def test_the_lower_of_two_wells_is_found_from_a_start_in_the_higher():
    def wells(x):
        return (x**2 - 1) ** 2 + 0.3 * x

    assert minimize(wells, 1.0, starts=1).x > 0
    result = minimize(wells, 1.0, starts=10)
    assert result.x < 0 and result.success
    assert [one.x > 0 for one in result.minima] == [False, True]


@pytest.mark.parametrize("starts", [12, 60])
@pytest.mark.parametrize("scale", [1e-8, 1e-5, 1e3])
def test_minima_are_told_apart_whatever_the_unit_of_the_parameters(scale, starts):
    # x⁴ - 2x² + x/10 has its minima where 4x³ - 4x + 1/10 is zero; the root between them is the ridge.
    def wells(x):
        return (x / scale) ** 4 - 2 * (x / scale) ** 2 + 0.1 * (x / scale)

    lowest, _, higher = sorted(np.roots([4, 0, -4, 0.1]).real)
    result = minimize(wells, 0.5 * scale, starts=starts)
    assert_allclose([one.x / scale for one in result.minima], [lowest, higher], rtol=1e-6)
    assert all(type(one.fun) is float for one in result.minima)


def test_a_box_says_how_large_its_parameter_is():
    def wells(x):
        return (x[0] / 1e-6) ** 4 - 2 * (x[0] / 1e-6) ** 2

    result = minimize(wells, [0.0], bounds=[(-2e-6, 2e-6)], starts=12)
    assert_allclose(sorted(float(one.x[0]) for one in result.minima), [-1e-6, 1e-6], rtol=1e-6)


def test_bounds_too_far_apart_to_be_meant_leave_the_starts_about_the_given_one():
    # The minima of cos(3x) + x²/10 within some steps of the start are many; from 1e308 none would be reached.
    def cost(x):
        return np.cos(3 * x[0]) + 0.1 * x[0] ** 2

    free = minimize(cost, [0.5], starts=8)
    bounded = minimize(cost, [0.5], bounds=[(-1e308, 1e308)], starts=8)
    assert len(bounded.minima) > 1
    assert_allclose([one.x[0] for one in bounded.minima], [one.x[0] for one in free.minima], atol=1e-6)


@pytest.mark.parametrize("starts", [2, 6, MANY])
def test_more_starts_never_end_higher_than_none_that_were_asked_for(starts):
    # Two wells for each of four parameters; the lowest has all of them at the lower root of 4x³ - 5.2x + 1/10.
    def wells(x):
        return np.sum((x**2 - 1.3) ** 2) + 0.1 * np.sum(x)

    lowest = np.roots([4, 0, -5.2, 0.1]).real.min()
    result = minimize(wells, np.array([0.5, 1.0, -0.3, 2.0]), starts=starts)
    assert_allclose(result.x, lowest, rtol=1e-9)
    assert result.minima[0].fun == result.fun
    assert sum(one.starts for one in result.minima) == starts


def test_the_given_start_crosses_a_plateau_as_it_does_alone():
    # Level to rounding but within some sizes of (1, 8), where its only minimum, -1, lies.
    def hole(x):
        return (x[0] - 1) ** 2 - np.exp(-0.5 * (x[1] - 8.0) ** 2)

    for starts in (None, 2):
        assert_allclose(minimize(hole, [5.0, -50.0], starts=starts).x, [1.0, 8.0], atol=1e-7)


def test_of_minima_that_are_equally_low_none_is_called_the_lowest():
    result = minimize(himmelblau, np.zeros(2), bounds=[(-5, 5)] * 2, starts=25)
    assert "4 distinct minima, none of them lower." in result.message


def test_the_same_seed_finds_the_same_and_starts_respect_bounds():
    seen = []

    def cost(x):
        seen.append(float(x[0]))
        return np.cos(3 * x[0]) + 0.1 * x[0] ** 2

    first = minimize(cost, [0.5], bounds=[(0.0, 6.0)], starts=6, seed=4, derivatives="numeric")
    second = minimize(cost, [0.5], bounds=[(0.0, 6.0)], starts=6, seed=4, derivatives="numeric")
    assert first.x == second.x and len(first.minima) == len(second.minima)
    assert min(seen) >= 0.0 and max(seen) <= 6.0


def test_starts_work_between_constraints():
    # Hock & Schittkowski 44's cost has several corners that are minima; its lowest is -15.
    def cost(x):
        return x[0] - x[1] - x[2] - x[0] * x[2] + x[0] * x[3] + x[1] * x[2] - x[1] * x[3]

    rows = np.array(
        [[1, 2, 0, 0], [4, 1, 0, 0], [3, 4, 0, 0], [0, 0, 2, 1], [0, 0, 1, 2], [0, 0, 1, 1]], dtype=float
    )
    limits = np.array([8, 12, 12, 8, 8, 5], dtype=float)
    constraint = {"type": "ineq", "fun": lambda x: limits - rows @ x}
    result = minimize(cost, np.zeros(4), bounds=[(0, 10)] * 4, constraints=constraint, starts=12)
    assert result.success
    assert_allclose(result.fun, -15.0, atol=1e-9)


def test_a_budget_is_for_all_starts_together():
    result = minimize(himmelblau, np.zeros(2), starts=50, budget=60)
    assert result.nfev <= 60


@pytest.mark.parametrize("starts", [0, -1, 2.5, True, "many"])
def test_a_number_of_starts_that_is_none_is_refused(starts):
    with pytest.raises(InputError, match="starts="):
        minimize(himmelblau, np.zeros(2), starts=starts)


# -- many enough to go as one batch --------------------------------------------------------------------------


def rastrigin(x):
    return np.sum(x**2 - np.cos(2 * np.pi * x))


def test_a_batch_finds_the_minima_that_walks_one_by_one_find():
    together = minimize(himmelblau, np.zeros(2), bounds=[(-5, 5)] * 2, starts=MANY)
    alone = minimize(
        himmelblau, np.zeros(2), bounds=[(-5, 5)] * 2, starts=MANY, budget={"evaluations": 10**6}
    )
    assert "in one batch" in _how(together) and "batch" not in _how(alone)
    for result in (together, alone):
        found = sorted(tuple(np.round(one.x, 6)) for one in result.minima)
        assert_allclose(found, sorted(FOUR), atol=2e-6)
        assert sum(one.starts for one in result.minima) == MANY
        assert result.verdict == "global minimum" and result.digits.min() > 12


def _how(result):
    return next(item.how for item in result.evidence if item.name.startswith("minima"))


def test_a_batch_lists_every_well_of_rastrigin_that_a_start_fell_into():
    # Between its 9 wells in [-1.5, 1.5]² Rastrigin's cost has maxima and saddles, at which no walk may end.
    result = minimize(rastrigin, np.full(2, 0.3), bounds=[(-1.5, 1.5)] * 2, starts=150)
    assert "in one batch" in _how(result)
    assert_allclose(result.x, 0.0, atol=1e-12)
    assert_allclose(result.fun, -2.0, rtol=1e-15)
    for one in result.minima:
        gradient = 2 * one.x + 2 * np.pi * np.sin(2 * np.pi * one.x)
        assert_allclose(np.where(np.abs(one.x) == 1.5, 0.0, gradient), 0.0, atol=1e-9)
        assert (2 + 4 * np.pi**2 * np.cos(2 * np.pi * one.x) > 0).all()
    inner = [one for one in result.minima if (np.abs(one.x) < 1.4).all()]
    assert len(inner) == 9


def test_a_batch_repeats_to_the_bit_and_its_history_tells_the_whole_way():
    first, second = (minimize(rastrigin, np.full(2, 0.3), starts=MANY, seed=3) for _ in range(2))
    assert "in one batch" in _how(first)
    assert first.x.tobytes() == second.x.tobytes() and first.nfev == second.nfev
    assert [one.x.tobytes() for one in first.minima] == [one.x.tobytes() for one in second.minima]
    assert len(first.history) == first.nit + 1 > 2
    assert first.nfev > MANY and first.nhev > MANY


def test_a_batch_keeps_bounds_and_fixed_parameters():
    # Outside its bounds this cost is not a number, and the batch would carry that along; inside, a = 0 is its minimum,
    # and Newton's steps from near the bounds go far beyond the other one.
    def cost(p):
        return -np.sum(np.sqrt(4.0 - p["a"] ** 2)) + (p["b"] - 1.0) ** 2 + np.cos(3.0 * p["c"])

    start = {"a": np.array([1.9, -1.9]), "b": 7.0, "c": 0.1}
    result = minimize(cost, start, bounds={"a": (-2.0, 2.0), "c": (-1.5, 2.0)}, fixed=["b"], starts=MANY)
    assert "in one batch" in _how(result)
    assert_allclose(result.x["a"], 0.0, atol=1e-9)
    assert result.x["b"] == 7.0
    assert sorted(round(float(one.x["c"]), 6) for one in result.minima) == [-1.047198, 1.047198]
    assert_allclose(result.fun, -4.0 + 36.0 - 1.0)


def test_the_valley_without_curvature_is_walked_alone_and_judged_flat():
    result = minimize(lambda x: (x[0] * x[1] - 1.0) ** 2, np.array([1.0, 3.0]), starts=MANY)
    assert result.verdict == "flat minimum" and result.fun < 1e-25


def test_ctrl_c_within_a_batch_returns_the_lowest_point_it_had_seen(monkeypatch):
    from steepest.solvers import many

    def pressed(self, state, data, bounds):
        step, rounds = whole(self, state, data, bounds), []

        def once(*arrays):
            rounds.append(1)
            if len(rounds) > 4:
                raise KeyboardInterrupt
            return step(*arrays)

        return once

    whole = many.Program._step
    monkeypatch.setattr(many.Program, "_step", pressed)
    result = minimize(himmelblau, np.full(2, 0.1), bounds=[(-5, 5)] * 2, starts=MANY)
    assert result.stop == "stopped" and "keyboard" in result.reason
    assert result.fun < 1e-2 < himmelblau(np.full(2, 0.1))


@pytest.mark.parametrize("starts", [6, MANY])
def test_starts_from_which_the_cost_falls_without_limit_are_told(starts):
    def cubic(x):
        return x[0] ** 3 - 3 * x[0] + x[1] ** 2

    result = minimize(cubic, [2.5, 1.0], starts=starts)
    assert_allclose(result.x, [1.0, 0.0], atol=1e-9)
    led = sum(one.starts for one in result.minima)
    assert led < starts
    assert f"{led} of {starts} starts led to 1 distinct minimum." in result.message
    assert result.message.endswith("unbounded below.") and "went lower: -" in result.message
