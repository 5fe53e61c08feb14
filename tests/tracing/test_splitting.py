"""Slices that cut an array into parts, and those that do not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from steepest.parameters import Layout
from steepest.tracing.batched import record
from steepest.tracing.splitting import splits_for_slices

A = np.arange(24.0, dtype=np.float32).reshape(4, 6)


def names(closed):
    return [equation.primitive.name for equation in closed.jaxpr.eqns]


def both(function):
    before = jax.make_jaxpr(function)(A)
    return before, splits_for_slices(before)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x[:, :1], x[:, 1:4], x[:, 4:]),
        lambda x: (x[:, 3:], x[:, :3] * 2, x[:3] + 1, x[3:]),  # in any order, along either axis
    ],
)
def test_parts_that_make_up_the_whole_become_a_split_with_the_same_values(function):
    before, after = both(function)
    assert "split" in names(after)
    assert "slice" not in names(after)
    for one, other in zip(jax.core.eval_jaxpr(before.jaxpr, before.consts, A), function(A), strict=True):
        assert_array_equal(one, other)
    for one, other in zip(jax.core.eval_jaxpr(after.jaxpr, after.consts, A), function(A), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x[:, :3], x[:, 2:]),  # overlap
        lambda x: (x[:, :3], x[:, 4:]),  # a gap
        lambda x: (x[:, 1:3], x[:, 3:]),  # the first left out
        lambda x: (x[:, :3], x[:2, 3:]),  # cut along two axes
        lambda x: (x[:, :3], x[:, 3::2]),  # every other
    ],
)
def test_slices_that_overlap_or_leave_something_out_stay(function):
    before, after = both(function)
    assert names(after) == names(before)


def test_the_slope_through_a_numpy_split_joins_parts_instead_of_adding_padded_ones():
    def cost(w, x):
        q, k, v = np.split(x @ w, 3, axis=-1)
        return np.mean((q * k - v) ** 2)

    w, x = np.linspace(-1, 1, 60, dtype=np.float32).reshape(5, 12), np.ones((7, 5), np.float32)
    recorded = record(cost, Layout.of(w, "w"), Layout.of(x, "x"))
    slope = jax.grad(lambda w: recorded(recorded.constants, [w], [x]))

    def in_jax(w):
        q, k, v = jnp.split(x @ w, 3, axis=-1)
        return jnp.mean((q * k - v) ** 2)

    assert_allclose(slope(w), jax.grad(in_jax)(w), rtol=1e-6)
    made = str(jax.make_jaxpr(slope)(w))
    assert "concatenate" in made
    assert " pad[" not in made
