"""Training: speed of a step, cost without a learning rate, logistic regression, L-BFGS against the memory."""

from functools import partial

from .processes import in_turn, report
from .training.rates import rows as rates
from .training.throughput import MODELS

BATCH = {"mlp": 128, "convolution": 128, "transformer": 8}
STEPS = {"mlp": 400, "convolution": 400, "transformer": 24}
ROUNDS = 3
LOGISTIC = (100_000, 500)
LARGE = 10_000_000

SPEED = """
import json, sys
from benchmarks.training.throughput import measure
name, batch, steps, rounds = sys.argv[1], *map(int, sys.argv[2:])
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


def table(peers: bool) -> tuple[list[str], list[list[object]], str]:
    """One row for each thing measured: ours, the other's, and how many times ours the other's is."""
    found: list[list[object]] = []
    for name in MODELS:
        arguments = [name, str(BATCH[name]), str(STEPS[name]), str(ROUNDS)]
        result = in_turn({name: partial(report, SPEED, *arguments)}, 1)[name][0]
        for loop in ("JAX by hand", "PyTorch"):
            what = f"ms a step, {name}, batch {BATCH[name]}, Adam"
            ours, other = 1e3 * result["seconds"]["steepest"], 1e3 * result["seconds"][loop]
            found.append([what, ours, loop, other, result["ratio"][loop]])
    for row in rates():
        what = f"cost reached, {row['task']}"
        found.append(
            [
                what,
                row["auto"],
                f"Adam, best of 7 rates ({row['rate']:.0e})",
                row["best"],
                row["best"] / row["auto"],
            ]
        )
        found.append([what, row["auto"], "Adam at 1e-3", row["default"], row["default"] / row["auto"]])
    if peers:
        result = report(REGRESSION, *map(str, LOGISTIC))
        for key, seconds in result.items():
            if key.startswith("scikit"):
                ours = result["steepest l-bfgs"]
                what = f"s to 1e-6, logistic, {LOGISTIC[0]:,} × {LOGISTIC[1]}"
                found.append([what, ours, key, seconds, seconds / ours if seconds and ours else None])
    result = report(BANDWIDTH, str(LARGE))
    found.append(
        [
            f"ms a step, L-BFGS, {LARGE:,} parameters",
            result["ms"],
            "bytes touched at the speed of a copy",
            result["bound ms"],
            1 / result["ratio"],
        ]
    )
    note = (
        "The last column is the other's number over ours: above 1 ours is ahead. Steps: medians over "
        f"{ROUNDS} rounds in which the loops take turns. Costs: over all data after the same number of steps."
    )
    return ["measured", "steepest", "beside", "its", "times"], found, note
