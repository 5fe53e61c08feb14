"""The derivative doctor: examine a cost at a point and say what is wrong, where, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .budget import Budget
from .cost import plain_value
from .doctor.finding import SEVERITIES, Finding
from .errors import TracingError
from .numerics import EPS
from .problem import Problem, pose
from .results import to_json

Vector = np.ndarray

# Two ways of computing one cost may differ by this many units in the last place of the least precise type in it.
ORDINARY = 1e6


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found; iterates over its findings, worst first.

    `findings`; `value` and `gradient` at the point, the latter (n,) or None where there is none; `label`: the cost
    as the user wrote it; `names` of the parameters.
    """

    findings: tuple[Finding, ...]
    value: float | None
    gradient: Vector | None
    label: str
    names: Any

    @property
    def healthy(self) -> bool:
        """Whether nothing worse than a note was found."""
        return all(finding.severity == "note" for finding in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __getitem__(self, index: int) -> Finding:
        return self.findings[index]

    def __str__(self) -> str:
        from .presentation.text import diagnosis_text

        return diagnosis_text(self)

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis as plain JSON values."""
        return {
            "healthy": self.healthy,
            "findings": [finding.to_dict() for finding in self.findings],
            "value": to_json(self.value),
            "gradient": to_json(self.gradient),
            "cost": self.label,
            "names": list(self.names[:1000]),
        }


def diagnose(
    f: Any,
    at: Any,
    *,
    args: tuple[Any, ...] = (),
    jac: Any = None,
    hess: Any = None,
) -> Diagnosis:
    """Examine the cost `f` at the point `at`: lost slopes, NaN and where it is made, kinks, scales, digits, loops.

    Parameters
    ----------
    f : function of the parameters, or an expression, as for `minimize`.
    at : the point, in any form that `minimize` takes for its start.
    args : further arguments of `f`.
    jac, hess : derivatives of your own, as for `minimize`, to be compared with the exact ones.

    Returns
    -------
    Diagnosis : findings, each with its severity, its evidence in a sentence, the file, line and expression, and the
        rewrite. An empty one means that nothing was found.

    Raises
    ------
    InputError : `at` does not fit the cost.

    >>> for finding in diagnose("round(x)**2 + y", {"x": 2.3, "y": 1.0}):
    ...     print(finding.kind, "-", finding.sentence)
    slope lost - only rounding connects x with the cost, and its derivative is zero wherever it exists
    """
    try:
        problem = pose(
            f, at, args, bounds=None, jac=None, hess=None, fixed=None, derivatives="exact", budget=Budget()
        )
    except TracingError as error:
        return _untraceable(f, at, args, error)
    from .doctor.examine import examine

    x = problem.start
    findings = [*_of_calls(problem, x), *examine(problem, x, thorough=True)]
    if jac is not None or hess is not None:
        findings += _of_derivatives(problem, f, at, args, jac, hess)
    value, gradient = problem.objective.value_and_gradient(x)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Diagnosis(tuple(findings), value, np.array(gradient), problem.cost.label, problem.names)


def _untraceable(f: Any, at: Any, args: tuple[Any, ...], error: TracingError) -> Diagnosis:
    """A cost whose derivative cannot be read off at all."""
    text = str(error)
    place, _, rest = text.partition(": ")
    file, line = "", 0
    if ", line " in place:
        file, _, after = place.partition(", line ")
        digits = after.split(",")[0]
        line = int(digits) if digits.isdigit() else 0
    lines = rest.splitlines() if line else text.splitlines()
    expression = lines[1].strip() if line and len(lines) > 1 else ""
    rewrite = " ".join(part.strip() for part in lines[2 if expression else 1 :])
    finding = Finding("cannot be traced", "error", lines[0].rstrip("."), rewrite, file, line, expression)
    from .cost import read_cost
    from .parameters import Parameters

    cost = read_cost(f, at, args)
    return Diagnosis((finding,), None, None, cost.label, Parameters.of(at, cost.first).names)


def _of_calls(problem: Problem, x: Vector) -> Iterator[Finding]:
    """Whether the cost, called twice as it is, gives one value, and the one its trace gives."""
    if problem.cost.names is not None:
        return
    call = plain_value(problem.cost, problem.parameters, problem.args)
    try:
        with np.errstate(all="ignore"):
            first, second = call(x.copy()), call(x.copy())
    except Exception:  # a cost written for JAX alone, or one that counts its calls, need not run on NumPy
        return
    traced = problem.objective.value(x)
    eps = EPS if problem.precision == "float64" else 1e-7
    allowed = ORDINARY * eps * max(abs(first), abs(second), abs(traced))
    differs = np.isfinite([first, traced]).all() and abs(first - traced) > allowed
    # What moves by less than ordinary rounding from one call to the next, as a clock may, is told by the trace.
    if np.isfinite([first, second]).all() and abs(first - second) > (0.0 if differs else allowed):
        yield Finding(
            "does not repeat itself",
            "error",
            f"two calls at the same point give {first:.16g} and {second:.16g}",
            "Fix the random numbers: draw them once outside, or make a generator with a seed inside the cost.",
        )
    elif differs and problem.objective.followed_closer(x) is not None:
        yield Finding(
            "SciPy's tolerance is wide",
            "note",
            f"called as it is the cost gives {first:.10g}, its trace, which follows differential equations to 1e-10, "
            f"{traced:.10g}",
            "The trace counts. For the same from SciPy, ask it for rtol=1e-10, atol=1e-12.",
        )
    elif differs:
        yield Finding(
            "the trace is not the cost",
            "error",
            f"called as it is the cost gives {first:.10g}, its trace {traced:.10g}",
            'Something in it depends on more than its arguments; minimise with derivatives="numeric".',
        )


def _of_derivatives(
    problem: Problem, f: Any, at: Any, args: tuple[Any, ...], jac: Any, hess: Any
) -> Iterator[Finding]:
    from .doctor.chart import Chart
    from .doctor.handed_in import wrong_gradient, wrong_hessian

    assert problem.trace is not None
    x = problem.start
    if callable(jac) or jac is True:
        own = pose(
            f, at, args, bounds=None, jac=jac, hess=hess, fixed=None, derivatives="auto", budget=Budget()
        )
        given = np.array(own.objective.value_and_gradient(x)[1])
        true = np.array(problem.objective.value_and_gradient(x)[1])
        yield from wrong_gradient(Chart(problem.trace.jaxpr, x, problem.names), given, true, problem.names)
        if callable(hess):
            matrix = np.array(own.objective.hessian(x))
            yield from wrong_hessian(matrix, np.array(problem.objective.hessian(x)), problem.names)
