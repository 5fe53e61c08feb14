"""Semidefinite or not, decided in fractions."""

import numpy as np
import pytest

from steepest.linear_algebra.semidefinite import is_exactly_semidefinite


@pytest.mark.parametrize("seed", range(5))
def test_integer_squares_are_semidefinite_and_less_a_little_are_not(seed):
    """AᵀA of whole numbers is exact; taking 2⁻⁴⁰ off a null direction's entry makes it bend down."""
    A = np.random.default_rng(seed).integers(-5, 6, (3, 5)).astype(np.float64)
    H = A.T @ A
    assert is_exactly_semidefinite(H)
    assert not is_exactly_semidefinite(H - 2.0**-40 * np.eye(5))
    assert is_exactly_semidefinite(H + 2.0**-40 * np.eye(5))


def test_zero_diagonal_beside_an_entry_is_no_square():
    assert not is_exactly_semidefinite(np.array([[0.0, 1.0], [1.0, 1.0]]))
    assert is_exactly_semidefinite(np.zeros((3, 3)))
