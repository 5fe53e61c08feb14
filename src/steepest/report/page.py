"""The page: sections of a report put together into one file of HTML, style, script and pictures."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..plots.ground import Ground, ground_of
from ..presentation.cards import safe
from ..presentation.text import shortened
from . import sections
from .inline import Drawer, colours
from .live import live_screen
from .told import Told, told

# Nothing is fetched: whatever a hostile name might smuggle in would have nowhere to go.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' blob:; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)
# Opens every piece of evidence for the printer, and closes them again behind it.
PRINTING = (
    "addEventListener('beforeprint',()=>document.querySelectorAll('details:not([open])').forEach("
    "d=>{d.open=true;d.dataset.shut=''}));addEventListener('afterprint',()=>document.querySelectorAll("
    "'details[data-shut]').forEach(d=>{d.open=false;delete d.dataset.shut}))"
)


def html(
    result: Any,
    path: str | PathLike[str],
    *,
    title: str | None = None,
    command: str | None = None,
    pictures: bool = True,
    made: datetime | None = None,
) -> Path:
    """Write a report on a result: one HTML file that needs no network and nothing beside it.

    Args:
        result: what `minimize`, `fit` or `train` returned.
        path: the file, ending in .html or .htm.
        title: of the page; by default the name of the cost.
        command: the command line that led here, told beside the Python call.
        pictures: draw them; each evaluates the cost some hundred times. Without them the page is text and tables.
        made: the time that stands at the end of the page; now by default. Given, the same result makes the same file.

    Returns:
        The path.

    Raises:
        InputError: something without a verdict, or a file name that does not end in .html.

    The page tells what was asked, what was found, each piece of evidence with the picture that shows it, the
    parameters with errors and digits, what was chosen and why, how the walk went, the surroundings, and how to run it
    again. A cost of one or two parameters can be dragged on, between the samples that stand in the page.

    >>> import steepest, tempfile
    >>> result = steepest.minimize("x**2 - 2*x + 3", 3.0)
    >>> path = html(result, Path(tempfile.mkdtemp()) / "lesson.html", pictures=False)
    >>> "global minimum" in path.read_text(encoding="utf-8")
    True
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path.name}: a report ends in .html")
    page = text_of(result, title=title, command=command, pictures=pictures, made=made)
    path.write_text(page, encoding="utf-8")
    return path


def text_of(
    result: Any, *, title: str | None, command: str | None, pictures: bool, made: datetime | None
) -> str:
    """The whole page as text."""
    seen = told(result)
    drawer = Drawer()
    ground = _ground(result) if pictures else None
    live = live_screen(result, ground) if pictures else None
    parts: list[Callable[[], str]] = [
        lambda: sections.heading(seen, title),
        lambda: sections.found(seen),
        lambda: sections.main_picture(result, seen, ground, live, drawer) if pictures else "",
        lambda: sections.parameters(result, seen),
        lambda: sections.multipliers(result),
        lambda: sections.data(result, drawer) if pictures and seen.kind == "fit" else "",
        lambda: sections.evidence(seen, ground, drawer if pictures else None),
        lambda: sections.asked(result, seen),
        lambda: sections.plan(seen),
        lambda: sections.history(result, seen, drawer if pictures else None),
        lambda: sections.again(result, command),
        lambda: sections.surroundings(seen),
    ]
    with warnings.catch_warnings():
        # The browser has letters that Matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        body = "\n".join(part for part in (make() for make in parts) if part)
    moment = (made or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M %Z").strip()
    script = live.script if live else ""
    style = sheet() + (live.style if live else "")
    name = safe(shortened(title or f"{seen.label}: {seen.verdict}", 120))
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{name}</title><style>{style}</style></head>\n"
        f"<body><main>\n{body}\n"
        f"<footer>Made {moment} by steepest. This file needs no network.</footer>\n"
        f"</main><script>{PRINTING}</script>{script}</body></html>\n"
    )


def sheet() -> str:
    """The style sheet, with the colours of the pictures for light and for dark pages."""
    text = (files("steepest.report") / "style.css").read_text(encoding="utf-8")
    return text.replace("/*light*/", colours("light")).replace("/*dark*/", colours("dark"))


def _ground(result: Any) -> Ground | None:
    try:
        return ground_of(result)
    except InputError:
        return None


__all__ = ["Told", "html"]
