"""The tour as a newcomer runs it: it ends well, with its pictures, and tells the truth."""

from __future__ import annotations

import re

import pytest

from steepest.cli import main


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tour")
    status = main(["tour", "--out", str(folder)])
    return status, folder, (folder / "tour.md").read_text(encoding="utf-8")


def test_it_ends_well(tour):
    assert tour[0] == 0


def test_every_picture_of_the_page_is_in_its_folder(tour):
    _, folder, page = tour
    pictures = re.findall(r"!\[.+?\]\((.+?)\)", page)
    assert len(pictures) == 5
    assert all((folder / name).stat().st_size > 10_000 for name in pictures)


def test_the_steps_shown_are_the_rate_times_the_slope(tour):
    rows = re.findall(r"^\| (\d) +\| +(\S+) \| +(\S+) \| +(\S+) \| +(\S+) \|$", tour[2], re.MULTILINE)
    assert len(rows) == 5
    for _, x, slope, step, onward in rows:
        assert float(slope) == pytest.approx(2 * float(x) - 2, abs=1e-3)
        assert float(step) == pytest.approx(-0.1 * float(slope), abs=1e-3)
        assert float(onward) == pytest.approx(float(x) + float(step), abs=1e-3)


def test_the_fit_agrees_with_the_certified_values(tour):
    digits = re.findall(r"^\| b\d .*\| +(\d+) \|$", tour[2], re.MULTILINE)
    assert len(digits) == 3
    assert min(map(int, digits)) >= 6


def test_guessing_gets_worse_with_dimension_and_the_slope_does_not(tour):
    rows = re.findall(
        r"^\| ([\d,]+) +\| +[\d,]+ \| +(\S+) \| +(\S+) \| +([a-z ]+) \|$", tour[2], re.MULTILINE
    )
    assert [row[0] for row in rows] == ["1", "10", "1,000"]
    assert float(rows[2][1]) > 100 * float(rows[0][1])
    assert all(float(row[2]) < 1e-9 for row in rows)
    assert all(row[3] == "global minimum" for row in rows)


def test_a_million_parameters_end_in_a_minimum(tour):
    page = tour[2]
    assert "1,000,000 parameters" in page
    assert re.search(r"The verdict: (global|local) minimum, after \d+ steps", page)
