"""Sums of functions of one linear expression each: put together again the terms give the cost, others are refused."""

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest as st
from steepest.numerics import double_precision
from steepest.structure.linear_terms import linear_terms_of
from steepest.structure.reading import Reading
from steepest.tracing.passes import simplify

RNG = np.random.default_rng(8)
A, B = RNG.normal(size=(2, 7, 5))


def windows(x):
    q = jnp.convolve(jnp.pad(x, (0, 2)), jnp.ones(3), mode="valid")
    return jnp.sum(q * (q * (q**2 - 20) - 0.1))


def product(x):
    z = A @ x
    return jnp.sum(jnp.exp(z) * jnp.sin(z))


# What is left out of the terms: constants and what is linear.
KNOWN = {
    "windows": (windows, lambda x: 0.0),
    "a field": (lambda x: jnp.sum((x**2 - 1) ** 2) + 3 * jnp.sum((x[1:] - x[:-1]) ** 2) + 2, lambda x: 2.0),
    "waves": (lambda x: jnp.sum(jnp.cos(A @ x) + B @ x) / 2, lambda x: np.sum(B @ x) / 2),
    "a product of two functions": (product, lambda x: 0.0),
    "squares": (lambda x: (A @ x - 1) @ (A @ x - 1), lambda x: 0.0),
}  # fmt: skip
OTHERS = {
    "a bent argument": lambda x: jnp.sum(jnp.cos(x[1:] - x[:-1] ** 2)),
    "a product of two arguments": lambda x: jnp.sum((A @ x) * (B @ x)),
    "a function of a sum": lambda x: jnp.sqrt(1 + jnp.sum(x**2)),
    "linear": lambda x: jnp.sum(A @ x),
}  # fmt: skip


def terms(cost):
    with double_precision():
        closed = jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((5,), np.float64))
    return linear_terms_of(Reading(simplify(closed, keep_derivatives=True), keep_derivatives=True))


@pytest.mark.parametrize("name", KNOWN)
def test_the_terms_are_the_cost(name):
    cost, rest = KNOWN[name]
    found = terms(cost)
    arguments, outer = jex.jaxpr_as_fun(found.arguments), jex.jaxpr_as_fun(found.outer)
    with double_precision():
        for x in RNG.normal(size=(3, 5)):
            (z,) = arguments(x)
            assert_allclose(np.sum(outer(z)[0]) + rest(x), cost(x), rtol=1e-12)
        # Linear but for a constant, and each term of one argument alone.
        x, y = RNG.normal(size=(2, 5))
        assert_allclose(arguments(0.5 * (x + y))[0], 0.5 * (arguments(x)[0] + arguments(y)[0]), atol=1e-12)
        jacobian = np.asarray(jax.jacobian(lambda z: outer(z)[0])(z))
        assert_allclose(jacobian, np.diag(jacobian.diagonal()), atol=0.0)


@pytest.mark.parametrize("name", OTHERS)
def test_other_costs_are_not_taken_for_such_sums(name):
    assert terms(OTHERS[name]) is None


@pytest.mark.parametrize("n", [1, 50, 400])
@pytest.mark.parametrize(
    "nothing",
    [
        lambda x: np.sum(3.0 * np.sin(x[:0]) ** 2),
        lambda x: np.sum(np.abs(x[:0])),
        lambda x: 2.0 * np.sum(x[:0]),
    ],
)
def test_a_sum_over_nothing_adds_nothing(nothing, n):
    found = st.minimize(lambda x: nothing(x) + np.sum(np.cosh(x - 1.0)), np.full(n, 0.3))
    assert found.success
    assert_allclose(found.x, 1.0, atol=1e-7)
    constant = st.minimize(lambda x: nothing(x) + 3.0, np.full(n, 0.3))
    assert constant.fun == 3.0 and np.array_equal(constant.x, np.full(n, 0.3))
