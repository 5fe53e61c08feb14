"""Is any point in the box lower? Answered by interval branch and bound, with rounding on the safe side.

Boxes are split, the most promising first, until an interval bound shows of each that no point in it is lower than the
one to be judged, less a stated gap. A box is bounded by the natural extension of the cost, by its centred form
f(c) + ∇f(X)·(X - c), and, where the second derivatives show it convex, by the tangent plane at its middle; it is
dropped where the cost plainly rises or falls in one direction and the box does not touch the bound it falls towards
(Hansen & Walster, "Global Optimization Using Interval Analysis", 2004, chapters 12 and 14).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..numerics import EPS
from ..tracing.passes import simplify
from .interval_rules import NoInterval
from .intervals import IntervalProgram
from .wording import number
from .words import Evidence

Array = np.ndarray

# Boxes split at a time: enough that NumPy's cost for each operation does not count, few enough to stay best-first.
AT_ONCE = 512

# Numbers held at a time, at most: of a cost of a great many data, fewer boxes are split at a time.
MOST_NUMBERS = 1 << 24

# The gap that is proven, as a part of how far the cost ranges over the box. Smaller takes ever more boxes at a minimum.
GAP = 1e-9

# Boxes that are kept before the search is given up, whatever the time.
MOST_BOXES = 2_000_000

# Up to this many parameters the second derivatives are bounded too.
CURVED = 6


@dataclass(frozen=True)
class Proof:
    """What branch and bound found.

    `proven`: no point of the box is lower than the one judged by more than `gap`. `lower`: a point (n,) that is lower,
    and `value` the cost there, should one have been met. `left`: the lowest of the boxes that remained, lower and upper
    corner, each (n,). `boxes`: looked at.
    """

    proven: bool
    gap: float
    boxes: int
    seconds: float
    why: str
    lower: Array | None = None
    value: float = np.nan
    left: tuple[Array, Array] | None = None

    def evidence(self) -> Evidence:
        """The same as evidence for a verdict."""
        how = f"interval branch and bound: {self.boxes:,} boxes in {self.seconds:.1f} s"
        return Evidence(
            "no lower point in the box", self.gap if self.proven else None, None, self.proven, how
        )

    def sentence(self, names: Sequence[str]) -> str:
        """What was shown, or what stood in the way."""
        if self.proven:
            return (
                f"No point within the bounds is lower by more than {number(self.gap)}: proved by interval branch and "
                f"bound, {self.boxes:,} boxes."
            )
        if self.lower is not None:
            where = ", ".join(f"{name} = {v:.9g}" for name, v in zip(names, self.lower, strict=True))
            return f"A lower point lies within the bounds: {where}, where the cost is {self.value:.9g}."
        if self.left is not None:
            sides = ", ".join(
                f"{name} from {a:.6g} to {b:.6g}" for name, a, b in zip(names, *self.left, strict=True)
            )
            return f"Not proven: {self.why} after {self.boxes:,} boxes; a lower point may still lie within {sides}."
        return f"Not proven: {self.why}."


def prove(closed: Any, x: Array, lower: Array, upper: Array, seconds: float) -> Proof:
    """Whether the cost `closed`, a jaxpr, is nowhere in the box `lower` to `upper` lower than at `x`, all (n,).

    Takes at most about `seconds`. Nothing is assumed of the cost but what its operations are; points at which it has no
    value do not count.
    """
    began = time.perf_counter()
    try:
        return _Search(closed, x, lower, upper).go(began, seconds)
    except NoInterval as trouble:
        return Proof(False, np.nan, 0, time.perf_counter() - began, str(trouble))


class _Search:
    def __init__(self, closed: Any, x: Array, lower: Array, upper: Array) -> None:
        self.value = IntervalProgram(closed)
        self.slope, self.bend = _derivatives(closed, x.size)
        programs = [program for program in (self.value, self.slope, self.bend) if program is not None]
        held = 2 * max(program.numbers for program in programs)  # either half of a box
        self.at_once = min(max(MOST_NUMBERS // max(held, 1), 1), AT_ONCE)
        self.x, self.lower, self.upper = x, lower, upper
        self.here_low, self.here_high = (float(side[0]) for side in self.value(x[None], x[None]))

    def go(self, began: float, seconds: float) -> Proof:
        L, U = self.lower[None], self.upper[None]
        low, _ = self.value(L, U)
        middle = self.value(0.5 * (L + U), 0.5 * (L + U))[1]
        size = max(abs(float(middle[0]) - self.here_low), abs(self.here_high), 0.0)
        size = size if np.isfinite(size) else abs(self.here_high)
        gap = GAP * size + 64 * EPS * abs(self.here_high) + (self.here_high - self.here_low)
        target = self.here_high - gap
        bounds, boxes = low.copy(), 1
        if not np.isfinite(self.here_high):
            return Proof(False, gap, boxes, 0.0, "the cost is not finite at the point")
        if low[0] >= target:
            return Proof(True, gap, boxes, time.perf_counter() - began, "")
        while len(bounds):
            spent = time.perf_counter() - began
            if spent > seconds or len(bounds) > MOST_BOXES:
                first = int(np.argmin(bounds))
                why = f"the {seconds:g} s ran out" if spent > seconds else "too many boxes were left"
                return Proof(False, gap, boxes, spent, why, left=(L[first], U[first]))
            chosen = np.arange(len(bounds))
            if len(bounds) > self.at_once:
                chosen = np.argpartition(bounds, self.at_once)[: self.at_once]
            rest = np.ones(len(bounds), dtype=bool)
            rest[chosen] = False
            bottom, top, stuck = _halves(L[chosen], U[chosen], self.lower, self.upper)
            if stuck:
                first = int(np.argmin(bounds))
                return Proof(
                    False, gap, boxes, spent, "a box could not be split further", left=(L[first], U[first])
                )
            boxes += len(bottom)
            bottom, top, low, place = self._bounded(bottom, top, target)
            if place is not None:
                value = float(self.value(place[None], place[None])[1][0])
                return Proof(False, gap, boxes, time.perf_counter() - began, "", place, value)
            kept = low < target
            L, U = np.concatenate([L[rest], bottom[kept]]), np.concatenate([U[rest], top[kept]])
            bounds = np.concatenate([bounds[rest], low[kept]])
        return Proof(True, gap, boxes, time.perf_counter() - began, "")

    def _bounded(self, bottom: Array, top: Array, target: float) -> tuple[Array, Array, Array, Array | None]:
        """Boxes that may hold something lower, their lower bounds, and a point that is lower, should one be met."""
        c = 0.5 * (bottom + top)
        low, _, doubt = self.value.with_doubt(bottom, top)
        low = low.copy()
        at_low, at_high, nowhere = self.value.with_doubt(c, c)
        at_high = np.where(nowhere, np.inf, at_high)
        best = int(np.argmin(at_high))
        # Lower beyond the gap and all rounding: then nothing can be proven any more.
        if at_high[best] < target:
            return bottom, top, low, c[best]
        if self.slope is None:
            return bottom, top, low, None
        sure = ~doubt & np.isfinite(at_low)
        g_low, g_high, bent = self.slope.with_doubt(bottom, top)
        low = np.where(sure, np.maximum(low, _plane(at_low, g_low, g_high, bottom, top, c)), low)
        if self.bend is not None:
            # A second derivative leaves out what happens at a kink, where the first one jumps.
            open_ = np.flatnonzero(sure & ~bent & (low < target))
            if open_.size:
                H_low, H_high = self.bend(bottom[open_], top[open_])
                convex = open_[_is_definite(H_low, H_high)]
                if convex.size:
                    t_low, t_high = self.slope(c[convex], c[convex])
                    tangent = _plane(at_low[convex], t_low, t_high, bottom[convex], top[convex], c[convex])
                    low[convex] = np.maximum(low[convex], tangent)
        # Rising throughout along a coordinate: the lowest is on the lower side, which has to be the bound itself.
        top, bottom = top.copy(), bottom.copy()
        for i in range(bottom.shape[1]):
            rising, falling = sure & (g_low[:, i] > 0.0), sure & (g_high[:, i] < 0.0)
            inside = (rising & (bottom[:, i] > self.lower[i])) | (falling & (top[:, i] < self.upper[i]))
            low = np.where(inside, np.inf, low)
            top[:, i] = np.where(rising, bottom[:, i], top[:, i])
            bottom[:, i] = np.where(falling & ~rising, top[:, i], bottom[:, i])
        return bottom, top, low, None


def _derivatives(closed: Any, n: int) -> tuple[IntervalProgram | None, IntervalProgram | None]:
    """Programs for the gradient and the Hessian; None where they hold an operation without a rule.

    Of the operations themselves: what the cost claims as its derivative (`custom_jvp`, `stop_gradient`) proves nothing.
    """
    from ..derivatives import exact

    closed = simplify(closed)
    try:
        slope = IntervalProgram(exact.gradient(closed))
    except NoInterval:
        return None, None
    if n > CURVED:
        return slope, None
    try:
        bend = IntervalProgram(exact.hessian(closed))
    except NoInterval:
        return slope, None
    return slope, bend


def _halves(L: Array, U: Array, lower: Array, upper: Array) -> tuple[Array, Array, bool]:
    """Every box (k, n) cut in two across its longest side, in parts of the whole."""
    whole = np.where(upper > lower, upper - lower, 1.0)
    longest = np.argmax((U - L) / whole, axis=1)
    rows = np.arange(len(L))
    middle = 0.5 * (L[rows, longest] + U[rows, longest])
    stuck = bool(((middle <= L[rows, longest]) | (middle >= U[rows, longest])).any())
    left, right = U.copy(), L.copy()
    left[rows, longest] = middle
    right[rows, longest] = middle
    return np.concatenate([L, right]), np.concatenate([left, U]), stuck


def _plane(at: Array, g_low: Array, g_high: Array, bottom: Array, top: Array, c: Array) -> Array:
    """The least that at + g·(x - c) can be for x in the box and g between its bounds, rounded down; (k,)."""
    with np.errstate(all="ignore"):
        ends = np.stack([g_low * (bottom - c), g_low * (top - c), g_high * (bottom - c), g_high * (top - c)])
    # Zero times infinity: the middle plane of a box that is flat there.
    ends = np.where(np.isnan(ends), -np.inf, ends)
    least = ends.min(axis=0)
    with np.errstate(all="ignore"):
        total = at + least.sum(axis=1)
    return np.nextafter(
        total - 4 * (c.shape[1] + 2) * EPS * (np.abs(at) + np.abs(least).sum(axis=1)), -np.inf
    )


def _is_definite(H_low: Array, H_high: Array) -> Array:
    """Mask (k,) of interval matrices (k, n, n) that hold none with a curvature that is not positive.

    The lowest eigenvalue of the middle less the norm of the radii bounds all of them (Weyl).
    """
    middle, radius = 0.5 * (H_low + H_high), 0.5 * (H_high - H_low)
    finite = np.isfinite(middle).all(axis=(1, 2)) & np.isfinite(radius).all(axis=(1, 2))
    middle = np.where(finite[:, None, None], middle, 0.0)
    middle = 0.5 * (middle + middle.transpose(0, 2, 1))
    norm = np.linalg.norm(np.where(finite[:, None, None], radius, 0.0), axis=(1, 2))
    lowest = np.linalg.eigvalsh(middle)[:, 0]
    size = np.linalg.norm(middle, axis=(1, 2))
    return finite & (lowest > norm * (1.0 + 1e-9) + 1e-12 * size)
