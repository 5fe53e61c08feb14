"""Which parameters of a curve are amplitudes, and whose: curves whose derivatives are known in closed form."""

import jax
import numpy as np
import pytest

from steepest.search.parts import parts_of
from tests.posed import posed

T = np.linspace(0.0, 10.0, 60)


def objective_of(model, start, unit=1.0):
    def cost(p):
        return np.sum((unit * (model(p) - np.cos(T))) ** 2)

    return posed(cost, start).objective


def peak(a, b, c):
    return a * np.exp(-(((T - b) / c) ** 2))


def told(model, start, unit=1.0):
    found = parts_of(objective_of(model, start, unit), np.array(start, float))
    if found is None:
        return None
    return [(part.linear.tolist(), part.others.tolist(), part.kind) for part in found.parts]


def test_peaks_are_parts_of_one_kind_and_a_line_below_them_is_none():
    def model(p):
        return peak(p[0], p[1], p[2]) + peak(p[5], p[4], p[3]) + p[6] + p[7] * T

    start = [1.0, 2.0, 1.0, 0.5, 6.0, 1.0, 0.0, 0.0]
    # The second has its parameters in another order: it has the same shape, but not the same parameters in order.
    assert told(model, start) == [([0], [1, 2], 0), ([5], [3, 4], 1)]
    linear = parts_of(objective_of(model, start), np.array(start)).linear
    assert linear.tolist() == [True, False, False, False, False, True, True, True]


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_peaks_of_unlike_shape_do_not_stand_for_each_other_whatever_the_unit_of_the_data(unit):
    def model(p):
        return peak(p[0], p[1], p[2]) + p[3] / (1 + ((T - p[4]) / p[5]) ** 2) + peak(p[6], p[7], p[8])

    assert [kind for _, _, kind in told(model, [1, 2, 1, 1, 5, 1, 1, 8, 1], unit)] == [0, 1, 0]


def test_amplitudes_of_zero_at_the_start_are_amplitudes():
    def model(p):
        return peak(p[0], p[1], 1.0) + peak(p[2], p[3], 1.0)

    assert told(model, [0.0, 2.0, 0.0, 5.0]) == [([0], [1], 0), ([2], [3], 0)]


def test_a_width_that_all_peaks_share_belongs_to_none():
    def model(p):
        return peak(p[0], p[1], p[6]) + peak(p[2], p[3], p[6]) + peak(p[4], p[5], p[6])

    start = [1.0, 2.0, 1.0, 5.0, 1.0, 8.0, 0.7]
    assert told(model, start) == [([0], [1], 0), ([2], [3], 0), ([4], [5], 0)]
    assert parts_of(objective_of(model, start), np.array(start)).share_shapes


def test_a_wave_of_two_amplitudes_is_one_part():
    def model(p):
        return p[0] * np.cos(p[2] * T) + p[1] * np.sin(p[2] * T)

    assert told(model, [1.0, 1.0, 2.0]) == [([0, 1], [2], 0)]


@pytest.mark.parametrize(
    "model",
    [lambda p: p[0] + p[1] * T, lambda p: np.exp(-p[0] * T) + np.sin(p[1] * T)],
    ids=["a line", "no amplitude"],
)
def test_a_curve_without_a_shape_in_proportion_to_an_amplitude_has_no_parts(model):
    assert told(model, [1.0, 2.0]) is None


@pytest.mark.parametrize("n", [2, 5])
def test_linear_parameters_are_those_without_second_derivatives(n):
    # Independent truth: second derivatives of each residual by JAX, of a net of n units and a constant.
    def residual(p):
        return p[-1] + jax.numpy.tanh(T[:, None] * p[n : 2 * n] + p[2 * n : 3 * n]) @ p[:n]

    start = np.random.default_rng(n).standard_normal(3 * n + 1)
    with jax.enable_x64(True):
        bends = np.abs(np.asarray(jax.hessian(residual)(start))).max(axis=0)
    found = parts_of(
        objective_of(lambda p: p[-1] + np.tanh(T[:, None] * p[n : 2 * n] + p[2 * n : 3 * n]) @ p[:n], start),
        start,
    )
    assert not bends[np.ix_(found.linear, found.linear)].any()
    for part in found.parts:
        others = np.setdiff1d(np.arange(3 * n + 1), np.r_[part.linear, part.others])
        assert bends[np.ix_(part.linear, part.others)].all()
        assert not bends[np.ix_(np.r_[part.linear, part.others], others)].any()
