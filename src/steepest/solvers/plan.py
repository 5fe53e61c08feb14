"""The plan of a walk: the solver that begins, why, and the ladder of those that take over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ..bounds import Vector
from ..objective import Objective
from .contract import Solver
from .stopping import Tolerance

# Go as far as double precision does.
NOTHING_ASKED = Tolerance()


class GivesWay(NamedTuple):
    """After how many steps a walk ends for another that may be better, if that one `fits`."""

    after: int
    fits: Callable[[Objective], bool]


@dataclass(frozen=True)
class Rung:
    """One step of the ladder: a solver, why it stands here, and the steps it may take (None: its own limit).

    `afresh`: begins at the start again, where the walk before was broken off or led towards infinity. `begins`: from
    the best point so far to where this one begins instead; None there passes it over. `fits`: a last question, too
    dear to be asked before its turn comes. `more_while_cheap`: it may take more steps, up to its own limit, while its
    slopes are foreseen to cost next to nothing. `if_faster`: only where the walk before the last, which went its way,
    won far more for its work than the last. `gives_way`: after so many steps already to the next one, where that fits.
    """

    solver: Solver
    because: str
    max_steps: int | None = None
    afresh: bool = False
    begins: Callable[[Objective, Vector], Vector | None] | None = None
    fits: Callable[[Objective], bool] | None = None
    more_while_cheap: bool = False
    if_faster: bool = False
    gives_way: GivesWay | None = None

    @property
    def label(self) -> str:
        """The solver's name, and where it begins if that is not where the one before it ended."""
        return self.solver.name + (
            "" if self.begins is None else " (begun where the linear residuals are met)"
        )


@dataclass(frozen=True)
class Plan:
    """What will walk and why; `passed_over` holds (name, why) of each solver that was not chosen.

    `next_rungs`: what takes over, from the best point, if the walk before it does not end in a minimum; `taken`: the
    names of those that did, filled in afterwards, and `looped`: how many of all steps a compiled loop took.
    `first_steps`: after how many steps the first hands over, and `gives_way`: after how many where the next one fits.
    `asked`, `max_steps` and `max_evaluations` carry what options asked for; None leaves the defaults.
    """

    solver: Solver
    because: str
    passed_over: tuple[tuple[str, str], ...] = ()
    asked: Tolerance = NOTHING_ASKED
    max_steps: int | None = None
    max_evaluations: int | None = None
    next_rungs: tuple[Rung, ...] = ()
    first_steps: int | None = None
    gives_way: GivesWay | None = None
    taken: tuple[str, ...] = ()
    looped: int = 0

    @property
    def name(self) -> str:
        """Name of the solver."""
        return self.solver.name

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The whole ladder, from the solver that begins."""
        first = Rung(self.solver, self.because, self.first_steps, gives_way=self.gives_way)
        return (first, *self.next_rungs)

    def walked(self, taken: tuple[str, ...], looped: int) -> Plan:
        """The same once it was walked; `dataclasses.replace` takes ten times as long."""
        found = object.__new__(Plan)
        vars(found).update(vars(self), taken=taken, looped=looped)
        return found

    def tolerance(self, tol: float | None = None) -> Tolerance:
        """What is precise enough: the options' wishes, with `tol` from the call where it was given."""
        return self.asked if tol is None else replace(self.asked, remaining=float(tol))

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain JSON values."""
        return {
            "solver": self.name,
            "because": self.because,
            "passed_over": [{"solver": name, "why": why} for name, why in self.passed_over],
            "next": [{"solver": rung.solver.name, "because": rung.because} for rung in self.next_rungs],
            "taken": list(self.taken),
            "looped": self.looped,
        }

    def __str__(self) -> str:
        lines = [f"{self.name}, because {self.because}"]
        if len(self.taken) > 1:
            lines.append(f"  then, from the best point: {', '.join(self.taken[1:])}")
        elif self.taken and self.taken[0] != self.name:
            lines.append(f"  at once: {self.taken[0]}")
        elif self.next_rungs:
            waiting = ", ".join(rung.solver.name for rung in self.next_rungs)
            lines.append(f"  next, had it not ended in a minimum: {waiting}")
        if self.looped:
            lines.append(f"  {self.looped:,} steps were taken many at a time, in one compiled loop")
        lines += [f"  not {name}: {why}" for name, why in self.passed_over]
        return "\n".join(lines)
