"""A column of predictions beside flat targets is remarked on; what compares rows on purpose is not."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import steepest

from .models import remarks

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(64, 16)), RNG.normal(size=64)
COLUMN, FLAT = {"w": np.zeros((16, 1))}, {"w": np.zeros(16)}


def of(cost, params, data=(X, Y)):
    return remarks(cost, params, data)


def squares(params, batch):
    x, y = batch
    return np.mean((x @ params["w"] - y) ** 2)


def cross_entropy(params, batch):
    x, y = batch
    q = 1 / (1 + np.exp(-(x @ params["w"])))
    return -np.mean((y > 0) * np.log(q) + (y <= 0) * np.log(1 - q))


def hinge(params, batch):
    x, y = batch
    return np.mean(np.maximum(1 - np.sign(y) * (x @ params["w"]), 0))


@pytest.mark.parametrize("cost", [squares, cross_entropy, hinge])
def test_a_column_that_meets_a_flat_array_is_remarked_on_with_its_line(cost):
    told = of(cost, COLUMN)
    assert "shapes (16, 1) and (16,) make (16, 16)" in told
    assert "test_meeting_rows.py" in told


def test_a_run_hands_back_what_was_remarked_on_before_it():
    result = steepest.train(squares, COLUMN, (X, Y), batch_size=16, steps=2, method="sgd", rate=1e-3)
    assert " ".join(result.remarks) == of(squares, COLUMN) != ""


def in_jax(params, batch):
    x, y = batch
    return jnp.mean(jnp.square(jax.nn.relu(x @ params["w"]) - y))


def in_a_function_of_optax(params, batch):
    x, y = batch
    return optax.sigmoid_binary_cross_entropy(x @ params["w"], y > 0).mean()


@pytest.mark.parametrize("cost", [in_jax, in_a_function_of_optax])
def test_where_jax_lays_the_column_over_the_targets_by_itself_it_is_remarked_on_too(cost):
    assert "shapes (16, 1) and (16,) make (16, 16)" in of(cost, COLUMN)
    assert "make (16, 16)" not in of(cost, FLAT)
    assert "make (16, 16)" not in of(cost, COLUMN, (X, Y[:, None]))


@pytest.mark.parametrize("cost", [squares, cross_entropy, hinge])
def test_equal_shapes_are_not_though_there_are_as_many_columns_as_rows(cost):
    assert "make (16, 16)" not in of(cost, FLAT)
    assert "make (16, 16)" not in of(cost, COLUMN, (X, Y[:, None]))


SCORES, LABELS = {"w": np.zeros((16, 3))}, RNG.integers(0, 3, 64)


def likelihood(params, batch):
    x, label = batch
    scores = x @ params["w"]
    picked = scores[np.arange(len(x)), label]
    return np.mean(np.log(np.sum(np.exp(scores), axis=1))) - np.mean(picked)


def test_a_column_of_labels_is_remarked_on():
    told = of(likelihood, SCORES, (X, LABELS[:, None]))
    assert "shapes (16, 1) and (16,) make (16, 16)" in told
    assert "labels[:, 0]" in told
    assert "make (16, 16)" not in of(likelihood, SCORES, (X, LABELS))


def every_label(params, batch):
    x, label = batch
    return -np.mean((x @ params["w"])[np.arange(len(x))[:, None], label])


def neighbours(params, batch):
    x, near = batch
    h = x @ params["w"]
    return np.mean((h[near, 0] - h[np.arange(len(x)), near[:, :1].T]) ** 2)


def test_labels_of_other_rows_picked_on_purpose_are_not():
    assert "make (16, 16)" not in of(every_label, SCORES, (X, LABELS))
    assert "make (16, 16)" not in of(every_label, SCORES, (X, RNG.integers(0, 3, (64, 16))))
    assert "make (16, 16)" not in of(neighbours, SCORES, (X, RNG.integers(0, 3, (64, 16))))


def partial_likelihood(params, batch):
    x, time = batch
    score = x @ params["w"]
    at_risk = np.where(time[None, :] >= time[:, None], np.exp(score)[None, :], 0.0)
    return np.mean(np.log(np.sum(at_risk, axis=1)) - score)


def ranked(params, batch):
    x, y = batch
    score = x @ params["w"]
    return np.mean(np.logaddexp(0.0, -(score[:, None] - score[None, :]) * np.sign(y[:, None] - y[None, :])))


def normalised(params, batch):
    x, y = batch
    h = x * params["g"] + params["b"]
    h = (h - h.mean(axis=1, keepdims=True)) / h.std(axis=1, keepdims=True)
    return np.mean((h @ params["w"] - y) ** 2)


@pytest.mark.parametrize(
    ("cost", "params"),
    [
        (partial_likelihood, FLAT),
        (ranked, FLAT),
        (normalised, FLAT | {"g": np.ones(16), "b": np.zeros(16)}),
    ],
)
def test_pairs_on_purpose_and_square_batches_are_not(cost, params):
    assert "make (16, 16)" not in of(cost, params)
