"""`steepest fit` from the table to the screen."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import fit
from steepest.cli import main
from steepest.cli.explore import asked

X = np.linspace(0.0, 5.0, 30)
Y = 3.0 * np.exp(-1.2 * X) + 0.5 + 0.05 * np.random.default_rng(0).normal(size=X.size)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "data.csv"
    np.savetxt(path, np.c_[X, Y, np.full(30, 0.05)], delimiter=",", header="x,y,s", comments="")
    return str(path)


def told(capsys, *args):
    status = main([*args, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_it_finds_what_the_call_finds(capsys, table):
    status, found = told(
        capsys, "fit", "a*exp(-b*x)+c", table, "--start", "a=1,b=0.5,c=0", "--sigma", "s", "--noise", "known"
    )
    call = fit("a*exp(-b*x)+c", X, Y, [1.0, 0.5, 0.0], sigma=0.05, noise="known")
    assert status == 0
    assert_allclose(list(found["values"].values()), call.params, rtol=1e-8)
    assert_allclose(list(found["errors"].values()), np.asarray(call.errors), rtol=1e-6)


def test_a_start_may_be_left_out_and_ready_made_models_added(capsys, table):
    status, found = told(capsys, "fit", "exponential_decay + constant", table, "--x", "x", "--y", "y")
    assert status == 0 and found["start_from"] == "guess"
    assert_allclose(found["values"]["rate"], 1.2, atol=0.15)


def test_bounds_fixed_and_tied_parameters_are_kept(capsys, table):
    _, found = told(
        capsys, "fit", "a*exp(-b*x)+c", table, "--start", "1,1,1", "--bounds", "b=:0.9", "--tied", "c=a/6"
    )
    assert found["values"]["b"] == 0.9
    assert_allclose(found["values"]["c"], found["values"]["a"] / 6)
    _, held = told(capsys, "fit", "a*exp(-b*x)+c", table, "--start", "1,1,1", "--fixed", "c=0.5")
    assert held["values"]["c"] == 0.5


def test_it_prints_values_with_errors_and_profiles(capsys, table):
    assert main(["fit", "a*exp(-b*x)+c", table, "--start", "a=1,b=0.5,c=0", "--profile"]) == 0
    out = capsys.readouterr().out
    assert "±" in out and "intervals from the profile" in out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--y", "z"], "there is no column 'z'"),
        (["--bounds", "b"], "NAME=LOW:HIGH"),
        (["--fixed", "1"], "names and values"),
        (["--sigma", "q"], "there is no column 'q'"),
    ],
)
def test_mistakes_are_named(capsys, table, args, words):
    assert main(["fit", "a*exp(-b*x)+c", table, *args]) == 2
    assert words in capsys.readouterr().err


def test_a_missing_table_is_named(capsys, tmp_path):
    assert main(["fit", "a*x", str(tmp_path / "none.csv")]) == 2
    assert "no file" in capsys.readouterr().err


def test_columns_without_a_name_are_not_taken_for_x(capsys, tmp_path):
    """pandas writes the numbers of the rows first, under no name."""
    path = tmp_path / "data.csv"
    rows = "\n".join(f"{k},{x!r},{y!r}" for k, (x, y) in enumerate(zip(X.tolist(), Y.tolist(), strict=True)))
    path.write_text(",time,count\n" + rows)
    _, found = told(capsys, "fit", "a*exp(-b*time)+c", str(path), "--start", "1,1,1")
    call = fit("a*exp(-b*x)+c", X, Y, [1.0, 1.0, 1.0])
    assert_allclose(list(found["values"].values()), call.params, rtol=1e-8)


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["gausian + line"], "did you mean 'gaussian'"),
        (["a*exp(-b*x)+c", "--bounds", "b=1:0"], "the bounds of b leave nothing"),
        (["a*exp(-b*x)+c", "--tied", "c=2*q"], "holds q, and the parameters are a, b, c"),
    ],
)
def test_what_cannot_be_meant_is_told_with_what_to_write(capsys, table, args, complaint):
    assert main(["fit", args[0], table, *args[1:]]) == 2
    assert complaint in capsys.readouterr().err


def test_the_remedy_for_gaps_is_the_option_of_the_command(capsys, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("x,y\n0,1\n1,\n2,3\n3,4\n")
    assert main(["fit", "a*x + b", str(path)]) == 2
    assert "write --omit-nan to leave" in capsys.readouterr().err
    assert main(["fit", "a*x + b", str(path), "--omit-nan"]) == 0


def test_a_model_in_which_no_column_stands_is_answered_with_the_columns(capsys, table):
    assert main(["fit", "a*exp(-b*q)", table]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "the model holds a, b, q, and the table x, y, s: write x in the model" in said
    assert main(["fit", "a*exp(-b*t)+c", table, "--start", "1,1,1"]) == 0  # t is what x is often called


def test_a_table_in_front_of_the_model_is_answered_with_the_order(capsys, table):
    assert main(["fit", table, "a*x + b"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "the model comes first" in said and 'steepest fit "a*x + b"' in said


def test_an_expression_too_long_for_the_name_of_a_file_is_still_one(capsys, table):
    long = "a*exp(-b*x)+c" + " + 0*exp(-b*x)" * 20
    assert len(long) > 255
    status, found = told(capsys, "fit", long, table, "--start", "a=1,b=0.5,c=0")
    assert status == 0
    assert_allclose(
        list(found["values"].values()), fit("a*exp(-b*x)+c", X, Y, [1.0, 0.5, 0.0]).params, rtol=1e-7
    )
    assert main(["fit", table, long]) == 2
    assert "the model comes first" in " ".join(capsys.readouterr().err.split())
    assert asked(long, model=None, start=None, cost=None, x=None, y=None).cost == long
