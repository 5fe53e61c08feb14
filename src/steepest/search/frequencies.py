"""Is a fit better with a wave of another frequency? Each is taken out, and looked for at every frequency in reach.

The cost of a wave as a function of its frequency has a valley for every turn more or less over the data, and only one
of them is the right one: a walk ends in whichever is nearest. But what remains without the wave tells at which
frequency it would explain most, as the periodogram does (Lomb 1976, Scargle 1982), here with a mean and, for squares of
waves, a second harmonic. It takes the phases alone, which are read off the trace, and no value of the cost.
Frequencies, periods and whatever else turns the phases of the data by unlike angles are looked for alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..bounds import Vector
from ..linear_algebra.dense import dense
from ..objective import Objective
from .descent import structure_of
from .exchange import LARGEST_JACOBIAN, solved
from .nearby import MOST_PARAMETERS
from .sequels import WALK_STEPS, Sequels

# From one frequency to the next the phases of first and last datum come apart by a quarter of a turn: a peak between
# two of them is seen at 95 % of its height, and lies in the valley of the nearer one.
STEP = np.pi / 2

# A frequency is looked for up to so many times what it is, or was at the start; a period likewise.
REACH = 100.0

# And so far that data, in their order, are half a turn apart in the mean; frequencies beyond are told from those below
# only where data lie unevenly. Less than this angle over all data is no wave.
APART, NO_WAVE = np.pi, np.pi / 2

# The most numbers in all phases that are looked at for one parameter: they take a tenth of a second. Where
# all data at all frequencies are more, as many data as are few enough are looked at, drawn at random, but so many in
# any case: they tell of any wave that explains a fifth of what is left.
MOST_NUMBERS = 2_000_000
AT_ONCE = 50_000
ENOUGH_DATA = 300

# Where a wave explains more than this part of what all others leave, no other frequency can explain as much.
EXPLAINS = 0.5

# Another frequency is tried where what is left would be less by more than this part; beside a good fit by more than the
# best of so many frequencies lowers noise, but half of all is no noise.
LESS, NO_NOISE = 0.05, 0.5

# Fewer data are met by waves of many frequencies.
FEWEST_DATA = 8

# Frequencies tried for each parameter, phases at each, rounds, and waves that may depend on one parameter.
TRIED, QUARTERS, ROUNDS, MOST_WAVES = 3, 4, 4, 3

# Angles that differ by no more than this part are one; and how far from a parameter, in parts of it, it is seen what it
# turns.
ALIKE, BESIDE = 1e-7, 1e-4

# Halvings after which a parameter turns the phases as was asked for to a hundredth of STEP, of some thousands in reach.
HALVINGS = 24

# Shapes alike but for this part of theirs are told apart no more.
HARDLY = 1e-9

# Waves that a second harmonic describes so many times better than the first alone, in squares, have one. Others would
# be found where the second harmonic is what they are.
HAVE_A_SECOND = 10.0


def by_frequencies(sequels: Sequels) -> None:
    """From other frequencies of the waves in a fit, where those explain what is left, as long as that leads lower."""
    phases = _phases(sequels)
    if phases is None:
        return
    problem, objective = sequels.problem, sequels.problem.objective
    for _ in range(ROUNDS):
        lowest, before = sequels.run, objective.evaluations
        for parameter, place in at_other_frequencies(objective, phases, lowest.x, problem.start):
            sequels.looked += objective.evaluations - before
            if not sequels.are_worth_it():
                return
            if sequels.leads_lower(place, WALK_STEPS):
                value = f"{problem.names[parameter]} = {place[parameter]:.3g}"
                sequels.across = f"{value}, where its waves explain more,"
                break
            before = objective.evaluations
        if sequels.run is lowest:
            return


def at_other_frequencies(
    objective: Objective,
    phases: Phases,
    x: Vector,
    start: Vector,
    weights: Vector | None = None,
    *,
    beyond_noise: bool = False,
) -> Iterator[tuple[int, Vector]]:
    """Where to walk from (n,): at frequencies that explain more than those at `x` (n,), and which parameter that is.

    Phases and all else are what is best there. `start` (n,): where the walk to `x` began. `weights` (m,): by what the
    residuals are multiples of what the waves make; None where all are alike. `beyond_noise`: only where what is left
    at `x` is hardly noise.
    """
    for wave in waves_of(objective, phases, x, weights):
        i = wave.parameter
        size = max(abs(float(start[i])), abs(float(x[i])))
        low, high = float(objective.bounds.lower[i]), float(objective.bounds.upper[i])
        for value in promising(wave, size, low, high, beyond_noise=beyond_noise):
            place = _best_at(objective, wave, value)
            if place is not None:
                yield i, place


def _phases(sequels: Sequels) -> Phases | None:
    """The phases of the waves of a fit; None where there are none, or the fit is too large to look at."""
    objective = sequels.problem.objective
    if not (objective.least_squares and objective.has_residual and objective.n <= MOST_PARAMETERS):
        return None
    if objective.has_sparse_jacobian or not sequels.are_worth_it():
        return None
    phases: Phases = structure_of(sequels.problem).phases
    return phases if phases else None


class Phases(Protocol):
    """What the waves of a cost are of; false where there are none."""

    def __bool__(self) -> bool: ...

    def at(self, x: Vector) -> list[Vector] | None:
        """The phases at `x` (n,), an array for each argument; None where they cannot be computed."""


class Wave(NamedTuple):
    """The waves that a `parameter` turns by unlike angles, over k data.

    `columns`: for each of the w waves, which argument, and which of its elements, in the order of the data. `own`
    (w, k): their phases at `x` (n,), and `rates` (w, k): by what angles a small unit of the parameter turns them.
    `shift`: a parameter that turns all data of all waves by one angle, and by how much for each unit of it; None where
    there is none. `without` (k,): residuals with the waves taken out; `left`: the sum of squares with them.
    `weights` (k, 1): by what these are multiples of waves. `harmonics`: one or two.
    """

    parameter: int
    columns: tuple[tuple[int, Any], ...]
    own: np.ndarray
    rates: np.ndarray
    shift: tuple[int, float] | None
    without: Vector
    left: float
    weights: np.ndarray
    harmonics: int
    phases: Phases
    x: Vector

    def turned(self, value: float) -> float:
        """How many times the `rates` the parameter at `value` has turned the phases; NaN where in other proportions."""
        place = self.x.copy()
        place[self.parameter] = value
        found = self.phases.at(place)
        if found is None:
            return np.nan
        angles = np.stack([found[k].ravel()[own] for k, own in self.columns]) - self.own
        times = float((angles * self.rates).sum() / (self.rates * self.rates).sum())
        off = np.abs(angles - times * self.rates).max()
        return times if off <= ALIKE * np.abs(angles).max() else np.nan

    @property
    def step(self) -> float:
        """How many times the `rates` it takes for first and last datum to come apart by STEP."""
        return STEP / float(np.ptp(self.rates, axis=1).max())

    @property
    def fastest(self) -> float:
        """The angle over all data at which they are APART in the mean; those measured twice at one place are one."""
        places = np.round(self.rates / (ALIKE * np.ptp(self.rates, axis=1).max()))
        return APART / self.harmonics * (np.unique(places, axis=1).shape[1] - 1)


def waves_of(
    objective: Objective, phases: Phases, x: Vector, weights: Vector | None = None
) -> Iterator[Wave]:
    """The waves at `x` (n,) that explain less than others might."""
    here = phases.at(x)
    if here is None:
        return
    linear = objective.linearised(x)
    r, J = linear.residual, dense(linear.jacobian)
    if J.size > LARGEST_JACOBIAN or not (np.isfinite(r).all() and np.isfinite(J).all()):
        return
    turned = [_turned(phases, x, here, i) for i in range(x.size)]
    for i, angles in enumerate(turned):
        if angles is None:
            continue
        columns = tuple(_columns(angles, r.size, J[:, i]))
        if not 0 < len(columns) <= MOST_WAVES or len({place.size for _, place in columns}) > 1:
            continue
        rows = _rows(columns[0][1].size, J[:, i])
        if rows is None:
            continue
        own = np.stack([here[k].ravel()[place] for k, place in columns])
        rates = np.stack([angles[k].ravel()[place] for k, place in columns])
        weight = np.ones((own.shape[1], 1)) if weights is None else weights[rows, None]
        harmonics, taken_out = _as_it_is(own, rates, weight, J[rows, i])
        without = r[rows] - taken_out
        left = float(r[rows] @ r[rows])
        centred = without + weight @ solved(weight, without)
        if left < (1.0 - EXPLAINS) * float(centred @ centred):
            continue
        shifts = ((j, _one_angle(other, columns)) for j, other in enumerate(turned) if other is not None)
        shift = next(((j, rate) for j, rate in shifts if rate is not None), None)
        yield Wave(i, columns, own, rates, shift, without, left, weight, harmonics, phases, x)


def _turned(phases: Phases, x: Vector, here: list[Vector], i: int) -> list[Vector] | None:
    """By what angle each phase turns for each unit of parameter `i`; None where by none."""
    place = x.copy()
    place[i] += BESIDE * abs(x[i]) or BESIDE
    there = phases.at(place)
    if there is None:
        return None
    rates = [(after - before) / (place[i] - x[i]) for before, after in zip(here, there, strict=True)]
    return rates if all(np.isfinite(rate).all() for rate in rates) and any(map(np.any, rates)) else None


def _columns(angles: list[Vector], m: int, column: Vector) -> Iterator[tuple[int, np.ndarray]]:
    """Which argument, and which of its elements, a parameter turns by unlike angles, with one element for each datum.

    Most of them are turned. An argument may hold a wave in each of its rows or columns. The data are those that the
    `column` (m,) of the Jacobian moves, or all of them where it does not tell: one at time zero is not moved.
    """
    moved = int(np.count_nonzero(column))
    for k, angle in enumerate(angles):
        order = np.arange(angle.size)
        shaped = order.reshape(len(angle), -1)
        tables: list[Any] = [order[None, :], shaped, shaped.T]
        flat = angle.ravel()
        of_those = (table for table in tables if np.count_nonzero(flat[table[0]]) == moved)
        of_all = (table for table in tables if table.shape[1] == m)
        for whole in next(chain(of_those, of_all), ()):
            one = whole[flat[whole] != 0.0] if whole.size != m else whole
            turns = flat[one]
            most = 2 * np.count_nonzero(turns) > turns.size >= FEWEST_DATA
            if most and np.ptp(turns) > ALIKE * np.abs(turns).max():
                yield k, one


def _rows(size: int, column: Vector) -> Any | None:
    """The data that so many phases belong to: all, or those that the parameter moves."""
    if size == column.size:
        return slice(None)
    moved = np.flatnonzero(column)
    return moved if moved.size == size else None


def _one_angle(angles: list[Vector], columns: tuple[tuple[int, Any], ...]) -> float | None:
    """The angle by which all waves turn alike for each unit of a parameter; None where there is none."""
    turns = np.concatenate([angles[k].ravel()[own] for k, own in columns])
    rate = float(turns[0])
    return rate if rate != 0.0 and np.abs(turns - rate).max() <= ALIKE * abs(rate) else None


def _as_it_is(own: np.ndarray, rates: np.ndarray, weights: np.ndarray, slope: Vector) -> tuple[int, Vector]:
    """How many harmonics waves of phases `own` (w, k) have, and what they add to the residuals (k,).

    The `slope` (k,) by what turns them at these `rates` (w, k) tells: it is that of all their shapes together, times
    the `weights` (k, 1).
    """
    found = []
    for harmonics in (1, 2):
        columns = [rate[:, None] * _derived(phase, harmonics) for phase, rate in zip(own, rates, strict=True)]
        slopes = weights * np.hstack(columns)
        amplitudes = -solved(slopes, slope)
        off = slope - slopes @ amplitudes
        shapes = weights * np.hstack([_shapes(phase, harmonics) for phase in own])
        found.append((float(off @ off), shapes @ amplitudes))
    (first, by_one), (second, by_two) = found
    return (2, by_two) if HAVE_A_SECOND * second < first else (1, by_one)


def _shapes(phase: Vector, harmonics: int) -> np.ndarray:
    """The waves of the `phase` (..., k), and their second harmonic if there are two, (..., k, 2·harmonics)."""
    shapes = [np.sin(phase), np.cos(phase)]
    if harmonics == 2:
        shapes += [np.sin(2.0 * phase), np.cos(2.0 * phase)]
    return np.stack(shapes, axis=-1)


def _derived(phase: Vector, harmonics: int) -> np.ndarray:
    """The slopes of these by the phase."""
    slopes = [np.cos(phase), -np.sin(phase)]
    if harmonics == 2:
        slopes += [2.0 * np.cos(2.0 * phase), -2.0 * np.sin(2.0 * phase)]
    return np.stack(slopes, axis=-1)


def _best_at(objective: Objective, wave: Wave, value: float) -> Vector | None:
    """The lowest place seen with the parameter at `value`, with this phase and that; None where none is finite."""
    lowest, best = np.inf, None
    for quarter in range(QUARTERS if wave.shift is not None else 1):
        place = wave.x.copy()
        place[wave.parameter] = value
        if wave.shift is not None:
            place[wave.shift[0]] += quarter * STEP / wave.shift[1]
        for there in _with_the_rest(objective, objective.bounds.project(place), wave):
            cost = objective.value(there)
            if cost < lowest:
                lowest, best = cost, there
    return best


def _with_the_rest(objective: Objective, place: Vector, wave: Wave) -> Iterator[Vector]:
    """`place` (n,), and where all but frequency and phase would be best by their slopes there."""
    yield place
    linear = objective.linearised(place)
    J = dense(linear.jacobian)
    if not (np.isfinite(J).all() and np.isfinite(linear.residual).all()):
        return
    rest = np.ones(place.size, dtype=bool)
    rest[[wave.parameter, *([] if wave.shift is None else [wave.shift[0]])]] = False
    there = place.copy()
    there[rest] += solved(J[:, rest], linear.residual)
    yield objective.bounds.project(there)


def promising(wave: Wave, size: float, low: float, high: float, *, beyond_noise: bool = False) -> list[float]:
    """Values of the parameter at which the wave explains most, in falling order; each more than those beside it.

    `size`: of the parameter; inside `low` and `high`. `beyond_noise`: more than noise may look as if explained.
    """
    own = float(wave.x[wave.parameter])
    if size > 0.0:
        near, far = np.copysign([min(size / REACH, abs(own)), size * REACH], own or 1.0)
    else:
        far = APART / STEP * wave.without.size * wave.step
        near = -far
    ends = np.clip([min(near, far), max(near, far)], low, high)
    if not ends[0] <= own <= ends[1]:
        return []
    turned = [wave.turned(float(end)) for end in ends]
    if not np.isfinite(turned).all():
        return []
    # Farther than this from where they are, phases turn by more than APART from one to the next.
    fastest = wave.fastest + float(np.ptp(wave.own, axis=1).max())
    w, k = wave.own.shape
    most = min(MOST_NUMBERS // (2 * w * min(k, ENOUGH_DATA)), int(fastest / STEP))
    first, last = (int(np.clip(end / wave.step, -most, most)) for end in sorted(turned))
    times = wave.step * np.arange(first, last + 1)
    looked_at = _some_of(k, MOST_NUMBERS // (w * times.size))
    gains = _gains(wave, times, looked_at)
    by_noise = (2 * wave.harmonics * w + 1 + 2.0 * np.log(times.size)) / k  # Scargle 1982, section III
    less = max(LESS, min(by_noise, NO_NOISE)) if beyond_noise else LESS
    most_left = (1.0 - less) * wave.left
    peaks = np.r_[True, gains[1:] >= gains[:-1]] & np.r_[gains[:-1] >= gains[1:], True]
    whole, part = (float(one @ one) for one in (wave.without, wave.without[looked_at]))
    found = np.flatnonzero(peaks & ((part - gains) * whole < most_left * part))
    best = found[np.argsort(-gains[found], kind="stable")][:TRIED]
    gains = _gains(wave, times[best], slice(None))
    order = np.argsort(-gains, kind="stable")
    best = best[order[whole - gains[order] < most_left]]
    return [_value_at(wave, float(times[k]), own, ends, turned) for k in best]


def _value_at(wave: Wave, times: float, own: float, ends: Vector, turned: list[float]) -> float:
    """The value of the parameter between `own` and one of the `ends` that turns the phases so many `times`."""
    beyond = next(k for k in (0, 1) if times * turned[k] > 0.0 or times == 0.0)
    inside, outside = own, float(ends[beyond])
    for _ in range(HALVINGS):
        middle = 0.5 * (inside + outside)
        if abs(wave.turned(middle)) < abs(times):
            inside = middle
        else:
            outside = middle
    return 0.5 * (inside + outside)


def _some_of(k: int, most: int) -> Any:
    """Which of k data to look at: all, or as many as `most`, but no fewer than ENOUGH_DATA, drawn at random."""
    most = max(most, ENOUGH_DATA)
    return slice(None) if k <= most else np.sort(np.random.default_rng(k).permutation(k)[:most])


def _gains(wave: Wave, times: np.ndarray, looked_at: Any) -> Vector:
    """By how much the waves, turned so many `times` (t,), and a mean lower what is left without them, (t,).

    Of the data `looked_at`. By nothing where the phases hardly turn over these, or the last harmonic by half a turn
    from one of all data to the next.
    """
    own, rates, without = wave.own[:, looked_at], wave.rates[:, looked_at], wave.without[looked_at]
    weights = wave.weights[looked_at, 0]
    fastest = wave.fastest
    w, k = own.shape
    gains, width = [np.zeros(0)], 2 * wave.harmonics * w
    each = max(AT_ONCE // (w * k), 1)
    for first in range(0, times.size, each):
        phases = own + times[first : first + each, None, None] * rates
        shapes = _shapes(phases, wave.harmonics).transpose(0, 1, 3, 2).reshape(-1, width, k)
        columns = weights * np.concatenate([shapes, np.ones((len(shapes), 1, k))], axis=1)
        gram = columns @ columns.transpose(0, 2, 1)
        gram += HARDLY * float(weights @ weights) * np.eye(width + 1)
        met = columns @ without
        gain = np.einsum("ti,ti->t", met, np.linalg.solve(gram, met[..., None])[..., 0])
        widest = np.ptp(phases, axis=2).max(axis=1)
        gains.append(np.where((widest >= NO_WAVE) & (widest <= fastest), gain, 0.0))
    return np.concatenate(gains)
