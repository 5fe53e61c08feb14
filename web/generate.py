"""Writes what Python and the page share into src/shared.json: marks, inks, and the exact samples of the lesson.

Run by `make explorer`; a test holds the file to what Python says now.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from steepest.explorer.frames import pack
from steepest.explorer.questions import Desk, answer
from steepest.presentation.marks import DARK_BACKGROUND, INK, MARKS, SOFT_INK

LESSON = "x**2 - 2*x + 3"
QUESTIONS: tuple[dict[str, Any], ...] = (
    {"ask": "describe", "of": {"text": LESSON}},
    {"ask": "curve", "of": {"text": LESSON}, "low": -2, "high": 4},
)


def shared() -> dict[str, Any]:
    """What the page is built with."""
    desk = Desk()
    saved = []
    for question in QUESTIONS:
        *_, (header, arrays) = answer(desk, question)
        frame = base64.b64encode(pack(header, arrays)).decode()
        saved.append({"question": question, "frame": frame})
    return {
        "marks": {
            word: {"arrow": m.arrow, "dash": m.dash, "light": m.light, "dark": m.dark}
            for word, m in MARKS.items()
        },
        "ink": INK,
        "softInk": SOFT_INK,
        "darkBackground": DARK_BACKGROUND,
        "lesson": {"text": LESSON, "saved": saved},
    }


def text() -> str:
    """The file."""
    return json.dumps(shared(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    (Path(__file__).parent / "src" / "shared.json").write_text(text(), encoding="utf-8")
