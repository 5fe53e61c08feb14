"""Systems of equations with a saddle, [[H, Jᵀ], [J, 0]], where their numbers give out."""

import numpy as np
import pytest
import scipy.sparse as sparse

from steepest.linear_algebra.saddle_systems import factorise, is_rounding, solved_with_pivoting


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


def inequalities(seed, at_limits, elsewhere, *, n=8, rows=200, held=8):
    """H, its diagonal and J of `rows` inequalities with a slack each, of which `held` are at their limits."""
    generator = np.random.default_rng(seed)
    J = np.hstack([generator.standard_normal((rows, n)), -np.eye(rows)])
    of_slacks = np.full(rows, elsewhere)
    of_slacks[generator.permutation(rows)[:held]] = at_limits
    of_slacks *= 10.0 ** generator.uniform(-0.5, 0.5, rows)
    return np.zeros((n + rows, n + rows)), np.concatenate([np.zeros(n), of_slacks]), J


def whole(H, diagonal, J, lower):
    return np.block([[H + np.diag(diagonal), J.T], [J, -lower * np.eye(J.shape[0])]])


@pytest.mark.parametrize("seed", range(3))
def test_at_a_vertex_the_rows_at_their_limits_are_not_lost_in_the_rounding_of_the_others(seed):
    """Without curvature of the cost the place hangs on the 8 that are at their limits, 10²⁰ times as stiff."""
    H, diagonal, J = inequalities(seed, 1e10, 1e-10)
    K = whole(H, diagonal, J, 0.0)
    x = np.random.default_rng(seed).standard_normal(len(K))
    np.testing.assert_allclose(factorise(H, diagonal, J, 0.0).solve(K @ x)[:8], x[:8], rtol=0, atol=3e-14)


@pytest.mark.parametrize("lower", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_without_its_slacks_a_system_is_as_small_as_twice_its_other_variables_and_solved_as_the_whole(
    seed, lower, monkeypatch
):
    from scipy.linalg import lapack

    sizes, dsytrf = [], lapack.dsytrf
    monkeypatch.setattr(lapack, "dsytrf", lambda a, **how: sizes.append(len(a)) or dsytrf(a, **how))
    H, diagonal, J = inequalities(seed, 3.0, 0.3)
    generator = np.random.default_rng(seed)
    B = generator.standard_normal((8, 8))
    H[:8, :8], J[:, 8:] = B + B.T, J[:, 8:] * generator.uniform(0.5, 2.0, 200)
    found = factorise(H, diagonal, J, lower)
    K = whole(H, diagonal, J, lower)
    assert sizes == [16]
    assert found.negative == int((np.linalg.eigvalsh(K) < 0.0).sum()) and not found.singular
    rhs = generator.standard_normal(len(K))
    np.testing.assert_allclose(found.solve(rhs), np.linalg.solve(K, rhs), rtol=1e-10, atol=1e-11)


def test_a_variable_alone_in_its_row_is_no_slack_without_something_on_the_diagonal_or_with_curvature():
    """Nothing can be divided by the first's zero; the second's curvature with another says more than its diagonal."""
    H, diagonal, J = inequalities(0, 3.0, 0.3)
    diagonal[8] = 0.0
    H[0, 9] = H[9, 0] = 2.0
    K = whole(H, diagonal, J, 0.0)
    rhs = np.random.default_rng(0).standard_normal(len(K))
    with np.errstate(all="raise"):
        found = factorise(H, diagonal, J, 0.0)
        solution = found.solve(rhs)
    assert found.negative == int((np.linalg.eigvalsh(K) < 0.0).sum())
    np.testing.assert_allclose(solution, np.linalg.solve(K, rhs), rtol=1e-9, atol=1e-10)


def test_an_eigenvalue_that_is_zero_makes_a_dense_system_singular_and_is_not_negative():
    level = factorise(np.diag([1.0, 0.0]), np.zeros(2), np.zeros((0, 2)), 0.0)
    assert (level.negative, level.singular) == (0, True)
    # Of rank two, in numbers whose thirds are rounded: what is left of the third eigenvalue is their rounding.
    C = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 5.0]])
    assert factorise(C.T @ C, np.zeros(3), np.zeros((0, 3)), 0.0).singular
    bent = factorise(np.diag([-2.0, 1e-12]), np.zeros(2), np.zeros((0, 2)), 0.0)
    assert (bent.negative, bent.singular) == (1, False)


@pytest.mark.parametrize("x", [[0.0, 0.0], [-3e13, 0.0], [1e-5, 2e13]])
def test_a_step_is_rounding_only_where_it_dwarfs_all_variables(x):
    x, far = np.array(x), 1e10 * (1.0 + np.abs(x).max())
    assert is_rounding(np.array([0.0, -1.001 * far]), x)
    assert not is_rounding(np.array([0.999 * far, -0.5 * far]), x)
