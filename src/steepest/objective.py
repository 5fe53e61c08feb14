"""The cost as a solver sees it: a flat vector in, numbers out, counted, never called outside its bounds."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import perf_counter
from typing import Any

import numpy as np

from . import numerics
from .bounds import Bounds, Vector
from .budget import UNLIMITED, Budget, BudgetSpent, Calls, Counts
from .linear_algebra.elimination import work_to_factorise
from .linear_algebra.sparse_factor import SymmetricPattern
from .oracles import (
    Factorising,
    HessianProduct,
    Later,
    Linearisation,
    Linearised,
    MadeWhenAsked,
    SparseHessian,
)

# Stands for an infinite slope that pushes against a bound: what holds a parameter there is the sign, and products of a
# step with any larger number would tell of nothing else.
TINY = float(np.finfo(np.float64).tiny)

# What a verdict may take beyond a budget that counts its calls too, as a part of it. None, and nothing could be said
# of a walk that came to its end just within it.
FOR_THE_JUDGE = 0.1

# Where no lowest point is kept only -inf, which is noted, is lower than this.
LOWEST_FINITE = -float(np.finfo(np.float64).max)

Matrix = np.ndarray[Any, np.dtype[np.float64]]


class Objective:
    """Value, gradient, Hessian and Hessian products of one cost of `n` parameters, in double precision.

    The callables take `x` of shape (n,), float64, inside `bounds`. They return: `value` a float;
    `value_and_gradient` a float and a fresh array of shape (n,); `hessian` shape (n, n);
    `hessian_product(x, v)` shape (n,); `sparse_hessian` a SciPy CSC array (n, n), given only where most entries are
    known to be zero; `linearised` a `Linearised`, given only where the cost is a sum of losses of residuals, and
    `least_squares` true where the loss is the square; `split` gives a `problem.SplitCost`, the same cost without its
    kinks, where it has some. The last ones may be given as `Later`, looked for when first asked about. `derivatives`
    says where they come from: "exact", "numeric" or "supplied". `gradient_error`, where slopes are measured, gives the
    error of each entry of the last gradient, shape (n,), or None; `calls` then counts each call of the cost.
    `on_device` is `value_and_gradient` of and in arrays of JAX, which stay where they are computed;
    `traceable(times)` gives it as a `derivatives.compiled.Traceable`, or None; see there. `closer`, found later, is
    `value_and_gradient` of the same cost with the differential equations in it followed closer.

    The lowest finite point ever evaluated is kept in `best_x`, `best_value` (and `best_gradient`, where it
    was known), so that nothing is lost whatever stops the run. A writable `x` is copied for this; one that
    its owner has marked read-only is kept as it is, which saves large problems a pass over memory.
    `minus_infinity` becomes true once any value was -inf. `steps_in_loop`: steps that a compiled loop took, as
    told to `count_walked`.

    Every evaluation raises `BudgetSpent` instead of calling the cost when the budget does not cover it.

    >>> parabola = Objective(1, value_and_gradient=lambda x: (float(x @ x), 2 * x))
    >>> parabola.value_and_gradient(np.array([3.0]))
    (9.0, array([6.]))
    >>> parabola.counts.gradients
    1
    """

    def __init__(
        self,
        n: int,
        *,
        value_and_gradient: Callable[[Vector], tuple[float, Vector]],
        value: Callable[[Vector], float] | None = None,
        hessian: Callable[[Vector], Matrix] | None = None,
        hessian_product: Callable[[Vector, Vector], Vector] | None = None,
        sparse_hessian: Callable[[Vector], Any] | Later | None = None,
        linearised: Callable[[Vector], Linearised] | Later | None = None,
        least_squares: bool = False,
        split: Later | None = None,
        terms: Later | None = None,
        bounds: Bounds | None = None,
        derivatives: str = "exact",
        gradient_error: Callable[[], Vector | None] | None = None,
        calls: Calls | None = None,
        on_device: Callable[[Any], Any] | Later | None = None,
        traceable: Callable[[int], Any | None] | None = None,
        closer: Later | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.n = n
        self.bounds = bounds or Bounds.none(n)
        self.derivatives = derivatives
        self._calls = calls
        self._began, self._deadline = 0.0, inf
        self.budget = budget or UNLIMITED
        self.counts = Counts()
        self.steps_in_loop = 0
        self.best_x: Vector | None = None
        self.best_value = inf
        self.best_gradient: Vector | None = None
        self.minus_infinity = False
        # Whether a parameter stays where an infinite slope pushes it against its bound: it then has no slope to speak
        # of there, and no second derivatives. Off, such a place has no slope, and a solver steps back from it.
        self.holds_at_walls = False
        self._keeps_best = True
        self._value = value
        self._value_and_gradient = value_and_gradient
        self._hessian = hessian
        self._hessian_product = hessian_product
        self._sparse_hessian = sparse_hessian
        self._linearised = linearised
        self._slopes_instead = linearised.instead if isinstance(linearised, Later) else lambda: False
        self.least_squares = least_squares
        self._split: Any = split
        self._terms: Any = terms
        self._gradient_error = gradient_error
        self._on_device = on_device
        self._traceable = traceable
        self._closer: Any = closer
        self._last_hessian: tuple[Vector, Matrix] | None = None
        self.start_clock()

    def beside(self, n: int, **evaluations: Any) -> Objective:
        """Another objective, of `n` variables, whose evaluations count as this one's and within the same budget.

        `evaluations`: as the arguments of `Objective`.
        """
        other = Objective(n, **evaluations)
        other.counts, other._began, other._deadline = self.counts, self._began, self._deadline
        other.budget = self.budget
        return other

    def in_units(self, size: float, cost_unit: float) -> Objective:
        """The same cost, divided by `cost_unit`, of x/`size`; evaluations count as this one's."""
        value, both, bend = self._value, self._value_and_gradient, self._hessian
        part = size / cost_unit

        def value_and_gradient(w: Vector) -> tuple[float, Vector]:
            value, gradient = both(size * w)
            return value / cost_unit, part * gradient

        return self.beside(
            self.n,
            value=None if value is None else lambda w: value(size * w) / cost_unit,
            value_and_gradient=value_and_gradient,
            hessian=None if bend is None else lambda w: size * part * bend(size * w),
            sparse_hessian=Later(lambda: self._sparse_in_units(size, size * part)),
            bounds=Bounds(self.bounds.lower / size, self.bounds.upper / size),
        )

    def _sparse_in_units(self, size: float, part: float) -> Callable[[Vector], Any] | None:
        found = self._found_sparse_hessian()
        return None if found is None else lambda w: part * found(size * w)

    def within(self, bounds: Bounds) -> Objective:
        """The same cost inside other bounds; evaluations count as this one's."""
        other = object.__new__(Objective)
        vars(other).update(vars(self))
        other.bounds = bounds
        return other

    @property
    def budget(self) -> Budget:
        """What the evaluations may spend."""
        return self._budget

    @budget.setter
    def budget(self, budget: Budget) -> None:
        self._budget = budget
        limited = budget.evaluations is not None or self._deadline < inf
        # Calls that are counted one by one are shared with those who look through a copy, under limits of their own.
        self._is_limited = limited or self._calls is not None

    def forget(self) -> None:
        """Let the next walk end at its own lowest point, not at that of an earlier one."""
        self.best_x, self.best_value, self.best_gradient = None, inf, None
        self.minus_infinity = False

    def start_clock(self, began: float | None = None) -> None:
        """Count the seconds of the budget from now, or from when `perf_counter` read `began`.

        The first evaluation is made however late it is: without it nothing could be told of the start.
        """
        if self.budget.seconds is not None:
            self._began = perf_counter() if began is None else began
            self._deadline = self._began + self.budget.seconds
            self._is_limited = True

    def afresh(self) -> Objective:
        """The same cost with no budget, nothing counted and nothing remembered: what a judge looks through.

        Nor is the lowest point kept there: of many parameters each vector counts.
        """
        fresh = object.__new__(Objective)
        vars(fresh).update(vars(self))
        fresh._deadline, fresh.budget, fresh.counts = inf, UNLIMITED, Counts()
        fresh.steps_in_loop, fresh._last_hessian = 0, None
        fresh.best_x = fresh.best_gradient = None
        fresh.minus_infinity = fresh.holds_at_walls = False
        fresh._keeps_best, fresh.best_value = False, LOWEST_FINITE
        return fresh

    def for_the_judge(self) -> Objective:
        """The same cost afresh; where slopes are measured within what the budget leaves, and `FOR_THE_JUDGE` of it.

        There a verdict takes hundreds of calls, as many as a short walk.
        """
        fresh = self.afresh()
        if self._calls is None:
            return fresh
        seconds, evaluations = self.budget.seconds, self.budget.evaluations
        if seconds is not None and self._deadline < inf:
            fresh._deadline = self._began + (1.0 + FOR_THE_JUDGE) * seconds
        if evaluations is not None:
            fresh.budget = Budget(evaluations + int(FOR_THE_JUDGE * evaluations))
        return fresh

    @property
    def evaluations(self) -> int:
        """How often the cost was evaluated; where slopes are measured, each of their calls counts."""
        return self.counts.values if self._calls is None else self._calls.made

    @property
    def is_measured(self) -> bool:
        """Whether slopes are measured by differences, and have an error that is told."""
        return self._gradient_error is not None

    @property
    def gradient_error(self) -> Vector | None:
        """How far each entry of the last gradient may be off, shape (n,); None where slopes are not measured."""
        return None if self._gradient_error is None else self._gradient_error()

    @property
    def has_hessian(self) -> bool:
        """Whether second derivatives can be asked for."""
        return self._hessian is not None

    @property
    def has_hessian_at_hand(self) -> bool:
        """Whether second derivatives can be asked for, and a first call that makes their program is no longer due."""
        return self._hessian is not None and not (
            isinstance(self._hessian, MadeWhenAsked) and not self._hessian.is_made()
        )

    def hessian_in_slopes(self, least: float) -> float:
        """As long as how many slopes a whole Hessian takes, as foreseen.

        Zero where that is not known, or it takes no more than `least` seconds.
        """
        return self._hessian.in_slopes(least) if isinstance(self._hessian, MadeWhenAsked) else 0.0

    @property
    def has_hessian_product(self) -> bool:
        """Whether products of the Hessian with a vector can be asked for."""
        return self._hessian_product is not None

    @property
    def has_sparse_hessian(self) -> bool:
        """Whether the Hessian can be asked for as a sparse array."""
        return self._found_sparse_hessian() is not None

    @property
    def factorising(self) -> Factorising | None:
        """What factorising the sparse Hessian takes; None where there is none, or its pattern is not known."""
        found = self._found_sparse_hessian()
        return found.factorising if isinstance(found, SparseHessian) else None

    @property
    def may_have_upright_hessian(self) -> bool:
        """Whether there is a matrix like the sparse Hessian that never bends down, or none was looked for yet."""
        found = self._found_sparse_hessian()
        return isinstance(found, SparseHessian) and vars(found).get("upright", found) is not None

    def upright_hessian(self, x: Vector) -> Vector | None:
        """The entries, where the sparse Hessian at `x` has them, of a matrix that never bends down; None if unknown.

        It is like the Hessian, and counts as another one.
        """
        found = self._found_sparse_hessian()
        evaluate = found.upright if isinstance(found, SparseHessian) else None
        if evaluate is None:
            return None
        if self._is_limited:
            self._admit()
        self.counts.hessians += 1
        return evaluate(x)

    def analysed(self, H: Any) -> SymmetricPattern:
        """The pattern of a sparse Hessian, analysed for factorising; what is solved with its factors is so at once.

        The next to ask may be handed the same, and factorise another matrix with it.
        """
        found = self._found_sparse_hessian()
        return found.analysed(H) if isinstance(found, SparseHessian) else SymmetricPattern(H)

    def most_work(self, H: Any) -> float:
        """Multiplications that factorising a sparse Hessian takes at most; see `work_to_factorise`."""
        found = self._found_sparse_hessian()
        if isinstance(found, SparseHessian) and found.has_pattern_of(H):
            return found.most_work
        return work_to_factorise(H.indptr, H.indices)

    @property
    def has_residual(self) -> bool:
        """Whether the cost is a sum of losses of residuals that can be linearised."""
        return self._found_linearised() is not None

    @property
    def has_sparse_jacobian(self) -> bool:
        """Whether the cost has residuals whose Jacobian comes as a sparse array."""
        found = self._found_linearised()
        return isinstance(found, Linearisation) and found.sparse

    @property
    def linearisation(self) -> Linearisation | None:
        """How the residuals are linearised, and what a step by their slopes takes; None where it is not known."""
        found = self._found_linearised()
        return found if isinstance(found, Linearisation) else None

    @property
    def has_slopes_instead(self) -> bool:
        """Whether a sparse Jacobian of the residuals stands for sparse second derivatives that cost too much."""
        return self._slopes_instead()

    def value(self, x: Vector) -> float:
        """The cost at `x`."""
        if self._value is None:
            return self.value_and_gradient(x)[0]
        if self._is_limited:
            self._admit()
        self.counts.values += 1
        value = float(self._value(x))
        if value < self.best_value:
            self._remember(x, value, None)
        return value

    def on_device(self, x: Vector, *, room_for: int) -> Vector:
        """`x`, shape (n,), put where the cost is computed, if that is an accelerator with room for so many numbers.

        `value_and_gradient` takes what comes back, and leaves the gradient there too.
        """
        if self._on_device is None or not numerics.accelerated():
            return x
        from .linear_algebra import device_vectors

        if isinstance(self._on_device, Later):
            self._on_device = self._on_device.find()
        if self._on_device is None or not device_vectors.has_room(room_for):
            return x
        placed: Vector = device_vectors.placed(x)
        return placed

    def value_and_gradient(self, x: Vector) -> tuple[float, Vector]:
        """The cost at `x` and its gradient, shape (n,), on the host or where `x` lies."""
        if self._is_limited:
            self._admit()
        counts = self.counts
        counts.values += 1
        counts.gradients += 1
        there = None if type(x) is np.ndarray else self._on_device
        if there is None or isinstance(x, np.ndarray) or isinstance(there, Later):
            try:
                value, gradient = self._value_and_gradient(x)
            except (BudgetSpent, KeyboardInterrupt) as cut_short:
                seen = getattr(cut_short, "value", None)
                if seen is not None and seen < self.best_value:
                    self._remember(x, seen, None)
                raise
        else:
            value, gradient = there(x)
        if self.holds_at_walls:
            gradient = np.where(self.bounds.walls(x, gradient), np.sign(gradient) * TINY, gradient)
        value = float(value)
        if value < self.best_value:
            self._remember(x, value, gradient)
        return value, gradient

    def followed_closer(self, x: Vector) -> tuple[float, Vector] | None:
        """The same of the cost with its differential equations followed closer; None where there are none."""
        if isinstance(self._closer, Later):
            self._closer = self._closer.find()
        if self._closer is None:
            return None
        if self._is_limited:
            self._admit()
        self.counts.values += 1
        self.counts.gradients += 1
        found: tuple[float, Vector] = self._closer(x)
        return found

    def traceable(self, times: int) -> Any | None:
        """`value_and_gradient` as a `derivatives.compiled.Traceable`, to be a part of other programs, or None.

        Asked for before each step; None where nothing is to be gained, which on the host is so before that many steps.
        Whoever runs one tells `count_walked`.
        """
        return None if self._traceable is None else self._traceable(times)

    @property
    def evaluations_left(self) -> float:
        """How many more evaluations the budget allows; raises `BudgetSpent` once the seconds are spent."""
        self.check_clock()
        return inf if self.budget.evaluations is None else self.budget.evaluations - self.evaluations

    def count_walked(self, evaluations: int, x: Vector, value: float, gradient: Vector) -> None:
        """A step of a compiled loop came to `x` (n,) by so many evaluations, none of them lower."""
        self.steps_in_loop += 1
        self.counts.values += evaluations
        self.counts.gradients += evaluations
        if value < self.best_value:
            self._remember(x, value, gradient)

    def hessian(self, x: Vector) -> Matrix:
        """Second derivatives at `x`, shape (n, n), symmetric."""
        if self._hessian is None:
            raise AttributeError("this objective has no hessian; look at has_hessian first")
        if self._is_limited:
            self._admit()
        self.counts.hessians += 1
        hessian = self._hessian(x)
        if self.holds_at_walls and not np.isfinite(hessian).all():
            held = self._on_a_bound(x) & ~np.isfinite(hessian.diagonal())
            hessian = np.where(held | held[:, None], np.diag(held.astype(np.float64)), hessian)
        self._last_hessian = (x.copy(), hessian)
        return hessian

    def known_hessian(self, x: Vector) -> Matrix | None:
        """The Hessian at `x`, shape (n, n), if it was the last one evaluated; None otherwise. Costs nothing."""
        if self._last_hessian is None:
            return None
        there, hessian = self._last_hessian
        same = there.tolist() == x.tolist() if there.size <= numerics.FEW else np.array_equal(there, x)
        return hessian if same else None

    def hessian_product(self, x: Vector, v: Vector) -> Vector:
        """The Hessian at `x` times `v`, shape (n,)."""
        if self._hessian_product is None:
            raise AttributeError("this objective has no hessian_product; look at has_hessian_product first")
        if self._is_limited:
            self._admit()
        self.counts.products += 1
        return self._hessian_product(x, v)

    def traceable_product(self, x: Vector) -> Any | None:
        """The product at `x` (n,) as a `derivatives.compiled.Traceable`, to be a part of other programs, or None.

        Whoever runs one tells `count_products`.
        """
        product = self._hessian_product
        return product.traceable(x) if isinstance(product, HessianProduct) else None

    def count_looks(self, more: int, parts: int) -> None:
        """The cost, of so many parts, was looked at so many times before, without this objective."""
        self.counts.values += more
        if self._calls is not None:
            self._calls.made += more * parts

    def count_products(self, more: int) -> None:
        """So many more products were taken; raises `BudgetSpent` once the seconds are spent."""
        self.counts.products += more
        self.check_clock()

    def sparse_hessian(self, x: Vector) -> Any:
        """Second derivatives at `x` as a SciPy CSC array (n, n), symmetric, both triangles stored."""
        sparse_hessian = self._found_sparse_hessian()
        if sparse_hessian is None:
            raise AttributeError("this objective has no sparse Hessian; look at has_sparse_hessian first")
        if self._is_limited:
            self._admit()
        self.counts.hessians += 1
        H = sparse_hessian(x)
        if self.holds_at_walls and not np.isfinite(H.data).all():
            held = self._on_a_bound(x) & ~np.isfinite(H.diagonal())
            columns = np.repeat(np.arange(self.n), np.diff(H.indptr))
            H.data = np.where(held[H.indices] | held[columns], H.indices == columns, H.data)
        return H

    def _on_a_bound(self, x: Vector) -> Any:
        return (x <= self.bounds.lower) | (x >= self.bounds.upper)

    def linearised(self, x: Vector) -> Linearised:
        """Value, residual (m,) and Jacobian (m, n) at `x`: the gradient is 2Jᵀr."""
        linearised: Any = self._linearised
        if type(linearised) is not Linearisation:
            linearised = self._found_linearised()
            if linearised is None:
                raise AttributeError("this objective has no residual; look at has_residual first")
        if self._is_limited:
            self._admit()
        counts = self.counts
        counts.values += 1
        counts.jacobians += 1
        found: Linearised = linearised.evaluate(x) if type(linearised) is Linearisation else linearised(x)
        if found.value < self.best_value:
            self._remember(x, found.value, None)
        return found

    @property
    def split(self) -> Any | None:
        """The same cost without its kinks, a `problem.SplitCost`; None where there are none that can be replaced."""
        if isinstance(self._split, Later):
            self._split = self._split.find()
        return self._split

    @property
    def term_pattern(self) -> Any | None:
        """On which parameters each term depends, CSC (m, n); None where the cost is no sum of such terms."""
        if isinstance(self._terms, Later):
            self._terms = self._terms.find()
        return None if self._terms is None else self._terms.pattern

    @property
    def kept_with_terms(self) -> dict[str, Any]:
        """What was made of `term_pattern` before, by this objective or another of the same cost."""
        if self.term_pattern is None:
            raise AttributeError("this objective has no terms; look at term_pattern first")
        kept: dict[str, Any] = self._terms.kept
        return kept

    def terms(self, x: Vector) -> Vector:
        """The terms (m,) of which the cost is the sum, but for a constant; counts as a value."""
        if self.term_pattern is None:
            raise AttributeError("this objective has no terms; look at term_pattern first")
        if self._is_limited:
            self._admit()
        self.counts.values += 1
        terms: Vector = self._terms.evaluate(x)
        return terms

    def _found_sparse_hessian(self) -> Callable[[Vector], Any] | None:
        if isinstance(self._sparse_hessian, Later):
            self._sparse_hessian = self._sparse_hessian.find()
        return self._sparse_hessian

    def _found_linearised(self) -> Callable[[Vector], Linearised] | None:
        if isinstance(self._linearised, Later):
            self._linearised = self._linearised.find()
        return self._linearised

    @property
    def is_spent(self) -> bool:
        """Whether the budget allows no further evaluation."""
        budget = self.budget
        if budget.evaluations is not None and self.evaluations >= budget.evaluations:
            return True
        return self._deadline < inf and perf_counter() > self._deadline

    def _admit(self) -> None:
        budget = self.budget
        if self._calls is not None:
            self._calls.most = inf if budget.evaluations is None else budget.evaluations
            self._calls.deadline = self._deadline
        if budget.evaluations is not None and self.evaluations >= budget.evaluations:
            raise BudgetSpent("evaluations")
        if self.counts.values:
            self.check_clock()

    @property
    def lowest(self) -> tuple[Vector | None, float, Vector | None]:
        """The lowest point seen (n,), its value and its gradient where known; to be set back to what it was before."""
        return self.best_x, self.best_value, self.best_gradient

    @lowest.setter
    def lowest(self, seen: tuple[Vector | None, float, Vector | None]) -> None:
        self.best_x, self.best_value, self.best_gradient = seen

    def check_clock(self) -> None:
        """Raise `BudgetSpent` once the seconds are spent; for work that may take long between two evaluations."""
        if self._deadline < inf and perf_counter() > self._deadline:
            raise BudgetSpent("seconds")

    def _remember(self, x: Vector, value: float, gradient: Vector | None) -> None:
        if value == -inf:
            self.minus_infinity = True
            return
        if not self._keeps_best:
            return
        self.best_value = value
        # An array on a device never changes.
        self.best_x = x.copy() if isinstance(x, np.ndarray) and x.flags.writeable else x
        self.best_gradient = gradient
