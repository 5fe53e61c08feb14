"""The three directions stay apart for every kind of sight, and without any colour at all."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from steepest.presentation.marks import DARK_BACKGROUND, INK, MARKS, SERIES, SOFT_INK, mark_of

DIRECTIONS = ("falling", "flat", "rising")
WHITE = "#FFFFFF"

# Machado, Oliveira & Fernandes 2009, table 1, severity 1.0; they act on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
# OKLab distances of 2 can just be seen; a line in a legend needs several times that.
CLEARLY_APART = 10.0


def linear_rgb(color: str) -> np.ndarray:
    encoded = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Ottosson 2020, "A perceptual color space for image processing"."""
    to_cones = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
    to_lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
              [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip
    return np.array(to_lab) @ np.cbrt(np.array(to_cones) @ np.clip(rgb, 0, 1))


def distance(one: str, other: str, sight: str) -> float:
    seen = [oklab(np.array(SIGHT[sight]) @ linear_rgb(color)) for color in (one, other)]
    return 100 * float(np.linalg.norm(seen[0] - seen[1]))


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio."""
    light = sorted(float(np.array([0.2126, 0.7152, 0.0722]) @ linear_rgb(color)) for color in (one, other))
    return (light[1] + 0.05) / (light[0] + 0.05)


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_directions_are_clearly_apart_for_every_kind_of_sight(theme, sight):
    colors = [getattr(MARKS[word], theme) for word in DIRECTIONS]
    assert min(distance(*pair, sight) for pair in combinations(colors, 2)) > CLEARLY_APART


@pytest.mark.parametrize(("theme", "background"), [("light", WHITE), ("dark", DARK_BACKGROUND)])
def test_lines_reach_the_contrast_of_graphics_and_words_that_of_text(theme, background):
    assert min(contrast(getattr(MARKS[word], theme), background) for word in DIRECTIONS) > 3
    assert contrast(INK[theme], background) > 7
    assert contrast(SOFT_INK[theme], background) > 4.5


def test_dash_arrow_and_word_tell_the_directions_apart_without_colour():
    for part in ("dash", "arrow", "word"):
        assert len({getattr(MARKS[word], part) for word in DIRECTIONS}) == 3
    assert MARKS["rising"].dash == ()
    on, off = MARKS["falling"].dash
    assert on > 2 * off / 1.3, "dashes are long beside their gaps"
    assert MARKS["flat"].dash[0] <= 1, "dots are as long as the line is wide"


def test_where_there_is_no_slope_no_line_is_drawn():
    assert mark_of("no slope here").dash is None
    assert mark_of("anything else").dash is None


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_several_results_are_clearly_apart_for_every_kind_of_sight(theme, sight):
    colors = [getattr(series, theme) for series in SERIES]
    assert min(distance(*pair, sight) for pair in combinations(colors, 2)) > CLEARLY_APART


@pytest.mark.parametrize(("theme", "background"), [("light", WHITE), ("dark", DARK_BACKGROUND)])
def test_lines_of_several_results_reach_the_contrast_of_graphics(theme, background):
    assert min(contrast(getattr(series, theme), background) for series in SERIES) > 3


def test_dash_and_marker_tell_several_results_apart_without_colour():
    for part in ("dash", "marker", "shape"):
        assert len({getattr(series, part) for series in SERIES}) == len(SERIES)


@pytest.mark.parametrize("sight", SIGHT)
def test_the_colours_of_contours_grow_lighter_all_the_way_for_every_kind_of_sight(sight):
    import matplotlib

    from steepest.plots.contours import COLORS

    colors = matplotlib.colormaps[COLORS](np.linspace(0, 1, 18))[:, :3]
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    lightness = [oklab(np.array(SIGHT[sight]) @ color)[0] for color in linear]
    assert (np.diff(lightness) > 0).all()


@pytest.mark.parametrize("sight", SIGHT)
def test_the_two_signs_of_a_correlation_are_clearly_apart_for_every_kind_of_sight(sight):
    from steepest.plots.correlation_picture import COLORS

    assert distance(*COLORS, sight) > CLEARLY_APART
