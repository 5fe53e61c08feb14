"""exp(A) and its slope against 40-digit arithmetic and SciPy's Fréchet derivative, for all sizes of A."""

import mpmath
import numpy as np
import pytest
from scipy import linalg

from steepest.parameters import Parameters
from steepest.tracing.trace import trace
from steepest.vector_functions import TracedVector

SIZES = [1e-12, 1e-3, 0.1, 1.0, 10.0, 300.0]


def traced(A):
    return TracedVector(trace(lambda a: linalg.expm(a), Parameters.of(A)))


def matrix(size):
    A = size * np.random.default_rng(5).normal(size=(4, 4))
    return A - A.T if size > 10.0 else A  # large ones only turn, else nothing but overflow is left


@pytest.mark.parametrize("size", SIZES)
def test_the_exponential_and_its_slope_are_those_of_others(size):
    A = matrix(size)
    with mpmath.workdps(40):
        exact = np.array(mpmath.expm(mpmath.matrix(A), method="pade").tolist(), dtype=float)
    values, jacobian = traced(A).both(A.ravel())
    tolerance = 1e-14 * max(1.0, size)
    assert np.abs(values.reshape(4, 4) - exact).max() <= tolerance * np.abs(exact).max()
    direction = np.random.default_rng(6).normal(size=(4, 4))
    expected = linalg.expm_frechet(A, direction, compute_expm=False)
    found = (jacobian @ direction.ravel()).reshape(4, 4)
    assert np.abs(found - expected).max() <= 10.0 * tolerance * np.abs(expected).max()


def test_an_exponential_next_to_overflow_keeps_its_slope():
    A = np.diag([700.0, 1.0, -700.0])
    values, jacobian = traced(A).both(A.ravel())
    np.testing.assert_allclose(values.reshape(3, 3).diagonal(), np.exp([700.0, 1.0, -700.0]), rtol=1e-12)
    assert np.isfinite(jacobian).all()


def test_exponentials_at_many_times_are_one_short_program_without_branches():
    """A reaction A → B → C measured at fifty times."""
    t = np.linspace(0.0, 5.0, 50)

    def third(p):
        K = np.array([[-p[0], 0.0, 0.0], [p[0], -p[1], 0.0], [0.0, p[1], 0.0]])
        return np.array([(linalg.expm(K * time) @ np.array([1.0, 0.0, 0.0]))[2] for time in t])

    found = trace(third, Parameters.of(np.array([1.0, 0.4])))
    assert not {equation.primitive.name for equation in found.jaxpr.jaxpr.eqns} & {"cond", "while", "scan"}
    assert len(found.jaxpr.jaxpr.eqns) < 400
    k, c = 1.0, 0.4  # Bateman 1910
    exact = 1.0 - (k * np.exp(-c * t) - c * np.exp(-k * t)) / (k - c)
    np.testing.assert_allclose(TracedVector(found).values(np.array([k, c])), exact, atol=1e-14)
