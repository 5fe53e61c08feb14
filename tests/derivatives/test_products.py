"""Products in two halves: the same numbers as whole, and what depends on the place alone computed once."""

from threading import Thread

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.derivatives import exact
from steepest.derivatives.products import Products, halves
from steepest.numerics import double_precision

RNG = np.random.default_rng(31)
A = RNG.normal(size=(9, 9))

COSTS = {
    "matrices": lambda x: jnp.sum((x.reshape(3, 3) @ x.reshape(3, 3) - A[:3, :3]) ** 2),
    "loop": lambda x: jax.lax.fori_loop(0, 4, lambda i, y: jnp.sin(y) * x, x).sum(),
    "neighbours": lambda x: jnp.sum((x[1:] - x[:-1] ** 2) ** 2) + jnp.sum(jnp.exp(-x[::2])),
    "quadratic": lambda x: x @ (jnp.asarray(A) @ x),
    "linear": lambda x: jnp.sum(x),
    "by cases": lambda x: jnp.sum(jnp.where(x > 0.0, x**3, jnp.cos(x))),
}


def product_of(cost):
    with double_precision():
        return exact.hessian_product(jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((9,), np.float64)))


@pytest.mark.parametrize("name", COSTS)
def test_products_are_those_of_the_hessian_at_each_place(name):
    products, hessian = Products(product_of(COSTS[name])), jax.jit(jax.hessian(COSTS[name]))
    for _ in range(3):
        x = RNG.normal(size=9)
        with double_precision():
            H = np.asarray(hessian(x))
        for v in RNG.normal(size=(3, 9)):
            assert_allclose(products(x, v)[0], H @ v, rtol=1e-10, atol=1e-10)


def test_a_place_that_was_changed_where_it_stands_is_another_place():
    products = Products(product_of(COSTS["matrices"]))
    x, v = np.ones(9), np.arange(9.0)
    first = np.array(products(x, v)[0])
    x *= 2.0
    with double_precision():
        expected = np.asarray(jax.jit(jax.hessian(COSTS["matrices"]))(x)) @ v
    assert_allclose(products(x, v)[0], expected, rtol=1e-12)
    x /= 2.0
    assert_allclose(products(x, v)[0], first, rtol=1e-12)


class InterruptedWhileRead:
    """A place (n,) that is read by one thread only after `another` thread has run to its end."""

    def __init__(self, place, another):
        self.place, self.another = place, another

    def __array__(self, dtype=None, copy=None):
        thread = Thread(target=self.another)
        thread.start()
        thread.join()
        return self.place


def test_threads_that_share_a_cost_get_the_products_of_their_own_places():
    """Traces are kept, so that two walks of one cost in two threads use the same products at different places."""
    products = Products(product_of(COSTS["matrices"]))
    here, there, v = np.ones(9), np.full(9, 3.0), np.arange(9.0)
    expected = np.array(products(there, v)[0]), np.array(products(here, v)[0])
    seen = []
    place = InterruptedWhileRead(here, lambda: seen.append(products(there, v)[0]))
    assert_allclose(products(place, v)[0], expected[1], rtol=1e-12)
    assert_allclose(seen[0], expected[0], rtol=1e-12)


def test_what_depends_on_the_place_alone_is_not_done_again():
    """The cosines and exponentials of a cost stand in the first half, and only multiplications in the second."""
    place, along = halves(product_of(lambda x: jnp.sum(jnp.exp(jnp.sin(x) * x[::-1]))))
    costly = {"exp", "sin", "cos"}
    names = [[equation.primitive.name for equation in half.jaxpr.eqns] for half in (place, along)]
    assert costly <= set(names[0])
    assert not costly & set(names[1])
