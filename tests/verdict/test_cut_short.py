"""Walks from very far away, cut short at every step: what is called a minimum must be one."""

import numpy as np
import pytest

from steepest import Verdict, minimize

# Each with a far start and its lowest value: by hand, and of the waves by Newton's method on 2(x - 3) = sin(x).
WAVES = -0.9933204839386647
FAR = {
    "hyperbola": (lambda x: np.sum(x**2) + np.sum(np.sqrt(1 + x**2)), [1e20, 1e20], 2.0),
    "waves": (lambda x: np.sum((x - 3) ** 2) + np.cos(x[0]), [1e20, 1e10], WAVES),
    "quartic": (lambda x: np.sum(x**4) + x[0] ** 2 + 1, [1e10, 1e10], 1.0),
    "root": (lambda x: np.sum(np.sqrt(1 + x**4)), [1e20, 1e20], 2.0),
    "chain": (lambda x: np.sum((x[1:] - x[:-1] ** 2) ** 2) + np.sum((1 - x) ** 2), [1e5] * 3, 0.0),
}


@pytest.mark.parametrize("name", FAR)
@pytest.mark.parametrize("method", ["newton", "bfgs"])
def test_a_huge_fall_makes_no_minimum_of_where_the_steps_ran_out(name, method):
    cost, start, lowest = FAR[name]
    words = []
    for steps in (1, 2, 3, 4, 5, 8, 17, 25, 32, 34, 50, 74, 79, 80):
        found = minimize(cost, start, method=method, budget={"steps": steps})
        words.append(found.verdict)
        if found.success:
            assert found.fun <= lowest + 1e-6 * max(abs(lowest), 1.0)
            break
        assert found.verdict in (Verdict.OUT_OF_BUDGET, Verdict.STOPPED)
    assert Verdict.OUT_OF_BUDGET in words
