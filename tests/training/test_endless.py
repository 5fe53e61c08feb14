"""A cost that falls without end is told to; one that is negative and has a lowest value is not."""

import numpy as np
import pytest

from .test_ignored import X, Y, squares, start, walked

pytestmark = pytest.mark.usefixtures("compiled_once")

LABELS = np.argmax(X[:, :3], axis=1)
TOLD = "falls without end"


def wrong_sign(params, batch):
    return -squares(params, batch)


def without_a_logarithm(params, batch):
    x, label = batch
    return -np.mean((x @ params["W"])[np.arange(len(label)), label])


def labels_of_minus_one(params, batch):
    score = batch[0] @ params["w"]
    return np.mean(np.logaddexp(0, score) - batch[1] * score)


@pytest.mark.parametrize(
    ("cost", "params", "data"),
    [
        (wrong_sign, start(), (X, Y)),
        (without_a_logarithm, {"W": np.zeros((5, 3))}, (X, LABELS)),
        (labels_of_minus_one, {"w": np.zeros(5)}, (X, np.where(X[:, 0] > 0, 1.0, -1.0))),
    ],
)
def test_a_cost_without_a_lowest_value_is_told_with_how_it_falls(cost, params, data):
    result = walked(cost, params, data)
    assert TOLD in result.message
    assert "sign" in result.next_step


def narrow(params, batch):
    x, y = batch
    return np.mean(params["s"] + 0.5 * ((x @ params["w"] - y) / np.exp(params["s"])) ** 2)


def counts(params, batch):
    x, k = batch
    logarithm = 1.6 + x @ params["w"]
    return np.mean(np.exp(logarithm) - k * logarithm)


def far_off(params, batch):  # lowest at the mean of the rows
    return np.mean(0.5 * params["m"] ** 2 - params["m"] * batch)


def exactly_met(params, batch):
    return np.mean((batch[0] @ params["w"] - batch[1]) ** 2) - 5.0


@pytest.mark.parametrize(
    ("cost", "params", "data"),
    [
        (narrow, {"w": np.zeros(5), "s": 0.0}, (X, 0.01 * X[:, 0] + 1e-4 * X[:, 1])),
        (counts, {"w": np.zeros(5)}, (X, np.random.default_rng(2).poisson(5 * np.exp(0.3 * X[:, 0])))),
        (exactly_met, {"w": np.zeros(5)}, (X, X @ np.arange(5.0))),
    ],
)
def test_a_negative_cost_with_a_lowest_value_is_not(cost, params, data):
    result = walked(cost, params, data)
    assert result.cost < 0
    assert TOLD not in result.message


def test_a_lowest_value_far_beyond_the_way_so_far_is_one_all_the_same():
    rng = np.random.default_rng(3)
    short = {"rate": 1e-4, "epochs": None, "steps": 60}
    for mean in (1e3, 1e5):
        result = walked(far_off, {"m": 0.0}, mean + rng.normal(size=1024), **short)
        assert result.cost < 0
        assert TOLD not in result.message
    rare = rng.poisson(1e6 * np.exp(0.1 * X[:, 0])).astype(float)
    assert TOLD not in walked(counts, {"w": np.zeros(5)}, (X, rare), **short).message
