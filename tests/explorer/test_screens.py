"""The page in a real browser: what is dragged moves, the numbers are the library's, and keys do what a hand does."""

import re
import subprocess
import sys
import time

import numpy as np
import pytest

import steepest
from steepest.explorer.walks import METHODS, RATES

from .conftest import PATIENCE

ROSENBROCK = "(1-x)**2+100*(y-x**2)**2"
HOLLOWS = "(4-2.1*x**2%2Bx**4/3)*x**2%2Bx*y%2B(4*y**2-4)*y**2"
SCREENS = {
    "open": "#open",
    "slope": "",
    "kink": "#slope?f=abs(x)-0.3*x**2&x=0",
    "limit": "#limit",
    "walk": "#walk?f=x**2-2*x%2B3&x=3&low=-2&high=4",
    "landscape": f"#landscape?f={ROSENBROCK.replace('+', '%2B')}&x=-1.2,1",
    "surface": f"#landscape?f={ROSENBROCK.replace('+', '%2B')}&x=-1.2,1&surface=1",
    "found": "#found?f=x**4/4-x**2%2Bx/4&x=1.8",
    "found of two": f"#found?f={HOLLOWS}&x=1.5,0.9",
    "fit": "#fit",
    "many, without a run": "#many",
    "live, without a run": "#live",
}


# What has the focus: role and name.
FOCUSED = """(() => {
    const e = document.activeElement;
    const name = e.getAttribute('aria-label') || e.textContent || e.id;
    const role = e.getAttribute('role') || e.tagName.toLowerCase();
    return e === document.body ? '' : role + ' ' + name.trim().slice(0, 30);
})()"""


def handle(page, k=0):
    return page.get_by_role("slider").nth(k)


def until(page, condition):
    """Wait until a condition of the page holds; asked from outside, since the page's policy lets nothing evaluate."""
    end = time.monotonic() + PATIENCE
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"never: {condition}"
        page.wait_for_timeout(20)


def numbers(text):
    """x, cost and slope as the handle says them."""
    found = re.findall(r"(?:x|cost|slope) (−?[\d.,]+(?: × 10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)?)", text)
    return [float(value.replace("−", "-").replace(",", "")) for value in found]


def is_exact(page):
    badges = "[...document.querySelectorAll('.panel .badge')]"
    until(page, f"{badges}.length > 0 && {badges}.every(b => b.textContent === 'exact')")


def said(page):
    return page.locator(".say code").inner_text()


def test_the_lesson_opens_first_with_its_three_tangents(open_page):
    page = open_page()
    point = handle(page)
    assert float(point.get_attribute("aria-valuenow")) == 1.2
    assert point.get_attribute("aria-valuetext") == "x 1.2, cost 2.04, slope 0.4, rising"
    labels = page.locator(".mark-label").all_text_contents()
    assert any("−4 ↘ falling" in label for label in labels)
    assert any("4 ↗ rising" in label for label in labels)
    assert page.locator("circle.pin").count() >= 3


def test_dragging_moves_the_point_and_its_numbers_are_the_librarys(open_page):
    page = open_page()
    box = handle(page).locator(".dot").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for step in range(1, 11):
        page.mouse.move(box["x"] + 20 * step, box["y"] - 5 * step)
    page.mouse.up()
    is_exact(page)
    x = float(handle(page).get_attribute("aria-valuenow"))
    assert x > 2.0
    truth = steepest.slope("x**2 - 2*x + 3", at=x).points[0]
    shown = numbers(handle(page).get_attribute("aria-valuetext"))
    np.testing.assert_allclose(shown, [x, truth.value, truth.slope], rtol=1e-3)


@pytest.mark.parametrize("formula", ["sin(5*x)*x", "exp(-x**2)+x/10", "log(x+6)-abs(x-1)/3"])
def test_between_samples_the_numbers_are_right_to_what_is_shown(open_page, formula):
    page = open_page(f"#slope?f={formula.replace('+', '%2B')}&x=0.5&low=-5&high=5")
    page.wait_for_selector("path.curve")
    box = page.locator(".picture.tall svg").bounding_box()
    texts = page.evaluate(
        """async () => {
            const seen = [];
            const slider = document.querySelector('[role=slider]');
            for (let k = 0; k < 40; k++) {
                slider.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}));
                await new Promise(requestAnimationFrame);
                seen.push(slider.getAttribute('aria-valuetext'));
            }
            return seen;
        }"""
    )
    assert box["width"] > 300
    assert len(set(texts)) > 20
    for text in texts:
        if "no slope here" in text:
            continue  # within the stretch that holds the kink the page waits for Python
        x, cost, slope = numbers(text)
        truth = steepest.slope(formula, at=x).points[0]
        np.testing.assert_allclose(cost, truth.value, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(slope, truth.slope, rtol=2e-3, atol=2e-3)


def test_every_key_of_the_handle_does_what_the_help_says(open_page):
    page = open_page()
    point = handle(page)
    point.focus()

    def after(key):
        page.keyboard.press(key)
        return float(point.get_attribute("aria-valuenow"))

    assert after("ArrowRight") == pytest.approx(1.3)
    assert after("ArrowLeft") == pytest.approx(1.2)
    assert after("Shift+ArrowRight") == pytest.approx(2.2)
    assert after("Alt+ArrowLeft") == pytest.approx(2.18)
    assert after("Home") == -2
    assert after("End") == 4
    page.keyboard.press("p")
    assert "4.0]" in said(page)


def test_tab_reaches_the_handle_first_in_the_picture_and_every_control_after_it(open_page):
    page = open_page()
    page.locator("body").click(position={"x": 5, "y": 790})
    page.evaluate("document.activeElement.blur()")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name = page.evaluate(FOCUSED)
        if not name or name in seen:
            break
        seen.append(name)
    order = [
        next(k for k, name in enumerate(seen) if part in name)
        for part in ("input", "slider", "zoom in", "pin", "copy")
    ]
    assert order == sorted(order), seen
    assert sum("slider" in name for name in seen) == 1  # one stop for each handle


def test_a_typed_expression_is_drawn_at_once_and_an_error_points_at_its_character(open_page):
    page = open_page()
    field = page.get_by_label("cost, an expression")
    field.fill("(x-2)**2 + sin(5*x)")
    until(page, "document.querySelector('.say code').textContent.includes('sin(5*x)')")
    is_exact(page)
    x = float(handle(page).get_attribute("aria-valuenow"))
    truth = steepest.slope("(x-2)**2 + sin(5*x)", at=x).points[0]
    np.testing.assert_allclose(
        numbers(handle(page).get_attribute("aria-valuetext"))[1], truth.value, rtol=1e-3
    )
    field.fill("x**2 + ln(x)")
    page.wait_for_selector("#fault span")
    assert "log(x)" in page.locator("#fault span").inner_text()
    assert page.locator("#fault pre").inner_text().index("▲") == 7
    assert field.get_attribute("aria-invalid") == "true"
    field.fill("x**2 + log(x)")
    page.wait_for_selector("#fault span", state="detached")


def test_an_expression_of_two_parameters_can_be_looked_at_along_either(open_page):
    page = open_page(f"#slope?f={ROSENBROCK.replace('+', '%2B')}&x=-1.2,1")
    page.get_by_label("y", exact=True).check()
    is_exact(page)
    truth = steepest.slope(ROSENBROCK, at={"x": -1.2, "y": 1.0}).points[0]
    text = handle(page).get_attribute("aria-valuetext")
    assert text.startswith("y 1, cost 24.2, slope −88")
    assert truth.slope["y"] == pytest.approx(-88)


def test_at_a_kink_two_slopes_are_shown_and_no_single_one(open_page):
    page = open_page(SCREENS["kink"])
    is_exact(page)
    panel = page.locator(".panel").inner_text()
    assert "no slope here" in panel
    assert re.search(r"from the left\s+−1\s", panel)
    assert re.search(r"from the right\s+1(exact|\s)", panel)


def test_a_jump_is_drawn_as_a_gap(open_page):
    page = open_page("#slope?f=where(x<0.5,2-x,x**2/3)&x=0&low=-2&high=3")
    path = page.locator("path.curve").first
    path.wait_for()
    assert path.get_attribute("d").count("M") == 2


def test_the_secants_run_to_the_exact_slope_and_rounding_spoils_them(open_page):
    page = open_page("#limit?f=sin(x)&x=1&low=-2&high=4")
    page.wait_for_selector(".rows tbody tr.exact")
    rows = page.locator(".rows tbody tr").all_inner_texts()
    shown = [float(row.split("\t")[1].replace("−", "-")) for row in rows]
    errors = np.abs(np.array(shown[:-1]) - np.cos(1.0))
    assert shown[-1] == pytest.approx(np.cos(1.0), rel=1e-11)
    assert errors.argmin() in (7, 8, 9)
    assert errors[-1] > 100 * errors.min()


def test_every_stop_of_the_learning_rate_is_a_run_that_was_computed(open_page):
    page = open_page(SCREENS["walk"])
    page.wait_for_selector(".strip [role=slider]")
    assert page.locator(".strip .stop").count() == RATES
    slider = page.locator(".strip [role=slider]")
    slider.focus()
    page.keyboard.press("Home")
    rates = [float(slider.get_attribute("aria-valuenow"))]
    for _ in range(RATES):
        page.keyboard.press("ArrowRight")
        rates.append(float(slider.get_attribute("aria-valuenow")))
    assert len(set(rates)) == RATES
    # On x² − 2x + 3 the curvature is 2 and plain descent is stable below a rate of exactly 1.
    fates = {}
    page.keyboard.press("Home")
    for _ in range(RATES):
        text = slider.get_attribute("aria-valuetext")
        fates[float(slider.get_attribute("aria-valuenow"))] = text.split(", ")[1]
        page.keyboard.press("ArrowRight")
    assert all(fate == "diverging" for rate, fate in fates.items() if rate > 1.05)
    assert all(fate != "diverging" for rate, fate in fates.items() if rate < 1)
    assert page.locator(".critical text").text_content() == "2/L = 1"


def test_the_walk_takes_the_librarys_own_steps(open_page):
    page = open_page(SCREENS["walk"] + "&rate=0.1")
    page.get_by_role("button", name="step", exact=True).wait_for()
    result = steepest.minimize(
        "x**2-2*x+3", 3.0, method="gradient descent", options={"rate": 0.1, "maxiter": 5}
    )
    for k in range(1, 4):
        page.get_by_role("button", name="step", exact=True).click()
        until(page, f"document.querySelector('.panel').textContent.includes('step{k} of')")
        panel = page.locator(".bigs").inner_text().replace("\n", " ")
        assert f"{result.history.x[k, 0]:.4g}" in panel


def test_the_landscape_shows_six_methods_and_each_can_be_left_out(open_page):
    page = open_page(SCREENS["landscape"])
    page.wait_for_selector(".methods label")
    until(page, f"document.querySelectorAll('.methods label').length >= {len(METHODS) + 2}")
    until(page, "document.querySelectorAll('.picture.tall g.path').length > 1")
    before = page.locator(".picture.tall g.path").count()
    page.locator(".methods input:checked").first.uncheck()
    until(page, f"document.querySelectorAll('.picture.tall g.path').length === {before - 1}")


def test_the_start_in_a_landscape_moves_both_ways_by_keys(open_page):
    page = open_page(SCREENS["landscape"])
    start = page.get_by_role("slider", name="start")
    start.focus()
    before = start.get_attribute("aria-valuetext")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    text = start.get_attribute("aria-valuetext")
    x, y = (float(part.split()[1].replace("−", "-")) for part in text.split(", ")[:2])
    assert before.startswith("x −1.2, y 1,")
    assert x > -1.2
    assert y > 1.0
    truth = steepest.slope(ROSENBROCK, at={"x": x, "y": y}).points[0]
    until(
        page, f"document.querySelector('.panel').textContent.includes('cost at the start{truth.value:.4g}')"
    )


def test_a_walk_that_only_left_the_window_is_not_called_diverged(open_page):
    page = open_page("#landscape?f=(x-30)**2%2B(y-20)**2&x=0,0&window=-1,1,-1,1&on=descent&rate=0.1")
    page.wait_for_selector("path.edge")
    assert "diverged" not in page.locator(".panel").inner_text()


def test_what_was_found_is_the_librarys_verdict_with_its_evidence(open_page):
    page = open_page(SCREENS["found"])
    page.wait_for_selector(".verdict h2")
    result = steepest.minimize("x**4/4-x**2+x/4", 1.8)
    assert result.verdict.value in page.locator(".verdict h2").inner_text()
    shown = page.locator(".evidence").inner_text()
    assert all(item.name in shown for item in result.evidence)
    page.get_by_role("button", name="walk from 100 starts").click()
    page.wait_for_selector(".ends li")
    # Two minima: −1.4744…, where restarts near the higher one led, and 1.3435…
    assert "No start ended lower" in page.locator(".ends").inner_text()
    assert page.locator(".ends li").count() == 2


def test_of_a_cost_that_is_no_number_nothing_is_called_exact_or_lowest(open_page):
    page = open_page("#found?f=sqrt(-1-x**2)&x=1")
    page.wait_for_selector(".verdict h2")
    assert "not finite" in page.locator(".verdict h2").text_content()
    told = page.locator("aside, .panel").first.text_content()
    assert "undefined" in told
    assert "exact" not in told
    assert "lower than everything" not in told
    assert page.locator("circle[cy='NaN']").count() == 0


def test_of_many_parameters_the_rest_is_counted_and_one_step_is_one(open_page):
    cost = "%2B".join(f"(x{k}-{k})**2" for k in range(7))
    page = open_page(f"#found?f={cost}&x=" + ",".join("9" * 7))
    page.wait_for_selector(".verdict h2")
    told = page.locator("aside, .panel").first.text_content()
    assert "and 1 more parameter" in told and "1 more parameters" not in told
    assert "1 step, 2 evaluations" in told  # a quadratic's Newton step leads to its bottom


def test_an_address_without_a_cost_shows_the_lessons(open_page):
    page = open_page("#found")
    page.wait_for_selector(".verdict h2")
    assert "global minimum" in page.locator(".verdict h2").inner_text()


def test_a_minimum_that_is_not_the_lowest_is_told(open_page):
    """A narrow well, far from a wide one, that no look around from the wide one meets."""
    page = open_page("#found?f=0.01*(x-2)**2-exp(-(x-4.5)**2)-2*exp(-40*(x%2B1.37)**2)&x=4.6")
    page.wait_for_selector(".verdict h2")
    page.get_by_role("button", name="walk from 100 starts").click()
    page.wait_for_selector(".ends li")
    until(page, "document.querySelectorAll('.ends li').length >= 2")
    assert "Not the lowest" in page.locator(".ends").inner_text()


def test_the_fit_agrees_with_an_independent_one_and_the_curve_can_be_dragged(open_page):
    from scipy.optimize import curve_fit

    from steepest.explorer.fitting import EXAMPLE

    page = open_page(SCREENS["fit"])
    page.wait_for_selector(".verdict")
    until(page, "document.querySelector('.panel .badge').textContent === 'exact'")
    best, covariance = curve_fit(
        lambda t, a, b, c: a * np.exp(-b * t) + c, EXAMPLE["t"], EXAMPLE["y"], (40, 0.3, 0)
    )
    panel = page.locator(".bigs").inner_text()
    for value, error in zip(best, np.sqrt(np.diag(covariance)), strict=True):
        told = f"{error:.2g}"
        assert f"best {value:.{len(told.partition('.')[2])}f} ± {told}" in panel
    curve = page.get_by_role("slider", name="the curve")
    before = page.locator(".bigs .number").first.inner_text()
    curve.focus()
    for _ in range(5):
        page.keyboard.press("ArrowUp")
    until(page, f"document.querySelector('.bigs .number').textContent !== '{before}'")
    end = time.monotonic() + PATIENCE
    seen = None
    # Five pulls are answered one after the other, each exact for a moment: what is read twice alike is the last.
    while True:
        until(page, "document.querySelector('.panel .badge').textContent === 'exact'")
        last, seen = (
            seen,
            (page.locator(".bigs .number").all_inner_texts()[:3], curve.get_attribute("aria-valuetext")),
        )
        if seen == last:
            break
        assert time.monotonic() < end
        page.wait_for_timeout(500)
    a, b, c = (float(text.replace("−", "-")) for text in seen[0])
    t, height = map(float, re.match(r"curve at t ([\d.]+): ([\d.]+)", seen[1]).groups())
    np.testing.assert_allclose(a * np.exp(-b * t) + c, height, rtol=2e-2)


def test_a_file_can_be_given_to_the_page(open_page, tmp_path):
    (tmp_path / "<b>line.csv").write_text("t,<img src=x>\n" + "\n".join(f"{k},{3 * k + 1}" for k in range(9)))
    page = open_page(SCREENS["fit"])
    page.get_by_label("your points").set_input_files(tmp_path / "<b>line.csv")
    until(page, "document.querySelectorAll('.datum').length === 9")
    assert page.locator("img").count() == 0


def test_the_fit_of_the_command_line_is_shown(open_page, explorer, tmp_path):
    (tmp_path / "data.csv").write_text("x,y\n" + "\n".join(f"{k},{2 * np.exp(-0.5 * k)}" for k in range(8)))
    page = open_page(at=explorer("--fit", "a*exp(-b*x)", "data.csv", cwd=tmp_path))
    page.wait_for_selector(".verdict.yes")
    assert "best 2\n" in page.locator(".bigs").inner_text() or "best 2 " in page.locator(".bigs").inner_text()


def test_the_call_of_a_fit_reads_the_file_that_was_named(open_page, explorer, tmp_path):
    """Semicolons, decimal commas, and a first column that the model calls x."""
    rows = "\n".join(f"{k};{2 * np.exp(-0.5 * k):.6f}" for k in range(8)).replace(".", ",")
    (tmp_path / "data.csv").write_text("time;count\n" + rows)
    page = open_page(at=explorer("--fit", "a*exp(-b*x)", "data.csv", cwd=tmp_path))
    until(page, "document.querySelector('.say code').textContent.includes('data=')")
    run = subprocess.run(
        [sys.executable, "-c", said(page)], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    assert run.returncode == 0, run.stderr
    assert "8 points: local minimum" in run.stdout


def test_the_curve_of_a_start_below_all_points_is_in_the_picture(open_page, explorer, tmp_path):
    (tmp_path / "data.csv").write_text("x,y\n" + "\n".join(f"{k},{9 - k}" for k in range(5)))
    page = open_page(at=explorer("--fit", "a*exp(-b*x) + c", "data.csv", cwd=tmp_path))
    page.wait_for_selector("path.curve")
    foot = page.locator(".picture.tall svg").first.bounding_box()
    until(page, "document.querySelector('path.curve').getAttribute('d').split('L').length > 200")
    heights = re.findall(r"[ML][-\d.]+,([-\d.]+)", page.locator("path.curve").first.get_attribute("d"))
    assert max(map(float, heights)) < foot["height"]


def test_a_place_far_off_is_looked_at_and_told_with_all_its_digits(open_page):
    page = open_page("#slope?f=1e-9*(x-1e6)**2&x=1000003")
    page.wait_for_selector("path.curve")
    assert "1.000003 × 10⁶" in page.locator(".bigs").inner_text()
    box, dot = (page.locator(place).first.bounding_box() for place in (".picture.tall svg", ".dot"))
    assert box["x"] < dot["x"] < box["x"] + box["width"]


def test_numbers_beside_an_axis_are_told_apart(open_page):
    page = open_page("#slope?f=x/1e4%2B1000&x=1&low=-4&high=4")
    page.wait_for_selector("path.curve")
    until(page, "document.querySelector('.axes').textContent.includes('1000.0002')")
    numbers = page.locator(".axes").first.locator("text[text-anchor=end]:not(.name)")
    shown = numbers.all_text_contents()
    assert len(shown) > 5 and len(set(shown)) == len(shown)
    left = page.locator(".picture.tall svg").first.bounding_box()["x"]
    assert all(numbers.nth(k).bounding_box()["x"] >= left - 1 for k in range(len(shown)))


@pytest.fixture(scope="module")
def run_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "run.jsonl"
    names = [f"p{k}" for k in range(6)]
    text = " + ".join(f"{k + 1}*(p{k} - {k})**2" for k in range(6)) + " + p0*p1/4"
    steepest.minimize(text, dict.fromkeys(names, 4.0), record=path, method="gradient descent")
    return path


def test_many_parameters_say_how_much_of_the_path_a_plane_holds(open_page, explorer, run_file):
    page = open_page("#many", at=explorer(run_file))
    until(page, "document.querySelector('.headline')?.textContent.includes('21 × 21')")
    share = int(re.search(r"holds (\d+)%", page.locator(".headline").inner_text())[1])
    assert 50 <= share <= 100
    page.get_by_label("where the path extends most").check()
    until(page, "document.querySelector('.headline')?.textContent.includes('21 × 21')")
    again = int(re.search(r"holds (\d+)%", page.locator(".headline").inner_text())[1])
    assert (
        again >= share
    )  # no plane through the end holds more than the one along which the path extends most
    assert page.locator(".picture.line").count() >= 2


def test_a_run_is_watched_while_it_runs_and_its_end_is_told(open_page, explorer, tmp_path):
    from steepest.runs import RunWriter, read_run

    path = tmp_path / "live.jsonl"
    with RunWriter(path, kind="train", label="<img src=x onerror=alert(1)>", n=2, steerable=True) as run:
        run.step(0, 10.0, rate=0.1, groups={"<b>layer</b>": {"gradient": 1.0, "step": 0.1, "size": 2.0}})
        run._flush()
        page = open_page(at=explorer(path))
        page.wait_for_selector(".state")
        written, end = 0, time.monotonic() + PATIENCE
        # Silent, where a busy machine took ten seconds to open the page: until the next line.
        while page.locator(".state.running").count() == 0:
            assert time.monotonic() < end
            written += 1
            run.step(written, 10.0 / written, rate=0.1, gradient_norm=1.0 / written)
            run._flush()
            page.wait_for_timeout(200)
        last = written + 50
        for step in range(written + 1, last):
            run.step(step, 10.0 / step, rate=0.1, gradient_norm=1.0 / step)
        run._flush()
        page.wait_for_selector(f'.state[data-steps="{last}"]')
        page.get_by_role("button", name="halve the rate").click()
        asked, end = (), time.monotonic() + PATIENCE
        while not asked and time.monotonic() < end:
            asked = run.asked()
            time.sleep(0.02)
        assert asked == ("halve the rate",)
        run.step(last, float("nan"), groups={"head": {"gradient": float("nan"), "step": 0.1, "size": 1.0}})
        run.end("stopped", "the cost is not finite")
    page.wait_for_selector(".state.ended")
    alert = page.locator(".panel .trouble").inner_text()
    assert f"step {last}" in alert
    assert "head" in alert
    assert page.locator("g.broken").count() == 1
    assert page.locator("img").count() == 0
    assert read_run(path).events[0]["by"] == "explorer"


def test_a_job_that_has_not_taken_a_step_yet_is_getting_ready_and_not_silent(open_page, explorer, tmp_path):
    """A training run compiles first; the page must neither fail (the fixture watches) nor call it dead."""
    from steepest.runs import RunWriter

    path = tmp_path / "ready.jsonl"
    with RunWriter(path, kind="train", label="cost", n=2) as run:
        page = open_page(at=explorer(path))
        page.wait_for_selector(".state")
        assert page.locator(".state b").inner_text() == "getting ready"
        assert "undefined" not in page.locator(".panel").inner_text()
        run.step(0, 10.0)
        run.step(1, 9.0)
        run._flush()
        page.wait_for_selector('.state[data-steps="2"]')
        assert page.locator("path.curve").count() >= 1


def test_a_job_that_did_not_opt_in_cannot_be_steered(open_page, explorer, run_file):
    page = open_page(at=explorer(run_file))
    page.wait_for_selector(".state")
    assert page.get_by_role("group", name="steer the run").count() == 0


@pytest.mark.parametrize("name", ["slope", "walk", "landscape", "found", "found of two", "limit", "fit"])
def test_the_call_in_python_that_makes_the_picture_is_correct(open_page, name):
    if name == "fit" and not hasattr(steepest, "fit"):
        pytest.skip("this version has no fit")
    page = open_page(SCREENS[name])
    until(page, "document.querySelector('.say code').textContent.split('\\n').length >= 2")
    page.wait_for_timeout(300)
    text = said(page)
    assert "steepest" in text
    run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr


def test_the_state_stands_in_the_address_and_the_token_never_does(open_page, server):
    page = open_page()
    handle(page).focus()
    page.keyboard.press("ArrowRight")
    until(page, "location.hash.includes('x=1.3')")
    assert server.token not in page.url
    page.get_by_role("link", name="Walk down", exact=True).click()
    page.wait_for_selector("[data-screen=walk]")
    page.go_back()
    page.wait_for_selector("[data-screen=slope]")
    assert float(handle(page).get_attribute("aria-valuenow")) == 1.3
    page.reload()
    page.wait_for_selector("[role=slider]")
    assert float(handle(page).get_attribute("aria-valuenow")) == 1.3


def test_no_screen_is_wider_than_a_small_phone(open_page):
    page = open_page(width=360, height=740)
    for name, fragment in SCREENS.items():
        go(page, fragment)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name


def test_on_a_phone_the_open_tab_is_in_sight_and_no_label_lies_on_another(open_page):
    page = open_page(width=375, height=720)
    for fragment in ("#limit", "#found?f=x**2&x=1.8", "#fit", "#open", ""):
        go(page, fragment)
        tab = page.locator("nav [aria-current]").bounding_box()
        assert tab["x"] >= 0 and tab["x"] + tab["width"] <= 375, fragment
    go(page, "#limit")
    page.wait_for_selector(".low .axis-up")
    name, hint = (page.locator(f".low {mark}").bounding_box() for mark in (".axis-up", ".mark-label"))
    assert name["x"] + name["width"] < hint["x"]


@pytest.mark.parametrize("width", [400, 1280])
def test_no_button_lies_on_a_picture(open_page, width):
    page = open_page(width=width, height=800)
    for screen in ("", "#limit", SCREENS["walk"], SCREENS["found"]):
        go(page, screen)
        pictures = [picture.bounding_box() for picture in page.locator(".picture").all()]
        for button in page.locator(".zoom button").all():
            box = button.bounding_box()
            assert all(box["y"] + box["height"] <= picture["y"] for picture in pictures), screen


def test_a_phone_shows_all_slopes_of_the_table_beyond_which_rounding_wins(open_page):
    page = open_page("#limit", width=400, height=800)
    page.wait_for_selector(".rows .exact")
    shown, inside = page.locator(".rows").evaluate("rows => [rows.clientHeight, rows.scrollHeight]")
    assert shown >= min(inside, 400)


def test_the_page_writes_numbers_in_sentences_as_it_does_elsewhere(open_page):
    page = open_page("#found?f=x**4/4-x**2%2Bx/4&x=1.8")
    page.wait_for_selector(".verdict p")
    sentence = page.locator(".verdict p").first.text_content()
    assert "(−0.654639)" in sentence and "≤" in sentence and "× 10⁻" in sentence
    assert not re.search(r"<=|(^|[\s(])-\d|\de-", sentence)
    assert "15 digits to trust" in page.locator(".bigs").first.text_content()


def test_a_falling_tangent_is_dashed_in_the_small_pictures_too(open_page):
    page = open_page("#open")
    page.wait_for_selector("line.tangent")
    until(page, "document.querySelectorAll('line.tangent').length >= 5")
    for card in page.locator("line.tangent").all():
        falls = float(card.get_attribute("y2")) > float(card.get_attribute("y1"))
        assert bool(card.get_attribute("stroke-dasharray")) == falls


def test_a_fitted_value_is_shown_to_the_digits_that_its_error_leaves(open_page):
    page = open_page("#fit")
    until(page, "document.body.textContent.includes('±')")
    told = re.findall(r"best ([\d.]+) ± ([\d.]+)", page.locator(".bigs").first.text_content())
    assert len(told) == 3
    for value, error in told:
        assert len(value.partition(".")[2]) == len(error.partition(".")[2]), (value, error)


def go(page, fragment):
    """Another screen in the same page, once it has drawn what it draws."""
    page.evaluate(f"location.hash = {(fragment or '#slope')!r}")
    screen = re.match(r"#?(\w*)", fragment)[1] or "slope"
    page.wait_for_selector(f"[data-screen={screen}]")
    until(page, "!document.body.textContent.includes('looking …')")
    page.wait_for_timeout(250)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_to_complain_of_on_any_screen(open_page, dark):
    import axe_playwright_python.sync_playwright as axe

    page = open_page(dark=dark, bypass_csp=True)
    for name, fragment in SCREENS.items():
        go(page, fragment)
        found = axe.Axe().run(page)
        assert not found.response["violations"], f"{name}: {found.generate_report()}"


def test_a_stopped_server_is_told_and_the_picture_stays(open_page, explorer):
    running = explorer()
    page = open_page(at=running)
    page.wait_for_selector("path.curve")
    running.stop()
    page.wait_for_selector(".notice")
    assert page.locator("path.curve").count() >= 1


def test_a_function_that_fails_is_told_with_its_line_and_nothing_of_it_runs_in_the_page(
    open_page, explorer, tmp_path
):
    (tmp_path / "model.py").write_text("def cost(x):\n    raise ValueError('<img src=x onerror=alert(1)>')\n")
    page = open_page(at=explorer("model.py:cost", cwd=tmp_path))
    page.wait_for_selector(".trouble")
    assert "<img" in page.locator(".trouble").inner_text()
    assert page.locator("img").count() == 0


def test_a_function_that_does_not_end_can_be_stopped_from_every_screen(open_page, explorer, tmp_path):
    (tmp_path / "model.py").write_text(
        "import time\n\n\ndef cost(x):\n    time.sleep(600)\n    return x**2\n"
    )
    page = open_page(at=explorer("model.py:cost", "--start", "1", cwd=tmp_path))
    page.goto(page.url.split("#")[0] + "#slope?x=1")
    page.reload()
    stop = page.get_by_role("button", name="stop", exact=True)
    stop.click()
    stop.wait_for(state="detached")
    # The next question is answered long before the limit of a minute would have ended the one that hung.
    page.get_by_label("cost, an expression").fill("x**2 + 1")
    page.wait_for_selector("path.curve", timeout=30_000)
    assert stop.count() == 0


@pytest.mark.parametrize("name", ["slope", "walk", "landscape", "found", "limit"])
def test_a_page_with_its_data_inside_works_from_a_file_and_asks_nobody(chromium, tmp_path, name):
    from steepest.explorer import still

    two = name == "landscape"
    cost = ROSENBROCK if two else "x**2 - 2*x + 3"
    payload = still.screen(name, cost, x=[-1.2, 1.0] if two else [1.2], title="<b>A title</b>")
    script, style = still.assets()
    path = tmp_path / "page.html"
    path.write_text(
        f"<!doctype html><html lang=en><title>t</title><style>{style}</style>"
        f"{still.block(payload)}{still.block(payload)}<script type=module>{script}</script>"
    )
    context = chromium.new_context()
    page = context.new_page()
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("[role=slider]")
    assert page.locator("[data-screen]").count() == 2  # several stand on one page
    assert page.locator("h1").first.inner_text() == "<b>A title</b>"
    point = handle(page)
    before = point.get_attribute("aria-valuetext")
    point.focus()
    page.keyboard.press("ArrowRight")
    until(page, f"document.querySelector('[role=slider]').getAttribute('aria-valuetext') !== {before!r}")
    if name == "slope":
        assert numbers(point.get_attribute("aria-valuetext")) == pytest.approx([1.3, 2.09, 0.6])
    assert not errors
    assert asked == [path.as_uri()]
    context.close()


def test_on_a_narrow_page_the_tab_of_a_run_is_in_sight(open_page, explorer, run_file):
    page = open_page(at=explorer(run_file), width=400, height=800)
    page.wait_for_selector("nav [aria-current]")
    until(page, "document.querySelector('nav [aria-current]').textContent === 'Live run'")
    until(page, "document.querySelector('nav [aria-current]').getBoundingClientRect().right <= innerWidth")
    assert "<=" not in page.locator(".panel").inner_text()
