"""The grammar of expressions: text to a tree and back, by our own reader; nothing is ever executed.

    condition  = sum ("<" | "<=" | ">" | ">=" | "==" | "!=") sum      only as the first argument of where(...)
    sum        = product {("+" | "-") product}
    product    = unary {("*" | "/") unary}
    unary      = {"-" | "+"} power
    power      = atom ["**" unary]
    atom       = number | name | function "(" argument {"," argument} ")" | "(" sum ")"

Precedence is Python's: -x**2 is -(x**2), 2**-1 is 0.5, a**b**c is a**(b**c). All numbers are float64.
"""

from __future__ import annotations

import difflib
import keyword
import math
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn, cast

from ..errors import ExpressionError
from .vocabulary import CONSTANTS, FUNCTIONS, OTHER_SPELLINGS

# Longer texts are data, not formulas; reading, tracing and showing them would stop being immediate.
MAX_LENGTH = 10_000
# Parentheses, signs, powers and calls inside one another. A level costs up to eight Python frames out of the
# default thousand, and the caller needs some of those.
MAX_DEPTH = 64
# Numbers, names and operations in all; a text within MAX_LENGTH rarely has more.
MAX_NODES = 4_000
# Longer names cannot be shown in a table.
MAX_NAME = 100


# --- the tree -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """What every node has: `position`, where it stands in the text; two trees are equal wherever they stand."""

    position: int = field(default=0, compare=False, repr=False, kw_only=True)

    def __str__(self) -> str:
        return to_text(cast(Node, self))  # every part is one of the nodes below


@dataclass(frozen=True)
class Number(Part):
    """A number literal, not negative and finite."""

    value: float


@dataclass(frozen=True)
class Constant(Part):
    """`pi` or `e`."""

    name: str


@dataclass(frozen=True)
class Variable(Part):
    """A name whose value is given at each evaluation."""

    name: str


@dataclass(frozen=True)
class Negative(Part):
    """-operand."""

    operand: Node


@dataclass(frozen=True)
class Chain(Part):
    """Operands joined from left to right by operators of one rank: all of + and -, or all of * and /.

    `operators` has one entry less than `operands`. A long sum is one flat node, so that its tree is not deep.
    """

    operators: tuple[str, ...]
    operands: tuple[Node, ...]


@dataclass(frozen=True)
class Power(Part):
    """base**exponent. `position` is that of the exponent."""

    base: Node
    exponent: Node


@dataclass(frozen=True)
class Comparison(Part):
    """left operator right; stands only as the first argument of `where`."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Call(Part):
    """A function of the vocabulary at its arguments."""

    function: str
    arguments: tuple[Node, ...]


Node = Number | Constant | Variable | Negative | Chain | Power | Comparison | Call


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly inside, in the order they are written."""
    match node:
        case Negative(operand):
            return (operand,)
        case Chain(_, operands):
            return operands
        case Power(base, exponent):
            return (base, exponent)
        case Comparison(_, left, right):
            return (left, right)
        case Call(_, arguments):
            return arguments
    return ()


def variables(node: Node) -> tuple[str, ...]:
    """The names of the variables, in order of first appearance."""
    names: dict[str, None] = {}

    def collect(part: Node) -> None:
        if isinstance(part, Variable):
            names.setdefault(part.name)
        for child in children(part):
            collect(child)

    collect(node)
    return tuple(names)


# --- tree to text ---------------------------------------------------------------------------------------

# Binding strength of what the printer writes; a part that binds less than its place needs is parenthesised.
_COMPARISON, _SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(6)


def to_text(node: Node) -> str:
    """The expression for a tree; reading it again gives the same tree.

    >>> to_text(Power(Negative(Variable("x")), Number(2.0)))
    '(-x)**2'
    """
    return _written(node)[0]


def _written(node: Node) -> tuple[str, int]:
    match node:
        case Number(value):
            return _number_text(value), _ATOM
        case Constant(name) | Variable(name):
            return name, _ATOM
        case Negative(operand):
            return "-" + _within(operand, _UNARY), _UNARY
        case Chain(operators, operands):
            rank = _SUM if operators[0] in "+-" else _PRODUCT
            separator = " {} " if rank == _SUM else "{}"
            parts = [_within(operands[0], rank + 1)]
            for operator, operand in zip(operators, operands[1:], strict=True):
                parts += [separator.format(operator), _within(operand, rank + 1)]
            return "".join(parts), rank
        case Power(base, exponent):
            return f"{_within(base, _ATOM)}**{_within(exponent, _UNARY)}", _POWER
        case Comparison(operator, left, right):
            return f"{_within(left, _SUM)} {operator} {_within(right, _SUM)}", _COMPARISON
        case Call(function, arguments):
            return f"{function}({', '.join(to_text(argument) for argument in arguments)})", _ATOM


def _within(node: Node, strength: int) -> str:
    text, own = _written(node)
    return text if own >= strength else f"({text})"


def _number_text(value: float) -> str:
    text = repr(value)
    return text.removesuffix(".0")


# --- text to tokens -------------------------------------------------------------------------------------


class Token(NamedTuple):
    """A piece of the text. `kind`: "number", "name", "operator" or "end"."""

    kind: str
    text: str
    position: int


_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_OPERATORS = ("**", "<=", ">=", "==", "!=", "+", "-", "*", "/", "(", ")", ",", "<", ">")
# Typographic signs that mean one thing only, as they come out of a PDF or a word processor.
_SAME_SIGN = {"−": "-", "·": "*", "×": "*", "⋅": "*", "≤": "<=", "≥": ">=", "≠": "!="}

_REASONS = {
    "//": "there is no //: write floor(a/b)",
    ":=": "nothing can be assigned in an expression: give values to its names when it is evaluated",
    "<>": "there is no <>: write !=",
    "&&": "conditions cannot be joined: put one where(...) inside another",
    "||": "conditions cannot be joined: put one where(...) inside another",
    "^": "there is no ^: write ** for powers",
    "=": "an expression has no =: write only the right-hand side, or == to compare inside where(...)",
    "%": "there is no %: write x - y*floor(x/y) for the remainder",
    "&": "conditions cannot be joined: put one where(...) inside another",
    "|": "conditions cannot be joined: put one where(...) inside another; write abs(x) for |x|",
    "~": "conditions cannot be negated: exchange the last two arguments of where(...)",
    "!": "there is no !: write gamma(n + 1) for a factorial",
    "@": "there are no matrices in an expression: write the sum of products",
    "[": "there are no subscripts in an expression: give each entry a name of its own",
    "]": "there are no subscripts in an expression: give each entry a name of its own",
    "{": "there are no braces in an expression: group with ( and )",
    "}": "there are no braces in an expression: group with ( and )",
    '"': "there are no strings in an expression",
    "'": "there are no strings in an expression",
    ".": "there are no attributes in an expression: write sin(x), not np.sin(x)",
    ":": "there is no : in an expression",
    ";": "an expression is one formula, there is no ;",
    "\\": "there is no \\ in an expression",
    "#": "there are no comments in an expression",
    "²": "there is no ²: write **2",
    "³": "there is no ³: write **3",
    "√": "there is no √: write sqrt(x)",
    "÷": "there is no ÷: write /",
    "∞": "infinity is not a number that can be computed with",
}

_KEYWORD_REASONS = {
    "if": "there is no `if`: write where(condition, a, b)",
    "else": "there is no `else`: write where(condition, a, b)",
    "and": "conditions cannot be joined: put one where(...) inside another",
    "or": "conditions cannot be joined: put one where(...) inside another",
    "not": "conditions cannot be negated: exchange the last two arguments of where(...)",
    "True": "a condition is a comparison, such as x > 0",
    "False": "a condition is a comparison, such as x > 0",
    "lambda": "there is no `lambda`: write only the formula after the colon; its names become the parameters",
}


def tokens(text: str) -> Iterator[Token]:
    """The tokens of `text` one by one, ending in "end"; raises `ExpressionError` at what belongs to none."""
    at = 0
    while at < len(text):
        character = text[at]
        if character.isspace():
            at += 1
        elif number := _NUMBER.match(text, at):
            yield Token("number", number.group(), at)
            at = number.end()
        elif character.isidentifier():
            end = at + 1
            while end < len(text) and ("a" + text[end]).isidentifier():
                end += 1
            yield Token("name", text[at:end], at)
            at = end
        elif character in _SAME_SIGN:
            yield Token("operator", _SAME_SIGN[character], at)
            at += 1
        else:
            operator = _operator_at(text, at)
            yield Token("operator", operator, at)
            at += len(operator)
    yield Token("end", "", len(text))


def _operator_at(text: str, at: int) -> str:
    for operator in _OPERATORS:
        if text.startswith(operator, at) and not text.startswith(("//", "<>"), at):
            return operator
    for wrong, reason in _REASONS.items():
        if text.startswith(wrong, at):
            raise ExpressionError(reason, text, at)
    character = text[at]
    shown = (
        f"the character {character!r}" if character.isprintable() else f"the character U+{ord(character):04X}"
    )
    raise ExpressionError(f"{shown} has no meaning in an expression", text, at)


# --- tokens to tree -------------------------------------------------------------------------------------

# How strongly an operator binds to what stands left of it.
_RANKS = {
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!="), _COMPARISON),
    **dict.fromkeys(("+", "-"), _SUM),
    **dict.fromkeys(("*", "/"), _PRODUCT),
    "**": _POWER,
}


def read(text: str) -> Node:
    """The tree of an expression. Raises `ExpressionError`, which points at the character.

    >>> read("x**2 - 2*x + 3").operators
    ('-', '+')
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(
            f"the expression has {len(text):,} characters, more than {MAX_LENGTH:,}: write it as a Python function",
            text,
            MAX_LENGTH,
        )
    reader = _Reader(text)
    if reader.token.kind == "end":
        raise ExpressionError("the expression is empty: write a formula such as x**2 - 2*x + 3", text, 0)
    tree = reader.value(reader.part(_COMPARISON))
    if reader.token.kind != "end":
        reader.fail_after_value()
    return tree


class _Reader:
    """Precedence climbing (Pratt 1973): one token of look-ahead, one recursion for each level of nesting."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.depth = 0
        self.nodes = 0
        self.open: list[Token] = []
        self.rest = tokens(text)
        self.token = self.previous = next(self.rest)

    def fail(self, reason: str, position: int) -> NoReturn:
        raise ExpressionError(reason, self.text, position)

    def advance(self) -> Token:
        """The current token; the next one becomes current."""
        self.previous = self.token
        if self.token.kind != "end":
            self.token = next(self.rest)
        return self.previous

    def at(self, *operators: str) -> bool:
        return self.token.kind == "operator" and self.token.text in operators

    def count(self, position: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self.fail(
                f"the expression has more than {MAX_NODES:,} parts: write it as a Python function", position
            )

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """One level of nesting more inside the block."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(
                f"more than {MAX_DEPTH} levels of nesting: write it as a Python function", self.token.position
            )
        yield
        self.depth -= 1

    def part(self, rank: int) -> Node:
        """Read as far as operators bind at least as strongly as `rank`."""
        node = self.prefix()
        while self.token.kind == "operator" and _RANKS.get(self.token.text, -1) >= rank:
            own = _RANKS[self.token.text]
            if own == _COMPARISON:
                node = self.comparison(node)
            elif own == _POWER:
                node = self.power(node)
            else:
                node = self.chain(node, own)
        return node

    def prefix(self) -> Node:
        token = self.token
        if self.at("-"):
            self.advance()
            self.count(token.position)
            with self.deeper():
                return Negative(self.value(self.part(_UNARY)), position=token.position)
        if self.at("+"):
            self.advance()
            with self.deeper():
                return self.value(self.part(_UNARY))
        return self.atom()

    def chain(self, first: Node, rank: int) -> Node:
        position = self.token.position
        operators: list[str] = []
        operands = [self.value(first)]
        while self.token.kind == "operator" and _RANKS.get(self.token.text) == rank:
            self.count(self.token.position)
            operators.append(self.advance().text)
            operands.append(self.value(self.part(rank + 1)))
        return Chain(tuple(operators), tuple(operands), position=position)

    def power(self, base: Node) -> Node:
        self.count(self.advance().position)
        position = self.token.position
        with self.deeper():
            return Power(self.value(base), self.value(self.part(_UNARY)), position=position)

    def comparison(self, left: Node) -> Node:
        if isinstance(left, Comparison):
            self.fail("one comparison at a time: put one where(...) inside another", self.token.position)
        operator = self.advance()
        self.count(operator.position)
        return Comparison(operator.text, left, self.value(self.part(_SUM)), position=operator.position)

    def value(self, node: Node) -> Node:
        """The node, which must not be a comparison: those are neither numbers nor a cost."""
        if isinstance(node, Comparison):
            self.fail("a comparison stands only first in where(condition, a, b)", node.position)
        return node

    def atom(self) -> Node:
        token = self.token
        if token.kind == "number":
            return self.number()
        if token.kind == "name":
            return self.name()
        if self.at("("):
            self.open.append(self.advance())
            with self.deeper():
                node = self.part(_COMPARISON)
            self.close()
            return node
        if token.kind == "end":
            if self.open:
                self.fail("this ( is never closed", self.open[-1].position)
            self.fail("the expression ends too early: a number, a name or ( is missing", token.position)
        self.fail(f"a number, a name or ( is missing before {token.text}", token.position)

    def number(self) -> Node:
        token = self.advance()
        self.count(token.position)
        value = float(token.text)
        if math.isinf(value):
            self.fail("this number is too large for double precision", token.position)
        return Number(value, position=token.position)

    def name(self) -> Node:
        token = self.advance()
        self.count(token.position)
        if len(token.text) > MAX_NAME:
            self.fail(f"this name has more than {MAX_NAME} characters", token.position)
        # Python reads names in this form too, so that two names that look alike are one.
        name = unicodedata.normalize("NFKC", token.text)
        if len(name) > MAX_NAME or not name.isidentifier():
            self.fail("this name has characters that no name can have", token.position)
        if self.at("("):
            return self.call(name, token)
        if name in CONSTANTS or name == "π":
            return Constant("pi" if name == "π" else name, position=token.position)
        if keyword.iskeyword(name):
            self.fail(_KEYWORD_REASONS.get(name, f"`{name}` is a word of Python, not a name"), token.position)
        if name in FUNCTIONS:
            arguments = "x > 0, a, b" if name == "where" else ", ".join("xyz"[: FUNCTIONS[name].fewest])
            self.fail(f"`{name}` is a function: write {name}({arguments})", token.position)
        return Variable(name, position=token.position)

    def call(self, name: str, token: Token) -> Node:
        if name not in FUNCTIONS:
            self.fail(_unknown_function(name), token.position)
        function = FUNCTIONS[name]
        self.open.append(self.advance())
        arguments: list[Node] = []
        while not self.at(")") or arguments:
            start = self.token.position
            with self.deeper():
                argument = self.part(_COMPARISON)
            if name == "where" and not arguments:
                self.require_condition(argument, start)
            else:
                self.value(argument)
            arguments.append(argument)
            if not self.at(","):
                break
            self.advance()
        self.close()
        if not function.takes(len(arguments)):
            self.fail(f"`{name}` takes {function.expects()}, here are {len(arguments)}", token.position)
        return Call(name, tuple(arguments), position=token.position)

    def require_condition(self, node: Node, position: int) -> None:
        if not isinstance(node, Comparison):
            self.fail("the first argument of where is a comparison, such as where(x > 0, a, b)", position)

    def close(self) -> None:
        if self.token.kind == "end":
            self.fail("this ( is never closed", self.open[-1].position)
        if not self.at(")"):
            self.fail_after_value()
        self.advance()
        self.open.pop()

    def fail_after_value(self) -> NoReturn:
        """Say why the current token cannot follow a complete value."""
        token = self.token
        if self.at(")"):
            self.fail("this ) was never opened", token.position)
        if self.at(","):
            self.fail(
                "a comma only separates arguments of a function: write 1.5 for one and a half", token.position
            )
        if token.kind == "name" and token.text in _KEYWORD_REASONS:
            self.fail(_KEYWORD_REASONS[token.text], token.position)
        left = self.previous
        if left.kind == "number" and token.text.startswith("_"):
            self.fail("numbers are written without _: 1000 or 1e3 for a thousand", token.position)
        self.fail(
            f"an operator is missing: write {left.text[-20:]}*{token.text[:20]} to multiply", token.position
        )


def _unknown_function(name: str) -> str:
    if name in CONSTANTS or name == "π":
        power = ", or exp(x) for e**x" if name == "e" else ""
        return f"`{name}` is a number: write {name}*(...) to multiply{power}"
    if keyword.iskeyword(name) and name in _KEYWORD_REASONS:
        return _KEYWORD_REASONS[name]
    if name in OTHER_SPELLINGS:
        return f"there is no function `{name}`: write {OTHER_SPELLINGS[name]}"
    near = difflib.get_close_matches(name.lower(), FUNCTIONS, n=1)
    if near:
        return f"there is no function `{name}`: did you mean `{near[0]}`?"
    if len(name) == 1:
        return f"there is no function `{name}`: write {name}*(...) to multiply"
    return f"there is no function `{name}`. Functions: {', '.join(FUNCTIONS)}"
