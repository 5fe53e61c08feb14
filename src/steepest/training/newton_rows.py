"""Newton's method over all rows, its curvature taken from a sample of them.

Near the answer a slope over all rows must be exact, a curvature need not be: an error of a part ε in the Hessian leaves
a part ε of the distance after a step (Byrd, Chin, Neveitt & Nocedal, "On the use of stochastic Hessian information in
optimization methods for machine learning", SIAM J. Optim. 21, 2011). So the walk begins on a small sample, goes on to
a larger one when its slope can no longer be told from what sampling alone makes of it (the norm test of Byrd, Chin,
Nocedal & Wu, Math. Program. 134, 2012), and ends on all rows with the Hessian of the last sample. What that Hessian is
wrong by is learned from the steps taken over all rows, as L-BFGS learns, with the sampled Hessian where L-BFGS begins
with a multiple of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np

from .passes import Passes, Sums
from .whole import Descent

Vector = np.ndarray

# Rows of the smaller sample for each parameter, and how many times larger the other is: the Hessian of 20 n rows is
# within about a third of the whole.
SMALL_SAMPLE, LARGER = 4, 5
# A sample below this many rows is not worth its overhead, above this part of all rows not its detour.
FEWEST_ROWS, LARGEST_PART = 1024, 0.5
# Blocks the smaller sample is cut into, whose slopes' spread tells its noise to a fifth.
BLOCKS = 16
# A sample is done with when its slope, squared, is below this many times what sampling alone makes of it.
TOLD_FROM_SAMPLING = 0.5
# Up to this many parameters the Hessian is formed and factorised; above, conjugate gradients take its products.
MOST_FORMED = 1024
# Conjugate gradients end at this part of the slope, or after so many products (Nocedal & Wright 2006, alg. 7.1).
ACCURACY, MOST_PRODUCTS = 0.1, 100
# The Hessian is formed anew when a step has left more than this part of the slope.
POOR_STEP = 0.5
# The smallest entry of the diagonal that scales conjugate gradients, in parts of the largest.
SMALLEST_SCALE = 1e-10
# Conjugate gradients whose residual has grown so many times are lost: q has a part along which H has no curvature, and
# every further product makes it longer till it overflows. Where H has some, the residual grows by √(its condition).
LOST = 1e8
# Armijo's part of the promised decrease, and halvings of a step before it is given up.
SUFFICIENT, HALVINGS = 1e-4, 20
# Pairs of steps and changes of slope remembered over all rows.
MEMORY = 10
# The smallest curvature taken seriously, in parts of the largest, where some is negative.
SMALLEST_CURVATURE = 1e-8
# Decreases promised below so many roundings of the cost, or steps in a row that did not lower it: the end.
ROUNDINGS = 0.5


@dataclass
class Factor:
    """The Hessian at `at` as a thing that solves: H⁻¹q, by a factor or by conjugate gradients scaled by `diagonal`.

    `left`: the part of q that these left last.
    """

    passes: Passes
    at: Vector
    diagonal: Vector
    lower: Any = None
    left: float = 0.0

    @classmethod
    def of(cls, passes: Passes, at: Vector, spread: Vector) -> Factor:
        """Formed and factorised where there are few parameters."""
        largest = float(spread.max())
        diagonal = np.maximum(spread, SMALLEST_SCALE * largest) if largest > 0 else np.ones(at.size)
        if at.size > MOST_FORMED:
            return cls(passes, at, diagonal)
        return cls(passes, at, diagonal, _factorised(passes.matrix(at)))

    def solve(
        self, q: Vector, accuracy: float = ACCURACY, enough: float = inf, products: float = inf
    ) -> Vector:
        """H⁻¹q, or what stands for it where H is not positive; by conjugate gradients to this part of q.

        `ACCURACY` will do where the promise ½q·H⁻¹q, which grows with every product, is above `enough`, and once so
        many `products` have been taken.
        """
        if self.lower is not None:
            return self.lower(q)
        p, r = np.zeros_like(q), q.copy()
        z = r / self.diagonal
        d, rz = z.copy(), float(r @ z)
        first = rz
        for k in range(MOST_PRODUCTS):
            self.left = (rz / first) ** 0.5 if first > 0 else 0.0
            short = self.left <= ACCURACY and (k >= products or 0.5 * float(q @ p) > enough)
            if short or self.left <= accuracy or self.left > LOST:
                break
            Hd = self.passes.product(self.at, d)
            curvature = float(d @ Hd)
            if not curvature > 0.0:
                return p if k else z
            p += rz / curvature * d
            r -= rz / curvature * Hd
            z = r / self.diagonal
            before, rz = rz, float(r @ z)
            d = z + rz / before * d
        return p


def _factorised(H: np.ndarray) -> Any:
    """A function q -> H⁻¹q; with |H| in place of H where it is not positive definite."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    if not np.isfinite(H).all() or not H.any():
        return lambda q: q
    # A part of the largest curvature that float32 rounding makes of none.
    lift = np.finfo(np.float32).eps * 1e-2 * max(float(np.trace(H)) / len(H), 0.0)
    try:
        factor = cho_factor(H + lift * np.eye(len(H)), lower=True)
        return lambda q: cho_solve(factor, q)
    except LinAlgError:
        values, vectors = np.linalg.eigh(H)
        size = np.maximum(np.abs(values), SMALLEST_CURVATURE * np.abs(values).max())
        return lambda q: vectors @ ((q @ vectors) / size)


def sample_sizes(n: int, rows: int) -> list[int]:
    """Rows of the samples that come before all of them; none where they are few.

    >>> sample_sizes(200, 50_000), sample_sizes(1000, 1_000_000), sample_sizes(30, 500)
    ([1024, 5120], [4000, 20000], [])
    """
    small = -(-max(SMALL_SAMPLE * n, FEWEST_ROWS) // BLOCKS) * BLOCKS
    return [size for size in (small, LARGER * small) if size <= LARGEST_PART * rows]


def start_is_lower(run: Descent, passes: Passes, start: Vector) -> bool:
    """Whether a walk that comes from a sample stands higher over more rows, `passes`, than it would at its start, (n,).

    A row that no sample held may cost more here than all others gained, or overflow. The start is looked at (half a
    pass) only where the cost is above the first one, that of the sample at the start.
    """
    finite = isfinite(run.value) and isfinite(run.slope)
    if finite and run.value <= run.costs[0]:
        return False
    return not finite or passes.value(start) < run.value


class SampledNewton:
    """The walk, one step at a time; `pack` and `unpack` take it up again with the same bits.

    `rounding`: that of the cost, in parts of it. `seed`: of the samples.
    """

    def __init__(self, passes: Passes, x: Vector, *, seed: int, rounding: float) -> None:
        self.passes, self.rounding = passes, rounding
        sizes = [] if passes.together else sample_sizes(x.size, passes.rows)
        order = np.random.default_rng([seed, 7]).permutation(passes.rows) if sizes else np.zeros(0, int)
        self.levels = [passes.sampled(np.sort(order[:size]), sizes[0] // BLOCKS) for size in sizes]
        for level in self.levels:
            _shuffle(level, seed)
        self.levels.append(passes)
        self.level = 0
        self.factor: Factor | None = None
        self.pairs: list[tuple[Vector, Vector]] = []
        self.idle = 0
        self.here: Sums
        self.begun = np.array(x)
        self.run = Descent(x, float("nan"), float("nan"), 0, 0, "")
        self._arrive()

    @property
    def on_all(self) -> bool:
        """Whether the cost is that of all rows."""
        return self.level == len(self.levels) - 1

    @property
    def spent(self) -> float:
        """Passes over all rows, those over samples by their part."""
        return sum(level.spent * level.rows for level in self.levels) / self.passes.rows

    def step(self) -> bool:
        """Take a step; False where none was taken, with the reason in `run.reason`."""
        run = self.run
        while not self.on_all and self._sample_exhausted():
            self._next_level()
        if not isfinite(run.value) or not np.isfinite(self.here.slope).all():
            run.reason = "no lower point"
            return False
        if not self.here.slope.any():
            run.reason = "converged"
            return False
        if self.factor is None or not self.on_all:
            self.factor = self._formed()
        step = -self._solved(self.here.slope)
        promised = -0.5 * float(self.here.slope @ step)
        if self.on_all and promised <= ROUNDINGS * self.rounding * abs(run.value):
            run.reason = "converged"
            return False
        found = self._line_search(step)
        if found is None and self.pairs:
            self.pairs = []
            step = -self._solved(self.here.slope)
            found = self._line_search(step)
        if found is None:
            if not self.on_all:
                self._next_level()
                return self.step()
            if not np.array_equal(self.factor.at, run.x):
                self.factor = self._formed()
                return self.step()
            close = promised <= 1e3 * self.rounding * abs(run.value)
            run.reason = "converged" if close else "no lower point"
            return False
        self._learn(*found)
        return True

    def _learn(self, following: Vector, sums: Sums) -> None:
        run, before = self.run, self.here
        s, y = following - run.x, sums.slope - before.slope
        if self.on_all:
            sy = float(s @ y)
            if sy > 1e-12 * np.linalg.norm(s) * np.linalg.norm(y):
                self.pairs = [*self.pairs, (s, y)][-MEMORY:]
            D = self.factor.diagonal if self.factor is not None else 1.0
            left = float(sums.slope @ (sums.slope / D)) / float(before.slope @ (before.slope / D))
            lost = before.value - sums.value <= self.rounding * abs(before.value)
            self.idle = self.idle + 1 if lost else 0
            if self.idle >= 2:
                run.reason = "converged"
            elif left > POOR_STEP**2 and len(self.pairs) > 2:
                self.factor = None
        run.x, self.here = following, sums
        self._note()

    def _note(self) -> None:
        run = self.run
        run.value, run.slope = self.here.value, float(np.linalg.norm(self.here.slope))
        run.steps += 1
        run.costs.append(run.value)
        run.slopes.append(run.slope)

    def _formed(self) -> Factor:
        level = self.levels[self.level]
        if self.on_all and len(self.levels) > 1:
            level = self.levels[-2]
        return Factor.of(level, self.run.x, self.here.spread)

    def _arrive(self) -> None:
        """Look at the point over this level's rows."""
        self.here = self.levels[self.level].look(self.run.x)
        self.run.evaluations += 1
        self.run.value, self.run.slope = self.here.value, float(np.linalg.norm(self.here.slope))
        if not self.run.costs:
            self.run.costs, self.run.slopes = [self.run.value], [self.run.slope]

    def _next_level(self) -> None:
        spread = self.here.spread
        self.level += 1
        self._arrive()
        if start_is_lower(self.run, self.levels[self.level], self.begun):
            self.run.x = np.array(self.begun)
            self._arrive()
        if self.on_all:
            # Stored rows may be sorted: the spread that scales is the sample's.
            self.here.spread = spread

    def _sample_exhausted(self) -> bool:
        here = self.here
        D = np.maximum(here.spread, SMALLEST_SCALE * here.spread.max())
        if not D.max() > 0:
            return True
        noise = float(np.sum(here.spread / D)) / here.blocks
        return float(here.slope @ (here.slope / D)) <= TOLD_FROM_SAMPLING * noise

    def _solved(self, q: Vector) -> Vector:
        """The two-loop recursion (Nocedal & Wright 2006, alg. 7.4) around the sampled Hessian."""
        assert self.factor is not None
        q, chosen = q.copy(), []
        for s, y in reversed(self.pairs):
            chosen.append(float(s @ q) / float(s @ y))
            q -= chosen[-1] * y
        r = self.factor.solve(q)
        for (s, y), a in zip(self.pairs, reversed(chosen), strict=True):
            r += s * (a - float(y @ r) / float(s @ y))
        return r

    def _line_search(self, step: Vector) -> tuple[Vector, Sums] | None:
        run, level = self.run, self.levels[self.level]
        slope = float(self.here.slope @ step)
        if not slope < 0.0:
            return None
        slack = self.rounding * abs(run.value) if self.on_all else 0.0
        t = 1.0
        for _ in range(HALVINGS):
            following = run.x + t * step
            sums = level.look(following)
            run.evaluations += 1
            if isfinite(sums.value) and sums.value <= run.value + SUFFICIENT * t * slope + slack:
                if self.on_all and len(self.levels) > 1:
                    sums.spread = self.here.spread
                return following, sums
            t *= 0.5
        return None

    def pack(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """All of the walk: numbers, and arrays by name."""
        run, none = self.run, np.zeros((0, self.run.x.size))
        numbers = {
            "value": self.here.value,
            "blocks": self.here.blocks,
            "level": self.level,
            "idle": self.idle,
            "steps": run.steps,
            "evaluations": run.evaluations,
            "spent": [level.spent for level in self.levels],
            "formed": self.factor is not None,
            "costs": run.costs,
            "slopes": run.slopes,
        }
        arrays = {
            "x": run.x,
            "slope": self.here.slope,
            "spread": self.here.spread,
            "steps": np.array([s for s, _ in self.pairs]) if self.pairs else none,
            "changes": np.array([y for _, y in self.pairs]) if self.pairs else none,
            "at": run.x if self.factor is None else self.factor.at,
            "diagonal": run.x if self.factor is None else self.factor.diagonal,
        }
        return numbers, arrays

    def unpack(self, numbers: dict[str, Any], arrays: dict[str, Any]) -> None:
        """Stand where `pack` was called; a Hessian is formed again, to the same bits."""
        run = self.run
        self.level, self.idle = numbers["level"], numbers["idle"]
        run.x = np.array(arrays["x"])
        self.here = Sums(
            numbers["value"], np.array(arrays["slope"]), np.array(arrays["spread"]), numbers["blocks"]
        )
        run.value, run.slope = self.here.value, numbers["slopes"][-1]
        run.steps, run.evaluations = numbers["steps"], numbers["evaluations"]
        run.costs, run.slopes = list(numbers["costs"]), list(numbers["slopes"])
        self.pairs = [
            (np.array(s), np.array(y)) for s, y in zip(arrays["steps"], arrays["changes"], strict=True)
        ]
        if numbers["formed"]:
            level = self.levels[-2] if self.on_all and len(self.levels) > 1 else self.levels[self.level]
            self.factor = Factor.of(level, np.array(arrays["at"]), np.array(arrays["diagonal"]))
        for level, spent in zip(self.levels, numbers["spent"], strict=True):
            level.spent = spent


def _shuffle(level: Passes, seed: int) -> None:
    """Put the rows of a sample in random order, so that each of its blocks is a sample too."""
    order = np.random.default_rng([seed, 8]).permutation(level.rows)
    level.arrays = [array[order] for array in level.arrays]
