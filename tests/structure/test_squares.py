"""The residual read off a trace: its squares add up to the cost, and it is found however the sum is written."""

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.derivatives.exact import linearised, value_and_gradient
from steepest.derivatives.tiers import Tiered
from steepest.numerics import double_precision
from steepest.parameters import Parameters
from steepest.structure.reading import Reading
from steepest.structure.squares import squares_of
from steepest.tracing.passes import simplify
from steepest.tracing.trace import trace

N = 4
RNG = np.random.default_rng(3)
A, Y = RNG.normal(size=(6, N)), RNG.normal(size=6)
WEIGHTS = RNG.uniform(0.5, 2.0, size=6)
B = RNG.normal(size=(6, 6))
COVARIANCE = B @ B.T + np.eye(6)
FLAT = np.outer([1.0, 2.0, 0.0, -1.0], [1.0, 2.0, 0.0, -1.0])


def traced(cost, n=N):
    with double_precision():
        return simplify(jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((n,), np.float64)), keep_derivatives=True)


def squares(cost, n=N):
    return squares_of(Reading(traced(cost, n), keep_derivatives=True))


def model(x):
    return jnp.exp(A @ x) - Y


def rosenbrock(x):
    total = 0.0
    for i in range(N - 1):
        total = total + 100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) * (1 - x[i])
    return total


# Costs that are sums of squares, with the number of squares a reader would count.
SUMS = {
    "sum of squares": (6, lambda x: jnp.sum(model(x) ** 2)),
    "inner product": (6, lambda x: model(x) @ model(x)),
    "mean": (6, lambda x: jnp.mean((Y - A @ x) ** 2)),
    "norm": (6, lambda x: jnp.linalg.norm(model(x)) ** 2),
    "norm times itself": (6, lambda x: jnp.linalg.norm(model(x)) * jnp.linalg.norm(model(x))),
    "weighted": (6, lambda x: jnp.sum(WEIGHTS * model(x) ** 2)),
    "weights inside": (6, lambda x: jnp.sum(WEIGHTS * model(x) * model(x))),
    "weights in front": (6, lambda x: WEIGHTS @ model(x) ** 2),
    "chi-squared": (6, lambda x: 0.5 * jnp.sum((model(x) / WEIGHTS) ** 2)),
    "ridge and constant": (10, lambda x: jnp.sum(model(x) ** 2) + 0.1 * x @ x + 3),
    "covariance": (6, lambda x: model(x) @ COVARIANCE @ model(x)),
    "covariance, other way": (6, lambda x: model(x) @ (COVARIANCE @ model(x)) / 2),
    "covariance, all signs turned": (6, lambda x: -(model(x) @ (-COVARIANCE @ model(x)))),
    "matrix of zeros beside": (6, lambda x: jnp.sum(model(x) ** 2) + x @ (np.zeros((N, N)) @ x)),
    "matrix of rank one": (1, lambda x: x @ FLAT @ x),
    "unrolled": (6, rosenbrock),
    "powers": (4, lambda x: jnp.sum(x**4)),
    "real exponent": (4, lambda x: jnp.sum(x**2.0)),
    "quotient of squares": (4, lambda x: jnp.sum(x**2 / (1 + x**2) ** 2)),
    "product of squares": (4, lambda x: jnp.sum(x**2 * jnp.sin(x) ** 2)),
    "size squared": (4, lambda x: jnp.sum(jnp.abs(x) ** 2)),
    "choice of squares": (4, lambda x: jnp.sum(jnp.where(x > 0, x**2, 4 * (x - 1) ** 2))),
    "squares joined": (6, lambda x: jnp.sum(jnp.concatenate([(x - 1) ** 2, x[:2] ** 4]))),
    "every second": (2, lambda x: jnp.sum((jnp.exp(x) ** 2)[::2])),
    "one of many": (1, lambda x: (jnp.sin(x) ** 2)[3]),
    "picked": (2, lambda x: jnp.sum((x**2)[np.array([0, 2, 2])])),
    "stacked": (2, lambda x: jnp.sum(jnp.stack([x[0] - 1, x[1] * x[2]]) ** 2)),
    "reshaped": (4, lambda x: jnp.sum((x.reshape(2, 2) @ x.reshape(2, 2) - 1) ** 2)),
    "along an axis": (4, lambda x: jnp.sum(jnp.mean(x.reshape(2, 2) ** 2, axis=0))),
    "vmapped": (6, lambda x: jnp.sum(jax.vmap(lambda a, y: (a @ x - y) ** 2)(A, Y))),
    "inside a call": (6, lambda x: jax.jit(lambda z: jnp.sum(model(z) ** 2))(x)),
    "scalings that cancel": (6, lambda x: -2 * -jnp.sum(model(x) ** 2)),
    "less of what there is": (6, lambda x: jnp.sum(model(x) ** 2) - 0.25 * jnp.sum(model(x) ** 2)),
    "variance": (6, lambda x: jnp.var(A @ x)),
    "broadcast": (4, lambda x: jnp.sum(jnp.broadcast_to(x**2, (3, 4)))),
    "running sums": (4, lambda x: jnp.sum(jnp.cumsum(x**2))),
    "padded": (4, lambda x: jnp.sum(jnp.pad(x**2, 2, constant_values=1.5))),
}  # fmt: skip

# Costs that are none, or whose squares cannot be told apart.
OTHERS = {
    "negative": lambda x: -jnp.sum(x**2),
    "linear term": lambda x: jnp.sum(x**2) + x[0],
    "difference": lambda x: x[0] ** 2 - x[1] ** 2,
    "odd power": lambda x: jnp.sum(x**3),
    "logarithms": lambda x: jnp.sum(jnp.log(jnp.cosh(x))),
    "norm": lambda x: jnp.linalg.norm(A @ x),
    "indefinite": lambda x: x @ np.diag([1.0, 1.0, -1.0, 1.0]) @ x,
    "product": lambda x: x[0] * x[1],
    "constant": lambda x: 0 * x[0] + 4,
    "matrix of zeros": lambda x: x @ (np.zeros((N, N)) @ x),
    "matrix not finite": lambda x: x @ (np.diag([1.0, 1.0, np.nan, 1.0]) @ x),
    "weights that move": lambda x: jnp.sum(x * x[::-1] * x),
}


@pytest.mark.parametrize("name", SUMS)
def test_the_residual_squared_is_the_cost(name):
    count, cost = SUMS[name]
    found = squares(cost)
    assert found is not None
    assert found.m == count
    evaluate = Tiered(simplify(found.both))
    for x in RNG.uniform(-1.5, 1.5, size=(4, N)):
        value, residual = evaluate(x)
        with double_precision():
            expected = float(cost(x))
        assert residual.shape == (count,)
        assert_allclose(value, expected, rtol=1e-14)
        assert_allclose(found.constant + residual @ residual, expected, rtol=1e-13)


@pytest.mark.parametrize("name", SUMS)
def test_the_jacobian_gives_the_gradient(name):
    _, cost = SUMS[name]
    at = Tiered(linearised(squares(cost).both))
    gradient = Tiered(value_and_gradient(traced(cost)))
    for x in RNG.uniform(-1.5, 1.5, size=(2, N)):
        _, residual, jacobian = at(x)
        expected = gradient(x)[1]
        assert_allclose(2 * jacobian.T @ residual, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


# The same in NumPy, whose norms are traced with a finite slope at zero.
IN_NUMPY = {
    "norm": (6, lambda x: np.linalg.norm(np.exp(A @ x) - Y) ** 2),
    "norm times itself": (6, lambda x: np.linalg.norm(A @ x - Y) * np.linalg.norm(A @ x - Y)),
    "square of a norm": (6, lambda x: np.square(np.linalg.norm(A @ x - Y, 2))),
    "Frobenius norm": (6, lambda x: np.linalg.norm((A @ x - Y).reshape(2, 3), "fro") ** 2),
    "norms of rows": (6, lambda x: np.sum(np.linalg.norm((A @ x - Y).reshape(2, 3), axis=1) ** 2)),
    "ridge": (10, lambda x: 0.5 * np.linalg.norm(A @ x - Y) ** 2 + 0.1 * np.linalg.norm(x) ** 2),
    "standard deviation": (6, lambda x: np.std(A @ x) ** 2),
    "a branch not taken": (6, lambda x: np.sum(np.where(WEIGHTS < 0, np.inf, (A @ x - Y) ** 2))),
    "vector norm": (6, lambda x: np.linalg.vector_norm(A @ x - Y) ** 2),
}


@pytest.mark.parametrize("name", IN_NUMPY)
def test_sums_of_squares_in_numpy_are_seen(name):
    count, cost = IN_NUMPY[name]
    program = simplify(trace(cost, Parameters.of(np.ones(N), "x")).jaxpr, keep_derivatives=True)
    found = squares_of(Reading(program, keep_derivatives=True))
    assert found is not None
    assert found.m == count
    for x in (*RNG.uniform(-1.5, 1.5, size=(3, N)), np.zeros(N)):
        value, residual = Tiered(simplify(found.both))(x)
        assert_allclose(value, cost(x), rtol=1e-13)
        assert_allclose(found.constant + residual @ residual, cost(x), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_sum_of_squares_is_not_taken_for_one(name):
    assert squares(OTHERS[name]) is None


def test_a_jacobian_of_few_rows_is_the_same_as_one_of_few_columns():
    tall = lambda x: jnp.sum(jnp.sin(A @ x) ** 2)  # noqa: E731
    wide = lambda x: jnp.sum(jnp.sin(A.T @ x) ** 2)  # noqa: E731
    for cost, matrix in ((tall, A), (wide, A.T)):
        x = RNG.normal(size=matrix.shape[1])
        _, residual, jacobian = Tiered(linearised(squares(cost, x.size).both))(x)
        assert_allclose(residual, np.sin(matrix @ x), rtol=1e-14)
        assert_allclose(jacobian, np.cos(matrix @ x)[:, None] * matrix, rtol=1e-13)


@pytest.mark.parametrize(
    ("linear", "cost"),
    [
        (True, lambda x: jnp.sum((A @ x - Y) ** 2) + x @ x),
        (True, lambda x: (A @ x - Y) @ COVARIANCE @ (A @ x - Y)),
        (False, lambda x: jnp.sum(model(x) ** 2) + x @ x),
        (False, lambda x: jnp.sum(x**4)),
    ],
)
def test_a_linear_residual_is_known_as_one(linear, cost):
    assert squares(cost).linear is linear


def test_the_terms_are_told_by_their_lines():
    def cost(x):
        data = jnp.sum((A @ x - Y) ** 2)
        return data + jnp.dot(x, x)

    places = squares(cost).places
    assert len(places) == 2
    assert "jnp.sum((A @ x - Y) ** 2)" in places[0]
    assert "jnp.dot(x, x)" in places[1]


@pytest.mark.parametrize(
    ("cost", "known"),
    [
        (lambda x: jnp.sum((x[1:] - x[:-1] ** 2) ** 2) + jnp.sum((1.0 - x[:-1]) ** 2), True),
        (lambda x: jnp.sum(((3.0 - 2.0 * x) * x - 1.0) ** 2), False),
        (lambda x: jnp.sum((2.0 * jnp.where(jnp.arange(N) > 1, x - 1.0, x**3)) ** 2), True),
        (lambda x: jnp.sum(jnp.concatenate([x[:1] * x[1:2], 3.0 * x[2:]])[::-1] ** 2), True),
        (lambda x: jnp.sum((jnp.exp(A @ x) - Y) ** 2), False),
    ],
)
def test_some_residuals_are_linear_where_their_second_derivatives_are_zero(cost, known):
    found = squares(cost)
    residual = jex.jaxpr_as_fun(found.residual)
    with double_precision():
        bends = jax.hessian(lambda x: residual(x)[0])(jnp.linspace(0.3, 0.9, N))
    assert bool((np.abs(np.asarray(bends)).max(axis=(1, 2)) == 0.0).any()) is known
    assert found.partly_linear is known


def test_residuals_that_are_chosen_over_and_over_are_looked_through_once():
    def cost(x):
        y = jnp.sin(x)
        for k in range(60):  # each reads the last one twice: 2⁶⁰ ways lead down
            y = jnp.where(x > k, y, 1.01 * y)
        return jnp.sum(y**2)

    assert not squares(cost).partly_linear


def test_linear_residuals_are_seen_below_more_writes_than_calls_may_be_nested():
    def cost(x):
        y = jnp.concatenate([x, jnp.zeros(1)])
        for _ in range(1_200):
            y = jax.lax.dynamic_update_slice(y, jnp.sin(y[:1]), (N,))
        return jnp.sum(y**2)

    assert squares(cost).partly_linear
