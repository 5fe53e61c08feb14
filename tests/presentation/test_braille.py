"""A curve in letters: read back dot by dot, it is the curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steepest.presentation.braille import DOTS, curve

GOLDEN = Path(__file__).parents[1] / "golden" / "curve.txt"


def dots_of(lines, width):
    """Raised dots as a picture, shape (4 · height, 2 · width), from above."""
    letters = [line[-width:] for line in lines[1:]]
    found = np.zeros((4 * len(letters), 2 * width), dtype=bool)
    for i, line in enumerate(letters):
        for j, letter in enumerate(line):
            for column, bits in enumerate(DOTS):
                for row, bit in enumerate(bits):
                    found[4 * i + row, 2 * j + column] = bool((ord(letter) - 0x2800) & bit)
    return found


def test_every_value_has_its_dot():
    rng = np.random.default_rng(3)
    values = rng.normal(size=40)
    dots = dots_of(curve(values, width=30, height=8), 30)
    rows = (31 * (values.max() - values) / np.ptp(values)).round().astype(int)
    columns = (np.arange(40) * 59 / 39).round().astype(int)
    assert dots[rows, columns].all()


def test_a_straight_line_is_straight():
    dots = dots_of(curve(np.linspace(5, 6, 64), width=16, height=8), 16)
    for column in range(32):
        rows = np.flatnonzero(dots[:, column])
        assert abs(rows.mean() - (31 - column)) <= 1


def test_of_ten_thousand_values_a_single_spike_is_kept():
    values = np.ones(10_000)
    values[1234] = 5.0
    values[0] = 0.9
    dots = dots_of(curve(values), 56)
    assert dots[0].sum() == 1


def test_a_fall_over_orders_of_magnitude_is_drawn_by_its_logarithm_and_says_so():
    lines = curve(10.0 ** -np.arange(20), width=10, height=5)
    assert lines[0].endswith("(logarithmic)")
    dots = dots_of(lines, 10)
    assert all(dots[:, column].any() for column in range(20))


def test_what_is_not_finite_leaves_a_gap():
    values = np.linspace(1, 2, 60)
    values[20:40] = np.nan
    dots = dots_of(curve(values, width=30, height=5), 30)
    assert not dots[:, 21:39].any()
    assert dots[:, :20].any(axis=0).all()


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 1.0, 1.0], [np.nan, 1.0, np.inf]])
def test_nothing_to_see_is_no_line(values):
    assert curve(np.array(values, dtype=float)) == []


def test_it_looks_like_this():
    values = 2.0 + 4.0 * 0.8 ** np.arange(40)
    assert "\n".join(curve(values)) + "\n" == GOLDEN.read_text(encoding="utf-8")
