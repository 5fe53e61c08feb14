"""Whether a sparse matrix stays sparse when it is factorised, told from its pattern."""

import time

import numpy as np
import pytest
import scipy.sparse

from steepest.linear_algebra.elimination import expected_work, stays_sparse, work_to_factorise


def pattern(rows, columns, n):
    matrix = scipy.sparse.coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))
    matrix = scipy.sparse.csc_array(matrix + matrix.T + scipy.sparse.eye_array(n))
    return matrix.indptr, matrix.indices


def test_chains_arrows_and_grids_do_and_random_pairs_do_not():
    n = 40_000
    k = np.arange(n - 1)
    assert stays_sparse(*pattern(k, k + 1, n))
    assert stays_sparse(*pattern(np.zeros(n - 1, dtype=int), k + 1, n))
    grid = np.arange(n).reshape(200, 200)
    rows = np.concatenate([grid[:, :-1].ravel(), grid[:-1].ravel()])
    columns = np.concatenate([grid[:, 1:].ravel(), grid[1:].ravel()])
    assert stays_sparse(*pattern(rows, columns, n))
    rng = np.random.default_rng(0)
    began = time.process_time()
    assert not stays_sparse(*pattern(rng.integers(0, n, 2 * n), rng.integers(0, n, 2 * n), n))
    assert time.process_time() - began < 2.0


def test_the_work_of_a_full_matrix_and_of_a_chain_is_counted_exactly():
    full = scipy.sparse.csc_array(np.ones((30, 30)))
    assert work_to_factorise(full.indptr, full.indices) == sum(i * i for i in range(30))
    links = scipy.sparse.csc_array(np.eye(500) + np.eye(500, k=1) + np.eye(500, k=-1))
    assert work_to_factorise(links.indptr, links.indices) == 499


def test_the_expected_work_is_that_of_the_factor_itself():
    # Counted: a column of L with c entries below its diagonal takes c² multiplications.
    qdldl = pytest.importorskip("qdldl")
    rng = np.random.default_rng(2)
    for rows in (30, 100):
        grid = np.arange(rows * rows).reshape(rows, rows)
        sides = (grid[:, :-1], grid[:-1], grid[:-1, :-1], grid[:-1, 1:])
        others = (grid[:, 1:], grid[1:], grid[1:, 1:], grid[1:, :-1])
        name = rng.permutation(grid.size)  # nobody hands in the rows in a good order
        ends = [name[np.concatenate([part.ravel() for part in some])] for some in (sides, others)]
        A = scipy.sparse.coo_array((np.full(ends[0].size, 0.1), ends), shape=(grid.size, grid.size))
        A = scipy.sparse.csc_matrix(A + A.T + 4.0 * scipy.sparse.eye_array(grid.size))
        L = qdldl.Solver(A).factors()[0]
        counted = float((np.diff(L.indptr).astype(float) ** 2).sum())
        assert 0.3 * counted < expected_work(A.indptr, A.indices) < 3.0 * counted


def test_the_expected_work_of_chains_arrows_and_full_matrices():
    n = 2_000
    k = np.arange(n - 1)
    assert expected_work(*pattern(k, k + 1, n)) == n - 1
    arrow = expected_work(*pattern(np.zeros(n - 1, dtype=int), k + 1, n))
    assert n <= arrow <= 4 * n
    full = scipy.sparse.csc_array(np.ones((90, 90)))
    assert expected_work(full.indptr, full.indices) == sum(i * i for i in range(90))


def test_where_every_row_is_busy_the_work_is_that_of_a_full_factor():
    n = 300
    full = np.arange(n + 1) * n, np.tile(np.arange(n), n)
    counted = sum(i * i for i in range(n))
    assert counted <= expected_work(*full) <= 1.01 * counted and stays_sparse(*full)


def test_busy_rows_that_are_many_cost_what_a_full_factor_of_them_does():
    """Left out of the envelope, they fill among each other."""
    n, hubs = 1_000, 640
    rng = np.random.default_rng(0)
    rows, columns = np.meshgrid(np.arange(hubs), np.arange(n), indexing="ij")
    seen = rng.random(rows.shape) < 0.8
    work = expected_work(*pattern(rows[seen], columns[seen], n))
    assert work > hubs**3 / 3
