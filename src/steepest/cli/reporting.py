"""`--report FILE`: the result as one HTML page, with the command line that made it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError

Report = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write a report, one .html file with pictures that needs no network."),
]


def check_report(path: Path | None) -> None:
    """Refuse a report that could not be written, before anything is computed."""
    if path is None:
        return
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--report {path}: the name of a report ends in .html")
    if not path.parent.is_dir():
        raise InputError(f"--report {path}: there is no folder {path.parent}")


def write_report(result: Any, path: Path | None, words: Sequence[str]) -> None:
    """Write the report, telling the command line `words` that led to it; nothing without a path."""
    if path is not None:
        from ..report import html

        html(result, path, command=shlex.join(["steepest", *words]))
