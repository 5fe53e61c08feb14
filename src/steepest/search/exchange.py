"""Is a fit better with some of its parts elsewhere? They are taken out, and put back where most is left to explain.

A curve of several peaks, decays or waves ends, from a poor start, with two parts on one feature of the data, or with
one where there is none, or with two large ones that nearly cancel; no slope leads from there to what is left. But where
parts share no parameters (`parts`), one Jacobian with all of them moved shows what each looks like where it was moved
to. Amplitudes are never searched for: they are solved for (Golub & Pereyra, "The differentiation of pseudo-inverses and
nonlinear least squares problems whose variables separate", 1973). What a part leaves when it is taken out is compared
with all shapes seen. The one that explains most is led on by damped Gauss-Newton steps of that part alone, as many
parts side by side in one Jacobian as there are; and so for all that are out, one after the other, as in matching
pursuit (Mallat & Zhang 1993). From the best places all parameters walk together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from math import isfinite, sqrt

import numpy as np

from ..bounds import Vector
from ..linear_algebra.dense import dense
from ..objective import Objective
from ..solvers.driver import Run, lowest_seen
from ..solvers.stopping import StopReason
from .nearby import LOWER, MOST_PARAMETERS
from .parts import Part, Parts, parts_of

# Residuals that follow a curve change less from one to the next than from one to any other. The mean square of those
# changes is twice that of independent residuals (von Neumann 1941); below one, more than half of the cost is smooth.
# Not told of so few that chance alone gives such a ratio once in ten thousand fits.
HALF_SMOOTH, RARE = 1.0, 4.0

# Where parameters are places among data, so many of all shapes lie anywhere there; a third of them with widths, and a
# third with one over widths, of a part of all data whose logarithm lies between these.
ANYWHERE, LOG_WIDTHS = 0.5, (-5.0, -1.0)
NOWHERE: Mapping[int, tuple[float, float]] = {}

# Places at which all parts are looked at, each with a shape of every part: as many as the walk had evaluations, within
# these; and the most numbers to keep of them: of more, comparing parts with shapes takes longer than walks do.
LOOKS, FEWEST_LOOKS, MOST_NUMBERS = 48, 16, 2_000_000

# Shapes are drawn between and beyond those that start and end have, or from one of them by this power of e: places
# may be anywhere, widths and rates are off by factors.
FACTOR = 1.0

# Where each part explains so many times what all leave, and no two are alike, each is where it belongs. In fits of one
# to seven peaks or steps that exchanges led lower, some part explained less than nine times that.
EXPLAINS_FAR_MORE = 20.0

# A shape of which less than this part, squared, stands out from the other parts is one of theirs.
STANDS_OUT = 1e-8

# Two parts as alike as this, as the cosine between them, are taken out together: large ones may nearly cancel.
ALIKE = 0.9

# Single parts, and pairs of like ones, exchanged in one round, and places from which all parameters then walk.
SINGLES, PAIRS, WALKS = 3, 2, 4

# Turns of one part on its way, and of all that are back before the next one comes: each takes a Jacobian.
TURNS, TURNS_TOGETHER = 10, 8

# Damping of such a step, in parts of the diagonal: at first, after success, after failure; beyond the last no step.
DAMPING, LESS, MORE, MOST_DAMPING = 1e-2, 0.2, 5.0, 1e6

# A turn that lowers the cost by less than this part of it is the last.
LITTLE = 1e-3

# Columns that are the others' sum but for this part of theirs are left out.
DEPENDENT = 1e-10

# Steps of the walk from the start with its amplitudes solved for, and of those from other places: whatever takes more
# is on its way along a valley of parts that cancel.
FIRST_STEPS, STEPS = 60, 100

# Jacobians of more numbers are too many to take dozens of, and to keep.
LARGEST_JACOBIAN = 2_000_000

# What is said of a place that is lower than where any walk ended.
NOT_WALKED_FROM = "parts of the model were moved there, and no walk began"

# Rounds of exchanges; where walks after one led nowhere, other shapes are drawn so often.
ROUNDS, DRAWN_AGAIN = 12, 1


def smoothness(residual: Vector) -> float:
    """Mean square change from one residual (m,) to the next over their mean square: two for noise, zero for a curve.

    >>> t = np.linspace(0.0, 6.0, 100)
    >>> round(smoothness(np.sin(t)), 3), smoothness(np.where(np.arange(100) % 2, 1.0, -1.0))
    (0.003, 3.96)
    """
    total = float(residual @ residual)
    changes = np.diff(residual)
    return float(changes @ changes) / total if 0.0 < total < np.inf else 2.0


def follow_a_curve(residual: Vector) -> bool:
    """Whether more than half of the cost is a smooth curve through the residuals (m,), in their order."""
    m = residual.size
    if m < 3:
        return False
    chance = 2.0 * sqrt((m - 2.0) / (m * m - 1.0))
    return smoothness(residual) < min(HALF_SMOOTH, 2.0 - RARE * chance)


def is_poor_fit(objective: Objective, x: Vector) -> bool:
    """Whether the cost is a sum of squares of few parameters, and the residuals at `x` (n,) follow a curve."""
    if not (objective.least_squares and 1 < objective.n <= MOST_PARAMETERS and objective.has_residual):
        return False
    if objective.has_sparse_jacobian or objective.derivatives != "exact":
        return False
    residual = objective.linearised(x).residual
    return residual.size * objective.n <= LARGEST_JACOBIAN and follow_a_curve(residual)


class Exchanges:
    """Rounds of parts taken out and put back, each round from the lowest end of a walk so far, `best`.

    `walk(place, steps, lowest)` walks with all parameters, but not back to where the run `lowest` ended; `may_walk()`
    tells whether another walk may begin. `run` is the walk from `start` (n,). Within `allowance` evaluations.
    `walks`: how many so far; `moved`: of those, how many led lower. Whatever ends them, `best` is the lowest seen.
    `has_parts`: whether there is anything to exchange; `rounds`: how often it was looked for elsewhere.
    """

    def __init__(
        self,
        objective: Objective,
        start: Vector,
        run: Run,
        walk: Callable[[Vector, int, Run], Run],
        may_walk: Callable[[], bool],
        allowance: int,
        seed: int,
        locations: Mapping[int, tuple[float, float]] = NOWHERE,
    ) -> None:
        self.objective, self.start, self.best = objective, start, run
        self.locations = locations
        self.seen = run
        self.walk, self.may_walk = walk, may_walk
        self.looks = min(LOOKS, max(FEWEST_LOOKS, objective.evaluations))
        self.begun, self.walked = objective.evaluations, 0
        self.end = self.begun + allowance
        self.generator = np.random.default_rng(seed)
        self.walks = self.moved = self.rounds = 0
        self.has_parts = False

    @property
    def tried(self) -> int:
        """Evaluations so far, without those of walks."""
        return self.objective.evaluations - self.begun - self.walked

    def lower(self) -> None:
        """Exchange parts as long as that leads lower, and the residuals follow a curve."""
        try:
            self._lower()
        finally:
            seen = lowest_seen(self.objective, self.seen)
            if seen.value < self.best.value - LOWER * abs(self.best.value):
                self.best = replace(seen, stop=StopReason.OUT_OF_BUDGET, reason=NOT_WALKED_FROM)

    def _lower(self) -> None:
        if self.objective.n + 1 > self.end - self.objective.evaluations:
            return
        parts = parts_of(self.objective, self._among_the_data())
        if parts is None:
            return
        shapes = Shapes(self.objective, parts, self.start, self.locations)
        m = self.objective.linearised(self.best.x).residual.size
        looks = min(self.looks, MOST_NUMBERS // (m * sum(part.linear.size for part in parts.parts)))
        if looks < FEWEST_LOOKS:
            return
        self.has_parts = True
        apart = shapes.apart(self.best.x)
        if apart is not None and shapes.belong_where_they_are(*apart):
            return
        # One part alone is looked for everywhere at once.
        place = shapes.solved(self.start) if apart is None or len(parts.parts) > 1 else None
        if place is not None:
            self._walk(place, FIRST_STEPS)
        anew, again = True, 0
        for _ in range(ROUNDS):
            if self._is_over():
                return
            self.rounds += 1
            walks = self.walks
            if anew or parts.share_shapes:
                shapes.look(self.best.x, looks, self.generator)
            if any(self._walk(place, STEPS) for place in self._places(shapes, anew)):
                anew = False
                continue
            again += 1
            if again > DRAWN_AGAIN or self.walks == walks:
                return
            anew = True

    def _among_the_data(self) -> Vector:
        """The start (n,) with parameters that are places among data amid them, where it has them beyond."""
        place = self.start.copy()
        for i, (low, high) in self.locations.items():
            if not low <= place[i] <= high:
                place[i] = 0.5 * (low + high)
        return self.objective.bounds.project(place)

    def _is_over(self) -> bool:
        if self.objective.evaluations >= self.end or not self.may_walk():
            return True
        return not follow_a_curve(self.objective.linearised(self.best.x).residual)

    def _places(self, shapes: Shapes, anew: bool) -> Iterator[Vector]:
        """Where to walk from, the lowest first; not where exchanges led back to where they began."""
        places = shapes.exchanged(self.best.x, everything=anew)
        for place in places[:WALKS]:
            if self.objective.evaluations >= self.end or not self.may_walk():
                return
            value = self.objective.value(place)
            if isfinite(value) and abs(value - self.best.value) > LITTLE * self.best.value:
                yield place

    def _walk(self, place: Vector, steps: int) -> bool:
        """Walk from `place` (n,), keep the end if it is lower, and tell whether it is."""
        self.seen = lowest_seen(self.objective, self.seen)
        self.objective.forget()
        self.walks += 1
        before = self.objective.evaluations
        try:
            onward = self.walk(place, steps, self.best)
        finally:
            self.walked += self.objective.evaluations - before
        if not onward.value < self.best.value - LITTLE * self.best.value:
            return False
        onward.history.prepend(self.best.history)
        self.best = replace(onward, steps=self.best.steps + onward.steps)
        self.moved += 1
        return True


class Shapes:
    """What parts look like, for parameters drawn at random, and the exchanges that this tells of."""

    def __init__(
        self,
        objective: Objective,
        parts: Parts,
        start: Vector,
        locations: Mapping[int, tuple[float, float]] = NOWHERE,
    ) -> None:
        self.objective, self.start, self.locations = objective, start, locations
        self.parts, self.share_shapes = parts.parts, parts.share_shapes
        self.linear = np.flatnonzero(parts.linear)
        # For each kind: the parameters of each shape, (p,), and its columns of the Jacobian, (m, l).
        self.seen: dict[int, list[tuple[Vector, np.ndarray]]] = {}

    def of(self, part: Part) -> list[tuple[Vector, np.ndarray]]:
        """The shapes seen that a part may take."""
        return self.seen.setdefault(part.kind, [])

    def look(self, x: Vector, looks: int, generator: np.random.Generator) -> None:
        """All parts moved at random, with one Jacobian for a shape of each; those seen before are forgotten."""
        self.seen = {}
        for _ in range(looks):
            place = np.array(x)
            for part in self.parts:
                place[part.others] = self._drawn(part, x, generator)
            place = self.objective.bounds.project(place)
            J = dense(self.objective.linearised(place).jacobian)
            for part in self.parts:
                columns = J[:, part.linear]
                if np.isfinite(columns).all() and columns.any(axis=0).all():
                    self.of(part).append((place[part.others], columns))

    def _drawn(self, part: Part, x: Vector, generator: np.random.Generator) -> Vector:
        """Parameters (p,) of a shape, from those of its kind at the start and at `x` (n,), if not astray."""
        kin = [other.others for other in self.parts if other.kind == part.kind]
        begun, ended = self.start[kin], x[kin]
        low, high = begun.min(axis=0), begun.max(axis=0)
        span = np.where(high > low, high - low, np.abs(high))
        span = np.where(span > 0.0, span, 1.0)
        is_near = (ended >= low - span) & (ended <= high + span)
        known = np.concatenate([begun, np.where(is_near, ended, begun)])
        p = part.others.size
        one, other, scaled = (known[generator.integers(len(known), size=p), np.arange(p)] for _ in range(3))
        other = np.where(one == other, one + span * generator.choice([-1.0, 1.0], p), other)
        between = one + generator.uniform(-0.5, 1.5, p) * (other - one)
        scaled = scaled * np.exp(FACTOR * generator.standard_normal(p))
        drawn = np.where(generator.random(p) < 0.5, between, scaled)
        located = [k for k, i in enumerate(part.others) if int(i) in self.locations]
        if located and generator.random() < ANYWHERE:
            self._anywhere(drawn, part, located, generator)
        return drawn

    def _anywhere(
        self, drawn: Vector, part: Part, located: list[int], generator: np.random.Generator
    ) -> None:
        """Put the `located` of a part's parameters, as `drawn` (p,), anywhere among their data.

        The others, if they are widths there or one over such, may then be of any size that can be seen.
        """
        reach = 0.0
        for k in located:
            low, high = self.locations[int(part.others[k])]
            drawn[k] = generator.uniform(low, high)
            reach = max(reach, high - low)
        others = [k for k in range(drawn.size) if k not in located]
        kind = generator.integers(3)
        if kind < 2 and others:
            width = reach * np.exp(generator.uniform(*LOG_WIDTHS, len(others)))
            drawn[others] = np.copysign(width if kind == 0 else 1.0 / width, drawn[others])

    def apart(self, x: Vector) -> tuple[np.ndarray, Vector, Vector] | None:
        """Columns of all amplitudes at `x` (n,), (m, a), residuals where those are zero, and at `x`, (m,) each.

        None where they are not finite.
        """
        here = self.objective.linearised(x)
        J = dense(here.jacobian)[:, self.linear]
        r = here.residual - J @ x[self.linear]
        return (J, r, here.residual) if np.isfinite(J).all() and np.isfinite(r).all() else None

    def belong_where_they_are(self, J: np.ndarray, r: Vector, residual: Vector) -> bool:
        """Whether each part explains far more than all leave, and is unlike any other; see `apart`."""
        most = (1.0 + EXPLAINS_FAR_MORE) * float(residual @ residual)
        for part in self.parts:
            left = without(basis(J[:, ~np.isin(self.linear, part.linear)]), r)
            if not left @ left > most:
                return False
        return not self._like_pairs(J)

    def solved(self, x: Vector) -> Vector | None:
        """`x` (n,) with all amplitudes where they are best; None where they are not to be had."""
        apart = self.apart(x)
        if apart is None:
            return None
        J, r, _ = apart
        place = np.array(x)
        place[self.linear] = solved(J, r)
        return self.objective.bounds.project(place)

    def exchanged(self, x: Vector, *, everything: bool) -> list[Vector]:
        """Places (n,) with parts of `x` (n,) put back elsewhere, lowest first; `everything`: also with all of them."""
        apart = self.apart(x)
        if apart is None:
            return []
        J, r, _ = apart
        everyone = list(range(len(self.parts)))
        singles = self._promising([[k] for k in everyone], x, J, r)[:SINGLES]
        pairs = self._promising(self._like_pairs(J), x, J, r)[:PAIRS]
        is_more = everything and everyone != [0] and [everyone] != self._like_pairs(J)
        exchanges = [*(self._promising([everyone], x, J, r) if is_more else []), *singles, *pairs]
        running = exchanges
        while running:
            self._lead([exchange.climb for exchange in running], x)
            for exchange in running:
                exchange.put_back()
            running = [exchange for exchange in running if exchange.out and exchange.chosen()]
        exchanges = [exchange for exchange in exchanges if not exchange.out]
        return [exchange.place() for exchange in sorted(exchanges, key=lambda one: one.climb.cost)]

    def _promising(self, sets: list[list[int]], x: Vector, J: np.ndarray, r: Vector) -> list[Exchange]:
        """Exchanges of these sets of parts, that of which the first shape to be put back leaves least the first."""
        begun = [Exchange(self, out, x, J, r) for out in sets]
        return sorted((one for one in begun if one.chosen()), key=lambda one: one.climb.cost)

    def _like_pairs(self, J: np.ndarray) -> list[list[int]]:
        units = [basis(J[:, np.isin(self.linear, part.linear)]) for part in self.parts]
        pairs = ([i, j] for j in range(len(units)) for i in range(j))
        return [[i, j] for i, j in pairs if np.abs(units[i].T @ units[j]).max(initial=0.0) > ALIKE]

    def _lead(self, climbs: list[Climb], x: Vector) -> None:
        """Lead shapes on, each in the place of a part of its kind; of those in different places one Jacobian tells."""
        waiting = list(climbs)
        while waiting:
            led: dict[int, Climb] = {}
            for climb in waiting:
                free = (k for k, part in enumerate(self.parts) if part.kind == climb.kind and k not in led)
                k = next(free, None)
                if k is not None:
                    led[k] = climb
            waiting = [climb for climb in waiting if climb not in led.values()]
            for _ in range(TURNS):
                place = np.array(x)
                for k, climb in led.items():
                    place[self.parts[k].others], place[self.parts[k].linear] = climb.next, climb.amplitude
                place = self.objective.bounds.project(place)
                J = dense(self.objective.linearised(place).jacobian)
                for k, climb in led.items():
                    linear, others = self.parts[k].linear, self.parts[k].others
                    climb.arrive(place[others], place[linear], J[:, linear], J[:, others])
                if all(climb.is_done for climb in led.values()):
                    break


class Exchange:
    """Parts `out` of the curve that are put back one after the other.

    `J` (m, a): columns of all amplitudes at `x` (n,); `r` (m,): residuals where all amplitudes are zero. `climb`: the
    shape chosen to be put back next.
    """

    climb: Climb

    def __init__(self, shapes: Shapes, out: list[int], x: Vector, J: np.ndarray, r: Vector) -> None:
        self.shapes, self.out = shapes, list(out)
        self.x, self.J, self.r = np.array(x), np.array(J), r
        gone = [i for k in out for i in shapes.parts[k].linear]
        self.kept = ~np.isin(shapes.linear, gone)

    def chosen(self) -> bool:
        """Choose the shape that explains most of what is left; whether there is one."""
        Q = basis(self.J[:, self.kept])
        left = without(Q, self.r)
        lowest = np.inf
        for kind in sorted({self.shapes.parts[k].kind for k in self.out}):
            part = next(self.shapes.parts[k] for k in self.out if self.shapes.parts[k].kind == kind)
            seen = self.shapes.of(part)
            gains = self._gains(part, seen, Q, left) if seen else np.zeros(0)
            if gains.size and left @ left - gains.max() < lowest:
                best = int(np.argmax(gains))
                lowest = left @ left - gains[best]
                self.climb = Climb(kind, *seen[best], Q, left)
        return lowest < np.inf

    def _gains(
        self, part: Part, seen: list[tuple[Vector, np.ndarray]], Q: np.ndarray, left: Vector
    ) -> Vector:
        """By how much each shape lowers the cost (t,), its amplitudes inside their bounds if there is but one."""
        columns = np.stack([columns for _, columns in seen])
        t, m, a = columns.shape
        flat = columns.transpose(1, 0, 2).reshape(m, t * a)
        own = without(Q, flat)
        size, stands_out = (flat * flat).sum(axis=0), (own * own).sum(axis=0)
        own[:, ~(stands_out > STANDS_OUT * size)] = 0.0
        if a > 1:
            bases = (basis(own[:, k * a : (k + 1) * a]) for k in range(t))
            return np.array([float(((B.T @ left) ** 2).sum()) for B in bases])
        slope, bend = -(own.T @ left), (own * own).sum(axis=0)
        best = np.divide(slope, bend, out=np.zeros(t), where=bend > 0.0)
        bounds = self.shapes.objective.bounds
        best = np.clip(best, bounds.lower[part.linear], bounds.upper[part.linear])
        gains: Vector = best * (2.0 * slope - best * bend)
        return gains

    def put_back(self) -> None:
        """One part goes where the chosen shape was led to; then all that are there settle, if others are still out."""
        climb, parts = self.climb, self.shapes.parts
        k = next(k for k in self.out if parts[k].kind == climb.kind)
        self.out.remove(k)
        self.shapes.of(parts[k]).append((climb.others, climb.columns))
        self.x[parts[k].others] = climb.others
        own = np.isin(self.shapes.linear, parts[k].linear)
        self.J[:, own] = climb.columns
        self.kept |= own
        if self.out:
            self._settle()

    def _settle(self) -> None:
        """A few damped Gauss-Newton steps of all parameters but those of parts still out, whose amplitudes are zero."""
        objective, linear, parts = self.shapes.objective, self.shapes.linear, self.shapes.parts
        gone = np.concatenate([np.r_[parts[k].linear, parts[k].others] for k in self.out])
        on = np.setdiff1d(np.arange(self.x.size), gone)
        x = objective.bounds.project(self._with_amplitudes())
        here, damping = objective.linearised(x), DAMPING
        for _ in range(TURNS_TOGETHER):
            J = dense(here.jacobian)[:, on]
            if not (np.isfinite(J).all() and isfinite(here.value)):
                return
            ahead = x.copy()
            ahead[on] += damped(J, here.residual, damping, np.ones(on.size))
            ahead = objective.bounds.project(ahead)
            there = objective.linearised(ahead)
            if there.value < here.value and np.isfinite(dense(there.jacobian)).all():
                gained = here.value - there.value
                x, here, damping = ahead, there, LESS * damping
                if gained < LITTLE * here.value:
                    break
            else:
                damping *= MORE
        J = dense(here.jacobian)[:, linear]
        self.x, self.r = x, here.residual - J @ x[linear]
        self.J[:, self.kept] = J[:, self.kept]

    def place(self) -> Vector:
        """Where all parameters are now (n,), inside the bounds."""
        return self.shapes.objective.bounds.project(self._with_amplitudes())

    def _with_amplitudes(self) -> Vector:
        """The parameters (n,) with the best amplitudes, zero for parts that are out."""
        x = self.x.copy()
        x[self.shapes.linear] = 0.0
        x[self.shapes.linear[self.kept]] = solved(self.J[:, self.kept], self.r)
        return x


class Climb:
    """One part on its way to where it explains most of what the others leave, all amplitudes solved for.

    `others` (p,) and `columns` (m, l): the shape it has so far, and `amplitude` (l,), `cost` with it. `next` (p,):
    where it is to be looked at next. `Q` (m, q): what the others can make; `left` (m,): what they leave.
    """

    def __init__(self, kind: int, others: Vector, columns: np.ndarray, Q: np.ndarray, left: Vector) -> None:
        self.kind, self.Q, self.left = kind, Q, left
        self.others, self.columns, self.next = others, columns, others
        self.amplitude, self.cost = self._best(columns)
        self.model: np.ndarray | None = None
        self.damping, self.is_done = DAMPING, False

    def _best(self, columns: np.ndarray) -> tuple[Vector, float]:
        own = without(self.Q, columns)
        amplitude = solved(own, self.left)
        off = self.left + own @ amplitude
        return amplitude, float(off @ off)

    def arrive(self, others: Vector, used: Vector, columns: np.ndarray, slopes: np.ndarray) -> None:
        """What was seen at `others`: `columns` (m, l), and `slopes` (m, p) by them with the amplitudes `used` (l,)."""
        if self.is_done:
            return
        amplitude, cost = self.amplitude, np.inf
        if np.isfinite(columns).all() and np.isfinite(slopes).all():
            amplitude, cost = self._best(columns)
        if self.model is None and not isfinite(cost):
            self.is_done = True
        elif self.model is None or cost < self.cost:
            if self.model is not None:
                self.is_done = bool(self.cost - cost < LITTLE * self.cost)
                self.damping *= LESS
            if amplitude.size == 1 and used[0] != 0.0:
                slopes = slopes * (amplitude[0] / used[0])
            self.others, self.columns, self.amplitude, self.cost = others, columns, amplitude, cost
            model = np.hstack([columns, slopes])
            self.model = without(self.Q, model)
            self.is_done = self.is_done or not np.isfinite(self.model).all()
        else:
            self.damping *= MORE
            self.is_done = self.damping > MOST_DAMPING
        if not self.is_done and self.model is not None:
            a = self.amplitude.size
            off = self.left + self.model[:, :a] @ self.amplitude
            held = np.r_[np.zeros(a), np.ones(self.others.size)]
            self.next = self.others + damped(self.model, off, self.damping, held)[a:]


def basis(A: np.ndarray) -> np.ndarray:
    """Orthonormal columns (m, q) that span those of `A` (m, k)."""
    U, s, _ = np.linalg.svd(A / _sizes(A), full_matrices=False)
    return U[:, s > DEPENDENT * s.max(initial=0.0)]


def without(Q: np.ndarray, A: np.ndarray) -> np.ndarray:
    """What orthonormal columns (m, q) cannot make of `A`, (m,) or (m, k)."""
    left: np.ndarray = A - Q @ (Q.T @ A)
    return left


def solved(A: np.ndarray, r: Vector) -> Vector:
    """The shortest p (k,), in units of the columns of `A` (m, k), for which |r + A·p| is least."""
    size = _sizes(A)
    return -np.asarray(np.linalg.lstsq(A / size, r, rcond=DEPENDENT)[0]) / size


def damped(A: np.ndarray, r: Vector, damping: float, held: Vector) -> Vector:
    """The p (k,) for which |r + A·p|² and `damping` times the squares of p, in units of the columns, are least.

    `held` (k,): one where that counts, zero where a parameter is free.
    """
    size = _sizes(A)
    longer = np.vstack([A / size, np.diag(sqrt(damping) * held)])
    p = np.linalg.lstsq(longer, np.r_[-r, np.zeros(held.size)], rcond=DEPENDENT)[0]
    return np.asarray(p) / size


def _sizes(A: np.ndarray) -> Vector:
    """Length of each column of `A` (m, k), one for zeros."""
    size = np.sqrt((A * A).sum(axis=0))
    return np.where(size > 0.0, size, 1.0)
