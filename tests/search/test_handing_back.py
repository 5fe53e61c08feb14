"""A method that won far more for its work takes over again; one that did not is passed over."""

import numpy as np
import pytest

from steepest.search.descent import Descent
from steepest.solvers import LBFGS, gradient_descent
from steepest.solvers.newton import Newton
from steepest.solvers.plan import Plan, Rung

from ..posed import posed


def bowl(x):
    return np.sum(x**2)


def taken(*rungs, scale=1.0, offset=0.0):
    """Names of the solvers that walked, down a ladder of these rungs."""
    problem = posed(lambda x: scale * bowl(x) + offset, np.ones(6))
    first, *others = rungs
    plan = Plan(first.solver, "", next_rungs=tuple(others), first_steps=first.max_steps)
    descent = Descent(problem, plan, None, None, 0, None)
    descent.down()
    return descent.taken


def crawling(part, scale=1.0):
    """Steps that each shorten the way to the bottom of the bowl by this part of it."""
    return Rung(gradient_descent(rate=part / (2.0 * scale)), "", 5)


LAST = (Rung(LBFGS(), "", 0, if_faster=True), Rung(Newton(), ""))


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_it_takes_over_again_only_where_the_walk_in_between_won_far_less(scale):
    fast, slow, alike = (crawling(part, scale) for part in (1e-2, 1e-5, 5e-3))
    assert "L-BFGS" in taken(fast, slow, *LAST, scale=scale, offset=3.0 * scale)
    assert "L-BFGS" not in taken(fast, alike, *LAST, scale=scale, offset=3.0 * scale)
    assert "L-BFGS" not in taken(slow, fast, *LAST, scale=scale, offset=3.0 * scale)


def test_what_a_walk_wins_is_told_for_each_slope_and_product():
    """Five steps that keep 0.99 of the way each shrink the bowl from 6 to 6·0.99¹⁰."""
    problem = posed(bowl, np.ones(6))
    rung = crawling(1e-2)
    descent = Descent(problem, Plan(rung.solver, ""), None, None, 0, None)
    descent.walk(rung, problem.start)
    slopes = problem.objective.counts.gradients
    assert descent.rates == (0.0, pytest.approx(6 * (1 - 0.99**10) / slopes, rel=1e-12))
