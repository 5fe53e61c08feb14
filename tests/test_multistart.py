"""Many starts: the lowest of several minima is found, the others are listed, and the same seed finds the same."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import InputError, minimize


def himmelblau(x):
    return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2


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
