"""What the tables of problems are written with: sums over parameters, pairs and neighbours, and starts of any size.

A cost takes the module that computes, `numpy` or `jax.numpy`, and its parameters x (n,), and gives a number. In a
table's line `xp` is that module, `i` counts from one, and a, b, c, d are parameters that stand next to one another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Cost = Callable[[Any, Any], Any]
Starts = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Problem:
    """One minimisation; `minimum` is its lowest cost as printed by its source or shown by its form, -inf: none."""

    cost: Cost
    start: np.ndarray
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    minimum: float | None = None

    def within(self, lower: Any, upper: Any, start: Any = None) -> "Problem":
        """The same between bounds, from the nearest point to its start between them."""
        low, high = (np.broadcast_to(np.asarray(b, float), self.start.shape).copy() for b in (lower, upper))
        begin = np.clip(self.start if start is None else start, low, high)
        return Problem(self.cost, begin, low, high)


def posed(cost: Cost, start: Any, minimum: float | None = None) -> Problem:
    """A problem of one size, without bounds."""
    return Problem(cost, np.asarray(start, float), minimum=minimum)


def of_sizes(name: str, cost: Cost, start: Starts, sizes: Any, minimum: Any = None) -> dict[str, Problem]:
    """A problem for each size, named after it; `minimum` is that of all sizes, or size to minimum."""
    known = minimum if isinstance(minimum, dict) else dict.fromkeys(sizes, minimum)
    return {f"{name}-{n}": posed(cost, start(n), known.get(n)) for n in sizes}


def numbers(n: int) -> np.ndarray:
    """1, 2, …, n."""
    return np.arange(1.0, n + 1)


def squares(xp: Any, *residuals: Any) -> Any:
    """The sum of all their squares."""
    return sum(xp.sum(residual**2) for residual in residuals)


def each(term: Callable[..., Any]) -> Cost:
    """Σ term(xp, xᵢ, i)."""
    return lambda xp, x: xp.sum(term(xp, x, numbers(x.size)))


def pairs(term: Callable[..., Any]) -> Cost:
    """Σ term(xp, a, b) over (x₁, x₂), (x₃, x₄) and so on."""
    return lambda xp, x: xp.sum(term(xp, x[::2], x[1::2]))


def fours(term: Callable[..., Any]) -> Cost:
    """Σ term(xp, a, b, c, d) over (x₁, …, x₄), (x₅, …, x₈) and so on."""
    return lambda xp, x: xp.sum(term(xp, *(x[k::4] for k in range(4))))


def chain(term: Callable[..., Any], length: int = 2, stride: int = 1) -> Cost:
    """Σ term(xp, a, b, …) over runs of `length` neighbours, each `stride` further on."""

    def cost(xp: Any, x: Any) -> Any:
        last = x.size - length + 1
        return xp.sum(term(xp, *(x[k : last + k : stride] for k in range(length))))

    return cost


def plus(*costs: Cost) -> Cost:
    """Their sum."""
    return lambda xp, x: sum(cost(xp, x) for cost in costs)


def all_at(value: float) -> Starts:
    """The same value in every place."""
    return lambda n: np.full(n, float(value))


def repeated(*values: float) -> Starts:
    """The values again and again."""
    return lambda n: np.resize(np.asarray(values, float), n)


def beside(xp: Any, x: Any, before: int, after: int) -> Any:
    """X between that many zeros."""
    return xp.concatenate([np.zeros(before), x, np.zeros(after)])
