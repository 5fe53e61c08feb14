"""Validation rows that are rows of the data are counted; others, and data that repeat themselves, are let be."""

import numpy as np

import steepest

from .test_meeting_rows import FLAT, X, Y, squares

RNG = np.random.default_rng(1)
OTHER = RNG.normal(size=(40, 16)), RNG.normal(size=40)


def remarks(data, validation):
    settings = {"batch_size": 16, "steps": 2, "method": "sgd", "rate": 1e-3}
    return " ".join(steepest.train(squares, FLAT, data, validation=validation, **settings).remarks)


def test_rows_that_are_in_both_are_counted():
    assert "64 of the 64 rows of validation are rows of the data too" in remarks((X, Y), (X, Y))
    mixed = tuple(np.concatenate([a, b[10:25]])[::-1].copy() for a, b in zip(OTHER, (X, Y), strict=True))
    assert "15 of the 55 rows of validation are rows of the data too" in remarks((X, Y), mixed)
    assert "15 of the 55" in remarks((X.astype(np.float32), Y), mixed)


def test_other_rows_and_data_that_repeat_themselves_are_let_be():
    assert remarks((X, Y), OTHER) == ""
    coarse = np.round(X[:, :1]) * np.ones(16), np.round(Y)
    assert remarks(coarse, coarse) == ""
    assert remarks((X, Y), (X, -Y)) == ""  # the same inputs, other targets


def test_rows_that_float32_cannot_tell_apart_are_not_the_same():
    x = np.zeros((128, 16))
    x[:, 0] = 1.7e9 + 70.0 * np.arange(128)  # of seconds, which lie 128 apart there

    def cost(params, batch):
        return np.mean((params["w"] @ np.ones(16) - batch[1]) ** 2) + 0 * np.sum(batch[0])

    settings = {"batch_size": 16, "steps": 2, "method": "sgd", "rate": 1e-3, "precision": "float64"}
    y = np.ones(64)
    told = steepest.train(cost, FLAT, (x[::2], y), validation=(x[1::2], y), **settings).remarks
    assert not any("rows of the data too" in remark for remark in told)
    told = steepest.train(cost, FLAT, (x[::2], y), validation=(x[::2], y), **settings).remarks
    assert any("64 of the 64 rows" in remark for remark in told)
