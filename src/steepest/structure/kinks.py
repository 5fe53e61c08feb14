"""Where may the cost have a kink or a jump? The operations that make one, and how far from it a point is."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..tracing.passes import eliminate_dead, with_outputs
from ..tracing.primitives import NoRule, prepared
from .loops import FOLLOWED, kinked_loops
from .patterns import Pattern
from .reading import Reading

Vector = np.ndarray

# Operations whose slope changes abruptly, or whose value jumps, with a word for people.
KINKED = {
    "abs": "abs", "max": "maximum", "min": "minimum", "sqrt": "square root at zero", "cbrt": "cube root at zero",
    "reduce_max": "max", "reduce_min": "min", "sort": "sort", "clamp": "clip", "cummax": "running maximum",
    "cummin": "running minimum", "reduce_precision": "rounding", "eigh": "equal eigenvalues",
    "svd": "equal or zero singular values",
}  # fmt: skip
JUMPING = {
    "sign": "sign", "floor": "floor", "ceil": "ceil", "round": "round", "argmax": "argmax",
    "argmin": "argmin", "select_n": "where",
}  # fmt: skip


def _difference(a: Any, b: Any = 0.0) -> Any:
    return np.subtract(a, b)


# Well-known functions that have one kink, whatever operations they are written with.
PATTERN_SITES: dict[str, tuple[str, Callable[..., Any]]] = {
    "hypot": ("hypot at zero", np.hypot),
    "maximum": ("maximum", np.subtract),
    "minimum": ("minimum", np.subtract),
    "convex choice": ("where", _difference),
    "concave choice": ("where", _difference),
    "square root": ("square root at zero", np.abs),
}

# What `tracing.settled` ends a method of its own with: how it found something makes no kink.
METHODS = "optimization_barrier"
# Calls that are not looked into.
CLOSED = frozenset({"custom_root", "pure_callback"})

# Operations that find whole numbers, places of rows or entries. In what order LU takes the rows of a matrix makes no
# difference to a solution or a determinant; the others have a site of their own.
FINDING = frozenset({"lu", "lu_pivots_to_permutation", "argmax", "argmin"})

# Operations that make whole numbers of others, and have a site of their own.
WHOLE = frozenset({"floor", "ceil", "round", "sign"})

# Comparisons that split the parameters in two; where the sides meet the branches may not.
COMPARISONS = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})


@dataclass(frozen=True)
class Site:
    """One operation with a kink: its `word`, the user's `line` ("" if unknown), whether the value `jumps`.

    `operands`: the variables its gap is computed from, by `gap`. `made`: the variable that has the kink.
    """

    word: str
    line: str
    jumps: bool
    operands: tuple[Any, ...]
    gap: Callable[..., Any]
    made: Any = None

    def __str__(self) -> str:
        return f"{self.word} on {self.line}" if self.line else self.word


class Kinks:
    """All sites of one cost; false where the operations leave it smooth wherever it is finite.

    `opaque`: there are loops with kinks, or calls that are not looked into, so that a missing site proves nothing.
    """

    def __init__(self, reading: Reading, patterns: dict[Any, Pattern]) -> None:
        self.reading = reading
        names = {e.primitive.name for e in reading.equations if e.outvars[0] in reading.varies}
        self.opaque = bool(names & CLOSED) or (
            bool(names & FOLLOWED) and kinked_loops(reading.closed, frozenset({*KINKED, *JUMPING}))
        )
        self.sites = tuple(_sites(reading, patterns))

    def without(self, replaced: set[Any]) -> Kinks:
        """All but the sites of the variables `replaced`."""
        rest = copy(self)
        rest.sites = tuple(site for site in self.sites if site.made not in replaced)
        return rest

    def __bool__(self) -> bool:
        return bool(self.sites) or self.opaque

    def __len__(self) -> int:
        return len(self.sites)

    @property
    def jumps(self) -> bool:
        """Whether the value itself may jump somewhere: rounding, sign, a choice."""
        return any(site.jumps for site in self.sites)

    @cached_property
    def operand_jaxpr(self) -> Any:
        """A closed jaxpr from x (n,) to the operands of every site, in order: what the gaps are made from."""
        wanted = [atom for site in self.sites for atom in site.operands]
        return eliminate_dead(with_outputs(self.reading.closed, wanted))

    @cached_property
    def _operands(self) -> Callable[..., tuple[Any, ...]]:
        """The same as a function of x (n,): it is asked for at several places around every end of a walk."""
        return prepared(self.operand_jaxpr)

    def gaps(self, x: Vector) -> list[np.ndarray] | None:
        """For every site how far `x` (n,) is from its kink, elementwise, zero on it; None if not computable.

        The gap is in the units of the operation's operands: the difference of two sides of a maximum, the
        argument of an absolute value.
        """
        if not self.sites:
            return []
        try:
            values = list(self._operands(np.reshape(x, self.reading.x.aval.shape)))
        except (NoRule, ValueError, TypeError):
            return None
        gaps = []
        with np.errstate(all="ignore"):
            for site in self.sites:
                count = len(site.operands)
                gaps.append(np.abs(np.asarray(site.gap(*values[:count]), dtype=np.float64)))
                values = values[count:]
        return gaps

    def near(self, x: Vector, radius: Vector) -> list[Site]:
        """The sites whose kink comes within `radius` (n,) of `x` (n,), judged by how fast their gaps change."""
        here = self.gaps(x)
        if here is None or not here:
            return []
        # Two looks at the distance asked for tell how much a gap can change within it.
        signs = np.where(np.arange(x.size) % 2, -1.0, 1.0)
        aside = [self.gaps(x + radius), self.gaps(x + signs * radius), self.gaps(x - radius)]
        found = []
        with np.errstate(all="ignore"):
            for k, site in enumerate(self.sites):
                reach = np.zeros(())
                for gaps in aside:
                    if gaps is not None:
                        reach = np.maximum(reach, np.abs(gaps[k] - here[k]))
                if here[k].size and (here[k] <= 2.0 * reach).any():
                    found.append(site)
        return found


def _sites(reading: Reading, patterns: dict[Any, Pattern]) -> list[Site]:
    smooth = smooth_inside(reading, patterns) | _of_methods(reading)
    sites = []
    for var, pattern in patterns.items():
        if pattern.name in PATTERN_SITES and reading.made_by[var] not in smooth:
            word, gap = PATTERN_SITES[pattern.name]
            sites.append(Site(word, reading.place(reading.producer(var)), False, pattern.operands, gap, var))
    told = {reading.made_by[var] for var, pattern in patterns.items() if pattern.name in PATTERN_SITES}
    for index, equation in enumerate(reading.equations):
        if equation.outvars[0] not in reading.varies or index in smooth or index in told:
            continue
        name = equation.primitive.name
        if name == "select_n":
            site = _choice(reading, equation)
        elif name == "convert_element_type":
            site = _integer(reading, equation) or _truth_value(reading, equation)
        elif name in _GAPS and (name in KINKED or name in JUMPING):
            if name == "sqrt" and not _reaches_zero(reading, equation):
                continue
            jumps = name in JUMPING
            word = JUMPING[name] if jumps else KINKED[name]
            operands = _GAPS[name][0](equation)
            gap, made = _GAPS[name][1](equation), equation.outvars[0]
            site = Site(word, reading.place(equation), jumps, operands, gap, made)
        else:
            continue
        if site is not None:
            sites.append(site)
    return sites


def smooth_inside(reading: Reading, patterns: dict[Any, Pattern]) -> set[int]:
    """Equations that only serve inside a function that is smooth as a whole, or has a site of its own."""
    smooth: set[int] = set()
    for var, pattern in patterns.items():
        outer = reading.made_by[var]
        operands = [atom for atom in pattern.operands if reading.depends(atom)]
        given = {reading.made_by.get(end, -1) for atom in operands for end in (atom, reading.plain(atom))}
        inside = {outer}
        # Backwards: what only the inside reads is inside too, down to the operands.
        for index in range(outer - 1, -1, -1):
            users = {use for out in reading.equations[index].outvars for use in reading.uses.get(out, ())}
            if index not in given and users and users <= inside:
                inside.add(index)
        smooth |= inside - {outer}
        if pattern.name == "same":
            smooth.add(outer)
    return smooth


def _of_methods(reading: Reading) -> set[int]:
    """Equations that only serve a method to find or decide something, as the first step of an integration."""
    ends = {atom for atom in reading.closed.jaxpr.outvars if not hasattr(atom, "val")}
    found: set[int] = set()
    for index in range(len(reading.equations) - 1, -1, -1):
        equation = reading.equations[index]
        users = {use for out in equation.outvars for use in reading.uses.get(out, ())}
        if equation.primitive.name == METHODS or (
            users and users <= found and ends.isdisjoint(equation.outvars)
        ):
            found.add(index)
    return found


def _choice(reading: Reading, equation: Any) -> Site | None:
    """A choice between branches by a comparison of parameters: a kink where its two sides are equal."""
    return _where_sides_meet(reading, equation, "where")


def _truth_value(reading: Reading, equation: Any) -> Site | None:
    """A comparison of parameters that is counted as a number: a jump where its two sides are equal."""
    source, target = equation.invars[0].aval.dtype, equation.outvars[0].aval.dtype
    counted = source.kind == "b" and target.kind != "b"
    return _where_sides_meet(reading, equation, "comparison") if counted else None


def _where_sides_meet(reading: Reading, equation: Any, word: str) -> Site | None:
    """The site of an operation on a comparison, its first operand; None where parameters are not compared."""
    which = equation.invars[0]
    if not reading.depends(which):
        return None
    sides: list[Any] = []
    waiting = [which]
    while waiting:
        which = waiting.pop()
        made = reading.producer(which)
        if made is None:
            continue
        name = made.primitive.name
        if name in COMPARISONS and not _is_counted(made.invars[0]):
            if name == "ne" and made.invars[0] is made.invars[1]:
                continue
            sides.extend(made.invars)
        elif name in ("is_finite", METHODS) or name in FINDING:
            continue
        else:
            # Whole numbers differ where what they count does; what rounds to one has a site of its own.
            counts = which.aval.dtype.kind in "iu"
            waiting.extend(
                atom for atom in made.invars if reading.depends(atom) and (_is_counted(atom) or not counts)
            )
    if not sides:
        return None

    def gap(*values: Any) -> Any:
        pairs = [
            np.ravel(np.subtract(a, b, dtype=np.float64))
            for a, b in zip(values[::2], values[1::2], strict=True)
        ]
        return np.concatenate(pairs)

    return Site(word, reading.place(equation), True, tuple(sides), gap)


def _is_counted(atom: Any) -> bool:
    """Whether something is a whole number or a truth value."""
    return atom.aval.dtype.kind in "iub"


def _integer(reading: Reading, equation: Any) -> Site | None:
    source, target = equation.invars[0].aval.dtype, equation.outvars[0].aval.dtype
    if source.kind != "f" or target.kind not in "iu":
        return None
    made = reading.producer(reading.root(equation.invars[0]))
    if made is not None and made.primitive.name in WHOLE:
        return None
    return Site(
        "conversion to integers", reading.place(equation), True, (equation.invars[0],), _to_whole_number
    )


def _reaches_zero(reading: Reading, equation: Any) -> bool:
    """Whether a root can be taken at zero at all: not of a positive constant plus squares."""
    inner = reading.producer(reading.root(equation.invars[0]))
    if inner is None or inner.primitive.name != "add":
        return True
    for atom in inner.invars:
        value = None if reading.depends(atom) else reading.constant(atom)
        if value is not None and np.size(value) and float(np.min(value)) > 0.0:
            other = [a for a in inner.invars if a is not atom]
            made = reading.producer(reading.root(other[0])) if other else None
            return not (
                made is not None
                and made.primitive.name in ("square", "integer_pow", "abs", "exp", "reduce_sum")
            )
    return True


def _to_whole_number(value: Any) -> Any:
    return value - np.round(value)


def _to_half(value: Any) -> Any:
    return value - np.floor(value) - 0.5


def _lead(axes: tuple[int, ...]) -> Callable[[Any], Any]:
    """Distance between the largest and the next largest element, for each result."""

    def gap(values: Any) -> Any:
        ordered = np.sort(_gathered(values, axes), axis=-1)
        return ordered[..., -1] - ordered[..., -2] if ordered.shape[-1] > 1 else np.inf

    return gap


def _trail(axes: tuple[int, ...]) -> Callable[[Any], Any]:
    return lambda values: _lead(axes)(-np.asarray(values, dtype=np.float64))


def _gathered(values: Any, axes: tuple[int, ...]) -> np.ndarray:
    values = np.moveaxis(np.asarray(values, dtype=np.float64), axes, range(-len(axes), 0))  # truth values too
    return values.reshape(*values.shape[: values.ndim - len(axes)], -1)


def _neighbours(values: Any, axis: int) -> Any:
    return (
        np.diff(np.sort(np.asarray(values), axis=axis), axis=axis) if np.shape(values)[axis] > 1 else np.inf
    )


def _axes(equation: Any) -> tuple[int, ...]:
    return tuple(equation.params["axes"])


def _whole(equation: Any) -> tuple[Any, ...]:
    return (equation.invars[0],)


def _both(equation: Any) -> tuple[Any, ...]:
    return tuple(equation.invars)


def _values_of_matrix(equation: Any) -> tuple[Any, ...]:
    """The eigenvalues or singular values, beside which vectors may be returned."""
    return (min(equation.outvars, key=lambda var: len(var.aval.shape)),)


def _singular_gap(values: Any) -> Any:
    """Singular values have a kink where they meet, and the smallest one where it is zero."""
    values = np.asarray(values)
    return np.concatenate([-np.diff(values, axis=-1), values[..., -1:]], axis=-1)


def _clip_gap(low: Any, x: Any, high: Any) -> Any:
    return np.minimum(np.abs(np.subtract(x, low)), np.abs(np.subtract(high, x)))


# Primitive to the operands its gap is made from, and the gap as a function of their values.
_GAPS: dict[str, tuple[Callable[[Any], tuple[Any, ...]], Callable[[Any], Callable[..., Any]]]] = {
    "abs": (_whole, lambda e: np.abs), "sign": (_whole, lambda e: np.abs), "sqrt": (_whole, lambda e: np.abs),
    "cbrt": (_whole, lambda e: np.abs), "max": (_both, lambda e: np.subtract), "min": (_both, lambda e: np.subtract),
    "floor": (_whole, lambda e: _to_whole_number), "ceil": (_whole, lambda e: _to_whole_number),
    "round": (_whole, lambda e: _to_half), "clamp": (_both, lambda e: _clip_gap),
    "reduce_max": (_whole, lambda e: _lead(_axes(e))), "reduce_min": (_whole, lambda e: _trail(_axes(e))),
    "argmax": (_whole, lambda e: _lead(_axes(e))), "argmin": (_whole, lambda e: _trail(_axes(e))),
    "sort": (_whole, lambda e: lambda v: _neighbours(v, e.params["dimension"])),
    "cummax": (_whole, lambda e: lambda v: _neighbours(v, e.params["axis"])),
    "cummin": (_whole, lambda e: lambda v: _neighbours(v, e.params["axis"])),
    "eigh": (_values_of_matrix, lambda e: lambda v: _neighbours(v, -1)),
    "svd": (_values_of_matrix, lambda e: _singular_gap),
}  # fmt: skip
