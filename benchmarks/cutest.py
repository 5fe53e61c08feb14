"""CUTEst in JAX (`sif2jax`), development half: solved, honest and quick, with defaults only, beside the peers.

Every contestant gets a flat JAX function of float64, the start and the bounds, and 10 seconds of one core from there
to its answer, tracing and compiling included; `warm` is the same solve again. Cost and projected slope at the end are
computed by JAX. *Solved*: within 1e-6·max(1, |f|) of the lowest cost f that any run ever found. *Stationary*: projected
slope at most 1e-4·max(1, |f|). *False success*: claims success, not solved, projected slope above 1e-3·max(1, |f|).
*False failure*: solved, but claims failure. *×*: geometric mean, over problems that all solved, of the seconds over
the fastest contestant's.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from statistics import geometric_mean, median
from typing import Any

from .contestants import BOUNDED, UNCONSTRAINED, is_there

HERE = Path(__file__).parent
LIST = HERE / "cutest_dev.txt"
# The lowest cost of each problem that any run found so far; a run that finds a lower one writes it here.
LOWEST = HERE / "cutest_lowest.json"
PICTURE = HERE / "results" / "cutest.svg"
RECORDS = HERE / "results" / "cutest.jsonl"

SOLVED = 1e-6
STATIONARY = 1e-4
FALSE = 1e-3
# A cost below this is of a problem without a minimum, which does not count.
BOTTOMLESS = -1e20
# A point this far outside its bounds has left them.
OUTSIDE = 1e-9

HEADER = (
    "solver",
    "solved %",
    "stationary %",
    "false success %",
    "false failure %",
    "median cold s",
    "median warm s",
    "cold ×",
    "warm ×",
    "outside bounds",
)

Record = dict[str, Any]


def problems() -> dict[str, tuple[str, int]]:
    """Name to kind ("unconstrained" or "bounded") and number of parameters."""
    lines = [line.split("\t") for line in LIST.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    return {name: (kind, int(n)) for name, kind, n in (line for line in lines if len(line) == 3)}


class Worker:
    """A process on a core of its own that measures one contestant on one problem after the other."""

    def __init__(self, core: int, module: str) -> None:
        command = [sys.executable, "-m", module, str(core)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE.parent
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
    pairs: Iterable[tuple[str, str]],
    jobs: int,
    keep: Path | None = None,
    module: str = "benchmarks.cutest_worker",
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


def lowest(records: Iterable[Record]) -> dict[str, float]:
    """Lowest cost of each problem, of these records and of every run before, kept for the next."""
    known: dict[str, float] = json.loads(LOWEST.read_text(encoding="utf-8")) if LOWEST.exists() else {}
    for record in records:
        cost = record.get("cost")
        if cost is not None and cost == cost and record.get("outside", 0.0) <= OUTSIDE:
            known[record["problem"]] = min(cost, known.get(record["problem"], cost))
    lines = ",\n".join(f' "{name}": {known[name]!r}' for name in sorted(known))
    LOWEST.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    return known


def is_solved(record: Record, best: Mapping[str, float]) -> bool:
    """Whether the end point is as low as the lowest known."""
    cost, goal = record.get("cost"), best.get(record["problem"])
    if cost is None or goal is None or record.get("outside", 0.0) > OUTSIDE:
        return False
    return bool(cost - goal <= SOLVED * max(1.0, abs(goal)))


def is_stationary(record: Record, limit: float = STATIONARY) -> bool:
    """Whether the projected slope at the end point is small."""
    return record.get("cost") is not None and bool(record["slope"] <= limit * max(1.0, abs(record["cost"])))


def is_false_success(record: Record, best: Mapping[str, float]) -> bool:
    """Whether success is claimed where there is none."""
    return bool(record.get("claims")) and not is_solved(record, best) and not is_stationary(record, FALSE)


def summary(records: Sequence[Record], best: Mapping[str, float]) -> list[list[object]]:
    """A row for each solver."""
    counted = [r for r in records if best.get(r["problem"], 0.0) > BOTTOMLESS]
    solvers = list(dict.fromkeys(r["solver"] for r in counted))
    by_problem: dict[str, dict[str, Record]] = {}
    for record in counted:
        by_problem.setdefault(record["problem"], {})[record["solver"]] = record
    common = [
        rows
        for rows in by_problem.values()
        if len(rows) == len(solvers) and all(is_solved(row, best) and "warm" in row for row in rows.values())
    ]
    table = []
    for solver in solvers:
        mine = [r for r in counted if r["solver"] == solver]
        count = len(mine)
        missed = [r for r in mine if is_solved(r, best) and not r["claims"]]
        row: list[object] = [f"{solver} ({count})"]
        for number in (
            sum(is_solved(r, best) for r in mine),
            sum(is_stationary(r) for r in mine),
            sum(is_false_success(r, best) for r in mine),
            len(missed),
        ):
            row.append(round(100.0 * number / count, 1))
        for which in ("cold", "warm"):
            times = [r[which] for r in mine if which in r]
            row.append(median(times) if times else None)
        for which in ("cold", "warm"):
            ratios = [
                rows[solver][which] / min(other[which] for other in rows.values())
                for rows in common
                if all(which in other for other in rows.values())
            ]
            row.append(geometric_mean(ratios) if ratios else None)
        row.append(sum(r.get("outside", 0.0) > OUTSIDE for r in mine))
        table.append(row)
    return table


def table(peers: bool) -> tuple[Sequence[str], list[list[object]], str]:
    """The table of all contestants; draws the profile beside it."""
    listed = problems()
    rows: list[list[object]] = []
    notes = []
    everything = {}
    RECORDS.parent.mkdir(exist_ok=True)
    RECORDS.unlink(missing_ok=True)
    for kind, field in (("unconstrained", UNCONSTRAINED), ("bounded", BOUNDED)):
        named = [(name, n) for name, (k, n) in listed.items() if k == kind]
        pairs = [(name, "steepest") for name, _ in named]
        if peers:
            for solver, (_, most) in field.items():
                if not is_there(solver):
                    continue
                pairs += [(name, solver) for name, n in named if most is None or n <= most]
        records = run_all(pairs, os.cpu_count() or 1, RECORDS)
        best = lowest(records)
        everything[kind] = (records, best)
        rows += [[f"**{kind}**", *[None] * (len(HEADER) - 1)], *summary(records, best)]
        mine = [r for r in records if r["solver"] == "steepest" and best.get(r["problem"], 0.0) > BOTTOMLESS]
        misses = [r["problem"] for r in mine if not is_solved(r, best)]
        notes.append(f"Not solved by steepest, {kind}: {', '.join(misses) or 'none'}.")
    profile(everything)
    return HEADER, rows, " ".join(notes) + f"\n\n![Share solved within a time]({PICTURE.name})"


def profile(everything: Mapping[str, tuple[Sequence[Record], Mapping[str, float]]]) -> None:
    """Performance profiles (Dolan & Moré, Math. Program. 91, 2002): share solved within a factor of the fastest."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(everything), figsize=(10, 4), sharey=True, layout="constrained")
    for ax, (kind, (records, best)) in zip(axes, everything.items(), strict=True):
        counted = [r for r in records if best.get(r["problem"], 0.0) > BOTTOMLESS]
        number = len({r["problem"] for r in counted})
        times = {(r["problem"], r["solver"]): r["cold"] for r in counted if is_solved(r, best)}
        fastest: dict[str, float] = {}
        for (problem, _), seconds in times.items():
            fastest[problem] = min(seconds, fastest.get(problem, seconds))
        styles = ["-", "--", "-.", ":"]
        for index, solver in enumerate(dict.fromkeys(r["solver"] for r in counted)):
            ratios = sorted(
                seconds / fastest[problem] for (problem, who), seconds in times.items() if who == solver
            )
            heights = [100.0 * (k + 1) / number for k in range(len(ratios))]
            ax.step(
                [*ratios, 1e3],
                [*heights, heights[-1] if heights else 0.0],
                styles[index % 4],
                where="post",
                label=solver,
                color=f"C{index}",
                linewidth=2.5 if solver == "steepest" else 1.2,
            )
        ax.set(
            xscale="log", xlim=(1, 1e3), ylim=(0, 101), title=kind, xlabel="cold time ÷ the fastest solver's"
        )
        ax.grid(alpha=0.3)
        ax.legend(fontsize=7, loc="lower right")
    axes[0].set_ylabel("problems solved, %")
    figure.savefig(PICTURE, metadata={"Date": None})
    plt.close(figure)


def main() -> int:
    """Run some contestants on some problems and print a line for each: for finding out what to mend."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cutest", description=main.__doc__)
    parser.add_argument("names", nargs="*", help="problems; none for all")
    parser.add_argument("--solver", action="append", help='such as "steepest" or "steepest l-bfgs"')
    parser.add_argument("--kind", choices=("unconstrained", "bounded"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="append each record to this file")
    asked = parser.parse_args()
    listed = problems()
    names = [
        n for n, (kind, _) in listed.items() if n in (asked.names or listed) and asked.kind in (None, kind)
    ]
    records = run_all([(n, s) for s in asked.solver or ["steepest"] for n in names], asked.jobs, asked.keep)
    best = lowest(records)
    for r in sorted(records, key=lambda r: r["problem"]):
        mark = "solved" if is_solved(r, best) else "MISSED"
        mark += " FALSE SUCCESS" if is_false_success(r, best) else ""
        mark += " false failure" if is_solved(r, best) and not r["claims"] else ""
        numbers = " ".join(
            f"{key}={r[key]:.4g}" for key in ("cold", "warm", "cost", "slope") if r.get(key) is not None
        )
        goal = best.get(r["problem"])
        sys.stdout.write(
            f"{r['problem']:<12}{listed[r['problem']][1]:>7} {mark} {numbers} best={goal} | "
            f"{r.get('told', '')[:230]}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
