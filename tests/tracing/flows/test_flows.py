"""Solutions of differential equations and their derivatives, against 50-digit Taylor series and closed forms."""

import jax
import jax.extend.core as jex
import mpmath
import numpy as np
import pytest
from scipy.integrate import odeint, solve_ivp
from scipy.linalg import expm

import steepest
from steepest.derivatives.exact import hessian, values_and_jacobian
from steepest.derivatives.interpreted import interpret
from steepest.numerics import double_precision
from steepest.parameters import Parameters
from steepest.structure.facts import read
from steepest.tracing.trace import trace

TIMES = np.array([0.7, 2.0, 4.5])


def prey(p):
    """Prey and predators (3 times, 2) with rates p[:4] from p[4:6] on."""

    def rates(t, y):
        return [p[0] * y[0] - p[1] * y[0] * y[1], p[3] * y[0] * y[1] - p[2] * y[1]]

    return solve_ivp(rates, (0, 5), [p[4], p[5]], t_eval=TIMES).y.T


def stiff(p):
    """A fast relaxation onto a slow oscillation: the explicit method gives way to the implicit one."""

    def rates(t, y):
        return [-1e4 * p[0] * (y[0] - y[1]), y[2], -p[1] * y[1]]

    return odeint(rates, [0.0, p[2], 0.0], np.append(0.0, TIMES), tfirst=True)[1:, :2]


CASES = {
    "prey": (prey, np.array([1.0, 0.5, 1.1, 0.3, 1.2, 0.9])),
    "stiff": (stiff, np.array([1.0, 1.7, 0.8])),
}


def prey_in_fifty_digits(p):
    """The same by Taylor series: each coefficient follows from those before it by products of series."""
    mpmath.mp.dps = 50
    a, b, c, d, u, v = p
    t, found = mpmath.mpf(0), []
    for end in map(mpmath.mpf, TIMES.tolist()):
        steps = 24
        h = (end - t) / steps
        for _ in range(steps):
            us, vs = [u], [v]
            for k in range(34):
                both = sum(us[i] * vs[k - i] for i in range(k + 1))
                us.append((a * us[k] - b * both) / (k + 1))
                vs.append((d * both - c * vs[k]) / (k + 1))
            u, v = (mpmath.polyval(series[::-1], h) for series in (us, vs))
        t = end
        found.append([u, v])
    return found


def weighted(model):
    return lambda p: np.sum(model(p) * np.array([[1.0, 2.0], [0.5, -1.0], [0.3, 0.7]])) ** 2


def test_values_and_slopes_are_those_of_the_taylor_series():
    p = CASES["prey"][1]
    exact = [mpmath.mpf(v) for v in p.tolist()]
    values, jacobian = interpret(values_and_jacobian(trace(prey, Parameters.of(p)).jaxpr))(p)
    np.testing.assert_allclose(values.reshape(3, 2), np.array(prey_in_fifty_digits(exact), float), rtol=2e-9)
    for k in range(p.size):
        h = mpmath.mpf(10) ** -15
        sides = [prey_in_fifty_digits([v + s * h * (i == k) for i, v in enumerate(exact)]) for s in (1, -1)]
        slope = [[(a - b) / (2 * h) for a, b in zip(*rows, strict=True)] for rows in zip(*sides, strict=True)]
        np.testing.assert_allclose(jacobian[:, k].reshape(3, 2), np.array(slope, float), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", CASES)
def test_numpy_and_a_compiled_program_take_the_same_steps(name):
    model, p = CASES[name]
    programs = [values_and_jacobian(trace(model, Parameters.of(p)).jaxpr)]
    if name == "stiff":  # it takes both methods, and XLA long
        programs.append(hessian(trace(weighted(model), Parameters.of(p)).jaxpr))
    for closed in programs:
        found = interpret(closed)(p)
        with double_precision():
            compiled = jax.jit(jex.jaxpr_as_fun(closed))(p)
        for ours, theirs in zip(found, compiled, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8 * np.abs(theirs).max())


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_are_slopes_of_the_gradient(name):
    model, p = CASES[name]
    cost = weighted(model)
    slope, second = steepest.gradient(cost), steepest.hessian(cost)(p)
    np.testing.assert_allclose(second, second.T, rtol=1e-7, atol=1e-9 * np.abs(second).max())
    for k, h in enumerate(3e-4 * np.eye(p.size)):
        column = (8 * (slope(p + h) - slope(p - h)) - (slope(p + 2 * h) - slope(p - 2 * h))) / (12 * 3e-4)
        np.testing.assert_allclose(second[:, k], column, rtol=1e-5, atol=2e-6 * np.abs(second).max())
    v = np.linspace(0.5, -1.0, p.size)
    np.testing.assert_allclose(
        steepest.hvp(cost)(p, v), second @ v, rtol=1e-6, atol=1e-8 * np.abs(second).max()
    )


def test_all_derivatives_of_a_decay_are_those_of_its_closed_form():
    for method in ("RK45", "BDF"):
        cost = lambda a, m=method: solve_ivp(lambda t, y: -a * y, (0, 2), [1.0], m, [2.0]).y[0, 0]  # noqa: E731
        for order in range(4):
            np.testing.assert_allclose(
                steepest.derivative(cost, order=order)(0.7), (-2.0) ** order * np.exp(-1.4), rtol=1e-8
            )


def test_ends_and_times_may_depend_on_the_parameters():
    """y' = -p₀ty from p₁ to p₂, seen at their mean: y = 3·exp(-p₀(t² - p₁²)/2), in both directions of time."""
    p = np.array([0.6, 0.4, 1.7])

    def cost(p):
        path = solve_ivp(lambda t, y: -p[0] * t * y, (p[1], p[2]), [3.0], t_eval=[(p[1] + p[2]) / 2, p[2]])
        return path.y[0, 0] + 2.0 * path.y[0, 1]

    def closed(p):
        at = ((p[1] + p[2]) / 2, p[2])
        middle, last = (3.0 * np.exp(-p[0] * (t**2 - p[1] ** 2) / 2) for t in at)
        return middle + 2.0 * last

    for x in (p, p[[0, 2, 1]]):
        np.testing.assert_allclose(steepest.gradient(cost)(x), steepest.gradient(closed)(x), rtol=1e-8)
        np.testing.assert_allclose(steepest.hessian(cost)(x), steepest.hessian(closed)(x), rtol=1e-7)


@pytest.mark.parametrize(
    ("start", "span"), [(1.7e9, 2.0), (1e6, 2.0**-33), (1.0, 2.0**-52), (-1e6, -(2.0**-33))]
)
def test_steps_begin_no_shorter_than_the_grain_of_time(start, span):
    """y' = 1 - py from 1e-9 on: seconds since 1970, and spans of one unit in the last place."""
    cost = lambda p: solve_ivp(lambda t, y: 1 - p * y, (start, start + span), [1e-9]).y[0, -1]  # noqa: E731
    p, y = 0.7, 1e-9
    grown = -np.expm1(-p * span) / p
    value = grown + y * np.exp(-p * span)
    closed = trace(lambda q: cost(q[0]), Parameters.of(np.array([p]))).jaxpr
    np.testing.assert_allclose(interpret(closed)(np.array([p]))[0], value, rtol=2e-9)
    with double_precision():
        np.testing.assert_allclose(jax.jit(jex.jaxpr_as_fun(closed))(np.array([p]))[0], value, rtol=2e-9)
    slope = span * np.exp(-p * span) / p - grown / p - y * span * np.exp(-p * span)
    np.testing.assert_allclose(steepest.derivative(cost)(p), slope, rtol=1e-8, atol=1e-9 * abs(span))


def test_many_parameters_of_a_stiff_linear_system_have_the_slopes_of_its_matrix_exponential():
    """Eight decays from 1 to 10⁴ that feed each other: the implicit method with sixteen directions at once."""
    rates = np.logspace(0, 4, 8)
    feeding = np.triu(np.ones((8, 8)), 1)

    def matrix(p):
        return -np.diag(rates * p[:8]) + feeding

    def model(p):
        return solve_ivp(lambda t, y: matrix(p) @ y, (0, 3), p[8:], t_eval=[0.5, 3.0]).y.sum(axis=0)

    def value(p):
        return np.array([expm(matrix(p) * t) @ p[8:] for t in (0.5, 3.0)]).sum(axis=1)

    p = np.linspace(0.8, 1.2, 16)
    jacobian = steepest.jacobian(model)(p)
    for k, h in enumerate(1e-4 * np.eye(16)):
        column = (8 * (value(p + h) - value(p - h)) - (value(p + 2 * h) - value(p - 2 * h))) / 12e-4
        np.testing.assert_allclose(jacobian[:, k], column, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("compiled", [False, True])
def test_states_are_read_off_as_exactly_where_stability_holds_the_steps_short(compiled):
    """Heat along a rod in 30 cells, against the matrix exponential: what is fast is faint there, and stays so."""
    n, times = 30, np.linspace(0.01, 1.0, 10)
    places = (np.arange(n) + 0.5) / n
    start = np.exp(-50 * (places - 0.5) ** 2)

    def rod(p):
        def rates(t, u):
            wide = np.concatenate([u[:1], u, u[-1:]])
            return p[0] * n * n * (wide[2:] - 2 * u + wide[:-2]) - p[1] * u

        return solve_ivp(rates, (0, 1), start, "BDF", t_eval=times).y.T

    heat = np.diag(np.full(n, -2.0)) + np.eye(n, k=1) + np.eye(n, k=-1)
    heat[0, 0] = heat[-1, -1] = -1.0
    closed = trace(rod, Parameters.of(np.array([0.3, 0.5]))).jaxpr
    with double_precision():
        function = jax.jit(jex.jaxpr_as_fun(closed)) if compiled else interpret(closed)
        for k in range(12):
            p = np.array([0.3 * (1 + 1e-7 * k), 0.5])
            exact = [expm((p[0] * n * n * heat - p[1] * np.eye(n)) * t) @ start for t in times]
            np.testing.assert_allclose(np.asarray(function(p)[0]).reshape(10, n), exact, atol=5e-9)


def test_many_starts_side_by_side_are_each_what_it_is_alone():
    cost = lambda p: (odeint(lambda y, t: -p[0] * y, p[1], [0.0, 1.0])[1, 0] - 0.5) ** 2 + (p[1] - 2) ** 2  # noqa: E731
    starts = np.array([[0.5, 1.0], [2.0, 3.0], [1.0, 2.0]])
    many = steepest.minimize_many(cost, starts)
    np.testing.assert_allclose(many.x, np.tile([np.log(4.0), 2.0], (3, 1)), rtol=1e-7)


def test_what_the_trace_tells_of_a_solution_is_not_more_than_is_known():
    smooth = lambda p: solve_ivp(lambda t, y: -p[0] * y, (0, 1), [p[1]], t_eval=[1.0]).y[0, 0]  # noqa: E731
    bent = lambda p: solve_ivp(lambda t, y: -np.abs(y - p[0]), (0, 1), [p[1]], t_eval=[1.0]).y[0, 0]  # noqa: E731
    told = [read(trace(cost, Parameters.of(np.ones(2))).jaxpr) for cost in (smooth, bent)]
    assert not told[0].kinks and told[1].kinks
    assert not any(facts.convexity.is_convex for facts in told)
    assert all(facts.dead == () for facts in told)


def test_digits_told_of_a_fit_are_no_more_than_are_true():
    t = np.linspace(0.0, 12.0, 25)
    noise = 0.01 * np.random.default_rng(3).standard_normal(t.size)

    def closed(t, k1, k2):
        return k1 / (k2 - k1) * (np.exp(-k1 * t) - np.exp(-k2 * t))

    def followed(t, k1, k2):
        return odeint(lambda y, t: [-k1 * y[0], k1 * y[0] - k2 * y[1]], [1.0, 0.0], t)[:, 1]

    y = closed(t, 0.9, 0.3) + noise
    exact, found = (steepest.fit(model, t, y, {"k1": 0.5, "k2": 0.5}) for model in (closed, followed))
    true = -np.log10(np.abs(found.params / exact.params - 1.0))
    assert np.all(found.digits <= true + 0.3) and np.all(found.digits > 8.0)
