"""What the traces of the models tell the judge of a fit: linear or not, kinks, parameters that do nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bounds import Vector
from ..residuals import Arrangement, Residuals
from ..vector_functions import StackedVector, TracedVector

if TYPE_CHECKING:
    from ..structure.facts import Structure

# For each data set the structure of its model, and the places of its parameters among all of them.
Models = tuple[tuple["Structure", np.ndarray], ...]


@dataclass(frozen=True)
class Convexity:
    """Whether the sum of squares is convex, and why."""

    is_convex: bool
    reason: str


@dataclass(frozen=True)
class FitKinks:
    """All kinks of the models; false where they are smooth."""

    parts: tuple[Any, ...]

    def __bool__(self) -> bool:
        return any(bool(part) for part in self.parts)

    @property
    def opaque(self) -> bool:
        """Whether some model holds loops that are not looked into."""
        return any(part.opaque for part in self.parts)


@dataclass(frozen=True)
class FitPhases:
    """What the waves of the models are of, one model after the other; false where there are none over many data."""

    models: Models
    arrangement: Arrangement

    def __bool__(self) -> bool:
        return any(bool(model.phases) for model, _ in self.models)

    def at(self, z: Vector) -> list[Vector] | None:
        """The phases at the moving parameters z (k,); None where NumPy cannot compute them."""
        full = self.arrangement.full(z)
        found: list[Vector] = []
        for model, columns in self.models:
            phases = model.phases.at(full[columns])
            if phases is None:
                return None
            found += phases
        return found


class FitFacts:
    """The facts of Σ(model - y)² from those of the models, over the parameters that move."""

    def __init__(self, models: Models, arrangement: Arrangement, squares: bool) -> None:
        self._models = models
        self._arrangement = arrangement
        self._squares = squares

    @cached_property
    def linear(self) -> bool:
        """Whether every model is linear in the parameters that move, and the loss is the square."""
        return (
            self._squares
            and not self._arrangement.ties
            and all(model.degree <= 1 for model, _ in self._models)
        )

    @property
    def degree(self) -> float:
        """Degree of the cost: two for linear models; not looked into for others."""
        return 2.0 if self.linear else inf

    @property
    def convexity(self) -> Convexity:
        """A linear model gives a convex sum of squares."""
        if self.linear:
            return Convexity(True, "the sum of squares of a model that is linear in its parameters is convex")
        return Convexity(False, "the model is not linear in its parameters")

    @cached_property
    def kinks(self) -> FitKinks:
        """Operations in the models at which the slope may change abruptly."""
        return FitKinks(tuple(model.kinks for model, _ in self._models))

    @cached_property
    def locations(self) -> dict[int, tuple[float, float]]:
        """For each moving parameter that a model compares with data, the smallest and the largest of them."""
        found: dict[int, tuple[float, float]] = {}
        place = {int(at): k for k, at in enumerate(self._arrangement.free)}
        for model, columns in self._models:
            for i, (low, high) in model.locations.items():
                k = place.get(int(columns[i]))
                if k is not None:
                    before = found.get(k, (low, high))
                    found[k] = (min(low, before[0]), max(high, before[1]))
        return found

    @cached_property
    def phases(self) -> FitPhases:
        """What the waves of the models are of."""
        return FitPhases(self._models, self._arrangement)

    def kinks_near(self, z: Vector, radius: Vector) -> list[Any]:
        """Those within `radius` (k,) of the moving parameters z (k,)."""
        if not self.kinks:
            return []
        full = self._arrangement.full(z)
        reach = np.zeros(full.size)
        reach[self._arrangement.free] = radius
        found = []
        for model, columns in self._models:
            found += model.kinks_near(full[columns], reach[columns])
        return found

    @cached_property
    def dead(self) -> tuple[int, ...]:
        """Places, among those that move, of parameters that no model depends on."""
        alive = np.zeros(self._arrangement.base.size, dtype=bool)
        for model, columns in self._models:
            seen = np.ones(columns.size, dtype=bool)
            seen[list(model.dead)] = False
            alive[columns] |= seen
        return tuple(np.flatnonzero(~alive[self._arrangement.free]).tolist())


def facts_of(residuals: Residuals) -> FitFacts | None:
    """The facts of a fit; None where some model was not traced, or parameters are tied by expressions."""
    function = residuals.function
    if residuals.arrangement.ties:
        return None
    if isinstance(function, TracedVector):
        parts = [(function, np.arange(residuals.arrangement.base.size))]
    elif isinstance(function, StackedVector) and all(
        isinstance(part, TracedVector) for part in function.parts
    ):
        parts = list(zip(function.parts, function.columns, strict=True))  # type: ignore[arg-type]
    else:
        return None
    from ..structure.facts import Structure

    models = []
    for part, columns in parts:
        kept = part.trace.kept
        if "model structure" not in kept:
            kept["model structure"] = Structure(part.trace.jaxpr)
        models.append((kept["model structure"], columns))
    return FitFacts(tuple(models), residuals.arrangement, residuals.rho is None)
