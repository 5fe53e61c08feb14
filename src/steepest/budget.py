"""Evaluations counted, and the budget that they may spend."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from time import perf_counter


@dataclass
class Counts:
    """How often each kind of evaluation was asked for; `value_and_gradient` counts as one of each.

    `linearised` counts as a value and a Jacobian.
    """

    values: int = 0
    gradients: int = 0
    hessians: int = 0
    products: int = 0
    jacobians: int = 0


class BudgetSpent(Exception):
    """Raised inside an evaluation that the budget no longer covers; the driver catches it.

    `value`: of the cost at the place, where the budget covered that, but not its slope.
    """

    value: float | None = None


@dataclass
class Calls:
    """How often a cost was called whose slopes are measured, each of which takes many calls; `most` it may be called.

    After `deadline`, as `perf_counter` reads it, only the first call is made.
    """

    made: int = 0
    most: float = inf
    deadline: float = inf

    @property
    def left(self) -> float:
        """How many more calls are allowed."""
        return self.most - self.made

    def count(self) -> None:
        """One more call; raises `BudgetSpent` instead where it is not allowed."""
        if self.made >= self.most:
            raise BudgetSpent("evaluations")
        if self.made and self.deadline < inf and perf_counter() > self.deadline:
            raise BudgetSpent("seconds")
        self.made += 1


@dataclass(frozen=True)
class Budget:
    """What a run may spend; None means no limit. `evaluations` counts values, as `nfev` does.

    >>> Budget(evaluations=100)
    Budget(evaluations=100, seconds=None, steps=None)
    """

    evaluations: int | None = None
    seconds: float | None = None
    steps: int | None = None


UNLIMITED = Budget()
