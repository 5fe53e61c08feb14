"""Systems of equations with a saddle, [[H, Jᵀ], [J, 0]], where their numbers give out."""

import numpy as np
import pytest

from steepest.linear_algebra.saddle_systems import solved_with_pivoting


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_numbers_that_are_not_finite_have_no_solution_and_raise_nothing(broken):
    H, J = np.eye(2), np.array([[1.0, 1.0]])
    assert solved_with_pivoting(np.diag([1.0, broken]), J, np.ones(3)) is None
    assert solved_with_pivoting(H, np.array([[1.0, broken]]), np.ones(3)) is None
    assert solved_with_pivoting(H, J, np.array([1.0, broken, 1.0])) is None
