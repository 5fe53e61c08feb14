"""A jaxpr made ready for reading: which equation made each variable, and which depend on the parameters."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from typing import Any

import jax.extend.core as jex
import numpy as np

from ..tracing.passes import inline
from ..tracing.primitives import NoRule, evaluate_equation
from ..tracing.source import user_line

# Constants with more elements than this are described by their smallest and largest value only.
LISTED_ELEMENTS = 100_000

# Characters of the user's line that a sentence quotes.
LONGEST_QUOTE = 90

# Primitives that only move elements about or copy them: facts on elements pass through unchanged.
MOVING = frozenset(
    {
        "reshape", "squeeze", "expand_dims", "broadcast_in_dim", "transpose", "slice", "rev", "copy",
        "copy_p", "reduce_precision", "convert_element_type", "stop_gradient", "optimization_barrier",
        "pvary", "real",
    }
)  # fmt: skip

# Those of them that leave the flat order of the elements alone, as long as none is repeated.
IN_ORDER = MOVING - {"transpose", "slice", "rev"}

# The same, with operands that must be constant in every place but the first.
PICKING = frozenset({"gather", "dynamic_slice"})


class Reading:
    """One closed jaxpr `flat x (n,) -> one number`, its calls inlined.

    With `keep_derivatives`, calls that carry a derivative rule of their own stay calls, opaque to the reader.

    `equations`: in order. `made_by`: variable to index of its equation. `varies`: the variables that depend
    on the parameters. `x`: the parameter variable; `n` its size.
    """

    def __init__(self, closed: Any, *, keep_derivatives: bool = False) -> None:
        closed = inline(closed, keep_derivatives=keep_derivatives)
        self.closed = closed
        jaxpr = closed.jaxpr
        self.x = jaxpr.invars[0]
        self.n = int(self.x.aval.shape[0]) if self.x.aval.shape else 1
        self.equations = jaxpr.eqns
        self.out = jaxpr.outvars[0]
        self.made_by: dict[Any, int] = {}
        self.varies = {self.x}
        self._constants: dict[Any, Any] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
        for index, equation in enumerate(self.equations):
            varies = any(
                not isinstance(atom, jex.Literal) and atom in self.varies for atom in equation.invars
            )
            for var in equation.outvars:
                self.made_by[var] = index
                if varies:
                    self.varies.add(var)

    def depends(self, atom: Any) -> bool:
        """Whether `atom` depends on the parameters."""
        return not isinstance(atom, jex.Literal) and atom in self.varies

    def constant(self, atom: Any) -> Any | None:
        """The value of an atom that does not depend on the parameters; None where NumPy cannot compute it."""
        if isinstance(atom, jex.Literal):
            return atom.val
        if atom not in self._constants:
            equation = self.equations[self.made_by[atom]]
            values = [self.constant(other) for other in equation.invars]
            results: list[Any] = [None] * len(equation.outvars)
            if not any(value is None for value in values):
                with suppress(NoRule, ValueError, TypeError):
                    results = evaluate_equation(equation, [np.asarray(value) for value in values])
            self._constants.update(zip(equation.outvars, results, strict=True))
        return self._constants[atom]

    def is_number(self, atom: Any, value: float) -> bool:
        """Whether `atom` is a constant full of `value`."""
        if self.depends(atom):
            return False
        constant = self.constant(atom)
        return constant is not None and np.size(constant) > 0 and bool(np.all(np.asarray(constant) == value))

    def producer(self, atom: Any) -> Any | None:
        """The equation that made `atom`; None for parameters and constants."""
        if isinstance(atom, jex.Literal):
            return None
        index = self.made_by.get(atom)
        return None if index is None else self.equations[index]

    def root(self, atom: Any) -> Any:
        """Where the elements of `atom` come from, past operations that only reshape or copy them all."""
        while True:
            equation = self.producer(atom)
            if equation is None or equation.primitive.name not in MOVING - {"slice"} or not _keeps(equation):
                return atom
            atom = equation.invars[0]

    def plain(self, atom: Any) -> Any:
        """As `root`, but only past operations that keep every element in its place in flat order."""
        while True:
            equation = self.producer(atom)
            if equation is None or equation.primitive.name not in IN_ORDER or not _keeps(equation):
                return atom
            source = equation.invars[0]
            if source.aval.size != atom.aval.size and source.aval.size != 1:
                return atom
            atom = source

    @cached_property
    def uses(self) -> dict[Any, list[int]]:
        """Variable to the indices of the equations that read it; one past the last stands for the result."""
        uses: dict[Any, list[int]] = {}
        for index, equation in enumerate(self.equations):
            for atom in equation.invars:
                if not isinstance(atom, jex.Literal):
                    uses.setdefault(atom, []).append(index)
        if not isinstance(self.out, jex.Literal):
            uses.setdefault(self.out, []).append(len(self.equations))
        return uses

    def place(self, equation: Any) -> str:
        """The user's line of an equation, as it reads in a sentence; "" where none is known."""
        place = user_line(equation)
        if place is None:
            return ""
        expression = place.expression
        if len(expression) > LONGEST_QUOTE:
            expression = expression[:LONGEST_QUOTE].rstrip() + " …"
        return f"line {place.line}" + (f": {expression}" if expression else "")

    def places(self, equations: Iterable[Any]) -> tuple[str, ...]:
        """The user's lines of equations, as `place` tells them, each once."""
        return tuple(dict.fromkeys(filter(None, map(self.place, equations))))


def _keeps(equation: Any) -> bool:
    """Whether a moving operation leaves the numbers as they are, but for rounding: none becomes whole, or a truth."""
    source, target = equation.invars[0].aval.dtype.kind, equation.outvars[0].aval.dtype.kind
    return source in (target, "b") or (target in "fc" and source != "c") or equation.primitive.name == "real"


def moved(equation: Any, values: list[Any]) -> Any | None:
    """The result of a moving or picking equation on other values, such as the indices of its elements."""
    try:
        return evaluate_equation(equation, values)[0]
    except (NoRule, ValueError, TypeError, IndexError):
        return None
