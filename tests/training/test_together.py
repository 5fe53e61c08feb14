"""Slopes of parts of a batch, added up as one message: the slope of the whole, in as few messages as can be."""

import os
import subprocess
import sys

import numpy as np
import pytest

from steepest.parameters import Layout
from steepest.training.batches import read_data
from steepest.training.passes import MEAN, over_rows
from steepest.training.together import MESSAGE_BYTES, _messages

PROGRAM = """
import jax, numpy as np
from steepest.training.distributed import AXIS
from steepest.training.together import together

rng = np.random.default_rng(0)
x, y = rng.normal(size=(12, 3)), rng.normal(size=12)
parameters = {"W": rng.normal(size=(3, 5)), "b": rng.normal(size=5), "v": rng.normal(size=5)}

def cost(parameters, batch, constants):
    x, y = batch
    hidden = jax.numpy.tanh(x @ parameters["W"] + parameters["b"])
    return jax.numpy.mean((hidden @ parameters["v"] - constants[0] * y) ** 2)

jax.config.update("jax_enable_x64", True)
mesh = jax.sharding.Mesh(np.array(jax.devices()), (AXIS,))
joined = jax.jit(together(jax.value_and_grad(cost), mesh))
whole = jax.value_and_grad(cost)(parameters, [x, y], [2.0])
parts = joined(parameters, [x, y], [2.0])
assert len(jax.devices()) == 4
for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
    np.testing.assert_allclose(other, one, rtol=1e-13, atol=1e-15)
print(joined.lower(parameters, [x, y], [2.0]).as_text().count("all_reduce\\""))
"""


def test_the_slope_of_a_batch_is_the_mean_of_those_of_its_parts_and_travels_in_one_message():
    flags = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=flags, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1"]


def test_neighbours_of_one_type_travel_together_and_long_ones_alone():
    long = np.broadcast_to(np.float32(0), (MESSAGE_BYTES // 4,))
    short, wide = np.zeros(3, np.float32), np.zeros(3)
    assert _messages([short, short, long, short, wide, wide]) == [[0, 1], [2], [3], [4, 5]]


def normalised(params, batch):
    hidden = batch["x"] @ params["w"]
    return np.mean((hidden - np.mean(hidden)) ** 2)


COSTS = {
    "mean": (lambda params, batch: np.mean((batch["x"] @ params["w"] - 1) ** 2), True),
    "sum": (lambda params, batch: np.sum((batch["x"] @ params["w"] - 1) ** 2), False),
    "normalised over the batch": (normalised, False),
    "largest": (lambda params, batch: np.max((batch["x"] @ params["w"] - 1) ** 2), False),
    "differences of rows": (lambda params, batch: np.mean(np.diff(batch["x"] @ params["w"]) ** 2), False),
}


@pytest.mark.parametrize("name", COSTS)
def test_few_rows_tell_a_mean_over_rows_from_a_cost_that_mixes_them(name):
    cost, holds = COSTS[name]
    rng = np.random.default_rng(2)
    source = read_data({"x": rng.normal(size=(40, 3))}, seed=0)
    params = {"w": rng.normal(size=3)}
    found = over_rows(cost, Layout.of(params, "params"), source, params["w"], few=4)
    assert (found == MEAN) is holds
