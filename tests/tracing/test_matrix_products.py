"""Products over the first or last axes of arrays, as products of two matrices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from numpy.testing import assert_allclose, assert_array_equal

from steepest.tracing.matrix_products import as_matrix_products

# Shapes of the operands, and the axes summed over.
KINDS = [
    ((7, 5, 3), (3, 2), ([2], [0])),  # examples, positions, features
    ((7, 5, 3), (2, 3), ([2], [1])),  # a transposed weight
    ((3, 7, 5), (3, 2), ([0], [0])),
    ((3, 2), (7, 5, 3), ([0], [2])),  # the weight first
    ((4, 6, 2, 3, 5), (2, 3, 5, 4), ([2, 3, 4], [0, 1, 2])),  # windows and a kernel
    ((4, 6, 2, 3, 5), (2, 3, 5, 4), ([4, 2, 3], [2, 0, 1])),  # the same in another order
    ((3,), (3, 7, 5), ([0], [0])),  # a vector
    ((7, 5, 3), (3,), ([2], [0])),
    ((2, 3, 4), (2, 3, 4), ([0, 1, 2], [0, 1, 2])),  # to one number
    ((5, 1, 0, 3), (3, 2), ([3], [0])),  # no numbers at all
]


def operands(*shapes):
    rng = np.random.default_rng(0)
    return [rng.integers(-9, 10, shape).astype(np.float32) for shape in shapes]


def evaluated(closed, *given):
    return jax.core.eval_jaxpr(closed.jaxpr, closed.consts, *given)


def products(closed):
    return [equation for equation in closed.jaxpr.eqns if equation.primitive.name == "dot_general"]


@pytest.mark.parametrize(("a", "b", "axes"), KINDS)
def test_the_product_is_that_of_the_arrays_and_of_two_matrices_at_the_most(a, b, axes):
    a, b = operands(a, b)
    closed = as_matrix_products(jax.make_jaxpr(lambda a, b: jnp.tensordot(a, b, axes))(a, b))
    (product,) = products(closed)
    assert max(len(atom.aval.shape) for atom in product.invars) <= 2
    (found,) = evaluated(closed, a, b)
    assert_array_equal(found, np.tensordot(a, b, axes))  # whole numbers: no rounding anywhere
    assert found.dtype == np.float32


@pytest.mark.parametrize(("a", "b", "axes"), KINDS)
def test_slopes_and_curvatures_sum_over_one_axis_and_are_those_of_the_arrays(a, b, axes):
    a, b = operands(a, b)
    closed = as_matrix_products(jax.make_jaxpr(lambda a, b: jnp.tensordot(a, b, axes))(a, b))

    def cost(a, b):
        return jnp.sum(evaluated(closed, a, b)[0] ** 2)

    slope = jax.grad(cost, argnums=(0, 1))
    c = 2 * np.tensordot(a, b, axes)
    free_a = [axis for axis in range(a.ndim) if axis not in axes[0]]
    free_b = [axis for axis in range(b.ndim) if axis not in axes[1]]
    of_a = np.tensordot(c, b, (list(range(len(free_a), c.ndim)), free_b))
    of_b = np.tensordot(a, c, (free_a, list(range(len(free_a)))))
    # The axes left stand in the order in which the other operand has what it sums over.
    order_a = [*free_a, *(axes[0][axes[1].index(axis)] for axis in sorted(axes[1]))]
    order_b = [*(axes[1][axes[0].index(axis)] for axis in sorted(axes[0])), *free_b]
    assert_allclose(slope(a, b)[0], of_a.transpose(np.argsort(order_a)), rtol=1e-6)
    assert_allclose(slope(a, b)[1], of_b.transpose(np.argsort(order_b)), rtol=1e-6)
    made = jax.make_jaxpr(slope)(a, b)
    assert all(len(equation.params["dimension_numbers"][0][0]) <= 1 for equation in products(made))
    # This slope is linear in b, so that along b it changes by itself.
    turn = jax.jvp(lambda b: slope(a, b)[1], (b,), (b,))[1]
    assert_allclose(turn, of_b.transpose(np.argsort(order_b)), rtol=1e-5)


@pytest.mark.parametrize(
    "function",
    [
        lambda a: lax.dot_general(a, a, (((2,), (2,)), ((0,), (0,)))),  # one product for each example
        lambda a: jnp.tensordot(a, a, ([1], [1])),  # over an axis in the middle
        lambda a: jnp.tensordot(a, a, ([0, 2], [0, 2])),  # over axes that do not lie together
        lambda a: jnp.tensordot(a, a, 0),  # over none
        lambda a: a[0] @ a[0].T,  # matrices as they are
    ],
)
def test_other_products_stay(function):
    before = jax.make_jaxpr(function)(operands((4, 3, 5))[0])
    assert as_matrix_products(before) is before


def test_a_step_of_training_sums_each_weights_slope_over_one_axis():
    from steepest.parameters import Layout
    from steepest.tracing.batched import record
    from steepest.training.steps import Tree, plain_cost

    def cost(params, x):
        hidden = np.maximum(x @ params["first"], 0.0)
        parts = [hidden[:, i : i + 5 : 2] for i in range(3)]
        return np.mean((np.concatenate(parts, axis=-1) @ params["second"]) ** 2)

    first, second, x = operands((3, 4), (12, 2), (6, 8, 3))
    params = {"first": first, "second": second}
    layout = Layout.of(params, "params")
    recorded = record(cost, layout, Layout.of(x, "x"))
    value = plain_cost(recorded, Tree.of(layout), precision="float32", remat=False)
    slope = jax.value_and_grad(value)
    made = jax.make_jaxpr(slope)(params, [x], recorded.constants)
    assert all(len(equation.params["dimension_numbers"][0][0]) == 1 for equation in products(made))

    def in_jax(params):
        hidden = jnp.maximum(x @ params["first"], 0.0)
        parts = [hidden[:, i : i + 5 : 2] for i in range(3)]
        return jnp.mean((jnp.concatenate(parts, axis=-1) @ params["second"]) ** 2)

    reached, found = slope(params, [x], recorded.constants)
    wanted = jax.value_and_grad(in_jax)(params)
    assert_allclose(reached, wanted[0], rtol=1e-6)
    for name in params:
        assert_allclose(found[name], wanted[1][name], rtol=1e-5, atol=1e-5)
