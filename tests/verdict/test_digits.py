"""The digits claimed are digits had: against the certified answers of NIST's 27 regressions, from both starts."""

import numpy as np
import pytest

import steepest
from steepest.reference_problems import nist

# The answers are certified to eleven digits; what is claimed beyond them cannot be checked.
CERTIFIED = 10.5


@pytest.mark.parametrize("name", nist.NAMES)
@pytest.mark.parametrize("start", [0, 1])
def test_no_parameter_has_a_digit_more_claimed_than_it_has(name, start):
    data = nist.load(name)
    with np.errstate(all="ignore"):
        result = steepest.minimize(data.cost, data.starts[start])
    if not result.success:
        return  # nothing is claimed
    error = np.abs(result.x - data.parameters) / np.abs(data.parameters)
    true = np.clip(-np.log10(np.maximum(error, 1e-16)), 0.0, 16.0)
    assert (np.minimum(result.digits, CERTIFIED) <= true + 1.0).all()
