"""The loop against a loop written by hand in JAX and optax, and against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import steepest
from steepest.training.batches import Part, Rows, read_data

from .models import classification, regression


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


def test_a_run_ends_when_its_seconds_are_over():
    cost, params, data = regression()
    result = steepest.train(cost, params, data, seconds=0.3, method="sgd")
    assert result.ended == "out of time"
    assert result.seconds < 5


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
