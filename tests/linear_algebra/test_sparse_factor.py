"""Factors of sparse symmetric matrices solve with them, whichever way they are made and however entries stand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import eigvalsh_tridiagonal
from scipy.sparse import csc_array, diags_array

from steepest.linear_algebra.curvature import SparseCurvature
from steepest.linear_algebra.sparse_factor import NARROW_BAND, SymmetricPattern

FREE = {"all": None, "some": 3}


def band(n, width, seed=0):
    rng = np.random.default_rng(seed)
    A = diags_array(
        [rng.standard_normal(n - k) for k in range(width + 1)], offsets=range(width + 1)
    ).toarray()
    A = A + A.T
    np.fill_diagonal(A, np.abs(A).sum(axis=1) + 1.0)
    return A


@pytest.mark.parametrize("n", [50, 5_000])
@pytest.mark.parametrize("width", [0, 1, 2, NARROW_BAND, NARROW_BAND + 1])
@pytest.mark.parametrize("free", FREE)
def test_a_band_of_any_width_is_solved_as_the_dense_matrix_is(n, width, free):
    A = band(n, width) if n < 100 else None
    rng = np.random.default_rng(1)
    diagonals = [4.0 * width + 1.0 + rng.random(n)]
    diagonals += [rng.standard_normal(n - k) / (k + 1.0) for k in range(1, width + 1)]
    upper = diags_array(diagonals, offsets=range(width + 1)).tocsc()
    M = csc_array(upper + upper.T - diags_array(diagonals[0])) if A is None else csc_array(A)
    M.sort_indices()
    mask = None if FREE[free] is None else np.arange(n) % FREE[free] > 0
    shift = rng.random(n)
    pattern = SymmetricPattern(M)
    solve = pattern.factorise(M.data, shift, mask)
    b = rng.standard_normal(n)
    if mask is not None:
        b[~mask] = 0.0
    x = solve(b)
    residual = M @ x + shift * x - b
    assert_allclose(residual if mask is None else residual[mask], 0.0, atol=1e-11)
    if mask is not None:
        assert not x[~mask].any()


def test_entries_that_stand_in_no_order_and_lack_a_diagonal_are_sorted_first():
    # Columns 0, 1, 2: rows {1}, {2, 0}, {1}; no diagonal at all, and the second column backwards.
    M = csc_array((np.array([1.0, 3.0, 1.0, 3.0]), np.array([1, 2, 0, 1]), np.array([0, 1, 3, 4])), (3, 3))
    b = np.array([1.0, -2.0, 0.5])
    solve = SymmetricPattern(M).factorise(M.data, 5.0, None)
    assert_allclose(solve(b), np.linalg.solve(M.toarray() + 5.0 * np.eye(3), b), rtol=1e-14)


@pytest.mark.parametrize("width", [1, NARROW_BAND + 1])
def test_an_indefinite_band_is_refused_and_its_negative_pivots_are_counted(width):
    n = 6_000
    A = csc_array(diags_array([np.full(n - width, 0.1), np.full(n, 2.0), np.full(n - width, 0.1)],
                              offsets=[-width, 0, width]))  # fmt: skip
    A.sort_indices()
    pattern = SymmetricPattern(A)
    diagonal = np.where(np.arange(n) % 1000 == 7, -3.0, 0.0)
    assert pattern.factorise(A.data, diagonal, None) is None
    data = A.data.copy()
    data[pattern.on_diagonal] += diagonal
    assert pattern.upwards(pattern.upper(data), 0.0).negative == n // 1000
    assert pattern.upwards(pattern.upper(A.data), 0.0).negative == 0


@pytest.mark.parametrize("n", [60, 6_000])
def test_a_scaled_matrix_is_d_times_a_times_d_in_products_and_factors(n):
    rng = np.random.default_rng(4)
    A = diags_array(
        [np.full(n, 3.0), rng.uniform(-1.0, 1.0, n - 1), rng.uniform(-0.4, 0.4, n - 20)], offsets=[0, 1, 20]
    )
    A = csc_array(A + A.T)
    A.sort_indices()
    d, v = rng.uniform(0.5, 2.0, n), rng.standard_normal(n)
    curvature = SparseCurvature(SymmetricPattern(A), A.data, d)
    D = diags_array(d)
    M = csc_array(D @ A @ D)
    assert_allclose(curvature.product(v), M @ v, rtol=1e-12, atol=1e-12)
    assert_allclose(M @ curvature.newton(v, None), -v, atol=1e-11)
    assert_allclose(M @ curvature.upwards(0.0).solve(v), v, atol=1e-11)
    step = curvature.in_ball(v, 0.1, 0.0, None).step
    assert_allclose(np.linalg.norm(step), 0.1, rtol=0.2)
    assert_allclose(curvature._size, np.abs(M).sum(axis=0).max(), rtol=1e-12)


@pytest.mark.parametrize("part", [0.0, 0.02, 0.3, 0.6, 0.8, 1.0])
@pytest.mark.parametrize("shifted", [False, True])
def test_any_part_of_the_parameters_is_solved_as_its_own_dense_matrix_is(part, shifted):
    rng = np.random.default_rng(4)
    n = 120
    A = rng.standard_normal((n, n)) * (rng.random((n, n)) < 0.05)
    A = A + A.T
    np.fill_diagonal(A, np.abs(A).sum(axis=1) + rng.uniform(0.1, 1.0, n))
    M = csc_array(A)
    pattern, b = SymmetricPattern(M), rng.standard_normal(n)
    shift = rng.random(n) if shifted else 0.5
    for _ in range(3):  # one part after the other with the same pattern
        free = np.zeros(n, dtype=bool)
        free[rng.permutation(n)[: round(part * n)]] = True
        x = pattern.factorise(M.data, shift, free)(np.where(free, b, 0.0))
        own = (A + np.diag(np.broadcast_to(shift, n)))[np.ix_(free, free)]
        assert_allclose(x[free], np.linalg.solve(own, b[free]), rtol=1e-11, atol=1e-13)
        assert not x[~free].any()


def test_a_part_is_refused_where_it_alone_bends_down():
    """Indefinite as a whole, and its definiteness over some parameters changes with what they are."""
    rng = np.random.default_rng(6)
    n = 90
    A = rng.standard_normal((n, n)) * (rng.random((n, n)) < 0.1)
    A = A + A.T + 4.0 * np.eye(n)
    M = csc_array(A)
    pattern, seen = SymmetricPattern(M), set()
    for size in (5, 10, 20, 30, 40, 50):
        for _ in range(6):
            free = np.zeros(n, dtype=bool)
            free[rng.permutation(n)[:size]] = True
            for shift in (0.0, 1.0):
                lowest = np.linalg.eigvalsh(A[np.ix_(free, free)]).min() + shift
                assert (pattern.factorise(M.data, shift, free) is not None) == (lowest > 0.0)
                seen.add(lowest > 0.0)
    assert seen == {True, False}


@pytest.mark.parametrize("n", [2, 7, 6_000])
@pytest.mark.parametrize("whole", [True, False])
def test_a_chain_with_missing_links_is_solved_as_its_dense_matrix_is(n, whole):
    """Entries of which some are not stored at all, links and parts of the diagonal."""
    rng = np.random.default_rng(8)
    links = rng.uniform(0.5, 1.0, n - 1) * (rng.random(n - 1) < 0.7)
    links[0] = 0.7  # at least one
    diagonal = rng.standard_normal(n) * (1.0 if whole else rng.random(n) < 0.5)
    A = csc_array(diags_array([links, diagonal, links], offsets=[-1, 0, 1]))
    A.eliminate_zeros()
    pattern, b = SymmetricPattern(A), rng.standard_normal(n)
    for shift in (4.0, 4.0 + rng.random(n)):
        x = pattern.factorise(A.data, shift, None)(b)
        assert_allclose(A @ x + shift * x, b, atol=1e-13)
    lowest = eigvalsh_tridiagonal(A.diagonal(), links, select="i", select_range=(0, 0)).item()
    for shift in (0.0, -0.9 * lowest, -1.1 * lowest):
        assert (pattern.factorise(A.data, shift, None) is not None) == (lowest + shift > 0.0)


def test_units_balance_a_matrix_whether_or_not_its_diagonal_does():
    """Each row that is not empty has its largest entry near one: at once by the diagonal, else in rounds."""
    rng = np.random.default_rng(3)
    units = 10.0 ** rng.uniform(-3.0, 3.0, 30)
    chain = diags_array([np.full(29, -0.5), np.ones(30), np.full(29, -0.5)], offsets=[-1, 0, 1])
    hollow = diags_array([np.ones(29), np.zeros(30), np.ones(29)], offsets=[-1, 0, 1])
    apart = diags_array([np.append(np.ones(29), 0.0)], offsets=[0])
    outweighed = diags_array([np.full(29, 50.0), np.ones(30), np.full(29, 50.0)], offsets=[-1, 0, 1])
    for A, tells in (chain, True), (hollow, False), (apart, True), (outweighed, False):
        H = csc_array(diags_array([units], offsets=[0]) @ A @ diags_array([units], offsets=[0]))
        pattern = SymmetricPattern(H)
        d = pattern.balanced(H.data)
        scaled = np.abs(d[:, None] * H.toarray() * d).max(axis=1)
        filled = scaled > 0.0
        assert filled.sum() == np.count_nonzero(np.abs(A.toarray()).sum(axis=1))
        assert_allclose(scaled[filled], 1.0, rtol=1e-13 if tells else 0.3)


def test_the_diagonal_alone_gives_the_units_where_no_entry_exceeds_the_root_of_its_two():
    """Rows that are empty, or hold zeros only, have none: theirs stays one."""
    H = np.diag([4.0, 9.0, 0.0, 0.25, 0.0])
    H[0, 1] = H[1, 0] = 6.0
    H[3, 0] = H[0, 3] = -0.5
    kept = H != 0.0
    kept[4, 4] = True
    A = csc_array(kept.astype(float))
    d = SymmetricPattern(A).balanced(H.T[kept.T])
    assert_allclose(d, [0.5, 1.0 / 3.0, 1.0, 2.0, 1.0], rtol=1e-15)


@pytest.mark.parametrize("last", [0.0, -0.01])
def test_a_row_without_a_positive_diagonal_gets_the_unit_that_its_entries_need(last):
    """Its entries are small enough beside ones on the diagonal, and would stay as small as they are."""
    H = np.array([[4.0, 0.0, 0.01], [0.0, 9.0, 0.0], [0.01, 0.0, last]])
    kept = (H != 0.0) | np.eye(3, dtype=bool)
    d = SymmetricPattern(csc_array(kept.astype(float))).balanced(H.T[kept.T])
    assert_allclose(np.abs(d[:, None] * H * d).max(axis=1), 1.0, rtol=0.3)


def test_rows_are_even_where_the_largest_entry_of_each_is_within_the_factor_of_one_or_zero():
    for diagonal, even in (
        ([3.0, 0.25, 0.0], True),
        ([-4.0, 4.0, 0.25], True),
        ([1.0, 4.1, 1.0], False),
        ([0.2, 1.0, 1.0], False),
    ):
        A = csc_array(np.eye(3))
        assert SymmetricPattern(A).is_even(np.array(diagonal), 4.0) == even


def test_a_matrix_factorised_again_gives_its_own_answers_whatever_came_between():
    A = band(40, 12, seed=3)[:, ::-1][::-1]
    b, M = np.arange(40.0), csc_array(A)
    M.sort_indices()
    pattern, singular = SymmetricPattern(M), M.data.copy()
    singular[M.indices == 0] = 0.0
    singular[M.indptr[0] : M.indptr[1]] = 0.0
    for factor, data in ((1.0, M.data), (1.0, M.data), (2.0, 2.0 * M.data), (1.0, M.data)):
        solve = pattern.factorise(data, 0.0, None)
        assert_allclose(A @ solve(b), b / factor, atol=1e-9)
        assert pattern.factorise(singular, 0.0, None) is None
        assert pattern.factorise(singular, 0.0, None) is None


def test_units_of_numbers_that_have_all_but_underflowed_are_finite_and_leave_numbers():
    tiny = 5e-324
    for diagonal, beside in (
        ([tiny, 1e-310, 1.0], 0.0),
        ([tiny, tiny, 4.0], tiny),
        ([1e308, tiny, 1e-320], 1e-10),
    ):
        A = diags_array([np.full(2, beside), np.array(diagonal), np.full(2, beside)], offsets=[-1, 0, 1])
        H = csc_array(A)
        pattern = SymmetricPattern(H)
        for d in pattern.balanced(H.data), pattern.equilibration(H.data):
            scaled = pattern.scaled(H.data, d)
            assert np.isfinite(d).all() and np.isfinite(scaled).all()
            assert np.abs(scaled).max() < 10.0
        assert_allclose(np.sort(np.abs(pattern.scaled(H.data, pattern.balanced(H.data))))[-1], 1.0, rtol=0.5)
