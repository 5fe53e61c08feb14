"""Functions with many values and their Jacobians: traced, measured by differences, supplied, or stacked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from . import returned
from .bounds import Bounds, Vector
from .budget import Calls
from .errors import InputError
from .numerics import EPS
from .objective import Matrix
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
