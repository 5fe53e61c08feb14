"""The way down a sum of squares, cut short anywhere: nothing raises, and no lower point is lost."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.optimize
from numpy.testing import assert_allclose

import steepest as st
from steepest import least_squares
from steepest.objective import Objective

from ..pressing import pressing


def wells(p):
    """Minima at (±1, ±1); from p[0] = 0 the walk ends at a saddle, and goes on from there."""
    return np.array([p[0] ** 2 - 1, p[1] ** 2 - 1])


@pytest.mark.parametrize("budget", range(1, 19))
def test_a_budget_that_ends_at_a_saddle_or_on_the_way_from_there_raises_nothing(budget):
    start = np.array([0.0, 0.5])
    found = least_squares(wells, start, budget=budget)
    assert found.nfev <= budget
    assert_allclose(found.fun, np.sum(wells(found.x) ** 2), rtol=1e-12)
    assert found.fun <= np.sum(wells(start) ** 2)
    assert found.success == (found.fun < 1e-20)


def test_ctrl_c_returns_the_best_point_wherever_it_is_pressed(monkeypatch):
    start, left = np.array([0.0, 0.5]), [0]
    for name in ("value", "value_and_gradient", "linearised", "hessian"):
        monkeypatch.setattr(Objective, name, pressing(getattr(Objective, name), left))
    left[0] = 10**9
    least_squares(wells, start)
    for press in range(2, 10**9 - left[0] + 1):
        left[0] = press
        found = least_squares(wells, start)
        assert left[0] <= 0 and found.stop == "stopped", press
        assert_allclose(found.fun, np.sum(wells(found.x) ** 2), rtol=1e-12)
        assert found.fun <= np.sum(wells(start) ** 2)
        assert not found.success or found.fun < 1e-20


def test_ctrl_c_at_the_very_last_evaluations_loses_no_minimum():
    calls, press = [0], [0]

    def valley(p):
        calls[0] += 1
        if calls[0] == press[0]:
            raise KeyboardInterrupt
        return np.array([10 * (float(p[1]) - float(p[0]) ** 2), 1 - float(p[0])])

    least_squares(valley, [-1.2, 1.0], derivatives="numeric")
    for press[0] in range(calls[0] - 10, calls[0] + 1):
        calls[0] = 0
        found = least_squares(valley, [-1.2, 1.0], derivatives="numeric")
        assert_allclose(found.x, [1.0, 1.0], atol=1e-6)
        assert_allclose(found.residual, 0.0, atol=1e-6)


@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), ([-9.0, -6.0], [9.0, 9.0])])
def test_a_start_without_residuals_is_left_for_the_minimum(bounds):
    t = np.linspace(0.5, 3.0, 12)
    found = least_squares(lambda p: p[0] * np.log(t + p[1]) - 2 * np.log(t + 1), [1.0, -5.0], bounds=bounds)
    assert found.success and "the walk began at p[0] = " in found.message
    assert_allclose(found.x, [2.0, 1.0], rtol=1e-9)


@pytest.mark.parametrize("seed", [3, 34, 0, 1])
@pytest.mark.parametrize("by", ["fit", "least_squares"])
def test_lines_that_meet_at_a_datum_end_in_their_lowest_place(seed, by):
    """Against the linear least squares of both slopes and the height, with the place where they meet searched for."""
    x = np.linspace(0.0, 500.0, 60)

    def lines(x, place, height, one, other):
        return np.where(x < place, height + one * (x - place), height + other * (x - place))

    def left(place):
        ahead = x - place
        A = np.column_stack([np.ones(60), np.minimum(ahead, 0.0), np.maximum(ahead, 0.0)])
        return float(np.sum((A @ np.linalg.lstsq(A, y)[0] - y) ** 2))

    curve = lines(x, x[26] + 0.3, 100.0, 0.5, -1.3)
    y = curve + 0.02 * np.std(curve) * np.random.default_rng(seed).standard_normal(60)
    between = [
        scipy.optimize.minimize_scalar(left, bounds=ends, method="bounded", options={"xatol": 1e-9}).fun
        for ends in pairwise(x[23:30])
    ]
    lowest = min(*between, *(left(place) for place in x[23:30]))
    start = np.array([200.0, 90.0, 1.0, -1.0])
    if by == "fit":
        found = st.fit(lines, x, y, start)
        cost = found.cost
    else:
        found = st.least_squares(lambda p: y - lines(x, *p), start)
        cost = np.sum((y - lines(x, *found.x)) ** 2)
    assert found.success and found.nfev < 1000
    assert lowest * (1 - 1e-9) < cost < lowest * (1 + 1e-7)
