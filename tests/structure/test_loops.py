"""Which loops may have a kink: the body is followed as the slope goes through it."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from steepest.parameters import Parameters
from steepest.structure.kinks import Kinks
from steepest.structure.reading import Reading
from steepest.tracing.trace import trace


def counted(x):
    return lax.fori_loop(0, 30, lambda k, y: jnp.sin(y) + x[0], x[1])


def folded(x):
    return lax.fori_loop(0, 30, lambda k, y: jnp.abs(y - 0.5) + x[0], x[1])


def carried_late(x):
    """What the parameters reach only at the third turn is bent."""

    def turn(carry, _):
        a, b, _ = carry
        return (x[0], a, jnp.maximum(b, 0.3)), None

    return lax.scan(turn, (jnp.zeros(()), jnp.zeros(()), jnp.zeros(())), None, length=5)[0][2]


def never_reached(x):
    def turn(carry, _):
        a, b = carry
        return (jnp.abs(a) + 1.0, b * x[0]), None

    return lax.scan(turn, (jnp.zeros(()), x[1]), None, length=5)[0][1]


def as_long_as_it_takes(x):
    return lax.while_loop(lambda y: y < 10.0, lambda y: y * 1.5, x[0])


def shielded_length(x):
    state = (lax.stop_gradient(x[0]), x[1])
    return lax.while_loop(lambda s: s[0] < 10.0, lambda s: (jnp.abs(s[0]) * 1.5, jnp.sin(s[1])), state)[1]


def branch_of_the_parameters(x):
    return lax.cond(x[0] > 0.0, jnp.sin, jnp.cos, x[1])


def branch_of_the_turn(x):
    return lax.fori_loop(0, 5, lambda k, y: lax.cond(k > 2, jnp.sin, jnp.cos, y * x[0]), x[1])


@pytest.mark.parametrize(
    ("cost", "bent"),
    [
        (counted, False),
        (folded, True),
        (carried_late, True),
        (never_reached, False),
        (as_long_as_it_takes, True),
        (shielded_length, False),
        (branch_of_the_parameters, True),
        (branch_of_the_turn, False),
    ],
)
def test_a_loop_is_bent_where_the_slope_meets_a_kink(cost, bent):
    reading = Reading(trace(cost, Parameters.of(np.ones(2))).jaxpr)
    assert Kinks(reading, {}).opaque == bent
