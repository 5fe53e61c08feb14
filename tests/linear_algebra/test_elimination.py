"""Whether a sparse matrix stays sparse when it is factorised, told from its pattern."""

import time

import numpy as np
import scipy.sparse

from steepest.linear_algebra.elimination import stays_sparse, work_to_factorise


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
