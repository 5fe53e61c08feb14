"""From a thousand parameters to ten million: time, evaluations and peak memory to the same cost, in fresh processes."""

import importlib.util
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from .processes import report

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
# From this many parameters on, one run says enough.
ONCE = 100_000
# From this many on, those that hold the fewest vectors: others need more memory than most machines have.
VAST = 10_000_000
AT_THE_VAST = ("SciPy L-BFGS-B, jitted JAX gradient", "SciPy trust-krylov, jitted products")
# A process is killed after this many times its limit in CPU seconds, with this many besides: some compiled loops cannot
# be broken off from inside, and time to import, to compile and to judge comes on top of the walk.
KILLED, BESIDES = 2.0, 30

COSTS = (
    "chained Rosenbrock",
    "Broyden tridiagonal",
    "minimal surface",
    "smoothing",
    "logistic regression",
    "matrix factorisation",
    "net of poses",
    "bundle of points",
)

# The lowest cost where mathematics knows it; of the others the lowest that any run found stands in.
LOWEST = {"chained Rosenbrock": 0.0, "Broyden tridiagonal": 0.0}

OPTIONS: dict[str, dict[str, Any]] = {
    "--sizes": {"type": int, "nargs": "+", "default": SIZES, "help": "numbers of parameters"},
    "--costs": {"nargs": "+", "choices": COSTS, "default": COSTS, "help": "some of the costs"},
    "--solvers": {"nargs": "+", "help": "some of the solvers, by the beginnings of their names"},
    "--rounds": {"type": int, "default": 3, "help": f"processes for each, below {ONCE:,} parameters"},
    "--limit": {"type": float, "default": 120.0, "help": "CPU seconds after which a walk is broken off"},
    "--keep": {
        "type": Path,
        "help": "a file of records: what it holds is not measured again, what is measured is added, and the page shows "
        "all that it holds then, whatever sizes and costs were asked for",
    },
    "--again": {"action": "store_true", "help": "measure also what is kept; the later record counts"},
    "--seconds": {
        "type": float,
        "help": "seconds on the clock after which no further process is begun; 0: only make the page of what is kept",
    },
}

# What every measured process begins with; data are kept out of the measured time. Its clock is the CPU's, so that what
# else the machine does weighs less; all threads of a process count. The costs are written once, for whichever array
# module is handed in.
COMMON = """
import json, resource, sys, time
time.perf_counter = time.process_time
import numpy as np
n, name, limit, killed = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_CPU, (killed, killed))
rng = np.random.default_rng(0)
start = np.zeros(n)

if name == "chained Rosenbrock":
    start = np.where(np.arange(n) % 2 == 0, -1.2, 1.0)
    def family(xp):
        return lambda x: xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)
elif name == "Broyden tridiagonal":
    start = np.full(n, -1.0)
    zero = np.zeros(1)
    def family(xp):
        def cost(x):
            before, after = xp.concatenate([zero, x[:-1]]), xp.concatenate([x[1:], zero])
            return xp.sum(((3.0 - 2.0 * x) * x - before - 2.0 * after + 1.0) ** 2)
        return cost
elif name == "minimal surface":
    k = int(round(n ** 0.5))
    n = k * k
    start = np.zeros(n)
    t = np.linspace(0.0, 1.0, k + 2)
    rim = np.zeros((k + 2, k + 2))
    rim[0], rim[-1], rim[:, 0], rim[:, -1] = t * (1 - t), -t * (1 - t), np.sin(np.pi * t), np.sin(np.pi * t)
    def family(xp):
        def cost(x):
            inner = xp.reshape(x, (k, k))
            middle = xp.concatenate([rim[1:-1, :1], inner, rim[1:-1, -1:]], axis=1)
            u = xp.concatenate([rim[:1], middle, rim[-1:]], axis=0)
            one, other = u[1:, 1:] - u[:-1, :-1], u[1:, :-1] - u[:-1, 1:]
            return xp.sum(xp.sqrt(1.0 + 0.5 * (k + 1) ** 2 * (one ** 2 + other ** 2))) / (k + 1) ** 2
        return cost
elif name == "smoothing":
    signal_ = np.sin(np.linspace(0.0, 60.0, n)) + 0.3 * rng.standard_normal(n)
    def family(xp):
        return lambda x: xp.sum((x - signal_) ** 2) + 50.0 * xp.sum((x[1:] - x[:-1]) ** 2)
elif name == "logistic regression":
    first, second = rng.integers(0, n, n), rng.integers(0, n, n)
    weight = rng.standard_normal(n)
    label = np.where(rng.random(n) < 1.0 / (1.0 + np.exp(-weight)), 1.0, -1.0)
    def family(xp):
        def cost(w):
            margin = label * (weight * w[first] + 0.5 * w[second])
            return xp.sum(xp.logaddexp(0.0, -margin)) + 0.005 * xp.sum(w ** 2)
        return cost
elif name == "net of poses":
    poses = n // 3
    n = 3 * poses
    turn = np.cumsum(rng.normal(0.0, 0.3, poses))
    truth = np.stack([*np.cumsum(np.stack([np.cos(turn), np.sin(turn)]), axis=1), turn], axis=1)
    across = rng.integers(0, poses - 2, poses // 2)
    one = np.concatenate([np.arange(poses - 1), across])
    other = np.concatenate([np.arange(1, poses), np.minimum(across + rng.integers(2, 100, across.size), poses - 1)])
    def from_each_other(xp, p):
        away, c, s = p[other] - p[one], xp.cos(p[one, 2]), xp.sin(p[one, 2])
        return c * away[:, 0] + s * away[:, 1], c * away[:, 1] - s * away[:, 0], away[:, 2]
    seen = [part + 0.02 * rng.standard_normal(one.size) for part in from_each_other(np, truth)]
    walked = np.zeros((poses, 3))  # the start: step upon step, without the loops
    walked[0] = truth[0]
    for k in range(poses - 1):
        c, s = np.cos(walked[k, 2]), np.sin(walked[k, 2])
        ahead, aside, turned = (part[k] for part in seen)
        walked[k + 1] = walked[k] + [c * ahead - s * aside, s * ahead + c * aside, turned]
    start = walked.ravel()
    def family(xp):
        def cost(x):
            p = xp.reshape(x, (poses, 3))
            ahead, aside, turned = from_each_other(xp, p)
            off = xp.sin(turned - seen[2]), xp.cos(turned - seen[2])
            return 2500.0 * (xp.sum((ahead - seen[0]) ** 2) + xp.sum((aside - seen[1]) ** 2)
                             + xp.sum(xp.arctan2(*off) ** 2) + xp.sum((p[0] - truth[0]) ** 2))
        return cost
elif name == "bundle of points":
    cameras = n // 60
    points = 3 * n // 10
    n = 6 * cameras + 3 * points
    where = np.sort(rng.uniform(0.0, cameras, points))
    world = np.stack([where, rng.normal(0.0, 1.0, points), rng.normal(6.0, 1.0, points)], axis=1)
    eyes = np.stack([np.arange(cameras) + 0.5, *rng.normal(0.0, 0.2, (2, cameras))], axis=1)
    tilts = rng.normal(0.0, 0.1, (cameras, 3))
    point = np.repeat(np.arange(points), 6)
    camera = np.clip(where[point].astype(int) + np.tile(np.arange(-3, 3), points), 0, cameras - 1)
    def images(xp, eyes, tilts, world):
        angle = xp.sqrt(xp.sum(tilts ** 2, axis=1) + 1e-16)[:, None]
        axis, away = (tilts / angle)[camera], world[point] - eyes[camera]
        c, s = xp.cos(angle)[camera], xp.sin(angle)[camera]
        turned = away * c + xp.cross(axis, away) * s + axis * xp.sum(axis * away, axis=1)[:, None] * (1.0 - c)
        return 500.0 * turned[:, :2] / turned[:, 2:]
    seen = images(np, eyes, tilts, world) + 0.5 * rng.standard_normal((point.size, 2))
    known = np.concatenate([eyes[:2].ravel(), tilts[:2].ravel()])
    start = np.concatenate([part.ravel() for part in (eyes, tilts, world)])
    start = start + np.concatenate([0.05 * rng.standard_normal(6 * cameras), 0.1 * rng.standard_normal(3 * points)])
    def family(xp):
        def cost(x):
            eyes, tilts = (xp.reshape(part, (cameras, 3)) for part in (x[: 3 * cameras], x[3 * cameras : 6 * cameras]))
            off = images(xp, eyes, tilts, xp.reshape(x[6 * cameras :], (points, 3))) - seen
            held = xp.concatenate([xp.reshape(eyes[:2], 6), xp.reshape(tilts[:2], 6)]) - known
            return xp.sum(off ** 2) + 1e6 * xp.sum(held ** 2)
        return cost
else:
    rank = 10
    r = n // (2 * rank)
    n = 2 * rank * r
    row, column = rng.integers(0, r, 2 * n), rng.integers(0, r, 2 * n)
    U, V = rng.standard_normal((r, rank)), rng.standard_normal((r, rank))
    seen = np.sum(U[row] * V[column], axis=1) + 0.1 * rng.standard_normal(2 * n)
    start = 0.5 * rng.standard_normal(n)
    def family(xp):
        def cost(x):
            u, v = xp.reshape(x[: r * rank], (r, rank)), xp.reshape(x[r * rank :], (r, rank))
            return xp.sum((xp.sum(u[row] * v[column], axis=1) - seen) ** 2) + 0.1 * xp.sum(x ** 2)
        return cost

trace, best = [], [np.inf, start]

class TooLong(Exception):
    pass

def note(value, x):
    seconds = time.perf_counter() - begin
    trace.append([seconds, value, len(trace) + 1])
    if value < best[0]:
        best[:] = [value, np.array(x)]
    if seconds > limit:
        raise TooLong
"""

MINIMIZE = """
import importlib, pkgutil, jax, steepest
import qdldl, scipy.linalg, scipy.sparse.csgraph
for part in ("tracing", "structure", "derivatives", "linear_algebra", "solvers", "verdict", "search"):
    package = importlib.import_module("steepest." + part)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
begin = time.perf_counter()
result = steepest.minimize(family(np), start, method=METHOD, budget={"seconds": limit})
total = time.perf_counter() - begin
before = result.history.began - begin  # tracing, finding zeros and choosing, and looking for a place to begin from
trace = [[before + s, v, int(e)]
         for s, v, e in zip(result.history.seconds, result.history.value, result.history.evaluations)]
x = result.x
"""

# What the peers begin with: a jitted value and gradient of the same cost.
JITTED = """
import jax, jax.numpy as jnp
jax.config.update("jax_enable_x64", True)
cost = family(jnp)
value_and_gradient = jax.jit(jax.value_and_grad(cost))
def oracle(x):
    value, gradient = value_and_gradient(x)
    value, gradient = float(value), np.asarray(gradient)
    note(value, x)
    return value, gradient
"""

SCIPY = (
    JITTED
    + """
from scipy.optimize import minimize
begin = time.perf_counter()
try:
    minimize(oracle, start, jac=True, method="L-BFGS-B", options=OPTIONS)
except TooLong:
    pass
total, x = time.perf_counter() - begin, best[1]
"""
)

KRYLOV = (
    JITTED
    + """
from scipy.optimize import minimize
product = jax.jit(lambda x, v: jax.jvp(jax.grad(cost), (x,), (v,))[1])
begin = time.perf_counter()
try:
    minimize(oracle, start, jac=True, method="trust-krylov", hessp=lambda x, v: np.asarray(product(x, v)))
except TooLong:
    pass
total, x = time.perf_counter() - begin, best[1]
"""
)

# One compiled loop: nothing is seen of it on the way.
OPTIMISTIX = """
import jax, jax.numpy as jnp, optimistix
jax.config.update("jax_enable_x64", True)
cost = family(jnp)
begin = time.perf_counter()
solver = optimistix.LBFGS(rtol=1e-8, atol=1e-8)
x = np.asarray(optimistix.minimise(lambda x, _: cost(x), solver, jnp.asarray(start), throw=False,
                                   max_steps=2000).value)
total = time.perf_counter() - begin
trace = [[total, float(family(np)(x)), 0]]
"""

IPOPT = (
    JITTED
    + """
import cyipopt
class Problem:
    x = value = gradient_ = None
    def both(self, x):
        if self.x is None or not np.array_equal(x, self.x):
            self.x, (self.value, self.gradient_) = np.array(x), oracle(x)
        return self.value, self.gradient_
    def objective(self, x): return self.both(x)[0]
    def gradient(self, x): return self.both(x)[1]
    def constraints(self, x): return np.zeros(0)
    def jacobian(self, x): return np.zeros(0)
begin = time.perf_counter()
ipopt = cyipopt.Problem(n=n, m=0, problem_obj=Problem(), lb=np.full(n, -1e20), ub=np.full(n, 1e20))
for option, value in (("print_level", 0), ("sb", "yes"), ("hessian_approximation", "limited-memory"),
                      ("max_cpu_time", limit)):
    ipopt.add_option(option, value)
try:
    ipopt.solve(start)
except TooLong:
    pass
total, x = time.perf_counter() - begin, best[1]
"""
)

MEASURE = """
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
final = float(family(np)(np.asarray(x)))
print(json.dumps({"trace": trace, "total": total, "peak": peak, "cost": final, "start": float(family(np)(start))}))
"""

TIGHT = '{"ftol": 1e-14, "gtol": 1e-8, "maxiter": 1000, "maxfun": 2000}'
OURS = {
    "steepest.minimize": MINIMIZE.replace("METHOD", '"auto"'),
    "the same, method='l-bfgs'": MINIMIZE.replace("METHOD", '"l-bfgs"'),
}
PEERS = {
    "SciPy L-BFGS-B, jitted JAX gradient": SCIPY.replace("OPTIONS", "None"),
    "SciPy L-BFGS-B, ftol 1e-14, gtol 1e-8": SCIPY.replace("OPTIONS", TIGHT),
    "SciPy trust-krylov, jitted products": KRYLOV,
    "optimistix L-BFGS, 1e-8": OPTIMISTIX,
    "IPOPT, limited memory": IPOPT,
}

# What a peer stands on; one whose package is not installed is told and left out.
NEEDS = {"optimistix": "optimistix", "IPOPT": "cyipopt"}

# Parts of the decrease from the start to the lowest cost that may still be missing.
GAPS = (1e-4, 1e-6)

# One cost of one size under one solver, in one round.
Cell = tuple[str, int, str, int]


def table(
    peers: bool,
    *,
    sizes: Sequence[int],
    costs: Sequence[str],
    rounds: int,
    limit: float,
    keep: Path | None,
    seconds: float | None,
    solvers: Sequence[str] | None = None,
    again: bool = False,
) -> tuple[list[str], list[list[object]], str]:
    """Seconds and evaluations until the cost is within each gap of the lowest, total time and memory."""
    programs = OURS | (PEERS if peers else {})
    present = [name for name in programs if _is_there(name)]
    asked = [name for name in present if solvers is None or name.startswith(tuple(solvers))]
    cells = [
        (cost, size, name, round_)
        for size in sizes
        for cost in costs
        for round_ in range(rounds if size < ONCE else 1)
        for name in asked
        if size < VAST or name in OURS or name in AT_THE_VAST
    ]
    runs = _kept(keep)
    begun, late = time.monotonic(), []
    for cell in cells:
        if cell in runs and not again:
            continue
        if seconds is not None and time.monotonic() - begun >= seconds:
            late.append(cell)
            continue
        runs[cell] = _attempt(cell, COMMON + programs[cell[2]] + MEASURE, limit)
        _keep(keep, cell, runs[cell])
    shown = {(of, n) for of, n, _, _ in runs} | {(of, n) for of, n, _, _ in late}
    # Solvers that were not asked for this time are shown too where they were measured before.
    every = [*programs, *(name for name in OURS | PEERS if name not in programs)]
    rows = [
        row
        for of in COSTS
        for n in sorted({n for c, n in shown if c == of})
        for row in _rows(of, n, every, runs)
    ]
    header = ["cost", "n", "solver"]
    for gap in GAPS:
        header += [f"s to {gap:.0e}", f"evaluations to {gap:.0e}"]
    header += ["s in all", "gap at the end", "peak MB"]
    measured = {name for _, _, name, _ in runs}
    absent = [name for name in programs if name not in present and name not in measured]
    return header, rows, _note(rounds, limit, absent, late)


def _note(rounds: int, limit: float, absent: Sequence[str], late: Sequence[Cell]) -> str:
    """What the table means, and what is not in it."""
    note = (
        f"Medians over {rounds} fresh processes each below {ONCE:,} parameters, the solvers taking turns; from "
        f"there on one. With {VAST:,} only those are asked that hold few vectors. Seconds are those of the CPU, "
        f"all threads added up. Walks are broken off after {limit:g} s, processes after {_killed(limit)} s. "
        "Imports and data are not timed, all else from the call on is: tracing, looking for zeros, choosing, "
        "compiling. Gaps are parts of the whole decrease from the start to the lowest cost: zero for chained "
        "Rosenbrock and Broyden tridiagonal, for the others the lowest that any of them found. A dash means never "
        "reached, and a row of dashes a process that was broken off or failed. Chained Rosenbrock has a second "
        "minimum, about 4: a gap of 4 parts in 254 n. Nothing is seen of optimistix's compiled loop on the way, "
        "so its times are those of the whole run. Steepest's time in all includes judging the answer. Smoothing: "
        "a noisy signal, chained differences, linear least squares. Logistic regression: as many examples as "
        "parameters, two gathered features each, with a ridge. Matrix factorisation: rank 10, twice as many "
        "entries seen as there are parameters, with a ridge. Net of poses: places and directions of one who walks, "
        "seen from each other along the way and, half as often, across up to a hundred steps; begun where the steps "
        "alone lead. Bundle of points: each point seen by six of a row of cameras, all of them unknown; begun beside "
        "the truth. Chained Rosenbrock: every walk along the chain takes some steps for each parameter; steepest, left "
        "to choose, begins where the linear residuals alone would have the parameters, and finds that all the others "
        "are met there."
    )
    if absent:
        note += f" Not installed, and so not measured: {'; '.join(absent)}."
    missing = len({cell[:3] for cell in late})
    if missing:
        note += f" Not measured for want of time, and so without a row: {missing}."
    return note


def _is_there(solver: str) -> bool:
    """Whether the package that the solver stands on is installed."""
    needed = [package for start, package in NEEDS.items() if solver.startswith(start)]
    return all(importlib.util.find_spec(package) is not None for package in needed)


def _kept(path: Path | None) -> dict[Cell, Any]:
    """The records that a file holds, by cell; none where there is no file."""
    if path is None or not path.exists():
        return {}
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {(line["cost"], line["n"], line["solver"], line["round"]): line["run"] for line in lines}


def _keep(path: Path | None, cell: Cell, run: Any) -> None:
    """Add a record to the file, at once: whatever ends the whole, what was measured stays."""
    if path is not None:
        line = dict(zip(("cost", "n", "solver", "round"), cell, strict=True)) | {"run": run}
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _attempt(cell: Cell, program: str, limit: float) -> Any:
    """What a program reports, its trace without what was no lower; None where it fails or never ends."""
    cost, size, name, _ = cell
    try:
        found = report(program, str(size), cost, str(limit), str(_killed(limit)))
        found["trace"] = _descending(found["trace"])
        said = f"cost {found['cost']:.12g} after {found['total']:.2f} s"
    except RuntimeError as error:
        found, said = None, str(error).strip().splitlines()[-1]
    say(f"{cost}, {size:,}, {name}: {said}")
    return found


def _descending(trace: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    """The entries of a trace that are lower than all before them.

    >>> _descending([[0.1, 9.0, 1], [0.2, 9.5, 2], [0.3, 1.0, 3]])
    [[0.1, 9.0, 1], [0.3, 1.0, 3]]
    """
    lowest, found = float("inf"), []
    for entry in trace:
        if entry[1] < lowest:
            lowest = entry[1]
            found.append(entry)
    return found


def _rows(cost: str, size: int, solvers: Sequence[str], runs: Mapping[Cell, Any]) -> list[list[object]]:
    """The rows of one cost of one size: of every solver that was measured."""
    measured: dict[str, list[Any]] = {}
    for (of, n, name, _), run in runs.items():
        if (of, n) == (cost, size):
            measured.setdefault(name, []).append(run)
    known = [run for some in measured.values() for run in some if run]
    if not known:
        return [[cost, size, name, *["-"] * (2 * len(GAPS) + 3)] for name in solvers if name in measured]
    lowest, start = min(run["cost"] for run in known), known[0]["start"]
    lowest = min(LOWEST.get(cost, lowest), lowest)
    rows: list[list[object]] = []
    for name in solvers:
        some = measured.get(name, [])
        row: list[object] = [cost, size, name]
        if not some:
            continue
        if not all(some):
            row += ["-"] * (2 * len(GAPS) + 3)
        else:
            row += [entry for gap in GAPS for entry in _reached(some, lowest + gap * (start - lowest))]
            row.append(f"{median(run['total'] for run in some):.2f}")
            row.append(f"{(max(run['cost'] for run in some) - lowest) / (start - lowest):.0e}")
            row.append(f"{median(run['peak'] for run in some):.0f}")
        rows.append(row)
    return rows


def _killed(limit: float) -> int:
    """CPU seconds after which a process with this limit is killed."""
    return int(KILLED * limit) + BESIDES


def say(text: str) -> None:
    """Tell the log how far it is: a whole run takes the better part of an hour."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _reached(runs: list[Any], cost: float) -> tuple[str, str]:
    """Median seconds, and evaluations, until the traces of the runs first are at or below `cost`."""
    firsts = [next((entry for entry in run["trace"] if entry[1] <= cost), None) for run in runs]
    found = [entry for entry in firsts if entry is not None]
    if len(found) < len(runs):
        return "-", "-"
    return f"{median(entry[0] for entry in found):.2f}", f"{median(int(entry[2]) for entry in found):.0f}"
