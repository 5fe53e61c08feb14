"""Loops whose turns need each other: the same values and slopes as turn by turn, in few equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from numpy.testing import assert_allclose
from scipy.special import logsumexp

from steepest import minimize
from steepest.parameters import Parameters
from steepest.traced import evaluation
from steepest.tracing.recurrences import with_loops
from steepest.tracing.trace import trace

RNG = np.random.default_rng(8)
N = 120
Y = np.cumsum(0.3 * RNG.normal(size=N)) + RNG.normal(size=N)
COUNTS = RNG.poisson(np.where(np.arange(N) % 40 < 20, 1.0, 5.0))


def moving_average(p):
    noise = np.zeros(N)
    for t in range(1, N):
        noise[t] = (Y[t] - p[0]) - p[1] * (Y[t - 1] - p[0]) - p[2] * noise[t - 1]
    return np.sum(noise**2) / p[3] ** 2 + N * np.log(p[3] ** 2)


def two_lags(p):
    series = [p[2], p[3]]
    for t in range(N):
        series.append(p[0] * series[-1] + p[1] * series[-2] + 0.01 * Y[t])
    return np.sum((np.array(series[2:]) - Y) ** 2)


def variance(p):
    s = 1.0
    total = 0.0
    for t in range(1, N):
        s = p[0] ** 2 + 0.1 * p[1] ** 2 * Y[t - 1] ** 2 + 0.3 * p[2] ** 2 * s
        total += 0.5 * (np.log(s) + Y[t] ** 2 / s) - 1e-3 * p[3] * s
    return total


def kalman(p):
    step = np.array([[1.0, 1.0], [0.0, 1.0]])
    look = np.array([[1.0, 0.0]])
    Q, R = np.diag(np.exp(p[:2])), np.exp(p[2]) * np.eye(1)
    m, P = np.zeros(2) + 0.1 * p[3], 10 * np.eye(2)
    total = 0.0
    for y in Y:
        m = step @ m
        P = step @ P @ step.T + Q
        S = look @ P @ look.T + R
        e = np.array([y]) - look @ m
        total += 0.5 * (np.log(np.linalg.det(S)) + e @ np.linalg.inv(S) @ e)
        K = P @ look.T @ np.linalg.inv(S)
        m = m + K @ e
        P = (np.eye(2) - K @ look) @ P
    return total


def hidden_markov(p):
    rate = np.exp(p[:2])
    stay = 1 / (1 + np.exp(-p[2:4]))
    log_step = np.log(np.array([[stay[0], 1 - stay[0]], [1 - stay[1], stay[1]]]))
    forward = np.zeros(2)
    for count in COUNTS:  # among them 0 and 1, which make operations of a turn fall away
        forward = logsumexp(forward[:, None] + log_step, axis=0) + count * np.log(rate) - rate
    return -logsumexp(forward)


def orbit(p):
    def pull(u):
        return np.array([p[0] * u[0] - 0.2 * u[0] * u[1], -p[1] * u[1] + 0.1 * u[0] * u[1]])

    u, path = np.array([1.0 + p[2], 1.0 + p[3]]), np.zeros((N, 2))
    for i in range(N):
        path[i] = u
        k1 = pull(u)
        k2 = pull(u + 0.025 * k1)
        u = u + 0.05 * k2
    return np.sum((path[:, 0] - 1.0) ** 2) + path[-1] @ path[-1]


def backwards(p):
    """Written from the last row to the first, each read by the next."""
    value = np.zeros(N)
    value[N - 1] = p[0]
    for t in range(N - 2, -1, -1):
        value[t] = np.tanh(p[1] * value[t + 1] + Y[t]) + p[2]
    return np.sum(value**2) + value[3] * p[3]


def substeps(p):
    state, out = p[0], []
    for t in range(30):
        for _ in range(5):
            state = state + 0.01 * (p[1] * np.sin(state) - p[2] * state)
        out.append(state)
        state = state + 0.1 * p[3] * Y[t]
    return np.sum(np.array(out) ** 2)


def walk_in_arrays(p):
    """Turns that do not need each other, of arrays: all at once."""
    rows = np.outer(p, Y[: N // 2])
    total = 0.0
    for i in range(N // 2 - 1):
        step = rows[:, i + 1] - np.sin(rows[:, i])
        total += step @ step
    return total


def every_other(p):
    """Windows that move along a series, of every other of its numbers."""
    wave = np.sin(p[1] * Y)
    state = p[0]
    for t in range(N - 6):
        state = np.tanh(p[2] * state + wave[t : t + 6 : 2] @ wave[t : t + 6 : 2]) - p[3] * 0.1 * state
    return state


def counted(p):
    """Whole numbers of 32 bits that are added up beside a loop, and stay that."""
    state, count, level = p[0], np.int32(2), np.floor(10 * p[1] + 0.5).astype(np.int32)
    for t in range(N):
        state = p[2] * np.tanh(state) + Y[t]
        count = count + level * np.int32(t)
        state = state - 0.1 * p[3] * state**2
    return state + 1e-3 * (count + level)


def runge_kutta(p):
    """Four stages in each turn do the same, and the first turn begins from numbers, not parameters."""

    def velocity(y):
        return np.array([p[0] * y[0] - p[1] * y[0] * y[1], -p[2] * y[1] + p[3] * y[0] * y[1]])

    y, path = np.array([1.0, 0.5]), []
    for _ in range(60):
        k1 = velocity(y)
        k2 = velocity(y + 0.05 * k1)
        k3 = velocity(y + 0.05 * k2)
        k4 = velocity(y + 0.1 * k3)
        y = y + 0.1 / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        path.append(y)
    return np.sum((np.array(path) - 1.0) ** 2)


def epidemic(p):
    """Only the last of a few alike steps of a day is kept."""
    healthy, ill, cured, kept = 1.0 - 0.01 * p[0], 0.01 * p[0], 0.0, []
    for _ in range(30):
        for _ in range(4):
            caught, healed = p[1] ** 2 * healthy * ill, p[2] * ill
            healthy, ill, cured = (
                healthy - 0.25 * caught,
                ill + 0.25 * (caught - healed),
                cured + 0.25 * healed,
            )
        kept.append(ill)
    return 1e3 * np.sum((np.array(kept) - 0.01 * p[3]) ** 2)


COSTS = [
    moving_average, two_lags, variance, kalman, hidden_markov, orbit, backwards, substeps, walk_in_arrays,
    every_other, counted, runge_kutta, epidemic,
]  # fmt: skip
AT = np.array([0.4, -0.3, 0.5, 0.7])


@pytest.mark.parametrize("cost", COSTS, ids=lambda cost: cost.__name__)
def test_a_loop_has_the_value_of_its_turns_and_the_slope_of_its_value(cost):
    found = trace(cost, Parameters.of(AT))
    assert len(found.jaxpr.eqns) < 170  # of 600 to 8000
    for x in (AT, AT + 0.1):
        # The value is the one NumPy computes; the slope is that of central differences of it.
        assert_allclose(evaluation(found, "value")(x)[0], cost(x), rtol=1e-12)
        value, slope = evaluation(found, "value_and_gradient")(x)
        assert_allclose(value, cost(x), rtol=1e-12)
        steps = 1e-5 * np.eye(4)
        differences = [(cost(x + h) - cost(x - h)) / 2e-5 for h in steps]
        assert_allclose(slope, differences, rtol=2e-6, atol=1e-6 * np.abs(slope).max())


@pytest.mark.parametrize("cost", [variance, kalman, orbit], ids=lambda cost: cost.__name__)
def test_second_derivatives_of_a_loop_are_differences_of_its_slopes(cost):
    found = trace(cost, Parameters.of(AT))
    gradient = evaluation(found, "value_and_gradient")
    (hessian,) = evaluation(found, "hessian")(AT)
    columns = [(gradient(AT + h)[1] - gradient(AT - h)[1]) / 2e-5 for h in 1e-5 * np.eye(4)]
    assert_allclose(hessian, np.array(columns), rtol=1e-5, atol=1e-6 * np.abs(hessian).max())


def test_what_does_not_need_the_turn_before_is_left_out_of_the_loop():
    """Logarithms and squares of a variance are taken of all turns at once; the variance itself goes round."""
    loops = [e for e in trace(variance, Parameters.of(AT)).jaxpr.eqns if e.primitive.name == "scan"]
    assert len(loops) == 1
    assert {e.primitive.name for e in loops[0].params["jaxpr"].jaxpr.eqns} <= {"mul", "add"}


def test_turns_that_do_not_repeat_are_left_as_they_are():
    def irregular(p):
        state = p[0]
        for k in range(200):
            state = state + 0.01 * np.sin(p[1] * state) - 0.02 * (state / 9) ** (2 + k * k % 97)
        return state**2

    with jax.enable_x64(True):
        recorded = trace(irregular, Parameters.of(AT)).jaxpr
        assert with_loops(recorded) is recorded


def test_turns_with_data_inside_their_compiled_functions_are_not_taken_for_alike():
    """The text of a branch or of an inner loop does not show the arrays its compiled functions hold."""

    def branching(p):
        state = p[0]
        for t in range(60):
            drive = jax.jit(lambda s, y=Y[t : t + 3]: s + 0.1 * jnp.sum(jnp.sin(y * s)))
            state = 0.9 * lax.cond(state > 0, drive, lambda s: p[2] * s, state)
            state = state + 0.1 * jnp.sin(state) + p[1]
        return state

    def looping(p):
        state = p[0]
        for t in range(60):
            drive = jax.jit(lambda s, y=Y[t : t + 3]: s + 0.1 * jnp.sum(jnp.sin(y * s)))
            state = 0.9 * lax.fori_loop(0, 2, lambda _, s, drive=drive: jnp.tanh(drive(s)), state)
            state = state + 0.1 * jnp.sin(state) + p[1]
        return state

    for cost in (branching, looping):
        with jax.enable_x64(True):
            loops = with_loops(jax.make_jaxpr(cost)(AT))
            (ours,) = jax.core.eval_jaxpr(loops.jaxpr, loops.consts, AT)
            assert_allclose(ours, cost(jnp.asarray(AT)), rtol=1e-12)


def test_a_fit_to_the_steps_of_a_simulation_knows_its_residuals():
    """The squares of a simulated series are found behind the loop, so that they are least squares."""
    answer = minimize(two_lags, AT)
    assert answer.success
    assert answer.plan.name == "Levenberg-Marquardt"
    # Linear in nothing, but with the first two numbers fixed at the answer it must satisfy p = 0 slopes.
    slope = [(two_lags(answer.x + h) - two_lags(answer.x - h)) / 2e-6 for h in 1e-6 * np.eye(4)]
    assert np.abs(slope).max() < 1e-4


def test_maximum_likelihood_of_a_random_walk_in_noise_is_that_of_its_covariance():
    """The Kalman filter's likelihood against that of the multivariate normal distribution it factors."""

    def filtered(p):
        walk, noise = np.exp(p)
        m, P, total = 0.0, 4.0, 0.0
        for y in Y:
            P = P + walk
            S, e = P + noise, y - m
            total = total + 0.5 * (np.log(2 * np.pi * S) + e**2 / S)
            m, P = m + P / S * e, P - P**2 / S
        return total

    def whole(p):
        walk, noise = np.exp(p)
        place = np.arange(1, N + 1)
        cov = 4.0 + walk * np.minimum(place[:, None], place) + noise * np.eye(N)
        return 0.5 * (Y @ np.linalg.solve(cov, Y) + np.linalg.slogdet(cov)[1] + N * np.log(2 * np.pi))

    one, other = minimize(filtered, [0.0, 0.0]), minimize(whole, [0.0, 0.0])
    assert one.success and other.success
    assert_allclose(one.fun, other.fun, rtol=1e-11)
    assert_allclose(one.x, other.x, rtol=1e-6)
