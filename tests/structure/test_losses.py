"""Losses of residuals: the scaled residual gives the gradient, and the model bends as the loss does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.derivatives import exact
from steepest.derivatives.tiers import Tiered
from steepest.numerics import double_precision
from steepest.structure.losses import losses_of
from steepest.structure.reading import Reading
from steepest.tracing.passes import simplify

RNG = np.random.default_rng(2)
A, Y = RNG.normal(size=(9, 3)), RNG.normal(size=9)


def model(x):
    return jnp.exp(A @ x) - Y


def huber(r, delta=0.6):
    return jnp.where(jnp.abs(r) <= delta, 0.5 * r**2, delta * (jnp.abs(r) - 0.5 * delta))


# Costs with the second derivative of their loss, and the argument that it is a loss of.
LOSSES = {
    "log cosh": (lambda x: jnp.sum(jnp.log(jnp.cosh(model(x)))), model, lambda e: 1 / jnp.cosh(e) ** 2),
    "Cauchy": (
        lambda x: jnp.mean(jnp.log1p(model(x) ** 2)),
        model,
        lambda e: (2 - 2 * e**2) / (1 + e**2) ** 2 / 9,
    ),
    "soft absolute": (
        lambda x: 3 * jnp.sum(jnp.sqrt(1 + model(x) ** 2) - 1),
        model,
        lambda e: 3 * (1 + e**2) ** -1.5,
    ),
    "Huber": (lambda x: jnp.sum(huber(model(x))), model, lambda e: jnp.where(jnp.abs(e) <= 0.6, 1.0, 0.0)),
}  # fmt: skip


def traced(cost):
    with double_precision():
        return simplify(jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((3,), np.float64)), keep_derivatives=True)


def losses(cost):
    return losses_of(Reading(traced(cost), keep_derivatives=True))


def linearised(found):
    return Tiered(exact.linearised_losses(exact.linearised(found.both), found.outer))


@pytest.mark.parametrize("name", LOSSES)
def test_the_scaled_residual_gives_the_gradient(name):
    cost, _, _ = LOSSES[name]
    found = losses(cost)
    assert found is not None and found.m == 9
    at, gradient = linearised(found), Tiered(exact.value_and_gradient(traced(cost)))
    for x in RNG.normal(size=(4, 3)) * 0.5:
        value, residual, jacobian = at(x)
        expected = gradient(x)
        assert value == expected[0]
        assert_allclose(
            2 * jacobian.T @ residual, expected[1], rtol=1e-10, atol=1e-10 * np.abs(expected[1]).max()
        )


@pytest.mark.parametrize("name", LOSSES)
def test_the_losses_of_the_arguments_add_up_to_the_cost(name):
    cost, argument, _ = LOSSES[name]
    found = losses(cost)
    x = RNG.normal(size=3) * 0.5
    value, e = Tiered(simplify(found.both))(x)
    with double_precision():
        assert_allclose(np.sort(np.abs(e)), np.sort(np.abs(np.asarray(argument(x)))), rtol=1e-12)
    assert_allclose(found.constant + Tiered(found.outer)(e)[0].sum(), value, rtol=1e-13)


@pytest.mark.parametrize("name", LOSSES)
def test_the_model_is_the_bending_of_the_loss_along_the_slopes_of_the_argument(name):
    cost, argument, bending = LOSSES[name]
    at = linearised(losses(cost))
    x = RNG.normal(size=3) * 0.3
    _, _, jacobian = at(x)
    with double_precision():
        e, slopes = np.asarray(argument(x)), np.asarray(jax.jacfwd(argument)(x))
        h = np.asarray(bending(e))
    assert np.linalg.eigvalsh(2 * jacobian.T @ jacobian)[0] >= 0
    full = h > 0.2 * h.max()
    mine = 2 * np.einsum("ij,ij->i", jacobian, jacobian)
    theirs = h * np.einsum("ij,ij->i", slopes, slopes)
    assert (mine >= 0.999 * theirs).all()  # never less than the loss bends
    assert_allclose(mine[full], theirs[full], rtol=1e-10)


def test_squares_beside_losses_are_losses_too():
    found = losses(lambda x: jnp.sum(jnp.log1p(model(x) ** 2)) + 0.1 * x @ x + 2)
    assert found.m == 12 and found.constant == 2.0


@pytest.mark.parametrize(
    "cost",
    [
        lambda x: jnp.sum(jnp.cos(model(x))),
        lambda x: jnp.sum(jnp.log1p(model(x) ** 2)) + jnp.prod(x),
        lambda x: -jnp.sum(jnp.log1p(model(x) ** 2)),
        lambda x: jnp.sum(jnp.log(jnp.cosh(A @ x - Y))),  # the model would be the Hessian itself
        lambda x: jnp.log(jnp.sum(model(x) ** 2)),
        lambda x: jnp.sum(jnp.exp(model(x))),
    ],
)
def test_other_costs_have_no_losses(cost):
    assert losses(cost) is None
