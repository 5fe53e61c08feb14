"""One step of training as a compiled program: cost, slope, update rule, all on the device.

Three programs share one state. The plain step returns the cost alone, and a stretch of plain steps their costs. The
watched step returns norms too, which take another pass over the gradient, and is run only when something is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..parameters import Layout
from ..tracing.batched import BatchCost, numbers_in
from ..tracing.matrix_products import as_matrix_products
from .methods import Method, part_of_rate
from .precision import products_in_bfloat16, recomputed_in_segments
from .ways_back import value_and_slope


class State(NamedTuple):
    """All that a step changes: parameters, the rule's memory, the step's number, and the scale of the rate.

    `total`: how many steps the schedule is spread over.
    """

    parameters: Any
    memory: Any
    step: Any
    scale: Any
    total: Any


class Seen(NamedTuple):
    """What a watched step tells: the cost, for each array the norms of its slope, its step and itself, and the rate."""

    cost: Any
    slope: Any
    step: Any
    size: Any
    rate: Any

    def packed(self) -> Any:
        """All of it as one vector: a device is asked for one array in about the time of many numbers."""
        alone = [jnp.ravel(part).astype(self.cost.dtype) for part in (self.cost, self.rate)]
        return jnp.concatenate([*alone, self.slope, self.step, self.size])

    @classmethod
    def unpacked(cls, vector: np.ndarray) -> Seen:
        """What was packed."""
        slope, step, size = np.split(vector[2:], 3)
        return cls(vector[0], slope, step, size, vector[1])


@dataclass(frozen=True)
class Tree:
    """The user's structure as JAX sees it, so that an optax rule with masks finds the user's own names.

    A structure that JAX cannot walk is a list of its arrays instead.
    """

    build: Callable[[Iterator[Any]], Any]
    places: tuple[int, ...] | None

    @classmethod
    def of(cls, layout: Layout) -> Tree:
        """How to go between the list of arrays and the tree."""
        count = len(layout.leaves)
        numbered = layout.build(iter(range(count)))
        places = tuple(jax.tree.leaves(numbered))
        fits = sorted(place for place in places if isinstance(place, int)) == list(range(count))
        return cls(layout.build, places if fits and len(places) == count else None)

    def grow(self, arrays: Sequence[Any]) -> Any:
        """The tree with these arrays as its leaves."""
        return list(arrays) if self.places is None else self.build(iter(arrays))

    def leaves(self, tree: Any) -> list[Any]:
        """The arrays of the tree, in the order of the layout."""
        if self.places is None:
            return list(tree)
        found: list[Any] = [None] * len(self.places)
        for place, leaf in zip(self.places, jax.tree.leaves(tree), strict=True):
            found[place] = leaf
        return found


@dataclass(frozen=True)
class Program:
    """The compiled functions of a run; each takes the constants of the cost as its last argument.

    `plain(state, batch, constants)` gives (state, cost), `watched` gives (state, cost, Seen as one vector), and
    `stretch` takes several batches, laid along a first axis, and gives (state, costs); all take over the memory of the
    state handed in. `copy(state)` gives a copy and whether all of it is finite. `added(sums, parameters, batch,
    constants)` takes over the memory of the sums; None where `adding` will do.
    """

    plain: Callable[..., Any]
    watched: Callable[..., Any]
    stretch: Callable[..., Any]
    copy: Callable[..., Any]
    gradient: Callable[..., Any]
    one: Callable[..., Any]
    constants: list[Any]
    added: Callable[..., Any] | None = None


def first_state(method: Method, tree: Tree, arrays: Sequence[Any], total: float, placed: Any = None) -> State:
    """The state before the first step; a step that takes over its memory leaves the user's arrays what they are.

    An array may stay where the user has it until then: JAX copies what is not its own before it writes there.
    Numbers become as wide as the scope has them (`numbers_in`), whatever the user's are. `placed` puts a tree of
    arrays where it belongs and tells where a function's results do, so that what is spread over devices is never whole
    on one of them.
    """
    if placed is not None:
        parameters = placed.state(tree.grow([np.asarray(array, float) for array in arrays]))
        return State(
            parameters,
            placed.made(method.transformation.init, parameters),
            *placed.state((np.int32(0), np.float32(1.0), np.float32(total))),
        )
    kind = jax.dtypes.canonicalize_dtype(float)
    # One after the other, so that no more than one is there twice.
    parameters = tree.grow([jax.device_put(np.asarray(array, kind)).block_until_ready() for array in arrays])
    held: set[int] = {id(leaf) for leaf in jax.tree.leaves(parameters)}

    def own(leaf: Any) -> Any:
        # A rule may remember where it started, or one array twice; memory that is taken over must be its own.
        leaf = jnp.array(leaf, copy=True) if id(leaf) in held else jnp.asarray(leaf)
        held.add(id(leaf))
        return leaf

    return State(
        parameters,
        jax.tree.map(own, method.transformation.init(parameters)),
        jnp.zeros((), jnp.int32),
        jnp.ones((), jnp.float32),
        jnp.asarray(total, jnp.float32),
    )


def program(
    cost: BatchCost,
    method: Method,
    tree: Tree,
    *,
    precision: str,
    remat: bool,
    accumulate: int,
    sharding: Any = None,
    joined: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None,
) -> Program:
    """Compile (when first called) the steps of `method` on `cost`.

    `joined` makes the slope of a whole batch from that of one device's part, where the cost is recorded for parts.
    """
    value = plain_cost(cost, tree, precision=precision, remat=remat)
    gradient = slope_of(cost, value, accumulate)
    if joined is not None:
        gradient = joined(gradient)

    def one(state: State, batch: Any, constants: Any) -> tuple[State, Any, Any, Any]:
        batch = gathered(batch)
        reached, slope = gradient(state.parameters, batch, constants)
        # A rule that searches along its step wants the cost itself; of one part of a batch it would be another.
        along = None if joined is not None or accumulate > 1 else lambda p: value(p, batch, constants)
        following, moved = moved_on(method, state, reached, slope, along)
        return following, moved, reached, slope

    def plain(state: State, batch: Any, constants: Any) -> tuple[State, Any]:
        following, _, reached, _ = one(state, batch, constants)
        return following, reached

    def watched(state: State, batch: Any, constants: Any) -> tuple[State, Any, Any]:
        following, moved, reached, slope = one(state, batch, constants)
        return following, reached, seen(method, tree, state, reached, slope, moved)

    def stretch(state: State, batches: Any, constants: Any) -> tuple[State, Any]:
        arrays, each = (batches.arrays, batches.rows) if isinstance(batches, Held) else (None, batches)

        def turn(state: State, batch: Any) -> tuple[State, Any]:
            return plain(state, batch if arrays is None else Held(arrays, batch), constants)

        return jax.lax.scan(turn, state, each)

    def compiled(function: Callable[..., Any], others: int) -> Any:
        kept = {} if sharding is None else {"out_shardings": (sharding, *[None] * others)}
        return jax.jit(function, donate_argnums=0, **kept)

    summed = {} if sharding is None else {"out_shardings": Added(sharding.parameters, None, None, None)}
    return Program(
        compiled(plain, 1),
        compiled(watched, 2),
        compiled(stretch, 1),
        jax.jit(copied),
        jax.jit(gradient),
        plain,
        cost.constants,
        jax.jit(adding(tree, gradient), donate_argnums=0, **summed),
    )


def slope_of(cost: BatchCost, value: Callable[..., Any], accumulate: int) -> Callable[..., Any]:
    """Cost and slope of a batch as a function of (parameters, batch, constants), from `value`, made of the cost."""
    return partial(_accumulated, value_and_slope(cost.closed)(value), accumulate)


class Added(NamedTuple):
    """Slopes of several batches added up, and what the last one told.

    `sums`: in the structure of the parameters. `squared`: the squared length of the sums, and of the last slope, in
    double precision.
    `touched`: for each array where the last slope is not zero: for each of its columns, or as a whole.
    """

    sums: Any
    cost: Any
    squared: Any
    touched: Any


def adding(tree: Tree, gradient: Callable[..., Any]) -> Callable[..., Added]:
    """A function that adds the slope of one more batch to the sums, so that no slope need be kept whole."""

    def added(sums: Any, parameters: Any, batch: Any, constants: Any) -> Added:
        return with_slope(tree, sums, *gradient(parameters, batch, constants))

    return added


def with_slope(tree: Tree, sums: Any, reached: Any, slope: Any) -> Added:
    """The slope of one more batch added to the sums."""
    sums = jax.tree.map(jnp.add, sums, slope)
    touched = [
        jnp.any(leaf != 0, axis=tuple(range(leaf.ndim - 1)) if leaf.ndim > 1 else None)
        for leaf in tree.leaves(slope)
    ]
    return Added(sums, reached, (_squared_length(sums), _squared_length(slope)), touched)


def _squared_length(tree: Any) -> Any:
    """Sum of the squares of all numbers of a tree, in double precision: squares of small ones vanish in single."""
    with numbers_in("float64"):
        return sum(jnp.sum(jnp.square(leaf.astype(jnp.float64))) for leaf in jax.tree.leaves(tree))


def nothing_added(parameters: Any) -> Any:
    """The sums before the first batch."""
    return jax.tree.map(jnp.zeros_like, parameters)


class Held(NamedTuple):
    """A batch as rows of arrays that lie on the device whole; the step gathers them itself.

    `rows`: shape (b,), and (k, b) for a stretch of k steps.
    """

    arrays: list[Any]
    rows: Any


def gathered(batch: Any) -> Any:
    """The arrays of a batch."""
    if isinstance(batch, Held):
        return [array.at[batch.rows].get(mode="promise_in_bounds") for array in batch.arrays]
    return batch


def plain_cost(cost: BatchCost, tree: Tree, *, precision: str, remat: bool) -> Callable[..., Any]:
    """The cost as a function of (tree of parameters, batch, constants)."""
    cost = replace(cost, closed=as_matrix_products(cost.closed))
    call: Callable[..., Any] = cost
    if remat:
        call = recomputed_in_segments(cost)
    elif precision == "bfloat16":
        call = products_in_bfloat16(cost)
    if remat and precision == "bfloat16":
        call = recomputed_in_segments(cost, products=True)

    def value(parameters: Any, batch: Any, constants: Any) -> Any:
        return call(constants, tree.leaves(parameters), batch)

    return value


def moved_on(
    method: Method, state: State, reached: Any, slope: Any, along: Callable[[Any], Any] | None = None
) -> tuple[State, Any]:
    """The state after a step that this cost and slope lead to, and the way it moved the parameters."""
    updates, memory = rule_of(method, slope, state, reached, along)
    size = step_factor(method, state)
    # Each sum is formed once and in the parameters' own type, as `optax.apply_updates` does.
    moved = jax.tree.map(lambda p, u: (p + size * u).astype(p.dtype), state.parameters, updates)
    following = State(moved, memory, state.step + 1, state.scale, state.total)
    return following, jax.tree.map(lambda u: size * u, updates)


def seen(method: Method, tree: Tree, state: State, reached: Any, slope: Any, moved: Any) -> Any:
    """What a watched step from `state` tells, as one vector."""
    rate = jnp.abs(step_factor(method, state))
    norms = [norms_of(tree, part) for part in (slope, moved, state.parameters)]
    return Seen(reached, norms[0], norms[1], norms[2], rate).packed()


def step_factor(method: Method, state: State) -> Any:
    """What the direction is multiplied by at this step."""
    part = part_of_rate(method, state.step, state.total) * state.scale
    return part if method.rate is None else -method.rate * part


def norms_of(tree: Tree, of: Any) -> Any:
    """Euclidean norm of each array, shape (arrays,)."""
    return jnp.sqrt(jnp.stack([squared(leaf) for leaf in tree.leaves(of)]))


def rule_of(
    method: Method, slope: Any, state: State, reached: Any, along: Callable[[Any], Any] | None = None
) -> tuple[Any, Any]:
    """The direction that the update rule makes of a slope, and its memory afterwards.

    `along`: the cost of the batch as a function of the parameters, for rules that search along their step.
    """
    import optax

    rule = optax.with_extra_args_support(method.transformation)
    given = {} if along is None else {"value_fn": along}
    return rule.update(slope, state.memory, state.parameters, value=reached, grad=slope, **given)


def _accumulated(
    gradient: Callable[..., Any], parts: int, parameters: Any, batch: Any, constants: Any
) -> Any:
    """Cost and slope of the batch, taken in `parts` pieces one after the other to save memory."""
    if parts == 1:
        return gradient(parameters, batch, constants)
    # Every piece takes rows from all over the batch, so that each device keeps working on rows of its own.
    pieces = [
        jnp.swapaxes(array.reshape(array.shape[0] // parts, parts, *array.shape[1:]), 0, 1) for array in batch
    ]

    def add(sums: Any, piece: Any) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, sums, gradient(parameters, piece, constants)), None

    nothing = (jnp.zeros((), jax.tree.leaves(parameters)[0].dtype), jax.tree.map(jnp.zeros_like, parameters))
    sums, _ = jax.lax.scan(add, nothing, pieces)
    return jax.tree.map(lambda value: value / parts, sums)


def norm(tree: Any) -> Any:
    """Euclidean norm over all arrays of a tree, in the type of the first."""
    kind = jax.tree.leaves(tree)[0].dtype
    with numbers_in("float64"):
        return jnp.sqrt(_squared_length(tree)).astype(kind)


def squared(array: Any) -> Any:
    """Sum of the squares of an array.

    A product of two vectors keeps the most digits on a CPU. An accelerator takes it on one of its many processors,
    where a sum is spread over all.
    """
    if jax.default_backend() != "cpu":
        return jnp.sum(jnp.square(array))
    if jax.process_count() == 1:
        # Left to see that a rule squares its slope too, XLA writes the squares for both: a third of the norms' time.
        # Between processes that is the quicker way: two are 1.7 times as fast as one, and 1.55 times with a barrier.
        array = jax.lax.optimization_barrier(array)
    return jnp.vdot(array, array)


def copied(state: Any) -> tuple[Any, Any]:
    """A copy of the state, and whether all of it is finite but its end, which is none until the clock has told it."""
    leaves = jax.tree.leaves(state._replace(total=state.scale))
    sums = [jnp.sum(leaf) for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jax.tree.map(jnp.copy, state), jnp.isfinite(jnp.stack([s.astype(jnp.float32) for s in sums])).all()


def fetched(arrays: Sequence[Any], *, joined: bool) -> list[np.ndarray]:
    """Arrays of one type on the host. `joined` lays them together first, for a device that takes long to answer.

    Each set of shapes compiles once, so that it is for what comes again and again.
    """
    if not joined:
        # From an accelerator all at once: one after the other, each would wait for it by itself.
        on_host = jax.default_backend() == "cpu"
        return [np.asarray(array) for array in (arrays if on_host else jax.device_get(list(arrays)))]
    flat = np.asarray(_in_one(list(arrays)))
    ends = np.cumsum([array.size for array in arrays])
    return [part.reshape(array.shape) for part, array in zip(np.split(flat, ends[:-1]), arrays, strict=True)]


@jax.jit
def _in_one(arrays: list[Any]) -> Any:
    return jnp.concatenate([jnp.ravel(array) for array in arrays])
