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


def test_where_no_entry_exceeds_the_root_of_its_diagonal_ones_the_diagonal_is_exactly_what_gives_the_units():
    """So it is of every matrix that bends upwards; an entry that reaches the root exactly is at the edge of that."""
    for H in (
        np.array([[4.0, 1.0], [1.0, 0.25]]),
        np.array([[4.0, 1.0, 0.5], [1.0, 9.0, 2.0], [0.5, 2.0, 1.0]]),
    ):
        assert_allclose(balanced(H), 1.0 / np.sqrt(H.diagonal()), rtol=1e-15)


@pytest.mark.parametrize("last", [0.0, -1.0])
def test_a_diagonal_that_is_not_positive_everywhere_takes_no_root_of_it(last):
    H = np.array([[4.0, 1.0], [1.0, last]])
    with np.errstate(all="raise"):
        d = balanced(H)
    assert_allclose(np.abs(d[:, None] * H * d).max(axis=1), 1.0, rtol=0.1)


def test_a_row_of_zeros_keeps_its_unit():
    assert equilibration(np.diag([100.0, 0.0]))[1] == 1.0
