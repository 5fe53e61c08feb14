"""`steepest fit` from the table to the screen."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from steepest import fit
from steepest.cli import main

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
