"""Bounds, fixed parameters and ways of calling, in the forms people write."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import Bounds

import steepest as st
from steepest import InputError

from .posed import posed


def bowl(p):
    return np.sum((p - np.array([1.0, 2.0, 3.0])) ** 2)


INF = np.inf


@pytest.mark.parametrize(
    "bounds",
    [
        [(None, 0.5), (None, None), (4, None)],
        [(-INF, 0.5), (-INF, INF), (4, INF)],
        {"p[0]": (None, 0.5), "p[2]": (4, None)},
    ],
)
def test_bounds_in_every_form_mean_the_same(bounds):
    seen = []

    def watched(p):
        return bowl(p)

    result = st.minimize(watched, np.array([0.0, 0.0, 5.0]), bounds=bounds, callback=lambda x: seen.append(x))
    assert_allclose(result.x, [0.5, 2.0, 4.0], atol=1e-12)
    assert result.success
    assert all((x <= [0.5, INF, INF]).all() and (x >= [-INF, -INF, 4]).all() for x in seen)


@pytest.mark.parametrize("bounds", [(0.5, 2.5), [0.5, 2.5], zip([0.5] * 3, [2.5] * 3, strict=True)])
def test_one_pair_of_numbers_bounds_every_parameter(bounds):
    assert_allclose(st.minimize(bowl, np.ones(3), bounds=bounds).x, [1.0, 2.0, 2.5], atol=1e-12)


def test_scipy_bounds_are_understood():
    result = st.minimize(bowl, np.zeros(3), bounds=Bounds([-1, -1, -1], [0.5, 5, 5]))
    assert_allclose(result.x, [0.5, 2.0, 3.0], atol=1e-12)


def test_a_start_outside_the_bounds_is_moved_onto_them_and_said():
    result = st.minimize(bowl, np.array([9.0, 0.0, 0.0]), bounds=[(None, 5.0), (None, None), (None, None)])
    assert "p[0]" in result.remarks[0]
    assert_allclose(result.x, [1.0, 2.0, 3.0], atol=1e-12)


@pytest.mark.parametrize(
    "fixed", [["p[1]"], [1], "p[1]", np.int64(1), [False, True, False], np.array([False, True, False])]
)
def test_fixed_parameters_keep_their_value(fixed):
    result = st.minimize(bowl, np.array([0.0, 7.0, 0.0]), fixed=fixed)
    assert_allclose(result.x, [1.0, 7.0, 3.0], atol=1e-12)
    assert result.x[1] == 7.0 and result.names == ("p[0]", "p[2]")
    assert result.success and result.verdict == "global minimum"


def test_fixed_names_of_a_dict_hold_whole_arrays():
    result = st.minimize(
        lambda q: np.sum((q["a"] - 1) ** 2) + (q["b"] - q["a"][0]) ** 2,
        {"a": np.zeros(2), "b": 5.0},
        fixed=["a"],
    )
    assert_allclose(result.x["a"], 0.0)
    assert_allclose(result.x["b"], 0.0, atol=1e-12)


def test_a_function_of_several_arguments_takes_them_by_name_or_in_order():
    def cost(a, b, data=3.0):
        return (a - 1) ** 2 + (b - data) ** 2

    by_name = st.minimize(cost, {"b": 0.0, "a": 0.0})
    in_order = st.minimize(cost, [0.0, 0.0])
    assert_allclose([by_name.x["a"], by_name.x["b"]], [1.0, 3.0], atol=1e-12)
    assert_allclose(in_order.x, [1.0, 3.0], atol=1e-12)


def test_args_are_data():
    t, y = np.linspace(0, 1, 9), 2 * np.linspace(0, 1, 9) + 1

    def cost(p, t, y):
        return np.mean((p[0] * t + p[1] - y) ** 2)

    assert_allclose(st.minimize(cost, [0.0, 0.0], (t, y)).x, [2.0, 1.0], atol=1e-9)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bounds": [(0, 1)]}, "1 entry for 3 parameters"),
        ({"bounds": 7}, "bounds=7; give one .low, high. pair"),
        ({"bounds": [(1, 0), (0, 1), (0, 1)]}, r"bounds of p\[0\] leave nothing"),
        ({"bounds": [(0, np.nan), (0, 1), (0, 1)]}, "NaN"),
        ({"bounds": {"q": (0, 1)}}, "no parameter 'q'"),
        ({"bounds": {"p": ([0, 0], 1)}}, "bounds of p hold 2 numbers on one side, for 3"),
        ({"bounds": [(0, 1), ([0, 0], 1), (0, 1)]}, r"bounds of p\[1\] hold 2 numbers on one side, for 1"),
        ({"bounds": Bounds([0, 0], [1, 1])}, "bounds of all parameters hold 2 numbers on one side, for 3"),
        ({"bounds": Bounds([0, 0, np.nan], 1)}, "NaN"),
        ({"fixed": 1.5}, "fixed=1.5 is not a parameter"),
        ({"fixed": {"p[1]": 3.0}}, r"keep the value they start with.* fixed=\['p\[1\]'\]"),
        ({"fixed": ["p[7]"]}, "no parameter"),
        ({"fixed": [0, 1, 2]}, "every parameter is fixed"),
        ({"fixed": [9]}, "not a parameter"),
        ({"fixed": [True]}, "1 flags for 3"),
        ({"derivatives": "magic"}, "choose one of"),
        ({"jac": "4-point"}, "jac='4-point'"),
        ({"budget": 0}, "allows nothing"),
        ({"budget": "long"}, "give a number of evaluations"),
        ({"budget": {"hours": 3}}, "no 'hours'"),
        ({"method": "newtonish"}, "newtonish"),
        ({"constraints": [{"type": "eq"}]}, "lacks a part"),
        ({"callback": 3}, "cannot be called"),
        ({"tol": -1.0}, "tol"),
    ],
)
def test_bad_settings_are_refused_before_the_cost_is_called(settings, said):
    calls = []

    def counted(p):
        calls.append(1)
        return bowl(p)

    with pytest.raises(InputError, match=said):
        st.minimize(counted, np.zeros(3), **settings)
    assert len(calls) <= 1


def test_a_sum_of_squares_offers_its_residual_also_with_parameters_held():
    points = np.arange(5.0)

    def cost(x):
        return np.sum((x[0] * np.exp(-x[1] * points) + x[2] - points) ** 2)

    x = np.array([1.0, 0.3, -0.5])
    model = x[0] * np.exp(-x[1] * points) + x[2]
    jacobian = np.stack([np.exp(-x[1] * points), -points * x[0] * np.exp(-x[1] * points), np.ones(5)], axis=1)
    for fixed, free in ((None, [0, 1, 2]), ([False, True, False], [0, 2])):
        objective = posed(cost, x, fixed=fixed).objective
        assert objective.has_residual and objective.least_squares
        found = objective.linearised(x[free])
        assert_allclose(found.residual, model - points, rtol=1e-14)
        assert_allclose(found.jacobian, jacobian[:, free], rtol=1e-13)
        assert found.value == objective.value(x[free])


def test_other_costs_offer_no_residual():
    assert not posed(lambda x: np.sum(np.cos(x)), [1.0, 2.0]).objective.has_residual
    assert not posed(lambda x: np.sum(x**2), [1.0, 2.0], derivatives="numeric").objective.has_residual
