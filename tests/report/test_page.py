"""A report: one file that needs nothing else, tells what was found, and lets no name do harm."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

import steepest as st
from steepest import report
from steepest.errors import InputError
from steepest.report.again import call_of

MADE = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
# What a typical report may weigh, in bytes.
LIGHT = 250_000


class Page(HTMLParser):
    """Every tag with its attributes, and the text outside scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(text)
        self.text = " ".join("".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(result, tmp_path, **settings):
    return Page(report.html(result, tmp_path / "page.html", **settings).read_text(encoding="utf-8"))


def valley(p):
    return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2


@pytest.fixture(scope="module")
def text(descended, tmp_path_factory):
    """A whole page of a usual result."""
    path = report.html(descended, tmp_path_factory.mktemp("report") / "page.html", made=MADE)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def lesson_text(lesson, tmp_path_factory):
    path = report.html(lesson, tmp_path_factory.mktemp("report") / "page.html")
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def lesson():
    return st.minimize("x**2 - 2*x + 3", 3.0)


@pytest.fixture(scope="module")
def descended():
    return st.minimize(valley, [-1.2, 1.0], bounds=[(None, None), (0.0, None)])


def test_the_page_tells_what_was_found_and_every_piece_of_evidence(descended, text):
    page = Page(text)
    assert str(descended.verdict) in page.text
    for item in descended.evidence:
        assert item.name in page.text
        assert item.how in page.text
    assert descended.plan.because in page.text
    for name, _ in descended.plan.passed_over:
        assert name in page.text
    assert "def valley(p):" in page.text
    assert len(page.all("details")) >= len(descended.evidence)


def test_every_piece_of_evidence_opens_a_picture_or_names_the_one_that_shows_it(descended, text):
    for k in range(len(descended.evidence)):
        inside = re.search(rf"<details id=e{k}>.*?</details>", text, re.DOTALL)[0]
        assert "<svg" in inside or "href" in inside


def test_the_page_needs_no_network_and_stays_light(text, lesson_text):
    for whole in (text, lesson_text):
        assert len(whole.encode()) <= LIGHT
        page = Page(whole)
        policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
        assert "default-src 'none'" in policy
        for tag, attributes in page.tags:
            for name in ("src", "href", "action", "data"):
                assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
        assert not re.search(r"url\((?!#)|@import", whole)


def test_a_cost_of_one_parameter_can_be_dragged_along_in_the_page(lesson_text):
    blocks = [script for script in Page(lesson_text).all("script") if "data-steepest" in script]
    assert len(blocks) == 1


HOSTILE = (
    "</script><script>alert(1)</script>", '" onmouseover="alert(1)', "<img src=x onerror=alert(1)>", "$a$ & $b",
    "]]>\x00\x08--><!--", "{{7*7}}", "</style><b>", "' onfocus='alert(1)",
)  # fmt: skip


def test_hostile_names_do_no_harm_and_are_still_told(text, tmp_path):
    def cost(p):
        return sum((value - k) ** 2 for k, value in enumerate(p.values()))

    cost.__name__ = "".join(HOSTILE)
    result = st.minimize(cost, dict.fromkeys(HOSTILE, 3.0), bounds=dict.fromkeys(HOSTILE[:3], (2.5, None)))
    page = page_of(result, tmp_path, title=HOSTILE[0], command=f"steepest {HOSTILE[1]}")
    clean = Page(text)
    assert len(page.all("script")) == len(clean.all("script"))
    assert not page.all("img") and not page.all("b:") and len(page.all("style")) == 1
    assert not [a for _, attributes in page.tags for a in attributes if a.lower().startswith("on")]
    told = "".join(page.words)
    for name in HOSTILE:
        assert re.sub("[\x00-\x08]", "", name) in told


def test_source_of_a_hostile_file_is_only_text(tmp_path):
    file = tmp_path / "model.py"
    lines = ["def cost(x):", '    "</code></pre><script>alert(1)</script>"', "    return (x - 1)**2"]
    file.write_text("\n".join(lines))
    namespace = {}
    exec(compile(file.read_text(), str(file), "exec"), namespace)
    page = page_of(st.minimize(namespace["cost"], 3.0), tmp_path, pictures=False)
    assert "<script>alert(1)</script>" in page.text
    assert "model.py, line 1" in page.text
    assert str(tmp_path) not in page.text, "where a file lies is nobody's business"


def test_the_call_on_the_page_makes_the_same_result_again(tmp_path):
    wishes = {
        "method": "l-bfgs",
        "bounds": {"x": (None, 0.8)},
        "budget": {"steps": 500},
        "options": {"memory": 5},
    }
    result = st.minimize("(1-x)**2 + 100*(y-x**2)**2", {"x": -1.2, "y": 1.0}, **wishes)
    text = report.html(result, tmp_path / "page.html", pictures=False).read_text(encoding="utf-8")
    import html

    call = html.unescape(re.findall(r"<pre><code>(import.*?)</code></pre>", text, re.DOTALL)[-1])
    namespace = {}
    exec(call.replace("print(result)", ""), namespace)
    again = namespace["result"]
    assert again.x == result.x
    assert again.verdict == result.verdict
    assert again.nfev == result.nfev


def test_functions_without_a_name_are_called_what_they_were_given_for():
    held = {"type": "ineq", "fun": lambda p: p[0] - 0.5}
    result = st.minimize(lambda p: (p**2).sum(), [1.0, 2.0], jac=lambda p: 2 * p, constraints=[held])
    call = call_of(result)
    assert "lambda" not in call
    for name in ("cost", "jac", "fun"):
        assert f"# {name}: the function" in call
    namespace = {"cost": lambda p: (p**2).sum(), "jac": lambda p: 2 * p, "fun": held["fun"]}
    exec(call.replace("print(result)", ""), namespace)
    assert np.array_equal(namespace["result"].x, result.x)


@pytest.mark.parametrize("bounds", [None, [(0.5, None), (None, None)]])
def test_hatching_is_spoken_of_where_something_is_hatched(bounds, tmp_path):
    result = st.minimize(lambda p: (p**2).sum() + p[0] ** 4, [1.0, 2.0], bounds=bounds)
    page = report.html(result, tmp_path / "page.html").read_text(encoding="utf-8")
    assert ("hatched beyond the bounds" in page) is (bounds is not None)


def test_the_same_result_makes_the_same_file(descended, text, tmp_path):
    again = report.html(descended, tmp_path / "again.html", made=MADE).read_text(encoding="utf-8")
    assert again == text
    assert "2026-01-02 03:04 UTC" in text


def test_names_inside_pictures_are_unique_in_the_page(text):
    names = [attributes["id"] for _, attributes in Page(text).tags if "id" in attributes]
    assert len(names) == len(set(names))


def test_bounds_are_not_left_for_a_picture(tmp_path):
    asked = []

    def guarded(x):
        asked.append(float(np.asarray(x)))
        return (x + 1) ** 2

    result = st.minimize(guarded, 1.0, bounds=(0, 2), derivatives="numeric")
    asked.clear()
    report.html(result, tmp_path / "page.html")
    assert min(asked) >= 0 and max(asked) <= 2


def test_without_pictures_the_cost_is_not_called(tmp_path):
    calls = []

    def counted(x):
        calls.append(1)
        return (x - 1) ** 2

    result = st.minimize(counted, 3.0, derivatives="numeric")
    calls.clear()
    page = page_of(result, tmp_path, pictures=False)
    assert not calls and not page.all("svg")


def test_values_are_shown_to_the_digits_that_can_be_trusted_and_whole_for_whoever_copies(tmp_path):
    result = st.minimize(lambda x: (x - np.pi) ** 2, 0.0)
    result.digits = np.array([4.0])
    text = report.html(result, tmp_path / "page.html", pictures=False).read_text(encoding="utf-8")
    cell = re.search(r'<td class=n title="([^"]*)">([^<]*)</td>', text)
    assert float(cell[1]) == result.x
    assert cell[2] == "3.142"


@pytest.mark.parametrize(
    ("cost", "start"),
    [
        ("abs(x-1)", 3.0),
        ("exp(x)", 0.0),
        (lambda p: (p[0] + p[1] - 1) ** 2, [0.0, 0.0]),
        (lambda p: p[0] ** 2 - p[1] ** 2, [1.0, 0.0]),
        (lambda x: np.floor(x) ** 2, 3.5),
        (lambda x: np.log(x - 5.0), 0.0),
        (lambda p: np.sum((p - np.arange(30.0)) ** 4), np.ones(30)),
    ],
    ids=["kink", "tail", "trough", "saddle", "steps", "not finite", "thirty"],
)
def test_whatever_was_found_there_is_a_page(cost, start, tmp_path):
    result = st.minimize(cost, start)
    page = page_of(result, tmp_path, pictures=cost not in ("abs(x-1)", "exp(x)"))
    assert str(result.verdict) in page.text
    if result.next_step:
        assert result.next_step in page.text


def test_a_stored_result_still_makes_a_page(descended, tmp_path):
    import pickle

    page = page_of(pickle.loads(pickle.dumps(descended)), tmp_path)
    assert page.all("svg"), "its history is still there to be drawn"
    assert str(descended.verdict) in page.text


def test_other_endings_and_other_things_are_refused(lesson, tmp_path):
    with pytest.raises(InputError, match=r"\.html"):
        report.html(lesson, tmp_path / "page.pdf")
    with pytest.raises(InputError, match="verdict"):
        report.html(SimpleNamespace(x=1), tmp_path / "page.html")


def test_matplotlib_is_not_imported_before_the_first_report():
    import subprocess
    import sys

    code = "import sys, steepest.report; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_training_has_a_page_too(tmp_path):
    def cost(parameters, batch):
        return np.mean((batch["y"] - parameters["w"] * batch["x"]) ** 2)

    x = np.linspace(0, 1, 64)
    result = st.train(cost, {"w": 0.0}, {"x": x, "y": 3 * x}, batch_size=16, epochs=3, method="sgd", rate=0.5)
    page = page_of(result, tmp_path)
    assert str(result.verdict) in page.text
    assert all(item.how in page.text for item in result.evidence)
    assert f"{result.arrays[0].item():.6f}"[:5] in page.text  # few numbers are listed one by one


def test_the_arrays_of_a_model_are_listed_by_name_shape_and_size_not_number_by_number(tmp_path):
    def cost(parameters, batch):
        return np.mean((batch @ parameters["layer"]["W"]) ** 2) + np.mean(parameters["layer"]["b"] ** 2)

    start = {"layer": {"W": np.full((3, 8), 2.0), "b": np.zeros(5)}}
    result = st.train(cost, start, np.ones((64, 3)), steps=1, method="sgd", rate=1e-9)
    page = page_of(result, tmp_path)
    for told in ("layer.W", "3×8", "layer.b"):
        assert told in page.text
    assert "layer.W[0" not in page.text
    assert "x[" not in page.text


def test_constraints_their_multipliers_and_the_call_with_them_stand_on_the_page(tmp_path):
    import html

    limits = ["x**2 + y**2 <= 1", "x >= -5"]
    result = st.minimize("(x-2)**2 + (y-1)**2", {"x": 0.0, "y": 0.0}, constraints=limits)
    text = report.html(result, tmp_path / "page.html", pictures=False).read_text(encoding="utf-8")
    shown = Page(text).text
    # Of (|u| - r)² at the foot u/|u|: the lowest cost falls by (√5 - 1)/r for each unit that r² rises, r = 1.
    assert f"x**2 + y**2 <= 1−{np.sqrt(5) - 1:.6g}" in shown
    assert "and 1 constraint not active" in shown
    assert "constraints['x**2 + y**2 <= 1', 'x >= -5']" in shown
    namespace = {}
    exec(html.unescape(re.findall(r"<pre><code>(import.*?)</code></pre>", text, re.DOTALL)[-1]), namespace)
    assert namespace["result"].x == result.x


def test_a_verified_point_between_constraints_has_a_page(tmp_path):
    found = st.verify("x**2 + y**2", {"x": 0.5, "y": 0.5}, constraints="x + y >= 1")
    assert "x + y >= 1" in page_of(found, tmp_path, pictures=False).text


def test_a_walk_over_colours_is_white_on_dark_pages_too(tmp_path):
    result = st.minimize("(1-x)**2 + 100*(y-x**2)**2 + (z-y)**2", {"x": -1.2, "y": 1.0, "z": 0.0})
    text = report.html(result, tmp_path / "page.html").read_text(encoding="utf-8")
    svg = re.findall(r'<svg class="plot".*?</svg>', text, re.DOTALL)[0]
    assert svg.count("#fefefe") >= 4, "the walk, both of its ends, and the ground of their words"


def test_a_walk_between_constraints_is_drawn_with_them_and_not_to_be_dragged_out(tmp_path):
    result = st.minimize("(x-2)**2 + (y-1)**2", {"x": 0.0, "y": 0.0}, constraints="x**2 + y**2 <= 1")
    text = report.html(result, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "data-steepest" not in text
    assert "hatched beyond the bounds and where a constraint is not met" in text
