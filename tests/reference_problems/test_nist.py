"""The NIST files are read as they stand, and the models give the certified figures back."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.reference_problems import nist

# Its residual sum of squares, 1e-25, is below what parameters of eleven digits can give back.
BEYOND_ITS_DIGITS = {"Lanczos1"}
REPRODUCIBLE = [name for name in nist.NAMES if name not in BEYOND_ITS_DIGITS]


@pytest.mark.parametrize("name", REPRODUCIBLE)
def test_residual_sum_at_the_certified_parameters_is_the_certified_one(name):
    data = nist.load(name)
    assert_allclose(data.cost(data.parameters), data.residual_sum, rtol=1e-9)


def test_lanczos1_residuals_are_as_small_as_its_digits_allow():
    data = nist.load("Lanczos1")
    # The certified digits leave each prediction uncertain by half a unit of the eleventh, for six parameters.
    half_a_unit = 0.5e-10
    assert data.cost(data.parameters) < data.y.size * (6 * half_a_unit) ** 2


@pytest.mark.parametrize("name", REPRODUCIBLE)
def test_standard_errors_from_the_model_are_the_certified_ones(name):
    data = nist.load(name)
    # Complex step: exact to rounding, and independent of any differentiation of ours.
    h = 1e-30
    steps = np.eye(data.parameters.size) * h * 1j
    J = np.stack([data.model(data.x, *(data.parameters + step)).imag / h for step in steps], axis=1)
    # Columns scaled before factorising: Nelson's second parameter is 5.6e-9.
    scale = np.linalg.norm(J, axis=0)
    inverse = np.linalg.inv(np.linalg.qr(J / scale)[1])
    deviation = np.sqrt(data.residual_sum / data.degrees_of_freedom)
    assert_allclose(deviation, data.residual_deviation, rtol=1e-8)
    assert_allclose(deviation * np.linalg.norm(inverse, axis=1) / scale, data.standard_errors, rtol=2e-6)


@pytest.mark.parametrize("name", nist.NAMES)
def test_every_file_is_read_whole(name):
    data = nist.load(name)
    assert data.y.shape == (data.x.shape[-1],)
    assert all(start.shape == data.parameters.shape == data.standard_errors.shape for start in data.starts)
    assert len(data.names) == data.model.__code__.co_argcount - 1
    assert data.difficulty in {"Lower", "Average", "Higher"}
    assert data.formula.startswith(("y =", "log[y] ="))
    assert data.formula.endswith("+ e")
    assert data.reference


def test_there_are_27_data_sets_of_the_published_difficulties():
    counts = {"Lower": 0, "Average": 0, "Higher": 0}
    for data in nist.load_all():
        counts[data.difficulty] += 1
    assert counts == {"Lower": 8, "Average": 11, "Higher": 8}


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(KeyError, match="Misra1a"):
        nist.load("Misra2")


def test_measurements_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        nist.load("Misra1a").y[0] = 0.0
