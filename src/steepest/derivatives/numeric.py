"""Derivatives of a cost that cannot be traced: differences whose steps fit its noise and its curvature."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np

from ..bounds import Bounds
from ..budget import BudgetSpent
from ..numerics import EPS
from .noise import noise_of

Vector = np.ndarray

# Steps tried for each parameter at the first gradient, in units of its size. Wide, since a parameter that
# starts at zero says nothing of its size.
TRIED_STEPS = 10.0 ** np.arange(-13, 2)

# Above this many parameters trying steps for each costs too much; the size of the parameter decides.
TRIED_PARAMETERS = 20

# Nor is it worth more than this part of the calls that a budget leaves: they are for steps.
WORTH_TRYING = 0.2

# Up to this many parameters a four-point difference, twice the calls, is worth its many more digits.
FOUR_POINTS = 6

# Four points are not spread wider than this part of the parameter's size, unless two had to be.
LONGEST_FOUR = 0.01

# The shortest step whose slope is known to this part of itself is taken, rather than the best: what the cost does
# farther away is no business of the slope here.
GOOD_ENOUGH = 1e-10

# A four-point correction this many times what the curvature at the chosen step explains is a bend nearby.
BEND = 10.0

# Relative step that balances rounding against truncation: ε^(1/3) for two points, ε^(1/5) for four.
STEP_TWO, STEP_FOUR = EPS ** (1 / 3), EPS ** (1 / 5)

# Slopes of two steps, one ten times the other, that differ by more than this part of themselves (and by more
# than noise explains) belong to a step that is too long, and every longer one is too long as well.
TOO_LONG = 0.01

# Curvatures over two such steps that differ by more than this part of the larger belong to places that bend otherwise.
# Across a kink they shrink as the step grows, but for this part.
OTHER_BEND, KINKED = 0.003, 0.1

# Noise this many times its standard deviation is not rare among dozens of differences.
RARE_NOISE = 10.0

# A second difference is that of a jump, and not of a curvature, where the step changes the cost by so many times its
# noise and a third of the step by none of it: a power of up to six changes it by 1/729 of that.
LOUD_STEP = 1e4

# A parameter that moved by more than this factor since its step was chosen gets a new one.
MOVED = 100.0
# All steps are chosen anew when the values, and with them their rounding, have grown by this factor: a step
# chosen where the cost was zero is far too short elsewhere.
LOUDER = 100.0

# First spacing of the values that noise is read from, relative to the parameters' size.
NOISE_SPACING = 1e-9

# A computed value is taken to be wrong by at least this part of itself.
ROUNDING = 2.0 * EPS


class NumericDerivatives:
    """Value, gradient, Hessian and Hessian products of `fun` by differences, never leaving `bounds`.

    `fun` takes x (n,), float64, and returns a number. The noise of its values is estimated at the first
    gradient (Moré & Wild, "Estimating computational noise", 2011). Each parameter's step is then chosen to
    make truncation plus noise smallest, in the spirit of Moré & Wild, "Estimating derivatives of noisy
    simulations" (2012), for central differences. `noise`: standard deviation found; `gradient_error` (n,):
    estimated error of the last gradient; `calls`: how often `fun` was called. `calls_left` tells how often it still
    may be: where trying steps would take much of that, the size of the parameters decides on them.

    >>> slope = NumericDerivatives(lambda x: float(np.exp(x[0])), Bounds.none(1))
    >>> value, gradient = slope.value_and_gradient(np.array([0.0]))
    >>> bool(abs(gradient[0] - 1.0) < 1e-10)
    True
    """

    def __init__(
        self,
        fun: Callable[[Vector], float],
        bounds: Bounds,
        *,
        seed: int = 0,
        calls_left: Callable[[], float] = lambda: inf,
    ) -> None:
        self._fun, self._calls_left = fun, calls_left
        self.bounds = bounds
        self.noise: float | None = None
        self.gradient_error: Vector | None = None
        self.calls = 0
        self._seed = seed
        self._steps: Vector | None = None
        self._third: Vector | None = None  # truncation error of a two-point difference of step h is this·h²
        self._sizes: Vector | None = None
        self._four = self._sparing = False
        self._level = 0.0  # the noise for which the steps were chosen

    def value(self, x: Vector) -> float:
        """The cost at `x` (n,)."""
        self.calls += 1
        return float(self._fun(x.copy()))

    def value_and_gradient(self, x: Vector) -> tuple[float, Vector]:
        """The cost at `x` (n,) and its gradient (n,) by differences."""
        value = self.value(x)
        if not np.isfinite(value):
            self.gradient_error = np.full(x.size, np.nan)
            return value, np.full(x.size, np.nan)
        gradient, error = np.empty(x.size), np.empty(x.size)
        try:
            self._prepare(x, value)
            assert self._steps is not None
            for i in range(x.size):
                gradient[i], error[i] = self._slope(x, value, i, float(self._steps[i]))
        except (BudgetSpent, KeyboardInterrupt) as cut_short:
            cut_short.value = value  # type: ignore[union-attr]
            raise
        self.gradient_error = error
        return value, gradient

    def hessian(self, x: Vector) -> np.ndarray:
        """Second derivatives at `x`, shape (n, n), by second differences of values: about 2n² calls."""
        n = x.size
        value = self.value(x)
        self._prepare(x, value)
        h = self._second_steps(value)
        base = self._inside(x, 2.0 * h)
        centre = value if np.array_equal(base, x) else self.value(base)
        ahead, behind = np.empty(n), np.empty(n)
        H = np.empty((n, n))
        for i in range(n):
            ahead[i], behind[i] = self._at(base, i, h[i]), self._at(base, i, -h[i])
            if h[i] and self._jumps(base, centre, i, h[i], ahead[i], behind[i]):
                h[i] = 0.0
            H[i, i] = (ahead[i] - 2.0 * centre + behind[i]) / h[i] ** 2 if h[i] else 0.0
        for i in range(n):
            for j in range(i):
                if not (h[i] and h[j]):
                    H[i, j] = H[j, i] = 0.0
                    continue
                both, neither = base.copy(), base.copy()
                both[[i, j]] += h[[i, j]]
                neither[[i, j]] -= h[[i, j]]
                sides = ahead[i] + ahead[j] + behind[i] + behind[j]
                corners = self.value(both) + self.value(neither)
                H[i, j] = H[j, i] = (corners + 2.0 * centre - sides) / (2.0 * h[i] * h[j])
        return H

    def hessian_product(self, x: Vector, v: Vector) -> Vector:
        """The Hessian at `x` times `v`, shape (n,), from two gradients beside x along v."""
        if not v.any():
            return np.zeros(x.size)
        value = self.value(x)
        self._prepare(x, value)
        h = self._second_steps(value)
        moving = (v != 0.0) & (h > 0.0)
        if not moving.any():
            return np.zeros(x.size)
        t = float(np.min(h[moving] / np.abs(v[moving])))
        kept = self.gradient_error
        ahead = self.bounds.project(x + t * v)
        behind = self.bounds.project(x - t * v)
        span = float((ahead - behind) @ v) / float(v @ v)
        if span <= 0.0:
            return np.zeros(x.size)
        product = (self.value_and_gradient(ahead)[1] - self.value_and_gradient(behind)[1]) / span
        self.gradient_error = kept
        return product

    # ---- one parameter

    def _slope(self, x: Vector, value: float, i: int, h: float) -> tuple[float, float]:
        """The slope along parameter `i` and its estimated error, with a step of `h` that the bounds may shorten."""
        room_up, room_down = self.bounds.upper[i] - x[i], x[i] - self.bounds.lower[i]
        if room_up <= 0.0 and room_down <= 0.0:
            return 0.0, 0.0
        assert self.noise is not None and self._third is not None and self._sizes is not None
        noise = 2.0 * max(self.noise, ROUNDING * abs(value))
        longer = min(h * STEP_FOUR / STEP_TWO, max(h, LONGEST_FOUR * float(self._sizes[i])))
        if self._four and min(room_up, room_down) >= 2 * longer:
            f = [self._at(x, i, k * longer) for k in (-2, -1, 1, 2)]
            if np.isfinite(f).all():
                two = (f[2] - f[1]) / (2 * longer)
                slope = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * longer)
                # The correction shrinks with h², what is left of the error with h⁴: the correction once more.
                size = max(abs(slope), abs(two), 1e-300)
                noise = max(noise, 2.0 * ROUNDING * float(np.abs(f).max()))
                explained = float(self._third[i]) * longer**2 + noise / longer
                if abs(slope - two) > BEND * explained:
                    return self._two_sided(x, i, min(h, STEP_TWO * float(self._sizes[i])), noise)
                return slope, 1.5 * noise / longer + abs(slope - two) * min(1.0, abs(slope - two) / size)
        if min(room_up, room_down) >= h:
            return self._two_sided(x, i, h, noise)
        return self._one_sided(x, value, i, h, noise)

    def _two_sided(self, x: Vector, i: int, h: float, noise: float) -> tuple[float, float]:
        assert self._third is not None
        up, down = self._at(x, i, h), self._at(x, i, -h)
        for _ in range(3):  # walls of NaN close by: come nearer
            if np.isfinite(up) and np.isfinite(down):
                break
            h /= 10.0
            up, down = self._at(x, i, h), self._at(x, i, -h)
        return (up - down) / (2 * h), noise / h + float(self._third[i]) * h * h

    def _one_sided(self, x: Vector, value: float, i: int, h: float, noise: float) -> tuple[float, float]:
        """Next to a bound: three points on the inner side, of the same order as two points around."""
        assert self._third is not None
        room_up, room_down = self.bounds.upper[i] - x[i], x[i] - self.bounds.lower[i]
        sign, room = (1.0, room_up) if room_up >= room_down else (-1.0, room_down)
        h = min(h, 0.5 * room)
        one, two = self._at(x, i, sign * h), self._at(x, i, 2 * sign * h)
        slope = sign * (4 * one - two - 3 * value) / (2 * h)
        return slope, 4 * noise / h + 2 * float(self._third[i]) * h * h

    def _at(self, x: Vector, i: int, shift: float) -> float:
        near = x.copy()
        near[i] = min(max(near[i] + shift, self.bounds.lower[i]), self.bounds.upper[i])
        self.calls += 1
        return float(self._fun(near))

    # ---- steps

    def _prepare(self, x: Vector, value: float) -> None:
        """Choose noise and steps at the first point, and again for parameters that changed their size."""
        if self.noise is None:
            self.noise = self._measured_noise(x, value)
        level = max(self.noise, ROUNDING * abs(value))
        if self._steps is None or level > LOUDER * self._level:
            self._level = level
            self._sizes = np.maximum(np.abs(x), 1.0)
            self._steps, self._third = np.empty(x.size), np.zeros(x.size)
            self._sparing = 2 * TRIED_STEPS.size * x.size > WORTH_TRYING * self._calls_left()
            precise = self.noise <= 1e3 * EPS * abs(value) + 1e-300
            self._four = precise and x.size <= FOUR_POINTS and not self._sparing
            try:
                for i in range(x.size):
                    self._choose(x, value, i)
            except BaseException:  # some have none yet
                self._steps = None
                raise
            return
        assert self._sizes is not None
        size = np.maximum(np.abs(x), 1.0)
        ratio = size / self._sizes
        for i in np.flatnonzero((ratio > MOVED) | (ratio < 1.0 / MOVED)).tolist():
            self._sizes[i] = size[i]
            self._choose(x, value, i)

    def _measured_noise(self, x: Vector, value: float) -> float:
        """Standard deviation of the noise of values near `x`, at least their rounding."""
        direction = np.random.default_rng(self._seed).choice((-1.0, 1.0), x.size)
        size = np.where(x == 0.0, 1.0, np.abs(x))
        room = np.minimum(self.bounds.upper - x, x - self.bounds.lower)
        direction = np.where(room > 0, direction * size, 0.0)
        if not direction.any():
            return ROUNDING * abs(value)

        def inside(y: Vector) -> float:
            self.calls += 1
            return float(self._fun(self.bounds.project(y)))

        noise = noise_of(inside, x, direction, NOISE_SPACING)
        again = inside(x)
        level = noise.level if noise.found else 0.0
        return max(level, abs(again - value), ROUNDING * abs(value))

    def _choose(self, x: Vector, value: float, i: int) -> None:
        """The step of parameter `i` that makes noise/h + truncation smallest among those tried."""
        assert self._steps is not None and self._third is not None and self._sizes is not None
        noise = max(self.noise or 0.0, ROUNDING * abs(value), 1e-300)
        size = float(self._sizes[i])
        self._third[i] = 0.0
        self._steps[i] = max(STEP_TWO, (noise / max(abs(value), noise)) ** (1 / 3)) * size
        rooms = (self.bounds.upper[i] - x[i], x[i] - self.bounds.lower[i])
        if x.size > TRIED_PARAMETERS or self._sparing or max(rooms) <= 0.0:
            return
        steps = TRIED_STEPS * size
        around = steps[steps <= min(rooms)]
        if around.size >= TRIED_STEPS.size // 2:
            steps = around
            pairs = np.array([(self._at(x, i, h), self._at(x, i, -h)) for h in steps])
            slopes = (pairs[:, 0] - pairs[:, 1]) / (2 * steps)
            noises = np.maximum(noise, ROUNDING * np.abs(pairs).max(axis=1))
            bent = _bends_otherwise(steps, (pairs.sum(axis=1) - 2.0 * value) / steps**2, noises)
        else:
            steps = steps[steps <= 0.5 * max(rooms)]
            slopes = np.array([self._one_sided(x, value, i, float(h), noise)[0] for h in steps])
            noises = np.full(steps.size, noise)
            bent = np.zeros(max(steps.size - 1, 0), dtype=bool)
        if steps.size < 3:
            return
        self._steps[i], self._third[i] = _best_step(steps, slopes, noises, bent)

    def _second_steps(self, value: float) -> Vector:
        """Steps for second differences, (n,): longer, since noise counts 4/h² there; 0 where nothing can move."""
        assert self._steps is not None
        noise = max(self.noise or 0.0, ROUNDING * abs(value), 1e-300)
        # From the step that suits slopes, (noise/third)^(1/3), to that of curvatures, (noise/fourth)^(1/4).
        h = self._steps / max((noise / max(abs(value), noise)) ** (1 / 12), 1e-2)
        width = self.bounds.upper - self.bounds.lower
        return np.where(width > 0, np.minimum(h, width / 5.0), 0.0)

    def _jumps(self, x: Vector, value: float, i: int, h: float, ahead: float, behind: float) -> bool:
        """Whether the cost is level around `x` and jumps within a step of `h` along parameter `i`, on either side."""
        noise = max(self.noise or 0.0, ROUNDING * max(abs(value), abs(ahead), abs(behind)), 1e-300)
        if not max(abs(ahead - value), abs(behind - value)) > LOUD_STEP * noise:
            return False
        return all(abs(self._at(x, i, part * h) - value) <= noise for part in (1.0 / 3.0, -1.0 / 3.0))

    def _inside(self, x: Vector, margin: Vector) -> Vector:
        """The nearest point that keeps `margin` from the bounds."""
        lower, upper = self.bounds.lower + margin, self.bounds.upper - margin
        return np.clip(x, np.minimum(lower, upper), np.maximum(lower, upper))


def _bends_otherwise(steps: Vector, curvatures: Vector, noise: Vector) -> Vector:
    """Whether the curvature seen over each of rising `steps` (k,) is another one over the next, (k-1,).

    On a summit or a saddle, where the cost is as high on both sides, slopes are zero however long the step is. So they
    are on a kink, and there that of shorter steps is no better: what shrinks as the step grows is none of this.
    """
    near, far = curvatures[:-1], curvatures[1:]
    larger = np.maximum(np.abs(far), np.abs(near))
    others = ~(np.abs(far - near) <= 4.0 * RARE_NOISE * noise[:-1] / steps[:-1] ** 2 + OTHER_BEND * larger)
    kinked = np.abs(far * steps[1:] - near * steps[:-1]) <= KINKED * np.abs(near * steps[:-1])
    return others & ~kinked


def _best_step(steps: Vector, slopes: Vector, noise: Vector, bent: Vector) -> tuple[float, float]:
    """The best of rising `steps` (k,) by what the next longer one changes, and its truncation error over h².

    Steps are looked at from the shortest upwards and given up at the first that is too long: far beyond the
    scale on which the cost bends, slopes may agree again and mean nothing. `noise` (k,): of the values used. `bent`
    (k-1,): where the next step is too long for its curvature.
    """
    changes = np.abs(np.diff(slopes))
    large = np.maximum(np.abs(slopes[1:]), np.abs(slopes[:-1]))
    bad = ~(changes <= RARE_NOISE * noise[:-1] / steps[:-1] + TOO_LONG * large) | bent
    last = int(np.argmax(bad)) if bad.any() else bad.size - 1
    # A step ten times longer errs a hundred times more, so the change is 99 times the error of the shorter.
    error = changes[: last + 1] / 99.0 + noise[: last + 1] / steps[: last + 1]
    error = np.where(np.isfinite(error), error, np.inf)
    good = error <= GOOD_ENOUGH * np.abs(slopes[: last + 1])
    k = int(np.argmax(good)) if good.any() else int(np.argmin(error))
    truncation = (
        max(float(changes[k]) / 99.0 - float(noise[k] / steps[k]), 0.0) if np.isfinite(changes[k]) else 0.0
    )
    third = truncation / float(steps[k]) ** 2
    if third == 0.0:
        return float(steps[k]), 0.0
    balanced = (float(noise[k]) / (2.0 * third)) ** (1 / 3)
    return float(np.clip(balanced, steps[max(k - 1, 0)], steps[min(k + 1, steps.size - 1)])), third
