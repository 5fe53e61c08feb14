"""Residuals as a solver sees them: (prediction - measured) / sigma, its Jacobian, and robust losses of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from . import returned
from .bounds import Bounds, Vector
from .budget import Budget, Calls
from .errors import InputError
from .numerics import EPS
from .objective import Matrix, Objective
from .oracles import Later, Linearisation, Linearised, MadeWhenAsked
from .presentation.text import counted

if TYPE_CHECKING:
    from .tracing.trace import Trace


class VectorFunction(Protocol):
    """A function of n parameters with m values; x has shape (n,).

    `calls`: where the Jacobian is measured, the calls that this and all else take; else None.
    """

    derivatives: str
    calls: Calls | None

    def values(self, x: Vector) -> Vector:
        """The values, shape (m,)."""

    def both(self, x: Vector) -> tuple[Vector, Matrix]:
        """The values, shape (m,), and their Jacobian, shape (m, n)."""

    @property
    def curvature(self) -> Callable[[Vector, Vector], Matrix] | None:
        """`(x, u) ↦ Σ uᵢ∇²fᵢ`, shape (n, n); None where second derivatives are not to be had."""

    def has_curvature_at_hand(self) -> bool:
        """Whether a first call of `curvature` that makes its program is no longer due."""


class TracedVector:
    """Exact derivatives of a traced function, each built when first asked for and kept with the trace."""

    derivatives = "exact"
    calls: Calls | None = None

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def values(self, x: Vector) -> Vector:
        """The values, shape (m,)."""
        return np.ravel(self._evaluation("values")(x)[0])

    def both(self, x: Vector) -> tuple[Vector, Matrix]:
        """The values, shape (m,), and their Jacobian, shape (m, n), read-only."""
        values, jacobian = self._evaluation("values_and_jacobian")(x)
        return values, jacobian

    @property
    def curvature(self) -> Callable[[Vector, Vector], Matrix] | None:
        """`(x, u) ↦ Σ uᵢ∇²fᵢ`, shape (n, n)."""
        return self._curvature

    def has_curvature_at_hand(self) -> bool:
        """Whether a first call of `curvature` that makes its program is no longer due."""
        return ("vector", "weighted_curvature") in self.trace.kept

    def closer(self) -> VectorFunction | None:
        """The same function with the differential equations in it followed closer; None where there are none."""
        from .tracing.flows.closer import trace_followed_closer

        found = trace_followed_closer(self.trace)
        return None if found is None else TracedVector(found)

    def _curvature(self, x: Vector, u: Vector) -> Matrix:
        found: Matrix = self._evaluation("weighted_curvature")(x, u)[0]
        return found

    def _evaluation(self, kind: str) -> Any:
        kept = self.trace.kept
        key = ("vector", kind)
        if key not in kept:
            from .derivatives import exact
            from .derivatives.tiers import Tiered
            from .tracing.passes import simplify

            jaxpr = self.trace.jaxpr
            kept[key] = Tiered(simplify(jaxpr) if kind == "values" else getattr(exact, kind)(jaxpr))
        return kept[key]


# A traced function of more parameters, and values, than this is looked at for a Jacobian that is mostly zero: below,
# the dense one is at hand sooner.
MANY = 300
# Second derivatives, which only the judge asks for, may take this many products. Points and cameras that all meet take
# a thousand, each as dear as a gradient, where the Jacobian takes eight.
MOST_PRODUCTS = 200
# A Jacobian with more than this part of its entries is taken whole.
MOSTLY_ZERO = 0.15


class SparseTracedVector(TracedVector):
    """Exact derivatives of a large traced function each of whose values depends on few parameters.

    The Jacobian is a SciPy CSC array, filled by a few products at once. `plan`: how it is evaluated.
    """

    curvature = None

    def __init__(self, trace: Trace, plan: Any) -> None:
        super().__init__(trace)
        self.plan = plan

    def both(self, x: Vector) -> tuple[Vector, Any]:
        """The values, shape (m,), and their Jacobian, a sparse array (m, n)."""
        kept = self.trace.kept
        if "sparse jacobian" not in kept:
            from .derivatives.sparse import Sparse

            kept["sparse jacobian"] = Sparse(self.plan)
        _, values, jacobian = kept["sparse jacobian"](x)
        return np.array(values), jacobian

    def sparse_curvature(self) -> Callable[[Vector], Any] | None:
        """Second derivatives of the sum of the squared values, a sparse array; None where they cost too much."""
        from .traced import evaluation

        whole = self.sum_of_squares()
        found = evaluation(whole.trace, "sparse_hessian")
        cheap = found is not None and found.plan.products <= MOST_PRODUCTS
        return whole.sparse_hessian.find() if cheap else None

    def sum_of_squares(self) -> Any:
        """What an objective is made of (`problem.Evaluations`) for the sum of the squared values."""
        from .evaluations import exact_evaluations
        from .tracing.trace import Trace

        kept = self.trace.kept
        if "sum of squares" not in kept:
            summed, _ = _with_sum_of_squares(self.trace)
            kept["sum of squares"] = Trace(summed, (), self.trace.lowest_precision)
        return exact_evaluations(kept["sum of squares"])


def sparse_where_it_pays(function: VectorFunction) -> VectorFunction:
    """The same function, with a sparse Jacobian where it is traced and most of a large Jacobian is zero."""
    if not isinstance(function, TracedVector) or function.trace.n <= MANY:
        return function
    kept = function.trace.kept
    if "sparse plan" not in kept:
        kept["sparse plan"] = _sparse_plan(function.trace)
    plan = kept["sparse plan"]
    return function if plan is None else SparseTracedVector(function.trace, plan)


def _sparse_plan(trace: Trace) -> Any | None:
    from .derivatives.sparse import linearised_plan
    from .structure.dependence import Dense
    from .tracing.passes import eliminate_dead, with_outputs

    m = int(np.prod(trace.shape, dtype=np.int64))
    if m <= MANY:
        return None
    _, both = _with_sum_of_squares(trace)
    residual = eliminate_dead(with_outputs(both, both.jaxpr.outvars[1:]))
    try:
        plan = linearised_plan(both, residual)
    except Dense:
        return None
    return plan if plan.entries < MOSTLY_ZERO * m * trace.n else None


def _with_sum_of_squares(trace: Trace) -> tuple[Any, Any]:
    """Closed jaxprs of x ↦ Σf² and of x ↦ (Σf², f), f flat, (m,)."""
    import jax
    import jax.numpy as jnp
    from jax.extend.core import jaxpr_as_fun

    from .numerics import double_precision
    from .tracing.passes import simplify

    function = jaxpr_as_fun(trace.jaxpr)
    x = jax.ShapeDtypeStruct((trace.n,), np.float64)

    def both(x: Any) -> tuple[Any, Any]:
        values = jnp.reshape(function(x)[0], (-1,))
        return jnp.sum(values**2), values

    with double_precision():
        summed = jax.make_jaxpr(lambda x: both(x)[0])(x)
        return simplify(summed, keep_derivatives=True), simplify(jax.make_jaxpr(both)(x))


# Balances truncation, h², against rounding, ε/h, in a central difference (Nocedal & Wright 2006, eq. 8.8).
CENTRAL_STEP = EPS ** (1 / 3)


class MeasuredVector:
    """A function that cannot be traced; its Jacobian is measured by central differences, inside the bounds.

    Each call of it is counted in `calls`, which several such functions may share.
    """

    derivatives = "numeric"
    curvature = None

    def __init__(
        self, function: Callable[[Vector], Any], bounds: Bounds, label: str, calls: Calls | None = None
    ) -> None:
        self._function = function
        self._bounds = bounds
        self._label = label
        self.calls: Calls | None = Calls() if calls is None else calls

    def values(self, x: Vector) -> Vector:
        """The values, shape (m,)."""
        assert self.calls is not None
        self.calls.count()
        return returned.residuals(self._function(x), self._label)

    def has_curvature_at_hand(self) -> bool:
        """There is none."""
        return False

    def both(self, x: Vector) -> tuple[Vector, Matrix]:
        """The values, shape (m,), and 2n further evaluations for the Jacobian, shape (m, n)."""
        values = self.values(x)
        jacobian = np.empty((values.size, x.size))
        for j in range(x.size):
            step = CENTRAL_STEP * max(abs(x[j]), CENTRAL_STEP)
            up, down = x.copy(), x.copy()
            up[j] = min(x[j] + step, self._bounds.upper[j])
            down[j] = max(x[j] - step, self._bounds.lower[j])
            width = up[j] - down[j]
            jacobian[:, j] = (self.values(up) - self.values(down)) / width if width > 0 else 0.0
        return values, jacobian


class SuppliedVector:
    """Values and Jacobian by functions of the user's own."""

    derivatives = "supplied"
    curvature = None
    calls: Calls | None = None

    def __init__(
        self, function: Callable[[Vector], Any], jacobian: Callable[[Vector], Any], label: str
    ) -> None:
        self._function = function
        self._jacobian = jacobian
        self._label = label

    def values(self, x: Vector) -> Vector:
        """The values, shape (m,)."""
        return returned.residuals(self._function(x), self._label)

    def has_curvature_at_hand(self) -> bool:
        """There is none."""
        return False

    def both(self, x: Vector) -> tuple[Vector, Any]:
        """The values, shape (m,), and the Jacobian, shape (m, n), dense or sparse."""
        values = self.values(x)
        jacobian = self._jacobian(x)
        # Copied: it is kept with its point, and the user's function may write the next one into the same array.
        copied = jacobian.copy() if hasattr(jacobian, "tocsr") else returned.numbers(jacobian, "jac")
        shape = (values.size, x.size)
        if copied.shape != shape and copied.size == values.size * x.size and 1 in (*shape, copied.ndim):
            copied = copied.reshape(shape)
        if copied.shape != shape:
            raise InputError(
                f"jac returns an array of shape {copied.shape} for {counted(values.size, 'residual')} of "
                f"{counted(x.size, 'parameter')}; its shape must be {shape}, a row for each residual"
            )
        return values, copied


class StackedVector:
    """Several functions, one under the other; part k sees the parameters `columns[k]` of x."""

    def __init__(self, parts: Sequence[VectorFunction], columns: Sequence[np.ndarray]) -> None:
        self.parts = tuple(parts)
        self.columns = tuple(columns)
        self.derivatives = next((part.derivatives for part in parts if part.derivatives != "exact"), "exact")
        self.calls = next((part.calls for part in parts if part.calls is not None), None)

    def values(self, x: Vector) -> Vector:
        """The values of all parts, shape (m,)."""
        return np.concatenate(
            [part.values(x[own]) for part, own in zip(self.parts, self.columns, strict=True)]
        )

    def both(self, x: Vector) -> tuple[Vector, Matrix]:
        """The values, shape (m,), and their Jacobian, shape (m, n), zero where a part does not see a parameter."""
        found = [part.both(x[own]) for part, own in zip(self.parts, self.columns, strict=True)]
        values = np.concatenate([value for value, _ in found])
        jacobian = np.zeros((values.size, x.size))
        row = 0
        for (value, block), own in zip(found, self.columns, strict=True):
            jacobian[row : row + value.size, own] = block
            row += value.size
        return values, jacobian

    @property
    def curvature(self) -> Callable[[Vector, Vector], Matrix] | None:
        """`(x, u) ↦ Σ uᵢ∇²fᵢ`, shape (n, n); None unless every part has one."""
        return self._curvature if all(part.curvature is not None for part in self.parts) else None

    def has_curvature_at_hand(self) -> bool:
        """Whether a first call of `curvature` that makes its program is no longer due."""
        return all(part.has_curvature_at_hand() for part in self.parts)

    def closer(self) -> VectorFunction | None:
        """The same with the differential equations of each part followed closer; None where no part has one."""
        found = [part.closer() if isinstance(part, TracedVector) else None for part in self.parts]
        if all(part is None for part in found):
            return None
        return StackedVector([new or old for new, old in zip(found, self.parts, strict=True)], self.columns)

    def _curvature(self, x: Vector, u: Vector) -> Matrix:
        total = np.zeros((x.size, x.size))
        row = 0
        for part, own in zip(self.parts, self.columns, strict=True):
            m = part.values(x[own]).size
            assert part.curvature is not None
            total[np.ix_(own, own)] += part.curvature(x[own], u[row : row + m])
            row += m
        return total


# -- which parameters move ---------------------------------------------------------------------------------


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


# -- losses ------------------------------------------------------------------------------------------------

Rho = Callable[[Vector], tuple[Vector, Vector, Vector]]


def _soft_l1(z: Vector) -> tuple[Vector, Vector, Vector]:
    root = np.sqrt(1.0 + z)
    return 2.0 * (root - 1.0), 1.0 / root, -0.5 / root**3


def _huber(z: Vector) -> tuple[Vector, Vector, Vector]:
    inside = z <= 1.0
    root = np.sqrt(np.where(inside, 1.0, z))
    return (
        np.where(inside, z, 2.0 * root - 1.0),
        np.where(inside, 1.0, 1.0 / root),
        np.where(inside, 0.0, -0.5 / root**3),
    )


def _cauchy(z: Vector) -> tuple[Vector, Vector, Vector]:
    t = 1.0 + z
    return np.log1p(z), 1.0 / t, -1.0 / t**2


def _arctan(z: Vector) -> tuple[Vector, Vector, Vector]:
    t = 1.0 + z * z
    return np.arctan(z), 1.0 / t, -2.0 * z / t**2


# ρ(z), ρ'(z), ρ''(z) of z = (residual / f_scale)², under SciPy's names.
LOSSES: dict[str, Rho | None] = {
    "linear": None,
    "soft_l1": _soft_l1,
    "huber": _huber,
    "cauchy": _cauchy,
    "arctan": _arctan,
}


def loss_of(loss: Any) -> Rho | None:
    """The loss of that name, or a function z ↦ (ρ, ρ', ρ''), as in SciPy; None for plain squares."""
    if callable(loss):

        @functools.wraps(loss)
        def own(z: Vector) -> tuple[Vector, Vector, Vector]:
            value, slope, bend = (np.asarray(part, dtype=np.float64) for part in loss(z))
            return value, slope, bend

        return own
    if loss not in LOSSES:
        raise InputError(
            f"loss={loss!r}; choose one of {', '.join(map(repr, LOSSES))}, or give a function of z = (r/f_scale)² "
            "that returns ρ(z), ρ'(z) and ρ''(z)"
        )
    return LOSSES[loss]


# The bend of a loss must stay positive for its Gauss-Newton model to have a bottom; below this part it is cut.
LEAST_BEND = EPS


def _mean_bend(bend: Vector) -> float:
    """The mean of ψ' over the points; where it is not positive, as at no minimum, that of the positive ones."""
    mean = float(bend.mean())
    return mean if mean > 0.0 else float(np.maximum(bend, LEAST_BEND).mean())


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
        return float(pull.dot(pull)) / degrees / _mean_bend(bend)

    def overstated(self, r: Vector) -> float:
        """By which factor JᵀJ of `linearised` is too large, on the whole, since bends below zero are cut there."""
        if self.rho is None:
            return 1.0
        _, bend = self._pulls(r)
        return float(np.maximum(bend, LEAST_BEND).mean()) / _mean_bend(bend)

    def _pulls(self, r: Vector) -> tuple[Vector, Vector]:
        """By what each residual pulls, ψ(r) = rρ'(z), and how that grows with it, ψ'(r), each (m,)."""
        assert self.rho is not None
        z2 = (r / self.scale) ** 2
        _, slope, bend = self.rho(z2)
        return r * slope, slope + 2.0 * bend * z2

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
