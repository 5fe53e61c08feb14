"""The line search: Wolfe's conditions, walls, kinks, and steps that end on a bound."""

from __future__ import annotations

import numpy as np
import pytest

from steepest.objective import Objective
from steepest.solvers.line_search import ENOUGH, along, search


def one_dimensional(cost, slope):
    return Objective(1, value_and_gradient=lambda x: (float(cost(x[0])), np.array([float(slope(x[0]))])))


CURVES = {
    "parabola": (lambda t: (t - 7.0) ** 2, lambda t: 2.0 * (t - 7.0)),
    "quartic far away": (lambda t: (t - 900.0) ** 4, lambda t: 4.0 * (t - 900.0) ** 3),
    "tiny": (lambda t: (t - 1e-9) ** 2, lambda t: 2.0 * (t - 1e-9)),
    "Moré-Thuente 1": (lambda t: -t / (t * t + 2.0), lambda t: (t * t - 2.0) / (t * t + 2.0) ** 2),
    "Moré-Thuente 2": (lambda t: (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4,
                       lambda t: 5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3),
    "wiggly": (lambda t: (t - 3) ** 2 + np.cos(9 * t), lambda t: 2 * (t - 3) - 9 * np.sin(9 * t)),
    "wall": (lambda t: (t - 2) ** 2 if t < 2.5 else np.nan, lambda t: 2 * (t - 2) if t < 2.5 else np.nan),
    "pole": (lambda t: t * t - np.log(3 - t) * 1e-3 - 5 * t if t < 3 else np.inf,
             lambda t: 2 * t + 1e-3 / (3 - t) - 5 if t < 3 else np.inf),
}  # fmt: skip


@pytest.mark.parametrize("first", [1e-6, 1e-3, 1.0, 1e3, 1e6])
@pytest.mark.parametrize("still_falling", [0.9, 0.1])
@pytest.mark.parametrize("curve", CURVES)
def test_the_landing_meets_the_weak_wolfe_conditions(curve, first, still_falling):
    cost, slope = CURVES[curve]
    start, direction = np.zeros(1), np.ones(1)
    value, slope0 = float(cost(0.0)), float(slope(0.0))
    landing = search(
        one_dimensional(cost, slope), lambda t: along(start, direction, t), value, direction, slope0, first,
        still_falling=still_falling,
    )  # fmt: skip
    assert landing is not None
    assert landing.value <= value + ENOUGH * landing.t * slope0
    assert landing.slope >= still_falling * slope0
    assert landing.x[0] == landing.t and landing.value == cost(landing.t)


@pytest.mark.parametrize("first", [0.01, 1.0, 100.0])
def test_a_kink_is_landed_on_from_either_side(first):
    problem = one_dimensional(lambda t: abs(t - 5.0), lambda t: np.sign(t - 5.0))
    landing = search(problem, lambda t: along(np.zeros(1), np.ones(1), t), 5.0, np.ones(1), -1.0, first)
    assert landing is not None and landing.value < 5.0 and landing.slope > -0.9


@pytest.mark.parametrize("seed", range(10))
def test_where_terms_that_cancel_leave_larger_rounding_than_the_value_shows_slopes_decide(seed):
    # A value of 10⁻⁶ that errs by 10⁻¹⁵, where all that can be won is 10⁻¹⁷: slopes alone tell where the bottom is.
    random, seen = np.random.default_rng(seed), []

    def cost(t):
        seen.append(t)
        return 1e-6 + 1e-17 * (t - 1.0) ** 2 + 1e-15 * abs(random.standard_normal())

    problem = one_dimensional(cost, lambda t: 2e-17 * (t - 1.0))
    landing = search(problem, lambda t: along(np.zeros(1), np.ones(1), t), 1e-6, np.ones(1), -2e-17, 0.4)
    assert landing is not None and abs(landing.slope) < 0.9 * 2e-17
    assert len(seen) <= 12


def test_a_jump_upwards_is_not_taken_for_rounding():
    problem = one_dimensional(lambda t: 1.0 - t + (1e-4 if t > 1e-6 else 0.0), lambda t: -1.0)
    landing = search(problem, lambda t: along(np.zeros(1), np.ones(1), t), 1.0, np.ones(1), -1.0, 1e-5)
    assert landing is not None and landing.value < 1.0


def test_no_step_is_longer_than_allowed():
    seen = []

    def cost(t):
        seen.append(t)
        return -t

    landing = search(
        one_dimensional(cost, lambda t: -1.0), lambda t: along(np.zeros(1), np.ones(1), t), 0.0, np.ones(1), -1.0,
        1.0, longest=7.0,
    )  # fmt: skip
    assert landing is not None and landing.t == 7.0 and max(seen) == 7.0


def test_a_direction_that_only_rises_lands_nowhere():
    problem = one_dimensional(lambda t: t, lambda t: 1.0)
    assert search(problem, lambda t: along(np.zeros(1), np.ones(1), t), 0.0, np.ones(1), -1.0, 1.0) is None


def test_a_parabola_is_landed_on_exactly_by_the_second_trial_when_asked():
    seen = []

    def cost(t):
        seen.append(t)
        return (t - 7.0) ** 2

    landing = search(
        one_dimensional(cost, lambda t: 2 * (t - 7.0)), lambda t: along(np.zeros(1), np.ones(1), t), 49.0,
        np.ones(1), -14.0, 1.0, still_falling=0.01,
    )  # fmt: skip
    assert landing is not None and abs(landing.t - 7.0) < 1e-12 and len(seen) == 2


def test_long_vectors_move_like_short_ones():
    x, direction = np.arange(40_000.0), np.linspace(-1.0, 1.0, 40_000)
    assert np.array_equal(along(x, direction, 0.3), x + 0.3 * direction)
