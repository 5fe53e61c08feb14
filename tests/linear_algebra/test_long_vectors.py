"""Tiled products against the plain ones, at every length where the tiling changes."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from steepest.linear_algebra.long_vectors import BLOCK, ONE_MATRIX, SHARED, TILE, Rows, inner, length

# Eight rows of the longest that are one matrix, and of lengths that are whole tiles, or nearly.
ALONE = ONE_MATRIX // 8
TILES = ALONE // TILE + 1
LENGTHS = [1, BLOCK, BLOCK + 1, ALONE, ALONE + 1, TILES * TILE, TILES * TILE + 1, 2 * SHARED + TILE + 9]


@pytest.mark.parametrize("n", LENGTHS)
def test_an_inner_product_is_the_exactly_rounded_sum_to_rounding(n):
    rng = np.random.default_rng(n)
    a, b = rng.standard_normal(n), rng.standard_normal(n)
    exact = math.fsum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))
    assert abs(inner(a, b) - exact) <= 1e-14 * float(np.abs(a) @ np.abs(b))


@pytest.mark.parametrize("n", [3, BLOCK + 1])
@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_a_length_neither_overflows_nor_vanishes(n, size):
    v = np.full(n, size)
    with np.errstate(over="ignore"):
        assert_allclose(length(v), size * math.sqrt(n), rtol=1e-14)


def test_a_length_of_nothing_is_zero_and_of_infinity_infinite():
    assert length(np.zeros(3)) == 0.0
    assert length(np.array([1.0, np.inf])) == np.inf


@pytest.mark.parametrize("n", LENGTHS)
def test_rows_multiply_and_combine_like_a_matrix(n):
    rng = np.random.default_rng(n)
    matrix, v, coefficients = rng.standard_normal((6, n)), rng.standard_normal(n), rng.standard_normal(6)
    mask = rng.random(n) < 0.5
    rows = Rows(8, n)
    for index, row in enumerate(matrix):
        rows.write(index, row)
    assert_allclose(rows.times(v, 6), matrix @ v, rtol=1e-10, atol=1e-10)
    assert_allclose(rows.combined(coefficients), coefficients @ matrix, rtol=1e-12, atol=1e-12)
    assert_allclose(rows.within(mask, 6), (matrix * mask) @ matrix.T, rtol=1e-10, atol=1e-10)
    assert_array_equal(rows.times(v, 8)[6:], 0.0)


@pytest.mark.parametrize("n", [TILE, ONE_MATRIX // 2 + 3])
def test_a_row_written_again_forgets_what_it_held(n):
    rows = Rows(2, n)
    for value in (2.0, 5.0):
        rows.write(1, np.full(n, value))
    assert_array_equal(rows.combined(np.array([1.0, 1.0])), 5.0)


@pytest.mark.parametrize("n", LENGTHS)
def test_learning_a_pair_writes_it_and_multiplies_with_what_is_looked_at(n):
    rng = np.random.default_rng(n)
    matrix, s, new, old = rng.standard_normal((8, n)), *rng.standard_normal((3, n))
    rows = Rows(8, n)
    for index, row in enumerate(matrix):
        rows.write(index, row)
    products, ss, sy, yy = rows.learn(2, s, 0.25, new, old, (slice(0, 4), slice(6, 8)))
    s *= 0.25
    matrix[2], matrix[3] = s, new - old
    matrix[4:6] = 0.0
    assert_allclose(products, matrix @ new, rtol=1e-10, atol=1e-10)
    assert_allclose([ss, sy, yy], [s @ s, s @ (new - old), (new - old) @ (new - old)], rtol=1e-10, atol=1e-10)
    coefficients = rng.standard_normal(8)
    total, slope = rows.combined_with(coefficients, 0.5, new, (slice(0, 4), slice(6, 8)))
    assert_allclose(total, coefficients @ matrix + 0.5 * new, rtol=1e-12, atol=1e-12)
    assert_allclose(slope, total @ new, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n", [TILE + 3, ONE_MATRIX // 6 + TILE + 3])
@pytest.mark.parametrize("held", [np.inf, np.nan])
def test_a_row_that_is_not_looked_at_may_hold_anything(n, held):
    rows = Rows(6, n)
    rows.write(2, held)
    looked_at = (slice(0, 2), slice(4, 6))
    assert_array_equal(rows.combined(np.ones(6), looked_at), 0.0)
    assert_array_equal(rows.combined_with(np.ones(6), 2.0, np.ones(n), looked_at)[0], 2.0)
    assert_array_equal(
        rows.learn(0, np.ones(n), 1.0, np.ones(n), np.zeros(n), looked_at)[0], [n, n, 0, 0, 0, 0]
    )
    assert_array_equal(np.delete(rows.times(np.ones(n), 6), 2), [n, n, 0, 0, 0])


def test_no_product_of_two_rows_is_long_enough_for_a_blas_to_wake_threads():
    """Few rows are one matrix also where they are long; `inner`, to the last digit, is what keeps to short pieces."""
    s, new, old = np.random.default_rng(0).standard_normal((3, 8 * BLOCK - 1))
    rows, y, only = Rows(2, s.size), new - old, (slice(0, 2),)
    assert rows.learn(0, s, 1.0, new, old, only)[1:] == (inner(s, s), inner(s, y), inner(y, y))
    total, slope = rows.combined_with(np.ones(2), 0.5, new, only)
    assert slope == inner(total, new)
