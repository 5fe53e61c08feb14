"""Costs whose truth is known, and what is said of the end: an honest word, or a success that is none.

A success is true where no more than a millionth of the fall is left down to a minimum; it is false where there is
none, or the point is elsewhere. A false alarm is a true end that is not called a success.
"""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.optimize

import steepest
from steepest.reference_problems.hard import HARD, Hard

# SciPy's methods that take no Hessian, with the derivative they are given.
WITH_SLOPE = ("CG", "BFGS", "L-BFGS-B", "TNC", "SLSQP", "trust-constr")
WITHOUT_SLOPE = ("Nelder-Mead", "Powell", "COBYLA", "COBYQA")
BOUNDED = frozenset({"L-BFGS-B", "TNC", "SLSQP", "trust-constr", "Nelder-Mead", "Powell", "COBYLA", "COBYQA"})


def table(peers: bool) -> tuple[list[str], list[list[object]], str]:
    """One row for us, and with `peers` one for each of SciPy's ten methods."""
    problems = list(HARD.values())
    rows = [_row("steepest", problems, _ours)]
    if peers:
        rows += [_row(f"SciPy {name}", problems, _theirs(name)) for name in (*WITH_SLOPE, *WITHOUT_SLOPE)]
    honest = sum(str(_walked(problem).verdict) in problem.words for problem in problems)
    header = [
        "method",
        "costs",
        "true success",
        "false success",
        "true failure",
        "false alarm",
        "raised",
        "seconds",
    ]
    note = (
        f"steepest says one of the true words in {honest} of {len(problems)} cases. SciPy is given the exact gradient "
        "where it takes one and the cost has one, our own where that is what is tried; defaults otherwise."
    )
    return header, rows, note


def _row(name: str, problems: list[Hard], solve: Callable[[Hard], tuple[Any, bool]]) -> list[object]:
    counts = {"true success": 0, "false success": 0, "true failure": 0, "false alarm": 0, "raised": 0}
    began = time.process_time()
    for problem in problems:
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                x, claimed = solve(problem)
                right = problem.has_minimum and problem.right(x)
        except Exception:
            counts["raised"] += 1
            continue
        honest_end = right and any(steepest.Verdict(word).is_minimum for word in problem.words)
        if claimed:
            counts["true success" if right else "false success"] += 1
        else:
            counts["false alarm" if honest_end else "true failure"] += 1
    return [name, len(problems), *counts.values(), time.process_time() - began]


def _walked(problem: Hard) -> Any:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return steepest.minimize(
            problem.cost,
            problem.x0,
            jac=problem.jac,
            bounds=problem.bounds,
            derivatives=problem.derivatives,
            budget=problem.budget,
        )


def _ours(problem: Hard) -> tuple[Any, bool]:
    result = _walked(problem)
    return result.x, result.success


def _theirs(method: str) -> Callable[[Hard], tuple[Any, bool]]:
    def solve(problem: Hard) -> tuple[Any, bool]:
        slope = None
        if method in WITH_SLOPE:
            slope = problem.jac
            if slope is None and problem.derivatives == "auto":
                exact = steepest.gradient(problem.cost)
                slope = lambda x: np.asarray(exact(x))  # noqa: E731
        options = {"maxiter": problem.budget} if problem.budget else {}
        found = scipy.optimize.minimize(
            problem.cost,
            problem.x0,
            method=method,
            jac=slope,
            bounds=problem.bounds if method in BOUNDED else None,
            options=options,
        )
        return found.x, bool(found.success)

    return solve
