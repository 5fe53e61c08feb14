"""NIST's nonlinear regression problems: 27 data sets from two starts each, defaults only.

LRE is the number of correct digits: -log10 of the largest relative error over the parameters, at most 11. *Solved* is 4
digits, *excellent* 6; solutions with peaks or exponentials exchanged count. *Standard errors*: 4 digits against the
certified ones. *False success*: says it is a minimum and has not 4 digits. *Overclaims*: trustworthy digits stated that
exceed the true ones by more than one. Times are medians: *warm*, the same call again, and *cold*, the first call of a
fresh process, imports not counted, both in milliseconds of CPU; *process*, a whole script with one fit, by the clock.

Lanczos1's residuals are 1e-13 of its data: rounded to doubles, the data determine their sum of squares to 3.1 digits
(in 50-digit arithmetic) and standard errors to 3.4; more than that is luck.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from itertools import permutations
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from .processes import report, wall_time

# Calls of which the quickest counts as warm: whatever else the machine does only adds.
WARM_CALLS = 5
# Data sets for the fresh processes: every third of NIST's list.
COLD_EVERY = 3
MOST_DIGITS = 11.0

# Parameters that may change places, by NIST's names of the data sets that share a model.
ALIKE = {
    ("Gauss1", "Gauss2", "Gauss3"): ((2, 3, 4), (5, 6, 7)),
    ("Lanczos1", "Lanczos2", "Lanczos3"): ((0, 1), (2, 3), (4, 5)),
    ("MGH17",): ((1, 3), (2, 4)),
    ("ENSO",): ((3, 4, 5), (6, 7, 8)),
}


class Answer(NamedTuple):
    """What a library said: parameters, standard errors, residual sum of squares, success, digits (or None)."""

    parameters: np.ndarray
    errors: np.ndarray
    residual_sum: float
    success: bool
    digits: np.ndarray | None = None


def table(peers: bool) -> tuple[list[str], list[list[Any]], str]:
    """The table's header, its rows and a note."""
    names = [*OURS, *(PEERS if peers else [])]
    header = [
        "solver",
        "solved",
        "excellent",
        "standard errors",
        "false success",
        "false failure",
        "overclaims",
        "warm ms",
        "cold ms",
        "process ms",
    ]
    rows, missed = [], []
    for name in names:
        figures, remarks = measured(name)
        rows.append([name, *figures, *cold(name)])
        missed += remarks if name in OURS else []
    return (
        header,
        rows,
        "Of 54. " + ("Misses of steepest: " + "; ".join(missed) + "." if missed else "No miss."),
    )


def measured(name: str) -> tuple[list[Any], list[str]]:
    """Figures of one library over all data sets and starts, and its misses in words."""
    from steepest.reference_problems import nist

    solve = {**OURS, **PEERS}[name]
    solved = excellent = errors = false_success = false_failure = overclaims = 0
    warm, missed = [], []
    stated = False
    for data in nist.load_all():
        for number, start in enumerate(data.starts, 1):
            answer = _called(solve, data, start)
            warm.append(min(_seconds(solve, data, start) for _ in range(WARM_CALLS)))
            digits, order = correct_digits(data, answer.parameters)
            right = digits.min()
            solved += right >= 4
            excellent += right >= 6
            error_digits = relative_digits(answer.errors[order], data.standard_errors).min()
            errors += right >= 4 and error_digits >= 4
            false_success += answer.success and right < 4
            false_failure += not answer.success and right >= 4
            if right < 6 or error_digits < 4 or answer.success != (right >= 4):
                missed.append(
                    f"{data.name}/{number} (parameters {right:.1f}, errors {error_digits:.1f} digits)"
                )
            if answer.digits is not None:
                stated = True
                over = np.minimum(answer.digits[order], MOST_DIGITS) - digits
                overclaims += bool((over > 1).any())
    figures: list[Any] = [solved, excellent, errors, false_success, false_failure]
    return [*figures, overclaims if stated else "-", 1e3 * median(warm)], missed


def _called(solve: Callable[..., Answer], data: Any, start: np.ndarray) -> Answer:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return solve(data, start)


def _seconds(solve: Callable[..., Answer], data: Any, start: np.ndarray) -> float:
    began = time.process_time()
    _called(solve, data, start)
    return time.process_time() - began


def relative_digits(found: np.ndarray, certified: np.ndarray) -> np.ndarray:
    """Correct digits of each entry; for a certified zero the absolute error counts."""
    with np.errstate(all="ignore"):
        size = np.where(certified == 0, 1.0, np.abs(certified))
        wrong = np.abs(np.asarray(found) - certified) / size
        digits = np.minimum(-np.log10(wrong), MOST_DIGITS)
    return np.where(np.isfinite(wrong), np.maximum(digits, 0.0), 0.0)


def correct_digits(data: Any, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Correct digits of each parameter in the best of the equivalent orders, and that order."""
    groups = next((groups for names, groups in ALIKE.items() if data.name in names), ())
    best, best_order = np.full(found.size, -1.0), np.arange(found.size)
    for exchange in permutations(range(len(groups))):
        order = np.arange(found.size)
        for group, other in zip(groups, exchange, strict=True):
            order[list(group)] = groups[other]
        candidate = np.asarray(found)[order]
        if data.name.startswith("Gauss"):
            candidate[[4, 7]] = np.abs(candidate[[4, 7]])  # a width enters squared
        digits = relative_digits(candidate, data.parameters)
        if digits.min() > best.min():
            best, best_order = digits, order
    return np.maximum(best, 0.0), best_order


def ours(data: Any, start: np.ndarray) -> Answer:
    """steepest.fit."""
    import steepest

    found = steepest.fit(data.model, data.x, data.y, dict(zip(data.names, start.tolist(), strict=True)))
    return Answer(found.params, np.asarray(found.errors), found.chi2, found.success, found.digits)


def curve_fit(data: Any, start: np.ndarray) -> Answer:
    """SciPy, whose standard errors are the roots of pcov's diagonal."""
    from scipy import optimize

    try:
        p, covariance = optimize.curve_fit(data.model, data.x, data.y, start)
    except RuntimeError:
        nothing = np.full(start.size, np.nan)
        return Answer(nothing, nothing, np.nan, False)
    return Answer(p, np.sqrt(np.diag(covariance)), float(data.cost(p)), bool(np.isfinite(covariance).all()))


OURS: dict[str, Callable[..., Answer]] = {"steepest.fit": ours}
PEERS: dict[str, Callable[..., Answer]] = {"SciPy curve_fit": curve_fit}

# What a process imports before the clock starts: everything that a first call would.
IMPORTS = {
    "steepest.fit": """
import importlib, pkgutil, jax.numpy, scipy.special, scipy.linalg.lapack, steepest
for module in pkgutil.walk_packages(steepest.__path__, "steepest."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
""",
    "SciPy curve_fit": "import scipy.optimize",
}

COLD = """
import json, sys, time
{imports}
from benchmarks import nist as bench
from steepest.reference_problems import nist
data = nist.load(sys.argv[2])
solve = {{**bench.OURS, **bench.PEERS}}[sys.argv[1]]
began = time.process_time()
bench._called(solve, data, data.starts[1])
print(json.dumps(time.process_time() - began))
"""

# A script as a user would write it: its own imports, one fit.
WHOLE = {
    "steepest.fit": "import numpy as np, steepest as st\nst.fit({call})",
    "SciPy curve_fit": "import numpy as np\nfrom scipy.optimize import curve_fit\ncurve_fit({call})",
}
MODEL = "lambda x, a, b: a*(1-np.exp(-b*x)), np.linspace(1, 9, 9), np.sqrt(np.linspace(1, 9, 9)), [2.0, 0.5]"


def cold(name: str) -> list[Any]:
    """Median milliseconds of a first call, and of a whole process with one fit."""
    from steepest.reference_problems import nist

    program = COLD.format(imports=IMPORTS[name])
    first = [report(program, name, data) for data in nist.NAMES[::COLD_EVERY]]
    whole = [wall_time([sys.executable, "-c", WHOLE[name].format(call=MODEL)]) for _ in range(COLD_EVERY)]
    return [1e3 * median(first), 1e3 * median(whole)]


if __name__ == "__main__":
    print(json.dumps(measured("steepest.fit")))
