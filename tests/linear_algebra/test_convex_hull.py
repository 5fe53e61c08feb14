"""The nearest point of a hull, checked by the condition that characterises it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from steepest.linear_algebra.convex_hull import nearest_to_zero


@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 10_000))
def test_no_corner_lies_nearer_than_the_plane_through_the_nearest_point(m, n, seed):
    points = np.random.default_rng(seed).standard_normal((m, n))
    nearest, weights = nearest_to_zero(points)
    assert_allclose(weights.sum(), 1.0)
    assert (weights >= 0).all()
    assert_allclose(weights @ points, nearest, atol=1e-12)
    # p is nearest to zero exactly when every corner q has q·p >= p·p.
    assert (points @ nearest >= nearest @ nearest - 1e-9).all()


def test_both_slopes_of_an_absolute_value_hold_zero():
    nearest, weights = nearest_to_zero(np.array([[-1.0], [3.0]]))
    assert_allclose(nearest, [0.0], atol=1e-15)
    assert_allclose(weights, [0.75, 0.25])


def test_slopes_that_all_rise_do_not_hold_zero():
    nearest, _ = nearest_to_zero(np.array([[1.0, 0.0], [2.0, 5.0]]))
    assert_allclose(nearest, [1.0, 0.0])
