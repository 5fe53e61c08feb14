"""Before the first step: do all processes run the same code, on the same data, from the same seeds?"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ..errors import InputError
from .batches import Source
from .joining import all_ready
from .saved import versions
from .sparse_rows import is_sparse

if TYPE_CHECKING:
    from .job import Job
    from .loop import Walker
    from .whole_run import WholeWalker

# Rows whose bytes are compared: the first, the last and some between. All of a large file would take minutes.
SAMPLED = 64
# Where Python put a function, which JAX prints inside of code; it differs from process to process.
ADDRESS = re.compile(r"0x[0-9a-f]+")


def fingerprints(job: Job) -> dict[str, str]:
    """What must be equal in all processes, each as a hash."""
    start, code = hashlib.sha256(), hashlib.sha256()
    _add(start, job.layout.arrays)
    if job.recorded is not None:
        code.update(ADDRESS.sub("", str(job.recorded.closed)).encode())
        _add(code, job.recorded.closed.consts)
    settings = {
        "batch size": job.batch_size,
        "method": job.method.to_dict(),
        "precision": job.precision,
        "limits": [job.limits.steps, job.limits.seconds],
        "accumulate": job.accumulate,
        "resume": job.resume,
        "shard": job.shard,
        "patience": job.patience,
        "validation": None if job.validation is None else job.validation.rows,
        "checkpoint": None if job.checkpoints is None else [job.checkpoints.seconds, job.checkpoints.steps],
    }
    found = {
        "the versions of the packages": json.dumps(versions(), sort_keys=True),
        "the settings": json.dumps(settings, sort_keys=True, default=str),
        "the seed": str(job.seed),
    }
    hashed = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in found.items()}
    return hashed | {
        "the code of the cost": code.hexdigest(),
        "the data": of_data(job.source),
        "the start": start.hexdigest(),
    }


def of_data(source: Source) -> str:
    """A hash of the number of rows and of some of them, as hexadecimal digits."""
    rows = source.rows
    data = hashlib.sha256(str(rows).encode())
    arrays = getattr(source, "arrays", None)
    if arrays is not None and rows:
        chosen = np.unique(np.linspace(0, rows - 1, SAMPLED).astype(int))
        some = [array[chosen] for array in arrays]
        arrays = [piece.toarray() if is_sparse(piece) else piece for piece in some]
    # Of streamed or generated data the first rows, which every source has read to learn their form.
    _add(data, source.layout.arrays if arrays is None else arrays)
    return data.hexdigest()


def _add(hashed: Any, arrays: Any) -> None:
    for array in map(np.asarray, arrays):
        hashed.update(f"{array.dtype} {array.shape}".encode())
        hashed.update(np.ascontiguousarray(array).tobytes())


def check(job: Job) -> None:
    """Compare with every other process; raises `InputError` naming those that are not ready or differ, and in what."""
    if jax.process_count() > 1:
        all_ready()
        compare(fingerprints(job))


def compare(mine: Mapping[str, str]) -> None:
    """Compare hashes with every other process; raises `InputError` naming those that differ, and in what."""
    from jax.experimental import multihost_utils

    own = np.frombuffer(bytes.fromhex("".join(mine.values())), dtype=np.uint8)
    everyones = np.asarray(multihost_utils.process_allgather(own)).reshape(jax.process_count(), len(mine), -1)
    words = differences(everyones, list(mine))
    if words:
        raise InputError(words)


def same_checkpoint(path: Path | None) -> None:
    """Raises `InputError` unless every process goes on from the same checkpoint, or all from none."""
    name = "none" if path is None else path.name
    folder = "the checkpoint to go on from (its folder must be the same to all)"
    compare({folder: hashlib.sha256(name.encode()).hexdigest()})


def newest_checkpoint(
    walker: Walker | WholeWalker,
) -> tuple[dict[str, Any], dict[str, np.ndarray], Path] | None:
    """The checkpoint to go on from, the same in all processes; None, with a word, where there is none yet."""
    checkpoints, teller = walker.job.checkpoints, walker.teller
    assert checkpoints is not None
    found = checkpoints.newest(teller.warn if walker.placement.speaks else lambda words: None)
    if walker.placement.processes > 1:
        same_checkpoint(None if found is None else found[2])
    if found is None:
        teller.note(f"no checkpoint in {checkpoints.folder} yet: starting afresh")
    return found


def differences(everyones: np.ndarray, names: list[str]) -> str:
    """Which processes differ from most others, and in what; "" if none does. `everyones`: (process, item, byte)."""
    told = []
    for item, name in enumerate(names):
        hashes = [everyones[process, item].tobytes() for process in range(len(everyones))]
        common = max(hashes, key=hashes.count)
        others = [str(process) for process, value in enumerate(hashes) if value != common]
        if others:
            told.append(f"{name} of process {', '.join(others)}")
    return "" if not told else f"not the same in all {len(everyones)} processes: {'; '.join(told)}"
