"""Valleys whose bottom is level, or falls too little for the slope to show: truths in closed form."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import Verdict, minimize, verify

T = np.array([1.0, 2.0, 3.0])


def saturating(y):
    """A curve a + b cᵗ through three points that bend up, reached from c below 1: the best of it is a straight line.

    It is approached as a grows without limit and c goes to 1, and its squares are d²/6 with d the second difference.
    """
    return lambda p: np.sum((p[0] + p[1] * p[2] ** T - y) ** 2), (y[0] - 2 * y[1] + y[2]) ** 2 / 6


@pytest.mark.parametrize("y", [(0.032, 0.056, 0.099), (0.1, 0.2, 0.35)], ids=["small", "larger"])
def test_a_bottom_that_falls_towards_a_limit_is_no_minimum(y):
    cost, limit = saturating(np.array(y))
    result = minimize(cost, [1.2, -1.2, 0.98], method="lm")
    assert result.fun > limit
    assert_allclose(result.fun, limit, rtol=1e-3)
    assert result.verdict is Verdict.INFIMUM_NOT_ATTAINED and not result.success


@pytest.mark.parametrize(
    ("cost", "point"),
    [
        (lambda x: (x[1] - np.log(x[0])) ** 2, (1e9, np.log(1e9))),
        (lambda x: (x[1] - np.log(x[0])) ** 2 + 3.7, (1e4, np.log(1e4))),
        (lambda x: (x[0] * x[1] - 1) ** 2 + 5.0, (2.0, 0.5)),
        (lambda x: (x[0] * x[1] - 1) ** 2, (1e4, 1e-4)),
        (lambda x: (x[0] ** 2 + x[1] ** 2 - 1) ** 2 + 1e6, (0.6, 0.8)),
        (lambda x: (x[0] ** 2 + x[1] ** 2 + x[2] ** 2 - 1) ** 2, (0.48, 0.64, 0.6)),
    ],
    ids=["logarithm", "lifted logarithm", "lifted hyperbola", "far hyperbola", "lifted circle", "sphere"],
)
def test_a_bottom_that_is_level_along_a_bend_stays_a_flat_minimum(cost, point):
    assert verify(cost, np.array(point)).verdict is Verdict.FLAT_MINIMUM
