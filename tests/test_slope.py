"""The slope at a point: exact, with its direction, and honest where there is none."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest as st
from steepest import InputError


def parabola(x):
    return x**2 - 2 * x + 3


@pytest.mark.parametrize(
    "cost", [parabola, "x**2 - 2*x + 3", lambda x: np.sum(parabola(x))], ids=["numpy", "text", "sum"]
)
def test_the_lesson(cost):
    points = st.slope(cost, at=[-1, 1, 3]).points if cost is not None else ()
    if len(points) == 3:
        assert [p.slope for p in points] == [-4.0, 0.0, 4.0]
        assert [p.direction for p in points] == ["falling", "flat", "rising"]
        assert [p.value for p in points] == [6.0, 2.0, 6.0]
        assert points[0].tangent(0.0) == 2.0
    else:  # a cost that sums its argument takes the list as one point of three parameters
        assert_allclose(points[0].slope, [-4.0, 0.0, 4.0], rtol=0, atol=0)
        assert list(points[0].direction) == ["falling", "flat", "rising"]


def test_one_number_is_one_point():
    (point,) = st.slope(parabola, at=1.0).points
    assert (point.at, point.slope, point.direction) == (1.0, 0.0, "flat")


def test_several_parameters_have_a_gradient_and_a_direction_each():
    (point,) = st.slope(lambda p: p[0] ** 2 - 3 * p[1] + 0 * p[2], at=[1.0, 2.0, 5.0]).points
    assert_allclose(point.slope, [2.0, -3.0, 0.0])
    assert list(point.direction) == ["rising", "falling", "flat"]
    (named,) = st.slope("a**2 - 3*b", at={"a": 1.0, "b": 2.0}).points
    assert named.slope == {"a": 2.0, "b": -3.0} and named.direction == {"a": "rising", "b": "falling"}
    assert named.tangent({"a": 2.0, "b": 2.0}) == -5.0 + 2.0
    many = st.slope("a**2 - 3*b", at=[[1.0, 2.0], [0.0, 1.0]])
    assert len(many) == 2


@pytest.mark.parametrize(
    ("cost", "at", "left", "right"),
    [
        (lambda x: np.abs(x), 0.0, -1.0, 1.0),
        (lambda x: np.maximum(x, 0.0), 0.0, 0.0, 1.0),
        (lambda x: np.abs(x - 1) + x**2, 1.0, 1.0, 3.0),
        (lambda x: np.maximum(np.sin(x), 0.5 * x), 0.0, 0.5, 1.0),
        (lambda x: np.where(x < 2, x**2, 6 - x), 2.0, 4.0, -1.0),
        ("abs(x)*exp(x)", 0.0, -1.0, 1.0),
        (lambda x: np.sqrt(x), 0.0, np.nan, np.inf),
        (lambda x: np.linalg.norm(np.array([x, 2 * x])), 0.0, -np.sqrt(5), np.sqrt(5)),
    ],
)
def test_at_a_kink_there_is_no_slope_but_two_one_sided_ones(cost, at, left, right):
    (point,) = st.slope(cost, at=at).points
    assert point.direction == "no slope here"
    assert np.isnan(point.slope)
    assert_allclose([point.left, point.right], [left, right], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("cost", "at"), [("log(x)", -1.0), ("sqrt(x)", -4.0), ("x**0.5 + 3*x", -1.0)])
def test_where_a_cost_has_no_value_it_has_no_slope(cost, at):
    """The formula of the derivative may have one: that of log(x) is 1/x, on either side of zero."""
    (point,) = st.slope(cost, at=at).points
    assert point.direction == "no slope here"
    assert np.isnan([point.value, point.slope, point.left, point.right]).all()
    assert "the cost has no value" in str(st.slope(cost, at=at))


def test_a_hole_in_a_curve_has_the_slope_of_both_sides():
    (point,) = st.slope("sin(x)/x", at=0.0).points
    assert point.direction == "flat" and abs(point.slope) < 1e-6


@pytest.mark.parametrize(
    "cost", [lambda x: np.floor(x), lambda x: np.sign(x), lambda x: np.where(x > 0, 1.0, 2.0) + x]
)
def test_at_a_jump_there_is_no_slope(cost):
    (point,) = st.slope(cost, at=0.0).points
    assert point.direction == "no slope here"
    assert_allclose([point.left_value, point.right_value], [cost(-1e-12), cost(1e-12)], atol=1e-11)


def test_a_jump_is_told_with_the_cost_on_both_sides_and_a_kink_is_not():
    assert "the cost jumps from 1.5 to 0.25" in str(st.slope("where(x < 0.5, 2 - x, x**2)", at=0.5))
    for smooth_or_edge in ("abs(x)", "x*log(x)"):
        assert "jumps" not in str(st.slope(smooth_or_edge, at=0.0))


def test_at_a_jump_along_one_of_two_parameters_each_side_is_told_for_itself():
    (point,) = st.slope(lambda p: np.where(p[0] < 1, 0.0, 3.0) + p[1] ** 2, at=[1.0, 2.0]).points
    assert_allclose(point.left_value, [4.0, 7.0], atol=1e-10)
    assert_allclose(point.right_value, [7.0, 7.0], atol=1e-10)


def test_a_kink_beside_a_jump_is_not_told_as_one():
    found = st.slope(lambda p: np.where(p[0] < 0, 1.0, 0.0) + np.maximum(p[1], 0.0), at=[0.0, 0.0])
    assert str(found).count("the cost jumps") == 1
    assert found.points[0].left_value[1] == found.points[0].right_value[1] == 0.0


@pytest.mark.parametrize(
    ("cost", "slope"),
    [
        (lambda x: x * np.abs(x), 0.0),
        (lambda x: np.maximum(x, 0.0) ** 2, 0.0),
        (lambda x: np.abs(x + 3), 1.0),
        (lambda x: np.where(x < 0, x**2, x**3), 0.0),
        (lambda x: np.tanh(1e4 * x), 1e4),
    ],
)
def test_a_smooth_point_of_a_cost_with_kinks_has_its_slope(cost, slope):
    (point,) = st.slope(cost, at=0.0).points
    assert point.slope == slope and point.left is None


def test_flat_means_no_larger_than_the_rounding_of_the_slope():
    cost = lambda x: (x - 0.1) ** 2 * 7  # noqa: E731
    assert st.slope(cost, at=0.1).points[0].direction == "flat"
    assert st.slope(cost, at=0.1 + 1e-12).points[0].direction == "rising"
    assert st.slope(lambda x: 1e-200 * x, at=1.0).points[0].direction == "rising"
    assert st.slope(lambda x: 1e9 + 1e-3 * x, at=1.0).points[0].direction == "rising"


def test_the_secants_close_in_on_the_slope_until_rounding_spoils_them():
    rows = st.slope("x**3", at=2.0, limit=True).limit[0]
    errors = [abs(row.right - 12.0) for row in rows]
    assert [row.h for row in rows[:3]] == [1.0, 0.1, 0.01]
    assert errors[0] == 7.0 and min(errors) < 1e-6
    assert errors[-1] > 100 * min(errors)


def test_the_slope_of_compiled_code_is_measured_and_says_so():
    import math

    found = st.slope(math.gamma, at=2.5)
    assert found.derivatives == "numeric"
    from mpmath import mp

    assert_allclose(found.points[0].slope, float(mp.diff(mp.gamma, 2.5)), rtol=1e-7)


def test_json_is_plain():
    import json

    text = json.dumps(st.slope("x**2 - 2*x + 3", at=[-1, 1, 3]).to_dict()["points"])
    assert json.loads(text)[0] == {"at": -1.0, "value": 6.0, "slope": -4.0, "direction": "falling"}


@pytest.mark.parametrize(
    ("cost", "at", "said"),
    [
        (parabola, [], "at is empty"),
        (parabola, "here", "no real number"),
        (parabola, [1.0, np.nan], "not finite"),
        ("x + y", 1.0, "2 parameters"),
        ("x + y", {"x": 1.0}, "no value for y"),
        (3.0, 1.0, "cannot be called"),
    ],
)
def test_bad_places_are_refused(cost, at, said):
    with pytest.raises(InputError, match=said):
        st.slope(cost, at=at)


def test_a_list_of_places_of_compiled_code_is_several_points_and_each_has_its_slope():
    at = [0.0, 1.0, 2.0]
    points = st.slope(math.sin, at).points
    np.testing.assert_allclose([point.slope for point in points], np.cos(at), rtol=1e-8)


def test_at_the_edge_of_its_domain_a_cost_has_one_infinite_slope_inside_and_none_outside():
    (point,) = st.slope(lambda x: np.log(x), [0.0]).points
    assert point.direction == "no slope here"
    assert np.isnan(point.left) and point.right == np.inf


def test_a_slope_that_swings_beside_the_point_is_told_by_its_definition():
    # x² sin(1/x), 0 at 0: the difference quotient is h sin(1/h), which goes to 0; the slope beside has no limit.
    point = st.slope(lambda x: np.where(x != 0, x**2 * np.sin(1 / x), 0.0), at=0.0).points[0]
    assert point.slope == 0.0
    assert point.direction == "flat"


def test_a_removable_gap_in_the_formula_leaves_the_slope():
    # sin(x)/x, 1 at 0, has slope 0 there.
    point = st.slope(lambda x: np.where(x != 0, np.sin(x) / x, 1.0), at=0.0).points[0]
    assert abs(point.slope) < 1e-6
