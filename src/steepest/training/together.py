"""Slopes of the parts of a batch, added up between processes as one message a step.

Left to itself the compiler adds up array by array, and gloo takes each as a message of its own: while a process writes
one, the thread that listens for the other's spins on the same core. Six arrays of a small network cost 15 ms of each
process that way, the same bytes as one vector 4.5 ms. That the slope of a batch is the mean of the slopes of its parts
holds where the cost is a mean over rows, and is measured before it is relied on; any other cost (one that normalises
over the batch, say) is left to the compiler, which is slower and right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from ..errors import SteepestError
from ..tracing.batched import BatchCost
from .distributed import AXIS, Placement
from .job import recorded_for
from .passes import MEAN, over_rows

if TYPE_CHECKING:
    from .job import Job

# Arrays are laid together up to this many bytes a message: a copy of all slopes of a large model would double what they
# take, and a message this long no longer notices what each costs besides its bytes.
MESSAGE_BYTES = 1 << 26
# Rows in each of two groups that are seen apart and together; two would do for whatever mixes rows.
ROWS_SEEN = 4


def cost_of_a_part(job: Job, placement: Placement) -> BatchCost | None:
    """The cost recorded for one device's part of a batch, where slopes are to be added up here; None elsewhere.

    Every process must ask: they all do the same.
    """
    if not _gloo(job, placement):
        return None
    rows = job.batch_size // job.accumulate // int(job.mesh.devices.size)
    part = _recorded(job, rows) if _mean_over_rows(job) else None
    return None if placement.agreed(part is None) else part


def _gloo(job: Job, placement: Placement) -> bool:
    """Whether whole slopes travel between processes on CPUs."""
    several = placement.processes > 1 and jax.default_backend() == "cpu"
    return several and job.mesh is not None and not placement.spread and job.recorded is not None


def _mean_over_rows(job: Job) -> bool:
    if getattr(job.source, "arrays", None) is None:
        return False
    start = np.concatenate([np.ravel(array).astype(float) for array in job.layout.arrays])
    return over_rows(job.cost, job.layout, job.source, start, few=ROWS_SEEN) == MEAN


def _recorded(job: Job, rows: int) -> BatchCost | None:
    """The cost for batches of `rows` rows; None where it insists on the number of rows of a whole one."""
    try:
        return recorded_for(job.cost, job.layout, job.source, rows, job.precision)
    except SteepestError:
        return None


def together(slope_of_part: Callable[..., Any], mesh: Any) -> Callable[..., Any]:
    """From the cost and slope of a part, (parameters, part, constants) -> (cost, slope), those of the whole batch.

    What is given back is the mean over the devices of the mesh. All of a message is added in one order on every
    process, so that all hold the same bits.
    """
    everywhere, rows = PartitionSpec(), PartitionSpec(AXIS)

    def mean(parameters: Any, batch: Any, constants: Any) -> Any:
        leaves, tree = jax.tree.flatten(slope_of_part(parameters, batch, constants))
        return jax.tree.unflatten(tree, _summed(leaves, mesh.devices.size))

    return jax.shard_map(
        mean, mesh=mesh, in_specs=(everywhere, rows, everywhere), out_specs=everywhere, check_vma=False
    )


def _summed(leaves: list[Any], parts: int) -> list[Any]:
    """The mean over the devices of each array, exchanged in as few messages as `MESSAGE_BYTES` allows."""
    found: list[Any] = []
    for places in _messages(leaves):
        message = [leaves[k] for k in places]
        vector = jax.lax.psum(jnp.concatenate([jnp.ravel(leaf) for leaf in message]), AXIS) / parts
        ends = np.cumsum([leaf.size for leaf in message])[:-1]
        found += [p.reshape(leaf.shape) for p, leaf in zip(jnp.split(vector, ends), message, strict=True)]
    return found


def _messages(leaves: list[Any]) -> list[list[int]]:
    """Which arrays, by their places, travel together: neighbours of one type."""
    messages: list[list[int]] = []
    size = 0
    for k, leaf in enumerate(leaves):
        fits = size + leaf.size * leaf.dtype.itemsize <= MESSAGE_BYTES
        if messages and fits and leaves[messages[-1][0]].dtype == leaf.dtype:
            messages[-1].append(k)
        else:
            messages.append([k])
            size = 0
        size += leaf.size * leaf.dtype.itemsize
    return messages
