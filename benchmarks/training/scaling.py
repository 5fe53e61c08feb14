"""One run on 1, 2 and 4 gloo processes: examples a second, CPU seconds, and the cost they come to.

The batch is the same on any number of processes, which share it (strong scaling), and in one more run on two processes
twice as large, so that each has as many rows as one process alone (weak scaling). Each run is `steepest train` by
itself, held to as many cores as it has processes (never more than the machine has), so that one process is held to one
core. Runs take turns.
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

# Processes, and how many times the batch.
RUNS = ((1, 1), (2, 1), (2, 2), (4, 1))
# Batches large enough to be shared: many parameters to exchange, and few.
BATCH, STEPS = {"mlp": 2048, "convolution": 512}, 30
# The part of a run that compiles and warms up, and is not counted.
WARM = 0.3
PROGRAM = "import sys; from steepest.cli import main; sys.exit(main())"


def job() -> dict[str, Any]:
    """A model of the speed part, named by $MODEL, with $TIMES its batch."""
    name = os.environ["MODEL"]
    cost_of, params, data = MODELS[name]()
    return {
        "cost": cost_of(np),
        "params": params,
        "data": data,
        "batch_size": BATCH[name] * int(os.environ["TIMES"]),
        "steps": STEPS,
        "method": "adam",
        "rate": 1e-3,
        "callback": Clock(),
    }


class Clock:
    """Notes wall and CPU seconds of this process at each row, in a file of its own under $SCALING."""

    def __init__(self) -> None:
        self.file = Path(os.environ["SCALING"]) / os.environ.get("STEEPEST_PROCESS", "0")

    def __call__(self, row: Any) -> None:
        """Add a row."""
        import time

        with self.file.open("a") as file:
            file.write(f"{row.step} {time.perf_counter()} {time.process_time()}\n")


def run(name: str, count: int, times: int = 1) -> dict[str, float]:
    """One run on `count` processes and a batch `times` as large.

    Wall and CPU seconds a step after warming up, and the cost it came to.
    """
    cores = sorted(os.sched_getaffinity(0))[:count]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "job.py").write_text("from benchmarks.training.scaling import job\n")
        command = [sys.executable, "-c", PROGRAM, "train", f"{folder}/job.py:job", "--json"]
        own = {"MODEL": name, "TIMES": str(times), "SCALING": folder}
        own["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path])
        done = subprocess.run(
            [*command, *(["--processes", str(count)] if count > 1 else [])],
            capture_output=True,
            text=True,
            env={**os.environ, **own},
            check=False,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        if done.returncode not in (0, 1):
            raise RuntimeError(f"the measured run failed:\n{done.stderr}")
        wall, cpu = zip(*(_a_step(Path(folder) / str(index)) for index in range(count)), strict=True)
    told = json.loads(done.stdout)
    return {"wall": max(wall), "cpu": sum(cpu), "cost": told["cost"]}


def _a_step(path: Path) -> tuple[float, float]:
    rows = np.loadtxt(path)
    rows = rows[rows[:, 0] >= WARM * STEPS]
    steps = rows[-1, 0] - rows[0, 0]
    return float((rows[-1, 1] - rows[0, 1]) / steps), float((rows[-1, 2] - rows[0, 2]) / steps)


def measure(name: str, rounds: int) -> list[dict[str, Any]]:
    """Medians over the rounds for each number of processes, and rows a second against one process in that round."""
    taken: dict[tuple[int, int], list[dict[str, float]]] = {which: [] for which in RUNS}
    for _ in range(rounds):
        for count, times in RUNS:
            taken[count, times].append(run(name, count, times))
    alone, found = taken[RUNS[0]], []
    for (count, times), runs in taken.items():
        pairs = list(zip(alone, runs, strict=True))
        found.append(
            {
                "processes": count,
                "batch": times * BATCH[name],
                "cores": min(count, len(os.sched_getaffinity(0))),
                **{key: median(one[key] for one in runs) for key in ("wall", "cpu", "cost")},
                "faster": median(times * one["wall"] / several["wall"] for one, several in pairs),
                "cpu faster": median(count * times * one["cpu"] / several["cpu"] for one, several in pairs),
            }
        )
    return found


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
