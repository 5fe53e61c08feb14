"""Steps whose slopes come from PyTorch: the same loop, rules and checkpoints as for every other cost.

Parameters and the rule's memory are JAX's; PyTorch sees the parameters, and JAX the slopes, where they lie (DLPack).
Nothing of a step is fetched by the host, so that on a GPU neither library waits for the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from ..tracing.batched import numbers_in
from .distributed import Placement
from .steps import (
    Program,
    Seen,
    State,
    Tree,
    copied,
    first_state,
    norms_of,
    rule_of,
    step_factor,
)

if TYPE_CHECKING:
    from .job import Job
    from .torch_costs import TorchCost


@dataclass(frozen=True)
class TorchPlacement(Placement):
    """Batches as tensors beside the parameters; one process, one device."""

    cost: TorchCost

    @classmethod
    def beside(cls, cost: TorchCost) -> TorchPlacement:
        """The placement for a run of this cost."""
        return cls(None, False, 1, True, cost)

    def rows(self, arrays: list[Any]) -> list[Any]:
        """The arrays of a batch as tensors: real numbers in the type of the parameters, everything else as it is.

        In memory of their own: a cost may change its rows in place, and they may be the user's, or be asked for again.
        """
        torch, first = self.cost.torch, next(iter(self.cost.tensors.values()))
        kinds = [first.dtype if array.dtype.kind == "f" else None for array in arrays]
        return [
            torch.as_tensor(np.array(array), dtype=kind, device=self.cost.device)
            for array, kind in zip(arrays, kinds, strict=True)
        ]

    def as_they_are(self, arrays: list[np.ndarray]) -> list[Any]:
        """The arrays of a batch as tensors."""
        return self.rows(arrays)

    def state(self, state: Any) -> Any:
        """Beside the tensors, also where JAX has a GPU and PyTorch has none."""
        return jax.device_put(state, jax.devices("cpu")[0]) if self.cost.device == "cpu" else state

    def held(self, source: Any) -> Any:
        """Data are not put on the device whole."""
        return None

    def same_rows(self, arrays: list[Any]) -> list[Any]:
        """Arrays as tensors."""
        return self.rows(arrays)

    def whole(self, array: Any) -> np.ndarray:
        """An array of either library as NumPy."""
        return array.cpu().numpy() if hasattr(array, "cpu") else np.array(array)


def begun(job: Job) -> tuple[State, Program]:
    """The state before the first step, and the steps."""
    tree, cost = Tree.of(job.layout), job.torch
    with numbers_in(job.precision):
        start = [np.array(array) for array in job.layout.arrays]  # a module's own memory may change meanwhile
        state = first_state(job.method, tree, start, job.limits.steps)
        state = state._replace(memory=(state.memory, _kept(cost)))
        return TorchPlacement.beside(cost).state(state), torch_program(job, cost, tree)


def torch_program(job: Job, cost: TorchCost, tree: Tree) -> Program:
    """The functions of a run. What a module keeps besides its parameters is part of the method's memory."""
    torch, accumulate, built = cost.torch, job.accumulate, job.source.layout.build

    def value_and_slope(parameters: Any, batch: list[Any]) -> tuple[Any, list[Any]]:
        values = [torch.from_dlpack(array) for array in tree.leaves(parameters)]
        if accumulate == 1:
            return cost(values, built(iter(batch)))
        # Every part takes rows from all over the batch, as it does for other costs.
        parts = [built(iter([tensor[k::accumulate] for tensor in batch])) for k in range(accumulate)]
        value, slopes = cost(values, parts[0])
        for part in parts[1:]:
            further, its = cost(values, part)
            value, slopes = value + further, [a + b for a, b in zip(slopes, its, strict=True)]
        return value / accumulate, [slope / accumulate for slope in slopes]

    def handed_over(value: Any, slopes: list[Any]) -> tuple[Any, Any]:
        return jnp.from_dlpack(value), tree.grow([jnp.from_dlpack(slope.contiguous()) for slope in slopes])

    def gradient(parameters: Any, batch: list[Any], constants: Any) -> tuple[Any, Any]:
        with _left_as_it_was(cost), cost.chance(job.seed, -1):
            return handed_over(*value_and_slope(parameters, batch))

    def one(state: State, batch: list[Any], watched: bool) -> Any:
        memory, kept = state.memory
        put_back(cost, kept)
        with cost.chance(job.seed, cost.step_now()):
            value, slopes = handed_over(*value_and_slope(state.parameters, batch))
        following, *seen = update(state._replace(memory=()), memory, slopes, value, watched)
        return following._replace(memory=(following.memory, _kept(cost))), *seen

    # PyTorch may still look at the parameters: only the rule's memory is taken over.
    @partial(jax.jit, donate_argnums=1, static_argnums=4)
    def update(state: State, memory: Any, slopes: Any, value: Any, watched: bool) -> Any:
        state = state._replace(memory=memory)
        updates, memory = rule_of(job.method, slopes, state, value)
        size = step_factor(job.method, state)
        moved = jax.tree.map(lambda p, u: (p + size * u).astype(p.dtype), state.parameters, updates)
        following = State(moved, memory, state.step + 1, state.scale, state.total)
        if not watched:
            return following, value
        steps = jax.tree.map(lambda u: size * u, updates)
        slope, step, own = (norms_of(tree, part) for part in (slopes, steps, state.parameters))
        return following, value, Seen(value, slope, step, own, jnp.abs(size)).packed()

    def plain(state: State, batch: list[Any], constants: Any) -> Any:
        return one(state, batch, False)

    return Program(
        plain,
        lambda state, batch, constants: one(state, batch, True),
        plain,  # steps go one by one: a stretch is never longer
        jax.jit(copied),
        gradient,
        plain,
        [],
    )


# -- what a module keeps besides its parameters: running means and counts -----------------------------------------


def _kept(cost: TorchCost) -> list[Any]:
    return [jnp.array(tensor.detach().cpu().numpy(), copy=True) for tensor in cost.buffers()]


def kept_besides(state: State) -> list[Any]:
    """What the module keeps at this state."""
    kept: list[Any] = state.memory[1]
    return kept


def with_kept(state: State, kept: list[Any]) -> State:
    """The state at which the module keeps this instead."""
    return state._replace(memory=(state.memory[0], kept))


def put_back(cost: TorchCost, kept: list[Any]) -> None:
    """Give the module what it kept then: a forward pass, on data that are no numbers too, has changed it since."""
    with cost.torch.no_grad():
        for tensor, array in zip(cost.buffers(), kept, strict=True):
            tensor.copy_(cost.torch.as_tensor(np.array(array)))


@contextmanager
def _left_as_it_was(cost: TorchCost) -> Iterator[None]:
    before = [tensor.clone() for tensor in cost.buffers()]
    try:
        yield
    finally:
        with cost.torch.no_grad():
            for tensor, old in zip(cost.buffers(), before, strict=True):
                tensor.copy_(old)
