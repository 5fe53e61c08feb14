"""Minima by measured slopes: what is claimed is what the values beside the point bear out."""

import numpy as np
import pytest

import steepest as st


def measured(cost, start, unit=1.0, **about):
    def opaque(x):
        return float(cost(np.array([float(v) for v in x]) / unit))

    return st.minimize(opaque, unit * np.asarray(start, float), derivatives="numeric", **about)


@pytest.mark.parametrize("start", [0.0, 1.0, 3e-8])
def test_the_top_between_two_wells_narrower_than_any_step_is_no_minimum(start):
    result = measured(lambda x: ((x[0] / 1e-8) ** 2 - 1) ** 2, [start])
    assert not result.success or result.fun < 0.1
    if result.success:
        off = abs(abs(result.x[0]) - 1e-8)
        assert off <= 10.0 ** (1 - result.digits[0])


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
def test_half_way_down_a_bent_valley_is_no_minimum_in_any_unit(unit):
    result = measured(lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2, [-1.2, 1.0], unit)
    assert not result.success or result.fun < 1e-6


# With the only place where each is lowest.
SMOOTH = {
    "a bowl on a high floor": (lambda x: np.cosh(x[0] - 2) + 1e6, [0.0], [2.0]),
    "a bent valley on a floor": (
        lambda x: 7 + 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2,
        [-1.2, 1.0],
        [1.0, 1.0],
    ),
    "x to the x": (lambda x: x[0] ** x[0], [1.0], [np.exp(-1)]),
    "entropy": (lambda x: np.sum(x * np.log(x)), [1.0, 2.0, 0.1], [np.exp(-1)] * 3),
}


@pytest.mark.parametrize("unit", [1.0, 1e-6, 1e6])
@pytest.mark.parametrize("name", SMOOTH)
def test_no_more_digits_are_promised_than_are_true_where_slopes_are_measured(name, unit):
    cost, start, truth = SMOOTH[name]
    result = measured(cost, start, unit)
    if result.success and result.digits is not None:
        off = np.abs(result.x / unit - truth) / np.abs(truth)
        assert (off <= 10.0 ** (1 - result.digits)).all(), (off, result.digits)
