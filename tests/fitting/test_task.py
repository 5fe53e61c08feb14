"""How models, starts, fixed and tied parameters may be written; the same fit written otherwise is the same fit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from steepest import InputError, TracingError, fit, models
from tests.decays import START, T, decay, noisy


def test_expressions_functions_and_values_in_order_find_the_same():
    y = noisy()
    by_name = fit(decay, T, y, START)
    text = fit("a*exp(-b*t) + c", {"t": T}, y, START)
    ordered = fit(decay, T, y, [1.0, 0.5, 0.0])
    starred = fit(lambda t, *p: p[0] * np.exp(-p[1] * t) + p[2], T, y, [1.0, 0.5, 0.0])
    for other in (text, ordered, starred):
        assert_allclose(other.params, by_name.params, rtol=1e-9)
    assert starred.names == ("p0", "p1", "p2")


def test_several_independent_variables_are_handed_on_as_they_are():
    rng = np.random.default_rng(1)
    u, v = rng.uniform(size=(2, 30))
    z = 2.0 * u + np.exp(0.5 * v)
    as_tuple = fit(lambda uv, a, b: a * uv[0] + np.exp(b * uv[1]), (u, v), z, [1.0, 1.0])
    as_dict = fit("a*u + exp(b*v)", {"u": u, "v": v}, z, [1.0, 1.0])
    assert_allclose(as_tuple.params, [2.0, 0.5], rtol=1e-10)
    assert_allclose(as_dict.params, [2.0, 0.5], rtol=1e-10)


def test_a_fixed_parameter_keeps_its_value_and_the_rest_is_the_fit_without_it():
    y = noisy()
    found = fit(decay, T, y, START, fixed={"c": 0.5})
    assert found.values["c"] == 0.5 and found.errors["c"] == 0.0
    other = fit(lambda t, a, b: a * np.exp(-b * t) + 0.5, T, y, [1.0, 0.5])
    assert_allclose(found.params[:2], other.params, rtol=1e-9)
    assert_allclose(found.covariance[:2, :2], other.covariance, rtol=1e-7)


def test_a_tied_parameter_follows_and_its_error_is_propagated():
    y = noisy()
    found = fit(decay, T, y, {"a": 1.0, "b": 0.5}, tied={"c": "a/6"})
    other = fit(lambda t, a, b: a * np.exp(-b * t) + a / 6, T, y, [1.0, 0.5])
    assert_allclose(found.params, [*other.params, other.params[0] / 6], rtol=1e-9)
    assert_allclose(found.errors["c"], other.errors["a"] / 6, rtol=1e-7)
    assert_allclose(found.correlation[0, 2], 1.0, rtol=1e-9)


def test_ties_may_lean_on_ties_but_not_in_a_circle():
    y = noisy()
    found = fit(decay, T, y, {"b": 0.5}, tied={"c": "a/6", "a": "2.5*b"})
    assert_allclose(found.values["c"], found.values["b"] * 2.5 / 6, rtol=1e-14)
    with pytest.raises(InputError, match="circle"):
        fit(decay, T, y, {"b": 0.5}, tied={"c": "a/6", "a": "c"})


def test_without_a_start_a_ready_made_model_guesses_and_a_function_is_searched():
    rng = np.random.default_rng(0)
    x = np.linspace(-5, 5, 80)
    y = 4 * np.exp(-0.5 * ((x - 1.2) / 0.7) ** 2) + 0.3 * x + 2 + 0.05 * rng.normal(size=80)
    found = fit(models.gaussian() + models.line(), x, y)
    assert found.start_from == "guess"
    assert_allclose(found.params, [4, 1.2, 0.7, 0.3, 2], atol=0.1)
    searched = fit(decay, T, noisy())
    assert searched.start_from == "multi-start"
    assert_allclose(searched.params, fit(decay, T, noisy(), START).params, rtol=1e-8)
    again = fit(decay, T, noisy())
    assert_array_equal(searched.params, again.params)


def test_lmfit_parameters_are_understood():
    class Parameter:
        def __init__(self, value, vary=True, low=-np.inf, high=np.inf, expr=None):
            self.value, self.vary, self.min, self.max, self.expr = value, vary, low, high, expr

    class Parameters(dict):
        def valuesdict(self):
            return {name: parameter.value for name, parameter in self.items()}

    start = Parameters(a=Parameter(1.0), b=Parameter(0.5, high=0.9), c=Parameter(0.5, vary=False))
    found = fit(decay, T, noisy(), start)
    assert found.values["b"] == 0.9 and found.values["c"] == 0.5


def test_slopes_can_be_measured_by_differences():
    found = fit(decay, T, noisy(), START, derivatives="numeric")
    assert_allclose(found.params, fit(decay, T, noisy(), START).params, rtol=1e-6)


def test_what_cannot_be_traced_is_said_with_the_line():
    def branching(t, a):
        return a * t if a > 0 else -a * t

    with pytest.raises(TracingError, match="if"):
        fit(branching, T, T, [1.0])


def test_a_model_of_the_wrong_length_is_refused():
    with pytest.raises(InputError, match="40 measurements"):
        fit(lambda t, a: a * t[:-1], T, T, [1.0])


def test_points_that_do_not_belong_together_are_counted():
    with pytest.raises(InputError, match=r"x holds 40 points and y 39; give one y for each x$"):
        fit(decay, T, noisy()[:-1], START)
    with pytest.raises(InputError, match=r"y 80; .* several data sets are lists"):
        fit(decay, T, np.stack([noisy(), noisy()]), START)


def test_rows_taken_for_columns_are_told_apart():
    x = np.stack([T, T**2], axis=1)
    with pytest.raises(
        InputError, match=r"x has shape \(40, 2\), a row for each point: its columns are x\[:, 0\]"
    ):
        fit(lambda x, a, b: a * x[0] + b * x[1], x, 2.0 * T, [1.0, 1.0])
    assert_allclose(
        fit(lambda x, a, b: a * x[:, 0] + b * x[:, 1], x, 2.0 * T, [1.0, 1.0]).params, [2.0, 0.0], atol=1e-12
    )


@pytest.mark.parametrize(
    ("model", "start", "said"),
    [
        (lambda a, b, t: a * np.exp(-b * t), {"a": 1.0, "b": 1.0}, "its first argument, a, is given x"),
        (decay, {"A": 1.0, "b": 1.0, "c": 0.0}, "did you mean 'a'"),
    ],
)
def test_a_name_that_is_no_parameter_is_told_why(model, start, said):
    with pytest.raises(InputError, match=said):
        fit(model, T, noisy(), start)


def test_a_model_that_does_not_come_first_is_told_so():
    with pytest.raises(
        InputError, match=r"y is the function decay; the model comes first: fit\(model, x, y, start\)"
    ):
        fit(T, noisy(), decay, START)


@pytest.mark.parametrize("start", [(1.0,), [1.0], 1.0])
def test_the_only_value_of_a_start_in_order_is_the_only_parameter(start):
    found = fit(lambda x, a: a * x, T, 2.0 * T, start)
    assert found.names == ("a",)
    assert found.values["a"] == pytest.approx(2.0, rel=1e-14)


def test_a_nested_start_that_names_no_parameter_is_told_how_to_be_written():
    def model(x, p):
        return p["inner"]["a"] * x + p["b"]

    nested = {"inner": {"a": 1.0}, "b": 0.0}
    with pytest.raises(InputError, match=r"write start=\{'p': \{\.\.\.\}\}"):
        fit(model, T, 2 * T + 1, nested)
    assert_allclose(fit(model, T, 2 * T + 1, {"p": nested}).params, [2.0, 1.0], atol=1e-12)
