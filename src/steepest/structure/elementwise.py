"""Elementwise functions of one argument: where they begin, and what they are when they come in pieces.

A robust loss, a hinge or a quantile loss is a function of one number that is applied to every residual. Written with
`np.where`, `np.abs` and `np.maximum` it is a polynomial of degree two or less on each of a few intervals, which
can be worked out exactly: that tells whether it is convex.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import inf, sqrt
from typing import Any, NamedTuple

import numpy as np

from ..numerics import EPS
from .dead import ELEMENTWISE
from .reading import Reading

# Elementwise operations of one argument are looked through as long as there are no more of them than this.
MOST_OPERATIONS = 60

# Functions of more pieces than this are not worked out.
MOST_PIECES = 40

# Values and slopes of neighbouring pieces that differ by less, relative to their size, are the same but for rounding.
SAME = 64 * EPS

_LOOKED_THROUGH = ELEMENTWISE | {
    "select_n", "clamp", "sign", "lt", "le", "gt", "ge", "and", "or", "not", "stop_gradient", "exp2", "logistic",
}  # fmt: skip


def arguments_of(reading: Reading, atom: Any) -> list[Any]:
    """Atoms of the shape of `atom` that each element of it depends on through the same element only.

    The nearest first; `atom` itself is not among them. Constants may come in.
    """
    shape = atom.aval.shape
    front = {atom}
    found = []
    for _ in range(MOST_OPERATIONS):
        latest = max(front, key=lambda a: reading.made_by.get(a, -1))
        equation = reading.producer(latest)
        if equation is None or equation.primitive.name not in _LOOKED_THROUGH:
            break
        front.discard(latest)
        operands = {a for a in equation.invars if reading.depends(a)}
        if any(a.aval.shape != shape for a in operands):
            break
        front |= operands
        if len(front) == 1:
            found.append(next(iter(front)))
    return found


def is_even(reading: Reading, atom: Any, argument: Any) -> bool:
    """Whether `atom` is the same for `argument` and its negative: all that reads the argument squares it or so."""
    front, seen = {atom}, set()
    while front:
        current = front.pop()
        equation = reading.producer(current)
        if current is argument or equation is None:
            return False
        if id(equation) in seen:
            continue
        seen.add(id(equation))
        operands = {a for a in equation.invars if reading.depends(a)}
        if argument in operands:
            if operands != {argument} or not _is_even(equation):
                return False
            operands.clear()
        front |= operands
    return True


def _is_even(equation: Any) -> bool:
    name, operands = equation.primitive.name, equation.invars
    if name == "integer_pow":
        return int(equation.params["y"]) % 2 == 0
    return name in ("square", "abs", "cosh", "cos") or (name == "mul" and operands[0] is operands[1])


class Piece(NamedTuple):
    """From `start` to the next piece: c0 + c1·t + c2·t², or a truth (c0 = 0 or 1).

    `here`: the number at `start` itself, where it is that of neither this piece nor the one before; else None.
    """

    start: float
    c0: float
    c1: float = 0.0
    c2: float = 0.0
    here: float | None = None

    def value(self, t: float) -> float:
        """The value at `start` or behind it."""
        return self.at(t) if self.here is None or t != self.start else self.here

    def at(self, t: float) -> float:
        """The value."""
        return self.c0 + (self.c1 + self.c2 * t) * t if self.c1 or self.c2 else self.c0

    def slope(self, t: float) -> float:
        """The derivative."""
        return self.c1 + 2.0 * self.c2 * t if self.c2 else self.c1

    def size(self, t: float) -> float:
        """The sum of the sizes of the terms, which rounding is measured by."""
        return (
            abs(self.c0) + (abs(self.c1 * t) if self.c1 else 0.0) + (abs(self.c2 * t * t) if self.c2 else 0.0)
        )


Pieces = tuple[Piece, ...]


def pieces_of(reading: Reading, atom: Any, argument: Any) -> Pieces | None:
    """`atom` as a function of `argument`, every element alike; None where it is none of this kind."""
    known: dict[Any, Pieces | None] = {argument: (Piece(-inf, 0.0, 1.0),)}

    def of(atom: Any) -> Pieces | None:
        if not reading.depends(atom):
            value = reading.constant(atom)
            if value is None or np.size(value) == 0:
                return None
            flat = np.ravel(value)
            return (Piece(-inf, float(flat[0])),) if (flat == flat[0]).all() else None
        if atom not in known:
            equation = reading.producer(atom)
            rule = None if equation is None else _RULES.get(equation.primitive.name)
            operands = None if rule is None else [of(operand) for operand in equation.invars]  # type: ignore[union-attr]
            result = (
                None if rule is None or operands is None or None in operands else rule(equation, *operands)
            )
            known[atom] = result if result is None or len(result) <= MOST_PIECES else None
        return known[atom]

    return of(atom)


def is_convex(pieces: Pieces) -> bool:
    """Whether a function in pieces lies below its chords: no piece bends down, and no corner does.

    >>> is_convex((Piece(-inf, 0.0, -1.0), Piece(0.0, 0.0, 2.0)))
    True
    """
    for piece, after in pairwise(pieces):
        t = after.start
        if after.here is not None:
            return False
        if abs(piece.at(t) - after.at(t)) > SAME * (piece.size(t) + after.size(t)):
            return False
        before, then = piece.slope(t), after.slope(t)
        if then < before - SAME * (abs(before) + abs(then)):
            return False
    return all(piece.c2 >= 0.0 for piece in pieces)


def _joined(*functions: Pieces) -> list[tuple[float, float, tuple[Piece, ...]]]:
    """Intervals on which all functions are single pieces: start, end, pieces."""
    starts = sorted({piece.start for pieces in functions for piece in pieces})
    rows = []
    for start, end in zip(starts, [*starts[1:], inf], strict=True):
        rows.append((start, end, tuple([p for p in pieces if p.start <= start][-1] for pieces in functions)))
    return rows


def _simplified(pieces: list[Piece]) -> Pieces:
    kept: list[Piece] = []
    for piece in pieces:
        if not kept or piece[1:4] != kept[-1][1:4] or piece.here is not None:
            kept.append(piece)
    return tuple(kept)


def _made(piece: Piece, parts: tuple[Piece, ...], combine: Callable[..., float]) -> Piece:
    """The piece, made of `parts`, with the number at its start, where one of these has one of its own there."""
    t = piece.start
    if all(part.here is None or part.start != t for part in parts):
        return piece
    return _with_number(
        piece, combine(*(part.value(t) for part in parts)), max(part.size(t) for part in parts)
    )


def _with_number(piece: Piece, number: float, size: float = 0.0) -> Piece:
    """The piece with a number at its start, unless that is its own but for rounding of numbers of a `size`."""
    differ = abs(number - piece.at(piece.start)) > SAME * (piece.size(piece.start) + size)
    return piece._replace(here=number if differ else None)


def _linear(combine: Callable[[float, float], float]) -> Callable[..., Pieces]:
    def rule(equation: Any, a: Pieces, b: Pieces) -> Pieces:
        rows = _joined(a, b)
        return _simplified(
            [
                _made(
                    Piece(s, combine(p.c0, q.c0), combine(p.c1, q.c1), combine(p.c2, q.c2)), (p, q), combine
                )
                for s, _, (p, q) in rows
            ]
        )

    return rule


def _times(equation: Any, a: Pieces, b: Pieces) -> Pieces | None:
    result = []
    for start, _, (p, q) in _joined(a, b):
        if p.c1 * q.c2 or p.c2 * q.c1 or p.c2 * q.c2:
            return None
        product = Piece(
            start, p.c0 * q.c0, p.c0 * q.c1 + p.c1 * q.c0, p.c0 * q.c2 + p.c1 * q.c1 + p.c2 * q.c0
        )
        result.append(_made(product, (p, q), lambda a, b: a * b))
    return _simplified(result)


def _over(equation: Any, a: Pieces, b: Pieces) -> Pieces | None:
    if len(b) > 1 or b[0].c1 or b[0].c2 or not b[0].c0:
        return None
    by = b[0].c0
    return tuple(_made(Piece(p.start, p.c0 / by, p.c1 / by, p.c2 / by), (p,), lambda v: v / by) for p in a)


def _negated(equation: Any, a: Pieces) -> Pieces:
    return tuple(_made(Piece(p.start, -p.c0, -p.c1, -p.c2), (p,), lambda v: -v) for p in a)


def _square(equation: Any, a: Pieces) -> Pieces | None:
    return _times(equation, a, a) if equation.params.get("y", 2) == 2 else None


def _signs(a: Pieces) -> list[tuple[float, int, int, Piece]]:
    """Start, sign, sign at the start itself and piece of each interval on which a function keeps its sign."""
    rows = []
    for start, end, (p,) in _joined(a):
        roots = sorted(t for t in _roots(p) if start < t < end)
        for left, right in zip([start, *roots], [*roots, end], strict=True):
            sign = int(np.sign(p.at(_between(left, right))))
            number = 0.0 if left in roots else float(sign) if left == -inf else p.value(left)
            near_zero = left > -inf and abs(number) <= SAME * p.size(left)
            rows.append((left, sign, 0 if near_zero else int(np.sign(number)), p))
    return rows


def _roots(p: Piece) -> list[float]:
    if p.c2:
        terms = (p.c1 * p.c1, 4.0 * p.c2 * p.c0)
        within = terms[0] - terms[1]
        if within < -SAME * (terms[0] + abs(terms[1])):
            return []
        within = max(within, 0.0)  # one root that two have become
        # Without cancellation between c1 and the root.
        far = -0.5 * (p.c1 + (sqrt(within) if p.c1 >= 0 else -sqrt(within)))
        return sorted({far / p.c2, p.c0 / far} if far else {0.0})
    return [-p.c0 / p.c1] if p.c1 else []


def _between(left: float, right: float) -> float:
    if left == -inf:
        return 0.0 if right == inf else right - 1.0 - abs(right)
    return left + 1.0 + abs(left) if right == inf else 0.5 * (left + right)


def _absolute(equation: Any, a: Pieces) -> Pieces:
    signed = [(start, -1.0 if sign < 0 else 1.0, p) for start, sign, _, p in _signs(a)]
    return _simplified(
        [_made(Piece(start, s * p.c0, s * p.c1, s * p.c2), (p,), abs) for start, s, p in signed]
    )


def _sign(equation: Any, a: Pieces) -> Pieces:
    return _simplified(
        [_with_number(Piece(start, float(sign)), float(at)) for start, sign, at, _ in _signs(a)]
    )


def _chosen(which: Pieces, cases: tuple[Pieces, ...]) -> Pieces | None:
    result = []
    for start, _, (w, *rest) in _joined(which, *cases):
        number = int(w.c0)
        if w.c1 or w.c2 or not 0 <= number < len(rest):
            return None
        result.append(_from(rest[number], start))
        if w.here is not None and w.start == start:
            if not 0 <= int(w.here) < len(rest):
                return None
            other = rest[int(w.here)]
            result[-1] = _with_number(result[-1], other.value(start), other.size(start))
    return _simplified(result)


def _from(piece: Piece, start: float) -> Piece:
    """The part of a piece from `start` on."""
    return piece if piece.start == start else piece._replace(start=start, here=None)


def _select(equation: Any, which: Pieces, *cases: Pieces) -> Pieces | None:
    return _chosen(which, cases)


def _compared(true: Callable[[int], bool]) -> Callable[..., Pieces]:
    def rule(equation: Any, a: Pieces, b: Pieces) -> Pieces:
        difference = _linear(lambda p, q: p - q)(equation, a, b)
        return _simplified(
            [
                _with_number(Piece(start, float(true(sign))), float(true(at)))
                for start, sign, at, _ in _signs(difference)
            ]
        )

    return rule


def _extreme(larger: bool) -> Callable[..., Pieces | None]:
    above = _compared(lambda sign: sign > 0)

    def rule(equation: Any, a: Pieces, b: Pieces) -> Pieces | None:
        which = above(equation, a, b)
        return _chosen(which, (b, a) if larger else (a, b))

    return rule


def _clamped(equation: Any, low: Pieces, a: Pieces, high: Pieces) -> Pieces | None:
    raised = _extreme(True)(equation, a, low)
    return None if raised is None else _extreme(False)(equation, raised, high)


def _same(equation: Any, a: Pieces) -> Pieces | None:
    return a if equation.outvars[0].aval.dtype.kind == "f" else None


def _logical(combine: Callable[[bool, bool], bool]) -> Callable[..., Pieces]:
    def rule(equation: Any, a: Pieces, b: Pieces) -> Pieces:
        def truth(p: float, q: float) -> float:
            return float(combine(bool(p), bool(q)))

        return _simplified(
            [_made(Piece(s, truth(p.c0, q.c0)), (p, q), truth) for s, _, (p, q) in _joined(a, b)]
        )

    return rule


def _not(equation: Any, a: Pieces) -> Pieces:
    return tuple(_made(Piece(p.start, float(not p.c0)), (p,), lambda v: float(not v)) for p in a)


_RULES: dict[str, Callable[..., Pieces | None]] = {
    "add": _linear(lambda p, q: p + q), "sub": _linear(lambda p, q: p - q), "mul": _times, "div": _over,
    "neg": _negated, "square": _square, "integer_pow": _square, "abs": _absolute, "sign": _sign, "select_n": _select,
    "max": _extreme(True), "min": _extreme(False), "clamp": _clamped, "convert_element_type": _same,
    "gt": _compared(lambda sign: sign > 0), "ge": _compared(lambda sign: sign >= 0),
    "lt": _compared(lambda sign: sign < 0), "le": _compared(lambda sign: sign <= 0),
    "and": _logical(lambda p, q: p and q), "or": _logical(lambda p, q: p or q), "not": _not,
}  # fmt: skip
