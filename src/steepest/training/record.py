"""A training run written into a run file while it goes, for a viewer in another process to follow and steer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..runs import HALVE_RATE, STOP, RunWriter, told_if_it_fails

if TYPE_CHECKING:
    from .job import Job
    from .watching import Row

# Groups of parameters told one by one; a model of more arrays has its first ones shown.
MOST_GROUPS = 64


class Record:
    """What the loop writes its rows to, and asks for what a viewer wants."""

    def __init__(self, run: RunWriter, names: list[str]) -> None:
        self.run = run
        self.names = names[:MOST_GROUPS]

    def row(self, row: Row, slopes: Any, steps: Any, sizes: Any) -> None:
        """Add a row; the norms are those of each array, shape (arrays,)."""
        groups = {
            name: {"gradient": float(slope), "step": float(step), "size": float(size)}
            for name, slope, step, size in zip(self.names, slopes, steps, sizes, strict=False)
        }
        self.run.step(
            row.step,
            row.cost,
            gradient_norm=row.slope,
            rate=row.rate,
            seconds=row.seconds,
            epoch=row.epoch,
            smoothed=row.smoothed,
            groups=groups,
        )

    def validation(self, step: int, value: float, cost: float) -> None:
        """Add the cost on the data kept aside."""
        self.run.step(step, cost, validation=value)

    def event(self, words: str) -> None:
        """Add something that happened."""
        self.run.event(words)

    def wants_stop(self) -> tuple[bool, bool]:
        """Whether a viewer asked for a stop, and whether for half the rate; a pause is waited out in here."""
        asked = self.run.asked()
        return STOP in asked, HALVE_RATE in asked

    def end(self, word: str, sentence: str, cost: float) -> None:
        """Add what the run came to."""
        self.run.end(word, sentence, value=cost)

    def trouble(self) -> tuple[str, ...]:
        """Why the file does not hold all of the run, where it does not."""
        return () if self.run.broken is None else (self.run.broken,)


@contextmanager
def recorded(record: Any, job: Job, speaks: bool) -> Iterator[Record | None]:
    """The record that `record=` asks for; only the process that speaks keeps one. A resumed run goes on in its file."""
    names = [leaf.name for leaf in job.layout.leaves]
    if record is None or not speaks:
        yield None
    elif isinstance(record, RunWriter):
        yield Record(record, names)
    else:
        continues = job.resume and job.checkpoints is not None and bool(job.checkpoints.found())
        settings = {"method": job.method.name, "batch size": job.batch_size, "data": job.source.describe()}
        writer = RunWriter(
            record,
            kind="train",
            label=job.label,
            n=job.layout.n,
            names=names,
            settings=settings,
            continues=continues,
        )
        with told_if_it_fails(writer):
            yield Record(writer, names)
