"""Whether a cost falls without end along the way a run went: looked at ever farther, up to a thousand million times.

A wrong sign, a likelihood without its logarithm, or labels of -1 where 0 is meant make a cost that no parameters bring
to its lowest value. A run on it does what it is asked to, and falls faster and faster.
"""

from __future__ import annotations

from math import inf, isfinite, isnan
from typing import TYPE_CHECKING, Any

import jax

if TYPE_CHECKING:
    from .loop import Run, Walker

# How many times as far from the start is looked, and told of; and then for a floor that lies farther off still.
TIMES = (10.0, 100.0, 1000.0)
FARTHER = (1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
# A cost that falls at least as a straight line falls ten times as far; one that has a floor, or falls as a logarithm,
# stays far from this.
FALLS = 5.0


def endless(walker: Walker, run: Run) -> tuple[float, ...] | None:
    """The costs of one batch ever farther along the way the run went, where each is lower by far; None elsewhere."""
    job = walker.job
    if job.recorded is None or not (run.history.costs and run.history.costs[-1] < 0):
        return None
    batch = next(iter(job.source.batches(walker.cursor.epoch + 1, 0, job.batch_size, job.part)), None)
    if batch is None:
        return None
    last, seen = float(walker.added(None, run.state.parameters, batch)[1].cost), []
    for times in (*TIMES, *FARTHER):
        cost = float(walker.added(None, along(walker, run, times), batch)[1].cost)
        if times in FARTHER and (isnan(cost) or cost == -inf):
            break  # beyond what the numbers hold
        if not isfinite(cost) or not (last < 0 and cost <= FALLS * last):
            return None
        seen.append(cost)
        last = cost
    return tuple(seen[: len(TIMES)])


def along(walker: Walker, run: Run, times: float) -> Any:
    """The parameters so many times as far from the start as the run came."""
    return jax.tree.map(
        lambda end, begun: end + (times - 1) * (end - begun).astype(end.dtype),
        run.state.parameters,
        walker.tree.grow(list(walker.job.layout.arrays)),
    )
