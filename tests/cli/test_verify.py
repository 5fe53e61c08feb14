"""`steepest verify`: a point, and a certificate that is confirmed, refused or out of date."""

import json

import pytest

import steepest
from steepest.cli import main

MODEL = "def cost(x):\n    return (x[0] - 1) ** 2 + (x[1] + 2) ** 2\n"


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    namespace = {}
    exec(compile(MODEL, str(tmp_path / "model.py"), "exec"), namespace)
    steepest.minimize(namespace["cost"], [0.0, 0.0]).certificate().save("c.json")
    return tmp_path


@pytest.mark.parametrize(("cost", "at", "status"), [("x**2 + y**2", "0,0", 0), ("x**2 - y**2", "x=0,y=0", 1)])
def test_the_exit_status_says_whether_the_point_is_a_minimum(capsys, cost, at, status):
    assert main(["verify", cost, "--at", at, "--json"]) == status
    assert json.loads(capsys.readouterr().out)["success"] is (status == 0)


def test_a_certificate_is_confirmed_from_another_folder(model, monkeypatch, capsys, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert main(["verify", str(model / "c.json")]) == 0
    assert capsys.readouterr().out.startswith("certificate confirmed")


def test_a_file_that_has_changed_is_not_run(model, capsys):
    (model / "model.py").write_text("raise SystemExit('this file must not be run')\n")
    assert main(["verify", "c.json"]) == 2
    assert "model.py has changed since" in capsys.readouterr().err


def test_another_cost_does_not_confirm_the_certificate(model, capsys):
    (model / "other.py").write_text(MODEL.replace("- 1", "- 1.5"))
    assert main(["verify", "c.json", "--cost", "other.py:cost", "--json"]) == 1
    checked = json.loads(capsys.readouterr().out)
    assert checked["confirmed"] is False
    assert [row["holds"] for row in checked["claims"]] == [False, False]


def test_a_point_is_asked_for(capsys):
    assert main(["verify", "x**2"]) == 2
    assert "--at" in capsys.readouterr().err


BETWEEN = """
def cost(x):
    return x[0] + 2 * x[1]

def circle(x, radius):
    return radius**2 - x[0] ** 2 - x[1] ** 2
"""


def test_a_certificate_between_constraints_is_confirmed_from_its_file_and_not_by_another(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "between.py").write_text(BETWEEN)
    namespace = {}
    exec(compile(BETWEEN, str(tmp_path / "between.py"), "exec"), namespace)
    constraint = {"type": "ineq", "fun": namespace["circle"], "args": (5**0.5,)}
    result = steepest.minimize(namespace["cost"], [0.5, 0.5], constraints=constraint)
    result.certificate().save("c.json")
    assert main(["verify", "c.json", "--json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert checked["confirmed"] is True
    assert "multipliers push from a limit" in {row["claim"] for row in checked["claims"]}
    assert checked["verification"]["multipliers"]["circle"] == pytest.approx(0.5)
    (tmp_path / "between.py").write_text(BETWEEN + "# changed")
    assert main(["verify", "c.json", "--cost", "between.py:cost"]) == 2
    assert "constraints=" in capsys.readouterr().err
