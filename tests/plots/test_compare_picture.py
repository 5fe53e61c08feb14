"""Results side by side: where each ended, and what it paid."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import plots
from steepest.errors import InputError


def lines_of(ax, points):
    return [line for line in ax.lines if len(line.get_xdata()) == points]


def test_two_parameters_show_every_walk_over_lines_of_equal_cost(valley):
    other = copy.copy(valley)
    where, paid, found = plots.compare({"first": valley, "second": other})
    walks = lines_of(where, len(valley.history.x))
    assert len(walks) >= 2
    assert_allclose(walks[0].get_xydata(), valley.history.x)
    assert where.collections, "lines of equal cost"
    assert paid.get_xlabel() == "evaluations of the cost"
    assert [text.get_text() for text in found.get_yticklabels()] == ["first", "second"]


def test_one_parameter_shows_walks_on_the_curve(walk_down):
    where, *_ = plots.compare(walk_down, walk_down)
    curve = lines_of(where, 241)[0]
    x, y = (np.asarray(values, dtype=float) for values in curve.get_data())
    assert_allclose(y, walk_down.cost(x))


def test_many_parameters_show_how_far_each_ended_from_the_lowest(many):
    worse = copy.copy(many)
    worse.x = many.x.copy()
    worse.x[7] *= 3.0
    worse.fun = many.fun + 1.0
    where, *_ = plots.compare({"best": many, "worse": worse})
    names = [text.get_text().split(" = ")[0] for text in where.get_yticklabels()]
    row = names.index("x[7]")
    best, other = (np.asarray(line.get_xdata(), dtype=float) for line in lines_of(where, 12))
    assert_allclose(best, 0.0)
    assert other[row] == pytest.approx(2.0 * np.sign(many.x[7]))
    assert len(names) == 12


def test_the_last_panel_tells_verdict_cost_and_price(many):
    worse = copy.copy(many)
    worse.fun = many.fun + 0.5
    *_, found = plots.compare({"best": many, "worse": worse})
    texts = [text.get_text() for text in found.texts]
    assert texts[0].endswith("= lowest")
    assert texts[1].endswith("= lowest + 0.5")
    assert all(text.startswith(f"{many.history.evaluations[-1]}: global minimum") for text in texts)


def test_results_of_different_problems_are_refused(many, valley):
    with pytest.raises(InputError, match="2, 50 parameters"):
        plots.compare(many, valley)
