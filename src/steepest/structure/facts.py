"""What the trace tells of a cost: one record, each fact read when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from math import inf
from typing import Any

import numpy as np

from ..bounds import Bounds
from .convexity import Convexity, Kind, convexity_of
from .dead import Dead, dead_parameters
from .degree import degrees
from .kinks import Kinks, Site
from .patterns import patterns
from .ranges import ranges
from .reading import Reading

Vector = np.ndarray


class Structure:
    """Facts of one cost of `n` parameters, from its jaxpr, inside `bounds`.

    Nothing is evaluated but constants and, for quadratic terms, a few values of the term itself.
    """

    def __init__(self, closed_jaxpr: Any, bounds: Bounds | None = None) -> None:
        self.reading = Reading(closed_jaxpr)
        self.bounds = bounds
        self.n = self.reading.n

    @cached_property
    def degree(self) -> float:
        """Degree of the cost as a polynomial of its parameters; infinite where it is none."""
        if len(self.dead) == self.n:
            return 0.0
        return self._degrees.get(self.reading.out, 0.0)

    @cached_property
    def convexity(self) -> Convexity:
        """What composition rules show; within the bounds only where they are needed for it, and then said so."""
        if len(self.dead) == self.n:
            return Convexity(Kind.CONSTANT, "the cost is constant")
        found = convexity_of(self.reading, ranges(self.reading), self._degrees, self._patterns)
        if found.is_convex or self.bounds is None or not self.bounds.any:
            return found
        inside = ranges(self.reading, self.bounds.lower, self.bounds.upper)
        narrower = convexity_of(self.reading, inside, self._degrees, self._patterns)
        if narrower.is_convex and narrower.kind is not Kind.CONSTANT:
            return Convexity(narrower.kind, f"{narrower.reason} within the bounds", narrower.line)
        return found

    @cached_property
    def kinks(self) -> Kinks:
        """Operations at which the slope may change abruptly or the value jump."""
        return Kinks(self.reading, self._patterns)

    def kinks_near(self, x: Vector, radius: Vector) -> list[Site]:
        """Those whose kink lies within `radius` (n,) of `x` (n,)."""
        return self.kinks.near(x, radius)

    @cached_property
    def dead(self) -> tuple[int, ...]:
        """Indices of the parameters that cannot move the cost."""
        return self._influence.dead

    @cached_property
    def stepping(self) -> tuple[int, ...]:
        """Indices of the parameters that move the cost through rounding and comparisons only."""
        return self._influence.stepping

    @property
    def because(self) -> tuple[str, ...]:
        """The facts as sentences."""
        told = []
        if self.degree < inf:
            word = {0.0: "constant", 1.0: "linear", 2.0: "quadratic"}.get(self.degree, "")
            told.append(f"The cost is {word or f'a polynomial of degree {self.degree:.0f}'}.")
        convexity = self.convexity
        line = f" ({convexity.line})" if convexity.line else ""
        told.append(f"{convexity.reason[:1].upper()}{convexity.reason[1:]}{line}.")
        if self.kinks.sites:
            told.append(f"It may have kinks: {'; '.join(str(site) for site in self.kinks.sites[:4])}.")
        if self.dead:
            told.append(f"{len(self.dead)} of {self.n} parameters cannot move it.")
        return tuple(told)

    @cached_property
    def _degrees(self) -> dict[Any, float]:
        return degrees(self.reading)

    @cached_property
    def _patterns(self) -> dict[Any, Any]:
        return patterns(self.reading)

    @cached_property
    def _influence(self) -> Dead:
        return dead_parameters(self.reading)


def read(closed_jaxpr: Any, bounds: Bounds | None = None) -> Structure:
    """The structure of a cost from its closed jaxpr `flat x (n,) -> one number`.

    >>> import jax
    >>> with jax.enable_x64(True):
    ...     jaxpr = jax.make_jaxpr(lambda x: (x**2).sum() + x[0])(jax.ShapeDtypeStruct((2,), np.float64))
    >>> facts = read(jaxpr)
    >>> facts.degree, facts.convexity.reason
    (2, 'the cost is a convex quadratic')
    """
    return Structure(closed_jaxpr, bounds)
