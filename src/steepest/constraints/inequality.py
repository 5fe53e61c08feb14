"""An inequality or equation in the grammar of expressions: one expression between two limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ExpressionError
from ..tracing.expressions import constant_values, parse
from ..tracing.grammar import tokens

RELATIONS = ("<", "<=", ">", ">=", "==")


@dataclass(frozen=True)
class Sides:
    """`lower <= expression <= upper`."""

    expression: Any
    lower: float
    upper: float


def sides_of(text: str) -> Sides:
    """Read "a <= b", "a >= b", "a == b" or "low <= a <= high"; < means <=, since both end at the same points.

    Raises `ExpressionError`, which points at the character that cannot be read.

    >>> sides = sides_of("x**2 + y**2 <= 1")
    >>> sides.expression.text, sides.lower, sides.upper
    ('x**2 + y**2', -inf, 1.0)
    >>> sides_of("a + b == 2*c").expression.text
    '(a + b) - (2*c)'
    """
    pieces, relations = _split(text)
    if len(relations) == 1:
        return _single(pieces, relations[0])
    first, second = relations
    outer = _constant(pieces[0]), _constant(pieces[2])
    if first[0] != second[0] or first == "==" or outer[0] is None or outer[1] is None:
        raise ExpressionError(
            "a constraint with two relations reads low <= expression <= high, with numbers outside",
            text,
            len(text) - len(pieces[2]),
        )
    low, high = outer if first[0] == "<" else outer[::-1]
    assert low is not None and high is not None
    return Sides(parse(pieces[1].strip()), float(low), float(high))


def _split(text: str) -> tuple[list[str], list[str]]:
    """The text between relations that stand outside all parentheses, and those relations."""
    pieces, relations, depth, start = [], [], 0, 0
    for token in tokens(text):
        if token.kind != "operator":
            continue
        depth += (token.text == "(") - (token.text == ")")
        if depth == 0 and token.text == "!=":
            raise ExpressionError(
                "what may not be is no constraint: write <=, >= or ==", text, token.position
            )
        if depth == 0 and token.text in RELATIONS:
            pieces.append(text[start : token.position])
            relations.append(token.text)
            written = 2 if text.startswith(("<=", ">=", "=="), token.position) else 1
            start = token.position + written
    pieces.append(text[start:])
    if not relations:
        raise ExpressionError("a constraint says what must hold: write <=, >= or ==", text, len(text))
    if len(relations) > 2:
        raise ExpressionError("a constraint has one relation, or two around one expression", text, start - 1)
    for piece in pieces:
        if not piece.strip():
            raise ExpressionError(
                "one side of this constraint is empty", text, text.index(piece) if piece else 0
            )
    return pieces, relations


def _single(pieces: list[str], relation: str) -> Sides:
    left, right = (piece.strip() for piece in pieces)
    constant = _constant(right)
    if constant is not None:
        expression = parse(left)
    elif (constant := _constant(left)) is not None:
        expression = parse(right)
        relation = relation.translate(str.maketrans("<>", "><"))
    else:
        parse(left), parse(right)  # so that an error points into what was written
        expression, constant = parse(f"({left}) - ({right})"), 0.0
    if relation == "==":
        return Sides(expression, constant, constant)
    return Sides(expression, -np.inf, constant) if relation[0] == "<" else Sides(expression, constant, np.inf)


def _constant(text: str) -> float | None:
    """The value of an expression without parameters; None for any other."""
    expression = parse(text.strip())
    if expression.names:
        return None
    return float(constant_values(expression.tree)[id(expression.tree)])
