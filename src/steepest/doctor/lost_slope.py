"""Where the slope is lost: rounding, counting, comparing; parameters that cannot move the cost, or do not here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..structure.dead import FLAT
from ..structure.facts import Structure
from ..tracing.source import expression_of
from ..verdict.wording import listed
from .chart import Chart
from .finding import Finding

# What to say of each operation without a slope, and what to write instead.
SMOOTH = {
    "round": ("rounding", "Leave the rounding out while fitting, and round the answer."),
    "floor": ("floor", "Leave np.floor out while fitting, or blend its steps: a sum of smooth steps."),
    "ceil": ("ceil", "Leave np.ceil out while fitting, or blend its steps: a sum of smooth steps."),
    "sign": ("sign", "Write np.tanh(x / width) for np.sign(x)."),
    "argmax": ("argmax", "Use the largest value itself (np.max), or scipy.special.softmax as weights."),
    "argmin": ("argmin", "Use the smallest value itself (np.min), or scipy.special.softmax of -x as weights."),
    "convert_element_type": ("conversion to whole numbers", "Keep the value a float; leave int() and astype(int) out."),
    "stop_gradient": ("stop_gradient", "Take stop_gradient out, if this parameter is to be fitted."),
}  # fmt: skip
COMPARED = ("a comparison", "Write a smooth step, 1 / (1 + np.exp(-(a - b) / width)), for a > b.")

# A parameter is moved by this part of its size to see whether the cost moves.
MOVED = (1e-3, 1e-2)

# Each parameter is moved on its own up to this many.
EACH = 60


def lost_in_steps(chart: Chart, structure: Structure) -> Iterator[Finding]:
    """Parameters that move the cost through operations without a slope only, one finding for each operation."""
    stepping = list(structure.stepping)
    if not stepping:
        return
    left = set(stepping)
    for equation in chart.reading.equations:
        name = equation.primitive.name
        rounded = name == "convert_element_type" and equation.outvars[0].aval.dtype.kind not in "fc"
        if name not in FLAT and not rounded:
            continue
        source = [chart.influences.get(a) for a in equation.invars if chart.reading.depends(a)]
        reached = {
            k
            for found in source
            if found is not None
            for k in np.flatnonzero(found.sloping).tolist()
            if k in left
        }
        if not reached:
            continue
        left -= reached
        word, rewrite = SMOOTH.get(name, COMPARED)
        names = [chart.names[k] for k in sorted(reached)]
        yield chart.finding(
            "slope lost",
            "error",
            f"only {word} connects {listed(names)} with the cost, and its derivative is zero wherever it exists",
            rewrite,
            equation,
        )


def cannot_move(chart: Chart, structure: Structure) -> Iterator[Finding]:
    """Parameters that the cost does not depend on."""
    dead = [k for k in structure.dead if k < len(chart.names)]
    if not dead:
        return
    names = [chart.names[k] for k in dead]
    yield Finding(
        "dead parameter",
        "warning",
        f"nothing in the cost depends on {listed(names)}, or only through a factor of zero",
        f"Hold {'it' if len(names) == 1 else 'them'} with fixed=, or check what the cost was meant to use.",
        parameters=tuple(names),
    )


def does_not_move_here(
    chart: Chart, structure: Structure, measure: Any, scale: np.ndarray
) -> Iterator[Finding]:
    """Parameters that could move the cost and do not around this point: a unit switched off, a clipped value."""
    _, gradient = measure(chart.x)
    silent = [
        k
        for k in np.flatnonzero(gradient == 0.0).tolist()
        if k not in structure.dead and k not in structure.stepping
    ]
    if not silent or chart.reading.n > EACH:
        return
    value = float(np.ravel(np.asarray(chart.cost))[0])
    found = [k for k in silent if _still(measure, chart.x, value, k, scale)]
    if not found:
        return
    names = [chart.names[k] for k in found]
    equation, why = _switch(chart, found)
    sentence = f"nothing changes with {listed(names)} anywhere near this point{why}"
    rewrite = "Start where it matters: on the other side of the comparison, or away from saturation."
    if equation is None:
        yield Finding("no slope here", "warning", sentence, rewrite, parameters=tuple(names))
        return
    yield chart.finding("no slope here", "warning", sentence, rewrite, equation)


def _still(measure: Any, x: np.ndarray, value: float, k: int, scale: np.ndarray) -> bool:
    for part in MOVED:
        for side in (-1.0, 1.0):
            near = x.copy()
            near[k] += side * part * scale[k]
            there, gradient = measure(near)
            if there != value or gradient[k] != 0.0:
                return False
    return True


# Functions that come to stand still in double precision, and where.
SATURATING = {
    "tanh": ("tanh", (-1.0, 1.0)), "logistic": ("the logistic function", (0.0, 1.0)), "exp": ("exp", (0.0,)),
    "erf": ("erf", (-1.0, 1.0)), "erfc": ("erfc", (0.0, 2.0)),
}  # fmt: skip


def _switch(chart: Chart, silent: list[int]) -> tuple[Any, str]:
    """The maximum, minimum, clip, where or saturated function that leaves these aside; None where none is seen."""
    words = {"max": "np.maximum takes the other side", "min": "np.minimum takes the other side",
             "clamp": "np.clip holds the value at its end", "select_n": "np.where takes the other branch"}  # fmt: skip
    for equation in chart.reading.equations:
        name = equation.primitive.name
        if name not in words:
            continue
        for atom in equation.invars:
            found = chart.influences.get(atom) if chart.reading.depends(atom) else None
            if found is not None and found.sloping[silent].any():
                clipped = "clip" in expression_of(equation)
                return equation, f": {words['clamp' if clipped else name]}"
    for equation in chart.reading.equations:
        word, ends = SATURATING.get(equation.primitive.name, ("", ()))
        if not ends or not chart.reading.depends(equation.invars[0]):
            continue
        found = chart.influences.get(equation.invars[0])
        value = chart.value(equation.outvars[0])
        if (
            found is not None
            and found.sloping[silent].any()
            and value is not None
            and np.isin(value, ends).all()
        ):
            return equation, f": {word} has saturated at {np.ravel(value)[0]:g}"
    return None, ""
