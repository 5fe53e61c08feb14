"""Exact derivatives of traced costs against closed forms."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from steepest.derivatives import exact
from steepest.derivatives.interpreted import interpret
from steepest.errors import InputError

A = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, -0.25], [0.5, -0.25, 1.0]])
x = np.array([0.3, -1.2, 2.0])


def traced(function, shape=(3,)):
    with jax.enable_x64(True):
        return jax.make_jaxpr(function)(jax.ShapeDtypeStruct(shape, np.float64))


def at(closed, *arguments):
    results = interpret(closed)(*arguments)
    return results[0] if len(results) == 1 else results


quadratic = traced(lambda x: 0.5 * x @ A @ x + x[0])


def test_a_quadratic_has_its_matrix_as_hessian():
    e0 = np.array([1.0, 0.0, 0.0])
    value, slope = at(exact.value_and_gradient(quadratic), x)
    assert_allclose(value, 0.5 * x @ A @ x + x[0], rtol=1e-15)
    assert_allclose(slope, A @ x + e0, rtol=1e-14)
    assert_allclose(at(exact.gradient(quadratic), x), A @ x + e0, rtol=1e-14)
    assert_allclose(at(exact.hessian(quadratic), x), A, rtol=1e-15)
    assert_allclose(at(exact.hessian_product(quadratic), x, e0), A[0], rtol=1e-15)


def test_the_lesson():
    parabola = traced(lambda x: x**2 - 2 * x + 3, ())
    slope = interpret(exact.derivative(parabola))
    assert [float(slope(at)[0]) for at in (-1.0, 1.0, 3.0)] == [-4.0, 0.0, 4.0]
    assert float(at(exact.derivative(parabola, 2), 5.0)) == 2.0
    assert float(at(exact.derivative(parabola, 3), 5.0)) == 0.0
    assert at(exact.hessian(parabola), 5.0).shape == ()


@pytest.mark.parametrize("order", range(7))
def test_derivatives_of_high_order(order):
    closed = traced(lambda x: jnp.exp(2 * x) + x**5, ())
    falling = math.prod(range(5, 5 - order, -1)) * 0.7 ** max(5 - order, 0) if order <= 5 else 0.0
    assert_allclose(at(exact.derivative(closed, order), 0.7), 2**order * math.exp(1.4) + falling, rtol=1e-13)


def test_a_derivative_keeps_the_shape_of_a_one_element_vector():
    closed = traced(lambda x: jnp.sin(x[0]) * np.arange(3.0), (1,))
    assert_allclose(
        at(exact.derivative(closed, 2), np.array([0.4])), -np.sin(0.4) * np.arange(3.0), rtol=1e-15
    )


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: A[:2] @ x, A[:2]),
        (lambda x: A @ x, A),
        (lambda x: np.vstack([A, A]) @ x, np.vstack([A, A])),
        (lambda x: (A @ x)[0], A[0]),
        (lambda x: jnp.outer(x, np.ones(2)), np.broadcast_to(np.eye(3)[:, None, :], (3, 2, 3))),
    ],
)
def test_the_jacobian_of_a_linear_map_is_its_matrix(function, expected):
    closed = traced(function)
    J = at(exact.jacobian(closed), x)
    assert_array_equal(J, expected)
    v = np.array([1.0, -2.0, 0.5])
    assert_allclose(at(exact.jacobian_product(closed), x, v), expected @ v, rtol=1e-14)


def test_a_large_identity_is_not_kept_as_a_constant():
    closed = traced(lambda x: jnp.sum(jnp.sin(x) * x), (200,))
    made = exact.hessian(closed)
    assert sum(np.asarray(c).nbytes for c in made.consts) < 200 * 200
    points = np.linspace(-1, 1, 200)
    assert_allclose(at(made, points), np.diag(2 * np.cos(points) - points * np.sin(points)), atol=1e-14)


def test_a_cost_that_does_not_depend_on_x_has_slope_zero():
    assert_array_equal(at(exact.gradient(traced(lambda x: jnp.sum(jnp.round(x)) * 0 + 2.0)), x), np.zeros(3))
    assert_array_equal(at(exact.gradient(traced(lambda x: jnp.sum(x > 0))), x), np.zeros(3))
    assert_array_equal(at(exact.hessian(traced(lambda x: jnp.sum(2 * x))), x), np.zeros((3, 3)))


def test_a_custom_derivative_is_used_at_every_order():
    # softplus' = logistic, and JAX writes both in ways that do not overflow.
    closed = traced(lambda x: jnp.sum(jax.nn.softplus(x)))
    big = np.array([-800.0, 0.5, 800.0])
    with np.errstate(over="ignore"):
        logistic = 1 / (1 + np.exp(-big))
    assert_allclose(at(exact.gradient(closed), big), logistic, rtol=1e-14)
    assert_allclose(at(exact.hessian(closed), big), np.diag(logistic * (1 - logistic)), atol=1e-15)


@jax.custom_vjp
def smooth_rise(z):
    return jnp.maximum(z, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(z)))


smooth_rise.defvjp(lambda z: (smooth_rise(z), z), lambda z, u: (u / (1 + jnp.exp(-z)),))
LEVELS = np.random.default_rng(4).normal(size=(7, 3))


def test_a_rule_for_the_way_back_alone_serves_every_derivative():
    """Log(1 + exp z) with a slope of its own, as `jax.custom_vjp` writes it: JAX takes it in no forward pass."""
    z = LEVELS @ x
    slope, bend = 1 / (1 + np.exp(-z)), np.exp(-z) / (1 + np.exp(-z)) ** 2
    J = slope[:, None] * LEVELS
    tall = traced(lambda x: smooth_rise(LEVELS @ x))
    cost = traced(lambda x: smooth_rise(LEVELS @ x).sum())
    both = traced(lambda x: ((smooth_rise(LEVELS @ x) ** 2).sum(), smooth_rise(LEVELS @ x)))
    assert_allclose(at(exact.jacobian(tall), x), J, rtol=1e-13)
    assert_allclose(at(exact.values_and_jacobian(tall), x)[1], J, rtol=1e-13)
    assert_allclose(at(exact.linearised(both), x)[2], J, rtol=1e-13)
    assert_allclose(at(exact.jacobian_product(tall), x, A[0]), J @ A[0], rtol=1e-13)
    H = LEVELS.T @ (bend[:, None] * LEVELS)
    assert_allclose(at(exact.hessian(cost), x), H, rtol=1e-13)
    assert_allclose(at(exact.hessian_product(cost), x, A[0]), H @ A[0], rtol=1e-13)
    assert_allclose(at(exact.weighted_hessian(tall), x, np.ones(7)), H, rtol=1e-13)
    one = traced(lambda t: smooth_rise(t), ())
    assert_allclose(at(exact.derivative(one, 2), 0.3), np.exp(-0.3) / (1 + np.exp(-0.3)) ** 2, rtol=1e-13)


def test_what_is_not_a_cost_is_refused():
    with pytest.raises(InputError, match=r"shape \(3,\)"):
        exact.gradient(traced(lambda x: x))
    with pytest.raises(InputError, match="complex"):
        exact.gradient(traced(lambda x: jnp.sum(x) * 1j))
    with pytest.raises(InputError, match="3 parameters"):
        exact.derivative(quadratic)
    with pytest.raises(InputError, match="order"):
        exact.derivative(traced(lambda x: x, ()), -1)


def test_the_users_setting_of_jax_is_untouched():
    before = jax.config.jax_enable_x64
    made = exact.hessian(quadratic)
    assert jax.config.jax_enable_x64 == before
    assert made.out_avals[0].dtype == np.float64


def test_a_loop_of_unknown_length_has_every_derivative():
    """√a by Newton's steps until they end, in all the ways the derivatives are asked for."""
    from jax import lax

    def root(a):
        def going(state):
            return abs(state[0] ** 2 - a) > 1e-13 * a

        return lax.while_loop(going, lambda s: (0.5 * (s[0] + a / s[0]), s[0]), (a, a))[0]

    def cost(x):
        return root(x.sum()) + (x**3).sum()

    x = np.array([0.3, 0.5, 0.9])
    closed = traced(cost)
    total = x.sum()
    slope = 0.5 / np.sqrt(total) + 3 * x**2
    curvature = -0.25 * total**-1.5 + np.diag(6 * x)
    value, gradient = at(exact.value_and_gradient(closed), x)
    assert_allclose(value, np.sqrt(total) + (x**3).sum(), rtol=1e-14)
    assert_allclose(gradient, slope, rtol=1e-12)
    assert_allclose(at(exact.gradient(closed), x), slope, rtol=1e-12)
    assert_allclose(at(exact.hessian(closed), x), curvature, rtol=1e-9, atol=1e-9)
    assert_allclose(at(exact.jacobian(closed), x), slope, rtol=1e-12)
    v = np.array([1.0, -2.0, 0.5])
    assert_allclose(at(exact.hessian_product(closed), x, v), curvature @ v, rtol=1e-9)
    assert_allclose(at(exact.weighted_hessian(closed), x, np.float64(2.0)), 2 * curvature, rtol=1e-9)
