"""Symmetric indefinite systems of a constrained step, [[H, Jᵀ], [J, -d]]: solved, and their inertia told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Vector = np.ndarray

# Sparse systems are factorised without pivoting, which needs something on the diagonal of the lower block; this
# part of the largest entry, and refinement takes its effect away again. Where rows nearly depend on each other the
# first lets curvature across them count against what is a minimum between them: the second is tried before that is
# believed. It leaves rounding more room, so it is not the first.
SPARSE_PIVOTS = 1e-9, 1e-12

# A sparse system with this part of its entries there, and no more rows than that, is factorised as a dense one: a full
# one of 1,500 rows is done in a tenth of the time, and larger ones take hundreds of megabytes.
FULL, MOST_FULL = 0.2, 3000

# Dense systems of so many rows are condensed before they are factorised, where inequalities are most of them.
MANY_DENSE = 200

# Rounds of iterative refinement, and the relative residual that needs none.
REFINEMENTS, REFINED = 4, 1e-13

# A solution that leaves more than this part of the right-hand side is of no use.
USELESS = 1e-3

# A pivot below this part of the largest is what rounding leaves of none.
NO_PIVOT = 1e-15

# A step of so many times the variables is rounding along a direction that neither H nor J feels.
FAR = 1e10


@dataclass(frozen=True)
class Factored:
    """A factorised system of n + m rows.

    `negative`: how many eigenvalues are negative; `singular`: whether some are zero, as far as can be told.
    `solve(rhs)`: the solution, refined, or None where its residual says that it is of no use.
    """

    negative: int
    singular: bool
    solve: Callable[[Vector], Vector | None]


def is_rounding(step: Vector, x: Vector) -> bool:
    """Whether a `step` (n,) from `x` (n,) is so long that a singular system may have made it out of rounding.

    So it is with columns that are sums of others. With a little on the diagonal the step stays where it is along them.

    >>> is_rounding(np.array([3.0, -1e13]), np.array([1.0, 1.0]))
    True
    """
    return bool(np.abs(step).max(initial=0.0) > FAR * (1.0 + np.abs(x).max(initial=0.0)))


def factorise(H: Any, diagonal: Vector, J: Any, lower: float) -> Factored:
    """Factorise [[H + diag(diagonal), Jᵀ], [J, -lower·I]]; H (n, n) and J (m, n) dense or SciPy sparse.

    Dense by Bunch-Kaufman pivoting (LAPACK's sytrf), where each 2 × 2 pivot is one positive and one negative
    eigenvalue; sparse by LDLᵀ (QDLDL), where the signs of D are the inertia by Sylvester's law.

    >>> found = factorise(np.eye(2), np.zeros(2), np.array([[1.0, 1.0]]), 0.0)
    >>> found.negative, found.solve(np.array([0.0, 0.0, 1.0]))
    (1, array([ 0.5,  0.5, -0.5]))
    """
    if not H.shape[0] + J.shape[0]:
        return Factored(0, False, lambda rhs: rhs)
    if isinstance(H, np.ndarray) and isinstance(J, np.ndarray):
        return _dense(H, diagonal, J, lower)
    if _is_nearly_full(H, J):
        return _dense(_as_dense(H), diagonal, _as_dense(J), lower)
    return _sparse(H, diagonal, J, lower)


def _is_nearly_full(H: Any, J: Any) -> bool:
    """Whether so many entries are there that LAPACK is sooner done with all of them than QDLDL with those."""
    rows = H.shape[0] + J.shape[0]
    entries = sum(A.size if isinstance(A, np.ndarray) else A.nnz for A in (H, J, J))
    return FULL * rows * rows <= entries and rows <= MOST_FULL


def _as_dense(A: Any) -> Any:
    return A if isinstance(A, np.ndarray) else A.toarray()


# Singular values below this part of the largest belong to rows that depend on each other.
DEPENDENT = 1e-13

# Columns that LAPACK gets room for: with one, which SciPy gives it, it factorises column by column, six times as long.
COLUMNS_AT_A_TIME = 64

# What a solution may leave of the right-hand side, where another way stands ready.
SOLVED = 1e-9

# Up to so many rows a singular sparse system is solved as a dense one, by least squares.
FEW_ROWS = 1000


def solved_with_pivoting(H: Any, J: Any, rhs: Vector) -> Vector | None:
    """The solution of [[H, Jᵀ], [J, 0]] where it has no diagonal to lean on, as at the vertex of a linear program.

    Sparse by LDLᵀ with something on the diagonal, refined; dense, and few rows that depend on each other, by least
    squares; None for many, and where a number is not finite.

    >>> solved_with_pivoting(np.zeros((1, 1)), np.array([[2.0]]), np.array([4.0, 6.0]))
    array([3., 2.])
    """
    if not rhs.size:
        return rhs
    if isinstance(H, np.ndarray) and isinstance(J, np.ndarray):
        K = np.block([[H, J.T], [J, np.zeros((J.shape[0], J.shape[0]))]])
        if not (np.isfinite(K).all() and np.isfinite(rhs).all()):
            return None
        scale = _evening(np.abs(K).max(axis=0, initial=0.0))
        even, right = K * scale[:, None] * scale, scale * rhs
        found = np.linalg.lstsq(even, right, rcond=DEPENDENT)[0]
        return scale * np.asarray(found)
    return _solved_sparse(H, J, rhs)


def _solved_sparse(H: Any, J: Any, rhs: Vector) -> Vector | None:
    """The same by LDLᵀ of [[H + JᵀJ, Jᵀ], [J, 0]], which has the same solution for (a + Jᵀb, b).

    Its upper block is definite where H is along the rows (Hestenes 1969).
    """
    import scipy.sparse as sparse

    H, J = sparse.csc_array(H), sparse.csc_array(J)
    K = sparse.csc_array(sparse.block_array([[H, J.T], [J, None]]))
    scale = _evening(np.abs(K).max(axis=0).toarray().ravel())
    D = sparse.diags_array(scale)
    K = sparse.csc_array(D @ K @ D)
    n = H.shape[0]
    H, J = K[:n, :n], sparse.csc_array(K[n:, :n])
    factored = _sparse(H + J.T @ J, np.zeros(n), J, 0.0)

    def once(right: Vector) -> Vector:
        found = factored.solve(np.concatenate([right[:n] + J.T @ right[n:], right[n:]]))
        return np.full(right.size, np.nan) if found is None else found

    right = scale * rhs
    found = _refined(lambda x: K @ x, once)(right)
    if found is not None and np.abs(K @ found - right).max(initial=0.0) <= SOLVED * np.abs(right).max(
        initial=0.0
    ):
        return scale * found
    if rhs.size > FEW_ROWS:
        return None
    return scale * np.asarray(np.linalg.lstsq(K.toarray(), right, rcond=DEPENDENT)[0])


def _dense(H: Any, diagonal: Vector, J: Any, lower: float) -> Factored:
    n, m = J.shape[1], J.shape[0]
    if m and n + m >= MANY_DENSE:
        condensed = _condensed(H, diagonal, J, lower)
        if condensed is not None:
            return condensed
    K = _dense_matrix(H, diagonal, J, np.full(m, lower))
    negative, singular, once = _bunch_kaufman(K)
    return Factored(negative, singular, _refined(lambda x: K @ x, once))


def _dense_matrix(H: Any, diagonal: Vector, J: Any, lower: Vector) -> Any:
    """[[H + diag(diagonal), Jᵀ], [J, -diag(lower)]], dense."""
    n, m = J.shape[1], J.shape[0]
    K = np.zeros((n + m, n + m))
    K[:n, :n] = H
    K[np.arange(n), np.arange(n)] += diagonal
    K[n:, :n] = J
    K[:n, n:] = J.T
    K[np.arange(n, n + m), np.arange(n, n + m)] = -lower
    return K


def _bunch_kaufman(K: Any) -> tuple[int, bool, Callable[[Vector], Vector]]:
    """How many eigenvalues of a dense symmetric `K` are negative, whether it is singular, and how to solve with it."""
    from scipy.linalg import lapack

    if not len(K):
        return 0, False, lambda rhs: rhs
    # Symmetric scaling by powers of two: barrier terms of very different size would decide the pivots alone.
    scale = _evening(np.abs(K).max(axis=0, initial=0.0))
    scaled = K * scale[:, None] * scale
    if not np.isfinite(scaled).all():
        return -1, True, lambda rhs: np.full(rhs.size, np.nan)
    factors, pivots, _ = lapack.dsytrf(scaled, lower=1, lwork=COLUMNS_AT_A_TIME * len(K))
    d = np.diag(factors)
    single = pivots > 0
    negative = int((d[single] < 0).sum()) + int((~single).sum()) // 2
    singular = bool((np.abs(d[single]) <= NO_PIVOT * np.abs(d).max()).any())

    def once(rhs: Vector) -> Vector:
        return scale * lapack.dsytrs(factors, pivots, scale * rhs, lower=1)[0].ravel()

    return negative, singular, once


def _condensed(H: Any, diagonal: Vector, J: Any, lower: float) -> Factored | None:
    """The dense system without its slacks, and without the rows that they leave far from their limits.

    A column of J with one entry, whose variable has no curvature but its positive place on the diagonal, is a pivot and
    leaves -d on the diagonal of its row. That is the next one: curvature along the row, divided by d. As many rows as
    there are other variables stay, those with the smallest d, which at a vertex are at their limits: there the others
    would be lost in their rounding. None where no row would go.
    """
    m = J.shape[0]
    entries = J != 0.0
    alone = (diagonal > 0.0) & (entries.sum(axis=0) == 1) & ~np.any(H, axis=0)
    own = np.flatnonzero(alone)
    row = entries[:, own].argmax(axis=0)
    entry, pivot = J[row, own], diagonal[own]
    slack = np.bincount(row, entry**2 / pivot, m)
    free = np.flatnonzero(~alone)
    d = lower + slack
    size = np.abs(J[:, free]).max(axis=1, initial=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(slack > 0.0, size * size / d, np.inf)
    candidates = np.flatnonzero(np.isfinite(weight))
    if candidates.size <= free.size:
        return None
    out = candidates[np.argsort(weight[candidates], kind="stable")[: candidates.size - free.size]]
    kept = np.setdiff1d(np.arange(m), out)
    A, B, k = J[np.ix_(out, free)], J[np.ix_(kept, free)], free.size
    core = H[np.ix_(free, free)] + A.T @ (A / d[out][:, None])
    negative, singular, inner = _bunch_kaufman(_dense_matrix(core, diagonal[free], B, d[kept]))
    n = J.shape[1]

    def product(x: Vector) -> Vector:
        top = H[:, free] @ x[free] + diagonal * x[:n] + J.T @ x[n:]
        return np.concatenate([top, J @ x[:n] - lower * x[n:]])

    def once(rhs: Vector) -> Vector:
        top, bottom = rhs[:n], rhs[n:]
        right = bottom - np.bincount(row, entry * top[own] / pivot, m)
        found = inner(np.concatenate([top[free] + A.T @ (right[out] / d[out]), right[kept]]))
        x, y = np.empty(n), np.empty(m)
        x[free], y[kept] = found[:k], found[k:]
        y[out] = (A @ x[free] - right[out]) / d[out]
        x[own] = (top[own] - entry * y[row]) / pivot
        return np.concatenate([x, y])

    return Factored(negative + out.size if negative >= 0 else -1, singular, _refined(product, once))


def _sparse(H: Any, diagonal: Vector, J: Any, lower: float) -> Factored:
    import qdldl
    import scipy.sparse as sparse

    n, m = H.shape[0], J.shape[0]
    top = sparse.csc_array(H) + sparse.diags_array(diagonal)
    J = sparse.csc_array(J)
    exact = sparse.csc_array(
        sparse.block_array([[top, J.T], [J, sparse.diags_array(np.full(m, -lower)) if m else None]])
    )
    scale = _evening(np.abs(exact).max(axis=0).toarray().ravel())
    D = sparse.diags_array(scale)
    even = sparse.csc_array(D @ exact @ D)
    if not np.isfinite(even.data).all():
        return Factored(-1, True, lambda rhs: None)

    def factored(size: float) -> tuple[int, bool, Callable[[Vector], Vector]] | None:
        lower_block = sparse.diags_array(np.concatenate([np.zeros(n), np.full(m, -size)]))
        try:
            solver = qdldl.Solver(sparse.csc_matrix(even + lower_block))
        except (RuntimeError, ValueError):
            return None
        d = np.asarray(solver.factors()[1])
        negative, singular = int((d < 0).sum()), bool((np.abs(d) <= NO_PIVOT).any())
        return negative, singular, lambda rhs: scale * np.asarray(solver.solve(scale * rhs))

    first, second = SPARSE_PIVOTS
    found, last = factored(first), first
    if found is None or found[0] != m or found[1]:
        found, last = factored(second) or found, second
    if found is None:
        return Factored(-1, True, lambda rhs: None)
    negative, singular, once = found

    def product(x: Vector) -> Vector:
        return np.asarray(exact @ x)

    def solve(rhs: Vector) -> Vector | None:
        solution = _refined(product, once)(rhs)
        if solution is None and last == first:
            # Rows next to dependent, as second differences of a thousand numbers: the first outweighs what they are.
            closer = factored(second)
            solution = closer and _refined(product, closer[2])(rhs)
        return solution

    return Factored(negative, singular, solve)


def _evening(largest: Vector) -> Vector:
    """Powers of two by which rows and columns of a symmetric matrix with these largest entries become alike in size.

    Those with nothing in them keep theirs: a larger unit would make a step out of rounding.
    """
    size = np.sqrt(np.where(largest > 0.0, np.maximum(largest, np.finfo(float).tiny), 1.0))
    return np.asarray(1.0 / np.exp2(np.round(np.log2(size))))


def _refined(
    product: Callable[[Vector], Vector], once: Callable[[Vector], Vector]
) -> Callable[[Vector], Vector | None]:
    """Solve, then correct by what is left (Wilkinson's refinement) for as long as it helps."""

    def solve(rhs: Vector) -> Vector | None:
        x = once(rhs)
        size = float(np.abs(rhs).max(initial=0.0))
        best, left = x, np.inf
        for _ in range(REFINEMENTS):
            if not np.isfinite(x).all():
                break
            residual = rhs - product(x)
            now = float(np.abs(residual).max(initial=0.0))
            if now < left:
                best, left = x, now
            else:
                break
            if now <= REFINED * size:
                break
            x = x + once(residual)
        return best if left <= USELESS * size or size == 0.0 else None

    return solve
