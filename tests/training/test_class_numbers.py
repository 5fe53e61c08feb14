"""Class numbers set against one output for each class are remarked on; numbers that are no classes are not."""

import numpy as np
import pytest

from .test_meeting_rows import LABELS, SCORES, X, Y, likelihood, of


def softmax(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def distance_to_numbers(params, batch):
    x, label = batch
    return np.mean((softmax(x @ params["w"]) - np.reshape(label, (-1, 1))) ** 2)


def weighted_by_numbers(params, batch):
    x, label = batch
    return -np.mean(np.sum(np.reshape(label, (-1, 1)) * np.log(softmax(x @ params["w"])), axis=1))


def distance_to_ones(params, batch):
    x, label = batch
    return np.mean((softmax(x @ params["w"]) - (label[:, None] == np.arange(3))) ** 2)


@pytest.mark.parametrize("cost", [distance_to_numbers, weighted_by_numbers])
def test_class_numbers_set_against_an_output_for_each_class_are_remarked_on(cost):
    for labels in (LABELS, LABELS[:, None], LABELS.astype(float)):
        told = of(cost, SCORES, (X, labels))
        assert "data[1] holds the numbers 0 to 2 and is set as it is against 3 outputs" in told
        assert "labels[:, None] == np.arange(3)" in told
        assert "test_class_numbers.py" in told


def test_numbers_that_are_no_classes_of_these_outputs_are_not():
    for labels in (Y, LABELS + 1, LABELS % 2, 2 * LABELS):
        assert "is set as it is" not in of(distance_to_numbers, SCORES, (X, labels))
    assert "is set as it is" not in of(distance_to_ones, SCORES, (X, LABELS))
    assert "is set as it is" not in of(
        weighted_by_numbers, {"w": np.zeros((16, 2))}, (X, LABELS % 2)
    )  # a mask
    assert "is set as it is" not in of(likelihood, SCORES, (X, LABELS))


def quantiles(params, batch):
    x, y = batch
    r = y[:, None] - x @ params["w"]
    share = np.array([0.1, 0.5, 0.9])
    return np.mean(np.maximum(share * r, (share - 1) * r))


def two_answers(params, batch):
    x, y = batch
    return np.mean((x @ params["w"] - y[:, None]) ** 2)


def gates(params, batch):
    x, day = batch
    return np.mean((np.sum(np.tanh(x @ params["w"]) * day[:, None], axis=1) - x[:, 0]) ** 2)


@pytest.mark.parametrize(
    ("cost", "outputs"), [(quantiles, 3), (two_answers, 2), (gates, 3)], ids=["quantiles", "two", "gates"]
)
def test_counts_answers_and_factors_that_number_no_classes_are_not_remarked_on(cost, outputs):
    params = {"w": 0.1 * np.random.default_rng(1).normal(size=(16, outputs))}
    assert "is set as it is" not in of(cost, params, (X, LABELS % outputs))
    assert "is set as it is" in of(distance_to_numbers, params, (X, LABELS % outputs))
