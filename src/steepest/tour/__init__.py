"""The tour: the lesson, guessing against knowing the slope, a real fit, and a million parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .fitting import fit_a_curve
from .guessing import guess_and_walk
from .lesson import feel_the_slope, walk_down
from .million import clean_a_million
from .page import Page

CHAPTERS = (feel_the_slope, walk_down, guess_and_walk, fit_a_curve, clean_a_million)

WELCOME = """You stand on a hillside in thick fog and want the lowest point. You cannot see the landscape, but you can
feel the slope under your feet. A derivative is that sense of slope, and steepest makes it exact."""


def run(out: Path, show: Callable[[str], object] = print) -> Path:
    """Tell the tour through `show`, with its pictures and `tour.md` in the folder `out`; return the page.

    The text and the pictures are the same on every run: what is drawn by chance is drawn from a fixed seed.
    Raises OSError where the folder cannot be written.
    """
    page = Page(Path(out), show)
    page.heading("A tour of steepest", level=1)
    page.say(WELCOME)
    for chapter in CHAPTERS:
        chapter(page)
    return page.close()
