"""A page told twice: line by line to whoever watches, and as Markdown with its pictures in a folder."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

WIDTH = 96


class Page:
    """Collects the Markdown while it shows the same words; pictures are written at once."""

    def __init__(self, folder: Path, show: Callable[[str], object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.show = show
        self.blocks: list[str] = []

    def heading(self, text: str, level: int = 2) -> None:
        """Begin a chapter."""
        self._add(f"{'#' * level} {text}")

    def say(self, text: str) -> None:
        """A paragraph."""
        self._add(textwrap.fill(" ".join(text.split()), WIDTH))

    def code(self, text: str, language: str = "text") -> None:
        """Lines to be read as they stand."""
        self.blocks.append(f"```{language}\n{text}\n```")
        self.show(textwrap.indent(text, "    ") + "\n")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows of figures under their names; the first column leads, the others are aligned to the right."""
        widths = [max(len(row[k]) for row in (columns, *rows)) for k in range(len(columns))]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        lines = [_cells(columns, widths), _cells(rule, widths), *(_cells(row, widths) for row in rows)]
        self._add("\n".join(lines))

    def picture(self, drawn: Any, name: str, caption: str) -> None:
        """Write a picture into the folder and show it on the page."""
        from ..plots import save

        save(drawn, self.folder / name)
        self.blocks.append(f"![{caption}]({name})")
        self.show(f"  picture: {self.folder / name}\n")

    def aside(self, text: str) -> None:
        """Said but not written: what differs from run to run, such as seconds."""
        self.show(f"  {text}\n")

    def close(self) -> Path:
        """Write the page and return where it is."""
        path = self.folder / "tour.md"
        path.write_text("\n\n".join(self.blocks) + "\n", encoding="utf-8")
        self.show(f"  the whole page: {path}")
        return path

    def _add(self, block: str) -> None:
        self.blocks.append(block)
        self.show(block + "\n")


def _cells(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        f"{cell:<{width}}" if k == 0 else f"{cell:>{width}}"
        for k, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "| " + " | ".join([first, *others]) + " |"
