"""The report of a fit: its data, its errors, and the call that makes it again."""

from __future__ import annotations

import html
import re

import numpy as np
import pytest

import steepest as st
from steepest import report
from steepest.reference_problems import nist


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
    for words in ("Data, fit and residuals", "Four views of the residuals", "Correlations of the parameters", "9 data as numbers"):  # fmt: skip  # noqa: E501
        assert words in text


def test_the_call_on_the_page_makes_the_same_fit_again(fitted, text):
    call = html.unescape(re.findall(r"<pre><code>(import.*?)</code></pre>", text, re.DOTALL)[-1])
    namespace = {}
    exec(call.replace("print(fit)", ""), namespace)
    assert np.array_equal(namespace["fit"].params, fitted.params)
    assert namespace["fit"].nfev == fitted.nfev
