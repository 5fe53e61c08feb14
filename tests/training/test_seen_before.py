"""Validation rows that are rows of the data are counted; others, and data that repeat themselves, are let be."""

import numpy as np

from .models import remarks
from .test_meeting_rows import FLAT, X, Y, squares

RNG = np.random.default_rng(1)
OTHER = RNG.normal(size=(40, 16)), RNG.normal(size=40)


def of(data, validation):
    return remarks(squares, FLAT, data, validation=validation)


def test_rows_that_are_in_both_are_counted():
    assert "64 of the 64 rows of validation are rows of the data too" in of((X, Y), (X, Y))
    mixed = tuple(np.concatenate([a, b[10:25]])[::-1].copy() for a, b in zip(OTHER, (X, Y), strict=True))
    assert "15 of the 55 rows of validation are rows of the data too" in of((X, Y), mixed)
    assert "15 of the 55" in of((X.astype(np.float32), Y), mixed)


def test_other_rows_and_data_that_repeat_themselves_are_let_be():
    assert of((X, Y), OTHER) == ""
    coarse = np.round(X[:, :1]) * np.ones(16), np.round(Y)
    assert of(coarse, coarse) == ""
    assert of((X, Y), (X, -Y)) == ""  # the same inputs, other targets


def test_rows_that_float32_cannot_tell_apart_are_not_the_same():
    x = np.zeros((128, 16))
    x[:, 0] = 1.7e9 + 70.0 * np.arange(128)  # of seconds, which lie 128 apart there

    def cost(params, batch):
        return np.mean((params["w"] @ np.ones(16) - batch[1]) ** 2) + 0 * np.sum(batch[0])

    y = np.ones(64)
    settings = {"precision": "float64"}
    assert "rows of the data too" not in remarks(cost, FLAT, (x[::2], y), validation=(x[1::2], y), **settings)
    assert "64 of the 64 rows" in remarks(cost, FLAT, (x[::2], y), validation=(x[::2], y), **settings)
