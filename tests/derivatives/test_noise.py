"""Noise levels, against the noise that was put in."""

import numpy as np
import pytest

from steepest.derivatives.noise import noise_of, noise_of_values


@pytest.mark.parametrize("level", [1e-9, 1e-6, 1e-3])
def test_the_level_found_is_within_a_factor_of_four_of_the_true_one(level):
    generator = np.random.default_rng(1)
    found = noise_of(
        lambda x: float(np.cos(x[0]) + level * generator.standard_normal()), np.zeros(1), np.ones(1), 1e-8
    )
    assert found.found
    assert level / 4 < found.level < 4 * level


def test_uniform_noise_has_its_standard_deviation_found():
    generator = np.random.default_rng(2)
    values = np.linspace(0, 1e-3, 200) + 1e-2 * generator.uniform(-1, 1, 200)
    assert noise_of_values(values) == pytest.approx(1e-2 / np.sqrt(3), rel=0.5)


def test_a_smooth_cost_shows_rounding_at_most():
    found = noise_of(lambda x: float(np.exp(x[0])), np.zeros(1), np.ones(1), 1e-8)
    assert found.level < 1e-15


def test_a_cost_that_is_nowhere_finite_has_no_level():
    found = noise_of(lambda x: np.nan, np.zeros(1), np.ones(1), 1e-8)
    assert not found.found
