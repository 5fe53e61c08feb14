"""Elementwise regions in blocks give the same numbers as whole arrays."""

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.derivatives import exact
from steepest.derivatives.compiled import compile_jaxpr
from steepest.tracing import blocks

# Not a multiple of any block length.
N = blocks.SHORTEST + 1237


def deep(a):
    b = a
    for _ in range(12):
        c = jnp.sin(b) + a
        b = c / (1.0 + c * c)
    return b


COSTS = {
    "one sum": lambda a: jnp.sum(deep(a)),
    "a function of a sum": lambda a: jnp.sqrt(jnp.sum(deep(a) ** 2)),
    "two sums": lambda a: jnp.sum(deep(a)) * jnp.mean(deep(a) * a),
    "the largest": lambda a: jnp.max(deep(a)) - jnp.min(jnp.tanh(deep(a))),
    "neighbours": lambda a: jnp.sum(deep(a[1:] - a[:-1]) ** 2),
    "data": lambda a: jnp.sum(deep(a - np.linspace(0, 1, N)) * 0.5),
    "a number that is a parameter too": lambda a: jnp.sum(deep(a * a[0])),
}


def traced(function, n=N):
    with jax.enable_x64(True):
        return jax.make_jaxpr(function)(jax.ShapeDtypeStruct((n,), np.float64))


def loops(closed):
    return sum(equation.primitive.name in ("scan", "while") for equation in closed.jaxpr.eqns)


@pytest.mark.parametrize("name", COSTS)
def test_value_and_gradient_in_blocks_are_those_of_whole_arrays(name):
    closed = exact.value_and_gradient(traced(COSTS[name]))
    assert loops(blocks.in_blocks(closed)) >= 1
    x = np.random.default_rng(0).normal(size=N)
    with jax.enable_x64(True):
        value, slope = jax.jit(jex.jaxpr_as_fun(closed))(x)
    ours, our_slope = compile_jaxpr(closed)(x)
    assert_allclose(ours, value, rtol=1e-12)
    assert_allclose(our_slope, slope, rtol=1e-9, atol=1e-13)


def test_intermediate_results_never_exist_at_full_length():
    closed = exact.value_and_gradient(traced(COSTS["one sum"], 1 << 20))
    memory = []
    for candidate in (closed, blocks.in_blocks(closed)):
        with jax.enable_x64(True):
            argument = jax.ShapeDtypeStruct((1 << 20,), np.float64)
            compiled = jax.jit(jex.jaxpr_as_fun(candidate)).lower(argument).compile()
        memory.append(compiled.memory_analysis().temp_size_in_bytes)
    assert memory[1] < memory[0] / 2


def test_short_or_shallow_programs_stay_as_they_are():
    for closed in (
        traced(COSTS["one sum"], 1000),
        traced(lambda a: jnp.sum(a**2)),
        traced(lambda a: jnp.sum(jnp.cumsum(a))),
    ):
        assert blocks.in_blocks(closed) is closed
