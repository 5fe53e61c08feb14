"""A benchmark's table as Markdown, with what is needed to judge it: date, versions, machine, command."""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

# Packages whose versions decide the figures; those that are not installed are left out.
PACKAGES = (
    "steepest",
    "numpy",
    "scipy",
    "jax",
    "jaxlib",
    "optimistix",
    "equinox",
    "optax",
    "torch",
    "cyipopt",
)


def listing(names: Iterable[str]) -> str:
    """The names of the benchmarks, one to a line."""
    return "".join(f"{name}\n" for name in names)


def page(
    name: str,
    purpose: str,
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    note: str,
    *,
    command: str,
) -> str:
    """The whole result page of one benchmark; `command` is what follows `python -m benchmarks`."""
    parts = [
        f"# {name}",
        purpose.strip(),
        markdown(header, rows),
        note.strip(),
        dated(command),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def dated(command: str) -> str:
    """How, when and on what it was measured."""
    return f"`python -m benchmarks {command}`, {circumstances()}."


def renewed(before: str, name: str, purpose: str, sections: Mapping[str, str]) -> str:
    """A page of sections: these in place of those of the same titles in the page `before`, the others as they stand.

    >>> page = renewed("", "train", "Speed.", {"One": "1", "Two": "2"})
    >>> print(renewed(page, "train", "Speed.", {"Two": "II"}))
    # train
    <BLANKLINE>
    Speed.
    <BLANKLINE>
    ## One
    <BLANKLINE>
    1
    <BLANKLINE>
    ## Two
    <BLANKLINE>
    II
    <BLANKLINE>
    """
    kept = [section.partition("\n") for section in before.split("\n## ")[1:]]
    merged = {title.strip(): body.strip() for title, _, body in kept} | dict(sections)
    parts = [f"# {name}", purpose.strip(), *(f"## {title}\n\n{body}" for title, body in merged.items())]
    return "\n\n".join(parts) + "\n"


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table with aligned columns; numbers to three figures, right-aligned.

    >>> print(markdown(["n", "ms"], [[2, 1.23456], [1000, "none"]]))
    |    n |   ms |
    |-----:|-----:|
    |    2 | 1.23 |
    | 1000 | none |
    """
    cells = [[text(value) for value in row] for row in rows]
    widths = [max(3, *(len(row[i]) for row in [list(header), *cells])) for i in range(len(header))]
    right = [any(isinstance(row[i], int | float) for row in rows) for i in range(len(header))]

    def line(values: Sequence[str]) -> str:
        padded = (
            value.rjust(width) if number else value.ljust(width)
            for value, width, number in zip(values, widths, right, strict=True)
        )
        return "| " + " | ".join(padded) + " |"

    rule = (
        "|"
        + "|".join(
            "-" * (width + 1) + (":" if number else "-") for width, number in zip(widths, right, strict=True)
        )
        + "|"
    )
    return "\n".join([line(header), rule, *(line(row) for row in cells)])


def text(value: object) -> str:
    """A cell: floats to three figures, everything else as it prints.

    >>> text(0.012345), text(123.456), text(7), text(None), text(1e7)
    ('0.0123', '123', '7', '', '1e+07')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"
    return str(value)


def circumstances() -> str:
    """Date, versions and machine, without anything that names the machine."""
    versions = ", ".join(f"{package} {version}" for package in PACKAGES if (version := _version(package)))
    system = f"{platform.system()} {platform.machine()}"
    return (
        f"{datetime.now(UTC):%Y-%m-%d}; Python {platform.python_version()}, {versions}; "
        f"{_cpu()}, {_cores()} cores, {system}"
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unnamed CPU"
