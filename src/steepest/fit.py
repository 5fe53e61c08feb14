"""Fit a model to measurements: the parameters, their errors, and the truth about both."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

import numpy as np

from .bounds import Bounds, Vector
from .budget import Budget
from .errors import InputError
from .fitting.facts import facts_of
from .fitting.measurements import Measurements, frame_of, named_sets, several
from .fitting.measurements import read as read_measurements
from .fitting.result import DataSet, FitResult, Setting, Values, all_covariance
from .fitting.search import Found, search
from .fitting.task import Task, task_of
from .least_squares import as_it_is_kinked, budget_of, check_settings, plan_of
from .linear_algebra.long_vectors import length
from .losses import loss_of
from .models.model import Model
from .numerics import EPS, TINY
from .oracles import Linearised
from .outcome import honest_digits, on_precision
from .presentation.text import counted
from .residuals import Residuals
from .solvers import Plan, drive
from .solvers.stopping import in_spite_of_ctrl_c
from .verdict.wording import listed

NOISE = ("unknown", "known")


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
    _check(noise, sigma, starts)
    check_settings(f_scale, tol, callback)
    _check_order(x, y)
    rho = loss_of(loss)
    allowed = budget_of(budget)
    plan = plan_of(method, options, "a fit is a sum of squared residuals")
    sets = _sets(x, y, sigma, frame_of(data), mask, nan)
    task = task_of(
        model, sets, start, bounds, fixed, tied, tuple(separate), derivatives, seed, allowed, began
    )
    _check_sigma(task.sets)
    residuals = task.residuals(rho, float(f_scale))
    plan = as_it_is_kinked(plan, facts_of(residuals))
    posed = time.perf_counter()
    found = search(task, residuals, plan, tol, callback, allowed, starts, seed, noise, began)
    walked = time.perf_counter()
    timing = {"trace": posed - began, "walk and judge": walked - posed}
    result = _result(task, residuals, plan, found, noise)
    timing["errors"] = time.perf_counter() - walked
    timing["total"] = time.perf_counter() - began
    result.timing.update(timing)
    return result


def _check(noise: str, sigma: Any, starts: Any) -> None:
    if noise not in NOISE:
        raise InputError(
            f'noise={noise!r}; choose "known" (sigma is in the units of y) or "unknown" (its size is estimated)'
        )
    if noise == "known" and sigma is None:
        raise InputError('noise="known" needs sigma=, the standard deviation of each measurement')
    if starts is not None and not (isinstance(starts, (int, np.integer)) and starts >= 0):
        raise InputError(
            f"starts={starts!r}; give how many random starts to try, a whole number from 0 upwards"
        )


def _check_order(x: Any, y: Any) -> None:
    for name, value in (("x", x), ("y", y)):
        if isinstance(value, (FunctionType, Model)):
            label = getattr(value, "__name__", None) or getattr(value, "label", "a function")
            raise InputError(
                f"{name} is the function {label}; the model comes first: fit(model, x, y, start)"
            )


def _check_sigma(sets: Sequence[DataSet]) -> None:
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


def _result(task: Task, residuals: Residuals, plan: Plan, found: Found, noise: str) -> FitResult:
    run, judgement, names = found.run, found.judgement, task.names
    arrangement, moving = task.arrangement, task.arrangement.free
    z = run.x
    residuals.beyond_budget()
    linear = in_spite_of_ctrl_c(residuals.linearised, z)
    residual = linear.residual if residuals.rho is None else in_spite_of_ctrl_c(residuals.residual, z)
    at_bound = _at_bound(task, z, linear)
    held = 0 if at_bound is None else int(at_bound.sum())

    def variance(rank: int) -> float:
        if noise == "known":
            return 1.0
        return residuals.variance(residual, residual.size - held - rank) * residuals.overstated(residual)

    covariance, reasons, told = all_covariance(
        linear.jacobian, variance, arrangement, z, names, at_bound, _least_felt(residuals, z, found.start)
    )
    # What the data leave undetermined takes nothing off the residuals.
    without_slopes = bool(np.isnan(np.diag(told.matrix)).all())
    fitted = moving.size if without_slopes else held + told.rank
    degrees = residual.size - fitted
    remarks = task.remarks + found.remarks + on_precision(task.precision)
    remarks += _where_not_finite(task, residual)
    if fitted < moving.size:
        loose = [names[moving[k]] for k in sorted(told.reasons) if at_bound is None or not at_bound[k]]
        remarks += (_on_undetermined(fitted, moving.size, loose),)
    if noise == "unknown" and degrees <= 0:
        remarks += (_without_scatter(residual.size, moving.size),)
        reasons = {names[k]: "there are no more points than parameters" for k in moving.tolist()} | reasons
    if held:
        remarks += (_on_bounds(held),)
    digits = np.full(len(names), np.nan)
    if judgement.digits is not None:
        digits[moving] = honest_digits(judgement.digits, task.precision)
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
        values=Values(zip(names, arrangement.full(z).tolist(), strict=True)),
        covariance=covariance,
        reasons=reasons,
        chi2=float(residual.dot(residual)),
        cost=run.value,
        noise=noise,
        degrees_of_freedom=degrees,
        verdict=judgement.verdict,
        message=judgement.sentence,
        evidence=judgement.evidence,
        next_step=judgement.next_step,
        digits=digits,
        start=Values(zip(names, arrangement.full(found.start).tolist(), strict=True)),
        start_from=found.start_from,
        stop=run.stop,
        reason=run.reason,
        plan=plan.walked(tuple(dict.fromkeys((plan.name, run.solver))), 0),
        history=run.history,
        nit=run.steps,
        nfev=residuals.evaluations(found.evaluations),
        remarks=remarks,
        timing={},
        label=task.model.label,
        moving=moving,
        _setting=setting,
        _z=z,
        _residual=residual,
    )


def _at_bound(task: Task, z: Vector, linear: Linearised) -> np.ndarray | None:
    """Which of the parameters that move (k,) are held by a bound; None where there are no bounds."""
    if not task.bounds.any:
        return None
    gradient = 2.0 * (linear.jacobian.T @ linear.residual)
    return ~task.bounds.free(z, gradient) | (z <= task.bounds.lower) | (z >= task.bounds.upper)


def _least_felt(residuals: Residuals, z: Vector, start: Vector) -> Vector:
    """Lengths of the Jacobian's columns (k,) below which a parameter is not felt.

    It moves the residuals by less than their rounding when it doubles. Its size is that of its start where it went to
    zero: there the answer itself is rounding.
    """
    level = residuals.target if residuals.sigma is None else residuals.whitened(residuals.target)
    scale = np.maximum(np.abs(z), np.abs(start))
    least = np.zeros(z.size) if level is None else EPS * length(level) / np.maximum(scale, TINY)
    least[z == 0.0] = 0.0
    return least


def _on_undetermined(fitted: int, moving: int, loose: Sequence[str]) -> str:
    return (
        f"the data determine {fitted} of {counted(moving, 'parameter')}, so as many are taken off the degrees of "
        f"freedom; {listed(loose)} {'has' if len(loose) == 1 else 'have'} no error"
    )


def _without_scatter(points: int, moving: int) -> str:
    few = f"{counted(points, 'point')} for {counted(moving, 'parameter')}"
    return f"{few}: no scatter is left to estimate the noise from"


def _on_bounds(held: int) -> str:
    if held == 1:
        return "one of the parameters sits at a bound; errors of the others take it as fixed"
    return f"{held} of the parameters sit at a bound; errors of the others take them as fixed"


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
        f"the model is not finite at {bad.size:,} of {counted(residual.size, 'point')}, first at point {place}"
        f"{where}{at}, counted from 0",
    )


def _least(plan: Plan, residuals: Residuals, bounds: Bounds, start: Vector) -> tuple[float, Vector]:
    """The least cost from `start`, and where it is: what a profile asks for again and again."""
    run = drive(plan.solver, residuals.objective(bounds), bounds.project(start))
    return run.value, run.x
