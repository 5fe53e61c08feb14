"""When all data at every step win over minibatches: the rule `method="auto"` follows.

Measured by `python -m benchmarks train` at equal passes over the data: where the cost is convex, L-BFGS over all rows
came lower than minibatches in as many passes; on every cost that is not, minibatches came lower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from .batches import Rows
from .methods import speaks_of_minibatches

if TYPE_CHECKING:
    from ..structure.convexity import Convexity
    from ..structure.facts import Structure
    from .recordings import Recordings

# Fewer passes than this do not repay what a line search and a memory of curvature need at first.
FEWEST_PASSES = 8
# Larger costs are not read for their structure, and hold too many numbers for vectors of double precision.
MOST_PARAMETERS = 100_000
# Data beyond this many bytes are left to minibatches: a step over all of them takes too long to look at.
MOST_BYTES = 16 << 30
# The most a sampled Hessian may cost, in passes over all rows, for Newton's method to be chosen over L-BFGS.
HESSIAN_PASSES = 2.0
# Data a structure is read off whole, where the rows do not stand alone.
MOST_BYTES_READ = 1 << 26
# Up to so many bytes an array is looked through for its extremes without asking whether they matter.
MOST_BYTES_LOOKED = 1 << 24
# What changes nothing of parameters but their places.
AS_THEY_ARE = frozenset(
    {"reshape", "transpose", "squeeze", "expand_dims", "slice", "copy", "convert_element_type"}
)
# Rows the structure is read off: the ones with the extremes of each column, and some more.
ROWS_READ, COLUMNS_READ = 24, 16
# Bytes looked through at a time for both extremes: they stay in the cache for the second.
BLOCK_READ = 1 << 18


@dataclass(frozen=True)
class Whole:
    """That all data at every step are chosen: by which method, and why."""

    method: str
    because: str


def choose(
    cost: Callable[..., Any],
    layout: Any,
    source: Any,
    passes: float,
    given: dict[str, Any],
    recordings: Recordings | None = None,
) -> tuple[Whole | None, str]:
    """The method over all data where it wins, else None with the reason, "" where there is nothing to say.

    `passes`: how often the rows may be looked at. `given`: the arguments of `train`; one that speaks of minibatches
    settles it. `recordings`: what the cost has been recorded as already, here and below.
    """
    asked = (
        speaks_of_minibatches(given)
        or given["shard"] is not None
        or given["remat"]
        or given["precision"] == "bfloat16"
    )
    if asked or not isinstance(source, Rows) or layout.n > MOST_PARAMETERS:
        return None, ""
    if any(isinstance(array, np.memmap) for array in source.arrays) or _bytes(source) > MOST_BYTES:
        return None, ""
    import jax

    if jax.device_count() > 1:
        return None, ""
    if passes < FEWEST_PASSES:
        return None, f"all data at every step: {passes:.2g} passes over them are too few for it"
    found = structure_of(cost, layout, source, recordings=recordings)
    convexity = None if found is None else found.convexity
    if convexity is None or not convexity.is_convex:
        return (
            None,
            "all data at every step: the cost is not shown to be convex, and minibatches came lower there",
        )
    from .newton_rows import sample_sizes
    from .passes import MATRIX_PRODUCT, MEAN, over_rows

    x = np.concatenate([np.ravel(np.asarray(array, np.float64)) for array in layout.arrays])
    if over_rows(cost, layout, source, x, recordings=recordings) != MEAN:
        return None, "all data at every step: the cost is no mean over rows that stand alone"
    sizes = sample_sizes(layout.n, source.rows)
    price = 2 * layout.n * MATRIX_PRODUCT * sizes[-1] / source.rows if sizes else np.inf
    reason = f"{convexity.reason}, and {source.rows:,} rows of data fit in memory"
    if len(sizes) == 2 and price <= HESSIAN_PASSES and passes >= 2 * FEWEST_PASSES:
        return Whole("newton-cg", f"{reason}; a sample of {sizes[-1]:,} rows tells its curvature"), ""
    return Whole("l-bfgs", reason), ""


def structure_of(
    cost: Callable[..., Any],
    layout: Any,
    source: Any,
    *,
    together: bool = False,
    recordings: Recordings | None = None,
) -> Structure | None:
    """What the trace tells of the cost over a few telling rows, or `together` over all; None where it is refused."""
    import jax

    from ..structure.facts import read
    from ..tracing.batched import numbers_in
    from .passes import Passes, of_vector
    from .recordings import Recordings
    from .sparse_rows import is_sparse

    if layout.n > MOST_PARAMETERS or (together and _bytes(source) > MOST_BYTES_READ):
        return None
    recordings = recordings or Recordings(cost, layout, source)
    rows = (
        np.arange(source.rows)
        if together
        else telling_rows(source, _multiplied(cost, layout, source, recordings))
    )
    arrays = [
        array[rows].toarray() if is_sparse(array) else np.asarray(array[rows]) for array in source.arrays
    ]
    seen = Passes(cost, layout, source, arrays, "float64", recordings=recordings)
    if not seen.takes(len(rows)):
        return None
    with numbers_in("float64"):
        value = of_vector(seen.recorded(len(rows)), layout)
        vector = jax.ShapeDtypeStruct((layout.n,), np.float64)
        return read(jax.make_jaxpr(lambda x: value(x, *seen.arrays))(vector))


def _multiplied(cost: Callable[..., Any], layout: Any, source: Any, recordings: Recordings) -> frozenset[int]:
    """The large arrays that the cost does nothing with but multiply them by parameters as they are.

    Such a product is affine in the parameters whatever the signs of the data, so that their extremes tell nothing.
    """
    from .passes import FEW, Passes

    large = [
        k for k, array in enumerate(source.arrays) if int(getattr(array, "nbytes", 0)) > MOST_BYTES_LOOKED
    ]
    few = min(FEW, source.rows)
    seen = Passes(
        cost, layout, source, [array[:few] for array in source.arrays], "float64", recordings=recordings
    )
    if not large or not seen.takes(few):
        return frozenset()
    recorded = seen.recorded(few)
    jaxpr, inputs = recorded.closed.jaxpr, recorded.closed.jaxpr.invars
    plain = set(inputs[: recorded.parameters])
    for equation in jaxpr.eqns:
        if equation.primitive.name in AS_THEY_ARE and equation.invars[0] in plain:
            plain |= set(equation.outvars)

    def only_multiplied(array: Any) -> bool:
        readers = [equation for equation in jaxpr.eqns if any(atom is array for atom in equation.invars)]
        return all(
            equation.primitive.name == "dot_general"
            and all(atom is array or atom in plain for atom in equation.invars)
            for equation in readers
        )

    return frozenset(k for k in large if only_multiplied(inputs[recorded.parameters + k]))


def telling_rows(source: Any, multiplied: frozenset[int] = frozenset()) -> np.ndarray:
    """Rows that hold the least and the greatest entry of each array, and of its first columns, and a few more.

    Arrays whose place is in `multiplied` are not looked through.
    """
    from .passes import FEW
    from .sparse_rows import is_sparse

    rows = set(np.linspace(0, source.rows - 1, min(ROWS_READ, source.rows)).astype(int).tolist())
    for place, array in enumerate(source.arrays):
        if place in multiplied:
            continue
        if is_sparse(array):
            for entries in (array.argmax(), array.argmin()):
                rows.add(int(entries) // array.shape[1])
            continue
        rows |= extreme_rows(array.reshape(source.rows, -1))
    rows |= set(_beside(rows, min(2 * FEW, source.rows)))
    return np.array(sorted(rows))


def _beside(rows: set[int], count: int) -> Iterator[int]:
    """The first rows that are not among `rows`, as many as are missing to `count`."""
    return islice((row for row in range(count) if row not in rows), max(0, count - len(rows)))


def extreme_rows(array: np.ndarray) -> set[int]:
    """The rows of the least and of the greatest entry of a matrix and of each of its first columns.

    One pass through memory: block after block stays in the cache until all is known of it.

    >>> sorted(extreme_rows(np.array([[1.0, 2.0], [9.0, 0.0], [3.0, -4.0], [2.0, 1.0]])))
    [0, 1, 2]
    """
    if not array.size:
        return set()
    size = max(1, BLOCK_READ // max(array[:1].nbytes, 1))
    starts = range(0, len(array), size)
    columns = min(COLUMNS_READ, array.shape[1])
    ends = np.empty((2, len(starts), columns + 1), array.dtype)
    for k, start in enumerate(starts):
        block = array[start : start + size]
        first = np.ascontiguousarray(block[:, :columns].T)
        for end, (row, alone) in zip(
            ends[:, k], ((first.min(axis=1), block.min), (first.max(axis=1), block.max)), strict=True
        ):
            end[:columns], end[columns] = row, alone()
    found = set()
    for extreme, place in zip(ends, (np.argmin, np.argmax), strict=True):
        for column in range(columns + 1):
            start = starts[int(place(extreme[:, column]))]
            block = array[start : start + size]
            seen = block[:, column] if column < columns else block
            found.add(start + int(place(seen)) // (1 if column < columns else array.shape[1]))
    return found


def shown_convex(structure: Structure | None) -> Convexity | None:
    """The convexity where it holds for all rows: by rules on the signs of the data, whose extremes were seen.

    A quadratic form is tested by its matrix, which other rows change: that is no rule, unless it is a sum of squares.
    """
    if structure is None or not structure.convexity.is_convex:
        return None
    if "quadratic" in structure.convexity.reason:
        squares = structure.squares
        return structure.convexity if squares is not None and squares.linear else None
    return structure.convexity


def _bytes(source: Any) -> int:
    return sum(int(getattr(array, "nbytes", 0)) for array in source.arrays)
