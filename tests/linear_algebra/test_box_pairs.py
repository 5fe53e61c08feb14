"""Pairs moved in a box: never higher, inside the box, and afterwards no pair of parameters has a lower place."""

from itertools import combinations

import numpy as np
import pytest
from scipy.sparse import csc_array

from steepest.linear_algebra import box_pairs
from steepest.linear_algebra.box_pairs import lower_by_pairs


def random_quadratic(seed, n=9, density=0.5):
    rng = np.random.default_rng(seed)
    H = np.triu(rng.normal(size=(n, n)) * (rng.random((n, n)) < density))
    return H + H.T, rng.normal(size=n), rng.uniform(-1.0, 1.0, n)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("stored", [np.asarray, csc_array])
def test_no_move_to_a_bound_of_one_or_two_parameters_leads_lower(seed, stored):
    H, b, x = random_quadratic(seed)

    def q(y):
        return np.einsum("...i,ij,...j->...", y, 0.5 * H, y) + y @ b

    found = lower_by_pairs(stored(H), H @ x + b, x, -np.ones(9), np.ones(9), 1e-9)
    assert found is not None
    assert (np.abs(found) <= 1.0).all()
    assert q(found) < q(x)
    for i, j in combinations(range(9), 2):
        assert min(q(place).min() for place in edges_of_square(found, i, j)) >= q(found) - 1e-8
    assert lower_by_pairs(stored(H), H @ found + b, found, -np.ones(9), np.ones(9), 1e-9) is None


def edges_of_square(x, i, j):
    """Places on the rim of the square that parameters i and j may move in."""
    for along, across in ((i, j), (j, i)):
        for end in (-1.0, 1.0):
            y = np.broadcast_to(x, (41, x.size)).copy()
            y[:, across] = end
            y[:, along] = np.linspace(-1.0, 1.0, 41)
            yield y


def test_a_bottom_inside_is_left_alone():
    H = np.array([[2.0, 1.0], [1.0, 2.0]])
    assert lower_by_pairs(H, np.zeros(2), np.zeros(2), -np.ones(2), np.ones(2), 1e-9) is None


def test_endless_sides_are_no_corners():
    H = np.array(
        [[1.0, -3.0], [-3.0, 1.0]]
    )  # a saddle: from zero both go up together, as far as the box lets them
    found = lower_by_pairs(H, np.zeros(2), np.zeros(2), np.zeros(2), np.array([np.inf, 2.0]), 1e-9)
    np.testing.assert_allclose(found, [6.0, 2.0])


def test_moves_that_gain_but_rounding_come_to_an_end(monkeypatch):
    """Where the cost is zero any gain is enough; with coupled parameters between their bounds rounding gives one."""
    rounds, undisturbed = [], box_pairs._undisturbed
    monkeypatch.setattr(box_pairs, "_undisturbed", lambda *moves: rounds.append(1) or undisturbed(*moves))
    rng = np.random.default_rng(114)
    H = rng.normal(size=(8, 8))
    H = H + H.T + 5.0 * np.eye(8)
    for seed in range(20):
        del rounds[:]
        b, x = np.random.default_rng(seed).normal(size=(2, 8))
        monkeypatch.setattr(box_pairs, "MOST_LOOKED_AT", 64 * 1000)
        lower_by_pairs(H, H @ x + b, x, np.full(8, -9.0), np.full(8, 9.0), 0.0)
        assert len(rounds) < 500
