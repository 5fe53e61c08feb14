"""Gradient descent against its closed form and against optax."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from steepest.errors import InputError
from steepest.solvers import StopReason, adam, drive, gradient_descent, momentum, nesterov

from .problems import box, objective, parabola, rosenbrock


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_the_walk_on_the_parabola_is_its_closed_form(rate):
    """x_k = 1 + (x₀ - 1)(1 - 2·rate)^k."""
    history = drive(gradient_descent(rate=rate), objective(parabola, 1), np.array([3.0])).history
    k = np.arange(len(history))
    assert_allclose(history.x[:, 0], 1.0 + 2.0 * (1.0 - 2.0 * rate) ** k, rtol=1e-12)


def test_each_step_is_minus_the_rate_times_the_slope_exactly():
    history = drive(gradient_descent(rate=0.1), objective(parabola, 1), np.array([3.0])).history
    assert_array_equal(history.step, -0.1 * history.gradient[:-1])
    assert_array_equal(history.x[1:], history.x[:-1] + history.step)


def test_the_lesson_ends_when_the_slope_is_lost_in_rounding():
    run = drive(gradient_descent(rate=0.1), objective(parabola, 1), np.array([3.0]))
    assert 100 < run.steps < 250
    assert run.stop.is_final
    assert_allclose([run.x[0], run.value], [1.0, 2.0], rtol=1e-15)


@pytest.mark.parametrize("rate", [1.05, 1.5, 40.0])
def test_a_rate_that_overshoots_is_told_so_and_the_best_point_kept(rate):
    run = drive(gradient_descent(rate=rate), objective(parabola, 1), np.array([3.0]))
    assert run.stop == StopReason.DIVERGED
    assert "rate above 2/curvature" in run.reason
    assert run.x[0] == 3.0 and run.value == 6.0


def test_a_rate_of_exactly_two_over_curvature_ends_without_a_lower_point():
    run = drive(gradient_descent(rate=1.0), objective(parabola, 1), np.array([3.0]))
    assert run.stop == StopReason.NO_PROGRESS
    assert "rate above 2/curvature" in run.reason
    assert run.value == 6.0


def test_the_measured_rate_is_half_of_one_over_the_largest_curvature():
    def bowl(x):
        return float(50.0 * x[0] ** 2 + x[1] ** 2), np.array([100.0 * x[0], 2.0 * x[1]])

    solver = gradient_descent()
    state = solver.init(objective(bowl, 2), np.array([0.3, 5.0]))
    assert_allclose(state.rate, 0.5 / 100.0, rtol=1e-3)


def test_a_measured_rate_never_lets_the_cost_rise():
    value = drive(
        gradient_descent(), objective(rosenbrock, 2), np.array([-1.2, 1.0]), max_steps=500
    ).history.value
    assert (np.diff(value) <= 1e-14 * value[:-1]).all()


def test_inside_bounds_the_step_is_projected():
    history = drive(
        gradient_descent(rate=0.1), objective(parabola, 1, box([2.0], [9.0])), np.array([3.0])
    ).history
    assert_allclose(history.x[:4, 0], [3.0, 2.6, 2.28, 2.024], rtol=1e-14)
    assert history.x[-1, 0] == 2.0


@pytest.mark.parametrize(
    ("solver", "build"),
    [
        (gradient_descent(rate=1e-3), lambda optax: optax.sgd(1e-3)),
        (momentum(rate=1e-3), lambda optax: optax.sgd(1e-3, momentum=0.9)),
        (nesterov(rate=1e-3), lambda optax: optax.sgd(1e-3, momentum=0.9, nesterov=True)),
        (adam(rate=0.05), lambda optax: optax.adam(0.05)),
        (adam(rate=0.05, mean_decay=0.8, square_decay=0.95), lambda optax: optax.adam(0.05, b1=0.8, b2=0.95)),
    ],
    ids=["plain", "momentum", "nesterov", "adam", "adam with its own decays"],
)
def test_every_update_is_the_one_optax_makes(solver, build):
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    start = np.array([-1.2, 1.0, 0.5])
    walked = drive(solver, objective(rosenbrock, 3), start, max_steps=40).history.x
    with jax.enable_x64(True):
        rule = build(optax)
        x, state = jax.numpy.asarray(start), None
        state = rule.init(x)
        for expected in walked[1:]:
            update, state = rule.update(jax.numpy.asarray(rosenbrock(np.asarray(x))[1]), state, x)
            x = optax.apply_updates(x, update)
            assert_allclose(expected, np.asarray(x), rtol=1e-9)


def test_adam_moves_every_parameter_by_its_rate_at_first():
    def lopsided(x):
        return float(1e6 * x[0] ** 2 + 1e-6 * x[1] ** 2), np.array([2e6 * x[0], 2e-6 * x[1]])

    history = drive(adam(rate=0.01), objective(lopsided, 2), np.array([1.0, 1.0]), max_steps=1).history
    assert_allclose(history.step[0], [-0.01, -0.01], rtol=0.01)


@pytest.mark.parametrize(
    "build",
    [
        lambda: gradient_descent(rate=0.0),
        lambda: gradient_descent(rate=float("nan")),
        lambda: momentum(rate=0.1, momentum=1.0),
        lambda: adam(rate=-1.0),
        lambda: adam(square_decay=1.0),
    ],
)
def test_settings_that_cannot_work_are_refused(build):
    with pytest.raises(InputError):
        build()
