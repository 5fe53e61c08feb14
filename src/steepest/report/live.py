"""The part of a report that can be dragged: a screen of the explorer with its samples in the page."""

from __future__ import annotations

import base64
import gzip
import inspect
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from ..errors import SteepestError
from ..plots.ground import Ground, direction_of, in_view
from ..plots.landscape_picture import window

# Seconds an evaluation may take where a curve (some hundred of them) or a plane (some thousand) is sampled.
CURVE_PATIENCE, PLANE_PATIENCE = 5e-3, 5e-4
# Unpacks the explorer's script, which packed is less than half its size, and runs it as the module it is.
LOADER = (
    "const b=Uint8Array.from(atob(document.getElementById('explorer-script').textContent),c=>c.charCodeAt(0));"
    "new Response(new Blob([b]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer()"
    ".then(a=>import(URL.createObjectURL(new Blob([a],{type:'text/javascript'}))))"
)


@dataclass(frozen=True)
class Live:
    """The block to put where the picture shall stand, and the script and style the page needs once."""

    block: str
    packed: str
    style: str

    @property
    def script(self) -> str:
        """The elements that bring the explorer's script into the page."""
        return (
            f'<script type="text/plain" id="explorer-script">{self.packed}</script>'
            f'<script type="module">{LOADER}</script>'
        )


def live_screen(result: Any, ground: Ground | None) -> Live | None:
    """A draggable picture of a cost of one or two parameters; None where it is slow, bounded or constrained."""
    problem = getattr(result, "_problem", None)
    if ground is None or problem is None or problem.free is not None or ground.n > 2:
        return None
    held = ground.bounds.any or ground.limits is not None
    if held or not _quick(ground) or not _mild(ground):
        return None
    from ..explorer import still

    cost = problem.cost
    fun: Any = cost.function.text if type(cost.function).__name__ == "Expression" else _as_function(problem)
    begin = ground.walk[0][0] if ground.n == 2 and ground.walk is not None else ground.center
    try:
        payload = still.screen(
            "slope" if ground.n == 1 else "landscape", fun, start=result.x, x=begin.tolist(), label=cost.label,
            title="Drag the point" if ground.n == 1 else "Drag the start", code=_code(cost), **_extent(ground),
        )  # fmt: skip
    except (SteepestError, ArithmeticError, ValueError):
        return None
    script, style = still.assets()
    # No time of packing inside, so that the same page is the same file.
    packed = base64.b64encode(gzip.compress(script.encode(), 9, mtime=0)).decode()
    return Live(still.block(payload), packed, style)


def _as_function(problem: Any) -> Any:
    """The cost as a function of the parameters alone, in their structure."""
    cost, args = problem.cost, problem.args
    if not args and cost.style == "whole":
        return cost.function

    def of_parameters(parameters: Any) -> Any:
        return cost(parameters, *args)

    of_parameters.__name__ = cost.label if cost.label.isidentifier() else "cost"
    return of_parameters


def _code(cost: Any) -> str | None:
    """`file:function`, from which the page tells how to draw the same; None for an expression, which tells itself."""
    if type(cost.function).__name__ == "Expression":
        return None
    try:
        file = Path(inspect.getsourcefile(inspect.unwrap(cost.function)) or "model").stem
    except TypeError:
        file = "model"
    return f"{file if file.isidentifier() else 'model'}:{cost.label if cost.label.isidentifier() else 'cost'}"


def _quick(ground: Ground) -> bool:
    ground.value(ground.center)
    began = perf_counter()
    ground.value(ground.center)
    return perf_counter() - began < (CURVE_PATIENCE if ground.n == 1 else PLANE_PATIENCE)


def _mild(ground: Ground) -> bool:
    """Whether the walk stayed in sight: a page of single precision cannot show what ran away."""
    return ground.walk is None or bool(np.abs(ground.walk[0]).max() < 1e6)


def _extent(ground: Ground) -> dict[str, Any]:
    """What of the line or plane to show: where the walk went."""
    if ground.n == 1:
        direction = direction_of(ground, 0)
        return {"low": direction.offset + direction.low, "high": direction.offset + direction.high}
    if ground.walk is None:
        return {}
    (left, right), (bottom, top) = window(np.vstack([in_view(ground.walk[0]), ground.center]))
    return {"window": (left, right, bottom, top)}
