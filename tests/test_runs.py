"""A run file tells a viewer what the run did, whatever happens to either of them."""

import json
import math
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import steepest
from steepest import InputError
from steepest.runs import COMMANDS, MOST_POINTS, RunReader, RunWriter, ask, commands_path, read_run


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.jsonl"


def test_what_is_written_is_what_is_read_to_the_last_bit(path):
    values = [1 / 3, 1e-308, -0.0, math.inf, -math.inf, math.nan, 2**60]
    with RunWriter(path, kind="train", label="loss", n=2, names=["NaN", "<b>"]) as run:
        for step, value in enumerate(values):
            run.step(step, value, x=[value, 1.0], groups={"layer": {"size": value}})
        run.event("rate halved", by="explorer")
        run.end("stopped", "because")
    record = read_run(path)
    assert record.header["names"] == ["NaN", "<b>"]
    np.testing.assert_array_equal(record.column("value"), values)
    np.testing.assert_array_equal(record.points[:, 0], values)
    assert math.isnan(record.steps[5]["groups"]["layer"]["size"])
    assert record.events[0]["by"] == "explorer"
    assert record.end["sentence"] == "because"
    assert record.damaged == 0


def test_every_line_is_json_that_any_reader_accepts(path):
    with RunWriter(path) as run:
        run.step(0, math.nan, gradient_norm=math.inf)
    for line in path.read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_line_without_its_end_is_waited_for(path):
    with RunWriter(path) as run:
        run.step(0, 5.0)
    whole = path.read_bytes()
    reader = RunReader(path)
    for end in range(len(whole) + 1):  # the file at every moment of being written
        path.write_bytes(whole[:end])
        reader.read()
        assert reader.record.damaged == 0
        assert len(reader.record.steps) == (end == len(whole))


def test_a_writer_that_was_killed_within_a_line_costs_that_line_only(path):
    with RunWriter(path) as run:
        run.step(0, 5.0)
    with open(path, "ab") as file:
        file.write(b'{"step": 1, "val')
    with RunWriter(path, continues=True) as run:
        run.step(2, 3.0)
    record = read_run(path)
    assert [row["step"] for row in record.steps] == [0, 2]
    assert record.damaged == 1


@pytest.mark.parametrize(
    "line", [b"null", b"[1]", b'{"step": "<b>", "value": 1}', b"\xff\xfe", b"[" * 100_000, b'{"step": 3}']
)
def test_a_damaged_line_is_counted_and_passed_over(path, line):
    with RunWriter(path) as run:
        run.step(0, 5.0)
    with open(path, "ab") as file:
        file.write(line + b"\n" + b'{"step": 1, "value": 4.0}\n')
    record = read_run(path)
    assert [row["value"] for row in record.steps] == [5.0, 4.0]
    assert record.damaged == 1


def test_a_second_run_in_the_same_file_begins_anew_and_a_resumed_one_does_not(path):
    for label, continues in (("first", False), ("second", False), ("second", True)):
        with RunWriter(path, label=label, continues=continues) as run:
            run.step(0, 1.0)
    record = read_run(path)
    assert record.header["label"] == "second"
    assert len(record.steps) == 2


def test_a_file_that_was_replaced_is_read_from_its_start(path):
    with RunWriter(path) as run:
        for step in range(5):
            run.step(step, 1.0)
    reader = RunReader(path)
    reader.read()
    path.unlink()
    with RunWriter(path) as run:
        run.step(0, 7.0)
    reader.read()
    assert [row["value"] for row in reader.record.steps] == [7.0]


def test_points_are_thinned_evenly_in_a_long_run(path):
    with RunWriter(path) as run:
        for step in range(4 * MOST_POINTS):
            run.step(step, 0.0, x=[step])
    record = read_run(path)
    kept = record.points[:, 0]
    assert len(record.steps) == 4 * MOST_POINTS
    assert MOST_POINTS / 2 < len(kept) < 3 * MOST_POINTS
    assert kept[-1] > 4 * MOST_POINTS - 10


def test_a_line_reaches_the_file_while_the_job_computes(path):
    program = f"""
        import os, time
        from steepest.runs import RunWriter
        run = RunWriter({str(path)!r})
        for step in range(20):
            run.step(step, 1.0)
            time.sleep(0.05)
        os._exit(9)                                 # killed: nothing is closed
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False, env=os.environ)
    assert len(read_run(path).steps) >= 8


def test_minimize_records_exactly_its_history(path):
    result = steepest.minimize("(1-x)**2 + 100*(y-x**2)**2", {"x": -1.2, "y": 1.0}, record=path)
    record = read_run(path)
    assert record.header["expression"]
    assert record.header["names"] == ["x", "y"]
    np.testing.assert_array_equal(record.column("value"), result.history.value)
    np.testing.assert_array_equal(record.column("step_length"), result.history.step_length)
    np.testing.assert_array_equal(record.points, result.history.x)
    assert record.end["end"] == result.verdict


def test_a_walk_that_fails_says_so_in_its_record(path):
    def after(x):
        raise ZeroDivisionError("<script>")

    with pytest.raises(ZeroDivisionError):
        steepest.minimize("x**2", 1.0, record=path, callback=after)
    assert read_run(path).end["end"] == "failed"


def test_a_fixed_parameter_stands_in_the_record(path):
    steepest.minimize("(x-1)**2 + y**2", {"x": 0.0, "y": 3.0}, fixed=["y"], record=path)
    assert set(read_run(path).points[:, 1]) == {3.0}


def test_commands_are_obeyed_only_where_the_job_opted_in(path, monkeypatch):
    monkeypatch.setattr("steepest.runs.POLL_EVERY", 0.0)
    for steerable in (False, True):
        with RunWriter(path, steerable=steerable) as run:
            ask(path, "stop")
            assert run.asked() == (("stop",) if steerable else ())
            assert run.asked() == ()
    assert [event["event"] for event in read_run(path).events] == ["stop"]


def test_a_steerable_walk_stops_when_asked_and_keeps_its_best_point(path, monkeypatch):
    monkeypatch.setattr("steepest.runs.POLL_EVERY", 0.0)
    writer = RunWriter(path, steerable=True)
    seen = []

    def after(x):
        seen.append(x)
        if len(seen) == 3:
            ask(path, "stop")

    result = steepest.minimize(
        "x**2", 3.0, method="gradient descent", options={"rate": 1e-4}, callback=after, record=writer
    )
    writer.close()
    assert result.verdict == "stopped"
    assert len(seen) <= 5
    assert result.x == pytest.approx(3.0 * (1 - 2e-4) ** result.nit, rel=1e-12)


def test_what_is_no_command_is_refused_and_what_was_asked_before_is_forgotten(path):
    with pytest.raises(InputError, match="no command"):
        ask(path, "rm -rf")
    for command in COMMANDS:
        ask(path, command)
    RunWriter(path, steerable=True).close()
    assert commands_path(path).read_bytes() == b""


@pytest.mark.parametrize("record", [3, [], object()])
def test_a_record_that_is_no_file_is_refused_before_the_cost_is_run(record):
    def cost(x):
        raise AssertionError("was run")

    with pytest.raises(InputError, match="record="):
        steepest.minimize(cost, 1.0, record=record)


def test_a_file_that_is_no_run_is_named(tmp_path):
    other = tmp_path / "data.csv"
    other.write_text("1,2\n")
    with pytest.raises(InputError, match=r"data\.csv holds no run"):
        read_run(other)
    with pytest.raises(InputError, match="there is no run file"):
        read_run(tmp_path / "none")
