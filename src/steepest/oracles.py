"""Oracles: what an objective is asked for beside value and gradient, and what each answers with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from threading import local
from typing import Any, NamedTuple

import numpy as np

from .bounds import Vector
from .linear_algebra.elimination import expected_work, work_to_factorise
from .linear_algebra.sparse_factor import SymmetricPattern

# Of more entries a pattern is analysed anew for each walk: its factors would hold a gigabyte between the walks.
KEPT_ENTRIES = 1_000_000


class Linearised(NamedTuple):
    """A cost made of m terms, at one point: its value, and a linear model of the terms.

    `residual` (m,) and `jacobian` (m, n), dense or a SciPy sparse array, are such that the gradient is 2Jᵀr exactly
    and 2JᵀJ is the Gauss-Newton model of the Hessian. For a sum of squares the cost is a constant plus rᵀr; for
    other losses of a residual both are scaled so that the two statements above hold.
    """

    value: float
    residual: Vector
    jacobian: Any


@dataclass(frozen=True)
class Linearisation:
    """An evaluation that gives a `Linearised`; `sparse` tells whether its Jacobian is a sparse array.

    `rows`: the number of residuals. `directions`: in how many they are pushed for their slopes, or how many of their
    sums pulled back. `work(most)`: the multiplications that a step takes, infinite where they are more than `most`. All
    infinite where they are not known.
    """

    evaluate: Callable[[Vector], Linearised]
    sparse: bool
    rows: float = inf
    directions: float = inf
    work: Callable[[float], float] = lambda most: inf

    def __call__(self, x: Vector) -> Linearised:
        """The linear model at `x` (n,)."""
        return self.evaluate(x)


class Factorising(NamedTuple):
    """What a step by a sparse Hessian is made of: its entries, and the multiplications that factorising it takes."""

    entries: int
    work: float


@dataclass(frozen=True)
class SparseHessian:
    """An evaluation that gives a SciPy CSC array (n, n) with entries where `indptr`, `indices` say.

    What follows from the pattern alone is found once, and serves every walk and every judge of the same cost.
    `find_upright` finds how to evaluate the entries of a matrix like the Hessian that never bends down, if terms tell.
    """

    evaluate: Callable[[Vector], Any]
    indptr: np.ndarray
    indices: np.ndarray
    find_upright: Callable[[], Callable[[Vector], Vector] | None] = lambda: None
    _of_thread: local = field(default_factory=local, repr=False, compare=False)

    def __call__(self, x: Vector) -> Any:
        """The sparse Hessian at `x` (n,)."""
        return self.evaluate(x)

    @cached_property
    def upright(self) -> Callable[[Vector], Vector] | None:
        """From x (n,) to the entries, in its pattern, of a matrix like it that never bends down; None if unknown."""
        return self.find_upright()

    @cached_property
    def factorising(self) -> Factorising:
        """What factorising it takes, about."""
        return Factorising(self.indices.size, expected_work(self.indptr, self.indices))

    @cached_property
    def most_work(self) -> float:
        """Multiplications that factorising it takes at most; see `work_to_factorise`."""
        return work_to_factorise(self.indptr, self.indices)

    def analysed(self, matrix: Any) -> SymmetricPattern:
        """The pattern of one of its matrices, analysed; the same to all within one thread, who factorise in turn."""
        kept: SymmetricPattern | None = getattr(self._of_thread, "pattern", None)
        if kept is not None and kept.fits(matrix):
            return kept
        made = SymmetricPattern(matrix)
        if self.indices.size <= KEPT_ENTRIES and self.has_pattern_of(matrix):
            self._of_thread.pattern = made
        return made

    def has_pattern_of(self, matrix: Any) -> bool:
        """Whether a matrix has its entries where those evaluated here have."""
        if matrix.indptr.size != self.indptr.size or matrix.indices.size != self.indices.size:
            return False
        return np.array_equal(matrix.indptr, self.indptr) and np.array_equal(matrix.indices, self.indices)


@dataclass(frozen=True)
class SumOfTerms:
    """An evaluation of the terms (m,) of which a cost is the sum, but for a constant.

    `pattern`: on which parameters each depends, CSC (m, n). `kept` holds what follows from that alone, for all walks.
    """

    evaluate: Callable[[Vector], Vector]
    pattern: Any
    kept: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MadeWhenAsked:
    """An evaluation whose program is made at its first call, which takes longer than many calls; `is_made` tells.

    `in_slopes(least)`: as long as how many slopes a call takes, as foreseen from its program, which may be made for
    that; zero where that is not known, or a call takes no more than `least` seconds.
    """

    evaluate: Callable[..., Any]
    is_made: Callable[[], bool]
    in_slopes: Callable[[float], float] = lambda least: 0.0

    def __call__(self, *arrays: Vector) -> Any:
        """What it gives at these."""
        return self.evaluate(*arrays)


@dataclass(frozen=True)
class HessianProduct:
    """An evaluation of products; `traceable(x)` gives a `derivatives.compiled.Traceable` at `x` (n,), or None."""

    evaluate: Callable[[Vector, Vector], Vector]
    traceable: Callable[[Vector], Any | None]

    def __call__(self, x: Vector, v: Vector) -> Vector:
        """The product at `x` (n,) with `v` (n,)."""
        return self.evaluate(x, v)


@dataclass(frozen=True)
class Later:
    """An evaluation that takes work to find: `find` gives it, or None where it cannot be had or would not pay.

    `instead`: of a linearisation, whether its JᵀJ stays sparse when it is factorised, and stands for second derivatives
    that cost too much; told before it is looked for, where there are none.
    """

    find: Callable[[], Any | None]
    instead: Callable[[], bool] = lambda: False
