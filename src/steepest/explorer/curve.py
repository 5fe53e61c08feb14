"""A curve of one parameter, sampled so that what is drawn between the samples is the function.

The page joins samples by cubic Hermite interpolation of the exact values and slopes. A stretch is halved until the
interpolant agrees with an exact value and slope in its middle. One that still disagrees when it is too narrow to be
seen holds a kink, a jump or an edge: it is marked, drawn unjoined, and there the page waits for an exact answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .subject import Subject

Array = np.ndarray[Any, np.dtype[Any]]

# Samples to begin with, evenly spread: a feature narrower than a stretch between two can be missed.
FIRST_SAMPLES = 129
# A function that takes long gets fewer at first and the rest in place.
SLOW_SAMPLES = 17
# Seconds for one place from which a function counts as slow, and seconds between two pictures of it.
SLOW, SHOW_EVERY = 2e-3, 0.25
MOST_SAMPLES = 4_000
# Share of the height of the picture by which interpolation may be off: a hundredth of a line's width.
HEIGHT_TOLERANCE = 1e-5
# Share of the steepest slope by which an interpolated slope may be off.
SLOPE_TOLERANCE = 1e-3
# Stretches below this share of the width are no longer halved: a sixteenth of a pixel.
NARROWEST = 2.0**-14
# Costs beyond this many times the middle half of them are out of the picture and need no care.
FAR_OUT = 50.0


@dataclass(frozen=True)
class Curve:
    """Samples of a cost: `x`, `f`, `slope`, shape (k,); `smooth`, shape (k - 1,), whether two may be joined."""

    x: Array
    f: Array
    slope: Array
    smooth: Array
    finished: bool


def sample(subject: Subject, low: float, high: float, base: Array, axis: int = 0) -> Iterator[Curve]:
    """The curve along one axis through `base`, shape (n,), from `low` to `high`; better and better.

    >>> *_, curve = sample(Subject("x**2", 0.0), -1.0, 1.0, np.zeros(1))
    >>> bool(curve.smooth.all()), float(curve.f.min())
    (True, 0.0)
    """

    def look(xs: Array) -> tuple[Array, Array]:
        places = np.tile(base, (len(xs), 1))
        places[:, axis] = xs
        values, slopes = subject.values_and_slopes(places)
        return values, slopes[:, axis]

    began = time.perf_counter()
    x = np.linspace(low, high, SLOW_SAMPLES)
    f, g = look(x)
    slow = subject.derivatives == "numeric" and (time.perf_counter() - began) / len(x) > SLOW
    if not slow:
        x = np.linspace(low, high, FIRST_SAMPLES)
        f, g = look(x)
    told = began
    narrowest = (high - low) * NARROWEST
    joined = np.zeros(len(x) - 1, dtype=bool)  # stretches known to be smooth
    given_up = np.zeros(len(x) - 1, dtype=bool)
    while True:
        wide = ~joined & ~given_up
        given_up |= wide & (np.diff(x) <= narrowest)
        todo = np.flatnonzero(~joined & ~given_up)
        if not todo.size or len(x) + todo.size > MOST_SAMPLES:
            break
        if slow and time.perf_counter() - told > SHOW_EVERY:
            told = time.perf_counter()
            yield Curve(x, f, g, _drawn_meanwhile(joined, given_up, f), False)
        if slow:
            todo = todo[:SLOW_SAMPLES]
        middle = 0.5 * (x[todo] + x[todo + 1])
        fm, gm = look(middle)
        good = agrees(x, f, g, todo, fm, gm)
        # A stretch that agreed is done, and so are its halves; one that did not is looked at again, as two.
        joined[todo], half = good, good
        x, f, g = (np.insert(old, todo + 1, new) for old, new in ((x, middle), (f, fm), (g, gm)))
        joined = np.insert(joined, todo + 1, half)
        given_up = np.insert(given_up, todo + 1, False)
    yield Curve(x, f, g, joined & np.isfinite(f[:-1]) & np.isfinite(f[1:]), True)


def _drawn_meanwhile(joined: Array, given_up: Array, f: Array) -> Array:
    return (joined | ~given_up) & np.isfinite(f[:-1]) & np.isfinite(f[1:])


def agrees(x: Array, f: Array, g: Array, cells: Array, fm: Array, gm: Array) -> Array:
    """Whether the interpolant over each of `cells` is right in its middle, where the truth is `fm`, `gm`.

    Middle of the cubic Hermite interpolant on a stretch of width h: value (f₀+f₁)/2 + h(g₀−g₁)/8, slope
    3(f₁−f₀)/(2h) − (g₀+g₁)/4.
    """
    f0, f1, g0, g1 = f[cells], f[cells + 1], g[cells], g[cells + 1]
    h = x[cells + 1] - x[cells]
    with np.errstate(all="ignore"):
        value = 0.5 * (f0 + f1) + h * (g0 - g1) / 8
        slope = 1.5 * (f1 - f0) / h - 0.25 * (g0 + g1)
        height, steepest = _scales(f, g)
        right = np.abs(value - fm) <= HEIGHT_TOLERANCE * height
        right &= np.abs(slope - gm) <= SLOPE_TOLERANCE * steepest + 1e-6 * np.abs(gm)
        # Relative care is enough far above the picture.
        low, high = _middle_half(f)
        far = np.minimum(np.minimum(f0, f1), fm) > high + FAR_OUT * max(high - low, 1e-300)
        right |= far & (np.abs(value - fm) <= 1e-2 * np.abs(fm))
    finite = np.isfinite(f0) & np.isfinite(f1) & np.isfinite(fm)
    nowhere = np.isnan(f0) & np.isnan(f1) & np.isnan(fm)
    return np.where(nowhere, True, finite & right)


def _middle_half(f: Array) -> tuple[float, float]:
    finite = f[np.isfinite(f)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.quantile(finite, (0.0, 0.75))
    return float(low), float(high)


def _scales(f: Array, g: Array) -> tuple[float, float]:
    low, high = _middle_half(f)
    finite = np.abs(g[np.isfinite(g)])
    steepest = float(np.quantile(finite, 0.75)) if finite.size else 1.0
    return max(high - low, 1e-12 * max(abs(low), abs(high)), 1e-300), max(steepest, 1e-300)
