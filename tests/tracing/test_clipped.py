"""Steep functions of clipped operands, against the same costs of the entries that are not clipped."""

import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun
from numpy.testing import assert_allclose

import steepest as st
from steepest import gradient, hessian
from steepest.numerics import double_precision
from steepest.parameters import Parameters
from steepest.tracing.trace import trace

X = np.array([0.4, 1.7, -3.0, 2.6])
INSIDE = np.array([False, True, False, True])  # above 1, where np.sqrt and the powers are not clipped


@pytest.mark.parametrize(
    ("cost", "inside", "plain"),
    [
        (lambda x: np.sum(np.sqrt(np.maximum(x - 1, 0))), INSIDE, lambda x: np.sqrt(x - 1)),
        (lambda x: sum(max(0, v - 1) ** 0.5 for v in x), INSIDE, lambda x: np.sqrt(x - 1)),
        (lambda x: np.sum(np.cbrt(np.maximum(x - 1, 0))), INSIDE, lambda x: np.cbrt(x - 1)),
        (lambda x: np.sum(np.clip(x - 1, 0, None) ** 1.5), INSIDE, lambda x: (x - 1) ** 1.5),
        (lambda x: np.sum(np.arccos(np.clip(x, -1, 1))), np.abs(X) < 1, np.arccos),
        (lambda x: np.sum(np.arcsin(np.minimum(np.maximum(x, -1), 1))), np.abs(X) < 1, np.arcsin),
        (lambda x: np.sum(np.arccosh(np.maximum(x, 1))), INSIDE, np.arccosh),
    ],
)
def test_the_slope_where_a_steep_function_is_clipped_is_zero(cost, inside, plain):
    h, middle = 1e-4, X[inside]
    slope = (plain(middle + h) - plain(middle - h)) / (2 * h)
    curvature = (plain(middle + h) - 2 * plain(middle) + plain(middle - h)) / h**2
    assert_allclose(gradient(cost)(X)[inside], slope, rtol=1e-6)
    assert_allclose(gradient(cost)(X)[~inside], 0.0)
    assert_allclose(np.diag(hessian(cost)(X))[inside], curvature, rtol=1e-5)
    assert_allclose(hessian(cost)(X)[~inside], 0.0)


def test_values_stay_at_the_edges_and_where_they_are_no_numbers():
    for cost in (
        lambda x: np.sqrt(np.maximum(x, 0)),
        lambda x: np.arccos(np.clip(x, -1, 1)),
        lambda x: np.arcsin(np.minimum(x, 1)),
        lambda x: np.maximum(x, 0) ** 0.3,
    ):
        x = np.array([-1.0, 1.0, 0.0, -0.0, np.nan, 5.0, 0.3, -2.0])
        with double_precision(), np.errstate(invalid="ignore"):
            traced = jaxpr_as_fun(trace(cost, Parameters.of(np.ones(8))).jaxpr)(x)[0]
            assert_allclose(traced, cost(x), rtol=1e-15)


def test_an_edge_on_a_bound_is_no_minimum_where_the_root_falls_from_it():
    for cost in (
        lambda x: x[0] - np.sqrt(np.maximum(x[0], 0)),
        lambda x: 1e-12 * (x[0] - np.sqrt(np.maximum(x[0], 0))),
    ):
        result = st.minimize(cost, [0.0], bounds=[(0, 4)])
        assert_allclose(result.x, 0.25, rtol=1e-6)  # x - √x is lowest at 1/4
        assert result.success


def test_powers_from_squares_on_keep_the_proof_of_convexity():
    offsets = np.array([-1.0, 0.5, 2.0])
    result = st.minimize(lambda x: np.sum(np.maximum(x - offsets, 0) ** 2.5) + np.sum(x**2), np.ones(3))
    assert result.verdict == "global minimum"


def test_a_walk_crosses_from_the_clipped_side():
    result = st.minimize(
        lambda x: np.sqrt(np.maximum(x[0] - 1, 0)) + (x[0] - 0.3) ** 2 + (x[1] - x[0]) ** 2, [0.9, 2.0]
    )
    assert_allclose(result.x, [0.3, 0.3], atol=1e-6)
    assert result.success
