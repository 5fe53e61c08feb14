"""Units of a factor: in them the curvature is one, and lengths are those of the curvature."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.derivatives import exact
from steepest.derivatives.products import Products
from steepest.linear_algebra.factor_units import factor_units
from steepest.linear_algebra.whole_matrix import whole_matrix
from steepest.numerics import double_precision

n = 80
Q, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(n, n)))
H = (Q * np.logspace(0, 4, n)) @ Q.T
H = 0.5 * (H + H.T)
G = np.random.default_rng(4).normal(size=n)


def test_in_its_own_units_a_curvature_is_one_and_newtons_step_the_slope():
    units = factor_units(H)
    y = -units.inside(G)
    assert_allclose(units.outside(y), -np.linalg.solve(H, G), rtol=1e-6, atol=1e-9)
    assert_allclose(units.product(lambda p: H @ p, y), y, rtol=1e-6, atol=1e-9)
    assert_allclose(units.of_step(G) @ units.of_step(G), G @ H @ G, rtol=1e-9)


def test_a_matrix_that_bends_downwards_somewhere_gives_no_units():
    assert factor_units(H - 2.0 * np.outer(Q[:, 0], Q[:, 0])) is None


@pytest.mark.parametrize("number", [np.inf, np.nan])
@pytest.mark.parametrize("place", [(0, 0), (n - 1, n - 1), (1, 0)])
def test_a_matrix_that_is_not_finite_gives_no_units(number, place):
    beyond = H.copy()
    beyond[place] = beyond[place[::-1]] = number
    assert factor_units(beyond) is None


def test_the_whole_matrix_is_the_one_behind_the_products():
    with double_precision():
        cost = jax.make_jaxpr(lambda x: 0.5 * x @ (H @ x))(jax.ShapeDtypeStruct((n,), np.float64))
    product = Products(exact.hessian_product(cost)).traceable(np.zeros(n))
    assert_allclose(whole_matrix(product, n), H, rtol=1e-12, atol=1e-9)


def test_a_curvature_of_few_directions_has_units_in_spite_of_its_rounding():
    """As a smooth kernel's: the one large curvature is 80 times the mean, and its rounding bends the others down."""
    large = 1e6 * np.outer(Q[:, 0], Q[:, 0])
    for rounding, is_seen in ((1e-7, True), (1e-2, False)):
        bent = large - rounding * np.outer(Q[:, 1], Q[:, 1])
        units = factor_units(0.5 * (bent + bent.T))
        assert (units is not None) is is_seen
        if units is not None:
            assert_allclose(units.outside(units.inside(large @ G)) @ Q[:, 0], G @ Q[:, 0], rtol=1e-6)
