"""The examination: each check in turn, the cheap ones alone where a run failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from ..problem import Problem
from ..structure.facts import Structure, read
from ..traced import evaluation
from .chart import Chart
from .digits import cancellation, drowned_in_rounding, low_precision
from .finding import SEVERITIES, Finding
from .kinks import kinks_here
from .lost_slope import cannot_move, does_not_move_here, lost_in_steps
from .not_finite import trouble_in_the_slope, trouble_in_the_value
from .scale import MOST, conditioning, drowned, unlike_sizes
from .unrolled import unrolled

Vector = np.ndarray


def examine(problem: Problem, x: Vector, *, thorough: bool) -> list[Finding]:
    """Findings at `x` (n,) of a traced problem, the worst first; `thorough` adds second derivatives and style."""
    if problem.trace is None:
        return []
    with np.errstate(all="ignore"):
        found = list(_findings(problem, x, thorough))
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def first_finding(problem: Problem, x: Vector) -> Finding | None:
    """What a run that found no minimum should say first; None where the cheap checks find nothing.

    Never raises: it speaks beside a verdict that stands without it.
    """
    if problem.trace is None:
        return None
    try:
        with np.errstate(all="ignore"):
            found = list(islice(_findings(problem, x, thorough=False), 8))
    except (ArithmeticError, ValueError, TypeError, IndexError, KeyError):
        return None
    found = [finding for finding in found if finding.severity != "note"]
    return min(found, key=lambda finding: SEVERITIES.index(finding.severity), default=None)


def _findings(problem: Problem, x: Vector, thorough: bool) -> Iterator[Finding]:
    assert problem.trace is not None
    names = problem.names
    chart = Chart(problem.trace.jaxpr, x, names)
    structure = _structure(problem)
    yield from lost_in_steps(chart, structure)
    yield from cannot_move(chart, structure)
    if not chart.complete:
        return
    yield from trouble_in_the_value(chart)
    measure = _measure(problem)
    value, gradient = measure(x)
    yield from trouble_in_the_slope(chart, gradient)
    yield from low_precision(chart)
    if not np.isfinite(value) or not np.isfinite(gradient).all():
        return
    scale = sizes(x)
    yield from does_not_move_here(chart, structure, measure, scale)
    if not thorough:
        return
    cancelled = list(cancellation(chart))
    yield from cancelled
    if not cancelled:
        smooth = not structure.kinks.opaque and not structure.kinks_near(x, 1e-6 * scale)
        yield from drowned_in_rounding(chart, gradient, smooth)
    yield from kinks_here(chart, structure, measure, scale)
    yield from unrolled(chart)
    if x.size <= MOST:
        yield from _of_second_derivatives(problem, chart, x, gradient, names, scale)


def _of_second_derivatives(
    problem: Problem, chart: Chart, x: Vector, gradient: Vector, names: Sequence[str], scale: Vector
) -> Iterator[Finding]:
    hessian = np.asarray(evaluation(problem.trace, "hessian")(x)[0]).reshape(x.size, x.size)  # type: ignore[arg-type]
    if not np.isfinite(hessian).all():
        return
    yield from unlike_sizes(gradient, hessian, names, scale)
    yield from conditioning(hessian, names, scale)
    yield from drowned(chart, gradient, hessian, scale)


def _measure(problem: Problem) -> Callable[[Vector], tuple[float, Vector]]:
    both = evaluation(problem.trace, "value_and_gradient")  # type: ignore[arg-type]

    def measure(x: Vector) -> tuple[float, Vector]:
        value, gradient = both(x)
        return float(value), np.asarray(gradient)

    return measure


def sizes(x: Vector) -> Vector:
    """A natural size for each parameter, (n,): its value, or 1 where that is zero."""
    return np.where(x != 0.0, np.abs(x), 1.0)


def _structure(problem: Problem) -> Structure:
    kept: dict[Any, Any] = problem.trace.kept  # type: ignore[union-attr]
    if "structure" not in kept:
        kept["structure"] = read(problem.trace.jaxpr)  # type: ignore[union-attr]
    found: Structure = kept["structure"]
    return found
