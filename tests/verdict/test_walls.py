"""Beside a wall of a pole, slopes gathered from all sides hold zero; that is no minimum."""

import numpy as np
import pytest

import steepest as st


def deviation_of_one_datum(p):
    return np.log(np.abs(p[1])) + 0.5 * ((3.0 - p[0]) / p[1]) ** 2


@pytest.mark.parametrize("seed", range(6))
def test_a_point_that_its_own_slope_leads_far_down_from_is_no_minimum_at_a_kink(seed):
    found = st.minimize(deviation_of_one_datum, np.array([0.1, 1.0]), seed=seed)
    assert found.verdict == "unbounded below", found.message


@pytest.mark.parametrize("miss", [0.0, 1e-13, 1e-11])
def test_a_point_beside_a_true_kink_is_still_a_minimum_there(miss):
    def corner(x):
        return np.abs(x[0] - 1.0) + 3.0 * np.abs(x[1] + 2.0) + (x[0] - 1.0) ** 2

    found = st.verify(corner, np.array([1.0 + miss, -2.0 - miss]))
    assert found.verdict == "minimum at a kink" or (found.verdict == "global minimum"), found.message
