"""The notebook's widget: the shipped script mounted as anywidget mounts it, with the real Python behind it."""

import base64
import sys

import pytest

from steepest.errors import InputError, MissingDependencyError
from steepest.explorer import widget

from .conftest import PATIENCE

ROSENBROCK = "(1-x)**2 + 100*(y-x**2)**2"
# What a notebook does: import the module's text, hand it a model and an element, carry messages both ways.
NOTEBOOK = """
async ({script, values, alive}) => {
  const module = (await import(URL.createObjectURL(new Blob([script], {type: "text/javascript"})))).default;
  const heard = new Set();
  window.asked = [];
  window.model = {
    get: (name) => values[name],
    on: (event, one) => heard.add(one),
    off: (event, one) => heard.delete(one),
    send: async (question) => {
      window.asked.push(question.ask);
      if (!alive) return;
      for (const [content, buffers] of await window.toPython(question)) {
        const views = buffers.map((text) => {
          // As in a notebook, a buffer lies somewhere inside a longer one.
          const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
          const longer = new Uint8Array(bytes.length + 3);
          longer.set(bytes, 3);
          return new DataView(longer.buffer, 3);
        });
        for (const one of [...heard]) one(content, views);
      }
    },
  };
  window.heard = heard;
  window.unmount = await module.render({model: window.model, el: document.getElementById("cell")});
}
"""


@pytest.fixture
def notebook(chromium):
    """Mounts a widget in a cell of a page with styles of its own; gives the page. Errors and requests fail."""
    pytest.importorskip("anywidget")
    contexts, complaints = [], []

    def mounted(shown, *, alive=True, style="", dark=False):
        context = chromium.new_context(viewport={"width": 1100, "height": 760})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: request.url.startswith("blob:") or complaints.append(request.url))
        page.set_content(
            f"<style>{style}</style><body style='background:{'#111' if dark else '#fff'}'><div id=cell></div>"
        )

        def to_python(question):
            sent = []
            shown.send = lambda content, buffers=None: sent.append(
                [content, [base64.b64encode(one).decode() for one in buffers or []]]
            )
            shown._handle_custom_msg(question, [])
            return sent

        page.expose_function("toPython", to_python)
        values = {name: getattr(shown, name) for name in ("_style", "_payload")}
        page.evaluate(NOTEBOOK, {"script": shown._esm, "values": values, "alive": alive})
        page.wait_for_selector("#cell [role=slider]")
        return page

    yield mounted
    for context in contexts:
        context.close()
    assert not complaints


def press(page, key):
    point = page.locator("#cell [role=slider]").first
    point.focus()
    page.keyboard.press(key)
    return point


def test_the_slope_is_confirmed_from_python_at_every_place(notebook):
    page = notebook(widget("x**2 - 2*x + 3", start=1.2))
    for _ in range(3):
        point = press(page, "ArrowRight")
    page.wait_for_function(
        "![...document.querySelector('#cell > *').shadowRoot.querySelectorAll('.bigs .badge')]"
        ".some((badge) => badge.textContent !== 'exact')"
    )
    x = float(point.get_attribute("aria-valuenow"))
    assert x > 1.2
    spoken = point.get_attribute("aria-valuetext").replace("−", "-")
    _, cost, slope, _ = spoken.split(", ")
    assert float(cost.split()[-1]) == pytest.approx(x**2 - 2 * x + 3, abs=5e-4)
    assert float(slope.split()[-1]) == pytest.approx(2 * x - 2, abs=5e-4)
    assert "point" in page.evaluate("asked")


def test_where_no_kernel_answers_the_point_still_moves_and_says_that_it_lies_between_samples(notebook):
    page = notebook(widget("x**2 - 2*x + 3", start=1.2), alive=False)
    before = page.locator("#cell [role=slider]").first.get_attribute("aria-valuetext")
    point = press(page, "ArrowRight")
    assert point.get_attribute("aria-valuetext") != before
    assert "between samples" in page.locator("#cell .bigs").first.inner_text()
    press(page, "ArrowRight")
    # The question that nobody answers is the only one: no queue grows.
    assert page.evaluate("asked.filter((ask) => ask === 'point').length") == 1


@pytest.mark.parametrize("screen", ["walk", "landscape", "found", "limit"])
def test_every_screen_mounts_and_moves(notebook, screen):
    shown = widget(
        ROSENBROCK if screen == "landscape" else "x**2 - 2*x + 3", screen=screen, title="<b>A title</b>"
    )
    page = notebook(shown)
    assert page.locator("#cell h1").inner_text() == "<b>A title</b>"
    before = page.locator("#cell [role=slider]").first.get_attribute("aria-valuetext")
    point = press(page, "ArrowRight")
    assert point.get_attribute("aria-valuetext") != before
    assert page.locator("#cell .trouble").count() == 0


def test_the_notebooks_styles_stay_out_and_ours_stay_in(notebook):
    page = notebook(
        widget("x**2 - 2*x + 3", start=1.2), style="button {display: none} dl {display: none}", dark=True
    )
    assert page.get_by_role("button", name="copy").is_visible()
    assert page.evaluate("getComputedStyle(document.body).margin") == "8px"
    assert page.locator("#cell .steepest").get_attribute("data-theme") == "dark"


def test_a_widget_that_is_taken_away_leaves_nothing(notebook):
    page = notebook(widget("x**2 - 2*x + 3", start=1.2))
    page.evaluate("unmount()")
    assert page.evaluate("document.getElementById('cell').children.length") == 0
    assert page.evaluate("heard.size") == 0


def test_a_function_is_answered_by_itself_and_its_errors_are_shown(notebook):
    def cost(p):
        return (p[0] - 2.0) ** 2 + p[0] * p[1] + p[1] ** 2

    shown = widget(cost, [1.0, 1.0])
    sent = []
    shown.send = lambda content, buffers=None: sent.append((content, buffers))
    shown._handle_custom_msg({"ask": "point", "of": {"named": True}, "x": [1.0, 3.0], "id": 4}, [])
    from steepest.explorer.frames import unpack

    (first, (frame,)), (last, _) = sent
    assert (first, last) == ({"id": 4}, {"id": 4, "done": True})
    header, _ = unpack(frame)
    assert header["value"] == 13.0
    assert header["slope"] == [1.0, 7.0]
    for wrong in (
        "text",
        {"ask": "nonsense", "id": 5},
        {"ask": "point", "of": {"named": True}, "x": "no", "id": 6},
    ):
        shown._handle_custom_msg(wrong, [])
    assert [unpack(b[0])[0]["id"] for _, b in sent[2:] if b and "error" in unpack(b[0])[0]] == [5, 6]


def test_what_cannot_be_shown_is_refused():
    pytest.importorskip("anywidget")
    with pytest.raises(InputError, match="start= is needed"):
        widget(lambda x: x**2)
    with pytest.raises(InputError, match="write screen='landscape' or 'found'"):
        widget(ROSENBROCK, screen="slope")
    with pytest.raises(InputError, match="write screen='slope' or 'limit'"):
        widget("x**2", screen="landscape")
    with pytest.raises(InputError, match="there are slope"):
        widget("x**2", screen="fit")


def test_without_anywidget_the_remedy_is_named(monkeypatch):
    from steepest.explorer import notebook as module

    module._kind.cache_clear()
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "steepest\[notebook\]"'):
        widget("x**2")
