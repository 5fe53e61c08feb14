"""Residuals as a solver sees them: (prediction - measured) / sigma, their Jacobian, and the cost made of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np

from .bounds import Bounds, Vector
from .budget import Budget
from .losses import LEAST_BEND, Rho, mean_bend
from .objective import Matrix, Objective
from .oracles import Later, Linearisation, Linearised, MadeWhenAsked
from .vector_functions import SparseTracedVector, StackedVector, TracedVector, VectorFunction

# A point is wild to a robust loss if it pulls less than this part of what its square would, and lies so many times
# farther off than half of all points: three standard deviations of normal noise.
HALF, WILD = 0.5, 4.5


@dataclass(frozen=True)
class Arrangement:
    """From the k parameters that move to all n: the others are fixed at `base` (n,) or tied.

    `free` (k,): places of those that move. `ties`: for each tied place, a function from all n values to
    (its value, its gradient (n,)), in an order in which each sees only what was filled in before.
    """

    base: Vector
    free: np.ndarray
    ties: tuple[tuple[int, Callable[[Vector], tuple[float, Vector]]], ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every parameter moves by itself."""
        return self.free.size == self.base.size

    def full(self, z: Vector) -> Vector:
        """All n parameters for the k that move."""
        if self.whole:
            return z
        x = self.base.copy()
        x[self.free] = z
        for place, tie in self.ties:
            x[place] = tie(x)[0]
        return x

    def spread(self, z: Vector) -> Matrix:
        """d(all parameters)/d(those that move), shape (n, k)."""
        T = np.zeros((self.base.size, self.free.size))
        T[self.free, np.arange(self.free.size)] = 1.0
        if self.ties:
            x = self.base.copy()
            x[self.free] = z
            for place, tie in self.ties:
                x[place], slope = tie(x)
                T[place] = slope @ T
        return T

    def columns(self, J: Any, z: Vector) -> Any:
        """A Jacobian over all parameters, (m, n), as one over those that move, (m, k)."""
        if self.whole:
            return J
        return J @ self.spread(z) if self.ties else J[:, self.free]


@dataclass(frozen=True)
class Residuals:
    """The cost Σ C²ρ(r²/C²) with r = (function - target) / sigma, over the parameters that move.

    With the plain loss the cost is rᵀr. `target` (m,) and `sigma` may be None: 0 and 1. `sigma` is (m,), or the lower
    Cholesky factor (m, m) of the covariance of the measurements; then r is whitened by it.
    """

    function: VectorFunction
    arrangement: Arrangement
    target: Vector | None = None
    sigma: Vector | None = None
    rho: Rho | None = None
    scale: float = 1.0

    @property
    def is_plain(self) -> bool:
        """Whether the cost is the sum of the function's squared values, of all its parameters."""
        weighed = self.target is not None or self.sigma is not None or self.rho is not None
        return not weighed and self.arrangement.whole

    def beyond_budget(self) -> None:
        """Allow all calls from now on: of what was found, errors are told whatever the search has left."""
        calls = self.function.calls
        if calls is not None:
            calls.most = calls.deadline = inf

    def evaluations(self, known: int) -> int:
        """How often the function was called, where each call is counted; else the number `known`."""
        return known if self.function.calls is None else self.function.calls.made

    def residual(self, z: Vector) -> Vector:
        """r at the moving parameters z (k,), shape (m,)."""
        return self._weighed(self.function.values(self.arrangement.full(z)))

    def both(self, z: Vector) -> tuple[Vector, Any]:
        """r, shape (m,), and its Jacobian, shape (m, k)."""
        values, J = self.function.both(self.arrangement.full(z))
        J = self.arrangement.columns(J, z)
        return self._weighed(values), J if self.sigma is None else self.whitened(J)

    def _weighed(self, values: Vector) -> Vector:
        r = values if self.target is None else values - self.target
        return r if self.sigma is None else self.whitened(r)

    def whitened(self, rows: Any) -> Any:
        """Something with m rows in units of their standard deviation."""
        sigma = self.sigma
        assert sigma is not None
        if sigma.ndim == 2:
            from scipy.linalg import solve_triangular

            return solve_triangular(sigma, rows, lower=True, check_finite=False)
        if hasattr(rows, "tocsr"):
            return (rows.multiply(1.0 / sigma[:, None])).tocsr()
        return rows / sigma if rows.ndim == 1 else rows / sigma[:, None]

    def value(self, z: Vector) -> float:
        """The cost."""
        r = self.residual(z)
        if self.rho is None:
            return float(r.dot(r))
        return self.scale**2 * float(self.rho((r / self.scale) ** 2)[0].sum())

    def value_and_gradient(self, z: Vector) -> tuple[float, Vector]:
        """The cost and its gradient, shape (k,)."""
        r, J = self.both(z)
        if self.rho is None:
            return float(r.dot(r)), 2.0 * (J.T @ r)
        loss, slope, _ = self.rho((r / self.scale) ** 2)
        return self.scale**2 * float(loss.sum()), 2.0 * (J.T @ (slope * r))

    def linearised(self, z: Vector) -> Linearised:
        """Value, residual and Jacobian scaled so that the gradient is 2Jᵀr and 2JᵀJ models the Hessian.

        Triggs et al., "Bundle adjustment - a modern synthesis" (2000), section 4.3.
        """
        r, J = self.both(z)
        if self.rho is None:
            return Linearised(float(r.dot(r)), r, J)
        z2 = (r / self.scale) ** 2
        loss, slope, bend = self.rho(z2)
        root = np.sqrt(np.maximum(slope + 2.0 * bend * z2, LEAST_BEND))
        scaled = J.multiply(root[:, None]).tocsr() if hasattr(J, "multiply") else J * root[:, None]
        return Linearised(self.scale**2 * float(loss.sum()), r * slope / root, scaled)

    def variance(self, r: Vector, degrees: int) -> float:
        """The variance of one residual that the residuals r (m,) of a fit show; NaN without `degrees` of freedom.

        For squares it is rᵀr / degrees. A robust loss lets each point pull by ψ(r) = rρ'(z) only, and the parameters
        scatter by Σψ² / degrees over the square of the mean of ψ', times (JᵀJ)⁻¹ (Huber & Ronchetti 2009, section 7.6);
        one of these means belongs to the curvature of the cost, mean ψ'·JᵀJ, the other one here. SciPy takes
        Σρ / degrees, which counts wild points as noise: its errors may be several times too large.
        """
        if degrees <= 0:
            return np.nan
        if self.rho is None:
            return float(r.dot(r)) / degrees
        pull, bend = self._pulls(r)
        return float(pull.dot(pull)) / degrees / mean_bend(bend)

    def overstated(self, r: Vector) -> float:
        """By which factor JᵀJ of `linearised` is too large, on the whole, since bends below zero are cut there."""
        if self.rho is None:
            return 1.0
        _, bend = self._pulls(r)
        return float(np.maximum(bend, LEAST_BEND).mean()) / mean_bend(bend)

    def _pulls(self, r: Vector) -> tuple[Vector, Vector]:
        """By what each residual pulls, ψ(r) = rρ'(z), and how that grows with it, ψ'(r), each (m,)."""
        assert self.rho is not None
        z2 = (r / self.scale) ** 2
        _, slope, bend = self.rho(z2)
        return r * slope, slope + 2.0 * bend * z2

    def weights(self, z: Vector) -> Vector | None:
        """What each row of the function counts for in the residuals of `as_squares`, (m,); None where all alike."""
        squares = self.as_squares(z)
        return None if squares.sigma is None or squares.sigma.ndim == 2 else 1.0 / squares.sigma

    def as_squares(self, z: Vector) -> Residuals:
        """Plain squares of residuals, each as many times smaller as its pull is at z.

        A wild point pulls little at a robust loss, and yet its square would be most of their sum. So searches that look
        for what explains most of what is left do not see it. Where most residuals are beyond the scale of the loss,
        what is left is no noise, and points are wild among those: else the few that happen to be near would count for
        most.
        """
        if self.rho is None:
            return self
        r = self.residual(z)
        slope = self._slope(r / max(1.0, float(np.median(np.abs(r))) / self.scale))
        sigma = np.ones(slope.size) if self.sigma is None else self.sigma
        return replace(self, rho=None, sigma=sigma / np.maximum(slope, LEAST_BEND))

    def are_near(self, r: Vector) -> np.ndarray:
        """Which of the residuals r (m,) are no wild points to a robust loss, (m,)."""
        return (self._slope(r) >= HALF) | (np.abs(r) <= WILD * np.median(np.abs(r)))

    def _slope(self, r: Vector) -> Vector:
        return np.ones(r.size) if self.rho is None else self.rho((r / self.scale) ** 2)[1]

    def hessian(self, z: Vector) -> Matrix:
        """Second derivatives of the cost, shape (k, k)."""
        curvature = self.function.curvature
        assert curvature is not None
        r, J = self.both(z)
        weight = r
        if self.rho is not None:
            z2 = (r / self.scale) ** 2
            _, slope, bend = self.rho(z2)
            J = J * np.sqrt(np.abs(slope + 2.0 * bend * z2))[:, None]
            sign = np.sign(slope + 2.0 * bend * z2)
            weight = slope * r
            first = J.T @ (J * sign[:, None])
        else:
            first = J.T @ J
        u = weight if self.sigma is None else self._unwhitened(weight)
        second = curvature(self.arrangement.full(z), np.ascontiguousarray(u))
        free = self.arrangement.free
        second = second if self.arrangement.whole else second[np.ix_(free, free)]
        return 2.0 * (first + 0.5 * (second + second.T))

    def _unwhitened(self, weight: Vector) -> Vector:
        """The transpose of `whitened`, of a vector (m,)."""
        sigma = self.sigma
        assert sigma is not None
        if sigma.ndim == 2:
            from scipy.linalg import solve_triangular

            found: Vector = solve_triangular(sigma, weight, lower=True, trans="T", check_finite=False)
            return found
        return weight / sigma

    def _closer(self) -> Callable[[Vector], tuple[float, Vector]] | None:
        """Value and gradient of the same cost with its differential equations followed closer; None without any."""
        followed = isinstance(self.function, TracedVector | StackedVector)
        function = self.function.closer() if followed else None  # type: ignore[attr-defined]
        return None if function is None else replace(self, function=function).value_and_gradient

    def objective(
        self, bounds: Bounds, budget: Budget | None = None, beside: Objective | None = None
    ) -> Objective:
        """The cost as a solver sees it, over the k moving parameters; `bounds` are theirs.

        `beside`: another objective, within whose budget its evaluations are, and among whose they count.
        """
        exact = self.function.curvature is not None and not self.arrangement.ties
        hessian: Any = MadeWhenAsked(self.hessian, self.function.has_curvature_at_hand) if exact else None
        second: dict[str, Any] = {}
        linearised: Any = self.linearised
        if isinstance(self.function, SparseTracedVector) and self.is_plain:
            whole = self.function.sum_of_squares()
            hessian = whole.hessian
            second = {
                "hessian_product": whole.hessian_product,
                "sparse_hessian": Later(self.function.sparse_curvature),
            }
            linearised = Linearisation(self.linearised, True)
        make = functools.partial(Objective, budget=budget) if beside is None else beside.beside
        return make(
            self.arrangement.free.size,
            value=self.value,
            value_and_gradient=self.value_and_gradient,
            hessian=hessian,
            **second,
            linearised=linearised,
            closer=Later(self._closer),
            least_squares=self.rho is None,
            bounds=bounds,
            derivatives=self.function.derivatives,
            calls=self.function.calls,
        )
