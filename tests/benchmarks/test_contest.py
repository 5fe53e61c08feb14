"""What a contestant is credited with: solved, stationary, false claims, and its seconds beside the others'."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from benchmarks import contest, cutest
from benchmarks.contest import Judge
from benchmarks.contestants import Answer, Posed

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


def test_what_others_missed_counts_where_each_is_taken_over_all_that_it_solved():
    records = [
        record(solver="steepest", cold=2.0, warm=1.0),
        record(solver="B", cold=1.0, warm=4.0),
        record(problem="Q", solver="steepest", cost=1.0, cold=8.0, warm=8.0),
        record(problem="Q", solver="B", cost=5.0, cold=0.1, warm=0.1),
        record(problem="Q", solver="C", cost=1.0, cold=1.0, warm=0.5),
        record(problem="R", solver="C", cost=1.0, cold=1.0, warm=0.5),
    ]
    said = contest.of_all_it_solved(records, JUDGE)
    assert said.startswith("Over all 2 ") and said.endswith("cold × 4, warm × 4.")
    assert contest.of_all_it_solved(records[1:2], JUDGE) == ""


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


def test_what_is_tried_is_every_problem_by_every_contestant_that_was_asked_for(monkeypatch, capsys):
    asked = contest.parser("cutest", None).parse_args(["--solver", "A", "--solver", "B"])
    monkeypatch.setattr(
        contest, "run_all", lambda pairs, *_: [record(problem=p, solver=s, cost=1.0) for p, s in pairs]
    )
    assert contest.tried(asked, ["P", "Q"], "worker", lambda records: JUDGE) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["P", "A"], ["P", "B"], ["Q", "A"], ["Q", "B"]]
    with pytest.raises(SystemExit):
        contest.parser("constraints", None, ["A"]).parse_args(["--solver", "B"])


def test_workers_have_one_thread_for_blas_whatever_the_shell_says(monkeypatch, tmp_path):
    for name in contest.ONE_THREAD:
        monkeypatch.setenv(name, "7")
    (tmp_path / "tell.py").write_text(
        "import json, os\ninput()\n"
        "print(json.dumps({k: v for k, v in os.environ.items() if k.endswith('_NUM_THREADS')}))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    worker = contest.Worker(0, "tell")
    told = worker.ask("P", "A")
    worker.end()
    assert told.items() >= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}.items()
    assert "7" not in told.values()


def test_how_far_a_point_lies_outside_is_told_in_parts_of_its_bounds():
    from benchmarks.cutest_worker import look

    posed = Posed(lambda x: x @ x, np.zeros(3), np.array([100.0, -1.0, 0.25]), np.array([200.0, 1.0, np.inf]))
    assert_allclose(look(posed, Answer(np.array([300.0, 0.0, 1.0]), True))["outside"], 0.5)
    assert_allclose(look(posed, Answer(np.array([150.0, 0.0, 0.125]), True))["outside"], 0.125)
    assert look(posed, Answer(np.array([200.0, -1.0, 9.0]), True))["outside"] == 0.0


@pytest.mark.parametrize(
    ("outside", "kept"), [(0.0, True), (1e-8, True), (1e-6, False), (float("nan"), False)]
)
def test_cutest_lets_pass_what_ipopt_moves_its_bounds_by_but_not_as_a_lower_minimum(
    outside, kept, monkeypatch, tmp_path
):
    monkeypatch.setattr(cutest, "LOWEST", tmp_path / "lowest.json")
    inside = record(cost=1.0, slope=0.0)
    lower = record(cost=0.9999999, slope=0.0, solver="B", outside=outside)
    judge = cutest.judged([inside, lower])
    assert judge.lowest["P"] == (0.9999999 if outside == 0.0 else 1.0)
    assert judge.is_stationary(lower) == judge.is_solved(lower) == kept
