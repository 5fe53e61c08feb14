"""Any of optax's update rules as a solver: `minimize(cost, x0, method=optax.adamw(1e-2))`."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, nan
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..bounds import Vector
from ..errors import InputError
from ..numerics import double_precision
from ..objective import Objective
from .stopping import StopReason


class OptaxState(NamedTuple):
    """`memory`: what the rule remembers."""

    x: Vector
    value: float
    gradient: Vector
    step: Vector | None
    decrease: float
    stop: StopReason | None
    memory: Any


@dataclass(frozen=True)
class OptaxRule:
    """`rule`: an `optax.GradientTransformation`, with its rate inside. Steps are put inside the bounds."""

    remedy: ClassVar[str] = "steps of this rate lead uphill. Build the rule with a smaller rate"
    rule: Any

    @property
    def name(self) -> str:
        """What results call it: optax's rules do not know their names, but their functions do."""
        made_by = getattr(self.rule.update, "__qualname__", "").partition(".")[0]
        return f"optax {made_by}" if made_by and made_by != "chain" else "optax"

    def default_max_steps(self, n: int) -> int:
        """A fixed rate may need many steps, and each is cheap."""
        return 100_000

    def init(self, objective: Objective, x: Vector) -> OptaxState:
        """The start, with what the rule remembers there."""
        value, gradient = objective.value_and_gradient(x)
        with double_precision():
            memory = self.rule.init(np.asarray(x))
        return OptaxState(x, value, gradient, None, nan, None, memory)

    def step(self, objective: Objective, state: OptaxState) -> OptaxState:
        """One update by the rule."""
        with double_precision():
            try:
                update, memory = self.rule.update(state.gradient, state.memory, np.asarray(state.x))
            except TypeError as error:
                if "value_fn" in str(error) or "required keyword" in str(error):
                    raise InputError(
                        f"{self.name} asks for more than a gradient ({error}); 'L-BFGS' and 'Newton' are built in"
                    ) from error
                raise
        x = objective.bounds.project(state.x + np.asarray(update, dtype=np.float64))
        value, gradient = objective.value_and_gradient(x)
        if not (isfinite(value) and np.isfinite(gradient).all()):
            return state._replace(stop=StopReason.NO_PROGRESS)
        return OptaxState(x, value, gradient, x - state.x, nan, None, memory)


def is_optax_rule(method: Any) -> bool:
    """Whether `method` is an optax transformation; told by its shape, so that optax need not be imported."""
    return isinstance(method, tuple) and callable(getattr(method, "init", None)) and callable(
        getattr(method, "update", None)
    )  # fmt: skip
