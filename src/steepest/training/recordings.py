"""A cost recorded a few times for all: any number of rows, in single and in double precision, from two recordings.

To record a cost and to differentiate it takes as long as a pass over some ten thousand rows, and a run asks for both
several times: for blocks of rows, for samples, for a few telling rows, and once more in double precision. Two
recordings with different numbers of rows say where that number stands in the equations; in its place stands `MANY` from
then on, a number that stands nowhere else, and the slope is found for so many rows once. Whatever does not fit word by
word (a shape that is twice the rows, a branch on how many there are) is recorded anew each time, as are all precisions
of which no recording has been compared, and more rows than any recording had.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax.extend.core as jex
import numpy as np

from ..numerics import accelerated
from ..parameters import Layout
from ..tracing.batched import BatchCost, numbers_in
from ..tracing.passes import common_subexpressions, eliminate_dead, inline, simplify
from .job import recorded_for
from .resident import full_precision

# Stands for the number of rows: a prime that float32 holds exactly. A number as large that is another one (the rows
# less one, twice the rows) was made from it.
MANY = 1_000_003
LARGE = MANY // 4
# Up to so many times the rows, and parts of them, are looked out for.
MULTIPLES = 64
# Constants of more elements are not compared.
MOST_COMPARED = 1 << 16
# What a parameter of an equation may be beside numbers, types and collections of them: nothing that can hide a shape.
PLAIN = (bool, np.bool_, str, bytes, type(None), type, enum.Enum)


class _Unlike(Exception):
    """Two recordings, or one and its translation, differ by more than rows and precision."""


@dataclass
class Recordings:
    """What one cost has been recorded as, by rows and precision.

    `functions`: what its callers have made of it.
    """

    cost: Callable[..., Any]
    layout: Layout
    source: Any
    functions: dict[Any, Any] = field(default_factory=dict, repr=False)
    _known: dict[tuple[int, str], BatchCost] = field(default_factory=dict, repr=False)
    _slopes: dict[tuple[int, str], Any] = field(default_factory=dict, repr=False)
    _first: tuple[int, str] | None = None
    _general: BatchCost | None = field(default=None, repr=False)
    _general_slope: Any = field(default=None, repr=False)
    # Precisions in which the general cost has been found to be what was recorded, and the most rows of these
    # recordings: of more, what was the rows need not be, as `min(rows, 1000)`.
    _agreed: set[str] = field(default_factory=set)
    _most: int = 0
    _unlike: bool = False

    def of(self, rows: int, precision: str) -> BatchCost:
        """The cost for so many rows; raises what `record` raises where it has to be recorded."""
        key = rows, precision
        if key not in self._known:
            if not self._is_general(rows, precision):
                return self.anew(rows, precision)
            assert self._general is not None
            try:
                closed = _lowered(self._general.closed, rows, precision)
            except _Unlike:
                self._forget()
                return self.anew(rows, precision)
            self._known[key] = BatchCost(closed, self._general.parameters)
        return self._known[key]

    def anew(self, rows: int, precision: str) -> BatchCost:
        """The cost recorded for so many rows, and compared with what was recorded before."""
        with full_precision():
            recorded = recorded_for(self.cost, self.layout, self.source, rows, precision)
        self._known[rows, precision] = recorded
        self._learn(recorded, rows, precision)
        return recorded

    def of_run(self, rows: int, precision: str) -> BatchCost:
        """The cost recorded as a compiled step takes it: on an accelerator with the digits that one multiplies with."""
        if accelerated():
            return recorded_for(self.cost, self.layout, self.source, rows, precision)
        return self.anew(rows, precision)

    def slope(self, rows: int, precision: str, differentiated: Callable[[BatchCost, Layout], Any]) -> Any:
        """The jaxpr of cost and slope as `differentiated` makes it of the cost, for so many rows."""
        key = rows, precision
        if key not in self._slopes:
            self._slopes[key] = self._lowered_slope(rows, precision, differentiated)
        return self._slopes[key]

    def _is_general(self, rows: int, precision: str) -> bool:
        """Whether the general cost holds for so many rows, in this precision."""
        return self._general is not None and precision in self._agreed and 2 <= rows <= self._most

    def _lowered_slope(self, rows: int, precision: str, differentiated: Callable[..., Any]) -> Any:
        if self._is_general(rows, precision):
            try:
                if self._general_slope is None:
                    wide = "float64" if "float64" in self._agreed else precision
                    with numbers_in(wide):
                        # No number of it may be reckoned with yet: 0.37/MANY does not look as if made from MANY.
                        found = inline(differentiated(self._general, self.layout), keep_derivatives=True)
                        self._general_slope = eliminate_dead(common_subexpressions(found))
                # Shorter, it is evaluated and differentiated once more in less time.
                lowered = _lowered(self._general_slope, rows, precision)
                with numbers_in(precision):
                    return simplify(lowered, keep_derivatives=True)
            except _Unlike:
                self._forget()
        cost = self.of(rows, precision)
        with numbers_in(precision):
            return differentiated(cost, self.layout)

    def _learn(self, recorded: BatchCost, rows: int, precision: str) -> None:
        if self._unlike or rows < 2 or precision == "bfloat16":
            return
        if self._first is None:
            self._first = rows, precision
            return
        before, kind = self._first
        if before == rows:
            return
        one, other = (self._known[self._first], before, kind), (recorded, rows, precision)
        if precision == "float64" and kind != "float64":
            one, other = other, one
        try:
            general = _general(one[0].closed, other[0].closed, one[1], other[1], other[2])
        except _Unlike:
            self._forget()
            return
        self._agreed |= {kind, precision}
        self._most = max(self._most, before, rows)
        if self._general is None or (precision == "float64" and kind != "float64"):
            self._general, self._general_slope = BatchCost(general, recorded.parameters), None
            self._first = one[1], one[2]

    def _forget(self) -> None:
        self._general, self._unlike = None, True


# -- two recordings as one -------------------------------------------------------------------------------------------


def _general(one: Any, other: Any, rows: int, others: int, precision: str) -> Any:
    """`one` with `MANY` in place of its `rows`, if `other` is the same with `others` in place, in `precision`."""
    same: dict[Any, Any] = {}

    def number(a: Any, b: Any) -> Any:
        if a == b or (a != a and b != b):
            found = a
        elif a == rows and b == others:
            found = _in_type_of(a, MANY)
        elif isinstance(a, float | np.floating) and a == 1.0 / rows and b == 1.0 / others:
            found = _in_type_of(a, 1.0 / MANY)
        else:
            raise _Unlike
        if found is a and (a in (MANY, 1.0 / MANY) or _from_many(a)):
            raise _Unlike
        return found

    def literal(a: Any, b: Any) -> Any:
        value, kind = np.asarray(a.val, a.aval.dtype)[()], _kind(a.aval.dtype, precision)
        if kind != b.aval.dtype or a.aval.shape != b.aval.shape:
            raise _Unlike
        theirs, narrow = np.asarray(b.val, kind)[()], value.astype(kind)
        alike = narrow == theirs or (narrow != narrow and theirs != theirs)
        return jex.Literal(number(value, value if alike else theirs), a.aval)

    def atom(a: Any, b: Any) -> Any:
        if isinstance(a, jex.Literal) and isinstance(b, jex.Literal):
            return literal(a, b)
        if isinstance(a, jex.Literal) or isinstance(b, jex.Literal) or same.get(a, (None,))[0] is not b:
            raise _Unlike
        return same[a][1]

    def variable(a: Any, b: Any) -> Any:
        shape = value(tuple(a.aval.shape), tuple(b.aval.shape))
        if _kind(a.aval.dtype, precision) != b.aval.dtype or a.aval.weak_type != b.aval.weak_type:
            raise _Unlike
        made = jex.Var(a.aval.update(shape=shape))
        same[a] = b, made
        return made

    def value(a: Any, b: Any) -> Any:
        if isinstance(a, np.dtype):
            if not isinstance(b, np.dtype) or _kind(a, precision) != b:
                raise _Unlike
            return a
        if type(a) is not type(b):
            raise _Unlike
        if isinstance(a, bool | np.bool_):
            return number(a, b)
        if isinstance(a, int | float | np.number):
            return number(a, b)
        if isinstance(a, jex.ClosedJaxpr):
            return closed(a, b)
        if isinstance(a, tuple | list):
            if len(a) != len(b):
                raise _Unlike
            return _like(a, [value(x, y) for x, y in zip(a, b, strict=True)])
        if not (a is b or (not isinstance(a, np.ndarray) and bool(a == b))):
            raise _Unlike
        return a

    def closed(a: Any, b: Any) -> Any:
        _compare_constants(a.consts, b.consts, precision)
        return a.replace(jaxpr=_rewritten(a.jaxpr, b.jaxpr, variable, atom, value))

    return closed(one, other)


def _lowered(general: Any, rows: int, precision: str) -> Any:
    """The equations for so many rows, in this precision."""
    places: dict[Any, Any] = {}

    def number(a: Any) -> Any:
        if a == MANY:
            return _in_type_of(a, rows)
        if isinstance(a, float | np.floating):
            for sign in (1.0, -1.0):
                if a == sign * MANY:
                    return type(a)(sign * rows)
                if a == sign / MANY:
                    return type(a)(sign / rows)
        if _from_many(a):
            raise _Unlike
        return a

    def atom(a: Any, _: Any) -> Any:
        if not isinstance(a, jex.Literal):
            return places[a]
        found = number(np.asarray(a.val, a.aval.dtype)[()])
        kind = _kind(a.aval.dtype, precision)
        return jex.Literal(np.asarray(found, kind)[()], a.aval.update(dtype=kind))

    avals: dict[Any, Any] = {}  # there are few different ones

    def variable(a: Any, _: Any) -> Any:
        aval = a.aval
        if aval not in avals:
            avals[aval] = aval.update(shape=value(aval.shape), dtype=_kind(aval.dtype, precision))
        made = jex.Var(avals[aval])
        places[a] = made
        return made

    def value(a: Any, _: Any = None) -> Any:
        if isinstance(a, np.dtype):
            return _kind(a, precision)
        if isinstance(a, PLAIN):
            return a
        if isinstance(a, int | float | np.number):
            return number(a)
        if isinstance(a, jex.ClosedJaxpr):
            return closed(a)
        if isinstance(a, tuple | list):
            return _like(a, [value(x) for x in a])
        raise _Unlike

    def closed(a: Any) -> Any:
        if any(size >= LARGE for array in a.consts for size in array.shape):
            raise _Unlike
        consts = [np.asarray(array, _kind(np.dtype(array.dtype), precision)) for array in a.consts]
        return jex.ClosedJaxpr(_rewritten(a.jaxpr, a.jaxpr, variable, atom, value), consts)

    return closed(general)


def _rewritten(a: Any, b: Any, variable: Any, atom: Any, value: Any) -> Any:
    """The jaxpr `a`, beside `b`, with each variable, atom and parameter rewritten."""
    sizes = [(len(x.invars), len(x.constvars), len(x.outvars), len(x.eqns)) for x in (a, b)]
    if sizes[0] != sizes[1]:
        raise _Unlike
    constvars = [variable(x, y) for x, y in zip(a.constvars, b.constvars, strict=True)]
    invars = [variable(x, y) for x, y in zip(a.invars, b.invars, strict=True)]
    equations = []
    for mine, theirs in zip(a.eqns, b.eqns, strict=True):
        if mine.primitive is not theirs.primitive or mine.effects or theirs.effects:
            raise _Unlike
        if len(mine.invars) != len(theirs.invars) or mine.params.keys() != theirs.params.keys():
            raise _Unlike
        read = [atom(x, y) for x, y in zip(mine.invars, theirs.invars, strict=True)]
        params = {name: value(mine.params[name], theirs.params[name]) for name in mine.params}
        made = [variable(x, y) for x, y in zip(mine.outvars, theirs.outvars, strict=True)]
        equations.append(mine.replace(invars=read, outvars=made, params=params))
    outvars = [atom(x, y) for x, y in zip(a.outvars, b.outvars, strict=True)]
    return a.replace(constvars=constvars, invars=invars, outvars=outvars, eqns=equations)


def _compare_constants(mine: Sequence[Any], theirs: Sequence[Any], precision: str) -> None:
    """Raises where a constant depends on the rows, or is too large to be compared."""
    for a, b in zip(mine, theirs, strict=True):
        if a is b:
            continue
        if a.shape != b.shape or a.size > MOST_COMPARED:
            raise _Unlike
        kind = _kind(np.dtype(a.dtype), precision)
        if kind != b.dtype or not np.array_equal(np.asarray(a).astype(kind), b, equal_nan=kind.kind in "fc"):
            raise _Unlike


def _from_many(a: Any) -> bool:
    """Whether a number looks as if it had been made from `MANY`."""
    if isinstance(a, complex | np.complexfloating):
        return False
    if not isinstance(a, float | np.floating):
        return bool(LARGE <= abs(int(a)) <= MULTIPLES * MANY)
    size = abs(float(a))
    if not LARGE / MULTIPLES <= max(size, 1.0 / size if size else 0.0) <= MULTIPLES * MANY:
        return False
    parts = [size / MANY, MANY / size, size * MANY, 1.0 / (size * MANY)]
    return any(0.5 < part <= MULTIPLES and abs(part - round(part)) <= 1e-7 * part for part in parts)


def _in_type_of(a: Any, number: float) -> Any:
    """The number in the type of `a`, which must hold it."""
    if type(a) in (int, float):
        return type(a)(number)
    with np.errstate(over="ignore"):
        try:
            found = type(a)(number)
        except OverflowError:
            raise _Unlike from None
    if isinstance(number, int) and found != number:
        raise _Unlike
    return found


def _like(a: Any, parts: list[Any]) -> Any:
    """The parts in a collection of the kind of `a`."""
    return type(a)(*parts) if hasattr(a, "_fields") else type(a)(parts)


_NARROW = {
    np.dtype(wide): np.dtype(narrow)
    for wide, narrow in (("f8", "f4"), ("i8", "i4"), ("u8", "u4"), ("c16", "c8"))
}


def _kind(dtype: Any, precision: str) -> Any:
    """What a type of double precision is in this one; JAX's own for random keys stays what it is."""
    if not isinstance(dtype, np.dtype):
        return dtype
    kind = np.dtype(dtype)
    return kind if precision == "float64" else _NARROW.get(kind, kind)
