"""Columns of the data that meet parameters unscaled: far from one they saturate a layer, far apart they drown the rest.

What is looked at is what the cost multiplies by parameters, after whatever it did to the rows before: data that a cost
scales itself are let be.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tracing.batched import as_kept, numbers_in
from ..tracing.equations import run_equation
from .of_rows import OfRows

if TYPE_CHECKING:
    from .job import Job

# Numbers this far from one, or columns this far from each other, saturate a layer or drown one another.
FAR = 100.0
# Where nothing else shows that they do: many a model lives with pixels up to 255.
VERY_FAR = FAR**2
# Of fewer numbers the size of a column is chance: among thousands of columns one is next to nothing.
FEWEST = 8
ADVICE = "bring the columns to mean 0 and size 1, with x = (x - x.mean(axis=0)) / x.std(axis=0)"


def far(job: Job, rows: list[np.ndarray], limit: float) -> str:
    """The first columns multiplied by parameters that are of sizes beyond `limit`, in words; "" where none are."""
    source: Any = job.source  # of a generator, too: its arrays are not asked for
    known = OfRows(job.recorded, source, job.batch_size, job.precision)
    given = known.jaxpr.invars[known.parameters :]
    # The cost may be recorded for a part of the batch.
    batch = [array[: v.aval.shape[0]] for v, array in zip(given, rows, strict=True)]
    if any(v.aval.shape != array.shape for v, array in zip(given, batch, strict=True)):
        return ""
    for variable, axes in _met_by_parameters(known):
        values = _value(known, variable, batch)
        if values is None or values.dtype.kind != "f":
            continue
        others = tuple(k for k in range(values.ndim) if k not in axes)
        sizes = np.sqrt(np.mean(np.square(values.astype(float)), axis=others)).ravel()
        most, least = float(sizes.max(initial=0.0)), float(sizes[sizes > 0].min(initial=np.inf))
        told_apart = isfinite(least) and values.size >= FEWEST * sizes.size
        if most > limit or (told_apart and most > max(limit, FAR**2) * least):
            made = "" if variable in given else "what the cost makes of "
            column = f"column {int(sizes.argmax())} of " if sizes.size > 1 else ""
            other = f", others of {least:.2g}" if told_apart and most > FAR * least else ""
            return f"{column}{made}{known.names(variable)} holds numbers of size {most:.2g}{other}"
    return ""


def _met_by_parameters(known: OfRows) -> list[tuple[Any, tuple[int, ...]]]:
    """What is made of rows alone and multiplied by what is made of parameters, and the axes that are summed over."""
    found = []
    for equation in known.jaxpr.eqns:
        if equation.primitive.name == "dot_general" and equation.outvars[0] not in known.made_of:
            summed = equation.params["dimension_numbers"][0]
            found += [
                (atom, axes)
                for atom, axes in zip(equation.invars, summed, strict=True)
                if not hasattr(atom, "val") and atom in known.made_of
            ]
    return found


def _value(known: OfRows, variable: Any, batch: list[np.ndarray]) -> np.ndarray | None:
    """What a variable made of rows alone is on a batch; None where Python is called for it."""
    equations = known.behind([variable])
    if any("callback" in equation.primitive.name for equation in equations):
        return None
    values = dict(zip(known.jaxpr.constvars, known.closed.consts, strict=True))
    arrays = [as_kept(np.asarray(array), known.precision) for array in batch]
    values.update(zip(known.jaxpr.invars[known.parameters :], arrays, strict=True))
    with numbers_in(known.precision):
        for equation in equations:
            run_equation(equation, values, known.jaxpr)
    return np.asarray(values[variable])
