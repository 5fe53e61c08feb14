"""CUTEst in JAX (`sif2jax`), development half: solved, honest and quick, with defaults only, beside the peers.

Every contestant gets a flat JAX function of float64, the start and the bounds, and 10 seconds of one core from there
to its answer, tracing and compiling included; `warm` is the same solve again. Cost and projected slope at the end are
computed by JAX. *Solved*: within 1e-6·max(1, |f|) of the lowest cost f that any run ever found. *Stationary*: projected
slope at most 1e-4·max(1, |f|). *False success*: claims success, not solved, projected slope above 1e-3·max(1, |f|).
*False failure*: solved, but claims failure. A point more than 1e-7 outside its bounds, in parts of max(1, |bound|), is
neither solved nor stationary: IPOPT moves bounds outwards by 1e-8 itself. *×*: geometric mean, over problems that all
solved, of the seconds over the fastest contestant's.
"""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median

from . import contest
from .contest import TIMES, Judge, Record, run_all
from .contestants import BOUNDED, UNCONSTRAINED, is_there

HERE = Path(__file__).parent
LIST = HERE / "cutest_dev.txt"
# The lowest cost of each problem that any run found so far; a run that finds a lower one writes it here.
LOWEST = HERE / "cutest_lowest.json"
PICTURE = HERE / "results" / "cutest.svg"
RECORDS = HERE / "results" / "cutest.jsonl"
WORKER = "benchmarks.cutest_worker"

# A cost below this is of a problem without a minimum, which does not count.
BOTTOMLESS = -1e20
# A point this far outside its bounds, in parts of their size, has left them. IPOPT moves them outwards by 1e-8 itself.
OUTSIDE = 1e-7

HEADER = (
    "solver",
    "solved %",
    "stationary %",
    "false success %",
    "false failure %",
    "median evaluations",
    *TIMES,
    "outside bounds",
)


def problems() -> dict[str, tuple[str, int]]:
    """Name to kind ("unconstrained" or "bounded") and number of parameters."""
    lines = [line.split("\t") for line in LIST.read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    return {name: (kind, int(n)) for name, kind, n in (line for line in lines if len(line) == 3)}


def judged(records: Iterable[Record], file: Path | None = None) -> Judge:
    """By the lowest cost of each problem, of these records and of every run before, kept in `file` for the next.

    A point ever so little outside its bounds can be lower than all inside them, and does not count for that.
    """
    file = file or LOWEST
    lowest = contest.known(file)
    for record in records:
        cost = record.get("cost")
        if cost is not None and cost == cost and record.get("outside", 0.0) == 0.0:
            lowest[record["problem"]] = min(cost, lowest.get(record["problem"], cost))
    contest.remember(file, lowest)
    return Judge(lowest, keeps_bounds, "slope")


def keeps_bounds(record: Record) -> bool:
    """Whether there is an end point, and it lies inside its bounds."""
    return record.get("cost") is not None and bool(record.get("outside", 0.0) <= OUTSIDE)


def counted(records: Iterable[Record], judge: Judge) -> list[Record]:
    """Those of problems with a minimum."""
    return [r for r in records if judge.lowest.get(r["problem"], 0.0) > BOTTOMLESS]


def summary(records: Sequence[Record], judge: Judge) -> list[list[object]]:
    """A row for each solver."""
    records = counted(records, judge)
    times = contest.times(records, judge)
    table = []
    for solver, mine in contest.by_solver(records).items():
        shares = [
            round(100.0 * sum(map(of, mine)) / len(mine), 1)
            for of in (judge.is_solved, judge.is_stationary, judge.is_false_success, judge.is_false_failure)
        ]
        counts = [r["evaluations"] for r in mine if r.get("evaluations") is not None]
        outside = sum(r.get("outside", 0.0) > OUTSIDE for r in mine)
        evaluations = median(counts) if counts else None
        table.append([f"{solver} ({len(mine)})", *shares, evaluations, *times[solver], outside])
    return table


def table(peers: bool) -> tuple[Sequence[str], list[list[object]], str]:
    """The table of all contestants; draws the profile beside it."""
    listed, jobs = problems(), os.cpu_count() or 1
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
        records = run_all(pairs, jobs, WORKER, RECORDS)
        judge = judged(records)
        everything[kind] = (records, judge)
        rows += [[f"**{kind}**", *[None] * (len(HEADER) - 1)], *summary(records, judge)]
        mine = [r for r in counted(records, judge) if r["solver"] == "steepest"]
        misses = [r["problem"] for r in mine if not judge.is_solved(r)]
        notes.append(f"Not solved by steepest, {kind}: {', '.join(misses) or 'none'}.")
        if peers:
            notes.append(contest.of_all_it_solved(counted(records, judge), judge))
    profile(everything)
    notes.append(contest.arrangement(jobs))
    return HEADER, rows, " ".join(notes) + f"\n\n![Share solved within a time]({PICTURE.name})"


def profile(everything: Mapping[str, tuple[Sequence[Record], Judge]]) -> None:
    """Performance profiles (Dolan & Moré, Math. Program. 91, 2002): share solved within a factor of the fastest."""
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    # A solver looks the same in every panel.
    looks = {
        solver: k
        for k, solver in enumerate(contest.by_solver(r for rs, _ in everything.values() for r in rs))
    }
    figure, axes = plt.subplots(1, len(everything), figsize=(10, 4), sharey=True, layout="constrained")
    for ax, (kind, (records, judge)) in zip(axes, everything.items(), strict=True):
        with_minimum = counted(records, judge)
        number = len({r["problem"] for r in with_minimum})
        times = {(r["problem"], r["solver"]): r["cold"] for r in with_minimum if judge.is_solved(r)}
        fastest: dict[str, float] = {}
        for (problem, _), seconds in times.items():
            fastest[problem] = min(seconds, fastest.get(problem, seconds))
        styles = ["-", "--", "-.", ":"]
        for solver in contest.by_solver(with_minimum):
            ratios = sorted(
                seconds / fastest[problem] for (problem, who), seconds in times.items() if who == solver
            )
            heights = [100.0 * (k + 1) / number for k in range(len(ratios))]
            ax.step(
                [*ratios, 1e3],
                [*heights, heights[-1] if heights else 0.0],
                styles[looks[solver] % 4],
                where="post",
                label=solver,
                color=f"C{looks[solver]}",
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
    parser = contest.parser("cutest", main.__doc__)
    parser.add_argument("--kind", choices=("unconstrained", "bounded"))
    asked = parser.parse_args()
    listed = [name for name, (kind, _) in problems().items() if asked.kind in (None, kind)]
    return contest.tried(asked, contest.chosen(parser, asked.names, listed), WORKER, judged)


if __name__ == "__main__":
    sys.exit(main())
