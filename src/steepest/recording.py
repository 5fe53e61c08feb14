"""A walk written into its run file while it goes, and stopped from there where that is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from .errors import InputError
from .problem import Problem
from .runs import STOP, RunWriter, told_if_it_fails


class Recording:
    """What the driver calls at every iterate: one line in the run file; True when a viewer asks to stop.

    Steps are counted here, so that a walk taken up again from a saddle goes on in the same record.
    """

    def __init__(self, run: RunWriter, problem: Problem) -> None:
        self.run = run
        self.problem = problem
        self.steps = 0

    def __call__(
        self, x: np.ndarray, value: float, slope: float, step_length: float, evaluations: int
    ) -> bool:
        """Add one iterate."""
        self.run.step(
            self.steps,
            value,
            x=self.problem.whole(x),
            gradient_norm=slope,
            step_length=step_length,
            evaluations=evaluations,
        )
        self.steps += 1
        return STOP in self.run.asked()

    def end(self, word: str, sentence: str, **details: Any) -> None:
        """Add what was found."""
        self.run.end(word, sentence, **details)


def recorded(
    record: Any, problem: Problem, kind: str, settings: Mapping[str, Any]
) -> AbstractContextManager[Recording | None]:
    """The recording that `record=` asks for; None where it asks for none.

    A file is opened and closed here; a `RunWriter` is the caller's, who has written its header already.
    """
    return NOTHING if record is None else _recorded(record, problem, kind, settings)


NOTHING: AbstractContextManager[None] = nullcontext()


@contextmanager
def _recorded(record: Any, problem: Problem, kind: str, settings: Mapping[str, Any]) -> Iterator[Recording]:
    if isinstance(record, RunWriter):
        yield Recording(record, problem)
    else:
        cost, parameters = problem.cost, problem.parameters
        names = cost.names if cost.names and len(cost.names) == parameters.n else parameters.names
        writer = RunWriter(
            record,
            kind=kind,
            label=cost.label,
            n=parameters.n,
            names=list(names) if parameters.n <= 1_000 else None,
            expression=type(cost.function).__name__ == "Expression",
            settings=settings,
        )
        with told_if_it_fails(writer):
            yield Recording(writer, problem)


def check_record(record: Any) -> None:
    """Refuse, before anything is computed, a `record=` that names no file."""
    if record is None or isinstance(record, RunWriter | str) or hasattr(record, "__fspath__"):
        return
    raise InputError(f"record={record!r}; give the name of a file, or an open steepest.runs.RunWriter")
