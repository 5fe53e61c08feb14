"""Do the derivatives that were handed in agree with the cost? Compared with differences, and the mistake is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..numerics import EPS
from ..objective import Objective
from .look import Look, look_at
from .wording import listed
from .words import Evidence

Vector = np.ndarray

# Steps of the central differences, in units of the parameters' size; what two of them disagree by is the
# error of the better one.
STEPS = (1e-4, 1e-5)

# Times that error a disagreement must be, and this part of the slopes that the cost has over one natural size,
# before the derivative counts as wrong: forward differences err by 1e-7 of it.
ERROR_FACTOR = 50.0
DISAGREEMENT = 1e-4

# A second look this part of the natural sizes away: at a minimum every wrong factor of the slope is right.
ASIDE = 0.03

# Up to this many parameters each is compared; beyond, a mistake is told without its place.
EACH = 60

# Numbers closer than this part of each other are the same number, in a derivative that is otherwise known to 1e-8.
SAME = 1e-3

# One entry alone off by one of these is off by a factor; by another, it may be off by anything.
LIKELY_FACTORS = (0.1, 0.25, 1 / 3, 0.5, 2.0, 3.0, 4.0, 10.0)

# Steps and tolerance for second derivatives, from differences of the slope handed in.
HESSIAN_STEP = EPS ** (1 / 3)
HESSIAN_DISAGREEMENT = 1e-3


@dataclass(frozen=True)
class Disagreement:
    """The evidence, and the sentence where it does not hold; `error` (n,): of the slope, where it is off a little."""

    evidence: Evidence
    sentence: str
    error: Vector | None = None


@dataclass(frozen=True)
class _Compared:
    """Slope along one direction as `given` and as `measured`, the latter's `error`; `natural`: how large slopes are."""

    given: float
    measured: float
    error: float
    natural: float

    @property
    def miss(self) -> float:
        return abs(self.given - self.measured)

    @property
    def limit(self) -> float:
        return max(ERROR_FACTOR * self.error, DISAGREEMENT * self.natural)

    @property
    def wrong(self) -> bool:
        return self.miss > self.limit


def disagreement(look: Look) -> Disagreement:
    """Compare the slope with central differences, here and a little way off; where they part, name the mistake.

    The second derivatives are compared with differences of the slope, if they were handed in too.
    """
    direction = np.where(look.free, look.generator.choice((-1.0, 1.0), look.n), 0.0) * look.scale
    direction *= look.generator.uniform(0.5, 1.0, look.n)
    sides = look.generator.choice((-1.0, 1.0), look.n)
    aside = look.objective.bounds.project(look.x + ASIDE * np.where(look.free, sides, 0.0) * look.scale)
    here = _compare(look, look.x, look.value, look.gradient, direction)
    value, gradient = look.slope_at(aside)
    there = _compare(look, aside, value, gradient, direction)
    worst = here if here.wrong or not there.wrong else there
    evidence = Evidence(
        "supplied gradient",
        worst.miss,
        worst.limit,
        not worst.wrong,
        "against central differences of the cost along a random direction, here and a little way off",
    )
    if worst.wrong:
        told, kind = _told(look, look.x, look.value, look.gradient) if here.wrong else ("", "")
        if there.wrong and not kind:
            told, kind = _told(look, aside, value, gradient)
            told = f"a little way off, {told}"
        return Disagreement(evidence, f"Wrong gradient: {told}{f' ({kind})' if kind else ''}.")
    if look.objective.has_hessian and look.n <= EACH:
        hessian = _wrong_hessian(look)
        if hessian:
            evidence = Evidence(
                "supplied Hessian", None, None, False, "against differences of the supplied gradient"
            )
            return Disagreement(evidence, f"Wrong Hessian: {hessian}.")
    off = here.miss if here.miss > here.error else 0.0
    return Disagreement(evidence, "", off / (look.scale * np.sqrt(max(look.n, 1))))


def wrong_from_the_start(objective: Objective, x: Vector, names: Sequence[str], seed: int = 0) -> bool:
    """Whether a derivative that was handed in is wrong at `x` (n,) already: no walk can use it."""
    if objective.derivatives != "supplied":
        return False
    with np.errstate(all="ignore"):
        look = look_at(objective, x, names, None, None, None, seed)
        if not (np.isfinite(look.value) and np.isfinite(look.gradient).all()):
            return False
        return not disagreement(look).evidence.holds


def _compare(look: Look, x: Vector, value: float, gradient: Vector, direction: Vector) -> _Compared:
    """Slope along `direction` (n,) at `x` (n,) as given and as measured."""
    nothing = _Compared(0.0, 0.0, np.inf, 0.0)
    if not (np.isfinite(value) and np.isfinite(gradient).all() and direction.any()):
        return nothing
    slopes, parted, rounding = [], 0.0, 0.0
    for h in STEPS:
        ahead, behind = (look.objective.bounds.project(x + s * h * direction) for s in (1.0, -1.0))
        up, down = look.value_at(ahead), look.value_at(behind)
        span = float((ahead - behind) @ direction) / float(direction @ direction)
        if not (span > 0 and np.isfinite(up) and np.isfinite(down)):
            return nothing
        slopes.append((up - down) / span)
        parted = abs(up - 2.0 * value + down) / (0.5 * span)
        rounding = 4.0 * EPS * max(abs(up), abs(down), abs(value)) / span
    given, measured = float(gradient @ direction), slopes[-1]
    error = abs(slopes[0] - slopes[1]) + rounding
    # At a kink, slopes to the left and to the right differ, and one derivative is as good as another.
    if parted > 0.5 * abs(given - measured):
        error = np.inf
    natural = max(float(np.abs(gradient) @ np.abs(direction)), abs(measured), parted / STEPS[-1])
    return _Compared(given, measured, error, natural)


def _told(look: Look, x: Vector, value: float, gradient: Vector) -> tuple[str, str]:
    """The mistake in words: in which parameter it shows most, and of which kind it is, "" if of no simple one."""
    free = np.flatnonzero(look.free)
    if free.size > EACH:
        return "it disagrees with differences of the cost along a random direction", ""
    rows = []
    for i in free:
        unit = np.zeros(look.n)
        unit[i] = look.scale[i]
        rows.append(_compare(look, x, value, gradient, unit))
    known = np.array([np.isfinite(row.error) for row in rows])
    wrong = np.array([row.wrong for row in rows]) & known
    if not wrong.any():
        return "it disagrees with differences of the cost along a random direction", ""
    given = np.array([row.given for row in rows]) / look.scale[free]
    true = np.array([row.measured for row in rows]) / look.scale[free]
    error = np.array([row.error for row in rows]) / look.scale[free]
    names = [look.names[i] for i in free.tolist()]
    kind = mistake(given, true, error, names)
    k = int(np.argmax(np.where(wrong, np.abs(given - true) / (np.abs(true) + error), 0.0)))
    return f"for {names[k]} it says {given[k]:.6g}, the cost says {true[k]:.6g}", kind


def mistake(given: Vector, true: Vector, error: Vector, names: Sequence[str]) -> str:
    """What turns the slopes `true` (k,), known to `error` (k,), into those `given`; "" if it is nothing simple.

    >>> mistake(np.array([2.0, -6.0]), np.array([-2.0, 6.0]), np.zeros(2), ("a", "b"))
    'the sign is wrong'
    >>> mistake(np.array([1.0, 3.0]), np.array([2.0, 6.0]), np.zeros(2), ("a", "b"))
    'too small by a factor of 2'
    """
    size = float(np.abs(true).max(initial=0.0))

    def same(one: Vector, other: Vector) -> np.ndarray:
        return (
            np.abs(one - other) <= SAME * np.maximum(np.abs(one), np.abs(other)) + 10.0 * error + 1e-9 * size
        )

    right = same(given, true)
    wrong = ~right
    if not wrong.any():
        return ""
    where = "" if wrong.all() else f" for {listed([names[k] for k in np.flatnonzero(wrong).tolist()])} only"
    telling = wrong & (np.abs(true) > 100.0 * error)
    if telling.any() and same(given, -true)[wrong].all():
        return f"the sign is wrong{where}"
    if telling.any():
        ratios = given[telling] / true[telling]
        ratio = float(np.median(ratios))
        told = telling.sum() >= min(2, len(given)) or any(abs(ratio - c) <= SAME * c for c in LIKELY_FACTORS)
        if told and ratio != 0.0 and same(given, ratio * true)[wrong].all():
            return f"{_factor(ratio)}{where}"
        if same(given, 0.0 * true)[wrong].all():
            return f"it is zero{where}: a term is missing"
    order = _order(given, true, same)
    if order is not None:
        moved = [k for k in range(len(order)) if order[k] != k]
        pairs = [f"{names[k]} holds the slope of {names[order[k]]}" for k in moved]
        return f"the entries stand in another order: {listed(pairs)}"
    difference = (given - true)[wrong]
    if (
        len(difference) > 1
        and np.ptp(difference) <= SAME * np.abs(difference).max() + 20.0 * error[wrong].max()
    ):
        return f"off by {difference.mean():.4g}{where}: a constant too much"
    return f"wrong{where}: a term is missing or too much" if where else ""


def _factor(ratio: float) -> str:
    sign = "the sign is wrong and it is " if ratio < 0 else ""
    size = abs(ratio)
    return (
        f"{sign}too large by a factor of {size:.4g}"
        if size > 1
        else f"{sign}too small by a factor of {1 / size:.4g}"
    )


def _order(given: Vector, true: Vector, same: object) -> list[int] | None:
    """For each entry given, the entry of `true` that it equals, if that is another order of all of them."""
    k = len(given)
    order = np.argsort(true, kind="stable")[np.argsort(np.argsort(given, kind="stable"), kind="stable")]
    if k < 2 or not same(given, true[order]).all():  # type: ignore[operator]
        return None
    if len({f"{value:.6g}" for value in true}) < 2:
        return None
    return [int(i) for i in order]


def _wrong_hessian(look: Look) -> str:
    """What is wrong with the Hessian handed in; "" where it agrees with differences of the slope."""
    H = np.asarray(look.objective.hessian(look.x), dtype=np.float64)
    if not np.isfinite(H).all():
        return ""
    measured, error = np.zeros_like(H), np.zeros_like(H)
    units = look.scale
    for i in np.flatnonzero(look.free):
        columns = []
        for part in (1.0, 0.25):
            step = np.zeros(look.n)
            step[i] = part * 8.0 * HESSIAN_STEP * units[i]
            ahead, behind = (look.objective.bounds.project(look.x + s * step) for s in (1.0, -1.0))
            span = float(ahead[i] - behind[i])
            if span <= 0.0:
                return ""
            columns.append((look.slope_at(ahead)[1] - look.slope_at(behind)[1]) / span)
        measured[:, i], error[:, i] = columns[1], np.abs(columns[1] - columns[0])
    if not np.isfinite(measured).all():
        return ""
    free = np.flatnonzero(look.free)
    block = np.ix_(free, free)
    sized = units[:, None] * units
    given, true, doubt = (sized * H)[block], (sized * measured)[block], (sized * error)[block]
    allowed = HESSIAN_DISAGREEMENT * np.abs(true).max(initial=0.0) + 10.0 * doubt
    if not (np.abs(given - true) > allowed).any():
        return ""
    i, j = np.unravel_index(int(np.argmax(np.abs(given - true) - allowed)), given.shape)
    p, q = int(free[i]), int(free[j])
    a, b = look.names[p], look.names[q]
    told = f"for {a} and {b} it says {H[p, q]:.6g}, the slopes say {measured[p, q]:.6g}"
    flat = np.triu_indices(free.size)
    pairs = zip(*(free[part].tolist() for part in flat), strict=True)
    names = [f"({look.names[p]}, {look.names[q]})" for p, q in pairs]
    kind = mistake(H[block][flat], measured[block][flat], error[block][flat], names)
    if np.abs(given - given.T).max() > HESSIAN_DISAGREEMENT * np.abs(given).max():
        kind = "it is not symmetric"
    return f"{told} ({kind})" if kind else told
