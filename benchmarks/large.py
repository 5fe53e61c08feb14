"""A million parameters: time, evaluations and peak memory to the same cost, in fresh processes."""

from functools import partial
from statistics import median
from typing import Any

from .processes import in_turn, report

PARAMETERS = 1_000_000
# Every process is run this many times, the solvers taking turns.
ROUNDS = 3

# What every measured process begins with; data are kept out of the measured time. The costs are written once,
# for whichever array module is handed in.
COMMON = """
import json, resource, sys, time
import numpy as np
n, name = int(sys.argv[1]), sys.argv[2]
rng = np.random.default_rng(0)
signal = np.sin(np.linspace(0.0, 60.0, n)) + 0.3 * rng.standard_normal(n)
first, second = rng.integers(0, n, n), rng.integers(0, n, n)
weight = rng.standard_normal(n)
label = np.where(rng.random(n) < 1.0 / (1.0 + np.exp(-weight)), 1.0, -1.0)

def least_squares(xp):
    def cost(x):
        return xp.sum((x - signal) ** 2) + 50.0 * xp.sum((x[1:] - x[:-1]) ** 2)
    return cost

def logistic(xp):
    def cost(w):
        margin = label * (weight * w[first] + 0.5 * w[second])
        return xp.sum(xp.logaddexp(0.0, -margin)) + 0.005 * xp.sum(w ** 2)
    return cost

family = {"least squares": least_squares, "logistic": logistic}[name]
start = np.zeros(n)
"""

OURS = """
import steepest, jax
begin = time.perf_counter()
result = steepest.minimize(family(np), start)
total = time.perf_counter() - begin
trace = [[result.timing["trace"] + s, v, int(e)]
         for s, v, e in zip(result.history.seconds, result.history.value, result.history.evaluations)]
x = result.x
"""

SCIPY = """
import jax, jax.numpy as jnp
from scipy.optimize import minimize
jax.config.update("jax_enable_x64", True)
value_and_gradient = jax.jit(jax.value_and_grad(family(jnp)))
trace = []
def oracle(x):
    value, gradient = value_and_gradient(x)
    value, gradient = float(value), np.asarray(gradient)
    trace.append([time.perf_counter() - begin, value, len(trace) + 1])
    return value, gradient
begin = time.perf_counter()
x = minimize(oracle, start, jac=True, method="L-BFGS-B", options=OPTIONS).x
total = time.perf_counter() - begin
"""

MEASURE = """
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"trace": trace, "total": total, "peak": peak, "cost": float(family(np)(np.asarray(x)))}))
"""

TIGHT = '{"ftol": 1e-14, "gtol": 1e-8, "maxiter": 1000, "maxfun": 2000}'
PEERS = {
    "SciPy L-BFGS-B, jitted JAX gradient": SCIPY.replace("OPTIONS", "None"),
    "the same, ftol 1e-14, gtol 1e-8": SCIPY.replace("OPTIONS", TIGHT),
}

# Parts of the decrease from the start to the lowest cost anybody found that may still be missing.
GAPS = (1e-4, 1e-8)


def table(peers: bool) -> tuple[list[str], list[list[object]], str]:
    """Seconds and evaluations until the cost is within each gap of the lowest found, total time and memory."""
    solvers = {"steepest.minimize": OURS} | (PEERS if peers else {})
    rows: list[list[object]] = []
    for problem in ("least squares", "logistic"):
        measured = in_turn(
            {
                name: partial(report, COMMON + program + MEASURE, str(PARAMETERS), problem)
                for name, program in solvers.items()
            },
            ROUNDS,
        )
        lowest = min(run["cost"] for runs in measured.values() for run in runs)
        start = measured["steepest.minimize"][0]["trace"][0][1]
        for name, runs in measured.items():
            reached = [_reached(runs, lowest + gap * (start - lowest)) for gap in GAPS]
            rows.append(
                [
                    problem,
                    name,
                    *(entry for pair in reached for entry in pair),
                    f"{median(run['total'] for run in runs):.2f}",
                    f"{(max(run['cost'] for run in runs) - lowest) / (start - lowest):.0e}",
                    f"{median(run['peak'] for run in runs):.0f}",
                ]
            )
    header = ["cost", "solver"]
    for gap in GAPS:
        header += [f"s to {gap:.0e}", f"evaluations to {gap:.0e}"]
    header += ["s in all", "gap at the end", "peak MB"]
    note = (
        f"{PARAMETERS:,} parameters; medians over {ROUNDS} fresh processes each, the solvers taking turns; "
        "imports and data not timed, tracing and compiling timed. Gaps are parts of the whole decrease from the "
        "start (all zeros) to the lowest cost any of them found; a dash means never reached. Steepest's time in "
        "all includes judging the answer. Least squares: a noisy signal smoothed by chained differences. "
        "Logistic: a million examples of two gathered features, with a ridge."
    )
    return header, rows, note


def _reached(runs: list[Any], cost: float) -> tuple[str, str]:
    """Median seconds, and evaluations, until the traces of the runs first are at or below `cost`."""
    firsts = [next((entry for entry in run["trace"] if entry[1] <= cost), None) for run in runs]
    found = [entry for entry in firsts if entry is not None]
    if len(found) < len(runs):
        return "-", "-"
    return f"{median(entry[0] for entry in found):.2f}", f"{median(int(entry[2]) for entry in found):.0f}"
