"""A run of L-BFGS over all data at once: what the loop is to minibatches."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from ..tracing.batched import numbers_in
from ..verdict.words import Evidence
from .batches import Rows
from .distributed import Placement
from .steps import Tree, plain_cost
from .verdict import Finding, TrainVerdict
from .watching import History, Row, Teller, line
from .whole import Descent, descend

if TYPE_CHECKING:
    from .job import Job

# Steps when nothing is said: a walk that has not arrived by then is better looked at than left alone.
STEPS = 1000


@dataclass
class WholeRun:
    """Where the walk ended, its arrays in the order of the layout, and its history."""

    descent: Descent
    arrays: list[np.ndarray]
    history: History
    seconds: float


def walk(job: Job) -> WholeRun:
    """Put the data on the device and walk down their mean cost."""
    if not isinstance(job.source, Rows):
        raise InputError(
            "method='l-bfgs' looks at all data at every step; give arrays, or name a method of minibatches"
        )
    if job.checkpoints is not None:
        raise InputError(
            "method='l-bfgs' keeps no checkpoints; leave checkpoint= out, or name a method of minibatches"
        )
    if job.mesh is not None:
        raise InputError("method='l-bfgs' runs on one device; name a method of minibatches for several")
    began = time.perf_counter()
    tree, placement = Tree.of(job.layout), Placement.of(None, None)
    history, teller = History(), Teller(job.progress)
    with numbers_in(job.precision):
        value = plain_cost(job.recorded, tree, precision=job.precision, remat=job.remat)
        data = placement.rows(job.source.arrays)
        constants = placement.constants(job.recorded.constants)
        shapes = [leaf.shape for leaf in job.layout.leaves]
        kind = jnp.float64 if job.precision == "float64" else jnp.float32
        start = jnp.concatenate([jnp.ravel(jnp.asarray(array, kind)) for array in job.layout.arrays])

        def pieces(x: Any) -> list[Any]:
            return [
                x[leaf.start : leaf.stop].reshape(s)
                for leaf, s in zip(job.layout.leaves, shapes, strict=True)
            ]

        def of_vector(x: Any, data: Any, constants: Any) -> Any:
            return value(tree.grow(pieces(x)), data, constants)

        both = jax.jit(jax.value_and_grad(of_vector))

        def watch(run: Descent) -> bool:
            row = _row(job, run, began)
            history.add(row)
            history.costs.append(row.cost)
            if job.record is not None:
                job.record.row(row, (), (), ())
            if teller.due():
                teller.tell(line(row, None, "↘"))
            return job.callback is not None and job.callback(row) is True

        descent = descend(
            lambda x: both(x, data, constants),
            start,
            steps=job.limits.steps,
            seconds=job.limits.seconds,
            watch=watch,
        )
        arrays = [np.array(piece) for piece in pieces(descent.x)]
    teller.close()
    return WholeRun(descent, arrays, history, time.perf_counter() - began)


def _row(job: Job, run: Descent, began: float) -> Row:
    seconds = time.perf_counter() - began
    speed = run.evaluations * job.batch_size / max(seconds, 1e-9)
    return Row(
        step=run.steps,
        epoch=float(run.evaluations),
        seconds=seconds,
        cost=run.value,
        smoothed=run.value,
        slope=run.slope,
        step_ratio=float("nan"),
        rate=1.0,
        examples_per_second=speed,
    )


def judge(job: Job, run: WholeRun) -> Finding:
    """The word for a walk over all data: there is no noise of batches, only rounding and what was left to do."""
    found = run.descent
    evidence = (
        Evidence(
            "slope gone",
            found.slope,
            found.slopes[0] * 1e-3,
            found.slope <= found.slopes[0] * 1e-3,
            "length of the slope over all data, against a thousandth of what it was at the start",
        ),
        Evidence(
            "cost falling",
            found.costs[-2] - found.costs[-1] if len(found.costs) > 1 else 0.0,
            None,
            found.reason not in ("converged", "no lower point"),
            "over the last step",
        ),
    )
    rows = job.batch_size
    if found.reason == "converged":
        return Finding(
            TrainVerdict.NOISE_FLOOR,
            evidence,
            f"Over all {rows:,} rows the cost shows no further decrease in {job.precision}: what is left is rounding.",
            'precision="float64" tells further digits' if job.precision != "float64" else "",
            found.value,
            rows,
        )
    if found.reason == "no lower point":
        return Finding(
            TrainVerdict.STANDING_STILL,
            evidence,
            "No lower point was found along the way down.",
            "look at the cost with steepest.minimize, which judges the point",
            found.value,
            rows,
        )
    if found.reason == "stopped":
        return Finding(
            TrainVerdict.STOPPED, evidence, "The run was stopped by the callback.", "", found.value, rows
        )
    return Finding(
        TrainVerdict.STILL_FALLING,
        evidence,
        f"The run ended by its {found.reason}, the cost still falling.",
        f"more {found.reason}",
        found.value,
        rows,
    )
