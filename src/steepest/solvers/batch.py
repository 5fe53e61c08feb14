"""Levenberg-Marquardt for thousands of small fits at once: one compiled loop, finished members set aside.

Every member has its own damping and stops by itself. Normal equations serve here: they keep half the digits, which is
what an answer to a millionth of its error bar needs, and a written-out Cholesky factor of a few rows is far quicker
than a call for each member.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .chunks import advancing, everyone, one_pass, walk

# Members in one call. More, and what a call works on leaves the cache; fewer, and the calls themselves cost.
CHUNK = 256

# Finished when the next step would gain less than this part of the cost: it moves no parameter by more than some
# thousandth of its standard error, and is taken all the same.
TOLERANCE = 1e-9

# The first damping, in units of the curvature along each parameter, and how it changes (Marquardt 1963).
FIRST_DAMPING = 1e-3
LESS, MORE = 0.1, 4.0
LEAST_DAMPING, MOST_DAMPING = 1e-15, 1e12

# A step is taken when it gains this part of the promise; a good one lowers the damping.
WORTH_TAKING, GOOD = 1e-4, 0.25

# Pivots of JᵀJ, scaled to ones on its diagonal, below this are rounding: the data do not determine a combination.
SMALLEST_PIVOT = 1e-13

# Up to this many parameters the Cholesky factor is written out; beyond, the program would grow too long.
WRITTEN_OUT = 10


class Members(NamedTuple):
    """The state of b fits of n parameters; a leading axis b everywhere.

    `theta` (n,), `cost`, `slope` Jᵀr (n,), `gram` JᵀJ (n, n), `scale` (n,) largest curvature met, `damping`, `step`
    (n,) the next one and its `promise`, `done`, `steps` taken so far.
    """

    theta: Any
    cost: Any
    slope: Any
    gram: Any
    scale: Any
    damping: Any
    step: Any
    promise: Any
    done: Any
    steps: Any


class Program:
    """The compiled loop for one model; `residual(theta (n,), data)` gives r (m,) for one member.

    `data`: a tuple of arrays with a leading axis over members. `bounded`: whether lower and upper bounds are kept.
    """

    def __init__(self, residual: Callable[[Any, Any], Any], n: int, bounded: bool) -> None:
        import jax

        self.n = n
        self._advance = jax.jit(advancing(everyone(_trial(residual, n, bounded))))

    def run(
        self,
        theta: np.ndarray,
        data: tuple[np.ndarray, ...],
        bounds: tuple[np.ndarray, np.ndarray],
        max_steps: int,
        tell: Callable[[int], None] | None = None,
    ) -> tuple[Members, np.ndarray, np.ndarray]:
        """Walk all members from `theta` (b, n); gives their end states, inverse JᵀJ (b, n, n), and smallest pivots."""
        state = _before(np.clip(theta, *bounds))
        walk(self._advance, state, data, bounds, max_steps, CHUNK, tell)
        inverse, pivot = _inverses(state.gram)
        return state, inverse, pivot

    def costs(
        self, theta: np.ndarray, data: tuple[np.ndarray, ...], bounds: tuple[np.ndarray, np.ndarray]
    ) -> np.ndarray:
        """The cost of each member at `theta` (b, n), shape (b,): one evaluation and no step."""
        state = _before(np.clip(theta, *bounds))
        one_pass(self._advance, state, np.arange(theta.shape[0]), data, bounds, 0, CHUNK, False)
        return np.where(np.isfinite(state.cost), state.cost, np.inf)


def _before(theta: np.ndarray) -> Members:
    """The state before anything was evaluated: the first trial is the start itself, and is always taken."""
    b, n = theta.shape
    return Members(
        np.array(theta),
        np.full(b, np.inf),
        np.zeros((b, n)),
        np.zeros((b, n, n)),
        np.zeros((b, n)),
        np.full(b, FIRST_DAMPING / LESS),
        np.zeros((b, n)),
        np.ones(b),
        np.zeros(b, dtype=bool),
        np.full(b, -1),
    )


def _evaluation(residual: Any, n: int) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
    """θ ↦ (rᵀr, Jᵀr, JᵀJ) of one member."""

    def evaluate(theta: Any, data: Any) -> tuple[Any, Any, Any]:
        import jax

        def own(t: Any) -> Any:
            return residual(t, data)

        r, rows = jax.vmap(lambda v: jax.jvp(own, (theta,), (v,)), out_axes=(None, 0))(np.eye(n))
        return r @ r, rows @ r, rows @ rows.T

    return evaluate


def _aim(
    theta: Any, slope: Any, gram: Any, scale: Any, damping: Any, bounds: Any, n: int, bounded: bool
) -> tuple[Any, Any]:
    """The damped step -(JᵀJ + λD)⁻¹Jᵀr inside the bounds, and the decrease its model promises."""
    import jax.numpy as jnp

    # A parameter without any effect has no scale; one keeps its row from being singular, and it stays where it is.
    weight = jnp.where(scale > 0.0, scale, 1.0)
    g, A = slope, gram
    if bounded:
        lower, upper = bounds
        free = ~(((theta <= lower) & (g > 0.0)) | ((theta >= upper) & (g < 0.0)))
        g = jnp.where(free, g, 0.0)
        A = jnp.where(free[:, None] & free[None, :], A, 0.0) + jnp.diag(jnp.where(free, 0.0, weight))
    root = jnp.sqrt(weight)
    scaled = A / (root[:, None] * root[None, :]) + damping * jnp.eye(n)
    factor = _cholesky(scaled, n, jnp)
    step = -_solved(factor, g / root, n, jnp) / root
    if bounded:
        step = jnp.clip(theta + step, lower, upper) - theta
    promise = -(2.0 * (g @ step) + step @ (gram @ step))
    return step, promise


def _trial(residual: Any, n: int, bounded: bool) -> Callable[[Members, Any, Any], Members]:
    """One trial of one member."""
    evaluate = _evaluation(residual, n)

    def once(state: Members, data: Any, bounds: Any) -> Members:
        """One trial of one member: taken or not, then aimed anew."""
        import jax.numpy as jnp

        trial = state.theta + state.step
        cost, slope, gram = evaluate(trial, data)
        fell = state.cost - cost
        sound = jnp.isfinite(cost) & jnp.isfinite(gram).all()
        taken = sound & (fell >= WORTH_TAKING * state.promise) & (state.promise > 0.0)

        def pick(new: Any, old: Any) -> Any:
            return jnp.where(taken, new, old)

        theta, cost = pick(trial, state.theta), pick(cost, state.cost)
        slope, gram = pick(slope, state.slope), pick(gram, state.gram)
        scale = jnp.maximum(state.scale, jnp.diagonal(gram))
        good = fell > GOOD * state.promise
        damping = jnp.where(taken, jnp.where(good, LESS, 1.0), MORE) * state.damping
        damping = jnp.clip(damping, LEAST_DAMPING, MOST_DAMPING)
        step, promise = _aim(theta, slope, gram, scale, damping, bounds, n, bounded)
        # A step refused at the largest damping leads nowhere; a promise that is no number neither.
        stuck = (~taken & (damping >= MOST_DAMPING)) | ~jnp.isfinite(promise)
        done = stuck | (promise <= TOLERANCE * cost) | ~jnp.isfinite(cost)
        return Members(theta, cost, slope, gram, scale, damping, step, promise, done, state.steps + 1)

    return once


def _inverses(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(JᵀJ)⁻¹ of all members, (b, n, n), and the smallest pivot of each JᵀJ with ones on its diagonal, (b,)."""
    n = gram.shape[1]
    size = np.einsum("bii->ib", gram)
    root = np.sqrt(np.where(size > 0.0, size, 1.0))
    with np.errstate(all="ignore"):
        A = np.moveaxis(gram, 0, -1) / (root[:, None] * root[None, :])
        if n > WRITTEN_OUT:
            return _inverses_by_lapack(A, root)
        factor = _cholesky(A, n, np)
        inverse = np.empty_like(A)
        for k in range(n):
            inverse[:, k] = _solved(factor, np.eye(n)[k][:, None] + np.zeros((1, gram.shape[0])), n, np)
        pivot = np.minimum.reduce([factor[i][i] for i in range(n)]) ** 2
        return np.moveaxis(inverse / (root[:, None] * root[None, :]), -1, 0), pivot


def _inverses_by_lapack(A: np.ndarray, root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    matrices = np.moveaxis(np.nan_to_num(A), -1, 0)
    values, axes = np.linalg.eigh(matrices)
    kept = np.maximum(values, 1e-2 * SMALLEST_PIVOT)
    inverse = np.einsum("bij,bj,bkj->bik", axes, 1.0 / kept, axes)
    return inverse / np.moveaxis(root[:, None] * root[None, :], -1, 0), values[:, 0]


def _cholesky(A: Any, n: int, xp: Any) -> Any:
    """L with A = LLᵀ, (n, n), by JAX or NumPy, `xp`; A may have further axes behind.

    A pivot that is not positive becomes tiny, so that nothing turns into NaN.
    """
    if n > WRITTEN_OUT:
        L = xp.linalg.cholesky(A)
        return xp.where(xp.isfinite(L).all(), L, xp.eye(n) * xp.sqrt(SMALLEST_PIVOT))
    rows: list[list[Any]] = []
    for i in range(n):
        row: list[Any] = []
        for j in range(i + 1):
            total = A[i, j]
            for k in range(j):
                total = total - row[k] * (rows[j][k] if j < i else row[k])
            row.append(xp.sqrt(xp.maximum(total, 1e-2 * SMALLEST_PIVOT)) if j == i else total / rows[j][j])
        rows.append(row)
    return rows


def _solved(L: Any, b: Any, n: int, xp: Any) -> Any:
    """(LLᵀ)⁻¹ b, shape (n,)."""
    if n > WRITTEN_OUT:
        import jax

        return jax.scipy.linalg.cho_solve((L, True), b)
    z: list[Any] = []
    for i in range(n):
        total = b[i]
        for k in range(i):
            total = total - L[i][k] * z[k]
        z.append(total / L[i][i])
    x: list[Any] = [None] * n
    for i in reversed(range(n)):
        total = z[i]
        for k in range(i + 1, n):
            total = total - L[k][i] * x[k]
        x[i] = total / L[i][i]
    return xp.stack(x)
