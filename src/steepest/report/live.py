"""The part of a report that can be dragged: a screen of the explorer with its samples in the page."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

from ..errors import SteepestError
from ..plots.ground import Ground, direction_of

# Seconds an evaluation may take where a curve is sampled for the page: some hundred of them.
PATIENCE = 5e-3


@dataclass(frozen=True)
class Live:
    """The block to put where the picture shall stand, and the script and style the page needs once."""

    block: str
    script: str
    style: str


def live_screen(result: Any, ground: Ground | None) -> Live | None:
    """A draggable picture of a cost of one parameter; None where it would be slow or leave bounds."""
    problem = getattr(result, "_problem", None)
    if ground is None or problem is None or problem.free is not None or ground.n != 1:
        return None
    if ground.bounds.any or not _quick(ground):
        return None
    from ..explorer import still

    cost = problem.cost
    fun: Any = cost.function.text if type(cost.function).__name__ == "Expression" else _as_function(problem)
    try:
        payload = still.screen(
            "slope", fun, start=result.x, x=ground.center.tolist(),
            label=cost.label, title="Drag the point", **_extent(ground),
        )  # fmt: skip
    except (SteepestError, ArithmeticError, ValueError):
        return None
    script, style = still.assets()
    return Live(still.block(payload), script, style)


def _as_function(problem: Any) -> Any:
    """The cost as a function of the parameters alone, in their structure."""
    cost, args = problem.cost, problem.args
    if not args and cost.style == "whole":
        return cost.function

    def of_parameters(parameters: Any) -> Any:
        return cost(parameters, *args)

    of_parameters.__name__ = cost.label if cost.label.isidentifier() else "cost"
    return of_parameters


def _quick(ground: Ground) -> bool:
    ground.value(ground.center)
    began = perf_counter()
    ground.value(ground.center)
    return perf_counter() - began < PATIENCE


def _extent(ground: Ground) -> dict[str, Any]:
    """What of the line to show: where the walk went."""
    direction = direction_of(ground, 0)
    low, high = direction.offset + direction.low, direction.offset + direction.high
    return {"low": low, "high": high} if high > low else {}
