"""The length of the first step of a rule that finds its own step size."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest.train import train
from steepest.training.first_step import first_length

from .models import classification

pytestmark = pytest.mark.usefixtures("compiled_once")

ONES = np.ones(64, np.float32)


def after_one_step(cost, start, data=ONES, **settings):
    """Where the first step leads; Prodigy's moves every parameter by the same length."""
    start = np.asarray(start, np.float32)
    settings = {"precision": "float64", "schedule": "constant", "progress": False, **settings}
    return train(cost, start, data, method="prodigy", steps=1, batch_size=32, **settings).params - start


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_the_first_length_grows_with_the_parameters_and_not_with_the_cost(monkeypatch, size, scale):
    # ½|w|² at (4, -4, 4, -4): a step d against all signs lowers it by 16d - 2d², at least half of 16d up to d = 4.
    # From 2, where a straight line comes to zero, four times as far is too far.
    def cost(w, ones):
        return scale * 0.5 * np.sum((w / size) ** 2) * np.mean(ones)

    found = []

    def begun(walker, state):
        found.append(first_length(walker, state))
        return state

    monkeypatch.setattr("steepest.training.loop.begun", begun)
    after_one_step(cost, size * np.array([4.0, -4.0, 4.0, -4.0]))
    assert_allclose(found, 0.1 * 2.0 * size, rtol=1e-5)


def test_the_first_step_has_that_length_against_every_sign():
    moved = after_one_step(lambda w, ones: 0.5 * np.sum(w**2) * np.mean(ones), [4.0, -4.0, 4.0, -4.0])
    assert_allclose(moved, [-0.2, 0.2, -0.2, 0.2], rtol=1e-5)


def test_a_length_that_leaves_where_the_cost_has_a_value_is_too_long():
    # 3w - log w at 1: the straight line comes to zero 1.5 on, beyond the logarithm; a quarter of it is short enough.
    moved = after_one_step(lambda w, ones: np.mean(ones) * (3 * w[0] - np.log(w[0])), [1.0])
    assert_allclose(moved, [-0.1 * 1.5 / 4], rtol=1e-5)


@pytest.mark.parametrize(
    "cost",
    [
        lambda w, ones: np.mean(ones) + 0.0 * np.sum(w),  # no slope
        lambda w, ones: np.mean(ones) * np.sum(w - 4.0),  # a cost of zero tells no length
    ],
)
def test_where_no_length_can_be_measured_the_rule_keeps_its_own(cost):
    moved = after_one_step(cost, [4.0, 4.0])
    assert np.all(np.abs(moved) <= 1.01e-6)


def test_the_first_step_on_a_stream_that_can_be_read_once_is_that_on_the_same_batches_in_a_list():
    rng = np.random.default_rng(0)
    batches = [1 + 0.1 * rng.normal(size=32).astype(np.float32) for _ in range(6)]

    def cost(w, ones):
        return np.mean(ones) * np.sum(w**2) / 2

    moved = [after_one_step(cost, [4.0, -4.0], data) for data in (iter(batches), batches)]
    assert_allclose(moved[0], moved[1], rtol=1e-6)
    assert_allclose(moved[0], [-0.2, 0.2], rtol=0.1)


@pytest.mark.parametrize("pressed", [True, False])
def test_lengths_are_not_tried_for_long_where_the_run_is_stopped_or_its_seconds_go(monkeypatch, pressed):
    # Each evaluation takes half of the minute there is, or Ctrl-C is pressed in it.
    tried = []

    def begun(walker, state):
        clock, added = [0.0], walker.added
        walker._elapsed = lambda: clock[0]

        def counted(*arguments):
            tried.append(arguments)
            walker._asked = "interrupted" if pressed else ""
            clock[0] += 0.0 if pressed else 30.0
            return added(*arguments)

        walker.added = counted
        found = first_length(walker, state)
        walker._asked, walker.added = "", added
        del walker._elapsed
        assert found is None
        return state

    monkeypatch.setattr("steepest.training.loop.begun", begun)
    # A straight fall to zero is half a million long, and only 4^-10 of it short enough.
    after_one_step(lambda w, ones: np.mean(ones) * (1e6 + np.sum(w**2) / 2), [1.0, 1.0], seconds=60.0)
    assert len(tried) == 2


def test_a_handful_of_steps_moves_downhill_and_says_what_they_went_into():
    cost, params, data = classification()
    start = float(cost(params, data))
    results = [
        train(cost, params, data, steps=steps, batch_size=64, seed=seed, progress=False)
        for steps in (5, 20)
        for seed in (0, 1, 2)
    ]
    assert all(result.verdict == "still falling" for result in results)
    assert all("finding their own size" in result.message for result in results)
    assert all(float(cost(result.params, data)) < 0.99 * start for result in results[:3])
    assert all(float(cost(result.params, data)) < 0.9 * start for result in results[3:])


def test_a_longer_run_does_not_speak_of_finding_its_step():
    cost, params, data = classification()
    result = train(cost, params, data, steps=60, batch_size=64, progress=False)
    assert "finding their own size" not in result.message
