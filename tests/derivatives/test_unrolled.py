"""Arrays of a few numbers are computed element by element, and give what XLA gives."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.derivatives.interpreted import interpret
from steepest.derivatives.unrolled import MOST, MOST_OF_MANY_CALLS
from steepest.tracing.passes import simplify

A = np.array([[1.5, -2.0], [0.0, 3.0], [1.0, 0.25]])


def residual(x):
    return jnp.stack([x[0] ** 2 - x[1], 10.0 * (x[1] - 1.0), jnp.exp(-x[0])])


COSTS = {
    "residual and Jacobian": lambda x: (residual(x), jax.jacfwd(residual)(x)),
    "value, gradient, Hessian": lambda x: (
        jnp.sum(residual(x) ** 2),
        jax.grad(lambda y: jnp.sum(residual(y) ** 2))(x),
        jax.hessian(lambda y: jnp.sum(residual(y) ** 2))(x),
    ),
    "products of small matrices": lambda x: (A @ x, A.T @ (A @ x), jnp.outer(x, x) @ x, x @ x),
    "moved about": lambda x: (
        jnp.concatenate([x[::-1], jnp.sin(x)]).reshape(2, 2).T,
        jnp.pad(jnp.cos(x), (1, 2)),
        (x[:, None] * jnp.ones((2, 3)))[1:, ::2],
        jax.lax.pad(x, 0.0, [(-1, 1, 0)]),
    ),
    "sums over axes": lambda x: (
        jnp.sum(jnp.outer(x, jnp.array([1.0, 2.0, 3.0])), axis=0),
        jnp.sum(jnp.outer(x, x)),
    ),
    "the same twice, and as it came": lambda x: (x, x, 2.0 * x, -(2.0 * x)),
    "larger and smaller": lambda x: (
        jnp.maximum(x, 0.3),
        jnp.minimum(x, x[::-1]),
        jnp.where(x > 0.5, x, x**3),
    ),
    "few beside many": lambda x: (
        jnp.sum(jnp.sin(x[0] * jnp.arange(40.0) + x[1])),
        x * jnp.sum(jnp.arange(40.0)),
    ),
}


def both(function, x):
    """What the interpreter makes of a function at `x`, what XLA does, and the interpreter's text."""
    with jax.enable_x64(True):
        jaxpr = simplify(jax.make_jaxpr(function)(x))
        exact = jax.tree.leaves(jax.jit(function)(x))
        interpreted = interpret(jaxpr)
        return interpreted(x), [np.asarray(one) for one in exact], interpreted.source


@pytest.mark.parametrize("name", COSTS)
@pytest.mark.parametrize("x", [[0.7, -1.3], [0.0, 0.0], [2.5, 0.4]])
def test_elements_one_by_one_give_what_xla_gives(name, x):
    ours, exact, _ = both(COSTS[name], np.array(x))
    assert len(ours) == len(exact)
    for mine, theirs in zip(ours, exact, strict=True):
        assert np.shape(mine) == theirs.shape and np.asarray(mine).dtype == theirs.dtype
        np.testing.assert_allclose(mine, theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("x", [[1e200, 1.0], [np.nan, 1.0], [-800.0, np.inf]])
def test_infinities_and_nan_come_out_as_from_xla(x):
    for name in ("residual and Jacobian", "value, gradient, Hessian", "products of small matrices"):
        ours, exact, _ = both(COSTS[name], np.array(x))
        for mine, theirs in zip(ours, exact, strict=True):
            np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))
            np.testing.assert_array_equal(np.isposinf(mine), np.isposinf(theirs))


def test_a_jacobian_of_a_few_numbers_is_put_together_in_one_call():
    _, _, source = both(COSTS["residual and Jacobian"], np.array([0.7, -1.3]))
    body = [line.strip() for line in source.splitlines()]
    assert not any(word in source for word in ("reshape", "concatenate", ".T", ".dot("))
    assert sum(line.split(" = ")[-1].startswith("array_") for line in body) == 2


def test_results_share_no_memory_with_each_other_or_the_argument():
    x = np.array([0.7, -1.3])
    ours, _, _ = both(COSTS["the same twice, and as it came"], x)
    for k, one in enumerate(ours):
        assert not np.shares_memory(one, x)
        assert not any(np.shares_memory(one, other) for other in ours[k + 1 :])


def test_arrays_of_more_numbers_are_numpys():
    many = np.linspace(0.1, 1.0, MOST + 1)
    ours, exact, source = both(lambda x: jnp.sin(x) * x, many)
    np.testing.assert_allclose(ours[0], exact[0], rtol=1e-15)
    assert "tolist" not in source


def test_a_function_called_many_times_may_be_of_single_numbers_all_through():
    def moved_about(x):
        parts = [x[4 * k : 4 * k + 4] for k in range(10)]
        return jnp.concatenate([a * b[::-1] for a, b in pairwise(parts)])

    x = np.linspace(0.3, 2.0, 40)
    with jax.enable_x64(True):
        closed = simplify(jax.make_jaxpr(moved_about)(x))
    assert x.size > MOST
    arrays, singles = interpret(closed), interpret(closed, MOST_OF_MANY_CALLS)
    rows = x.reshape(10, 4)
    for function in (arrays, singles):
        np.testing.assert_array_equal(function(x)[0], (rows[:-1] * rows[1:, ::-1]).ravel())
    assert "tolist" not in arrays.source
    assert singles.source.count("*") == 36
    assert singles.seconds < arrays.seconds
    assert not np.isfinite(singles(np.full(40, np.inf))[0]).any()


@pytest.mark.parametrize("factor", [0.9, 0.0, -1e200])
def test_few_numbers_inside_a_loop_are_python_s_and_do_what_numpy_does(factor):
    """A recursion of pairs, against NumPy turn by turn: where Python raises, infinities and NaN come all the same."""

    def turn(pair, row):
        turned = factor * pair[::-1] + jnp.log(row)
        return turned, pair / turned

    with jax.enable_x64(True):
        rows = np.linspace(0.0, 2.0, 12).reshape(6, 2)
        jaxpr = jax.make_jaxpr(lambda pair: jax.lax.scan(turn, pair, rows))(np.ones(2))
    last, quotients = interpret(simplify(jaxpr))(np.array([1.0, -2.0]))
    pair, expected = np.array([1.0, -2.0]), []
    with np.errstate(all="ignore"):
        for row in rows:
            turned = factor * pair[::-1] + np.log(row)
            expected.append(pair / turned)
            pair = turned
    np.testing.assert_allclose(last, pair, rtol=1e-14)
    np.testing.assert_allclose(quotients, expected, rtol=1e-14)
