"""From call to answer on Rosenbrock's valley: cold in a fresh process, imports not counted, and warm."""

from statistics import median

from .processes import in_turn, report

# Fresh processes for each solver and size.
PROCESSES = 9
# Calls after the first in the same process, from starts near the standard one.
WARM_CALLS = 30
SIZES = (2, 10)

# What every measured process begins with. The cost is plain NumPy for those that take NumPy.
COMMON = """
import json, statistics, sys, time
import numpy as np
n, warm_calls = int(sys.argv[1]), int(sys.argv[2])
# From the paper's start the longer chain leads into a local minimum; this one, SciPy's tutorial's, does not.
standard = np.array([-1.2, 1.0]) if n == 2 else np.tile([1.3, 0.7, 0.8, 1.9, 1.2], n // 5)
rng = np.random.default_rng(0)
starts = [standard] + [standard + 0.1 * rng.standard_normal(n) for _ in range(warm_calls)]

def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

def gradient_by_hand(x):
    valley = x[1:] - x[:-1] ** 2
    g = np.zeros_like(x)
    g[:-1] = -400 * x[:-1] * valley - 2 * (1 - x[:-1])
    g[1:] += 200 * valley
    return g
"""

# What the imports left behind is collected before: it takes 65 ms, and whose call it falls into is chance.
MEASURE = """
import gc
gc.collect()
times, costs = [], []
for start in starts:
    begin = time.perf_counter()
    x = solve(start)
    times.append(time.perf_counter() - begin)
    costs.append(float(rosenbrock(np.asarray(x))))
print(json.dumps({"cold": times[0], "warm": statistics.median(times[1:]), "cost": costs[0],
                  "worst": max(costs)}))
"""

OURS = {
    "steepest.minimize": """
import importlib, pkgutil, jax.numpy, scipy.special, steepest
for module in pkgutil.walk_packages(steepest.__path__, "steepest."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
def solve(start):
    return steepest.minimize(rosenbrock, start).x
""",
}
PEERS = {
    "SciPy BFGS, finite differences": """
from scipy.optimize import minimize
def solve(start):
    return minimize(rosenbrock, start, method="BFGS").x
""",
    "SciPy BFGS, gradient by hand": """
from scipy.optimize import minimize
def solve(start):
    return minimize(rosenbrock, start, method="BFGS", jac=gradient_by_hand).x
""",
    "SciPy BFGS, jitted JAX gradient": """
import jax, jax.numpy as jnp
from scipy.optimize import minimize
jax.config.update("jax_enable_x64", True)
def traced(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
value_and_gradient = jax.jit(jax.value_and_grad(traced))
def oracle(x):
    value, gradient = value_and_gradient(x)
    return float(value), np.asarray(gradient)
def solve(start):
    return minimize(oracle, start, method="BFGS", jac=True).x
""",
    "optimistix BFGS": """
import jax, jax.numpy as jnp, optimistix
jax.config.update("jax_enable_x64", True)
def traced(x, args):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
solver = optimistix.BFGS(rtol=1e-8, atol=1e-8)
def solve(start):
    answer = optimistix.minimise(traced, solver, jnp.asarray(start), max_steps=1000, throw=False)
    return np.asarray(answer.value)
""",
}


def table(peers: bool) -> tuple[list[str], list[list[object]], str]:
    """Median times from call to answer of each solver and size, and their ratios to ours."""
    solvers = OURS | (PEERS if peers else {})
    rows: list[list[object]] = []
    for n in SIZES:
        measurements = {
            name: (lambda setup=setup, n=n: report(COMMON + setup + MEASURE, str(n), str(WARM_CALLS)))
            for name, setup in solvers.items()
        }
        results = in_turn(measurements, PROCESSES)
        of = {
            name: {key: median(run[key] for run in runs) for key in ("cold", "warm", "cost", "worst")}
            for name, runs in results.items()
        }
        ours = of["steepest.minimize"]
        rows += [
            [
                n,
                name,
                *(1e3 * it["cold"], it["cold"] / ours["cold"]),
                *(1e3 * it["warm"], it["warm"] / ours["warm"]),
            ]
            + [f"{it['cost']:.0e}", f"{it['worst']:.0e}"]
            for name, it in of.items()
        ]
    header = [
        "n",
        "solver",
        "cold ms",
        "cold ÷ ours",
        "warm ms",
        "warm ÷ ours",
        "cost reached",
        "highest, warm",
    ]
    note = (
        f"Cold: the first call in a fresh process that has imported all it needs; median over {PROCESSES} "
        f"processes, the solvers taking turns. Warm: median of the {WARM_CALLS} calls after it, each from "
        "another start near the first. Defaults throughout; optimistix at tolerance 1e-8. Above 1 in a ratio: "
        "slower than steepest. Costs are computed afresh at the answers; the minimum costs 0. "
        "The first start is (-1.2, 1) for n = 2 and (1.3, 0.7, 0.8, 1.9, 1.2, ...) for n = 10."
    )
    return header, rows, note
