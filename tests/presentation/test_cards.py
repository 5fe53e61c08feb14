"""The short form a notebook shows: everything told, nothing from outside but text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import steepest as st
from steepest.presentation.cards import curve


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.words, self.depth = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.depth += tag not in ("polyline", "circle")

    def handle_endtag(self, tag):
        self.depth -= tag not in ("polyline", "circle")

    def handle_data(self, data):
        self.words.append(data)


def test_a_notebook_shows_verdict_parameters_and_evidence():
    result = st.minimize("(1-x)**2 + 100*(y-x**2)**2", {"x": -1.2, "y": 1.0})
    card = Tags(result._repr_html_())
    words = " ".join(card.words)
    assert card.depth == 0, "every tag is closed"
    for told in (str(result.verdict), result.message, "x", "y", result.plan.because):
        assert told in words
    assert all(item.how in words for item in result.evidence)


def test_a_fit_is_shown_with_its_errors_what_they_rest_on_and_what_to_do_next():
    t = np.linspace(0.0, 4.0, 30)
    noise = 0.05 * np.random.default_rng(0).normal(size=30)
    fits = [
        st.fit("a*exp(-b*t)", t, 2.0 * np.exp(-0.7 * t) + noise, {"a": 1.0, "b": 1.0}),
        st.fit(lambda t, a, b, c: a * np.exp(-b * t) + 0 * c, t, noise, {"a": 1.0, "b": 1.0, "c": 0.0}),
    ]
    for fit in fits:
        card = Tags(fit._repr_html_())
        words = " ".join(card.words)
        assert card.depth == 0, "every tag is closed"
        assert ("polyline" in [tag for tag, _ in card.found]) == (len(fit.history.value) > 2)
        for told in (
            str(fit.verdict),
            fit.message,
            "30 points",
            *fit.remarks,
            fit.next_step,
            fit.plan.because,
        ):
            assert told in words
        assert all(item.how in words for item in fit.evidence)
    assert any(len(fit.history.value) > 2 for fit in fits)
    assert f"± {fits[0].errors['a']:.2g}" in " ".join(Tags(fits[0]._repr_html_()).words)


@pytest.mark.parametrize("points", [1, 2])
def test_a_fit_without_scatter_is_shown_without_a_number_for_it(points):
    card = st.fit("a * x + b", np.arange(points), np.arange(points) + 1.0, [0.0, 0.0])._repr_html_()
    assert "no degree of freedom left" in card and "nan" not in card


def test_a_point_that_was_verified_is_shown_without_a_walk():
    shown = st.verify(lambda x: (x[0] - 1) ** 2 + (x[1] + 2) ** 2, [1.0, -2.0])._repr_html_()
    assert "minimum</b>: cost 0" in shown
    assert "<polyline" not in shown


def test_hostile_names_are_only_text():
    name = "</td><script>alert(1)</script>"
    result = st.minimize(lambda p: (p[name] - 1) ** 2, {name: 3.0})
    card = Tags(result._repr_html_())
    assert not [tag for tag, _ in card.found if tag == "script"]
    assert name in " ".join(card.words)


def test_the_curve_falls_where_the_cost_falls_and_is_drawn_by_logarithm_where_it_falls_far():
    values = 10.0 ** -np.arange(10)
    points = re.search(r'points="([^"]*)"', curve(values))[1]
    heights = [float(pair.split(",")[1]) for pair in points.split()]
    steps = np.diff(heights)
    assert (steps > 0).all(), "downwards on the screen"
    assert steps == pytest.approx(steps[0], abs=0.11), "a straight line on a logarithmic scale"
    assert "log cost over 9 steps" in curve(values)


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0, 2.0], [np.nan, np.inf, 1.0]])
def test_nothing_to_see_is_not_drawn(values):
    assert curve(np.array(values)) == ""


def test_a_training_run_shows_its_word_its_arrays_and_its_costs():
    x = np.linspace(-1, 1, 64)

    def cost(params, rows):
        return np.mean((params["<b>"] * rows - 2 * rows) ** 2)

    result = st.train(cost, {"<b>": 0.0}, x, epochs=4, batch_size=8, method="sgd", rate=0.1)
    card = Tags(result._repr_html_())
    words = " ".join(card.words)
    assert card.depth == 0
    assert not [tag for tag, attributes in card.found if tag == "b" and "<b>" in attributes]
    for told in (str(result.verdict), result.message, "<b>", "over 32 steps"):
        assert told in words
    assert [tag for tag, _ in card.found if tag == "polyline"]
    assert repr(result) == str(result)
