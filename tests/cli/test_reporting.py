"""`--report`: the page is written, tells the command that made it, and a bad name is refused before any work."""

from __future__ import annotations

import json

import numpy as np
import pytest

from steepest.cli import main


def test_minimize_writes_a_page_that_tells_its_own_command(tmp_path, capsys):
    page = tmp_path / "walk page.html"
    assert main(["minimize", "x**2 - 2*x + 3", "--start", "3", "--report", str(page)]) == 0
    assert f"report: {page}" in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert "global minimum" in text
    assert "steepest minimize &#x27;x**2 - 2*x + 3&#x27; --start 3 --report" in text


def test_json_names_the_page_and_stays_one_object(tmp_path, capsys):
    page = tmp_path / "walk.html"
    assert main(["minimize", "abs(x)", "--start", "3", "--json", "--report", str(page)]) == 0
    assert json.loads(capsys.readouterr().out)["report"] == str(page)


def test_fit_writes_a_page_with_its_data(tmp_path, capsys):
    rng = np.random.default_rng(0)
    x = np.linspace(0, 4, 20)
    measured = 2 * np.exp(-x) + 0.02 * rng.normal(size=20)
    np.savetxt(tmp_path / "data.csv", np.c_[x, measured], delimiter=",", header="t,y", comments="")
    page = tmp_path / "fit.html"
    status = main(
        ["fit", "a*exp(-b*t)", str(tmp_path / "data.csv"), "--start", "a=1,b=2", "--report", str(page)]
    )
    assert status == 0, capsys.readouterr().err
    text = page.read_text(encoding="utf-8")
    assert "20 points as numbers" in text and "Four views of the residuals" in text
    assert "{&#x27;t&#x27;: x}" in text, "the call names what was measured as the expression does"


@pytest.mark.parametrize(("name", "words"), [("page.pdf", "ends in .html"), ("none/page.html", "no folder")])
def test_a_page_that_cannot_be_written_is_refused_before_the_cost_is_run(name, words, tmp_path, capsys):
    model = tmp_path / "model.py"
    model.write_text("def cost(x):\n    raise SystemExit('the cost was run')\n")
    assert main(["minimize", f"{model}:cost", "--start", "3", "--report", str(tmp_path / name)]) == 2
    assert words in capsys.readouterr().err
