"""The driver: callbacks in both forms, errors with context, history, and stops of every kind."""

from __future__ import annotations

import json
import tracemalloc
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from steepest.errors import InputError
from steepest.objective import Objective
from steepest.solvers import StopReason, Tolerance, bfgs, drive, gradient_descent, lbfgs, newton
from steepest.solvers.history import History
from steepest.solvers.stopping import Progress

from .problems import CATALOGUE, QUASI_NEWTON, absolute, name_of, objective, parabola, rosenbrock

START = np.array([-1.2, 1.0])


def test_a_callback_of_x_sees_every_iterate_in_the_users_structure():
    seen = []
    run = drive(
        bfgs(),
        objective(rosenbrock, 2),
        START,
        callback=lambda xk: seen.append(xk),
        restore=lambda x: {"a": float(x[0]), "b": float(x[1])},
    )
    assert_array_equal([[x["a"], x["b"]] for x in seen], run.history.x[1 : len(seen) + 1])
    assert len(seen) in (run.steps, run.steps - 1)


def test_a_callback_named_intermediate_result_gets_x_and_fun():
    seen = []

    def callback(intermediate_result):
        seen.append((intermediate_result.x.copy(), intermediate_result["fun"], intermediate_result.nit))
        intermediate_result.x[:] = np.nan  # nobody else holds this array

    drive(bfgs(), objective(rosenbrock, 2), START, callback=callback, max_steps=5)
    assert [steps for _, _, steps in seen] == [1, 2, 3, 4, 5]
    for x, value, _ in seen:
        assert value == rosenbrock(x)[0]


def test_a_callback_stops_the_walk_by_returning_true():
    run = drive(bfgs(), objective(rosenbrock, 2), START, callback=lambda x: True)
    assert run.steps == 1 and run.stop == StopReason.STOPPED and "callback" in run.reason


def test_a_callback_stops_the_walk_by_raising_stop_iteration():
    def callback(xk):
        raise StopIteration

    run = drive(bfgs(), objective(rosenbrock, 2), START, callback=callback)
    assert run.steps == 1 and run.stop == StopReason.STOPPED


def test_what_a_callback_returns_otherwise_is_ignored():
    run = drive(bfgs(), objective(rosenbrock, 2), START, callback=lambda x: x)
    assert run.stop.is_final


def test_an_error_in_the_cost_passes_through_and_says_where_the_walk_was():
    def broken(x):
        if x[1] < 0.9:
            raise ZeroDivisionError("mine")
        return rosenbrock(x)

    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        drive(lbfgs(), objective(broken, 2), np.array([-1.2, 2.0]))
    assert "L-BFGS" in caught.value.__notes__[0]


def test_an_error_in_the_callback_passes_through():
    def callback(xk):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        drive(bfgs(), objective(rosenbrock, 2), START, callback=callback)


def test_the_seconds_of_the_budget_end_the_walk():
    problem = objective(parabola, 1, seconds=0.02)
    problem.start_clock()
    run = drive(gradient_descent(rate=1e-12), problem, np.array([3.0]))
    assert run.stop == StopReason.OUT_OF_BUDGET and "seconds" in run.reason
    assert run.value < 6.0


@pytest.mark.parametrize("solver", CATALOGUE, ids=name_of)
def test_the_history_has_a_row_for_the_start_and_each_step(solver):
    run = drive(solver, objective(parabola, 2), np.array([4.0, -3.0]), max_steps=6)
    history = run.history
    assert len(history) == run.steps + 1
    assert_allclose(history.value, [parabola(x)[0] for x in history.x], rtol=1e-15)
    assert_allclose(history.gradient, [parabola(x)[1] for x in history.x], rtol=1e-15)
    assert_allclose(history.gradient_norm, np.linalg.norm(history.gradient, axis=1), rtol=1e-14)
    assert_allclose(history.step, np.diff(history.x, axis=0), atol=1e-14)
    assert_allclose(history.step_length[1:], np.linalg.norm(history.step, axis=1), rtol=1e-14)
    assert history.step_length[0] == 0.0
    assert (np.diff(history.evaluations) >= 1).all() and (np.diff(history.seconds) >= 0.0).all()
    assert json.loads(json.dumps(history.to_dict()))["value"] == history.value.tolist()


def test_a_long_history_is_thinned_evenly():
    history = History(1)
    history._room = 8
    for k in range(100):
        x = np.array([float(k)])
        history.append(x, float(k), x, float(k), None if k == 0 else np.ones(1), 1.0, k)
    assert len(history) == 100
    assert_array_equal(history.kept, history.x[:, 0])
    assert len(set(np.diff(history.kept))) == 1 and len(history.kept) <= 8
    assert_array_equal(history.step, np.diff(history.x, axis=0))


def test_an_earlier_leg_can_be_put_in_front():
    first = drive(bfgs(), objective(rosenbrock, 2), START, max_steps=3).history
    second = drive(bfgs(), objective(rosenbrock, 2), np.array([0.5, 0.5]), max_steps=2).history
    own = second.x.copy()
    second.prepend(first)
    assert_array_equal(second.x, np.concatenate([first.x, own]))
    assert_array_equal(second.kept, np.arange(7))
    assert_allclose(second.step, np.diff(second.x, axis=0), atol=1e-15)
    assert_allclose(second.step_length[4], np.linalg.norm(own[0] - first.x[-1]))


@pytest.mark.parametrize("solver", QUASI_NEWTON, ids=name_of)
def test_falling_without_limit_is_told(solver):
    falling = drive(solver, objective(lambda x: (float(x[0]), np.ones(1)), 1), np.zeros(1))
    assert falling.stop in (StopReason.UNBOUNDED, StopReason.RUNAWAY)
    steep = drive(solver, objective(lambda x: (float(-np.exp(x[0])), -np.exp(x)), 1), np.zeros(1))
    assert steep.stop in (StopReason.UNBOUNDED, StopReason.NOT_FINITE, StopReason.RUNAWAY)


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
def test_tol_bounds_what_is_left_to_gain(tol):
    run = drive(bfgs(), objective(rosenbrock, 10), np.tile(START, 5), tolerance=tol)
    gained = run.history.value[0] - run.value
    assert run.stop == StopReason.TOLERANCE
    assert run.value - 0.0 <= 10.0 * tol * gained or abs(run.value - 3.98657) <= 10.0 * tol * gained


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_tol_means_the_same_for_a_scaled_and_shifted_cost(factor):
    def other(x):
        value, gradient = rosenbrock(x)
        return factor * (value + 3.0), factor * gradient

    plain = drive(bfgs(), objective(rosenbrock, 2), START, tolerance=1e-6)
    scaled = drive(bfgs(), objective(other, 2), START, tolerance=1e-6)
    assert plain.steps == scaled.steps


@pytest.mark.parametrize(
    ("tolerance", "word"),
    [(Tolerance(gradient=1e-3), "gtol"), (Tolerance(value=1e-5), "ftol"), (Tolerance(step=1e-3), "xtol")],
)
def test_scipys_tolerances_stop_the_walk(tolerance, word):
    run = drive(bfgs(), objective(rosenbrock, 2), START, tolerance=tolerance)
    assert run.stop == StopReason.TOLERANCE and word in run.reason
    if word == "gtol":
        assert np.abs(run.gradient).max() <= 1e-3


def test_a_negative_tolerance_is_refused():
    with pytest.raises(InputError, match="remaining"):
        Tolerance(remaining=-1.0)


def test_noise_does_not_keep_the_walk_going_for_ever():
    def noisy(x):
        value, gradient = rosenbrock(x)
        return value + 1e-9 * np.sin(1e9 * value + 1e12 * x[0]), gradient

    run = drive(bfgs(), objective(noisy, 2), START)
    assert run.history.evaluations[-1] < 500
    assert_allclose(run.x, [1.0, 1.0], atol=1e-4)


def test_a_flat_kink_ends_the_walk():
    run = drive(bfgs(), objective(absolute, 2), np.array([3.0, 1.0]))
    assert run.stop.is_final and run.history.evaluations[-1] < 1000


def test_the_parameters_may_be_none_at_all():
    run = drive(bfgs(), objective(lambda x: (7.0, np.zeros(0)), 0), np.zeros(0))
    assert run.stop == StopReason.SLOPE_ZERO and run.value == 7.0


def chained(n):
    """A tridiagonal least-squares cost, its Hessian's eigenvalues between 2 and 42, and its minimum."""
    linalg = pytest.importorskip("scipy.linalg")
    target = np.sin(0.01 * np.arange(n))
    diagonal = np.full(n, 42.0)
    diagonal[[0, -1]] = 22.0
    bands = np.vstack([np.full(n, -20.0), diagonal])
    minimum = linalg.solveh_banded(bands, 2.0 * target)

    def cost(x):
        jump, off = np.diff(x), x - target
        gradient = 2.0 * off
        gradient[1:] += 20.0 * jump
        gradient[:-1] -= 20.0 * jump
        return float(np.sum(off * off) + 10.0 * np.sum(jump * jump)), gradient

    return cost, minimum


def test_a_large_walk_ends_where_the_cost_can_tell_nothing_more():
    n = 150_000
    cost, minimum = chained(n)
    run = drive(lbfgs(), objective(cost, n), np.zeros(n))
    assert run.stop is StopReason.ROUNDING and "below rounding of the cost" in run.reason
    off = run.x - minimum
    gap = float(np.sum(off * off) + 10.0 * np.sum(np.diff(off) ** 2))  # a quadratic is its own Taylor series
    assert gap <= np.finfo(float).eps * run.value
    values = run.history.value
    assert values[-15] - values[-1] > np.finfo(float).eps * values[-1]  # the steps before were not idle


def test_a_small_walk_goes_on_for_the_last_digits_of_the_slope():
    cost, minimum = chained(1_000)
    run = drive(lbfgs(), objective(cost, 1_000), np.zeros(1_000))
    assert_allclose(run.x, minimum, rtol=0, atol=1e-14)


def test_a_walk_on_measured_slopes_ends_when_every_one_is_within_its_error():
    error = np.array([1e-6, 1e-4])
    problem = Objective(
        2,
        value_and_gradient=lambda x: (float(x @ x), 2 * x + 0.1 * error * np.cos(1e9 * x)),
        derivatives="numeric",
        gradient_error=lambda: error,
    )
    run = drive(bfgs(), problem, np.array([2.0, 1.0]))
    assert run.stop is StopReason.ROUNDING and "error of its measurement" in run.reason
    assert run.steps <= 20
    assert (np.abs(run.x) <= error).all()


def test_a_walk_that_stepped_back_from_minus_infinity_does_not_end_there():
    """The first step lands beyond 2.5, where the cost is -inf; the last ones are lost in rounding at 1/3."""
    met = []

    def value_and_gradient(x):
        z = x[0] - 1 / 3
        met.append(x[0] > 2.5)
        return (-np.inf, np.array([np.nan])) if met[-1] else (1e6 + np.cosh(z), np.array([np.sinh(z) + 1e-9]))

    def too_small(x):
        return np.array([[0.1 * max(abs(x[0] - 1 / 3), 0.01)]])

    run = drive(
        newton(), Objective(1, value_and_gradient=value_and_gradient, hessian=too_small), np.array([-3.0])
    )
    assert met[1]
    assert_allclose(run.x, 1 / 3, atol=1e-6)
    assert run.stop == StopReason.ROUNDING


@pytest.mark.parametrize(("grain", "ends"), [(0.0, 1), (1e-11, 2)])
def test_of_values_a_solver_calls_equal_the_one_with_the_smallest_slope_is_kept(grain, ends):
    """Residuals that are differences of large numbers: the cost is off by more than rounding of its own size."""
    values, slopes = [2.0, 1.0, 1.0 + 3e-12], [1.0, 1e-4, 1e-9]

    class Told:
        name, remedy = "told", ""

        def default_max_steps(self, n):
            return 2

        def _at(self, k):
            step = None if k == 0 else np.array([1e-3])
            told = {"x": np.array([float(k)]), "value": values[k], "gradient": np.array([slopes[k]])}
            return SimpleNamespace(**told, step=step, decrease=1.0, stop=None, grain=grain, k=k)

        def init(self, objective, x):
            return self._at(0)

        def step(self, objective, state):
            return self._at(state.k + 1)

    plain = Objective(1, value_and_gradient=lambda x: (float(x @ x), 2 * x))
    run = drive(Told(), plain, np.array([0.0]))
    assert run.x[0] == ends


def test_a_walk_of_many_parameters_holds_the_pairs_and_four_vectors_when_the_cost_is_asked():
    """The point, its slope, the direction and the trial point: no step, and no trial slope that was refused."""
    n, remembered, held = 100_000, 3, []
    weights = np.linspace(1.0, 1e3, n)

    def quartic(x):
        held.append(tracemalloc.get_traced_memory()[0] / (8 * n))
        cubes = weights * x**3
        return float(cubes @ x) / 4.0, cubes

    start = np.ones(n)
    tracemalloc.start()
    try:
        run = drive(lbfgs(memory=remembered), Objective(n, value_and_gradient=quartic), start, max_steps=12)
    finally:
        tracemalloc.stop()
    assert run.steps == 12 < len(held) - 1  # some trials were refused
    assert max(held) < 2 * remembered + 4.2


def test_a_short_step_where_the_model_promises_more_is_no_end_among_equal_costs():
    """The last step was cut to 1e-33, as by a wall; the model's next one promises a tenth of the cost, or none."""
    slope, step = np.array([1.0, 0.0]), np.array([1e-33, 0.0])

    def stop_after_one(left):
        progress = Progress(1.0, Tolerance(), "")
        assert progress.check_start(np.zeros(2), 1.0, slope) is None
        return progress.check(step, 1.0, 1.0, 1.0, slope, step, 1e-33, left, 0.0)

    assert stop_after_one(0.1) is None
    assert stop_after_one(np.inf) is None
    assert stop_after_one(1e-32) is StopReason.ROUNDING


@pytest.mark.parametrize(("n", "ends"), [(300, False), (301, True)])
def test_many_parameters_take_no_steps_for_what_a_solver_knows_to_be_rounding(n, ends):
    """The cost goes up and down by 1e-13, and each residual is a difference that may be off by as much."""
    slope, step = np.full(n, 1e-7), np.full(n, 1e-6)

    def stop_after(steps, grain):
        progress = Progress(1.0, Tolerance(), "")
        assert progress.check_start(np.zeros(n), 1.0, slope) is None
        values = 1.0 - 1e-13 * (np.arange(steps + 1) % 2)
        for before, value in pairwise(values):
            stop = progress.check(step, value, before, 1.0, slope, step, 1e-5, 1e-10, grain)
            if stop is not None:
                return stop
        return None

    assert (stop_after(20, 3e-13) is not None) is ends
    assert stop_after(20, 0.0) is None


def test_a_walk_gives_way_after_so_many_steps_only_where_it_is_told_to():
    start = np.array([-1.2, 1.0, -1.2, 1.0])
    whole = drive(bfgs(), Objective(4, value_and_gradient=rosenbrock), start)
    asked = []

    def answered(answer):
        valley = Objective(4, value_and_gradient=rosenbrock)
        return drive(bfgs(), valley, start, gives_way=(5, lambda: asked.append(1) or answer))

    cut, uncut = answered(True), answered(False)
    assert cut.stop is StopReason.OUT_OF_BUDGET and cut.steps == 5 and "after 5 steps" in cut.reason
    assert_array_equal(cut.x, whole.history.x[5])
    assert uncut.stop is whole.stop and uncut.steps == whole.steps
    assert_array_equal(uncut.x, whole.x)
    assert len(asked) == 2
