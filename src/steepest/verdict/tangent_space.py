"""Directions that keep to many constraints: sparse factors project onto them, and tell how a cost bends in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..linear_algebra.equilibrate import sparse_equilibration
from ..linear_algebra.saddle_systems import factorise

Vector = np.ndarray

# Rounds of inverse iteration; the first digit of the smallest curvature is enough to be told.
ROUNDS = 5
# Restarts of Lanczos' method, of some twenty products each, on the way to a direction of negative curvature, and how
# nearly its curvature is known there. More would take longer than the walk.
RESTARTS, LANCZOS_ERROR = 10, 1e-2
# Of a random direction no more than this part is left where nothing but rounding keeps to the constraints.
NO_DIRECTION = 1e-8


class TangentSpace:
    """The directions s (n,) with A s = 0, for sparse slopes A (k, n) that may depend on each other.

    >>> from scipy.sparse import csr_array
    >>> space = TangentSpace(csr_array(np.array([[1.0, 1.0]])))
    >>> space.onto(np.array([1.0, 0.0])), space.least(np.array([1.0]))
    (array([ 0.5, -0.5]), array([0.5, 0.5]))
    """

    def __init__(self, A: Any) -> None:
        import scipy.sparse as sparse

        self.A = sparse.csc_array(A)
        self.k, self.n = self.A.shape
        self._factored = factorise(sparse.csc_array((self.n, self.n)), np.ones(self.n), self.A, 0.0)

    def onto(self, v: Vector) -> Vector:
        """The part of `v` (n,) that keeps to the constraints; NaN where the factors are of no use."""
        return self._solved(np.concatenate([v, np.zeros(self.k)]))

    def least(self, change: Vector) -> Vector:
        """The shortest step (n,) that moves the constraints by `change` (k,); NaN likewise."""
        return self._solved(np.concatenate([np.zeros(self.n), change]))

    def _solved(self, right: Vector) -> Vector:
        found = self._factored.solve(right)
        return np.full(self.n, np.nan) if found is None else found[: self.n]

    def curvature(
        self, H: Any, least: Vector, generator: np.random.Generator
    ) -> tuple[float, Vector | None] | None:
        """The smallest curvature of `H` (n, n) within the constraints, and its direction (n,) if not all bend upwards.

        That all do, were the diagonal of H smaller by `least` (n,), is told by the signs of the factors of
        [[H - least, Aᵀ], [A, 0]]: as many are negative as there are constraints (Gould 1985). None where there is no
        direction at all.
        """
        v = self._some(generator)
        if v is None:
            return None
        found = factorise(H, -least, self.A, 0.0)
        if found.negative == self.k and not found.singular:
            return self._by_inverse_iteration(H, found, v), None
        lowest, along = self._by_lanczos(lambda s: H @ s, v)
        if lowest < -float(least @ along**2):
            return lowest, along
        other = self._in_own_units(H, generator)
        return other if other is not None and other[0] < lowest else (lowest, along)

    def _in_own_units(self, H: Any, generator: np.random.Generator) -> tuple[float, Vector] | None:
        """The smallest curvature of `H` (n, n) and its direction (n,), as found where no row of H outweighs another.

        Lanczos' method, beside curvatures 10¹⁶ times as large, sees no weak one; signs do not change (Sylvester).
        """
        import scipy.sparse as sparse

        units = sparse_equilibration(H)
        own = sparse.diags_array(units)
        space, H_own = TangentSpace(self.A @ own), own @ H @ own
        v = space._some(generator)
        if v is None:
            return None
        along = units * space._by_lanczos(lambda s: H_own @ s, v)[1]
        along = along / float(np.abs(along).max())
        along = along / float(np.linalg.norm(along))
        return float(along @ (H @ along)), along

    def lowest(
        self, product: Callable[[Vector], Vector], generator: np.random.Generator
    ) -> tuple[float, Vector] | None:
        """The smallest curvature and its direction (n,), nearly, where the Hessian is known by products alone."""
        v = self._some(generator)
        return None if v is None else self._by_lanczos(product, v)

    def _some(self, generator: np.random.Generator) -> Vector | None:
        """A random direction (n,); None where there is none."""
        v = generator.standard_normal(self.n)
        along = self.onto(v)
        return along if float(np.linalg.norm(along)) > NO_DIRECTION * float(np.linalg.norm(v)) else None

    def _by_inverse_iteration(self, H: Any, found: Any, v: Vector) -> float:
        """The smallest curvature to a digit or so, from above."""
        v = v / np.linalg.norm(v)
        lowest = float(v @ (H @ v))
        for _ in range(ROUNDS):
            step = found.solve(np.concatenate([v, np.zeros(self.k)]))
            size = 0.0 if step is None else float(np.linalg.norm(step[: self.n]))
            if step is None or not 0.0 < size < np.inf:
                break
            v = step[: self.n] / size
            lowest = min(lowest, float(v @ (H @ v)))
        return lowest

    def _by_lanczos(self, product: Callable[[Vector], Vector], v: Vector) -> tuple[float, Vector]:
        """The smallest curvature and its direction; the best that was found in time, `v` (n,) if nothing was."""
        from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, eigsh

        v = v / np.linalg.norm(v)
        first = product(v)
        aside = float(
            np.linalg.norm(first)
        )  # across the constraints it bends upwards, by no less than along some way

        def bent(s: Vector) -> Vector:
            along = self.onto(np.ravel(s))
            return self.onto(product(along)) + aside * (np.ravel(s) - along)

        lowest, best = float(v @ first), v
        found = np.zeros((self.n, 0))
        try:
            if self.n > 2:
                operator = LinearOperator((self.n, self.n), matvec=bent, dtype=np.float64)
                found = eigsh(operator, k=1, which="SA", v0=v, tol=LANCZOS_ERROR, maxiter=RESTARTS)[1]
        except ArpackNoConvergence as unfinished:
            found = unfinished.eigenvectors
        except ArpackError:
            pass
        for one in np.asarray(found).T:
            along = self.onto(one)
            size = float(np.linalg.norm(along))
            if not size > NO_DIRECTION**0.5:
                continue
            along = along / size
            curvature = float(along @ product(along))
            if curvature < lowest:
                lowest, best = curvature, along
        return lowest, best
