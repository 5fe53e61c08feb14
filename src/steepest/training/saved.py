"""A run as a checkpoint holds it: every array of the state by name, and the rest as a header."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from functools import partial
from importlib import metadata
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from .steps import State, Tree
from .watching import Row

if TYPE_CHECKING:
    from .loop import Walker
    from .whole_run import WholeWalker

# The packages whose versions can change the bits of a run.
PACKAGES = ("steepest", "jax", "jaxlib", "optax", "numpy")


def versions() -> dict[str, str]:
    """What the run was computed with."""
    found = {"python": platform.python_version()}
    for package in (*PACKAGES, *({"torch"} & set(sys.modules))):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def size_of(state: Any) -> int:
    """Bytes that a state takes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))


def identity(walker: Walker | WholeWalker) -> dict[str, Any]:
    """What must be equal for a run to be the same run: shapes, method, data, seed."""
    job = walker.job
    return {
        "parameters": [[leaf.name, list(leaf.shape)] for leaf in job.layout.leaves],
        "method": job.method.name,
        "batch size": job.batch_size,
        "rows": job.source.rows,
        "seed": job.seed,
        "precision": job.precision,
        "accumulate": job.accumulate,
    }


def told(walker: Walker | WholeWalker) -> dict[str, Any]:
    """What the header of every checkpoint holds: which run it is, and what it has come through."""
    history = walker.history
    return {
        "run": identity(walker),
        "data": data_hash(walker),
        "cost": walker.job.code,
        "settings": step_settings(walker),
        "seconds": walker._elapsed(),
        "rows": [row.to_dict() for row in history.rows],
        "validations": history.validations,
        "events": history.events,
        "best": None if walker.best is None else [walker.best[0], walker.since_best],
        "versions": versions(),
    }


def take_up(walker: Walker | WholeWalker, header: dict[str, Any], path: Path) -> None:
    """Give the run its history back; raises `InputError` for a checkpoint of another run."""
    was = header["run"]
    for key, value in identity(walker).items():
        if was.get(key) != value:
            raise InputError(
                f"{path} is of another run: {key} {_said(was.get(key))} there, {_said(value)} here. Give this run "
                "another folder, or the settings that one was begun with"
            )
    data = data_hash(walker)
    if data != header.get("data", data):
        raise InputError(
            f"{path} is of a run on other data: of the {walker.job.source.rows:,} rows some are not what they were. "
            "Give this run another folder, or the data that one was begun with"
        )
    for what, now in (("versions", versions()), ("settings", step_settings(walker))):
        before = header.get(what, {})
        changed = [
            f"{name} {before[name]} → {new}"
            for name, new in now.items()
            if name in before and before[name] != new
        ]
        if changed:
            happened(walker, f"taken up with other {what}: {', '.join(changed)}")
    # Another version of JAX may write down the same cost in other words.
    if header.get("versions") == versions() and header.get("cost", walker.job.code) != walker.job.code:
        words = (
            "taken up with another cost: what it computes, or reads besides its arguments, is not what it was"
        )
        happened(walker, words, loudly=True)
    history = walker.history
    history.events = [*header["events"], *history.events]
    history.rows = [Row(**row) for row in header["rows"]]
    history.validations = [(step, value) for step, value in header["validations"]]
    walker.before = header["seconds"]


def _said(value: Any) -> str:
    """A value of the identity in words; of parameters, their names and shapes."""
    if isinstance(value, list):
        return ", ".join(f"{name} {'×'.join(map(str, shape)) or '1'}" for name, shape in value)
    return repr(value)


def step_settings(walker: Walker | WholeWalker) -> dict[str, Any]:
    """What may change where a run is taken up, and is told: how long its steps are and what is done to the slopes."""
    method = walker.job.method.to_dict()
    return {name: method[name] for name in ("rate", "schedule", "warmup", "weight decay", "clip")}


def data_hash(walker: Walker | WholeWalker) -> str | None:
    """A hash of some rows of the data, None for data that are made as they go: those may differ each time."""
    from .preflight import of_data

    source = walker.job.source
    return None if source.rows is None else of_data(source)


def write(
    walker: Walker | WholeWalker, header: dict[str, Any], arrays: list[tuple[str, np.ndarray]], step: int
) -> None:
    """Write a checkpoint; trouble with the disk is told loudly, once in the report, and does not end the run."""
    assert walker.job.checkpoints is not None
    try:
        walker.job.checkpoints.save(header, arrays, step)
    except OSError as error:
        words = f"the checkpoint at step {step:,} could not be written ({error.strerror}); the run goes on without it"
        walker.unwritten += 1
        if walker.unwritten == 1:
            happened(walker, words, loudly=True)
        else:  # the report need not hold it a hundred times
            walker.teller.warn(words)


def count_unwritten(walker: Walker | WholeWalker) -> None:
    """Say at the end how many checkpoints the disk would not take, where it was more than the one told of."""
    if walker.unwritten > 1:
        happened(walker, f"{walker.unwritten} checkpoints could not be written")


def happened(walker: Walker | WholeWalker, words: str, *, loudly: bool = False) -> None:
    """Put what happened into the history and the run file, and say it."""
    walker.history.events.append(words)
    if walker.job.record is not None:
        walker.job.record.event(words)
    if walker.placement.speaks:
        (walker.teller.warn if loudly else walker.teller.note)(words)


def pack(walker: Walker) -> tuple[dict[str, Any], list[tuple[str, np.ndarray]]]:
    """The header and the arrays of a checkpoint.

    Every process takes part where parameters are spread over them, one array at a time; only the one that writes keeps
    them all.
    """
    job, state, history = walker.job, walker.state, walker.history
    names = [leaf.name for leaf in job.layout.leaves]
    rest = _besides(state)
    named = [
        (f"parameter {name}", a) for name, a in zip(names, walker.tree.leaves(state.parameters), strict=True)
    ]
    named += [(f"memory {i}", array) for i, array in enumerate(rest)]
    if walker.best is not None:
        best = walker.tree.leaves(walker.best[1])
        named += [(f"best {name}", array) for name, array in zip(names, best, strict=True)]
        named += [(f"kept at best {i}", array) for i, array in enumerate(walker.best_kept)]
    arrays = []
    for name, array in named:
        whole = walker.placement.whole(array)
        if walker.placement.speaks:
            arrays.append((name, whole))
    arrays.append(("costs", np.asarray(history.costs, dtype=np.float64)))
    header = {
        **told(walker),
        "cursor": vars(walker.cursor),
        "look": walker.look,
        "rate": job.method.rate,
        "rollbacks": walker.rollbacks,
        "smoothed": walker.smoothed,
        "opening": walker.opening if isfinite(walker.opening) else None,
        "processes": walker.placement.processes,
    }
    return header, arrays


def unpack(
    walker: Walker, state: State, header: dict[str, Any], arrays: dict[str, np.ndarray], path: Path
) -> State:
    """Put the run where the checkpoint says it was; raises `InputError` for a checkpoint of another run."""
    take_up(walker, header, path)
    walker.cursor = type(walker.cursor)(**header["cursor"])
    walker.look = header["look"]
    walker.rollbacks = header["rollbacks"]
    walker.smoothed = header["smoothed"]
    walker.opening = float("inf") if header.get("opening") is None else header["opening"]
    walker.history.costs = arrays["costs"].tolist()
    walker.lowest = min(walker.history.costs, default=float("inf"))
    walker.saved_step = walker.cursor.step
    if header["best"] is not None:
        value, walker.since_best = header["best"]
        best = [jnp.array(arrays[f"best {leaf.name}"], copy=True) for leaf in walker.job.layout.leaves]
        walker.best = (value, walker.placement.state(walker.tree.grow(best)))
        kept = sum(name.startswith("kept at best ") for name in arrays)
        walker.best_kept = [arrays[f"kept at best {i}"] for i in range(kept)]
    found = state_from(state, arrays, walker.tree, [leaf.name for leaf in walker.job.layout.leaves])
    _tell_of_another_end(walker, float(_memory(arrays)[-1]), float(np.asarray(found.total)))
    return found


def _tell_of_another_end(walker: Walker, before: float, now: float) -> None:
    """Say that the rate, which falls to the end of the run, now falls to another end."""
    falls = walker.job.method.schedule in ("linear", "cosine")  # a function of the step knows of no end
    if not falls or before == now or not (isfinite(before) and isfinite(now)):
        return
    happened(
        walker,
        f"taken up with its end at step {now:,.0f} instead of {before:,.0f}: the rate now falls to there",
    )


def _besides(state: State) -> list[Any]:
    """What a state holds besides the parameters, the total last."""
    return jax.tree.leaves((state.memory, state.step, state.scale, state.total))


def _memory(arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """What a checkpoint holds besides the parameters, the total last."""
    return [arrays[f"memory {i}"] for i in range(sum(name.startswith("memory ") for name in arrays))]


def state_from(state: State, arrays: dict[str, np.ndarray], tree: Tree, names: list[str]) -> State:
    """The state with the arrays of a checkpoint in place of its own; its end is kept, where it has one.

    A run that is taken up for longer would otherwise go on at the rate to which the first part fell: at none.
    """
    rest = (state.memory, state.step, state.scale, state.total)
    structure = jax.tree.structure(rest)
    kept = _memory(arrays)
    paths = [path for path, _ in jax.tree_util.tree_leaves_with_path(rest)]
    unit = next((i for i, path in enumerate(paths) if getattr(path[-1], "name", "") == "slope_unit"), None)
    if unit is not None and len(kept) == len(paths) - 1:
        # Written when slopes had no unit of their own, which is to say one.
        kept.insert(unit, np.ones((), np.float32))
    if [a.shape for a in kept] != [leaf.shape for leaf in jax.tree.leaves(rest)]:
        raise InputError(
            "the checkpoint was written by another update rule; give the method it was begun with"
        )
    # What is spread over devices goes there from NumPy, never whole to one of them.
    spread = not all(getattr(leaf, "is_fully_replicated", True) for leaf in jax.tree.leaves(state))
    own = np.asarray if spread else partial(jnp.array, copy=True)
    memory, step, scale, total = jax.tree.unflatten(structure, [own(a) for a in kept])
    if isfinite(end := float(np.asarray(state.total))):
        total = own(np.float32(end))
    parameters = tree.grow([own(arrays[f"parameter {name}"]) for name in names])
    return State(parameters, memory, step, scale, total)
