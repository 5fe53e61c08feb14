"""Formulas: their values and slopes at 50 digits against the costs they were read from, and how they look."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy
from numpy.testing import assert_allclose

from steepest.derivatives.symbolic import (
    differentiated,
    latex,
    plain,
    pretty,
    symbolic_of_expression,
    symbolic_of_jaxpr,
)
from steepest.derivatives.symbolic_primitives import MAX_ENTRIES, number
from steepest.errors import InputError, TracingError
from steepest.numerics import double_precision
from steepest.tracing.expressions import parse
from steepest.tracing.vocabulary import FUNCTIONS


def traced(function, example):
    with double_precision():
        return jax.make_jaxpr(function)(np.asarray(example, dtype=np.float64))


def formula_of(text):
    return symbolic_of_expression(parse(text))


def value_at(formula, values, digits=50):
    """The formula in high precision at the exact binary values of the doubles."""
    points = {symbol: sympy.Float(values[symbol.name], digits) for symbol in formula.free_symbols}
    return float(sympy.N(formula.subs(points), digits))


# --- how they look --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "formula", "slope"),
    [
        ("x**2 - 2*x + 3", "x**2 - 2*x + 3", "2*x - 2"),
        ("0.1*x", "0.1*x", "0.1"),
        ("2.0*x**2.0", "2*x**2", "4*x"),
        ("0.5*x**2 + x/3", "x**2/2 + x/3", "x + 1/3"),
        ("x**0.5", "sqrt(x)", "1/(2*sqrt(x))"),
        ("abs(x)", "Abs(x)", "sign(x)"),
        ("max(x, 0)", "Max(0, x)", "Heaviside(x)"),
        ("floor(x)*x", "x*floor(x)", "floor(x)"),
        ("where(x > 0, x**2, sin(x))", "Piecewise((x**2, x > 0), (sin(x), True))",
         "Piecewise((2*x, x > 0), (cos(x), True))"),
        ("a*exp(-b*x) + c", "a*exp(-b*x) + c", "-a*b*exp(-b*x)"),
        ("gamma(x)", "gamma(x)", "gamma(x)*polygamma(0, x)"),
        ("sin(pi*x)/e", "exp(-1)*sin(pi*x)", "pi*exp(-1)*cos(pi*x)"),
        ("1/0 + x", "oo", "0"),
    ],
)  # fmt: skip
def test_a_formula_and_its_derivative_read_as_people_write_them(text, formula, slope):
    assert plain(formula_of(text)) == formula
    assert plain(differentiated(formula_of(text), "x")) == slope


def test_formulas_are_shown_in_latex_and_over_several_lines():
    formula = formula_of("0.1*x**2/alpha")
    assert latex(formula) == r"\frac{0.1 x^{2}}{\alpha}"
    assert "0.1⋅x" in pretty(formula)
    assert len(pretty(formula).splitlines()) == 4


@pytest.mark.parametrize(
    ("value", "shown"),
    [(2.0, "2"), (-3, "-3"), (0.1, "0.1"), (1 / 3, "1/3"), (-0.5, "-1/2"), (2.5, "5/2"), (np.pi, "pi"), (np.e, "E"),
     (np.pi / 2, "pi/2"), (-2 * np.pi, "-2*pi"), (1e300, "1.0e+300"), (np.inf, "oo"), (np.nan, "nan"), (0.0, "0"),
     (np.True_, "True"), (1234567.5, "1234567.5")],
)  # fmt: skip
def test_numbers_are_shown_in_their_shortest_true_form(value, shown):
    assert plain(number(value)) == shown


def test_the_second_derivative_and_the_derivative_by_an_absent_name():
    rosenbrock = formula_of("(1-x)**2 + 100*(y-x**2)**2")
    assert sympy.expand(differentiated(rosenbrock, "x", 2) - formula_of("1200*x**2 - 400*y + 2")) == 0
    assert differentiated(rosenbrock, "z") == 0
    assert differentiated(rosenbrock, "x", 0) == rosenbrock
    with pytest.raises(InputError, match="order"):
        differentiated(rosenbrock, "x", -1)


# --- what they say --------------------------------------------------------------------------------------

TEXTS = [
    "x**2 - 2*x + 3",
    "(1-x)**2 + 100*(y-x**2)**2",
    "a*exp(-b*x) + c",
    "x**y/y**x + x**-3 - x**1.5",
    "where(x > y, x**2*y, sin(x)*y) + where(x == y, 1, 2)",
    "max(x, y, 0.3)*min(x, y**2)",
    "hypot(x - 3, y)/logaddexp(x, 2*y)",
    "erf(x)*erfc(y) + gamma(x)*gammaln(y) + expit(x - y)",
    "atan2(x, y)*cbrt(x - 5) + abs(x - y)*sign(x - y)",
    "floor(3*x)*x + round(4*x)*y + ceil(y)*x*y",
    "log(1 + (1 + x**2)**0.1)/(1.7 + cos(pi*x)*tanh(y))",
]


@pytest.mark.parametrize("text", TEXTS)
def test_value_and_slope_agree_with_the_evaluated_expression(text):
    expression = parse(text)
    values = dict(zip(expression.names, (0.83, 1.37, 0.61, 2.19), strict=False))
    formula = symbolic_of_expression(expression)
    assert_allclose(value_at(formula, values), expression.evaluate(values), rtol=1e-13)
    for name in expression.names:
        # Fourth-order central differences of our own evaluation, good to about 1e-9.
        h = 1e-3
        f = [expression.evaluate({**values, name: values[name] + k * h}) for k in (-2, -1, 1, 2)]
        difference = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)
        assert_allclose(value_at(differentiated(formula, name), values), difference, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "where"])
def test_every_function_has_a_formula_with_its_value_and_its_slope(name):
    count = FUNCTIONS[name].fewest
    names = ("x", "y")[:count]
    points = (1.25, 2.5) if "acosh" in name or "arccosh" in name else (0.3, 0.85)
    values = dict(zip(names, points, strict=False))
    expression = parse(f"{name}({', '.join(names)})")
    formula = symbolic_of_expression(expression)
    assert_allclose(value_at(formula, values), expression.evaluate(values), rtol=1e-13)
    with mpmath.workdps(50):
        smooth = sympy.lambdify(sorted(formula.free_symbols, key=str), formula, "mpmath")
        if name == "round":  # SymPy's code printer does not know it; it is flat
            smooth = mpmath.nint
        others = [mpmath.mpf(point) for point in points[1:count]]
        true = mpmath.diff(lambda x: smooth(x, *others), mpmath.mpf(points[0]))
    assert_allclose(value_at(differentiated(formula, "x"), values), float(true), rtol=1e-13, atol=1e-30)


@pytest.mark.parametrize(
    "text", ["9**300*x", "gamma(1000)*x", "floor(exp(exp(9)))*x", "((9**300)**900)**900*x", "(1/3)**900*x",
             "((4/3)**100/3e12)**900*x", "where(exp(exp(exp(exp(9)))) > 1, x, 2)", "gammaln(1e15)*x", "log(-1)*x"]
)  # fmt: skip
def test_huge_constants_are_shown_as_floats(text):
    shown = plain(formula_of(text))
    assert len(shown) < 60


def test_an_expression_that_compares_nan_has_no_formula():
    with pytest.raises(InputError, match="has no formula"):
        formula_of("where(0/0 > x, 1, 2)")


# --- traced functions -----------------------------------------------------------------------------------

A = np.array([[3.0, 1.0, 0.5], [1.0, 2.0, 0.0], [0.5, 0.0, 1.0]])


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        (lambda x: x[0] ** 2 - 2 * x[1] + 3, "a**2 - 2*b + 3"),
        (lambda x: 0.1 * x @ x, "0.1*(a**2 + b**2 + c**2)"),
        (lambda x: jnp.prod(x) / 3, "a*b*c/3"),
        (lambda x: jnp.sin(jnp.pi * x[0]), "sin(pi*a)"),
        (lambda x: jax.nn.logsumexp(x), "log(exp(a) + exp(b) + exp(c))"),
        (lambda x: jnp.logaddexp(x[0], x[1]), "log(exp(a) + exp(b))"),
        (lambda x: jnp.hypot(x[0], x[1]), "sqrt(a**2 + b**2)"),
        (lambda x: jnp.linalg.norm(x), "sqrt(a**2 + b**2 + c**2)"),
        (lambda x: jax.scipy.special.gamma(x[0]), "gamma(a)"),
        (lambda x: jnp.where(x[0] > 0, x[0] ** 2, x[1]), "Piecewise((a**2, a > 0), (b, True))"),
        (lambda x: x[np.array([2, 0])].sum(), "a + c"),
        (lambda x: jax.lax.fori_loop(0, 4, lambda k, y: y * x[0], 1.0), "a**4"),
        (lambda x: jnp.power(x[0], 1 / 3) + x[1] ** 2.0, "a**(1/3) + b**2"),
        (lambda x: jax.checkpoint(jnp.sin)(x[0]), "sin(a)"),
        (lambda x: jax.nn.relu(x[0]), "Max(0, a)"),
    ],
)
def test_a_traced_function_gives_the_formula_it_was_written_as(function, formula):
    assert plain(symbolic_of_jaxpr(traced(function, np.ones(3)), "abc")) == formula


def test_a_traced_function_of_one_number_gives_the_lesson():
    formula = symbolic_of_jaxpr(traced(lambda x: x**2 - 2 * x + 3, 0.0), ["x"])
    assert plain(formula) == "x**2 - 2*x + 3"
    assert plain(differentiated(formula, "x")) == "2*x - 2"


TRACED = {
    "arithmetic": lambda x: (x[0] + 2) * x[1] / (1 + x[2] ** 2) - x[0] ** x[1] + (-x[2]) ** 3,
    "elementary": lambda x: jnp.sum(
        jnp.exp(x) + jnp.log(x) + jnp.sqrt(x) + jnp.cbrt(x) + jnp.exp2(x) + jnp.tanh(x)
    ),
    "trigonometric": lambda x: jnp.sum(jnp.sin(x) * jnp.cos(x) + jnp.tan(x) - jnp.arctan2(x, 2 * x[::-1])),
    "inverse": lambda x: jnp.sum(
        jnp.arcsin(x) * jnp.arccos(x) + jnp.arctan(x) + jnp.arcsinh(x) + jnp.arctanh(x)
    ),
    "special": lambda x: jnp.sum(jax.scipy.special.erf(x) + jax.scipy.special.gammaln(x) + jax.nn.sigmoid(x)),
    "small differences": lambda x: jnp.sum(
        jnp.expm1(x) + jnp.log1p(x) + jax.lax.rsqrt(x) + jax.scipy.special.erfc(x)
    ),
    "quadratic": lambda x: 0.5 * x @ A @ x - np.array([1.0, 0.1, 0.25]) @ x,
    "steps": lambda x: jnp.sum(x * jnp.floor(3 * x) + jnp.ceil(x) + jnp.round(4 * x) * x + jnp.mod(x, 0.3)),
    "choices": lambda x: jnp.sum(jnp.where((x > 0.4) & ~(x > 0.7), x**2, 1 / x) + jnp.clip(x, 0.3, 0.6)),
    "extremes": lambda x: (
        jnp.max(x) * jnp.min(x) + jnp.maximum(x[0], x[1]) - jnp.abs(x[2] - 2) * jnp.sign(x[0])
    ),
    "statistics": lambda x: jnp.mean(x) + jnp.var(x) * jnp.std(x) + jnp.prod(x),
    "shapes": lambda x: jnp.sum(jnp.outer(x, x).T.reshape(9)[2:7:2] * jnp.stack([x[2], x[0], x[1]])),
    "padding": lambda x: jnp.sum(jnp.pad(x, (1, 2), constant_values=2.0)[1:5] * jnp.tile(x, 2)[:4]),
    "convolution": lambda x: jnp.convolve(x, jnp.array([1.0, -2.0, 0.5])) @ jnp.arange(5.0),
    "running sums": lambda x: jnp.cumsum(x) @ jnp.cumprod(x) + jnp.diff(x) @ jnp.diff(x),
    "assignment": lambda x: jnp.sum(jnp.zeros(5).at[np.array([0, 3, 3])].add(x).at[1].set(x[0] * x[1]) ** 2),
    "polynomials": lambda x: jnp.polyval(x, 0.7) + jnp.polyval(np.array([1.0, 2.0, 3.0]), x[0]),
    "interpolation": lambda x: jnp.interp(0.3, np.array([0.0, 1.0, 2.0]), x),
    "branches": lambda x: jax.lax.cond(x[0] > 0.5, lambda y: y @ y, lambda y: jnp.sum(y), x),
    "softmax": lambda x: jax.nn.softmax(x) @ jnp.arange(3.0),
    "batched products": lambda x: jnp.sum(
        jnp.einsum("bi,bij->bj", jnp.outer(x, x), jnp.arange(27.0).reshape(3, 3, 3))
    ),
}


@pytest.mark.parametrize("name", TRACED)
def test_formulas_of_traced_functions_have_their_value_and_their_gradient(name):
    function, point = TRACED[name], np.array([0.32, 0.55, 0.83])
    formula = symbolic_of_jaxpr(traced(function, point), "abc")
    with double_precision():
        value, gradient = jax.jit(jax.value_and_grad(function))(point)
    values = dict(zip("abc", point.tolist(), strict=True))
    assert_allclose(value_at(formula, values), value, rtol=1e-12)
    slopes = [value_at(differentiated(formula, name), values) for name in "abc"]
    assert_allclose(slopes, gradient, rtol=1e-11, atol=1e-13)


def test_the_jaxpr_of_a_gradient_gives_an_array_of_formulas():
    gradient = jax.grad(lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2)
    formulas = symbolic_of_jaxpr(traced(gradient, np.ones(2)), "xy")
    assert formulas.shape == (2,)
    rosenbrock = formula_of("(1-x)**2 + 100*(y-x**2)**2")
    for formula, name in zip(formulas, "xy", strict=True):
        assert sympy.expand(formula - differentiated(rosenbrock, name)) == 0


def test_a_users_function_with_the_name_of_a_known_one_keeps_its_own_meaning():
    @jax.jit
    def hypot(a, b):
        return a + b

    assert plain(symbolic_of_jaxpr(traced(lambda x: hypot(x[0], x[1]), np.ones(2)), "ab")) == "a + b"


def test_an_operation_without_a_symbol_is_named_with_the_users_line():
    def middle(x):
        return jnp.sort(x)[1]

    with pytest.raises(TracingError, match=r"test_symbolic.py, line \d+, in .*middle: the operation `sort`"):
        symbolic_of_jaxpr(traced(middle, np.ones(3)), "abc")
    with pytest.raises(TracingError, match="index depends on a parameter"):
        symbolic_of_jaxpr(traced(lambda x: x[x[0].astype(int)], np.ones(3)), "abc")


def test_a_formula_too_long_to_read_is_refused():
    data = np.arange(float(MAX_ENTRIES))
    with pytest.raises(TracingError, match="which nobody could read"):
        symbolic_of_jaxpr(traced(lambda x: jnp.sum((x[0] * data - 1) ** 2), np.ones(1)), "a")


def test_names_must_match_the_entries():
    with pytest.raises(InputError, match="2 names for 3 entries"):
        symbolic_of_jaxpr(traced(jnp.sum, np.ones(3)), "ab")
