"""Products strip by strip against the same in double precision all at once."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from steepest.training import strips

pytestmark = pytest.mark.usefixtures("compiled_once")

LENGTHS = [1, strips.STRIP - 1, strips.STRIP, 2 * strips.STRIP + 3]


def vectors(n, kind, count):
    return np.random.default_rng(n).standard_normal((count, n)).astype(kind)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("n", LENGTHS)
def test_a_remembered_pair_stands_in_its_rows_with_its_products(n, kind):
    pairs = vectors(n, kind, 6)
    before = pairs.copy()
    x, following, slope, new_slope = vectors(n + 1, kind, 4)[:, :n]
    found, against, squares = strips.remember(pairs, 1, following, x, new_slope, slope)
    assert found is pairs
    before[1], before[4] = following - x, new_slope - slope
    assert_array_equal(pairs, before)
    three = np.stack([before[1], before[4], new_slope]).astype(np.float64)
    scale = n * np.finfo(kind).eps
    assert_allclose(against, before.astype(np.float64) @ three.T, atol=20 * scale)
    assert_allclose(squares, (three**2).sum(axis=1), rtol=1e-6 if kind is np.float32 else 1e-13)


@pytest.mark.parametrize("n", LENGTHS)
def test_rows_are_combined_and_a_point_moved_like_a_matrix_does_it(n):
    pairs, weights = vectors(n, np.float64, 4), np.arange(4.0) - 1.5
    x, slope = vectors(n + 1, np.float64, 2)[:, :n]
    assert_allclose(
        strips.combined(pairs, weights, slope, 0.25), weights @ pairs + 0.25 * slope, rtol=1e-12, atol=1e-13
    )
    assert_array_equal(strips.moved(x, slope, 0.5), x + 0.5 * slope)


def test_a_product_of_long_single_precision_vectors_keeps_their_digits():
    n = 300_000
    a, b = vectors(n, np.float32, 2)
    exact = math.fsum(p * q for p, q in zip(a.tolist(), b.tolist(), strict=True))
    assert abs(strips.along(a, b) - exact) <= 3e-7 * float(np.abs(a.astype(float)) @ np.abs(b))
    assert_allclose(strips.length(a), math.sqrt(math.fsum(p * p for p in a.tolist())), rtol=1e-6)
