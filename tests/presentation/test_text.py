"""The tables people read: the whole text of each kind stands in a golden file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import steepest as st
from steepest import minimize
from steepest.presentation import text as presentation
from steepest.presentation.text import flat, limit_text, number, result_text, shortened, slope_table
from steepest.results import LimitRow, Slope, SlopePoint
from steepest.verdict.words import Evidence, Verdict

GOLDEN = Path(__file__).parents[1] / "golden"


def golden(name: str) -> str:
    return (GOLDEN / name).read_text(encoding="utf-8").rstrip("\n")


def found(**changes) -> SimpleNamespace:
    usual = {
        "x": {"limit": 72.4622375, "rate": 0.06735920},
        "fun": 8.056522933811,
        "verdict": Verdict.LOCAL_MINIMUM,
        "success": True,
        "message": "The slope is zero to within its rounding error and the cost curves upwards in both directions.",
        "next_step": "",
        "evidence": (
            Evidence("slope", 3.1e-9, 1e-8, True, "largest entry, bounds applied"),
            Evidence("smallest curvature", 0.42, 0.0, True, "eigenvalue of the Hessian"),
            Evidence("convex", None, None, False, "exp of a product of parameters"),
        ),
        "digits": np.array([9.7, 8.2]),
        "plan": SimpleNamespace(name="BFGS", because="the cost has 2 parameters, few enough to learn its curvature"),
        "names": ("limit", "rate"),
        "label": "growth",
        "derivatives": "exact",
        "nfev": 31, "njev": 29, "nhev": 1, "nit": 22,
    }  # fmt: skip
    return SimpleNamespace(**usual | changes)


def test_a_result_tells_verdict_point_evidence_and_how():
    assert result_text(found()) == golden("result.txt")


def test_bad_news_ends_with_what_to_do_next():
    result = found(
        x=np.array([-1.2, 1.0]), names=("x[0]", "x[1]"), verdict=Verdict.OUT_OF_BUDGET, success=False, digits=None,
        message="Stopped after 5 evaluations, still falling.", evidence=(), fun=4.1,
        next_step="Allow about 60 evaluations: the cost fell by a factor of 3 every 8.", nhev=0, nit=1,
    )  # fmt: skip
    assert result_text(result) == golden("result_out_of_budget.txt")


def test_a_kink_gives_both_sides():
    point = SlopePoint(0.0, 0.0, np.nan, "no slope here", -1.0, 1.0)
    assert slope_table(Slope((point,), ("x",), None, np.abs, "exact", "abs(x)")) == golden("slope_kink.txt")


def test_several_parameters_have_a_row_each():
    at, slopes = {"limit": 100.0, "rate": 1.0}, {"limit": -12.5, "rate": 310.0}
    words = {"limit": "falling", "rate": "rising"}
    record = Slope((SlopePoint(at, 42.0, slopes, words),), tuple(at), None, None, "numeric", "growth")
    assert slope_table(record) == golden("slope_parameters.txt")


def test_the_limit_closes_in_on_the_exact_slope():
    rows = tuple(LimitRow(h, 4 + h, 4 - h) for h in (1.0, 0.1, 0.01))
    record = Slope((SlopePoint(3.0, 6.0, 4.0, "rising"),), ("x",), (rows,), None, "exact", "x**2 - 2*x + 3")
    assert slope_table(record) == golden("slope_limit.txt")


def test_of_a_million_parameters_twenty_are_shown_and_the_rest_counted():
    slopes = np.zeros(1_000_000)
    slopes[[5, 77]] = 3.0, -2.0
    words = np.where(slopes > 0, "rising", np.where(slopes < 0, "falling", "flat"))
    text = slope_table(
        Slope((SlopePoint(np.zeros(1_000_000), 1.0, slopes, words),), ("p",), None, None, "exact", "sum")
    )
    assert "p[5]" in text
    assert "p[77]" in text
    assert text.endswith("and 999,980 more, no steeper: 999,980 flat")
    assert "and 999,980 more parameters" in result_text(found(x=np.zeros(1_000_000), digits=None, names=()))


@pytest.mark.parametrize(
    ("value", "text"),
    [(np.float64(2.0), "2"), (-0.0, "0"), (1e300, "1e+300"), (123456789.0, "123456789"), (0.1 + 0.2, "0.3"),
     (float("inf"), "inf")],
)  # fmt: skip
def test_numbers_are_short_and_plain(value, text):
    assert number(value) == text


def test_entries_come_in_the_order_of_the_structure():
    assert flat({"b": 1.0, "a": [2.0, {"c": 3.0}]}).tolist() == [1.0, 2.0, 3.0]


def test_a_long_cost_is_cut_on_one_line():
    assert shortened("x +\n  y" * 40).endswith("…")
    assert "\n" not in shortened("x +\n  y" * 40)


@pytest.mark.parametrize("columns", [80, 96])
def test_no_line_of_a_result_is_longer_than_the_screen(columns):
    cost = "(first_parameter - 3)**2 + 100*(second_parameter - first_parameter**2)**2 + 7"
    t = np.arange(4.0)
    results = [
        st.minimize(cost, {"first_parameter": 0.0, "second_parameter": 0.0}),
        st.fit("amplitude_of_the_first_component*exp(-rate_of_the_decay*t)", t, np.exp(-t), [2.0, 2.0]),
        st.slope(cost, {"first_parameter": 1.0, "second_parameter": 0.0}),
        st.diagnose(f"sqrt({cost} - 7)", {"first_parameter": 3.0, "second_parameter": 9.0}),
    ]
    presentation.fit_to(columns)
    try:
        for result in results:
            assert max(map(len, str(result).splitlines())) <= columns
    finally:
        presentation.fit_to(presentation.TEXT_WIDTH)


def test_on_a_narrow_screen_no_sentence_is_broken_by_the_screen():
    result = minimize("(1-x)**2 + 100*(y-x**2)**2", {"x": -1.2, "y": 1.0})
    wide = str(result)
    try:
        presentation.fit_to(50)
        narrow = str(result)
    finally:
        presentation.fit_to(presentation.TEXT_WIDTH)
    sentences = [line for line in narrow.splitlines()[1:] if "(limit" not in line]
    assert max(map(len, sentences)) <= 50
    assert narrow.splitlines()[0].endswith("…)")  # the label alone is cut
    below = [text.partition("\n")[2].split() for text in (narrow, wide)]
    assert below[0] == below[1]
    assert str(result) == wide


def test_a_limit_that_only_guards_a_division_is_shown_as_zero():
    tiny, small = np.finfo(float).tiny, 1e-300
    said = [
        limit_text(Evidence("repeats itself", 0.0, limit, True, "twice")) for limit in (tiny, small, None)
    ]
    assert said == [" (limit 0)", " (limit 1e-300)", ""]


def test_a_side_without_a_slope_is_said_to_have_none():
    point = SlopePoint(0.0, -np.inf, np.nan, "no slope here", np.nan, np.inf)
    text = slope_table(Slope((point,), ("x",), None, None, "exact", "log(x)"))
    assert "no slope here: none from the left, inf from the right" in text
