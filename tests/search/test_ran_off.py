"""Walks that run off to where the cost no longer depends on what ran: no minimum, and another method begins anew."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest as st


def cluster(w):
    """Energy of atoms that attract each other from afar (Lennard & Jones 1924), w (3 · atoms,)."""
    places = w.reshape(-1, 3)
    i, j = np.triu_indices(len(places), 1)
    square = np.sum((places[i] - places[j]) ** 2, axis=1)
    return np.sum(4.0 * (square**-6 - square**-3))


@pytest.mark.parametrize("unit", [1.0, 1e8])
@pytest.mark.parametrize(("atoms", "seed"), [(7, 1), (7, 4), (13, 0), (13, 1), (13, 5)])
def test_atoms_that_overlap_at_the_start_end_as_one_cluster(atoms, seed, unit):
    start = 1.6 * np.random.default_rng(seed).standard_normal(3 * atoms)
    found = st.minimize(lambda w: cluster(w / unit), unit * start, starts=1)
    assert found.success
    places = found.x.reshape(-1, 3) / unit
    apart = np.linalg.norm(places[:, None] - places, axis=2)
    assert np.sort(apart, axis=1)[:, 1].max() < 1.3  # nobody is alone: two atoms rest at a distance of 1.12
    bends = np.linalg.eigvalsh(st.hessian(cluster)(found.x / unit))
    assert_allclose(bends[:6], 0.0, atol=1e-6)  # a cluster may be moved and turned
    assert bends[6] > 1e-3


@pytest.mark.parametrize("angle", [0.3, 0.55, 2.0])
def test_a_valley_that_falls_for_ever_is_no_flat_minimum_where_rounding_levels_it(angle):
    c, s = np.cos(angle), np.sin(angle)
    turned = np.array([[c, -s], [s, c]])

    def cost(u):  # Peano's: -x⁴ along y = 2x²
        x, y = turned @ u
        return (y - x**2) * (y - 3 * x**2)

    found = st.minimize(cost, turned.T @ [0.5, -1.0])
    assert not found.success


@pytest.mark.parametrize("size", [1e-14, 1e-6])
def test_a_flat_minimum_far_beyond_a_tiny_start_stays_one(size):
    random = np.random.default_rng(0)
    wanted = random.standard_normal((5, 2)) @ random.standard_normal((2, 4))

    def cost(w):
        return np.sum((w[:10].reshape(5, 2) @ w[10:].reshape(2, 4) - wanted) ** 2)

    found = st.minimize(cost, size * random.standard_normal(18))
    assert found.verdict == "flat minimum" and found.fun < 1e-20
