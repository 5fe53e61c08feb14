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
from .examples import Examples, examples_of
from .groups import groups_of
from .kinks import Kinks, Site
from .locations import locations_of
from .losses import Losses, losses_of
from .overflow import gives_out
from .patterns import patterns
from .periods import periods_of
from .phases import Phases
from .ranges import hull, ranges
from .reading import Reading
from .squares import Squares, squares_of

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
    def width(self) -> int:
        """The most numbers that any one step from the parameters to the cost gives."""
        varies = self.reading.varies
        made = (
            var.aval.size for equation in self.reading.equations for var in equation.outvars if var in varies
        )
        return max(made, default=self.n)

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
    def squares(self) -> Squares | None:
        """The residual, where the cost is a sum of squares."""
        return squares_of(self.reading)

    @cached_property
    def losses(self) -> Losses | None:
        """The residuals, where the cost is a sum of other losses of nonlinear ones."""
        return None if self.squares is not None else losses_of(self.reading)

    @cached_property
    def examples(self) -> Examples | None:
        """The cost of each example, where the cost is a sum over data."""
        return examples_of(self.reading)

    @cached_property
    def groups(self) -> Vector:
        """The group of each parameter, (n,), from 0: parameters of different groups meet in no term of the cost."""
        return groups_of(self.reading)

    @cached_property
    def lowest(self) -> float:
        """A number that the cost cannot fall below inside the bounds, by intervals; -inf where none is known."""
        if not self.reading.depends(self.reading.out):
            return -inf
        box = self.bounds
        found = ranges(self.reading) if box is None else ranges(self.reading, box.lower, box.upper)
        low = hull(found[self.reading.out])[0]
        return low if low > -inf else -inf  # NaN too

    @cached_property
    def periods(self) -> tuple[Vector, ...]:
        """For each parameter the lengths after which its waves repeat, shortest first; mostly none."""
        return periods_of(self.reading, self._degrees)

    @cached_property
    def locations(self) -> dict[int, tuple[float, float]]:
        """For each parameter that is compared with data, the smallest and the largest of them."""
        return locations_of(self.reading, self._degrees)

    @cached_property
    def phases(self) -> Phases:
        """What its waves are of; false where there are none over many data."""
        return Phases(self.reading)

    @cached_property
    def kinks(self) -> Kinks:
        """Operations at which the slope may change abruptly or the value jump."""
        return Kinks(self.reading, self._patterns)

    def kinks_near(self, x: Vector, radius: Vector) -> list[Site]:
        """Those whose kink lies within `radius` (n,) of `x` (n,)."""
        return self.kinks.near(x, radius)

    def gives_out(self, x: Vector) -> bool:
        """Whether the cost has no value at `x` (n,) only because its numbers can no longer be held there."""
        with np.errstate(all="ignore"):
            return gives_out(self.reading, x)

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
        if self.squares is not None:
            kind = "linear" if self.squares.linear else "nonlinear"
            told.append(
                f"It is a sum of {self.squares.m:,} squares of {kind} residuals{_at(self.squares.places)}."
            )
        elif self.losses is not None:
            told.append(f"It is a sum of {self.losses.m:,} losses of residuals{_at(self.losses.places)}.")
        if self.examples is not None:
            told.append(f"It is a sum over {self.examples.count:,} examples{_at(self.examples.places)}.")
        alone = int(self.groups.max(initial=0)) + 1
        if alone > 1:
            told.append(f"It falls apart into {alone:,} sums that share no parameters.")
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


def _at(places: tuple[str, ...]) -> str:
    return f" ({'; '.join(places[:3])})" if places else ""


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
