"""Starts for a fit: many seeded places in the scales of the data, and when an end point calls for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from time import perf_counter
from typing import Any

import numpy as np

from ..bounds import Bounds, Vector
from ..budget import Budget
from ..errors import InputError
from ..numerics import EPS
from ..objective import Objective
from ..residuals import Residuals
from ..solvers.driver import Run
from ..verdict.words import Judgement, Verdict
from .measurements import Measurements

# Random places whose cost is looked at, and how many of the lowest are walked from. A look costs some ten
# microseconds, a walk some milliseconds.
LOOKS, WALKS = 400, 8
# And where nothing is known of the parameters.
FIRST_LOOKS = 8 * LOOKS

# Factors by which random starts leave the scale they begin from, in powers of ten (one standard deviation).
SPREAD = 1.0

# A sequence of residual signs this many standard deviations short of the expected number of runs is not noise but
# shape: the curve passes the data by (Wald & Wolfowitz 1940).
TOO_FEW_RUNS = -4.0

# A model that explains less of the variance than this has not found the data.
LITTLE_EXPLAINED = 0.5

# Shape in the residuals matters when they hold this much of the variance; a good model of clean data that is only not
# quite right leaves shape too, and no other basin would mend it.
LARGE_MISFIT = 0.05

# Where the noise is known, a χ² this many standard deviations above its degrees of freedom is that of noise alone.
AS_NOISE_HAS_IT = 5.0

# Residuals below this many units of rounding of the measurements are none.
EXACT = 16.0


@dataclass(frozen=True)
class Suspicion:
    """Why an end point is not taken at its word; `unexplained`: because the curve there has not found the data."""

    words: str
    unexplained: bool = False


def suspicion_of(
    residuals: Residuals, run: Run, judgement: Judgement, bounds: Bounds, noise: str
) -> Suspicion | None:
    """What is wrong with an end point; None where it is a minimum that fits the data as well as noise lets it.

    `noise`: whether that is "known", the residuals then being in units of it, or "unknown".
    """
    verdict = judgement.verdict
    if not verdict.is_minimum:
        return Suspicion(f"verdict: {verdict}")
    r = residuals.residual(run.x)
    target = residuals.target
    if verdict is Verdict.FLAT_MINIMUM:
        if target is None or not _fits_exactly(r, target, residuals):
            return Suspicion("some parameters are not determined there")
        return None
    if target is None or target.size <= run.x.size:
        return None
    level = target if residuals.sigma is None else residuals.whitened(target - target.mean())
    if residuals.rho is not None:  # points far off may be most of the variance
        near = residuals.are_near(r)
        level, r = level[near], r[near]
    total = float(((level - level.mean()) ** 2).sum())
    misfit = float(r.dot(r))
    degrees = r.size - run.x.size
    if noise == "known" and misfit <= degrees + AS_NOISE_HAS_IT * sqrt(2.0 * degrees):
        return None
    if misfit > LITTLE_EXPLAINED * total and total > 0.0:
        explained = max(0.0, 1 - misfit / total)
        whose = "" if residuals.rho is None else " of all but wild points"
        words = f"the curve explains only {explained:.0%} of the variance{whose} there"
        return Suspicion(words, unexplained=True)
    if misfit > LARGE_MISFIT * total and _runs(r) < TOO_FEW_RUNS:
        return Suspicion("the residuals there follow a curve, not noise")
    return None


def _fits_exactly(r: Vector, target: Vector, residuals: Residuals) -> bool:
    """Whether the residuals are rounding of the measurements: then nothing is lower."""
    level = target if residuals.sigma is None else residuals.whitened(target)
    return float(r.dot(r)) <= (EXACT * EPS) ** 2 * float(level.dot(level))


def _runs(r: Vector) -> float:
    """Standard deviations by which the number of sign runs differs from that of independent noise."""
    up = r > 0
    a, b = int(up.sum()), int((~up).sum())
    n = a + b
    if min(a, b) == 0:
        return -sqrt(n)
    expected = 2.0 * a * b / n + 1.0
    variance = (expected - 1.0) * (expected - 2.0) / (n - 1.0)
    observed = 1 + int((up[1:] != up[:-1]).sum())
    return (observed - expected) / sqrt(variance) if variance > 0 else 0.0


def around(
    objective: Objective, start: Vector, end: Vector, count: int | None, seed: int
) -> Iterator[Vector]:
    """Seeded starts about the given one, from the lowest costs upwards: half keep its signs, half may turn them.

    Of what is left of a budget, looks take no more than half: the rest is for walks.
    """
    generator = np.random.default_rng(seed)
    size = np.where(start != 0.0, np.abs(start), np.maximum(np.abs(end), 1.0))
    places = []
    looks = int(min(max(LOOKS, count or 0), max(objective.evaluations_left // 2, 1)))
    for k in range(looks):
        factor = 10.0 ** (SPREAD * (0.3 + k / looks) * generator.standard_normal(start.size))
        sign = np.where(start != 0.0, np.sign(start), generator.choice([-1.0, 1.0], start.size))
        if k % 2:
            sign = np.where(generator.random(start.size) < 0.25, -sign, sign)
        places.append(objective.bounds.project(sign * size * factor))
    yield from _lowest(objective, places, WALKS if count is None else count)


def _lowest(objective: Objective, places: Sequence[Vector], count: int) -> Iterator[Vector]:
    with np.errstate(all="ignore"):
        costs = np.array([objective.value(place) for place in places])
    order = np.argsort(np.where(np.isfinite(costs), costs, np.inf), kind="stable")
    for k in order[:count].tolist():
        if np.isfinite(costs[k]):
            yield places[k]


def from_data(
    function: Callable[..., Any],
    names: Sequence[str],
    sets: Sequence[Measurements],
    bounds: Mapping[str, Any],
    given: Mapping[str, Any],
    tied: Sequence[str],
    seed: int,
    budget: Budget,
    began: float,
) -> tuple[dict[str, float], int]:
    """A start for parameters of which nothing is known: the best of many places in scales that the data suggest.

    And how many places were looked at: of a `budget` no more than half, whose seconds count from `began`. A parameter
    may have the size of y, of x, of a rate 1/x, of a number near one; which, nobody says. The costs of random mixtures
    are compared, and the best ones polished by walks of a few steps in `fit` itself.
    """
    generator = np.random.default_rng(seed)
    x = (
        np.concatenate([np.ravel(part) for part in _columns(sets[0].x)])
        if sets[0].x is not None
        else np.ones(1)
    )
    y = sets[0].y
    scales = np.array([scale for scale in _scales(x, y) if np.isfinite(scale) and scale > 0.0] or [1.0])
    searched = [name for name in names if name not in given and name not in tied]
    best, lowest = dict.fromkeys(searched, 1.0), np.inf
    allowed = FIRST_LOOKS if budget.evaluations is None else min(FIRST_LOOKS, budget.evaluations // 2)
    until = np.inf if budget.seconds is None else began + 0.5 * budget.seconds
    looked = 0
    while looked < allowed and perf_counter() < until:
        looked += 1
        trial = {}
        for name in searched:
            low, high = _ends(bounds.get(name), name)
            scale = generator.choice(scales) * 10.0 ** (0.5 * generator.standard_normal())
            sign = -1.0 if generator.random() < 0.25 else 1.0
            if np.isfinite(low) and np.isfinite(high) and generator.random() < 0.5:
                trial[name] = float(generator.uniform(low, high))
            else:
                trial[name] = float(min(max(sign * scale, low), high))
        cost = _misfit(function, {**dict.fromkeys(tied, 1.0), **given, **trial}, sets)
        if cost < lowest:
            best, lowest = trial, cost
    return best, looked


def _scales(x: Vector, y: Vector) -> list[float]:
    reach = float(np.ptp(x))
    middle = float(np.abs(x).mean())
    return [
        1.0,
        1.0,
        float(np.abs(y).max()),
        float(np.ptp(y)),
        float(np.abs(y).mean()),
        reach,
        middle,
        1.0 / reach if reach > 0 else 1.0,
        1.0 / middle if middle > 0 else 1.0,
        float(np.ptp(y)) / reach if reach > 0 else 1.0,
    ]


def _columns(x: Any) -> list[Any]:
    if isinstance(x, Mapping):
        return list(x.values())
    return list(x) if isinstance(x, tuple) else [x]


def _ends(pair: Any, name: str) -> tuple[float, float]:
    if pair is None:
        return -np.inf, np.inf
    low, high = pair
    low, high = (-np.inf if low is None else float(low)), (np.inf if high is None else float(high))
    if not low <= high:
        raise InputError(f"the bounds of {name} leave nothing: {low} to {high}")
    return low, high


def _misfit(function: Callable[..., Any], values: Mapping[str, Any], sets: Sequence[Measurements]) -> float:
    total = 0.0
    with np.errstate(all="ignore"):
        for data in sets:
            try:
                r = np.ravel(np.asarray(function(data.x, **values), dtype=np.float64)) - data.y
            except (ArithmeticError, ValueError):
                return np.inf
            total += float(r @ r)
    return total if np.isfinite(total) else np.inf
