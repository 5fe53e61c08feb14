"""`steepest doctor`: findings on the screen, as JSON, and in the exit status."""

import json

from steepest.cli import main


def test_a_healthy_cost_has_status_zero(capsys):
    assert main(["doctor", "x**2 - 2*x + 3", "--at", "3"]) == 0
    assert capsys.readouterr().out.startswith("nothing found")


def test_a_broken_one_has_status_one_and_names_the_line_of_the_file(tmp_path, capsys):
    (tmp_path / "model.py").write_text("import numpy as np\n\n\ndef cost(x):\n    return np.sum(np.log(x))\n")
    assert main(["doctor", f"{tmp_path / 'model.py'}:cost", "--at", "[1,-2]", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["healthy"] is False
    assert found["findings"][0]["line"] == 5
    assert found["findings"][0]["expression"] == "np.log(x)"
    assert "-2 (row 1)" in found["findings"][0]["sentence"]
