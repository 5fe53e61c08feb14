"""The landscape: what is drawn is the cost itself, where it says it is, and never outside the bounds."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

import steepest as st
from steepest import plots
from steepest.errors import InputError
from steepest.plots.ground import ground_of, in_view
from steepest.plots.landscape_picture import _plane, shadow, window

SKEW = np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 40.0]])


def bowl(p):
    return 0.5 * p @ SKEW @ p + 1.0


def rosenbrock(p):
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


@pytest.fixture(scope="module")
def walked():
    return st.minimize(bowl, [1.0, 2.0, 3.0])


def longest_line(ax):
    return max(ax.lines, key=lambda line: len(line.get_xdata()) if line.get_linestyle() == "-" else 0)


def dashed_line(ax):
    return next(line for line in ax.lines if line.get_linestyle() == "--" and len(line.get_xdata()) > 10)


def test_a_line_along_a_parameter_is_the_cost_at_its_values_with_all_others_held():
    ax = plots.landscape(rosenbrock, 1, at=[0.5, 2.0], reach=3.0)
    x, y = longest_line(ax).get_data()
    assert (x[0], x[-1]) == (-1.0, 5.0)
    assert_allclose(y, [rosenbrock([0.5, value]) for value in x], rtol=1e-12)
    assert ax.get_xlabel().splitlines()[0] == "p[1]"


def test_the_dashed_parabola_has_the_slope_and_the_curvature_of_the_point():
    ax = plots.landscape("x**3 + 2*x**2", at=1.0, reach=1.0)
    x, y = (np.asarray(values, dtype=float) for values in dashed_line(ax).get_data())
    known = np.isfinite(y)
    # f = 3, f' = 3 + 4 = 7, f'' = 6 + 4 = 10 at x = 1
    assert_allclose(y[known], 3 + 7 * (x[known] - 1) + 5 * (x[known] - 1) ** 2, atol=1e-9)
    assert "slope 7, curvature 10" in ax.get_xlabel()


def test_below_lines_that_stand_side_by_side_long_names_do_not_meet():
    names = {"amplitude_of_the_first_component_of_the_decay": 1.0, "amplitude_of_the_second_component": 2.0}
    a, b = names
    result = st.minimize(f"({a} - 3)**2 + ({a} + 2*{b})**2 + 1", names)
    axes = plots.landscape(result, ["flattest", "sharpest", a, b])
    axes[0].figure.draw_without_rendering()
    boxes = [ax.xaxis.label.get_window_extent() for ax in axes]
    for k, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[k + 1 :])
    assert "(0: here)" in axes[0].get_xlabel()


def test_the_sharpest_and_the_flattest_line_bend_as_the_eigenvalues_say(walked):
    curvatures = np.linalg.eigvalsh(SKEW)
    sharp, weak = plots.landscape(walked, ["sharpest", "flattest"], reach=1.0)
    for ax, curvature in ((sharp, curvatures[-1]), (weak, curvatures[0])):
        t, heights = longest_line(ax).get_data()
        assert_allclose(heights, walked.fun + curvature * np.asarray(t) ** 2 / 2, rtol=1e-6)


def test_down_the_slope_the_cost_falls_as_fast_as_the_gradient_is_long():
    point = np.array([1.0, 2.0, 3.0])
    ax = plots.landscape(bowl, "slope", at=point, reach=1e-3)
    t, heights = (np.asarray(values) for values in longest_line(ax).get_data())
    steepness = np.gradient(heights, t)[len(t) // 2]
    assert steepness == pytest.approx(-np.linalg.norm(SKEW @ point), rel=1e-6)


def test_bounds_are_never_left_and_what_lies_beyond_is_hatched():
    asked = []

    def guarded(x):
        asked.append(float(x))
        return (x - 1) ** 2

    result = st.minimize(guarded, 0.5, bounds=(0, 2), derivatives="numeric")
    asked.clear()
    ax = plots.landscape(result, reach=5.0)
    assert min(asked) >= 0 and max(asked) <= 2
    x, y = (np.asarray(values, dtype=float) for values in longest_line(ax).get_data())
    assert_allclose(x[np.isfinite(y)][[0, -1]], [0.0, 2.0], atol=6 / 120)
    assert sum(patch.get_hatch() is not None for patch in ax.patches) == 2


def test_a_plane_of_two_parameters_shows_the_walk_where_it_was(valley):
    ax = plots.landscape(valley)
    path = max(ax.lines, key=lambda line: len(line.get_xdata()))
    assert_allclose(path.get_xydata(), valley.history.x, atol=1e-9)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "y")
    assert ax.get_aspect() == 1.0


def test_a_walk_that_stays_in_a_plane_is_held_by_it_whole():
    """Gradient descent on a bowl that ignores its third parameter never moves it."""

    def flat(p):
        return p[0] ** 2 + 3 * p[1] ** 2 + 0 * p[2]

    result = st.minimize(flat, [1.0, 1.0, 5.0], method="gradient descent", options={"rate": 0.1})
    plane = _plane(ground_of(result), "path", None)
    assert plane.share == pytest.approx(1.0, abs=1e-12)
    assert "holds 100% of the walk" in plots.landscape(result, places=15).get_title(loc="left")


def test_the_plane_of_the_walk_holds_more_of_it_than_any_two_parameters_do(walked):
    ground = ground_of(walked)
    shares = [_plane(ground, pair, None).share for pair in ((0, 1), (0, 2), (1, 2))]
    held = _plane(ground, "path", None).share
    assert max(shares) <= held + 1e-12 <= 1 + 1e-9


def test_the_shadow_of_the_walk_on_two_parameters_is_those_two_columns(walked):
    ground = ground_of(walked)
    assert_allclose(shadow(ground, _plane(ground, (2, 0), None)), walked.history.x[:, [2, 0]], atol=1e-12)


def test_dots_off_the_plane_have_the_colour_of_their_true_cost(walked):
    ax = plots.landscape(walked, places=15)
    dots = next(found for found in ax.collections if len(found.get_offsets()) == len(walked.history.x))
    assert_allclose(dots.get_array(), walked.history.value)


def test_a_surface_stands_as_high_as_the_cost():
    ax = plots.landscape("x**2 + y", at=[0.0, 0.0], reach=1.0, kind="surface", places=21)
    low, high = ax.get_zlim()
    assert low <= -1.0 and high >= 2.0
    assert ax.get_zlabel() == "cost"
    with pytest.raises(InputError, match='projection="3d"'):
        plots.landscape("x**2 + y", at=[0.0, 0.0], kind="surface", ax=Figure().subplots())


def test_a_walk_that_ran_away_does_not_flatten_the_picture_and_an_arrow_tells_where_it_went():
    result = st.minimize(
        lambda p: p[0] ** 2 - p[1] ** 4, [1.0, 0.1], method="gradient descent", options={"rate": 0.3},
        budget={"steps": 60},
    )  # fmt: skip
    path = result.history.x
    assert np.abs(path).max() > 1e6
    ax = plots.landscape(result, places=15)
    assert np.abs(ax.get_ylim()).max() < 1e-3 * np.abs(path).max()
    assert any("on to (" in text.get_text() for text in ax.texts)


def test_the_window_holds_the_whole_path_and_a_margin():
    path = np.array([[0.0, 0.0], [4.0, 3.0]])
    (left, right), (bottom, top) = window(path)
    assert left < 0 and right > 4 and bottom < 0 and top > 3
    assert right - left == pytest.approx(top - bottom)
    assert len(in_view(path)) == 2


def test_a_pole_is_drawn_as_a_gap():
    ax = plots.landscape("1/x", at=1.0, reach=2.0)
    x, y = (np.asarray(values, dtype=float) for values in longest_line(ax).get_data())
    assert np.ptp(ax.get_ylim()) < 1e4
    assert len(x) == len(y)


@pytest.mark.parametrize("width", [3.5, 7.0])
def test_the_word_at_the_centre_hides_no_line(width):
    ax = Figure(figsize=(width, 0.7 * width), layout="constrained").subplots()
    plots.landscape("x**4 - 3*x**2 + x", at=1.1, ax=ax)
    ax.figure.draw_without_rendering()
    box = ax.texts[0].get_window_extent()
    points = ax.transData.transform(longest_line(ax).get_xydata())
    assert not ((points > (box.x0, box.y0)).all(1) & (points < (box.x1, box.y1)).all(1)).any()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "at="),
        ({"at": [0.0, 1.0], "along": "z"}, "'x', 'y'|x, y"),
        ({"at": [0.0, 1.0], "along": ("x", "x")}, "twice"),
        ({"at": [0.0, 1.0], "along": "path"}, "two steps"),
        ({"at": [0.0, 1.0], "along": "x", "kind": "surface"}, "two directions"),
        ({"at": [0.0, 1.0], "along": [np.zeros(2)]}, "not all zero"),
        ({"at": [0.0, 1.0], "kind": "blob"}, "contour"),
        ({"at": [0.0, 0.0], "along": "slope"}, "slope is zero"),
    ],
)
def test_what_cannot_be_drawn_is_refused_with_the_remedy(settings, words):
    with pytest.raises(InputError, match=words):
        plots.landscape("x**2 + y**2", **settings)


def test_a_stored_result_says_that_its_cost_is_gone_and_still_shows_its_history(walked):
    import pickle

    stored = pickle.loads(pickle.dumps(walked))
    with pytest.raises(InputError, match="without its cost"):
        plots.landscape(stored)
    assert len(plots.descent(stored)) == 2


def test_settings_of_matplotlib_are_left_alone_and_files_repeat(walked, tmp_path):
    before = dict(matplotlib.rcParams)
    one, two = (plots.save(plots.landscape(walked, places=15), tmp_path / f"{k}.svg") for k in (1, 2))
    assert dict(matplotlib.rcParams) == before
    assert one.read_bytes() == two.read_bytes()
