"""Hock-Schittkowski problems (from sif2jax) solved with defaults: how many, how fast, and how truthfully."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from math import exp, inf, log
from pathlib import Path
from statistics import median
from typing import Any

from .processes import ROOT

# CPU seconds a solver has for one problem, tracing and compiling included, imports not.
SECONDS = 10.0

# A point counts as solved when it violates nothing by more than this and costs no more than the best by that part;
# the best is the lowest of the points that violate nothing by more than `STRICT`.
FEASIBLE, STRICT, CLOSE = 1e-6, 1e-9, 1e-6
# A claim of success is false when the point is not solved and breaks a constraint, or its slopes do not balance.
UNBALANCED = 1e-3

SOLVERS = {
    "steepest": "steepest.minimize",
    "slsqp": "SciPy SLSQP",
    "trust-constr": "SciPy trust-constr",
    "ipopt": "IPOPT (cyipopt)",
}

# What every measured process runs: all problems with one solver, one line of JSON for each.
WORKER = """
import json, re, sys, time, signal, warnings
import numpy as np, jax, jax.numpy as jnp
from jax.flatten_util import ravel_pytree
jax.config.update("jax_enable_x64", True)
from sif2jax import cutest
warnings.simplefilter("ignore")
solver, seconds, chosen = sys.argv[1], float(sys.argv[2]), sys.argv[3].split(",") if len(sys.argv) > 3 else None

def problems():
    seen = {}
    for p in cutest.constrained_minimisation_problems + cutest.constrained_quadratic_problems:
        name = type(p).__name__
        if re.match("HS[0-9]", name) and (chosen is None or name in chosen):
            seen.setdefault(name, p)
    return seen

def flat(p):
    y0, unravel = ravel_pytree(p.y0)
    args = p.args
    def cost(x):
        return jnp.asarray(p.objective(unravel(x), args)).reshape(())
    eq, ineq = p.constraint(p.y0)
    equations = inequalities = None
    if eq is not None:
        def equations(x):
            return ravel_pytree(p.constraint(unravel(x))[0])[0]
    if ineq is not None:
        def inequalities(x):
            return ravel_pytree(p.constraint(unravel(x))[1])[0]
    lower, upper = np.full(y0.size, -np.inf), np.full(y0.size, np.inf)
    if p.bounds is not None:
        lower, upper = (np.array(ravel_pytree(b)[0], float) for b in p.bounds)
        lower[lower <= -1e20], upper[upper >= 1e20] = -np.inf, np.inf
    return cost, np.array(y0, float), equations, inequalities, lower, upper

class TooLong(Exception):
    pass

def ring(*_):
    raise TooLong

signal.signal(signal.SIGPROF, ring)
"""

SOLVE = {
    "steepest": """
import steepest, scipy.optimize, jax.extend
def solve(cost, x0, eq, ineq, lower, upper):
    constraints = [{"type": kind, "fun": f} for kind, f in (("eq", eq), ("ineq", ineq)) if f is not None]
    result = steepest.minimize(cost, x0, bounds=list(zip(lower, upper)), constraints=constraints,
                               budget={"seconds": 0.9 * seconds})
    return result.x, bool(result.success), result.nfev, str(result.verdict)
""",
    "slsqp": """
import scipy.optimize
def solve(cost, x0, eq, ineq, lower, upper):
    vg = jax.jit(jax.value_and_grad(cost))
    constraints = []
    for kind, f in (("eq", eq), ("ineq", ineq)):
        if f is not None:
            c, J = jax.jit(f), jax.jit(jax.jacobian(f))
            constraints.append({"type": kind, "fun": lambda x, c=c: np.asarray(c(x)),
                                "jac": lambda x, J=J: np.asarray(J(x))})
    def both(x):
        keep(x)
        v, g = vg(x)
        return float(v), np.asarray(g)
    r = scipy.optimize.minimize(both, x0, jac=True, method="SLSQP", bounds=list(zip(lower, upper)),
                                constraints=constraints)
    return r.x, bool(r.success), r.nfev, str(r.message)
""",
    "trust-constr": """
import scipy.optimize
def solve(cost, x0, eq, ineq, lower, upper):
    value, gradient, hessian = jax.jit(cost), jax.jit(jax.grad(cost)), jax.jit(jax.hessian(cost))
    constraints = []
    for f, high in ((eq, 0.0), (ineq, np.inf)):
        if f is not None:
            c, J = jax.jit(f), jax.jit(jax.jacobian(f))
            H = jax.jit(jax.hessian(lambda x, v, f=f: f(x) @ v))
            constraints.append(scipy.optimize.NonlinearConstraint(
                lambda x, c=c: np.asarray(c(x)), 0.0, high, jac=lambda x, J=J: np.asarray(J(x)),
                hess=lambda x, v, H=H: np.asarray(H(x, v))))
    def fun(x):
        keep(x)
        return float(value(x))
    r = scipy.optimize.minimize(fun, x0, jac=lambda x: np.asarray(gradient(x)),
                                hess=lambda x: np.asarray(hessian(x)), method="trust-constr",
                                bounds=list(zip(lower, upper)), constraints=constraints)
    return r.x, bool(r.success), r.nfev, str(r.message)
""",
    "ipopt": """
import cyipopt
def solve(cost, x0, eq, ineq, lower, upper):
    parts = [f for f in (eq, ineq) if f is not None]
    def rows(x):
        return jnp.concatenate([jnp.atleast_1d(f(x)) for f in parts])
    m_eq = 0 if eq is None else np.size(eq(x0))
    m = np.size(rows(x0))
    value, gradient = jax.jit(cost), jax.jit(jax.grad(cost))
    c, J = jax.jit(rows), jax.jit(jax.jacobian(rows))
    L = jax.jit(jax.hessian(lambda x, v, s: s * cost(x) + rows(x) @ v))
    n = x0.size
    low = np.tril_indices(n)
    class Problem:
        calls = 0
        def objective(self, x):
            keep(x)
            self.calls += 1
            return float(value(x))
        def gradient(self, x): return np.asarray(gradient(x))
        def constraints(self, x): return np.asarray(c(x))
        def jacobian(self, x): return np.asarray(J(x)).ravel()
        def hessianstructure(self): return low
        def hessian(self, x, v, s): return np.asarray(L(x, v, s))[low]
    p = Problem()
    upper_rows = np.where(np.arange(m) < m_eq, 0.0, np.inf)
    ipopt = cyipopt.Problem(n=n, m=m, problem_obj=p, lb=lower, ub=upper, cl=np.zeros(m), cu=upper_rows)
    ipopt.add_option("print_level", 0)
    ipopt.add_option("sb", "yes")
    ipopt.add_option("max_cpu_time", seconds)
    x, info = ipopt.solve(x0)
    return x, info["status"] in (0, 1), p.calls, str(info["status_msg"])
""",
}

MEASURE = """
last = [None]
def keep(x):
    last[0] = np.array(x)
def quality(problem, x):
    cost, _, eq, ineq, lower, upper = problem
    worst = max(0.0, float(np.max(lower - x)), float(np.max(x - upper)))
    columns, least, most = [], [], []
    for f, one_sided in ((eq, False), (ineq, True)):
        if f is not None:
            c = np.asarray(f(x))
            worst = max(worst, float(np.max(np.abs(c) if not one_sided else -c, initial=0.0)))
            near = np.ones(c.size, bool) if not one_sided else c <= 1e-5
            columns.append(np.asarray(jax.jacobian(f)(x)).reshape(c.size, -1)[near].T)
            least += [0.0 if one_sided else -np.inf] * int(near.sum())
            most += [np.inf] * int(near.sum())
    eye = np.eye(x.size)
    for side, low in ((x - lower <= 1e-5, True), (upper - x <= 1e-5, False)):
        columns.append(eye[:, side] if low else -eye[:, side])
        least += [0.0] * int(side.sum()); most += [np.inf] * int(side.sum())
    g = np.asarray(jax.grad(cost)(x))
    A = np.concatenate(columns, axis=1)
    from scipy.optimize import lsq_linear
    left = g
    if A.shape[1] and np.isfinite(A).all() and np.isfinite(g).all():
        left = g - A @ lsq_linear(A, g, bounds=(least, most), method="bvls").x
    return float(cost(x)), worst, float(np.abs(left).max())
for name, p in problems().items():
    problem = flat(p)
    last[0] = problem[1]
    begin = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        x, success, calls, said = solve(*problem)
    except TooLong:
        x, success, calls, said = last[0], False, -1, "out of time"
    except Exception as error:
        x, success, calls, said = last[0], False, -1, f"{type(error).__name__}: {error}"[:200]
    signal.setitimer(signal.ITIMER_PROF, 0)
    cold = time.process_time() - begin
    f, worst, left = quality(problem, np.asarray(x, float))
    print(json.dumps(dict(name=name, f=f, violation=worst, unbalanced=left, success=success, calls=calls,
                          seconds=cold, said=said)), flush=True)
"""


def table(peers: bool) -> tuple[list[str], list[list[object]], str]:
    """One row for each solver: shares of the problems, and times."""
    runs = {name: measured(name) for name in (SOLVERS if peers else ["steepest"]) if _is_there(name)}
    return summary(runs)


def measured(solver: str, only: Sequence[str] = ()) -> dict[str, Any]:
    """Every problem with one solver, in a fresh process; name of the problem to what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "worker.py"
        program.write_text(WORKER + SOLVE[solver] + MEASURE, encoding="utf-8")
        command = [sys.executable, str(program), solver, str(SECONDS), *([",".join(only)] if only else [])]
        run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if run.returncode:
        raise RuntimeError(f"{solver} failed:\n{run.stderr[-3000:]}")
    rows = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    return {row["name"]: row for row in rows}


def _is_there(solver: str) -> bool:
    """Whether an optional peer can be imported."""
    if solver != "ipopt":
        return True
    found = subprocess.run([sys.executable, "-c", "import cyipopt"], capture_output=True, check=False)
    return found.returncode == 0


def best_of(runs: dict[str, dict[str, Any]], name: str) -> float:
    """The lowest cost of any point that meets the constraints; of the nearest to it where none quite does."""
    for limit in (STRICT, FEASIBLE):
        met = [run[name]["f"] for run in runs.values() if name in run and run[name]["violation"] <= limit]
        if met:
            return min(met)
    return inf


def is_solved(row: dict[str, Any], best: float) -> bool:
    """Feasible, and as low as the best."""
    return row["violation"] <= FEASIBLE and row["f"] <= best + CLOSE * max(1.0, abs(best))


def is_false_success(row: dict[str, Any], best: float) -> bool:
    """Claims success where there is none, and no other minimum either."""
    wrong = row["violation"] > FEASIBLE or row["unbalanced"] > UNBALANCED * max(1.0, abs(row["f"]))
    return row["success"] and not is_solved(row, best) and wrong


def summary(runs: dict[str, dict[str, Any]]) -> tuple[list[str], list[list[object]], str]:
    """The table, its rows in the order of the solvers; problems without a floor are left out."""
    names = [name for name in runs["steepest"] if -1e20 < best_of(runs, name) < inf]
    bests = {name: best_of(runs, name) for name in names}
    unbounded = [
        name for name in names if bests[name] < -1e4 and not any(r[name]["success"] for r in runs.values())
    ]
    names = [name for name in names if name not in unbounded]
    fastest = {
        name: min(
            (r[name]["seconds"] for r in runs.values() if is_solved(r[name], bests[name])), default=None
        )
        for name in names
    }
    rows: list[list[object]] = []
    for solver, run in runs.items():
        solved = [name for name in names if is_solved(run[name], bests[name])]
        false_success = [name for name in names if is_false_success(run[name], bests[name])]
        false_failure = [name for name in solved if not run[name]["success"]]
        ratios = [log(run[name]["seconds"] / fastest[name]) for name in solved if fastest[name]]
        rows.append(
            [
                SOLVERS[solver],
                100.0 * len(solved) / len(names),
                100.0 * sum(run[name]["violation"] <= FEASIBLE for name in names) / len(names),
                len(false_success),
                len(false_failure),
                median(run[name]["calls"] for name in solved),
                median(run[name]["seconds"] for name in names),
                exp(sum(ratios) / len(ratios)),
                ", ".join(name for name in names if name not in solved),
            ]
        )
    header = ["solver", "solved %", "feasible %", "false success", "false failure", "median evaluations"]
    header += ["median cold s", "cold x", "not solved"]
    note = (
        f"{len(names)} problems, defaults, {SECONDS:g} CPU seconds each from the JAX functions to the answer, tracing "
        "and compiling included; the peers get exact jitted JAX derivatives. Solved: no constraint violated by more "
        f"than {FEASIBLE:g}, cost within {CLOSE:g}·max(1, |best|) of the best, the lowest that any solver "
        f"reached while violating nothing by more than {STRICT:g}. False success: claims success, not solved, a "
        f"constraint broken or slopes unbalanced by more than {UNBALANCED:g}·max(1, |f|). Cold x: geometric mean over "
        "solved problems of the time over the fastest solver's. Without a floor and left out: "
        f"{', '.join(unbounded) or 'none'}. "
        "cyipopt has no wheel; CONTRIBUTING.md says how to build it against the library inside casadi's."
    )
    return header, rows, note
