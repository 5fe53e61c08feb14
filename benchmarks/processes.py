"""Fresh processes, measured: what a program prints about itself, and how long it takes from outside."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def report(program: str, *arguments: str) -> Any:
    """Run `program` in a fresh Python process; its last line of output, read as JSON."""
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=ROOT, check=False
    )
    if run.returncode:
        raise RuntimeError(f"the measured process failed:\n{run.stderr}")
    return json.loads(run.stdout.strip().splitlines()[-1])


def wall_time(command: Sequence[str]) -> float:
    """Seconds a whole process takes, from its start to its end."""
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, cwd=ROOT, check=True)
    return time.perf_counter() - start


def in_turn(measurements: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[Any]]:
    """Every measurement `rounds` times, one round after the other.

    Taking turns spreads whatever else the machine does evenly over the competitors.
    """
    results: dict[str, list[Any]] = {name: [] for name in measurements}
    for _ in range(rounds):
        for name, measure in measurements.items():
            results[name].append(measure())
    return results
