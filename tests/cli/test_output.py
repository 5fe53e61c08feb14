"""What a terminal, a pipe and a program get to see."""

from __future__ import annotations

import io
import json
import os
import sys
from types import SimpleNamespace

import pytest

from steepest.cli import output
from steepest.presentation.marks import MARKS


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORFGBG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    return Terminal()


def escape(color: str) -> str:
    return "38;2;" + ";".join(str(int(color[k : k + 2], 16)) for k in (1, 3, 5))


@pytest.mark.parametrize(("background", "theme"), [("15;0", "dark"), ("0;15", "light")])
def test_arrows_have_the_colours_of_the_pictures_on_either_background(
    terminal, monkeypatch, background, theme
):
    monkeypatch.setenv("COLORFGBG", background)
    output.show("  1  ↗ rising\n  2  ↘ falling", terminal)
    assert escape(getattr(MARKS["rising"], theme)) in terminal.getvalue()
    assert escape(getattr(MARKS["falling"], theme)) in terminal.getvalue()


def test_no_color_leaves_the_words(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    output.show("  1  ↗ rising", terminal)
    assert "38;" not in terminal.getvalue()
    assert "rising" in terminal.getvalue()


def test_a_long_line_is_left_whole(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    output.show("word " * 40, terminal)
    assert terminal.getvalue().rstrip("\n").count("\n") == 0


def test_arrows_that_the_terminal_cannot_spell_do_not_stop_it():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    output.write("↗ rising", stream)
    assert raw.getvalue() == b"? rising" + os.linesep.encode()


def test_json_holds_null_where_a_number_is_not_finite(capsys):
    output.show_json({"a": float("nan"), "b": [float("inf"), 1.0]})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.0]}


def test_progress_is_for_terminals_only(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with output.progress(wanted=True) as callback:
        assert callback is None


def test_progress_tells_the_step_and_leaves_nothing_behind(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(output, "PROGRESS_AFTER", 0.0)
    monkeypatch.setattr(output, "PROGRESS_EVERY", 0.0)
    with output.progress(wanted=True) as callback:
        callback(intermediate_result=SimpleNamespace(nit=12, fun=0.5, nfev=30))
        callback(intermediate_result=SimpleNamespace(nit=13, fun=0.25, nfev=32))
    assert "step 13  cost 0.25  32 evaluations" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[2K"), "the line is cleared"


def test_progress_gives_way_to_a_live_display_of_the_user(terminal, monkeypatch):
    from rich.errors import LiveError
    from rich.status import Status

    def refused(self):
        raise LiveError("Only one live display may be active at once")

    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(output, "PROGRESS_AFTER", 0.0)
    monkeypatch.setattr(output, "PROGRESS_EVERY", 0.0)
    monkeypatch.setattr(Status, "start", refused)
    with output.progress(wanted=True) as callback:
        for step in range(3):
            callback(intermediate_result=SimpleNamespace(nit=step, fun=0.5, nfev=30))


@pytest.mark.parametrize(
    ("line", "colour"),
    [
        ("global minimum: cost 2  (f)", "green"),
        ("minimum at a kink: cost 0  (f)", "green"),
        ("fit of m to 20 points: local minimum", "green"),
        ("saddle point: cost 0  (f)", "yellow"),
        ("unbounded below: cost -3  (f)", "yellow"),
    ],
)
def test_a_minimum_is_green_and_every_other_word_is_yellow(line, colour):
    spans = [str(span.style) for span in output.coloured(line).spans]
    assert spans and spans[-1] == f"bold {colour}"
