"""Fit a model to measurements: the parameters, their errors, and the truth about both."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from .bounds import Bounds, Vector
from .box import box_of, free_of, pairs_of_ends
from .errors import InputError
from .fitting.facts import facts_of
from .fitting.measurements import Measurements, frame_of, named_sets, several
from .fitting.measurements import read as read_measurements
from .fitting.result import DataSet, FitResult, Setting, Values, all_covariance
from .fitting.starts import Suspicion, around, from_data, suspicion_of
from .least_squares import budget_of, judged, plan_of, walk_and_judge
from .linear_algebra.long_vectors import length
from .models.model import Model, as_model
from .numerics import EPS
from .objective import Budget, BudgetSpent, Objective
from .outcome import honest_digits, on_precision
from .parameters import Parameters
from .problem import DERIVATIVES, is_opaque
from .residuals import (
    LOSSES,
    Arrangement,
    MeasuredVector,
    Residuals,
    StackedVector,
    TracedVector,
    VectorFunction,
    loss_of,
)
from .search.exchange import Exchanges, is_poor_fit
from .solvers import Plan, drive
from .solvers.driver import Run, lowest_seen, spent
from .solvers.stopping import INTERRUPTED, StopReason, in_spite_of_ctrl_c
from .verdict.wording import listed
from .verdict.words import Judgement, Verdict

NOISE = ("unknown", "known")

# The loss whose fit is a start for other robust losses: convex in the residual, and hardly moved by wild points.
GENTLE = "soft_l1"

# Starts to ask for where those that are tried by themselves led to no curve that explains the data.
MORE_STARTS = 50

# Exchanges of parts of the model take so many times the evaluations of the first walk, but so many in any case.
TIMES_WALKED, LEAST_EXCHANGED = 2, 500

TINY = float(np.finfo(np.float64).tiny)


def fit(
    model: Any,
    x: Any,
    y: Any,
    start: Any = None,
    *,
    sigma: Any = None,
    noise: str = "unknown",
    data: Any = None,
    bounds: Any = None,
    fixed: Any = None,
    tied: Mapping[str, str] | None = None,
    separate: Sequence[str] = (),
    loss: Any = "linear",
    f_scale: float = 1.0,
    mask: Any = None,
    nan: str = "raise",
    method: Any = "auto",
    tol: float | None = None,
    budget: int | Mapping[str, Any] | Budget | None = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
    starts: int | None = None,
    seed: int = 0,
    derivatives: str = "auto",
) -> FitResult:
    """Find the parameters of `model` that fit the measurements best, with errors and a verdict.

    Parameters
    ----------
    model : function `model(x, a, b, …)` written with NumPy, whose argument names are the parameters; an expression
        such as "a*exp(-b*x) + c"; or a ready-made one, `steepest.models.gaussian() + steepest.models.line()`.
    x, y : measurements: arrays, names of columns of `data`, or for several data sets lists or dicts of arrays. For a
        model of several independent variables x is a tuple or a dict of arrays, handed to the model as it is.
    start : dict from name to value, values in order, or lmfit's Parameters. Left out, it is read off the data by a
        ready-made model, else searched from seeded random starts; `result.start_from` says which.
    sigma : standard deviation of each y (or one for all, or the covariance matrix of y); a column's name with `data`.
    noise : "known": sigma is in the units of y and errors follow from it alone. "unknown": sigma gives relative
        weights, and the size of the noise is estimated from the scatter about the fitted curve.
    data : a pandas or polars frame, a dict of columns, or the path of a CSV or Parquet file.
    bounds : dict from name to (low, high), a pair for each parameter, or SciPy's `(lower, upper)`, a tuple of two lists
        or arrays; never left.
    fixed : names held at their start; or a dict from name to the value to hold.
    tied : dict from name to an expression of other parameters, such as {"width_2": "2*width_1"}.
    separate : with several data sets, the parameters that each set has for itself; all others are shared.
    loss, f_scale : robust losses against outliers, as in `least_squares`; f_scale in units of sigma. Errors are then
        those of the points that the loss holds to.
    mask : True for each point to be used. nan : "raise", or "omit" to leave out points that are not finite.
    method, tol, budget, callback, options, derivatives : as for `minimize`.
    starts : how many random starts to try beside the given one. By default none, unless the end is no minimum or
        looks like a bad basin; 0 forbids it. seed : of those starts.

    Returns
    -------
    FitResult : unpacks as `params, covariance`.

    Raises
    ------
    InputError : an argument cannot be used (before the model is evaluated).
    TracingError : the model cannot be traced; the message names the line and the rewrite.

    >>> t = np.array([0.0, 1.0, 2.0, 3.0])
    >>> found = fit("a*exp(-b*t)", t, 3.0 * np.exp(-0.5 * t), {"a": 1.0, "b": 1.0})
    >>> print(round(found.values["a"], 12), round(found.values["b"], 12))
    3.0 0.5
    """
    began = time.perf_counter()
    _check(noise, sigma, f_scale, starts, tol, callback)
    rho = loss_of(loss)
    allowed = budget_of(budget)
    plan = plan_of(method, options, "a fit is a sum of squared residuals")
    sets = _sets(x, y, sigma, frame_of(data), mask, nan)
    task = _task(model, sets, start, bounds, fixed, tied, tuple(separate), derivatives, seed)
    _check_sigma(task.sets, noise)
    residuals = task.residuals(rho, float(f_scale))
    posed = time.perf_counter()
    found = _search(task, residuals, plan, tol, callback, allowed, starts, seed, began)
    walked = time.perf_counter()
    timing = {"trace": posed - began, "walk and judge": walked - posed}
    result = _result(task, residuals, plan, found, noise)
    timing["errors"] = time.perf_counter() - walked
    timing["total"] = time.perf_counter() - began
    result.timing.update(timing)
    return result


def _check(noise: str, sigma: Any, f_scale: Any, starts: Any, tol: Any, callback: Any) -> None:
    if noise not in NOISE:
        raise InputError(
            f'noise={noise!r}; choose "known" (sigma is in the units of y) or "unknown" (its size is estimated)'
        )
    if noise == "known" and sigma is None:
        raise InputError('noise="known" needs sigma=, the standard deviation of each measurement')
    if not (isinstance(f_scale, (int, float, np.number)) and 0 < float(f_scale) < np.inf):
        raise InputError(f"f_scale={f_scale!r}; give the size of a residual that is not an outlier, above 0")
    if starts is not None and not (isinstance(starts, (int, np.integer)) and starts >= 0):
        raise InputError(
            f"starts={starts!r}; give how many random starts to try, a whole number from 0 upwards"
        )
    if tol is not None and not 0 <= tol < np.inf:
        raise InputError(
            f"tol={tol!r}; give the fraction of the gain that may be left, a number from 0 upwards"
        )
    if callback is not None and not callable(callback):
        raise InputError(f"callback={callback!r} cannot be called")


def _check_sigma(sets: Sequence[DataSet], noise: str) -> None:
    given = [part.measurements.sigma is not None for part in sets]
    if any(given) and not all(given):
        raise InputError("some data sets have sigma and some have not; give it for all of them or for none")


def _sets(x: Any, y: Any, sigma: Any, data: Any, mask: Any, nan: str) -> list[tuple[str, Measurements]]:
    if not several(y):
        return [("0", read_measurements(x, y, sigma, data=data, mask=mask, nan=nan))]
    names, parts = named_sets(x, y, sigma, mask)
    return [
        (name, read_measurements(*part[:3], data=data, mask=part[3], nan=nan, where=f"data set {name!r}: "))
        for name, part in zip(names, parts, strict=True)
    ]


# -- the task: model, parameters, data -----------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """A fit ready to walk: all parameters with their start, which move, and the function of them.

    `parameters`: of all sets; `bounds`: of those that move. `own`: parameters of one set, as the model takes them.
    """

    model: Model
    sets: tuple[DataSet, ...]
    parameters: Parameters
    names: tuple[str, ...]
    own: Parameters
    arrangement: Arrangement
    bounds: Bounds
    function: VectorFunction
    precision: str
    start_from: str
    remarks: tuple[str, ...]
    trace: Callable[[Any], Any] | None

    @property
    def start(self) -> Vector:
        """Where those that move begin, (k,)."""
        return self.arrangement.base[self.arrangement.free]

    def residuals(self, rho: Any, scale: float) -> Residuals:
        """The cost over the parameters that move."""
        measured = [part.measurements for part in self.sets]
        target = measured[0].y if len(measured) == 1 else np.concatenate([data.y for data in measured])
        sigma = _joined([data.sigma for data in measured])
        return Residuals(self.function, self.arrangement, target, sigma, rho, scale)

    def moving(self) -> tuple[str, ...]:
        """Names of the parameters that move."""
        if self.arrangement.whole:
            return self.names
        return tuple(self.names[k] for k in self.arrangement.free.tolist())


def _joined(sigmas: list[Any]) -> Any:
    if any(sigma is None for sigma in sigmas):
        return None
    if len(sigmas) == 1:
        return sigmas[0]
    if any(sigma.ndim == 2 for sigma in sigmas):
        from scipy.linalg import block_diag

        return block_diag(*[sigma if sigma.ndim == 2 else np.diag(sigma) for sigma in sigmas])
    return np.concatenate(sigmas)


@functools.lru_cache(maxsize=64)
def _of_values(function: Callable[..., Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """A model written with *values, called by keyword."""

    def called(x: Any, **values: Any) -> Any:
        return function(x, *[values[name] for name in names])

    return called


def _task(
    given: Any,
    sets: list[tuple[str, Measurements]],
    start: Any,
    bounds: Any,
    fixed: Any,
    tied: Mapping[str, str] | None,
    separate: tuple[str, ...],
    derivatives: str,
    seed: int,
) -> Task:
    if derivatives not in DERIVATIVES:
        raise InputError(f"derivatives={derivatives!r}; choose one of {', '.join(map(repr, DERIVATIVES))}")
    first = sets[0][1]
    model = as_model(given, first.x, first.columns[0])
    start, bounds, fixed, tied = _from_lmfit(start, bounds, fixed, tied)
    if not model.names:
        count = 0 if start is None else np.size(start)
        if not count or isinstance(start, Mapping):
            raise InputError(
                f"{model.label} takes *parameters, so their number is unknown; give start= as a list of values"
            )
        names = tuple(f"p{k}" for k in range(count))
        model = replace(model, function=_of_values(model.function, names), names=names)
    unknown = [name for name in separate if name not in model.names]
    if unknown:
        raise InputError(
            f"separate holds {', '.join(map(repr, unknown))}; {model.label} has {', '.join(model.names)}"
        )
    held = dict(fixed) if isinstance(fixed, Mapping) else {}
    structure, start_from = _start(model, start, sets, separate, held, tied or {}, bounds, seed)
    parameters, own, columns = _laid_out(model, structure, [name for name, _ in sets], separate)
    names = tuple(parameters.names)
    box, remarks = box_of(pairs_of_ends(bounds, parameters.n), parameters, names)
    base = parameters.vector
    outside = (base < box.lower) | (base > box.upper)
    if outside.any():
        told = ", ".join(names[k] for k in np.flatnonzero(outside)[:4].tolist())
        remarks += (f"the start of {told} lay outside its bounds and was moved onto them",)
        base = box.project(base)
    arrangement = _arrangement(parameters, names, base, box, list(fixed) if held else fixed, tied or {})
    free = arrangement.free
    moving = box if arrangement.whole else Bounds(box.lower[free], box.upper[free])
    parts = tuple(
        DataSet(name, measured, own_columns)
        for (name, measured), own_columns in zip(sets, columns, strict=True)
    )
    function, precision, trace = _function(model, parts, own, box, derivatives)
    if sum(part.measurements.omitted for part in parts):
        omitted = sum(part.measurements.omitted for part in parts)
        remarks += (f"{_counted(omitted, 'point')} left out: masked, or not finite",)
    return Task(
        model,
        parts,
        parameters,
        names,
        own,
        arrangement,
        moving,
        function,
        precision,
        start_from,
        remarks,
        trace,
    )


def _from_lmfit(start: Any, bounds: Any, fixed: Any, tied: Any) -> tuple[Any, Any, Any, Any]:
    """Starts, bounds, fixed and tied parameters out of lmfit's `Parameters`; anything else as it is."""
    if not hasattr(start, "valuesdict"):
        return start, bounds, fixed, tied
    values = dict(start.valuesdict())
    if bounds is None:
        bounds = {name: (start[name].min, start[name].max) for name in values}
    if tied is None:
        tied = {name: start[name].expr for name in values if getattr(start[name], "expr", None)}
    if fixed is None:
        fixed = [name for name in values if not start[name].vary and name not in tied]
    return values, bounds, fixed or None, tied or None


def _start(
    model: Model,
    start: Any,
    sets: list[tuple[str, Measurements]],
    separate: tuple[str, ...],
    held: Mapping[str, Any],
    tied: Mapping[str, str],
    bounds: Any,
    seed: int,
) -> tuple[dict[str, Any], str]:
    """A value for each parameter of the model (a dict per set for a separate one), and where it came from."""
    if start is None:
        given: dict[str, Any] = {}
    elif isinstance(start, Mapping):
        given = dict(start)
    else:
        alone = np.ndim(start) == 0 or (
            len(model.names) == 1 and not (isinstance(start, (tuple, list)) and len(start) == 1)
        )
        values = [start] if alone else list(start)
        if len(values) != len(model.names):
            raise InputError(
                f"start has {len(values)} values, but {model.label} has {len(model.names)} parameters: "
                f"{', '.join(model.names)}"
            )
        given = dict(zip(model.names, values, strict=True))
    labels = [name for name, _ in sets]
    full = {name: [f"{name}[{label}]" for label in labels] for name in separate}
    known = {*model.names, *(name for names in full.values() for name in names)}
    unknown = [name for name in {**given, **held, **tied} if name not in known]
    if unknown:
        import difflib

        near = difflib.get_close_matches(str(unknown[0]), sorted(known), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        if len(model.names) == 1 and len(known) == 1:
            (only,) = model.names
            hint = f"; where {only} itself is a dict, write start={{{only!r}: {{...}}}}"
        raise InputError(
            f"{model.label} has no parameter {unknown[0]!r}: it has {', '.join(model.names)}{hint}"
        )
    given |= held
    missing = [
        name
        for name in model.names
        if name not in given
        and name not in tied
        and not all(part in given for part in full.get(name, [name]))
    ]
    origin = "given"
    guess: dict[str, Any] = {}
    if missing:
        if start is not None and model.guess is None and given.keys() - held.keys():
            raise InputError(
                f"no start for {', '.join(missing)}; give one, as in start={{'{missing[0]}': 1.0}}"
            )
        if model.guess is not None:
            guess, origin = dict(model.guess(sets[0][1].x, sets[0][1].y)), "guess"
        else:
            box = bounds if isinstance(bounds, Mapping) else {}
            known_values = {**given}
            guess = from_data(
                model.function, model.names, [data for _, data in sets], box, known_values, tuple(tied), seed
            )
            origin = "multi-start"
    structure: dict[str, Any] = {}
    for name in model.names:
        if name in full:
            value = given.get(name, guess.get(name, 1.0))
            spread = (
                value
                if isinstance(value, Mapping)
                else dict(zip(labels, np.broadcast_to(value, (len(labels),)).tolist(), strict=True))
            )
            for label, key in zip(labels, full[name], strict=True):
                structure[key] = given.get(key, spread[label])
        else:
            structure[name] = given.get(name, guess.get(name, 1.0))
    return structure, origin


def _laid_out(
    model: Model, structure: dict[str, Any], labels: list[str], separate: tuple[str, ...]
) -> tuple[Parameters, Parameters, list[np.ndarray]]:
    """All parameters, those of one set, and for each set the places of its own among all."""
    parameters = Parameters.of(structure)
    if not separate:
        return parameters, parameters, [np.arange(parameters.n)] * len(labels)
    places = {leaf.name: np.arange(leaf.start, leaf.stop) for leaf in parameters.leaves}
    columns = []
    for label in labels:
        keys = [f"{name}[{label}]" if name in separate else name for name in model.names]
        columns.append(np.concatenate([places[key] for key in keys]))
    keys = [f"{name}[{labels[0]}]" if name in separate else name for name in model.names]
    own = Parameters.of({name: structure[key] for name, key in zip(model.names, keys, strict=True)})
    return parameters, own, columns


def _arrangement(
    parameters: Parameters,
    names: tuple[str, ...],
    base: Vector,
    box: Bounds,
    fixed: Any,
    tied: Mapping[str, str],
) -> Arrangement:
    pinned = np.flatnonzero(box.lower == box.upper)
    if not tied and fixed is None and not pinned.size:
        return Arrangement(base, np.arange(parameters.n))
    free = free_of(fixed, parameters, names) if fixed is not None else None
    moving = np.arange(parameters.n) if free is None else free
    places = {name: names.index(name) if name in names else -1 for name in tied}
    for name, place in places.items():
        if place < 0:
            raise InputError(f"tied={name!r} is no parameter: there are {', '.join(names)}")
    moving = np.setdiff1d(moving, [*places.values(), *pinned.tolist()])
    if moving.size == 0:
        raise InputError("no parameter is left to fit: all are fixed or tied")
    ties = _ties(tied, places, names, base)
    filled = Arrangement(base, moving, ties)
    return replace(filled, base=filled.full(base[moving])) if ties else filled


def _ties(
    tied: Mapping[str, str], places: Mapping[str, int], names: tuple[str, ...], base: Vector
) -> tuple[tuple[int, Callable[[Vector], tuple[float, Vector]]], ...]:
    """The ties in an order in which each uses only what is known before it."""
    from .tracing.expressions import parse

    parsed = {name: parse(str(text)) for name, text in tied.items()}
    for name, expression in parsed.items():
        strange = [part for part in expression.names if part not in names]
        if strange:
            raise InputError(
                f"tied={{{name!r}: {expression.text!r}}} holds {', '.join(strange)}, and the parameters are "
                f"{', '.join(names)}"
            )
    ordered: list[str] = []
    while len(ordered) < len(parsed):
        ready = [
            name
            for name in parsed
            if name not in ordered
            and all(part not in parsed or part in ordered for part in parsed[name].names)
        ]
        if not ready:
            raise InputError(
                f"the ties of {', '.join(name for name in parsed if name not in ordered)} go in a circle"
            )
        ordered += ready
    return tuple((places[name], _tie(parsed[name], names, base)) for name in ordered)


def _tie(expression: Any, names: tuple[str, ...], base: Vector) -> Callable[[Vector], tuple[float, Vector]]:
    """From all n values to the tied one and its gradient, (n,)."""
    own = [names.index(name) for name in expression.names]
    if not own:
        constant = float(expression())
        return lambda x: (constant, np.zeros(x.size))
    from .problem import evaluation
    from .tracing.trace import trace

    traced = trace(
        expression,
        Parameters.of({name: float(base[k]) for name, k in zip(expression.names, own, strict=True)}),
    )
    both = evaluation(traced, "value_and_gradient")

    def tie(x: Vector) -> tuple[float, Vector]:
        value, slope = both(x[own])
        gradient = np.zeros(x.size)
        gradient[own] = slope
        return float(value), gradient

    return tie


def _function(
    model: Model, sets: tuple[DataSet, ...], own: Parameters, box: Bounds, derivatives: str
) -> tuple[VectorFunction, str, Callable[[Any], Any] | None]:
    """The predictions of all sets as one function of all parameters."""
    if derivatives == "numeric" or (derivatives == "auto" and is_opaque(model.function)):
        measured = [
            MeasuredVector(
                _sized(functools.partial(_predicted, model, own, part.measurements.x), part, model.label),
                Bounds(box.lower[part.columns], box.upper[part.columns]),
            )
            for part in sets
        ]
        return _stacked(measured, sets), "float64", None
    from .tracing.trace import trace

    def traced(x: Any) -> Any:
        return trace(model.function, own, (x,), style="keywords")

    parts = []
    precision = "float64"
    for part in sets:
        found = traced(part.measurements.x)
        m = part.measurements.m
        if int(np.prod(found.shape)) != m:
            if int(np.prod(found.shape)) != 1:
                raise InputError(_mismatch(model.label, found.shape, m))
            found = traced_broadcast(found, m)
        if found.lowest_precision != "float64":
            precision = found.lowest_precision
        parts.append(TracedVector(found))
    return _stacked(parts, sets), precision, traced


def traced_broadcast(found: Any, m: int) -> Any:
    """A trace with a single value as one with m equal values."""
    if ("broadcast", m) not in found.kept:
        import jax
        from jax.extend.core import jaxpr_as_fun

        from .numerics import double_precision

        function = jaxpr_as_fun(found.jaxpr)
        with double_precision():
            wide = jax.make_jaxpr(lambda p: jax.numpy.broadcast_to(function(p)[0].reshape(-1), (m,)))(
                jax.ShapeDtypeStruct((found.n,), np.float64)
            )
        found.kept["broadcast", m] = type(found)(wide, (m,), found.lowest_precision)
    return found.kept["broadcast", m]


def _mismatch(label: str, shape: tuple[int, ...], m: int) -> str:
    return (
        f"{label} predicts an array of shape {shape} for {m} measurements; it must give one value for each y"
    )


def _sized(function: Callable[[Vector], Any], part: DataSet, label: str) -> Callable[[Vector], Any]:
    def sized(x: Vector) -> Any:
        values = np.asarray(function(x), dtype=np.float64)
        m = part.measurements.m
        if values.size not in (1, m):
            raise InputError(_mismatch(label, values.shape, m))
        return np.broadcast_to(values.ravel(), (m,)) if values.size == 1 else values

    return sized


def _predicted(model: Model, own: Parameters, x: Any, theta: Vector) -> Any:
    return model.function(x, **own.restore(theta))


def _stacked(parts: Sequence[VectorFunction], sets: tuple[DataSet, ...]) -> VectorFunction:
    if len(parts) == 1:
        return parts[0]
    return StackedVector(parts, [part.columns for part in sets])


# -- the search ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """The best end point, its judgement, what it cost, and what made us look further."""

    run: Run
    judgement: Judgement
    evaluations: int
    start: Vector
    start_from: str
    remarks: tuple[str, ...]


def _search(
    task: Task,
    residuals: Residuals,
    plan: Plan,
    tol: float | None,
    callback: Any,
    budget: Budget,
    starts: int | None,
    seed: int,
    began: float,
) -> Found:
    """Walk from the start; look further where the end is no verified minimum or smells of a bad basin.

    `began`: when `time.perf_counter` read this, the seconds of the budget began to count.
    """
    names = task.moving()
    facts = facts_of(residuals)
    restore = functools.partial(_restored, task)
    objective = residuals.objective(task.bounds, budget)
    run, judgement = walk_and_judge(
        objective, task.start, names, plan, tol, callback, restore, seed, structure=facts, began=began
    )
    best = Found(run, judgement, objective.evaluations, task.start, task.start_from, ())
    is_cut = run.stop is StopReason.OUT_OF_BUDGET and (objective.is_spent or budget.steps is not None)
    if run.stop is StopReason.STOPPED or is_cut or (facts is not None and facts.linear):
        return best
    try:
        doubt = (
            Suspicion("starts= asked for it")
            if starts
            else suspicion_of(residuals, run, judgement, task.bounds)
        )
        if doubt is None:
            return best
        if starts != 0:
            best = _look_further(task, residuals, objective, plan, best, doubt, starts, seed, facts, began)
        return _with_advice(task, residuals, best, starts)
    except KeyboardInterrupt:
        return replace(best, run=replace(best.run, stop=StopReason.STOPPED, reason=INTERRUPTED))


def _with_advice(task: Task, residuals: Residuals, found: Found, starts: int | None) -> Found:
    """What to do where even the best minimum is that of a curve which has not found the data.

    A robust loss lets go of points that lie far off, and these may be most of the variance: there nothing is said.
    """
    judgement = found.judgement
    if judgement.verdict is Verdict.GLOBAL_MINIMUM or judgement.next_step or residuals.rho is not None:
        return found
    doubt = suspicion_of(residuals, found.run, judgement, task.bounds)
    if doubt is None or not doubt.unexplained:
        return found
    ways = ["start nearer, at values read off a plot of the data"]
    if starts == 0:
        ways.append("leave starts=0 away")
    elif starts is None:
        ways.append(f"try more starts (starts={MORE_STARTS})")
    if task.model.guess is None:
        ways.append("take a ready-made model (steepest.models), which reads its start off the data")
    explains = doubt.words.removesuffix(" there")
    advice = f"{explains[0].upper()}{explains[1:]}. If it should explain more, {', or '.join(ways)}."
    return replace(found, judgement=replace(judgement, next_step=advice))


def _look_further(
    task: Task,
    residuals: Residuals,
    objective: Objective,
    plan: Plan,
    best: Found,
    doubt: Suspicion,
    starts: int | None,
    seed: int,
    facts: Any,
    began: float,
) -> Found:
    """Walk from the most promising of many seeded starts; keep whichever verified minimum is lowest.

    Before them, parts of the model are moved to where most is left to explain (`exchange`); where that explains all but
    noise, it is the only other start. With a robust loss the first is where a gentler one leads: a loss that levels off
    lets go of all the data. All within what the first walk left of the budget; once that is spent, or the user says
    stop, the lowest place seen is the answer.
    """
    names = task.moving()
    tried = 0
    lowest = best
    seen = best.run
    cut_short = ""

    def walked(cost: Objective, start: Vector, steps: int | None = None) -> Run:
        nonlocal seen
        seen = lowest_seen(objective, seen)
        cost.forget()
        most = plan.max_steps if steps is None else steps
        run = drive(plan.solver, cost, start, tolerance=plan.tolerance(None), max_steps=most)
        if run.stop is StopReason.STOPPED:
            raise KeyboardInterrupt
        return run

    exchanges = None
    try:
        if starts is None and is_poor_fit(objective, best.run.x):
            exchanges = Exchanges(
                objective,
                task.start,
                best.run,
                lambda place, steps, _: walked(objective, place, steps),
                lambda: not objective.is_spent,
                max(TIMES_WALKED * best.evaluations, LEAST_EXCHANGED),
                seed,
            )
            exchanges.lower()
        places = around(objective, task.start, best.run.x, starts, seed)
        if exchanges is not None and exchanges.best is not best.run:
            places = chain([exchanges.best.x], places)
        if residuals.rho is not None:
            gentle = replace(residuals, rho=LOSSES[GENTLE]).objective(task.bounds, beside=objective)
            places = chain([walked(gentle, task.start).x], places)
        for start in places:
            run = walked(objective, start)
            tried += 1
            if (
                not run.value < lowest.run.value - 1e-9 * abs(lowest.run.value)
                and lowest.judgement.verdict.is_minimum
            ):
                continue
            run, judgement = walk_and_judge(
                objective, run.x, names, plan, structure=facts, seed=seed, began=began
            )
            better = run.value < lowest.run.value * (1 - 1e-9) or (
                judgement.verdict.is_minimum
                and not lowest.judgement.verdict.is_minimum
                and run.value <= lowest.run.value * (1 + 1e-9)
            )
            if better:
                lowest = replace(lowest, run=run, judgement=judgement, start=start, start_from="multi-start")
            if run.stop is StopReason.STOPPED:
                raise KeyboardInterrupt
            is_exchanged = exchanges is not None and start is exchanges.best.x
            if is_exchanged and suspicion_of(residuals, run, judgement, task.bounds) is None:
                break
    except BudgetSpent as what:
        stop, cut_short = StopReason.OUT_OF_BUDGET, spent(str(what), objective)
    except KeyboardInterrupt:
        stop, cut_short = StopReason.STOPPED, INTERRUPTED
    if cut_short:
        seen = lowest_seen(objective, seen)
        if seen.value < lowest.run.value * (1 - 1e-9):
            run = replace(seen, stop=stop, reason=cut_short)
            lowest = replace(lowest, run=run, judgement=judged(objective, run, names, facts, seed)[1])
    if lowest is best:
        words = f"{doubt.words}; {tried} further starts led to nothing lower"
    else:
        outcome = "is lower" if lowest.run.value < best.run.value else "ended as low, in a minimum"
        words = (
            f"the walk from the first start ended at {best.run.value:.6g} ({doubt.words}); the best of {tried} further "
            f"starts {outcome}"
        )
    if cut_short == INTERRUPTED:
        words += "; the search was " + INTERRUPTED
        lowest = replace(lowest, run=replace(lowest.run, stop=StopReason.STOPPED, reason=INTERRUPTED))
    elif cut_short:
        words += f"; the search ended there: {cut_short}"
    return replace(lowest, evaluations=objective.evaluations, remarks=(words,))


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' if count != 1 else ''}"


def _restored(task: Task, z: Vector) -> Any:
    return task.parameters.restore(task.arrangement.full(z))


# -- the result ----------------------------------------------------------------------------------------------


def _result(task: Task, residuals: Residuals, plan: Plan, found: Found, noise: str) -> FitResult:
    run, judgement = found.run, found.judgement
    arrangement = task.arrangement
    z = run.x
    linear = in_spite_of_ctrl_c(residuals.linearised, z)
    residual = linear.residual if residuals.rho is None else in_spite_of_ctrl_c(residuals.residual, z)
    chi2 = float(residual.dot(residual))
    moving = arrangement.free
    at_bound = None
    if task.bounds.any:
        gradient = 2.0 * (linear.jacobian.T @ linear.residual)
        at_bound = ~task.bounds.free(z, gradient) | (z <= task.bounds.lower) | (z >= task.bounds.upper)
    held = 0 if at_bound is None else int(at_bound.sum())
    remarks = task.remarks + found.remarks + on_precision(task.precision)
    remarks += _where_not_finite(task, residual)
    full = arrangement.full(z)
    names = task.names
    # A parameter that moves the residuals by less than their rounding when it doubles is not felt.
    level = residuals.target if residuals.sigma is None else residuals.whitened(residuals.target)
    # Its size is that of its start where it went to zero: there the answer itself is rounding.
    scale = np.maximum(np.abs(z), np.abs(found.start))
    least = np.zeros(z.size) if level is None else EPS * length(level) / np.maximum(scale, TINY)
    least[z == 0.0] = 0.0

    def variance(rank: int) -> float:
        if noise == "known":
            return 1.0
        return residuals.variance(residual, residual.size - held - rank) * residuals.overstated(residual)

    covariance, reasons, told = all_covariance(
        linear.jacobian, variance, arrangement, z, names, at_bound, least
    )
    # What the data leave undetermined takes nothing off the residuals.
    without_slopes = bool(np.isnan(np.diag(told.matrix)).all())
    fitted = moving.size if without_slopes else held + told.rank
    degrees = residual.size - fitted
    if fitted < moving.size:
        loose = [names[moving[k]] for k in sorted(told.reasons) if at_bound is None or not at_bound[k]]
        remarks += (
            f"the data determine {fitted} of {_counted(moving.size, 'parameter')}, so as many are taken off the "
            f"degrees of freedom; {listed(loose)} {'has' if len(loose) == 1 else 'have'} no error",
        )
    if noise == "unknown" and degrees <= 0:
        remarks += (
            f"{_counted(residual.size, 'point')} for {_counted(moving.size, 'parameter')}: no scatter is left to "
            "estimate the noise from",
        )
        reasons = {names[k]: "there are no more points than parameters" for k in moving.tolist()} | reasons
    if held:
        sits, them = (
            ("one of the parameters sits", "it") if held == 1 else (f"{held} of the parameters sit", "them")
        )
        remarks += (f"{sits} at a bound; errors of the others take {them} as fixed",)
    digits = np.full(len(names), np.nan)
    if judgement.digits is not None:
        trusted = honest_digits(judgement.digits, task.precision)
        digits[moving] = trusted
    whole_start = arrangement.full(found.start)
    setting = Setting(
        task.model,
        task.sets,
        residuals,
        task.bounds,
        task.own.restore,
        task.trace,
        functools.partial(_least, plan),
    )
    return FitResult(
        names=names,
        values=Values(zip(names, full.tolist(), strict=True)),
        covariance=covariance,
        reasons=reasons,
        chi2=chi2,
        cost=run.value,
        noise=noise,
        degrees_of_freedom=degrees,
        verdict=judgement.verdict,
        message=judgement.sentence,
        evidence=judgement.evidence,
        next_step=judgement.next_step,
        digits=digits,
        start=Values(zip(names, whole_start.tolist(), strict=True)),
        start_from=found.start_from,
        stop=run.stop,
        reason=run.reason,
        plan=plan,
        history=run.history,
        nit=run.steps,
        nfev=found.evaluations,
        remarks=remarks,
        timing={},
        label=task.model.label,
        moving=moving,
        _setting=setting,
        _z=z,
        _residual=residual,
    )


def _where_not_finite(task: Task, residual: Vector) -> tuple[str, ...]:
    """At how many points the model gives no number, and which is the first."""
    bad = np.flatnonzero(~np.isfinite(residual))
    if not bad.size or any(
        part.measurements.sigma is not None and part.measurements.sigma.ndim == 2 for part in task.sets
    ):
        return ()
    ends = np.cumsum([part.measurements.m for part in task.sets])
    which = int(np.searchsorted(ends, bad[0], side="right"))
    first = task.sets[which].measurements
    row = int(bad[0] - (ends[which] - first.m))
    place = row if first.places is None else int(first.places[row])
    x = first.x
    at = f" (x = {float(x[row]):.6g})" if isinstance(x, np.ndarray) and x.shape == (first.m,) else ""
    where = "" if len(task.sets) == 1 else f" of data set {task.sets[which].name}"
    return (
        f"the model is not finite at {bad.size:,} of {_counted(residual.size, 'point')}, first at point {place}"
        f"{where}{at}, counted from 0",
    )


def _least(plan: Plan, residuals: Residuals, bounds: Bounds, start: Vector) -> tuple[float, Vector]:
    """The least cost from `start`, and where it is: what a profile asks for again and again."""
    run = drive(plan.solver, residuals.objective(bounds), bounds.project(start))
    return run.value, run.x
