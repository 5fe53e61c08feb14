"""Systems of equations with a saddle, [[H, Jᵀ], [J, 0]], where their numbers give out."""

import numpy as np
import pytest
import scipy.sparse as sparse

from steepest.linear_algebra.saddle_systems import factorise, solved_with_pivoting


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_numbers_that_are_not_finite_have_no_solution_and_raise_nothing(broken):
    H, J = np.eye(2), np.array([[1.0, 1.0]])
    assert solved_with_pivoting(np.diag([1.0, broken]), J, np.ones(3)) is None
    assert solved_with_pivoting(H, np.array([[1.0, broken]]), np.ones(3)) is None
    assert solved_with_pivoting(H, J, np.array([1.0, broken, 1.0])) is None


@pytest.mark.parametrize("apart", [1.0, 1e-3, 1e-5])
@pytest.mark.parametrize("bend", [-1.0, 0.0, 1.0])
def test_signs_of_sparse_factors_are_the_inertia_where_rows_nearly_depend_on_each_other(apart, bend):
    """Two rows hold both variables, however the cost bends there; a third is free and bends upwards."""
    H, J = np.diag([bend, bend, 1.0]), np.array([[1.0, 1.0, 0.0], [1.0, 1.0 + apart, 0.0]])
    K = np.block([[H, J.T], [J, np.zeros((2, 2))]])
    found = factorise(sparse.csc_array(H), np.zeros(3), sparse.csr_array(J), 0.0)
    assert found.negative == int((np.linalg.eigvalsh(K) < 0.0).sum()) == 2
    assert not found.singular


def test_a_sparse_system_that_bends_downwards_within_its_rows_is_not_taken_for_a_minimum():
    H, J = np.diag([1.0, -1e-6]), np.array([[1.0, 0.0]])
    found = factorise(sparse.csc_array(H), np.zeros(2), sparse.csr_array(J), 0.0)
    assert found.negative == 2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bend", [-50.0, 0.0, 1.0])
def test_a_dense_system_of_many_inequalities_is_solved_without_their_slacks(seed, bend):
    """8 variables, 3 equations, 200 inequalities with slacks, some at their limits: signs and solution of the whole."""
    generator = np.random.default_rng(seed)
    n, equations, rows = 8, 3, 200
    J = np.zeros((equations + rows, n + rows))
    J[:, :n] = generator.standard_normal((equations + rows, n))
    J[equations:, n:] = -np.eye(rows)
    H = np.zeros((n + rows, n + rows))
    H[:n, :n] = np.diag(generator.uniform(0.5, 1.5, n)) + bend * np.eye(n)
    diagonal = np.concatenate([np.zeros(n), 10.0 ** generator.uniform(-8, 8, rows)])
    diagonal[n + 2 * n :] = np.minimum(diagonal[n + 2 * n :], 1e-2)
    found = factorise(H, diagonal, J, 0.0)
    K = np.block([[H + np.diag(diagonal), J.T], [J, np.zeros((J.shape[0], J.shape[0]))]])
    size = np.sqrt(np.abs(K).max(axis=0))
    assert found.negative == int((np.linalg.eigvalsh(K / size / size[:, None]) < 0.0).sum())
    x = generator.standard_normal(K.shape[0])
    solution = found.solve(K @ x)
    assert solution is not None
    np.testing.assert_allclose(K @ solution, K @ x, rtol=1e-9, atol=1e-9 * np.abs(K @ x).max())


@pytest.mark.parametrize("bend", [-1.0, 1.0])
def test_a_full_matrix_handed_over_as_sparse_is_solved_as_a_full_one(bend):
    generator = np.random.default_rng(0)
    B, J = generator.standard_normal((40, 40)), generator.standard_normal((10, 40))
    H = B @ B.T + bend * 30.0 * np.eye(40)
    K = np.block([[H, J.T], [J, np.zeros((10, 10))]])
    found = factorise(sparse.csc_array(H), np.zeros(40), sparse.csr_array(J), 0.0)
    assert found.negative == int((np.linalg.eigvalsh(K) < 0.0).sum())
    x = generator.standard_normal(50)
    np.testing.assert_allclose(found.solve(K @ x), x, rtol=1e-9)
