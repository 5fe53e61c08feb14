"""A cost as it was given: a function, an expression or compiled code, and how it wants its parameters."""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .bounds import Vector
from .errors import InputError, SteepestError
from .numerics import without_collections
from .parameters import Parameters
from .returned import numbers

if TYPE_CHECKING:
    from .tracing.trace import Trace


# Where derivatives may come from: "auto" is "exact", but for compiled code.
DERIVATIVES = ("auto", "exact", "numeric")


@dataclass(frozen=True)
class Cost:
    """A cost as it was given: what to call, how, and what to call it by.

    `style`: "whole" (the parameters are the first argument), "keywords" or "unpacked". `first`: the name of
    the first parameter. `opaque`: compiled code that cannot be traced.
    """

    function: Any
    label: str
    style: str
    first: str
    names: tuple[str, ...] | None
    opaque: bool

    @property
    def argument_names(self) -> tuple[str, ...]:
        """The names of the function's own positional arguments, where they are known."""
        found = None if self.names is not None else positional_names(self.function)
        return self.names or (found[0] if found else ())

    @property
    def takes_any_keyword(self) -> bool:
        """Whether the function ends in **others."""
        code = getattr(self.function, "__code__", None)
        return code is not None and bool(code.co_flags & 0x08)

    def is_measured(self, derivatives: str) -> bool:
        """Whether its slopes are measured by differences where these `derivatives` are asked for."""
        return derivatives == "numeric" or (self.opaque and derivatives == "auto")

    def __call__(self, structure: Any, *args: Any) -> Any:
        """The value for NumPy parameters."""
        if isinstance(self.function, str):
            raise AssertionError("expressions are parsed before they are called")
        if self.names is not None:
            from .tracing.trace import evaluate

            return evaluate(self.function, structure)
        if self.style == "whole":
            return self.function(structure, *args)
        if self.style == "keywords":
            return self.function(*args, **structure)
        return self.function(*structure, *args)

    def trace(self, parameters: Parameters, args: tuple[Any, ...], label: str | None = None) -> Trace:
        """The cost as a jaxpr; see `tracing.trace.trace`."""
        with without_collections():
            from .tracing.trace import trace

            try:
                return trace(self.function, parameters, args, style=self.style, label=label)
            except (TypeError, IndexError, ValueError) as error:
                if self.style == "unpacked" and not isinstance(error, SteepestError):
                    error.add_note(
                        f"{self.label} takes several arguments, so each was given one number of the start; what is no "
                        "parameter belongs in args=."
                    )
                raise


def check_derivatives(derivatives: str) -> None:
    """Raises `InputError` for what is none of the choices."""
    if derivatives not in DERIVATIVES:
        raise InputError(f"derivatives={derivatives!r}; choose one of {', '.join(map(repr, DERIVATIVES))}")


def read_cost(fun: Any, structure: Any, args: tuple[Any, ...] = ()) -> Cost:
    """Tell what kind of cost was given and how it wants its parameters; nothing is evaluated."""
    if isinstance(fun, str):
        fun = _parsed(fun)
    if type(fun).__name__ == "Expression":
        _check_expression(fun, structure)
        return Cost(fun, fun.text, "whole", fun.names[0], fun.names, opaque=False)
    if not callable(fun):
        raise InputError(
            f"the cost is {fun!r}, which cannot be called; give a function of the parameters or an expression "
            'such as "x**2 - 2*x + 3"'
        )
    from_code = positional_names(fun) if not _is_scipy_object(fun) else None
    label = getattr(fun, "__name__", None) or type(getattr(fun, "func", fun)).__name__
    label = "cost" if label == "<lambda>" else label
    if from_code is None:
        return Cost(fun, label, "whole", "x", None, opaque=is_opaque(fun))
    names, required = from_code
    wanted = required - len(args)
    style = "whole"
    if wanted >= 2:
        own = names[:wanted] if not isinstance(structure, Mapping) else names[len(args) : required]
        style = _style(structure, own, label)
    return Cost(fun, label, style, names[0] if names else "x", None, opaque=False)


@functools.lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    from .tracing.expressions import parse

    return parse(text)


def _style(structure: Any, names: tuple[str, ...], label: str) -> str:
    """How a function of several required arguments takes the structure."""
    if isinstance(structure, Mapping):
        if set(names) <= set(structure):
            return "keywords"
        missing = ", ".join(sorted(set(names) - set(structure)))
        raise InputError(f"{label} takes {', '.join(names)}, but no value is given for {missing}")
    if np.ndim(structure) >= 1 and len(structure) == len(names):
        return "unpacked"
    raise InputError(
        f"{label} takes {len(names)} arguments ({', '.join(names)}); give a dict with these names, a list of "
        f"{len(names)} numbers, or pass data through args="
    )


def _check_expression(expression: Any, structure: Any) -> None:
    names = expression.names
    if not names:
        raise InputError(f"{expression.text!r} has no parameter: it is a constant")
    if isinstance(structure, Mapping):
        missing, extra = set(names) - set(structure), set(structure) - set(names)
        if missing or extra:
            said = (
                f"no value for {', '.join(sorted(missing))}"
                if missing
                else f"no {', '.join(sorted(extra))} in it"
            )
            raise InputError(f"{expression.text!r} has the parameters {', '.join(names)}; {said}")
    elif np.size(structure) != len(names):
        raise InputError(
            f"{expression.text!r} has {_counted(len(names), 'parameter')} ({', '.join(names)}), but "
            f"{_counted(np.size(structure), 'value')} given; write {{{', '.join(f'{name!r}: …' for name in names)}}}"
        )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}" + (
        "" if what == "parameter" else " are" if count != 1 else " is"
    )


def positional_names(fun: Any) -> tuple[tuple[str, ...], int] | None:
    """The names of a Python function's positional arguments and how many are required; None if unknown."""
    if isinstance(fun, functools.partial):
        inner = positional_names(fun.func)
        if inner is None:
            return None
        names, required = inner[0][len(fun.args) :], inner[1] - len(fun.args)
        cut = next((k for k, name in enumerate(names) if name in fun.keywords), len(names))
        return names[:cut], min(required, cut)
    bound = 0
    if isinstance(fun, types.MethodType):
        fun, bound = fun.__func__, 1
    elif not isinstance(fun, types.FunctionType):
        inner_call = getattr(type(fun), "__call__", None)
        wrapped = getattr(fun, "__wrapped__", None)
        if isinstance(wrapped, types.FunctionType):
            fun = wrapped
        elif isinstance(inner_call, types.FunctionType):
            fun, bound = inner_call, 1
    if not isinstance(fun, types.FunctionType):
        return None
    count = fun.__code__.co_argcount
    names = fun.__code__.co_varnames[bound:count]
    return names, count - bound - len(fun.__defaults__ or ())


def is_opaque(fun: Any) -> bool:
    """Whether a callable is compiled code through and through (its slope can only be measured)."""
    if isinstance(fun, (types.FunctionType, types.MethodType, functools.partial)):
        return False
    if isinstance(fun, np.ufunc) or type(fun).__module__.partition(".")[0] in ("jax", "jaxlib"):
        return False
    return _is_scipy_object(fun) or not isinstance(getattr(type(fun), "__call__", None), types.FunctionType)


def _is_scipy_object(fun: Any) -> bool:
    """Whether a callable is a spline, an interpolator or their like: Python outside, compiled code inside."""
    return type(fun).__module__.startswith("scipy.")


def require_one_number(cost: Cost, shape: tuple[int, ...]) -> None:
    """Raise `InputError` where a cost returns anything but one number."""
    if math.prod(shape) != 1:
        raise InputError(
            f"{cost.label} returns an array of shape {shape}; a cost is one number. Reduce it, for instance with "
            "np.sum(...) or np.sum(residual**2)"
        )


def call_like(cost: Cost, function: Callable[..., Any], structure: Any, args: tuple[Any, ...]) -> Any:
    """Call a derivative with the arguments its cost takes."""
    if cost.style == "keywords":
        return function(*args, **structure)
    return function(*structure, *args) if cost.style == "unpacked" else function(structure, *args)


def plain_value(cost: Cost, parameters: Parameters, args: tuple[Any, ...]) -> Callable[[Vector], float]:
    """The cost on flat vectors, called as it is; where Python's `math` refuses a number it is NaN."""

    def value(x: Vector) -> float:
        try:
            return number_of(cost, cost(parameters.restore(x), *args))
        except ArithmeticError:
            return np.nan
        except ValueError as error:
            if str(error).startswith(("math domain error", "math range error", "expected a")):
                return np.nan
            raise

    return value


def number_of(cost: Cost, value: Any) -> float:
    """What a cost returned as a float; raises `InputError` where it is not one number."""
    if type(value) is float:
        return value
    number = numbers(value, cost.label)
    if number.size != 1:
        require_one_number(cost, number.shape)
    return float(number.reshape(()))
