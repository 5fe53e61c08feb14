"""Whether a cost has no value at a point by itself, or for want of larger and smaller numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.numerics import double_precision
from steepest.structure.facts import Structure


def told(cost, x):
    with double_precision():
        closed = jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((len(x),), np.float64))
    return Structure(closed).gives_out(np.array(x))


@pytest.mark.parametrize(
    ("cost", "x"),
    [
        (lambda x: jnp.exp(-x[0]) + x[1], [-800.0, 0.0]),
        (lambda x: jnp.log(jnp.exp(x[0])) + x[1], [-800.0, 0.0]),
        (lambda x: x[1] / (3.0 * jnp.exp(x[0])), [-800.0, 1.0]),
        (lambda x: jnp.sum(x**2) ** 100, [1e10, 0.0]),
    ],
    ids=["grows", "logarithm of what shrank", "divided by what shrank", "power"],
)
def test_numbers_that_cannot_be_held_end_no_cost(cost, x):
    assert told(cost, x)


@pytest.mark.parametrize(
    ("cost", "x"),
    [
        (lambda x: x[1] * jnp.log(x[0]), [0.0, 1.0]),
        (lambda x: x[1] / x[0], [0.0, 1.0]),
        (lambda x: jnp.sqrt(x[0]) + jnp.exp(x[1]), [-1.0, -800.0]),
        # Beside a term too small to be held, which has no part in it.
        (lambda x: jnp.exp(-(x[1] ** 2)) + x[0] * jnp.log(x[0]), [0.0, 40.0]),
        (lambda x: jnp.exp(-(x[1] ** 2)) + 1.0 / x[0], [0.0, 40.0]),
    ],
    ids=["logarithm", "pole", "root", "logarithm beside a small term", "pole beside a small term"],
)
def test_a_cost_that_ends_by_itself_is_said_to(cost, x):
    assert not told(cost, x)
