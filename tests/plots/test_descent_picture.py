"""The picture of a walk: the numbers it draws are those of the history."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from steepest import minimize, plots
from steepest.errors import InputError
from steepest.plots.descent_picture import cost_scale


def longest_line(ax):
    return max(ax.lines, key=lambda line: len(line.get_xdata()))


def test_cost_is_drawn_against_steps_and_against_evaluations(many):
    by_step, by_evaluation = plots.descent(many)
    assert_allclose(longest_line(by_step).get_xdata(), np.arange(60))
    assert_allclose(longest_line(by_evaluation).get_xdata(), many.history.evaluations)
    assert by_step.get_xlabel() == "step"
    assert by_evaluation.get_xlabel() == "evaluations of the cost"


def test_a_cost_that_falls_to_a_lowest_value_is_drawn_above_it_and_the_axis_says_so(many):
    by_step, _ = plots.descent(many)
    lowest = many.history.value.min()
    drawn = longest_line(by_step).get_ydata()
    assert by_step.get_yscale() == "log"
    assert by_step.get_ylabel().replace("\n", " ") == f"cost + {-lowest:.5g} (lowest reached)"
    assert_allclose(drawn[:-1], many.history.value[:-1] - lowest)
    assert np.isnan(drawn[-1]), "the lowest itself has no logarithm"


def test_a_cost_that_falls_to_zero_is_drawn_as_it_is():
    values = 10.0 ** -np.arange(10)
    heights, name, logarithmic = cost_scale(values)
    assert_allclose(heights, values)
    assert (name, logarithmic) == ("cost", True)


@pytest.mark.parametrize("values", [[3.0, 2.0, 1.5], [1.0], [2.0, 2.0], [np.nan, np.inf], [-1.0, -1.5]])
def test_a_cost_that_hardly_falls_is_drawn_on_a_plain_axis(values):
    _, name, logarithmic = cost_scale(np.array(values))
    assert (name, logarithmic) == ("cost", False)


def test_one_parameter_shows_the_walk_on_the_curve_with_true_tangents(walk_down):
    walk, *_ = plots.descent(walk_down)
    curve = longest_line(walk)
    assert_allclose(curve.get_ydata(), walk_down.cost(curve.get_xdata()))
    tangents = [line for line in walk.lines if len(line.get_xdata()) == 2]
    assert len(tangents) >= 3
    for line in tangents:
        x, y = (np.asarray(values, dtype=float) for values in line.get_data())
        assert np.diff(y) / np.diff(x) == pytest.approx(2 * x.mean() - 2, abs=1e-9)
    words = {text.get_text() for text in walk.texts}
    assert {"start x = 3", "end x = 1"} <= words


def test_two_parameters_show_the_whole_path_over_contours_with_its_ends_marked(valley):
    landscape, *_ = plots.descent(valley)
    assert_allclose(longest_line(landscape).get_xydata(), valley.history.x)
    assert (landscape.get_xlabel(), landscape.get_ylabel()) == ("x", "y")
    assert landscape.collections, "contours"
    assert landscape.get_aspect() == 1.0
    markers = [line.get_marker() for line in landscape.lines if len(line.get_xdata()) == 1]
    assert markers == ["s", "*"]


def test_one_axes_given_receives_the_walk_alone(walk_down):
    ax = Figure(figsize=(3.5, 2.5), layout="constrained").subplots()
    assert plots.descent(walk_down, ax=ax) is ax
    assert len(ax.figure.axes) == 1


def test_axes_given_are_filled_in_order(many):
    axes = Figure().subplots(1, 2)
    assert list(plots.descent(many, ax=axes)) == list(axes)
    with pytest.raises(InputError, match="needs 2 axes"):
        plots.descent(many, ax=Figure().subplots(1, 3))


def test_settings_of_matplotlib_are_left_alone_and_files_repeat(valley, tmp_path):
    before = dict(matplotlib.rcParams)
    one, two = (plots.save(plots.descent(valley), tmp_path / f"{k}.svg") for k in (1, 2))
    assert dict(matplotlib.rcParams) == before
    assert one.read_bytes() == two.read_bytes()


def test_a_walk_that_never_moved_is_still_a_picture(walk_down):
    history = walk_down.history
    for name in ("value", "gradient_norm", "step_length", "evaluations", "seconds", "kept", "x", "gradient"):
        setattr(history, name, getattr(history, name)[:1])
    history.step = history.step[:0]
    assert len(plots.descent(walk_down)) == 3


def test_a_walk_that_creeps_and_then_ends_far_off_is_shown_from_start_to_end():
    """Most of its steps crowd along the bound y = 0; both its ends must be in the picture."""
    found = minimize(
        "(1-x)**2 + 100*(y-x**2)**2", {"x": -1.2, "y": 1.0}, bounds={"x": (-2, 0.5), "y": (0, 2)}
    )
    plane, *_ = plots.descent(found)
    (low, high), (bottom, top) = plane.get_xlim(), plane.get_ylim()
    assert low < -1.2 and high > 0.5 and bottom < 0.0 and top > 1.0


def test_who_asks_a_result_for_its_plot_is_told_what_draws_it():
    with pytest.raises(AttributeError, match=r"steepest\.plots\.descent\(result\) draws it"):
        minimize("x**2", 1.0).plot()


@pytest.mark.parametrize(("constraints", "told"), [([], False), (["x**2 + y**2 <= 1"], True)])
def test_a_walk_between_constraints_is_said_to_be_one(constraints, told):
    found = minimize("(x-2)**2 + (y-1)**2", {"x": 0.0, "y": 0.0}, constraints=constraints)
    words = plots.descent(found)[0].figure.get_suptitle()
    assert ("within 1 constraint, drawn" in words) is told


def lines_along(ax, heights):
    """Contours of `ax` on which `heights(x, y)` is as good as zero, with more than a few points."""
    found = []
    for drawn in ax.collections:
        for path in drawn.get_paths():
            x, y = path.vertices.T
            if len(x) > 20 and np.abs(heights(x, y)).max() < 2e-3:
                found.append(path.vertices)
    return found


@pytest.mark.parametrize("sign", ["<=", "=="])
def test_the_limit_of_a_constraint_is_drawn_where_it_lies(sign):
    found = minimize("(x-2)**2 + (y-1)**2", {"x": 0.0, "y": 0.0}, constraints=f"x**2 + y**2 {sign} 1")
    plane, *_ = plots.descent(found)
    assert lines_along(plane, lambda x, y: x**2 + y**2 - 1)
    hatched = [drawn for drawn in plane.collections if any(getattr(drawn, "hatches", None) or ())]
    assert len(hatched) == (sign == "<=")


def test_what_is_hatched_breaks_a_constraint_and_what_is_not_meets_it():
    found = minimize("x**2 + y**2", {"x": 3.0, "y": 1.0}, constraints="x >= 1")
    plane = plots.landscape(found, (0, 1))
    (hatched,) = (drawn for drawn in plane.collections if any(getattr(drawn, "hatches", None) or ()))
    corners = np.concatenate([path.vertices for path in hatched.get_paths()])
    assert corners[:, 0].max() == pytest.approx(1.0, abs=1e-9)
    assert corners[:, 0].min() == pytest.approx(plane.get_xlim()[0], abs=1e-9)


def test_constraints_are_not_called_outside_the_bounds_for_a_picture():
    seen = []

    def room(x):
        seen.append(np.asarray(x, dtype=float))
        return 2.5 - x[0] ** 2 - x[1]

    found = minimize(
        lambda x: (x[0] - 2) ** 2 + (x[1] - 1) ** 2,
        [0.5, 0.5],
        bounds=[(0, 3), (0, 0.8)],
        constraints={"type": "ineq", "fun": room},
        derivatives="numeric",
    )
    seen.clear()
    plots.landscape(found)
    called = np.array(seen)
    assert len(called) > 100
    assert (called >= 0).all()
    assert (called <= [3, 0.8]).all()


def test_a_cost_that_ends_at_zero_is_drawn_down_to_the_foot_of_its_axis():
    walk = minimize("(1-x)**2 + 100*(y-x**2)**2", {"x": -1.2, "y": 1.0})
    assert walk.fun == 0.0
    _, *costs = plots.descent(walk)
    for ax in costs:
        star = next(line for line in ax.lines if line.get_marker() == "*")
        assert star.get_ydata()[0] == ax.get_ylim()[0] > 0
        assert "0" in [text.get_text() for text in ax.texts]
    assert star.get_xdata()[0] == walk.history.evaluations[list(walk.history.value).index(0.0)]
