"""The doctor finds what is broken, at its line, and leaves healthy costs alone."""

import numpy as np
import pytest

import steepest
from steepest import diagnose

from .costs import BROKEN, HEALTHY


def examined(row):
    with np.errstate(all="ignore"):
        return diagnose(row.cost, row.at, args=row.args, **row.more)


def test_the_tables_are_long_enough():
    assert len(BROKEN) >= 30
    assert len(HEALTHY) >= 30


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found_at_its_line(name):
    row = BROKEN[name]
    diagnosis = examined(row)
    found = [finding for finding in diagnosis if finding.kind == row.kind]
    assert found, str(diagnosis)
    finding = found[0]
    assert row.told in finding.sentence, finding.sentence
    assert row.rewrite in finding.rewrite, finding.rewrite
    if row.line:
        assert any(other.line == row.line for other in found), str(diagnosis)
        assert finding.file.endswith("costs.py")
        assert finding.expression


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_cost_gets_no_finding(name):
    diagnosis = examined(HEALTHY[name])
    assert not diagnosis.findings, str(diagnosis)
    assert diagnosis.healthy


def test_the_exact_expression_is_told_not_only_its_line():
    found = examined(BROKEN["NaN from an untaken branch: untaken_root"])[0]
    assert found.expression == "np.sqrt(x)"


def test_the_diagnosis_prints_and_is_json():
    import json

    diagnosis = examined(BROKEN["NaN in the value: log_of_a_negative"])
    assert str(diagnosis).startswith("1 finding  (log_of_a_negative)")
    assert "np.log(x[0])" in str(diagnosis)
    told = json.loads(json.dumps(diagnosis.to_dict()))
    assert told["healthy"] is False
    assert told["findings"][0]["line"] == BROKEN["NaN in the value: log_of_a_negative"].line


def test_nothing_found_is_said():
    diagnosis = diagnose("x**2 - 2*x + 3", 3.0)
    assert str(diagnosis) == "nothing found  (x**2 - 2*x + 3)"
    assert len(diagnosis) == 0


def test_an_expression_is_examined_too():
    found = diagnose("log(x)**2", -1.0)
    assert found[0].kind == "NaN in the value"
    assert "log of -1" in found[0].sentence


def test_minimize_says_the_first_finding_where_it_finds_no_minimum():
    result = steepest.minimize(BROKEN["slope lost: rounded"].cost, [2.3, 1.2])
    assert result.verdict == "no slope"
    assert f"line {BROKEN['slope lost: rounded'].line}" in result.message
    with np.errstate(all="ignore"):
        negative = [(-2.0, -0.5), (None, None)]  # no start nearby has a value
        result = steepest.minimize(
            BROKEN["NaN in the value: log_of_a_negative"].cost, [-1.0, 2.0], bounds=negative
        )
    assert result.verdict == "not finite"
    assert "np.log(x[0])" in result.message
    assert "bounds" in result.next_step


def test_a_minimum_gets_no_finding_in_its_message():
    result = steepest.minimize(HEALTHY["rosenbrock"].cost, [-1.2, 1.0])
    assert "line" not in result.message
