"""Walks side by side: every line is a history, told apart without colour."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from steepest import plots
from steepest.errors import InputError
from steepest.plots.convergence_picture import shared_scale
from steepest.presentation.marks import SERIES


def curves(ax):
    return [line for line in ax.lines if len(line.get_xdata()) > 1 and line.get_linestyle() != "None"]


def test_rows_are_cost_slope_and_step_and_columns_steps_and_evaluations(many):
    axes = plots.convergence(many)
    shift = f"{-many.history.value.min():.5g}"
    names = [f"cost + {shift} (lowest reached)", "projected slope", "step length"]
    assert [ax.get_ylabel().replace("\n", " ") for ax in axes[:, 0]] == names
    assert [ax.get_xlabel() for ax in axes[-1]] == ["step", "evaluations of the cost"]
    for column, across in zip(axes.T, (np.arange(60), many.history.evaluations), strict=True):
        cost, slope, step = (curves(ax)[0] for ax in column)
        assert_allclose(cost.get_xdata(), across)
        assert_allclose(slope.get_ydata(), many.history.gradient_norm)
        assert_allclose(step.get_ydata()[1:], many.history.step_length[1:])
        assert np.isnan(step.get_ydata()[0]), "no step leads to the start"
        above = many.history.value - many.history.value.min()
        assert_allclose(cost.get_ydata()[above > 0], above[above > 0])


def test_several_walks_share_one_lowest_cost_and_differ_by_colour_dash_and_marker(many, walk_down):
    ax = Figure().subplots()
    walk_down.history.value = walk_down.history.value - 100.0
    plots.convergence({"one": many, "other": walk_down}, ax=ax, against="step")
    one, other = curves(ax)
    lowest = min(many.history.value.min(), walk_down.history.value.min())
    assert_allclose(one.get_ydata(), many.history.value - lowest)
    assert [to_hex(line.get_color()).upper() for line in (one, other)] == [
        series.light for series in SERIES[:2]
    ]
    assert one._unscaled_dash_pattern != other._unscaled_dash_pattern
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    assert words == ["one: global minimum", "other: global minimum"]


def test_walks_of_very_different_lengths_are_drawn_over_powers(many, walk_down):
    walk_down.history.evaluations = walk_down.history.evaluations * 1000
    axes = plots.convergence(many, walk_down, labels=["short", "long"])
    assert axes[0, 1].get_xscale() == "log"
    assert plots.convergence(many)[0, 1].get_xscale() == "linear"


def test_costs_that_hardly_fall_are_drawn_as_they_are():
    assert shared_scale([np.array([3.0, 2.0, 1.5]), np.array([2.5])]) == (0.0, "cost", False)
    assert shared_scale([np.array([np.nan, np.inf])]) == (0.0, "cost", False)


def test_three_axes_are_one_column(many):
    axes = Figure().subplots(3, 1)
    plots.convergence(many, ax=axes)
    assert axes[2].get_xlabel() == "evaluations of the cost"
    assert curves(axes[1])


@pytest.mark.parametrize(
    ("settings", "words"), [({"against": "weeks"}, "'seconds'"), ({"labels": ["a", "b"]}, "2 labels")]
)
def test_what_cannot_be_drawn_is_refused(many, settings, words):
    with pytest.raises(InputError, match=words):
        plots.convergence(many, **settings)


def test_too_many_walks_and_none_are_refused(many):
    with pytest.raises(InputError, match="cannot be told apart"):
        plots.convergence(*[many] * 13)
    with pytest.raises(InputError, match="at least one"):
        plots.convergence()


def test_files_repeat(many, tmp_path):
    one, two = (plots.save(plots.convergence(many, many), tmp_path / f"{k}.svg") for k in (1, 2))
    assert one.read_bytes() == two.read_bytes()
