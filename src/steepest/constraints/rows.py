"""Constraints as a solver sees them: m functions of the flat parameters, each with a lower and an upper limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Vector = np.ndarray
Matrix = Any  # a NumPy array, or a SciPy sparse array

# A linear row less steep than this in every parameter is measured in units of its slope.
LEVEL = 1e-2


@dataclass(frozen=True)
class Block:
    """Some rows that are evaluated together, on flat parameters x (n,).

    `value(x)`: (m,). `jacobian(x)`: (m, n), dense or SciPy sparse. `hessian(x, u)`: second derivatives of u·value,
    (n, n), symmetric; None where only first derivatives are known. `linear`: whether the Jacobian is constant, and
    the Hessian zero. `derivatives`: "exact", "numeric" or "supplied".
    """

    m: int
    value: Callable[[Vector], Vector]
    jacobian: Callable[[Vector], Matrix]
    hessian: Callable[[Vector, Vector], Matrix] | None
    linear: bool = False
    derivatives: str = "exact"


@dataclass(frozen=True)
class Rows:
    """All constraints: lower <= value(x) <= upper, row by row; an equality has both limits the same.

    `names`: of the rows, in words the user wrote. `blocks` are stacked in order; row k of the stack is row
    `order[k]` of the constraints. `convex()`: whether the trace shows the points that meet all of them to be
    a convex set. `remarks`: what was changed on the way in. `traces`: of the functions that the first block stacks, if
    it does. `splitting(rows)`: the cost that is walked between them and such constraints without their kinks, a
    `problem.SplitCost`; None where there are none that can be replaced. `start`: where the walk begins, (n,), for the
    size of the parameters. `known_units` (m,): of the rows, where parameters are next to nothing.

    >>> circle = Block(
    ...     1, lambda x: np.array([x @ x]), lambda x: 2 * x[None, :], lambda x, u: 2 * u[0] * np.eye(x.size)
    ... )
    >>> rows = Rows(2, np.array([-np.inf]), np.array([1.0]), ("x·x <= 1",), (circle,), np.arange(1))
    >>> rows.violation(np.array([1.0, 1.0]))
    array([1.])
    """

    n: int
    lower: Vector
    upper: Vector
    names: Sequence[str]
    blocks: tuple[Block, ...]
    order: np.ndarray
    convex: Callable[[], bool] = lambda: False
    remarks: tuple[str, ...] = ()
    traces: tuple[Any, ...] = ()
    splitting: Callable[[Rows], Any | None] = lambda rows: None
    start: Vector | None = None
    known_units: Vector | None = None

    def split(self) -> Any | None:
        """The cost and these constraints without their kinks; None where there are none that can be replaced."""
        return self.splitting(self)

    @property
    def senses(self) -> list[int]:
        """Of each trace 1 where its rows have upper limits alone, -1 where they have lower ones alone, else 0."""
        found, start = [], 0
        for trace in self.traces:
            rows = self.order[start : start + int(np.prod(trace.shape))]
            start += rows.size
            below, above = np.isfinite(self.lower[rows]), np.isfinite(self.upper[rows])
            found.append(0 if below.any() and above.any() else -1 if below.any() else 1)
        return found

    @property
    def m(self) -> int:
        """How many rows there are."""
        return self.lower.size

    @cached_property
    def equality(self) -> Vector:
        """Mask (m,) of the rows whose two limits are the same."""
        return self.lower == self.upper

    @property
    def has_hessian(self) -> bool:
        """Whether second derivatives of every row are known."""
        return all(block.hessian is not None for block in self.blocks)

    @cached_property
    def linear(self) -> bool:
        """Whether every row is linear in the parameters."""
        return all(block.linear for block in self.blocks)

    @cached_property
    def units(self) -> Vector:
        """What a row is measured against, (m,): one, or the largest slope of a linear row that is far less steep.

        So a row does not change its meaning where it is multiplied by 1e-8. A slope counts as often as its parameter,
        at the start, is larger than one: beside parameters of 1e8 slopes of 1e-8 are as natural, and finer is rounding.
        The slope of any other row, which may happen to be level at a place, says nothing of its unit.
        """
        return self.units_at(np.zeros(self.n) if self.start is None else self.start)

    def units_at(self, x: Vector) -> Vector:
        """The same (m,), for parameters of the size of `x` (n,)."""
        if self.known_units is not None:
            return self.known_units
        units = np.ones(self.m)
        for rows, slopes in self._slight:
            size = np.maximum(np.abs(x), 1.0)
            if isinstance(slopes, np.ndarray):
                steepest = (slopes * size).max(axis=1)
            else:
                steepest = slopes.multiply(size).tocsr().max(axis=1).toarray().ravel()
            units[rows] = np.where(steepest < LEVEL, steepest, 1.0)
        return units

    @cached_property
    def _slight(self) -> list[tuple[np.ndarray, Matrix]]:
        """The linear rows less steep than `LEVEL`, by blocks: which they are, and the sizes of their slopes."""
        found, start = [], 0
        for block in self.blocks:
            mine = self.order[start : start + block.m]
            start += block.m
            if block.linear and block.m:
                slopes = abs(block.jacobian(np.zeros(self.n)))
                steepest = slopes.max(axis=1)
                steepest = steepest if isinstance(slopes, np.ndarray) else steepest.toarray().ravel()
                slight = np.flatnonzero((steepest > 0.0) & (steepest < LEVEL))
                if slight.size:
                    found.append((mine[slight], slopes[slight]))
        return found

    def value(self, x: Vector) -> Vector:
        """Every row at `x`, (m,)."""
        found = np.empty(self.m)
        found[self.order] = np.concatenate([block.value(x) for block in self.blocks])
        return found

    def jacobian(self, x: Vector) -> Matrix:
        """First derivatives of every row at `x`, (m, n): dense, or a SciPy CSR array where a block is sparse."""
        parts = [block.jacobian(x) for block in self.blocks]
        if all(isinstance(part, np.ndarray) for part in parts):
            found = np.empty((self.m, self.n))
            found[self.order] = np.concatenate(parts, axis=0)
            return found
        import scipy.sparse as sparse

        back = np.empty(self.m, dtype=int)
        back[self.order] = np.arange(self.m)
        return sparse.csr_array(sparse.vstack(parts, format="csr"))[back]

    def hessian(self, x: Vector, weights: Vector) -> Matrix:
        """Second derivatives of weights·value at `x`, (n, n); `weights` (m,). Zero is a plain 0.0."""
        total: Any = 0.0
        start = 0
        for block in self.blocks:
            mine = weights[self.order[start : start + block.m]]
            start += block.m
            if not block.linear and mine.any():
                if block.hessian is None:
                    raise AttributeError("these constraints have no hessian; look at has_hessian first")
                total = total + block.hessian(x, mine)
        return total

    def violation(self, x: Vector) -> Vector:
        """How far each row lies outside its limits at `x`, (m,), zero inside; NaN stays NaN."""
        return outside(self.value(x), self.lower, self.upper)


def outside(value: Vector, lower: Vector, upper: Vector) -> Vector:
    """Distance of each value from its limits, zero inside.

    >>> outside(np.array([-1.0, 0.5, 3.0]), np.zeros(3), np.ones(3))
    array([1., 0., 2.])
    """
    return np.maximum(np.maximum(lower - value, value - upper), 0.0)
