"""The answer as a function: its derivative against closed forms and differences, through JAX's transformations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import InputError, NotAMinimumError, argmin

A = np.array([[3.0, 1.0], [1.0, 2.0]])
B = np.array([[1.0, 0.0, 2.0], [0.5, -1.0, 0.0]])


def quadratic(x, theta):
    return 0.5 * x @ A @ x - x @ (B @ theta)


def test_the_answer_of_a_quadratic_moves_by_the_solution_of_its_linear_system():
    answer = argmin(quadratic, np.zeros(2))
    theta = np.array([1.0, -2.0, 0.5])
    assert_allclose(answer(theta), np.linalg.solve(A, B @ theta), rtol=1e-10)
    assert_allclose(answer.jacobian(theta), np.linalg.solve(A, B), rtol=1e-10)


def test_a_nonlinear_answer_has_the_slope_its_differences_tend_to():
    def cost(x, theta):
        return np.sum(np.cosh(x - theta[0])) + theta[1] * x[0] ** 2 * x[1] ** 2 + x[1] ** 4

    answer = argmin(cost, np.array([0.5, 0.2]))
    theta, h = np.array([0.7, 0.3]), 1e-5
    differences = [(answer(theta + h * e) - answer(theta - h * e)) / (2 * h) for e in np.eye(2)]
    assert_allclose(answer.jacobian(theta), np.stack(differences, axis=1), rtol=1e-7)


def test_a_parameter_held_by_its_bound_does_not_move():
    answer = argmin(quadratic, np.zeros(2), bounds=[(None, 0.25), (None, None)])
    theta = np.array([1.0, -2.0, 0.5])
    # x[0] stays at 0.25, so x[1] = ((B θ)[1] - A[1, 0]·0.25) / A[1, 1].
    assert_allclose(answer(theta)[0], 0.25)
    assert_allclose(answer.jacobian(theta), [[0.0, 0.0, 0.0], B[1] / 2.0], atol=1e-12)


def test_structures_go_in_and_come_out():
    def cost(x, theta):
        return (x["z"] - theta["shift"]) ** 2 + np.sum((x["a"] - theta["scale"] * np.arange(3.0)) ** 2)

    answer = argmin(cost, {"z": 0.0, "a": np.zeros(3)})
    theta = {"shift": 2.0, "scale": 3.0}
    found, slope = answer(theta), answer.jacobian(theta)
    assert_allclose(found["a"], [0.0, 3.0, 6.0], atol=1e-9)
    assert_allclose([slope["z"]["shift"], slope["z"]["scale"]], [1.0, 0.0], atol=1e-12)
    assert_allclose(slope["a"]["scale"], [0.0, 1.0, 2.0], atol=1e-12)


def test_jax_differentiates_and_compiles_through_the_answer():
    answer = argmin(quadratic, np.zeros(2))
    theta = np.array([1.0, -2.0, 0.5])
    exact = np.linalg.solve(A, B)
    with jax.enable_x64(True):
        assert_allclose(jax.jacobian(answer)(jnp.asarray(theta)), exact, rtol=1e-10)
        assert_allclose(jax.jacfwd(answer)(jnp.asarray(theta)), exact, rtol=1e-10)
        loss = jax.jit(jax.grad(lambda t: jnp.sum(answer(t) ** 2)))
        assert_allclose(loss(jnp.asarray(theta)), 2 * exact.T @ exact @ theta, rtol=1e-10)
        many = jax.vmap(answer)(jnp.stack([theta, 2 * theta]))
        assert_allclose(many, [exact @ theta, 2 * exact @ theta], rtol=1e-10)


def test_jax_orders_a_dict_by_its_keys_and_the_answer_still_fits():
    def cost(x, theta):
        return (x["z"] - theta["shift"]) ** 2 + np.sum((x["a"] - theta["scale"] * np.arange(3.0)) ** 2)

    answer = argmin(cost, {"z": 0.0, "a": np.zeros(3)})
    slope = jax.grad(lambda t: answer(t)["z"] + 10.0 * answer(t)["a"][2])({"shift": 2.0, "scale": 3.0})
    assert_allclose([slope["shift"], slope["scale"]], [1.0, 20.0], rtol=1e-5)  # in JAX's single precision


def test_no_derivative_is_made_up_where_the_answer_is_not_the_only_one():
    answer = argmin(lambda x, theta: (x[0] + x[1] - theta) ** 2, np.zeros(2))
    with pytest.raises(NotAMinimumError, match="without curvature"):
        answer.jacobian(1.0)
    with pytest.raises(NotAMinimumError):
        argmin(lambda x, theta: theta * x, 0.0)(1.0)
    with pytest.raises(InputError, match="fun\\(x, theta\\)"):
        argmin("x**2", 0.0)
