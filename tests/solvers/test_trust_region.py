"""Steps that are tried in turn: what is taken, and what is not."""

import numpy as np
from numpy.testing import assert_allclose

from steepest.objective import Objective
from steepest.solvers.trust_region import Landing, Proposal, advance


class Straight:
    """A model around x = 0 that promises `promised` for a step of one, and leads on to `corrected`."""

    def __init__(self, promised, corrected):
        self.proposal = Proposal(np.array([1.0]), promised, True, 0.0)
        self._corrected = corrected

    def within(self, radius, shift):
        step = np.array([min(radius, 1.0)])
        return Proposal(step, self.proposal.promised * float(step[0]), True, 0.0)

    def length(self, step):
        return float(np.abs(step).max())

    def place(self, step):
        return np.array(step)

    def corrected(self, step, gradient, promised, ratio):
        return np.array([self._corrected])


def landing_from_zero(cost, model):
    problem = Objective(1, value_and_gradient=cost)
    value, gradient = cost(np.zeros(1))
    return advance(problem, np.zeros(1), value, gradient, model, 1.0, model.proposal)


def test_a_corrected_step_is_taken_where_it_ends_lower():
    def parabola(x):
        return float((x[0] - 2.0) ** 2), 2.0 * (x - 2.0)

    found = landing_from_zero(parabola, Straight(5.0, 2.0))
    assert isinstance(found, Landing)
    assert_allclose(found.x, 2.0)


def test_a_corrected_step_that_ends_where_there_is_no_slope_is_not_taken():
    """The walk would stand there, with nothing to tell where to go, though the step before it was good."""

    def cut_off(x):
        gradient = np.full(1, np.nan) if x[0] >= 2.0 else 2.0 * (x - 3.0)
        return float((x[0] - 3.0) ** 2), gradient

    found = landing_from_zero(cut_off, Straight(8.0, 2.0))
    assert isinstance(found, Landing)
    assert_allclose(found.x, 1.0)
    assert np.isfinite(found.gradient).all()
