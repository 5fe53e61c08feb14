"""Many steps of L-BFGS in one call of one compiled loop, with every vector left where the cost is computed.

On the host a step is a dozen calls, each with a price of its own, and beside an accelerator each of them waits for the
device. Here a call takes a whole chunk of steps: evaluations, line search, pairs and directions. The algorithm and the
acceptance are those of `lbfgs` and `line_search`, in the ordinary case. A step out of the ordinary is not taken: a
search that ends elsewhere than at its last trial, refused curvature, a direction that does not lead down, numbers that
overflow. The chunk ends before it, and the host takes it, from the same point and by its own rules. A chunk gives back
every iterate, so that history, callbacks, budgets and stopping see the steps one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from time import perf_counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..linear_algebra.device_vectors import EXACT
from ..numerics import double_precision
from .bfgs import CURVATURE_FLOOR
from .line_search import (
    BACK_FROM_WALL,
    CONTRADICTIONS,
    ENOUGH,
    EXACTING_LOOKS,
    EXPANSION,
    LOOKS,
    MARGIN,
    STRETCH,
    TRIALS_IN_ROUNDING,
)
from .stopping import VALUE_ROUNDING

# Steps of a chunk: as many as keep this many numbers of iterates and slopes, within these limits. Fewer, and the calls'
# own price shows; more, and what is walked beyond the end of the walk is in vain.
KEPT_NUMBERS, FEWEST, MOST = 2**18, 4, 64

# Seconds after which a call should be over: until then neither the clock nor the keyboard is heard. The first takes one
# step, as nobody knows yet how long that lasts, and each may take so many times as many as the one before.
SECONDS, GROWTH = 0.1, 4

# Calls and steps of the host after which it is known which of the two is quicker on an accelerator. There each of the
# loop's many small operations has its price too.
COMPARED = 4

# Trials of one search, after which the host begins it anew: few searches need more, and those are seldom ordinary.
TRIALS = 10

# A length whose square lies outside has over- or underflowed, and is measured by the host.
SMALLEST, LARGEST = 1e-280, 1e280


class Place(NamedTuple):
    """Where the walk is, and what it has learned: what goes into a chunk, with the rows of the pairs, and comes out.

    `direction` (n,) with `slope` < 0 along it. `newest`: the slot of the newest pair; all are taken, and the oldest is
    in the next. By slot: `products` (memory, 2) of s and y with the gradient, `R_inverse` and `YY` (memory, memory),
    `D` (memory,), and `scale`, as in `lbfgs.Pairs`.
    """

    x: Any
    value: Any
    gradient: Any
    direction: Any
    slope: Any
    newest: Any
    products: Any
    R_inverse: Any
    D: Any
    YY: Any
    scale: Any


class Told(NamedTuple):
    """What a chunk tells of a step: `value`, lengths of `slope` and `step`, `decrease` foreseen, and `trials` made."""

    value: float
    slope: float
    step: float
    decrease: float
    trials: float


class Trial(NamedTuple):
    """A search between two trials: the one made last, at `t`, the bracket's ends, and the length `ahead` to try next.

    `lowest`: value of the lowest trial before the last; `candidate`: of the lowest that was low enough but rose too
    steeply, with `looks` more to be had at such. `landed`: the last trial is the landing. `gone`: the host searches.
    """

    t: Any
    x: Any
    value: Any
    gradient: Any
    slope: Any
    low: Any
    high: Any
    ahead: Any
    lowest: Any
    candidate: Any
    looks: Any
    contradictions: Any
    trials: Any
    landed: Any
    gone: Any


@dataclass
class Chunk:
    """The steps that one call took: `x` and `gradient` of each, (n,), arrays of NumPy or JAX, and what is `told` of it.

    `end`: where they lead, with the `rows` there, (2·memory, n). `whole`: no step was left to the host.
    """

    x: Any
    gradient: Any
    told: list[Told]
    end: Place
    rows: Any
    whole: bool

    def __len__(self) -> int:
        return len(self.told)


class Loop:
    """The loop around `cost`, whose function gives (value, gradient) of (arguments, x); compiled at its first call."""

    def __init__(self, cost: Any, n: int, still_falling: float) -> None:
        self.room = min(max(KEPT_NUMBERS // (2 * n), FEWEST), MOST)
        self._cost = cost
        run = partial(_chunk, cost.function, self.room, still_falling, not cost.on_host)
        self._run = jax.jit(run, donate_argnums=2)
        self._most, self._calls = 1, 0
        self._quickest = self._alone = inf
        self._comparisons = COMPARED if cost.on_host else 0

    def __call__(self, place: Place, rows: Any, evaluations: float, on_host: bool) -> Chunk:
        """Go on from `place` for some steps that take no more than so many `evaluations`.

        `rows` (2·memory, n): of the pairs, s of each slot and y behind it; handed over, and gone afterwards. `on_host`:
        the iterates come back as arrays of NumPy, otherwise of JAX.
        """
        most = min(self._most, self.room)
        started = perf_counter()
        with double_precision(), self._cost.there():
            end, rows, xs, gradients, told, taken, asked = self._run(
                self._cost.arguments, place, rows, np.int64(most), np.float64(evaluations)
            )
            told, taken, asked = jax.device_get((told, taken, asked))
            taken = int(taken)
            xs, gradients = xs[:taken], gradients[:taken]
            if on_host:
                xs, gradients = jax.device_get((xs, gradients))
        seconds = (perf_counter() - started) / max(taken, 1)
        first, self._calls = self._calls == 0, self._calls + 1
        longer = inf if first else SECONDS / seconds  # the first was compiled
        self._most = int(min(max(longer, 1.0), GROWTH * most))
        if not first:
            self._quickest = min(self._quickest, seconds)
        return Chunk(xs, gradients, [Told(*row) for row in told[:taken].tolist()], end, rows, not asked)

    @property
    def is_untried(self) -> bool:
        """Whether it is to be told by `compare` how long a step takes alone; on the host that is known."""
        return self._comparisons < COMPARED

    def compare(self, seconds: float) -> None:
        """So long took a step of the host."""
        self._alone, self._comparisons = min(self._alone, seconds), self._comparisons + 1

    @property
    def is_slow(self) -> bool:
        """Whether its steps have taken longer than those of the host, and it is given up."""
        return self._calls > COMPARED and self._quickest > self._alone


def _chunk(
    cost: Callable[[Any, Any], Any],
    room: int,
    still_falling: float,
    apart: bool,
    arguments: Any,
    place: Place,
    rows: Any,
    most: Any,
    evaluations: Any,
) -> Any:
    """Steps from `place` until `most` are taken, so many evaluations spent, values alike, or one is for the host.

    `apart`: each iterate an array of its own, as slicing them later would be a call to the device for each.
    """
    zeros = jnp.zeros((room, place.x.size))

    def goes_on(now: Any) -> Any:
        *_, taken, spent, asked, alike = now
        return (taken < most) & (spent < evaluations) & ~asked & ~alike

    def step(now: Any) -> Any:
        place, rows, pair, xs, gradients, told, taken, spent, _, _ = now
        rows = _written(rows, place.newest, pair)
        trial = _search(partial(cost, arguments), place, still_falling, evaluations - spent)
        ahead, new_pair, lengths, good = _learned(place, rows, trial)
        alike = jnp.abs(place.value - ahead.value) <= VALUE_ROUNDING * jnp.abs(ahead.value)
        place, pair = jax.tree.map(partial(jnp.where, good), (ahead, new_pair), (place, pair))
        row = jnp.stack([place.value, *lengths, trial.trials])
        xs = jax.lax.dynamic_update_slice(xs, place.x[None], (taken, 0))
        gradients = jax.lax.dynamic_update_slice(gradients, place.gradient[None], (taken, 0))
        told = jax.lax.dynamic_update_slice(told, row[None], (taken, 0))
        spent = spent + jnp.where(good, trial.trials, 0.0)
        return place, rows, pair, xs, gradients, told, taken + good, spent, ~good, alike

    # The newest pair is written at the beginning of the next step: whether that is for the host is known by then, and
    # rows that are first written and then read need no copy.
    pair = jax.lax.dynamic_slice_in_dim(rows, 2 * place.newest, 2)
    begun = (place, rows, pair, zeros, zeros, jnp.zeros((room, 5)), 0, 0.0, False, False)
    found = jax.lax.while_loop(goes_on, step, begun)
    place, rows, pair, xs, gradients, told, taken, _, asked, _ = found
    if apart:
        xs, gradients = tuple(xs), tuple(gradients)
    return place, _written(rows, place.newest, pair), xs, gradients, told, taken, asked


def _written(rows: Any, slot: Any, pair: Any) -> Any:
    return jax.lax.dynamic_update_slice_in_dim(rows, pair, 2 * slot, 0)


def _search(cost: Callable[[Any], Any], place: Place, still_falling: float, evaluations: Any) -> Trial:
    """`line_search.search` along the direction, unit step first; ended where the host would remember another trial."""
    value, slope = place.value, place.slope
    rounding = VALUE_ROUNDING * jnp.abs(value)
    allowed = jnp.minimum(jnp.where(-slope > rounding, TRIALS, TRIALS_IN_ROUNDING), evaluations)

    def goes_on(now: Trial) -> Any:
        return ~now.landed & ~now.gone

    def trial(now: Trial) -> Trial:
        t = now.ahead
        x = place.x + t * place.direction
        f, g = cost(x)
        s = _dot(g, place.direction)
        finite = jnp.isfinite(f) & jnp.isfinite(s)
        enough = (f <= value + ENOUGH * t * slope) | (
            (jnp.abs(f - value) <= rounding) & (s <= (2.0 * ENOUGH - 1.0) * slope)
        )
        enough &= finite
        short = enough & (s < still_falling * slope)
        fits = enough & ~short & ((s <= -still_falling * slope) | (now.looks == 0))
        steep = enough & ~short & ~fits
        kept = (f > now.candidate + rounding) | (f > now.lowest)
        high = jnp.where(finite, jnp.stack([t, f, s]), jnp.stack([t, inf, inf]))
        here = jnp.stack([t, f, s])
        bracketed = now.high[0] < inf
        low, high = jnp.where(short, here, now.low), jnp.where(short, now.high, high)
        trials = now.trials + 1.0
        contradictions = jnp.where(
            finite & ~enough, jnp.where(s <= 0.5 * slope, now.contradictions + 1, 0), now.contradictions
        )
        width = high[0] - low[0]
        ahead = jnp.where(
            short & ~bracketed, _expanded(now.low, here), _between(low, high, rounding, trials - 1.0)
        )
        gone = (
            (fits & kept)
            | (f == -inf)
            | (short & (t >= STRETCH))
            | (~(short & ~bracketed) & ((width <= 1e-16 * high[0]) | (high[0] < 1e-280)))
            | (contradictions >= CONTRADICTIONS)
            | (trials >= allowed)
        )
        return Trial(
            t,
            x,
            f,
            g,
            s,
            low,
            high,
            ahead,
            jnp.where(finite, jnp.minimum(now.lowest, f), now.lowest),
            jnp.where(steep, jnp.minimum(now.candidate, f), now.candidate),
            now.looks - steep,
            contradictions,
            trials,
            fits & ~kept,
            gone & ~(fits & ~kept),
        )

    nothing = jnp.zeros(())
    begun = Trial(
        t=nothing,
        x=place.x,
        value=value,
        gradient=place.gradient,
        slope=slope,
        low=jnp.stack([nothing, value, slope]),
        high=jnp.full(3, inf),
        ahead=nothing + 1.0,
        lowest=nothing + inf,
        candidate=nothing + inf,
        looks=jnp.asarray(LOOKS if still_falling >= 0.5 else EXACTING_LOOKS),
        contradictions=jnp.asarray(0),
        trials=nothing,
        landed=nothing > 1.0,
        gone=allowed < 1.0,
    )
    return jax.lax.while_loop(goes_on, trial, begun)


def _expanded(before: Any, here: Any) -> Any:
    """`line_search._expand`, from the trial before, (t, value, slope), and this one."""
    t, slope = here[0], here[2]
    change = slope - before[2]
    guess = jnp.where(change > 0.0, t - slope * (t - before[0]) / change, inf)
    return jnp.minimum(jnp.maximum(1.5 * t, jnp.minimum(guess, EXPANSION * t)), STRETCH)


def _between(low: Any, high: Any, rounding: Any, trial: Any) -> Any:
    """`line_search._between`, of two ends (t, value, slope) of a bracket."""
    (low_t, low_value, low_slope), (high_t, high_value, high_slope) = low, high
    width = high_t - low_t
    middle = low_t + 0.5 * width
    alike = jnp.abs(high_value - low_value) <= rounding
    by_slopes = jnp.where(
        (high_slope > 0.0) & (low_slope < 0.0), low_t - low_slope * width / (high_slope - low_slope), middle
    )
    d1 = low_slope + high_slope - 3.0 * (high_value - low_value) / width
    square = d1 * d1 - low_slope * high_slope
    d2 = jnp.sqrt(square)
    denominator = high_slope - low_slope + 2.0 * d2
    cubic = high_t - width * (high_slope + d2 - d1) / denominator
    sound = (square >= 0.0) & (square < inf) & (denominator != 0.0)
    t = jnp.where(alike, by_slopes, jnp.where(sound, cubic, middle))
    t = jnp.where(jnp.isnan(t) | (trial % 3 == 2), middle, t)
    inside = jnp.minimum(jnp.maximum(t, low_t + MARGIN * width), high_t - MARGIN * width)
    back = jnp.where(low_t == 0.0, low_t + BACK_FROM_WALL * width, middle)
    return jnp.where(jnp.isfinite(high_value), inside, back)


def _learned(place: Place, rows: Any, trial: Trial) -> tuple[Place, Any, tuple[Any, ...], Any]:
    """The place after the landing, the pair, lengths of slope and step and the decrease foreseen; and whether it holds.

    The rows are those of before: the pair's own products and parts are taken apart from theirs.
    """
    memory, g = place.D.size, trial.gradient
    s, y = trial.t * place.direction, g - place.gradient
    ss, sy, yy, gg = _dot(s, s), _dot(s, y), _dot(y, y), _dot(g, g)
    good = trial.landed & (sy > CURVATURE_FLOOR * jnp.sqrt(ss * yy))
    for square in (ss, yy, gg):
        good &= (square > SMALLEST) & (square < LARGEST)
    slot = (place.newest + 1) % memory
    newest = jnp.arange(memory) == slot
    products = jnp.where(
        newest[:, None], jnp.stack([_dot(s, g), _dot(y, g)]), _times(rows, g).reshape(memory, 2)
    )
    # Sᵀy and Yᵀy of the new y = g⁺ - g, from products that are known already.
    changes = jnp.where(newest[:, None], 0.0, products - place.products)
    Sy, Yy = changes[:, 0], changes[:, 1]
    # The oldest pair is the first row and column of a triangle and of its inverse, and the others stay as they are:
    # [[R, r], [0, ρ]]⁻¹ = [[R⁻¹, -R⁻¹r/ρ], [0, 1/ρ]].
    R_inverse = jnp.where(newest[:, None] | newest, 0.0, place.R_inverse)
    column = jnp.where(newest, 1.0, -_times(R_inverse, Sy)) / sy
    R_inverse = jnp.where(newest, column[:, None], R_inverse)
    Yy = jnp.where(newest, yy, Yy)
    YY = jnp.where(newest, Yy[:, None], jnp.where(newest[:, None], Yy, place.YY))
    D, gamma = jnp.where(newest, sy, place.D), sy / yy
    # `lbfgs.inverse_times`
    q = _times(R_inverse, products[:, 0])
    u = _times(D * q + gamma * (_times(YY, q) - products[:, 1]), R_inverse)
    coefficients = jnp.stack([-u, gamma * q], axis=1)
    others = jnp.where(newest[:, None], 0.0, coefficients)
    own = coefficients[slot]
    direction = _times(others.reshape(-1), rows) + (own[0] * s + own[1] * y - gamma * g)
    slope = _dot(g, direction)
    good &= (slope < 0.0) & (slope > -inf)
    ahead = Place(trial.x, trial.value, g, direction, slope, slot, products, R_inverse, D, YY, gamma)
    return ahead, jnp.stack([s, y]), (jnp.sqrt(gg), jnp.sqrt(ss), -0.5 * slope), good


def _dot(a: Any, b: Any) -> Any:
    return jnp.sum(a * b)


def _times(a: Any, b: Any) -> Any:
    return jnp.matmul(a, b, precision=EXACT)


def by_slot(matrix: Any, slots: tuple[int, ...]) -> Any:
    """What is known of each pair, or of each two, oldest first, put where their slots are.

    >>> by_slot(np.array([7.0, 8.0, 9.0]), (1, 2, 0))
    array([9., 7., 8.])
    """
    placed = np.empty(matrix.shape)
    placed[np.ix_(*(slots,) * matrix.ndim)] = matrix
    return placed


def oldest_first(matrix: Any, slots: tuple[int, ...]) -> Any:
    """The inverse of `by_slot`.

    >>> oldest_first(np.array([9.0, 7.0, 8.0]), (1, 2, 0))
    array([7., 8., 9.])
    """
    return np.asarray(matrix)[np.ix_(*(slots,) * matrix.ndim)]
