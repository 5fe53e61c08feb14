"""Ready-made models: noise-free data of each give back its parameters from its own guess."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import InputError, fit, models

CASES = [
    (models.gaussian(), (-4, 6, 90), (3.0, 1.3, 0.6)),
    (models.gaussian(), (-4, 6, 90), (-3.0, 4.9, 0.3)),
    (models.lorentzian(), (0, 10, 120), (2.0, 6.0, 0.4)),
    (models.pseudo_voigt(), (0, 10, 120), (2.0, 6.0, 0.4, 0.3)),
    (models.constant(), (0, 1, 5), (7.0,)),
    (models.line(), (-3, 8, 20), (0.4, -2.0)),
    (models.parabola(), (-3, 8, 20), (0.4, -2.0, 5.0)),
    (models.exponential_decay(), (0, 9, 40), (5.0, 0.7)),
    (models.exponential_decay(), (0, 3, 40), (-0.2, -1.1)),
    (models.power_law(), (0.5, 9, 40), (3.0, -1.4)),
    (models.smooth_step(), (0, 20, 60), (4.0, 8.0, 0.9)),
    (models.smooth_step(), (0, 20, 60), (4.0, 8.0, -0.9)),
    (models.logistic(), (0, 20, 60), (110.0, 0.8, 9.0)),
    (models.gompertz(), (0, 20, 60), (110.0, 0.5, 7.0)),
    (models.michaelis_menten(), (0.1, 30, 40), (9.0, 4.0)),
    (models.hill(), (0.1, 30, 40), (9.0, 8.0, 2.5)),
    (models.sine(), (0, 10, 150), (2.0, 0.83, 0.7)),
    (models.damped_sine(), (0, 10, 150), (2.0, 0.2, 0.83, 0.7)),
]


@pytest.mark.parametrize(
    ("model", "span", "truth"), CASES, ids=[f"{case[0].label}{case[2]}" for case in CASES]
)
def test_clean_data_give_back_the_parameters_from_the_models_own_guess(model, span, truth):
    x = np.linspace(*span)
    found = fit(model, x, model(x, *truth))
    assert found.success
    assert_allclose(found.fitted, model(x, *truth), atol=1e-8 * max(abs(model(x, *truth))))
    assert_allclose(np.abs(found.params), np.abs(truth), rtol=1e-6)


def test_two_peaks_on_a_slope_are_told_apart():
    model = models.gaussian() + models.gaussian() + models.line()
    x = np.linspace(0, 10, 200)
    truth = (3.0, 3.0, 0.4, 2.0, 6.5, 0.6, 0.1, 1.0)
    found = fit(model, x, model(x, *truth))
    assert_allclose(found.params, truth, rtol=1e-6)


def test_products_and_differences_combine_values():
    model = models.sine() * models.exponential_decay()
    x = np.linspace(0, 3, 7)
    assert_allclose(
        model(x, 2.0, 0.5, 0.1, 1.0, 0.3), 2.0 * np.sin(np.pi * x + 0.1) * np.exp(-0.3 * x), rtol=1e-14
    )
    assert_allclose((models.line() - models.constant())(x, 1.0, 2.0, 3.0), x - 1.0, rtol=1e-14)


def test_renaming_an_unknown_parameter_is_refused():
    with pytest.raises(InputError, match="gaussian has no"):
        models.gaussian().renamed({"centre": "middle"})
