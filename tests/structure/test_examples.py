"""Sums over data give back the cost of each example: against the cost of every example on its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.derivatives.tiers import Tiered
from steepest.numerics import double_precision
from steepest.structure.examples import examples_of
from steepest.structure.reading import Reading
from steepest.tracing.passes import simplify

RNG = np.random.default_rng(8)
A, Y, T = RNG.normal(size=(7, 6)), RNG.normal(size=7), np.linspace(0, 3, 7)
LABELS = np.eye(3)[RNG.integers(0, 3, 7)]


def scores(x, a):
    return a @ x.reshape(6, 3)


# The cost, the cost of one example, and what is left.
SUMS = {
    "least squares": (lambda x: jnp.sum((A @ x[:6] - Y) ** 2), lambda x, a, y, t, z: (a @ x[:6] - y) ** 2, None),
    "mean and penalty": (
        lambda x: jnp.mean(jnp.logaddexp(0.0, A @ x[:6])) + 0.1 * x @ x + 2,
        lambda x, a, y, t, z: jnp.logaddexp(0.0, a @ x[:6]) / 7,
        lambda x: 0.1 * x @ x + 2,
    ),
    "curve": (
        lambda x: jnp.sum((x[0] * jnp.exp(-x[1] * T) + x[2] - Y) ** 2),
        lambda x, a, y, t, z: (x[0] * jnp.exp(-x[1] * t) + x[2] - y) ** 2,
        None,
    ),
    "classes": (
        lambda x: jnp.mean(jax.nn.logsumexp(scores(x, A), axis=1) - jnp.sum(LABELS * scores(x, A), axis=1)),
        None,
        None,
    ),
    "layers": (
        lambda x: jnp.mean((jnp.tanh(A @ x[:12].reshape(6, 2)) @ x[12:14] - Y) ** 2),
        lambda x, a, y, t, z: (jnp.tanh(a @ x[:12].reshape(6, 2)) @ x[12:14] - y) ** 2 / 7,
        None,
    ),
    "vmapped": (
        lambda x: jnp.sum(jax.vmap(lambda a, y: jnp.abs(jnp.sin(a @ x[:6]) - y))(A, Y)),
        lambda x, a, y, t, z: jnp.abs(jnp.sin(a @ x[:6]) - y),
        None,
    ),
}  # fmt: skip


def examples(cost):
    with double_precision():
        closed = simplify(jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((18,), np.float64)))
    return examples_of(Reading(closed))


@pytest.mark.parametrize("name", SUMS)
def test_the_costs_of_the_examples_are_those_of_each_alone(name):
    cost, single, rest = SUMS[name]
    found = examples(cost)
    assert found is not None and found.count == 7
    x = RNG.normal(size=18) * 0.5
    costs, remainder = Tiered(found.costs)(x)[0], Tiered(found.remainder)(x)[0]
    with double_precision():
        assert_allclose(costs.sum() + remainder, float(cost(x)), rtol=1e-13)
        if single is not None:
            each = [float(single(x, a, y, t, z)) for a, y, t, z in zip(A, Y, T, LABELS, strict=True)]
            assert_allclose(costs, each, rtol=1e-12)
            assert_allclose(remainder, float(rest(x)) if rest else 0.0, rtol=1e-13)


@pytest.mark.parametrize(
    "cost",
    [
        lambda x: jnp.sum(x**2),
        lambda x: jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2),
        lambda x: jnp.log(jnp.sum(jnp.exp(A @ x[:6]))),
        lambda x: x[0] * x[1],
    ],
)
def test_sums_over_parameters_are_no_sums_over_data(cost):
    assert examples(cost) is None
