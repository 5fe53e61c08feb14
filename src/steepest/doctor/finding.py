"""One finding: what is wrong, how bad, the evidence, the place in the user's code, and the rewrite."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

# From worst to mildest: no derivative, or a wrong one; a derivative that misleads; something to know.
SEVERITIES = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """`kind` in a few words; `severity` "error", "warning" or "note"; `sentence` what was found, with numbers.

    `file`, `line`, `expression`: where in the user's code, "" and 0 where that is unknown. `rewrite`: what to write
    or do instead. `parameters`: names of those involved.
    """

    kind: str
    severity: str
    sentence: str
    rewrite: str = ""
    file: str = ""
    line: int = 0
    expression: str = ""
    parameters: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """File and line as one reads them, "" where they are unknown."""
        if not self.line:
            return ""
        if not self.file or self.file.startswith("<"):
            return f"line {self.line}"
        path = os.path.relpath(self.file) if os.path.isabs(self.file) else self.file
        return f"{self.file if path.startswith('..') else path}, line {self.line}"

    @property
    def spot(self) -> str:
        """The place, and what stands there where it can be read."""
        return f"{self.place}: {self.expression}" if self.expression else self.place

    def __str__(self) -> str:
        where = f" ({self.spot})" if self.line else ""
        what = f" {self.rewrite}" if self.rewrite else ""
        return f"{self.kind}: {self.sentence}{where}.{what}"

    def to_dict(self) -> dict[str, Any]:
        """The finding as plain JSON values."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "sentence": self.sentence,
            "rewrite": self.rewrite,
            "file": self.file,
            "line": self.line,
            "expression": self.expression,
            "parameters": list(self.parameters),
        }
