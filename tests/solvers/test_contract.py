"""What every solver promises, one test each over the whole catalogue."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from steepest.bounds import Bounds
from steepest.solvers import Solver, StopReason, drive

from .problems import (
    BARRIER_MINIMUM,
    CATALOGUE,
    QUASI_NEWTON,
    barrier,
    box,
    cosh,
    name_of,
    objective,
    parabola,
    quadratic,
    rosenbrock,
)

CURVED = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]])
MINIMUM = np.array([1.0, -2.0, 0.5])
START = np.array([4.0, 3.0, -1.0])

every_solver = pytest.mark.parametrize("solver", CATALOGUE, ids=name_of)
every_quasi_newton = pytest.mark.parametrize("solver", QUASI_NEWTON, ids=name_of)


@every_solver
def test_every_solver_meets_the_protocol(solver):
    assert isinstance(solver, Solver)
    assert solver.name and solver.default_max_steps(3) > 0


@every_solver
def test_every_solver_finds_the_minimum_of_a_convex_quadratic(solver):
    run = drive(solver, objective(quadratic(CURVED, MINIMUM), 3), START)
    assert_allclose(run.x, MINIMUM, atol=1e-5)
    assert run.value <= run.history.value[0]
    assert run.stop.is_final


@every_solver
def test_no_solver_calls_the_cost_outside_its_bounds(solver):
    bounds = box([-1.5, -0.5], [0.5, 0.2])
    seen = []

    def watched(x):
        seen.append(x.copy())
        return rosenbrock(x)

    drive(solver, objective(watched, 2, bounds), np.array([-1.2, 1.0]), max_steps=300)
    assert seen and all(bounds.contains(x) for x in seen)


@every_solver
def test_every_solver_finds_a_minimum_on_the_bounds(solver):
    """Lowest over x >= 2, y <= -1 of a sum of parabolas around 1: the corner."""
    bounds = box([2.0, -4.0], [5.0, -1.0])
    run = drive(solver, objective(parabola, 2, bounds), np.array([4.0, -3.0]))
    assert_array_equal(run.x, [2.0, -1.0])
    assert run.stop == StopReason.SLOPE_ZERO


@every_solver
def test_a_start_outside_the_bounds_is_put_inside_first(solver):
    bounds = box([2.0], [5.0])
    run = drive(solver, objective(parabola, 1, bounds), np.array([-7.0]))
    assert run.history.x[0] == 2.0


@every_solver
def test_the_best_point_is_returned_even_when_later_ones_are_worse(solver):
    """A cost with narrow pits on the way: whatever was lowest is the answer."""
    seen = []

    def pitted(x):
        value = float(x @ x + 3.0 * np.sin(20.0 * x).sum())
        seen.append(value)
        return value, 2.0 * x + 60.0 * np.cos(20.0 * x)

    run = drive(solver, objective(pitted, 2), np.array([3.0, -2.0]), max_steps=200)
    assert run.value <= min(seen) + 1e-13 * abs(min(seen))
    assert pitted(run.x)[0] == run.value


@every_solver
def test_every_solver_walks_around_a_wall_of_nan(solver):
    run = drive(solver, objective(barrier, 2), np.array([0.11, 3.0]))
    assert_allclose(run.x, BARRIER_MINIMUM, rtol=1e-5)


@every_solver
def test_a_start_at_the_minimum_stops_at_once(solver):
    run = drive(solver, objective(parabola, 3), np.ones(3))
    assert run.stop == StopReason.SLOPE_ZERO and run.steps == 0 and run.value == 6.0


@every_solver
def test_a_start_that_is_not_finite_says_so(solver):
    run = drive(solver, objective(barrier, 2), np.zeros(2))
    assert run.stop == StopReason.NOT_FINITE
    assert_array_equal(run.x, np.zeros(2))


@every_solver
def test_permuting_the_parameters_permutes_the_path(solver):
    order = np.array([2, 0, 1])
    straight = drive(solver, objective(quadratic(CURVED, MINIMUM), 3), START, max_steps=6)
    permuted = drive(
        solver,
        objective(quadratic(CURVED[np.ix_(order, order)], MINIMUM[order]), 3),
        START[order],
        max_steps=6,
    )
    assert_allclose(permuted.history.x, straight.history.x[:, order], rtol=1e-6, atol=1e-6)


@every_quasi_newton
@pytest.mark.parametrize("factor", [1e-12, 1e-3, 1e9])
def test_scaling_the_cost_leaves_the_path_alone(solver, factor):
    def scaled(x):
        value, gradient = rosenbrock(x)
        return factor * value, factor * gradient

    start = np.array([-1.2, 1.0])
    plain = drive(solver, objective(rosenbrock, 2), start, max_steps=15)
    other = drive(solver, objective(scaled, 2), start, max_steps=15)
    assert_allclose(other.history.x, plain.history.x, rtol=1e-6)


@every_quasi_newton
def test_adding_a_constant_leaves_the_path_alone(solver):
    def raised(x):
        value, gradient = rosenbrock(x)
        return value + 8.0, gradient

    start = np.array([-1.2, 1.0])
    plain = drive(solver, objective(rosenbrock, 2), start, max_steps=15)
    other = drive(solver, objective(raised, 2), start, max_steps=15)
    assert_allclose(other.history.x, plain.history.x, rtol=1e-6)


@every_quasi_newton
def test_moving_the_origin_moves_the_path(solver):
    def moved(x):
        return rosenbrock(x - 4.0)

    start = np.array([-1.25, 1.0])
    plain = drive(solver, objective(rosenbrock, 2), start, max_steps=15)
    other = drive(solver, objective(moved, 2), start + 4.0, max_steps=15)
    assert_allclose(other.history.x - 4.0, plain.history.x, rtol=1e-6)


@every_solver
@pytest.mark.parametrize("allowed", [1, 2, 7])
def test_a_budget_of_evaluations_is_kept_exactly(solver, allowed):
    calls = []

    def counted(x):
        calls.append(None)
        return cosh(x)

    run = drive(solver, objective(counted, 3, evaluations=allowed), START)
    assert len(calls) == allowed
    assert run.stop == StopReason.OUT_OF_BUDGET
    assert str(allowed) in run.reason


@every_solver
def test_a_budget_of_steps_is_kept_exactly(solver):
    run = drive(solver, objective(cosh, 3, steps=4), START)
    assert run.steps == 4 and run.stop == StopReason.OUT_OF_BUDGET


@every_solver
@pytest.mark.parametrize("call", [1, 2, 7])
def test_ctrl_c_inside_the_cost_returns_the_best_point(solver, call):
    values = []

    def interrupted(x):
        if len(values) + 1 == call:
            raise KeyboardInterrupt
        value, gradient = cosh(x)
        values.append(value)
        return value, gradient

    run = drive(solver, objective(interrupted, 3), START)
    assert run.stop == "stopped"
    if call == 1:
        assert_array_equal(run.x, START)
    else:
        assert run.value == min(values) == cosh(run.x)[0]


@every_solver
def test_a_state_can_be_stepped_twice_with_the_same_outcome(solver):
    problem = objective(quadratic(CURVED, MINIMUM), 3)
    state = solver.init(problem, START)
    for _ in range(6):
        first = solver.step(problem, state)
        x, value = first.x.copy(), first.value
        again = solver.step(problem, state)
        assert_array_equal(again.x, x)
        assert again.value == value
        state = again


@every_solver
def test_the_start_and_the_answer_are_never_aliased(solver):
    start = np.array([4.0, 3.0, -1.0])
    run = drive(solver, objective(quadratic(CURVED, MINIMUM), 3), start, max_steps=5)
    assert_array_equal(start, [4.0, 3.0, -1.0])
    kept = run.history.x.copy()
    run.x[:] = np.nan
    run.gradient[:] = np.nan
    assert_array_equal(run.history.x, kept)


@every_solver
def test_a_fixed_parameter_never_moves(solver):
    bounds = Bounds(np.array([-np.inf, 0.25]), np.array([np.inf, 0.25]))
    run = drive(solver, objective(parabola, 2, bounds), np.array([5.0, 0.25]))
    assert_allclose(run.x, [1.0, 0.25], atol=1e-6)
    assert (run.history.x[:, 1] == 0.25).all()
