"""Covariances against closed forms, and the words where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.uncertainty.covariance import correlation_of, covariance_of
from steepest.uncertainty.profile import crossing


def test_it_is_the_inverse_of_the_normal_matrix_whatever_the_units():
    J = np.random.default_rng(0).normal(size=(30, 4)) * [1e-9, 1.0, 1e6, 1e12]
    found = covariance_of(J, 2.0, "abcd")
    scale = np.sqrt((J**2).sum(axis=0))
    expected = 2.0 * np.linalg.inv((J / scale).T @ (J / scale)) / np.outer(scale, scale)
    assert_allclose(found.matrix, expected, rtol=1e-10)
    assert found.determined and found.rank == 4


def test_nearly_parallel_columns_keep_half_the_digits_that_normal_equations_lose():
    """J = [1, 1 + εt]: var of the second is 1/(ε²Σ(t - mean)²) exactly."""
    t = np.arange(10.0)
    eps = 1e-7
    J = np.column_stack([np.ones(10), 1.0 + eps * t])
    found = covariance_of(J, 1.0, "ab")
    exact = 1.0 / np.sum((J[:, 1] - J[:, 1].mean()) ** 2)
    assert_allclose(found.matrix[1, 1], exact, rtol=1e-6)


def test_an_undetermined_pair_is_named_and_the_rest_keeps_its_error():
    rng = np.random.default_rng(1)
    u, v = rng.normal(size=(2, 20))
    found = covariance_of(np.column_stack([u, 2 * u, v]), 1.0, ("a", "b", "c"))
    assert set(found.reasons) == {0, 1} and found.rank == 2
    assert "a" in found.reasons[0] and "b" in found.reasons[0]
    assert np.isinf(found.errors[:2]).all()
    r = v - u * (u @ v) / (u @ u)
    assert_allclose(found.matrix[2, 2], 1.0 / (r @ r), rtol=1e-10)


def test_a_parameter_at_its_bound_counts_as_fixed_for_the_others():
    J = np.random.default_rng(2).normal(size=(9, 3))
    found = covariance_of(J, 1.0, "abc", np.array([False, True, False]))
    inner = np.linalg.inv(J[:, [0, 2]].T @ J[:, [0, 2]])
    assert_allclose(found.matrix[np.ix_([0, 2], [0, 2])], inner, rtol=1e-10)
    assert np.isnan(found.errors[1]) and "bound" in found.reasons[1]


def test_correlations_do_not_depend_on_units():
    C = np.array([[4.0, -1.0], [-1.0, 1.0]])
    scale = np.array([1e-6, 1e9])
    assert_allclose(correlation_of(C * np.outer(scale, scale)), correlation_of(C), rtol=1e-12)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_the_crossing_of_a_known_curve_is_found(side):
    """cosh rises by 1 at arccosh(2)."""
    found = crossing(lambda v: float(np.cosh(v)), 0.0, 1.0, 2.0, side * 0.3, side * np.inf)
    assert_allclose(found, side * np.arccosh(2.0), rtol=1e-6)


def test_a_curve_that_levels_off_is_never_crossed():
    assert crossing(lambda v: float(np.tanh(v) ** 2), 0.0, 0.0, 1.5, 0.5, np.inf) == np.inf
