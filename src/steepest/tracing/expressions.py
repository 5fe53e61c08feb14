"""Expressions: a cost written as a formula, `"x**2 - 2*x + 3"`, evaluated by NumPy through our own grammar."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

from ..errors import ExpressionError, InputError
from .grammar import (
    Call,
    Chain,
    Comparison,
    Constant,
    Negative,
    Node,
    Number,
    Power,
    Variable,
    children,
    read,
    variables,
)
from .vocabulary import CONSTANTS, FUNCTIONS

# The largest constant power: beyond it float64 overflows for every base above 2.04, and an exact power
# (as the symbolic form takes it) would have more digits than memory.
MAX_POWER = 1_000


@dataclass(frozen=True)
class Expression:
    """A formula of named real variables; call it with one value for each name, in the order of `names`.

    `text`: as it was written. `names`: its variables in order of first appearance (`pi` and `e` are constants).
    `tree`: what it was read as; `str(tree)` is the formula in one standard spelling. Two expressions are equal
    when their texts are.

    Values may be numbers, arrays or whatever NumPy functions accept; arrays broadcast. Everything is computed
    in double precision with NumPy's meaning: 1/0 is infinity and log(-1) is NaN, without exception or warning.
    """

    text: str
    names: tuple[str, ...] = field(compare=False)
    tree: Node = field(compare=False, repr=False)

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """The value where each name has its entry of `values`; further entries are not looked at.

        Raises `InputError` for a name without a value.

        >>> float(parse("(1 - x)**2 + 100*(y - x**2)**2").evaluate({"x": 0.0, "y": 1.0}))
        101.0
        """
        missing = [name for name in self.names if name not in values]
        if missing:
            raise InputError(f"no value for {', '.join(f'`{name}`' for name in missing)} in {self.text!r}")
        with np.errstate(all="ignore"):
            return value_of(self.tree, {name: _double(values[name]) for name in self.names})

    def __call__(self, *values: Any) -> Any:
        """The value where the names have these values, in order."""
        if len(values) != len(self.names):
            names = ", ".join(self.names) or "no names"
            raise InputError(
                f"{self.text!r} takes {len(self.names)} values ({names}), here are {len(values)}"
            )
        return self.evaluate(dict(zip(self.names, values, strict=True)))

    def __str__(self) -> str:
        return self.text

    @property
    def __name__(self) -> str:
        return self.text

    @property
    def __signature__(self) -> inspect.Signature:
        kind = inspect.Parameter.POSITIONAL_ONLY
        return inspect.Signature([inspect.Parameter(name, kind) for name in self.names])


def parse(text: str) -> Expression:
    """Read an expression. Raises `ExpressionError`, which points at the character that cannot be read.

    The grammar knows numbers, names, `+ - * / **` with Python's precedence, parentheses, the constants `pi`
    and `e`, the functions of `vocabulary.FUNCTIONS`, and comparisons as the first argument of
    `where(condition, a, b)`. Nothing else: no attributes, subscripts, strings or keywords, so that a text
    from anywhere can be read safely. Its length, nesting, number of parts and constant powers are limited.

    >>> model = parse("a*exp(-b*t) + c")
    >>> model.names
    ('a', 'b', 't', 'c')
    >>> float(model(2.0, 0.0, 5.0, 1.0))
    3.0
    """
    if not isinstance(text, str):
        raise InputError(f"an expression is a string, not {type(text).__name__}")
    tree = read(text)
    _check_powers(tree, text)
    return Expression(text, variables(tree), tree)


def value_of(node: Node, values: Mapping[str, Any]) -> Any:
    """The value of a tree by NumPy functions, so that an array look-alike can follow it."""
    return _applied(node, [value_of(child, values) for child in children(node)], values)


def _applied(node: Node, parts: list[Any], values: Mapping[str, Any]) -> Any:
    """The value of one node from the values of its children."""
    match node:
        case Number(value):
            return np.float64(value)
        case Constant(name):
            return np.float64(CONSTANTS[name])
        case Variable(name):
            return values[name]
        case Negative():
            return -parts[0]
        case Chain(operators):
            total = parts[0]
            for sign, part in zip(operators, parts[1:], strict=True):
                total = _ARITHMETIC[sign](total, part)
            return total
        case Power(_, exponent):
            whole = integer_literal(exponent)
            return parts[0] ** (parts[1] if whole is None else whole)
        case Comparison(sign):
            return _COMPARISONS[sign](*parts)
        case Call(name):
            return _called(name, parts)


def integer_literal(node: Node) -> int | None:
    """The integer that is written here, as in x**2 or x**-1; None for anything else."""
    if isinstance(node, Negative):
        whole = integer_literal(node.operand)
        return None if whole is None else -whole
    return int(node.value) if isinstance(node, Number) and node.value.is_integer() else None


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def _called(name: str, arguments: list[Any]) -> Any:
    function = FUNCTIONS[name]
    if function.most is None:
        return reduce(function.numeric(), arguments)
    value = function.numeric()(*arguments)
    return value[()] if type(value) is np.ndarray and value.ndim == 0 else value


def _double(value: Any) -> Any:
    """Numbers and integer arrays as float64, so that 1/0 and 2**-1 are NumPy's; everything else as it is."""
    if type(value) in (int, float, bool, list, tuple):
        value = np.asarray(value, dtype=np.float64)
        return value if value.ndim else value[()]
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biu":
        return value.astype(np.float64)
    return value


def constant_values(tree: Node) -> dict[int, Any]:
    """The values of all parts without variables, by the `id` of their node."""
    found: dict[int, Any] = {}

    def visit(node: Node) -> None:
        parts = children(node)
        for part in parts:
            visit(part)
        if not isinstance(node, Variable) and all(id(part) in found for part in parts):
            found[id(node)] = _applied(node, [found[id(part)] for part in parts], {})

    with np.errstate(all="ignore"):
        visit(tree)
    return found


def _check_powers(tree: Node, text: str) -> None:
    """Raise where a constant power goes too far."""
    constants = constant_values(tree)

    def visit(node: Node) -> None:
        for part in children(node):
            visit(part)
        if isinstance(node, Power) and (power := constants.get(id(node.exponent))) is not None:
            if math.isnan(power):
                raise ExpressionError("this power is not a number", text, node.position)
            if abs(power) > MAX_POWER:
                reason = f"this power is {power:g}; constant powers go up to {MAX_POWER:,}"
                raise ExpressionError(reason, text, node.position)

    visit(tree)
