"""A model: a function of x and named parameters, its own guess of a start, and sums and products of such."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError

Guess = Callable[[Any, Any], dict[str, float]]


@dataclass(frozen=True)
class Model:
    """`function(x, **parameters)` with the parameters `names`; `guess(x, y)` reads a start off the data.

    `label`: what results call it. `background`: guessed first in a sum, and taken off the data for the others.
    `parts`: what a sum or product is made of. `variable`: what the function itself calls x. Models add, subtract and
    multiply; names that meet twice get numbers.

    >>> from steepest.models import gaussian, line
    >>> (gaussian() + line()).names
    ('amplitude', 'center', 'width', 'slope', 'intercept')
    >>> (gaussian() + gaussian()).names
    ('amplitude_1', 'center_1', 'width_1', 'amplitude_2', 'center_2', 'width_2')
    """

    function: Callable[..., Any]
    names: tuple[str, ...]
    label: str
    guess: Guess | None = None
    background: bool = False
    parts: tuple[Model, ...] = ()
    variable: str = "x"

    def __call__(self, x: Any, *values: Any, **named: Any) -> Any:
        """The prediction at `x`, parameters in order or by name."""
        return self.function(x, **dict(zip(self.names, values, strict=False)), **named)

    def __add__(self, other: Model) -> Model:
        return _combined(self, other, "+")

    def __sub__(self, other: Model) -> Model:
        return _combined(self, other, "-")

    def __mul__(self, other: Model) -> Model:
        return _combined(self, other, "*")

    def renamed(self, names: Mapping[str, str]) -> Model:
        """The same model with some parameters called otherwise: `gaussian().renamed({"center": "line_center"})`."""
        unknown = set(names) - set(self.names)
        if unknown:
            raise InputError(
                f"{self.label} has no {', '.join(sorted(unknown))}; it has {', '.join(self.names)}"
            )
        inner = self.names
        outer = tuple(names.get(name, name) for name in inner)
        function, guess = self.function, self.guess

        def called(x: Any, **values: Any) -> Any:
            return function(x, **{own: values[told] for own, told in zip(inner, outer, strict=True)})

        def guessed(x: Any, y: Any) -> dict[str, float]:
            assert guess is not None
            found = guess(x, y)
            return {told: found[own] for own, told in zip(inner, outer, strict=True)}

        guess_told = None if guess is None else guessed
        return Model(called, outer, self.label, guess_told, self.background, variable=self.variable)


def _combined(left: Model, right: Model, sign: str) -> Model:
    parts = (*(left.parts if sign == "+" and left.parts else (left,)), right)
    parts = _distinct(parts)
    functions = tuple((part.function, part.names) for part in parts)
    names = tuple(name for part in parts for name in part.names)

    def added(x: Any, **values: Any) -> Any:
        total: Any = 0.0
        for function, own in functions:
            total = total + function(x, **{name: values[name] for name in own})
        return total

    def other(x: Any, **values: Any) -> Any:
        (first, mine), (second, yours) = functions
        a = first(x, **{name: values[name] for name in mine})
        b = second(x, **{name: values[name] for name in yours})
        return a - b if sign == "-" else a * b

    if sign == "+":
        guess = functools.partial(_guess_of_sum, parts) if all(part.guess for part in parts) else None
        label = " + ".join(part.label for part in parts)
        return Model(added, names, label, guess, False, parts, left.variable)
    return Model(other, names, f"{left.label} {sign} {right.label}", variable=left.variable)


def _distinct(parts: Sequence[Model]) -> tuple[Model, ...]:
    """The parts with parameters numbered where two share a name."""
    base = [tuple(_plain(name) for name in part.names) for part in parts]
    count: dict[str, int] = {}
    for names in base:
        for name in names:
            count[name] = count.get(name, 0) + 1
    seen: dict[str, int] = {}
    found = []
    for part, names in zip(parts, base, strict=True):
        told = {}
        for own, name in zip(part.names, names, strict=True):
            seen[name] = seen.get(name, 0) + 1
            told[own] = f"{name}_{seen[name]}" if count[name] > 1 else own
        found.append(part if all(own == new for own, new in told.items()) else part.renamed(told))
    return tuple(found)


def _plain(name: str) -> str:
    stem, _, number = name.rpartition("_")
    return stem if stem and number.isdigit() else name


def _guess_of_sum(parts: Sequence[Model], x: Any, y: Any) -> dict[str, float]:
    """Each part guessed from what the others leave: backgrounds first, then one part after another."""
    rest = np.array(y, dtype=np.float64)
    found: dict[str, float] = {}
    for part in sorted(parts, key=lambda part: not part.background):
        assert part.guess is not None
        values = part.guess(x, rest)
        found |= values
        rest = rest - np.asarray(part.function(x, **values))
    return {name: found[name] for part in parts for name in part.names}


@functools.lru_cache(maxsize=128)
def _of_expression(text: str, independent: tuple[str, ...], single: bool) -> Model:
    from ..tracing.expressions import parse

    expression = parse(text)
    missing = [name for name in independent if name not in expression.names]
    if missing:
        raise InputError(
            f"{text!r} does not hold {', '.join(map(repr, missing))}, which should be measured; it holds "
            f"{', '.join(expression.names)}. Say which is measured: x={{'t': times}}"
        )
    names = tuple(name for name in expression.names if name not in independent)
    if not names:
        raise InputError(f"{text!r} has no parameter to fit")
    (first, *_) = independent

    def function(x: Any, **values: Any) -> Any:
        known = {first: x} if single else {name: x[name] for name in independent}
        return expression.evaluate({**known, **values})

    return Model(function, names, text, variable=first if single else "x")


# An array of x goes to the first of these that an expression holds.
USUAL = ("x", "t")


def as_model(model: Any, x: Any, x_label: str = "x") -> Model:
    """What the user gave as a model, as one: a function of x and parameters, an expression, a `Model`.

    `x`: mapping from names to columns, or one array for the only independent variable, called `x_label` in an
    expression (or x, or t). Nothing is evaluated.

    >>> as_model("a*exp(-b*t)", np.zeros(3)).names
    ('a', 'b')
    """
    if isinstance(model, Model):
        return model
    if type(model).__name__ == "Expression":
        model = model.text
    if isinstance(model, str):
        if isinstance(x, Mapping):
            return _of_expression(model, tuple(x), single=False)
        from ..tracing.expressions import parse

        held = parse(model).names
        usual = next((name for name in (x_label, *USUAL) if name in held), None)
        if usual is None:
            raise InputError(
                f"{model!r} holds {', '.join(held)}; say which of them is measured: x={{'{held[0]}': values}}"
            )
        return _of_expression(model, (usual,), single=True)
    if not callable(model):
        raise InputError(
            f"the model is {model!r}; give a function of x and the parameters, an expression such as "
            '"a*exp(-b*x) + c", or a ready-made one such as steepest.models.gaussian()'
        )
    label = getattr(model, "__name__", None) or type(model).__name__
    shown = "model" if label == "<lambda>" else label
    return Model(model, _parameter_names(model, label), shown, variable=_first_argument(model))


def _first_argument(function: Any) -> str:
    """The name of the argument that is given x; "x" where a function does not tell."""
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):
        return "x"
    return first.name if first is not None and first.kind is not first.VAR_POSITIONAL else "x"


def _parameter_names(function: Any, label: str) -> tuple[str, ...]:
    """Names of the parameters: every argument after the first that has no default."""
    if isinstance(function, types.FunctionType):
        code = function.__code__
        count = code.co_argcount - len(function.__defaults__ or ())
        names = code.co_varnames[1:count]
        if names and not code.co_kwonlyargcount:
            return names
    try:
        arguments = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        arguments = []
    named = tuple(
        argument.name
        for argument in arguments[1:]
        if argument.default is argument.empty
        and argument.kind in (argument.POSITIONAL_OR_KEYWORD, argument.KEYWORD_ONLY)
    )
    if not named and not any(argument.kind == argument.VAR_POSITIONAL for argument in arguments):
        raise InputError(
            f"{label} has no parameters to fit: write it as a function of x and the parameters, "
            "def model(x, a, b): ..."
        )
    return named
