"""Before the first step: do all processes run the same code, on the same data, from the same seeds?"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ..errors import InputError
from .batches import Rows, Source
from .joining import all_ready
from .roll import NOT_THE_SAME
from .saved import versions

if TYPE_CHECKING:
    from .job import Job
    from .loop import Walker
    from .whole_run import WholeWalker

# Rows whose bytes are compared: the first, the last and some between. All of a large file would take minutes.
SAMPLED = 64
# Where Python put a function, which JAX prints inside of code; it differs from process to process.
ADDRESS = re.compile(r"0x[0-9a-f]+")


def fingerprints(job: Job) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """What must be equal in all processes, each as a hash; and of what is short enough to be shown, the values."""
    start = hashlib.sha256()
    _add(start, job.layout.arrays)
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
    shown: dict[str, dict[str, Any]] = {
        "the versions of the packages": versions(),
        "the settings": settings,
        "the seed": {"seed": job.seed},
    }
    hashed = {name: hashlib.sha256(_text(values).encode()).hexdigest() for name, values in shown.items()}
    hashed |= {
        "the code of the cost": job.code,
        "the data": of_data(job.source),
        "the start": start.hexdigest(),
    }
    return hashed, shown


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, default=str)


def of_cost(job: Job) -> str:
    """A hash of the operations of the cost and of what it reads besides its arguments, as hexadecimal digits."""
    code = hashlib.sha256()
    if job.recorded is not None:
        code.update(ADDRESS.sub("", str(job.recorded.closed)).encode())
        _add(code, job.recorded.closed.consts)
    return code.hexdigest()


def of_data(source: Source) -> str:
    """A hash of the number of rows and of some of them, as hexadecimal digits."""
    rows = source.rows
    data = hashlib.sha256(str(rows).encode())
    if isinstance(source, Rows):
        _add(data, source.taken(np.unique(np.linspace(0, source.rows - 1, SAMPLED).astype(int))))
    else:  # of streamed or generated data the first rows, which every source has read to learn their form
        _add(data, source.layout.arrays)
    return data.hexdigest()


def _add(hashed: Any, arrays: Any) -> None:
    for array in map(_numbers, arrays):
        hashed.update(f"{array.dtype} {array.shape}".encode())
        hashed.update(np.ascontiguousarray(array).tobytes())


def _numbers(array: Any) -> np.ndarray:
    """An array as NumPy holds it; of keys for random numbers what they are made of."""
    is_key = jax.dtypes.issubdtype(getattr(array, "dtype", None), jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(array) if is_key else array)


def check(job: Job) -> None:
    """Compare with every other process; raises `InputError` naming those that are not ready or differ, and in what."""
    if jax.process_count() > 1:
        with all_ready():
            compare(*fingerprints(job))


def compare(mine: Mapping[str, str], shown: Mapping[str, Mapping[str, Any]] | None = None) -> None:
    """Compare hashes with every other process; raises `InputError` naming those that differ, and in what.

    `shown`: the values behind some of the hashes, for the message.
    """
    own = np.frombuffer(bytes.fromhex("".join(mine.values())), dtype=np.uint8)
    everyones = _of_all(own).reshape(jax.process_count(), len(mine), -1)
    words = differences(everyones, list(mine))
    if not words:
        return
    # All see the same hashes, and so come here together.
    apart = [name for k, name in enumerate(mine) if len(np.unique(everyones[:, k], axis=0)) > 1]
    values = [word for name in apart if shown is not None and name in shown for word in _values(shown[name])]
    told = f" ({'; '.join(values)})" if values else ""
    raise InputError(f"{words}{told}. Give all of them the same, whatever their number or their machine")


def _of_all(own: np.ndarray) -> np.ndarray:
    """The same array of every process, along a first axis."""
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(own))


def _values(mine: Mapping[str, Any]) -> list[str]:
    """The values of this process that are others elsewhere, with those; every process must ask."""
    text = np.frombuffer(_text(mine).encode(), dtype=np.uint8)
    length = int(_of_all(np.array([text.size], np.int32)).max())
    everyones = _of_all(np.pad(text, (0, length - text.size), constant_values=ord(" ")))
    return values_apart([json.loads(row.tobytes()) for row in everyones])


def values_apart(everyones: Sequence[Mapping[str, Any]]) -> list[str]:
    """In which values processes differ.

    >>> values_apart([{"seed": 0, "rate": 0.1}, {"seed": 0, "rate": 0.2}])
    ['rate: 0.1 in process 0, 0.2 in process 1']
    """
    flat = [
        {
            name: value
            for key, held in each.items()
            for name, value in (held.items() if isinstance(held, Mapping) else [(key, held)])
        }
        for each in everyones
    ]
    told = []
    for name in dict.fromkeys(name for each in flat for name in each):
        values = [_text({"": each.get(name)}) for each in flat]
        if len(set(values)) > 1:
            first = [(k, flat[k].get(name)) for k, value in enumerate(values) if values.index(value) == k]
            told.append(f"{name}: " + ", ".join(f"{value} in process {k}" for k, value in first))
    return told


def same_checkpoint(path: Path | None) -> None:
    """Raises `InputError` unless every process goes on from the same checkpoint, or all from none."""
    name = "none" if path is None else path.name
    folder = "the checkpoint to go on from (its folder must be the same to all)"
    compare({folder: hashlib.sha256(name.encode()).hexdigest()})


def newest_checkpoint(
    walker: Walker | WholeWalker,
) -> tuple[dict[str, Any], dict[str, np.ndarray], Path] | None:
    """The checkpoint to go on from, the same in all processes; None, with a word, where there is none yet.

    Raises `InputError` where there are some and none can be read: a run begun anew would write over them.
    """
    checkpoints, teller = walker.job.checkpoints, walker.teller
    assert checkpoints is not None
    found = checkpoints.newest(teller.warn if walker.placement.speaks else lambda words: None)
    if walker.placement.processes > 1:
        same_checkpoint(None if found is None else found[2])
    if found is None and checkpoints.found():
        raise InputError(
            f"checkpoint: {checkpoints.folder} holds a run, and none of its checkpoints can be read; move them away to "
            "start afresh, or give this run another folder"
        )
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
    return "" if not told else f"{NOT_THE_SAME} {len(everyones)} processes: {'; '.join(told)}"
