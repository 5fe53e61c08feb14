"""Passes over all rows on the host: cost, slope and Hessian products, block by block.

A block of rows is small enough to stay in the processor's cache, so that a pass reads the data from memory once, where
the cost and its slope taken over all rows at once would read them twice. Blocks are evaluated by NumPy straight from
the user's arrays, nothing is copied and nothing compiled, or by XLA where it foreseeably saves more than it costs. Sums
over blocks are kept in double precision: in `precision="float32"` too the cost is known to more digits than one
float32 holds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ..derivatives.compiled import compile_jaxpr
from ..derivatives.costs import foresee
from ..derivatives.interpreted import NoRule, interpret
from ..parameters import Layout
from ..tracing.batched import as_kept, kept_type, numbers_in
from ..tracing.passes import eliminate_dead, with_outputs
from .mapped_rows import asked_for, larger_than_memory
from .recordings import Recordings
from .resident import blocks_of, is_resident, over_blocks, placed
from .sparse_rows import evaluated, is_sparse, reads_sparse
from .ways_back import value_and_slope

if TYPE_CHECKING:
    from ..tracing.batched import BatchCost

Vector = np.ndarray

# Bytes of a block: it is still near the core when it is read for the second time, and BLAS takes one thread for it.
# Twice as many, and half as many, took a tenth longer: the data come from farther away, or the calls weigh.
BLOCK_BYTES = 1 << 21
# A pass adds the slope, n numbers, once for each block: of fewer numbers than this part of n a block is too small.
SLOPE_PART = 4
# XLA is worth its while where it saves this part of a call, matrix-vector products alone it does not make faster, and
# where the calls of so many passes save this many times the price foreseen: for programs as short as these it is low.
WORTH_COMPILING, PASSES_FORESEEN, PRICE = 0.3, 30, 5.0
# A block may be this much smaller or larger to divide the rows without a rest, which would be traced by itself.
FLEXIBLE = (0.6, 1.3)
# Data in another type than the run's are copied into it up to this many bytes.
COPIED_BYTES = 1 << 30
# Vectors that a Hessian is multiplied by at a time, and the price of each beside one alone: a product of matrices does
# its arithmetic in the cache, a product with a vector waits for memory.
COLUMNS, MATRIX_PRODUCT = 64, 0.125
# Numbers of so many slopes of blocks are added up at a time: few calls for short slopes, little memory for long ones.
ADDED_TOGETHER = 1 << 14
# Threads that share a pass, where this process may run on more cores than one: on one they would push each other's
# block out of the cache, and took a fifth longer. The order of the sums is the same with any number.
THREADS = 2


@dataclass
class Sums:
    """What a pass gathers: the mean cost, its slope (n,), and the spread of the slopes of blocks, (n,).

    `spread`: the variance of the slope of one block, as far as blocks of rows in random order tell it; `blocks`: of how
    many.
    """

    value: float
    slope: Vector
    spread: Vector
    blocks: int


@dataclass
class Passes:
    """The mean cost over the rows of `arrays` as a function of one flat vector (n,) of float64.

    `arrays`: one for each leaf of the data, NumPy or SciPy's sparse rows. `together`: whether the rows must be seen at
    once, for a cost that is no mean over rows. `fewest`: blocks at least, for a spread worth its name. `size`: rows
    of a block, 0 to have it measured out. `copied`: data of
    another type than the run's are copied up to so many bytes. `every`: 1, or only each so-manieth block is looked at.
    `spent`: passes so far; a Hessian product takes two. `recordings`: what the cost has been recorded as already.
    `beat`: called before each pass, so that who waits for this process hears that it is at work.

    >>> from .batches import read_data
    >>> data = read_data(np.arange(6.0), 0)
    >>> passes = Passes(lambda p, x: np.mean((x - p) ** 2), Layout.of(0.0, "p"), data, data.arrays, "float64")
    >>> passes.look(np.array([0.5])).value, passes.look(np.array([0.5])).slope
    (6.916666666666667, array([-4.]))
    """

    cost: Callable[..., Any]
    layout: Layout
    source: Any
    arrays: Sequence[Any]
    precision: str
    together: bool = False
    fewest: int = 1
    size: int = 0
    copied: int = COPIED_BYTES
    every: int = 1
    spent: float = 0.0
    recordings: Recordings | None = field(default=None, repr=False)
    beat: Callable[[], None] = field(default=lambda: None, repr=False)
    _last: tuple[Vector, Sums] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.recordings is None:
            self.recordings = Recordings(self.cost, self.layout, self.source)
        # In the type they are used in, once and for all where there is room; else block by block, at each pass.
        mapped = any(isinstance(array, np.memmap) for array in self.arrays)
        if not mapped and sum(map(_bytes_of, self.arrays)) <= self.copied:
            self.arrays = [as_kept(array, self.precision) for array in self.arrays]
        self.arrays = placed(self.arrays, self.precision)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self.arrays[0].shape[0])

    @property
    def resident(self) -> bool:
        """Whether they lie in an accelerator's memory, and passes run there."""
        return is_resident(self.arrays[0])

    @property
    def seen(self) -> int:
        """How many of them a pass looks at."""
        return self.rows if self.every == 1 else sum(count for _, count in self._cuts())

    def look(self, x: Vector) -> Sums:
        """Cost and slope at `x`; where it was the last to be looked at, nothing is computed."""
        if self._last is not None and np.array_equal(self._last[0], x):
            return replace(self._last[1])
        self.spent += 1.0
        parts = self._over_blocks("slope", (x,))
        rows = np.array([count for count, _ in parts], dtype=float)
        value = float(np.dot(rows, [float(out[0]) for _, out in parts]) / rows.sum())
        slope, square, count = np.zeros(x.size), np.zeros(x.size), len(parts)
        with np.errstate(invalid="ignore", over="ignore"):  # not finite or huge: the walk tells of it
            together = max(1, ADDED_TOGETHER // x.size)
            for first in range(0, count, together):
                pieces = np.array([out[1] for _, out in parts[first : first + together]], np.float64)
                slope += (rows[first : first + together, None] * pieces).sum(axis=0)
                square += (pieces * pieces).sum(axis=0)
            slope /= rows.sum()
            spread = np.maximum(square / count - slope * slope, 0.0) * (count / max(count - 1, 1))
        found = Sums(value, slope, spread, count)
        self._last = np.array(x), found
        return replace(found)

    def slopes(self, x: Vector) -> list[Vector]:
        """The slope over each block by itself, (n,)."""
        return [piece for _, (_, piece) in self._over_blocks("slope", (x,))]

    def slope_program(self) -> tuple[Any, list[Any]]:
        """The jaxpr of cost and slope over the first block, and that block, dense: its inputs after the vector."""
        piece = self._piece(0, min(self.block, self.rows))
        dense = [array.toarray() if is_sparse(array) else array for array in piece]
        return self._program("slope", len(dense[0])), dense

    def value(self, x: Vector) -> float:
        """The cost alone."""
        self.spent += 0.5
        parts = self._over_blocks("value", (x,))
        rows = np.array([count for count, _ in parts], dtype=float)
        return float(np.dot(rows, [float(out[0]) for _, out in parts]) / rows.sum())

    def product(self, x: Vector, v: Vector) -> Vector:
        """The Hessian at `x` times `v`, (n,)."""
        self.spent += 2.0
        total = np.zeros(x.size)
        for count, (piece,) in self._over_blocks("product", (x, v)):
            total += count * np.asarray(piece, np.float64)
        return total / self.seen

    def matrix(self, x: Vector) -> np.ndarray:
        """The Hessian at `x`, (n, n), from products with many vectors at a time: matrix times matrix, in the cache."""
        n = x.size
        self.spent += 2.0 * n * MATRIX_PRODUCT
        found = np.empty((n, n))
        for start in range(0, n, COLUMNS):
            columns = np.zeros((COLUMNS, n))
            wide = min(COLUMNS, n - start)
            columns[np.arange(wide), start + np.arange(wide)] = 1.0
            total = np.zeros((COLUMNS, n))
            for count, (piece,) in self._over_blocks("products", (x, columns)):
                total += count * np.asarray(piece, np.float64)
            found[start : start + wide] = total[:wide] / self.seen
        return 0.5 * (found + found.T)

    @property
    def block(self) -> int:
        """Rows of one block."""
        if not self.size:
            self.size = self._block()
        return self.size

    def _block(self) -> int:
        if self.together:
            return self.rows
        if self.resident:
            count = blocks_of(self.arrays, self.layout.n)
        else:
            row = sum(_bytes_used(array, self.precision) for array in self.arrays) / self.rows
            rows = max(BLOCK_BYTES / max(row, 1.0), self.layout.n * 8 / SLOPE_PART / max(row, 1.0), 1.0)
            count = round(self.rows / rows)
        count = min(max(self.fewest, count), self.rows)
        if count > 1 and count % THREADS:
            count += 1
        size = -(-self.rows // count)
        low, high = (int(part * size) for part in FLEXIBLE)
        even = [
            b for b in range(max(low, 1), high + 1) if self.rows % b == 0 and self.rows // b >= self.fewest
        ]
        return min(even, key=lambda b: abs(b - size)) if even else size

    def _over_blocks(self, what: str, vectors: tuple[Vector, ...]) -> list[tuple[int, Any]]:
        """(rows, outputs) of every block, in order; the blocks are shared out among threads.

        On an accelerator Hessian products come added up, with the rows of one block.
        """
        self.beat()
        kind = kept_type(np.dtype(np.float64), self.precision)
        given = [np.ascontiguousarray(vector, kind) for vector in vectors]
        cuts = self._cuts()
        if self.resident:
            return self._over_resident(what, given, [start for start, _ in cuts])
        functions = {count: self._function(what, count) for count in (cuts[0][1], cuts[-1][1])}
        # Silenced once for all blocks, where a function can leave that to its caller.
        bare = {count: getattr(function, "within_silence", function) for count, function in functions.items()}

        def work(mine: list[tuple[int, int]]) -> list[tuple[int, Any]]:
            with np.errstate(all="ignore"):
                return [(count, bare[count](*given, *self._piece(start, count))) for start, count in mine]

        if len(cuts) < 2 * THREADS or _cores() == 1:
            return work(cuts)
        share = -(-len(cuts) // THREADS)
        parts = [cuts[k * share : (k + 1) * share] for k in range(THREADS)]
        others = [_threads().submit(work, part) for part in parts[1:]]
        found = work(parts[0])
        for other in others:
            found += other.result()
        return found

    def _over_resident(self, what: str, vectors: list[Vector], starts: list[int]) -> list[tuple[int, Any]]:
        """(rows, outputs) of every block: those of one length in one call."""
        found = []
        short = starts[-1] + self.block > self.rows
        whole, rest = (starts[:-1], starts[-1:]) if short else (starts, [])
        for firsts, count in ((whole, self.block), (rest, self.rows - starts[-1])):
            if not firsts:
                continue
            outputs = self._resident_function(what, count)(vectors, self.arrays, firsts)
            if what in _HESSIAN:
                found.append((count, outputs))
            else:
                found += [(count, [part[k] for part in outputs]) for k in range(len(firsts))]
        return found

    def _resident_function(self, what: str, rows: int) -> Callable[..., list[np.ndarray]]:
        """What takes blocks of so many rows through a program on the accelerator."""
        key, functions = ("on the accelerator", what, rows, self.precision), self._recordings.functions
        if key not in functions:
            block, constants = self._block_of(what, rows)
            # As the cost was recorded: whole numbers that a walk in single precision narrowed are wide again.
            kinds = [kept_type(array.dtype, self.precision) for array in self.source.layout.arrays]
            functions[key] = over_blocks(
                block, constants, self.precision, kinds, rows, summed=what in _HESSIAN
            )
        made: Callable[..., list[np.ndarray]] = functions[key]
        return made

    def _block_of(self, what: str, rows: int) -> tuple[Callable[..., Any], list[Any]]:
        """A function of (constants, vectors, block) for JAX to trace, and the constants."""
        if what == "value":
            recorded, layout = self.recorded(rows), self.layout
            return lambda constants, x, *piece: (
                recorded(constants, _pieces(x, layout), piece),
            ), recorded.constants
        program = self._program(what, rows)
        return lambda constants, *given: tuple(
            jax.core.eval_jaxpr(program.jaxpr, constants, *given)
        ), program.consts

    def _cuts(self) -> list[tuple[int, int]]:
        """Where each block that is looked at begins, and its rows."""
        rows, block = self.rows, self.block
        return [(start, min(block, rows - start)) for start in range(0, rows, block * self.every)]

    def _piece(self, start: int, count: int) -> list[Any]:
        pieces = [array[start : start + count] for array in self.arrays]
        return [as_kept(np.asarray(piece) if self.resident else piece, self.precision) for piece in pieces]

    def _function(self, what: str, rows: int) -> Callable[..., Any]:
        sparse = [array if is_sparse(array) else None for array in self.arrays]
        key = what, rows, self.precision, tuple(array is not None for array in sparse)
        made = self._recordings.functions
        if key not in made:
            calls = -(-self.rows // self.block) * (PASSES_FORESEEN if what == "slope" else 1)
            if what == "value":
                made[key] = _of_flat(_evaluator(self.recorded(rows).closed, sparse, calls), self.layout)
            else:
                made[key] = _evaluator(self._program(what, rows), sparse, calls)
        return made[key]

    def _program(self, what: str, rows: int) -> Any:
        """The jaxpr of the cost and its slope, or of Hessian products, over so many rows."""
        slope = self._recordings.slope(rows, self.precision, _slope)
        if what == "slope":
            return slope
        with numbers_in(self.precision):
            return _HESSIAN[what](slope, self.layout)

    def recorded(self, rows: int) -> BatchCost:
        """The cost recorded for so many rows."""
        return self._recordings.of(rows, self.precision)

    @property
    def _recordings(self) -> Recordings:
        assert self.recordings is not None
        return self.recordings

    def takes(self, rows: int) -> bool:
        """Whether the cost can be recorded for so many rows alone.

        A cost that wants all of them cannot, and fails in ways of its own. Nothing is hidden: one that is wrong fails
        again where it is recorded for the rows of the run, and its error is raised there.
        """
        try:
            self.recorded(rows)
        except Exception:
            return False
        return True

    def sampled(self, chosen: np.ndarray, size: int) -> Passes:
        """The same over these rows alone, copied, in blocks of `size` rows."""
        with asked_for(self.arrays, chosen) if larger_than_memory(self.arrays) else nullcontext():
            return self.over([array[chosen] for array in self.arrays], size)

    def over(self, arrays: Sequence[Any], size: int) -> Passes:
        """The same over other rows, in blocks of `size` of them."""
        return Passes(
            self.cost,
            self.layout,
            self.source,
            arrays,
            self.precision,
            size=size,
            recordings=self.recordings,
            beat=self.beat,
        )

    def thinned(self, every: int) -> Passes:
        """The same over each so-manieth block alone, of which there are evenly many all through the rows; no copy."""
        return Passes(
            self.cost,
            self.layout,
            self.source,
            self.arrays,
            self.precision,
            size=self.block,
            every=every,
            recordings=self.recordings,
            beat=self.beat,
        )


def _evaluator(closed: Any, sparse: list[Any], calls: int) -> Callable[..., Any]:
    """The jaxpr as a function of NumPy arrays; which kind is foreseen from its equations, so that bits repeat."""
    if any(array is not None for array in sparse):
        inputs = closed.jaxpr.invars[len(closed.jaxpr.invars) - len(sparse) :]
        held = {var for var, array in zip(inputs, sparse, strict=True) if array is not None}
        if reads_sparse(closed.jaxpr, held):
            return evaluated(closed, held)
    foreseen = foresee(closed)
    worth = foreseen.saving > WORTH_COMPILING * foreseen.interpreted
    if not (worth and calls * foreseen.saving > PRICE * foreseen.compiling):
        try:
            return interpret(closed)
        except NoRule:
            pass
    return compile_jaxpr(closed)


# -- the functions of a block ----------------------------------------------------------------------------------------


def _pieces(x: Any, layout: Layout) -> list[Any]:
    return [x[leaf.start : leaf.stop].reshape(leaf.shape) for leaf in layout.leaves]


def _shapes(recorded: BatchCost, layout: Layout) -> tuple[Any, list[Any]]:
    """The flat vector, and the arrays of a block, as shapes."""
    avals = recorded.closed.in_avals
    kind = avals[0].dtype
    rows = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals[recorded.parameters :]]
    return jax.ShapeDtypeStruct((layout.n,), kind), rows


def of_vector(recorded: BatchCost, layout: Layout) -> Callable[..., Any]:
    """The cost as a function of the flat vector, (n,), and the arrays of a block."""

    def value(x: Any, *rows: Any) -> Any:
        return recorded(recorded.constants, _pieces(x, layout), rows)

    return value


def _of_flat(function: Callable[..., Any], layout: Layout) -> Callable[..., Any]:
    """A function of the arrays of the parameters as one of the flat vector, (n,)."""
    return lambda x, *rows: function(*_pieces(x, layout), *rows)


def _slope(recorded: BatchCost, layout: Layout) -> Any:
    x, rows = _shapes(recorded, layout)
    value, kind = of_vector(recorded, layout), recorded.closed.out_avals[0].dtype
    try:
        return jax.make_jaxpr(_backwards(value, kind))(x, *rows)
    except Exception:
        # A user's own rule for the way back (`jax.custom_vjp`) has none for the way forth, and a loop of unknown length
        # none for the way back. What is wrong besides fails again.
        return jax.make_jaxpr(value_and_slope(recorded.closed)(value))(x, *rows)


def _backwards(value: Callable[..., Any], kind: Any) -> Callable[..., Any]:
    """Cost, a number of this `kind`, and slope: forward mode, transposed.

    The equations are those of `jax.value_and_grad`, found in half the time: that one linearises operation by operation.
    """

    def both(x: Any, *rows: Any) -> tuple[Any, Any]:
        reached: list[Any] = []

        def along(v: Any) -> Any:
            cost, change = jax.jvp(lambda x: value(x, *rows), (x,), (v,))
            reached.append(cost)
            return change

        (slope,) = jax.linear_transpose(along, x)(np.ones((), kind))
        return reached[0], slope

    return both


def _product(slope: Any, _: Layout) -> Any:
    """Forward over reverse: the slope's own slope along v, at about twice the price of the slope."""
    alone, x, rows = _slope_alone(slope)

    def times(x: Any, v: Any, *rows: Any) -> Any:
        return jax.jvp(lambda x: alone(x, *rows), (x,), (v,))[1]

    return jax.make_jaxpr(times)(x, x, *rows)


def _products(slope: Any, layout: Layout) -> Any:
    """Hessian products with `COLUMNS` vectors at once, (COLUMNS, n)."""
    alone, x, rows = _slope_alone(slope)

    def times(x: Any, columns: Any, *rows: Any) -> Any:
        return jax.vmap(lambda v: jax.jvp(lambda x: alone(x, *rows), (x,), (v,))[1])(columns)

    columns = jax.ShapeDtypeStruct((COLUMNS, layout.n), x.dtype)
    return jax.make_jaxpr(times)(x, columns, *rows)


def _slope_alone(closed: Any) -> tuple[Callable[..., Any], Any, list[Any]]:
    """The slope without the cost as a function of the vector and the arrays of a block; and these as shapes.

    Its equations are at hand: to differentiate them takes a third of the time that the cost, twice, would.
    """
    slope = eliminate_dead(with_outputs(closed, closed.jaxpr.outvars[1:]))
    x, *rows = (jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in closed.in_avals)

    def alone(x: Any, *rows: Any) -> Any:
        return jax.core.eval_jaxpr(slope.jaxpr, slope.consts, x, *rows)[0]

    return alone, x, rows


_HESSIAN = {"product": _product, "products": _products}


def bytes_of(arrays: Sequence[Any]) -> int:
    """What the arrays take, sparse ones by their nonzeros."""
    return sum(map(_bytes_of, arrays))


def _bytes_of(array: Any) -> int:
    return int(array.data.nbytes + array.indices.nbytes) if is_sparse(array) else int(array.nbytes)


def _bytes_used(array: Any, precision: str) -> float:
    """What an array takes in the type it is computed with."""
    kind = np.dtype(array.dtype)
    return _bytes_of(array) * kept_type(kind, precision).itemsize / kind.itemsize


def _cores() -> int:
    """Cores that this process may run on."""
    held = getattr(os, "sched_getaffinity", None)  # Linux has it
    return len(held(0)) if held is not None else os.cpu_count() or 1


def _threads() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(THREADS, thread_name_prefix="steepest-pass")
    return _pool


_pool: ThreadPoolExecutor | None = None


# -- is it a mean over rows? -----------------------------------------------------------------------------------------

# Rows in each of two groups that are seen apart and together; a structure is read off as many where they will do, so
# that the cost is recorded once for both.
FEW = 16
# A mean over rows agrees with itself to rounding; a sum is off by half, a rank statistic by some percent.
AGREES = 1e-9
MEAN, SUM = "mean", "sum"


def over_rows(
    cost: Callable[..., Any],
    layout: Layout,
    source: Any,
    x: Vector,
    few: int = FEW,
    recordings: Recordings | None = None,
) -> str:
    """`MEAN` or `SUM` where the cost of two groups of rows is that of the costs of each, "" where it is neither.

    Only of a mean may rows be seen in blocks. Measured in double precision at `x` and at a point beside it.
    `recordings`: what the cost has been recorded as already.
    """
    few = min(few, source.rows // 2)
    if few < 1:
        return ""
    places = np.linspace(0, source.rows - 1, 2 * few).astype(int)
    groups = places[::2], places[1::2], np.concatenate([places[::2], places[1::2]])
    beside = x + 0.1 * np.random.default_rng(0).standard_normal(x.size)
    costs = []
    recordings = recordings or Recordings(cost, layout, source)
    for rows in groups:
        arrays = [array[rows] for array in source.arrays]
        passes = Passes(cost, layout, source, arrays, "float64", recordings=recordings)
        if not passes.takes(len(rows)):
            return ""
        costs.append([passes.value(point) for point in (x, beside)])
    a, b, both = np.array(costs)
    scale = np.abs(a) + np.abs(b)
    if not np.isfinite(scale).all():
        return ""
    for word, expected in ((MEAN, 0.5 * (a + b)), (SUM, a + b)):
        if np.all(np.abs(both - expected) <= AGREES * scale):
            return word
    return ""
