"""Contestants on a set of problems: run by workers, judged by the lowest cost that is known, and told in rows."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from statistics import geometric_mean, median
from typing import Any

ROOT = Path(__file__).parents[1]

# Parts of max(1, |f|): of the cost above the lowest known and of the slope that is left, for a point to count as there,
# and for a claim of success to be false.
SOLVED, STATIONARY, FALSE = 1e-6, 1e-4, 1e-3

# BLAS in a worker: a core of its own has no room for more threads, which would only wait for each other.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

TIMES = ("median cold s", "median warm s", "cold ×", "warm ×")

Record = dict[str, Any]


@dataclass(frozen=True)
class Judge:
    """What the end points of one set of problems are worth.

    `lowest`: the lowest cost known of each problem. `keeps`: whether a record's end point keeps its bounds and
    constraints. `slope`: under which name a record says what is left of the slope.

    >>> judge = Judge({"HS1": 0.0}, lambda record: record["outside"] == 0.0, "slope")
    >>> low = {"problem": "HS1", "cost": 1e-9, "slope": 1e-6, "outside": 0.0, "claims": False}
    >>> judge.is_solved(low), judge.is_stationary(low), judge.is_false_failure(low)
    (True, True, True)
    >>> out = low | {"outside": 0.5, "claims": True}
    >>> judge.is_solved(out), judge.is_stationary(out), judge.is_false_success(out)
    (False, False, True)
    """

    lowest: Mapping[str, float]
    keeps: Callable[[Record], bool]
    slope: str

    def is_solved(self, record: Record) -> bool:
        """Whether the end point is as low as the lowest known."""
        goal = self.lowest.get(record["problem"])
        if goal is None or not self.keeps(record):
            return False
        return bool(record["cost"] - goal <= SOLVED * max(1.0, abs(goal)))

    def is_stationary(self, record: Record, limit: float = STATIONARY) -> bool:
        """Whether next to nothing is left of the slope at the end point."""
        return self.keeps(record) and bool(record[self.slope] <= limit * max(1.0, abs(record["cost"])))

    def is_false_success(self, record: Record) -> bool:
        """Whether success is claimed where there is none."""
        claims = bool(record.get("claims"))
        return claims and not self.is_solved(record) and not self.is_stationary(record, FALSE)

    def is_false_failure(self, record: Record) -> bool:
        """Whether failure is claimed where the problem is solved."""
        return self.is_solved(record) and not record["claims"]


class Worker:
    """A process on a core of its own that measures one contestant on one problem after the other."""

    def __init__(self, core: int, module: str) -> None:
        command = [sys.executable, "-m", module, str(core)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | ONE_THREAD,
        )

    def ask(self, name: str, solver: str) -> Record:
        """The record of one measurement."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(f"{name}\t{solver}\n")
        self.process.stdin.flush()
        record: Record = json.loads(self.process.stdout.readline())
        return record

    def end(self) -> None:
        """Let the process go."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def run_all(
    pairs: Iterable[tuple[str, str]], jobs: int, module: str, keep: Path | None = None
) -> list[Record]:
    """Every (problem, solver), `jobs` at a time, by workers that run `module`.

    Each record is also appended to `keep`, as a line of JSON.
    """
    records = []
    workers = [Worker(core, module) for core in range(jobs)]
    idle: Queue[Worker] = Queue()
    for worker in workers:
        idle.put(worker)

    def run(pair: tuple[str, str]) -> Record:
        worker = idle.get()
        try:
            return worker.ask(*pair)
        finally:
            idle.put(worker)

    with ThreadPoolExecutor(jobs) as pool:
        for record in pool.map(run, pairs):
            records.append(record)
            if keep is not None:
                with keep.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(record) + "\n")
    for worker in workers:
        worker.end()
    return records


def arrangement(jobs: int) -> str:
    """What a page says of how `run_all` measured.

    >>> arrangement(2)
    'Solver after solver, 2 at a time, each held to one core, BLAS on one thread.'
    """
    return f"Solver after solver, {jobs} at a time, each held to one core, BLAS on one thread."


def known(path: Path) -> dict[str, Any]:
    """What earlier runs kept in `path`, problem by problem."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def remember(path: Path, found: Mapping[str, Any], order: Callable[[str], Any] | None = None) -> None:
    """Keep it in `path` for the next run, a problem to a line."""
    lines = ",\n".join(f' "{name}": {json.dumps(found[name])}' for name in sorted(found, key=order))
    path.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def by_solver(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records of each solver."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record["solver"], []).append(record)
    return found


def times(records: Sequence[Record], judge: Judge) -> dict[str, list[object]]:
    """The cells under `TIMES` for each solver; the ratios are over the problems that all of them solved."""
    solvers = by_solver(records)
    by_problem: dict[str, dict[str, Record]] = {}
    for record in records:
        by_problem.setdefault(record["problem"], {})[record["solver"]] = record
    common = [
        rows
        for rows in by_problem.values()
        if len(rows) == len(solvers) and all(judge.is_solved(row) and "warm" in row for row in rows.values())
    ]
    cells: dict[str, list[object]] = {}
    for solver, mine in solvers.items():
        seconds = [[r[which] for r in mine if which in r] for which in ("cold", "warm")]
        ratios = [
            [rows[solver][which] / min(row[which] for row in rows.values()) for rows in common]
            for which in ("cold", "warm")
        ]
        cells[solver] = [
            *(median(some) if some else None for some in seconds),
            *(geometric_mean(some) if some else None for some in ratios),
        ]
    return cells


def of_all_it_solved(records: Iterable[Record], judge: Judge, solver: str = "steepest") -> str:
    """What a page says of its times over every problem that it solved, not only those that all solved.

    Each is set beside the fastest of the contestants that solved the same problem.

    >>> judge = Judge({"P": 0.0, "Q": 0.0}, lambda record: True, "slope")
    >>> mine = [{"problem": p, "solver": "steepest", "cost": 0.0, "cold": 1.0, "warm": 1.0} for p in "PQ"]
    >>> of_all_it_solved([*mine, mine[0] | {"solver": "A", "warm": 0.25}], judge)
    'Over all 2 that steepest solved, beside the fastest that solved each: cold × 1, warm × 2.'
    """
    by_problem: dict[str, dict[str, Record]] = {}
    for record in records:
        if judge.is_solved(record) and "warm" in record:
            by_problem.setdefault(record["problem"], {})[record["solver"]] = record
    rows = [rows for rows in by_problem.values() if solver in rows]
    if not rows:
        return ""
    cold, warm = (
        geometric_mean(r[solver][which] / min(row[which] for row in r.values()) for r in rows)
        for which in ("cold", "warm")
    )
    return (
        f"Over all {len(rows)} that {solver} solved, beside the fastest that solved each: "
        f"cold × {cold:.3g}, warm × {warm:.3g}."
    )


def parser(name: str, purpose: str | None, solvers: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """What every run of some contestants on some problems may be told; `solvers`: those that can be asked for."""
    found = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=purpose)
    found.add_argument("names", nargs="*", help="problems; none for all")
    found.add_argument(
        "--solver", action="append", choices=solvers, help='such as "steepest" or "steepest l-bfgs"'
    )
    found.add_argument("--jobs", type=int, default=1)
    found.add_argument("--keep", type=Path, help="append each record to this file")
    return found


def chosen(found: argparse.ArgumentParser, asked: Sequence[str], listed: Iterable[str]) -> list[str]:
    """The problems asked for, all that are listed where none is; ends with a message where one is not listed."""
    names = list(listed)
    unknown = [name for name in asked if name not in names]
    if unknown:
        found.error(f"no problem is named {', '.join(unknown)}; there are {', '.join(names)}")
    return [name for name in names if name in asked] if asked else names


def tried(
    asked: argparse.Namespace, names: Iterable[str], worker: str, judged: Callable[[Sequence[Record]], Judge]
) -> int:
    """Run the contestants that `parser` was told of on these problems and print a line for each; the exit status."""
    pairs = [(name, solver) for name in names for solver in asked.solver or ["steepest"]]
    records = run_all(pairs, asked.jobs, worker, asked.keep)
    judge = judged(records)
    for record in records:
        tell(record, judge)
    return 0


def tell(record: Record, judge: Judge) -> None:
    """Print a line that says how one contestant fared on one problem, for finding out what to mend."""
    mark = "solved" if judge.is_solved(record) else "MISSED"
    mark += " FALSE SUCCESS" if judge.is_false_success(record) else ""
    mark += " false failure" if judge.is_false_failure(record) else ""
    keys = ("n", "cold", "warm", "cost", "violation", judge.slope)
    numbers = " ".join(f"{key}={record[key]:.4g}" for key in keys if record.get(key) is not None)
    goal, told = judge.lowest.get(record["problem"]), record.get("told", "")[:230]
    sys.stdout.write(f"{record['problem']:<12}{record['solver']:<20}{mark} {numbers} best={goal} | {told}\n")
