"""One run on 1, 2 and 4 gloo processes: examples a second, CPU seconds, and the cost they come to.

The batch is the same on any number of processes, which share it (strong scaling), and in one more run on two processes
twice as large, so that each has as many rows as one process alone (weak scaling). Each run is `steepest train` by
itself, held to as many cores as it has processes (never more than the machine has), so that one process is held to one
core. Runs take turns.

Two runs side by side that know nothing of each other, each on half the batch, show what the machine would give at the
most: what they share is the memory, and whatever else the machine does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ..processes import ROOT
from .throughput import MODELS

# Processes, how many times the batch, and whether these are runs apart, each on its part of it.
RUNS = ((1, 1, False), (2, 1, True), (2, 1, False), (2, 2, False), (4, 1, False))
# Batches large enough to be shared: many parameters to exchange, and few. More than 100 steps: every step of a shorter
# run is watched, which costs each process what the others spend too.
BATCH, STEPS = {"mlp": 2048, "convolution": 512}, 110
# The part of a run that compiles and warms up, and is not counted.
WARM = 0.3
PROGRAM = "import sys; from steepest.cli import main; sys.exit(main())"


def job() -> dict[str, Any]:
    """A model of the speed part, named by $MODEL, on batches of $ROWS rows."""
    name = os.environ["MODEL"]
    cost_of, params, data = MODELS[name]()
    return {
        "cost": cost_of(np),
        "params": params,
        "data": data,
        "batch_size": int(os.environ["ROWS"]),
        "steps": STEPS,
        "method": "adam",
        "rate": 1e-3,
        "callback": Clock(),
    }


class Clock:
    """Notes wall and CPU seconds of this process at each row, in a file of its own under $SCALING."""

    def __init__(self) -> None:
        number = os.environ.get("NUMBER") or os.environ.get("STEEPEST_PROCESS", "0")
        self.file = Path(os.environ["SCALING"]) / number

    def __call__(self, row: Any) -> None:
        """Add a row."""
        import time

        with self.file.open("a") as file:
            file.write(f"{row.step} {time.perf_counter()} {time.process_time()}\n")


def run(name: str, count: int, times: int, apart: bool) -> dict[str, float]:
    """One run on `count` processes, or so many `apart`, and a batch `times` as large.

    Wall and CPU seconds a step after warming up, and the cost it came to.
    """
    cores = sorted(os.sched_getaffinity(0))[:count]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "job.py").write_text("from benchmarks.training.scaling import job\n")
        started = [
            _start(folder, name, count, times, index if apart else None, cores)
            for index in range(count if apart else 1)
        ]
        said = [process.communicate() for process in started]
        for process, (_, errors) in zip(started, said, strict=True):
            if process.returncode not in (0, 1):
                raise RuntimeError(f"the measured run failed:\n{errors}")
        wall, cpu = zip(*(_a_step(Path(folder) / str(index)) for index in range(count)), strict=True)
    return {"wall": max(wall), "cpu": sum(cpu), "cost": json.loads(said[0][0])["cost"]}


def _start(
    folder: str, name: str, count: int, times: int, alone: int | None, cores: list[int]
) -> subprocess.Popen[str]:
    """`steepest train` on `count` processes; or by itself on its part of the batch, where it is number `alone`."""
    rows = times * BATCH[name] // (1 if alone is None else count)
    own = {"MODEL": name, "ROWS": str(rows), "SCALING": folder}
    own["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path])
    held = cores if alone is None else [cores[alone % len(cores)]]
    if alone is not None:
        own["NUMBER"] = str(alone)
    several = ["--processes", str(count)] if alone is None and count > 1 else []
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "train", f"{folder}/job.py:job", "--json", *several],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **own},
        preexec_fn=lambda: os.sched_setaffinity(0, held),
    )


def _a_step(path: Path) -> tuple[float, float]:
    rows = np.loadtxt(path)
    rows = rows[rows[:, 0] >= WARM * STEPS]
    steps = rows[-1, 0] - rows[0, 0]
    return float((rows[-1, 1] - rows[0, 1]) / steps), float((rows[-1, 2] - rows[0, 2]) / steps)


def measure(name: str, rounds: int) -> list[dict[str, Any]]:
    """Medians over the rounds for each kind of run, and rows a second against one process in that round."""
    taken: dict[tuple[int, int, bool], list[dict[str, float]]] = {which: [] for which in RUNS}
    for _ in range(rounds):
        for which in RUNS:
            taken[which].append(run(name, *which))
    alone, found = taken[RUNS[0]], []
    for (count, times, apart), runs in taken.items():
        pairs = list(zip(alone, runs, strict=True))
        found.append(
            {
                "processes": count,
                "apart": apart,
                "batch": times * BATCH[name] // (count if apart else 1),
                "cores": min(count, len(os.sched_getaffinity(0))),
                **{key: median(one[key] for one in runs) for key in ("wall", "cpu", "cost")},
                "faster": median(times * one["wall"] / several["wall"] for one, several in pairs),
                "cpu faster": median(count * times * one["cpu"] / several["cpu"] for one, several in pairs),
            }
        )
    return found


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
