"""What a contestant is credited with: solved, stationary, false claims, and its seconds beside the others'."""

import pytest
from numpy.testing import assert_allclose

from benchmarks import contest
from benchmarks.contest import Judge

# One problem whose lowest cost is -200; a cost above it by 1e-6 parts of that still counts.
JUDGE = Judge({"P": -200.0, "Q": 1.0}, lambda record: record.get("outside") == 0.0, "slope")


def record(**what):
    return {
        "problem": "P",
        "solver": "A",
        "cost": -200.0,
        "slope": 0.0,
        "outside": 0.0,
        "claims": True,
    } | what


def test_a_cost_is_low_enough_up_to_a_part_of_its_size():
    assert JUDGE.is_solved(record(cost=-200.0 + 1.9e-4))
    assert not JUDGE.is_solved(record(cost=-200.0 + 2.1e-4))
    assert not JUDGE.is_solved(record(cost=float("nan")))


def test_a_point_outside_its_bounds_is_neither_solved_nor_stationary():
    out = record(outside=0.5)
    assert not JUDGE.is_solved(out) and not JUDGE.is_stationary(out) and JUDGE.is_false_success(out)


def test_a_claim_is_false_only_where_the_point_is_neither_lowest_nor_level():
    assert not JUDGE.is_false_success(record(cost=-100.0, slope=0.05))
    assert JUDGE.is_false_success(record(cost=-100.0, slope=0.2))
    assert not JUDGE.is_false_success(record(cost=-100.0, slope=0.2, claims=False))
    assert JUDGE.is_false_failure(record(claims=False)) and not JUDGE.is_false_failure(record())


def test_a_contestant_that_ended_nowhere_has_nothing():
    lost = {"problem": "P", "solver": "A", "told": "out of time"}
    assert not (JUDGE.is_solved(lost) or JUDGE.is_stationary(lost))
    assert not (JUDGE.is_false_success(lost) or JUDGE.is_false_failure(lost))


def test_ratios_of_seconds_are_over_the_problems_that_all_have_solved():
    records = [
        record(cold=2.0, warm=1.0),
        record(solver="B", cold=1.0, warm=4.0),
        record(problem="Q", cost=1.0, cold=8.0, warm=8.0),
        record(problem="Q", solver="B", cost=5.0, cold=0.1, warm=0.1),
    ]
    cells = contest.times(records, JUDGE)
    assert_allclose(cells["A"], [5.0, 4.5, 2.0, 1.0])
    assert_allclose(cells["B"], [0.55, 2.05, 1.0, 4.0])


def test_what_is_remembered_is_known_again(tmp_path):
    path = tmp_path / "lowest.json"
    assert contest.known(path) == {}
    contest.remember(path, {"HS10": 0.1, "HS2": float("inf")}, order=lambda name: int(name[2:]))
    assert contest.known(path) == {"HS2": float("inf"), "HS10": 0.1}
    assert path.read_text().index("HS2") < path.read_text().index("HS10")


def test_a_problem_that_is_not_there_is_named_before_anything_runs(capsys):
    parser = contest.parser("cutest", None)
    assert contest.chosen(parser, [], ["P", "Q"]) == ["P", "Q"]
    assert contest.chosen(parser, ["Q"], ["P", "Q"]) == ["Q"]
    with pytest.raises(SystemExit):
        contest.chosen(parser, ["R"], ["P", "Q"])
    assert "no problem is named R" in capsys.readouterr().err
