"""Before the first step: do all processes run the same code, on the same data, from the same seeds?"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import jax
import numpy as np

from ..errors import InputError
from .saved import versions

if TYPE_CHECKING:
    from .job import Job

# Rows whose bytes are compared: the first, the last and some between. All of a large file would take minutes.
SAMPLED = 64


def fingerprints(job: Job) -> dict[str, str]:
    """What must be equal in all processes, each as a hash."""
    rows = job.source.rows
    data = hashlib.sha256(str(rows).encode())
    arrays = getattr(job.source, "arrays", None)
    if arrays is not None and rows:
        chosen = np.unique(np.linspace(0, rows - 1, SAMPLED).astype(int))
        for array in arrays:
            data.update(np.ascontiguousarray(array[chosen]).tobytes())
    start = hashlib.sha256()
    for array in job.layout.arrays:
        start.update(np.ascontiguousarray(array).tobytes())
    settings = {
        "batch size": job.batch_size,
        "method": job.method.to_dict(),
        "precision": job.precision,
        "limits": [job.limits.steps, job.limits.seconds],
        "accumulate": job.accumulate,
        "resume": job.resume,
    }
    found = {
        "the code of the cost": str(job.recorded.closed),
        "the versions of the packages": json.dumps(versions(), sort_keys=True),
        "the settings": json.dumps(settings, sort_keys=True, default=str),
        "the seed": str(job.seed),
    }
    hashed = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in found.items()}
    return hashed | {"the data": data.hexdigest(), "the start": start.hexdigest()}


def check(job: Job) -> None:
    """Compare with every other process; raises `InputError` naming those that differ, and in what."""
    if jax.process_count() == 1:
        return
    from jax.experimental import multihost_utils

    mine = fingerprints(job)
    own = np.frombuffer(bytes.fromhex("".join(mine.values())), dtype=np.uint8)
    everyones = np.asarray(multihost_utils.process_allgather(own)).reshape(jax.process_count(), len(mine), -1)
    words = differences(everyones, list(mine))
    if words:
        raise InputError(words)


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
