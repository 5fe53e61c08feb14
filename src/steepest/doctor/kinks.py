"""Kinks close to the point: where the slope to the left is not the slope to the right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ..structure.facts import Structure
from ..tracing.source import user_line
from .chart import Chart
from .finding import Finding

# A kink within this part of the natural size is where the point is, as far as differences and steps can tell.
NEAR = 1e-9

# To both sides of the point the slopes are compared this far off; at a kink they differ by more than this part of
# themselves.
BESIDE = 1e-7
PARTED = 1e-3

# Up to this many parameters each is looked along.
MOST_AXES = 60


def kinks_here(
    chart: Chart,
    structure: Structure,
    measure: Callable[[np.ndarray], tuple[float, np.ndarray]],
    scale: np.ndarray,
) -> Iterator[Finding]:
    """Kinks on which the point lies, as the trace names them and the slopes on both sides confirm."""
    sites = structure.kinks_near(chart.x, NEAR * scale)
    if not sites or not _parted(chart.x, measure, scale):
        return
    told = set()
    for site in sites:
        if (site.word, site.line) in told:
            continue
        told.add((site.word, site.line))
        finding = Finding(
            "jump" if site.word in ("floor", "ceil", "round", "sign") else "kink",
            "note",
            f"the point lies on a corner of {site.word}, where the slope to the left is not the slope to the right",
            "A minimum may lie here, and is then told as a minimum at a kink. If the corner means nothing, round it: "
            "np.sqrt(x**2 + 1e-6) for np.abs(x), np.logaddexp(0, x) for np.maximum(x, 0).",
        )
        yield _placed(chart, finding, site.line)


def _parted(
    x: np.ndarray, measure: Callable[[np.ndarray], tuple[float, np.ndarray]], scale: np.ndarray
) -> bool:
    """Whether the slopes to the two sides of the point differ along some parameter, or along all together."""
    n = x.size
    directions = np.eye(n) if n <= MOST_AXES else np.empty((0, n))
    signs = np.where(np.arange(n) % 2, -1.0, 1.0)
    for direction in (*directions, np.ones(n), signs):
        step = BESIDE * scale * direction
        ahead, behind = measure(x + step)[1], measure(x - step)[1]
        size = max(float(np.abs(ahead * scale).max()), float(np.abs(behind * scale).max()))
        if not float(np.abs((ahead - behind) * scale).max()) <= PARTED * size:
            return True
    return False


def _placed(chart: Chart, finding: Finding, line: str) -> Finding:
    if not line.startswith("line "):
        return finding
    number, _, expression = line.removeprefix("line ").partition(": ")
    places = (user_line(equation) for equation in chart.reading.equations)
    file = next((place.file for place in places if place is not None and place.line == int(number)), "")
    return replace(finding, file=file, line=int(number), expression=expression)
