"""What every solver is: a pure `init` and a pure `step` over frozen states, one step one accepted iterate."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from ..bounds import Vector
from ..objective import Objective
from .stopping import StopReason


class State(Protocol):
    """What the driver reads of a solver's state; each solver adds what it needs, in a NamedTuple.

    Arrays in a state are never changed afterwards, with one exception that large problems need: the ring of
    pairs inside L-BFGS is shared between a state and its successors, so a state may be stepped again until
    its successor has been.
    """

    @property
    def x(self) -> Vector:
        """The iterate, shape (n,), inside the bounds."""

    @property
    def value(self) -> float:
        """The cost at `x`."""

    @property
    def gradient(self) -> Vector:
        """The gradient at `x`, shape (n,)."""

    @property
    def step(self) -> Vector | None:
        """The step that led here, shape (n,); None at the start."""

    @property
    def decrease(self) -> float:
        """How much lower the solver's model says the cost could still go; NaN when it has no model."""

    @property
    def stop(self) -> StopReason | None:
        """Why no further step is possible from here, or None."""


@runtime_checkable
class Lighter(Protocol):
    """A state that can go on without the step that led to it, once that has been looked at: of many parameters."""

    def without_step(self, length: float) -> Any:
        """The same state, which knows of that step its `length` alone."""


@runtime_checkable
class Solver(Protocol):
    """A way to walk downhill.

    `init` evaluates the start; `step` goes from one accepted iterate to the next, or returns the same
    iterate with `stop` set. Neither counts, times, prints nor catches anything: that is the driver's.
    """

    @property
    def name(self) -> str:
        """What results and plans call it, such as "L-BFGS"."""

    @property
    def remedy(self) -> str:
        """What to write instead when this solver diverges; empty where it cannot."""

    def default_max_steps(self, n: int) -> int:
        """Steps allowed for `n` parameters when the user sets no limit."""

    def init(self, objective: Objective, x: Vector) -> Any:
        """The state at the start `x`, shape (n,), inside the bounds."""

    def step(self, objective: Objective, state: Any) -> Any:
        """The state after one more accepted iterate."""
