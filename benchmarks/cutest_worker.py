"""One contestant on one CUTEst problem in a process of its own: `python -m benchmarks.cutest_worker CORE`.

Reads lines of a problem and a solver with a tab between, and answers each with a line of JSON. Each is measured in a
fork of this process, in which everything has been imported and nothing has been run: no device, no thread. The seconds
are those of the processor, from the posed problem to the answer, tracing and compiling included and imports not; `warm`
is the same solve again in the same process.
"""

import gc
import importlib
import importlib.util
import json
import math
import os
import pkgutil
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

# Seconds of the processor a solve may take, and those after which a process that does not listen is ended.
ALLOWED, ENDED = 10.0, 30
# Parts of steepest that no minimisation imports.
LEFT_OUT = (
    "__main__",
    "plots",
    "explorer",
    "report",
    "cli",
    "tour",
    "training",
    "doctor",
    "regressor",
    "torch",
)
# Warm solves are repeated until they have taken this long together, so that the clock's grain does not count.
LONG_ENOUGH, MOST_SOLVES = 0.05, 20


class OutOfTimeError(BaseException):
    """The seconds allowed are spent; no `except Exception` of a solver catches it."""


Measure = Callable[[str, str], dict[str, Any]]


def serve(core: int, measure: Measure) -> None:
    """Answer one request after the other by `measure(problem, solver)`, each in a fork, until the input ends."""
    import jax
    import scipy.optimize  # noqa: F401

    for package in ("optimistix", "jaxopt", "cyipopt"):
        if importlib.util.find_spec(package) is not None:
            importlib.import_module(package)

    jax.config.update("jax_enable_x64", True)
    load("steepest")
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})
    warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called")
    # What has been imported is no garbage: searching it in a fork copies every page of it, and takes 0.15 s of a solve.
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        name, solver = line.rstrip("\n").split("\t")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            answer = json.dumps(measure(name, solver))
            with os.fdopen(writer, "w") as pipe:
                pipe.write(answer)
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        lost = json.dumps({"problem": name, "solver": solver, "told": "ended from outside"})
        sys.stdout.write((answer or lost) + "\n")
        sys.stdout.flush()


def measure(name: str, solver: str) -> dict[str, Any]:
    """Pose the problem, solve it twice, and look at the end point with JAX's own value and gradient."""
    from .contestants import contestant
    from .cutest import problems

    posed = pose(name, bounded=problems().get(name, ("bounded",))[0] == "bounded")
    return measured(name, solver, posed, contestant(solver), look)


def measured(name: str, solver: str, posed: Any, solve: Any, look: Any) -> dict[str, Any]:
    """The record of two solves: seconds, and what `look(posed, answer)` says of the first one's end point."""
    from .contestants import Answer

    signal.signal(signal.SIGPROF, _spent)
    record: dict[str, Any] = {"problem": name, "solver": solver, "n": posed.n}
    answer: Answer | None = None
    for which in ("cold", "warm"):
        begin = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, ALLOWED)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(begin) + ENDED, resource.RLIM_INFINITY))
        try:
            answer = solve(posed)
            record[which] = time.process_time() - begin
            if which == "warm":
                record[which] = _repeated(solve, posed, record[which])
        except OutOfTimeError:
            record["told"] = "out of time"
        except Exception as error:
            record["told"] = f"{type(error).__name__}: {error}"[:500]
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0.0)
        if answer is None:
            return record
        if which == "cold":
            record |= look(posed, answer)
    return record


def _repeated(solve: Any, posed: Any, first: float) -> float:
    """Seconds of a warm solve: where it is too short for the clock, the mean of many."""
    spent, solves = first, 1
    while (
        spent < LONG_ENOUGH and solves < MOST_SOLVES
    ) or spent == 0.0:  # a clock may tick a thousandth at a time
        begin = time.process_time()
        solve(posed)
        spent += time.process_time() - begin
        solves += 1
    return spent / solves


def pose(name: str, *, bounded: bool = True) -> Any:
    """The problem as a flat function of float64, its start and, if it counts as bounded, its bounds."""
    import jax
    from jax.flatten_util import ravel_pytree

    from .contestants import Posed
    from .sif import problem as instance

    problem = instance(name)
    flat, restore = ravel_pytree(jax.tree.map(lambda a: np.asarray(a, np.float64), problem.y0))
    args = problem.args
    lower = upper = None
    if bounded and getattr(problem, "bounds", None) is not None:
        shape = jax.tree.structure(problem.y0)
        leaves = jax.tree.leaves(problem.y0)

        def side(bound: Any) -> np.ndarray:
            given = jax.tree.leaves(bound)
            wide = given if len(given) == len(leaves) else given * len(leaves)
            filled = [np.broadcast_to(np.asarray(b), np.shape(y)) for b, y in zip(wide, leaves, strict=True)]
            return np.asarray(ravel_pytree(jax.tree.unflatten(shape, filled))[0], np.float64)

        lower, upper = (side(bound) for bound in problem.bounds)

    def cost(x: Any) -> Any:
        return problem.objective(restore(x), args).reshape(())

    return Posed(cost, np.asarray(flat, np.float64), lower, upper)


def load(package: str) -> None:
    """Import what the package would import when it is first used: imports are not counted."""
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
        if not any(part in module.name for part in LEFT_OUT):
            importlib.import_module(module.name)


def look(posed: Any, answer: Any) -> dict[str, Any]:
    """Cost and projected slope |x - P(x - g)|∞ at the end point, by JAX; and how far it lies outside its bounds.

    That is in parts of a bound's size, or of one.
    """
    import jax

    # Compiled at once: operation by operation it takes many times as long as most solves.
    value, gradient = jax.jit(jax.value_and_grad(posed.cost))(answer.x)
    gradient = np.asarray(gradient)
    moved = answer.x - gradient
    outside = 0.0
    if posed.lower is not None:
        moved = np.clip(moved, posed.lower, posed.upper)
        inside = np.clip(answer.x, posed.lower, posed.upper)
        outside = float(np.max(np.abs(answer.x - inside) / np.maximum(np.abs(inside), 1.0), initial=0.0))
    return {
        "cost": float(value),
        "slope": float(np.max(np.abs(answer.x - moved), initial=0.0)),
        "outside": outside,
        "claims": answer.claims,
        "told": answer.told,
        "evaluations": answer.evaluations,
    }


def _spent(number: int, frame: Any) -> None:
    raise OutOfTimeError


if __name__ == "__main__":
    serve(int(sys.argv[1]), measure)
