"""Costs that print on the way are minimised as those that do not, and what is left out is told."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

import steepest

START = np.array([3.0, 2.0])


def plain(x):
    return jnp.sum((x - jnp.array([1.0, 0.5])) ** 2)


def printed(x):
    jax.debug.print("x = {}", x[0])
    return plain(x)


def printed_in_order(x):
    jax.debug.print("x = {}", x, ordered=True)
    return plain(x)


def called_back(x):
    jax.debug.callback(lambda value: None, x[0])
    return plain(x)


def printed_in_a_loop(x):
    def turn(k, total):
        jax.debug.print("{}", total)
        return total + 0.25 * plain(x)

    return jax.lax.fori_loop(0, 4, turn, 0.0)


def printed_at_unrolled_turns(x):
    total = 0.0
    for k in range(20):
        jax.debug.print("{} {}", k, total)
        total = total + 0.05 * plain(x)
    return total


def printed_in_a_choice(x):
    return jax.lax.cond(x[0] > -99.0, printed, plain, x)


COSTS = [
    printed,
    jax.jit(printed),
    printed_in_order,
    called_back,
    printed_in_a_loop,
    printed_at_unrolled_turns,
    printed_in_a_choice,
]


@pytest.mark.parametrize("cost", COSTS, ids=range(len(COSTS)))
def test_a_cost_that_prints_has_its_minimum_and_prints_nothing(cost, capfd):
    with pytest.warns(UserWarning, match="prints or calls back"):
        found = steepest.minimize(cost, START)
    jax.effects_barrier()
    assert found.success
    np.testing.assert_allclose(found.x, [1.0, 0.5], atol=1e-6)
    assert capfd.readouterr().out == ""


def test_an_integrand_that_prints_is_named():
    def decay(t, rate):
        jax.debug.print("{}", t)
        return jnp.exp(-rate * t)

    with pytest.warns(UserWarning, match="decay prints"):
        slope = steepest.gradient(lambda p: quad(decay, 0, 1, args=(p[0],))[0])([1.0])
    np.testing.assert_allclose(slope, [2 * np.exp(-1) - 1], rtol=1e-10)


def test_a_cost_of_batches_that_prints_is_trained(capfd):
    rows = np.random.default_rng(0).normal(size=(64, 3))
    weights = np.array([1.0, -2.0, 3.0])

    def loss(w, batch):
        x, y = batch
        jax.debug.print("w = {}", w)
        return jnp.mean((x @ w - y) ** 2)

    with pytest.warns(UserWarning, match="loss prints"):
        found = steepest.train(loss, np.zeros(3), (rows, rows @ weights))
    jax.effects_barrier()
    np.testing.assert_allclose(found.params, weights, atol=1e-4)
    assert "w =" not in capfd.readouterr().out
