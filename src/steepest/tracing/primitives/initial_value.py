"""The solution of an initial value problem (`tracing.flows`), followed by NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..flows.walk import Walk
from .rows import Code, Context, call

NAME = "initial_value"


def written(equation: Any, context: Context) -> Code:
    """The equation as NumPy code."""
    return call(_solver(equation.params["flow"], context.function_alone), len(equation.invars))


def _solver(flow: Any, alone: Callable[[Any], Callable[..., tuple[Any, ...]]]) -> Callable[..., Any]:
    """The solution by NumPy; `alone` makes a function of a closed jaxpr. Raises `NoRule` where it cannot."""
    if alone in flow.made:
        function: Callable[..., Any] = flow.made[alone]
        return function
    rate = alone(flow.flat)
    count, split = len(flow.shapes), flow.split

    def solve(start: Any, end: Any, times: Any, *operands: Any) -> tuple[Any, ...]:
        held = operands[count:]

        def slope(t: float, z: np.ndarray) -> np.ndarray:
            found: np.ndarray = rate(t, z, *held)[0]
            return found

        def by_state(t: float, z: np.ndarray) -> np.ndarray:
            # Only a stiff equation asks for it.
            if (alone, "by state") not in flow.made:
                flow.made[alone, "by state"] = alone(flow.by_state)
            found: np.ndarray = flow.made[alone, "by state"](t, z, *held)[0]
            return found

        z = np.concatenate([np.ravel(block) for block in operands[:count]])
        walk = Walk(slope, by_state, flow.sizes[0], flow.levels, flow.control)
        states, last = walk(float(start), float(end), np.asarray(times), z)
        return (*split(states), *split(last))

    flow.made[alone] = solve
    return solve
