"""All data in one batch: limited-memory BFGS whose vectors never leave the device.

A step looks at its 2m remembered vectors twice and no more: once for their products with the new slope, step and
change of slope, once to put the direction together. The recursion between the two works on products alone, numbers
that fit on the host ("vector-free L-BFGS", Chen, Wang & Zhou 2014, algorithm 3).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import inf, isfinite
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import strips

# Remembered pairs of steps and changes of slope. More cost memory and gain little (Nocedal & Wright 2006, p. 178).
MEMORY = 10
# Armijo and Wolfe: the part of the promised decrease that must be had, of the slope that may remain (eqs. 3.6).
SUFFICIENT, REMAINING = 1e-4, 0.9
# Trials of one line search; twenty halvings change the step a millionfold.
TRIALS = 20
# A step whose decrease is within this many roundings of the cost has been lost in them.
ROUNDINGS = 4.0
# A step that promises less than this many roundings of the cost is not looked for among them.
PROMISED = 4.0
# Steps in a row that bring nothing the cost can show.
PATIENCE = 3


# How a walk can end.
REASONS = (
    "converged",
    "steps",
    "passes",
    "seconds",
    "no lower point",
    "stopped",
    "interrupted",
    "stopped early",
)


@dataclass
class Descent:
    """Where the walk stands and how it ended: `reason` is "", or one of `REASONS`."""

    x: Any
    value: float
    slope: float
    steps: int
    evaluations: int
    reason: str
    costs: list[float] = field(default_factory=list)
    slopes: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def descend(
    value_and_slope: Callable[[Any], tuple[Any, Any]],
    x: Any,
    *,
    steps: float = inf,
    seconds: float = inf,
    tolerance: float = 0.0,
    memory: int = MEMORY,
    watch: Callable[[Descent], bool] | None = None,
) -> Descent:
    """Walk down from `x`, shape (n,), on the device it lives on; a NumPy array stays with NumPy.

    `value_and_slope(x)` gives the cost and its slope, shape (n,), compiled. The walk ends when the slope is at most
    `tolerance` times what it was at the start, when the cost can show no further decrease, or when `steps` or
    `seconds` are over. `watch` is shown each step and ends the walk by giving True.

    >>> parabola = jax.jit(jax.value_and_grad(lambda x: jnp.sum((x - jnp.arange(3.0)) ** 2)))
    >>> print(descend(parabola, jnp.zeros(3)).x)
    [0. 1. 2.]
    """
    began = time.perf_counter()
    walk = LimitedMemory(value_and_slope, x, tolerance=tolerance, memory=memory)
    run = walk.run
    run.seconds.append(0.0)
    while not run.reason:
        if run.steps >= steps:
            run.reason = "steps"
        elif time.perf_counter() - began > seconds:
            run.reason = "seconds"
        elif walk.step():
            run.seconds.append(time.perf_counter() - began)
            if watch is not None and watch(run):
                run.reason = "stopped"
    return run


class LimitedMemory:
    """The walk of L-BFGS, one step at a time; `pack` and `unpack` take it up again with the same bits.

    `eps`: the rounding of the cost in parts of it; that of the vectors where nothing else is said.
    """

    def __init__(
        self,
        value_and_slope: Callable[[Any], tuple[Any, Any]],
        x: Any,
        *,
        tolerance: float = 0.0,
        memory: int = MEMORY,
        eps: float | None = None,
    ) -> None:
        self.look = value_and_slope
        self.vectors = HOST if isinstance(x, np.ndarray) else DEVICE
        self.tolerance, self.memory = tolerance, memory
        self.eps = float(np.finfo(x.dtype).eps)
        self.rounding = self.eps if eps is None else eps
        self.pairs = self.vectors.zeros((2 * memory, x.shape[0]), x.dtype)
        self.products = np.zeros((2 * memory, 2 * memory))
        self.order: list[int] = []
        self.idle = 0
        value, self.slope = self.look(x)
        self.size = float(self.vectors.length(self.slope))
        self.run = Descent(x, float(value), self.size, 0, 1, "", [float(value)], [self.size])
        self._straight_down()

    def step(self) -> bool:
        """Take a step; False where none was taken, with the reason in `run.reason`."""
        run = self.run
        if self.size <= self.tolerance * run.slopes[0] or self.size == 0.0:
            run.reason = "converged"
            return False
        promised = -0.5 * self.length * self.downhill
        if self.order and promised <= PROMISED * self.rounding * abs(run.value):
            run.reason = "converged"
            return False
        found = _line_search(self, run)
        if found is None and self.order:
            self._straight_down()
            self.idle += 1
            found = _line_search(self, run)
        if found is None:
            run.reason = "converged" if self.idle else "no lower point"
            return False
        self._learn(*found)
        if self.idle >= PATIENCE:
            run.reason = "converged"
        return True

    def _learn(self, following: Any, reached: float, new_slope: Any) -> None:
        """Go there, remember the pair, and aim again."""
        run, vectors, memory = self.run, self.vectors, self.memory
        row = run.steps % memory
        self.pairs, against, sizes = vectors.remember(
            self.pairs, row, following, run.x, new_slope, self.slope
        )
        against, sizes = np.asarray(against, np.float64), np.asarray(sizes, np.float64)
        lost = run.value - reached <= ROUNDINGS * self.rounding * max(abs(run.value), abs(reached))
        self.idle = self.idle + 1 if lost else 0
        self.slope, self.size = new_slope, float(np.sqrt(max(sizes[2], 0.0)))
        run.x, run.value, run.slope = following, reached, self.size
        run.steps += 1
        run.costs.append(reached)
        run.slopes.append(self.size)
        _note_products(self.products, row, memory, against)
        self.order = [k for k in self.order if k != row]
        # sᵀy > 0, beyond rounding
        if self.products[row, memory + row] > self.eps * np.sqrt(sizes[0] * sizes[1]):
            self.order.append(row)
        self._aim(against[:, 2])

    def look_anew(self, value_and_slope: Callable[[Any], tuple[Any, Any]], rounding: float) -> None:
        """Go on from here over a cost much like the one before: what was learned of its curvature is kept."""
        run = self.run
        self.look, self.rounding, self.idle = value_and_slope, rounding, 0
        value, self.slope = self.look(run.x)
        run.evaluations += 1
        run.value = float(value)
        run.slope = self.size = float(self.vectors.length(self.slope))
        self._aim(np.asarray(self.vectors.against(self.pairs, self.slope), np.float64))

    def _aim(self, with_slope: np.ndarray) -> None:
        """Aim by the pairs; straight down where there are none, or none that lead down."""
        if self.order:
            weights, own = _two_loops(self.products, with_slope, self.order, self.memory)
            self.direction = self.vectors.combined(self.pairs, weights, self.slope, own)
            self.downhill, self.length = float(weights @ with_slope + own * self.size**2), 1.0
            if self.downhill < 0:
                return
        self._straight_down()

    def _straight_down(self) -> None:
        self.order, self.direction, self.downhill = [], -self.slope, -(self.size**2)
        self.length = 1.0 / max(self.size, 1e-30)

    def pack(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """All of the walk: numbers, and arrays by name."""
        run = self.run
        numbers = {
            "value": run.value,
            "size": self.size,
            "steps": run.steps,
            "evaluations": run.evaluations,
            "order": self.order,
            "idle": self.idle,
            "downhill": self.downhill,
            "length": self.length,
            "costs": run.costs,
            "slopes": run.slopes,
        }
        arrays = {
            "x": run.x,
            "slope": self.slope,
            "direction": self.direction,
            "pairs": self.pairs,
            "products": self.products,
        }
        return numbers, arrays

    def unpack(self, numbers: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Stand where `pack` was called."""
        run, put = self.run, self.vectors.put
        run.x, self.slope, self.direction = (put(arrays[name]) for name in ("x", "slope", "direction"))
        self.pairs, self.products = put(arrays["pairs"]), np.array(arrays["products"])
        run.value, run.slope, self.size = numbers["value"], numbers["size"], numbers["size"]
        run.steps, run.evaluations = numbers["steps"], numbers["evaluations"]
        self.order, self.idle = list(numbers["order"]), numbers["idle"]
        self.downhill, self.length = numbers["downhill"], numbers["length"]
        run.costs, run.slopes = list(numbers["costs"]), list(numbers["slopes"])


def _line_search(walk: LimitedMemory, run: Descent) -> tuple[Any, float, Any] | None:
    """A point lower enough and less steep enough, by bisection (Lewis & Overton 2013, alg. 4.6)."""
    value, direction, downhill, step = run.value, walk.direction, walk.downhill, walk.length
    if not isfinite(downhill):
        return None  # a slope that is no number leads nowhere, however short the step
    low, high = 0.0, inf
    best: tuple[Any, float, Any] | None = None
    slack = ROUNDINGS * walk.rounding * abs(value)
    for _ in range(TRIALS):
        following = walk.vectors.moved(run.x, direction, step)
        reached, slope = walk.look(following)
        run.evaluations += 1
        cost, along = float(reached), float(walk.vectors.along(slope, direction))
        if not (isfinite(cost) and isfinite(along)) or cost > value + SUFFICIENT * step * downhill + slack:
            high = step
        else:
            best = following, cost, slope
            if along >= REMAINING * downhill:
                return best
            low = step
        step = 0.5 * (low + high) if isfinite(high) else 2.0 * step
    return best


def _two_loops(
    products: np.ndarray, with_slope: np.ndarray, order: list[int], memory: int
) -> tuple[np.ndarray, float]:
    """Weights of the 2m remembered vectors, and of the slope, in −H·slope (Nocedal & Wright 2006, alg. 7.4)."""
    weights = np.zeros(2 * memory)
    own = -1.0
    chosen = np.zeros(len(order))
    for i in reversed(range(len(order))):
        s, y = order[i], memory + order[i]
        chosen[i] = (weights @ products[:, s] + own * with_slope[s]) / products[s, y]
        weights[y] -= chosen[i]
    if order:
        s, y = order[-1], memory + order[-1]
        scale = products[s, y] / products[y, y]
        weights, own = scale * weights, scale * own
    for i in range(len(order)):
        s, y = order[i], memory + order[i]
        weights[s] += chosen[i] - (weights @ products[:, y] + own * with_slope[y]) / products[s, y]
    return weights, own


def _note_products(products: np.ndarray, row: int, memory: int, against: np.ndarray) -> None:
    """Put the products of the new step and the new change of slope with all remembered vectors in their places."""
    for place, column in ((row, 0), (memory + row, 1)):
        products[place, :] = against[:, column]
        products[:, place] = against[:, column]


# -- vectors, on the device and on the host ----------------------------------------------------------------------


@dataclass(frozen=True)
class Vectors:
    """What a walk does to vectors of n numbers, by whoever holds them."""

    zeros: Callable[..., Any]
    put: Callable[[Any], Any]
    remember: Callable[..., Any]
    combined: Callable[..., Any]
    moved: Callable[..., Any]
    along: Callable[..., Any]
    length: Callable[..., Any]
    against: Callable[..., Any]


@partial(jax.jit, donate_argnums=0)
def _remember(pairs: Any, row: Any, following: Any, x: Any, new_slope: Any, slope: Any) -> Any:
    """Write step and change of slope into their rows; products of all rows with step, change and slope, (2m, 3)."""
    memory = pairs.shape[0] // 2
    step, change = following - x, new_slope - slope
    pairs = jax.lax.dynamic_update_index_in_dim(pairs, step, row, 0)
    pairs = jax.lax.dynamic_update_index_in_dim(pairs, change, memory + row, 0)
    three = jnp.stack([step, change, new_slope])
    exact = jax.lax.Precision.HIGHEST
    against = jnp.matmul(pairs, three.T, precision=exact)
    return pairs, against, jnp.sum(three * three, axis=1)


@jax.jit
def _combined(pairs: Any, weights: Any, slope: Any, own: Any) -> Any:
    weights, own = jnp.asarray(weights, slope.dtype), jnp.asarray(own, slope.dtype)
    return jnp.matmul(weights, pairs, precision=jax.lax.Precision.HIGHEST) + own * slope


@jax.jit
def _moved(x: Any, direction: Any, step: Any) -> Any:
    return x + jnp.asarray(step, x.dtype) * direction


@jax.jit
def _along(slope: Any, direction: Any) -> Any:
    return jnp.vdot(slope, direction, precision=jax.lax.Precision.HIGHEST)


@jax.jit
def _length(slope: Any) -> Any:
    return jnp.sqrt(jnp.vdot(slope, slope, precision=jax.lax.Precision.HIGHEST))


@jax.jit
def _against(pairs: Any, slope: Any) -> Any:
    return jnp.matmul(pairs, slope, precision=jax.lax.Precision.HIGHEST)


DEVICE = Vectors(jnp.zeros, jnp.asarray, _remember, _combined, _moved, _along, _length, _against)


# On the host strip by strip; a CPU's own memory is no device to stay on.
HOST = Vectors(
    np.zeros,
    np.array,
    strips.remember,
    strips.combined,
    strips.moved,
    strips.along,
    strips.length,
    strips.against,
)
