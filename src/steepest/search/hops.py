"""Is it lower where one part alone is elsewhere? Of a sum of terms of few parameters each, all parts are tried at once.

A walk ends in the first minimum it meets. Where a cost of many parameters is a sum of hilly terms, nearly every part of
it lies in a valley of its own, and no walk of all parameters together leads each to its lowest. But parts that share no
term do not disturb each other: one evaluation of the terms tells of all parts of one colour what moving each of them
alone would change. This is how sparse derivatives are measured (Curtis, Powell & Reid, "On the estimation of sparse
Jacobian matrices", 1974), with moves that are long.

First each parameter is moved alone, along a ladder of lengths, and the valleys beyond its ridges are found. Then sets
of parameters are moved to those valleys together: those of each term, those that meet one parameter in any term, and so
on, as long as that leads lower; neighbours that hold each other in a valley leave it only so.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..bounds import Vector
from ..numerics import EPS
from ..objective import Objective
from ..structure.colouring import colour_columns
from .nearby import LOWER, REACH

# How far a parameter is moved, in natural lengths: from within the width of a valley to a few valleys off. A coarser
# ladder misses valleys between its rungs, a longer one costs evaluations.
RATIO = 1.5
LADDER = tuple(RATIO**k for k in range(-6, 7))

# Pairs of neighbouring rungs at which each parameter is looked at first, drawn at random: where of so many parameters
# none falls from one to the next there are no ridges; to find that out takes a sixth of a look. Of fewer parameters,
# more pairs each, so many together; of very few a glance is no less than a look. By two pairs each, chains of 13 to 40
# wells ended in higher minima.
PAIRS, PAIRS_TOGETHER, GLANCED_AT = 2, 200, 30

# By what part of the way from rung to rung the ladder is shifted from look to look: one that no few looks repeat.
SHIFT = 0.618

# Evaluations that narrow down the bottom of a valley between the rungs: by 0, a third of the hops of a Rastrigin chain
# land too high on its slopes to be kept.
NARROWING = 4

# Moves by which curvature is measured, in sizes of the parameter: between truncation and rounding.
SMALL = 1e-3

# A parameter that the walk moved by less than this part of its value says by that value how large it is.
HARDLY_MOVED = 1e-6

# With more colours, or fewer parameters for each of them than so many, a look around costs as much as many walks.
MOST_COLOURS, TOGETHER = 64, 4

# Sets grow by neighbours so many times: larger ones gain little more. Nor may all of them together touch more terms
# than so many: a parameter that is in every term makes every set of its neighbours touch all.
LARGER, MOST_TOUCHED = 4, 5_000_000

# With more parameters, what the rungs of a ladder show would take gigabytes.
MOST_PARAMETERS = 200_000

# Rounds in which all sets that are better than their neighbours are chosen at once: of sets whose gains have no order a
# handful is enough. Gains that grow along a chain leave one set to each further round, and are gone through one by one.
AT_ONCE = 8

# Looks one after the other without a walk between them, and what part of the first one's gain pays for another.
LOOKS, PAYS = 8, 0.02


class Hopped(NamedTuple):
    """A place (n,) and how much lower the terms say it is; `moved`: how many sets of parameters were moved to it."""

    x: Vector
    gain: float
    moved: int


class Sets:
    """Sets of parameters that are moved as one each, of one colour where they share no term.

    `pattern` (m, n), CSC: which terms depend on which parameters; `members` (n, p), CSC: the parameters of each set.
    """

    def __init__(self, pattern: Any, members: Any) -> None:
        self.members = members
        self.touched = (pattern @ members).tocsc()
        self.touched.data[:] = 1.0
        self.by_terms = self.touched.tocsr()
        colouring = colour_columns(self.touched)
        self.colours, self.count = colouring.colours, colouring.count
        few = 0 < self.count <= min(MOST_COLOURS, pattern.shape[1] // TOGETHER)
        self.may_be_tried = few and not colouring.aside.size and pattern.shape[1] <= MOST_PARAMETERS

    def of_colour(self, colour: int) -> tuple[np.ndarray, np.ndarray]:
        """Which sets (p,) have a colour, and which parameters (n,) are in them."""
        mine = self.colours == colour
        return mine, self.members @ mine.astype(np.float64) > 0.0

    def undisturbed(self, gains: Vector) -> np.ndarray:
        """Those sets (p,) of positive gain that share no term with a better one among them."""
        rank = np.zeros(gains.size)
        good = np.flatnonzero(gains)
        rank[good[np.argsort(gains[good], kind="stable")]] = np.arange(1.0, good.size + 1.0)
        chosen = np.zeros(gains.size, bool)
        for _ in range(AT_ONCE):
            if not rank.any():
                return chosen
            in_term = _largest(rank[self.by_terms.indices], self.by_terms.indptr)
            around = _largest(in_term[self.touched.indices], self.touched.indptr)
            best = (rank > 0.0) & (rank >= around)
            chosen |= best
            taken = self.by_terms @ best.astype(np.float64) > 0.0
            rank = np.where(self.touched.T @ taken.astype(np.float64) > 0.0, 0.0, rank)
        left = np.flatnonzero(rank)
        self._choose_one_by_one(left[np.argsort(-rank[left])], chosen)
        return chosen

    def _choose_one_by_one(self, sets: np.ndarray, chosen: np.ndarray) -> None:
        """Add to the `chosen` (p,) those of some sets, best first, that share no term with one added before."""
        taken: set[int] = set()
        starts, ends = self.touched.indptr[sets].tolist(), self.touched.indptr[sets + 1].tolist()
        for mine, start, end in zip(sets.tolist(), starts, ends, strict=True):
            own = self.touched.indices[start:end].tolist()
            if taken.isdisjoint(own):
                taken.update(own)
                chosen[mine] = True


def _pattern_of(objective: Objective) -> tuple[Any, int]:
    """The pattern (m, n) of the terms in float64, and how many parameters the fullest has, kept with the cost."""
    kept = objective.kept_with_terms
    if "pattern" not in kept:
        pattern = objective.term_pattern.astype(np.float64)  # type: ignore[union-attr]
        kept["pattern"] = pattern, int(np.bincount(pattern.indices, minlength=1).max())
    found: tuple[Any, int] = kept["pattern"]
    return found


class Hops:
    """Moves of parts of a cost alone, from the end of a walk to lower places.

    `objective` has terms. `x` (n,): where the first walk ended, that began at `start` (n,) and lowered the cost by
    `fall`. `tried`: evaluations of the terms so far.
    """

    def __init__(self, objective: Objective, start: Vector, x: Vector, fall: float) -> None:
        self.objective, self.start = objective, start
        self.pattern, self.fewest = _pattern_of(objective)
        self.first, self.fall = x, fall if np.isfinite(fall) else 0.0
        self.tried = self.looks = 0

    def lower(self, x: Vector, allowance: int) -> Hopped:
        """From `x` (n,) to lower places, look after look, by at most `allowance` evaluations."""
        there, first, each = Hopped(x, 0.0, 0), 0.0, 2 * (len(LADDER) + NARROWING) + 1
        if self.fewest > MOST_COLOURS or self.fewest * each > allowance:
            return there  # the parameters of one term take as many colours, and to colour all takes long
        end, look = self.tried + allowance, self.alone.count * each
        for _ in range(LOOKS):
            if not self.alone.may_be_tried or self.tried + look > end:
                break
            at_first = not self.looks and x.size >= GLANCED_AT
            if at_first and (not self._are_hilly(x) or self.tried + look > end):
                break
            step = self._look(there.x, end)
            there = Hopped(step.x, there.gain + step.gain, there.moved + step.moved)
            first = first or step.gain
            if step.gain <= PAYS * first:
                break
        return there

    @cached_property
    def alone(self) -> Sets:
        """The sets of one parameter each, kept with the cost."""
        from scipy.sparse import eye_array

        kept = self.objective.kept_with_terms
        if "parameters alone" not in kept:
            kept["parameters alone"] = Sets(self.pattern, eye_array(self.objective.n, format="csc"))
        found: Sets = kept["parameters alone"]
        return found

    def _are_hilly(self, x: Vector) -> bool:
        """Whether the cost falls along any parameter from `x` (n,), a minimum, or is lower at its other sign."""
        before, generator = self._terms(x), np.random.default_rng(0)
        rounding = self._rounding(self.alone, before)
        if (self._changes(self.alone, x, self._inside(x, -2.0 * x), before) < -rounding).any():
            return True
        for _ in range(max(PAIRS, PAIRS_TOGETHER // x.size)):
            rungs = generator.integers(len(LADDER) - 1, size=x.size)
            reach = generator.choice((-1.0, 1.0), size=x.size) * np.asarray(LADDER)[rungs] * self._length
            pair = (self._inside(x, reach), self._inside(x, RATIO * reach))
            near, far = (self._changes(self.alone, x, t, before) for t in pair)
            if (np.minimum(near, far - np.maximum(near, 0.0)) < -rounding).any():
                return True
        return False

    def _look(self, x: Vector, end: int) -> Hopped:
        """To a lower place by parameters alone, then by ever larger sets; none is begun after `end` evaluations."""
        before = self._terms(x)
        length = self._length * RATIO ** ((SHIFT * self.looks) % 1.0)
        self.looks += 1
        valleys = [self._valley(x, side * length, before) for side in (1.0, -1.0)]
        t = self._inside(x, -2.0 * x)
        valleys.append((t, self._changes(self.alone, x, t, before)))
        lowest = np.min([change for _, change in valleys], axis=0)
        best = np.zeros(x.size)
        for t, change in valleys:
            best = np.where(change == lowest, t, best)
        there = self._moved(self.alone, x, best, lowest, before)
        if not any(t.any() for t, _ in valleys[:2]):
            return there
        for sets in self._larger:
            moved = there.moved
            for t, _ in valleys:
                if self.tried + sets.count >= end:
                    return there
                before, t = self._terms(there.x), self._inside(there.x, t)
                step = self._moved(sets, there.x, t, self._changes(sets, there.x, t, before), before)
                there = Hopped(step.x, there.gain + step.gain, there.moved + step.moved)
            if there.moved == moved:
                break
        return there

    @cached_property
    def _larger(self) -> list[Sets]:
        """Sets of more than one parameter, the smallest first: those of each term, about each parameter, and so on."""
        found: list[Sets] = []
        pattern, meeting = self.pattern, self.pattern.T.tocsc()
        smaller, members = self.alone.touched, meeting
        while len(found) < LARGER and _entries(pattern, members) <= MOST_TOUCHED:
            sets = Sets(pattern, _distinct(members))
            if not sets.may_be_tried:
                break
            found.append(sets)
            if _entries(meeting, smaller) > MOST_TOUCHED:
                break
            grown = (meeting @ smaller).tocsc()
            grown.data[:] = 1.0
            smaller, members = (pattern @ members).tocsc(), grown
        return found

    @cached_property
    def _length(self) -> Vector:
        """Over what length each parameter may meet another valley, (n,).

        As far as the cost, with its curvature at the first minimum, rises by the parameter's share of the fall; else as
        far as the parameter came.
        """
        x, moved = self.first, np.abs(self.first - self.start)
        h = SMALL * _sizes(np.where(moved > HARDLY_MOVED * np.abs(x), moved, np.abs(x)))
        before, bounds = self._terms(x), self.objective.bounds
        there, back = bounds.project(x + h) - x, bounds.project(x - h) - x
        rise = self._changes(self.alone, x, there, before) + self._changes(self.alone, x, back, before)
        with np.errstate(all="ignore"):
            length = np.sqrt((self.fall / x.size) * (there**2 + back**2) / rise)
        return np.where(np.isfinite(length) & (length > 0.0), length, moved)

    @cached_property
    def _nearby(self) -> tuple[Vector, Vector]:
        """From where to where each parameter may be moved, (n,) each: between its bounds, else some of its sizes.

        At least what is typical of all, in their lengths: one may happen to begin where it ends.
        """
        x, length, bounds = self.first, self._length, self.objective.bounds
        size, known = np.maximum(np.abs(x), np.abs(x - self.start)), length > 0.0
        typical = float(np.median(size[known] / length[known])) if known.any() else 0.0
        reach = REACH * np.maximum(size, max(typical, 1.0) * length)
        boxed = np.isfinite(bounds.lower) & np.isfinite(bounds.upper)
        low = np.where(boxed, bounds.lower, np.maximum(bounds.lower, self.start - reach))
        high = np.where(boxed, bounds.upper, np.minimum(bounds.upper, self.start + reach))
        return low, high

    def _valley(self, x: Vector, length: Vector, before: Vector) -> tuple[Vector, Vector]:
        """Of each parameter the move to the lowest place seen beyond a ridge, (n,), and what it changes, (n,).

        Where no ridge is seen the move is zero.
        """
        ladder = [np.zeros(x.size), *(self._inside(x, part * length) for part in LADDER)]
        t = np.stack(ladder)
        change = np.stack([ladder[0], *(self._changes(self.alone, x, move, before) for move in ladder[1:])])
        fell = np.maximum.accumulate(change[:-1], axis=0) > change[1:]
        k = 1 + np.argmin(np.where(fell, change[1:], np.inf), axis=0)
        seen = fell.any(axis=0)
        if not seen.any():
            return np.zeros(x.size), np.zeros(x.size)
        rungs, each = (k - 1, k, np.minimum(k + 1, len(LADDER))), np.arange(x.size)
        (a, b, c), (high_a, low, high_c) = ([row[rung, each] for rung in rungs] for row in (t, change))
        for _ in range(NARROWING):
            v = _vertex(a, b, c, high_a, low, high_c)
            there = self._changes(self.alone, x, v, before)
            better, beyond = there < low, (v - b) * (c - b) > 0.0
            # What is higher of v and b becomes the end of the bracket on its side.
            end, high = np.where(better, b, v), np.where(better, low, there)
            to_c = better != beyond
            c, high_c = np.where(to_c, end, c), np.where(to_c, high, high_c)
            a, high_a = np.where(to_c, a, end), np.where(to_c, high_a, high)
            b, low = np.where(better, v, b), np.where(better, there, low)
        return np.where(seen, b, 0.0), np.where(seen, low, 0.0)

    def _moved(self, sets: Sets, x: Vector, t: Vector, change: Vector, before: Vector) -> Hopped:
        """The best of the sets that do not disturb each other moved by `t` (n,); `change` (p,): what each changes."""
        gains = np.where(change < -self._rounding(sets, before), -change, 0.0)
        chosen = sets.undisturbed(gains)
        moved = sets.members @ chosen.astype(np.float64) > 0.0
        place = self.objective.bounds.project(np.where(moved, x + t, x))
        return Hopped(place, float(gains[chosen].sum()), int(chosen.sum()))

    def _rounding(self, sets: Sets, before: Vector) -> Vector:
        """How much lower each set must lead, (p,), to be more than rounding of its terms, which are `before` (m,)."""
        rounding: Vector = LOWER * (sets.touched.T @ np.abs(before)) + 8.0 * EPS * self.fall
        return rounding

    def _changes(self, sets: Sets, x: Vector, t: Vector, before: Vector) -> Vector:
        """What moving each set alone by its part of `t` (n,) changes, (p,); infinite where that is not finite.

        `before` (m,): the terms at `x` (n,).
        """
        changes = np.zeros(sets.colours.size)
        for colour in range(sets.count):
            mine, moved = sets.of_colour(colour)
            after = self._terms(self.objective.bounds.project(np.where(moved, x + t, x)))
            with np.errstate(all="ignore"):
                change = after - before
                change[~np.isfinite(change)] = np.inf
                changes = np.where(mine, sets.touched.T @ change, changes)
        return changes

    def _inside(self, x: Vector, t: Vector) -> Vector:
        """As much of the moves (n,) as ends inside the bounds and nearby."""
        low, high = self._nearby
        kept: Vector = np.clip(x + t, np.minimum(low, x), np.maximum(high, x)) - x
        return kept

    def _terms(self, x: Vector) -> Vector:
        self.tried += 1
        return self.objective.terms(x)


def _sizes(size: Vector) -> Vector:
    """The same sizes (n,), none of them zero: the largest stands for those, or one."""
    return np.where(size > 0.0, size, float(np.max(size, initial=0.0)) or 1.0)


def _vertex(a: Vector, b: Vector, c: Vector, at_a: Vector, at_b: Vector, at_c: Vector) -> Vector:
    """Where the parabola through three places has its vertex, if between a and c; else in the wider gap; all (n,)."""
    with np.errstate(all="ignore"):
        p, q = (b - a) * (at_b - at_c), (b - c) * (at_b - at_a)
        v = b - 0.5 * ((b - a) * p - (b - c) * q) / (p - q)
    wider = np.where(np.abs(b - a) > np.abs(c - b), a, c)
    return np.where(np.isfinite(v) & ((v - a) * (v - c) < 0.0) & (v != b), v, 0.5 * (b + wider))


def _distinct(members: Any) -> Any:
    """The sets of a CSC matrix (n, p) that hold more than one parameter, each once."""
    names = members.T @ np.random.default_rng(0).random(members.shape[0])
    _, first = np.unique(names, return_index=True)
    first = np.sort(first)
    return members[:, first[np.diff(members.indptr)[first] > 1]]


def _entries(one: Any, other: Any) -> int:
    """At most how many entries the product of two CSC matrices has."""
    return int(np.diff(one.indptr)[other.indices].sum())


def _largest(values: Vector, starts: np.ndarray) -> Vector:
    """The largest of each stretch of values; zero of an empty one."""
    found = np.zeros(starts.size - 1)
    full = np.diff(starts) > 0
    if values.size:
        found[full] = np.maximum.reduceat(values, starts[:-1][full])
    return found
