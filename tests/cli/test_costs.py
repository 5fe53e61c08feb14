"""A cost named on the command line: an expression, or a function in the user's file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from steepest.cli.costs import read_cost
from steepest.cli.reading import read_places
from steepest.errors import ExpressionError, InputError

MODEL = """
import numpy as np
from helper import lowest

def cost(x):
    return (x - lowest) ** 2

def valley(x, y):
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2

SCALE = 3
"""


@pytest.fixture
def model(tmp_path) -> Path:
    (tmp_path / "helper.py").write_text("lowest = 2.0\n")
    path = tmp_path / "people_model.py"
    path.write_text(MODEL)
    yield path
    for name in ("helper", "people_model"):
        sys.modules.pop(name, None)


def at(text: str):
    return read_places([text], "--at")


def test_an_expression_takes_values_in_order_of_appearance_or_by_name():
    cost = read_cost("(1-x)**2 + 100*(y-x**2)**2")
    assert cost.names == ("x", "y")
    assert cost.places(at("3,4"), "--at") == [{"x": 3.0, "y": 4.0}]
    assert cost.places(at("y=4,x=3"), "--at") == [{"x": 3.0, "y": 4.0}]


def test_for_one_parameter_a_list_holds_places():
    assert read_cost("x**2").places(at("-1,1,3"), "--at") == [-1.0, 1.0, 3.0]
    assert read_cost("x**2").places(at("x=5"), "--at") == [5.0]


def test_an_expression_that_begins_with_a_minus_keeps_it():
    assert read_cost(" -x**2").fun == "-x**2"


def test_a_function_is_loaded_with_its_neighbours_and_under_its_own_name(model):
    before = list(sys.path)
    cost = read_cost(f"{model}:cost")
    assert cost.fun(5.0) == 9.0
    assert cost.fun.__module__ == "people_model"
    assert cost.label == "people_model.py:cost"
    assert sys.path == before


def test_a_function_of_several_arguments_takes_them_by_name_or_in_order(model):
    cost = read_cost(f"{model}:valley")
    assert (
        cost.start(at("1,2")[0], "--start") == cost.start(at("y=2,x=1")[0], "--start") == {"x": 1.0, "y": 2.0}
    )


def test_a_function_of_one_argument_takes_a_number_an_array_or_a_dict(model):
    cost = read_cost(f"{model}:cost")
    assert cost.start(at("3")[0], "--start") == 3.0
    assert cost.start(at("x=3")[0], "--start") == 3.0
    assert isinstance(cost.start(at("1,2")[0], "--start"), np.ndarray)
    assert cost.start(at("a=1,b=2")[0], "--start") == {"a": 1.0, "b": 2.0}


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("vally", "did you mean valley"), ("", "say which function"), ("SCALE", "is no function: its type is int"),
     ("zzz", "it has cost, valley")],
)  # fmt: skip
def test_a_wrong_name_is_told_what_is_there(model, name, complaint):
    with pytest.raises(InputError, match=complaint):
        read_cost(f"{model}:{name}")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*gone\.py"):
        read_cost(f"{tmp_path}/gone.py:cost")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [("x = 1\ny = undefined\n", r"broken\.py, line 2: NameError: name 'undefined'.*\n    y = undefined"),
     ("def f(:\n", r"broken\.py, line 1: SyntaxError")],
)  # fmt: skip
def test_an_error_in_the_file_is_told_with_its_line(tmp_path, source, complaint):
    path = tmp_path / "broken.py"
    path.write_text(source)
    with pytest.raises(InputError, match=complaint):
        read_cost(f"{path}:f")
    assert "broken" not in sys.modules


@pytest.mark.parametrize(
    ("cost", "typed", "complaint"),
    [("x*y", "1", "has 2 parameters"), ("x*y", "x=1", "no value for y"), ("x*y", "x=1,z=2", "no parameter 'z'"),
     ("x**2", "[1,2]", "has one parameter")],
)  # fmt: skip
def test_values_that_do_not_fit_the_parameters_are_refused(cost, typed, complaint):
    with pytest.raises(InputError, match=complaint):
        read_cost(cost).places(at(typed), "--at")


def test_an_expression_error_points_at_the_character():
    with pytest.raises(ExpressionError):
        read_cost("x**2 +* 3")
