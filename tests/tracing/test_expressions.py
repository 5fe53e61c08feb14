"""Expressions: values against other evaluators, texts and trees back and forth, and every kind of wrong text."""

from __future__ import annotations

import ast
import inspect
import math
import operator
import subprocess
import sys

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from steepest.errors import ExpressionError, InputError
from steepest.tracing.expressions import MAX_POWER, parse
from steepest.tracing.grammar import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_NODES,
    Call,
    Chain,
    Comparison,
    Constant,
    Negative,
    Number,
    Power,
    Variable,
    children,
    read,
    to_text,
    variables,
)
from steepest.tracing.vocabulary import CONSTANTS, FUNCTIONS

# --- values ---------------------------------------------------------------------------------------------


def test_the_lesson_and_the_rosenbrock_function_have_their_known_values():
    assert parse("x**2 - 2*x + 3")(1.0) == 2.0
    assert parse("(1-x)**2 + 100*(y-x**2)**2")(0.0, 1.0) == 101.0
    assert parse("a*exp(-b*t)+c").evaluate({"t": 0.0, "a": 2.0, "b": 7.0, "c": 1.0}) == 3.0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-2**2", -4.0),
        ("2**-1", 0.5),
        ("2**3**2", 512.0),
        ("(2**3)**2", 64.0),
        ("-2**-2", -0.25),
        ("2*-3", -6.0),
        ("1 - -1", 2.0),
        ("8/4/2", 1.0),
        ("8/(4/2)", 4.0),
        ("1 - 2 - 3", -4.0),
        ("+3 - +2", 1.0),
        ("1e3 + .5 + 2. + 1.5E-1", 1002.65),
        ("7/2", 3.5),
        ("max(1, 3, 2) - min(4, 5, 6)", -1.0),
        ("where(2 >= 2, 1, 0) + where(2 != 2, 10, 20)", 21.0),
        ("where((1 < 2), 5, 6)", 5.0),
        ("round(2.5) + floor(-0.5) + ceil(0.5)", 2.0),
        ("4 − 2·3×1", -2.0),
        ("cbrt(-8)", -2.0),
    ],
)
def test_precedence_and_numbers_are_those_of_python(text, value):
    assert_allclose(parse(text)(), value, rtol=1e-15)


TRUE_VALUES = {
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "abs": abs,
    "cbrt": mpmath.cbrt,
    "square": lambda x: x**2,
    "arcsin": mpmath.asin,
    "arccos": mpmath.acos,
    "arctan": mpmath.atan,
    "arctan2": mpmath.atan2,
    "arcsinh": mpmath.asinh,
    "arccosh": mpmath.acosh,
    "arctanh": mpmath.atanh,
    "round": mpmath.nint,
    "min": min,
    "minimum": min,
    "max": max,
    "maximum": max,
    "logaddexp": lambda x, y: mpmath.log(mpmath.exp(x) + mpmath.exp(y)),
    "gammaln": mpmath.loggamma,
    "lgamma": mpmath.loggamma,
    "expit": lambda x: 1 / (1 + mpmath.exp(-x)),
}


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "where"])
def test_every_function_agrees_with_fifty_digit_arithmetic(name):
    points = (1.25, 2.5) if "acosh" in name or "arccosh" in name else (0.3, 0.85)
    count = FUNCTIONS[name].fewest
    names = ("x", "y")[:count]
    with mpmath.workdps(50):
        true = TRUE_VALUES.get(name) or getattr(mpmath, name)
        expected = float(true(*map(mpmath.mpf, points[:count])))
    assert_allclose(parse(f"{name}({', '.join(names)})")(*points[:count]), expected, rtol=4e-15)


@pytest.mark.parametrize(
    "text", ["1/x", "log(x - 1)", "x**-1", "0/x", "(x - 1)**0.5", "exp(1000 + x)", "log(x)"]
)
def test_trouble_is_infinity_or_nan_and_never_an_exception_or_a_warning(text, recwarn):
    value = parse(text)(0)
    assert isinstance(value, np.float64)
    assert not np.isfinite(value)
    assert not recwarn.list


def test_numbers_of_any_kind_are_taken_as_double_precision():
    inverse = parse("x**-1")
    for value in (2, True + True, np.int64(2), np.float64(2), [2, 2], np.array([2, 2])):
        assert_array_equal(inverse(value), np.full(np.shape(value), 0.5))
        assert inverse(value).dtype == np.float64


def test_arrays_broadcast_and_are_left_as_they_were():
    t, a = np.linspace(0, 1, 4), np.array([[1.0], [2.0]])
    kept = t.copy()
    result = parse("a*exp(-t) + where(t > 0.5, max(t, a), e)")(a, t)
    expected = a * np.exp(-t) + np.where(t > 0.5, np.maximum(t, a), math.e)
    assert_array_equal(result, expected)
    assert_array_equal(t, kept)


class Recorder:
    """An array look-alike that writes down which NumPy functions and powers reach it."""

    def __init__(self, log):
        self.log = log

    def __array_ufunc__(self, ufunc, method, *inputs, **keywords):
        self.log.append((ufunc.__name__, [x for x in inputs if not isinstance(x, Recorder)]))
        return Recorder(self.log)

    def __array_function__(self, function, types, args, kwargs):
        self.log.append((function.__name__, []))
        return Recorder(self.log)

    def __pow__(self, exponent):
        self.log.append(("power", [exponent]))
        return Recorder(self.log)

    def __gt__(self, other):
        self.log.append(("greater", [other]))
        return Recorder(self.log)

    def __neg__(self):
        self.log.append(("negative", []))
        return Recorder(self.log)


def test_an_array_look_alike_is_followed_through_numpy_with_whole_powers_as_python_integers():
    log = []
    result = parse("where(x > 0, 2*exp(x**2), x**-3)")(Recorder(log))
    assert isinstance(result, Recorder)
    assert [name for name, _ in log] == ["greater", "power", "exp", "multiply", "power", "where"]
    assert [type(others[0]) for name, others in log if name == "power"] == [int, int]


def test_names_come_in_order_of_first_appearance_without_constants():
    assert parse("a*exp(-b*t) + pi*c*a + e + π").names == ("a", "b", "t", "c")
    assert parse("3*pi").names == ()


def test_an_expression_is_labelled_compared_and_hashed_by_its_text():
    first, again, other = parse("x + 1"), parse("x + 1"), parse("x+1")
    assert first == again and hash(first) == hash(again) and first != other
    assert str(first) == first.__name__ == "x + 1"
    assert str(other.tree) == "x + 1" and first.tree == other.tree
    assert list(inspect.signature(parse("b - a")).parameters) == ["b", "a"]


def test_the_error_shows_the_character_and_only_its_surroundings():
    message = str(read_or_refusal("a*exp(-b t) + c"))
    assert message.splitlines()[1:] == ["  a*exp(-b t) + c", "           ^"]
    long = str(read_or_refusal("x +\n" * 1_000 + "$" + "+ x" * 1_000)).splitlines()
    assert len(long) == 3 and max(map(len, long)) < 120
    assert long[1][long[2].index("^")] == "$"


def test_wrong_values_are_input_errors():
    line = parse("a*x + b")
    with pytest.raises(InputError, match="no value for `x`, `b`"):
        line.evaluate({"a": 1.0})
    with pytest.raises(InputError, match="takes 3 values"):
        line(1.0)
    with pytest.raises(InputError, match="is a string"):
        parse(3.0)


def test_reading_and_evaluating_imports_neither_scipy_nor_sympy_nor_jax():
    program = (
        "import sys; from steepest.tracing.expressions import parse; parse('exp(x) + max(x, 1)')(1.0);"
        "print(sorted({'scipy', 'sympy', 'jax'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# --- wrong texts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("", 0, "empty"),
        ("  ", 0, "empty"),
        ("2x", 1, r"write 2\*x"),
        ("2(x)", 1, r"write 2\*\("),
        ("x y", 2, r"write x\*y"),
        ("(x)(y)", 3, "operator is missing"),
        ("1_000", 1, "without _"),
        ("x^2", 1, r"\*\* for powers"),
        ("x²", 1, r"\*\*2"),
        ("a//b", 1, "floor"),
        ("a % b", 2, "remainder"),
        ("y = x", 2, "right-hand side"),
        ("x := 3", 2, "assigned"),
        ("f(x=2)", 0, "no function `f`"),
        ("exp(x=2)", 5, "no ="),
        ("lambda x: x", 0, "lambda"),
        ("x if y else z", 2, "where"),
        ("x and y", 2, "where"),
        ("where(not x, 1, 2)", 6, "exchange"),
        ("where(0 < x < 1, 1, 2)", 12, "one comparison at a time"),
        ("where(x > 0, 1)", 0, "3 arguments, here are 2"),
        ("where(x, 1, 2)", 6, "is a comparison"),
        ("x > 0", 2, "only first in where"),
        ("2*(x > 0)", 5, "only first in where"),
        ("exp(x > 0)", 6, "only first in where"),
        ("where(x > 0, y > 0, 1)", 15, "only first in where"),
        ("sin", 0, r"write sin\(x\)"),
        ("sin*2", 0, "is a function"),
        ("sin x", 0, "is a function"),
        ("hypot(x)", 0, "2 arguments, here are 1"),
        ("max(x)", 0, "2 arguments or more"),
        ("exp()", 0, "1 argument, here are 0"),
        ("3 + sine(x)", 4, "did you mean `sin`"),
        ("Exp(x)", 0, "did you mean `exp`"),
        ("ln(x)", 0, r"write log\(x\)"),
        ("k(x + 1)", 0, r"write k\*"),
        ("pi(x)", 0, "is a number"),
        ("np.sin(x)", 2, "attributes"),
        ("x.real", 1, "attributes"),
        ("x[0]", 1, "subscripts"),
        ("{x}", 0, "braces"),
        ("'x'", 0, "strings"),
        ('f"x"', 1, "strings"),
        ("__import__('os')", 0, "no function"),
        ("x; y", 1, "one formula"),
        ("x # note", 2, "comments"),
        ("x @ y", 2, "matrices"),
        ("n!", 1, "factorial"),
        ("|x|", 0, "abs"),
        ("(x", 0, "never closed"),
        ("exp(x", 3, "never closed"),
        ("(", 0, "never closed"),
        ("x)", 1, "never opened"),
        ("exp(x,)", 6, "missing before"),
        ("x +", 3, "ends too early"),
        ("* x", 0, r"missing before \*"),
        ("1,5", 1, "comma"),
        ("1e999", 0, "too large"),
        ("x**5000", 3, "up to 1,000"),
        ("x**-5000", 3, "up to 1,000"),
        ("9**9**9**9", 6, "up to 1,000"),
        ("x**(0/0)", 3, "not a number"),
        ("x**(1/0)", 3, "up to 1,000"),
        ("None", 0, "word of Python"),
        ("x\0", 1, "U\\+0000"),
        ("\ud800", 0, "U\\+D800"),
        ("$x", 0, "no meaning"),
        ("a" * 101, 0, "more than 100 characters"),
    ],
)
def test_a_wrong_text_is_an_error_at_its_character_that_says_what_to_write(text, position, words):
    with pytest.raises(ExpressionError, match=words) as caught:
        parse(text)
    assert caught.value.position == position
    assert caught.value.text == text


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000,
        "(" * 4_000 + "x" + ")" * 4_000,
        "-" * 9_000 + "x",
        "+" * 9_000 + "x",
        "x**" * 3_000 + "x",
        "sin(" * 2_000 + "x" + ")" * 2_000,
        "x+" * 4_500 + "x",
        "x" * (MAX_LENGTH + 1),
        "1" * MAX_LENGTH,
        "9**" * 30 + "9",
        "(" * MAX_DEPTH + "9**9" + ")**9" * MAX_DEPTH + "**9999",
    ],
)
def test_oversized_texts_are_refused(text):
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert 0 <= caught.value.position <= len(text)


def test_texts_at_the_limits_are_read_and_evaluated():
    assert parse("+".join(["x"] * (MAX_NODES // 2)))(1.0) == MAX_NODES // 2
    assert parse("(" * MAX_DEPTH + "x" + ")" * MAX_DEPTH)(3.0) == 3.0
    deepest = "1+2*(" * MAX_DEPTH + "x" + ")" * MAX_DEPTH
    assert parse(str(parse(deepest).tree)).tree == parse(deepest).tree
    assert np.isfinite(parse(deepest)(3.0))
    assert parse(f"x**{MAX_POWER}")(1.0) == 1.0


# --- by chance ------------------------------------------------------------------------------------------

NAMES = ("x", "y", "rate", "x1", "α", "_t")
SIGNS = ("<", "<=", ">", ">=", "==", "!=")
numbers = st.one_of(
    st.integers(0, 9).map(lambda whole: Number(float(whole))),
    st.floats(0, 1e300, allow_nan=False, allow_infinity=False).map(lambda value: Number(abs(value))),
)
leaves = st.one_of(
    numbers, st.sampled_from(NAMES).map(Variable), st.sampled_from(sorted(CONSTANTS)).map(Constant)
)


def _chains(parts, signs):
    lengths = st.integers(2, 4)
    return lengths.flatmap(
        lambda n: st.builds(
            Chain,
            st.tuples(*[st.sampled_from(signs)] * (n - 1)),
            st.tuples(*[parts] * n),
        )
    )


def _calls(parts):
    def call(name):
        function = FUNCTIONS[name]
        if name == "where":
            condition = st.builds(Comparison, st.sampled_from(SIGNS), parts, parts)
            return st.builds(Call, st.just(name), st.tuples(condition, parts, parts))
        counts = st.just(function.fewest) if function.most else st.integers(2, 3)
        return counts.flatmap(lambda n: st.builds(Call, st.just(name), st.tuples(*[parts] * n)))

    return st.sampled_from(sorted(FUNCTIONS)).flatmap(call)


def _larger(parts):
    powers = st.builds(Power, parts, st.one_of(st.integers(0, 9).map(lambda k: Number(float(k))), parts))
    return st.one_of(
        st.builds(Negative, parts), _chains(parts, "+-"), _chains(parts, "*/"), powers, _calls(parts)
    )


trees = st.recursive(leaves, _larger, max_leaves=20)


def _depth(node):
    return 1 + max((_depth(child) for child in children(node)), default=0)


@given(trees)
def test_a_printed_tree_reads_back_as_the_same_tree(tree):
    assume(_depth(tree) < 20)
    text = to_text(tree)
    again = read(text)
    assert again == tree
    assert to_text(again) == text == str(tree)
    assert variables(again) == variables(tree)


PYTHON = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def python_value(node, values):
    """The value Python's own grammar gives the same text, on NumPy numbers."""
    match node:
        case ast.Expression():
            return python_value(node.body, values)
        case ast.Constant():
            return np.float64(node.value)
        case ast.Name():
            return np.float64(values[node.id])
        case ast.UnaryOp():
            return -python_value(node.operand, values)
        case ast.BinOp():
            return PYTHON[type(node.op)](python_value(node.left, values), python_value(node.right, values))
        case ast.Compare():
            return PYTHON[type(node.ops[0])](
                python_value(node.left, values), python_value(node.comparators[0], values)
            )
        case ast.Call():
            arguments = [python_value(argument, values) for argument in node.args]
            function = FUNCTIONS[node.func.id]
            if function.most is None and len(arguments) == 3:
                return function.numeric()(function.numeric()(*arguments[:2]), arguments[2])
            return function.numeric()(*arguments)
    raise AssertionError(ast.dump(node))


@given(trees)
def test_values_agree_with_python_reading_the_same_text(tree):
    assume(_depth(tree) < 20)
    text = to_text(tree)
    expression = read_or_refusal(text)
    if isinstance(expression, ExpressionError):
        assert "this power" in expression.reason  # the only thing a tree of the grammar can have wrong
        return
    values = {name: 0.5 + k for k, name in enumerate(NAMES)}
    with np.errstate(all="ignore"):
        expected = python_value(ast.parse(text, mode="eval"), {**values, **CONSTANTS})
    assert_allclose(expression.evaluate(values), expected, rtol=1e-9)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_position(text):
    _read_or_refused(text)


SIGNS_AND_NUMBERS = "( ( ( ) ) ) + - * / ** , < > == <= = . ^ & [ ] ' \" 1 2.5 1e3 1e if π ² −".split()
PIECES = [*FUNCTIONS, *NAMES, *SIGNS_AND_NUMBERS, " ", "\n"]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_pieces_of_the_grammar_are_read_or_refused_with_a_position(text):
    _read_or_refused(text)


def read_or_refusal(text):
    try:
        return parse(text)
    except ExpressionError as error:
        return error


def _read_or_refused(text):
    outcome = read_or_refusal(text)
    if isinstance(outcome, ExpressionError):
        assert 0 <= outcome.position <= len(text)
        assert outcome.reason
    else:
        assert read(str(outcome.tree)) == outcome.tree
        value = outcome(*[1.5] * len(outcome.names))
        assert np.asarray(value).dtype == np.float64
