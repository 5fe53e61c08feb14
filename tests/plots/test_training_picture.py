"""The picture of a training run shows the costs of its history, spikes included."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import steepest as st
from steepest import plots
from steepest.errors import InputError
from steepest.plots.training_picture import running_mean, thinned


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(640, 2))
    y = x @ [1.0, -2.0] + 0.1 * rng.normal(size=640)

    def cost(params, batch):
        rows, truth = batch
        return np.mean((rows @ params["w"] - truth) ** 2)

    return st.train(
        cost, {"w": np.zeros(2)}, (x, y), epochs=4, batch_size=32, method="adam", rate=0.05,
        validation=(x[:64], y[:64]),
    )  # fmt: skip


def lines_of(ax):
    return {line.get_label(): line for line in ax.lines}


def test_every_step_and_every_validation_is_drawn(trained):
    (ax,) = plots.descent(trained)
    lines = lines_of(ax)
    np.testing.assert_array_equal(lines["each step"].get_xdata(), np.arange(1, trained.steps + 1))
    np.testing.assert_array_equal(lines["each step"].get_ydata(), trained.history.costs)
    drawn = list(zip(*lines["validation"].get_data(), strict=True))
    assert drawn == trained.history.validations
    assert "running mean" in lines
    assert str(trained.verdict) in ax.get_title(loc="left")


def test_the_running_mean_of_a_straight_fall_lies_on_it():
    costs = 100.0 - np.arange(400.0)
    steps, means = running_mean(costs)
    np.testing.assert_allclose(means, 101.0 - steps)
    assert steps[0] == 10.5 and steps[-1] == 390.5  # of stretches of a twentieth
    falling = np.exp(-np.arange(2000.0) / 50)
    steps, means = running_mean(falling)
    true = np.exp(-(steps - 1) / 50)
    assert (means < 1.2 * true).all() and (means > true).all()


def test_one_line_stands_where_each_step_saw_all_data():
    x = np.linspace(-1, 1, 50)
    run = st.train(lambda p, b: np.mean((p["a"] * b - b) ** 2), {"a": 3.0}, x, method="l-bfgs")
    (ax,) = plots.descent(run)
    assert list(lines_of(ax)) == ["each step"]
    assert ax.get_legend() is None


def test_given_axes_are_drawn_on_and_only_one_is_needed(trained):
    from matplotlib.figure import Figure

    axes = Figure().subplots(1, 2)
    assert plots.descent(trained, ax=axes[0]) is axes[0]
    with pytest.raises(InputError, match="needs 1 axes and ax= holds 2"):
        plots.descent(trained, ax=axes)


def test_spikes_gaps_and_ends_outlive_the_thinning():
    costs = np.linspace(5.0, 1.0, 100_000)
    costs[31_415], costs[50_000:50_400] = 400.0, np.nan
    steps, kept = thinned(costs)
    assert len(steps) < 2_000
    assert kept.max() == 400.0
    assert kept[0] == 5.0
    assert kept[-1] == 1.0
    np.testing.assert_array_equal(kept, costs[steps - 1])
    assert (np.diff(steps) > 0).all()


def test_a_run_without_a_step_says_so():
    empty = SimpleNamespace(epochs=0, history=SimpleNamespace(costs=[], rows=[], validations=[]))
    with pytest.raises(InputError, match="no step"):
        plots.descent(empty)
