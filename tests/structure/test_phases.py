"""The phases of waves against what the cost computes them from."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.parameters import Parameters
from steepest.structure.facts import read
from steepest.tracing.trace import trace

T = np.linspace(0.0, 3.0, 7)


def phases(cost, x):
    return read(trace(cost, Parameters.of(x)).jaxpr).phases


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (lambda x: np.sum(x[0] * np.sin(2 * np.pi * x[1] * T + x[2])), lambda x: 2 * np.pi * x[1] * T + x[2]),
        (lambda x: np.sum(x[0] * np.cos(2 * np.pi * T / x[1])), lambda x: 2 * np.pi * T / x[1]),
        (lambda x: np.sum(np.abs(1 + x[0] * np.exp((1j * x[1] - x[2]) * T)) ** 2), lambda x: x[1] * T),
    ],
)
def test_they_are_what_sines_cosines_and_complex_exponentials_are_of(cost, expected):
    x = np.array([1.5, 0.8, 0.3])
    (found,) = phases(cost, x).at(x)
    assert_allclose(found, expected(x), rtol=1e-15)


def test_a_wave_written_twice_has_one_phase():
    (found,) = phases(lambda x: np.sum(x[0] * np.sin(w := x[2] * T) + x[1] * np.cos(w)), np.ones(3)).at(
        np.array([1.0, 2.0, 3.0])
    )
    assert_allclose(found, 3.0 * T, rtol=1e-15)


def test_a_cost_without_waves_over_data_has_none():
    assert not phases(lambda x: np.sum((x[0] * np.exp(-x[1] * T) - 1.0) ** 2), np.ones(2))
    assert not phases(lambda x: np.sin(x[0]) + x[1] ** 2, np.ones(2))
