"""Loops that stay in a cost turn by turn are remarked on before they are compiled, with what else to write."""

import numpy as np
import pytest

from steepest.parameters import Layout
from steepest.tracing.batched import record
from steepest.training.turn_by_turn import remark

X = np.random.default_rng(0).normal(size=(8, 3))


def of(cost, params, data=X):
    return remark(record(cost, Layout.of(params, "params"), Layout.of(data, "data")))


def irregular(params, x):
    """Its turns are of no one kind: each adds up another number of columns."""
    h = x
    for turn in range(300):
        h = np.tanh(h * params["a"] + np.sum(h[:, : 1 + turn * turn % 97 % 3], axis=1, keepdims=True))
        h = h + 0.01 * np.sin(h) * params["a"] / (1 + h**2)
    return np.mean(h**2)


def of_layers(params, x):
    h = x
    for layer in params["layers"]:
        h = h + 0.1 * np.tanh(h @ layer["W"] + layer["b"]) * np.cos(h) / (1 + h**2)
    return np.mean(h**2)


def test_turns_that_differ_are_remarked_on_with_their_line_and_number():
    told = of(irregular, {"a": 0.3})
    assert "test_turn_by_turn.py" in told
    assert "jax.lax.scan, or with fewer turns" in told


def test_layers_of_a_list_are_remarked_on_with_one_array_for_all():
    layers = [{"W": np.eye(3), "b": np.zeros(3)} for _ in range(250)]
    assert "hold those in one array" in of(of_layers, {"layers": layers})


def of_one_array(params, x):
    h = x
    for turn in range(len(params["W"])):
        h = h + 0.1 * np.tanh(h @ params["W"][turn] + params["b"][turn]) * np.cos(h) / (1 + h**2)
    return np.mean(h**2)


@pytest.mark.parametrize(
    ("cost", "params"),
    [
        (of_one_array, {"W": np.array([np.eye(3)] * 250), "b": np.zeros((250, 3))}),
        (of_layers, {"layers": [{"W": np.eye(3), "b": np.zeros(3)} for _ in range(20)]}),
    ],
)
def test_loops_that_are_rolled_up_or_short_are_not_remarked_on(cost, params):
    assert of(cost, params) == ""
