"""Training: speed of a step, cost without a learning rate, logistic regression, memory, several processes."""

from collections.abc import Iterator
from statistics import fmean
from typing import Any

from .processes import report
from .table import dated, markdown
from .training.memory import LAYERS, NUMBERS, compared, widths
from .training.rates import rows as rates
from .training.scaling import BATCH as BATCHES
from .training.throughput import MODELS

BATCH = {"mlp": 128, "convolution": 128, "transformer": 2}
# More than 200: the device has caught up with the rows of steps 100 and 200, and with no other.
STEPS = {"mlp": 300, "convolution": 240, "transformer": 240}
# Rows, columns, and nonzeros a row of a sparse matrix.
# On a quiet machine about one, five, ten and three minutes; the third holds 4 GB and wants as much again free.
LOGISTIC = ((50_000, 200, 0), (250_000, 500, 0), (1_000_000, 1_000, 0), (200_000, 20_000, 40))
# Parameters of full-batch L-BFGS; the second holds some 11 GB.
LARGE, VAST = 10_000_000, 100_000_000

# The CPU's clock and one core, so that what else the machine does weighs less; all threads of a process count.
SPEED = """
import json, os, sys, time
if sys.argv[5] != "0":
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[5])])
    time.perf_counter = time.process_time
from benchmarks.training.throughput import measure
name, batch, steps, rounds = sys.argv[1], *map(int, sys.argv[2:5])
print(json.dumps(measure(name, batch, steps, rounds)))
"""
REGRESSION = """
import json, sys
from benchmarks.training.logistic import measure
print(json.dumps(measure(*map(int, sys.argv[1:]))))
"""
BANDWIDTH = """
import json, sys
from benchmarks.training.on_gpu import bandwidth
print(json.dumps(bandwidth(int(sys.argv[1]))))
"""
SCALING = """
import json, sys
from benchmarks.training.scaling import measure
print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
"""
MEMORY = """
import json, sys
from benchmarks.training.memory import measure
print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
"""
MEMORY_COLUMNS = ("bytes", "unavoidable", "ratio", "besides")


def speed(rounds: int, cores: int) -> str:
    found = []
    for name in MODELS:
        arguments = [name, *map(str, (BATCH[name], STEPS[name], rounds, cores))]
        result = report(SPEED, *arguments)
        seconds, ratio = result["seconds"], result["ratio"]
        hand, torch = "JAX by hand", "PyTorch"
        found.append(
            [
                f"{name}, batch {BATCH[name]}",
                *(1e3 * seconds[loop] for loop in ("steepest", hand, torch)),
                ratio[hand],
                ratio[torch],
            ]
        )
    clock = f"CPU milliseconds on {cores} core(s)" if cores else "Milliseconds"
    note = (
        f"{clock}, medians over {rounds} rounds in which the loops take turns; the ratios are medians of those "
        "within a round, above 1 where steepest is ahead."
    )
    header = ["a step of Adam", "steepest", "JAX and optax by hand", "PyTorch, eager", "by hand ÷ steepest"]
    return "\n\n".join([markdown([*header, "PyTorch ÷ steepest"], found), note])


def rate(rounds: int, cores: int) -> str:
    header = ["task", "steps", "start", '`"auto"`', "Adam, best of 7 rates", "its rate", "Adam at 1e-3"]
    header += ["missing to the best, % of its fall", "method"]
    told = rates()
    found = [
        [
            row["task"],
            row["steps"],
            row["start"],
            row["auto"],
            row["best"],
            f"{row['rate']:.0e}",
            row["default"],
            100 * row["missing"],
            row["method"],
        ]
        for row in told
    ]
    missing = [100 * row["missing"] for row in told]
    note = (
        "Costs over all data after the same number of steps, from the same start on the same batches; Adam at constant "
        f'rates 1e-4 … 1e-1, √10 apart. What `"auto"` misses of the fall to the best is {fmean(missing):.2g} % on '
        f"average and {max(missing):.2g} % at the most, negative where it came lower; it came lower than the best on "
        f"{sum(row['auto'] < row['best'] for row in told)} of {len(told)}, and than Adam at its default rate on "
        f"{sum(row['auto'] < row['default'] for row in told)}. A falling rate is part of it: Adam's is constant here."
    )
    return "\n\n".join([markdown(header, found), note])


def logistic(rounds: int, cores: int) -> str:
    names = ["steepest l-bfgs", "steepest newton-cg"]
    names += [f"scikit-learn {solver}" for solver in ("lbfgs", "newton-cholesky", "saga")]
    found = []
    for rows, columns, nonzeros in LOGISTIC:
        result = report(REGRESSION, str(rows), str(columns), str(nonzeros))
        what = f"{rows:,} × {columns:,}" + (f", {nonzeros} nonzeros a row" if nonzeros else "")
        found.append([what, *("" if result.get(name) is None else result[name] for name in names)])
    note = (
        "Seconds of the processor on one core until the cost is within 1e-6 of the optimum, from a cold start, medians "
        "of three; tracing, and for steepest judging the end, included. Float32 data. Empty: not reached, or not tried."
    )
    return "\n\n".join([markdown(["rows × columns", *names], found), note])


def memory(rounds: int, cores: int) -> str:
    found = []
    for method in NUMBERS:
        result = compared(method, *(report(MEMORY, method, str(width)) for width in widths(method)))
        million = " and ".join(f"{1e-6 * LAYERS * width**2:g}" for width in widths(method))
        found.append([method, million, *result["MB"], *(result[name] for name in MEMORY_COLUMNS)])
    note = (
        "The most resident memory of a fresh process during a whole call, judging included, beyond what it held "
        "before, the caller's own parameters among it; 40 layers. Bytes a parameter: from one size to the other. What "
        "is besides does not grow with them: mostly the compiler's. Unavoidable: parameters and slope, Adam's two "
        "moments, in four bytes each; for L-BFGS the remembered pairs (10, and 7 in `minimize`), the point, the trial "
        "point, their slopes and the direction, in `minimize` in eight bytes."
    )
    header = [
        "method",
        "million parameters",
        "MB",
        "MB of the larger",
        "bytes a parameter",
        "unavoidable",
        "ratio",
        "MB besides",
    ]
    return "\n\n".join([markdown(header, found), note])


def bandwidth(rounds: int, cores: int) -> str:
    found = []
    for n in (LARGE, VAST):
        result = report(BANDWIDTH, str(n))
        found.append(
            [f"{n:,} parameters", result["ms"], result["bound ms"], result["ratio"], result["cost ms"]]
        )
    header = [
        "L-BFGS",
        "ms a step",
        "bytes touched at the speed of a copy",
        "ratio",
        "ms in the cost besides",
    ]
    return markdown(header, found) + "\n\nMilliseconds of the CPU, ten pairs in float32."


def scaling(rounds: int, cores: int) -> str:
    found = []
    for name in BATCHES:
        for row in report(SCALING, name, str(rounds)):
            found.append(
                [
                    f"{name}, batch {row['batch']:,}",
                    f"{row['processes']} runs apart" if row["apart"] else row["processes"],
                    row["cores"],
                    1e3 * row["wall"],
                    row["faster"],
                    1e3 * row["cpu"],
                    row["cpu faster"],
                    "" if row["apart"] else f"{row['cost']:.6f}",
                ]
            )
    header = ["a step of Adam", "processes", "cores", "ms", "times as fast", "CPU ms, all processes"]
    note = (
        "One process is held to one core, two to two. Milliseconds of the clock, CPU milliseconds of all processes "
        "together; both ratios are of rows a second, medians of those within a round. The last but one is how many "
        "times as fast as one process these would be with a core for each and no waiting: processes × CPU seconds a "
        "row of one ÷ CPU seconds a row of all. On a machine that does other things besides, it is the one to read. A "
        "batch twice as large gives each of two processes as many rows as one alone has. Two runs apart, each on half "
        "the batch, exchange nothing: what they come to is the most that this machine would give two processes."
    )
    return "\n\n".join([markdown([*header, "by CPU time", "cost reached"], found), note])


PARTS: dict[str, tuple[str, Any]] = {
    "speed": ("Speed of a step", speed),
    "rate": ("Without a learning rate", rate),
    "logistic": ("Logistic regression", logistic),
    "memory": ("Memory", memory),
    "scaling": ("One run on several processes", scaling),
    "bandwidth": ("L-BFGS against the memory's bandwidth", bandwidth),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "--part": {"nargs": "+", "choices": list(PARTS), "default": list(PARTS), "help": "some of the parts"},
    "--rounds": {"type": int, "default": 5, "help": "rounds in which the loops take turns"},
    "--cores": {
        "type": int,
        "default": 1,
        "help": "speed in CPU seconds on so many cores; 0: wall clock, all",
    },
}


def sections(peers: bool, part: list[str], rounds: int, cores: int) -> Iterator[tuple[str, str]]:
    """The title of each part and what it found, one after the other."""
    for name in part:
        title, measured = PARTS[name]
        yield title, f"{measured(rounds, cores)}\n\n{dated(f'train --part {name}')}"
