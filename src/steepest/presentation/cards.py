"""A result as a small piece of HTML, which a notebook shows: the short form of its report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from .text import MOST_ROWS, WORTH_A_LOG, counted, flat, limit_text, names_of, numeral, shortened, sizes_of

# What HTML does not allow in any text, and a hostile name may hold.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Size of the small curve of costs, in pixels, and the most points it is drawn from.
CURVE_WIDTH, CURVE_HEIGHT, CURVE_POINTS = 220, 44, 220
CELL = "text-align:left;padding:1px 14px 1px 0;white-space:nowrap"


def result_card(result: Any) -> str:
    """The verdict in a sentence, the parameters, a small curve of the cost, and the evidence to be opened.

    Takes the colours of the page around it, light or dark, and brings no style sheet or script.
    """
    walked = getattr(result, "history", None)  # a point that was only verified has none
    costs = np.array([]) if walked is None else np.asarray(walked.value, dtype=float)
    return card(
        result,
        f"cost {numeral(result.fun, 10)}{_label(result)}",
        _parameters(result),
        curve(costs),
        _how(result),
    )


def training_card(trained: Any) -> str:
    """The same of a run of `train`: its word, its arrays, the cost of its steps, and the evidence to be opened."""
    rows = [(name, shape, f"root mean square {size}") for name, shape, size in sizes_of(trained)]
    aside = "" if trained.validation is None else f", validation {numeral(trained.validation, 6)}"
    costs = trained.history.costs
    return card(
        trained,
        f"cost {numeral(trained.cost, 6)}{aside}{_label(trained)}",
        listed(rows, len(trained.names), "array"),
        curve(np.asarray(costs, dtype=float), len(costs)),
        trained._how(),
        (*trained.remarks, *trained.events),
    )


def card(result: Any, head: str, rows: str, picture: str, how: str, remarks: Iterable[str] = ()) -> str:
    """What all cards have in common: `head`, `rows` and `picture` are HTML, the others text.

    `result` has the verdict and whether it is a success, its message, the evidence and what to do next.
    """
    edge = "solid" if result.success else "dashed"
    parts = [
        f'<div style="border-left:5px {edge} currentColor;padding:4px 0 4px 12px;max-width:48em">',
        f"<div><b>{safe(result.verdict)}</b>: {head}</div>",
        f"<div>{safe(result.message)}</div>",
        rows,
        picture,
        _evidence(result),
        f"<div style='opacity:.75'>{safe(how)}</div>",
        *(f"<div>{safe(remark)}</div>" for remark in remarks),
        f"<div><b>Next:</b> {safe(result.next_step)}</div>" if result.next_step else "",
        "</div>",
    ]
    return "".join(parts)


def listed(rows: Iterable[Sequence[str]], count: int, noun: str) -> str:
    """A table of names, values and notes, all text, and how many of `count` are not among its rows."""
    lines = "".join(
        f'<tr><td style="{CELL}"><b>{safe(name)}</b></td>'
        + "".join(f'<td style="{CELL}">{safe(value)}</td>' for value in values)
        + f'<td style="{CELL};opacity:.75">{safe(note)}</td></tr>'
        for name, *values, note in rows
    )
    more = count - MOST_ROWS
    return f'<table style="margin:4px 0;border-collapse:collapse">{lines}</table>' + (
        f"<div>and {counted(more, f'more {noun}')}</div>" if more > 0 else ""
    )


def safe(text: Any) -> str:
    """Text from outside, harmless in HTML."""
    return escape(CONTROL.sub("", str(text)), quote=True)


def _label(result: Any) -> str:
    name = shortened(getattr(result, "label", "") or "")
    return f" <code>{safe(name)}</code>" if name else ""


def _parameters(result: Any) -> str:
    values = flat(result.x)
    names = names_of(values.size, getattr(result, "names", ()) or ())
    digits = None if getattr(result, "digits", None) is None else flat(result.digits)
    known = digits is not None and digits.size == values.size
    rows = []
    for k in range(min(values.size, MOST_ROWS)):
        trust = ""
        if known and digits is not None and np.isfinite(digits[k]) and digits[k] >= 1:
            trust = f"{counted(int(digits[k]), 'digit')} to trust"
        rows.append((names[k], numeral(values[k], 10), trust))
    return listed(rows, values.size, "parameter")


def curve(values: np.ndarray, steps: int | None = None) -> str:
    """The cost at each step as a small line, by its logarithm where it falls far; empty for fewer than three.

    `steps`: how many there were; by default one fewer than there are costs, the first of which is that of the start.

    >>> curve(np.array([4.0, 2.0, 1.0])).count("<polyline")
    1
    """
    finite = values[np.isfinite(values)]
    if finite.size < 3 or not finite.max() > finite.min():
        return ""
    places = np.unique(np.linspace(0, values.size - 1, min(values.size, CURVE_POINTS)).round().astype(int))
    heights = values[places]
    kind = "cost"
    if finite.min() > 0 and finite.max() > WORTH_A_LOG * finite.min():
        with np.errstate(all="ignore"):
            heights, kind = np.log10(heights), "log cost"
    known = np.isfinite(heights)
    places, heights = places[known], heights[known]
    x = 2 + (CURVE_WIDTH - 4) * places / max(values.size - 1, 1)
    y = 2 + (CURVE_HEIGHT - 4) * (heights.max() - heights) / (heights.max() - heights.min())
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    told = f"{kind} over {values.size - 1 if steps is None else steps:,} steps"
    return (
        f'<div><svg width="{CURVE_WIDTH}" height="{CURVE_HEIGHT}" role="img" aria-label="{told}">'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.4"/>'
        f'<circle cx="{x[-1]:.1f}" cy="{y[-1]:.1f}" r="2.5" fill="currentColor"/></svg>'
        f'<span style="opacity:.75;padding-left:8px">{told}</span></div>'
    )


def _evidence(result: Any) -> str:
    items = tuple(result.evidence or ())
    if not items:
        return ""
    rows = []
    for item in items:
        mark = "✓ holds" if item.holds else "✗ does not hold"
        measured = "" if item.measured is None else f"{numeral(item.measured, 3)}{safe(limit_text(item))}"
        cells = (mark, f"<b>{safe(item.name)}</b>", measured)
        rows.append(
            "<tr>" + "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells)
            + f'<td style="text-align:left;opacity:.75">{safe(item.how)}</td></tr>'
        )  # fmt: skip
    return (
        f"<details><summary>why: {counted(len(items), 'piece')} of evidence</summary>"
        f'<table style="border-collapse:collapse">{"".join(rows)}</table></details>'
    )


def _how(result: Any) -> str:
    plan = getattr(result, "plan", None)
    because = f", because {plan.because}" if plan is not None and plan.because else ""
    name = f"{plan.name}{because}; " if plan is not None else ""
    return f"{name}{result.nfev:,} evaluations, {result.nit:,} steps"
