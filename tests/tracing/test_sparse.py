"""Sparse matrices whose entries depend on the parameters, against the dense matrices they stand for."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as spl
from numpy.testing import assert_allclose

from steepest import TracingError, gradient, hessian

X = np.array([0.7, 1.3, -0.4, 0.9])
B = np.array([1.0, -2.0, 0.5, 3.0])
M = np.array([[4.0, 1.0, 0.0, 0.5], [1.0, 5.0, 2.0, 0.0], [0.0, 2.0, 6.0, 1.0], [0.5, 0.0, 1.0, 7.0]])
FIXED = sp.csr_matrix(M)
FIXED_COO = sp.coo_matrix(M)
FACTORS = spl.splu(sp.csc_matrix(M + np.diag([0.0, 2.0, 0.0], 1)))
SOLVE = spl.factorized(sp.csc_matrix(M))


def tridiagonal(x, kind="csr"):
    return sp.diags([x[1:], 3 + x, x[:-1] ** 2], [-1, 0, 1]).asformat(kind)


def dense_tridiagonal(x):
    return np.diag(x[1:], -1) + np.diag(3 + x) + np.diag(x[:-1] ** 2, 1)


def stored(x):
    S = sp.lil_matrix((4, 4))
    S[0, 1] = x[0]
    S[1:3, 2] = x[1:3, None]
    S[0, 1] += x[3]
    S.setdiag(x)
    return S.tocsr() @ B


def dense_stored(x):
    S = np.zeros((4, 4))
    S[0, 1] = x[0]
    S[1:3, 2] = x[1:3]
    S[0, 1] += x[3]
    S[np.arange(4), np.arange(4)] = x
    return S @ B


def with_other_data(x):
    S = FIXED.copy()
    S.data = S.data * x[0]
    S.data[2] = x[1]
    return S @ B


def dense_with_other_data(x):
    S = M * x[0]
    S[0, 3] = x[1]
    return S @ B


PLACES = ([0, 1, 1, 3], [2, 0, 0, 3])
# Two entries at (1, 2), and one of zero; the columns of a row are in no order.
DOUBLED = sp.csr_matrix(([1.0, 0.0, 3.0, 4.0], [2, 0, 2, 2], [0, 2, 4, 4, 4]), shape=(4, 4))


def with_data_of_doubled(x, kind):
    S = DOUBLED.copy().asformat(kind)
    S.data = S.data * x[0] * x[1]
    return S.toarray()


def dense_stored_as_whole_numbers(x):
    return np.array([[1.0, 2.0], [0.0, 0.0]]) * np.sum(x)


def stored_as_whole_numbers(x):
    S = sp.lil_matrix((2, 2), dtype=int)
    S[0, 0] = 1
    S[0, 1] = 4.0 * x[0]  # 2.8, and 2 for SciPy
    return S.toarray() * np.sum(x)


def put_in_order(x):
    S = sp.csr_matrix((x.copy(), [3, 0, 2, 1], [0, 2, 4]), shape=(2, 4))
    before = S.data * B
    S.sort_indices()
    return np.append(before, S.data * B)


def dense_of_places(x):
    S = np.zeros((4, 4))
    np.add.at(S, PLACES, x)
    return S


PAIRS = {
    "diags": (lambda x: sp.diags(x) @ B, lambda x: np.diag(x) @ B),
    "diags of numbers": (
        lambda x: sp.diags([1.0, x[0], 1.0], [-1, 0, 1], shape=(4, 4)) @ x,
        lambda x: (np.eye(4, k=1) + np.eye(4, k=-1) + x[0] * np.eye(4)) @ x,
    ),
    "diags_array by keyword": (
        lambda x: sp.diags_array(x, offsets=1) @ np.ones(5),
        lambda x: np.append(x, 0.0),
    ),
    "spdiags": (
        lambda x: sp.spdiags(np.vstack([x, 2 * x]), [0, 1], 4, 4) @ B,
        lambda x: (np.diag(x) + np.diag(2 * x[1:], 1)) @ B,
    ),
    "entries by row and column, two of them in one place": (
        lambda x: sp.csr_matrix((x, PLACES), shape=(4, 4)) @ B,
        lambda x: dense_of_places(x) @ B,
    ),
    "entries by row starts": (
        lambda x: sp.csr_array((x, [1, 2, 3, 0], [0, 1, 2, 3, 4])) @ B,
        lambda x: x * B[[1, 2, 3, 0]],
    ),
    "coo of a dense array": (lambda x: sp.coo_array(np.outer(x, x)) @ B, lambda x: np.outer(x, x) @ B),
    "transposed": (lambda x: B @ tridiagonal(x).T, lambda x: dense_tridiagonal(x) @ B),
    "toarray": (lambda x: tridiagonal(x).toarray(), dense_tridiagonal),
    "a slice": (lambda x: tridiagonal(x)[1:3, ::2].toarray(), lambda x: dense_tridiagonal(x)[1:3, ::2]),
    "an entry": (lambda x: tridiagonal(x)[1, 2] * x, lambda x: dense_tridiagonal(x)[1, 2] * x),
    "diagonal and trace": (
        lambda x: tridiagonal(x).diagonal(1) * tridiagonal(x).trace(),
        lambda x: np.diag(dense_tridiagonal(x), 1) * np.trace(dense_tridiagonal(x)),
    ),
    "sums": (
        lambda x: (
            tridiagonal(x).sum() * np.asarray(tridiagonal(x).sum(axis=0)).ravel() + tridiagonal(x).sum(1).A1
        ),
        lambda x: dense_tridiagonal(x).sum() * dense_tridiagonal(x).sum(0) + dense_tridiagonal(x).sum(1),
    ),
    "a product of two": (
        lambda x: (tridiagonal(x) @ FIXED @ tridiagonal(x).T).toarray(),
        lambda x: dense_tridiagonal(x) @ M @ dense_tridiagonal(x).T,
    ),
    "sums of two": (
        lambda x: (2 * FIXED_COO - x[0] * FIXED_COO + tridiagonal(x) / 3).toarray(),
        lambda x: 2 * M - x[0] * M + dense_tridiagonal(x) / 3,
    ),
    "entry by entry": (
        lambda x: (FIXED.multiply(x[:, None]) + tridiagonal(x).multiply(FIXED).power(2)).toarray(),
        lambda x: M * x[:, None] + (dense_tridiagonal(x) * M) ** 2,
    ),
    "star of matrices and of arrays": (
        lambda x: tridiagonal(x) * B + (sp.csr_array(M) * x).sum(axis=0),
        lambda x: dense_tridiagonal(x) @ B + (M * x).sum(0),
    ),
    "blocks": (
        lambda x: sp.bmat([[sp.diags(x), None], [FIXED, tridiagonal(x)]]) @ np.arange(8.0),
        lambda x: np.block([[np.diag(x), np.zeros((4, 4))], [M, dense_tridiagonal(x)]]) @ np.arange(8.0),
    ),
    "side by side": (
        lambda x: sp.vstack(
            [sp.hstack([tridiagonal(x), sp.eye(4)]), sp.block_diag([M, np.outer(x, x)])]
        ).toarray(),
        lambda x: np.block(
            [[dense_tridiagonal(x), np.eye(4)], [M, np.zeros((4, 4))], [np.zeros((4, 4)), np.outer(x, x)]]
        ),
    ),
    "kron": (
        lambda x: sp.kron(tridiagonal(x), sp.diags(x)).toarray(),
        lambda x: np.kron(dense_tridiagonal(x), np.diag(x)),
    ),
    "several entries at one place": (
        lambda x: (x[0] * DOUBLED + DOUBLED.T @ DOUBLED * x[1]).toarray() + (x[2] * DOUBLED) @ np.diag(x),
        lambda x: (
            x[0] * DOUBLED.toarray()
            + DOUBLED.toarray().T @ DOUBLED.toarray() * x[1]
            + (x[2] * DOUBLED.toarray()) @ np.diag(x)
        ),
    ),
    **{
        f"data of a {kind}, several at one place": (
            lambda x, kind=kind: with_data_of_doubled(x, kind),
            lambda x: DOUBLED.toarray() * x[0] * x[1],
        )
        for kind in ("csr", "csc", "coo", "dia", "bsr")
    },
    "data in the order given, and in order": (
        put_in_order,
        lambda x: np.append(x * B, x[[1, 0, 3, 2]] * B),
    ),
    "a row in one dimension": (
        lambda x: (
            (sp.csr_array(tridiagonal(x))[1] @ B)
            + sp.csr_array(tridiagonal(x))[1].sum()
            + np.sum(sp.csr_array(tridiagonal(x))[1] @ M)
        ),
        lambda x: (
            dense_tridiagonal(x)[1] @ B + dense_tridiagonal(x)[1].sum() + np.sum(dense_tridiagonal(x)[1] @ M)
        ),
    ),
    "stored as whole numbers": (stored_as_whole_numbers, dense_stored_as_whole_numbers),
    "spsolve of three diagonals for several right sides": (
        lambda x: spl.spsolve(tridiagonal(x, "csc"), np.outer(x, B)),
        lambda x: np.linalg.solve(dense_tridiagonal(x), np.outer(x, B)),
    ),
    "stored into": (stored, dense_stored),
    "other data": (with_other_data, dense_with_other_data),
    "spsolve of three diagonals": (
        lambda x: spl.spsolve(tridiagonal(x, "csc"), x),
        lambda x: np.linalg.solve(dense_tridiagonal(x), x),
    ),
    "spsolve": (
        lambda x: spl.spsolve((FIXED @ sp.diags(x) @ FIXED).tocsc(), B),
        lambda x: np.linalg.solve(M @ np.diag(x) @ M, B),
    ),
    "spsolve of numbers": (lambda x: spl.spsolve(sp.csc_matrix(M), x), lambda x: np.linalg.solve(M, x)),
    "factors inside": (
        lambda x: spl.splu(tridiagonal(x, "csc")).solve(B, "T") + spl.factorized(sp.csc_matrix(M))(x),
        lambda x: np.linalg.solve(dense_tridiagonal(x).T, B) + np.linalg.solve(M, x),
    ),
    "factors made outside": (
        lambda x: FACTORS.solve(x) + SOLVE(x),
        lambda x: np.linalg.solve(M + np.diag([0.0, 2.0, 0.0], 1), x) + np.linalg.solve(M, x),
    ),
    "norm": (lambda x: spl.norm(tridiagonal(x)) * x, lambda x: np.linalg.norm(dense_tridiagonal(x)) * x),
    "numbers on both sides": (lambda x: x @ sp.csr_matrix(M) @ x * B, lambda x: x @ M @ x * B),
}


@pytest.mark.parametrize("name", PAIRS)
def test_costs_of_sparse_matrices_have_the_slopes_of_dense_ones(name):
    sparse, dense = PAIRS[name]
    weights = np.random.default_rng(3).normal(size=np.shape(dense(X)))

    def of(array):
        return np.sum(weights * array**2) + np.sum(np.exp(0.1 * array))

    assert_allclose(of(np.asarray(sparse(X))), of(dense(X)), rtol=1e-12)
    assert_allclose(gradient(lambda x: of(sparse(x)))(X), gradient(lambda x: of(dense(x)))(X), rtol=1e-9)
    assert_allclose(
        hessian(lambda x: of(sparse(x)))(X), hessian(lambda x: of(dense(x)))(X), rtol=1e-8, atol=1e-9
    )


def test_a_long_chain_of_three_diagonals_is_solved_without_a_dense_matrix():
    n = 5000
    load = np.ones(n)

    def cost(x):
        S = sp.diags([-np.ones(n - 1), 2 + x, -np.ones(n - 1)], [-1, 0, 1], format="csc")
        return spl.spsolve(S, load) @ load

    x = np.linspace(0.5, 1.0, n)
    u = spl.spsolve(sp.diags([-np.ones(n - 1), 2 + x, -np.ones(n - 1)], [-1, 0, 1], format="csc"), load)
    assert_allclose(gradient(cost)(x), -(u**2), rtol=1e-9)  # d(lᵀS⁻¹l) = -uᵀ dS u


def test_the_users_matrices_stay_as_they_are():
    before = FIXED_COO.data.copy()
    gradient(lambda x: np.sum((x[0] * FIXED_COO @ x) ** 2))(X)
    assert_allclose(FIXED_COO.data, before)
    assert_allclose(FIXED_COO.toarray(), M)


def stored_outside(x):
    FIXED[0, 0] = x[0]
    return FIXED.sum()


def solved_by_iteration(x):
    return np.sum(spl.cg(FIXED, x)[0])


def as_a_matrix_of_numpy(x):
    return np.sum(np.square(tridiagonal(x).todense() * B[:, None]))


def made_a_matrix(x):
    return (np.matrix(x) * M * np.matrix(x).T)[0, 0]


def times_a_matrix(x):
    return np.sum(np.square(np.matrix(M) @ x))


def by_eigenvalues(x):
    return spl.eigsh(tridiagonal(x), k=1)[0][0]


def larger_than_can_be_solved(x):
    n = 2500
    return spl.spsolve(
        sp.diags([x[0] + 5 * np.ones(n), np.ones(n - 2), np.ones(n - 2)], [0, 2, -2]).tocsc(), np.ones(n)
    )[0]


def entries_of_one_place(x):
    return np.sum(np.square(sp.coo_matrix((x, PLACES)).data))


def count_of_a_dense_one(x):
    return sp.csr_matrix(np.outer(x, x) * (x > 1)).nnz * x[0]


def compared(x):
    return (tridiagonal(x) > 1).sum() + x[0]


@pytest.mark.parametrize(
    ("cost", "says"),
    [
        (stored_outside, "made outside the cost"),
        (solved_by_iteration, "Write spsolve"),
        (as_a_matrix_of_numpy, "np.asarray(matrix)"),
        (made_a_matrix, "write @ where a product"),
        (times_a_matrix, "np.asarray(matrix)"),
        (by_eigenvalues, "eigsh"),
        (larger_than_can_be_solved, "2500 equations"),
        (compared, "comparison"),
        (entries_of_one_place, "several entries at one place"),
        (count_of_a_dense_one, "zeros SciPy leaves out"),
    ],
)
def test_what_is_not_followed_is_refused_with_its_line(cost, says):
    with pytest.raises(TracingError, match=cost.__name__) as caught:
        gradient(cost)(X)
    assert says in str(caught.value)


def test_what_compiled_code_reads_from_an_array_of_traced_values_is_no_number():
    from scipy.linalg.blas import ddot

    def read(x):
        z = np.zeros(4)
        z[0] = x[0]
        return ddot(z, np.ones(4)) + x[1]

    with pytest.raises(TracingError, match="compiled code"):
        gradient(read)(X)
    gaps = np.array([1.0, np.nan])  # the user's own NaN is no sign of that
    assert_allclose(gradient(lambda x: np.nansum(gaps * x[0]))(X), [1, 0, 0, 0])
