"""From a plain cost to a verified minimum."""

import json
import pickle
import time

import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest as st


def parabola(x):
    return x**2 - 2 * x + 3


def rosenbrock(p):
    return np.sum(100 * (p[1:] - p[:-1] ** 2) ** 2 + (1 - p[:-1]) ** 2)


@pytest.mark.parametrize("cost", [parabola, "x**2 - 2*x + 3"])
def test_the_lesson_ends_at_one(cost):
    result = st.minimize(cost, 3.0)
    assert abs(result.x - 1) <= 1e-12 and abs(result.fun - 2) <= 1e-12
    assert result.verdict == "global minimum" and result.success is True
    assert isinstance(result.x, float)
    assert result["x"] == result.x and result["fun"] == result.fun
    assert all(item.holds for item in result.evidence)


def test_gradient_descent_takes_the_lessons_small_steps_against_the_slope():
    result = st.minimize(parabola, 3.0, method="gradient descent", options={"rate": 0.1})
    steps = result.history.step[:, 0]
    slopes = result.history.gradient[:-1, 0]
    assert_allclose(steps, -0.1 * slopes, rtol=1e-15)
    k = np.arange(len(result.history.x))
    assert_allclose(result.history.x[:, 0], 1 + 2 * 0.8**k, atol=1e-13)
    assert result.verdict == "global minimum" and abs(result.x - 1) < 1e-7


@pytest.mark.parametrize("n", [2, 10, 50])
@pytest.mark.parametrize("method", ["auto", "bfgs", "l-bfgs"])
def test_rosenbrock_is_solved_to_the_last_digits(n, method):
    result = st.minimize(rosenbrock, np.full(n, -1.2) + 0.01 * np.arange(n), method=method)
    if np.allclose(result.x[0], 1.0):  # n >= 4 has a second, local minimum near x[0] = -1
        assert_allclose(result.x, 1.0, atol=1e-8)
    assert result.success and result.verdict in ("local minimum", "global minimum")


def test_the_answer_does_not_depend_on_the_units_of_cost_or_parameters():
    start = np.array([-1.2, 1.0])
    for factor in (1e-9, 1.0, 1e9):
        assert_allclose(st.minimize(lambda p, c: c * rosenbrock(p), start, (factor,)).x, 1.0, atol=1e-7)
        scaled = st.minimize(lambda p, c: rosenbrock(p / c), start * factor, (factor,))
        assert scaled.success
        assert_allclose(scaled.x / factor, 1.0, atol=1e-7)


def test_parameters_come_back_in_their_structure():
    start = {"line": {"slope": 0.0, "offset": 0.0}, "levels": [np.zeros(2), 1.0]}

    def cost(p):
        return (
            (p["line"]["slope"] - 2) ** 2
            + (p["line"]["offset"] + 1) ** 2
            + np.sum((p["levels"][0] - 3) ** 2)
            + (p["levels"][1] - p["line"]["slope"]) ** 2
        )

    result = st.minimize(cost, start)
    assert_allclose(result.x["line"]["slope"], 2.0, atol=1e-9)
    assert_allclose(result.x["levels"][0], 3.0, atol=1e-9)
    assert result.names == ("line.slope", "line.offset", "levels[0][0]", "levels[0][1]", "levels[1]")
    assert start["line"]["slope"] == 0.0


def test_the_cost_runs_once():
    calls = []

    def cost(p):
        calls.append(1)
        return rosenbrock(p)

    st.minimize(cost, np.zeros(3))
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("cost", "start", "word"),
    [
        (lambda p: np.cos(p[0]) + p[1] ** 2, [0.0, 0.0], "global minimum"),
        (lambda p: p[0] ** 4 - p[0] ** 2 + p[1] ** 2, [0.0, 0.0], "local minimum"),
        (lambda p: p[0] ** 2 - p[1] ** 2, [0.0, 0.0], "unbounded below"),
        (lambda p: -np.sum(p**2), [0.0, 0.0], "unbounded below"),
        (lambda p: 2 * p[0] - p[1], [0.0, 0.0], "unbounded below"),
        (lambda p: 1 - np.exp(-np.sum((p - 30) ** 2)), [0.0, 0.0], "plateau"),
        (lambda p: np.log(p[0]) * np.nan, [1.0], "not finite"),
        (lambda p: np.sum(np.floor(p) ** 2), [3.5, 2.5], "no slope"),
        (lambda p: np.sum(p**4), [1.0, 2.0], None),
        (lambda p: np.exp(p[0]), [0.0], "infimum not attained"),
    ],
)
def test_the_verdict_is_the_truth(cost, start, word):
    result = st.minimize(cost, start)
    if word is None:
        assert result.success
    else:
        assert result.verdict == word
    minima = ("global minimum", "local minimum", "flat minimum", "minimum at a kink")
    assert result.success == (result.verdict in minima)
    assert result.message
    assert result.success or result.next_step


def test_out_of_budget_returns_the_best_point_and_never_spends_more():
    for evaluations in (1, 2, 3, 5):
        result = st.minimize(rosenbrock, [-1.2, 1.0], budget=evaluations)
        assert result.verdict == "out of budget" and not result.success
        assert result.fun <= rosenbrock(np.array([-1.2, 1.0]))
    limited = st.minimize(rosenbrock, [-1.2, 1.0], options={"maxiter": 3})
    assert limited.nit == 3 and limited.verdict == "out of budget"


@pytest.mark.parametrize("n", [1, 3, 12])
@pytest.mark.parametrize("kind", ["valley", "kinks", "steps", "noise", "fall", "between", "fixed"])
def test_a_budget_counts_every_call_of_a_measured_cost_the_verdicts_too(kind, n):
    generator, target = np.random.default_rng(1), np.arange(1.0, n + 1.0)
    costs = {
        "kinks": lambda x: np.abs(x - target).sum(),
        "steps": lambda x: np.floor(np.abs(x - target)).sum(),
        "noise": lambda x: np.sum((x - target) ** 2) + 1e-4 * generator.standard_normal(),
        "fall": lambda x: -np.sum(x**3),
    }
    cost = costs.get(kind, lambda x: np.sum((x - target) ** 2) + np.sum((x[1:] - x[:-1] ** 2) ** 2))
    seen = []

    def called(x):
        seen.append(float(cost(x)))
        return seen[-1]

    given = {"constraints": {"type": "ineq", "fun": lambda x: 9.0 - x[0]}} if kind == "between" else {}
    given |= {"fixed": [0]} if kind == "fixed" and n > 1 else {}
    for budget in (1, 7, 50, 300, 2000):
        seen.clear()
        result = st.minimize(called, np.zeros(n) + 0.3, budget=budget, derivatives="numeric", **given)
        assert len(seen) == result.nfev <= budget + budget // 10
        assert result.fun in seen and result.fun <= seen[0]
        if budget <= 7:
            assert result.verdict == "out of budget" and not result.success
        if result.verdict == "out of budget":
            assert any(not item.holds for item in result.evidence) and result.next_step


def test_the_seconds_of_a_budget_hold_for_a_measured_cost_the_verdict_too():
    calls = []

    def slow(x):
        calls.append(time.perf_counter())
        time.sleep(0.01)
        return float(np.sum((x - 1.0) ** 2))

    began = time.perf_counter()
    result = st.minimize(slow, np.zeros(6), budget={"seconds": 0.5}, derivatives="numeric")
    assert result.verdict == "out of budget" and result.fun <= 6.0
    assert calls[-1] - began <= 0.55 + 0.1  # from the call to where the seconds begin to count


@pytest.mark.parametrize("budget", [1, {"seconds": 1e-9}])
@pytest.mark.parametrize("n", [4, 400])
def test_a_budget_that_is_spent_before_the_first_step_is_told(budget, n):
    def cost(x):
        return np.sum(np.cosh(x - 1.0))

    result = st.minimize(cost, np.full(n, 0.5), budget=budget)
    assert result.verdict == "out of budget" and result.nit == 0
    assert_allclose(result.x, 0.5, rtol=0)
    if budget == 1:
        assert_allclose(result.fun, n * np.cosh(0.5), rtol=1e-12)


def test_the_seconds_of_a_budget_count_from_the_call():
    def slow_to_trace(x):
        time.sleep(0.3)  # run once, to be traced
        return np.sum(np.cosh(x - 1.0))

    result = st.minimize(slow_to_trace, np.full(3, 0.5), budget={"seconds": 0.2})
    assert result.verdict == "out of budget" and result.nit == 0 and result.nfev == 1
    assert_allclose(result.fun, 3 * np.cosh(0.5), rtol=1e-12)
    phases = [result.timing[phase] for phase in ("trace", "choose", "walk", "judge")]
    assert phases[0] >= 0.3
    assert_allclose(sum(phases), result.timing["total"], rtol=1e-9)


def test_callbacks_in_both_forms_can_stop_the_walk():
    seen = []

    def plain(xk):
        seen.append(xk)
        return len(seen) == 3

    result = st.minimize(rosenbrock, [-1.2, 1.0], callback=plain)
    assert result.nit == 3 and result.verdict == "stopped"

    def modern(intermediate_result):
        if intermediate_result.fun < 1.0:
            raise StopIteration

    result = st.minimize(rosenbrock, [-1.2, 1.0], callback=modern)
    assert result.fun < 1.0 and result.verdict == "stopped"


def test_the_callback_sees_every_step():
    seen = []
    result = st.minimize(rosenbrock, [-1.2, 1.0], callback=seen.append)
    assert len(seen) == result.nit
    assert_allclose(seen[-1], result.history.x[-1])


def test_every_call_of_a_cost_measured_by_differences_is_counted():
    calls = []

    def opaque(p):
        calls.append(1)
        return float(np.sum((p - 1.0) ** 2)) if p[0] < 1e9 else 0.0

    result = st.minimize(opaque, np.zeros(3), derivatives="numeric")
    assert result.success and result.nfev == len(calls)


def test_interrupting_returns_the_best_point():
    def interrupt(xk):
        if rosenbrock(xk) < 1.0:
            raise KeyboardInterrupt

    result = st.minimize(rosenbrock, [-1.2, 1.0], callback=interrupt)
    assert result.verdict == "stopped" and result.fun < 1.0


def test_interrupting_while_the_first_slopes_are_measured_keeps_the_start():
    for evaluation in (2, 5, 12, 20, 30, 40):
        calls = [0]

        def bowl(x, calls=calls, at=evaluation):
            calls[0] += 1
            if calls[0] == at:
                raise KeyboardInterrupt
            return float(np.sum((x - 1.0) ** 2))

        result = st.minimize(bowl, np.zeros(2), derivatives="numeric")
        assert result.verdict == "stopped"
        assert result.fun <= 2.0 and result.fun == np.sum((result.x - 1.0) ** 2)


def test_a_gradient_of_ones_own_is_used():
    from scipy.optimize import rosen, rosen_der, rosen_hess

    for extra in ({}, {"hess": rosen_hess}):
        result = st.minimize(rosen, np.array([-1.2, 1.0, 0.5]), jac=rosen_der, **extra)
        assert result.derivatives == "supplied" and result.success
        assert_allclose(result.x, 1.0, atol=1e-8)
    both = st.minimize(lambda x: (rosen(x), rosen_der(x)), np.array([-1.2, 1.0]), jac=True)
    assert_allclose(both.x, 1.0, atol=1e-8)


def test_derivatives_of_ones_own_may_come_in_the_same_array_each_time():
    from scipy.optimize import rosen, rosen_der, rosen_hess

    start, slopes, bends = np.array([-1.2, 1.0, 0.5]), np.empty(3), np.empty((3, 3))

    def into(array, derivative):
        def written(x):
            array[...] = derivative(x)
            return array

        return written

    for same, fresh in (
        ({"jac": into(slopes, rosen_der)}, {"jac": rosen_der}),
        (
            {"jac": into(slopes, rosen_der), "hess": into(bends, rosen_hess)},
            {"jac": rosen_der, "hess": rosen_hess},
        ),
    ):
        result, other = st.minimize(rosen, start, **same), st.minimize(rosen, start, **fresh)
        assert result.success and result.nit == other.nit
        np.testing.assert_array_equal(result.x, other.x)


def test_a_cost_that_cannot_be_traced_is_minimised_by_differences_and_says_so():
    def stepwise(p):
        if p[0] > 0:
            return (p[0] - 1) ** 2 + p[1] ** 2
        return (p[0] - 1) ** 2 + 2 * p[1] ** 2

    with pytest.raises(st.TracingError):
        st.minimize(stepwise, [2.0, 1.0])
    result = st.minimize(stepwise, [2.0, 1.0], derivatives="numeric")
    assert result.derivatives == "numeric"
    assert_allclose(result.x, [1.0, 0.0], atol=1e-6)
    assert any("differences" in item.how or "numeric" in item.how for item in result.evidence)


def test_bounds_hold_and_the_verdict_says_which_are_active():
    result = st.minimize(rosenbrock, np.array([0.2, 0.2]), bounds=[(None, 0.5), (None, None)])
    assert_allclose(result.x, [0.5, 0.25], atol=1e-10)
    assert result.success
    text = " ".join(str(item) for item in result.evidence) + result.message
    assert "p[0]" in text


def test_the_same_call_gives_the_same_bits():
    first, second = (st.minimize(rosenbrock, np.full(5, 0.3), seed=3) for _ in range(2))
    assert first.x.tobytes() == second.x.tobytes()
    assert first.history.value.tobytes() == second.history.value.tobytes()


def test_a_result_prints_pickles_and_becomes_json():
    result = st.minimize(rosenbrock, [-1.2, 1.0])
    assert "minimum" in str(result)
    again = pickle.loads(pickle.dumps(result))
    assert again.verdict == result.verdict
    assert_allclose(again.x, result.x)
    plain = json.loads(json.dumps(result.to_dict()))
    assert plain["verdict"] == result.verdict and plain["success"] is True
    assert {"x", "fun", "evidence", "message", "nit", "nfev", "plan"} <= set(plain)


def test_a_cost_in_single_precision_claims_no_more_digits_than_it_has_and_says_so():
    target = np.float32(0.1)
    result = st.minimize(lambda p: np.sum((p.astype(np.float32) - target) ** 2), [3.0, 4.0])
    true_digits = -np.log10(np.abs(result.x - 0.1) / 0.1)
    assert result.precision == "float32"
    assert (result.digits <= true_digits + 1).all()
    assert "float32" in str(result)


def test_raise_if_failed():
    assert st.minimize(parabola, 3.0).raise_if_failed().x == 1.0
    with pytest.raises(st.NotAMinimumError) as caught:
        st.minimize(lambda p: p[0] * 2.0, [0.0]).raise_if_failed()
    assert caught.value.result.verdict == "unbounded below"


def test_measured_slopes_cost_a_few_hundred_calls_at_a_plain_minimum():
    calls = 0

    def cost(p):
        nonlocal calls
        calls += 1
        if p[0] > 100.0:
            return 0.0
        return (p[0] - 1.0) ** 2 + p[1] ** 2

    result = st.minimize(cost, [2.0, 1.0], derivatives="numeric")
    assert_allclose(result.x, [1.0, 0.0], atol=1e-10)
    assert result.verdict.is_minimum
    assert result.nit <= 10 and calls <= 400


def _valley(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def _bowl(x):
    return np.cosh(x[0] - 1) + np.exp(x[1]) - 2 * x[1] + (x[0] * x[1]) ** 2 / 10


@pytest.mark.parametrize(("cost", "start"), [(_valley, [-1.2, 1.0]), (_bowl, [3.0, -2.0])])
@pytest.mark.parametrize(("a", "b"), [(1e12, 0.0), (1e-20, 0.0), (3.0, -7.0)])
def test_the_answer_and_the_word_are_the_same_for_a_times_the_cost_plus_b(cost, start, a, b):
    plain, changed = st.minimize(cost, start), st.minimize(lambda x: a * cost(x) + b, start)
    assert changed.verdict == plain.verdict and abs(changed.nit - plain.nit) <= 2
    np.testing.assert_allclose(changed.x, plain.x, rtol=1e-10)


@pytest.mark.parametrize(("cost", "start"), [(_valley, [-1.2, 1.0]), (_bowl, [3.0, -2.0])])
@pytest.mark.parametrize("unit", [[1e-10, 1e10], [1e6, 1e6], [1e-8, 1.0]])
def test_the_answer_and_the_word_are_the_same_in_other_units_of_the_parameters(cost, start, unit):
    plain = st.minimize(cost, start)
    changed = st.minimize(lambda z: cost([z[0] * unit[0], z[1] * unit[1]]), np.divide(start, unit))
    assert changed.verdict == plain.verdict and abs(changed.nit - plain.nit) <= 2
    np.testing.assert_allclose(changed.x * unit, plain.x, rtol=1e-10)


def test_a_start_that_has_a_cost_but_no_slope_is_left_for_a_place_beside_it():
    """A group lasso begun with all its groups at zero, where no norm has a slope, ends where it ends from elsewhere."""
    rng = np.random.default_rng(23)
    X = rng.normal(size=(60, 12))
    y = X[:, :3] @ [1.0, -1.0, 0.5] + 0.1 * rng.normal(size=60)

    def cost(b):
        return 0.5 * np.sum((y - X @ b) ** 2) + 8.0 * np.sum(np.sqrt(np.sum(b.reshape(4, 3) ** 2, axis=1)))

    answer = st.minimize(cost, np.zeros(12))
    assert answer.verdict == "minimum at a kink"
    first, rest = answer.x[:3], answer.x[3:]
    # Its optimality conditions (Yuan & Lin 2006, eq. 2.4): the slope of a group that stays is weight · b / |b|, and
    # where a group is zero, no longer than the weight.
    slope = X.T @ (y - X @ answer.x)
    assert_allclose(slope[:3], 8.0 * first / np.linalg.norm(first), atol=1e-4)
    assert np.abs(rest).max() < 1e-6
    assert all(np.linalg.norm(group) <= 8.0 + 1e-6 for group in slope[3:].reshape(3, 3))


@pytest.mark.parametrize("method", ["auto", "newton", "bfgs", "l-bfgs", "newton-cg"])
def test_bounds_that_hold_every_parameter_leave_the_start_the_minimum(method):
    start = np.array([1.0, 2.0])
    found = st.minimize(lambda x: np.cos(x[0]) * np.exp(x[1]), start, bounds=[(1, 1), (2, 2)], method=method)
    assert found.success
    assert found.x.tolist() == start.tolist()
    assert_allclose(found.fun, np.cos(1.0) * np.exp(2.0), rtol=1e-14)


def test_a_start_that_bounds_hold_where_the_cost_has_no_value_stays():
    found = st.minimize(lambda x: np.log(x[0]) * x[1], [-1.0, 2.0], bounds=[(-1, -1), (2, 2)])
    assert found.verdict == "not finite"
    assert found.x.tolist() == [-1.0, 2.0]


def test_rates_of_a_differential_equation_are_found_through_jaxs_own_solver():
    """JAX's `odeint` carries a rule for the way back alone, which itself calls `odeint`: u' = -k u, u(0) = a."""
    import jax.numpy as jnp
    from jax.experimental.ode import odeint

    t = np.linspace(0.0, 2.0, 9)
    measured = 3.0 * np.exp(-0.7 * t)

    def cost(p):
        return jnp.sum((odeint(lambda u, t, k: -k * u, p[1], t, p[0]) - measured) ** 2)

    found = st.minimize(cost, np.array([1.0, 1.0]))
    assert found.success
    assert_allclose(found.x, [0.7, 3.0], rtol=1e-6)
