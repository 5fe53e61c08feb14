"""Bounds: projecting, active parts, and how far there is to go."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

import steepest
from steepest.bounds import Bounds
from steepest.errors import InputError

finite = st.floats(-1e6, 1e6)
BOX = Bounds(np.array([0.0, -np.inf, 2.0]), np.array([1.0, 5.0, 2.0]))


@given(arrays(float, 3, elements=finite))
def test_the_projection_is_inside_and_leaves_inner_points_alone(x):
    projected = BOX.project(x)
    assert BOX.contains(projected)
    assert_array_equal(BOX.project(projected), projected)
    assert not BOX.contains(x) or np.array_equal(projected, x)


@given(arrays(float, 3, elements=finite), arrays(float, 3, elements=finite))
def test_a_small_step_against_the_projected_gradient_stays_inside(x, gradient):
    inside = BOX.project(x)
    down = BOX.projected_gradient(inside, gradient)
    assert ((down == gradient) | (down == 0.0)).all()
    fixed_or_free = np.where(BOX.lower == BOX.upper, 0.0, down)
    assert_allclose(BOX.project(inside - 1e-12 * fixed_or_free), inside - 1e-12 * fixed_or_free, atol=1e-6)


@given(arrays(float, 3, elements=finite), arrays(float, 3, elements=finite), st.floats(0.0, 1.0))
def test_travel_stays_inside_and_lands_exactly_on_the_bounds(x, direction, t):
    inside = BOX.project(x)
    room = BOX.room(inside, direction)
    assert BOX.contains(BOX.travel(inside, direction, room, t))
    reached = np.isfinite(room) & (direction != 0.0)
    landed = BOX.travel(inside, direction, room, float(room[reached].max(initial=0.0)))
    ahead = np.where(direction > 0.0, BOX.upper, BOX.lower)
    assert_array_equal(landed[reached], ahead[reached])


def test_a_fixed_parameter_has_no_slope_to_follow():
    for slope in (-3.0, 3.0):
        assert BOX.projected_gradient(np.array([0.5, 0.0, 2.0]), np.full(3, slope))[2] == 0.0
        assert not BOX.free(np.array([0.5, 0.0, 2.0]), np.full(3, slope))[2]


places = st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 1.0, 2.0, 5.0, np.inf, np.nan])


@given(
    arrays(float, 3, elements=places),
    arrays(float, 3, elements=st.sampled_from([-np.inf, -1.0, 0.0, 2.0, np.nan])),
)
def test_what_holds_of_a_few_parameters_holds_of_many_copies_of_them(x, gradient):
    many = Bounds(np.tile(BOX.lower, 20), np.tile(BOX.upper, 20))
    x20, gradient20 = np.tile(x, 20), np.tile(gradient, 20)
    assert BOX.contains(x) == many.contains(x20)
    assert_array_equal(np.tile(BOX.free(x, gradient), 20), many.free(x20, gradient20))
    assert_array_equal(
        np.tile(BOX.projected_gradient(x, gradient), 20), many.projected_gradient(x20, gradient20)
    )


def test_what_is_left_of_a_gradient_is_not_the_gradient_itself():
    x, gradient = np.array([0.5, 0.0, 2.0]), np.array([1.0, -1.0, 0.0])
    for box in (Bounds(np.full(3, -9.0), np.full(3, 9.0)), BOX):
        assert not np.shares_memory(box.projected_gradient(x, gradient), gradient)


def test_no_bounds_are_no_bounds():
    none = Bounds.none(2)
    assert not none.any and BOX.any
    assert none.contains(np.array([1e300, -1e300])) and not none.contains(np.array([np.nan, 0.0]))


@pytest.mark.parametrize(
    ("lower", "upper"), [(1.0, 0.0), (np.nan, 1.0), (np.inf, np.inf), (-np.inf, -np.inf)]
)
def test_impossible_bounds_are_refused_and_named(lower, upper):
    with pytest.raises(InputError, match="parameter 1"):
        Bounds(np.array([0.0, lower]), np.array([1.0, upper]))


@pytest.mark.parametrize("form", ["pairs", "two arrays", "an array and a number", "SciPy's"])
def test_bounds_are_understood_in_every_form_of_scipy(form):
    lower, upper = np.array([0.5, -1.0, 2.0]), np.array([1.0, 1.0, np.inf])
    bounds = {
        "pairs": list(zip(lower, upper, strict=True)),
        "two arrays": (lower, upper),
        "an array and a number": (list(lower), np.inf),
        "SciPy's": scipy.optimize.Bounds(lower, upper),
    }[form]
    result = steepest.minimize(lambda x: np.sum(x**2), np.full(3, 2.0), bounds=bounds)
    assert_allclose(result.x, [0.5, 0.0, 2.0], atol=1e-12)


def test_two_arrays_are_a_pair_for_each_of_two_parameters():
    """As in SciPy's `minimize`: the first holds the bounds of the first parameter."""
    result = steepest.minimize(
        lambda x: np.sum(x**2), np.full(2, 2.5), bounds=(np.array([2, 3]), np.array([1, 4]))
    )
    assert_allclose(result.x, [2.0, 1.0], atol=1e-12)


def test_arrays_of_another_length_are_refused_with_the_length_that_is_wanted():
    with pytest.raises(InputError, match=r"two arrays \(lower, upper\) of 3 each"):
        steepest.minimize(lambda x: np.sum(x**2), np.ones(3), bounds=(np.zeros(2), np.ones(3)))


@pytest.mark.parametrize("method", ["auto", "Newton", "BFGS", "L-BFGS"])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("cost", [lambda x: np.sum(1 / x), lambda x: np.sum(x**2), lambda x: 0 * np.sum(x)])
def test_where_every_parameter_is_fixed_the_only_point_is_the_minimum(cost, n, method):
    only = np.full(n, 0.5)
    result = steepest.minimize(cost, only, bounds=[(0.5, 0.5)] * n, method=method)
    assert result.success, result.message
    assert_array_equal(result.x, only)
    assert result.fun == pytest.approx(cost(only))


@pytest.mark.parametrize("seed", range(20))
def test_few_parameters_land_and_are_pushed_as_many_do(seed):
    """Python looks at few, NumPy at many: the same places to the last digit, on the bounds too."""
    rng = np.random.default_rng(seed)
    few, times = 8, 5
    lower, upper = np.sort(rng.choice([-np.inf, -2.0, -1.0, 0.5, 3.0, np.inf], (2, few)), axis=0)
    lower, upper = np.minimum(lower, 3.0), np.maximum(upper, -2.0)
    inside = np.clip(rng.normal(size=few), lower, upper)
    step = rng.choice([0.0, 1.0, -1.0], few) * 10.0 ** rng.uniform(-20.0, 3.0, few)
    to_bound = np.where(np.isfinite(upper - inside), upper - inside, step)
    gradient = rng.choice([0.0, 1.0, -1.0], few)
    here, there = Bounds(lower, upper), Bounds(np.tile(lower, times), np.tile(upper, times))
    for way in step, to_bound, to_bound * (1.0 - 2e-16):
        landed = here.landed(inside, way)
        assert here.contains(landed)
        assert_array_equal(np.tile(landed, times), there.landed(np.tile(inside, times), np.tile(way, times)))
    pushed = here.projected_gradient(inside, gradient)
    many = there.projected_gradient(np.tile(inside, times), np.tile(gradient, times))
    assert_array_equal(np.tile(pushed, times), many)
