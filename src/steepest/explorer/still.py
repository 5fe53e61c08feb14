"""A screen of the explorer with its data inside, for a file that opens without a server and stays draggable."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from ..errors import InputError
from .frames import pack, plain
from .questions import Desk, answer
from .subject import Subject

# Places across and up in a landscape: contours are smooth, and 81 × 81 numbers of four bytes are 35 kB as text.
GRID = [81, 81]
# What each screen asks for when it opens.
ASKED = {
    "slope": ("describe", "curve", "point"),
    "limit": ("describe", "curve", "point", "secants"),
    "walk": ("describe", "curve", "walks"),
    "landscape": ("describe", "window", "grid", "paths", "point"),
    "found": ("describe", "curve", "window", "grid", "found"),
}
# Steps of a walk kept for a page: 61 rates of five methods are 2 numbers each.
STEPS = 60


def screen(
    name: str,
    fun: Any,
    *,
    x: Sequence[float] | None = None,
    start: Any = None,
    low: float | None = None,
    high: float | None = None,
    window: Sequence[float] | None = None,
    title: str = "",
    state: Mapping[str, Any] | None = None,
    label: str | None = None,
    code: str | None = None,
) -> dict[str, Any]:
    """The payload of a screen about the cost `fun`, an expression or a function.

    `x` is the flat place to look at; `start` a structure of the parameters, needed for a function. `low`, `high`
    bound a curve, `window` (left, right, bottom, top) a landscape. `state` adds to the fragment (pins, rate, ...).
    Raises `InputError` for a screen that does not exist, and what the cost raises.
    """
    return screen_of(
        name,
        subject_of(fun, start, label=label, code=code),
        x=x,
        low=low,
        high=high,
        window=window,
        title=title,
        state=state,
    )


def subject_of(fun: Any, start: Any, *, label: str | None = None, code: str | None = None) -> Subject:
    """The cost to draw; the letters of an expression start at 0.5 where nothing else is said."""
    if start is None:
        if not isinstance(fun, str):
            raise InputError("start= is needed for a function: parameters of the structure it takes")
        from ..tracing.expressions import parse

        names = parse(fun).names
        start = 0.5 if len(names) == 1 else dict.fromkeys(names, 0.5)
    return Subject(fun, start, label=label, code=code)


def screen_of(
    name: str,
    subject: Subject,
    *,
    x: Sequence[float] | None = None,
    low: float | None = None,
    high: float | None = None,
    window: Sequence[float] | None = None,
    title: str = "",
    state: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """`screen` about a cost that was read already."""
    if name not in ASKED:
        raise InputError(f"there is no still screen {name!r}; there are {', '.join(ASKED)}")
    place = [float(value) for value in (subject.start if x is None else x)]
    desk = Desk(named=subject)
    of: dict[str, Any] = {"named": True}
    shown = {"x": ",".join(map(repr, place)), **{key: str(value) for key, value in (state or {}).items()}}
    if subject.text is not None:
        shown["f"] = subject.text
    context: dict[str, Any] = {"of": of, "x": place}
    if subject.n == 1:
        reach = max(4.0, 1.5 * abs(place[0]))
        low = place[0] - reach if low is None else float(low)
        high = place[0] + reach if high is None else float(high)
        shown |= {"low": repr(low), "high": repr(high)}
        context |= {"low": low, "high": high}
    elif window is not None:
        context["window"] = [float(edge) for edge in window]
    answers = []
    for ask in ASKED[name]:
        question = _question(ask, context, subject)
        if question is None:
            continue
        header, arrays = _last(desk, question)
        if ask == "window":
            context["window"] = header["window"] if "window" not in context else context["window"]
            header = {**header, "window": context["window"]}
        frame = base64.b64encode(pack(header, arrays)).decode()
        answers.append({"question": question, "frame": frame})
    return {"screen": name, "title": title, "state": shown, "answers": answers}


def _question(ask: str, context: Mapping[str, Any], subject: Subject) -> dict[str, Any] | None:
    """The question a screen would ask; None for one that does not fit the number of parameters."""
    if ask in ("window", "grid", "paths") and subject.n < 2:
        return None
    if ask in ("curve", "walks", "secants") and subject.n != 1:
        return None
    wanted = {
        "describe": ("of",),
        "curve": ("of", "low", "high"),
        "grid": ("of", "x", "window"),
    }.get(ask, ("of", "x"))
    question = {"ask": ask, **{key: context[key] for key in wanted}}
    if ask == "grid":
        question |= {"axes": [0, 1], "size": GRID}
    if ask == "walks":
        question["steps"] = STEPS
    return question


def _last(desk: Desk, question: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    *_, (header, arrays) = answer(desk, question)
    if "error" in header:
        raise InputError(header["error"]["message"])
    return header, arrays


def block(payload: Mapping[str, Any]) -> str:
    """The payload as a script block; nothing in it can end the block early, whatever its names hold."""
    text = json.dumps(plain(payload), ensure_ascii=False, allow_nan=False)
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f'<script type="application/json" data-steepest>{safe}</script>'


def assets() -> tuple[str, str]:
    """The page's script and its style sheet, as texts for `<script type="module">` and `<style>`."""
    page = files("steepest.explorer") / "page"
    script = (page / "explorer.js").read_text(encoding="utf-8")
    style = (page / "explorer.css").read_text(encoding="utf-8")
    return script.replace("</script", "<\\/script"), style.replace("</style", "<\\/style")
