"""Recordings alike share what is derived of them, and those that differ in anything do not."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import jaxpr_as_fun
from numpy.testing import assert_allclose

import steepest as st
from steepest.numerics import double_precision
from steepest.parameters import Parameters
from steepest.tracing.source import user_line
from steepest.tracing.trace import trace

START = np.array([1.0, 2.0])


def of(function, start=START):
    return trace(function, Parameters.of(start))


def made(y, weight=1.0):
    return lambda p: weight * np.sum((p - y) ** 2) + np.exp(p[0])


def test_a_cost_made_anew_with_equal_numbers_is_known():
    first = of(made(np.array([3.0, 4.0])))
    assert of(made(np.array([3.0, 4.0]))) is first


def test_other_numbers_however_near_are_another_cost():
    first = of(made(np.array([3.0, 0.0])))
    others = [np.array([3.0, -0.0]), np.array([np.nextafter(3.0, 4.0), 0.0]), np.array([3.0, np.nan]), 3.0]
    for other in others:
        assert of(made(other)) is not first
    assert of(made(np.array([3.0, 0.0]), weight=2.0)) is not first


def test_other_forms_of_parameters_and_other_lines_are_another_cost():
    first = of(made(np.array([3.0, 4.0])))
    assert of(lambda p: 1.0 * np.sum((p - np.array([3.0, 4.0])) ** 2) + np.exp(p[0])) is not first

    def over(names):
        return trace(
            lambda p: sum((v - 1.0) ** 2 for v in p.values()), Parameters.of(dict.fromkeys(names, 0.5))
        )

    assert over("ab") is over("ab")
    assert over("ab") is not over("ac")


def test_data_changed_in_place_are_seen_whichever_way_they_came():
    y = np.array([3.0, 4.0])
    for now in ([3.0, 4.0], [5.0, 6.0], [3.0, 4.0], [5.0, 6.0]):
        y[:] = now
        assert_allclose(st.minimize(lambda p: np.sum((p - y) ** 2), START).x, now, rtol=1e-14)
    kept = y.copy()
    assert_allclose(st.minimize(lambda p: np.sum((p - kept) ** 2), START).x, [5.0, 6.0], rtol=1e-14)
    y[:] = 0.0
    assert_allclose(st.minimize(lambda p: np.sum((p - kept) ** 2), START).x, [5.0, 6.0], rtol=1e-14)


def test_data_of_another_cost_alike_that_change_later_are_not_this_ones():
    theirs = np.tile([3.0, 4.0], (200, 1))
    ours = theirs.copy()

    def of_data(y):
        def cost(p):
            return np.sum((p - y) ** 2)

        return cost

    other, cost = of_data(theirs), of_data(ours)
    for f in (other, cost):
        assert_allclose(st.minimize(f, START).x, [3.0, 4.0], rtol=1e-12)
    theirs[:] = 7.0
    assert_allclose(st.minimize(cost, START).x, [3.0, 4.0], rtol=1e-12)
    assert_allclose(st.gradient(cost)(START), [-800.0, -800.0], rtol=1e-12)
    assert_allclose(st.minimize(other, START).x, [7.0, 7.0], rtol=1e-12)


def test_data_closed_over_by_a_program_of_jax_are_as_they_are_now():
    y = np.array([3.0, 4.0])

    @jax.jit
    def inner(p):
        return jnp.sum((p - y) ** 2)

    for now in ([3.0, 4.0], [5.0, 6.0]):
        y[:] = now
        assert_allclose(st.minimize(lambda p: inner(p), START).x, now, rtol=1e-12)


def test_recordings_that_hold_much_are_not_kept():
    parts = [np.full(2**17, float(k)) for k in range(5)]  # 1 MB each

    def written():
        return lambda p: sum(np.mean((p[0] - part) ** 2) for part in parts)

    assert of(written()) is not of(written())


def test_the_place_told_is_that_of_the_cost_at_hand():
    def here(p):
        return np.sum(np.abs(p))

    def there(p):
        return np.sum(np.abs(p))

    places = []
    for f in (here, there):
        for equation in of(f).jaxpr.jaxpr.eqns:
            if equation.primitive.name == "abs":
                places.append(user_line(equation).line)
    assert places[1] == places[0] + 3


def test_loops_are_compared_throughout():
    def looped(factor):
        return lambda p: jnp.sum(lax.fori_loop(0, 3, lambda i, x: x * factor, p) ** 2)

    for factor in (2.0, 3.0, 2.0):
        with double_precision():
            value = jaxpr_as_fun(of(looped(factor)).jaxpr)(START)[0]
        assert_allclose(value, 5.0 * factor**6, rtol=1e-14)
