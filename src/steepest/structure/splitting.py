"""The same cost without its kinks: each |z| becomes p + q, with p, q >= 0 and the equation z = p - q.

The smooth program has the minima of the cost wherever the cost rises with every |z|, maximum and largest element that
is replaced: p and q are then no larger than they must be (Boyd & Vandenberghe, "Convex Optimization", 2004, sections
4.1.3 and 6.1.1). A norm |u| becomes (u·u/t + t)/2 with one more variable t >= 0, which is least at t = |u| and smooth,
and convex in u and t together, for t > 0. A sum of the k largest becomes k·t and what they are above t, one more
variable. Kinks that the cost falls with, and those of other operations, are left as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.extend.core as jex
import numpy as np
from jax import lax

from ..numerics import double_precision
from ..tracing.equations import read_atom, run_equation
from ..tracing.passes import eliminate_dead, simplify, with_outputs
from ..tracing.primitives import NoRule, evaluate
from .direction import Way, directions
from .kinks import Kinks, smooth_inside
from .norms import Parts, norm_of
from .ordered import Ordered, ordered_sums
from .patterns import Pattern, patterns
from .ranges import ranges
from .reading import Reading
from .sides import BENDING, Sides

Vector = np.ndarray

# Operations that may be replaced, and the way the cost has to go with their results.
REPLACED = {
    "abs": Way.UP, "max": Way.UP, "reduce_max": Way.UP, "min": Way.DOWN, "reduce_min": Way.DOWN,
    "maximum": Way.UP, "minimum": Way.DOWN, "convex choice": Way.UP, "concave choice": Way.DOWN, "norm": Way.UP,
    "sum of largest": Way.UP, "sum of smallest": Way.DOWN,
}  # fmt: skip

# Operations that make one of them.
BEGINNING = frozenset({*REPLACED, *BENDING, "sqrt", "sort"})


@dataclass(frozen=True)
class Split:
    """A smooth program with the cost's minima: minimise `cost(y)` where `rows(y)` is zero and y >= `lower`.

    `cost`, `rows`: closed jaxprs of y (N,) to a number and to (R,). The first `n` entries of y are the parameters;
    `lower` (N,) is -inf for them. `pairs` (P, 2): the entries p and q of each kink that has two sides; for each element
    of which the largest is taken, the largest and what is missing to it; row k of the equations belongs to pair k.
    `places_of` (P,): the number of each pair's operation, from 0. `complete`: whether nothing with a kink or a
    jump is left in the program.
    `radii` (K,): the entry t of each norm, and `radius_places` (K,) the number of its operation; `parts`: the closed
    jaxpr of y to all that norms are taken of, (S,), None for no norms; `part_of` (S,): of which norm each is a part.
    `levels` (L, 2): the entry of each threshold that largest elements are told by, and the number of one of its pairs.
    `places`: the user's lines with the kinks. `lift(x)`: the y that belongs to x (n,), where it can be computed.
    `further`: closed jaxprs of y to what else `split_of` was given to take along. `left`: the kinks that were not
    replaced; None where not all are known. `conic`: closed jaxprs of y like `cost`, `rows`, `parts` and `further`, in
    which t alone stands for each norm, as it may on the cone t >= |u|; none where there are no norms.
    """

    n: int
    cost: Any
    rows: Any
    lower: Vector
    pairs: np.ndarray
    places_of: np.ndarray
    complete: bool
    places: tuple[str, ...]
    lift: Callable[[Vector], Vector]
    further: tuple[Any, ...] = ()
    left: Kinks | None = None
    radii: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    radius_places: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    parts: Any = None
    part_of: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    levels: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), dtype=int))
    conic: tuple[Any, ...] = ()

    def is_smooth_at(self, x: Vector, radius: Vector) -> bool:
        """Whether no kink that was not replaced comes within `radius` (n,) of `x` (n,)."""
        return self.complete or (self.left is not None and not self.left.near(x, radius))


@dataclass(frozen=True)
class _Kink:
    """One operation to be replaced: its equation's index, the kind as in `REPLACED`, and its operands.

    `sides`: of a choice, what it is on either side. `parts`: of a norm, what it is the norm of. `ordered`: of a sum of
    sorted values, its weights.
    """

    index: int
    kind: str
    operands: tuple[Any, ...]
    axes: tuple[int, ...]
    out: Any
    sides: Sides | None = None
    parts: Parts | None = None
    ordered: Ordered | None = None

    @property
    def size(self) -> int:
        """How many entries y needs for it."""
        if self.parts is not None:
            return int(self.out.aval.size)
        if self.ordered is not None:
            return self.ordered.size
        inner = int(self.operands[0].aval.size) if self.axes else int(self.out.aval.size)
        return inner + int(self.out.aval.size)


def split_of(closed: Any, most: int) -> Split | None:
    """The cost `closed` (x (n,) to a number, float64) without its kinks; None for none to replace, or over `most`.

    Further outputs of `closed`, which the first is made from, are taken along: `Split.further`.

    >>> with double_precision():
    ...     jaxpr = jax.make_jaxpr(lambda x: abs(x[0] - 1.0) + x[1] ** 2)(jax.ShapeDtypeStruct((2,), np.float64))
    >>> found = split_of(jaxpr, most=100)
    >>> found.lift(np.array([3.0, 5.0])), found.lower
    (array([3., 5., 2., 0.]), array([-inf, -inf,   0.,   0.]))
    """
    if not any(equation.primitive.name in BEGINNING for equation in _all_equations(closed.jaxpr)):
        return None
    reading = Reading(closed, keep_derivatives=True)
    known = patterns(reading)
    kinks = _replaceable(reading, known, most)
    total = sum(kink.size for kink in kinks)
    if not kinks or total > 2 * most:
        return None
    n = reading.n
    cost, rows, parts, *further = _recorded(reading, kinks, n + total, conic=False)
    has_norms = any(kink.parts is not None for kink in kinks)
    conic = tuple(_recorded(reading, kinks, n + total, conic=True)) if has_norms else ()
    lower = np.full(n + total, -np.inf)
    start, radii = n, [np.zeros(0, dtype=int)]
    pairs: list[np.ndarray] = []
    levels = [np.zeros((0, 2), dtype=int)]
    for kink in kinks:
        size = int(kink.out.aval.size)
        if kink.parts is not None:
            lower[start : start + size] = 0.0
            radii.append(np.arange(start, start + size))
            start += size
            continue
        end = start + kink.size
        if kink.ordered is not None:
            own = np.arange(start, start + kink.ordered.levels)
            lower[start + own.size : end] = 0.0
            first_pair = sum(len(pair) for pair in pairs) + kink.ordered.count * np.arange(own.size)
            levels.append(np.stack([own, first_pair], axis=1))
            pairs.append(np.arange(start + own.size, end).reshape(2, -1).T)
            start = end
            continue
        lower[start + size if kink.axes else start : end] = 0.0
        first, second = np.arange(start, start + size), np.arange(start + size, end)
        if kink.axes:
            inner = kink.operands[0].aval.shape
            first = np.expand_dims(first.reshape(kink.out.aval.shape), kink.axes)
            first = np.broadcast_to(first, inner).ravel()
        pairs.append(np.stack([first, second], axis=1))
        start = end
    left = Kinks(reading, known).without({*(kink.out for kink in kinks), *_sorted_for_sums(reading, kinks)})
    complete = not left
    places = tuple(dict.fromkeys(reading.place(reading.equations[kink.index]) for kink in kinks))
    lift = _lift(reading, kinks)
    told = tuple(place for place in places if place)
    places_of = np.repeat(np.arange(len(pairs)), [len(pair) for pair in pairs])
    joined = np.concatenate([np.zeros((0, 2), dtype=int), *pairs])
    counts_of = [(kink.size, kink.parts.count) for kink in kinks if kink.parts is not None]
    sizes = [size for size, _ in counts_of]
    counts = np.repeat([count for _, count in counts_of], sizes).astype(int)
    return Split(
        n,
        cost,
        rows,
        lower,
        joined,
        places_of,
        complete,
        told,
        lift,
        tuple(further),
        None if left.opaque else left,
        np.concatenate(radii),
        np.repeat(np.arange(len(sizes)), sizes),
        parts if sizes else None,
        np.repeat(np.arange(counts.size), counts),
        np.concatenate(levels),
        conic,
    )


def _recorded(reading: Reading, kinks: list[_Kink], size: int, *, conic: bool) -> list[Any]:
    """Closed jaxprs of y (size,) to the outputs of `_lifted`, one for each."""
    with double_precision():
        flat = jax.ShapeDtypeStruct((size,), np.float64)
        both = jax.make_jaxpr(lambda y: _lifted(reading, kinks, y, conic))(flat)
        return [
            simplify(eliminate_dead(with_outputs(both, [out])), keep_derivatives=True)
            for out in both.jaxpr.outvars
        ]


def _sorted_for_sums(reading: Reading, kinks: list[_Kink]) -> set[Any]:
    """The sorted variables of which nothing is used but sums that are replaced."""
    sums = [kink.ordered.source for kink in kinks if kink.ordered is not None]
    return {source for source in sums if sums.count(source) == len(reading.uses[source])}


def together(cost: Any, limits: Sequence[Any], senses: Sequence[int]) -> Any | None:
    """A closed jaxpr of x (n,) for `split_of`, to take the `cost` and the constraints `limits` along, all joined.

    Its first output goes the way of the cost and, by their `senses` as in `problem.split_between`, that of the
    constraints. None where these have no kinks.
    """
    equations = (equation for closed in limits for equation in _all_equations(closed.jaxpr))
    if not any(equation.primitive.name in BEGINNING for equation in equations):
        return None
    cost_of, *values_of = (jex.jaxpr_as_fun(closed) for closed in (cost, *limits))

    def both(x: Any) -> tuple[Any, Any, Any]:
        value = lax.reshape(cost_of(x)[0], ())
        total, pieces = value, []
        for values, sense in zip(values_of, senses, strict=True):
            found = values(x)[0]
            pieces.append(lax.reshape(found, (int(np.prod(found.shape)),)))
            summed = jax.numpy.sum(found)
            total = total + summed if sense >= 0 else total - summed
            total = total - summed if sense == 0 else total  # goes either way
        return total, value, lax.concatenate(pieces, 0)

    with double_precision():
        return jax.make_jaxpr(both)(jax.ShapeDtypeStruct(cost.in_avals[0].shape, np.float64))


def _all_equations(jaxpr: Any) -> Any:
    """The equations of a jaxpr and of the calls inside it."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jex.jaxprs_in_params(equation.params):
            yield from _all_equations(inner)


def _replaceable(reading: Reading, known: dict[Any, Pattern], most: int) -> list[_Kink]:
    """Kinks the cost goes the right way with, in the order of the trace; sums in order where `most` is enough."""
    inside = smooth_inside(reading, known)
    ways = directions(reading, ranges(reading), known, inside)
    sums = ordered_sums(reading)
    found = []
    for index, equation in enumerate(reading.equations):
        out = equation.outvars[0]
        if index in inside or out not in reading.varies or out.aval.dtype != np.float64 or not out.aval.size:
            continue
        ordered = sums.get(out)
        if ordered is not None and ordered.size <= 2 * most:
            kind = "sum of largest" if ordered.sign > 0.0 else "sum of smallest"
            kink: _Kink | None = _Kink(index, kind, (ordered.operand,), (), out, ordered=ordered)
        else:
            kink = _kink(index, equation, known.get(out))
        if kink is None:
            kink = _norm(reading, index, equation, known.get(out))
        if kink is None or ways[out] not in (REPLACED[kink.kind], Way.NEITHER):
            continue
        of_numbers = kink.parts is not None or (
            any(reading.depends(atom) for atom in kink.operands) and kink.operands[0].aval.dtype == np.float64
        )
        if of_numbers:
            found.append(kink)
    return found


def _norm(reading: Reading, index: int, equation: Any, pattern: Pattern | None) -> _Kink | None:
    parts = norm_of(reading, equation, pattern)
    out = equation.outvars[0]
    return None if parts is None else _Kink(index, "norm", (out,), (), out, parts=parts)


def _kink(index: int, equation: Any, pattern: Pattern | None) -> _Kink | None:
    name, out = equation.primitive.name, equation.outvars[0]
    if pattern is not None:
        alike = (
            atom.aval.shape in ((), out.aval.shape) or (pattern.sides and atom.aval.size == out.aval.size)
            for atom in pattern.operands
        )
        if pattern.name not in REPLACED or not all(alike):
            return None
        return _Kink(index, pattern.name, tuple(pattern.operands), (), out, pattern.sides)
    if name not in REPLACED or (name == "abs" and equation.invars[0].aval.dtype.kind == "c"):
        return None
    axes = tuple(equation.params["axes"]) if name.startswith("reduce") else ()
    if name.startswith("reduce") and not axes:
        return None
    return _Kink(index, name, tuple(equation.invars), axes, out)


def _lifted(reading: Reading, kinks: list[_Kink], y: Any, conic: bool) -> tuple[Any, ...]:
    """Cost, equations and parts of the program at y, recorded anew, and what is taken along; `conic` as in `Split`."""
    jaxpr = reading.closed.jaxpr
    values: dict[Any, Any] = dict(zip(jaxpr.constvars, reading.closed.consts, strict=True))
    values[reading.x] = lax.slice(y, (0,), (reading.n,))
    if reading.x.aval.shape != (reading.n,):
        values[reading.x] = lax.reshape(values[reading.x], reading.x.aval.shape)
    at = {kink.index: kink for kink in kinks}
    start = reading.n
    rows, parts = [jax.numpy.zeros(0)], [jax.numpy.zeros(0)]
    for index, equation in enumerate(reading.equations):
        kink = at.get(index)
        if kink is None:
            run_equation(equation, values, jaxpr)
            continue
        if kink.parts is not None:
            values[kink.out], part = _radius(kink, values, y, start, conic)
            parts.append(part)
            start += kink.size
            continue
        if kink.ordered is not None:
            values[kink.out], residual = _sum_in_order(kink, values, y, start)
        else:
            operands = [_array(atom, values, kink) for atom in kink.operands]
            values[kink.out], residual = _replaced(kink, operands, y, start)
        rows.append(lax.reshape(residual, (residual.size,)))
        start += kink.size
    joined = [lax.concatenate(pieces[1:] or pieces, 0) for pieces in (rows, parts)]
    return read_atom(reading.out, values), *joined, *(read_atom(var, values) for var in jaxpr.outvars[1:])


def _radius(kink: _Kink, values: dict[Any, Any], y: Any, start: int, conic: bool) -> tuple[Any, Any]:
    """What stands for a norm, and all that it is taken of in a row.

    Where t is zero it stands for nothing but t: u is then held at zero too.
    """
    assert kink.parts is not None
    t = lax.reshape(lax.slice(y, (start,), (start + kink.size,)), kink.out.aval.shape)
    u = kink.parts.of(lambda atom: jax.numpy.asarray(read_atom(atom, values)))
    if conic:
        return t, lax.reshape(u, (u.size,))
    is_open = t > 0.0
    size = jax.numpy.where(is_open, t, 1.0)
    bent = jax.numpy.sum(u * (u / size[..., None]), axis=-1)
    return jax.numpy.where(is_open, 0.5 * (bent + t), t), lax.reshape(u, (u.size,))


def _sum_in_order(kink: _Kink, values: dict[Any, Any], y: Any, start: int) -> tuple[Any, Any]:
    """What stands for a sum of sorted values z, and the equations z - t = p - q of each of its thresholds."""
    ordered = kink.ordered
    assert ordered is not None
    shape = len(ordered.steps), ordered.rows, ordered.count
    z = ordered.in_rows(jax.numpy.asarray(read_atom(ordered.operand, values)))
    t = lax.reshape(lax.slice(y, (start,), (start + ordered.levels,)), shape[:2])
    sides = lax.reshape(lax.slice(y, (start + ordered.levels,), (start + kink.size,)), (2, *shape))
    total = ordered.least * jax.numpy.sum(z)
    for (k, rise), level, above in zip(ordered.steps, t, sides[0], strict=True):
        total = total + rise * (k * jax.numpy.sum(level) + jax.numpy.sum(above))
    return lax.reshape(ordered.sign * total, kink.out.aval.shape), z - t[..., None] - sides[0] + sides[1]


def _array(atom: Any, values: dict[Any, Any], kink: _Kink) -> Any:
    shape = kink.operands[0].aval.shape if kink.axes else kink.out.aval.shape
    value = jax.numpy.asarray(read_atom(atom, values), dtype=np.float64)
    if kink.sides is not None and value.size == kink.out.aval.size:
        return lax.reshape(value, shape)
    return value if value.shape == shape else jax.numpy.broadcast_to(value, shape)


def _replaced(kink: _Kink, operands: list[Any], y: Any, start: int) -> tuple[Any, Any]:
    """What stands for the result of a kink, and the equations that tie it to its operands."""
    shape, size = kink.out.aval.shape, int(kink.out.aval.size)
    first = lax.reshape(lax.slice(y, (start,), (start + size,)), shape)
    inner = operands[0].shape
    second = lax.reshape(lax.slice(y, (start + size,), (start + kink.size,)), inner)
    if kink.kind == "abs":
        return first + second, operands[0] - first + second
    if kink.sides is not None:
        (p, offset), (q, _) = kink.sides.above, kink.sides.below
        p, q, offset = (np.broadcast_to(numbers, (size,)).reshape(shape) for numbers in (p, q, offset))
        difference = operands[0] - operands[1] if len(operands) == 2 else operands[0]
        return p * first - q * second + offset, difference - first + second
    if kink.axes:
        kept = tuple(axis for axis in range(len(inner)) if axis not in kink.axes)
        spread = lax.broadcast_in_dim(first, inner, kept)
        return first, operands[0] + (second if kink.kind == "reduce_max" else -second) - spread
    a, b = operands
    residual = a - b - first + second
    return (b + first if kink.kind in ("max", "maximum") else b - second), residual


def _lift(reading: Reading, kinks: list[_Kink]) -> Callable[[Vector], Vector]:
    """x (n,) to the y whose equations hold with nothing to spare."""
    wanted = [atom for kink in kinks for atom in kink.operands if isinstance(atom, jex.Var)]
    operands = eliminate_dead(with_outputs(reading.closed, wanted))

    def lift(x: Vector) -> Vector:
        try:
            found = iter(evaluate(operands, np.reshape(x, reading.x.aval.shape)))
        except (NoRule, ValueError, TypeError) as error:
            raise ArithmeticError(str(error)) from error
        pieces = [np.ravel(x)]
        for kink in kinks:
            values = [next(found) if isinstance(atom, jex.Var) else atom.val for atom in kink.operands]
            if kink.parts is not None:
                pieces.append(np.ravel(values[0]))
            elif kink.ordered is not None:
                z = kink.ordered.in_rows(np.asarray(values[0]))
                t = kink.ordered.thresholds(z)
                beyond = z - t[..., None]
                pieces += [np.ravel(t), np.ravel(np.maximum(beyond, 0.0)), np.ravel(np.maximum(-beyond, 0.0))]
            elif kink.axes:
                z = np.asarray(values[0])
                top = (np.max if kink.kind == "reduce_max" else np.min)(z, axis=kink.axes, keepdims=True)
                pieces += [np.ravel(top), np.ravel(np.abs(top - z))]
            else:
                z = values[0] if len(values) == 1 else np.subtract(*map(np.ravel, values))
                z = np.broadcast_to(np.ravel(z), (kink.out.aval.size,))
                pieces += [np.ravel(np.maximum(z, 0.0)), np.ravel(np.maximum(-z, 0.0))]
        return np.concatenate(pieces).astype(np.float64)

    return lift
