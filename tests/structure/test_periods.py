"""Lengths of waves against closed forms."""

import jax
import numpy as np
from numpy.testing import assert_allclose

from steepest.structure.degree import degrees
from steepest.structure.periods import periods_of
from steepest.structure.reading import Reading


def periods(cost, n):
    with jax.enable_x64(True):
        reading = Reading(jax.make_jaxpr(cost)(jax.ShapeDtypeStruct((n,), np.float64)))
    return periods_of(reading, degrees(reading))


def test_each_parameter_has_the_lengths_of_its_own_waves():
    found = periods(lambda x: jax.numpy.sin(3 * x[0] + 1) + jax.numpy.cos(x[1] / 5 - 2 * x[0]) + x[2], 3)
    assert_allclose(found[0], [2 * np.pi / 3, np.pi])
    assert_allclose(found[1], [10 * np.pi])
    assert found[2].size == 0


def test_the_cost_repeats_after_its_length():
    def waves(x):
        return jax.numpy.sum(jax.numpy.sin(np.array([0.7, 2.0, 11.0]) * x + 0.3) ** 2)

    found = periods(waves, 3)
    x = np.array([0.2, -1.0, 0.4])
    with jax.enable_x64(True):
        for i in range(3):
            moved = x + np.eye(3)[i] * found[i][0]
            assert_allclose(waves(moved), waves(x), rtol=1e-12)


def test_waves_of_a_bent_argument_or_of_many_frequencies_have_no_length():
    t = np.linspace(0.0, 1.0, 20)
    found = periods(lambda x: jax.numpy.sum(jax.numpy.sin(x[0] * t + x[1])) + jax.numpy.sin(x[2] ** 2), 3)
    assert found[0].size == 0 and found[2].size == 0
    assert_allclose(found[1], [2 * np.pi])
