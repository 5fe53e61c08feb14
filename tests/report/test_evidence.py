"""A picture for each piece of evidence, and directions read back from words."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import steepest as st
from steepest.plots.ground import ground_of
from steepest.report.evidence import _direction_in_words, picture_for
from steepest.report.inline import Drawer, colours
from steepest.verdict.wording import direction_name


def tilted(p):
    return (p[0] + 2 * p[1] - 1) ** 2 + 1e-3 * (2 * p[0] - p[1]) ** 4


@pytest.fixture(scope="module")
def found():
    return st.minimize(tilted, [3.0, 1.0])


@pytest.mark.parametrize("vector", [[1.0, 0.0], [0.0, -1.0], [0.25, -1.0], [1.0, 0.5]])
def test_a_direction_told_in_words_is_read_back(vector, found):
    ground = ground_of(st.minimize("x**2 + y**2", {"x": 1.0, "y": 2.0}))
    read = _direction_in_words(direction_name(np.array(vector), ground.names), ground)
    assert_allclose(read / np.abs(read).max(), vector, atol=0.01)


def test_a_direction_of_curvature_is_found_again_in_all_its_digits():
    result = st.minimize(lambda p: (p[0] - 0.123456 * p[1]) ** 2, [1.0, 3.0])
    ground = ground_of(result)
    flat = np.array([0.123456, 1.0])
    read = _direction_in_words(direction_name(flat, ground.names), ground)
    assert_allclose(read / read[1], flat, rtol=1e-6)


def test_words_that_name_no_parameter_are_no_direction(found):
    assert _direction_in_words("somewhere else", ground_of(found)) is None


def test_every_piece_of_evidence_of_many_ends_has_a_picture():
    ends = [
        ("(x-1)**2", 3.0), ("abs(x-1)", 3.0), ("x**4", 1.0), ("exp(x)", 0.0), ("-x", 0.0), ("x**2 - y**2", [1.0, 0.0]),
        (tilted, [3.0, 1.0]), (lambda p: (p[0] + p[1]) ** 2, [1.0, 1.0]), (lambda x: np.floor(x) ** 2, 3.5),
    ]  # fmt: skip
    seen = set()
    for cost, start in ends:
        start = dict(zip("xy", start, strict=True)) if isinstance(cost, str) and np.ndim(start) else start
        result = st.minimize(cost, start)
        ground = ground_of(result)
        for item in result.evidence:
            picture = picture_for(item, ground, result.history)
            assert picture is not None, item
            if picture.key not in seen:
                seen.add(picture.key)
                assert "<svg" in Drawer().inline(picture.draw(), picture.caption)
    assert {"slope", "repeats", "curvature", "kink"} <= seen


def test_colours_of_pictures_are_those_of_the_page(found):
    result = st.minimize("x**2", 3.0)
    ground = ground_of(result)
    picture = picture_for(result.evidence[1], ground, result.history)
    svg = Drawer().inline(picture.draw(), picture.caption)
    assert "var(--ink)" in svg
    assert "#1a1d21" not in svg.lower()
    for theme in ("light", "dark"):
        names = set(__import__("re").findall(r"var\((--[a-z0-9]+)\)", svg)) - {"--paper"}
        assert all(f"{name}:" in colours(theme) for name in names)


def test_captions_are_what_a_reader_of_the_screen_hears(found):
    svg = Drawer().inline(
        picture_for(found.evidence[0], ground_of(found), found.history).draw(), 'a "quoted" <caption>'
    )
    assert 'aria-label="a &quot;quoted&quot; &lt;caption&gt;"' in svg
    assert 'role="img"' in svg
