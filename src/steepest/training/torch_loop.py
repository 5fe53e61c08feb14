"""The loop for PyTorch costs: the same data, rules, schedules and words; slopes from PyTorch's autograd."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ..tracing.batched import numbers_in
from ..verdict.words import Evidence
from . import loop
from .steps import Seen, State, Tree, first_state, step_factor
from .verdict import Finding, TrainVerdict, trend_of
from .watching import History, Row, Teller, line, rows_apart, smoothed

if TYPE_CHECKING:
    from .job import Job
    from .torch_costs import TorchCost


@dataclass
class TorchRun:
    """Where the run ended: its arrays in the order of the layout, and its history."""

    arrays: list[np.ndarray]
    history: History
    ended: str
    steps: int
    seconds: float


def to_torch(torch: Any, array: Any) -> Any:
    """A JAX array as a tensor on the same memory."""
    return torch.from_dlpack(array)


def to_jax(tensor: Any) -> Any:
    """A tensor as a JAX array on the same memory."""
    return jnp.from_dlpack(tensor.contiguous())


def walk(job: Job, cost: TorchCost) -> TorchRun:
    """Take the steps on minibatches; the values handed to PyTorch are never written to by the next step."""
    torch = cost.torch
    tree = Tree(job.layout.build, None)
    history, teller = History(), Teller(job.progress)
    began = time.perf_counter()
    with numbers_in(job.precision):
        total = job.limits.steps
        state = first_state(job.method, tree, job.layout.arrays, total)
        every = rows_apart(total)
        update = jax.jit(lambda state, slopes, value: _updated(job, state, slopes, value))
        step = epoch = 0
        ended, average, good = "", None, state
        while not ended:
            ended = loop.NO_MORE_DATA
            for arrays in job.source.batches(epoch, 0, job.batch_size, job.part):
                ended = ""
                if step >= job.limits.steps:
                    ended = loop.FINISHED
                elif time.perf_counter() - began >= job.limits.seconds and step:
                    ended = loop.OUT_OF_TIME
                if ended:
                    break
                values = [to_torch(torch, array) for array in tree.leaves(state.parameters)]
                batch = job.source.layout.build(iter([torch.as_tensor(array) for array in arrays]))
                value, slopes = cost(values, batch)
                number = float(value)
                if not isfinite(number):
                    ended = loop.NOT_FINITE
                    break
                good = state
                state, seen = update(state, [to_jax(slope) for slope in slopes], number)
                history.costs.append(number)
                average = smoothed(average, [number])
                if step % every == 0:
                    row = _row(job, step, began, average, number, jax.device_get(seen))
                    history.add(row)
                    if job.record is not None:
                        job.record.row(row, seen.slope, seen.step, seen.size)
                    if teller.due():
                        teller.tell(line(row, None, "↘"))
                    if job.callback is not None and job.callback(row) is True:
                        ended = loop.STOPPED
                        break
                step += 1
            epoch += 1
        state = good if ended == loop.NOT_FINITE else state
        arrays = [np.array(array) for array in tree.leaves(state.parameters)]
    teller.close()
    return TorchRun(arrays, history, ended, step, time.perf_counter() - began)


def _updated(job: Job, state: State, slopes: list[Any], value: Any) -> tuple[State, Seen]:
    import optax

    rule = optax.with_extra_args_support(job.method.transformation)
    updates, memory = rule.update(slopes, state.memory, state.parameters, value=value, grad=slopes)
    size = step_factor(job.method, state)
    moved = [(p + size * u).astype(p.dtype) for p, u in zip(state.parameters, updates, strict=True)]
    norms = [
        jnp.stack([jnp.linalg.norm(leaf) for leaf in leaves])
        for leaves in (slopes, [size * u for u in updates], state.parameters)
    ]
    following = State(moved, memory, state.step + 1, state.scale, state.total)
    return following, Seen(jnp.asarray(value), norms[0], norms[1], norms[2], jnp.abs(size))


def _row(job: Job, step: int, began: float, average: float, cost: float, seen: Any) -> Row:
    seconds = time.perf_counter() - began
    size = float(np.linalg.norm(seen.size))
    return Row(
        step=step,
        epoch=step / job.steps_per_epoch if job.steps_per_epoch else 0.0,
        seconds=seconds,
        cost=cost,
        smoothed=average,
        slope=float(np.linalg.norm(seen.slope)),
        step_ratio=float(np.linalg.norm(seen.step)) / size if size else float("inf"),
        rate=float(seen.rate),
        examples_per_second=step * job.batch_size / max(seconds, 1e-9),
    )


def judge(job: Job, run: TorchRun) -> Finding:
    """The word, from the way the cost went."""
    trend = trend_of(run.history.costs)
    evidence: tuple[Evidence, ...] = () if trend is None else (trend.evidence,)
    last = run.history.costs[-100:]
    cost = float(np.mean(last)) if last else float("nan")
    rows = len(last) * job.batch_size
    if run.ended == loop.NOT_FINITE:
        words = f"The cost was not finite at step {run.steps:,}; the parameters are those before it."
        return Finding(TrainVerdict.NOT_FINITE, evidence, words, "a smaller rate, or clip=1.0", cost, rows)
    if run.ended == loop.STOPPED:
        words = f"The run was {run.ended} at step {run.steps:,}."
        return Finding(TrainVerdict.STOPPED, evidence, words, "", cost, rows)
    if trend is not None and trend.evidence.holds:
        words = f"The cost was still falling: {trend.words}."
        return Finding(TrainVerdict.STILL_FALLING, evidence, words, "more steps", cost, rows)
    words = "The cost no longer falls beyond the scatter of its batches."
    return Finding(
        TrainVerdict.STANDING_STILL, evidence, words, 'schedule="cosine" or a larger batch', cost, rows
    )
