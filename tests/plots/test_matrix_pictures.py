"""Matrices as pictures: an ellipse leans the way its number says, a square stands where an entry is not zero."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from numpy.testing import assert_allclose

import steepest as st
from steepest import plots
from steepest.errors import InputError

CORRELATED = np.array([[1.0, -0.9, 0.3], [-0.9, 1.0, 0.0], [0.3, 0.0, 1.0]])


def covariance_of(ellipse):
    """The matrix whose level line an ellipse is, with the axis pointing up: corr = off-diagonal over diagonal."""
    turned = np.radians(-ellipse.angle)  # the vertical axis of the picture runs down
    axes = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
    return axes @ np.diag([ellipse.width**2, ellipse.height**2]) @ axes.T


def test_each_ellipse_is_the_level_line_of_its_correlation():
    ax = plots.correlation(CORRELATED, names=["a", "b", "c"])
    found = {tuple(patch.center): patch for patch in ax.patches if isinstance(patch, Ellipse)}
    assert len(found) == 3
    for (column, row), ellipse in found.items():
        shape = covariance_of(ellipse)
        assert shape[0, 1] / np.sqrt(shape[0, 0] * shape[1, 1]) == pytest.approx(
            CORRELATED[row, column], abs=1e-12
        )


def test_numbers_stand_below_the_diagonal_and_round_towards_zero_near_one():
    nearly = np.array([[1.0, 0.99996], [0.99996, 1.0]])
    assert [text.get_text() for text in plots.correlation(nearly).texts] == ["0.9999"]
    texts = {tuple(text.get_position()): text.get_text() for text in plots.correlation(CORRELATED).texts}
    assert texts == {(0, 1): "−0.90", (0, 2): "0.30", (1, 2): "0.00"}


def test_next_to_no_correlation_has_no_sign():
    nearly = np.array([[1.0, -1e-9], [-1e-9, 1.0]])
    assert [text.get_text() for text in plots.correlation(nearly).texts] == ["0.00"]


def test_many_parameters_become_cells():
    rng = np.random.default_rng(1)
    matrix = np.corrcoef(rng.normal(size=(40, 100)))
    ax = plots.correlation(matrix)
    assert_allclose(ax.images[0].get_array(), matrix)
    assert ax.images[0].get_clim() == (-1, 1)


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (np.eye(3)[:2], "square"),
        (4 * np.eye(2), "covariance"),
        (np.array([[1, 1.5], [1.5, 1]]), "between -1"),
    ],
)
def test_what_is_no_correlation_is_refused(matrix, words):
    with pytest.raises(InputError, match=words):
        plots.correlation(matrix)


def test_a_result_without_errors_is_sent_to_fit(many):
    with pytest.raises(InputError, match="fit"):
        plots.correlation(many)


def squares_of(ax):
    return {
        (round(path.get_extents().y0 + 0.45), round(path.get_extents().x0 + 0.45))
        for path in ax.collections[0].get_paths()
    }


def chain(x):
    return np.sum((x[1:] - x[:-1] ** 2) ** 2)


def test_the_pattern_of_a_chain_is_its_three_diagonals():
    ax = plots.sparsity(chain, at=np.ones(9))
    assert squares_of(ax) == {(i, j) for i in range(9) for j in range(9) if abs(i - j) <= 1}
    assert ax.get_title(loc="left").startswith("9 × 9, 25 entries")


@pytest.mark.parametrize("n", [9, 40])
def test_the_pattern_is_that_of_the_cost_and_not_of_the_place(n):
    # At zero the entries beside the diagonal, -4·x, are zero.
    three = {(i, j) for i in range(n) for j in range(n) if abs(i - j) <= 1}
    assert squares_of(plots.sparsity(chain, at=np.zeros(n))) == three
    walked = st.minimize(lambda x: chain(x) + np.sum((1 - x) ** 2), np.zeros(40))
    assert walked.hess is None
    assert len(squares_of(plots.sparsity(walked))) == 40 + 2 * 39


def test_stored_zeros_are_no_entries():
    matrix = scipy.sparse.coo_array(([1.0, 0.0, 2.0], ([0, 1, 2], [0, 1, 2])), shape=(3, 4))
    assert squares_of(plots.sparsity(matrix)) == {(0, 0), (2, 2)}


def test_of_a_large_matrix_not_a_single_entry_is_lost():
    matrix = scipy.sparse.coo_array(([1.0], ([54_321], [7])), shape=(100_000, 100_000))
    shade = np.asarray(plots.sparsity(matrix).images[0].get_array())
    assert np.count_nonzero(shade) == 1
    assert shade[int(54_321 * 200 / 100_000), 0] > 0.3


def test_a_cost_needs_a_point_and_axes_given_are_used():
    with pytest.raises(InputError, match="at="):
        plots.sparsity(chain)
    ax = Figure().subplots()
    assert plots.sparsity(np.eye(3), ax=ax) is ax


def test_long_names_leave_room_for_the_ellipses():
    names = [f"{word}_of_the_first_decay_component" for word in ("amplitude", "rate", "offset")]
    ax = plots.correlation(np.array([[1, 0.3, -0.1], [0.3, 1, 0.7], [-0.1, 0.7, 1]]), names=names)
    figure = ax.figure
    figure.draw_without_rendering()
    frame, page = ax.get_window_extent(), figure.bbox
    assert frame.width > 0.3 * page.width
    labels = [label for label in (*ax.get_yticklabels(), *ax.get_xticklabels()) if label.get_text()]
    for label in labels:
        box = label.get_window_extent()
        assert box.x0 >= page.x0 - 1
        assert box.x1 <= page.x1 + 1
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "3"]
    assert all(name[:6] in label.get_text() for name, label in zip(names, ax.get_yticklabels(), strict=True))
