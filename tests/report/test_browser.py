"""The report in a real browser, opened from a file: it can be dragged, asks nothing of anybody, fits a narrow page."""

from __future__ import annotations

import os
import re
import shutil
import warnings

import pytest

import steepest as st
from steepest import report

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        message = "no Chromium: the report was NOT opened in a browser (apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        warnings.warn(message, stacklevel=1)
        pytest.skip(message)
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens the report of a result; fails the test where the page errs or asks anything of an address."""
    complaints, contexts = [], []

    def opened(result, *, width=1000, dark=False, **settings):
        path = report.html(result, tmp_path / "page.html", **settings)
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)  # what has not answered by then never will
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on(
            "request",
            lambda asked: (
                re.match("file:|data:|blob:", asked.url) or complaints.append(f"request: {asked.url}")
            ),
        )
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints, complaints


@pytest.fixture(scope="module")
def lesson():
    return st.minimize("x**2 - 2*x + 3", 3.0)


def test_the_point_is_dragged_by_keys_and_tells_the_cost_where_it_stands(open_page, lesson):
    page = open_page(lesson)
    handle = page.get_by_role("slider").first
    handle.focus()
    before = float(handle.get_attribute("aria-valuenow"))
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "was => +document.querySelector('[role=slider]').getAttribute('aria-valuenow') !== was", arg=before
    )
    told = handle.get_attribute("aria-valuetext").replace("−", "-")
    x, cost = (float(re.search(rf"{name} (-?[\d.]+)", told)[1]) for name in ("x", "cost"))
    assert x > before
    assert cost == pytest.approx(x**2 - 2 * x + 3, abs=2e-2), "to the digits shown"


def test_two_parameters_open_as_a_landscape_with_its_start_to_be_dragged(open_page):
    page = open_page(st.minimize("(1-x)**2 + 10*(y-x**2)**2", {"x": -1.2, "y": 1.0}))
    page.wait_for_selector("canvas, svg.surface")
    assert page.get_by_role("heading", name="Drag the start").is_visible()
    assert "st.minimize" in page.content() or "steepest" in page.content()


@pytest.mark.parametrize("dark", [False, True])
def test_evidence_opens_on_its_picture_on_a_narrow_page_without_running_over_its_edge(
    open_page, lesson, dark
):
    page = open_page(lesson, width=360, dark=dark)
    first = page.locator("details#e1")
    first.locator("summary").click()
    assert first.locator("svg.plot").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    ink, paper = (
        page.evaluate(f"getComputedStyle(document.body).{what}") for what in ("color", "backgroundColor")
    )
    light = [sum(map(int, re.findall(r"\d+", color)[:3])) for color in (ink, paper)]
    assert (light[0] > light[1]) == dark


def test_for_the_printer_every_piece_of_evidence_stands_open_and_afterwards_closed_again(open_page, lesson):
    page = open_page(lesson)
    count = "document.querySelectorAll('details:not([open])').length"
    shut = page.evaluate(count)
    assert shut > 3
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(count) == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(count) == shut


def test_hostile_names_open_no_dialog(open_page):
    name = "</script><img src=x onerror=alert(1)><svg onload=alert(2)>"
    result = st.minimize(lambda p: (p[name] - 1) ** 2, {name: 3.0})
    page = open_page(result, title=name)
    page.wait_for_timeout(300)
    assert page.locator("h1").first.inner_text() == name


@pytest.mark.parametrize("width", [400, 1000])
def test_no_number_beside_the_picture_is_cut(open_page, width):
    page = open_page(st.minimize("log(x)", 1.0), width=width)
    page.wait_for_selector(".panel .badge")
    panel = page.locator(".panel").bounding_box()
    for number in page.locator(".panel .number").all():
        box = number.bounding_box()
        assert box["x"] >= panel["x"]
        assert box["x"] + box["width"] <= panel["x"] + panel["width"]
    assert "−295" in page.locator(".panel").inner_text()


def test_the_cost_at_the_start_is_told_and_followed(open_page):
    page = open_page(st.minimize("(1-x)**2 + 100*(y-x**2)**2", {"x": -1.2, "y": 1.0}))
    cost = page.locator(".big", has_text="cost at the start")
    cost.get_by_text("exact").wait_for()
    assert "24.2" in cost.inner_text()
    page.get_by_role("slider").first.focus()
    page.keyboard.press("ArrowRight")
    cost.get_by_text("between samples").wait_for()
    assert "…" not in cost.inner_text()
