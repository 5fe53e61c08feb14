"""Several steps in one dispatch, where a step is so short that asking for it takes longer than taking it.

Which steps go together follows from the cost, the machine's kind and the number of the step, never from a clock: a
run that is killed and taken up again cuts its steps as the run that was not, and ends with the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf, prod
from typing import Any, NamedTuple

import numpy as np

# Seconds of work for the device in one dispatch. A dispatch costs the host some 0.1 ms, which much less work would not
# hide; with much more, Ctrl-C and the end of the time allowed would be noticed late.
DISPATCH = 5e-3
# Blocks shorter than this win nothing over steps taken one by one: two dispatches, and one more program to compile.
SHORTEST = 4
# Bytes of batches laid together for one dispatch. With more, a few of them made ready ahead would fill the memory.
STAGED = 1 << 25
# The slope of a cost takes about twice the work of the cost, on top of it (Griewank & Walther 2008, section 4.6).
WITH_SLOPE = 3
# Numbers read and written for each parameter by an update rule with two moments.
UPDATE = 7
# A watched step forms the norms of slope, step and parameters: so many numbers read and written for each parameter
# besides (XLA counts 9), and operations for each array. All of this may add this part to the time of a run.
NORMS, OPERATIONS, SHARE = 9, 6, 0.005


@dataclass(frozen=True)
class Machine:
    """About how fast a machine is: too slow here only means fewer steps together, too fast a late Ctrl-C.

    `flops` and `bytes` a second, and seconds to begin one operation.
    """

    flops: float
    bytes: float
    operation: float


# A few cores of a processor; and an accelerator of a data centre, to which each operation is sent by itself.
MACHINES = {
    "cpu": Machine(2e10, 5e9, 1e-6),
    "gpu": Machine(3e13, 1e12, 3e-6),
    "tpu": Machine(3e13, 1e12, 3e-6),
}


@dataclass(frozen=True, order=True)
class Work:
    """Additions and multiplications, numbers written, and operations."""

    flops: float = 0.0
    numbers: float = 0.0
    operations: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.flops + other.flops, self.numbers + other.numbers, self.operations + other.operations
        )

    def __mul__(self, count: float) -> Work:
        return Work(count * self.flops, count * self.numbers, count * self.operations)


UNKNOWN = Work(inf, inf, inf)


def forecast(cost: Any, parameters: int, backend: str) -> float:
    """Seconds that a step on this recorded cost may take, by counting; infinite where that cannot be foreseen.

    >>> import jax, jax.numpy as jnp
    >>> from types import SimpleNamespace
    >>> closed = jax.make_jaxpr(lambda w, x: jnp.mean((x @ w) ** 2))(jnp.ones(100), jnp.ones((1000, 100)))
    >>> 2e-5 < forecast(SimpleNamespace(closed=closed), 100, "cpu") < 1e-3
    True
    """
    machine = MACHINES.get(backend)
    if machine is None:
        return inf
    work = work_of(cost.closed.jaxpr) * WITH_SLOPE
    moved = 4 * (work.numbers + UPDATE * parameters)
    return work.flops / machine.flops + moved / machine.bytes + work.operations * machine.operation


def watched_every(every: int, seconds: float, parameters: int, arrays: int, look: int, backend: str) -> int:
    """Steps from one watched step to the next: `every`, or as many more as `SHARE` asks for where steps are short.

    `seconds` of one step, foreseen. Longer intervals divide `look`, so that a row falls where the device has caught up.

    >>> watched_every(10, 30e-3, 670_000, 6, 100, "cpu"), watched_every(10, 30e-3, 15_000, 4, 100, "cpu")
    (50, 10)
    >>> watched_every(1, 1e-4, 670_000, 6, 100, "cpu"), watched_every(500, 1e-4, 670_000, 6, 100, "cpu")
    (1, 500)
    """
    machine = MACHINES.get(backend)
    if machine is None or every == 1:
        return every
    norms = 4 * NORMS * parameters / machine.bytes + OPERATIONS * arrays * machine.operation
    wanted = norms / (SHARE * max(seconds, 1e-9))
    longer = [length for length in range(every, look // 2 + 1) if look % length == 0]
    return next((length for length in longer if length >= wanted), max(longer, default=every))


def work_of(jaxpr: Any) -> Work:
    """What one evaluation of the jaxpr comes to."""
    return sum(map(_work_of_equation, jaxpr.eqns), Work())


def _work_of_equation(equation: Any) -> Work:
    name, given = equation.primitive.name, equation.params
    if name == "while" or "callback" in name:
        return UNKNOWN  # how often it turns, or how long it takes, is not written down
    inner = [work_of(getattr(part, "jaxpr", part)) for part in _programs(given)]
    if name == "cond":
        return max(inner)
    if inner:
        return sum(inner, Work()) * (given["length"] if name == "scan" else 1)
    written = sum(float(prod(variable.aval.shape)) for variable in equation.outvars)
    return Work(written * _flops_each(equation), written, 1)


def _programs(given: dict[str, Any]) -> Iterator[Any]:
    """The jaxprs among the settings of an equation."""
    for value in given.values():
        for item in value if isinstance(value, (tuple, list)) else (value,):
            if hasattr(item, "eqns") or hasattr(item, "jaxpr"):
                yield item


def _flops_each(equation: Any) -> float:
    """Additions and multiplications for each number written."""
    if equation.primitive.name == "dot_general":
        (summed, _), _ = equation.params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        return 2.0 * prod(shape[axis] for axis in summed)
    if equation.primitive.name == "conv_general_dilated":
        kernel = equation.invars[1].aval.shape
        return 2.0 * prod(kernel) / kernel[equation.params["dimension_numbers"].rhs_spec[0]]
    return 1.0


@dataclass(frozen=True)
class Stretches:
    """Which steps go together: in every block of `block` steps the first goes by itself, so that it can be watched.

    `end`: the step at which the run ends. `per_epoch`: batches of an epoch where something happens at its end.

    >>> plan = Stretches(block=10, end=1000)
    >>> plan.length(0, 0), plan.length(1, 1), plan.length(5, 5), plan.length(991, 0)
    (1, 9, 1, 9)
    >>> Stretches(10, 1000, per_epoch=8).length(1, 1), Stretches(10, 995).length(991, 0)
    (1, 1)
    """

    block: int = 1
    end: float = inf
    per_epoch: int | None = None

    def length(self, step: int, k: int) -> int:
        """How many steps are taken together at `step`, whose batch is number `k` of its epoch."""
        following = self.block - 1
        if self.block == 1 or step % self.block != 1 or step + following > self.end:
            return 1
        return 1 if self.per_epoch is not None and k + following > self.per_epoch else following


def block_length(seconds: float, look: int, every: int, per_epoch: int | None, batch_bytes: float) -> int:
    """Steps in a block; 1 where each goes by itself.

    A block must divide `look`, the steps between two looks back, and not be longer than `every`, the steps between two
    that are watched.

    >>> block_length(1e-4, 100, 15, None, 1e4), block_length(1e-4, 100, 500, None, 1e4)
    (10, 50)
    >>> block_length(1.0, 100, 15, None, 1e4)
    1
    """
    most = min(every, DISPATCH / max(seconds, 1e-9), STAGED / max(batch_bytes, 1.0))
    if per_epoch is not None:
        most = min(most, per_epoch / 2)
    fitting = [length for length in range(SHORTEST, look + 1) if look % length == 0 and length <= most]
    return max(fitting, default=1)


class Piece(NamedTuple):
    """What one dispatch takes: the batches of `steps` steps, the last of which is number `k` of `epoch`."""

    epoch: int
    k: int
    steps: int
    batch: Any


def pieces(batches: Iterable[tuple[int, int, Any]], plan: Stretches, step: int) -> Iterator[Piece]:
    """The batches from `step` on, those that go together laid along a new first axis."""
    held: list[tuple[int, int, Any]] = []
    wanted = 1
    for epoch, k, batch in batches:
        if not held:
            wanted = plan.length(step, k)
        held.append((epoch, k, batch))
        if len(held) == wanted:
            yield Piece(epoch, k, wanted, batch if wanted == 1 else _laid([item[2] for item in held]))
            step += wanted
            held = []
    for epoch, k, batch in held:  # the data ended before the stretch did
        yield Piece(epoch, k, 1, batch)


def _laid(batches: list[Any]) -> Any:
    if isinstance(batches[0], np.ndarray):
        return np.stack(batches)
    return [np.stack(column) for column in zip(*batches, strict=True)]
