"""Bytes that run over before they meet a parameter are remarked on; those that stay within are not."""

import numpy as np
import pytest

from .test_meeting_rows import of

RNG = np.random.default_rng(0)
BYTES, Y = RNG.integers(0, 256, (64, 16)).astype(np.uint8), RNG.normal(size=64)
FLAT = {"w": np.zeros(16)}


def squared(params, batch):
    x, y = batch
    return np.mean((x * x @ params["w"] - y) ** 2)


def centred(params, batch):
    x, y = batch
    return np.mean(((x - np.uint8(128)) @ params["w"] - y) ** 2)


def neighbours(params, batch):
    x, y = batch
    return np.mean(((x[:, 1:] - x[:, :-1]) @ params["w"][1:] - y) ** 2)


@pytest.mark.parametrize("cost", [squared, centred, neighbours])
def test_bytes_that_run_over_are_remarked_on_with_the_share_that_does(cost):
    told = of(cost, FLAT, (BYTES, Y))
    x = BYTES.astype(int)
    beyond = {"squared": x**2 > 255, "centred": x < 128, "neighbours": x[:, 1:] < x[:, :-1]}[cost.__name__]
    assert "data[0] is reckoned with in uint8, which ends at 255" in told
    assert f"{100 * beyond.mean():.2g} % of its results" in told
    assert "test_wrapped.py" in told


def in_floats(params, batch):
    x, y = batch
    return np.mean(((x / 255 - 0.5) ** 2 @ params["w"] - y) ** 2)


def test_bytes_turned_into_floats_and_small_ones_are_not():
    assert of(in_floats, FLAT, (BYTES, Y)) == ""
    assert of(squared, FLAT, (BYTES % 16, Y)) == ""
    assert of(centred, FLAT, (BYTES.astype(float), Y)) == ""
