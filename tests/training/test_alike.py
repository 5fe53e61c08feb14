"""Units that began with equal weights and stay equal are named; random ones, and outputs that began at zero, not."""

import numpy as np
import pytest

import steepest

from .test_ignored import X, Y, squares, start, walked

pytestmark = pytest.mark.usefixtures("compiled_once")

LABELS = np.argmax(X[:, :3], axis=1)


def likelihood(params, batch):
    x, label = batch
    scores = x @ params["W"]
    return np.mean(np.log(np.sum(np.exp(scores), axis=1)) - scores[np.arange(len(label)), label])


def test_units_that_began_equal_are_named_with_what_to_do():
    result = walked(squares, start(W=np.full((5, 16), 0.1), V=np.full((16, 1), 0.1)), (X, Y), epochs=10)
    assert np.ptp(result.params["W"], axis=1).max() < 1e-3  # all sixteen columns are one
    assert "All units of W are alike" in result.message
    assert "random numbers" in result.next_step


def test_units_that_differ_and_single_outputs_are_not():
    assert "alike" not in walked(squares, start(), (X, Y), epochs=5).message
    assert "alike" not in walked(likelihood, {"W": np.zeros((5, 3))}, (X, LABELS), epochs=5).message
    assert "alike" not in walked(squares, start(V=np.zeros((16, 1))), (X, Y), epochs=5).message
    # A rule that goes by the sign of a slope moves outputs alike that have one slope, two and three.
    for method, steps in (("adam", 3), ("lion", 100)):
        apart = walked(
            lambda p, b: np.mean((b[0] @ p["W"] - b[1]) ** 2),
            {"W": np.zeros((1, 3))},
            (X[:, :1], X[:, :1] * [1.0, 2.0, 3.0]),
            method=method,
            rate=1e-3,
            steps=steps,
        )
        assert np.ptp(apart.params["W"]) < 1e-3 * np.abs(apart.params["W"]).max()
        assert "alike" not in apart.message
    frozen = steepest.train(
        lambda p, b: squares(p, b) + 0 * np.sum(p["mask"]), start(mask=np.ones((3, 4))), (X, Y), epochs=2
    )
    assert "alike" not in frozen.message
