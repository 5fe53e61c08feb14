"""Whether a run's steps were far too short: the cost a hundred times as far along the way it went, and farther.

At a rate a thousand times too small the cost hardly falls, and its noise hides that it does: such a run looks like one
that has arrived. From its start on, its way is straight.
"""

from __future__ import annotations

from itertools import islice
from math import isfinite
from statistics import fmean
from typing import TYPE_CHECKING, Any

from .endless import along

if TYPE_CHECKING:
    from .loop import Run, Walker

# How many times as far from the start is looked. Nearer, no run that is merely unfinished would be told from these.
TIMES = (100.0, 1e3, 1e4, 1e5)
# So many times as far the fall must be as many times larger, but for this part: that of a walk that has bent into its
# valley, or come near its end, is not.
PART = 0.1
# And that fall must be more than this part of the cost on each of so many fresh batches: worth being told of.
WORTH, BATCHES = 0.02, 4
# After fewer steps a run of any rate has gone but a hundredth of its way.
FEWEST = 10


def farther(walker: Walker, run: Run) -> tuple[float, float, float, float] | None:
    """How many times as far the cost is lowest, and on fresh batches its means at the start, the end, and there.

    None where no such place is lower on each batch by a tenth of what a straight line would lead to, where the rate was
    cut because longer steps diverged, and after a few steps.
    """
    job = walker.job
    if job.recorded is None or walker._once or walker.large or run.rollbacks or run.steps < FEWEST:
        return None
    batches = list(islice(job.source.batches(walker.cursor.epoch + 1, 0, job.batch_size, job.part), BATCHES))
    if not batches:
        return None

    def costs(times: float, over: list[Any] = batches) -> list[float]:
        there = along(walker, run, times)
        return [float(walker.added(None, there, batch)[1].cost) for batch in over]

    if not costs(TIMES[0], batches[:1]) <= costs(1.0, batches[:1]):
        return None  # as nearly always: two looks, and no more
    first, last = costs(0.0), costs(1.0)
    found, lowest = None, fmean(last)
    for times in TIMES:
        beyond = costs(times)
        if not fmean(beyond) <= lowest:
            break
        lowest = fmean(beyond)
        if all(_is_far_lower(*each, times) for each in zip(first, last, beyond, strict=True)):
            found = times, fmean(first), fmean(last), lowest
    return found


def _is_far_lower(first: float, last: float, beyond: float, times: float) -> bool:
    """Whether the fall from the first cost to the one beyond is nearly as many times as large as that to the last."""
    fall = first - beyond
    return isfinite(fall) and fall > WORTH * abs(first) and fall >= PART * times * (first - last)
