"""A Python loop that was written down pass by pass: thousands of equations where one array expression would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..tracing.source import user_line
from .chart import Chart
from .finding import Finding

# A line that ran this often while the cost was traced belongs to a loop worth writing as an array expression: a
# compiler needs a second for every few hundred equations.
OFTEN = 200


def unrolled(chart: Chart) -> Iterator[Finding]:
    """The line that left the most equations behind, if it ran often."""
    lines: Counter[tuple[str, int]] = Counter()
    kinds: Counter[tuple[str, int, str]] = Counter()
    examples: dict[tuple[str, int], Any] = {}
    for equation in chart.reading.equations:
        place = user_line(equation) if equation.outvars[0] in chart.reading.varies else None
        if place is not None:
            key = (place.file, place.line)
            lines[key] += 1
            kinds[(*key, equation.primitive.name)] += 1
            examples[key] = equation
    if not lines:
        return
    (file, line), count = lines.most_common(1)[0]
    passes = max(times for (where, number, _), times in kinds.items() if (where, number) == (file, line))
    # An expression may use an operation several times in one pass, but hardly for every second equation.
    if passes < OFTEN:
        return
    yield chart.finding(
        "unrolled loop",
        "warning",
        f"this line left {count:,} equations behind, of {len(chart.reading.equations):,} in all: a Python loop or "
        "comprehension was written down pass by pass",
        "Write it for whole arrays: np.sum(f(t)) with t an array, for sum(f(t_i) for t_i in t).",
        examples[file, line],
    )
