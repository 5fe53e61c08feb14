"""Published collections of minimisations: solved, honest and quick, with defaults only, beside the peers.

Problems of Moré, Garbow & Hillstrom (1981), Andrei (2008), MINPACK-2, and of the kinds they leave out, with 2 to 10,000
parameters; formulas and sources stand in `benchmarks/collected`. Every contestant gets a JAX function of float64, the
start and the bounds, and 10 seconds of one core from there to its answer, tracing and compiling included; `warm` is the
same solve again. Cost and projected slope at the end are computed by JAX. *Gap*: how far the cost lies above the lowest
cost f that any run ever found, or that its paper prints where that is lower still, in parts of max(1, |f|). *Solved*: a
gap of at most 1e-6. *Stationary*: projected slope at most 1e-4·max(1, |f|). *False success*: claims success, not
solved, projected slope above 1e-3·max(1, |f|). *False failure*: solved, but claims failure; a cost that sinks towards a
limit no point reaches is counted there, too, when the limit is reached to 1e-6. A point more than 1e-7 outside its
bounds, in parts of max(1, |bound|), is neither solved nor stationary. *×*: geometric mean, over problems that all
solved, of the seconds over the fastest contestant's. Problems without a floor are run and not counted.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import contest, cutest
from .collected import PROBLEMS, TABLES
from .contest import Judge, Record, run_all
from .contestants import is_there
from .cutest import HEADER, counted, summary

HERE = Path(__file__).parent
# The lowest cost of each problem that any run found so far; a run that finds a lower one writes it here.
LOWEST = HERE / "collection_lowest.json"
RECORDS = HERE / "results" / "collection.jsonl"
WORKER = "benchmarks.collection_worker"

# Those that only take costs without bounds, and those that take both.
FREE_PEERS, PEERS = ("optimistix L-BFGS (1e-8)",), ("SciPy L-BFGS-B", "SciPy L-BFGS-B, tightened")
# A printed minimum counts where it is lower by more than its digits leave open.
DIGITS = 1e-5

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "--keep": {"type": Path, "help": "append each record to this file; what it holds is not measured again"},
    "--jobs": {"type": int, "default": os.cpu_count() or 1, "help": "how many at a time"},
}


def groups() -> dict[str, list[str]]:
    """The names under each title of the page; those between bounds under one of their own."""
    found = {title: [name for name, p in table.items() if p.lower is None] for title, table in TABLES.items()}
    found["between bounds"] = [name for name, p in PROBLEMS.items() if p.lower is not None]
    return found


def judged(records: Iterable[Record]) -> Judge:
    """By the lowest cost of each problem that any run found, or its paper prints."""
    judge = cutest.judged(records, LOWEST)
    lowest = dict(judge.lowest)
    for name, problem in PROBLEMS.items():
        printed, found = problem.minimum, lowest.get(name)
        if printed is not None and (found is None or printed < found - DIGITS * max(1.0, abs(found))):
            lowest[name] = printed
    return Judge(lowest, judge.keeps, judge.slope)


def table(
    peers: bool, keep: Path | None = None, jobs: int = 1
) -> tuple[Sequence[str], list[list[object]], str]:
    """The table of all contestants."""
    if keep is None:
        RECORDS.unlink(missing_ok=True)
    records = measured(pairs_of(peers), keep or RECORDS, jobs)
    judge = judged(records)
    rows: list[list[object]] = []
    for title, names in groups().items():
        mine = [r for r in records if r["problem"] in names]
        rows += [[f"**{title}**", *[None] * (len(HEADER) - 1)], *summary(mine, judge)]
    notes = [told(records, judge), contest.of_all_it_solved(records, judge) if peers else ""]
    return HEADER, rows, " ".join([*filter(None, notes), contest.arrangement(jobs)])


def pairs_of(peers: bool) -> list[tuple[str, str]]:
    """(problem, solver) of all that run."""
    pairs = [(name, "steepest") for name in PROBLEMS]
    for solver in (*FREE_PEERS, *PEERS) if peers else ():
        if is_there(solver):
            pairs += [(name, solver) for name, p in PROBLEMS.items() if solver in PEERS or p.lower is None]
    return pairs


def measured(pairs: Sequence[tuple[str, str]], keep: Path, jobs: int) -> list[Record]:
    """The records of all pairs: those that `keep` holds, and the others measured and added to it."""
    keep.parent.mkdir(exist_ok=True)
    lines = keep.read_text(encoding="utf-8").splitlines() if keep.exists() else []
    before = {(r["problem"], r["solver"]): r for r in map(json.loads, lines)}
    new = run_all([pair for pair in pairs if pair not in before], jobs, WORKER, keep)
    before |= {(r["problem"], r["solver"]): r for r in new}
    return [before[pair] for pair in pairs]


def gap(record: Record, judge: Judge) -> float:
    """How far its cost lies above the lowest, in parts of the lowest's size.

    >>> gap({"problem": "P", "cost": -198.0}, Judge({"P": -200.0}, lambda record: True, "slope"))
    0.01
    """
    cost, lowest = record.get("cost"), judge.lowest.get(record["problem"])
    return math.inf if cost is None or lowest is None else float(cost - lowest) / max(1.0, abs(lowest))


def told(records: Sequence[Record], judge: Judge) -> str:
    """Which problems steepest misses and where its claims are false."""
    mine = [r for r in counted(records, judge) if r["solver"] == "steepest"]
    missed = [f"{r['problem']} (gap {gap(r, judge):.2g})" for r in mine if not judge.is_solved(r)]
    false = [[r["problem"] for r in mine if of(r)] for of in (judge.is_false_success, judge.is_false_failure)]
    lines = zip(("Not solved", "False success", "False failure"), (missed, *false), strict=True)
    return " ".join(f"{what} by steepest: {', '.join(names) or 'none'}." for what, names in lines)


def main() -> int:
    """Run some contestants on some problems and print a line for each: for finding out what to mend."""
    parser = contest.parser("collection", main.__doc__)
    asked = parser.parse_args()
    return contest.tried(asked, contest.chosen(parser, asked.names, PROBLEMS), WORKER, judged)


if __name__ == "__main__":
    sys.exit(main())
