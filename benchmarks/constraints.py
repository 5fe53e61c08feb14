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

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import contest, sif
from .constrained_contestants import CONTESTANTS
from .contest import TIMES, Judge, Record, run_all
from .contestants import is_there

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

HEADER = (
    "solver",
    "solved %",
    "stationary %",
    "feasible %",
    "false success",
    "false failure",
    *TIMES,
    "not solved",
)


def problems() -> list[str]:
    """The Hock-Schittkowski problems with constraints, by name."""
    listed = {*sif.names("_constrained_minimisation"), *sif.names("_quadratic_problems")}
    return sorted((name for name in listed if re.match(r"HS\d", name)), key=_number)


def _number(name: str) -> tuple[int, str]:
    return int(re.findall(r"\d+", name)[0]), name


def judged(records: Iterable[Record]) -> Judge:
    """By the lowest cost of each problem, of these records and of every run before, kept for the next.

    The file holds, for each problem, which of `LIMITS` the run kept and its cost.
    """
    known: dict[str, list[float]] = contest.known(LOWEST)
    for record in records:
        if is_feasible(record) and record["cost"] == record["cost"]:
            kept = next(k for k, limit in enumerate(LIMITS) if record["violation"] <= limit)
            found = [kept, record["cost"]]
            known[record["problem"]] = min(found, known.get(record["problem"], found))
    contest.remember(LOWEST, known, _number)
    return Judge({name: cost for name, (_, cost) in known.items()}, is_feasible, "unbalanced")


def is_feasible(record: Record) -> bool:
    """Whether nothing is violated at the end point; a contestant without one has not got there."""
    return record.get("cost") is not None and bool(record["violation"] <= FEASIBLE)


def summary(records: Sequence[Record], judge: Judge) -> list[list[object]]:
    """A row for each solver."""
    times = contest.times(records, judge)
    table = []
    for solver, mine in contest.by_solver(records).items():
        shares = [
            round(100.0 * sum(map(of, mine)) / len(mine), 1)
            for of in (judge.is_solved, judge.is_stationary, is_feasible)
        ]
        false = [sum(map(of, mine)) for of in (judge.is_false_success, judge.is_false_failure)]
        missed = ", ".join(r["problem"] for r in mine if not judge.is_solved(r)) or "none"
        table.append([f"{solver} ({len(mine)})", *shares, *false, *times[solver], missed])
    return table


def table(peers: bool) -> tuple[Sequence[str], list[list[object]], str]:
    """The table of all contestants."""
    solvers = [name for name in CONTESTANTS if is_there(name)] if peers else ["steepest"]
    RECORDS.parent.mkdir(exist_ok=True)
    RECORDS.unlink(missing_ok=True)
    pairs = [(name, solver) for name in problems() for solver in solvers]
    records = run_all(pairs, os.cpu_count() or 1, WORKER, RECORDS)
    return page(records)


def page(records: Sequence[Record]) -> tuple[Sequence[str], list[list[object]], str]:
    """The table of these records, and what else must be known to read it."""
    judge = judged(records)
    best = judge.lowest
    asked = sorted({r["problem"] for r in records}, key=_number)
    unmet = [name for name in asked if name not in best]
    bottomless = [name for name in asked if best.get(name, 0.0) < BOTTOMLESS]
    counted = [r for r in records if r["problem"] not in {*unmet, *bottomless}]
    note = f"{len(asked) - len(unmet) - len(bottomless)} problems."
    if bottomless:
        note += f" Left out, since the cost has no floor as the package writes it: {', '.join(bottomless)}."
    if unmet:
        note += f" Left out, since no run has found a feasible point: {', '.join(unmet)}."
    return HEADER, summary(counted, judge), note


def main() -> int:
    """Run some contestants on some problems and print a line for each: for finding out what to mend."""
    parser = contest.parser("constraints", main.__doc__, list(CONTESTANTS))
    asked = parser.parse_args()
    return contest.tried(asked, contest.chosen(parser, asked.names, problems()), WORKER, judged)


if __name__ == "__main__":
    sys.exit(main())
