"""What people type is read as they mean it, and what cannot be meant is refused with the words they typed."""

from __future__ import annotations

import pytest

from steepest.cli.reading import read_bounds, read_budget, read_options, read_places
from steepest.errors import InputError


@pytest.mark.parametrize("text", ["-1,1,3", " -1, 1 ,3 ", "−1,1,3", "-1.0,1e0,3."])
def test_a_comma_list_holds_numbers_in_order(text):
    assert read_places([text], "--at")[0].ordered == (-1.0, 1.0, 3.0)


def test_places_are_separated_by_semicolons_and_by_repeating():
    places = read_places(["x=1,y=2;x=0,y=0", "x=-3,y=1e2"], "--at")
    assert [place.named for place in places] == [{"x": 1, "y": 2}, {"x": 0, "y": 0}, {"x": -3, "y": 100}]


def test_brackets_make_one_place_of_several_numbers():
    place = read_places(["[1,2]"], "--at")[0]
    assert place.ordered == (1.0, 2.0)
    assert place.brackets


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1,two", "'two' is not a number"),
        ("x=1,2", "name all"),
        ("x=1,x=2", "twice"),
        ("1,,2", "'' is not a number"),
    ],
)
def test_places_that_mean_nothing_are_refused(text, complaint):
    with pytest.raises(InputError, match=complaint):
        read_places([text], "--at")


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("0:1,:3", [(0, 1), (None, 3)]),
        ("x=0:,y=:3", [(0, None), (None, 3)]),
        ("y=-1:1", [(None, None), (-1, 1)]),
        ("0:", [(0, None), (0, None)]),
        (":,:", [(None, None), (None, None)]),
        ("-inf:2,0:inf", [(float("-inf"), 2), (0, float("inf"))]),
    ],
)
def test_bounds_are_read_by_name_or_in_order(text, box):
    assert read_bounds(text, ("x", "y"), 2) == box


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("z=0:1", "'z'"),
        ("1:0", "above"),
        ("0:1,0:1,0:1", "3 ranges"),
        ("5", "low:high"),
        ("x=0:1,0:1", "name all"),
        ("", "name all"),
    ],
)
def test_bounds_that_mean_nothing_are_refused(text, complaint):
    with pytest.raises(InputError, match=complaint):
        read_bounds(text, ("x", "y"), 2)


@pytest.mark.parametrize(
    ("text", "budget"),
    [("1000", {"evaluations": 1000}), ("30s", {"seconds": 30.0}), ("5min", {"seconds": 300.0}),
     ("1e4, 2h", {"evaluations": 10000, "seconds": 7200.0})],
)  # fmt: skip
def test_a_budget_is_evaluations_or_time(text, budget):
    assert read_budget(text) == budget


def test_options_are_numbers_where_they_look_like_numbers():
    assert read_options(["rate=0.1", "memory=20", "kind=plain"]) == {
        "rate": 0.1,
        "memory": 20,
        "kind": "plain",
    }
    with pytest.raises(InputError, match="NAME=VALUE"):
        read_options(["rate"])
