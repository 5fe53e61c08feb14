"""Indices that the data give, looked at over all rows: beyond what they pick from, or counted from its end.

NumPy raises an error for the first kind; a compiled program makes NaN of what is not there, or takes what lies next to
it. The second kind NumPy takes too: a label of -1, often meant to be none, is the last class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.extend.core as jex
import numpy as np

from ..errors import InputError
from ..tracing.batched import as_kept, numbers_in
from ..tracing.equations import run_equation
from ..tracing.source import in_the_cost
from .of_rows import OfRows

# What a pick that is none gives under these: nothing sensible.
UNCHECKED = (jax.lax.GatherScatterMode.FILL_OR_DROP, jax.lax.GatherScatterMode.PROMISE_IN_BOUNDS)
# How far parameters are moved before it is asked whether a pick matters: at a start of zeros none would. Where the cost
# has no value there, each by this part of itself: variances, say, stay positive.
MOVED = 0.1
# Picks put in the place of wrong ones to see whether they matter.
TRIED = 4


@dataclass
class _Seen:
    """Rows whose index is not as it should be: how many of how many, where first, and what it is there."""

    count: int = 0
    rows: int = 0
    first: int = -1
    value: int = 0
    batch: np.ndarray | None = None
    wrong: np.ndarray | None = None

    def add(self, places: np.ndarray, index: np.ndarray, wrong: np.ndarray) -> None:
        """Count the rows with a wrong index of some batches; `index` and `wrong`, (batches, …), alike."""
        by_row = wrong.shape[1:2] == places.shape[1:]
        bad = wrong.reshape(*wrong.shape[: 2 if by_row else 1], -1).any(axis=-1)
        fresh = places > self.rows - 1  # the last batch is filled up with rows that have been seen
        self.rows = int(places.max()) + 1
        self.count += int((bad & fresh).sum()) if by_row else 0
        if self.batch is None and bad.any():
            k = np.argwhere(bad)[0]
            self.batch, self.wrong = places[k[0]], wrong[k[0]]
            self.first = int(places[tuple(k)]) if by_row else -1
            self.value = int(index[k[0]][wrong[k[0]]][0])

    def where(self) -> str:
        """In which rows, in words."""
        if self.first < 0:
            return f"among the first {self.rows:,} rows"
        others = "" if self.count == 1 else f", {self.count:,} of {self.rows:,} rows are like it"
        return f"in row {self.first:,}{others}"


def check(known: OfRows, start: list[np.ndarray]) -> str:
    """What is to be said of indices counted from the end that pick the same as others; "" where none do.

    `start`: the parameters, an array each.

    Raises
    ------
    InputError: an index of some row reaches beyond what it picks from, and the cost depends on what it finds there.
    """
    for equation in known.jaxpr.eqns:
        if _is_unchecked(equation) and equation.invars[1] in known.made_of:
            told = _looked_at(known, equation, start)
            if told:
                return told
    return ""


def _is_unchecked(equation: Any) -> bool:
    """Whether this picks by an index, and what becomes of one beyond the end was not chosen."""
    if equation.primitive.name != "gather":
        return False
    mode, fill = equation.params["mode"], equation.params["fill_value"]
    return mode in UNCHECKED and (fill is None or np.isnan(fill))


def _last(equation: Any) -> np.ndarray:
    """The largest index that picks something, for each component."""
    shape, sizes = equation.invars[0].aval.shape, equation.params["slice_sizes"]
    return np.array([shape[k] - sizes[k] for k in equation.params["dimension_numbers"].start_index_map])


def _looked_at(known: OfRows, equation: Any, start: list[np.ndarray]) -> str:
    index, last = equation.invars[1], _last(equation)
    counted = _counted_from_the_end(known, index)
    beyond, behind = _Seen(), _Seen()
    before: set[int] = set()  # what is picked by indices counted from the front
    after: set[int] = set()
    for places, (picked, *raw) in known.values([index, *(v for v, _ in counted)]):
        picked = picked.astype(np.int64)
        beyond.add(places, picked, (picked < 0) | (picked > last))
        for (_, size), values in zip(counted[:1], raw[:1], strict=True):
            values = values.astype(np.int64)
            behind.add(places, values, values < 0)
            before.update(np.unique(values[values >= 0]).tolist())
            after.update((np.unique(values[values < 0]) + size).tolist())
    line = in_the_cost(equation)
    left_out = beyond.batch is not None and _leaves_out(known, equation, beyond, start)
    if beyond.batch is not None and not left_out and _matters(known, index, last, beyond, start):
        axis = int(np.flatnonzero(np.atleast_2d(_over_axes(beyond.wrong)).any(axis=0))[0])
        sizes = f"one of {last[axis] + 1:,}, numbered from 0 to {last[axis]:,}"
        raise InputError(
            f"{line}: {known.names(index)} picks {sizes}, and is {beyond.value:,} {beyond.where()}; number them from "
            "0, make room for them, or leave these rows out"
        )
    if not (behind.batch is not None and before & after):
        return ""
    raw, size = counted[0]
    wrong = behind.wrong
    assert wrong is not None
    behind.wrong = np.broadcast_to(
        wrong.reshape(*wrong.shape, *[1] * (len(index.aval.shape) - wrong.ndim)), index.aval.shape
    )
    if not _matters(known, index, last, behind, start):
        return ""
    return (
        f"{line}: {known.names(raw)} is {behind.value} {behind.where()}, which counts from the end and picks number "
        f"{behind.value + size} of 0 to {size - 1}, as {behind.value + size} does; where it marks what is not known, "
        "leave these rows out"
    )


def _leaves_out(known: OfRows, equation: Any, seen: _Seen, start: list[np.ndarray]) -> bool:
    """Whether the cost asks which of the numbers picked are none, as `jnp.nanmean` does, and is a number without them.

    That one is a number says nothing by itself: `np.where(h > 0, h, 0)` hides them too.
    """
    if equation.params["mode"] != jax.lax.GatherScatterMode.FILL_OR_DROP:
        return False
    made, asked = set(equation.outvars), False
    for other in known.jaxpr.eqns:
        read = made.intersection(atom for atom in other.invars if isinstance(atom, jex.Var))
        if read:
            name = other.primitive.name
            asked = asked or name == "is_finite" or (name == "ne" and other.invars[0] is other.invars[1])
            made.update(other.outvars)
    if not asked:
        return False
    assert seen.batch is not None
    batch = [as_kept(np.asarray(array[seen.batch]), known.precision) for array in known.source.arrays]
    with numbers_in(known.precision):
        return bool(np.isfinite(_cost_with(known, equation.invars[1], seen.wrong, None, start, batch)))


def _over_axes(wrong: np.ndarray | None) -> np.ndarray:
    """Which components of an index are wrong anywhere, from (…, components)."""
    assert wrong is not None
    return wrong.reshape(-1, wrong.shape[-1])


def _counted_from_the_end(known: OfRows, index: Any) -> list[tuple[Any, int]]:
    """Where NumPy's way of counting from the end comes in: the index as given, and what is added to a negative one."""
    found = []
    for equation in known.behind([index]):
        if equation.primitive.name != "select_n" or len(equation.invars) != 3:
            continue
        given, moved = equation.invars[1:]
        maker = known.makers.get(moved)
        if maker is None or maker.primitive.name != "add" or maker.invars[0] is not given:
            continue
        if isinstance(maker.invars[1], jex.Literal) and given in known.made_of:
            found.append((given, int(maker.invars[1].val)))
    return found


def _matters(known: OfRows, index: Any, last: np.ndarray, seen: _Seen, start: list[np.ndarray]) -> bool:
    """Whether the cost depends on what the wrong indices of a batch pick; a mask may leave it out."""
    assert seen.batch is not None
    rng = np.random.default_rng(0)
    ways = [rng.normal(size=np.shape(array)) for array in start]
    batch = [as_kept(np.asarray(array[seen.batch]), known.precision) for array in known.source.arrays]
    # Several, since two may happen to find the same: of scores less the highest, each row's best is zero.
    others = [rng.integers(0, last + 1, index.aval.shape) for _ in range(TRIED)]
    for size in (lambda array: 1 + np.abs(array), lambda array: np.where(array == 0, 1, np.abs(array))):
        parameters = [array + MOVED * way * size(array) for array, way in zip(start, ways, strict=True)]
        with numbers_in(known.precision):
            costs = [_cost_with(known, index, seen.wrong, pick, parameters, batch) for pick in others]
        if not np.isnan(costs).all():
            return len(np.unique(costs)) > 1
    return False


def _cost_with(known: OfRows, index: Any, wrong: Any, pick: Any, parameters: Any, batch: Any) -> float:
    """The cost where the wrong ones among the indices are `pick`; those of other picks are brought within theirs.

    None leaves the wrong ones what they are.
    """
    jaxpr = known.jaxpr
    values = dict(zip(jaxpr.constvars, known.closed.consts, strict=True))
    typed = [
        np.asarray(p, v.aval.dtype) for p, v in zip(parameters, jaxpr.invars[: len(parameters)], strict=True)
    ]
    values.update(zip(jaxpr.invars, [*typed, *batch], strict=True))
    for equation in jaxpr.eqns:
        other = equation.invars[1] if _is_unchecked(equation) else None
        if isinstance(other, jex.Var) and not (pick is None and other is index):
            within = np.clip(np.asarray(values[other]), 0, _last(equation)).astype(other.aval.dtype)
            run_equation(equation, held := {**values, other: within}, jaxpr)
            values.update((v, held[v]) for v in equation.outvars)
        else:
            run_equation(equation, values, jaxpr)
        if pick is not None and index in equation.outvars:
            values[index] = np.where(wrong, pick, values[index]).astype(index.aval.dtype)
    out = jaxpr.outvars[0]
    return float(values[out])
