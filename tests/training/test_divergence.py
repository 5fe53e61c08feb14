"""A run that blows up says why: checked against closed forms of where gradient descent turns unstable."""

import linecache
from itertools import islice

import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest
from steepest.parameters import Layout
from steepest.tracing.batched import numbers_in, record
from steepest.tracing.source import user_line
from steepest.training.batches import Part, read_data
from steepest.training.divergence import first_bad_operation, operands_of_parameters
from steepest.training.loop import Walker
from steepest.training.verdict import TrainVerdict

from .models import regression

pytestmark = pytest.mark.usefixtures("compiled_once")


def walked(**settings):
    """The explanation of a run, and its result."""
    cost, params, data = regression()
    result = steepest.train(cost, params, data, batch_size=512, **settings)
    return result


def largest_curvature(data):
    design = np.column_stack([data["x"], np.ones(len(data["y"]))])
    return 2 * np.linalg.eigvalsh(design.T @ design / len(design)).max()


@pytest.mark.parametrize(("method", "limit"), [("sgd", 2.0), ("momentum", 3.8), ("nesterov", 3.8 / 2.8)])
def test_a_step_just_too_long_is_named_with_the_curvature_and_the_limit(method, limit):
    _, _, data = regression()
    curvature = largest_curvature(data)
    result = walked(method=method, rate=1.3 * limit / curvature, steps=400)
    assert len(result.events) == 1
    assert f"largest curvature {curvature:.3g}" in result.events[0]
    assert f"above the {limit:.3g}" in result.events[0]
    # A quarter of the rate is stable, so the run then arrives.
    assert result.success
    assert result.cost < 0.02
    # It is told beside the rate that was asked for, from which it comes by what the last row went at.
    last = result.history.rows[-1].rate
    assert_allclose(result.rate_left * result.plan.rate, last, rtol=1e-6)
    assert 0.0 < result.rate_left <= 0.25
    assert f"as asked, cut to {last:.3g} on the way" in " ".join(str(result).split())


def test_just_inside_the_limit_nothing_happens():
    _, _, data = regression()
    result = walked(method="sgd", rate=0.9 * 2.0 / largest_curvature(data), steps=400)
    assert result.events == ()


def test_data_that_are_not_numbers_are_named_by_array_and_row():
    cost, params, data = regression()
    data["x"][137, 1] = np.nan
    result = steepest.train(cost, params, data, batch_size=64, epochs=3, method="sgd")
    assert result.verdict is TrainVerdict.NOT_FINITE
    assert "data are not finite: x, row 137 of the data" in result.message
    assert np.isfinite(result.params["w"]).all()
    assert not result.success


@pytest.mark.parametrize("method", ["sgd", "adam"])
def test_the_steps_before_data_that_are_not_numbers_are_given_back(method):
    cost, params, data = regression()
    order = read_data(data, seed=0).order(0)
    bad = {"x": data["x"].copy(), "y": data["y"]}
    bad["x"][order[23 * 4 + 1], 1] = np.nan  # in the batch of step 23
    settings = {"batch_size": 4, "method": method, "rate": 0.01, "schedule": "constant"}
    result = steepest.train(cost, params, bad, epochs=3, **settings)
    clean = steepest.train(cost, params, data, steps=23, **settings)
    assert result.verdict == "not finite" and result.steps == 23 == len(result.history.costs)
    assert "At step 23 the data are not finite: x, row" in result.message
    assert "The parameters are those of step 23, the last good ones." in result.message
    assert_allclose(result.params["w"], clean.params["w"], rtol=1e-6)


def test_a_row_that_the_run_never_saw_and_its_judge_did_is_named():
    cost, params, data = regression(rows=100)
    source = read_data(data, seed=0)
    left_out, later = (set(source.order(epoch)[96:].tolist()) for epoch in (0, 1))  # of 6 batches of 16 rows
    row = min(left_out - later)
    data["y"][row] = np.nan
    result = steepest.train(cost, params, data, batch_size=16, epochs=1, method="sgd")
    assert result.steps == 6
    assert np.isfinite(result.history.costs).all()
    assert result.verdict == "not finite"
    assert f"y, row {row} of the data" in result.message


def test_the_first_value_that_is_no_number_is_named_by_line_row_and_parameter():
    data = np.array([1.0, 2.0, 3.0, -1.0])

    def cost(params, batch):
        inside = batch + params["shift"]
        return np.mean(np.log(inside)) + 0.0 * params["other"]  # the line that fails

    result = steepest.train(cost, {"shift": 0.5, "other": 1.0}, data, batch_size=4, steps=5, method="sgd")
    assert result.verdict == "not finite"
    assert "np.log" in result.message
    assert "test_divergence.py" in result.message
    assert "row" in result.message
    assert "It depends on shift" in result.message
    assert "other" not in result.message.split("It depends on")[1].split(".")[0]


def test_a_start_that_gives_no_number_is_not_answered_with_smaller_steps():
    data = np.array([1.0, 2.0, 3.0, -1.0])
    result = steepest.train(
        lambda p, batch: np.mean(np.log(batch + p)), 0.5, data, batch_size=4, steps=9, method="sgd", rate=0.1
    )
    assert result.verdict == "not finite"
    assert "row 3 of the data" in result.message
    assert not result.events
    assert "no smaller step can help" in result.next_step


@pytest.mark.parametrize(
    ("cost", "row", "said"),
    [
        (lambda p, b: np.mean(p / b), [0.0, 2.0], "It divides by zero."),
        (lambda p, b: np.mean(np.log(p * b)), [0.0, 2.0], "It takes the logarithm of zero."),
        (lambda p, b: np.mean(np.log(p * b)), [-1.0, 2.0], "It takes the logarithm of what is negative."),
        (lambda p, b: np.mean(np.log1p(-p * b)), [1.0, 0.5], "It takes the logarithm of zero."),
        (lambda p, b: np.mean(np.sqrt(p * b)), [-4.0, 2.0], "It takes the square root of -4."),
        (lambda p, b: np.mean(np.exp(p * b)), [800.0, 2.0], "Its operands reach 800."),
    ],
)
def test_why_a_value_is_not_finite_is_told_by_what_made_it(cost, row, said):
    result = steepest.train(cost, 1.0, np.array(row), steps=3, method="sgd")
    assert result.verdict == "not finite"
    assert said in result.message


def test_an_index_beyond_its_array_is_named_as_such():
    rng = np.random.default_rng(0)
    x, label = rng.normal(size=(64, 2)), rng.integers(0, 3, 64)
    label[17] = 3

    def cost(params, batch):
        scores = batch[0] @ params
        return np.mean(scores[np.arange(len(batch[1])), batch[1]] ** 2)

    result = steepest.train(cost, np.ones((2, 3)), lambda rng: (x, label), steps=3, method="sgd")
    assert result.verdict == "not finite"
    assert "row 17 of the batch" in result.message
    assert "An index there reaches beyond the array" in result.message


def test_accumulated_parts_that_blow_up_are_explained_as_the_whole_batch_is():
    _, _, data = regression()
    curvature = largest_curvature(data)
    settings = {"method": "sgd", "rate": 1.3 * 2.0 / curvature, "steps": 400}
    whole, parts = walked(**settings), walked(**settings, accumulate=4)
    assert f"largest curvature {curvature:.3g}" in parts.events[0]
    assert parts.success
    assert len(whole.events) == len(parts.events) == 1


def test_a_rate_a_thousand_times_too_large_is_brought_down_by_what_was_measured():
    _, _, data = regression()
    result = walked(method="sgd", rate=1e3 * 2.0 / largest_curvature(data), steps=400)
    assert len(result.events) == 1  # a quarter at a time would take five, and four are tried
    assert result.success
    assert result.cost < 0.02


def test_a_stated_ceiling_counts():
    cost, params, data = regression()
    result = steepest.train(cost, params, data, batch_size=64, steps=60, method="sgd", rate=1e-6, ceiling=0.5)
    assert result.verdict == "diverged"
    assert_allclose(result.params["w"], 0.0, atol=1e-3)


def test_the_best_is_given_back_not_the_ruins():
    cost, params, data = regression()
    result = steepest.train(cost, params, data, batch_size=512, steps=300, method="sgd", rate=1e6)
    assert np.isfinite(result.params["w"]).all()


def test_the_loop_never_waits_for_the_device_between_looks(monkeypatch):
    """Costs are fetched at looks back only: one fetch for every hundred steps, not one a step."""
    cost, params, data = regression()
    fetches = []
    before = Walker._fetch

    def counted(self):
        fetches.append(self.cursor.step)
        before(self)

    monkeypatch.setattr(Walker, "_fetch", counted)
    steepest.train(cost, params, data, batch_size=64, steps=1000, method="sgd", progress=False)
    assert fetches == [*range(100, 1001, 100), 1000]


def test_a_slope_that_is_missing_at_the_start_is_not_answered_with_smaller_steps():
    x = np.random.default_rng(0).normal(size=(256, 3))
    result = steepest.train(
        lambda w, batch: np.mean((batch @ w - 1) ** 2) + np.sqrt(np.sum(w**2)),
        np.zeros(3),
        x,
        method="adam",
        rate=0.05,
    )
    assert result.verdict == "not finite"
    assert "slope of params" in result.message
    assert "no slope at zero" in result.next_step and "rate" not in result.next_step


def test_adam_is_not_judged_by_the_moments_it_has_not_formed_yet():
    """Before its first step its moments are zero: measured with those, curvature is 10⁸ too large, and the cut too."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4))
    y = x @ [1.0, -2.0, 0.5, 0.0] + 0.1

    def cost(params, batch):
        x, y = batch
        return np.mean(np.log(params["s"]) + (x @ params["w"] - y) ** 2 / params["s"])

    result = steepest.train(
        cost, {"w": np.zeros(4), "s": 1.0}, (x, y), method="adam", rate=0.3, epochs=30, batch_size=128
    )
    assert result.history.events and result.rate_left > 1e-4
    assert result.cost < 0.5 * result.history.costs[0]


def in_one_pass(data, size=64, spoiled=None, again=None):
    """Batches of the data from a generator, the rows over and over; `again`: arrays that every batch is put into."""
    rows = len(data["y"])
    for k in range(400):
        chosen = np.arange(k * size, (k + 1) * size) % rows
        batch = {name: array[chosen].copy() for name, array in data.items()}
        if k == spoiled:
            batch["x"][5, 1] = np.nan
        if again is not None:
            for name, array in batch.items():
                again[name][:] = array
            batch = again
        yield batch


@pytest.mark.parametrize("reused", [False, True])
def test_of_data_read_once_the_parameters_before_the_bad_batch_come_back(reused):
    cost, params, data = regression()
    given = {"method": "adam", "rate": 0.01, "steps": 400, "progress": False}
    again = {name: np.empty_like(array[:64]) for name, array in data.items()} if reused else None
    result = steepest.train(cost, params, in_one_pass(data, spoiled=190, again=again), **given)
    assert result.verdict is TrainVerdict.NOT_FINITE
    assert "At step 190 the data are not finite: x, row 5 of the batch" in result.message
    before = steepest.train(cost, params, list(in_one_pass(data))[:190], **{**given, "steps": 190})
    assert result.steps == len(result.history.costs) == 190
    assert_allclose(result.params["w"], before.params["w"], rtol=1e-6)
    assert_allclose(result.params["b"], before.params["b"], rtol=1e-6)


def test_a_step_too_long_on_data_read_once_is_cut_and_no_batch_is_lost():
    cost, params, data = regression()
    given = {"method": "sgd", "rate": 1.5 * 2.0 / largest_curvature(data), "progress": False}
    result = steepest.train(cost, params, in_one_pass(data), **given, steps=1000)
    assert len(result.events) == 1
    assert "Step × curvature" in result.events[0]
    assert result.ended == "no more data"
    assert result.steps == 400
    assert_allclose(result.params["w"], [1.0, -2.0, 0.5], atol=0.05)
    assert "though a slope is there" not in result.message  # none was measured


def test_of_data_read_once_no_more_is_held_than_since_the_last_look_back():
    source = read_data((np.full(4, float(k)) for k in range(40)), seed=0)
    stream = source.batches(0, 0, 4, Part())
    read = [next(stream)[0][0] for _ in range(10)]
    source.let_go(7)
    assert source.holds(7)
    assert not source.holds(6)
    again = source.batches(0, 7, 4, Part())
    assert [next(again)[0][0] for _ in range(5)] == [7.0, 8.0, 9.0, 10.0, 11.0]
    assert read == list(range(10))


def test_data_read_once_may_end_with_the_bad_batch():
    cost, params, data = regression()
    stream = islice(in_one_pass(data, spoiled=149), 150)
    result = steepest.train(cost, params, stream, method="sgd", rate=0.01, steps=400, progress=False)
    assert result.verdict is TrainVerdict.NOT_FINITE
    assert "At step 149 the data are not finite: x, row 5 of the batch" in result.message
    assert result.steps == 149


def test_an_operation_inside_a_loop_is_named_with_the_turn_that_failed():
    """Rolled up, the turns are one equation; the line and the operands are still those of the operation in it."""

    def cost(params, batch):
        h = np.zeros((len(batch), 2))
        for t in range(60):
            inside = 1.5 + 0.5 * np.tanh(h * params["a"]) + params["b"] * batch[:, t]
            h = np.log(inside)  # the line that fails
        return np.mean(h)

    batch = np.zeros((4, 60, 2))
    batch[2, 31] = -3.0
    params = {"a": np.array(0.5), "b": np.array(1.0)}
    found = record(cost, Layout.of(params, "params"), Layout.of(batch, "batch"), precision="float64")
    assert len(found.closed.jaxpr.eqns) < 60
    with numbers_in("float64"):
        equation, rows, values = first_bad_operation(found, found.constants, [0.5, 1.0], [batch], 4)
    assert equation.primitive.name == "log"
    assert rows == (2,)
    assert values[0].min() < 0
    assert "the line that fails" in linecache.getline(__file__, user_line(equation).line)
    assert operands_of_parameters(found, Layout.of(params, "params"), equation) == "a, b"
