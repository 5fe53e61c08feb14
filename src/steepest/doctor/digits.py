"""Digits lost on the way: single precision, and subtractions of nearly equal numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..numerics import EPS
from .chart import Chart
from .finding import Finding

# Arguments smaller than this, beside a one, have lost half of their digits and more.
TINY = 1e-8

# Of the 7 digits of single precision so many may cancel in one operation before the cost suffers.
MOST_CANCELLED = 3.0

# Of the 16 digits of double precision so many may be lost to a number that is added and taken off again.
MOST_OFFSET = 8.0

# Between nearby numbers, so far apart in parts of the parameters' sizes, the cost trembles by this part of what it
# changes by over a tenth of them: eight digits of sixteen are gone.
NEIGHBOURS, LOST, PART = (3.0 * EPS, 1e-10, 1e-7), 1e-8, 0.1

LOW = frozenset({"float32", "float16", "bfloat16"})
DIGITS = {"float32": 7, "float16": 3, "bfloat16": 2}


def low_precision(chart: Chart) -> Iterator[Finding]:
    """Where the cost leaves double precision, and where nearly equal numbers are subtracted there."""
    entered = None
    worst, lost = None, 0.0
    for equation in chart.reading.equations:
        out = equation.outvars[0].aval
        if str(out.dtype) not in LOW or equation.outvars[0] not in chart.reading.varies:
            continue
        entered = entered if entered is not None else equation
        if equation.primitive.name in ("sub", "add"):
            cancelled = _cancelled(chart, equation)
            if cancelled > lost:
                worst, lost = equation, cancelled
    if entered is None:
        return
    dtype = str(entered.outvars[0].aval.dtype)
    yield chart.finding(
        "low precision",
        "warning",
        f"from here on the cost is computed in {dtype}, which holds {DIGITS[dtype]} digits",
        "Keep double precision: leave astype and dtype= out, or write np.float64.",
        entered,
    )
    if worst is not None and lost > MOST_CANCELLED:
        dtype = str(worst.outvars[0].aval.dtype)
        yield chart.finding(
            "digits cancelled",
            "warning",
            f"nearly equal numbers are subtracted in {dtype}: {lost:.0f} of its {DIGITS[dtype]} digits are lost here",
            "Compute this line in double precision.",
            worst,
        )


def _cancelled(chart: Chart, equation: Any) -> float:
    """Digits lost to cancellation by a sum or difference, over all its elements."""
    values = [np.asarray(chart.value(atom), dtype=np.float64) for atom in equation.invars]
    out = np.asarray(chart.value(equation.outvars[0]), dtype=np.float64)
    size = float(max(np.abs(value).max(initial=0.0) for value in values))
    left = float(np.abs(out).max(initial=0.0))
    if size == 0.0 or not np.isfinite(size):
        return 0.0
    return float(np.log10(size / left)) if left > 0 else 0.0


def cancellation(chart: Chart) -> Iterator[Finding]:
    """Well-known expressions that lose the digits of a small argument, and the functions made for them."""
    told = set()
    for equation in chart.reading.equations:
        digits = _offset(chart, equation)
        if digits >= MOST_OFFSET:
            yield chart.finding(
                "digits cancelled",
                "warning",
                f"a large number is added and taken off again: {digits:.0f} of 16 digits are lost of what is between",
                "Leave the large number out, or subtract the two large numbers from one another first.",
                equation,
            )
        found = _classic(chart, equation)
        if found is None:
            continue
        inner, word, rewrite = found
        value = np.asarray(chart.value(inner), dtype=np.float64)
        # 1 - cos(x) is as small as the square of its argument.
        limit = TINY**0.5 if "cos" in word else TINY
        small = (np.abs(value) < limit) & (value != 0.0)
        if not small.any():
            continue
        finding = chart.finding(
            "digits cancelled",
            "warning",
            f"{word} loses the digits of a small argument, here {value[small].flat[0]:.3g}",
            rewrite,
            equation,
            inner,
        )
        if (finding.line, word) not in told:
            told.add((finding.line, word))
            yield finding


def drowned_in_rounding(chart: Chart, gradient: np.ndarray, smooth: bool) -> Iterator[Finding]:
    """Where the cost trembles between nearby numbers by far more than rounding does: nearly equal numbers cancel.

    What its slope, `gradient` (n,), does not explain is measured against how much the cost changes over a part of the
    parameters' sizes, and told at the difference that lost the most digits. `smooth`: no kink is near, so that the
    slope explains what happens some way off as well.
    """
    cost = chart.cost
    if cost is None or not np.isfinite(cost).all():
        return
    here, x = float(np.ravel(np.asarray(cost))[0]), chart.x
    size = np.where(x != 0.0, np.abs(x), 1.0)
    signs = np.where(np.arange(x.size) % 2, -1.0, 1.0) * size

    def change(step: np.ndarray) -> float:
        value = Chart(chart.reading.closed, x + step, chart.names).cost
        return np.nan if value is None else float(np.ravel(np.asarray(value))[0]) - here

    ways = (size, -size, signs, -signs)
    changes = max(abs(change(PART * way)) for way in ways)
    unexplained = max(
        abs(change(h * way) - float(gradient @ (h * way)))
        for h in (NEIGHBOURS if smooth else NEIGHBOURS[:1])
        for way in ways
    )
    whole = max(changes, abs(here))
    if not (np.isfinite(unexplained) and np.isfinite(whole)) or unexplained <= LOST * whole:
        return
    worst, lost = None, 0.0
    for equation in chart.reading.equations:
        if equation.primitive.name in ("sub", "add") and equation.outvars[0] in chart.reading.varies:
            digits = _most_cancelled(chart, equation)
            if digits > lost:
                worst, lost = equation, digits
    if worst is None or lost < MOST_OFFSET:
        return
    yield chart.finding(
        "digits cancelled",
        "warning",
        f"nearly equal numbers are subtracted: {lost:.0f} of 16 digits are lost here, so that the cost no longer "
        "follows its slope between nearby numbers",
        "Rearrange the difference so that the large parts cancel on paper: np.var for a mean of squares less a squared "
        "mean, (a - b) * (a + b) for a**2 - b**2, c / (b + np.sqrt(b**2 - c)) for b - np.sqrt(b**2 - c).",
        worst,
        *worst.invars,
    )


def _most_cancelled(chart: Chart, equation: Any) -> float:
    """Digits lost to cancellation by the element of a sum or difference that loses most."""
    values = [np.asarray(chart.value(atom), dtype=np.float64) for atom in equation.invars]
    out = np.asarray(chart.value(equation.outvars[0]), dtype=np.float64)
    size = np.maximum(*(np.abs(np.broadcast_to(value, out.shape)) for value in values))
    lost = size / np.maximum(np.abs(out), EPS * np.maximum(size, np.finfo(float).tiny))
    return float(np.log10(np.maximum(lost, 1.0)).max(initial=0.0))


def _offset(chart: Chart, equation: Any) -> float:
    """Digits that (x + large) - large loses of x; zero for any other expression."""
    reading = chart.reading
    if equation.primitive.name not in ("add", "sub"):
        return 0.0
    dependent = [atom for atom in equation.invars if reading.depends(atom)]
    made = reading.producer(dependent[0]) if len(dependent) == 1 else None
    if made is None or made.primitive.name not in ("add", "sub"):
        return 0.0
    inner = [atom for atom in made.invars if reading.depends(atom)]
    fixed = [atom for atom in made.invars if not reading.depends(atom)]
    if len(inner) != 1 or not fixed:
        return 0.0
    sizes = [chart.value(atom) for atom in (fixed[0], inner[0], equation.outvars[0])]
    if any(size is None for size in sizes):
        return 0.0
    large, small, left = (
        float(np.abs(np.asarray(size, dtype=np.float64)).max(initial=0.0)) for size in sizes
    )
    if not 0.0 < max(small, left) < large < np.inf:
        return 0.0
    return float(np.log10(large / max(small, left)))


def _classic(chart: Chart, equation: Any) -> tuple[Any, str, str] | None:
    reading, name = chart.reading, equation.primitive.name
    if not any(reading.depends(atom) for atom in equation.invars):
        return None
    if name == "log":
        inner = _beside_one(chart, reading.producer(equation.invars[0]), ("add", "sub"))
        if inner is not None:
            return inner, "log(1 + x)", "Write np.log1p(x)."
    if name in ("sub", "add"):
        other = _minus_one(chart, equation)
        made = None if other is None else reading.producer(other)
        if made is not None and made.primitive.name == "exp":
            return made.invars[0], "exp(x) - 1", "Write np.expm1(x)."
        if made is not None and made.primitive.name == "cos":
            return made.invars[0], "1 - cos(x)", "Write 2 * np.sin(x / 2)**2."
        if made is not None and made.primitive.name == "sqrt":
            inner = _beside_one(chart, reading.producer(made.invars[0]), ("add", "sub"))
            if inner is not None:
                return inner, "sqrt(1 + x) - 1", "Write x / (np.sqrt(1 + x) + 1)."
    return None


def _is_one(chart: Chart, atom: Any) -> bool:
    if chart.reading.depends(atom):
        return False
    value = chart.value(atom)
    return value is not None and bool((np.abs(value) == 1.0).all())


def _beside_one(chart: Chart, equation: Any, names: tuple[str, ...]) -> Any | None:
    """The other operand of a sum with one."""
    if equation is None or equation.primitive.name not in names or len(equation.invars) != 2:
        return None
    first, second = equation.invars
    if _is_one(chart, first):
        return second
    return first if _is_one(chart, second) else None


def _minus_one(chart: Chart, equation: Any) -> Any | None:
    """The operand from which one is taken, or that is taken from one."""
    first, second = equation.invars
    if equation.primitive.name == "sub":
        return _beside_one(chart, equation, ("sub",))
    if chart.reading.depends(first) and not chart.reading.depends(second):
        value = chart.value(second)
        return first if value is not None and bool((np.asarray(value) == -1.0).all()) else None
    return None
