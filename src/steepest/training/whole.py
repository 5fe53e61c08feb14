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

# Remembered pairs of steps and changes of slope. More cost memory and gain little (Nocedal & Wright 2006, p. 178).
MEMORY = 10
# Armijo and Wolfe: the part of the promised decrease that must be had, of the slope that may remain (eqs. 3.6).
SUFFICIENT, REMAINING = 1e-4, 0.9
# Trials of one line search; twenty halvings change the step a millionfold.
TRIALS = 20
# A step whose decrease is within this many roundings of the cost has been lost in them.
ROUNDINGS = 4.0
# Steps in a row that bring nothing the cost can show.
PATIENCE = 3


@dataclass
class Descent:
    """Where the walk ended and how: `reason` is "converged", "steps", "seconds" or "no lower point"."""

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
    """Walk down from `x`, shape (n,), on the device it lives on.

    `value_and_slope(x)` gives the cost and its slope, shape (n,), compiled. The walk ends when the slope is at most
    `tolerance` times what it was at the start, when the cost can show no further decrease, or when `steps` or
    `seconds` are over. `watch` is shown each step and ends the walk by giving True.

    >>> parabola = jax.jit(jax.value_and_grad(lambda x: jnp.sum((x - jnp.arange(3.0)) ** 2)))
    >>> print(descend(parabola, jnp.zeros(3)).x)
    [0. 1. 2.]
    """
    began = time.perf_counter()
    n, kind = x.shape[0], x.dtype
    eps = float(jnp.finfo(kind).eps)
    pairs = jnp.zeros((2 * memory, n), kind)
    products = np.zeros((2 * memory, 2 * memory))
    value, slope = value_and_slope(x)
    value, size = float(value), float(_length(slope))
    run = Descent(x, value, size, 0, 1, "steps", [value], [size], [0.0])
    first, idle = size, 0
    order: list[int] = []
    direction, downhill, step = -slope, -(size**2), 1.0 / max(size, 1e-30)
    while run.steps < steps:
        if size <= tolerance * first or size == 0.0:
            run.reason = "converged"
            break
        if time.perf_counter() - began > seconds:
            run.reason = "seconds"
            break
        found = _line_search(value_and_slope, x, value, direction, downhill, step, eps, run)
        if found is None:
            if not order:
                run.reason = "converged" if idle else "no lower point"
                break
            order, direction, downhill, step = [], -slope, -(size**2), 1.0 / max(size, 1e-30)
            idle += 1
            continue
        following, reached, new_slope = found
        row = run.steps % memory
        pairs, against, sizes = _remember(pairs, row, following, x, new_slope, slope)
        against, sizes = np.asarray(against, np.float64), np.asarray(sizes, np.float64)
        lost = value - reached <= ROUNDINGS * eps * max(abs(value), abs(reached))
        idle = idle + 1 if lost else 0
        x, value, slope, size = following, reached, new_slope, float(np.sqrt(max(sizes[2], 0.0)))
        run.steps += 1
        run.x, run.value, run.slope = x, value, size
        run.costs.append(value)
        run.slopes.append(size)
        run.seconds.append(time.perf_counter() - began)
        if watch is not None and watch(run):
            run.reason = "stopped"
            break
        if idle >= PATIENCE:
            run.reason = "converged"
            break
        _note_products(products, row, memory, against)
        order = [k for k in order if k != row]
        if products[row, memory + row] > eps * np.sqrt(sizes[0] * sizes[1]):  # sᵀy > 0, beyond rounding
            order.append(row)
        weights, own = _two_loops(products, against[:, 2], order, memory)
        direction = _combined(pairs, jnp.asarray(weights, kind), slope, jnp.asarray(own, kind))
        downhill = float(weights @ against[:, 2] + own * sizes[2])
        step = 1.0 if order else 1.0 / max(size, 1e-30)
        if not downhill < 0:
            order, direction, downhill, step = [], -slope, -(size**2), 1.0 / max(size, 1e-30)
    return run


def _line_search(
    value_and_slope: Callable[[Any], tuple[Any, Any]],
    x: Any,
    value: float,
    direction: Any,
    downhill: float,
    step: float,
    eps: float,
    run: Descent,
) -> tuple[Any, float, Any] | None:
    """A point lower enough and less steep enough, by bisection (Lewis & Overton 2013, alg. 4.6)."""
    low, high = 0.0, inf
    best: tuple[Any, float, Any] | None = None
    slack = ROUNDINGS * eps * abs(value)
    for _ in range(TRIALS):
        following = _moved(x, direction, step)
        reached, slope = value_and_slope(following)
        run.evaluations += 1
        cost, along = float(reached), float(_along(slope, direction))
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
