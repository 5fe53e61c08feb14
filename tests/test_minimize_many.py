"""Many minimisations at once: the same minima as one by one, a true word for each, whatever the members need."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest as st
from steepest import InputError, Verdict

RNG = np.random.default_rng(12)


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def camel(x):
    return (4 - 2.1 * x[0] ** 2 + x[0] ** 4 / 3) * x[0] ** 2 + x[0] * x[1] + (-4 + 4 * x[1] ** 2) * x[1] ** 2


def test_every_member_reaches_the_minimum():
    found = st.minimize_many(rosenbrock, RNG.uniform(-3, 3, size=(1500, 2)))
    assert found.success.all() and not found.alone.any() and len(found) == 1500
    assert_allclose(found.x, 1.0, atol=1e-9)
    assert found.minima()[0]["count"] == 1500


def test_the_distinct_minima_of_the_camel_are_its_six():
    starts = RNG.uniform([-2, -1.2], [2, 1.2], size=(600, 2))
    found = st.minimize_many(camel, starts, bounds=[(-3, 3), (-2, 2)])
    minima = found.minima()
    assert [round(one["fun"], 5) for one in minima] == [
        -1.03163,
        -1.03163,
        -0.21546,
        -0.21546,
        2.10425,
        2.10425,
    ]
    assert_allclose(abs(minima[0]["x"]), [0.0898420, 0.7126564], rtol=1e-5)
    assert found.fun[found.best] == pytest.approx(-1.0316284534898774, rel=1e-12)
    assert set(found.verdicts) == {Verdict.LOCAL_MINIMUM}


def test_members_have_arguments_of_their_own():
    t = np.linspace(0, 2, 25)
    truth = RNG.uniform(0.5, 2.0, size=(90, 2))
    curves = truth[:, :1] * np.exp(-truth[:, 1:] * t)

    def cost(p, y, weight):
        return weight * np.sum((p["height"] * np.exp(-p["rate"] * t) - y) ** 2)

    starts = {"height": np.ones(90), "rate": np.ones(90)}
    found = st.minimize_many(cost, starts, [curves, RNG.uniform(1, 2, size=90)])
    assert_allclose(found.x["height"], truth[:, 0], rtol=1e-8)
    assert_allclose(found.x["rate"], truth[:, 1], rtol=1e-8)
    assert found[3]["x"]["rate"] == found.x["rate"][3] and found.names == ("height", "rate")


def test_bounds_hold_and_the_ends_are_those_of_single_runs():
    bounds = [(-0.5, 0.5), (None, 0.2)]
    starts = RNG.uniform(-2, 2, size=(40, 2))
    found = st.minimize_many(rosenbrock, starts, bounds=bounds)
    assert (found.x[:, 0] <= 0.5).all() and (found.x[:, 1] <= 0.2).all()
    for k in range(3):
        single = st.minimize(rosenbrock, starts[k], bounds=bounds)
        assert found.fun[k] == pytest.approx(single.fun, rel=1e-9)
    assert found.success.all()


def test_what_the_batch_cannot_finish_is_taken_up_alone():
    kinked = st.minimize_many(lambda x: np.abs(x - 1) + 0.1 * x**2, np.linspace(-2, 3, 5))
    assert kinked.alone.all() and kinked.success.all()
    assert_allclose(kinked.x, 1.0, atol=1e-9)
    saddle = st.minimize_many(lambda x: x[0] ** 2 - x[1] ** 2, np.array([[1.0, 0.0], [0.0, 1.0]]))
    assert set(saddle.verdicts) == {Verdict.UNBOUNDED_BELOW}
    left = st.minimize_many(lambda x: np.abs(x - 1), np.array([3.0, -1.0]), alone=False)
    assert set(left.verdicts) == {Verdict.OUT_OF_BUDGET} and not left.success.any()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 100.0])
def test_one_minimum_at_zero_is_one_however_its_last_digits_differ(scale):
    # exp(u) - u + log(cosh(v - u)) is convex, with its only minimum at zero.
    def cost(x):
        u, v = x[0] / scale, x[1] / scale
        return np.exp(u) - u + np.log(np.cosh(v - u))

    starts = scale * np.random.default_rng(0).normal(size=(200, 2))
    minima = st.minimize_many(cost, starts).minima()
    assert [one["count"] for one in minima] == [200]
    assert_allclose(minima[0]["x"], 0.0, atol=1e-7 * scale)


def test_minima_far_below_one_are_told_apart_where_their_starts_are_as_small():
    starts = 1e-8 * np.random.default_rng(0).normal(size=(200, 1))
    minima = st.minimize_many(lambda x: ((x[0] / 1e-8) ** 2 - 1) ** 2, starts).minima()
    assert_allclose([one["x"][0] / 1e-8 for one in minima], [-1.0, 1.0])
    assert sum(one["count"] for one in minima) == 200


@pytest.mark.parametrize("unit", [1.0, 1e-7])
@pytest.mark.parametrize("n", [1, 51])
def test_the_lowest_minimum_stands_first_whatever_the_unit_of_the_cost(unit, n):
    # Each member has a bowl of its own; 51 parameters are too many for a batch and are walked one by one.
    def cost(x, centre, height):
        return unit * (np.sum((x - centre) ** 2) + height)

    found = st.minimize_many(cost, np.zeros((3, n)), [np.array([-1.0, 1.0, 0.5]), np.array([2.0, 1.0, 3.0])])
    minima = found.minima()
    assert_allclose([one["fun"] for one in minima], unit * np.array([1.0, 2.0, 3.0]), rtol=1e-9)
    assert_allclose([one["x"][0] for one in minima], [1.0, -1.0, 0.5], rtol=1e-9)


def test_minima_with_the_cost_zero_stand_in_the_order_of_their_parameters_whatever_the_unit_of_the_cost():
    starts = np.linspace(-2.0, 2.0, 40)[:, None]
    minima = st.minimize_many(lambda x: 1e-9 * (x[0] ** 2 - 1.0) ** 2, starts).minima()
    assert_allclose([one["x"][0] for one in minima], [-1.0, 1.0])
    assert [one["count"] for one in minima] == [20, 20]


def test_a_convex_cost_gives_global_minima():
    found = st.minimize_many(lambda x: np.sum(np.exp(x)) + np.sum(x**2), np.zeros((3, 4)))
    assert set(found.verdicts) == {Verdict.GLOBAL_MINIMUM}
    assert_allclose(np.exp(found.x) + 2 * found.x, 0.0, atol=1e-12)


def test_a_cost_without_a_value_at_one_start_spoils_no_other():
    found = [
        st.minimize_many(lambda x, low: x - np.log(x - low), np.array([0.5, -1.0, 3.0]), args_batch=(shift,))
        for shift in (np.zeros(3), np.array([0.0, np.inf, 0.0]))
    ]
    assert found[0].success.all()  # -1 is left for a place nearby
    assert_allclose(found[0].x, 1.0, rtol=1e-8)
    assert found[1].success.tolist() == [True, False, True]
    assert found[1].verdicts[1] == Verdict.NOT_FINITE
    assert_allclose(found[1].x[[0, 2]], 1.0, rtol=1e-8)


@pytest.mark.parametrize("count", [5, 1500])
def test_members_without_a_cost_at_their_start_are_walked_in_the_batch_from_a_place_nearby(count):
    """The minimum of a·x - log x is 1/a; the edge is where the logarithm has no value."""
    a = np.linspace(1.0, 2.0, count)
    starts = np.tile([[0.0, -1.0]], (count, 1))
    starts[::2] = 3.0

    def cost(x, a):
        return np.sum(a * x - np.log(x))

    found = st.minimize_many(cost, starts, [a], bounds=(-2, 10), alone=False)
    assert found.success.all()
    assert_allclose(found.x, np.tile(1.0 / a, (2, 1)).T, rtol=1e-9)
    assert_allclose(found.fun, 2.0 + 2.0 * np.log(a), rtol=1e-12)


def test_members_without_a_cost_anywhere_near_are_not_finite_and_stay_at_their_starts():
    found = st.minimize_many(
        lambda x: np.sum(np.log(x - 1e3)), np.array([[0.0, 1.0], [2.0, 2.0]]), alone=False
    )
    assert set(found.verdicts) == {Verdict.NOT_FINITE}
    assert found.x.tolist() == [[0.0, 1.0], [2.0, 2.0]] and np.isnan(found.fun).all()


def test_more_parameters_and_jax_functions_and_lists_of_starts():
    matrix = RNG.normal(size=(15, 12))

    def cost(x):
        return jnp.sum((matrix @ x - 1) ** 2) + jnp.sum(jnp.cosh(x))

    found = st.minimize_many(cost, RNG.normal(size=(70, 12)))
    assert found.success.all()
    assert_allclose(found.x, np.tile(found.x[0], (70, 1)), atol=1e-8)
    nested = st.minimize_many(
        lambda p: (p["a"][0] - 1) ** 2 + (p["a"][1] + p["b"]) ** 2 + p["b"] ** 4 + p["b"] ** 2,
        [{"a": np.zeros(2), "b": 1.0}, {"a": np.ones(2), "b": -1.0}],
    )
    assert nested.success.all() and nested.x[1]["a"][0] == pytest.approx(1.0)


def test_the_text_tells_how_many_of_each_word():
    text = str(st.minimize_many("x**2 - 2*x + 3", np.array([1.0, 5.0])))
    assert "2 minimisations of x**2 - 2*x + 3: 2 × global minimum" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((rosenbrock, 3.0), "one start for each member"),
        ((rosenbrock, np.zeros((0, 2))), "no start"),
        ((rosenbrock, np.full((2, 2), np.nan)), "not finite"),
        ((rosenbrock, {"a": np.zeros(2), "b": np.zeros(3)}), "the same leading axis"),
        ((lambda x, y: x * y, np.zeros(3), [np.zeros(2)]), "runs over the 3 members"),
        ((lambda x, y: x * y, np.zeros(2), [["a", "b"]]), "does not hold numbers"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(arguments, words):
    with pytest.raises(InputError, match=words):
        st.minimize_many(*arguments)
    with pytest.raises(InputError, match="tol=-1"):
        st.minimize_many(rosenbrock, np.zeros((2, 2)), tol=-1)


@pytest.mark.parametrize("gap", [np.nan, np.inf])
def test_a_first_member_with_gaps_in_its_data_is_as_welcome_as_another(gap):
    def spread(x, d):
        there = jnp.isfinite(d)
        return jnp.sum(there * (x - jnp.where(there, d, 0.0)) ** 2) + (x[1] - 3.0) ** 2

    data = np.array([[1.0, gap], [2.0, 3.0], [0.0, 1.0]])
    for order in ([0, 1, 2], [1, 2, 0]):
        found = st.minimize_many(spread, np.zeros((3, 2)), data[order], alone=False)
        assert found.success.all()
        assert_allclose(found.x, np.array([[1.0, 3.0], [2.0, 3.0], [0.0, 2.0]])[order], atol=1e-7)


def test_a_first_member_without_a_cost_takes_none_from_the_others():
    found = st.minimize_many(
        lambda x, d: jnp.sum((x - d) ** 2), np.zeros((2, 1)), np.array([[np.nan], [2.0]])
    )
    assert found.verdicts.tolist() == [Verdict.NOT_FINITE, Verdict.LOCAL_MINIMUM]
    assert_allclose(found.x[1], 2.0)


def test_members_whose_cost_holds_a_method_of_unknown_length():
    from scipy.integrate import odeint

    t = np.linspace(0.0, 3.0, 7)

    def cost(p):
        return np.sum((odeint(lambda y, s: -p[1] * y, p[0], t)[:, 0] - 2 * np.exp(-0.7 * t)) ** 2)

    found = st.minimize_many(cost, RNG.uniform(0.5, 2.0, size=(8, 2)))
    assert found.success.all()
    assert_allclose(found.x, np.tile([2.0, 0.7], (8, 1)), atol=1e-7)


def by_sign(x, d):
    if d > 0:
        return (x[0] - d) ** 2
    return (x[0] + 2 * d) ** 2


def test_a_cost_that_looks_at_the_data_of_its_member_is_minimised_member_by_member():
    data = RNG.normal(size=6)
    found = st.minimize_many(by_sign, np.ones((6, 1)), data)
    assert found.alone.all() and found.success.all()
    assert_allclose(found.x[:, 0], np.where(data > 0, data, -2 * data), rtol=1e-12)
    with pytest.raises(st.TracingError, match=r"args_batch\[0\]"):
        st.minimize_many(by_sign, np.ones((6, 1)), data, alone=False)


def test_a_cost_that_cannot_be_traced_may_have_its_slopes_measured():
    def opaque(x, d):
        return float(str((float(x[0]) - d) ** 2))

    data = np.array([1.0, -2.0])
    with pytest.raises(st.TracingError, match="derivatives="):
        st.minimize_many(opaque, np.zeros((2, 1)), data)
    found = st.minimize_many(opaque, np.zeros((2, 1)), data, derivatives="numeric")
    assert_allclose(found.x[:, 0], data, atol=1e-6)
    with pytest.raises(InputError, match="derivatives='newton'"):
        st.minimize_many(opaque, np.zeros((2, 1)), data, derivatives="newton")


@pytest.mark.parametrize("evaluation", [1, 9, 60])
def test_what_was_found_before_ctrl_c_is_kept(evaluation):
    centres, calls, single = np.array([1.0, -2.0, 3.0]), [0], [0]

    def counted(x, a):
        single[0] += 1
        return float(np.sum((x - a) ** 2))

    st.minimize(counted, np.zeros(2), (centres[0],), derivatives="numeric")

    def interrupted(x, a):
        calls[0] += 1
        if calls[0] == single[0] + evaluation:  # in the second member
            raise KeyboardInterrupt
        return float(np.sum((x - a) ** 2))

    many = st.minimize_many(interrupted, np.zeros((3, 2)), [centres], derivatives="numeric")
    assert many.success.tolist() == [True, False, False]
    assert [str(word) for word in many.verdicts[1:]] == ["stopped", "out of budget"]
    assert many.alone.tolist() == [True, True, False]
    assert_allclose(many.x[0], centres[0], atol=1e-6)
    assert_allclose(many.x[2], 0.0, atol=0.0)


def test_a_cost_that_is_an_object_that_cannot_be_hashed():
    @dataclass
    class Misfit:
        weight: float

        def __call__(self, x, a):
            return self.weight * np.sum((x - a) ** 2)

    centres = np.array([[1.0, 2.0], [3.0, 4.0]])
    for weight in (1.0, 2.0):
        cost = Misfit(weight)
        many = st.minimize_many(cost, np.zeros((2, 2)), [centres])
        assert_allclose(many.x, centres, rtol=1e-12)
