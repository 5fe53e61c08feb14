"""least_squares against closed forms and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from numpy.testing import assert_allclose

from steepest import InputError, Verdict, least_squares


def valley(x):
    return [10 * (x[1] - x[0] ** 2), 1 - x[0]]


def test_a_residual_that_vanishes_is_followed_to_zero():
    result = least_squares(valley, [-1.2, 1.0])
    assert_allclose(result.x, 1.0, rtol=1e-13)
    assert result.success and result.fun < 1e-25
    assert_allclose(result.jacobian, [[-20.0, 10.0], [-1.0, 0.0]], rtol=1e-12)


def test_parameters_keep_their_structure():
    result = least_squares(
        lambda p: np.array([p["a"] - 2.0, p["b"][0] + 1.0, p["b"][1]]), {"a": 0.0, "b": [1.0, 1.0]}
    )
    assert_allclose(result.x["a"], 2.0)
    assert_allclose(result.x["b"], [-1.0, 0.0], atol=1e-14)


def test_a_jacobian_of_ones_own_is_used_dense_or_sparse():
    A = np.random.default_rng(0).normal(size=(8, 3))
    b = np.arange(8.0)
    expected = np.linalg.lstsq(A, b)[0]
    for jac in (lambda x: A, lambda x: scipy.sparse.csr_array(A)):
        result = least_squares(lambda x: A @ x - b, np.zeros(3), jac=jac)
        assert_allclose(result.x, expected, rtol=1e-9)
        assert result.derivatives == "supplied"


@pytest.mark.parametrize("loss", ["soft_l1", "huber", "cauchy", "arctan"])
def test_losses_mean_what_scipys_do(loss):
    t = np.linspace(0, 3, 20)
    y = np.exp(-t) + 0.01 * np.cos(20 * t)
    y[4] += 1.0
    ours = least_squares(lambda p: p[0] * np.exp(-p[1] * t) - y, [0.8, 0.8], loss=loss, f_scale=0.1)
    theirs = scipy.optimize.least_squares(
        lambda p: p[0] * np.exp(-p[1] * t) - y,
        [0.8, 0.8],
        loss=loss,
        f_scale=0.1,
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
    )
    assert_allclose(ours.fun, 2 * theirs.cost, rtol=1e-12)
    assert_allclose(ours.x, theirs.x, rtol=1e-6)
    assert ours.verdict is Verdict.LOCAL_MINIMUM


def test_other_methods_walk_the_same_cost():
    assert_allclose(least_squares(valley, [-1.2, 1.0], method="bfgs").x, 1.0, rtol=1e-6)


def test_measured_slopes_find_the_same():
    result = least_squares(valley, [-1.2, 1.0], derivatives="numeric")
    assert_allclose(result.x, 1.0, rtol=1e-7)
    assert result.derivatives == "numeric"


def test_bounds_and_fixed_parameters_hold():
    result = least_squares(valley, [-1.2, 1.0], bounds=[(None, 0.5), (None, None)])
    assert_allclose(result.x, [0.5, 0.25], rtol=1e-10)
    held = least_squares(valley, [-1.2, 1.0], fixed=[0])
    assert_allclose(held.x, [-1.2, 1.44], rtol=1e-12)


@pytest.mark.parametrize("change", [{"loss": "l3"}, {"f_scale": -1.0}, {"jac": "4-point"}, {"tol": -1.0}])
def test_wrong_arguments_are_named(change):
    with pytest.raises(InputError):
        least_squares(valley, [1.0, 1.0], **change)
