"""The loop of a constrained walk: steps, budgets, callbacks, and the best point by violation and cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Any, ClassVar

import numpy as np

from ..bounds import Vector
from ..budget import BudgetSpent
from ..constraints.rows import Rows
from ..numerics import EPS
from ..objective import Objective
from .constrained_polish import Held, Polished, least_violation, polished
from .driver import Asked, Halted, Run, listener, spent
from .history import History
from .interior_point import ARRIVED, FIRST_BARRIER, Halt, InteriorPoint, Iterate
from .programs import Slacked
from .stopping import INTERRUPTED, StopReason

# A violation below this part of the size of a row and its limits is not told from none while a best point is kept.
MET = 1e-8

# A row whose unit, by the size of the parameters, is so many times what it was at the start would be held to rounding.
OUTGROWN = 1e3

# A cost this far below its start, in its own scale, or parameters this large: it falls for ever.
BOTTOMLESS, RUNAWAY = -1e20, 1e20

# After each so many steps rays through the iterate are followed, in such distances: where the cost falls along one as
# fast as before and nothing is violated, no number of steps will ever be enough.
LOOK_AHEAD = 100
FAR = tuple(10.0**k for k in range(9))

# Where slopes are measured a walk that has won less than this part of its gain in the last half of its steps is over.
# From far off a walk wins nearly all in its first steps, and still has a bent valley before it: of 81 walks of 2 to 25
# parameters down chained valleys, narrow quadratics and quartics, 17 that arrive in 210 to 700 steps would be broken
# off after 200. So a walk is looked at after a thousand steps, or so many for each parameter. Each takes up to five
# times the calls of a slope by differences; where they take more than so many times those, after 300.
CRAWL, FIRST_LOOK, LOOK_EACH = 1e-3, 1000, 20
DEAR, DEAR_LOOK = 10, 300

# Nor does such a walk go on that stands still: that has moved no parameter by more than this part of its size in so
# many steps, or so many for each parameter, while the cost fell by no more than rounding. It has arrived if its
# conditions hold as nearly as measured slopes can tell; fewer steps, and one on its way round a corner is given up.
STANDING, STANDS_FOR, STANDS_EACH = 1e-7, 20, 2
NEARLY_ARRIVED = 1e-5
# So many short steps in a row, each found by dozens of trials, creep along a kink.
CREEPS = 20

# How far from a start without slope or curvature another is looked for, in sizes of the parameters.
NEAR = 1e-4

# Where the first barrier ends nowhere, the walk begins again with these, nearer to the start and farther inside.
OTHER_BARRIERS = (1e-3, 100.0)


# The end of a walk put right to the last digits.
Polish = Callable[[Slacked, InteriorPoint, Iterate], Polished]


@dataclass(frozen=True)
class InteriorPointSolver:
    """The interior-point method as a plan names it; `first_barrier` as in `interior_point.FIRST_BARRIER`."""

    name: ClassVar[str] = "interior point"
    remedy: ClassVar[str] = ""
    first_barrier: float = FIRST_BARRIER

    def default_max_steps(self, n: int) -> int:
        """Steps allowed when the user sets no limit: ten times what hard problems need."""
        return 3000

    def init(self, objective: Objective, x: Vector) -> Any:
        """Not by itself: the method needs constraints to walk between."""
        raise TypeError("the interior-point method is walked by drive_constrained")

    def step(self, objective: Objective, state: Any) -> Any:
        """See `init`."""
        raise TypeError("the interior-point method is walked by drive_constrained")


@dataclass(frozen=True)
class ConstrainedRun(Run):
    """A run with `multipliers` (m,) of the rows and `bound_multipliers` (n,): gradient = Jᵀ multipliers + bound ones.

    `violation`: the largest by which a row lies outside its limits at x. `infeasible`: whether the walk ended where
    the violation itself is smallest, and not zero.
    """

    multipliers: Vector
    bound_multipliers: Vector
    violation: float
    infeasible: bool


def drive_constrained(
    solver: InteriorPointSolver,
    objective: Objective,
    rows: Rows,
    x0: Vector,
    *,
    tol: float | None = None,
    max_steps: int | None = None,
    callback: Callable[..., Any] | None = None,
    restore: Callable[[Vector], Any] | None = None,
    watch: Callable[[Vector, float, float, float, int], bool] | None = None,
    polish: Polish | None = None,
) -> ConstrainedRun:
    """Walk from `x0` (n,) to a point that meets the rows and is lowest there, as far as the walk can tell.

    Arguments as for `driver.drive`; `polish` puts the end of a walk that has arrived right to the last digits, where
    the program knows more of it than the rows that hold. Numerical trouble, a spent budget and Ctrl-C end the walk and
    never raise.
    """
    walk = _Walk(solver, objective, rows, x0, tol, watch, polish or _polished_where_held)
    limit = solver.default_max_steps(objective.n) if max_steps is None else max_steps
    limit = limit if objective.budget.steps is None else min(limit, objective.budget.steps)
    tell = listener(callback, restore)
    try:
        with np.errstate(all="ignore"):
            stop, reason = walk.go(limit, tell)
    except BudgetSpent as what:
        stop, reason = StopReason.OUT_OF_BUDGET, spent(str(what), objective)
    except KeyboardInterrupt:
        stop, reason = StopReason.STOPPED, INTERRUPTED
    except Halted:
        stop, reason = StopReason.STOPPED, "stopped by the callback"
    except Asked:
        stop, reason = StopReason.STOPPED, "stopped from outside, by whoever watches the run"
    return walk.run(stop, reason)


@dataclass(frozen=True)
class _Seen:
    """An iterate as a callback sees it."""

    x: Vector
    value: float
    gradient: Vector


class _Walk:
    """What the walk has seen so far."""

    def __init__(
        self,
        solver: InteriorPointSolver,
        objective: Objective,
        rows: Rows,
        x0: Vector,
        tol: float | None,
        watch: Callable[[Vector, float, float, float, int], bool] | None,
        polish: Polish,
    ) -> None:
        self.solver, self.objective, self.rows, self.watch = solver, objective, rows, watch
        self.polish = polish
        self.start = objective.bounds.project(x0)
        self.arrived = ARRIVED if tol is None else min(max(ARRIVED, tol), 1e-2)
        self.history = History(objective.n)
        self.best: tuple[float, float, Vector, Vector] | None = None
        self.answer: Polished | None = None
        self.infeasible = False
        self.begun = np.inf, np.inf
        self.taken = 0
        self.is_measured = objective.is_measured or any(
            block.derivatives == "numeric" for block in rows.blocks
        )

    def go(self, limit: int, tell: Callable[[Any, int, int], None] | None) -> tuple[StopReason, str]:
        value, gradient = self.objective.value_and_gradient(self.start)
        self._row(self.start, value, gradient, None)
        if not is_defined(self.objective, self.rows, self.start):
            if not np.isfinite(value) or not np.isfinite(gradient).all():
                return StopReason.NOT_FINITE, "the cost or its slope is not finite at the start"
            return StopReason.NOT_FINITE, "a constraint or its slope is not finite at the start"
        self.begun = self._keep(self.start, value, gradient)
        ending = (StopReason.NO_PROGRESS, "")
        for barrier in (self.solver.first_barrier, *OTHER_BARRIERS):
            halt, reason = self._leg(self.start, barrier, limit, tell)
            if halt is None:
                return reason
            ending = reason
            if halt is Halt.ARRIVED:
                self.infeasible = False
                return ending
            self.infeasible = self.infeasible or halt is Halt.INFEASIBLE
        return ending

    def _leg(
        self,
        start: Vector,
        barrier: float,
        limit: int,
        tell: Callable[[Any, int, int], None] | None,
        moved: bool = False,
    ) -> tuple[Halt | None, tuple[StopReason, str]]:
        """One walk of the method from `start` (n,); begun again where the parameters outgrow the units of the rows.

        And once beside it, where there are no second derivatives, as those of |z|^1.5 at zero: `moved` says so.
        """
        program = Slacked(self.objective, self.rows, start)
        program.scaled(start)
        method = InteriorPoint(program, first_barrier=barrier, arrived=self.arrived)
        it = method.begin(program.start(start))
        if not it.at.finite:
            return Halt.STUCK, (
                StopReason.NOT_FINITE,
                "the cost is not finite beside the start, inside the bounds",
            )
        x, asked = start, False
        ranks = [self.begun]
        while True:
            if self.taken >= limit:
                self._settle(program, method, it)
                return None, (StopReason.OUT_OF_BUDGET, f"all {limit} steps allowed were taken")
            it = method.step(it)
            if it.halt is Halt.STUCK and x is start and not (moved or _has_curvature(method, it)):
                return self._leg(beside(self.objective, start), barrier, limit, tell, moved=True)
            if it.halt is not None:
                break
            self.taken += 1
            new = program.x_of(it.w)
            value = it.at.value / program.cost_scale
            gradient = np.zeros(new.size)
            gradient[program.free] = it.at.gradient[: program.bending] / program.cost_scale
            slope = (it.at.gradient + it.J.T @ it.y - it.low + it.high)[
                : program.bending
            ] / program.cost_scale
            asked = self._row(new, value, gradient, new - x, float(np.linalg.norm(slope))) or asked
            x = new
            ranks.append(min(ranks[-1], self._keep(x, value, gradient)))
            if self.is_measured and (it.short >= CREEPS or self._stands_still(ranks)):
                arrived = method.error(it, 0.0) <= NEARLY_ARRIVED
                it = replace(it, halt=Halt.ARRIVED if arrived else Halt.STUCK)
                break
            if self.is_measured and len(ranks) > self._patience and _crawls(ranks):
                self._settle(program, method, it)
                return None, (
                    StopReason.NO_PROGRESS,
                    f"the last {len(ranks) // 2} steps won next to nothing, and each was measured",
                )
            if tell is not None:
                tell(_Seen(x, value, gradient), self.taken, self.objective.evaluations)
            if asked:
                raise Asked
            if (
                it.at.value < BOTTOMLESS * max(1.0, program.cost_scale)
                or np.abs(it.w[: program.bending]).max(initial=0.0) > RUNAWAY
            ):
                return None, (
                    StopReason.UNBOUNDED,
                    "the cost fell without limit while the constraints were met",
                )
            if self.taken % LOOK_AHEAD == 0 and self._falls_along_a_ray(x, value):
                return None, (
                    StopReason.NO_PROGRESS,
                    "the cost falls along a ray as far as it was followed, and the constraints stay met",
                )
            if (self.rows.units_at(x) > OUTGROWN * self.rows.units).any():
                self.rows = replace(self.rows, start=x)
                return self._leg(x, barrier, limit, tell)
        self._settle(program, method, it)
        sentences = {
            Halt.ARRIVED: (StopReason.TOLERANCE, "the first-order conditions hold as far as the method goes"),
            Halt.INFEASIBLE: (
                StopReason.NO_PROGRESS,
                "the violation of the constraints is at a minimum of its own",
            ),
            Halt.STUCK: (StopReason.NO_PROGRESS, "no step lowers both the cost and the violation"),
        }
        assert it.halt is not None
        return it.halt, sentences[it.halt]

    @property
    def _patience(self) -> int:
        """Steps before the first look whether the walk crawls: few where each takes many times the calls of a slope."""
        n, calls = self.objective.n, self.history.evaluations
        last = min(DEAR_LOOK // 2, len(calls) - 1)
        is_dear = calls[-1] - calls[-1 - last] > DEAR * (2 * n + 1) * last
        return DEAR_LOOK if is_dear else max(FIRST_LOOK, LOOK_EACH * n)

    def _stands_still(self, ranks: Sequence[tuple[float, float]]) -> bool:
        """Whether the last steps led nowhere, by the best violation and value at each and by where they were."""
        steps = max(STANDS_FOR, STANDS_EACH * self.objective.n)
        if len(ranks) <= steps:
            return False
        (missed_before, before), (missed_now, now) = ranks[-1 - steps], ranks[-1]
        if missed_now < missed_before or not before - now <= 4.0 * EPS * max(
            abs(before), abs(ranks[0][1] - now)
        ):
            return False
        passed = self.history.x[-1 - steps :]
        size = np.maximum(np.abs(passed[-1]), np.abs(passed[-1] - self.start))
        return bool((np.ptp(passed, axis=0) <= STANDING * np.where(size > 0.0, size, 1.0)).all())

    def _falls_along_a_ray(self, x: Vector, value: float) -> bool:
        """Whether the cost falls from `x` on, away from the start or from halfway, at no less than half its rate."""
        if not value < self.history.value[0]:
            return False
        passed = self.history.x
        return any(
            self._falls_along(x, value, x - before) for before in (passed[0], passed[len(passed) // 2])
        )

    def _falls_along(self, x: Vector, value: float, along: Vector) -> bool:
        length = float(np.abs(along).max(initial=0.0))
        if not 0.0 < length < np.inf:
            return False
        along = along * (max(1.0, float(np.abs(x).max())) / length)
        last, rate = value, 0.0
        for distance in FAR:
            near = x + distance * along
            if not self.objective.bounds.contains(near) or self._violation(near) > 0.0:
                return False
            value = self.objective.value(near)
            fall = (last - value) / distance
            if not fall > 0.5 * rate:
                return False
            last, rate = value, fall
        return True

    def _row(
        self, x: Vector, value: float, gradient: Vector, step: Vector | None, slope: float = nan
    ) -> bool:
        """One more row of the history; whether whoever watches asks to stop. `slope`: of the Lagrangian."""
        slope = float(np.linalg.norm(gradient)) if np.isnan(slope) else slope
        length = 0.0 if step is None else float(np.linalg.norm(step))
        self.history.append(x, value, gradient, slope, step, length, self.objective.evaluations)
        return self.watch is not None and self.watch(x, value, slope, length, self.objective.evaluations)

    def _keep(self, x: Vector, value: float, gradient: Vector) -> tuple[float, float]:
        """The best point: of two that meet the constraints the lower, otherwise the one that violates less.

        Gives back the rank of this one.
        """
        violation = self._violation(x)
        if self.best is None or rank(violation, value) < rank(*self.best[:2]):
            self.best = (violation, value, x, gradient)
        return rank(violation, value)

    def _violation(self, x: Vector) -> float:
        return missed(self.rows, x)

    def _settle(self, program: Slacked, method: InteriorPoint, it: Iterate) -> None:
        """Polish the end of a leg and keep it if it is the best; its multipliers go with it."""
        objective, rows = self.objective, self.rows
        found = end_of(program, it)
        missed = it.halt is not Halt.ARRIVED and self._violation(found.x) > 0.0
        if missed and not program.sparse:
            found = found._replace(x=least_violation(rows, objective.bounds, found.x))
        if it.halt is Halt.ARRIVED:
            found = self.polish(program, method, it)
        if self.answer is not None:
            old, new = self.answer, found
            before = rank(self._violation(old.x), objective.value(old.x))
            if before <= rank(self._violation(new.x), objective.value(new.x)):
                return
        value, gradient = objective.value_and_gradient(found.x)
        self.answer = found
        violation = self._violation(found.x)
        if (
            self.best is None
            or (it.halt in (Halt.ARRIVED, Halt.INFEASIBLE) and value < np.inf)
            or rank(violation, value) <= rank(*self.best[:2])
        ):
            self.best = (violation, value, found.x, gradient)

    def run(self, stop: StopReason, reason: str) -> ConstrainedRun:
        """The run as it stands, at its best point."""
        steps = max(len(self.history) - 1, 0)
        n, m = self.objective.n, self.rows.m
        if self.best is None:
            x, value, gradient = self.start, self.history.begun, np.full(n, nan)
            if (
                self.objective.best_x is not None
            ):  # its cost was told before the budget or Ctrl-C ended its slope
                x, value = self.objective.best_x, self.objective.best_value
        else:
            _, value, x, gradient = self.best
        try:
            violation = float(np.max(self.rows.violation(x), initial=0.0))
        except BudgetSpent:
            violation = nan
        except KeyboardInterrupt:
            stop, reason, violation = StopReason.STOPPED, INTERRUPTED, nan
        own = self.answer is not None and np.array_equal(self.answer.x, x)
        assert self.answer is not None or not own
        multipliers = self.answer.rows if own and self.answer else np.full(m, nan)
        bound = self.answer.bounds if own and self.answer else np.full(n, nan)
        return ConstrainedRun(
            np.array(x), value, np.array(gradient), stop, reason, self.history, steps, self.solver.name,
            multipliers, bound, violation, self.infeasible,
        )  # fmt: skip


def _has_curvature(method: InteriorPoint, it: Iterate) -> bool:
    """Whether all second derivatives at an iterate are numbers."""
    H = method.program.hessian(it.w, it.y) if it.B is None else it.B
    return bool(np.isfinite(H if isinstance(H, np.ndarray) else H.data).all())


def beside(objective: Objective, x: Vector) -> Vector:
    """A place (n,) near `x` where no parameter, and no difference of two, is what it is there."""
    away = NEAR * np.sin(1.0 + np.arange(x.size)) * np.maximum(np.abs(x), 1.0)
    return objective.bounds.project(x + away)


def is_defined(objective: Objective, rows: Rows, x: Vector) -> bool:
    """Whether the cost, the rows and the slopes of both are finite at `x` (n,): a walk can begin there."""
    value, gradient = objective.value_and_gradient(x)
    if not (np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(rows.value(x)).all()):
        return False
    J = rows.jacobian(x)
    return bool(np.isfinite(J if isinstance(J, np.ndarray) else J.data).all())


def _crawls(ranks: Sequence[tuple[float, float]]) -> bool:
    """Whether the last half of the steps won next to nothing, by the best violation and value at each.

    To meet the constraints at last is much won, whatever was missed.
    """
    steps = len(ranks) - 1
    if steps % 2:
        return False
    (begun, first), (before, middle), (violation, value) = ranks[0], ranks[steps // 2], ranks[-1]
    if not (violation < np.inf and begun < np.inf):
        return False
    if violation > 0.0:
        return before - violation <= CRAWL * (begun - violation)
    return before == 0.0 and middle - value <= CRAWL * abs(first - value)


def rank(violation: float, value: float) -> tuple[float, float]:
    """What is least at the best point: a place where the cost has no value, or a constraint has none, is the worst."""
    return (violation, value) if violation < np.inf and value < np.inf else (np.inf, np.inf)


def missed(rows: Rows, x: Vector) -> float:
    """Length of the violations at `x` (n,), each in its row's unit: zero where all are met, infinite where one is NaN.

    Met is what lies outside its limit by less than `MET` of that, or of the unit for parameters as large as these.
    """
    size = np.maximum(rows.units_at(x), np.minimum(np.abs(rows.lower), np.abs(rows.upper)))
    off = rows.violation(x)
    if np.isnan(off).any():
        return np.inf
    return float(np.linalg.norm(off / rows.units)) if (off > MET * size).any() else 0.0


def end_of(program: Slacked, it: Iterate) -> Polished:
    """Where the method stands, as a place of the parameters with the multipliers of its rows and bounds."""
    x = program.x_of(it.w)
    bound = np.zeros(x.size)
    bound[program.free] = (it.low - it.high)[: program.bending] / program.cost_scale
    return Polished(x, -it.y * program.row_scale / program.cost_scale, bound)


def _polished_where_held(program: Slacked, method: InteriorPoint, it: Iterate) -> Polished:
    """The end put right by Newton's method on all that clearly holds it."""
    held, curvature = held_at(program, method, it), curvature_of(program, it)
    return polished(program.objective, program.rows, end_of(program, it), held, curvature)


def held_at(program: Slacked, method: InteriorPoint, it: Iterate, clearly: float = 1.0) -> Held:
    """The constraints whose multiplier is more than `clearly` times their distance: those that hold the point."""
    rows, k = program.rows, program.bending
    below, above = method.distances(it.w)
    at_low, at_high = (
        method.has_low & (it.low > clearly * below),
        method.has_high & (it.high > clearly * above),
    )
    active, target = rows.equality.copy(), rows.lower.copy()
    slack = program.slack
    active[slack] = (at_low | at_high)[k:]
    target[slack] = np.where(at_high[k:], rows.upper[slack], rows.lower[slack])
    bounds = np.ones(program.base.size, dtype=bool)
    bounds[program.free] = (at_low | at_high)[:k]
    return Held(active, target, bounds)


def curvature_of(program: Slacked, it: Iterate) -> Callable[[Vector, Vector], Any]:
    """Second derivatives of the Lagrangian over all parameters, exact or as the walk has measured them."""
    objective, rows = program.objective, program.rows
    if it.B is not None:
        n = program.base.size
        B = np.eye(n)
        B[np.ix_(program.free, program.free)] = it.B / program.cost_scale
        return lambda x, multipliers: B

    def exact(x: Vector, multipliers: Vector) -> Any:
        if program.sparse:
            import scipy.sparse as sparse

            own = objective.sparse_hessian(x) if objective.has_sparse_hessian else objective.hessian(x)
            other = rows.hessian(x, -multipliers)
            total = sparse.csr_array(own)
            return total if np.ndim(other) != 2 else sparse.csr_array(total + sparse.csr_array(other))
        return objective.hessian(x) + rows.hessian(x, -multipliers)

    return exact
