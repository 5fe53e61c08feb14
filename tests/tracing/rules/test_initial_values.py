"""Differential equations inside a cost, against closed forms and SciPy at its tightest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import odeint, solve_ivp
from scipy.linalg import expm
from scipy.optimize import brentq, least_squares

import steepest
from steepest.derivatives.interpreted import interpret
from steepest.errors import InputError, TracingError
from steepest.numerics import double_precision
from steepest.parameters import Parameters
from steepest.tracing.trace import trace
from steepest.verdict.words import Verdict

from .recorded import value_of

TIMES = np.array([0.0, 0.3, 1.0, 1.1, 4.0])
TIGHT = {"rtol": 1e-12, "atol": 1e-14}


def decay(t, y, rate):
    return -rate * y


def decayed(p):
    """Σ y(t) at TIMES of y' = -p₀y, y(0) = p₁, in closed form, and its slopes."""
    e = np.exp(-p[0] * TIMES)
    return p[1] * e.sum(), np.array([-p[1] * (TIMES * e).sum(), e.sum()])


DECAYS = {
    "args": lambda p: np.sum(solve_ivp(decay, (0, 4), [p[1]], t_eval=TIMES, args=(p[0],)).y),
    "closure": lambda p: np.sum(solve_ivp(lambda t, y: -p[0] * y, (0, 4), [p[1]], t_eval=TIMES).y),
    "a list": lambda p: np.sum(solve_ivp(lambda t, y: [-p[0] * y[0]], (0, 4), [p[1]], t_eval=TIMES)["y"]),
    "an implicit method": lambda p: np.sum(
        solve_ivp(lambda t, y: -p[0] * y, (0, 4), [p[1]], method="BDF", t_eval=TIMES).y[0]
    ),
    "dense": lambda p: np.sum(
        solve_ivp(lambda t, y: -p[0] * y, (0, 4), [p[1]], dense_output=True).sol(TIMES)
    ),
    "odeint": lambda p: np.sum(odeint(lambda y, t: -p[0] * y, p[1], TIMES)),
    "odeint, time first": lambda p: np.sum(odeint(decay, [p[1]], TIMES, args=(p[0],), tfirst=True)),
    "short steps": lambda p: np.sum(
        solve_ivp(decay, (0, 4), [p[1]], t_eval=TIMES, args=(p[0],), max_step=0.05, first_step=1e-3).y
    ),
}


@pytest.mark.parametrize("name", DECAYS)
def test_a_decay_has_the_value_and_the_slopes_of_its_closed_form(name):
    cost, x = DECAYS[name], np.array([0.8, 1.7])
    value, slope = decayed(x)
    np.testing.assert_allclose(value_of(cost, x), value, rtol=1e-9)
    np.testing.assert_allclose(cost(x), value, rtol=2e-2)  # SciPy's own tolerance is 1e-3
    np.testing.assert_allclose(steepest.gradient(cost)(x), slope, rtol=1e-8)


def test_the_last_state_alone_is_read_without_times():
    def whole(p):
        path = solve_ivp(lambda t, y: [y[1], -p[0] * y[0]], (0, p[1]), [1.0, 0.0])
        return np.sum(path.y[0] * path.t)

    # y = cos(wt), w² = p₀.
    p = np.array([2.0, 1.5])
    w, t = np.sqrt(p[0]), p[1]
    value = np.cos(w * t) - 2 * w * np.sin(w * t)
    by_w = -t * np.sin(w * t) - 2 * np.sin(w * t) - 2 * w * t * np.cos(w * t)
    by_t = -w * np.sin(w * t) - 2 * w * w * np.cos(w * t)
    with pytest.raises(TracingError, match="t_eval"):
        value_of(whole, p)

    def cost(p):
        path = solve_ivp(lambda t, y: [y[1], -p[0] * y[0]], (0, p[1]), [1.0, 0.0])
        if not path.success:
            return np.inf
        parts = [
            path.y[0, -1],
            path.y[0][-1],
            path.y[:, -1][0],
            path.y.T[-1][0],
            path.y.T[-1, 0],
            path.y[:1][0, -1],
        ]
        assert path.y[1, 0] == 0.0 and path.t[0] == 0.0
        return sum(parts) / 6 + 2 * path.y[-1, -1] + path.t[-1] - p[1]

    np.testing.assert_allclose(value_of(cost, p), value, rtol=1e-9)
    np.testing.assert_allclose(steepest.gradient(cost)(p), [by_w / (2 * w), by_t], rtol=1e-7)


def test_backwards_in_time():
    cost = lambda p: np.sum(solve_ivp(lambda t, y: -p[0] * y, (3, 0), [p[1]], t_eval=[2.5, 1.0, 0.0]).y)  # noqa: E731
    ahead = 3 - np.array([2.5, 1.0, 0.0])
    e = np.exp(0.5 * ahead)
    np.testing.assert_allclose(value_of(cost, np.array([0.5, 0.7])), 0.7 * e.sum(), rtol=1e-9)
    np.testing.assert_allclose(
        steepest.gradient(cost)(np.array([0.5, 0.7])), [0.7 * (ahead * e).sum(), e.sum()], rtol=1e-8
    )


def test_a_linear_system_of_unlike_rates_is_its_matrix_exponential():
    """Rates from 0.1 to 10⁵: the explicit method gives way to the implicit one."""
    matrix = np.diag([-0.1, -30.0, -1e5]) + np.triu(np.ones((3, 3)), 1)

    def cost(p):
        y = solve_ivp(lambda t, y: (p[0] * matrix) @ y, (0, 20), [1.0, 2.0, 3.0], t_eval=[0.5, 20.0]).y
        return np.sum(y * np.array([1.0, 5.0]))

    def exact(s):
        return sum(w * np.sum(expm(s * matrix * t) @ [1.0, 2.0, 3.0]) for w, t in ((1, 0.5), (5, 20.0)))

    np.testing.assert_allclose(value_of(cost, np.ones(1)), exact(1.0), rtol=1e-8)
    slope = (exact(1 + 1e-4) - exact(1 - 1e-4)) / 2e-4
    np.testing.assert_allclose(steepest.gradient(cost)(np.ones(1)), [slope], rtol=1e-6)


def test_a_stiff_reaction_agrees_with_scipy():
    """Robertson's reaction, whose rates differ by nine orders."""

    def rates(t, y, a, b, c):
        slow, fast, back = a * y[0], b * y[1] ** 2, c * y[1] * y[2]
        return [back - slow, slow - back - fast, fast]

    scale = np.array([0.04, 3e7, 1e4])

    def cost(p, **settings):
        args = tuple(scale * p)
        return (
            solve_ivp(rates, (0, 10), [1.0, 0.0, 0.0], "Radau", [1.0, 10.0], args=args, **settings).y[2].sum()
        )

    p = np.ones(3)
    np.testing.assert_allclose(value_of(cost, p), cost(p, **TIGHT), rtol=1e-8)
    aside = [(cost(p + h, **TIGHT) - cost(p - h, **TIGHT)) / 2e-4 for h in 1e-4 * np.eye(3)]
    np.testing.assert_allclose(steepest.gradient(cost)(p), aside, rtol=1e-5)


def test_a_long_swing_keeps_its_phase():
    def cost(p):
        return solve_ivp(lambda t, y: [y[1], -p[0] * y[0]], (0, 200), [1.0, 0.0], t_eval=[200.0]).y[0, 0]

    np.testing.assert_allclose(value_of(cost, np.array([4.0])), np.cos(400.0), atol=1e-6)
    np.testing.assert_allclose(steepest.gradient(cost)(np.array([4.0])), [-50.0 * np.sin(400.0)], rtol=1e-5)


def test_second_derivatives_go_through():
    cost = lambda a: solve_ivp(lambda t, y: -a * y, (0, 2), [1.0], t_eval=[2.0]).y[0, 0]  # noqa: E731
    np.testing.assert_allclose(steepest.derivative(cost, order=2)(0.7), 4 * np.exp(-1.4), rtol=1e-7)


def test_a_solution_that_ends_in_finite_time_is_not_a_number():
    cost = lambda p: solve_ivp(lambda t, y: p[0] * y**2, (0, 2), [1.0], t_eval=[2.0]).y[0, 0]  # noqa: E731
    np.testing.assert_allclose(value_of(cost, np.array([0.4])), 5.0, rtol=1e-8)  # 1/(1 - 2·0.4)
    assert np.isnan(value_of(cost, np.array([1.0])))


def test_an_equation_without_parameters_is_scipys():
    cost = lambda p: np.sum((p - solve_ivp(lambda t, y: -y, (0, 1), [1.0], t_eval=[1.0]).y[0]) ** 2)  # noqa: E731
    found = trace(cost, Parameters.of(np.ones(1)))
    assert not any(equation.primitive.name == "while" for equation in found.jaxpr.eqns)
    assert value_of(cost, np.ones(1)) == cost(np.ones(1))


def test_a_fit_of_rates_finds_them_and_their_errors():
    """A → B → C, whose B is k₁/(k₂ - k₁)(e^(-k₁t) - e^(-k₂t)): the same fit as that of the closed form."""
    t = np.array([0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0])
    noise = np.array([0.01, -0.02, 0.015, 0.0, -0.01, 0.02, -0.005, 0.01])

    def closed(t, k1, k2):
        return k1 / (k2 - k1) * (np.exp(-k1 * t) - np.exp(-k2 * t))

    def followed(t, k1, k2):
        return odeint(lambda y, t: [-k1 * y[0], k1 * y[0] - k2 * y[1]], [1.0, 0.0], t)[:, 1]

    y = closed(t, 0.9, 0.3) + noise
    start = {"k1": 0.7, "k2": 0.5}
    expected, found = (steepest.fit(model, t, y, start) for model in (closed, followed))
    assert found.success and found.verdict == expected.verdict
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-7)
    np.testing.assert_allclose(np.sqrt(np.diag(found.pcov)), np.sqrt(np.diag(expected.pcov)), rtol=1e-5)


def test_a_stiff_fit_ends_in_few_evaluations_and_is_sure_of_its_end():
    """Rounding that an extrapolation magnified looked like noise, and the fit was walked again from everywhere."""
    t = np.linspace(0.2, 6, 25)
    y = np.exp(-0.5 * t) + 0.01 * np.random.default_rng(0).normal(size=25)

    def followed(t, k):
        def rates(s, y):
            return [-1000 * (y[0] - np.cos(s)), -k * y[1]]

        return solve_ivp(rates, (0, t[-1]), [1.0, 1.0], "LSODA", t_eval=t).y[1]

    expected = steepest.fit(lambda t, k: np.exp(-k * t), t, y, {"k": 0.8})
    found = steepest.fit(followed, t, y, {"k": 0.8})
    assert found.success and found.nfev < 60
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-8)


@pytest.mark.parametrize("start", [1.0, 3.0])
def test_a_lag_is_found(start):
    """y' = 1 - y until the lag, y' = -y from then on."""

    def cost(p):
        path = solve_ivp(lambda t, y: -y + np.where(t < p[0], 1.0, 0.0), (0, 3), [0.0], t_eval=[3.0])
        return (path.y[0, 0] - 0.05) ** 2 + 0.01 * (p[0] - 1) ** 2

    found = steepest.minimize(cost, [start])
    lag = np.linspace(0.5, 1.5, 1001)
    lowest = np.min((np.exp(lag - 3) - np.exp(-3) - 0.05) ** 2 + 0.01 * (lag - 1) ** 2)
    assert found.success and found.fun < lowest + 1e-8


def _path_to_three(inflow):
    """The state at 3 of y' = inflow(t, p) - p₁y from zero on, by both of SciPy's functions."""

    def rates(t, y, p):
        return -p[1] * y + inflow(t, p)

    def both(p):
        at_three = solve_ivp(rates, (0, 3), [0.0], t_eval=[1.7, 3.0], args=(p,)).y[0, 1]
        last = solve_ivp(lambda t, y: rates(t, y, p), (0, 3), [0.0]).y[0, -1]
        return at_three + last + odeint(lambda y, t: rates(t, y, p), [0.0], [0.0, 0.3, 3.0])[-1, 0]

    return both


SWITCHING = {
    "step": (
        lambda t, p: np.where(t > p[0], 1.0, 0.0),
        lambda p: (1 - jnp.exp(-p[1] * (3 - p[0]))) / p[1],
    ),
    "after the end": (lambda t, p: np.where(t > 3 + p[0], 1.0, 0.0), lambda p: 0.0 * p[0]),
    "pulse": (
        lambda t, p: np.where((t >= p[0]) & (t < p[0] + p[2]), 2.0, 0.0),
        lambda p: 2 * (1 - jnp.exp(-p[1] * p[2])) / p[1] * jnp.exp(-p[1] * (3 - p[0] - p[2])),
    ),
    "ramp": (
        lambda t, p: np.maximum(t - p[0], 0.0),
        lambda p: (3 - p[0]) / p[1] - (1 - jnp.exp(-p[1] * (3 - p[0]))) / p[1] ** 2,
    ),
    "bend": (
        lambda t, p: np.abs(t - p[0]) - (t - p[0]),
        lambda p: 2 * jnp.exp(-3 * p[1]) * (jnp.exp(p[1] * p[0]) - 1 - p[1] * p[0]) / p[1] ** 2,
    ),
}


def _doses(p, period, count):
    """The state at 3 of y' = [t % period < p₂] - p₁y: `count` doses of length p₂."""
    ago = [3 - k * period for k in range(count)]
    return sum(jnp.exp(-p[1] * (s - p[2])) - jnp.exp(-p[1] * s) for s in ago) / p[1]


SWITCHING |= {
    "doses": (lambda t, p: np.where(t % 0.8 < p[2], 1.0, 0.0), lambda p: _doses(p, 0.8, 4)),
    "doses, their period a parameter": (
        lambda t, p: np.where(np.mod(t, p[0]) < p[2], 1.0, 0.0),
        lambda p: _doses(p, p[0], 3),
    ),
    "sawtooth": (
        lambda t, p: t % p[0],
        lambda p: sum(
            jnp.exp(-p[1] * (3 - (k * p[0] + h))) * (h / p[1] - (1 - jnp.exp(-p[1] * h)) / p[1] ** 2)
            for k, h in ((0, p[0]), (1, p[0]), (2, 3 - 2 * p[0]))
        ),
    ),
}


@pytest.mark.parametrize("name", SWITCHING)
def test_an_inflow_that_switches_at_a_time_of_the_parameters_has_the_slopes_of_its_closed_form(name):
    inflow, closed = SWITCHING[name]
    cost, p = _path_to_three(inflow), np.array([1.1, 0.7, 0.5])
    with double_precision():
        value, slope, curvature = (np.asarray(f(p)) for f in (closed, jax.grad(closed), jax.hessian(closed)))
    assert value_of(cost, p) == pytest.approx(3 * value, rel=1e-9)
    np.testing.assert_allclose(steepest.gradient(cost)(p), 3 * slope, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(steepest.hessian(cost)(p), 3 * curvature, rtol=1e-7, atol=1e-8)


def test_a_boundary_value_problem_by_shooting_has_the_slopes_of_its_closed_form():
    """y″ = -p₀y, y(0) = 0, y(1) = p₁: the slope at 0 is p₁√p₀/sin √p₀."""

    def steepness(p):
        def miss(s):
            return solve_ivp(lambda t, y: [y[1], -p[0] * y[0]], (0, 1), [0.0, s]).y[0, -1] - p[1]

        return brentq(miss, 0.1, 5.0)

    def closed(p):
        return p[1] * jnp.sqrt(p[0]) / jnp.sin(jnp.sqrt(p[0]))

    p = np.array([1.3, 0.8])
    with double_precision():
        value, slope, curvature = (np.asarray(f(p)) for f in (closed, jax.grad(closed), jax.hessian(closed)))
    several = np.array([0.5, 1.0, 1.3])
    each = steepest.jacobian(lambda p: np.array([steepness([p[0], a * p[1]]) for a in several]))(p)
    np.testing.assert_allclose(each, several[:, None] * slope, rtol=1e-8)
    traced = trace(steepness, Parameters.of(p)).jaxpr
    assert interpret(traced)(p)[0] == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(steepest.gradient(steepness)(p), slope, rtol=1e-8)
    np.testing.assert_allclose(steepest.hessian(steepness)(p), curvature, rtol=1e-7, atol=1e-8)


def test_doses_seen_only_after_they_ended_leave_their_length_and_the_volume_undetermined():
    """Then 10 in a time d into a volume V is a dose of 10(eᵏᵈ - 1)/(kdV) at once: the cost is level along a bend."""
    t = np.linspace(3.0, 60.0, 25)
    t = t[t % 24 > 2.5]

    def at_once(dose, k):
        return dose * sum(np.where(t > s, np.exp(-k * (t - s)), 0.0) for s in (0, 24, 48))

    measured = at_once(2.0, 0.1) * (1 + 0.05 * np.sin(1e3 * t))
    tight = dict.fromkeys(("xtol", "ftol", "gtol"), 1e-15)
    dose, k = least_squares(lambda q: at_once(*q) - measured, [2.0, 0.1], **tight).x

    def cost(p):
        def rate(s, y):
            return np.where(s % 24 < p[0], 10 / p[0], 0.0) / p[2] - p[1] * y

        return ((solve_ivp(rate, (0, 60), [0.0], t_eval=t).y[0] - measured) ** 2).sum()

    d = 1.6
    end = np.array([d, k, 10 * np.expm1(k * d) / (k * d * dose)])
    # As near as walks end: off the valley's floor by less than its slope can tell.
    beside = 1 + 1e-9 * np.random.default_rng(5).standard_normal(3)
    assert steepest.verify(cost, end * beside).verdict is Verdict.FLAT_MINIMUM


@pytest.mark.parametrize("at", [3.3, 300.3, 1e6 + 0.3])
def test_a_dose_at_a_late_time_is_followed(at):
    """y' = [t > at] - p₀y, from zero on to at + 1."""

    def cost(p):
        return odeint(lambda y, t: -p[0] * y + np.where(t > at, 1.0, 0.0), [0.0], [0.0, at + 1])[-1, 0]

    exact = np.exp(-0.7) / 0.7 - (1 - np.exp(-0.7)) / 0.49
    np.testing.assert_allclose(steepest.gradient(cost)(np.array([0.7])), exact, rtol=2e-9)


def test_what_has_no_rule_is_told():
    for settings, word in (({"events": lambda t, y: y[0]}, "events"), ({}, "t_eval")):
        with pytest.raises(TracingError, match=word):
            steepest.gradient(
                lambda p, s=settings: np.sum(solve_ivp(lambda t, y: -p[0] * y, (0, 1), [1.0], **s).y)
            )(np.ones(1))
    with pytest.raises(TracingError, match="complex"):
        steepest.gradient(
            lambda p: np.sum(np.abs(solve_ivp(lambda t, y: 1j * p[0] * y, (0, 1), [1j], t_eval=[1.0]).y))
        )(np.ones(1))
    with pytest.raises(ValueError, match="t_eval"):
        steepest.gradient(lambda p: np.sum(solve_ivp(lambda t, y: -p[0] * y, (0, 1), [1.0], t_eval=[2.0]).y))(
            np.ones(1)
        )


def rates_of_three(y, t, k):
    return [-k * y[0], y[1], 0.0]


def test_rates_of_another_shape_are_told_with_the_line_and_what_is_needed():
    costs = (
        lambda p: np.sum(odeint(rates_of_three, [1.0, 2.0], [0.0, 1.0], args=(p[0],))),
        lambda p: np.sum(solve_ivp(lambda t, y: -p[0] * y[:1], (0, 1), [1.0, 2.0], t_eval=[1.0]).y),
    )
    for cost, words in zip(
        costs, (r"rates_of_three, written on line \d+, gives .*\(3,\)", r"gives .*\(1,\)"), strict=True
    ):
        with pytest.raises(InputError, match=r"test_initial_values.*line \d+.*" + words + r".*\(2,\) of y0"):
            steepest.gradient(cost)(np.ones(1))
    with pytest.raises(InputError, match="gives None"):
        steepest.gradient(lambda p: solve_ivp(lambda t, y: None, (0, 1), p, t_eval=[1.0]).y[0, 0])(np.ones(1))


def test_the_doctor_tells_a_wide_tolerance_and_where_a_solution_ends():
    cost = lambda p: solve_ivp(lambda t, y: p[0] * y**2, (0, 2), [1.0], t_eval=[2.0]).y[0, 0]  # noqa: E731
    near, beyond = (steepest.diagnose(cost, [p]).findings for p in (0.3, 1.0))
    assert [(found.severity, found.kind) for found in near] == [("note", "SciPy's tolerance is wide")]
    assert any(
        found.severity == "error" and "differential equation" in found.sentence and "NaN" in found.sentence
        for found in beyond
    )


@pytest.mark.parametrize("start", [(2.5, 1.0), (1.2, 1.5)])
def test_a_jump_that_moves_with_a_parameter_is_no_minimum_where_it_is_not_at_its_place(start):
    """y' = 1 - p₁y from the time p₀ on: minima were claimed where a slope of 5e-5 along p₀ was left."""
    times, true = np.array([1.0, 2.5, 4.0, 5.5]), np.array([1.9253, 1.1296])

    def closed(p):
        return np.where(times > p[0], (1 - np.exp(-p[1] * (times - p[0]))) / p[1], 0.0)

    def cost(p):
        path = solve_ivp(lambda t, y: -p[1] * y + np.where(t > p[0], 1.0, 0.0), (0, 6), [0.0], t_eval=times)
        return np.sum((path.y[0] - closed(true)) ** 2)

    found = steepest.minimize(cost, np.array(start), budget=steepest.Budget(evaluations=600))
    near = np.abs(found.x - true).max() < 3e-6
    assert near or not found.success
    assert np.sum((closed(found.x) - closed(true)) ** 2) < 1e-7
