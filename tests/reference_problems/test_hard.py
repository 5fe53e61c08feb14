"""Costs whose truth is known: the right word for each, and never a success that is none."""

import numpy as np
import pytest
import scipy.optimize

import steepest
from steepest import verify
from steepest.reference_problems.hard import HARD


def walked(problem):
    return steepest.minimize(
        problem.cost,
        problem.x0,
        jac=problem.jac,
        bounds=problem.bounds,
        derivatives=problem.derivatives,
        budget=problem.budget,
    )


def test_there_are_at_least_sixty_of_all_kinds():
    assert len(HARD) >= 60
    assert len({problem.group for problem in HARD.values()}) >= 10


@pytest.mark.parametrize("name", HARD)
def test_the_word_is_true_and_success_is_claimed_only_at_a_minimum(name):
    problem = HARD[name]
    result = walked(problem)
    assert str(result.verdict) in problem.words, result.message
    assert result.evidence or not np.isfinite(result.fun)
    if result.success:
        assert problem.right(result.x), result.message
    if result.verdict == "global minimum":
        assert result.fun <= min(problem.values) + 1e-9 * max(1.0, abs(min(problem.values))), result.message


CLOSED = [
    name
    for name, problem in HARD.items()
    if problem.jac is None and problem.derivatives == "auto" and problem.repeats and not problem.budget
]


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("method", ["BFGS", "Nelder-Mead"])
def test_no_end_of_scipys_is_called_a_minimum_that_is_none(name, method):
    problem = HARD[name]
    if problem.bounds and method == "BFGS":
        method = "L-BFGS-B"
    with np.errstate(all="ignore"):
        theirs = scipy.optimize.minimize(problem.cost, problem.x0, method=method, bounds=problem.bounds)
    if not np.isfinite(theirs.x).all():
        return
    found = verify(problem.cost, theirs.x, problem.bounds, start=problem.x0)
    if found.success:
        assert problem.right(theirs.x), found.message
    if found.verdict == "global minimum":
        lowest = min(problem.values)
        assert found.fun <= lowest + 1e-9 * max(1.0, abs(lowest), abs(problem.cost(problem.x0))), (
            found.message
        )
