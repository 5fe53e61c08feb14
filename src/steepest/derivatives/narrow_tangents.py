"""Jacobians by forward mode that follows, for each element of an array, the few parameters it depends on.

Take a sum of peaks, each with parameters of its own: an array (points, peaks) is made of vectors (peaks,) and summed
over the peaks. Each of its elements depends on the parameters of one peak. Pushing all n directions through it computes
n times its size, nearly all of it zeros. Here an array's tangent is *narrow*: a few rows, each with one derivative for
each element and the place of the parameter it belongs to. Only where elements of unlike parameters meet, in the sum
over the peaks, does it become *wide*: n derivatives for each element. This is the compressed Jacobian of Curtis, Powell
and Reid (1974), applied to the intermediate arrays rather than to the result, whose Jacobian is full.

Which parameter an element belongs to follows from the shapes and slices in the trace alone, never from numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, NamedTuple

import jax
import jax.extend.core as jex
import numpy as np
from jax import lax

from ..numerics import double_precision
from ..tracing.passes import eliminate_dead, with_outputs
from ..tracing.primitives import ELEMENTWISE, INITIAL_VALUE, NoRule, evaluate_equation
from .costs import FREE

# Operations that put elements elsewhere and change none: the places of their parameters go the same way.
MOVING = frozenset(
    "reshape squeeze expand_dims transpose rev slice split concatenate pad copy reduce_precision".split()
)
# Joining elements along axes, one output for each place along the others.
JOINING = frozenset("reduce_sum reduce_max reduce_min reduce_prod cumsum cumprod cummax cummin".split())

# Places are written out for arrays of up to so many elements, where an operation moves them.
MOST_PLACES = 1 << 22

# A narrow program has more equations, and takes longer to compile: it must save this factor of the work.
WORTH = 2.0

# Numbers that all directions compute, below which they take a millisecond or two and tracing the program again, ten.
LEAST_WORK = 1 << 20

# The same for each equation: tracing one takes half a millisecond, which long programs of single numbers never earn.
LEAST_EACH = 1 << 14

# More rows are traced one by one for longer than wide tangents take.
MOST_ROWS = 16


class TooWide(Exception):
    """Pushing all directions through at once is no more work, or the only way; nothing narrow is gained."""


class Row(NamedTuple):
    """One derivative for each element: `entries`, of the array's shape, by the parameter numbered in `places`.

    Numbers count from 1; 0: by none, and the entry is zero. `places` has length 1 along axes where it is the same.
    """

    places: np.ndarray
    entries: Any

    @property
    def key(self) -> tuple[Any, ...]:
        """What rows that belong to the same parameters have in common."""
        return (self.places.shape, self.places.tobytes())


# A tangent: None (depends on no parameter), narrow (a list of rows), or wide (an array (n, *shape)).
Tangent = Any


def is_worth_a_look(closed: Any) -> bool:
    """Whether pushing all directions through the program is so much work that less is worth tracing it once more."""
    shape, equations = closed.in_avals[0].shape, len(closed.jaxpr.eqns)
    return len(shape) == 1 and shape[0] * _elements(closed) >= max(LEAST_WORK, LEAST_EACH * equations)


def values_and_changes(
    closed: Any, arrays: Sequence[Any], directions: float = inf
) -> tuple[list[Any], list[Any]]:
    """The outputs of `closed` at these inputs, and the Jacobian of each by the first input: (n, *shape).

    The first input has shape (n,); the others are held. To be called while JAX traces. Raises `TooWide` where the work
    is more than half of that of so many `directions`, n at most, and where parameters go into complex numbers or into
    functions with a rule of their own for the way back alone (`jax.custom_vjp`).

    >>> import jax, numpy as np
    >>> t = np.linspace(0.0, 1.0, 7)[:, None]
    >>> with jax.enable_x64(True):
    ...     peaks = jax.make_jaxpr(lambda x: (x[0::2] / (1.0 + (t - x[1::2]) ** 2)).sum(axis=1))(np.ones(40))
    ...     jaxpr = jax.make_jaxpr(lambda x: values_and_changes(peaks, [x])[1])(np.ones(40))
    >>> [str(aval) for aval in jaxpr.out_avals]
    ['float64[40,7]']
    """
    n = closed.in_avals[0].shape[0]
    return _Push(closed, n, min(n, directions) * _elements(closed) / WORTH)(arrays)


def at_its_necks(closed: Any) -> tuple[Any, Any] | None:
    """A cost of x (n,) in two: x ↦ the arrays at which narrow tangents become wide, and (x, *those) ↦ the cost.

    None where there are none, or where most of the work comes after them. May raise `TooWide`.
    """
    push = _Push(closed, closed.in_avals[0].shape[0], inf)
    with double_precision():
        jax.eval_shape(lambda *arrays: push(arrays)[0], *closed.in_avals)
    jaxpr, wide = closed.jaxpr, set(push.necks)
    out = {atom for atom in jaxpr.outvars if isinstance(atom, jex.Var)}
    read = out | {a for equation in jaxpr.eqns for a in equation.invars if isinstance(a, jex.Var)}
    necks, rest = [], []
    for equation in jaxpr.eqns:
        # An operation is cut off whole or not at all: sorting gives whole numbers too, which are read after it.
        needed = read.intersection(equation.outvars)
        if needed and needed <= wide - out:
            necks += [var for var in equation.outvars if var in needed]
        else:
            rest.append(equation)
    if not necks:
        return None
    inner = eliminate_dead(with_outputs(closed, necks))
    # The names of the old inputs would no longer fit their number.
    names = jaxpr.debug_info._replace(arg_names=None, result_paths=None)
    outer = eliminate_dead(
        jex.ClosedJaxpr(
            jaxpr.replace(invars=[*jaxpr.invars, *necks], eqns=rest, debug_info=names), closed.consts
        )
    )
    return (inner, outer) if WORTH * _elements(outer) <= _elements(closed) else None


def _elements(closed: Any) -> int:
    """Numbers that the program computes, moving them not counted."""
    return sum(
        math.prod(var.aval.shape)
        for equation in closed.jaxpr.eqns
        for var in equation.outvars
        if equation.primitive.name not in FREE
    )


@dataclass
class _Push:
    """One walk through a program with tangents, given up when those have more than `most` numbers.

    `necks`: the variables at which narrow tangents became wide.
    """

    closed: Any
    n: int
    most: float
    work: float = 0.0
    necks: list[Any] = field(default_factory=list)
    values: dict[Any, Any] = field(default_factory=dict)
    tangents: dict[Any, Tangent] = field(default_factory=dict)

    def __call__(self, arrays: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        jaxpr = self.closed.jaxpr
        self.values.update(zip(jaxpr.constvars, map(np.asarray, self.closed.consts), strict=True))
        self.values.update(zip(jaxpr.invars, arrays, strict=True))
        numbers = np.arange(1, self.n + 1)
        self.tangents[jaxpr.invars[0]] = [Row(numbers, np.ones(self.n))]
        for equation in jaxpr.eqns:
            self._go_on(equation)
        changes = [self._change(atom) for atom in jaxpr.outvars]
        return [self.value(atom) for atom in jaxpr.outvars], changes

    @property
    def most_rows(self) -> int:
        """Rows with which a tangent is narrow."""
        return min(self.n // 2, MOST_ROWS)

    def _change(self, atom: Any) -> Any:
        """The Jacobian of an output, (n, *shape)."""
        found, aval = self.tangent(atom), atom.aval
        return np.zeros((self.n, *aval.shape), aval.dtype) if found is None else self.wide(found, aval.shape)

    def value(self, atom: Any) -> Any:
        """The number behind an atom."""
        return np.asarray(atom.val, atom.aval.dtype) if isinstance(atom, jex.Literal) else self.values[atom]

    def tangent(self, atom: Any) -> Tangent:
        """The tangent of an atom; None for a literal."""
        return None if isinstance(atom, jex.Literal) else self.tangents.get(atom)

    def bind(self, equation: Any, operands: Sequence[Any]) -> list[Any]:
        """The outputs of one equation on these operands."""
        places = {atom: k for k, atom in enumerate(equation.invars) if isinstance(atom, jex.Var)}
        alone = self.closed.jaxpr.replace(
            constvars=[],
            invars=list(places),
            outvars=equation.outvars,
            eqns=[equation],
            effects=equation.effects,
        )
        return list(jax.core.eval_jaxpr(alone, (), *[operands[k] for k in places.values()]))

    def pushed(self, equation: Any, moving: dict[int, Any]) -> list[Any]:
        """Derivatives of the outputs when the operands at the keys of `moving` change by its values.

        An operand that stands twice must stand there twice.
        """
        operands = [self.value(atom) for atom in equation.invars]

        def along(*changed: Any) -> list[Any]:
            now = list(operands)
            for k, value in zip(moving, changed, strict=True):
                now[k] = value
            return self.bind(equation, now)

        return list(jax.jvp(along, [operands[k] for k in moving], list(moving.values()))[1])

    def _go_on(self, equation: Any) -> None:
        outputs = self.bind(equation, [self.value(atom) for atom in equation.invars])
        self.values.update(zip(equation.outvars, outputs, strict=True))
        found = [self.tangent(atom) for atom in equation.invars]
        if all(tangent is None for tangent in found):
            return
        if _is_pushed_otherwise(equation):
            raise TooWide
        floats = [var for var in equation.outvars if var.aval.dtype.kind == "f"]
        if not floats:
            return
        results = None
        if len(floats) == len(equation.outvars) and not any(_is_wide(tangent) for tangent in found):
            rule = _rule(equation)
            results = None if rule is None else rule(self, equation, found)
        if results is None:
            results = self._all_directions(equation, found)
        for var, tangent in zip(equation.outvars, results, strict=True):
            if var.aval.dtype.kind != "f" or tangent is None or (not _is_wide(tangent) and not tangent):
                continue
            if not _is_wide(tangent) and len(tangent) > self.most_rows:
                tangent = self.wide(tangent, var.aval.shape)
            if _is_wide(tangent) and not any(_is_wide(other) for other in found):
                self.necks.append(var)
            if equation.primitive.name not in FREE:
                self.count((self.n if _is_wide(tangent) else len(tangent)) * math.prod(var.aval.shape))
            self.tangents[var] = tangent

    def count(self, numbers: int) -> None:
        """Add to the work; raises `TooWide` when it is too much."""
        self.work += numbers
        if self.work > self.most:
            raise TooWide

    def _all_directions(self, equation: Any, found: Sequence[Tangent]) -> list[Tangent]:
        """Wide tangents of the outputs, whatever the operation."""
        moving = {
            k: self.wide(tangent, equation.invars[k].aval.shape)
            for k, tangent in enumerate(found)
            if tangent is not None
        }
        places = list(moving)
        return list(
            jax.vmap(lambda *changes: self.pushed(equation, dict(zip(places, changes, strict=True))))(
                *moving.values()
            )
        )

    def wide(self, tangent: Tangent, shape: tuple[int, ...]) -> Any:
        """A tangent (n, *shape): narrow ones are put where their parameters are."""
        if _is_wide(tangent):
            return tangent
        total: Any = None
        self.count(len(tangent) * self.n * math.prod(shape))
        numbers = np.arange(1, self.n + 1).reshape(-1, *(1 for _ in shape))
        for row in tangent:
            same = lax.eq(
                lax.broadcast_in_dim(numbers, (self.n, *shape), tuple(range(len(shape) + 1))),
                lax.broadcast_in_dim(row.places[None], (self.n, *shape), tuple(range(len(shape) + 1))),
            )
            entries = lax.broadcast_in_dim(row.entries, (self.n, *shape), tuple(range(1, len(shape) + 1)))
            term = lax.select(same, entries, lax.full_like(entries, 0.0))
            total = term if total is None else total + term
        return total

    def joined(self, rows: Sequence[Row], shape: tuple[int, ...], axes: tuple[int, ...]) -> Tangent:
        """The tangent of a sum over `axes` of an array of that shape, whose derivatives are in these rows."""
        kept = tuple(k for k in range(len(shape)) if k not in axes)
        result: list[Row] = []
        spread: list[tuple[np.ndarray, Any]] = []
        for row in rows:
            varying = tuple(k for k in axes if row.places.shape[k] != 1)
            still = tuple(k for k in axes if k not in varying)
            entries = _summed(row.entries, still)
            places = row.places.reshape([s for k, s in enumerate(row.places.shape) if k not in still])
            if not varying:
                result.append(Row(places, entries))
                continue
            # Axes left: kept and varying, in order; the varying ones first, as one.
            left = [k for k in range(len(shape)) if k not in still]
            order = [left.index(k) for k in varying] + [left.index(k) for k in kept]
            count = math.prod(shape[k] for k in varying)
            entries = lax.reshape(lax.transpose(entries, order), (count, *(shape[k] for k in kept)))
            places = places.transpose(order).reshape((count, *(places.shape[left.index(k)] for k in kept)))
            if all(s == 1 for s in places.shape[1:]):
                spread.append((places.reshape(count), entries))
            elif len(result) + count <= self.most_rows:
                result += [Row(places[k], lax.index_in_dim(entries, k, keepdims=False)) for k in range(count)]
            else:
                raise TooWide
        if not spread:
            return _together(result)
        out = tuple(shape[k] for k in kept)
        wide = self._spread(spread, out)
        return wide if not result else wide + self.wide(_together(result), out)

    def _spread(self, parts: Sequence[tuple[np.ndarray, Any]], shape: tuple[int, ...]) -> Any:
        """A wide tangent from blocks (count, *shape), each of whose slices belongs to one parameter."""
        numbers = np.concatenate([places for places, _ in parts])
        blocks = lax.concatenate([entries for _, entries in parts], 0)
        there = np.flatnonzero(numbers)
        if np.unique(numbers[there]).size == there.size:
            source = np.full(self.n, numbers.size, np.int32)
            source[numbers[there] - 1] = there
            if there.size == self.n == numbers.size:
                return _rows_of(blocks, source)
            nothing = np.zeros((1, *shape), blocks.dtype)
            return _rows_of(lax.concatenate([blocks, nothing], 0), source)
        where = np.where(numbers > 0, numbers - 1, self.n).astype(np.int32)
        return jax.ops.segment_sum(blocks, where, self.n + 1)[: self.n]


def _is_pushed_otherwise(equation: Any) -> bool:
    """Whether it gives complex numbers, whose tangents are not followed, or has no rule for the way forth."""
    return any(var.aval.dtype.kind == "c" for var in equation.outvars) or _is_only_pulled_back(equation)


def has_own_way_back(closed: Any) -> bool:
    """Whether it calls functions with a rule of their own for the way back alone (`jax.custom_vjp`)."""
    return any(map(_is_only_pulled_back, closed.jaxpr.eqns))


def _is_only_pulled_back(equation: Any) -> bool:
    return equation.primitive.name == "custom_vjp_call" or any(
        _is_only_pulled_back(inner) for jaxpr in jex.jaxprs_in_params(equation.params) for inner in jaxpr.eqns
    )


def has_no_way_back(closed: Any) -> bool:
    """Whether slopes go through loops whose number of turns only their run tells: `jax.lax.while_loop`, integrals.

    A loop that finds a root, whose slope is taken of what comes after it, is shielded by `stop_gradient`.
    """
    moving: set[Any] = set(closed.jaxpr.invars)
    for equation in closed.jaxpr.eqns:
        if equation.primitive.name == "stop_gradient" or moving.isdisjoint(
            atom for atom in equation.invars if isinstance(atom, jex.Var)
        ):
            continue
        if _is_only_pushed(equation):
            return True
        moving.update(var for var in equation.outvars if var.aval.dtype.kind in "fc")
    return False


def _is_only_pushed(equation: Any) -> bool:
    name = equation.primitive.name
    return name in ("while", "integral", INITIAL_VALUE) or (
        name != "custom_vjp_call"
        and any(map(_is_only_pushed, (e for j in jex.jaxprs_in_params(equation.params) for e in j.eqns)))
    )


def _is_wide(tangent: Tangent) -> bool:
    return tangent is not None and not isinstance(tangent, list)


def _rows_of(blocks: Any, source: np.ndarray) -> Any:
    return blocks.at[source].get(mode="promise_in_bounds", unique_indices=False)


def _summed(entries: Any, axes: tuple[int, ...]) -> Any:
    return lax.reduce_sum(entries, axes) if axes else entries


def _together(rows: Sequence[Row]) -> list[Row]:
    """The same derivatives in fewer rows: those by the same parameters added, those of other elements side by side."""
    by_key: dict[Any, Row] = {}
    for row in rows:
        there = by_key.get(row.key)
        by_key[row.key] = row if there is None else Row(row.places, there.entries + row.entries)
    merged: list[Row] = []
    for row in by_key.values():
        for k, other in enumerate(merged):
            if (
                other.places.shape == row.places.shape
                and not (other.places.astype(bool) & row.places.astype(bool)).any()
            ):
                # Where an element has no parameter its entry is zero.
                merged[k] = Row(other.places + row.places, other.entries + row.entries)
                break
        else:
            merged.append(row)
    return merged


def _ranked(places: np.ndarray, rank: int) -> np.ndarray:
    """Places of a single number as those of an array of `rank` axes; others as they are."""
    return places if places.ndim == rank else places.reshape((1,) * rank)


# Rules: the tangents of an equation's outputs from narrow tangents of its operands, or None for all directions at once.


def _rule(equation: Any) -> Callable[..., list[Tangent] | None] | None:
    name = equation.primitive.name
    if name in ELEMENTWISE or name == "add_any":
        return _elementwise
    if name in MOVING:
        return _moved
    if name in JOINING:
        return _joined
    return {"broadcast_in_dim": _broadcast, "dot_general": _dot, "gather": _gathered}.get(name)


def _elementwise(go: _Push, equation: Any, found: Sequence[Tangent]) -> list[Tangent] | None:
    rank = len(equation.outvars[0].aval.shape)
    if any(len(atom.aval.shape) not in (0, rank) for atom in equation.invars):
        return None
    by_key: dict[Any, dict[int, Any]] = {}
    places: dict[Any, np.ndarray] = {}
    for k, rows in enumerate(found):
        for row in rows or ():
            ranked = Row(_ranked(row.places, rank), row.entries)
            places[ranked.key] = ranked.places
            by_key.setdefault(ranked.key, {})[k] = row.entries
    if len(by_key) > go.most_rows:
        return None
    rows = [Row(places[key], go.pushed(equation, moving)[0]) for key, moving in by_key.items()]
    return [_together(rows) if equation.primitive.name in ("add_any", "add", "sub") else rows]


def _broadcast(go: _Push, equation: Any, found: Sequence[Tangent]) -> list[Tangent] | None:
    shape, kept = equation.outvars[0].aval.shape, equation.params["broadcast_dimensions"]
    if len(equation.invars) != 1:
        return None
    rows = []
    for row in found[0]:
        wide = [1] * len(shape)
        for axis, length in zip(kept, row.places.shape, strict=True):
            wide[axis] = length
        rows.append(Row(row.places.reshape(wide), lax.broadcast_in_dim(row.entries, shape, kept)))
    return [rows]


def _moved(go: _Push, equation: Any, found: Sequence[Tangent]) -> list[Tangent] | None:
    """Rows of the operands moved as these are: the first of each together, the second of each, and so on."""
    if any(math.prod(atom.aval.shape) > MOST_PLACES for atom in (*equation.invars, *equation.outvars)):
        return None
    results: list[list[Row]] = [[] for _ in equation.outvars]
    for which in range(max(len(rows or ()) for rows in found)):
        numbers, moving = [], {}
        for k, (atom, rows) in enumerate(zip(equation.invars, found, strict=True)):
            if rows is not None and which < len(rows):
                numbers.append(np.broadcast_to(rows[which].places, atom.aval.shape).astype(np.float64))
                moving[k] = rows[which].entries
            elif atom.aval.dtype.kind == "f":
                numbers.append(np.zeros(atom.aval.shape))
            else:
                return None
        try:
            places = evaluate_equation(equation, numbers)
        except NoRule:
            return None
        for result, place, change in zip(results, places, go.pushed(equation, moving), strict=True):
            result.append(Row(_compressed(np.asarray(place)), change))
    return [_together([row for row in rows if row.places.any()]) for rows in results]


def _gathered(go: _Push, equation: Any, found: Sequence[Tangent]) -> list[Tangent] | None:
    """Elements picked from fixed places, as by x[[2, 0, 1]]."""
    indices = go.value(equation.invars[1])
    sizes = (math.prod(equation.invars[0].aval.shape), math.prod(equation.outvars[0].aval.shape))
    if isinstance(indices, jax.core.Tracer) or max(sizes) > MOST_PLACES:
        return None
    rows = []
    for row in found[0] or ():
        numbers = np.broadcast_to(row.places, equation.invars[0].aval.shape).astype(np.float64)
        try:
            (places,) = evaluate_equation(equation, [numbers, np.asarray(indices)])
        except NoRule:
            return None
        places = np.asarray(places)
        if not np.isfinite(places).all():
            return None
        rows.append(Row(_compressed(places), go.pushed(equation, {0: row.entries})[0]))
    return [_together(rows)]


def _compressed(places: np.ndarray) -> np.ndarray:
    """Places as whole numbers, with length 1 along axes where they are the same."""
    places = places.astype(np.int64)
    for axis in range(places.ndim):
        first = places.take([0], axis) if places.shape[axis] else places
        if places.shape[axis] > 1 and (places == first).all():
            places = first
    return places


def _joined(go: _Push, equation: Any, found: Sequence[Tangent]) -> list[Tangent] | None:
    (rows,) = found
    name, shape = equation.primitive.name, equation.invars[0].aval.shape
    if name == "reduce_sum":
        return [go.joined(rows, shape, tuple(equation.params["axes"]))]
    axes = equation.params["axes"] if name.startswith("reduce") else (equation.params["axis"],)
    if any(row.places.shape[axis] != 1 for row in rows for axis in axes):
        return None
    results = []
    for row in rows:
        places = row.places
        if name.startswith("reduce"):
            places = places.reshape([s for k, s in enumerate(places.shape) if k not in axes])
        results.append(Row(places, go.pushed(equation, {0: row.entries})[0]))
    return [results]


def _dot(go: _Push, equation: Any, found: Sequence[Tangent]) -> list[Tangent] | None:
    """d(a·b) = da·b + a·db; each product as it is, or taken apart where the sum joins unlike parameters."""
    contracted, batch = contraction = equation.params["dimension_numbers"]
    shapes = [atom.aval.shape for atom in equation.invars]
    if len({atom.aval.dtype for atom in (*equation.invars, *equation.outvars)}) > 1:
        return None  # as of sums in double precision of products in single precision
    free = [
        [d for d in range(len(shapes[k])) if d not in contracted[k] and d not in batch[k]] for k in (0, 1)
    ]
    result: list[Row] = []
    wide: Any = None
    for side, rows in enumerate(found):
        apart = []
        for row in rows or ():
            order = [*batch[side], *free[side], *contracted[side]]
            places = row.places.transpose(order)
            b, f = len(batch[side]), len(free[side])
            others = (1,) * len(free[1 - side])
            kept = places.shape[b : b + f]
            middle = (*kept, *others) if side == 0 else (*others, *kept)
            if all(s == 1 for s in places.shape[b + f :]):
                operands = [go.value(atom) for atom in equation.invars]
                operands[side] = row.entries
                entries = lax.dot_general(*operands, contraction, equation.params["precision"])
                result.append(Row(places.reshape((*places.shape[:b], *middle)), entries))
                continue
            operands = [go.value(atom) for atom in equation.invars]
            operands[side] = row.entries
            product = 1.0
            for k in (0, 1):
                moved = lax.transpose(operands[k], [*batch[k], *free[k], *contracted[k]])
                size = moved.shape
                own = size[b : b + len(free[k])]
                ones = (1,) * len(free[1 - k])
                between = (*own, *ones) if k == 0 else (*ones, *own)
                product = product * lax.reshape(moved, (*size[:b], *between, *size[b + len(own) :]))
            apart.append(Row(places.reshape((*places.shape[:b], *middle, *places.shape[b + f :])), product))
        if apart:
            shape = apart[0].entries.shape
            kept_axes = len(equation.outvars[0].aval.shape)
            go.count(len(apart) * math.prod(shape))
            found_here = go.joined(apart, shape, tuple(range(kept_axes, len(shape))))
            if _is_wide(found_here):
                wide = found_here if wide is None else wide + found_here
            else:
                result += found_here
    if wide is None:
        return [_together(result)]
    return [wide if not result else wide + go.wide(_together(result), equation.outvars[0].aval.shape)]
