"""Rows that lie in an accelerator's memory, and passes over them there: one program a pass, block after block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import jax
import numpy as np

from ..numerics import accelerated, default_device
from ..tracing.batched import as_kept, kept_type, numbers_in
from .sparse_rows import is_sparse

# Bytes of rows below which a pass stays on the host: it is over there before an accelerator has answered.
WORTH_HOLDING = 1 << 22
# The part of the accelerator's memory that rows may take; the rest is for what a block of them is turned into.
PART_OF_MEMORY = 0.5
# Bytes of a block: read in a time beside which asking for its dozen operations is short.
BLOCK_BYTES = 1 << 28
# A pass fetches the slope over each block, (n,): at most so many numbers in all.
MOST_FETCHED = 1 << 23


def is_resident(array: Any) -> bool:
    """Whether the rows of this array lie on a device of JAX."""
    return isinstance(array, jax.Array)


def placed(arrays: Sequence[Any], precision: str) -> list[Any]:
    """The arrays in the memory of the accelerator, where there is one, they are worth it, and they fit.

    Else NumPy's own, or as they are. They are narrowed to what `precision` keeps, never widened: a block of them is,
    when it is looked at.
    """
    size = sum(int(getattr(array, "nbytes", 0)) for array in arrays)
    if any(map(is_sparse, arrays)) or size < WORTH_HOLDING or not accelerated() or not _fits(arrays):
        return [np.asarray(array) if is_resident(array) else array for array in arrays]
    with jax.enable_x64(True):  # as wide as they are
        return [
            array if is_resident(array) else jax.device_put(_narrowed(array, precision)) for array in arrays
        ]


def _narrowed(array: Any, precision: str) -> np.ndarray:
    kind = kept_type(np.dtype(array.dtype), precision)
    return np.asarray(as_kept(array, precision) if kind.itemsize < array.dtype.itemsize else array)


def _fits(arrays: Sequence[Any]) -> bool:
    new = sum(int(array.nbytes) for array in arrays if not is_resident(array))
    memory = default_device().memory_stats() or {}
    limit = memory.get("bytes_limit", 0)
    return not (new and limit) or memory.get("bytes_in_use", 0) + new <= PART_OF_MEMORY * limit


def full_precision() -> AbstractContextManager[Any]:
    """A scope in which products are recorded as ones in the full precision of their numbers.

    An accelerator left to itself multiplies float32 with as few as ten bits, and a walk that looks at all rows would
    end where those few are used up.
    """
    return jax.default_matmul_precision("highest") if accelerated() else nullcontext()


def blocks_of(arrays: Sequence[Any], n: int) -> int:
    """How many blocks the rows are cut into for a cost of `n` parameters."""
    return max(
        1, min(-(-sum(int(array.nbytes) for array in arrays) // BLOCK_BYTES), MOST_FETCHED // max(n, 1))
    )


def over_blocks(
    function: Callable[..., Any],
    constants: Sequence[Any],
    precision: str,
    kinds: Sequence[Any],
    rows: int,
    *,
    summed: bool,
) -> Callable[..., list[np.ndarray]]:
    """A compiled function of (vectors, arrays, first rows of the blocks): what each block of `rows` rows gives.

    `function(constants, *vectors, *block)` gives a tuple, of a block whose arrays have the types `kinds`. The
    results of blocks are laid along a first axis, or `summed`.
    """

    def block(arrays: Sequence[Any], first: Any) -> list[Any]:
        return [
            jax.lax.dynamic_slice_in_dim(array, first, rows).astype(kind)
            for array, kind in zip(arrays, kinds, strict=True)
        ]

    def laid(constants: Any, vectors: Any, arrays: Any, firsts: Any) -> Any:
        return jax.lax.map(lambda first: function(constants, *vectors, *block(arrays, first)), firsts)

    def added(constants: Any, vectors: Any, arrays: Any, firsts: Any) -> Any:
        at = partial(function, constants, *vectors)

        def add(sums: Any, first: Any) -> tuple[Any, None]:
            return jax.tree.map(jax.numpy.add, sums, at(*block(arrays, first))), None

        sums, _ = jax.lax.scan(add, at(*block(arrays, firsts[0])), firsts[1:])
        return sums

    compiled = jax.jit(added if summed else laid)
    with numbers_in(precision):
        there = [jax.device_put(constant) for constant in constants]

    def call(vectors: Any, arrays: Any, firsts: Sequence[int]) -> list[np.ndarray]:
        with numbers_in(precision):
            return [np.asarray(part) for part in compiled(there, vectors, arrays, np.asarray(firsts))]

    return call
