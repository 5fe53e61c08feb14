"""What a run is asked to do, checked and made ready before the first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..parameters import Layout
from ..tracing.batched import PRECISIONS, BatchCost, record
from .batches import Part, Source
from .checkpoint import Checkpoints
from .methods import Method

if TYPE_CHECKING:
    from .recordings import Recordings

# The batch size when none is given: large enough for the device to be busy, small enough for many steps an epoch.
BATCH = 128
# Epochs when neither epochs, steps nor seconds are given.
EPOCHS = 10


@dataclass(frozen=True)
class Limits:
    """When the run ends: at the first of these. `steps` is `inf` where only the clock decides."""

    steps: float
    seconds: float


@dataclass
class Job:
    """Everything the loop needs. `steps_per_epoch` is None for data without an end."""

    cost: Callable[..., Any]
    label: str
    layout: Layout
    source: Source
    batch_size: int
    steps_per_epoch: int | None
    limits: Limits
    method: Method
    recorded: BatchCost  # None for a cost of PyTorch, which is not traced
    recordings: Recordings
    precision: str
    remat: bool
    accumulate: int
    seed: int
    part: Part
    validation: Any = None
    patience: int | None = None
    ceiling: float | None = None
    checkpoints: Checkpoints | None = None
    resume: bool = False
    callback: Callable[..., Any] | None = None
    progress: bool | None = None
    shard: str | None = None
    mesh: Any = None
    remarks: list[str] = field(default_factory=list)
    record: Any = None
    torch: Any = None
    placement: Any = None  # where arrays live, if not where the mesh says
    # Passes over the data after which a method over all of them stops.
    passes: float = inf
    # Whether it is known already that the cost is a mean over rows.
    rows_alone: bool = False

    @cached_property
    def code(self) -> str:
        """A hash of what the cost computes and reads besides its arguments; long costs take their time."""
        from .preflight import of_cost

        return of_cost(self)


def batch_size_of(asked: int | None, source: Source, accumulate: int, workers: int) -> int:
    """The batch size for this source; raises `InputError` where it does not divide as it must."""
    if source.rows is None:
        given = int(source.layout.leaves[0].shape[0])
        if asked is not None and asked != given:
            raise InputError(f"batch_size={asked!r}, but the data come in batches of {given}; leave it out")
        size = given
    elif asked is None:
        size = min(BATCH, source.rows)
        size -= size % (accumulate * workers)
    else:
        if asked > source.rows:
            raise InputError(
                f"batch_size={asked:,} is more than the {source.rows:,} rows there are; give at most that many"
            )
        size = asked
    if size < 1 or size % (accumulate * workers):
        raise InputError(
            f"a batch of {size:,} rows does not divide into {accumulate} accumulated part(s) on {workers} device(s); "
            f"give a multiple of {accumulate * workers}"
        )
    return size


def limits_of(
    epochs: float | None, steps: int | None, seconds: float | None, per_epoch: int | None
) -> Limits:
    """When to stop, from what was asked; ten epochs where nothing was."""
    if epochs is not None and per_epoch is None:
        raise InputError(
            "data that are made as they go have no epochs; say how many steps= or seconds= instead"
        )
    if epochs is None and steps is None and seconds is None:
        if per_epoch is None:
            raise InputError("say how long to train: steps= or seconds=")
        epochs = EPOCHS
    most = inf
    if epochs is not None and per_epoch is not None:
        most = max(1, round(epochs * per_epoch))
    if steps is not None:
        most = min(most, steps)
    return Limits(most, inf if seconds is None else float(seconds))


def check_precision(precision: str) -> None:
    """Raises `InputError` unless the precision is one we have."""
    if precision not in PRECISIONS:
        raise InputError(f"precision={precision!r}; choose {', '.join(PRECISIONS)}")


def recorded_for(
    cost: Callable[..., Any], layout: Layout, source: Source, rows: int, precision: str
) -> BatchCost:
    """The cost recorded for batches of `rows` rows of this source."""
    import numpy as np

    shaped = [
        np.broadcast_to(np.zeros((), array.dtype), (rows, *array.shape[1:])) for array in source.layout.arrays
    ]
    return record(cost, layout, Layout.of(source.layout.build(iter(shaped)), "batch"), precision=precision)
