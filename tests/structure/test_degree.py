"""Degrees through loops: the linear stays linear however many turns; what grows from turn to turn is no polynomial."""

from math import inf

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from steepest.numerics import double_precision
from steepest.structure.degree import degrees
from steepest.structure.facts import Structure
from steepest.structure.reading import Reading


def heat(x):
    def turn(u, _):
        return u + 0.2 * (jnp.roll(u, 1) - 2 * u + jnp.roll(u, -1)), u[0]

    return lax.scan(turn, x, None, length=50)


def handed_on(x):
    """The third number is linear after two turns, the square of it quadratic."""

    def turn(carry, _):
        return (carry[0], carry[0], carry[1]), None

    carry, _ = lax.scan(turn, (x[0], 0.0, 0.0), None, length=5)
    return carry[2]


def logistic(x):
    def turn(s, _):
        return x[1] * s * (1 - s), None

    return lax.scan(turn, x[0], None, length=5)[0]


@pytest.mark.parametrize(
    ("cost", "degree"),
    [
        (lambda x: jnp.sum(heat(x)[1]), 1),
        (lambda x: jnp.sum((heat(x)[0] - 1.0) ** 2), 2),
        (lambda x: handed_on(x) ** 2, 2),
        (logistic, inf),
        (lambda x: lax.scan(lambda s, a: (s + a * a, None), 0.0, x)[0], 2),
    ],
    ids=["recorded", "end of a heat equation", "handed on", "logistic map", "sum of squares"],
)
def test_degree_of_a_loop_is_that_of_the_polynomial_it_computes(cost, degree):
    with double_precision():
        closed = jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((4,), np.float64))
    reading = Reading(closed)
    assert degrees(reading)[reading.out] == degree


def test_squares_of_the_end_of_a_linear_loop_are_convex():
    with double_precision():
        closed = jax.make_jaxpr(lambda x: jnp.sum((heat(x)[0] - 1.0) ** 2))(
            jax.ShapeDtypeStruct((4,), np.float64)
        )
    assert Structure(closed).convexity.is_convex
