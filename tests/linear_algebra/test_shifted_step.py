"""The step in a ball by factorisations, against the same step from eigenvalues."""

from functools import partial

import numpy as np
import pytest
from scipy.sparse import csc_array

from steepest.linear_algebra.curvature import DenseCurvature, SparseCurvature, newton_step
from steepest.linear_algebra.shifted_step import ON_THE_SPHERE, shifted_step
from steepest.linear_algebra.sparse_factor import LEAST_PIVOT, SymmetricPattern
from steepest.linear_algebra.spectrum import Spectrum

RNG = np.random.default_rng(11)


def by_cholesky(H, shift):
    shifted = H + shift * np.eye(len(H))
    if np.linalg.eigvalsh(shifted)[0] <= 0.0:
        return None
    return partial(np.linalg.solve, shifted)


def sizes(H):
    return np.abs(H).sum(axis=0).max()


@pytest.mark.parametrize("n", [1, 4, 30])
@pytest.mark.parametrize("radius", [1e-4, 0.3, 10.0])
@pytest.mark.parametrize("first", [0.0, 1e-3, 2.0])
def test_an_indefinite_quadratic_is_brought_about_as_low_as_the_ball_allows(n, radius, first):
    A, g = RNG.normal(size=(n, n)), RNG.normal(size=n)
    H = A + A.T
    found = shifted_step(g, H.dot, partial(by_cholesky, H), sizes(H), radius, first)
    assert np.linalg.norm(found.step) <= (1.0 + ON_THE_SPHERE) * radius
    np.testing.assert_allclose(
        found.decrease, -(g @ found.step + 0.5 * found.step @ H @ found.step), rtol=1e-9
    )
    _, lowest = Spectrum(H).lowest_in_ball(g, (1.0 - ON_THE_SPHERE) * radius)
    assert found.decrease >= 0.9 * lowest


def test_a_convex_quadratic_with_its_minimum_inside_is_solved_exactly():
    H, g = np.diag([1.0, 4.0]), np.array([1.0, -8.0])
    found = shifted_step(g, H.dot, partial(by_cholesky, H), 4.0, 5.0, first=0.5)
    np.testing.assert_allclose(found.step, [-1.0, 2.0], rtol=1e-12)
    assert not found.cut and found.shift == 0.0


def test_in_the_hard_case_negative_curvature_is_followed_to_the_radius():
    """The slope has no part along the one direction that curves downwards."""
    H, g = np.diag([-2.0, 1.0, 3.0]), np.array([0.0, 3.0, -1.0])
    found = shifted_step(g, H.dot, partial(by_cholesky, H), 3.0, 5.0)
    assert abs(found.step[0]) > 3.0
    assert found.decrease > 0.7 * Spectrum(H).lowest_in_ball(g, 5.0)[1]


def test_at_a_saddle_without_any_slope_the_step_still_leads_down():
    H = np.diag([-1.0, 2.0])
    found = shifted_step(np.zeros(2), H.dot, partial(by_cholesky, H), 2.0, 1.0)
    np.testing.assert_allclose(np.abs(found.step), [1.0, 0.0], atol=0.1)
    assert found.decrease > 0.4


def test_a_singular_valley_is_crossed_and_not_walked_along():
    H = np.full((2, 2), 2.0)
    found = shifted_step(np.array([-4.0, -4.0]), H.dot, partial(by_cholesky, H), 4.0, 10.0)
    np.testing.assert_allclose(found.step, [1.0, 1.0], rtol=1e-6)
    assert not found.cut


def sparse(H):
    A = csc_array(H)
    A.sort_indices()
    return SparseCurvature(SymmetricPattern(A), A.data)


def tridiagonal(n):
    side = RNG.normal(size=n - 1)
    return np.diag(RNG.normal(size=n)) + np.diag(side, 1) + np.diag(side, -1)


def test_sparse_and_dense_curvature_give_the_same_steps():
    n = 100
    H, g = tridiagonal(n), RNG.normal(size=n)
    free = RNG.random(n) < 0.7
    convex = H + 5.0 * np.eye(n)
    np.testing.assert_allclose(
        sparse(convex).newton(g, free), DenseCurvature(convex).newton(g, free), rtol=1e-9, atol=1e-12
    )
    assert sparse(H).newton(g, None) is None and DenseCurvature(H).newton(g, None) is None
    one, other = (curvature.in_ball(g, 2.0, 0.0, None) for curvature in (sparse(H), DenseCurvature(H)))
    np.testing.assert_allclose(one.step, other.step, rtol=1e-6, atol=1e-9)
    one, other = (curvature.in_ball(g, 2.0, 0.0, free) for curvature in (sparse(H), DenseCurvature(H)))
    np.testing.assert_allclose(one.decrease, other.decrease, rtol=0.3)
    assert not one.step[~free].any() and not other.step[~free].any()


def test_a_pattern_without_its_diagonal_and_with_a_zero_pivot_is_factorised_with_a_shift():
    A = csc_array((np.array([1.0, 1.0]), np.array([1, 0]), np.array([0, 1, 2])), (2, 2))
    pattern = SymmetricPattern(A)
    assert pattern.factorise(A.data, 0.0, None) is None
    solve = pattern.factorise(A.data, 3.0, None)
    np.testing.assert_allclose(solve(np.array([4.0, 0.0])), [1.5, -0.5], rtol=1e-14)
    np.testing.assert_array_equal(pattern.diagonal(A.data), [0.0, 0.0])


def test_newton_step_refuses_a_matrix_that_is_singular_to_rounding():
    assert newton_step(np.ones(2), np.array([[1.0, 1.0], [1.0, 1.0 + 1e-16]])) is None


def test_turning_curvature_upwards_leaves_alone_what_no_negative_curvature_is_near():
    """Two blocks that share nothing: the convex one takes Newton's own step, the other still leads down."""
    H = np.array([[2.0, 1.0, 0.0, 0.0], [1.0, 3.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.5], [0.0, 0.0, 0.5, 1.0]])
    g = np.array([1.0, -2.0, 0.3, 0.7])
    upwards = sparse(H).upwards(0.0)
    step = -upwards.solve(g)
    assert upwards.negative == 1 and upwards.lifted == 0
    np.testing.assert_allclose(step[:2], -np.linalg.solve(H[:2, :2], g[:2]), rtol=1e-6)
    assert g[2:] @ step[2:] < 0.0


def test_what_is_turned_upwards_is_the_product_of_the_factors_with_their_pivots_turned():
    """L|D|Lᵀ of the same elimination, from a factorisation written out here."""
    rng = np.random.default_rng(5)
    H = rng.standard_normal((12, 12)) * (rng.random((12, 12)) < 0.3)
    H = H + H.T + np.diag(rng.choice([-3.0, 3.0], 12))
    curvature = sparse(H)
    upwards = curvature.upwards(0.25)
    inverse = np.column_stack([upwards.solve(e) for e in np.eye(12)])
    order = curvature.pattern._triangle._solver.factors()[2]
    shifted = H + 0.25 * np.eye(12)
    L, D = eliminated(shifted[np.ix_(order, order)])
    assert upwards.negative == (np.linalg.eigvalsh(shifted) < 0.0).sum() > 0
    assert upwards.lifted == (np.abs(D) < LEAST_PIVOT).sum()
    turned = L @ np.diag(np.maximum(np.abs(D), LEAST_PIVOT)) @ L.T
    np.testing.assert_allclose(turned @ inverse[np.ix_(order, order)], np.eye(12), atol=1e-9)


def test_a_positive_definite_matrix_is_left_as_it_is():
    H = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0]])
    b = np.array([1.0, -2.0, 0.5])
    upwards = sparse(H).upwards(0.5)
    assert (upwards.negative, upwards.lifted) == (0, 0)
    np.testing.assert_allclose(upwards.solve(b), np.linalg.solve(H + 0.5 * np.eye(3), b), rtol=1e-12)


@pytest.mark.parametrize("n", [2, 50])
def test_a_singular_matrix_has_no_factors_and_with_a_small_shift_it_has(n):
    """Pairs of parameters that only their sums matter for: every second pivot is exactly zero."""
    H = np.kron(np.eye(n), np.ones((2, 2)))
    H[0, -1] = H[-1, 0] = -2.0
    curvature = sparse(H)
    assert curvature.upwards(0.0) is None
    b = np.tile([1.0, 1.0], n)
    x = curvature.upwards(1e-8).solve(b)
    assert b @ x > 0.0 and np.isfinite(x).all()


def eliminated(A):
    """Unit lower triangle L and pivots D with A = L·D·Lᵀ, without exchanges."""
    n = len(A)
    L, D, A = np.eye(n), np.zeros(n), A.copy()
    for k in range(n):
        D[k] = A[k, k]
        L[k + 1 :, k] = A[k + 1 :, k] / D[k]
        A[k + 1 :, k + 1 :] -= np.outer(L[k + 1 :, k], A[k, k + 1 :])
    return L, D
