"""Unrolled loops rolled up: the same values and slopes, in few equations, and loops that do not fit are left alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.derivatives import exact
from steepest.derivatives.tiers import Tiered
from steepest.numerics import double_precision
from steepest.structure.reading import Reading
from steepest.structure.squares import squares_of
from steepest.tracing.passes import simplify
from steepest.tracing.rolling import rolled

N = 24
RNG = np.random.default_rng(6)
T, Y, A = np.linspace(0, 2, 40), RNG.normal(size=40), RNG.normal(size=(N, N))


def traced(cost):
    with double_precision():
        return simplify(jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((N,), np.float64)), keep_derivatives=True)


def rosenbrock(x):
    total = 0.0
    for i in range(N - 1):
        total = total + 100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2
    return total


def curve(x):
    total = 0.0
    for t, y in zip(T, Y, strict=True):
        r = x[0] * jnp.exp(-x[1] * t) + x[2] - y
        total += r * r
    return total / len(T)


def nested(x):
    total = 0.0
    for i in range(N):
        inner = 0.0
        for j in range(N):
            inner = inner + A[i, j] * x[j]
        total = total + jnp.cosh(inner - 1.0)
    return total


def stacked(x):
    return jnp.sum(jnp.stack([jnp.sin(x[i]) * x[(7 * i) % N] - i for i in range(N)]) ** 2)


def subtracted(x):
    return 5.0 - sum(jnp.exp(-((x[i] - i) ** 2)) for i in range(N)) + x[0] * x[1]


def powers(x):
    return sum((i + 1) * x[i] ** (2 + i % 2) for i in range(N)) - x[3]


def chain(x):
    # Every turn needs the one before: nothing here is alike at one distance from the parameters.
    y = x[0]
    for i in range(1, N):
        y = jnp.sin(y) * x[i] + jnp.cos(y) / (2 + x[i] ** 2)
    return y


def branches(x):
    return sum(jnp.where(x[i] > 0, x[i] ** 2, jnp.abs(x[i])) * max(i, 3) for i in range(N))


LOOPS = {
    "chained": (rosenbrock, 25),
    "curve": (curve, 20),
    "matrix by hand": (nested, 80),
    "stacked": (stacked, 20),
    "subtracted": (subtracted, 25),
    "powers": (powers, 30),
    "branches": (branches, 25),
    "chain": (chain, 10_000),
}  # fmt: skip


@pytest.mark.parametrize("name", LOOPS)
def test_values_and_slopes_stay(name):
    cost, most = LOOPS[name]
    closed = traced(cost)
    shorter = rolled(closed)
    assert len(shorter.jaxpr.eqns) <= most
    before, after = (Tiered(exact.value_and_gradient(c)) for c in (closed, shorter))
    for x in RNG.uniform(-1, 1, size=(3, N)):
        (value, gradient), (other, slope) = before(x), after(x)
        assert_allclose(other, value, rtol=1e-13)
        assert_allclose(slope, gradient, rtol=1e-11, atol=1e-12 * np.abs(gradient).max())


def test_a_loop_rolled_up_compiles_to_the_same_numbers():
    closed = rolled(traced(rosenbrock))
    gradient = Tiered(exact.value_and_gradient(closed))
    x = RNG.normal(size=N)
    interpreted = gradient(x)
    gradient.compile()
    assert_allclose(gradient(x)[1], interpreted[1], rtol=1e-13)


def test_squares_are_seen_in_loops_rolled_up():
    found = squares_of(Reading(rolled(traced(rosenbrock)), keep_derivatives=True))
    assert found.m == 2 * (N - 1)


def test_what_is_short_or_does_not_repeat_is_left_alone():
    for cost in (chain, lambda x: jnp.sum(x**2), lambda x: x[0] * x[1] + jnp.sin(x[2])):
        closed = traced(cost)
        assert rolled(closed) is closed
