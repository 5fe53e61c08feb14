"""Newton's method for thousands of small minimisations at once: one compiled loop, finished members set aside.

Some tens or hundreds of members do not earn back the second or more that the loop takes to compile; for them the same
step is written out as NumPy operations on all members together. Each member has its own damping and stops by itself. A
step solves (H + λD)p = -g with a written-out LDLᵀ factor whose pivots are made positive, so that it goes down wherever
the cost bends down, too (Nocedal & Wright, "Numerical Optimization", 2006, section 3.4).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..numerics import EPS, double_precision
from .chunks import StoppedWithinError, advancing, everyone, walk

# Members in one call. More, and what a call works on leaves the cache; fewer, and the calls themselves cost.
CHUNK = 512

# The first damping, in units of the curvature along each parameter, and how it changes.
FIRST_DAMPING = 1e-3
LESS, MORE = 0.1, 4.0
LEAST_DAMPING, MOST_DAMPING = 1e-12, 1e12

# A step is taken when it gains this part of the promise; a good one lowers the damping.
WORTH_TAKING, GOOD = 1e-4, 0.5

# Finished when the next step promises less than this part of rounding, in the cost or in what was gained so far; that
# step is taken all the same, and squares the error that is left.
FINISHED = 1e-3

# The last step is taken without a look at the cost when it moves each parameter by less than this part of it.
UNSEEN = 1e-5

# Pivots of H, scaled to ones on its diagonal, are kept at least so far from zero.
SMALLEST_PIVOT = 1e-8

# Up to this many parameters the factor is written out; beyond, the program would grow too long.
WRITTEN_OUT = 8

# Rounds of steps that a batch is expected to need, and how many times what is foreseen the loop takes to compile: a
# loop holds everything twice and measured 6 to 10 times as dear as its equations one by one.
ROUNDS, COMPILE_LOOP = 50, 8.0


class Members(NamedTuple):
    """The state of b minimisations of n parameters; a leading axis b everywhere.

    `x` (n,), `cost`, `first` the cost at the start, `gradient` (n,), `hessian` (n, n), `scale` (n,) largest curvature
    met, `damping`, `step` (n,) the next one and its `promise`, `done`, `steps` tried so far.
    """

    x: Any
    cost: Any
    first: Any
    gradient: Any
    hessian: Any
    scale: Any
    damping: Any
    step: Any
    promise: Any
    done: Any
    steps: Any


class Program:
    """The compiled loop for one cost; `cost(x (n,), data)` gives a number for one member.

    `data`: a tuple of arrays with a leading axis over members. `bounded`: whether lower and upper bounds are kept.
    `remaining`: a member is finished too when the next step promises less than this part of what it gained.
    """

    def __init__(
        self, cost: Callable[[Any, Any], Any], n: int, bounded: bool, remaining: float = 0.0
    ) -> None:
        import jax

        self._everyone = everyone(_trial(cost, n, bounded, remaining))
        self._advance = jax.jit(advancing(self._everyone))
        self._written: dict[int, Callable[..., Any] | None] = {}

    def run(
        self,
        x: np.ndarray,
        data: tuple[np.ndarray, ...],
        bounds: tuple[np.ndarray, np.ndarray],
        max_steps: int,
    ) -> Members:
        """Walk all members from `x` (b, n), at most `max_steps` trials each; gives their end states."""
        found = self.uncompiled(x, data, bounds, max_steps)
        if found is not None:
            return found
        state = before(np.clip(x, *bounds))
        walk(self._advance, state, data, bounds, max_steps, CHUNK)
        return state

    def uncompiled(
        self,
        x: np.ndarray,
        data: tuple[np.ndarray, ...],
        bounds: tuple[np.ndarray, np.ndarray],
        max_steps: int,
        stragglers: float = 0.0,
    ) -> Members | None:
        """As `run`, by NumPy; None where the compiled loop is the quicker, or NumPy cannot.

        Ends when at most the part `stragglers` of the members is unfinished. Ctrl-C raises `StoppedWithinError`, a
        `KeyboardInterrupt` that knows where the batch stood.
        """
        state = before(np.clip(x, *bounds))
        step = self._step(state, data, bounds) if len(x) <= CHUNK else None
        if step is None:
            return None
        allowed = int(stragglers * len(x))
        try:
            for _ in range(max_steps + 1):
                if int((~state.done).sum()) <= allowed:
                    break
                state = Members(*step(*state, *data, *bounds))
        except KeyboardInterrupt:
            raise StoppedWithinError(state) from None
        return Members(*[np.array(part) for part in state])

    def _step(self, state: Members, data: Any, bounds: Any) -> Callable[..., Any] | None:
        """One round for a batch of this size, as NumPy operations; None where it is not to be had, or not worth it."""
        count = state.done.size
        if count not in self._written:
            import jax

            from ..derivatives.costs import foresee
            from ..derivatives.interpreted import NoRule, interpret
            from ..tracing.passes import simplify

            width, parts = len(state), len(data)

            def flat(*arrays: Any) -> Any:
                own, rest, box = arrays[:width], arrays[width : width + parts], arrays[width + parts :]
                return tuple(self._everyone(Members(*own), rest, box))

            shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in (*state, *data, *bounds)]
            with double_precision():
                jaxpr = simplify(jax.make_jaxpr(flat)(*shapes), keep_derivatives=True)
            foreseen = foresee(jaxpr)
            self._written[count] = None
            if ROUNDS * foreseen.saving <= COMPILE_LOOP * foreseen.compiling:
                with contextlib.suppress(NoRule):
                    self._written[count] = interpret(jaxpr)
        return self._written[count]


def before(x: np.ndarray) -> Members:
    """The state before anything was evaluated: the first trial is the start itself, and is always taken."""
    b, n = x.shape
    return Members(
        np.array(x),
        np.full(b, np.inf),
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


def _evaluation(cost: Any, n: int) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
    """x ↦ (f, ∇f, ∇²f) of one member: the gradient pushed forward along every coordinate."""

    def evaluate(x: Any, data: Any) -> tuple[Any, Any, Any]:
        import jax

        from ..derivatives.exact import puller

        pulled = puller(jax.make_jaxpr(cost)(x, data))

        def both(x: Any) -> tuple[Any, Any]:
            value, pull_back = pulled(lambda x: cost(x, data), x)
            return pull_back(jax.lax.full_like(value, 1.0))[0], value

        def along(v: Any) -> tuple[Any, Any, Any]:
            gradient, change, value = jax.jvp(both, (x,), (v,), has_aux=True)
            return value, gradient, change

        return jax.vmap(along, out_axes=(None, None, 0))(np.eye(n))

    return evaluate


def _aim(
    x: Any, g: Any, H: Any, scale: Any, damping: Any, bounds: Any, n: int, bounded: bool
) -> tuple[Any, Any]:
    """The damped step inside the bounds, and the decrease that the quadratic with positive pivots promises."""
    import jax.numpy as jnp

    weight = jnp.where(scale > 0.0, scale, 1.0)
    slope, curvature = g, H
    if bounded:
        lower, upper = bounds
        free = ~(((x <= lower) & (g > 0.0)) | ((x >= upper) & (g < 0.0)))
        slope = jnp.where(free, g, 0.0)
        curvature = jnp.where(free[:, None] & free[None, :], H, 0.0) + jnp.diag(jnp.where(free, 0.0, weight))
    root = jnp.sqrt(weight)
    scaled = curvature / (root[:, None] * root[None, :]) + damping * jnp.eye(n)
    step = -_solved(scaled, slope / root, n) / root
    if bounded:
        step = jnp.clip(x + step, lower, upper) - x
    # By the quadratic; at least a quarter of what the slope says, where pivots were turned. Negative where the bounds
    # cut a step so that it no longer goes down: it is refused, and more damping turns it towards the slope.
    along = -(slope @ step)
    return step, jnp.maximum(along - 0.5 * jnp.maximum(step @ (curvature @ step), 0.0), 0.25 * along)


def _solved(A: Any, b: Any, n: int) -> Any:
    """A⁻¹b with the pivots of A made positive, (n,)."""
    import jax.numpy as jnp

    if n > WRITTEN_OUT:
        values, axes = jnp.linalg.eigh(jnp.where(jnp.isfinite(A), A, 0.0))
        return axes @ ((axes.T @ b) / jnp.maximum(jnp.abs(values), SMALLEST_PIVOT))
    L: list[list[Any]] = []
    d: list[Any] = []
    for i in range(n):
        row: list[Any] = []
        for j in range(i):
            total = A[i, j]
            for k in range(j):
                total = total - row[k] * L[j][k] * d[k]
            row.append(total / d[j])
        pivot = A[i, i]
        for k in range(i):
            pivot = pivot - row[k] * row[k] * d[k]
        d.append(jnp.maximum(jnp.abs(pivot), SMALLEST_PIVOT))
        L.append(row)
    z: list[Any] = []
    for i in range(n):
        total = b[i]
        for k in range(i):
            total = total - L[i][k] * z[k]
        z.append(total)
    x: list[Any] = [None] * n
    for i in reversed(range(n)):
        total = z[i] / d[i]
        for k in range(i + 1, n):
            total = total - L[k][i] * x[k]
        x[i] = total
    return jnp.stack(x)


def _trial(cost: Any, n: int, bounded: bool, remaining: float) -> Callable[[Members, Any, Any], Members]:
    """One trial of one member."""
    evaluate = _evaluation(cost, n)

    def once(state: Members, data: Any, bounds: Any) -> Members:
        """One trial of one member: taken or not, then aimed anew."""
        import jax.numpy as jnp

        trial = state.x + state.step
        if bounded:
            trial = jnp.clip(trial, *bounds)
        value, gradient, hessian = evaluate(trial, data)
        begins = state.steps < 0
        first = jnp.where(begins, value, state.first)
        fell = state.cost - value
        # Differences of costs are worth no more than their rounding.
        rounding = 4.0 * EPS * jnp.abs(value)
        sound = jnp.isfinite(value) & jnp.isfinite(gradient).all() & jnp.isfinite(hessian).all()
        enough = (fell >= WORTH_TAKING * state.promise - rounding) & (state.promise >= 0.0)
        taken = sound & (begins | enough)

        def pick(new: Any, old: Any) -> Any:
            return jnp.where(taken, new, old)

        x, kept = pick(trial, state.x), pick(value, state.cost)
        gradient, hessian = pick(gradient, state.gradient), pick(hessian, state.hessian)
        scale = jnp.maximum(state.scale, jnp.abs(hessian[np.arange(n), np.arange(n)]))
        good = begins | (fell > GOOD * state.promise)
        damping = jnp.where(taken, jnp.where(good, LESS, 1.0), MORE) * state.damping
        damping = jnp.clip(damping, LEAST_DAMPING, MOST_DAMPING)
        step, promise = _aim(x, gradient, hessian, scale, damping, bounds, n, bounded)
        gained = jnp.maximum(first - kept, 0.0)
        limit = jnp.maximum(FINISHED * EPS * jnp.maximum(jnp.abs(kept), gained), remaining * gained)
        # A step refused at the largest damping leads nowhere; a promise that is no number neither.
        stuck = (~taken & (damping >= MOST_DAMPING)) | ~jnp.isfinite(promise)
        finished = taken & (promise <= limit) & (promise >= 0.0)
        done = stuck | finished | ~jnp.isfinite(kept)
        # The last step is taken unseen where it is small and gains less than the cost could tell.
        unseen = finished & (jnp.abs(step) <= UNSEEN * jnp.abs(x)).all()
        return Members(
            jnp.where(unseen, x + step, x), kept, first, gradient, hessian, scale,
            damping, step, promise, done, state.steps + 1,
        )  # fmt: skip

    return once
