"""Choices by the sign of a difference: what a variable is on either side of where the difference is zero.

A quantile loss is written in many ways: `np.where(r > 0, q * r, (q - 1) * r)`, `(q - (r < 0)) * r`, or by comparing the
data with the model. Each is one multiple of a difference where that is positive, and another where it is negative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .reading import Reading

Numbers = np.ndarray
Line = tuple[Numbers, Numbers]

# Operations that a bend may begin with, and what they are as numbers where the first operand is larger than the second
# (that of `sign`: than zero), where it is smaller, and where the two are equal.
BENDING = {
    "gt": (1.0, 0.0, 0.0), "ge": (1.0, 0.0, 1.0), "lt": (0.0, 1.0, 0.0), "le": (0.0, 1.0, 1.0),
    "sign": (1.0, -1.0, 0.0),
}  # fmt: skip

# Operations that keep every element in its place.
KEPT = frozenset({"reshape", "squeeze", "expand_dims", "broadcast_in_dim", "copy", "copy_p"})

# A multiple of a difference is looked for through so many operations at most.
DEEPEST = 12


@dataclass(frozen=True)
class Sides:
    """slope·d + offset on either side of where d is zero: `above` (slope, offset) where d > 0, `below` where d < 0.

    `difference`: the two atoms d is the difference of, or one that d is. `between`: the number where d is zero, which
    is a third one where both sides are strict. All numbers are one, or one for each element in flat order.
    """

    difference: tuple[Any, ...]
    above: Line
    below: Line
    between: Numbers

    @property
    def lines(self) -> tuple[Line, Line, Line]:
        """Above, below and between."""
        return self.above, self.below, (np.zeros(1), self.between)

    @property
    def bend(self) -> int:
        """1 where the slope rises from below to above in every element that it changes in, -1 where it falls.

        0 where it does neither, changes nowhere, or the two sides do not meet in what it is between them.
        """
        change = self.above[0] - self.below[0]
        meet = all(np.all(side[1] == self.between) for side in (self.above, self.below))
        if not meet or not np.any(change):
            return 0
        return 1 if np.all(change >= 0.0) else -1 if np.all(change <= 0.0) else 0

    @property
    def way(self) -> int:
        """1 where it never falls with d, -1 where it never rises with it, else 0."""
        slopes = (self.above[0], self.below[0])
        return (
            1 if all(np.all(s >= 0.0) for s in slopes) else -1 if all(np.all(s <= 0.0) for s in slopes) else 0
        )

    @property
    def sign(self) -> int:
        """1 where it is nowhere negative, -1 where it is nowhere positive, else 0."""
        (p, c), (q, e) = self.above, self.below
        for sign in (1, -1):
            rises = np.all(sign * p >= 0.0) and np.all(sign * q <= 0.0)
            if rises and all(np.all(sign * numbers >= 0.0) for numbers in (c, e, self.between)):
                return sign
        return 0

    def turned(self, difference: tuple[Any, ...]) -> Sides:
        """The same by `difference`, which is the negative of its own."""
        (p, c), (q, e) = self.above, self.below
        return Sides(difference, (-q, e), (-p, c), self.between)


class Choices:
    """What is known of the variables of one reading, whose equations are told in their order.

    `same(one, other)`: whether two atoms, one of them a constant, hold the same numbers.
    """

    def __init__(self, reading: Reading, same: Callable[[Any, Any], bool]) -> None:
        self.reading, self.same = reading, same
        self.known: dict[Any, Sides] = {}

    def read(self, equation: Any) -> Sides | None:
        """What the result of `equation` is on the sides of a difference; None where nothing is chosen by one."""
        name = equation.primitive.name
        if name in BENDING:
            found = self._compared(equation, *BENDING[name])
        else:
            found = self._combined(name, equation) if self.known and name in _RULES else None
        if found is not None:
            self.known[equation.outvars[0]] = found
        return found

    def _compared(self, equation: Any, larger: float, smaller: float, equal: float) -> Sides | None:
        if equation.invars[0].aval.dtype.kind != "f":
            return None
        difference = tuple(atom for atom in equation.invars if not self.reading.is_number(atom, 0.0))
        above, below = ((np.zeros(1), np.full(1, number)) for number in (larger, smaller))
        if len(difference) == 1 and difference[0] is not equation.invars[0]:  # 0 < a: the difference is -a
            above, below = below, above
        return Sides(difference, above, below, np.full(1, equal)) if difference else None

    def _combined(self, name: str, equation: Any) -> Sides | None:
        atoms = [self._plain(atom) for atom in equation.invars]
        first = next((self.known[a] for a in atoms if self.reading.depends(a) and a in self.known), None)
        size = equation.outvars[0].aval.size
        if first is None or equation.outvars[0].aval.dtype.kind not in _KINDS.get(name, "if"):
            return None
        parts = [self._of(atom, first.difference, size) for atom in equation.invars]
        if any(part is None for part in parts):
            return None
        with np.errstate(all="ignore"):
            lines = [
                _RULES[name](*each) for each in zip(*(part.lines for part in parts if part), strict=True)
            ]
        if any(line is None or not all(np.all(np.isfinite(numbers)) for numbers in line) for line in lines):
            return None
        above, below, (_, between) = lines  # type: ignore[misc]
        return Sides(first.difference, above, below, between)  # type: ignore[arg-type]

    def _of(self, atom: Any, difference: tuple[Any, ...], size: int) -> Sides | None:
        """`atom` on the sides of `difference`, its numbers one or `size`."""
        known = self.known.get(self._plain(atom)) if self.reading.depends(atom) else None
        if known is not None:
            sign = self._sign(known.difference, difference)
            return None if not sign else known if sign > 0 else known.turned(difference)
        line = self._line(atom, difference, size, DEEPEST)
        return line and Sides(difference, line, line, line[1])

    def _line(self, atom: Any, difference: tuple[Any, ...], size: int, depth: int) -> Line | None:
        """`atom` as slope·d + offset, the same on both sides."""
        if not self.reading.depends(atom):
            value = self.reading.constant(atom)
            fits = (
                value is not None and np.size(value) in (1, size) and np.asarray(value).dtype.kind in "biuf"
            )
            return (np.zeros(1), np.ravel(np.asarray(value, dtype=np.float64))) if fits else None
        atom = self._plain(atom)
        equation = self.reading.producer(atom)
        name = "" if equation is None else equation.primitive.name
        if self._are_same(atom, difference[0]):
            if len(difference) == 1:
                return np.ones(1), np.zeros(1)
            level = (
                None
                if self.reading.depends(difference[1])
                else self._line(difference[1], difference, size, 0)
            )
            return level and (np.ones(1), level[1])
        if name == "sub" and (sign := self._sign(tuple(equation.invars), difference)):  # type: ignore[union-attr]
            return np.full(1, float(sign)), np.zeros(1)
        operands = [] if equation is None else equation.invars
        if name not in ("neg", "mul", "div", "add", "sub") or sum(map(self.reading.depends, operands)) > 1:
            return None
        parts = [self._line(other, difference, size, depth - 1) if depth else None for other in operands]
        if any(part is None for part in parts):
            return None
        with np.errstate(all="ignore"):
            line: Line | None = _RULES[name](*parts)
        return line

    def _sign(self, one: tuple[Any, ...], other: tuple[Any, ...]) -> int:
        """1 for the same difference, -1 for its negative, 0 for others."""
        for sign, atoms in ((1, one), (-1, one[::-1])):
            if (
                len(atoms) == len(other)
                and all(map(self._are_same, atoms, other))
                and (sign > 0 or len(atoms) == 2)
            ):
                return sign
        return 0

    def _are_same(self, one: Any, other: Any) -> bool:
        both = self.reading.depends(one) and self.reading.depends(other)
        return self._plain(one) is self._plain(other) if both else self.same(one, other)

    def _plain(self, atom: Any) -> Any:
        """Where the numbers of `atom` come from, element by element in flat order or one for all."""
        while (equation := self.reading.producer(atom)) is not None:
            source, name = equation.invars[0], equation.primitive.name
            converted = name == "convert_element_type" and atom.aval.dtype.kind == "f"
            if not (converted or name in KEPT) or source.aval.size not in (1, atom.aval.size):
                break
            atom = source
        return atom


def _added(a: Line, b: Line) -> Line:
    return a[0] + b[0], a[1] + b[1]


def _less(a: Line, b: Line) -> Line:
    return a[0] - b[0], a[1] - b[1]


def _times(a: Line, b: Line) -> Line | None:
    return None if np.any(a[0] * b[0]) else (a[0] * b[1] + a[1] * b[0], a[1] * b[1])


def _over(a: Line, b: Line) -> Line | None:
    return None if np.any(b[0]) else (a[0] / b[1], a[1] / b[1])


def _chosen(which: Line, *cases: Line) -> Line | None:
    if len(cases) != 2 or np.any(which[0]):
        return None
    slope, offset = (np.where(which[1] != 0.0, second, first) for first, second in zip(*cases, strict=True))
    return slope, offset


_RULES: dict[str, Callable[..., Line | None]] = {
    "add": _added, "sub": _less, "mul": _times, "div": _over, "select_n": _chosen,
    "neg": lambda a: (-a[0], -a[1]), "not": lambda a: (a[0], 1.0 - a[1]),
    "and": lambda a, b: (a[0], a[1] * b[1]), "or": lambda a, b: (a[0], np.maximum(a[1], b[1])),
}  # fmt: skip

# The types of results that the rules are true of: whole numbers are divided otherwise, and their bits are combined.
_KINDS = {"div": "f", "and": "b", "or": "b", "not": "b", "select_n": "bif"}
