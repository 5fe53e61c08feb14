"""Kinks of parameters of very unlike sizes: the minimum is where every kink is, and that is known by hand."""

import numpy as np
import pytest

from steepest import Verdict, minimize, verify


def corner(large):
    return lambda x: np.abs(x[1] - large) + np.abs(x[0] - 3.0)


@pytest.mark.parametrize("large", [1e3, 1e6, 1e10, 1e14])
@pytest.mark.parametrize("off", [-1.0, 1e-2, 0.5])
def test_a_kink_of_a_large_parameter_hides_no_slope_of_a_small_one(large, off):
    """On the kink of the large parameter the cost still falls by `off` along the small one."""
    bent = lambda x: corner(large)(x) + 1e-3 * (x[0] - 3.0) ** 2  # noqa: E731
    for cost in (corner(large), bent):
        assert not verify(cost, np.array([3.0 + off, large])).verdict.is_minimum


@pytest.mark.parametrize("large", [1e3, 1e6, 1e10, 1e14])
def test_a_corner_of_kinks_of_unlike_sizes_is_a_minimum(large):
    found = verify(corner(large), np.array([3.0, large]))
    assert found.verdict is Verdict.MINIMUM_AT_A_KINK
    swapped = verify(lambda x: corner(large)(x[::-1]), np.array([large, 3.0]))
    assert swapped.verdict is Verdict.MINIMUM_AT_A_KINK


@pytest.mark.parametrize("large", [1e6, 1e10, 1e14])
@pytest.mark.parametrize("start", [(0.0, 0.0), (1.0, 1.0), (2.9, 1.0), (3.0001, 1.1)])
def test_a_walk_over_kinks_of_unlike_sizes_claims_a_minimum_only_where_it_is(large, start):
    found = minimize(corner(large), np.array([start[0], start[1] * large]))
    assert not found.success or abs(found.x[0] - 3.0) <= 1e-5
    assert found.success or large > 1e10


@pytest.mark.parametrize("unit", [1e-9, 1e9])
def test_the_unit_of_one_parameter_changes_no_word_about_a_kink(unit):
    A, b = np.random.default_rng(3).normal(size=(9, 3)), np.random.default_rng(4).normal(size=9)
    units = np.array([1.0, unit, 1.0])
    plain = minimize(lambda x: np.sum(np.abs(A @ x - b)), np.zeros(3))
    scaled = minimize(lambda x: np.sum(np.abs(A @ (units * x) - b)), np.zeros(3))
    assert plain.verdict == scaled.verdict == Verdict.MINIMUM_AT_A_KINK
    np.testing.assert_allclose(units * scaled.x, plain.x, atol=1e-9)
    astray = plain.x + np.array([1e-3, 0.0, 0.0])
    assert not verify(lambda x: np.sum(np.abs(A @ (units * x) - b)), astray / units).verdict.is_minimum
