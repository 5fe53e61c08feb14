"""The length of the first step of a rule that finds its own, measured on the first batch.

A rule that estimates its step size begins with one that is too small by far, whatever the problem, and needs some
thirty steps before it moves anything: all that a short run has. As long as the cost falls at least half as fast as its
slope says (Armijo 1966) a step is not too long; a tenth of the longest such step is a beginning that other batches
allow too.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from .loop import Walker
    from .steps import State

# The part of the fall foreseen by the slope that a step must bring.
PART = 0.5
# From one length tried to the next, and the most of them: each takes as long as a step.
FACTOR, TRIALS = 4.0, 12
# The part of the longest step found that is begun with: an estimate only grows, and other batches may allow less.
BEGUN = 0.1
# The part of the seconds left that lengths may be tried for: the rest is for steps.
SECONDS = 0.25
# A foreseen fall of fewer roundings of the cost than this cannot be told from them.
ROUNDINGS = 100


def begun(walker: Walker, state: State) -> State:
    """The state before the first step, with the length measured; as it is where there is none to measure."""
    begun_at = walker.job.method.begun_at
    length = None if begun_at is None else first_length(walker, state)
    if begun_at is None or length is None:
        return state
    return state._replace(memory=begun_at(state.memory, length))


def first_length(walker: Walker, state: State) -> float | None:
    """How far every parameter may move against the sign of its slope at first; None where that cannot be told.

    Nor can it where the user stops the run meanwhile, or the lengths take too much of its seconds.
    """
    job = walker.job
    if not walker._can_rewind():
        return None
    enough = walker._elapsed() + SECONDS * (job.limits.seconds - walker._elapsed())
    batch = next(iter(job.source.batches(0, 0, job.batch_size, job.part)), None)
    if batch is None:
        return None
    slope, found = walker.added(None, state.parameters, batch)
    cost, steepness = float(found.cost), float(_steepness(slope))
    if not (isfinite(cost) and isfinite(steepness) and cost != 0.0 and steepness > 0.0):
        return None

    def falls(length: float) -> bool:
        there = _moved(state.parameters, slope, length)
        reached = float(walker.added(None, there, batch)[1].cost)
        return cost - reached >= PART * length * steepness  # never so where there is no number

    def hurried() -> bool:
        return walker._agreed(bool(walker._asked) or walker._elapsed() > enough)

    # Where a straight fall would bring the cost to zero: a length that grows with the parameters, not with the cost.
    length = abs(cost) / steepness
    shortest = ROUNDINGS * float(jnp.finfo(found.cost.dtype).eps) * length
    if falls(length):
        for _ in range(TRIALS):
            if hurried() or not falls(FACTOR * length):
                break
            length *= FACTOR
        return BEGUN * length
    for _ in range(TRIALS):
        length /= FACTOR
        if length < shortest or hurried():
            break
        if falls(length):
            return BEGUN * length
    return None


@jax.jit
def _steepness(slope: Any) -> Any:
    """The sum of the sizes of all partial derivatives."""
    return sum(jnp.sum(jnp.abs(leaf)) for leaf in jax.tree.leaves(slope))


@jax.jit
def _moved(parameters: Any, slope: Any, length: Any) -> Any:
    """The parameters, each moved by `length` against the sign of its slope."""
    return jax.tree.map(lambda p, g: p - (length * jnp.sign(g)).astype(p.dtype), parameters, slope)
