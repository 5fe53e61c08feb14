"""The lowest point as a function of what the cost depends on besides, with its exact derivative."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .errors import InputError, NotAMinimumError
from .minimize import minimize
from .parameters import Parameters
from .results import Result

Vector = np.ndarray

# Up to this many numbers in x and theta together all second derivatives are asked for at once; beyond, product by
# product, which needs less memory.
AT_ONCE = 500

# The derivative of the answer is a matrix; one of more entries than this does not fit where it has to.
MOST_ENTRIES = 50_000_000


def argmin(
    fun: Callable[..., Any],
    x0: Any,
    *,
    method: Any = "auto",
    bounds: Any = None,
    tol: float | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> ArgMin:
    """The `x` that makes `fun(x, theta)` lowest, as a function of `theta` that can be differentiated.

    Called with NumPy values, the function gives NumPy values, and its `jacobian(theta)` the derivative of the answer.
    Called with JAX values it is a JAX function: `jax.grad`, `jax.jacobian`, `jax.jit` and `jax.vmap` go through it, but
    not twice. The derivative is that of the implicit function theorem, dx/dθ = -(∂²f/∂x²)⁻¹ ∂²f/∂x∂θ at the answer,
    whatever the way there was; parameters held by a bound do not move.

    Parameters
    ----------
    fun : the cost `fun(x, theta)`, in NumPy or JAX; it has to be traceable.
    x0 : where each walk begins; any structure `minimize` takes.
    method, bounds, tol, options, seed : as for `minimize`.

    Raises
    ------
    NotAMinimumError : no minimum was found, or it is not the only one nearby, so that it has no derivative.

    >>> nearest = argmin(lambda x, theta: (x - theta) ** 2 + 0.1 * x**4, 0.0)
    >>> x, slope = nearest(2.0), nearest.jacobian(2.0)
    >>> round(x, 6), round(float(slope), 6), round(1 / (1 + 0.6 * x**2), 6)  # from 2(x - θ) + 0.4x³ = 0
    (1.423318, 0.451365, 0.451365)
    """
    if not callable(fun):
        raise InputError(f"argmin takes a function fun(x, theta), not {fun!r}")
    settings = {"method": method, "bounds": bounds, "tol": tol, "options": options, "seed": seed}
    return ArgMin(fun, x0, settings)


class ArgMin:
    """The function `argmin` gives: call it with theta; `jacobian` and `result` tell more of one theta."""

    def __init__(self, fun: Callable[..., Any], x0: Any, settings: Mapping[str, Any]) -> None:
        self.fun, self.x0, self.settings = fun, x0, dict(settings)
        self._unknowns = Parameters.of(x0, "x")

    def __call__(self, theta: Any) -> Any:
        """The answer for `theta`, in the structure of x0."""
        if _is_of_jax(theta):
            return self._in_jax(theta)
        return self.result(theta).raise_if_failed().x

    def result(self, theta: Any) -> Result:
        """The whole result of the minimisation for `theta`, NumPy values."""
        return minimize(self.fun, self.x0, (theta,), **self.settings)

    def jacobian(self, theta: Any) -> Any:
        """The derivative of the answer by `theta`: an array of the shape of x, then of theta.

        Where x or theta is a dict or another structure, it is the structure of x that holds structures of theta.
        """
        given = Parameters.of(theta, "theta")
        matrix = self._derivative(theta, given)
        blocks = []
        for row in self._unknowns.leaves:
            pieces = (
                matrix[row.start : row.stop, column.start : column.stop].reshape(row.shape + column.shape)
                for column in given.leaves
            )
            blocks.append(given.build(pieces))
        return self._unknowns.build(iter(blocks))

    def _derivative(self, theta: Any, given: Parameters) -> np.ndarray:
        """dx/dθ on flat vectors, (n, p)."""
        from .budget import Budget
        from .problem import pose

        result = self.result(theta).raise_if_failed()
        n, p = self._unknowns.n, given.n
        if n * p > MOST_ENTRIES:
            raise InputError(
                f"the derivative of {n:,} parameters by {p:,} numbers does not fit in memory; make theta smaller"
            )
        x = self._unknowns.flatten(result.x)
        problem = pose(
            self.fun, self.x0, (theta,), jac=None, hess=None, bounds=self.settings["bounds"], fixed=None,
            derivatives="exact", budget=Budget(),
        )  # fmt: skip
        _, gradient = problem.objective.value_and_gradient(x)
        free = np.flatnonzero(problem.objective.bounds.free(x, gradient))
        H, C = self._second_derivatives(np.concatenate([x, given.vector]), theta, n)
        found = np.zeros((n, p))
        size = np.sqrt(np.maximum(np.abs(np.diag(H))[free], np.finfo(float).tiny))
        inner = H[np.ix_(free, free)] / size[:, None] / size
        try:
            factor = np.linalg.cholesky(0.5 * (inner + inner.T))
            if (np.diag(factor) ** 2 < 1e-13).any():
                raise np.linalg.LinAlgError
        except np.linalg.LinAlgError:
            raise NotAMinimumError(
                "the minimum has a direction without curvature, so it has no derivative; fix a parameter or add a "
                "small penalty to make it the only one",
                result,
            ) from None
        half = np.linalg.solve(factor, -C[free] / size[:, None])
        found[free] = np.linalg.solve(factor.T, half) / size[:, None]
        return found

    def _second_derivatives(self, z: Vector, theta: Any, n: int) -> tuple[np.ndarray, np.ndarray]:
        """∂²f/∂x² (n, n) and ∂²f/∂x∂θ (n, p) at z = (x, θ)."""
        from .traced import evaluation
        from .tracing.trace import trace

        traced = trace(self.fun, Parameters.of((self.x0, theta)), style="unpacked")
        if z.size <= AT_ONCE:
            whole = np.asarray(evaluation(traced, "hessian")(z)[0])[:n]
        else:
            product = evaluation(traced, "hessian_product")
            columns = [product(z, unit)[0][:n] for unit in np.eye(z.size)]
            whole = np.stack(columns, axis=1)
        return whole[:, :n], whole[:, n:]

    # -- under JAX -----------------------------------------------------------------------------------------------

    def _in_jax(self, theta: Any) -> Any:
        """The same as a JAX function: both the answer and its derivative are computed outside, in double precision."""
        import jax
        import jax.numpy as jnp

        theta = jax.tree_util.tree_map(lambda leaf: jnp.asarray(leaf, dtype=float), theta)
        leaves, tree = jax.tree_util.tree_flatten(theta)
        rows = [np.asarray(leaf, dtype=int) for leaf in self._places()]
        answer = jax.tree_util.tree_structure(self._unknowns.restore(np.zeros(self._unknowns.n)))
        kind = jnp.zeros(()).dtype

        def solve(values: Any) -> list[np.ndarray]:
            x = self.result(_plain(tree, values)).raise_if_failed().x
            flat = self._unknowns.flatten(x)
            return [flat[row].astype(kind) for row in rows]

        def slopes(values: Any) -> list[list[np.ndarray]]:
            plain = _plain(tree, values)
            given = Parameters.of(plain, "theta")
            matrix = self._derivative(plain, given)
            columns = [
                np.asarray(c, int) for c in jax.tree_util.tree_leaves(given.restore(np.arange(given.n) * 1.0))
            ]
            return [[matrix[row[..., None], c.ravel()].reshape(row.shape + c.shape).astype(kind) for c in columns]
                    for row in rows]  # fmt: skip

        shapes = [jax.ShapeDtypeStruct(row.shape, kind) for row in rows]
        blocks = [[jax.ShapeDtypeStruct(row.shape + leaf.shape, kind) for leaf in leaves] for row in rows]

        @jax.custom_jvp
        def lowest(values: Any) -> Any:
            return jax.pure_callback(solve, shapes, values, vmap_method="sequential")

        @lowest.defjvp
        def _(primals: Any, tangents: Any) -> Any:
            (values,), (changes,) = primals, tangents
            matrix = jax.pure_callback(slopes, blocks, values, vmap_method="sequential")
            moved = [
                sum(
                    jnp.tensordot(block, change, axes=change.ndim)
                    for block, change in zip(line, changes, strict=True)
                )
                for line in matrix
            ]
            return lowest(values), moved

        return jax.tree_util.tree_unflatten(answer, lowest(leaves))

    def _places(self) -> list[Any]:
        """Where each JAX leaf of the answer lies in the flat vector; JAX orders a dict by its keys."""
        import jax

        return list(jax.tree_util.tree_leaves(self._unknowns.restore(np.arange(self._unknowns.n) * 1.0)))


def _plain(tree: Any, values: Any) -> Any:
    """The values JAX hands over as a structure of NumPy numbers in double precision."""
    import jax

    return jax.tree_util.tree_unflatten(tree, [_number(value) for value in values])


def _number(value: Any) -> Any:
    array = np.asarray(value, dtype=np.float64)
    return float(array) if array.ndim == 0 else array


def _is_of_jax(theta: Any) -> bool:
    """Whether a value, or any part of one, is JAX's; JAX is not imported to find out."""
    jax = sys.modules.get("jax")
    if jax is None:
        return False
    return any(isinstance(leaf, jax.Array) for leaf in jax.tree_util.tree_leaves(theta))
