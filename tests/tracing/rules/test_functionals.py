"""Functions handed to integrals and searches, as they are recorded: what they read, and what their values look like."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.optimize import brentq

import steepest as st
from steepest.numerics import double_precision
from steepest.tracing.rules.functionals import recorded_plainly


def test_what_does_not_depend_on_the_argument_is_computed_once_and_not_at_every_call():
    found = []

    def outer(x):
        number = jax.ShapeDtypeStruct((), np.float64)
        found.append(recorded_plainly(lambda t: jnp.cos(t * jnp.sin(x)) + jnp.exp(jnp.sin(x)), [number]))
        return found[0](2.0)

    with double_precision():
        whole = jax.make_jaxpr(outer)(0.5)
        value = jax.core.eval_jaxpr(whole.jaxpr, whole.consts, 0.5)
    inside = {equation.primitive.name for equation in found[0].jaxpr.eqns}
    assert "cos" in inside and not inside & {"sin", "exp"}
    assert_allclose(value[0], np.cos(2.0 * np.sin(0.5)) + np.exp(np.sin(0.5)), rtol=1e-15)


def test_a_parameter_in_an_array_of_one_makes_an_integrand_of_one_number_all_the_same():
    """The integral of exp(-x·t) from 0 to 1 is (1 - exp(-x))/x."""

    def cost(x):
        return (quad(lambda t: np.exp(-x * t), 0.0, 1.0)[0] - (1.0 - np.exp(-2.0)) / 2.0) ** 2

    found = st.minimize(cost, np.array([1.0]))
    assert found.success and found.x.shape == (1,)
    assert_allclose(found.x, 2.0, rtol=1e-6)


def test_a_parameter_in_an_array_of_one_makes_an_equation_of_one_number_all_the_same():
    slope = st.gradient(lambda x: brentq(lambda z: z**3 - x, 0.0, 9.0))(np.array([8.0]))
    assert_allclose(slope, [1.0 / 12.0], rtol=1e-12)


@pytest.mark.parametrize("full_output", [0, 1, True])
def test_what_an_integral_gives_is_as_long_as_scipys(full_output):
    lengths = []

    def cost(x):
        found = quad(lambda t: x * np.cos(t), 0.0, 1.0, full_output=full_output)
        lengths.append(len(found))
        return found[0]

    assert_allclose(st.gradient(cost)(2.0), np.sin(1.0), rtol=1e-12)
    assert set(lengths) == {len(quad(np.cos, 0.0, 1.0, full_output=full_output))}
