"""Lanczos: the extreme curvatures of a Hessian known only through its products with vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..numerics import EPS
from .long_vectors import inner, length

Vector = np.ndarray

# A new Krylov direction shorter than this part of the largest Ritz value is rounding: the space is exhausted.
BREAKDOWN = 64 * EPS


@dataclass(frozen=True)
class Krylov:
    """What a few products revealed: `k` Ritz values, ascending, and the basis they live in.

    `values` (k,), `weights` (k,): squared first components of the Ritz vectors; `basis` (k, n) orthonormal;
    `vectors` (k, k): columns are the Ritz vectors in the basis. `errors` (k,): the true spectrum has a value
    within `errors[i]` of `values[i]`. `exhausted`: the space is invariant, the values exact to rounding.
    """

    values: Vector
    vectors: Vector
    basis: Vector
    errors: Vector
    exhausted: bool

    def direction(self, index: int) -> Vector:
        """The Ritz vector of `values[index]`, shape (n,), of length one."""
        return self.vectors[:, index] @ self.basis

    @property
    def weights(self) -> Vector:
        """Share of the starting vector along each Ritz vector, squared; sums to one. Shape (k,)."""
        return self.vectors[0] ** 2


def lanczos(product: Callable[[Vector], Vector], start: Vector, products: int) -> Krylov:
    """Extreme eigenvalues of a symmetric operator from at most `products` products, started at `start` (n,).

    Full reorthogonalisation, so that k stays small and no ghost values appear (Golub & Van Loan 2013,
    section 10.1). Ritz values lie inside the spectrum: a negative one proves negative curvature.

    >>> krylov = lanczos(lambda v: np.array([1.0, -2.0, 3.0]) * v, np.ones(3), products=3)
    >>> krylov.values.round(12)
    array([-2.,  1.,  3.])
    """
    most = min(products, start.size)
    basis = np.empty((most, start.size))  # memory is taken up as rows are written
    np.divide(start, length(start), out=basis[0])
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    largest = 0.0
    exhausted = False
    for known in range(1, most + 1):
        v = basis[known - 1]
        w = product(v)
        if not np.isfinite(w).all():
            break
        diagonal.append(inner(v, w))
        for _ in range(2):  # twice is enough (Kahan; Parlett 1998, section 6.9)
            for q in basis[:known]:
                w = w - inner(q, w) * q
        residual = length(w)
        largest = max(largest, abs(diagonal[-1]), residual)
        off_diagonal.append(residual)
        if residual <= BREAKDOWN * largest:
            exhausted = True
            break
        if known < most:
            np.divide(w, residual, out=basis[known])
    k = len(diagonal)
    T = np.diag(diagonal)
    if k > 1:
        side = np.array(off_diagonal[: k - 1])
        T += np.diag(side, 1) + np.diag(side, -1)
    values, vectors = np.linalg.eigh(T) if k else (np.empty(0), np.empty((0, 0)))
    last = off_diagonal[k - 1] if k else 0.0
    errors = abs(last) * np.abs(vectors[-1]) if k else np.empty(0)
    return Krylov(values, vectors, basis[:k], errors, exhausted or k == start.size)
