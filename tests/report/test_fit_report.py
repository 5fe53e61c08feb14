"""The report of a fit: its data, its errors, and the call that makes it again."""

from __future__ import annotations

import html
import re

import numpy as np
import pytest

import steepest as st
from steepest import report
from steepest.plots.fitted import data_of
from steepest.reference_problems import nist
from steepest.report.again import call_of


@pytest.fixture(scope="module")
def fitted():
    data = nist.load("Rat42")
    return st.fit(
        "limit / (1 + exp(delay - rate*x))", data.x, data.y, {"limit": 75.0, "delay": 2.5, "rate": 0.07},
        bounds={"rate": (0.0, None)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def text(fitted, tmp_path_factory):
    path = report.html(fitted, tmp_path_factory.mktemp("report") / "fit.html")
    assert path.stat().st_size <= 250_000
    return path.read_text(encoding="utf-8")


def test_values_stand_with_errors_to_two_digits_and_digits_that_suit_them(fitted, text):
    rows = dict(re.findall(r"<td class=name>(\w+)</td><td class=n title=\"([^\"]*)\">", text))
    for name, value in fitted.values.items():
        assert float(rows[name]) == value
        assert f"± {fitted.errors[name]:.2g}" in text


def test_data_residuals_and_correlations_are_shown(text):
    for words in ("Data, fit and residuals", "Four views of the residuals", "Correlations of the parameters", "9 points as numbers"):  # fmt: skip  # noqa: E501
        assert words in text


def test_the_call_on_the_page_makes_the_same_fit_again(fitted, text):
    call = html.unescape(re.findall(r"<pre><code>(import.*?)</code></pre>", text, re.DOTALL)[-1])
    namespace = {}
    exec(call.replace("print(fit)", ""), namespace)
    assert np.array_equal(namespace["fit"].params, fitted.params)
    assert namespace["fit"].nfev == fitted.nfev


def test_digits_of_a_fit_are_those_computed_and_no_source_of_ours_is_shown(text):
    assert "digits computed" in text
    assert "digits to trust" not in text, "beside an error they would seem to be known from the data"
    assert "stands in" not in text, "an expression has no file"


def test_a_single_point_has_its_page_without_views_of_the_residuals(tmp_path):
    fit = st.fit("a*x", [1.0], [2.0], {"a": 1.0})
    page = report.html(fit, tmp_path / "one.html").read_text(encoding="utf-8")
    assert "1 point as numbers" in page
    assert "looked at four ways" not in page
    assert ">nan<" not in page


def test_a_model_that_ends_where_its_data_do_has_its_page(tmp_path):
    from scipy.integrate import solve_ivp

    def decay(t, rate):
        return solve_ivp(lambda t, y: -rate * y, (0.0, 4.0), [1.0], t_eval=t).y[0]

    t = np.linspace(0.5, 4.0, 8)
    fit = st.fit(decay, t, np.exp(-0.7 * t) + 0.01 * np.cos(9 * t), {"rate": 0.5})
    report.html(fit, tmp_path / "decay.html")
    places = data_of(fit)[0].places
    assert places[0] == 0.5
    assert places[-1] == 4.0
    assert places.size > 300


def run_again(fit, **known):
    """What the call on the page of a fit makes, with the functions that it cannot bring in."""
    namespace = dict(known)
    exec(call_of(fit).replace("print(fit)", ""), namespace)
    return namespace["fit"]


def test_the_call_holds_to_the_loss_that_was_chosen():
    t = np.linspace(0.0, 4.0, 12)
    y = 3.0 * np.exp(-t) + 0.1 * (t == t[4])

    def model(t, a, b):
        return a * np.exp(-b * t)

    def loss(z):
        return np.log1p(z), 1.0 / (1.0 + z), -1.0 / (1.0 + z) ** 2

    named = st.fit(model, t, y, {"a": 1.0, "b": 0.5}, loss="cauchy", f_scale=0.05)
    assert np.array_equal(run_again(named, model=model).params, named.params)
    for own in (loss, lambda z: loss(z)):
        found = st.fit(lambda t, a, b: model(t, a, b), t, y, {"a": 1.0, "b": 0.5}, loss=own, f_scale=0.05)
        assert "# loss: the function that was given" in call_of(found)
        assert np.array_equal(run_again(found, model=model, loss=own).params, found.params)
