"""Minima on a bound at which the slope is infinite, as that of √x is at zero."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import Verdict, minimize
from steepest.bounds import Bounds
from steepest.objective import Objective


def lowest_beside_the_wall(target):
    """Where √x + (x - target)²/2 has its minima for x > 0: roots of 1/(2√x) = target - x with an upward bend."""
    roots = np.roots([1.0, 0.0, -target, 0.5])  # in √x
    real = roots[np.abs(roots.imag) < 1e-9].real
    places = real[real > 0] ** 2
    return places[1 - 0.25 * places**-1.5 > 0]


@pytest.mark.parametrize("n", [4, 500])
def test_a_sum_of_roots_ends_in_a_minimum_of_each_of_its_terms(n):
    targets = np.linspace(0.1, 5.0, n)
    found = minimize(
        lambda x: np.sum(np.sqrt(x)) + 0.5 * np.sum((x - targets) ** 2), np.ones(n), bounds=[(0, None)] * n
    )
    assert found.verdict is Verdict.LOCAL_MINIMUM, found.message
    on_bound = found.x == 0.0
    assert 0 < on_bound.sum() < n
    for x, target in zip(found.x[~on_bound], targets[~on_bound], strict=True):
        assert np.abs(lowest_beside_the_wall(target) - x).min() < 1e-8
    assert np.isposinf(found.jac[on_bound]).all()
    assert_allclose(found.jac[~on_bound], 0.0, atol=1e-9)


def test_the_wall_may_be_an_upper_bound():
    """-(x + y) falls towards the bounds at 2; the root makes its slope at x = 2 infinite and downhill to there."""
    found = minimize(
        lambda x: np.sqrt(2 - x[0]) + (x[1] - x[0]) ** 2 + 0.1 * x[1] ** 4,
        [1.9, 0.5],
        bounds=[(0, 2), (0, 2)],
    )
    assert found.verdict is Verdict.LOCAL_MINIMUM, found.message
    assert found.x[0] == 2.0
    (y,) = [r.real for r in np.roots([0.4, 0.0, 2.0, -4.0]) if abs(r.imag) < 1e-9]  # 2(y - 2) + 0.4 y³ = 0
    assert_allclose(found.x[1], y, rtol=1e-9)


def test_a_cost_as_low_as_it_can_be_is_a_minimum_without_a_slope():
    """(√x - 0)² has no slope at zero by the chain rule: zero times infinity."""
    target = np.array([0.0, 1.0, 2.0])
    found = minimize(lambda x: np.sum((np.sqrt(x) - target) ** 2), np.full(3, 0.5), bounds=[(0, None)] * 3)
    assert found.verdict is Verdict.GLOBAL_MINIMUM, found.message
    assert_allclose(found.x, target**2, atol=1e-12)


def test_slopes_that_pull_away_from_a_bound_are_no_walls():
    box = Bounds(np.zeros(3), np.ones(3))
    x, slope = np.array([0.0, 1.0, 0.5]), np.array([-np.inf, np.inf, np.inf])
    assert not box.walls(x, slope).any()
    assert box.walls(x, -slope).tolist() == [True, True, False]


@pytest.mark.parametrize("derivatives", ["auto", "numeric"])
@pytest.mark.parametrize(
    ("cost", "start", "bounds", "where", "tolerance"),
    [
        (lambda x: np.sum(x - np.log(x)), np.zeros(3), None, np.ones(3), 1e-6),
        (lambda x: np.sum(x - np.log(x)), np.full(30, -1.0), None, np.ones(30), 1e-6),
        (
            lambda x: np.sum(x - np.log(x)),
            np.array([0.0, 5.0]),
            [(0, 0.5), (0, 5)],
            np.array([0.5, 1.0]),
            1e-6,
        ),
        (lambda x: np.sum(1 / x + 4 * x), np.zeros(2), [(0, 9)] * 2, np.full(2, 0.5), 1e-6),
        (lambda x: np.sum(np.exp(x) - 2 * x), np.array([800.0]), None, np.log([2.0]), 1e-6),
        (lambda x: np.sum((np.log(x) - 1) ** 2), np.zeros(2), None, np.full(2, np.e), 1e-5),
        (lambda x: x[0] - np.log(1 - x @ x), np.full(2, 3.0), None, np.array([1 - np.sqrt(2), 0.0]), 1e-6),
    ],
    ids=["log at 0", "log of negative", "log between bounds", "pole", "overflow", "residuals", "ball"],
)
def test_a_start_without_a_cost_is_left_for_the_minimum(cost, start, bounds, where, tolerance, derivatives):
    """The minima are where the slope, written by hand, is zero; and the message says where the walk began."""
    low, high = (-np.inf, np.inf) if bounds is None else np.array(bounds, dtype=float).T
    outside = []

    def watched(x):
        if derivatives == "numeric":
            outside.append(bool(np.any((x < low) | (x > high))))
        return cost(x)

    with np.errstate(all="ignore"):
        assert not np.isfinite(cost(start))
    found = minimize(watched, start, bounds=bounds, derivatives=derivatives)
    assert found.success, found.message
    assert_allclose(found.x, where, atol=tolerance)
    assert_allclose(found.fun, cost(found.x), rtol=1e-12)
    assert "The cost has no value at the start; the walk began at x[0] = " in found.message
    assert not any(outside)


def test_a_cost_without_a_value_anywhere_is_given_up_soon_and_said_to_be_not_finite():
    found = minimize(lambda x: np.sum(x) * np.nan, np.ones(4))
    assert found.verdict is Verdict.NOT_FINITE and not found.success
    assert found.nfev <= 40
    assert found.x.tolist() == [1.0] * 4 and np.isnan(found.fun)


def test_a_budget_that_ends_while_a_start_with_a_cost_is_looked_for_is_kept():
    found = minimize(lambda x: np.log(x - 10.0) ** 2, 0.0, budget=5)
    assert found.nfev <= 5 and found.verdict is Verdict.NOT_FINITE


def test_many_starts_leave_places_without_a_cost():
    found = minimize(lambda x: np.sum(x - np.log(x)), np.full(3, -1.0), starts=4)
    assert found.success and len(found.minima) == 1 and found.minima[0].starts == 4
    assert_allclose(found.x, 1.0, atol=1e-7)


@pytest.mark.parametrize("starts", [None, 1, 3])
def test_ctrl_c_between_two_walks_loses_nothing(monkeypatch, starts):
    """Pressed at any evaluation after the first: on a saddle, while a way down from there is looked for, too."""

    def wells(x):
        return (x[0] ** 2 - 1) ** 2 + (x[1] ** 2 - 1) ** 2

    start, calls = np.array([0.0, 0.5]), []
    for name in ("value", "value_and_gradient", "linearised"):
        monkeypatch.setattr(Objective, name, pressing(getattr(Objective, name), calls))
    for press in range(2, 5):
        calls[:] = [press]
        found = minimize(wells, start, starts=starts)
        assert found.fun == pytest.approx(wells(found.x), rel=1e-12)
        assert found.fun <= wells(start)
        assert calls[0] <= 0


@pytest.mark.parametrize("starts", [None, 3])
def test_ctrl_c_while_lower_minima_are_looked_for_is_told_and_the_minimum_kept(monkeypatch, starts):
    def wells(x):  # the lowest near (-1.04, -1.04)
        return (x[0] ** 2 - 1) ** 2 + (x[1] ** 2 - 1) ** 2 + 0.3 * (x[0] + x[1])

    start, calls = np.array([1.5, 0.5]), []
    minimize(wells, start, starts=starts)  # whatever is compiled is compiled
    for name in ("value", "value_and_gradient", "hessian", "linearised"):
        monkeypatch.setattr(Objective, name, pressing(getattr(Objective, name), calls))
    calls[:] = [0]
    minimize(wells, start, starts=starts)
    evaluations, kept = -calls[0], 0
    for press in range(2, evaluations + 1):
        calls[:] = [press]
        found = minimize(wells, start, starts=starts)
        assert calls[0] <= 0 and found.stop == "stopped" and "keyboard" in found.reason
        assert found.fun == pytest.approx(wells(found.x), rel=1e-12)
        assert found.fun <= wells(start)
        if found.success:
            slope = 4 * found.x * (found.x**2 - 1) + 0.3
            assert np.abs(slope).max() < 1e-4
            kept += 1
    assert kept > 3


def test_ctrl_c_while_advice_is_sought_loses_nothing(monkeypatch):
    from steepest.doctor import advice

    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(advice, "advised", pressed)
    found = minimize(lambda x: np.sum(np.exp(-x)), np.ones(2))
    assert found.verdict == "infimum not attained" and found.fun < 1e-9


def test_ctrl_c_while_the_end_is_judged_returns_that_end(monkeypatch):
    def corner(x):
        return np.maximum(x[0] ** 2 + x[1] ** 2, (x[0] - 2) ** 2 + x[1])

    start, calls = np.array([1.0, 1.0]), []
    for name in ("value", "value_and_gradient", "linearised"):
        monkeypatch.setattr(Objective, name, pressing(getattr(Objective, name), calls, everywhere=True))
    not_judged = 0
    for press in range(2, 60, 2):
        calls[:] = [press]
        found = minimize(corner, start)
        assert found.fun == pytest.approx(corner(found.x), rel=1e-12)
        assert found.fun <= corner(start)
        if "while the end of the walk was judged" in found.message:
            assert found.verdict == "stopped" and found.stop == "stopped" and not found.success
            not_judged += 1
    assert not_judged > 0


@pytest.mark.parametrize("constraints", [None, {"type": "ineq", "fun": lambda x: 3.0 - x[0]}])
@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_ctrl_c_while_a_gradient_handed_in_is_compared_gives_back_the_start(factor, constraints):
    start, left = [-1.2, 1.0], 0

    def called():
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt

    def valley(x):
        called()
        return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2

    def slope(x):
        called()
        bend = 200.0 * (x[1] - x[0] ** 2)
        return factor * np.array([2.0 * (x[0] - 1.0) - 2.0 * x[0] * bend, bend])

    stopped = 0
    for press in range(1, 12):  # so many calls the comparison takes
        left = press
        found = minimize(valley, start, jac=slope, constraints=constraints)
        assert found.fun == pytest.approx(valley(found.x), rel=1e-12) and found.fun <= valley(start)
        assert not found.success or factor == 1.0
        stopped += found.stop == "stopped"
    assert stopped >= 10


def pressing(evaluate, calls, everywhere=False):
    """`evaluate`, which Ctrl-C interrupts once as many evaluations as `calls[0]` says were counted down.

    `everywhere`: those of the judge count as well.
    """

    def interrupted(self, x):
        if self._keeps_best or everywhere:
            calls[0] -= 1
            if calls[0] == 0:
                raise KeyboardInterrupt
        return evaluate(self, x)

    return interrupted
