"""The work of a sparse factorisation, counted on the graph, against the factors of QDLDL and closed forms."""

import numpy as np
import pytest
import scipy.sparse

from steepest.linear_algebra import minimum_degree
from steepest.linear_algebra.minimum_degree import normal_work, work_by_minimum_degree


def pattern(one, other, n):
    A = scipy.sparse.coo_array((np.ones(len(one)), (one, other)), shape=(n, n))
    A = scipy.sparse.csc_array(A + A.T + scipy.sparse.eye_array(n))
    A.sort_indices()
    return A.indptr, A.indices


def counted(indptr, indices):
    """c² for each column of QDLDL's L with c entries, in its own order of (approximate) minimum degree."""
    qdldl = pytest.importorskip("qdldl")
    n = indptr.size - 1
    A = scipy.sparse.csc_matrix((np.full(indices.size, 1e-3), indices, indptr), shape=(n, n))
    L = qdldl.Solver(scipy.sparse.csc_matrix(A + scipy.sparse.eye_array(n)))
    return float((np.diff(scipy.sparse.csc_matrix(L.factors()[0]).indptr).astype(float) ** 2).sum())


@pytest.mark.parametrize("seed", range(4))
def test_random_graphs_and_meshes_take_what_their_factors_do(seed):
    rng = np.random.default_rng(seed)
    n = 400
    pairs = rng.integers(0, n, (2, 300 * (seed + 1)))
    grid = np.arange(30 * 30).reshape(30, 30)
    name = rng.permutation(grid.size)
    mesh = pattern(
        name[np.concatenate([grid[:, :-1].ravel(), grid[:-1].ravel()])],
        name[np.concatenate([grid[:, 1:].ravel(), grid[1:].ravel()])],
        grid.size,
    )
    for entries in (pattern(*pairs, n), mesh):
        assert 0.7 < work_by_minimum_degree(*entries) / counted(*entries) < 1.4


def test_a_tree_fills_nothing_however_its_vertices_are_numbered():
    rng = np.random.default_rng(0)
    for n in (2, 10, 500):
        name = rng.permutation(n)
        child = np.arange(1, n)
        parent = (rng.random(n - 1) * child).astype(int)
        assert work_by_minimum_degree(*pattern(name[child], name[parent], n)) == n - 1


def test_rows_that_are_alike_count_as_many_columns_as_they_are():
    # A chain of 50 blocks of 4: the last has 3, 2, 1, 0 entries below, and each other 4 more.
    chain = scipy.sparse.diags_array([np.ones(49), np.ones(50), np.ones(49)], offsets=[-1, 0, 1])
    blocks = scipy.sparse.csc_array(scipy.sparse.kron(chain, np.ones((4, 4))))
    blocks.sort_indices()
    last, others = sum(k * k for k in range(4)), 49 * sum((4 + k) ** 2 for k in range(4))
    assert work_by_minimum_degree(blocks.indptr, blocks.indices) == last + others
    shuffled = np.random.default_rng(0).permutation(200)
    blocks = scipy.sparse.csc_array(blocks[shuffled][:, shuffled])
    blocks.sort_indices()
    assert work_by_minimum_degree(blocks.indptr, blocks.indices) == last + others


def test_what_is_more_than_asked_about_is_infinite_and_nothing_takes_nothing():
    full = np.arange(41) * 40, np.tile(np.arange(40), 40)
    work = sum(k * k for k in range(40))
    assert work_by_minimum_degree(*full) == work_by_minimum_degree(*full, most=work) == work
    assert work_by_minimum_degree(*full, most=work - 1) == np.inf
    nothing = np.zeros(1, dtype=int), np.zeros(0, dtype=int)
    assert work_by_minimum_degree(*nothing) == 0.0
    apart = np.zeros(8, dtype=int), np.zeros(0, dtype=int)  # no entries at all, not even on the diagonal
    assert work_by_minimum_degree(*apart) == 0.0


def test_more_rows_than_can_be_held_are_not_counted(monkeypatch):
    monkeypatch.setattr(minimum_degree, "MOST_ROWS", 20)
    k = np.arange(20)
    assert work_by_minimum_degree(*pattern(k[:-1], k[1:], 20)) == 19
    k = np.arange(22)
    assert work_by_minimum_degree(*pattern(k[:-1], k[1:], 22)) == np.inf


def test_the_normal_matrix_of_residuals_is_that_of_their_product():
    rng = np.random.default_rng(3)
    J = scipy.sparse.random_array((300, 120), density=0.02, rng=rng, format="csc")
    J.sort_indices()
    normal = scipy.sparse.csc_array(J.T @ J)
    normal.sort_indices()
    assert normal_work(J.shape, J.indptr, J.indices) == work_by_minimum_degree(normal.indptr, normal.indices)
    wide = scipy.sparse.csc_array(scipy.sparse.vstack([J] + 3 * [np.ones((1, 120))]))
    assert normal_work(wide.shape, wide.indptr, wide.indices) == np.inf  # three residuals of all: JᵀJ is full
