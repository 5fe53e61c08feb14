"""The loop against a loop written by hand in JAX and optax, and against closed forms."""

import itertools
from time import perf_counter
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import steepest
from steepest.training import loop
from steepest.training.batches import Part, Rows, read_data

from .models import classification, regression, remarks

pytestmark = pytest.mark.usefixtures("compiled_once")


def by_hand(transformation, params, x, label, batch_size, steps, seed=0):
    """Twenty lines anybody would write: the same batches, a jitted step, optax."""

    def cost(params, x, label):
        hidden = jnp.tanh(x @ params["hidden"]["W"] + params["hidden"]["b"])
        scores = hidden @ params["out"]["W"] + params["out"]["b"]
        scores = scores - jnp.max(scores, axis=1, keepdims=True)
        chosen = scores[jnp.arange(len(label)), label]
        return jnp.mean(jnp.log(jnp.sum(jnp.exp(scores), axis=1)) - chosen)

    @jax.jit
    def step(params, memory, x, label):
        slope = jax.grad(cost)(params, x, label)
        updates, memory = transformation.update(slope, memory, params)
        return optax.apply_updates(params, updates), memory

    params = jax.tree.map(jnp.asarray, params)
    memory = transformation.init(params)
    source = read_data((x, label), seed)
    taken = epoch = 0
    while taken < steps:
        for rows in source.batches(epoch, 0, batch_size, Part()):
            if taken == steps:
                break
            params, memory = step(params, memory, rows[0], rows[1].astype(np.int32))
            taken += 1
        epoch += 1
    return params


METHODS = {
    "sgd": optax.sgd(0.05),
    "momentum": optax.sgd(0.05, momentum=0.9),
    "nesterov": optax.sgd(0.05, momentum=0.9, nesterov=True),
    "adam": optax.adam(0.05),
    "adamw": optax.adamw(0.05, weight_decay=1e-4),
    "lion": optax.lion(0.05, weight_decay=1e-3),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_method_by_name_takes_the_steps_that_optax_takes_by_hand(method):
    cost, params, data = classification()
    ours = steepest.train(cost, params, data, batch_size=64, steps=20, method=method, rate=0.05)
    theirs = by_hand(METHODS[method], params, *data, 64, 20)
    for layer in params:
        for name in params[layer]:
            assert_allclose(ours.params[layer][name], theirs[layer][name], rtol=2e-5, atol=2e-6)


def test_any_optax_transformation_is_taken_as_it_is_with_masks_by_the_users_names():
    cost, params, data = classification()
    masked = optax.masked(optax.set_to_zero(), {"hidden": True, "out": False})
    rule = optax.chain(optax.clip_by_global_norm(0.5), optax.rmsprop(0.01), masked)
    ours = steepest.train(cost, params, data, batch_size=64, steps=10, method=rule)
    theirs = by_hand(rule, params, *data, 64, 10)
    assert_array_equal(ours.params["hidden"]["W"], params["hidden"]["W"])
    assert_allclose(ours.params["out"]["W"], theirs["out"]["W"], rtol=2e-5)


def test_a_falling_rate_reaches_the_least_squares_solution():
    cost, params, data = regression(rows=256)
    result = steepest.train(
        cost, params, data, batch_size=32, epochs=60, method="sgd", rate=0.1, schedule="cosine"
    )
    design = np.column_stack([data["x"], np.ones(256)])
    exact, *_ = np.linalg.lstsq(design, data["y"])
    assert_allclose([*result.params["w"], result.params["b"]], exact, atol=2e-3)


def test_accumulated_parts_give_the_step_of_the_whole_batch():
    cost, params, data = classification()
    whole, parts = (
        steepest.train(cost, params, data, batch_size=64, steps=10, method="momentum", accumulate=count)
        for count in (1, 4)
    )
    assert_allclose(parts.params["out"]["W"], whole.params["out"]["W"], rtol=1e-4, atol=1e-6)


def test_double_precision_is_kept_to_the_end_and_the_users_setting_left_alone():
    cost, params, data = regression()
    result = steepest.train(cost, params, data, steps=5, method="sgd", precision="float64")
    assert result.params["w"].dtype == np.float64
    assert not jax.config.jax_enable_x64
    assert steepest.train(cost, params, data, steps=5, method="sgd").params["w"].dtype == np.float32


def test_the_arrays_handed_in_are_neither_changed_nor_given_back():
    cost, params, data = classification()
    before = params["hidden"]["W"].copy()
    result = steepest.train(cost, params, data, steps=3, method="adam")
    assert_array_equal(params["hidden"]["W"], before)
    assert not np.shares_memory(result.params["hidden"]["W"], params["hidden"]["W"])


def test_clipping_keeps_the_step_of_plain_descent_within_its_bound():
    cost, params, data = regression()
    result = steepest.train(cost, params, data, steps=1, method="sgd", rate=0.1, clip=1e-3)
    moved = np.sqrt(np.sum(result.params["w"] ** 2) + result.params["b"] ** 2)
    assert_allclose(moved, 0.1 * 1e-3, rtol=1e-4)


def test_a_warm_up_rises_in_equal_steps_and_a_cosine_ends_near_zero():
    from steepest.training.methods import method_of, part_of_rate

    method = method_of("sgd", 0.1, "cosine", 10, None, None)
    parts = [float(part_of_rate(method, step, 110)) for step in range(110)]
    assert_allclose(parts[:10], np.arange(1, 11) / 10, rtol=1e-6)
    assert_allclose(parts[10:], 0.5 * (1 + np.cos(np.pi * np.arange(100) / 100)), atol=1e-6)


def test_a_jax_function_and_a_numpy_function_give_the_same_run():
    _, params, data = regression()

    def in_jax(params, batch):
        return jnp.mean((batch["x"] @ params["w"] + params["b"] - batch["y"]) ** 2)

    ours, theirs = (
        steepest.train(cost, params, data, steps=20, method="adam") for cost in (regression()[0], in_jax)
    )
    assert_allclose(ours.params["w"], theirs.params["w"], rtol=1e-6)


def test_the_same_call_gives_the_same_bits_and_another_seed_others():
    cost, params, data = classification()
    first, again, other = (
        steepest.train(cost, params, data, steps=30, method="adam", seed=seed) for seed in (0, 0, 1)
    )
    assert_array_equal(first.params["out"]["W"], again.params["out"]["W"])
    assert not np.array_equal(first.params["out"]["W"], other.params["out"]["W"])


def test_a_callback_stops_the_run():
    cost, params, data = regression()
    seen = []

    def callback(row):
        seen.append(row.step)
        return row.step >= 40

    result = steepest.train(cost, params, data, epochs=500, method="sgd", callback=callback)
    assert result.verdict == "stopped"
    assert 40 <= result.steps < 2000
    assert seen == sorted(seen)


@pytest.mark.parametrize(("method", "taken"), [("prodigy", "prodigy"), ("auto", "l-bfgs")])
@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_no_rate_is_needed_whatever_the_scale_of_the_answer(scale, method, taken):
    cost, params, data = regression(rows=256)
    data["y"] = scale * data["y"]
    result = steepest.train(cost, params, data, batch_size=32, epochs=60, method=method)
    design = np.column_stack([data["x"], np.ones(256)])
    exact, *_ = np.linalg.lstsq(design, data["y"])
    assert result.plan.name == taken
    assert result.plan.because
    assert_allclose([*result.params["w"], result.params["b"]], exact, atol=0.01 * scale)


def test_a_run_ends_when_its_seconds_are_over(monkeypatch):
    # A clock of its own, a millisecond on at every look: a busy machine's may jump by seconds while XLA compiles.
    cost, params, data = regression()
    ticks = itertools.count(perf_counter(), 1e-3)
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    result = steepest.train(cost, params, data, seconds=0.3, method="sgd")
    assert result.ended == "out of time"
    assert result.steps > 10
    assert 0.3 <= result.seconds < 0.35


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"batch_size": 1000}, "more than the 512 rows"),
        ({"batch_size": 10, "accumulate": 3}, "does not divide"),
        ({"method": "adamm"}, "did you mean 'adam'"),
        ({"rate": -1, "method": "sgd"}, "rate=-1"),
        ({"rate": 0.1}, "finds its own"),
        ({"method": optax.sgd(0.1), "rate": 0.1}, "holds its own"),
        ({"epochs": 0}, "epochs=0"),
        ({"precision": "float16"}, "choose float32"),
        ({"schedule": "cosin"}, "schedule='cosin'"),
        ({"resume": True}, "needs checkpoint="),
        ({"patience": 2}, "needs validation="),
        ({"batch_size": 2.5}, "batch_size=2.5; give a whole number from 1"),
        ({"steps": True}, "steps=True; give a whole number"),
        ({"epochs": "3"}, "epochs='3'; give a positive number"),
        ({"rate": "big", "method": "sgd"}, "rate='big'; give a positive number"),
        ({"weight_decay": -1.0, "method": "sgd"}, "weight_decay=-1.0; give a number from 0"),
        ({"clip": 0, "method": "sgd"}, "clip=0; give a positive number"),
        ({"seed": -1}, "seed=-1; give a whole number from 0"),
        ({"ceiling": "high", "method": "sgd"}, "ceiling='high'; give a finite number"),
        ({"callback": 3}, "callback=3, which cannot be called"),
        ({"method": None}, "method=None; give a name .auto, prodigy"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_the_cost_is_run(settings, said):
    cost, params, data = regression()
    calls = []

    def counted(params, batch):
        calls.append(1)
        return cost(params, batch)

    with pytest.raises(steepest.InputError, match=said):
        steepest.train(counted, params, data, **settings)
    assert not calls


@pytest.mark.parametrize("method", ["auto", "sgd", "l-bfgs"])
def test_parameters_without_a_number_are_refused(method):
    with pytest.raises(steepest.InputError, match="params holds no number"):
        steepest.train(lambda p, x: np.sum(p) + np.mean(x), np.zeros((0, 3)), np.ones((9, 2)), method=method)


def test_numbers_of_numpy_and_a_method_in_capitals_are_what_they_say():
    cost, params, data = regression()
    settings = {"batch_size": np.int64(64), "steps": np.int32(5), "rate": np.float32(0.1)}
    result = steepest.train(cost, params, data, method="SGD", **settings)
    assert (result.batch_size, result.steps, result.plan.name) == (64, 5, "sgd")


@pytest.mark.parametrize("cost", [lambda p, batch: np.mean(batch["x"]), lambda p, batch: 1.0])
def test_a_cost_that_no_parameter_changes_is_refused(cost):
    _, params, data = regression()
    with pytest.raises(steepest.InputError, match="depends on no parameter"):
        steepest.train(cost, params, data)


def test_a_cost_that_is_a_sum_over_rows_is_remarked_on_and_a_mean_is_not():
    _, params, data = regression()
    told = []
    for of_rows in (np.sum, np.mean):

        def squares(p, batch, of_rows=of_rows):
            return of_rows((batch["x"] @ p["w"] + p["b"] - batch["y"]) ** 2)

        told.append(remarks(squares, params, data))
    assert "a sum over the rows" in told[0]
    assert not told[1]


def test_what_a_cost_cannot_do_is_answered_with_what_training_has():
    def noisy(params, batch):
        return np.mean((batch * params + np.random.normal(size=batch.shape)) ** 2)

    def decided(params, batch):
        return np.mean((batch - params) ** 2) if params > 0 else 0.0

    for cost, remedy in ((noisy, "data= be a function of a random generator"), (decided, "np.where")):
        with pytest.raises(steepest.TracingError, match=remedy) as caught:
            steepest.train(cost, 1.0, np.ones(8))
        assert "derivatives=" not in str(caught.value)
        assert "args=" not in str(caught.value)


@pytest.mark.parametrize(
    ("factor", "said"),
    [
        (lambda w, x: float(x[0]), "float() is given the data 'batch[0]', which"),
        (lambda w, x: float(w), "float() is given the parameter 'params', which"),
        (
            lambda w, x: float(w * x[0]),
            "float() is given the parameter 'params' and the data 'batch[0]', which",
        ),
        (lambda w, x: 1.0 if x[0] > 0 else 2.0, "expression depends on the data 'batch[0]', so"),
    ],
)
def test_what_cannot_be_followed_tells_data_from_parameters(factor, said):
    with pytest.raises(steepest.TracingError) as caught:
        steepest.train(lambda w, x: factor(w, x) * np.mean((w * x) ** 2), 1.0, np.ones(8))
    assert said in str(caught.value)


@pytest.mark.parametrize("also", [{"accuracy": 0.5}, np.ones(3)])
def test_a_cost_that_returns_more_than_its_value_is_told_so(also):
    def cost(params, batch):
        return np.mean((batch - params) ** 2), also

    with pytest.raises(steepest.InputError, match=r"a tuple of 2 parts.*its value alone"):
        steepest.train(cost, 1.0, np.ones(8))


def test_without_any_slope_no_rate_is_needed_and_nothing_moves():
    """Units that are never active: optax's Prodigy divides zero by zero there."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(256, 2)), rng.normal(size=256)
    start = {"W": rng.normal(size=(2, 4)), "b": np.full(4, -100.0), "v": rng.normal(size=4)}

    def cost(params, batch):
        return np.mean((np.maximum(0, batch[0] @ params["W"] + params["b"]) @ params["v"] - batch[1]) ** 2)

    result = steepest.train(cost, start, (x, y), steps=20)
    assert result.plan.name == "prodigy"
    for name in start:
        assert_array_equal(result.params[name], start[name].astype(np.float32))
    assert result.verdict == "standing still"
    assert "No parameter has any slope" in result.message
    assert not result.events


def test_a_rule_of_optax_that_searches_along_its_step_gets_the_cost():
    cost, params, data = regression(rows=256)
    result = steepest.train(cost, params, data, batch_size=256, steps=15, method=optax.lbfgs())
    design = np.column_stack([data["x"], np.ones(256)])
    exact, *_ = np.linalg.lstsq(design, data["y"])
    assert_allclose([*result.params["w"], result.params["b"]], exact, atol=1e-4)


def test_the_plan_says_what_was_chosen_why_and_what_was_not():
    cost, params, data = classification()
    told = str(steepest.train(cost, params, data, epochs=1).plan)
    assert told.startswith("Prodigy, falling to zero (linear), because it estimates")
    assert "not Adam: needs a rate" in told
    assert "not all data at every step" in told


def test_a_walk_too_short_to_tell_is_not_said_to_have_reached_the_bottom():
    """Gradient descent far from the bottom falls by less than the noise of its batches shows in so few steps."""
    cost, params, data = classification()
    result = steepest.train(cost, params, data, batch_size=64, steps=40, method="sgd", rate=1e-3)
    assert result.verdict == "still falling"
    assert "too few to tell" in result.message
    once = steepest.train(cost, params, data, batch_size=64, steps=1, method="sgd", rate=1e-3)
    assert "1 step is too few" in once.message


def test_what_an_early_stop_gives_back_is_what_it_tells():
    rng = np.random.default_rng(1)
    _, params, _ = classification()
    rows, aside = ((rng.normal(size=(64, 2)), rng.integers(0, 3, 64)) for _ in range(2))
    cost = classification()[0]
    given = {"method": "adam", "rate": 0.05, "epochs": 100, "validation": aside, "patience": 3}
    result = steepest.train(cost, params, rows, **given)
    assert (result.ended, result.verdict) == ("stopped early", "stopped")
    lowest = min(value for _, value in result.history.validations)
    assert result.validation == lowest < result.history.validations[-1][1]
    assert_allclose(cost(result.params, aside), lowest, rtol=1e-5)
    assert f"{lowest:.4g}" in result.message


def test_validation_of_another_form_is_refused_before_a_step():
    cost, params, data = regression()
    for aside in ({"x": data["x"]}, {"x": data["x"][:, :2], "y": data["y"]}):
        with pytest.raises(steepest.InputError, match="give them the same form"):
            steepest.train(cost, params, data, validation=aside)
    more = data | {"weight": np.ones(512)}
    result = steepest.train(cost, params, data, validation=more, epochs=1, method="sgd")
    assert_allclose(result.validation, cost(result.params, data), rtol=1e-5)


def test_a_cost_that_is_no_single_number_is_refused_with_the_remedy():
    _, params, data = regression()
    with pytest.raises(steepest.InputError, match="mean over the batch"):
        steepest.train(lambda p, batch: batch["x"] @ p["w"], params, data)


def test_rows_of_every_epoch_are_each_row_once_in_another_order():
    source = Rows(np.arange(100), 0, "data")
    orders = [np.concatenate([b[0] for b in source.batches(epoch, 0, 10, Part())]) for epoch in (0, 1)]
    for order in orders:
        assert_array_equal(np.sort(order), np.arange(100))
    assert not np.array_equal(*orders)


def test_one_batch_an_epoch_tells_of_no_noise_and_the_validation_cost_is_printed():
    x = np.linspace(-1.0, 1.0, 32)

    def cost(params, batch):
        return np.mean((params["w"] * batch - batch) ** 2)

    result = steepest.train(
        cost, {"w": 0.0}, x, batch_size=32, steps=4, method="sgd", rate=0.1, schedule="linear", validation=x
    )
    assert "slope told from noise" not in [item.name for item in result.evidence]
    left = next(item for item in result.evidence if item.name == "slope left")
    w = float(result.params["w"])
    assert_allclose(left.measured, 2 * (1 - w) * np.mean(x**2), rtol=1e-5)
    assert_allclose(result.validation, (1 - w) ** 2 * np.mean(x**2), rtol=1e-5)
    assert f", validation {result.validation:.3g}" in str(result).partition("\n")[0]
    assert "4 steps of 32 rows, 4 epochs," in " ".join(str(result).split())


def test_one_of_a_thing_is_told_in_the_singular():
    x = np.ones(1)
    result = steepest.train(lambda p, b: np.mean((p - b) ** 2), 0.0, x, batch_size=1, epochs=1, method="sgd")
    assert "; 1 step of 1 row, 1 epoch," in " ".join(str(result).split())


def least_squares(noise, rows=3000):
    """A linear model without a constant, its data and a start far from the answer."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, 5))
    y = x @ np.arange(5.0) + noise * rng.normal(size=rows)
    return lambda w, batch: np.mean((batch[0] @ w - batch[1]) ** 2), np.zeros(5), (x, y)


@pytest.mark.parametrize(("method", "rate"), [("sgd", 0.05), ("adam", 0.3)])
def test_a_walk_whose_fall_was_over_soon_is_said_to_wander_at_its_floor(method, rate):
    # After a hundred steps it is down, for 3,600 it wanders: far too many for "too few to tell".
    cost, start, data = least_squares(noise=1.0)
    result = steepest.train(
        cost, start, data, method=method, rate=rate, epochs=20, batch_size=16, progress=False
    )
    assert result.verdict == "noise floor"
    assert "too few" not in result.message


def test_a_slow_walk_after_a_quick_fall_is_not_said_to_have_reached_the_bottom():
    # Two directions: one is down at once, the other takes 20,000 steps, of which 1,500 are taken.
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3000, 2)) * [3.0, 0.05]
    y = x @ [1.0, 20.0] + 0.1 * rng.normal(size=3000)
    result = steepest.train(
        lambda w, batch: np.mean((batch[0] @ w - batch[1]) ** 2),
        np.zeros(2),
        (x, y),
        method="sgd",
        rate=0.02,
        steps=1500,
        batch_size=16,
        progress=False,
    )
    assert result.verdict == "still falling"


@pytest.mark.parametrize(("noise", "met"), [(0.0, True), (1e-5, False), (1.0, False)])
def test_rows_met_to_rounding_are_said_to_be(noise, met):
    cost, start, data = least_squares(noise)
    result = steepest.train(
        cost, start, data, method="sgd", rate=0.1, epochs=40, batch_size=64, progress=False
    )
    assert ("as exactly as float32 tells" in result.message) == met
    # From afar the first cost is 10¹² times as high, which makes nothing of noise.
    far = steepest.train(
        cost, start + 1e6, data, method="sgd", rate=0.1, epochs=40, batch_size=64, progress=False
    )
    assert noise < 1.0 or "as exactly" not in far.message


def test_a_cost_without_a_lowest_value_is_told_instead_of_a_rate():
    _, _, (x, _) = least_squares(noise=1.0)
    given = {"epochs": 20, "batch_size": 64, "method": "sgd", "rate": 0.1, "progress": False}
    result = steepest.train(lambda w, rows: np.mean(rows @ w) - 10 * w[0] ** 2, np.ones(5), x, **given)
    assert result.verdict == "not finite"
    assert "no lowest value" in result.message
    assert "floor" in result.next_step
    # A cost told from that of the start begins at nothing, and is no lower than its floor when a bad row ends the run.
    targets = np.where(np.arange(4096) == 4000, np.nan, 1.0)
    small = steepest.train(
        lambda w, rows: np.mean(w[0] * (w[0] - 2 * rows)), np.zeros(1), list(targets.reshape(-1, 4)), **(
            given | {"batch_size": None, "rate": 1e-8, "schedule": lambda step: 1.015**step}
        ),
    )  # fmt: skip
    assert small.verdict == "not finite"
    assert np.nanmin(small.history.costs) < -1e6 * max(map(abs, small.history.costs[:5]))
    assert "no lowest value" not in small.message
    # Too long a step on a cost with a floor is another matter.
    steep = steepest.train(
        lambda w, rows: np.mean(np.exp(30 * (rows @ w) ** 2)), 0.3 * np.ones(5), x, **given
    )
    assert steep.verdict == "not finite"
    assert "no lowest value" not in steep.message
    assert "floor" not in steep.next_step


@pytest.mark.parametrize("weighted", [False, True])
def test_parts_of_a_batch_whose_mean_cost_is_another_are_told_of(weighted):
    _, start, (x, y) = least_squares(noise=1.0)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, size=len(y))

    def cost(w, batch):
        x, y, weight = batch
        losses = weight * (x @ w - y) ** 2
        return np.sum(losses) / np.sum(weight) if weighted else np.mean(losses)

    given = {"batch_size": 60, "steps": 1, "method": "sgd", "rate": 1.0, "precision": "float64"}
    whole, parts = (
        steepest.train(cost, start, (x, y, weight), accumulate=parts, **given) for parts in (1, 4)
    )
    differ = bool(np.abs(whole.params - parts.params).max() > 1e-9)
    assert differ == weighted
    assert ("takes the mean of the costs of 4 parts" in " ".join(parts.remarks)) == weighted
    assert not whole.remarks


def test_of_a_stream_that_taught_nothing_it_is_not_said_that_a_slope_was_left():
    """The rate falls to zero there, but nobody has measured a slope: there is none."""
    result = steepest.train(
        lambda params, batch: 3.0 + 0.0 * np.sum(params) * np.sum(batch),
        np.zeros(2), (np.ones((4, 1)) for _ in range(120)), steps=100, progress=False,
    )  # fmt: skip
    assert result.plan.schedule == "linear"
    assert result.ended == "finished"
    assert result.verdict == "standing still"
    assert "was not measured" in result.message


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (lambda params: 0.0, r"<lambda> is written as <lambda>\(params\)"),
        (lambda params, X, y: 0.0, r"\(params, X, y\); let it take the rows of one batch"),
    ],
)
def test_a_cost_that_does_not_take_a_batch_is_told_how_it_is_called(cost, said):
    with pytest.raises(steepest.InputError, match=said):
        steepest.train(cost, np.zeros(2), {"X": np.ones((4, 2)), "y": np.ones(4)})


def test_a_column_that_the_data_do_not_have_is_told_beside_those_they_have():
    with pytest.raises(KeyError) as caught:
        steepest.train(lambda p, b: np.mean((b["x"] - p) ** 2), 0.0, {"X": np.ones(4), "y": np.ones(4)})
    assert any("X of shape (4,), y of shape (4,)" in note for note in caught.value.__notes__)
