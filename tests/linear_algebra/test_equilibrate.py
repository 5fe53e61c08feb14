"""Units in which rows of a symmetric matrix weigh the same, at the ends of double precision."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.linear_algebra.equilibrate import balanced, equilibration
from steepest.linear_algebra.symmetric import eigensystem


@pytest.mark.parametrize("coupling", [5e-324, 1e-317, 1e-309])
def test_rows_of_which_little_is_left_but_underflow_have_finite_units(coupling):
    """Curvatures of parameters that exp(-x²) has all but made vanish: no double is one over them."""
    H = np.array([[2.0, -0.5, coupling], [-0.5, 3.0, 7 * coupling], [coupling, 7 * coupling, 0.0]])
    d = balanced(H)
    assert np.isfinite(d).all()
    values, _ = eigensystem(d[:, None] * H * d)
    assert_allclose(values[1:], 1 + np.array([-1, 1]) * 0.5 / np.sqrt(6), rtol=1e-2)
    assert abs(values[0]) < 1e-6


@pytest.mark.parametrize("unit", [1e-300, 1e-12, 1.0, 1e12, 1e300])
def test_every_row_has_its_largest_entry_near_one_in_any_unit(unit):
    random = np.random.default_rng(1)
    H = random.standard_normal((5, 5))
    H = unit * (H + H.T)
    d = equilibration(H)
    assert_allclose(np.abs(d[:, None] * H * d).max(axis=1), 1.0, rtol=0.2)


@pytest.mark.parametrize("unit", [1e-150, 1.0, 1e150])
def test_a_row_outweighed_by_its_coupling_is_balanced_though_all_of_the_diagonal_is_positive(unit):
    """Ones on the diagonal would leave entries of 1000 beside them, as only a matrix that bends down has."""
    H = unit * np.array([[1.0, 1e3], [1e3, 1.0]])
    d = balanced(H)
    assert_allclose(np.abs(d[:, None] * H * d).max(axis=1), 1.0, rtol=1e-12)
