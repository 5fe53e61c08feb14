"""Lanczos against full eigenvalue decompositions."""

import numpy as np
from numpy.testing import assert_allclose

from steepest.linear_algebra.lanczos import lanczos


def symmetric(n, seed=0):
    A = np.random.default_rng(seed).standard_normal((n, n))
    return A + A.T


def test_as_many_products_as_dimensions_give_every_eigenvalue():
    H = symmetric(8)
    krylov = lanczos(lambda v: H @ v, np.arange(1.0, 9.0), 8)
    assert krylov.exhausted
    assert_allclose(krylov.values, np.linalg.eigvalsh(H), atol=1e-10)


def test_few_products_find_an_isolated_negative_curvature_and_its_direction():
    diagonal = np.linspace(1.0, 2.0, 500)
    diagonal[123] = -3.0
    krylov = lanczos(lambda v: diagonal * v, np.ones(500), 6)
    assert krylov.values[0] < -2.9
    assert abs(krylov.direction(0)[123]) > 0.99


def test_a_ritz_value_is_never_outside_the_spectrum_and_its_error_bound_holds():
    H = symmetric(40, 3)
    true = np.linalg.eigvalsh(H)
    krylov = lanczos(lambda v: H @ v, np.ones(40), 10)
    assert true[0] - 1e-10 <= krylov.values[0] <= krylov.values[-1] <= true[-1] + 1e-10
    for value, error in zip(krylov.values, krylov.errors, strict=True):
        assert np.abs(true - value).min() <= error + 1e-10


def test_a_starting_vector_inside_an_invariant_space_ends_early():
    krylov = lanczos(lambda v: np.array([1.0, 2.0, 3.0]) * v, np.array([1.0, 0.0, 0.0]), 3)
    assert krylov.exhausted
    assert_allclose(krylov.values, [1.0])
