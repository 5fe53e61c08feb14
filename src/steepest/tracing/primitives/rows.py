"""What a row of the table of primitives is given and gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class NoRule(Exception):
    """No NumPy rule for this primitive, or for these parameters of it: evaluate it compiled instead."""

    def __init__(self, primitive: str, detail: str = "") -> None:
        self.primitive = primitive
        super().__init__(f"no NumPy rule for the primitive {primitive!r}{': ' + detail if detail else ''}")


class Code(NamedTuple):
    """One Python expression: `{0}`, `{1}`, … stand for operands, `{name}` for what `bound` holds.

    With several outputs the expression gives a tuple. `fresh` says that the result shares no memory with
    the operands.
    """

    text: str
    bound: Mapping[str, Any] = {}
    fresh: bool = True

    def written(self, operands: Sequence[str], names: Mapping[str, str] | None = None) -> str:
        """The expression over these operand texts; `names` renames what is bound."""
        return self.text.format(*operands, **(names or {name: name for name in self.bound}))


@dataclass(frozen=True)
class Context:
    """What a row may ask about its surroundings.

    `constants` maps the position of an operand to its value where that is known already; `nested` makes a
    Python function of an inner closed jaxpr, `alone` one that is called so often by a method of ours that the time
    of each call counts.
    """

    constants: Mapping[int, Any] = field(default_factory=dict)
    nested: Callable[[Any], Callable[..., tuple[Any, ...]]] | None = None
    alone: Callable[[Any], Callable[..., tuple[Any, ...]]] | None = None

    def function(self, closed: Any) -> Callable[..., tuple[Any, ...]]:
        """A Python function for an inner jaxpr of a loop or a branch."""
        assert self.nested is not None
        return self.nested(closed)

    @property
    def function_alone(self) -> Callable[[Any], Callable[..., tuple[Any, ...]]]:
        """Makes a Python function of a closed jaxpr, for many calls."""
        assert self.alone is not None
        return self.alone


# Writes one equation, or raises NoRule.
Row = Callable[[Any, Context], Code]


def call(function: Callable[..., Any], operands: int = 1, *, fresh: bool = True) -> Code:
    """The expression `function({0}, {1}, …)`."""
    arguments = ", ".join(f"{{{i}}}" for i in range(operands))
    return Code(f"{{function}}({arguments})", {"function": function}, fresh)


def text(expression: str, *, fresh: bool = True, **bound: Any) -> Code:
    """An expression over operands and the names in `bound`."""
    return Code(expression, bound, fresh)
