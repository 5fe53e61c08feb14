"""Colours keep columns that share a row apart, and are about as few as can be."""

import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csc_array, diags_array, eye_array, kron, random_array, vstack

from steepest.structure.colouring import colour_columns, colour_symmetric


def measured(pattern, colouring):
    """Whether each row meets each colour at most once, the rows set aside left out."""
    dense = pattern.toarray() != 0
    rows = np.setdiff1d(np.arange(dense.shape[0]), colouring.aside)
    columns = np.flatnonzero(colouring.colours >= 0)
    for row in rows:
        colours = colouring.colours[columns[dense[row, columns]]]
        if np.unique(colours).size < colours.size:
            return False
    return True


def band(n, width):
    return diags_array([1.0] * (2 * width + 1), offsets=range(-width, width + 1), shape=(n, n)).tocsc()


def grid(m):
    line = band(m, 1)
    return kron(line, line).tocsc()


def arrow(n, heads=1):
    dense = np.eye(n)
    dense[:heads] = dense[:, :heads] = 1
    return csc_array(dense)


@pytest.mark.parametrize("width", [0, 1, 2, 7])
def test_a_band_takes_its_width_in_colours(width):
    pattern = band(200, width)
    for found in (colour_columns(pattern), colour_symmetric(pattern)):
        assert found.products == 2 * width + 1
        assert measured(pattern, found)


def test_a_grid_takes_few_more_than_the_fullest_row_has_entries():
    pattern = grid(23)
    found = colour_symmetric(pattern)
    assert measured(pattern, found)
    assert 9 <= found.products <= 15


@pytest.mark.parametrize("heads", [1, 2, 5])
def test_an_arrow_takes_one_colour_more_than_its_heads(heads):
    pattern = arrow(300, heads)
    found = colour_symmetric(pattern)
    assert found.products == heads + 1
    np.testing.assert_array_equal(found.aside, np.arange(heads))
    assert measured(pattern, found)


def test_a_full_row_of_a_jacobian_is_set_aside():
    pattern = csc_array(np.vstack([band(300, 1).toarray(), np.ones((1, 300))]))
    found = colour_columns(pattern)
    assert found.products == 4 and found.aside.tolist() == [300]
    assert measured(pattern, found)


def test_many_full_rows_of_a_symmetric_matrix_are_all_set_aside():
    hubs, leaves, each = 100, 3000, 4
    rng = np.random.default_rng(0)
    met = np.concatenate([rng.choice(hubs, each, replace=False) for _ in range(leaves)])
    leaf = np.repeat(np.arange(hubs, hubs + leaves), each)
    everyone = np.arange(hubs + leaves)
    rows, columns = np.concatenate([met, leaf, everyone]), np.concatenate([leaf, met, everyone])
    pattern = csc_array((np.ones(rows.size), (rows, columns)))
    colouring = colour_symmetric(pattern)
    np.testing.assert_array_equal(colouring.aside, np.arange(hubs))
    assert colouring.products == hubs + 1  # leaves do not meet one another
    assert measured(pattern, colouring)


def test_uneven_rows_take_no_table_of_all_rows_by_all_colours():
    n, full = 4000, 70
    pattern = vstack([eye_array(n), csc_array(np.ones((full, n)))]).tocsc()
    tracemalloc.start()
    try:
        colouring = colour_columns(pattern)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (
        colouring.products == n + colouring.aside.size
    )  # some full row is left, and no two columns go together
    assert peak < 8 * n * n / 2  # bytes of half that table


@pytest.mark.parametrize("seed", range(6))
def test_random_patterns_are_coloured_validly(seed):
    rng = np.random.default_rng(seed)
    pattern = random_array((90, 70), density=0.03, rng=rng).tocsc()
    assert measured(pattern, colour_columns(pattern))
    square = random_array((80, 80), density=0.02, rng=rng)
    square = (square + square.T + diags_array(np.ones(80))).tocsc()
    assert measured(square, colour_symmetric(square))


def test_an_empty_pattern_takes_no_more_than_one():
    assert colour_columns(csc_array((5, 4))).products <= 1
