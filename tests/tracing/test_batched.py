"""Costs of a batch whose model is a Python loop: recorded as a loop, with the values and slopes of all its turns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from numpy.testing import assert_allclose

from steepest.parameters import Layout
from steepest.tracing.batched import numbers_in, record

UNITS, FEATURES, ROWS = 4, 3, 6


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm(params, batch):
    x, y = batch
    h = np.zeros((x.shape[0], UNITS))
    c = np.zeros((x.shape[0], UNITS))
    for t in range(x.shape[1]):
        z = x[:, t] @ params["W"] + h @ params["U"] + params["b"]
        i, f, o = (sigmoid(z[:, k * UNITS : (k + 1) * UNITS]) for k in range(3))
        c = f * c + i * np.tanh(z[:, 3 * UNITS :])
        h = o * np.tanh(c)
    return np.mean((h @ params["v"] - y) ** 2)


def lstm_scanned(params, batch):
    """The same by hand."""
    x, y = batch

    def turn(state, now):
        h, c = state
        i, f, o, g = jnp.split(now @ params["W"] + h @ params["U"] + params["b"], 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    nothing = jnp.zeros((x.shape[0], UNITS))
    (h, _), _ = lax.scan(turn, (nothing, nothing), jnp.swapaxes(x, 0, 1))
    return jnp.mean((h @ params["v"] - y) ** 2)


def backwards(params, batch):
    """From the last time to the first, every state kept, each turn seeing a window of three times."""
    x, y = batch
    h, states = np.zeros((x.shape[0], 4 * UNITS)), []
    for t in reversed(range(x.shape[1] - 2)):
        seen = x[:, t : t + 3].mean(axis=1) + 0.1 * x[:, t]
        h = np.tanh(seen @ params["W"] + 0.5 * h * params["b"])
        h = h / np.sqrt(1 + np.sum(h**2, axis=1, keepdims=True))
        states.append(h)
    kept = np.stack(states, axis=1)
    return np.mean((kept[:, -1] @ params["b"] - y) ** 2) + np.mean(kept[:, ::2] ** 3)


def backwards_scanned(params, batch):
    x, y = map(jnp.asarray, batch)
    T = x.shape[1]

    def turn(h, t):
        seen = lax.dynamic_slice_in_dim(x, t, 3, 1).mean(axis=1) + 0.1 * x[:, t]
        h = jnp.tanh(seen @ params["W"] + 0.5 * h * params["b"])
        h = h / jnp.sqrt(1 + jnp.sum(h**2, axis=1, keepdims=True))
        return h, h

    last, kept = lax.scan(turn, jnp.zeros((x.shape[0], 4 * UNITS)), jnp.arange(T - 3, -1, -1))
    return jnp.mean((last @ params["b"] - y) ** 2) + jnp.mean(kept[::2] ** 3)


def stack(params, batch):
    """As many layers as there are times, their weights along the first axis of one array."""
    h = batch[0][:, 0] @ params["W"]
    for layer in range(params["A"].shape[0]):
        h = h + 0.1 * np.tanh(h @ params["A"][layer] + params["b"])
    return np.mean((h @ params["b"] - batch[1]) ** 2)


def stack_scanned(params, batch):
    def turn(h, A):
        return h + 0.1 * jnp.tanh(h @ A + params["b"]), None

    h, _ = lax.scan(turn, batch[0][:, 0] @ params["W"], params["A"])
    return jnp.mean((h @ params["b"] - batch[1]) ** 2)


def at(turns, seed=0):
    rng = np.random.default_rng(seed)
    wide = 4 * UNITS
    shapes = {
        "W": (FEATURES, wide),
        "U": (UNITS, wide),
        "b": (wide,),
        "v": (UNITS,),
        "A": (turns, wide, wide),
    }
    params = {name: 0.3 * rng.normal(size=shape) for name, shape in shapes.items()}
    return params, (rng.normal(size=(ROWS, turns, FEATURES)), rng.normal(size=ROWS))


def recorded(cost, params, batch, precision="float64"):
    return record(cost, Layout.of(params, "params"), Layout.of(batch, "batch"), precision=precision)


def value_and_slope(cost, params, batch):
    found = recorded(cost, params, batch)
    arrays, rows = Layout.of(params, "params").arrays, Layout.of(batch, "batch").arrays
    with numbers_in("float64"):
        value, slope = jax.value_and_grad(lambda p: found(found.constants, p, rows))(
            list(map(jnp.asarray, arrays))
        )
    return value, dict(zip((leaf.name for leaf in Layout.of(params, "params").leaves), slope, strict=True))


PAIRS = [(lstm, lstm_scanned), (backwards, backwards_scanned), (stack, stack_scanned)]


@pytest.mark.parametrize(("cost", "scanned"), PAIRS)
def test_a_loop_over_time_has_the_value_and_slope_of_a_scan_by_hand(cost, scanned):
    params, batch = at(40)
    value, slope = value_and_slope(cost, params, batch)
    with numbers_in("float64"):
        wanted, slopes = jax.value_and_grad(scanned)(jax.tree.map(jnp.asarray, params), batch)
    assert_allclose(value, cost(params, batch), rtol=1e-13)  # NumPy, turn by turn
    assert_allclose(value, wanted, rtol=1e-13)
    for (name, ours), theirs in zip(slope.items(), (slopes[key] for key in params), strict=True):
        assert_allclose(ours, theirs, rtol=1e-10, atol=1e-13, err_msg=name)


@pytest.mark.parametrize(("cost", "scanned"), PAIRS)
def test_the_equations_do_not_grow_with_the_turns(cost, scanned):
    few, many = (len(recorded(cost, *at(turns)).closed.jaxpr.eqns) for turns in (50, 150))
    assert few == many < 70


def test_the_slope_of_a_long_loop_does_not_hold_the_data_as_constants():
    """An index for each number of the batch would be compiled into the program."""
    for cost, _ in PAIRS:
        assert max(map(np.size, recorded(cost, *at(60)).constants), default=0) <= 3 * 60


def test_layers_in_a_list_are_not_copied_together():
    params, batch = at(60)
    layers = {"W": params["W"], "b": params["b"], "A": list(params["A"])}

    def of_list(params, batch):
        h = batch[0][:, 0] @ params["W"]
        for A in params["A"]:
            h = h + 0.1 * np.tanh(h @ A + params["b"])
        return np.mean((h @ params["b"] - batch[1]) ** 2)

    largest = max(
        np.prod(v.aval.shape) for e in recorded(of_list, layers, batch).closed.jaxpr.eqns for v in e.outvars
    )
    assert largest <= ROWS * 60 * FEATURES
    value, _ = value_and_slope(of_list, layers, batch)
    assert_allclose(value, stack(params, batch), rtol=1e-13)
