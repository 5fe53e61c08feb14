"""Limited-memory BFGS: a Hessian inverse rebuilt from the last few steps.

For large problems the time goes into moving vectors through memory, so every step reads the stored pairs
only twice: once for their products with the new gradient, once to combine them into the direction. The first pass
writes the newest pair and takes its products on the way; the second takes the slope along the direction. This is
the compact form of Byrd, Nocedal & Schnabel ("Representations of quasi-Newton matrices", Math. Program. 63,
1994, eq. 3.1); everything else in it is at most memory × memory.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite, nan, sqrt
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from ..bounds import Mask, Vector
from ..errors import InputError
from ..linear_algebra.long_vectors import Rows, inner, length
from ..numerics import TINY, double_precision
from ..objective import Matrix, Objective
from .bfgs import CURVATURE_FLOOR
from .box import Route, route
from .line_search import STILL_FALLING, Landing, check_still_falling, downhill, first_scale, walk
from .stopping import VALUE_ROUNDING, StopReason

if TYPE_CHECKING:
    from .lbfgs_loop import Chunk, Loop

# Pairs kept by default: more learn curvature faster, fewer pass less memory. Above this many parameters twenty pairs
# have left the nearer caches, and reading them twice takes longer than an evaluation of a cheap cost. There they save
# next to nothing: to 1e-8 of the decrease, minimal surface, smoothing, logistic regression and Broyden's tridiagonal
# function of 100,000 parameters took 1284, 66, 91 and 25 evaluations with seven, and 1265, 64, 87 and 26 with twenty.
LARGE = 10_000
MEMORY, MEMORY_LARGE = 20, 7

# A change of gradient whose square lies below this has lost its digits to underflow, and is not learned from.
SMALLEST = TINY

# Steps on the host, over all walks of one cost, after which others are taken in a compiled loop: it takes XLA about as
# long to make, some 2.5 s, as they would have saved at best. Of steps of 1,000 parameters it saved a quarter where the
# cost was matrices and a twentieth for Rosenbrock's chain, and of 5,625 nothing. Counted and not timed, so that the
# same calls go the same ways.
MANY_STEPS = 100_000

# A chunk that the host had to end after fewer steps than these was not worth handing over; so many follow one by one.
SHORT, REST = 4, 32

# Iterates that the compiled loop keeps at least.
IN_A_CHUNK = 4

NOTHING: AbstractContextManager[Any] = nullcontext()


class Pairs(NamedTuple):
    """The last k steps s and changes of gradient y, and the small matrices made of them, oldest first.

    `ring`, 2·memory rows of shape (n,), holds s in row 2i and y in row 2i + 1 of slot i; once all slots are taken the
    next pair is written over the oldest. `slots`: slot of each pair.
    `R_inverse`: inverse of the upper triangle of SᵀY, shape (k, k). `D`: its diagonal, shape (k,). `YY`: YᵀY.
    `scale`: γ = sᵀy / yᵀy of the newest. `SY`, `SS`: SᵀY and SᵀS, kept only with bounds.
    """

    ring: Rows
    slots: tuple[int, ...]
    R_inverse: Matrix
    D: Vector
    YY: Matrix
    scale: float
    SY: Matrix | None
    SS: Matrix | None

    @property
    def used(self) -> int:
        """How many rows of the ring, from the first, are in use so far."""
        return 2 * (max(self.slots) + 1) if self.slots else 0

    @property
    def ranges(self) -> tuple[slice, ...]:
        """The stretches of rows in use."""
        return _ranges(self.slots)


class Move(NamedTuple):
    """A step, t·`direction`, (n,). Once it has been looked at its `length` stands for it: each long vector counts."""

    direction: Vector | None
    t: float = 1.0
    length: float | None = None

    @property
    def step(self) -> Vector | None:
        """The step itself, (n,), while it is known."""
        return self.direction if self.direction is None or self.t == 1.0 else self.t * self.direction

    @property
    def size(self) -> float:
        """How long it is."""
        if self.length is not None:
            return self.length
        assert self.step is not None
        return length(self.step)


class LBFGSState(NamedTuple):
    """`move`: what led here. `products`: the ring's rows times the gradient. The rest as in BFGS.

    `rest`: so many steps are taken one by one before others are asked of the compiled loop.
    """

    x: Vector
    value: float
    gradient: Vector
    move: Move | None
    decrease: float
    stop: StopReason | None
    direction: Vector
    slope: float
    pairs: Pairs | None
    products: Vector | None
    route: Route | None
    rest: int = 0

    @property
    def step(self) -> Vector | None:
        """The step that led here, (n,), while it is known; None at the start."""
        return None if self.move is None else self.move.step

    def without_step(self, length: float) -> LBFGSState:
        """The same, of the step that led here its `length` alone."""
        return self._replace(move=Move(None, length=length))


class Walked(NamedTuple):
    """A step that the compiled loop took, which leads to the `place`-th of the `chunk`; see `lbfgs_loop`.

    `lengths`: of the gradient and the step. The rest is what the driver reads.
    """

    x: Vector
    value: float
    gradient: Vector
    step: Vector
    decrease: float
    stop: StopReason | None
    lengths: tuple[float, float]
    loop: Loop
    chunk: Chunk
    place: int

    def next(self, objective: Objective) -> Walked | None:
        """The next step; None where the host is to take it."""
        loop, chunk, index = self.loop, self.chunk, self.place + 1
        if index < len(chunk):
            return _walked(objective, loop, chunk, index, self.x)
        if not chunk.whole or loop.is_slow:
            return None
        ahead = loop(chunk.end, chunk.rows, objective.evaluations_left, isinstance(self.x, np.ndarray))
        if len(ahead):
            return _walked(objective, loop, ahead, 0, self.x)
        chunk.end, chunk.rows = ahead.end, ahead.rows
        return None

    def handed_back(self) -> LBFGSState:
        """The end of the chunk as the host's own steps begin with it."""
        from .lbfgs_loop import oldest_first

        end, memory, x = self.chunk.end, self.chunk.end.D.size, self.x
        first = (int(end.newest) + 1) % memory
        slots = (*range(first, memory), *range(first))
        on_host = isinstance(x, np.ndarray)
        ring: Any
        if on_host:
            ring = Rows.of(np.asarray(self.chunk.rows))
        else:
            from ..linear_algebra.device_vectors import DeviceRows

            ring = DeviceRows.of(self.chunk.rows)
        R_inverse, D, YY = (oldest_first(known, slots) for known in (end.R_inverse, end.D, end.YY))
        pairs = Pairs(ring, slots, R_inverse, D, YY, float(end.scale), None, None)
        return LBFGSState(
            x=x,
            value=self.value,
            gradient=self.gradient,
            move=Move(self.step),
            decrease=self.decrease,
            stop=None,
            direction=np.array(end.direction) if on_host else end.direction,
            slope=float(end.slope),
            pairs=pairs,
            products=np.array(end.products).ravel(),
            route=None,
            rest=1 if len(self.chunk) >= SHORT else REST,
        )


@dataclass(frozen=True)
class LBFGS:
    """L-BFGS with `memory` pairs; None keeps 20, and 7 above 10,000 parameters.

    Bounds are kept by a subspace Newton step over the free parameters, from the direct compact form (Byrd, Lu,
    Nocedal & Zhu 1995, eq. 5.11), bent onto the box.
    """

    name: ClassVar[str] = "L-BFGS"
    remedy: ClassVar[str] = ""
    memory: int | None = None
    still_falling: float = STILL_FALLING

    def __post_init__(self) -> None:
        check_still_falling(self.still_falling)
        if self.memory is not None and self.memory < 1:
            raise InputError(f"memory is how many steps are remembered: at least 1, not {self.memory!r}")

    def default_max_steps(self, n: int) -> int:
        """As many as SciPy allows its own."""
        return 15_000

    def init(self, objective: Objective, x: Vector) -> LBFGSState:
        """The start, with the slope as first direction.

        Where an accelerator computes a cost of many parameters, all vectors of the walk stay there.
        """
        if x.size > LARGE and not objective.bounds.any:
            x = objective.on_device(x, room_for=2 * (self._pairs_kept(x.size) + IN_A_CHUNK) * x.size)
        with _precision_for(x):
            value, gradient = objective.value_and_gradient(x)
            return _aim(objective, x, value, gradient, None, None, None)

    def step(self, objective: Objective, state: LBFGSState | Walked) -> LBFGSState | Walked:
        """Go along the direction, remember the pair, and aim again; where it pays, in a compiled loop of many steps."""
        with _precision_for(state.x):
            if isinstance(state, Walked):
                ahead = state.next(objective)
                if ahead is not None:
                    return ahead
                state = state.handed_back()
            loop = None if state.rest else self._loop(objective, state)
            if loop is None:
                return self._stepped(objective, state)
            if loop.is_untried:
                started = perf_counter()
                alone = self._stepped(objective, state)
                loop.compare(perf_counter() - started)
                return alone
            chunk = loop(*_placed_in(state), objective.evaluations_left, isinstance(state.x, np.ndarray))
            if len(chunk):
                return _walked(objective, loop, chunk, 0, state.x)
            return self._stepped(objective, _taken_back(state, chunk))

    def _loop(self, objective: Objective, state: LBFGSState) -> Loop | None:
        """The compiled loop, where steps like this one go on in it."""
        pairs = state.pairs
        if pairs is None or state.products is None or len(pairs.slots) < self._pairs_kept(state.x.size):
            return None
        if objective.bounds.any:
            return None
        cost = objective.traceable(MANY_STEPS)
        if cost is None or (cost.on_host and state.x.size > LARGE):
            return None
        from .lbfgs_loop import Loop

        key = ("L-BFGS", len(pairs.slots), self.still_falling)
        if key not in cost.kept:
            cost.kept[key] = Loop(cost, state.x.size, self.still_falling)
        found: Loop = cost.kept[key]
        return None if found.is_slow else found

    def _pairs_kept(self, n: int) -> int:
        return self.memory if self.memory is not None else MEMORY_LARGE if n > LARGE else MEMORY

    def _stepped(self, objective: Objective, state: LBFGSState) -> LBFGSState:
        x, value, gradient, pairs = state.x, state.value, state.gradient, state.pairs
        landing = walk(objective, state, self.still_falling)
        if landing is None and state.products is not None:
            if state.decrease <= VALUE_ROUNDING * abs(value):
                return state._replace(stop=StopReason.ROUNDING)
            state = _aim(objective, x, value, gradient, state.move, None, None)._replace(pairs=pairs)
            landing = walk(objective, state, self.still_falling) if state.slope < 0.0 else None
            pairs = None if pairs is None else _forgotten(pairs)
        if landing is None:
            return state._replace(stop=StopReason.NO_PROGRESS)
        memory = self._pairs_kept(x.size)
        if pairs is None:
            pairs = _no_pairs(_rows_like(x, 2 * memory), objective.bounds.any)
        move = _made(state, landing)
        pairs, products = _remember(objective, state, landing, move, pairs, memory)
        aimed = _aim(objective, landing.x, landing.value, landing.gradient, move, pairs, products)
        return aimed if state.rest == 0 else aimed._replace(rest=state.rest - 1)


def _remember(
    objective: Objective, state: LBFGSState, landing: Landing, move: Move, pairs: Pairs, memory: int
) -> tuple[Pairs, Vector | None]:
    """The pairs with the newest added, and their products with the new gradient."""
    ring = pairs.ring
    full = len(pairs.slots) == memory
    slot = pairs.slots[0] if full else _unused(pairs.slots)
    if full:
        pairs = _without_the_oldest(pairs)
    every, (s, t, _) = (*pairs.slots, slot), move
    assert s is not None
    products, ss, sy, yy = ring.learn(2 * slot, s, t, landing.gradient, state.gradient, _ranges(every))
    if not (sy > CURVATURE_FLOOR * sqrt(ss * yy) and SMALLEST < yy < inf):
        if state.products is None or not pairs.slots:
            return pairs, None
        return pairs, products[: pairs.used]
    used = max(2 * slot + 2, pairs.used)
    kept = pairs.slots
    rows = 2 * np.array(kept, dtype=np.intp)
    SY, SS = pairs.SY, pairs.SS
    if objective.bounds.any:
        assert SY is not None and SS is not None
        s_products = ring.times(s if t == 1.0 else t * s, used)
        y_products = ring.times(landing.gradient - state.gradient, used)
        Sy, Yy = y_products[rows], y_products[rows + 1]
        SY = _bordered(SY, Sy, s_products[rows + 1], sy)
        SS = _bordered(SS, s_products[rows], s_products[rows], ss)
    elif state.products is not None and kept:
        # Sᵀy and Yᵀy of the new y = g⁺ - g, from products that are known already.
        Sy = products[rows] - state.products[rows]
        Yy = products[rows + 1] - state.products[rows + 1]
    else:
        Sy = Yy = np.zeros(0)
    # The inverse of a triangle with one more column: [[R, r], [0, ρ]]⁻¹ = [[R⁻¹, -R⁻¹r/ρ], [0, 1/ρ]].
    R_inverse = pairs.R_inverse
    grown = Pairs(
        ring=ring,
        slots=(*kept, slot),
        R_inverse=_bordered(R_inverse, R_inverse.dot(Sy) / -sy, np.zeros(len(kept)), 1.0 / sy),
        D=_longer(pairs.D, sy),
        YY=_bordered(pairs.YY, Yy, Yy, yy),
        scale=sy / yy,
        SY=SY,
        SS=SS,
    )
    return grown, products


def _made(state: LBFGSState, landing: Landing) -> Move:
    if state.route is not None:
        return Move(landing.x - state.x)
    return Move(state.direction, landing.t)


def inverse_times(pairs: Pairs, products: Vector, gradient: Vector) -> tuple[Vector, float]:
    """Minus the rebuilt inverse Hessian times the gradient, shape (n,): the quasi-Newton step; and the slope along it.

    Hg = γg + S·R⁻ᵀ((D + γYᵀY)R⁻¹Sᵀg - γYᵀg) - γY·R⁻¹Sᵀg (eq. 3.1 of the paper above).
    """
    rows = 2 * np.array(pairs.slots, dtype=np.intp)
    gamma, R_inverse = pairs.scale, pairs.R_inverse
    q = R_inverse.dot(products[rows])
    u = (pairs.D * q + gamma * (pairs.YY.dot(q) - products[rows + 1])).dot(R_inverse)
    coefficients = np.zeros(products.size)
    coefficients[rows] = -u
    coefficients[rows + 1] = gamma * q
    return pairs.ring.combined_with(coefficients, -gamma, gradient, pairs.ranges)


def free_step(pairs: Pairs, gradient: Vector, free: Mask, held: Vector | None = None) -> Vector:
    """The quasi-Newton step over the free parameters F when the others move by `held`, shape (n,).

    -(B_FF)⁻¹(g_F + B_FA·held), with B = θI - W M Wᵀ, W = [Y θS], M⁻¹ = [[-D, Lᵀ], [L, θSᵀS]], θ = 1/γ and L the
    strict lower triangle of SᵀY; inverted on F by Sherman-Morrison-Woodbury. Pairs are scaled to sᵀy = 1, or
    old long steps drown the newest.
    """
    assert pairs.SY is not None and pairs.SS is not None
    theta, k = 1.0 / pairs.scale, len(pairs.slots)
    rows = 2 * np.array(pairs.slots, dtype=np.intp)
    order = np.concatenate([rows + 1, rows])
    unit = 1.0 / np.sqrt(pairs.D)
    weights = np.concatenate([unit, theta * unit])
    ring, used = pairs.ring, pairs.used
    L = np.tril(pairs.SY * unit[:, None] * unit, -1)
    middle = np.empty((2 * k, 2 * k))
    middle[:k, :k] = -np.eye(k)
    middle[:k, k:] = L.T
    middle[k:, :k] = L
    middle[k:, k:] = theta * (pairs.SS * unit[:, None] * unit)
    within = ring.within(free, used)[np.ix_(order, order)] * weights[:, None] * weights
    try:
        pull = (
            gradient
            if held is None
            else gradient
            - ring.combined(
                _placed(order, weights * np.linalg.solve(middle, weights * ring.times(held, used)[order])),
                pairs.ranges,
            )
        )
        pull = np.where(free, pull, 0.0)
        solved = np.linalg.solve(middle - within / theta, weights * ring.times(pull, used)[order])
        coefficients = _placed(order, weights * solved / -(theta * theta))
        step, _ = ring.combined_with(coefficients, -pairs.scale, pull, pairs.ranges)
    except np.linalg.LinAlgError:
        step = -pairs.scale * gradient
    return np.where(free, step, 0.0 if held is None else held)


def _walked(objective: Objective, loop: Loop, chunk: Chunk, index: int, before: Vector) -> Walked:
    """One step of a chunk, from `before`, (n,), counted."""
    told = chunk.told[index]
    x, gradient = _owned(chunk.x[index]), _owned(chunk.gradient[index])
    objective.count_walked(int(told.trials), x, told.value, gradient)
    lengths = told.slope, told.step
    return Walked(x, told.value, gradient, x - before, told.decrease, None, lengths, loop, chunk, index)


def _placed_in(state: LBFGSState) -> tuple[Any, Any]:
    """What the compiled loop goes on from: the place, and the rows of the pairs."""
    from .lbfgs_loop import Place, by_slot

    pairs = state.pairs
    assert pairs is not None and state.products is not None
    R_inverse, D, YY = (by_slot(known, pairs.slots) for known in (pairs.R_inverse, pairs.D, pairs.YY))
    place = Place(
        state.x,
        np.float64(state.value),
        state.gradient,
        state.direction,
        np.float64(state.slope),
        np.int64(pairs.slots[-1]),
        state.products.reshape(-1, 2),
        R_inverse,
        D,
        YY,
        np.float64(pairs.scale),
    )
    return place, pairs.ring.whole()


def _taken_back(state: LBFGSState, chunk: Chunk) -> LBFGSState:
    """A state that the loop found no step for; on a device the rows were handed over, and come back."""
    if not isinstance(state.x, np.ndarray):
        from ..linear_algebra.device_vectors import DeviceRows

        assert state.pairs is not None
        state = state._replace(pairs=state.pairs._replace(ring=DeviceRows.of(chunk.rows)))
    return state._replace(rest=REST)


def _owned(row: Any) -> Vector:
    """One row of an array as a vector of its own, which keeps no other alive; on a device they are anyway."""
    if not isinstance(row, np.ndarray):
        return row
    row = row.copy()
    row.setflags(write=False)
    return row


def _placed(order: Vector, coefficients: Vector) -> Vector:
    """A coefficient for every row of the ring, zero where `order` does not list the row."""
    all_rows = np.zeros(int(order.max()) + 1)
    all_rows[order] = coefficients
    return all_rows


def _aim(
    objective: Objective,
    x: Vector,
    value: float,
    gradient: Vector,
    move: Move | None,
    pairs: Pairs | None,
    products: Vector | None,
) -> LBFGSState:
    """The state at `x`, aimed by the pairs; straight down where there are none."""
    if objective.bounds.any:
        return _aim_inside(objective, x, value, gradient, move, pairs, products)
    if pairs is not None and products is not None and pairs.slots:
        direction, slope = inverse_times(pairs, products, gradient)
        if slope < 0.0:
            return LBFGSState(
                x, value, gradient, move, -0.5 * slope, None, direction, slope, pairs, products, None
            )
        pairs = _forgotten(pairs)
    direction = downhill(gradient, None if move is None else move.size)
    slope = inner(gradient, direction)
    return LBFGSState(x, value, gradient, move, nan, None, direction, slope, pairs, None, None)


def _aim_inside(
    objective: Objective,
    x: Vector,
    value: float,
    gradient: Vector,
    move: Move | None,
    pairs: Pairs | None,
    products: Vector | None,
) -> LBFGSState:
    bounds = objective.bounds
    down = bounds.projected_gradient(x, gradient)
    way, learned = None, pairs is not None and products is not None and bool(pairs.slots)
    if isfinite(inner(down, down)):
        last = None if move is None else move.size
        scale = pairs.scale if pairs is not None and learned else first_scale(down, last)
        newton = partial(_newton, pairs if learned else None, products, gradient, scale)
        way = route(bounds, x, gradient, newton, scale)
    if way is None:
        stop = StopReason.NO_PROGRESS if down.any() else None
        return LBFGSState(x, value, gradient, move, nan, stop, -down, 0.0, pairs, None, None)
    return LBFGSState(
        x,
        value,
        gradient,
        move,
        way.decrease if learned else nan,
        None,
        way.direction,
        way.slope,
        pairs,
        products if learned else None,
        way,
    )


def _newton(
    pairs: Pairs | None,
    products: Vector | None,
    gradient: Vector,
    scale: float,
    free: Mask,
    held: Vector | None,
) -> Vector:
    if pairs is None or products is None:
        return np.where(free, -scale * gradient, 0.0 if held is None else held)
    if held is None and free.all():
        return inverse_times(pairs, products, gradient)[0]
    return free_step(pairs, gradient, free, held)


def _precision_for(x: Vector) -> AbstractContextManager[Any]:
    """The scope that vectors like `x` are computed with in; on the host there is none to enter."""
    return NOTHING if isinstance(x, np.ndarray) else double_precision()


def _rows_like(x: Vector, count: int) -> Any:
    """Room for `count` vectors where `x` lies."""
    if isinstance(x, np.ndarray):
        return Rows(count, x.size)
    from ..linear_algebra.device_vectors import DeviceRows

    return DeviceRows(count, x.size)


def _no_pairs(ring: Rows, bounded: bool) -> Pairs:
    none = np.zeros((0, 0))
    return Pairs(ring, (), none, np.zeros(0), none, 1.0, none if bounded else None, none if bounded else None)


def _forgotten(pairs: Pairs) -> Pairs:
    """No pairs, in the same ring."""
    return _no_pairs(pairs.ring, pairs.SY is not None)


def _ranges(slots: tuple[int, ...]) -> tuple[slice, ...]:
    """The stretches of the ring's rows that these slots fill."""
    if len(slots) == max(slots, default=-1) + 1:  # as nearly always: all from the first on
        return (slice(0, 2 * len(slots)),) if slots else ()
    found: list[slice] = []
    for slot in sorted(slots):
        if found and found[-1].stop == 2 * slot:
            found[-1] = slice(found[-1].start, 2 * slot + 2)
        else:
            found.append(slice(2 * slot, 2 * slot + 2))
    return tuple(found)


def _unused(slots: tuple[int, ...]) -> int:
    """The first slot of the ring that no remembered pair uses."""
    return next(slot for slot in range(len(slots) + 1) if slot not in slots)


def _without_the_oldest(pairs: Pairs) -> Pairs:
    """The pairs but the oldest; the trailing block of a triangle's inverse is the inverse of its trailing block."""
    return pairs._replace(
        slots=pairs.slots[1:],
        R_inverse=pairs.R_inverse[1:, 1:],
        D=pairs.D[1:],
        YY=pairs.YY[1:, 1:],
        SY=None if pairs.SY is None else pairs.SY[1:, 1:],
        SS=None if pairs.SS is None else pairs.SS[1:, 1:],
    )


def _longer(vector: Vector, last: float) -> Vector:
    """The vector with one more number, shape (k + 1,)."""
    grown = np.empty(vector.size + 1)
    grown[:-1] = vector
    grown[-1] = last
    return grown


def _bordered(matrix: Matrix, column: Vector, row: Vector, corner: float) -> Matrix:
    """The matrix with one more column and row, shape (k + 1, k + 1)."""
    k = column.size
    grown = np.empty((k + 1, k + 1))
    grown[:k, :k] = matrix
    grown[:k, k] = column
    grown[k, :k] = row
    grown[k, k] = corner
    return grown
