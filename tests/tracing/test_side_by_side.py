"""Calls of one integral or root in a loop become one equation, with the same values and slopes."""

# ruff: noqa: B023 - every function made in a loop is called in its turn.

from collections import Counter

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq, fsolve, newton
from scipy.special import erf, lambertw

import steepest
from steepest.derivatives.interpreted import interpret
from steepest.numerics import double_precision
from steepest.parameters import Parameters
from steepest.structure.sparsity import jacobian_pattern
from steepest.tracing.trace import trace

TIMES = np.linspace(0.2, 3.0, 20)


def operations(cost, x):
    equations = trace(cost, Parameters.of(np.asarray(x))).jaxpr.jaxpr.eqns
    return Counter(equation.primitive.name for equation in equations)


def decay(p, t):
    """∫ exp(-p s) ds from 0 to t."""
    return (1 - np.exp(-p * t)) / p


def by_list(p):
    return np.sum(np.array([quad(lambda s: np.exp(-p[0] * s), 0, t)[0] for t in TIMES]) ** 2)


def by_loop(p):
    total = 0.0
    for k in range(20):
        area, _ = quad(lambda s: np.exp(-p[0] * s), 0, TIMES[k])
        total = total + area**2
    return total


def with_a_number_of_its_own(p):
    return sum(quad(lambda s: t * np.exp(-p[0] * s * t), 0, 1)[0] ** 2 for t in TIMES)


@pytest.mark.parametrize("cost", [by_list, by_loop, with_a_number_of_its_own])
def test_integrals_of_one_function_are_one_equation(cost):
    assert operations(cost, [0.8])["integral"] == 1
    rate = 0.8
    areas = decay(rate, TIMES)
    slopes = (TIMES * np.exp(-rate * TIMES) - areas) / rate
    x = np.array([rate])
    np.testing.assert_allclose(trace(cost, Parameters.of(x)).jaxpr.out_avals[0].shape, ())
    np.testing.assert_allclose(cost(x), np.sum(areas**2), rtol=1e-12)
    np.testing.assert_allclose(steepest.gradient(cost)(x), [2 * areas @ slopes], rtol=1e-12)


@pytest.mark.parametrize(
    "solve",
    [
        lambda p, t: brentq(lambda y: y + p * np.exp(y) - t, -50, 50),
        lambda p, t: newton(lambda y: y + p * np.exp(y) - t, 0.0),
        lambda p, t: fsolve(lambda y: y + p * np.exp(y) - t, 0.0)[0],
    ],
    ids=["brentq", "newton", "fsolve"],
)
def test_roots_of_one_equation_are_one_equation(solve):
    def cost(p):
        return np.sum(np.array([solve(p[0], t) for t in TIMES]) ** 2)

    assert operations(cost, [0.8])["root"] == 1
    # y + p·eʸ = t: y = t - W(p·eᵗ), ∂y/∂p = -eʸ/(1 + p·eʸ).
    y = TIMES - lambertw(0.8 * np.exp(TIMES)).real
    slopes = -np.exp(y) / (1 + 0.8 * np.exp(y))
    x = np.array([0.8])
    np.testing.assert_allclose(steepest.gradient(cost)(x), [2 * y @ slopes], rtol=1e-11)


def test_what_waits_for_another_is_computed_after_it():
    def cost(p):
        total = 0.0
        for t in TIMES[:4]:
            level = brentq(lambda y: y**3 - p[0] * t, 0, 9)
            area = quad(lambda s: s * level, 0, 1)[0]
            total = total + brentq(lambda y: y**3 - area, -1, 9) ** 9
        return total

    assert operations(cost, [2.0])["root"] == 2
    assert operations(cost, [2.0])["integral"] == 1
    # The ninth power of each term is (level / 2)³ = p·t / 8.
    np.testing.assert_allclose(steepest.gradient(cost)(np.array([2.0])), [TIMES[:4].sum() / 8], rtol=1e-10)


def test_different_functions_stay_apart():
    def cost(p):
        return quad(lambda s: np.sin(p[0] * s), 0, 1)[0] + quad(lambda s: np.cos(p[0] * s), 0, 1)[0]

    assert operations(cost, [2.0])["integral"] == 2
    x = 2.0
    slope = (x * np.sin(x) - (1 - np.cos(x)) + x * np.cos(x) - np.sin(x)) / x**2
    np.testing.assert_allclose(steepest.gradient(cost)(np.array([x])), [slope], rtol=1e-12)


def test_roots_of_parameters_of_their_own_leave_the_jacobian_diagonal():
    def residuals(p):
        return np.array([brentq(lambda y: y**3 + y - p[k], -9, 9) for k in range(12)])

    pattern = jacobian_pattern(trace(residuals, Parameters.of(np.ones(12))).jaxpr)
    assert (pattern.toarray() != 0).tolist() == np.eye(12, dtype=bool).tolist()


def test_compiled_and_interpreted_agree():
    import jax
    from jax.extend.core import jaxpr_as_fun

    def cost(p):
        areas = [quad(lambda s: np.exp(-p[0] * s) / s ** p[1], 0, t)[0] for t in TIMES]
        levels = [brentq(lambda y: y + p[0] * np.exp(y) - t, -50, 50) for t in TIMES]
        return np.sum(np.array(areas) * np.array(levels))

    x = np.array([0.8, 0.5])
    closed = trace(cost, Parameters.of(x)).jaxpr
    with double_precision():
        function = jaxpr_as_fun(closed)
        slopes = jax.make_jaxpr(jax.jacfwd(lambda x: function(x)[0]))(x)
        compiled = jax.jit(jaxpr_as_fun(slopes))(x)[0]
    np.testing.assert_allclose(interpret(slopes)(x)[0], compiled, rtol=1e-12)


def test_more_integrals_than_are_looked_at_together_agree_with_their_closed_form():
    ends = np.linspace(0.1, 3.0, 400)

    def cost(p):
        return np.sum(np.array([quad(lambda s: np.exp(-p[0] * s) / np.sqrt(s), 0, t)[0] for t in ends]))

    import jax
    from jax.extend.core import jaxpr_as_fun

    closed = trace(cost, Parameters.of(np.ones(1))).jaxpr
    truth = np.sum(np.sqrt(np.pi / 0.8) * erf(np.sqrt(0.8 * ends)))
    with double_precision():
        np.testing.assert_allclose(jax.jit(jaxpr_as_fun(closed))(np.array([0.8]))[0], truth, rtol=1e-12)
    np.testing.assert_allclose(interpret(closed)(np.array([0.8]))[0], truth, rtol=1e-12)
