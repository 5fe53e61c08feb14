"""Eigenvalues of symmetric matrices, against NumPy's and what defines them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.linear_algebra import symmetric

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("scale", [1.0, 1e12, 1e-12, 1e-145, 1e145, 1e-170])
@pytest.mark.parametrize(("k", "rank"), [(50, 1), (80, 5), (200, 24), (60, 20), (60, 60), (3, 1)])
def test_eigenvalues_of_matrices_of_any_rank(k, rank, scale):
    A = np.sqrt(scale) * RNG.normal(size=(rank, k)) * 10.0 ** RNG.uniform(-2, 0, (rank, 1))
    H = A.T @ A
    values, vectors = symmetric.eigensystem(H)
    largest = np.linalg.eigvalsh(H)[-1]
    for found in (values, symmetric.eigenvalues(H)):
        assert_allclose(found / largest, np.linalg.eigvalsh(H) / largest, rtol=0.0, atol=1e-14 * k)
    assert_allclose(vectors.T @ vectors, np.eye(k), atol=1e-13)
    assert_allclose(H @ vectors / largest, vectors * values / largest, atol=1e-14 * k)


@pytest.mark.parametrize("part", [-1e-3, -1e-9, 1e-9, 1e-3])
def test_what_lies_beside_a_matrix_of_low_rank_is_seen(part):
    """One more eigenvalue, a `part` of the largest and of either sign, is no rounding; nor is a full diagonal."""
    a, b = np.linalg.qr(RNG.normal(size=(100, 2)))[0].T
    lowest, *_, above, largest = symmetric.eigenvalues(np.outer(a, a) + part * np.outer(b, b))
    assert_allclose([lowest if part < 0 else above, largest], [part, 1.0], rtol=1e-6)
    even = symmetric.eigenvalues(np.outer(a, a) + part * np.eye(100))
    assert_allclose(even[:-1], part, rtol=1e-5)
    assert_allclose(even[-1], 1.0 + part)


def test_a_matrix_of_zeros_and_one_of_zero_rows():
    values, vectors = symmetric.eigensystem(np.zeros((60, 60)))
    assert not values.any() and np.array_equal(vectors @ vectors.T, np.eye(60))
    H = np.zeros((60, 60))
    H[7, 7] = 3.0
    values, vectors = symmetric.eigensystem(H)
    assert_allclose(values, np.append(np.zeros(59), 3.0))
    assert_allclose(np.abs(vectors[:, -1]), np.eye(60)[7])
    empty, none = symmetric.eigensystem(np.empty((0, 0)))
    assert empty.shape == (0,) and none.shape == (0, 0)
