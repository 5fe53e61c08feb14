"""Steps a thousand times too short are told to be; those of runs that learn, arrived, or are unfinished are not."""

import numpy as np
import pytest

from .test_ignored import X, Y, rectified, squares, start, walked

TOLD = "The steps were far too short"
LABELS = np.argmax(X[:, :3], axis=1)


def likelihood(params, batch):
    x, label = batch
    score = x @ params["W"]
    return np.mean(np.log(np.sum(np.exp(score), axis=1)) - score[np.arange(len(label)), label])


@pytest.mark.parametrize(
    ("unit", "method", "rate"), [(1e-9, "adam", 1e-6), (1e9, "adam", 1e-6), (1e6, "sgd", 1e-12)]
)
def test_a_rate_that_is_far_too_small_is_told_with_a_cost_that_is_reached_farther_along(unit, method, rate):
    def cost(params, batch):
        return unit * squares(params, batch)

    result = walked(cost, start(), (X, Y), method=method, rate=rate, epochs=5)
    assert TOLD in result.message
    assert f"times the {rate:.2g} it was" in result.next_step
    times = float(result.message.split(f"{TOLD}: ")[1].split(" times")[0].replace(",", ""))
    told = float(result.message.split("the cost is ")[1].split(",")[0])
    begun = start()
    there = {name: begun[name] + times * (result.params[name] - begun[name]) for name in begun}
    at = [unit * squares(params, (X, Y)) for params in (begun, result.params, there)]
    came = [float(word.rstrip(".")) for word in result.message.split("came from ")[1].split(" to ")]
    assert came == pytest.approx(at[:2], rel=0.2)
    assert came[0] >= came[1]
    assert at[2] == pytest.approx(told, rel=0.2)  # of all rows, where it was measured on a quarter of them
    assert at[0] - at[2] > 10 * (at[0] - at[1])


@pytest.mark.parametrize(
    ("cost", "params", "data", "settings"),
    [
        (squares, start(), (X, Y), {"epochs": 10}),
        (squares, start(), (X, Y), {"steps": 3}),
        (rectified, start(), (X, Y), {"epochs": 1}),
        (squares, start(), (X, np.random.default_rng(3).normal(size=1024)), {"epochs": 3}),
        (likelihood, {"W": np.zeros((5, 3))}, (X, LABELS), {"method": "sgd", "rate": 0.1, "epochs": 1}),
        (
            lambda params, batch: np.mean((batch - params["m"]) ** 2),
            {"m": X[:, 0].mean()},
            X[:, 0],
            {"rate": 1e-6},
        ),
        (lambda params, batch: np.mean((batch @ params["w"]) ** 2), {"w": np.zeros(5)}, X, {"method": "sgd"}),
        (squares, start(), (X, Y), {"method": "sgd", "rate": 1e-3, "steps": 1}),
        # Most of the fall is behind it, though a hundred times as far nothing is left of the cost.
        (
            lambda params, batch: np.mean(np.exp(-params["m"] * batch)),
            {"m": 0.0},
            1 + X[:, 0] ** 2,
            {"method": "sgd"},
        ),
        # What is left is next to nothing of the cost.
        (
            lambda params, batch: 1e3 + squares(params, batch),
            start(),
            (X, Y),
            {"method": "sgd", "rate": 1e-6},
        ),
    ],
)
def test_runs_that_learn_have_arrived_or_are_unfinished_are_not_told_so(cost, params, data, settings):
    assert TOLD not in walked(cost, params, data, **settings).message
