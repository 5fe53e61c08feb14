"""The patient's chart: every value of a cost at one point, with the parameters it depends on and its line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import jax.extend.core as jex
import numpy as np

from ..structure.dead import Influence, influences
from ..structure.reading import Reading
from ..tracing.primitives import NoRule, evaluate_equation
from ..tracing.source import expression_of, user_line
from ..verdict.wording import listed
from .finding import Finding

Vector = np.ndarray

# Costs with more numbers than this in all their values together are not charted: it would take seconds.
MOST_ELEMENTS = 30_000_000

# A sentence names at most this many elements.
TOLD_ELEMENTS = 3


class Chart:
    """Values of all variables of a traced cost at `x` (n,).

    `reading`: the equations; `values`: from variable to array; `complete`: whether all could be computed.
    """

    def __init__(self, closed: Any, x: Vector, names: Sequence[str]) -> None:
        self.reading = Reading(closed)
        self.x = x
        self.names = names
        self.values: dict[Any, Any] = {self.reading.x: np.reshape(x, self.reading.x.aval.shape)}
        jaxpr = self.reading.closed.jaxpr
        self.constants = dict(zip(jaxpr.constvars, self.reading.closed.consts, strict=True))
        self.values.update({var: np.asarray(value) for var, value in self.constants.items()})
        self.complete = True
        total = sum(var.aval.size for equation in self.reading.equations for var in equation.outvars)
        if total > MOST_ELEMENTS:
            self.complete = False
            return
        with np.errstate(all="ignore"):
            for equation in self.reading.equations:
                self._evaluate(equation)

    def _evaluate(self, equation: Any) -> None:
        operands = [self.value(atom) for atom in equation.invars]
        if any(operand is None for operand in operands):
            self.complete = False
            return
        try:
            results = evaluate_equation(equation, operands)
        except (NoRule, ValueError, TypeError, IndexError, ArithmeticError):
            self.complete = False
            return
        self.values.update(zip(equation.outvars, results, strict=True))

    def value(self, atom: Any) -> Any | None:
        """The value of an atom; None where it could not be computed."""
        if isinstance(atom, jex.Literal):
            return np.asarray(atom.val, atom.aval.dtype)
        return self.values.get(atom)

    @property
    def cost(self) -> Any | None:
        """The cost itself."""
        return self.value(self.reading.out)

    @cached_property
    def influences(self) -> dict[Any, Influence]:
        """Which parameters each variable depends on; empty for very many parameters."""
        return influences(self.reading)

    def parameters_of(self, *atoms: Any) -> tuple[str, ...]:
        """Names of the parameters that any of `atoms` depends on."""
        mask = np.zeros(self.reading.n, dtype=bool)
        for atom in atoms:
            found = None if isinstance(atom, jex.Literal) else self.influences.get(atom)
            if found is not None:
                mask |= found.sloping | found.stepping
        return tuple(self.names[k] for k in np.flatnonzero(mask).tolist())

    def elements(self, equation: Any, mask: np.ndarray) -> str:
        """The operands of an equation at the elements in `mask`, as part of a sentence."""
        flat = np.flatnonzero(np.ravel(mask))
        shape = np.shape(mask)
        shown = []
        for k in flat[:TOLD_ELEMENTS].tolist():
            place = tuple(int(i) for i in np.unravel_index(k, shape)) if shape else ()
            values = []
            for atom in equation.invars:
                value = np.asarray(self.value(atom))
                at = (
                    np.broadcast_to(value, shape)[place]
                    if value.shape != shape and value.size == 1
                    else value
                )
                values.append(
                    f"{float(at[place] if np.shape(at) == shape and shape else np.ravel(at)[0]):.6g}"
                )
            row = f" (row {place[0]})" if len(place) >= 1 and shape[0] > 1 else ""
            shown.append(f"{' and '.join(values)}{row}")
        if len(flat) > TOLD_ELEMENTS:
            shown.append(f"{len(flat) - TOLD_ELEMENTS} more of {int(np.prod(shape))}")
        return listed(shown, TOLD_ELEMENTS + 1)

    def finding(
        self, kind: str, severity: str, sentence: str, rewrite: str, equation: Any, *atoms: Any
    ) -> Finding:
        """A finding at an equation, with its line and the parameters of `atoms`."""
        parameters = self.parameters_of(*atoms)
        if parameters and len(parameters) < self.reading.n:
            sentence += f"; it depends on {listed(parameters)}"
        place = user_line(equation)
        if place is None:
            return Finding(kind, severity, sentence, rewrite, parameters=parameters)
        exact = expression_of(equation)
        return Finding(
            kind, severity, sentence, rewrite, place.file, place.line, exact or place.expression, parameters
        )
