"""Steps whose slopes meet on the host: one program up to the slope of a part, then the sum, then one program more.

The same steps as `steps.program` compiles in one, for processes of one machine, which add up in memory they share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from .distributed import AXIS
from .methods import Method
from .steps import Added, Program, State, Tree, moved_on, seen, with_slope

Sums = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def met(
    alone: Program,
    slope_of_part: Callable[..., Any],
    sums: Sums,
    method: Method,
    tree: Tree,
    mesh: Any,
    sharding: Any,
) -> Program:
    """The program `alone`, with slopes of parts (`slope_of_part`, one device a process) added up by `sums`.

    `sharding`: that of the state.
    """
    gradient = _meeting(slope_of_part, sums, mesh)
    compiled = partial(jax.jit, donate_argnums=0)
    parts = mesh.devices.size

    def plain(state: State, reached: Any, slope: Any) -> Any:
        return moved_on(method, state, *_mean((reached, slope), parts))[0], reached / parts

    def watched(state: State, reached: Any, slope: Any) -> Any:
        reached, slope = _mean((reached, slope), parts)
        following, moved = moved_on(method, state, reached, slope)
        return following, reached, seen(method, tree, state, reached, slope, moved)

    move = compiled(plain, out_shardings=(sharding, None))
    move_and_tell = compiled(watched, out_shardings=(sharding, None, None))
    add = jax.jit(
        lambda total, reached, slope: with_slope(tree, total, *_mean((reached, slope), parts)),
        donate_argnums=0,
        out_shardings=Added(sharding.parameters, None, None, None),
    )
    mean = jax.jit(partial(_mean, parts=parts))
    return replace(
        alone,
        plain=lambda state, batch, constants: move(state, *gradient(state.parameters, batch, constants)),
        watched=lambda state, batch, constants: move_and_tell(
            state, *gradient(state.parameters, batch, constants)
        ),
        gradient=lambda parameters, batch, constants: mean(gradient(parameters, batch, constants)),
        added=lambda total, parameters, batch, constants: add(total, *gradient(parameters, batch, constants)),
    )


def _mean(sums: Any, parts: int) -> Any:
    return jax.tree.map(lambda leaf: leaf / parts, sums)


def _meeting(slope_of_part: Callable[..., Any], sums: Sums, mesh: Any) -> Callable[..., Any]:
    """A function that gives the sums over all processes of cost and slope."""
    everywhere, rows = PartitionSpec(), PartitionSpec(AXIS)

    def own(parameters: Any, batch: Any, constants: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf[None], slope_of_part(parameters, batch, constants))

    part = jax.jit(
        jax.shard_map(
            own, mesh=mesh, in_specs=(everywhere, rows, everywhere), out_specs=rows, check_vma=False
        )
    )
    copied = NamedSharding(mesh, everywhere)
    device = mesh.local_devices[0]

    def met(parameters: Any, batch: Any, constants: Any) -> Any:
        leaves, tree = jax.tree.flatten(part(parameters, batch, constants))
        found = sums([np.asarray(leaf.addressable_data(0))[0] for leaf in leaves])
        placed = jax.device_put(found, device)  # in place where they lie as the device wants them
        whole = [
            jax.make_array_from_single_device_arrays(leaf.shape[1:], copied, [own])
            for leaf, own in zip(leaves, placed, strict=True)
        ]
        return jax.tree.unflatten(tree, whole)

    return met
