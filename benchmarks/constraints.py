"""Hock-Schittkowski problems (`sif2jax`) solved between their constraints: how many, how fast, and how truthfully.

Every contestant gets flat JAX functions of float64, the start and the bounds, its defaults, and 10 seconds of one core
from there to its answer, tracing and compiling included; `warm` is the same solve again. The peers get exact jitted
derivatives, and where they take them exact second ones. Cost, violation and slopes at the end are computed by JAX.
*Feasible*: nothing violated by more than 1e-6. *Solved*: feasible, and within 1e-6·max(1, |f|) of the lowest cost f
that any run ever found while violating nothing by more than 1e-12 (where no run came so near, 1e-9, then 1e-6).
*Stationary*: feasible, and the slope of the cost is balanced by multipliers of the right sign to 1e-4·max(1, |f|).
*False success*: claims success, not solved, and not feasible or unbalanced by more than 1e-3·max(1, |f|). *False
failure*: solved, but claims failure. *×*: geometric mean, over problems that all solved, of the seconds over the
fastest contestant's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean, median

from . import sif
from .constrained_contestants import CONTESTANTS
from .contestants import is_there
from .cutest import Record, run_all

HERE = Path(__file__).parent
# The lowest cost of each problem at a feasible point that any run found so far; a run that finds a lower one writes it.
LOWEST = HERE / "constraints_lowest.json"
RECORDS = HERE / "results" / "constraints.jsonl"
WORKER = "benchmarks.constraints_worker"

# Where slopes of constraints vanish, a violation of 1e-9 buys a cost that no point within them has: the strictest limit
# that some run kept decides which cost is the lowest.
LIMITS = (1e-12, 1e-9, 1e-6)
FEASIBLE = LIMITS[-1]
# The lowest minimum of the set is -30,665.5 (HS83); a feasible cost below this belongs to a problem without a floor.
BOTTOMLESS = -1e6
SOLVED, STATIONARY, FALSE = 1e-6, 1e-4, 1e-3

HEADER = (
    "solver",
    "solved %",
    "stationary %",
    "feasible %",
    "false success",
    "false failure",
    "median cold s",
    "median warm s",
    "cold ×",
    "warm ×",
    "not solved",
)


def problems() -> list[str]:
    """The Hock-Schittkowski problems with constraints, by name."""
    listed = {*sif.names("_constrained_minimisation"), *sif.names("_quadratic_problems")}
    return sorted((name for name in listed if re.match(r"HS\d", name)), key=_number)


def _number(name: str) -> tuple[int, str]:
    return int(re.findall(r"\d+", name)[0]), name


def lowest(records: Iterable[Record]) -> dict[str, float]:
    """Lowest cost of each problem, of these records and of every run before, kept for the next.

    The file holds, for each problem, which of `LIMITS` the run kept and its cost.
    """
    known: dict[str, list[float]] = json.loads(LOWEST.read_text(encoding="utf-8")) if LOWEST.exists() else {}
    for record in records:
        cost = record.get("cost")
        if cost is not None and cost == cost and record["violation"] <= FEASIBLE:
            kept = next(k for k, limit in enumerate(LIMITS) if record["violation"] <= limit)
            known[record["problem"]] = min([kept, cost], known.get(record["problem"], [kept, cost]))
    lines = ",\n".join(f' "{name}": {json.dumps(known[name])}' for name in sorted(known, key=_number))
    LOWEST.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    return {name: cost for name, (_, cost) in known.items()}


def is_feasible(record: Record) -> bool:
    """Whether nothing is violated at the end point; a contestant without one has not got there."""
    return record.get("cost") is not None and bool(record["violation"] <= FEASIBLE)


def is_solved(record: Record, best: Mapping[str, float]) -> bool:
    """Feasible, and as low as the lowest known."""
    goal = best.get(record["problem"])
    if goal is None or not is_feasible(record):
        return False
    return bool(record["cost"] - goal <= SOLVED * max(1.0, abs(goal)))


def is_stationary(record: Record, limit: float = STATIONARY) -> bool:
    """Whether the end point is feasible and its slopes balance."""
    return is_feasible(record) and bool(record["unbalanced"] <= limit * max(1.0, abs(record["cost"])))


def is_false_success(record: Record, best: Mapping[str, float]) -> bool:
    """Whether success is claimed where there is none."""
    return bool(record.get("claims")) and not is_solved(record, best) and not is_stationary(record, FALSE)


def summary(records: Sequence[Record], best: Mapping[str, float]) -> list[list[object]]:
    """A row for each solver."""
    solvers = list(dict.fromkeys(r["solver"] for r in records))
    by_problem: dict[str, dict[str, Record]] = {}
    for record in records:
        by_problem.setdefault(record["problem"], {})[record["solver"]] = record
    common = [
        rows
        for rows in by_problem.values()
        if len(rows) == len(solvers) and all(is_solved(row, best) and "warm" in row for row in rows.values())
    ]
    table = []
    for solver in solvers:
        mine = [r for r in records if r["solver"] == solver]
        row: list[object] = [f"{solver} ({len(mine)})"]
        for held in (
            [is_solved(r, best) for r in mine],
            [is_stationary(r) for r in mine],
            [is_feasible(r) for r in mine],
        ):
            row.append(round(100.0 * sum(held) / len(mine), 1))
        row.append(sum(is_false_success(r, best) for r in mine))
        row.append(sum(is_solved(r, best) and not r["claims"] for r in mine))
        for which in ("cold", "warm"):
            times = [r[which] for r in mine if which in r]
            row.append(median(times) if times else None)
        for which in ("cold", "warm"):
            ratios = [rows[solver][which] / min(row[which] for row in rows.values()) for rows in common]
            row.append(geometric_mean(ratios) if ratios else None)
        row.append(", ".join(r["problem"] for r in mine if not is_solved(r, best)) or "none")
        table.append(row)
    return table


def table(peers: bool) -> tuple[Sequence[str], list[list[object]], str]:
    """The table of all contestants."""
    solvers = [name for name in CONTESTANTS if is_there(name)] if peers else ["steepest"]
    RECORDS.parent.mkdir(exist_ok=True)
    RECORDS.unlink(missing_ok=True)
    pairs = [(name, solver) for name in problems() for solver in solvers]
    records = run_all(pairs, os.cpu_count() or 1, RECORDS, WORKER)
    return page(records)


def page(records: Sequence[Record]) -> tuple[Sequence[str], list[list[object]], str]:
    """The table of these records, and what else must be known to read it."""
    best = lowest(records)
    asked = sorted({r["problem"] for r in records}, key=_number)
    unmet = [name for name in asked if name not in best]
    bottomless = [name for name in asked if best.get(name, 0.0) < BOTTOMLESS]
    counted = [r for r in records if r["problem"] not in {*unmet, *bottomless}]
    note = f"{len(asked) - len(unmet) - len(bottomless)} problems."
    if bottomless:
        note += f" Left out, since the cost has no floor as the package writes it: {', '.join(bottomless)}."
    if unmet:
        note += f" Left out, since no run has found a feasible point: {', '.join(unmet)}."
    return HEADER, summary(counted, best), note


def main() -> int:
    """Run some contestants on some problems and print a line for each: for finding out what to mend."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.constraints", description=main.__doc__)
    parser.add_argument("names", nargs="*", help="problems; none for all")
    parser.add_argument("--solver", action="append", choices=list(CONTESTANTS))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="append each record to this file")
    asked = parser.parse_args()
    names = asked.names or problems()
    pairs = [(name, solver) for name in names for solver in asked.solver or ["steepest"]]
    records = run_all(pairs, asked.jobs, asked.keep, WORKER)
    best = lowest(records)
    for r in records:
        mark = "solved" if is_solved(r, best) else "MISSED"
        mark += " FALSE SUCCESS" if is_false_success(r, best) else ""
        mark += " false failure" if is_solved(r, best) and not r["claims"] else ""
        keys = ("cold", "warm", "cost", "violation", "unbalanced")
        numbers = " ".join(f"{key}={r[key]:.4g}" for key in keys if r.get(key) is not None)
        goal = best.get(r["problem"])
        told = r.get("told", "")[:230]
        sys.stdout.write(f"{r['problem']:<10}{r['solver']:<20}{mark} {numbers} best={goal} | {told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
