"""The one loop that takes solver steps: history, budgets, callbacks, Ctrl-C, and never a best point lost."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, isfinite, nan
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..bounds import Vector
from ..budget import BudgetSpent
from ..linear_algebra.long_vectors import length
from ..numerics import quietly
from ..objective import Objective
from .contract import Lighter, Solver, State
from .history import KEPT_PARAMETERS, History
from .stopping import INTERRUPTED, SENTENCES, VALUE_ROUNDING, Progress, StopReason, Tolerance

# A value is taken to be off by no larger part of itself, whatever a solver says: beyond, a lower one is lower.
MOST_GRAIN = 1e-9

# What is said of a walk that `watch` ended.
FROM_OUTSIDE = "stopped from outside, by whoever watches the run"


@dataclass(frozen=True)
class Run:
    """Where a walk ended and how: `x`, `gradient` of shape (n,) at the best point seen, and its `value`.

    `stop` and `reason` (a sentence) say why the walk ended; whether `x` is a minimum is for the judge.
    `steps` counts accepted iterates after the start. `solver` is the solver's name.
    """

    x: Vector
    value: float
    gradient: Vector
    stop: StopReason
    reason: str
    history: History
    steps: int
    solver: str


AnyRun = TypeVar("AnyRun", bound=Run)


class Intermediate(dict[str, Any]):
    """What a callback named `intermediate_result` is given: `x`, `fun`, `jac`, `nit`, `nfev`, by key or name."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error


def drive(
    solver: Solver,
    objective: Objective,
    x0: Vector,
    *,
    tolerance: Tolerance | float | None = None,
    max_steps: int | None = None,
    callback: Callable[..., Any] | None = None,
    restore: Callable[[Vector], Any] | None = None,
    watch: Callable[[Vector, float, float, float, int], bool] | None = None,
    gives_way: tuple[int, Callable[[], bool]] | None = None,
) -> Run:
    """Walk from `x0`, shape (n,), until the solver, the tolerance, a budget or the user says stop.

    `x0` is put inside the bounds first. `tolerance` None goes as far as double precision lets it; a number
    is `Tolerance(remaining=…)`. `max_steps` None is the solver's own limit. `callback` has one of SciPy's
    two forms, told apart by the parameter's name: `callback(xk)` or `callback(intermediate_result)`; it stops
    the walk by returning True or raising StopIteration. `restore` turns the flat x into the user's structure
    for it. `watch(x, value, slope, step_length, evaluations)` sees every iterate, the start too, and stops the walk
    by returning True; it may keep x and must not change it. `gives_way`: after so many steps the walk ends, its steps
    used up, where the function says so; it is asked once.

    Numerical trouble, a spent budget and Ctrl-C end the walk and never raise. What the cost or the callback
    raises passes through, with a note on where the walk was.

    >>> from steepest.solvers import gradient_descent
    >>> parabola = Objective(1, value_and_gradient=lambda x: (float(x @ x), 2 * x))
    >>> run = drive(gradient_descent(rate=0.25), parabola, np.array([8.0]), max_steps=3)
    >>> run.x, run.stop, run.history.x[:, 0]
    (array([1.]), <StopReason.OUT_OF_BUDGET: 'out of budget'>, array([8., 4., 2., 1.]))
    """
    if tolerance is None or isinstance(tolerance, (int, float)):
        tolerance = Tolerance(remaining=tolerance)
    limit = _step_limit(solver, objective, max_steps)
    tell = listener(callback, restore)
    walk = _Walk(solver, objective, tolerance, watch)
    try:
        with quietly():
            stop, reason = walk.go(_frozen(objective.bounds.project(x0)), limit, tell, gives_way)
    except BudgetSpent as what:
        stop, reason = StopReason.OUT_OF_BUDGET, spent(str(what), objective)
    except KeyboardInterrupt:
        stop, reason = StopReason.STOPPED, INTERRUPTED
    except Halted:
        stop, reason = StopReason.STOPPED, "stopped by the callback"
    except Asked:
        stop, reason = StopReason.STOPPED, FROM_OUTSIDE
    return walk.run(stop, reason)


def lowest_seen(objective: Objective, run: AnyRun) -> AnyRun:
    """The `run`; with the lowest point that the objective remembers for its end, where that is lower beyond rounding.

    Any is lower than an end without a cost. Its slope is NaN where it was not evaluated.
    """
    x, value, gradient = objective.lowest
    known = isfinite(run.value) or run.value == -inf
    if x is None or (known and not value < run.value - VALUE_ROUNDING * abs(run.value)):
        return run
    slopes = np.full(objective.n, nan) if gradient is None else np.array(gradient, dtype=np.float64)
    return replace(run, x=np.array(x), value=value, gradient=slopes)


class Halted(Exception):
    """The callback asked to stop."""


class Asked(Exception):
    """Whoever watches the run asked to stop."""


class _Lowest(NamedTuple):
    """The best iterate so far: no more of its state, whose directions and pairs would stay in memory with it."""

    x: Vector
    value: float
    gradient: Vector


class _Walk:
    """What one walk has seen so far; whatever ends it, `run` can be told from here."""

    def __init__(
        self,
        solver: Solver,
        objective: Objective,
        tolerance: Tolerance,
        watch: Callable[[Vector, float, float, float, int], bool] | None = None,
    ) -> None:
        self.watch = watch
        self.solver = solver
        self.objective = objective
        self.tolerance = tolerance
        self.history = History(objective.n)
        self.start: Vector | None = None
        self.best: _Lowest | None = None
        self.best_slope = inf
        self.lowest = inf
        # By how much more than rounding of its own size a value may be off, as the last state has it.
        self.grain = 0.0

    def go(
        self,
        x: Vector,
        limit: int,
        tell: Callable[[State, int, int], None] | None,
        gives_way: tuple[int, Callable[[], bool]] | None = None,
    ) -> tuple[StopReason, str]:
        solver, objective, history = self.solver, self.objective, self.history
        bounds = objective.bounds if objective.bounds.any else None
        self.start = x
        state = self._taken(solver.init, 0, objective, x)
        gradient = state.gradient if bounds is None else bounds.projected_gradient(x, state.gradient)
        slope = length(gradient)
        history.append(x, state.value, state.gradient, slope, None, 0.0, objective.evaluations)
        asked = self.watch is not None and self.watch(x, state.value, slope, 0.0, objective.evaluations)
        if not (isfinite(state.value) and isfinite(slope)):
            return StopReason.NOT_FINITE, SENTENCES[StopReason.NOT_FINITE]
        self.best, self.best_slope, self.lowest = _Lowest(x, state.value, state.gradient), slope, state.value
        progress = Progress(state.value, self.tolerance, solver.remedy)
        stop = progress.check_start(x, slope, gradient)
        if stop is not None:
            return stop, progress.sentence
        self.start = None
        del x  # what is in memory twice is what limits the largest problems
        is_long = objective.n > KEPT_PARAMETERS
        for index in range(1, limit + 1):
            before = state.value
            objective.minus_infinity = False  # what an earlier step met it has stepped back from
            state = self._taken(solver.step, index, objective, state)
            if state.stop is not None:
                return self._halted(state)
            value, step = state.value, state.step
            assert step is not None
            gradient = (
                state.gradient if bounds is None else bounds.projected_gradient(state.x, state.gradient)
            )
            measured = getattr(state, "lengths", None)
            slope, step_length = (length(gradient), length(step)) if measured is None else measured
            evaluations = objective.evaluations
            history.append(state.x, value, state.gradient, slope, step, step_length, evaluations)
            self.grain = min(getattr(state, "grain", 0.0), MOST_GRAIN * abs(value))
            self._keep_best(state, value, slope)
            if self.watch is not None:
                asked |= self.watch(np.asarray(state.x), value, slope, step_length, evaluations)
            if tell is not None:
                tell(state, index, evaluations)
            if asked:
                raise Asked
            stop = progress.check(
                state.x, value, before, slope, gradient, step, step_length, state.decrease, self.grain
            )
            if stop is not None:
                return stop, progress.sentence
            if objective.is_measured and _is_within_error(objective, gradient):
                return StopReason.ROUNDING, "every part of the slope is within the error of its measurement"
            if gives_way is not None and index == gives_way[0] and gives_way[1]():
                return StopReason.OUT_OF_BUDGET, f"another method took over after {index} steps"
            del step, gradient
            if is_long and isinstance(state, Lighter):
                state = state.without_step(step_length)
        return StopReason.OUT_OF_BUDGET, f"all {limit} steps allowed were taken"

    def run(self, stop: StopReason, reason: str) -> Run:
        """The run as it stands, at the best point any evaluation saw."""
        objective, best = self.objective, self.best
        steps = max(len(self.history) - 1, 0)
        x, value, gradient = (
            (best.x, best.value, best.gradient)
            if best is not None
            else (self.start, self.history.begun, None)
        )
        if objective.best_x is not None and (
            best is None or objective.best_value < value - VALUE_ROUNDING * abs(value) - self.grain
        ):
            x, value, gradient = objective.best_x, objective.best_value, objective.best_gradient
        assert x is not None
        slopes = np.full(objective.n, nan) if gradient is None else np.array(gradient, dtype=np.float64)
        kept = np.array(x)
        if objective.best_x is x:  # the one copy serves both; of many parameters each vector counts
            objective.best_x, objective.best_gradient = kept, None if gradient is None else slopes
        return Run(kept, value, slopes, stop, reason, self.history, steps, self.solver.name)

    def _taken(self, act: Callable[..., Any], index: int, *arguments: Any) -> Any:
        """Call the solver; what the user's cost raises goes on its way with a note."""
        try:
            return act(*arguments)
        except BudgetSpent:
            raise
        except Exception as error:
            where = "at the start" if index == 0 else f"in step {index}"
            error.add_note(f"raised {where} of {self.solver.name}, evaluation {self.objective.evaluations}")
            raise

    def _keep_best(self, state: State, value: float, slope: float) -> None:
        """The lowest point; among those equal to rounding, the one with the smallest slope."""
        lowest, rounding = self.lowest, VALUE_ROUNDING * abs(value) + self.grain
        if value <= lowest:
            self.lowest = value
            fell = value < lowest - rounding or (self.best is not None and self.best.value > value + rounding)
            if fell or slope <= self.best_slope:
                self.best, self.best_slope = _Lowest(state.x, value, state.gradient), slope
        elif slope < self.best_slope and value <= lowest + rounding:
            self.best, self.best_slope = _Lowest(state.x, value, state.gradient), slope

    def _halted(self, state: State) -> tuple[StopReason, str]:
        if self.objective.minus_infinity:
            return StopReason.UNBOUNDED, "the cost is -inf at a point close to the last step"
        assert state.stop is not None
        return state.stop, SENTENCES.get(state.stop, state.stop.value)


def _is_within_error(objective: Objective, gradient: Vector) -> bool:
    """Whether a slope measured by differences can no longer be told from zero, in any parameter.

    Its direction is then chance, and every further step costs a dozen calls of the cost to follow it.
    """
    error = objective.gradient_error
    return error is not None and bool((np.abs(gradient) <= error).all())


def _step_limit(solver: Solver, objective: Objective, asked: int | None) -> int:
    limit = solver.default_max_steps(objective.n) if asked is None else asked
    return limit if objective.budget.steps is None else min(limit, objective.budget.steps)


def spent(what: str, objective: Objective) -> str:
    """The sentence for a budget of "seconds" or "evaluations" that ran out."""
    budget = objective.budget
    amount = f"{budget.seconds:g} seconds" if what == "seconds" else f"{budget.evaluations} evaluations"
    return f"all {amount} allowed were spent"


def listener(
    callback: Callable[..., Any] | None, restore: Callable[[Vector], Any] | None
) -> Callable[[State, int, int], None] | None:
    """The callback in whichever of SciPy's two forms it has, as one function of the state."""
    if callback is None:
        return None
    shape = restore or (lambda x: x)
    try:
        wants_result = set(inspect.signature(callback).parameters) == {"intermediate_result"}
    except (TypeError, ValueError):  # builtins have no signature
        wants_result = False

    def tell(state: State, steps: int, evaluations: int) -> None:
        x = shape(np.array(state.x))
        try:
            if wants_result:
                answer = callback(
                    intermediate_result=Intermediate(
                        x=x, fun=state.value, jac=np.array(state.gradient), nit=steps, nfev=evaluations
                    )
                )
            else:
                answer = callback(x)
        except StopIteration:
            raise Halted from None
        if answer is True or (isinstance(answer, np.bool_) and bool(answer)):
            raise Halted

    return tell


def _frozen(x: Vector) -> Vector:
    """`x` as float64, owned by the walk and marked read-only."""
    x = np.array(x, dtype=np.float64)
    x.setflags(write=False)
    return x
