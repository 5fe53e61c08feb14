"""Train a model on data, larger than memory if need be, and say honestly how far it came."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError
from .parameters import Layout
from .recording import check_record
from .trained import TrainResult

if TYPE_CHECKING:
    from .training.checkpoint import Checkpoints
    from .training.job import Job
    from .training.loop import Run, Walker

# Rows in each of two groups on which it is asked whether the cost is their mean; two would do for whatever mixes rows.
ROWS_ASKED = 2
# Longer costs are not asked: to follow them for another number of rows takes as long as the first time.
MOST_EQUATIONS = 500


def train(
    cost: Callable[..., Any],
    params: Any,
    data: Any,
    *,
    batch_size: int | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    method: Any = "auto",
    rate: float | None = None,
    schedule: Any = None,
    warmup: int = 0,
    weight_decay: float | None = None,
    clip: float | None = None,
    accumulate: int = 1,
    validation: Any = None,
    patience: int | None = None,
    ceiling: float | None = None,
    precision: str = "float32",
    remat: bool = False,
    shard: str | None = None,
    seed: int = 0,
    checkpoint: Any = None,
    resume: bool = False,
    callback: Callable[..., Any] | None = None,
    record: Any = None,
    progress: bool | None = None,
) -> TrainResult:
    """Walk down the mean cost over `data` on minibatches, and judge how far the walk came.

    Parameters
    ----------
    cost : function `cost(params, batch)` written with NumPy (or JAX): the mean over the rows of the batch. It is run
        once to be traced.
    params : where to start: arrays in any nesting of dicts, lists and dataclasses.
    data : arrays whose first axis counts the examples (one, a tuple or a dict: a batch has the same form); a memory
        map; the name of an .npy, .npz, .parquet or .csv file; a table of polars or pandas; an iterable of batches; or
        a function `data(rng)` of a random generator (or `data(key)` of a JAX key) that makes a batch.
    batch_size : rows in a batch; 128, or all of them where there are fewer.
    epochs, steps, seconds : when to stop, at the first of them; ten epochs where none is given.
    method : "auto", "prodigy", "sgd", "momentum", "nesterov", "adam", "adamw", "lion", "l-bfgs" or
        "newton-cg" (all data at every step), or any optax transformation.
    rate : the step size; each method has the one people start from, and "auto" finds its own.
    schedule : how the rate goes over the run: "constant", "linear" or "cosine" to zero, or a function of the step.
        "auto" lets its step fall linearly; the others keep it constant.
    warmup : steps over which the rate rises to its height first.
    weight_decay : decoupled, as in AdamW: each step takes this part of the rate off every parameter.
    clip : the largest norm a slope may have; longer ones are shortened.
    accumulate : parts in which a batch is worked through, one after the other, to save memory.
    validation : data kept aside, in the form of `data`; their cost is measured at the end of each epoch.
    patience : stop after this many validations without improvement, and give back the best parameters.
    ceiling : a cost above this counts as diverged; by default four times the first.
    precision : "float32", "float64", or "bfloat16" for matrix products in bfloat16 with everything else in float32.
    remat : keep only some intermediate values and compute the others again, for memory.
    shard : "params" to spread parameters over the devices instead of copying them to each.
    seed : of the order of the data.
    checkpoint : a folder, or a dict with "folder", "seconds" (60), "steps", "keep" (3).
    resume : go on from the newest checkpoint that is whole; start afresh where there is no checkpoint yet.
    callback : called with a row of the history now and then; returning True stops the run.
    record : a run file to which rows are appended while the run goes on, for `steepest explore FILE` to show.
    progress : show how it goes on standard error; by default where that is a terminal.

    Returns
    -------
    TrainResult : `params` in the structure given, `cost`, `verdict`, `evidence`, `history` and more.

    Raises
    ------
    InputError : an argument cannot be used (before the cost is evaluated).
    TracingError : the cost cannot be traced; the message names the line and the rewrite.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(1000, 3)); y = x @ [1.0, -2.0, 0.5] + 0.1
    >>> def cost(params, batch):
    ...     x, y = batch
    ...     return np.mean((x @ params["w"] + params["b"] - y) ** 2)
    >>> result = train(cost, {"w": np.zeros(3), "b": 0.0}, (x, y), method="adam", rate=0.05, epochs=20)
    >>> np.round(result.params["w"], 2).tolist()
    [1.0, -2.0, 0.5]
    """
    began = time.perf_counter()
    from .training.joining import meet

    check_record(record)
    meet()
    job = _job(locals())
    with _alone_in_its_folder(job):
        return _trained(job, record, began)


@contextmanager
def _alone_in_its_folder(job: Job) -> Iterator[None]:
    """No other run writes into the folder of checkpoints meanwhile; raises `InputError` where one does."""
    if job.checkpoints is None or job.part.index != 0:
        yield
        return
    from .training.sole_writer import sole_writer
    from .training.watching import Teller

    with sole_writer(job.checkpoints.folder, Teller(None).warn):
        _refuse_another_run(job.checkpoints, job.resume)  # that of the one waited for
        yield


def _trained(job: Job, record: Any, began: float) -> TrainResult:
    from .training.loop import Walker
    from .training.methods import WHOLE
    from .training.preflight import check
    from .training.record import recorded

    if job.method.name in WHOLE:
        return _over_all_data(job, record, began)
    check(job)
    walker = Walker(job) if job.torch is None else _torch_walker(job)
    spread = walker.placement.remark(job.layout)
    if spread:
        job.remarks.append(spread)
    with recorded(record, job, walker.placement.speaks) as job.record, walker.watched():
        run = walker.walk()
        walked = time.perf_counter()
        result = _result(job, walker, run)
        if job.record is not None:
            job.record.end(result.verdict.value, result.message, result.cost)
            result.remarks += job.record.trouble()
    if job.torch is not None:
        result.params = job.torch.handed_back(result.arrays)
    result.timing = {"walk": walked - began, "judge": time.perf_counter() - walked}
    return result


def _torch_walker(job: Job) -> Walker:
    """The loop with steps whose slopes come from PyTorch."""
    from .training.loop import Walker
    from .training.torch_steps import begun

    walker = Walker(job, *begun(job))
    job.torch.step_now = lambda: walker.cursor.step
    return walker


def _over_all_data(job: Job, record: Any, began: float) -> TrainResult:
    """The walk that sees all data at every step."""
    from .training import whole_run, whole_verdict
    from .training.preflight import check
    from .training.record import recorded

    check(job)
    walker = whole_run.WholeWalker(job)
    with recorded(record, job, walker.placement.speaks) as job.record, walker.watched():
        run = walker.walk()
        walked = time.perf_counter()
        finding = whole_verdict.judge(job, run)
        if job.record is not None:
            job.record.end(finding.verdict.value, finding.sentence, finding.cost)
            job.remarks += job.record.trouble()
    result = _told(job, finding, run.arrays, run.history)
    result.steps, result.epochs = run.descent.steps, run.passes
    result.examples = round(run.passes * job.batch_size)
    result.seconds, result.ended = run.seconds, run.descent.reason
    result.processes = walker.placement.processes
    if job.patience is not None and walker.best is not None:  # that of the parameters given back
        result.validation = walker.best[0]
    result.timing = {
        **run.timing,
        "judge": time.perf_counter() - walked,
        "total": time.perf_counter() - began,
    }
    return result


def _job(given: dict[str, Any]) -> Job:
    """Every argument checked, the data opened, the cost traced; nothing is computed yet."""
    import jax

    from .optional import is_torch
    from .training import class_numbers, meeting_rows, seen_before, turn_by_turn, twice, unread
    from .training.batches import Given, Part, Rows, read_data
    from .training.checkpoint import Checkpoints
    from .training.distributed import mesh_of
    from .training.job import Job, batch_size_of, check_precision, limits_of
    from .training.methods import WHOLE, method_of
    from .training.methods import whole as whole_method
    from .training.recordings import Recordings
    from .training.settings import checked
    from .training.validation import check_aside
    from .training.watching import Teller
    from .training.ways_back import check_way_back
    from .training.whole_run import STEPS as WHOLE_STEPS

    given = checked(given)
    check_precision(given["precision"])
    if not callable(given["cost"]):
        raise InputError(
            f"the cost is {given['cost']!r}, which cannot be called; give a function cost(params, batch)"
        )
    _check_arguments(given["cost"])
    if given["callback"] is not None and not callable(given["callback"]):
        raise InputError(
            f"callback={given['callback']!r}, which cannot be called; give a function callback(row)"
        )
    checkpoints = Checkpoints.of(given["checkpoint"])
    if given["resume"] and checkpoints is None:
        raise InputError("resume=True needs checkpoint=, the folder to go on from")
    seed = given["seed"]
    torch = _torch_cost(given) if is_torch(given["params"]) else None
    if torch is not None:
        given = {**given, "precision": torch.precision}
    layout = Layout.of(given["params"] if torch is None else torch.start(), "params")
    _check_start(layout)
    source = read_data(given["data"], seed)
    validation = (
        None
        if given["validation"] is None
        else read_data(given["validation"], seed, "validation", aside=True)
    )
    if given["patience"] is not None and validation is None:
        raise InputError("patience= needs validation=, the data whose cost decides")
    mesh = mesh_of(given["shard"]) if torch is None else None
    workers = 1 if mesh is None else mesh.devices.size
    named = given["method"].lower().replace("_", "-") if isinstance(given["method"], str) else ""
    if named not in WHOLE:
        size = batch_size_of(given["batch_size"], source, given["accumulate"], workers)
    recordings = Recordings(given["cost"], layout, source)
    chosen, passed_over = (
        _whole_chosen(given, layout, source, recordings) if named == "auto" and torch is None else (None, "")
    )
    whole = named in WHOLE or chosen is not None
    if whole:
        size = batch_size_of(source.rows, source, 1, 1)
    per_epoch = getattr(source, "count", None) if source.rows is None else source.rows // size
    if whole:
        steps = WHOLE_STEPS if chosen is not None or given["steps"] is None else given["steps"]
        limits = limits_of(None, steps, given["seconds"], per_epoch)
    else:
        limits = limits_of(given["epochs"], given["steps"], given["seconds"], per_epoch)
    if chosen is not None:
        method = whole_method(chosen.method, chosen.because, given)
    elif whole:
        method = whole_method(named, WHOLE[named], given)
    else:
        method = method_of(
            given["method"],
            given["rate"],
            given["schedule"],
            given["warmup"],
            given["weight_decay"],
            given["clip"],
        )
    if passed_over:
        method = replace(method, passed_over=(*method.passed_over, passed_over))
    recorded: Any = None
    if torch is None:
        recorded = recordings.of_run(size // given["accumulate"], given["precision"])
        _check_reads(recorded, given["cost"])
        check_way_back(recorded.closed, layout.n)
        long = turn_by_turn.remark(recorded)
    if validation is not None:
        traced = given["cost"] if torch is None else None
        check_aside(traced, layout, validation, source, given["precision"])
    part = Part(jax.process_index(), jax.process_count())
    job = Job(
        given["cost"],
        getattr(given["cost"], "__name__", "the cost"),
        layout,
        source,
        size,
        per_epoch,
        limits,
        method,
        recorded,
        recordings,
        given["precision"],
        given["remat"],
        given["accumulate"],
        seed,
        part,
        validation,
        given["patience"],
        given["ceiling"],
        checkpoints,
        given["resume"],
        given["callback"],
        given["progress"],
        given["shard"],
        mesh,
    )
    if torch is not None:
        from .training import torch_rows
        from .training.torch_steps import TorchPlacement

        job.torch, job.placement = torch, TorchPlacement.beside(torch)
        remark = torch_rows.remark(torch, job.layout.arrays, source)
        if remark:
            job.remarks.append(remark)
    elif not whole:
        remark = _of_rows(job)
        if remark:
            job.remarks.append(remark)
    if recorded is not None:
        if long and part.index == 0:  # now: what it warns of takes its time before the first step is shown
            Teller(None).warn(long)
        meeting = meeting_rows.remark(recorded, size // given["accumulate"])
        classes = class_numbers.remark(recorded, source, size // given["accumulate"])
        unused = unread.remark(recorded, layout)
        said = (long, meeting, classes, twice.remark(recorded), unused, *_of_rows_alone(job))
        job.remarks += [remark for remark in said if remark]
    if isinstance(source, Rows) and isinstance(validation, Rows):
        again = seen_before.remark(source, validation)
        job.remarks += [again] if again else []
    if isinstance(source, Given) and source.remark:
        job.remarks.append(source.remark)
    if chosen is not None:
        job.passes, job.rows_alone = _passes_asked(given, source), True
    elif whole and given["epochs"] is not None:
        job.passes = float(given["epochs"])
    if checkpoints is not None:
        _check_folder(checkpoints, job)
    return job


def _whole_chosen(given: dict[str, Any], layout: Layout, source: Any, recordings: Any) -> tuple[Any, str]:
    """Whether `method="auto"` takes all data at every step; else why not."""
    from .training.whole_choice import choose

    if source.rows is None:
        return None, ""
    return choose(given["cost"], layout, source, _passes_asked(given, source), given, recordings)


def _passes_asked(given: dict[str, Any], source: Any) -> float:
    """Passes over the data that minibatches would make: a method over all of them makes no more."""
    from math import inf

    from .training.job import BATCH, EPOCHS

    epochs, steps = given["epochs"], given["steps"]
    if epochs is None and steps is None and given["seconds"] is None:
        epochs = EPOCHS
    size = given["batch_size"] or min(BATCH, source.rows)
    return min(inf if epochs is None else float(epochs), inf if steps is None else steps * size / source.rows)


def _check_arguments(cost: Callable[..., Any]) -> None:
    """Raises `InputError` for a cost that cannot be called as `cost(params, batch)`."""
    try:
        asked = inspect.signature(cost)
    except (TypeError, ValueError):  # a compiled function, which does not tell
        return
    try:
        asked.bind(None, None)
    except TypeError:
        name = getattr(cost, "__name__", type(cost).__name__)
        raise InputError(
            f"train calls cost(params, batch), and {name} is written as {name}{asked}; let it take the rows of one "
            "batch as its second argument, or use minimize for a cost of parameters alone"
        ) from None


def _torch_cost(given: dict[str, Any]) -> Any:
    """The PyTorch cost; raises `InputError` for what its loop does not do."""
    from .training.torch_costs import TorchCost

    unheld = {
        "shard": None,
        "remat": False,
        "precision": "float32",
    }
    for name, plain in unheld.items():
        if given[name] != plain:
            raise InputError(
                f"{name}= is not for PyTorch costs; leave it out, or write the cost in NumPy or JAX"
            )
    if given["method"] in ("l-bfgs", "newton-cg"):
        raise InputError(
            f"method={given['method']!r} is not for PyTorch costs here; steepest.minimize takes them over all data"
        )
    import jax

    if jax.process_count() > 1:
        raise InputError("PyTorch costs run in one process; write the cost in NumPy or JAX for several")
    return TorchCost(given["cost"], given["params"])


def _of_rows(job: Job) -> str:
    """What is to be said of a cost that is no mean over rows; not asked of large or long models, or streamed data."""
    from .training.batches import Rows
    from .training.passes import MEAN, SUM, over_rows
    from .training.whole_choice import MOST_PARAMETERS

    if not isinstance(job.source, Rows) or job.layout.n > MOST_PARAMETERS:
        return ""
    if job.recorded is None or len(job.recorded.closed.jaxpr.eqns) > MOST_EQUATIONS:
        return ""
    start = np.concatenate([np.ravel(np.asarray(array, float)) for array in job.layout.arrays])
    found = over_rows(job.cost, job.layout, job.source, start, few=ROWS_ASKED, recordings=job.recordings)
    if found == SUM:
        return (
            "the cost is a sum over the rows of a batch, not their mean: its slope grows with the batch, while "
            "accumulate=, validation= and several processes take means of it; end it with np.mean"
        )
    if found != MEAN and job.accumulate > 1:
        return (
            f"accumulate={job.accumulate} takes the mean of the costs of {job.accumulate} parts of a batch, which was "
            "not found to be the cost of the whole batch: of one that divides by a sum of weights, or normalises over "
            "its rows, it is another"
        )
    return ""


def _of_rows_alone(job: Job) -> list[str]:
    """What is to be said of indices and whole numbers that the rows give; raises `InputError` for wrong indices."""
    from .training import picks, wrapped
    from .training.batches import Rows
    from .training.of_rows import OfRows

    if not isinstance(job.source, Rows) or len(job.recorded.closed.jaxpr.eqns) > MOST_EQUATIONS:
        return []
    known = OfRows(job.recorded, job.source, job.batch_size // job.accumulate, job.precision)
    start = [np.asarray(array, float) for array in job.layout.arrays]
    return [picks.check(known, start), wrapped.remark(known)]


def _check_reads(recorded: Any, cost: Any) -> None:
    """Raises `InputError` for a cost that no parameter can change."""
    jaxpr = recorded.closed.jaxpr
    used = [*jaxpr.outvars, *(atom for equation in jaxpr.eqns for atom in equation.invars)]
    read = {
        atom for atom in used if not hasattr(atom, "val")
    }  # a literal number has one, and cannot be hashed
    if not read.intersection(jaxpr.invars[: recorded.parameters]):
        raise InputError(
            f"{getattr(cost, '__name__', 'the cost')} depends on no parameter, so there is no slope to follow; compute "
            "it from its first argument"
        )


def _check_start(layout: Layout) -> None:
    if layout.n == 0:
        raise InputError("params holds no number; give at least one")
    for leaf, array in zip(layout.leaves, layout.arrays, strict=True):
        if not np.isfinite(np.asarray(array)).all():
            raise InputError(f"{leaf.name} holds a value that is not finite; start from finite numbers")


def _check_folder(checkpoints: Checkpoints, job: Job) -> None:
    """Refuse a folder that cannot be written, or that holds another run, before anything is computed."""
    checkpoints.prepare()
    _refuse_another_run(checkpoints, job.resume)
    # Parameters and, for the usual rules, two moments of each, in four bytes.
    full = checkpoints.check_space(12 * job.layout.n)
    if full:
        job.remarks.append(full)


def _refuse_another_run(checkpoints: Checkpoints, resume: bool) -> None:
    found = checkpoints.found()
    if found and not resume:
        raise InputError(
            f"checkpoint: {checkpoints.folder} already holds a run ({found[0].name}); resume=True (--resume) goes on "
            "with it, another folder begins a new one"
        )


def _result(job: Job, walker: Walker, run: Run) -> TrainResult:
    from .tracing.batched import numbers_in
    from .training.verdict import judge

    with numbers_in(job.precision):
        finding = judge(walker, run)
        arrays = walker.taken_off(run.state.parameters)
    result = _told(job, finding, arrays, run.history)
    result.steps, result.epochs, result.examples = run.steps, run.epoch, run.steps * job.batch_size
    result.seconds, result.ended, result.waited = run.seconds, run.ended, run.waited
    result.rate_left = float(run.state.scale)
    result.processes = walker.placement.processes
    if job.patience is not None and walker.best is not None:  # that of the parameters given back
        result.validation = walker.best[0]
    return result


def _told(job: Job, finding: Any, arrays: list[np.ndarray], history: Any) -> TrainResult:
    """The result as far as the finding and the history tell it."""
    leaves = iter([array[()] if array.ndim == 0 else array for array in arrays])
    return TrainResult(
        params=job.layout.build(leaves),
        cost=finding.cost,
        rows=finding.rows,
        verdict=finding.verdict,
        success=finding.verdict.is_success,
        message=finding.sentence,
        next_step=finding.next_step,
        evidence=finding.evidence,
        history=history,
        plan=job.method,
        names=tuple(leaf.name for leaf in job.layout.leaves),
        arrays=tuple(arrays),
        steps=0,
        epochs=0.0,
        examples=0,
        seconds=0.0,
        ended="",
        validation=history.validations[-1][1] if history.validations else None,
        precision=job.precision,
        processes=1,
        devices=1 if job.mesh is None else int(job.mesh.devices.size),
        batch_size=job.batch_size,
        label=job.label,
        waited=0.0,
        events=tuple(history.events),
        remarks=tuple(job.remarks),
    )
