"""A cost with a loop of unknown length has the slope of the formula it stands for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad

import steepest

X = np.random.default_rng(0).normal(size=(64, 3))


def halved_thrice(params, batch):
    """z ← z/2 + x·w, three times from zero, is 7/4 x·w."""

    def turn(state):
        k, z = state
        return k + 1, z / 2 + batch @ params["w"]

    z = jax.lax.while_loop(lambda state: state[0] < 3, turn, (0, jnp.zeros(len(batch), batch.dtype)))[1]
    return jnp.mean((z - 1 - params["c"]) ** 2)


def written_out(params, batch):
    return np.mean((1.75 * (batch @ params["w"]) - 1 - params["c"]) ** 2)


START = {"w": np.array([0.3, -0.2, 0.1]), "c": 0.5}


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "sgd", "rate": 0.01, "steps": 5, "batch_size": 16},
        {"method": "adam", "rate": 0.01, "steps": 5, "batch_size": 16, "accumulate": 2},
        {"method": "sgd", "rate": 50.0, "steps": 20, "batch_size": 16},  # it diverges, and goes back
    ],
    ids=str,
)
def test_a_loop_of_unknown_length_is_walked_down_like_its_formula(settings):
    loop, formula = (
        steepest.train(cost, START, X, **settings, precision="float64")
        for cost in (halved_thrice, written_out)
    )
    assert loop.steps == formula.steps
    assert_allclose(loop.params["w"], formula.params["w"], rtol=1e-9)
    assert_allclose(loop.params["c"], formula.params["c"], rtol=1e-9)


def test_a_walk_over_all_rows_comes_to_the_bottom_of_a_loop_of_unknown_length():
    result = steepest.train(halved_thrice, START, X, method="l-bfgs", epochs=100, precision="float64")
    assert_allclose([*result.params["w"], result.params["c"]], [0, 0, 0, -1], atol=1e-6)
    assert result.verdict in ("local minimum", "global minimum")


def test_an_integral_of_scipy_has_the_slope_of_its_closed_form():
    def cost(a, batch):
        return np.mean(quad(lambda x: np.exp(-a * x), 0, 1)[0] * batch)

    rows, a, rate = np.full((8, 1), 2.0), 0.3, 0.125
    result = steepest.train(
        cost, a, rows, method="sgd", rate=rate, steps=1, batch_size=8, precision="float64"
    )
    slope = 2 * ((a + 1) * np.exp(-a) - 1) / a**2  # of (1 - exp(-a))/a
    assert result.params == pytest.approx(a - rate * slope, rel=1e-10)


def test_of_too_many_parameters_the_line_and_what_to_write_are_told():
    def cost(w, batch):
        z = jax.lax.while_loop(lambda z: jnp.sum(z) > 1e9, lambda z: z / 2, batch @ w)
        return jnp.mean(z)

    with pytest.raises(steepest.TracingError, match=r"test_ways_back.py.*1,001 parameters.*jax.lax.scan"):
        steepest.train(cost, np.zeros(1001), np.ones((8, 1001)))


def test_a_random_key_in_a_cost_draws_what_it_draws_outside():
    def cost(w, batch):
        left, _ = jax.random.split(jax.random.key(7))
        return jnp.mean((jax.random.bernoulli(left, 0.5, (len(batch), 3)) * batch) @ w)

    mask = jax.random.bernoulli(jax.random.split(jax.random.key(7))[0], 0.5, (64, 3))
    result = steepest.train(
        cost, np.zeros(3), np.ones((64, 3)), method="sgd", rate=1.0, steps=1, batch_size=64
    )
    assert_allclose(result.params, -np.mean(np.asarray(mask), axis=0), rtol=1e-6)
