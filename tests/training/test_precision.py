"""Less memory and time at a known price, checked against the plain step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import steepest
from steepest.parameters import Layout
from steepest.tracing.batched import numbers_in, record
from steepest.training.precision import products_in_bfloat16, recomputed_in_segments
from steepest.training.verdict import trend_of

from .models import classification

pytestmark = pytest.mark.usefixtures("compiled_once")


def trained(**settings):
    cost, params, data = classification()
    return steepest.train(
        cost, params, data, batch_size=64, steps=20, method="momentum", rate=0.05, **settings
    )


def test_values_computed_twice_are_the_values_kept():
    plain, twice = trained(), trained(remat=True)
    assert_allclose(twice.params["hidden"]["W"], plain.params["hidden"]["W"], rtol=1e-4, atol=1e-6)


def turns(params, batch):
    """A Python loop, rolled up when it is recorded; its 53 turns do not divide into segments of one length."""
    h, total = np.zeros((len(batch), 6)), 0.0
    for t in range(53):
        h = np.tanh(batch[:, t] @ params["W"] + h @ params["U"] + 0.1 * h**2)
        total = total + np.mean(h**2)
    return total / 53 + np.mean(h**3)


def turns_back(params, batch):
    """A scan of JAX's that runs backwards and keeps something of every turn."""

    def turn(h, now):
        h = jnp.tanh(now @ params["W"] + h @ params["U"])
        return h, h * now[:, :1]

    h, kept = jax.lax.scan(turn, jnp.zeros((len(batch), 6)), jnp.swapaxes(batch, 0, 1), reverse=True)
    return jnp.mean(h**2) + jnp.mean(kept * jnp.arange(53)[:, None, None])


@pytest.mark.parametrize("cost", [turns, turns_back])
@pytest.mark.parametrize(
    ("call", "precision", "rtol"),
    [(recomputed_in_segments, "float64", 1e-12), (products_in_bfloat16, "bfloat16", 2e-2)],
)
def test_turns_of_a_loop_are_computed_twice_and_rounded_as_what_stands_outside(cost, call, precision, rtol):
    rng = np.random.default_rng(1)
    params, batch = (
        {"W": rng.normal(size=(3, 6)), "U": rng.normal(size=(6, 6)) / 3},
        rng.normal(size=(5, 53, 3)),
    )
    found = record(cost, Layout.of(params, "params"), Layout.of(batch, "batch"), precision=precision)
    assert any(equation.primitive.name == "scan" for equation in found.closed.jaxpr.eqns)
    with numbers_in(precision):
        batch = jnp.asarray(batch)
        arrays = [jnp.asarray(array) for array in Layout.of(params, "params").arrays]
        plain, changed = (
            jax.value_and_grad(lambda p, f=f: f(found.constants, p, [batch]))(arrays)
            for f in (found, call(found))
        )
        assert_allclose(changed[0], plain[0], rtol=rtol)
        for ours, theirs in zip(changed[1], plain[1], strict=True):
            assert_allclose(ours, theirs, rtol=rtol, atol=rtol * np.abs(theirs).max())
        rounded = "bf16" in str(jax.make_jaxpr(lambda p: call(found)(found.constants, p, [batch]))(arrays))
        assert rounded == (call is products_in_bfloat16)


def test_bfloat16_products_keep_float32_parameters_and_come_to_about_the_same_place():
    plain, short = trained(), trained(precision="bfloat16")
    assert short.params["out"]["W"].dtype == np.float32
    assert not np.array_equal(short.params["out"]["W"], plain.params["out"]["W"])
    # Eight bits of mantissa: each product is good to 1/256, and twenty steps carry that on.
    assert_allclose(short.params["out"]["W"], plain.params["out"]["W"], atol=0.02)


def test_a_dead_unit_and_a_dead_array_are_named():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(512, 3))

    def cost(params, batch):
        hidden = np.maximum(batch @ params["W"] + params["b"], 0.0)
        return (
            np.mean((hidden @ params["v"] - 1.0) ** 2)
            + 0.0 * np.sum(params["unused"])
            + np.sum(params["none"])
        )

    bias = np.array([0.5, -100.0, 0.5, -100.0])
    params = {
        "W": rng.normal(size=(3, 4)),
        "b": bias,
        "v": np.ones(4),
        "unused": np.ones(2),
        "none": np.ones(0),
    }
    result = steepest.train(cost, params, x, batch_size=64, steps=20, method="sgd", rate=0.01)
    assert "2 of the 4 units of W" in result.message
    assert "all of unused" in result.message
    assert "none" not in result.message
    assert_array_equal(result.params["unused"], 1.0)


def test_learning_by_heart_is_called_so():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 20)), rng.normal(size=32)
    aside = rng.normal(size=(200, 20)), rng.normal(size=200)

    def cost(params, batch):
        x, y = batch
        return np.mean((np.tanh(x @ params["W"]) @ params["v"] - y) ** 2)

    params = {"W": 0.3 * rng.normal(size=(20, 64)), "v": 0.1 * rng.normal(size=64)}
    result = steepest.train(
        cost, params, (x, y), batch_size=32, epochs=150, method="adam", rate=0.01, validation=aside
    )
    assert result.verdict == "overfitting"
    assert not result.success
    assert result.cost < 0.1


@pytest.mark.parametrize(
    ("cost", "within"),
    [
        (lambda t: 1.0 - 1e-3 * t, 1e-9),  # a straight line goes on
        (lambda t: 1 / (1 + t / 10), 0.05),
        (
            lambda t: 2 + np.exp(-t / 100),
            0.5,
        ),  # nears its floor: a straight line would promise three times as much
    ],
)
def test_what_as_many_steps_again_would_bring_is_what_they_bring(cost, within):
    costs = cost(np.arange(602.0))
    assert_allclose(trend_of(costs[:301].tolist()).more, costs[300] - costs[601], rtol=within)


@pytest.mark.parametrize(
    ("cost", "to_zero"),
    [
        (lambda t: 10.0 - 0.01 * t, 300.0),  # zero at step 1,000
        (lambda t: 10.0 - 0.004 * t, None),  # as many steps again do not lead there
        (lambda t: 1.0 - 0.01 * t, None),  # a cost that has been negative goes below zero
        (lambda t: 2.0 + np.exp(-t / 100.0), None),
        (lambda t: np.maximum(6.0 - 0.01 * t, 0.0), 0.0),  # it is there
    ],
)
def test_a_straight_fall_is_not_followed_below_zero(cost, to_zero):
    found = trend_of(cost(np.arange(700.0)).tolist()).to_zero
    assert found is to_zero if to_zero is None else abs(found - to_zero) <= 20


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_costs_that_scatter_or_slow_down_are_not_promised_to_come_to_zero(scale):
    t, noise = np.arange(700.0), 0.3 * np.random.default_rng(1).normal(size=700)
    for costs in (10.0 - 0.01 * t + noise, 10.0 * np.exp(-t / 200.0), 0.1 + 10.0 * np.exp(-t / 200.0)):
        assert trend_of((scale * costs).tolist()).to_zero in (None, np.inf)


def test_a_fit_of_noisy_data_is_not_promised_a_cost_of_zero():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2000, 5))
    y = x @ [1.0, -2.0, 3.0, 0.5, 1.0] + rng.normal(size=2000)
    for steps in (100, 150, 200):
        told = steepest.train(
            lambda w, batch: np.mean((batch[0] @ w - batch[1]) ** 2),
            np.zeros(5),
            (x, y),
            batch_size=64,
            steps=steps,
            method="adam",
            rate=0.01,
        )
        assert told.verdict == "still falling"
        assert "come to 0" not in told.next_step
        assert told.next_step


def test_a_run_is_promised_no_more_than_its_cost():
    data = np.zeros((64, 1))
    result = steepest.train(
        lambda w, batch: np.abs(w - 10.0) + np.sum(0.0 * batch),
        0.0,
        data,
        batch_size=8,
        steps=700,
        method="sgd",
        rate=0.01,
        schedule="constant",
    )
    assert result.verdict == "still falling"
    assert_allclose(result.cost, 3.0, atol=0.02)
    assert result.next_step == "at this rate the cost would come to 0 within about 310 steps"


def test_the_cost_of_a_run_that_leaves_no_fresh_batch_is_that_of_its_last_steps():
    x = np.random.default_rng(4).normal(size=(30, 16, 2))
    result = steepest.train(
        lambda w, batch: np.mean((batch @ w - 1) ** 2), np.zeros(2), iter(x), steps=60, method="sgd"
    )
    assert result.ended == "no more data" and result.rows == 0
    assert_allclose(result.cost, np.mean(result.history.costs[-20:]), rtol=1e-12)
