"""Parameters that stand among the data, of costs written as users write them."""

import tracemalloc

import numpy as np
import pytest

from steepest.parameters import Parameters
from steepest.structure.facts import read
from steepest.tracing.trace import trace

T = np.linspace(3.0, 50.0, 40)
AMONG = (3.0, 50.0)


def locations(model, n):
    cost = lambda p: np.sum(model(p) ** 2)  # noqa: E731
    return read(trace(cost, Parameters.of(np.ones(n))).jaxpr).locations


@pytest.mark.parametrize(
    ("model", "n", "expected"),
    [
        (lambda p: p[0] * np.exp(-((T - p[1]) ** 2) / 2 / p[2] ** 2) + p[3], 4, {1: AMONG}),
        (lambda p: p[0] / (1 + ((p[1] - T) / p[2]) ** 2), 3, {1: AMONG}),
        (lambda p: p[0] * np.exp(-(((T + p[1]) / p[2]) ** 2)), 3, {1: (-50.0, -3.0)}),
        (lambda p: np.where(p[0] > T, p[1], p[1] + p[2] * (T - p[0])), 3, {0: AMONG}),
        (lambda p: p[1] + p[2] * np.maximum(T - p[0], 0.0), 3, {0: AMONG}),
        (lambda p: p[0] / (1 + np.exp(-p[1] * (T - p[2]))), 3, {2: AMONG}),
        (
            lambda p: (p[:2] * np.exp(-(((T[:, None] - p[2:4]) / p[4:]) ** 2))).sum(axis=1),
            6,
            {2: AMONG, 3: AMONG},
        ),
        (lambda p: p[0] * np.exp(-p[1] * T), 2, {}),
        (lambda p: np.abs(1j * T - p[0] * np.exp(1j * p[1] * T)), 2, {}),
        (lambda p: np.sin(np.r_[T, np.inf] - p[0]), 1, {}),
        (lambda p: np.sin((np.where(T < 20.0, p[0], p[1] * p[0]) - T) / p[1]), 2, {}),
        (lambda p: np.sin((T - p[0] * p[1]) / p[2]), 3, {}),
        (lambda p: np.sin((T - 2.0 * p[0]) / p[1]), 2, {}),
    ],
)
@pytest.mark.filterwarnings("error")
def test_they_are_those_that_data_are_measured_from(model, n, expected):
    assert locations(model, n) == expected


def test_looking_for_them_keeps_no_slope_of_all_elements_by_each_parameter():
    peaks, t = 20, np.linspace(0.0, 50.0, 5_000)
    cost = lambda p: np.sum((p[:20] * np.exp(-(((t[:, None] - p[20:40]) / p[40:]) ** 2))).sum(axis=1) ** 2)  # noqa: E731
    structure = read(trace(cost, Parameters.of(np.ones(3 * peaks))).jaxpr)
    assert structure.degree == np.inf
    tracemalloc.start()
    try:
        found = structure.locations
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == dict.fromkeys(range(20, 40), (0.0, 50.0))
    assert most < 20 * peaks * t.size * 8  # three numbers for each element, and what they are made of, not 60
