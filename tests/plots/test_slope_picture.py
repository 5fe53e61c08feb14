"""The slope picture: what it shows, and that nothing in it hides anything else."""

from __future__ import annotations

from itertools import combinations, pairwise

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from steepest import plots
from steepest.errors import InputError
from steepest.presentation.marks import MARKS
from steepest.results import Slope, SlopePoint

WIDTHS = (3.5, 7.0)


def axes_of(width: float):
    return Figure(figsize=(width, 0.7 * width), layout="constrained").subplots()


def labels_of(ax):
    ax.figure.draw_without_rendering()
    return [text for text in ax.texts if text.get_text()]


def along(ax, x, y):
    """Closely spaced points of a line, in display coordinates."""
    corners = ax.transData.transform(np.column_stack([x, y]))
    share = np.linspace(0, 1, 50)[:, None]
    return np.concatenate([a + share * (b - a) for a, b in pairwise(corners)])


def line_with(ax, color):
    return next(
        line for line in ax.lines if len(line.get_xdata()) == 2 and to_hex(line.get_color()).upper() == color
    )


def test_every_place_has_a_tangent_with_the_slope_of_the_record(lesson):
    ax = plots.slope(lesson)
    for word, slope in (("falling", -4), ("flat", 0), ("rising", 4)):
        (x0, x1), (y0, y1) = line_with(ax, MARKS[word].light).get_data()
        assert (y1 - y0) / (x1 - x0) == pytest.approx(slope, abs=1e-12)


def test_direction_is_told_by_colour_and_dash_and_word_and_arrow(lesson):
    ax = plots.slope(lesson)
    dashes = {
        word: line_with(ax, MARKS[word].light).get_linestyle() for word in ("falling", "flat", "rising")
    }
    assert dashes["rising"] == "-"
    assert dashes["falling"] != "-"
    patterns = {word: line_with(ax, MARKS[word].light)._unscaled_dash_pattern for word in dashes}
    assert patterns["falling"] != patterns["flat"]
    texts = " ".join(label.get_text() for label in labels_of(ax))
    assert all(f"{word} {MARKS[word].arrow}" in texts for word in dashes)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("picture", ["lesson", "wiggle", "kink"])
def test_labels_touch_neither_curve_nor_tangent_nor_each_other_nor_leave_the_axes(picture, width, request):
    ax = plots.slope(request.getfixturevalue(picture), ax=axes_of(width))
    boxes = [label.get_window_extent() for label in labels_of(ax)]
    for line in ax.lines:
        x, y = (np.asarray(values, dtype=float) for values in line.get_data())
        if len(x) > 1:
            points = along(ax, x, y)
            for box in boxes:
                inside = (points > (box.x0, box.y0)).all(1) & (points < (box.x1, box.y1)).all(1)
                assert not inside.any()
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    frame = ax.get_window_extent()
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 for box in boxes)


@pytest.mark.parametrize("width", WIDTHS)
def test_labels_stand_on_the_side_away_from_the_curve(lesson, width):
    ax = plots.slope(lesson, ax=axes_of(width))
    for label in labels_of(ax):
        box = label.get_window_extent()
        (x, y) = ax.transData.inverted().transform(((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2))
        assert y < lesson.curve(x), "the parabola bends upwards, so its labels stand below it"


def test_where_no_slope_exists_the_point_is_hollow_and_the_two_sides_are_told(kink):
    ax = plots.slope(kink)
    point = next(line for line in ax.lines if len(line.get_xdata()) == 1)
    assert to_hex(point.get_markerfacecolor()) == to_hex(ax.get_facecolor())
    assert labels_of(ax)[0].get_text() == "no slope here\n−1 from the left, 1 from the right"
    assert not any(
        to_hex(line.get_color()).upper() == MARKS[word].light for line in ax.lines for word in MARKS
    )


def test_a_kink_takes_colours_for_lines_only(kink):
    halves = [line for line in plots.slope(kink).lines if len(line.get_xdata()) == 2]
    assert len(halves) == 2


def test_at_a_jump_the_curve_is_torn_and_each_half_tangent_lies_on_its_own_piece():
    ax = plots.slope("where(x < 0.5, 2 - x, x**2/3)", at=[0.3, 0.5])
    curve, halves = ax.lines[0], [line for line in ax.lines if len(line.get_xdata()) == 2]
    assert np.isnan(curve.get_ydata()).any()
    left, right = sorted(
        (line for line in halves if 0.5 in line.get_xdata()), key=lambda line: line.get_xdata().min()
    )
    np.testing.assert_allclose(left.get_ydata(), 2 - left.get_xdata(), atol=1e-9)
    np.testing.assert_allclose(right.get_ydata(), 0.25 / 3 + (right.get_xdata() - 0.5) / 3, atol=1e-9)


def test_a_wall_beside_the_places_does_not_flatten_them():
    ax = plots.slope("exp(-x)", at=[0.0, 50.0, 100.0])
    low, high = ax.get_ylim()
    assert 1.0 < high < 100.0 and (1.0 - low) / (high - low) > 0.02


def test_axes_given_are_used_and_returned(lesson):
    ax = axes_of(5)
    assert plots.slope(lesson, ax=ax) is ax
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("x", "cost")
    assert ax.get_title(loc="left") == "x**2 - 2*x + 3"


def test_the_wrong_number_of_axes_is_refused(lesson):
    with pytest.raises(InputError, match="needs 1 axes"):
        plots.slope(lesson, ax=Figure().subplots(1, 2))


def test_on_a_dark_background_the_colours_are_the_dark_ones(lesson):
    ax = axes_of(5)
    ax.set_facecolor("#14181F")
    plots.slope(lesson, ax=ax)
    assert line_with(ax, MARKS["rising"].dark)


def test_settings_of_matplotlib_are_left_alone(lesson, tmp_path):
    before = dict(matplotlib.rcParams)
    plots.save(plots.slope(lesson), tmp_path / "a.svg")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_the_same_picture_is_the_same_file(lesson, tmp_path, ending):
    one, two = (plots.save(plots.slope(lesson), tmp_path / f"{k}.{ending}") for k in (1, 2))
    assert one.read_bytes() == two.read_bytes()


def test_an_svg_keeps_its_text_as_text_and_no_date(lesson, tmp_path):
    text = plots.save(plots.slope(lesson), tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "falling ↘" in text
    assert "dc:date" not in text


def test_an_unknown_ending_is_an_input_error(lesson, tmp_path):
    with pytest.raises(InputError, match=r"a\.xyz"):
        plots.save(plots.slope(lesson), tmp_path / "a.xyz")


def test_several_parameters_are_bars_whose_ends_are_the_slopes(plane):
    ax = plots.slope(plane)
    ends = [
        line.get_xdata()[1]
        for line in ax.lines
        if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]
    ]
    assert ends == [-12.5, 310.0, 0.0]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["limit = 100", "rate = 1", "middle = 5"]


@pytest.mark.parametrize("width", WIDTHS)
def test_words_beside_bars_stay_inside_the_axes(plane, width):
    ax = plots.slope(plane, ax=axes_of(width))
    frame = ax.get_window_extent()
    for label in labels_of(ax):
        box = label.get_window_extent()
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1


def test_of_a_thousand_parameters_the_twenty_steepest_are_drawn():
    slopes = np.linspace(-1, 1, 1000)
    words = np.where(slopes < 0, "falling", "rising")
    record = Slope((SlopePoint(np.zeros(1000), 1.0, slopes, words),), tuple(f"x[{i}]" for i in range(1000)), None, None,
                   "exact", "sum")  # fmt: skip
    ax = plots.slope(record)
    assert len(ax.get_yticks()) == 20
    assert "20 steepest of 1,000" in ax.get_xlabel()


def test_a_pole_does_not_flatten_the_curve():
    point = SlopePoint(1.0, 1.0, -1.0, "falling")
    record = Slope((point,), ("x",), None, lambda x: 1 / x, "exact", "1/x")
    with np.errstate(divide="ignore"):
        low, high = plots.slope(record).get_ylim()
    assert high - low < 1000


def test_places_are_asked_for_when_a_function_is_given():
    with pytest.raises(InputError, match="at="):
        plots.slope("x**2")


def test_matplotlib_is_imported_by_the_first_picture_and_not_before():
    import subprocess
    import sys

    code = "import sys, steepest; steepest.plots; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_place_without_a_value_is_marked_at_the_foot():
    ax = plots.slope("log(x)", at=[-1.0, 2.0])
    words = [text.get_text() for text in ax.texts]
    assert any("no value" in word for word in words)
    hollow = [
        line for line in ax.lines if list(line.get_xdata()) == [-1.0] and np.isfinite(line.get_ydata()).all()
    ]
    assert len(hollow) == 1
    assert hollow[0].get_ydata()[0] == ax.get_ylim()[0]


def test_a_curve_is_not_joined_across_a_pole():
    ax = plots.slope("tan(x)", at=1.5)
    x, y = max(ax.lines, key=lambda line: len(line.get_xdata())).get_data()
    beside = np.flatnonzero((x[:-1] <= np.pi / 2) & (x[1:] >= np.pi / 2))
    assert np.isnan(y[beside]).any() or np.isnan(y[beside + 1]).any()


@pytest.mark.parametrize("scale", [1e-24, 1e-12, 1.0, 1e12])
def test_the_height_of_the_picture_follows_that_of_the_curve(scale):
    ax = plots.slope(lambda x: scale * (x - 1) ** 2, at=[0.0, 1.0, 2.0])
    low, high = ax.get_ylim()
    assert 2 * scale < high - low < 4 * scale


def test_large_slopes_are_told_briefly():
    ax = plots.slope(lambda x: 2e13 * x, at=1.0)
    assert "slope 2e+13" in ax.texts[0].get_text()
